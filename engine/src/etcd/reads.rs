//! Linearizable reads that wait for the quorum's word.
//!
//! One round at a time: what arrives during a round shares the next one. A confirmed round waits until what was
//! committed when it began has been applied.
//!
//! Models: etcd v3.6 server/etcdserver/v3_server.go (`linearizableReadLoop`). Left out: asking again after 500 ms, the
//! time-out of 7 s.

/// Reads of type `R` on their way.
#[derive(Clone, Debug)]
pub struct Reads<R> {
    /// They go into the next round.
    waiting: Vec<R>,
    /// They are in the round under way.
    round: Vec<R>,
    /// The round's name; answers to earlier ones do not count.
    context: u64,
    /// What must be applied before the round is answered, once it is confirmed.
    needed: Option<u64>,
}

impl<R> Default for Reads<R> {
    fn default() -> Self {
        Reads { waiting: Vec::new(), round: Vec::new(), context: 0, needed: None }
    }
}

impl<R> Reads<R> {
    /// A read has arrived.
    pub fn push(&mut self, read: R) {
        self.waiting.push(read);
    }

    /// Begins a round if there is something to ask for and none is under way; the answer is its name.
    pub fn begin(&mut self) -> Option<u64> {
        if self.waiting.is_empty() || !self.round.is_empty() {
            return None;
        }
        std::mem::swap(&mut self.waiting, &mut self.round);
        self.context += 1;
        Some(self.context)
    }

    /// The quorum has confirmed the round `context`, as of log index `index`.
    pub fn confirm(&mut self, context: u64, index: u64) {
        if context == self.context && !self.round.is_empty() {
            self.needed = Some(index);
        }
    }

    /// The reads that may be answered now that everything up to `applied` is applied.
    pub fn release(&mut self, applied: u64) -> Vec<R> {
        if self.needed.is_none_or(|needed| needed > applied) {
            return Vec::new();
        }
        self.needed = None;
        std::mem::take(&mut self.round)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_that_arrive_during_a_round_share_the_next() {
        let mut reads = Reads::default();
        reads.push('a');
        assert_eq!(reads.begin(), Some(1));
        reads.push('b');
        reads.push('c');
        assert_eq!(reads.begin(), None);
        reads.confirm(1, 5);
        assert_eq!(reads.release(4), [], "not yet applied");
        assert_eq!(reads.release(5), ['a']);
        assert_eq!(reads.begin(), Some(2));
        reads.confirm(1, 5);
        assert_eq!(reads.release(9), [], "an answer to an earlier round");
        reads.confirm(2, 6);
        assert_eq!(reads.release(9), ['b', 'c']);
    }
}
