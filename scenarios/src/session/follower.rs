//! Following workloads while things break: who should be there, and who is.
//!
//! It begins with the first fault and looks between events at what has been written since, as a watch would, so it changes nothing of a
//! run and costs one without faults nothing. A pod counts as available while it is Ready, is not being deleted, and its node has
//! power: a machine that is gone serves nobody, though it takes the cluster a while to find out. A node that is only cut off serves on
//! until its pods are marked unready.
//!
//! Left out: minReadySeconds.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use wavetank_engine::World;
use wavetank_engine::faults::Fault;
use wavetank_engine::kernel::Instant;
use wavetank_engine::objects::{Key, Kind, Name, Object, condition, json};

use super::Nanos;

/// What is followed of a run.
#[derive(Clone, Debug, Default)]
pub struct Follower {
    /// Since when; `None` before the first fault. [ns since zero]
    pub since: Option<Nanos>,
    /// Up to which revision everything has been seen.
    revision: u64,
    /// How many faults have begun or ended: nodes may have gained or lost power since.
    faults: usize,
    dark: BTreeSet<Name>,
    prefixes: Arc<[(Kind, String)]>,
    pods: BTreeMap<Key, PodSeen>,
    /// Of which Deployment a ReplicaSet is.
    sets: BTreeMap<Key, Option<(Kind, Key)>>,
    nodes: BTreeMap<Key, bool>,
    leases: BTreeMap<Key, Name>,
    /// The workloads, with what has been seen of each.
    pub workloads: BTreeMap<(Kind, Key), Followed>,
    /// What shows that something is wrong, in order of time.
    pub signals: Vec<Signal>,
}

/// What has been seen of a workload.
#[derive(Clone, Debug, Default)]
pub struct Followed {
    desired: i64,
    available: i64,
    /// Its states: since when, how many should be there, how many are.
    pub steps: Vec<(Nanos, i64, i64)>,
    /// Pods created.
    pub created: u64,
    /// Pods deleted because of a disruption: by a taint, an eviction, a preemption, a node that is gone.
    pub evicted: u64,
    /// Restarts of containers.
    pub restarts: u64,
}

/// Something that shows that something is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signal {
    /// When. [ns since zero]
    pub at: Nanos,
    /// What about.
    pub about: About,
    /// In words.
    pub text: String,
}

/// What a signal is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum About {
    /// A node, or a pod on it.
    Node(Name),
    /// A new leader of a lease.
    Leader(Name),
}

#[derive(Clone, Debug)]
struct PodSeen {
    workload: Option<(Kind, Key)>,
    node: Option<Name>,
    ready: bool,
    deleting: bool,
    evicted: bool,
    restarts: i32,
    /// Its node has lost its power since it was last heard of.
    lost: bool,
}

impl PodSeen {
    fn counts(&self) -> i64 {
        i64::from(self.ready && !self.deleting && !self.lost)
    }
}

/// The kinds that are followed; ReplicaSets before Pods, so that owners are known.
const KINDS: [Kind; 8] = [
    Kind::Deployment,
    Kind::ReplicaSet,
    Kind::StatefulSet,
    Kind::DaemonSet,
    Kind::Job,
    Kind::Node,
    Kind::Pod,
    Kind::Lease,
];
/// Where the leases of leader election are.
const LEADERS: &str = "kube-system";

impl Follower {
    /// Sees what has changed since the last look; `at` is now.
    pub fn look(&mut self, world: &World, zero: Instant) {
        let faults = world.fault_log();
        if faults.is_empty() {
            return;
        }
        let at = world.now().since(zero).as_nanos();
        if self.since.is_none() {
            self.begin(world, at);
        }
        let revision = world.revision();
        if revision > self.revision {
            let prefixes = self.prefixes.clone();
            for (kind, key, object) in world.changes(self.revision, &prefixes) {
                self.changed(kind, key, object, at, true);
            }
            self.revision = revision;
        }
        let count = world.fault_changes();
        if count != self.faults {
            self.faults = count;
            self.power(world, at);
        }
    }

