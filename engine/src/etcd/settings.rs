//! What is constant in a run about etcd: what things cost, and the flags.
//!
//! Models: etcd v3.6 server/embed/config.go, server/config/config.go (defaults); kubernetes v1.36.2
//! cmd/kubeadm/app/phases/etcd/local.go (watch progress interval).

use crate::kernel::{Duration, Latency};

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
            watch_progress_interval: Duration::from_secs(5),
        }
    }
}
