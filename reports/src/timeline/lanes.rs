//! The lanes: what each component worked on (bars) and what happened in it (glyphs under the bars).
//!
//! Work that overlaps in time is stacked. A bar is never thinner than a few pixels, so short work stays visible; stacking
//! goes by what is drawn, so nothing hides behind a widened neighbour. Glyphs that would touch are stacked too, and
//! beyond three rows they merge into one with a count, failures last. Labels go into their bar or beside it; if there is no
//! room, they are shortened or left out, long work first.

use super::layout::{Plan, Room, widest_clear};
use super::model::{Lane, LaneGroup, Span, SpanKind, TickKind};
use crate::canvas::{Anchor, Area, Scene, Text};
use crate::duration::duration_text;
use crate::font::{self, Weight};
use crate::theme::{Color, Theme};

/// Font size of labels in parts of the theme's.
const LABEL: f64 = 0.76;
/// Height of a bar and distance of stacked bars, in parts of the theme's font size.
const BAR: f64 = 0.96;
const BAR_ROW: f64 = 1.12;
/// Half the height of a glyph, in parts of the theme's font size.
const GLYPH: f64 = 0.27;
/// Thinnest bar. [px]
const THIN: f64 = 3.0;
/// Most stacked rows of bars and of glyphs.
const BAR_ROWS: usize = 6;
const GLYPH_ROWS: usize = 3;
/// Shortest label worth cutting down to. [px]
const SHORTEST: f64 = 44.0;

/// All lanes, placed.
pub(super) struct Lanes {
    rows: Vec<Row>,
    headings: Vec<(LaneGroup, f64)>,
}

struct Row {
    /// Which lane of the timeline.
    lane: usize,
    top: f64,
    bottom: f64,
    bars: Vec<Bar>,
    glyphs: Vec<Glyph>,
    bar_rows: usize,
}

struct Bar {
    /// Which span of the lane.
    span: usize,
    left: f64,
    right: f64,
    row: usize,
}

struct Glyph {
    x: f64,
    row: usize,
    kind: TickKind,
    label: String,
    hints: Vec<String>,
    count: usize,
}

/// Stacks every lane and gives it its height.
pub(super) fn place(plan: &mut Plan<'_>) -> Lanes {
    let mut lanes = Lanes { rows: Vec::new(), headings: Vec::new() };
    let mut group = None;
    for (index, lane) in plan.timeline.lanes.iter().enumerate() {
        if group != Some(lane.group) {
            group = Some(lane.group);
            lanes.headings.push((lane.group, plan.y));
            plan.y += plan.group_height();
        }
        let (bars, bar_rows) = stack_bars(plan, lane);
        let (glyphs, glyph_rows) = stack_glyphs(plan, lane);
        let content = bar_rows as f64 * plan.size(BAR_ROW) + glyph_rows as f64 * glyph_row(plan);
        let height = (content + plan.size(0.5)).max(plan.size(1.7)).round();
        lanes.rows.push(Row { lane: index, top: plan.y, bottom: plan.y + height, bars, glyphs, bar_rows });
        plan.y += height;
    }
    lanes
}

fn glyph_row(plan: &Plan<'_>) -> f64 {
    plan.size(GLYPH) * 2.0 + 3.0
}

fn stack_bars(plan: &Plan<'_>, lane: &Lane) -> (Vec<Bar>, usize) {
    let mut order: Vec<usize> = (0..lane.spans.len()).collect();
    order.retain(|&index| plan.shows(lane.spans[index].start, lane.spans[index].end));
    order.sort_by_key(|&index| (lane.spans[index].start, std::cmp::Reverse(lane.spans[index].end), index));
    let mut ends: Vec<f64> = Vec::new();
    let mut bars = Vec::with_capacity(order.len());
    for span in order {
        let left = plan.x(lane.spans[span].start).min(plan.right - THIN);
        let right = plan.x(lane.spans[span].end).max(left + THIN);
        let row = match ends.iter().position(|&end| end <= left + 0.01) {
            Some(row) => row,
            None if ends.len() < BAR_ROWS => {
                ends.push(left);
                ends.len() - 1
            }
            None => (0..ends.len()).min_by(|&a, &b| ends[a].total_cmp(&ends[b])).unwrap_or(0),
        };
        ends[row] = ends[row].max(right);
        bars.push(Bar { span, left, right, row });
    }
    (bars, ends.len())
}

