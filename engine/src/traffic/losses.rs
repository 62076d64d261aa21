//! When requests are being lost: from the first until a while without another one. Single requests are not in the trace; these are.

use std::sync::Arc;

use super::flow::{Flow, Loss};
use crate::client::Agent;
use crate::event::Effects;
use crate::kernel::out::RecordId;
use crate::kernel::{Duration, Instant};
use crate::objects::Kind;
use crate::trace::note::{Passing, TrafficStep};
use crate::trace::{Note, What};

/// So long without a loss, and the window is over.
const CALM: Duration = Duration::from_secs(2);

/// Losses that belong together.
#[derive(Clone, Debug)]
pub struct Window {
    /// When the first was noticed by its client.
    pub began: Instant,
    /// When the last one was.
    pub last: Instant,
    /// How many, by [`Loss`].
    pub lost: [u64; 4],
    record: RecordId,
}

impl Flow {
    /// A request was lost at an endpoint because of a record; empty `at`: it came to none.
    pub(super) fn note_loss(
        &mut self,
        number: u32,
        (why, reason): (Loss, RecordId),
        when: Instant,
        at: &dyn Fn() -> Arc<str>,
        out: &mut Effects,
    ) {
        if self.losing.is_none() {
            let reason = if reason == RecordId::default() { self.record } else { reason };
            out.because(reason);
            let record = out.note(self.note(number, TrafficStep::Loses, at(), Some(why), [0; 4], Duration::ZERO));
            self.losing = Some(Window { began: when, last: when, lost: [0; 4], record });
        }
        if let Some(window) = &mut self.losing {
            window.last = window.last.max(when);
            if let Some(count) = window.lost.get_mut(why as usize) {
                *count += 1;
            }
        }
    }

    /// Ends the window of losses once it has been calm for a while, or, with `over`, at once.
    pub(super) fn close_window(&mut self, number: u32, now: Instant, over: bool, out: &mut Effects) {
        let done = self.losing.take_if(|window| over || now.since(window.last) >= CALM);
        if let Some(window) = done {
            out.because(window.record);
            let lasted = window.last.since(window.began);
            out.note(self.note(number, TrafficStep::Lost, "".into(), None, window.lost, lasted));
        }
    }

    pub(super) fn note(
        &self,
        number: u32,
        step: TrafficStep,
        at: Arc<str>,
        why: Option<Loss>,
        lost: [u64; 4],
        lasted: Duration,
    ) -> Note {
        let passing = Passing { flow: self.spec.name.clone(), step, at, why, lost, lasted };
        let what = What::Traffic(Box::new(passing));
        Note::about(Agent::Traffic(number + 1), Kind::Service, self.spec.service.clone(), what)
    }
}
