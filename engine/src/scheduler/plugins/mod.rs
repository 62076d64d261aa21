//! The plugins, one file each, and their static dispatch.
//!
//! A plugin takes part in an extension point by an arm in the function or enum of that point: [`pre_filter`] and
//! [`Filter`], [`pre_score`] and [`Score`]. A plugin that has nothing to say about a pod is left out there, which is what
//! upstream calls Skip. The plugins for resource claims, declared features and the number of volumes that a node takes
//! (NodeVolumeLimits: CSI nodes are not modelled) have nothing to say about any pod.

use super::cache::Cache;
use super::cache::node_info::{NodeInfo, NodeTerms};
use super::cache::nodes::Nodes;
use super::cache::pod_info::PodInfo;
use super::framework::{MAX_SCORE, Plugin, Profile, Rejection};
use super::reasons::{Reason, Reasons};
use crate::objects::Text;
use crate::objects::meta::Name;

mod image_locality;
mod inter_pod_affinity;
mod node_affinity;
mod node_name;
mod node_ports;
mod node_resources_balanced_allocation;
mod node_resources_fit;
mod node_unschedulable;
mod own;
mod pod_topology_spread;
mod preferred_pod_affinity;
mod taint_toleration;
mod volume_binding;
mod volume_restrictions;
mod volume_zone;

use image_locality::ImageLocality;
use inter_pod_affinity::{AffinitySets, InterPodAffinity};
use node_affinity::{NodeAffinity, PreferredNodeAffinity};
use node_name::NodeName;
use node_ports::NodePorts;
use node_resources_balanced_allocation::BalancedAllocation;
pub(super) use node_resources_fit::fits_empty;
use node_resources_fit::{Fit, FitScore};
use node_unschedulable::NodeUnschedulable;
pub use own::{OwnFailure, OwnPlugins};
use own::{OwnFilter, OwnScore};
use pod_topology_spread::{PodTopologySpread, SpreadScore, SpreadTerms};
use preferred_pod_affinity::PreferredPodAffinity;
use taint_toleration::TaintToleration;
pub use volume_binding::PodVolumes;
use volume_binding::VolumeBinding;
use volume_restrictions::VolumeRestrictions;
use volume_zone::VolumeZone;

