//! One workload under several configurations: what became of it, side by side, as a table, CSV and a chart.
//!
//! What is measured, at the end of a run, over the pods that are bound and not finished:
//!
//! * **used nodes**: nodes with at least one pod, of all nodes.
//! * **spread**: pods per node, as their standard deviation over all nodes and as largest minus smallest number; the latter over
//!   zones, too, where there are at least two.
//! * **utilisation**: requested by allocatable, as the mean over the used nodes. CPU and memory.
//! * **stranded** (fragmentation): the share of what is free, over all nodes, that no pod of the reference's size could use: on a
//!   node that has room for `k` such pods, all that is free beyond `k` times its request. The reference pod asks for as much CPU as
//!   the pod of the run that asks for most of it, and likewise for memory.
//! * **pending time**: from the commit of a pod's creation to that of its binding; percentiles by nearest rank over the pods that
//!   were bound, of all seeds together. Pods without a node at the end are counted beside.

use serde::Serialize;

use crate::canvas::{self, Anchor, Area, Scene, Text};
use crate::error::ReportError;
use crate::font::{self, Weight};
use crate::table::{Align, Table};
use crate::theme::{Color, Theme};

/// What became of a workload in one run.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Measures {
    /// Pods with a node.
    pub pods: u64,
    /// Pods without.
    pub pending: u64,
    /// Nodes.
    pub nodes: u64,
    /// Nodes with pods.
    pub used_nodes: u64,
    /// Standard deviation of the number of pods over the nodes.
    pub node_deviation: f64,
    /// Most pods on a node minus fewest.
    pub node_skew: u64,
    /// The same over zones.
    pub zone_skew: Option<u64>,
    /// Mean utilisation of the used nodes' CPU. [%]
    pub cpu_used: f64,
    /// Of their memory. [%]
    pub memory_used: f64,
    /// Share of the free CPU that no reference pod can use. [%]
    pub cpu_stranded: f64,
    /// Of the free memory. [%]
    pub memory_stranded: f64,
    /// The reference pod's requests: CPU [millicores], memory [bytes].
    pub reference: (i64, i64),
    /// How long each bound pod waited for its node, ascending. [ns]
    #[serde(skip)]
    pub waits: Vec<u64>,
}

/// One configuration: its runs, by seed.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[allow(missing_docs)]
pub struct Variant {
    pub name: String,
    pub runs: Vec<(u64, Measures)>,
}

/// Several configurations.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[allow(missing_docs)]
pub struct Comparison {
    pub title: String,
    pub variants: Vec<Variant>,
}

/// A figure of the comparison.
struct Figure {
    key: &'static str,
    title: &'static str,
    unit: &'static str,
    of: fn(&Variant) -> Option<f64>,
}

const FIGURES: [Figure; 12] = [
    Figure { key: "pods", title: "pods bound", unit: "", of: |v| v.mean(|m| m.pods as f64) },
    Figure { key: "pending", title: "pods pending", unit: "", of: |v| v.mean(|m| m.pending as f64) },
    Figure { key: "used_nodes", title: "used nodes", unit: "", of: |v| v.mean(|m| m.used_nodes as f64) },
    Figure { key: "node_deviation", title: "pods per node, deviation", unit: "", of: |v| v.mean(|m| m.node_deviation) },
    Figure { key: "node_skew", title: "pods per node, skew", unit: "", of: |v| v.mean(|m| m.node_skew as f64) },
    Figure { key: "zone_skew", title: "pods per zone, skew", unit: "", of: Variant::zone_skew },
    Figure { key: "cpu_used", title: "CPU utilisation", unit: "%", of: |v| v.mean(|m| m.cpu_used) },
    Figure { key: "memory_used", title: "memory utilisation", unit: "%", of: |v| v.mean(|m| m.memory_used) },
    Figure { key: "cpu_stranded", title: "CPU stranded", unit: "%", of: |v| v.mean(|m| m.cpu_stranded) },
    Figure { key: "memory_stranded", title: "memory stranded", unit: "%", of: |v| v.mean(|m| m.memory_stranded) },
    Figure { key: "pending_p50", title: "pending time p50", unit: "ms", of: |v| v.wait(50) },
    Figure { key: "pending_p99", title: "pending time p99", unit: "ms", of: |v| v.wait(99) },
];

impl Measures {
    /// The wait that `percent` of the bound pods did not exceed. [ns]
    pub fn wait(&self, percent: u64) -> Option<u64> {
        nearest_rank(&self.waits, percent)
    }
}

fn nearest_rank(ascending: &[u64], percent: u64) -> Option<u64> {
    let rank = (ascending.len() as u64 * percent).div_ceil(100).max(1);
    ascending.get(rank as usize - 1).copied()
}

