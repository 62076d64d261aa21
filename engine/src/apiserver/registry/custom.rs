//! Objects of kinds that are defined: custom resources, their definitions, and configurations of webhooks.
//!
//! Models: kubernetes v1.36.2 staging/src/k8s.io/apiextensions-apiserver/pkg/registry/{customresource,customresourcedefinition}/{strategy,etcd}.go,
//! pkg/apiserver/customresource_handler.go (decoding: pruning, defaulting), pkg/registry/admissionregistration. Left out: CBOR, server-side
//! apply, versions other than the storage version.

use std::sync::Arc;

use k8s_openapi::api::admissionregistration::v1::{MutatingWebhookConfiguration, ValidatingWebhookConfiguration};
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::{Map, Value, json};

use super::{Context, Write, manifest, put_if_changed, update};
use crate::apiserver::cache::WatchCache;
use crate::apiserver::patch::{self, PatchType};
use crate::apiserver::request::{Answer, Body, FieldValidation, Patch, Subresource, Verb};
use crate::apiserver::status::Status;
use crate::apiserver::validation::{self, ErrorType, FieldError};
use crate::apiserver::{admission, registry};
use crate::objects::custom::{Custom, Defined, ScalePaths, field_at, names_of};
use crate::objects::{Key, Kind, Object, compact, decode, json as api_json, suffix};

/// What defines a kind, as a server knows it; nothing for the kinds by which a cluster is extended.
pub fn defined(cache: &WatchCache, kind: Kind) -> Option<&Arc<Defined>> {
    kind.definition().filter(|definition| !definition.built_in())?;
    let key = Key { namespace: "".into(), name: kind.qualified().into() };
    cache.get(Kind::CRD, &key)?.as_custom()?.defined().filter(|defined| defined.kind == kind)
}

/// The finalizer by which a definition waits until its objects are gone.
pub const CLEANUP: &str = "customresourcecleanup.apiextensions.k8s.io";

/// The object to store.
pub fn create(context: &mut Context<'_>) -> Result<Write, Status> {
    let request = context.request;
    let value = match &request.body {
        Body::Json(value) => value.clone(),
        Body::Object(object) => Arc::new(api_json::to_json(object)),
        _ => return Err(Status::bad_request("the request has no body")),
    };
    let kind = request.kind;
    let (mut meta, mut content) = decoded(context, &value)?;
    let named = manifest::in_namespace(kind, &mut meta, &request.key.namespace)?;
    let shown = if named.is_empty() { meta.generate_name.clone().unwrap_or_default() } else { named };
    admission::admit_namespace(context.cache, kind, &request.key.namespace, &shown)?;
    if meta.name.as_ref().is_none_or(String::is_empty)
        && let Some(prefix) = meta.generate_name.as_ref().filter(|prefix| !prefix.is_empty())
    {
        meta.name = Some(suffix::generate_name(prefix, &mut context.luck));
    }
    if meta.resource_version.as_ref().is_some_and(|version| !version.is_empty()) {
        return Err(Status::internal("resourceVersion should not be set on objects to be created"));
    }
    meta.uid = Some(manifest::random_uid(context).to_string());
    let name = meta.name.clone().unwrap_or_default();
    let defined = defined(context.cache, kind).cloned();
    if defined.as_ref().is_some_and(|defined| defined.status) || kind == Kind::CRD {
        content.remove("status");
    }
    let schema = defined.as_ref().map(|defined| &defined.schema);
    let mut errors = validation::custom(&meta, kind.namespaced(), schema, &content);
    errors.extend(of_extension(kind, &name, &content));
    manifest::refuse(kind, &name, &errors)?;
    if kind == Kind::CRD {
        content.insert("status".into(), first_status(&content));
    }
    let mut meta = compact::metadata(&meta);
    if kind == Kind::CRD && !meta.has_finalizer(CLEANUP) {
        meta.finalizers = meta.finalizers.iter().cloned().chain([CLEANUP.into()]).collect();
    }
    (meta.created, meta.resource_version, meta.deletion, meta.generation) = (context.now, 0, None, 1);
    Ok(Write::Put(Box::new(Object::Custom(Custom::new(kind, meta, content)))))
}

/// The status of a new definition: nothing is accepted yet.
fn first_status(content: &Map<String, Value>) -> Value {
    let spec = content.get("spec").unwrap_or(&Value::Null);
    let versions = spec["versions"].as_array().into_iter().flatten();
    let stored: Vec<&Value> =
        versions.filter(|version| version["storage"] == true).map(|version| &version["name"]).collect();
    json!({"acceptedNames": {"kind": "", "plural": ""}, "conditions": [], "storedVersions": stored})
}

