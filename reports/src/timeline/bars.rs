//! What a component worked on: bars, stacked where work overlaps in time, or a strip where there is too much of it.
//!
//! A bar is never thinner than a few pixels, so short work stays visible; stacking goes by what is drawn, so nothing hides
//! behind a widened neighbour. Work beyond the last row merges with the bar it would cover.

use super::labels::{LABEL, Paper, label_beside};
use super::lanes::Style;
use super::layout::{Plan, Room, widest_clear};
use super::model::{Lane, Span, SpanKind};
use super::strip::{Series, Strip};
use crate::canvas::Area;
use crate::duration;
use crate::font::{self, Weight};

/// Thinnest bar. [px]
const THIN: f64 = 3.0;
/// Shortest label worth cutting down to. [px]
const SHORTEST: f64 = 44.0;
/// Height of a strip in parts of the theme's font size.
const STRIP: f64 = 2.3;
/// Width of a hover text's area over a strip. [px]
const CELL: f64 = 26.0;

/// The upper part of a lane.
pub(super) enum Bars {
    /// One by one.
    Single { bars: Vec<Bar>, rows: usize },
    /// How many at once.
    Strip(Strip),
}

/// One span or, if there was no room, several.
pub(super) struct Bar {
    left: f64,
    right: f64,
    row: usize,
    start: u64,
    end: u64,
    kind: SpanKind,
    label: String,
    count: usize,
    /// The longest of the merged spans: its kind gives the colour. [ns]
    longest: u64,
}

/// Stacks the spans of a lane.
pub(super) fn stack(plan: &Plan<'_>, lane: &Lane, style: &Style) -> Bars {
    let mut spans: Vec<&Span> = lane.spans.iter().filter(|span| plan.shows(span.start, span.end)).collect();
    if spans.len() > style.most_single {
        let mut strip = Strip::new((plan.left, plan.right), style.bin, SpanKind::ALL.len());
        for span in spans.iter().filter(|span| span.kind != SpanKind::Outage) {
            strip.add_stretch(order(span.kind), plan.x(span.start), plan.x(span.end));
        }
        return Bars::Strip(strip);
    }
    spans.sort_by_key(|span| (span.start, std::cmp::Reverse(span.end)));
    let mut bars: Vec<Bar> = Vec::with_capacity(spans.len());
    // Per row, the bar that ends it: later ones begin later, so no other can be in the way.
    let mut last: Vec<usize> = Vec::new();
    for span in spans {
        let left = plan.x(span.start).min(plan.right - THIN);
        let right = plan.x(span.end).max(left + THIN);
        let free = last.iter().position(|&bar| bars[bar].right <= left + 0.01);
        let row = match free {
            Some(row) => row,
            None if last.len() < style.bar_rows => last.len(),
            None => {
                let nearest = last.iter().copied().min_by(|&a, &b| bars[a].right.total_cmp(&bars[b].right));
                if let Some(nearest) = nearest {
                    bars[nearest].merge(span, right);
                }
                continue;
            }
        };
        match last.get_mut(row) {
            Some(slot) => *slot = bars.len(),
            None => last.push(bars.len()),
        }
        bars.push(Bar::new(span, (left, right), row));
    }
    Bars::Single { bars, rows: last.len() }
}

fn order(kind: SpanKind) -> usize {
    SpanKind::ALL.iter().position(|&other| other == kind).unwrap_or(0)
}

impl Bar {
    fn new(span: &Span, (left, right): (f64, f64), row: usize) -> Bar {
        let longest = span.end.saturating_sub(span.start);
        let (start, end, kind, label) = (span.start, span.end, span.kind, font::one_line(&span.label));
        Bar { left, right, row, start, end, kind, label, count: 1, longest }
    }

    fn merge(&mut self, span: &Span, right: f64) {
        let length = span.end.saturating_sub(span.start);
        if length > self.longest {
            (self.kind, self.longest) = (span.kind, length);
        }
        if self.label != span.label {
            self.label.clear();
        }
        self.right = self.right.max(right);
        self.end = self.end.max(span.end);
        self.count += 1;
    }

    fn words(&self) -> String {
        match self.count {
            1 => self.label.clone(),
            count if self.label.is_empty() => format!("{} ×{count}", self.kind.title()),
            count => format!("{} ×{count}", self.label),
        }
    }

    fn hint(&self, plan: &Plan<'_>) -> String {
        let (start, end) = (plan.instant_text(self.start), plan.instant_text(self.end));
        let length = duration::short(self.end.saturating_sub(self.start));
        let what = match self.count {
            1 => format!("{} {}", self.kind.title(), self.label),
            _ => self.words(),
        };
        format!("{}\n{start} – {end} ({length})", what.trim_end())
    }
}

