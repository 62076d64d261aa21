//! The Job controller: pods that are to end, counted when they have.
//!
//! A sync counts the pods that have ended and that nobody has counted yet, finds out whether the Job is done or has failed, creates or
//! deletes pods, writes down which pods it is about to count, takes the finalizer off them, and then writes the new numbers. So no pod is
//! counted twice or forgotten, whatever fails in between. Pods' changes are looked at together, a second after the first.
//!
//! Reading order: this file (which changes concern a Job, what a sync needs to know), `sync`, `manage` (how many pods), `tracking`
//! (counting), and the pure `backoff`, `indexes` and `policies`; `orphans` takes the finalizer off pods whose Job is gone.
//!
//! Models: kubernetes v1.36.2 pkg/controller/job/{job_controller,backoff_utils,indexed_job_utils,pod_failure_policy,success_policy}.go.
//! Left out: `managedBy`, the finalizer of adopted pods.

mod backoff;
mod indexes;
mod manage;
mod orphans;
mod pods;
mod policies;
mod sync;
mod tracking;

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::batch::v1::{Job, JobCondition, JobSpec, JobStatus};

use self::backoff::Record;
pub use self::orphans::JobOrphans;
use super::caches::Caches;
use super::contract::{Controller, View, Wake};
use super::ownership::{self, Claim};
use crate::client::Agent;
use crate::client::informer::Change;
use crate::client::routine::{Routine, Step};
use crate::kernel::{Duration, Instant};
use crate::objects::{Key, Kind, Object, ObjectReference, Pod, Resource, Uid, moment};

/// The finalizer of pods that are not counted yet.
pub const TRACKING: &str = "batch.kubernetes.io/job-tracking";
/// Changes of pods are looked at together after this long.
const BATCH_PERIOD: Duration = Duration::from_secs(1);

/// The Job controller.
#[derive(Clone, Debug, Default)]
pub struct JobController {
    /// How often the pods of a Job have failed in a row.
    records: BTreeMap<Key, Record>,
}

/// What a sync needs to know.
#[derive(Clone, Debug)]
pub struct Inputs {
    job: Arc<Resource<Job>>,
    about: ObjectReference,
    spec: JobSpec,
    /// Whether the cache has seen all that earlier syncs asked for.
    satisfied: bool,
    /// Its pods, and those to adopt or to release.
    pods: Vec<(Arc<Object>, Claim)>,
    record: Record,
}

impl Controller for JobController {
    const AGENT: Agent = Agent::JobController;
    const KIND: Kind = Kind::Job;
    const INFORMERS: &'static [Kind] = &[Kind::Job, Kind::Pod];
    const WORKERS: usize = 5;
    const MAX_RETRIES: Option<u32> = None;
    const LONGEST_WAIT: Duration = Duration::from_secs(60);
    const FIRST_WAIT: Option<Duration> = Some(Duration::from_secs(1));
    type Inputs = Inputs;
    type Outcome = Record;

    fn concerns(&mut self, kind: Kind, change: &Change, caches: &Caches, wake: &mut Wake<'_>) {
        let object = &**change.object();
        match (kind, object) {
            (Kind::Job, object) => job_changed(change, object, wake),
            (Kind::Pod, Object::Pod(pod)) => {
                let old = change.old.as_ref().and_then(|old| old.as_pod());
                pod_changed(old, pod, change.new.is_some(), caches, wake);
            }
            _ => {}
        }
    }

    fn inputs(&mut self, key: &Key, caches: &Caches, view: View<'_>) -> Option<Inputs> {
        let job = caches.resource::<Job>(key).filter(|job| !finished(job));
        let Some(job) = job else {
            self.records.remove(key);
            return None;
        };
        let selector = &job.compiled.selector;
        let store = caches.pods();
        let known = store.controlled_by(job.meta.uid).chain(store.controlled_by(Uid::default()));
        let claimed = known.map(|object| {
            (object.clone(), ownership::claim(&job.meta, object.meta(), |labels| selector.matches(labels)))
        });
        Some(Inputs {
            about: caches.store(Kind::Job).get(key)?.reference(),
            spec: job.api.spec.clone().unwrap_or_default(),
            satisfied: view.expectations.satisfied(key, view.monotonic),
            pods: claimed.filter(|(_, claim)| *claim != Claim::None).collect(),
            record: self.records.get(key).copied().unwrap_or_default(),
            job: Arc::new(job.clone()),
        })
    }

