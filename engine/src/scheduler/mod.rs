//! The scheduler: one pod after the other gets a node; binding goes on beside the next pod's cycle.
//!
//! Reading order: `queue` (who is next), `framework` with `plugins` (which node), `nodes` (the cache: what is used, assumed pods included),
//! `diagnosis` (why none). This file is the loop around them.
//!
//! Models: kubernetes v1.36.2 pkg/scheduler/{scheduler,schedule_one,eventhandlers}.go, backend/cache/cache.go. Left out: preemption's dry run,
//! several profiles, extenders, permit and reserve plugins.

pub mod diagnosis;
pub mod framework;
pub mod node_info;
pub mod nodes;
pub mod plugins;
mod queue;
pub mod reasons;

use std::collections::BTreeMap;
use std::sync::Arc;

use self::framework::{Cycle, Decision, Profile};
use self::node_info::NodeTerms;
use self::nodes::Nodes;
use self::plugins::default_preemption::{Preemption, post_filter};
use self::queue::{SchedulingQueue, Wake};
use crate::apiserver::request::{Answer, Delivery, ListOptions, Patch, Reply, Subresource};
use crate::apiserver::status::Status;
use crate::client::connection::Call;
use crate::client::informer::Change;
use crate::client::leader::{LeaderElection, Turn};
use crate::client::recorder::Verdict;
use crate::client::{Agent, Connection, Informer, Recorder, Store};
use crate::event::{Effects, Event};
use crate::kernel::out::RecordId;
use crate::kernel::{Duration, Endpoint, Instant};
use crate::objects::event::EventType;
use crate::objects::{Condition, Key, Kind, Name, Object, Pod, PodSpec, PodStatus, Uid, UidWords};
use crate::setup::Setup;
use crate::trace::note::{NodeScore, Scheduling};
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
    /// A cycle's time is over: decide.
    Decide(UidWords),
    /// Back-off or patience of some pod is over.
    Flush,
    /// The event recorder may try again.
    RetryEvents,
}

/// The state of the scheduler.
#[derive(Clone, Debug)]
pub struct Scheduler {
    connection: Connection,
    recorder: Recorder,
    leader: LeaderElection,
    pods: Informer,
    nodes_informer: Informer,
    profile: Profile,
    nodes: Nodes,
    /// Where each pod counts: bound ones and assumed ones.
    placed: BTreeMap<Uid, Placed>,
    queue: SchedulingQueue,
    busy: bool,
    start: usize,
    cycles: u64,
    flush_at: Option<Instant>,
    bindings: BTreeMap<u64, Binding>,
}

#[derive(Clone, Debug)]
struct Placed {
    node: Name,
    spec: Arc<PodSpec>,
    assumed: bool,
}

/// A binding under way.
#[derive(Clone, Debug)]
struct Binding {
    uid: Uid,
    pod: Arc<Object>,
    node: Name,
    cause: RecordId,
}

impl Scheduler {
    /// A scheduler that has not started.
    pub fn new(_setup: &Setup) -> Self {
        Scheduler {
            connection: Connection::new(Endpoint::Scheduler, 50, 100),
            recorder: Recorder::newer("default-scheduler", HOST),
            leader: LeaderElection::new(Agent::Scheduler, "kube-scheduler", IDENTITY.into()),
            pods: Informer::new(Kind::Pod, Store::default(), ListOptions::default()),
            nodes_informer: Informer::new(Kind::Node, Store::default(), ListOptions::default()),
            profile: Profile::default(),
            nodes: Nodes::default(),
            placed: BTreeMap::new(),
            queue: SchedulingQueue::default(),
            busy: false,
            start: 0,
            cycles: 0,
            flush_at: None,
            bindings: BTreeMap::new(),
        }
    }

