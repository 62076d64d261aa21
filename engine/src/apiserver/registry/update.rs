//! Updates: of the object, of its status, of parts of it; and a pod's binding.

use std::sync::Arc;

use super::manifest;
use super::{Context, Write, put_if_changed};
use crate::apiserver::request::{Body, Patch, Subresource};
use crate::apiserver::status::Status;
use crate::objects::{Condition, Kind, Name, Object, Pod, condition};

/// What an update or a patch makes of the present state.
pub fn update(context: &mut Context<'_>, current: &Arc<Object>) -> Result<Write, Status> {
    let request = context.request;
    let status = request.subresource == Subresource::Status;
    let next = match &request.body {
        Body::Object(wanted) => {
            check_version(wanted, current)?;
            if status { with_status(current, wanted) } else { with_spec(current, wanted) }
        }
        Body::Json(value) => {
            let wanted = manifest::updated(context, value, current)?;
            if status { (**current).clone() } else { with_spec(current, &wanted) }
        }
        Body::Patch(Patch::Json(kind, patch)) => {
            let wanted = manifest::patched(context, *kind, patch, current)?;
            if status { (**current).clone() } else { with_spec(current, &wanted) }
        }
        Body::Patch(patch) => patched(current, patch)?,
        _ => return Err(Status::bad_request("the request has no body")),
    };
    if next.meta().deleting() && next.meta().finalizers.is_empty() && !current.meta().finalizers.is_empty() {
        return Ok(Write::PutThenDelete(Box::new(next)));
    }
    Ok(put_if_changed(current, next))
}

/// Binds a pod. Upstream: pkg/registry/core/pod/storage/storage.go (assignPod).
pub fn bind(context: &Context<'_>, current: &Arc<Object>, node: &Name) -> Result<Write, Status> {
    let Object::Pod(pod) = &**current else {
        return Err(Status::bad_request("only pods are bound"));
    };
    if pod.meta.deleting() {
        let why = format!("pod {} is being deleted, cannot be assigned to a host", pod.meta.name);
        return Err(Status::conflict(Kind::Pod, &pod.meta.name, &why));
    }
    if let Some(already) = &pod.node {
        let why = format!("pod {} is already assigned to node \"{already}\"", pod.meta.name);
        return Err(Status::conflict(Kind::Pod, &pod.meta.name, &why));
    }
    let mut next: Pod = pod.clone();
    next.node = Some(node.clone());
    set_condition(&mut next.status.conditions, Condition::new("PodScheduled", true, context.now));
    if let Some(scheduled) = next.status.conditions.iter_mut().find(|condition| &*condition.kind == "PodScheduled") {
        scheduled.observed_generation = pod.meta.generation;
    }
    Ok(Write::Put(Box::new(Object::Pod(next))))
}

fn set_condition(conditions: &mut Vec<Condition>, new: Condition) {
    match conditions.iter_mut().find(|old| old.kind == new.kind) {
        Some(old) if old.status == new.status => {
            let transition = old.transition;
            *old = Condition { transition, ..new };
        }
        Some(old) => *old = new,
        None => conditions.push(new),
    }
}

/// An update that names a version is refused if the object is at another one.
fn check_version(wanted: &Object, current: &Object) -> Result<(), Status> {
    let (wanted_meta, meta) = (wanted.meta(), current.meta());
    if wanted_meta.resource_version != 0 && wanted_meta.resource_version != meta.resource_version {
        return Err(Status::modified(current.kind(), &meta.name));
    }
    if wanted_meta.uid.0 != 0 && wanted_meta.uid != meta.uid {
        let why =
            format!("Precondition failed: UID in precondition: {}, UID in object meta: {}", wanted_meta.uid, meta.uid);
        return Err(Status::conflict(current.kind(), &meta.name, &why));
    }
    Ok(())
}

