//! Playing a scenario: its configuration becomes a cluster, its steps are run at their times.

use serde_json::{Map, Value, json};
use wavetank::session::{Overrides, ProcessId, Session, Stream};

use super::control;
use super::format::{Scenario, Step};
use super::shell::{self, Line, Stop};

/// How a command ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Finished {
    /// Exit code.
    pub code: i32,
    /// What it printed.
    pub stdout: String,
    /// What it complained.
    pub stderr: String,
}

/// What became of a step.
#[derive(Clone, Debug, Default)]
pub struct Played {
    /// How it ended; `None` if it had not when the run ended, or could not be played.
    pub finished: Option<Finished>,
    /// What it had printed by then.
    pub printed: Finished,
    /// What of it is not supported.
    pub unsupported: Option<String>,
}

/// A scenario that has been played.
pub struct Run {
    /// The session at the end.
    pub session: Session,
    /// When the scenario started. [ns since the session's time zero]
    pub start: u64,
    /// etcd's revision at the start.
    pub first_revision: u64,
    /// The keys of all objects at the start.
    pub first_keys: Vec<String>,
    /// In the order of the scenario's.
    pub steps: Vec<Played>,
    /// In the order of the scenario's.
    pub snapshots: Vec<Played>,
    /// The kubectl processes of another user, who is in no count.
    pub onlookers: Vec<ProcessId>,
    /// Parts of the configuration that are not supported.
    pub unsupported: Vec<String>,
}

const SECOND: f64 = 1e9;
/// From the session's time zero, 10 s after the nodes have become ready, to a scenario's start – constant, from the records: their
/// kubelets, which look at their nodes every 10 s, did so 5.4 to 6.7 s after the start. [ns]
const START: u64 = 3_200_000_000;

/// Plays a scenario to the end of its record; the error says why there is no cluster.
pub fn play(scenario: &Scenario, seed: u64) -> Result<Run, String> {
    let (spec, unsupported) = cluster(scenario, seed);
    let mut session = Session::create(&spec, &Overrides::default())?;
    // In the recordings nobody starts the control plane's processes again, unless `cpctl supervise` does.
    let processes: Vec<_> = session.world().process_list().collect();
    processes.into_iter().for_each(|process| session.world_mut().supervise(process, false));
    session.run_until(START);
    let first_revision = session.world().revision();
    let first_keys = session.world().keys().iter().map(|key| key.to_string()).collect();
    let mut player = Player {
        session,
        jobs: Vec::new(),
        printed: std::collections::BTreeMap::new(),
        free_at: Some(START),
        onlookers: Vec::new(),
    };
    player.play(scenario);
    let (steps, snapshots) = player.results(scenario);
    let Player { session, onlookers, .. } = player;
    Ok(Run { session, start: START, first_revision, first_keys, steps, snapshots, onlookers, unsupported })
}

/// A step or a snapshot under way or ended.
struct Job {
    snapshot: bool,
    background: bool,
    stdin: Option<String>,
    line: Line,
    results: Vec<Finished>,
    /// A command of the recorder's own, whose requests are nobody's.
    own: bool,
    began: u64,
    waits: Waits,
    outcome: Played,
}

enum Waits {
    Process(ProcessId),
    Until(u64),
    /// For a process that was told to stop.
    Gone(String),
    Nothing,
}

struct Player {
    session: Session,
    jobs: Vec<Job>,
    printed: std::collections::BTreeMap<ProcessId, Finished>,
    /// From when on the next step may start; `None` while one is under way.
    free_at: Option<u64>,
    onlookers: Vec<ProcessId>,
}

