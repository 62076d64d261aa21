//! Counting pods that have ended, exactly once each.
//!
//! First the uids of the pods to count are written into the status; then the finalizer is taken off them; then the numbers grow by
//! those that have none any more. Whatever fails in between, the next sync goes on from there.
//!
//! Models: kubernetes v1.36.2 pkg/controller/job/job_controller.go (trackJobStatusAndRemoveFinalizers,
//! flushUncountedAndRemoveFinalizers, enactJobFinished, recordJobFinished, ensureJobConditionStatus).

use std::collections::BTreeSet;
use std::sync::Arc;

use k8s_openapi::api::batch::v1::{Job, JobCondition, JobStatus};

use super::sync::Sync;
use super::{TRACKING, condition, indexes, manage, new_condition, policies};
use crate::client::connection::Call;
use crate::client::routine::{Effect, Interrupt, Routine, Step};
use crate::kernel::Instant;
use crate::objects::event::EventType;
use crate::objects::{Kind, Object, Phase, Pod, Resource};

/// Most pods that a status names as to be counted; Kubernetes: MaxUncountedPods.
const MOST: usize = 500;

/// Counts pods and ends the Job, if it is to end.
pub(super) fn track(mut sync: Sync<'_>, changed: bool, routine: &mut Routine<'_>) -> Step<()> {
    let mut flush = changed;
    let mut tracked: BTreeSet<String> =
        sync.pods.iter().filter(|pod| pod.meta.has_finalizer(TRACKING)).map(|pod| pod.meta.uid.to_string()).collect();
    flush |= count(&mut sync.status, &tracked);
    let (released, full) = choose(&mut sync, &mut flush);
    let now = routine.now();
    let end = interim(&mut sync, &mut flush, now);
    let mut job = sync.inputs.job.clone();
    if flush {
        job = write(&job, &sync.status, routine)?;
        flush = false;
    }
    let (off, error) = manage::release(&released, routine)?;
    for (pod, off) in released.iter().zip(off) {
        if off {
            tracked.remove(&pod.meta.uid.to_string());
        }
    }
    flush |= count(&mut sync.status, &tracked);
    if let Some(error) = error {
        if flush {
            write(&job, &sync.status, routine)?;
        }
        return Err(Interrupt::Failed(error));
    }
    let ended = end.filter(|_| !full && finish_allowed(&sync));
    if let Some(end) = &ended {
        flush = true;
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let (now, reason, message) = (routine.now(), text(&end.reason), text(&end.message));
        ensure(&mut sync.status, &end.type_, "True", &reason, &message, now);
        if end.type_ == "Complete" {
            sync.status.completion_time = end.last_transition_time.clone();
        }
    }
    if flush {
        write(&job, &sync.status, routine)?;
        if let Some(end) = &ended {
            tell(&sync, end, routine);
        }
    }
    Ok(())
}

/// Pods whose finalizer is to go, and whether there are more than one sync can take. Writes them down.
fn choose<'a>(sync: &mut Sync<'a>, flush: &mut bool) -> (Vec<&'a Pod>, bool) {
    let mut pods = sync.pods.clone();
    if sync.indexed.is_some() {
        pods.sort_by_key(|pod| indexes::of(&pod.meta).unwrap_or(-1));
    }
    let (mut released, mut new_indexes, mut full) = (Vec::new(), BTreeSet::new(), false);
    let (spec, going) = (sync.spec, sync.inputs.job.meta.deleting());
    let fails = sync.finished.as_ref().is_some_and(|end| end.type_ != "SuccessCriteriaMet");
    for pod in pods.into_iter().filter(|pod| pod.meta.has_finalizer(TRACKING)) {
        let failed = policies::failed(spec, pod);
        let index = indexes::of(&pod.meta);
        let held = || {
            let holder = index.and_then(|index| sync.indexed.as_ref()?.held.get(&index));
            sync.limit_per_index().is_some() && holder.is_some_and(|holder| holder.meta.uid == pod.meta.uid)
        };
        let ends = going || sync.finished.is_some() || pod.status.phase == Phase::Succeeded;
        if !ends && (!failed || held()) {
            continue;
        }
        released.push(pod);
        let uid = pod.meta.uid.to_string();
        let valid = |completions: i32| index.filter(|index| *index < completions);
        let uncounted = sync.status.uncounted_terminated_pods.get_or_insert_default();
        if pod.status.phase == Phase::Succeeded && !sync.uncounted.1.contains(&uid) {
            if let Some(indexed) = &sync.indexed {
                if let Some(index) = valid(indexed.completions).filter(|index| !indexed.before.has(*index)) {
                    *flush |= new_indexes.insert(index);
                }
            } else if !sync.uncounted.0.contains(&uid) {
                *flush = true;
                uncounted.succeeded.get_or_insert_default().push(uid);
            }
        } else if failed || fails {
            let valid = sync.indexed.as_ref().is_none_or(|indexed| valid(indexed.completions).is_some());
            if !sync.uncounted.1.contains(&uid) && valid && policies::verdict(spec, pod).counts {
                *flush = true;
                uncounted.failed.get_or_insert_default().push(uid);
            }
        }
        let named = |uids: &Option<Vec<String>>| uids.as_ref().map_or(0, Vec::len);
        if new_indexes.len() + named(&uncounted.succeeded) + named(&uncounted.failed) >= MOST {
            full = true;
            break;
        }
    }
    write_indexes(sync, &new_indexes, flush);
    (released, full)
}