/// The wanted object with what only the server or the status subresource may change taken from the present one.
fn with_spec(current: &Object, wanted: &Object) -> Object {
    let mut next = wanted.clone();
    let old = current.meta();
    let meta = next.meta_mut();
    meta.name = old.name.clone();
    meta.namespace = old.namespace.clone();
    meta.generate_name = old.generate_name.clone();
    meta.uid = old.uid;
    meta.created = old.created;
    meta.deletion = old.deletion;
    meta.resource_version = old.resource_version;
    meta.generation = old.generation;
    let mut spec_changed = false;
    match (&mut next, current) {
        (Object::Pod(new), Object::Pod(old)) => {
            new.node = old.node.clone();
            new.token = old.token.clone();
            new.status = old.status.clone();
            spec_changed = new.spec != old.spec;
        }
        (Object::Deployment(new), Object::Deployment(old)) => {
            new.status = old.status.clone();
            if new.spec.template == old.spec.template {
                new.spec.template = old.spec.template.clone();
            }
            spec_changed = new.spec != old.spec;
        }
        (Object::ReplicaSet(new), Object::ReplicaSet(old)) => {
            new.status = old.status.clone();
            if new.spec.template == old.spec.template {
                new.spec.template = old.spec.template.clone();
            }
            spec_changed = new.spec != old.spec;
        }
        (Object::Node(new), Object::Node(old)) => new.status = old.status.clone(),
        _ => {}
    }
    if spec_changed {
        next.meta_mut().generation += 1;
    }
    next
}

/// The present object with the wanted one's status. A deployment's keeps its labels, any other metadata comes along
/// (PrepareForUpdate of the kinds' status strategies).
fn with_status(current: &Object, wanted: &Object) -> Object {
    let mut next = current.clone();
    match (&mut next, wanted) {
        (Object::Pod(next), Object::Pod(wanted)) => next.status = wanted.status.clone(),
        (Object::Node(next), Object::Node(wanted)) => next.status = wanted.status.clone(),
        (Object::Deployment(next), Object::Deployment(wanted)) => {
            next.status = wanted.status.clone();
            next.meta.annotations = wanted.meta.annotations.clone();
        }
        (Object::ReplicaSet(next), Object::ReplicaSet(wanted)) => {
            next.status = wanted.status.clone();
            next.meta.annotations = wanted.meta.annotations.clone();
            next.meta.labels = wanted.meta.labels.clone();
        }
        _ => {}
    }
    next
}

/// A component's patch in compact form.
fn patched(current: &Object, patch: &Patch) -> Result<Object, Status> {
    let mut next = current.clone();
    let name = current.meta().name.clone();
    let other = |meant| {
        let why =
            format!("Precondition failed: UID in precondition: {meant}, UID in object meta: {}", current.meta().uid);
        Status::conflict(current.kind(), &name, &why)
    };
    match (&mut next, patch) {
        (Object::Pod(pod), Patch::PodStatus { uid, status }) => {
            if pod.meta.uid != *uid {
                return Err(other(*uid));
            }
            // The scheduler's and the kubelet's conditions live side by side.
            let mut status = (**status).clone();
            for old in &pod.status.conditions {
                if condition::find(&status.conditions, &old.kind).is_none() {
                    status.conditions.push(old.clone());
                }
            }
            pod.status = status;
        }
        (Object::Node(node), Patch::NodeStatus(status)) => node.status = (**status).clone(),
        (Object::Node(node), Patch::Taints(taints)) => node.taints = taints.clone(),
        (Object::Event(event), Patch::EventCount { count, last, message }) => {
            event.count = *count;
            event.last = Some(*last);
            event.message = message.clone();
        }
        (object, Patch::Owners { uid, owners }) => {
            if object.meta().uid != *uid {
                return Err(other(*uid));
            }
            object.meta_mut().owners = owners.clone();
        }
        _ => return Err(Status::bad_request("the patch does not fit the object")),
    }
    Ok(next)
}
