//! Values as Go prints them in error texts: numbers plainly, texts quoted, everything else as JSON of the internal
//! types.
//!
//! Models: kubernetes v1.36.2 staging/src/k8s.io/apimachinery/pkg/util/validation/field/errors.go (ErrorBody),
//! pkg/apis/core/types.go (order of fields of the internal types).

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    AppArmorProfile, Capabilities, SELinuxOptions, SeccompProfile, SecurityContext, Taint,
    WindowsSecurityContextOptions,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use serde::Serialize;

/// A value that can stand in an error text.
pub trait Printed {
    /// The text.
    fn printed(&self) -> String;
}

/// A value given as JSON that is already right.
pub struct Json(pub String);

/// Any value in JSON, as Go writes it.
pub fn json<T: Serialize + ?Sized>(value: &T) -> Json {
    // Only maps with keys that are no texts cannot be written, and there are none.
    let text = serde_json::to_string(value).unwrap_or_default();
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => escaped.push_str("\\u003c"),
            '>' => escaped.push_str("\\u003e"),
            '&' => escaped.push_str("\\u0026"),
            c => escaped.push(c),
        }
    }
    Json(escaped)
}

/// A text as Go's %q writes it.
pub fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            '\u{7}' => quoted.push_str("\\a"),
            '\u{8}' => quoted.push_str("\\b"),
            '\u{c}' => quoted.push_str("\\f"),
            '\u{b}' => quoted.push_str("\\v"),
            c if (c as u32) < 0x20 || c as u32 == 0x7f => quoted.push_str(&format!("\\x{:02x}", c as u32)),
            c if c.is_control() || (c.is_whitespace() && c != ' ') => quoted.push_str(&format!("\\u{:04x}", c as u32)),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

impl Printed for Json {
    fn printed(&self) -> String {
        self.0.clone()
    }
}

impl Printed for &str {
    fn printed(&self) -> String {
        quote(self)
    }
}

impl Printed for &String {
    fn printed(&self) -> String {
        quote(self)
    }
}

impl Printed for i64 {
    fn printed(&self) -> String {
        self.to_string()
    }
}

impl Printed for i32 {
    fn printed(&self) -> String {
        self.to_string()
    }
}

impl Printed for usize {
    fn printed(&self) -> String {
        self.to_string()
    }
}

impl Printed for bool {
    fn printed(&self) -> String {
        self.to_string()
    }
}

impl Printed for &IntOrString {
    fn printed(&self) -> String {
        match self {
            IntOrString::Int(value) => value.to_string(),
            IntOrString::String(text) => json(text).0,
        }
    }
}

impl Printed for &LabelSelector {
    fn printed(&self) -> String {
        let mut parts = Vec::new();
        if let Some(labels) = self.match_labels.as_ref().filter(|labels| !labels.is_empty()) {
            parts.push(format!("\"matchLabels\":{}", json(labels).0));
        }
        if let Some(expressions) = &self.match_expressions {
            parts.push(format!("\"matchExpressions\":{}", json(expressions).0));
        }
        format!("{{{}}}", parts.join(","))
    }
}

/// A map of labels: null if there is none.
pub fn labels(labels: Option<&BTreeMap<String, String>>) -> Json {
    labels.map_or_else(|| Json("null".to_owned()), json)
}

/// A value or null.
fn or_null<T>(value: Option<&T>, print: impl FnOnce(&T) -> String) -> String {
    value.map_or_else(|| "null".to_owned(), print)
}

fn plain<T: Serialize>(value: Option<&T>) -> String {
    or_null(value, |value| json(value).0)
}

fn text(value: Option<&String>) -> String {
    json(value.map_or("", String::as_str)).0
}

impl Printed for &SecurityContext {
    fn printed(&self) -> String {
        format!(
            "{{\"Capabilities\":{},\"Privileged\":{},\"SELinuxOptions\":{},\"WindowsOptions\":{},\"RunAsUser\":{},\
             \"RunAsGroup\":{},\"RunAsNonRoot\":{},\"ReadOnlyRootFilesystem\":{},\"AllowPrivilegeEscalation\":{},\
             \"ProcMount\":{},\"SeccompProfile\":{},\"AppArmorProfile\":{}}}",
            or_null(self.capabilities.as_ref(), capabilities),
            plain(self.privileged.as_ref()),
            or_null(self.se_linux_options.as_ref(), se_linux),
            or_null(self.windows_options.as_ref(), windows),
            plain(self.run_as_user.as_ref()),
            plain(self.run_as_group.as_ref()),
            plain(self.run_as_non_root.as_ref()),
            plain(self.read_only_root_filesystem.as_ref()),
            plain(self.allow_privilege_escalation.as_ref()),
            plain(self.proc_mount.as_ref()),
            or_null(self.seccomp_profile.as_ref(), seccomp),
            or_null(self.app_armor_profile.as_ref(), app_armor),
        )
    }
}

impl Printed for &SeccompProfile {
    fn printed(&self) -> String {
        seccomp(self)
    }
}

impl Printed for &Taint {
    fn printed(&self) -> String {
        format!(
            "{{\"Key\":{},\"Value\":{},\"Effect\":{},\"TimeAdded\":{}}}",
            json(&self.key).0,
            text(self.value.as_ref()),
            json(&self.effect).0,
            plain(self.time_added.as_ref())
        )
    }
}

fn capabilities(value: &Capabilities) -> String {
    format!("{{\"Add\":{},\"Drop\":{}}}", plain(value.add.as_ref()), plain(value.drop.as_ref()))
}

fn se_linux(value: &SELinuxOptions) -> String {
    format!(
        "{{\"User\":{},\"Role\":{},\"Type\":{},\"Level\":{}}}",
        text(value.user.as_ref()),
        text(value.role.as_ref()),
        text(value.type_.as_ref()),
        text(value.level.as_ref())
    )
}

fn windows(value: &WindowsSecurityContextOptions) -> String {
    format!(
        "{{\"GMSACredentialSpecName\":{},\"GMSACredentialSpec\":{},\"RunAsUserName\":{},\"HostProcess\":{}}}",
        plain(value.gmsa_credential_spec_name.as_ref()),
        plain(value.gmsa_credential_spec.as_ref()),
        plain(value.run_as_user_name.as_ref()),
        plain(value.host_process.as_ref())
    )
}

fn seccomp(value: &SeccompProfile) -> String {
    format!("{{\"Type\":{},\"LocalhostProfile\":{}}}", json(&value.type_).0, plain(value.localhost_profile.as_ref()))
}

fn app_armor(value: &AppArmorProfile) -> String {
    format!("{{\"Type\":{},\"LocalhostProfile\":{}}}", json(&value.type_).0, plain(value.localhost_profile.as_ref()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_quoted_as_go_quotes_them() {
        assert_eq!(quote("a\"b\\c\n\u{1}é"), "\"a\\\"b\\\\c\\n\\x01é\"");
        assert_eq!(json("<a&b>").0, "\"\\u003ca\\u0026b\\u003e\"");
    }

    #[test]
    fn selectors_print_labels_before_expressions() {
        let selector: LabelSelector = serde_json::from_value(serde_json::json!({
            "matchLabels": {"b": "1"}, "matchExpressions": [{"key": "a", "operator": "In", "values": ["x"]}]
        }))
        .expect("a selector");
        assert_eq!(
            (&selector).printed(),
            r#"{"matchLabels":{"b":"1"},"matchExpressions":[{"key":"a","operator":"In","values":["x"]}]}"#
        );
        assert_eq!((&LabelSelector::default()).printed(), "{}");
    }
}
