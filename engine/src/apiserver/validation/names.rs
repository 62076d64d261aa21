//! The forms of names: DNS labels and subdomains, label keys and values, ports, config keys.
//!
//! Each function gives the rules a text breaks, as sentences; none means that it is fine.
//!
//! Models: kubernetes v1.36.2 staging/src/k8s.io/apimachinery/pkg/util/validation/validation.go,
//! staging/src/k8s.io/apimachinery/pkg/api/validate/content,
//! staging/src/k8s.io/apimachinery/pkg/api/validation/generic.go.

use std::net::{Ipv4Addr, Ipv6Addr};

/// Longest DNS label, label value and name part of a label key. [bytes]
const LABEL_LENGTH: usize = 63;
/// Longest DNS subdomain. [bytes]
const SUBDOMAIN_LENGTH: usize = 253;
/// Longest port name. [bytes]
const PORT_NAME_LENGTH: usize = 15;

const LABEL: &str = "[a-z0-9]([-a-z0-9]*[a-z0-9])?";
const SUBDOMAIN: &str = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*";
const SUBDOMAIN_UNDERSCORE: &str = r"_?[a-z0-9]([-_a-z0-9]*[a-z0-9])?(\._?[a-z0-9]([-_a-z0-9]*[a-z0-9])?)*";
const WILDCARD: &str = r"\*\.[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*";
const KEY_NAME: &str = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]";

/// A check of an object's name; `true` if only the prefix of a name still to be generated is given.
pub type NameCheck = fn(&str, bool) -> Vec<String>;

/// `must be between 1 and 65535, inclusive`.
pub fn range(low: i64, high: i64) -> String {
    format!("must be between {low} and {high}, inclusive")
}

fn sentence(text: &str, form: &str, examples: &[&str]) -> String {
    let examples: Vec<String> = examples.iter().map(|example| format!("'{example}', ")).collect();
    let examples = examples.join(" or ");
    if examples.is_empty() {
        format!("{text} (regex used for validation is '{form}')")
    } else {
        format!("{text} (e.g. {examples}regex used for validation is '{form}')")
    }
}

fn too_long(limit: usize, unit: &str) -> String {
    format!("must be no more than {limit} {unit}")
}

fn lower(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit()
}

/// Whether a text begins and ends with `edge` bytes and has only those and `middle` ones.
fn framed(text: &str, edge: fn(u8) -> bool, middle: &[u8]) -> bool {
    let bytes = text.as_bytes();
    bytes.first().is_some_and(|byte| edge(*byte))
        && bytes.last().is_some_and(|byte| edge(*byte))
        && bytes.iter().all(|byte| edge(*byte) || middle.contains(byte))
}

fn is_label(text: &str) -> bool {
    framed(text, lower, b"-")
}

fn is_subdomain(text: &str) -> bool {
    text.split('.').all(is_label)
}

/// An RFC 1123 label: container, volume and namespace names.
pub fn dns_label(text: &str) -> Vec<String> {
    let mut errors = Vec::new();
    if text.len() > LABEL_LENGTH {
        errors.push(too_long(LABEL_LENGTH, "characters"));
    }
    if !is_label(text) {
        errors.push(if is_subdomain(text) {
            "must not contain dots".to_owned()
        } else {
            sentence(
                "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start \
                 and end with an alphanumeric character",
                LABEL,
                &["my-name", "123-abc"],
            )
        });
    }
    errors
}

/// An RFC 1123 subdomain: most names.
pub fn dns_subdomain(text: &str) -> Vec<String> {
    subdomain(text, "characters")
}

fn subdomain(text: &str, unit: &str) -> Vec<String> {
    let mut errors = Vec::new();
    if text.len() > SUBDOMAIN_LENGTH {
        errors.push(too_long(SUBDOMAIN_LENGTH, unit));
    }
    if !is_subdomain(text) {
        errors.push(sentence(
            "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must \
             start and end with an alphanumeric character",
            SUBDOMAIN,
            &["example.com"],
        ));
    }
    errors
}

/// An RFC 1123 subdomain whose labels may have underscores: DNS search domains.
pub fn dns_subdomain_with_underscore(text: &str) -> Vec<String> {
    let mut errors = Vec::new();
    if text.len() > SUBDOMAIN_LENGTH {
        errors.push(too_long(SUBDOMAIN_LENGTH, "characters"));
    }
    if !text.split('.').all(|label| framed(label.strip_prefix('_').unwrap_or(label), lower, b"-_")) {
        errors.push(sentence(
            "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '_', '-' or '.', and \
             must start and end with an alphanumeric character",
            SUBDOMAIN_UNDERSCORE,
            &["example.com"],
        ));
    }
    errors
}

