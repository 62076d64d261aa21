//! NodeAffinity: nodes the pod may run on, and nodes it would like to run on.
//!
//! Models: kubernetes v1.36.2 pkg/scheduler/framework/plugins/nodeaffinity/node_affinity.go.

use super::super::config::NodeAffinityArgs;
use super::super::framework::{Plugin, Rejection};
use super::super::reasons::Reason;
use super::{Candidate, unresolvable_unless};
use crate::objects::meta::Name;
use crate::objects::pod_terms::node_selector::Named;
use crate::objects::pod_terms::{PodTerms, PreferredNodes, RequiredNodes};

/// The nodes the pod may run on.
pub struct NodeAffinity<'a> {
    own: Option<&'a RequiredNodes>,
    /// What the profile demands for every pod.
    added: Option<&'a RequiredNodes>,
}

/// The nodes the pod would like to run on, and those the profile would like for every pod.
pub struct PreferredNodeAffinity<'a>(&'a [PreferredNodes], &'a [PreferredNodes]);

impl<'a> NodeAffinity<'a> {
    /// Nothing to do if all nodes will do; refuses a pod that contradicts itself.
    pub fn pre_filter(pod: &'a PodTerms, args: &'a NodeAffinityArgs) -> Result<Option<Self>, Reason> {
        match (&pod.required_nodes, &args.required) {
            (Some(required), _) if *required.named() == Named::Conflict => Err(Reason::AffinityConflict),
            (None, None) => Ok(None),
            (own, added) => Ok(Some(NodeAffinity { own: own.as_ref(), added: added.as_ref() })),
        }
    }

    /// The only nodes possible, if the pod names them.
    pub fn only(&self) -> Option<&'a [Name]> {
        if let Some(Named::Only(names)) = self.own.map(RequiredNodes::named) { Some(names) } else { None }
    }

    /// Whether the node is one of them.
    pub fn filter(&self, candidate: Candidate<'_>) -> Result<(), Rejection> {
        let fits = |required: &RequiredNodes| required.matches(candidate.node.name(), &candidate.terms.labels);
        let added = self.added.is_none_or(fits);
        unresolvable_unless(added, Plugin::NodeAffinity, Reason::EnforcedAffinity)?;
        unresolvable_unless(self.own.is_none_or(fits), Plugin::NodeAffinity, Reason::NodeAffinity)
    }
}

impl<'a> PreferredNodeAffinity<'a> {
    /// Nothing to do if nobody has wishes.
    pub fn pre_score(pod: &'a PodTerms, args: &'a NodeAffinityArgs) -> Option<Self> {
        let wishes = PreferredNodeAffinity(&args.preferred, &pod.preferred_nodes);
        (!wishes.0.is_empty() || !wishes.1.is_empty()).then_some(wishes)
    }

    /// The weights of the wishes the node fulfils.
    pub fn score(&self, candidate: Candidate<'_>) -> i64 {
        let (name, labels) = (candidate.node.name(), &candidate.terms.labels);
        let fulfilled = |wish: &&PreferredNodes| wish.term.as_ref().is_some_and(|term| term.matches(name, labels));
        self.0.iter().chain(self.1).filter(fulfilled).map(|wish| wish.weight).sum()
    }
}
