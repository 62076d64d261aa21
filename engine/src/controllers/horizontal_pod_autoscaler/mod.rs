//! The HorizontalPodAutoscaler controller: as many pods as the measured load asks for.
//!
//! Reading order: this file (which keys, when, what a sync needs to know), `sync` (a sync: target, metrics, size, report), `metrics` (what a
//! metric of the spec says), `replicas` (from measurements to a number of replicas), `normalize` (what of that may be done now:
//! stabilisation, rates, bounds), `status` (conditions).
//!
//! A key waits 15 s in the queue whatever brought it there, and comes back 15 s after each sync. So a new or changed autoscaler is looked at
//! up to 15 s later, and an error is nothing special.
//!
//! Models: kubernetes v1.36.2 pkg/controller/podautoscaler/{horizontal,rate_limiters}.go. Left out: metrics of objects, of pods and external
//! ones (whose APIs nobody serves here: they fail as they do there), scaling to zero, targets of kinds that others define.

mod metrics;
pub mod normalize;
pub mod replicas;
mod status;
mod sync;

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::autoscaling::v2::{CrossVersionObjectReference, HorizontalPodAutoscaler};
use k8s_openapi::api::core::v1::ReplicationController;

use self::normalize::History;
use self::sync::Sync;
use super::caches::Caches;
use super::contract::{Controller, View, Wake};
use crate::client::Agent;
use crate::client::informer::Change;
use crate::client::routine::{Effect, Interrupt, Routine, Step};
use crate::kernel::{Duration, Instant};
use crate::objects::selector::Selector;
use crate::objects::{Key, Kind, Name, Object, ObjectReference, Resource, Text, labels};

/// How long a key waits; Kubernetes: --horizontal-pod-autoscaler-sync-period, 15 s.
const PERIOD: Duration = Duration::from_secs(15);

/// The HorizontalPodAutoscaler controller.
#[derive(Clone, Debug, Default)]
pub struct HorizontalPodAutoscalerController {
    histories: BTreeMap<Key, History>,
}

/// What a sync needs to know.
#[derive(Clone, Debug)]
pub struct Inputs {
    hpa: Resource<HorizontalPodAutoscaler>,
    about: ObjectReference,
    /// The pods that the target's selector picks.
    pods: Vec<Arc<Object>>,
    /// All autoscalers with a say about these pods, this one too.
    autoscalers: Vec<String>,
    history: History,
}

/// What a sync leaves behind.
#[derive(Debug)]
pub struct Outcome {
    history: History,
    /// What it complains of; empty for nothing.
    error: Text,
}

impl Controller for HorizontalPodAutoscalerController {
    const AGENT: Agent = Agent::HorizontalPodAutoscaler;
    const KIND: Kind = Kind::HorizontalPodAutoscaler;
    // Pods are looked up when a key is taken, 15 s after its autoscaler is known; their changes wake nobody.
    const INFORMERS: &'static [Kind] = &[Kind::HorizontalPodAutoscaler];
    const WORKERS: usize = 5;
    const MAX_RETRIES: Option<u32> = None;
    type Inputs = Inputs;
    type Outcome = Outcome;

    fn concerns(&mut self, _: Kind, change: &Change, _: &Caches, wake: &mut Wake<'_>) {
        if change.new.is_some() {
            wake.later(change.object().key(), PERIOD);
        }
    }

    fn inputs(&mut self, key: &Key, caches: &Caches, _: View<'_>) -> Option<Inputs> {
        let Some(object) = caches.store(Kind::HorizontalPodAutoscaler).get(key) else {
            self.histories.remove(key);
            return None;
        };
        let hpa = object.as_resource::<HorizontalPodAutoscaler>()?;
        let selector = selector(&hpa.api.spec.scale_target_ref, &key.namespace, caches);
        let picks = |pod: &&Arc<Object>| selector.as_ref().is_some_and(|selector| selector.matches(&pod.meta().labels));
        let pods: Vec<Arc<Object>> = caches.pods().in_namespace(&key.namespace).filter(picks).cloned().collect();
        let about = object.reference();
        let autoscalers = autoscalers(&key.namespace, &pods, caches);
        let history = self.histories.get(key).cloned().unwrap_or_default();
        Some(Inputs { hpa: hpa.clone(), about, pods, autoscalers, history })
    }

    fn reconcile(&self, inputs: &Inputs, routine: &mut Routine<'_>) -> Step<Outcome> {
        let mut sync = Sync::new(inputs);
        let error = match sync.run(routine) {
            Ok(error) => error.into(),
            Err(Interrupt::Waiting) => return Err(Interrupt::Waiting),
            Err(Interrupt::Failed(error) | Interrupt::Dropped(error)) => error,
        };
        routine.ask(|| Effect::RequeueAfter(PERIOD));
        Ok(Outcome { history: sync.history, error })
    }

    fn complaint(outcome: &Outcome) -> Text {
        outcome.error.clone()
    }

    fn reconciled(&mut self, key: &Key, outcome: Option<Outcome>, _: Instant) {
        if let Some(outcome) = outcome {
            self.histories.insert(key.clone(), outcome.history);
        }
    }
}

/// The kind that a reference means; `None` if nobody knows it.
fn kind_of(target: &CrossVersionObjectReference) -> Option<Kind> {
    let version = target.api_version.as_deref().unwrap_or_default();
    let group = version.split_once('/').map_or("", |(group, _)| group);
    Kind::from_name(&target.kind).filter(|kind| kind.group() == group)
}

/// Which pods belong to a target, as the caches know it.
fn selector(target: &CrossVersionObjectReference, namespace: &Name, caches: &Caches) -> Option<Selector> {
    let key = Key { namespace: namespace.clone(), name: target.name.as_str().into() };
    match kind_of(target)? {
        Kind::Deployment => Some(caches.deployment(&key)?.spec.selector.compiled.clone()),
        Kind::ReplicaSet => Some(caches.replica_set(&key)?.spec.selector.compiled.clone()),
        Kind::StatefulSet => Some(caches.resource::<StatefulSet>(&key)?.compiled.selector.clone()),
        Kind::ReplicationController => {
            let spec = caches.resource::<ReplicationController>(&key)?.api.spec.as_ref()?;
            Some(Selector::from_labels(&labels::from_api(spec.selector.as_ref())))
        }
        _ => None,
    }
}

/// The autoscalers whose targets' selectors pick one of the pods.
fn autoscalers(namespace: &Name, pods: &[Arc<Object>], caches: &Caches) -> Vec<String> {
    let all = caches.store(Kind::HorizontalPodAutoscaler).in_namespace(namespace);
    let all = all.filter_map(|object| object.as_resource::<HorizontalPodAutoscaler>());
    let has_a_say = |hpa: &&Resource<HorizontalPodAutoscaler>| {
        let selector = selector(&hpa.api.spec.scale_target_ref, namespace, caches);
        selector.is_some_and(|selector| pods.iter().any(|pod| selector.matches(&pod.meta().labels)))
    };
    all.filter(has_a_say).map(|hpa| hpa.meta.key().to_string()).collect()
}

#[cfg(test)]
mod tests;
