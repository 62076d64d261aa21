//! What etcdctl hears back: plain data, in the terms of etcd's API.
//!
//! Models: etcd v3.6.13 api/etcdserverpb/rpc.proto, api/mvccpb/kv.proto.
//! Left out: authentication, downgrades, fragments.

use super::calls::Bytes;

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
