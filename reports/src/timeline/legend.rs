//! The legend: only what occurs in the picture, and what was left out.

use super::glyphs;
use super::layout::Plan;
use super::model::{PodState, Segment, SpanKind, TickKind};
use crate::canvas::{Anchor, Area, Text};
use crate::font::{self, Weight};
use crate::theme::Color;

/// Font size in parts of the theme's.
const SIZE: f64 = 0.84;

enum Item {
    Heading(&'static str),
    Swatch(Color, bool, &'static str),
    Glyph(TickKind, &'static str),
    Break(String),
    Note(String),
}

/// Draws the legend as lines of items under everything else.
pub(super) fn draw(plan: &mut Plan<'_>) {
    plan.y += plan.size(0.9);
    let mut used = false;
    for line in [activities(plan), pods(plan), notes(plan)] {
        // Short parts share a line; the pods' states begin their own.
        used |= !line.is_empty();
        flow(plan, &line);
    }
    if !used {
        plan.y -= plan.size(0.9);
    }
}

fn activities(plan: &Plan<'_>) -> Vec<Item> {
    let lanes = &plan.timeline.lanes;
    let spans = SpanKind::ALL.into_iter().filter(|kind| {
        lanes.iter().any(|lane| lane.spans.iter().any(|span| span.kind == *kind && plan.shows(span.start, span.end)))
    });
    let mut items: Vec<Item> = spans.map(|kind| Item::Swatch(plan.theme.span(kind), true, kind.title())).collect();
    if !items.is_empty() {
        items.insert(0, Item::Heading("Work"));
    }
    let ticks = TickKind::ALL.into_iter().filter(|kind| {
        lanes.iter().any(|lane| lane.ticks.iter().any(|tick| tick.kind == *kind && plan.shows(tick.at, tick.at)))
    });
    let mut glyphs: Vec<Item> = ticks.map(|kind| Item::Glyph(kind, kind.title())).collect();
    if !glyphs.is_empty() {
        glyphs.insert(0, Item::Heading("Moments"));
    }
    items.extend(glyphs);
    items
}

fn pods(plan: &Plan<'_>) -> Vec<Item> {
    let shown = |state: PodState, part: &Segment| part.state == state && plan.shows(part.start, part.end);
    let occurs =
        |state: &PodState| plan.timeline.pods.iter().any(|pod| pod.segments.iter().any(|part| shown(*state, part)));
    let states = PodState::ALL.into_iter().filter(occurs);
    let mut items: Vec<Item> =
        states.map(|state| Item::Swatch(plan.theme.pod(state), state.is_running(), state.title())).collect();
    if !items.is_empty() {
        items.insert(0, Item::Heading("Pods"));
    }
    items
}

fn notes(plan: &Plan<'_>) -> Vec<Item> {
    let mut items = Vec::new();
    if plan.axis.breaks().next().is_some() {
        let scale = match plan.axis.is_uniform() {
            true => "one scale throughout",
            false => "each window between breaks has its own scale",
        };
        items.push(Item::Break(format!("idle time cut out; {scale}")));
    }
    if plan.left_out > 0 {
        let noun = if plan.left_out == 1 { "label" } else { "labels" };
        items.push(Item::Note(format!("{} {noun} left out for want of room", plan.left_out)));
    }
    items
}

/// Lays items along lines, breaking between items.
fn flow(plan: &mut Plan<'_>, items: &[Item]) {
    if items.is_empty() {
        return;
    }
    let line = plan.size(1.55);
    let mut x = plan.margin;
    for (index, item) in items.iter().enumerate() {
        let heading = matches!(item, Item::Heading(_));
        if heading && x > plan.margin {
            x += plan.size(1.0);
        }
        // A heading stays with what it is about if that fits on one line.
        let group = items[index + 1..].iter().take_while(|item| !matches!(item, Item::Heading(_)));
        let group = item.width(plan) + group.map(|item| plan.size(1.2) + item.width(plan)).sum::<f64>();
        let needed = if heading && plan.margin + group <= plan.right { group } else { item.width(plan) };
        if x > plan.margin && x + needed > plan.right {
            x = plan.margin;
            plan.y += line;
        }
        item.draw(plan, x);
        x += item.width(plan) + plan.size(1.2);
    }
    plan.y += line;
}

impl Item {
    fn words(&self) -> &str {
        match self {
            Item::Heading(words) | Item::Swatch(_, _, words) | Item::Glyph(_, words) => words,
            Item::Break(words) | Item::Note(words) => words,
        }
    }

    fn weight(&self) -> Weight {
        if matches!(self, Item::Heading(_)) { Weight::Bold } else { Weight::Regular }
    }

    fn sign_width(&self, plan: &Plan<'_>) -> f64 {
        match self {
            Item::Heading(_) | Item::Note(_) => 0.0,
            Item::Swatch(..) => plan.size(1.5),
            Item::Glyph(..) => plan.size(0.95),
            Item::Break(_) => plan.size(1.2),
        }
    }

    fn width(&self, plan: &Plan<'_>) -> f64 {
        self.sign_width(plan) + font::text_width(self.words(), plan.size(SIZE), self.weight())
    }

    fn draw(&self, plan: &mut Plan<'_>, x: f64) {
        let size = plan.size(SIZE);
        let (middle, theme) = (plan.y + size * 0.6, plan.theme);
        match self {
            Item::Swatch(color, tall, _) => {
                let half = size * if *tall { 0.5 } else { 0.36 };
                plan.scene.rectangle(Area::new(x, middle - half, x + size * 1.4, middle + half), *color);
            }
            Item::Glyph(kind, _) => {
                glyphs::draw_glyph(&mut plan.scene, theme, *kind, (x + size * 0.35, middle), size * 0.36);
            }
            Item::Break(_) => {
                for start in [x, x + 6.0] {
                    let points = [(0.0, -0.6), (4.0, -0.2), (0.0, 0.2), (4.0, 0.6)];
                    let points = points.map(|(dx, dy)| (start + dx, middle + dy * size));
                    for pair in points.windows(2) {
                        plan.scene.line(pair[0], pair[1], 1.0, theme.line);
                    }
                }
            }
            Item::Heading(_) | Item::Note(_) => {}
        }
        let content = self.words().to_string();
        let (x, baseline) = (x + self.sign_width(plan), middle + font::CAPITAL * size / 2.0);
        let color = if matches!(self, Item::Heading(_)) { theme.ink } else { theme.muted };
        plan.scene.text(Text { content, x, baseline, anchor: Anchor::Start, size, weight: self.weight(), color });
    }
}
