//! PodTopologySpread: the pods of a group are spread evenly over domains, as a demand or as a wish.
//!
//! Models: kubernetes v1.36.2 pkg/scheduler/framework/plugins/podtopologyspread/{common,filtering,scoring}.go. Differs: the
//! number of matching pods of a node is looked up, not counted.

use super::super::cache::Cache;
use super::super::cache::pod_info::PodInfo;
use super::super::cache::topology::{NO_DOMAIN, Topology};
use super::super::config::SpreadArgs;
use super::super::framework::{MAX_SCORE, Plugin, Rejection};
use super::super::reasons::{Reason, Reasons};
use super::Candidate;
use crate::objects::labels;
use crate::objects::pod_terms::tolerations::tolerated;
use crate::objects::pod_terms::{PodTerms, SpreadConstraint};
use crate::objects::selector::Selector;

/// The constraints that concern a pod, with the sets of pods they count.
#[derive(Clone, Debug, Default)]
pub struct SpreadTerms {
    hard: Vec<Constraint>,
    soft: Vec<Constraint>,
    /// Whether only nodes count that have all topology labels; not so for upstream's own defaults.
    strict: bool,
}

#[derive(Clone, Debug)]
struct Constraint {
    of: SpreadConstraint,
    selector: Selector,
    /// The place of the set; `None`: an empty selector, for which nothing is counted.
    set: Option<usize>,
    /// Whether the pod matches its own selector.
    itself: i64,
    per_node: bool,
}

/// The demands, with the pods in each domain.
pub struct PodTopologySpread<'a> {
    pod: &'a PodInfo,
    constraints: Vec<Counted<'a>>,
}

struct Counted<'a> {
    constraint: &'a Constraint,
    topology: &'a Topology,
    /// Pods by domain; [`ABSENT`] for a domain that does not count.
    counts: Vec<i64>,
    domains: usize,
    /// The domain with the fewest pods and their number, and the fewest of any other.
    least: (u32, i64),
    second: i64,
}

/// The wishes, with the pods in each domain.
pub struct SpreadScore<'a> {
    cache: &'a Cache,
    strict: bool,
    parts: Vec<Part<'a>>,
}

struct Part<'a> {
    constraint: &'a Constraint,
    topology: &'a Topology,
    counts: Vec<i64>,
    weight: f64,
}

const ABSENT: i64 = i64::MIN;
/// The minimum where there is no domain at all. Kubernetes: math.MaxInt32.
const NO_MINIMUM: i64 = i32::MAX as i64;

impl SpreadTerms {
    /// The constraints of `pod`, or else the default ones.
    pub fn of(pod: &PodInfo, args: &SpreadArgs, cache: &mut Cache) -> SpreadTerms {
        let own = &pod.terms().spread;
        let mut terms = SpreadTerms { strict: !own.is_empty() || !args.system, ..SpreadTerms::default() };
        let default = if own.is_empty() && !args.defaults.is_empty() { cache.owners.selector(pod) } else { None };
        let defaults = if default.is_some() { &*args.defaults } else { &[] };
        for of in own.iter().chain(defaults) {
            let selector = default.clone().unwrap_or_else(|| of.selector_for(&pod.labels));
            cache.topology(&of.topology_key);
            let constraint = Constraint {
                set: (!selector.is_empty()).then(|| cache.live(pod.namespace(), &selector)),
                itself: i64::from(selector.matches(&pod.labels)),
                per_node: &*of.topology_key == labels::HOSTNAME,
                of: of.clone(),
                selector,
            };
            if of.hard { terms.hard.push(constraint) } else { terms.soft.push(constraint) }
        }
        terms
    }

    /// How many demands and how many wishes there are.
    pub fn len(&self) -> (usize, usize) {
        (self.hard.len(), self.soft.len())
    }
}

impl Constraint {
    /// Whether the pods of a node count at all.
    fn counts_node(&self, pod: &PodTerms, candidate: Candidate<'_>) -> bool {
        let affinity = || {
            pod.required_nodes
                .as_ref()
                .is_none_or(|nodes| nodes.matches(candidate.node.name(), &candidate.terms.labels))
        };
        let taints =
            || candidate.terms.taints.iter().all(|taint| !taint.effect.forbids() || tolerated(taint, &pod.tolerations));
        (!self.of.honor_affinity || affinity()) && (!self.of.honor_taints || taints())
    }

