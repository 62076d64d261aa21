//! A pod's life on its node, step by step.
//!
//! Models: kubernetes v1.36.2 pkg/kubelet/pod_workers.go, kuberuntime/kuberuntime_manager.go (SyncPod order): admission, first status,
//! `volumes` and sandbox, `containers` one after the other (`pulls`, create, start); then `termination`.

use std::net::Ipv4Addr;
use std::sync::Arc;

use k8s_openapi::api::core::v1 as api;

use super::admission::Rejection;
use super::fate::Fate;
use super::life::Life;
use super::logs::Log;
use super::probes::{Probes, Which};
use super::pulls::Pulling;
use super::report::Reporting;
use super::{Surroundings, phase, pod_of, restart};
use crate::event::Event;
use crate::kernel::{Duration, Instant};
use crate::metrics_server::{MetricsEvent, PodChange};
use crate::objects::event::EventType;
use crate::objects::pod_terms;
use crate::objects::{ContainerState, Kind, Name, Object, Pod, Text, Uid};
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
    /// Images that could not be had may be tried again.
    PullAgain,
    /// Time to try what failed again.
    Retry,
    /// The container is created.
    Created,
    /// The container runs.
    Started,
    /// The container, which has no readiness probe, takes work; whose, and which of its lives it was meant for.
    Ready(u16, u32),
    /// A probe's result is there.
    Probe(u16, Which),
    /// The container's postStart hook is over.
    PostStarted(u16, u32),
    /// Its preStop hook is over, or its time.
    PreStopped(u16, u32),
    /// The sidecar has waited for the other containers' ends as long as it can.
    Turn(u16, u32),
    /// The pod has been active as long as it may.
    Deadline,
    /// The container's program takes connections from now on; whose, and which of its lives it was meant for.
    Listening(u16, u32),
    /// The container has ended.
    Ended(u16, u32),
    /// Time to start a container again.
    Restart(u16),
    /// There was nothing to stop.
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
    pub(super) life: Life,
    pub(super) probes: Option<Box<Probes>>,
    /// What its life before printed.
    pub(super) earlier: Option<Box<Log>>,
}

/// What a container does.
#[derive(Clone, Debug)]
pub(super) enum Run {
    Waiting { reason: Text, message: Text },
    Running { started: Instant, id: u64, ready: bool },
    Ended { exit_code: i32, oom: bool, started: Instant, finished: Instant, id: u64 },
}

impl Container {
    fn of(spec: &api::Container) -> Self {
        let run = Run::Waiting { reason: Text::default(), message: Text::default() };
        let (name, image) = (spec.name.as_str().into(), spec.image.as_deref().unwrap_or("").into());
        let sidecar = pod_terms::requests::is_sidecar(spec);
        Container {
            name,
            image,
            run,
            restarts: 0,
            last: None,
            sidecar,
            crashes: restart::Crashes::default(),
            life: Life::default(),
            probes: Probes::of(spec),
            earlier: None,
        }
    }

