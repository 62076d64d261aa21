//! Profiles: which plugins take part, where, and with what weight.
//!
//! Models: kubernetes v1.36.2 pkg/scheduler/profile/profile.go, pkg/scheduler/schedule_one.go (numFeasibleNodesToFind),
//! pkg/scheduler/apis/config/v1/default_plugins.go.

use super::config::{Args, DEFAULT_PLUGINS};
use super::plugins::OwnPlugins;
use std::sync::Arc;

use crate::objects::meta::Name;
use crate::objects::pod_terms::DEFAULT_SCHEDULER;
use crate::scripted::Scripts;

/// The plugins, in the order in which they run at every extension point.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[allow(missing_docs)]
pub enum Plugin {
    SchedulingGates,
    PrioritySort,
    NodeUnschedulable,
    NodeName,
    TaintToleration,
    NodeAffinity,
    NodePorts,
    NodeResourcesFit,
    VolumeRestrictions,
    NodeVolumeLimits,
    VolumeBinding,
    VolumeZone,
    PodTopologySpread,
    InterPodAffinity,
    DynamicResources,
    DefaultPreemption,
    NodeResourcesBalancedAllocation,
    ImageLocality,
    DefaultBinder,
    NodeDeclaredFeatures,
    /// The n-th of the profile's plugins that the user has written.
    Own(u8),
}

/// Extension points at which a profile chooses who takes part.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs)]
pub enum Point {
    PreEnqueue,
    PreFilter,
    Filter,
    PostFilter,
    PreScore,
    Score,
}

/// What stays the same over the cycles of the pods that ask for this scheduler.
#[derive(Clone, PartialEq, Debug)]
pub struct Profile {
    /// The scheduler's name.
    pub name: Name,
    /// Share of the nodes that is enough to choose from; 0: 50 % falling to 5 % as the cluster grows. [%] – Kubernetes:
    /// percentageOfNodesToScore, 0.
    pub percentage_of_nodes_to_score: u32,
    /// Who wins among the best.
    pub ties: Ties,
    /// The filters in their order.
    pub filters: Vec<Plugin>,
    /// The ratings in their order, with what each is multiplied with.
    pub scores: Vec<(Plugin, i64)>,
    /// Whether scheduling gates are heeded.
    pub gates: bool,
    /// Whether DynamicResources takes part in PostFilter, where it has a word to say on every pod.
    pub claims: bool,
    /// Whether pods of lower priority are pushed out.
    pub preempts: bool,
    /// The plugins' arguments.
    pub args: Args,
    /// The plugins that the user has written.
    pub own: OwnPlugins,
}

/// Who wins among nodes of the same, best score.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Ties {
    /// The root of upstream's heap, the nodes that fit being in the order in which they were looked at.
    #[default]
    HeapOrder,
    /// Any of them, as if upstream's workers raced.
    Drawn,
}

/// With fewer nodes all are looked at, and never are fewer wanted. Kubernetes: minFeasibleNodesToFind.
const MIN_WANTED: u64 = 100;
/// The least adaptive percentage. Kubernetes: minFeasibleNodesPercentageToFind.
const MIN_PERCENTAGE: u64 = 5;

