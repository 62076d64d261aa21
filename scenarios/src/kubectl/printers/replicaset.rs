//! Rows of ReplicaSets.
//!
//! Models: kubernetes v1.36.2 pkg/printers/internalversion/printers.go (`printReplicaSet`).

use serde_json::Value;

use super::super::json::{name, number};
use super::super::rollout::selector;
use super::{Column, age, containers_and_images, or_none};

pub(super) const COLUMNS: &[Column] = &[
    ("Name", false),
    ("Desired", false),
    ("Current", false),
    ("Ready", false),
    ("Age", false),
    ("Containers", true),
    ("Images", true),
    ("Selector", true),
];

pub(super) fn row(object: &Value, now: i64) -> Vec<String> {
    let (containers, images) = containers_and_images(object);
    vec![
        name(object).into(),
        number(object, "/spec/replicas").to_string(),
        number(object, "/status/replicas").to_string(),
        number(object, "/status/readyReplicas").to_string(),
        age(object, now),
        containers,
        images,
        or_none(selector(object)),
    ]
}
