//! The parts of the picture from top to bottom, and what they share: sizes, places, free room.

use super::axis::Axis;
use super::model::Timeline;
use super::{bands, lanes, legend, marks, pods, scale};
use crate::canvas::{Anchor, Area, Scene, Text};
use crate::duration::{self, Clock, MICROSECOND};
use crate::font::{self, Weight};
use crate::theme::{Color, Theme};

/// Narrowest picture. [px]
pub(crate) const NARROWEST: u32 = 480;
/// Free border of the picture. [px]
pub(crate) const MARGIN: f64 = 26.0;
/// Least and most part of the width that names may take.
const GUTTER: (f64, f64) = (0.07, 0.16);
/// Most bytes of hover texts in an SVG.
const HINTS: usize = 90_000;
/// Half the width of the strip that tears the lanes apart at a break. [px]
const TEAR: f64 = 7.0;

/// The picture while it is being laid out.
pub(crate) struct Plan<'a> {
    pub timeline: &'a Timeline,
    pub theme: &'a Theme,
    pub scene: Scene,
    pub axis: Axis,
    pub clock: Clock,
    /// Where names begin. [px]
    pub margin: f64,
    /// Where time begins and ends. [px]
    pub left: f64,
    pub right: f64,
    /// Where the next part begins. [px]
    pub y: f64,
    /// Where the lines of marks run down. [px]
    pub mark_lines: Vec<f64>,
    /// Labels that found no room.
    pub left_out: usize,
}

/// Lays the whole picture out.
pub(crate) fn lay_out(timeline: &Timeline, theme: &Theme) -> Scene {
    let mut plan = Plan::new(timeline, theme);
    plan.heading();
    let flags = marks::Flags::place(&mut plan);
    plan.y += flags.height(&plan);
    let flags_bottom = plan.y;
    let bands = bands::Bands::place(&plan);
    plan.y += bands.height(&plan);
    let axis_top = plan.y;
    plan.y += scale::height(&plan);
    let body_top = plan.y;
    // The back first: bands and grid, then what happened, then the tears, then flags and names.
    let lanes = lanes::place(&mut plan);
    let pods = pods::place(&mut plan);
    let is_empty = timeline.lanes.is_empty() && timeline.pods.is_empty();
    if is_empty {
        plan.y += plan.size(5.0);
    }
    let body_bottom = plan.y;
    lanes.draw_back(&mut plan);
    bands.draw_back(&mut plan, body_top, body_bottom);
    scale::draw_grid(&mut plan, body_top, body_bottom);
    if is_empty {
        plan.nothing((body_top + body_bottom) / 2.0);
    }
    flags.draw_lines(&mut plan, flags_bottom, body_bottom);
    lanes.draw(&mut plan);
    pods.draw(&mut plan);
    scale::draw_breaks(&mut plan, body_top, body_bottom);
    scale::draw_labels(&mut plan, axis_top, body_bottom);
    flags.draw(&mut plan, flags_bottom);
    bands.draw(&mut plan, axis_top);
    legend::draw(&mut plan);
    flags.draw_key(&mut plan);
    plan.scene.limit_hints(HINTS);
    plan.scene.height = (plan.y + MARGIN * 0.7).ceil();
    plan.scene
}

