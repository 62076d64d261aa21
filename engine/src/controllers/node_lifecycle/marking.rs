//! What a pass does about a node that has fallen silent, or come back: conditions, NoExecute taints, and the pods' condition `Ready`.
//!
//! Models: kubernetes v1.36.2 pkg/controller/nodelifecycle/node_lifecycle_controller.go (tryUpdateNodeHealth, the second half;
//! markNodeAsReachable), pkg/controller/util/node/controller_utils.go (RecordNodeStatusChange, MarkPodsNotReady).

use std::sync::Arc;

use super::{Work, node_key, taints};
use crate::client::connection::Call;
use crate::client::routine::{Routine, Step};
use crate::controllers::deployment::whole_seconds;
use crate::kernel::Instant;
use crate::objects::event::EventType;
use crate::objects::pod_terms::tolerations::{NOT_READY, UNREACHABLE};
use crate::objects::{Condition, ConditionStatus, Kind, Name, Node, Object, ObjectReference, Pod, Uid};

/// How often a status is tried to be written. Kubernetes: NodeHealthUpdateRetry.
const TRIES: usize = 5;
/// The conditions that are not known when the kubelet is silent.
const CONDITIONS: [&str; 4] = ["Ready", "MemoryPressure", "DiskPressure", "PIDPressure"];

/// A node in a pass.
#[derive(Clone, Debug)]
pub struct Inputs {
    pub(super) work: Work,
    pub(super) node: Arc<Object>,
    /// The pods to mark.
    pub(super) pods: Vec<Arc<Object>>,
}

impl Inputs {
    /// Does what is to be done; whether all pods that were to be marked are.
    pub(super) fn reconcile(&self, routine: &mut Routine<'_>) -> Step<bool> {
        let Some(node) = self.node.as_node() else { return Ok(true) };
        let (name, work) = (&node.meta.name, self.work);
        let was_ready = node.ready();
        if work.unknown && !self.make_unknown(node, routine)? {
            return Ok(true);
        }
        if let Some((add, remove)) = work.swap {
            taints::add(name, taints::NO_EXECUTE, &[add], routine)?;
            taints::remove(name, taints::NO_EXECUTE, [remove].into_iter(), routine)?;
        }
        if work.reachable {
            for key in [UNREACHABLE, NOT_READY].into_iter().filter(|key| taints::has(node, taints::NO_EXECUTE, key)) {
                taints::remove(name, taints::NO_EXECUTE, [key].into_iter(), routine)?;
            }
        }
        if work.unknown && was_ready {
            routine.event(&reference(name, node.meta.uid), EventType::Normal, "NodeNotReady", || {
                format!("Node {name} status is now: NodeNotReady")
            });
        } else if !work.mark {
            return Ok(true);
        }
        self.mark_pods(routine)
    }

    /// Writes that nothing is known of the node; false if it has been heard of meanwhile, or is gone.
    fn make_unknown(&self, node: &Node, routine: &mut Routine<'_>) -> Step<bool> {
        let mut node = node.clone();
        let heartbeat = |node: &Node| node.condition("Ready").map(|ready| ready.update);
        let known = heartbeat(&node);
        for _ in 0..TRIES {
            if !unknown(&mut node, routine.now()) {
                return Ok(false);
            }
            let update = || Call::update_status(Object::Node(node.clone()));
            if routine.call(update)?.is_ok() {
                return Ok(true);
            }
            let answer = routine.call(|| Call::get(Kind::Node, node_key(&node.meta.name)))??;
            match answer.object().and_then(|object| object.as_node()) {
                Some(present) if heartbeat(present) == known => node = present.clone(),
                _ => return Ok(false),
            }
        }
        Ok(false)
    }

    fn mark_pods(&self, routine: &mut Routine<'_>) -> Step<bool> {
        let mut all = true;
        for object in &self.pods {
            let Some(pod) = object.as_pod().filter(|pod| pod.condition("Ready").is_some_and(is_not_false)) else {
                continue;
            };
            let now = routine.now();
            match routine.call(|| Call::update_status(Object::Pod(not_ready(pod, now))))? {
                Err(status) if status.is_not_found() => continue,
                Err(_) => all = false,
                Ok(_) => {}
            }
            let message = || "Node is not ready".to_owned();
            routine.event(&object.reference(), EventType::Warning, "NodeNotReady", message);
        }
        Ok(all)
    }
}

/// A reference to a node as the controller's events have it.
pub(super) fn reference(name: &Name, uid: Uid) -> ObjectReference {
    ObjectReference {
        kind: Kind::Node,
        namespace: "".into(),
        name: name.clone(),
        uid,
        resource_version: 0,
        field_path: None,
    }
}

fn is_not_false(condition: &Condition) -> bool {
    condition.status != ConditionStatus::False
}

/// The pod with its condition `Ready` false.
fn not_ready(pod: &Pod, now: Instant) -> Pod {
    let mut next = pod.clone();
    if let Some(ready) = next.status.conditions.iter_mut().find(|condition| &*condition.kind == "Ready") {
        (ready.status, ready.transition) = (ConditionStatus::False, whole_seconds(now));
    }
    next
}

/// Makes the node's conditions unknown; false if the one that matters is already.
fn unknown(node: &mut Node, now: Instant) -> bool {
    let since = whole_seconds(now);
    let ready_before = node.condition("Ready").map(|ready| ready.status);
    for kind in CONDITIONS {
        match node.status.conditions.iter_mut().find(|condition| &*condition.kind == kind) {
            Some(condition) if condition.status != ConditionStatus::Unknown => {
                condition.status = ConditionStatus::Unknown;
                condition.transition = since;
                condition.reason = "NodeStatusUnknown".into();
                condition.message = "Kubelet stopped posting node status.".into();
            }
            Some(_) => {}
            None => {
                let never = Condition::new(kind, ConditionStatus::Unknown, since);
                let never = never.because("NodeStatusNeverUpdated", "Kubelet never posted node status.");
                node.status.conditions.push(Condition { update: node.meta.created, ..never });
            }
        }
    }
    ready_before != Some(ConditionStatus::Unknown)
}
