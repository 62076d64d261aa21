//! How a leader is chosen: first the question whether an election could be won, then the election.
//!
//! Models: raft v3.6 raft.go (`hup`, `campaign`, `stepCandidate`, `becomeLeader`).

use super::node::{Raft, Role};
use super::pace::Moment;
use super::{Ballot, Body, Entry, Message, Payload};

impl<P: Payload, S: Clone> Raft<P, S> {
    /// Asks the others; `transfer` if the leader asked for it, which skips the question before.
    pub(super) fn campaign(&mut self, transfer: bool, at: Moment) {
        if self.is_leader() || self.change_unapplied() {
            return;
        }
        if transfer { self.stand(true, at) } else { self.ask_first(at) }
    }

    /// An own term begins without a leader, or with one.
    pub(super) fn become_follower(&mut self, term: u64, leader: Option<u8>, at: Moment) {
        self.reset(term, at);
        self.role = Role::Follower;
        self.leader = leader;
    }

    /// Somebody of this term leads.
    pub(super) fn follow(&mut self, leader: u8, at: Moment) {
        debug_assert!(self.role != Role::Leader, "two leaders in term {}", self.term);
        if self.role != Role::Follower || self.leader != Some(leader) {
            self.become_follower(self.term, Some(leader), at);
        }
        self.clock.heard(at.now);
    }

    pub(super) fn answer_ballot(&mut self, from: u8, term: u64, ballot: Ballot, at: Moment) {
        let free = match self.vote {
            Some(other) => other == from,
            None => self.leader.is_none(),
        };
        let granted = (free || ballot.pre && term > self.term) && self.log.up_to_date(ballot.last);
        // A granted question is answered in the term it asks for, a denied one in this one.
        let term = if granted { term } else { self.term };
        if granted && !ballot.pre {
            self.vote = Some(from);
            self.clock.heard(at.now);
        }
        let body = Body::VoteReply { pre: ballot.pre, granted };
        self.answers.push((from, Message { term, body }));
    }

    /// A vote has come in.
    pub(super) fn count(&mut self, from: u8, pre: bool, granted: bool, at: Moment) {
        let asked = if pre { Role::PreCandidate } else { Role::Candidate };
        if self.role != asked {
            return;
        }
        self.votes.entry(from).or_insert(granted);
        let says = |answer: bool| self.config.majority(|voter| self.votes.get(&voter) == Some(&answer));
        if says(true) {
            if pre { self.stand(false, at) } else { self.lead(at) }
        } else if self.lost() {
            self.become_follower(self.term, None, at);
        }
    }

    /// Whether so many have said no that the rest is no majority.
    fn lost(&self) -> bool {
        !self.config.majority(|voter| self.votes.get(&voter) != Some(&false))
    }

    fn ask_first(&mut self, at: Moment) {
        self.role = Role::PreCandidate;
        self.leader = None;
        self.votes.clear();
        self.send_ballots(self.term + 1, true, false);
        self.count(self.me, true, true, at);
    }

    fn stand(&mut self, transfer: bool, at: Moment) {
        self.reset(self.term + 1, at);
        self.role = Role::Candidate;
        self.vote = Some(self.me);
        // The own vote counts once it is on disk.
        self.send_ballots(self.term, false, transfer);
    }

    fn send_ballots(&mut self, term: u64, pre: bool, transfer: bool) {
        let ballot = Ballot { last: self.log.last(), pre, transfer };
        let others: Vec<u8> = self.config.voters.iter().copied().filter(|voter| *voter != self.me).collect();
        for voter in others {
            self.messages.push((voter, Message { term, body: Body::Vote(Box::new(ballot)) }));
        }
    }

    fn lead(&mut self, at: Moment) {
        self.reset(self.term, at);
        self.take_the_lead(at);
        self.pending_change = self.log.last_index();
        let index = self.log.last_index() + 1;
        self.log.push(Entry { index, term: self.term, change: None, data: None });
    }

    pub(super) fn take_the_lead(&mut self, at: Moment) {
        self.role = Role::Leader;
        self.leader = Some(self.me);
        self.clock.lead(at);
        self.adopt_config();
        self.all_active();
    }

    /// Whether a change of the members is committed but not applied: who may vote is not known then.
    fn change_unapplied(&self) -> bool {
        let commit = self.log.commit();
        self.log.from(self.applied + 1).take_while(|entry| entry.index <= commit).any(|entry| entry.change.is_some())
    }

    fn reset(&mut self, term: u64, at: Moment) {
        if term != self.term {
            (self.term, self.vote) = (term, None);
        }
        self.leader = None;
        self.clock.reset(self.me, at);
        self.votes.clear();
        self.progress.clear();
        self.reads.clear();
        self.early_reads.clear();
        (self.transfer, self.acknowledge, self.pending_change) = (None, None, 0);
        self.snapshots.clear();
    }
}
