//! One scheduling cycle: from a pod and the nodes to a decision that explains itself.
//!
//! PreFilter makes the filters ready for the pod, and may refuse it or narrow the nodes. Filter goes through the nodes
//! from where the last cycle stopped until enough of them fit; each node is rejected by the first filter that fails.
//! PreScore and Score rate the nodes that fit; ratings are brought to 0..=100, weighted and summed. PostFilter (see
//! `plugins/default_preemption.rs`) is the caller's next step when no node fits.
//!
//! Models: kubernetes v1.36.2 pkg/scheduler/schedule_one.go (schedulePod to selectHost),
//! pkg/scheduler/framework/runtime/framework.go (the order of plugins), pkg/scheduler/apis/config/v1/default_plugins.go
//! (weights). Left out: extenders, running filters a second time with nominated pods. Differs: nodes are looked at one
//! after the other, where upstream has 16 workers whose race decides the order of the nodes that fit.

use super::nodes::Nodes;
use super::plugins::{self, Candidate, Filter};
use super::reasons::{Reason, Reasons};
use crate::objects::pod_terms::PodTerms;

/// The plugins, in the order in which they run at every extension point.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[allow(missing_docs)]
pub enum Plugin {
    NodeUnschedulable,
    NodeName,
    TaintToleration,
    NodeAffinity,
    NodePorts,
    NodeResourcesFit,
    NodeResourcesBalancedAllocation,
    ImageLocality,
}

/// What stays the same over the cycles.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Profile {
    /// Share of the nodes that is enough to choose from; 0: 50 % falling to 5 % as the cluster grows. [%] – Kubernetes:
    /// percentageOfNodesToScore, 0.
    pub percentage_of_nodes_to_score: u32,
    /// Who wins among the best.
    pub ties: Ties,
}

/// Who wins among nodes of the same, best score.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Ties {
    /// Any of them: upstream the order of the nodes that fit, and so the winner, comes from a race.
    #[default]
    Drawn,
    /// The root of upstream's heap, if the nodes that fit are in the order in which they were looked at.
    HeapOrder,
}

/// One cycle's question.
#[derive(Clone, Copy, Debug)]
pub struct Cycle<'a> {
    /// The pod to place.
    pub pod: &'a PodTerms,
    /// The profile.
    pub profile: &'a Profile,
    /// The node it was promised after a preemption, if that exists now; no other is looked at if it fits.
    pub nominated: Option<u32>,
    /// Whether the decision keeps the ratings of each plugin.
    pub explain: bool,
}

/// One cycle's answer. Nodes are indexes into [`Nodes`].
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Decision {
    /// The node, if any fits.
    pub chosen: Option<u32>,
    /// The nodes that fit with their total scores, in the order in which they were looked at; the total is 0 if there
    /// is only one.
    pub feasible: Vec<(u32, i64)>,
    /// The ratings, if asked for and if there was a choice.
    pub ratings: Vec<Rating>,
    /// The nodes that do not fit, in the order in which they were looked at.
    pub rejected: Vec<(u32, Rejection)>,
    /// The plugin that narrowed the nodes to named ones, so that not all were looked at.
    pub narrowed_by: Option<Plugin>,
    /// The plugin that refused the pod before any node was looked at, and why.
    pub refused: Option<(Plugin, Reason)>,
    /// How many nodes there are.
    pub nodes: u32,
}

/// How one plugin rates the nodes that fit, in their order.
#[derive(Clone, PartialEq, Debug)]
pub struct Rating {
    /// The plugin.
    pub plugin: Plugin,
    /// What it returned.
    pub raw: Vec<i64>,
    /// The same brought to 0..=100.
    pub normalized: Vec<i64>,
}

/// Why a node does not fit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rejection {
    /// The filter.
    pub plugin: Plugin,
    /// Whether removing pods cannot help: UnschedulableAndUnresolvable.
    pub unresolvable: bool,
    /// Its reasons.
    pub reasons: Reasons,
}

/// The best rating. Kubernetes: MaxNodeScore.
pub const MAX_SCORE: i64 = 100;
/// With fewer nodes all are looked at, and never are fewer wanted. Kubernetes: minFeasibleNodesToFind.
const MIN_WANTED: u64 = 100;
/// The least adaptive percentage. Kubernetes: minFeasibleNodesPercentageToFind.
const MIN_PERCENTAGE: u64 = 5;

impl Plugin {
    /// `NodeResourcesFit`.
    pub fn name(self) -> &'static str {
        match self {
            Plugin::NodeUnschedulable => "NodeUnschedulable",
            Plugin::NodeName => "NodeName",
            Plugin::TaintToleration => "TaintToleration",
            Plugin::NodeAffinity => "NodeAffinity",
            Plugin::NodePorts => "NodePorts",
            Plugin::NodeResourcesFit => "NodeResourcesFit",
            Plugin::NodeResourcesBalancedAllocation => "NodeResourcesBalancedAllocation",
            Plugin::ImageLocality => "ImageLocality",
        }
    }

    /// What its rating is multiplied with.
    pub fn weight(self) -> i64 {
        match self {
            Plugin::TaintToleration => 3,
            Plugin::NodeAffinity => 2,
            _ => 1,
        }
    }
}

