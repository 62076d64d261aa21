//! Rows of RoleBindings and ClusterRoleBindings.
//!
//! Models: kubernetes v1.36.2 pkg/printers/internalversion/printers.go (`printRoleBinding`, `subjectsStrings`).

use serde_json::Value;

use super::super::json::{list, name, text};
use super::{Column, age};

pub(super) const BINDING: &[Column] =
    &[("Name", false), ("Role", false), ("Age", false), ("Users", true), ("Groups", true), ("ServiceAccounts", true)];

pub(super) fn binding(object: &Value, now: i64) -> Vec<String> {
    let of = |kind: &str| -> String {
        let names = list(object, "/subjects").iter().filter(|subject| text(subject, "/kind") == kind);
        let names: Vec<String> = names
            .map(|subject| match kind {
                "ServiceAccount" => format!("{}/{}", text(subject, "/namespace"), text(subject, "/name")),
                _ => text(subject, "/name").to_string(),
            })
            .collect();
        names.join(", ")
    };
    vec![
        name(object).into(),
        format!("{}/{}", text(object, "/roleRef/kind"), text(object, "/roleRef/name")),
        age(object, now),
        of("User"),
        of("Group"),
        of("ServiceAccount"),
    ]
}
