//! What a handler may do: ask.
//!
//! A handler gets `&mut` its own state, the constant setup, and an `Out`. It puts messages, timers and trace notes there; the world
//! applies them afterwards. A component can therefore be tested as a value: hand it an event, look at its `Out`.

use super::network::Endpoint;
use super::time::{Duration, Instant};

/// The id of a trace record; 0 is "nothing, the run began".
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Hash)]
pub struct RecordId(pub u64);

/// One request of a handler.
#[derive(Clone, Debug)]
pub enum Action<E, N> {
    /// Send `event` over the link to `to`; it leaves after `delay` (work, throttling), then takes the link's latency.
    Send {
        /// Receiver.
        to: Endpoint,
        /// Time before it leaves.
        delay: Duration,
        /// What arrives.
        event: E,
        /// The record that caused it.
        cause: RecordId,
    },
    /// Deliver `event` to the component itself at `at`.
    Timer {
        /// When.
        at: Instant,
        /// What is delivered.
        event: E,
        /// The record that caused it.
        cause: RecordId,
    },
    /// The component ends its own process.
    Exit {
        /// The record that caused it.
        cause: RecordId,
    },
    /// Write a trace record; its id has already been given out.
    Note {
        /// The record that caused it.
        cause: RecordId,
        /// What happened.
        note: N,
    },
}

/// A handler's way to ask. `E` is the event type, `N` the trace's note.
#[derive(Debug)]
pub struct Out<E, N> {
    now: Instant,
    cause: RecordId,
    next_record: u64,
    /// By how much the component's clock is wrong. [ns]
    skew: i64,
    /// What its work takes more than it should. [hundredths]
    slower: u64,
    actions: Vec<Action<E, N>>,
}

impl<E, N> Out<E, N> {
    /// An empty `Out` for an event that happens at `now` because of `cause`; `next_record` is the id the next note gets.
    pub fn new(now: Instant, cause: RecordId, next_record: u64, mut buffer: Vec<Action<E, N>>) -> Self {
        buffer.clear();
        Out { now, cause, next_record, skew: 0, slower: 0, actions: buffer }
    }

    /// The component's clock is wrong by `skew` nanoseconds, and its CPU takes `slower` hundredths more than it should.
    pub fn on_machine(self, skew: i64, slower: u64) -> Self {
        Out { skew, slower, ..self }
    }

    /// The present instant.
    pub fn now(&self) -> Instant {
        self.now
    }

    /// What the component's clock shows: what it writes into objects as the present, and compares with what stands in them. Timers
    /// and waits follow [`Out::now`], as a process' monotonic clock does.
    pub fn wall(&self) -> Instant {
        Instant::from_nanos(self.now.as_nanos().saturating_add_signed(self.skew))
    }

    /// How long work takes on the component's CPU that takes `time` on a healthy one.
    pub fn cpu(&self, time: Duration) -> Duration {
        if self.slower == 0 { time } else { time.fraction(100 + self.slower, 100) }
    }

    /// The record that everything asked from here on is caused by: the last note, or the event's own cause.
    pub fn cause(&self) -> RecordId {
        self.cause
    }

    /// Continues on behalf of another cause (a batch serves several requests).
    pub fn because(&mut self, cause: RecordId) {
        self.cause = cause;
    }

    /// Writes a trace record and makes it the cause of what follows.
    pub fn note(&mut self, note: N) -> RecordId {
        let id = self.aside(note);
        self.cause = id;
        id
    }

    /// Writes a trace record that causes nothing.
    pub fn aside(&mut self, note: N) -> RecordId {
        let id = RecordId(self.next_record);
        self.next_record += 1;
        self.actions.push(Action::Note { cause: self.cause, note });
        id
    }

    /// Sends `event` to `to`, leaving after `delay`.
    pub fn send(&mut self, to: Endpoint, delay: Duration, event: E) {
        self.actions.push(Action::Send { to, delay, event, cause: self.cause });
    }

    /// Delivers `event` to the component itself after `delay`.
    pub fn after(&mut self, delay: Duration, event: E) {
        self.at(self.now + delay, event);
    }

    /// Delivers `event` to the component itself at `at`.
    pub fn at(&mut self, at: Instant, event: E) {
        self.actions.push(Action::Timer { at: at.max(self.now), event, cause: self.cause });
    }

    /// Ends the component's own process, once everything else that is asked for is done.
    pub fn exit(&mut self) {
        self.actions.push(Action::Exit { cause: self.cause });
    }

    /// What was asked for, in order.
    pub fn into_actions(self) -> Vec<Action<E, N>> {
        self.actions
    }
}
