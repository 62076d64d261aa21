//! The cluster at one instant, and the one match from what happens to whom it concerns.
//!
//! The world is a value: cloning it forks the run, timers, queues and random state included. Components get `&mut` their own state, the
//! constant setup and an `Out`; what they ask for is applied here and nowhere else.

mod balancer;
mod containers;
mod custom;
mod extensions;
pub mod faults;
mod hanging;
mod machines;
mod metrics;
mod processes;
mod starving;
mod traffic;
mod watches;

use std::collections::VecDeque;
use std::sync::Arc;

use crate::apiserver::request::{Delivery, Request};
use crate::apiserver::{ApiServer, ApiServerEvent};
use crate::client::Agent;
use crate::controllers::{ControllerManager, ControllerManagerEvent};
use crate::custom::{CustomController, Told};
use crate::etcd::{self, EtcdEvent, EtcdNote, Member, Response};
use crate::event::{Effects, EtcdValue, Event, Queued};
use crate::kernel::out::{Action, Out, RecordId};
use crate::kernel::{Duration, Endpoint, Instant, Network, Queue, Seed};
use crate::kubelet::{Kubelet, KubeletEvent};
use crate::metrics_server::MetricsServer;
use crate::objects::{Key, Kind, Object};
use crate::process::{Ending, Process, Processes};
use crate::registry::Registries;
use crate::scheduler::{Scheduler, SchedulerEvent};
use crate::scripted::Scripts;
use crate::setup::{NodeSpec, Setup};
use crate::trace::{Note, Trace, What};
use crate::traffic::Traffic;

/// A simulated cluster.
#[derive(Clone)]
pub struct World {
    setup: Arc<Setup>,
    now: Instant,
    queue: Queue<Queued>,
    network: Network,
    trace: Trace,
    etcd: Vec<Member<EtcdValue>>,
    apiservers: Vec<ApiServer>,
    controller_managers: Vec<ControllerManager>,
    schedulers: Vec<Scheduler>,
    kubelets: Vec<Kubelet>,
    custom: Vec<CustomController>,
    metrics_server: Option<Box<MetricsServer>>,
    proxies: traffic::Proxies,
    traffic: Option<Box<Traffic>>,
    processes: Processes,
    hanging: hanging::Hanging,
    starving: starving::Starving,
    balancer: balancer::Balancer,
    extensions: extensions::Extensions,
    mailbox: VecDeque<Mail>,
    /// What users' functions have to say.
    told: Vec<Told>,
    operators: VecDeque<EtcdMail>,
    /// What was sent over links that are cut: it is sent again when they are mended, as TCP does.
    held: Vec<(Endpoint, Endpoint, Queued)>,
    faults: faults::Faults,
    pub(crate) registries: Registries,
    handled: u64,
    /// Kept between events to save allocations; empty in between.
    buffer: Vec<Action<Event, Note>>,
}

/// A message to a program outside the cluster.
#[derive(Clone, Debug)]
pub struct Mail {
    /// When it arrived.
    pub at: Instant,
    /// What it says.
    pub delivery: Delivery,
    /// The record that caused it.
    pub cause: RecordId,
}

/// A message of a member of etcd to a program outside the cluster.
#[derive(Clone, Debug)]
pub struct EtcdMail {
    /// When it arrived.
    pub at: Instant,
    /// The number of the request; a watch answers many times under one.
    pub number: u64,
    /// What it says: also that nobody took the connection ([`etcd::EtcdError::ConnectionRefused`]) or that it broke
    /// ([`etcd::EtcdError::ConnectionLost`]).
    pub response: Response<EtcdValue>,
    /// The record that caused it.
    pub cause: RecordId,
}

/// A member of etcd can not be put there.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the member of that number runs, or there is none before it")]
pub struct InvalidPlace;

