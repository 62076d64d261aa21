//! Controllers of one's own: a process each, whose reconcile the user has written.
//!
//! What a program made with controller-runtime has is here: informers, a work queue with back-off, workers, an event recorder, a
//! connection with QPS and burst, leader election if wanted. The reconcile itself is asked for ([`Scripts::reconcile`]): it is run from its
//! start over the log of its worker (`task`) each time an answer arrives. All state is in here and is a value, so a run can be
//! forked in the middle of a reconcile; a process that is killed loses it all, and what it had asked for is carried out nevertheless.
//!
//! Models: the shape of sigs.k8s.io/controller-runtime v0.24 pkg/{controller,client,cache,manager,leaderelection}: MaxConcurrentReconciles 1,
//! QPS 20 and burst 30, rate limiter 5 ms to 1000 s with 10 a second and 100 at once, caches that fill before the election. Left out:
//! priorities in the queue, the time a program takes to start.
//!
//! [`Scripts::reconcile`]: crate::scripted::Scripts::reconcile

mod election;
mod spec;
mod task;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;

pub use self::spec::{CustomProcess, CustomSpec, Watched};
use self::task::Task;
use crate::apiserver::request::{Delivery, ListOptions, Reply, WatchEvent};
use crate::apiserver::status::Status;
use crate::client::informer::Change;
use crate::client::leader::LeaderElection;
use crate::client::recorder::Verdict;
use crate::client::{Agent, Connection, Informer, Recorder, Store, WorkQueue};
use crate::event::{Effects, Event};
use crate::kernel::{Duration, Endpoint, Instant};
use crate::objects::{Key, Kind, Name, Text};
use crate::scripted::{Again, Caches, End, Logged, Mistake, Reconcile};
use crate::setup::Setup;
use crate::trace::{Note, What};

/// What is reconciled: an object of a kind, whether or not it exists.
pub type Item = (Kind, Key);

/// Something that happens to a controller.
#[derive(Clone, Debug)]
pub enum CustomEvent {
    /// The process starts.
    Start,
    /// Something arrived from the API server.
    Delivery(Delivery),
    /// The next step of the election is due.
    Elect,
    /// A key may have waited long enough.
    Requeue(Box<Item>),
    /// All keys come into the queue again.
    Resync,
    /// Its events may be sent again.
    Tell,
    /// A watch that ended is opened again.
    Rewatch(Kind),
    /// The process ends itself.
    Exit,
}

/// What a user's function has to say to its author.
#[derive(Clone, PartialEq, Debug)]
pub struct Told {
    /// When.
    pub at: Instant,
    /// Whose function it is: `controller/auto-delete`, `scheduler plugin gpu-first`.
    pub by: Text,
    /// What it says.
    pub what: Word,
}

/// See [`Told`].
#[derive(Clone, PartialEq, Debug)]
pub enum Word {
    /// A line that it prints.
    Line(Text),
    /// It failed over something; each place is told once.
    Failed(Text, Mistake),
}

/// The process.
#[derive(Clone, Debug)]
pub struct CustomController {
    number: u8,
    replica: u8,
    spec: Arc<CustomSpec>,
    running: bool,
    election: Option<LeaderElection>,
    connection: Connection,
    recorder: Recorder,
    informers: Vec<Informer>,
    queue: WorkQueue<Item>,
    waiting: BTreeMap<Item, Instant>,
    tasks: BTreeMap<u64, Task>,
    next_task: u64,
    /// Task and place in its log of the requests on their way.
    in_flight: BTreeMap<u64, (u64, usize)>,
    /// How often each key was taken: the address of its luck.
    turns: BTreeMap<Item, u64>,
    memory: Arc<Value>,
    told: Vec<Told>,
    /// Places of failures that have been told.
    warned: BTreeSet<(Name, u32)>,
}

impl CustomController {
    /// The process before it starts; `number` is its place among those of its kind.
    pub fn new(number: u8, process: &CustomProcess) -> Self {
        let spec = process.spec.clone();
        CustomController {
            number,
            replica: process.replica,
            running: false,
            election: None,
            connection: Connection::new(Endpoint::Custom(number), spec.qps, spec.burst),
            recorder: Recorder::new(spec.name.to_string(), ""),
            informers: spec.kinds().into_iter().map(|kind| informer(&spec, kind)).collect(),
            queue: WorkQueue::default(),
            waiting: BTreeMap::new(),
            tasks: BTreeMap::new(),
            next_task: 0,
            in_flight: BTreeMap::new(),
            turns: BTreeMap::new(),
            memory: spec.memory.clone(),
            told: Vec::new(),
            warned: BTreeSet::new(),
            spec,
        }
    }