impl Profile {
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

impl Cycle<'_> {
    /// Runs the cycle. `start` is the place in the order where the last cycle stopped; `draw(n)` is a number below n,
    /// asked for only when nodes tie.
    pub fn run(&self, nodes: &mut Nodes, start: &mut usize, draw: &mut dyn FnMut(u64) -> u64) -> Decision {
        nodes.arrange();
        let nodes = &*nodes;
        let mut decision = Decision { nodes: nodes.order().len() as u32, ..Decision::default() };
        if decision.nodes == 0 {
            return decision;
        }
        let ready = match plugins::pre_filter(self.pod) {
            Ok(ready) => ready,
            Err(refused) => {
                decision.refused = Some(refused);
                return decision;
            }
        };
        if !self.try_nominated(nodes, &ready.filters, &mut decision) {
            let named: Option<Vec<u32>> =
                ready.only.map(|(_, names)| names.iter().filter_map(|name| nodes.index(name)).collect());
            decision.narrowed_by = ready.only.map(|(plugin, _)| plugin);
            self.find(nodes, named.as_deref().unwrap_or(nodes.order()), &ready.filters, *start, &mut decision);
            *start = (*start + decision.evaluated()) % decision.nodes as usize;
        }
        if decision.feasible.len() > 1 {
            self.rate(nodes, &mut decision);
        }
        decision.chosen = self.choose(&decision.feasible, draw);
        decision
    }

