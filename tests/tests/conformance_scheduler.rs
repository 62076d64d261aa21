//! The scheduler's decisions against those of the real one: `conformance/scheduler/FORMAT.md`.
//!
//! With `-- --nocapture` each family and aspect has a line `scheduler/FAMILY ASPECT matched N of N`, and the first
//! differences are shown. `WAVETANK_CONFORMANCE=DIR` reads another folder of the same layout.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::{Value, json};
use wavetank_engine::kernel::Instant;
use wavetank_engine::objects::calendar::parse_rfc3339;
use wavetank_engine::objects::labels::Labels;
use wavetank_engine::objects::meta::{Key, Name};
use wavetank_engine::objects::pod_terms::affinity::merge_label_keys;
use wavetank_engine::objects::pod_terms::{Resources, Taint};
use wavetank_engine::objects::selector::Selector;
use wavetank_engine::objects::{PodSpec, Uid};
use wavetank_engine::scheduler::cache::node_info::NodeTerms;
use wavetank_engine::scheduler::cache::pod_info::PodInfo;
use wavetank_engine::scheduler::cache::{Budget, Cache};
use wavetank_engine::scheduler::diagnosis::{fit_error, narrowed_text};
use wavetank_engine::scheduler::framework::{Cycle, Decision, Plugin, Profile, Ties};
use wavetank_engine::scheduler::preemption::{InVain, NO_VICTIMS, PostFilter, post_filter};

/// What is compared, with the keys of a record's result it stands for.
const ASPECTS: [(&str, &[&str]); 7] = [
    ("feasible", &["feasible"]),
    ("reasons", &["reasons", "rejected_by", "unresolvable", "prefilter"]),
    ("text", &["fit_error_message"]),
    ("scores", &["plugin_scores", "weights"]),
    ("totals", &["total"]),
    ("best", &["best"]),
    ("preemption", &["preemption"]),
];
/// So many differences of an aspect are shown.
const SHOWN: usize = 3;

