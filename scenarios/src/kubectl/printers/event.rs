//! Rows of Events.
//!
//! Models: kubernetes v1.36.2 pkg/printers/internalversion/printers.go (`printEvent`).

use serde_json::Value;

use super::super::duration;
use super::super::json::{integer, name, text};
use super::Column;

pub(super) const COLUMNS: &[Column] = &[
    ("Last Seen", false),
    ("Type", false),
    ("Reason", false),
    ("Object", false),
    ("Subobject", true),
    ("Source", true),
    ("Message", false),
    ("First Seen", true),
    ("Count", true),
    ("Name", true),
];

pub(super) fn row(object: &Value, now: i64) -> Vec<String> {
    let first = first_seen(object);
    let last =
        [text(object, "/series/lastObservedTime"), text(object, "/lastTimestamp")].into_iter().find(|t| !t.is_empty());
    let count = integer(object, "/series/count").or_else(|| integer(object, "/count").filter(|c| *c > 0)).unwrap_or(1);
    let kind = text(object, "/involvedObject/kind").to_lowercase();
    let involved = text(object, "/involvedObject/name");
    vec![
        duration::age(last.unwrap_or(first), now),
        text(object, "/type").into(),
        text(object, "/reason").into(),
        if kind.is_empty() { involved.into() } else { format!("{kind}/{involved}") },
        text(object, "/involvedObject/fieldPath").into(),
        source(object),
        text(object, "/message").trim().into(),
        duration::age(first, now),
        count.to_string(),
        name(object).into(),
    ]
}

fn first_seen(object: &Value) -> &str {
    match text(object, "/firstTimestamp") {
        "" => text(object, "/eventTime"),
        first => first,
    }
}

/// `kubelet, worker-1`
fn source(object: &Value) -> String {
    let component = match text(object, "/source/component") {
        "" => text(object, "/reportingComponent"),
        component => component,
    };
    let host = match text(object, "/source/host") {
        "" => text(object, "/reportingInstance"),
        host => host,
    };
    if host.is_empty() { component.into() } else { format!("{component}, {host}") }
}
