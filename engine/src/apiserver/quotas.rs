//! Quotas are charged before an object is stored: `status.used` is raised by what it will use, or the creation is refused.
//!
//! What arrives for a namespace while its quotas are being written waits, and is charged together after that. Who loses a race for
//! a quota, with the controller or another API server, charges all anew on the quota as it is. A creation that fails after it was
//! charged leaves the quota too high until the controller counts it again.
//!
//! Models: kubernetes v1.36.2 staging/src/k8s.io/apiserver/pkg/admission/plugin/resourcequota/{controller,resource_access}.go. Left
//! out: the ten workers (as many namespaces as there are can be charged at the same time), limited resources.

use std::collections::BTreeMap;
use std::mem::take;
use std::sync::Arc;

use super::admission::quota;
use super::cache::WatchCache;
use super::request::{ListOptions, Subresource, Verb};
use super::status::Status;
use super::{ApiServer, ApiServerEvent, InFlight, Pending, registry, stamped, storage};
use crate::event::{Effects, Event};
use crate::kernel::Duration;
use crate::objects::{Key, Kind, Name, Object};
use crate::setup::Setup;

/// How often a quota that somebody else has changed is tried again; Kubernetes: checkQuotas' remainingRetries, 3.
const RETRIES: u32 = 3;

/// The quotas being charged.
#[derive(Clone, Debug, Default)]
pub(super) struct Quotas {
    rounds: BTreeMap<Name, Round>,
    /// As last written, until the watch has shown them; Kubernetes: updatedQuotas.
    written: BTreeMap<Key, Arc<Object>>,
}

/// What goes on in a namespace.
#[derive(Clone, Debug, Default)]
struct Round {
    /// Requests of the next round.
    waiting: Vec<u64>,
    /// Requests that are stored when the quotas are.
    charged: Vec<u64>,
    /// Quotas to write, the one under way last.
    writes: Vec<Arc<Object>>,
    retries: u32,
}

/// A write that waits for its quotas.
#[derive(Clone, Debug)]
pub(super) struct Charge {
    current: Option<Arc<Object>>,
    next: Arc<Object>,
    live: bool,
}

impl Quotas {
    /// The quotas of a namespace in the order of their names, each as new as is known.
    fn current(&mut self, cache: &WatchCache, namespace: &Name) -> Vec<Arc<Object>> {
        let newer = |key: &Key, written: &Object| {
            cache.get(Kind::ResourceQuota, key).is_some_and(|quota| {
                let (quota, written) = (quota.meta(), written.meta());
                quota.uid == written.uid && quota.resource_version < written.resource_version
            })
        };
        self.written.retain(|key, written| key.namespace != *namespace || newer(key, written));
        let mut all = cache.list(Kind::ResourceQuota, namespace, &ListOptions::default());
        for quota in &mut all {
            if let Some(written) = self.written.get(&quota.key()) {
                *quota = written.clone();
            }
        }
        all
    }
}

impl ApiServer {
    /// Whether a write must wait for quotas; if so it goes on by itself.
    pub(super) fn charge(
        &mut self,
        id: u64,
        current: Option<&Arc<Object>>,
        next: &Object,
        live: bool,
        setup: &Setup,
        out: &mut Effects,
    ) -> bool {
        if self.cache.len(Kind::ResourceQuota) == 0 {
            return false;
        }
        let Some(flight) = self.in_flight.get_mut(&id) else { return false };
        if flight.charged || !charges(flight, next.kind()) {
            return false;
        }
        let namespace = next.meta().namespace.clone();
        let mut quotas = self.quotas.current(&self.cache, &namespace);
        if quotas.is_empty() {
            return false;
        }
        flight.charged = true;
        if flight.request.options.dry_run {
            let refused = quota::charge(&mut quotas, next, current.map(|object| &**object), out.now()).err();
            return refused.map(|status| self.reply(id, Err(status), out)).is_some();
        }
        flight.charge = Some(Box::new(Charge { current: current.cloned(), next: Arc::new(next.clone()), live }));
        let round = self.quotas.rounds.entry(namespace.clone()).or_default();
        round.waiting.push(id);
        if round.charged.is_empty() {
            self.begin_round(&namespace, setup, out);
        }
        true
    }

