//! The revisioned key-value store.
//!
//! Every change gets a revision (main, sub): main counts write transactions, sub the changes inside one. A tree of
//! keys holds each key's versions; a log holds the changes since the compact revision in order, so that a watch from a
//! revision is a walk over a slice. Both share the key-values.
//!
//! Models: etcd v3.6 server/storage/mvcc/kvstore.go, kvstore_txn.go, index.go, kvstore_compaction.go;
//! server/etcdserver/apply/apply.go (what an alarm forbids). Where the records lie on disk is `database`'s business.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;
use std::sync::Arc;

use super::error::EtcdError;
use super::index::{KeyIndex, Version};
use super::lease::{LeaseId, Leases};
use super::members::{AlarmKind, MemberChange, Members};
use super::reply::{DeleteReply, Reply};
use super::request::{DeleteRange, Key, KeyEvent, KeyRange, KeyValue, Proposal, Put, Value};

/// The store. It applies what was committed, in order, and answers reads.
#[derive(Clone, Debug)]
pub struct Store<V> {
    pub(super) keys: BTreeMap<Key, KeyIndex<V>>,
    /// Changes from `compact_revision` on, in order.
    log: VecDeque<KeyEvent<V>>,
    /// Main revision of the last change; 1 when there was none.
    revision: u64,
    /// Nothing below is readable; 0 is never compacted (etcd: -1).
    compact_revision: u64,
    leases: Leases,
    members: Members,
    size: Size,
    /// What compaction removed and the database has not yet heard of.
    doomed: Vec<Record>,
}

/// A record in the database.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Record {
    /// Its main and sub revision.
    pub place: (u64, u32),
    /// Its bytes.
    pub bytes: u32,
}

/// What the store holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Size {
    /// Keys that exist now.
    pub keys: u64,
    /// Bytes of keys and values that exist now.
    pub live_bytes: u64,
    /// Bytes of keys and values of all versions not yet compacted away, tombstones' keys included.
    pub total_bytes: u64,
}

/// A write transaction under way: which revision it writes, and how many changes it has made.
#[derive(Debug)]
pub(super) struct Write {
    main: u64,
    changes: u32,
}

impl<V> Default for Store<V> {
    fn default() -> Self {
        Store {
            keys: BTreeMap::new(),
            log: VecDeque::new(),
            revision: 1,
            compact_revision: 0,
            leases: Leases::default(),
            members: Members::default(),
            size: Size::default(),
            doomed: Vec::new(),
        }
    }
}

impl<V: Value> Store<V> {
    /// Applies one committed change. The error is the requester's; the store is then as before.
    pub fn apply(&mut self, proposal: &Proposal<V>) -> Result<Reply<V>, EtcdError> {
        if self.members.alarmed(AlarmKind::NoSpace) && proposal.quota_cost() > 0 {
            return Err(EtcdError::NoSpace);
        }
        match proposal {
            Proposal::Put(put) => self.put(put).map(Reply::Put),
            Proposal::Delete(delete) => Ok(Reply::Delete(self.delete_range(delete))),
            Proposal::Txn(txn) => self.txn(txn).map(Reply::Txn),
            Proposal::Compact(revision) => self.compact(*revision).map(|()| Reply::Compacted),
            Proposal::LeaseGrant { id, ttl } => {
                self.leases.grant(*id, *ttl).map(|()| Reply::Lease { id: *id, ttl: *ttl })
            }
            Proposal::LeaseRevoke(id) => self.revoke(*id).map(|()| Reply::LeaseRevoked),
            Proposal::Alarm(request) => Ok(Reply::Alarms(self.members.alarm(*request))),
            Proposal::Members(change) => self.change_members(change),
        }
    }

    fn change_members(&mut self, change: &MemberChange) -> Result<Reply<V>, EtcdError> {
        let added = self.members.apply(change)?;
        let list = self.members.list();
        Ok(match added {
            Some(member) => Reply::MemberAdded(Box::new(member), list),
            None => Reply::Members(list),
        })
    }

