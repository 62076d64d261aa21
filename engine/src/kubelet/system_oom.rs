//! A node with no memory left at all: the kernel kills the container that scores worst, wherever its limit is.
//!
//! The eviction manager looks every 10 s; what grows faster than that is the kernel's. When the memory will be gone is foreseen at each look,
//! for the next ten seconds.
//!
//! Models: kubernetes v1.36.2 pkg/kubelet/qos/policy.go (GetContainerOOMScoreAdjust), pkg/kubelet/oom/oom_watcher_linux.go; the score is
//! Linux' mm/oom_kill.c (oom_badness): the share of the memory in thousandths, plus the adjustment. A container is one process.

use k8s_openapi::api::core::v1 as api;

use super::configuration::Signal;
use super::eviction::EVERY;
use super::life::{Ending, KILLED};
use super::pod_worker::PodWorker;
use super::ranking::request_of;
use super::{Kubelet, KubeletEvent, shutdown};
use crate::event::{Effects, Event};
use crate::kernel::{Instant, hash_bytes};
use crate::objects::Uid;
use crate::objects::event::EventType;
use crate::objects::pod_terms::QosClass;
use crate::setup::Setup;

/// Adjustments; Kubernetes: guaranteedOOMScoreAdj and besteffortOOMScoreAdj.
const GUARANTEED: i64 = -997;
const BEST_EFFORT: i64 = 1_000;
/// Pods that keep a node going; Kubernetes: SystemCriticalPriority and 1,000.
const NODE_CRITICAL: i32 = shutdown::CRITICAL + 1_000;

impl Kubelet {
    /// Comes back when the memory is gone, if that is before the next look.
    pub(super) fn foresee_oom(&mut self, setup: &Setup, out: &mut Effects) {
        let gone = |at: u64| self.left(Signal::Memory, setup, Instant::from_nanos(at)).is_some_and(|left| left <= 0);
        let (mut low, mut high) = (out.now().as_nanos(), (out.now() + EVERY).as_nanos());
        if self.evictions.oom_due || !gone(high) {
            return;
        }
        while !gone(low) && high - low > 1_000_000 {
            let middle = low + (high - low) / 2;
            if gone(middle) { high = middle } else { low = middle }
        }
        let at = if gone(low) { low } else { high };
        self.evictions.oom_due = true;
        out.at(Instant::from_nanos(at), Event::Kubelet(self.index, KubeletEvent::OutOfMemory));
    }

    /// The memory is gone, unless something has happened meanwhile.
    pub(super) fn out_of_memory(&mut self, setup: &Setup, out: &mut Effects) {
        self.evictions.oom_due = false;
        let now = out.now();
        if self.left(Signal::Memory, setup, now).is_none_or(|left| left > 0) {
            return self.foresee_oom(setup, out);
        }
        let capacity = self.capacity(Signal::Memory, setup).max(1);
        let scores = self.pods.values().flat_map(|worker| worker.oom_scores(capacity, now));
        let Some((_, uid, n)) = scores.max() else { return };
        let Some(name) = self.pods.get(&uid).map(|worker| worker.locate(n).1.name.clone()) else { return };
        let pid = 2_000 + (hash_bytes(name.as_bytes()) ^ uid.0 as u64) % 60_000;
        let message = format!("System OOM encountered, victim process: {name}, pid: {pid}");
        self.say_of_node(EventType::Warning, "SystemOOM", message, out);
        self.with_worker(uid, setup, out, |worker, around| {
            worker.ends_by(n, Ending { at: now, code: KILLED, oom: true }, around);
        });
    }
}

impl PodWorker {
    /// How the kernel rates its running containers.
    fn oom_scores(&self, capacity: i64, now: Instant) -> Vec<((i64, i64), Uid, usize)> {
        let score = |(n, container): (usize, &api::Container)| {
            let used = self.memory_of(n, container, now);
            let adjusted =
                self.oom_adjustment(container, capacity) + (i128::from(used) * 1_000 / i128::from(capacity)) as i64;
            ((adjusted, used), self.uid, n)
        };
        self.running_specs().map(score).collect()
    }

    fn oom_adjustment(&self, container: &api::Container, capacity: i64) -> i64 {
        let terms = &self.pod().spec.terms;
        if terms.priority >= NODE_CRITICAL {
            return GUARANTEED;
        }
        match terms.qos {
            QosClass::Guaranteed => GUARANTEED,
            QosClass::BestEffort => BEST_EFFORT,
            QosClass::Burstable => {
                let share = i128::from(request_of(container, "memory")) * 1_000 / i128::from(capacity);
                (1_000 - share as i64).clamp(BEST_EFFORT + GUARANTEED, BEST_EFFORT - 1)
            }
        }
    }
}
