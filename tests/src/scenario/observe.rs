//! What happened in our run, in the recorded shape.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use wavetank::session::ProcessId;
use wavetank_engine::apiserver::request::Verb;
use wavetank_engine::client::Agent;
use wavetank_engine::kernel::{Duration, Instant};
use wavetank_engine::objects::{Kind, json};
use wavetank_engine::trace::{Note, What};

use super::format::{Change, Said, Scenario, Write};
use super::play::Run;
use super::summary;

/// What happened in our run.
#[derive(Clone, Debug, Default)]
pub struct Observed {
    /// "component verb resource code" → how often.
    pub api: BTreeMap<String, u64>,
    /// All writes in order of revision, Events among them.
    pub history: Vec<Write>,
    /// The last state of the Event objects of the run.
    pub events: Vec<Said>,
    /// etcd's keys in the scenario's namespaces, Events left out.
    pub keys: Vec<String>,
    /// Real name → placeholder.
    pub names: BTreeMap<String, String>,
}

/// Looks at a run.
pub fn observe(scenario: &Scenario, run: &Run) -> Observed {
    let mut observed = Observed { api: api(run), keys: keys(scenario, run), ..Observed::default() };
    let versions = versions(run);
    observed.names = names(&versions);
    let recorded_system = scenario.events.iter().any(|said| said.about == "Lease");
    observed.events = events(&versions, recorded_system);
    let returns = |said: &Said| said.source == "kubelet" && said.about == "Node" && known_node(run, &said.name);
    observed.events.retain(|said| !returns(said));
    observed.history = versions.into_iter().filter(|version| version.write.kind != "Event").map(|v| v.write).collect();
    observed
}

/// A version of an object: what was written, and the whole of it (before, where it is gone).
struct Version {
    write: Write,
    object: Value,
}

/// The written versions of all objects, in order of revision.
fn versions(run: &Run) -> Vec<Version> {
    let world = run.session.world();
    let times = commit_times(run);
    let start = start(run);
    let seconds = |at: Instant| at.since(start).as_nanos() as f64 / 1e9;
    let mut live: BTreeSet<String> = run.first_keys.iter().cloned().collect();
    let mut versions: BTreeMap<u64, Version> = BTreeMap::new();
    for kind in Kind::ALL.into_iter().filter(|kind| *kind != Kind::Lease) {
        let mut last: BTreeMap<String, Value> = BTreeMap::new();
        for entry in world.history(kind, run.first_revision) {
            let path = format!("{}{}", kind.key_prefix(), entry.key);
            let (change, object) = match &entry.object {
                None => {
                    live.remove(&path);
                    (Change::Deleted, last.remove(&path).unwrap_or_default())
                }
                Some(object) => {
                    let change = if live.insert(path.clone()) { Change::Added } else { Change::Modified };
                    let object = json::to_json(object);
                    last.insert(path, object.clone());
                    (change, object)
                }
            };
            let write = Write {
                at: times.get(&entry.revision).map_or(0.0, |at| seconds(*at)),
                change,
                kind: kind.name().to_owned(),
                name: entry.key.name.to_string(),
                namespace: entry.key.namespace.to_string(),
                summary: summary::of(&object),
            };
            versions.insert(entry.revision, Version { write, object });
        }
    }
    versions.into_values().collect()
}

/// When the scenario started.
fn start(run: &Run) -> Instant {
    run.session.zero().after(Duration::from_nanos(run.start))
}

fn commit_times(run: &Run) -> BTreeMap<u64, Instant> {
    let committed = run.session.world().trace().records().iter().filter_map(|record| match record.note.what {
        What::Committed { revision, .. } => Some((revision, record.at)),
        _ => None,
    });
    committed.collect()
}

/// The requests that the recorder lists, counted: leases, list and watch starts of informers, kubelets' looks at their nodes and
/// what onlookers ask are left out.
fn api(run: &Run) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    let start = start(run);
    for record in run.session.world().trace().records().iter().filter(|record| record.at >= start) {
        let Note { object: Some((kind, key)), what: What::Reply { to, verb, subresource, code, .. }, .. } =
            &record.note
        else {
            continue;
        };
        let component = match to {
            Agent::Installer | Agent::Script | Agent::ApiServer(_) | Agent::Etcd(_) => continue,
            Agent::Kubectl(number) if run.onlookers.contains(&ProcessId(*number)) => continue,
            agent => agent.account(),
        };
        let informer =
            !matches!(component, "kubectl" | "node-controller") && key.namespace.is_empty() && *verb == Verb::List;
        // The recorder counts what the process itself does when it starts by another name.
        let startup = component == "kube-controller-manager" && *kind == Kind::Event;
        let own_node = component == "kubelet" && *kind == Kind::Node && *verb == Verb::Get;
        // The recorder's kubelets only pause: of a start they say nothing.
        let returns = component == "kubelet"
            && *kind == Kind::Event
            && key.name.split('.').next().is_some_and(|node| known_node(run, node));
        if *kind == Kind::Lease || *verb == Verb::Watch || informer || own_node || startup || returns {
            continue;
        }
        let part = if subresource.as_str().is_empty() { String::new() } else { format!("/{}", subresource.as_str()) };
        *counts.entry(format!("{component} {} {}{part} {code}", verb.as_str(), kind.plural())).or_default() += 1;
    }
    counts
}

