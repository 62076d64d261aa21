//! What a leader does: appends, sends, counts copies, keeps its quorum, confirms reads, hands over.
//!
//! Models: raft v3.6 raft.go (`stepLeader`, `maybeSendAppend`, `bcastHeartbeat`), read_only.go.

use std::sync::Arc;

use super::node::{Raft, ReadWaiting, Role};
use super::pace::Moment;
use super::progress::{Progress, Sending};
use super::{Append, Body, Change, Entry, Mark, Payload, Snapshot};
use crate::kernel::Duration;

/// Most bytes of entries in a message. [bytes] – constant; etcd: maxSizePerMsg, 512 KiB.
const MAX_MESSAGE: usize = 512 * 1_024;
/// How long a state may be under way before it counts as lost. – etcd hears from the connection; an estimate.
const SNAPSHOT_PATIENCE: Duration = Duration::from_secs(10);

/// Why a proposal went nowhere.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Dropped {
    /// Nobody leads, as far as this member knows.
    NoLeader,
    /// Leadership is being handed over.
    Transferring,
}

impl<P: Payload, S: Clone> Raft<P, S> {
    /// Appends a proposal, or passes it on to the leader. The answer is its index if this member leads.
    pub fn propose(&mut self, change: Option<Change>, data: Option<P>) -> Result<Option<u64>, Dropped> {
        if !self.is_leader() {
            let leader = self.leader.ok_or(Dropped::NoLeader)?;
            self.send(leader, Body::Propose { change, data });
            return Ok(None);
        }
        if self.transfer.is_some() {
            return Err(Dropped::Transferring);
        }
        let index = self.log.last_index() + 1;
        let busy = change.is_some() && self.pending_change > self.applied;
        let entry = Entry { index, term: self.term, change, data };
        // One change of members at a time: another one becomes an entry that does nothing.
        self.log.push(if busy { Entry { change: None, data: None, ..entry } } else { entry });
        if change.is_some() && !busy {
            self.pending_change = index;
        }
        Ok(Some(index))
    }

    /// Asks for the index a linearizable read must wait for; the answer comes with a [`super::Ready`], or never.
    pub fn read_index(&mut self, context: u64) {
        match (self.is_leader(), self.leader) {
            (true, _) => self.read_for(self.me, context),
            (false, Some(leader)) => self.send(leader, Body::ReadIndex(context)),
            (false, None) => {}
        }
    }

    pub(super) fn read_for(&mut self, from: u8, context: u64) {
        if !self.is_leader() {
            return;
        }
        if self.log.term(self.log.commit()) != Some(self.term) {
            if !self.early_reads.contains(&(from, context)) {
                self.early_reads.push((from, context));
            }
            return;
        }
        let index = self.log.commit();
        if self.config.voters == [self.me] {
            return self.confirm(from, context, index);
        }
        if !self.reads.iter().any(|read| read.context == context) {
            self.reads.push_back(ReadWaiting { context, from, index, answered: vec![self.me] });
        }
        self.send_heartbeats(false);
    }

    /// Hands over to another voter as soon as its log is complete.
    pub fn transfer(&mut self, to: u8, at: Moment) {
        if !self.is_leader() || !self.config.voters.contains(&to) || to == self.me {
            return;
        }
        self.transfer = Some((to, at.now));
        self.clock.lead(at);
        self.offer(to);
    }

    /// To whom this leader hands over.
    pub fn transferring(&self) -> Option<u8> {
        self.transfer.map(|(to, _)| to)
    }

    /// Sends the whole state to a member that asked for it.
    pub fn send_snapshot(&mut self, to: u8, snapshot: Arc<Snapshot<S>>, at: Moment) {
        if let Some(peer) = self.progress.get_mut(&to) {
            peer.snapshot_sent(snapshot.mark.index, at.now);
            self.send(to, Body::Snapshot(snapshot));
        }
    }

    /// The connection to a member broke: what was under way may be lost.
    pub fn unreachable(&mut self, member: u8) {
        if let Some(peer) = self.progress.get_mut(&member)
            && matches!(peer.state, Sending::Replicate(_))
        {
            peer.probe();
        }
    }

    pub(super) fn hear(&mut self, from: u8, index: u64, refused: Option<Box<Mark>>) {
        let Some(peer) = self.progress.get_mut(&from).filter(|_| self.role == Role::Leader) else { return };
        peer.active = true;
        if let Some(hint) = refused {
            let agreed = if hint.term > 0 { self.log.agree(hint.index, hint.term).index } else { hint.index };
            peer.refused(index, agreed);
            return;
        }
        if peer.acknowledged(index) {
            self.count_copies();
        }
        if self.transfer.is_some_and(|(to, _)| to == from) {
            self.offer(from);
        }
    }