    fn begin(&mut self, world: &World, at: Nanos) {
        self.since = Some(at);
        self.prefixes = KINDS.iter().map(|kind| (*kind, kind.key_prefix())).collect();
        self.revision = world.revision();
        for kind in KINDS {
            for object in world.objects(kind) {
                // As of just before, so that what the fault takes at once is a step down.
                self.changed(kind, object.meta().key(), Some(object.clone()), at.saturating_sub(1), false);
            }
        }
    }

    /// An object was written or, with `None`, removed. What is there at the beginning is no news.
    fn changed(&mut self, kind: Kind, key: Key, object: Option<Arc<Object>>, at: Nanos, news: bool) {
        match kind {
            Kind::Pod => self.pod(key, object.as_deref(), at, news),
            Kind::Node => {
                let ready = object.as_deref().and_then(Object::as_node).map(|node| node.ready());
                let before = ready.and_then(|ready| self.nodes.insert(key.clone(), ready));
                if before == Some(true) && ready == Some(false) {
                    self.signal(at, About::Node(key.name.clone()), format!("node {} NotReady", key.name));
                }
            }
            Kind::Lease => {
                let Some(Object::Lease(lease)) = object.as_deref() else { return };
                if &*key.namespace != LEADERS || lease.holder.is_empty() {
                    return;
                }
                let before = self.leases.insert(key.clone(), lease.holder.clone());
                if news && before.is_some_and(|before| before != lease.holder) {
                    self.signal(at, About::Leader(key.name.clone()), format!("new leader of {}", key.name));
                }
            }
            Kind::ReplicaSet => {
                let owner = object.as_deref().map(|object| owner(object, Kind::Deployment));
                match owner {
                    Some(Some(deployment)) => drop(self.sets.insert(key, Some(deployment))),
                    Some(None) => {
                        self.sets.insert(key.clone(), None);
                        self.wanted(kind, key, object.as_deref(), at);
                    }
                    None => {
                        let bare = self.sets.remove(&key).is_some_and(|owner| owner.is_none());
                        if bare {
                            self.wanted(kind, key, None, at);
                        }
                    }
                }
            }
            // A CronJob's Jobs come and go.
            Kind::Job if object.as_deref().is_some_and(|object| object.meta().controller().is_some()) => {}
            _ => self.wanted(kind, key, object.as_deref(), at),
        }
    }

    /// How many of a workload should be there.
    fn wanted(&mut self, kind: Kind, key: Key, object: Option<&Object>, at: Nanos) {
        let id = (kind, key);
        if object.is_none() && !self.workloads.contains_key(&id) {
            return;
        }
        let followed = self.workloads.entry(id).or_default();
        followed.desired = object.map_or(0, desired);
        followed.step(at);
    }

    fn pod(&mut self, key: Key, object: Option<&Object>, at: Nanos, news: bool) {
        let before = self.pods.remove(&key);
        let now = object.and_then(Object::as_pod).map(|pod| {
            let node = pod.node.clone();
            let dark = node.as_ref().is_some_and(|node| self.dark.contains(node));
            let lost = before.as_ref().is_some_and(|before| before.lost) && dark;
            let evicted = condition::find(&pod.status.conditions, "DisruptionTarget").is_some();
            let workload = match &before {
                Some(before) => before.workload.clone(),
                None => self.workload_of(object),
            };
            let (ready, deleting, restarts) = (pod.ready(), pod.meta.deleting(), pod.restarts());
            PodSeen {
                workload,
                node,
                ready,
                deleting,
                evicted: evicted && (deleting || pod.status.phase.terminal()),
                restarts,
                lost,
            }
        });
        let workload = before.as_ref().or(now.as_ref()).and_then(|pod| pod.workload.clone());
        let node = before.as_ref().and_then(|pod| pod.node.clone());
        let (was, is) = (before.as_ref().map_or(0, PodSeen::counts), now.as_ref().map_or(0, PodSeen::counts));
        let unready = before.as_ref().is_some_and(|pod| pod.ready && !pod.deleting)
            && now.as_ref().is_some_and(|pod| !pod.ready && !pod.deleting);
        if let (true, Some(node)) = (unready, node) {
            self.signal(at, About::Node(node), format!("pod {} unready", key.name));
        }
        if let Some(followed) = workload.and_then(|workload| self.workloads.get_mut(&workload)) {
            if let (Some(now), true) = (&now, news) {
                let evicted_before = before.as_ref().is_some_and(|before| before.evicted);
                followed.created += u64::from(before.is_none());
                followed.evicted += u64::from(now.evicted && !evicted_before);
                let restarts = before.as_ref().map_or(0, |before| before.restarts);
                followed.restarts += u64::try_from(now.restarts - restarts).unwrap_or(0);
            }
            followed.available += is - was;
            followed.step(at);
        }
        if let Some(now) = now {
            self.pods.insert(key, now);
        }
    }

