//! The scheduler: one pod after the other gets a node; binding goes on beside the next pod's cycle.
//!
//! Reading order: `queue` and `hints` (who is next, and what wakes whom), `framework` with `plugins` (which node), `preemption` (who has to
//! go), `cache` (nodes with their pods, assumed ones included), `diagnosis` and `explain` (why), `config`. This file is the loop around
//! them; `watching` feeds it, `cycle` decides and binds, `binding_volumes` comes before the binding of a pod with claims, `preempting`
//! pushes out.
//!
//! Models: kubernetes v1.36.2 pkg/scheduler/{scheduler,schedule_one,eventhandlers}.go. Left out: extenders, permit plugins, resource
//! claims, pod groups, CSI nodes, drivers and capacities, and services as informers (the cache takes services).

mod binding_volumes;
pub mod cache;
pub mod config;
pub mod cost;
mod cycle;
pub mod diagnosis;
pub mod explain;
pub mod framework;
pub mod hints;
mod informers;
pub mod plugins;
mod preempting;
pub mod preemption;
pub mod profile;
mod queue;
pub mod reasons;
mod watching;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use self::binding_volumes::Prebinding;
use self::cache::Cache;
use self::config::SchedulerConfiguration;
use self::cycle::{Binding, Running};
use self::informers::Informers;
use self::preempting::{Errand, Preempting};
use self::queue::{Around, SchedulingQueue};
use crate::apiserver::request::{Delivery, Reply};
use crate::apiserver::status::Status;
use crate::client::informer::Change;
use crate::client::leader::{LAST_WORDS, LeaderElection, Turn};
use crate::client::recorder::Verdict;
use crate::client::{Agent, Connection, Informer, Recorder};
use crate::custom::Told;
use crate::event::{Effects, Event};
use crate::kernel::{Duration, Endpoint, Instant};
use crate::objects::event::EventType;
use crate::objects::pod_terms::DEFAULT_SCHEDULER;
use crate::objects::{Kind, Name, Text, Uid, UidWords};
use crate::setup::{SchedulerSpec, Setup, control_plane_host};
use crate::trace::{Note, What};

/// Something that happens to the scheduler.
#[derive(Clone, Debug)]
pub enum SchedulerEvent {
    /// The process starts.
    Start,
    /// Something from the API server.
    Delivery(Delivery),
    /// Time to try for leadership, or to renew it.
    Elect,
    /// A cycle's time is over: its decision takes effect.
    Decide(UidWords),
    /// Time to see whether the claims of a pod that has its node have their volumes.
    CheckVolumes(UidWords),
    /// Back-off or patience of some pod is over.
    Flush,
    /// The event recorder may try again.
    RetryEvents,
    /// A watch that ended is opened again.
    Rewatch(Kind),
    /// It is told to stop.
    Terminate,
    /// The process ends itself.
    Exit,
}

/// The state of the scheduler.
#[derive(Clone, Debug)]
pub struct Scheduler {
    configuration: Arc<SchedulerConfiguration>,
    /// The machine it runs on, the first part of its name in the election.
    host: Name,
    connection: Connection,
    recorder: Recorder,
    /// The older generation of events: of the election.
    legacy: Recorder,
    leader: LeaderElection,
    informers: Informers,
    cache: Cache,
    /// Where each pod counts: bound ones and assumed ones.
    placed: BTreeMap<Uid, Placed>,
    queue: SchedulingQueue,
    /// The cycle that is under way.
    running: Option<Box<Running>>,
    /// Where in the order of nodes the next cycle begins.
    start: usize,
    flush_at: Option<Instant>,
    bindings: BTreeMap<u64, Binding>,
    /// Pods that have their node and whose claims are being bound, and the requests for them.
    prebindings: BTreeMap<Uid, Prebinding>,
    volume_writes: BTreeMap<u64, Uid>,
    /// Preemptions under way, by the pod they are for, and the requests for them.
    preempting: BTreeMap<Uid, Preempting>,
    errands: BTreeMap<u64, Errand>,
    /// What the user's plugins have to say, and the places of failures that have been told.
    told: Vec<Told>,
    warned: BTreeSet<(Name, u32)>,
}

#[derive(Clone, Debug)]
struct Placed {
    node: Name,
    assumed: bool,
}

impl Scheduler {
    /// The scheduler of that number that has not started.
    pub fn new(number: u8, spec: &SchedulerSpec) -> Self {
        let (configuration, host) = (spec.configuration.clone(), control_plane_host(spec.replica));
        let first = configuration.profiles.first().map_or(DEFAULT_SCHEDULER.into(), |profile| profile.name.clone());
        Scheduler {
            connection: Connection::new(Endpoint::Scheduler(number), configuration.qps, configuration.burst),
            recorder: Recorder::newer(DEFAULT_SCHEDULER, &host),
            legacy: Recorder::new(Text::Shared(first), ""),
            leader: candidate(number, &configuration, host.clone()),
            configuration,
            host,
            informers: Informers::new(),
            cache: Cache::default(),
            placed: BTreeMap::new(),
            queue: SchedulingQueue::default(),
            running: None,
            start: 0,
            flush_at: None,
            bindings: BTreeMap::new(),
            prebindings: BTreeMap::new(),
            volume_writes: BTreeMap::new(),
            preempting: BTreeMap::new(),
            errands: BTreeMap::new(),
            told: Vec::new(),
            warned: BTreeSet::new(),
        }
    }

