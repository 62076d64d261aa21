//! A pod's life on its node, step by step.
//!
//! Models: kubernetes v1.36.2 pkg/kubelet/pod_workers.go, kuberuntime/kuberuntime_manager.go (SyncPod order): admission, first status, volumes, sandbox,
//! init containers one by one, containers one after the other (image, create, start); then termination.

use std::net::Ipv4Addr;
use std::sync::Arc;

use k8s_openapi::api::core::v1 as api;

use super::admission::Rejection;
use super::images::{self, PullBackoff, Registry};
use super::program::{self, Program};
use super::report::Reporting;
use super::{Outcome, Purpose, Surroundings, needs, node, pod_of, restart};
use crate::apiserver::request::{Body, Subresource, Verb};
use crate::client::connection::Call;
use crate::event::Event;
use crate::kernel::{Duration, Instant};
use crate::metrics_server::{MetricsEvent, PodChange};
use crate::objects::event::EventType;
use crate::objects::pod_terms;
use crate::objects::{ContainerState, Key, Kind, Name, Object, Pod, Text, Uid};
use crate::trace::note::PodStep;
use crate::trace::{Note, What};

/// A step that has taken its time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PodEvent {
    /// The pod is admitted.
    Admitted,
    /// Its sandbox stands.
    SandboxReady,
    /// Time to try its volumes again.
    Mount,
    /// It is its turn to pull.
    Pull,
    /// A pull has ended.
    PullEnded,
    /// Time to try what failed again.
    Retry,
    /// The container is created.
    Created,
    /// The container runs.
    Started,
    /// Its readiness probe succeeds.
    Ready(u16),
    /// The container has ended by itself.
    Ended(u16),
    /// Time to start a container again.
    Restart(u16),
    /// The containers have obeyed the signal.
    Stopped,
    /// A report of the status is due.
    Report,
}

/// How far a pod has come.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Stage {
    Seen,
    Admitted,
    Volumes,
    Sandbox,
    Containers,
    Terminating,
    Terminated,
}

/// A container.
#[derive(Clone, Debug)]
pub(super) struct Container {
    pub(super) name: Name,
    pub(super) image: Name,
    pub(super) run: Run,
    /// How often it was started again.
    pub(super) restarts: i32,
    /// What it did before that.
    pub(super) last: Option<ContainerState>,
    /// Whether it is an init container that goes on beside the others.
    pub(super) sidecar: bool,
    pub(super) crashes: restart::Crashes,
}

/// What a container does.
#[derive(Clone, Debug)]
pub(super) enum Run {
    Waiting { reason: Text, message: Text },
    Running { started: Instant, id: u64, ready: bool },
    Ended { exit_code: i32, started: Instant, finished: Instant, id: u64 },
}

impl Container {
    fn of(spec: &api::Container) -> Self {
        let run = Run::Waiting { reason: Text::default(), message: Text::default() };
        let (name, image) = (spec.name.as_str().into(), spec.image.as_deref().unwrap_or("").into());
        let sidecar = pod_terms::requests::is_sidecar(spec);
        Container { name, image, run, restarts: 0, last: None, sidecar, crashes: restart::Crashes::default() }
    }

    /// Whether an init container leaves the way free for the next.
    pub(super) fn passed(&self) -> bool {
        match self.run {
            Run::Ended { exit_code, .. } => exit_code == 0 && !self.sidecar,
            Run::Running { .. } => self.sidecar,
            Run::Waiting { .. } => false,
        }
    }

    pub(super) fn ready(&self) -> bool {
        matches!(self.run, Run::Running { ready: true, .. })
    }
}

/// A pod on this node.
#[derive(Clone, Debug)]
pub(super) struct PodWorker {
    pub(super) uid: Uid,
    /// As the watch last showed it.
    pub(super) object: Arc<Object>,
    pub(super) stage: Stage,
    pub(super) reported_stage: Stage,
    pub(super) admitted: Option<Instant>,
    pub(super) sandbox: bool,
    pub(super) ip: Option<Ipv4Addr>,
    pub(super) init_containers: Vec<Container>,
    pub(super) containers: Vec<Container>,
    pub(super) reporting: Reporting,
    pub(super) reports: u64,
    /// Why the kubelet did not take it.
    pub(super) rejection: Option<Box<Rejection>>,
    /// A kubelet has found it on the node, and waits for what the API server says of it.
    found: bool,
    mounts_failed: u32,
    /// How many of the objects behind its volumes are there.
    pub(super) mounted: usize,
    /// How many of those behind the environment of the container that is being started.
    pub(super) configured: usize,
    /// How often an environment lacked something.
    pub(super) tries: u64,
    /// The containers had to be killed.
    killed: bool,
    /// The container that is being started.
    pub(super) current: Option<usize>,
    pulls: u64,
    pull_began: Option<(Instant, Instant)>,
    pull_size: u64,
    pull_error: Option<Box<str>>,
    backoff: PullBackoff,
}

