//! The script's marks: flags over the axis, with dashed lines down through all lanes.
//!
//! A flag stands on a pole. Flags point right, or left where the picture ends; rows are chosen so that no flag covers
//! another and no pole runs through a flag. That is always possible: a right-pointing flag only has to stand higher than
//! the marks to its right that it covers, a left-pointing one higher than those to its left, and a flag that would cover a
//! left-pointing neighbour's pole points left itself. So right-pointing flags are placed from the right, then left-pointing
//! ones from the left, each on the lowest row that works.
//!
//! Where that would take too many rows, flags bear numbers only, neighbours share one, and a key under the legend has
//! the words.

use super::layout::{Plan, Room};
use crate::canvas::{Anchor, Area, Text};
use crate::font::{self, Weight};

/// Font size in parts of the theme's.
const SIZE: f64 = 0.87;
/// Widest flag in parts of the picture's width.
const WIDEST: f64 = 0.24;
/// Most rows of flags before they are numbered.
const ROWS: usize = 6;
/// Most rows of numbered flags.
const NUMBERED_ROWS: usize = 3;
/// Room between words and the flag's edge. [px]
const PADDING: f64 = 6.0;
/// Widest column of the key in parts of the picture's width.
const COLUMN: f64 = 0.31;

struct Flag {
    x: f64,
    words: String,
    hint: String,
    width: f64,
    points_left: bool,
    /// Counted from the lanes upwards; none if there was no room.
    row: Option<usize>,
}

/// All marks, placed.
pub(crate) struct Flags {
    flags: Vec<Flag>,
    rows: usize,
    /// Instant and words of each mark, if the flags bear numbers.
    key: Vec<(u64, String)>,
}

impl Flags {
    /// Chooses words, direction and row of every flag.
    pub fn place(plan: &mut Plan<'_>) -> Flags {
        let mut marks: Vec<(u64, String)> =
            plan.timeline.marks.iter().map(|mark| (mark.at, mark.label.clone())).collect();
        marks.retain(|&(at, _)| plan.shows(at, at));
        marks.sort_by_key(|&(at, _)| at);
        plan.mark_lines = marks.iter().map(|&(at, _)| plan.x(at)).collect();
        let widest = WIDEST * plan.scene.width;
        let spoken = marks.iter().map(|(at, label)| {
            let words = font::shorten_end(label, widest, plan.size(SIZE), Weight::Bold);
            let hint = format!("{}\n{}", font::one_line(label), plan.instant_text(*at));
            Flag::new(plan, plan.x(*at), words, hint)
        });
        let mut flags: Vec<Flag> = spoken.collect();
        choose_directions(&mut flags, plan.right + 8.0);
        match choose_rows(&mut flags, ROWS) {
            Some(rows) => Flags { flags, rows, key: Vec::new() },
            None => Flags::numbered(plan, marks),
        }
    }

    fn numbered(plan: &Plan<'_>, marks: Vec<(u64, String)>) -> Flags {
        let xs: Vec<f64> = marks.iter().map(|&(at, _)| plan.x(at)).collect();
        // Single numbers if they find room; else neighbours share a flag, ever more of them.
        let mut reach = 0.0;
        loop {
            let mut groups: Vec<(usize, usize)> = Vec::new();
            for (index, x) in xs.iter().enumerate() {
                match groups.last_mut() {
                    Some(group) if reach > 0.0 && x - xs[group.0] < reach => group.1 = index,
                    _ => groups.push((index, index)),
                }
            }
            let flag = |&(first, last): &(usize, usize)| {
                let words = match first == last {
                    true => format!("{}", first + 1),
                    false => format!("{}–{}", first + 1, last + 1),
                };
                let lines: Vec<String> = marks[first..=last].iter().map(|(_, label)| font::one_line(label)).collect();
                Flag::new(plan, xs[first], words, lines.join("\n"))
            };
            let mut flags: Vec<Flag> = groups.iter().map(flag).collect();
            choose_directions(&mut flags, plan.right + 8.0);
            let rows = choose_rows(&mut flags, NUMBERED_ROWS);
            if rows.is_some() || reach > plan.scene.width {
                return Flags { flags, rows: rows.unwrap_or(NUMBERED_ROWS), key: marks };
            }
            reach += 10.0;
        }
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
        let mut drawn = f64::NEG_INFINITY;
        let opacity = if self.key.is_empty() { 70 } else { 45 };
        for x in plan.mark_lines.clone() {
            // Lines closer than this would be one thick smear.
            if x - drawn >= 5.0 {
                plan.scene.dashed_down(x, flags_bottom, bottom, 1.25, plan.theme.mark.at(opacity));
                drawn = x;
            }
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
            plan.scene.hint(area, flag.hint.clone());
        }
    }