    /// Takes what the user's plugins have to say.
    pub fn take_told(&mut self) -> Vec<Told> {
        std::mem::take(&mut self.told)
    }

    /// Another configuration, from the next cycle on.
    pub fn reconfigure(&mut self, configuration: Arc<SchedulerConfiguration>) {
        self.configuration = configuration;
    }

    /// Handles an event.
    pub fn handle(&mut self, event: SchedulerEvent, setup: &Setup, out: &mut Effects) {
        match event {
            SchedulerEvent::Start => {
                out.note(Note::new(self.agent(), What::Started));
                let place = u64::from(self.me()) << 56 | out.now().as_nanos();
                let mut luck = setup.luck("kube-scheduler", "identity", "", place);
                let uid = Uid::random(u128::from(luck.bits()) << 64 | u128::from(luck.bits()));
                self.leader = candidate(self.me(), &self.configuration, format!("{}_{uid}", self.host).into());
                self.elect(setup, out);
                let agent = self.agent();
                // Informers start before leadership, so that a new leader is ready at once.
                for informer in self.informers.all() {
                    informer.start(agent, &mut self.connection, out);
                }
            }
            SchedulerEvent::Elect => self.elect(setup, out),
            SchedulerEvent::Delivery(Delivery::Reply(reply)) => self.replied(*reply, setup, out),
            SchedulerEvent::RetryEvents => {}
            SchedulerEvent::Delivery(Delivery::Watch { number, events }) => {
                let mut changes = Vec::new();
                if let Some(informer) = self.informers.of_watch(number) {
                    events.into_iter().for_each(|event| informer.take(event, &mut changes));
                }
                for change in changes {
                    self.changed(change, out);
                }
            }
            SchedulerEvent::Delivery(Delivery::WatchEnded { number, status }) => {
                self.watch_ended(number, status.as_deref(), setup, out);
            }
            SchedulerEvent::Decide(uid) => self.decided(uid.into(), out),
            SchedulerEvent::CheckVolumes(uid) => self.check_volumes(uid.into(), out),
            // One that was planned before a sooner one became due is none any more.
            SchedulerEvent::Flush if self.flush_at.is_some_and(|at| at <= out.now()) => {
                self.flush_at = None;
                let (queue, around) = self.queue(out);
                queue.flush(around);
            }
            SchedulerEvent::Flush => {}
            SchedulerEvent::Rewatch(kind) => {
                let agent = self.agent();
                if let Some(informer) = self.informers.all().into_iter().find(|informer| informer.kind == kind) {
                    informer.start(agent, &mut self.connection, out);
                }
            }
            SchedulerEvent::Terminate if !self.leader.leading() => {
                self.crash(setup);
                return out.exit();
            }
            SchedulerEvent::Terminate => {
                let due = self.leader.due();
                let turn = self.leader.end(&mut self.connection, out);
                self.turned(turn, due, out);
            }
            SchedulerEvent::Exit => {
                self.crash(setup);
                return out.exit();
            }
        }
        self.begin_cycle(setup, out);
        self.plan_flush(out);
        let agent = self.agent();
        self.legacy.pump(agent, &mut self.connection, Duration::ZERO, out);
        self.recorder.pump(agent, &mut self.connection, Duration::ZERO, out);
    }

    /// How many pods wait where: to be tried, backing off, for something to change, held by a gate.
    pub fn waiting(&self) -> [usize; 4] {
        self.queue.lengths()
    }

    /// The process is gone: it forgets everything. Numbers of requests go on, so that late replies find nobody.
    pub fn crash(&mut self, setup: &Setup) {
        let me = self.me();
        let Some(spec) = setup.schedulers.get(usize::from(me)) else { return };
        let mut connection = std::mem::replace(self, Scheduler::new(me, spec)).connection;
        connection.reopen();
        self.connection = connection;
    }

    /// The number of its next request to the API server.
    pub fn next_request(&self) -> u64 {
        self.connection.next()
    }

    fn me(&self) -> u8 {
        self.connection.number()
    }

    fn agent(&self) -> Agent {
        Agent::Scheduler(self.me())
    }

    /// Whether it leads.
    pub fn leading(&self) -> bool {
        self.leader.leading()
    }

    /// A watch ended, or could not be opened.
    fn watch_ended(&mut self, number: u64, status: Option<&Status>, setup: &Setup, out: &mut Effects) {
        let (me, agent) = (self.me(), self.agent());
        if let Some(informer) = self.informers.of_watch(number) {
            let wait = informer.broke(status, agent, setup, out.now());
            out.after(wait, Event::Scheduler(me, SchedulerEvent::Rewatch(informer.kind)));
        }
    }

