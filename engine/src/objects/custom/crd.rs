//! CustomResourceDefinitions: what they define.
//!
//! Models: kubernetes v1.36.2 staging/src/k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1/{types,defaults}.go,
//! pkg/apihelpers/helpers.go. Left out: versions that are not the storage version are accepted and not served; conversion.

use serde_json::{Map, Value, json};

use super::columns::{PrinterColumn, columns};
use super::schema::Schema;
use crate::kernel::Instant;
use crate::objects::definition::{Definition, Names};
use crate::objects::{Kind, json as api_json};

/// What a CustomResourceDefinition defines.
#[derive(Clone, Debug)]
pub struct Defined {
    /// The kind, with the names that it asks for.
    pub kind: Kind,
    /// Whether its storage version is served at all.
    pub served: bool,
    /// What its objects look like.
    pub schema: Schema,
    /// Whether the status is a part of its own.
    pub status: bool,
    /// Where the replicas are, if it can be scaled.
    pub scale: Option<ScalePaths>,
    /// The columns that show its objects.
    pub columns: &'static [PrinterColumn],
}

/// Where the fields of the scale are: `.spec.replicas`.
#[derive(Clone, PartialEq, Debug)]
pub struct ScalePaths {
    /// How many are wanted.
    pub spec: String,
    /// How many there are.
    pub status: String,
    /// The selector as a text; empty for none.
    pub selector: String,
}

impl Defined {
    /// What a definition's content defines. What is missing in it is empty: validation has its say about that.
    pub fn of(content: &Map<String, Value>) -> Self {
        let spec = content.get("spec").unwrap_or(&Value::Null);
        let versions = spec["versions"].as_array().map_or(&[][..], Vec::as_slice);
        let version = versions.iter().find(|version| version["storage"] == true).unwrap_or(&Value::Null);
        let subresources = &version["subresources"];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let scale = subresources.get("scale").filter(|scale| scale.is_object()).map(|scale| ScalePaths {
            spec: text(&scale["specReplicasPath"]),
            status: text(&scale["statusReplicasPath"]),
            selector: text(&scale["labelSelectorPath"]),
        });
        Defined {
            kind: kind(spec, version),
            served: version["served"] == true,
            schema: Schema::of(&version["schema"]["openAPIV3Schema"]),
            status: subresources.get("status").is_some_and(Value::is_object),
            scale,
            columns: columns(version),
        }
    }
}

fn kind(spec: &Value, version: &Value) -> Kind {
    fn text(value: &Value) -> &str {
        value.as_str().unwrap_or_default()
    }
    fn texts(value: &Value) -> Vec<&str> {
        value.as_array().into_iter().flatten().map(text).collect()
    }
    let given = &spec["names"];
    let names = Names {
        group: text(&spec["group"]),
        version: text(&version["name"]),
        plural: text(&given["plural"]),
        singular: text(&given["singular"]),
        kind: text(&given["kind"]),
        list: text(&given["listKind"]),
        namespaced: spec["scope"] == "Namespaced",
    };
    Definition::kind(names, &texts(&given["shortNames"]), &texts(&given["categories"]))
}

/// The names of a definition with what is left out filled in: they are what is accepted if nobody else has them.
pub fn names_of(names: &Value) -> Value {
    let mut names = names.clone();
    let kind = names["kind"].as_str().unwrap_or_default().to_owned();
    let absent = |value: &Value| value.as_str().is_none_or(str::is_empty);
    if let Some(map) = names.as_object_mut() {
        if map.get("singular").is_none_or(absent) {
            map.insert("singular".into(), kind.to_lowercase().into());
        }
        if map.get("listKind").is_none_or(absent) {
            map.insert("listKind".into(), format!("{kind}List").into());
        }
    }
    names
}

/// Whether a condition of the definition has this status.
pub fn condition_is(content: &Map<String, Value>, kind: &str, status: &str) -> bool {
    let conditions = content.get("status").and_then(|status| status["conditions"].as_array());
    conditions.into_iter().flatten().any(|condition| condition["type"] == kind && condition["status"] == status)
}

/// A definition's status with a condition, which replaces the one of its type. The time of the last change stays if nothing changes.
pub fn condition(status: &Value, kind: &str, [value, reason, message]: [&str; 3], now: Instant) -> Value {
    let mut status = if status.is_object() { status.clone() } else { json!({}) };
    let mut new = json!({
        "lastTransitionTime": api_json::time(now), "message": message, "reason": reason, "status": value, "type": kind,
    });
    let mut conditions = status["conditions"].as_array().cloned().unwrap_or_default();
    match conditions.iter_mut().find(|old| old["type"] == kind) {
        Some(old) => {
            if old["status"] == new["status"] {
                new["lastTransitionTime"] = old["lastTransitionTime"].clone();
            }
            *old = new;
        }
        None => conditions.push(new),
    }
    status["conditions"] = conditions.into();
    status
}

/// Whether the definition's kind is served: its names are nobody else's, and the server is ready for it.
pub fn accepted(content: &Map<String, Value>) -> bool {
    condition_is(content, "Established", "True")
}

/// A field by its simple path: `.spec.replicas`, `.status.conditions[0].type`.
pub fn field_at<'a>(object: &'a Value, path: &str) -> Option<&'a Value> {
    let steps = path.split(['.', '[', ']']).filter(|step| !step.is_empty());
    steps.into_iter().try_fold(object, |value, step| match step.parse::<usize>() {
        Ok(index) if value.is_array() => value.get(index),
        _ => value.get(step),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_filled_in_and_conditions_keep_their_time() {
        let names = names_of(&json!({"plural": "crontabs", "kind": "CronTab"}));
        assert_eq!((&names["singular"], &names["listKind"]), (&json!("crontab"), &json!("CronTabList")));
        let at = |s: u64| Instant::from_nanos(s * 1_000_000_000);
        let first = condition(&Value::Null, "Established", ["False", "Installing", "…"], at(1));
        let again = condition(&first, "Established", ["False", "Other", "…"], at(2));
        assert_eq!(first["conditions"][0]["lastTransitionTime"], again["conditions"][0]["lastTransitionTime"]);
        let then = condition(&again, "Established", ["True", "InitialNamesAccepted", "…"], at(3));
        assert_eq!(then["conditions"][0]["lastTransitionTime"], "2026-01-01T00:00:03Z");
        assert_eq!(field_at(&then, ".conditions[0].status"), Some(&json!("True")));
    }
}
