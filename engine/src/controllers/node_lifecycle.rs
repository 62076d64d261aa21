//! The node lifecycle controller: taints that follow a node's conditions and its being cordoned.
//!
//! Models: kubernetes v1.36.2 pkg/controller/nodelifecycle/node_lifecycle_controller.go (doNoScheduleTaintingPass),
//! pkg/controller/util/node/controller_utils.go (SwapNodeControllerTaint), pkg/controller/controller_utils.go (AddOrUpdateTaintOnNode,
//! RemoveTaintOffNode). Left out so far: watching the nodes' leases, NoExecute taints, zones, events of
//! nodes but for their being registered.

use std::sync::Arc;

use super::caches::Caches;
use super::contract::{Controller, View, Wake};
use super::deployment::whole_seconds;
use crate::apiserver::request::Patch;
use crate::client::Agent;
use crate::client::connection::Call;
use crate::client::informer::Change;
use crate::client::routine::{Routine, Step};
use crate::kernel::Instant;
use crate::objects::node::Taint;
use crate::objects::{ConditionStatus, Key, Kind, Name, Node, Object};

const NO_SCHEDULE: &str = "NoSchedule";
const UNSCHEDULABLE: &str = "node.kubernetes.io/unschedulable";

/// Condition, its status, and the taint that follows. Kubernetes: nodeConditionToTaintKeyStatusMap.
const TAINTS: [(&str, ConditionStatus, &str); 6] = [
    ("Ready", ConditionStatus::False, "node.kubernetes.io/not-ready"),
    ("Ready", ConditionStatus::Unknown, "node.kubernetes.io/unreachable"),
    ("MemoryPressure", ConditionStatus::True, "node.kubernetes.io/memory-pressure"),
    ("DiskPressure", ConditionStatus::True, "node.kubernetes.io/disk-pressure"),
    ("NetworkUnavailable", ConditionStatus::True, "node.kubernetes.io/network-unavailable"),
    ("PIDPressure", ConditionStatus::True, "node.kubernetes.io/pid-pressure"),
];

/// The node lifecycle controller.
#[derive(Clone, Copy, Debug)]
pub struct NodeLifecycleController;

/// What a pass over a node needs to know.
#[derive(Clone, Debug)]
pub struct Inputs {
    node: Name,
    /// Keys of taints that are missing.
    add: Vec<&'static str>,
    /// Keys of taints that should not be there.
    remove: Vec<Name>,
}

impl Controller for NodeLifecycleController {
    const AGENT: Agent = Agent::NodeController;
    const KIND: Kind = Kind::Node;
    const INFORMERS: &'static [Kind] = &[Kind::Node];
    const WORKERS: usize = 8;
    /// A pass that failed is not repeated before the node changes again.
    const MAX_RETRIES: Option<u32> = Some(0);
    type Inputs = Inputs;
    type Outcome = ();

    fn concerns(&mut self, _kind: Kind, change: &Change, _caches: &Caches, wake: &mut Wake<'_>) {
        if let Some(node) = &change.new {
            wake.key(node.key());
        }
    }

    fn inputs(&mut self, key: &Key, caches: &Caches, _view: View<'_>) -> Option<Inputs> {
        let node = caches.nodes().get(key)?.as_node()?;
        let wanted = wanted(node);
        let has = |key: &str| node.taints.iter().any(|taint| &*taint.effect == NO_SCHEDULE && &*taint.key == key);
        let add: Vec<_> = wanted.iter().copied().filter(|key| !has(key)).collect();
        let ours = |key: &str| key == UNSCHEDULABLE || TAINTS.iter().any(|(_, _, taint)| *taint == key);
        let remove: Vec<Name> = node
            .taints
            .iter()
            .filter(|taint| &*taint.effect == NO_SCHEDULE && ours(&taint.key) && !wanted.contains(&&*taint.key))
            .map(|taint| taint.key.clone())
            .collect();
        (!add.is_empty() || !remove.is_empty()).then(|| Inputs { node: key.name.clone(), add, remove })
    }

    fn reconcile(&self, inputs: &Inputs, routine: &mut Routine<'_>) -> Step<()> {
        if !inputs.add.is_empty() {
            patch(&inputs.node, routine, |taints, now| {
                for key in &inputs.add {
                    taints.retain(|taint| !is(taint, key));
                    taints.push(taint(key, now));
                }
            })?;
        }
        if !inputs.remove.is_empty() {
            patch(&inputs.node, routine, |taints, _| {
                taints.retain(|taint| !inputs.remove.iter().any(|key| is(taint, key)));
            })?;
        }
        Ok(())
    }
}

/// What the controller says of a node that it sees for the first time since it leads.
pub fn registered(node: &Object) -> (&'static str, String) {
    let name = &node.meta().name;
    ("RegisteredNode", format!("Node {name} event: Registered Node {name} in Controller"))
}

/// Reads the node, and writes its taints as `change` leaves them.
fn patch(node: &Name, routine: &mut Routine<'_>, change: impl FnOnce(&mut Vec<Taint>, Instant)) -> Step<()> {
    let key = Key { namespace: "".into(), name: node.clone() };
    let now = routine.now();
    let answer = routine.call(|| Call::get(Kind::Node, key.clone()))??;
    let Some(known) = answer.object().and_then(|object| object.as_node()) else { return Ok(()) };
    let mut taints = known.taints.to_vec();
    change(&mut taints, now);
    if taints[..] != known.taints[..] {
        let taints: Arc<[Taint]> = taints.into();
        routine.call(|| Call::patch(Kind::Node, key, Patch::Taints(taints)))??;
    }
    Ok(())
}

/// The taints a node should have.
fn wanted(node: &Node) -> Vec<&'static str> {
    let follows = |(condition, status, _): &&(&str, ConditionStatus, &str)| {
        node.condition(condition).is_some_and(|condition| condition.status == *status)
    };
    let mut wanted: Vec<_> = TAINTS.iter().filter(follows).map(|(_, _, taint)| *taint).collect();
    if node.unschedulable {
        wanted.push(UNSCHEDULABLE);
    }
    wanted
}

fn is(taint: &Taint, key: &str) -> bool {
    &*taint.effect == NO_SCHEDULE && &*taint.key == key
}

fn taint(key: &str, now: Instant) -> Taint {
    Taint { key: key.into(), value: "".into(), effect: NO_SCHEDULE.into(), added: Some(whole_seconds(now)) }
}
