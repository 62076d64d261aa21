//! CustomResourceDefinitions, configurations of webhooks, and what custom resources have in common.
//!
//! Models: kubernetes v1.36.2 staging/src/k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/validation/validation.go,
//! pkg/apiserver/schema/validation.go (structural schemas), pkg/registry/customresource/validator.go;
//! pkg/apis/admissionregistration/validation/validation.go. Left out: validity of defaults, CEL, conversion webhooks, limits on the
//! size of schemas, rules and client configurations of webhooks.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::{Map, Value};

use super::field::{ErrorType, Errors, FieldError, Path};
use super::print::{json, quote};
use super::{metadata, names, schema};
use crate::objects::custom::Schema;

/// A custom resource that is to be created.
pub fn custom(
    meta: &ObjectMeta,
    namespaced: bool,
    schema: Option<&Schema>,
    content: &Map<String, Value>,
) -> Vec<FieldError> {
    let mut errors = Errors::default();
    metadata::generic(meta, namespaced, names::object_name, &mut errors);
    let mut errors = errors.into_vec();
    if let Some(schema) = schema {
        schema::check(schema, &Value::Object(content.clone()), "", &mut errors);
    }
    errors
}

/// A custom resource that is to be changed.
pub fn custom_update(
    new: &ObjectMeta,
    old: &ObjectMeta,
    schema: Option<&Schema>,
    content: &Map<String, Value>,
) -> Vec<FieldError> {
    let mut errors = Errors::default();
    metadata::generic_update(new, old, &mut errors);
    let mut errors = errors.into_vec();
    if let Some(schema) = schema {
        schema::check(schema, &Value::Object(content.clone()), "", &mut errors);
    }
    errors
}

/// A CustomResourceDefinition.
pub fn definition(name: &str, content: &Map<String, Value>) -> Vec<FieldError> {
    let mut errors = Errors::default();
    let empty = Value::Null;
    let of = content.get("spec").unwrap_or(&empty);
    let text = |value: &'_ Value| value.as_str().unwrap_or_default().to_owned();
    let (group, given) = (text(&of["group"]), &of["names"]);
    if name != format!("{}.{group}", text(&given["plural"])) {
        errors.invalid(&Path::root("metadata").child("name"), name, "must be spec.names.plural+\".\"+spec.group");
    }
    let spec = Path::root("spec");
    match group.as_str() {
        "" => errors.required(&spec.child("group"), ""),
        group => {
            let wrong = names::dns_subdomain(group);
            if !wrong.is_empty() {
                errors.invalid(&spec.child("group"), group, wrong.join(","));
            } else if !group.contains('.') {
                errors.invalid(&spec.child("group"), group, "should be a domain with at least one dot");
            }
        }
    }
    match text(&of["scope"]).as_str() {
        "" => errors.required(&spec.child("scope"), ""),
        "Cluster" | "Namespaced" => {}
        other => errors.not_supported(&spec.child("scope"), other, &["Cluster", "Namespaced"]),
    }
    versions(of, &spec, &mut errors);
    let names_path = spec.child("names");
    for field in ["plural", "singular", "kind", "listKind"] {
        let value = text(&given[field]);
        let path = names_path.child(field);
        if value.is_empty() {
            errors.required(&path, "");
            continue;
        }
        let wrong = names::service_name(&value.to_lowercase(), false);
        if field.ends_with("ind") && !wrong.is_empty() {
            let detail = format!("may have mixed case, but should otherwise match: {}", wrong.join(","));
            errors.invalid(&path, &value, detail);
        } else if !field.ends_with("ind") {
            let wrong = names::service_name(&value, false);
            if !wrong.is_empty() {
                errors.invalid(&path, &value, wrong.join(","));
            }
        }
    }
    if !text(&given["kind"]).is_empty() && given["kind"] == given["listKind"] {
        errors.invalid(
            &names_path.child("listKind"),
            text(&given["listKind"]).as_str(),
            "kind and listKind may not be the same",
        );
    }
    let mut errors = errors.into_vec();
    structural(of, &mut errors);
    errors
}