fn stack_glyphs(plan: &Plan<'_>, lane: &Lane) -> (Vec<Glyph>, usize) {
    // Failures choose first: they are what a reader looks for.
    let mut order: Vec<usize> = (0..lane.ticks.len()).collect();
    order.retain(|&index| plan.shows(lane.ticks[index].at, lane.ticks[index].at));
    order.sort_by_key(|&index| (!is_failure(lane.ticks[index].kind), lane.ticks[index].at, index));
    let pitch = plan.size(GLYPH) * 2.0 + 2.0;
    let mut glyphs: Vec<Glyph> = Vec::new();
    for index in order {
        let tick = &lane.ticks[index];
        let x = plan.x(tick.at);
        let hint = format!("{} {} – {}", tick.kind.title(), tick.label, plan.instant_text(tick.at));
        let free = |row: &usize| !glyphs.iter().any(|glyph| glyph.row == *row && (glyph.x - x).abs() < pitch);
        if let Some(row) = (0..GLYPH_ROWS).find(free) {
            let label = tick.label.clone();
            glyphs.push(Glyph { x, row, kind: tick.kind, label, hints: vec![hint], count: 1 });
            continue;
        }
        let distance = |glyph: &Glyph| (glyph.kind != tick.kind, (glyph.x - x).abs());
        let nearest = glyphs.iter_mut().min_by(|a, b| {
            let (a, b) = (distance(a), distance(b));
            (a.1 > pitch, a.0).cmp(&(b.1 > pitch, b.0)).then(a.1.total_cmp(&b.1))
        });
        if let Some(nearest) = nearest {
            nearest.count += 1;
            nearest.hints.push(hint);
            if nearest.label != tick.label {
                nearest.label.clear();
            }
        }
    }
    let rows = glyphs.iter().map(|glyph| glyph.row + 1).max().unwrap_or(0);
    (glyphs, rows)
}

fn is_failure(kind: TickKind) -> bool {
    matches!(kind, TickKind::Conflict | TickKind::Error)
}

