//! One scheduling cycle: from a pod and the nodes to a decision that explains itself.
//!
//! PreFilter makes the filters ready for the pod, and may refuse it or narrow the nodes. Filter goes through the nodes
//! from where the last cycle stopped until enough of them fit; each node is rejected by the first filter that fails.
//! PreScore and Score rate the nodes that fit; ratings are brought to 0..=100, weighted and summed. PostFilter (see
//! `preemption.rs`) is the caller's next step when no node fits.
//!
//! Models: kubernetes v1.36.2 pkg/scheduler/schedule_one.go (schedulePod to selectHost),
//! pkg/scheduler/framework/runtime/framework.go (the order of plugins, RunFilterPluginsWithNominatedPods). Left out:
//! extenders, opportunistic batching (inert by default). Differs: nodes are looked at one after the other, where upstream
//! has 16 workers whose race decides the order of the nodes that fit.

use super::cache::Cache;
use super::cache::pod_info::PodInfo;
use super::cost::Work;
use super::plugins::{self, Candidate, Filter, Halt, OwnFailure};
pub use super::profile::{Plugin, Point, Profile, Ties};
use super::reasons::Reasons;
use crate::objects::Text;

/// One cycle's question.
#[derive(Clone, Copy, Debug)]
pub struct Cycle<'a> {
    /// The pod to place.
    pub pod: &'a PodInfo,
    /// The profile.
    pub profile: &'a Profile,
    /// Whether the decision keeps the ratings of each plugin.
    pub explain: bool,
}

/// One cycle's answer. Nodes are indexes into [`super::cache::nodes::Nodes`].
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
    pub refused: Option<(Plugin, Text)>,
    /// How many nodes there are.
    pub nodes: u32,
    /// What the user's plugins have said of nodes; [`Reasons::own`] says the place.
    pub own_reasons: Vec<Text>,
    /// A plugin of the user's failed, and with it the cycle.
    pub failure: Option<Box<OwnFailure>>,
    /// What it took.
    pub work: Work,
}

/// How one plugin rates the nodes that fit, in their order.
#[derive(Clone, PartialEq, Debug)]
pub struct Rating {
    /// The plugin.
    pub plugin: Plugin,
    /// What its rating is multiplied with.
    pub weight: i64,
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
impl Cycle<'_> {
    /// Runs the cycle. `start` is the place in the order where the last cycle stopped; `draw(n)` is a number below n,
    /// asked for only when nodes tie and ties are drawn.
    pub fn run(&self, cache: &mut Cache, start: &mut usize, draw: &mut dyn FnMut(u64) -> u64) -> Decision {
        let prepared = plugins::prepare(self.pod, self.profile, cache);
        let cache = &*cache;
        let mut decision = Decision { nodes: cache.nodes.order().len() as u32, ..Decision::default() };
        if decision.nodes == 0 {
            return decision;
        }
        let mut ready = match plugins::pre_filter(self.pod, self.profile, cache, &prepared) {
            Ok(ready) => ready,
            Err(Halt::Refused(plugin, reason)) => {
                decision.refused = Some((plugin, reason));
                return decision;
            }
            Err(Halt::Failed(failure)) => {
                decision.failure = Some(failure);
                return decision;
            }
        };
        decision.own_reasons = std::mem::take(&mut ready.own_reasons);
        decision.work = Work::prepared(decision.nodes, &prepared, self.pod);
        if !self.try_nominated(cache, &mut ready.filters, &mut decision) {
            let only = ready.only;
            let named: Option<Vec<u32>> =
                only.map(|(_, names)| names.iter().filter_map(|name| cache.nodes.index(name)).collect());
            decision.narrowed_by = only.map(|(plugin, _)| plugin);
            self.find(
                cache,
                named.as_deref().unwrap_or(cache.nodes.order()),
                &mut ready.filters,
                *start,
                &mut decision,
            );
            *start = (*start + decision.evaluated()) % decision.nodes as usize;
        }
        decision.work.filtered(decision.evaluated(), ready.filters.len());
        if decision.feasible.len() > 1 {
            self.rate(cache, &prepared, &mut decision);
        }
        if decision.failure.is_none() {
            decision.chosen = self.choose(&decision.feasible, draw);
        }
        decision
    }

