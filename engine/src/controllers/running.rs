//! A controller at work: its queue, its busy workers, its expectations and its event recorder.
//!
//! A worker takes a key, waits a moment (the work before its first request), and stays busy until the reconcile has run to its end.
//! Each reply runs the reconcile again over the replies so far; new requests leave, new effects are carried out.
//!
//! Models: kubernetes v1.36.2 staging/src/k8s.io/client-go/util/workqueue/{queue,delaying_queue}.go, the worker loops of pkg/controller/*,
//! pkg/controller/util/consistency/consistency.go (a sync is refused until the caches have seen the controller's own last writes).

use std::collections::BTreeMap;

use super::ControllerManagerEvent;
use super::caches::Caches;
use super::contract::{Controller, View, Wake};
use crate::apiserver::request::Reply;
use crate::client::expectations::Expectations;
use crate::client::informer::Change;
use crate::client::recorder::Verdict;
use crate::client::routine::{Answers, Effect, Interrupt, Routine};
use crate::client::{Agent, Connection, Recorder, WorkQueue};
use crate::event::{Effects, Event};
use crate::kernel::out::RecordId;
use crate::kernel::{Duration, Instant};
use crate::objects::event::EventType;
use crate::objects::{Key, Kind, Text};
use crate::setup::Setup;
use crate::trace::{Note, What};

/// A controller with its state.
#[derive(Clone, Debug)]
pub struct Running<C: Controller> {
    controller: C,
    /// The number of its controller manager.
    process: u8,
    /// Whether its caches have been filled once.
    started: bool,
    queue: WorkQueue,
    expectations: Expectations,
    /// Keys that come back, and when; a key waits only once, for the earliest moment.
    waiting: BTreeMap<Key, Instant>,
    /// Own last writes by key and kind.
    wrote: BTreeMap<Key, Vec<(Kind, u64)>>,
    /// Busy workers by the number of their task.
    tasks: BTreeMap<u64, Task<C::Inputs>>,
    next_task: u64,
    /// Task and slot of the requests on their way.
    in_flight: BTreeMap<u64, (u64, usize)>,
    /// How often each key was taken: the address of its luck.
    turns: BTreeMap<Key, u64>,
    recorder: Recorder,
    /// Something was said outside of a reconcile; it is sent with the next work.
    unsent: bool,
}

/// A busy worker.
#[derive(Clone, Debug)]
struct Task<I> {
    key: Key,
    inputs: I,
    started: Instant,
    turn: u64,
    answers: Answers,
    /// Effects carried out.
    carried_out: usize,
}

/// What a handler of a running controller works with.
pub struct Surroundings<'a, 'b> {
    /// The caches of the process.
    pub caches: &'a Caches,
    /// Its connection.
    pub connection: &'a mut Connection,
    /// What is constant.
    pub setup: &'a Setup,
    /// Where requests go.
    pub out: &'b mut Effects,
}

impl<C: Controller> Running<C> {
    /// A controller that has nothing to do yet.
    pub fn new(controller: C) -> Self {
        Running {
            controller,
            process: 0,
            started: false,
            queue: C::FIRST_WAIT.map_or(WorkQueue::with_longest_wait(C::LONGEST_WAIT), |first| {
                WorkQueue::by_item(first, C::LONGEST_WAIT)
            }),
            expectations: Expectations::default(),
            waiting: BTreeMap::new(),
            wrote: BTreeMap::new(),
            tasks: BTreeMap::new(),
            next_task: 0,
            in_flight: BTreeMap::new(),
            turns: BTreeMap::new(),
            recorder: Recorder::new(C::SOURCE, ""),
            unsent: false,
        }
    }

    /// It is that of the controller manager of this number.
    pub fn belong_to(&mut self, process: u8) {
        self.process = process;
    }

    /// The controller's identity.
    pub fn agent(&self) -> Agent {
        C::AGENT
    }

    /// A cache changed.
    pub fn concerns(&mut self, kind: Kind, change: &Change, caches: &Caches, out: &mut Effects) {
        if !C::INFORMERS.contains(&kind) {
            return;
        }
        self.wake(change.cause, out, |controller, wake| controller.concerns(kind, change, caches, wake));
    }

