//! How many pods of a kind are on each node, kept up to date instead of counted.
//!
//! Pods with the same namespace and labels form a group: a few thousand groups stand for hundreds of thousands of pods. A
//! set is what some term or constraint selects; it is tested against groups, not pods, and knows its number of pods on
//! every node. The sets asked for last are kept, and each group knows to which of them it belongs, so that a pod that
//! comes or goes costs a few additions.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::pod_info::PodInfo;
use crate::objects::labels::Labels;
use crate::objects::meta::Name;
use crate::objects::selector::Selector;

/// So many sets are kept; more only while one cycle needs them.
const KEPT: usize = 128;

/// Which pods a set holds: those that all of its terms select.
#[derive(Clone, PartialEq, Debug)]
pub struct PodQuery {
    /// The terms.
    pub terms: Vec<QueryTerm>,
    /// Without pods that are being deleted.
    pub live: bool,
}

/// A selector in some namespaces.
#[derive(Clone, PartialEq, Debug)]
pub struct QueryTerm {
    /// Where.
    pub namespaces: Namespaces,
    /// Which.
    pub selector: Selector,
}

/// Namespaces.
#[derive(Clone, PartialEq, Debug)]
pub enum Namespaces {
    /// All there are and will be.
    All,
    /// These.
    Only(Vec<Name>),
}

/// Numbers of pods by node, for the few nodes that have any.
#[derive(Clone, Debug, Default)]
pub struct NodeCounts(Vec<(u32, u32)>);

/// The groups and the sets.
#[derive(Clone, Debug, Default)]
pub struct PodSets {
    ids: BTreeMap<GroupKey, u32>,
    groups: Vec<Group>,
    free: Vec<u32>,
    sets: Vec<Set>,
}

/// Namespace, labels, whether it is being deleted.
type GroupKey = (Name, Arc<Labels>, bool);

#[derive(Clone, Debug)]
struct Group {
    by_node: NodeCounts,
    /// Places of the sets it belongs to.
    sets: Vec<u32>,
}

#[derive(Clone, Debug)]
struct Set {
    query: PodQuery,
    /// By node.
    counts: Vec<u32>,
    pods: u64,
    /// The cycle that last asked for it.
    used: u64,
}

impl NodeCounts {
    /// Adds to a node's number.
    pub fn add(&mut self, node: u32, delta: i32) {
        match self.0.binary_search_by_key(&node, |(node, _)| *node) {
            Ok(at) => {
                self.0[at].1 = self.0[at].1.saturating_add_signed(delta);
                if self.0[at].1 == 0 {
                    self.0.remove(at);
                }
            }
            Err(at) if delta > 0 => self.0.insert(at, (node, delta as u32)),
            Err(_) => {}
        }
    }

    /// Nodes and their numbers, none of them zero.
    pub fn iter(&self) -> impl Iterator<Item = (u32, u32)> {
        self.0.iter().copied()
    }

    /// Whether there are no pods at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl PodQuery {
    fn matches(&self, (namespace, labels, deleting): &GroupKey) -> bool {
        !(self.live && *deleting)
            && self.terms.iter().all(|term| term.namespaces.contain(namespace) && term.selector.matches(labels))
    }
}

impl Namespaces {
    fn contain(&self, namespace: &Name) -> bool {
        match self {
            Namespaces::All => true,
            Namespaces::Only(names) => names.contains(namespace),
        }
    }
}

impl PodSets {
    /// Counts a pod on a node (`delta` 1) or forgets it (-1).
    pub fn change(&mut self, node: u32, pod: &PodInfo, delta: i32) {
        let key = (pod.namespace().clone(), pod.labels.clone(), pod.deleting);
        let id = match self.ids.get(&key) {
            Some(id) => *id,
            None => self.new_group(key.clone()),
        };
        let group = &mut self.groups[id as usize];
        group.by_node.add(node, delta);
        for set in &group.sets {
            self.sets[*set as usize].add(node, delta);
        }
        if group.by_node.is_empty() {
            group.sets = Vec::new();
            self.ids.remove(&key);
            self.free.push(id);
        }
    }

