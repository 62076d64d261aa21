//! The phase of a pod.
//!
//! Models: kubernetes v1.36.2 pkg/kubelet/kubelet_pods.go (getPhase).

use super::pod_worker::{Container, PodWorker, Run, Stage};
use crate::objects::Phase;

/// The phase of a pod on this node.
pub(super) fn of(worker: &PodWorker) -> Phase {
    let failed = |containers: &[Container]| {
        containers.iter().any(|container| matches!(container.run, Run::Ended { exit_code, .. } if exit_code != 0))
    };
    let never_started = |container: &Container| {
        // While its postStart hook runs the kubelet does not look.
        container.last.is_none() && (matches!(container.run, Run::Waiting { .. }) || container.life.hooked)
    };
    if worker.stage == Stage::Terminated {
        let lost = worker.failure.is_some() || worker.containers.iter().any(never_started);
        return if lost || failed(&worker.containers) { Phase::Failed } else { Phase::Succeeded };
    }
    let init = worker.init_containers.len();
    let for_good = |n: usize, container: &Container| match container.run {
        Run::Ended { exit_code, .. } => !worker.restarts_after(n, exit_code),
        _ => false,
    };
    let broken = |(n, container): (usize, &Container)| {
        let failed = matches!(container.run, Run::Ended { exit_code, .. } if exit_code != 0);
        !container.sidecar && failed && for_good(n, container)
    };
    let runs = || worker.containers().any(|container| matches!(container.run, Run::Running { .. }));
    if !worker.initialized && worker.init_containers.iter().enumerate().any(broken) {
        return if runs() { Phase::Pending } else { Phase::Failed };
    }
    if worker.containers.iter().any(never_started) {
        return Phase::Pending;
    }
    let ended = worker.containers().enumerate().skip(init).all(|(n, container)| for_good(n, container));
    match (runs() || !ended || worker.containers.is_empty(), failed(&worker.containers)) {
        (true, _) => Phase::Running,
        (false, true) => Phase::Failed,
        (false, false) => Phase::Succeeded,
    }
}