/// A prefix may end with a dash: something follows.
fn masked(text: &str, prefix: bool) -> String {
    match text.strip_suffix('-') {
        Some(_) if prefix && text.len() > 1 => {
            let mut end = text.len() - 2;
            while !text.is_char_boundary(end) {
                end -= 1;
            }
            format!("{}a", &text[..end])
        }
        _ => text.to_owned(),
    }
}

/// The name of most kinds.
pub fn object_name(text: &str, prefix: bool) -> Vec<String> {
    dns_subdomain(&masked(text, prefix))
}

/// The name of a namespace.
pub fn namespace_name(text: &str, prefix: bool) -> Vec<String> {
    dns_label(&masked(text, prefix))
}

/// The name of a Service. Upstream: RelaxedServiceNameValidation.
pub fn service_name(text: &str, prefix: bool) -> Vec<String> {
    dns_label(&masked(text, prefix))
}

/// An RFC 1123 subdomain whose first label is a star.
pub fn wildcard_subdomain(text: &str) -> Vec<String> {
    if text.strip_prefix("*.").is_some_and(is_subdomain) {
        return Vec::new();
    }
    vec![sentence(
        "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist of \
         lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character",
        WILDCARD,
        &["*.example.com"],
    )]
}

/// A name that only has to be a segment of a URL.
pub fn path_segment(text: &str, prefix: bool) -> Vec<String> {
    if !prefix && (text == "." || text == "..") {
        return vec![format!("may not be '{text}'")];
    }
    let found = ["/", "%"].iter().filter(|part| text.contains(**part));
    found.map(|part| format!("may not contain '{part}'")).collect()
}

/// A label key: an optional subdomain and `/`, then a name.
pub fn qualified_name(text: &str) -> Vec<String> {
    let form = "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric \
                character";
    let examples = ["MyName", "my.name", "123-abc"];
    let mut errors = Vec::new();
    let parts: Vec<&str> = text.split('/').collect();
    let name = match parts.as_slice() {
        [name] => name,
        [prefix, name] => {
            if prefix.is_empty() {
                errors.push("prefix part must be non-empty".to_owned());
            } else {
                errors.extend(subdomain(prefix, "bytes").into_iter().map(|error| format!("prefix part {error}")));
            }
            name
        }
        _ => {
            let text = sentence(&format!("a valid label key {form}"), KEY_NAME, &examples);
            return vec![format!("{text} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')")];
        }
    };
    if name.is_empty() {
        errors.push("name part must be non-empty".to_owned());
    } else if name.len() > LABEL_LENGTH {
        errors.push(format!("name part {}", too_long(LABEL_LENGTH, "bytes")));
    }
    if !framed(name, |byte| byte.is_ascii_alphanumeric(), b"-_.") {
        errors.push(sentence(&format!("name part {form}"), KEY_NAME, &examples));
    }
    errors
}

/// A label value.
pub fn label_value(text: &str) -> Vec<String> {
    let mut errors = Vec::new();
    if text.len() > LABEL_LENGTH {
        errors.push(too_long(LABEL_LENGTH, "bytes"));
    }
    if !text.is_empty() && !framed(text, |byte| byte.is_ascii_alphanumeric(), b"-_.") {
        errors.push(sentence(
            "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must \
             start and end with an alphanumeric character",
            "(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?",
            &["MyValue", "my_value", "12345"],
        ));
    }
    errors
}

/// A port number.
pub fn port_number(port: i64) -> Vec<String> {
    if (1..=65535).contains(&port) { Vec::new() } else { vec![range(1, 65535)] }
}

/// A port name.
pub fn port_name(text: &str) -> Vec<String> {
    let mut errors = Vec::new();
    if text.len() > PORT_NAME_LENGTH {
        errors.push(too_long(PORT_NAME_LENGTH, "characters"));
    }
    if text.is_empty() || !text.bytes().all(|byte| lower(byte) || byte == b'-') {
        errors.push("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)".to_owned());
    }
    if !text.bytes().any(|byte| byte.is_ascii_lowercase()) {
        errors.push("must contain at least one letter (a-z)".to_owned());
    }
    if text.contains("--") {
        errors.push("must not contain consecutive hyphens".to_owned());
    }
    if text.starts_with('-') || text.ends_with('-') {
        errors.push("must not begin or end with a hyphen".to_owned());
    }
    errors
}

/// The name of an environment variable.
pub fn env_name(text: &str) -> Vec<String> {
    if text.chars().all(|c| c.is_ascii() && (c == ' ' || c.is_ascii_graphic()) && c != '=') {
        return Vec::new();
    }
    vec!["a valid environment variable name must consist only of printable ASCII characters other than '='".to_owned()]
}

