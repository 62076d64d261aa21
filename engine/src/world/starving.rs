//! Processes that get less CPU than they need: throttled by a limit, or on a machine that others keep busy.
//!
//! Two things become of that. What is known to be computing (a scheduling cycle, a controller's work before a request) takes the
//! factor longer. And whatever comes for the process costs it some CPU time just to be taken notice of, one after the other: what
//! comes meanwhile waits, timers included, so that a process that gets far too little falls behind, and renews its lease too late in the end.
//! An API server's requests are served side by side; there only their steps take longer (`apiserver`).

use std::collections::{BTreeMap, VecDeque};

use super::World;
use crate::event::{Event, Queued};
use crate::kernel::out::RecordId;
use crate::kernel::{Duration, Endpoint, Instant};
use crate::process::Process;

/// The processes that starve.
pub(super) type Starving = BTreeMap<Process, Starved>;

/// A process that gets less CPU.
#[derive(Clone, Debug, Default)]
pub(super) struct Starved {
    /// How much longer its work takes. [hundredths above 100]
    slower: u64,
    busy_until: Instant,
    /// What waits until it has time, in order.
    waiting: VecDeque<Queued>,
}

/// CPU time of taking notice of an event on a healthy machine. – an estimate: decoding a watch event and handing it to its handlers.
const NOTICE: Duration = Duration::from_micros(100);

impl World {
    /// Gives a process less CPU; 100 is as the profile says.
    pub(super) fn slow_process(&mut self, process: Process, hundredths: u64) {
        if hundredths > 100 {
            self.starving.entry(process).or_default().slower = hundredths - 100;
        } else if let Some(starved) = self.starving.remove(&process) {
            starved.waiting.into_iter().for_each(|queued| self.handle(queued));
        }
    }

    /// How much longer the work of an endpoint's process takes. [hundredths]
    pub(super) fn slowness_of(&self, endpoint: Endpoint) -> u64 {
        if self.starving.is_empty() {
            return 0;
        }
        Process::at(endpoint).and_then(|process| self.starving.get(&process)).map_or(0, |starved| starved.slower)
    }

    /// Keeps an event for a process that has no time yet; otherwise the answer is the event.
    pub(super) fn starve(&mut self, event: Event, cause: RecordId, life: u32) -> Option<Event> {
        if self.starving.is_empty() {
            return Some(event);
        }
        // Containers and what starts them are other processes.
        if matches!(&event, Event::Kubelet(_, event) if event.of_the_runtime()) {
            return Some(event);
        }
        let Some(process) = Process::at(event.receiver()) else { return Some(event) };
        let Some(starved) = self.starving.get_mut(&process) else { return Some(event) };
        if starved.busy_until > self.now || !starved.waiting.is_empty() {
            starved.waiting.push_back(Queued { event, cause, life });
            if starved.waiting.len() == 1 {
                let at = starved.busy_until;
                self.push(at, process.endpoint(), Queued::anybody(Event::CpuFree(process), RecordId(0)));
            }
            return None;
        }
        starved.busy_until = self.now + NOTICE.fraction(starved.slower, 100);
        Some(event)
    }

    /// A process that starves has time for the next of what waits.
    pub(super) fn cpu_free(&mut self, process: Process) {
        let Some(starved) = self.starving.get_mut(&process) else { return };
        // A timer of an earlier life, or of another slowness.
        if starved.busy_until > self.now {
            return;
        }
        let Some(next) = starved.waiting.pop_front() else { return };
        starved.busy_until = self.now + NOTICE.fraction(starved.slower, 100);
        let again = (!starved.waiting.is_empty()).then_some(starved.busy_until);
        if let Some(at) = again {
            self.push(at, process.endpoint(), Queued::anybody(Event::CpuFree(process), RecordId(0)));
        }
        self.handle_now(next);
    }

    /// A process ends: what waits for it finds nobody.
    pub(super) fn forget_starving(&mut self, process: Process) -> VecDeque<Queued> {
        let Some(starved) = self.starving.get_mut(&process) else { return VecDeque::new() };
        starved.busy_until = self.now;
        std::mem::take(&mut starved.waiting)
    }
}
