//! How many pods a Job has: creates what is missing, unless a failure is too recent, and deletes what is too much.
//!
//! Models: kubernetes v1.36.2 pkg/controller/job/job_controller.go (manageJob, activePodsForRemoval, deleteJobPods),
//! indexed_job_utils.go (firstPendingIndexes, getPodCreationInfoForIndependentIndexes, getNewIndexFailureCounts).

use std::cmp::Reverse;
use std::collections::BTreeSet;

use super::sync::Sync;
use super::{BATCH_PERIOD, TRACKING, backoff, indexes, pods, policies};
use crate::apiserver::request::Patch;
use crate::client::connection::Call;
use crate::client::routine::{Effect, Routine, Step};
use crate::controllers::pod_control;
use crate::kernel::Duration;
use crate::objects::{Key, Kind, ObjectMeta, Phase, Pod, Text};

/// Most pods created or deleted in a sync; Kubernetes: MaxPodCreateDeletePerSync.
const MOST: i32 = 500;
/// The annotation of a pod with the failures of its index that count, and that do not.
pub(super) const FAILURES: &str = "batch.kubernetes.io/job-index-failure-count";
pub(super) const IGNORED: &str = "batch.kubernetes.io/job-index-ignored-failure-count";

fn number(pod: &ObjectMeta, key: &str) -> i32 {
    pod.annotation(key).and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// Failures of a pod's index before it that count.
pub(super) fn failures(pod: &ObjectMeta) -> i32 {
    number(pod, FAILURES)
}

/// Failures of a pod's index before it.
pub(super) fn all_failures(pod: &ObjectMeta) -> i32 {
    number(pod, FAILURES) + number(pod, IGNORED)
}

/// Creates or deletes pods; how many are active then, and what went wrong.
pub(super) fn manage(sync: &mut Sync<'_>, routine: &mut Routine<'_>) -> Step<(i32, Option<Text>)> {
    let active = sync.active.len() as i32;
    if sync.spec.suspend == Some(true) {
        let doomed = sync.active.clone();
        return remove(sync, doomed, routine);
    }
    let parallelism = sync.spec.parallelism.unwrap_or(1);
    let wanted = match sync.spec.completions {
        None if sync.succeeded > 0 => active,
        None => parallelism,
        Some(completions) => (completions - sync.succeeded).min(parallelism).max(0),
    };
    let mut doomed = surplus(sync, usize::try_from(active - wanted).unwrap_or(0));
    doomed.truncate(MOST as usize);
    if !doomed.is_empty() {
        return remove(sync, doomed, routine);
    }
    let going = if policies::replaces_only_failed(sync.spec) { sync.terminating } else { 0 };
    let missing = wanted - going - active;
    if missing <= 0 {
        return Ok((active, None));
    }
    let now = routine.now();
    let mut wait = Duration::ZERO;
    if sync.limit_per_index().is_none() {
        wait = sync.record.remaining(now);
    }
    let mut chosen = None;
    if wait == Duration::ZERO && sync.indexed.is_some() {
        let pending = pending(sync, missing.min(MOST));
        let per_index = |index: &i32| {
            let held = sync.indexed.as_ref().and_then(|indexed| indexed.held.get(index));
            held.map_or(Duration::ZERO, |pod| {
                let failed = u32::try_from(all_failures(&pod.meta)).unwrap_or(0) + 1;
                backoff::remaining(failed, backoff::finished(pod), now)
            })
        };
        let due: Vec<i32> = pending.iter().copied().filter(|index| per_index(index) == Duration::ZERO).collect();
        if due.is_empty() {
            wait = pending.iter().map(per_index).min().unwrap_or(Duration::ZERO);
        }
        chosen = Some(due);
    }
    if wait > Duration::ZERO {
        routine.ask(|| Effect::RequeueAfter(wait.max(BATCH_PERIOD)));
        return Ok((0, None));
    }
    let count = chosen.as_ref().map_or(missing.min(MOST) as usize, Vec::len);
    routine.ask(|| Effect::ExpectCreations(count));
    let template = pods::template(sync);
    let mut pod = |n: usize| match &chosen {
        None => Some(template.clone()),
        Some(indexes) => Some(pods::indexed(sync, &template, *indexes.get(n)?)),
    };
    let created = pod_control::create(&sync.inputs.about, count, &mut pod, routine)?;
    Ok((active + created.count as i32, created.error))
}

/// Takes the finalizer off pods and deletes them.
fn remove(sync: &mut Sync<'_>, doomed: Vec<&Pod>, routine: &mut Routine<'_>) -> Step<(i32, Option<Text>)> {
    let active = sync.active.len() as i32;
    if doomed.is_empty() {
        return Ok((active, None));
    }
    let keys: Vec<Key> = doomed.iter().map(|pod| pod.meta.key()).collect();
    routine.ask(|| Effect::ExpectDeletions(keys.clone()));
    release(&doomed, routine)?;
    let (gone, error) = pod_control::delete(&sync.inputs.about, &keys, routine)?;
    sync.removed(&doomed, &gone);
    Ok((active - gone.iter().filter(|gone| **gone).count() as i32, error))
}

/// Takes the finalizer off pods; whose it is off, and what went wrong.
pub(super) fn release(pods: &[&Pod], routine: &mut Routine<'_>) -> Step<(Vec<bool>, Option<Text>)> {
    if pods.is_empty() {
        return Ok((Vec::new(), None));
    }
    let mut call = |n: usize| {
        let meta = &pods.get(n)?.meta;
        let patch = Patch::DropFinalizer { uid: meta.uid, finalizer: TRACKING.into() };
        Some(Call::patch(Kind::Pod, meta.key(), patch))
    };
    let outcomes = routine.call_all(pods.len(), &mut call, &|_, outcome, asked| {
        if let Ok(answer) = outcome
            && let Some(pod) = answer.object()
        {
            asked.ask(|| Effect::Wrote(Kind::Pod, pod.meta().resource_version));
        }
    })?;
    let failures = outcomes.into_iter().map(|outcome| outcome.err().filter(|status| !status.is_not_found()));
    let (mut off, mut error) = (Vec::new(), None);
    for failure in failures {
        off.push(failure.is_none());
        error = error.or(failure.map(|status| status.message));
    }
    Ok((off, error))
}

/// The indexes that need a pod, the lowest first.
fn pending(sync: &Sync<'_>, count: i32) -> Vec<i32> {
    let Some(indexed) = &sync.indexed else { return Vec::new() };
    let waits = policies::replaces_only_failed(sync.spec);
    let taken = |pod: &&&Pod| pod.active() || waits && pod.meta.deleting() && !pod.status.phase.terminal();
    let taken: BTreeSet<i32> = sync.pods.iter().filter(taken).filter_map(|pod| indexes::of(&pod.meta)).collect();
    let failed = |index: &i32| indexed.failed.as_ref().is_some_and(|failed| failed.has(*index));
    let free = (0..indexed.completions).filter(|index| !indexed.succeeded.has(*index) && !taken.contains(index));
    free.filter(|index| !failed(index)).take(count.max(0) as usize).collect()
}

/// Pods to delete: those of an index that has one, and then as many as asked for, the least useful first.
fn surplus<'a>(sync: &Sync<'a>, at_least: usize) -> Vec<&'a Pod> {
    let mut left = sync.active.clone();
    let rank = |pod: &Pod| {
        let ready = pod.condition("Ready").filter(|ready| ready.holds()).map(|ready| ready.transition);
        let phase = match pod.status.phase {
            Phase::Pending => 0,
            Phase::Unknown => 1,
            _ => 2,
        };
        (pod.node.is_some(), phase, ready.is_some(), Reverse(ready), Reverse(pod.restarts()), Reverse(pod.meta.created))
    };
    left.sort_by_key(|pod| rank(pod));
    let mut doomed = Vec::new();
    if let Some(indexed) = &sync.indexed {
        let mut seen = BTreeSet::new();
        let mut kept = Vec::new();
        // The most useful of an index stays.
        for pod in left.into_iter().rev() {
            let index = indexes::of(&pod.meta).filter(|index| *index < indexed.completions);
            if index.is_some_and(|index| seen.insert(index)) { kept.push(pod) } else { doomed.push(pod) }
        }
        kept.reverse();
        left = kept;
    }
    let more = at_least.saturating_sub(doomed.len());
    doomed.extend(left.into_iter().take(more));
    doomed
}
