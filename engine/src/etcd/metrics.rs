//! What a member counts, and its text for Prometheus.
//!
//! Models: etcd v3.6 server/{etcdserver,storage/wal,storage/backend,storage/mvcc,lease}/metrics.go, by their names and
//! buckets. The help texts are ours. Left out: what gRPC, the Go runtime and the network count.

use std::fmt::Write;

use crate::kernel::{Duration, Spread};

/// A histogram of durations with etcd's buckets: 1 ms, doubling up to 8.192 s.
#[derive(Clone, Debug, PartialEq)]
pub struct Histogram {
    first: f64,
    buckets: Vec<u64>,
    sum: f64,
    count: u64,
    spread: Spread,
}

/// All that a member counts. Gauges that can be read elsewhere are in [`Gauges`].
#[derive(Clone, Debug, PartialEq)]
pub struct Metrics {
    /// Fsyncs of the log.
    pub wal_fsync: Histogram,
    /// Commits of the database.
    pub backend_commit: Histogram,
    /// Defragmentations.
    pub defrag: Histogram,
    /// Times from a committed entry's turn until it was applied.
    pub apply: Histogram,
    /// How often a leader was seen to come.
    pub leader_changes: u64,
    /// Entries applied.
    pub proposals_applied: u64,
    /// Proposals that failed or timed out.
    pub proposals_failed: u64,
    /// Batches applied that took more than 100 ms.
    pub slow_apply: u64,
    /// Reads that had to ask the quorum again.
    pub slow_read_indexes: u64,
    /// Reads that timed out.
    pub read_indexes_failed: u64,
    /// Heartbeats that an fsync held up for more than two of their intervals.
    pub heartbeat_send_failures: u64,
    /// Puts, also in transactions.
    pub puts: u64,
    /// Deletes.
    pub deletes: u64,
    /// Reads.
    pub ranges: u64,
    /// Transactions.
    pub txns: u64,
    /// Events sent to watches.
    pub events: u64,
    /// Records removed by compactions.
    pub compacted_records: u64,
    /// Leases granted.
    pub leases_granted: u64,
    /// Leases ended.
    pub leases_revoked: u64,
    /// Leases kept alive.
    pub leases_renewed: u64,
    /// Bytes of log written.
    pub wal_bytes: u64,
    /// Bytes sent to each other member: its identity, bytes.
    pub peer_sent: std::collections::BTreeMap<u64, u64>,
}

/// What a member is at the moment.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Gauges {
    /// Whether it knows a leader.
    pub has_leader: bool,
    /// Whether it leads.
    pub is_leader: bool,
    /// Whether it only listens.
    pub is_learner: bool,
    /// Entries committed.
    pub proposals_committed: u64,
    /// Requests that wait to be applied.
    pub proposals_pending: u64,
    /// Bytes of the database file.
    pub db_size: u64,
    /// Bytes of it in use.
    pub db_size_in_use: u64,
    /// What it may grow to. [bytes]
    pub quota: u64,
    /// Keys that exist.
    pub keys: u64,
    /// The store's revision.
    pub revision: u64,
    /// The compacted revision.
    pub compact_revision: u64,
    /// Watches.
    pub watchers: u64,
    /// Watches with history to catch up with.
    pub slow_watchers: u64,
    /// Whether the file is being defragmented.
    pub defragmenting: bool,
    /// Active alarms: the member's identity and the alarm's name.
    pub alarms: Vec<(u64, &'static str)>,
    /// The member's identity.
    pub member_id: u64,
}

impl Histogram {
    /// `count` buckets from `first` seconds on, each twice the one before.
    pub fn doubling(first: f64, count: usize) -> Self {
        Histogram { first, buckets: vec![0; count], sum: 0.0, count: 0, spread: Spread::default() }
    }

    /// Counts one.
    pub fn observe(&mut self, took: Duration) {
        let seconds = took.as_secs_f64();
        let mut bound = self.first;
        for bucket in &mut self.buckets {
            if seconds <= bound {
                *bucket += 1;
                break;
            }
            bound *= 2.0;
        }
        self.sum += seconds;
        self.count += 1;
        self.spread.observe(took);
    }

    /// How many were counted.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The same in classes narrower than etcd's, for whoever may look into the process.
    pub fn spread(&self) -> &Spread {
        &self.spread
    }

    /// Their sum. [s]
    pub fn sum(&self) -> f64 {
        self.sum
    }

    /// The quantile as Prometheus' histogram_quantile estimates it: linear inside a bucket. [s]
    pub fn quantile(&self, q: f64) -> f64 {
        let wanted = q * self.count as f64;
        let (mut below, mut lower, mut upper) = (0.0, 0.0, self.first);
        for bucket in &self.buckets {
            let inside = *bucket as f64;
            if below + inside >= wanted && inside > 0.0 {
                return lower + (upper - lower) * (wanted - below) / inside;
            }
            below += inside;
            (lower, upper) = (upper, upper * 2.0);
        }
        lower
    }

