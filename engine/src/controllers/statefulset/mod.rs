//! The StatefulSet controller: pods with names that stay, one after the other.
//!
//! A sync first finds the revision of the template, then looks at the pods by their ordinals: creates what is missing, from the lowest up,
//! deletes what is too many, from the highest down, then what is of an old revision, from the highest down, and always waits for the one
//! it has just touched. With the policy Parallel it waits for none.
//!
//! Reading order: this file (which changes concern a set, what a sync needs to know), `control` (the sync), `identity` (what is a pod's
//! own), `claims`, `history`, `status`.
//!
//! Models: kubernetes v1.36.2 pkg/controller/statefulset/{stateful_set,stateful_set_control,stateful_set_utils,stateful_pod_control}.go.
//! Left out: the gate MaxUnavailableStatefulSet, which is off; repair of an adopted pod's volumes.

mod claims;
mod control;
mod history;
mod identity;
mod status;

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::apps::v1::{StatefulSet, StatefulSetSpec};

use super::caches::Caches;
use super::contract::{Controller, View, Wake};
use super::ownership::{self, Claim};
use super::revisions;
use crate::client::Agent;
use crate::client::informer::Change;
use crate::client::routine::{Routine, Step};
use crate::kernel::{Duration, Instant};
use crate::objects::resource::Pods;
use crate::objects::{Key, Kind, Name, Object, ObjectMeta, ObjectReference, Pod, Resource, Uid};

/// The StatefulSet controller.
#[derive(Clone, Copy, Debug)]
pub struct StatefulSetController;

/// What a sync needs to know.
#[derive(Clone, Debug)]
pub struct Inputs {
    set: Arc<Resource<StatefulSet>>,
    about: ObjectReference,
    /// Its pods, and those to adopt or to release.
    pods: Vec<(Arc<Object>, Claim)>,
    /// Its revisions, the oldest first, and those to adopt.
    revisions: Vec<(Arc<Object>, Claim)>,
    /// The claims of its pods that there are, by name.
    claims: BTreeMap<Name, Arc<Object>>,
}

impl Inputs {
    fn spec(&self) -> &StatefulSetSpec {
        spec(&self.set)
    }

    fn pods(&self) -> &Pods {
        &self.set.compiled
    }

    /// Whether pods come and go one at a time.
    fn one_by_one(&self) -> bool {
        self.spec().pod_management_policy.as_deref() != Some("Parallel")
    }

    /// The ordinals of the pods that are wanted.
    fn ordinals(&self) -> std::ops::Range<i64> {
        let start = self.spec().ordinals.as_ref().and_then(|ordinals| ordinals.start).unwrap_or(0);
        i64::from(start)..i64::from(start) + i64::from(self.spec().replicas.unwrap_or(1).max(0))
    }

    fn min_ready(&self) -> Duration {
        min_ready(self.spec())
    }
}

fn spec(set: &Resource<StatefulSet>) -> &StatefulSetSpec {
    static NOTHING: std::sync::LazyLock<StatefulSetSpec> = std::sync::LazyLock::new(StatefulSetSpec::default);
    set.api.spec.as_ref().unwrap_or(&NOTHING)
}

fn min_ready(spec: &StatefulSetSpec) -> Duration {
    Duration::from_secs(u64::try_from(spec.min_ready_seconds.unwrap_or(0)).unwrap_or(0))
}

impl Controller for StatefulSetController {
    const AGENT: Agent = Agent::StatefulSetController;
    const KIND: Kind = Kind::StatefulSet;
    const INFORMERS: &'static [Kind] =
        &[Kind::StatefulSet, Kind::Pod, Kind::PersistentVolumeClaim, Kind::ControllerRevision];
    const WORKERS: usize = 5;
    const MAX_RETRIES: Option<u32> = None;
    type Inputs = Inputs;
    type Outcome = ();

    fn concerns(&mut self, kind: Kind, change: &Change, caches: &Caches, wake: &mut Wake<'_>) {
        match (kind, &**change.object()) {
            (Kind::StatefulSet, object) => {
                if change.new.is_none() {
                    wake.forget(&object.key());
                }
                wake.key(object.key());
            }
            (Kind::Pod, Object::Pod(pod)) => {
                let old = change.old.as_ref().and_then(|old| old.as_pod());
                pod_changed(old, pod, change.new.is_some(), caches, wake);
            }
            _ => {}
        }
    }

