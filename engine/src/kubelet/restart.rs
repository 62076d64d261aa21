//! Containers that have ended and are started again, each time after a longer wait.
//!
//! Models: kubernetes v1.36.2 pkg/kubelet/kuberuntime/kuberuntime_manager.go (doBackOff, computePodActions), kubelet.go (limits),
//! pod_workers.go (completeWork), pkg/kubelet/container/helpers.go (ShouldContainerBeRestarted), staging/src/k8s.io/client-go/util/
//! flowcontrol/backoff.go. Left out: rules that restart all containers of a pod (RestartAllContainers).

use k8s_openapi::api::core::v1 as api;

use super::pod_worker::{PodEvent, PodWorker, Run, Stage};
use super::program::Program;
use super::{Surroundings, status};
use crate::kernel::{Duration, Instant};
use crate::objects::ContainerState;
use crate::objects::event::EventType;

/// The first wait, the longest, and how long without a restart until it begins anew.
const BACKOFF: (Duration, Duration, Duration) =
    (Duration::from_secs(10), Duration::from_secs(300), Duration::from_secs(600));
/// A pod that waits is looked at again after this long at most, and up to half as much more.
const LOOK: Duration = Duration::from_secs(60);

/// How often a container has had to be started again lately.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Crashes {
    /// How long it waits the next time; zero if it has not ended lately.
    wait: Duration,
    /// When that last grew.
    grew: Instant,
    /// Whether it waits.
    pub(super) waits: bool,
}

impl Crashes {
    /// What another kubelet process makes of it: how long the container was to wait was in the memory of the one before.
    pub(super) fn forgotten(self) -> Self {
        Crashes { waits: self.waits, ..Crashes::default() }
    }
}

impl PodWorker {
    /// `spec.restartPolicy`.
    pub(super) fn policy(&self) -> &str {
        self.pod().spec.api.restart_policy.as_deref().unwrap_or("Always")
    }

    /// What a container does.
    pub(super) fn program(&self, n: usize) -> Program {
        self.spec_of(n).map_or(Program::Unknown, |container| Program::of(container, &self.pod().meta))
    }

    /// The address of a container's luck: its place and how often it was started.
    pub(super) fn turn(&self, n: usize) -> u64 {
        n as u64 | (self.locate(n).1.restarts.max(0) as u64) << 16
    }

    /// Whether a container that ended so is started again: by its own rules and policy, or the pod's.
    pub(super) fn restarts_after(&self, n: usize, exit_code: i32) -> bool {
        if self.finishing || self.locate(n).1.sidecar {
            return !self.finishing;
        }
        let own = self.spec_of(n).and_then(|spec| Some((spec, spec.restart_policy.as_deref()?)));
        if let Some((spec, _)) = own
            && spec.restart_policy_rules.iter().flatten().any(|rule| says_restart(rule, exit_code))
        {
            return true;
        }
        match own.map_or(self.policy(), |(_, policy)| policy) {
            // An init container is never started again for having succeeded.
            "Always" => n >= self.init_containers.len() || exit_code != 0,
            "OnFailure" => exit_code != 0,
            _ => false,
        }
    }

    /// Containers whose restart a new kubelet has to see to.
    pub(super) fn look_at_restarts(&mut self, around: &mut Surroundings<'_, '_>) {
        for n in 0..self.init_containers.len() + self.containers.len() {
            let container = self.locate(n).1;
            let due = match container.run {
                _ if self.stage >= Stage::Terminating => false,
                Run::Ended { exit_code, .. } => self.restarts_after(n, exit_code),
                _ => container.crashes.waits,
            };
            if due {
                around.after(Duration::ZERO, self.uid, PodEvent::Restart(n as u16));
            }
        }
    }

    /// Starts a container again that has ended, unless it ended too soon after the last time.
    pub(super) fn restart(&mut self, n: usize, around: &mut Surroundings<'_, '_>) {
        self.restart_as_of(n, None, around);
    }

