//! What is told of pods to those who send requests: which container answers, and whether it takes new connections.
//!
//! Models: nothing of upstream's; it is what the network would show.

use std::net::Ipv4Addr;

use super::Kubelet;
use super::pod_worker::{PodWorker, Run};
use crate::event::{Effects, Event};
use crate::kernel::{Duration, Instant};
use crate::traffic::{PodTold, TrafficEvent};

/// How a pod looks from outside.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Service {
    address: Option<Ipv4Addr>,
    /// The container that answers, if it runs.
    container: Option<u64>,
    /// Whether it takes new connections.
    listening: bool,
}

/// What others were told of a pod.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Outside {
    told: Option<Service>,
    /// The object is gone, and so is what runs.
    gone: bool,
}

impl Outside {
    /// From now on nothing of the pod is left.
    pub(super) fn gone(&mut self) {
        self.gone = true;
    }
}

impl PodWorker {
    /// How the pod looks from outside. Its program is the first container that has a port, or else the first.
    fn service(&self, now: Instant) -> Service {
        let spec = &self.pod().spec.api.containers;
        let place = spec.iter().position(|container| container.ports.as_ref().is_some_and(|ports| !ports.is_empty()));
        let program = self.containers.get(place.unwrap_or(0)).filter(|container| {
            !self.outside.gone && !container.life.over && matches!(container.run, Run::Running { .. })
        });
        let container = program.map(|container| container.life.number.into());
        Service { address: self.ip, container, listening: program.is_some_and(|container| container.listens(now)) }
    }

    /// Tells of what has changed since others were told last.
    pub(super) fn tell_of_service(&mut self, node: u32, out: &mut Effects) {
        let now = self.service(out.now());
        let Service { address, container, listening } = now;
        if self.outside.told == Some(now) {
            return;
        }
        self.outside.told = Some(now);
        let Some(address) = address else { return };
        let told = PodTold { node, address, uid: self.uid, key: self.object.key(), container, listening };
        out.after(Duration::ZERO, Event::Traffic(TrafficEvent::Pod(Box::new(told))));
    }
}

impl Kubelet {
    /// Tells of all pods of the node as they are now.
    pub(crate) fn tell_of_pods(&mut self, out: &mut Effects) {
        let node = self.index;
        self.pods.values_mut().for_each(|worker| worker.tell_of_service(node, out));
    }
}
