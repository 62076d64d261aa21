//! Golden lines; and the schema's page against one line of everything there is.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::*;
use crate::apiserver::request::{Subresource, Verb};
use crate::etcd::LeaseId;
use crate::kernel::Seed;
use crate::kernel::out::RecordId;
use crate::objects::{ConditionStatus, EventType, Key, Kind, Phase};
use crate::process::Ending;
use crate::profiles;
use crate::scheduler::explain::{DryRun, Explanation, InVainNodes, NodeScore, Rejected, Woken};
use crate::trace::Note;
use crate::trace::note::{Passing, PodState, PodStep, Scaling, Scheduling, TrafficStep, WebhookCall};
use crate::traffic::Loss;

const SCHEMA: &str = include_str!("../SCHEMA.md");

fn setup() -> Setup {
    Setup::new(42, 3, 1, profiles::laptop())
}

fn written(note: Note) -> String {
    let setup = setup();
    let record = Record { id: RecordId(7), at: Instant::from_nanos(1_500), cause: RecordId(3), note };
    line(&record, Instant::from_nanos(1_000), &|agent| agent_name(&setup, agent))
}

fn parsed(what: What) -> BTreeMap<String, Value> {
    serde_json::from_str(&written(Note::new(Agent::Script, what))).expect("a line is JSON")
}