    /// The node the pod was promised, if that exists and still fits.
    fn try_nominated(&self, cache: &Cache, filters: &mut [Filter<'_>], decision: &mut Decision) -> bool {
        let nominated = self.pod.nominated.as_ref().and_then(|node| cache.nodes.index(node));
        let Some(candidate) = nominated.and_then(|index| Candidate::of(&cache.nodes, index)) else { return false };
        let fits = passes(filters, candidate, self.pod, cache).is_ok();
        decision.feasible.extend(fits.then_some((candidate.index, 0)));
        fits
    }

    fn find(&self, cache: &Cache, among: &[u32], filters: &mut [Filter<'_>], start: usize, decision: &mut Decision) {
        let wanted = self.profile.wanted(among.len() as u64) as usize;
        let (behind, ahead) = among.split_at(if among.is_empty() { 0 } else { start % among.len() });
        for candidate in ahead.iter().chain(behind).filter_map(|index| Candidate::of(&cache.nodes, *index)) {
            match passes(filters, candidate, self.pod, cache) {
                Ok(()) => decision.feasible.push((candidate.index, 0)),
                Err(rejection) => decision.rejected.push((candidate.index, rejection)),
            }
            if decision.feasible.len() == wanted {
                break;
            }
        }
    }

    fn rate(&self, cache: &Cache, prepared: &plugins::Prepared, decision: &mut Decision) {
        let candidates: Vec<_> =
            decision.feasible.iter().filter_map(|(index, _)| Candidate::of(&cache.nodes, *index)).collect();
        let mut ratings = Vec::with_capacity(candidates.len());
        let scores = plugins::pre_score(self.pod, self.profile, cache, prepared, &candidates);
        decision.work.scored(candidates.len(), scores.len());
        for (score, weight) in scores {
            decision.failure = decision.failure.take().or_else(|| score.failure());
            ratings.clear();
            ratings.extend(candidates.iter().map(|candidate| score.score(*candidate)));
            let raw = if self.explain { ratings.clone() } else { Vec::new() };
            score.normalize(&mut ratings, &candidates);
            for ((_, total), rating) in decision.feasible.iter_mut().zip(&ratings) {
                *total += rating * weight;
            }
            if self.explain {
                decision.ratings.push(Rating { plugin: score.plugin(), weight, raw, normalized: ratings.clone() });
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

/// Whether the pod fits on a node: with the pods of at least its priority that were promised the node, and without them,
/// for they may go elsewhere.
pub(super) fn passes(
    filters: &mut [Filter<'_>],
    candidate: Candidate<'_>,
    pod: &PodInfo,
    cache: &Cache,
) -> Result<(), Rejection> {
    let promised = cache.nominated(candidate.node.name());
    let counts = |other: &&std::sync::Arc<PodInfo>| other.priority() >= pod.priority() && other.uid != pod.uid;
    if promised.iter().any(|other| counts(&other)) {
        let mut node = candidate.node.clone();
        for other in promised.iter().filter(counts) {
            node.add_pod(other.clone());
            filters.iter_mut().for_each(|filter| filter.update(candidate, other, 1));
        }
        let with = Candidate { node: &node, ..candidate };
        let result = filters.iter().try_for_each(|filter| filter.filter(with));
        for other in promised.iter().filter(counts) {
            filters.iter_mut().for_each(|filter| filter.update(candidate, other, -1));
        }
        result?;
    }
    filters.iter().try_for_each(|filter| filter.filter(candidate))
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
            Some((rating.plugin, *raw, *normalized, rating.weight))
        })
    }

    /// The plugins that rejected nodes or the pod, in their order.
    pub fn rejected_by(&self) -> Vec<Plugin> {
        let on_nodes = self.rejected.iter().map(|(_, rejection)| rejection.plugin);
        let mut plugins: Vec<_> =
            on_nodes.chain(self.narrowed_by).chain(self.refused.as_ref().map(|(plugin, _)| *plugin)).collect();
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
    use super::super::cache::node_info::NodeTerms;
    use super::*;
    use crate::objects::PodSpec;
    use crate::objects::meta::Name;
    use serde_json::{Value, json};
    use std::sync::Arc;

    fn pod(spec: Value) -> PodInfo {
        let spec = PodSpec::new(serde_json::from_value(spec).expect("a pod spec"));
        PodInfo::plain("ns", "incoming", 1, Default::default(), spec)
    }

    fn add(cache: &mut Cache, node: &str, uid: u128, pod: &PodInfo) {
        cache.add_pod(&node.into(), Arc::new(PodInfo { uid: crate::objects::Uid(uid), ..pod.clone() }));
    }

    fn small() -> PodInfo {
        pod(json!({"containers": [{"name": "c", "resources": {"requests": {"cpu": "1", "memory": "1Gi"}}}]}))
    }

    /// `count` nodes of 4 CPUs.
    fn cluster(count: u32) -> Cache {
        let mut nodes = Cache::default();
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

    fn cycle<'a>(pod: &'a PodInfo, profile: &'a Profile) -> Cycle<'a> {
        Cycle { pod, profile, explain: false }
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
        add(&mut nodes, "n0000", 2, &pod);
        let lottery = Profile { ties: Ties::Drawn, ..Profile::default() };
        let drawn = cycle(&pod, &lottery).run(&mut nodes, &mut 0, &mut |n| {
            assert_eq!(n, 4);
            2
        });
        assert_eq!(drawn.chosen, Some(3));
        let heap = cycle(&pod, &Profile::default()).run(&mut nodes, &mut 0, &mut |_| unreachable!());
        assert_eq!(heap.chosen, Some(1));
        assert_eq!(heap_root(&[(0, 1), (1, 1), (2, 3), (3, 5), (4, 5)]), Some(3));
    }

    #[test]
    fn a_nominated_node_that_fits_is_taken_without_looking_further() {
        let (mut nodes, profile) = (cluster(3), Profile::default());
        let pod = PodInfo { nominated: Some("n0002".into()), ..small() };
        let nominated = cycle(&pod, &profile);
        let decision = nominated.run(&mut nodes, &mut 0, &mut |_| 0);
        assert_eq!((decision.chosen, decision.feasible), (Some(2), vec![(2, 0)]));
        for uid in 2..6 {
            add(&mut nodes, "n0002", uid, &pod);
        }
        let decision = nominated.run(&mut nodes, &mut 0, &mut |_| 0);
        assert_eq!((decision.chosen, decision.evaluated()), (Some(0), 3));
    }

    #[test]
    fn ratings_are_kept_when_asked_for() {
        let (mut nodes, profile, pod) = (cluster(2), Profile::default(), small());
        let decision = Cycle { explain: true, ..cycle(&pod, &profile) }.run(&mut nodes, &mut 0, &mut |_| 0);
        let sum: i64 = decision.explain(1).map(|(_, _, normalized, weight)| normalized * weight).sum();
        assert_eq!((decision.ratings.len(), sum), (5, decision.feasible[1].1));
    }

    #[test]
    fn without_nodes_nothing_is_asked() {
        let decision = cycle(&small(), &Profile::default()).run(&mut Cache::default(), &mut 0, &mut |_| 0);
        assert_eq!(decision, Decision::default());
    }

    #[test]
    fn a_node_must_do_with_and_without_the_pods_it_was_promised_to() {
        let (mut nodes, profile, pod) = (cluster(1), Profile::default(), small());
        let decide = |nodes: &mut Cache| cycle(&pod, &profile).run(nodes, &mut 0, &mut |_| 0).chosen;
        (2..5).for_each(|uid| add(&mut nodes, "n0000", uid, &small()));
        assert_eq!(decide(&mut nodes), Some(0));
        let promised = Arc::new(PodInfo { uid: crate::objects::Uid(9), ..small() });
        nodes.nominate(&"n0000".into(), promised.clone());
        assert_eq!(decide(&mut nodes), None);
        nodes.withdraw(promised.uid);
        assert_eq!(decide(&mut nodes), Some(0));
    }
}
