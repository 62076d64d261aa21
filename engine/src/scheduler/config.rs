//! How a scheduler is configured: profiles, the arguments of plugins, back-off.
//!
//! Models: kubernetes v1.36.2 pkg/scheduler/apis/config/types.go, types_pluginargs.go and apis/config/v1/defaults.go
//! (defaults).

use std::sync::Arc;

use super::framework::{Plugin, Profile};
use crate::client::leader::Election;
use crate::kernel::Duration;
use crate::objects::labels;
use crate::objects::meta::Name;
use crate::objects::pod_terms::{PreferredNodes, RequiredNodes, SpreadConstraint};
use crate::objects::selector::Selector;

pub mod document;

/// All there is to configure.
#[derive(Clone, Debug)]
pub struct SchedulerConfiguration {
    /// One for each scheduler name pods may ask for; at least one.
    pub profiles: Vec<Profile>,
    /// First back-off; it doubles. – Kubernetes: podInitialBackoffSeconds, 1.
    pub initial_backoff: Duration,
    /// Longest back-off; zero: none. – Kubernetes: podMaxBackoffSeconds, 10.
    pub max_backoff: Duration,
    /// Requests a second. – Kubernetes: clientConnection.qps, 50.
    pub qps: u32,
    /// Requests at once. – Kubernetes: clientConnection.burst, 100.
    pub burst: u32,
    /// Which of several processes works.
    pub election: Election,
}

/// The arguments of a profile's plugins.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Args {
    /// Of NodeAffinity.
    pub node_affinity: NodeAffinityArgs,
    /// Of NodeResourcesFit.
    pub fit: FitArgs,
    /// Of NodeResourcesBalancedAllocation: the resources that count.
    pub balanced: Balanced,
    /// Of PodTopologySpread.
    pub spread: SpreadArgs,
    /// Of InterPodAffinity.
    pub pod_affinity: PodAffinityArgs,
    /// Of DefaultPreemption.
    pub preemption: PreemptionArgs,
    /// Of VolumeBinding.
    pub volume_binding: VolumeBindingArgs,
}

/// Of VolumeBinding.
#[derive(Clone, PartialEq, Debug)]
pub struct VolumeBindingArgs {
    /// How long a pod that has its node waits for its claims' volumes. – Kubernetes: bindTimeoutSeconds, 600.
    pub bind_timeout: Duration,
}

impl Default for VolumeBindingArgs {
    fn default() -> Self {
        VolumeBindingArgs { bind_timeout: Duration::from_secs(600) }
    }
}

/// Of NodeAffinity: what every pod of the profile demands and wishes beside its own.
#[derive(Clone, PartialEq, Debug)]
pub struct NodeAffinityArgs {
    /// Demands.
    pub required: Option<RequiredNodes>,
    /// Wishes.
    pub preferred: Arc<[PreferredNodes]>,
}

/// Of NodeResourcesFit.
#[derive(Clone, PartialEq, Debug)]
pub struct FitArgs {
    /// How a node is rated.
    pub strategy: Strategy,
    /// What counts in the rating.
    pub resources: Vec<ResourceWeight>,
    /// Extended resources the filter does not look at.
    pub ignored: Vec<Name>,
    /// The same by their group, the part before the slash.
    pub ignored_groups: Vec<Name>,
}

/// How NodeResourcesFit rates a node.
#[derive(Clone, PartialEq, Debug)]
pub enum Strategy {
    /// The emptier the better.
    LeastAllocated,
    /// The fuller the better.
    MostAllocated,
    /// By a broken line through points of utilisation [%] and score [0..=100], ascending in utilisation.
    RequestedToCapacityRatio(Arc<[(i64, i64)]>),
}

/// A resource and its weight in a rating.
#[derive(Clone, PartialEq, Debug)]
pub struct ResourceWeight {
    /// Which.
    pub resource: Resource,
    /// 1..=100.
    pub weight: i64,
}

/// A resource as ratings know it.
#[derive(Clone, PartialEq, Debug)]
#[allow(missing_docs)]
pub enum Resource {
    Cpu,
    Memory,
    Ephemeral,
    Scalar(Name),
}

/// Of NodeResourcesBalancedAllocation.
#[derive(Clone, PartialEq, Debug)]
pub struct Balanced(pub Vec<ResourceWeight>);

/// Of PodTopologySpread.
#[derive(Clone, PartialEq, Debug)]
pub struct SpreadArgs {
    /// For pods without constraints of their own; their selectors come from the pod's Services and controller.
    pub defaults: Arc<[SpreadConstraint]>,
    /// Whether they are the built-in ones, for which nodes need not have every label.
    pub system: bool,
}

/// Of InterPodAffinity.
#[derive(Clone, PartialEq, Debug)]
pub struct PodAffinityArgs {
    /// What a required term of another pod counts in the rating. – Kubernetes: hardPodAffinityWeight, 1.
    pub hard_weight: i64,
    /// Whether wishes of others do not count for pods without wishes. – Kubernetes: false.
    pub ignore_preferred_of_existing: bool,
}

