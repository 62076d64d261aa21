//! A simulated cluster with people at their terminals: the world, kubectl and etcdctl processes, and what the script asks of both.
//!
//! A session is a value like the world it holds: cloning it forks everything, running commands included.

mod dial;
mod etcd;
mod etcd_terms;
mod etcdctl;
mod faults;
pub mod follower;
mod kubectl;
mod load;
mod machine;
mod machines;
mod places;
mod process;
mod programs;
pub mod sampler;
pub mod traffic;
mod translate;
mod webhooks;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::Value;
use wavetank_engine::World;
use wavetank_engine::apiserver::request::Delivery;
use wavetank_engine::client::Agent;
use wavetank_engine::custom::Told;
use wavetank_engine::kernel::out::RecordId;
use wavetank_engine::kernel::{Duration, Instant};
use wavetank_engine::objects::{Kind, Object, json};
use wavetank_engine::scheduler::config::SchedulerConfiguration;
use wavetank_engine::setup::Setup;
use wavetank_engine::trace::{Note, What, jsonl};
use wavetank_engine::world::Mail;

pub use self::etcd::Signal;
pub use self::faults::DiskSpeed;
use self::kubectl::Kubectl;
use self::load::Load;
pub use self::load::{LoadFigures, LoadSpec};
pub use self::machine::Machine;
use self::process::{Asked, Program, Running, Wake};
use self::programs::ExecRule;
pub use self::programs::{Meant, Pods};
use self::sampler::Sampler;
use crate::script::hints;

/// Virtual time. [ns since the script's time zero]
pub type Nanos = u64;
/// An instant of virtual time. [ns since the script's time zero]
pub type Time = Nanos;

/// What the command line asks for over the script's head.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    /// The seed, instead of the script's.
    pub seed: Option<u64>,
    /// The latency profile, instead of the script's.
    pub profile: Option<String>,
    /// The scheduler's configuration, instead of the script's.
    pub scheduler: Option<SchedulerConfiguration>,
    /// Shuffle events of the same instant by this number.
    pub shuffle_ties: Option<u64>,
    /// The script's folder, where its manifests are.
    pub folder: PathBuf,
}

/// A process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ProcessId(pub u32);

/// How a process ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exit {
    /// Exit code.
    pub code: i32,
    /// Everything it printed to standard output.
    pub stdout: String,
    /// Everything it printed to standard error.
    pub stderr: String,
}

/// Where a chunk was printed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// A chunk printed at a virtual time.
#[derive(Clone, Debug)]
pub struct Output {
    /// When.
    pub at: Time,
    /// By whom.
    pub process: ProcessId,
    /// Where to.
    pub stream: Stream,
    /// The text; not necessarily whole lines.
    pub text: String,
}

/// Figures of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Events handled.
    pub events: u64,
    /// Fingerprint of the trace.
    pub fingerprint: u64,
    /// Where virtual time ended. [ns]
    pub virtual_end: Nanos,
}

/// The cluster and its users.
#[derive(Clone)]
pub struct Session {
    world: World,
    zero: Instant,
    folder: Arc<PathBuf>,
    processes: BTreeMap<ProcessId, Running>,
    loads: Vec<Load>,
    /// When processes are to be looked after: sleeps, timeouts, starts. The last number tells outdated entries.
    timers: BTreeSet<(Instant, ProcessId, u64)>,
    /// Requests under way.
    requests: BTreeMap<u64, ProcessId>,
    next_request: u64,
    /// Writes of loads under way.
    writes: BTreeMap<u64, usize>,
    output: Vec<Output>,
    /// The virtual files of etcd's operators.
    machine: Machine,
    sampler: Sampler,
    /// What commands print in containers, by the script's word.
    exec_rules: Vec<ExecRule>,
    scopes: faults::Scopes,
    follower: follower::Follower,
}

/// The script begins this long after every node has become ready.
const CALM: Duration = Duration::from_secs(10);
/// A cluster whose nodes are not ready by then never will be.
const PATIENCE: Duration = Duration::from_secs(600);

