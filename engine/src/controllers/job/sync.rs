//! A sync of a Job.
//!
//! Models: kubernetes v1.36.2 pkg/controller/job/job_controller.go (syncJob).

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::batch::v1::{JobCondition, JobSpec, JobStatus};

use super::backoff::{self, Record};
use super::indexes::{self, Indexes};
use super::{Inputs, TRACKING, condition, manage, new_condition, policies, tracking};
use crate::client::routine::{Effect, Interrupt, Routine, Step};
use crate::controllers::pod_control;
use crate::kernel::{Duration, Instant};
use crate::objects::event::EventType;
use crate::objects::{Key, Phase, Pod, moment};

/// How a sync stands.
pub(super) struct Sync<'a> {
    pub(super) inputs: &'a Inputs,
    pub(super) spec: &'a JobSpec,
    pub(super) pods: Vec<&'a Pod>,
    /// Those that neither have ended nor are to end.
    pub(super) active: Vec<&'a Pod>,
    pub(super) ready: i32,
    pub(super) terminating: i32,
    /// What is to be reported.
    pub(super) status: JobStatus,
    /// Uids of pods that are written down as to be counted.
    pub(super) uncounted: (BTreeSet<String>, BTreeSet<String>),
    pub(super) succeeded: i32,
    pub(super) failed: i32,
    /// How the Job ends, if it does.
    pub(super) finished: Option<JobCondition>,
    pub(super) record: Record,
    /// Only if its pods have indexes.
    pub(super) indexed: Option<Indexed<'a>>,
}

/// The indexes of a Job.
pub(super) struct Indexed<'a> {
    pub(super) completions: i32,
    /// Those that the status names.
    pub(super) before: Indexes,
    pub(super) succeeded: Indexes,
    /// Only if each index has a limit of its own.
    pub(super) failed: Option<Indexes>,
    /// Failed pods that hold the count of failures for those that will replace them.
    pub(super) held: BTreeMap<i32, &'a Pod>,
}

/// Brings a Job a step closer; how often its pods have failed.
pub(super) fn sync(inputs: &Inputs, pods: Vec<&Pod>, routine: &mut Routine<'_>) -> Step<Record> {
    let now = routine.now();
    let mut sync = Sync::new(inputs, pods, now);
    sync.find_end(now, routine);
    let mut active = sync.active.len() as i32;
    let (mut error, mut changed) = (None, false);
    if sync.finished.is_some() {
        let keys: Vec<Key> = sync.active.iter().map(|pod| pod.meta.key()).collect();
        let (gone, failure) = pod_control::delete(&inputs.about, &keys, routine)?;
        sync.removed(&sync.active.clone(), &gone);
        let deleted = gone.iter().filter(|gone| **gone).count() as i32;
        if deleted != active || !inputs.satisfied {
            sync.finished = None;
        }
        active -= deleted;
        error = failure;
    } else {
        let managed = inputs.satisfied && !inputs.job.meta.deleting();
        if managed {
            (active, error) = manage::manage(&mut sync, routine)?;
        }
        let done = match sync.spec.completions {
            None => sync.succeeded > 0 && active == 0,
            Some(completions) => sync.succeeded >= completions && active == 0,
        };
        if done {
            let (reason, message) = ("CompletionsReached", "Reached expected number of succeeded pods");
            sync.finished = Some(new_condition("SuccessCriteriaMet", "True", reason, message, routine.now()));
        } else if managed {
            changed = suspension(&mut sync, routine);
        }
    }
    changed |= active != sync.status.active.unwrap_or(0)
        || sync.status.ready != Some(sync.ready)
        || sync.status.terminating != Some(sync.terminating);
    sync.status.active = Some(active).filter(|active| *active != 0);
    sync.status.ready = Some(sync.ready);
    sync.status.terminating = Some(sync.terminating);
    let record = sync.record;
    tracking::track(sync, changed, routine)?;
    error.map_or(Ok(record), |error| Err(Interrupt::Failed(error)))
}

