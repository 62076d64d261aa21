//! Why a pod got its node, or none: a decision as plain data, for people to look at.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::cache::Cache;
use super::diagnosis::narrowed_text;
use super::framework::{Decision, Profile, Rejection};
use super::plugins::OwnPlugins;
use super::preemption::{self, InVain, NO_VICTIMS, PostFilter, Preemption, Victims};
use crate::objects::meta::Name;
use crate::objects::{PodSpec, Text};

/// What brought a pod before the scheduler.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Woken {
    /// It was new.
    Added,
    /// Its scheduling gates were removed.
    Ungated,
    /// Something happened after which a plugin that rejected it might think better of it.
    Event {
        /// `NodeAdd`, `AssignedPodDelete`, …
        event: &'static str,
        /// The plugin.
        plugin: Text,
    },
    /// An attempt ended in an error, and the back-off is over.
    Error,
    /// It had waited for five minutes.
    TimedOut,
    /// Its preemption went wrong.
    Forced,
    /// It was backing off, but there was nobody else to try. Before that, this had woken it.
    Early(Box<Woken>),
}

/// One attempt to place a pod. Whatever the size of the cluster, it is small: in clusters of up to [`WHOLE`] nodes all are
/// named, in larger ones [`SHOWN`] of each sort, with how many there are.
#[derive(Clone, PartialEq, Debug)]
pub struct Explanation {
    /// The scheduler's name.
    pub profile: Name,
    /// Which attempt, from 1.
    pub attempt: u32,
    /// What brought it about.
    pub woken: Woken,
    /// How many nodes there are; not all need have been looked at.
    pub nodes: u32,
    /// How many nodes fit.
    pub fitting: u32,
    /// The plugins that rated them, with what each rating is multiplied with. None if there was no choice.
    pub plugins: Vec<(Text, i64)>,
    /// The nodes that fit: the chosen one, then the others by descending total.
    pub scores: Vec<NodeScore>,
    /// The nodes that do not fit, by who rejects them and why; in the order of the plugins.
    pub rejected: Vec<Rejected>,
    /// The plugin that refused the pod before any node was looked at, and why.
    pub refused: Option<(Text, Text)>,
    /// The node it is promised, once those have gone who have to.
    pub nominated: Option<Name>,
    /// Those who have to go from there, `namespace/name`, the most important first.
    pub victims: Vec<Name>,
    /// The nodes where preemption works, the chosen one first.
    pub candidates: Vec<DryRun>,
    /// The nodes where it was tried in vain, by the reasons.
    pub in_vain: Vec<InVainNodes>,
}

/// How a node that fits was rated.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NodeScore {
    /// The node.
    pub node: Name,
    /// The sum of the weighted ratings.
    pub total: i64,
    /// What each plugin says, in the order of [`Explanation::plugins`].
    pub raw: Vec<i64>,
    /// The same brought to 0..=100.
    pub normalized: Vec<i64>,
}

/// Nodes that one filter rejects for the same reasons.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rejected {
    /// The filter.
    pub plugin: Text,
    /// Its reasons.
    pub reasons: Vec<String>,
    /// Whether preemption could not help.
    pub unresolvable: bool,
    /// How many nodes.
    pub count: u32,
    /// The first of them, in the order in which they were looked at.
    pub nodes: Vec<Name>,
}

/// What preemption would do on one node.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DryRun {
    /// The node.
    pub node: Name,
    /// How many pods would have to go.
    pub victims: u32,
    /// How many of them a disruption budget protects.
    pub violations: u32,
    /// The priority of the most important of them.
    pub highest: i32,
}

/// Nodes on which preemption was tried in vain for the same reasons.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct InVainNodes {
    /// The reasons.
    pub reasons: Vec<String>,
    /// How many nodes.
    pub count: u32,
    /// The first of them.
    pub nodes: Vec<Name>,
}

/// In a cluster of at most so many nodes an explanation names every node.
pub const WHOLE: usize = 100;
/// In a larger one it names so many of each sort.
pub const SHOWN: usize = 20;

impl Woken {
    /// A short phrase.
    pub fn text(&self) -> String {
        match self {
            Woken::Added => "new pod".to_owned(),
            Woken::Ungated => "scheduling gates removed".to_owned(),
            Woken::Event { event, plugin } => format!("{event} (hint of {plugin})"),
            Woken::Error => "retry after an error".to_owned(),
            Woken::TimedOut => "five minutes without a change".to_owned(),
            Woken::Forced => "preemption failed".to_owned(),
            Woken::Early(before) => format!("{}, before the end of its back-off", before.text()),
        }
    }
}

