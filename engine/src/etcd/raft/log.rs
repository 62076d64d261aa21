//! One member's log in memory: entries after a base that a snapshot stands for, and how far they are persisted,
//! committed and handed out.
//!
//! Models: raft v3.6 log.go, log_unstable.go, storage.go (`MemoryStorage`).

use std::collections::VecDeque;

use super::{Entry, Mark, Payload};

/// The log. Indexes rise by one; `base` < `stable` <= last, `base` <= `delivered` <= `commit`.
#[derive(Clone, Debug)]
pub struct Log<P> {
    base: Mark,
    entries: VecDeque<Entry<P>>,
    /// Up to here entries have been handed out for persisting.
    handed: u64,
    /// Up to here they are on disk.
    stable: u64,
    commit: u64,
    /// Up to here committed entries have been handed out for applying.
    delivered: u64,
}

impl<P: Payload> Log<P> {
    /// A log whose past is a snapshot at `base`, all of it on disk and applied.
    pub fn new(base: Mark) -> Self {
        let at = base.index;
        Log { base, entries: VecDeque::new(), handed: at, stable: at, commit: at, delivered: at }
    }

    /// A log as found on disk; `applied` has been applied, `commit` was known.
    pub fn recovered(base: Mark, entries: VecDeque<Entry<P>>, commit: u64, applied: u64) -> Self {
        let last = base.index + entries.len() as u64;
        let delivered = applied.clamp(base.index, last);
        let commit = commit.clamp(delivered, last);
        Log { base, entries, handed: last, stable: last, commit, delivered }
    }

    /// The end.
    pub fn last(&self) -> Mark {
        self.entries.back().map_or(self.base, |entry| Mark { index: entry.index, term: entry.term })
    }

    /// The end's index.
    pub fn last_index(&self) -> u64 {
        self.base.index + self.entries.len() as u64
    }

    /// The snapshot in front of the entries.
    pub fn base(&self) -> Mark {
        self.base
    }

    /// Last entry known to be committed.
    pub fn commit(&self) -> u64 {
        self.commit
    }

    /// Last entry on disk.
    pub fn stable(&self) -> u64 {
        self.stable
    }

    /// Last entry handed out for applying.
    pub fn delivered(&self) -> u64 {
        self.delivered
    }

    /// The term of an index; `None` when it is not in the log (any more).
    pub fn term(&self, index: u64) -> Option<u64> {
        if index == self.base.index {
            return Some(self.base.term);
        }
        self.get(index).map(|entry| entry.term)
    }

    /// The entry of an index.
    pub fn get(&self, index: u64) -> Option<&Entry<P>> {
        self.entries.get(index.checked_sub(self.base.index + 1)? as usize)
    }

    /// The entries from `from` on.
    pub fn from(&self, from: u64) -> impl Iterator<Item = &Entry<P>> {
        let skip = from.saturating_sub(self.base.index + 1) as usize;
        self.entries.range(skip.min(self.entries.len())..)
    }

    /// Entries from `from` on, as many as fit into `bytes`, but at least one.
    pub fn batch(&self, from: u64, bytes: usize) -> Vec<Entry<P>> {
        let mut room = bytes;
        let mut first = true;
        let fitting = self.from(from).take_while(|entry| {
            let size = entry.size();
            let fits = first || size <= room;
            room = room.saturating_sub(size);
            first = false;
            fits
        });
        fitting.cloned().collect()
    }

    /// Adds the leader's own entry at the end.
    pub fn push(&mut self, entry: Entry<P>) {
        debug_assert_eq!(entry.index, self.last_index() + 1);
        self.entries.push_back(entry);
    }

    /// Takes the leader's entries if `after` is in this log; the answer is the last index that now matches the
    /// leader's.
    pub fn append(&mut self, after: Mark, entries: &[Entry<P>]) -> Option<u64> {
        if self.term(after.index) != Some(after.term) {
            return None;
        }
        let fresh = entries.iter().position(|entry| self.term(entry.index) != Some(entry.term));
        for entry in &entries[fresh.unwrap_or(entries.len())..] {
            if entry.index <= self.last_index() {
                self.cut(entry.index);
            }
            self.push(entry.clone());
        }
        Some(entries.last().map_or(after.index, |entry| entry.index))
    }

    /// Whether a log that ends at `last` is at least as new as this one.
    pub fn up_to_date(&self, last: Mark) -> bool {
        let own = self.last();
        last.term > own.term || last.term == own.term && last.index >= own.index
    }

    /// The largest index not above `index` whose term is not above `term`, and that term.
    pub fn agree(&self, index: u64, term: u64) -> Mark {
        let mut index = index.min(self.last_index());
        while index > self.base.index && self.term(index).is_some_and(|own| own > term) {
            index -= 1;
        }
        Mark { index, term: self.term(index).unwrap_or(0) }
    }

    /// Entries up to `index` are committed.
    pub fn commit_to(&mut self, index: u64) {
        self.commit = self.commit.max(index.min(self.last_index()));
    }

