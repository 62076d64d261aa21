//! InterPodAffinity as a demand: near pods that match its terms, away from others, and away from those that want it away.
//!
//! Models: kubernetes v1.36.2 pkg/scheduler/framework/plugins/interpodaffinity/filtering.go. Differs: matching pods are
//! looked up per node, terms of existing pods are tested once for all pods of a template.

use super::super::cache::Cache;
use super::super::cache::pod_info::PodInfo;
use super::super::cache::topology::{NO_DOMAIN, Topology};
use super::super::framework::{Plugin, Rejection};
use super::super::reasons::{Reason, Reasons};
use super::Candidate;
use crate::objects::pod_terms::{AffinityTerm, PodAffinity};

/// The sets of pods that an incoming pod's terms select.
#[derive(Clone, Debug, Default)]
pub struct AffinitySets {
    /// Of all required terms together.
    pub(super) required: Option<usize>,
    /// Of each required anti-affinity term.
    pub(super) required_anti: Vec<usize>,
    /// Of each preferred term.
    pub(super) preferred: Vec<usize>,
    /// Of each preferred anti-affinity term.
    pub(super) preferred_anti: Vec<usize>,
}

/// The demands, with the matching pods in each domain.
pub struct InterPodAffinity<'a> {
    cache: &'a Cache,
    pod: &'a PodInfo,
    /// Of each required term.
    required: Vec<Domains<'a>>,
    /// Sum over all of them.
    found: i64,
    /// Of each required anti-affinity term.
    required_anti: Vec<Domains<'a>>,
    /// By topology key: existing pods that want this one away.
    existing: Vec<Domains<'a>>,
    /// Whether the pod itself is what it wants to be near.
    itself: bool,
}

/// Sums by domain of one topology key.
pub(super) struct Domains<'a> {
    pub(super) topology: &'a Topology,
    pub(super) sums: Vec<i64>,
}

impl AffinitySets {
    /// The sets for a pod's terms.
    pub fn of(pod: &PodInfo, cache: &mut Cache) -> AffinitySets {
        let Some(affinity) = &pod.terms().affinity else { return AffinitySets::default() };
        affinity.topology_keys().for_each(|key| cache.topology(key));
        let own = pod.namespace();
        AffinitySets {
            required: (!affinity.required.is_empty()).then(|| cache.selected(own, &affinity.required)),
            required_anti: affinity.required_anti.iter().map(|term| cache.selected(own, [term])).collect(),
            preferred: affinity.preferred.iter().map(|(_, term)| cache.selected(own, [term])).collect(),
            preferred_anti: affinity.preferred_anti.iter().map(|(_, term)| cache.selected(own, [term])).collect(),
        }
    }
}

impl<'a> Domains<'a> {
    pub(super) fn new(topology: &'a Topology) -> Self {
        Domains { topology, sums: vec![0; topology.domains()] }
    }

    /// Adds to the sum of a node's domain; false if it has none.
    pub(super) fn add(&mut self, node: u32, amount: i64) -> bool {
        let domain = self.topology.domain(node);
        match self.sums.get_mut(domain as usize) {
            Some(sum) if domain != NO_DOMAIN => {
                *sum += amount;
                true
            }
            _ => false,
        }
    }

    /// The sum of the node's domain, if it has one.
    pub(super) fn at(&self, node: u32) -> Option<i64> {
        self.sums.get(self.topology.domain(node) as usize).copied()
    }
}

/// The sums of `term`'s topology key among `all`.
pub(super) fn domains_of<'d, 'a>(
    all: &'d mut Vec<Domains<'a>>,
    cache: &'a Cache,
    term: &AffinityTerm,
) -> Option<&'d mut Domains<'a>> {
    let place = match all.iter().position(|domains| *domains.topology.key() == term.topology_key) {
        Some(place) => place,
        None => {
            all.push(Domains::new(cache.topologies.get(&term.topology_key)?));
            all.len() - 1
        }
    };
    all.get_mut(place)
}

impl<'a> InterPodAffinity<'a> {
    /// Nothing to do if neither the pod nor any other has demands that concern it.
    pub fn pre_filter(pod: &'a PodInfo, sets: &AffinitySets, cache: &'a Cache) -> Option<Self> {
        let existing = existing(pod, cache);
        let own = pod.terms().affinity.as_deref();
        let demands = own.is_some_and(|own| !own.required.is_empty() || !own.required_anti.is_empty());
        if !demands && existing.is_empty() {
            return None;
        }
        let itself = own.is_some_and(|own| means_all(cache, own, pod, pod));
        let mut filter = InterPodAffinity {
            cache,
            pod,
            required: Vec::new(),
            found: 0,
            required_anti: Vec::new(),
            existing,
            itself,
        };
        if let Some(own) = own {
            filter.count(own, sets);
        }
        Some(filter)
    }

