//! NodePorts: a port of the node can be taken once.
//!
//! Models: kubernetes v1.36.2 pkg/scheduler/framework/plugins/nodeports/node_ports.go.

use super::super::framework::{Plugin, Rejection};
use super::super::reasons::{Reason, Reasons};
use super::Candidate;
use crate::objects::pod_terms::{HostPort, PodTerms};

/// The ports the pod wants.
pub struct NodePorts<'a>(&'a [HostPort]);

impl<'a> NodePorts<'a> {
    /// Nothing to do if it wants none.
    pub fn pre_filter(pod: &'a PodTerms) -> Option<Self> {
        (!pod.host_ports.is_empty()).then_some(NodePorts(&pod.host_ports))
    }

    /// Whether all of them are free.
    pub fn filter(&self, candidate: Candidate<'_>) -> Result<(), Rejection> {
        let taken = candidate.node.ports();
        if self.0.iter().any(|port| taken.iter().any(|other| port.conflicts(other))) {
            let reasons = Reasons::one(Reason::Ports);
            return Err(Rejection { plugin: Plugin::NodePorts, unresolvable: false, reasons });
        }
        Ok(())
    }
}
