//! Stopping containers: one, or all of a pod that is deleted, has had its time, or whose work is done.
//!
//! A container's preStop hook counts against its grace; then comes SIGTERM, and after what is left of the grace, at least two seconds,
//! SIGKILL. Sidecars wait for the containers they serve, then for the sidecars after them.
//!
//! Models: kubernetes v1.36.2 pkg/kubelet/pod_workers.go, kubelet.go (SyncTerminatingPod), kuberuntime/{kuberuntime_container,
//! kuberuntime_termination_order}.go, active_deadline.go. Left out: a runtime that fails to stop a container (ExceededGracePeriod).

use super::Surroundings;
use super::admission::Rejection;
use super::pod_worker::{PodEvent, PodWorker, Run, Stage};
use crate::kernel::{Duration, Instant};
use crate::objects::event::EventType;
use crate::trace::note::PodStep;

/// The least time between SIGTERM and SIGKILL; Kubernetes: minimumGracePeriodInSeconds. [s]
const LEAST_GRACE: u64 = 2;
/// Ending a pod of which nothing runs: as the played kubelets of the recordings do it, no figure of upstream's.
const NOTHING_TO_STOP: Duration = Duration::from_millis(30);

/// A container that is being stopped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Stop {
    since: Instant,
    /// [s]
    grace: u64,
    /// The kubelet means to start it again in the same breath.
    pub(super) again: bool,
    step: Step,
}

/// How far that is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Step {
    /// Its preStop hook runs.
    Hook,
    /// It waits for the containers that it serves.
    Turn,
    Signalled,
}

impl Stop {
    /// What is left of the grace. [s]
    fn left(&self, now: Instant) -> u64 {
        self.grace.saturating_sub(now.since(self.since).as_nanos() / 1_000_000_000)
    }
}

impl PodWorker {
    /// `terminationGracePeriodSeconds`. [s]
    pub(super) fn grace_of_spec(&self) -> i64 {
        self.pod().spec.api.termination_grace_period_seconds.unwrap_or(30)
    }

    /// The pod is being deleted: the containers get the signal.
    pub(super) fn terminate(&mut self, around: &mut Surroundings<'_, '_>) {
        let grace = self.pod().meta.deletion.map_or(30, |deletion| deletion.grace.max(0)) as u64;
        self.stop_all(grace, around);
    }

    /// The pod is to end within `grace` seconds.
    pub(super) fn stop_all(&mut self, grace: u64, around: &mut Surroundings<'_, '_>) {
        self.stage = Stage::Terminating;
        self.give_up_pull(around);
        self.note(PodStep::Killing, "", around);
        let running = self.running();
        for n in &running {
            self.kill(*n, None, grace, false, around);
        }
        if self.admitted.is_some() {
            self.report_now(around);
        }
        if running.is_empty() {
            around.after(NOTHING_TO_STOP, self.uid, PodEvent::Stopped);
        }
    }

    /// The grace was shortened: what still runs gets what is left of the new one.
    pub(super) fn hasten(&mut self, around: &mut Surroundings<'_, '_>) {
        let Some(grace) = self.pod().meta.deletion.map(|deletion| deletion.grace.max(0) as u64) else { return };
        for n in self.running() {
            let Some(stop) = self.container_mut(n).life.stop.as_mut().filter(|stop| stop.grace > grace) else {
                continue;
            };
            (stop.grace, stop.since) = (grace, around.out.now());
            if stop.step == Step::Signalled {
                let (at, code) = (around.out.now() + Duration::from_secs(grace.max(LEAST_GRACE)), super::life::KILLED);
                self.ends_by(n, super::life::Ending { at, code, oom: false }, around);
            } else {
                self.after_hook(n, around);
            }
        }
    }

    /// A new kubelet goes on where the one before left off: hooks run again, turns are waited for again.
    pub(super) fn go_on_stopping(&mut self, around: &mut Surroundings<'_, '_>) {
        for n in self.running() {
            let stop = self.locate(n).1.life.stop;
            if let Some(stop) = stop.filter(|stop| stop.step != Step::Signalled) {
                self.begin_stop(n, stop.left(around.out.now()), stop.again, around);
            }
        }
        if self.stage == Stage::Terminating && self.running().is_empty() {
            around.after(NOTHING_TO_STOP, self.uid, PodEvent::Stopped);
        }
    }

    /// Containers that run.
    fn running(&self) -> Vec<usize> {
        let running =
            self.containers().enumerate().filter(|(_, container)| matches!(container.run, Run::Running { .. }));
        running.map(|(n, _)| n).collect()
    }

    /// Stops the n-th container, with a reason if it is not that the pod ends; `again` if the kubelet is to start it anew.
    pub(super) fn kill(
        &mut self,
        n: usize,
        message: Option<String>,
        grace: u64,
        again: bool,
        around: &mut Surroundings<'_, '_>,
    ) {
        let message = message.unwrap_or_else(|| format!("Stopping container {}", self.locate(n).1.name));
        self.event(EventType::Normal, "Killing", message, n, around);
        self.begin_stop(n, grace, again, around);
    }

