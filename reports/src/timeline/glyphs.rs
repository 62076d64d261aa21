//! What happened in a component at an instant: a glyph per moment, or a strip where there are too many.
//!
//! Glyphs that would touch are stacked; beyond the last row they merge into one with a count, failures last.

use super::labels::{Paper, label_beside, thousands};
use super::lanes::Style;
use super::layout::{Plan, Room};
use super::model::{Lane, Tick, TickKind};
use super::strip::{Series, Strip};
use crate::canvas::{Area, Scene};
use crate::theme::{Color, Theme};

/// Height of a strip in parts of the theme's font size.
const STRIP: f64 = 1.7;
/// Lines of a hover text.
const LINES: usize = 12;
/// Width of a hover text's area over a strip. [px]
const CELL: f64 = 26.0;
/// The series of a strip from bottom to top: failures on top, where they are seen.
const SERIES: [TickKind; 8] = [
    TickKind::Read,
    TickKind::Watch,
    TickKind::Write,
    TickKind::Event,
    TickKind::Bound,
    TickKind::Other,
    TickKind::Conflict,
    TickKind::Error,
];

/// The lower part of a lane.
pub(super) enum Glyphs {
    /// One by one.
    Single { glyphs: Vec<Glyph>, rows: usize },
    /// How many in each stretch of time.
    Strip { strip: Strip, count: usize },
}

/// One moment or, if there was no room, several.
pub(super) struct Glyph {
    x: f64,
    row: usize,
    kind: TickKind,
    label: String,
    hints: Vec<String>,
    count: usize,
}

/// Stacks the ticks of a lane.
pub(super) fn stack(plan: &Plan<'_>, lane: &Lane, style: &Style) -> Glyphs {
    let mut ticks: Vec<&Tick> = lane.ticks.iter().filter(|tick| plan.shows(tick.at, tick.at)).collect();
    if ticks.len() > style.most_single {
        let mut strip = Strip::new((plan.left, plan.right), style.bin, SERIES.len());
        for tick in &ticks {
            let series = SERIES.iter().position(|&kind| kind == tick.kind).unwrap_or(0);
            strip.add_moment(series, plan.x(tick.at));
        }
        return Glyphs::Strip { strip, count: ticks.len() };
    }
    // Failures choose first: they are what a reader looks for.
    ticks.sort_by_key(|tick| (!is_failure(tick.kind), tick.at));
    let pitch = plan.size(style.glyph) * 2.0 + 2.0;
    let mut glyphs: Vec<Glyph> = Vec::new();
    for tick in ticks {
        let x = plan.x(tick.at);
        let free = |row: &usize| !glyphs.iter().any(|glyph| glyph.row == *row && (glyph.x - x).abs() < pitch);
        if let Some(row) = (0..style.glyph_rows).find(free) {
            let (kind, label, hints) = (tick.kind, tick.label.clone(), vec![hint(plan, tick)]);
            glyphs.push(Glyph { x, row, kind, label, hints, count: 1 });
            continue;
        }
        let distance = |glyph: &Glyph| (glyph.kind != tick.kind, (glyph.x - x).abs());
        let nearest = glyphs.iter_mut().min_by(|a, b| {
            let (a, b) = (distance(a), distance(b));
            (a.1 > pitch, a.0).cmp(&(b.1 > pitch, b.0)).then(a.1.total_cmp(&b.1))
        });
        if let Some(nearest) = nearest {
            nearest.merge(plan, tick);
        }
    }
    let rows = glyphs.iter().map(|glyph| glyph.row + 1).max().unwrap_or(0);
    Glyphs::Single { glyphs, rows }
}

fn hint(plan: &Plan<'_>, tick: &Tick) -> String {
    let what = format!("{} {}", tick.kind.title(), tick.label);
    format!("{} – {}", what.trim_end(), plan.instant_text(tick.at))
}

fn is_failure(kind: TickKind) -> bool {
    matches!(kind, TickKind::Conflict | TickKind::Error)
}

