//! Taints of nodes: which follow from conditions, and how they are written.
//!
//! Models: kubernetes v1.36.2 pkg/controller/nodelifecycle/node_lifecycle_controller.go (doNoScheduleTaintingPass),
//! pkg/controller/util/node/controller_utils.go (SwapNodeControllerTaint), pkg/controller/controller_utils.go (AddOrUpdateTaintOnNode,
//! RemoveTaintOffNode).

use std::sync::Arc;

use crate::apiserver::request::Patch;
use crate::client::connection::Call;
use crate::client::routine::{Routine, Step};
use crate::controllers::deployment::whole_seconds;
use crate::kernel::Instant;
use crate::objects::node::Taint;
use crate::objects::pod_terms::tolerations::{NOT_READY, UNREACHABLE, UNSCHEDULABLE};
use crate::objects::{ConditionStatus, Kind, Name, Node};

pub(super) const NO_SCHEDULE: &str = "NoSchedule";
pub(super) const NO_EXECUTE: &str = "NoExecute";

/// Condition, its status, and the taint that follows. Kubernetes: nodeConditionToTaintKeyStatusMap.
const TAINTS: [(&str, ConditionStatus, &str); 6] = [
    ("Ready", ConditionStatus::False, NOT_READY),
    ("Ready", ConditionStatus::Unknown, UNREACHABLE),
    ("MemoryPressure", ConditionStatus::True, "node.kubernetes.io/memory-pressure"),
    ("DiskPressure", ConditionStatus::True, "node.kubernetes.io/disk-pressure"),
    ("NetworkUnavailable", ConditionStatus::True, "node.kubernetes.io/network-unavailable"),
    ("PIDPressure", ConditionStatus::True, "node.kubernetes.io/pid-pressure"),
];

/// The NoSchedule taints that a node lacks, and those it should not have.
pub(super) fn difference(node: &Node) -> (Vec<&'static str>, Vec<Name>) {
    let wanted = wanted(node);
    let add = wanted.iter().copied().filter(|key| !has(node, NO_SCHEDULE, key)).collect();
    let ours = |key: &str| key == UNSCHEDULABLE || TAINTS.iter().any(|(_, _, taint)| *taint == key);
    let odd = |taint: &&Taint| &*taint.effect == NO_SCHEDULE && ours(&taint.key) && !wanted.contains(&&*taint.key);
    (add, node.taints.iter().filter(odd).map(|taint| taint.key.clone()).collect())
}

/// Whether a node has a taint.
pub(super) fn has(node: &Node, effect: &str, key: &str) -> bool {
    node.taints.iter().any(|taint| is(taint, effect, key))
}

/// Reads the node and adds taints, with the present time.
pub(super) fn add(node: &Name, effect: &'static str, keys: &[&'static str], routine: &mut Routine<'_>) -> Step<()> {
    if keys.is_empty() {
        return Ok(());
    }
    patch(node, routine, |taints, now| {
        for key in keys {
            taints.retain(|taint| !is(taint, effect, key));
            let added = Some(whole_seconds(now));
            taints.push(Taint { key: (*key).into(), value: "".into(), effect: effect.into(), added });
        }
    })
}

/// Reads the node and removes taints.
pub(super) fn remove<'a>(
    node: &Name,
    effect: &str,
    keys: impl Iterator<Item = &'a str>,
    routine: &mut Routine<'_>,
) -> Step<()> {
    let keys: Vec<&str> = keys.collect();
    if keys.is_empty() {
        return Ok(());
    }
    patch(node, routine, |taints, _| taints.retain(|taint| !keys.iter().any(|key| is(taint, effect, key))))
}

/// Reads the node, and writes its taints as `change` leaves them.
fn patch(node: &Name, routine: &mut Routine<'_>, change: impl FnOnce(&mut Vec<Taint>, Instant)) -> Step<()> {
    let key = super::node_key(node);
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

/// The NoSchedule taints a node should have.
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

fn is(taint: &Taint, effect: &str, key: &str) -> bool {
    &*taint.effect == effect && &*taint.key == key
}