    fn reconcile(&self, inputs: &Inputs, routine: &mut Routine<'_>) -> Step<Record> {
        let claims = inputs.pods.iter().map(|(pod, claim)| (pod, *claim));
        let mine = ownership::carry_out(Kind::Job, &inputs.job.meta, claims, routine)?;
        let own = inputs.pods.iter().zip(mine).filter(|(_, mine)| *mine);
        let pods: Vec<&Pod> = own.filter_map(|((pod, _), _)| pod.as_pod()).collect();
        sync::sync(inputs, pods, routine)
    }

    fn reconciled(&mut self, key: &Key, outcome: Option<Record>, _: Instant) {
        if let Some(record) = outcome {
            self.records.insert(key.clone(), record);
        }
    }
}

/// Kubernetes: addJob, updateJob, deleteJob.
fn job_changed(change: &Change, object: &Object, wake: &mut Wake<'_>) {
    let key = object.key();
    let Some(old) = change.old.as_ref().filter(|_| change.new.is_some()) else {
        if change.new.is_none() {
            wake.forget(&key);
        }
        return wake.key(key);
    };
    if old.meta().generation != object.meta().generation {
        wake.key(key.clone());
    } else {
        wake.later(key.clone(), BATCH_PERIOD);
    }
    let deadline = |object: &Object| {
        let job = object.as_resource::<Job>()?;
        let start = job.api.status.as_ref()?.start_time.as_ref().map(moment::instant)?;
        Some((start, u64::try_from(job.api.spec.as_ref()?.active_deadline_seconds?).unwrap_or(0)))
    };
    if let Some((start, seconds)) = deadline(object).filter(|new| deadline(old).map(|(_, old)| old) != Some(new.1)) {
        wake.later(key, (start + Duration::from_secs(seconds)).since(wake.wall()));
    }
}

/// Kubernetes: addPod, updatePod, deletePod.
fn pod_changed(old: Option<&Pod>, pod: &Pod, there: bool, caches: &Caches, wake: &mut Wake<'_>) {
    let owner = |pod: &Pod| caches.owning::<Job>(&pod.meta.namespace, pod.meta.controller()?).map(|job| job.meta.key());
    if let Some(old) = old
        && old.meta.controller() != pod.meta.controller()
        && let Some(job) = owner(old)
    {
        wake.later(job, BATCH_PERIOD);
    }
    if pod.meta.controller().is_some() {
        let Some(job) = owner(pod) else { return };
        if !there || pod.meta.deleting() {
            wake.deleted(&job, &pod.meta.key());
            if there && old.is_none() {
                wake.came_deleted(&job);
            }
        } else if old.is_none() {
            wake.created(&job);
        }
        return wake.later(job, BATCH_PERIOD);
    }
    let news = |old: &Pod| old.meta.labels != pod.meta.labels || old.meta.controller().is_some();
    if there && old.is_none_or(news) {
        for object in caches.store(Kind::Job).in_namespace(&pod.meta.namespace) {
            let Some(job) = object.as_resource::<Job>() else { continue };
            if job.compiled.selector.matches(&pod.meta.labels) {
                wake.later(job.meta.key(), BATCH_PERIOD);
            }
        }
    }
}

/// A condition of a Job that holds.
pub fn condition<'a>(status: &'a JobStatus, kind: &str) -> Option<&'a JobCondition> {
    status.conditions.iter().flatten().find(|condition| condition.type_ == kind && condition.status == "True")
}

/// The condition that says that a Job has ended, if it has.
pub fn end(job: &Resource<Job>) -> Option<&JobCondition> {
    let status = job.api.status.as_ref()?;
    condition(status, "Complete").or_else(|| condition(status, "Failed"))
}

/// Whether a Job has ended.
pub fn finished(job: &Resource<Job>) -> bool {
    end(job).is_some()
}

/// A condition as it begins.
fn new_condition(kind: &str, status: &str, reason: &str, message: &str, now: Instant) -> JobCondition {
    let text = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    JobCondition {
        type_: kind.to_owned(),
        status: status.to_owned(),
        reason: text(reason),
        message: text(message),
        last_probe_time: Some(moment::time(now)),
        last_transition_time: Some(moment::time(now)),
    }
}
