//! PostFilter: when no node fits, whether pushing out pods of lower priority makes room, where, and whom.
//!
//! Every node on which it could help is tried: all pods of lower priority are taken away, and then as many as possible are
//! put back, the more important ones first. Of the nodes where that works, the one is chosen where it hurts least.
//!
//! Models: kubernetes v1.36.2 pkg/scheduler/framework/preemption/preemption.go, pkg/scheduler/framework/plugins/
//! defaultpreemption/default_preemption.go; the other PostFilter plugin's text from plugins/dynamicresources. Differs:
//! nodes are tried one after the other, where upstream's workers race for the number of candidates that is enough.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::cache::pod_info::PodInfo;
use super::cache::{Budget, Cache};
use super::diagnosis::{available, histogram};
use super::framework::{Cycle, Decision, Rejection, passes};
use super::plugins::{self, Candidate, Filter};
use crate::kernel::Instant;
use crate::objects::meta::Name;

/// What PostFilter comes to.
#[derive(Clone, PartialEq, Debug)]
pub enum PostFilter {
    /// It cannot help.
    Refused {
        /// The PostFilter part of the failure's text.
        text: String,
        /// The nodes that were tried in vain.
        tried: Vec<(u32, InVain)>,
        /// Whether the pod loses what it was promised: everything was tried, and nothing helps.
        hopeless: bool,
    },
    /// It helps.
    Preempt(Preemption),
}

/// Whom to push out of which node.
#[derive(Clone, PartialEq, Debug)]
pub struct Preemption {
    /// The node, which the pod is promised.
    pub node: u32,
    /// Its pods that have to go, the most important first.
    pub victims: Vec<Arc<PodInfo>>,
    /// All nodes where it works.
    pub candidates: Vec<Victims>,
    /// The nodes nothing but the order sets apart from the chosen one, and that one.
    pub best: Vec<u32>,
    /// The nodes that were tried in vain.
    pub tried: Vec<(u32, InVain)>,
}

/// Who would have to go from a node.
#[derive(Clone, PartialEq, Debug)]
pub struct Victims {
    /// The node.
    pub node: u32,
    /// The pods, the most important first.
    pub pods: Vec<Arc<PodInfo>>,
    /// How many of them a disruption budget protects.
    pub violations: usize,
}

/// Why preemption does not work on a node.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum InVain {
    /// It holds no pod of lower priority.
    NoVictims,
    /// The pod would not fit without them either.
    Rejected(Rejection),
}

/// What DynamicResources says of a pod without claims, before DefaultPreemption is asked.
const NO_CLAIMS: &str = "no new claims to deallocate";
/// Of nodes with [`InVain::NoVictims`].
pub const NO_VICTIMS: &str = "No preemption victims found for incoming pod";
const NOT_HELPFUL: &str = "Preemption is not helpful for scheduling";

/// PostFilter for a pod that `decision` found no node for. `offset(n)` is a number below n.
pub fn post_filter(
    cycle: &Cycle<'_>,
    decision: &mut Decision,
    cache: &mut Cache,
    offset: &mut dyn FnMut(u64) -> u64,
) -> PostFilter {
    let refused =
        |parts: Vec<String>| PostFilter::Refused { text: parts.join(", "), tried: Vec::new(), hopeless: false };
    let mut parts = Vec::new();
    if cycle.profile.claims {
        if decision.refused.is_some() {
            // DynamicResources was never asked in PreFilter, misses its notes and ends PostFilter.
            return refused(vec!["not found".to_owned()]);
        }
        parts.push(NO_CLAIMS.to_owned());
    }
    if !cycle.profile.preempts {
        return refused(parts);
    }
    if let Some(why) = ineligible(cycle.pod, decision, cache) {
        parts.push(format!("preemption: {why}"));
        return refused(parts);
    }
    match find(cycle, decision, cache, offset) {
        Ok(preemption) => PostFilter::Preempt(preemption),
        Err(tried) => {
            parts.push(format!("preemption: {}", explain(cycle.pod, decision, &tried)));
            PostFilter::Refused { text: parts.join(", "), tried, hopeless: true }
        }
    }
}

