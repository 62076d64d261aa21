//! Rows of the kinds that have little to show.
//!
//! Models: kubernetes v1.36.2 pkg/printers/internalversion/printers.go (`printConfigMap`, `printSecret`,
//! `printServiceAccount`, `printLease`, `printRuntimeClass`), for the rest the server's default table.

use serde_json::Value;

use super::super::json::{name, text};
use super::{Column, age};

const DATA: &[Column] = &[("Name", false), ("Data", false), ("Age", false)];
const SECRET: &[Column] = &[("Name", false), ("Type", false), ("Data", false), ("Age", false)];
const HOLDER: &[Column] = &[("Name", false), ("Holder", false), ("Age", false)];
const HANDLER: &[Column] = &[("Name", false), ("Handler", false), ("Age", false)];
const WEBHOOKS: &[Column] = &[("Name", false), ("Webhooks", false), ("Age", false)];
const PLAIN: &[Column] = &[("Name", false), ("Age", false)];

pub(super) fn columns(plural: &str) -> &'static [Column] {
    match plural {
        "configmaps" => DATA,
        "secrets" => SECRET,
        "leases" => HOLDER,
        "runtimeclasses" => HANDLER,
        "mutatingwebhookconfigurations" | "validatingwebhookconfigurations" => WEBHOOKS,
        _ => PLAIN,
    }
}

pub(super) fn row(plural: &str, object: &Value, now: i64) -> Vec<String> {
    let size = |field: &str| object.get(field).and_then(Value::as_object).map_or(0, |map| map.len());
    let mut row = vec![name(object).to_string()];
    match plural {
        "configmaps" => row.push((size("data") + size("binaryData")).to_string()),
        "secrets" => row.extend([text(object, "/type").to_string(), size("data").to_string()]),
        "leases" => row.push(text(object, "/spec/holderIdentity").into()),
        "mutatingwebhookconfigurations" | "validatingwebhookconfigurations" => {
            row.push(object.get("webhooks").and_then(Value::as_array).map_or(0, Vec::len).to_string());
        }
        "runtimeclasses" => row.push(text(object, "/handler").into()),
        _ => {}
    }
    row.push(age(object, now));
    row
}
