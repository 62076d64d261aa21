//! The API server's lane: a span per request, from its arrival to its reply; a tick per failure.

use std::collections::BTreeMap;

use wavetank_engine::apiserver::request::{Subresource, Verb};
use wavetank_engine::client::Agent;
use wavetank_engine::kernel::Instant;
use wavetank_engine::kernel::out::RecordId;
use wavetank_engine::objects::Kind;
use wavetank_engine::trace::{Record, What};

use super::background;
use super::drawing::{Drawing, Window, failure};
use crate::timeline::{Lane, LaneGroup, SpanKind, TickKind};

pub(super) struct ApiServer {
    drawing: Drawing,
    in_flight: BTreeMap<RecordId, (Instant, String)>,
}

impl ApiServer {
    pub fn new(window: Window) -> Self {
        ApiServer { drawing: Drawing::new(window, "API server", LaneGroup::ControlPlane), in_flight: BTreeMap::new() }
    }

    pub fn take(&mut self, record: &Record) {
        let kind = record.note.object.as_ref().map(|(kind, _)| *kind);
        match (&record.note.what, kind) {
            (What::Request { from, verb, subresource }, Some(kind))
                if !background(*from, *verb, kind, *subresource) =>
            {
                self.in_flight.insert(record.id, (record.at, label(*verb, kind, *subresource)));
            }
            (What::Reply { to, verb, subresource, code, reason, .. }, Some(kind)) => {
                if background(*to, *verb, kind, *subresource) {
                    return;
                }
                if let Some((start, label)) = self.in_flight.remove(&record.cause) {
                    self.drawing.span(start, record.at, SpanKind::Request, &label);
                }
                if *code >= 400 {
                    // To hear that something is not there is an answer like any other.
                    let answer = *verb == Verb::Get && *code == 404;
                    let tick = if answer { TickKind::Read } else { failure(reason) };
                    self.drawing.tick(record.at, tick, &format!("{code} {}", &**reason));
                }
            }
            (What::Started, _) if record.note.by == Agent::ApiServer => {
                self.drawing.tick(record.at, TickKind::Other, "started");
            }
            _ => {}
        }
    }

    pub fn finish(mut self) -> Lane {
        for (start, label) in self.in_flight.values() {
            self.drawing.open_span(*start, SpanKind::Request, label);
        }
        self.drawing.finish()
    }
}

/// `POST pods/binding`. Lists and watches are GET requests too, but a reader wants to tell them apart.
fn label(verb: Verb, kind: Kind, subresource: Subresource) -> String {
    let method = match verb {
        Verb::Get => "GET",
        Verb::List => "LIST",
        Verb::Watch => "WATCH",
        Verb::Create => "POST",
        Verb::Update => "PUT",
        Verb::Patch => "PATCH",
        Verb::Delete => "DELETE",
        Verb::DeleteCollection => "DELETE all",
    };
    match subresource.as_str() {
        "" => format!("{method} {}", kind.plural()),
        subresource => format!("{method} {}/{subresource}", kind.plural()),
    }
}
