//! `kubectl describe` of kinds that have no description of their own: all their fields.
//!
//! Models: kubernetes v1.36.2 staging/src/k8s.io/kubectl/pkg/describe/describe.go (`genericDescriber`,
//! `printUnstructuredContent`, `smartLabelFor`), github.com/fatih/camelcase.

use serde_json::{Map, Value};

use super::{annotations, labels, template};

const SKIPPED: &[&str] =
    &[".metadata.managedFields", ".metadata.name", ".metadata.namespace", ".metadata.labels", ".metadata.annotations"];

/// Everything but the events.
pub(super) fn describe(object: &Value) -> String {
    let mut out = template::heading(object);
    labels(&mut out, "Labels", object, "/metadata/labels");
    annotations(&mut out, "Annotations", object, "/metadata/annotations");
    if let Some(map) = object.as_object() {
        content(&mut out, map, "", "");
    }
    out
}

fn content(out: &mut String, map: &Map<String, Value>, indent: &str, path: &str) {
    let mut fields: Vec<(&String, &Value)> = map.iter().collect();
    fields.sort_by_key(|(field, _)| *field);
    let deeper = format!("{indent}  ");
    for (field, value) in fields {
        let path = format!("{path}.{field}");
        if SKIPPED.contains(&path.as_str()) {
            continue;
        }
        let title = title(field);
        match value {
            Value::Object(map) => {
                out.push_str(&format!("{indent}{title}:\n"));
                content(out, map, &deeper, &path);
            }
            Value::Array(items) => {
                out.push_str(&format!("{indent}{title}:\n"));
                for item in items {
                    match item {
                        Value::Object(map) => content(out, map, &deeper, &path),
                        other => out.push_str(&format!("{deeper}{}\n", shown(other))),
                    }
                }
            }
            other => out.push_str(&format!("{indent}{title}:\t{}\n", shown(other))),
        }
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::Null => "<nil>".into(),
        other => super::super::json::scalar(other),
    }
}

/// `creationTimestamp` is titled `Creation Timestamp`.
fn title(field: &str) -> String {
    const ACRONYMS: [&str; 4] = ["API", "URL", "UID", "GUID"];
    if field.chars().any(|c| !c.is_alphabetic() && c != '-') {
        return field.into();
    }
    let mut parts: Vec<String> = Vec::new();
    let mut words = camel(field).into_iter().peekable();
    while let Some(mut word) = words.next() {
        let upper = word.len() >= 2 && !word.chars().any(|c| c.is_alphabetic() && !c.is_uppercase());
        if upper && let Some(next) = words.next_if(|next| next.starts_with(char::is_uppercase)) {
            word.push_str(&next);
        }
        parts.push(word);
    }
    let titled = parts.into_iter().map(|part| {
        if ACRONYMS.contains(&part.to_uppercase().as_str()) {
            part.to_uppercase()
        } else if part.to_lowercase() == part {
            let mut letters = part.chars();
            letters.next().map_or(String::new(), |first| first.to_uppercase().collect::<String>() + letters.as_str())
        } else {
            part
        }
    });
    titled.collect::<Vec<_>>().join(" ")
}

/// Splits at changes of case; the last capital of a run belongs to the small letters behind it.
fn camel(field: &str) -> Vec<String> {
    let class = |c: char| {
        if c.is_lowercase() {
            1
        } else if c.is_uppercase() {
            2
        } else {
            4
        }
    };
    let mut runs: Vec<Vec<char>> = Vec::new();
    for c in field.chars() {
        match runs.last_mut() {
            Some(run) if run.last().is_some_and(|last| class(*last) == class(c)) => run.push(c),
            _ => runs.push(vec![c]),
        }
    }
    for i in 1..runs.len() {
        let (before, after) = runs.split_at_mut(i);
        if let (Some(upper), Some(lower)) = (before.last_mut(), after.first_mut())
            && upper.first().is_some_and(|c| c.is_uppercase())
            && lower.first().is_some_and(|c| c.is_lowercase())
            && let Some(capital) = upper.pop()
        {
            lower.insert(0, capital);
        }
    }
    runs.into_iter().filter(|run| !run.is_empty()).map(|run| run.into_iter().collect()).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn fields_get_titles() {
        for (field, expected) in [
            ("apiVersion", "API Version"),
            ("creationTimestamp", "Creation Timestamp"),
            ("uid", "UID"),
            ("kind", "Kind"),
            ("blockOwnerDeletion", "Block Owner Deletion"),
            ("a.b", "a.b"),
        ] {
            assert_eq!(title(field), expected);
        }
    }

    #[test]
    fn all_fields_are_shown_but_those_of_the_heading() {
        let object = json!({"apiVersion": "v1", "kind": "Thing", "metadata": {"name": "t", "uid": "u"},
            "list": [1, {"a": true}]});
        assert_eq!(
            describe(&object),
            "Name:\tt\nNamespace:\t\nLabels:\t<none>\nAnnotations:\t<none>\nAPI Version:\tv1\nKind:\tThing\nList:\n  \
             1\n  A:\ttrue\nMetadata:\n  UID:\tu\n"
        );
    }
}
