//! A member's whole state: what a lagging member is sent, and what `etcdctl snapshot save` writes.
//!
//! Models: etcd v3.6 server/etcdserver/snapshot_merge.go, etcdutl/snapshot/v3_snapshot.go.

use super::database::Database;
use super::members::Formation;
use super::request::Value;
use super::store::Store;

/// A copy of store and database.
#[derive(Clone, Debug)]
pub struct Image<V> {
    /// The keys with their history, the leases, the members.
    pub store: Store<V>,
    /// The database file.
    pub(super) database: Database,
    /// The last entry applied to it.
    pub raft_index: u64,
}

/// Two images of one log are equal when they end at the same entry.
impl<V> PartialEq for Image<V> {
    fn eq(&self, other: &Self) -> bool {
        self.raft_index == other.raft_index
    }
}

/// What `etcdutl snapshot status` tells.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ImageStatus {
    /// Hash over the records.
    pub hash: u32,
    /// Revision.
    pub revision: u64,
    /// Keys that exist, however many versions of them there are.
    pub keys: u64,
    /// The file. [bytes]
    pub size: u64,
}

/// How a snapshot becomes a new cluster.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct RestoreOptions {
    /// How far revisions skip ahead, so that no client's cache lies in the future. – etcdutl: --bump-revision.
    pub bump_revision: u64,
    /// Whether watches and reads of what was before are refused. – etcdutl: --mark-compacted.
    pub mark_compacted: bool,
}

impl<V: Value> Image<V> {
    /// What there is to say about it.
    pub fn status(&self) -> ImageStatus {
        ImageStatus {
            hash: self.store.hash_kv(0).hash,
            revision: self.store.revision(),
            keys: self.store.size().keys,
            size: self.database.size(),
        }
    }

    /// The store and database with which every member of a new cluster begins.
    pub(super) fn restored(&self, formation: &Formation, options: RestoreOptions) -> (Store<V>, Database) {
        let mut store = self.store.clone();
        store.set_members(formation.members(false));
        store.bump(options.bump_revision, options.mark_compacted);
        (store, self.database.clone())
    }
}
