//! Custom resources against their schema.
//!
//! Models: kubernetes v1.36.2 staging/src/k8s.io/apiextensions-apiserver/pkg/apiserver/validation/validation.go (ValidateCustomResource),
//! pkg/apiserver/schema/listtype/validation.go; k8s.io/kube-openapi pkg/validation/{validate,errors}. Left out: formats but `date-time`
//! and the range of `int32`; CEL rules. Upstream looks at fields in the random order of a Go map; here it is that of their names.

use serde_json::Value;

use super::field::{ErrorType, FieldError};
use super::print::{json, quote};
use crate::objects::calendar;
use crate::objects::custom::Schema;

/// What of a value the schema does not allow; `path` is where the value is, empty for the object itself.
pub fn check(schema: &Schema, value: &Value, path: &str, errors: &mut Vec<FieldError>) {
    let typed = check_type(schema, value, path, errors);
    if value.is_null() && schema.nullable {
        return;
    }
    check_logic(schema, value, path, errors);
    if !schema.one_of_values.is_empty() && !schema.one_of_values.iter().any(|allowed| same(allowed, value)) {
        let allowed: Vec<String> = schema.one_of_values.iter().map(|value| quote(&plain(value))).collect();
        let detail = format!("supported values: {}", allowed.join(", "));
        add(errors, ErrorType::NotSupported, path, shown(value), detail);
    }
    if !typed {
        return;
    }
    match value {
        Value::String(text) => check_text(schema, text, path, errors),
        Value::Number(_) => check_number(schema, value, path, errors),
        Value::Array(items) => check_items(schema, items, path, errors),
        Value::Object(map) => check_fields(schema, map, path, errors),
        Value::Null | Value::Bool(_) => {}
    }
}