/// Reads `NAME.jsonl.gz` of the conformance folder.
fn records(name: &str) -> Vec<Value> {
    #[allow(clippy::disallowed_methods, reason = "where the vectors lie is no part of a run")]
    let folder = std::env::var("WAVETANK_CONFORMANCE")
        .map_or_else(|_| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/conformance")), PathBuf::from);
    let path = folder.join(format!("{name}.jsonl.gz"));
    let file = std::fs::File::open(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let lines = BufReader::new(flate2::read::GzDecoder::new(file)).lines();
    lines.map(|line| serde_json::from_str(&line.expect("text")).expect("a record")).collect()
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn text(value: &Value) -> Name {
    Name::from(value.as_str().unwrap_or_default())
}

fn labels(map: &Value) -> Labels {
    let pairs = map.as_object().into_iter().flatten();
    pairs.map(|(key, value)| (Name::from(key.as_str()), text(value))).collect()
}

fn selector(value: &Value) -> Selector {
    if value.is_null() {
        return Selector::nothing();
    }
    let api = serde_json::from_value(value.clone()).expect("a label selector");
    Selector::from_label_selector(&api).expect("a valid selector")
}

fn key(object: &Value) -> Key {
    let meta = &object["metadata"];
    Key { namespace: text(&meta["namespace"]), name: text(&meta["name"]) }
}

fn node_terms(node: &Value) -> NodeTerms {
    let allocatable: Vec<(&str, &str)> = node["status"]["allocatable"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, quantity)| (name.as_str(), quantity.as_str().unwrap_or_default()))
        .collect();
    let pods = allocatable.iter().find(|(name, _)| *name == "pods").map_or(0, |(_, pods)| pods.parse().expect("pods"));
    let taint = |t: &Value| Taint::new(text(&t["key"]), text(&t["value"]), t["effect"].as_str().unwrap_or_default());
    let images = list(&node["status"]["images"])
        .flat_map(|image| list(&image["names"]).map(|name| (text(name), image["sizeBytes"].as_i64().unwrap_or(0))));
    NodeTerms {
        labels: Arc::new(labels(&node["metadata"]["labels"])),
        taints: list(&node["spec"]["taints"]).filter_map(taint).collect(),
        unschedulable: node["spec"]["unschedulable"].as_bool().unwrap_or(false),
        allocatable: Resources::of(allocatable),
        pods,
        images: images.collect(),
    }
}

/// A pod; as a user would post it, the API server's merging of label keys is done here.
fn pod(pod: &Value, uid: u128, posted: bool) -> PodInfo {
    let meta = &pod["metadata"];
    let labels = labels(&meta["labels"]);
    let mut spec = serde_json::from_value(pod["spec"].clone()).expect("a pod spec");
    if posted {
        merge_label_keys(&mut spec, &labels);
    }
    let owner = list(&meta["ownerReferences"]).find(|owner| owner["controller"] == true);
    let started = pod["status"]["startTime"].as_str().map(|time| parse_rfc3339(time).expect("a time"));
    let nominated = text(&pod["status"]["nominatedNodeName"]);
    PodInfo {
        uid: Uid(uid),
        key: key(pod),
        labels: Arc::new(labels),
        spec: PodSpec::new(spec),
        deleting: meta.get("deletionTimestamp").is_some(),
        preempted: false,
        started: started.map(|seconds| Instant::from_nanos(seconds as u64 * 1_000_000_000)),
        controller: owner.map(|owner| (text(&owner["kind"]), text(&owner["name"]))),
        nominated: (!nominated.is_empty()).then_some(nominated),
    }
}

fn cluster(record: &Value) -> Cache {
    let mut cache = Cache::default();
    for namespace in list(&record["namespaces"]) {
        let meta = &namespace["metadata"];
        cache.set_namespace(&text(&meta["name"]), Some(Arc::new(labels(&meta["labels"]))));
    }
    for node in list(&record["nodes"]) {
        cache.set_node(&text(&node["metadata"]["name"]), node_terms(node));
    }
    for (number, existing) in list(&record["pods"]).enumerate() {
        if !matches!(existing["status"]["phase"].as_str(), Some("Succeeded" | "Failed")) {
            cache.add_pod(&text(&existing["spec"]["nodeName"]), Arc::new(pod(existing, number as u128 + 10, false)));
        }
    }
    for (number, promised) in list(&record["nominated_pods"]).enumerate() {
        let info = pod(promised, number as u128 + 1_000_000, false);
        cache.nominate(&info.nominated.clone().expect("a node"), Arc::new(info));
    }
    for service in list(&record["services"]) {
        let selector = service["spec"].get("selector").map(labels);
        cache.owners.set_service(key(service), selector);
    }
    for (field, kind) in [("replicasets", "ReplicaSet"), ("statefulsets", "StatefulSet")] {
        for set in list(&record[field]) {
            cache.owners.set_controller(kind, key(set), Some(selector(&set["spec"]["selector"])));
        }
    }
    cache.budgets = list(&record["pdbs"])
        .map(|budget| Budget {
            namespace: key(budget).namespace,
            selector: selector(&budget["spec"]["selector"]),
            allowed: budget["status"]["disruptionsAllowed"].as_i64().unwrap_or(0) as i32,
            disrupted: Vec::new(),
        })
        .collect();
    cache
}

/// The decision in the form of a record's result.
fn answer(record: &Value, posted: bool) -> Value {
    let mut cache = cluster(record);
    let pod = pod(&record[if posted { "pod_user" } else { "pod" }], 1, posted);
    let profile = Profile { percentage_of_nodes_to_score: 100, ties: Ties::HeapOrder, ..Profile::default() };
    let cycle = Cycle { pod: &pod, profile: &profile, explain: true };
    let mut decision = cycle.run(&mut cache, &mut 0, &mut |n| n - 1);
    let name = |cache: &Cache, index: u32| cache.nodes().get(index).name().to_string();
    let feasible: BTreeSet<String> = decision.feasible.iter().map(|(index, _)| name(&cache, *index)).collect();
    let highest = decision.feasible.iter().map(|(_, total)| *total).max();
    let best = decision.feasible.iter().filter(|(_, total)| Some(*total) == highest);
    let best: BTreeSet<String> = best.map(|(index, _)| name(&cache, *index)).collect();
    assert!(decision.chosen.is_none_or(|chosen| best.contains(&name(&cache, chosen))));
    let total: BTreeMap<String, i64> = match decision.feasible.len() {
        2.. => decision.feasible.iter().map(|(index, total)| (name(&cache, *index), *total)).collect(),
        _ => BTreeMap::new(),
    };
    let mut scores = serde_json::Map::new();
    for rating in &decision.ratings {
        let pairs = rating.raw.iter().zip(&rating.normalized).map(|(raw, normalized)| json!([raw, normalized]));
        let names = decision.feasible.iter().map(|(index, _)| name(&cache, *index));
        scores.insert(rating.plugin.name().to_owned(), names.zip(pairs).collect::<serde_json::Map<_, _>>().into());
    }
    let weights: BTreeMap<&str, i64> = decision.ratings.iter().map(|r| (r.plugin.name(), r.weight)).collect();
    let mut answer = json!({
        "feasible": feasible, "best": best, "total": total, "plugin_scores": scores, "weights": weights,
    });
    let parts = [rejections(&decision, &pod, &cache), failure(&cycle, &mut decision, &mut cache)];
    for (key, value) in parts.into_iter().flat_map(|part| part.as_object().cloned().unwrap_or_default()) {
        answer[key] = value;
    }
    answer
}

/// Reasons, plugins and the nodes where preemption cannot help, by node.
fn rejections(decision: &Decision, pod: &PodInfo, cache: &Cache) -> Value {
    let (mut reasons, mut plugins, mut unresolvable) = (BTreeMap::new(), BTreeMap::new(), BTreeSet::new());
    let mut reject = |index: u32, plugin: Plugin, mut texts: Vec<String>, beyond_help: bool| {
        let name = cache.nodes().get(index).name().to_string();
        texts.sort();
        reasons.insert(name.clone(), texts);
        plugins.insert(name.clone(), plugin.name());
        if beyond_help {
            unresolvable.insert(name)
        } else {
            unresolvable.remove(&name)
        };
    };
    let fits: BTreeSet<u32> = decision.feasible.iter().map(|(index, _)| *index).collect();
    for index in cache.nodes().order().iter().filter(|index| !fits.contains(index)) {
        if let Some((plugin, reason)) = &decision.refused {
            reject(*index, *plugin, vec![reason.to_string()], true);
        } else if let Some(plugin) = decision.narrowed_by {
            reject(*index, plugin, vec![narrowed_text(plugin.name())], true);
        }
    }
    for (index, rejection) in &decision.rejected {
        reject(*index, rejection.plugin, rejection.reasons.texts(pod.terms(), &[]), rejection.unresolvable);
    }
    let refused = decision.refused.as_ref().map(|(plugin, reason)| {
        json!({"plugin": plugin.name(), "code": "UnschedulableAndUnresolvable", "messages": [&**reason]})
    });
    json!({"reasons": reasons, "rejected_by": plugins, "unresolvable": unresolvable, "prefilter": refused})
}

fn names(pods: &[Arc<PodInfo>]) -> Vec<String> {
    pods.iter().map(|pod| pod.key.to_string()).collect()
}

/// The failure's text, and what preemption comes to.
fn failure(cycle: &Cycle<'_>, decision: &mut Decision, cache: &mut Cache) -> Value {
    if decision.chosen.is_some() {
        return json!({"fit_error_message": null, "preemption": null});
    }
    let result = post_filter(cycle, decision, cache, &mut |_| 0);
    let name = |index: u32| cache.nodes().get(index).name().to_string();
    let in_vain = |tried: &[(u32, InVain)]| -> BTreeMap<String, Value> {
        let why = |why: &InVain| match why {
            InVain::NoVictims => json!({"code": "UnschedulableAndUnresolvable", "messages": [NO_VICTIMS]}),
            InVain::Rejected(rejection) => {
                let code = if rejection.unresolvable { "UnschedulableAndUnresolvable" } else { "Unschedulable" };
                let mut texts = rejection.reasons.texts(cycle.pod.terms(), &[]);
                texts.sort();
                json!({"code": code, "messages": texts})
            }
        };
        tried.iter().map(|(node, reason)| (name(*node), why(reason))).collect()
    };
    match result {
        PostFilter::Refused { text, tried, .. } => {
            let status = text.split("preemption: ").nth(1).filter(|why| why.starts_with("not eligible"));
            let status = status.map_or("NoCandidates".to_owned(), |why| format!("NotEligible: {why}"));
            json!({"fit_error_message": fit_error(decision, cycle.pod.terms(), &text), "preemption": {
                "status": status, "message": text, "nominated": null, "nominated_any_of": [], "victims": [],
                "candidates": {}, "rejected": in_vain(&tried),
            }})
        }
        PostFilter::Preempt(preemption) => {
            let candidates: BTreeMap<String, Value> = preemption
                .candidates
                .iter()
                .map(|victims| {
                    let pods = names(&victims.pods);
                    (name(victims.node), json!({"victims": pods, "pdb_violations": victims.violations}))
                })
                .collect();
            let best: BTreeSet<String> = preemption.best.iter().map(|node| name(*node)).collect();
            let one = best.len() == 1;
            let victims = if one { names(&preemption.victims) } else { Vec::new() };
            json!({"fit_error_message": fit_error(decision, cycle.pod.terms(), ""), "preemption": {
                "status": "Nominated", "message": "", "nominated": one.then(|| name(preemption.node)),
                "nominated_any_of": best, "victims": victims, "candidates": candidates,
                "rejected": in_vain(&preemption.tried),
            }})
        }
    }
}

/// A record's result, with what it leaves out where there is nothing to say.
fn expected(result: &Value, key: &str) -> Value {
    match (result.get(key), key) {
        (Some(value), "preemption") => {
            let mut value = value.clone();
            if let Some(nodes) = value["nominated_any_of"].as_array_mut() {
                nodes.sort_by_key(Value::to_string);
            }
            value
        }
        (Some(value), _) => value.clone(),
        (None, "prefilter" | "preemption") => Value::Null,
        (None, _) => json!({}),
    }
}

/// Compares every record of a family; gives how many there are. A pod that is there as a user would post it as well must
/// come to the same.
fn compare(family: &str) -> usize {
    let records = records(&format!("scheduler/{family}"));
    let posted = |record: &Value| record.get("pod_user").map(|_| answer(record, true));
    let answers: Vec<Vec<Value>> =
        records.iter().map(|record| std::iter::once(answer(record, false)).chain(posted(record)).collect()).collect();
    // The test harness may have begun a line.
    println!();
    let mut missed = 0;
    for (aspect, keys) in ASPECTS {
        let (mut matched, mut shown) = (0, 0);
        for (record, answers) in records.iter().zip(&answers) {
            let differs = |answer: &&Value| keys.iter().any(|key| answer[*key] != expected(&record["result"], key));
            let Some(answer) = answers.iter().find(differs) else {
                matched += 1;
                continue;
            };
            let keys = keys.iter().filter(|key| answer[**key] != expected(&record["result"], key));
            for key in keys.take(usize::from(shown < SHOWN)) {
                let wanted = expected(&record["result"], key);
                println!("{} {key}\n  expected {wanted}\n  got      {}", record["id"], answer[*key]);
            }
            shown += 1;
        }
        println!("scheduler/{family} {aspect} matched {matched} of {}", records.len());
        missed += records.len() - matched;
    }
    assert_eq!(missed, 0, "{family}: differences");
    records.len()
}

/// At least as many records as the project's own vectors have; another folder may have others.
fn check(family: &str, count: usize) {
    let there = compare(family);
    #[allow(clippy::disallowed_methods, reason = "where the vectors lie is no part of a run")]
    let own = std::env::var("WAVETANK_CONFORMANCE").is_err();
    assert!(!own || there == count, "{family}: {there} records");
}

#[test]
fn resources_agree() {
    check("resources", 300);
}

#[test]
fn taints_agree() {
    check("taints", 300);
}

#[test]
fn images_agree() {
    check("images", 300);
}

#[test]
fn node_affinity_agrees() {
    check("affinity", 300);
}

#[test]
fn ports_agree() {
    check("ports", 300);
}

#[test]
fn pod_affinity_agrees() {
    check("podaffinity", 300);
}

#[test]
fn spreading_agrees() {
    check("spread", 300);
}

#[test]
fn mixed_cases_agree() {
    check("mixed", 300);
}

#[test]
fn preemption_agrees() {
    check("preemption", 100);
}