impl Variant {
    fn mean(&self, of: impl Fn(&Measures) -> f64) -> Option<f64> {
        let sum: f64 = self.runs.iter().map(|(_, measures)| of(measures)).sum();
        (!self.runs.is_empty()).then(|| sum / self.runs.len() as f64)
    }

    fn zone_skew(&self) -> Option<f64> {
        self.runs.iter().all(|(_, m)| m.zone_skew.is_some()).then(|| self.mean(|m| m.zone_skew.unwrap_or(0) as f64))?
    }

    /// A percentile of the waits of all runs. [ms]
    fn wait(&self, percent: u64) -> Option<f64> {
        let mut waits: Vec<u64> = self.runs.iter().flat_map(|(_, measures)| measures.waits.iter().copied()).collect();
        waits.sort_unstable();
        nearest_rank(&waits, percent).map(|wait| wait as f64 / 1e6)
    }
}

fn number(value: Option<f64>, unit: &str) -> String {
    match value {
        None => "-".to_owned(),
        Some(value) if unit.is_empty() && value.fract() == 0.0 => format!("{value:.0}"),
        Some(value) if unit.is_empty() => format!("{value:.2}"),
        Some(value) => format!("{value:.1} {unit}"),
    }
}

impl Comparison {
    /// A row for each figure, a column for each variant.
    pub fn text(&self) -> String {
        let columns = self.variants.iter().map(|variant| (variant.name.clone(), Align::Right));
        let mut table = Table::new([(String::new(), Align::Left)].into_iter().chain(columns)).with_rule();
        let mut row = |title: &str, of: &dyn Fn(&Variant) -> String| {
            table.row([title.to_owned()].into_iter().chain(self.variants.iter().map(of)));
        };
        for figure in &FIGURES {
            row(figure.title, &|variant| number((figure.of)(variant), figure.unit));
            if figure.key == "pending_p50" {
                row("pending time p95", &|variant| number(variant.wait(95), "ms"));
            }
        }
        let reference =
            self.variants.iter().flat_map(|variant| &variant.runs).map(|(_, measures)| measures.reference).next();
        let (cpu, memory) = reference.unwrap_or_default();
        format!(
            "{table}stranded: free, but too little of it on a node for a pod of {cpu}m CPU and {} MiB\n",
            memory.div_euclid(1 << 20)
        )
    }

    /// A line for each run, with the percentiles of that run alone.
    pub fn csv(&self) -> String {
        let mut out = "variant,seed,pods,pending,nodes,used_nodes,node_deviation,node_skew,zone_skew,cpu_used_percent,\
            memory_used_percent,cpu_stranded_percent,memory_stranded_percent,pending_p50_ns,pending_p95_ns,pending_p99_ns\n"
            .to_owned();
        for variant in &self.variants {
            for (seed, m) in &variant.runs {
                let maybe = |value: Option<u64>| value.map_or(String::new(), |value| value.to_string());
                let name = format!("\"{}\"", variant.name.replace('"', "\"\""));
                let whole = [m.pods, m.pending, m.nodes, m.used_nodes].map(|number| number.to_string()).join(",");
                let shares = [m.cpu_used, m.memory_used, m.cpu_stranded, m.memory_stranded];
                let shares = shares.map(|share| format!("{share:.3}")).join(",");
                let waits = [50, 95, 99].map(|percent| maybe(m.wait(percent))).join(",");
                let (deviation, skew, zones) = (m.node_deviation, m.node_skew, maybe(m.zone_skew));
                out += &format!("{name},{seed},{whole},{deviation:.3},{skew},{zones},{shares},{waits}\n");
            }
        }
        out
    }

    /// The chart as the text of an SVG file.
    pub fn svg(&self, theme: &Theme) -> Result<String, ReportError> {
        canvas::svg(&self.scene(theme))
    }

    /// The chart as the bytes of a PNG file.
    pub fn png(&self, theme: &Theme, scale: f64) -> Result<Vec<u8>, ReportError> {
        canvas::png(&self.scene(theme), scale)
    }

