//! The node lifecycle controller: which nodes are alive, and the taints that follow from it.
//!
//! Every five seconds a pass compares each node's heartbeats, its status and its lease, with what the pass before saw (`health`). A
//! node that has been silent for too long gets conditions that say so, its pods are marked as not ready (`marking`), and it waits for
//! its NoExecute taint in the queue of its zone, which lets few nodes pass if many fail at once (`zones`). Apart from the
//! passes, every change of a node brings its NoSchedule taints into line with its conditions (`taints`).
//!
//! Models: kubernetes v1.36.2 pkg/controller/nodelifecycle/node_lifecycle_controller.go, pkg/controller/util/node/controller_utils.go.
//! Left out: labels that are kept in step with others, marking pods that are bound to a silent node later (they have no
//! condition to change yet), the 20 ms between tries to write a status. A pass begins every 5 s sharp, as recorded; one whose
//! requests are still under way then leaves the next one out.

mod health;
mod marking;
mod taints;
mod zones;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use self::health::Health;
use self::zones::Zones;
use super::caches::Caches;
use super::contract::{Controller, View, Wake};
use crate::client::Agent;
use crate::client::informer::Change;
use crate::client::routine::{Effect, Routine, Step};
use crate::kernel::{Duration, Instant};
use crate::objects::pod_terms::tolerations::{NOT_READY, UNREACHABLE};
use crate::objects::{ConditionStatus, Key, Kind, Name, Object};

/// Between the passes. Kubernetes: --node-monitor-period.
const MONITOR_PERIOD: Duration = Duration::from_secs(5);
/// Keys that mean a node in a pass, and a zone, instead of a node's NoSchedule taints.
const HEALTH: &str = "health";
const ZONE: &str = "zone";

/// The node lifecycle controller.
#[derive(Clone, Debug, Default)]
pub struct NodeLifecycleController {
    /// What the last pass saw of each node, by name.
    health: Vec<Health>,
    zones: Zones,
    /// What the present pass still has to do.
    pass: BTreeMap<Name, Work>,
    /// Nodes whose pods could not all be marked.
    retry: BTreeSet<Name>,
    /// Nodes found silent by this pass: they wait for their taint as soon as the cache shows their condition.
    silent: BTreeSet<Name>,
}

/// What a pass has to do about a node.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Work {
    /// Its conditions become unknown.
    unknown: bool,
    /// Its pods are marked as not ready, again.
    mark: bool,
    /// Both NoExecute taints go.
    reachable: bool,
    /// One NoExecute taint is replaced by the other: added, removed.
    swap: Option<(&'static str, &'static str)>,
}

/// What a reconcile needs to know.
#[derive(Clone, Debug)]
pub enum Inputs {
    /// The NoSchedule taints of a node: those that are missing, those that should not be there.
    NoSchedule(Name, Vec<&'static str>, Vec<Name>),
    /// A node in a pass, and its pods.
    Health(Box<marking::Inputs>),
    /// The next node of a zone's queue with the taint it gets and the one it loses, and when to look at the queue again.
    Zone(Option<(Name, &'static str, Option<&'static str>)>, Option<Duration>),
}

impl Controller for NodeLifecycleController {
    const AGENT: Agent = Agent::NodeController;
    const KIND: Kind = Kind::Node;
    const INFORMERS: &'static [Kind] = &[Kind::Node, Kind::Lease, Kind::Pod];
    /// Eight for NoSchedule taints, eight for a pass, one for the queues.
    const WORKERS: usize = 17;
    /// A node that failed is not looked at again before it changes, or before the next pass.
    const MAX_RETRIES: Option<u32> = Some(0);
    const PERIOD: Option<Duration> = Some(MONITOR_PERIOD);
    type Inputs = Inputs;
    /// Whether all pods that were to be marked are.
    type Outcome = bool;

    fn subject(key: &Key) -> (Kind, Key) {
        (Kind::Node, Key { namespace: "".into(), name: key.name.clone() })
    }

