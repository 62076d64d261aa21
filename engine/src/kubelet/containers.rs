//! Starting containers one after the other, and what follows from their ends.
//!
//! Models: kubernetes v1.36.2 pkg/kubelet/kuberuntime/{kuberuntime_manager,kuberuntime_container}.go (SyncPod, startContainer).

use super::Surroundings;
use super::pod_worker::{Life, PodEvent, PodWorker, Run};
use super::program::Program;
use crate::objects::event::EventType;
use crate::objects::pod_terms;
use crate::trace::note::PodStep;

impl PodWorker {
    /// Starts the next container: its image first.
    pub(super) fn start_next(&mut self, around: &mut Surroundings<'_, '_>) {
        let Some(n) = self.current.or_else(|| self.next()) else { return };
        self.current = Some(n);
        let image = self.locate(n).1.image.clone();
        let always = self.pull_policy(n) == Some("Always");
        if around.images.has(&pod_terms::with_tag(&image)) && !always {
            let message =
                format!("Container image \"{image}\" already present on machine and can be accessed by the pod");
            self.event(EventType::Normal, "Pulled", message, n, around);
            return self.configure(around);
        }
        if self.backoff.waits(around.out.now()) {
            return self.wait_for_image(n, around);
        }
        self.event(EventType::Normal, "Pulling", format!("Pulling image \"{image}\""), n, around);
        self.note(PodStep::PullStarted, &image, around);
        self.pull_began = Some((around.out.now(), around.out.now()));
        if around.images.take_turn(self.uid, around.setup.profile.kubelet.serialize_pulls) {
            self.pull(around);
        }
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
        let init = n < self.init_containers.len();
        let sidecar = self.locate(n).1.sidecar;
        let delay = if init { None } else { self.readiness_delay(n, around) };
        let ready = (!init || sidecar) && delay.is_none();
        let container = self.container_mut(n);
        container.run = Run::Running { started: around.now(), id, ready };
        container.life = Life { begun: around.out.now(), number: *around.containers as u32, ..Life::default() };
        let name = container.name.clone();
        self.note(PodStep::ContainerStarted, &name, around);
        self.event(EventType::Normal, "Started", "Container started".to_owned(), n, around);
        self.begin_listening(n, around);
        if let Some(delay) = delay {
            around.after(delay, self.uid, PodEvent::Ready(n as u16));
        } else if ready {
            self.note(PodStep::ContainerReady, &name, around);
        }
        let timing = &around.setup.profile.kubelet;
        let ends = match self.program(n) {
            Program::Ends(after, _) => Some(after),
            Program::Forever => None,
            Program::Unknown if sidecar => None,
            Program::Unknown if init => Some(around.draw(&timing.init, "init", self.pod(), self.turn(n))),
            Program::Unknown if self.policy() == "Always" => None,
            Program::Unknown => Some(around.draw(&timing.job, "job", self.pod(), self.turn(n))),
        };
        if let Some(after) = ends {
            around.after(after, self.uid, PodEvent::Ended(n as u16));
        }
        self.report_soon(around);
        if !init || sidecar {
            self.start_next(around);
        }
    }

    pub(super) fn became_ready(&mut self, n: usize, around: &mut Surroundings<'_, '_>) {
        if self.probe_fails(n, around) {
            return;
        }
        let container = self.container_mut(n);
        if let Run::Running { ready, .. } = &mut container.run {
            *ready = true;
            let name = container.name.clone();
            self.note(PodStep::ContainerReady, &name, around);
            self.report_soon(around);
        }
    }

    pub(super) fn ended(&mut self, n: usize, around: &mut Surroundings<'_, '_>) {
        let now = around.now();
        let exit_code = if let Program::Ends(_, code) = self.program(n) { code } else { 0 };
        let container = self.container_mut(n);
        let Run::Running { started, id, .. } = container.run else { return };
        container.run = Run::Ended { exit_code, started, finished: now, id };
        container.life.over = true;
        let name = container.name.clone();
        self.note(PodStep::ContainerExited, &name, around);
        self.report_soon(around);
        if self.restarts_after(n, exit_code) {
            self.restart(n, around);
        } else if n < self.init_containers.len() {
            self.start_next(around);
        } else if self.containers.iter().all(|container| matches!(container.run, Run::Ended { .. })) {
            // The pod is over: its last status is looked at once more.
            self.report_soon(around);
        }
    }
}
