//! Label selectors as texts.
//!
//! Models: kubernetes v1.36.2 staging/src/k8s.io/apimachinery/pkg/apis/meta/v1/helpers.go (`FormatLabelSelector`),
//! pkg/labels/labels.go (`FormatLabels`).

use serde_json::Value;

use super::json::{list, pairs, strings, text};

/// A LabelSelector as a query: `a=b,c in (d,e)`, empty if it selects everything or nothing.
pub(crate) fn query(selector: &Value) -> String {
    let mut parts: Vec<(String, String)> = pairs(selector, "/matchLabels")
        .into_iter()
        .map(|(key, value)| (key.to_string(), format!("{key}={value}")))
        .collect();
    for expression in list(selector, "/matchExpressions") {
        let key = text(expression, "/key");
        let mut values = strings(expression, "/values");
        values.sort_unstable();
        let values = values.join(",");
        let part = match text(expression, "/operator") {
            "In" => format!("{key} in ({values})"),
            "NotIn" => format!("{key} notin ({values})"),
            "Exists" => key.to_string(),
            _ => format!("!{key}"),
        };
        parts.push((key.to_string(), part));
    }
    parts.sort();
    parts.into_iter().map(|(_, part)| part).collect::<Vec<_>>().join(",")
}

/// The LabelSelector at `pointer`, or `<none>`.
pub(crate) fn format_selector(object: &Value, pointer: &str) -> String {
    let text = object.pointer(pointer).map(query).unwrap_or_default();
    if text.is_empty() { "<none>".into() } else { text }
}

/// The map of labels at `pointer` as `a=b,c=d`, or `<none>`.
pub(crate) fn format_labels(object: &Value, pointer: &str) -> String {
    let texts: Vec<String> = pairs(object, pointer).iter().map(|(key, value)| format!("{key}={value}")).collect();
    if texts.is_empty() { "<none>".into() } else { texts.join(",") }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn requirements_are_sorted_by_key() {
        let selector = json!({"matchLabels": {"b": "1"}, "matchExpressions": [
            {"key": "c", "operator": "DoesNotExist"}, {"key": "a", "operator": "In", "values": ["y", "x"]}]});
        assert_eq!(query(&selector), "a in (x,y),b=1,!c");
        assert_eq!(format_selector(&json!({"spec": {"podSelector": {}}}), "/spec/podSelector"), "<none>");
        assert_eq!(format_labels(&json!({"l": {"b": "2", "a": "1"}}), "/l"), "a=1,b=2");
    }
}
