//! Deletes Jobs some time after they have ended, if they say so.
//!
//! Models: kubernetes v1.36.2 pkg/controller/ttlafterfinished/ttlafterfinished_controller.go.

use std::sync::Arc;

use k8s_openapi::api::batch::v1::Job;

use super::caches::Caches;
use super::contract::{Controller, View, Wake};
use super::job;
use crate::apiserver::request::{DeleteOptions, Propagation};
use crate::client::Agent;
use crate::client::connection::Call;
use crate::client::informer::Change;
use crate::client::routine::{Effect, Interrupt, Routine, Step};
use crate::kernel::{Duration, Instant};
use crate::objects::{Key, Kind, Object, Resource, moment};

/// The TTL-after-finished controller.
#[derive(Clone, Copy, Debug)]
pub struct TtlAfterFinishedController;

/// When a Job is due, if it has ended and says how long it stays.
fn due(job: &Resource<Job>) -> Option<Instant> {
    let seconds = u64::try_from(job.api.spec.as_ref()?.ttl_seconds_after_finished?).unwrap_or(0);
    let ended = job::end(job)?.last_transition_time.as_ref().map(moment::instant)?;
    Some(ended + Duration::from_secs(seconds)).filter(|_| !job.meta.deleting())
}

impl Controller for TtlAfterFinishedController {
    const AGENT: Agent = Agent::TtlAfterFinishedController;
    const KIND: Kind = Kind::Job;
    const INFORMERS: &'static [Kind] = &[Kind::Job];
    const WORKERS: usize = 5;
    const MAX_RETRIES: Option<u32> = None;
    type Inputs = Arc<Object>;
    type Outcome = ();

    fn concerns(&mut self, _: Kind, change: &Change, _: &Caches, wake: &mut Wake<'_>) {
        let Some(job) = change.new.as_ref().and_then(|object| object.as_resource::<Job>()) else { return };
        if due(job).is_some() {
            wake.key(job.meta.key());
        }
    }

    fn inputs(&mut self, key: &Key, caches: &Caches, _: View<'_>) -> Option<Arc<Object>> {
        let object = caches.store(Kind::Job).get(key)?;
        object.as_resource::<Job>().and_then(due)?;
        Some(object.clone())
    }

    fn reconcile(&self, object: &Arc<Object>, routine: &mut Routine<'_>) -> Step<()> {
        let left = |job: Option<&Resource<Job>>, now: Instant| job.and_then(due).map(|due| due.since(now));
        match left(object.as_resource::<Job>(), routine.now()) {
            None => return Ok(()),
            Some(wait) if wait > Duration::ZERO => {
                routine.ask(|| Effect::RequeueAfter(wait));
                return Ok(());
            }
            Some(_) => {}
        }
        // The cache may be old: is it still due?
        let fresh = match routine.call(|| Call::get(Kind::Job, object.key()))? {
            Ok(answer) => answer,
            Err(status) if status.is_not_found() => return Ok(()),
            Err(status) => return Err(Interrupt::from(status)),
        };
        let Some(fresh) = fresh.object() else { return Ok(()) };
        match left(fresh.as_resource::<Job>(), routine.now()) {
            None => return Ok(()),
            Some(wait) if wait > Duration::ZERO => {
                routine.ask(|| Effect::RequeueAfter(wait));
                return Ok(());
            }
            Some(_) => {}
        }
        let options = DeleteOptions {
            uid: Some(fresh.meta().uid),
            propagation: Some(Propagation::Foreground),
            ..DeleteOptions::default()
        };
        match routine.call(|| Call::delete(Kind::Job, object.key(), options))? {
            Err(status) if !status.is_not_found() => Err(Interrupt::from(status)),
            _ => Ok(()),
        }
    }
}
