//! Pods on nodes that themselves have terms about other pods, grouped by namespace and terms.
//!
//! Pods of one template have one set of terms. A pod that is to be placed is tested against each set of terms once, however
//! many pods carry it.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::pod_info::PodInfo;
use super::pod_sets::NodeCounts;
use crate::objects::meta::Name;
use crate::objects::pod_terms::PodAffinity;

/// All of them, in the order of namespaces and terms.
#[derive(Clone, Debug, Default)]
pub struct Carriers {
    /// By namespace and the terms' text.
    groups: BTreeMap<(Name, Name), Carrier>,
}

/// Pods of one namespace with the same terms.
#[derive(Clone, Debug)]
pub struct Carrier {
    /// Their namespace.
    pub namespace: Name,
    /// Their terms.
    pub affinity: Arc<PodAffinity>,
    /// How many are on which node.
    pub by_node: NodeCounts,
}

impl Carriers {
    /// Counts a pod on a node (`delta` 1) or forgets it (-1); one without terms is no carrier. Gives terms that are new.
    pub fn change(&mut self, node: u32, pod: &PodInfo, delta: i32) -> Option<Arc<PodAffinity>> {
        let affinity = pod.terms().affinity.as_ref()?;
        let key = (pod.namespace().clone(), affinity.text().clone());
        let new = !self.groups.contains_key(&key);
        let carrier = self.groups.entry(key.clone()).or_insert_with(|| Carrier {
            namespace: pod.namespace().clone(),
            affinity: affinity.clone(),
            by_node: NodeCounts::default(),
        });
        carrier.by_node.add(node, delta);
        if carrier.by_node.is_empty() {
            self.groups.remove(&key);
        }
        new.then(|| affinity.clone())
    }

    /// The groups.
    pub fn iter(&self) -> impl Iterator<Item = &Carrier> {
        self.groups.values()
    }
}
