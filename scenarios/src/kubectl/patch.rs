//! Strategic merge patches as kubectl computes them: from two states, and from the last manifest, the new one and the
//! live object.
//!
//! Models: kubernetes v1.36.2 staging/src/k8s.io/apimachinery/pkg/util/strategicpatch/patch.go
//! (`CreateTwoWayMergePatch`, `CreateThreeWayMergePatch`).
//! Left out: patches that already hold directives; conflict detection (`--overwrite=false`).

use serde_json::{Map, Value, json};
use wavetank_engine::apiserver::patch::schema::{Field, Type, field, of_kind as kind};

/// The patch that turns `original` into `modified`.
pub(crate) fn two_way(of_kind: &str, original: &Value, modified: &Value) -> Value {
    let all = Options { additions: true, deletions: true };
    Value::Object(diff_values(original, modified, kind(of_kind), all))
}

/// The patch for `kubectl apply`: takes away what the last manifest had and the new one has not, then adds and changes
/// what differs from the live object.
pub(crate) fn three_way(of_kind: &str, original: &Value, modified: &Value, live: &Value) -> Value {
    let of = kind(of_kind);
    let mut patch = diff_values(original, modified, of, Options { additions: false, deletions: true });
    let delta = diff_values(live, modified, of, Options { additions: true, deletions: false });
    join(&mut patch, delta, of);
    Value::Object(patch)
}

/// An object without the members that are null: what a client-side apply creates.
pub(crate) fn without_nulls(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let kept = map.iter().filter(|(_, v)| !v.is_null()).map(|(k, v)| (k.clone(), without_nulls(v)));
            Value::Object(kept.collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(without_nulls).collect()),
        other => other.clone(),
    }
}