    /// Handles an event.
    pub fn handle(&mut self, event: SchedulerEvent, setup: &Setup, out: &mut Effects) {
        match event {
            SchedulerEvent::Start => {
                out.note(Note::new(Agent::Scheduler, What::Started));
                self.elect(setup, out);
                // Informers start before leadership, so that a new leader is ready at once.
                self.nodes_informer.start(Agent::Scheduler, &mut self.connection, out);
                self.pods.start(Agent::Scheduler, &mut self.connection, out);
            }
            SchedulerEvent::Elect => self.elect(setup, out),
            SchedulerEvent::Delivery(Delivery::Reply(reply)) => self.replied(*reply, setup, out),
            SchedulerEvent::RetryEvents => {}
            SchedulerEvent::Delivery(Delivery::Watch { number, events }) => {
                let mut changes = Vec::new();
                let informer = if self.pods.is(number) { &mut self.pods } else { &mut self.nodes_informer };
                for event in events {
                    informer.take(event, &mut changes);
                }
                for change in changes {
                    match &**change.object() {
                        Object::Pod(_) => self.pod_changed(change, out),
                        Object::Node(_) => self.node_changed(change, out),
                        _ => {}
                    }
                }
            }
            SchedulerEvent::Delivery(Delivery::WatchEnded { number, status }) => {
                let informer = if self.pods.is(number) { &mut self.pods } else { &mut self.nodes_informer };
                if status.is_some() {
                    informer.relist();
                }
                informer.start(Agent::Scheduler, &mut self.connection, out);
            }
            SchedulerEvent::Decide(uid) => self.decide(uid.into(), setup, out),
            SchedulerEvent::Flush => {
                self.flush_at = None;
                self.queue.flush(out.now());
            }
        }
        self.begin_cycle(setup, out);
        self.plan_flush(out);
        self.recorder.pump(Agent::Scheduler, &mut self.connection, Duration::ZERO, out);
    }

    fn elect(&mut self, setup: &Setup, out: &mut Effects) {
        let due = self.leader.due();
        let turn = self.leader.tick(&mut self.connection, setup, out);
        self.turned(turn, due, out);
    }

    /// After each step of the election: what it means, and when the next is due; it was due at `due` before.
    fn turned(&mut self, turn: Turn, due: Instant, out: &mut Effects) {
        if turn == Turn::Won {
            out.aside(Note::new(Agent::Scheduler, What::Leading));
        }
        if self.leader.due() != due {
            out.at(self.leader.due(), Event::Scheduler(SchedulerEvent::Elect));
        }
    }

    fn replied(&mut self, reply: Reply, setup: &Setup, out: &mut Effects) {
        let due = self.leader.due();
        if let Some(turn) = self.leader.reply(reply.number, &reply.result, &mut self.connection, setup, out) {
            return self.turned(turn, due, out);
        }
        match self.recorder.reply(reply.number, &reply.result, out.now()) {
            Verdict::NotMine => {}
            Verdict::Done => return,
            Verdict::RetryAfter(wait) => return out.after(wait, Event::Scheduler(SchedulerEvent::RetryEvents)),
        }
        if let Some(binding) = self.bindings.remove(&reply.number) {
            self.bound(binding, reply.result, out);
        }
    }

    fn pod_changed(&mut self, change: Change, out: &mut Effects) {
        let object = change.object().clone();
        let Object::Pod(pod) = &*object else { return };
        let uid = pod.meta.uid;
        let gone = change.new.is_none() || pod.status.phase.terminal();
        if gone {
            self.queue.remove(uid);
            self.unplace(uid, change.cause, out.now());
            return;
        }
        if let Some(node) = &pod.node {
            self.queue.remove(uid);
            match self.placed.get_mut(&uid) {
                Some(placed) if placed.node == *node => placed.assumed = false,
                _ => {
                    self.unplace(uid, change.cause, out.now());
                    self.place(uid, node.clone(), pod.spec.clone(), false);
                }
            }
            return;
        }
        if pod.spec.api.scheduler_name.as_deref().is_some_and(|name| name != "default-scheduler") {
            return;
        }
        match &change.old {
            None => self.queue.add(uid, pod.meta.key(), pod.priority(), change.cause, out.now()),
            Some(old)
                if old.meta().labels != pod.meta.labels || old.as_pod().is_some_and(|old| old.spec != pod.spec) =>
            {
                self.queue.changed(uid, change.cause, out.now());
            }
            Some(_) => {}
        }
    }