/// A version of an object.
#[derive(Clone, Debug)]
pub struct HistoryEntry {
    /// The revision of the write.
    pub revision: u64,
    /// The object's key.
    pub key: Key,
    /// What was written; `None` is a deletion.
    pub object: Option<Arc<Object>>,
}

impl World {
    /// A cluster that is switched on at instant zero, with an empty etcd.
    pub fn new(setup: Arc<Setup>) -> Self {
        let member = |me| Member::new(me, &setup.formation, setup.seed, &setup.profile.etcd);
        let mut world = World {
            now: Instant::START,
            queue: Queue::new(setup.shuffle_ties),
            network: Network::default(),
            trace: Trace::new(setup.trace),
            etcd: (0..setup.etcd_members).map(member).collect(),
            apiservers: (0..setup.api_servers).map(ApiServer::new).collect(),
            controller_managers: (0..setup.controller_managers).map(ControllerManager::new).collect(),
            schedulers: (0..).zip(&setup.schedulers).map(|(number, spec)| Scheduler::new(number, spec)).collect(),
            kubelets: (0..setup.nodes.len()).map(|node| Kubelet::new(node as u32, &setup)).collect(),
            custom: (0..).zip(&setup.custom).map(|(number, process)| CustomController::new(number, process)).collect(),
            metrics_server: setup.metrics_server.map(|every| Box::new(MetricsServer::new(every))),
            proxies: traffic::Proxies::default(),
            traffic: None,
            processes: Processes::default(),
            hanging: hanging::Hanging::new(),
            starving: starving::Starving::new(),
            balancer: balancer::Balancer::default(),
            extensions: extensions::Extensions::default(),
            mailbox: VecDeque::new(),
            told: Vec::new(),
            operators: VecDeque::new(),
            held: Vec::new(),
            faults: faults::Faults::default(),
            registries: Registries::default(),
            handled: 0,
            buffer: Vec::new(),
            setup,
        };
        world.switch_on();
        world
    }

    /// The order in which the processes start; each waits for what it needs by itself.
    fn switch_on(&mut self) {
        let all: Vec<Process> = if self.setup.supervised { self.process_list().collect() } else { Vec::new() };
        all.into_iter().for_each(|process| self.supervise(process, true));
        if self.setup.only_etcd {
            return;
        }
        let mut starts: Vec<(u64, Event)> =
            (0..self.setup.api_servers).map(|server| (0, Event::ApiServer(server, ApiServerEvent::Start))).collect();
        starts.push((crate::bootstrap::AFTER_MS, Event::Outside(Delivery::WatchEnded { number: 0, status: None })));
        for manager in 0..self.setup.controller_managers {
            starts.push((1_000, Event::ControllerManager(manager, ControllerManagerEvent::Start)));
        }
        for scheduler in 0..self.schedulers.len() as u8 {
            starts.push((1_000, Event::Scheduler(scheduler, SchedulerEvent::Start)));
        }
        for node in 0..self.kubelets.len() as u32 {
            // Nodes join one after the other, all within a second.
            let delay = 1_000 + u64::from(node) * 1_000 / self.kubelets.len() as u64;
            starts.push((delay, Event::Kubelet(node, KubeletEvent::Start)));
        }
        self.start_metrics_server();
        self.switch_proxies_on();
        for (ms, event) in starts {
            self.push(
                Instant::START + Duration::from_millis(ms),
                Endpoint::Outside,
                Queued::anybody(event, RecordId(0)),
            );
        }
    }

    /// Another node joins: its kubelet starts now. Its number, or `None` if there is a node of that name.
    pub fn add_node(&mut self, spec: NodeSpec) -> Option<u32> {
        if self.setup.nodes.iter().any(|known| known.name == spec.name) {
            return None;
        }
        let number = self.kubelets.len() as u32;
        Arc::make_mut(&mut self.setup).nodes.push(spec);
        let mut kubelet = Kubelet::new(number, &self.setup);
        if let Some(first) = self.kubelets.first() {
            kubelet.stand_as(first);
        }
        self.kubelets.push(kubelet);
        self.now_at(Event::Kubelet(number, KubeletEvent::Start), RecordId(0));
        self.proxy_joins(number);
        Some(number)
    }

