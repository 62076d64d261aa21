//! One seed: its plan is carried out, watched, mended, and waited for.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use serde_json::Value;
use wavetank_engine::objects::{Key, Kind};
use wavetank_engine::process::Process;
use wavetank_engine::traffic::Tally;

use super::admission::{Programs, REFUSED};
use super::faults::Fault;
use super::invariants::sometimes::Sometimes;
use super::invariants::{Broken, Watcher};
use super::plan::{Action, Plan, Step};
use super::{Options, settled};
use crate::script::duration::text;
use crate::session::Pods;
use crate::session::{Nanos, Overrides, ProcessId, Session};

/// What a seed came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Which.
    pub seed: u64,
    /// What did not hold, if anything.
    pub failure: Option<Failure>,
    /// How often each kind of step was carried out.
    pub steps: BTreeMap<&'static str, u64>,
    /// What happened.
    pub sometimes: Sometimes,
    /// Events handled.
    pub events: u64,
    /// How long it took until all was as it should be, after the last fault was mended; 0 if it never was. [ns]
    pub recovery: Nanos,
    /// The trace's fingerprint.
    pub fingerprint: u64,
}

/// Something that did not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Which invariant.
    pub invariant: String,
    /// When. [ns since the script's time zero]
    pub at: Nanos,
    /// The last record of the trace by then.
    pub record: u64,
    /// About which object.
    pub object: String,
    /// What is wrong.
    pub text: String,
}

const SECOND: Nanos = 1_000_000_000;
/// What must be well by then is not well: the longest back-offs and tolerations are five minutes, and one may follow another.
pub const PATIENCE: Nanos = 1_500 * SECOND;
/// Between looks at whether all is as it should be.
const LOOK: Nanos = 5 * SECOND;
/// For so long requests must be answered at the end.
const REQUESTS: Nanos = 10 * SECOND;
/// For so long nothing but leases, events and nodes' reports may change at the end.
const QUIET: Nanos = 30 * SECOND;

/// Runs a seed; a panic is a failure of that seed.
pub fn run(seed: u64, options: &Options) -> Outcome {
    run_kept(seed, options).0
}

/// The same, with the session as it ended; none if it panicked.
pub fn run_kept(seed: u64, options: &Options) -> (Outcome, Option<Session>) {
    let caught = catch_unwind(AssertUnwindSafe(|| {
        let plan = Plan::draw(seed, options.length, &options.choice);
        carry_out(seed, &plan)
    }));
    match caught {
        Ok((outcome, session)) => (outcome, session),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or(panic.downcast_ref::<&str>().copied()).unwrap_or("no message");
            (empty(seed, "no panic", text), None)
        }
    }
}

fn empty(seed: u64, invariant: &str, text: &str) -> Outcome {
    let failure =
        Failure { invariant: invariant.to_owned(), at: 0, record: 0, object: String::new(), text: text.to_owned() };
    Outcome {
        seed,
        failure: Some(failure),
        steps: BTreeMap::new(),
        sometimes: Sometimes::default(),
        events: 0,
        recovery: 0,
        fingerprint: 0,
    }
}

fn carry_out(seed: u64, plan: &Plan) -> (Outcome, Option<Session>) {
    let mut session = match Session::create(&plan.cluster, &Overrides::default()) {
        Ok(session) => session,
        Err(text) => return (empty(seed, "a cluster comes up", &text), None),
    };
    session.world_mut().set_scripts(Arc::new(Programs));
    let mut run = Run {
        watcher: Watcher::new(session.world()),
        session,
        ledger: Vec::new(),
        commands: Vec::new(),
        steps: BTreeMap::new(),
        recovery: 0,
    };
    let result = run.all(plan);
    let at = run.session.now();
    let record = run.session.world().trace().next_id().0.saturating_sub(1);
    let failure = result.err().map(|broken| Failure {
        invariant: broken.invariant.to_owned(),
        at,
        record,
        object: broken.object,
        text: broken.text,
    });
    let statistics = run.session.statistics();
    let outcome = Outcome {
        seed,
        failure,
        steps: run.steps,
        sometimes: run.watcher.sometimes().clone(),
        events: statistics.events,
        recovery: run.recovery,
        fingerprint: statistics.fingerprint,
    };
    (outcome, Some(run.session))
}

/// A write that must not be lost.
struct Entry {
    name: String,
    create: ProcessId,
    /// A look, made when the write was acknowledged.
    look: Option<ProcessId>,
    acknowledged: bool,
}

struct Run {
    session: Session,
    watcher: Watcher,
    ledger: Vec<Entry>,
    /// Commands that may still be running.
    commands: Vec<ProcessId>,
    steps: BTreeMap<&'static str, u64>,
    recovery: Nanos,
}

impl Run {
    fn all(&mut self, plan: &Plan) -> Result<(), Broken> {
        for step in &plan.steps {
            self.run_until(step.at)?;
            self.step(step);
        }
        let faults = plan.steps.iter().filter_map(|step| match &step.action {
            Action::Begin(fault) => Some(fault),
            _ => None,
        });
        let faults: Vec<&Fault> = faults.collect();
        self.calm(&faults)?;
        self.settle()
    }

