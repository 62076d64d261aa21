//! The schema of custom resources, compiled; what it drops and what it fills in.
//!
//! Models: kubernetes v1.36.2 staging/src/k8s.io/apiextensions-apiserver/pkg/apiserver/schema/{structural,convert}.go, pruning/algorithm.go,
//! defaulting/{algorithm,prune}.go. Left out: embedded resources' metadata is not coerced; `x-kubernetes-validations` (CEL).

use std::collections::BTreeMap;

use regex::Regex;
use serde_json::{Map, Value};

/// A schema.
#[derive(Clone, Debug, Default)]
pub struct Schema {
    /// `object`, `array`, `string`, `integer`, `number`, `boolean`; empty for any.
    pub kind: String,
    /// `int32`, `date-time`, …; empty for none.
    pub format: String,
    /// Whether null is a value.
    pub nullable: bool,
    /// Unknown fields stay.
    pub preserve: bool,
    /// A number or a text.
    pub int_or_string: bool,
    /// An object with apiVersion, kind and metadata of its own.
    pub embedded: bool,
    /// The fields of an object.
    pub properties: BTreeMap<String, Schema>,
    /// What other fields an object may have.
    pub additional: Additional,
    /// The items of a list.
    pub items: Option<Box<Schema>>,
    /// Fields that must be there.
    pub required: Vec<String>,
    /// What a missing value is.
    pub default: Option<Value>,
    /// The only values, if there are such.
    pub one_of_values: Vec<Value>,
    /// The least number, and whether it is itself excluded.
    pub minimum: Option<(Value, bool)>,
    /// The greatest number, and whether it is itself excluded.
    pub maximum: Option<(Value, bool)>,
    /// What a number is a multiple of.
    pub multiple_of: Option<Value>,
    /// How long a text is. [characters]
    pub length: (Option<u64>, Option<u64>),
    /// What a text looks like.
    pub pattern: Option<Pattern>,
    /// How many items a list has.
    pub count: (Option<u64>, Option<u64>),
    /// How many fields an object has.
    pub fields: (Option<u64>, Option<u64>),
    /// `set` or `map`: no two items are the same, or have the same keys. Empty for neither.
    pub list_type: String,
    /// The keys of a `map`.
    pub list_keys: Vec<String>,
    /// Schemas all of which hold.
    pub all_of: Vec<Schema>,
    /// Schemas one of which holds.
    pub any_of: Vec<Schema>,
    /// Schemas exactly one of which holds.
    pub one_of: Vec<Schema>,
    /// A schema that does not hold.
    pub not: Option<Box<Schema>>,
}

/// What other fields an object may have.
#[derive(Clone, Debug, Default)]
pub enum Additional {
    /// None: they are dropped.
    #[default]
    None,
    /// Whatever.
    Any,
    /// These.
    Of(Box<Schema>),
}

/// A regular expression and how it was written.
#[derive(Clone, Debug)]
pub struct Pattern {
    /// As written.
    pub text: String,
    /// `None` if it is none that we understand: everything fits.
    pub compiled: Option<Regex>,
}

impl Schema {
    /// The schema of an `openAPIV3Schema`.
    pub fn of(value: &Value) -> Self {
        let text = |field: &str| value[field].as_str().unwrap_or_default().to_owned();
        let flag = |field: &str| value[field] == true;
        let list =
            |field: &str| -> Vec<Schema> { value[field].as_array().into_iter().flatten().map(Schema::of).collect() };
        let texts = |field: &str| -> Vec<String> {
            value[field].as_array().into_iter().flatten().filter_map(|text| Some(text.as_str()?.to_owned())).collect()
        };
        let number = |field: &str| Some(value[field].clone()).filter(Value::is_number);
        let size = |field: &str| value[field].as_u64();
        let schema =
            |field: &str| value.get(field).filter(|inner| inner.is_object()).map(|inner| Box::new(Schema::of(inner)));
        Schema {
            kind: text("type"),
            format: text("format"),
            nullable: flag("nullable"),
            preserve: flag("x-kubernetes-preserve-unknown-fields"),
            int_or_string: flag("x-kubernetes-int-or-string"),
            embedded: flag("x-kubernetes-embedded-resource"),
            properties: value["properties"]
                .as_object()
                .into_iter()
                .flatten()
                .map(|(name, inner)| (name.clone(), Schema::of(inner)))
                .collect(),
            additional: match &value["additionalProperties"] {
                Value::Bool(true) => Additional::Any,
                inner @ Value::Object(_) => Additional::Of(Box::new(Schema::of(inner))),
                _ => Additional::None,
            },
            items: schema("items"),
            required: texts("required"),
            default: value.get("default").cloned(),
            one_of_values: value["enum"].as_array().cloned().unwrap_or_default(),
            minimum: number("minimum").map(|least| (least, flag("exclusiveMinimum"))),
            maximum: number("maximum").map(|most| (most, flag("exclusiveMaximum"))),
            multiple_of: number("multipleOf"),
            length: (size("minLength"), size("maxLength")),
            pattern: value["pattern"]
                .as_str()
                .filter(|text| !text.is_empty())
                .map(|text| Pattern { text: text.to_owned(), compiled: Regex::new(text).ok() }),
            count: (size("minItems"), size("maxItems")),
            fields: (size("minProperties"), size("maxProperties")),
            list_type: Some(text("x-kubernetes-list-type")).filter(|kind| kind != "atomic").unwrap_or_default(),
            list_keys: texts("x-kubernetes-list-map-keys"),
            all_of: list("allOf"),
            any_of: list("anyOf"),
            one_of: list("oneOf"),
            not: schema("not"),
        }
    }

