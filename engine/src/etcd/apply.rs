//! Committed entries change the store: in order, in batches, each after its time.
//!
//! Every member applies every entry to its own store, database and watches; the one that was asked answers. A batch
//! waits for a commit of the database that is under way, and for a defragmentation.
//!
//! Models: etcd v3.6 server/etcdserver/server.go (`applyAll`, `applyEntries`), server/etcdserver/apply.

use super::error::EtcdError;
use super::event::{Effects, EtcdEvent, EtcdNote, Own};
use super::member::{Member, Setup};
use super::members::AlarmKind;
use super::propose::Pending;
use super::reply::Reply;
use super::request::{Proposal, Value};
use crate::kernel::{Duration, hash_bytes};

/// Applied entries between two looks at how much of the log may be forgotten. – constant; etcd: 100.
const TRIM_EVERY: u64 = 100;
/// A batch that takes longer is counted as slow. – constant; etcd: warnApplyDuration.
const SLOW_APPLY: Duration = Duration::from_millis(100);

impl<V: Value> Member<V> {
    /// Begins to apply all that is committed, as one batch.
    pub(super) fn start_applying(&mut self, setup: Setup, out: &mut impl Effects<V>) {
        if !self.applying.is_empty() || self.committed.is_empty() || self.defragmenting.is_some() {
            return;
        }
        self.settle(setup, out);
        self.applying = std::mem::take(&mut self.committed).into();
        let mut wait = self.database.busy_until().since(out.now());
        let apply = &setup.settings.costs.apply;
        match apply.fixed() {
            Some(each) => wait += each.times(self.applying.len() as u64),
            None => {
                for entry in &self.applying {
                    let (component, purpose) = (hash_bytes(b"etcd"), hash_bytes(b"apply"));
                    wait += apply.sample(&mut setup.seed.luck(component, purpose, u64::from(self.me), entry.index));
                }
            }
        }
        if let Some(cause) = self.applying.first().and_then(|first| self.causes.get(&first.index)) {
            out.because(*cause);
        }
        self.metrics.apply.observe(wait);
        self.metrics.slow_apply += u64::from(wait > SLOW_APPLY);
        self.batch = self.batch.wrapping_add(1);
        out.after(wait, EtcdEvent::Own { life: self.life, what: Own::Applied(self.batch) });
    }

    /// The batch's time is over: changes the store, tells the watches, then answers.
    pub(super) fn apply(&mut self, setup: Setup, out: &mut impl Effects<V>) {
        let mut replies = Vec::new();
        let mut causes = Vec::new();
        let mut told = self.store.revision();
        for entry in std::mem::take(&mut self.applying) {
            let Some(command) = entry.data else {
                self.causes.remove(&entry.index);
                self.applied = entry.index;
                continue;
            };
            if matches!(command.proposal, Proposal::Compact(_)) {
                // Compaction may forget what the watches have not yet been told.
                self.tell_watches(told + 1, &causes, out);
                told = self.store.revision();
            }
            let before = self.store.revision();
            let (result, full) = self.apply_one(&command.proposal, setup, out);
            self.applied = entry.index;
            let pending = self.pending.remove(&command.id);
            let own = pending.map(|pending| pending.cause);
            let leading = self.causes.remove(&entry.index);
            if let Some(cause) = leading.or(own) {
                out.because(cause);
            }
            let revision = self.store.revision();
            if leading.or(own).is_some() || !self.watchers.is_empty() && revision > before {
                let cause = out.note(EtcdNote::Applied { index: entry.index, revision });
                causes.push((revision, cause));
            }
            self.keep_time(&command.proposal, &result, out);
            if full {
                // Whoever asked hears of it once the alarm is raised.
                if let Err(error) = self.raise_alarm(pending.as_ref().and_then(|pending| pending.client), out)
                    && let Some(client) = pending.and_then(|pending| pending.client)
                {
                    replies.push((client, out.cause(), self.response(Err(error))));
                }
                continue;
            }
            if let Some(Pending { client: Some(client), refuse, physical, .. }) = pending {
                let response = self.response(refuse.map_or(result, Err));
                if physical && response.body.is_ok() {
                    self.compacting.push((client, response));
                } else {
                    replies.push((client, out.cause(), response));
                }
            }
        }
        self.raft.applied(self.applied);
        self.metrics.proposals_applied = self.applied;
        self.tell_watches(told + 1, &causes, out);
        for (client, cause, response) in replies {
            out.because(cause);
            out.reply(client.endpoint, client.id, response);
        }
        self.release_reads(setup, out);
        if self.applied.saturating_sub(self.raft.log().base().index) > setup.settings.catch_up_entries + TRIM_EVERY {
            self.raft.trim(setup.settings.catch_up_entries);
            self.wal.trim(self.raft.log().base().index);
        }
        self.leave_if_removed(setup, out);
    }

    /// The result, and whether an alarm is to be raised for want of space.
    fn apply_one(
        &mut self,
        proposal: &Proposal<V>,
        setup: Setup,
        out: &mut impl Effects<V>,
    ) -> (Result<Reply<V>, EtcdError>, bool) {
        let before = self.store.revision();
        let alarmed = self.store.members().alarmed(AlarmKind::NoSpace);
        let fits = proposal.quota_cost() == 0 || self.fits(proposal, setup);
        let change = match proposal {
            Proposal::Members(change) => self.store.members().change(change),
            _ => None,
        };
        let mut result = self.store.apply(proposal);
        if let Some(change) = change.filter(|_| result.is_ok()) {
            self.raft.apply_change(change, setup.moment(out));
        }
        self.count(proposal, &result);
        self.after_change(before, proposal, setup, out);
        if !fits && result.is_ok() {
            // It is applied all the same: every member must do the same with an entry.
            result = Err(EtcdError::NoSpace);
            return (result, !alarmed);
        }
        (result, false)
    }
}
