//! What is constant in a run about etcd: what things cost, and the flags.
//!
//! Models: etcd v3.6 server/embed/config.go, server/config/config.go (defaults); kubernetes v1.36.2
//! cmd/kubeadm/app/phases/etcd/local.go (watch progress interval).

use super::raft::pace::Pace;
use crate::kernel::{Duration, Latency};

/// The history that is forgotten without anybody asking. – etcd: --auto-compaction-mode, --auto-compaction-retention.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AutoCompaction {
    /// None: somebody else compacts, for example the API server.
    Off,
    /// What is older than this.
    Periodic(Duration),
    /// All but so many revisions, every 5 minutes.
    Revision(u64),
}

/// What a member's work takes. The network between members is the world's.
#[derive(Clone, Debug, PartialEq)]
pub struct EtcdCosts {
    /// CPU time from a request's arrival until it is proposed or its read begins.
    pub request: Latency,
    /// One write of the log and its fsync, however many entries it carries.
    pub fsync: Latency,
    /// What each KiB of entries adds to it.
    pub fsync_per_kib: Duration,
    /// Applying one committed entry.
    pub apply: Latency,
    /// One commit of the database: two fsyncs. What its pages add is `fsync_per_kib`.
    pub commit: Latency,
    /// Rewriting a MiB of the database. – etcd's own rule of thumb: 1 s per 100 MB.
    pub defrag_per_mib: Duration,
    /// Sending a MiB of the database to a member that lags, and writing it there. – estimate: 100 MB/s.
    pub snapshot_per_mib: Duration,
    /// Reading, whatever the size.
    pub read: Latency,
    /// What each KiB of keys and values read adds to it.
    pub read_per_kib: Duration,
}

impl Default for EtcdCosts {
    /// A virtual SSD. Measured with etcd 3.6.13 is only the mean fsync, 0.93 ms; its spread and all other numbers are
    /// estimates.
    fn default() -> Self {
        EtcdCosts {
            request: Latency::constant(0.05),
            fsync: Latency::log_normal(0.87, 1.6),
            fsync_per_kib: Duration::from_micros(3),
            apply: Latency::constant(0.08),
            commit: Latency::log_normal(1.9, 1.5),
            defrag_per_mib: Duration::from_millis(10),
            snapshot_per_mib: Duration::from_millis(10),
            read: Latency::constant(0.1),
            read_per_kib: Duration::from_micros(2),
        }
    }
}

/// The flags and constants of a member.
#[derive(Clone, Debug, PartialEq)]
pub struct EtcdSettings {
    /// What work takes.
    pub costs: EtcdCosts,
    /// Largest request. [bytes] – etcd: --max-request-bytes, 1.5 MiB.
    pub max_request_bytes: usize,
    /// Most operations in a transaction. – etcd: --max-txn-ops, 128.
    pub max_txn_ops: usize,
    /// Committed entries that may wait to be applied before proposals are refused. – etcd:
    /// maxGapBetweenApplyAndCommitIndex, 5000.
    pub max_apply_gap: u64,
    /// Shortest lease. [s] – etcd: ceil(1.5 × election time-out), 2.
    pub min_lease_ttl: i64,
    /// Ticks and election time-outs.
    pub pace: Pace,
    /// How long a request may take. – etcd: 5 s + 2 × election time-out, 7 s.
    pub request_timeout: Duration,
    /// How long a read waits for the quorum's word before it asks again. – etcd: readIndexRetryTime, 500 ms.
    pub read_retry: Duration,
    /// What the database file may grow to. [bytes] – etcd: --quota-backend-bytes, 2 GiB.
    pub quota_bytes: u64,
    /// How often the database is committed. – etcd: --backend-batch-interval, 100 ms.
    pub batch_interval: Duration,
    /// Changes that do not wait for that. – etcd: --backend-batch-limit, 10000.
    pub batch_limit: usize,
    /// Entries kept in memory for members that lag. – etcd: --snapshot-catchup-entries, 5000.
    pub catch_up_entries: u64,
    /// Which history each leader forgets by itself.
    pub auto_compaction: AutoCompaction,
    /// What the calendar says at the run's start. [s since 1970]
    pub began_unix: u64,
    /// How often a quiet watch that asked for it hears the revision. – etcd: 10 min; kubeadm sets
    /// --watch-progress-notify-interval=5s. The up to 10 % of jitter are left out.
    pub watch_progress_interval: Duration,
}

impl Default for EtcdSettings {
    fn default() -> Self {
        EtcdSettings {
            costs: EtcdCosts::default(),
            max_request_bytes: 1_572_864,
            max_txn_ops: 128,
            max_apply_gap: 5_000,
            min_lease_ttl: 2,
            pace: Pace::default(),
            request_timeout: Duration::from_secs(7),
            read_retry: Duration::from_millis(500),
            quota_bytes: 2 << 30,
            batch_interval: Duration::from_millis(100),
            batch_limit: 10_000,
            catch_up_entries: 5_000,
            auto_compaction: AutoCompaction::Off,
            began_unix: 0,
            watch_progress_interval: Duration::from_secs(5),
        }
    }
}
