//! What a client may ask of etcd; what it hears back is in `reply`.
//!
//! Models: etcd v3.6 api/etcdserverpb/rpc.proto, api/mvccpb/kv.proto. Left out: comparing a whole range,
//! watch filters, authentication; keys are text (Kubernetes writes no other).

use std::cmp::Ordering;
use std::sync::Arc;

use super::lease::LeaseId;
use super::members::{AlarmRequest, MemberChange};

/// A key, shared by everything that names it.
pub type Key = Arc<str>;

/// What etcd stores under a key; to etcd itself it is bytes.
pub trait Value: Clone {
    /// How many bytes it would be on disk.
    fn size(&self) -> usize;
    /// How its bytes compare to another's, for transactions that compare values.
    fn order(&self, other: &Self) -> Ordering;
    /// It is stored, at this revision. For values that carry their version, as their readers would set it after every
    /// read.
    fn committed(&mut self, _revision: u64) {}
    /// Its bytes, for the hash over the store. Values that only know their size give what tells them apart.
    fn hash_bytes(&self, hash: &mut dyn FnMut(&[u8])) {
        hash(&self.size().to_be_bytes());
    }
}

/// A set of keys.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum KeyRange {
    /// One key.
    Key(Key),
    /// All keys that begin with this; the empty prefix is every key.
    Prefix(Key),
    /// From one key up to, but without, another.
    Span {
        /// First key.
        from: Key,
        /// First key that is not in it.
        to: Key,
    },
    /// This key and everything after it.
    From(Key),
}

impl KeyRange {
    /// The smallest key it could hold.
    pub fn start(&self) -> &str {
        match self {
            KeyRange::Key(key) | KeyRange::Prefix(key) | KeyRange::From(key) | KeyRange::Span { from: key, .. } => key,
        }
    }

    /// Whether `key` is in it.
    pub fn contains(&self, key: &str) -> bool {
        key >= self.start() && self.reaches(key)
    }

    /// Whether `key`, which is not below the start, is in it.
    pub fn reaches(&self, key: &str) -> bool {
        match self {
            KeyRange::Key(only) => key == &**only,
            KeyRange::Prefix(prefix) => key.starts_with(&**prefix),
            KeyRange::Span { to, .. } => key < &**to,
            KeyRange::From(_) => true,
        }
    }
}

/// A key with its value at some revision. Revisions are main revisions: Kubernetes' resourceVersion is `mod_revision`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeyValue<V> {
    /// The key.
    pub key: Key,
    /// Revision of the put that began the key's present life.
    pub create_revision: u64,
    /// Revision of the last put.
    pub mod_revision: u64,
    /// Puts in the present life, from 1.
    pub version: u64,
    /// The lease it dies with; 0 is none.
    pub lease: LeaseId,
    /// The value.
    pub value: V,
}

/// A change of one key: what a watch tells.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeyEvent<V> {
    /// The key.
    pub key: Key,
    /// Revision of the change.
    pub revision: u64,
    /// Its place among the changes of that revision, from 0.
    pub sub_revision: u32,
    /// The key now; `None` is a delete.
    pub kv: Option<Arc<KeyValue<V>>>,
    /// The key before, if it lived and the revision before is not compacted.
    pub prev_kv: Option<Arc<KeyValue<V>>>,
}

/// Asks for keys.
#[derive(Clone, PartialEq, Debug)]
pub struct RangeRequest {
    /// Which keys.
    pub range: KeyRange,
    /// As of which revision; 0 is now.
    pub revision: u64,
    /// At most so many; 0 is all.
    pub limit: usize,
    /// By what the answer is sorted.
    pub sort: SortTarget,
    /// In which direction.
    pub order: SortOrder,
    /// Only the number of keys.
    pub count_only: bool,
    /// Without the values.
    pub keys_only: bool,
    /// Last put not before this; 0 is any.
    pub min_mod_revision: u64,
    /// Last put not after this; 0 is any.
    pub max_mod_revision: u64,
    /// Created not before this; 0 is any.
    pub min_create_revision: u64,
    /// Created not after this; 0 is any.
    pub max_create_revision: u64,
    /// Whether the member may answer from what it has, without asking the quorum.
    pub serializable: bool,
}

impl RangeRequest {
    /// All of `range`, now, linearizable.
    pub fn new(range: KeyRange) -> Self {
        RangeRequest {
            range,
            revision: 0,
            limit: 0,
            sort: SortTarget::Key,
            order: SortOrder::None,
            count_only: false,
            keys_only: false,
            min_mod_revision: 0,
            max_mod_revision: 0,
            min_create_revision: 0,
            max_create_revision: 0,
            serializable: false,
        }
    }
}