impl PodWorker {
    pub(super) fn new(object: Arc<Object>) -> Self {
        let pod = pod_of(&object);
        let spec = &pod.spec.api;
        PodWorker {
            uid: pod.meta.uid,
            stage: Stage::Seen,
            reported_stage: Stage::Seen,
            admitted: None,
            sandbox: false,
            ip: None,
            init_containers: spec.init_containers.iter().flatten().map(Container::of).collect(),
            containers: spec.containers.iter().map(Container::of).collect(),
            reporting: Reporting::default(),
            reports: 0,
            rejection: None,
            found: false,
            mounts_failed: 0,
            mounted: 0,
            configured: 0,
            tries: 0,
            killed: false,
            current: None,
            pulls: 0,
            pull_began: None,
            pull_size: 0,
            pull_error: None,
            backoff: PullBackoff::default(),
            object,
        }
    }

    /// A pod that ended under an earlier kubelet, which told the API server so.
    pub(super) fn over(object: Arc<Object>) -> Self {
        let mut worker = PodWorker::new(object);
        worker.stage = Stage::Terminated;
        worker.reporting.final_stored = true;
        worker
    }

    pub(super) fn pod(&self) -> &Pod {
        pod_of(&self.object)
    }

    pub(super) fn note(&self, step: PodStep, detail: &str, around: &mut Surroundings<'_, '_>) {
        let what = What::Pod { step, detail: detail.into() };
        around.out.note(Note::about(around.agent(), Kind::Pod, self.object.key(), what));
    }

    pub(super) fn event(
        &self,
        kind: EventType,
        reason: &'static str,
        message: String,
        container: usize,
        around: &mut Surroundings<'_, '_>,
    ) {
        let mut regarding = self.object.reference();
        let (list, container) = self.locate(container);
        regarding.field_path = Some(format!("spec.{list}{{{}}}", container.name).into());
        around.recorder.record(around.agent(), regarding, kind, reason, message.into(), around.out);
    }

    /// The n-th container to start: init containers come first.
    pub(super) fn locate(&self, n: usize) -> (&'static str, &Container) {
        match self.init_containers.get(n) {
            Some(container) => ("initContainers", container),
            None => ("containers", &self.containers[n - self.init_containers.len()]),
        }
    }

    pub(super) fn container_mut(&mut self, n: usize) -> &mut Container {
        let init = self.init_containers.len();
        if n < init { &mut self.init_containers[n] } else { &mut self.containers[n - init] }
    }

    /// The container that is to start next.
    pub(super) fn next(&self) -> Option<usize> {
        let due = |container: &Container| matches!(container.run, Run::Waiting { .. }) && !container.crashes.waits;
        if let Some(n) = self.init_containers.iter().position(|container| !container.passed()) {
            return Some(n).filter(|n| due(&self.init_containers[*n]));
        }
        self.containers.iter().position(due).map(|n| n + self.init_containers.len())
    }

    /// A new kubelet finds its containers on the node; what it reports of them may be news.
    pub(super) fn found_again(&mut self) {
        self.reporting = Reporting::default();
        self.found = true;
    }

    /// When the youngest of the running containers was started, and whether the pod takes work.
    pub(super) fn at_work(&self) -> (Option<Instant>, bool) {
        let started = |container: &Container| match container.run {
            Run::Running { started, .. } => Some(started),
            _ => None,
        };
        let all = self.init_containers.iter().filter(|container| container.sidecar).chain(&self.containers);
        let ready = self.stage == Stage::Containers && self.containers.iter().all(Container::ready);
        (all.filter_map(started).max(), ready)
    }

    /// The counters of its containers change from now on in another way.
    pub(super) fn tell_of_work(&self, started: Option<Instant>, ready: bool, around: &mut Surroundings<'_, '_>) {
        let change = PodChange { node: around.index, object: self.object.clone(), started, ready };
        around.out.after(Duration::ZERO, Event::MetricsServer(MetricsEvent::Changed(Box::new(change))));
    }

