//! What keeps a member in shape: compaction of its database, defragmentation, quota and alarms, and what it tells about
//! itself.
//!
//! Models: etcd v3.6 server/etcdserver/api/v3rpc/maintenance.go, server/storage/mvcc/kvstore_compaction.go,
//! server/storage/backend/backend.go (`defrag`), server/etcdserver/api/v3compactor.

use std::sync::Arc;

use super::auto_compaction::Due;
use super::database::{COMPACTION_PAUSE, Work};
use super::error::EtcdError;
use super::event::{Client, Effects, EtcdEvent, EtcdNote, Own};
use super::image::Image;
use super::member::{Member, Setup};
use super::members::AlarmKind;
use super::metrics::Gauges;
use super::reply::{Reply, Status};
use super::request::{Op, Proposal, Txn, Value};
use super::settings::{AutoCompaction, EtcdSettings};
use crate::kernel::{Duration, Instant, Seed};

/// How often a member looks whether to note its data's version. – constant; etcd: monitorVersionInterval.
const VERSION_LOOK: Duration = Duration::from_secs(5);

impl<V: Value> Member<V> {
    fn work<'a>(&'a self, setup: Setup<'a>, out: &impl Effects<V>) -> Work<'a> {
        let (member, now) = (self.me, out.now());
        Work { member, now, seed: setup.seed, settings: setup.settings, disk: &self.disk }
    }

    /// An entry has been applied: the database hears of its records.
    pub(super) fn after_change(
        &mut self,
        before: u64,
        proposal: &Proposal<V>,
        setup: Setup,
        out: &mut impl Effects<V>,
    ) {
        let disk = self.disk.clone();
        let (member, now) = (self.me, out.now());
        let work = Work { member, now, seed: setup.seed, settings: setup.settings, disk: &disk };
        if self.store.revision() > before {
            self.database.write(self.store.records_from(before + 1), work);
        } else {
            self.database.touch(work);
        }
        if let Proposal::Compact(revision) = proposal {
            let doomed = self.store.take_doomed();
            self.metrics.compacted_records += doomed.len() as u64;
            self.database.doom(doomed);
            out.note(EtcdNote::Compacted { revision: *revision });
            if !self.timers.compact {
                self.timers.compact = true;
                self.later(Duration::ZERO, Own::Compact, out);
            }
        }
    }

    pub(super) fn compact_step(&mut self, setup: Setup, out: &mut impl Effects<V>) {
        self.timers.compact = false;
        self.settle(setup, out);
        let disk = self.disk.clone();
        let (member, now) = (self.me, out.now());
        let work = Work { member, now, seed: setup.seed, settings: setup.settings, disk: &disk };
        let (took, more) = self.database.compact_step(work);
        if took > Duration::ZERO {
            self.metrics.backend_commit.observe(took);
        }
        if more {
            self.timers.compact = true;
            return self.later(COMPACTION_PAUSE + took, Own::Compact, out);
        }
        if !self.compacting.is_empty() {
            let took = self.database.force(work);
            self.metrics.backend_commit.observe(took);
            for (client, response) in std::mem::take(&mut self.compacting) {
                let (life, response) = (self.life, Box::new(response));
                out.after(took, EtcdEvent::Answered { life, client, response });
            }
        }
    }

    /// Rewrites the file; until it is done this member applies nothing and reads nothing.
    pub(super) fn defragment(
        &mut self,
        client: Client,
        setup: Setup,
        out: &mut impl Effects<V>,
    ) -> Result<(), EtcdError> {
        if self.defragmenting.is_some() {
            // etcd waits for the same locks; nobody defragments twice at once.
            return Err(EtcdError::TooManyRequests);
        }
        self.settle(setup, out);
        let before = self.database.size();
        let mut database = std::mem::take(&mut self.database);
        let took = database.defragment(self.store.records(), self.work(setup, out));
        self.database = database;
        self.defragmenting = Some((client, out.now(), before));
        self.later(took, Own::Defragmented, out);
        Ok(())
    }

    pub(super) fn defragmented(&mut self, setup: Setup, out: &mut impl Effects<V>) {
        let Some((client, since, before)) = self.defragmenting.take() else { return };
        let took = out.now().since(since);
        self.metrics.defrag.observe(took);
        let kib = |bytes: u64| (bytes / 1_024) as u32;
        out.note(EtcdNote::Defragmented { before_kib: kib(before), after_kib: kib(self.database.size()), took });
        self.answer(client, self.response(Ok(Reply::Defragmented { took })), out);
        for read in std::mem::take(&mut self.stalled) {
            out.because(read.cause);
            self.read(read, setup, out);
        }
    }

    /// The database file, as a copy of it would be.
    pub fn image(&self) -> Image<V> {
        Image { store: self.store.clone(), database: self.database.clone(), raft_index: self.applied }
    }

    /// Does the commits of the database that were due until now, so that sizes and counters are of now.
    pub fn look(&mut self, now: Instant, seed: Seed, settings: &EtcdSettings) {
        let work = Work { member: self.me, now, seed, settings, disk: &self.disk };
        if let Some(took) = self.database.settle(work) {
            self.metrics.backend_commit.observe(took);
        }
    }