    fn pods(&self, cache: &Cache, node: u32) -> i64 {
        self.set.map_or(0, |set| cache.sets.count(set, node))
    }
}

impl<'a> PodTopologySpread<'a> {
    /// Nothing to do without demands.
    pub fn pre_filter(pod: &'a PodInfo, terms: &'a SpreadTerms, cache: &'a Cache) -> Option<Self> {
        let counted = |constraint: &'a Constraint| {
            let topology = cache.topologies.get(&constraint.of.topology_key)?;
            let counts = vec![ABSENT; topology.domains()];
            Some(Counted {
                constraint,
                topology,
                counts,
                domains: 0,
                least: (NO_DOMAIN, NO_MINIMUM),
                second: NO_MINIMUM,
            })
        };
        let mut constraints: Vec<Counted<'a>> = terms.hard.iter().filter_map(counted).collect();
        if constraints.is_empty() {
            return None;
        }
        for node in cache.nodes.order() {
            if constraints.iter().any(|counted| counted.topology.domain(*node) == NO_DOMAIN) {
                continue;
            }
            let Some(candidate) = Candidate::of(&cache.nodes, *node) else { continue };
            for counted in &mut constraints {
                if counted.constraint.counts_node(pod.terms(), candidate) {
                    let count = &mut counted.counts[counted.topology.domain(*node) as usize];
                    *count = (*count).max(0) + counted.constraint.pods(cache, *node);
                }
            }
        }
        constraints.iter_mut().for_each(Counted::find_least);
        Some(PodTopologySpread { pod, constraints })
    }

    /// Whether one more pod in the node's domain keeps every skew within its bound.
    pub fn filter(&self, candidate: Candidate<'_>) -> Result<(), Rejection> {
        for counted in &self.constraints {
            let domain = counted.topology.domain(candidate.index);
            if domain == NO_DOMAIN {
                return reject(Reason::SpreadLabel, true);
            }
            let here = counted.counts[domain as usize];
            let pods = if here == ABSENT { 0 } else { here };
            if pods + counted.constraint.itself - counted.minimum(domain, here) > counted.constraint.of.max_skew {
                return reject(Reason::Spread, false);
            }
        }
        Ok(())
    }

    /// A pod comes to the node (`delta` 1) or leaves it (-1). Only one node may differ from the cache at a time. As
    /// upstream, a pod that leaves counts even if it was not counted because it is being deleted.
    pub fn update(&mut self, candidate: Candidate<'_>, pod: &PodInfo, delta: i64) {
        let missing = |counted: &Counted<'_>| counted.topology.domain(candidate.index) == NO_DOMAIN;
        if pod.namespace() != self.pod.namespace() || self.constraints.iter().any(missing) {
            return;
        }
        for counted in &mut self.constraints {
            let constraint = counted.constraint;
            if constraint.selector.matches(&pod.labels) && constraint.counts_node(self.pod.terms(), candidate) {
                let count = &mut counted.counts[counted.topology.domain(candidate.index) as usize];
                *count = if *count == ABSENT { 0 } else { *count } + delta;
            }
        }
    }
}

impl Counted<'_> {
    fn find_least(&mut self) {
        for (domain, count) in self.counts.iter().enumerate().filter(|(_, count)| **count != ABSENT) {
            self.domains += 1;
            if *count < self.least.1 {
                self.second = self.least.1;
                self.least = (domain as u32, *count);
            } else if *count < self.second {
                self.second = *count;
            }
        }
    }

    /// The fewest pods of any domain, of which `domain` now holds `here`.
    fn minimum(&self, domain: u32, here: i64) -> i64 {
        if self.domains < self.constraint.of.min_domains {
            return 0;
        }
        match here {
            ABSENT => self.least.1,
            _ if domain == self.least.0 => self.second.min(here),
            _ => self.least.1.min(here),
        }
    }
}

fn reject(reason: Reason, unresolvable: bool) -> Result<(), Rejection> {
    Err(Rejection { plugin: Plugin::PodTopologySpread, unresolvable, reasons: Reasons::one(reason) })
}