    /// The pod appears.
    pub(super) fn seen(&mut self, around: &mut Surroundings<'_, '_>) {
        self.note(PodStep::Seen, "", around);
        let wait = around.draw(&around.setup.profile.kubelet.admit, "admit", self.pod(), 0);
        around.after(wait, self.uid, PodEvent::Admitted);
    }

    /// The watch shows a new version of the pod.
    pub(super) fn updated(&mut self, object: Arc<Object>, around: &mut Surroundings<'_, '_>) {
        self.object = object;
        if std::mem::take(&mut self.found) {
            self.report_soon(around);
            self.look_at_restarts(around);
        }
        if self.pod().meta.deleting() && self.stage < Stage::Terminating {
            self.terminate(around);
        } else if self.pod().meta.deleting() && self.stage == Stage::Terminated && self.reporting.final_stored {
            self.delete(around);
        }
    }

    /// The object is gone; whatever still runs is killed without a word.
    pub(super) fn gone(&mut self, around: &mut Surroundings<'_, '_>) {
        self.give_up_pull(around);
        if around.setup.metrics_server.is_some() {
            self.tell_of_work(None, false, around);
        }
    }

    /// A step has taken its time.
    pub(super) fn handle(&mut self, event: PodEvent, around: &mut Surroundings<'_, '_>) {
        match event {
            PodEvent::Report => self.report_now(around),
            PodEvent::Stopped => self.stopped(around),
            _ if self.stage >= Stage::Terminating => {}
            PodEvent::Admitted => {}
            PodEvent::SandboxReady => self.sandbox_ready(around),
            PodEvent::Mount if self.stage == Stage::Volumes => self.mount(around),
            PodEvent::Mount => {}
            PodEvent::Pull => self.pull(around),
            PodEvent::PullEnded => self.pull_ended(around),
            PodEvent::Retry => self.start_next(around),
            PodEvent::Created => self.created(around),
            PodEvent::Started => self.started(around),
            PodEvent::Ready(n) => self.became_ready(n.into(), around),
            PodEvent::Ended(n) => self.ended(n.into(), around),
            PodEvent::Restart(n) => self.restart(n.into(), around),
        }
    }

    /// The pod is taken. When it was taken first counts, also for later kubelets.
    pub(super) fn admit(&mut self, around: &mut Surroundings<'_, '_>) {
        self.stage = Stage::Admitted;
        self.admitted = Some(self.pod().status.start_time.unwrap_or(around.now()));
        self.note(PodStep::Admitted, "", around);
        self.report_now(around);
    }

    /// The first status is stored: volumes next, of which only the token's needs the API server.
    pub(super) fn first_report_done(&mut self, around: &mut Surroundings<'_, '_>) {
        if self.stage != Stage::Admitted {
            return;
        }
        if self.next().is_none() {
            // All it had to run has ended, before the machine was booted.
            self.stage = Stage::Containers;
            return;
        }
        if self.init_containers.iter().chain(&self.containers).any(|container| container.last.is_some()) {
            let (agent, regarding) = (around.agent(), self.object.reference());
            let message = "Pod sandbox changed, it will be killed and re-created.";
            around.recorder.record(agent, regarding, EventType::Normal, "SandboxChanged", message.into(), around.out);
        }
        self.stage = Stage::Volumes;
        self.mount(around);
    }

    /// The volumes, one after the other.
    pub(super) fn mount(&mut self, around: &mut Surroundings<'_, '_>) {
        if let Some(need) = needs::of_volumes(&self.pod().spec.api).get(self.mounted) {
            return self.ask_for(need, Purpose::Volume(self.uid), around);
        }
        if self.pod().token.is_none() {
            return self.start_sandbox(around);
        }
        let account = self.pod().spec.api.service_account_name.as_deref().unwrap_or("default");
        let key = Key { namespace: self.pod().meta.namespace.clone(), name: account.into() };
        let call = Call {
            verb: Verb::Create,
            kind: Kind::ServiceAccount,
            subresource: Subresource::Token,
            key,
            body: Body::None,
        };
        let number = around.connection.send(around.agent(), call, Duration::ZERO, around.out);
        around.requests.insert(number, Purpose::Token(self.uid));
    }

    /// The token is there, or is not: then the volume is set up again after a while, and longer each time.
    pub(super) fn token_came(&mut self, result: Outcome, around: &mut Surroundings<'_, '_>) {
        if self.stage != Stage::Volumes {
            return;
        }
        if result.is_err() {
            return self.mount_later(around);
        }
        let key = Key { namespace: self.pod().meta.namespace.clone(), name: "kube-root-ca.crt".into() };
        let number =
            around.connection.send(around.agent(), Call::get(Kind::ConfigMap, key), Duration::ZERO, around.out);
        around.requests.insert(number, Purpose::RootCa(self.uid));
    }