/// Why the pod may not push out others at all.
fn ineligible(pod: &PodInfo, decision: &Decision, cache: &Cache) -> Option<&'static str> {
    if !pod.terms().preempts {
        return Some("not eligible due to preemptionPolicy=Never.");
    }
    let index = cache.nodes.index(pod.nominated.as_ref()?)?;
    let hopeless = decision.rejected.iter().find(|(node, _)| *node == index).is_none_or(|(_, why)| why.unresolvable);
    let leaving = |other: &Arc<PodInfo>| other.priority() < pod.priority() && other.deleting && other.preempted;
    let wait = !hopeless && cache.nodes.get(index).pods().iter().any(leaving);
    wait.then_some("not eligible due to a terminating pod on the nominated node.")
}

fn explain(pod: &PodInfo, decision: &Decision, tried: &[(u32, InVain)]) -> String {
    let nodes = decision.nodes;
    let mut counts: BTreeMap<String, u32> = BTreeMap::new();
    for (_, why) in tried {
        match why {
            InVain::NoVictims => *counts.entry(NO_VICTIMS.to_owned()).or_default() += 1,
            InVain::Rejected(rejection) => {
                for text in rejection.reasons.texts(pod.terms(), &decision.own_reasons) {
                    *counts.entry(text).or_default() += 1;
                }
            }
        }
    }
    let others = nodes.saturating_sub(tried.len() as u32);
    if others > 0 {
        counts.insert(NOT_HELPFUL.to_owned(), others);
    }
    available(nodes, &histogram(counts))
}

fn find(
    cycle: &Cycle<'_>,
    decision: &mut Decision,
    cache: &mut Cache,
    offset: &mut dyn FnMut(u64) -> u64,
) -> Result<Preemption, Vec<(u32, InVain)>> {
    let possible: Vec<u32> =
        decision.rejected.iter().filter(|(_, rejection)| !rejection.unresolvable).map(|(node, _)| *node).collect();
    if possible.is_empty() {
        return Err(Vec::new());
    }
    let prepared = plugins::prepare(cycle.pod, cycle.profile, cache);
    let cache = &*cache;
    let Ok(mut ready) = plugins::pre_filter(cycle.pod, cycle.profile, cache, &prepared) else { return Err(Vec::new()) };
    let wanted = cycle.profile.args.preemption.wanted(possible.len() as u64) as usize;
    let (mut harmless, mut harmful, mut tried) = (Vec::new(), Vec::new(), Vec::new());
    let (behind, ahead) = possible.split_at(offset(possible.len() as u64) as usize % possible.len());
    for node in ahead.iter().chain(behind) {
        let Some(candidate) = Candidate::of(&cache.nodes, *node) else { continue };
        decision.work.tried(1);
        match dry_run(&mut ready.filters, candidate, cycle.pod, cache) {
            Ok(victims) if victims.violations == 0 => harmless.push(victims),
            Ok(victims) => harmful.push(victims),
            Err(why) => {
                tried.push((*node, why));
                continue;
            }
        }
        if !harmless.is_empty() && harmless.len() + harmful.len() >= wanted {
            break;
        }
    }
    harmless.append(&mut harmful);
    let best = pick(&harmless);
    match harmless.iter().find(|victims| best.first() == Some(&victims.node)) {
        Some(chosen) => {
            let (node, victims) = (chosen.node, chosen.pods.clone());
            Ok(Preemption { node, victims, candidates: harmless, best, tried })
        }
        None => Err(tried),
    }
}

/// Who has to go from one node. The filters are left as they were.
fn dry_run(
    filters: &mut [Filter<'_>],
    candidate: Candidate<'_>,
    pod: &PodInfo,
    cache: &Cache,
) -> Result<Victims, InVain> {
    let lower = |other: &&Arc<PodInfo>| other.priority() < pod.priority();
    let mut lower: Vec<Arc<PodInfo>> = candidate.node.pods().iter().filter(lower).cloned().collect();
    if lower.is_empty() {
        return Err(InVain::NoVictims);
    }
    let mut trial = Trial { node: candidate.node.clone(), candidate, filters, pod, cache };
    lower.iter().for_each(|other| trial.remove(other));
    if let Err(rejection) = trial.fits() {
        lower.iter().for_each(|other| trial.add(other));
        return Err(InVain::Rejected(rejection));
    }
    lower.sort_by(|a, b| PodInfo::by_importance(a, b));
    let (protected, others): (Vec<_>, Vec<_>) = protected(lower, &cache.budgets);
    let mut pods = Vec::new();
    trial.reprieve(&protected, &mut pods);
    let violations = pods.len();
    trial.reprieve(&others, &mut pods);
    pods.sort_by(|a, b| PodInfo::by_importance(a, b));
    pods.iter().for_each(|victim| trial.add(victim));
    if pods.is_empty() { Err(InVain::NoVictims) } else { Ok(Victims { node: candidate.index, pods, violations }) }
}

/// A node on which pods are taken away and put back to see whether another fits.
struct Trial<'t, 'f, 'c> {
    node: super::cache::node_info::NodeInfo,
    candidate: Candidate<'c>,
    filters: &'t mut [Filter<'f>],
    pod: &'c PodInfo,
    cache: &'c Cache,
}

