//! The API server: a request's way as separate steps.
//!
//! Reading order: `request` (what is said), `authentication`, `authorization`, `admission`, `defaulting` and `validation`, `registry` (what a
//! request makes of an object), `quotas`, `storing`, `storage` and `etcd_client` (how that reaches etcd), `cache` (watches), `caching` (how it is filled),
//! `deadline`, `compactor`, `status` (errors); `extending` and `webhooks` (what users add: definitions, admission).
//!
//! A request's way: it arrives; authentication, authorization, admission and validation take their time; then the registry says what is to
//! be written, storage writes it on the condition that nobody else has, and the reply goes out. If somebody else has, the
//! registry is asked again with the newer state, up to the point where the request itself names a version: then it is a conflict.
//!
//! Models: kubernetes v1.36.2 staging/src/k8s.io/apiserver/pkg/server/config.go (DefaultBuildHandlerChain), registry/generic/registry/store.go,
//! storage/etcd3/store.go. Left out: flow control, audit, impersonation.

mod addresses;
pub mod admission;
mod authentication;
mod authorization;
pub mod cache;
mod caching;
mod compactor;
mod deadline;
pub mod defaulting;
pub mod etcd_client;
mod eviction;
mod extending;
mod health;
mod in_flight;
pub mod metrics;
pub mod patch;
mod quotas;
pub(crate) mod registry;
pub mod request;
mod selectable;
pub mod status;
mod storage;
mod storing;
pub mod validation;
pub mod webhooks;

use std::collections::BTreeMap;
use std::sync::Arc;

use self::cache::WatchCache;
use self::caching::Waiting;
use self::compactor::Compactor;
use self::deadline::Deadlines;
use self::etcd_client::EtcdClient;
use self::extending::Extending;
use self::health::Checking;
use self::in_flight::{ATTEMPTS, Collection, InFlight, Pending, REPLY, STORAGE, address, index};
use self::metrics::Metrics;
use self::quotas::Quotas;
pub use self::registry::API_SERVER;
use self::request::{Answer, Delivery, Reply, Request, Subresource, Verb, WatchEvent};
use self::status::Status;
use self::storage::{EventLeases, Storage};
use self::storing::stamped;
use crate::client::Agent;
use crate::etcd::Response;
use crate::event::{Effects, EtcdValue, Event};
use crate::kernel::out::RecordId;
use crate::kernel::{Duration, Endpoint, Instant, Luck};
use crate::metrics_server::MetricsEvent;
use crate::objects::{ConditionStatus, Kind, Object, Pod};
use crate::setup::Setup;
use crate::trace::note::{Change as ChangeNote, PodState};
use crate::trace::{Note, What};

/// Something that happens to the API server.
#[derive(Clone, Debug)]
pub enum ApiServerEvent {
    /// It starts.
    Start,
    /// A request arrived.
    Request(Box<Request>),
    /// Somebody outside asks how the server is.
    Health {
        /// The number of the question.
        number: u64,
        /// `/readyz`, `/livez`, `/healthz`.
        path: Arc<str>,
    },
    /// A health check has waited long enough for etcd.
    HealthTimeout(u64),
    /// A client's connection is closed, with its process or without.
    Disconnected {
        /// Whose.
        client: Endpoint,
        /// Requests from this number on came over a new connection.
        before: u64,
    },
    /// The checks before storage are done.
    Checked(u64),
    /// etcd says something: to a request, or on a watch.
    Etcd {
        /// The number under which it was asked.
        id: u64,
        /// What it says.
        response: Box<Response<EtcdValue>>,
    },
    /// What the server behind an aggregated API answers to a request of this number.
    Aggregated {
        /// The request.
        id: u64,
        /// The answer.
        value: Arc<serde_json::Value>,
    },
    /// Some request's time may be up.
    Deadline,
    /// Time to try to connect to etcd again.
    Reconnect {
        /// Whose client.
        group: u8,
        /// Which of its timers.
        timer: u32,
    },
    /// A member of etcd has been silent for too long.
    Silent(u8),
    /// Time to ask whether a resumed watch has caught up.
    AskProgress(Kind),
    /// Time to fill the cache of a kind anew.
    Refill(Kind),
    /// Time to forget history.
    Compact,
    /// A webhook's answer to a request has come, or its time is up.
    Reviewed {
        /// The request.
        id: u64,
        /// Which of the webhooks that it concerns.
        webhook: u16,
    },
    /// The cluster is extended by objects of this kind from now on.
    Extend(Kind),
}