impl<'a> Sync<'a> {
    fn new(inputs: &'a Inputs, pods: Vec<&'a Pod>, now: Instant) -> Self {
        let spec = &inputs.spec;
        let mut status = inputs.job.api.status.clone().unwrap_or_default();
        let uncounted = status.uncounted_terminated_pods.get_or_insert_default();
        let set = |uids: &Option<Vec<String>>| uids.iter().flatten().cloned().collect::<BTreeSet<String>>();
        let uncounted = (set(&uncounted.succeeded), set(&uncounted.failed));
        let active: Vec<&Pod> = pods.iter().copied().filter(|pod| pod.active()).collect();
        let going = |pod: &&&Pod| pod.meta.deleting() && !pod.status.phase.terminal();
        let mut sync = Sync {
            inputs,
            spec,
            ready: active.iter().filter(|pod| pod.ready()).count() as i32,
            terminating: pods.iter().filter(going).count() as i32,
            active,
            pods,
            status,
            uncounted,
            succeeded: 0,
            failed: 0,
            finished: None,
            record: inputs.record,
            indexed: None,
        };
        let completions = spec.completions.unwrap_or(0);
        if spec.completion_mode.as_deref() == Some("Indexed") {
            let before = Indexes::parse(sync.status.completed_indexes.as_deref().unwrap_or_default(), completions);
            let indexed =
                Indexed { completions, succeeded: before.clone(), before, failed: None, held: BTreeMap::new() };
            sync.indexed = Some(indexed);
        }
        let new_succeeded = sync.fresh(&sync.uncounted.0, |pod| pod.status.phase == Phase::Succeeded);
        let new_failed = sync.fresh(&sync.uncounted.1, |pod| policies::failed(spec, pod));
        let counting = new_failed.iter().filter(|pod| policies::verdict(spec, pod).counts).count();
        let sum = |counted: Option<i32>, new: usize, uncounted: usize| counted.unwrap_or(0) + (new + uncounted) as i32;
        sync.succeeded = sum(sync.status.succeeded, new_succeeded.len(), sync.uncounted.0.len());
        sync.failed = sum(sync.status.failed, counting, sync.uncounted.1.len());
        sync.record = inputs.record.with(&new_succeeded, &new_failed);
        if sync.status.start_time.is_none() && spec.suspend != Some(true) {
            sync.status.start_time = Some(moment::time(now));
        }
        sync
    }