impl Session {
    /// Switches a cluster on and lets it come to rest; the error is for the user.
    pub fn create(spec: &Value, overrides: &Overrides) -> Result<Session, String> {
        Session::begin(crate::spec::setup(spec, overrides)?, overrides.folder.clone())
    }

    /// The same of a setup; `folder` is the script's.
    pub fn begin(setup: Setup, folder: PathBuf) -> Result<Session, String> {
        let nodes = setup.nodes.len();
        let mut names: Vec<&str> = setup.nodes.iter().map(|node| &*node.name).collect();
        names.sort_unstable();
        if let Some(twice) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(format!("two nodes have the name `{}`", twice[0]));
        }
        let machine = Machine::new(&setup.formation);
        let mut world = World::new(setup.shared());
        let mut now = Instant::START;
        while ready_nodes(&world) < nodes {
            now = now + Duration::from_millis(500);
            if now.since(Instant::START) > PATIENCE {
                return Err(format!("only {} of {nodes} nodes became ready within 10 minutes", ready_nodes(&world)));
            }
            world.run_until(now);
        }
        let zero = now + CALM;
        let zero = Instant::from_nanos(zero.as_nanos().next_multiple_of(1_000_000_000));
        world.run_until(zero);
        while world.receive().is_some() {}
        world.forget_trace();
        Ok(Session {
            sampler: Sampler::new(&world, zero),
            world,
            zero,
            folder: Arc::new(folder),
            processes: BTreeMap::new(),
            loads: Vec::new(),
            timers: BTreeSet::new(),
            requests: BTreeMap::new(),
            next_request: FIRST_REQUEST,
            writes: BTreeMap::new(),
            output: Vec::new(),
            machine,
            exec_rules: Vec::new(),
            scopes: faults::Scopes::default(),
            follower: follower::Follower::default(),
        })
    }

    /// Virtual time.
    pub fn now(&self) -> Nanos {
        self.world.now().since(self.zero).as_nanos()
    }

    /// The world, to look at.
    pub fn world(&self) -> &World {
        &self.world
    }

    /// The world, for faults.
    pub fn world_mut(&mut self) -> &mut World {
        &mut self.world
    }

    /// The instant of the script's time zero.
    pub fn zero(&self) -> Instant {
        self.zero
    }

    /// Runs everything up to and including `at`.
    pub fn run_until(&mut self, at: Nanos) {
        while self.next_at().is_some_and(|next| next <= at) {
            self.step();
        }
        let at = self.zero + Duration::from_nanos(at);
        self.sample_until(at);
        self.world.run_until(at);
    }

    /// Handles the next event, of the world or of a process.
    pub fn step(&mut self) -> bool {
        if let Some((at, load)) = self.next_write()
            && self.world.next_at().is_none_or(|next| at < next)
            && self.timers.first().is_none_or(|(timer, ..)| at < *timer)
        {
            self.sample_until(at);
            self.world.run_until(at);
            self.write(load);
            return true;
        }
        let timer = self.timers.first().copied();
        match (timer, self.world.next_at()) {
            (Some((at, process, wake)), next) if next.is_none_or(|next| at < next) => {
                self.sample_until(at);
                self.timers.pop_first();
                self.world.run_until(at);
                self.wake(process, Wake::Timer(wake));
                true
            }
            (_, None) => false,
            (_, Some(next)) => {
                self.sample_until(next);
                self.world.step();
                self.follower.look(&self.world, self.zero);
                while let Some(mail) = self.world.receive() {
                    self.deliver(mail);
                }
                self.deliver_from_etcd();
                true
            }
        }
    }

    /// Nothing happens before `at`: samples what is due until then.
    fn sample_until(&mut self, at: Instant) {
        if self.sampler.is_due(at) {
            self.sampler.advance(&self.world, at);
        }
    }

    /// What was seen of workloads since the first fault.
    pub fn follower(&self) -> &follower::Follower {
        &self.follower
    }

    /// What was seen of the run over time.
    pub fn sampler(&self) -> &Sampler {
        &self.sampler
    }

    /// What was seen within the last `window`.
    pub fn recent(&self, window: Nanos) -> sampler::Sample {
        self.sampler.recent(&self.world, window)
    }

    /// When the next event is.
    pub fn next_at(&mut self) -> Option<Nanos> {
        let timer = self.timers.first().map(|(at, _, _)| *at);
        let write = self.next_write().map(|(at, _)| at);
        let next = [timer, write, self.world.next_at()].into_iter().flatten().min()?;
        Some(next.since(self.zero).as_nanos())
    }

    /// Starts a process; the arguments come without the program's name.
    pub fn start_kubectl(&mut self, argv: Vec<String>, stdin: Option<String>) -> ProcessId {
        let number = self.processes.len() as u32 + 1;
        let setup = self.world.setup();
        let mut wait = setup.draw(&setup.profile.kubectl_start, "kubectl", "start", "", number.into());
        if argv.first().is_some_and(|verb| verb == "apply") {
            wait += setup.draw(&setup.profile.kubectl_schema, "kubectl", "schema", "", number.into());
        }
        let line = format!("kubectl {}", argv.join(" "));
        let program = Program::Kubectl(Box::new(Kubectl::new(argv, stdin, unix(self.world.now()))));
        self.launch(program, &line, Agent::Kubectl(number), wait)
    }

    /// Starts a process whose number is `agent`'s; `wait` is how long it takes to begin.
    fn launch(&mut self, program: Program, line: &str, agent: Agent, wait: Duration) -> ProcessId {
        let process = ProcessId(self.processes.len() as u32 + 1);
        let record = self.world.note(RecordId(0), Note::new(agent, What::Command { line: line.into() }));
        let running = Running::new(program, agent, record);
        self.timers.insert((self.world.now() + wait, process, running.wake));
        self.processes.insert(process, running);
        process
    }

    /// How a process ended, if it did.
    pub fn poll(&mut self, process: ProcessId) -> Option<Exit> {
        self.processes.get(&process)?.exit.clone()
    }

    /// Ends a process, as Ctrl-C does.
    pub fn kill(&mut self, process: ProcessId) {
        if let Some(running) = self.processes.get_mut(&process)
            && running.exit.is_none()
        {
            running.interrupt();
            self.ended(process);
        }
    }

    /// What the script's functions that the cluster runs have had to say since the last call.
    pub fn take_told(&mut self) -> Vec<Told> {
        self.world.take_told()
    }

    /// What was printed since the last call.
    pub fn take_output(&mut self) -> Vec<Output> {
        std::mem::take(&mut self.output)
    }

    /// The kinds that definitions have brought so far.
    pub(crate) fn custom_kinds(&self) -> Vec<Kind> {
        self.world.discovery().iter().map(|one| one.kind).collect()
    }

    /// Stored objects, sorted by key: the truth in etcd.
    pub fn objects(&self, resource: &str) -> Result<Vec<Value>, String> {
        let kind = kind_of(resource, &self.custom_kinds())?;
        Ok(self.world.objects(kind).iter().map(|object| json::to_json(object)).collect())
    }

    /// Changes whenever anything stored does.
    pub fn object_version(&self) -> u64 {
        self.world.revision()
    }

    /// Starts a client that writes from now on; its number is the answer.
    pub fn start_load(&mut self, spec: LoadSpec) -> usize {
        let number = self.loads.len();
        self.loads.push(Load::new(spec, number as u32 + 1, self.world.now()));
        number
    }

    /// Stops a load; what is under way is still answered.
    pub fn stop_load(&mut self, number: usize) {
        if let Some(load) = self.loads.get_mut(number) {
            load.stopped = true;
        }
    }

    /// What a load has come to.
    pub fn load(&self, number: usize) -> Option<&LoadFigures> {
        self.loads.get(number).map(Load::figures)
    }

    /// Marks this instant in the trace.
    pub fn mark(&mut self, text: &str) {
        self.world.note(RecordId(0), Note::new(Agent::Script, What::Mark { text: text.into() }));
    }

    /// Writes a remark into the trace.
    pub fn note(&mut self, text: &str) {
        self.world.note(RecordId(0), Note::new(Agent::Script, What::Remark { text: text.into() }));
    }

    /// Figures so far.
    pub fn statistics(&self) -> Statistics {
        Statistics {
            events: self.world.handled(),
            fingerprint: self.world.trace().fingerprint(),
            virtual_end: self.now(),
        }
    }

    /// The trace since the script's time zero, a JSON object a line.
    pub fn trace_jsonl(&self, out: &mut dyn io::Write) -> io::Result<()> {
        self.write_trace(&jsonl::Header::of(self.world.setup(), self.zero), out)
    }

    /// The trace as it is compared: it does not say whether ties were shuffled, as that must change nothing.
    pub fn comparable_trace(&self, out: &mut dyn io::Write) -> io::Result<()> {
        let header = jsonl::Header { shuffle_ties: None, ..jsonl::Header::of(self.world.setup(), self.zero) };
        self.write_trace(&header, out)
    }

    fn write_trace(&self, header: &jsonl::Header, out: &mut dyn io::Write) -> io::Result<()> {
        let setup: &Setup = self.world.setup();
        writeln!(out, "{}", jsonl::header(header))?;
        let names = |agent| jsonl::agent_name(setup, agent);
        for record in self.world.trace().records() {
            writeln!(out, "{}", jsonl::line(record, self.zero, &names))?;
        }
        Ok(())
    }

    /// The next write of a load and whose it is.
    fn next_write(&self) -> Option<(Instant, usize)> {
        let now = self.world.now();
        let due = |(number, load): (usize, &Load)| Some((load.next()?.max(now), number));
        self.loads.iter().enumerate().filter_map(due).min()
    }

    fn write(&mut self, load: usize) {
        let (number, now) = (self.next_request, self.world.now());
        if let Some(request) = self.loads.get_mut(load).and_then(|load| load.write(number, now)) {
            self.next_request += 1;
            self.writes.insert(number, load);
            self.world.send(request, RecordId(0), Duration::ZERO);
        }
    }

    fn deliver(&mut self, mail: Mail) {
        let number = match &mail.delivery {
            Delivery::Reply(reply) => reply.number,
            Delivery::Watch { number, .. } | Delivery::WatchEnded { number, .. } => *number,
        };
        if let Some(load) = self.writes.remove(&number) {
            let (now, at) = (self.world.now(), self.now());
            if let Some(load) = self.loads.get_mut(load) {
                load.hear(&mail.delivery, now, at);
            }
            return;
        }
        if let Some(process) = self.requests.get(&number).copied() {
            self.wake(process, Wake::Mail(Box::new(mail)));
        }
    }

    /// Something a process waited for has come.
    fn wake(&mut self, process: ProcessId, wake: Wake) {
        let Some(running) = self.processes.get_mut(&process) else { return };
        if running.exit.is_some() {
            return;
        }
        if running.take(wake, &self.world, &self.exec_rules) {
            self.keep_snapshots(process);
            self.advance(process);
        } else {
            let besides = running.asked_besides(&self.world);
            self.carry_out(process, besides);
        }
    }

    /// Runs a process as far as it comes.
    fn advance(&mut self, process: ProcessId) {
        loop {
            let Some(running) = self.processes.get_mut(&process) else { return };
            let printed = running.run(&self.folder);
            let now = self.world.now().since(self.zero).as_nanos();
            self.output.extend(printed.into_iter().map(|(stream, text)| Output { at: now, process, stream, text }));
            if running.exit.is_some() {
                return self.ended(process);
            }
            if !self.serve(process) {
                return;
            }
        }
    }

    /// Sends what the process asks for; true if it can go on at once.
    fn serve(&mut self, process: ProcessId) -> bool {
        let Some(running) = self.processes.get_mut(&process) else { return false };
        let asked = running.asked(&mut self.next_request, &self.world);
        let at_once = asked.at_once;
        self.carry_out(process, asked);
        at_once
    }

    fn carry_out(&mut self, process: ProcessId, asked: Asked) {
        let Some(running) = self.processes.get_mut(&process) else { return };
        let record = running.record;
        if let Some(at) = asked.timer {
            self.timers.insert((at, process, running.wake));
        }
        if let Some((number, path)) = asked.health {
            self.requests.insert(number, process);
            self.world.ask_health(number, &path, record);
        }
        if let Some((number, request)) = asked.request {
            self.requests.insert(number, process);
            self.world.send(request, record, Duration::ZERO);
        }
        for (member, number, request) in asked.etcd {
            self.requests.insert(number, process);
            self.world.ask_etcd(member, number, request, record);
        }
        if let Some(call) = asked.file {
            self.work_on_file(process, &call);
        }
    }

    fn ended(&mut self, process: ProcessId) {
        let Some(running) = self.processes.get_mut(&process) else { return };
        match &mut running.program {
            Program::Kubectl(kubectl) => {
                kubectl.streams.drain(..).for_each(|number| self.world.unwatch(number));
            }
            Program::Etcdctl(etcdctl) => {
                for (member, number) in etcdctl.streams.drain(..) {
                    let cancel = wavetank_engine::etcd::Request::WatchCancel(number);
                    self.world.ask_etcd(member, self.next_request, cancel, running.record);
                    self.next_request += 1;
                }
            }
        }
        self.requests.retain(|_, owner| *owner != process);
        let code = running.exit.as_ref().map_or(0, |exit| exit.code);
        let (record, agent) = (running.record, running.agent);
        self.world.note(record, Note::new(agent, What::Exited { code }));
    }
}