    /// The place of the set of `query`, which is made if it is not there. It stays until the next cycle at least.
    pub fn find(&mut self, query: PodQuery, cycle: u64) -> usize {
        if let Some(place) = self.sets.iter().position(|set| set.query == query) {
            self.sets[place].used = cycle;
            return place;
        }
        let place = self.place(cycle);
        let mut set = Set { query, counts: Vec::new(), pods: 0, used: cycle };
        for (key, id) in &self.ids {
            if set.query.matches(key) {
                let group = &mut self.groups[*id as usize];
                group.sets.push(place as u32);
                group.by_node.iter().for_each(|(node, pods)| set.add(node, pods as i32));
            }
        }
        if place == self.sets.len() {
            self.sets.push(set)
        } else {
            self.sets[place] = set
        }
        place
    }

    /// How many pods of a set are on a node.
    pub fn count(&self, set: usize, node: u32) -> i64 {
        self.sets[set].counts.get(node as usize).copied().unwrap_or(0).into()
    }

    /// How many pods a set has.
    pub fn pods(&self, set: usize) -> u64 {
        self.sets[set].pods
    }

    /// A place for a new set: a new one, or that of the set nobody has asked for longest.
    fn place(&mut self, cycle: u64) -> usize {
        if self.sets.len() < KEPT {
            return self.sets.len();
        }
        let oldest = self.sets.iter().enumerate().filter(|(_, set)| set.used < cycle).min_by_key(|(_, set)| set.used);
        let Some((place, _)) = oldest else { return self.sets.len() };
        for id in self.ids.values() {
            self.groups[*id as usize].sets.retain(|set| *set as usize != place);
        }
        place
    }

    fn new_group(&mut self, key: GroupKey) -> u32 {
        let sets = self.sets.iter().enumerate().filter(|(_, set)| set.query.matches(&key)).map(|(at, _)| at as u32);
        let group = Group { by_node: NodeCounts::default(), sets: sets.collect() };
        let id = match self.free.pop() {
            Some(id) => {
                self.groups[id as usize] = group;
                id
            }
            None => {
                self.groups.push(group);
                (self.groups.len() - 1) as u32
            }
        };
        self.ids.insert(key, id);
        id
    }
}

impl Set {
    fn add(&mut self, node: u32, delta: i32) {
        if self.counts.len() <= node as usize {
            self.counts.resize(node as usize + 1, 0);
        }
        let count = &mut self.counts[node as usize];
        *count = count.saturating_add_signed(delta);
        self.pods = self.pods.saturating_add_signed(delta.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objects::PodSpec;

    fn pod(app: &str, deleting: bool) -> PodInfo {
        let labels = Labels::from([("app".into(), app.into())]);
        PodInfo { deleting, ..PodInfo::plain("ns", "p", 1, labels, PodSpec::new(Default::default())) }
    }

    fn query(app: &str, live: bool) -> PodQuery {
        let selector = Selector::from_labels(&Labels::from([("app".into(), app.into())]));
        PodQuery { terms: vec![QueryTerm { namespaces: Namespaces::Only(vec!["ns".into()]), selector }], live }
    }

    #[test]
    fn a_set_counts_the_pods_there_are_and_those_that_come_and_go() {
        let mut sets = PodSets::default();
        sets.change(3, &pod("web", false), 1);
        sets.change(3, &pod("web", true), 1);
        let (all, live) = (sets.find(query("web", false), 1), sets.find(query("web", true), 1));
        let counts = |sets: &PodSets| [sets.count(all, 3), sets.count(live, 3), sets.count(all, 7)];
        assert_eq!(counts(&sets), [2, 1, 0]);
        sets.change(7, &pod("web", false), 1);
        sets.change(7, &pod("db", false), 1);
        sets.change(3, &pod("web", true), -1);
        assert_eq!((counts(&sets), sets.pods(all)), ([1, 1, 1], 2));
        sets.change(3, &pod("web", false), -1);
        sets.change(7, &pod("web", false), -1);
        assert_eq!((counts(&sets), sets.pods(all)), ([0, 0, 0], 0));
        sets.change(7, &pod("web", false), 1);
        assert_eq!(counts(&sets), [0, 0, 1], "a group that comes again belongs to its sets");
    }

    #[test]
    fn the_set_that_was_asked_for_least_makes_room() {
        let mut sets = PodSets::default();
        sets.change(0, &pod("a0", false), 1);
        sets.change(0, &pod("new", false), 1);
        for n in 0..KEPT {
            sets.find(query(&format!("a{n}"), false), n as u64 + 1);
        }
        sets.find(query("a0", false), 500);
        let place = sets.find(query("new", false), 501);
        assert_eq!((place, sets.count(place, 0), sets.sets.len()), (1, 1, KEPT));
        sets.change(0, &pod("a1", false), 1);
        assert_eq!(sets.count(place, 0), 1);
    }
}
