//! The picture of an attempt: a row per node that fits, a column per plugin, each cell coloured and numbered by what the plugin
//! adds to the node's total; below, the nodes that do not fit, under the filter that refused them and its reason.
//!
//! Colour says how much of the largest possible addition a cell is; the number says it exactly, so that the picture can be
//! printed in grey. Plugins that rate every node 0 are named in a line instead of taking a column.

use super::model::{Explanation, Score, counted, instant};
use crate::canvas::{self, Anchor, Area, Scene, Text};
use crate::error::ReportError;
use crate::font::{self, Weight};
use crate::theme::{Color, Theme};

/// Free border of the picture. [px]
const MARGIN: f64 = 26.0;
/// Least and most width of a plugin's column in parts of the font size.
const COLUMN: (f64, f64) = (5.2, 10.0);
/// Most rows of names of refused nodes under one reason.
const NAME_ROWS: usize = 4;
/// The best rating of a plugin.
const BEST: i64 = 100;

/// The picture as the text of an SVG file.
pub fn svg(why: &Explanation, theme: &Theme) -> Result<String, ReportError> {
    canvas::svg(&scene(why, theme))
}

/// The picture as the bytes of a PNG file, with `scale` pixels for each pixel of the theme's width.
pub fn png(why: &Explanation, theme: &Theme, scale: f64) -> Result<Vec<u8>, ReportError> {
    canvas::png(&scene(why, theme), scale)
}

/// The picture laid out but not drawn. It is as wide as the theme at most, and as high as it needs.
pub fn scene(why: &Explanation, theme: &Theme) -> Scene {
    let node = why.node.as_ref().map_or("no node".to_owned(), |node| format!("node {node}"));
    let title = format!("Why {node} for pod {}", why.pod);
    let mut plan = Plan {
        why,
        theme,
        scene: Scene::new(f64::from(theme.width.max(480)), 0.0, theme.background, &font::one_line(&title)),
        y: MARGIN * 0.8,
        widest: 0.0,
    };
    plan.heading(&title);
    plan.grid();
    plan.refused();
    plan.preemption();
    plan.scene.height = (plan.y + MARGIN * 0.7).ceil();
    // No wider than what it shows.
    let widest = plan.scene.text_boxes().iter().fold(plan.widest, |widest, (_, area)| widest.max(area.right));
    plan.scene.width = (widest + MARGIN).ceil().max(480.0);
    plan.scene
}

struct Plan<'a> {
    why: &'a Explanation,
    theme: &'a Theme,
    scene: Scene,
    /// Where the next part begins. [px]
    y: f64,
    /// How far the cells reach. [px]
    widest: f64,
}

/// The look of a text.
#[derive(Clone, Copy)]
struct Look {
    size: f64,
    weight: Weight,
    color: Color,
}