    /// Lets time pass, looking after every event.
    fn run_until(&mut self, at: Nanos) -> Result<(), Broken> {
        while self.session.next_at().is_some_and(|next| next <= at) {
            self.session.step();
            self.watcher.look(self.session.world())?;
        }
        self.session.run_until(at);
        self.watcher.look(self.session.world())?;
        let _ = self.session.take_output();
        self.read_ledger()
    }

    fn step(&mut self, step: &Step) {
        let done = match &step.action {
            Action::Type { line, stdin } => {
                self.type_in(line, stdin.clone());
                true
            }
            Action::OnPod { nth, line } => self.on_pod(*nth, line),
            Action::Ledger { entry } => {
                let name = format!("ledger-{entry}");
                let create = self.type_in(&format!("create configmap {name} --from-literal=entry={entry}"), None);
                self.ledger.push(Entry { name, create, look: None, acknowledged: false });
                true
            }
            Action::AddNode(node) => self.session.add_node(node).is_ok(),
            Action::Demand { target, amount } => {
                let demand = crate::spec::demand::demand(amount);
                demand.is_ok_and(|demand| self.session.set_demand(target, demand).is_ok())
            }
            Action::Begin(fault) => fault.begin(&mut self.session).is_ok(),
            Action::Health { target, probe, answers } => self.health(target, probe, answers).is_ok(),
            Action::Static { node, manifest, there: true } => self.session.static_pod(node, manifest).is_ok(),
            Action::Static { node, manifest, there: false } => {
                let name = manifest["metadata"]["name"].as_str().unwrap_or_default();
                let _ = self.session.remove_static_pod(node, name);
                return;
            }
            Action::Traffic { service, how } => {
                let how = crate::spec::traffic::traffic(how);
                how.and_then(|how| self.session.start_traffic(service, how)).is_ok()
            }
            Action::Webhook { name, how } => {
                // The step counts when its trouble begins.
                self.webhook(name, how);
                return;
            }
            Action::End(fault) => {
                let _ = fault.end(&mut self.session);
                return;
            }
        };
        if done {
            *self.steps.entry(step.kind).or_insert(0) += 1;
        }
    }

    fn type_in(&mut self, line: &str, stdin: Option<String>) -> ProcessId {
        let process = self.session.start_kubectl(line.split_whitespace().map(str::to_owned).collect(), stdin);
        self.commands.push(process);
        process
    }

    fn on_pod(&mut self, nth: u64, line: &str) -> bool {
        let pods = self.session.world().objects(Kind::Pod);
        let names: Vec<String> = pods
            .iter()
            .filter(|pod| &*pod.meta().namespace == "default")
            .map(|pod| pod.meta().name.to_string())
            .collect();
        if names.is_empty() {
            return false;
        }
        let name = &names[(nth % names.len() as u64) as usize];
        if line.contains("--force") {
            self.watcher.forced(Key::new("default", name));
            self.watcher.sometimes().count("a pod deleted without its kubelet's word");
        }
        self.type_in(&line.replace("{pod}", name), None);
        true
    }

    fn health(&mut self, target: &str, probe: &str, answers: &str) -> Result<String, String> {
        let pods = Pods::parse(target)?;
        self.session.health(&[pods], probe, answers)
    }

    fn webhook(&mut self, name: &str, how: &Value) {
        let described = how.as_object().map(|map| crate::spec::webhooks::webhook(name, map));
        if let Some(Ok(described)) = described {
            self.session.world_mut().add_webhook_server(described.server);
            self.type_in("apply -f -", Some(described.configuration.to_string()));
        }
    }

    /// What the writers of the ledger heard: what is acknowledged is there for whoever looks.
    fn read_ledger(&mut self) -> Result<(), Broken> {
        for place in 0..self.ledger.len() {
            let (create, look) = (self.ledger[place].create, self.ledger[place].look);
            if !self.ledger[place].acknowledged {
                if self.session.poll(create).is_some_and(|exit| exit.code == 0) {
                    let line = format!("get configmap {}", self.ledger[place].name);
                    let look = self.type_in(&line, None);
                    (self.ledger[place].acknowledged, self.ledger[place].look) = (true, Some(look));
                }
            } else if let Some(exit) = look.and_then(|look| self.session.poll(look)) {
                self.ledger[place].look = None;
                if exit.stderr.contains("NotFound") {
                    return Err(self.lost(place, "is not found by a look that came after"));
                }
                if exit.code == 0 {
                    self.watcher.sometimes().count("an acknowledged write found again");
                }
            }
        }
        Ok(())
    }

