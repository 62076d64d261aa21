//! Rows of custom resources: the columns that their definition asks for.
//!
//! Models: kubernetes v1.36.2 staging/src/k8s.io/apiextensions-apiserver/pkg/registry/customresource/tableconvertor/tableconvertor.go.

use serde_json::Value;
use wavetank_engine::objects::custom::PrinterColumn;

use super::super::duration;
use super::super::json::{name, scalar};
use super::super::jsonpath::Template;
use super::Column;

pub(super) fn columns(given: &'static [PrinterColumn]) -> Vec<Column> {
    [("Name", false)].into_iter().chain(given.iter().map(|column| (column.name, column.wide))).collect()
}

pub(super) fn row(given: &[PrinterColumn], object: &Value, now: i64) -> Vec<String> {
    [name(object).to_string()].into_iter().chain(given.iter().map(|column| cell(column, object, now))).collect()
}

/// What is not there, or of another type, is shown as nothing.
fn cell(column: &PrinterColumn, object: &Value, now: i64) -> String {
    let Ok(template) = Template::relaxed(column.path) else { return String::new() };
    let values = template.values(object);
    let Some(first) = values.first() else { return String::new() };
    match (column.kind, first) {
        (_, Value::Null) => String::new(),
        ("string", _) => values.iter().map(|value| scalar(value)).collect::<Vec<_>>().join(" "),
        ("integer", Value::Number(number)) => number.as_i64().map(|number| number.to_string()).unwrap_or_default(),
        ("number", Value::Number(number)) => number.to_string(),
        ("boolean", Value::Bool(value)) => value.to_string(),
        ("date", Value::String(time)) => match duration::parse_time(time) {
            Some(_) => duration::age(time, now),
            None => "<invalid>".into(),
        },
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn cells_are_found_by_path_and_type() {
        let column = |kind, path| PrinterColumn { name: "X", kind, path, wide: false };
        let object = json!({"metadata": {"name": "a"}, "spec": {"replicas": 3, "on": true},
            "status": {"conditions": [{"type": "Ready", "status": "True"}]}});
        let cell = |kind, path| cell(&column(kind, path), &object, 0);
        assert_eq!(
            [
                cell("integer", ".spec.replicas"),
                cell("boolean", ".spec.on"),
                cell("string", ".spec.none"),
                cell("string", ".spec.replicas"),
                cell("string", ".status.conditions[?(@.type==\"Ready\")].status"),
            ],
            ["3", "true", "", "3", "True"]
        );
    }
}
