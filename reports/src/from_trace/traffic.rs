//! The lanes of users: when requests that a script sends to a Service were lost.

use std::collections::BTreeMap;

use wavetank_engine::kernel::Instant;
use wavetank_engine::trace::note::TrafficStep;
use wavetank_engine::trace::{Record, What};

use super::drawing::{Drawing, Window};
use crate::timeline::{Lane, LaneGroup, SpanKind, TickKind};

pub(super) struct Users {
    window: Window,
    /// By flow, in the order of their beginnings: its lane, and since when it loses requests.
    flows: Vec<(String, Drawing, Option<Instant>)>,
    places: BTreeMap<String, usize>,
}

impl Users {
    pub fn new(window: Window) -> Self {
        Users { window, flows: Vec::new(), places: BTreeMap::new() }
    }

    pub fn take(&mut self, record: &Record) {
        let What::Traffic(passing) = &record.note.what else { return };
        let name = passing.flow.to_string();
        let place = *self.places.entry(name.clone()).or_insert(self.flows.len());
        if place == self.flows.len() {
            let drawing = Drawing::new(self.window, format!("traffic {name}"), LaneGroup::Client);
            self.flows.push((name, drawing, None));
        }
        let Some((_, drawing, since)) = self.flows.get_mut(place) else { return };
        match passing.step {
            TrafficStep::Begins => drawing.tick(record.at, TickKind::Other, "begins"),
            TrafficStep::Loses => *since = Some(record.at),
            TrafficStep::Lost => {
                if let Some(start) = since.take() {
                    let count: u64 = passing.lost.iter().sum();
                    drawing.span(start, start + passing.lasted, SpanKind::Outage, &format!("{count} lost"));
                }
            }
        }
    }

    pub fn finish(self) -> Vec<Lane> {
        let each = self.flows.into_iter().map(|(_, mut drawing, since)| {
            if let Some(start) = since {
                drawing.open_span(start, SpanKind::Outage, "losing");
            }
            drawing.finish()
        });
        each.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wavetank_engine::client::Agent;
    use wavetank_engine::kernel::Duration;
    use wavetank_engine::kernel::out::RecordId;
    use wavetank_engine::trace::Note;
    use wavetank_engine::trace::note::Passing;

    #[test]
    fn a_window_of_losses_is_a_span_as_long_as_it_lasted() {
        let at = |seconds| Instant::START + Duration::from_secs(seconds);
        let record = |seconds, step, lost, lasted| {
            let (at_pod, lasted) = ("".into(), Duration::from_secs(lasted));
            let passing = Passing { flow: "users".into(), step, at: at_pod, why: None, lost: [lost, 0, 0, 0], lasted };
            let note = Note::new(Agent::Traffic(1), What::Traffic(Box::new(passing)));
            Record { id: RecordId(seconds), at: at(seconds), cause: RecordId(0), note }
        };
        let mut users = Users::new(Window { zero: at(0), end: at(60) });
        users.take(&record(1, TrafficStep::Begins, 0, 0));
        users.take(&record(10, TrafficStep::Loses, 0, 0));
        users.take(&record(17, TrafficStep::Lost, 7, 4));
        users.take(&record(50, TrafficStep::Loses, 0, 0));
        let lanes = users.finish();
        let spans: Vec<_> = lanes[0].spans.iter().map(|span| (span.start, span.end, span.label.as_str())).collect();
        let s = 1_000_000_000;
        assert_eq!(spans, [(10 * s, 14 * s, "7 lost"), (50 * s, 60 * s, "losing")]);
    }
}