    /// From now on all luck comes from another seed: what else could have happened, told on a clone.
    pub fn reseed(&mut self, seed: u64) {
        Arc::make_mut(&mut self.setup).seed = Seed(seed);
    }

    /// What is constant in this run, but for nodes that join ([`World::add_node`]), [`World::set_scripts`] and [`World::reseed`].
    pub fn setup(&self) -> &Arc<Setup> {
        &self.setup
    }

    /// From now on the user's functions are these.
    pub fn set_scripts(&mut self, scripts: Arc<dyn Scripts>) {
        Arc::make_mut(&mut self.setup).scripts = scripts;
    }

    /// The present instant.
    pub fn now(&self) -> Instant {
        self.now
    }

    /// How many events have been handled.
    pub fn handled(&self) -> u64 {
        self.handled
    }

    /// The trace so far.
    pub fn trace(&self) -> &Trace {
        &self.trace
    }

    /// Forgets the records so far; the fingerprint and the ids go on. For what comes before a script begins.
    pub fn forget_trace(&mut self) {
        self.trace.forget();
    }

    /// The instant of the next event.
    pub fn next_at(&mut self) -> Option<Instant> {
        self.queue.next_at()
    }

    /// Handles the next event; false if nothing is left to happen.
    pub fn step(&mut self) -> bool {
        let Some((at, queued)) = self.queue.pop() else { return false };
        assert!(at >= self.now, "time went back from {:?} to {at:?}", self.now);
        self.now = at;
        self.handle(queued);
        true
    }

    /// Lets everything happen up to and including `until`.
    pub fn run_until(&mut self, until: Instant) {
        while self.queue.next_at().is_some_and(|at| at <= until) {
            self.step();
        }
        self.now = self.now.max(until);
    }

    /// Everything stored of a kind, in key order: the truth in etcd, not a cache.
    pub fn objects(&self, kind: Kind) -> Vec<Arc<Object>> {
        let Some(member) = self.latest() else { return Vec::new() };
        let range = etcd::RangeRequest::new(etcd::KeyRange::Prefix(kind.key_prefix().into()));
        member
            .store()
            .range(&range)
            .map(|reply| reply.kvs.iter().filter_map(|kv| kv.value.object().cloned()).collect())
            .unwrap_or_default()
    }

    /// The member whose store is furthest: what it has was committed.
    fn latest(&self) -> Option<&Member<EtcdValue>> {
        self.etcd.iter().rev().max_by_key(|member| member.applied_index())
    }

    /// The members of etcd, to look at; their numbers are their places.
    pub fn etcd(&self) -> &[Member<EtcdValue>] {
        &self.etcd
    }

    /// The API servers, to look at.
    pub fn apiservers(&self) -> &[ApiServer] {
        &self.apiservers
    }

    /// Gives an API server a CPU on which everything takes so many hundredths of its time; 100 is as the profile says.
    pub fn slow_api_server(&mut self, number: u8, hundredths: u64) {
        if let Some(server) = self.apiservers.get_mut(usize::from(number)) {
            server.set_slowness(hundredths);
        }
    }

    /// The controller managers, to look at.
    pub fn controller_managers(&self) -> &[ControllerManager] {
        &self.controller_managers
    }

    /// The schedulers, to look at.
    pub fn schedulers(&self) -> &[Scheduler] {
        &self.schedulers
    }

    /// Lets something happen at a member of etcd now: a kill, a start, an operator's request.
    pub fn etcd_event(&mut self, member: u8, event: EtcdEvent<EtcdValue>) {
        self.push(self.now, Endpoint::Outside, Queued::anybody(Event::Etcd(member, event), RecordId(0)));
    }

