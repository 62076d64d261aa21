//! InterPodAffinity as a wish: what the incoming pod would like of others, and others of it.
//!
//! Models: kubernetes v1.36.2 pkg/scheduler/framework/plugins/interpodaffinity/scoring.go.

use super::super::cache::Cache;
use super::super::cache::pod_info::PodInfo;
use super::super::config::PodAffinityArgs;
use super::super::framework::MAX_SCORE;
use super::Candidate;
use super::inter_pod_affinity::{AffinitySets, Domains, domains_of};
use crate::objects::pod_terms::AffinityTerm;

/// The weights that count for each domain, by topology key.
pub struct PreferredPodAffinity<'a> {
    sums: Vec<Domains<'a>>,
}

impl<'a> PreferredPodAffinity<'a> {
    /// Nothing to do if no wish of any pod is fulfilled anywhere.
    pub fn pre_score(pod: &PodInfo, sets: &AffinitySets, args: &PodAffinityArgs, cache: &'a Cache) -> Option<Self> {
        let own = pod.terms().affinity.as_deref().filter(|a| !a.preferred.is_empty() || !a.preferred_anti.is_empty());
        if own.is_none() && args.ignore_preferred_of_existing {
            return None;
        }
        let mut sums = Sums { cache, sums: Vec::new(), any: false };
        if let Some(own) = own {
            let near = own.preferred.iter().zip(&sets.preferred).map(|((weight, term), set)| (*weight, term, *set));
            let away =
                own.preferred_anti.iter().zip(&sets.preferred_anti).map(|((weight, term), set)| (-weight, term, *set));
            near.chain(away).for_each(|(weight, term, set)| sums.own(weight, term, set));
        }
        let namespace_labels = cache.namespace_labels(pod.namespace());
        for carrier in cache.carriers.iter() {
            let affinity = &carrier.affinity;
            let hard = affinity.required.iter().map(|term| (args.hard_weight, term)).filter(|(weight, _)| *weight > 0);
            let near = affinity.preferred.iter().map(|(weight, term)| (*weight, term));
            let away = affinity.preferred_anti.iter().map(|(weight, term)| (-weight, term));
            for (weight, term) in hard.chain(near).chain(away) {
                if term.matches(&carrier.namespace, pod.namespace(), namespace_labels, &pod.labels) {
                    carrier.by_node.iter().for_each(|(node, pods)| sums.add(term, node, weight * i64::from(pods)));
                }
            }
        }
        sums.any.then_some(PreferredPodAffinity { sums: sums.sums })
    }

    /// The weights that count for the node's domains.
    pub fn score(&self, candidate: Candidate<'_>) -> i64 {
        self.sums.iter().filter_map(|domains| domains.at(candidate.index)).sum()
    }

    /// The lowest becomes 0, the highest 100.
    pub fn normalize(&self, scores: &mut [i64]) {
        let lowest = scores.iter().copied().min().unwrap_or(0);
        let range = scores.iter().copied().max().unwrap_or(0) - lowest;
        for score in scores {
            let share = if range > 0 { (*score - lowest) as f64 / range as f64 } else { 0.0 };
            *score = (MAX_SCORE as f64 * share) as i64;
        }
    }
}

struct Sums<'a> {
    cache: &'a Cache,
    sums: Vec<Domains<'a>>,
    /// Whether anything was counted, be it that it cancels out.
    any: bool,
}

impl Sums<'_> {
    fn own(&mut self, weight: i64, term: &AffinityTerm, set: usize) {
        let cache = self.cache;
        if cache.sets.pods(set) == 0 {
            return;
        }
        for node in cache.nodes.order() {
            let pods = cache.sets.count(set, *node);
            if pods > 0 {
                self.add(term, *node, weight * pods);
            }
        }
    }

    fn add(&mut self, term: &AffinityTerm, node: u32, amount: i64) {
        if let Some(domains) = domains_of(&mut self.sums, self.cache, term) {
            self.any |= domains.add(node, amount);
        }
    }
}
