//! The plugins, one file each, and their static dispatch.
//!
//! A plugin takes part in an extension point by an arm in the function or enum of that point: [`pre_filter`] and
//! [`Filter`], [`default_preemption::post_filter`], [`pre_score`] and [`Score`]. A plugin that has nothing to say about
//! a pod is left out there, which is what upstream calls Skip.

use super::framework::{MAX_SCORE, Plugin, Rejection};
use super::node_info::{NodeInfo, NodeTerms};
use super::nodes::Nodes;
use super::reasons::{Reason, Reasons};
use crate::objects::meta::Name;
use crate::objects::pod_terms::PodTerms;

pub mod default_preemption;
mod image_locality;
mod node_affinity;
mod node_name;
mod node_ports;
mod node_resources_balanced_allocation;
mod node_resources_fit;
mod node_unschedulable;
mod taint_toleration;

use image_locality::ImageLocality;
use node_affinity::{NodeAffinity, PreferredNodeAffinity};
use node_name::NodeName;
use node_ports::NodePorts;
use node_resources_balanced_allocation::BalancedAllocation;
use node_resources_fit::{Fit, LeastAllocated};
use node_unschedulable::NodeUnschedulable;
use taint_toleration::TaintToleration;

/// A node that exists, as plugins see it.
#[derive(Clone, Copy, Debug)]
pub struct Candidate<'a> {
    /// Its index.
    pub index: u32,
    /// Its pods' sums.
    pub node: &'a NodeInfo,
    /// What it offers.
    pub terms: &'a NodeTerms,
}

