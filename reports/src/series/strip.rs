//! A panel of spells: who led when.

use super::model::{Hue, Spell};
use crate::canvas::{Anchor, Area, Text};
use crate::font::{self, Weight};
use crate::timeline::layout::Plan;

/// Font size in parts of the theme's.
const SIZE: f64 = 0.82;
/// Height in parts of the font size of the theme.
const HEIGHT: f64 = 1.6;
/// Narrowest spell: one of an instant is still to be seen. [px]
const NARROWEST: f64 = 1.5;

/// Height of a strip. [px]
pub(super) fn height(plan: &Plan<'_>) -> f64 {
    plan.size(HEIGHT)
}

/// Draws the spells and, where there is room, their words.
pub(super) fn draw(plan: &mut Plan<'_>, spells: &[Spell], top: f64, bottom: f64) {
    let size = plan.size(SIZE);
    let shown = spells.iter().filter(|spell| spell.end >= spell.start && plan.shows(spell.start, spell.end));
    let mut shown: Vec<&Spell> = shown.collect();
    // What is wrong lies above the rest, however short it was.
    shown.sort_by_key(|spell| spell.hue == Hue::Error);
    for spell in shown {
        let left = plan.x(spell.start);
        let area =
            Area::new(left, top, plan.x(spell.end).max(left + NARROWEST).min(plan.right.max(left + 0.5)), bottom);
        // Members' own colours are strong: enough of them to recognise, pale enough to write on.
        let strength = if spell.hue == Hue::Error { 75 } else { 32 };
        let fill = plan.theme.hue(spell.hue).at(strength).over(plan.theme.background);
        plan.scene.rectangle(area, fill);
        if spell.hue != Hue::Error {
            let edge =
                Area::new(area.left, area.top, area.left + ((area.right - area.left) / 5.0).min(3.0), area.bottom);
            plan.scene.rectangle(edge, plan.theme.hue(spell.hue));
        }
        let hint = format!("{}\n{} to {}", spell.label, plan.instant_text(spell.start), plan.instant_text(spell.end));
        plan.scene.hint(area, hint);
        let room = area.right - area.left - 12.0;
        let fits = |words: &&String| font::text_width(words, size, Weight::Regular) <= room;
        if let Some(words) = [&spell.label, &spell.short].into_iter().find(fits) {
            let (content, x) = (font::one_line(words), area.left + 8.0);
            let baseline = (top + bottom + font::CAPITAL * size) / 2.0;
            let color = fill.text_on();
            plan.scene.text(Text { content, x, baseline, anchor: Anchor::Start, size, weight: Weight::Regular, color });
        }
    }
}
