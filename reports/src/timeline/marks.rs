//! The script's marks: flags over the axis, with dashed lines down through all lanes.
//!
//! A flag stands on a pole. Flags point right, or left where the picture ends; rows are chosen so that no flag covers
//! another and no pole runs through a flag. That is always possible: a right-pointing flag only has to stand higher than
//! the marks to its right that it covers, a left-pointing one higher than those to its left, and a flag that would cover a
//! left-pointing neighbour's pole points left itself. So right-pointing flags are placed from the right, then left-pointing
//! ones from the left, each on the lowest row that works.

use super::layout::{Plan, Room};
use crate::canvas::{Anchor, Area, Text};
use crate::font::{self, Weight};

/// Font size in parts of the theme's.
const SIZE: f64 = 0.87;
/// Widest flag in parts of the picture's width.
const WIDEST: f64 = 0.24;
/// Most rows of flags; marks beyond keep their line and lose their words.
const ROWS: usize = 14;
/// Room between words and the flag's edge. [px]
const PADDING: f64 = 6.0;

struct Flag {
    at: u64,
    x: f64,
    words: String,
    full: String,
    width: f64,
    points_left: bool,
    /// Counted from the lanes upwards; none if there was no room.
    row: Option<usize>,
}

/// All marks, placed.
pub(super) struct Flags {
    flags: Vec<Flag>,
    rows: usize,
}

impl Flags {
    /// Chooses direction and row of every flag.
    pub fn place(plan: &Plan<'_>) -> Flags {
        let size = plan.size(SIZE);
        let marks = plan.timeline.marks.iter().filter(|mark| plan.shows(mark.at, mark.at));
        let mut flags: Vec<Flag> = marks
            .map(|mark| {
                let words = font::shorten_end(&mark.label, WIDEST * plan.scene.width, size, Weight::Bold);
                let width = font::text_width(&words, size, Weight::Bold) + 2.0 * PADDING;
                let (full, at) = (font::one_line(&mark.label), mark.at);
                Flag { at, x: plan.x(mark.at), words, full, width, points_left: false, row: None }
            })
            .collect();
        flags.sort_by_key(|flag| flag.at);
        choose_directions(&mut flags, plan.right + 8.0);
        let rows = choose_rows(&mut flags);
        Flags { flags, rows }
    }

    fn row_height(plan: &Plan<'_>) -> f64 {
        (plan.size(SIZE) * 1.62).round()
    }

    /// Height of all rows. [px]
    pub fn height(&self, plan: &Plan<'_>) -> f64 {
        self.rows as f64 * Flags::row_height(plan)
    }

    /// Draws the dashed lines through the lanes.
    pub fn draw_lines(&self, plan: &mut Plan<'_>, flags_bottom: f64, bottom: f64) {
        for flag in &self.flags {
            plan.scene.dashed_down(flag.x, flags_bottom, bottom, 1.25, plan.theme.mark.at(70));
        }
    }

    /// Draws poles and flags over the axis.
    pub fn draw(&self, plan: &mut Plan<'_>, bottom: f64) {
        let height = Flags::row_height(plan);
        let size = plan.size(SIZE);
        for flag in &self.flags {
            let Some(row) = flag.row else {
                plan.left_out += 1;
                continue;
            };
            let top = bottom - (row + 1) as f64 * height;
            let area = Area::new(flag.left(), top + 1.5, flag.left() + flag.width, top + height - 1.5);
            plan.scene.line((flag.x, area.top), (flag.x, bottom), 1.5, plan.theme.mark);
            plan.scene.rectangle(area, plan.theme.mark.at(14).over(plan.theme.background));
            plan.scene.line((flag.x, area.top), (flag.x, area.bottom), 3.0, plan.theme.mark);
            let baseline = (area.top + area.bottom + font::CAPITAL * size) / 2.0;
            let (content, x, color) = (flag.words.clone(), area.left + PADDING, plan.theme.ink);
            plan.scene.text(Text { content, x, baseline, anchor: Anchor::Start, size, weight: Weight::Bold, color });
            let hint = format!("{}\n{}", flag.full, plan.instant_text(flag.at));
            plan.scene.hint(area, hint);
        }
    }
}

impl Flag {
    fn left(&self) -> f64 {
        match self.points_left {
            true => self.x - self.width,
            false => self.x,
        }
    }

    /// Room of the flag on a row, in units of rows upwards (negative: y grows downwards).
    fn area(&self, row: usize) -> Area {
        let top = -(row as f64) - 1.0;
        Area::new(self.left() - 3.0, top, self.left() + self.width + 3.0, top + 1.0)
    }

    /// Room of the pole below a flag on a row.
    fn pole(&self, row: usize) -> Area {
        Area::new(self.x - 1.0, -(row as f64), self.x + 1.0, 0.0)
    }
}

/// Left if the flag would leave the picture or cover the pole of a mark whose flag points left.
fn choose_directions(flags: &mut [Flag], right: f64) {
    let mut limit = right;
    for flag in flags.iter_mut().rev() {
        flag.points_left = flag.x + flag.width + 4.0 > limit;
        if flag.points_left {
            limit = flag.x;
        }
    }
}

/// Gives each flag the lowest row that works; returns the number of rows.
fn choose_rows(flags: &mut [Flag]) -> usize {
    let right_pointing = (0..flags.len()).rev().filter(|&index| !flags[index].points_left);
    let left_pointing = (0..flags.len()).filter(|&index| flags[index].points_left);
    let order: Vec<usize> = right_pointing.chain(left_pointing).collect();
    let (mut boards, mut poles) = (Room::default(), Room::default());
    let mut rows = 0;
    for index in order {
        let flag = &flags[index];
        let fits = |row: &usize| {
            let board = flag.area(*row);
            boards.is_free(&board) && poles.is_free(&board) && boards.is_free(&flag.pole(*row))
        };
        let row = (0..ROWS).find(fits);
        if let Some(row) = row {
            boards.block(flag.area(row));
            // The pole's own flag hangs on it, so only the part below counts.
            poles.block(flag.pole(row));
            rows = rows.max(row + 1);
        }
        flags[index].row = row;
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flag(x: f64, width: f64) -> Flag {
        Flag { at: x as u64, x, words: String::new(), full: String::new(), width, points_left: false, row: None }
    }

    #[test]
    fn marks_at_one_place_get_a_row_each_and_apart_ones_share() {
        let mut flags = vec![flag(10.0, 50.0), flag(100.0, 50.0), flag(100.0, 50.0), flag(101.0, 50.0)];
        choose_directions(&mut flags, 1000.0);
        assert_eq!(choose_rows(&mut flags), 3);
        assert_eq!(flags[0].row, Some(0));
    }

    #[test]
    fn flags_near_the_right_end_point_left_and_all_find_a_row() {
        let mut flags: Vec<Flag> = (0..12).map(|index| flag(900.0 + f64::from(index) * 5.0, 120.0)).collect();
        choose_directions(&mut flags, 1000.0);
        assert!(flags.iter().all(|flag| flag.points_left));
        choose_rows(&mut flags);
        assert!(flags.iter().all(|flag| flag.row.is_some()));
    }
}
