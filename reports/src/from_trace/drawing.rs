//! A lane in the making: turns instants of the run into those of the picture and cuts off what lies outside.

use wavetank_engine::kernel::Instant;

use crate::timeline::{Lane, LaneGroup, Span, SpanKind, Tick, TickKind};

/// Most characters of a label; the picture shortens it further where there is no room.
const LABEL: usize = 48;

/// The part of the run that is shown.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    pub zero: Instant,
    pub end: Instant,
}

impl Window {
    /// Where an instant lies in the picture; `None` outside. [ns]
    pub fn at(&self, at: Instant) -> Option<u64> {
        (self.zero <= at && at <= self.end).then(|| at.since(self.zero).as_nanos())
    }

    /// The visible part of a stretch of time; `None` if there is none. [ns]
    pub fn clip(&self, start: Instant, end: Instant) -> Option<(u64, u64)> {
        let over = end < self.zero || end == self.zero && start < self.zero;
        if over || start > self.end {
            return None;
        }
        Some((start.since(self.zero).as_nanos(), end.min(self.end).since(self.zero).as_nanos()))
    }
}

/// A lane in the making.
pub(super) struct Drawing {
    pub window: Window,
    lane: Lane,
}

impl Drawing {
    pub fn new(window: Window, name: impl Into<String>, group: LaneGroup) -> Self {
        Drawing { window, lane: Lane { name: name.into(), group, spans: Vec::new(), ticks: Vec::new() } }
    }

    pub fn span(&mut self, start: Instant, end: Instant, kind: SpanKind, label: &str) {
        if let Some((start, end)) = self.window.clip(start, end) {
            self.lane.spans.push(Span { start, end, label: shortened(label), kind });
        }
    }

    /// A stretch of time that has not ended.
    pub fn open_span(&mut self, start: Instant, kind: SpanKind, label: &str) {
        self.span(start, self.window.end, kind, label);
    }

    pub fn tick(&mut self, at: Instant, kind: TickKind, label: &str) {
        if let Some(at) = self.window.at(at) {
            self.lane.ticks.push(Tick { at, label: shortened(label), kind });
        }
    }

    pub fn is_empty(&self) -> bool {
        self.lane.spans.is_empty() && self.lane.ticks.is_empty()
    }

    /// The lane, in order of time.
    pub fn finish(mut self) -> Lane {
        self.lane.spans.sort_by_key(|span| span.start);
        self.lane.ticks.sort_by_key(|tick| tick.at);
        self.lane
    }
}

/// The first line of a text with single spaces, cut to what a label may hold.
fn shortened(text: &str) -> String {
    let text = text.trim();
    let first = text.lines().next().unwrap_or_default();
    let words: Vec<&str> = first.split_whitespace().collect();
    let label = words.join(" ");
    let whole = first.len() == text.len() && label.chars().count() <= LABEL;
    if whole {
        return label;
    }
    let mut cut: String = label.chars().take(LABEL - 1).collect();
    cut.truncate(cut.trim_end().len());
    cut.push('…');
    cut
}

/// What a message says of a failed write: whether somebody else was first.
pub(super) fn failure(reason_or_message: &str) -> TickKind {
    let conflict = reason_or_message == "Conflict" || reason_or_message.contains("the object has been modified");
    if conflict { TickKind::Conflict } else { TickKind::Error }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_one_short_line() {
        assert_eq!(shortened("kubectl get  pods "), "kubectl get pods");
        assert_eq!(shortened("kubectl apply -f - <<EOF\nkind: Pod\nEOF"), "kubectl apply -f - <<EOF…");
        let long = shortened(&"ä".repeat(60));
        assert_eq!((long.chars().count(), long.ends_with('…')), (LABEL, true));
        assert_eq!(shortened(""), "");
    }

    #[test]
    fn what_lies_outside_is_cut_off() {
        let at = Instant::from_nanos;
        let window = Window { zero: at(100), end: at(200) };
        assert_eq!(
            (window.at(at(99)), window.at(at(100)), window.at(at(200)), window.at(at(201))),
            (None, Some(0), Some(100), None)
        );
        assert_eq!(window.clip(at(50), at(100)), None);
        assert_eq!(window.clip(at(50), at(101)), Some((0, 1)));
        assert_eq!(window.clip(at(100), at(100)), Some((0, 0)));
        assert_eq!(window.clip(at(190), at(300)), Some((90, 100)));
        assert_eq!(window.clip(at(201), at(300)), None);
    }
}