    /// Starts a container again that the kubelet has killed for that: the same sync that killed it starts it, and knows of the end before
    /// that one only.
    pub(super) fn restart_killed(&mut self, n: usize, around: &mut Surroundings<'_, '_>) {
        let before = match self.locate(n).1.last {
            Some(ContainerState::Terminated { finished, .. }) => Some(finished),
            _ => None,
        };
        self.restart_as_of(n, Some(before), around);
    }

    /// `known` is what a sync knows of the container's last end, if that is not its real one.
    fn restart_as_of(&mut self, n: usize, known: Option<Option<Instant>>, around: &mut Surroundings<'_, '_>) {
        let now = around.out.wall();
        let (first, longest, forgotten) = BACKOFF;
        let container = self.container_mut(n);
        if let Run::Ended { exit_code, oom, started, finished, id } = container.run {
            container.last = Some(status::terminated(exit_code, oom, started, finished, id));
        } else if !container.crashes.waits {
            return;
        }
        let finished = match container.last {
            Some(ContainerState::Terminated { finished, .. }) => finished,
            _ => now,
        };
        let finished = match known {
            // As far as the kubelet knows, it has never ended: no waiting, and no longer wait the next time.
            Some(None) => return self.start_again(n, around),
            Some(Some(before)) => before,
            None => finished,
        };
        let container = self.container_mut(n);
        let crashes = &mut container.crashes;
        if finished.since(crashes.grew) > forgotten {
            crashes.wait = Duration::ZERO;
        }
        let left = (finished + crashes.wait).since(now);
        if crashes.wait == Duration::ZERO || left == Duration::ZERO {
            let next = if crashes.wait == Duration::ZERO { first } else { crashes.wait.times(2).min(longest) };
            *crashes = Crashes { wait: next, grew: now, waits: false };
            return self.start_again(n, around);
        }
        crashes.waits = true;
        let (wait, name) = (crashes.wait, container.name.clone());
        let (pod, uid) = (&self.pod().meta, self.uid);
        let place = format!("{}_{}({uid})", pod.name, pod.namespace);
        let message = format!("back-off {} restarting failed container={name} pod={place}", minutes(wait));
        let said = format!("Back-off restarting failed container {name} in pod {place}");
        self.container_mut(n).run = Run::Waiting { reason: "CrashLoopBackOff".into(), message: message.into() };
        self.event(EventType::Warning, "BackOff", said, n, around);
        self.report_soon(around);
        self.reports += 1;
        let luck = around.setup.luck("kubelet", "restart", &self.pod().meta.name, self.reports).below(1_000_000);
        let look = left.min(LOOK);
        around.after(look + look.fraction(luck, 2_000_000), self.uid, PodEvent::Restart(n as u16));
    }

    fn start_again(&mut self, n: usize, around: &mut Surroundings<'_, '_>) {
        let container = self.container_mut(n);
        container.restarts += 1;
        container.run = Run::Waiting { reason: Default::default(), message: Default::default() };
        if self.current.is_none() {
            self.start_next(around);
        }
    }
}

/// Whether a rule of a container wants it started again after such an end.
fn says_restart(rule: &api::ContainerRestartRule, exit_code: i32) -> bool {
    let Some(codes) = rule.exit_codes.as_ref().filter(|_| rule.action == "Restart") else { return false };
    let listed = codes.values.iter().flatten().any(|code| *code == exit_code);
    match codes.operator.as_str() {
        "In" => listed,
        "NotIn" => !listed,
        _ => false,
    }
}

/// `10s`, `1m20s`, as Go prints whole seconds.
fn minutes(duration: Duration) -> String {
    let seconds = duration.as_nanos() / 1_000_000_000;
    if seconds < 60 { format!("{seconds}s") } else { format!("{}m{}s", seconds / 60, seconds % 60) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_printed_as_go_does() {
        assert_eq!([10, 80, 300].map(|s| minutes(Duration::from_secs(s))), ["10s", "1m20s", "5m0s"]);
    }
}