/// The state of the API server.
#[derive(Clone, Debug, Default)]
pub struct ApiServer {
    /// Its number among the API servers.
    me: u8,
    /// How much longer its CPU takes than the profile says, less one. [hundredths]
    slower: u64,
    cache: WatchCache,
    in_flight: BTreeMap<u64, InFlight>,
    storage: Storage,
    leases: EventLeases,
    quotas: Quotas,
    waiting: Waiting,
    deadlines: Deadlines,
    compactor: Compactor,
    checks: Vec<Checking>,
    probes: u64,
    /// How many processes there have been before this one.
    life: u32,
    metrics: Metrics,
    extending: Extending,
}

/// How often a resumed watch is asked whether it has caught up; Kubernetes: progressRequestPeriod, 100 ms.
const PROGRESS: Duration = Duration::from_millis(100);

impl ApiServer {
    /// The API server of that number before it starts.
    pub fn new(me: u8) -> Self {
        ApiServer { me, ..ApiServer::default() }
    }

    /// Handles an event.
    pub fn handle(&mut self, event: ApiServerEvent, setup: &Setup, out: &mut Effects) {
        match event {
            ApiServerEvent::Start => {
                out.note(Note::new(Agent::ApiServer(self.me), What::Started));
                self.storage.client = EtcdClient::new(self.me, self.life, setup);
                self.fill_caches(out);
                self.compactor.plan(self.me, setup, out);
            }
            ApiServerEvent::Request(request) => self.receive(request, setup, out),
            ApiServerEvent::Health { number, path } => self.health(Endpoint::Outside, number, path, out),
            ApiServerEvent::HealthTimeout(id) => self.checked_health(id, false, out),
            ApiServerEvent::Disconnected { client, before } => self.disconnected(client, before, out),
            ApiServerEvent::Checked(id) => self.checked(id, setup, out),
            ApiServerEvent::Etcd { id, response } => {
                let mut heard = Vec::new();
                self.storage.client.hear(id, *response, setup, out, &mut heard);
                self.hear_all(heard, setup, out);
            }
            ApiServerEvent::Aggregated { id, value } => self.reply(id, Ok(Answer::Json(value)), out),
            ApiServerEvent::Deadline => self.deadline(out),
            ApiServerEvent::Reconnect { group, timer } => self.storage.client.reconnect(group, timer, setup, out),
            ApiServerEvent::Silent(member) => {
                let mut heard = Vec::new();
                self.storage.client.silent(member, out, &mut heard);
                self.hear_all(heard, setup, out);
            }
            ApiServerEvent::AskProgress(kind) => self.storage.client.ask_progress(kind, out),
            ApiServerEvent::Refill(kind) => self.storage.list_all(kind, out),
            ApiServerEvent::Reviewed { id, webhook } => self.webhook_answered(id, webhook.into(), setup, out),
            ApiServerEvent::Extend(kind) => self.extend(kind, setup, out),
            ApiServerEvent::Compact => {
                self.compactor.tick(&mut self.storage.client, out);
                self.compactor.plan(self.me, setup, out);
            }
        }
    }

    fn hear_all(&mut self, heard: Vec<etcd_client::Heard>, setup: &Setup, out: &mut Effects) {
        for one in heard {
            self.heard(one, setup, out);
        }
    }

    /// The process is gone: all its state, and the connections of its clients, who hear of that.
    pub fn crash(&mut self) -> Vec<(Endpoint, Delivery)> {
        let mut heard = Vec::new();
        for flight in std::mem::take(&mut self.in_flight).into_values() {
            let (number, result) = (flight.request.number, Err(Status::broken()));
            let reply = Reply { number, result, warnings: Vec::new() };
            heard.push((flight.request.from, Delivery::Reply(Box::new(reply))));
        }
        for (client, number) in self.cache.watchers() {
            heard.push((client, Delivery::WatchEnded { number, status: None }));
        }
        let metrics = std::mem::take(&mut self.metrics);
        *self = ApiServer { me: self.me, slower: self.slower, life: self.life + 1, metrics, ..ApiServer::default() };
        heard
    }