    fn node_changed(&mut self, change: Change, out: &mut Effects) {
        let object = change.object().clone();
        let Object::Node(node) = &*object else { return };
        if change.new.is_none() {
            self.nodes.remove_node(&node.meta.name);
            return;
        }
        let offers = |node: &crate::objects::Node| {
            (node.status.allocatable.clone(), node.status.images.clone(), node.taints.clone(), node.unschedulable)
        };
        let old = change.old.as_ref().and_then(|old| old.as_node());
        let same = old.is_some_and(|old| offers(old) == offers(node) && old.meta.labels == node.meta.labels);
        if same {
            return;
        }
        self.nodes.set_node(&node.meta.name, NodeTerms::of(node));
        // Images on a node make no pod fit that did not.
        let helps = old.is_none_or(|old| {
            old.status.allocatable != node.status.allocatable
                || old.taints != node.taints
                || old.unschedulable != node.unschedulable
                || old.meta.labels != node.meta.labels
        });
        if helps {
            self.queue.wake(Wake::Node, change.cause, out.now());
        }
    }

    fn place(&mut self, uid: Uid, node: Name, spec: Arc<PodSpec>, assumed: bool) {
        self.nodes.add_pod(&node, &spec.terms);
        self.placed.insert(uid, Placed { node, spec, assumed });
    }

    fn unplace(&mut self, uid: Uid, cause: RecordId, now: Instant) {
        if let Some(placed) = self.placed.remove(&uid) {
            self.nodes.remove_pod(&placed.node, &placed.spec.terms);
            self.queue.wake(Wake::PodGone, cause, now);
        }
    }

    /// Takes the next pod, if no cycle is under way.
    fn begin_cycle(&mut self, setup: &Setup, out: &mut Effects) {
        if self.busy || !self.leader.leading() || !self.pods.synced() || !self.nodes_informer.synced() {
            return;
        }
        let Some((uid, waiting)) = self.queue.pop() else { return };
        self.busy = true;
        out.because(waiting.cause);
        out.note(Note::about(Agent::Scheduler, Kind::Pod, waiting.key.clone(), What::Reconcile));
        let cost = &setup.profile.scheduler_cycle;
        let cost = setup.draw(cost, "kube-scheduler", "cycle", &waiting.key.name, waiting.attempts.into());
        out.after(cost, Event::Scheduler(SchedulerEvent::Decide(uid.into())));
        self.cycles += 1;
    }

    /// The cycle's end: the decision, and what follows from it.
    fn decide(&mut self, uid: Uid, setup: &Setup, out: &mut Effects) {
        self.busy = false;
        let Some(object) = self.waiting_pod(uid) else { return };
        let Object::Pod(pod) = &*object else { return };
        if pod.meta.deleting() {
            self.queue.remove(uid);
            return;
        }
        let terms = &pod.spec.terms;
        let explain = setup.trace == crate::trace::TraceLevel::Full && self.nodes.len() <= EXPLAINED_NODES;
        let cycle = Cycle { pod: terms, profile: &self.profile, nominated: None, explain };
        let mut draw = |n| setup.luck("kube-scheduler", "tie", &pod.meta.name, 0).below(n);
        let decision = cycle.run(&mut self.nodes, &mut self.start, &mut draw);
        match decision.chosen {
            Some(node) => {
                let node = self.nodes.get(node).name().clone();
                self.note(&object, Some(node.clone()), &decision, "", out);
                self.place(uid, node.clone(), pod.spec.clone(), true);
                let call = Call::bind(pod.meta.key(), node.clone());
                let number = self.connection.send(Agent::Scheduler, call, Duration::ZERO, out);
                self.bindings.insert(number, Binding { uid, pod: object.clone(), node, cause: out.cause() });
            }
            None => {
                let post_filter = match post_filter(&decision, terms, &self.nodes) {
                    Preemption::Refused(text) => text,
                    Preemption::Possible(_) => String::new(),
                };
                let message = diagnosis::fit_error(&decision, terms, &post_filter);
                self.note(&object, None, &decision, &message, out);
                self.unschedulable(uid, &object, message, out);
                self.queue.rejected(uid, decision.rejected_by(), out.now());
            }
        }
    }