    /// Writes the key to the numbers, in columns, under everything else.
    pub fn draw_key(&self, plan: &mut Plan<'_>) {
        if self.key.is_empty() {
            return;
        }
        let size = plan.size(SIZE);
        let columns = ((plan.right - plan.margin) / (COLUMN * plan.scene.width)).floor().max(1.0) as usize;
        let width = (plan.right - plan.margin) / columns as f64;
        let rows = self.key.len().div_ceil(columns);
        let line = size * 1.5;
        plan.y += line * 0.6;
        let instants: Vec<String> =
            self.key.iter().map(|&(at, _)| plan.instant_text(at / 1_000_000 * 1_000_000)).collect();
        let wide = |texts: &mut dyn Iterator<Item = &str>| {
            texts.map(|text| font::text_width(text, size, Weight::Regular)).fold(0.0, f64::max)
        };
        let number_width = font::text_width(&"8".repeat(self.key.len().to_string().len()), size, Weight::Bold);
        let instant_width = wide(&mut instants.iter().map(String::as_str));
        for (index, ((_, label), instant)) in self.key.iter().zip(&instants).enumerate() {
            let left = plan.margin + (index / rows) as f64 * width;
            let baseline = plan.y + ((index % rows) as f64 + 0.8) * line;
            let (anchor, weight, color) = (Anchor::End, Weight::Bold, plan.theme.ink);
            let (content, x) = ((index + 1).to_string(), left + number_width);
            plan.scene.text(Text { content, x, baseline, anchor, size, weight, color });
            let (content, x, color) = (instant.clone(), left + number_width + size * 0.8, plan.theme.muted);
            plan.scene.text(Text { content, x, baseline, anchor: Anchor::Start, size, weight: Weight::Regular, color });
            let x = left + number_width + instant_width + size * 1.6;
            let label = font::shorten_end(label, left + width - size - x, size, Weight::Regular);
            plan.words(&label, x, baseline, size, plan.theme.ink);
        }
        plan.y += rows as f64 * line;
    }
}

impl Flag {
    fn new(plan: &Plan<'_>, x: f64, words: String, hint: String) -> Flag {
        let width = font::text_width(&words, plan.size(SIZE), Weight::Bold) + 2.0 * PADDING;
        Flag { x, words, hint, width, points_left: false, row: None }
    }

    fn left(&self) -> f64 {
        match self.points_left {
            true => self.x - self.width,
            false => self.x,
        }
    }

    /// Room of the flag on a row, in units of rows upwards (negative: y grows downwards). Air only at its free end: at the
    /// other one poles may stand as close as they like.
    fn area(&self, row: usize) -> Area {
        let top = -(row as f64) - 1.0;
        match self.points_left {
            true => Area::new(self.x - self.width - 4.0, top, self.x, top + 1.0),
            false => Area::new(self.x, top, self.x + self.width + 4.0, top + 1.0),
        }
    }

    /// The pole below a flag on a row, a line without width.
    fn pole(&self, row: usize) -> Area {
        Area::new(self.x, -(row as f64), self.x, 0.0)
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

/// Gives each flag the lowest row that works; the number of rows, or nothing if some flag found none below `most`.
fn choose_rows(flags: &mut [Flag], most: usize) -> Option<usize> {
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
        let row = (0..most).find(fits)?;
        boards.block(flag.area(row));
        // The pole's own flag hangs on it, so only the part below counts.
        poles.block(flag.pole(row));
        rows = rows.max(row + 1);
        flags[index].row = Some(row);
    }
    Some(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flag(x: f64, width: f64) -> Flag {
        Flag { x, words: String::new(), hint: String::new(), width, points_left: false, row: None }
    }

    #[test]
    fn marks_at_one_place_get_a_row_each_and_apart_ones_share() {
        let mut flags = vec![flag(10.0, 50.0), flag(100.0, 50.0), flag(100.0, 50.0), flag(101.0, 50.0)];
        choose_directions(&mut flags, 1000.0);
        assert_eq!(choose_rows(&mut flags, 6), Some(3));
        assert_eq!(flags[0].row, Some(0));
        assert_eq!(choose_rows(&mut flags, 2), None);
    }

    #[test]
    fn flags_near_the_right_end_point_left_and_all_find_a_row() {
        let mut flags: Vec<Flag> = (0..12).map(|index| flag(900.0 + f64::from(index) * 5.0, 120.0)).collect();
        choose_directions(&mut flags, 1000.0);
        assert!(flags.iter().all(|flag| flag.points_left));
        assert_eq!(choose_rows(&mut flags, 20), Some(12));
    }
}
