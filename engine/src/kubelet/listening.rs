//! When a container's program takes connections on its ports.
//!
//! A program listens some time after its container's start (`wavetank.dev/listens-after: 5s`, or `wavetank.dev/listens-after.NAME` for one
//! container; at once where nothing is said) until it ends. With SIGTERM it stops listening at once, unless it drains first
//! (`wavetank.dev/drains: "true"`, or `wavetank.dev/drains.NAME`): then it serves until it ends.
//!
//! Models: nothing of Kubernetes; it stands for the programs. Whoever sends them something (probes, traffic) asks here.

use super::Surroundings;
use super::pod_worker::{Container, PodEvent, PodWorker, Run};
use super::program::{said, seconds};
use crate::kernel::{Duration, Instant};

/// The annotation that says how long after its container's start a program listens: `5s`.
pub const LISTENS_AFTER: &str = "wavetank.dev/listens-after";

/// The annotation that says whether a program serves between SIGTERM and its end: `true`.
pub const DRAINS: &str = "wavetank.dev/drains";

impl Container {
    /// Whether its program takes connections at `now`: it runs, its start-up is over, and it was not told to stop, or drains.
    pub(super) fn listens(&self, now: Instant) -> bool {
        matches!(self.run, Run::Running { .. })
            && !self.life.over
            && now >= self.life.listens
            && (self.life.signalled.is_none() || self.life.drains)
    }
}

impl PodWorker {
    /// Whether every regular container of the pod takes connections at `now`. It changes with the events of the pod only: when one
    /// begins to listen, there is a [`PodEvent::Listening`].
    pub(crate) fn listening(&self, now: Instant) -> bool {
        !self.containers.is_empty() && self.containers.iter().all(|container| container.listens(now))
    }

    /// Whether somebody in the pod takes connections on `port` at `now`: the container that declares it, sidecars included; if none
    /// does, any regular one.
    pub(crate) fn listens_on(&self, port: i32, now: Instant) -> bool {
        let spec = &self.pod().spec.api;
        let specs = spec.init_containers.iter().flatten().chain(&spec.containers);
        let mut owners = specs
            .enumerate()
            .filter(|(_, spec)| spec.ports.iter().flatten().any(|declared| declared.container_port == port))
            .map(|(n, _)| n)
            .peekable();
        if owners.peek().is_none() {
            return self.containers.iter().any(|container| container.listens(now));
        }
        owners.any(|n| self.locate(n).1.listens(now))
    }

    /// The n-th container's program has begun: says from when on it listens, and comes back then.
    pub(super) fn begin_listening(&mut self, n: usize, around: &mut Surroundings<'_, '_>) {
        let meta = &self.pod().meta;
        let name = &self.locate(n).1.name;
        let after = said(meta, LISTENS_AFTER, name).and_then(seconds).unwrap_or(Duration::ZERO);
        let drains = said(meta, DRAINS, name) == Some("true");
        let life = &mut self.container_mut(n).life;
        (life.listens, life.drains) = (life.begun + after, drains);
        let number = life.number;
        if after > Duration::ZERO {
            around.after(after, self.uid, PodEvent::Listening(n as u16, number));
        }
    }
}
