//! When a request's time is up.
//!
//! One timer serves all: it is set for the earliest deadline of those under way, and when it comes most of them are long done.
//!
//! Models: kubernetes v1.36.2 staging/src/k8s.io/apiserver/pkg/endpoints/handlers/rest.go (requestTimeoutUpperBound), server/config.go
//! (RequestTimeout), server/filters/timeout.go. Left out: a shorter time that the client asks for (`?timeout=`).

use super::request::Verb;
use super::{ApiServer, ApiServerEvent, InFlight};
use crate::event::{Effects, Event};
use crate::kernel::{Duration, Instant};

use super::status::Status;

/// How long a write may take; Kubernetes: requestTimeoutUpperBound, 34 s.
const WRITE: Duration = Duration::from_secs(34);
/// How long anything may take; Kubernetes: --request-timeout, 1 min.
const READ: Duration = Duration::from_secs(60);

/// The timer for the earliest deadline.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Deadlines {
    set: Option<Instant>,
}

impl InFlight {
    /// When the request's time is up; `None` for a watch.
    fn deadline(&self) -> Option<Instant> {
        let time = match self.request.verb {
            Verb::Watch => return None,
            verb if verb.mutating() => WRITE,
            _ => READ,
        };
        Some(self.arrived + time)
    }
}

impl ApiServer {
    /// A request has come.
    pub(super) fn mind_deadline(&mut self, flight: &InFlight, out: &mut Effects) {
        if let Some(deadline) = flight.deadline()
            && self.deadlines.set.is_none_or(|set| deadline < set)
        {
            self.deadlines.set = Some(deadline);
            out.at(deadline, Event::ApiServer(self.me, ApiServerEvent::Deadline));
        }
    }

    /// Some request's time may be up.
    pub(super) fn deadline(&mut self, out: &mut Effects) {
        if self.deadlines.set.is_none_or(|set| set > out.now()) {
            return;
        }
        let now = out.now();
        let over = self.in_flight.iter().filter(|(_, flight)| flight.deadline().is_some_and(|at| at <= now));
        let over: Vec<(u64, bool)> = over.map(|(id, flight)| (*id, flight.request.verb.mutating())).collect();
        for (id, write) in over {
            let Some(flight) = self.in_flight.get(&id) else { continue };
            let request = &flight.request;
            let status = if write {
                Status::timeout("request did not complete within requested timeout - context deadline exceeded")
            } else {
                Status::no_answer("get", request.kind, &request.key.name)
            };
            self.give_up(id, status, out);
        }
        let next = self.in_flight.values().filter_map(InFlight::deadline).min();
        self.deadlines.set = next;
        if let Some(next) = next {
            out.at(next, Event::ApiServer(self.me, ApiServerEvent::Deadline));
        }
    }
}