    /// The queue, and what it needs to know.
    fn queue<'a>(&'a mut self, out: &Effects) -> (&'a mut SchedulingQueue, Around<'a>) {
        let (now, cause) = (out.now(), out.cause());
        (&mut self.queue, Around { cache: &self.cache, configuration: &self.configuration, now, cause })
    }

    fn synced(&self) -> bool {
        self.informers.synced()
    }

    fn elect(&mut self, setup: &Setup, out: &mut Effects) {
        let due = self.leader.due();
        let turn = self.leader.tick(&mut self.connection, setup, out);
        self.turned(turn, due, out);
    }

    /// After each step of the election: what it means, and when the next is due; it was due at `due` before.
    fn turned(&mut self, turn: Turn, due: Instant, out: &mut Effects) {
        let said = match turn {
            Turn::Same | Turn::Ended => "",
            Turn::Won => "became leader",
            Turn::Lost => "stopped leading",
        };
        if turn == Turn::Won {
            out.aside(Note::new(self.agent(), What::Leading));
        }
        if !said.is_empty() && self.leader.elects() {
            let message = format!("{} {said}", self.leader.identity()).into();
            let lease = self.leader.reference();
            let agent = self.agent();
            self.legacy.record(agent, lease, EventType::Normal, "LeaderElection", message, out);
        }
        if matches!(turn, Turn::Lost | Turn::Ended) {
            out.after(LAST_WORDS, Event::Scheduler(self.me(), SchedulerEvent::Exit));
        } else if self.leader.due() != due {
            out.at(self.leader.due(), Event::Scheduler(self.me(), SchedulerEvent::Elect));
        }
    }

    fn replied(&mut self, reply: Reply, setup: &Setup, out: &mut Effects) {
        let due = self.leader.due();
        if let Some(turn) = self.leader.reply(reply.number, &reply.result, &mut self.connection, setup, out) {
            return self.turned(turn, due, out);
        }
        let verdict = match self.legacy.reply(reply.number, &reply.result, out.now()) {
            Verdict::NotMine => self.recorder.reply(reply.number, &reply.result, out.now()),
            other => other,
        };
        match verdict {
            Verdict::NotMine => {}
            Verdict::Done => return,
            Verdict::RetryAfter(wait) => {
                return out.after(wait, Event::Scheduler(self.me(), SchedulerEvent::RetryEvents));
            }
        }
        if let Some(binding) = self.bindings.remove(&reply.number) {
            self.bound(binding, reply.result, out);
        } else if let Some(uid) = self.volume_writes.remove(&reply.number) {
            self.volume_written(uid, reply.result, out);
        } else if let Some(errand) = self.errands.remove(&reply.number) {
            self.errand_done(errand, reply.result, out);
        } else if let Err(status) = &reply.result {
            self.watch_ended(reply.number, Some(status), setup, out);
        }
    }

    fn plan_flush(&mut self, out: &mut Effects) {
        if let Some(next) = self.queue.next_flush(out.now())
            && self.flush_at.is_none_or(|planned| next < planned)
        {
            self.flush_at = Some(next);
            out.at(next, Event::Scheduler(self.me(), SchedulerEvent::Flush));
        }
    }
}

/// A change of some informer's cache, handled.
impl Scheduler {
    fn changed(&mut self, change: Change, out: &mut Effects) {
        let before = out.cause();
        out.because(change.cause);
        match change.object().kind() {
            Kind::Pod => self.pod_changed(change, out),
            Kind::Node => self.node_changed(change, out),
            Kind::Namespace => {
                let labels = change.new.as_ref().map(|object| object.meta().labels.clone());
                self.cache.set_namespace(&change.object().meta().name.clone(), labels);
            }
            Kind::ReplicaSet => {
                let selector = change.new.as_ref().and_then(|object| object.as_replica_set());
                let selector = selector.map(|set| set.spec.selector.compiled.clone());
                self.cache.owners.set_controller("ReplicaSet", change.object().key(), selector);
            }
            Kind::PodDisruptionBudget => {
                let budgets = self.informers.budgets.store.iter();
                self.cache.budgets = budgets.filter_map(|object| watching::budget(object)).collect();
            }
            Kind::PersistentVolumeClaim => self.claim_changed(&change, out),
            Kind::PersistentVolume => self.volume_changed(&change, out),
            Kind::StorageClass => self.class_changed(&change, out),
            _ => {}
        }
        out.because(before);
    }
}

/// A process has an identity of its own.
fn candidate(number: u8, configuration: &SchedulerConfiguration, identity: Name) -> LeaderElection {
    LeaderElection::new(Agent::Scheduler(number), configuration.election.clone(), identity).releasing()
}

/// A pod's object as the informer has it.
fn object_of(pods: &Informer, pod: &cache::pod_info::PodInfo) -> Option<Arc<crate::objects::Object>> {
    pods.store.get(&pod.key).filter(|object| object.meta().uid == pod.uid).cloned()
}

#[cfg(test)]
mod tests;
