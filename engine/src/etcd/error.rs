//! What etcd refuses, with the texts its clients see.
//!
//! Models: etcd v3.6 api/v3rpc/rpctypes/error.go, server/etcdserver/errors/errors.go. Left out: authentication.

/// A refusal. Its `Display` is the text a client sees.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum EtcdError {
    /// The revision lies below the compacted one.
    #[error("etcdserver: mvcc: required revision has been compacted")]
    Compacted,
    /// The revision has not happened yet.
    #[error("etcdserver: mvcc: required revision is a future revision")]
    FutureRevision,
    /// The database file has reached its quota.
    #[error("etcdserver: mvcc: database space exceeded")]
    NoSpace,
    /// The lease does not exist (any more).
    #[error("etcdserver: requested lease not found")]
    LeaseNotFound,
    /// A lease with that id exists.
    #[error("etcdserver: lease already exists")]
    LeaseExists,
    /// The TTL is above 9,000,000,000 s.
    #[error("etcdserver: too large lease TTL")]
    LeaseTtlTooLarge,
    /// The key is empty.
    #[error("etcdserver: key is not provided")]
    EmptyKey,
    /// A put that keeps the value or the lease needs a key that exists.
    #[error("etcdserver: key not found")]
    KeyNotFound,
    /// A put that keeps the lease carries one.
    #[error("etcdserver: lease is provided")]
    LeaseProvided,
    /// A transaction changes a key twice.
    #[error("etcdserver: duplicate key given in txn request")]
    DuplicateKey,
    /// More operations in a transaction than `--max-txn-ops`.
    #[error("etcdserver: too many operations in txn request")]
    TooManyOps,
    /// A request above `--max-request-bytes`.
    #[error("etcdserver: request is too large")]
    RequestTooLarge,
    /// More than 5,000 committed entries wait to be applied.
    #[error("etcdserver: too many requests")]
    TooManyRequests,
    /// Nobody leads.
    #[error("etcdserver: no leader")]
    NoLeader,
    /// Leadership moved while a read waited.
    #[error("etcdserver: leader changed")]
    LeaderChanged,
    /// Not finished within the request time-out of 7 s.
    #[error("etcdserver: request timed out")]
    Timeout,
    /// The same, and the leader changed shortly before.
    #[error("etcdserver: request timed out, possibly due to previous leader failure")]
    TimeoutLeaderFail,
    /// The same, and the quorum is out of reach.
    #[error("etcdserver: request timed out, possibly due to connection lost")]
    TimeoutConnectionLost,
    /// The member shuts down.
    #[error("etcdserver: server stopped")]
    Stopped,
    /// Nobody led for the whole request time-out, so the request was never proposed.
    #[error("context deadline exceeded")]
    DeadlineExceeded,
    /// Leadership is being handed over.
    #[error("raft proposal dropped")]
    ProposalDropped,
    /// The process is not running, so its machine refuses the connection: nothing was done. Clients try the next
    /// member.
    #[error("connection refused")]
    ConnectionRefused,
    /// The process died while the request was with it: what became of it is not known.
    #[error("error reading from server: EOF")]
    ConnectionLost,
    /// There is no member of that identity.
    #[error("etcdserver: member not found")]
    MemberNotFound,
    /// A member has these peer URLs already.
    #[error("etcdserver: Peer URLs already exists")]
    PeerUrlExists,
    /// There are as many learners as there may be.
    #[error("etcdserver: too many learner members in cluster")]
    TooManyLearners,
    /// The change would leave no majority of members that have ever started.
    #[error("etcdserver: re-configuration failed due to not enough started members")]
    NotEnoughStarted,
    /// The change would leave no majority of members that are connected.
    #[error("etcdserver: unhealthy cluster")]
    Unhealthy,
    /// Only learners can be promoted.
    #[error("etcdserver: can only promote a learner member")]
    NotLearner,
    /// The learner has not caught up.
    #[error("etcdserver: can only promote a learner member which is in sync with leader")]
    LearnerNotReady,
    /// Only the leader can do this.
    #[error("etcdserver: not leader")]
    NotLeader,
    /// That member cannot lead.
    #[error("etcdserver: bad leader transferee")]
    BadTransferee,
    /// The hand-over took too long.
    #[error("etcdserver: request timed out, leader transfer took too long")]
    TransferTimeout,
    /// A learner serves serializable reads only.
    #[error("etcdserver: rpc not supported for learner")]
    LearnerUnsupported,
}

/// A gRPC status code.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Code {
    /// The request itself is wrong.
    InvalidArgument,
    /// Something it names does not exist.
    NotFound,
    /// The state forbids it.
    FailedPrecondition,
    /// A number outside the possible.
    OutOfRange,
    /// A limit is reached.
    ResourceExhausted,
    /// Try again.
    Unavailable,
    /// The time was up.
    DeadlineExceeded,
    /// None of the above.
    Unknown,
}

impl EtcdError {
    /// The gRPC status code that comes with it; clients retry reads on `Unavailable`.
    pub const fn code(self) -> Code {
        use EtcdError as E;
        match self {
            E::Compacted | E::FutureRevision | E::LeaseTtlTooLarge => Code::OutOfRange,
            E::NoSpace | E::TooManyRequests => Code::ResourceExhausted,
            E::LeaseNotFound => Code::NotFound,
            E::LeaseExists => Code::FailedPrecondition,
            E::EmptyKey | E::KeyNotFound | E::LeaseProvided => Code::InvalidArgument,
            E::DuplicateKey | E::TooManyOps | E::RequestTooLarge => Code::InvalidArgument,
            E::NoLeader | E::LeaderChanged | E::Stopped => Code::Unavailable,
            E::Timeout | E::TimeoutLeaderFail | E::TimeoutConnectionLost => Code::Unavailable,
            E::ConnectionRefused | E::ConnectionLost => Code::Unavailable,
            E::Unhealthy | E::TransferTimeout | E::LearnerUnsupported => Code::Unavailable,
            E::DeadlineExceeded => Code::DeadlineExceeded,
            E::ProposalDropped => Code::Unknown,
            E::MemberNotFound => Code::NotFound,
            E::PeerUrlExists | E::TooManyLearners | E::NotEnoughStarted | E::NotLearner => Code::FailedPrecondition,
            E::LearnerNotReady | E::NotLeader | E::BadTransferee => Code::FailedPrecondition,
        }
    }
}
