//! What etcdctl asks for, and what it hears back: plain data, in the terms of etcd's API.
//!
//! Models: etcd v3.6.13 api/etcdserverpb/rpc.proto, api/mvccpb/kv.proto. Left out: authentication, downgrade, fragments.

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

/// What came of a call. Every answer carries the time at which the process has it. [ns since the Unix epoch]
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// Of a request.
    Outcome(Outcome),
    /// Of parallel requests, in their order.
    Outcomes(Vec<Outcome>),
    /// A response of a watch.
    Watched {
        /// When.
        at: i64,
        /// What.
        response: WatchResponse,
    },
    /// The connection of a watch is gone: the member is down or unreachable.
    WatchBroken {
        /// When.
        at: i64,
    },
    /// The sleep is over.
    Slept {
        /// When.
        at: i64,
    },
    /// Of work on a file.
    File {
        /// When.
        at: i64,
        /// What.
        result: Result<FileReply, FileError>,
    },
}

impl Answer {
    /// When the process has it. [ns since the Unix epoch]
    pub fn at(&self) -> i64 {
        match self {
            Answer::Outcome(outcome) => outcome.at,
            Answer::Outcomes(outcomes) => outcomes.iter().map(|o| o.at).max().unwrap_or(0),
            Answer::Watched { at, .. }
            | Answer::WatchBroken { at }
            | Answer::Slept { at }
            | Answer::File { at, .. } => *at,
        }
    }
}

/// What came of a request.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// When. [ns since the Unix epoch]
    pub at: i64,
    /// What.
    pub result: Result<Response, RpcError>,
}

/// Why a request has no response.
#[derive(Clone, Debug, PartialEq)]
pub enum RpcError {
    /// The server says so.
    Status {
        /// gRPC's code.
        code: Code,
        /// Such as `etcdserver: request timed out`.
        message: String,
    },
    /// Nobody listens at any of the endpoints, or not with the endpoint's scheme. etcdctl tries again by itself.
    Refused,
    /// The connection was lost after the request had been sent.
    Lost,
    /// The request's deadline has passed.
    Deadline,
}

/// gRPC status codes that etcd uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "gRPC's own names")]
pub enum Code {
    Canceled,
    Unknown,
    InvalidArgument,
    DeadlineExceeded,
    NotFound,
    AlreadyExists,
    PermissionDenied,
    ResourceExhausted,
    FailedPrecondition,
    Aborted,
    OutOfRange,
    Unimplemented,
    Internal,
    Unavailable,
    DataLoss,
    Unauthenticated,
}

/// What every response begins with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Header {
    /// The cluster.
    pub cluster_id: u64,
    /// The member that answers.
    pub member_id: u64,
    /// The store's revision; 0 in answers of the cluster API.
    pub revision: i64,
    /// The Raft term.
    pub raft_term: u64,
}

/// A response.
#[derive(Clone, Debug, PartialEq)]
pub struct Response {
    /// From whom and when.
    pub header: Header,
    /// What.
    pub reply: Reply,
}

/// A key with its value.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct KeyValue {
    /// The key.
    pub key: Bytes,
    /// Revision of the put that began its present life.
    pub create_revision: i64,
    /// Revision of the last put.
    pub mod_revision: i64,
    /// Puts in the present life.
    pub version: i64,
    /// The value.
    pub value: Bytes,
    /// The lease; 0 is none.
    pub lease: i64,
}

/// The answer to a read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RangeReply {
    /// The keys, sorted and limited.
    pub kvs: Vec<KeyValue>,
    /// Whether the limit left some out.
    pub more: bool,
    /// All keys in the range, whatever the limit and the bounds.
    pub count: i64,
}

/// The answer to a delete.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DeleteReply {
    /// How many.
    pub deleted: i64,
    /// What was there, if asked for.
    pub prev_kvs: Vec<KeyValue>,
}

/// The answer to an operation of a transaction.
#[derive(Clone, Debug, PartialEq)]
pub enum OpReply {
    /// To a read.
    Range(RangeReply),
    /// To a write: what was there, if asked for.
    Put(Option<KeyValue>),
    /// To a delete.
    Delete(DeleteReply),
}

/// A member's status.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Status {
    /// Such as `3.6.13`.
    pub version: String,
    /// Such as `3.6.0`.
    pub storage_version: String,
    /// The file. [bytes]
    pub db_size: i64,
    /// Used of it. [bytes]
    pub db_size_in_use: i64,
    /// [bytes]
    pub db_size_quota: i64,
    /// The leader's id; 0 is none.
    pub leader: u64,
    /// Last index of the log.
    pub raft_index: u64,
    /// Term.
    pub raft_term: u64,
    /// Last applied index.
    pub raft_applied_index: u64,
    /// Such as `etcdserver: no leader`, `memberID:1 alarm:NOSPACE `.
    pub errors: Vec<String>,
    /// Whether it has no vote.
    pub is_learner: bool,
}