fn versions(of: &Value, spec: &Path<'_>, errors: &mut Errors) {
    let all = of["versions"].as_array().map_or(&[][..], Vec::as_slice);
    let path = spec.child("versions");
    let mut seen: Vec<&str> = Vec::new();
    let mut unique = true;
    for (place, version) in all.iter().enumerate() {
        let here = path.index(place);
        let name = version["name"].as_str().unwrap_or_default();
        unique = unique && !seen.contains(&name);
        seen.push(name);
        let wrong = names::service_name(name, false);
        if !wrong.is_empty() {
            errors.invalid(&here.child("name"), name, wrong.join(","));
        }
        if !version["schema"]["openAPIV3Schema"].is_object() {
            errors.required(&here.child("schema").child("openAPIV3Schema"), "schemas are required");
        }
    }
    if !unique {
        errors.invalid(&path, json(all), "must contain unique version names");
    }
    if all.iter().filter(|version| version["storage"] == true).count() != 1 {
        errors.invalid(&path, json(all), "must have exactly one version marked as storage version");
    }
}

/// The schemas must say what everything in them is. One that all versions share is looked at once, under its old place.
fn structural(of: &Value, errors: &mut Vec<FieldError>) {
    let all = of["versions"].as_array().map_or(&[][..], Vec::as_slice);
    let schemas: Vec<&Value> = all.iter().map(|version| &version["schema"]["openAPIV3Schema"]).collect();
    let shared = schemas.windows(2).all(|pair| pair.first() == pair.last());
    for (place, schema) in schemas.iter().enumerate() {
        if !schema.is_object() || shared && place > 0 {
            continue;
        }
        let path = if shared {
            "spec.validation.openAPIV3Schema".to_owned()
        } else {
            format!("spec.versions[{place}].schema.openAPIV3Schema")
        };
        level(schema, &path, Level::Root, errors);
    }
}

/// Where in a schema we are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Level {
    Root,
    Item,
    Field,
}

fn level(schema: &Value, path: &str, at: Level, errors: &mut Vec<FieldError>) {
    let mut say = |kind: ErrorType, field: &str, value: String, detail: &str| {
        errors.push(FieldError { kind, field: format!("{path}.{field}"), value, detail: detail.to_owned() });
    };
    let (kind, flag) = (schema["type"].as_str().unwrap_or_default(), |name: &str| schema[name] == true);
    let loose = flag("x-kubernetes-int-or-string") || flag("x-kubernetes-preserve-unknown-fields") && at != Level::Root;
    match (kind, at) {
        ("", _) if loose => {}
        ("", Level::Root) => say(ErrorType::Required, "type", String::new(), "must not be empty at the root"),
        ("", Level::Item) => {
            say(ErrorType::Required, "type", String::new(), "must not be empty for specified array items")
        }
        ("", Level::Field) => {
            say(ErrorType::Required, "type", String::new(), "must not be empty for specified object fields")
        }
        ("object", _) => {}
        (kind, Level::Root) => say(ErrorType::Invalid, "type", quote(kind), "must be object at the root"),
        ("array" | "boolean" | "integer" | "number" | "string", _) => {}
        (kind, _) => {
            const TYPES: &str = "\"array\", \"boolean\", \"integer\", \"number\", \"object\", \"string\"";
            say(ErrorType::NotSupported, "type", quote(kind), &format!("supported values: {TYPES}"));
        }
    }
    if at == Level::Root && flag("nullable") {
        say(ErrorType::Forbidden, "nullable", String::new(), "nullable cannot be true at the root");
    }
    if flag("uniqueItems") {
        let why = "uniqueItems cannot be set to true since the runtime complexity becomes quadratic";
        say(ErrorType::Forbidden, "uniqueItems", String::new(), why);
    }
    if kind == "array" && !schema["items"].is_object() {
        say(ErrorType::Required, "items", String::new(), "must be specified");
    }
    let both = schema["properties"].as_object().is_some_and(|fields| !fields.is_empty());
    if both && schema.get("additionalProperties").is_some_and(|given| *given != false) {
        let why = "additionalProperties and properties are mutual exclusive";
        say(ErrorType::Forbidden, "additionalProperties", String::new(), why);
    }
    let mut fields: Vec<_> = schema["properties"].as_object().into_iter().flatten().collect();
    fields.sort_by_key(|(name, _)| *name);
    for (name, inner) in fields {
        level(inner, &format!("{path}.properties[{name}]"), Level::Field, errors);
    }
    if schema["additionalProperties"].is_object() {
        level(&schema["additionalProperties"], &format!("{path}.additionalProperties"), Level::Field, errors);
    }
    if schema["items"].is_object() {
        level(&schema["items"], &format!("{path}.items"), Level::Item, errors);
    }
}

