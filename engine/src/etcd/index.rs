//! The versions of one key.
//!
//! etcd keeps a tree of keys with the revisions of each, grouped into generations (lives), and looks the values up in
//! the backend by revision. Here a version holds its key-value itself, shared with the log of changes, and a life ends
//! where a tombstone stands.
//!
//! Models: etcd v3.6 server/storage/mvcc/key_index.go. Left out: the backend's lookup.

use std::sync::Arc;

use super::request::{KeyValue, Value};

/// What a key was from some revision on.
#[derive(Clone, Debug)]
pub enum Version<V> {
    /// It had this value; the number is the sub revision.
    Put(Arc<KeyValue<V>>, u32),
    /// It did not exist, since this main and sub revision.
    Tombstone(u64, u32),
}

/// All versions of a key that are still known.
#[derive(Clone, Debug)]
pub struct KeyIndex<V> {
    latest: Version<V>,
    /// Earlier ones, oldest first; empty for most keys of a compacted store, so it costs no allocation there.
    older: Vec<Version<V>>,
}

impl<V> Version<V> {
    /// The main revision it dates from.
    pub fn revision(&self) -> u64 {
        match self {
            Version::Put(kv, _) => kv.mod_revision,
            Version::Tombstone(revision, _) => *revision,
        }
    }

    /// The main and sub revision it dates from: its key in the database.
    pub fn place(&self) -> (u64, u32) {
        let (Version::Put(_, sub) | Version::Tombstone(_, sub)) = self;
        (self.revision(), *sub)
    }

    fn live(&self) -> Option<&Arc<KeyValue<V>>> {
        match self {
            Version::Put(kv, _) => Some(kv),
            Version::Tombstone(..) => None,
        }
    }
}

impl<V: Value> Version<V> {
    /// Bytes of the key and, unless it is a tombstone, the value.
    pub fn size(&self, key: &str) -> u64 {
        (key.len() + self.live().map_or(0, |kv| kv.value.size())) as u64
    }

    /// Bytes of its record in the database: the message KeyValue.
    pub fn record_size(&self, key: &str) -> u32 {
        let text = |length: usize| 1 + varint(length as u64) + length;
        let number = |n: u64| if n == 0 { 0 } else { 1 + varint(n) };
        let rest = self.live().map_or(0, |kv| {
            let value = kv.value.size();
            number(kv.create_revision)
                + number(kv.mod_revision)
                + number(kv.version)
                + number(kv.lease.0 as u64)
                + if value > 0 { text(value) } else { 0 }
        });
        (text(key.len()) + rest) as u32
    }
}

/// Bytes of a number in a protobuf message.
fn varint(n: u64) -> usize {
    (64 - (n | 1).leading_zeros() as usize).div_ceil(7)
}

impl<V> KeyIndex<V> {
    /// A key with its first version.
    pub fn new(first: Version<V>) -> Self {
        KeyIndex { latest: first, older: Vec::new() }
    }

    /// The key now, if it exists.
    pub fn current(&self) -> Option<&Arc<KeyValue<V>>> {
        self.latest.live()
    }

    /// The key as of main revision `at`, if it existed.
    pub fn at(&self, at: u64) -> Option<&Arc<KeyValue<V>>> {
        if self.latest.revision() <= at {
            return self.latest.live();
        }
        let after = self.older.partition_point(|version| version.revision() <= at);
        self.older.get(after.checked_sub(1)?)?.live()
    }

    /// All versions, oldest first.
    pub fn all(&self) -> impl Iterator<Item = &Version<V>> {
        self.older.iter().chain([&self.latest])
    }

    /// Adds a version newer than all others.
    pub fn push(&mut self, version: Version<V>) {
        debug_assert!(version.revision() >= self.latest.revision());
        self.older.push(std::mem::replace(&mut self.latest, version));
    }

    /// Forgets what nobody may ask for once `at` is the compact revision: everything before the newest version not
    /// after it, and that one too if it is a tombstone from before. `forgotten` hears of each. True when nothing is
    /// left.
    pub fn compact(&mut self, at: u64, mut forgotten: impl FnMut(&Version<V>)) -> bool {
        let dead = |version: &Version<V>| matches!(version, Version::Tombstone(revision, _) if *revision < at);
        let latest_is_settled = self.latest.revision() <= at;
        let mut keep_from = if latest_is_settled {
            self.older.len()
        } else {
            self.older.partition_point(|v| v.revision() <= at).saturating_sub(1)
        };
        if self.older.get(keep_from).is_some_and(dead) {
            keep_from += 1;
        }
        self.older.drain(..keep_from).for_each(|version| forgotten(&version));
        if self.older.is_empty() {
            self.older = Vec::new();
        }
        let gone = latest_is_settled && dead(&self.latest);
        if gone {
            forgotten(&self.latest);
        }
        gone
    }
}

#[cfg(test)]
mod tests {
    use super::super::request::Key;
    use super::*;

    fn put(revision: u64) -> Version<String> {
        let (key, value) = (Key::from("k"), revision.to_string());
        Version::Put(
            Arc::new(KeyValue {
                key,
                create_revision: 1,
                mod_revision: revision,
                version: 1,
                lease: super::super::LeaseId::NONE,
                value,
            }),
            0,
        )
    }

    /// The example of the upstream file: put 1, put 2, delete 3, put 4, delete 5.
    fn example() -> KeyIndex<String> {
        let mut index = KeyIndex::new(put(1));
        for version in [put(2), Version::Tombstone(3, 0), put(4), Version::Tombstone(5, 0)] {
            index.push(version);
        }
        index
    }

    #[test]
    fn a_read_finds_the_newest_version_not_after_its_revision() {
        let seen: Vec<_> = (0..7).map(|at| example().at(at).map_or(0, |kv| kv.mod_revision)).collect();
        assert_eq!(seen, [0, 1, 2, 0, 4, 0, 0]);
    }

    #[test]
    fn compaction_keeps_what_is_readable_at_its_revision_and_a_tombstone_of_that_very_revision() {
        let left = |at| {
            let mut index = example();
            let gone = index.compact(at, |_| ());
            let mut revisions: Vec<_> = index.older.iter().map(Version::revision).collect();
            revisions.push(index.latest.revision());
            (gone, revisions)
        };
        assert_eq!(left(2), (false, vec![2, 3, 4, 5]));
        assert_eq!(left(3), (false, vec![3, 4, 5]));
        assert_eq!(left(4), (false, vec![4, 5]));
        assert_eq!(left(5), (false, vec![5]));
        assert!(left(6).0);
    }
}
