//! The scheduler's decisions against those of the real one: `conformance/scheduler/FORMAT.md`.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};
use std::sync::Arc;

use serde_json::{Value, json};
use wavetank_engine::objects::labels::Labels;
use wavetank_engine::objects::meta::Name;
use wavetank_engine::objects::pod_terms::{PodTerms, Resources, Taint};
use wavetank_engine::scheduler::diagnosis::{fit_error, narrowed_text};
use wavetank_engine::scheduler::framework::{Cycle, Decision, Plugin, Profile};
use wavetank_engine::scheduler::node_info::NodeTerms;
use wavetank_engine::scheduler::nodes::Nodes;
use wavetank_engine::scheduler::plugins::default_preemption::{Preemption, post_filter};

/// Reads `conformance/NAME.jsonl.gz`.
fn records(name: &str) -> Vec<Value> {
    let path = format!("{}/conformance/{name}.jsonl.gz", env!("CARGO_MANIFEST_DIR"));
    let file = std::fs::File::open(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let lines = BufReader::new(flate2::read::GzDecoder::new(file)).lines();
    lines.map(|line| serde_json::from_str(&line.expect("text")).expect("a record")).collect()
}

fn texts(list: &Value) -> impl Iterator<Item = &str> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str)
}

fn labels(map: &Value) -> Labels {
    let pairs = map.as_object().into_iter().flatten();
    pairs.map(|(key, value)| (Name::from(key.as_str()), Name::from(value.as_str().unwrap_or_default()))).collect()
}

fn node_terms(node: &Value) -> NodeTerms {
    let text = |value: &Value| Name::from(value.as_str().unwrap_or_default());
    let allocatable: Vec<(&str, &str)> = node["status"]["allocatable"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, quantity)| (name.as_str(), quantity.as_str().unwrap_or_default()))
        .collect();
    let pods = allocatable.iter().find(|(name, _)| *name == "pods").map_or(0, |(_, pods)| pods.parse().expect("pods"));
    let taints = node["spec"]["taints"].as_array().into_iter().flatten();
    let images = node["status"]["images"].as_array().into_iter().flatten();
    NodeTerms {
        labels: Arc::new(labels(&node["metadata"]["labels"])),
        taints: taints
            .filter_map(|t| Taint::new(text(&t["key"]), text(&t["value"]), t["effect"].as_str().unwrap_or_default()))
            .collect(),
        unschedulable: node["spec"]["unschedulable"].as_bool().unwrap_or(false),
        allocatable: Resources::of(allocatable),
        pods,
        images: images
            .flat_map(|image| {
                texts(&image["names"]).map(|name| (name.into(), image["sizeBytes"].as_i64().unwrap_or(0)))
            })
            .collect(),
    }
}

fn pod_terms(pod: &Value) -> PodTerms {
    PodTerms::of(&serde_json::from_value(pod["spec"].clone()).expect("a pod spec"))
}

fn cluster(record: &Value) -> Nodes {
    let mut nodes = Nodes::default();
    for node in record["nodes"].as_array().expect("nodes") {
        nodes.set_node(&Name::from(node["metadata"]["name"].as_str().expect("a name")), node_terms(node));
    }
    for pod in record["pods"].as_array().into_iter().flatten() {
        if !matches!(pod["status"]["phase"].as_str(), Some("Succeeded" | "Failed")) {
            nodes.add_pod(&Name::from(pod["spec"]["nodeName"].as_str().expect("a node")), &pod_terms(pod));
        }
    }
    nodes
}

/// Plugins of upstream's default profile that are not there yet.
const MISSING: [&str; 2] = ["PodTopologySpread", "InterPodAffinity"];

/// How much of a record can be compared.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Support {
    Full,
    /// Missing plugins rate the nodes: filters and the other plugins' ratings are compared.
    WithoutTotals,
    /// Missing plugins reject nodes, or other pods are nominated.
    None,
}

