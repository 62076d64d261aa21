//! Strategic merge patch.
//!
//! Lists whose elements have a merge key are merged by it, and the order of the result follows the patch where the
//! patch says something and the stored object elsewhere. Directives: `$patch: delete|replace`, `$setElementOrder/LIST`,
//! `$deleteFromPrimitiveList/LIST`, `$retainKeys`.
//! Models: kubernetes v1.36.2 staging/src/k8s.io/apimachinery/pkg/util/strategicpatch/patch.go (`mergeMap`,
//! `mergeSlice`, `normalizeElementOrder`).
//! Left out: the check that `$setElementOrder` agrees with the list it is about.

use serde_json::{Map, Value};

use super::schema::{Type, field};

const ORDER: &str = "$setElementOrder/";
const DELETE: &str = "$deleteFromPrimitiveList/";
const RETAIN: &str = "$retainKeys";
const DIRECTIVE: &str = "$patch";

type Object = Map<String, Value>;

/// Merges `patch` into `original`, an object of type `of`.
pub(super) fn merge_map(mut original: Object, mut patch: Object, of: Type) -> Result<Object, String> {
    match patch.remove(DIRECTIVE) {
        None => {}
        Some(Value::String(what)) if what == "replace" => return Ok(patch),
        Some(Value::String(what)) if what == "delete" => return Ok(Object::new()),
        Some(other) => return Err(format!("unknown patch type {other} in map")),
    }
    if let Some(Value::Array(kept)) = patch.remove(RETAIN) {
        if let Some(key) = patch.keys().find(|k| !k.starts_with('$') && !kept.iter().any(|v| v.as_str() == Some(k))) {
            return Err(format!("precondition failed: the patch changes {key}, which is not among its $retainKeys"));
        }
        original.retain(|key, _| kept.iter().any(|v| v.as_str() == Some(key)));
    }
    set_orders(&mut original, &mut patch, of)?;
    for (key, value) in patch {
        if let Some(list) = key.strip_prefix(DELETE) {
            if let (Some(Value::Array(items)), Value::Array(gone)) = (original.get_mut(list), &value) {
                items.retain(|item| !gone.contains(item));
            }
            continue;
        }
        if value.is_null() {
            original.remove(&key);
            continue;
        }
        let field = field(of, &key);
        let next = match (original.remove(&key), value) {
            (None, value) => without_directives(value),
            (Some(Value::Object(old)), Value::Object(new)) => Some(Value::Object(merge_map(old, new, field.of)?)),
            (Some(Value::Array(old)), Value::Array(new)) => Some(Value::Array(match field.merge {
                Some(merge_key) => merge_list(old, new, merge_key, field.of)?,
                None => new,
            })),
            (Some(_), value) => Some(value),
        };
        if let Some(next) = next {
            original.insert(key, next);
        }
    }
    Ok(original)
}

/// Merges the lists for which the patch gives an order, and takes both out of the patch.
fn set_orders(original: &mut Object, patch: &mut Object, of: Type) -> Result<(), String> {
    let orders: Vec<String> = patch.keys().filter(|key| key.starts_with(ORDER)).cloned().collect();
    for directive in orders {
        let Some(Value::Array(order)) = patch.remove(&directive) else { continue };
        let key = directive.trim_start_matches(ORDER);
        let field = field(of, key);
        let Some(merge_key) = field.merge else { continue };
        // The elements to delete must go before the order is looked at.
        if let Some(Value::Array(gone)) = patch.remove(&format!("{DELETE}{key}"))
            && let Some(Value::Array(items)) = original.get_mut(key)
        {
            items.retain(|item| !gone.contains(item));
        }
        let stored = original.get(key).and_then(Value::as_array).cloned();
        let merged = match (stored.clone(), patch.get(key).cloned()) {
            (_, Some(Value::Null)) => continue,
            (Some(old), None) => old,
            (None, Some(new)) => match without_directives(new) {
                Some(Value::Array(new)) => new,
                _ => continue,
            },
            (Some(old), Some(Value::Array(new))) => merge_list(old, new, merge_key, field.of)?,
            _ => continue,
        };
        patch.remove(key);
        let ordered = in_order(merged, &order, &stored.unwrap_or_default(), merge_key);
        original.insert(key.into(), Value::Array(ordered));
    }
    Ok(())
}

