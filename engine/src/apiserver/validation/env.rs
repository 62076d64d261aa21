//! Environment variables and references to fields, resources and keys.
//!
//! Models: kubernetes v1.36.2 pkg/apis/core/validation/validation.go (ValidateEnv, ValidateEnvFrom,
//! validateObjectFieldSelector, validateContainerResourceFieldSelector), pkg/apis/core/pods/helpers.go.

use k8s_openapi::api::core::v1::{EnvFromSource, EnvVar, ObjectFieldSelector, ResourceFieldSelector};

use super::field::{Errors, Path};
use super::names;
use crate::objects::quantity::Quantity;

/// Fields an environment variable can refer to, sorted.
const ENV_FIELDS: [&str; 9] = [
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
];
/// Fields a file of a volume can refer to, sorted.
pub(super) const VOLUME_FIELDS: [&str; 5] =
    ["metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid"];
/// Resources a variable or file can refer to, sorted.
const RESOURCES: [&str; 6] = [
    "limits.cpu",
    "limits.ephemeral-storage",
    "limits.memory",
    "requests.cpu",
    "requests.ephemeral-storage",
    "requests.memory",
];
/// What a number of bytes can be divided by.
const DIVISORS: [&str; 13] = ["1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei"];

/// The variables of a container.
pub(super) fn vars(vars: &[EnvVar], path: &Path<'_>, errors: &mut Errors) {
    for (index, var) in vars.iter().enumerate() {
        let path = path.index(index);
        if var.name.is_empty() {
            errors.required(&path.child("name"), "");
        } else {
            errors.invalid_each(&path.child("name"), &var.name, &names::env_name(&var.name));
        }
        value_from(var, &path.child("valueFrom"), errors);
    }
}

fn value_from(var: &EnvVar, path: &Path<'_>, errors: &mut Errors) {
    let Some(source) = &var.value_from else { return };
    let mut sources = 0;
    if let Some(reference) = &source.field_ref {
        sources += 1;
        field(reference, &ENV_FIELDS, &path.child("fieldRef"), errors);
    }
    if let Some(reference) = &source.resource_field_ref {
        sources += 1;
        resource(reference, false, &path.child("resourceFieldRef"), errors);
    }
    if let Some(reference) = &source.config_map_key_ref {
        sources += 1;
        key(&reference.name, &reference.key, &path.child("configMapKeyRef"), errors);
    }
    if let Some(reference) = &source.secret_key_ref {
        sources += 1;
        key(&reference.name, &reference.key, &path.child("secretKeyRef"), errors);
    }
    if source.file_key_ref.is_some() {
        sources += 1;
    }
    if sources == 0 {
        errors.invalid(
            path,
            "",
            "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`",
        );
    } else if var.value.as_ref().is_some_and(|value| !value.is_empty()) {
        errors.invalid(path, "", "may not be specified when `value` is not empty");
    } else if sources > 1 {
        errors.invalid(path, "", "may not have more than one field specified at a time");
    }
}

fn key(name: &str, key: &str, path: &Path<'_>, errors: &mut Errors) {
    errors.invalid_each(&path.child("name"), name, &names::object_name(name, false));
    if key.is_empty() {
        errors.required(&path.child("key"), "");
    } else {
        errors.invalid_each(&path.child("key"), key, &names::config_key(key));
    }
}

/// A reference to a field of the pod.
pub(super) fn field(reference: &ObjectFieldSelector, known: &[&str], path: &Path<'_>, errors: &mut Errors) {
    let version = reference.api_version.as_deref().unwrap_or_default();
    let field = reference.field_path.as_str();
    if version.is_empty() {
        return errors.required(&path.child("apiVersion"), "");
    }
    if field.is_empty() {
        return errors.required(&path.child("fieldPath"), "");
    }
    let subscript = field.strip_suffix("']").and_then(|rest| rest.split_once("['"));
    if let Err(why) = convertible(version, field, subscript) {
        let detail = format!("error converting fieldPath: {why}");
        return errors.invalid(&path.child("fieldPath"), field, detail);
    }
    match subscript {
        Some(("metadata.annotations", name)) => {
            let name = name.to_lowercase();
            errors.invalid_each(path, &name, &names::qualified_name(&name));
        }
        Some((_, name)) => errors.invalid_each(path, name, &names::qualified_name(name)),
        None if !known.contains(&field) => errors.not_supported(&path.child("fieldPath"), field, known),
        None => {}
    }
}