    fn begin_stop(&mut self, n: usize, grace: u64, again: bool, around: &mut Surroundings<'_, '_>) {
        let now = around.out.now();
        let hook = self.pre_stop(n, now).filter(|_| grace > 0);
        let before = self.locate(n).1.life.stop;
        if before.is_some_and(|stop| stop.step == Step::Signalled) {
            // It was being stopped already; the shorter grace counts.
            let (at, code) = (now + Duration::from_secs(grace.max(LEAST_GRACE)), super::life::KILLED);
            return self.ends_by(n, super::life::Ending { at, code, oom: false }, around);
        }
        let life = &mut self.container_mut(n).life;
        life.stop = Some(Stop { since: now, grace, again, step: Step::Hook });
        let number = life.number;
        let Some(hook) = hook else { return self.after_hook(n, around) };
        let takes = hook.takes.min(Duration::from_secs(grace));
        around.after(takes, self.uid, PodEvent::PreStopped(n as u16, number));
    }

    /// The n-th container's preStop hook is over, or its time.
    pub(super) fn pre_stopped(&mut self, n: usize, number: u32, around: &mut Surroundings<'_, '_>) {
        let life = &self.locate(n).1.life;
        let Some(stop) = life.stop.filter(|stop| life.number == number && !life.over && stop.step == Step::Hook) else {
            return;
        };
        let hook = self.pre_stop(n, stop.since);
        if hook.is_some_and(|hook| !hook.ok && hook.takes <= Duration::from_secs(stop.grace)) {
            self.event(EventType::Warning, "FailedPreStopHook", "PreStopHook failed".to_owned(), n, around);
        }
        self.after_hook(n, around);
    }

    fn after_hook(&mut self, n: usize, around: &mut Surroundings<'_, '_>) {
        let now = around.out.now();
        let waits = self.serves_others(n);
        let life = &mut self.container_mut(n).life;
        let Some(stop) = life.stop.as_mut() else { return };
        let left = stop.left(now);
        if waits && left > 0 {
            stop.step = Step::Turn;
            let number = life.number;
            return around.after(Duration::from_secs(left), self.uid, PodEvent::Turn(n as u16, number));
        }
        stop.step = Step::Signalled;
        self.signal(n, Duration::from_secs(left.max(LEAST_GRACE)), around);
    }

    /// The n-th container has waited as long as it could.
    pub(super) fn turn_came(&mut self, n: usize, number: u32, around: &mut Surroundings<'_, '_>) {
        let life = &mut self.container_mut(n).life;
        if life.number != number || life.over {
            return;
        }
        if let Some(stop) = life.stop.as_mut().filter(|stop| stop.step == Step::Turn) {
            let left = stop.left(around.out.now());
            stop.step = Step::Signalled;
            self.signal(n, Duration::from_secs(left.max(LEAST_GRACE)), around);
        }
    }

    /// A container has ended: sidecars that waited for it may be next.
    pub(super) fn next_turns(&mut self, around: &mut Surroundings<'_, '_>) {
        for n in 0..self.init_containers.len() {
            let waits = self.locate(n).1.life.stop.is_some_and(|stop| stop.step == Step::Turn);
            if waits && !self.locate(n).1.life.over && !self.serves_others(n) {
                self.turn_came(n, self.locate(n).1.life.number, around);
            }
        }
    }

    /// Whether the n-th container is stopped only when others have ended: a sidecar of a pod that ends.
    fn serves_others(&self, n: usize) -> bool {
        let runs = |container: &super::pod_worker::Container| matches!(container.run, Run::Running { .. });
        let ends = self.stage >= Stage::Terminating || self.finishing;
        ends && self.locate(n).1.sidecar && self.containers().skip(n + 1).any(runs)
    }

    /// Whether the n-th container ends with the others of its pod.
    pub(super) fn ends_as_a_whole(&self, n: usize) -> bool {
        self.stage >= Stage::Terminating && n >= self.init_containers.len()
    }

    /// The regular containers have done what they had to do, or an init container has failed for good: the sidecars go.
    pub(super) fn finish(&mut self, around: &mut Surroundings<'_, '_>) {
        if std::mem::replace(&mut self.finishing, true) {
            return;
        }
        let grace = self.grace_of_spec().max(0) as u64;
        for n in self.running() {
            self.kill(n, None, grace, false, around);
        }
    }

    /// The pod's `activeDeadlineSeconds` are over.
    pub(super) fn deadline_came(&mut self, around: &mut Surroundings<'_, '_>) {
        let over = self.stage == Stage::Containers && self.finished(self.containers.iter());
        if self.stage >= Stage::Terminating || over {
            return;
        }
        let message = "Pod was active on the node longer than the specified deadline".to_owned();
        let (agent, regarding) = (around.agent(), self.object.reference());
        let said = message.as_str().into();
        around.recorder.record(agent, regarding, EventType::Normal, "DeadlineExceeded", said, around.out);
        self.failure = Some(Box::new(Rejection { reason: "DeadlineExceeded".to_owned(), message }));
        self.stop_all(self.grace_of_spec().max(0) as u64, around);
    }

    /// Nothing of the pod runs any more.
    pub(super) fn stopped(&mut self, around: &mut Surroundings<'_, '_>) {
        if self.stage >= Stage::Terminated || !self.running().is_empty() {
            return;
        }
        self.stage = Stage::Terminated;
        self.note(PodStep::Terminated, "", around);
        self.report_now(around);
    }
}