    /// What was counted since `earlier`.
    pub fn since(&self, earlier: &Histogram) -> Histogram {
        let buckets = self.buckets.iter().zip(&earlier.buckets).map(|(now, then)| now - then).collect();
        let (sum, count) = (self.sum - earlier.sum, self.count - earlier.count);
        Histogram { first: self.first, buckets, sum, count, spread: self.spread.since(&earlier.spread) }
    }

    fn render(&self, name: &str, help: &str, text: &mut String) {
        head(name, help, "histogram", text);
        let (mut bound, mut total) = (self.first, 0);
        for bucket in &self.buckets {
            total += bucket;
            let _ = writeln!(text, "{name}_bucket{{le=\"{}\"}} {}", number(bound), number(total as f64));
            bound *= 2.0;
        }
        let _ = writeln!(text, "{name}_bucket{{le=\"+Inf\"}} {}", number(self.count as f64));
        let _ = writeln!(text, "{name}_sum {}\n{name}_count {}", number(self.sum), number(self.count as f64));
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Metrics {
            wal_fsync: Histogram::doubling(0.001, 14),
            backend_commit: Histogram::doubling(0.001, 14),
            defrag: Histogram::doubling(0.1, 13),
            apply: Histogram::doubling(0.0001, 20),
            leader_changes: 0,
            proposals_applied: 0,
            proposals_failed: 0,
            slow_apply: 0,
            slow_read_indexes: 0,
            read_indexes_failed: 0,
            heartbeat_send_failures: 0,
            puts: 0,
            deletes: 0,
            ranges: 0,
            txns: 0,
            events: 0,
            compacted_records: 0,
            leases_granted: 0,
            leases_revoked: 0,
            leases_renewed: 0,
            wal_bytes: 0,
            peer_sent: std::collections::BTreeMap::new(),
        }
    }
}

impl Metrics {
    /// The text a scrape of `/metrics` gets, ordered by name.
    pub fn render(&self, now: &Gauges) -> String {
        let mut text = String::new();
        for (id, alarm) in &now.alarms {
            let name = "etcd_debugging_server_alarms";
            head(name, "Alarms that are active.", "gauge", &mut text);
            let _ = writeln!(text, "{name}{{alarm_type=\"{alarm}\",server_id=\"{id:x}\"}} 1");
        }
        let flag = |flag: bool| u64::from(flag);
        for (name, kind, help, value) in [
            ("etcd_debugging_lease_granted_total", COUNTER, "Leases granted.", self.leases_granted),
            ("etcd_debugging_lease_renewed_total", COUNTER, "Leases kept alive.", self.leases_renewed),
            ("etcd_debugging_lease_revoked_total", COUNTER, "Leases ended.", self.leases_revoked),
            ("etcd_debugging_mvcc_compact_revision", GAUGE, "Last compacted revision.", now.compact_revision),
            ("etcd_debugging_mvcc_current_revision", GAUGE, "Revision of the store.", now.revision),
            ("etcd_debugging_mvcc_db_compaction_keys_total", COUNTER, "Records compacted.", self.compacted_records),
            ("etcd_debugging_mvcc_events_total", COUNTER, "Events sent to watches.", self.events),
            ("etcd_debugging_mvcc_keys_total", GAUGE, "Keys that exist.", now.keys),
            ("etcd_debugging_mvcc_slow_watcher_total", GAUGE, "Watches that catch up.", now.slow_watchers),
            ("etcd_debugging_mvcc_watcher_total", GAUGE, "Watches.", now.watchers),
        ] {
            single(name, help, kind, value, &mut text);
        }
        self.backend_commit.render("etcd_disk_backend_commit_duration_seconds", "Commits of the database.", &mut text);
        self.defrag.render("etcd_disk_backend_defrag_duration_seconds", "Defragmentations.", &mut text);
        single("etcd_disk_defrag_inflight", "Defragmentation under way.", GAUGE, flag(now.defragmenting), &mut text);
        self.wal_fsync.render("etcd_disk_wal_fsync_duration_seconds", "Fsyncs of the log.", &mut text);
        single("etcd_disk_wal_write_bytes_total", "Bytes of log written.", GAUGE, self.wal_bytes, &mut text);
        for (name, kind, help, value) in [
            ("etcd_mvcc_db_total_size_in_bytes", GAUGE, "Bytes of the database file.", now.db_size),
            ("etcd_mvcc_db_total_size_in_use_in_bytes", GAUGE, "Bytes of it in use.", now.db_size_in_use),
            ("etcd_mvcc_delete_total", COUNTER, "Deletes.", self.deletes),
            ("etcd_mvcc_put_total", COUNTER, "Puts.", self.puts),
            ("etcd_mvcc_range_total", COUNTER, "Reads.", self.ranges),
            ("etcd_mvcc_txn_total", COUNTER, "Transactions.", self.txns),
        ] {
            single(name, help, kind, value, &mut text);
        }
        if !self.peer_sent.is_empty() {
            let name = "etcd_network_peer_sent_bytes_total";
            head(name, "Bytes sent to other members.", COUNTER, &mut text);
            for (id, bytes) in &self.peer_sent {
                let _ = writeln!(text, "{name}{{To=\"{id:x}\"}} {}", number(*bytes as f64));
            }
        }
        self.apply.render("etcd_server_apply_duration_seconds", "Applying entries.", &mut text);
        for (name, kind, help, value) in [
            ("etcd_server_has_leader", GAUGE, "Whether a leader is known.", flag(now.has_leader)),
            ("etcd_server_heartbeat_send_failures_total", COUNTER, "Late heartbeats.", self.heartbeat_send_failures),
            ("etcd_server_is_leader", GAUGE, "Whether it leads.", flag(now.is_leader)),
            ("etcd_server_is_learner", GAUGE, "Whether it only listens.", flag(now.is_learner)),
            ("etcd_server_leader_changes_seen_total", COUNTER, "Leaders seen to come.", self.leader_changes),
            ("etcd_server_proposals_applied_total", GAUGE, "Entries applied.", self.proposals_applied),
            ("etcd_server_proposals_committed_total", GAUGE, "Entries committed.", now.proposals_committed),
            ("etcd_server_proposals_failed_total", COUNTER, "Proposals that failed.", self.proposals_failed),
            ("etcd_server_proposals_pending", GAUGE, "Proposals that wait.", now.proposals_pending),
            ("etcd_server_quota_backend_bytes", GAUGE, "Quota of the database.", now.quota),
            ("etcd_server_read_indexes_failed_total", COUNTER, "Reads that timed out.", self.read_indexes_failed),
            ("etcd_server_slow_apply_total", COUNTER, "Slow applies.", self.slow_apply),
            ("etcd_server_slow_read_indexes_total", COUNTER, "Reads that asked again.", self.slow_read_indexes),
        ] {
            single(name, help, kind, value, &mut text);
        }
        text
    }
}

