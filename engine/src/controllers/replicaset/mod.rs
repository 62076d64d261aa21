//! The ReplicaSet controller: as many pods as wanted, no more, no fewer.
//!
//! A sync counts the pods it knows of, creates or deletes the difference, and reports. Creations go out in batches that double as
//! long as all succeed; deletions all at once. Until the cache has seen what a sync asked for (the *expectations*), further syncs only
//! report; until it has seen what a sync wrote, they are refused.
//!
//! Reading order: this file (which changes concern a replica set, what a sync needs to know, the sync), `status`, and the pure `ranking`.
//!
//! Models: kubernetes v1.36.2 pkg/controller/replicaset/replica_set.go, pkg/controller/controller_utils.go (RealPodControl). Left out:
//! ReplicationController, which upstream serves with the same code.

mod pods;
pub mod ranking;
mod status;

use std::sync::Arc;

use self::ranking::{Adjustment, adjustment};
use super::caches::Caches;
use super::contract::{Controller, View, Wake};
use super::ownership::{self, Claim};
use crate::client::Agent;
use crate::client::informer::Change;
use crate::client::routine::{Interrupt, Routine, Step};
use crate::kernel::Duration;
use crate::objects::{Key, Kind, Labels, Object, ObjectMeta, ObjectReference, Pod, ReplicaSet, Uid};

/// The ReplicaSet controller.
#[derive(Clone, Copy, Debug)]
pub struct ReplicaSetController;

/// What a sync needs to know.
#[derive(Clone, Debug)]
pub struct Inputs {
    set: Arc<ReplicaSet>,
    about: ObjectReference,
    /// Whether the cache has seen all that earlier syncs asked for.
    satisfied: bool,
    /// Its own active pods, and those it is about to adopt.
    pods: Vec<Arc<Object>>,
    /// Pods to adopt and to release.
    claims: Vec<(Arc<Object>, Claim)>,
    /// How many of its pods are being deleted.
    terminating: i32,
    /// What to do about the number of pods.
    adjustment: Adjustment,
    /// Which pods go.
    doomed: Vec<Key>,
}

impl Controller for ReplicaSetController {
    const AGENT: Agent = Agent::ReplicaSetController;
    const KIND: Kind = Kind::ReplicaSet;
    const INFORMERS: &'static [Kind] = &[Kind::ReplicaSet, Kind::Pod];
    const WORKERS: usize = 5;
    const MAX_RETRIES: Option<u32> = None;
    type Inputs = Inputs;
    type Outcome = ();

    fn concerns(&mut self, _kind: Kind, change: &Change, caches: &Caches, wake: &mut Wake<'_>) {
        match &**change.object() {
            Object::ReplicaSet(set) => {
                let replaced = change.old.as_ref().is_some_and(|old| old.meta().uid != set.meta.uid);
                if change.new.is_none() || replaced {
                    wake.forget(&set.meta.key());
                }
                wake.key(set.meta.key());
            }
            Object::Pod(pod) => {
                let old = change.old.as_ref().and_then(|old| old.as_pod());
                match (old, change.new.is_some()) {
                    (_, false) => pod_gone(pod, caches, wake),
                    (None, true) => pod_added(pod, caches, wake),
                    (Some(old), true) => pod_changed(old, pod, caches, wake),
                }
            }
            _ => {}
        }
    }

    fn inputs(&mut self, key: &Key, caches: &Caches, view: View<'_>) -> Option<Inputs> {
        let set = caches.replica_set(key)?;
        let mut inputs = Inputs {
            set: Arc::new(set.clone()),
            about: caches.replica_sets().get(key)?.reference(),
            satisfied: view.expectations.satisfied(key, view.monotonic),
            pods: Vec::new(),
            claims: Vec::new(),
            terminating: 0,
            adjustment: Adjustment::None,
            doomed: Vec::new(),
        };
        let pods = caches.pods();
        for object in pods.controlled_by(set.meta.uid).chain(pods.controlled_by(Uid::default())) {
            let Some(pod) = object.as_pod() else { continue };
            // Most pods share their labels with the template, and those match.
            let unchanged = Arc::ptr_eq(&pod.meta.labels, &set.spec.template.labels);
            let matches = |labels: &Labels| unchanged || set.spec.selector.compiled.matches(labels);
            let claim = ownership::claim(&set.meta, &pod.meta, matches);
            if !pod.active() {
                inputs.terminating += i32::from(claim == Claim::Own && !pod.status.phase.terminal());
                continue;
            }
            if matches!(claim, Claim::Adopt | Claim::Release) {
                inputs.claims.push((object.clone(), claim));
            }
            if matches!(claim, Claim::Own | Claim::Adopt) {
                inputs.pods.push(object.clone());
            }
        }
        if inputs.satisfied && !set.meta.deleting() {
            inputs.adjustment = adjustment(inputs.pods.len(), set.spec.replicas);
        }
        if let Adjustment::Delete(count) = inputs.adjustment {
            inputs.doomed = pods::doomed(set, &inputs.pods, count, caches, view.now);
        }
        Some(inputs)
    }