impl Trial<'_, '_, '_> {
    fn remove(&mut self, other: &Arc<PodInfo>) {
        self.node.remove_pod(other.uid);
        self.filters.iter_mut().for_each(|filter| filter.update(self.candidate, other, -1));
    }

    fn add(&mut self, other: &Arc<PodInfo>) {
        self.node.add_pod(other.clone());
        self.filters.iter_mut().for_each(|filter| filter.update(self.candidate, other, 1));
    }

    fn fits(&mut self) -> Result<(), Rejection> {
        let candidate = Candidate { index: self.candidate.index, node: &self.node, terms: self.candidate.terms };
        passes(self.filters, candidate, self.pod, self.cache)
    }

    /// Puts back those that leave room; the others become victims.
    fn reprieve(&mut self, pods: &[Arc<PodInfo>], victims: &mut Vec<Arc<PodInfo>>) {
        for other in pods {
            self.add(other);
            if self.fits().is_err() {
                self.remove(other);
                victims.push(other.clone());
            }
        }
    }
}

/// Divides the pods into those whose loss would break a budget, if they went one after the other, and the rest.
fn protected(pods: Vec<Arc<PodInfo>>, budgets: &[Budget]) -> (Vec<Arc<PodInfo>>, Vec<Arc<PodInfo>>) {
    let mut left: Vec<i64> = budgets.iter().map(|budget| i64::from(budget.allowed)).collect();
    pods.into_iter().partition(|pod| {
        let mut broken = false;
        for (budget, left) in budgets.iter().zip(&mut left).filter(|_| !pod.labels.is_empty()) {
            let meant = budget.namespace == *pod.namespace()
                && !budget.selector.is_empty()
                && budget.selector.matches(&pod.labels)
                && !budget.disrupted.contains(&pod.key.name);
            if meant {
                *left -= 1;
                broken |= *left < 0;
            }
        }
        broken
    })
}

/// The nodes on which it hurts least; only their order sets them apart.
fn pick(candidates: &[Victims]) -> Vec<u32> {
    let sum = |victims: &Victims| -> i64 {
        victims.pods.iter().map(|pod| i64::from(pod.priority()) + i64::from(i32::MAX) + 1).sum()
    };
    let pain = |victims: &Victims| {
        let highest = victims.pods.first().map_or(i32::MIN, |pod| pod.priority());
        let of_highest = victims.pods.iter().filter(|pod| pod.priority() == highest);
        // The later the first of the most important victims started, the less is lost.
        let earliest = of_highest.map(|pod| pod.start()).min().unwrap_or(Instant::NEVER);
        (victims.violations, highest, sum(victims), victims.pods.len(), std::cmp::Reverse(earliest))
    };
    let Some(least) = candidates.iter().map(pain).min() else { return Vec::new() };
    candidates.iter().filter(|victims| pain(victims) == least).map(|victims| victims.node).collect()
}

/// The names of victims, `namespace/name`.
pub fn names(victims: &[Arc<PodInfo>]) -> Vec<Name> {
    victims.iter().map(|pod| pod.key.to_string().into()).collect()
}

#[cfg(test)]
mod tests {
    use super::super::cache::node_info::NodeTerms;
    use super::super::framework::Profile;
    use super::*;
    use crate::objects::labels::Labels;
    use crate::objects::pod_terms::Resources;
    use crate::objects::selector::Selector;
    use crate::objects::{PodSpec, Uid};
    use serde_json::json;

