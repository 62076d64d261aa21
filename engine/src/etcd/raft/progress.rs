//! What a leader knows of another member's log.
//!
//! *Probe*: one message at a time until the logs are known to agree. *Replicate*: messages follow each other without
//! waiting. *Snapshot*: the log does not reach back far enough, the whole state is under way.
//!
//! Models: raft v3.6 tracker/progress.go, inflights.go.

use std::collections::VecDeque;

use crate::kernel::Instant;

/// Most messages with entries under way to one member. – constant; etcd: maxInflightMsgs, 512.
const MAX_INFLIGHT: usize = 512;

/// A leader's view of one member.
#[derive(Clone, Debug)]
pub struct Progress {
    /// Up to here its log is known to be the leader's, and on its disk.
    pub matched: u64,
    /// The next entry to send.
    pub next: u64,
    /// How entries are sent.
    pub state: Sending,
    /// Whether it was heard of since the leader last looked for its quorum.
    pub active: bool,
    /// The commit index it was last told.
    pub told: u64,
}

/// How entries are sent.
#[derive(Clone, Debug)]
pub enum Sending {
    /// One message, then its answer.
    Probe {
        /// The message is out.
        waiting: bool,
    },
    /// A stream; the last indexes of the messages under way.
    Replicate(VecDeque<u64>),
    /// The state at this index is under way.
    Snapshot {
        /// The index.
        index: u64,
        /// Since when.
        since: Instant,
    },
}

impl Progress {
    /// Nothing is known but where the leader's log ends.
    pub fn new(next: u64) -> Self {
        Progress { matched: 0, next, state: Sending::Probe { waiting: false }, active: false, told: 0 }
    }

    /// Whether no entries may be sent now.
    pub fn paused(&self) -> bool {
        match &self.state {
            Sending::Probe { waiting } => *waiting,
            Sending::Replicate(inflight) => inflight.len() >= MAX_INFLIGHT,
            Sending::Snapshot { .. } => true,
        }
    }

    /// A message with entries up to `last` has been sent.
    pub fn sent(&mut self, last: u64) {
        match &mut self.state {
            Sending::Probe { waiting } => *waiting = true,
            Sending::Replicate(inflight) => {
                inflight.push_back(last);
                self.next = last + 1;
            }
            Sending::Snapshot { .. } => {}
        }
    }

    /// Everything up to `index` has arrived; true if that is news.
    pub fn acknowledged(&mut self, index: u64) -> bool {
        let news = index > self.matched;
        self.matched = self.matched.max(index);
        self.next = self.next.max(index + 1);
        match &mut self.state {
            Sending::Replicate(inflight) => {
                while inflight.front().is_some_and(|last| *last <= index) {
                    inflight.pop_front();
                }
            }
            Sending::Probe { .. } => self.state = Sending::Replicate(VecDeque::new()),
            Sending::Snapshot { index: awaited, .. } if index >= *awaited => {
                self.state = Sending::Replicate(VecDeque::new());
            }
            Sending::Snapshot { .. } => {}
        }
        news
    }

    /// Entry `refused` did not fit; the logs may agree at `hint`. False if the refusal is out of date.
    pub fn refused(&mut self, refused: u64, hint: u64) -> bool {
        let stale = match self.state {
            Sending::Replicate(_) => refused <= self.matched,
            Sending::Probe { .. } => self.next != refused + 1,
            Sending::Snapshot { .. } => true,
        };
        if stale {
            return false;
        }
        self.next = match self.state {
            Sending::Replicate(_) => self.matched + 1,
            _ => refused.min(hint + 1).max(self.matched + 1),
        };
        self.state = Sending::Probe { waiting: false };
        true
    }

    /// What was under way is lost, or may be.
    pub fn probe(&mut self) {
        self.next = self.matched + 1;
        self.state = Sending::Probe { waiting: false };
    }

    /// The state at `index` is on its way.
    pub fn snapshot_sent(&mut self, index: u64, since: Instant) {
        self.state = Sending::Snapshot { index, since };
        self.next = index + 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_probe_sends_one_message_and_an_answer_opens_the_stream() {
        let mut peer = Progress::new(10);
        peer.sent(12);
        assert!(peer.paused() && peer.next == 10);
        assert!(peer.acknowledged(12));
        peer.sent(13);
        peer.sent(14);
        assert!(!peer.paused() && peer.next == 15);
        assert!(!peer.acknowledged(12), "known already");
    }

    #[test]
    fn a_stream_stops_when_too_much_is_under_way() {
        let mut peer = Progress::new(1);
        peer.acknowledged(0);
        (1..=512).for_each(|last| peer.sent(last));
        assert!(peer.paused());
        peer.acknowledged(1);
        assert!(!peer.paused());
    }

    #[test]
    fn a_refusal_goes_back_and_an_old_one_is_ignored() {
        let mut peer = Progress::new(10);
        peer.sent(9);
        assert!(!peer.refused(7, 3));
        assert!(peer.refused(9, 3));
        assert_eq!(peer.next, 4);
        peer.acknowledged(5);
        peer.sent(9);
        assert!(peer.refused(9, 7));
        assert_eq!(peer.next, 6, "what is known to match is not sent again");
    }
}
