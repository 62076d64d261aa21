//! A node that shuts down in good order: it says so, takes no more pods, ends those it has, the critical ones last, and is off.
//!
//! Models: kubernetes v1.36.2 pkg/kubelet/nodeshutdown/{nodeshutdown_manager,nodeshutdown_manager_linux}.go. Without a grace period
//! (shutdownGracePeriod 0, the default) the kubelet does not take part, and the machine goes off under its pods. Left out: grace periods by
//! priority, the wait for volumes, a shutdown that is called off.
//!
//! A kubelet that hangs meanwhile holds the machine up no longer than the grace period, for which it has logind's delay; one that ends, not
//! at all (`world/machines.rs`).

use super::fate::Fate;
use super::pod_worker::{PodWorker, Stage};
use super::{Kubelet, KubeletEvent, phase, pod_of};
use crate::event::{Effects, Event};
use crate::kernel::{Duration, Instant};
use crate::objects::Uid;
use crate::objects::event::EventType;
use crate::setup::Setup;

/// Pods of this priority and above end last; Kubernetes: SystemCriticalPriority.
pub(super) const CRITICAL: i32 = 2_000_000_000;
/// Why the pods end.
const WHY: &str = "Pod was terminated in response to imminent node shutdown.";
/// From the end of the last pod to the end of power: an estimate of what the other services of a machine take.
pub const POWER_OFF: Duration = Duration::from_secs(2);

/// Where a shutdown stands.
#[derive(Clone, Debug)]
pub(super) struct ShuttingDown {
    /// When it began.
    pub(super) since: Instant,
    /// How far it is: normal pods, critical pods, off.
    step: u8,
    /// The pods that are ending, and until when they are waited for.
    ending: Vec<Uid>,
    until: Instant,
}

impl Kubelet {
    /// The machine is told to shut down.
    pub(super) fn begin_shutdown(&mut self, setup: &Setup, out: &mut Effects) {
        if self.shutting_down.is_some() {
            return;
        }
        self.say_of_node(EventType::Normal, "Shutdown", "Shutdown manager detected shutdown event".to_owned(), out);
        let since = super::second(out.wall());
        self.shutting_down = Some(ShuttingDown { since, step: 0, ending: Vec::new(), until: out.now() });
        self.node_event("NodeNotReady", out);
        self.report_node(setup, out);
        self.go_on_with_shutdown(setup, out);
    }

    /// The next pods end, if those before have, or have had their time.
    pub(super) fn go_on_with_shutdown(&mut self, setup: &Setup, out: &mut Effects) {
        let all = setup.kubelet.shutdown_grace;
        let critical = setup.kubelet.shutdown_grace_critical.min(all);
        loop {
            let Some(state) = &self.shutting_down else { return };
            let gone = |uid: &Uid| self.pods.get(uid).is_none_or(|worker| worker.stage >= Stage::Terminated);
            if !state.ending.iter().all(gone) && out.now() < state.until {
                return;
            }
            let step = state.step;
            if step > 2 {
                return;
            }
            let grace = if step == 0 { Duration::from_nanos(all.as_nanos() - critical.as_nanos()) } else { critical };
            let pods = if step < 2 { self.of_step(step) } else { Vec::new() };
            let until = out.now() + grace;
            self.shutting_down =
                self.shutting_down.take().map(|it| ShuttingDown { step: step + 1, ending: pods.clone(), until, ..it });
            if step == 2 {
                return out.after(POWER_OFF, Event::PowerOff(self.index, self.boots));
            }
            let seconds = grace.as_nanos() / 1_000_000_000;
            for uid in &pods {
                self.with_worker(*uid, setup, out, |worker, around| {
                    let own = worker.grace_of_spec().max(0) as u64;
                    let grace = own.min(seconds);
                    worker.end_by(
                        Fate { reason: "Terminated", message: WHY.into(), disruption: WHY.into(), grace },
                        around,
                    );
                });
            }
            if !pods.is_empty() {
                return out.at(until, Event::Kubelet(self.index, KubeletEvent::ShutdownGoesOn));
            }
        }
    }

    /// The pods that end in a step.
    fn of_step(&self, step: u8) -> Vec<Uid> {
        let priority = |uid: &Uid| self.pods.get(uid).map_or(0, |worker| pod_of(&worker.object).spec.terms.priority);
        // What has ended by itself stays as it ended.
        let alive = |worker: &PodWorker| {
            worker.stage < Stage::Terminated && (worker.stage >= Stage::Terminating || !phase::of(worker).terminal())
        };
        let alive = self.pods.iter().filter(|(_, worker)| alive(worker)).map(|(uid, _)| *uid);
        alive.filter(|uid| (priority(uid) >= CRITICAL) == (step == 1)).collect()
    }
}
