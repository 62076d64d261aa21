//! What a client hears back from etcd.
//!
//! Models: etcd v3.6 api/etcdserverpb/rpc.proto. Left out: the header's names of cluster and member, watch fragments.

use std::sync::Arc;

use super::error::EtcdError;
use super::image::Image;
use super::lease::LeaseId;
use super::members::{AlarmMember, MemberInfo};
use super::request::{Key, KeyEvent, KeyValue};
use crate::kernel::Duration;
use crate::kernel::out::RecordId;

/// An answer. `revision` is the store's revision when it was made.
#[derive(Clone, PartialEq, Debug)]
pub struct Response<V> {
    /// The store's revision (header.revision).
    pub revision: u64,
    /// The Raft term (header.raft_term).
    pub term: u64,
    /// The answer.
    pub body: Result<Reply<V>, EtcdError>,
}

/// The answer proper.
#[derive(Clone, PartialEq, Debug)]
pub enum Reply<V> {
    /// To a read.
    Range(RangeReply<V>),
    /// To a write: what was there before, if asked for.
    Put(Option<Arc<KeyValue<V>>>),
    /// To a delete.
    Delete(DeleteReply<V>),
    /// To a transaction.
    Txn(TxnReply<V>),
    /// History is forgotten.
    Compacted,
    /// A lease was granted or kept alive.
    Lease {
        /// Which.
        id: LeaseId,
        /// Its full time. [s]
        ttl: i64,
    },
    /// A lease ended.
    LeaseRevoked,
    /// How long a lease still has.
    LeaseTimeToLive(LeaseTimeToLive),
    /// The leases there are.
    Leases(Vec<LeaseId>),
    /// Something about a watch.
    Watch(WatchReply<V>),
    /// How the member is.
    Status(Box<Status>),
    /// The members, after the change if one was asked for.
    Members(Vec<MemberInfo>),
    /// A member that was added, and all members.
    MemberAdded(Box<MemberInfo>, Vec<MemberInfo>),
    /// Another member leads now.
    LeaderMoved,
    /// The alarms that were listed, raised or disarmed.
    Alarms(Vec<AlarmMember>),
    /// The database file is without holes.
    Defragmented {
        /// How long it took.
        took: Duration,
    },
    /// The hash over the store.
    HashKv(HashKv),
    /// The member's state.
    Snapshot(Arc<Image<V>>),
}

/// The keys found.
#[derive(Clone, PartialEq, Debug)]
pub struct RangeReply<V> {
    /// The keys. When only keys were asked for, the values are not part of the answer: do not look.
    pub kvs: Vec<Arc<KeyValue<V>>>,
    /// Whether the limit left some out.
    pub more: bool,
    /// How many keys the range holds, limit and filters aside.
    pub count: usize,
    /// Whether only keys were asked for.
    pub keys_only: bool,
}

/// What a delete did.
#[derive(Clone, PartialEq, Debug)]
pub struct DeleteReply<V> {
    /// How many keys.
    pub deleted: usize,
    /// What was there, if asked for.
    pub prev_kvs: Vec<Arc<KeyValue<V>>>,
}

/// What a transaction did.
#[derive(Clone, PartialEq, Debug)]
pub struct TxnReply<V> {
    /// Whether all comparisons held.
    pub succeeded: bool,
    /// One answer per operation done.
    pub replies: Vec<Reply<V>>,
}

/// How long a lease still has.
#[derive(Clone, PartialEq, Debug)]
pub struct LeaseTimeToLive {
    /// Which.
    pub id: LeaseId,
    /// Whole seconds left; -1 when there is no such lease. [s]
    pub ttl: i64,
    /// Its full time. [s]
    pub granted_ttl: i64,
    /// Its keys, if asked for.
    pub keys: Vec<Key>,
}

/// What a watch tells.
#[derive(Clone, PartialEq, Debug)]
pub enum WatchReply<V> {
    /// It is set up.
    Created,
    /// Something changed; all changes of a revision come together. Empty: nothing did, up to the header's revision.
    Events {
        /// The changes, in order.
        events: Vec<KeyEvent<V>>,
        /// For each the record that caused it.
        causes: Vec<RecordId>,
    },
    /// Nothing changed up to the header's revision, for all watches of this client.
    Progress,
    /// Its start is compacted; it is over.
    Compacted {
        /// The oldest revision one can watch from.
        compact_revision: u64,
    },
    /// It is over, as asked.
    Canceled,
}

/// How a member is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Status {
    /// Its identity.
    pub member_id: u64,
    /// The leader's identity; 0 when it knows none.
    pub leader: u64,
    /// The leader's number.
    pub leader_number: Option<u8>,
    /// Whether this member only listens.
    pub learner: bool,
    /// Last entry committed.
    pub raft_index: u64,
    /// The Raft term.
    pub raft_term: u64,
    /// Last entry applied.
    pub raft_applied_index: u64,
    /// The database file. [bytes]
    pub db_size: u64,
    /// The part of it that is in use. [bytes]
    pub db_size_in_use: u64,
    /// What it may grow to. [bytes]
    pub db_size_quota: u64,
    /// Which version's data format the database says it has.
    pub storage_version: &'static str,
    /// What is wrong: `etcdserver: no leader`, then the alarms.
    pub errors: Vec<String>,
}

/// A hash over the store's history.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HashKv {
    /// CRC-32C over everything that is readable up to the revision.
    pub hash: u32,
    /// The revision.
    pub revision: u64,
    /// From where on history is readable.
    pub compact_revision: u64,
}