    pub(super) fn hear_beat(&mut self, from: u8, context: u64, at: Moment) {
        let last = self.log.last_index();
        let Some(peer) = self.progress.get_mut(&from).filter(|_| self.role == Role::Leader) else { return };
        peer.active = true;
        let (behind, since) = (peer.matched < last, at.now);
        match &mut peer.state {
            Sending::Probe { waiting } => *waiting = false,
            Sending::Snapshot { since: sent, .. } if since.since(*sent) >= SNAPSHOT_PATIENCE => peer.probe(),
            // It may lack something: a message that must fit in behind what was sent brings it to light.
            Sending::Replicate(_) if behind => self.send_append(from, Vec::new(), true),
            _ => {}
        }
        if context > 0 {
            self.quorum_answers(from, context);
        }
    }

    /// The commit index is the highest entry of this term that a majority has on disk.
    pub(super) fn count_copies(&mut self) {
        let copied = |voter: &u8| {
            let peer = self.progress.get(voter).map(|peer| peer.matched);
            if *voter == self.me { self.log.stable() } else { peer.unwrap_or(0) }
        };
        let mut copies: Vec<u64> = self.config.voters.iter().map(copied).collect();
        copies.sort_unstable_by_key(|index| std::cmp::Reverse(*index));
        let Some(index) = copies.get(self.config.quorum() - 1).copied() else { return };
        if index > self.log.commit() && self.log.term(index) == Some(self.term) {
            self.log.commit_to(index);
            for (from, context) in std::mem::take(&mut self.early_reads) {
                self.read_for(from, context);
            }
        }
    }

    /// Makes the list of those it sends to that of the members.
    pub(super) fn adopt_config(&mut self) {
        let next = self.log.last_index() + 1;
        let config = &self.config;
        self.progress.retain(|member, _| config.contains(*member));
        for member in self.config.others(self.me) {
            let fresh = || Progress { active: true, ..Progress::new(next) };
            self.progress.entry(member).or_insert_with(fresh);
        }
        if self.transfer.is_some_and(|(to, _)| !self.config.voters.contains(&to)) {
            self.transfer = None;
        }
    }

    pub(super) fn all_active(&mut self) {
        self.progress.values_mut().for_each(|peer| peer.active = true);
    }

    /// Whether everybody was heard of lately and takes entries as they come.
    pub(super) fn all_well(&self) -> bool {
        let well = |peer: &Progress| peer.active && matches!(peer.state, Sending::Replicate(_));
        self.transfer.is_none() && self.reads.is_empty() && self.progress.values().all(well)
    }

    /// Steps down without a quorum; false then. Also ends a transfer that takes too long.
    pub(super) fn look_for_quorum(&mut self, at: Moment) -> bool {
        let active = |voter| voter == self.me || self.progress.get(&voter).is_some_and(|peer| peer.active);
        if !self.config.majority(active) {
            self.become_follower(self.term, None, at);
            return false;
        }
        self.progress.values_mut().for_each(|peer| peer.active = false);
        self.transfer = None;
        true
    }

    pub(super) fn send_heartbeats(&mut self, rest: bool) {
        let context = self.reads.back().map_or(0, |read| read.context);
        let commit = self.log.commit();
        let peers: Vec<_> = self.progress.iter().map(|(member, peer)| (*member, peer.matched.min(commit))).collect();
        for (member, commit) in peers {
            self.send(member, Body::Heartbeat { commit, context, rest });
        }
    }

    pub(super) fn has_to_send(&self) -> bool {
        self.is_leader() && self.progress.values().any(|peer| self.wants(peer))
    }

    /// Whether a member lacks something that may be sent now.
    fn wants(&self, peer: &Progress) -> bool {
        let behind = peer.next <= self.log.last_index();
        match peer.state {
            Sending::Probe { waiting } => !waiting,
            Sending::Replicate(_) => behind && !peer.paused() || peer.told < self.log.commit(),
            Sending::Snapshot { .. } => false,
        }
    }

    /// Sends everybody what it lacks.
    pub(super) fn fill_all(&mut self) {
        if self.is_leader() {
            let members: Vec<u8> = self.progress.keys().copied().collect();
            members.into_iter().for_each(|member| self.fill(member));
        }
    }

    fn fill(&mut self, member: u8) {
        while let Some(peer) = self.progress.get(&member).filter(|peer| self.wants(peer)) {
            if self.log.term(peer.next - 1).is_none() {
                // Only to members that are there; the others are asked again after their first sign of life.
                if peer.active && !self.snapshots.contains(&member) {
                    self.snapshots.push(member);
                }
                if let Some(peer) = self.progress.get_mut(&member) {
                    peer.state = Sending::Probe { waiting: true };
                }
                return;
            }
            let entries = if peer.paused() { Vec::new() } else { self.log.batch(peer.next, MAX_MESSAGE) };
            let ask = matches!(peer.state, Sending::Probe { .. });
            self.send_append(member, entries, ask);
        }
    }