/// What a range's answer is sorted by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SortTarget {
    /// Key.
    Key,
    /// Number of puts.
    Version,
    /// Revision of the creation.
    Create,
    /// Revision of the last put.
    Mod,
    /// Value.
    Value,
}

/// The direction of a sort.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SortOrder {
    /// As stored: by key.
    None,
    /// Smallest first.
    Ascend,
    /// Largest first.
    Descend,
}

/// Asks to write a key.
#[derive(Clone, PartialEq, Debug)]
pub struct Put<V> {
    /// The key.
    pub key: Key,
    /// The value; `None` keeps the present one (etcd: ignore_value).
    pub value: Option<V>,
    /// The lease; 0 is none.
    pub lease: LeaseId,
    /// Keeps the present lease instead.
    pub ignore_lease: bool,
    /// Whether the answer holds what was there before.
    pub prev_kv: bool,
}

impl<V> Put<V> {
    /// Writes `value` without a lease.
    pub fn new(key: impl Into<Key>, value: V) -> Self {
        Put { key: key.into(), value: Some(value), lease: LeaseId::NONE, ignore_lease: false, prev_kv: false }
    }
}

/// Asks to delete keys.
#[derive(Clone, PartialEq, Debug)]
pub struct DeleteRange {
    /// Which.
    pub range: KeyRange,
    /// Whether the answer holds what was there.
    pub prev_kv: bool,
}

/// If all comparisons hold then one list of operations, else another, in one revision.
#[derive(Clone, PartialEq, Debug)]
pub struct Txn<V> {
    /// The comparisons.
    pub compare: Vec<Compare<V>>,
    /// Done if all hold.
    pub success: Vec<Op<V>>,
    /// Done if not.
    pub failure: Vec<Op<V>>,
}

/// One comparison: the key's `target` stands in `relation` to the given value.
#[derive(Clone, PartialEq, Debug)]
pub struct Compare<V> {
    /// The key.
    pub key: Key,
    /// How they must compare.
    pub relation: Relation,
    /// What is compared, and with what.
    pub target: CompareTarget<V>,
}

/// How two values compare.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Relation {
    /// The same.
    Equal,
    /// Not the same.
    NotEqual,
    /// The key's is greater.
    Greater,
    /// The key's is less.
    Less,
}

/// What a comparison looks at. A key that does not exist has 0 everywhere and no value.
#[derive(Clone, PartialEq, Debug)]
pub enum CompareTarget<V> {
    /// Puts in its present life.
    Version(u64),
    /// Revision of its creation.
    Create(u64),
    /// Revision of its last put.
    Mod(u64),
    /// Its value.
    Value(V),
    /// Its lease.
    Lease(LeaseId),
}

/// One operation of a transaction.
#[derive(Clone, PartialEq, Debug)]
pub enum Op<V> {
    /// Read.
    Range(RangeRequest),
    /// Write.
    Put(Put<V>),
    /// Delete.
    Delete(DeleteRange),
    /// A transaction inside.
    Txn(Txn<V>),
}

/// Asks to be told of changes. The watch is known by the id of the request that created it.
#[derive(Clone, PartialEq, Debug)]
pub struct WatchRequest {
    /// Of which keys.
    pub range: KeyRange,
    /// From which revision on; 0 is from the next.
    pub start_revision: u64,
    /// With what was there before.
    pub prev_kv: bool,
    /// With a word now and then when nothing changes.
    pub progress_notify: bool,
    /// It ends when the member has had no leader for three election time-outs (the API server asks for that).
    pub require_leader: bool,
}