    /// The text of the `/metrics` of a member of etcd, and what it is made of; none while its process does not run.
    pub fn etcd_metrics(&mut self, member: u8) -> Option<(String, etcd::Gauges, etcd::Metrics)> {
        let (now, setup) = (self.now, self.setup.clone());
        let member = self.etcd.get_mut(usize::from(member)).filter(|member| member.running())?;
        member.look(now, setup.seed, &setup.profile.etcd);
        let settings = &setup.profile.etcd;
        Some((member.metrics_text(settings), member.gauges(settings), member.metrics().clone()))
    }

    /// The disk of a member of etcd, to make it slow.
    pub fn etcd_disk(&mut self, member: u8) -> Option<&mut etcd::disk::Disk> {
        self.etcd.get_mut(usize::from(member)).map(Member::disk_mut)
    }

    /// A member of etcd that was added to the cluster and is to be started; its number comes from the answer to the
    /// addition and must be the next one.
    pub fn add_etcd_member(&mut self, name: &str, client_urls: &str) -> u8 {
        let number = self.etcd.len() as u8;
        self.etcd.push(Member::joining(number, name, client_urls, self.setup.seed, &self.setup.profile.etcd));
        number
    }

    /// Gives a member of etcd another data directory: that of a member made of a snapshot
    /// ([`Member::restored`]). The answer is the member as it was, if there was one of that number; it is an error if
    /// its process runs, or if numbers would be left out.
    pub fn replace_etcd_member(
        &mut self,
        mut with: Member<EtcdValue>,
    ) -> Result<Option<Member<EtcdValue>>, InvalidPlace> {
        let (number, next) = (usize::from(with.number()), self.etcd.len());
        match self.etcd.get_mut(number) {
            Some(place) if !place.running() => {
                with.come_after(place);
                self.proxies.forget_history();
                Ok(Some(std::mem::replace(place, with)))
            }
            None if number == next => {
                self.etcd.push(with);
                Ok(None)
            }
            _ => Err(InvalidPlace),
        }
    }

    /// The data directory of a stopped member of etcd, to work on.
    pub fn etcd_stopped(&mut self, member: u8) -> Option<&mut Member<EtcdValue>> {
        self.etcd.get_mut(usize::from(member)).filter(|member| !member.running())
    }

    /// Sends a request of a program outside the cluster to a member of etcd; `number` is its name in the answers and
    /// is not used twice.
    pub fn ask_etcd(&mut self, member: u8, number: u64, request: etcd::Request<EtcdValue>, cause: RecordId) {
        let event = EtcdEvent::Request { from: Endpoint::Outside, id: number, request: Box::new(request) };
        let queued = Queued::anybody(Event::Etcd(member, event), cause);
        self.transmit(Endpoint::Outside, Endpoint::Etcd(member), Duration::ZERO, queued);
    }

    /// Takes the next message of etcd to a program outside the cluster.
    pub fn receive_from_etcd(&mut self) -> Option<EtcdMail> {
        self.operators.pop_front()
    }

    /// Whether nothing gets from one endpoint to another.
    pub fn link_is_cut(&self, from: Endpoint, to: Endpoint) -> bool {
        self.network.is_cut(from, to)
    }

    /// All keys in etcd, in order.
    pub fn keys(&self) -> Vec<Arc<str>> {
        let Some(member) = self.latest() else { return Vec::new() };
        let range = etcd::RangeRequest::new(etcd::KeyRange::Prefix("/".into()));
        member
            .store()
            .range(&range)
            .map(|reply| reply.kvs.iter().map(|kv| kv.key.clone()).collect())
            .unwrap_or_default()
    }

