//! Between JSON and Rhai's values: objects of the cluster on their way into a script, a cluster's description on its
//! way out.

use rhai::{Array, Dynamic, Map};
use serde_json::{Number, Value};

/// A JSON value as a script sees it. Integers beyond 64 signed bits become floats; `null` becomes `()`.
pub fn to_script(value: &Value) -> Dynamic {
    match value {
        Value::Null => Dynamic::UNIT,
        Value::Bool(flag) => (*flag).into(),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(integer), _) => integer.into(),
            (None, Some(float)) => float.into(),
            (None, None) => Dynamic::UNIT,
        },
        Value::String(text) => text.as_str().into(),
        Value::Array(items) => items.iter().map(to_script).collect::<Array>().into(),
        Value::Object(fields) => {
            fields.iter().map(|(name, field)| (name.as_str().into(), to_script(field))).collect::<Map>().into()
        }
    }
}

/// A script's value as JSON; the error names the field that cannot be one.
pub fn to_json(value: &Dynamic) -> Result<Value, String> {
    convert(value, &mut Vec::new())
}

fn convert(value: &Dynamic, path: &mut Vec<String>) -> Result<Value, String> {
    if value.is_unit() {
        return Ok(Value::Null);
    }
    if let Ok(flag) = value.as_bool() {
        return Ok(Value::Bool(flag));
    }
    if let Ok(integer) = value.as_int() {
        return Ok(Value::Number(integer.into()));
    }
    if let Ok(float) = value.as_float() {
        return Number::from_f64(float).map(Value::Number).ok_or_else(|| misfit(path, "is not a finite number"));
    }
    if value.is_string() || value.is_char() {
        return Ok(Value::String(value.to_string()));
    }
    if let Some(items) = value.read_lock::<Array>() {
        return items.iter().enumerate().map(|(i, item)| inside(path, i.to_string(), item)).collect();
    }
    if let Some(fields) = value.read_lock::<Map>() {
        let fields = fields.iter().map(|(name, field)| Ok((name.to_string(), inside(path, name.to_string(), field)?)));
        return fields.collect::<Result<serde_json::Map<_, _>, String>>().map(Value::Object);
    }
    Err(misfit(path, &format!("is of type {}, which is not data", value.type_name())))
}

fn inside(path: &mut Vec<String>, step: String, value: &Dynamic) -> Result<Value, String> {
    path.push(step);
    let result = convert(value, path);
    path.pop();
    result
}

fn misfit(path: &[String], problem: &str) -> String {
    match path.is_empty() {
        true => format!("the value {problem}"),
        false => format!("`{}` {problem}", path.join(".")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_goes_in_and_comes_back() {
        let json: Value = serde_json::from_str(r#"{"a":[1,-2,1.5,true,null,"x"],"b":{"c":{}}}"#).unwrap();
        assert_eq!(to_json(&to_script(&json)), Ok(json));
    }

    #[test]
    fn a_value_that_is_no_data_is_named_by_its_path() {
        let mut inner = Map::new();
        inner.insert("x".into(), Dynamic::from(f64::NAN));
        let mut outer = Map::new();
        outer.insert("nodes".into(), Dynamic::from(vec![Dynamic::from(inner)]));
        assert_eq!(to_json(&outer.into()).unwrap_err(), "`nodes.0.x` is not a finite number");
    }
}