    /// What it is like.
    pub fn spec(&self) -> &Arc<CustomSpec> {
        &self.spec
    }

    /// What it remembers.
    pub fn memory(&self) -> &Value {
        &self.memory
    }

    /// What it knows of a kind; `None` if it does not watch that.
    pub fn store(&self, kind: Kind) -> Option<&Store> {
        self.informers.iter().find(|informer| informer.kind == kind).map(|informer| &informer.store)
    }

    /// How many keys wait in its queue, and how many wait for their time.
    pub fn backlog(&self) -> (usize, usize) {
        (self.queue.len(), self.waiting.len())
    }

    /// Takes what its function has to say.
    pub fn take_told(&mut self) -> Vec<Told> {
        std::mem::take(&mut self.told)
    }

    /// The process is killed: it forgets everything. Numbers of requests go on, so that late replies find nobody.
    pub fn crash(&mut self) {
        let process = CustomProcess { spec: self.spec.clone(), replica: self.replica };
        let before = std::mem::replace(self, CustomController::new(self.number, &process));
        self.connection = before.connection;
        self.connection.reopen();
        (self.next_task, self.warned, self.told) = (before.next_task, before.warned, before.told);
    }

    /// The number of its next request to the API server.
    pub fn next_request(&self) -> u64 {
        self.connection.next()
    }

    fn agent(&self) -> Agent {
        Agent::Custom(self.number)
    }

    fn event(&self, event: CustomEvent) -> Event {
        Event::Custom(self.number, event)
    }

    /// Handles an event. A process that does not run hears nothing but its start.
    pub fn handle(&mut self, event: CustomEvent, setup: &Setup, out: &mut Effects) {
        match event {
            CustomEvent::Start => self.start(setup, out),
            _ if !self.running => {}
            CustomEvent::Delivery(Delivery::Reply(reply)) => self.replied(*reply, setup, out),
            CustomEvent::Delivery(Delivery::Watch { number, events }) => self.heard(number, events, setup, out),
            CustomEvent::Delivery(Delivery::WatchEnded { number, status }) => {
                self.watch_ended(number, status.as_deref(), setup, out);
            }
            CustomEvent::Elect => self.elect(setup, out),
            CustomEvent::Requeue(item) => {
                if self.waiting.get(&item).is_some_and(|at| *at <= out.now()) {
                    self.waiting.remove(&item);
                    self.queue.add(*item, out.cause());
                    self.work(setup, out);
                }
            }
            CustomEvent::Resync => self.resync(setup, out),
            CustomEvent::Tell => self.tell(out),
            CustomEvent::Rewatch(kind) => {
                let agent = self.agent();
                if let Some(informer) = self.informers.iter_mut().find(|informer| informer.kind == kind) {
                    informer.start(agent, &mut self.connection, out);
                }
            }
            CustomEvent::Exit => {
                self.crash();
                out.exit();
            }
        }
    }

    fn start(&mut self, setup: &Setup, out: &mut Effects) {
        self.crash();
        self.running = true;
        out.note(Note::new(self.agent(), What::Started));
        let agent = self.agent();
        for informer in &mut self.informers {
            informer.start(agent, &mut self.connection, out);
        }
        if self.spec.resync > Duration::ZERO {
            out.after(self.spec.resync, self.event(CustomEvent::Resync));
        }
        self.stand(setup, out);
    }

    fn replied(&mut self, reply: Reply, setup: &Setup, out: &mut Effects) {
        if let Some((id, place)) = self.in_flight.remove(&reply.number) {
            if let Some(task) = self.tasks.get_mut(&id) {
                task.answered(place, out.now(), reply.result);
                self.run(id, setup, out);
                self.work(setup, out);
            }
            return;
        }
        if self.elected(&reply, setup, out) {
            return;
        }
        match self.recorder.reply(reply.number, &reply.result, out.now()) {
            Verdict::NotMine => {
                if let Err(status) = &reply.result {
                    self.watch_ended(reply.number, Some(status), setup, out);
                }
            }
            Verdict::Done => self.tell(out),
            Verdict::RetryAfter(delay) => out.after(delay, self.event(CustomEvent::Tell)),
        }
    }

