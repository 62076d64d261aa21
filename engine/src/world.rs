//! The cluster at one instant, and the one match from what happens to whom it concerns.
//!
//! The world is a value: cloning it forks the run, timers, queues and random state included. Components get `&mut` their own state, the
//! constant setup and an `Out`; what they ask for is applied here and nowhere else.

mod balancer;
mod containers;
mod custom;
mod etcd_link;
mod extensions;
pub mod faults;
mod hanging;
mod machines;
mod metrics;
mod operators;
mod processes;
mod starving;
mod stored;
mod traffic;
mod watches;

pub use self::operators::{EtcdMail, InvalidPlace};
pub use self::stored::HistoryEntry;

use std::collections::VecDeque;
use std::sync::Arc;

use self::etcd_link::EtcdEffects;
use crate::apiserver::request::{Delivery, Request};
use crate::apiserver::{ApiServer, ApiServerEvent};
use crate::controllers::{ControllerManager, ControllerManagerEvent};
use crate::custom::{CustomController, Told};
use crate::etcd::{EtcdEvent, Member};
use crate::event::{Effects, EtcdValue, Event, Queued};
use crate::kernel::out::{Action, Out, RecordId};
use crate::kernel::{Duration, Endpoint, Instant, Network, Queue, Seed};
use crate::kubelet::{Kubelet, KubeletEvent};
use crate::metrics_server::MetricsServer;
use crate::process::{Ending, Process, Processes};
use crate::registry::Registries;
use crate::scheduler::{Scheduler, SchedulerEvent};
use crate::scripted::Scripts;
use crate::setup::{NodeSpec, Setup};
use crate::trace::{Note, Trace};
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

    /// Whether nothing gets from one endpoint to another.
    pub fn link_is_cut(&self, from: Endpoint, to: Endpoint) -> bool {
        self.network.is_cut(from, to)
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
                    _ => self.processes.wants_restart(process),
                };
                if may {
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
