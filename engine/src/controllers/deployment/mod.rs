//! The Deployment controller: replica sets by template, scaled so that a rollout keeps what was promised.
//!
//! Reading order: this file (which changes concern a deployment, what a sync needs to know, the sync's course), `sync` (finding and making
//! the new replica set, scaling, cleaning up), `rolling` and `recreate` (the strategies), `status` (what is reported), and the pure
//! arithmetic: `arithmetic`, `progress`, `revision`.
//!
//! A sync follows upstream's steps call by call, its conflicts with itself included: making a replica set writes the deployment's status,
//! and the sync's last write, made from the older version, then fails and the key comes back.
//!
//! Models: kubernetes v1.36.2 pkg/controller/deployment/{deployment_controller,sync,rolling,recreate,progress}.go. Left out: the deprecated
//! rollback annotation (kubectl rolls back by itself).

pub mod arithmetic;
pub mod progress;
mod recreate;
pub mod revision;
mod rolling;
mod status;
pub(super) mod sync;

use std::sync::Arc;

use self::sync::{Syncing, fresh_set, same_template};
use super::caches::Caches;
use super::contract::{Controller, View, Wake};
use super::ownership::{self, Claim};
use crate::client::Agent;
use crate::client::informer::Change;
use crate::client::routine::{Routine, Step};
use crate::kernel::Instant;
use crate::objects::event::EventType;
use crate::objects::workload::Strategy;
use crate::objects::{Deployment, Key, Kind, Name, Object, Pod, ReplicaSet, Uid};

/// The Deployment controller.
#[derive(Clone, Copy, Debug)]
pub struct DeploymentController;

/// What a sync needs to know.
#[derive(Clone, Debug)]
pub struct Inputs {
    deployment: Arc<Deployment>,
    /// Its own replica sets, and those it may adopt or has to release, oldest first.
    sets: Vec<(Arc<Object>, Claim)>,
    /// If no replica set has its template: the one it would make.
    fresh: Option<Arc<Fresh>>,
    /// For the strategy Recreate: uids of replica sets that have pods which have not ended.
    with_pods: Vec<Uid>,
}

/// A replica set to be made.
#[derive(Clone, Debug)]
struct Fresh {
    /// As it would be, without pods.
    set: ReplicaSet,
    /// The one that has its name already, whoever owns it.
    namesake: Option<ReplicaSet>,
}

impl Controller for DeploymentController {
    const AGENT: Agent = Agent::DeploymentController;
    const KIND: Kind = Kind::Deployment;
    const INFORMERS: &'static [Kind] = &[Kind::Deployment, Kind::ReplicaSet, Kind::Pod];
    const WORKERS: usize = 5;
    const MAX_RETRIES: Option<u32> = Some(15);
    type Inputs = Inputs;
    type Outcome = ();

    fn concerns(&mut self, _kind: Kind, change: &Change, caches: &Caches, wake: &mut Wake<'_>) {
        match &**change.object() {
            Object::Deployment(deployment) => wake.key(deployment.meta.key()),
            Object::ReplicaSet(set) => {
                let old = change.old.as_ref().and_then(|old| old.as_replica_set());
                replica_set_changed(old, set, change.new.is_some(), caches, wake);
            }
            Object::Pod(pod) if change.new.is_none() => pod_deleted(pod, caches, wake),
            _ => {}
        }
    }

    fn inputs(&mut self, key: &Key, caches: &Caches, _view: View<'_>) -> Option<Inputs> {
        let deployment = caches.deployment(key)?;
        let meta = &deployment.meta;
        let mut sets: Vec<(Arc<Object>, Claim)> = caches
            .replica_sets()
            .controlled_by(meta.uid)
            .chain(caches.replica_sets().controlled_by(Uid::default()))
            .map(|set| {
                let matches = |labels: &_| deployment.spec.selector.compiled.matches(labels);
                (set.clone(), ownership::claim(meta, set.meta(), matches))
            })
            .filter(|(_, claim)| *claim != Claim::None)
            .collect();
        sets.sort_by_key(|(set, _)| (whole_seconds(set.meta().created), set.meta().name.clone()));
        let known = |(set, claim): &(Arc<Object>, Claim)| {
            *claim != Claim::Release && set.as_replica_set().is_some_and(|set| same_template(deployment, set))
        };
        let fresh = (!sets.iter().any(known)).then(|| {
            let set = fresh_set(deployment);
            let namesake = caches.replica_set(&set.meta.key()).cloned();
            Arc::new(Fresh { set, namesake })
        });
        let with_pods = match deployment.spec.strategy {
            Strategy::Recreate => sets_with_pods(&sets, caches),
            Strategy::RollingUpdate { .. } => Vec::new(),
        };
        Some(Inputs { deployment: Arc::new(deployment.clone()), sets, fresh, with_pods })
    }