/// JSON merge patch (RFC 7396).
pub(crate) fn merge_json(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    if let Value::Object(target) = target {
        for (key, value) in patch {
            if value.is_null() {
                target.remove(key);
            } else {
                merge_json(target.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
    }
}

/// Which differences count.
#[derive(Clone, Copy)]
struct Options {
    additions: bool,
    deletions: bool,
}

fn diff_values(original: &Value, modified: &Value, of: Type, options: Options) -> Map<String, Value> {
    let empty = Map::new();
    let original = original.as_object().unwrap_or(&empty);
    let modified = modified.as_object().unwrap_or(&empty);
    diff_maps(original, modified, of, options, false)
}

fn diff_maps(
    original: &Map<String, Value>,
    modified: &Map<String, Value>,
    of: Type,
    options: Options,
    retain_keys: bool,
) -> Map<String, Value> {
    let mut patch = Map::new();
    for (key, new) in modified {
        let Some(old) = original.get(key) else {
            if options.additions {
                patch.insert(key.clone(), new.clone());
            }
            continue;
        };
        let field = field(of, key);
        match (old, new) {
            (Value::Object(old), Value::Object(new)) => {
                let inner = diff_maps(old, new, field.of, options, field.retain_keys);
                if !inner.is_empty() {
                    patch.insert(key.clone(), Value::Object(inner));
                }
            }
            (Value::Array(old), Value::Array(new)) if field.merge.is_some() => {
                diff_lists(key, old, new, field, options, &mut patch)
            }
            (old, new) => {
                if old != new && options.additions {
                    patch.insert(key.clone(), new.clone());
                }
            }
        }
    }
    if options.deletions {
        for key in original.keys().filter(|key| !modified.contains_key(*key)) {
            patch.insert(key.clone(), Value::Null);
        }
    }
    if retain_keys {
        let mut kept: Vec<&String> = modified.iter().filter(|(_, v)| !v.is_null()).map(|(k, _)| k).collect();
        kept.sort();
        let to_clear = original.keys().any(|key| !modified.contains_key(key));
        if !kept.is_empty() && (!patch.is_empty() || to_clear) {
            patch.insert("$retainKeys".into(), json!(kept));
        }
    }
    patch
}

fn diff_lists(key: &str, old: &[Value], new: &[Value], field: Field, options: Options, patch: &mut Map<String, Value>) {
    if old.is_empty() {
        if !new.is_empty() && options.additions {
            patch.insert(key.into(), Value::Array(new.to_vec()));
        }
        return;
    }
    let merge_key = field.merge.unwrap_or("");
    let by_scalar = merge_key.is_empty();
    let id = |item: &Value| if by_scalar { item.clone() } else { item.get(merge_key).cloned().unwrap_or(Value::Null) };
    let same_order = old.len() == new.len() && old.iter().zip(new).all(|(a, b)| id(a) == id(b));
    let mut changed = Vec::new();
    for item in new {
        match old.iter().find(|o| id(o) == id(item)) {
            None if options.additions => changed.push(item.clone()),
            Some(previous) if !by_scalar => {
                let (Some(previous), Some(item)) = (previous.as_object(), item.as_object()) else { continue };
                let mut inner = diff_maps(previous, item, field.of, options, field.retain_keys);
                if !inner.is_empty() {
                    inner.insert(merge_key.into(), item.get(merge_key).cloned().unwrap_or(Value::Null));
                    changed.push(Value::Object(inner));
                }
            }
            _ => {}
        }
    }
    let gone: Vec<&Value> = old.iter().filter(|o| !new.iter().any(|n| id(n) == id(o))).collect();
    let mut deleted = Vec::new();
    if options.deletions {
        for item in gone {
            if by_scalar {
                deleted.push(item.clone());
            } else {
                changed.push(json!({"$patch": "delete", merge_key: id(item)}));
            }
        }
    }
    let touched = !changed.is_empty() || !deleted.is_empty();
    if touched || (options.additions && !same_order) {
        let order: Vec<Value> =
            if by_scalar { new.to_vec() } else { new.iter().map(|n| json!({merge_key: id(n)})).collect() };
        if !order.is_empty() {
            patch.insert(format!("$setElementOrder/{key}"), Value::Array(order));
        }
    }
    if !changed.is_empty() {
        patch.insert(key.into(), Value::Array(changed));
    }
    if !deleted.is_empty() {
        patch.insert(format!("$deleteFromPrimitiveList/{key}"), Value::Array(deleted));
    }
}

/// Lays the patch `over` onto `patch`; lists of keyed elements are joined element by element.
fn join(patch: &mut Map<String, Value>, over: Map<String, Value>, of: Type) {
    for (key, value) in over {
        let field = field(of, &key);
        match (patch.get_mut(&key), value) {
            (Some(Value::Object(under)), Value::Object(over)) => join(under, over, field.of),
            (Some(Value::Array(under)), Value::Array(over)) if field.merge.is_some() => {
                let merge_key = field.merge.unwrap_or("");
                join_lists(under, over, merge_key, field.of);
            }
            (_, value) => {
                patch.insert(key, value);
            }
        }
    }
}

fn join_lists(under: &mut Vec<Value>, over: Vec<Value>, merge_key: &str, of: Type) {
    let mut first: Vec<Value> = Vec::new();
    for item in over {
        let at = if merge_key.is_empty() {
            under.iter().position(|u| *u == item)
        } else {
            under.iter().position(|u| u.get(merge_key) == item.get(merge_key))
        };
        match (at.map(|at| under.remove(at)), item) {
            (Some(Value::Object(mut below)), Value::Object(item)) => {
                join(&mut below, item, of);
                first.push(Value::Object(below));
            }
            (_, item) => first.push(item),
        }
    }
    first.append(under);
    *under = first;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deployment(image: &str) -> Value {
        json!({"metadata": {"name": "d"}, "spec": {"template": {"spec": {"containers": [
            {"name": "a", "image": image}, {"name": "b", "image": "y"}]}}}})
    }

    #[test]
    fn a_new_image_is_sent_with_the_order_of_the_containers() {
        let patch = two_way("Deployment", &deployment("x:1"), &deployment("x:2"));
        let expected = json!({"spec": {"template": {"spec": {
            "$setElementOrder/containers": [{"name": "a"}, {"name": "b"}],
            "containers": [{"image": "x:2", "name": "a"}]}}}});
        assert_eq!(patch, expected);
        assert_eq!(two_way("Deployment", &deployment("x"), &deployment("x")), json!({}));
    }

    #[test]
    fn what_the_server_added_is_left_alone() {
        let manifest = json!({"metadata": {"labels": {"a": "1"}}, "spec": {"replicas": 2}});
        let live = json!({"metadata": {"labels": {"a": "1", "other": "x"}, "uid": "u"},
            "spec": {"replicas": 2, "strategy": {"type": "RollingUpdate"}}, "status": {"replicas": 2}});
        assert_eq!(three_way("Deployment", &manifest, &manifest, &live), json!({}));
    }

    #[test]
    fn what_left_the_manifest_is_taken_away() {
        let old = json!({"metadata": {"labels": {"a": "1", "b": "2"}}, "spec": {"template": {"spec": {"containers": [
            {"name": "a", "env": [{"name": "X", "value": "1"}]}, {"name": "b"}]}}}});
        let new = json!({"metadata": {"labels": {"a": "3"}}, "spec": {"template": {"spec": {"containers": [{"name":
        "a"}]}}}});
        let expected = json!({"metadata": {"labels": {"a": "3", "b": null}}, "spec": {"template": {"spec": {
            "$setElementOrder/containers": [{"name": "a"}],
            "containers": [{"env": null, "name": "a"}, {"$patch": "delete", "name": "b"}]}}}});
        assert_eq!(three_way("Deployment", &old, &new, &old), expected);
    }

    #[test]
    fn a_strategy_of_another_type_clears_the_old_parameters() {
        let old = json!({"spec": {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}}});
        let new = json!({"spec": {"strategy": {"type": "Recreate"}}});
        let live = old.clone();
        let expected =
            json!({"spec": {"strategy": {"$retainKeys": ["type"], "rollingUpdate": null, "type": "Recreate"}}});
        assert_eq!(three_way("Deployment", &old, &new, &live), expected);
        let unseen = json!({"spec": {}});
        let expected = json!({"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}});
        assert_eq!(three_way("Deployment", &unseen, &new, &live), expected);
    }

    #[test]
    fn scalars_are_deleted_from_lists_by_value() {
        let old = json!({"metadata": {"finalizers": ["a", "b"]}});
        let new = json!({"metadata": {"finalizers": ["a"]}});
        let expected =
            json!({"metadata": {"$setElementOrder/finalizers": ["a"], "$deleteFromPrimitiveList/finalizers": ["b"]}});
        assert_eq!(two_way("Pod", &old, &new), expected);
    }
}