    pub(super) fn root_ca_came(&mut self, result: Outcome, around: &mut Surroundings<'_, '_>) {
        if self.stage == Stage::Volumes {
            if result.is_err() { self.mount_later(around) } else { self.start_sandbox(around) }
        }
    }

    pub(super) fn mount_later(&mut self, around: &mut Surroundings<'_, '_>) {
        let (first, longest) = MOUNT_RETRY;
        let mut wait = first;
        for _ in 0..self.mounts_failed.min(16) {
            wait = wait.times(2).min(longest);
        }
        self.mounts_failed += 1;
        around.after(wait, self.uid, PodEvent::Mount);
    }

    fn start_sandbox(&mut self, around: &mut Surroundings<'_, '_>) {
        self.stage = Stage::Sandbox;
        let wait = around.draw(&around.setup.profile.kubelet.sandbox, "sandbox", self.pod(), 0);
        around.after(wait, self.uid, PodEvent::SandboxReady);
    }

    fn sandbox_ready(&mut self, around: &mut Surroundings<'_, '_>) {
        self.stage = Stage::Containers;
        self.sandbox = true;
        let network = u32::from(node::pod_network(around.index));
        self.ip = Some(Ipv4Addr::from(network + *around.next_ip));
        *around.next_ip = if *around.next_ip >= 254 { 2 } else { *around.next_ip + 1 };
        self.note(PodStep::SandboxReady, "", around);
        self.report_soon(around);
        self.start_next(around);
    }

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

    fn pull_policy(&self, n: usize) -> Option<&str> {
        let spec = &self.pod().spec.api;
        spec.init_containers.iter().flatten().chain(&spec.containers).nth(n)?.image_pull_policy.as_deref()
    }

    /// It is this pod's turn.
    fn pull(&mut self, around: &mut Surroundings<'_, '_>) {
        let Some(n) = self.current else { return };
        let image = self.locate(n).1.image.clone();
        let waited_since = self.pull_began.map_or(around.out.now(), |(since, _)| since);
        self.pull_began = Some((waited_since, around.out.now()));
        self.pulls += 1;
        let present = around.images.has(&pod_terms::with_tag(&image));
        let takes = match images::pull(around.setup, &image, present, &self.pod().meta.name, self.pulls) {
            Registry::Has { takes, size } => {
                self.pull_size = size;
                self.pull_error = None;
                takes
            }
            Registry::Lacks { takes, error } => {
                self.pull_error = Some(error.into());
                takes
            }
        };
        around.after(takes, self.uid, PodEvent::PullEnded);
    }

    fn pull_ended(&mut self, around: &mut Surroundings<'_, '_>) {
        let Some(n) = self.current else { return };
        let image = self.locate(n).1.image.clone();
        let (waited_since, began) = self.pull_began.take().unwrap_or((around.out.now(), around.out.now()));
        self.give_up_pull(around);
        if let Some(error) = self.pull_error.take() {
            return self.pull_failed(n, &image, &error, around);
        }
        around.images.add(&pod_terms::with_tag(&image), self.pull_size);
        let now = around.out.now();
        let took = |since: Instant| go_seconds(now.since(since));
        let message = format!(
            "Successfully pulled image \"{image}\" in {} ({} including waiting). Image size: {} bytes.",
            took(began),
            took(waited_since),
            self.pull_size
        );
        self.note(PodStep::Pulled, &image, around);
        self.event(EventType::Normal, "Pulled", message, n, around);
        self.configure(around);
    }

    fn pull_failed(&mut self, n: usize, image: &str, error: &str, around: &mut Surroundings<'_, '_>) {
        self.note(PodStep::PullFailed, image, around);
        self.event(EventType::Warning, "Failed", format!("Failed to pull image \"{image}\": {error}"), n, around);
        self.event(EventType::Warning, "Failed", "Error: ErrImagePull".to_owned(), n, around);
        self.backoff.failed(around.out.now());
        self.container_mut(n).run = Run::Waiting { reason: "ErrImagePull".into(), message: error.to_owned().into() };
        self.report_now(around);
        self.pull_error = Some(error.into());
        // The next sync of the pod finds the image backing off.
        around.after(BACK_OFF_SEEN, self.uid, PodEvent::Retry);
    }