    /// Pods that have ended and are neither counted nor about to be.
    fn fresh(&self, uncounted: &BTreeSet<String>, ended: impl Fn(&Pod) -> bool) -> Vec<&'a Pod> {
        let valid = |pod: &Pod| match &self.indexed {
            Some(indexed) => indexes::of(&pod.meta).is_some_and(|index| index < indexed.completions),
            None => true,
        };
        let uncounted = |pod: &Pod| !uncounted.is_empty() && uncounted.contains(&pod.meta.uid.to_string());
        let all = self.pods.iter().copied();
        all.filter(|pod| pod.meta.has_finalizer(TRACKING) && ended(pod) && valid(pod) && !uncounted(pod)).collect()
    }

    /// Pods were deleted.
    pub(super) fn removed(&mut self, pods: &[&Pod], gone: &[bool]) {
        self.terminating += gone.iter().filter(|gone| **gone).count() as i32;
        self.ready -= pods.iter().filter(|pod| pod.ready()).count() as i32;
    }

    /// Whether each index has a limit of its own.
    pub(super) fn limit_per_index(&self) -> Option<i32> {
        self.indexed.as_ref().and(self.spec.backoff_limit_per_index)
    }

    /// Finds out whether and how the Job ends.
    fn find_end(&mut self, now: Instant, routine: &mut Routine<'_>) {
        let spec = self.spec;
        let fails = |reason: &str, message: &str| Some(new_condition("FailureTarget", "True", reason, message, now));
        if let Some(met) = condition(&self.status, "SuccessCriteriaMet") {
            self.finished = Some(met.clone());
        } else if let Some(target) = condition(&self.status, "FailureTarget") {
            let text = |text: &Option<String>| text.clone().unwrap_or_default();
            let (reason, message) = (text(&target.reason), text(&target.message));
            self.finished = Some(new_condition("Failed", "True", &reason, &message, now));
        } else if spec.pod_failure_policy.is_some() {
            let failed = self.pods.iter().filter(|pod| policies::failed(spec, pod));
            let message = failed.filter_map(|pod| policies::verdict(spec, pod).job_fails).next();
            self.finished = message.and_then(|message| fails("PodFailurePolicy", &message));
        }
        if self.finished.is_none() {
            if self.failed > spec.backoff_limit.unwrap_or(6) || self.restarted_too_often() {
                self.finished = fails("BackoffLimitExceeded", "Job has reached the specified backoff limit");
            } else if let (Some(deadline), false) = (spec.active_deadline_seconds, spec.suspend == Some(true)) {
                let start = self.status.start_time.as_ref().map_or(now, moment::instant);
                let left = (start + Duration::from_secs(u64::try_from(deadline).unwrap_or(0))).since(now);
                if left == Duration::ZERO {
                    self.finished = fails("DeadlineExceeded", "Job was active longer than specified deadline");
                } else {
                    routine.ask(|| Effect::RequeueAfter(left));
                }
            }
        }
        self.look_at_indexes(now);
    }

    fn look_at_indexes(&mut self, now: Instant) {
        let Some(mut indexed) = self.indexed.take() else { return };
        let (spec, completions) = (self.spec, indexed.completions);
        let nobody = BTreeSet::new();
        let fresh = self.pods.iter().filter(|pod| pod.meta.has_finalizer(TRACKING));
        let of = |pod: &Pod| indexes::of(&pod.meta).filter(|index| *index < completions);
        let done = fresh.clone().filter(|pod| pod.status.phase == Phase::Succeeded).filter_map(|pod| of(pod));
        let done: BTreeSet<i32> = done.filter(|index| !indexed.before.has(*index)).collect();
        indexed.succeeded = indexed.before.with(&done);
        self.succeeded = indexed.succeeded.total();
        if let Some(limit) = spec.backoff_limit_per_index {
            let before = Indexes::parse(self.status.failed_indexes.as_deref().unwrap_or_default(), completions);
            let lost = |pod: &Pod| {
                let verdict = policies::verdict(spec, pod);
                verdict.index_fails || verdict.counts && manage::failures(&pod.meta) >= limit
            };
            let lost = fresh.filter(|pod| policies::failed(spec, pod) && lost(pod)).filter_map(|pod| of(pod)).collect();
            let failed = before.with(&lost);
            let most = spec.max_failed_indexes;
            let fails =
                |reason: &str, message: &str| Some(new_condition("FailureTarget", "True", reason, message, now));
            if self.finished.is_some() {
            } else if most.is_some_and(|most| failed.total() > most) {
                let message = "Job has exceeded the specified maximal number of failed indexes";
                self.finished = fails("MaxFailedIndexesExceeded", message);
            } else if failed.total() > 0 && failed.total() + indexed.succeeded.total() >= completions {
                self.finished = fails("FailedIndexes", "Job has failed indexes");
            }
            let active: BTreeSet<i32> = self.active.iter().filter_map(|pod| indexes::of(&pod.meta)).collect();
            self.indexed = Some(indexed);
            let held = self.fresh(&nobody, |pod| policies::failed(spec, pod));
            let Some(mut again) = self.indexed.take() else { return };
            for pod in held {
                let Some(index) = indexes::of(&pod.meta) else { continue };
                if again.succeeded.has(index) || failed.has(index) || active.contains(&index) {
                    continue;
                }
                let newer = |old: &&Pod| {
                    manage::all_failures(&old.meta) <= manage::all_failures(&pod.meta)
                        && backoff::finished(pod) >= backoff::finished(old)
                };
                if again.held.get(&index).is_none_or(newer) {
                    again.held.insert(index, pod);
                }
            }
            again.failed = Some(failed);
            indexed = again;
        }
        if self.finished.is_none()
            && let Some(message) = policies::enough(spec.success_policy.as_ref(), completions, &indexed.succeeded)
        {
            self.finished = Some(new_condition("SuccessCriteriaMet", "True", "SuccessPolicy", &message, now));
        }
        self.indexed = Some(indexed);
    }

    /// Whether containers of pods that are restarted in place have failed too often.
    fn restarted_too_often(&self) -> bool {
        let template = self.spec.template.spec.as_ref();
        if template.and_then(|spec| spec.restart_policy.as_deref()) != Some("OnFailure") {
            return false;
        }
        let running = self.pods.iter().filter(|pod| matches!(pod.status.phase, Phase::Running | Phase::Pending));
        let restarts = |pod: &&Pod| {
            pod.restarts() + pod.status.init_containers.iter().map(|container| container.restarts).sum::<i32>()
        };
        let restarts: i32 = running.map(restarts).sum();
        match self.spec.backoff_limit.unwrap_or(6) {
            0 => restarts > 0,
            limit => restarts >= limit,
        }
    }
}

/// The condition Suspended; whether it changed.
fn suspension(sync: &mut Sync<'_>, routine: &mut Routine<'_>) -> bool {
    let about = &sync.inputs.about;
    let now = routine.now();
    if sync.spec.suspend == Some(true) {
        let changed = tracking::ensure(&mut sync.status, "Suspended", "True", "JobSuspended", "Job suspended", now);
        if changed {
            sync.status.start_time = None;
            routine.event(about, EventType::Normal, "Suspended", || "Job suspended".to_owned());
        }
        return changed;
    }
    let changed = tracking::ensure(&mut sync.status, "Suspended", "False", "JobResumed", "Job resumed", now);
    if changed {
        sync.status.start_time = Some(moment::time(now));
        routine.event(about, EventType::Normal, "Resumed", || "Job resumed".to_owned());
    }
    changed
}
