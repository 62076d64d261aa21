//! Domains: which value of a topology label each node has, as a small number.
//!
//! A key is taken in when a pod first asks for it, and kept up to date from then on. So a cycle that sums pods by domain
//! adds to a vector, where a map from label values would be searched for every node.

use std::collections::BTreeMap;

use super::node_info::NodeInfo;
use crate::objects::labels::Labels;
use crate::objects::meta::Name;

/// The domain of a node that has no such label, or is not there.
pub const NO_DOMAIN: u32 = u32::MAX;

/// One topology key.
#[derive(Clone, Debug)]
pub struct Topology {
    key: Name,
    ids: BTreeMap<Name, u32>,
    /// How many nodes each domain has.
    sizes: Vec<u32>,
    free: Vec<u32>,
    /// The domain of each node, by its index.
    of_node: Vec<u32>,
}

/// The topology keys some pod has asked for.
#[derive(Clone, Debug, Default)]
pub struct Topologies {
    list: Vec<Topology>,
}

impl Topology {
    /// The label.
    pub fn key(&self) -> &Name {
        &self.key
    }

    /// The domain of a node; [`NO_DOMAIN`] if it has none.
    pub fn domain(&self, node: u32) -> u32 {
        self.of_node.get(node as usize).copied().unwrap_or(NO_DOMAIN)
    }

    /// Numbers of domains are below this.
    pub fn domains(&self) -> usize {
        self.sizes.len()
    }

    fn set(&mut self, node: u32, value: Option<&Name>) {
        if self.of_node.len() <= node as usize {
            self.of_node.resize(node as usize + 1, NO_DOMAIN);
        }
        let old = self.of_node[node as usize];
        let new = value.map_or(NO_DOMAIN, |value| self.id(value));
        if new == old {
            return;
        }
        self.of_node[node as usize] = new;
        if let Some(size) = self.sizes.get_mut(new as usize) {
            *size += 1;
        }
        if let Some(size) = self.sizes.get_mut(old as usize) {
            *size -= 1;
            if *size == 0 {
                self.ids.retain(|_, id| *id != old);
                self.free.push(old);
            }
        }
    }

    fn id(&mut self, value: &Name) -> u32 {
        if let Some(id) = self.ids.get(value) {
            return *id;
        }
        let id = self.free.pop().unwrap_or_else(|| {
            self.sizes.push(0);
            (self.sizes.len() - 1) as u32
        });
        self.ids.insert(value.clone(), id);
        id
    }
}

impl Topologies {
    /// Takes in a key, unless it is known; `nodes` are all nodes by index.
    pub fn register(&mut self, key: &Name, nodes: &[NodeInfo]) {
        if self.get(key).is_some() {
            return;
        }
        let mut topology = Topology {
            key: key.clone(),
            ids: BTreeMap::new(),
            sizes: Vec::new(),
            free: Vec::new(),
            of_node: Vec::new(),
        };
        for (index, node) in nodes.iter().enumerate() {
            topology.set(index as u32, node.terms().and_then(|terms| terms.labels.get(key)));
        }
        self.list.push(topology);
    }

    /// A key that was taken in.
    pub fn get(&self, key: &str) -> Option<&Topology> {
        self.list.iter().find(|topology| *topology.key == *key)
    }

    /// A node has come (with these labels), changed or gone.
    pub fn node_changed(&mut self, node: u32, labels: Option<&Labels>) {
        for topology in &mut self.list {
            let value = labels.and_then(|labels| labels.get(&topology.key));
            topology.set(node, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_domain_lives_as_long_as_it_has_nodes() {
        let mut topologies = Topologies::default();
        topologies.register(&"zone".into(), &[]);
        let labels = |zone: &str| Labels::from([("zone".into(), zone.into())]);
        let domains = |topologies: &Topologies| {
            let zone = topologies.get("zone").expect("registered");
            ([0, 1, 2].map(|node| zone.domain(node)), zone.domains())
        };
        topologies.node_changed(0, Some(&labels("a")));
        topologies.node_changed(2, Some(&labels("b")));
        topologies.node_changed(1, Some(&labels("a")));
        assert_eq!(domains(&topologies), ([0, 0, 1], 2));
        topologies.node_changed(2, Some(&labels("c")));
        topologies.node_changed(0, None);
        assert_eq!(domains(&topologies), ([NO_DOMAIN, 0, 2], 3));
        topologies.node_changed(0, Some(&labels("d")));
        assert_eq!(domains(&topologies), ([1, 0, 2], 3), "the number of the vanished domain is used again");
    }
}
