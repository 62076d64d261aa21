//! The DaemonSet controller: one pod on each node that is to have one.
//!
//! The pods name their node by affinity; the scheduler binds them like any other. A sync looks at every node: is there to be a pod,
//! may one stay, which are there; creates and deletes accordingly; and, if there was nothing to do, goes on with a rolling update.
//!
//! Reading order: this file (which changes concern a set, what a sync needs to know), `nodes` (which nodes), `manage`, `rolling`,
//! `history`, `status`.
//!
//! Models: kubernetes v1.36.2 pkg/controller/daemon/{daemon_controller,update}.go, util/daemonset_util.go. Left out: clean-up of
//! duplicate revisions.

mod history;
mod manage;
mod nodes;
mod rolling;
mod status;

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use k8s_openapi::api::apps::v1::{DaemonSet, DaemonSetSpec};

use self::manage::Backoffs;
use self::nodes::Terms;
use super::caches::Caches;
use super::contract::{Controller, View, Wake};
use super::ownership::{self, Claim};
use super::revisions;
use crate::client::Agent;
use crate::client::informer::Change;
use crate::client::routine::{Interrupt, Routine, Step};
use crate::kernel::{Duration, Instant};
use crate::objects::event::EventType;
use crate::objects::{Key, Kind, Labels, Name, Node, Object, ObjectReference, Phase, Pod, Resource, Uid};

/// The DaemonSet controller.
#[derive(Clone, Debug, Default)]
pub struct DaemonSetController {
    /// Nodes on which pods of a set have failed.
    backoffs: Backoffs,
}

/// What a sync needs to know.
#[derive(Clone, Debug)]
pub struct Inputs {
    set: Arc<Resource<DaemonSet>>,
    spec: Arc<DaemonSetSpec>,
    about: ObjectReference,
    /// Whether the cache has seen all that earlier syncs asked for.
    satisfied: bool,
    /// Pods to adopt or to release.
    claims: Vec<(Arc<Object>, Claim)>,
    /// Its revisions, the oldest first, and those to adopt.
    revisions: Vec<(Arc<Object>, Claim)>,
    /// Its pods with the nodes they are meant for, in order of these.
    pods: Vec<(Name, Arc<Object>)>,
    /// The nodes in order.
    places: Vec<Place>,
    /// Failed pods that may go now.
    failed: Vec<Name>,
    /// How long until further ones may.
    wait: Option<Duration>,
}

/// A node as a DaemonSet sees it.
#[derive(Clone, Debug)]
struct Place {
    node: Name,
    /// Whether there is to be a pod.
    wanted: bool,
    /// Whether a pod that is there may stay.
    bearable: bool,
    /// Its pods, in [`Inputs::pods`].
    pods: Range<usize>,
}

impl Inputs {
    /// The pods on a node.
    fn pods_on(&self, place: &Place) -> impl Iterator<Item = &Pod> + Clone {
        self.pods.get(place.pods.clone()).unwrap_or_default().iter().filter_map(|(_, object)| object.as_pod())
    }

    fn min_ready(&self) -> Duration {
        min_ready(&self.spec)
    }

    /// Whether a pod is of the present template.
    fn updated(&self, pod: &Pod, hash: &str) -> bool {
        let generation = self.set.meta.annotation(history::GENERATION);
        revisions::of_pod(&pod.meta).is_some_and(|of| **of == *hash)
            || generation.is_some()
                && pod.meta.labels.get(history::GENERATION_LABEL).map(|label| &**label) == generation
    }
}

fn min_ready(spec: &DaemonSetSpec) -> Duration {
    Duration::from_secs(u64::try_from(spec.min_ready_seconds.unwrap_or(0)).unwrap_or(0))
}

impl Controller for DaemonSetController {
    const AGENT: Agent = Agent::DaemonSetController;
    const KIND: Kind = Kind::DaemonSet;
    const INFORMERS: &'static [Kind] = &[Kind::DaemonSet, Kind::Pod, Kind::Node, Kind::ControllerRevision];
    const WORKERS: usize = 2;
    const MAX_RETRIES: Option<u32> = None;
    const SOURCE: &'static str = "daemonset-controller";
    type Inputs = Inputs;
    type Outcome = ();