    fn inputs(&mut self, key: &Key, caches: &Caches, _: View<'_>) -> Option<Inputs> {
        let set = caches.resource::<StatefulSet>(key)?;
        let about = caches.store(Kind::StatefulSet).get(key)?.reference();
        let selector = &set.compiled.selector;
        let mut inputs = Inputs {
            set: Arc::new(set.clone()),
            about,
            pods: Vec::new(),
            revisions: revisions::of(&set.meta, selector, caches),
            claims: BTreeMap::new(),
        };
        let pods = caches.pods();
        for object in pods.controlled_by(set.meta.uid).chain(pods.controlled_by(Uid::default())) {
            let member = |meta: &ObjectMeta| identity::parent(&meta.name) == Some(&*set.meta.name);
            let claim = ownership::claim(&set.meta, object.meta(), |labels| selector.matches(labels));
            let claim = match claim {
                Claim::Own if !member(object.meta()) => Claim::Release,
                Claim::Adopt if !member(object.meta()) => Claim::None,
                other => other,
            };
            if claim != Claim::None {
                inputs.pods.push((object.clone(), claim));
            }
        }
        claims::find(&mut inputs, caches);
        Some(inputs)
    }

    fn reconcile(&self, inputs: &Inputs, routine: &mut Routine<'_>) -> Step<()> {
        history::adopt(inputs, routine)?;
        let claims = inputs.pods.iter().map(|(pod, claim)| (pod, *claim));
        let mine = ownership::carry_out(Kind::StatefulSet, &inputs.set.meta, claims, routine)?;
        let own = inputs.pods.iter().zip(mine).filter(|(_, mine)| *mine);
        let pods: Vec<&Pod> = own.filter_map(|((pod, _), _)| pod.as_pod()).collect();
        let revisions = history::revisions(inputs, routine)?;
        let (reported, result) = control::sync(inputs, &pods, &revisions, routine)?;
        let waits = status::write(inputs, reported, &pods, routine)?;
        if let Some(error) = result {
            return Err(error);
        }
        history::truncate(inputs, &pods, &revisions, routine)?;
        if let Some(wait) = waits {
            routine.ask(|| crate::client::routine::Effect::RequeueAfter(wait));
        }
        Ok(())
    }
}

/// Kubernetes: addPod, updatePod, deletePod.
fn pod_changed(old: Option<&Pod>, pod: &Pod, there: bool, caches: &Caches, wake: &mut Wake<'_>) {
    let owner = |pod: &Pod| caches.owning::<StatefulSet>(&pod.meta.namespace, pod.meta.controller()?);
    if let Some(old) = old
        && old.meta.controller() != pod.meta.controller()
        && let Some(set) = owner(old)
    {
        wake.key(set.meta.key());
    }
    if pod.meta.controller().is_some() {
        if let Some(set) = owner(pod) {
            wake.key(set.meta.key());
            let wait = min_ready(spec(set));
            if there && wait > Duration::ZERO && old.is_some_and(|old| !old.ready()) && pod.ready() {
                wake.later(set.meta.key(), wait);
            }
        }
        return;
    }
    let news = |old: &Pod| old.meta.labels != pod.meta.labels || old.meta.controller().is_some();
    if there && old.is_none_or(news) {
        for object in caches.store(Kind::StatefulSet).in_namespace(&pod.meta.namespace) {
            let Some(set) = object.as_resource::<StatefulSet>() else { continue };
            if set.compiled.selector.matches(&pod.meta.labels) {
                wake.key(set.meta.key());
            }
        }
    }
}

/// Whether a pod runs and is ready.
fn serves(pod: &Pod) -> bool {
    pod.status.phase == crate::objects::Phase::Running && pod.ready()
}

/// Whether a pod runs, and has been ready for long enough.
fn available(pod: &Pod, min_ready: Duration, now: Instant) -> bool {
    serves(pod) && pod.available(min_ready, now)
}
