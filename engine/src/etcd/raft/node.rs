//! A member of Raft: its state, and what goes in and comes out.
//!
//! Models: raft v3.6 raft.go (`Step`), rawnode.go (`Ready`, `Advance`). As in etcd the caller finishes one [`Ready`]
//! (its fsync included) before it asks for the next; what arrives meanwhile shares the next one.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::pace::{Clock, Moment};
use super::progress::Progress;
use super::{Body, Change, Config, Entry, HardState, Log, Mark, Message, Payload, Snapshot};

/// What part a member plays.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// It takes entries from a leader, or waits for one.
    Follower,
    /// It asks whether it would win an election.
    PreCandidate,
    /// It asks for votes.
    Candidate,
    /// It appends entries and sends them to the others.
    Leader,
}

/// One member's state.
#[derive(Clone, Debug)]
pub struct Raft<P, S> {
    pub(super) me: u8,
    pub(super) term: u64,
    pub(super) vote: Option<u8>,
    pub(super) role: Role,
    pub(super) leader: Option<u8>,
    pub(super) config: Config,
    pub(super) log: Log<P>,
    pub(super) clock: Clock,
    /// Last entry the state machine has applied.
    pub(super) applied: u64,
    /// A leader's view of the others.
    pub(super) progress: BTreeMap<u8, Progress>,
    /// The votes that have come in.
    pub(super) votes: BTreeMap<u8, bool>,
    /// A leader's reads that wait for the quorum's word, oldest first.
    pub(super) reads: VecDeque<ReadWaiting>,
    /// Reads that came before the leader committed an entry of its term: who asks, and the context.
    pub(super) early_reads: Vec<(u8, u64)>,
    /// To whom a leader hands over, and since when.
    pub(super) transfer: Option<(u8, crate::kernel::Instant)>,
    /// Where a leader's last change of members stands in the log.
    pub(super) pending_change: u64,
    /// Messages; a leader's leave at once.
    pub(super) messages: Vec<(u8, Message<P, S>)>,
    /// Messages that answer for what must be on disk first.
    pub(super) answers: Vec<(u8, Message<P, S>)>,
    /// One acknowledgement for all entries that came since the last [`Ready`].
    pub(super) acknowledge: Option<(u8, u64)>,
    pub(super) confirmed: Vec<(u64, u64)>,
    pub(super) snapshots: Vec<u8>,
    pub(super) restore: Option<Arc<Snapshot<S>>>,
    /// What the last [`Ready`] gave out to be saved.
    saved: HardState,
}

/// A read that waits for a quorum of heartbeats.
#[derive(Clone, Debug)]
pub(super) struct ReadWaiting {
    pub(super) context: u64,
    pub(super) from: u8,
    pub(super) index: u64,
    pub(super) answered: Vec<u8>,
}

/// What is to be done now.
#[derive(Clone, Debug)]
pub struct Ready<P, S> {
    /// Messages that leave at once.
    pub messages: Vec<(u8, Message<P, S>)>,
    /// Messages that leave when everything below is on disk.
    pub answers: Vec<(u8, Message<P, S>)>,
    /// What is to be saved.
    pub hard: HardState,
    /// Whether saving needs an fsync; it does not if only the commit index rose.
    pub sync: bool,
    /// Entries to be saved, in order; they replace what is saved from the first one's index on.
    pub entries: Vec<Entry<P>>,
    /// A state that replaces log and state machine.
    pub snapshot: Option<Arc<Snapshot<S>>>,
    /// Entries to be applied, in order.
    pub committed: Vec<Entry<P>>,
    /// Reads that are confirmed: the context, and the index that must be applied before.
    pub reads: Vec<(u64, u64)>,
    /// Members that need the whole state: [`Raft::send_snapshot`].
    pub snapshots: Vec<u8>,
}

/// What a [`Ready`] had saved.
#[derive(Clone, Copy, Debug)]
pub struct Saved {
    /// The term and vote.
    pub hard: HardState,
    /// The last entry.
    pub last: Mark,
}

impl<P, S> Ready<P, S> {
    /// What [`Raft::advance`] wants to know.
    pub fn saved(&self) -> Saved {
        let entry = self.entries.last().map(|entry| Mark { index: entry.index, term: entry.term });
        let last = entry.or(self.snapshot.as_ref().map(|snapshot| snapshot.mark)).unwrap_or_default();
        Saved { hard: self.hard, last }
    }
}

