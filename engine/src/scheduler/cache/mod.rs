//! The scheduler's cache: nodes with their pods, and indexes over them, all kept up to date change by change.
//!
//! Kubernetes copies changed nodes into a snapshot before each cycle, because informers change the cache meanwhile. Here a
//! cycle looks at the cache once, at its beginning, so the cache is the snapshot.
//!
//! Models: kubernetes v1.36.2 pkg/scheduler/backend/cache/cache.go, backend/queue/nominator.go. Differs: the counts by
//! selector (`pod_sets`) and by terms (`carriers`) are upstream's loops over all pods, done ahead.

pub mod carriers;
pub mod node_info;
pub mod nodes;
pub mod owners;
pub mod pod_info;
pub mod pod_sets;
pub mod topology;
pub mod volumes;

use std::collections::BTreeMap;
use std::sync::Arc;

use self::carriers::Carriers;
use self::node_info::NodeTerms;
use self::nodes::Nodes;
use self::owners::Owners;
use self::pod_info::PodInfo;
use self::pod_sets::{Namespaces, PodQuery, PodSets, QueryTerm};
use self::topology::Topologies;
use self::volumes::Volumes;
use crate::objects::labels::Labels;
use crate::objects::meta::{Name, Uid};
use crate::objects::pod_terms::AffinityTerm;
use crate::objects::selector::Selector;

/// Everything a cycle looks at.
#[derive(Clone, Debug, Default)]
pub struct Cache {
    pub(super) nodes: Nodes,
    pub(super) topologies: Topologies,
    pub(super) sets: PodSets,
    pub(super) carriers: Carriers,
    /// Labels of the namespaces.
    pub(super) namespaces: BTreeMap<Name, Arc<Labels>>,
    /// Who owns pods.
    pub owners: Owners,
    /// Claims, volumes and their classes.
    pub volumes: Volumes,
    /// Pod disruption budgets.
    pub budgets: Vec<Budget>,
    /// Waiting pods that were promised a node, by node.
    nominated: BTreeMap<Name, Vec<Arc<PodInfo>>>,
    /// Counts the cycles.
    cycle: u64,
}

/// What the scheduler needs of a PodDisruptionBudget.
#[derive(Clone, PartialEq, Debug)]
pub struct Budget {
    /// Its namespace.
    pub namespace: Name,
    /// Which pods; one that is empty or missing selects none.
    pub selector: Selector,
    /// How many of them may be disrupted now.
    pub allowed: i32,
    /// Pods whose eviction has begun and is counted already.
    pub disrupted: Vec<Name>,
}

static NO_LABELS: Labels = Labels::new();

impl Cache {
    /// The nodes.
    pub fn nodes(&self) -> &Nodes {
        &self.nodes
    }

    /// Adds a node, or replaces what it offers.
    pub fn set_node(&mut self, name: &Name, terms: NodeTerms) -> u32 {
        let labels = terms.labels.clone();
        let index = self.nodes.set_node(name, terms);
        self.topologies.node_changed(index, Some(&labels));
        index
    }

    /// Removes a node. Pods on it are remembered until they are removed themselves.
    pub fn remove_node(&mut self, name: &str) {
        if let Some(index) = self.nodes.index(name) {
            self.topologies.node_changed(index, None);
            self.nodes.remove_node(name);
        }
    }

    /// Counts a pod on a node, which need not be known yet.
    pub fn add_pod(&mut self, node: &Name, pod: Arc<PodInfo>) {
        let index = self.nodes.slot(node);
        self.sets.change(index, &pod, 1);
        self.volumes.count(&pod, 1);
        let new = self.carriers.change(index, &pod, 1);
        self.nodes.add_pod(node, pod);
        for key in new.iter().flat_map(|affinity| affinity.topology_keys()) {
            self.topology(key);
        }
    }

    /// Forgets a pod; gives what was known of it.
    pub fn remove_pod(&mut self, node: &str, pod: Uid) -> Option<Arc<PodInfo>> {
        let index = self.nodes.any_index(node)?;
        let pod = self.nodes.remove_pod(node, pod)?;
        self.sets.change(index, &pod, -1);
        self.volumes.count(&pod, -1);
        self.carriers.change(index, &pod, -1);
        Some(pod)
    }

