//! What a replica set's status says.
//!
//! Models: kubernetes v1.36.2 pkg/controller/replicaset/replica_set_utils.go, pkg/controller/controller_utils.go
//! (FindMinNextPodAvailabilityCheck).

use std::sync::Arc;

use super::pods::ready_since;
use super::ranking::{self, CountedPod, FailureCondition, StatusNumbers};
use super::{Inputs, min_ready};
use crate::client::connection::Call;
use crate::client::routine::{Effect, Routine, Step};
use crate::controllers::deployment::whole_seconds;
use crate::kernel::{Duration, Instant};
use crate::objects::workload::ReplicaSetStatus;
use crate::objects::{Condition, Kind, Object, ReplicaSet, condition};

const REPLICA_FAILURE: &str = "ReplicaFailure";

/// Writes the status if it is news, and comes back when a ready pod becomes available.
pub(super) fn report(inputs: &Inputs, failure: Option<&str>, routine: &mut Routine<'_>) -> Step<()> {
    let now = routine.now();
    let set = &inputs.set;
    let status = status(inputs, failure, now);
    let (ready, available) = (status.ready, status.available);
    let same = ReplicaSetStatus { observed_generation: set.status.observed_generation, ..status.clone() } == set.status;
    if !(same && set.meta.generation == set.status.observed_generation) {
        write(set, ReplicaSetStatus { observed_generation: set.meta.generation, ..status }, routine)?;
    }
    if failure.is_none() && set.spec.min_ready_seconds > 0 && ready != available {
        routine.ask(|| Effect::RequeueAfter(next_check(inputs, now).unwrap_or(min_ready(set))));
    }
    Ok(())
}

/// Writes the status; after a conflict once more, onto the replica set as it is then. Kubernetes: updateReplicaSetStatus.
fn write(set: &Arc<ReplicaSet>, status: ReplicaSetStatus, routine: &mut Routine<'_>) -> Step<()> {
    let onto = |set: &ReplicaSet| Object::ReplicaSet(ReplicaSet { status: status.clone(), ..set.clone() });
    let mut outcome = routine.call(|| Call::update_status(onto(set)))?;
    if outcome.is_err() {
        let fresh = routine.call(|| Call::get(Kind::ReplicaSet, set.meta.key()))??;
        let fresh = fresh.object().and_then(|object| object.as_replica_set()).unwrap_or(set);
        outcome = routine.call(|| Call::update_status(onto(fresh)))?;
    }
    if let Some(written) = outcome?.object().map(|object| object.meta().resource_version) {
        routine.ask(|| Effect::Wrote(Kind::ReplicaSet, written));
    }
    Ok(())
}

/// Kubernetes: calculateStatus.
fn status(inputs: &Inputs, failure: Option<&str>, now: Instant) -> ReplicaSetStatus {
    let set = &inputs.set;
    let template = &set.spec.template.labels;
    let counted = inputs.pods.iter().filter_map(|object| object.as_pod()).map(|pod| CountedPod {
        fully_labeled: Arc::ptr_eq(template, &pod.meta.labels)
            || template.iter().all(|(key, value)| pod.meta.labels.get(key) == Some(value)),
        ready_since: ready_since(pod),
    });
    let StatusNumbers { replicas, fully_labeled, ready, available, terminating } =
        ranking::count(counted, inputs.terminating, min_ready(set), now);
    let mut conditions = set.status.conditions.clone();
    let present = condition::find(&conditions, REPLICA_FAILURE).is_some();
    match ranking::failure_condition(failure.is_some(), present, inputs.pods.len(), set.spec.replicas) {
        FailureCondition::Keep => {}
        FailureCondition::Remove => conditions.retain(|condition| &*condition.kind != REPLICA_FAILURE),
        FailureCondition::Set(reason) => {
            let message = failure.unwrap_or("").to_owned();
            conditions.push(Condition::new(REPLICA_FAILURE, true, whole_seconds(now)).because(reason, message));
        }
    }
    ReplicaSetStatus {
        observed_generation: set.meta.generation,
        replicas,
        fully_labeled,
        ready,
        available,
        terminating: Some(terminating),
        conditions,
    }
}

/// How long until the next ready pod counts as available.
fn next_check(inputs: &Inputs, now: Instant) -> Option<Duration> {
    let min_ready = min_ready(&inputs.set);
    let ready = inputs.pods.iter().filter_map(|object| ready_since(object.as_pod()?));
    let waits = ready.map(|since| since + min_ready).filter(|at| *at >= now).map(|at| at.since(now));
    // A pod is available when the time has passed, not at that very moment.
    waits.min().map(|wait| wait + Duration::from_nanos(1))
}