/// Whether the value has the schema's type; says so if it has not.
fn check_type(schema: &Schema, value: &Value, path: &str, errors: &mut Vec<FieldError>) -> bool {
    let found = type_of(value);
    let wanted = if schema.int_or_string { "integer,string" } else { schema.kind.as_str() };
    let fits = match wanted {
        "" => !value.is_null() || schema.preserve,
        "integer,string" => matches!(found, "integer" | "string"),
        "number" => matches!(found, "integer" | "number"),
        other => other == found,
    };
    if fits || value.is_null() && (schema.nullable || schema.kind.is_empty() && !schema.int_or_string) {
        return true;
    }
    let detail = format!("{} in body must be of type {wanted}: {}", name(path), quote(found));
    add(errors, ErrorType::Invalid, path, quote(found), detail);
    false
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.as_f64().is_some_and(|number| number.fract() == 0.0) => "integer",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn check_logic(schema: &Schema, value: &Value, path: &str, errors: &mut Vec<FieldError>) {
    let of = |schema: &Schema| {
        let mut found = Vec::new();
        check(schema, value, path, &mut found);
        found
    };
    // What is wrong with the alternative that comes closest, and how many hold.
    let closest = |all: &[Schema]| {
        let results: Vec<Vec<FieldError>> = all.iter().map(of).collect();
        let good = results.iter().filter(|found| found.is_empty()).count();
        (good, results.into_iter().min_by_key(Vec::len).unwrap_or_default())
    };
    let mut say = |text: String| {
        let (field, value) = ("<nil>".to_owned(), quote(""));
        errors.push(FieldError { kind: ErrorType::Invalid, field, value, detail: format!("{} {text}", quote(path)) });
    };
    let mut best = Vec::new();
    if !schema.any_of.is_empty() {
        let (good, failures) = closest(&schema.any_of);
        if good == 0 {
            say("must validate at least one schema (anyOf)".into());
            best.extend(failures);
        }
    }
    if !schema.one_of.is_empty() {
        let (good, failures) = closest(&schema.one_of);
        if good == 0 {
            say("must validate one and only one schema (oneOf). Found none valid".into());
            best.extend(failures);
        } else if good > 1 {
            say(format!("must validate one and only one schema (oneOf). Found {good} valid alternatives"));
        }
    }
    let failures: Vec<FieldError> = schema.all_of.iter().flat_map(of).collect();
    if !failures.is_empty() {
        say("must validate all the schemas (allOf)".into());
        best.extend(failures);
    }
    if schema.not.as_ref().is_some_and(|not| of(not).is_empty()) {
        say("must not validate the schema (not)".into());
    }
    errors.extend(best);
}

fn check_text(schema: &Schema, text: &str, path: &str, errors: &mut Vec<FieldError>) {
    let length = text.chars().count() as u64;
    let mut invalid = |rule: String| {
        add(errors, ErrorType::Invalid, path, quote(text), format!("{} in body {rule}", name(path)));
    };
    match schema.length {
        (_, Some(most)) if length > most => {
            let detail = format!("may not be more than {most} bytes");
            return add(errors, ErrorType::TooLong, path, String::new(), detail);
        }
        (Some(least), _) if length < least => return invalid(format!("should be at least {least} chars long")),
        _ => {}
    }
    if let Some(pattern) = &schema.pattern
        && pattern.compiled.as_ref().is_some_and(|compiled| !compiled.is_match(text))
    {
        invalid(format!("should match '{}'", pattern.text));
    }
    if schema.format == "date-time" && calendar::parse_rfc3339_nanos(text).is_err() {
        invalid(format!("must be of type date-time: {}", quote(text)));
    }
}

fn check_number(schema: &Schema, value: &Value, path: &str, errors: &mut Vec<FieldError>) {
    let Some(number) = value.as_f64() else { return };
    let mut invalid = |rule: &str, bound: &Value| {
        let detail = format!("{} in body should be {rule} {}", name(path), shown(bound));
        add(errors, ErrorType::Invalid, path, shown(value), detail);
    };
    if let Some(factor) = &schema.multiple_of
        && let Some(by) = factor.as_f64().filter(|by| *by > 0.0)
        && (number / by).fract() != 0.0
    {
        invalid("a multiple of", factor);
    }
    if let Some((most, excluded)) = &schema.maximum {
        match most.as_f64() {
            Some(bound) if *excluded && number >= bound => invalid("less than", most),
            Some(bound) if number > bound => invalid("less than or equal to", most),
            _ => {}
        }
    }
    if let Some((least, excluded)) = &schema.minimum {
        match least.as_f64() {
            Some(bound) if *excluded && number <= bound => invalid("greater than", least),
            Some(bound) if number < bound => invalid("greater than or equal to", least),
            _ => {}
        }
    }
}

fn check_items(schema: &Schema, items: &[Value], path: &str, errors: &mut Vec<FieldError>) {
    if let Some(inner) = &schema.items {
        for (place, item) in items.iter().enumerate() {
            check(inner, item, &format!("{path}[{place}]"), errors);
        }
    }
    let count = items.len() as u64;
    match schema.count {
        (Some(least), _) if count < least => {
            let detail = format!("{} in body should have at least {least} items", name(path));
            add(errors, ErrorType::Invalid, path, count.to_string(), detail);
        }
        (_, Some(most)) if count > most => {
            add(errors, ErrorType::TooMany, path, count.to_string(), format!("must have at most {most} items"));
        }
        _ => {}
    }
    for (place, item) in items.iter().enumerate() {
        let before = items.get(..place).unwrap_or_default();
        let at = format!("{path}[{place}]");
        match schema.list_type.as_str() {
            "set" if before.iter().any(|other| same(other, item)) => {
                add(errors, ErrorType::Duplicate, &at, shown(item), String::new());
            }
            "map" => {
                let keys = |item: &Value| -> Value {
                    schema.list_keys.iter().filter_map(|key| Some((key.clone(), item.get(key)?.clone()))).collect()
                };
                if before.iter().any(|other| same(&keys(other), &keys(item))) {
                    add(errors, ErrorType::Duplicate, &at, shown(&keys(item)), String::new());
                }
            }
            _ => {}
        }
    }
}

fn check_fields(schema: &Schema, map: &serde_json::Map<String, Value>, path: &str, errors: &mut Vec<FieldError>) {
    let count = map.len() as u64;
    match schema.fields {
        (Some(least), _) if count < least => {
            let detail = format!("{} in body should have at least {least} properties", name(path));
            add(errors, ErrorType::Invalid, path, count.to_string(), detail);
        }
        (_, Some(most)) if count > most => {
            add(errors, ErrorType::TooMany, path, count.to_string(), format!("must have at most {most} items"));
        }
        _ => {}
    }
    let mut names: Vec<&String> = map.keys().collect();
    names.sort();
    let own = |field: &str| path.is_empty() && ["apiVersion", "kind", "metadata"].contains(&field);
    let below = |field: &str| if path.is_empty() { field.to_owned() } else { format!("{path}.{field}") };
    for field in names.into_iter().filter(|field| !own(field)) {
        if let (Some(inner), Some(value)) = (schema.field(field), map.get(field)) {
            check(inner, value, &below(field), errors);
        }
    }
    for field in schema.required.iter().filter(|field| !map.contains_key(*field)) {
        add(errors, ErrorType::Required, &below(field), String::new(), String::new());
    }
}

fn add(errors: &mut Vec<FieldError>, kind: ErrorType, path: &str, value: String, detail: String) {
    let field = if path.is_empty() { "<nil>".to_owned() } else { path.to_owned() };
    errors.push(FieldError { kind, field, value, detail });
}

/// How messages name a place; the object itself has no name.
fn name(path: &str) -> &str {
    path
}

/// Numbers are the same whatever they are written like.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a.as_f64() == b.as_f64(),
        _ => a == b,
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| json(value).0, str::to_owned)
}

