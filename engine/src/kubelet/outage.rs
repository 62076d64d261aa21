//! What is left when the process is gone, and when the whole machine is.
//!
//! Containers outlive their kubelet: the next one finds them, learns from the API server which pods it should have, ends those that are
//! to be deleted and drops those that are gone. They do not outlive a loss of power: of them the disk only tells that they
//! were. After the boot each pod gets a new sandbox, runs its init containers again, and counts a restart of every container.
//!
//! Models: kubernetes v1.36.2 pkg/kubelet/{kubelet,kubelet_pods}.go (HandlePodCleanups), kuberuntime/kuberuntime_manager.go
//! (computePodActions: a sandbox that is gone); exit code and reason of containers whose end nobody saw: containerd,
//! internal/cri/server/restart.go (unknownExitCode 255, unknownExitReason).

use super::node::node_reference;
use super::pod_worker::{Container, PodEvent, PodWorker, Run, Stage};
use super::{Kubelet, pod_of, statics, status};
use crate::client::{Informer, Recorder, Store};
use crate::event::Effects;
use crate::kernel::Instant;
use crate::objects::event::EventType;
use crate::objects::{Kind, Text, Uid};
use crate::setup::Setup;
use crate::trace::{Note, What};

/// The exit code of a container whose end nobody saw.
pub(super) const UNKNOWN_EXIT: i32 = 255;

/// The containers of a pod before the machine lost its power: init containers first.
#[derive(Clone, Debug)]
pub(super) struct Past {
    init_containers: Vec<Container>,
    containers: Vec<Container>,
}

impl Kubelet {
    /// The number of its next request to the API server.
    pub fn next_request(&self) -> u64 {
        self.connection.next()
    }

    /// The process is gone; containers and images are not. A pod that was not yet running is begun anew by the next process.
    pub fn crash(&mut self) {
        self.connection.reopen();
        self.recorder = Recorder::new("kubelet", &self.name);
        self.informer = Informer::new(Kind::Pod, Store::default(), self.informer.options().clone());
        self.node.forget();
        self.requests.clear();
        self.pods.retain(|_, worker| worker.survives());
        self.images.forget_turns();
        self.evictions.forget();
        self.shutting_down = None;
        self.preempting.clear();
        self.forget_mirrors();
        self.running = false;
    }

    /// How often its machine has lost its power.
    pub fn boots(&self) -> u32 {
        self.boots
    }

    /// The machine is without power, and its kubelet gone: no container runs any more.
    pub fn lose_power(&mut self) {
        self.boots += 1;
        self.missed.clear();
        for (uid, worker) in std::mem::take(&mut self.pods) {
            let past = Past { init_containers: worker.init_containers, containers: worker.containers };
            self.pasts.insert(uid, past);
        }
    }

    /// The process starts.
    pub(super) fn start(&mut self, setup: &Setup, out: &mut Effects) {
        out.note(Note::new(self.agent(), What::Started));
        self.running = true;
        self.say_of_node(EventType::Normal, "Starting", "Starting kubelet.".to_owned(), out);
        if self.node.booted(self.boots) {
            let mut luck = setup.luck("kubelet", "boot", &self.name, self.boots.into());
            let boot = Uid::random(u128::from(luck.bits()) << 64 | u128::from(luck.bits()));
            let message = format!("Node {} has been rebooted, boot id: {boot}", self.name);
            self.say_of_node(EventType::Warning, "Rebooted", message, out);
        }
        let uids: Vec<Uid> = self.pods.keys().copied().collect();
        for uid in uids {
            self.with_worker(uid, setup, out, |worker, _| worker.found_again());
        }
        for (uid, event) in std::mem::take(&mut self.missed) {
            self.pod_event(uid, event, setup, out);
        }
        self.find_statics(setup, out);
        self.read_directory(setup, out);
        self.start_evictions(setup, out);
        self.start_collecting(setup, out);
        self.register(setup, out);
        self.informer.start(self.agent(), &mut self.connection, out);
    }

    /// Pods that are gone from the API server are gone from the node.
    pub(super) fn clean_up(&mut self, setup: &Setup, out: &mut Effects) {
        let known = |worker: &PodWorker| {
            // Another pod may have its name by now.
            let named = self.informer.store.get(&worker.object.key());
            statics::is_static(worker.pod()) || named.is_some_and(|named| named.meta().uid == worker.uid)
        };
        let orphans: Vec<Uid> = self.pods.iter().filter(|(_, worker)| !known(worker)).map(|(uid, _)| *uid).collect();
        for uid in orphans {
            self.with_worker(uid, setup, out, PodWorker::gone);
            self.pods.remove(&uid);
        }
        self.pasts.clear();
    }

    /// Tells people something of the node.
    pub(super) fn say_of_node(&mut self, kind: EventType, reason: &'static str, message: String, out: &mut Effects) {
        self.recorder.record(self.agent(), node_reference(&self.name), kind, reason, message.into(), out);
    }
}

impl PodWorker {
    /// Whether it needs no kubelet to be what it is: everything it is to run runs, or it ends.
    fn survives(&self) -> bool {
        self.stage >= Stage::Terminating || self.stage == Stage::Containers && self.next().is_none()
    }

    /// What becomes of its containers without a kubelet.
    pub(super) fn went_on(&mut self, event: PodEvent, now: Instant) {
        match event {
            PodEvent::Ended(n, number) if self.has_ended(n.into(), number, now).is_some() => {
                self.container_mut(n.into()).life.over = true;
            }
            _ => {}
        }
    }

    /// The pod's containers died with the machine's power; the boot is at `now`.
    pub(super) fn remember(&mut self, past: Past, now: Instant) {
        let policy = pod_of(&self.object).spec.api.restart_policy.as_deref().unwrap_or("Always");
        let deleting = pod_of(&self.object).meta.deleting();
        let again = |exit_code: i32| !deleting && (policy == "Always" || policy == "OnFailure" && exit_code != 0);
        let dead: Vec<Container> = past.containers.into_iter().map(|container| container.died(now)).collect();
        let anew = |container: &Container| match container.run {
            Run::Ended { exit_code, .. } => again(exit_code),
            _ => !deleting,
        };
        let any = dead.iter().any(anew);
        self.containers = dead.into_iter().map(|it| if anew(&it) { it.anew() } else { it }).collect();
        let dead = past.init_containers.into_iter().map(|container| container.died(now));
        self.init_containers = dead.map(|container| if any { container.anew() } else { container }).collect();
    }
}

impl Container {
    /// Its state if it lost its power while it ran.
    fn died(mut self, now: Instant) -> Self {
        if let Run::Running { started, id, .. } = self.run {
            self.run = Run::Ended { exit_code: UNKNOWN_EXIT, oom: false, started, finished: now, id };
        }
        self
    }

    /// It is to be started again, if it ever was.
    fn anew(mut self) -> Self {
        let ended = match self.run {
            Run::Ended { exit_code, oom, started, finished, id } => {
                self.last = Some(status::terminated(exit_code, oom, started, finished, id));
                true
            }
            // Its end is told already; how long it was to wait is not known to a new kubelet.
            _ => self.crashes.waits,
        };
        if ended {
            self.restarts += 1;
            self.crashes = Default::default();
            self.run = Run::Waiting { reason: Text::default(), message: Text::default() };
        }
        self
    }
}