impl Lanes {
    /// Draws what lies under the grid: bands, separators, headings.
    pub fn draw_back(&self, plan: &mut Plan<'_>) {
        for (index, row) in self.rows.iter().enumerate() {
            if index.is_multiple_of(2) {
                plan.scene.rectangle(Area::new(plan.margin, row.top, plan.right, row.bottom), plan.theme.band);
            }
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
        let lane = &timeline.lanes[self.lane];
        self.draw_name(plan, lane);
        let mut room = Room::default();
        for (left, right) in plan.tears() {
            room.block(Area::new(left, self.top, right, self.bottom));
        }
        self.draw_outages(plan, lane);
        for bar in &self.bars {
            let area = self.bar_area(plan, bar);
            room.block(area.grown(1.0, 0.0));
            draw_bar(plan, area, &lane.spans[bar.span]);
        }
        for glyph in &self.glyphs {
            let (x, y) = self.glyph_center(plan, glyph);
            let radius = plan.size(GLYPH);
            let area = Area::new(x - radius, y - radius, x + radius, y + radius);
            room.block(area.grown(1.0, 0.0));
            draw_glyph(&mut plan.scene, plan.theme, glyph.kind, (x, y), radius);
            plan.scene.hint(area, glyph.hint());
        }
        self.label_bars(plan, lane, &mut room);
        self.label_glyphs(plan, &mut room);
    }

    fn draw_name(&self, plan: &mut Plan<'_>, lane: &Lane) {
        let size = plan.size(1.0);
        let width = plan.left - plan.margin - 22.0;
        let content = font::shorten_middle(&lane.name, width, size, Weight::Regular);
        let baseline = (self.top + self.bottom + font::CAPITAL * size) / 2.0;
        plan.words(&content, plan.margin + 10.0, baseline, size, plan.theme.ink);
        if content != lane.name {
            let area = Area::new(plan.margin, self.top, plan.left - 8.0, self.bottom);
            plan.scene.hint(area, lane.name.clone());
        }
    }

    /// An outage tints the whole lane, so that a silent lane explains itself.
    fn draw_outages(&self, plan: &mut Plan<'_>, lane: &Lane) {
        for bar in self.bars.iter().filter(|bar| lane.spans[bar.span].kind == SpanKind::Outage) {
            let color = plan.theme.span(SpanKind::Outage).at(16);
            plan.scene.rectangle(Area::new(bar.left, self.top + 1.0, bar.right, self.bottom - 1.0), color);
        }
    }

    fn content_top(&self, plan: &Plan<'_>) -> f64 {
        let glyph_rows = self.glyphs.iter().map(|glyph| glyph.row + 1).max().unwrap_or(0);
        let content = self.bar_rows as f64 * plan.size(BAR_ROW) + glyph_rows as f64 * glyph_row(plan);
        self.top + (self.bottom - self.top - content) / 2.0
    }

    fn bar_area(&self, plan: &Plan<'_>, bar: &Bar) -> Area {
        let air = plan.size(BAR_ROW - BAR) / 2.0;
        let top = self.content_top(plan) + bar.row as f64 * plan.size(BAR_ROW) + air;
        Area::new(bar.left, top, bar.right, top + plan.size(BAR))
    }

    fn glyph_center(&self, plan: &Plan<'_>, glyph: &Glyph) -> (f64, f64) {
        let top = self.content_top(plan) + self.bar_rows as f64 * plan.size(BAR_ROW);
        (glyph.x, top + (glyph.row as f64 + 0.5) * glyph_row(plan))
    }

    fn label_bars(&self, plan: &mut Plan<'_>, lane: &Lane, room: &mut Room) {
        let tears = plan.tears();
        let mut order: Vec<&Bar> = self.bars.iter().filter(|bar| !lane.spans[bar.span].label.is_empty()).collect();
        order.sort_by(|a, b| (b.right - b.left).total_cmp(&(a.right - a.left)).then(a.span.cmp(&b.span)));
        // First every label that fits its bar, so that labels beside bars take only what is left.
        let mut outside = Vec::new();
        for bar in order {
            let span = &lane.spans[bar.span];
            let area = self.bar_area(plan, bar);
            if !self.label_inside(plan, span, &area, &tears, false) {
                outside.push((span, area));
            }
        }
        for (span, area) in outside {
            let placed = label_beside(plan, &span.label, &area, (self.top, self.bottom), room)
                || self.label_inside(plan, span, &area, &tears, true);
            plan.left_out += usize::from(!placed);
        }
    }

    /// Whether another bar of the row lies over this one (only if there were more at once than rows).
    fn is_covered(&self, area: &Area, plan: &Plan<'_>) -> bool {
        self.bars.len() > 1 && self.bars.iter().filter(|bar| self.bar_area(plan, bar).overlaps(area)).count() > 1
    }

    fn label_inside(&self, plan: &mut Plan<'_>, span: &Span, area: &Area, tears: &[(f64, f64)], cut: bool) -> bool {
        let size = plan.size(LABEL);
        let (left, right) = widest_clear(area.left, area.right, tears);
        let width = right - left - 8.0;
        if width <= 0.0 || (cut && width < SHORTEST) || self.is_covered(area, plan) {
            return false;
        }
        let content = match cut {
            true => font::shorten_end(&span.label, width, size, Weight::Regular),
            false => font::one_line(&span.label),
        };
        if font::text_width(&content, size, Weight::Regular) > width {
            return false;
        }
        let color = plan.theme.span(span.kind).text_on();
        let baseline = (area.top + area.bottom + font::CAPITAL * size) / 2.0;
        plan.words(&content, left + 4.0, baseline, size, color);
        true
    }

    fn label_glyphs(&self, plan: &mut Plan<'_>, room: &mut Room) {
        let mut order: Vec<&Glyph> = self.glyphs.iter().collect();
        order.sort_by(|a, b| importance(a.kind).cmp(&importance(b.kind)).then(a.x.total_cmp(&b.x)));
        for glyph in order {
            let (x, y) = self.glyph_center(plan, glyph);
            let radius = plan.size(GLYPH);
            let area = Area::new(x - radius, y - radius, x + radius, y + radius);
            let full = glyph.text();
            if full.is_empty() {
                continue;
            }
            let limits = (self.top, self.bottom);
            let count = format!("×{}", glyph.count);
            let placed = label_beside(plan, &full, &area, limits, room)
                || (glyph.count > 1 && label_beside(plan, &count, &area, limits, room));
            plan.left_out += usize::from(!placed);
        }
    }
}

impl Glyph {
    fn text(&self) -> String {
        match self.count {
            1 => self.label.clone(),
            count if self.label.is_empty() => format!("×{count}"),
            count => format!("{} ×{count}", self.label),
        }
    }

