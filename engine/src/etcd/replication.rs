//! The replicated log: how a proposal comes to be committed.
//!
//! A state machine without time, disk or network: proposals and messages go in, and [`Replication::ready`] tells what
//! is to be done: persist entries, send messages, apply what is committed. As in etcd the caller finishes one
//! [`Ready`] (its fsync included) before it asks for the next. Therefore entries that arrive during an fsync share the
//! next one, and a leader with a slow disk delays commits its followers have long acknowledged, and linearizable reads
//! too.
//!
//! Models: raft v3.6 raft.go, node.go (Ready/Advance); etcd v3.6 server/etcdserver/raft.go.
//! Left out, and to come with Raft behind the same methods: elections and terms (member 0 leads), resending what a cut
//! link lost, telling followers what is committed, heartbeats other than those of reads, snapshots.

use std::collections::VecDeque;
use std::sync::Arc;

use super::request::{Proposal, Value};

/// One entry of the log.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry<V> {
    /// Its place, from 1.
    pub index: u64,
    /// What it changes.
    pub proposal: Arc<Proposal<V>>,
}

/// A message between members.
#[derive(Clone, Debug, PartialEq)]
pub enum PeerMessage<V> {
    /// The leader's new entries (MsgApp).
    Append(Arc<[Entry<V>]>),
    /// A follower has persisted everything up to this index (MsgAppResp).
    AppendAck(u64),
    /// The leader asks whether it still leads, for a read (MsgHeartbeat with a context).
    Heartbeat(u64),
    /// It does (MsgHeartbeatResp).
    HeartbeatAck(u64),
}

/// What is to be done before the next step of the log.
#[derive(Clone, Debug)]
pub struct Ready<V> {
    /// Messages; a leader sends them before its fsync, a follower after.
    pub messages: Vec<(u8, PeerMessage<V>)>,
    /// Entries to persist: how many, and their bytes.
    pub persist: Option<(usize, usize)>,
    /// Entries committed, to be applied in order.
    pub committed: Vec<Entry<V>>,
    /// The last read confirmed: its context, and the index that must be applied before it is answered.
    pub read: Option<(u64, u64)>,
}

/// One member's view of the log.
#[derive(Clone, Debug)]
pub struct Replication<V> {
    me: u8,
    members: u8,
    /// Last entry appended, persisted or not.
    last: u64,
    commit: u64,
    /// Up to where each member is known to have persisted; the own value counts once [`Self::advance`] is called.
    persisted: Vec<u64>,
    /// Entries not yet handed out for persisting; they lie at the end of `uncommitted`.
    unstable: usize,
    /// Bytes of those.
    unstable_bytes: usize,
    /// Entries after the last one handed out as committed (leader only).
    uncommitted: VecDeque<Entry<V>>,
    messages: Vec<(u8, PeerMessage<V>)>,
    /// The read being confirmed: context, index, who has answered.
    reading: Option<(u64, u64, Vec<bool>)>,
    confirmed: Option<(u64, u64)>,
}

impl<V: Value> Replication<V> {
    /// The log of member `me` of `members` after the cluster has formed: one entry per member that joined, the leader's
    /// first, one per member that published its name, and the cluster's version.
    pub fn new(me: u8, members: u8) -> Self {
        let members = members.max(1);
        let formed = 2 * u64::from(members) + 2;
        Replication {
            me,
            members,
            last: formed,
            commit: formed,
            persisted: vec![formed; usize::from(members)],
            unstable: 0,
            unstable_bytes: 0,
            uncommitted: VecDeque::new(),
            messages: Vec::new(),
            reading: None,
            confirmed: None,
        }
    }

    /// Who leads.
    pub fn leader(&self) -> u8 {
        0
    }

    /// Whether this member leads.
    pub fn is_leader(&self) -> bool {
        self.me == self.leader()
    }

    /// The Raft term; the first election makes it 2.
    pub fn term(&self) -> u64 {
        2
    }