    /// A client is gone: its watches end, and what it asked for is answered to nobody. A write may still come about.
    fn disconnected(&mut self, client: Endpoint, before: u64, out: &mut Effects) {
        let closed = |from: Endpoint, number: u64| from == client && number < before;
        for watcher in self.cache.watchers().into_iter().filter(|(from, number)| closed(*from, *number)) {
            self.cache.unwatch(watcher);
        }
        let asked = self.in_flight.iter().filter(|(_, flight)| closed(flight.request.from, flight.request.number));
        let asked: Vec<u64> = asked.map(|(id, _)| *id).collect();
        for id in asked {
            self.give_up(
                id,
                Status::timeout("request did not complete within requested timeout - context canceled"),
                out,
            );
        }
    }

    /// A request ends before it is done, and nothing more is asked for it. A write that is with etcd may still come about.
    fn give_up(&mut self, id: u64, status: Status, out: &mut Effects) {
        if let Some(flight) = self.in_flight.get_mut(&id) {
            flight.collection = None;
        }
        self.storage.client.forget(id, id | ATTEMPTS);
        self.reply(id, Err(status), out);
    }

    /// What a client hears whose connection breaks: of its requests and its watches.
    pub fn on_the_way(&self, client: Endpoint) -> Vec<Delivery> {
        let asked = self.in_flight.values().filter(|flight| flight.request.from == client);
        let broken = |number| Reply { number, result: Err(Status::lost()), warnings: Vec::new() };
        let replies = asked.map(|flight| Delivery::Reply(Box::new(broken(flight.request.number))));
        let watches = self.cache.watchers().into_iter().filter(|(from, _)| *from == client);
        replies.chain(watches.map(|(_, number)| Delivery::WatchEnded { number, status: None })).collect()
    }

    /// The watch cache, to look at.
    pub fn cache(&self) -> &WatchCache {
        &self.cache
    }

    /// What it has counted.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Gives it a CPU on which everything takes so many hundredths of its time; 100 and less is as the profile says.
    pub fn set_slowness(&mut self, hundredths: u64) {
        self.slower = hundredths.saturating_sub(100);
    }

    /// How long something takes on its CPU.
    fn cpu(&self, time: Duration) -> Duration {
        if self.slower == 0 { time } else { time.fraction(100 + self.slower, 100) }
    }

    /// A request arrives: everything before storage takes its time.
    fn receive(&mut self, request: Box<Request>, setup: &Setup, out: &mut Effects) {
        let what = What::Request { from: request.agent, verb: request.verb, subresource: request.subresource };
        let record = out.note(Note::about(Agent::ApiServer(self.me), request.kind, request.key.clone(), what));
        let costs = &setup.profile.api;
        let mut luck = self.luck(setup, "request", &request);
        let pod = request.kind == Kind::Pod && request.verb == Verb::Create && request.subresource == Subresource::None;
        let mutating = request.verb.mutating();
        let mut steps = [
            costs.authentication.sample(&mut luck),
            costs.authorization.sample(&mut luck),
            if pod {
                costs.pod_admission.sample(&mut luck)
            } else if mutating {
                costs.admission.sample(&mut luck)
            } else {
                Duration::ZERO
            },
            if mutating { costs.validation.sample(&mut luck) } else { Duration::ZERO },
            Duration::ZERO,
            costs.reply.sample(&mut luck),
        ];
        steps.iter_mut().for_each(|step| *step = self.cpu(*step));
        let before_storage = steps[0] + steps[1] + steps[2] + steps[3];
        let id = address(&request);
        out.after(before_storage, Event::ApiServer(self.me, ApiServerEvent::Checked(id)));
        let (arrived, since, warnings) = (out.now(), out.now(), validation::deprecation(request.kind));
        let flight = InFlight {
            request,
            record,
            arrived,
            since,
            steps,
            asked: 0,
            pending: None,
            warnings,
            collection: None,
            eviction: None,
            addresses: None,
            charge: None,
            charged: false,
            review: None,
        };
        self.mind_deadline(&flight, out);
        self.in_flight.insert(id, flight);
    }

