//! Pods whose Job is gone: the finalizer is taken off, for nobody will count them.
//!
//! Models: kubernetes v1.36.2 pkg/controller/job/job_controller.go (syncOrphanPod, enqueueOrphanPod).

use std::sync::Arc;

use k8s_openapi::api::batch::v1::Job;

use super::TRACKING;
use crate::apiserver::request::Patch;
use crate::client::Agent;
use crate::client::connection::Call;
use crate::client::informer::Change;
use crate::client::routine::{Interrupt, Routine, Step};
use crate::controllers::caches::Caches;
use crate::controllers::contract::{Controller, View, Wake};
use crate::objects::{Key, Kind, Object, Pod};

/// The part of the Job controller for pods without a Job.
#[derive(Clone, Copy, Debug)]
pub struct JobOrphans;

/// Whether a pod has the finalizer, and no Job any more.
fn orphan(pod: &Pod, caches: &Caches) -> bool {
    pod.meta.has_finalizer(TRACKING)
        && pod
            .meta
            .controller()
            .is_none_or(|owner| &*owner.kind == "Job" && caches.owning::<Job>(&pod.meta.namespace, owner).is_none())
}

impl Controller for JobOrphans {
    const AGENT: Agent = Agent::JobController;
    const KIND: Kind = Kind::Pod;
    const INFORMERS: &'static [Kind] = &[Kind::Job, Kind::Pod];
    const WORKERS: usize = 1;
    const MAX_RETRIES: Option<u32> = None;
    type Inputs = Arc<Object>;
    type Outcome = ();

    fn concerns(&mut self, _: Kind, change: &Change, caches: &Caches, wake: &mut Wake<'_>) {
        match &**change.object() {
            Object::Pod(pod) if change.new.is_some() && orphan(pod, caches) => wake.key(pod.meta.key()),
            Object::Job(job) if change.new.is_none() => {
                for object in caches.pods().controlled_by(job.meta.uid) {
                    if object.meta().has_finalizer(TRACKING) {
                        wake.key(object.key());
                    }
                }
            }
            _ => {}
        }
    }

    fn inputs(&mut self, key: &Key, caches: &Caches, _: View<'_>) -> Option<Arc<Object>> {
        caches.pods().get(key).filter(|object| object.as_pod().is_some_and(|pod| orphan(pod, caches))).cloned()
    }

    fn reconcile(&self, pod: &Arc<Object>, routine: &mut Routine<'_>) -> Step<()> {
        let patch = Patch::DropFinalizer { uid: pod.meta().uid, finalizer: TRACKING.into() };
        match routine.call(|| Call::patch(Kind::Pod, pod.key(), patch))? {
            Err(status) if !status.is_not_found() => Err(Interrupt::from(status)),
            _ => Ok(()),
        }
    }
}
