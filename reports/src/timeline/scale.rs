//! The scale: round instants along the top (and, if the picture is high, the bottom), grid lines, break marks.

use super::axis::{Piece, PieceKind};
use super::layout::{Plan, Room};
use crate::canvas::{Anchor, Area, Text};
use crate::duration::{self, Clock, SECOND};
use crate::font::{self, Weight};

/// Font size in parts of the theme's.
const SIZE: f64 = 0.84;
/// A body higher than this has a second scale at its foot. [px]
const HIGH: f64 = 640.0;
/// Width and height of a tooth of a tear. [px]
const TOOTH: (f64, f64) = (5.0, 7.0);

/// Height of the scale over the lanes. [px]
pub(crate) fn height(plan: &Plan<'_>) -> f64 {
    plan.size(SIZE * 1.75).round()
}

/// Round instants in a window: those with room for a label.
struct Ticks {
    instants: Vec<u64>,
    step: u64,
}

/// Steps an axis may have, finest first: 1-2-5, and from ten seconds on what divides a minute if minutes are shown.
fn steps(clock: Clock) -> Vec<u64> {
    let mut steps = Vec::new();
    let mut power = 1;
    while power <= 1_000 * SECOND {
        steps.extend([power, 2 * power, 5 * power]);
        power *= 10;
    }
    if clock == Clock::Minutes {
        steps.retain(|&step| step <= 10 * SECOND);
        steps.extend(
            [15, 30, 60, 120, 300, 600, 1_800, 3_600, 7_200, 10_800, 21_600, 43_200, 86_400].map(|step| step * SECOND),
        );
    }
    steps
}

fn ticks(plan: &Plan<'_>, piece: &Piece) -> Ticks {
    let scale = (piece.right - piece.left) / (piece.end - piece.start) as f64;
    let steps = steps(plan.clock);
    let roomy = |step: &u64| {
        // `2m` is followed by `2m10s`: the last label alone does not tell how wide they get.
        let last = piece.end / step * step;
        let ends = [piece.end, last, last.saturating_sub(*step)].map(|at| plan.clock.label(at, *step));
        let widths = ends.iter().map(|label| font::text_width(label, plan.size(SIZE), Weight::Regular));
        let widest = widths.fold(0.0, f64::max);
        *step as f64 * scale >= widest + plan.size(1.6)
    };
    let wanted = steps.iter().position(roomy).unwrap_or(steps.len() - 1);
    // A narrow window may lie between two round instants: look for less round ones.
    let inside = |step: u64| {
        let first = piece.start.div_ceil(step).saturating_mul(step);
        let count = if first > piece.end { 0 } else { (piece.end - first) / step + 1 };
        (0..count.min(200)).map(|index| first + index * step).collect::<Vec<u64>>()
    };
    let found = steps[..=wanted].iter().rev().map(|&step| Ticks { instants: inside(step), step });
    let mut found = found.skip_while(|ticks| ticks.instants.is_empty());
    let mut ticks = found.next().unwrap_or(Ticks { instants: Vec::new(), step: SECOND });
    if ticks.step < steps[wanted] {
        let middle = piece.start + (piece.end - piece.start) / 2;
        ticks.instants.sort_by_key(|at| at.abs_diff(middle));
        ticks.instants.truncate(1);
    }
    ticks
}

fn windows(plan: &Plan<'_>) -> Vec<Piece> {
    plan.axis.pieces().iter().copied().filter(|piece| piece.kind == PieceKind::Window).collect()
}

/// Draws the grid behind the lanes and the line of the axis.
pub(crate) fn draw_grid(plan: &mut Plan<'_>, top: f64, bottom: f64) {
    for x in grid_lines(plan) {
        plan.scene.line((x, top), (x, bottom), 1.0, plan.theme.grid);
    }
    for piece in plan.axis.pieces().to_vec() {
        if piece.kind != PieceKind::Break {
            plan.scene.line((piece.left, top), (piece.right, top), 1.5, plan.theme.line);
        }
    }
}

/// Where the grid's lines run down. [px]
pub(crate) fn grid_lines(plan: &Plan<'_>) -> Vec<f64> {
    windows(plan).iter().flat_map(|piece| ticks(plan, piece).instants).map(|at| plan.x(at)).collect()
}

/// Tears lanes and bars apart where time is cut out.
pub(crate) fn draw_breaks(plan: &mut Plan<'_>, top: f64, bottom: f64) {
    for cut in plan.axis.breaks().copied().collect::<Vec<_>>() {
        let middle = (cut.left + cut.right) / 2.0;
        let edge = |offset: f64| {
            let count = ((bottom - top) / TOOTH.1).ceil() as usize;
            let point = move |index: usize| {
                let sway = if index.is_multiple_of(2) { -TOOTH.0 / 2.0 } else { TOOTH.0 / 2.0 };
                (middle + offset + sway, (top - 4.0 + index as f64 * TOOTH.1).min(bottom))
            };
            (0..=count + 1).map(point).collect::<Vec<(f64, f64)>>()
        };
        let (left, right) = (edge(-3.0), edge(3.0));
        let outline: Vec<_> = left.iter().copied().chain(right.iter().rev().copied()).collect();
        plan.scene.polygon(outline, plan.theme.background);
        for side in [left, right] {
            for pair in side.windows(2) {
                plan.scene.line(pair[0], pair[1], 1.0, plan.theme.line);
            }
        }
        let hint = format!("{} not shown", duration::short(cut.end - cut.start));
        plan.scene.hint(Area::new(cut.left, top - height(plan), cut.right, top), hint);
    }
}

