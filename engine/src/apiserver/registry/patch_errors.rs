//! What is said to a patch that cannot be applied, or whose result is no object of the kind.
//!
//! Models: kubernetes v1.36.2 staging/src/k8s.io/apiserver/pkg/endpoints/handlers/patch.go (applyPatchToObject,
//! applyPatchToCurrentObject), staging/src/k8s.io/apimachinery/pkg/runtime/converter.go (fromUnstructured).

use std::sync::Arc;

use serde_json::{Value, json};

use crate::apiserver::patch::{self, PatchType};
use crate::apiserver::status::Status;
use crate::apiserver::validation::{self, ErrorType, FieldError};

/// The patch itself is wrong.
pub fn refused(why: String) -> Status {
    if why != patch::REJECTED {
        return Status::bad_request(why);
    }
    Status { code: 422, reason: "Invalid".into(), message: why.into(), details: Some(Arc::new(json!({}))) }
}

/// Its result cannot be decoded: `why` is what the decoder of JSON says.
pub fn unfit(patch_type: PatchType, patch: &Value, result: &Value, why: &str) -> Status {
    match patch_type {
        PatchType::StrategicMerge => invalid(patch_type, patch, result, &converter(why)),
        _ => invalid(patch_type, patch, result, why),
    }
}

/// 422 about a field `patch`: the patch in Go's notation, or the JSON of its result.
pub fn invalid(patch_type: PatchType, patch: &Value, result: &Value, why: &str) -> Status {
    let value = match patch_type {
        PatchType::StrategicMerge => go(patch),
        _ => result.to_string(),
    };
    let error = FieldError {
        kind: ErrorType::Invalid,
        field: "patch".to_owned(),
        value: Value::from(value).to_string(),
        detail: why.to_owned(),
    };
    Status::from_json(&validation::invalid_status_of("", "", "", &[error]))
}

/// A strategic merge is not decoded from JSON but converted from maps, which complains in other words.
fn converter(why: &str) -> String {
    let Some((found, wanted)) = why.strip_prefix("json: cannot unmarshal ").and_then(|rest| rest.split_once(" into "))
    else {
        return why.to_owned();
    };
    let wanted = wanted.rsplit_once("of type ").map_or("", |(_, wanted)| wanted);
    let found = match found.split(' ').next().unwrap_or_default() {
        "object" => "map",
        "array" => "slice",
        "number" if found.contains('.') => "float64",
        "number" => "int64",
        other => other,
    };
    if wanted.starts_with("map[") {
        format!("cannot restore map from {found}")
    } else if wanted.starts_with("[]") {
        format!("cannot restore slice from {found}")
    } else if wanted.contains('.') {
        // Structs and texts with a name of their own look alike; only a map may become a struct.
        match found {
            "map" | "slice" | "int64" | "float64" | "bool" if is_text(wanted) => "unrecognized type: string".to_owned(),
            _ => format!("cannot restore struct from: {found}"),
        }
    } else {
        format!("unrecognized type: {wanted}")
    }
}

fn is_text(go_type: &str) -> bool {
    ["Policy", "Type", "Protocol", "Effect", "Operator", "Scheme", "Phase", "Status", "Medium", "Name", "UID", "Mode"]
        .iter()
        .any(|end| go_type.ends_with(end))
}

/// Go's `%+v` of decoded JSON.
fn go(value: &Value) -> String {
    match value {
        Value::Null => "<nil>".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) => format!("[{}]", items.iter().map(go).collect::<Vec<_>>().join(" ")),
        Value::Object(map) => {
            let mut entries: Vec<(&String, &Value)> = map.iter().collect();
            entries.sort_by_key(|(key, _)| *key);
            let entries: Vec<String> = entries.into_iter().map(|(key, value)| format!("{key}:{}", go(value))).collect();
            format!("map[{}]", entries.join(" "))
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_strategic_patch_of_a_wrong_type_shows_the_patch_as_go_prints_it() {
        let patch = json!({"spec": {"replicas": "4", "paused": null}});
        let why = "json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32";
        let status = unfit(PatchType::StrategicMerge, &patch, &patch, why);
        assert_eq!(
            &*status.message,
            " \"\" is invalid: patch: Invalid value: \"map[spec:map[paused:<nil> replicas:4]]\": unrecognized type: int32"
        );
    }

    #[test]
    fn an_operation_that_does_not_apply_is_rejected_without_details() {
        let status = refused(patch::REJECTED.to_owned());
        assert_eq!((status.code, status.details.as_deref()), (422, Some(&json!({}))));
        assert_eq!(refused("error decoding patch".to_owned()).code, 400);
    }
}