    /// Every version of the objects of a kind that was written after `revision`, in the order of the writes.
    pub fn history(&self, kind: Kind, revision: u64) -> Vec<HistoryEntry> {
        let Some(member) = self.latest() else { return Vec::new() };
        let prefix = kind.key_prefix();
        let changes = member.store().events_from(revision + 1).filter(|event| event.key.starts_with(&prefix));
        changes
            .map(|event| {
                let name = &event.key[prefix.len()..];
                let (namespace, name) = name.split_once('/').unwrap_or(("", name));
                HistoryEntry {
                    revision: event.revision,
                    key: Key::new(namespace, name),
                    object: event.kv.as_ref().and_then(|kv| kv.value.object().cloned()),
                }
            })
            .collect()
    }

    /// Everything written after `revision` of the kinds whose keys begin with these prefixes ([`Kind::key_prefix`]), in the order of the
    /// writes; `None` is a deletion.
    pub fn changes(&self, revision: u64, prefixes: &[(Kind, String)]) -> Vec<(Kind, Key, Option<Arc<Object>>)> {
        let Some(member) = self.latest() else { return Vec::new() };
        let events = member.store().events_from(revision + 1);
        let read = events.filter_map(|event| {
            let (kind, name) =
                prefixes.iter().find_map(|(kind, prefix)| Some((*kind, event.key.strip_prefix(prefix.as_str())?)))?;
            let (namespace, name) = name.split_once('/').unwrap_or(("", name));
            Some((kind, Key::new(namespace, name), event.kv.as_ref().and_then(|kv| kv.value.object().cloned())))
        });
        read.collect()
    }

    /// etcd's revision: it changes whenever anything stored does.
    pub fn revision(&self) -> u64 {
        self.latest().map_or(0, |member| member.store().revision())
    }

    /// Writes a record on behalf of a program outside the cluster.
    pub fn note(&mut self, cause: RecordId, note: Note) -> RecordId {
        self.trace.record(self.now, cause, note)
    }

    /// Sends a request of a program outside the cluster.
    pub fn send(&mut self, request: Request, cause: RecordId, delay: Duration) {
        let event = Event::ApiServer(0, ApiServerEvent::Request(Box::new(request)));
        let (to, event) = self.route(Endpoint::Outside, Endpoint::ApiServer(0), event);
        self.transmit(Endpoint::Outside, to, delay, Queued::anybody(event, cause));
    }

    /// Asks the API server how it is (`/readyz`, `/livez`), on behalf of a program outside the cluster.
    pub fn ask_health(&mut self, number: u64, path: &str, cause: RecordId) {
        let event = Event::ApiServer(0, ApiServerEvent::Health { number, path: path.into() });
        let (to, event) = self.route(Endpoint::Outside, Endpoint::ApiServer(0), event);
        self.transmit(Endpoint::Outside, to, Duration::ZERO, Queued::anybody(event, cause));
    }

    /// Ends a watch of a program outside the cluster.
    pub fn unwatch(&mut self, number: u64) {
        self.apiservers.iter_mut().for_each(|server| server.unwatch(Endpoint::Outside, number));
    }

    /// Takes the next message to a program outside the cluster.
    pub fn receive(&mut self) -> Option<Mail> {
        self.mailbox.pop_front()
    }

    fn handle(&mut self, Queued { event, cause, life }: Queued) {
        self.handled += 1;
        let event = self.arrives(event, life, cause).and_then(|event| self.hold_up(event, cause, life));
        let Some(event) = event.and_then(|event| self.starve(event, cause, life)) else { return };
        self.carry_out(event, cause);
    }

    /// Handles what has waited for its process to have time.
    fn handle_now(&mut self, Queued { event, cause, life }: Queued) {
        let event = self.arrives(event, life, cause).and_then(|event| self.hold_up(event, cause, life));
        let Some(event) = event else { return };
        self.carry_out(event, cause);
    }

