//! Straight-line reconciles over asynchronous requests.
//!
//! A goroutine that calls the API server blocks until the reply; its stack is the state. Here a reconcile is a pure function of its
//! inputs and of the replies so far: it is run from its start with the recorded replies, and stops at the first request
//! that has none. What it asks for besides requests (events, expectations, requeues) counts once, when it is first reached. So the
//! state of a worker is a value: inputs and replies.

use super::connection::Call;
use crate::apiserver::request::Answer;
use crate::apiserver::status::Status;
use crate::kernel::{Duration, Instant};
use crate::objects::event::EventType;
use crate::objects::{Key, Kind, ObjectReference, Text};
use crate::trace::What;

/// Why a reconcile did not run to its end.
#[derive(Clone, Debug, PartialEq)]
pub enum Interrupt {
    /// It waits for replies.
    Waiting,
    /// It failed; the key is tried again with back-off.
    Failed(Text),
    /// It failed because its namespace goes away; there is no point in another try.
    Dropped(Text),
}

impl From<Status> for Interrupt {
    fn from(status: Status) -> Self {
        if status.is_namespace_terminating() {
            Interrupt::Dropped(status.message)
        } else {
            Interrupt::Failed(status.message)
        }
    }
}

/// The result of a step of a reconcile.
pub type Step<T> = Result<T, Interrupt>;

/// The result of a request.
pub type Outcome = Result<Answer, Status>;

/// What a reconcile asks for besides requests.
#[derive(Clone, Debug)]
pub enum Effect {
    /// An event for people.
    Event {
        /// About what.
        regarding: ObjectReference,
        /// Normal or warning.
        kind: EventType,
        /// A word.
        reason: &'static str,
        /// A sentence.
        message: String,
    },
    /// Expect so many creations.
    ExpectCreations(usize),
    /// Some expected creations will never come.
    CreationsFailed(usize),
    /// Expect these deletions.
    ExpectDeletions(Vec<Key>),
    /// Expect so many creations and these deletions.
    ExpectBoth(usize, Vec<Key>),
    /// An expected deletion will never come.
    DeletionFailed(Key),
    /// An object of this kind was written at this version: the next reconcile of the key waits until the cache has seen it.
    Wrote(Kind, u64),
    /// Reconcile the key again after this long.
    RequeueAfter(Duration),
    /// Reconcile the key again as after a failure.
    RequeueRateLimited,
    /// Say in the trace what was found; it is the cause of what follows.
    Note(What),
}

/// The effects of a run, of which the first ones have been carried out in earlier runs.
#[derive(Debug, Default)]
pub struct Asked {
    carried_out: usize,
    reached: usize,
    new: Vec<Effect>,
}

impl Asked {
    /// Asks for something; it is only made if it is new.
    pub fn ask(&mut self, effect: impl FnOnce() -> Effect) {
        if self.reached >= self.carried_out {
            self.new.push(effect());
        }
        self.reached += 1;
    }
}

/// What happens when the reply to one of several concurrent requests arrives, before the others have.
pub type Then<'a> = &'a dyn Fn(usize, &Outcome, &mut Asked);

/// The replies to the requests of a reconcile.
#[derive(Clone, Debug, Default)]
pub struct Answers {
    /// By the order in which the requests were made; `None` marks one that is still awaited.
    slots: Vec<Option<(Instant, Outcome)>>,
    /// Slots in the order in which the replies arrived.
    arrivals: Vec<usize>,
}

impl Answers {
    /// Makes room for the replies to `n` requests; returns the slot of the first.
    pub fn expect(&mut self, n: usize) -> usize {
        let first = self.slots.len();
        self.slots.resize_with(first + n, || None);
        first
    }

    /// A reply arrived.
    pub fn arrived(&mut self, slot: usize, at: Instant, outcome: Outcome) {
        if let Some(place @ None) = self.slots.get_mut(slot) {
            *place = Some((at, outcome));
            self.arrivals.push(slot);
        }
    }
}

/// A reconcile under way, as the function sees it.
pub struct Routine<'a> {
    started: Instant,
    answers: &'a Answers,
    cursor: usize,
    now: Instant,
    asked: Asked,
    /// Requests to send now.
    pub(crate) calls: Vec<Call>,
}