/// A request to a member.
#[derive(Clone, PartialEq, Debug)]
pub enum Request<V> {
    /// Read.
    Range(RangeRequest),
    /// Write.
    Put(Put<V>),
    /// Delete.
    Delete(DeleteRange),
    /// Compare and do.
    Txn(Txn<V>),
    /// Forget history before a revision.
    Compact(u64),
    /// The same, and answer only when the records are out of this member's database.
    CompactPhysical(u64),
    /// A new lease.
    LeaseGrant {
        /// Its id; 0 lets the member choose.
        id: LeaseId,
        /// How long it lives without being kept alive. [s]
        ttl: i64,
    },
    /// End a lease, and delete its keys.
    LeaseRevoke(LeaseId),
    /// Start a lease's time anew.
    LeaseKeepAlive(LeaseId),
    /// How long a lease still has.
    LeaseTimeToLive {
        /// Which.
        id: LeaseId,
        /// Whether to name its keys.
        keys: bool,
    },
    /// The leases there are.
    LeaseList,
    /// Begin a watch.
    Watch(WatchRequest),
    /// End the watch that the request of this id began.
    WatchCancel(u64),
    /// Ask for a word on the client's watches: the revision they have all seen.
    WatchProgress,
    /// How the member is.
    Status,
    /// The members there are; serializable: as far as this member knows.
    MemberList {
        /// Whether the quorum need not be asked.
        serializable: bool,
    },
    /// A new member at these peer URLs (comma-separated); its process starts afterwards.
    MemberAdd {
        /// Where it will listen for the others.
        peer_urls: Arc<str>,
        /// Whether it only listens at first.
        learner: bool,
    },
    /// One member less.
    MemberRemove(u64),
    /// A learner votes from now on.
    MemberPromote(u64),
    /// The others reach a member elsewhere.
    MemberUpdate {
        /// Its identity, which stays as it is.
        id: u64,
        /// Where it listens for the others (comma-separated).
        peer_urls: Arc<str>,
    },
    /// Another member shall lead.
    MoveLeader(u64),
    /// The alarms: list, raise, disarm.
    Alarm(AlarmRequest),
    /// Rewrite this member's database file without its holes; the member answers nobody meanwhile.
    Defragment,
    /// The hash over the store's history up to a revision; 0 is now.
    HashKv(u64),
    /// This member's whole state.
    Snapshot,
}

/// A change of the store, in the order of commits.
#[derive(Clone, PartialEq, Debug)]
pub enum Proposal<V> {
    /// Write.
    Put(Put<V>),
    /// Delete.
    Delete(DeleteRange),
    /// Compare and do.
    Txn(Txn<V>),
    /// Forget history before a revision.
    Compact(u64),
    /// A new lease; id and time are settled.
    LeaseGrant {
        /// Its id.
        id: LeaseId,
        /// Its full time. [s]
        ttl: i64,
    },
    /// End a lease.
    LeaseRevoke(LeaseId),
    /// List, raise or disarm alarms: in the order of commits, even to list them.
    Alarm(AlarmRequest),
    /// Members come, go, vote, or say their name.
    Members(MemberChange),
}

/// What the frame of an entry or an operation adds to keys and values. [bytes]
const FRAME: usize = 16;

impl<V: Value> Put<V> {
    /// Bytes on the wire.
    pub fn size(&self) -> usize {
        FRAME + self.key.len() + self.value.as_ref().map_or(0, Value::size)
    }
}

impl<V: Value> Txn<V> {
    /// Bytes on the wire.
    pub fn size(&self) -> usize {
        let compares: usize = self.compare.iter().map(|compare| FRAME + compare.key.len()).sum();
        let ops = self.success.iter().chain(&self.failure).map(|op| match op {
            Op::Put(put) => put.size(),
            Op::Range(read) => FRAME + read.range.start().len(),
            Op::Delete(delete) => FRAME + delete.range.start().len(),
            Op::Txn(inner) => inner.size(),
        });
        compares + ops.sum::<usize>() + FRAME
    }
}

impl<V: Value> Proposal<V> {
    /// Bytes in the log.
    pub fn size(&self) -> usize {
        match self {
            Proposal::Put(put) => put.size(),
            Proposal::Delete(delete) => FRAME + delete.range.start().len(),
            Proposal::Txn(txn) => txn.size(),
            Proposal::Members(_) => 10 * FRAME,
            Proposal::Compact(_) | Proposal::LeaseGrant { .. } | Proposal::LeaseRevoke(_) => FRAME,
            Proposal::Alarm(_) => FRAME,
        }
    }

    /// What the quota counts for it: nothing unless it writes. [bytes] – etcd: BackendQuota.Cost.
    pub fn quota_cost(&self) -> usize {
        match self {
            Proposal::Put(put) => put.quota_cost(),
            Proposal::Txn(txn) => txn.quota_cost(),
            Proposal::LeaseGrant { .. } => 64,
            _ => 0,
        }
    }
}

impl<V: Value> Put<V> {
    fn quota_cost(&self) -> usize {
        256 + self.key.len() + self.value.as_ref().map_or(0, Value::size)
    }
}

impl<V: Value> Txn<V> {
    fn quota_cost(&self) -> usize {
        let cost = |ops: &[Op<V>]| ops.iter().map(|op| if let Op::Put(put) = op { put.quota_cost() } else { 0 }).sum();
        usize::max(cost(&self.success), cost(&self.failure))
    }
}

/// A proposal with the name under which its proposer waits for it.
#[derive(Clone, PartialEq, Debug)]
pub struct Command<V> {
    /// The proposing member in the upper byte, its counter below.
    pub id: u64,
    /// What is proposed.
    pub proposal: Proposal<V>,
}

impl<V: Value> super::raft::Payload for Arc<Command<V>> {
    fn size(&self) -> usize {
        self.proposal.size()
    }
}