    /// Charges all that wait.
    fn begin_round(&mut self, namespace: &Name, setup: &Setup, out: &mut Effects) {
        let Some(round) = self.quotas.rounds.get_mut(namespace) else { return };
        let waiting = take(&mut round.waiting);
        let before = self.quotas.current(&self.cache, namespace);
        let mut quotas = before.clone();
        let (mut charged, mut refused) = (Vec::new(), Vec::new());
        for id in waiting {
            let Some(charge) = self.in_flight.get(&id).and_then(|flight| flight.charge.as_ref()) else { continue };
            match quota::charge(&mut quotas, &charge.next, charge.current.as_deref(), out.now()) {
                Ok(()) => charged.push(id),
                Err(status) => refused.push((id, status)),
            }
        }
        let changed = quotas.into_iter().zip(before).filter(|(new, old)| !Arc::ptr_eq(new, old)).map(|(new, _)| new);
        if let Some(round) = self.quotas.rounds.get_mut(namespace) {
            round.writes = changed.rev().collect();
            round.charged = charged;
        }
        for (id, status) in refused {
            self.reply(id, Err(status), out);
        }
        self.write_quota(namespace, setup, out);
    }

    /// Writes the next quota; after the last one what was charged for goes on.
    fn write_quota(&mut self, namespace: &Name, setup: &Setup, out: &mut Effects) {
        let Some(round) = self.quotas.rounds.get_mut(namespace) else { return };
        if let (Some(quota), Some(id)) = (round.writes.last().cloned(), round.charged.first().copied())
            && let Some(flight) = self.in_flight.get_mut(&id)
        {
            flight.pending = Some(Pending::Quota);
            out.because(flight.record);
            let (key, version) = (quota.key(), Some(quota.meta().resource_version));
            return self.storage.write(flight.ask(id), Kind::ResourceQuota, &key, version, Some(quota), None, out);
        }
        let charged = take(&mut round.charged);
        (round.writes, round.retries) = (Vec::new(), 0);
        let more = !round.waiting.is_empty();
        if !more {
            self.quotas.rounds.remove(namespace);
        }
        for id in charged {
            let Some(flight) = self.in_flight.get_mut(&id) else { continue };
            let Some(charge) = flight.charge.take() else { continue };
            let Charge { current, next, live } = *charge;
            out.because(flight.record);
            let next = Arc::try_unwrap(next).unwrap_or_else(|next| (*next).clone());
            self.carry_out(id, current, Ok(registry::Write::Put(Box::new(next))), live, setup, out);
        }
        if more {
            self.begin_round(namespace, setup, out);
        }
    }

    /// etcd has a quota, or has another version of it.
    pub(super) fn wrote_quota(&mut self, id: u64, found: storage::Found, setup: &Setup, out: &mut Effects) {
        let Some(flight) = self.in_flight.get(&id) else { return };
        let Some(charge) = &flight.charge else { return };
        let namespace = charge.next.meta().namespace.clone();
        let Some(round) = self.quotas.rounds.get_mut(&namespace) else { return };
        let Some(quota) = round.writes.pop() else { return };
        match found {
            storage::Found::Written(revision) => {
                self.quotas.written.insert(quota.key(), stamped(quota, revision));
                return self.write_quota(&namespace, setup, out);
            }
            storage::Found::Object(Some(current)) => {
                self.quotas.written.insert(current.key(), current);
            }
            storage::Found::Object(None) => {
                self.quotas.written.remove(&quota.key());
            }
        }
        round.retries += 1;
        let charged = take(&mut round.charged);
        if round.retries <= RETRIES {
            round.waiting.splice(0..0, charged);
            return self.begin_round(&namespace, setup, out);
        }
        round.retries = 0;
        for id in charged {
            let status = Status::modified(Kind::ResourceQuota, &quota.meta().name);
            self.reply(id, Err(status), out);
        }
        self.begin_round(&namespace, setup, out);
    }

    /// A request ends while its quotas are being charged: those that went with it begin anew.
    pub(super) fn leave_quotas(&mut self, id: u64, out: &mut Effects) {
        let Some(charge) = self.in_flight.get_mut(&id).and_then(|flight| flight.charge.take()) else { return };
        let namespace = charge.next.meta().namespace.clone();
        let Some(round) = self.quotas.rounds.get_mut(&namespace) else { return };
        round.waiting.retain(|other| *other != id);
        if round.charged.first() != Some(&id) {
            return round.charged.retain(|other| *other != id);
        }
        // It was the one that wrote the quotas.
        let Some(round) = self.quotas.rounds.remove(&namespace) else { return };
        for other in round.charged.into_iter().skip(1).chain(round.waiting) {
            if let Some(flight) = self.in_flight.get_mut(&other) {
                (flight.charge, flight.charged) = (None, false);
                out.after(Duration::ZERO, Event::ApiServer(self.me, ApiServerEvent::Checked(other)));
            }
        }
    }
}

/// Quotas are asked at creations, and where an update may use more.
fn charges(flight: &InFlight, kind: Kind) -> bool {
    let request = &flight.request;
    kind.namespaced()
        && request.subresource == Subresource::None
        && match request.verb {
            Verb::Create => true,
            Verb::Update | Verb::Patch => matches!(kind, Kind::Service | Kind::PersistentVolumeClaim),
            _ => false,
        }
}

#[cfg(test)]
mod tests;