impl<'a> Routine<'a> {
    /// A run with the replies so far; the first `carried_out` effects have been carried out.
    pub fn new(started: Instant, answers: &'a Answers, carried_out: usize) -> Self {
        let asked = Asked { carried_out, ..Asked::default() };
        Routine { started, answers, cursor: 0, now: started, asked, calls: Vec::new() }
    }

    /// The instant of the last reply, or of the start.
    pub fn now(&self) -> Instant {
        self.now
    }

    /// When the reconcile began.
    pub fn started(&self) -> Instant {
        self.started
    }

    /// Sends a request and waits for the reply.
    pub fn call(&mut self, call: impl FnOnce() -> Call) -> Step<Outcome> {
        let mut call = Some(call);
        let mut outcomes = self.call_all(1, &mut |_| call.take().map(|call| call()), &|_, _, _| {})?;
        outcomes.pop().ok_or(Interrupt::Waiting)
    }

    /// Sends `n` requests at the same time and waits for all replies. `then` says what each reply brings about when it arrives.
    pub fn call_all(
        &mut self,
        n: usize,
        call: &mut dyn FnMut(usize) -> Option<Call>,
        then: Then<'_>,
    ) -> Step<Vec<Outcome>> {
        let answers = self.answers;
        let Some(slots) = answers.slots.get(self.cursor..self.cursor + n) else {
            self.calls = (0..n).filter_map(call).collect();
            return Err(Interrupt::Waiting);
        };
        // Replies of earlier requests have all arrived before these, so this is where those begin.
        let arrived = answers.arrivals.iter().skip(self.cursor).take(n);
        for (at, outcome, i) in arrived.filter_map(|&slot| {
            let (at, outcome) = answers.slots.get(slot)?.as_ref()?;
            Some((*at, outcome, slot.checked_sub(self.cursor)?))
        }) {
            self.now = self.now.max(at);
            then(i, outcome, &mut self.asked);
        }
        self.cursor += n;
        if slots.iter().any(Option::is_none) {
            return Err(Interrupt::Waiting);
        }
        Ok(slots.iter().flatten().map(|(_, outcome)| outcome.clone()).collect())
    }

    /// Tells people something; `message` is only made if it is new.
    pub fn event(
        &mut self,
        regarding: &ObjectReference,
        kind: EventType,
        reason: &'static str,
        message: impl FnOnce() -> String,
    ) {
        self.asked.ask(|| Effect::Event { regarding: regarding.clone(), kind, reason, message: message() });
    }

    /// Asks for anything else.
    pub fn ask(&mut self, effect: impl FnOnce() -> Effect) {
        self.asked.ask(effect);
    }

    /// Effects that have not been carried out yet.
    pub(crate) fn new_effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.asked.new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reconcile(routine: &mut Routine<'_>) -> Step<u16> {
        routine.ask(|| Effect::ExpectCreations(2));
        let mut get = |_| Some(Call::get(Kind::Pod, Key::new("a", "b")));
        let codes = routine.call_all(2, &mut get, &|_, outcome, asked| {
            if outcome.is_err() {
                asked.ask(|| Effect::CreationsFailed(1));
            }
        })?;
        routine.ask(|| Effect::RequeueAfter(Duration::ZERO));
        Ok(codes.iter().map(|code| code.as_ref().map_or_else(|status| status.code, |_| 200)).sum())
    }

    #[test]
    fn effects_count_once_and_requests_go_out_once() {
        let missing = || Err(Status::not_found(Kind::Pod, "b"));
        let mut answers = Answers::default();
        let mut routine = Routine::new(Instant::START, &answers, 0);
        assert_eq!(reconcile(&mut routine), Err(Interrupt::Waiting));
        assert_eq!((routine.calls.len(), routine.new_effects().len()), (2, 1));

        assert_eq!(answers.expect(2), 0);
        answers.arrived(1, Instant::from_nanos(5), missing());
        let mut routine = Routine::new(Instant::START, &answers, 1);
        assert_eq!(reconcile(&mut routine), Err(Interrupt::Waiting));
        assert_eq!((routine.calls.len(), routine.new_effects().len(), routine.now()), (0, 1, Instant::from_nanos(5)));

        answers.arrived(0, Instant::from_nanos(7), missing());
        let mut routine = Routine::new(Instant::START, &answers, 2);
        assert_eq!(reconcile(&mut routine), Ok(808));
        assert_eq!(routine.new_effects().len(), 2);
    }
}
