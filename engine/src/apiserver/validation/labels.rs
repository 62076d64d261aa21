//! Labels and label selectors.
//!
//! Models: kubernetes v1.36.2 staging/src/k8s.io/apimachinery/pkg/apis/meta/v1/validation/validation.go.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

use super::field::{Errors, Path};
use super::names;

/// The key of a label.
pub(super) fn key(key: &str, path: &Path<'_>, errors: &mut Errors) {
    errors.invalid_each(path, key, &names::qualified_name(key));
}

/// A map of labels.
pub(super) fn map(labels: Option<&BTreeMap<String, String>>, path: &Path<'_>, errors: &mut Errors) {
    for (name, value) in labels.into_iter().flatten() {
        key(name, path, errors);
        errors.invalid_each(path, value, &names::label_value(value));
    }
}

/// A selector; none is fine.
pub(super) fn selector(selector: Option<&LabelSelector>, path: &Path<'_>, errors: &mut Errors) {
    let Some(selector) = selector else { return };
    map(selector.match_labels.as_ref(), &path.child("matchLabels"), errors);
    let expressions = path.child("matchExpressions");
    for (index, expression) in selector.match_expressions.iter().flatten().enumerate() {
        let path = expressions.index(index);
        let values = expression.values.as_deref().unwrap_or_default();
        match expression.operator.as_str() {
            "In" | "NotIn" if values.is_empty() => {
                errors.required(&path.child("values"), "must be specified when `operator` is 'In' or 'NotIn'");
            }
            "Exists" | "DoesNotExist" if !values.is_empty() => errors
                .forbidden(&path.child("values"), "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"),
            "In" | "NotIn" | "Exists" | "DoesNotExist" => {}
            other => errors.invalid(&path.child("operator"), other, "not a valid selector operator"),
        }
        key(&expression.key, &path.child("key"), errors);
        let path = path.child("values");
        for (index, value) in values.iter().enumerate() {
            errors.invalid_each(&path.index(index), value, &names::label_value(value));
        }
    }
}

/// Whether a selector without errors selects everything.
pub(super) fn is_empty(selector: &LabelSelector) -> bool {
    selector.match_labels.as_ref().is_none_or(BTreeMap::is_empty)
        && selector.match_expressions.as_ref().is_none_or(Vec::is_empty)
}

/// Whether a selector without errors selects these labels.
pub(super) fn matches(selector: &LabelSelector, labels: Option<&BTreeMap<String, String>>) -> bool {
    let value = |key: &str| labels.and_then(|labels| labels.get(key));
    selector.match_labels.iter().flatten().all(|(key, wanted)| value(key) == Some(wanted))
        && selector.match_expressions.iter().flatten().all(|expression| {
            let found = value(&expression.key);
            let listed = || found.is_some_and(|found| expression.values.iter().flatten().any(|value| value == found));
            match expression.operator.as_str() {
                "In" => listed(),
                "NotIn" => !listed(),
                "Exists" => found.is_some(),
                _ => found.is_none(),
            }
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_select() {
        let selector: LabelSelector = serde_json::from_value(serde_json::json!({"matchExpressions": [
            {"key": "a", "operator": "In", "values": ["1", "2"]},
            {"key": "b", "operator": "NotIn", "values": ["3"]},
            {"key": "c", "operator": "DoesNotExist"}
        ]}))
        .expect("a selector");
        let labels = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
            pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
        };
        assert!(matches(&selector, Some(&labels(&[("a", "2")]))));
        assert!(!matches(&selector, Some(&labels(&[("a", "3")]))));
        assert!(!matches(&selector, Some(&labels(&[("a", "1"), ("b", "3")]))));
        assert!(!matches(&selector, Some(&labels(&[("a", "1"), ("c", "")]))));
        assert!(!matches(&selector, None));
    }
}