    /// Last entry known to be committed.
    pub fn commit(&self) -> u64 {
        self.commit
    }

    /// Last entry appended.
    pub fn last_index(&self) -> u64 {
        self.last
    }

    /// Last entry on this member's disk.
    pub fn persisted(&self) -> u64 {
        self.persisted[usize::from(self.me)]
    }

    /// Appends a proposal to the leader's log; the answer is its index.
    pub fn propose(&mut self, proposal: Arc<Proposal<V>>) -> u64 {
        debug_assert!(self.is_leader(), "only the leader proposes");
        self.append(Entry { index: self.last + 1, proposal });
        self.last
    }

    /// Asks for the quorum's word that the leader still leads; `context` names the reads that wait for it. One at a
    /// time.
    pub fn read_index(&mut self, context: u64) {
        if self.members == 1 {
            self.confirmed = Some((context, self.commit));
            return;
        }
        let mut answered = vec![false; usize::from(self.members)];
        answered[usize::from(self.me)] = true;
        self.reading = Some((context, self.commit, answered));
        for peer in self.peers() {
            self.messages.push((peer, PeerMessage::Heartbeat(context)));
        }
    }

    /// Takes a message from another member.
    pub fn step(&mut self, from: u8, message: PeerMessage<V>) {
        match message {
            PeerMessage::Append(entries) => {
                // A gap means that a message was lost; what comes after it is of no use before Raft fills it.
                let fits = entries.first().is_some_and(|first| first.index == self.last + 1);
                if fits {
                    entries.iter().for_each(|entry| self.append(entry.clone()));
                }
            }
            PeerMessage::AppendAck(index) => {
                if let Some(persisted) = self.persisted.get_mut(usize::from(from)) {
                    *persisted = index.max(*persisted);
                    self.count_votes();
                }
            }
            PeerMessage::Heartbeat(context) => self.messages.push((from, PeerMessage::HeartbeatAck(context))),
            PeerMessage::HeartbeatAck(context) => self.confirm(from, context),
        }
    }

    /// Whether [`Self::ready`] would have something.
    pub fn has_ready(&self) -> bool {
        let committed = self.uncommitted.front().is_some_and(|entry| self.is_leader() && entry.index <= self.commit);
        self.unstable > 0 || !self.messages.is_empty() || committed || self.confirmed.is_some()
    }

    /// What is to be done now. [`Self::advance`] must be called when it is done.
    pub fn ready(&mut self) -> Ready<V> {
        let persist = (self.unstable > 0).then_some((self.unstable, self.unstable_bytes));
        let mut messages = std::mem::take(&mut self.messages);
        if self.unstable > 0 {
            let fresh = self.uncommitted.range(self.uncommitted.len() - self.unstable..).cloned();
            if !self.is_leader() {
                messages.push((self.leader(), PeerMessage::AppendAck(self.last)));
            } else if self.members > 1 {
                let entries: Arc<[Entry<V>]> = fresh.collect();
                messages.extend(self.peers().map(|peer| (peer, PeerMessage::Append(entries.clone()))));
            }
        }
        (self.unstable, self.unstable_bytes) = (0, 0);
        if !self.is_leader() {
            // A follower holds no store yet, so it has no use for the entries.
            self.uncommitted.clear();
        }
        let done = self.uncommitted.partition_point(|entry| entry.index <= self.commit);
        let committed = self.uncommitted.drain(..done).collect();
        Ready { messages, persist, committed, read: self.confirmed.take() }
    }

    /// The last [`Ready`] is done; `persisted` is the last index on this member's disk.
    pub fn advance(&mut self, persisted: u64) {
        self.persisted[usize::from(self.me)] = persisted;
        if self.is_leader() {
            self.count_votes();
        }
    }

    fn append(&mut self, entry: Entry<V>) {
        self.last = entry.index;
        self.unstable += 1;
        self.unstable_bytes += entry.proposal.size();
        self.uncommitted.push_back(entry);
    }

