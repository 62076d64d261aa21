//! What the real kubectl printed against a real cluster, and what the simulated one prints against the simulated cluster.
//!
//! Each state is built once; each case runs in a fork of its own. `cargo test --test all kubectl_answers -- --nocapture`
//! prints how many hold.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::json;
use wavetank::session::{Overrides, Session};
use wavetank_engine::scheduler::config::SchedulerConfiguration;
use wavetank_engine::scheduler::profile::Ties;
use wavetank_tests::kubectl_answers::{self as answers, Case, Printed, Terminal};

const CASES: &str = include_str!("../conformance/kubectl/recorded.jsonl");
const FULL: &str = include_str!("../conformance/kubectl/kubectl_state_full.yaml");
const SMALL: &str = include_str!("../conformance/kubectl/kubectl_state_small.yaml");
const SECOND: u64 = 1_000_000_000;
/// No recorded command took longer. [ns]
const PATIENCE: u64 = 120 * SECOND;

/// Cases that differ, with the reason; more fail the test.
const DIFFER: &str = include_str!("../conformance/kubectl/known-differences.txt");

/// A fork of a state, and the folder its kubectl reads from.
struct Host {
    session: Session,
    folder: PathBuf,
}

/// Annotations with which the recorder told its played kubelets what containers do, and what they are called here.
const ANNOTATIONS: [(&str, &str); 3] = [
    ("fakenodes/termination-ms: \"3600000\"", "wavetank.dev/stop: \"3600000ms\""),
    ("fakenodes/termination-ms: 3600000", "wavetank.dev/stop: 3600000ms"),
    ("fakenodes/ready", "wavetank.dev/ready"),
];

fn as_here(text: &str) -> String {
    ANNOTATIONS.iter().fold(text.to_owned(), |text, (there, here)| text.replace(there, here))
}

fn as_recorded(text: &str) -> String {
    ANNOTATIONS.iter().fold(text.to_owned(), |text, (there, here)| text.replace(here, there))
}

impl Terminal for Host {
    fn kubectl(&mut self, argv: &[String], files: &BTreeMap<String, String>) -> Printed {
        for (name, text) in files {
            let text = as_here(text);
            let path = self.folder.join(name);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder for the case's files");
            std::fs::write(path, text).expect("a file of the case");
        }
        let process = self.session.start_kubectl(argv.to_vec(), None);
        let give_up = self.session.now() + PATIENCE;
        let exit = loop {
            if let Some(exit) = self.session.poll(process) {
                break exit;
            }
            if self.session.now() > give_up || !self.session.step() {
                self.session.kill(process);
            }
        };
        Printed { stdout: as_recorded(&exit.stdout), stderr: exit.stderr, exit_code: exit.code }
    }

    fn pass(&mut self, ns: u64) {
        self.session.run_until(self.session.now() + ns);
    }
}

/// The nodes of the recorded pods, by the beginnings of their names. Which of equal nodes a pod gets is a matter of luck; described nodes and
/// drains show it, so the stage is set with the luck of the recording.
const PLACES: [(&str, &[&str]); 19] = [
    ("agent-", &["worker-1", "worker-2", "worker-3"]),
    ("api-", &["worker-1", "worker-2"]),
    ("crasher", &["worker-3"]),
    ("critical", &["worker-3"]),
    ("db-0", &["worker-3"]),
    ("db-1", &["worker-1"]),
    ("demo", &["worker-2"]),
    ("duo", &["worker-2"]),
    ("failed", &["worker-3"]),
    ("init-fails", &["worker-2"]),
    ("leaving", &["worker-3"]),
    ("no-config", &["worker-2"]),
    ("no-volume", &["worker-3"]),
    ("not-ready", &["worker-1"]),
    ("pi-", &["worker-1"]),
    ("pulling", &["worker-1"]),
    ("stuck", &["worker-1"]),
    ("waiting-init", &["worker-1"]),
    ("web-", &["worker-1", "worker-2", "worker-3"]),
];

/// How often the dice are thrown at most, and for how much time at once: the recorder's kubectl took about so long for each object. [ns]
const THROWS: u64 = 3_000;
const THROW: u64 = SECOND / 10;