    /// The time of the checks has passed: their results, and the way to storage.
    fn checked(&mut self, id: u64, setup: &Setup, out: &mut Effects) {
        let Some(flight) = self.in_flight.get_mut(&id) else { return };
        if flight.collection.is_some() {
            return self.delete_next(id, setup, out);
        }
        if flight.eviction.is_some() {
            return self.evict(id, out);
        }
        flight.since = out.now();
        let request = &flight.request;
        if !request.subresource.of(request.kind) {
            return self.reply(id, Err(Status::no_such_path()), out);
        }
        if let Err(status) = authentication::authenticate(request)
            .and_then(|user| authorization::authorize(user, request))
            .and_then(|()| selectable::check(request))
        {
            return self.reply(id, Err(status), out);
        }
        if request.kind.definition().is_some() && self.unserved(id, setup, out) {
            return;
        }
        let Some(flight) = self.in_flight.get_mut(&id) else { return };
        let request = &flight.request;
        match request.verb {
            _ if request.subresource == Subresource::Metrics => self.hand_on(id, setup, out),
            Verb::Get if request.subresource != Subresource::Scale => {
                flight.pending = Some(Pending::Get);
                self.storage.read(flight.ask(id), flight.request.kind, &flight.request.key, out);
            }
            Verb::List | Verb::DeleteCollection => self.list(id, out),
            Verb::Watch => self.watch(id, setup, out),
            Verb::Create if request.subresource == Subresource::Eviction => self.evict(id, out),
            _ => self.proceed(id, setup, out),
        }
    }

    /// The registry has its say about a write.
    fn proceed(&mut self, id: u64, setup: &Setup, out: &mut Effects) {
        let Some(flight) = self.in_flight.get_mut(&id) else { return };
        if flight.request.verb != Verb::Create || flight.request.subresource == Subresource::Binding {
            return self.change_cached(id, setup, out);
        }
        let mut context = Self::context(&self.cache, flight, setup, out.wall());
        let write = registry::create(&mut context);
        flight.warnings = context.warnings;
        self.carry_out(id, None, write, false, setup, out);
    }

    /// A request to an aggregated API goes on to the server behind it, if there is one. Upstream: kube-aggregator, handler_proxy.go.
    fn hand_on(&mut self, id: u64, setup: &Setup, out: &mut Effects) {
        let Some(flight) = self.in_flight.get(&id) else { return };
        let request = &flight.request;
        if setup.metrics_server.is_none() || request.kind != Kind::Pod || request.verb != Verb::List {
            let status = Status::no_resource(request.verb, request.kind);
            return self.reply(id, Err(status), out);
        }
        let labels = match &request.body {
            request::Body::List(options) => options.labels.clone(),
            _ => None,
        };
        let which = Box::new((request.key.namespace.clone(), labels));
        let query = MetricsEvent::Query { server: self.me, id, which };
        out.send(Endpoint::Outside, Duration::ZERO, Event::MetricsServer(query));
    }

    /// Begins with the object as the cache has it.
    fn change_cached(&mut self, id: u64, setup: &Setup, out: &mut Effects) {
        let Some(InFlight { request, .. }) = self.in_flight.get(&id) else { return };
        match self.cache.get(request.kind, &request.key).cloned() {
            Some(current) => self.change(id, current, false, setup, out),
            None => self.reread(id, out),
        }
    }

    /// The next object of a collection is deleted; after the last one the reply goes out.
    fn delete_next(&mut self, id: u64, setup: &Setup, out: &mut Effects) {
        let Some(flight) = self.in_flight.get_mut(&id) else { return };
        let Some(collection) = &mut flight.collection else { return };
        if let Some(object) = collection.listed.get(collection.done) {
            flight.request.key = object.key();
            return self.change_cached(id, setup, out);
        }
        let Some(Collection { listed: items, resource_version, .. }) = flight.collection.take().map(|all| *all) else {
            return;
        };
        self.reply(id, Ok(Answer::List { resource_version, items }), out);
    }

