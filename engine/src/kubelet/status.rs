//! What is reported of a pod.
//!
//! Models: kubernetes v1.36.2 pkg/kubelet/kubelet_pods.go (getPhase, generateAPIPodStatus), status/generate.go.

use std::sync::Arc;

use k8s_openapi::api::core::v1 as api;

use super::images::canonical;
use super::outage::UNKNOWN_EXIT;
use super::pod_worker::{Container, PodWorker, Run, Stage};
use super::{Surroundings, pod_of};
use crate::kernel::Instant;
use crate::objects::{Condition, ContainerState, ContainerStatus, Name, Phase, Pod, PodStatus, Text, condition};

/// The status of a pod whose stored state is `stored`.
pub(super) fn of(worker: &PodWorker, stored: &Pod, around: &Surroundings<'_, '_>) -> PodStatus {
    let pod = pod_of(&worker.object);
    if let Some(rejection) = &worker.rejection {
        return PodStatus {
            phase: Phase::Failed,
            reason: rejection.reason.as_str().to_owned().into(),
            message: format!("Pod was rejected: {}", rejection.message).into(),
            start_time: worker.admitted,
            conditions: stored.status.conditions.clone(),
            observed_generation: pod.meta.generation,
            ..PodStatus::default()
        };
    }
    let phase = phase(worker, pod);
    let mut status = PodStatus {
        phase,
        conditions: Vec::new(),
        reason: Text::default(),
        message: Text::default(),
        host_ip: Some(around.node_ip),
        pod_ip: worker.ip,
        start_time: worker.admitted,
        init_containers: statuses(&worker.init_containers, worker, &pod.spec.api.init_containers),
        containers: statuses(&worker.containers, worker, &Some(pod.spec.api.containers.clone())),
        observed_generation: pod.meta.generation,
        nominated: None,
    };
    let own = conditions(worker, stored, &status, around);
    // What others say of the pod stays, in front of what the kubelet says (mergePodStatus).
    let foreign = stored.status.conditions.iter().filter(|known| condition::find(&own, &known.kind).is_none()).cloned();
    status.conditions = foreign.chain(own.iter().cloned()).collect();
    status
}

fn phase(worker: &PodWorker, pod: &Pod) -> Phase {
    let ended = |container: &Container| matches!(container.run, Run::Ended { .. });
    let failed = worker
        .containers
        .iter()
        .any(|container| matches!(container.run, Run::Ended { exit_code, .. } if exit_code != 0));
    let never_started =
        |container: &Container| matches!(container.run, Run::Waiting { .. }) && container.last.is_none();
    if worker.stage == Stage::Terminated {
        let lost = worker.containers.iter().any(never_started);
        return if lost || failed { Phase::Failed } else { Phase::Succeeded };
    }
    if worker.containers.iter().any(never_started) {
        let broken = |container: &Container| {
            !container.sidecar && matches!(container.run, Run::Ended { exit_code, .. } if exit_code != 0)
        };
        let gives_up = pod.spec.api.restart_policy.as_deref() == Some("Never");
        let lost = gives_up && worker.init_containers.iter().any(broken);
        return if lost { Phase::Failed } else { Phase::Pending };
    }
    let running = |container: &Container| matches!(container.run, Run::Running { .. });
    let policy = pod.spec.api.restart_policy.as_deref().unwrap_or("Always");
    if worker.containers.iter().any(running) || policy == "Always" || worker.containers.is_empty() {
        return Phase::Running;
    }
    match (worker.containers.iter().all(ended), failed) {
        (true, false) => Phase::Succeeded,
        (true, true) if policy == "Never" => Phase::Failed,
        _ => Phase::Running,
    }
}

