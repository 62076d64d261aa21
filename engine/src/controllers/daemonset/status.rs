//! What a DaemonSet's status says.
//!
//! Models: kubernetes v1.36.2 pkg/controller/daemon/daemon_controller.go (updateDaemonSetStatus, storeDaemonSetStatus).

use k8s_openapi::api::apps::v1::{DaemonSet, DaemonSetStatus};

use super::manage::Done;
use super::{Inputs, by_age};
use crate::client::connection::Call;
use crate::client::routine::{Effect, Routine, Step};
use crate::kernel::{Duration, Instant};
use crate::objects::{Kind, Object, Resource};

/// Writes the status if it is news. `done` is what the sync has brought about, if it has dealt with the present generation: pods that it
/// has created count, for upstream looks at the cache again, which has them by then.
pub(super) fn report(inputs: &Inputs, hash: &str, done: Option<&Done>, routine: &mut Routine<'_>) -> Step<()> {
    let set = &inputs.set;
    let mut status = count(inputs, hash, done, routine.now());
    let known = set.api.status.clone().unwrap_or_default();
    let generation = if done.is_some() { Some(set.meta.generation) } else { known.observed_generation };
    (status.collision_count, status.conditions) = (known.collision_count, known.conditions.clone());
    let same = DaemonSetStatus { observed_generation: known.observed_generation, ..status.clone() } == known;
    if !same || known.observed_generation < generation {
        status.observed_generation = generation;
        write(set, &status, routine)?;
    }
    if inputs.min_ready() > Duration::ZERO && status.number_ready != status.number_available.unwrap_or(0) {
        routine.ask(|| Effect::RequeueAfter(inputs.min_ready()));
    }
    Ok(())
}

/// After a conflict once more, onto the set as it is then.
fn write(set: &Resource<DaemonSet>, status: &DaemonSetStatus, routine: &mut Routine<'_>) -> Step<()> {
    let onto = |set: &Resource<DaemonSet>| Object::DaemonSet(set.with_status(|api| api.status = Some(status.clone())));
    let mut outcome = routine.call(|| Call::update_status(onto(set)))?;
    if outcome.is_err() {
        let fresh = routine.call(|| Call::get(Kind::DaemonSet, set.meta.key()))??;
        let fresh = fresh.object().and_then(|object| object.as_resource::<DaemonSet>()).unwrap_or(set);
        outcome = routine.call(|| Call::update_status(onto(fresh)))?;
    }
    if let Some(version) = outcome?.object().map(|object| object.meta().resource_version) {
        routine.ask(|| Effect::Wrote(Kind::DaemonSet, version));
    }
    Ok(())
}

fn count(inputs: &Inputs, hash: &str, done: Option<&Done>, now: Instant) -> DaemonSetStatus {
    let mut status = DaemonSetStatus::default();
    let (mut updated, mut available) = (0, 0);
    for place in &inputs.places {
        if !place.wanted {
            status.number_misscheduled += i32::from(!place.pods.is_empty());
            continue;
        }
        status.desired_number_scheduled += 1;
        let new = done.and_then(|done| done.created.get(&place.node)).and_then(|object| object.as_pod());
        let pods = by_age(inputs.pods_on(place).chain(new));
        let Some(pod) = pods.first() else { continue };
        status.current_number_scheduled += 1;
        if pod.ready() {
            status.number_ready += 1;
            available += i32::from(pod.available(inputs.min_ready(), now));
        }
        updated += i32::from(inputs.updated(pod, hash));
    }
    let some = |number: i32| (number != 0).then_some(number);
    status.updated_number_scheduled = some(updated);
    status.number_available = some(available);
    status.number_unavailable = some(status.desired_number_scheduled - available);
    status
}
