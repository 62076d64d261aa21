//! A member's disk as the log sees it: one write with its fsync at a time.
//!
//! What asks for the disk while an fsync is under way waits and goes into the next one together; that batching is what
//! lets etcd commit more often than its disk can sync. A commit of the database at the same time slows the fsync down,
//! for both share the device.
//!
//! A full disk is not noticed at once: the log's present segment was reserved in advance, and the database finds room in its free
//! pages. When the next segment is to be cut, or the database's file to grow, the write fails with ENOSPC, and the process ends
//! itself ("failed to save Raft hard state and entries", "failed to commit tx": both fatal), as it will after each start until there
//! is room.
//!
//! Models: etcd v3.6 server/storage/wal/wal.go (`Save`, `sync`, `cut`), server/etcdserver/raft.go (`start`),
//! server/storage/backend/batch_tx.go (`commit`). Left out: reads from disk, the names of segments.

use super::settings::EtcdCosts;
use crate::kernel::{Duration, Instant, Seed, hash_bytes};

/// Bytes of log for which space is reserved at once. – constant; etcd: SegmentSizeBytes, 64 MB.
const SEGMENT: u64 = 64 * 1_000 * 1_000;

/// The disk of a member.
#[derive(Clone, Debug)]
pub struct Disk {
    /// Since when an fsync is under way.
    busy_since: Option<Instant>,
    /// Fsyncs started.
    syncs: u64,
    /// By how much its fsyncs are slower than the setup's. [factor]
    slowness: f64,
    /// By how much it writes fewer bytes a second than the setup's. [factor]
    narrowness: f64,
    /// Which part of its time others take. [0..1]
    load: f64,
    /// No space is left on it.
    full: bool,
    /// Something could not be written for want of space.
    failed: bool,
    /// The database has more in memory than its file has room for.
    owed: bool,
    /// Bytes of log written so far: segments of it are reserved in advance.
    logged: u64,
}

impl Default for Disk {
    fn default() -> Self {
        Disk {
            busy_since: None,
            syncs: 0,
            slowness: 1.0,
            narrowness: 1.0,
            load: 0.0,
            full: false,
            failed: false,
            owed: false,
            logged: 0,
        }
    }
}

impl Disk {
    /// Whether an fsync is under way.
    pub fn is_busy(&self) -> bool {
        self.busy_since.is_some()
    }

    /// Starts a write of `bytes` with its fsync; the answer is how long it takes. Until `commit` the database commits
    /// on the same device: half of that is waited for.
    pub fn start(
        &mut self,
        bytes: usize,
        member: u8,
        (now, commit): (Instant, Instant),
        seed: Seed,
        costs: &EtcdCosts,
    ) -> Duration {
        debug_assert!(!self.is_busy(), "one fsync at a time");
        let mut luck = seed.luck(hash_bytes(b"etcd"), hash_bytes(b"fsync"), u64::from(member), self.syncs);
        self.syncs += 1;
        self.busy_since = Some(now);
        // A segment that cannot be made is wanted again after the next start.
        let logged = self.logged + bytes as u64;
        if self.full && logged / SEGMENT > self.logged / SEGMENT {
            self.failed = true;
        } else {
            self.logged = logged;
        }
        let written = costs.fsync_per_kib.fraction(bytes as u64, 1_024);
        self.slowed(costs.fsync.sample(&mut luck), written) + commit.since(now).fraction(1, 2)
    }

    /// The fsync is done; the answer is how long it took.
    pub fn finish(&mut self, now: Instant) -> Duration {
        self.busy_since.take().map_or(Duration::ZERO, |since| now.since(since))
    }

    /// The process is gone, and what it was writing with it.
    pub fn abandon(&mut self) {
        self.busy_since = None;
    }

    /// Makes every fsync from the next on `factor` times as long as the setup says; 1 is healthy.
    pub fn slow_down(&mut self, factor: f64) {
        self.slowness = factor.max(0.0);
    }

    /// Makes writing bytes take `factor` times as long as the setup says; 1 is healthy.
    pub fn narrow(&mut self, factor: f64) {
        self.narrowness = factor.max(0.0);
    }

    /// No space is left on it, or there is again.
    pub fn fill(&mut self, full: bool) {
        self.full = full;
        self.failed &= full;
        self.owed &= full;
    }

    /// The database is committed; `grows` says whether its file needs more pages than it has.
    pub fn commit(&mut self, grows: bool) {
        self.owed |= self.full && grows;
        self.failed |= self.owed;
    }

    /// Whether something could not be written for want of space; asked once.
    pub fn take_failure(&mut self) -> bool {
        std::mem::take(&mut self.failed)
    }

    /// Others keep the disk busy for this part of its time (0 to 0.99): what is asked of it takes 1/(1 - part) as long.
    pub fn occupy(&mut self, part: f64) {
        self.load = part.clamp(0.0, 0.99);
    }

    /// How long something takes that would take `sync` for its fsyncs and `written` for its bytes on the setup's disk.
    pub fn slowed(&self, sync: Duration, written: Duration) -> Duration {
        if (self.slowness, self.narrowness, self.load) == (1.0, 1.0, 0.0) {
            return sync + written;
        }
        let ms = sync.as_millis_f64() * self.slowness + written.as_millis_f64() * self.narrowness;
        Duration::from_millis_f64(ms / (1.0 - self.load))
    }

    /// Fsyncs started so far.
    pub fn syncs(&self) -> u64 {
        self.syncs
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::Latency;

    const AT_ONCE: (Instant, Instant) = (Instant::START, Instant::START);

    #[test]
    fn an_fsync_takes_its_draw_plus_its_bytes_times_the_disk_s_slowness() {
        let costs = EtcdCosts {
            fsync: Latency::constant(2.0),
            fsync_per_kib: Duration::from_micros(100),
            ..EtcdCosts::default()
        };
        let mut disk = Disk::default();
        let took = disk.start(2_048, 0, AT_ONCE, Seed(1), &costs);
        assert_eq!(took, Duration::from_micros(2_200));
        assert!(disk.is_busy());
        assert_eq!(disk.finish(Instant::START + took), took);
        disk.slow_down(10.0);
        assert_eq!(disk.start(0, 0, AT_ONCE, Seed(1), &costs), Duration::from_millis(20));
        disk.abandon();
        disk.occupy(0.5);
        assert_eq!(disk.start(0, 0, AT_ONCE, Seed(1), &costs), Duration::from_millis(40));
    }

    #[test]
    fn a_commit_of_the_database_is_in_the_way() {
        let costs = EtcdCosts { fsync: Latency::constant(2.0), ..EtcdCosts::default() };
        let until = Instant::START + Duration::from_millis(6);
        let took = Disk::default().start(0, 0, (Instant::START, until), Seed(1), &costs);
        assert_eq!(took, Duration::from_millis(5));
    }
}
