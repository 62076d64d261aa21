//! Pods that the kubelet itself brings to an end: evicted, in the way of a critical pod, on a node that shuts down.
//!
//! Models: kubernetes v1.36.2 pkg/kubelet/pod_workers.go (killPodNow), pkg/kubelet/status/status_manager.go (mergePodStatus: phase,
//! reason, message and condition are told once nothing runs any more).

use super::Surroundings;
use super::pod_worker::{PodWorker, Stage};
use crate::objects::{Condition, Phase, PodStatus, Text, condition};

/// How a pod ends.
#[derive(Clone, Debug)]
pub(super) struct Fate {
    /// `status.reason`.
    pub(super) reason: &'static str,
    /// `status.message`.
    pub(super) message: Text,
    /// The message of the condition `DisruptionTarget`; empty: none.
    pub(super) disruption: Text,
    /// How long its containers have to obey. [s]
    pub(super) grace: u64,
}

impl PodWorker {
    /// The kubelet ends the pod, whose object stays.
    pub(super) fn end_by(&mut self, fate: Fate, around: &mut Surroundings<'_, '_>) {
        if self.stage >= Stage::Terminating {
            return;
        }
        let grace = fate.grace;
        self.fate = Some(Box::new(fate));
        self.stop_all(grace, around);
    }
}

impl Fate {
    /// What the fate makes of a pod's status.
    pub(super) fn mark(
        &self,
        status: &mut PodStatus,
        worker: &PodWorker,
        stored: &[Condition],
        around: &Surroundings<'_, '_>,
    ) {
        if worker.stage != Stage::Terminated {
            return;
        }
        status.phase = Phase::Failed;
        status.reason = self.reason.into();
        status.message = self.message.clone();
        if !self.disruption.is_empty() {
            let before = condition::find(stored, DISRUPTION);
            let since = before.filter(|before| before.holds()).map_or(around.now(), |before| before.transition);
            let mut condition =
                Condition::new(DISRUPTION, true, since).because("TerminationByKubelet", self.disruption.clone());
            condition.observed_generation = worker.pod().meta.generation;
            status.conditions.retain(|condition| &*condition.kind != DISRUPTION);
            status.conditions.push(condition);
        }
    }
}

/// The condition of a pod that does not end by its own doing.
const DISRUPTION: &str = "DisruptionTarget";
