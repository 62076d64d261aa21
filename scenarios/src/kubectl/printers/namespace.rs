//! Rows of Namespaces.
//!
//! Models: kubernetes v1.36.2 pkg/printers/internalversion/printers.go (`printNamespace`).

use serde_json::Value;

use super::super::json::{name, text};
use super::{Column, age};

pub(super) const COLUMNS: &[Column] = &[("Name", false), ("Status", false), ("Age", false)];

pub(super) fn row(object: &Value, now: i64) -> Vec<String> {
    vec![name(object).into(), text(object, "/status/phase").into(), age(object, now)]
}