impl<P: Payload, S: Clone> Raft<P, S> {
    /// A member that starts with what it has on disk; `applied` is its state machine's. It follows nobody yet.
    pub fn new(me: u8, hard: HardState, log: Log<P>, config: Config, clock: Clock, at: Moment) -> Self {
        let mut raft = Raft {
            me,
            term: hard.term,
            vote: hard.vote,
            role: Role::Follower,
            leader: None,
            config,
            applied: log.delivered(),
            saved: HardState { commit: log.commit(), ..hard },
            log,
            clock,
            progress: BTreeMap::new(),
            votes: BTreeMap::new(),
            reads: VecDeque::new(),
            early_reads: Vec::new(),
            transfer: None,
            pending_change: 0,
            messages: Vec::new(),
            answers: Vec::new(),
            acknowledge: None,
            confirmed: Vec::new(),
            snapshots: Vec::new(),
            restore: None,
        };
        raft.clock.reset(me, at);
        raft
    }

    /// A member of a cluster that has formed: `leader` leads, all agree, heartbeats rest.
    pub fn formed(me: u8, leader: u8, base: Mark, config: Config, at: Moment) -> Self {
        let hard = HardState { term: base.term, vote: Some(leader), commit: base.index };
        let mut raft = Raft::new(me, hard, Log::new(base), config, Clock::new(at.now, 0), at);
        raft.leader = Some(leader);
        if me == leader {
            raft.take_the_lead(at);
            raft.progress.values_mut().for_each(|peer| {
                peer.acknowledged(base.index);
                (peer.active, peer.told) = (true, base.index);
            });
        }
        raft.clock.rest(at);
        raft
    }

    /// This member's number.
    pub fn me(&self) -> u8 {
        self.me
    }

    /// The term.
    pub fn term(&self) -> u64 {
        self.term
    }

    /// Who leads, as far as this member knows.
    pub fn leader(&self) -> Option<u8> {
        self.leader
    }

    /// What part it plays.
    pub fn role(&self) -> Role {
        self.role
    }

    /// Whether it leads.
    pub fn is_leader(&self) -> bool {
        self.role == Role::Leader
    }

    /// The log.
    pub fn log(&self) -> &Log<P> {
        &self.log
    }

    /// The members as of the last change applied.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The clock.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// What a leader knows of another member.
    pub fn progress(&self, member: u8) -> Option<&Progress> {
        self.progress.get(&member)
    }

    /// Takes a message from another member.
    pub fn step(&mut self, from: u8, message: Message<P, S>, at: Moment) {
        let Message { term, body } = message;
        match body {
            Body::Propose { change, data } => {
                // One that cannot be appended or passed on is lost.
                let _ = self.propose(change, data);
                return;
            }
            Body::ReadIndex(context) => return self.read_for(from, context),
            _ => {}
        }
        if term > self.term && !self.rise(from, term, &body, at) {
            return;
        }
        if term < self.term {
            return self.put_right(from, &body);
        }
        match body {
            Body::Vote(ballot) => self.answer_ballot(from, term, *ballot, at),
            Body::VoteReply { pre, granted } => self.count(from, pre, granted, at),
            Body::Append(append) => {
                self.follow(from, at);
                self.take_entries(from, *append);
            }
            Body::Heartbeat { commit, context, rest } => {
                self.follow(from, at);
                self.log.commit_to(commit);
                if rest {
                    self.clock.rest(at);
                }
                self.send(from, Body::HeartbeatReply { context });
            }
            Body::Snapshot(snapshot) => {
                self.follow(from, at);
                self.take_snapshot(from, snapshot);
            }
            Body::AppendReply { index, refused } => self.hear(from, index, refused),
            Body::HeartbeatReply { context } => self.hear_beat(from, context, at),
            Body::ReadIndexReply { context, index } => self.confirmed.push((context, index)),
            Body::TimeoutNow => {
                if self.promotable() {
                    self.campaign(true, at);
                }
            }
            Body::Propose { .. } | Body::ReadIndex(_) => {}
        }
    }