fn conditions(worker: &PodWorker, stored: &Pod, status: &PodStatus, around: &Surroundings<'_, '_>) -> Vec<Condition> {
    let unready = |containers: &[Container]| -> Vec<Name> {
        containers.iter().filter(|container| !container.ready()).map(|container| container.name.clone()).collect()
    };
    let not_ready = unready(&worker.containers);
    let began = |container: &Container| !matches!(container.run, Run::Waiting { .. }) || container.last.is_some();
    let initialized = worker.init_containers.iter().all(Container::passed) || worker.containers.iter().any(began);
    let list = |kind: &str, names: &[Name]| -> Text {
        let names: Vec<&str> = names.iter().map(|name| &**name).collect();
        format!("containers with {kind} status: [{}]", names.join(" ")).into()
    };
    let terminal = match status.phase {
        Phase::Succeeded => Some("PodCompleted"),
        Phase::Failed => Some("PodFailed"),
        _ => None,
    };
    let ready = |kind: &'static str| match terminal {
        Some(reason) => (kind, false, Text::from(reason), Text::default()),
        None if not_ready.is_empty() => (kind, true, Text::default(), Text::default()),
        None => (kind, false, "ContainersNotReady".into(), list("unready", &not_ready)),
    };
    let init = match terminal {
        Some("PodCompleted") => ("Initialized", true, Text::from("PodCompleted"), Text::default()),
        _ if initialized => ("Initialized", true, Text::default(), Text::default()),
        _ => {
            let names = unready(&worker.init_containers);
            ("Initialized", false, "ContainersNotInitialized".into(), list("incomplete", &names))
        }
    };
    let sandbox = worker.sandbox && worker.stage != Stage::Terminated;
    let generation = pod_of(&worker.object).meta.generation;
    let wanted = [
        ("PodReadyToStartContainers", sandbox, Text::default(), Text::default()),
        init,
        ready("Ready"),
        ready("ContainersReady"),
        ("PodScheduled", true, Text::default(), Text::default()),
    ];
    let now = around.now();
    wanted
        .into_iter()
        .map(|(kind, holds, reason, message)| {
            let before = condition::find(&stored.status.conditions, kind);
            let transition =
                before.filter(|before| before.status == holds.into()).map_or(now, |before| before.transition);
            let mut condition = Condition::new(kind, holds, transition).because(reason, message);
            condition.update = before.map_or(transition, |before| before.update);
            condition.observed_generation = generation;
            condition
        })
        .collect()
}

fn statuses(
    containers: &[Container],
    worker: &PodWorker,
    specs: &Option<Vec<api::Container>>,
) -> Arc<[ContainerStatus]> {
    let waiting = if worker.init_containers.is_empty() { "ContainerCreating" } else { "PodInitializing" };
    let specs = specs.as_deref().unwrap_or_default();
    containers
        .iter()
        .zip(specs)
        .map(|(container, _)| {
            let (state, id) = match &container.run {
                Run::Waiting { reason, message } => {
                    let reason = if reason.is_empty() { waiting.into() } else { reason.clone() };
                    // Until there is another, the container that ended last counts.
                    let last = match container.last {
                        Some(ContainerState::Terminated { container_id, .. }) => Some(container_id),
                        _ => None,
                    };
                    (ContainerState::Waiting { reason, message: message.clone() }, last)
                }
                Run::Running { started, id, .. } => (ContainerState::Running { started: *started }, Some(*id)),
                Run::Ended { exit_code, started, finished, id } => {
                    (terminated(*exit_code, *started, *finished, *id), Some(*id))
                }
            };
            ContainerStatus {
                name: container.name.clone(),
                image: if id.is_some() { canonical(&container.image).into() } else { container.image.clone() },
                image_id: if id.is_some() { image_id(&container.image).into() } else { Text::default() },
                container_id: id,
                state,
                last: container.last.clone(),
                ready: container.ready(),
                started: matches!(container.run, Run::Running { .. }),
                restarts: container.restarts,
            }
        })
        .collect()
}

/// The state of a container that has ended.
pub(super) fn terminated(exit_code: i32, started: Instant, finished: Instant, id: u64) -> ContainerState {
    ContainerState::Terminated {
        exit_code,
        reason: match exit_code {
            0 => "Completed",
            // Nobody saw its end.
            UNKNOWN_EXIT => "Unknown",
            _ => "Error",
        }
        .into(),
        message: Text::default(),
        started,
        finished,
        container_id: id,
    }
}

/// A digest that stands for the image's content.
fn image_id(image: &str) -> String {
    let full = canonical(image);
    let name = full.rsplit_once(':').map_or(image, |(name, _)| name);
    let word = |n: u64| crate::kernel::hash_words(&[crate::kernel::hash_bytes(image.as_bytes()), n]);
    format!("{name}@sha256:{:016x}{:016x}{:016x}{:016x}", word(1), word(2), word(3), word(4))
}
