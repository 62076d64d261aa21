//! The scheduler's cache of nodes, by small index, and the order in which a cycle looks at them.
//!
//! The order takes one node of each zone in turn, zones by first appearance, nodes of a zone by age, and is made anew only
//! after a node has come, gone or moved to another zone.
//!
//! Models: kubernetes v1.36.2 pkg/scheduler/backend/cache/node_tree.go,
//! staging/src/k8s.io/component-helpers/node/topology (GetZoneKey). Differs: the number of nodes that have an image is
//! always the present one; upstream's is that of the moment the node last changed.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::node_info::{NodeInfo, NodeTerms};
use super::pod_info::PodInfo;
use crate::objects::labels::{self, Labels};
use crate::objects::meta::{Name, Uid};

/// All nodes the scheduler knows.
#[derive(Clone, Debug, Default)]
pub struct Nodes {
    slots: Vec<NodeInfo>,
    free: Vec<u32>,
    by_name: BTreeMap<Name, u32>,
    /// Zones in order of first appearance, with their nodes by age.
    zones: Vec<(ZoneKey, Vec<u32>)>,
    order: Vec<u32>,
    stale: bool,
    images: BTreeMap<Name, ImageState>,
}

/// An image some node has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ImageState {
    /// Size, as the first node to report it said. [bytes]
    pub size: i64,
    /// How many nodes have it.
    pub nodes: u32,
}

/// Region and zone.
type ZoneKey = (Name, Name);

impl Nodes {
    /// A node by its index, which stays the same while the node exists.
    ///
    /// # Panics
    /// If the index was not given out by this cache.
    pub fn get(&self, index: u32) -> &NodeInfo {
        &self.slots[index as usize]
    }

    /// The index of a node that exists.
    pub fn index(&self, name: &str) -> Option<u32> {
        self.by_name.get(name).copied().filter(|index| self.get(*index).terms().is_some())
    }

    /// Number of nodes that exist.
    pub fn len(&self) -> usize {
        self.zones.iter().map(|(_, nodes)| nodes.len()).sum()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.zones.is_empty()
    }

    /// Makes the order anew if nodes have changed; before [`Nodes::order`].
    pub fn arrange(&mut self) {
        if std::mem::take(&mut self.stale) {
            let longest = self.zones.iter().map(|(_, nodes)| nodes.len()).max().unwrap_or(0);
            let zones = &self.zones;
            self.order.clear();
            self.order.extend((0..longest).flat_map(|row| zones.iter().filter_map(move |(_, nodes)| nodes.get(row))));
        }
    }

    /// The nodes in the order in which cycles look at them, as of the last [`Nodes::arrange`].
    pub fn order(&self) -> &[u32] {
        &self.order
    }

    /// Adds a node, or replaces what it offers.
    pub fn set_node(&mut self, name: &Name, terms: NodeTerms) -> u32 {
        let index = self.slot(name);
        let zone = zone_key(&terms.labels);
        for (image, size) in &*terms.images {
            self.images.entry(image.clone()).or_insert(ImageState { size: *size, nodes: 0 }).nodes += 1;
        }
        let old = self.slots[index as usize].set_terms(Some(terms));
        let old_zone = old.map(|old| {
            self.forget_images(&old);
            zone_key(&old.labels)
        });
        if old_zone.as_ref() != Some(&zone) {
            if let Some(old_zone) = old_zone {
                self.leave_zone(&old_zone, index);
            }
            match self.zones.iter_mut().find(|(key, _)| *key == zone) {
                Some((_, nodes)) => nodes.push(index),
                None => self.zones.push((zone, vec![index])),
            }
            self.stale = true;
        }
        index
    }

    /// Removes a node. Pods on it are remembered until they are removed themselves.
    pub fn remove_node(&mut self, name: &str) {
        let Some(index) = self.index(name) else { return };
        if let Some(old) = self.slots[index as usize].set_terms(None) {
            self.forget_images(&old);
            self.leave_zone(&zone_key(&old.labels), index);
        }
        self.stale = true;
        self.release(index);
    }

    /// Counts a pod on a node, which need not be known yet.
    pub fn add_pod(&mut self, node: &Name, pod: Arc<PodInfo>) {
        let index = self.slot(node);
        self.slots[index as usize].add_pod(pod);
    }

    /// Forgets a pod; gives what was known of it.
    pub fn remove_pod(&mut self, node: &str, pod: Uid) -> Option<Arc<PodInfo>> {
        let index = self.any_index(node)?;
        let pod = self.slots[index as usize].remove_pod(pod);
        self.release(index);
        pod
    }

    /// The index of a node that exists, or of which pods are known.
    pub(super) fn any_index(&self, name: &str) -> Option<u32> {
        self.by_name.get(name).copied()
    }

    /// All slots, by index.
    pub(super) fn slots(&self) -> &[NodeInfo] {
        &self.slots
    }

