//! The API servers' lanes: a span per request, from its arrival to its reply; a tick per failure.

use std::collections::BTreeMap;

use wavetank_engine::Setup;
use wavetank_engine::apiserver::request::{Subresource, Verb};
use wavetank_engine::client::Agent;
use wavetank_engine::kernel::Instant;
use wavetank_engine::kernel::out::RecordId;
use wavetank_engine::objects::Kind;
use wavetank_engine::process::Process;
use wavetank_engine::trace::{Record, What};

use super::background;
use super::drawing::{Drawing, Window, failure};
use crate::timeline::{Lane, LaneGroup, SpanKind, TickKind};

/// A lane for each API server.
pub(super) struct ApiServers(Vec<ApiServer>);

struct ApiServer {
    agent: Agent,
    drawing: Drawing,
    in_flight: BTreeMap<RecordId, (Instant, String)>,
}

impl ApiServers {
    pub fn new(window: Window, setup: &Setup) -> Self {
        let lane = |number| {
            let several = setup.api_servers > 1;
            let name = if several { Process::ApiServer(number).name(setup) } else { "API server".to_owned() };
            let drawing = Drawing::new(window, name, LaneGroup::ControlPlane);
            ApiServer { agent: Agent::ApiServer(number), drawing, in_flight: BTreeMap::new() }
        };
        ApiServers((0..setup.api_servers).map(lane).collect())
    }

    pub fn take(&mut self, record: &Record) {
        if let Agent::ApiServer(number) = record.note.by
            && let Some(server) = self.0.get_mut(usize::from(number))
        {
            server.take(record);
        }
    }

    pub fn finish(self) -> impl Iterator<Item = Lane> {
        self.0.into_iter().map(ApiServer::finish)
    }
}

impl ApiServer {
    fn take(&mut self, record: &Record) {
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
            (What::Started, _) if record.note.by == self.agent => {
                self.drawing.tick(record.at, TickKind::Other, "started");
            }
            _ => {}
        }
    }

    fn finish(mut self) -> Lane {
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