    /// Writes a key; the answer is what was there before, if asked for.
    pub fn put(&mut self, put: &Put<V>) -> Result<Option<Arc<KeyValue<V>>>, EtcdError> {
        self.check_put(put)?;
        let mut write = self.begin();
        let before = self.put_in(&mut write, put);
        self.end(write);
        Ok(before)
    }

    /// Deletes keys; no revision passes when there are none.
    pub fn delete_range(&mut self, delete: &DeleteRange) -> DeleteReply<V> {
        let mut write = self.begin();
        let reply = self.delete_in(&mut write, delete);
        self.end(write);
        reply
    }

    /// Forgets history: afterwards `revision` is the oldest readable one.
    pub fn compact(&mut self, revision: u64) -> Result<(), EtcdError> {
        if revision <= self.compact_revision {
            return Err(EtcdError::Compacted);
        }
        if revision > self.revision {
            return Err(EtcdError::FutureRevision);
        }
        self.compact_revision = revision;
        let end = self.log.partition_point(|event| event.revision <= revision);
        for event in self.log.range(..end) {
            let Some(index) = self.keys.get_mut(&event.key) else { continue };
            let (total, doomed) = (&mut self.size.total_bytes, &mut self.doomed);
            let gone = index.compact(revision, |version| {
                *total -= version.size(&event.key);
                doomed.push(Record { place: version.place(), bytes: version.record_size(&event.key) });
            });
            if gone {
                self.keys.remove(&event.key);
            }
        }
        let drop = self.log.partition_point(|event| event.revision < revision);
        self.log.drain(..drop);
        Ok(())
    }

    /// Ends a lease: its keys go in one revision, in the order of their names.
    pub fn revoke(&mut self, id: LeaseId) -> Result<(), EtcdError> {
        let lease = self.leases.remove(id).ok_or(EtcdError::LeaseNotFound)?;
        let mut write = self.begin();
        for key in lease.keys {
            self.delete_in(&mut write, &DeleteRange { range: KeyRange::Key(key), prev_kv: false });
        }
        self.end(write);
        Ok(())
    }

    /// The key now.
    pub fn get(&self, key: &str) -> Option<&Arc<KeyValue<V>>> {
        self.keys.get(key)?.current()
    }

    /// The key as of main revision `at`, compacted or not.
    pub fn get_at(&self, key: &str, at: u64) -> Option<&Arc<KeyValue<V>>> {
        self.keys.get(key)?.at(at)
    }

    /// Main revision of the last change.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// The oldest readable revision; 0 when never compacted.
    pub fn compact_revision(&self) -> u64 {
        self.compact_revision
    }

    /// The changes of revision `from` and later, in order; those below the compact revision are gone.
    pub fn events_from(&self, from: u64) -> impl Iterator<Item = &KeyEvent<V>> {
        self.log.range(self.log.partition_point(|event| event.revision < from)..)
    }

    /// The leases.
    pub fn leases(&self) -> &Leases {
        &self.leases
    }

    /// The members and their alarms.
    pub fn members(&self) -> &Members {
        &self.members
    }

    /// The cluster begins with these members.
    pub(super) fn set_members(&mut self, members: Members) {
        self.members = members;
    }

    /// The records that compactions have removed since the last call.
    pub fn take_doomed(&mut self) -> Vec<Record> {
        std::mem::take(&mut self.doomed)
    }

    /// The records of the changes from revision `from` on: place and bytes.
    pub fn records_from(&self, from: u64) -> impl Iterator<Item = Record> {
        self.events_from(from).map(|event| {
            let version = event.kv.clone().map_or(Version::Tombstone(event.revision, event.sub_revision), |kv| {
                Version::Put(kv, event.sub_revision)
            });
            Record { place: version.place(), bytes: version.record_size(&event.key) }
        })
    }

    /// All records, in order of their places.
    pub fn records(&self) -> Vec<Record> {
        let of = |(key, index): (&Key, &KeyIndex<V>)| -> Vec<Record> {
            index.all().map(|v| Record { place: v.place(), bytes: v.record_size(key) }).collect()
        };
        let mut records: Vec<Record> = self.keys.iter().flat_map(of).collect();
        records.sort_unstable_by_key(|record| record.place);
        records
    }