    /// The chart laid out: a panel for each figure, a bar for each variant.
    pub fn scene(&self, theme: &Theme) -> Scene {
        let width = f64::from(theme.width.max(480));
        let mut scene = Scene::new(width, 0.0, theme.background, &font::one_line(&self.title));
        let (size, margin) = (theme.font_size, 26.0);
        let text = |scene: &mut Scene, words: &str, x: f64, baseline: f64, part: f64, weight, color| {
            let content = font::one_line(words);
            scene.text(Text { content, x, baseline, anchor: Anchor::Start, size: size * part, weight, color });
        };
        let mut y = margin * 0.8 + size * 1.45;
        let title = font::shorten_end(&self.title, width - 2.0 * margin, size * 1.45, Weight::Bold);
        text(&mut scene, &title, margin, y, 1.45, Weight::Bold, theme.ink);
        y += size * 1.2;
        let columns = if width < 900.0 { 2.0 } else { 3.0 };
        let (gap, bar) = (size * 2.2, size * 1.5);
        let panel = (width - 2.0 * margin - gap * (columns - 1.0)) / columns;
        let height = size * 2.1 + bar * self.variants.len() as f64 + size * 1.2;
        let shown: Vec<&Figure> = FIGURES
            .iter()
            .filter(|figure| self.variants.iter().any(|variant| (figure.of)(variant).is_some()))
            .collect();
        for (place, figure) in shown.iter().enumerate() {
            let left = margin + (panel + gap) * (place as f64 % columns);
            let top = y + height * (place as f64 / columns).floor();
            text(&mut scene, figure.title, left, top + size, 1.0, Weight::Bold, theme.ink);
            let values: Vec<Option<f64>> = self.variants.iter().map(figure.of).collect();
            let most = values.iter().flatten().fold(0.0_f64, |most, value| most.max(*value));
            let names =
                self.variants.iter().map(|variant| font::text_width(&variant.name, size * 0.88, Weight::Regular));
            let names = names.fold(0.0, f64::max).min(panel * 0.45);
            let room = panel - names - size * 5.6;
            for (row, (variant, value)) in self.variants.iter().zip(&values).enumerate() {
                let row_top = top + size * 1.6 + bar * row as f64;
                let baseline = row_top + bar * 0.66;
                let name = font::shorten_middle(&variant.name, names, size * 0.88, Weight::Regular);
                text(&mut scene, &name, left, baseline, 0.88, Weight::Regular, theme.muted);
                let start = left + names + size * 0.6;
                let length = value.filter(|_| most > 0.0).map_or(0.0, |value| room.max(0.0) * value / most);
                let area = Area::new(start, row_top + bar * 0.14, start + length.max(1.0), row_top + bar * 0.86);
                scene.rectangle(area, COLORS[row % COLORS.len()]);
                let words = number(*value, figure.unit);
                text(&mut scene, &words, start + length + size * 0.5, baseline, 0.9, Weight::Regular, theme.ink);
            }
        }
        let rows = (shown.len() as f64 / columns).ceil();
        scene.height = (y + height * rows + margin * 0.4).ceil();
        scene
    }
}

/// Okabe and Ito's, those that stand out on white and on black.
const COLORS: [Color; 6] = [
    Color::hex(0x0072B2),
    Color::hex(0xE69F00),
    Color::hex(0x009E73),
    Color::hex(0xCC79A7),
    Color::hex(0x56B4E9),
    Color::hex(0xD55E00),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn variant(name: &str, waits: &[u64]) -> Variant {
        let run = |seed, used_nodes| {
            let waits = waits.to_vec();
            (seed, Measures { pods: 10, nodes: 5, used_nodes, cpu_used: 50.0, waits, ..Measures::default() })
        };
        Variant { name: name.into(), runs: vec![run(1, 3), run(2, 4)] }
    }

    #[test]
    fn figures_are_means_over_seeds_and_percentiles_by_nearest_rank() {
        let comparison =
            Comparison { title: "t".into(), variants: vec![variant("a", &[1_000_000, 3_000_000]), variant("b", &[])] };
        let text = comparison.text();
        let line = |start: &str| text.lines().find(|line| line.starts_with(start)).unwrap_or_default().to_owned();
        let cells = |start: &str| line(start).split_whitespace().skip(3).collect::<Vec<_>>().join(" ");
        assert_eq!(line("used nodes").split_whitespace().skip(2).collect::<Vec<_>>(), ["3.50", "3.50"], "{text}");
        assert_eq!([cells("pending time p50"), cells("pending time p95")], ["1.0 ms -", "3.0 ms -"], "{text}");
        assert_eq!(nearest_rank(&[1, 2, 3, 4], 50), Some(2));
        assert_eq!(nearest_rank(&[1, 2, 3, 4], 99), Some(4));
        assert_eq!(comparison.csv().lines().count(), 5);
        assert!(
            comparison.csv().contains("\"a\",1,10,0,5,3,0.000,0,,50.000,0.000,0.000,0.000,1000000,3000000,3000000\n")
        );
    }

    #[test]
    fn nothing_overlaps_in_the_chart() {
        let long = "a-configuration-with-a-very-long-name.yaml";
        let variants = vec![variant("a", &[1_000_000]), variant(long, &[9_000_000_000])];
        for width in [640, 1_600] {
            let scene =
                Comparison { title: "t".into(), variants: variants.clone() }.scene(&Theme::light().with_width(width));
            let boxes = scene.text_boxes();
            for (place, (words, area)) in boxes.iter().enumerate() {
                assert!(area.right <= scene.width && area.bottom <= scene.height, "{words}");
                let hit = boxes[place + 1..].iter().find(|(_, other)| area.overlaps(other));
                assert!(hit.is_none(), "{words} and {hit:?}");
            }
        }
    }
}
