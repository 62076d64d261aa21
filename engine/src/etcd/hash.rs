//! The hash by which members compare their stores (`etcdctl endpoint hashkv`).
//!
//! CRC-32C over the name of the bucket and then every record, key and value as they lie in the database. Records above
//! the revision do not count. Of those up to the compact revision only what would survive a compaction at the hash's own
//! revision does: the key's version then, unless it is deleted.
//!
//! Models: etcd v3.6 server/storage/mvcc/hash.go, revision.go, api/mvccpb/kv.proto.

use super::index::Version;
use super::reply::HashKv;
use super::request::Value;
use super::store::Store;

/// CRC-32C (Castagnoli).
struct Crc(u32);

impl Crc {
    fn add(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 ^= u32::from(*byte);
            for _ in 0..8 {
                self.0 = (self.0 >> 1) ^ (0x82f6_3b78 & (self.0 & 1).wrapping_neg());
            }
        }
    }

    fn number(&mut self, tag: u8, n: u64) {
        if n > 0 {
            self.add(&[tag << 3]);
            self.varint(n);
        }
    }

    fn varint(&mut self, mut n: u64) {
        while n >= 0x80 {
            self.add(&[n as u8 | 0x80]);
            n >>= 7;
        }
        self.add(&[n as u8]);
    }

    fn length(&mut self, tag: u8, length: usize) {
        self.add(&[tag << 3 | 2]);
        self.varint(length as u64);
    }
}

impl<V: Value> Store<V> {
    /// The hash as of `revision`; 0 is now. It walks over everything.
    pub fn hash_kv(&self, revision: u64) -> HashKv {
        let revision = if revision == 0 { self.revision() } else { revision.min(self.revision()) };
        let mut records = Vec::new();
        let mut kept = 0usize;
        for (key, index) in &self.keys {
            let newest = index.at(revision).map_or(0, |kv| kv.mod_revision);
            kept += usize::from(newest > 0);
            let within = index.all().filter(|version| version.revision() <= revision);
            records.extend(within.map(|version| (key, version, version.revision() == newest)));
        }
        // etcd skips nothing when nothing would be kept.
        let compacted = if kept > 0 { self.compact_revision() } else { 0 };
        records.retain(|(_, version, newest)| version.revision() > compacted || *newest);
        records.sort_unstable_by_key(|(_, version, _)| version.place());
        let mut crc = Crc(!0);
        crc.add(b"key");
        for (key, version, _) in records {
            record(&mut crc, key, version);
        }
        HashKv { hash: !crc.0, revision, compact_revision: self.compact_revision() }
    }
}

fn record<V: Value>(crc: &mut Crc, key: &str, version: &Version<V>) {
    let (main, sub) = version.place();
    crc.add(&main.to_be_bytes());
    crc.add(b"_");
    crc.add(&u64::from(sub).to_be_bytes());
    if matches!(version, Version::Tombstone(..)) {
        crc.add(b"t");
    }
    crc.length(1, key.len());
    crc.add(key.as_bytes());
    let Version::Put(kv, _) = version else { return };
    crc.number(2, kv.create_revision);
    crc.number(3, kv.mod_revision);
    crc.number(4, kv.version);
    if kv.value.size() > 0 {
        crc.length(5, kv.value.size());
        kv.value.hash_bytes(&mut |bytes| crc.add(bytes));
    }
    crc.number(6, kv.lease.0 as u64);
}

#[cfg(test)]
mod tests {
    use super::super::request::{DeleteRange, KeyRange, Put};
    use super::*;

    /// As recorded from etcd 3.6.13: an empty store, and one with `a` = `1`.
    #[test]
    fn hashes_are_etcd_s() {
        let mut store = Store::<String>::default();
        assert_eq!(store.hash_kv(0).hash, 1_084_519_789);
        store.put(&Put::new("a", "1".to_string())).unwrap();
        let hash = store.hash_kv(0);
        assert_eq!((hash.hash, hash.revision, hash.compact_revision), (2_587_454_935, 2, 0));
        assert_eq!(store.hash_kv(1).hash, 1_084_519_789);
    }

    /// The recorded sessions `make-mirror-and-hash` and `etcdutl-offline`.
    #[test]
    fn what_is_compacted_counts_only_if_it_is_still_current() {
        let mut store = Store::<String>::default();
        store.put(&Put::new("a", "1".to_string())).unwrap();
        store.put(&Put::new("b", "2".to_string())).unwrap();
        store.delete_range(&DeleteRange { range: KeyRange::Key("a".into()), prev_kv: false });
        assert_eq!(store.hash_kv(0).hash, 1_562_576_432);
        store.compact(3).unwrap();
        assert_eq!(store.hash_kv(0).hash, 776_148_148);
        let mut store = Store::<String>::default();
        (1..=50).for_each(|n| drop(store.put(&Put::new("k", n.to_string())).unwrap()));
        store.compact(40).unwrap();
        assert_eq!(store.hash_kv(0).hash, 3_224_308_684);
    }

    #[test]
    fn history_and_deletes_count() {
        let mut store = Store::<String>::default();
        store.put(&Put::new("a", "1".to_string())).unwrap();
        store.delete_range(&DeleteRange { range: KeyRange::Key("a".into()), prev_kv: false });
        let with_history = store.hash_kv(0).hash;
        store.compact(3).unwrap();
        assert_ne!(store.hash_kv(0).hash, with_history);
    }
}
