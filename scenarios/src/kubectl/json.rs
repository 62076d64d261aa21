//! Short ways to read a JSON object by pointer.

use serde_json::Value;

/// The string at `pointer`, or "".
pub(crate) fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or("")
}

/// The integer at `pointer`.
pub(crate) fn integer(object: &Value, pointer: &str) -> Option<i64> {
    object.pointer(pointer).and_then(Value::as_i64)
}

/// The integer at `pointer`, or 0.
pub(crate) fn number(object: &Value, pointer: &str) -> i64 {
    integer(object, pointer).unwrap_or(0)
}

/// The list at `pointer`, or an empty one.
pub(crate) fn list<'a>(object: &'a Value, pointer: &str) -> &'a [Value] {
    object.pointer(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// The map at `pointer` as sorted pairs; values that are no strings are left out.
pub(crate) fn pairs<'a>(object: &'a Value, pointer: &str) -> Vec<(&'a str, &'a str)> {
    let map = object.pointer(pointer).and_then(Value::as_object);
    let mut pairs: Vec<_> = map.into_iter().flatten().filter_map(|(k, v)| Some((k.as_str(), v.as_str()?))).collect();
    pairs.sort_unstable();
    pairs
}

/// metadata.name
pub(crate) fn name(object: &Value) -> &str {
    text(object, "/metadata/name")
}

/// metadata.namespace
pub(crate) fn namespace(object: &Value) -> &str {
    text(object, "/metadata/namespace")
}

/// Whether the object has a deletionTimestamp.
pub(crate) fn is_deleting(object: &Value) -> bool {
    object.pointer("/metadata/deletionTimestamp").is_some_and(|t| !t.is_null())
}

/// The text of a scalar; JSON for anything else.
pub(crate) fn scalar(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// The boolean at `pointer`.
pub(crate) fn boolean(object: &Value, pointer: &str) -> Option<bool> {
    object.pointer(pointer).and_then(Value::as_bool)
}

/// Whether there is something at `pointer`.
pub(crate) fn present(object: &Value, pointer: &str) -> bool {
    object.pointer(pointer).is_some_and(|value| !value.is_null())
}

/// The strings of the list at `pointer`.
pub(crate) fn strings<'a>(object: &'a Value, pointer: &str) -> Vec<&'a str> {
    list(object, pointer).iter().filter_map(Value::as_str).collect()
}

/// The text of the scalar at `pointer`, or "".
pub(crate) fn scalar_at(object: &Value, pointer: &str) -> String {
    object.pointer(pointer).map(scalar).unwrap_or_default()
}

/// The map at `pointer` as sorted pairs of texts, numbers included.
pub(crate) fn amounts(object: &Value, pointer: &str) -> Vec<(String, String)> {
    let map = object.pointer(pointer).and_then(Value::as_object);
    let mut pairs: Vec<_> = map.into_iter().flatten().map(|(key, value)| (key.clone(), scalar(value))).collect();
    pairs.sort();
    pairs
}