impl<'a> SpreadScore<'a> {
    /// Nothing to do without wishes. `feasible` are the nodes that fit.
    pub fn pre_score(
        pod: &'a PodInfo,
        terms: &'a SpreadTerms,
        cache: &'a Cache,
        feasible: &[Candidate<'_>],
    ) -> Option<Self> {
        let part = |constraint: &'a Constraint| {
            let topology = cache.topologies.get(&constraint.of.topology_key)?;
            let counts = if constraint.per_node { Vec::new() } else { vec![ABSENT; topology.domains()] };
            Some(Part { constraint, topology, counts, weight: 0.0 })
        };
        let parts: Vec<Part<'a>> = terms.soft.iter().filter_map(part).collect();
        if parts.is_empty() {
            return None;
        }
        let mut score = SpreadScore { cache, strict: terms.strict, parts };
        score.weigh(feasible);
        score.count(pod);
        Some(score)
    }

    /// Notes the domains of the nodes that fit; the more there are, the more a pod in one weighs.
    fn weigh(&mut self, feasible: &[Candidate<'_>]) {
        let rated = feasible.iter().filter(|candidate| !self.ignores(candidate.index)).count();
        let nodes: Vec<u32> =
            feasible.iter().map(|candidate| candidate.index).filter(|node| !self.ignores(*node)).collect();
        for part in &mut self.parts {
            let (mut size, mut outside) = (0, false);
            for node in nodes.iter().filter(|_| !part.constraint.per_node) {
                match part.topology.domain(*node) {
                    NO_DOMAIN => outside = true,
                    domain if part.counts[domain as usize] == ABSENT => {
                        part.counts[domain as usize] = 0;
                        size += 1;
                    }
                    _ => {}
                }
            }
            let size = if part.constraint.per_node { rated } else { size + usize::from(outside) };
            part.weight = libm::log((size + 2) as f64);
        }
    }

    /// Counts the pods of all nodes, of those domains that some node that fits is in.
    fn count(&mut self, pod: &PodInfo) {
        for node in self.cache.nodes.order() {
            if self.ignores(*node) {
                continue;
            }
            let Some(candidate) = Candidate::of(&self.cache.nodes, *node) else { continue };
            for part in self.parts.iter_mut().filter(|part| !part.constraint.per_node) {
                let domain = part.topology.domain(*node);
                if domain == NO_DOMAIN || part.counts[domain as usize] == ABSENT {
                    continue;
                }
                if part.constraint.counts_node(pod.terms(), candidate) {
                    part.counts[domain as usize] += part.constraint.pods(self.cache, *node);
                }
            }
        }
    }

    /// Whether the node lacks a label without which it is not rated.
    fn ignores(&self, node: u32) -> bool {
        self.strict && self.parts.iter().any(|part| part.topology.domain(node) == NO_DOMAIN)
    }

    /// How full the node's domains are: the less the better.
    pub fn score(&self, candidate: Candidate<'_>) -> i64 {
        if self.ignores(candidate.index) {
            return 0;
        }
        let mut score = 0.0;
        for part in &self.parts {
            let domain = part.topology.domain(candidate.index);
            if domain == NO_DOMAIN {
                continue;
            }
            let pods = match part.counts.get(domain as usize) {
                Some(count) => (*count).max(0),
                None => part.constraint.pods(self.cache, candidate.index),
            };
            score += pods as f64 * part.weight + (part.constraint.of.max_skew - 1) as f64;
        }
        score.round() as i64
    }

    /// The emptiest domain becomes the best.
    pub fn normalize(&self, scores: &mut [i64], candidates: &[Candidate<'_>]) {
        let rated = |place: usize| candidates.get(place).is_some_and(|candidate| !self.ignores(candidate.index));
        let (mut lowest, mut highest) = (i64::MAX, 0);
        for (_, score) in scores.iter().enumerate().filter(|(place, _)| rated(*place)) {
            lowest = lowest.min(*score);
            highest = highest.max(*score);
        }
        for (place, score) in scores.iter_mut().enumerate() {
            *score = match (rated(place), highest) {
                (false, _) => 0,
                (true, 0) => MAX_SCORE,
                (true, _) => MAX_SCORE * (highest + lowest - *score) / highest,
            };
        }
    }
}
