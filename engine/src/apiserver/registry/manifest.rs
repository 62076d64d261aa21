//! From JSON to objects: decoding, defaulting, mutating admission, validation, and then the compact form.

use std::sync::Arc;

use k8s_openapi::api::core::v1::{Pod, PodSpec};
use serde_json::Value;

use crate::apiserver::patch::{self, PatchType};
use crate::apiserver::status::Status;
use crate::apiserver::{admission, defaulting, validation};
use crate::objects::decode::{self, Decoded};
use crate::objects::pod::TOKEN_PLACEHOLDER;
use crate::objects::{Kind, Name, Object, compact, json};

/// The object of a creation's body.
pub fn from_manifest(kind: Kind, value: &Value, namespace: &Name) -> Result<Object, Status> {
    let mut value = value.clone();
    if kind.namespaced() {
        let given = value["metadata"]["namespace"].as_str().unwrap_or("").to_owned();
        if given.is_empty() {
            value["metadata"]["namespace"] = (**namespace).into();
        } else if given != **namespace {
            return Err(Status::bad_request(
                "the namespace of the provided object does not match the namespace sent on the request",
            ));
        }
    }
    let mut decoded = decoded(kind, &value)?;
    if let Decoded::Pod(pod) = &mut decoded {
        let name = pod.metadata.name.clone().unwrap_or_default();
        admission::pod::admit_pod(pod, TOKEN_PLACEHOLDER).map_err(|why| Status::forbidden(kind, &name, &why))?;
    }
    refuse(kind, &name_of(&value), &validation::create(&decoded))?;
    compacted(decoded)
}

/// The object of an update's body.
pub fn updated(kind: Kind, value: &Value, current: &Arc<Object>) -> Result<Object, Status> {
    let before = json::to_json(current);
    let new = decoded(kind, value)?;
    let old = decoded(kind, &before)?;
    refuse(kind, &current.meta().name, &validation::update(&new, &old))?;
    let mut next = compacted(new)?;
    if let (Object::Pod(next), Object::Pod(old)) = (&mut next, &**current)
        && value["spec"] == before["spec"]
    {
        next.spec = old.spec.clone();
    }
    if let (Object::Node(next), Object::Node(old)) = (&mut next, &**current) {
        keep_times(next, old);
    }
    Ok(next)
}

/// The object after a patch.
pub fn patched(kind: Kind, patch_type: PatchType, patch: &Value, current: &Arc<Object>) -> Result<Object, Status> {
    let next = patch::apply(kind.plural(), patch_type, &json::to_json(current), patch).map_err(Status::bad_request)?;
    updated(kind, &next, current)
}

fn keep_times(next: &mut crate::objects::Node, old: &crate::objects::Node) {
    let taints = next.taints.iter().map(|taint| {
        let before = old.taints.iter().find(|old| old.key == taint.key && old.effect == taint.effect);
        crate::objects::node::Taint { added: before.and_then(|old| old.added), ..taint.clone() }
    });
    next.taints = taints.collect();
}

fn name_of(value: &Value) -> String {
    value["metadata"]["name"].as_str().unwrap_or("").to_owned()
}

fn decoded(kind: Kind, value: &Value) -> Result<Decoded, Status> {
    let outcome = decode::decode(kind, value)
        .map_err(|error| Status::bad_request(decode::cannot_be_handled(kind.name(), kind.api_version(), &error.0)))?;
    if !outcome.problems.is_empty() {
        return Err(Status::bad_request(decode::strict_error(&outcome.problems)));
    }
    let mut object = outcome.object;
    defaulting::apply(&mut object);
    Ok(object)
}

/// What admission makes of a spec in a template. A template it would refuse stays as it is: the pods made from it are refused.
fn admitted(spec: &mut PodSpec) {
    let mut pod = Pod { spec: Some(spec.clone()), ..Pod::default() };
    if admission::pod::admit_pod(&mut pod, TOKEN_PLACEHOLDER).is_ok()
        && let Some(admitted) = pod.spec
    {
        *spec = admitted;
    }
}

fn refuse(kind: Kind, name: &str, errors: &[validation::FieldError]) -> Result<(), Status> {
    if errors.is_empty() { Ok(()) } else { Err(Status::from_json(&validation::invalid_status(kind, name, errors))) }
}

fn compacted(decoded: Decoded) -> Result<Object, Status> {
    let admit = &admitted;
    Ok(match decoded {
        Decoded::Pod(pod) => Object::Pod(compact::pod(*pod)),
        Decoded::Node(node) => Object::Node(compact::node(*node)),
        Decoded::Namespace(namespace) => Object::Namespace(compact::namespace(*namespace)),
        Decoded::ConfigMap(map) => Object::ConfigMap(compact::config_map(*map)),
        Decoded::ServiceAccount(account) => Object::ServiceAccount(compact::service_account(*account)),
        Decoded::Deployment(deployment) => Object::Deployment(compact::deployment(*deployment, admit)),
        Decoded::ReplicaSet(set) => Object::ReplicaSet(compact::replica_set(*set, admit)),
        Decoded::Event(_) | Decoded::Lease(_) => {
            return Err(Status::bad_request("events and leases are written by the cluster's own components only"));
        }
    })
}
