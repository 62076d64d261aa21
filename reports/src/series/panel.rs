//! A panel of lines: its upright axis, the lines, and their names.

use super::amounts::Amounts;
use super::labels::spread_out;
use super::layout::{AIR, SIZE, STUB};
use super::model::{Line, Panel};
use crate::canvas::{Anchor, Text};
use crate::font::{self, Weight};
use crate::theme::{Color, Theme};
use crate::timeline::layout::Plan;

/// Least height in parts of the theme's font size.
const HEIGHT: f64 = 5.6;
/// Height of a name in parts of its size.
const NAME: f64 = 1.22;
/// How strong a light line is. [percent]
const LIGHT: u8 = 58;
/// A line that ends more than this before the right edge has no stub to its name. [px]
const REACH: f64 = 30.0;

/// A panel of lines, measured.
pub(super) struct Body<'a> {
    panel: &'a Panel,
    amounts: Amounts,
    /// The lines that have points.
    lines: Vec<&'a Line>,
    name_height: f64,
}

impl<'a> Body<'a> {
    /// Measures a panel; nothing for a strip.
    pub fn of(panel: &'a Panel, theme: &Theme) -> Option<Body<'a>> {
        if panel.spells.is_some() {
            return None;
        }
        let lines: Vec<&Line> = panel.lines.iter().filter(|line| line.values().next().is_some()).collect();
        let values = lines.iter().flat_map(|line| line.values());
        let limits = panel.limits.iter().map(|limit| limit.value).filter(|_| !lines.is_empty());
        let amounts = Amounts::fit(values.chain(limits), panel.unit);
        Some(Body { panel, amounts, lines, name_height: theme.font_size * SIZE * NAME })
    }

    /// The labels of the upright axis.
    pub fn tick_labels(&self) -> Vec<String> {
        self.amounts.ticks.iter().map(|tick| self.amounts.label(*tick)).collect()
    }

    /// The names that stand at the right.
    pub fn names(&self) -> Vec<String> {
        let limits = self.panel.limits.iter().filter(|_| !self.lines.is_empty()).map(|limit| limit.label.clone());
        self.lines.iter().map(|line| font::one_line(&line.label())).chain(limits).collect()
    }

    /// Height: enough for the names. [px]
    pub fn height(&self, plan: &Plan<'_>) -> f64 {
        plan.size(HEIGHT).max(self.names().len() as f64 * self.name_height)
    }

    /// Draws axis, lines, names.
    pub fn draw(&self, plan: &mut Plan<'_>, top: f64, bottom: f64) {
        self.draw_axis(plan, top, bottom);
        let y = |value: u64| bottom - self.amounts.part(value) * (bottom - top);
        if self.lines.is_empty() {
            return self.say_nothing(plan, top, bottom);
        }
        let mut names = Vec::new();
        for limit in &self.panel.limits {
            let at = y(limit.value);
            plan.scene.dashed_across(at, plan.left, plan.right, 1.5, plan.theme.fault().at(80));
            names.push((limit.label.clone(), (plan.right, at), plan.theme.fault()));
        }
        // What is light lies below what is not.
        let mut order: Vec<&&Line> = self.lines.iter().collect();
        order.sort_by_key(|line| !line.light);
        for line in order {
            let color = color(plan, line);
            if let Some(end) = draw_line(plan, line, color, &y) {
                names.push((line.label(), end, plan.theme.hue(line.hue)));
            }
        }
        self.draw_names(plan, names, top, bottom);
    }

    fn draw_axis(&self, plan: &mut Plan<'_>, top: f64, bottom: f64) {
        let size = plan.size(SIZE);
        for &tick in &self.amounts.ticks {
            let at = bottom - self.amounts.part(tick) * (bottom - top);
            let color = if tick == self.amounts.ticks[0] { plan.theme.line } else { plan.theme.grid };
            plan.scene.line((plan.left, at), (plan.right, at), 1.0, color);
            let (content, x) = (self.amounts.label(tick), plan.left - AIR);
            let (baseline, color) = (at + font::CAPITAL * size / 2.0, plan.theme.muted);
            let text = Text { content, x, baseline, anchor: Anchor::End, size, weight: Weight::Regular, color };
            plan.scene.text(text);
        }
    }

    fn say_nothing(&self, plan: &mut Plan<'_>, top: f64, bottom: f64) {
        let size = plan.size(SIZE);
        let (x, baseline) = ((plan.left + plan.right) / 2.0, (top + bottom + font::CAPITAL * size) / 2.0);
        let (content, color) = ("nothing was observed".to_owned(), plan.theme.muted);
        let text = Text { content, x, baseline, anchor: Anchor::Middle, size, weight: Weight::Regular, color };
        plan.scene.rectangle(text.area().grown(8.0, 2.0), plan.theme.background);
        plan.scene.text(text);
    }

    fn draw_names(&self, plan: &mut Plan<'_>, names: Vec<(String, (f64, f64), Color)>, top: f64, bottom: f64) {
        let size = plan.size(SIZE);
        let wishes: Vec<f64> = names.iter().map(|(_, end, _)| end.1).collect();
        let half = self.name_height / 2.0;
        let middles = spread_out(&wishes, self.name_height, (top - half, bottom + half));
        let room = plan.scene.width - plan.right - STUB - 8.0;
        for ((name, end, color), middle) in names.into_iter().zip(middles) {
            let x = plan.right + STUB;
            if plan.right - end.0 <= REACH {
                let points = vec![end, (plan.right.max(end.0) + 1.0, end.1), (x - 3.0, middle)];
                plan.scene.path(points, 1.0, color.at(60).over(plan.theme.background));
            }
            let content = font::shorten_middle(&name, room, size, Weight::Regular);
            let (baseline, color) = (middle + font::CAPITAL * size / 2.0, color.at(65).over(plan.theme.ink));
            plan.scene.text(Text { content, x, baseline, anchor: Anchor::Start, size, weight: Weight::Regular, color });
        }
    }
}

fn color(plan: &Plan<'_>, line: &Line) -> Color {
    let color = plan.theme.hue(line.hue);
    if line.light { color.at(LIGHT).over(plan.theme.background) } else { color }
}

/// Draws a line piece by piece; the answer is where it ends.
fn draw_line(plan: &mut Plan<'_>, line: &Line, color: Color, y: &impl Fn(u64) -> f64) -> Option<(f64, f64)> {
    let width = if line.light { 1.5 } else { 2.0 };
    let mut piece: Vec<(f64, f64)> = Vec::new();
    let mut end = None;
    for point in &line.points {
        let shown = plan.shows(point.at, point.at);
        match point.value.filter(|_| shown) {
            Some(value) => {
                let at = (plan.x(point.at), y(value));
                // The middle of three on one height says nothing.
                if let [.., before, last] = piece.as_slice()
                    && before.1 == at.1
                    && last.1 == at.1
                {
                    piece.pop();
                }
                piece.push(at);
                end = Some(at);
            }
            None => draw_piece(plan, std::mem::take(&mut piece), width, color),
        }
    }
    draw_piece(plan, piece, width, color);
    end
}

fn draw_piece(plan: &mut Plan<'_>, piece: Vec<(f64, f64)>, width: f64, color: Color) {
    match piece.as_slice() {
        [] => {}
        [only] => plan.scene.circle(*only, width, color),
        _ => plan.scene.path(piece, width, color),
    }
}