    /// Lets the controller react to something.
    fn wake(&mut self, cause: RecordId, out: &mut Effects, react: impl FnOnce(&mut C, &mut Wake<'_>)) {
        let mut wake = Wake {
            now: out.now(),
            wall: out.wall(),
            cause,
            queue: &mut self.queue,
            expectations: &mut self.expectations,
            later: Vec::new(),
            forgotten: Vec::new(),
            said: Vec::new(),
        };
        react(&mut self.controller, &mut wake);
        let Wake { later, forgotten, said, .. } = wake;
        for key in forgotten {
            self.wrote.remove(&key);
        }
        let before = out.cause();
        out.because(cause);
        self.unsent |= !said.is_empty();
        for (regarding, reason, message) in said {
            self.recorder.record(C::AGENT, regarding, EventType::Normal, reason, message.into(), out);
        }
        for (key, after) in later {
            self.add_after(key, after, out);
        }
        out.because(before);
    }

    /// A period is over: the controller looks at everything.
    pub fn tick(&mut self, around: &mut Surroundings<'_, '_>) {
        let Some(period) = C::PERIOD else { return };
        let cause = around.out.cause();
        self.wake(cause, around.out, |controller, wake| controller.tick(around.caches, wake));
        around.out.after(period, Event::ControllerManager(self.process, ControllerManagerEvent::Tick(C::AGENT)));
        self.work(around);
    }

    /// Gives keys to idle workers, once the caches are filled.
    pub fn work(&mut self, around: &mut Surroundings<'_, '_>) {
        if std::mem::take(&mut self.unsent) {
            self.tell(around);
        }
        if !self.started && C::INFORMERS.iter().all(|kind| synced(around.caches, *kind)) {
            self.started = true;
            if C::PERIOD.is_some() {
                around.out.after(
                    Duration::ZERO,
                    Event::ControllerManager(self.process, ControllerManagerEvent::Tick(C::AGENT)),
                );
            }
        }
        if self.started {
            while self.tasks.len() < C::WORKERS {
                let Some((key, cause)) = self.queue.get() else { break };
                self.take(key, cause, around);
            }
        }
    }

    /// A waiting key may have to come back.
    pub fn requeue(&mut self, key: Key, around: &mut Surroundings<'_, '_>) {
        if self.waiting.get(&key).is_some_and(|at| *at <= around.out.now()) {
            self.waiting.remove(&key);
            self.queue.add(key, around.out.cause());
            self.work(around);
        }
    }

    /// A reply; given back if it is not for this controller.
    pub fn reply(&mut self, reply: Reply, around: &mut Surroundings<'_, '_>) -> Result<(), Reply> {
        if let Some((id, slot)) = self.in_flight.remove(&reply.number) {
            if let Some(task) = self.tasks.get_mut(&id) {
                task.answers.arrived(slot, around.out.now(), reply.result);
                self.advance(id, around);
                self.work(around);
            }
            return Ok(());
        }
        match self.recorder.reply(reply.number, &reply.result, around.out.now()) {
            Verdict::NotMine => return Err(reply),
            Verdict::Done => self.tell(around),
            Verdict::RetryAfter(delay) => {
                around.out.after(delay, Event::ControllerManager(self.process, ControllerManagerEvent::Tell(C::AGENT)));
            }
        }
        Ok(())
    }

    /// Whether it waits for pods of the key that it has asked for and will not see: they were being deleted when they came.
    pub fn has_missed(&self, key: &Key) -> bool {
        self.expectations.missed(key)
    }

    /// Sends the next event for people, if none is on its way.
    pub fn tell(&mut self, around: &mut Surroundings<'_, '_>) {
        let Surroundings { connection, setup, out, .. } = around;
        let posted = self.recorder.posted();
        let work = draw(setup, "event", C::AGENT.name(), String::new, posted);
        self.recorder.pump(C::AGENT, connection, work, out);
    }

    fn take(&mut self, key: Key, cause: RecordId, around: &mut Surroundings<'_, '_>) {
        let out = &mut *around.out;
        out.because(cause);
        let (kind, subject) = C::subject(&key);
        out.note(Note::about(C::AGENT, kind, subject, What::Reconcile));
        let now = out.wall();
        if let Some(error) = self.stale(&key, around.caches) {
            return self.end(&key, Err(Interrupt::Failed(error)), around);
        }
        let view = View { now, monotonic: out.now(), expectations: &self.expectations, setup: around.setup };
        let Some(inputs) = self.controller.inputs(&key, around.caches, view) else {
            self.expectations.delete(&key);
            self.turns.remove(&key);
            return self.end(&key, Ok(()), around);
        };
        let turn = self.turns.entry(key.clone()).or_default();
        *turn += 1;
        let task = Task { key, inputs, started: now, turn: *turn, answers: Answers::default(), carried_out: 0 };
        let id = self.next_task;
        self.next_task += 1;
        self.tasks.insert(id, task);
        self.advance(id, around);
    }

    /// Why the caches are too old for the key. Kubernetes: ConsistencyStore.EnsureReady.
    fn stale(&mut self, key: &Key, caches: &Caches) -> Option<Text> {
        for (kind, wrote) in self.wrote.get(key).into_iter().flatten() {
            let read = caches.informer(*kind).map_or(u64::MAX, |informer| informer.version());
            if read < *wrote {
                let resource = kind.qualified();
                let versions = || {
                    format!(
                        "read version: {read} is not as new as written version: {wrote} for group resource {resource}"
                    )
                };
                let cached = caches.store(*kind).get(key).map(|object| object.meta().resource_version);
                return Some(C::out_of_date(key, cached).unwrap_or_else(versions).into());
            }
        }
        self.wrote.remove(key);
        None
    }

    /// Runs a reconcile as far as it gets.
    fn advance(&mut self, id: u64, around: &mut Surroundings<'_, '_>) {
        let Some(task) = self.tasks.get_mut(&id) else { return };
        let mut routine = Routine::new(task.started, &task.answers, task.carried_out);
        let result = self.controller.reconcile(&task.inputs, &mut routine);
        let effects = routine.new_effects();
        let calls = std::mem::take(&mut routine.calls);
        task.carried_out += effects.len();
        let key = task.key.clone();
        for effect in effects {
            self.carry_out(&key, effect, around);
        }
        let Some(task) = self.tasks.get_mut(&id) else { return };
        if let Err(Interrupt::Waiting) = result {
            if calls.is_empty() {
                return;
            }
            let first = task.answers.expect(calls.len());
            let (purpose, counter) = if first == 0 { ("work", 0) } else { ("call", first as u64) };
            let work = draw(around.setup, purpose, C::AGENT.name(), || key.to_string(), task.turn << 20 | counter);
            for (slot, call) in calls.into_iter().enumerate() {
                let number = around.connection.send(C::AGENT, call, work, around.out);
                self.in_flight.insert(number, (id, first + slot));
            }
        } else {
            self.tasks.remove(&id);
            let (outcome, result) = match result {
                Ok(outcome) => {
                    let complaint = C::complaint(&outcome);
                    let result = if complaint.is_empty() { Ok(()) } else { Err(Interrupt::Dropped(complaint)) };
                    (Some(outcome), result)
                }
                Err(interrupt) => (None, Err(interrupt)),
            };
            self.controller.reconciled(&key, outcome, around.out.now());
            self.end(&key, result, around);
        }
    }

    /// A worker is done with a key.
    fn end(&mut self, key: &Key, result: Result<(), Interrupt>, around: &mut Surroundings<'_, '_>) {
        let out = &mut *around.out;
        let error = match result {
            Ok(()) | Err(Interrupt::Waiting) => {
                self.queue.forget(key);
                Text::default()
            }
            Err(Interrupt::Dropped(error)) => {
                self.queue.forget(key);
                error
            }
            Err(Interrupt::Failed(error)) => {
                if C::MAX_RETRIES.is_none_or(|most| self.queue.failures(key) < most) {
                    let delay = self.queue.rate_limit(key, out.now());
                    self.add_after(key.clone(), delay, out);
                } else {
                    self.queue.forget(key);
                }
                error
            }
        };
        let (kind, subject) = C::subject(key);
        out.aside(Note::about(C::AGENT, kind, subject, What::Reconciled { error }));
        self.queue.done(key);
    }

    /// Kubernetes: AddAfter.
    fn add_after(&mut self, key: Key, delay: Duration, out: &mut Effects) {
        if delay == Duration::ZERO {
            return self.queue.add(key, out.cause());
        }
        let at = out.now() + delay;
        if self.waiting.get(&key).is_some_and(|waiting| *waiting <= at) {
            return;
        }
        self.waiting.insert(key.clone(), at);
        let which = C::AGENT;
        out.at(
            at,
            Event::ControllerManager(self.process, ControllerManagerEvent::Requeue { which, key: Box::new(key) }),
        );
    }

    fn carry_out(&mut self, key: &Key, effect: Effect, around: &mut Surroundings<'_, '_>) {
        let now = around.out.now();
        match effect {
            Effect::Event { regarding, kind, reason, message } => {
                self.recorder.record(C::AGENT, regarding, kind, reason, message.into(), around.out);
                self.tell(around);
            }
            Effect::ExpectCreations(n) => self.expectations.expect_creations(key, n, now),
            Effect::CreationsFailed(n) => (0..n).for_each(|_| self.expectations.creation_observed(key)),
            Effect::ExpectDeletions(objects) => self.expectations.expect_deletions(key, objects, now),
            Effect::ExpectBoth(n, objects) => self.expectations.expect_both(key, n, objects, now),
            Effect::DeletionFailed(object) => self.expectations.deletion_observed(key, &object),
            Effect::Wrote(kind, version) => self.wrote(key, kind, version),
            Effect::RequeueAfter(delay) => self.add_after(key.clone(), delay, around.out),
            Effect::Note(what) => {
                let (kind, subject) = C::subject(key);
                around.out.note(Note::about(C::AGENT, kind, subject, what));
            }
            Effect::RequeueRateLimited => {
                let delay = self.queue.rate_limit(key, now);
                self.add_after(key.clone(), delay, around.out);
            }
        }
    }

    /// Kubernetes: ConsistencyStore.WroteAt.
    fn wrote(&mut self, key: &Key, kind: Kind, version: u64) {
        let versions = self.wrote.entry(key.clone()).or_default();
        match versions.iter_mut().find(|(known, _)| *known == kind) {
            Some((_, newest)) => *newest = version.max(*newest),
            None => versions.push((kind, version)),
        }
    }
}

pub(super) fn synced(caches: &Caches, kind: Kind) -> bool {
    caches.informer(kind).is_some_and(|informer| informer.synced())
}

/// How long a controller works before a request.
pub(super) fn draw(
    setup: &Setup,
    purpose: &str,
    agent: &str,
    object: impl FnOnce() -> String,
    counter: u64,
) -> Duration {
    let latency = if purpose == "work" { &setup.profile.controller_work } else { &setup.profile.controller_call };
    latency.fixed().unwrap_or_else(|| setup.draw(latency, agent, purpose, &object(), counter))
}
