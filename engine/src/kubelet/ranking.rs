//! What pods use of a node, and which of them goes first when it runs short.
//!
//! Models: kubernetes v1.36.2 pkg/kubelet/eviction/helpers.go (rankMemoryPressure, rankDiskPressureFunc, rankPIDPressure).
//! A container that runs uses the memory that its
//! pod says (`memory`) or else what it requests, the disk that it requests, and one process.

use std::cmp::Reverse;

use k8s_openapi::api::core::v1 as api;

use super::Kubelet;
use super::configuration::Signal;
use super::memory::MEMORY;
use super::pod_worker::{PodWorker, Run};
use crate::kernel::Instant;
use crate::objects::quantity::Quantity;
use crate::objects::{Pod, Uid};

/// What a pod uses of its node.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Usage {
    /// [bytes]
    pub(super) memory: i64,
    /// [bytes]
    pub(super) disk: i64,
    pub(super) processes: i64,
}

impl Usage {
    /// Of what a signal is about.
    pub(super) fn of(self, signal: Signal) -> i64 {
        match signal {
            Signal::Memory => self.memory,
            Signal::NodeFs | Signal::ImageFs => self.disk,
            Signal::Pid => self.processes,
        }
    }
}

/// A pod that could go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Candidate {
    pub(super) uid: Uid,
    pub(super) priority: i32,
    pub(super) usage: i64,
    pub(super) request: i64,
}

/// Puts those first that go first when there is too little of what `signal` is about.
pub(super) fn rank(candidates: &mut [Candidate], signal: Signal) {
    match signal {
        Signal::Pid => candidates.sort_by_key(|it| (it.priority, Reverse(it.usage))),
        _ => candidates.sort_by_key(|it| (it.usage <= it.request, it.priority, Reverse(it.usage - it.request))),
    }
}

/// Memory is given out in pages of 4 KiB.
fn pages(bytes: i64) -> i64 {
    bytes & !0xfff
}

/// Whether a pod says how much memory it uses.
pub(super) fn says_memory(pod: &Pod) -> bool {
    pod.meta.annotations.iter().any(|(key, _)| key.starts_with(MEMORY))
}

/// What a container requests of a resource; a limit counts where there is no request, as defaulting has it.
pub(super) fn request_of(container: &api::Container, resource: &str) -> i64 {
    let requests = container.resources.as_ref().and_then(|resources| resources.requests.as_ref()?.get(resource));
    requests.and_then(|text| Quantity::parse(&text.0).ok()).map_or(0, Quantity::value)
}

impl Kubelet {
    /// What all pods and, on the same disk, images use.
    pub(super) fn used(&self, signal: Signal, now: Instant) -> i64 {
        let pods = self.pods.values().map(|worker| worker.usage(now).of(signal)).fold(0, i64::saturating_add);
        match signal {
            Signal::NodeFs | Signal::ImageFs => pods.saturating_add(self.images.bytes() as i64),
            _ => pods,
        }
    }

    /// The memory that pods use which say so, if any does. [bytes]
    pub(super) fn memory_said(&self, now: Instant) -> Option<i64> {
        let saying = || self.pods.values().filter(|worker| says_memory(worker.pod()));
        saying().next()?;
        Some(saying().filter_map(|worker| worker.memory_at(now)).map(pages).fold(0, i64::saturating_add))
    }
}

impl PodWorker {
    /// What the n-th container uses while it runs: as its pod says, else what it requests. [bytes]
    pub(super) fn memory_of(&self, n: usize, container: &api::Container, now: Instant) -> i64 {
        self.container_memory_at(n, now).map_or_else(|| request_of(container, "memory"), pages)
    }

    /// The containers that run, with their numbers.
    pub(super) fn running_specs(&self) -> impl Iterator<Item = (usize, &api::Container)> {
        let spec = &self.pod().spec.api;
        let specs = spec.init_containers.iter().flatten().chain(&spec.containers);
        let containers = self.init_containers.iter().chain(&self.containers);
        let runs = containers.map(|container| matches!(container.run, Run::Running { .. }));
        specs.enumerate().zip(runs).filter(|(_, runs)| *runs).map(|(spec, _)| spec)
    }

    /// What the pod uses of its node at present.
    pub(super) fn usage(&self, now: Instant) -> Usage {
        let mut usage = Usage::default();
        for (n, container) in self.running_specs() {
            usage.memory = usage.memory.saturating_add(self.memory_of(n, container, now));
            usage.disk = usage.disk.saturating_add(request_of(container, "ephemeral-storage"));
            usage.processes += 1;
        }
        usage
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(signal: Signal, pods: &[(i32, i64, i64)]) -> Vec<u128> {
        let mut candidates: Vec<Candidate> = (0..)
            .zip(pods)
            .map(|(n, (priority, usage, request))| Candidate {
                uid: Uid(n),
                priority: *priority,
                usage: *usage,
                request: *request,
            })
            .collect();
        rank(&mut candidates, signal);
        candidates.iter().map(|candidate| candidate.uid.0).collect()
    }

    #[test]
    fn who_uses_more_than_it_asked_for_goes_first() {
        let pods = [(0, 100, 100), (1_000, 150, 100), (0, 500, 600), (1_000, 300, 100)];
        assert_eq!(order(Signal::Memory, &pods), [3, 1, 0, 2]);
        let pods = [(10, 200, 100), (0, 110, 100)];
        assert_eq!(order(Signal::NodeFs, &pods), [1, 0], "then the lower priority");
    }

    #[test]
    fn processes_are_counted_after_priority() {
        assert_eq!(order(Signal::Pid, &[(5, 90, 0), (0, 3, 0), (0, 7, 0)]), [2, 1, 0]);
    }
}
