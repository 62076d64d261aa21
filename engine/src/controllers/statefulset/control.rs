//! A sync of a StatefulSet's pods.
//!
//! Models: kubernetes v1.36.2 pkg/controller/statefulset/stateful_set_control.go (updateStatefulSet, processReplica, processCondemned),
//! stateful_pod_control.go (texts of the events).

use k8s_openapi::api::apps::v1::StatefulSetStatus;

use super::history::Revisions;
use super::{Inputs, available, claims, identity, serves, status};
use crate::apiserver::request::DeleteOptions;
use crate::client::connection::Call;
use crate::client::routine::{Asked, Effect, Interrupt, Outcome, Routine, Step};
use crate::controllers::revisions;
use crate::objects::event::EventType;
use crate::objects::{Key, Kind, Object, Pod};

/// Most pods made at the same time.
const BATCH: usize = 500;

/// Whether there is no more to do in this sync.
type Stop = bool;

/// Brings the pods a step closer; the status to report, and what went wrong.
pub(super) fn sync(
    inputs: &Inputs,
    pods: &[&Pod],
    revisions: &Revisions,
    routine: &mut Routine<'_>,
) -> Step<(StatefulSetStatus, Option<Interrupt>)> {
    let now = routine.now();
    let mut reported = status::count(inputs, pods, revisions, now);
    if inputs.set.meta.deleting() {
        return Ok((reported, None));
    }
    let places = Places::of(inputs, pods);
    let done = replicas(inputs, &places, revisions, routine)
        .and_then(|stop| if stop { Ok(true) } else { condemned(inputs, &places, routine) });
    let error = match done {
        Ok(true) => None,
        Ok(false) => update(inputs, &places, revisions, &mut reported, routine).map(|()| None).or_else(failed)?,
        Err(error) => failed(error)?,
    };
    Ok((reported, error))
}

/// What went wrong stands behind the status; to wait for a reply is nothing wrong.
fn failed(error: Interrupt) -> Step<Option<Interrupt>> {
    if error == Interrupt::Waiting { Err(error) } else { Ok(Some(error)) }
}