/// A filter made ready for one pod.
pub enum Filter<'a> {
    /// See the plugin's file.
    NodeUnschedulable(NodeUnschedulable),
    /// See the plugin's file.
    NodeName(NodeName<'a>),
    /// See the plugin's file.
    TaintToleration(TaintToleration<'a>),
    /// See the plugin's file.
    NodeAffinity(NodeAffinity<'a>),
    /// See the plugin's file.
    NodePorts(NodePorts<'a>),
    /// See the plugin's file.
    NodeResourcesFit(Fit<'a>),
}

/// A rating made ready for one pod.
pub enum Score<'a> {
    /// See the plugin's file.
    TaintToleration(TaintToleration<'a>),
    /// See the plugin's file.
    NodeAffinity(PreferredNodeAffinity<'a>),
    /// See the plugin's file.
    NodeResourcesFit(LeastAllocated),
    /// See the plugin's file.
    NodeResourcesBalancedAllocation(BalancedAllocation),
    /// See the plugin's file.
    ImageLocality(ImageLocality<'a>),
}

/// What PreFilter leaves for the cycle.
pub struct Ready<'a> {
    /// The filters in their order.
    pub filters: Vec<Filter<'a>>,
    /// The only nodes that are possible, and the plugin that says so.
    pub only: Option<(Plugin, &'a [Name])>,
}

/// PreFilter of all plugins: the filters that concern `pod`, or the plugin that refuses it and why.
pub fn pre_filter(pod: &PodTerms) -> Result<Ready<'_>, (Plugin, Reason)> {
    let affinity = NodeAffinity::pre_filter(pod).map_err(|reason| (Plugin::NodeAffinity, reason))?;
    let only = affinity.as_ref().and_then(NodeAffinity::only).map(|names| (Plugin::NodeAffinity, names));
    let filters = [
        NodeUnschedulable::pre_filter(pod).map(Filter::NodeUnschedulable),
        NodeName::pre_filter(pod).map(Filter::NodeName),
        Some(Filter::TaintToleration(TaintToleration::of(pod))),
        affinity.map(Filter::NodeAffinity),
        NodePorts::pre_filter(pod).map(Filter::NodePorts),
        Some(Filter::NodeResourcesFit(Fit::pre_filter(pod))),
    ];
    Ok(Ready { filters: filters.into_iter().flatten().collect(), only })
}

/// PreScore of all plugins: the ratings that concern `pod`, in their order.
pub fn pre_score<'a>(pod: &'a PodTerms, nodes: &'a Nodes) -> Vec<Score<'a>> {
    let scores = [
        Some(Score::TaintToleration(TaintToleration::of(pod))),
        PreferredNodeAffinity::pre_score(pod).map(Score::NodeAffinity),
        Some(Score::NodeResourcesFit(LeastAllocated::pre_score(pod))),
        BalancedAllocation::pre_score(pod).map(Score::NodeResourcesBalancedAllocation),
        Some(Score::ImageLocality(ImageLocality::pre_score(pod, nodes))),
    ];
    scores.into_iter().flatten().collect()
}

impl<'a> Candidate<'a> {
    /// The node of this index, if it exists.
    pub fn of(nodes: &'a Nodes, index: u32) -> Option<Self> {
        let node = nodes.get(index);
        node.terms().map(|terms| Candidate { index, node, terms })
    }
}

impl Filter<'_> {
    /// Whether the pod can run on the node.
    pub fn filter(&self, candidate: Candidate<'_>) -> Result<(), Rejection> {
        match self {
            Filter::NodeUnschedulable(plugin) => plugin.filter(candidate),
            Filter::NodeName(plugin) => plugin.filter(candidate),
            Filter::TaintToleration(plugin) => plugin.filter(candidate),
            Filter::NodeAffinity(plugin) => plugin.filter(candidate),
            Filter::NodePorts(plugin) => plugin.filter(candidate),
            Filter::NodeResourcesFit(plugin) => plugin.filter(candidate),
        }
    }
}

impl Score<'_> {
    /// The plugin.
    pub fn plugin(&self) -> Plugin {
        match self {
            Score::TaintToleration(_) => Plugin::TaintToleration,
            Score::NodeAffinity(_) => Plugin::NodeAffinity,
            Score::NodeResourcesFit(_) => Plugin::NodeResourcesFit,
            Score::NodeResourcesBalancedAllocation(_) => Plugin::NodeResourcesBalancedAllocation,
            Score::ImageLocality(_) => Plugin::ImageLocality,
        }
    }

    /// How good the node is for the pod, on the plugin's own scale.
    pub fn score(&self, candidate: Candidate<'_>) -> i64 {
        match self {
            Score::TaintToleration(plugin) => plugin.score(candidate),
            Score::NodeAffinity(plugin) => plugin.score(candidate),
            Score::NodeResourcesFit(plugin) => plugin.score(candidate),
            Score::NodeResourcesBalancedAllocation(plugin) => plugin.score(candidate),
            Score::ImageLocality(plugin) => plugin.score(candidate),
        }
    }

    /// Brings the scores of all nodes that fit to 0..=100.
    pub fn normalize(&self, scores: &mut [i64]) {
        match self {
            Score::TaintToleration(_) => normalize(scores, true),
            Score::NodeAffinity(_) => normalize(scores, false),
            _ => {}
        }
    }
}

/// Scales the scores so that the highest becomes 100, and, if `reverse`, turns them round. Kubernetes:
/// DefaultNormalizeScore.
fn normalize(scores: &mut [i64], reverse: bool) {
    let highest = scores.iter().copied().max().unwrap_or(0);
    for score in scores {
        let scaled = if highest == 0 { 0 } else { MAX_SCORE * *score / highest };
        *score = if reverse { MAX_SCORE - scaled } else { scaled };
    }
}

/// Rejects the node for one reason that no preemption can remove, unless `fits`.
fn unresolvable_unless(fits: bool, plugin: Plugin, reason: Reason) -> Result<(), Rejection> {
    if fits { Ok(()) } else { Err(Rejection { plugin, unresolvable: true, reasons: Reasons::one(reason) }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normalising_scales_to_the_highest_and_can_be_turned_round() {
        let normal = |mut scores: Vec<i64>, reverse| {
            normalize(&mut scores, reverse);
            scores
        };
        assert_eq!(normal(vec![0, 1, 3], false), [0, 33, 100]);
        assert_eq!(normal(vec![0, 1, 3], true), [100, 67, 0]);
        assert_eq!(normal(vec![0, 0], true), [100, 100]);
        assert_eq!(normal(vec![0, 0], false), [0, 0]);
    }
}
