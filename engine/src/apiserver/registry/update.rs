//! Updates: of the object, of its status, of parts of it; and a pod's binding.

use std::sync::Arc;

use super::{Context, Write, manifest, put_if_changed, service, status};
use crate::apiserver::admission;
use crate::apiserver::request::{Body, Patch, Subresource};
use crate::apiserver::status::Status;
use crate::objects::node::NodeStatus;
use crate::objects::{Condition, Key, Kind, Name, Node, Object, Pod, PodStatus, condition};

/// What an update or a patch makes of the present state.
pub fn update(context: &mut Context<'_>, current: &Arc<Object>) -> Result<Write, Status> {
    let request = context.request;
    let next = match &request.body {
        Body::Object(wanted) => {
            check_version(wanted, current)?;
            match request.subresource {
                Subresource::Status => with_status(current, wanted),
                Subresource::Finalize => with_namespace_finalizers(current, wanted)?,
                _ => with_spec(current, wanted),
            }
        }
        Body::Json(value) => {
            let wanted = manifest::updated(context, value, current)?;
            match request.subresource {
                Subresource::Status => status::with_json(current, &wanted, value, context.now)?,
                Subresource::Finalize => with_namespace_finalizers(current, &wanted)?,
                _ => with_spec(current, &wanted),
            }
        }
        Body::Patch(Patch::Json(kind, patch)) => {
            let (wanted, value) = manifest::patched(context, *kind, patch, current)?;
            match request.subresource {
                Subresource::Status => status::with_json(current, &wanted, &value, context.now)?,
                Subresource::Finalize => with_namespace_finalizers(current, &wanted)?,
                _ => with_spec(current, &wanted),
            }
        }
        Body::Patch(patch) => patched(current, patch)?,
        _ => return Err(Status::bad_request("the request has no body")),
    };
    let mut next = next;
    if let Object::Service(new) = &mut next
        && request.subresource == Subresource::None
    {
        service::allocate(context, new)?;
    }
    if finalized(current, &next) {
        return Ok(Write::Delete(Arc::new(next)));
    }
    Ok(put_if_changed(current, next))
}

/// Whether an object goes instead of being written: it is to be deleted, and nothing holds it back any more. Upstream:
/// ShouldDeleteDuringUpdate, ShouldDeleteNamespaceDuringUpdate.
pub(super) fn finalized(current: &Object, next: &Object) -> bool {
    let content = if let Object::Namespace(namespace) = next { !namespace.finalizers.is_empty() } else { false };
    next.meta().finalizers.is_empty() && !content && current.meta().deletion.is_some_and(|deletion| deletion.grace == 0)
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
    next.status.nominated = None;
    topology(context, &mut next);
    set_condition(&mut next.status.conditions, Condition::new("PodScheduled", true, context.now));
    Ok(Write::Put(Box::new(Object::Pod(next))))
}

/// The pod gets the zone and region of its node as labels. Upstream: PodTopologyLabels.
fn topology(context: &Context<'_>, pod: &mut Pod) {
    let Some(node) = &pod.node else { return };
    let Some(node) = context.cache.get(Kind::Node, &Key { namespace: "".into(), name: node.clone() }) else { return };
    for label in admission::pod::TOPOLOGY_LABELS {
        if let Some(value) = node.meta().labels.get(label) {
            Arc::make_mut(&mut pod.meta.labels).insert(label.into(), value.clone());
        }
    }
}