    fn hint(&self) -> String {
        const SHOWN: usize = 12;
        let mut lines: Vec<String> = self.hints.iter().take(SHOWN).cloned().collect();
        if self.hints.len() > SHOWN {
            lines.push(format!("and {} more", self.hints.len() - SHOWN));
        }
        lines.join("\n")
    }
}

/// Which labels get room first.
fn importance(kind: TickKind) -> u8 {
    match kind {
        TickKind::Conflict | TickKind::Error => 0,
        TickKind::Bound => 1,
        TickKind::Write | TickKind::Other => 2,
        TickKind::Event => 3,
        TickKind::Watch | TickKind::Read => 4,
    }
}

/// Puts a label right or left of a shape, if there is room in the lane.
fn label_beside(plan: &mut Plan<'_>, words: &str, shape: &Area, (top, bottom): (f64, f64), room: &mut Room) -> bool {
    let size = plan.size(LABEL);
    let baseline = (shape.top + shape.bottom + font::CAPITAL * size) / 2.0;
    let color = plan.theme.ink;
    for (x, anchor) in [(shape.right + 4.0, Anchor::Start), (shape.left - 4.0, Anchor::End)] {
        let content = font::one_line(words);
        let text = Text { content, x, baseline, anchor, size, weight: Weight::Regular, color };
        let area = text.area();
        let inside = area.left >= plan.left && area.right <= plan.right && area.top >= top && area.bottom <= bottom;
        // A label must not stick to the next shape, or it would seem to belong to that one.
        let claim = match anchor {
            Anchor::Start => Area::new(area.left - 1.0, area.top, area.right + 5.0, area.bottom),
            _ => Area::new(area.left - 5.0, area.top, area.right + 1.0, area.bottom),
        };
        if inside && room.take(claim) {
            // Dims the dashed lines of marks and the grid behind the words.
            plan.scene.rectangle(area, plan.theme.background.at(72));
            plan.scene.text(text);
            return true;
        }
    }
    false
}

fn draw_bar(plan: &mut Plan<'_>, area: Area, span: &Span) {
    // A hair of background keeps neighbours of one colour apart.
    let hair = if area.right - area.left > 2.0 * THIN { 1.0 } else { 0.5 };
    let visible = Area::new(area.left, area.top, area.right - hair, area.bottom);
    plan.scene.rectangle(visible, plan.theme.span(span.kind));
    let duration = duration_text(span.end.saturating_sub(span.start));
    let (start, end) = (plan.instant_text(span.start), plan.instant_text(span.end));
    let hint = format!("{} {}\n{start} – {end} ({duration})", span.kind.title(), span.label);
    plan.scene.hint(area, hint);
}

/// Draws the sign of a kind of event.
pub(super) fn draw_glyph(scene: &mut Scene, theme: &Theme, kind: TickKind, (x, y): (f64, f64), radius: f64) {
    let color = theme.tick(kind);
    let at = |dx: f64, dy: f64| (x + dx * radius, y + dy * radius);
    match kind {
        TickKind::Read => {
            scene.circle((x, y), radius * 0.9, color);
            scene.circle((x, y), radius * 0.5, theme.background);
        }
        TickKind::Write => scene.circle((x, y), radius * 0.95, color),
        TickKind::Watch => scene.polygon(vec![at(-1.0, -0.8), at(1.0, -0.8), at(0.0, 0.95)], color),
        TickKind::Event => scene.polygon(vec![at(0.0, -1.1), at(1.1, 0.0), at(0.0, 1.1), at(-1.1, 0.0)], color),
        TickKind::Bound => {
            let side = radius * 0.85;
            scene.rectangle(Area::new(x - side, y - side, x + side, y + side), color);
        }
        TickKind::Conflict => {
            scene.polygon(vec![at(-1.1, -1.0), at(-1.1, 1.0), at(0.15, 0.0)], color);
            scene.polygon(vec![at(1.1, -1.0), at(1.1, 1.0), at(-0.15, 0.0)], color);
        }
        TickKind::Error => cross(scene, color, at),
        TickKind::Other => {
            scene.rectangle(Area::new(x - radius * 0.3, y - radius, x + radius * 0.3, y + radius), color);
        }
    }
}

fn cross(scene: &mut Scene, color: Color, at: impl Fn(f64, f64) -> (f64, f64)) {
    let (long, thick) = (1.05, 0.4);
    scene.polygon(
        vec![at(-long, -long + thick), at(-long + thick, -long), at(long, long - thick), at(long - thick, long)],
        color,
    );
    scene.polygon(
        vec![at(long - thick, -long), at(long, -long + thick), at(-long + thick, long), at(-long, long - thick)],
        color,
    );
}