    /// Restored from a snapshot into a new cluster: revisions go on `by` further on, and with `mark_compacted` nobody
    /// may ask for what was before. – etcdutl snapshot restore --bump-revision --mark-compacted.
    pub fn bump(&mut self, by: u64, mark_compacted: bool) {
        self.revision += by;
        if mark_compacted && by > 0 {
            self.compact_revision = self.revision;
        }
    }

    /// What it holds.
    pub fn size(&self) -> Size {
        self.size
    }

    /// `event` as a watcher may see it: what was before is unknown once it is compacted.
    pub fn visible(&self, event: &KeyEvent<V>, prev_kv: bool) -> KeyEvent<V> {
        let mut event = event.clone();
        if !prev_kv || event.revision <= self.compact_revision {
            event.prev_kv = None;
        }
        event
    }

    pub(super) fn begin(&self) -> Write {
        Write { main: self.revision + 1, changes: 0 }
    }

    pub(super) fn end(&mut self, write: Write) {
        if write.changes > 0 {
            self.revision = write.main;
        }
    }

    pub(super) fn check_put(&self, put: &Put<V>) -> Result<(), EtcdError> {
        if (put.value.is_none() || put.ignore_lease) && self.get(&put.key).is_none() {
            return Err(EtcdError::KeyNotFound);
        }
        if put.lease != LeaseId::NONE && self.leases.get(put.lease).is_none() {
            return Err(EtcdError::LeaseNotFound);
        }
        Ok(())
    }

    /// Writes; `check_put` has been passed.
    pub(super) fn put_in(&mut self, write: &mut Write, put: &Put<V>) -> Option<Arc<KeyValue<V>>> {
        let entry = self.keys.get_key_value(&put.key);
        let before = entry.and_then(|(_, index)| index.current()).cloned();
        let key = entry.map_or_else(|| put.key.clone(), |(key, _)| key.clone());
        let old = before.as_deref();
        let mut value = put.value.clone().or_else(|| old.map(|kv| kv.value.clone()))?;
        value.committed(write.main);
        let old_lease = old.map_or(LeaseId::NONE, |kv| kv.lease);
        let lease = if put.ignore_lease { old_lease } else { put.lease };
        self.leases.detach(old_lease, &key);
        self.leases.attach(lease, &key);
        let kv = Arc::new(KeyValue {
            key: key.clone(),
            create_revision: old.map_or(write.main, |kv| kv.create_revision),
            mod_revision: write.main,
            version: old.map_or(1, |kv| kv.version + 1),
            lease,
            value,
        });
        self.record(write, key, Some(kv), before.clone());
        before.filter(|_| put.prev_kv)
    }

    pub(super) fn delete_in(&mut self, write: &mut Write, delete: &DeleteRange) -> DeleteReply<V> {
        let doomed: Vec<_> = match &delete.range {
            KeyRange::Key(key) => self.get(key).cloned().into_iter().collect(),
            range => self.walk(range).filter_map(|(_, index)| index.current()).cloned().collect(),
        };
        for kv in &doomed {
            self.leases.detach(kv.lease, &kv.key);
            self.record(write, kv.key.clone(), None, Some(kv.clone()));
        }
        DeleteReply { deleted: doomed.len(), prev_kvs: if delete.prev_kv { doomed } else { Vec::new() } }
    }

    /// The keys of `range` that are known, dead ones included.
    pub(super) fn walk(&self, range: &KeyRange) -> impl Iterator<Item = (&Key, &KeyIndex<V>)> {
        let from = (Bound::Included(range.start()), Bound::Unbounded);
        self.keys.range::<str, _>(from).take_while(move |(key, _)| range.reaches(key))
    }

