//! PATCH: what a patch makes of an object.
//!
//! Three kinds, pure functions on JSON: JSON patch (RFC 6902, a list of operations), merge patch (RFC 7396, null
//! removes, lists are replaced) and strategic merge patch (lists whose elements have a key are merged by it;
//! directives).
//!
//! Left out: server-side apply; the limits on the size of patches.
//! Models: kubernetes v1.36.2 staging/src/k8s.io/apiserver/pkg/endpoints/handlers/patch.go.

mod json;
pub mod schema;
mod strategic;

use serde_json::{Map, Value};

/// What the server says to a JSON patch that cannot be applied: status 422, reason Invalid, empty details. Every other
/// error of [`apply`] is a 400, reason BadRequest.
pub const REJECTED: &str = "the server rejected our request due to an error in our request";

/// The content type of a patch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PatchType {
    /// application/strategic-merge-patch+json
    StrategicMerge,
    /// application/merge-patch+json
    Merge,
    /// application/json-patch+json
    Json,
}

/// The object after the patch. `resource` is the plural name (`pods`), which tells a strategic merge how lists are
/// merged. The error is the message of the Status: [`REJECTED`] or what is wrong with the patch itself.
pub fn apply(resource: &str, patch_type: PatchType, current: &Value, patch: &Value) -> Result<Value, String> {
    match patch_type {
        PatchType::Json => json::apply(current, patch),
        PatchType::Merge => {
            object(patch)?;
            let mut next = current.clone();
            merge(&mut next, patch);
            Ok(next)
        }
        PatchType::StrategicMerge => {
            let empty = Map::new();
            let original = current.as_object().unwrap_or(&empty).clone();
            strategic::merge_map(original, object(patch)?.clone(), schema::of_resource(resource)).map(Value::Object)
        }
    }
}

fn object(patch: &Value) -> Result<&Map<String, Value>, String> {
    patch.as_object().ok_or_else(|| {
        let found = json::kind(patch);
        format!("error decoding patch: json: cannot unmarshal {found} into Go value of type map[string]interface {{}}")
    })
}

/// RFC 7396.
fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    if let Value::Object(target) = target {
        for (key, value) in patch {
            if value.is_null() {
                target.remove(key);
            } else {
                merge(target.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_merge_patch_removes_by_null_and_replaces_lists() {
        let object = json!({"data": {"a": "1", "b": "2"}, "list": [1, 2], "metadata": {"labels": {"x": "y"}}});
        let patch = json!({"data": {"a": null, "c": "3"}, "list": [3], "metadata": {"labels": null}});
        let expected = json!({"data": {"b": "2", "c": "3"}, "list": [3], "metadata": {}});
        assert_eq!(apply("configmaps", PatchType::Merge, &object, &patch), Ok(expected));
        assert!(apply("configmaps", PatchType::Merge, &object, &json!([])).is_err());
    }

    #[test]
    fn a_strategic_patch_without_marked_lists_replaces_them() {
        let tolerations = |key: &str| json!({"spec": {"tolerations": [{"key": key, "operator": "Exists"}]}});
        let next = apply("pods", PatchType::StrategicMerge, &tolerations("a"), &tolerations("b"));
        assert_eq!(next, Ok(tolerations("b")));
    }
}