    fn reconcile(&self, inputs: &Inputs, routine: &mut Routine<'_>) -> Step<()> {
        let deployment = &inputs.deployment;
        if deployment.spec.selector.compiled.is_empty() && selects_everything(deployment) {
            return selecting_all(deployment, routine);
        }
        let claims = inputs.sets.iter().map(|(set, claim)| (set, *claim));
        let mine = ownership::carry_out(Kind::Deployment, &deployment.meta, claims, routine)?;
        let mut sync = Syncing::new(inputs, &mine);
        if deployment.meta.deleting() {
            return sync.status_only(routine);
        }
        sync.check_paused(routine)?;
        if deployment.spec.paused || sync.is_scaling_event(routine)? {
            return sync.scale_only(routine);
        }
        match deployment.spec.strategy {
            Strategy::Recreate => sync.recreate(routine),
            Strategy::RollingUpdate { .. } => sync.roll(routine),
        }
    }
}

/// Kubernetes: addReplicaSet, updateReplicaSet, deleteReplicaSet.
fn replica_set_changed(old: Option<&ReplicaSet>, set: &ReplicaSet, there: bool, caches: &Caches, wake: &mut Wake<'_>) {
    let owner_of = |set: &ReplicaSet| {
        let owner = set.meta.controller()?;
        caches.owning_deployment(&set.meta.namespace, owner).map(|deployment| deployment.meta.key())
    };
    if there
        && let Some(old) = old
        && old.meta.controller() != set.meta.controller()
        && let Some(key) = owner_of(old)
    {
        wake.key(key);
    }
    if set.meta.controller().is_some() {
        if let Some(key) = owner_of(set) {
            wake.key(key);
        }
        return;
    }
    let news = old.is_none_or(|old| old.meta.labels != set.meta.labels || old.meta.controller().is_some());
    if there && news && !set.meta.deleting() {
        for object in caches.deployments().in_namespace(&set.meta.namespace) {
            let Some(deployment) = object.as_deployment() else { continue };
            if deployment.spec.selector.compiled.matches(&set.meta.labels) {
                wake.key(deployment.meta.key());
            }
        }
    }
}

/// With the strategy Recreate the last old pod's end lets the rollout go on. Kubernetes: deletePod.
fn pod_deleted(pod: &Pod, caches: &Caches, wake: &mut Wake<'_>) {
    let namespace: &Name = &pod.meta.namespace;
    let deployment = pod
        .meta
        .controller()
        .and_then(|owner| caches.owning_replica_set(namespace, owner))
        .and_then(|set| caches.owning_deployment(namespace, set.meta.controller()?));
    let Some(deployment) = deployment.filter(|deployment| deployment.spec.strategy == Strategy::Recreate) else {
        return;
    };
    let mut sets = caches.replica_sets().controlled_by(deployment.meta.uid);
    if sets.all(|set| caches.pods().controlled_by(set.meta().uid).next().is_none()) {
        wake.key(deployment.meta.key());
    }
}

/// Replica sets with a pod that has not ended.
fn sets_with_pods(sets: &[(Arc<Object>, Claim)], caches: &Caches) -> Vec<Uid> {
    let runs = |object: &Arc<Object>| object.as_pod().is_some_and(|pod| !pod.status.phase.terminal());
    let uids = sets.iter().map(|(set, _)| set.meta().uid);
    uids.filter(|uid| caches.pods().controlled_by(*uid).any(runs)).collect()
}

fn selects_everything(deployment: &Deployment) -> bool {
    let selector = &deployment.spec.selector.api;
    selector.match_labels.as_ref().is_none_or(|labels| labels.is_empty())
        && selector.match_expressions.as_ref().is_none_or(|expressions| expressions.is_empty())
}

/// A deployment that selects all pods is left alone.
fn selecting_all(deployment: &Arc<Deployment>, routine: &mut Routine<'_>) -> Step<()> {
    let about = Object::Deployment((**deployment).clone()).reference();
    routine.event(&about, EventType::Warning, "SelectingAll", || {
        "This deployment is selecting all pods. A non-empty selector is required.".to_owned()
    });
    if deployment.status.observed_generation < deployment.meta.generation {
        let mut seen = (**deployment).clone();
        seen.status.observed_generation = seen.meta.generation;
        // Upstream ignores the outcome.
        let _ = routine.call(|| crate::client::connection::Call::update_status(Object::Deployment(seen)))?;
    }
    Ok(())
}

/// An instant as the API server keeps it.
pub(crate) fn whole_seconds(at: Instant) -> Instant {
    Instant::from_nanos(at.as_nanos() / 1_000_000_000 * 1_000_000_000)
}
