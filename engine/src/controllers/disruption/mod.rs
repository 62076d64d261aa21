//! The disruption controller: how many pods of each PodDisruptionBudget may be evicted now.
//!
//! Reading order: this file (which changes concern a budget, what a sync needs to know, the sync), `scale` (how many pods a controller
//! wants), the pure `status`, and `stale` (conditions of pods whose eviction never came).
//!
//! Models: kubernetes v1.36.2 pkg/controller/disruption/disruption.go. Left out: the event MultiplePodDisruptionBudgets, scales of kinds
//! that others define.

pub(super) mod scale;
mod stale;
pub mod status;

use std::sync::Arc;

use k8s_openapi::api::policy::v1::PodDisruptionBudget;

pub use self::stale::StaleConditions;
use self::status::Disrupted;
use super::caches::Caches;
use super::contract::{Controller, View, Wake};
use crate::client::Agent;
use crate::client::connection::Call;
use crate::client::informer::Change;
use crate::client::routine::{Effect, Interrupt, Routine, Step};
use crate::kernel::Instant;
use crate::objects::event::EventType;
use crate::objects::{Key, Kind, Object, ObjectReference, Pod, Resource};

/// The disruption controller.
#[derive(Clone, Copy, Debug)]
pub struct DisruptionController;

/// What a sync needs to know.
#[derive(Clone, Debug)]
pub struct Inputs {
    budget: Resource<PodDisruptionBudget>,
    about: ObjectReference,
    /// How many pods it selects.
    pods: usize,
    /// Whether some have no controller, where controllers count.
    unmanaged: bool,
    /// Pods that are expected, and those that are to be healthy.
    wanted: Result<(i32, i32), String>,
    healthy: i32,
    disrupted: Disrupted,
    /// The pods in [`Disrupted::overdue`].
    overdue: Vec<ObjectReference>,
    now: Instant,
}

impl Controller for DisruptionController {
    const AGENT: Agent = Agent::DisruptionController;
    const KIND: Kind = Kind::PodDisruptionBudget;
    const INFORMERS: &'static [Kind] = &[
        Kind::PodDisruptionBudget,
        Kind::Pod,
        Kind::ReplicationController,
        Kind::ReplicaSet,
        Kind::Deployment,
        Kind::StatefulSet,
    ];
    const WORKERS: usize = 1;
    const MAX_RETRIES: Option<u32> = None;
    const SOURCE: &'static str = "controllermanager";
    type Inputs = Inputs;
    type Outcome = ();

    fn concerns(&mut self, kind: Kind, change: &Change, caches: &Caches, wake: &mut Wake<'_>) {
        match (kind, &**change.object()) {
            (Kind::PodDisruptionBudget, budget) => wake.key(budget.key()),
            (_, Object::Pod(pod)) => {
                if let Some(budget) = of_pod(pod, caches) {
                    wake.key(budget);
                }
            }
            _ => {}
        }
    }

    fn inputs(&mut self, key: &Key, caches: &Caches, view: View<'_>) -> Option<Inputs> {
        let object = caches.store(Kind::PodDisruptionBudget).get(key)?;
        let budget = object.as_resource::<PodDisruptionBudget>()?;
        let selector = &budget.compiled.0;
        let pods: Vec<&Arc<Object>> =
            caches.pods().in_namespace(&key.namespace).filter(|pod| selector.matches(&pod.meta().labels)).collect();
        let known: Vec<&Pod> = pods.iter().filter_map(|pod| pod.as_pod()).collect();
        let spec = budget.api.spec.clone().unwrap_or_default();
        let mut unmanaged = false;
        let wanted = status::wanted(&spec, known.len(), || scale::expected(&known, caches, &mut unmanaged));
        let before = budget.api.status.as_ref().and_then(|status| status.disrupted_pods.as_ref());
        let disrupted = status::disrupted(before, &known, view.now);
        Some(Inputs {
            budget: budget.clone(),
            about: object.reference(),
            pods: known.len(),
            unmanaged,
            wanted,
            healthy: status::healthy(&known, &disrupted.pods, view.now),
            overdue: disrupted.overdue.iter().filter_map(|place| pods.get(*place)).map(|pod| pod.reference()).collect(),
            disrupted,
            now: view.now,
        })
    }

    fn reconcile(&self, inputs: &Inputs, routine: &mut Routine<'_>) -> Step<()> {
        let Inputs { budget, about, disrupted, .. } = inputs;
        let meta = &budget.meta;
        if inputs.pods == 0 {
            routine.event(about, EventType::Normal, "NoPods", || "No matching pods found".to_owned());
        }
        let (expected, desired) = match &inputs.wanted {
            Ok(wanted) => *wanted,
            Err(error) => {
                let message = || format!("Failed to calculate the number of expected pods: {error}");
                routine.event(about, EventType::Warning, "CalculateExpectedPodCountFailed", message);
                return write(
                    budget.with_status(|api| {
                        status::failed(api.status.get_or_insert_default(), error.clone(), inputs.now)
                    }),
                    routine,
                );
            }
        };
        if inputs.unmanaged {
            let selector = &budget.compiled.0;
            routine.event(about, EventType::Warning, "UnmanagedPods", || {
                format!(
                    "Pods selected by this PodDisruptionBudget (selector: {}) were found to be unmanaged. As a result, the status of \
                     the PDB cannot be calculated correctly, which may result in undefined behavior. To account for these pods please \
                     set \".spec.minAvailable\" field of the PDB to an integer value.",
                    scale::go_selector(budget.api.spec.as_ref().and_then(|spec| spec.selector.as_ref()), selector)
                )
            });
        }
        for pod in &inputs.overdue {
            // Both names are the namespace, as upstream has it.
            let message = || format!("Pod was expected by PDB {0}/{0} to be deleted but it wasn't", meta.namespace);
            routine.event(pod, EventType::Warning, "NotDeleted", message);
        }
        let before = budget.api.status.clone().unwrap_or_default();
        let counts = (inputs.healthy, desired, expected);
        if let Some(status) = status::updated(&before, meta.generation, counts, &disrupted.pods, inputs.now) {
            write(budget.with_status(|api| api.status = Some(status)), routine)?;
        }
        if let Some(recheck) = disrupted.recheck {
            routine.ask(|| Effect::RequeueAfter(recheck.since(inputs.now)));
        }
        Ok(())
    }
}

fn write(budget: Resource<PodDisruptionBudget>, routine: &mut Routine<'_>) -> Step<()> {
    match routine.call(|| Call::update_status(Object::PodDisruptionBudget(budget)))? {
        Ok(_) => Ok(()),
        Err(status) => Err(Interrupt::from(status)),
    }
}

/// The budget of a pod; of several the first.
fn of_pod(pod: &Pod, caches: &Caches) -> Option<Key> {
    let budgets = caches.store(Kind::PodDisruptionBudget);
    if budgets.is_empty() || pod.meta.labels.is_empty() {
        return None;
    }
    let mut all = budgets.in_namespace(&pod.meta.namespace).filter_map(|object| object.as_resource());
    let mine = |budget: &&Resource<PodDisruptionBudget>| {
        let selector = &budget.compiled.0;
        !selector.is_empty() && selector.matches(&pod.meta.labels)
    };
    all.find(mine).map(|budget| budget.meta.key())
}

#[cfg(test)]
mod tests;