impl<'a> Plan<'a> {
    fn new(timeline: &'a Timeline, theme: &'a Theme) -> Plan<'a> {
        let width = f64::from(theme.width.max(NARROWEST));
        let names = timeline.lanes.iter().map(|lane| font::text_width(&lane.name, theme.font_size, Weight::Regular));
        let widest = names.fold(pods::names_width(timeline, theme.font_size), f64::max) + 24.0;
        let left = (MARGIN + widest.clamp(GUTTER.0 * width, GUTTER.1 * width)).round();
        let right = width - MARGIN;
        let instants = instants(timeline);
        let axis = Axis::fit(&instants, (timeline.start, timeline.end), (left, right), theme.time_axis);
        Plan::framed(timeline, theme, (left, right), axis)
    }

    /// A plan whose names end, and whose time begins and ends, at given places.
    pub fn framed(timeline: &'a Timeline, theme: &'a Theme, (left, right): (f64, f64), axis: Axis) -> Plan<'a> {
        let width = f64::from(theme.width.max(NARROWEST));
        let scene = Scene::new(width, 0.0, theme.background, &timeline.title);
        let clock = Clock::until(timeline.end);
        let (margin, y, mark_lines) = (MARGIN, MARGIN * 0.8, Vec::new());
        Plan { timeline, theme, scene, axis, clock, margin, left, right, y, mark_lines, left_out: 0 }
    }

    /// A size in parts of the theme's. [px]
    pub fn size(&self, part: f64) -> f64 {
        self.theme.font_size * part
    }

    /// The place of an instant, clipped to the picture. [px]
    pub fn x(&self, instant: u64) -> f64 {
        self.axis.x(instant.clamp(self.timeline.start, self.timeline.end))
    }

    /// Whether a stretch touches the time shown.
    pub fn shows(&self, start: u64, end: u64) -> bool {
        start <= self.timeline.end && end >= self.timeline.start
    }

    pub fn heading(&mut self) {
        let room = self.right - self.margin;
        for (words, part, weight, color) in [
            (&self.timeline.title, 1.6, Weight::Bold, self.theme.ink),
            (&self.timeline.subtitle, 0.95, Weight::Regular, self.theme.muted),
        ] {
            if words.is_empty() {
                continue;
            }
            let size = self.size(part);
            let content = font::shorten_end(words, room, size, weight);
            let baseline = self.y + size;
            self.scene.text(Text { content, x: self.margin, baseline, anchor: Anchor::Start, size, weight, color });
            self.y += size * 1.35;
        }
        self.y += self.size(0.5);
    }

    /// Says that there is nothing to see, lest a reader should think that the picture is broken.
    pub fn nothing(&mut self, middle: f64) {
        let size = self.size(1.0);
        let (x, baseline) = ((self.left + self.right) / 2.0, middle + font::CAPITAL * size / 2.0);
        let (content, color) = ("nothing to show".to_string(), self.theme.muted);
        let text = Text { content, x, baseline, anchor: Anchor::Middle, size, weight: Weight::Regular, color };
        self.scene.rectangle(text.area().grown(8.0, 2.0), self.theme.background);
        self.scene.text(text);
    }

    /// Adds a text of ordinary weight that starts at `x`.
    pub fn words(&mut self, content: &str, x: f64, baseline: f64, size: f64, color: Color) {
        let content = content.to_string();
        let weight = Weight::Regular;
        self.scene.text(Text { content, x, baseline, anchor: Anchor::Start, size, weight, color });
    }

    /// A heading over a group of rows, with a line across the picture; as high as [`Plan::group_height`].
    pub fn group_heading(&mut self, title: &str, top: f64) {
        let size = self.size(0.8);
        self.scene.line((self.margin, top + 0.5), (self.right, top + 0.5), 1.0, self.theme.line);
        let room = self.left - self.margin - 10.0;
        let content = font::shorten_end(title, room, size, Weight::Bold);
        let (x, baseline, color) = (self.margin, top + self.group_height() * 0.72, self.theme.muted);
        self.scene.text(Text { content, x, baseline, anchor: Anchor::Start, size, weight: Weight::Bold, color });
    }

    /// Height of a group's heading. [px]
    pub fn group_height(&self) -> f64 {
        self.size(1.4).round()
    }

    /// The strips at which lanes are torn apart: no label may lie there.
    pub fn tears(&self) -> Vec<(f64, f64)> {
        self.axis
            .breaks()
            .map(|cut| (cut.left + cut.right) / 2.0)
            .map(|middle| (middle - TEAR, middle + TEAR))
            .collect()
    }

    /// An instant for a hover text: microseconds are precise enough for people.
    pub fn instant_text(&self, instant: u64) -> String {
        duration::exact(instant / MICROSECOND * MICROSECOND)
    }
}

/// Every instant the axis should keep apart.
fn instants(timeline: &Timeline) -> Vec<u64> {
    let spans = timeline.lanes.iter().flat_map(|lane| lane.spans.iter().flat_map(|span| [span.start, span.end]));
    let ticks = timeline.lanes.iter().flat_map(|lane| lane.ticks.iter().map(|tick| tick.at));
    let pods = timeline.pods.iter().flat_map(|pod| pod.segments.iter().flat_map(|part| [part.start, part.end]));
    let marks = timeline.marks.iter().map(|mark| mark.at);
    let bands = timeline.bands.iter().flat_map(|band| [band.start, band.end]);
    spans.chain(ticks).chain(pods).chain(marks).chain(bands).collect()
}

/// Room already taken, and the question whether something still fits.
#[derive(Clone, Debug, Default)]
pub(crate) struct Room {
    taken: Vec<Area>,
}

impl Room {
    /// Takes a place whether free or not: for shapes.
    pub fn block(&mut self, area: Area) {
        self.taken.push(area);
    }

    /// Takes a place if it is free.
    pub fn take(&mut self, area: Area) -> bool {
        let free = self.is_free(&area);
        if free {
            self.taken.push(area);
        }
        free
    }

    /// Whether nothing lies there yet.
    pub fn is_free(&self, area: &Area) -> bool {
        !self.taken.iter().any(|taken| taken.overlaps(area))
    }
}

/// The widest stretch of `from..to` that no tear cuts.
pub(super) fn widest_clear(from: f64, to: f64, tears: &[(f64, f64)]) -> (f64, f64) {
    let mut best = (from, from);
    let mut at = from;
    let ends = tears.iter().copied().filter(|tear| tear.1 > from && tear.0 < to).chain(std::iter::once((to, to)));
    for (stop, resume) in ends {
        if stop - at > best.1 - best.0 {
            best = (at, stop);
        }
        at = at.max(resume);
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_go_to_the_widest_stretch_between_tears() {
        assert_eq!(widest_clear(0.0, 100.0, &[]), (0.0, 100.0));
        assert_eq!(widest_clear(0.0, 100.0, &[(10.0, 20.0), (60.0, 70.0)]), (20.0, 60.0));
        assert_eq!(widest_clear(15.0, 30.0, &[(10.0, 20.0)]), (20.0, 30.0));
    }
}
