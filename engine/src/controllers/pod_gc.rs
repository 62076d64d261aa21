//! The pod garbage collector: pods that nobody else will ever remove.
//!
//! Every 20 s it looks for pods of nodes that are gone, pods that are being deleted on nodes that are out of service, pods that are
//! being deleted and never had a node, and ended pods beyond a number. Which pods are being deleted and which have ended is kept in
//! step with the cache, so a look at a cluster of which nothing is to be collected costs a step per node.
//!
//! Models: kubernetes v1.36.2 pkg/controller/podgc/gc_controller.go. Left out: the order among the four kinds of work, which here
//! go on at the same time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::caches::Caches;
use super::contract::{Controller, View, Wake};
use super::deployment::whole_seconds;
use crate::apiserver::request::{DeleteOptions, Patch, Subresource};
use crate::client::Agent;
use crate::client::connection::Call;
use crate::client::informer::Change;
use crate::client::routine::{Routine, Step};
use crate::kernel::{Duration, Instant};
use crate::objects::{Condition, Key, Kind, Name, Object, Phase, Pod};

/// Between two looks. Kubernetes: gcCheckPeriod.
const PERIOD: Duration = Duration::from_secs(20);
/// How long a missing node may still show up. Kubernetes: quarantineTime.
const QUARANTINE: Duration = Duration::from_secs(40);
/// Ended pods that are kept. Kubernetes: --terminated-pod-gc-threshold.
const THRESHOLD: usize = 12_500;
/// The taint of a node that will not come back as it was.
const OUT_OF_SERVICE: &str = "node.kubernetes.io/out-of-service";

/// The pod garbage collector.
#[derive(Clone, Debug)]
pub struct PodGarbageCollector {
    threshold: usize,
    ended: BTreeSet<Key>,
    deleting: BTreeSet<Key>,
    /// Missing nodes, and when they count as gone.
    quarantine: BTreeMap<Name, Instant>,
}

impl Default for PodGarbageCollector {
    fn default() -> Self {
        PodGarbageCollector {
            threshold: THRESHOLD,
            ended: BTreeSet::new(),
            deleting: BTreeSet::new(),
            quarantine: BTreeMap::new(),
        }
    }
}

/// What is to be collected.
#[derive(Clone, Debug)]
pub enum Inputs {
    /// A pod.
    Pod(Arc<Object>),
    /// The pods of a node, if it really is gone.
    Node(Name, Vec<Arc<Object>>),
}

impl Controller for PodGarbageCollector {
    const AGENT: Agent = Agent::PodGarbageCollector;
    const KIND: Kind = Kind::Pod;
    const INFORMERS: &'static [Kind] = &[Kind::Pod, Kind::Node];
    /// Upstream each pod has a goroutine of its own.
    const WORKERS: usize = usize::MAX;
    const MAX_RETRIES: Option<u32> = Some(0);
    const PERIOD: Option<Duration> = Some(PERIOD);
    type Inputs = Inputs;
    type Outcome = ();

    fn subject(key: &Key) -> (Kind, Key) {
        (if key.namespace.is_empty() { Kind::Node } else { Kind::Pod }, key.clone())
    }

    fn concerns(&mut self, kind: Kind, change: &Change, _caches: &Caches, _wake: &mut Wake<'_>) {
        if kind != Kind::Pod {
            return;
        }
        let state = |object: &Option<Arc<Object>>| {
            let pod = object.as_deref().and_then(Object::as_pod);
            pod.map_or((false, false), |pod| (pod.status.phase.terminal(), pod.meta.deleting()))
        };
        let (old, new) = (state(&change.old), state(&change.new));
        if old != new {
            let key = change.object().key();
            keep(&mut self.ended, new.0, &key);
            keep(&mut self.deleting, new.1, &key);
        }
    }

    fn tick(&mut self, caches: &Caches, wake: &mut Wake<'_>) {
        self.ended_beyond_the_threshold(caches, wake);
        for key in &self.deleting {
            let Some(pod) = caches.pods().get(key).and_then(|pod| pod.as_pod()) else { continue };
            if pod.node.as_ref().is_none_or(|node| out_of_service(caches, node)) {
                wake.key(key.clone());
            }
        }
        self.orphans(caches, wake);
    }