impl Explanation {
    /// The explanation of a decision about a pod of this spec.
    pub fn of(
        decision: &Decision,
        post_filter: Option<&PostFilter>,
        spec: &Arc<PodSpec>,
        cache: &Cache,
        (profile, attempt, woken): (&Profile, u32, Woken),
    ) -> Explanation {
        let own = &profile.own;
        let teller = Teller::new(decision, own, spec, cache);
        let mut explanation = Explanation {
            profile: profile.name.clone(),
            attempt,
            woken,
            nodes: decision.nodes,
            fitting: decision.feasible.len() as u32,
            plugins: decision.ratings.iter().map(|rating| (own.name(rating.plugin), rating.weight)).collect(),
            scores: teller.scores(),
            rejected: teller.rejected(),
            refused: decision.refused.as_ref().map(|(plugin, reason)| (own.name(*plugin), reason.clone())),
            nominated: None,
            victims: Vec::new(),
            candidates: Vec::new(),
            in_vain: Vec::new(),
        };
        match post_filter {
            None => {}
            Some(PostFilter::Refused { tried, .. }) => explanation.in_vain = teller.in_vain(tried),
            Some(PostFilter::Preempt(preemption)) => {
                explanation.nominated = Some(teller.name(preemption.node));
                explanation.victims = preemption::names(&preemption.victims);
                explanation.candidates = teller.candidates(preemption);
                explanation.in_vain = teller.in_vain(&preemption.tried);
            }
        }
        explanation
    }
}

/// Turns a decision into names and texts.
struct Teller<'a> {
    decision: &'a Decision,
    own: &'a OwnPlugins,
    spec: &'a PodSpec,
    cache: &'a Cache,
    /// How many nodes of a sort are named.
    limit: usize,
}

impl<'a> Teller<'a> {
    fn new(decision: &'a Decision, own: &'a OwnPlugins, spec: &'a PodSpec, cache: &'a Cache) -> Self {
        let limit = if decision.nodes as usize <= WHOLE { WHOLE } else { SHOWN };
        Teller { decision, own, spec, cache, limit }
    }

    fn name(&self, node: u32) -> Name {
        self.cache.nodes().get(node).name().clone()
    }

    fn scores(&self) -> Vec<NodeScore> {
        let decision = self.decision;
        let mut places: Vec<usize> = (0..decision.feasible.len()).collect();
        places.sort_by_key(|place| {
            let (node, total) = decision.feasible[*place];
            (decision.chosen != Some(node), std::cmp::Reverse(total))
        });
        let each = |place: usize| NodeScore {
            node: self.name(decision.feasible[place].0),
            total: decision.feasible[place].1,
            raw: decision.explain(place).map(|(_, raw, _, _)| raw).collect(),
            normalized: decision.explain(place).map(|(_, _, normalized, _)| normalized).collect(),
        };
        places.into_iter().take(self.limit).map(each).collect()
    }

    fn rejected(&self) -> Vec<Rejected> {
        // Rejections are small values, and few differ: texts are made once for each sort.
        let mut sorts: Vec<(Rejection, u32, Vec<u32>)> = Vec::new();
        for (node, rejection) in &self.decision.rejected {
            match sorts.iter_mut().find(|(other, _, _)| other == rejection) {
                Some((_, count, nodes)) => {
                    *count += 1;
                    if nodes.len() < self.limit {
                        nodes.push(*node);
                    }
                }
                None => sorts.push((*rejection, 1, vec![*node])),
            }
        }
        sorts.sort_by_key(|(rejection, _, _)| rejection.plugin);
        let told = sorts.into_iter().map(|(rejection, count, nodes)| Rejected {
            plugin: self.own.name(rejection.plugin),
            reasons: rejection.reasons.texts(&self.spec.terms, &self.decision.own_reasons),
            unresolvable: rejection.unresolvable,
            count,
            nodes: nodes.into_iter().map(|node| self.name(node)).collect(),
        });
        told.chain(self.narrowed()).collect()
    }

    /// The nodes that were not among those a plugin named.
    fn narrowed(&self) -> Option<Rejected> {
        let (decision, plugin) = (self.decision, self.decision.narrowed_by?.name());
        let seen: BTreeSet<u32> = decision
            .feasible
            .iter()
            .map(|(node, _)| *node)
            .chain(decision.rejected.iter().map(|(node, _)| *node))
            .collect();
        let others = self.cache.nodes().order().iter().filter(|node| !seen.contains(node));
        let nodes: Vec<Name> = others.take(self.limit).map(|node| self.name(*node)).collect();
        let count = decision.nodes.saturating_sub(seen.len() as u32);
        let reasons = vec![narrowed_text(plugin)];
        (count > 0).then_some(Rejected { plugin: plugin.into(), reasons, unresolvable: true, count, nodes })
    }

    fn candidates(&self, preemption: &Preemption) -> Vec<DryRun> {
        let (chosen, others): (Vec<_>, Vec<_>) =
            preemption.candidates.iter().partition(|victims| victims.node == preemption.node);
        let each = |victims: &Victims| DryRun {
            node: self.name(victims.node),
            victims: victims.pods.len() as u32,
            violations: victims.violations as u32,
            highest: victims.pods.first().map_or(0, |pod| pod.priority()),
        };
        chosen.into_iter().chain(others).take(self.limit).map(each).collect()
    }