/// Why a member raised an alarm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AlarmType {
    /// The space quota is used up.
    NoSpace,
    /// The member's data differs from the others'.
    Corrupt,
}

/// An alarm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Alarm {
    /// Who raised it.
    pub member: u64,
    /// Why.
    pub alarm: AlarmType,
}

/// A member of the cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Member {
    /// Its id.
    pub id: u64,
    /// Its name, empty until it has started.
    pub name: String,
    /// Where it listens for its peers.
    pub peer_urls: Vec<String>,
    /// Where it listens for clients, empty until it has started.
    pub client_urls: Vec<String>,
    /// Whether it has no vote.
    pub is_learner: bool,
}

/// What a request is answered with.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// To `Range`.
    Range(RangeReply),
    /// To `Put`: what was there, if asked for.
    Put(Option<KeyValue>),
    /// To `DeleteRange`.
    DeleteRange(DeleteReply),
    /// To `Txn`.
    Txn {
        /// Whether all comparisons held.
        succeeded: bool,
        /// Of the operations done, in their order.
        responses: Vec<OpReply>,
    },
    /// To `LeaseGrant`.
    LeaseGrant {
        /// Its id.
        id: i64,
        /// Its time, which may be more than asked for. [s]
        ttl: i64,
    },
    /// To `LeaseKeepAlive`: the full time, 0 or less if there is no such lease. [s]
    LeaseKeepAlive {
        /// [s]
        ttl: i64,
    },
    /// To `LeaseTimeToLive`; −1 and 0 if there is no such lease.
    LeaseTimeToLive {
        /// What is left. [s]
        ttl: i64,
        /// The full time. [s]
        granted_ttl: i64,
        /// Its keys, if asked for.
        keys: Vec<Bytes>,
    },
    /// To `Leases`.
    Leases(Vec<i64>),
    /// To `Watch`: it is open.
    Watching,
    /// To `Status`.
    Status(Status),
    /// To `HashKv`.
    HashKv(HashKv),
    /// To `AlarmList` and `AlarmDisarm`: the alarms, the disarmed one.
    Alarms(Vec<Alarm>),
    /// To `MemberList`, `MemberRemove`, `MemberPromote`, `MemberUpdate`: the members, ordered by id.
    Members(Vec<Member>),
    /// To `MemberAdd`.
    MemberAdded {
        /// The new one.
        member: Member,
        /// All, ordered by id.
        members: Vec<Member>,
    },
    /// To `Snapshot`: it is saved.
    Snapshot {
        /// The storage version, such as `3.6.0`.
        version: String,
    },
    /// To `Compact`, `LeaseRevoke`, `Defragment`, `MoveLeader`.
    Done,
}

/// Hash of the history.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HashKv {
    /// The hash.
    pub hash: u32,
    /// Up to this revision.
    pub hash_revision: i64,
    /// From this on; −1 is from the beginning.
    pub compact_revision: i64,
}

/// A change of a key.
#[derive(Clone, Debug, PartialEq)]
pub struct WatchEvent {
    /// Whether it was deleted; then `kv` has only key and mod_revision.
    pub delete: bool,
    /// The key now.
    pub kv: KeyValue,
    /// The key before, if asked for and known.
    pub prev_kv: Option<KeyValue>,
}

/// A response of a watch.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WatchResponse {
    /// From whom and when.
    pub header: Header,
    /// The changes; none in a progress notification.
    pub events: Vec<WatchEvent>,
    /// The server has ended the watch.
    pub canceled: bool,
    /// Not 0 if it has because this revision is compacted.
    pub compact_revision: i64,
    /// Why else, such as `etcdserver: no leader`.
    pub cancel_reason: String,
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

/// What came of work on a file.
#[derive(Clone, Debug, PartialEq)]
pub enum FileReply {
    /// Of `SnapshotStatus`.
    SnapshotStatus(SnapshotStatus),
    /// Of `HashKv`.
    HashKv(HashKv),
    /// Of `SnapshotRestore` and `Defragment`.
    Done,
}

/// What a snapshot holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SnapshotStatus {
    /// Of everything.
    pub hash: u32,
    /// The last.
    pub revision: i64,
    /// Of all buckets.
    pub total_key: i64,
    /// [bytes]
    pub total_size: i64,
    /// The storage version, such as `3.6.0`; empty before 3.6.
    pub version: String,
}

/// Why work on a file failed.
#[derive(Clone, Debug, PartialEq)]
pub enum FileError {
    /// There is no such file.
    NotFound,
    /// `SnapshotRestore`: the data directory is in use.
    NotEmpty,
    /// `SnapshotRestore`: the file has no hash at its end.
    NoHash,
    /// `Defragment`: a running member holds the database.
    Locked,
    /// As the tool prints it.
    Other(String),
}
