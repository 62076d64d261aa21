//! The lanes: a row per component, with what it worked on above and what happened in it below.
//!
//! A group of many lanes is drawn in a compact style without labels; a lane with more in it than can be told apart shows
//! how much there was over time instead.

use super::bars::{self, Bars};
use super::glyphs::{self, Glyphs};
use super::labels::{LABEL, Paper};
use super::layout::{Plan, Room};
use super::model::{Lane, LaneGroup, SpanKind};
use crate::canvas::Area;
use crate::font::{self, Weight};

/// A group with more lanes than this is compact.
const COMPACT: usize = 8;

/// Sizes and limits of a lane; sizes in parts of the theme's font size.
pub(super) struct Style {
    /// Distance of stacked bars.
    pub bar_row: f64,
    /// Most rows of bars.
    pub bar_rows: usize,
    /// Half the height of a glyph.
    pub glyph: f64,
    /// Most rows of glyphs.
    pub glyph_rows: usize,
    /// Whether bars and glyphs get labels.
    pub labels: bool,
    /// Most spans, and most ticks, drawn one by one.
    pub most_single: usize,
    /// Width of a strip's bin. [px]
    pub bin: f64,
}

impl Style {
    fn of(group: usize, lanes: usize) -> Style {
        // What may be drawn one by one is shared between the lanes, so that the file stays small.
        let most_single = (4_000 / lanes.max(1)).clamp(60, 300);
        let bin = if lanes > 24 { 6.0 } else { 3.0 };
        match group > COMPACT {
            false => Style { bar_row: 1.12, bar_rows: 6, glyph: 0.27, glyph_rows: 3, labels: true, most_single, bin },
            true => Style { bar_row: 0.66, bar_rows: 3, glyph: 0.23, glyph_rows: 1, labels: false, most_single, bin },
        }
    }
}

/// All lanes, placed.
pub(super) struct Lanes {
    rows: Vec<Row>,
    headings: Vec<(LaneGroup, f64)>,
}

struct Row {
    /// Which lane of the timeline.
    lane: usize,
    style: Style,
    paper: Paper,
    bars: Bars,
    glyphs: Glyphs,
}

/// Stacks every lane and gives it its height.
pub(super) fn place(plan: &mut Plan<'_>) -> Lanes {
    let mut placed = Lanes { rows: Vec::new(), headings: Vec::new() };
    let lanes = &plan.timeline.lanes;
    let mut group = None;
    for (index, lane) in lanes.iter().enumerate() {
        if group != Some(lane.group) {
            group = Some(lane.group);
            placed.headings.push((lane.group, plan.y));
            plan.y += plan.group_height();
        }
        let style = Style::of(lanes.iter().filter(|other| other.group == lane.group).count(), lanes.len());
        let (bars, glyphs) = (bars::stack(plan, lane, &style), glyphs::stack(plan, lane, &style));
        let air = if style.labels { 0.5 } else { 0.3 };
        let content = bars.height(plan, &style) + glyphs.height(plan, &style) + plan.size(air);
        let notes = [bars.note(), glyphs.note()].iter().flatten().count() as f64;
        let name = plan.size(if style.labels { 1.7 } else { 1.35 }) + notes * plan.size(1.1);
        let (top, bottom) = (plan.y, plan.y + content.max(name).round());
        let color = if index.is_multiple_of(2) { plan.theme.band } else { plan.theme.background };
        placed.rows.push(Row { lane: index, style, paper: Paper { top, bottom, color }, bars, glyphs });
        plan.y = bottom;
    }
    placed
}

impl Lanes {
    /// Draws what lies under the grid: bands, separators, headings.
    pub fn draw_back(&self, plan: &mut Plan<'_>) {
        for row in self.rows.iter().filter(|row| row.lane.is_multiple_of(2)) {
            plan.scene.rectangle(Area::new(plan.margin, row.paper.top, plan.right, row.paper.bottom), row.paper.color);
        }
        for (group, top) in &self.headings {
            plan.group_heading(group.title(), *top);
        }
    }

    /// Draws names, bars, glyphs, labels.
    pub fn draw(&self, plan: &mut Plan<'_>) {
        for row in &self.rows {
            row.draw(plan);
        }
    }
}

impl Row {
    fn draw(&self, plan: &mut Plan<'_>) {
        let timeline = plan.timeline;
        let Some(lane) = timeline.lanes.get(self.lane) else { return };
        let Paper { top, bottom, .. } = self.paper;
        self.draw_name(plan, lane);
        let mut room = Room::default();
        for (left, right) in plan.tears() {
            room.block(Area::new(left, top, right, bottom));
        }
        self.draw_outages(plan, lane);
        let (bars, glyphs) = (self.bars.height(plan, &self.style), self.glyphs.height(plan, &self.style));
        let bars_top = (top + bottom - bars - glyphs) / 2.0;
        let glyphs_top = bars_top + bars;
        self.bars.draw(plan, &self.style, bars_top, &mut room);
        self.glyphs.draw(plan, &self.style, glyphs_top, &mut room);
        if self.style.labels {
            self.bars.label(plan, &self.style, bars_top, &self.paper, &mut room);
            self.glyphs.label(plan, &self.style, glyphs_top, &self.paper, &mut room);
        }
    }

    /// The component's name, and under it what the height of its strips means.
    fn draw_name(&self, plan: &mut Plan<'_>, lane: &Lane) {
        let size = plan.size(if self.style.labels { 1.0 } else { 0.87 });
        let width = plan.left - plan.margin - 22.0;
        let content = font::shorten_middle(&lane.name, width, size, Weight::Regular);
        let notes: Vec<String> = [self.bars.note(), self.glyphs.note()].into_iter().flatten().collect();
        let Paper { top, bottom, .. } = self.paper;
        let line = plan.size(1.1);
        let mut baseline = (top + bottom + font::CAPITAL * size - notes.len() as f64 * line) / 2.0;
        plan.words(&content, plan.margin + 10.0, baseline, size, plan.theme.ink);
        for note in notes {
            baseline += line;
            let note = font::shorten_end(&note, width, plan.size(LABEL), Weight::Regular);
            plan.words(&note, plan.margin + 10.0, baseline, plan.size(LABEL), plan.theme.muted);
        }
        if content != lane.name {
            plan.scene.hint(Area::new(plan.margin, top, plan.left - 8.0, bottom), lane.name.clone());
        }
    }

    /// An outage tints the whole lane, so that a silent lane explains itself.
    fn draw_outages(&self, plan: &mut Plan<'_>, lane: &Lane) {
        let color = plan.theme.span(SpanKind::Outage).at(16);
        let outages = lane.spans.iter().filter(|span| span.kind == SpanKind::Outage);
        for span in outages {
            if !plan.shows(span.start, span.end) {
                continue;
            }
            let (left, right) = (plan.x(span.start), plan.x(span.end));
            let Paper { top, bottom, .. } = self.paper;
            plan.scene.rectangle(Area::new(left, top + 1.0, right, bottom - 1.0), color);
        }
    }
}