    fn in_vain(&self, tried: &[(u32, InVain)]) -> Vec<InVainNodes> {
        let mut sorts: Vec<(InVain, InVainNodes)> = Vec::new();
        for (node, why) in tried {
            match sorts.iter_mut().find(|(other, _)| other == why) {
                Some((_, sort)) => {
                    sort.count += 1;
                    if sort.nodes.len() < self.limit {
                        sort.nodes.push(self.name(*node));
                    }
                }
                None => {
                    let reasons = match why {
                        InVain::NoVictims => vec![NO_VICTIMS.to_owned()],
                        InVain::Rejected(rejection) => {
                            rejection.reasons.texts(&self.spec.terms, &self.decision.own_reasons)
                        }
                    };
                    sorts.push((*why, InVainNodes { reasons, count: 1, nodes: vec![self.name(*node)] }));
                }
            }
        }
        sorts.into_iter().map(|(_, sort)| sort).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::cache::node_info::NodeTerms;
    use super::super::cache::pod_info::PodInfo;
    use super::super::framework::{Cycle, Profile};
    use super::super::preemption::post_filter;
    use super::*;
    use crate::objects::pod_terms::Resources;
    use serde_json::json;

    fn cluster(nodes: usize, cpu: &str) -> Cache {
        let mut cache = Cache::default();
        for node in 0..nodes {
            let terms = NodeTerms {
                labels: Arc::default(),
                taints: Arc::new([]),
                unschedulable: node % 2 == 1,
                allocatable: Resources::of([("cpu", cpu), ("memory", "16Gi")]),
                pods: 110,
                images: Arc::new([]),
            };
            cache.set_node(&Name::from(format!("n{node:04}")), terms);
        }
        cache
    }

    fn pod(uid: u128, cpu: &str, priority: i32) -> PodInfo {
        let container = json!({"name": "c", "resources": {"requests": {"cpu": cpu}}});
        let spec = json!({"containers": [container], "priority": priority});
        let spec = PodSpec::new(serde_json::from_value(spec).expect("a pod spec"));
        PodInfo::plain("ns", &format!("p{uid}"), uid, Default::default(), spec)
    }

    fn explain(cache: &mut Cache, pod: &PodInfo) -> Explanation {
        let profile = Profile::default();
        let cycle = Cycle { pod, profile: &profile, explain: true };
        let mut decision = cycle.run(cache, &mut 0, &mut |_| 0);
        let rescue = decision.chosen.is_none().then(|| post_filter(&cycle, &mut decision, cache, &mut |_| 0));
        Explanation::of(&decision, rescue.as_ref(), &pod.spec, cache, (&Profile::default(), 1, Woken::Added))
    }

    #[test]
    fn in_a_large_cluster_the_best_are_named_and_the_rest_counted() {
        let mut cache = cluster(500, "4");
        cache.add_pod(&"n0000".into(), Arc::new(pod(7, "3", 0)));
        let why = explain(&mut cache, &pod(1, "1", 0));
        // 46 % of 500 are 230 nodes; every second node is cordoned.
        assert_eq!((why.nodes, why.fitting, why.scores.len()), (500, 230, SHOWN));
        assert!(
            why.scores.iter().all(|score| &*score.node != "n0000")
                && why.scores.is_sorted_by(|a, b| a.total >= b.total)
        );
        let score = &why.scores[0];
        let sum: i64 = score.normalized.iter().zip(&why.plugins).map(|(rating, (_, weight))| rating * weight).sum();
        assert_eq!((sum, score.raw.len()), (score.total, why.plugins.len()));
        let [cordoned] = &why.rejected[..] else { panic!("{:?}", why.rejected) };
        assert_eq!((&*cordoned.plugin, cordoned.count, cordoned.nodes.len()), ("NodeUnschedulable", 229, SHOWN));
    }

    #[test]
    fn preemption_tells_its_choice_and_where_it_was_in_vain() {
        let mut cache = cluster(5, "4");
        for (uid, node) in [(7, "n0000"), (8, "n0002")] {
            cache.add_pod(&node.into(), Arc::new(pod(uid, "3", 5 + uid as i32)));
        }
        cache.add_pod(&"n0004".into(), Arc::new(pod(9, "3", 1_000)));
        let why = explain(&mut cache, &pod(1, "2", 100));
        assert_eq!((why.nominated.as_deref(), &*why.victims[0]), (Some("n0000"), "ns/p7"));
        let first = DryRun { node: "n0000".into(), victims: 1, violations: 0, highest: 12 };
        assert_eq!((why.candidates.len(), &why.candidates[0]), (2, &first));
        assert_eq!((why.in_vain.len(), &*why.in_vain[0].reasons[0], why.in_vain[0].count), (1, NO_VICTIMS, 1));
        assert_eq!(why.rejected.iter().map(|sort| sort.count).sum::<u32>(), 5);
    }
}
