//! The pods: a bar each, coloured by state, grouped by node or owner.
//!
//! Bars of pods that do not run are lower, so that a picture printed in grey still tells. Rows get lower as pods get more;
//! where single bars would be too low, a group shows how many of its pods were in which state.

use std::collections::BTreeMap;

use super::labels::thousands;
use super::layout::{Plan, Room, widest_clear};
use super::model::{PodBar, PodGroups, PodState, Segment, Timeline};
use super::strip::{Series, Strip};
use crate::canvas::Area;
use crate::duration;
use crate::font::{self, Weight};

/// Largest font size of names in parts of the theme's.
const NAME_SIZE: f64 = 0.87;
/// Font size of states written into bars.
const STATE_SIZE: f64 = 0.76;
/// Narrowest stretch of a bar. [px]
const THIN: f64 = 2.0;
/// More groups than this stand without headings, their names beside the pods'.
const HEADINGS: usize = 8;
/// More pods than this are shown as strips.
const SINGLE: usize = 80;
/// Most strips; more groups than this share one.
const STRIPS: usize = 12;
/// Height of a strip, in parts of the theme's font size.
const STRIP: f64 = 5.0;
/// Width of a bin of a strip, and of a hover text's area over it. [px]
const BIN: f64 = 2.0;
const CELL: f64 = 26.0;
/// The states from the bottom of a strip to its top: what is well first, trouble last.
const SERIES: [PodState; 10] = [
    PodState::Succeeded,
    PodState::Ready,
    PodState::RunningNotReady,
    PodState::PullingImage,
    PodState::ContainerCreating,
    PodState::Scheduled,
    PodState::Pending,
    PodState::Terminating,
    PodState::BackOff,
    PodState::Failed,
];

/// Sizes that depend on how many pods there are.
struct Density {
    /// Height of a row, in parts of the theme's font size.
    row: f64,
    /// Font size of names.
    name: f64,
    /// Whether states are written into bars.
    states: bool,
}

impl Density {
    fn of(count: usize) -> Density {
        match count {
            0..=12 => Density { row: 1.4, name: NAME_SIZE, states: true },
            13..=24 => Density { row: 1.2, name: 0.82, states: true },
            _ => Density { row: 0.9, name: 0.76, states: false },
        }
    }
}

/// All bars, placed.
pub(super) struct Pods {
    density: Density,
    groups: Vec<Group>,
    /// Whether groups have a heading of their own.
    headings: bool,
    /// Whether groups are strips.
    strips: bool,
}

struct Group {
    name: String,
    title: String,
    top: f64,
    bottom: f64,
    members: Vec<usize>,
}

/// Groups the pods and gives each its row.
pub(super) fn place(plan: &mut Plan<'_>) -> Pods {
    let pods = &plan.timeline.pods;
    let density = Density::of(pods.len());
    let strips = pods.len() > SINGLE;
    let (how, grouped) = groups(plan.timeline);
    let headings = strips || grouped.len() <= HEADINGS;
    if !pods.is_empty() {
        plan.y += plan.size(0.5);
    }
    let mut groups = Vec::new();
    for (name, members) in grouped {
        let title = title(&name, members.len(), how);
        let top = plan.y;
        plan.y += if headings { plan.group_height() } else { plan.size(0.15) };
        plan.y += if strips { plan.size(STRIP) } else { members.len() as f64 * plan.size(density.row) };
        plan.y += plan.size(if headings { 0.25 } else { 0.15 });
        groups.push(Group { name, title, top, bottom: plan.y, members });
    }
    plan.y = plan.y.round();
    Pods { density, groups, headings, strips }
}

/// The grouping asked for or, if that would be too many strips, the next coarser one; and the groups.
fn groups(timeline: &Timeline) -> (PodGroups, Vec<(String, Vec<usize>)>) {
    let (pods, asked) = (&timeline.pods, timeline.pod_groups);
    let most = if pods.len() > SINGLE { STRIPS } else { usize::MAX };
    let mut tries = [asked, PodGroups::Owner].into_iter().map(|how| (how, grouped(pods, how)));
    tries
        .find(|(_, groups)| groups.len() <= most)
        .unwrap_or_else(|| (PodGroups::Ungrouped, grouped(pods, PodGroups::Ungrouped)))
}

/// Width the names of the pods and groups would like to have. [px]
pub(super) fn names_width(timeline: &Timeline, font_size: f64) -> f64 {
    let width = |name: &str, part, weight| font::text_width(name, part * font_size, weight);
    let (how, groups) = groups(timeline);
    let size = Density::of(timeline.pods.len()).name;
    let pods = timeline.pods.iter().map(|pod| width(&pod.name, size, Weight::Regular)).fold(0.0, f64::max);
    let strips = timeline.pods.len() > SINGLE;
    match strips || groups.len() <= HEADINGS {
        true => {
            let titles = groups.iter().map(|(name, members)| title(name, members.len(), how));
            let titles = titles.map(|title| width(&title, 0.8, Weight::Bold)).fold(0.0, f64::max);
            if strips { titles } else { f64::max(titles, pods) }
        }
        false => {
            let names = groups.iter().map(|(name, _)| width(name, size, Weight::Regular)).fold(0.0, f64::max);
            pods + names + font_size
        }
    }
}