    /// Whether [`Self::ready`] would have something.
    pub fn has_ready(&self) -> bool {
        let hard = self.hard();
        hard != self.saved
            || self.log.unpersisted()
            || self.log.deliverable()
            || !(self.messages.is_empty() && self.answers.is_empty() && self.snapshots.is_empty())
            || self.acknowledge.is_some()
            || self.restore.is_some()
            || !self.confirmed.is_empty()
            || self.has_to_send()
    }

    /// What is to be done now. [`Self::advance`] must be called when it is done.
    pub fn ready(&mut self) -> Ready<P, S> {
        self.fill_all();
        if let Some((to, index)) = self.acknowledge.take() {
            let message = Message { term: self.term, body: Body::AppendReply { index, refused: None } };
            self.answers.push((to, message));
        }
        let hard = self.hard();
        let (snapshot, entries) = (self.restore.take(), self.log.persist());
        let term_or_vote = (hard.term, hard.vote) != (self.saved.term, self.saved.vote);
        let sync = term_or_vote || !entries.is_empty() || snapshot.is_some();
        self.saved = hard;
        let (mut messages, mut answers) = (std::mem::take(&mut self.messages), std::mem::take(&mut self.answers));
        if !self.is_leader() {
            messages.append(&mut answers);
            std::mem::swap(&mut messages, &mut answers);
        }
        Ready {
            messages,
            answers,
            hard,
            sync,
            entries,
            snapshot,
            committed: self.log.deliver(),
            reads: std::mem::take(&mut self.confirmed),
            snapshots: std::mem::take(&mut self.snapshots),
        }
    }

    /// The last [`Ready`] is done: what it gave out is on disk.
    pub fn advance(&mut self, saved: Saved, at: Moment) {
        if saved.last.index > 0 {
            self.log.persisted(saved.last);
        }
        if self.role == Role::Candidate && saved.hard.term == self.term && saved.hard.vote == Some(self.me) {
            self.count(self.me, false, true, at);
        }
        if self.is_leader() {
            self.count_copies();
        }
    }

    /// The state machine has applied everything up to `index`.
    pub fn applied(&mut self, index: u64) {
        self.applied = self.applied.max(index);
    }

    /// A change of the members has been applied.
    pub fn apply_change(&mut self, change: Change, at: Moment) {
        self.config.apply(change);
        // A leader that goes and a member that comes both need heartbeats.
        self.disturb(at);
        if !self.is_leader() {
            return;
        }
        if !self.config.voters.contains(&self.me) {
            return self.become_follower(self.term, None, at);
        }
        self.adopt_config();
        self.count_copies();
    }

    /// Forgets entries that `keep` later ones make unlikely to be asked for.
    pub fn trim(&mut self, keep: u64) {
        self.log.trim(self.applied.saturating_sub(keep));
    }

    fn hard(&self) -> HardState {
        HardState { term: self.term, vote: self.vote, commit: self.log.commit() }
    }

    /// Whether it may ask for votes: it is a voter, and its log is not being replaced.
    pub(super) fn promotable(&self) -> bool {
        self.restore.is_none() && self.config.voters.contains(&self.me)
    }

    pub(super) fn send(&mut self, to: u8, body: Body<P, S>) {
        let message = Message { term: self.term, body };
        self.messages.push((to, message));
    }

    /// A message of a higher term: false if it is to be ignored.
    fn rise(&mut self, from: u8, term: u64, body: &Body<P, S>, at: Moment) -> bool {
        if let Body::Vote(ballot) = body
            && !ballot.transfer
            && self.leader.is_some()
            && (self.is_leader() || self.clock.in_lease(at))
        {
            return false;
        }
        match body {
            Body::Vote(ballot) if ballot.pre => {}
            Body::VoteReply { pre: true, granted: true } => {}
            Body::Append(_) | Body::Heartbeat { .. } | Body::Snapshot(_) => self.become_follower(term, Some(from), at),
            _ => self.become_follower(term, None, at),
        }
        true
    }

    /// A message of a lower term: its sender must learn of this one.
    fn put_right(&mut self, from: u8, body: &Body<P, S>) {
        match body {
            Body::Append(_) | Body::Heartbeat { .. } | Body::Snapshot(_) => {
                self.send(from, Body::AppendReply { index: 0, refused: None });
            }
            Body::Vote(ballot) if ballot.pre => self.send(from, Body::VoteReply { pre: true, granted: false }),
            _ => {}
        }
    }
}