/// The webhooks of a configuration.
pub fn webhooks(content: &Map<String, Value>) -> Vec<FieldError> {
    let mut errors = Errors::default();
    let root = Path::root("webhooks");
    let all = content.get("webhooks").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let mut seen: Vec<&str> = Vec::new();
    for (place, webhook) in all.iter().enumerate() {
        let here = root.index(place);
        let name = webhook["name"].as_str().unwrap_or_default();
        if name.is_empty() {
            errors.required(&here.child("name"), "");
        } else if name.split('.').count() < 3 {
            let why = "should be a domain with at least three segments separated by dots";
            errors.invalid(&here.child("name"), name, why);
        }
        if seen.contains(&name) {
            errors.duplicate(&here.child("name"), name);
        }
        seen.push(name);
        let versions = webhook["admissionReviewVersions"].as_array().map_or(0, Vec::len);
        if versions == 0 {
            errors.required(&here.child("admissionReviewVersions"), "must specify one of v1, v1beta1");
        }
        match webhook["sideEffects"].as_str().unwrap_or_default() {
            "" => errors.required(&here.child("sideEffects"), "must specify one of None, NoneOnDryRun"),
            "None" | "NoneOnDryRun" => {}
            other => errors.not_supported(&here.child("sideEffects"), other, &["None", "NoneOnDryRun"]),
        }
        match webhook["failurePolicy"].as_str().unwrap_or("Fail") {
            "Fail" | "Ignore" => {}
            other => errors.not_supported(&here.child("failurePolicy"), other, &["Fail", "Ignore"]),
        }
        let timeout = webhook["timeoutSeconds"].as_i64().unwrap_or(10);
        if !(1..=30).contains(&timeout) {
            let why = "the timeout value must be between 1 and 30 seconds";
            errors.invalid(&here.child("timeoutSeconds"), timeout, why);
        }
    }
    errors.into_vec()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn texts(name: &str, content: Value) -> Vec<String> {
        let Value::Object(content) = content else { panic!("an object") };
        definition(name, &content).iter().map(ToString::to_string).collect()
    }

    fn spec() -> Value {
        json!({"spec": {"group": "example.com", "scope": "Namespaced",
            "names": {"plural": "crontabs", "singular": "crontab", "kind": "CronTab", "listKind": "CronTabList"},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {"type": "object",
                "properties": {"spec": {"type": "object", "properties": {"replicas": {"type": "integer"}}}}}}}]}})
    }

    #[test]
    fn a_definition_must_be_named_after_its_kind_and_say_what_everything_is() {
        assert_eq!(texts("crontabs.example.com", spec()), [""; 0]);
        assert_eq!(
            texts("crontab.example.com", spec()),
            ["metadata.name: Invalid value: \"crontab.example.com\": must be spec.names.plural+\".\"+spec.group"]
        );
        let mut loose = spec();
        loose["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"] =
            json!({"properties": {"a": {}}});
        assert_eq!(
            texts("crontabs.example.com", loose),
            [
                "spec.validation.openAPIV3Schema.properties[spec].type: Required value: must not be empty for specified object fields",
                "spec.validation.openAPIV3Schema.properties[spec].properties[a].type: Required value: must not be empty for specified \
                 object fields"
            ]
        );
        let mut unstored = spec();
        unstored["spec"]["versions"][0]["storage"] = false.into();
        let said = texts("crontabs.example.com", unstored);
        assert!(said[0].ends_with("must have exactly one version marked as storage version"), "{said:?}");
        let mut bare = spec();
        bare["spec"]["versions"][0]["schema"] = Value::Null;
        assert_eq!(
            texts("crontabs.example.com", bare),
            ["spec.versions[0].schema.openAPIV3Schema: Required value: schemas are required"]
        );
    }
}
