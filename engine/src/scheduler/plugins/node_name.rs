//! NodeName: a pod that names its node fits only there.
//!
//! Models: kubernetes v1.36.2 pkg/scheduler/framework/plugins/nodename/node_name.go.

use super::super::framework::{Plugin, Rejection};
use super::super::reasons::Reason;
use super::{Candidate, unresolvable_unless};
use crate::objects::pod_terms::PodTerms;

/// The node the pod names.
pub struct NodeName<'a>(&'a str);

impl<'a> NodeName<'a> {
    /// Nothing to do if the pod names none.
    pub fn pre_filter(pod: &'a PodTerms) -> Option<Self> {
        pod.node_name.as_deref().map(NodeName)
    }

    /// Whether it is this node.
    pub fn filter(&self, candidate: Candidate<'_>) -> Result<(), Rejection> {
        unresolvable_unless(**candidate.node.name() == *self.0, Plugin::NodeName, Reason::OtherNode)
    }
}
