//! The four safety properties of Raft, checked from outside after every event.
//!
//! *Election safety*: one leader per term. *Log matching*: two logs that agree at an index agree below it. *Leader
//! completeness*: a leader has every entry committed in an earlier term. *State machine safety*: nobody applies
//! another entry at an index. Besides: what is committed lies on the disks of a majority, and members at one index
//! have one store.

use std::collections::BTreeMap;

use super::super::Member;

/// An entry as the checker knows it: its term, and what it proposes.
type Known = (u64, Option<u64>);

/// What has been seen so far.
#[derive(Default, Debug)]
pub struct Safety {
    leaders: BTreeMap<u64, u8>,
    committed: BTreeMap<u64, Known>,
    /// Up to where each member's commits and applied entries have been looked at.
    looked: BTreeMap<u8, u64>,
    revisions: BTreeMap<u64, u64>,
}

impl Safety {
    /// How many terms had a leader.
    pub fn leaders(&self) -> u64 {
        self.leaders.len() as u64
    }

    /// Looks at the member that just did something. `fixed`: the members never change in this run.
    pub fn look(&mut self, me: usize, members: &[Member<String>], fixed: bool) -> Result<(), String> {
        let member = &members[me];
        if !member.running() {
            return Ok(());
        }
        let (raft, number) = (member.raft(), member.number());
        if raft.is_leader() {
            let first = self.leaders.insert(raft.term(), number);
            match first {
                Some(other) if other != number => {
                    return Err(format!("{other} and {number} lead in term {}", raft.term()));
                }
                None => self.complete(member)?,
                _ => {}
            }
        }
        let commit = raft.log().commit();
        let from = self.looked.insert(number, commit).unwrap_or(0).min(commit);
        for index in from + 1..=commit {
            let Some(entry) = raft.log().get(index) else { continue };
            let known = (entry.term, entry.data.as_ref().map(|command| command.id));
            match self.committed.insert(index, known) {
                Some(other) if other != known => {
                    return Err(format!("entry {index} is {other:?} and, at {number}, {known:?}"));
                }
                None if fixed => copies(index, known, members)?,
                _ => {}
            }
        }
        let (applied, revision) = (member.applied_index(), member.store().revision());
        match self.revisions.insert(applied, revision) {
            Some(other) if other != revision => {
                Err(format!("revision {other} and, at {number}, {revision} after entry {applied}"))
            }
            _ => Ok(()),
        }
    }

    fn complete(&self, leader: &Member<String>) -> Result<(), String> {
        let raft = leader.raft();
        let base = raft.log().base().index;
        for (index, known) in self.committed.range(base + 1..) {
            let has = raft.log().get(*index).map(|entry| (entry.term, entry.data.as_ref().map(|command| command.id)));
            if known.0 < raft.term() && has != Some(*known) {
                return Err(format!("the leader {} lacks entry {index} {known:?}: {has:?}", leader.number()));
            }
        }
        Ok(())
    }
}

/// An entry that is committed lies on the disks of a majority.
fn copies(index: u64, known: Known, members: &[Member<String>]) -> Result<(), String> {
    let has = |member: &&Member<String>| {
        let wal = member.wal();
        let entry = wal.get(index).map(|entry| (entry.term, entry.data.as_ref().map(|command| command.id)));
        entry == Some(known) || member.applied_index() >= index
    };
    let copies = members.iter().filter(has).count();
    if copies * 2 > members.len() { Ok(()) } else { Err(format!("entry {index} is committed with {copies} copies")) }
}

/// Log matching, pair by pair.
pub fn logs_match(members: &[Member<String>]) -> Result<(), String> {
    for (i, a) in members.iter().enumerate() {
        for b in &members[i + 1..] {
            let (a, b) = (a.raft().log(), b.raft().log());
            let last = a.last_index().min(b.last_index());
            let first = a.base().index.max(b.base().index) + 1;
            let equal = |index| a.get(index).map(|entry| entry.term) == b.get(index).map(|entry| entry.term);
            let Some(top) = (first..=last).rev().find(|index| equal(*index)) else { continue };
            for index in first..=top {
                if a.get(index) != b.get(index) {
                    return Err(format!("two logs agree at {top} and differ at {index}"));
                }
            }
        }
    }
    Ok(())
}
