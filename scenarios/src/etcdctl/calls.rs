//! What etcdctl asks for: plain data, in the terms of etcd's API. What it hears back is in `answers`.
//!
//! Models: etcd v3.6.13 api/etcdserverpb/rpc.proto, api/mvccpb/kv.proto.
//! Left out: authentication, downgrades, fragments.

use super::answers::Alarm;

/// Keys and values.
pub type Bytes = Vec<u8>;

/// Something a process waits for.
#[derive(Clone, Debug, PartialEq)]
pub enum Call {
    /// One request, answered by `Answer::Outcome`.
    Request(Request),
    /// Requests sent at once, answered by `Answer::Outcomes` when the last is answered.
    Parallel(Vec<Request>),
    /// The next response of an open watch, answered by `Watched` or `WatchBroken`.
    WatchNext {
        /// Index of the watch among the process's successful watch requests, from 0.
        stream: usize,
    },
    /// Sleep, answered by `Slept`.
    Sleep {
        /// [ns]
        ns: u64,
    },
    /// Work on a file of the machine the process runs on, answered by `File`.
    File(FileCall),
}

/// A request to a member.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// Addresses as the user wrote them: `127.0.0.1:2379`, `http://…`, `https://…`. The client connects to all of them
    /// and sends over a connection that is up: the first of the list whose member can be reached. Never empty.
    pub endpoints: Vec<String>,
    /// The request.
    pub call: EtcdCall,
    /// When etcdctl gives up: then the outcome is `RpcError::Deadline`. [ns since the Unix epoch]
    pub deadline: Option<i64>,
}

/// A set of keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Keys {
    /// One key.
    One(Bytes),
    /// From `from` up to, but without, `to`.
    Span {
        /// First key.
        from: Bytes,
        /// First key that is not in it.
        to: Bytes,
    },
    /// This key and everything after it.
    From(Bytes),
    /// All keys that begin with this; empty is every key.
    Prefix(Bytes),
}

impl Keys {
    /// Whether `key` is in it.
    pub fn contains(&self, key: &[u8]) -> bool {
        match self {
            Keys::One(only) => key == only.as_slice(),
            Keys::Span { from, to } => key >= from.as_slice() && key < to.as_slice(),
            Keys::From(from) => key >= from.as_slice(),
            Keys::Prefix(prefix) => key.starts_with(prefix),
        }
    }
}

/// What the answer to a range is sorted by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SortTarget {
    /// Key.
    #[default]
    Key,
    /// Puts in the present life.
    Version,
    /// Revision of the creation.
    Create,
    /// Revision of the last put.
    Mod,
    /// Value.
    Value,
}

/// The direction of a sort.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SortOrder {
    /// By key as stored; for other targets than the key the server takes it as ascending.
    #[default]
    None,
    /// Smallest first.
    Ascend,
    /// Largest first.
    Descend,
}

/// Reads keys. Revisions of 0 mean "now" and "no bound", a limit of 0 "all".
#[derive(Clone, Debug, PartialEq)]
pub struct RangeCall {
    /// Which.
    pub keys: Keys,
    /// As of which revision.
    pub revision: i64,
    /// At most so many.
    pub limit: i64,
    /// Sorted by this.
    pub sort: SortTarget,
    /// In this direction.
    pub order: SortOrder,
    /// Answered by the member alone, without asking the quorum.
    pub serializable: bool,
    /// Without values.
    pub keys_only: bool,
    /// Only the number.
    pub count_only: bool,
    /// Last put not before.
    pub min_mod_revision: i64,
    /// Last put not after.
    pub max_mod_revision: i64,
    /// Created not before.
    pub min_create_revision: i64,
    /// Created not after.
    pub max_create_revision: i64,
}

/// Writes a key.
#[derive(Clone, Debug, PartialEq)]
pub struct PutCall {
    /// The key.
    pub key: Bytes,
    /// The value; None keeps the present one.
    pub value: Option<Bytes>,
    /// The lease; 0 is none.
    pub lease: i64,
    /// Keeps the present lease.
    pub ignore_lease: bool,
    /// Answers with what was there.
    pub prev_kv: bool,
}

/// Deletes keys.
#[derive(Clone, Debug, PartialEq)]
pub struct DeleteCall {
    /// Which.
    pub keys: Keys,
    /// Answers with what was there.
    pub prev_kv: bool,
}

/// How two values compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// `=`
    Equal,
    /// `!=`
    NotEqual,
    /// `>`: the key's is greater.
    Greater,
    /// `<`: the key's is less.
    Less,
}

/// What a comparison looks at, and what with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CompareTarget {
    /// Puts in the present life.
    Version(i64),
    /// Revision of the creation.
    Create(i64),
    /// Revision of the last put.
    Mod(i64),
    /// The value.
    Value(Bytes),
}

/// One comparison of a transaction.
#[derive(Clone, Debug, PartialEq)]
pub struct Compare {
    /// The key.
    pub key: Bytes,
    /// How they must compare.
    pub relation: Relation,
    /// What is compared.
    pub target: CompareTarget,
}

