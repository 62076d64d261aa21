//! Rows of Deployments.
//!
//! Models: kubernetes v1.36.2 pkg/printers/internalversion/printers.go (`printDeployment`).

use serde_json::Value;

use super::super::json::{name, number};
use super::super::rollout::selector;
use super::{Column, age, containers_and_images, or_none};

pub(super) const COLUMNS: &[Column] = &[
    ("Name", false),
    ("Ready", false),
    ("Up-to-date", false),
    ("Available", false),
    ("Age", false),
    ("Containers", true),
    ("Images", true),
    ("Selector", true),
];

pub(super) fn row(object: &Value, now: i64) -> Vec<String> {
    let (containers, images) = containers_and_images(object);
    vec![
        name(object).into(),
        format!("{}/{}", number(object, "/status/readyReplicas"), number(object, "/spec/replicas")),
        number(object, "/status/updatedReplicas").to_string(),
        number(object, "/status/availableReplicas").to_string(),
        age(object, now),
        containers,
        images,
        or_none(selector(object)),
    ]
}