    fn concerns(&mut self, kind: Kind, change: &Change, caches: &Caches, wake: &mut Wake<'_>) {
        match (kind, &**change.object()) {
            (Kind::DaemonSet, object) => {
                if change.new.is_none() {
                    wake.forget(&object.key());
                    self.backoffs.forget(object.meta().uid);
                }
                wake.key(object.key());
            }
            (Kind::Node, Object::Node(node)) if change.new.is_some() => {
                node_changed(change.old.as_ref().and_then(|old| old.as_node()), node, caches, wake);
            }
            (Kind::Pod, Object::Pod(pod)) => {
                let old = change.old.as_ref().and_then(|old| old.as_pod());
                pod_changed(old, pod, change.new.is_some(), caches, wake);
            }
            _ => {}
        }
    }

    fn inputs(&mut self, key: &Key, caches: &Caches, view: View<'_>) -> Option<Inputs> {
        let set = caches.resource::<DaemonSet>(key).filter(|set| !set.meta.deleting())?;
        let spec = Arc::new(set.api.spec.clone().unwrap_or_default());
        let selector = &set.compiled.selector;
        let store = caches.pods();
        let (mut pods, mut claims): (Vec<(Name, Arc<Object>)>, Vec<_>) = (Vec::new(), Vec::new());
        for object in store.controlled_by(set.meta.uid).chain(store.controlled_by(Uid::default())) {
            let Some(pod) = object.as_pod() else { continue };
            let claim = ownership::claim(&set.meta, &pod.meta, |labels: &Labels| selector.matches(labels));
            if matches!(claim, Claim::Adopt | Claim::Release) {
                claims.push((object.clone(), claim));
            }
            let gone = pod.status.phase.terminal() && pod.meta.deleting();
            if matches!(claim, Claim::Own | Claim::Adopt)
                && !gone
                && let Some(node) = nodes::target(pod)
            {
                pods.push((node, object.clone()));
            }
        }
        pods.sort_by(|(a, _), (b, _)| a.cmp(b));
        let places = places(&Terms::of(&set.compiled.template), &pods, caches);
        let mut inputs = Inputs {
            about: caches.store(Kind::DaemonSet).get(key)?.reference(),
            satisfied: view.expectations.satisfied(key, view.monotonic),
            claims,
            revisions: revisions::of(&set.meta, selector, caches),
            pods,
            places,
            failed: Vec::new(),
            wait: None,
            spec,
            set: Arc::new(set.clone()),
        };
        if inputs.satisfied {
            self.look_at_failed(&mut inputs, view.monotonic);
        }
        Some(inputs)
    }

    fn reconcile(&self, inputs: &Inputs, routine: &mut Routine<'_>) -> Step<()> {
        if inputs.set.compiled.selector.is_empty() {
            routine.event(&inputs.about, EventType::Warning, "SelectingAll", || {
                "This daemon set is selecting all pods. A non-empty selector is required.".to_owned()
            });
            return Ok(());
        }
        let history = history::find(inputs, routine)?;
        let claims = inputs.claims.iter().map(|(pod, claim)| (pod, *claim));
        ownership::carry_out(Kind::DaemonSet, &inputs.set.meta, claims, routine)?;
        if !inputs.satisfied {
            return status::report(inputs, &history.hash, None, routine);
        }
        let mut done = manage::manage(inputs, &history.hash, routine)?;
        if !done.busy {
            done = rolling::update(inputs, &history.hash, routine)?;
        }
        if done.failure.is_none() {
            history::clean_up(inputs, &history, routine)?;
        }
        status::report(inputs, &history.hash, Some(&done), routine)?;
        done.failure.map_or(Ok(()), |failure| Err(Interrupt::Failed(failure)))
    }
}

impl DaemonSetController {
    /// Which failed pods may go now, and when others may.
    fn look_at_failed(&mut self, inputs: &mut Inputs, now: Instant) {
        let uid = inputs.set.meta.uid;
        for place in inputs.places.iter().filter(|place| place.bearable) {
            for (node, object) in inputs.pods.get(place.pods.clone()).unwrap_or_default() {
                let Some(pod) = object.as_pod().filter(|pod| pod.status.phase == Phase::Failed) else { continue };
                if pod.meta.deleting() {
                    continue;
                }
                match self.backoffs.failed(uid, node, now) {
                    None => inputs.failed.push(pod.meta.name.clone()),
                    Some(wait) => inputs.wait = Some(inputs.wait.map_or(wait, |known| known.min(wait))),
                }
            }
        }
    }
}

