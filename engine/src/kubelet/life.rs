//! A container's program since it was started: when it ends, of itself, for want of memory, or because it is told to.
//!
//! Models: nothing of Kubernetes but the container runtime's part: a program that ends by itself, the kernel's OOM killer in the
//! container's cgroup, SIGTERM, and SIGKILL when patience ends.

use std::sync::Arc;

use super::pod_worker::{PodEvent, PodWorker, Run};
use super::program::{self, Program};
use super::termination::Stop;
use super::{Surroundings, memory};
use crate::kernel::{Duration, Instant};

/// Exit code after SIGKILL.
pub(super) const KILLED: i32 = 137;

/// A container's program since it was started the last time.
#[derive(Clone, Debug, Default)]
pub(super) struct Life {
    /// When it began, to the nanosecond.
    pub(super) begun: Instant,
    /// Which it is of all lives of containers on this node.
    pub(super) number: u32,
    /// From when on it takes connections.
    pub(super) listens: Instant,
    /// When it was sent SIGTERM.
    pub(super) signalled: Option<Instant>,
    /// It serves until its end, SIGTERM or not.
    pub(super) drains: bool,
    /// It has ended, though no kubelet may have noticed.
    pub(super) over: bool,
    /// Its postStart hook is not over yet.
    pub(super) hooked: bool,
    /// It has started as the API has it: its startup probe, if any, has succeeded.
    pub(super) up: bool,
    /// How it ends, as far as that is known.
    pub(super) ending: Option<Ending>,
    /// It is being stopped.
    pub(super) stop: Option<Stop>,
    /// What a script had it print.
    pub(super) printed: Vec<(Instant, Arc<str>)>,
}

/// How a container ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Ending {
    pub(super) at: Instant,
    pub(super) code: i32,
    /// The kernel kills it, as it has more memory than its limit.
    pub(super) oom: bool,
}

impl PodWorker {
    /// The n-th container's program has begun: when it will end if nobody stops it.
    pub(super) fn plan_end(&mut self, n: usize, around: &mut Surroundings<'_, '_>) {
        let begun = self.locate(n).1.life.begun;
        let (init, sidecar) = (n < self.init_containers.len(), self.locate(n).1.sidecar);
        let timing = &around.setup.profile.kubelet;
        let ends = match self.program(n) {
            Program::Ends(after, code) => Some((after, code)),
            Program::Forever => None,
            Program::Unknown if sidecar => None,
            Program::Unknown if init => Some((around.draw(&timing.init, "init", self.pod(), self.turn(n)), 0)),
            Program::Unknown if self.policy() == "Always" => None,
            Program::Unknown => Some((around.draw(&timing.job, "job", self.pod(), self.turn(n)), 0)),
        };
        if let Some((after, code)) = ends {
            self.ends_by(n, Ending { at: begun + after, code, oom: false }, around);
        }
        if let Some(at) = self.spec_of(n).and_then(|spec| memory::out_of_memory(spec, &self.pod().meta, begun)) {
            self.ends_by(n, Ending { at, code: KILLED, oom: true }, around);
        }
    }

    /// The n-th container ends in this way, unless it has ended before.
    pub(super) fn ends_by(&mut self, n: usize, ending: Ending, around: &mut Surroundings<'_, '_>) {
        let life = &mut self.container_mut(n).life;
        if life.ending.is_some_and(|known| known.at <= ending.at) {
            return;
        }
        life.ending = Some(ending);
        let number = life.number;
        around.after(ending.at.since(around.out.now()), self.uid, PodEvent::Ended(n as u16, number));
    }

    /// SIGTERM for the n-th container, and SIGKILL if it has not ended when `patience` does.
    pub(super) fn signal(&mut self, n: usize, patience: Duration, around: &mut Surroundings<'_, '_>) {
        let now = around.out.now();
        let name = self.locate(n).1.name.clone();
        let (obeys, code) = program::stops(&self.pod().meta, &name).unwrap_or_else(|| {
            // The containers of a pod that ends obey together.
            let address = if self.ends_as_a_whole(n) { 0 } else { 1 + self.turn(n) };
            (around.draw(&around.setup.profile.kubelet.termination, "termination", self.pod(), address), 0)
        });
        let ending = match obeys > patience {
            true => Ending { at: now + patience, code: KILLED, oom: false },
            false => Ending { at: now + obeys, code, oom: false },
        };
        self.container_mut(n).life.signalled = Some(now);
        self.ends_by(n, ending, around);
        self.plan_all(n, around);
    }

    /// Whether the n-th container's program has ended in the life of that number; how, then.
    pub(super) fn has_ended(&self, n: usize, number: u32, now: Instant) -> Option<Ending> {
        let container = self.containers().nth(n)?;
        let alive = matches!(container.run, Run::Running { .. }) && container.life.number == number;
        container.life.ending.filter(|ending| alive && ending.at <= now)
    }
}