/// What an update or a patch makes of the present state.
pub fn change(context: &mut Context<'_>, current: &Arc<Object>) -> Result<Write, Status> {
    let request = context.request;
    let Object::Custom(old) = &**current else { return Err(Status::internal("the object has another form")) };
    let (value, patch) = match &request.body {
        Body::Json(value) => (value.clone(), None),
        Body::Object(object) => (Arc::new(api_json::to_json(object)), None),
        Body::Patch(Patch::Json(PatchType::StrategicMerge, _))
            if !old.kind.definition().is_some_and(|d| d.built_in()) =>
        {
            return Err(unsupported());
        }
        Body::Patch(Patch::Json(kind, patch)) => {
            let next = patch::apply(old.kind.plural(), *kind, &api_json::to_json(current), patch)
                .map_err(super::patch_errors::refused)?;
            (Arc::new(next), Some((*kind, patch)))
        }
        Body::Patch(_) => return update::update(context, current),
        _ => return Err(Status::bad_request("the request has no body")),
    };
    let (mut meta, mut content) = decoded(context, &value).map_err(|status| match patch {
        Some((kind, patch)) if status.code == 400 => {
            let why = status.message.split_once(": ").map_or(&*status.message, |(_, why)| why);
            super::patch_errors::invalid(kind, patch, &value, why)
        }
        _ => status,
    })?;
    let named = manifest::in_namespace(old.kind, &mut meta, &request.key.namespace)?;
    if named != *request.key.name {
        let why = format!("the name of the object ({named}) does not match the name on the URL ({})", request.key.name);
        return Err(Status::bad_request(why));
    }
    let uid = old.meta.uid.to_string();
    if let Some(meant) = meta.uid.as_ref().filter(|meant| !meant.is_empty() && **meant != uid) {
        return Err(Status::other_uid(current, meant));
    }
    if meta.resource_version.as_ref().is_none_or(String::is_empty) && patch.is_none() && request.verb == Verb::Update {
        return Err(Status::version_needed(current));
    }
    let (old_meta, _) = metadata(&api_json::to_json(current))?;
    manifest::inherit(&mut meta, &old_meta, current)?;
    let defined = defined(context.cache, old.kind).cloned();
    let parted = old.kind == Kind::CRD || defined.as_ref().is_some_and(|defined| defined.status);
    let status_only = request.subresource == Subresource::Status;
    if status_only && !parted {
        return Err(Status::no_such_path());
    }
    if status_only {
        let status = content.remove("status");
        content = (*old.content).clone();
        match status {
            Some(status) => drop(content.insert("status".into(), status)),
            None => drop(content.remove("status")),
        }
    } else if parted {
        match old.content.get("status") {
            Some(status) => drop(content.insert("status".into(), status.clone())),
            None => drop(content.remove("status")),
        }
    }
    let schema = defined.as_ref().map(|defined| &defined.schema);
    let mut errors = validation::custom_update(&meta, &old_meta, schema, &content);
    if !status_only {
        errors.extend(of_extension(old.kind, &old.meta.name, &content));
        errors.extend(unchanged(old, &content));
    }
    manifest::refuse(old.kind, &old.meta.name, &errors)?;
    let mut wanted = compact::metadata(&meta);
    if status_only {
        // Only labels and annotations would come along, and a custom resource's do not.
        wanted = old.meta.clone();
    } else {
        (wanted.created, wanted.deletion, wanted.uid) = (old.meta.created, old.meta.deletion, old.meta.uid);
        (wanted.generation, wanted.resource_version) = (old.meta.generation, old.meta.resource_version);
    }
    let same = if content == *old.content { Some(old.content.clone()) } else { None };
    if !status_only && without_status(&content, parted) != without_status(&old.content, parted) {
        wanted.generation += 1;
    }
    let next = match same {
        Some(content) => Custom { meta: wanted, content, ..old.clone() },
        None if status_only => Custom { meta: wanted, content: Arc::new(content), ..old.clone() },
        None => Custom::new(old.kind, wanted, content),
    };
    let next = Object::Custom(next);
    if update::finalized(current, &next) {
        return Ok(Write::Delete(Arc::new(next)));
    }
    Ok(put_if_changed(current, next))
}

fn without_status(content: &Map<String, Value>, parted: bool) -> Vec<(&String, &Value)> {
    let mut fields: Vec<_> = content.iter().filter(|(field, _)| !(parted && *field == "status")).collect();
    fields.sort_by_key(|(field, _)| *field);
    fields
}

/// What of a definition stays as it was once it is established. Upstream: ValidateCustomResourceDefinitionUpdate.
fn unchanged(old: &Custom, content: &Map<String, Value>) -> Vec<FieldError> {
    let mut errors = Vec::new();
    if old.kind != Kind::CRD {
        return errors;
    }
    let (before, now) = (old.field("spec"), content.get("spec").unwrap_or(&Value::Null));
    for pointer in ["/group", "/scope", "/names/kind", "/names/plural"] {
        let (before, now) = (before.pointer(pointer), now.pointer(pointer));
        if before != now {
            errors.push(FieldError {
                kind: ErrorType::Invalid,
                field: format!("spec{}", pointer.replace('/', ".")),
                value: now.unwrap_or(&Value::Null).to_string(),
                detail: "field is immutable".to_owned(),
            });
        }
    }
    errors
}