    fn heard(&mut self, number: u64, events: Vec<WatchEvent>, setup: &Setup, out: &mut Effects) {
        let Some(informer) = self.informers.iter_mut().find(|informer| informer.is(number)) else { return };
        let (kind, mut changes) = (informer.kind, Vec::new());
        events.into_iter().for_each(|event| informer.take(event, &mut changes));
        for change in changes {
            self.concerns(kind, &change);
        }
        self.work(setup, out);
    }

    /// Which keys a change concerns: the object's own, or that of its owner.
    fn concerns(&mut self, kind: Kind, change: &Change) {
        let spec = self.spec.clone();
        if spec.watches.iter().any(|watched| watched.kind == kind) {
            self.queue.add((kind, change.object().key()), change.cause);
        }
        if spec.owns.contains(&kind) {
            let primary = spec.kind();
            for object in [&change.old, &change.new].into_iter().flatten() {
                let Some(owner) = object.meta().controller().filter(|owner| &*owner.kind == primary.name()) else {
                    continue;
                };
                let namespace = if primary.namespaced() { object.meta().namespace.clone() } else { "".into() };
                self.queue.add((primary, Key { namespace, name: owner.name.clone() }), change.cause);
            }
        }
    }

    /// Everything in the caches is looked at again.
    fn resync(&mut self, setup: &Setup, out: &mut Effects) {
        let (spec, cause) = (self.spec.clone(), out.cause());
        for informer in self.informers.iter().filter(|one| spec.watches.iter().any(|other| other.kind == one.kind)) {
            for object in informer.store.iter() {
                self.queue.add((informer.kind, object.key()), cause);
            }
        }
        out.after(spec.resync, self.event(CustomEvent::Resync));
        self.work(setup, out);
    }

    /// Gives keys to idle workers, once the caches are filled and if this process leads.
    fn work(&mut self, setup: &Setup, out: &mut Effects) {
        if !self.leading() || !self.informers.iter().all(Informer::synced) {
            return;
        }
        while self.tasks.len() < self.spec.workers {
            let Some((item, cause)) = self.queue.get() else { break };
            out.because(cause);
            let record = out.note(Note::about(self.agent(), item.0, item.1.clone(), What::Reconcile));
            let turn = self.turns.entry(item.clone()).or_default();
            *turn += 1;
            let task = Task::new(item, out.now(), *turn, record, self.memory.clone());
            self.tasks.insert(self.next_task, task);
            self.next_task += 1;
            self.run(self.next_task - 1, setup, out);
        }
    }

    /// Runs the user's function for a worker, as far as it comes.
    fn run(&mut self, id: u64, setup: &Setup, out: &mut Effects) {
        let caches: Caches = Arc::new(
            self.informers.iter_mut().map(|one| (one.kind, std::mem::take(&mut one.store))).collect::<Vec<_>>(),
        );
        let ran = self.tasks.get(&id).map(|task| {
            let run = Reconcile {
                key: &task.item.1,
                kind: task.item.0,
                started: task.started,
                caches: caches.clone(),
                memory: &task.memory,
                log: &task.log,
            };
            setup.scripts.reconcile(&self.spec.name, run)
        });
        // Nobody keeps a reference beyond the run; if somebody does, a copy is as good.
        let stores = Arc::try_unwrap(caches).unwrap_or_else(|shared| (*shared).clone());
        for (informer, (_, store)) in self.informers.iter_mut().zip(stores) {
            informer.store = store;
        }
        let (Some(ran), Some(task)) = (ran, self.tasks.get(&id)) else { return };
        let (item, record, memory) = (task.item.clone(), task.record, task.memory.clone());
        out.because(record);
        for logged in ran.logged {
            self.carry_out(&item, &logged, out);
            if let Some(task) = self.tasks.get_mut(&id) {
                task.log.push(logged);
            }
        }
        if let End::Waits(call) = ran.end {
            return self.ask(id, *call, setup, out);
        }
        let Some(task) = self.tasks.remove(&id) else { return };
        if let Some(new) = ran.memory {
            task::remember(&mut self.memory, &memory, new);
        }
        let error = match ran.end {
            End::Waits(_) => Text::default(),
            End::Done { again } => {
                match again {
                    Again::No => self.queue.forget(&item),
                    Again::After(delay) => {
                        self.queue.forget(&item);
                        self.add_after(item.clone(), delay, out);
                    }
                    Again::RateLimited => self.again_later(item.clone(), out),
                }
                Text::default()
            }
            End::Failed(mistake) => {
                self.again_later(item.clone(), out);
                let error = mistake.line();
                self.complain(&item, &task, mistake, out);
                error
            }
        };
        out.because(record);
        out.aside(Note::about(self.agent(), item.0, item.1.clone(), What::Reconciled { error }));
        self.queue.done(&item);
    }