    fn peers(&self) -> impl Iterator<Item = u8> + use<V> {
        let me = self.me;
        (0..self.members).filter(move |peer| *peer != me)
    }

    fn quorum(&self) -> usize {
        usize::from(self.members) / 2 + 1
    }

    /// The commit index is the highest that a majority has persisted.
    fn count_votes(&mut self) {
        let mut persisted = self.persisted.clone();
        persisted.sort_unstable_by_key(|index| std::cmp::Reverse(*index));
        self.commit = persisted[self.quorum() - 1].max(self.commit);
    }

    fn confirm(&mut self, from: u8, context: u64) {
        let quorum = self.quorum();
        let Some((waiting, index, answered)) = &mut self.reading else { return };
        let Some(answer) = answered.get_mut(usize::from(from)) else { return };
        if *waiting != context {
            return;
        }
        *answer = true;
        if answered.iter().filter(|answered| **answered).count() >= quorum {
            self.confirmed = Some((context, *index));
            self.reading = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leader(members: u8) -> Replication<String> {
        Replication::new(0, members)
    }

    fn proposal() -> Arc<Proposal<String>> {
        Arc::new(Proposal::Compact(1))
    }

    #[test]
    fn a_single_member_commits_what_it_has_persisted() {
        let mut log = leader(1);
        let index = log.propose(proposal());
        let ready = log.ready();
        assert_eq!((index, ready.persist.map(|(entries, _)| entries), ready.committed.len()), (5, Some(1), 0));
        log.advance(index);
        assert_eq!(log.ready().committed.len(), 1);
        assert!(!log.has_ready());
    }

    #[test]
    fn a_majority_commits_and_a_minority_does_not() {
        for (members, needed) in [(3, 1), (5, 2)] {
            let mut log = leader(members);
            let index = log.propose(proposal());
            let ready = log.ready();
            assert_eq!(ready.messages.len(), usize::from(members) - 1);
            log.advance(index);
            for peer in 1..=needed {
                assert!(log.commit() < index, "{members} members, {peer} acknowledged");
                log.step(peer, PeerMessage::AppendAck(index));
                log.step(peer, PeerMessage::AppendAck(index));
            }
            assert_eq!(log.commit(), index);
        }
    }

    #[test]
    fn followers_commit_without_the_leader_s_disk_but_the_entry_waits_for_its_ready() {
        let mut log = leader(3);
        let index = log.propose(proposal());
        log.ready();
        log.step(1, PeerMessage::AppendAck(index));
        log.step(2, PeerMessage::AppendAck(index));
        assert_eq!(log.commit(), index);
    }

    #[test]
    fn a_follower_acknowledges_all_it_persisted_with_one_message_and_skips_after_a_gap() {
        let mut follower = Replication::<String>::new(1, 3);
        let entry = |index| Entry { index, proposal: proposal() };
        follower.step(0, PeerMessage::Append([entry(9)].into()));
        follower.step(0, PeerMessage::Append([entry(10), entry(11)].into()));
        follower.step(0, PeerMessage::Append([entry(13)].into()));
        let ready = follower.ready();
        assert_eq!(ready.messages, [(0, PeerMessage::AppendAck(11))]);
        assert_eq!(ready.persist.map(|(entries, _)| entries), Some(3));
    }

    #[test]
    fn a_read_needs_a_quorum_of_answers_and_waits_for_what_was_committed() {
        let mut log = leader(5);
        log.read_index(1);
        assert_eq!(log.ready().messages.len(), 4);
        for (peer, context) in [(1, 1), (1, 1), (2, 0)] {
            log.step(peer, PeerMessage::HeartbeatAck(context));
            assert!(!log.has_ready());
        }
        log.step(3, PeerMessage::HeartbeatAck(1));
        assert_eq!(log.ready().read, Some((1, 12)));
        let mut single = leader(1);
        single.read_index(7);
        assert_eq!(single.ready().read, Some((7, 4)));
    }
}