fn of_extension(kind: Kind, name: &str, content: &Map<String, Value>) -> Vec<FieldError> {
    match kind {
        Kind::CRD => validation::definition(name, content),
        Kind::MUTATING_WEBHOOKS | Kind::VALIDATING_WEBHOOKS => validation::webhooks(content),
        _ => Vec::new(),
    }
}

/// 415: custom resources know no strategic merge.
fn unsupported() -> Status {
    let message = "the body of the request was in an unknown format - accepted media types include: application/json-patch+json, \
                   application/merge-patch+json, application/apply-patch+yaml";
    Status { code: 415, reason: "UnsupportedMediaType".into(), message: message.into(), details: None }
}

/// Metadata and the rest of a body, without what nobody knows, and with what is missing filled in.
fn decoded(context: &mut Context<'_>, value: &Value) -> Result<(ObjectMeta, Map<String, Value>), Status> {
    let kind = context.request.kind;
    let refused = |why: &str| Status::bad_request(decode::cannot_be_handled(kind.name(), kind.api_version(), why));
    if let Some(given) = value["kind"].as_str().filter(|given| *given != kind.name()) {
        let why =
            format!("the object provided is unrecognized (must be of type {}): couldn't get version/kind", kind.name());
        return Err(refused(&format!("{why}: {given}")));
    }
    let (meta, mut problems) = metadata(value).map_err(|status| refused(&status.message))?;
    let mut content = value.clone();
    if let Some(map) = content.as_object_mut() {
        ["apiVersion", "kind", "metadata"].into_iter().for_each(|field| drop(map.remove(field)));
    }
    match kind {
        Kind::CRD => {
            problems.extend(known::<CustomResourceDefinition>(value, &mut content).map_err(|why| refused(&why))?)
        }
        Kind::MUTATING_WEBHOOKS => {
            problems.extend(known::<MutatingWebhookConfiguration>(value, &mut content).map_err(|why| refused(&why))?);
        }
        Kind::VALIDATING_WEBHOOKS => {
            problems.extend(known::<ValidatingWebhookConfiguration>(value, &mut content).map_err(|why| refused(&why))?);
        }
        _ => {
            if let Some(defined) = defined(context.cache, kind) {
                let mut dropped = Vec::new();
                defined.schema.prune(&mut content, "", &mut dropped);
                problems.extend(dropped.iter().map(|path| format!("unknown field \"{path}\"")));
                defined.schema.fill(&mut content);
            }
        }
    }
    complete(kind, &mut content);
    if !problems.is_empty() {
        match context.request.options.field_validation {
            FieldValidation::Strict => return Err(refused(&decode::strict_error(&problems))),
            FieldValidation::Warn => context.warnings.extend(problems),
            FieldValidation::Ignore => {}
        }
    }
    let Value::Object(content) = content else { return Err(refused("the body is no object")) };
    Ok((meta, content))
}

/// Metadata typed; a config map is nothing but metadata otherwise.
fn metadata(value: &Value) -> Result<(ObjectMeta, Vec<String>), Status> {
    let outcome = decode::decode_as::<ConfigMap>(&json!({"metadata": value["metadata"]}))
        .map_err(|error| Status::bad_request(error.0))?;
    Ok((outcome.object.metadata, outcome.problems))
}

/// What of a value its type does not know; the content is without that afterwards.
fn known<T: serde::de::DeserializeOwned + serde::Serialize>(
    value: &Value,
    content: &mut Value,
) -> Result<Vec<String>, String> {
    let outcome = decode::decode_as::<T>(value).map_err(|error| error.0)?;
    let problems: Vec<String> = outcome.problems.into_iter().filter(|text| !text.contains("\"metadata.")).collect();
    if !problems.is_empty()
        && let Ok(Value::Object(mut typed)) = serde_json::to_value(&outcome.object)
    {
        ["apiVersion", "kind", "metadata"].into_iter().for_each(|field| drop(typed.remove(field)));
        *content = Value::Object(typed);
    }
    Ok(problems)
}