    /// The schema of a field of an object, if the object may have it.
    pub fn field(&self, name: &str) -> Option<&Schema> {
        self.properties.get(name).or(match &self.additional {
            Additional::Of(schema) => Some(schema),
            _ => None,
        })
    }

    /// Drops the fields that the schema does not know; their paths are added to `dropped`.
    pub fn prune(&self, value: &mut Value, path: &str, dropped: &mut Vec<String>) {
        match value {
            Value::Object(map) => self.prune_fields(map, path, dropped),
            Value::Array(items) => {
                for (place, item) in items.iter_mut().enumerate() {
                    let path = format!("{path}[{place}]");
                    match &self.items {
                        Some(schema) => schema.prune(item, &path, dropped),
                        None if self.preserve => {}
                        None => Schema::default().prune(item, &path, dropped),
                    }
                }
            }
            _ => {}
        }
    }

    fn prune_fields(&self, map: &mut Map<String, Value>, path: &str, dropped: &mut Vec<String>) {
        let own = |name: &str| self.embedded && ["apiVersion", "kind", "metadata"].contains(&name);
        let any = self.preserve || matches!(self.additional, Additional::Any);
        let mut names: Vec<String> = map.keys().cloned().collect();
        names.sort();
        for name in names.into_iter().filter(|name| !own(name)) {
            let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            match self.field(&name) {
                Some(schema) => {
                    if let Some(value) = map.get_mut(&name) {
                        schema.prune(value, &path, dropped);
                    }
                }
                None if any => {}
                None => {
                    map.remove(&name);
                    dropped.push(path);
                }
            }
        }
    }

    /// Fills in the defaults of what is missing; a null that may not be one counts as missing where there is a default.
    pub fn fill(&self, value: &mut Value) {
        match value {
            Value::Object(map) => {
                for (name, schema) in &self.properties {
                    let Some(default) = &schema.default else { continue };
                    if map.get(name).is_none_or(|given| given.is_null() && !schema.nullable) {
                        map.insert(name.clone(), default.clone());
                    }
                }
                for (name, inner) in map.iter_mut() {
                    if let Some(schema) = self.field(name) {
                        schema.fill(inner);
                    }
                }
            }
            Value::Array(items) => {
                if let Some(schema) = &self.items {
                    items.iter_mut().for_each(|item| schema.fill(item));
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn unknown_fields_are_dropped_and_defaults_filled_in() {
        let schema = Schema::of(&json!({"type": "object", "properties": {
            "spec": {"type": "object", "properties": {
                "replicas": {"type": "integer", "default": 1},
                "raw": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
                "labels": {"type": "object", "additionalProperties": {"type": "string"}},
                "items": {"type": "array", "items": {"type": "object", "properties": {"name": {"type": "string", "default": "x"}}}},
                "maybe": {"type": "string", "nullable": true, "default": "d"}}}}}));
        let mut value = json!({"spec": {"replica": 3, "raw": {"a": {"b": 1}}, "labels": {"x": "y"}, "maybe": null,
                                        "items": [{"nam": "a"}, {"name": "b"}]}, "other": 1});
        let mut dropped = Vec::new();
        schema.prune(&mut value, "", &mut dropped);
        assert_eq!(dropped, ["other", "spec.items[0].nam", "spec.replica"]);
        schema.fill(&mut value);
        assert_eq!(
            value,
            json!({"spec": {"replicas": 1, "raw": {"a": {"b": 1}}, "labels": {"x": "y"}, "maybe": null,
                            "items": [{"name": "x"}, {"name": "b"}]}})
        );
        // Only where the parent is.
        let mut empty = json!({});
        schema.fill(&mut empty);
        assert_eq!(empty, json!({}));
    }
}
