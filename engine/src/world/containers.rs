//! What runs in the containers, looked at and told from outside: a script plays the programs.

use std::sync::Arc;

use super::World;
use crate::event::Event;
use crate::kernel::out::RecordId;
use crate::kubelet::told::{Standing, Told};
use crate::kubelet::{Kubelet, KubeletEvent};
use crate::objects::Uid;

impl World {
    /// The kubelets, to look at; their numbers are those of the nodes.
    pub fn kubelets(&self) -> &[Kubelet] {
        &self.kubelets
    }

    /// Tells the programs of a pod on the n-th node something, at once.
    pub fn tell(&mut self, node: u32, told: Told) {
        self.now_at(Event::Kubelet(node, KubeletEvent::Told(Box::new(told))), RecordId(0));
    }

    /// How programs answer probes in pods that start later, on whichever node.
    pub fn tell_later(&mut self, word: Standing) {
        let word = Arc::new(word);
        self.kubelets.iter_mut().for_each(|kubelet| kubelet.stand(&word));
    }

    /// Whether every regular container of a pod on the n-th node takes connections now.
    pub fn pod_listens(&self, node: u32, pod: Uid) -> bool {
        self.kubelets.get(node as usize).is_some_and(|kubelet| kubelet.pod_listens(pod, self.now))
    }
}