    /// The workload a pod belongs to.
    fn workload_of(&self, pod: Option<&Object>) -> Option<(Kind, Key)> {
        let pod = pod?;
        if let Some(set) = owner(pod, Kind::ReplicaSet) {
            return match self.sets.get(&set.1) {
                Some(Some(deployment)) => Some(deployment.clone()),
                _ => Some(set),
            };
        }
        [Kind::StatefulSet, Kind::DaemonSet, Kind::Job].into_iter().find_map(|kind| owner(pod, kind))
    }

    /// Nodes have gained or lost their power.
    fn power(&mut self, world: &World, at: Nanos) {
        let nodes = &world.setup().nodes;
        let parts = world.faults_in_force().flat_map(|(_, _, parts)| parts);
        let dark = parts.filter_map(|part| match part {
            Fault::NoPower(node) => nodes.get(*node as usize).map(|node| node.name.clone()),
            _ => None,
        });
        let dark: BTreeSet<Name> = dark.collect();
        if dark == self.dark {
            return;
        }
        for pod in self.pods.values_mut() {
            let now_dark = pod.node.as_ref().is_some_and(|node| dark.contains(node) && !self.dark.contains(node));
            if !now_dark || pod.lost {
                continue;
            }
            let was = pod.counts();
            pod.lost = true;
            if let Some(followed) = pod.workload.as_ref().and_then(|workload| self.workloads.get_mut(workload)) {
                followed.available -= was;
                followed.step(at);
            }
        }
        self.dark = dark;
    }

    fn signal(&mut self, at: Nanos, about: About, text: String) {
        if self.signals.len() < MOST_SIGNALS {
            self.signals.push(Signal { at, about, text });
        }
    }
}

/// Most signals that are kept: a run of days under chaos has many.
const MOST_SIGNALS: usize = 200_000;

impl Followed {
    fn step(&mut self, at: Nanos) {
        let now = (at, self.desired, self.available);
        match self.steps.last_mut() {
            Some(last) if last.0 == at => *last = now,
            Some(last) if (last.1, last.2) == (now.1, now.2) => {}
            _ => self.steps.push(now),
        }
    }
}

/// The object of a kind that manages this one.
fn owner(object: &Object, kind: Kind) -> Option<(Kind, Key)> {
    let meta = object.meta();
    let owner = meta.controller().filter(|owner| &*owner.kind == kind.name())?;
    Some((kind, Key { namespace: meta.namespace.clone(), name: owner.name.clone() }))
}

/// How many pods a workload should have.
fn desired(object: &Object) -> i64 {
    match object {
        Object::Deployment(deployment) => deployment.spec.replicas.into(),
        Object::ReplicaSet(set) => set.spec.replicas.into(),
        _ => {
            let value = json::to_json(object);
            let number = |path: &str| value.pointer(path).and_then(serde_json::Value::as_i64);
            match object.kind() {
                Kind::StatefulSet => number("/spec/replicas").unwrap_or(1),
                Kind::DaemonSet => number("/status/desiredNumberScheduled").unwrap_or(0),
                _ => {
                    let conditions = value.pointer("/status/conditions").and_then(|list| list.as_array());
                    let over = |one: &serde_json::Value| {
                        (one["type"] == "Complete" || one["type"] == "Failed") && one["status"] == "True"
                    };
                    if conditions.is_some_and(|list| list.iter().any(over)) {
                        return 0;
                    }
                    let parallelism = number("/spec/parallelism").unwrap_or(1);
                    let left = number("/spec/completions")
                        .map_or(parallelism, |completions| completions - number("/status/succeeded").unwrap_or(0));
                    parallelism.min(left).max(0)
                }
            }
        }
    }
}
