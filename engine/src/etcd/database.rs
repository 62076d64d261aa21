//! A member's database: what is written to it and when it is committed, compacted and defragmented.
//!
//! Changes collect in memory and are committed together, every 100 ms or 10,000 of them. A commit takes two fsyncs and
//! its pages; what is applied meanwhile waits. Commits are worked out when somebody looks ([`Database::settle`]), so a
//! quiet database costs nothing.
//!
//! Models: etcd v3.6 server/storage/backend/{backend,batch_tx}.go, server/storage/mvcc/kvstore_compaction.go.

use std::collections::VecDeque;

use super::disk::Disk;
use super::pages::{PAGE, Pages};
use super::settings::EtcdSettings;
use super::store::Record;
use crate::kernel::{Duration, Instant, Seed, hash_bytes};

/// The database of a member.
#[derive(Clone, Debug, Default)]
pub struct Database {
    pages: Pages,
    /// Changes since the last commit.
    changes: usize,
    /// When they will be committed.
    due: Option<Instant>,
    /// Until when the last commit takes.
    busy_until: Instant,
    commits: u64,
    /// Records that compaction has still to remove.
    doomed: VecDeque<Record>,
}

/// Who works, when, and how fast.
#[derive(Clone, Copy)]
pub struct Work<'a> {
    /// The member's number.
    pub member: u8,
    /// The present instant.
    pub now: Instant,
    /// The run's luck.
    pub seed: Seed,
    /// Costs and flags.
    pub settings: &'a EtcdSettings,
    /// The disk it lies on.
    pub disk: &'a Disk,
}

/// Records one step of a compaction looks at. – constant; etcd: --experimental-compaction-batch-limit, 1000.
const COMPACTION_BATCH: usize = 1_000;
/// Pause between two steps. – constant; etcd: CompactionSleepInterval.
pub const COMPACTION_PAUSE: Duration = Duration::from_millis(10);

impl Database {
    /// Bytes of the file, as of the last commit.
    pub fn size(&self) -> u64 {
        self.pages.size()
    }

    /// Bytes of it that are not free.
    pub fn in_use(&self) -> u64 {
        self.pages.in_use()
    }

    /// Until when what is applied must wait for a commit.
    pub fn busy_until(&self) -> Instant {
        self.busy_until
    }

    /// Commits so far.
    pub fn commits(&self) -> u64 {
        self.commits
    }

    /// New records, in order. The commit comes with the next round of the timer.
    pub fn write(&mut self, records: impl Iterator<Item = Record>, work: Work) {
        for Record { place, bytes } in records {
            self.pages.append(place, bytes);
            self.changes += 1;
        }
        self.changed(work);
    }

    /// Something small besides records has changed (a lease, the index applied).
    pub fn touch(&mut self, work: Work) {
        self.changes += 1;
        self.changed(work);
    }

    /// Does the commits that were due until now; the answer is how long each took.
    pub fn settle(&mut self, work: Work) -> Option<Duration> {
        let due = self.due.filter(|due| *due <= work.now)?;
        Some(self.commit(due, work))
    }

    /// A compaction has removed these from the store.
    pub fn doom(&mut self, records: Vec<Record>) {
        self.doomed.extend(records);
    }

    /// How many records compaction has still to remove.
    pub fn doomed(&self) -> usize {
        self.doomed.len()
    }

    /// Removes some, and commits that at once; the answer is how long that takes, and whether it goes on. A full batch
    /// is committed once more, and only the second commit makes its pages free; after a last batch that was not full
    /// they wait for the next commit, whatever brings it.
    pub fn compact_step(&mut self, work: Work) -> (Duration, bool) {
        let count = self.doomed.len().min(COMPACTION_BATCH);
        if count == 0 {
            self.touch(work);
            return (Duration::ZERO, false);
        }
        for Record { place, bytes } in self.doomed.drain(..count) {
            self.pages.remove(place, bytes);
        }
        let took = self.commit(work.now, work);
        match count == COMPACTION_BATCH {
            true => (took + self.commit(work.now, work), true),
            false => (took, false),
        }
    }

    /// Commits now what the timer would have committed later.
    pub fn force(&mut self, work: Work) -> Duration {
        self.commit(work.now, work)
    }