const COUNTER: &str = "counter";
const GAUGE: &str = "gauge";

fn head(name: &str, help: &str, kind: &str, text: &mut String) {
    let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

fn single(name: &str, help: &str, kind: &str, value: u64, text: &mut String) {
    head(name, help, kind, text);
    let _ = writeln!(text, "{name} {}", number(value as f64));
}

/// A number as Go's shortest `g` format writes it: with an exponent below 0.0001 and from a million on.
pub fn number(value: f64) -> String {
    let scientific = format!("{value:e}");
    match scientific.split_once('e').and_then(|(digits, exponent)| Some((digits, exponent.parse::<i32>().ok()?))) {
        Some((digits, exponent)) if !(-4..6).contains(&exponent) => {
            format!("{digits}e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs())
        }
        _ => format!("{value}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_look_like_go_s() {
        for (value, text) in [
            (0.0, "0"),
            (0.001, "0.001"),
            (8.192, "8.192"),
            (0.0001, "0.0001"),
            (0.00005, "5e-05"),
            (20_480.0, "20480"),
            (100_000.0, "100000"),
            (1_000_000.0, "1e+06"),
            (2_147_483_648.0, "2.147483648e+09"),
            (28_672_000.0, "2.8672e+07"),
            (0.014_312_7, "0.0143127"),
        ] {
            assert_eq!(number(value), text);
        }
    }

    #[test]
    fn a_histogram_counts_into_doubling_buckets() {
        let mut histogram = Histogram::doubling(0.001, 14);
        for us in [500, 1_000, 1_500, 45_000, 20_000_000] {
            histogram.observe(Duration::from_micros(us));
        }
        let mut text = String::new();
        histogram.render("x", "Help.", &mut text);
        for line in ["x_bucket{le=\"0.001\"} 2", "x_bucket{le=\"0.002\"} 3", "x_bucket{le=\"0.064\"} 4", "x_count 5"] {
            assert!(text.lines().any(|other| other == line), "{line} in\n{text}");
        }
        assert!(text.contains("x_bucket{le=\"8.192\"} 4\nx_bucket{le=\"+Inf\"} 5"));
        assert!((histogram.quantile(0.4) - 0.001).abs() < 1e-9);
    }

    #[test]
    fn the_text_has_the_names_people_look_for() {
        let text = Metrics::default().render(&Gauges { quota: 2 << 30, ..Gauges::default() });
        for name in ["etcd_disk_wal_fsync_duration_seconds_bucket{le=\"0.001\"} 0", "etcd_server_has_leader 0"] {
            assert!(text.contains(name), "{name}");
        }
        assert!(text.contains("etcd_server_quota_backend_bytes 2.147483648e+09"));
    }
}