    fn send_append(&mut self, member: u8, entries: Vec<Entry<P>>, ask: bool) {
        let commit = self.log.commit();
        let Some(peer) = self.progress.get_mut(&member) else { return };
        let Some(term) = self.log.term(peer.next - 1) else { return };
        let after = Mark { index: peer.next - 1, term };
        match entries.last() {
            Some(last) => peer.sent(last.index),
            None if ask && !matches!(peer.state, Sending::Replicate(_)) => peer.sent(after.index),
            None => {}
        }
        peer.told = commit;
        self.send(member, Body::Append(Box::new(Append { after, commit, ask, entries: entries.into() })));
    }

    fn offer(&mut self, to: u8) {
        if self.progress.get(&to).is_some_and(|peer| peer.matched == self.log.last_index()) {
            self.send(to, Body::TimeoutNow);
        }
    }

    fn quorum_answers(&mut self, from: u8, context: u64) {
        let Some(place) = self.reads.iter().position(|read| read.context == context) else { return };
        let read = &mut self.reads[place];
        if !read.answered.contains(&from) {
            read.answered.push(from);
        }
        let answered = &self.reads[place].answered;
        if self.config.majority(|voter| answered.contains(&voter)) {
            let done: Vec<_> = self.reads.drain(..=place).collect();
            done.into_iter().for_each(|read| self.confirm(read.from, read.context, read.index));
        }
    }

    fn confirm(&mut self, from: u8, context: u64, index: u64) {
        if from == self.me {
            self.confirmed.push((context, index));
        } else {
            self.send(from, Body::ReadIndexReply { context, index });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::pace::{Clock, Pace};
    use super::super::{Config, HardState, Log, Message};
    use super::*;
    use crate::kernel::{Instant, Seed};

    fn at(pace: &Pace) -> Moment<'_> {
        Moment { now: Instant::START + Duration::from_secs(3), seed: Seed(1), pace, calm: false }
    }

    /// The leader of term 3 of three members, whose log has two entries of term 1 that nobody has committed.
    fn leader() -> Raft<u64, ()> {
        let pace = Pace::default();
        let entry = |index| Entry { index, term: 1, change: None, data: Some(0) };
        let log = Log::recovered(Mark::default(), [entry(1), entry(2)].into(), 0, 0);
        let hard = HardState { term: 2, vote: None, commit: 0 };
        let clock = Clock::new(Instant::START, 0);
        let began = Moment { now: Instant::START, ..at(&pace) };
        let mut raft = Raft::new(0, hard, log, Config::of(3), clock, began);
        raft.tick(at(&pace));
        raft.step(1, Message { term: 3, body: Body::VoteReply { pre: true, granted: true } }, at(&pace));
        persist(&mut raft);
        assert_eq!(raft.role(), Role::Candidate, "the own vote is no majority");
        raft.step(2, Message { term: 3, body: Body::VoteReply { pre: false, granted: true } }, at(&pace));
        persist(&mut raft);
        assert_eq!((raft.role(), raft.term(), raft.log().last_index()), (Role::Leader, 3, 3));
        raft
    }

    fn persist(raft: &mut Raft<u64, ()>) -> Vec<Entry<u64>> {
        let ready = raft.ready();
        raft.advance(ready.saved(), at(&Pace::default()));
        ready.entries
    }

    fn acknowledge(raft: &mut Raft<u64, ()>, from: u8, index: u64) {
        let message = Message { term: 3, body: Body::AppendReply { index, refused: None } };
        raft.step(from, message, at(&Pace::default()));
    }

    /// Figure 8 of the Raft paper: another leader could still overwrite it.
    #[test]
    fn an_entry_of_an_earlier_term_is_committed_only_together_with_one_of_this_term() {
        let mut raft = leader();
        acknowledge(&mut raft, 1, 2);
        acknowledge(&mut raft, 2, 2);
        assert_eq!(raft.log().commit(), 0);
        acknowledge(&mut raft, 1, 3);
        assert_eq!(raft.log().commit(), 3);
    }

    #[test]
    fn a_second_change_of_members_waits_for_the_first_to_be_applied() {
        let mut raft = leader();
        let changes = |entries: Vec<Entry<u64>>| -> Vec<bool> { entries.iter().map(|e| e.change.is_some()).collect() };
        raft.propose(Some(Change::Learner(7)), Some(0)).unwrap();
        assert_eq!(changes(persist(&mut raft)), [false], "what is in the log from before may be a change");
        acknowledge(&mut raft, 1, 4);
        raft.applied(4);
        raft.propose(Some(Change::Learner(7)), Some(0)).unwrap();
        raft.propose(Some(Change::Learner(8)), Some(0)).unwrap();
        assert_eq!(changes(persist(&mut raft)), [true, false]);
    }

    #[test]
    fn a_leader_that_hears_of_no_majority_steps_down() {
        let pace = Pace::default();
        let mut raft = leader();
        let later = |s| Moment { now: Instant::START + Duration::from_secs(s), ..at(&pace) };
        raft.tick(later(5));
        assert!(raft.is_leader(), "everybody counts as heard of when it begins");
        raft.tick(later(7));
        assert_eq!((raft.role(), raft.leader()), (Role::Follower, None));
    }
}