fn merge_list(mut old: Vec<Value>, new: Vec<Value>, merge_key: &str, of: Type) -> Result<Vec<Value>, String> {
    if merge_key.is_empty() {
        let mut merged = old.clone();
        for item in &new {
            if !merged.contains(item) {
                merged.push(item.clone());
            }
        }
        return Ok(in_order(merged, &new, &old, merge_key));
    }
    let mut plain = Vec::new();
    let mut replace = false;
    for item in new {
        match item.get(DIRECTIVE).and_then(Value::as_str) {
            None => plain.push(item),
            Some("delete") => {
                let Some(id) = item.get(merge_key) else { return Err(missing_key(merge_key, &item)) };
                old.retain(|stored| stored.get(merge_key) != Some(id));
            }
            Some("replace") => replace = true,
            Some(other) => return Err(format!("unknown patch type {other} in list")),
        }
    }
    if replace {
        return Ok(plain);
    }
    let mut merged = old.clone();
    for item in &plain {
        let Some(id) = item.get(merge_key) else { return Err(missing_key(merge_key, item)) };
        let at = merged.iter().position(|stored| stored.get(merge_key) == Some(id));
        match (at.and_then(|at| merged.get_mut(at)), item) {
            (Some(stored), Value::Object(item)) => {
                let before = stored.as_object().cloned().unwrap_or_default();
                *stored = Value::Object(merge_map(before, item.clone(), of)?);
            }
            _ => merged.extend(without_directives(item.clone())),
        }
    }
    Ok(in_order(merged, &plain, &old, merge_key))
}

fn missing_key(merge_key: &str, item: &Value) -> String {
    format!("map: {item} does not contain declared merge key: {merge_key}")
}

/// Orders `merged`: elements named in `wanted` in that order, the others in the order of `stored`, each of the latter
/// before the first of the former that came after it in `stored`.
fn in_order(merged: Vec<Value>, wanted: &[Value], stored: &[Value], merge_key: &str) -> Vec<Value> {
    let place = |list: &[Value], item: &Value| list.iter().position(|other| same(other, item, merge_key));
    let (mut patched, mut others): (Vec<Value>, Vec<Value>) =
        merged.into_iter().partition(|item| place(wanted, item).is_some());
    patched.sort_by_key(|item| place(wanted, item));
    others.sort_by_key(|item| place(stored, item));
    let mut ordered = Vec::with_capacity(patched.len() + others.len());
    let mut others = others.into_iter().peekable();
    for item in patched {
        let at = place(stored, &item);
        while let Some(other) = others.peek() {
            match (place(stored, other), at) {
                (Some(other_at), Some(at)) if other_at < at => ordered.extend(others.next()),
                _ => break,
            }
        }
        ordered.push(item);
    }
    ordered.extend(others);
    ordered
}

fn same(a: &Value, b: &Value, merge_key: &str) -> bool {
    if merge_key.is_empty() { a == b } else { a.get(merge_key).is_some() && a.get(merge_key) == b.get(merge_key) }
}