impl Plan<'_> {
    fn size(&self, part: f64) -> f64 {
        self.theme.font_size * part
    }

    fn right(&self) -> f64 {
        self.scene.width - MARGIN
    }

    fn plain(&self, part: f64) -> Look {
        Look { size: self.size(part), weight: Weight::Regular, color: self.theme.ink }
    }

    fn bold(&self, part: f64) -> Look {
        Look { weight: Weight::Bold, ..self.plain(part) }
    }

    fn quiet(&self, part: f64) -> Look {
        Look { color: self.theme.muted, ..self.plain(part) }
    }

    fn put(&mut self, words: &str, x: f64, baseline: f64, anchor: Anchor, look: Look) {
        let content = font::one_line(words);
        let Look { size, weight, color } = look;
        self.scene.text(Text { content, x, baseline, anchor, size, weight, color });
    }

    /// A line of text at the left, shortened to the picture.
    fn line(&mut self, words: &str, indent: f64, look: Look) {
        let room = self.right() - MARGIN - indent;
        let words = font::shorten_end(words, room, look.size, look.weight);
        self.put(&words, MARGIN + indent, self.y + look.size, Anchor::Start, look);
        self.y += look.size * 1.45;
    }

    fn heading(&mut self, title: &str) {
        self.line(title, 0.0, self.bold(1.45));
        let why = self.why;
        let mut parts = vec![format!("at {}", instant(why.t))];
        if why.attempt > 0 {
            parts.push(format!("attempt {} of {}", why.attempt, why.scheduler));
        }
        parts.push(why.reach());
        self.line(&parts.join("  ·  "), 0.0, self.quiet(0.95));
        if !why.woken.is_empty() {
            let cause = why.cause.as_ref().map(|cause| format!(": {} at {}", cause.text, instant(cause.t)));
            self.line(&format!("woken by {}{}", why.woken, cause.unwrap_or_default()), 0.0, self.quiet(0.95));
        }
        if !why.message.is_empty() {
            let words = self.wrapped(&why.message, self.right() - MARGIN, self.plain(0.95));
            words.iter().for_each(|line| self.line(line, 0.0, self.plain(0.95)));
        }
        self.y += self.size(0.5);
    }

    /// The words in lines no wider than `room`.
    fn wrapped(&self, words: &str, room: f64, look: Look) -> Vec<String> {
        let mut lines: Vec<String> = Vec::new();
        for word in words.split_whitespace() {
            let longer = lines.last().map(|line| format!("{line} {word}"));
            match longer {
                Some(longer) if font::text_width(&longer, look.size, look.weight) <= room => {
                    if let Some(last) = lines.last_mut() {
                        *last = longer;
                    }
                }
                _ => lines.push(word.to_owned()),
            }
        }
        lines
    }

    fn grid(&mut self) {
        let why = self.why;
        if why.scores.is_empty() {
            return;
        }
        let telling = why.telling();
        if telling.is_empty() {
            let only = if why.scores.len() == 1 { "the only node that fits; no scores were needed" } else { "" };
            let node = why.node.as_deref().unwrap_or_default();
            self.line(&format!("{node}  {only}"), 0.0, self.plain(1.0));
            self.y += self.size(0.5);
            return;
        }
        let names = self.names_width();
        let columns = telling.len() as f64 + 1.0;
        let left = MARGIN + names;
        let column = ((self.right() - left) / columns).min(self.size(COLUMN.1)).max(self.size(COLUMN.0));
        // A picture with many columns is wider than asked for rather than unreadable.
        self.widest = left + column * columns;
        self.scene.width = self.scene.width.max(self.widest + MARGIN);
        self.column_heads(&telling, left, column);
        let most = telling.iter().filter_map(|place| why.plugins.get(*place)).map(|plugin| plugin.weight * BEST).max();
        let best = why.scores.iter().map(|score| score.total).max().unwrap_or(0);
        for score in &why.scores {
            self.row(score, &telling, (left, column), (most.unwrap_or(BEST).max(1), best.max(1)));
        }
        self.y += self.size(0.35);
        self.key(most.unwrap_or(BEST));
        let more = why.fitting.saturating_sub(why.scores.len() as u32);
        if more > 0 {
            let words = format!("{} that fit and are rated no better", counted(more, "more node", "more nodes"));
            self.line(&words, 0.0, self.quiet(0.86));
        }
        match why.silent() {
            silent if silent.is_empty() => {}
            silent => self.line(&format!("0 for every node: {}", silent.join(", ")), 0.0, self.quiet(0.86)),
        }
        self.y += self.size(0.8);
    }

    fn names_width(&self) -> f64 {
        let look = self.bold(0.95);
        let widths = self.why.scores.iter().map(|score| font::text_width(&score.node, look.size, look.weight));
        let widest = widths.fold(self.size(4.0), f64::max);
        (widest + self.size(2.4)).min(self.scene.width * 0.3)
    }

    fn column_heads(&mut self, telling: &[usize], left: f64, column: f64) {
        let look = self.quiet(0.82);
        let room = column - self.size(0.5);
        let heads: Vec<(Vec<String>, String)> = telling
            .iter()
            .filter_map(|place| self.why.plugins.get(*place))
            .map(|plugin| (camel_lines(&plugin.plugin, room, look), format!("× {}", plugin.weight)))
            .collect();
        let lines = heads.iter().map(|(lines, _)| lines.len()).max().unwrap_or(1) as f64;
        let step = look.size * 1.18;
        let bottom = self.y + step * (lines + 1.0) + look.size * 0.3;
        for (place, (words, weight)) in heads.iter().enumerate() {
            let middle = left + column * (place as f64 + 0.5);
            let count = words.len() as f64;
            for (line, word) in words.iter().enumerate() {
                let baseline = bottom - step * (count - line as f64) - look.size * 0.45;
                self.put(word, middle, baseline, Anchor::Middle, look);
            }
            self.put(weight, middle, bottom - look.size * 0.45, Anchor::Middle, self.bold(0.82));
        }
        let middle = left + column * (heads.len() as f64 + 0.5);
        self.put("total", middle, bottom - look.size * 0.45, Anchor::Middle, self.bold(0.9));
        self.y = bottom;
    }

    fn row(&mut self, score: &Score, telling: &[usize], (left, column): (f64, f64), (most, best): (i64, i64)) {
        let why = self.why;
        let chosen = why.node.as_deref() == Some(score.node.as_str());
        let (height, gap) = (self.size(1.9), 2.0);
        let (top, bottom) = (self.y, self.y + height - gap);
        let name_look = if chosen { self.bold(0.95) } else { self.plain(0.95) };
        let baseline = (top + bottom) / 2.0 + name_look.size * font::CAPITAL / 2.0;
        let indent = self.size(1.4);
        if chosen {
            let (x, middle, half) = (MARGIN, (top + bottom) / 2.0, self.size(0.42));
            self.scene.polygon(vec![(x, middle - half), (x + half * 1.7, middle), (x, middle + half)], self.theme.mark);
        }
        let room = left - MARGIN - indent - self.size(0.6);
        let name = font::shorten_middle(&score.node, room, name_look.size, name_look.weight);
        self.put(&name, MARGIN + indent, baseline, Anchor::Start, name_look);
        for (column_number, place) in telling.iter().enumerate() {
            let Some(weighted) = why.weighted(score, *place) else { continue };
            let x = left + column * column_number as f64;
            let area = Area::new(x, top, x + column - gap, bottom);
            let fill = self.shade(weighted, most);
            self.scene.rectangle(area, fill);
            let look = Look { color: fill.text_on(), ..self.plain(0.92) };
            self.put(&weighted.to_string(), (area.left + area.right) / 2.0, baseline, Anchor::Middle, look);
            if let (Some(plugin), Some(raw), Some(rating)) =
                (why.plugins.get(*place), score.raw.get(*place), score.normalized.get(*place))
            {
                let plugin_weight = plugin.weight;
                let words = format!("{}: {raw}, normalised {rating}, × {plugin_weight} = {weighted}", plugin.plugin);
                self.scene.hint(area, words);
            }
        }
        let x = left + column * telling.len() as f64;
        let area = Area::new(x + self.size(0.3), top, x + column, bottom);
        self.total(score, area, best, chosen);
        self.y += height;
    }

    /// The total with a bar from zero to the best.
    fn total(&mut self, score: &Score, area: Area, best: i64, chosen: bool) {
        let share = (score.total.max(0) as f64 / best as f64).min(1.0);
        self.scene.rectangle(area, self.theme.band);
        let bar = Area::new(area.left, area.bottom - 4.0, area.left + (area.right - area.left) * share, area.bottom);
        self.scene.rectangle(bar, if chosen { self.theme.mark } else { self.theme.line });
        let look = if chosen { self.bold(0.95) } else { self.plain(0.95) };
        let baseline = (area.top + area.bottom - 4.0) / 2.0 + look.size * font::CAPITAL / 2.0;
        self.put(&score.total.to_string(), (area.left + area.right) / 2.0, baseline, Anchor::Middle, look);
    }

    /// From the paper to blue.
    fn shade(&self, value: i64, most: i64) -> Color {
        self.theme.heat((value.clamp(0, most) * 100 / most).clamp(0, 100) as u8)
    }

    fn key(&mut self, most: i64) {
        let look = self.quiet(0.82);
        let (width, height) = (self.size(1.6), self.size(0.8));
        let mut x = MARGIN;
        let baseline = self.y + look.size;
        let words = "What a plugin adds to the total (rating × weight):";
        self.put(words, x, baseline, Anchor::Start, look);
        x += font::text_width(words, look.size, look.weight) + self.size(0.6);
        self.put("0", x, baseline, Anchor::Start, look);
        x += font::text_width("0", look.size, look.weight) + self.size(0.3);
        for step in 0..=5 {
            let fill = self.shade(most * step / 5, most.max(1));
            self.scene.rectangle(Area::new(x, baseline - height * 0.85, x + width, baseline + height * 0.15), fill);
            x += width;
        }
        self.put(&most.to_string(), x + self.size(0.3), baseline, Anchor::Start, look);
        self.y += look.size * 1.6;
    }

    fn refused(&mut self) {
        let why = self.why;
        if let Some(refused) = &why.refused {
            self.line(&format!("{} refuses the pod on every node", refused.plugin), 0.0, self.bold(1.0));
            self.line(&refused.reason, self.size(1.4), self.plain(0.95));
            self.y += self.size(0.6);
        }
        if why.rejected.is_empty() {
            return;
        }
        let count = why.rejected.iter().map(|sort| sort.count).sum();
        self.line(&format!("{} refused", counted(count, "node", "nodes")), 0.0, self.bold(1.05));
        for sort in &why.rejected {
            self.y += self.size(0.25);
            let (top, words) = (self.y, format!("{}: {}", sort.plugin, sort.reasons.join(", ")));
            let share = f64::from(sort.count) / f64::from(why.nodes.max(1));
            let help = if sort.unresolvable { "  (preemption cannot help)" } else { "" };
            self.line(&format!("{} × {words}{help}", sort.count), self.size(1.4), self.plain(0.95));
            let bar = Area::new(MARGIN, top + self.size(0.15), MARGIN + self.size(0.8), top + self.size(1.15));
            self.scene.rectangle(bar, Color::hex(0xD55E00).at(30).over(self.theme.background));
            let filled =
                Area::new(bar.left, bar.bottom - (bar.bottom - bar.top) * share.min(1.0), bar.right, bar.bottom);
            self.scene.rectangle(filled, Color::hex(0xD55E00));
            self.names(&sort.nodes, sort.count);
        }
        self.y += self.size(0.6);
    }

    /// Names of nodes in a few rows, and how many more there are.
    fn names(&mut self, nodes: &[String], count: u32) {
        let look = self.quiet(0.86);
        // Not much wider than the cells.
        let room =
            (self.right() - MARGIN - self.size(1.4)).min(self.widest.max(self.size(50.0)) - MARGIN - self.size(1.4));
        let mut rows = self.wrapped(&nodes.join(", "), room, look);
        let all_rows = rows.len();
        rows.truncate(NAME_ROWS);
        let shown = if all_rows > NAME_ROWS {
            rows.iter().map(|row| row.matches(',').count() as u32).sum()
        } else {
            nodes.len() as u32
        };
        for row in &rows {
            self.line(row, self.size(1.4), look);
        }
        let more = count.saturating_sub(shown);
        if more > 0 {
            self.line(&format!("and {more} more"), self.size(1.4), look);
        }
    }

    fn preemption(&mut self) {
        let why = self.why;
        if let Some(node) = &why.nominated {
            self.line(&format!("Preemption: promised {node}"), 0.0, self.bold(1.05));
            let words = format!("victims: {}", why.victims.join(", "));
            let room = self.right() - MARGIN - self.size(1.4);
            let lines = self.wrapped(&words, room, self.plain(0.95));
            lines.iter().take(NAME_ROWS).for_each(|line| self.line(line, self.size(1.4), self.plain(0.95)));
            for run in why.candidates.iter().filter(|run| run.node != *node).take(NAME_ROWS) {
                let victims = counted(run.victims, "victim", "victims");
                let words = format!(
                    "not {}: {victims}, highest priority {}, {} protected by a budget",
                    run.node, run.highest, run.violations
                );
                self.line(&words, self.size(1.4), self.quiet(0.86));
            }
        } else if !why.in_vain.is_empty() {
            self.line("Preemption in vain", 0.0, self.bold(1.05));
        }
        for sort in &why.in_vain {
            let words = format!("in vain on {}: {}", counted(sort.count, "node", "nodes"), sort.reasons.join(", "));
            self.line(&words, self.size(1.4), self.quiet(0.86));
        }
    }
}

/// `NodeResourcesFit` in lines that break before capitals.
fn camel_lines(name: &str, room: f64, look: Look) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    for character in name.chars() {
        if character.is_uppercase() || words.is_empty() {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut() {
            word.push(character);
        }
    }
    let mut lines: Vec<String> = Vec::new();
    for word in words {
        let longer = lines.last().map(|line| format!("{line}{word}"));
        match (longer, lines.last_mut()) {
            (Some(longer), Some(last)) if font::text_width(&longer, look.size, look.weight) <= room => *last = longer,
            _ => lines.push(font::shorten_end(&word, room, look.size, look.weight)),
        }
    }
    lines
}