    /// The image is in back-off: say so, and try again at a later sync.
    fn wait_for_image(&mut self, n: usize, around: &mut Surroundings<'_, '_>) {
        let image = self.locate(n).1.image.clone();
        let error = self.pull_error.as_deref().unwrap_or_default();
        let message = format!("Back-off pulling image \"{image}\": ErrImagePull: {error}");
        self.event(EventType::Normal, "BackOff", format!("Back-off pulling image \"{image}\""), n, around);
        self.event(EventType::Warning, "Failed", "Error: ImagePullBackOff".to_owned(), n, around);
        self.container_mut(n).run = Run::Waiting { reason: "ImagePullBackOff".into(), message: message.into() };
        self.report_now(around);
        let wait = around.draw(&around.setup.profile.kubelet.resync, "resync", self.pod(), self.pulls);
        around.after(wait, self.uid, PodEvent::Retry);
    }

    fn give_up_pull(&mut self, around: &mut Surroundings<'_, '_>) {
        if let Some(next) = around.images.end_turn(self.uid) {
            around.after(Duration::ZERO, next, PodEvent::Pull);
        }
    }

    pub(super) fn create(&mut self, around: &mut Surroundings<'_, '_>) {
        let n = self.current.map_or(0, |n| self.turn(n));
        let wait = around.draw(&around.setup.profile.kubelet.create, "create", self.pod(), n);
        around.after(wait, self.uid, PodEvent::Created);
    }

    fn created(&mut self, around: &mut Surroundings<'_, '_>) {
        let Some(n) = self.current else { return };
        let name = self.locate(n).1.name.clone();
        self.note(PodStep::ContainerCreated, &name, around);
        self.event(EventType::Normal, "Created", "Container created".to_owned(), n, around);
        let wait = around.draw(&around.setup.profile.kubelet.start, "start", self.pod(), self.turn(n));
        around.after(wait, self.uid, PodEvent::Started);
    }

    fn started(&mut self, around: &mut Surroundings<'_, '_>) {
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
        let name = container.name.clone();
        self.note(PodStep::ContainerStarted, &name, around);
        self.event(EventType::Normal, "Started", "Container started".to_owned(), n, around);
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

    fn became_ready(&mut self, n: usize, around: &mut Surroundings<'_, '_>) {
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

    fn ended(&mut self, n: usize, around: &mut Surroundings<'_, '_>) {
        let now = around.now();
        let exit_code = if let Program::Ends(_, code) = self.program(n) { code } else { 0 };
        let container = self.container_mut(n);
        let Run::Running { started, id, .. } = container.run else { return };
        container.run = Run::Ended { exit_code, started, finished: now, id };
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

    /// The pod is being deleted: the containers get the signal.
    fn terminate(&mut self, around: &mut Surroundings<'_, '_>) {
        self.stage = Stage::Terminating;
        self.give_up_pull(around);
        self.note(PodStep::Killing, "", around);
        let init = self.init_containers.len();
        let running: Vec<usize> = (0..init + self.containers.len())
            .filter(|n| matches!(self.locate(*n).1.run, Run::Running { .. }))
            .collect();
        for n in &running {
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

    fn stopped(&mut self, around: &mut Surroundings<'_, '_>) {
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

/// Exit code after SIGKILL.
const KILLED: i32 = 137;
/// First and longest wait before a volume is tried again; Kubernetes: pkg/util/goroutinemap/exponentialbackoff, 500 ms to 2 min 2 s.
const MOUNT_RETRY: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(122));
/// From a failed pull to the sync that finds the image in back-off: as the played kubelets of the recordings do it, no figure of upstream's.
const BACK_OFF_SEEN: Duration = Duration::from_millis(500);
/// Ending a pod of which nothing runs: likewise read off the recordings' played kubelets.
const NOTHING_TO_STOP: Duration = Duration::from_millis(30);

/// A duration as Go prints it, cut to milliseconds: `2.001s`, `350ms`.
fn go_seconds(duration: Duration) -> String {
    let ms = duration.as_nanos() / 1_000_000;
    if ms < 1_000 {
        return format!("{ms}ms");
    }
    let (minutes, rest) = (ms / 60_000, ms % 60_000);
    let seconds = format!("{}.{:03}", rest / 1_000, rest % 1_000);
    let seconds = seconds.trim_end_matches('0').trim_end_matches('.');
    if minutes > 0 { format!("{minutes}m{seconds}s") } else { format!("{seconds}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_printed_as_go_does() {
        let print = |ms| go_seconds(Duration::from_millis(ms));
        assert_eq!([print(2_000), print(2_001), print(350), print(61_500)], ["2s", "2.001s", "350ms", "1m1.5s"]);
    }
}