/// The pods by their places.
struct Places<'a> {
    /// By place from the first ordinal.
    wanted: Vec<(i64, Option<&'a Pod>)>,
    /// Those too many, the highest first.
    condemned: Vec<(i64, &'a Pod)>,
    /// The first pod that is not available.
    unavailable: Option<&'a str>,
}

impl<'a> Places<'a> {
    fn of(inputs: &Inputs, pods: &[&'a Pod]) -> Self {
        let ordinals = inputs.ordinals();
        let mut wanted: Vec<(i64, Option<&Pod>)> = ordinals.clone().map(|ordinal| (ordinal, None)).collect();
        let mut condemned = Vec::new();
        for pod in pods {
            let Some(ordinal) = identity::ordinal(&pod.meta.name) else { continue };
            let place = usize::try_from(ordinal - ordinals.start).ok().and_then(|place| wanted.get_mut(place));
            match place {
                Some(place) => place.1 = Some(pod),
                None => condemned.push((ordinal, *pod)),
            }
        }
        condemned.sort_by_key(|(ordinal, _)| -ordinal);
        let ails = |pod: &Pod| pod.meta.deleting() || !serves(pod);
        let missing = wanted.iter().any(|(_, pod)| pod.is_none());
        let first = wanted.iter().filter_map(|(_, pod)| *pod).find(|pod| ails(pod));
        let first = first.or_else(|| condemned.iter().rev().map(|(_, pod)| *pod).find(|pod| ails(pod)));
        // A pod that is missing comes before all others; nothing is compared with it.
        let unavailable = if missing { None } else { first.map(|pod| &*pod.meta.name) };
        Places { wanted, condemned, unavailable }
    }
}

/// Creates what is missing and waits for what is not available.
fn replicas(inputs: &Inputs, places: &Places<'_>, revisions: &Revisions, routine: &mut Routine<'_>) -> Step<Stop> {
    if !inputs.one_by_one() {
        return in_batches(inputs, places, revisions, routine).map(|()| false);
    }
    let min_ready = inputs.min_ready();
    for (ordinal, pod) in &places.wanted {
        let Some(pod) = pod else {
            if !claims::stale(inputs, *ordinal) {
                claims::create_missing(inputs, *ordinal, routine)?;
                create(inputs, &[*ordinal], revisions, routine)?;
            }
            return Ok(true);
        };
        if pod.status.phase.terminal() {
            if !pod.meta.deleting() {
                delete(inputs, &[pod], routine)?;
            }
            return Ok(true);
        }
        if pod.status.phase == crate::objects::Phase::Pending {
            claims::create_missing(inputs, *ordinal, routine)?;
        }
        if pod.meta.deleting() || !available(pod, min_ready, routine.now()) {
            return Ok(true);
        }
        repair(inputs, pod, *ordinal, routine)?;
    }
    Ok(false)
}

/// The pod says who it is, and its claims whose they are.
fn repair(inputs: &Inputs, pod: &Pod, ordinal: i64, routine: &mut Routine<'_>) -> Step<()> {
    if !identity::matches(inputs, pod, ordinal) {
        routine.call(|| Call::update(Object::Pod(identity::labelled(inputs, pod, ordinal))))??;
    }
    claims::set_owners(inputs, pod, ordinal, routine)
}

/// All places at once, in batches that double.
fn in_batches(inputs: &Inputs, places: &Places<'_>, revisions: &Revisions, routine: &mut Routine<'_>) -> Step<()> {
    let (mut rest, mut size) = (&places.wanted[..], 1);
    while !rest.is_empty() {
        let (batch, later) = rest.split_at(size.min(rest.len()));
        let missing: Vec<i64> = batch.iter().filter(|(_, pod)| pod.is_none()).map(|(ordinal, _)| *ordinal).collect();
        let missing: Vec<i64> = missing.into_iter().filter(|ordinal| !claims::stale(inputs, *ordinal)).collect();
        for (ordinal, pod) in batch {
            let pending = pod.is_none_or(|pod| pod.status.phase == crate::objects::Phase::Pending);
            if pending && (pod.is_some() || missing.contains(ordinal)) {
                claims::create_missing(inputs, *ordinal, routine)?;
            }
        }
        create(inputs, &missing, revisions, routine)?;
        let present = || batch.iter().filter_map(|(ordinal, pod)| Some((*ordinal, (*pod)?)));
        let ended = |pod: &Pod| pod.status.phase.terminal();
        let doomed = present().map(|(_, pod)| pod).filter(|pod| ended(pod) && !pod.meta.deleting());
        delete(inputs, &doomed.collect::<Vec<_>>(), routine)?;
        for (ordinal, pod) in present().filter(|(_, pod)| !ended(pod)) {
            repair(inputs, pod, ordinal, routine)?;
        }
        (rest, size) = (later, (2 * size).min(BATCH));
    }
    Ok(())
}

/// Deletes what is too many.
fn condemned(inputs: &Inputs, places: &Places<'_>, routine: &mut Routine<'_>) -> Step<Stop> {
    for (ordinal, pod) in &places.condemned {
        claims::set_owners(inputs, pod, *ordinal, routine)?;
    }
    if !inputs.one_by_one() {
        let doomed = places.condemned.iter().map(|(_, pod)| *pod).filter(|pod| !pod.meta.deleting());
        return delete(inputs, &doomed.collect::<Vec<_>>(), routine).map(|()| false);
    }
    let Some((_, pod)) = places.condemned.first() else { return Ok(false) };
    let first = places.unavailable == Some(&*pod.meta.name);
    if !pod.meta.deleting() && (available(pod, inputs.min_ready(), routine.now()) || first) {
        delete(inputs, &[pod], routine)?;
    }
    Ok(true)
}

/// Replaces pods of old revisions, the highest first, one at a time.
fn update(
    inputs: &Inputs,
    places: &Places<'_>,
    revisions: &Revisions,
    reported: &mut StatefulSetStatus,
    routine: &mut Routine<'_>,
) -> Step<()> {
    let strategy = inputs.spec().update_strategy.as_ref();
    if strategy.is_some_and(|strategy| strategy.type_.as_deref() == Some("OnDelete")) {
        return Ok(());
    }
    let rolling = strategy.and_then(|strategy| strategy.rolling_update.as_ref());
    let partition = rolling.and_then(|rolling| rolling.partition).unwrap_or(0);
    for (_, pod) in places.wanted.iter().skip(usize::try_from(partition).unwrap_or(0)).rev() {
        let Some(pod) = pod else { return Ok(()) };
        if revisions::of_pod(&pod.meta) != Some(&revisions.update) && !pod.meta.deleting() {
            delete(inputs, &[pod], routine)?;
            let left = reported.current_replicas.unwrap_or(0) - 1;
            reported.current_replicas = status::some(left);
            return Ok(());
        }
        if pod.meta.deleting() || !available(pod, inputs.min_ready(), routine.now()) {
            return Ok(());
        }
    }
    Ok(())
}

/// Whether the pod of an ordinal is still made from the current revision. Kubernetes: isCurrentRevisionNeeded.
fn from_current(inputs: &Inputs, ordinal: i64) -> bool {
    let Some(strategy) = inputs.spec().update_strategy.as_ref() else { return false };
    if strategy.type_.as_deref() != Some("RollingUpdate") {
        return false;
    }
    let current = inputs.set.api.status.as_ref().and_then(|status| status.current_replicas).unwrap_or(0);
    let below = match &strategy.rolling_update {
        None => current,
        Some(rolling) => rolling.partition.unwrap_or(0),
    };
    ordinal < inputs.ordinals().start + i64::from(below)
}

/// Creates the pods of some ordinals at the same time.
fn create(inputs: &Inputs, ordinals: &[i64], revisions: &Revisions, routine: &mut Routine<'_>) -> Step<()> {
    if ordinals.is_empty() {
        return Ok(());
    }
    let mut call = |n: usize| {
        let ordinal = *ordinals.get(n)?;
        let (template, revision) = match &revisions.template {
            Some(template) if from_current(inputs, ordinal) => (template, &revisions.current),
            _ => (&inputs.pods().template, &revisions.update),
        };
        Some(Call::create(Object::Pod(identity::pod(inputs, template, revision, ordinal))))
    };
    let then = |n: usize, outcome: &Outcome, asked: &mut Asked| {
        let Some(ordinal) = ordinals.get(n) else { return };
        told(inputs, "Create", &format!("{}-{ordinal}", inputs.set.meta.name), outcome, asked);
    };
    let outcomes = routine.call_all(ordinals.len(), &mut call, &then)?;
    // A pod that is there already shows in the cache in a moment.
    let failed = outcomes.into_iter().filter_map(Result::err).find(|status| &*status.reason != "AlreadyExists");
    failed.map_or(Ok(()), |status| Err(Interrupt::from(status)))
}

/// Deletes some pods at the same time.
fn delete(inputs: &Inputs, pods: &[&Pod], routine: &mut Routine<'_>) -> Step<()> {
    if pods.is_empty() {
        return Ok(());
    }
    let key = |n: usize| -> Option<Key> { pods.get(n).map(|pod| pod.meta.key()) };
    let mut call = |n: usize| Some(Call::delete(Kind::Pod, key(n)?, DeleteOptions::default()));
    let then = |n: usize, outcome: &Outcome, asked: &mut Asked| {
        if let Some(pod) = pods.get(n) {
            told(inputs, "Delete", &pod.meta.name, outcome, asked);
        }
    };
    let outcomes = routine.call_all(pods.len(), &mut call, &then)?;
    let failed = outcomes.into_iter().filter_map(Result::err).find(|status| !status.is_not_found());
    failed.map_or(Ok(()), |status| Err(Interrupt::from(status)))
}

/// The event of a creation or deletion.
fn told(inputs: &Inputs, verb: &str, pod: &str, outcome: &Outcome, asked: &mut Asked) {
    let set = &inputs.set.meta.name;
    let what = || format!("{verb} Pod {pod} in StatefulSet {set}");
    let event = |kind, reason, message| Effect::Event { regarding: inputs.about.clone(), kind, reason, message };
    match outcome {
        Ok(answer) => {
            if let Some(pod) = answer.object() {
                asked.ask(|| Effect::Wrote(Kind::Pod, pod.meta().resource_version));
            }
            let reason = if verb == "Create" { "SuccessfulCreate" } else { "SuccessfulDelete" };
            asked.ask(|| event(EventType::Normal, reason, format!("{} successful", what())));
        }
        Err(status) if &*status.reason == "AlreadyExists" => {}
        Err(status) => {
            let reason = if verb == "Create" { "FailedCreate" } else { "FailedDelete" };
            asked.ask(|| event(EventType::Warning, reason, format!("{} failed error: {}", what(), status.message)));
        }
    }
}