    /// What is known of an image, by a name with a tag.
    pub fn image(&self, name: &str) -> Option<ImageState> {
        self.images.get(name).copied()
    }

    /// The index of a node, which is given one if need be.
    pub(super) fn slot(&mut self, name: &Name) -> u32 {
        if let Some(index) = self.by_name.get(name) {
            return *index;
        }
        let info = NodeInfo::unknown(name.clone());
        let index = match self.free.pop() {
            Some(index) => {
                self.slots[index as usize] = info;
                index
            }
            None => {
                self.slots.push(info);
                (self.slots.len() - 1) as u32
            }
        };
        self.by_name.insert(name.clone(), index);
        index
    }

    /// Gives the slot back if neither the node nor a pod is there.
    fn release(&mut self, index: u32) {
        let info = &self.slots[index as usize];
        if info.terms().is_none() && info.pods().is_empty() {
            self.by_name.remove(&**info.name());
            self.free.push(index);
        }
    }

    fn leave_zone(&mut self, zone: &ZoneKey, index: u32) {
        if let Some((_, nodes)) = self.zones.iter_mut().find(|(key, _)| key == zone) {
            nodes.retain(|node| *node != index);
        }
        self.zones.retain(|(_, nodes)| !nodes.is_empty());
    }

    fn forget_images(&mut self, old: &NodeTerms) {
        for (image, _) in &*old.images {
            if let Some(state) = self.images.get_mut(image) {
                state.nodes -= 1;
                if state.nodes == 0 {
                    self.images.remove(image);
                }
            }
        }
    }
}

fn zone_key(node: &Labels) -> ZoneKey {
    let first = |keys: [&str; 2]| keys.iter().find_map(|key| node.get(*key)).cloned().unwrap_or_else(|| "".into());
    (first([labels::REGION_BETA, labels::REGION]), first([labels::ZONE_BETA, labels::ZONE]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objects::PodSpec;
    use crate::objects::pod_terms::Resources;

    fn terms(zone: &str, images: &[(&str, i64)]) -> NodeTerms {
        NodeTerms {
            labels: Arc::new([(Name::from(labels::ZONE), Name::from(zone))].into()),
            taints: Arc::new([]),
            unschedulable: false,
            allocatable: Resources::default(),
            pods: 110,
            images: images.iter().map(|(name, size)| (Name::from(*name), *size)).collect(),
        }
    }

    fn order(nodes: &mut Nodes) -> String {
        nodes.arrange();
        nodes.order().iter().map(|index| nodes.get(*index).name().to_string()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn nodes_are_visited_zone_by_zone_in_turn() {
        let mut nodes = Nodes::default();
        for (name, zone) in [("a1", "a"), ("a2", "a"), ("b1", "b"), ("a3", "a"), ("c1", "c"), ("b2", "b")] {
            nodes.set_node(&name.into(), terms(zone, &[]));
        }
        assert_eq!(order(&mut nodes), "a1 b1 c1 a2 b2 a3");
        nodes.set_node(&"a1".into(), terms("c", &[]));
        assert_eq!(order(&mut nodes), "a2 b1 c1 a3 b2 a1", "a node that moves to a zone is its youngest");
        nodes.remove_node("c1");
        nodes.remove_node("a1");
        assert_eq!(order(&mut nodes), "a2 b1 a3 b2");
        assert_eq!(nodes.len(), 4);
    }

    #[test]
    fn a_node_may_come_after_its_pods_and_go_before_them() {
        let pod = Arc::new(PodInfo::plain("ns", "p", 1, Labels::new(), PodSpec::new(Default::default())));
        let mut nodes = Nodes::default();
        nodes.add_pod(&"n".into(), pod);
        assert_eq!((nodes.index("n"), nodes.len(), order(&mut nodes)), (None, 0, String::new()));
        let index = nodes.set_node(&"n".into(), terms("", &[]));
        assert_eq!((nodes.index("n"), nodes.get(index).pods().len()), (Some(index), 1));
        nodes.remove_node("n");
        assert!(nodes.remove_pod("n", Uid(1)).is_some());
        assert_eq!(nodes.set_node(&"m".into(), terms("", &[])), index, "the slot is free again");
        assert!(nodes.get(index).pods().is_empty());
    }

    #[test]
    fn images_are_counted_over_nodes() {
        let mut nodes = Nodes::default();
        nodes.set_node(&"a".into(), terms("", &[("i:1", 10)]));
        nodes.set_node(&"b".into(), terms("", &[("i:1", 12), ("j:1", 5)]));
        assert_eq!(nodes.image("i:1"), Some(ImageState { size: 10, nodes: 2 }));
        nodes.set_node(&"b".into(), terms("", &[("i:1", 12)]));
        nodes.remove_node("a");
        assert_eq!((nodes.image("i:1"), nodes.image("j:1")), (Some(ImageState { size: 10, nodes: 1 }), None));
    }
}