    /// Does what a step of the function asks for besides requests.
    fn carry_out(&mut self, item: &Item, logged: &Logged, out: &mut Effects) {
        match logged {
            Logged::Event(said) => {
                let (said, agent) = (said.clone(), self.agent());
                self.recorder.record(agent, said.regarding, said.kind, said.reason, said.message, out);
                self.tell(out);
            }
            Logged::Line(line) => {
                let what = What::Remark { text: (&**line).into() };
                out.aside(Note::about(self.agent(), item.0, item.1.clone(), what));
                let by = self.process_name();
                self.told.push(Told { at: out.now(), by, what: Word::Line(line.clone()) });
            }
            Logged::Read(_) | Logged::Answer(_) => {}
        }
    }

    /// `controller/auto-delete`; of several replicas `controller/auto-delete-0` …
    fn process_name(&self) -> Text {
        CustomProcess { spec: self.spec.clone(), replica: self.replica }.name().into()
    }

    /// Tells the author of a failure, unless it is the usual conflict, or of the same line as one before.
    fn complain(&mut self, item: &Item, task: &Task, mistake: Mistake, out: &mut Effects) {
        let place = (Name::from(&*mistake.place.file), mistake.place.line);
        if mistake.bug || !task.lost_a_race() && self.warned.insert(place) {
            let (by, key) = (self.process_name(), item.1.to_string().into());
            self.told.push(Told { at: out.now(), by, what: Word::Failed(key, mistake) });
        }
    }

    /// Sends the request that a worker waits for.
    fn ask(&mut self, id: u64, call: crate::client::connection::Call, setup: &Setup, out: &mut Effects) {
        let agent = self.agent();
        let Some(task) = self.tasks.get_mut(&id).filter(|task| !task.waits()) else { return };
        let (purpose, latency) = match task.log.iter().any(|logged| matches!(logged, Logged::Answer(_))) {
            false => ("work", &setup.profile.controller_work),
            true => ("call", &setup.profile.controller_call),
        };
        let place = task.log.len();
        task.log.push(Logged::Answer(None));
        let work = latency.fixed().unwrap_or_else(|| {
            let object = format!("{}/{}", task.item.0.name(), task.item.1);
            setup.draw(latency, &self.spec.name, purpose, &object, task.turn << 20 | place as u64)
        });
        let number = self.connection.send(agent, call, work, out);
        self.in_flight.insert(number, (id, place));
    }

    /// A failed key waits, the longer the more often it failed. Kubernetes: AddRateLimited.
    fn again_later(&mut self, item: Item, out: &mut Effects) {
        let delay = self.queue.rate_limit(&item, out.now());
        self.add_after(item, delay, out);
    }

    /// Kubernetes: AddAfter.
    fn add_after(&mut self, item: Item, delay: Duration, out: &mut Effects) {
        let at = out.now() + delay;
        if self.waiting.get(&item).is_some_and(|waiting| *waiting <= at) {
            return;
        }
        self.waiting.insert(item.clone(), at);
        out.at(at, self.event(CustomEvent::Requeue(Box::new(item))));
    }

    fn tell(&mut self, out: &mut Effects) {
        let agent = self.agent();
        self.recorder.pump(agent, &mut self.connection, Duration::ZERO, out);
    }

    fn watch_ended(&mut self, number: u64, status: Option<&Status>, setup: &Setup, out: &mut Effects) {
        let agent = self.agent();
        let Some(informer) = self.informers.iter_mut().find(|informer| informer.is(number)) else { return };
        let delay = informer.broke(status, agent, setup, out.now());
        let kind = informer.kind;
        out.after(delay, self.event(CustomEvent::Rewatch(kind)));
    }
}

fn informer(spec: &CustomSpec, kind: Kind) -> Informer {
    let watched = spec.watches.iter().find(|watched| watched.kind == kind);
    let labels = watched.and_then(|watched| watched.labels.clone());
    let fields = watched.and_then(|watched| watched.fields.clone());
    let namespace = if kind.namespaced() { spec.namespace.clone() } else { "".into() };
    let options = ListOptions { labels, fields, ..ListOptions::default() };
    Informer::new(kind, Store::indexed(), options).within(namespace)
}