/// A key of a ConfigMap or Secret.
pub fn config_key(text: &str) -> Vec<String> {
    let mut errors = Vec::new();
    if text.len() > SUBDOMAIN_LENGTH {
        errors.push(too_long(SUBDOMAIN_LENGTH, "characters"));
    }
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte)) {
        errors.push(sentence(
            "a valid config key must consist of alphanumeric characters, '-', '_' or '.'",
            "[-._a-zA-Z0-9]+",
            &["key.name", "KEY_NAME", "key-name"],
        ));
    }
    match text {
        "." | ".." => errors.push(format!("must not be '{text}'")),
        _ if text.starts_with("..") => errors.push("must not start with '..'".to_owned()),
        _ => {}
    }
    errors
}

/// The name of an HTTP header.
pub fn http_header(text: &str) -> Vec<String> {
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
        return Vec::new();
    }
    let rule = "a valid HTTP header must consist of alphanumeric characters or '-'";
    vec![sentence(rule, "[-A-Za-z0-9]+", &["X-Header-Name"])]
}

/// A percentage, `25%`.
pub fn percent(text: &str) -> Vec<String> {
    let digits = text.strip_suffix('%').unwrap_or_default();
    if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Vec::new();
    }
    let rule = "a valid percent string must be a numeric string followed by an ending '%'";
    vec![sentence(rule, "[0-9]+%", &["1%", "93%"])]
}

/// A user or group id.
pub fn user_id(id: i64) -> Vec<String> {
    let high = i64::from(i32::MAX);
    if (0..=high).contains(&id) { Vec::new() } else { vec![range(0, high)] }
}

/// An IP address; leading zeros are let pass, as Kubernetes does for old times' sake.
pub fn ip(text: &str) -> Vec<String> {
    let sloppy = || {
        let parts: Vec<&str> = text.split('.').collect();
        parts.len() == 4
            && parts.iter().all(|part| {
                !part.is_empty()
                    && part.bytes().all(|byte| byte.is_ascii_digit())
                    && part.parse::<u32>().is_ok_and(|n| n < 256)
            })
    };
    if text.parse::<Ipv4Addr>().is_ok() || text.parse::<Ipv6Addr>().is_ok() || sloppy() {
        return Vec::new();
    }
    vec!["must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)".to_owned()]
}

/// An address range, `10.0.0.0/8`.
pub fn cidr(text: &str) -> Vec<String> {
    let fine = text.split_once('/').is_some_and(|(address, bits)| {
        let limit = if address.contains(':') { 128 } else { 32 };
        ip(address).is_empty()
            && bits.bytes().all(|byte| byte.is_ascii_digit())
            && bits.parse::<u32>().is_ok_and(|n| n <= limit)
    });
    if fine {
        return Vec::new();
    }
    vec!["must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)".to_owned()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn good_names_are_fine() {
        assert!(dns_label("a").is_empty() && dns_label("0-b").is_empty());
        assert!(dns_subdomain("a.b-c.d0").is_empty());
        assert!(qualified_name("example.com/My_name.x").is_empty() && qualified_name("app").is_empty());
        assert!(label_value("").is_empty() && label_value("A_b.c-1").is_empty());
        assert!(port_name("http").is_empty() && config_key("..a").len() == 1);
        assert!(object_name("web-", true).is_empty() && !object_name("web-", false).is_empty());
        assert!(ip("10.0.0.1").is_empty() && ip("::1").is_empty() && !ip("300.1.1.1").is_empty());
        assert!(cidr("10.0.0.0/8").is_empty() && !cidr("10.0.0.0").is_empty() && !cidr("10.0.0.0/33").is_empty());
        assert!(env_name("A B").is_empty() && !env_name("A=B").is_empty());
    }

    #[test]
    fn several_rules_can_be_broken_at_once() {
        assert_eq!(port_name("").len(), 2);
        assert_eq!(qualified_name("").len(), 2);
        assert_eq!(dns_label("a.b"), ["must not contain dots"]);
        let long = "x".repeat(64);
        assert_eq!(label_value(&long), ["must be no more than 63 bytes"]);
        assert_eq!(dns_label(&long), ["must be no more than 63 characters"]);
        assert_eq!(qualified_name(&format!("a/{long}")), ["name part must be no more than 63 bytes"]);
    }

    #[test]
    fn sentences_hold_the_expression() {
        assert_eq!(
            percent("half")[0],
            "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex \
             used for validation is '[0-9]+%')"
        );
    }
}
