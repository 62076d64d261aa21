//! The cells of `get`: one file for each kind worth more than its name and age.
//!
//! Models: kubernetes v1.36.2 pkg/printers/internalversion/printers.go.

mod deployment;
mod event;
mod namespace;
mod node;
mod other;
mod pod;
mod replicaset;

use serde_json::Value;

use super::duration;
use super::json::{list, text};
use super::resources::Resource;

/// A column: its name, and whether only `-o wide` shows it.
pub(crate) type Column = (&'static str, bool);

/// The columns of a type.
pub(crate) fn columns(resource: &Resource) -> &'static [Column] {
    match resource.plural {
        "pods" => pod::COLUMNS,
        "deployments" => deployment::COLUMNS,
        "replicasets" => replicaset::COLUMNS,
        "nodes" => node::COLUMNS,
        "namespaces" => namespace::COLUMNS,
        "events" => event::COLUMNS,
        other => other::columns(other),
    }
}

/// The cells of an object, all columns.
pub(crate) fn row(resource: &Resource, object: &Value, now: i64) -> Vec<String> {
    match resource.plural {
        "pods" => pod::row(object, now),
        "deployments" => deployment::row(object, now),
        "replicasets" => replicaset::row(object, now),
        "nodes" => node::row(object, now),
        "namespaces" => namespace::row(object, now),
        "events" => event::row(object, now),
        other => other::row(other, object, now),
    }
}

/// The column AGE.
fn age(object: &Value, now: i64) -> String {
    duration::age(text(object, "/metadata/creationTimestamp"), now)
}

/// `a=b,c=d`, or `<none>`.
pub(crate) fn labels(pairs: &[(&str, &str)]) -> String {
    or_none(pairs.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(","))
}

/// The text, or `<none>` if it is empty.
pub(crate) fn or_none(text: String) -> String {
    if text.is_empty() { "<none>".into() } else { text }
}

/// Names and images of a pod template's containers.
fn containers_and_images(object: &Value) -> (String, String) {
    let containers = list(object, "/spec/template/spec/containers");
    let joined = |field: &str| containers.iter().map(|c| text(c, field)).collect::<Vec<_>>().join(",");
    (joined("/name"), joined("/image"))
}
