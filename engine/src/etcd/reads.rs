//! Linearizable reads that wait for the quorum's word.
//!
//! One round at a time: what arrives during a round shares the next one. A confirmed round waits until what was
//! committed when it began has been applied. A round that is not confirmed within half a second asks again, and one
//! that takes as long as a request may ends with an error.
//!
//! Models: etcd v3.6 server/etcdserver/v3_server.go (`linearizableReadLoop`, `requestCurrentIndex`).

use crate::kernel::{Duration, Instant};

/// Reads of type `R` on their way.
#[derive(Clone, Debug)]
pub struct Reads<R> {
    /// They go into the next round.
    waiting: Vec<R>,
    /// They are in the round under way.
    round: Vec<R>,
    /// The round's name; answers to earlier ones do not count.
    context: u64,
    /// When the round began, and when it asks again.
    began: Instant,
    retry: Instant,
    /// What must be applied before the round is answered, once it is confirmed.
    needed: Option<u64>,
}

/// What became of a round that was looked after.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Overdue {
    /// Nothing is due.
    No,
    /// It asks again, under this name.
    Again(u64),
    /// It took too long.
    Failed,
}

impl<R> Reads<R> {
    /// None yet; the rounds of `member` have names nobody else gives.
    pub fn new(member: u8) -> Self {
        Reads {
            waiting: Vec::new(),
            round: Vec::new(),
            context: u64::from(member) << 56,
            began: Instant::START,
            retry: Instant::NEVER,
            needed: None,
        }
    }

    /// A read has arrived.
    pub fn push(&mut self, read: R) {
        self.waiting.push(read);
    }

    /// Begins a round if there is something to ask for and none is under way; the answer is its name.
    pub fn begin(&mut self, now: Instant, retry: Duration) -> Option<u64> {
        if self.waiting.is_empty() || !self.round.is_empty() {
            return None;
        }
        std::mem::swap(&mut self.waiting, &mut self.round);
        self.context += 1;
        (self.began, self.retry) = (now, now + retry);
        Some(self.context)
    }

    /// The quorum has confirmed the round `context`, as of log index `index`.
    pub fn confirm(&mut self, context: u64, index: u64) {
        if context == self.context && !self.round.is_empty() && self.needed.is_none() {
            (self.needed, self.retry) = (Some(index), Instant::NEVER);
        }
    }

    /// The reads that may be answered now that everything up to `applied` is applied.
    pub fn release(&mut self, applied: u64) -> Vec<R> {
        if self.needed.is_none_or(|needed| needed > applied) {
            return Vec::new();
        }
        self.fail()
    }

    /// When [`Self::overdue`] is next of use.
    pub fn deadline(&self) -> Option<Instant> {
        (self.retry < Instant::NEVER).then_some(self.retry)
    }

    /// Looks after a round that is not confirmed.
    pub fn overdue(&mut self, now: Instant, retry: Duration, timeout: Duration) -> Overdue {
        if now < self.retry {
            return Overdue::No;
        }
        if now >= self.began + timeout {
            return Overdue::Failed;
        }
        self.retry = (now + retry).min(self.began + timeout);
        Overdue::Again(self.context)
    }

    /// Whether a round waits for the quorum's word.
    pub fn unconfirmed(&self) -> bool {
        !self.round.is_empty() && self.needed.is_none()
    }

    /// Ends the round; these were in it.
    pub fn fail(&mut self) -> Vec<R> {
        (self.needed, self.retry) = (None, Instant::NEVER);
        std::mem::take(&mut self.round)
    }

    /// Forgets all; these were on their way.
    pub fn clear(&mut self) -> Vec<R> {
        let mut all = self.fail();
        all.append(&mut self.waiting);
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RETRY: Duration = Duration::from_millis(500);
    const TIMEOUT: Duration = Duration::from_millis(1_200);

    fn at(ms: u64) -> Instant {
        Instant::START + Duration::from_millis(ms)
    }

    #[test]
    fn reads_that_arrive_during_a_round_share_the_next() {
        let mut reads = Reads::new(0);
        reads.push('a');
        assert_eq!(reads.begin(at(0), RETRY), Some(1));
        reads.push('b');
        reads.push('c');
        assert_eq!(reads.begin(at(0), RETRY), None);
        reads.confirm(1, 5);
        assert_eq!(reads.release(4), [], "not yet applied");
        assert_eq!(reads.release(5), ['a']);
        assert_eq!(reads.begin(at(0), RETRY), Some(2));
        reads.confirm(1, 5);
        assert_eq!(reads.release(9), [], "an answer to an earlier round");
        reads.confirm(2, 6);
        assert_eq!(reads.release(9), ['b', 'c']);
    }

    #[test]
    fn a_round_asks_again_and_fails_in_the_end() {
        let mut reads = Reads::new(3);
        reads.push('a');
        let context = reads.begin(at(100), RETRY).unwrap();
        assert_eq!(context, (3 << 56) + 1);
        assert_eq!(reads.overdue(at(599), RETRY, TIMEOUT), Overdue::No);
        assert_eq!(reads.overdue(at(600), RETRY, TIMEOUT), Overdue::Again(context));
        assert_eq!(reads.overdue(at(1_100), RETRY, TIMEOUT), Overdue::Again(context));
        assert_eq!(reads.deadline(), Some(at(1_300)));
        assert_eq!(reads.overdue(at(1_300), RETRY, TIMEOUT), Overdue::Failed);
        assert_eq!((reads.fail(), reads.deadline()), (vec!['a'], None));
    }
}