    fn count(&mut self, own: &PodAffinity, sets: &AffinitySets) {
        let cache = self.cache;
        let domains = |term: &AffinityTerm, set: Option<usize>| {
            let mut domains = Domains::new(cache.topologies.get(&term.topology_key)?);
            let mut found = 0;
            if let Some(set) = set.filter(|set| cache.sets.pods(*set) > 0) {
                for node in cache.nodes.order() {
                    let pods = cache.sets.count(set, *node);
                    if pods > 0 && domains.add(*node, pods) {
                        found += pods;
                    }
                }
            }
            Some((domains, found))
        };
        for (domains, found) in own.required.iter().filter_map(|term| domains(term, sets.required)) {
            self.required.push(domains);
            self.found += found;
        }
        let anti = own.required_anti.iter().zip(&sets.required_anti);
        self.required_anti = anti.filter_map(|(term, set)| Some(domains(term, Some(*set))?.0)).collect();
    }

    /// Whether the node's domains hold what they must, and nothing they must not.
    pub fn filter(&self, candidate: Candidate<'_>) -> Result<(), Rejection> {
        let node = candidate.index;
        if !self.near(node) {
            return reject(Reason::PodAffinity, true);
        }
        let holds = |domains: &Domains<'_>| domains.at(node).is_some_and(|pods| pods > 0);
        if self.required_anti.iter().any(holds) {
            return reject(Reason::PodAntiAffinity, false);
        }
        if self.existing.iter().any(holds) {
            return reject(Reason::ExistingAntiAffinity, false);
        }
        Ok(())
    }

    fn near(&self, node: u32) -> bool {
        let mut there = true;
        for domains in &self.required {
            match domains.at(node) {
                None => return false,
                Some(pods) => there &= pods > 0,
            }
        }
        // The first of a group of pods that want to be near each other.
        there || self.found == 0 && self.itself
    }

    /// A pod comes to the node (`delta` 1) or leaves it (-1).
    pub fn update(&mut self, candidate: Candidate<'_>, pod: &PodInfo, delta: i64) {
        let (cache, node) = (self.cache, candidate.index);
        let namespace_labels = cache.namespace_labels(self.pod.namespace());
        let theirs = pod.terms().affinity.as_ref().map_or(&[][..], |affinity| &affinity.required_anti);
        for term in theirs {
            if term.matches(pod.namespace(), self.pod.namespace(), namespace_labels, &self.pod.labels)
                && let Some(domains) = domains_of(&mut self.existing, cache, term)
            {
                domains.add(node, delta);
            }
        }
        let Some(own) = self.pod.terms().affinity.as_deref() else { return };
        if means_all(cache, own, self.pod, pod) {
            for domains in &mut self.required {
                self.found += if domains.add(node, delta) { delta } else { 0 };
            }
        }
        for (term, domains) in own.required_anti.iter().zip(&mut self.required_anti) {
            if cache.means(self.pod.namespace(), term, pod) {
                domains.add(node, delta);
            }
        }
    }
}

/// Whether all required terms of `of`, of which there are some, mean `pod`.
fn means_all(cache: &Cache, own: &PodAffinity, of: &PodInfo, pod: &PodInfo) -> bool {
    !own.required.is_empty() && own.required.iter().all(|term| cache.means(of.namespace(), term, pod))
}

/// Pods in each domain that want `pod` away.
fn existing<'a>(pod: &PodInfo, cache: &'a Cache) -> Vec<Domains<'a>> {
    let mut all = Vec::new();
    let namespace_labels = cache.namespace_labels(pod.namespace());
    for carrier in cache.carriers.iter() {
        for term in &carrier.affinity.required_anti {
            if !term.matches(&carrier.namespace, pod.namespace(), namespace_labels, &pod.labels) {
                continue;
            }
            let Some(domains) = domains_of(&mut all, cache, term) else { continue };
            for (node, pods) in carrier.by_node.iter() {
                domains.add(node, pods.into());
            }
        }
    }
    all.retain(|domains| domains.sums.iter().any(|pods| *pods > 0));
    all
}

fn reject(reason: Reason, unresolvable: bool) -> Result<(), Rejection> {
    Err(Rejection { plugin: Plugin::InterPodAffinity, unresolvable, reasons: Reasons::one(reason) })
}