    /// The entries not yet handed out for persisting; they count as handed out from now on.
    pub fn persist(&mut self) -> Vec<Entry<P>> {
        let fresh = self.from(self.handed + 1).cloned().collect();
        self.handed = self.last_index();
        fresh
    }

    /// Whether [`Self::persist`] has something.
    pub fn unpersisted(&self) -> bool {
        self.handed < self.last_index()
    }

    /// What was handed out up to `mark` is on disk; ignored if it has been overwritten meanwhile.
    pub fn persisted(&mut self, mark: Mark) {
        if self.term(mark.index) == Some(mark.term) {
            self.stable = self.stable.max(mark.index);
        }
    }

    /// Committed entries that are on this member's disk, to be applied; each comes out once.
    pub fn deliver(&mut self) -> Vec<Entry<P>> {
        let to = self.commit.min(self.stable);
        if to <= self.delivered {
            return Vec::new();
        }
        let count = (to - self.delivered) as usize;
        let ready = self.from(self.delivered + 1).take(count).cloned().collect();
        self.delivered = to;
        ready
    }

    /// Whether [`Self::deliver`] has something.
    pub fn deliverable(&self) -> bool {
        self.commit.min(self.stable) > self.delivered
    }

    /// Forgets entries up to `index`, which must have been applied.
    pub fn trim(&mut self, index: u64) {
        let index = index.min(self.delivered).min(self.stable);
        if let Some(term) = self.term(index).filter(|_| index > self.base.index) {
            self.entries.drain(..(index - self.base.index) as usize);
            self.base = Mark { index, term };
        }
    }

    /// A snapshot replaces everything; it counts as on disk once [`Self::persisted`] says so.
    pub fn restore(&mut self, mark: Mark) {
        *self = Log::new(mark);
    }

    fn cut(&mut self, from: u64) {
        assert!(from > self.commit, "entry {from} is committed (up to {}) and would be overwritten", self.commit);
        self.entries.truncate((from - self.base.index - 1) as usize);
        self.handed = self.handed.min(from - 1);
        self.stable = self.stable.min(from - 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Payload for u64 {
        fn size(&self) -> usize {
            *self as usize
        }
    }

    fn entry(index: u64, term: u64) -> Entry<u64> {
        Entry { index, term, change: None, data: Some(0) }
    }

    fn log(terms: &[u64]) -> Log<u64> {
        let mut log = Log::new(Mark { index: 4, term: 1 });
        terms.iter().zip(5..).for_each(|(term, index)| log.push(entry(index, *term)));
        log
    }

    #[test]
    fn entries_that_conflict_replace_the_tail_and_equal_ones_do_not() {
        let mut log = log(&[1, 1, 2]);
        log.persist();
        log.persisted(log.last());
        assert_eq!(log.append(Mark { index: 5, term: 1 }, &[entry(6, 1)]), Some(6));
        assert_eq!((log.last_index(), log.stable()), (7, 7), "an old message cuts nothing off");
        assert_eq!(log.append(Mark { index: 5, term: 1 }, &[entry(6, 3), entry(7, 3)]), Some(7));
        assert_eq!((log.stable(), log.persist().len()), (5, 2));
        assert_eq!(log.append(Mark { index: 9, term: 3 }, &[]), None);
        assert_eq!(log.append(Mark { index: 6, term: 1 }, &[]), None);
    }

    #[test]
    fn an_fsync_of_entries_that_were_overwritten_meanwhile_does_not_count() {
        let mut log = log(&[1, 1]);
        log.persist();
        log.append(Mark { index: 5, term: 1 }, &[entry(6, 2)]);
        log.persisted(Mark { index: 6, term: 1 });
        assert_eq!(log.stable(), 4);
        log.commit_to(6);
        assert!(log.deliver().is_empty());
        log.persist();
        log.persisted(Mark { index: 6, term: 2 });
        assert_eq!(log.deliver().len(), 2);
    }

    #[test]
    fn a_batch_holds_at_least_one_entry_and_what_fits() {
        let mut log = Log::new(Mark::default());
        (1..=4).for_each(|index| log.push(Entry { index, term: 1, change: None, data: Some(100) }));
        assert_eq!((log.batch(1, 0).len(), log.batch(2, 230).len(), log.batch(5, 999).len()), (1, 2, 0));
    }

    #[test]
    fn trimming_keeps_what_is_not_applied() {
        let mut log = log(&[1, 1, 1]);
        log.persist();
        log.persisted(log.last());
        log.commit_to(6);
        log.deliver();
        log.trim(7);
        assert_eq!((log.base().index, log.term(6), log.term(5), log.last_index()), (6, Some(1), None, 7));
    }

    #[test]
    fn logs_agree_below_the_first_higher_term() {
        let log = log(&[1, 2, 5, 5]);
        assert_eq!(log.agree(9, 3), Mark { index: 6, term: 2 });
        assert_eq!(log.agree(5, 9), Mark { index: 5, term: 1 });
        assert_eq!(log.agree(9, 0), Mark { index: 4, term: 1 });
    }
}
