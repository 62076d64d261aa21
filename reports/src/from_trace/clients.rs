//! The people's lane: a span per command. And the script's marks.

use std::collections::BTreeMap;
use std::sync::Arc;

use wavetank_engine::client::Agent;
use wavetank_engine::kernel::Instant;
use wavetank_engine::trace::{Record, What};

use super::drawing::{Drawing, Window};
use crate::timeline::{Lane, LaneGroup, Mark, SpanKind, TickKind};

pub(super) struct Clients {
    drawing: Drawing,
    running: BTreeMap<Agent, (Instant, Arc<str>)>,
    marks: Vec<Mark>,
}

impl Clients {
    pub fn new(window: Window) -> Self {
        let drawing = Drawing::new(window, "kubectl", LaneGroup::Client);
        Clients { drawing, running: BTreeMap::new(), marks: Vec::new() }
    }

    pub fn take(&mut self, record: &Record) {
        let by = record.note.by;
        match &record.note.what {
            What::Command { line } => {
                if let Some((start, line)) = self.running.insert(by, (record.at, line.clone())) {
                    self.drawing.span(start, record.at, SpanKind::Command, &line);
                }
            }
            What::Exited { code } => {
                if let Some((start, line)) = self.running.remove(&by) {
                    self.drawing.span(start, record.at, SpanKind::Command, &line);
                }
                if *code != 0 {
                    self.drawing.tick(record.at, TickKind::Error, &format!("exit {code}"));
                }
            }
            What::Mark { text } => {
                if let Some(at) = self.drawing.window.at(record.at) {
                    self.marks.push(Mark { at, label: text.to_string() });
                }
            }
            _ => {}
        }
    }

    pub fn finish(mut self) -> (Lane, Vec<Mark>) {
        for (start, line) in self.running.values() {
            self.drawing.open_span(*start, SpanKind::Command, line);
        }
        (self.drawing.finish(), self.marks)
    }
}
