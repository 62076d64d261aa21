//! Rows of the kinds that run pods from a template, besides Deployments and ReplicaSets.
//!
//! Models: kubernetes v1.36.2 pkg/printers/internalversion/printers.go (`printStatefulSet`, `printDaemonSet`,
//! `printReplicationController`, `printControllerRevision`, `printPodTemplate`).

use serde_json::Value;

use super::super::json::{list, name, number, text};
use super::super::selectors::{format_labels, format_selector};
use super::{Column, age, containers_and_images, containers_of};

pub(super) const STATEFUL_SET: &[Column] =
    &[("Name", false), ("Ready", false), ("Age", false), ("Containers", true), ("Images", true)];

pub(super) fn stateful_set(object: &Value, now: i64) -> Vec<String> {
    let (containers, images) = containers_and_images(object);
    let ready = format!("{}/{}", number(object, "/status/readyReplicas"), number(object, "/spec/replicas"));
    vec![name(object).into(), ready, age(object, now), containers, images]
}

pub(super) const DAEMON_SET: &[Column] = &[
    ("Name", false),
    ("Desired", false),
    ("Current", false),
    ("Ready", false),
    ("Up-to-date", false),
    ("Available", false),
    ("Node Selector", false),
    ("Age", false),
    ("Containers", true),
    ("Images", true),
    ("Selector", true),
];

pub(super) fn daemon_set(object: &Value, now: i64) -> Vec<String> {
    let status = |field: &str| number(object, &format!("/status/{field}")).to_string();
    let (containers, images) = containers_and_images(object);
    vec![
        name(object).into(),
        status("desiredNumberScheduled"),
        status("currentNumberScheduled"),
        status("numberReady"),
        status("updatedNumberScheduled"),
        status("numberAvailable"),
        format_labels(object, "/spec/template/spec/nodeSelector"),
        age(object, now),
        containers,
        images,
        format_selector(object, "/spec/selector"),
    ]
}

pub(super) const REPLICATION_CONTROLLER: &[Column] = &[
    ("Name", false),
    ("Desired", false),
    ("Current", false),
    ("Ready", false),
    ("Age", false),
    ("Containers", true),
    ("Images", true),
    ("Selector", true),
];

pub(super) fn replication_controller(object: &Value, now: i64) -> Vec<String> {
    let (containers, images) = containers_and_images(object);
    vec![
        name(object).into(),
        number(object, "/spec/replicas").to_string(),
        number(object, "/status/replicas").to_string(),
        number(object, "/status/readyReplicas").to_string(),
        age(object, now),
        containers,
        images,
        format_labels(object, "/spec/selector"),
    ]
}

pub(super) const CONTROLLER_REVISION: &[Column] =
    &[("Name", false), ("Controller", false), ("Revision", false), ("Age", false)];

pub(super) fn controller_revision(object: &Value, now: i64) -> Vec<String> {
    let owner = list(object, "/metadata/ownerReferences")
        .iter()
        .find(|owner| owner.get("controller") == Some(&Value::Bool(true)));
    let controller = owner.map_or("<none>".to_string(), |owner| {
        let kind = text(owner, "/kind").to_lowercase();
        match text(owner, "/apiVersion").split_once('/') {
            Some((group, _)) => format!("{kind}.{group}/{}", text(owner, "/name")),
            None => format!("{kind}/{}", text(owner, "/name")),
        }
    });
    vec![name(object).into(), controller, number(object, "/revision").to_string(), age(object, now)]
}

pub(super) const POD_TEMPLATE: &[Column] =
    &[("Name", false), ("Containers", false), ("Images", false), ("Pod Labels", false)];

pub(super) fn pod_template(object: &Value) -> Vec<String> {
    let (containers, images) = containers_of(list(object, "/template/spec/containers"));
    vec![name(object).into(), containers, images, format_labels(object, "/template/metadata/labels")]
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_revision_names_the_kind_it_belongs_to() {
        let owner = json!({"apiVersion": "apps/v1", "kind": "DaemonSet", "name": "agent", "controller": true});
        let revision = json!({"metadata": {"name": "agent-1", "ownerReferences": [owner]}, "revision": 1});
        assert_eq!(controller_revision(&revision, 0)[..3], ["agent-1", "daemonset.apps/agent", "1"]);
    }
}