/// The nodes with the pods on them; `pods` are in order of their nodes.
fn places(terms: &Terms, pods: &[(Name, Arc<Object>)], caches: &Caches) -> Vec<Place> {
    let mut next = 0;
    let nodes = caches.nodes().iter().filter_map(|object| object.as_node());
    nodes
        .map(|node| {
            let name = &node.meta.name;
            while pods.get(next).is_some_and(|(of, _)| of < name) {
                next += 1;
            }
            let first = next;
            while pods.get(next).is_some_and(|(of, _)| of == name) {
                next += 1;
            }
            let (wanted, bearable) = terms.verdict(node);
            Place { node: name.clone(), wanted, bearable, pods: first..next }
        })
        .collect()
}

/// Kubernetes: addNode, updateNode: only sets for which the node is another one now.
fn node_changed(old: Option<&Node>, node: &Node, caches: &Caches, wake: &mut Wake<'_>) {
    let same = |old: &Node| {
        old.meta.labels == node.meta.labels && old.taints == node.taints && old.unschedulable == node.unschedulable
    };
    if old.is_some_and(same) {
        return;
    }
    for object in caches.store(Kind::DaemonSet).iter() {
        let Some(set) = object.as_resource::<DaemonSet>() else { continue };
        let terms = Terms::of(&set.compiled.template);
        let now = terms.verdict(node);
        if old.map_or(now.0, |old| terms.verdict(old) != now) {
            wake.key(set.meta.key());
        }
    }
}

/// Kubernetes: addPod, updatePod, deletePod.
fn pod_changed(old: Option<&Pod>, pod: &Pod, there: bool, caches: &Caches, wake: &mut Wake<'_>) {
    let owner = |pod: &Pod| caches.owning::<DaemonSet>(&pod.meta.namespace, pod.meta.controller()?);
    if let Some(old) = old
        && old.meta.controller() != pod.meta.controller()
        && let Some(set) = owner(old)
    {
        wake.key(set.meta.key());
    }
    if pod.meta.controller().is_some() {
        let Some(set) = owner(pod) else { return };
        let key = set.meta.key();
        if !there || pod.meta.deleting() {
            wake.deleted(&key, &pod.meta.key());
            if there && old.is_none() {
                wake.came_deleted(&key);
            }
        } else if old.is_none() {
            wake.created(&key);
        }
        let wait = set.api.spec.as_ref().map_or(Duration::ZERO, min_ready);
        if wait > Duration::ZERO && there && old.is_some_and(|old| !old.ready()) && pod.ready() {
            wake.later(key.clone(), wait + Duration::from_secs(1));
        }
        return wake.key(key);
    }
    let news = |old: &Pod| old.meta.labels != pod.meta.labels || old.meta.controller().is_some();
    if there && old.is_none_or(news) {
        for object in caches.store(Kind::DaemonSet).in_namespace(&pod.meta.namespace) {
            let Some(set) = object.as_resource::<DaemonSet>() else { continue };
            if set.compiled.selector.matches(&pod.meta.labels) {
                wake.key(set.meta.key());
            }
        }
    }
}

/// The pods of a node in the order of preference: bound ones first, then the oldest.
fn by_age<'a>(pods: impl Iterator<Item = &'a Pod>) -> Vec<&'a Pod> {
    let mut pods: Vec<&Pod> = pods.collect();
    if pods.len() > 1 {
        pods.sort_by_key(|pod| (pod.node.is_none(), pod.meta.created, pod.meta.name.clone()));
    }
    pods
}

/// The pods of all nodes by revision, for the clean-up of revisions.
fn live_hashes(inputs: &Inputs) -> BTreeMap<&str, ()> {
    inputs.pods.iter().filter_map(|(_, pod)| revisions::of_pod(pod.meta())).map(|hash| (&**hash, ())).collect()
}