impl Player {
    fn play(&mut self, scenario: &Scenario) {
        let end = instant(scenario.duration);
        let mut steps = scenario.steps.iter().peekable();
        let mut snapshots = scenario.snapshots.iter().peekable();
        loop {
            let step_at = steps.peek().and_then(|step| Some(instant(step.planned).max(self.free_at?)));
            let snapshot_at = snapshots.peek().map(|step| instant(step.planned));
            let wakes =
                self.jobs.iter().filter_map(|job| if let Waits::Until(at) = job.waits { Some(at) } else { None });
            let due = [step_at, snapshot_at].into_iter().flatten().chain(wakes).min();
            let target = due.map_or(end, |at| at.min(end));
            if self.run_until(target) {
                continue;
            }
            if target >= end {
                return;
            }
            self.wake(target);
            if step_at.is_some_and(|at| at <= target)
                && let Some(step) = steps.next()
            {
                self.start(step, false);
            }
            while snapshots.peek().is_some_and(|step| instant(step.planned) <= target) {
                if let Some(step) = snapshots.next() {
                    self.start(step, true);
                }
            }
        }
    }

    /// Runs the session until `target`, or until a process that a job waits for has ended: then true.
    fn run_until(&mut self, target: u64) -> bool {
        while self.session.next_at().is_some_and(|next| next <= target) {
            self.session.step();
            self.collect();
            for index in 0..self.jobs.len() {
                if let Waits::Gone(process) = &self.jobs[index].waits
                    && !control::runs(&self.session, process)
                {
                    self.go_on(index, Finished::default());
                    return true;
                }
                if let Waits::Process(process) = self.jobs[index].waits
                    && let Some(exit) = self.session.poll(process)
                {
                    self.printed.remove(&process);
                    self.go_on(index, Finished { code: exit.code, stdout: exit.stdout, stderr: exit.stderr });
                    return true;
                }
            }
        }
        self.session.run_until(target);
        false
    }

    fn collect(&mut self) {
        for output in self.session.take_output() {
            let printed = self.printed.entry(output.process).or_default();
            match output.stream {
                Stream::Stdout => printed.stdout.push_str(&output.text),
                Stream::Stderr => printed.stderr.push_str(&output.text),
            }
        }
    }

    fn wake(&mut self, now: u64) {
        for index in 0..self.jobs.len() {
            if matches!(self.jobs[index].waits, Waits::Until(at) if at <= now) {
                self.go_on(index, Finished::default());
            }
        }
    }

    fn start(&mut self, step: &Step, snapshot: bool) {
        let (line, unsupported) = match shell::parse(&step.command) {
            Ok(line) => (line, None),
            Err(error) => {
                (shell::Line::default(), Some(format!("{}: the shell here does not know {error}", step.command)))
            }
        };
        if !snapshot && !step.background {
            self.free_at = None;
        }
        let ended = unsupported.is_some();
        self.jobs.push(Job {
            snapshot,
            background: step.background,
            stdin: step.stdin.clone(),
            line,
            results: Vec::new(),
            own: step.command.starts_with("cpctl"),
            began: self.session.now(),
            waits: Waits::Nothing,
            outcome: Played { unsupported, ..Played::default() },
        });
        let index = self.jobs.len() - 1;
        if ended { self.ended(index) } else { self.advance(index) }
    }

    fn go_on(&mut self, index: usize, result: Finished) {
        if let Some(job) = self.jobs.get_mut(index) {
            job.results.push(result);
        }
        self.advance(index);
    }

    fn advance(&mut self, index: usize) {
        let Some(job) = self.jobs.get_mut(index) else { return };
        job.waits = Waits::Nothing;
        match shell::evaluate(&job.line, job.stdin.as_deref(), &job.results) {
            Ok(finished) => {
                job.outcome.printed = finished.clone();
                job.outcome.finished = Some(finished);
                self.ended(index);
            }
            Err(Stop::Kubectl { arguments, stdin }) => {
                let process = self.session.start_kubectl(arguments, stdin);
                if job.snapshot || job.own {
                    self.onlookers.push(process);
                }
                job.waits = Waits::Process(process);
            }
            Err(Stop::Sleep(seconds)) => job.waits = Waits::Until(self.session.now() + nanos(seconds)),
            Err(Stop::Control { act, process }) => {
                let since = job.began;
                match control::act(&mut self.session, act, &process, since) {
                    // The line goes on when the process is gone.
                    Ok(None) => job.waits = Waits::Gone(process),
                    Ok(Some(finished)) => self.go_on(index, finished),
                    Err(complaint) => {
                        job.outcome.unsupported = Some(complaint);
                        self.ended(index);
                    }
                }
            }
            Err(Stop::Unsupported(command)) => {
                job.outcome.unsupported = Some(command);
                self.ended(index);
            }
        }
    }

