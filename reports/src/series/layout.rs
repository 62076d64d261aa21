//! The parts of the picture from top to bottom: heading, marks, names of faults, axis of time, panels.
//!
//! All but the panels is the timeline's, so that the two pictures of a run look alike and can be laid side by side.

use super::model::{Chart, Panel};
use super::panel::Body;
use super::strip;
use crate::canvas::{Anchor, Scene, Text};
use crate::font::{self, Weight};
use crate::theme::{Theme, TimeAxis};
use crate::timeline::axis::Axis;
use crate::timeline::bands::Bands;
use crate::timeline::layout::{MARGIN, NARROWEST, Plan};
use crate::timeline::marks::Flags;
use crate::timeline::{Timeline, scale};

/// Font size of the axes and of the lines' names, in parts of the theme's.
pub(super) const SIZE: f64 = 0.8;
/// Room between a tick's label and the axis. [px]
pub(super) const AIR: f64 = 8.0;
/// Room for the stub between a line and its name. [px]
pub(super) const STUB: f64 = 14.0;
/// Most part of the width that the lines' names may take.
const NAMES: f64 = 0.2;
/// Most bytes of hover texts in an SVG.
const HINTS: usize = 60_000;

/// A panel, placed.
struct Placed<'a> {
    panel: &'a Panel,
    /// Absent for a strip.
    body: Option<Body<'a>>,
    /// Of the panel proper, below its heading. [px]
    top: f64,
    bottom: f64,
}

/// Lays the whole picture out.
pub(super) fn lay_out(chart: &Chart, theme: &Theme) -> Scene {
    let theme = theme.clone().with_time_axis(TimeAxis::Linear);
    let frame = Timeline {
        title: chart.title.clone(),
        subtitle: chart.subtitle.clone(),
        start: chart.start,
        end: chart.end,
        marks: chart.marks.clone(),
        bands: chart.bands.clone(),
        ..Timeline::default()
    };
    let bodies: Vec<Option<Body>> = chart.panels.iter().map(|panel| Body::of(panel, &theme)).collect();
    let width = f64::from(theme.width.max(NARROWEST));
    let sides = sides(&bodies, &theme, width);
    let axis = Axis::fit(&[chart.start, chart.end], (chart.start, chart.end), sides, TimeAxis::Linear);
    let mut plan = Plan::framed(&frame, &theme, sides, axis);
    plan.heading();
    let flags = Flags::place(&mut plan);
    plan.y += flags.height(&plan);
    let flags_bottom = plan.y;
    let bands = Bands::place(&plan);
    plan.y += bands.height(&plan);
    let axis_top = plan.y;
    plan.y += scale::height(&plan);
    let body_top = plan.y;
    let placed = place(&mut plan, &chart.panels, bodies);
    let body_bottom = plan.y;
    bands.draw_back(&mut plan, body_top, body_bottom);
    plan.scene.line((plan.left, body_top), (plan.right, body_top), 1.5, theme.line);
    if placed.is_empty() {
        plan.nothing((body_top + body_bottom) / 2.0);
    }
    let grid = scale::grid_lines(&plan);
    for part in &placed {
        for &x in &grid {
            plan.scene.line((x, part.top), (x, part.bottom), 1.0, theme.grid);
        }
    }
    for part in &placed {
        flags.draw_lines(&mut plan, part.top, part.bottom);
        part.draw(&mut plan);
    }
    scale::draw_labels(&mut plan, axis_top, body_bottom);
    flags.draw(&mut plan, flags_bottom);
    bands.draw(&mut plan, axis_top);
    plan.y += plan.size(0.6);
    flags.draw_key(&mut plan);
    if plan.left_out > 0 {
        let (x, size, color) = (plan.margin, plan.size(SIZE), theme.muted);
        let baseline = plan.y + size * 1.3;
        plan.words(&format!("{} names found no room", plan.left_out), x, baseline, size, color);
        plan.y = baseline + size * 0.4;
    }
    plan.scene.limit_hints(HINTS);
    plan.scene.height = (plan.y + MARGIN * 0.7).ceil();
    plan.scene
}

/// Where time begins and ends: between the labels of the upright axes and the names of the lines. [px]
fn sides(bodies: &[Option<Body>], theme: &Theme, width: f64) -> (f64, f64) {
    let size = theme.font_size * SIZE;
    let caption = font::text_width("simulated time", theme.font_size * 0.84, Weight::Regular) + size * 2.3;
    let ticks = bodies.iter().flatten().flat_map(Body::tick_labels);
    let ticks = ticks.map(|label| font::text_width(&label, size, Weight::Regular) + AIR).fold(0.0, f64::max);
    let names = bodies.iter().flatten().flat_map(Body::names);
    let names = names.map(|name| font::text_width(&name, size, Weight::Regular) + STUB).fold(0.0, f64::max);
    let left = MARGIN + caption.max(ticks + 4.0);
    (left.round(), (width - MARGIN - names.clamp(20.0, NAMES * width)).round())
}

/// Gives every panel its height.
fn place<'a>(plan: &mut Plan<'_>, panels: &'a [Panel], bodies: Vec<Option<Body<'a>>>) -> Vec<Placed<'a>> {
    let heading = plan.size(1.9).round();
    let mut placed = Vec::new();
    for (panel, body) in panels.iter().zip(bodies) {
        let top = plan.y + heading;
        let height = body.as_ref().map_or(strip::height(plan), |body| body.height(plan));
        let bottom = top + height.round();
        placed.push(Placed { panel, body, top, bottom });
        plan.y = bottom + plan.size(0.5).round();
    }
    if placed.is_empty() {
        plan.y += plan.size(5.0);
    }
    placed
}

impl Placed<'_> {
    fn draw(&self, plan: &mut Plan<'_>) {
        self.draw_heading(plan);
        match (&self.body, &self.panel.spells) {
            (Some(body), _) => body.draw(plan, self.top, self.bottom),
            (None, spells) => strip::draw(plan, spells.as_deref().unwrap_or_default(), self.top, self.bottom),
        }
    }

    fn draw_heading(&self, plan: &mut Plan<'_>) {
        let (size, small) = (plan.size(0.92), plan.size(SIZE));
        let baseline = self.top - size * 0.5;
        let room = plan.right - plan.left;
        let content = font::shorten_end(&self.panel.title, room, size, Weight::Bold);
        let x = plan.left + font::text_width(&content, size, Weight::Bold) + size * 0.8;
        let color = plan.theme.ink;
        let text = Text { content, x: plan.left, baseline, anchor: Anchor::Start, size, weight: Weight::Bold, color };
        plan.scene.text(text);
        let detail = font::shorten_end(&self.panel.detail, plan.right - x, small, Weight::Regular);
        plan.words(&detail, x, baseline, small, plan.theme.muted);
    }
}