#[test]
fn the_header_is_as_documented() {
    let mut setup = setup();
    let text = header(&Header { version: "1.2.3".into(), ..Header::of(&setup, Instant::START) });
    let golden =
        r#"{"wavetank_trace":2,"version":"1.2.3","seed":42,"profile":"laptop","epoch":"2026-01-01T00:00:00Z","#;
    assert_eq!(text, format!(r#"{golden}"etcd_members":1,"nodes":3}}"#));

    (setup.seed, setup.shuffle_ties) = (Seed(u64::MAX), Some(9));
    let full = header(&Header::of(&setup, Instant::from_nanos(15_000_000_001)));
    assert!(full.contains(r#""seed":18446744073709551615,"shuffle_ties":9,"#), "{full}");
    assert!(full.contains(r#""epoch":"2026-01-01T00:00:15.000000001Z""#), "{full}");
    let full: BTreeMap<String, Value> = serde_json::from_str(&full).expect("the header is JSON");
    assert_eq!(full.into_keys().collect::<BTreeSet<_>>(), rows("## The header").map(|row| row[0].clone()).collect());
}

#[test]
fn lines_are_as_documented() {
    let pod = |what| Note::about(Agent::Kubelet(0), Kind::Pod, Key::new("default", "web-1"), what);
    let pull = What::Pod { step: PodStep::PullStarted, detail: "nginx:1.27".into() };
    let start = r#"{"id":7,"t":500,"cause":3,"by":"#;
    let golden =
        r#""kubelet/worker-1","what":"pod","object":"Pod/default/web-1","step":"pull-started","detail":"nginx:1.27"}"#;
    assert_eq!(written(pod(pull)), format!("{start}{golden}"));

    let steps = [1, 2, 3, 4, 5, 6].map(Duration::from_nanos);
    let (verb, subresource) = (Verb::Create, Subresource::Binding);
    let reply = What::Reply { to: Agent::Scheduler(0), verb, subresource, code: 409, reason: "Conflict".into(), steps };
    let golden = [
        r#""kube-apiserver","what":"reply","object":"Node//n","#,
        r#""to":"kube-scheduler","verb":"create","#,
        r#""subresource":"binding","code":409,"reason":"Conflict","#,
        r#""steps":{"authentication":1,"authorization":2,"admission":3,"#,
        r#""validation":4,"storage":5,"reply":6}}"#,
    ];
    let note = Note::about(Agent::ApiServer(0), Kind::Node, Key::new("", "n"), reply);
    assert_eq!(written(note), format!("{start}{}", golden.concat()));

    let note = Note::new(Agent::Kubectl(3), What::Command { line: "echo \"a\\b\"\n\t\u{1}é".into() });
    let golden = r#""kubectl#3","what":"command","line":"echo \"a\\b\"\n\t\u0001é"}"#;
    assert_eq!(written(note), format!("{start}{golden}"));

    let note = Note::new(Agent::Kubelet(99), What::Started);
    assert_eq!(written(note), format!(r#"{start}"kubelet#99","what":"started"}}"#));
}

#[test]
fn what_happened_before_the_script_has_a_negative_time() {
    let note = Note::new(Agent::Script, What::Started);
    let record = Record { id: RecordId(1), at: Instant::START, cause: RecordId(0), note };
    let text = line(&record, Instant::from_nanos(12), &|agent| agent.name().to_owned());
    assert_eq!(text, r#"{"id":1,"t":-12,"cause":0,"by":"script","what":"started"}"#);
}

/// The schema has exactly the fields that lines have, and says rightly which are always there.
#[test]
fn the_schema_tells_every_field_of_everything_that_can_happen() {
    let common: BTreeSet<String> = rows("## Every record").map(|row| row[0].clone()).collect();
    let mut told: BTreeMap<(String, String), bool> = BTreeMap::new();
    let mut named = BTreeSet::new();
    for row in rows("## What happened") {
        named.insert(row[0].clone());
        if !row[1].is_empty() {
            told.insert((row[0].clone(), row[1].clone()), row[3] == "always");
        }
    }

    let mut seen: BTreeMap<String, Vec<BTreeSet<String>>> = BTreeMap::new();
    for what in everything() {
        let name = what_name(&what).to_owned();
        let line = Value::Object(parsed(what).into_iter().filter(|(key, _)| !common.contains(key)).collect());
        let mut paths = BTreeSet::new();
        flatten("", &line, &mut paths);
        seen.entry(name).or_default().push(paths);
    }
    assert_eq!(named, seen.keys().cloned().collect());
    let mut found = BTreeMap::new();
    for (name, samples) in &seen {
        for path in samples.iter().flatten() {
            let always = samples.iter().all(|sample| sample.contains(path));
            found.insert((name.clone(), path.clone()), always);
        }
    }
    assert_eq!(told, found);
}

#[test]
fn the_schema_tells_every_word() {
    let mut words: Vec<&str> = STEPS_OF_A_POD.map(PodStep::as_str).to_vec();
    let writing = [Verb::Create, Verb::Update, Verb::Patch, Verb::Delete, Verb::DeleteCollection];
    words.extend([Verb::Get, Verb::List, Verb::Watch].iter().chain(&writing).map(|verb| verb.as_str()));
    let parts = [Subresource::Binding, Subresource::Token, Subresource::Finalize, Subresource::Eviction];
    words.extend([Subresource::Status, Subresource::Scale].iter().chain(&parts).map(|part| part.as_str()));
    words.extend([Ending::Killed, Ending::Terminated, Ending::LeaseLost, Ending::DiskFull].map(Ending::as_str));
    for word in words {
        assert!(SCHEMA.contains(&format!("`{word}`")), "{word} is not in the schema");
    }
    let setup = setup();
    for agent in AGENTS {
        let name = agent_name(&setup, agent);
        assert!(SCHEMA.contains(&format!("`{name}`")), "{name} is not in the schema");
    }
}

const STEPS_OF_A_POD: [PodStep; 12] = [
    PodStep::Seen,
    PodStep::Admitted,
    PodStep::SandboxReady,
    PodStep::PullStarted,
    PodStep::Pulled,
    PodStep::PullFailed,
    PodStep::ContainerCreated,
    PodStep::ContainerStarted,
    PodStep::ContainerReady,
    PodStep::ContainerExited,
    PodStep::Killing,
    PodStep::Terminated,
];

const AGENTS: [Agent; 15] = [
    Agent::Script,
    Agent::Kubectl(3),
    Agent::Installer,
    Agent::Etcd(0),
    Agent::ApiServer(0),
    Agent::ControllerManager(0),
    Agent::DeploymentController,
    Agent::ReplicaSetController,
    Agent::ServiceAccountController,
    Agent::RootCaCertPublisher,
    Agent::NodeController,
    Agent::NamespaceController,
    Agent::GarbageCollector,
    Agent::Scheduler(0),
    Agent::Kubelet(0),
];

/// The cells of the rows of the first table after `heading`, without backquotes.
fn rows(heading: &str) -> impl Iterator<Item = Vec<String>> {
    let section = SCHEMA.split(heading).nth(1).unwrap_or_default();
    let section = section.split("\n## ").next().unwrap_or_default();
    let rows = section.lines().filter(|line| line.starts_with("| ") || line.starts_with("| `")).skip(1);
    let cells =
        |row: &str| row.trim_matches('|').split('|').map(|cell| cell.trim().trim_matches('`').to_owned()).collect();
    rows.map(cells).collect::<Vec<_>>().into_iter()
}

fn flatten(path: &str, value: &Value, into: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                let dot = if path.is_empty() { "" } else { "." };
                flatten(&format!("{path}{dot}{key}"), value, into);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| flatten(&format!("{path}[]"), item, into)),
        _ => {
            into.insert(path.to_owned());
        }
    }
}

/// Of everything that can happen one with every optional field and one with none.
fn everything() -> Vec<What> {
    let mut all = vec![What::Started];
    while let Some(next) = all.last().and_then(next) {
        all.push(next);
    }
    let mut bare: Vec<What> = all.iter().filter_map(without_optional_fields).collect();
    all.append(&mut bare);
    all
}

/// The kind after this one: a new kind does not compile until it has its place in the chain.
fn next(what: &What) -> Option<What> {
    let (verb, subresource) = (Verb::Patch, Subresource::Status);
    let node: std::sync::Arc<str> = "worker-1".into();
    Some(match what {
        What::Started => What::Command { line: "kubectl get pods".into() },
        What::Command { .. } => What::Exited { code: -1 },
        What::Exited { .. } => What::Mark { text: "now".into() },
        What::Mark { .. } => What::Remark { text: "so".into() },
        What::Remark { .. } => What::FaultBegan { fault: "etcd-0: slow disk".into() },
        What::FaultBegan { fault } => What::FaultEnded { fault: fault.clone() },
        What::FaultEnded { .. } => What::Request { from: Agent::Scheduler(0), verb, subresource },
        What::Request { .. } => {
            let (code, reason, steps) = (404, "NotFound".into(), [Duration::ZERO; 6]);
            What::Reply { to: Agent::Scheduler(0), verb, subresource, code, reason, steps }
        }
        What::Reply { .. } => What::Etcd(EtcdNote::Proposed { index: 1 }),
        What::Etcd(EtcdNote::Proposed { .. }) => {
            What::Etcd(EtcdNote::Persisted { index: 1, entries: 1, took: Duration::ZERO })
        }
        What::Etcd(EtcdNote::Persisted { .. }) => What::Etcd(EtcdNote::Committed { index: 1 }),
        What::Etcd(EtcdNote::Committed { .. }) => What::Etcd(EtcdNote::Applied { index: 1, revision: 2 }),
        What::Etcd(EtcdNote::Applied { .. }) => What::Etcd(EtcdNote::LeaseExpired { lease: LeaseId(-1) }),
        What::Etcd(EtcdNote::LeaseExpired { .. }) => What::Etcd(EtcdNote::Campaigned { term: 3 }),
        What::Etcd(EtcdNote::Campaigned { .. }) => What::Etcd(EtcdNote::Leader { member: 1, term: 3 }),
        What::Etcd(EtcdNote::Leader { .. }) => What::Etcd(EtcdNote::LeaderLost { term: 3 }),
        What::Etcd(EtcdNote::LeaderLost { .. }) => What::Etcd(EtcdNote::Started),
        What::Etcd(EtcdNote::Started) => What::Etcd(EtcdNote::Stopped),
        What::Etcd(EtcdNote::Stopped) => What::Etcd(EtcdNote::SnapshotSent { to: 1, index: 9 }),
        What::Etcd(EtcdNote::SnapshotSent { .. }) => What::Etcd(EtcdNote::SnapshotInstalled { index: 9 }),
        What::Etcd(EtcdNote::SnapshotInstalled { .. }) => What::Etcd(EtcdNote::Compacted { revision: 2 }),
        What::Etcd(EtcdNote::Compacted { .. }) => {
            What::Etcd(EtcdNote::Defragmented { before_kib: 40, after_kib: 20, took: Duration::ZERO })
        }
        What::Etcd(EtcdNote::Defragmented { .. }) => What::Etcd(EtcdNote::NoSpace),
        What::Etcd(EtcdNote::NoSpace) => {
            let state = PodState { phase: Phase::Running, bound: true, ready: true, deleting: false, failing: false };
            What::Committed { revision: 5, change: Change::Pod { created: true, state, node } }
        }
        What::Committed { change: Change::Pod { .. }, .. } => {
            let condition = ConditionStatus::Unknown;
            What::Committed { revision: 6, change: Change::Node { created: false, condition, schedulable: true } }
        }
        What::Committed { .. } => What::Reconcile,
        What::Reconcile => What::Reconciled { error: "no".into() },
        What::Reconciled { .. } => {
            What::Event { kind: EventType::Warning, reason: "Failed".into(), message: "It failed".into() }
        }
        What::Event { .. } => {
            let explanation = Some(std::sync::Arc::new(explanation(&node)));
            What::Schedule(Box::new(Scheduling { node: Some(node), message: "none".into(), evaluated: 3, explanation }))
        }
        What::Schedule(_) => What::Pod { step: PodStep::Killing, detail: "nginx".into() },
        What::Pod { .. } => What::Leading,
        What::Leading => What::Ended { how: Ending::Killed },
        What::Ended { .. } => What::Restarting { after: Duration::ZERO },
        What::Restarting { .. } => What::Scraped { pods: 4 },
        What::Scraped { .. } => What::Scaling(Box::new(Scaling {
            current: 2,
            proposed: 9,
            replicas: 4,
            held: "ScaleUpLimit".into(),
            measured: "cpu 160% of 40%".into(),
            age: Some(Duration::ZERO),
        })),
        What::Scaling(_) => What::Rules { services: 2, slices: 3 },
        What::Rules { .. } => What::Traffic(Box::new(Passing {
            flow: "users".into(),
            step: TrafficStep::Lost,
            at: "a/b".into(),
            why: Some(Loss::Reset),
            lost: [1, 2, 3, 4],
            lasted: Duration::ZERO,
        })),
        What::Traffic(_) => What::Webhook(Box::new(WebhookCall {
            webhook: "sidecar.wavetank.dev".into(),
            outcome: "changed".into(),
            took: Duration::from_millis(20),
        })),
        What::Webhook(_) => return None,
    })
}

/// An explanation in which everything has something to say.
fn explanation(node: &std::sync::Arc<str>) -> Explanation {
    let (reasons, nodes) = (vec!["Insufficient cpu".to_owned()], vec![node.clone()]);
    Explanation {
        profile: "default-scheduler".into(),
        attempt: 2,
        woken: Woken::Event { event: "NodeAdd", plugin: "NodeResourcesFit".into() },
        nodes: 3,
        fitting: 1,
        plugins: vec![("NodeResourcesFit".into(), 1)],
        scores: vec![NodeScore { node: node.clone(), total: 10, raw: vec![10], normalized: vec![10] }],
        rejected: vec![Rejected {
            plugin: "NodeResourcesFit".into(),
            reasons: reasons.clone(),
            unresolvable: false,
            count: 1,
            nodes: nodes.clone(),
        }],
        refused: Some(("NodeAffinity".into(), "no".into())),
        nominated: Some(node.clone()),
        victims: vec!["ns/pod".into()],
        candidates: vec![DryRun { node: node.clone(), victims: 1, violations: 0, highest: 5 }],
        in_vain: vec![InVainNodes { reasons, count: 1, nodes }],
    }
}

fn without_optional_fields(what: &What) -> Option<What> {
    let none = || "".into();
    Some(match what.clone() {
        What::Request { from, verb, .. } => What::Request { from, verb, subresource: Subresource::None },
        What::Reply { to, verb, steps, .. } => {
            What::Reply { to, verb, subresource: Subresource::None, code: 200, reason: "".into(), steps }
        }
        What::Committed { revision, .. } => What::Committed { revision, change: Change::Deleted },
        What::Reconciled { .. } => What::Reconciled { error: "".into() },
        What::Schedule(_) => {
            What::Schedule(Box::new(Scheduling { node: None, message: none(), evaluated: 0, explanation: None }))
        }
        What::Pod { step, .. } => What::Pod { step, detail: none() },
        What::Ended { .. } => What::Ended { how: Ending::Terminated },
        What::Scaling(scaling) => {
            What::Scaling(Box::new(Scaling { held: Default::default(), measured: "".into(), age: None, ..*scaling }))
        }
        What::Traffic(passing) => {
            let step = TrafficStep::Begins;
            What::Traffic(Box::new(Passing { step, at: none(), why: None, ..*passing }))
        }
        _ => return None,
    })
}
