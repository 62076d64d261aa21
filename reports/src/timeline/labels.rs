//! Labels beside shapes: right of them or left, wherever the row has room.

use super::layout::{Plan, Room};
use crate::canvas::{Anchor, Area, Text};
use crate::font::{self, Weight};
use crate::theme::Color;

/// Font size of labels in parts of the theme's.
pub(super) const LABEL: f64 = 0.76;

/// A row in which labels may lie.
#[derive(Clone, Copy, Debug)]
pub(super) struct Paper {
    pub top: f64,
    pub bottom: f64,
    /// What is behind the labels: it dims grid and mark lines under them.
    pub color: Color,
}

/// Puts a label right or left of a shape, if there is room in the row; better clear of the lines of marks.
pub(super) fn label_beside(plan: &mut Plan<'_>, words: &str, shape: &Area, paper: &Paper, room: &mut Room) -> bool {
    let size = plan.size(LABEL);
    let baseline = (shape.top + shape.bottom + font::CAPITAL * size) / 2.0;
    let text = |(x, anchor)| {
        let (content, color) = (font::one_line(words), plan.theme.ink);
        Text { content, x, baseline, anchor, size, weight: Weight::Regular, color }
    };
    let sides = [(shape.right + 4.0, Anchor::Start), (shape.left - 4.0, Anchor::End)].map(text);
    let inside = |area: &Area| {
        area.left >= plan.left && area.right <= plan.right && area.top >= paper.top && area.bottom <= paper.bottom
    };
    let fits = |text: &&Text| inside(&text.area()) && room.is_free(&claim(text));
    let clear = |text: &&Text| !plan.mark_lines.iter().any(|&x| text.area().grown(2.0, 0.0).crosses(x));
    let chosen = sides.iter().filter(fits).find(clear).or(sides.iter().find(fits));
    let Some(text) = chosen.cloned() else { return false };
    room.block(claim(&text));
    plan.scene.rectangle(text.area().grown(1.0, 0.0), paper.color);
    plan.scene.text(text);
    true
}

/// The room of a label: it must not stick to the next shape, or it would seem to belong to that one.
fn claim(text: &Text) -> Area {
    let area = text.area();
    match text.anchor {
        Anchor::Start => Area::new(area.left - 1.0, area.top, area.right + 6.0, area.bottom),
        _ => Area::new(area.left - 6.0, area.top, area.right + 1.0, area.bottom),
    }
}

/// A number with its thousands apart: `112,500`.
pub(crate) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_stand_apart() {
        assert_eq!([0, 999, 1_000, 112_500, 1_234_567].map(thousands).join(" "), "0 999 1,000 112,500 1,234,567");
    }
}