    /// Rewrites the file of a member that does not run; the answer is how long that takes. – etcdutl defrag.
    pub fn defragment_offline(&mut self, now: Instant, seed: Seed, settings: &EtcdSettings) -> Duration {
        let work = Work { member: self.me, now, seed, settings, disk: &self.disk };
        let mut database = std::mem::take(&mut self.database);
        let took = database.defragment(self.store.records(), work);
        self.database = database;
        took
    }

    /// A member that joins a term under way notes its data's version only when it looks for the first time.
    fn storage_version(&self, now: Instant) -> &'static str {
        let noted = self
            .unversioned
            .is_none_or(|(term, since)| self.raft.term() > term && term > 0 || now.since(since) >= VERSION_LOOK);
        if noted { "3.6.0" } else { "3.5.0" }
    }

    pub(super) fn snapshot(&mut self, setup: Setup, out: &impl Effects<V>) -> Reply<V> {
        self.settle(setup, out);
        Reply::Snapshot(Arc::new(self.image()))
    }

    pub(super) fn status(&mut self, setup: Setup, out: &impl Effects<V>) -> Status {
        self.settle(setup, out);
        let members = self.store.members();
        let leaderless = self.leader.is_none().then(|| EtcdError::NoLeader.to_string());
        Status {
            member_id: members.id(self.me),
            leader: self.leader.map_or(0, |leader| members.id(leader)),
            leader_number: self.leader,
            learner: self.raft.config().learners.contains(&self.me),
            raft_index: self.raft.log().commit(),
            raft_term: self.raft.term(),
            raft_applied_index: self.applied,
            db_size: self.database.size(),
            db_size_in_use: self.database.in_use(),
            db_size_quota: setup.settings.quota_bytes,
            storage_version: self.storage_version(out.now()),
            errors: leaderless.into_iter().chain(members.alarms().iter().map(|alarm| alarm.text())).collect(),
        }
    }

    /// What it is at the moment, for its metrics. Sizes are those of the last commit that somebody has looked after.
    pub fn gauges(&self, settings: &EtcdSettings) -> Gauges {
        let members = self.store.members();
        let alarm = |kind| if kind == AlarmKind::NoSpace { "NOSPACE" } else { "CORRUPT" };
        Gauges {
            has_leader: self.leader.is_some(),
            is_leader: self.running && self.raft.is_leader(),
            is_learner: self.raft.config().learners.contains(&self.me),
            proposals_committed: self.raft.log().commit(),
            proposals_pending: self.pending.len() as u64,
            db_size: self.database.size(),
            db_size_in_use: self.database.in_use(),
            quota: settings.quota_bytes,
            keys: self.store.size().keys,
            revision: self.store.revision(),
            compact_revision: self.store.compact_revision(),
            watchers: self.watchers.len() as u64,
            slow_watchers: self.watchers.unsynced() as u64,
            defragmenting: self.defragmenting.is_some(),
            alarms: members.alarms().iter().map(|active| (active.member_id, alarm(active.kind))).collect(),
            member_id: members.id(self.me),
        }
    }

    /// The text of its `/metrics`.
    pub fn metrics_text(&self, settings: &EtcdSettings) -> String {
        self.metrics.render(&self.gauges(settings))
    }

    pub(super) fn count(&mut self, proposal: &Proposal<V>, result: &Result<Reply<V>, EtcdError>) {
        if result.is_err() {
            return;
        }
        let metrics = &mut self.metrics;
        match proposal {
            Proposal::Put(_) => metrics.puts += 1,
            Proposal::Delete(_) => metrics.deletes += 1,
            Proposal::Txn(txn) => {
                metrics.txns += 1;
                let succeeded = matches!(result, Ok(Reply::Txn(reply)) if reply.succeeded);
                let (puts, deletes, ranges) = ops(txn, succeeded);
                metrics.puts += puts;
                metrics.deletes += deletes;
                metrics.ranges += ranges;
            }
            Proposal::LeaseGrant { .. } => metrics.leases_granted += 1,
            Proposal::LeaseRevoke(_) => metrics.leases_revoked += 1,
            _ => {}
        }
    }

    pub(super) fn set_auto_compaction(&mut self, setup: Setup, out: &mut impl Effects<V>) {
        if setup.settings.auto_compaction != AutoCompaction::Off && !self.timers.auto {
            self.timers.auto = true;
            self.auto.begin(self.store.revision(), out.now());
            self.later(self.auto.interval(setup.settings.auto_compaction), Own::AutoCompact, out);
        }
    }

    pub(super) fn auto_compact(&mut self, setup: Setup, out: &mut impl Effects<V>) {
        let (mode, now) = (setup.settings.auto_compaction, out.now());
        let leads = self.raft.is_leader();
        if let Due::Compact(revision) = self.auto.look(mode, self.store.revision(), leads, now) {
            // A refusal means that it has been compacted already, or that too much waits: the next look tries again.
            let _ = self.propose(None, Proposal::Compact(revision), setup, out);
        }
        self.later(self.auto.interval(mode), Own::AutoCompact, out);
    }
}

/// Puts, deletes and reads that a transaction has done.
fn ops<V>(txn: &Txn<V>, succeeded: bool) -> (u64, u64, u64) {
    let done = if succeeded { &txn.success } else { &txn.failure };
    let of = |kind: fn(&Op<V>) -> bool| done.iter().filter(|op| kind(op)).count() as u64;
    (of(|op| matches!(op, Op::Put(_))), of(|op| matches!(op, Op::Delete(_))), of(|op| matches!(op, Op::Range(_))))
}
