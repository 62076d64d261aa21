//! JSON patch: a list of operations on paths.
//!
//! Like the library of the real server, `replace` also sets a member that was not there.
//! Models: kubernetes v1.36.2 staging/src/k8s.io/apiserver/pkg/endpoints/handlers/patch.go (`applyJSPatch`), RFC 6902.

use serde_json::Value;

use super::REJECTED;

/// Applies all operations, or none.
pub(super) fn apply(current: &Value, patch: &Value) -> Result<Value, String> {
    let Value::Array(operations) = patch else {
        let found = kind(patch);
        return Err(format!(
            "error decoding patch: json: cannot unmarshal {found} into Go value of type []handlers.jsonPatchOp"
        ));
    };
    let mut next = current.clone();
    for operation in operations {
        step(&mut next, operation).ok_or(REJECTED)?;
    }
    Ok(next)
}

/// What Go's decoder calls a JSON value.
pub(super) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn step(document: &mut Value, operation: &Value) -> Option<()> {
    let path = operation.get("path")?.as_str()?;
    let from = || operation.get("from").and_then(Value::as_str);
    match operation.get("op")?.as_str()? {
        "add" => add(document, path, operation.get("value")?.clone()),
        "remove" => remove(document, path).map(|_| ()),
        "replace" => replace(document, path, operation.get("value")?.clone()),
        "move" => {
            let value = remove(document, from()?)?;
            add(document, path, value)
        }
        "copy" => {
            let value = document.pointer(from()?)?.clone();
            add(document, path, value)
        }
        "test" => {
            let wanted = operation.get("value").unwrap_or(&Value::Null);
            (document.pointer(path).unwrap_or(&Value::Null) == wanted).then_some(())
        }
        _ => None,
    }
}

/// The parent of a path and the last part, unescaped.
fn parent<'a>(document: &'a mut Value, path: &str) -> Option<(&'a mut Value, String)> {
    let (parent, last) = path.rsplit_once('/')?;
    Some((document.pointer_mut(parent)?, last.replace("~1", "/").replace("~0", "~")))
}

fn add(document: &mut Value, path: &str, value: Value) -> Option<()> {
    if path.is_empty() {
        *document = value;
        return Some(());
    }
    match parent(document, path)? {
        (Value::Object(map), key) => {
            map.insert(key, value);
        }
        (Value::Array(items), key) if key == "-" => items.push(value),
        (Value::Array(items), key) => {
            let at: usize = key.parse().ok().filter(|at| *at <= items.len())?;
            items.insert(at, value);
        }
        _ => return None,
    }
    Some(())
}

fn replace(document: &mut Value, path: &str, value: Value) -> Option<()> {
    match parent(document, path)? {
        (Value::Object(map), key) => {
            map.insert(key, value);
        }
        (Value::Array(items), key) => *items.get_mut(key.parse::<usize>().ok()?)? = value,
        _ => return None,
    }
    Some(())
}

fn remove(document: &mut Value, path: &str) -> Option<Value> {
    match parent(document, path)? {
        (Value::Object(map), key) => map.remove(&key),
        (Value::Array(items), key) => {
            let at: usize = key.parse().ok().filter(|at| *at < items.len())?;
            Some(items.remove(at))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn patched(patch: Value) -> Result<Value, String> {
        apply(&json!({"a": {"b/c": 1}, "l": [1, 2]}), &patch)
    }

    #[test]
    fn operations_change_members_and_elements() {
        let patch = json!([
            {"op": "add", "path": "/l/-", "value": 3}, {"op": "add", "path": "/l/0", "value": 0},
            {"op": "replace", "path": "/a/b~1c", "value": 2}, {"op": "replace", "path": "/a/new", "value": 5},
            {"op": "copy", "from": "/l/1", "path": "/x"}, {"op": "move", "from": "/x", "path": "/y"},
            {"op": "test", "path": "/y", "value": 1}, {"op": "remove", "path": "/l/1"}]);
        assert_eq!(patched(patch), Ok(json!({"a": {"b/c": 2, "new": 5}, "l": [0, 2, 3], "y": 1})));
    }

    #[test]
    fn what_cannot_be_done_is_rejected_as_a_whole() {
        for operation in [
            json!({"op": "remove", "path": "/none"}),
            json!({"op": "add", "path": "/no/deep", "value": 1}),
            json!({"op": "replace", "path": "/l/5", "value": 1}),
            json!({"op": "test", "path": "/l/0", "value": 9}),
            json!({"op": "frob", "path": "/a"}),
        ] {
            assert_eq!(patched(json!([operation])), Err(REJECTED.to_string()), "{operation}");
        }
        let error = "error decoding patch: json: cannot unmarshal object into Go value of type []handlers.jsonPatchOp";
        assert_eq!(patched(json!({"op": "add"})), Err(error.to_string()));
    }
}