/// Adds a condition, or replaces the one of its kind.
pub(in crate::apiserver) fn set_condition(conditions: &mut Vec<Condition>, new: Condition) {
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
            // A deployment's annotations count as part of its specification.
            spec_changed = new.spec != old.spec || new.meta.annotations != old.meta.annotations;
        }
        (Object::ReplicaSet(new), Object::ReplicaSet(old)) => {
            new.status = old.status.clone();
            if new.spec.template == old.spec.template {
                new.spec.template = old.spec.template.clone();
            }
            spec_changed = new.spec != old.spec;
        }
        (Object::Node(new), Object::Node(old)) => new.status = old.status.clone(),
        (Object::Namespace(new), Object::Namespace(old)) => {
            new.terminating = old.terminating;
            new.finalizers = old.finalizers.clone();
            new.conditions = old.conditions.clone();
        }
        (new, old) => {
            new.adopt_status(old);
            new.share_content(old);
            spec_changed = match old.kind() {
                // Its generation stays that of its creation.
                Kind::PriorityClass => false,
                Kind::EndpointSlice => !new.wants_the_same(old) || new.meta().labels != old.meta().labels,
                _ => new.counts_generation() && !new.wants_the_same(old),
            };
        }
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
        (Object::Namespace(next), Object::Namespace(wanted)) => {
            next.terminating = wanted.terminating;
            next.conditions = wanted.conditions.clone();
        }
        (next, wanted) => {
            next.adopt_status(wanted);
            next.meta_mut().annotations = wanted.meta().annotations.clone();
            next.meta_mut().labels = wanted.meta().labels.clone();
        }
    }
    next
}

/// The present namespace with the wanted one's finalizers (PrepareForUpdate of the finalize strategy).
fn with_namespace_finalizers(current: &Object, wanted: &Object) -> Result<Object, Status> {
    let (Object::Namespace(current), Object::Namespace(wanted)) = (current, wanted) else {
        return Err(Status::bad_request("only namespaces are finalized"));
    };
    let mut next = current.clone();
    next.finalizers = wanted.finalizers.clone();
    Ok(Object::Namespace(next))
}

/// A kubelet's report. What others say the node has besides (`example.com/dongle`) stays.
fn report(node: &mut Node, status: &NodeStatus) {
    let extended = |list: &[(Name, Name)]| -> Vec<(Name, Name)> {
        let own = |name: &Name| status.capacity.iter().any(|(reported, _)| reported == name);
        list.iter().filter(|(name, _)| name.contains('/') && !own(name)).cloned().collect()
    };
    let others = extended(&node.status.capacity);
    node.status = status.clone();
    if !others.is_empty() {
        node.status.capacity = status.capacity.iter().cloned().chain(others.clone()).collect();
        node.status.allocatable = status.allocatable.iter().cloned().chain(others).collect();
    }
}

