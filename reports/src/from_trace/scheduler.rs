//! The schedulers' lanes: a span per decision, up to the reply to the binding that follows from it.
//!
//! They stand last among the controllers and not with the control plane, so that the lanes follow a change downwards.

use std::collections::BTreeMap;
use std::sync::Arc;

use wavetank_engine::Setup;
use wavetank_engine::apiserver::request::Subresource;
use wavetank_engine::client::Agent;
use wavetank_engine::kernel::Instant;
use wavetank_engine::objects::{Key, Kind};
use wavetank_engine::setup::SchedulerSpec;
use wavetank_engine::trace::note::{Change, Scheduling};
use wavetank_engine::trace::{Record, What};

use super::drawing::{Drawing, Window, failure};
use crate::timeline::{Lane, LaneGroup, SpanKind, TickKind};

/// Events that say what the lane shows anyway.
const SHOWN_ANYWAY: [&str; 2] = ["Scheduled", "FailedScheduling"];

/// A lane for each scheduler process.
pub(super) struct Schedulers(Vec<Scheduler>);

struct Scheduler {
    agent: Agent,
    drawing: Drawing,
    attempts: BTreeMap<Key, Attempt>,
}

/// An attempt to place a pod, under way.
struct Attempt {
    start: Instant,
    node: Option<Arc<str>>,
}

impl Attempt {
    fn label(&self) -> String {
        self.node.as_ref().map_or_else(String::new, |node| format!("→ {node}"))
    }
}

impl Schedulers {
    pub fn new(window: Window, setup: &Setup) -> Self {
        let lane = |(number, spec): (u8, &SchedulerSpec)| {
            let name = if setup.schedulers.len() > 1 { &*spec.process } else { "scheduler" };
            let drawing = Drawing::new(window, name, LaneGroup::Controller);
            Scheduler { agent: Agent::Scheduler(number), drawing, attempts: BTreeMap::new() }
        };
        Schedulers((0..).zip(&setup.schedulers).map(lane).collect())
    }

    pub fn take(&mut self, record: &Record) {
        self.0.iter_mut().for_each(|scheduler| scheduler.take(record));
    }

    pub fn finish(self) -> impl Iterator<Item = Lane> {
        self.0.into_iter().map(Scheduler::finish)
    }
}

impl Scheduler {
    fn take(&mut self, record: &Record) {
        let note = &record.note;
        match (&note.what, &note.object) {
            (What::Reply { to, subresource: Subresource::Binding, code, reason, .. }, Some((_, key)))
                if *to == self.agent =>
            {
                self.bound(record.at, key, *code, reason);
            }
            (What::Committed { change: Change::Deleted, .. }, Some((Kind::Pod, key))) => {
                self.attempts.remove(key);
            }
            _ if note.by != self.agent => {}
            (What::Reconcile, Some((Kind::Pod, key))) => {
                self.attempts.insert(key.clone(), Attempt { start: record.at, node: None });
            }
            (What::Schedule(scheduling), Some((_, key))) => self.decided(record.at, key, scheduling),
            (What::Event { reason, .. }, _) if !SHOWN_ANYWAY.contains(&&**reason) => {
                self.drawing.tick(record.at, TickKind::Event, reason);
            }
            (What::Started, _) => self.drawing.tick(record.at, TickKind::Other, "started"),
            (What::Leading, _) => self.drawing.tick(record.at, TickKind::Other, "leads"),
            _ => {}
        }
    }

    fn decided(&mut self, at: Instant, key: &Key, scheduling: &Scheduling) {
        let mut attempt = self.attempts.remove(key).unwrap_or(Attempt { start: at, node: None });
        attempt.node = scheduling.node.clone();
        if attempt.node.is_some() {
            self.attempts.insert(key.clone(), attempt);
        } else {
            self.drawing.span(attempt.start, at, SpanKind::Decision, "no node fits");
            self.drawing.tick(at, TickKind::Error, &scheduling.message);
        }
    }

    fn bound(&mut self, at: Instant, key: &Key, code: u16, reason: &str) {
        if let Some(attempt) = self.attempts.remove(key) {
            self.drawing.span(attempt.start, at, SpanKind::Decision, &attempt.label());
        }
        if code < 400 {
            self.drawing.tick(at, TickKind::Bound, &key.name);
        } else {
            self.drawing.tick(at, failure(reason), &format!("{code} {reason}"));
        }
    }

    fn finish(mut self) -> Lane {
        for attempt in self.attempts.values() {
            self.drawing.open_span(attempt.start, SpanKind::Decision, &attempt.label());
        }
        self.drawing.finish()
    }
}