/// One operation of a transaction.
#[derive(Clone, Debug, PartialEq)]
pub enum OpCall {
    /// Read.
    Range(RangeCall),
    /// Write.
    Put(PutCall),
    /// Delete.
    Delete(DeleteCall),
}

/// If all comparisons hold then `success` else `failure`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TxnCall {
    /// The comparisons.
    pub compares: Vec<Compare>,
    /// Done if all hold.
    pub success: Vec<OpCall>,
    /// Done if not.
    pub failure: Vec<OpCall>,
}

/// Opens a watch.
#[derive(Clone, Debug, PartialEq)]
pub struct WatchCall {
    /// Of which keys.
    pub keys: Keys,
    /// From which revision; 0 is from the next.
    pub start_revision: i64,
    /// With what was there before.
    pub prev_kv: bool,
    /// With a word now and then when nothing changes.
    pub progress_notify: bool,
}

/// A request to etcd.
#[derive(Clone, Debug, PartialEq)]
pub enum EtcdCall {
    /// KV.Range
    Range(RangeCall),
    /// KV.Put
    Put(PutCall),
    /// KV.DeleteRange
    DeleteRange(DeleteCall),
    /// KV.Txn
    Txn(TxnCall),
    /// KV.Compact
    Compact {
        /// Forget what came before.
        revision: i64,
        /// Answer only when it is gone from the file.
        physical: bool,
    },
    /// Lease.LeaseGrant; the server chooses the id.
    LeaseGrant {
        /// [s]
        ttl: i64,
    },
    /// Lease.LeaseRevoke
    LeaseRevoke {
        /// Which.
        id: i64,
    },
    /// One message on a Lease.LeaseKeepAlive stream
    LeaseKeepAlive {
        /// Which.
        id: i64,
    },
    /// Lease.LeaseTimeToLive
    LeaseTimeToLive {
        /// Which.
        id: i64,
        /// With the names of its keys.
        keys: bool,
    },
    /// Lease.LeaseLeases
    Leases,
    /// Watch.Watch: answered by `Reply::Watching` when it is open, then by the answers to `Call::WatchNext`. A start
    /// revision that is compacted is told by the first response, not by an error. The client requires a leader.
    Watch(WatchCall),
    /// Maintenance.Status
    Status,
    /// Maintenance.HashKV
    HashKv {
        /// Up to which revision; 0 is all.
        revision: i64,
    },
    /// Maintenance.Defragment
    Defragment,
    /// Maintenance.Alarm, GET of all
    AlarmList,
    /// Maintenance.Alarm, DEACTIVATE
    AlarmDisarm(Alarm),
    /// Cluster.MemberList
    MemberList {
        /// Asks the quorum first.
        linearizable: bool,
    },
    /// Cluster.MemberAdd
    MemberAdd {
        /// Where it listens for its peers.
        peer_urls: Vec<String>,
        /// As a member without a vote.
        learner: bool,
    },
    /// Cluster.MemberRemove
    MemberRemove {
        /// Which.
        id: u64,
    },
    /// Cluster.MemberPromote
    MemberPromote {
        /// Which.
        id: u64,
    },
    /// Cluster.MemberUpdate
    MemberUpdate {
        /// Which.
        id: u64,
        /// Where it listens for its peers.
        peer_urls: Vec<String>,
    },
    /// Maintenance.MoveLeader
    MoveLeader {
        /// The new leader.
        target: u64,
    },
    /// Maintenance.Snapshot; the host keeps what comes under this path.
    Snapshot {
        /// The file.
        path: String,
    },
}

/// Work on a file.
#[derive(Clone, Debug, PartialEq)]
pub enum FileCall {
    /// Looks at a snapshot or a database file.
    SnapshotStatus {
        /// The file.
        path: String,
    },
    /// Makes a data directory of a snapshot.
    SnapshotRestore(Restore),
    /// Rewrites the database of a data directory.
    Defragment {
        /// The directory.
        data_dir: String,
    },
    /// Hash of a database file's history.
    HashKv {
        /// The file.
        path: String,
        /// Up to which revision; 0 is all.
        revision: i64,
    },
}

/// `etcdutl snapshot restore`
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Restore {
    /// The snapshot.
    pub path: String,
    /// The new member's name.
    pub name: String,
    /// Where it goes; must be empty or not exist.
    pub data_dir: String,
    /// The members of the new cluster: name and peer URL, as given.
    pub initial_cluster: Vec<(String, String)>,
    /// Goes into the ids.
    pub token: String,
    /// The new member's peer URLs.
    pub peer_urls: Vec<String>,
    /// Takes a file without the hash that `snapshot save` appends.
    pub skip_hash_check: bool,
    /// By how much the revision rises.
    pub bump_revision: u64,
    /// Whether everything up to the new revision counts as compacted.
    pub mark_compacted: bool,
}