    fn pod(name: &str, uid: u128, priority: i32, cpu: &str) -> PodInfo {
        let container = json!({"name": "c", "resources": {"requests": {"cpu": cpu}}});
        let spec =
            serde_json::from_value(json!({"containers": [container], "priority": priority})).expect("a pod spec");
        PodInfo::plain("ns", name, uid, Labels::from([("app".into(), name.into())]), PodSpec::new(spec))
    }

    fn cluster(nodes: &[&str]) -> Cache {
        let mut cache = Cache::default();
        for name in nodes {
            let terms = NodeTerms {
                labels: Arc::default(),
                taints: Arc::new([]),
                unschedulable: false,
                allocatable: Resources::of([("cpu", "4"), ("memory", "16Gi")]),
                pods: 110,
                images: Arc::new([]),
            };
            cache.set_node(&Name::from(*name), terms);
        }
        cache
    }

    fn preempt(cache: &mut Cache, pod: &PodInfo) -> PostFilter {
        let profile = Profile::default();
        let cycle = Cycle { pod, profile: &profile, explain: false };
        let mut decision = cycle.run(cache, &mut 0, &mut |_| 0);
        assert_eq!(decision.chosen, None);
        post_filter(&cycle, &mut decision, cache, &mut |_| 0)
    }

    fn victims(result: PostFilter) -> (u32, String) {
        let PostFilter::Preempt(preemption) = result else { panic!("{result:?}") };
        (preemption.node, names(&preemption.victims).join(" "))
    }

    #[test]
    fn only_those_go_who_must_and_the_least_important_first() {
        let mut cache = cluster(&["a", "b"]);
        for (name, uid, priority, cpu) in [("low", 2, 1, "1"), ("mid", 3, 5, "1"), ("high", 4, 9, "2")] {
            cache.add_pod(&"a".into(), Arc::new(pod(name, uid, priority, cpu)));
        }
        cache.add_pod(&"b".into(), Arc::new(pod("top", 5, 9, "4")));
        assert_eq!(victims(preempt(&mut cache, &pod("new", 1, 10, "1"))), (0, "ns/low".to_owned()));
        assert_eq!(victims(preempt(&mut cache, &pod("new", 1, 10, "2"))), (0, "ns/mid ns/low".to_owned()));
        let PostFilter::Refused { text, .. } = preempt(&mut cache, &pod("new", 1, 1, "1")) else { panic!("refused") };
        assert!(text.ends_with("2 No preemption victims found for incoming pod."), "{text}");
    }

    #[test]
    fn budgets_are_kept_where_there_is_a_choice() {
        let mut cache = cluster(&["a", "b"]);
        cache.add_pod(&"a".into(), Arc::new(pod("kept", 2, 1, "4")));
        cache.add_pod(&"b".into(), Arc::new(pod("free", 3, 5, "4")));
        let new = pod("new", 1, 10, "1");
        assert_eq!(victims(preempt(&mut cache, &new)).0, 0, "the lower priority");
        let selector = Selector::from_labels(&Labels::from([("app".into(), "kept".into())]));
        cache.budgets.push(Budget { namespace: "ns".into(), selector, allowed: 0, disrupted: Vec::new() });
        assert_eq!(victims(preempt(&mut cache, &new)).0, 1);
        cache.budgets[0].disrupted.push("kept".into());
        assert_eq!(victims(preempt(&mut cache, &new)).0, 0);
    }

    #[test]
    fn who_has_been_promised_a_node_waits_for_those_who_leave_it() {
        let mut cache = cluster(&["a"]);
        let leaving = PodInfo { deleting: true, preempted: true, ..pod("old", 2, 1, "4") };
        cache.add_pod(&"a".into(), Arc::new(leaving));
        let new = PodInfo { nominated: Some("a".into()), ..pod("new", 1, 10, "1") };
        let PostFilter::Refused { text, .. } = preempt(&mut cache, &new) else { panic!("refused") };
        assert!(text.contains("terminating pod on the nominated node"), "{text}");
        assert_eq!(victims(preempt(&mut cache, &pod("other", 3, 10, "1"))), (0, "ns/old".to_owned()));
        assert!(cache.remove_pod("a", Uid(2)).is_some());
    }
}