/// As Go prints it in an error.
fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => quote(text),
        Value::Number(number) => match number.as_f64() {
            Some(whole) if whole.fract() == 0.0 && whole.abs() < 1e15 => format!("{}", whole as i64),
            _ => number.to_string(),
        },
        other => json(other).0,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn texts(schema: Value, value: Value) -> Vec<String> {
        let mut errors = Vec::new();
        check(&Schema::of(&schema), &value, "spec.x", &mut errors);
        errors.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn rules_read_as_in_kubernetes() {
        let one = |schema, value| texts(schema, value).join(" | ");
        assert_eq!(
            one(json!({"type": "integer"}), json!("3")),
            "spec.x: Invalid value: \"string\": spec.x in body must be of type integer: \"string\""
        );
        assert_eq!(
            one(json!({"type": "string", "enum": ["a", "b"]}), json!("c")),
            "spec.x: Unsupported value: \"c\": supported values: \"a\", \"b\""
        );
        assert_eq!(
            one(json!({"type": "integer", "minimum": 1}), json!(0)),
            "spec.x: Invalid value: 0: spec.x in body should be greater than or equal to 1"
        );
        assert_eq!(
            one(json!({"type": "integer", "maximum": 10}), json!(11)),
            "spec.x: Invalid value: 11: spec.x in body should be less than or equal to 10"
        );
        assert_eq!(
            one(json!({"type": "string", "pattern": "^a+$"}), json!("b")),
            "spec.x: Invalid value: \"b\": spec.x in body should match '^a+$'"
        );
        assert_eq!(
            one(json!({"type": "string", "maxLength": 2}), json!("abc")),
            "spec.x: Too long: may not be more than 2 bytes"
        );
        assert_eq!(
            one(json!({"type": "object", "required": ["a"], "properties": {"a": {"type": "string"}}}), json!({})),
            "spec.x.a: Required value"
        );
        assert_eq!(
            one(json!({"type": "array", "maxItems": 1, "items": {"type": "string"}}), json!(["a", 1])),
            "spec.x[1]: Invalid value: \"integer\": spec.x[1] in body must be of type string: \"integer\" | spec.x: Too many: 2: \
             must have at most 1 items"
        );
        assert_eq!(
            one(json!({"type": "string"}), Value::Null),
            "spec.x: Invalid value: \"null\": spec.x in body must be of type string: \"null\""
        );
        assert_eq!(one(json!({"type": "string", "nullable": true}), Value::Null), "");
        assert_eq!(one(json!({"x-kubernetes-int-or-string": true}), json!("50%")), "");
        assert_eq!(
            one(json!({"type": "object", "oneOf": [{"required": ["a"]}, {"required": ["b"]}]}), json!({})),
            "<nil>: Invalid value: \"\": \"spec.x\" must validate one and only one schema (oneOf). Found none valid | spec.x.a: Required value"
        );
        let list = json!({"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"],
                          "items": {"type": "object"}});
        assert_eq!(
            one(list, json!([{"name": "a"}, {"name": "a", "b": 1}])),
            "spec.x[1]: Duplicate value: {\"name\":\"a\"}"
        );
    }

    /// The rules once more, as a plain yes or no.
    fn allowed(schema: &Value, value: &Value) -> bool {
        let bound = |name: &str| schema[name].as_f64();
        let typed = match schema["type"].as_str().unwrap_or_default() {
            "integer" => value.as_i64().is_some(),
            "string" => value.is_string(),
            "boolean" => value.is_boolean(),
            "array" => value.is_array(),
            _ => value.is_object(),
        };
        let size =
            value.as_str().map(|text| text.chars().count()).or(value.as_array().map(Vec::len)).unwrap_or(0) as f64;
        typed
            && value
                .as_f64()
                .is_none_or(|n| bound("minimum").is_none_or(|b| n >= b) && bound("maximum").is_none_or(|b| n <= b))
            && (!value.is_string()
                || bound("minLength").is_none_or(|b| size >= b) && bound("maxLength").is_none_or(|b| size <= b))
            && (!value.is_array()
                || bound("minItems").is_none_or(|b| size >= b) && bound("maxItems").is_none_or(|b| size <= b))
            && value.as_array().is_none_or(|items| items.iter().all(|item| allowed(&schema["items"], item)))
            && schema["required"]
                .as_array()
                .is_none_or(|names| names.iter().all(|name| value.get(name.as_str().unwrap_or_default()).is_some()))
            && schema["properties"].as_object().is_none_or(|fields| {
                fields.iter().all(|(name, schema)| value.get(name).is_none_or(|value| allowed(schema, value)))
            })
    }

    fn schemas() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            (0..4i64, 0..4i64).prop_map(|(a, b)| json!({"type": "integer", "minimum": a, "maximum": a + b})),
            (0..3u64, 0..3u64).prop_map(|(a, b)| json!({"type": "string", "minLength": a, "maxLength": a + b})),
            Just(json!({"type": "boolean"})),
        ];
        leaf.prop_recursive(3, 12, 3, |inner| {
            prop_oneof![
                (inner.clone(), 0..3u64, 0..3u64).prop_map(
                    |(items, a, b)| json!({"type": "array", "items": items, "minItems": a, "maxItems": a + b})
                ),
                (inner.clone(), inner, any::<bool>()).prop_map(|(a, b, must)| {
                    let required = if must { json!(["a"]) } else { json!([]) };
                    json!({"type": "object", "properties": {"a": a, "b": b}, "required": required})
                }),
            ]
        })
    }

    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            (-1..8i64).prop_map(Value::from),
            "[ab]{0,5}".prop_map(Value::from),
            any::<bool>().prop_map(Value::from)
        ];
        leaf.prop_recursive(3, 12, 3, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                (prop::option::of(inner.clone()), prop::option::of(inner)).prop_map(|(a, b)| {
                    [("a", a), ("b", b)]
                        .into_iter()
                        .filter_map(|(name, value)| Some((name.to_owned(), value?)))
                        .collect()
                }),
            ]
        })
    }

    proptest! {
        #[test]
        fn errors_are_found_exactly_where_a_plain_check_says_no(schema in schemas(), value in values()) {
            prop_assert_eq!(texts(schema.clone(), value.clone()).is_empty(), allowed(&schema, &value));
        }
    }
}