impl Plugin {
    /// `NodeResourcesFit`; what the user's are called, only [`OwnPlugins`] knows.
    pub fn name(self) -> &'static str {
        match self {
            Plugin::SchedulingGates => "SchedulingGates",
            Plugin::PrioritySort => "PrioritySort",
            Plugin::NodeUnschedulable => "NodeUnschedulable",
            Plugin::NodeName => "NodeName",
            Plugin::TaintToleration => "TaintToleration",
            Plugin::NodeAffinity => "NodeAffinity",
            Plugin::NodePorts => "NodePorts",
            Plugin::NodeResourcesFit => "NodeResourcesFit",
            Plugin::VolumeRestrictions => "VolumeRestrictions",
            Plugin::NodeVolumeLimits => "NodeVolumeLimits",
            Plugin::VolumeBinding => "VolumeBinding",
            Plugin::VolumeZone => "VolumeZone",
            Plugin::PodTopologySpread => "PodTopologySpread",
            Plugin::InterPodAffinity => "InterPodAffinity",
            Plugin::DynamicResources => "DynamicResources",
            Plugin::DefaultPreemption => "DefaultPreemption",
            Plugin::NodeResourcesBalancedAllocation => "NodeResourcesBalancedAllocation",
            Plugin::ImageLocality => "ImageLocality",
            Plugin::DefaultBinder => "DefaultBinder",
            Plugin::NodeDeclaredFeatures => "NodeDeclaredFeatures",
            Plugin::Own(_) => "own plugin",
        }
    }

    /// The plugin of a name.
    pub fn from_name(name: &str) -> Option<Plugin> {
        DEFAULT_PLUGINS.iter().map(|(plugin, _)| *plugin).find(|plugin| plugin.name() == name)
    }

    /// Whether it takes part in an extension point.
    pub fn takes_part(self, point: Point) -> bool {
        use Plugin::*;
        let points: &[Point] = match self {
            SchedulingGates => &[Point::PreEnqueue],
            PrioritySort | DefaultBinder | Own(_) => &[],
            NodeUnschedulable | NodeName => &[Point::Filter],
            TaintToleration => &[Point::Filter, Point::PreScore, Point::Score],
            NodeAffinity | NodeResourcesFit | VolumeBinding | PodTopologySpread | InterPodAffinity => {
                &[Point::PreFilter, Point::Filter, Point::PreScore, Point::Score]
            }
            NodePorts | VolumeRestrictions | NodeVolumeLimits | VolumeZone | NodeDeclaredFeatures => {
                &[Point::PreFilter, Point::Filter]
            }
            DynamicResources => &[Point::PreEnqueue, Point::PreFilter, Point::Filter, Point::PostFilter, Point::Score],
            DefaultPreemption => &[Point::PreEnqueue, Point::PostFilter],
            NodeResourcesBalancedAllocation => &[Point::PreScore, Point::Score],
            ImageLocality => &[Point::Score],
        };
        points.contains(&point)
    }
}

impl Default for Profile {
    fn default() -> Self {
        let at = |point| DEFAULT_PLUGINS.into_iter().filter(move |(plugin, _)| plugin.takes_part(point));
        Profile {
            name: DEFAULT_SCHEDULER.into(),
            percentage_of_nodes_to_score: 0,
            ties: Ties::default(),
            filters: at(Point::Filter).map(|(plugin, _)| plugin).collect(),
            scores: at(Point::Score).map(|(plugin, weight)| (plugin, weight.max(1))).collect(),
            gates: true,
            claims: true,
            preempts: true,
            args: Args::default(),
            own: OwnPlugins::default(),
        }
    }
}

impl Profile {
    /// Adds a plugin that the user has written, behind the others.
    pub fn add_own(&mut self, scripts: &Arc<dyn Scripts>, name: &str, filters: bool, weight: Option<i64>) {
        let plugin = Plugin::Own(self.own.names.len() as u8);
        self.own.names = self.own.names.iter().cloned().chain([name.into()]).collect();
        self.own.scripts = Some(scripts.clone());
        self.filters.extend(filters.then_some(plugin));
        self.scores.extend(weight.map(|weight| (plugin, weight)));
    }

    /// How many fitting nodes are enough in a cluster of `nodes`.
    pub fn wanted(&self, nodes: u64) -> u64 {
        if nodes < MIN_WANTED {
            return nodes;
        }
        let percentage = match u64::from(self.percentage_of_nodes_to_score) {
            0 => 50_u64.saturating_sub(nodes / 125).max(MIN_PERCENTAGE),
            fixed => fixed,
        };
        (nodes * percentage / 100).max(MIN_WANTED)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_plugin_has_its_name_and_its_place() {
        let plugins = DEFAULT_PLUGINS.map(|(plugin, _)| plugin);
        assert!(plugins.is_sorted());
        assert!(plugins.iter().all(|plugin| Plugin::from_name(plugin.name()) == Some(*plugin)));
        assert_eq!(Plugin::from_name("NodePreferAvoidPods"), None);
        let profile = Profile::default();
        assert!(profile.filters.len() == 14 && profile.scores.contains(&(Plugin::TaintToleration, 3)));
    }

    #[test]
    fn the_larger_the_cluster_the_smaller_the_share_that_is_enough() {
        let wanted = [50, 100, 1_000, 5_000, 15_000].map(|nodes| Profile::default().wanted(nodes));
        assert_eq!(wanted, [50, 100, 420, 500, 750]);
    }
}