    fn reconcile(&self, inputs: &Inputs, routine: &mut Routine<'_>) -> Step<()> {
        let claims = inputs.claims.iter().map(|(pod, claim)| (pod, *claim));
        let mine = ownership::carry_out(Kind::ReplicaSet, &inputs.set.meta, claims, routine)?;
        let wanted = inputs.claims.iter().filter(|(_, claim)| *claim == Claim::Adopt).count();
        if mine.iter().filter(|mine| **mine).count() < wanted {
            // Upstream goes on without the pod that is gone; the next sync does.
            return Err(Interrupt::Failed("a pod to adopt is gone".into()));
        }
        let failure = match inputs.adjustment {
            Adjustment::None => None,
            Adjustment::Create(count) => pods::create(inputs, count, routine)?,
            Adjustment::Delete(_) => pods::delete(inputs, routine)?,
        };
        status::report(inputs, failure.as_deref(), routine)?;
        failure.map_or(Ok(()), |failure| Err(Interrupt::Failed(failure)))
    }
}

/// The replica set that manages a pod.
fn owner<'a>(pod: &Pod, caches: &'a Caches) -> Option<&'a ReplicaSet> {
    caches.owning_replica_set(&pod.meta.namespace, pod.meta.controller()?)
}

/// Kubernetes: addPod.
fn pod_added(pod: &Pod, caches: &Caches, wake: &mut Wake<'_>) {
    if pod.meta.deleting() {
        if let Some(set) = owner(pod, caches) {
            wake.came_deleted(&set.meta.key());
        }
        return pod_gone(pod, caches, wake);
    }
    if pod.meta.controller().is_none() {
        return wake_matching(&pod.meta, caches, wake);
    }
    if let Some(set) = owner(pod, caches) {
        let key = set.meta.key();
        wake.created(&key);
        wake.key(key);
    }
}

/// Kubernetes: updatePod.
fn pod_changed(old: &Pod, pod: &Pod, caches: &Caches, wake: &mut Wake<'_>) {
    let relabelled = old.meta.labels != pod.meta.labels;
    if pod.meta.deleting() {
        pod_gone(pod, caches, wake);
        if relabelled {
            pod_gone(old, caches, wake);
        }
        return;
    }
    let other_owner = old.meta.controller() != pod.meta.controller();
    if other_owner && let Some(set) = owner(old, caches) {
        wake.key(set.meta.key());
    }
    if pod.meta.controller().is_none() {
        if relabelled || other_owner {
            wake_matching(&pod.meta, caches, wake);
        }
        return;
    }
    if let Some(set) = owner(pod, caches) {
        wake.key(set.meta.key());
        if set.spec.min_ready_seconds > 0 && !old.ready() && pod.ready() {
            wake.later(set.meta.key(), min_ready(set));
        }
    }
}

/// A pod is gone, or on its way. Kubernetes: deletePod.
fn pod_gone(pod: &Pod, caches: &Caches, wake: &mut Wake<'_>) {
    if let Some(set) = owner(pod, caches) {
        let key = set.meta.key();
        wake.deleted(&key, &pod.meta.key());
        wake.key(key);
    }
}

/// Somebody may want to adopt an orphan.
fn wake_matching(orphan: &ObjectMeta, caches: &Caches, wake: &mut Wake<'_>) {
    for object in caches.replica_sets().in_namespace(&orphan.namespace) {
        let Some(set) = object.as_replica_set() else { continue };
        if set.spec.selector.compiled.matches(&orphan.labels) {
            wake.key(set.meta.key());
        }
    }
}

/// `spec.minReadySeconds`.
fn min_ready(set: &ReplicaSet) -> Duration {
    Duration::from_secs(u64::try_from(set.spec.min_ready_seconds).unwrap_or(0))
}