/// Of DefaultPreemption.
#[derive(Clone, PartialEq, Debug)]
pub struct PreemptionArgs {
    /// So many of the possible nodes are tried … – Kubernetes: minCandidateNodesPercentage, 10. [%]
    pub min_percentage: u64,
    /// … but at least so many. – Kubernetes: minCandidateNodesAbsolute, 100.
    pub min_absolute: u64,
}

impl Default for SchedulerConfiguration {
    fn default() -> Self {
        SchedulerConfiguration {
            profiles: vec![Profile::default()],
            initial_backoff: Duration::from_secs(1),
            max_backoff: Duration::from_secs(10),
            qps: 50,
            burst: 100,
            election: Election::of("kube-scheduler"),
        }
    }
}

impl SchedulerConfiguration {
    /// The profile for pods that ask for the scheduler `name`, and its place; `None`: they are somebody else's.
    pub fn profile(&self, name: &str) -> Option<(usize, &Profile)> {
        self.profiles.iter().enumerate().find(|(_, profile)| *profile.name == *name)
    }
}

impl Default for NodeAffinityArgs {
    fn default() -> Self {
        NodeAffinityArgs { required: None, preferred: Arc::new([]) }
    }
}

impl Default for FitArgs {
    fn default() -> Self {
        FitArgs {
            strategy: Strategy::LeastAllocated,
            resources: cpu_and_memory(),
            ignored: Vec::new(),
            ignored_groups: Vec::new(),
        }
    }
}

impl FitArgs {
    /// Whether the filter does not look at this extended resource.
    pub fn ignores(&self, name: &str) -> bool {
        let group = || name.split_once('/').map_or("", |(group, _)| group);
        self.ignored.iter().any(|ignored| **ignored == *name)
            || !self.ignored_groups.is_empty() && self.ignored_groups.iter().any(|ignored| **ignored == *group())
    }
}

impl Default for Balanced {
    fn default() -> Self {
        Balanced(cpu_and_memory())
    }
}

impl Default for SpreadArgs {
    fn default() -> Self {
        let constraint = |key: &str, max_skew| SpreadConstraint {
            max_skew,
            topology_key: key.into(),
            hard: false,
            selector: Selector::nothing(),
            min_domains: 1,
            honor_affinity: true,
            honor_taints: false,
            label_keys: Box::new([]),
        };
        SpreadArgs { defaults: [constraint(labels::HOSTNAME, 3), constraint(labels::ZONE, 5)].into(), system: true }
    }
}

impl Default for PodAffinityArgs {
    fn default() -> Self {
        PodAffinityArgs { hard_weight: 1, ignore_preferred_of_existing: false }
    }
}

impl Default for PreemptionArgs {
    fn default() -> Self {
        PreemptionArgs { min_percentage: 10, min_absolute: 100 }
    }
}

impl PreemptionArgs {
    /// How many candidates are enough among `nodes` possible ones.
    pub fn wanted(&self, nodes: u64) -> u64 {
        (nodes * self.min_percentage / 100).max(self.min_absolute).min(nodes)
    }
}

impl Resource {
    /// By its name.
    pub fn named(name: &str) -> Self {
        match name {
            "cpu" => Resource::Cpu,
            "memory" => Resource::Memory,
            "ephemeral-storage" => Resource::Ephemeral,
            other => Resource::Scalar(other.into()),
        }
    }
}

fn cpu_and_memory() -> Vec<ResourceWeight> {
    [Resource::Cpu, Resource::Memory].map(|resource| ResourceWeight { resource, weight: 1 }).into()
}

/// The plugins of the default profile in their order, with the weights of those that have one.
pub const DEFAULT_PLUGINS: [(Plugin, i64); 20] = [
    (Plugin::SchedulingGates, 0),
    (Plugin::PrioritySort, 0),
    (Plugin::NodeUnschedulable, 0),
    (Plugin::NodeName, 0),
    (Plugin::TaintToleration, 3),
    (Plugin::NodeAffinity, 2),
    (Plugin::NodePorts, 0),
    (Plugin::NodeResourcesFit, 1),
    (Plugin::VolumeRestrictions, 0),
    (Plugin::NodeVolumeLimits, 0),
    (Plugin::VolumeBinding, 0),
    (Plugin::VolumeZone, 0),
    (Plugin::PodTopologySpread, 2),
    (Plugin::InterPodAffinity, 2),
    (Plugin::DynamicResources, 2),
    (Plugin::DefaultPreemption, 0),
    (Plugin::NodeResourcesBalancedAllocation, 1),
    (Plugin::ImageLocality, 1),
    (Plugin::DefaultBinder, 0),
    (Plugin::NodeDeclaredFeatures, 0),
];