/// What a patch stands for where nothing is stored yet; None if it only deletes.
fn without_directives(value: Value) -> Option<Value> {
    match value {
        Value::Object(mut map) => {
            match map.remove(DIRECTIVE).as_ref().and_then(Value::as_str) {
                Some("delete") => return None,
                Some("replace") if map.is_empty() => return None,
                _ => {}
            }
            map.remove(RETAIN);
            map.retain(|key, value| !key.starts_with(ORDER) && !key.starts_with(DELETE) && !value.is_null());
            let cleaned = map.into_iter().filter_map(|(key, value)| Some((key, without_directives(value)?)));
            Some(Value::Object(cleaned.collect()))
        }
        Value::Array(items) => Some(Value::Array(items.into_iter().filter_map(without_directives).collect())),
        other => Some(other),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::schema::of_resource as kind;
    use super::*;

    fn patched(resource: &str, object: Value, patch: Value) -> Value {
        let (Value::Object(object), Value::Object(patch)) = (object, patch) else { panic!("no objects") };
        Value::Object(merge_map(object, patch, kind(resource)).expect("a correct patch"))
    }

    fn container(fields: Value) -> Value {
        json!({"spec": {"template": {"spec": {"containers": [fields]}}}})
    }

    #[test]
    fn new_elements_stand_where_the_real_server_puts_them() {
        let object =
            container(json!({"name": "app", "env": [{"name": "A"}, {"name": "B"}], "ports": [{"containerPort": 80}]}));
        let patch = container(
            json!({"name": "app", "env": [{"name": "B", "value": "22"}, {"name": "C"}], "ports": [{"containerPort":
            81}]}),
        );
        let expected =
            container(json!({"name": "app", "env": [{"name": "A"}, {"name": "B", "value": "22"}, {"name": "C"}],
            "ports": [{"containerPort": 81}, {"containerPort": 80}]}));
        assert_eq!(patched("deployments", object, patch), expected);
    }

    #[test]
    fn elements_are_deleted_or_all_replaced_by_directive() {
        let object = || json!({"spec": {"containers": [{"name": "a"}, {"name": "b"}]}});
        let patch = json!({"spec": {"containers": [{"name": "a", "$patch": "delete"}]}});
        assert_eq!(patched("pods", object(), patch), json!({"spec": {"containers": [{"name": "b"}]}}));
        let patch = json!({"spec": {"containers": [{"$patch": "replace"}, {"name": "c"}]}});
        assert_eq!(patched("pods", object(), patch), json!({"spec": {"containers": [{"name": "c"}]}}));
        let patch = json!({"spec": {"$patch": "replace", "x": 1}});
        assert_eq!(patched("pods", object(), patch), json!({"spec": {"x": 1}}));
    }

    #[test]
    fn the_order_given_by_the_patch_wins() {
        let object = json!({"spec": {"containers": [{"name": "a"}, {"name": "b"}, {"name": "c"}]}});
        let patch = json!({"spec": {"$setElementOrder/containers": [{"name": "c"}, {"name": "a"}],
            "containers": [{"name": "a", "image": "x"}]}});
        let expected = json!({"spec": {"containers": [{"name": "b"}, {"name": "c"}, {"name": "a", "image": "x"}]}});
        assert_eq!(patched("pods", object, patch), expected);
    }

    #[test]
    fn finalizers_are_added_and_deleted_by_value() {
        let object = || json!({"metadata": {"finalizers": ["a", "b"]}});
        let patch = json!({"metadata": {"finalizers": ["c"]}});
        assert_eq!(patched("pods", object(), patch), json!({"metadata": {"finalizers": ["c", "a", "b"]}}));
        let patch = json!({"metadata": {"$deleteFromPrimitiveList/finalizers": ["a"]}});
        assert_eq!(patched("pods", object(), patch), json!({"metadata": {"finalizers": ["b"]}}));
        let patch =
            json!({"metadata": {"$deleteFromPrimitiveList/finalizers": ["a"], "$setElementOrder/finalizers": ["b"]}});
        assert_eq!(patched("pods", object(), patch), json!({"metadata": {"finalizers": ["b"]}}));
    }

    #[test]
    fn retained_keys_clear_the_others() {
        let object = json!({"spec": {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}}});
        let patch = json!({"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}});
        assert_eq!(patched("deployments", object, patch), json!({"spec": {"strategy": {"type": "Recreate"}}}));
    }

    #[test]
    fn conditions_of_a_status_are_merged_by_type() {
        let object =
            json!({"status": {"conditions": [{"type": "Ready", "status": "True"}, {"type": "X", "status": "True"}]}});
        let patch = json!({"status": {"conditions": [{"type": "Ready", "status": "False"}]}});
        let expected =
            json!({"status": {"conditions": [{"type": "Ready", "status": "False"}, {"type": "X", "status": "True"}]}});
        assert_eq!(patched("pods", object, patch), expected);
    }

    #[test]
    fn an_element_without_its_key_is_refused() {
        let (object, patch) =
            (json!({"spec": {"containers": [{"name": "a"}]}}), json!({"spec": {"containers": [{"image": "x"}]}}));
        let (Value::Object(object), Value::Object(patch)) = (object, patch) else { panic!("no objects") };
        let error = merge_map(object, patch, kind("pods")).expect_err("no name");
        assert_eq!(error, "map: {\"image\":\"x\"} does not contain declared merge key: name");
    }
}
