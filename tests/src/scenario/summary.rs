//! The fields of an object that matter, as the recorder chose them (`FORMAT.md`, `watch`).

use serde_json::{Map, Value};

/// The summary of an object's JSON.
pub fn of(object: &Value) -> Value {
    let mut map = Map::new();
    metadata(object, &mut map);
    match object["kind"].as_str().unwrap_or_default() {
        "Pod" => pod(object, &mut map),
        "Node" => node(object, &mut map),
        "Namespace" => {
            put(&mut map, "finalizers", &object["spec"]["finalizers"]);
            put(&mut map, "phase", &object["status"]["phase"]);
        }
        _ => workload(object, &mut map),
    }
    Value::Object(map)
}

fn metadata(object: &Value, map: &mut Map<String, Value>) {
    let meta = &object["metadata"];
    if !meta["deletionTimestamp"].is_null() {
        map.insert("deleting".into(), true.into());
        put(map, "graceSeconds", &meta["deletionGracePeriodSeconds"]);
    }
    put(map, "finalizers", &meta["finalizers"]);
    put(map, "generation", &meta["generation"]);
    put(map, "observedGeneration", &object["status"]["observedGeneration"]);
    let mut owners = list(&meta["ownerReferences"]);
    if let Some(owner) = owners.clone().find(|owner| owner["controller"] == true).or_else(|| owners.next()) {
        let text = |key: &str| owner[key].as_str().unwrap_or_default();
        let controlling = if owner["controller"] == true { "" } else { " (no controller)" };
        map.insert("owner".into(), format!("{}/{}{controlling}", text("kind"), text("name")).into());
    }
    for (key, annotation) in [
        ("revision", "deployment.kubernetes.io/revision"),
        ("desired-replicas", "deployment.kubernetes.io/desired-replicas"),
        ("max-replicas", "deployment.kubernetes.io/max-replicas"),
        ("revision-history", "deployment.kubernetes.io/revision-history"),
    ] {
        put(map, key, &meta["annotations"][annotation]);
    }
    put(map, "conditions", &conditions(&object["status"]["conditions"]));
}

fn pod(object: &Value, map: &mut Map<String, Value>) {
    let (spec, status) = (&object["spec"], &object["status"]);
    for key in ["phase", "reason", "nominatedNodeName", "podIP", "qosClass"] {
        put(map, key, &status[key]);
    }
    put(map, "nodeName", &spec["nodeName"]);
    put(map, "priority", &spec["priority"]);
    put(map, "labels", &object["metadata"]["labels"]);
    put(map, "images", &list(&spec["containers"]).map(|container| container["image"].clone()).collect());
    put(map, "containers", &containers(&status["containerStatuses"]));
    put(map, "init", &containers(&status["initContainerStatuses"]));
    let restarts: u64 = list(&status["containerStatuses"]).filter_map(|status| status["restartCount"].as_u64()).sum();
    if restarts > 0 {
        map.insert("restartCount".into(), restarts.into());
    }
}

fn node(object: &Value, map: &mut Map<String, Value>) {
    put(map, "unschedulable", &object["spec"]["unschedulable"]);
    let taint = |taint: &Value| {
        let text = |key: &str| taint[key].as_str().unwrap_or_default();
        let value = if text("value").is_empty() { String::new() } else { format!("={}", text("value")) };
        Value::from(format!("{}{value}:{}", text("key"), text("effect")))
    };
    put(map, "taints", &list(&object["spec"]["taints"]).map(taint).collect());
}

fn workload(object: &Value, map: &mut Map<String, Value>) {
    let spec = &object["spec"];
    put(map, "replicas", &spec["replicas"]);
    put(map, "paused", &spec["paused"]);
    let containers = list(&spec["template"]["spec"]["containers"]);
    put(map, "image", &containers.map(|container| container["image"].clone()).collect());
    let numbers = object["status"].as_object().into_iter().flatten();
    let numbers =
        numbers.filter(|(key, value)| value.is_number() && *key != "observedGeneration" && *key != "collisionCount");
    put(map, "status", &numbers.map(|(key, value)| (key.clone(), value.clone())).collect());
}

/// `{type: "status:reason"}`
fn conditions(conditions: &Value) -> Value {
    let one = |condition: &Value| {
        let text = |key: &str| condition[key].as_str().unwrap_or_default();
        let reason = if text("reason").is_empty() { String::new() } else { format!(":{}", text("reason")) };
        (text("type").to_owned(), Value::from(format!("{}{reason}", text("status"))))
    };
    list(conditions).map(one).collect()
}

fn containers(statuses: &Value) -> Value {
    let one = |status: &Value| {
        let state = &status["state"];
        let reason = |state: &Value| state["reason"].as_str().unwrap_or_default().to_owned();
        let text = if let Some(ended) = state.get("terminated") {
            format!("terminated:{}({})", reason(ended), ended["exitCode"])
        } else if state.get("running").is_some() {
            if status["ready"] == true { "running,ready".to_owned() } else { "running".to_owned() }
        } else {
            format!("waiting:{}", reason(&state["waiting"]))
        };
        (status["name"].as_str().unwrap_or_default().to_owned(), Value::from(text))
    };
    list(statuses).map(one).collect()
}

/// Inserts unless there is nothing.
fn put(map: &mut Map<String, Value>, key: &str, value: &Value) {
    let empty = match value {
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        _ => false,
    };
    if !empty {
        map.insert(key.to_owned(), value.clone());
    }
}

fn list(value: &Value) -> std::iter::Flatten<std::option::IntoIter<&Vec<Value>>> {
    value.as_array().into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_pod_is_reduced_to_what_matters() {
        let pod = json!({
            "kind": "Pod",
            "metadata": {
                "name": "a", "generation": 2, "deletionTimestamp": "x", "deletionGracePeriodSeconds": 0, "labels": {"app": "a"},
                "ownerReferences": [{"kind": "ReplicaSet", "name": "r", "controller": true}],
            },
            "spec": {"priority": 0, "nodeName": "n", "containers": [{"image": "i"}]},
            "status": {
                "phase": "Running", "conditions": [{"type": "Ready", "status": "False", "reason": "Why"}],
                "containerStatuses": [{"name": "c", "state": {"terminated": {"reason": "Error", "exitCode": 1}}, "restartCount": 2}],
            },
        });
        assert_eq!(
            of(&pod),
            json!({
                "deleting": true, "graceSeconds": 0, "generation": 2, "owner": "ReplicaSet/r", "phase": "Running",
                "nodeName": "n", "priority": 0, "labels": {"app": "a"}, "images": ["i"],
                "conditions": {"Ready": "False:Why"}, "containers": {"c": "terminated:Error(1)"}, "restartCount": 2,
            })
        );
    }

    #[test]
    fn a_deployment_keeps_all_numbers_of_its_status() {
        let deployment = json!({
            "kind": "Deployment", "metadata": {"annotations": {"deployment.kubernetes.io/revision": "3"}},
            "spec": {"replicas": 0, "template": {"spec": {"containers": [{"image": "i"}]}}},
            "status": {"observedGeneration": 4, "terminatingReplicas": 0, "replicas": 2},
        });
        assert_eq!(
            of(&deployment),
            json!({
                "observedGeneration": 4, "revision": "3", "replicas": 0, "image": ["i"],
                "status": {"terminatingReplicas": 0, "replicas": 2},
            })
        );
    }
}
