//! Faults as light shaded bands over everything, with their names over the axis.
//!
//! Under a name a bar shows from when to when its fault lasted; names that would cover each other stand on rows of their
//! own. What finds no room there is still shaded, and counted among the labels left out.

use super::layout::{Plan, Room};
use crate::canvas::{Anchor, Area, Text};
use crate::font::{self, Weight};

/// Font size in parts of the theme's.
const SIZE: f64 = 0.8;
/// Most rows of names.
const ROWS: usize = 5;
/// Widest name in parts of the picture's width.
const WIDEST: f64 = 0.3;
/// How dark a band is. [percent]
const SHADE: u8 = 9;
/// Narrowest band: a fault of an instant is still to be seen. [px]
const NARROWEST: f64 = 2.0;

/// All bands, placed.
pub(crate) struct Bands {
    bands: Vec<Placed>,
    rows: usize,
}

struct Placed {
    left: f64,
    right: f64,
    words: String,
    /// Where the words begin; none if there was no room.
    at: Option<(usize, f64)>,
    hint: String,
}

impl Bands {
    /// Chooses a row for every name.
    pub fn place(plan: &Plan<'_>) -> Bands {
        let size = plan.size(SIZE);
        let shown =
            plan.timeline.bands.iter().filter(|band| band.start <= band.end && plan.shows(band.start, band.end));
        let mut bands: Vec<Placed> = shown
            .map(|band| {
                let left = plan.x(band.start);
                let (from, to) = (plan.instant_text(band.start), plan.instant_text(band.end));
                Placed {
                    left,
                    right: plan.x(band.end).max(left + NARROWEST),
                    words: font::shorten_end(&band.label, WIDEST * plan.scene.width, size, Weight::Regular),
                    at: None,
                    hint: format!("{}\n{from} to {to}", font::one_line(&band.label)),
                }
            })
            .collect();
        bands.sort_by(|a, b| a.left.total_cmp(&b.left).then(b.right.total_cmp(&a.right)));
        let mut room = Room::default();
        let mut rows = 0;
        for band in &mut bands {
            let width = font::text_width(&band.words, size, Weight::Regular);
            let start = band.left.min(plan.right - width).max(plan.margin);
            let claim = |row: usize| {
                let top = row as f64;
                Area::new(band.left.min(start) - 3.0, top, band.right.max(start + width) + 3.0, top + 1.0)
            };
            let row = (0..ROWS).find(|row| room.take(claim(*row)));
            band.at = row.map(|row| (row, start));
            rows = row.map_or(rows, |row| rows.max(row + 1));
        }
        Bands { bands, rows }
    }

    fn row_height(plan: &Plan<'_>) -> f64 {
        (plan.size(SIZE) * 1.6).round()
    }

    /// Height of the rows of names. [px]
    pub fn height(&self, plan: &Plan<'_>) -> f64 {
        self.rows as f64 * Bands::row_height(plan)
    }

    /// Shades the body.
    pub fn draw_back(&self, plan: &mut Plan<'_>, top: f64, bottom: f64) {
        for band in &self.bands {
            plan.scene.rectangle(Area::new(band.left, top, band.right, bottom), plan.theme.fault().at(SHADE));
        }
    }

    /// Writes the names; the lowest row ends at `bottom`.
    pub fn draw(&self, plan: &mut Plan<'_>, bottom: f64) {
        let (height, size) = (Bands::row_height(plan), plan.size(SIZE));
        for band in &self.bands {
            let Some((row, x)) = band.at else {
                plan.left_out += 1;
                continue;
            };
            let foot = bottom - row as f64 * height;
            plan.scene.rectangle(Area::new(band.left, foot - 3.0, band.right, foot - 0.5), plan.theme.fault());
            let color = plan.theme.fault().at(55).over(plan.theme.ink);
            let baseline = foot - 3.0 - size * 0.3;
            let content = band.words.clone();
            let text = Text { content, x, baseline, anchor: Anchor::Start, size, weight: Weight::Regular, color };
            if plan.mark_lines.iter().any(|&x| text.area().grown(1.0, 0.0).crosses(x)) {
                plan.scene.rectangle(text.area().grown(1.0, 0.0), plan.theme.background);
            }
            plan.scene.text(text);
            let area = Area::new(band.left, foot - height, band.right.max(x), foot);
            plan.scene.hint(area, band.hint.clone());
        }
    }
}
