//! Between kubectl's requests, which are JSON, and the engine's.

use std::sync::Arc;

use serde_json::{Value, json};
use wavetank_engine::apiserver::patch::PatchType;
use wavetank_engine::apiserver::request::{
    Answer, Body, DeleteOptions, FieldValidation, ListOptions, Patch, Propagation, Request, Subresource, Verb,
    WriteOptions,
};
use wavetank_engine::client::Agent;
use wavetank_engine::kernel::Endpoint;
use wavetank_engine::objects::{Key, Kind, Object, Uid, json as api_json};

use crate::kubectl::{self, ApiCall, ApiVerb};

/// The engine's form of a request; the error is the Status a real API server would answer with.
pub(super) fn request(
    call: &ApiCall,
    kinds: &[Kind],
    number: u64,
    agent: Agent,
    sequence: u64,
) -> Result<Request, Value> {
    let kind = kind(call, kinds).ok_or_else(|| not_simulated(call))?;
    let subresource = match call.subresource.as_deref() {
        None => Subresource::None,
        Some("status") => Subresource::Status,
        Some("scale") => Subresource::Scale,
        Some("binding") => Subresource::Binding,
        Some("token") => Subresource::Token,
        Some("eviction") => Subresource::Eviction,
        Some("log") => Subresource::Log,
        Some("exec") => Subresource::Exec,
        Some(_) => return Err(unknown_path()),
    };
    let (verb, body) = match call.verb {
        ApiVerb::Get => (Verb::Get, Body::None),
        ApiVerb::List => (Verb::List, list(call)?),
        ApiVerb::Watch => (Verb::Watch, list(call)?),
        ApiVerb::Create => (Verb::Create, content(call)),
        ApiVerb::Update => (Verb::Update, content(call)),
        ApiVerb::Patch(kind) => {
            let patch = Arc::new(call.body.clone().unwrap_or_default());
            (Verb::Patch, Body::Patch(Patch::Json(patch_type(kind), patch)))
        }
        ApiVerb::Delete => (Verb::Delete, Body::Delete(delete_options(call.body.as_ref()))),
    };
    let named = call.name.as_deref().or_else(|| call.body.as_ref()?["metadata"]["name"].as_str()).unwrap_or("");
    let name = if matches!(verb, Verb::List | Verb::Watch) { "" } else { named };
    let namespace = if kind.namespaced() { call.namespace.as_deref().unwrap_or("") } else { "" };
    let key = Key::new(namespace, name);
    let field_validation = match call.field_validation.as_deref() {
        Some("Strict") => FieldValidation::Strict,
        Some("Ignore") => FieldValidation::Ignore,
        _ => FieldValidation::Warn,
    };
    let options = WriteOptions { dry_run: call.dry_run, field_validation };
    Ok(Request { from: Endpoint::Outside, number, agent, sequence, verb, kind, subresource, key, body, options })
}

/// The kind that a request is about; `kinds` are those beside the built-in ones.
pub(super) fn kind(call: &ApiCall, kinds: &[Kind]) -> Option<Kind> {
    let defined = kinds.iter().find(|kind| kind.plural() == call.resource && kind.group() == call.group);
    defined.copied().or_else(|| Kind::from_plural(&call.resource))
}

fn content(call: &ApiCall) -> Body {
    call.body.clone().map_or(Body::None, |body| Body::Json(Arc::new(body)))
}

fn patch_type(kind: kubectl::PatchType) -> PatchType {
    match kind {
        kubectl::PatchType::StrategicMerge => PatchType::StrategicMerge,
        kubectl::PatchType::Merge => PatchType::Merge,
        kubectl::PatchType::Json => PatchType::Json,
    }
}

fn list(call: &ApiCall) -> Result<Body, Value> {
    let labels = call.label_selector.as_deref().filter(|text| !text.is_empty());
    let fields = call.field_selector.as_deref().filter(|text| !text.is_empty());
    let labels = labels.map(|text| text.parse().map_err(|error| bad_request(&format!("{error}")))).transpose()?;
    let fields = fields.map(|text| text.parse().map_err(|error| bad_request(&format!("{error}")))).transpose()?;
    let name_only = call.name.as_deref().filter(|_| fields.is_none());
    let fields = match name_only {
        Some(name) => Some(wavetank_engine::objects::selector::FieldSelector::exactly("metadata.name", name)),
        None => fields,
    };
    let resource_version = call.resource_version.as_deref().and_then(|text| text.parse().ok());
    let options = ListOptions { labels, fields, resource_version, initial_events: call.send_initial_events };
    Ok(Body::List(Box::new(options)))
}

fn delete_options(body: Option<&Value>) -> DeleteOptions {
    let Some(body) = body else { return DeleteOptions::default() };
    let preconditions = &body["preconditions"];
    DeleteOptions {
        grace: body["gracePeriodSeconds"].as_i64(),
        uid: preconditions["uid"].as_str().and_then(Uid::parse),
        resource_version: preconditions["resourceVersion"].as_str().and_then(|text| text.parse().ok()),
        propagation: match body["propagationPolicy"].as_str() {
            Some("Orphan") => Some(Propagation::Orphan),
            Some("Background") => Some(Propagation::Background),
            Some("Foreground") => Some(Propagation::Foreground),
            _ => None,
        },
    }
}

/// The JSON of a good reply.
pub(super) fn body(answer: &Answer, kind: Option<Kind>) -> Value {
    match answer {
        Answer::Object(object) => api_json::to_json(object),
        Answer::List { resource_version, items } => {
            let (name, version) = kind.map_or(("", "v1"), |kind| (kind.name(), kind.api_version()));
            let items: Vec<Value> = items.iter().map(|item: &Arc<Object>| api_json::to_json(item)).collect();
            json!({
                "apiVersion": version, "kind": format!("{name}List"),
                "metadata": {"resourceVersion": resource_version.to_string()}, "items": items,
            })
        }
        Answer::Watching => Value::Object(serde_json::Map::new()),
        Answer::Json(value) => (**value).clone(),
    }
}

/// The event that ends the present objects of a watch.
pub(super) fn bookmark(resource_version: u64) -> Value {
    json!({"metadata": {
        "resourceVersion": resource_version.to_string(),
        "annotations": {"k8s.io/initial-events-end": "true"},
    }})
}

fn bad_request(message: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Status", "metadata": {}, "status": "Failure",
        "message": message, "reason": "BadRequest", "code": 400,
    })
}

/// The list of a kind that the simulator does not serve: nobody could create any, so in a namespace of the user's there are none. The
/// system's own namespaces would have some in a real cluster (the service `kubernetes`), so nothing is said about those.
pub(super) fn none_of(call: &ApiCall, kinds: &[Kind]) -> Option<Value> {
    let unserved = kind(call, kinds).is_none() && call.verb == ApiVerb::List;
    let namespace = call.namespace.as_deref()?;
    let own = namespace != "default" && !namespace.starts_with("kube-");
    (unserved && own)
        .then(|| json!({"apiVersion": "v1", "kind": "List", "metadata": {"resourceVersion": "0"}, "items": []}))
}

/// A kind that a real cluster serves.
fn not_simulated(call: &ApiCall) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Status", "metadata": {}, "status": "Failure", "code": 501,
        "message": format!("wavetank does not simulate {} yet", call.resource),
    })
}

fn unknown_path() -> Value {
    json!({
        "apiVersion": "v1", "kind": "Status", "metadata": {}, "status": "Failure", "reason": "NotFound", "code": 404,
        "message": "the server could not find the requested resource", "details": {},
    })
}
