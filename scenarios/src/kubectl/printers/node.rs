//! Rows of Nodes.
//!
//! Models: kubernetes v1.36.2 pkg/printers/internalversion/printers.go (`printNode`, `findNodeRoles`).

use serde_json::Value;

use super::super::json::{list, name, pairs, text};
use super::{Column, age, or_none};

pub(super) const COLUMNS: &[Column] = &[
    ("Name", false),
    ("Status", false),
    ("Roles", false),
    ("Age", false),
    ("Version", false),
    ("Internal-IP", true),
    ("External-IP", true),
    ("OS-Image", true),
    ("Kernel-Version", true),
    ("Container-Runtime", true),
];

pub(super) fn row(object: &Value, now: i64) -> Vec<String> {
    let info = |field: &str| text(object, &format!("/status/nodeInfo/{field}")).to_string();
    let unknown = |text: String| if text.is_empty() { "<unknown>".to_string() } else { text };
    let address = |kind: &str| {
        let found = list(object, "/status/addresses").iter().find(|a| text(a, "/type") == kind);
        or_none(found.map_or(String::new(), |a| text(a, "/address").into()))
    };
    let mut kernel = unknown(info("kernelVersion"));
    if !info("architecture").is_empty() {
        kernel.push_str(&format!(" ({})", info("architecture")));
    }
    vec![
        name(object).into(),
        status(object),
        or_none(roles(object).join(",")),
        age(object, now),
        info("kubeletVersion"),
        address("InternalIP"),
        address("ExternalIP"),
        unknown(info("osImage")),
        kernel,
        unknown(info("containerRuntimeVersion")),
    ]
}

fn status(object: &Value) -> String {
    let ready = list(object, "/status/conditions").iter().find(|c| text(c, "/type") == "Ready");
    let mut status = match ready.map(|c| text(c, "/status")) {
        Some("True") => "Ready",
        Some(_) => "NotReady",
        None => "Unknown",
    }
    .to_string();
    if object.pointer("/spec/unschedulable") == Some(&Value::Bool(true)) {
        status.push_str(",SchedulingDisabled");
    }
    status
}

/// The roles a node's labels tell of.
fn roles(object: &Value) -> Vec<String> {
    let mut roles: Vec<String> = pairs(object, "/metadata/labels")
        .into_iter()
        .filter_map(|(key, value)| match key.strip_prefix("node-role.kubernetes.io/") {
            Some(role) if !role.is_empty() => Some(role.to_string()),
            _ if key == "kubernetes.io/role" && !value.is_empty() => Some(value.to_string()),
            _ => None,
        })
        .collect();
    roles.sort();
    roles.dedup();
    roles
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_status_tells_of_readiness_and_cordon() {
        let node = |conditions: Value, cordoned: bool| {
            status(&json!({"spec": {"unschedulable": cordoned}, "status": {"conditions": conditions}}))
        };
        assert_eq!(node(json!([{"type": "Ready", "status": "True"}]), false), "Ready");
        assert_eq!(node(json!([{"type": "Ready", "status": "Unknown"}]), true), "NotReady,SchedulingDisabled");
        assert_eq!(node(json!([]), false), "Unknown");
    }

    #[test]
    fn roles_come_from_labels() {
        let labels = json!({"node-role.kubernetes.io/worker": "", "node-role.kubernetes.io/db": "", "os": "linux"});
        let node = json!({"metadata": {"labels": labels}});
        assert_eq!(roles(&node), ["db", "worker"]);
    }
}