fn support(record: &Value) -> Support {
    let result = &record["result"];
    let missing = |plugin: &str| MISSING.contains(&plugin);
    let mut rejecting = result["rejected_by"].as_object().into_iter().flatten();
    let mut rating = result["plugin_scores"].as_object().into_iter().flatten();
    if rejecting.any(|(_, plugin)| plugin.as_str().is_some_and(missing)) || record.get("nominated_pods").is_some() {
        Support::None
    } else if rating.any(|(plugin, _)| missing(plugin)) {
        Support::WithoutTotals
    } else {
        Support::Full
    }
}

/// The decision in the form of a record's result, as far as both have it.
fn answer(record: &Value) -> Value {
    let mut nodes = cluster(record);
    let pod = pod_terms(&record["pod"]);
    let profile = Profile { percentage_of_nodes_to_score: 100, ..Profile::default() };
    let cycle = Cycle { pod: &pod, profile: &profile, nominated: None, explain: true };
    let mut draws = 0;
    let decision = cycle.run(&mut nodes, &mut 0, &mut |n| {
        draws = n;
        n - 1
    });
    let name = |index: u32| nodes.get(index).name().to_string();
    let feasible: BTreeSet<String> = decision.feasible.iter().map(|(index, _)| name(*index)).collect();
    let best = decision.feasible.iter().map(|(_, total)| *total).max();
    let best: BTreeSet<String> =
        decision.feasible.iter().filter(|(_, total)| Some(*total) == best).map(|(index, _)| name(*index)).collect();
    assert!(decision.chosen.is_none_or(|chosen| best.contains(&name(chosen))));
    assert!(draws == 0 || draws == best.len() as u64);
    let total: BTreeMap<String, i64> = match decision.feasible.len() {
        2.. => decision.feasible.iter().map(|(index, total)| (name(*index), *total)).collect(),
        _ => BTreeMap::new(),
    };
    let mut scores = serde_json::Map::new();
    for rating in &decision.ratings {
        let pairs = rating.raw.iter().zip(&rating.normalized).map(|(raw, normalized)| json!([raw, normalized]));
        let by_node: serde_json::Map<_, _> =
            decision.feasible.iter().map(|(index, _)| name(*index)).zip(pairs).collect();
        scores.insert(rating.plugin.name().to_owned(), by_node.into());
    }
    let weights: BTreeMap<&str, i64> = decision.ratings.iter().map(|r| (r.plugin.name(), r.plugin.weight())).collect();
    let mut answer = json!({
        "feasible": feasible, "best": best, "total": total, "plugin_scores": scores, "weights": weights,
    });
    let parts = [rejections(&decision, &pod, &nodes), failure(&decision, &pod, &nodes)];
    for (key, value) in parts.into_iter().flat_map(|part| part.as_object().cloned().unwrap_or_default()) {
        answer[key] = value;
    }
    answer
}

/// Reasons, plugins and the nodes where preemption cannot help, by node.
fn rejections(decision: &Decision, pod: &PodTerms, nodes: &Nodes) -> Value {
    let (mut reasons, mut plugins, mut unresolvable) = (BTreeMap::new(), BTreeMap::new(), BTreeSet::new());
    let mut reject = |index: u32, plugin: Plugin, mut texts: Vec<String>, final_: bool| {
        let name = nodes.get(index).name().to_string();
        texts.sort();
        reasons.insert(name.clone(), texts);
        plugins.insert(name.clone(), plugin.name());
        unresolvable.extend(final_.then_some(name));
    };
    let fits: BTreeSet<u32> = decision.feasible.iter().map(|(index, _)| *index).collect();
    for index in nodes.order().iter().filter(|index| !fits.contains(index)) {
        if let Some((plugin, reason)) = decision.refused {
            reject(*index, plugin, vec![reason.text().to_owned()], true);
        } else if let Some(plugin) = decision.narrowed_by {
            reject(*index, plugin, vec![narrowed_text(plugin.name())], true);
        }
    }
    for (index, rejection) in &decision.rejected {
        reject(*index, rejection.plugin, rejection.reasons.texts(pod), false);
    }
    for (index, rejection) in &decision.rejected {
        if rejection.unresolvable {
            unresolvable.insert(nodes.get(*index).name().to_string());
        } else {
            unresolvable.remove(&**nodes.get(*index).name());
        }
    }
    json!({"reasons": reasons, "rejected_by": plugins, "unresolvable": unresolvable})
}