    /// A namespace with its labels; `None`: it is gone.
    pub fn set_namespace(&mut self, name: &Name, labels: Option<Arc<Labels>>) {
        match labels {
            Some(labels) => self.namespaces.insert(name.clone(), labels),
            None => self.namespaces.remove(name),
        };
    }

    /// A waiting pod is promised a node.
    pub fn nominate(&mut self, node: &Name, pod: Arc<PodInfo>) {
        self.withdraw(pod.uid);
        for key in pod.terms().affinity.iter().flat_map(|affinity| affinity.topology_keys()) {
            self.topology(key);
        }
        self.nominated.entry(node.clone()).or_default().push(pod);
    }

    /// A pod that was promised a node has changed.
    pub fn renew_nomination(&mut self, pod: &Arc<PodInfo>) {
        for promised in self.nominated.values_mut().flatten() {
            if promised.uid == pod.uid {
                *promised = pod.clone();
            }
        }
    }

    /// The promise to a pod is void.
    pub fn withdraw(&mut self, pod: Uid) {
        if self.nominated.is_empty() {
            return;
        }
        for pods in self.nominated.values_mut() {
            pods.retain(|other| other.uid != pod);
        }
        self.nominated.retain(|_, pods| !pods.is_empty());
    }

    /// The pods that were promised a node.
    pub fn nominated(&self, node: &str) -> &[Arc<PodInfo>] {
        if self.nominated.is_empty() { &[] } else { self.nominated.get(node).map_or(&[], Vec::as_slice) }
    }

    /// A namespace's labels; none if it is not known.
    pub fn namespace_labels(&self, namespace: &str) -> &Labels {
        self.namespaces.get(namespace).map_or(&NO_LABELS, |labels| &**labels)
    }

    /// A new cycle begins: sets that are asked for from here on stay until it ends.
    pub(super) fn next_cycle(&mut self) {
        self.cycle += 1;
        self.nodes.arrange();
    }

    /// Takes in a topology key.
    pub(super) fn topology(&mut self, key: &Name) {
        self.topologies.register(key, self.nodes.slots());
    }

    /// The set of the pods all of `terms` select, the terms being those of a pod of the namespace `own`.
    pub(super) fn selected<'t>(&mut self, own: &Name, terms: impl IntoIterator<Item = &'t AffinityTerm>) -> usize {
        let terms = terms
            .into_iter()
            .map(|term| QueryTerm { namespaces: self.meant(own, term), selector: term.selector.clone() });
        let query = PodQuery { terms: terms.collect(), live: false };
        self.sets.find(query, self.cycle)
    }

    /// The set of the live pods of a namespace that `selector` selects.
    pub(super) fn live(&mut self, namespace: &Name, selector: &Selector) -> usize {
        let namespaces = Namespaces::Only(vec![namespace.clone()]);
        let query = PodQuery { terms: vec![QueryTerm { namespaces, selector: selector.clone() }], live: true };
        self.sets.find(query, self.cycle)
    }

    /// Whether `term`, of a waiting pod of the namespace `own`, means `pod`.
    pub(super) fn means(&self, own: &Name, term: &AffinityTerm, pod: &PodInfo) -> bool {
        if !term.selector.matches(&pod.labels) {
            return false;
        }
        let (namespace, wanted) = (pod.namespace(), &term.namespace_selector);
        term.own_namespace && own == namespace
            || term.namespaces.contains(namespace)
            || means_any_namespace(wanted)
            || self.namespaces.get(namespace).is_some_and(|labels| wanted.matches(labels))
    }

    fn meant(&self, own: &Name, term: &AffinityTerm) -> Namespaces {
        if means_any_namespace(&term.namespace_selector) {
            return Namespaces::All;
        }
        let mut names: Vec<Name> = term.namespaces.to_vec();
        if term.own_namespace {
            names.push(own.clone());
        }
        let selected = |(_, labels): &(&Name, &Arc<Labels>)| term.namespace_selector.matches(labels);
        if !term.namespace_selector.requirements().is_empty() {
            names.extend(self.namespaces.iter().filter(selected).map(|(name, _)| name.clone()));
        }
        names.sort_unstable();
        names.dedup();
        Namespaces::Only(names)
    }
}

/// Whether a waiting pod's selector of namespaces lets in all of them. Upstream looks up which namespaces it selects, but
/// then matches it against the empty set of labels as well, which a selector of what must not be satisfies.
fn means_any_namespace(selector: &Selector) -> bool {
    selector.matches(&NO_LABELS)
}