    fn inputs(&mut self, key: &Key, caches: &Caches, _view: View<'_>) -> Option<Inputs> {
        if key.namespace.is_empty() {
            let pods = caches.pods().on_node(&key.name).cloned().collect();
            return Some(Inputs::Node(key.name.clone(), pods));
        }
        caches.pods().get(key).cloned().map(Inputs::Pod)
    }

    fn reconcile(&self, inputs: &Inputs, routine: &mut Routine<'_>) -> Step<()> {
        match inputs {
            Inputs::Pod(pod) => {
                if let Some(pod) = pod.as_pod() {
                    fail_and_delete(pod, false, routine)?;
                }
            }
            Inputs::Node(node, pods) => {
                let key = Key { namespace: "".into(), name: node.clone() };
                let looked = routine.call(|| Call::get(Kind::Node, key))?;
                if !looked.is_err_and(|status| status.is_not_found()) {
                    return Ok(());
                }
                for pod in pods.iter().filter_map(|pod| pod.as_pod()) {
                    fail_and_delete(pod, true, routine)?;
                }
            }
        }
        Ok(())
    }
}

impl PodGarbageCollector {
    /// Kubernetes: gcTerminated.
    fn ended_beyond_the_threshold(&self, caches: &Caches, wake: &mut Wake<'_>) {
        let surplus = self.ended.len().saturating_sub(self.threshold);
        if surplus == 0 {
            return;
        }
        let mut pods: Vec<&Pod> = self.ended.iter().filter_map(|key| caches.pods().get(key)?.as_pod()).collect();
        let evicted = |pod: &Pod| pod.status.phase == Phase::Failed && &*pod.status.reason == "Evicted";
        pods.sort_by_key(|pod| (!evicted(pod), whole_seconds(pod.meta.created), &pod.meta.name));
        for pod in pods.into_iter().take(surplus) {
            wake.key(pod.meta.key());
        }
    }

    /// Kubernetes: gcOrphaned.
    fn orphans(&mut self, caches: &Caches, wake: &mut Wake<'_>) {
        let now = wake.now();
        let exists = |name: &Name| caches.nodes().get(&Key { namespace: "".into(), name: name.clone() }).is_some();
        for node in caches.pods().nodes_of_pods().filter(|node| !exists(node)) {
            if !self.quarantine.contains_key(node) {
                self.quarantine.insert(node.clone(), now + QUARANTINE);
            }
        }
        self.quarantine.retain(|node, due| {
            if *due > now {
                return true;
            }
            if !exists(node) {
                wake.key(Key { namespace: "".into(), name: node.clone() });
            }
            false
        });
    }
}

fn keep(set: &mut BTreeSet<Key>, keep: bool, key: &Key) {
    if keep {
        set.insert(key.clone());
    } else {
        set.remove(key);
    }
}

/// Whether a node is not ready, and somebody says that it is out of service.
fn out_of_service(caches: &Caches, node: &Name) -> bool {
    let node = caches.nodes().get(&Key { namespace: "".into(), name: node.clone() });
    let Some(node) = node.and_then(|node| node.as_node()) else { return false };
    !node.ready() && node.taints.iter().any(|taint| &*taint.key == OUT_OF_SERVICE)
}

/// Writes that the pod has failed, unless it has ended, and removes it at once. One that cannot be written is left to the next look.
/// Kubernetes: markFailedAndDeletePodWithCondition.
fn fail_and_delete(pod: &Pod, orphan: bool, routine: &mut Routine<'_>) -> Step<()> {
    if !pod.status.phase.terminal() {
        let now = routine.now();
        let patch = || {
            let mut status = Box::new(pod.status.clone());
            status.phase = Phase::Failed;
            if orphan {
                let condition = Condition::new("DisruptionTarget", true, whole_seconds(now));
                let mut condition = condition.because("DeletionByPodGC", "PodGC: node no longer exists");
                condition.observed_generation = pod.meta.generation;
                status.conditions.retain(|known| known.kind != condition.kind);
                status.conditions.push(condition);
            }
            Patch::PodStatus { uid: pod.meta.uid, read: Arc::new(Object::Pod(pod.clone())), status }
        };
        let call = || Call::patch(Kind::Pod, pod.meta.key(), patch()).of(Subresource::Status);
        if routine.call(call)?.is_err() {
            return Ok(());
        }
    }
    let options = || DeleteOptions { grace: Some(0), ..DeleteOptions::default() };
    let _ = routine.call(|| Call::delete(Kind::Pod, pod.meta.key(), options()))?;
    Ok(())
}
