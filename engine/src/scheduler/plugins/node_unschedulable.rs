//! NodeUnschedulable: cordoned nodes take only pods that tolerate the cordon.
//!
//! Models: kubernetes v1.36.2 pkg/scheduler/framework/plugins/nodeunschedulable/node_unschedulable.go.

use super::super::framework::{Plugin, Rejection};
use super::super::reasons::Reason;
use super::{Candidate, unresolvable_unless};
use crate::objects::pod_terms::tolerations::{UNSCHEDULABLE, tolerated};
use crate::objects::pod_terms::{Effect, PodTerms, Taint};

/// Stands for pods that do not tolerate the cordon.
pub struct NodeUnschedulable;

impl NodeUnschedulable {
    /// Nothing to do for a pod that tolerates the cordon.
    pub fn pre_filter(pod: &PodTerms) -> Option<Self> {
        let cordon = Taint { key: UNSCHEDULABLE.into(), value: "".into(), effect: Effect::NoSchedule };
        (!tolerated(&cordon, &pod.tolerations)).then_some(NodeUnschedulable)
    }

    /// Whether the node is not cordoned.
    pub fn filter(&self, candidate: Candidate<'_>) -> Result<(), Rejection> {
        unresolvable_unless(!candidate.terms.unschedulable, Plugin::NodeUnschedulable, Reason::Unschedulable)
    }
}