    fn concerns(&mut self, kind: Kind, change: &Change, _caches: &Caches, wake: &mut Wake<'_>) {
        let (Kind::Node, Some(node)) = (kind, change.new.as_deref().and_then(Object::as_node)) else { return };
        wake.key(node.meta.key());
        if !node.ready() && self.silent.remove(&node.meta.name) {
            self.zones.add(&health::zone(&node.meta.labels), &node.meta.name, wake);
        }
    }

    fn tick(&mut self, caches: &Caches, wake: &mut Wake<'_>) {
        if self.pass.is_empty() {
            self.monitor(caches, wake);
        }
    }

    fn inputs(&mut self, key: &Key, caches: &Caches, view: View<'_>) -> Option<Inputs> {
        match &*key.namespace {
            HEALTH => {
                let work = *self.pass.get(&key.name)?;
                let node = caches.nodes().get(&node_key(&key.name));
                let Some(node) = node.filter(|node| node.as_node().is_some()).cloned() else {
                    self.pass.remove(&key.name);
                    return None;
                };
                let marks = work.unknown || work.mark;
                let pods = if marks { caches.pods().on_node(&key.name).cloned().collect() } else { Vec::new() };
                Some(Inputs::Health(Box::new(marking::Inputs { work, node, pods })))
            }
            ZONE => {
                let zone = self.zones.get_mut(&key.name)?;
                let node = zone.take(view.monotonic).and_then(|name| {
                    let node = caches.nodes().get(&node_key(&name))?.as_node()?;
                    let (add, remove) = match node.condition("Ready")?.status {
                        ConditionStatus::True => return None,
                        ConditionStatus::False => (NOT_READY, UNREACHABLE),
                        ConditionStatus::Unknown => (UNREACHABLE, NOT_READY),
                    };
                    Some((name, add, taints::has(node, taints::NO_EXECUTE, remove).then_some(remove)))
                });
                let again = self.zones.again(&key.name, view.monotonic);
                (node.is_some() || again.is_some()).then_some(Inputs::Zone(node, again))
            }
            _ => {
                let node = caches.nodes().get(key)?.as_node()?;
                let (add, remove) = taints::difference(node);
                (!add.is_empty() || !remove.is_empty()).then(|| Inputs::NoSchedule(key.name.clone(), add, remove))
            }
        }
    }

    fn reconcile(&self, inputs: &Inputs, routine: &mut Routine<'_>) -> Step<bool> {
        match inputs {
            Inputs::NoSchedule(node, add, remove) => {
                taints::add(node, taints::NO_SCHEDULE, add, routine)?;
                taints::remove(node, taints::NO_SCHEDULE, remove.iter().map(|key| &**key), routine)?;
            }
            Inputs::Health(inputs) => return inputs.reconcile(routine),
            Inputs::Zone(node, again) => {
                if let Some(again) = again {
                    routine.ask(|| Effect::RequeueAfter(*again));
                }
                if let Some((node, add, remove)) = node {
                    taints::add(node, taints::NO_EXECUTE, &[add], routine)?;
                    taints::remove(node, taints::NO_EXECUTE, remove.iter().copied(), routine)?;
                }
            }
        }
        Ok(true)
    }

    fn reconciled(&mut self, key: &Key, outcome: Option<bool>, _now: Instant) {
        if &*key.namespace != HEALTH {
            return;
        }
        let Some(work) = self.pass.remove(&key.name) else { return };
        if outcome == Some(true) {
            self.retry.remove(&key.name);
        } else if work.unknown || work.mark {
            self.retry.insert(key.name.clone());
        }
    }
}

/// The key of a node.
fn node_key(name: &Name) -> Key {
    Key { namespace: "".into(), name: name.clone() }
}

/// The key of a node in a pass.
fn health_key(name: &Name) -> Key {
    Key { namespace: HEALTH.into(), name: name.clone() }
}

/// The key of a zone.
fn zone_key(zone: &Name) -> Key {
    Key { namespace: ZONE.into(), name: zone.clone() }
}

/// The node in an object that the cache of nodes holds.
fn node(object: &Arc<Object>) -> Option<&crate::objects::Node> {
    object.as_node()
}

#[cfg(test)]
mod tests;