    fn ended(&mut self, index: usize) {
        if self.jobs.get(index).is_some_and(|job| !job.snapshot && !job.background) {
            self.free_at = Some(self.session.now());
        }
    }

    fn results(&mut self, scenario: &Scenario) -> (Vec<Played>, Vec<Played>) {
        self.collect();
        let (mut steps, mut snapshots) = (Vec::new(), Vec::new());
        for job in &mut self.jobs {
            if let Waits::Process(process) = job.waits
                && let Some(printed) = self.printed.remove(&process)
            {
                job.outcome.printed = printed;
            }
            let list = if job.snapshot { &mut snapshots } else { &mut steps };
            list.push(std::mem::take(&mut job.outcome));
        }
        // What never got its turn.
        steps.resize_with(scenario.steps.len(), Played::default);
        snapshots.resize_with(scenario.snapshots.len(), Played::default);
        (steps, snapshots)
    }
}

/// The session's time of a scenario's.
fn instant(seconds: f64) -> u64 {
    START + nanos(seconds)
}

fn nanos(seconds: f64) -> u64 {
    (seconds * SECOND).round().max(0.0) as u64
}

/// Milliseconds of the file → the session's key. Others have no counterpart.
const TIMING: [(&str, &str); 14] = [
    ("nodeReadyMs", "node_ready"),
    ("leaseRenewMs", "lease_renew"),
    ("statusCheckMs", "status_check"),
    ("statusReportMs", "status_report"),
    ("admitMs", "admit"),
    ("sandboxMs", "sandbox"),
    ("pullMs", "pull"),
    ("createMs", "create"),
    ("startMs", "start"),
    ("statusLagMs", "status_lag"),
    ("readinessMs", "readiness"),
    ("terminationMs", "termination"),
    ("jobMs", "job"),
    ("initMs", "init"),
];

/// The labels that a kubelet sets itself.
const OWN_LABELS: [&str; 5] = [
    "beta.kubernetes.io/arch",
    "beta.kubernetes.io/os",
    "kubernetes.io/arch",
    "kubernetes.io/hostname",
    "kubernetes.io/os",
];

/// The session's description of the recorded cluster, and what of it could not be said.
fn cluster(scenario: &Scenario, seed: u64) -> (Value, Vec<String>) {
    let mut unsupported = Vec::new();
    let config = &scenario.config;
    let nodes: Vec<Value> =
        entries(&config["nodes"]).map(|(name, node)| self::node(name, node, &config["kubelet"])).collect();
    let mut kubelet = Map::new();
    for (key, value) in entries(&config["kubelet"]["timing"]) {
        let Some(ms) = value.as_f64() else { continue };
        match TIMING.iter().find(|(theirs, _)| theirs == key) {
            // A negative time means: not at all.
            Some((_, ours)) if ms >= 0.0 => {
                kubelet.insert((*ours).to_owned(), format!("{}us", (ms * 1_000.0).round() as u64).into());
            }
            Some(_) => {}
            None => unsupported.push(format!("config.kubelet.timing.{key}")),
        }
    }
    // What the recorder's kubelets do besides, which no record's config says: they pull side by side, a failed pull takes 0.8 s, and they
    // try again 12.5 s after backing off. The last two are read off the one recorded bad image, so they prove nothing about it.
    kubelet.insert("serialize_pulls".into(), false.into());
    kubelet.insert("pull_failure".into(), "800ms".into());
    kubelet.insert("resync".into(), "12500ms".into());
    (json!({"nodes": nodes, "etcd": 1, "profile": "laptop", "seed": seed, "kubelet": kubelet}), unsupported)
}

