//! Recorded answers of a real API server: what it made of minimal objects.

use serde_json::{Value, json};

use super::{apply, prepare_for_create, read_back};
use crate::apiserver::admission::pod::{admit_pod, topology_labels};
use crate::objects::decode::{Decoded, decode};
use crate::objects::kind::Kind;

const CASES: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/conformance/answers/defaulting.jsonl"));

/// What the real server would store; none if the kind is not modelled.
fn stored(case: &Value) -> Option<Value> {
    let path = case["path"].as_str()?;
    let kind = Kind::from_plural(path.rsplit('/').next()?)?;
    // A lone y is a truth value to this reader and a text to kubectl's.
    let manifest = case["manifest"].as_str()?.replace("name: y\n", "name: \"y\"\n");
    let manifest: Value = serde_saphyr::from_str(&manifest).expect("a manifest");
    if manifest["apiVersion"] != kind.api_version() {
        return None;
    }
    let outcome = decode(kind, &manifest).expect("decoded");
    assert!(outcome.problems.is_empty(), "{}: {:?}", case["id"], outcome.problems);
    let mut object = outcome.object;
    let metadata = object.metadata_mut();
    if let Some(prefix) = metadata.generate_name.clone() {
        metadata.name = Some(format!("{prefix}<rand>"));
    }
    if kind.namespaced() {
        metadata.namespace = Some("default".to_owned());
    }
    apply(&mut object);
    if let Decoded::Pod(pod) = &mut object {
        admit_pod(pod, "<rand>").expect("admitted");
        // The recorder's node of that name was in zone a.
        if pod.spec.as_ref().is_some_and(|spec| spec.node_name.as_deref() == Some("worker-1")) {
            topology_labels(pod, |label| (label == "topology.kubernetes.io/zone").then_some("zone-a"));
        }
    }
    object.metadata_mut().uid = Some("<uid>".to_owned());
    prepare_for_create(&mut object);
    read_back(&mut object);
    object.metadata_mut().uid = None;
    let mut stored = object.to_json();
    if kind == Kind::Node {
        // Admission taints every new node.
        let taint = json!({"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"});
        match stored["spec"]["taints"].as_array_mut() {
            Some(taints) => taints.push(taint),
            None => stored["spec"]["taints"] = json!([taint]),
        }
    }
    Some(stored)
}

/// A Service without what it is given when it is stored.
fn unallocated(spec: &mut Value) {
    if let Some(spec) = spec.as_object_mut() {
        spec.retain(|key, _| !matches!(key.as_str(), "clusterIP" | "clusterIPs" | "ipFamilies" | "ipFamilyPolicy"));
    }
    for port in spec["ports"].as_array_mut().into_iter().flatten().filter_map(Value::as_object_mut) {
        port.remove("nodePort");
    }
}

#[test]
fn objects_are_stored_as_a_real_server_stores_them() {
    let (mut right, mut all, mut skipped) = (0, 0, Vec::new());
    for line in CASES.lines() {
        let case: Value = serde_json::from_str(line).expect("a case");
        let id = case["id"].as_str().unwrap_or_default().to_owned();
        let Some(mut stored) = stored(&case) else {
            skipped.push(id);
            continue;
        };
        all += 1;
        let mut expected = case["stored"].clone();
        if stored["kind"] == "Service" {
            unallocated(&mut stored["spec"]);
            unallocated(&mut expected["spec"]);
        }
        empty_is_absent(&mut stored);
        empty_is_absent(&mut expected);
        if stored == expected {
            right += 1;
        } else {
            println!("{id}:\n  got      {stored}\n  expected {expected}");
        }
    }
    println!("defaulting: {right} of {all}; kinds not modelled: {}", skipped.join(" "));
    assert!(all >= 20);
    assert_eq!(right, all);
}

/// An empty status or struct may be written or not: nobody can tell the difference.
fn empty_is_absent(value: &mut Value) {
    if let Value::Object(map) = value {
        // Some lists are written as null where there is none, by the form in which objects are kept.
        map.retain(|key, value| !(key == "status" && *value == json!({}) || value.is_null()));
        map.remove("lastPhaseTransitionTime");
        map.values_mut().for_each(empty_is_absent);
    }
}
