//! The scale subresource of deployments and replica sets.
//!
//! Models: kubernetes v1.36.2 pkg/registry/apps/deployment/storage/storage.go (ScaleREST).

use std::sync::Arc;

use serde_json::{Value, json};

use super::{Context, Write, patch_errors};
use crate::apiserver::patch;
use crate::apiserver::request::{Answer, Body, Patch, Verb};
use crate::apiserver::status::Status;
use crate::apiserver::validation::{self, ErrorType, FieldError};
use crate::objects::selector::Selector;
use crate::objects::{Object, decode, json as api_json, labels};

/// Reads or changes the scale.
pub fn scale(context: &Context<'_>, current: &Arc<Object>) -> Result<Write, Status> {
    let request = context.request;
    let present = to_json(current).ok_or_else(|| Status::not_found(request.kind, &request.key.name))?;
    let wanted = match (&request.body, request.verb) {
        (_, Verb::Get) => return Ok(Write::Answer(Answer::Json(Arc::new(present)))),
        (Body::Json(value), _) => (**value).clone(),
        (Body::Patch(Patch::Json(kind, value)), _) => {
            patch::apply("scale", *kind, &present, value).map_err(patch_errors::refused)?
        }
        _ => return Err(Status::bad_request("the request has no body")),
    };
    let name = wanted["metadata"]["name"].as_str().unwrap_or_default();
    if name != &*request.key.name {
        let why = format!("the name of the object ({name}) does not match the name on the URL ({})", request.key.name);
        return Err(Status::bad_request(why));
    }
    let version = wanted["metadata"]["resourceVersion"].as_str().unwrap_or("");
    if !version.is_empty() && version != current.meta().resource_version.to_string() {
        return Err(Status::modified(request.kind, &request.key.name));
    }
    let replicas = match replicas(&wanted["spec"]["replicas"]) {
        Ok(replicas) => replicas,
        Err(why) => {
            return Err(match &request.body {
                Body::Patch(Patch::Json(kind, patch)) => patch_errors::unfit(*kind, patch, &wanted, &why),
                _ => Status::bad_request(decode::cannot_be_handled("Scale", "autoscaling/v1", &why)),
            });
        }
    };
    if replicas < 0 {
        let error = FieldError {
            kind: ErrorType::Invalid,
            field: "spec.replicas".to_owned(),
            value: replicas.to_string(),
            detail: "must be greater than or equal to 0".to_owned(),
        };
        let invalid = validation::invalid_status_of("Scale", "autoscaling", &request.key.name, &[error]);
        return Err(Status::from_json(&invalid));
    }
    let mut next = (**current).clone();
    if present["spec"]["replicas"].as_i64().unwrap_or(0) == i64::from(replicas) {
        return Ok(Write::Answer(Answer::Json(Arc::new(present))));
    }
    match &mut next {
        Object::Deployment(deployment) => deployment.spec.replicas = replicas,
        Object::ReplicaSet(set) => set.spec.replicas = replicas,
        Object::StatefulSet(set) => {
            Arc::make_mut(&mut set.api).spec.get_or_insert_default().replicas = Some(replicas);
        }
        Object::ReplicationController(controller) => {
            Arc::make_mut(&mut controller.api).spec.get_or_insert_default().replicas = Some(replicas);
        }
        _ => return Err(Status::not_found(request.kind, &request.key.name)),
    }
    next.meta_mut().generation += 1;
    Ok(Write::Put(Box::new(next)))
}

/// The wanted number; the error is that of Go's decoder.
fn replicas(value: &Value) -> Result<i32, String> {
    let found = match value {
        Value::Null => return Ok(0),
        Value::Number(number) => match number.as_i64().and_then(|number| i32::try_from(number).ok()) {
            Some(replicas) => return Ok(replicas),
            None => format!("number {number}"),
        },
        Value::Bool(_) => "bool".to_owned(),
        Value::String(_) => "string".to_owned(),
        Value::Array(_) => "array".to_owned(),
        Value::Object(_) => "object".to_owned(),
    };
    Err(format!("json: cannot unmarshal {found} into Go struct field ScaleSpec.spec.replicas of type int32"))
}

/// `autoscaling/v1 Scale` of an object; `None` for kinds that have none.
pub fn to_json(object: &Object) -> Option<Value> {
    let (wanted, present, selector) = match object {
        Object::Deployment(object) => {
            (object.spec.replicas, object.status.replicas, object.spec.selector.compiled.to_string())
        }
        Object::ReplicaSet(object) => {
            (object.spec.replicas, object.status.replicas, object.spec.selector.compiled.to_string())
        }
        Object::StatefulSet(object) => {
            let wanted = object.api.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1);
            let present = object.api.status.as_ref().map_or(0, |status| status.replicas);
            (wanted, present, object.compiled.selector.to_string())
        }
        Object::ReplicationController(object) => {
            let spec = object.api.spec.as_ref();
            let selector = labels::from_api(spec.and_then(|spec| spec.selector.as_ref()));
            let wanted = spec.and_then(|spec| spec.replicas).unwrap_or(1);
            let present = object.api.status.as_ref().map_or(0, |status| status.replicas);
            (wanted, present, Selector::from_labels(&selector).to_string())
        }
        _ => return None,
    };
    let meta = object.meta();
    let wanted = if wanted == 0 { json!({}) } else { json!({ "replicas": wanted }) };
    Some(json!({
        "apiVersion": "autoscaling/v1", "kind": "Scale",
        "metadata": {
            "name": *meta.name, "namespace": *meta.namespace, "uid": meta.uid.to_string(),
            "resourceVersion": meta.resource_version.to_string(), "creationTimestamp": api_json::time(meta.created),
        },
        "spec": wanted,
        "status": {"replicas": present, "selector": selector},
    }))
}