/// The cluster of the recording with a manifest applied to it.
fn state(name: &str, manifest: &str) -> Host {
    let folder =
        PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("kubectl-answers-{name}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).expect("a folder for manifests");
    let spec = json!({"nodes": [
        {"name": "worker-1", "labels": {"disktype": "ssd", "topology.kubernetes.io/zone": "zone-a"}},
        {"name": "worker-2", "labels": {"disktype": "hdd", "topology.kubernetes.io/zone": "zone-b"}},
        {"name": "worker-3", "labels": {"topology.kubernetes.io/zone": "zone-b"}},
    ], "kubelet": {
        "pull": "500ms", "serialize_pulls": false, "sandbox": "300ms", "create": "50ms", "start": "50ms"
    }});
    // A recorded command names a folder whose content was not recorded.
    std::fs::create_dir_all(folder.join("dir")).expect("an empty folder");
    let mut scheduler = SchedulerConfiguration::default();
    scheduler.profiles.iter_mut().for_each(|profile| profile.ties = Ties::Drawn);
    let overrides = Overrides { folder: folder.clone(), scheduler: Some(scheduler), ..Overrides::default() };
    let session = Session::create(&spec, &overrides);
    let mut host = Host { session: session.expect("a cluster"), folder };
    host = applied(host, manifest);
    host.pass(8 * SECOND);
    if manifest == FULL {
        for pod in ["stuck", "leaving"] {
            host.kubectl(&words(&format!("delete pod {pod} --wait=false")), &BTreeMap::new());
        }
    }
    host.pass(60 * SECOND);
    host
}

/// The host a few seconds after `kubectl apply`, the pods being where they were in the recording: whenever one gets elsewhere, time goes back a
/// little and the dice are thrown again.
fn applied(host: Host, manifest: &str) -> Host {
    let objects = manifest.split("\n---\n").count();
    for (n, object) in manifest.split("\n---\n").enumerate() {
        std::fs::write(host.folder.join(format!("{n}.yaml")), as_here(object)).expect("a manifest");
    }
    let wanted: Vec<_> = PLACES.iter().filter(|(pod, _)| manifest == FULL || *pod == "agent-").collect();
    let fork = |host: &Host| Host { session: host.session.clone(), folder: host.folder.clone() };
    let (mut past, mut wrong) = (vec![host], 0);
    for luck in 1..=THROWS {
        let mut next = fork(past.last().expect("a present"));
        next.session.world_mut().reseed(luck);
        let n = past.len() - 1;
        if n < objects {
            next.session.start_kubectl(words(&format!("apply -f {n}.yaml")), None);
        }
        next.pass(THROW);
        let pods = next.session.objects("pods").expect("pods");
        let absent = wanted.iter().map(|(pod, nodes)| missing(&pods, pod, nodes)).sum::<Option<usize>>();
        if absent == Some(0) && n >= objects {
            return next;
        }
        if absent.is_some() {
            past.push(next);
            wrong = 0;
            continue;
        }
        wrong += 1;
        if wrong % 30 == 0 && past.len() > 1 {
            past.pop();
        }
    }
    println!("no luck: some pods are elsewhere than in the recording");
    past.pop().expect("a present")
}

/// How many pods of this beginning have no node yet; `None` if one has another than was recorded.
fn missing(pods: &[serde_json::Value], beginning: &str, nodes: &[&str]) -> Option<usize> {
    let mut left = nodes.to_vec();
    for pod in pods.iter().filter(|pod| pod["metadata"]["name"].as_str().is_some_and(|n| n.starts_with(beginning))) {
        if let Some(node) = pod["spec"]["nodeName"].as_str() {
            left.remove(left.iter().position(|wanted| *wanted == node)?);
        }
    }
    Some(left.len())
}

fn words(line: &str) -> Vec<String> {
    line.split_whitespace().map(str::to_owned).collect()
}

#[test]
fn kubectl_prints_what_the_real_one_printed() {
    let cases = answers::cases(CASES).expect("cases");
    let (full, small) = (state("full", FULL), state("small", SMALL));
    let known: BTreeMap<&str, &str> =
        DIFFER.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once(' ')).collect();
    let mut families: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    let mut emptied = None;
    let (mut wrong, mut accepted, mut better) = (Vec::new(), Vec::new(), Vec::new());
    for case in &cases {
        let family = case.id.rsplit_once('-').map_or(case.id.as_str(), |(family, _)| family);
        let counts = families.entry(family).or_default();
        counts.1 += 1;
        let state = match (case.state.as_str(), family, &emptied) {
            ("small", ..) => &small,
            (_, "node", Some(emptied)) => emptied,
            _ => &full,
        };
        let outcome = check(case, state);
        // The recorder's cluster went on from case to case: since a NoExecute taint, worker-3 has had hardly any pods.
        if family == "node" && case.setup.iter().any(|line| line.contains("taint") && line.contains(":NoExecute")) {
            let mut host = Host { session: full.session.clone(), folder: full.folder.clone() };
            let mut case = case.clone();
            case.setup.push("sleep 30".to_owned());
            answers::check(&mut host, &case).unwrap_or_default();
            emptied = Some(host);
        }
        match (outcome, known.get(case.id.as_str())) {
            (Ok(()), reason) => {
                counts.0 += 1;
                better.extend(reason.map(|_| case.id.as_str()));
            }
            (Err(why), Some(_)) => accepted.push(why),
            (Err(why), None) => wrong.push(why),
        }
    }
    for state in [&full, &small] {
        let _ = std::fs::remove_dir_all(&state.folder);
    }
    for (family, (held, all)) in &families {
        println!("answers/kubectl/{family} matched {held} of {all}");
    }
    let held: usize = families.values().map(|(held, _)| held).sum();
    println!("answers/kubectl matched {held} of {}; known to differ: {}", cases.len(), accepted.len());
    if !better.is_empty() {
        println!("no longer differ: {}", better.join(" "));
    }
    if std::env::var_os("WAVETANK_SHOW_DIFFERENCES").is_some() {
        println!("{}", accepted.join("\n\n"));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

fn check(case: &Case, state: &Host) -> Result<(), String> {
    let mut host = Host { session: state.session.clone(), folder: state.folder.clone() };
    answers::check(&mut host, case)
}
