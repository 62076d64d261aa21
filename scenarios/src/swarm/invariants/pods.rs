//! Where containers run.
//!
//! Always: a pod's containers start on the node it is bound to, and no name has containers on two nodes at once, unless the pod was
//! removed without its kubelet's word (`--force`, or the pod garbage collector): upstream promises at most one only so far.

use std::collections::{BTreeMap, BTreeSet};

use wavetank_engine::apiserver::request::Verb;
use wavetank_engine::client::Agent;
use wavetank_engine::objects::{Key, Kind};
use wavetank_engine::trace::note::PodStep;
use wavetank_engine::trace::{Note, What};

use super::{Around, Broken, Held};

#[derive(Default)]
pub(super) struct Pods {
    /// Nodes on which a pod of that name has containers, and how many.
    running: BTreeMap<Key, BTreeMap<u32, u32>>,
    forced: BTreeSet<Key>,
}

impl Pods {
    pub(super) fn record(&mut self, note: &Note, around: &Around<'_>) -> Held {
        let Some((Kind::Pod, key)) = &note.object else { return Ok(()) };
        match (&note.what, note.by) {
            (What::Request { from: Agent::PodGarbageCollector, verb: Verb::Delete, .. }, _) => {
                self.forced(key.clone());
                Ok(())
            }
            (What::Pod { step: PodStep::ContainerStarted, .. }, Agent::Kubelet(node)) => {
                let nodes = self.running.entry(key.clone()).or_default();
                *nodes.entry(node).or_insert(0) += 1;
                if nodes.len() > 1 && !self.forced.contains(key) {
                    let names: Vec<&str> = nodes
                        .keys()
                        .filter_map(|node| Some(&*around.world.setup().nodes.get(*node as usize)?.name))
                        .collect();
                    return Err(Broken::new(
                        "a pod runs once",
                        key,
                        format!("it has containers on {}", names.join(", ")),
                    ));
                }
                Ok(())
            }
            (What::Pod { step: PodStep::ContainerExited, .. }, Agent::Kubelet(node)) => {
                if let Some(nodes) = self.running.get_mut(key)
                    && let Some(count) = nodes.get_mut(&node)
                {
                    *count = count.saturating_sub(1);
                    if *count == 0 {
                        nodes.remove(&node);
                    }
                }
                Ok(())
            }
            (What::Pod { step: PodStep::Terminated, .. }, Agent::Kubelet(node)) => {
                if let Some(nodes) = self.running.get_mut(key) {
                    nodes.remove(&node);
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    pub(super) fn lost_power(&mut self, node: u32) {
        self.running.values_mut().for_each(|nodes| {
            nodes.remove(&node);
        });
    }

    pub(super) fn forced(&mut self, key: Key) {
        self.forced.insert(key);
    }
}
