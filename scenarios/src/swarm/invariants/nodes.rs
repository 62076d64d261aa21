//! What nodes are asked for.
//!
//! Always: the requests of the pods that a kubelet has admitted and that are neither finished nor gone do not exceed what its node has
//! to give. Bindings may: two schedulers, or one with a stale cache, fill the same room, and the kubelet refuses the pod (`OutOfcpu`).

use std::collections::BTreeMap;

use wavetank_engine::client::Agent;
use wavetank_engine::objects::pod_terms::Resources;
use wavetank_engine::objects::{Key, Kind, Uid};
use wavetank_engine::trace::note::PodStep;
use wavetank_engine::trace::{Note, What};

use super::{Around, Broken, Held, Stored};

#[derive(Default)]
pub(super) struct Nodes {
    /// The pods each node has admitted.
    admitted: BTreeMap<u32, BTreeMap<Key, Uid>>,
}

impl Nodes {
    pub(super) fn stored(&mut self, change: &Stored<'_>) {
        let Some(pod) = change.before.and_then(|object| object.as_pod()) else { return };
        let over = change.now.and_then(|object| object.as_pod()).is_none_or(|pod| pod.status.phase.terminal());
        if over {
            for pods in self.admitted.values_mut() {
                if pods.get(&change.key) == Some(&pod.meta.uid) {
                    pods.remove(&change.key);
                }
            }
        }
    }

    /// Whoever is taken after a boot is taken anew.
    pub(super) fn lost_power(&mut self, node: u32) {
        self.admitted.remove(&node);
    }

    pub(super) fn record(&mut self, note: &Note, around: &Around<'_>) -> Held {
        let (What::Pod { step, .. }, Agent::Kubelet(number), Some((Kind::Pod, key))) =
            (&note.what, note.by, &note.object)
        else {
            return Ok(());
        };
        match step {
            PodStep::Admitted => {}
            // Its room is free before anybody else has heard of it.
            PodStep::Terminated => {
                self.admitted.entry(number).or_default().remove(key);
                return Ok(());
            }
            _ => return Ok(()),
        }
        let Some(spec) = around.world.setup().nodes.get(number as usize) else { return Ok(()) };
        let pod = around.objects.get(Kind::Pod, key).and_then(|object| object.as_pod());
        let Some(pod) = pod.filter(|pod| pod.node.as_ref() == Some(&spec.name) && !pod.status.phase.terminal()) else {
            return Ok(());
        };
        let admitted = self.admitted.entry(number).or_default();
        admitted.insert(key.clone(), pod.meta.uid);
        let here = admitted
            .iter()
            .filter_map(|(key, uid)| around.objects.get(Kind::Pod, key)?.as_pod().filter(|pod| pod.meta.uid == *uid));
        let (mut cpu, mut memory, mut pods) = (0, 0, 0);
        for pod in here {
            let asks = &pod.spec.terms.requests.effective;
            (cpu, memory, pods) = (cpu + asks.cpu, memory + asks.memory, pods + 1);
        }
        let has =
            around.objects.of(Kind::Node).filter_map(|node| node.as_node()).find(|node| node.meta.name == spec.name);
        let Some(has) = has else { return Ok(()) };
        let room = Resources::of(has.status.allocatable.iter().map(|(name, amount)| (&**name, &**amount)));
        if cpu > room.cpu || memory > room.memory || pods > spec.pods {
            let text = format!(
                "with {key} its {pods} admitted pods ask for {cpu}m CPU and {memory} bytes; it has {}m, {} and room for {} pods",
                room.cpu, room.memory, spec.pods
            );
            return Err(Broken::new("no node is asked for more than it has", &spec.name, text));
        }
        Ok(())
    }
}
