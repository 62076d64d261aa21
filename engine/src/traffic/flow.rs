//! A stream of requests to a Service, and what became of them.

use std::sync::Arc;

use super::history::History;
use super::losses::Window;
use crate::kernel::out::RecordId;
use crate::kernel::{Duration, Instant, Latency, Spread, hash_bytes};
use crate::objects::{Key, Name};
use crate::proxy::route::Resolved;

/// A stream of requests as a script describes it.
#[derive(Clone, Debug, PartialEq)]
pub struct FlowSpec {
    /// What people call it.
    pub name: Arc<str>,
    /// The Service.
    pub service: Key,
    /// Which of its ports, by name or number; `None`: the first.
    pub port: Option<Name>,
    /// The nodes on which the clients are, or through whose node ports they come. Each request comes by one of them, by luck.
    pub nodes: Arc<[u32]>,
    /// Whether the clients are outside the cluster.
    pub outside: bool,
    /// From one request to the next, on average.
    pub every: Duration,
    /// How the requests are spread over time.
    pub arrivals: Arrivals,
    /// From the client to the pod, and as long back.
    pub link: Latency,
    /// How long a request takes in a pod, once it is its turn.
    pub service_time: Latency,
    /// Requests that a pod works on at once.
    pub concurrency: u32,
    /// Requests that wait in a pod; one more is turned away.
    pub queue: u32,
    /// How long a client waits for an answer.
    pub timeout: Duration,
    /// How often a client tries again, at once.
    pub retries: u8,
    /// Connections that each node's clients keep open and use in turn; zero: every request has a connection of its own.
    pub keep_alive: u32,
}

/// How requests are spread over time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Arrivals {
    /// Independent of each other.
    Poisson,
    /// Always as long after the one before.
    Even,
}

/// Why a request was lost.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub enum Loss {
    /// Nobody listened, or the Service had no endpoints: connection refused.
    Refused,
    /// No answer came in time: a node without power, a link that is cut, rules that drop, or a pod with too much to do.
    TimedOut,
    /// The container ended before it had answered: connection reset by peer.
    Reset,
    /// Too many requests waited in the pod already: it was turned away.
    Overloaded,
}

impl Loss {
    /// All of them, in order.
    pub const ALL: [Loss; 4] = [Loss::Refused, Loss::TimedOut, Loss::Reset, Loss::Overloaded];

    /// As scripts and the trace spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Loss::Refused => "refused",
            Loss::TimedOut => "timeout",
            Loss::Reset => "reset",
            Loss::Overloaded => "overloaded",
        }
    }
}

/// Requests counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Tally {
    /// Requests that were begun.
    pub sent: u64,
    /// Requests answered.
    pub served: u64,
    /// Requests given up, by [`Loss`].
    pub lost: [u64; 4],
    /// Times that a request was tried again.
    pub retried: u64,
}

impl Tally {
    /// All that were lost.
    pub fn lost(&self) -> u64 {
        self.lost.iter().sum()
    }

    /// Those whose fate is open.
    pub fn in_flight(&self) -> u64 {
        self.sent.saturating_sub(self.served + self.lost())
    }
}

/// The longest stretch without an answer, between two answers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Gap {
    /// The answer before it.
    pub from: Instant,
    /// How long it was.
    pub lasted: Duration,
}

/// A stream under way.
#[derive(Clone, Debug)]
pub struct Flow {
    /// What it is.
    pub spec: Arc<FlowSpec>,
    /// What became of its requests so far.
    pub tally: Tally,
    /// How long served requests took, from their first try to their answer.
    pub latency: Spread,
    /// The same over time.
    pub history: History,
    /// The longest stretch without an answer.
    pub gap: Option<Gap>,
    /// When the first request was sent, after its nodes had rules.
    pub begun: Option<Instant>,
    /// Whether no more requests are sent.
    pub stopped: bool,
    /// The record of its beginning.
    pub(super) record: RecordId,
    /// The address of its luck.
    pub(super) luck: u64,
    pub(super) next: u64,
    pub(super) last_served: Option<Instant>,
    pub(super) losing: Option<Window>,
    /// By node and place; who is at the other end.
    pub(super) connections: Vec<Option<super::server::Peer>>,
    /// The rules that are the same on all nodes, by the version of the tables.
    pub(super) shared: Option<((u64, u64), Arc<Resolved>)>,
    /// When it was asked for.
    pub(super) asked: Instant,
}

impl Flow {
    pub(super) fn new(spec: FlowSpec, record: RecordId, now: Instant) -> Self {
        Flow {
            luck: hash_bytes(spec.name.as_bytes()),
            connections: vec![None; spec.nodes.len() * spec.keep_alive as usize],
            spec: Arc::new(spec),
            tally: Tally::default(),
            latency: Spread::default(),
            history: History::new(now),
            gap: None,
            begun: None,
            stopped: false,
            record,
            next: 0,
            last_served: None,
            losing: None,
            shared: None,
            asked: now,
        }
    }

    /// A request was answered.
    pub(super) fn served(&mut self, at: Instant, took: Duration) {
        self.tally.served += 1;
        self.latency.observe(took);
        let bucket = self.history.at(at);
        bucket.served += 1;
        bucket.latency.observe(took);
        if let Some(from) = self.last_served {
            let lasted = at.since(from);
            if self.gap.is_none_or(|gap| gap.lasted < lasted) {
                self.gap = Some(Gap { from, lasted });
            }
        }
        self.last_served = Some(at);
    }

    /// A request was given up.
    pub(super) fn lost(&mut self, at: Instant, why: Loss) {
        if let Some(count) = self.tally.lost.get_mut(why as usize) {
            *count += 1;
        }
        self.history.at(at).lost += 1;
    }
}