/// Writes the labels over the lanes and, if the body is high, under it.
pub(crate) fn draw_labels(plan: &mut Plan<'_>, axis_top: f64, body_bottom: f64) {
    let top = axis_top + height(plan);
    labels(plan, top, -1.0);
    if body_bottom - top > HIGH {
        plan.scene.line((plan.left, body_bottom), (plan.right, body_bottom), 1.0, plan.theme.line);
        labels(plan, body_bottom, 1.0);
        plan.y += height(plan);
    }
}

/// One row of labels at the line `y`; `side` is -1 above it and 1 below.
fn labels(plan: &mut Plan<'_>, y: f64, side: f64) {
    let size = plan.size(SIZE);
    let baseline = match side < 0.0 {
        true => y - size * 0.55,
        false => y + size * 1.3,
    };
    let mut room = Room::default();
    let (x, color) = (plan.margin, plan.theme.muted);
    let caption = font::shorten_end("simulated time", plan.left - x - size * 2.0, size, Weight::Regular);
    let caption = label(caption, x, baseline, Anchor::Start, size, color);
    room.block(caption.area().grown(4.0, 0.0));
    plan.scene.text(caption);
    for piece in plan.axis.pieces().to_vec() {
        match piece.kind {
            PieceKind::Window => window_labels(plan, &piece, (y, side, baseline), &mut room),
            PieceKind::Edge => edge_label(plan, &piece, (y, side, baseline), &mut room),
            PieceKind::Break => {}
        }
    }
    for cut in plan.axis.breaks().copied().collect::<Vec<_>>() {
        let size = size * 0.9;
        let skipped = format!("+{}", duration::short(cut.end - cut.start));
        let middle = (cut.left + cut.right) / 2.0;
        let color = plan.theme.muted;
        let text = label(skipped, middle, baseline, Anchor::Middle, size, color);
        if room.take(text.area().grown(3.0, 0.0)) {
            write(plan, text);
        }
    }
}

/// Writes a label; the line of a mark passes behind it.
fn write(plan: &mut Plan<'_>, text: Text) {
    let area = text.area().grown(2.0, 0.0);
    if plan.mark_lines.iter().any(|&x| area.grown(1.0, 0.0).crosses(x)) {
        plan.scene.rectangle(area, plan.theme.background);
    }
    plan.scene.text(text);
}

fn window_labels(plan: &mut Plan<'_>, piece: &Piece, (y, side, baseline): (f64, f64, f64), room: &mut Room) {
    let size = plan.size(SIZE);
    let ticks = ticks(plan, piece);
    for at in ticks.instants {
        let x = plan.x(at);
        plan.scene.line((x, y), (x, y + side * 5.0), 1.5, plan.theme.line);
        let text = label(plan.clock.label(at, ticks.step), x, baseline, Anchor::Middle, size, plan.theme.ink);
        let area = text.area();
        if area.right < plan.scene.width - 4.0 && room.take(area.grown(4.0, 0.0)) {
            write(plan, text);
        }
    }
}

/// The very end of the axis, if it is round enough to be said shortly.
fn edge_label(plan: &mut Plan<'_>, piece: &Piece, (y, side, baseline): (f64, f64, f64), room: &mut Room) {
    let is_start = piece.left <= plan.left;
    let (at, x) = if is_start { (piece.start, piece.left) } else { (piece.end, piece.right) };
    let step = if at.is_multiple_of(SECOND) { SECOND } else { SECOND / 10 };
    plan.scene.line((x, y), (x, y + side * 5.0), 1.5, plan.theme.line);
    let size = plan.size(SIZE);
    let text = label(plan.clock.label(at, step), x, baseline, Anchor::Middle, size, plan.theme.ink);
    if text.area().right < plan.scene.width - 4.0 && room.take(text.area().grown(4.0, 0.0)) {
        write(plan, text);
    }
}

fn label(content: String, x: f64, baseline: f64, anchor: Anchor, size: f64, color: crate::theme::Color) -> Text {
    Text { content, x, baseline, anchor, size, weight: Weight::Regular, color }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_grow_and_minutes_divide() {
        for clock in [Clock::Milliseconds, Clock::Seconds, Clock::Minutes] {
            assert!(steps(clock).windows(2).all(|pair| pair[0] < pair[1]));
        }
        assert!(!steps(Clock::Minutes).contains(&(20 * SECOND)));
    }
}