    /// The one match from what happens to whom it concerns.
    fn carry_out(&mut self, event: Event, cause: RecordId) {
        let receiver = event.receiver();
        let buffer = std::mem::take(&mut self.buffer);
        let mut out: Effects = Out::new(self.now, cause, self.trace.next_id().0, buffer)
            .on_machine(self.clock_of(receiver), self.slowness_of(receiver));
        let setup = &*self.setup;
        let starts = matches!(
            event,
            Event::ApiServer(_, ApiServerEvent::Start) | Event::ControllerManager(_, ControllerManagerEvent::Start)
        )
        .then(|| event.clone());
        match event {
            // A member of another cluster: the header of its message says so.
            Event::Etcd(member, EtcdEvent::Peer { from, .. }) if self.strangers(member, from) => {}
            Event::Etcd(member, event) => {
                let calm = self.network.between_etcd_whole()
                    && self.etcd.iter().all(Member::running)
                    && !self.some_member_hangs();
                let members = self.etcd.len() as u8;
                let mut effects = EtcdEffects { member, members, calm, out: &mut out };
                if let Some(state) = self.etcd.get_mut(member as usize) {
                    state.handle(event, setup.seed, &setup.profile.etcd, &mut effects);
                }
            }
            Event::ApiServer(number, event) => {
                if let Some(server) = self.apiservers.get_mut(usize::from(number)) {
                    server.handle(event, setup, &mut out);
                }
            }
            Event::ControllerManager(number, event) => {
                if let Some(manager) = self.controller_managers.get_mut(usize::from(number)) {
                    manager.handle(event, setup, &mut out);
                }
            }
            Event::Scheduler(number, event) => {
                if let Some(scheduler) = self.schedulers.get_mut(usize::from(number)) {
                    scheduler.handle(event, setup, &mut out);
                    self.told.extend(scheduler.take_told());
                }
            }
            Event::Kubelet(node, event) => {
                if let Some(kubelet) = self.kubelets.get_mut(node as usize) {
                    kubelet.handle(event, setup, &mut out);
                }
            }
            Event::Custom(number, event) => {
                if let Some(controller) = self.custom.get_mut(usize::from(number)) {
                    controller.handle(event, setup, &mut out);
                    self.told.extend(controller.take_told());
                }
            }
            Event::MetricsServer(event) => self.metrics_event(event, &mut out),
            Event::Registry(_) => {}
            Event::PowerOff(node, boot) => {
                self.buffer = out.into_actions();
                return self.shut_down_done(node, boot);
            }
            Event::Proxy(node, event) => self.proxy_event(node, event, &mut out),
            Event::Traffic(event) => self.traffic_event(event, &mut out),
            Event::Restart(process) => {
                self.buffer = out.into_actions();
                let may = match process {
                    Process::Etcd(_) => true,
                    Process::Proxy(_) => !self.faults.keep_down(process),
                    _ => false,
                };
                if may || self.processes.wants_restart(process) {
                    self.start_because(process, cause);
                }
                return;
            }
            Event::CpuFree(process) => {
                self.buffer = out.into_actions();
                return self.cpu_free(process);
            }
            Event::DropWatches(client) => {
                self.buffer = out.into_actions();
                return self.drop_watches(client, cause);
            }
            Event::Silence { client, server } => {
                self.buffer = out.into_actions();
                return self.silence(client, server);
            }
            Event::Outside(Delivery::WatchEnded { number: 0, .. }) => crate::bootstrap::install(setup, &mut out),
            Event::Outside(delivery) => self.mailbox.push_back(Mail { at: self.now, delivery, cause }),
            Event::Operator(number, response) => {
                self.operators.push_back(EtcdMail { at: self.now, number, response: *response, cause });
            }
        }
        self.apply(receiver, out);
        if let Endpoint::ApiServer(server) = receiver {
            self.spread_extensions(server);
        }
        if let Some(started) = starts {
            self.tell_extensions(&started);
        }
    }