fn failure(decision: &Decision, pod: &PodTerms, nodes: &Nodes) -> Value {
    if decision.chosen.is_some() {
        return json!({"fit_error_message": null});
    }
    match post_filter(decision, pod, nodes) {
        Preemption::Refused(text) => json!({"fit_error_message": fit_error(decision, pod, &text)}),
        Preemption::Possible(_) => json!({"fit_error_message": fit_error(decision, pod, ""), "possible": true}),
    }
}

/// The record's result reduced to what `answer` gives.
fn expected(record: &Value, answer: &Value) -> Value {
    let result = &record["result"];
    let mut expected = json!({});
    for key in ["feasible", "best", "total", "plugin_scores", "weights", "reasons", "rejected_by", "unresolvable"] {
        expected[key] = result.get(key).cloned().unwrap_or_else(|| json!({}));
    }
    for scores in ["plugin_scores", "weights"] {
        // DynamicResources rates every node 0.
        let map = expected[scores].as_object_mut().expect("an object");
        map.retain(|plugin, _| plugin != "DynamicResources" && !MISSING.contains(&plugin.as_str()));
    }
    if support(record) == Support::WithoutTotals {
        for key in ["best", "total"] {
            expected.as_object_mut().expect("an object").remove(key);
        }
    }
    let message = &result["fit_error_message"];
    expected["fit_error_message"] = message.clone();
    if answer.get("possible").is_some() {
        // The dry run of preemption is not compared.
        let text = message.as_str().and_then(|text| text.split(" no new claims").next());
        expected["fit_error_message"] = json!(text);
        expected["possible"] = json!(true);
    }
    expected
}

/// Compares every supported record of a file; gives how many were compared in full, without totals, and not at all.
fn compare(name: &str) -> (usize, usize, usize) {
    let mut counts = (0, 0, 0);
    for record in records(&format!("scheduler/{name}")) {
        match support(&record) {
            Support::Full => counts.0 += 1,
            Support::WithoutTotals => counts.1 += 1,
            Support::None => {
                counts.2 += 1;
                continue;
            }
        }
        let answer = answer(&record);
        for (key, value) in expected(&record, &answer).as_object().expect("an object") {
            assert_eq!(&answer[key], value, "{}: {key}", record["id"]);
        }
    }
    let (full, partly, not) = counts;
    println!("{name}: {full} of {full} agree, and {partly} of {partly} but for totals; {not} need missing plugins");
    counts
}

#[test]
fn resources_agree() {
    assert_eq!(compare("resources"), (300, 0, 0));
}

#[test]
fn taints_agree() {
    assert_eq!(compare("taints"), (300, 0, 0));
}

#[test]
fn images_agree() {
    assert_eq!(compare("images"), (300, 0, 0));
}

#[test]
fn node_affinity_agrees() {
    assert_eq!(compare("affinity"), (300, 0, 0));
}

#[test]
fn ports_agree() {
    assert_eq!(compare("ports"), (300, 0, 0));
}

#[test]
fn mixed_cases_agree_where_the_plugins_are_there() {
    assert_eq!(compare("mixed"), (169, 84, 47));
}

#[test]
fn the_number_of_nodes_wanted_agrees() {
    let mut compared = 0;
    for record in records("controllers/controllers") {
        if record["kind"] != "num_feasible_nodes_to_find" {
            continue;
        }
        let percentage = record["input"]["percentageOfNodesToScore"].as_u64().expect("a number") as u32;
        let profile = Profile { percentage_of_nodes_to_score: percentage, ..Profile::default() };
        for row in record["output"]["table"].as_array().expect("a table") {
            assert_eq!(
                Some(profile.wanted(row[0].as_u64().expect("a number"))),
                row[1].as_u64(),
                "{percentage} %: {row}"
            );
            compared += 1;
        }
    }
    println!("number of nodes wanted: {compared} of {compared} agree");
}