fn write_indexes(sync: &mut Sync<'_>, new: &BTreeSet<i32>, flush: &mut bool) {
    let Some(indexed) = &mut sync.indexed else { return };
    indexed.succeeded = indexed.succeeded.with(new);
    let text = |indexes: &indexes::Indexes| Some(indexes.to_string());
    let completed = text(&indexed.succeeded).filter(|text| !text.is_empty());
    let failed = indexed.failed.as_ref().and_then(text);
    *flush |= completed != sync.status.completed_indexes || failed != sync.status.failed_indexes;
    sync.status.succeeded = Some(indexed.succeeded.total()).filter(|total| *total != 0);
    (sync.status.completed_indexes, sync.status.failed_indexes) = (completed, failed);
}

/// The condition that announces the end, in the status; the one that is the end.
fn interim(sync: &mut Sync<'_>, flush: &mut bool, now: Instant) -> Option<JobCondition> {
    let end = sync.finished.clone()?;
    let last = match end.type_.as_str() {
        "FailureTarget" => "Failed",
        "SuccessCriteriaMet" => "Complete",
        _ => return Some(end),
    };
    if condition(&sync.status, &end.type_).is_none() {
        sync.status.conditions.get_or_insert_default().push(end.clone());
        *flush = true;
    }
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    Some(new_condition(last, "True", &text(&end.reason), &text(&end.message), now))
}

/// Whether all pods are counted and none is on its way out.
fn finish_allowed(sync: &Sync<'_>) -> bool {
    let uncounted = sync.status.uncounted_terminated_pods.as_ref();
    let none = |uids: &Option<Vec<String>>| uids.as_ref().is_none_or(Vec::is_empty);
    sync.terminating == 0 && uncounted.is_none_or(|uids| none(&uids.succeeded) && none(&uids.failed))
}

fn tell(sync: &Sync<'_>, end: &JobCondition, routine: &mut Routine<'_>) {
    let about = &sync.inputs.about;
    if end.type_ == "Complete" {
        if sync.spec.completions.is_some_and(|completions| sync.status.succeeded.unwrap_or(0) > completions) {
            routine.event(about, EventType::Warning, "TooManySucceededPods", || {
                "Too many succeeded pods running after completion count reached".to_owned()
            });
        }
        return routine.event(about, EventType::Normal, "Completed", || "Job completed".to_owned());
    }
    let reason = match end.reason.as_deref().unwrap_or_default() {
        "DeadlineExceeded" => "DeadlineExceeded",
        "PodFailurePolicy" => "PodFailurePolicy",
        "MaxFailedIndexesExceeded" => "MaxFailedIndexesExceeded",
        "FailedIndexes" => "FailedIndexes",
        _ => "BackoffLimitExceeded",
    };
    routine.event(about, EventType::Warning, reason, || end.message.clone().unwrap_or_default());
}

/// Counts the pods that have no finalizer any more; whether there were any.
fn count(status: &mut JobStatus, tracked: &BTreeSet<String>) -> bool {
    let uncounted = status.uncounted_terminated_pods.get_or_insert_default();
    let take = |uids: &mut Option<Vec<String>>, counted: &mut Option<i32>| {
        let Some(list) = uids else { return false };
        let before = list.len();
        list.retain(|uid| tracked.contains(uid));
        let gone = (before - list.len()) as i32;
        if list.is_empty() {
            *uids = None;
        }
        if gone > 0 {
            *counted = Some(counted.unwrap_or(0) + gone);
        }
        gone > 0
    };
    let succeeded = take(&mut uncounted.succeeded, &mut status.succeeded);
    let failed = take(&mut uncounted.failed, &mut status.failed);
    succeeded || failed
}

/// Writes the status; the Job as it is then.
fn write(job: &Arc<Resource<Job>>, status: &JobStatus, routine: &mut Routine<'_>) -> Step<Arc<Resource<Job>>> {
    let reported = || job.with_status(|api| api.status = Some(status.clone()));
    let answer = routine.call(|| Call::update_status(Object::Job(reported())))??;
    let Some(written) = answer.object() else { return Ok(job.clone()) };
    let version = written.meta().resource_version;
    routine.ask(|| Effect::Wrote(Kind::Job, version));
    Ok(written.as_resource::<Job>().map_or(job.clone(), |written| Arc::new(written.clone())))
}

/// Adds or changes a condition; one that is false from the start is not added. Whether anything changed.
pub(super) fn ensure(
    status: &mut JobStatus,
    kind: &str,
    holds: &str,
    reason: &str,
    message: &str,
    now: Instant,
) -> bool {
    let conditions = status.conditions.get_or_insert_default();
    let new = new_condition(kind, holds, reason, message, now);
    let changed = match conditions.iter_mut().find(|condition| condition.type_ == kind) {
        Some(old) if old.status == new.status && old.reason == new.reason && old.message == new.message => false,
        Some(old) => {
            *old = new;
            true
        }
        None if holds != "False" => {
            conditions.push(new);
            true
        }
        None => false,
    };
    if conditions.is_empty() {
        status.conditions = None;
    }
    changed
}