    fn try_nominated(&self, nodes: &Nodes, filters: &[Filter<'_>], decision: &mut Decision) -> bool {
        let nominated = self.nominated.and_then(|index| Candidate::of(nodes, index));
        let fits = nominated.filter(|candidate| filters.iter().all(|filter| filter.filter(*candidate).is_ok()));
        decision.feasible.extend(fits.map(|candidate| (candidate.index, 0)));
        fits.is_some()
    }

    fn find(&self, nodes: &Nodes, among: &[u32], filters: &[Filter<'_>], start: usize, decision: &mut Decision) {
        let wanted = self.profile.wanted(among.len() as u64) as usize;
        let (behind, ahead) = among.split_at(if among.is_empty() { 0 } else { start % among.len() });
        for candidate in ahead.iter().chain(behind).filter_map(|index| Candidate::of(nodes, *index)) {
            match filters.iter().try_for_each(|filter| filter.filter(candidate)) {
                Ok(()) => decision.feasible.push((candidate.index, 0)),
                Err(rejection) => decision.rejected.push((candidate.index, rejection)),
            }
            if decision.feasible.len() == wanted {
                break;
            }
        }
    }

    fn rate(&self, nodes: &Nodes, decision: &mut Decision) {
        let candidates: Vec<_> =
            decision.feasible.iter().filter_map(|(index, _)| Candidate::of(nodes, *index)).collect();
        let mut ratings = Vec::with_capacity(candidates.len());
        for score in plugins::pre_score(self.pod, nodes) {
            ratings.clear();
            ratings.extend(candidates.iter().map(|candidate| score.score(*candidate)));
            let raw = if self.explain { ratings.clone() } else { Vec::new() };
            score.normalize(&mut ratings);
            let plugin = score.plugin();
            for ((_, total), rating) in decision.feasible.iter_mut().zip(&ratings) {
                *total += rating * plugin.weight();
            }
            if self.explain {
                decision.ratings.push(Rating { plugin, raw, normalized: ratings.clone() });
            }
        }
    }

    fn choose(&self, feasible: &[(u32, i64)], draw: &mut dyn FnMut(u64) -> u64) -> Option<u32> {
        if self.profile.ties == Ties::HeapOrder {
            return heap_root(feasible);
        }
        let best = feasible.iter().map(|(_, total)| *total).max()?;
        let mut ties = feasible.iter().filter(|(_, total)| *total == best);
        let count = ties.clone().count() as u64;
        let place = if count > 1 { draw(count) } else { 0 };
        ties.nth(place as usize).map(|(index, _)| *index)
    }
}

impl Decision {
    /// How many nodes were looked at.
    pub fn evaluated(&self) -> usize {
        self.feasible.len() + self.rejected.len()
    }

    /// How the `place`-th of the nodes that fit was rated: plugin, raw rating, normalised rating, weight. Empty unless
    /// asked for.
    pub fn explain(&self, place: usize) -> impl Iterator<Item = (Plugin, i64, i64, i64)> {
        self.ratings.iter().filter_map(move |rating| {
            let (raw, normalized) = (rating.raw.get(place)?, rating.normalized.get(place)?);
            Some((rating.plugin, *raw, *normalized, rating.plugin.weight()))
        })
    }

    /// The plugins that rejected nodes or the pod, in their order.
    pub fn rejected_by(&self) -> Vec<Plugin> {
        let on_nodes = self.rejected.iter().map(|(_, rejection)| rejection.plugin);
        let mut plugins: Vec<_> =
            on_nodes.chain(self.narrowed_by).chain(self.refused.map(|(plugin, _)| plugin)).collect();
        plugins.sort_unstable();
        plugins.dedup();
        plugins
    }
}

/// The node at the root after Go's heap.Init of the nodes by descending total.
fn heap_root(feasible: &[(u32, i64)]) -> Option<u32> {
    let mut heap = feasible.to_vec();
    for top in (0..heap.len() / 2).rev() {
        let mut parent = top;
        loop {
            let left = 2 * parent + 1;
            let Some(total) = heap.get(left).map(|(_, total)| *total) else { break };
            let child = left + usize::from(heap.get(left + 1).is_some_and(|(_, right)| *right > total));
            if heap[child].1 <= heap[parent].1 {
                break;
            }
            heap.swap(parent, child);
            parent = child;
        }
    }
    heap.first().map(|(index, _)| *index)
}

#[cfg(test)]
mod tests {
    use super::super::node_info::NodeTerms;
    use super::*;
    use crate::objects::meta::Name;
    use serde_json::{Value, json};
    use std::sync::Arc;

    fn pod(spec: Value) -> PodTerms {
        PodTerms::of(&serde_json::from_value(spec).expect("a pod spec"))
    }

    fn small() -> PodTerms {
        pod(json!({"containers": [{"name": "c", "resources": {"requests": {"cpu": "1", "memory": "1Gi"}}}]}))
    }

    /// `count` nodes of 4 CPUs.
    fn cluster(count: u32) -> Nodes {
        let mut nodes = Nodes::default();
        for i in 0..count {
            let terms = NodeTerms {
                labels: Arc::default(),
                taints: Arc::new([]),
                unschedulable: false,
                allocatable: crate::objects::pod_terms::Resources::of([("cpu", "4"), ("memory", "16Gi")]),
                pods: 110,
                images: Arc::new([]),
            };
            nodes.set_node(&Name::from(format!("n{i:04}")), terms);
        }
        nodes
    }

    fn cycle<'a>(pod: &'a PodTerms, profile: &'a Profile) -> Cycle<'a> {
        Cycle { pod, profile, nominated: None, explain: false }
    }

    #[test]
    fn large_clusters_are_searched_in_turns() {
        let (mut nodes, profile, pod, mut start) = (cluster(200), Profile::default(), small(), 0);
        // 49 % of 200 is 98, but never fewer than 100 are wanted.
        for expected in [(0, 100), (100, 0), (0, 100)] {
            let decision = cycle(&pod, &profile).run(&mut nodes, &mut start, &mut |_| 0);
            assert_eq!((decision.feasible[0].0, start, decision.evaluated()), (expected.0, expected.1, 100));
        }
        let mut small_cluster = cluster(99);
        cycle(&pod, &profile).run(&mut small_cluster, &mut start, &mut |_| 0);
        assert_eq!(start, 100 % 99, "unchanged once all nodes were looked at");
    }

    #[test]
    fn ties_are_drawn_or_fall_to_the_root_of_the_heap() {
        let (mut nodes, pod) = (cluster(5), small());
        nodes.add_pod(&"n0000".into(), &pod);
        let drawn = cycle(&pod, &Profile::default()).run(&mut nodes, &mut 0, &mut |n| {
            assert_eq!(n, 4);
            2
        });
        assert_eq!(drawn.chosen, Some(3));
        let profile = Profile { ties: Ties::HeapOrder, ..Profile::default() };
        let heap = cycle(&pod, &profile).run(&mut nodes, &mut 0, &mut |_| unreachable!());
        assert_eq!(heap.chosen, Some(1));
        assert_eq!(heap_root(&[(0, 1), (1, 1), (2, 3), (3, 5), (4, 5)]), Some(3));
    }

    #[test]
    fn a_nominated_node_that_fits_is_taken_without_looking_further() {
        let (mut nodes, profile, pod) = (cluster(3), Profile::default(), small());
        let nominated = Cycle { nominated: Some(2), ..cycle(&pod, &profile) };
        let decision = nominated.run(&mut nodes, &mut 0, &mut |_| 0);
        assert_eq!((decision.chosen, decision.feasible), (Some(2), vec![(2, 0)]));
        for _ in 0..4 {
            nodes.add_pod(&"n0002".into(), &pod);
        }
        let decision = nominated.run(&mut nodes, &mut 0, &mut |_| 0);
        assert_eq!((decision.chosen, decision.evaluated()), (Some(0), 3));
    }

    #[test]
    fn ratings_are_kept_when_asked_for() {
        let (mut nodes, profile, pod) = (cluster(2), Profile::default(), small());
        let decision = Cycle { explain: true, ..cycle(&pod, &profile) }.run(&mut nodes, &mut 0, &mut |_| 0);
        let sum: i64 = decision.explain(1).map(|(_, _, normalized, weight)| normalized * weight).sum();
        assert_eq!((decision.ratings.len(), sum), (4, decision.feasible[1].1));
    }

    #[test]
    fn without_nodes_nothing_is_asked() {
        let decision = cycle(&small(), &Profile::default()).run(&mut Nodes::default(), &mut 0, &mut |_| 0);
        assert_eq!(decision, Decision::default());
    }
}
