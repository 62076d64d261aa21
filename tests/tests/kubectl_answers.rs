//! What the real kubectl printed against a real cluster, and what the simulated one prints against the simulated cluster.
//!
//! Each state is built once; each case runs in a fork of its own. `cargo test --test all kubectl_answers -- --nocapture`
//! prints how many hold.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::json;
use wavetank::session::{Overrides, Session};
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

/// How often the dice are thrown for an object's pods.
const THROWS: u64 = 100;

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
    ], "kubelet": {"pull": "500ms", "serialize_pulls": false}});
    // A recorded command names a folder whose content was not recorded.
    std::fs::create_dir_all(folder.join("dir")).expect("an empty folder");
    let session = Session::create(&spec, &Overrides { folder: folder.clone(), ..Overrides::default() });
    let mut host = Host { session: session.expect("a cluster"), folder };
    for object in manifest.split("\n---\n") {
        host = applied(&host, object);
    }
    host.pass(8 * SECOND);
    if manifest == FULL {
        for pod in ["stuck", "leaving"] {
            host.kubectl(&words(&format!("delete pod {pod} --wait=false")), &BTreeMap::new());
        }
    }
    host.pass(60 * SECOND);
    host
}

/// The host with one more object, whose pods are where they were in the recording, if luck can bring them there.
fn applied(host: &Host, object: &str) -> Host {
    let field = |name: &str| object.lines().find_map(|line| line.trim().strip_prefix(name)).unwrap_or("").trim();
    let (kind, name) = (field("kind:"), field("name:"));
    let has_pods = ["Pod", "Deployment", "StatefulSet", "DaemonSet", "Job"].contains(&kind);
    let wanted: Vec<_> = PLACES.iter().filter(|(pod, _)| has_pods && pod.starts_with(name)).collect();
    let files = BTreeMap::from([("state.yaml".to_owned(), object.to_owned())]);
    let mut first = None;
    for luck in 1..=THROWS {
        let mut fork = Host { session: host.session.clone(), folder: host.folder.clone() };
        fork.session.world_mut().reseed(luck);
        fork.kubectl(&words("apply -f state.yaml"), &files);
        let places = |fork: &Host, pod: &str| {
            let pods = fork.session.objects("pods").expect("pods");
            let of = |object: &serde_json::Value| object["spec"]["nodeName"].as_str().map(str::to_owned);
            let named =
                |object: &&serde_json::Value| object["metadata"]["name"].as_str().unwrap_or("").starts_with(pod);
            let mut nodes: Vec<String> = pods.iter().filter(named).filter_map(of).collect();
            nodes.sort();
            nodes
        };
        let give_up = fork.session.now() + 5 * SECOND;
        while wanted.iter().any(|(pod, nodes)| places(&fork, pod).len() < nodes.len()) && fork.session.now() < give_up {
            fork.pass(SECOND / 20);
        }
        if wanted.iter().all(|(pod, nodes)| places(&fork, pod) == *nodes) {
            return fork;
        }
        first.get_or_insert(fork);
    }
    let first = first.expect("a throw");
    for pod in first.session.objects("pods").expect("pods") {
        println!("DBG {} {} {}", pod["metadata"]["name"], pod["spec"]["nodeName"], pod["status"]["phase"]);
    }
    println!("no luck with {kind} {name}: its pods are elsewhere than in the recording");
    first
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
    let (mut wrong, mut accepted, mut better) = (Vec::new(), Vec::new(), Vec::new());
    for case in &cases {
        let family = case.id.rsplit_once('-').map_or(case.id.as_str(), |(family, _)| family);
        let counts = families.entry(family).or_default();
        counts.1 += 1;
        let outcome = check(case, if case.state == "small" { &small } else { &full });
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
