//! The end of a pod that is deleted.
//!
//! Models: kubernetes v1.36.2 pkg/kubelet/pod_workers.go, kuberuntime/kuberuntime_container.go (killContainersWithSyncResult).

use super::pod_worker::{PodEvent, PodWorker, Run, Stage};
use super::{Surroundings, program};
use crate::kernel::Duration;
use crate::objects::event::EventType;
use crate::trace::note::PodStep;

/// Exit code after SIGKILL.
const KILLED: i32 = 137;
/// Ending a pod of which nothing runs: as the played kubelets of the recordings do it, no figure of upstream's.
const NOTHING_TO_STOP: Duration = Duration::from_millis(30);

impl PodWorker {
    /// The pod is being deleted: the containers get the signal.
    pub(super) fn terminate(&mut self, around: &mut Surroundings<'_, '_>) {
        self.stage = Stage::Terminating;
        self.give_up_pull(around);
        self.note(PodStep::Killing, "", around);
        let init = self.init_containers.len();
        let running: Vec<usize> = (0..init + self.containers.len())
            .filter(|n| matches!(self.locate(*n).1.run, Run::Running { .. }))
            .collect();
        for n in &running {
            self.container_mut(*n).life.signalled = Some(around.out.now());
            let message = format!("Stopping container {}", self.locate(*n).1.name);
            self.event(EventType::Normal, "Killing", message, *n, around);
        }
        if self.admitted.is_some() {
            self.report_now(around);
        }
        let grace = self.pod().meta.deletion.map_or(30, |deletion| deletion.grace.max(0)) as u64;
        let wait = if running.is_empty() {
            NOTHING_TO_STOP
        } else {
            let obeys = program::stops_after(&self.pod().meta).unwrap_or_else(|| {
                around.draw(&around.setup.profile.kubelet.termination, "termination", self.pod(), 0)
            });
            let patience = Duration::from_secs(grace.max(2));
            self.killed = obeys > patience;
            obeys.min(patience)
        };
        around.after(wait, self.uid, PodEvent::Stopped);
    }

    pub(super) fn stopped(&mut self, around: &mut Surroundings<'_, '_>) {
        self.stage = Stage::Terminated;
        let now = around.now();
        let exit_code = if self.killed { KILLED } else { 0 };
        for container in self.init_containers.iter_mut().chain(&mut self.containers) {
            if let Run::Running { started, id, .. } = container.run {
                container.run = Run::Ended { exit_code, started, finished: now, id };
            }
        }
        self.note(PodStep::Terminated, "", around);
        self.report_now(around);
    }
}
