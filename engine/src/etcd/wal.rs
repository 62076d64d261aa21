//! What a member has on disk of its log, and finds there after a crash.
//!
//! Only what an fsync has finished is in it. The store and its database file are found as they were when the process
//! died: every entry applied was on disk before, so what a crash takes from the database the log gives back.
//!
//! Models: etcd v3.6 server/storage/wal, server/etcdserver/bootstrap.go. Left out: segments, the time to replay.

use std::collections::VecDeque;

use super::raft::{Entry, HardState, Log, Mark, Payload};

/// The log on disk.
#[derive(Clone, Debug)]
pub struct Wal<P> {
    hard: HardState,
    base: Mark,
    entries: VecDeque<Entry<P>>,
}

impl<P: Payload> Wal<P> {
    /// A disk on which everything up to `base` is in the database.
    pub fn new(hard: HardState, base: Mark) -> Self {
        Wal { hard, base, entries: VecDeque::new() }
    }

    /// Term, vote and commit index as saved.
    pub fn hard(&self) -> HardState {
        self.hard
    }

    /// The last entry saved.
    pub fn last_index(&self) -> u64 {
        self.base.index + self.entries.len() as u64
    }

    /// The entry of an index, if it is saved and not yet dropped.
    pub fn get(&self, index: u64) -> Option<&Entry<P>> {
        self.entries.get(index.checked_sub(self.base.index + 1)? as usize)
    }

    /// Entries replace what was saved from the first one's index on.
    pub fn save(&mut self, hard: HardState, entries: Vec<Entry<P>>) {
        self.hard = hard;
        if let Some(first) = entries.first() {
            self.entries.truncate(first.index.saturating_sub(self.base.index + 1) as usize);
        }
        self.entries.extend(entries);
    }

    /// A snapshot stands for everything up to `mark`.
    pub fn restart(&mut self, mark: Mark) {
        self.base = mark;
        self.entries.clear();
    }

    /// Drops entries up to `index`.
    pub fn trim(&mut self, index: u64) {
        while self.base.index < index
            && let Some(entry) = self.entries.pop_front()
        {
            self.base = Mark { index: entry.index, term: entry.term };
        }
    }

    /// The log a process finds when it starts; everything up to `applied` is in its database.
    pub fn recover(&self, applied: u64) -> Log<P> {
        Log::recovered(self.base, self.entries.clone(), self.hard.commit, applied)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(index: u64, term: u64) -> Entry<u64> {
        Entry { index, term, change: None, data: Some(0) }
    }

    #[test]
    fn entries_replace_the_tail_and_old_ones_are_dropped() {
        let mut wal = Wal::new(HardState::default(), Mark { index: 4, term: 1 });
        wal.save(HardState::default(), vec![entry(5, 1), entry(6, 1), entry(7, 1)]);
        wal.save(HardState { term: 2, vote: None, commit: 5 }, vec![entry(6, 2)]);
        assert_eq!((wal.last_index(), wal.get(6).map(|entry| entry.term)), (6, Some(2)));
        wal.trim(5);
        let log = wal.recover(5);
        assert_eq!((log.base().index, log.last_index(), log.commit(), log.stable()), (5, 6, 5, 6));
    }
}
