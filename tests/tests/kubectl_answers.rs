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

impl Terminal for Host {
    fn kubectl(&mut self, argv: &[String], files: &BTreeMap<String, String>) -> Printed {
        for (name, text) in files {
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
        Printed { stdout: exit.stdout, stderr: exit.stderr, exit_code: exit.code }
    }

    fn pass(&mut self, ns: u64) {
        self.session.run_until(self.session.now() + ns);
    }
}

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
    ]});
    // A recorded command names a folder whose content was not recorded.
    std::fs::create_dir_all(folder.join("dir")).expect("an empty folder");
    let session = Session::create(&spec, &Overrides { folder: folder.clone(), ..Overrides::default() });
    let mut host = Host { session: session.expect("a cluster"), folder };
    let files = BTreeMap::from([("state.yaml".to_owned(), manifest.to_owned())]);
    host.kubectl(&words("apply -f state.yaml"), &files);
    host.pass(8 * SECOND);
    if manifest == FULL {
        for pod in ["stuck", "leaving"] {
            host.kubectl(&words(&format!("delete pod {pod} --wait=false")), &files);
        }
    }
    host.pass(60 * SECOND);
    host
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