/// Requests of the installer have smaller numbers.
const FIRST_REQUEST: u64 = 1_000;

/// Unix time of an instant. [ns]
fn unix(at: Instant) -> i64 {
    json::EPOCH_NS + at.as_nanos() as i64
}

/// The instant of a Unix time. [ns]
fn instant(unix: i64) -> Instant {
    Instant::from_nanos(u64::try_from(unix.saturating_sub(json::EPOCH_NS)).unwrap_or(0))
}

fn ready_nodes(world: &World) -> usize {
    let settled = |object: &Arc<Object>| {
        object.as_node().is_some_and(|node| {
            node.ready() && !node.taints.iter().any(|taint| &*taint.key == "node.kubernetes.io/not-ready")
        })
    };
    world.objects(Kind::Node).iter().filter(|object| settled(object)).count()
}

/// The kind that a person means by `resource`: one of the `custom` ones, or one that every cluster has.
pub(crate) fn kind_of(resource: &str, custom: &[Kind]) -> Result<Kind, String> {
    let word = resource.to_ascii_lowercase();
    let defined = Kind::EXTENSIONS.into_iter().chain(custom.iter().copied());
    let called = |kind: &Kind| {
        kind.definition().is_some_and(|one| {
            one.short.contains(&&*word)
                || one.plural == word
                || one.kind.eq_ignore_ascii_case(&word)
                || kind.qualified() == word
        })
    };
    if let Some(kind) = defined.into_iter().find(called) {
        return Ok(kind);
    }
    let named =
        |kind: &&Kind| kind.short() == Some(&*word) || kind.plural() == word || kind.name().eq_ignore_ascii_case(&word);
    Kind::ALL.iter().find(named).copied().ok_or_else(|| {
        let hint = hints::did_you_mean(&word, Kind::ALL.map(Kind::plural)).unwrap_or_default();
        format!("there is no kind `{resource}`; the kinds are {}\n{hint}", Kind::ALL.map(Kind::plural).join(", "))
    })
}