    /// Notes a change everywhere: versions, log, sizes.
    fn record(&mut self, write: &mut Write, key: Key, now: Option<Arc<KeyValue<V>>>, before: Option<Arc<KeyValue<V>>>) {
        let bytes = |kv: &Arc<KeyValue<V>>| (key.len() + kv.value.size()) as u64;
        let sub = write.changes;
        let version = now.clone().map_or(Version::Tombstone(write.main, sub), |kv| Version::Put(kv, sub));
        self.size.total_bytes += version.size(&key);
        self.size.live_bytes += now.as_ref().map_or(0, bytes);
        self.size.live_bytes -= before.as_ref().map_or(0, bytes);
        self.size.keys += u64::from(now.is_some());
        self.size.keys -= u64::from(before.is_some());
        if let Some(index) = self.keys.get_mut(&key) {
            index.push(version);
        } else {
            self.keys.insert(key.clone(), KeyIndex::new(version));
        }
        let (revision, sub_revision) = (write.main, write.changes);
        self.log.push_back(KeyEvent { key, revision, sub_revision, kv: now, prev_kv: before });
        write.changes += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Value for String {
        fn size(&self) -> usize {
            self.len()
        }
        fn order(&self, other: &Self) -> std::cmp::Ordering {
            self.cmp(other)
        }
        fn hash_bytes(&self, hash: &mut dyn FnMut(&[u8])) {
            hash(self.as_bytes());
        }
    }

    fn delete(key: &str) -> DeleteRange {
        DeleteRange { range: KeyRange::Key(key.into()), prev_kv: false }
    }

    #[test]
    fn versions_restart_with_a_new_life_and_create_revision() {
        let mut store = Store::default();
        for value in ["1", "2"] {
            store.put(&Put::new("a", value.to_string())).unwrap();
        }
        assert_eq!(store.delete_range(&delete("a")).deleted, 1);
        store.put(&Put::new("a", "3".to_string())).unwrap();
        let kv = store.get("a").unwrap();
        assert_eq!((kv.create_revision, kv.mod_revision, kv.version), (5, 5, 1));
        let kv = store.get_at("a", 3).unwrap();
        assert_eq!((kv.create_revision, kv.mod_revision, kv.version, kv.value.as_str()), (2, 3, 2, "2"));
    }

    #[test]
    fn deleting_nothing_does_not_move_the_revision() {
        let mut store = Store::<String>::default();
        assert_eq!(store.delete_range(&delete("a")).deleted, 0);
        assert_eq!(store.revision(), 1);
    }

    #[test]
    fn sizes_follow_writes_deletes_and_compaction() {
        let mut store = Store::default();
        store.put(&Put::new("ab", "12345".to_string())).unwrap();
        store.put(&Put::new("ab", "1".to_string())).unwrap();
        assert_eq!(store.size(), Size { keys: 1, live_bytes: 3, total_bytes: 10 });
        store.compact(3).unwrap();
        assert_eq!(store.size(), Size { keys: 1, live_bytes: 3, total_bytes: 3 });
        store.delete_range(&delete("ab"));
        store.put(&Put::new("b", String::new())).unwrap();
        store.compact(5).unwrap();
        assert_eq!(store.size(), Size { keys: 1, live_bytes: 1, total_bytes: 1 });
        assert_eq!(store.keys.len(), 1);
    }

    #[test]
    fn compaction_refuses_the_past_and_the_future() {
        let mut store = Store::default();
        store.put(&Put::new("a", "1".to_string())).unwrap();
        assert_eq!(store.compact(3), Err(EtcdError::FutureRevision));
        assert_eq!(store.compact(2), Ok(()));
        assert_eq!(store.compact(2), Err(EtcdError::Compacted));
    }

    /// The event at the compact revision stays watchable; what was before it does not.
    #[test]
    fn a_watch_may_begin_at_the_compact_revision() {
        let mut store = Store::default();
        for value in ["1", "2", "3"] {
            store.put(&Put::new("a", value.to_string())).unwrap();
        }
        store.compact(3).unwrap();
        let events: Vec<_> = store.events_from(3).map(|event| store.visible(event, true)).collect();
        assert_eq!(events.iter().map(|event| event.revision).collect::<Vec<_>>(), [3, 4]);
        assert!(events[0].prev_kv.is_none() && events[1].prev_kv.is_some());
    }
}
