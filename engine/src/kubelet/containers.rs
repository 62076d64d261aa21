//! Starting containers one after the other, and what follows from their ends.
//!
//! Models: kubernetes v1.36.2 pkg/kubelet/kuberuntime/{kuberuntime_manager,kuberuntime_container}.go (SyncPod, startContainer).

use super::life::{Ending, Life};
use super::pod_worker::{Container, PodEvent, PodWorker, Run, Stage};
use super::probes::{Probes, Which};
use super::{Surroundings, second};
use crate::kernel::Instant;
use crate::objects::event::EventType;
use crate::trace::note::PodStep;

impl PodWorker {
    /// Starts the next container: its image first.
    pub(super) fn start_next(&mut self, around: &mut Surroundings<'_, '_>) {
        let Some(n) = self.current.or_else(|| self.next()) else { return };
        if self.locate(n).1.life.hooked && self.current == Some(n) {
            return;
        }
        self.current = Some(n);
        self.fetch(n, around);
    }

    pub(super) fn create(&mut self, around: &mut Surroundings<'_, '_>) {
        let n = self.current.map_or(0, |n| self.turn(n));
        let wait = around.draw(&around.setup.profile.kubelet.create, "create", self.pod(), n);
        around.after(wait, self.uid, PodEvent::Created);
    }

    pub(super) fn created(&mut self, around: &mut Surroundings<'_, '_>) {
        let Some(n) = self.current else { return };
        let name = self.locate(n).1.name.clone();
        self.note(PodStep::ContainerCreated, &name, around);
        self.event(EventType::Normal, "Created", "Container created".to_owned(), n, around);
        let wait = around.draw(&around.setup.profile.kubelet.start, "start", self.pod(), self.turn(n));
        around.after(wait, self.uid, PodEvent::Started);
    }

    pub(super) fn started(&mut self, around: &mut Surroundings<'_, '_>) {
        let Some(n) = self.current else { return };
        *around.containers += 1;
        let id = crate::kernel::hash_words(&[around.index.into(), *around.containers]);
        self.current = None;
        self.initialized |= n >= self.init_containers.len();
        let begun = around.out.now();
        let container = self.container_mut(n);
        container.earlier = container.life.log(container.last.as_ref());
        container.run = Run::Running { started: around.now(), id, ready: false };
        container.life = Life { begun, number: *around.containers as u32, ..Life::default() };
        let name = container.name.clone();
        self.note(PodStep::ContainerStarted, &name, around);
        self.event(EventType::Normal, "Started", "Container started".to_owned(), n, around);
        self.check_annotations(n, around);
        self.begin_listening(n, around);
        match self.post_start(n, begun) {
            Some(hook) => self.begin_post_start(n, hook, around),
            None => self.came_to_run(n, around),
        }
        self.plan_end(n, around);
        self.report_soon(around);
        self.start_next(around);
    }

    /// The n-th container runs, and its postStart hook, if it has one, is over.
    pub(super) fn came_to_run(&mut self, n: usize, around: &mut Surroundings<'_, '_>) {
        self.begin_probes(n, around);
        if self.locate(n).1.probes.as_deref().is_some_and(Probes::holds_back) {
            return self.report_soon(around);
        }
        self.is_up(n, around);
    }

    /// The n-th container's startup probe has succeeded.
    pub(super) fn comes_up(&mut self, n: usize, around: &mut Surroundings<'_, '_>) {
        self.is_up(n, around);
        self.report_soon(around);
        if self.current.is_none() {
            self.start_next(around);
        }
    }

    /// The n-th container is up: it is ready as soon as its probe says so, or at once if it has none.
    fn is_up(&mut self, n: usize, around: &mut Surroundings<'_, '_>) {
        let init = n < self.init_containers.len();
        let container = self.container_mut(n);
        container.life.up = true;
        let (sidecar, number) = (container.sidecar, container.life.number);
        if init && !sidecar {
            return;
        }
        if container.probes.as_deref().is_some_and(|probes| probes.has(Which::Readiness)) {
            return self.probe_work(n, around);
        }
        match &around.setup.profile.kubelet.readiness {
            Some(latency) if !init => {
                let wait = around.draw(latency, "readiness", self.pod(), n as u64);
                around.after(wait, self.uid, PodEvent::Ready(n as u16, number));
            }
            _ => {
                self.is_ready(n, around);
            }
        }
        self.probe_work(n, around);
    }

    /// A container without a readiness probe takes work.
    pub(super) fn became_ready(&mut self, n: usize, number: u32, around: &mut Surroundings<'_, '_>) {
        if self.locate(n).1.life.number == number && self.is_ready(n, around) {
            self.report_soon(around);
        }
    }

    /// Whether the n-th container runs, and so is ready now.
    fn is_ready(&mut self, n: usize, around: &mut Surroundings<'_, '_>) -> bool {
        let container = self.container_mut(n);
        let Run::Running { ready, .. } = &mut container.run else { return false };
        *ready = true;
        let name = container.name.clone();
        self.note(PodStep::ContainerReady, &name, around);
        true
    }

    pub(super) fn ended(&mut self, n: usize, number: u32, around: &mut Surroundings<'_, '_>) {
        let Some(Ending { at, code: exit_code, oom }) = self.has_ended(n, number, around.out.now()) else { return };
        // As the machine's clock has it, which may be wrong.
        let ago = around.out.now().since(at);
        let finished = second(Instant::from_nanos(around.out.wall().as_nanos().saturating_sub(ago.as_nanos())));
        let container = self.container_mut(n);
        let Run::Running { started, id, .. } = container.run else { return };
        container.run = Run::Ended { exit_code, oom, started, finished, id };
        container.life.over = true;
        let name = container.name.clone();
        let again = container.life.stop.is_some_and(|stop| stop.again);
        if std::mem::take(&mut container.life.hooked) {
            self.current = None;
        }
        if self.stage >= Stage::Terminating {
            self.next_turns(around);
            return self.stopped(around);
        }
        self.note(PodStep::ContainerExited, &name, around);
        self.report_soon(around);
        if again {
            self.restart_killed(n, around);
        } else if self.restarts_after(n, exit_code) {
            self.restart(n, around);
        } else if n < self.init_containers.len() && exit_code == 0 && !self.finishing {
            self.start_next(around);
        } else if self.has_finished() {
            // The pod is over: its last status is looked at once more.
            self.report_soon(around);
            self.finish(around);
        }
        self.next_turns(around);
    }

    /// Whether nothing is left to do for the pod: its regular containers have ended for good, or an init container has failed for good.
    fn has_finished(&self) -> bool {
        let lost = |(n, container): (usize, &Container)| {
            let failed = matches!(container.run, Run::Ended { exit_code, .. } if exit_code != 0 && !self.restarts_after(n, exit_code));
            failed && !container.sidecar
        };
        let lost = !self.initialized && self.init_containers.iter().enumerate().any(lost);
        lost || self.finished(self.containers.iter())
    }

    /// Whether these containers have ended.
    pub(super) fn finished<'a>(&self, mut containers: impl Iterator<Item = &'a Container>) -> bool {
        containers.all(|container| matches!(container.run, Run::Ended { .. }))
    }
}
