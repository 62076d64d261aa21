//! How the watch cache is filled and kept up with etcd, and what clients see when that breaks.
//!
//! A kind's cache is filled by a read of everything, and follows by a watch. A watch whose connection breaks goes on where it stopped;
//! lists wait meanwhile until etcd says that it has caught up. A watch that etcd ends (no leader for three seconds, history that it
//! needs compacted) means a new beginning: all watches of that kind's clients end, and until the cache is filled again new ones are
//! put off with 429.
//!
//! Models: kubernetes v1.36.2 staging/src/k8s.io/apiserver/pkg/storage/cacher/{cacher,delegator,ready}.go. Left out: falling back to etcd
//! when a cache does not catch up within three seconds.

use std::collections::BTreeMap;

use super::cache::{self, Change};
use super::etcd_client::{Heard, Own};
use super::request::{Answer, Body, Delivery, ListOptions, Verb, WatchEvent};
use super::status::Status;
use super::{ApiServer, ApiServerEvent, Collection, Pending, change_note, send_events};
use crate::client::Agent;
use crate::etcd::{Reply, Response, WatchReply};
use crate::event::{Effects, EtcdValue, Event};
use crate::kernel::Duration;
use crate::objects::Kind;
use crate::setup::Setup;
use crate::trace::{Note, What};
use std::sync::Arc;

/// First wait of the cacher's own reflector, up to twice as long by luck; Kubernetes: client-go reflector.go.
const REFILL: Duration = Duration::from_millis(800);

/// Lists that wait for their cache.
#[derive(Clone, Debug, Default)]
pub(super) struct Waiting {
    /// For it to be filled.
    cold: BTreeMap<Kind, Vec<u64>>,
    /// For it to have caught up with the revision that etcd named.
    behind: BTreeMap<Kind, Vec<(u64, u64)>>,
}

impl ApiServer {
    /// A process begins: all caches are empty.
    pub(super) fn fill_caches(&mut self, out: &mut Effects) {
        for kind in Kind::ALL {
            self.storage.list_all(kind, out);
        }
    }

    /// Something came of a question to etcd.
    pub(super) fn heard(&mut self, heard: Heard, setup: &Setup, out: &mut Effects) {
        match heard {
            Heard::Changes(kind, response) => self.told(kind, response, setup, out),
            Heard::Over(kind) => self.cache_over(kind, setup, out),
            Heard::Fresh(kind, revision) => self.caught_up(kind, revision, out),
            Heard::Answer(id, response) => match self.storage.client.is_own(id) {
                Some((Own::List, group)) => {
                    if let Some(kind) = self.storage.client.kind(group) {
                        self.filled(kind, response, setup, out);
                    }
                }
                Some((Own::Grant, _)) => self.granted(response, out),
                Some((Own::Lock, _)) => self.compactor.answered(response, &mut self.storage.client, out),
                Some(_) => {}
                None if ApiServer::is_probe(id) => self.checked_health(id, response.body.is_ok(), out),
                None => self.answered(id & !super::ATTEMPTS, response, setup, out),
            },
        }
    }

    fn filled(&mut self, kind: Kind, response: Response<EtcdValue>, setup: &Setup, out: &mut Effects) {
        let revision = response.revision;
        let Ok(Reply::Range(range)) = response.body else { return self.refill_later(kind, setup, out) };
        let objects = range.kvs.iter().filter_map(|kv| kv.value.object().cloned());
        self.cache.fill(kind, objects.map(|object| (object.key(), object)).collect(), revision);
        self.storage.client.watch(kind, revision, out);
        if kind.definition().is_some() {
            let keys: Vec<_> = self.cache.all(kind).map(|object| object.key()).collect();
            self.refilled(kind, &keys, setup, out);
        }
        for id in self.waiting.cold.remove(&kind).unwrap_or_default() {
            self.list(id, out);
        }
    }

    /// The cache of a kind has lost its thread.
    fn cache_over(&mut self, kind: Kind, setup: &Setup, out: &mut Effects) {
        for (client, number) in self.cache.empty(kind) {
            let ended = Delivery::WatchEnded { number, status: None };
            out.send(client, Duration::ZERO, Event::delivery(client, ended));
        }
        let late = self.waiting.behind.remove(&kind).unwrap_or_default();
        self.waiting.cold.entry(kind).or_default().extend(late.into_iter().map(|(id, _)| id));
        self.refill_later(kind, setup, out);
    }

    fn refill_later(&self, kind: Kind, setup: &Setup, out: &mut Effects) {
        let jitter = setup
            .luck("kube-apiserver", "refill", kind.name(), self.storage.client.place(out.now().as_nanos()))
            .below(1_000_000);
        out.after(REFILL + REFILL.fraction(jitter, 1_000_000), Event::ApiServer(self.me, ApiServerEvent::Refill(kind)));
    }

    fn caught_up(&mut self, kind: Kind, revision: u64, out: &mut Effects) {
        let waiting = self.waiting.behind.remove(&kind).unwrap_or_default();
        for (id, wanted) in waiting {
            if wanted <= revision {
                self.list_from_cache(id, wanted, out);
            } else {
                // It came meanwhile: once more.
                self.list(id, out);
            }
        }
    }