    fn context<'a>(cache: &'a WatchCache, flight: &'a InFlight, setup: &Setup, now: Instant) -> registry::Context<'a> {
        let second = Instant::from_nanos(now.as_nanos() / 1_000_000_000 * 1_000_000_000);
        let request = &flight.request;
        let luck = setup.luck("kube-apiserver", "names", request.agent.name(), index(request) << 40 | request.sequence);
        registry::Context { request, cache, now: second, luck, warnings: validation::deprecation(request.kind) }
    }

    fn luck(&self, setup: &Setup, purpose: &str, request: &Request) -> Luck {
        setup.luck("kube-apiserver", purpose, request.agent.name(), index(request) << 40 | request.sequence)
    }

    /// The last step: the reply goes out. Of a collection only one object is done; that it has gone meanwhile is no error.
    fn reply(&mut self, id: u64, result: Result<Answer, Status>, out: &mut Effects) {
        self.leave_quotas(id, out);
        self.settle_addresses(id, result.is_ok(), out);
        if let Some(InFlight { collection: Some(collection), .. }) = self.in_flight.get_mut(&id)
            && result.as_ref().map_or_else(Status::is_not_found, |_| true)
        {
            collection.done += 1;
            return out.after(Duration::ZERO, Event::ApiServer(self.me, ApiServerEvent::Checked(id)));
        }
        let Some(mut flight) = self.in_flight.remove(&id) else { return };
        flight.steps[STORAGE] = out.now().since(flight.since);
        let said = flight.webhook_warnings();
        flight.warnings.extend(said);
        let request = flight.request;
        let (code, reason) = match &result {
            Ok(_) if request.verb == Verb::Create => (201, "".into()),
            Ok(_) => (200, "".into()),
            Err(status) => (status.code, status.reason.clone()),
        };
        self.metrics.observe(request.verb, code, flight.steps);
        let mut key = request.key;
        if let Ok(Answer::Object(object)) = &result {
            key = object.key();
        }
        if request.verb == Verb::DeleteCollection {
            key.name = "".into();
        }
        let what = What::Reply {
            to: request.agent,
            verb: request.verb,
            subresource: request.subresource,
            code,
            reason,
            steps: flight.steps,
        };
        out.because(flight.record);
        out.note(Note::about(Agent::ApiServer(self.me), request.kind, key, what));
        if matches!(request.from, Endpoint::ApiServer(_)) {
            return;
        }
        let delivery = Delivery::Reply(Box::new(Reply { number: request.number, result, warnings: flight.warnings }));
        out.send(request.from, flight.steps[REPLY], Event::delivery(request.from, delivery));
    }
}

fn send_events((to, number): cache::WatcherId, events: Vec<WatchEvent>, cost: Duration, out: &mut Effects) {
    if events.is_empty() {
        return;
    }
    if let Some(last) = events.last()
        && last.cause != RecordId::default()
    {
        out.because(last.cause);
    }
    out.send(to, cost, Event::delivery(to, Delivery::Watch { number, events }));
}

fn change_note(created: bool, new: &Option<Arc<Object>>, object: &Arc<Object>) -> ChangeNote {
    match (new, &**object) {
        (None, _) => ChangeNote::Deleted,
        (Some(_), Object::Pod(pod)) => {
            let node = pod.node.clone().unwrap_or_else(|| "".into());
            ChangeNote::Pod { created, state: pod_state(pod), node }
        }
        (Some(_), Object::Node(node)) => {
            let condition = node.condition("Ready").map_or(ConditionStatus::Unknown, |ready| ready.status);
            ChangeNote::Node { created, condition, schedulable: !node.unschedulable }
        }
        _ if created => ChangeNote::Created,
        _ => ChangeNote::Modified,
    }
}

fn pod_state(pod: &Pod) -> PodState {
    use crate::objects::ContainerState;
    let harmless = ["ContainerCreating", "PodInitializing", ""];
    let failing = pod.status.containers.iter().any(
        |container| matches!(&container.state, ContainerState::Waiting { reason, .. } if !harmless.contains(&&**reason)),
    );
    PodState {
        phase: pod.status.phase,
        bound: pod.node.is_some(),
        ready: pod.ready(),
        deleting: pod.meta.deleting(),
        failing,
    }
}
