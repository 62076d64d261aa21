//! NodeAffinity: nodes the pod may run on, and nodes it would like to run on.
//!
//! Models: kubernetes v1.36.2 pkg/scheduler/framework/plugins/nodeaffinity/node_affinity.go. Left out: added affinity
//! of a profile.

use super::super::framework::{Plugin, Rejection};
use super::super::reasons::Reason;
use super::{Candidate, unresolvable_unless};
use crate::objects::meta::Name;
use crate::objects::pod_terms::node_selector::Named;
use crate::objects::pod_terms::{PodTerms, PreferredNodes, RequiredNodes};

/// The nodes the pod may run on.
pub struct NodeAffinity<'a>(&'a RequiredNodes);

/// The nodes the pod would like to run on.
pub struct PreferredNodeAffinity<'a>(&'a [PreferredNodes]);

impl<'a> NodeAffinity<'a> {
    /// Nothing to do if all nodes will do; refuses a pod that contradicts itself.
    pub fn pre_filter(pod: &'a PodTerms) -> Result<Option<Self>, Reason> {
        match &pod.required_nodes {
            Some(required) if *required.named() == Named::Conflict => Err(Reason::AffinityConflict),
            required => Ok(required.as_ref().map(NodeAffinity)),
        }
    }

    /// The only nodes possible, if the pod names them.
    pub fn only(&self) -> Option<&'a [Name]> {
        if let Named::Only(names) = self.0.named() { Some(names) } else { None }
    }

    /// Whether the node is one of them.
    pub fn filter(&self, candidate: Candidate<'_>) -> Result<(), Rejection> {
        let fits = self.0.matches(candidate.node.name(), &candidate.terms.labels);
        unresolvable_unless(fits, Plugin::NodeAffinity, Reason::NodeAffinity)
    }
}

impl<'a> PreferredNodeAffinity<'a> {
    /// Nothing to do if the pod has no wishes.
    pub fn pre_score(pod: &'a PodTerms) -> Option<Self> {
        (!pod.preferred_nodes.is_empty()).then_some(PreferredNodeAffinity(&pod.preferred_nodes))
    }

    /// The weights of the wishes the node fulfils.
    pub fn score(&self, candidate: Candidate<'_>) -> i64 {
        let (name, labels) = (candidate.node.name(), &candidate.terms.labels);
        let fulfilled = |wish: &&PreferredNodes| wish.term.as_ref().is_some_and(|term| term.matches(name, labels));
        self.0.iter().filter(fulfilled).map(|wish| wish.weight).sum()
    }
}