/// Groups by name in natural order (`worker-2` before `worker-10`), those without one last.
fn grouped(pods: &[PodBar], how: PodGroups) -> Vec<(String, Vec<usize>)> {
    let key = |pod: &PodBar| match how {
        PodGroups::Node => pod.node.clone(),
        PodGroups::Owner => pod.owner.clone(),
        PodGroups::Ungrouped => None,
    };
    let without = match how {
        PodGroups::Node => "no node",
        PodGroups::Owner => "no owner",
        PodGroups::Ungrouped => "Pods",
    };
    let mut groups: BTreeMap<(bool, Vec<Piece>, String), Vec<usize>> = BTreeMap::new();
    for (index, pod) in pods.iter().enumerate() {
        let (nameless, name) = match key(pod) {
            Some(name) => (false, name),
            None => (true, without.to_string()),
        };
        groups.entry((nameless, pieces(&name), name)).or_default().push(index);
    }
    groups.into_iter().map(|((_, _, name), members)| (name, members)).collect()
}

/// Part of a name: a number, or what is between numbers.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Piece {
    /// By its length without leading zeros, then its digits: no number is too long.
    Number(usize, String),
    Words(String),
}

fn pieces(name: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut rest = name;
    while let Some(first) = rest.chars().next() {
        let digits = first.is_ascii_digit();
        let end = rest.find(|c: char| c.is_ascii_digit() != digits).unwrap_or(rest.len());
        let (piece, after) = rest.split_at(end);
        let number = piece.trim_start_matches('0');
        pieces.push(match digits {
            true => Piece::Number(number.len(), number.to_string()),
            false => Piece::Words(piece.to_string()),
        });
        rest = after;
    }
    pieces
}

fn title(name: &str, count: usize, how: PodGroups) -> String {
    let noun = if count == 1 { "pod" } else { "pods" };
    let count = thousands(count as u64);
    match how {
        PodGroups::Ungrouped => format!("{count} {noun}"),
        _ => format!("{name} · {count} {noun}"),
    }
}

impl Pods {
    /// Draws headings, names and bars.
    pub fn draw(&self, plan: &mut Plan<'_>) {
        for group in &self.groups {
            match self.headings {
                true => plan.group_heading(&group.title, group.top),
                false => plan.scene.line((plan.margin, group.top), (plan.right, group.top), 1.0, plan.theme.grid),
            }
            match self.strips {
                true => draw_strip(plan, group),
                false => self.draw_bars(plan, group),
            }
        }
    }

    fn draw_bars(&self, plan: &mut Plan<'_>, group: &Group) {
        let timeline = plan.timeline;
        let (height, size) = (plan.size(self.density.row), plan.size(self.density.name));
        let mut top = group.top + if self.headings { plan.group_height() } else { plan.size(0.15) };
        let mut name_left = plan.margin + 10.0;
        if !self.headings {
            // As wide as the widest group's name, at most half of the column.
            let names = self.groups.iter().map(|group| font::text_width(&group.name, size, Weight::Regular));
            let width = names.fold(0.0, f64::max).min((plan.left - plan.margin) * 0.45);
            let baseline = top + (height + font::CAPITAL * size) / 2.0;
            let name = font::shorten_middle(&group.name, width, size, Weight::Regular);
            plan.words(&name, plan.margin, baseline, size, plan.theme.muted);
            name_left = plan.margin + width + plan.size(0.8);
        }
        for pod in group.members.iter().filter_map(|&index| timeline.pods.get(index)) {
            let width = plan.left - name_left - 10.0;
            let name = font::shorten_middle(&pod.name, width, size, Weight::Regular);
            let baseline = top + (height + font::CAPITAL * size) / 2.0;
            plan.words(&name, name_left, baseline, size, plan.theme.ink);
            let air = (height * 0.1).max(0.75);
            let mut room = Room::default();
            for segment in stacking_order(plan, pod) {
                let area = draw_segment(plan, pod, segment, (top + air, top + height - air));
                if self.density.states {
                    write_state(plan, segment.state, &area, &mut room);
                }
            }
            top += height;
        }
    }
}

fn draw_segment(plan: &mut Plan<'_>, pod: &PodBar, segment: &Segment, (top, bottom): (f64, f64)) -> Area {
    let (left, right) = ends(plan, segment);
    let inset = if segment.state.is_running() { 0.0 } else { (bottom - top) * 0.13 };
    let area = Area::new(left, top + inset, right, bottom - inset);
    plan.scene.rectangle(area, plan.theme.pod(segment.state));
    let length = duration::short(segment.end.saturating_sub(segment.start));
    let (start, end) = (plan.instant_text(segment.start), plan.instant_text(segment.end));
    plan.scene.hint(area, format!("{}: {}\n{start} – {end} ({length})", pod.name, segment.state.title()));
    area
}

