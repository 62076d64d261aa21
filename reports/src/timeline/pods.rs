//! The pods: a bar each, coloured by state, grouped by node or owner.
//!
//! Bars of pods that do not run are lower, so that a picture printed in grey still tells. Rows get lower as pods get more;
//! where names would become too small to read, only the group keeps its name and its number of pods.

use std::collections::BTreeMap;

use super::layout::{Plan, widest_clear};
use super::model::{PodBar, PodGroups, PodState, Segment};
use crate::canvas::Area;
use crate::duration::duration_text;
use crate::font::{self, Weight};

/// Largest font size of names in parts of the theme's.
pub(super) const NAME_SIZE: f64 = 0.87;
/// Font size of states written into bars.
const STATE_SIZE: f64 = 0.76;
/// Narrowest stretch of a bar. [px]
const THIN: f64 = 2.0;

/// Sizes that depend on how many pods there are.
struct Density {
    /// Height of a row, in parts of the theme's font size.
    row: f64,
    /// Font size of names; none if they would be unreadable.
    name: Option<f64>,
    /// Whether states are written into bars.
    states: bool,
}

impl Density {
    fn of(count: usize) -> Density {
        match count {
            0..=12 => Density { row: 1.4, name: Some(NAME_SIZE), states: true },
            13..=24 => Density { row: 1.2, name: Some(0.82), states: true },
            25..=64 => Density { row: 0.87, name: Some(0.75), states: false },
            _ => Density { row: 0.42, name: None, states: false },
        }
    }
}

/// All bars, placed.
pub(super) struct Pods {
    density: Density,
    groups: Vec<Group>,
}

struct Group {
    title: String,
    top: f64,
    rows: Vec<(usize, f64)>,
}

/// Groups the pods and gives each its row.
pub(super) fn place(plan: &mut Plan<'_>) -> Pods {
    let pods = &plan.timeline.pods;
    let density = Density::of(pods.len());
    let height = plan.size(density.row);
    let mut groups = Vec::new();
    if !pods.is_empty() {
        plan.y += plan.size(0.5);
    }
    for (title, members) in grouped(pods, plan.timeline.pod_groups) {
        let top = plan.y;
        plan.y += plan.group_height();
        let rows = members.into_iter().enumerate().map(|(row, pod)| (pod, plan.y + row as f64 * height));
        let rows: Vec<(usize, f64)> = rows.collect();
        plan.y += rows.len() as f64 * height + plan.size(0.25);
        groups.push(Group { title, top, rows });
    }
    plan.y = plan.y.round();
    Pods { density, groups }
}

/// Groups by name, those without one last.
fn grouped(pods: &[PodBar], how: PodGroups) -> Vec<(String, Vec<usize>)> {
    let key = |pod: &PodBar| match how {
        PodGroups::Node => pod.node.clone(),
        PodGroups::Owner => pod.owner.clone(),
        PodGroups::Ungrouped => None,
    };
    let mut groups: BTreeMap<(bool, Option<String>), Vec<usize>> = BTreeMap::new();
    for (index, pod) in pods.iter().enumerate() {
        let name = key(pod);
        groups.entry((name.is_none(), name)).or_default().push(index);
    }
    let without = match how {
        PodGroups::Node => "never on a node",
        PodGroups::Owner => "no owner",
        PodGroups::Ungrouped => "Pods",
    };
    let title = |name: Option<String>, count: usize| {
        let noun = if count == 1 { "pod" } else { "pods" };
        match (name, how) {
            (_, PodGroups::Ungrouped) => without.to_string(),
            (name, _) => format!("{} · {count} {noun}", name.as_deref().unwrap_or(without)),
        }
    };
    groups.into_iter().map(|((_, name), members)| (title(name, members.len()), members)).collect()
}

impl Pods {
    /// Draws headings, names and bars.
    pub fn draw(&self, plan: &mut Plan<'_>) {
        for group in &self.groups {
            plan.group_heading(&group.title, group.top);
            for &(pod, top) in &group.rows {
                self.draw_pod(plan, pod, top);
            }
        }
    }

    fn draw_pod(&self, plan: &mut Plan<'_>, index: usize, top: f64) {
        let timeline = plan.timeline;
        let pod = &timeline.pods[index];
        let height = plan.size(self.density.row);
        if let Some(size) = self.density.name.map(|part| plan.size(part)) {
            let width = plan.left - plan.margin - 20.0;
            let name = font::shorten_middle(&pod.name, width, size, Weight::Regular);
            let baseline = top + (height + font::CAPITAL * size) / 2.0;
            plan.words(&name, plan.margin + 10.0, baseline, size, plan.theme.ink);
        }
        let air = if self.density.name.is_some() { (height * 0.1).max(0.75) } else { 0.5 };
        let bar = (top + air, top + height - air);
        for segment in stacking_order(plan, pod) {
            self.draw_segment(plan, pod, segment, bar);
        }
    }

    fn draw_segment(&self, plan: &mut Plan<'_>, pod: &PodBar, segment: &Segment, (top, bottom): (f64, f64)) {
        let (left, right) = ends(plan, segment);
        let inset = if segment.state.is_running() { 0.0 } else { (bottom - top) * 0.13 };
        let area = Area::new(left, top + inset, right, bottom - inset);
        let color = plan.theme.pod(segment.state);
        plan.scene.rectangle(area, color);
        let duration = duration_text(segment.end.saturating_sub(segment.start));
        let (start, end) = (plan.instant_text(segment.start), plan.instant_text(segment.end));
        let hint = format!("{}: {}\n{start} – {end} ({duration})", pod.name, segment.state.title());
        plan.scene.hint(area, hint);
        if self.density.states {
            self.write_state(plan, segment.state, &area);
        }
    }

    fn write_state(&self, plan: &mut Plan<'_>, state: PodState, area: &Area) {
        let size = plan.size(STATE_SIZE);
        let (left, right) = widest_clear(area.left, area.right, &plan.tears());
        let fits = font::text_width(state.title(), size, Weight::Regular) + 10.0 <= right - left;
        if fits && area.bottom - area.top >= size * (font::ASCENT + font::DESCENT) {
            let baseline = (area.top + area.bottom + font::CAPITAL * size) / 2.0;
            plan.words(state.title(), left + 5.0, baseline, size, plan.theme.pod(state).text_on());
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(name: &str, node: Option<&str>) -> PodBar {
        PodBar { name: name.into(), node: node.map(Into::into), owner: None, segments: Vec::new() }
    }

    #[test]
    fn pods_without_a_node_come_last() {
        let pods = [pod("a", None), pod("b", Some("worker-2")), pod("c", Some("worker-1")), pod("d", Some("worker-2"))];
        let groups = grouped(&pods, PodGroups::Node);
        let expected = vec![
            ("worker-1 · 1 pod".to_string(), vec![2]),
            ("worker-2 · 2 pods".to_string(), vec![1, 3]),
            ("never on a node · 1 pod".to_string(), vec![0]),
        ];
        assert_eq!(groups, expected);
        assert_eq!(grouped(&pods, PodGroups::Ungrouped), vec![("Pods".to_string(), vec![0, 1, 2, 3])]);
    }
}
