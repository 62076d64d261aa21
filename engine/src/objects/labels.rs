//! Labels: short texts by key, shared between the versions of an object and the objects of one template.
//!
//! Models: kubernetes v1.36.2 staging/src/k8s.io/apimachinery/pkg/labels/labels.go (Set) and
//! pkg/api/validate/content/kube.go (what keys and values may look like, and the texts when they do not).

use std::collections::BTreeMap;
use std::sync::Arc;

/// Labels or annotations of an object, ordered by key.
pub type Labels = BTreeMap<Arc<str>, Arc<str>>;

/// The topology label of a node's own name.
pub const HOSTNAME: &str = "kubernetes.io/hostname";
/// The topology label of a node's zone.
pub const ZONE: &str = "topology.kubernetes.io/zone";
/// The topology label of a node's region.
pub const REGION: &str = "topology.kubernetes.io/region";
/// The older label of a node's zone, still honoured.
pub const ZONE_BETA: &str = "failure-domain.beta.kubernetes.io/zone";
/// The older label of a node's region, still honoured.
pub const REGION_BETA: &str = "failure-domain.beta.kubernetes.io/region";

/// Labels of a map as k8s-openapi has it.
pub fn from_api(labels: Option<&BTreeMap<String, String>>) -> Labels {
    labels.into_iter().flatten().map(|(key, value)| (Arc::from(key.as_str()), Arc::from(value.as_str()))).collect()
}

/// The map as k8s-openapi has it; nothing when there are no labels, as the API server omits an empty map.
pub fn to_api(labels: &Labels) -> Option<BTreeMap<String, String>> {
    (!labels.is_empty()).then(|| labels.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect())
}

/// `a=1,b=2`, in the order of keys; empty when there are none.
pub fn format(labels: &Labels) -> String {
    let mut text = String::new();
    for (key, value) in labels {
        if !text.is_empty() {
            text.push(',');
        }
        text.push_str(key);
        text.push('=');
        text.push_str(value);
    }
    text
}

/// Longest name part of a key, and longest value. [bytes]
const MAX_NAME: usize = 63;
/// Longest prefix of a key. [bytes]
const MAX_PREFIX: usize = 253;

/// What is wrong with a label's key, in the API server's words; empty if it may stand.
pub fn key_errors(key: &str) -> Vec<String> {
    let (prefix, name) = match key.split_once('/') {
        None => (None, key),
        Some((prefix, name)) if !name.contains('/') => (Some(prefix), name),
        Some(_) => {
            let optional = "with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')";
            return vec![format!("a valid label key {NAME_SHAPE} {optional}")];
        }
    };
    let mut errors = Vec::new();
    match prefix {
        Some("") => errors.push("prefix part must be non-empty".to_owned()),
        Some(prefix) => errors.extend(subdomain_errors(prefix).into_iter().map(|error| format!("prefix part {error}"))),
        None => {}
    }
    if name.is_empty() {
        errors.push("name part must be non-empty".to_owned());
    } else if name.len() > MAX_NAME {
        errors.push(format!("name part must be no more than {MAX_NAME} bytes"));
    }
    if !is_name(name) {
        errors.push(format!("name part {NAME_SHAPE}"));
    }
    errors
}

/// What is wrong with a label's value, in the API server's words; empty if it may stand.
pub fn value_errors(value: &str) -> Vec<String> {
    let mut errors = Vec::new();
    if value.len() > MAX_NAME {
        errors.push(format!("must be no more than {MAX_NAME} bytes"));
    }
    if !value.is_empty() && !is_name(value) {
        errors.push(VALUE_SHAPE.to_owned());
    }
    errors
}

/// What is wrong with a DNS subdomain, in the API server's words; empty if it may stand.
pub fn subdomain_errors(text: &str) -> Vec<String> {
    let mut errors = Vec::new();
    if text.len() > MAX_PREFIX {
        errors.push(format!("must be no more than {MAX_PREFIX} bytes"));
    }
    if !text.split('.').all(is_dns_label) {
        errors.push(SUBDOMAIN_SHAPE.to_owned());
    }
    errors
}

const NAME_SHAPE: &str = "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an \
    alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is \
    '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const VALUE_SHAPE: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or \
    '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex \
    used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";
const SUBDOMAIN_SHAPE: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' \
    or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is \
    '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";

fn is_name(text: &str) -> bool {
    let bytes = text.as_bytes();
    let ends = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    ends(bytes.first()) && ends(bytes.last()) && bytes.iter().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(b))
}

fn is_dns_label(text: &str) -> bool {
    let bytes = text.as_bytes();
    let inner = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    bytes.first().is_some_and(inner)
        && bytes.last().is_some_and(inner)
        && bytes.iter().all(|byte| inner(byte) || *byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_a_name_with_an_optional_prefix() {
        for key in ["a", "A.b_c-1", "example.com/x", "a-b.c/x", "1"] {
            assert!(key_errors(key).is_empty(), "{key}");
        }
        for (key, errors) in
            [("", 2), ("-a", 1), ("a b", 1), ("/a", 1), ("A/b", 1), ("a/", 2), ("a/b/c", 1), ("ä", 1), ("a..b/c", 1)]
        {
            assert_eq!(key_errors(key).len(), errors, "{key}: {:?}", key_errors(key));
        }
        assert_eq!(key_errors(&"x".repeat(64)), ["name part must be no more than 63 bytes"]);
    }

    #[test]
    fn the_texts_are_the_servers() {
        assert_eq!(
            key_errors("a b"),
            ["name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an \
              alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is \
              '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"]
        );
        assert!(
            subdomain_errors("A")[0]
                .ends_with(r"is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')")
        );
        assert!(value_errors("a b")[0].contains("'_' or '.', and must start"));
    }

    #[test]
    fn values_may_be_empty_and_are_short() {
        assert!(value_errors("").is_empty());
        assert!(value_errors("v1.2_3").is_empty());
        assert_eq!(value_errors("a b").len(), 1);
        assert_eq!(value_errors(&"é".repeat(40)).len(), 2);
    }

    #[test]
    fn labels_survive_the_way_to_the_api_and_back() {
        let api = BTreeMap::from([("b".to_owned(), "2".to_owned()), ("a".to_owned(), String::new())]);
        let labels = from_api(Some(&api));
        assert_eq!(format(&labels), "a=,b=2");
        assert_eq!(to_api(&labels), Some(api));
        assert_eq!(to_api(&from_api(None)), None);
    }
}