    /// Whether two members of etcd belong to different clusters: one was made of a snapshot.
    fn strangers(&self, a: u8, b: u8) -> bool {
        let cluster = |member: u8| self.etcd.get(usize::from(member)).map_or(0, |m| m.store().members().cluster_id());
        let (a, b) = (cluster(a), cluster(b));
        a != b && a != 0 && b != 0
    }

    /// The one place where what components ask for is done.
    fn apply(&mut self, from: Endpoint, out: Effects) {
        let mut actions = out.into_actions();
        let mut ended = None;
        for action in actions.drain(..) {
            match action {
                Action::Note { cause, note } => {
                    self.trace.record(self.now, cause, note);
                }
                Action::Send { to, delay, event, cause } => {
                    let (to, event) = self.route(from, to, event);
                    let life = self.processes.life(to);
                    if let Some((delay, event)) = self.disturb_watch(from, to, delay, event, cause) {
                        self.transmit(from, to, delay, Queued { event, cause, life });
                    }
                }
                Action::Timer { at, event: Event::Registry(request), cause } => {
                    let life = self.processes.life(from);
                    let (takes, event) = self.registries.serve(&request, at);
                    self.push(at + takes, from, Queued { event, cause, life });
                }
                Action::Timer { at, event, cause } => {
                    let life = self.processes.life(from);
                    self.push(at, from, Queued { event, cause, life });
                }
                Action::Exit { cause } => ended = Some(cause),
            }
        }
        self.buffer = actions;
        if let (Some(cause), Some(process)) = (ended, Process::at(from)) {
            let told = self.processes.told_to_stop(process);
            let how = match process {
                _ if told => Ending::Terminated,
                Process::Etcd(_) => Ending::DiskFull,
                _ => Ending::LeaseLost,
            };
            self.end(process, how, cause);
        }
    }

    fn transmit(&mut self, from: Endpoint, to: Endpoint, delay: Duration, queued: Queued) {
        let leaves = self.now + delay;
        let latency = self.setup.link(from, to);
        let trouble = self.network.trouble_of(from, to);
        let latency = match (latency.fixed(), trouble) {
            (Some(latency), None) => latency,
            (_, trouble) => {
                let link = from.address() << 32 | to.address();
                let mut luck = self.setup.seed.luck(LINK, 0, link, self.network.sent(from, to));
                latency.sample(&mut luck) + trouble.map_or(Duration::ZERO, |trouble| trouble.delay(&mut luck))
            }
        };
        // What one stream carries arrives in order (etcd's messages, a watch's events). A request to the API server and its reply
        // are a stream of their own: one that is held back, by its client's rate limit or by work, holds back no other.
        let request = matches!(to, Endpoint::ApiServer(_)) && !matches!(from, Endpoint::Etcd(_));
        let arrival = if request || queued.event.is_reply() {
            (!self.network.is_cut(from, to)).then(|| leaves + latency)
        } else {
            self.network.arrival(from, to, leaves, latency)
        };
        match arrival {
            Some(at) => self.push(at, from, queued),
            // Members of etcd do not keep for each other what does not get through: Raft sends it again itself.
            None if matches!((from, to), (Endpoint::Etcd(_), Endpoint::Etcd(_))) => {}
            None => self.held.push((from, to, queued)),
        }
    }

    fn push(&mut self, at: Instant, source: Endpoint, queued: Queued) {
        let address = source.address();
        self.queue.push(at, (address >> 24) as u8, address as u32 & 0xff_ffff, queued);
    }
}

/// The address of the luck of links.
const LINK: u64 = crate::kernel::hash_bytes(b"link");

/// What an etcd member asks for, put into the world's `Out`.
struct EtcdEffects<'a> {
    member: u8,
    members: u8,
    calm: bool,
    out: &'a mut Effects,
}