    /// Writes a new file that holds just these records; the answer is how long that takes.
    pub fn defragment(&mut self, records: Vec<Record>, work: Work) -> Duration {
        let live: u64 = self.pages.in_use();
        self.doomed.clear();
        (self.changes, self.due) = (0, None);
        self.pages.defragment(records.into_iter().map(|record| (record.place, record.bytes)));
        let costs = &work.settings.costs;
        work.disk.slowed(costs.commit.median(), costs.defrag_per_mib.fraction(live, 1 << 20))
    }

    fn changed(&mut self, work: Work) {
        let interval = work.settings.batch_interval.as_nanos().max(1);
        if self.changes >= work.settings.batch_limit {
            self.due = Some(work.now);
        } else if self.due.is_none() {
            self.due = Some(Instant::from_nanos((work.now.as_nanos() / interval + 1).saturating_mul(interval)));
        }
    }

    fn commit(&mut self, at: Instant, work: Work) -> Duration {
        let written = self.pages.commit();
        let mut luck = work.seed.luck(hash_bytes(b"etcd"), hash_bytes(b"commit"), u64::from(work.member), self.commits);
        self.commits += 1;
        (self.changes, self.due) = (0, None);
        let costs = &work.settings.costs;
        let written = costs.fsync_per_kib.times(u64::from(written) * PAGE / 1_024);
        let took = work.disk.slowed(costs.commit.sample(&mut luck), written);
        self.busy_until = self.busy_until.max(at) + took;
        took
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::Latency;

    fn settings() -> EtcdSettings {
        let mut settings = EtcdSettings::default();
        settings.costs.commit = Latency::constant(4.0);
        settings.costs.fsync_per_kib = Duration::ZERO;
        settings
    }

    fn at<'a>(ms: u64, settings: &'a EtcdSettings, disk: &'a Disk) -> Work<'a> {
        Work { member: 0, now: Instant::START + Duration::from_millis(ms), seed: Seed(1), settings, disk }
    }

    fn record(revision: u64) -> Record {
        Record { place: (revision, 0), bytes: 1_000 }
    }

    #[test]
    fn changes_of_a_tenth_of_a_second_share_a_commit() {
        let (settings, disk) = (settings(), Disk::default());
        let mut database = Database::default();
        database.write([record(2)].into_iter(), at(120, &settings, &disk));
        database.write([record(3)].into_iter(), at(190, &settings, &disk));
        assert_eq!(database.settle(at(199, &settings, &disk)), None);
        assert_eq!(database.settle(at(260, &settings, &disk)), Some(Duration::from_millis(4)));
        assert_eq!(database.busy_until(), at(204, &settings, &disk).now);
        assert_eq!(database.settle(at(900, &settings, &disk)), None, "nothing has changed");
    }

    #[test]
    fn ten_thousand_changes_do_not_wait() {
        let (settings, disk) = (settings(), Disk::default());
        let mut database = Database::default();
        database.write((2..10_002).map(record), at(110, &settings, &disk));
        assert!(database.settle(at(110, &settings, &disk)).is_some());
    }

    #[test]
    fn a_slow_disk_makes_commits_slow() {
        let (settings, mut disk) = (settings(), Disk::default());
        disk.slow_down(10.0);
        let mut database = Database::default();
        database.write([record(2)].into_iter(), at(0, &settings, &disk));
        assert_eq!(database.settle(at(100, &settings, &disk)), Some(Duration::from_millis(40)));
    }

    #[test]
    fn compaction_goes_in_steps() {
        let (settings, disk) = (settings(), Disk::default());
        let mut database = Database::default();
        database.write((2..2_502).map(record), at(0, &settings, &disk));
        database.settle(at(100, &settings, &disk));
        let full = database.in_use();
        database.doom((2..2_502).map(record).collect());
        let steps = (0..).take_while(|_| database.compact_step(at(200, &settings, &disk)).1).count();
        assert_eq!(steps, 2, "and the third is the last");
        database.settle(at(300, &settings, &disk));
        database.force(at(400, &settings, &disk));
        assert!(database.in_use() < full / 10, "{} of {full}", database.in_use());
    }
}