/// A status with the difference between two others, as a strategic merge patch of them makes it: what both have alike stays as it is.
fn merged(current: &PodStatus, read: &PodStatus, wanted: &PodStatus) -> PodStatus {
    let mut next = wanted.clone();
    fn keep<T: PartialEq + Clone>(next: &mut T, read: &T, current: &T) {
        if next == read {
            *next = current.clone();
        }
    }
    keep(&mut next.phase, &read.phase, &current.phase);
    keep(&mut next.reason, &read.reason, &current.reason);
    keep(&mut next.message, &read.message, &current.message);
    keep(&mut next.host_ip, &read.host_ip, &current.host_ip);
    keep(&mut next.pod_ip, &read.pod_ip, &current.pod_ip);
    keep(&mut next.start_time, &read.start_time, &current.start_time);
    keep(&mut next.init_containers, &read.init_containers, &current.init_containers);
    keep(&mut next.containers, &read.containers, &current.containers);
    keep(&mut next.observed_generation, &read.observed_generation, &current.observed_generation);
    keep(&mut next.nominated, &read.nominated, &current.nominated);
    // Of conditions, too, only what differs is sent; one that is as it was stays as it is, even if it is not there any more.
    next.conditions.retain_mut(|wanted| {
        let read = condition::find(&read.conditions, &wanted.kind);
        let Some(current) = condition::find(&current.conditions, &wanted.kind) else { return read != Some(wanted) };
        if let Some(read) = read {
            keep(&mut wanted.status, &read.status, &current.status);
            keep(&mut wanted.reason, &read.reason, &current.reason);
            keep(&mut wanted.message, &read.message, &current.message);
            keep(&mut wanted.transition, &read.transition, &current.transition);
            keep(&mut wanted.update, &read.update, &current.update);
            keep(&mut wanted.observed_generation, &read.observed_generation, &current.observed_generation);
        }
        true
    });
    // The scheduler's and the kubelet's conditions live side by side.
    for old in &current.conditions {
        if condition::find(&next.conditions, &old.kind).is_none() {
            next.conditions.push(old.clone());
        }
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
        (Object::Pod(pod), Patch::PodStatus { uid, read, status }) => {
            if pod.meta.uid != *uid {
                return Err(other(*uid));
            }
            if let Some(read) = read.as_pod() {
                pod.status = merged(&pod.status, &read.status, status);
            }
        }
        (Object::Pod(pod), Patch::PodCondition { uid, condition, nominated }) => {
            if pod.meta.uid != *uid {
                return Err(other(*uid));
            }
            if let Some(condition) = condition {
                set_condition(&mut pod.status.conditions, (**condition).clone());
            }
            if let Some(nominated) = nominated {
                pod.status.nominated = nominated.clone();
            }
        }
        (Object::Node(node), Patch::NodeStatus(status)) => report(node, status),
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
        (object, Patch::DropOwners { uid, owners }) => {
            let meta = object.meta_mut();
            if meta.uid != *uid {
                return Err(other(*uid));
            }
            if meta.owners.iter().any(|owner| owners.contains(&owner.uid)) {
                meta.owners = meta.owners.iter().filter(|owner| !owners.contains(&owner.uid)).cloned().collect();
            }
        }
        (object, Patch::DropFinalizer { uid, finalizer }) => {
            let meta = object.meta_mut();
            if meta.uid != *uid {
                return Err(other(*uid));
            }
            if meta.finalizers.contains(finalizer) {
                meta.finalizers = meta.finalizers.iter().filter(|name| *name != finalizer).cloned().collect();
            }
        }
        (object, Patch::Finalizers { version, finalizers }) => {
            if object.meta().resource_version != *version {
                return Err(Status::modified(object.kind(), &name));
            }
            object.meta_mut().finalizers = finalizers.clone();
        }
        _ => return Err(Status::bad_request("the patch does not fit the object")),
    }
    Ok(next)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::Instant;
    use crate::objects::Phase;

    #[test]
    fn a_report_changes_what_its_author_changed_and_nothing_else() {
        let at = Instant::from_nanos(1_000_000_000);
        let ready = |holds: bool| Condition::new("Ready", holds, at);
        let read = PodStatus { phase: Phase::Pending, conditions: vec![ready(true)], ..PodStatus::default() };
        // What others have written since.
        let failed = PodStatus {
            phase: Phase::Failed,
            reason: "NodeShutdown".into(),
            conditions: vec![ready(false), Condition::new("PodScheduled", true, at)],
            ..PodStatus::default()
        };
        let mut wanted = PodStatus { message: "a word".into(), ..read.clone() };
        wanted.conditions[0].observed_generation = 2;
        wanted.conditions.push(Condition::new("Initialized", true, at));
        let next = merged(&failed, &read, &wanted);
        assert_eq!((next.phase, &*next.reason, &*next.message), (Phase::Failed, "NodeShutdown", "a word"));
        let shown: Vec<_> = next.conditions.iter().map(|it| (&*it.kind, it.holds(), it.observed_generation)).collect();
        assert_eq!(shown, [("Ready", false, 2), ("Initialized", true, 0), ("PodScheduled", true, 0)]);
        // A condition that somebody has taken away, and of which nothing new is said, stays away.
        let bare = PodStatus { conditions: Vec::new(), ..read.clone() };
        assert!(merged(&bare, &read, &PodStatus { phase: Phase::Running, ..read.clone() }).conditions.is_empty());
    }
}