    /// Whether an init container leaves the way free for the next.
    pub(super) fn passed(&self) -> bool {
        match self.run {
            Run::Ended { exit_code, .. } => exit_code == 0 && !self.sidecar,
            Run::Running { .. } => self.sidecar && self.life.up,
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
    pub(super) found: bool,
    /// How it looks from outside.
    pub(super) outside: super::serving::Outside,
    pub(super) mounts_failed: u32,
    /// How many of the objects behind its volumes are there.
    pub(super) mounted: usize,
    /// How many of those behind the environment of the container that is being started.
    pub(super) configured: usize,
    /// How often an environment lacked something.
    pub(super) tries: u64,
    /// Why the kubelet ended it.
    pub(super) failure: Option<Box<Rejection>>,
    /// A regular container has been started in this sandbox.
    pub(super) initialized: bool,
    /// The regular containers are through: only sidecars are left, and they end.
    pub(super) finishing: bool,
    /// The container that is being started.
    pub(super) current: Option<usize>,
    /// Its pulls of images.
    pub(super) pulling: Pulling,
    /// The end that the kubelet itself decided on.
    pub(super) fate: Option<Box<Fate>>,
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
            outside: Default::default(),
            mounts_failed: 0,
            mounted: 0,
            configured: 0,
            tries: 0,
            failure: None,
            initialized: false,
            finishing: false,
            current: None,
            pulling: Pulling::default(),
            fate: None,
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

    /// All containers in the order of their start.
    pub(super) fn containers(&self) -> impl Iterator<Item = &Container> {
        self.init_containers.iter().chain(&self.containers)
    }

    /// Whether a container runs.
    pub(super) fn container_runs(&self, name: &str) -> bool {
        let container = self.containers().find(|container| &*container.name == name);
        container.is_some_and(|container| matches!(container.run, Run::Running { .. }) && !container.life.over)
    }

    /// What the pod's spec says of the n-th container.
    pub(super) fn spec_of(&self, n: usize) -> Option<&api::Container> {
        let spec = &self.pod().spec.api;
        spec.init_containers.iter().flatten().chain(&spec.containers).nth(n)
    }

    /// The container that is to start next. Before the first regular one, init containers come one by one; after it, each by itself.
    pub(super) fn next(&self) -> Option<usize> {
        let due = |container: &Container, n: usize| {
            matches!(container.run, Run::Waiting { .. }) && !container.crashes.waits && !self.pulling.lacks(n)
        };
        if self.finishing {
            return None;
        }
        if self.initialized {
            let mut all = self.containers().zip(0..);
            return all.find(|(it, n)| (it.sidecar || *n >= self.init_containers.len()) && due(it, *n)).map(|(_, n)| n);
        }
        if let Some(n) = self.init_containers.iter().position(|container| !container.passed()) {
            return Some(n).filter(|n| due(&self.init_containers[*n], *n));
        }
        let mut numbered = self.containers.iter().zip(self.init_containers.len()..);
        numbered.find(|(container, n)| due(container, *n)).map(|(_, n)| n)
    }

    /// A new kubelet finds its containers on the node; what it reports of them may be news.
    pub(super) fn found_again(&mut self) {
        self.reporting = Reporting::default();
        self.found = true;
        let containers = self.init_containers.iter_mut().chain(&mut self.containers);
        containers.for_each(|container| container.crashes = container.crashes.forgotten());
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
        let before = std::mem::replace(&mut self.object, object);
        // Somebody else says otherwise, as the node controller does of a node it has not heard of for a while: the next round
        // of the status manager puts it right (needsReconcile).
        if self.is_contradicted() {
            self.report_later(around);
        }
        if std::mem::take(&mut self.found) {
            self.report_soon(around);
            self.look_at_restarts(around);
            self.begin_pulls_anew(around);
            self.restart_probers(around);
            self.go_on_stopping(around);
            self.await_deadline(around);
        } else if !Arc::ptr_eq(&pod_of(&before).meta.annotations, &self.pod().meta.annotations) {
            self.look_at_health(around);
        }
        if self.pod().spec.api.readiness_gates.is_some()
            && pod_of(&before).status.conditions != self.pod().status.conditions
        {
            self.report_soon(around);
        }
        let alive = (Stage::Admitted..Stage::Terminating).contains(&self.stage);
        if self.pod().meta.deleting() && self.stage < Stage::Terminating {
            self.terminate(around);
        } else if self.stage == Stage::Seen && self.pod().status.phase.terminal() {
            *self = PodWorker::over(self.object.clone());
        } else if alive && self.pod().status.phase.terminal() && !phase::of(self).terminal() {
            // Somebody has said that it is over, maybe this kubelet before it ended.
            self.stop_all(self.grace_of_spec().max(0) as u64, around);
        } else if self.pod().meta.deleting() && self.stage == Stage::Terminating {
            self.hasten(around);
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
        self.outside.gone();
    }

    /// A step has taken its time.
    pub(super) fn handle(&mut self, event: PodEvent, around: &mut Surroundings<'_, '_>) {
        match event {
            PodEvent::Report => self.report_now(around),
            PodEvent::Stopped => self.stopped(around),
            PodEvent::Ended(n, number) => self.ended(n.into(), number, around),
            PodEvent::Probe(n, which) => self.probed(n.into(), which, around),
            PodEvent::PreStopped(n, number) => self.pre_stopped(n.into(), number, around),
            PodEvent::Turn(n, number) => self.turn_came(n.into(), number, around),
            // Whoever asks whether the pod listens hears it now.
            PodEvent::Listening(..) => {}
            _ if self.stage >= Stage::Terminating => {}
            PodEvent::Admitted => {}
            PodEvent::SandboxReady => self.sandbox_ready(around),
            PodEvent::Mount if self.stage == Stage::Volumes => self.mount(around),
            PodEvent::Mount => {}
            PodEvent::Pull => self.pull(around),
            PodEvent::PullAgain => self.pull_again(around),
            PodEvent::Retry => self.start_next(around),
            PodEvent::Created => self.created(around),
            PodEvent::Started => self.started(around),
            PodEvent::PostStarted(n, number) => self.post_started(n.into(), number, around),
            PodEvent::Ready(n, number) => self.became_ready(n.into(), number, around),
            PodEvent::Restart(n) => self.restart(n.into(), around),
            PodEvent::Deadline => self.deadline_came(around),
        }
    }

    /// The pod is taken. When it was taken first counts, also for later kubelets.
    pub(super) fn admit(&mut self, around: &mut Surroundings<'_, '_>) {
        self.stage = Stage::Admitted;
        self.admitted = Some(self.pod().status.start_time.unwrap_or(around.now()));
        self.note(PodStep::Admitted, "", around);
        self.await_deadline(around);
        self.report_now(around);
        if super::statics::is_static(self.pod()) {
            // Nobody is asked.
            self.first_report_done(around);
        }
    }

    /// Comes back when `activeDeadlineSeconds` are over, if the pod has any.
    fn await_deadline(&self, around: &mut Surroundings<'_, '_>) {
        let (Some(seconds), Some(since)) = (self.pod().spec.api.active_deadline_seconds, self.admitted) else { return };
        let at = since + Duration::from_secs(seconds.max(0) as u64);
        around.after(at.since(around.out.now()), self.uid, PodEvent::Deadline);
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
}