    /// A list of the most recent state asks etcd for its revision first.
    pub(super) fn list(&mut self, id: u64, out: &mut Effects) {
        let Some(flight) = self.in_flight.get_mut(&id) else { return };
        let kind = flight.request.kind;
        if !self.cache.ready(kind) {
            return self.waiting.cold.entry(kind).or_default().push(id);
        }
        let recent = !matches!(&flight.request.body, Body::List(options) if options.resource_version.is_some());
        if recent {
            flight.pending = Some(Pending::List);
            self.storage.revision(flight.ask(id), kind, out);
        } else {
            let revision = self.storage.client.told(kind);
            self.list_from_cache(id, revision, out);
        }
    }

    /// etcd named its revision: the cache has it, too, because both come over one connection in order, unless the watch had to
    /// be resumed.
    pub(super) fn list_at(&mut self, id: u64, revision: u64, out: &mut Effects) {
        let Some(flight) = self.in_flight.get(&id) else { return };
        let kind = flight.request.kind;
        if !self.cache.ready(kind) {
            self.waiting.cold.entry(kind).or_default().push(id);
        } else if self.storage.client.behind(kind) {
            self.waiting.behind.entry(kind).or_default().push((id, revision));
        } else {
            self.list_from_cache(id, revision, out);
        }
    }

    fn list_from_cache(&mut self, id: u64, resource_version: u64, out: &mut Effects) {
        let Some(flight) = self.in_flight.get(&id) else { return };
        let request = &flight.request;
        let everything = ListOptions::default();
        let options = match &request.body {
            Body::List(options) => options,
            Body::DeleteCollection(options) => &options.1,
            _ => &everything,
        };
        let items = self.cache.list(request.kind, &request.key.namespace, options);
        if request.verb == Verb::DeleteCollection {
            if let Some(flight) = self.in_flight.get_mut(&id) {
                flight.collection = Some(Box::new(Collection { listed: items, resource_version, done: 0 }));
            }
            return out.after(Duration::ZERO, Event::ApiServer(self.me, ApiServerEvent::Checked(id)));
        }
        self.reply(id, Ok(Answer::List { resource_version, items }), out);
    }

    pub(super) fn watch(&mut self, id: u64, setup: &Setup, out: &mut Effects) {
        let Some(flight) = self.in_flight.get(&id) else { return };
        let request = &flight.request;
        if !self.cache.ready(request.kind) {
            return self.reply(id, Err(Status::initializing()), out);
        }
        let watcher = (request.from, request.number);
        let options =
            if let Body::List(options) = &request.body { (**options).clone() } else { ListOptions::default() };
        match self.cache.watch(watcher, request.kind, request.key.namespace.clone(), options) {
            Ok(events) => {
                let cost = self.cpu(setup.profile.api.watch.sample(&mut self.luck(setup, "watch", request)));
                self.reply(id, Ok(Answer::Watching), out);
                send_events(watcher, events, cost, out);
            }
            Err(status) => self.reply(id, Err(status), out),
        }
    }

    /// Ends a client's watch: it has gone away.
    pub fn unwatch(&mut self, from: crate::kernel::Endpoint, number: u64) {
        self.cache.unwatch((from, number));
    }

    /// etcd told of changes: the cache takes them in, the watchers hear of them.
    fn told(&mut self, kind: Kind, response: Response<EtcdValue>, setup: &Setup, out: &mut Effects) {
        let revision = response.revision;
        let Ok(Reply::Watch(WatchReply::Events { events, causes })) = response.body else { return };
        let mut deliveries: BTreeMap<cache::WatcherId, Vec<WatchEvent>> = BTreeMap::new();
        let mut extended = Vec::new();
        for (event, cause) in events.into_iter().zip(causes) {
            let object = |kv: Option<Arc<crate::etcd::KeyValue<EtcdValue>>>| kv?.value.object().cloned();
            let (new, before) = (object(event.kv), object(event.prev_kv));
            let Some(object) = new.as_ref().or(before.as_ref()) else { continue };
            let key = object.key();
            out.because(cause);
            let what =
                What::Committed { revision: event.revision, change: change_note(before.is_none(), &new, object) };
            let cause = out.note(Note::about(Agent::ApiServer(self.me), kind, key.clone(), what));
            if kind.definition().is_some() {
                extended.push(key.clone());
            }
            let change = Change { old: None, new, version: event.revision, at: out.now(), cause };
            self.cache.apply(kind, key, change, &mut |id, event| deliveries.entry(id).or_default().push(event));
        }
        if !extended.is_empty() {
            self.extended(kind, &extended, setup, out);
        }
        if deliveries.is_empty() {
            return;
        }
        let place = self.storage.client.place(revision);
        let cost = self.cpu(setup.draw(&setup.profile.api.watch, "kube-apiserver", "fan-out", kind.name(), place));
        for (watcher, events) in deliveries {
            send_events(watcher, events, cost, out);
        }
    }
}
