//! Pods that were to be disrupted and were not: after two minutes their condition is taken back.
//!
//! Models: kubernetes v1.36.2 pkg/controller/disruption/disruption.go (stalePodDisruptionQueue).

use super::status::DELETION_TIMEOUT;
use crate::client::Agent;
use crate::client::connection::Call;
use crate::client::informer::Change;
use crate::client::routine::{Interrupt, Routine, Step};
use crate::controllers::caches::Caches;
use crate::controllers::contract::{Controller, View, Wake};
use crate::kernel::{Duration, Instant};
use crate::objects::{Condition, ConditionStatus, Key, Kind, Object, Pod};

const TARGET: &str = "DisruptionTarget";

/// The worker of the disruption controller that looks after pods.
#[derive(Clone, Copy, Debug)]
pub struct StaleConditions;

impl Controller for StaleConditions {
    const AGENT: Agent = Agent::DisruptionController;
    const KIND: Kind = Kind::Pod;
    const INFORMERS: &'static [Kind] = &[Kind::Pod, Kind::PodDisruptionBudget];
    const WORKERS: usize = 1;
    const MAX_RETRIES: Option<u32> = None;
    type Inputs = Pod;
    type Outcome = ();

    fn concerns(&mut self, _kind: Kind, change: &Change, _caches: &Caches, wake: &mut Wake<'_>) {
        if let Some(pod) = change.new.as_ref().and_then(|object| object.as_pod())
            && let Some(wait) = waits(pod, wake.wall())
        {
            wake.later(pod.meta.key(), wait);
        }
    }

    fn inputs(&mut self, key: &Key, caches: &Caches, view: View<'_>) -> Option<Pod> {
        let pod = caches.pods().get(key)?.as_pod()?;
        (waits(pod, view.now)? == Duration::ZERO).then(|| pod.clone())
    }

    fn reconcile(&self, pod: &Pod, routine: &mut Routine<'_>) -> Step<()> {
        let mut next = pod.clone();
        let second = Instant::from_nanos(routine.started().as_nanos() / 1_000_000_000 * 1_000_000_000);
        for condition in next.status.conditions.iter_mut().filter(|condition| &*condition.kind == TARGET) {
            *condition = Condition::new(TARGET, ConditionStatus::False, second);
        }
        match routine.call(|| Call::update_status(Object::Pod(next)))? {
            Ok(_) => Ok(()),
            Err(status) => Err(Interrupt::from(status)),
        }
    }
}

/// How long until the condition of a pod is stale; `None` if it has none that can be.
fn waits(pod: &Pod, now: Instant) -> Option<Duration> {
    let target = pod.condition(TARGET)?;
    if !target.holds()
        || &*target.reason == "TerminationByKubelet"
        || pod.status.phase.terminal()
        || pod.meta.deleting()
    {
        return None;
    }
    Some((target.transition + DELETION_TIMEOUT).since(now.min(target.transition + DELETION_TIMEOUT)))
}