    fn waiting_pod(&self, uid: Uid) -> Option<Arc<Object>> {
        let key: &Key = self.queue.key(uid)?;
        self.pods.store.get(key).filter(|object| object.meta().uid == uid).cloned()
    }

    fn note(&self, pod: &Object, node: Option<Name>, decision: &Decision, message: &str, out: &mut Effects) {
        let scores =
            decision.feasible.iter().enumerate().take(if decision.ratings.is_empty() { 0 } else { usize::MAX });
        let scores = scores.map(|(place, (index, total))| NodeScore {
            node: self.nodes.get(*index).name().clone(),
            total: *total,
            plugins: decision.explain(place).map(|(plugin, _, score, weight)| (plugin.name(), score, weight)).collect(),
        });
        let scheduling = Scheduling {
            node,
            scores: scores.collect(),
            message: message.into(),
            evaluated: decision.evaluated() as u32,
        };
        let what = What::Schedule(Box::new(scheduling));
        out.note(Note::about(Agent::Scheduler, Kind::Pod, pod.key(), what));
    }

    /// Tells people and the pod's condition why it has no node.
    fn unschedulable(&mut self, _uid: Uid, object: &Arc<Object>, message: String, out: &mut Effects) {
        let Object::Pod(pod) = &**object else { return };
        let note = diagnosis::event_note(&message);
        let (agent, kind) = (Agent::Scheduler, EventType::Warning);
        self.recorder.record_action(
            agent,
            object.reference(),
            kind,
            "FailedScheduling",
            "Scheduling",
            note.into(),
            out,
        );
        let Some(status) = with_condition(pod, message, out.now()) else { return };
        let patch = Patch::PodStatus { uid: pod.meta.uid, status: Box::new(status) };
        let call = Call::patch(Kind::Pod, pod.meta.key(), patch).of(Subresource::Status);
        self.connection.send(Agent::Scheduler, call, Duration::ZERO, out);
    }

    /// The binding's reply.
    fn bound(&mut self, binding: Binding, result: Result<Answer, Status>, out: &mut Effects) {
        let key = binding.pod.key();
        match result {
            Ok(_) => {
                let message = format!("Successfully assigned {key} to {}", binding.node);
                let (agent, regarding, kind) = (Agent::Scheduler, binding.pod.reference(), EventType::Normal);
                self.recorder.record_action(agent, regarding, kind, "Scheduled", "Binding", message.into(), out);
            }
            Err(status) => {
                out.because(binding.cause);
                if self.placed.get(&binding.uid).is_some_and(|placed| placed.assumed) {
                    self.unplace(binding.uid, binding.cause, out.now());
                }
                if !status.is_not_found() {
                    self.queue.failed(binding.uid, out.now());
                }
            }
        }
    }

    fn plan_flush(&mut self, out: &mut Effects) {
        if let Some(next) = self.queue.next_flush()
            && self.flush_at.is_none_or(|planned| next < planned)
        {
            self.flush_at = Some(next);
            out.at(next, Event::Scheduler(SchedulerEvent::Flush));
        }
    }
}

/// The machine it runs on, and its name in the election.
const HOST: &str = "control-plane";
const IDENTITY: &str = "control-plane_5f1e8a60-7a1c-4f5e-9c0d-2b6d1f3a9e77";
/// Up to so many nodes a full trace explains each decision by the plugins' scores.
const EXPLAINED_NODES: usize = 100;

/// The pod's status with its condition `PodScheduled`; `None` if it says that already.
fn with_condition(pod: &Pod, message: String, now: Instant) -> Option<PodStatus> {
    let now = Instant::from_nanos(now.as_nanos() / 1_000_000_000 * 1_000_000_000);
    let mut condition = Condition::new("PodScheduled", false, now).because("Unschedulable", message);
    condition.observed_generation = pod.meta.generation;
    let mut status = pod.status.clone();
    match status.conditions.iter_mut().find(|old| *old.kind == *"PodScheduled") {
        Some(old) => {
            if old.status == condition.status {
                condition.transition = old.transition;
                condition.update = old.update;
            }
            if *old == condition {
                return None;
            }
            *old = condition;
        }
        None => status.conditions.push(condition),
    }
    Some(status)
}