fn node(name: &str, node: &Value, kubelet: &Value) -> Value {
    let mut spec = Map::new();
    spec.insert("name".into(), name.into());
    let mut resources = Map::new();
    for (resource, quantity) in entries(&node["allocatable"]) {
        match resource.as_str() {
            "cpu" | "memory" | "pods" | "ephemeral-storage" => spec.insert(resource.clone(), quantity.clone()),
            _ => resources.insert(resource.clone(), quantity.clone()),
        };
    }
    if !spec.contains_key("ephemeral-storage")
        && let Some(quantity) = kubelet["defaults"]["ephemeralStorage"].as_str()
    {
        spec.insert("ephemeral-storage".into(), quantity.into());
    }
    if !resources.is_empty() {
        spec.insert("resources".into(), resources.into());
    }
    let mut labels = node["labels"].as_object().cloned().unwrap_or_default();
    labels.retain(|key, _| !OWN_LABELS.contains(&key.as_str()));
    if !labels.is_empty() {
        spec.insert("labels".into(), labels.into());
    }
    let taints: Vec<Value> = list(&node["taints"]).filter_map(taint).collect();
    if !taints.is_empty() {
        spec.insert("taints".into(), taints.into());
    }
    let own = list(&kubelet["nodes"]).find(|entry| entry["name"] == name).unwrap_or(&Value::Null);
    let images: Vec<Value> = list(&kubelet["images"]).chain(list(&own["images"])).filter_map(image).collect();
    if !images.is_empty() {
        spec.insert("images".into(), images.into());
    }
    Value::Object(spec)
}

/// `key=value:Effect`, from a text or an object; those that controllers set are left to them.
fn taint(taint: &Value) -> Option<Value> {
    let text = match taint {
        Value::String(text) => text.clone(),
        _ => {
            let part = |key: &str| taint[key].as_str().unwrap_or_default();
            let value = if part("value").is_empty() { String::new() } else { format!("={}", part("value")) };
            format!("{}{value}:{}", part("key"), part("effect"))
        }
    };
    (!text.starts_with("node.kubernetes.io/")).then(|| text.into())
}

fn image(image: &Value) -> Option<Value> {
    if image.is_string() {
        return Some(image.clone());
    }
    let name = image["name"].as_str().or_else(|| image["names"][0].as_str())?;
    let size = ["size", "sizeBytes"].iter().find_map(|key| image[*key].as_u64());
    Some(match size {
        Some(size) => json!({"name": name, "size": size}),
        None => name.into(),
    })
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn entries(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_becomes_a_description() {
        let config = json!({
            "nodes": {"a": {
                "allocatable": {"cpu": "1", "memory": "8Gi", "pods": "110", "x.com/gpu": "2"},
                "labels": {"kubernetes.io/os": "linux", "disk": "ssd"},
                "taints": ["gpu=yes:NoSchedule", "node.kubernetes.io/unschedulable:NoSchedule"],
            }},
            "kubelet": {
                "nodes": [{"name": "a", "images": ["nginx:1.25"]}], "defaults": {"ephemeralStorage": "100Gi"},
                "timing": {"pullMs": 2000, "readinessMs": -1, "moonMs": 3},
            },
        });
        let (spec, unsupported) = cluster(&Scenario { config, ..Scenario::default() }, 1);
        assert_eq!(
            spec["nodes"],
            json!([{
                "name": "a", "cpu": "1", "memory": "8Gi", "pods": "110", "ephemeral-storage": "100Gi",
                "resources": {"x.com/gpu": "2"}, "labels": {"disk": "ssd"}, "taints": ["gpu=yes:NoSchedule"],
                "images": ["nginx:1.25"],
            }])
        );
        assert_eq!(spec["kubelet"]["pull"], "2000000us");
        assert!(spec["kubelet"].get("readiness").is_none());
        assert_eq!(unsupported, ["config.kubelet.timing.moonMs"]);
    }
}