/// The defaults of the kinds by which a cluster is extended.
fn complete(kind: Kind, content: &mut Value) {
    let put = |value: &mut Value, field: &str, default: Value| {
        if let Some(map) = value.as_object_mut() {
            map.entry(field).or_insert(default);
        }
    };
    match kind {
        Kind::CRD if content["spec"].is_object() => {
            let names = names_of(&content["spec"]["names"]);
            content["spec"]["names"] = names;
            put(&mut content["spec"], "conversion", json!({"strategy": "None"}));
        }
        Kind::MUTATING_WEBHOOKS | Kind::VALIDATING_WEBHOOKS => {
            for webhook in content.get_mut("webhooks").and_then(Value::as_array_mut).into_iter().flatten() {
                put(webhook, "failurePolicy", "Fail".into());
                put(webhook, "matchPolicy", "Equivalent".into());
                put(webhook, "namespaceSelector", json!({}));
                put(webhook, "objectSelector", json!({}));
                put(webhook, "timeoutSeconds", 10.into());
                if kind == Kind::MUTATING_WEBHOOKS {
                    put(webhook, "reinvocationPolicy", "Never".into());
                }
                for rule in webhook.get_mut("rules").and_then(Value::as_array_mut).into_iter().flatten() {
                    put(rule, "scope", "*".into());
                }
                if let Some(service) = webhook.pointer_mut("/clientConfig/service") {
                    put(service, "port", 443.into());
                }
            }
        }
        _ => {}
    }
}

/// Reads or changes the scale of a custom resource.
pub fn scale(context: &Context<'_>, current: &Arc<Object>) -> Result<Write, Status> {
    let request = context.request;
    let paths = defined(context.cache, request.kind).and_then(|defined| defined.scale.clone());
    let (Some(paths), Object::Custom(old)) = (paths, &**current) else { return Err(Status::no_such_path()) };
    let present = scale_of(old, &paths);
    let wanted = match (&request.body, request.verb) {
        (_, Verb::Get) => return Ok(Write::Answer(Answer::Json(Arc::new(present)))),
        (Body::Json(value), _) => (**value).clone(),
        (Body::Patch(Patch::Json(kind, value)), _) => {
            patch::apply("scale", *kind, &present, value).map_err(super::patch_errors::refused)?
        }
        _ => return Err(Status::bad_request("the request has no body")),
    };
    let version = wanted["metadata"]["resourceVersion"].as_str().unwrap_or("");
    if !version.is_empty() && version != old.meta.resource_version.to_string() {
        return Err(Status::modified(request.kind, &request.key.name));
    }
    let replicas = wanted["spec"]["replicas"].as_i64().unwrap_or(0);
    if replicas < 0 {
        let (field, value) = ("spec.replicas".to_owned(), replicas.to_string());
        let error =
            FieldError { kind: ErrorType::Invalid, field, value, detail: "should be a non-negative integer".into() };
        let invalid = validation::invalid_status_of("Scale", "autoscaling", &request.key.name, &[error]);
        return Err(Status::from_json(&invalid));
    }
    let mut next = Value::Object((*old.content).clone());
    let steps: Vec<&str> = paths.spec.split('.').filter(|step| !step.is_empty()).collect();
    let mut place = &mut next;
    for step in steps {
        if !place.is_object() {
            *place = json!({});
        }
        place = &mut place[step];
    }
    if place.as_i64() == Some(replicas) {
        return Ok(Write::Answer(Answer::Json(Arc::new(present))));
    }
    *place = replicas.into();
    let Value::Object(content) = next else { return Err(Status::no_such_path()) };
    let mut meta = old.meta.clone();
    meta.generation += 1;
    Ok(Write::Put(Box::new(Object::Custom(Custom { meta, content: Arc::new(content), ..old.clone() }))))
}

/// `autoscaling/v1 Scale` of a custom resource.
fn scale_of(object: &Custom, paths: &ScalePaths) -> Value {
    let content = Value::Object((*object.content).clone());
    let number = |path: &str| field_at(&content, path).and_then(Value::as_i64).unwrap_or(0);
    let (wanted, meta) = (number(&paths.spec), &object.meta);
    let mut status = json!({"replicas": number(&paths.status)});
    if let Some(selector) =
        field_at(&content, &paths.selector).and_then(Value::as_str).filter(|_| !paths.selector.is_empty())
    {
        status["selector"] = selector.into();
    }
    json!({
        "apiVersion": "autoscaling/v1", "kind": "Scale",
        "metadata": {
            "name": *meta.name, "namespace": *meta.namespace, "uid": meta.uid.to_string(),
            "resourceVersion": meta.resource_version.to_string(), "creationTimestamp": api_json::time(meta.created),
        },
        "spec": if wanted == 0 { json!({}) } else { json!({ "replicas": wanted }) },
        "status": status,
    })
}

/// What the client sees of a written custom resource: its scale, if it asked about that.
pub fn shown(request: &registry::Request, cache: &WatchCache, object: &Arc<Object>) -> Option<Answer> {
    let paths = defined(cache, request.kind)?.scale.as_ref()?;
    (request.subresource == Subresource::Scale)
        .then(|| Some(Answer::Json(Arc::new(scale_of(object.as_custom()?, paths)))))
        .flatten()
}