fn write_state(plan: &mut Plan<'_>, state: PodState, area: &Area, room: &mut Room) {
    let size = plan.size(STATE_SIZE);
    let (left, right) = widest_clear(area.left, area.right, &plan.tears());
    let width = font::text_width(state.title(), size, Weight::Regular) + 10.0;
    let fits = width <= right - left && room.take(Area { left, right: left + width, ..*area });
    if fits && area.bottom - area.top >= size * (font::ASCENT + font::DESCENT) {
        let baseline = (area.top + area.bottom + font::CAPITAL * size) / 2.0;
        plan.words(state.title(), left + 5.0, baseline, size, plan.theme.pod(state).text_on());
    }
}

/// Short stretches last, so that the minimum width they get is not covered by their neighbours.
fn stacking_order<'p>(plan: &Plan<'_>, pod: &'p PodBar) -> Vec<&'p Segment> {
    let shown = pod.segments.iter().filter(|segment| plan.shows(segment.start, segment.end));
    let (short, mut long): (Vec<&Segment>, Vec<&Segment>) =
        shown.partition(|segment| plan.x(segment.end) - plan.x(segment.start) < THIN);
    long.extend(short);
    long
}

fn ends(plan: &Plan<'_>, segment: &Segment) -> (f64, f64) {
    let left = plan.x(segment.start).min(plan.right - THIN);
    (left, plan.x(segment.end).max(left + THIN))
}

/// How many pods of the group were in which state.
fn draw_strip(plan: &mut Plan<'_>, group: &Group) {
    let timeline = plan.timeline;
    let mut strip = Strip::new((plan.left, plan.right), BIN, SERIES.len());
    for pod in group.members.iter().filter_map(|&index| timeline.pods.get(index)) {
        for segment in pod.segments.iter().filter(|segment| plan.shows(segment.start, segment.end)) {
            let series = SERIES.iter().position(|&state| state == segment.state).unwrap_or(0);
            strip.add_stretch(series, plan.x(segment.start), plan.x(segment.end));
        }
    }
    let (top, bottom) = (group.top + plan.group_height(), group.bottom - plan.size(0.25));
    let series = SERIES.map(|state| Series { color: plan.theme.pod(state), least: 0.5 });
    let peak = strip.peak().round();
    strip.draw(&mut plan.scene, (top, bottom), peak, &series);
    scale(plan, (top, bottom), peak as u64);
    for cell in strip.cells(CELL) {
        let count = |sum: f64| (sum / cell.bins as f64).round() as u64;
        let shown = SERIES.iter().zip(&cell.sums).filter(|(_, sum)| count(**sum) > 0);
        let lines: Vec<String> = shown.map(|(state, sum)| format!("{} {}", count(*sum), state.title())).collect();
        plan.scene.hint(Area::new(cell.left, top, cell.right, bottom), lines.join("\n"));
    }
}

/// Nothing and the most pods, left of the strip.
fn scale(plan: &mut Plan<'_>, (top, bottom): (f64, f64), peak: u64) {
    use crate::canvas::{Anchor, Text};
    let size = plan.size(STATE_SIZE);
    for (y, amount, baseline) in [(top, peak, top + size * font::CAPITAL), (bottom, 0, bottom)] {
        plan.scene.line((plan.left - 5.0, y), (plan.left, y), 1.0, plan.theme.line);
        let (content, x, anchor, weight) = (thousands(amount), plan.left - 9.0, Anchor::End, Weight::Regular);
        plan.scene.text(Text { content, x, baseline, anchor, size, weight, color: plan.theme.muted });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(name: &str, node: Option<&str>) -> PodBar {
        PodBar { name: name.into(), node: node.map(Into::into), owner: None, segments: Vec::new() }
    }

    #[test]
    fn groups_stand_in_natural_order_and_pods_without_a_node_come_last() {
        let nodes = [None, Some("worker-10"), Some("worker-9"), Some("worker-10"), Some("a")];
        let pods = nodes.map(|node| pod("web", node));
        let groups = grouped(&pods, PodGroups::Node);
        let expected = [("a", vec![4]), ("worker-9", vec![2]), ("worker-10", vec![1, 3]), ("no node", vec![0])];
        assert_eq!(groups, expected.map(|(name, members)| (name.to_string(), members)));
        assert_eq!(grouped(&pods, PodGroups::Ungrouped), [("Pods".to_string(), vec![0, 1, 2, 3, 4])]);
    }

    #[test]
    fn names_that_differ_only_in_leading_zeros_stay_two_groups() {
        let pods = [pod("a", Some("n-01")), pod("b", Some("n-1"))];
        assert_eq!(grouped(&pods, PodGroups::Node).len(), 2);
    }
}