    /// When all is well, requests to a Service that has ready pods are answered, and each one once.
    fn answered(&mut self) -> Result<(), Broken> {
        let before: Vec<Tally> = self.session.flows().iter().map(|flow| flow.tally).collect();
        if before.is_empty() {
            return Ok(());
        }
        let until = self.session.now() + REQUESTS;
        self.run_until(until)?;
        for (number, (flow, before)) in self.session.flows().into_iter().zip(before).enumerate() {
            let ready = settled::ready_endpoints(self.session.world(), &flow.spec.service);
            let (sent, lost) = (flow.tally.sent - before.sent, flow.tally.lost() - before.lost());
            let broken = |text: String| {
                let object = format!("Service {}", flow.spec.service);
                Err(Broken { invariant: "requests are answered when all is well", object, text })
            };
            // By chance none may be sent, of so few a second.
            if sent == 0 && flow.spec.every.as_nanos() * 20 < REQUESTS {
                return broken(format!("none of {} was sent for {}", flow.spec.name, text(REQUESTS)));
            }
            if ready > 0 && lost > 0 && !self.watcher.given_up().contains(&flow.spec.service) {
                return broken(format!("{lost} of {sent} of {} were lost, {ready} pods are ready", flow.spec.name));
            }
            if flow.tally.served + flow.tally.lost() > flow.tally.sent {
                return broken(format!("{} has more answers than requests: {:?}", flow.spec.name, flow.tally));
            }
            if ready > 0 && before.lost() > 0 && lost == 0 && flow.tally.served > before.served {
                self.watcher.sometimes().count("requests answered again after some were lost");
            }
            self.session.stop_traffic(number);
        }
        Ok(())
    }

    fn lost(&self, place: usize, how: &str) -> Broken {
        let name = &self.ledger[place].name;
        Broken {
            invariant: "no acknowledged write is lost",
            object: format!("ConfigMap default/{name}"),
            text: format!("its creation was acknowledged, and it {how}"),
        }
    }

    /// Mends everything, and ends what would keep the cluster busy.
    fn calm(&mut self, faults: &[&Fault]) -> Result<(), Broken> {
        for fault in faults {
            let _ = fault.end(&mut self.session);
        }
        self.session.heal();
        let processes: Vec<Process> = self.session.world().process_list().collect();
        for process in processes {
            let world = self.session.world_mut();
            world.resume(process);
            world.start(process);
            world.supervise(process, true);
        }
        let over: Vec<String> = self.session.world().faults().map(str::to_owned).collect();
        over.iter().for_each(|fault| self.session.world_mut().fault_ended(fault));
        self.session.mark("calm");
        let until = self.session.now() + 90 * SECOND;
        self.run_until(until)?;
        let commands = std::mem::take(&mut self.commands);
        commands.iter().for_each(|command| self.session.kill(*command));
        let mut lines: Vec<String> = Vec::new();
        for node in self.session.world().objects(Kind::Node) {
            lines.push(format!("uncordon {}", node.meta().name));
        }
        for object in self.session.world().objects(Kind::Deployment) {
            let Some(deployment) = object.as_deployment() else { continue };
            let name = format!("deployment/{} -n {}", deployment.meta.name, deployment.meta.namespace);
            if deployment.spec.paused {
                lines.push(format!("rollout resume {name}"));
            }
            let images = deployment.spec.template.spec.api.containers.iter();
            if images.filter_map(|container| container.image.as_deref()).any(|image| image.contains(REFUSED)) {
                lines.push(format!("set image {name} *=nginx:1.25"));
            }
        }
        for tick in self.session.world().objects(Kind::CronJob) {
            let patch = r#"{"spec":{"suspend":true}}"#;
            lines.push(format!("patch cronjob {} -n {} -p {patch}", tick.meta().name, tick.meta().namespace));
        }
        for line in lines {
            // A request may be lost with the last connection that breaks: each is made until it has been heard.
            for _ in 0..5 {
                let process = self.type_in(&line, None);
                let until = self.session.now() + 2 * SECOND;
                self.run_until(until)?;
                if self.session.poll(process).is_some_and(|exit| exit.code == 0) {
                    break;
                }
            }
        }
        Ok(())
    }

    /// Waits until everything is as it should be, and stays so without anybody doing anything.
    fn settle(&mut self) -> Result<(), Broken> {
        let began = self.session.now();
        loop {
            let (now, changed) = (self.session.world().now(), self.watcher.last_change());
            let wrong = settled::wrong(self.session.world(), self.watcher.given_up());
            let quiet = now.since(changed).as_nanos() >= QUIET;
            if wrong.is_none() && quiet {
                break;
            }
            if self.session.now() - began > PATIENCE {
                return Err(wrong.unwrap_or_else(|| Broken {
                    invariant: "it becomes quiet",
                    object: String::new(),
                    text: "all is as it should be, and still something changes again and again".to_owned(),
                }));
            }
            let until = self.session.now() + LOOK;
            self.run_until(until)?;
        }
        self.recovery = self.session.now() - began;
        self.answered()?;
        settled::sometimes(self.session.world(), self.watcher.sometimes());
        for place in 0..self.ledger.len() {
            let key = Key::new("default", &self.ledger[place].name);
            let there = self.session.world().objects(Kind::ConfigMap).iter().any(|map| map.key() == key);
            if self.ledger[place].acknowledged && !there {
                return Err(self.lost(place, "is not there in the end"));
            }
        }
        Ok(())
    }
}
