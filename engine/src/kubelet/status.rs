//! What is reported of a pod.
//!
//! Models: kubernetes v1.36.2 pkg/kubelet/kubelet_pods.go (generateAPIPodStatus), status/generate.go, prober/prober_manager.go
//! (UpdatePodStatus). The phase is the matter of `phase`.

use std::sync::Arc;

use super::images::canonical;
use super::outage::UNKNOWN_EXIT;
use super::pod_worker::{Container, PodWorker, Run, Stage};
use super::{Surroundings, phase, pod_of, statics};
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
    // What has ended stays so, whoever said it. A mirror tells of a static pod, which nobody else can end.
    let over = stored.status.phase.terminal() && !statics::is_static(pod);
    let phase = if over { stored.status.phase } else { phase::of(worker) };
    // Why a pod was ended is told when it has ended.
    let failure = worker.failure.as_deref().filter(|_| worker.stage == Stage::Terminated);
    let told = |text: Option<&str>| text.map_or(Text::default(), |text| text.to_owned().into());
    let mut status = PodStatus {
        phase,
        conditions: Vec::new(),
        reason: told(failure.map(|failure| &*failure.reason)),
        message: told(failure.map(|failure| &*failure.message)),
        host_ip: Some(around.node_ip),
        pod_ip: worker.ip,
        start_time: worker.admitted,
        init_containers: statuses(&worker.init_containers, worker, true),
        containers: statuses(&worker.containers, worker, false),
        observed_generation: pod.meta.generation,
        nominated: None,
    };
    let own = conditions(worker, stored, &status, around);
    // What others say of the pod stays, in front of what the kubelet says (mergePodStatus).
    let foreign = stored.status.conditions.iter().filter(|known| condition::find(&own, &known.kind).is_none()).cloned();
    status.conditions = foreign.chain(own.iter().cloned()).collect();
    if over && status.reason.is_empty() {
        (status.reason, status.message) = (stored.status.reason.clone(), stored.status.message.clone());
    }
    if let Some(fate) = &worker.fate {
        fate.mark(&mut status, worker, &stored.status.conditions, around);
    }
    status
}

fn conditions(worker: &PodWorker, stored: &Pod, status: &PodStatus, around: &Surroundings<'_, '_>) -> Vec<Condition> {
    let unready = |containers: &[Container]| -> Vec<Name> {
        containers.iter().filter(|container| !container.ready()).map(|container| container.name.clone()).collect()
    };
    let sidecars = worker.init_containers.iter().filter(|container| container.sidecar && !container.ready());
    let mut not_ready: Vec<Name> = sidecars.map(|container| container.name.clone()).collect();
    not_ready.extend(unready(&worker.containers));
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
    let gates = gates(worker, stored);
    let ready = |kind: &'static str| match terminal {
        None if kind == "Ready" && not_ready.is_empty() && !gates.is_empty() => {
            (kind, false, "ReadinessGatesNotReady".into(), gates.as_str().to_owned().into())
        }
        Some(reason) => (kind, false, Text::from(reason), Text::default()),
        None if not_ready.is_empty() => (kind, true, Text::default(), Text::default()),
        None => (kind, false, "ContainersNotReady".into(), list("unready", &not_ready)),
    };
    let init = match terminal {
        Some("PodCompleted") => ("Initialized", true, Text::from("PodCompleted"), Text::default()),
        _ if initialized => ("Initialized", true, Text::default(), Text::default()),
        _ => {
            let open = worker.init_containers.iter().filter(|container| !container.passed());
            let names: Vec<Name> = open.map(|container| container.name.clone()).collect();
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

/// What is wrong with the conditions that the pod names as its readiness gates, as they are stored.
fn gates(worker: &PodWorker, stored: &Pod) -> String {
    let gates = pod_of(&worker.object).spec.api.readiness_gates.iter().flatten();
    let wrong = gates.filter_map(|gate| {
        let kind = &gate.condition_type;
        match condition::find(&stored.status.conditions, kind) {
            None => Some(format!("corresponding condition of pod readiness gate {kind:?} does not exist.")),
            Some(condition) if condition.holds() => None,
            Some(condition) => {
                let status = condition.status.as_str();
                Some(format!("the status of pod readiness gate {kind:?} is not \"True\", but {status}"))
            }
        }
    });
    wrong.collect::<Vec<_>>().join(", ")
}

fn statuses(containers: &[Container], worker: &PodWorker, init: bool) -> Arc<[ContainerStatus]> {
    let waiting = if worker.init_containers.is_empty() { "ContainerCreating" } else { "PodInitializing" };
    containers
        .iter()
        .map(|container| {
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
                // The kubelet has eyes for it again when its postStart hook is over.
                Run::Running { .. } if container.life.hooked => {
                    (ContainerState::Waiting { reason: waiting.into(), message: Text::default() }, None)
                }
                Run::Running { started, id, .. } => (ContainerState::Running { started: *started }, Some(*id)),
                Run::Ended { exit_code, oom, started, finished, id } => {
                    (terminated(*exit_code, *oom, *started, *finished, *id), Some(*id))
                }
            };
            ContainerStatus {
                name: container.name.clone(),
                image: if id.is_some() { canonical(&container.image).into() } else { container.image.clone() },
                image_id: if id.is_some() { image_id(&container.image).into() } else { Text::default() },
                container_id: id,
                state,
                last: container.last.clone(),
                // Init containers are ready when they have done their work.
                ready: container.ready()
                    || init && !container.sidecar && matches!(container.run, Run::Ended { exit_code: 0, .. }),
                started: matches!(container.run, Run::Running { .. }) && container.life.up,
                restarts: container.restarts,
            }
        })
        .collect()
}

/// The state of a container that has ended.
pub(super) fn terminated(exit_code: i32, oom: bool, started: Instant, finished: Instant, id: u64) -> ContainerState {
    ContainerState::Terminated {
        exit_code,
        reason: match exit_code {
            _ if oom => "OOMKilled",
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
