//! What a StatefulSet's status says.
//!
//! Models: kubernetes v1.36.2 pkg/controller/statefulset/stateful_set_control.go (computeReplicaStatus), stateful_set_utils.go
//! (inconsistentStatus, completeRollingUpdate).

use k8s_openapi::api::apps::v1::StatefulSetStatus;

use super::history::Revisions;
use super::{Inputs, available, serves};
use crate::client::connection::Call;
use crate::client::routine::{Effect, Routine, Step};
use crate::controllers::revisions;
use crate::kernel::{Duration, Instant};
use crate::objects::{Kind, Object, Pod};

/// The status of a set with these pods.
pub(super) fn count(inputs: &Inputs, pods: &[&Pod], revisions: &Revisions, now: Instant) -> StatefulSetStatus {
    let min_ready = inputs.min_ready();
    let number = |holds: &dyn Fn(&Pod) -> bool| pods.iter().filter(|pod| holds(pod)).count() as i32;
    let of = |pod: &Pod, name| !pod.meta.deleting() && revisions::of_pod(&pod.meta) == Some(name);
    StatefulSetStatus {
        observed_generation: Some(inputs.set.meta.generation),
        replicas: pods.len() as i32,
        ready_replicas: some(number(&|pod| serves(pod))),
        available_replicas: Some(number(&|pod| available(pod, min_ready, now))),
        current_replicas: some(number(&|pod| of(pod, &revisions.current))),
        updated_replicas: some(number(&|pod| of(pod, &revisions.update))),
        current_revision: Some(revisions.current.to_string()),
        update_revision: Some(revisions.update.to_string()),
        collision_count: Some(revisions.collisions),
        conditions: None,
    }
}

/// Numbers that the API leaves out when they are 0.
pub(super) fn some(number: i32) -> Option<i32> {
    (number != 0).then_some(number)
}

/// Writes the status if it is news; how long until the next pod is available.
pub(super) fn write(
    inputs: &Inputs,
    mut status: StatefulSetStatus,
    pods: &[&Pod],
    routine: &mut Routine<'_>,
) -> Step<Option<Duration>> {
    complete(inputs, &mut status);
    let ready = status.ready_replicas.unwrap_or(0) != status.available_replicas.unwrap_or(0);
    if inputs.set.api.status.as_ref() != Some(&status) {
        let reported = || inputs.set.with_status(|api| api.status = Some(status));
        let written = routine.call(|| Call::update_status(Object::StatefulSet(reported())))??;
        if let Some(version) = written.object().map(|object| object.meta().resource_version) {
            routine.ask(|| Effect::Wrote(Kind::StatefulSet, version));
        }
    }
    let (min_ready, now) = (inputs.min_ready(), routine.now());
    if !ready || min_ready == Duration::ZERO {
        return Ok(None);
    }
    let waiting = pods.iter().filter(|pod| serves(pod)).filter_map(|pod| pod.condition("Ready"));
    let next = waiting.map(|ready| ready.transition + min_ready).filter(|at| *at >= now).map(|at| at.since(now)).min();
    Ok(next.or(Some(min_ready)))
}

/// A rolling update of which all pods are ready is over.
fn complete(inputs: &Inputs, status: &mut StatefulSetStatus) {
    let rolls = inputs.spec().update_strategy.as_ref().is_none_or(|s| s.type_.as_deref() != Some("OnDelete"));
    let all = |number: Option<i32>| number.unwrap_or(0) == status.replicas;
    if rolls
        && all(status.updated_replicas)
        && all(status.ready_replicas)
        && status.replicas == inputs.spec().replicas.unwrap_or(1)
    {
        status.current_replicas = status.updated_replicas;
        status.current_revision = status.update_revision.clone();
    }
}