impl etcd::Effects<EtcdValue> for EtcdEffects<'_> {
    fn now(&self) -> Instant {
        self.out.now()
    }

    fn cause(&self) -> RecordId {
        self.out.cause()
    }

    fn because(&mut self, cause: RecordId) {
        self.out.because(cause);
    }

    fn note(&mut self, note: EtcdNote) -> RecordId {
        self.out.note(Note::new(Agent::Etcd(self.member), What::Etcd(note)))
    }

    fn send(&mut self, member: u8, event: EtcdEvent<EtcdValue>) {
        self.out.send(Endpoint::Etcd(member), Duration::ZERO, Event::Etcd(member, event));
    }

    fn after(&mut self, wait: Duration, event: EtcdEvent<EtcdValue>) {
        self.out.after(wait, Event::Etcd(self.member, event));
    }

    fn reply(&mut self, to: Endpoint, id: u64, response: Response<EtcdValue>) {
        let response = Box::new(response);
        let event = match to {
            Endpoint::ApiServer(server) => Event::ApiServer(server, ApiServerEvent::Etcd { id, response }),
            _ => Event::Operator(id, response),
        };
        self.out.send(to, Duration::ZERO, event);
    }

    fn calm(&self) -> bool {
        self.calm
    }

    fn exit(&mut self) {
        self.out.exit();
    }

    fn disturb(&mut self) {
        for member in 0..self.members {
            self.out.after(Duration::ZERO, Event::Etcd(member, EtcdEvent::Disturbed));
        }
    }
}

/// About how long a value is as JSON. [bytes]
fn json_size(value: &serde_json::Value) -> usize {
    use serde_json::Value;
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 6,
        Value::String(text) => text.len() + 3,
        Value::Array(items) => items.iter().map(json_size).sum::<usize>() + 2,
        Value::Object(map) => map.iter().map(|(name, value)| name.len() + 4 + json_size(value)).sum::<usize>() + 2,
    }
}

impl etcd::Value for Arc<Object> {
    /// An estimate of the protobuf form: what differs from object to object.
    fn size(&self) -> usize {
        let meta = self.meta();
        let labels = |labels: &crate::objects::Labels| labels.iter().map(|(k, v)| k.len() + v.len() + 8).sum::<usize>();
        let base = match &**self {
            Object::Pod(pod) => 1_600 + 400 * pod.spec.api.containers.len(),
            Object::Node(node) => 2_000 + 120 * node.status.images.len(),
            Object::Deployment(_) | Object::ReplicaSet(_) => 900,
            Object::Event(event) => 500 + event.message.len(),
            Object::ConfigMap(map) => 150 + map.data.iter().map(|(k, v)| k.len() + v.len()).sum::<usize>(),
            Object::Namespace(_) | Object::ServiceAccount(_) | Object::Lease(_) => 300,
            Object::StatefulSet(_) | Object::DaemonSet(_) | Object::Job(_) | Object::CronJob(_) => 1_300,
            Object::EndpointSlice(slice) => 400 + 180 * slice.api.endpoints.as_ref().map_or(0, Vec::len),
            Object::Secret(secret) => {
                200 + secret.api.data.iter().flatten().map(|(k, v)| k.len() + v.0.len()).sum::<usize>()
            }
            Object::Custom(custom) => 120 + custom.content.values().map(json_size).sum::<usize>(),
            _ => 450,
        };
        base + labels(&meta.labels) + labels(&meta.annotations)
    }

    fn order(&self, other: &Self) -> std::cmp::Ordering {
        self.meta().uid.cmp(&other.meta().uid)
    }

    fn committed(&mut self, revision: u64) {
        if self.meta().resource_version != revision {
            Arc::make_mut(self).meta_mut().resource_version = revision;
        }
    }
}

#[cfg(test)]
mod balancer_tests;
#[cfg(test)]
mod extension_tests;
#[cfg(test)]
mod fault_tests;
#[cfg(test)]
mod hang_tests;
#[cfg(test)]
mod outages;
#[cfg(test)]
mod replicas;
#[cfg(test)]
mod tests;