impl Bars {
    /// Height. [px]
    pub fn height(&self, plan: &Plan<'_>, style: &Style) -> f64 {
        match self {
            Bars::Single { rows, .. } => *rows as f64 * plan.size(style.bar_row),
            Bars::Strip(_) => plan.size(STRIP) + 4.0,
        }
    }

    /// What the height of a strip means.
    pub fn note(&self) -> Option<String> {
        let Bars::Strip(strip) = self else { return None };
        let peak = strip.peak();
        Some(match peak {
            _ if peak < 0.995 => format!("up to {}% busy", (peak * 100.0).round().max(1.0) as u64),
            _ if peak < 9.95 => format!("up to {} at once", duration::decimal((peak * 10.0).round() as u64, 10, 1)),
            _ => format!("up to {} at once", peak.round() as u64),
        })
    }

    /// Draws the bars below `top` and takes their room.
    pub fn draw(&self, plan: &mut Plan<'_>, style: &Style, top: f64, room: &mut Room) {
        match self {
            Bars::Single { bars, .. } => {
                for bar in bars {
                    let area = bar_area(plan, style, bar, top);
                    room.block(area.grown(1.0, 0.0));
                    draw_bar(plan, area, bar);
                }
            }
            Bars::Strip(strip) => draw_strip(plan, strip, top),
        }
    }

    /// Writes labels into or beside the bars.
    pub fn label(&self, plan: &mut Plan<'_>, style: &Style, top: f64, paper: &Paper, room: &mut Room) {
        let Bars::Single { bars, .. } = self else { return };
        let tears = plan.tears();
        let mut order: Vec<(&Bar, String)> = bars.iter().map(|bar| (bar, bar.words())).collect();
        order.retain(|(_, words)| !words.is_empty());
        order.sort_by(|(a, _), (b, _)| (b.right - b.left).total_cmp(&(a.right - a.left)));
        // First every label that fits its bar, so that labels beside bars take only what is left.
        let mut outside = Vec::new();
        for (bar, words) in order {
            let area = bar_area(plan, style, bar, top);
            if !label_inside(plan, bar.kind, &words, &area, &tears, false) {
                outside.push((bar.kind, words, area));
            }
        }
        for (kind, words, area) in outside {
            let placed =
                label_beside(plan, &words, &area, paper, room) || label_inside(plan, kind, &words, &area, &tears, true);
            plan.left_out += usize::from(!placed);
        }
    }
}

fn bar_area(plan: &Plan<'_>, style: &Style, bar: &Bar, top: f64) -> Area {
    let row = plan.size(style.bar_row);
    let air = row * 0.07;
    let top = top + bar.row as f64 * row;
    Area::new(bar.left, top + air, bar.right, top + row - air)
}

fn label_inside(
    plan: &mut Plan<'_>,
    kind: SpanKind,
    words: &str,
    area: &Area,
    tears: &[(f64, f64)],
    cut: bool,
) -> bool {
    let size = plan.size(LABEL);
    let (left, right) = widest_clear(area.left, area.right, tears);
    let width = right - left - 8.0;
    if width <= 0.0 || (cut && width < SHORTEST) {
        return false;
    }
    let content = match cut {
        true => font::shorten_end(words, width, size, Weight::Regular),
        false => words.to_string(),
    };
    let telling = content.chars().count() * 2 > words.chars().count();
    if !telling || font::text_width(&content, size, Weight::Regular) > width {
        return false;
    }
    let color = plan.theme.span(kind).text_on();
    let baseline = (area.top + area.bottom + font::CAPITAL * size) / 2.0;
    plan.words(&content, left + 4.0, baseline, size, color);
    true
}

fn draw_bar(plan: &mut Plan<'_>, area: Area, bar: &Bar) {
    // A hair of background keeps neighbours of one colour apart.
    let hair = if area.right - area.left > 2.0 * THIN { 1.0 } else { 0.5 };
    let visible = Area::new(area.left, area.top, area.right - hair, area.bottom);
    plan.scene.rectangle(visible, plan.theme.span(bar.kind));
    let hint = bar.hint(plan);
    plan.scene.hint(area, hint);
}

fn draw_strip(plan: &mut Plan<'_>, strip: &Strip, top: f64) {
    let series = SpanKind::ALL.map(|kind| Series { color: plan.theme.span(kind), least: 1.0 });
    let bottom = top + plan.size(STRIP);
    strip.draw(&mut plan.scene, (top, bottom), strip.peak(), &series);
    for cell in strip.cells(CELL) {
        let average = |sum: f64| duration::decimal((sum * 10.0 / cell.bins as f64).round() as u64, 10, 1);
        let shown = SpanKind::ALL.iter().zip(&cell.sums).filter(|(_, sum)| **sum > 0.0);
        let lines: Vec<String> = shown.map(|(kind, &sum)| format!("{} {}", average(sum), kind.title())).collect();
        let area = Area::new(cell.left, top, cell.right, bottom);
        plan.scene.hint(area, format!("at once: {}", lines.join(", ")));
    }
}