fn convertible(version: &str, field: &str, subscript: Option<(&str, &str)>) -> Result<(), String> {
    if version != "v1" {
        return Err(format!("unsupported pod version: {version}"));
    }
    if let Some((path, _)) = subscript {
        return match path {
            "metadata.annotations" | "metadata.labels" => Ok(()),
            _ => Err(format!("field label does not support subscript: {field}")),
        };
    }
    let known = ENV_FIELDS.contains(&field)
        || VOLUME_FIELDS.contains(&field)
        || matches!(field, "spec.restartPolicy" | "spec.schedulerName" | "status.phase" | "spec.host");
    if known { Ok(()) } else { Err(format!("field label not supported: {field}")) }
}

/// A reference to a resource of a container; in a volume the container must be named.
pub(super) fn resource(reference: &ResourceFieldSelector, volume: bool, path: &Path<'_>, errors: &mut Errors) {
    let name = reference.resource.as_str();
    let huge = name.starts_with("requests.hugepages-") || name.starts_with("limits.hugepages-");
    if volume && reference.container_name.as_ref().is_none_or(String::is_empty) {
        errors.required(&path.child("containerName"), "");
    } else if name.is_empty() {
        errors.required(&path.child("resource"), "");
    } else if !RESOURCES.contains(&name) && !huge {
        errors.not_supported(&path.child("resource"), name, &RESOURCES);
    }
    let Some(divisor) = reference.divisor.as_ref().and_then(|divisor| Quantity::try_from(divisor).ok()) else { return };
    let text = divisor.canonical();
    let bytes =
        |kind: &str| format!("only divisor's values {} are supported with the {kind} resource", DIVISORS.join(", "));
    let (fine, rule) = match name.split_once('.').map_or("", |(_, kind)| kind) {
        "cpu" => {
            let rule = "only divisor's values 1m and 1 are supported with the cpu resource".to_owned();
            (text == "1m" || text == "1", rule)
        }
        "memory" => (DIVISORS.contains(&text.as_str()), bytes("memory")),
        "ephemeral-storage" => (DIVISORS.contains(&text.as_str()), bytes("local ephemeral storage")),
        _ if huge => (DIVISORS.contains(&text.as_str()), bytes("hugepages")),
        _ => return,
    };
    if !divisor.is_zero() && !fine {
        errors.invalid(&path.child("divisor"), name, rule);
    }
}

/// Whole ConfigMaps and Secrets as variables.
pub(super) fn from(sources: &[EnvFromSource], path: &Path<'_>, errors: &mut Errors) {
    for (index, source) in sources.iter().enumerate() {
        let item = path.index(index);
        if let Some(prefix) = source.prefix.as_deref().filter(|prefix| !prefix.is_empty()) {
            errors.invalid_each(&item.child("prefix"), prefix, &names::env_name(prefix));
        }
        let map = source.config_map_ref.as_ref().map(|reference| ("configMapRef", &reference.name));
        let secret = source.secret_ref.as_ref().map(|reference| ("secretRef", &reference.name));
        for (field, name) in [map, secret].into_iter().flatten() {
            let path = item.child(field);
            if name.is_empty() {
                errors.required(&path.child("name"), "");
            } else {
                errors.invalid_each(&path.child("name"), name, &names::object_name(name, true));
            }
        }
        match (map, secret) {
            (None, None) => errors.invalid(path, "", "must specify one of: `configMapRef` or `secretRef`"),
            (Some(_), Some(_)) => errors.invalid(path, "", "may not have more than one field specified at a time"),
            _ => {}
        }
    }
}