/// A node that exists, as plugins see it.
#[derive(Clone, Copy, Debug)]
pub struct Candidate<'a> {
    /// Its index.
    pub index: u32,
    /// Its pods and their sums.
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
    /// See the plugin's file.
    VolumeRestrictions(VolumeRestrictions<'a>),
    /// See the plugin's file.
    VolumeBinding(VolumeBinding<'a>),
    /// See the plugin's file.
    VolumeZone(VolumeZone<'a>),
    /// See the plugin's file.
    PodTopologySpread(PodTopologySpread<'a>),
    /// See the plugin's file.
    InterPodAffinity(InterPodAffinity<'a>),
    /// See the plugin's file.
    Own(OwnFilter),
}

/// A rating made ready for one pod.
pub enum Score<'a> {
    /// See the plugin's file.
    TaintToleration(TaintToleration<'a>),
    /// See the plugin's file.
    NodeAffinity(PreferredNodeAffinity<'a>),
    /// See the plugin's file.
    NodeResourcesFit(FitScore<'a>),
    /// See the plugin's file.
    PodTopologySpread(SpreadScore<'a>),
    /// See the plugin's file.
    InterPodAffinity(PreferredPodAffinity<'a>),
    /// A pod without claims is as good on every node.
    DynamicResources,
    /// See the plugin's file.
    NodeResourcesBalancedAllocation(BalancedAllocation<'a>),
    /// See the plugin's file.
    ImageLocality(ImageLocality<'a>),
    /// See the plugin's file.
    Own(OwnScore),
}

/// What is looked up for a pod before the cache may not change any more.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// Constraints; `None` if the plugin does not take part.
    pub(super) spread: Option<SpreadTerms>,
    affinity: Option<AffinitySets>,
}

/// What PreFilter leaves for the cycle.
pub struct Ready<'a> {
    /// The filters in their order.
    pub filters: Vec<Filter<'a>>,
    /// The only nodes that are possible, and the plugin that says so.
    pub only: Option<(Plugin, &'a [Name])>,
    /// What the user's plugins have said of nodes.
    pub own_reasons: Vec<Text>,
}

/// Why a cycle ends before any node is looked at.
pub enum Halt {
    /// A plugin refuses the pod.
    Refused(Plugin, Text),
    /// A plugin of the user's failed.
    Failed(Box<OwnFailure>),
}

/// Makes the cache ready for a pod.
pub fn prepare(pod: &PodInfo, profile: &Profile, cache: &mut Cache) -> Prepared {
    cache.next_cycle();
    let takes_part =
        |plugin| profile.filters.contains(&plugin) || profile.scores.iter().any(|(score, _)| *score == plugin);
    Prepared {
        spread: takes_part(Plugin::PodTopologySpread).then(|| SpreadTerms::of(pod, &profile.args.spread, cache)),
        affinity: takes_part(Plugin::InterPodAffinity).then(|| AffinitySets::of(pod, cache)),
    }
}

/// PreFilter of all plugins: the filters that concern `pod`, or the plugin that refuses it and why.
pub fn pre_filter<'a>(
    pod: &'a PodInfo,
    profile: &'a Profile,
    cache: &'a Cache,
    prepared: &'a Prepared,
) -> Result<Ready<'a>, Halt> {
    let (terms, args, volumes) = (pod.terms(), &profile.args, &cache.volumes);
    let claims = !terms.claims.is_empty();
    let mut ready = Ready { filters: Vec::with_capacity(profile.filters.len()), only: None, own_reasons: Vec::new() };
    for plugin in &profile.filters {
        let filter = match plugin {
            Plugin::NodeUnschedulable => NodeUnschedulable::pre_filter(terms).map(Filter::NodeUnschedulable),
            Plugin::NodeName => NodeName::pre_filter(terms).map(Filter::NodeName),
            Plugin::TaintToleration => Some(Filter::TaintToleration(TaintToleration::of(terms))),
            Plugin::NodeAffinity => {
                let affinity = NodeAffinity::pre_filter(terms, &args.node_affinity)
                    .map_err(|reason| Halt::Refused(*plugin, reason.text().into()))?;
                ready.only = affinity.as_ref().and_then(NodeAffinity::only).map(|names| (*plugin, names));
                affinity.map(Filter::NodeAffinity)
            }
            Plugin::NodePorts => NodePorts::pre_filter(terms).map(Filter::NodePorts),
            Plugin::NodeResourcesFit => Some(Filter::NodeResourcesFit(Fit::pre_filter(terms, &args.fit))),
            Plugin::VolumeRestrictions if claims => {
                let restrictions =
                    VolumeRestrictions::pre_filter(pod, volumes).map_err(|text| Halt::Refused(*plugin, text))?;
                restrictions.map(Filter::VolumeRestrictions)
            }
            Plugin::VolumeBinding if claims => {
                let binding = VolumeBinding::pre_filter(pod, volumes).map_err(|text| Halt::Refused(*plugin, text))?;
                binding.map(Filter::VolumeBinding)
            }
            Plugin::VolumeZone if claims => VolumeZone::pre_filter(pod, volumes)
                .map_err(|text| Halt::Refused(*plugin, text))?
                .map(Filter::VolumeZone),
            Plugin::PodTopologySpread => {
                let spread =
                    prepared.spread.as_ref().and_then(|terms| PodTopologySpread::pre_filter(pod, terms, cache));
                spread.map(Filter::PodTopologySpread)
            }
            Plugin::InterPodAffinity => {
                let affinity =
                    prepared.affinity.as_ref().and_then(|sets| InterPodAffinity::pre_filter(pod, sets, cache));
                affinity.map(Filter::InterPodAffinity)
            }
            Plugin::Own(place) => OwnFilter::pre_filter(&profile.own, *place, pod, cache, &mut ready.own_reasons)
                .map_err(Halt::Failed)?
                .map(Filter::Own),
            _ => None,
        };
        ready.filters.extend(filter);
    }
    Ok(ready)
}

/// What the claims of a pod get on a node that VolumeBinding let pass; nothing if it does not take part.
pub fn volumes_on(pod: &PodInfo, profile: &Profile, cache: &Cache, node: u32) -> PodVolumes {
    if pod.terms().claims.is_empty() || !profile.filters.contains(&Plugin::VolumeBinding) {
        return PodVolumes::default();
    }
    let plugin = VolumeBinding::pre_filter(pod, &cache.volumes).ok().flatten();
    let on = plugin.zip(Candidate::of(&cache.nodes, node)).map(|(plugin, candidate)| plugin.on(candidate));
    on.unwrap_or_default()
}

/// PreScore of all plugins: the ratings that concern `pod` with their weights, in their order.
pub fn pre_score<'a>(
    pod: &'a PodInfo,
    profile: &'a Profile,
    cache: &'a Cache,
    prepared: &'a Prepared,
    feasible: &[Candidate<'_>],
) -> Vec<(Score<'a>, i64)> {
    let (terms, args) = (pod.terms(), &profile.args);
    let score = |plugin: Plugin| match plugin {
        Plugin::TaintToleration => Some(Score::TaintToleration(TaintToleration::of(terms))),
        Plugin::NodeAffinity => PreferredNodeAffinity::pre_score(terms, &args.node_affinity).map(Score::NodeAffinity),
        Plugin::NodeResourcesFit => Some(Score::NodeResourcesFit(FitScore::pre_score(terms, &args.fit))),
        Plugin::PodTopologySpread => {
            let spread = SpreadScore::pre_score(pod, prepared.spread.as_ref()?, cache, feasible);
            spread.map(Score::PodTopologySpread)
        }
        Plugin::InterPodAffinity => {
            let sets = prepared.affinity.as_ref()?;
            PreferredPodAffinity::pre_score(pod, sets, &args.pod_affinity, cache).map(Score::InterPodAffinity)
        }
        Plugin::DynamicResources => Some(Score::DynamicResources),
        Plugin::NodeResourcesBalancedAllocation => {
            let balanced = BalancedAllocation::pre_score(terms, &args.balanced.0);
            balanced.map(Score::NodeResourcesBalancedAllocation)
        }
        Plugin::ImageLocality => Some(Score::ImageLocality(ImageLocality::pre_score(terms, &cache.nodes))),
        Plugin::Own(place) => OwnScore::pre_score(&profile.own, place, pod, feasible).map(Score::Own),
        _ => None,
    };
    profile.scores.iter().filter_map(|(plugin, weight)| Some((score(*plugin)?, *weight))).collect()
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
            Filter::VolumeRestrictions(plugin) => plugin.filter(),
            Filter::VolumeBinding(plugin) => plugin.filter(candidate),
            Filter::VolumeZone(plugin) => plugin.filter(candidate),
            Filter::PodTopologySpread(plugin) => plugin.filter(candidate),
            Filter::InterPodAffinity(plugin) => plugin.filter(candidate),
            Filter::Own(plugin) => plugin.filter(candidate),
        }
    }

    /// What if a pod came to the node (`delta` 1) or left it (-1)? What the node itself holds is the caller's to change.
    pub fn update(&mut self, candidate: Candidate<'_>, pod: &PodInfo, delta: i64) {
        match self {
            Filter::PodTopologySpread(plugin) => plugin.update(candidate, pod, delta),
            Filter::InterPodAffinity(plugin) => plugin.update(candidate, pod, delta),
            Filter::VolumeRestrictions(plugin) => plugin.update(pod, delta),
            _ => {}
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
            Score::PodTopologySpread(_) => Plugin::PodTopologySpread,
            Score::InterPodAffinity(_) => Plugin::InterPodAffinity,
            Score::DynamicResources => Plugin::DynamicResources,
            Score::NodeResourcesBalancedAllocation(_) => Plugin::NodeResourcesBalancedAllocation,
            Score::ImageLocality(_) => Plugin::ImageLocality,
            Score::Own(own) => own.plugin,
        }
    }

    /// How good the node is for the pod, on the plugin's own scale.
    pub fn score(&self, candidate: Candidate<'_>) -> i64 {
        match self {
            Score::TaintToleration(plugin) => plugin.score(candidate),
            Score::NodeAffinity(plugin) => plugin.score(candidate),
            Score::NodeResourcesFit(plugin) => plugin.score(candidate),
            Score::PodTopologySpread(plugin) => plugin.score(candidate),
            Score::InterPodAffinity(plugin) => plugin.score(candidate),
            Score::DynamicResources => 0,
            Score::NodeResourcesBalancedAllocation(plugin) => plugin.score(candidate),
            Score::ImageLocality(plugin) => plugin.score(candidate),
            Score::Own(plugin) => plugin.score(candidate),
        }
    }

    /// Why a plugin of the user's has no ratings.
    pub fn failure(&self) -> Option<Box<OwnFailure>> {
        if let Score::Own(own) = self { own.failure.clone() } else { None }
    }

    /// Brings the scores of all nodes that fit to 0..=100.
    pub fn normalize(&self, scores: &mut [i64], candidates: &[Candidate<'_>]) {
        match self {
            Score::TaintToleration(_) => normalize(scores, true),
            Score::NodeAffinity(_) => normalize(scores, false),
            Score::PodTopologySpread(plugin) => plugin.normalize(scores, candidates),
            Score::InterPodAffinity(plugin) => plugin.normalize(scores),
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

/// What the API server says of something that is not there.
fn missing(resource: &str, name: &str) -> Text {
    format!("{resource} {name:?} not found").into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objects::PodSpec;
    use crate::objects::pod_terms::Resources;
    use serde_json::json;
    use std::sync::Arc;

    /// Adds a node of these labels.
    pub(super) fn node(cache: &mut Cache, name: &str, labels: &[(&str, &str)]) {
        let labels = labels.iter().map(|(key, value)| (Name::from(*key), Name::from(*value)));
        let terms = NodeTerms {
            labels: Arc::new(labels.collect()),
            taints: Arc::new([]),
            unschedulable: false,
            allocatable: Resources::default(),
            pods: 110,
            images: Arc::new([]),
        };
        cache.set_node(&name.into(), terms);
    }

    pub(super) fn candidate<'a>(cache: &'a Cache, name: &str) -> Candidate<'a> {
        let index = cache.nodes().index(name).expect("a node");
        Candidate::of(cache.nodes(), index).expect("there")
    }

    /// A pod that uses these claims.
    pub(super) fn pod_with(claims: &[&str]) -> PodInfo {
        let volume = |claim: &&str| json!({"name": *claim, "persistentVolumeClaim": {"claimName": *claim}});
        let volumes: Vec<_> = claims.iter().map(volume).collect();
        let spec = serde_json::from_value(json!({"containers": [], "volumes": volumes})).expect("a pod spec");
        PodInfo::plain("ns", "p", 1, Default::default(), PodSpec::new(spec))
    }

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