/// Whether a node was there before the scenario.
fn known_node(run: &Run, name: &str) -> bool {
    run.first_keys.iter().any(|key| key.strip_prefix("/registry/minions/") == Some(name))
}

fn keys(scenario: &Scenario, run: &Run) -> Vec<String> {
    let inside = |key: &str| {
        scenario
            .namespaces
            .iter()
            .any(|ns| key.contains(&format!("/{ns}/")) || key.ends_with(&format!("/namespaces/{ns}")))
            && !key.starts_with("/registry/events/")
    };
    run.session.world().keys().iter().map(|key| key.to_string()).filter(|key| inside(key)).collect()
}

/// Placeholders, numbered in order of creation for each owner.
fn names(versions: &[Version]) -> BTreeMap<String, String> {
    let mut names: BTreeMap<String, String> = BTreeMap::new();
    let mut series: BTreeMap<String, u64> = BTreeMap::new();
    for Version { write, object } in versions.iter().filter(|version| version.write.change == Change::Added) {
        let meta = &object["metadata"];
        let owners = meta["ownerReferences"].as_array();
        let owner = owners.into_iter().flatten().find(|owner| owner["controller"] == true);
        let owner_kind = owner.map_or("", |owner| owner["kind"].as_str().unwrap_or_default());
        let tag = match (write.kind.as_str(), owner_kind) {
            ("ReplicaSet", "Deployment") => "RS",
            ("ControllerRevision", _) => "CR",
            ("EndpointSlice", _) => "ES",
            ("Job", "CronJob") => "T",
            ("Pod", _) if !meta["generateName"].is_null() => "P",
            _ => continue,
        };
        let prefix = meta["generateName"].as_str().unwrap_or(&write.name).trim_end_matches('-');
        let owner = owner.and_then(|owner| owner["name"].as_str()).unwrap_or(prefix);
        let owner = names.get(owner).cloned().unwrap_or_else(|| owner.to_owned());
        let number = series.entry(format!("{owner}-{tag}")).or_default();
        *number += 1;
        names.insert(write.name.clone(), format!("{owner}-{tag}{number}"));
        if let (Some(hash), "RS") = (meta["labels"]["pod-template-hash"].as_str(), tag) {
            names.insert(hash.to_owned(), format!("RS{number}"));
        }
        // A DaemonSet's pods and a StatefulSet's revisions carry the hash alone.
        let labels = &meta["labels"];
        let hash = labels["controller-revision-hash"].as_str().or(labels["controller.kubernetes.io/hash"].as_str());
        if let (Some(hash), "CR") = (hash, tag) {
            names.insert(hash.to_owned(), format!("CR{number}"));
        }
    }
    names
}

fn events(versions: &[Version], recorded_system: bool) -> Vec<Said> {
    let mut events: BTreeMap<(&str, &str), Said> = BTreeMap::new();
    for Version { write, object } in versions.iter().filter(|version| version.write.kind == "Event") {
        // The recorder saw the system's own events in some runs only.
        if write.namespace == "kube-system" && !recorded_system {
            continue;
        }
        if write.change == Change::Deleted {
            continue;
        }
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let source = [&object["source"]["component"], &object["reportingComponent"]];
        let source = source.into_iter().map(text).find(|text| !text.is_empty()).unwrap_or_default();
        let at = events.get(&(write.namespace.as_str(), write.name.as_str())).map_or(write.at, |said| said.at);
        let said = Said {
            at,
            kind: text(&object["type"]),
            reason: text(&object["reason"]),
            about: text(&object["involvedObject"]["kind"]),
            name: text(&object["involvedObject"]["name"]),
            message: text(&object["message"]),
            source,
            // Events of the newer recorder have no count; they stand for themselves and their series.
            count: object["count"].as_u64().or_else(|| object["series"]["count"].as_u64()).unwrap_or(1),
        };
        events.insert((&write.namespace, &write.name), said);
    }
    let mut events: Vec<Said> = events.into_values().collect();
    events.sort_by(|a, b| a.at.total_cmp(&b.at));
    events
}