impl Glyph {
    fn merge(&mut self, plan: &Plan<'_>, tick: &Tick) {
        self.count += 1;
        if self.hints.len() < LINES {
            self.hints.push(hint(plan, tick));
        }
        if self.label != tick.label {
            self.label.clear();
        }
    }

    fn text(&self) -> String {
        match self.count {
            1 => self.label.clone(),
            count if self.label.is_empty() => format!("×{count}"),
            count => format!("{} ×{count}", self.label),
        }
    }

    fn hint(&self) -> String {
        let more = self.count - self.hints.len().min(self.count);
        let rest = (more > 0).then(|| format!("and {more} more"));
        let lines: Vec<String> = self.hints.iter().cloned().chain(rest).collect();
        lines.join("\n")
    }

    fn area(&self, plan: &Plan<'_>, style: &Style, top: f64) -> Area {
        let radius = plan.size(style.glyph);
        let y = top + (self.row as f64 + 0.5) * row_height(plan, style);
        Area::new(self.x - radius, y - radius, self.x + radius, y + radius)
    }
}

fn row_height(plan: &Plan<'_>, style: &Style) -> f64 {
    plan.size(style.glyph) * 2.0 + 3.0
}

impl Glyphs {
    /// Height. [px]
    pub fn height(&self, plan: &Plan<'_>, style: &Style) -> f64 {
        match self {
            Glyphs::Single { rows, .. } => *rows as f64 * row_height(plan, style),
            Glyphs::Strip { .. } => plan.size(STRIP) + 2.0,
        }
    }

    /// What a strip holds.
    pub fn note(&self) -> Option<String> {
        match self {
            Glyphs::Strip { count, .. } => Some(format!("{} moments", thousands(*count as u64))),
            Glyphs::Single { .. } => None,
        }
    }

    /// Draws the glyphs below `top` and takes their room.
    pub fn draw(&self, plan: &mut Plan<'_>, style: &Style, top: f64, room: &mut Room) {
        match self {
            Glyphs::Single { glyphs, .. } => {
                for glyph in glyphs {
                    let area = glyph.area(plan, style, top);
                    room.block(area.grown(1.0, 0.0));
                    let center = ((area.left + area.right) / 2.0, (area.top + area.bottom) / 2.0);
                    let radius = plan.size(style.glyph);
                    draw_glyph(&mut plan.scene, plan.theme, glyph.kind, center, radius);
                    plan.scene.hint(area, glyph.hint());
                }
            }
            Glyphs::Strip { strip, .. } => draw_strip(plan, strip, top),
        }
    }

    /// Writes labels beside the glyphs.
    pub fn label(&self, plan: &mut Plan<'_>, style: &Style, top: f64, paper: &Paper, room: &mut Room) {
        let Glyphs::Single { glyphs, .. } = self else { return };
        let mut order: Vec<&Glyph> = glyphs.iter().filter(|glyph| !glyph.text().is_empty()).collect();
        order.sort_by(|a, b| importance(a.kind).cmp(&importance(b.kind)).then(a.x.total_cmp(&b.x)));
        for glyph in order {
            let area = glyph.area(plan, style, top);
            let count = format!("×{}", glyph.count);
            let placed = label_beside(plan, &glyph.text(), &area, paper, room)
                || (glyph.count > 1 && label_beside(plan, &count, &area, paper, room));
            plan.left_out += usize::from(!placed);
        }
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

fn draw_strip(plan: &mut Plan<'_>, strip: &Strip, top: f64) {
    let series =
        SERIES.map(|kind| Series { color: plan.theme.tick(kind), least: if is_failure(kind) { 3.0 } else { 1.0 } });
    let bottom = top + plan.size(STRIP);
    strip.draw(&mut plan.scene, (top, bottom), strip.peak(), &series);
    for cell in strip.cells(CELL) {
        let shown = SERIES.iter().zip(&cell.sums).filter(|(_, sum)| **sum > 0.0);
        let lines: Vec<String> = shown.map(|(kind, sum)| format!("{} {}", sum.round() as u64, kind.title())).collect();
        plan.scene.hint(Area::new(cell.left, top, cell.right, bottom), lines.join(", "));
    }
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
