//! The sizes that HorizontalPodAutoscalers gave to what they scale, and what their metrics asked for.

use std::collections::BTreeMap;

use wavetank_engine::kernel::Instant;
use wavetank_engine::trace::{Record, What};
use wavetank_reports::series::{Hue, Line, Panel, Point, Unit};

/// The panel; `None` if no autoscaler has looked at a metric.
pub(super) fn panel(records: &[Record], zero: Instant, end: u64) -> Option<Panel> {
    let mut found: BTreeMap<String, [Vec<Point>; 2]> = BTreeMap::new();
    for record in records.iter().filter(|record| record.at >= zero) {
        let (What::Scaling(scaling), Some((_, key))) = (&record.note.what, &record.note.object) else { continue };
        let [sizes, wishes] = found.entry(key.to_string()).or_default();
        let at = record.at.since(zero).as_nanos();
        step(sizes, at, scaling.current);
        step(sizes, at, scaling.replicas);
        step(wishes, at, scaling.proposed);
    }
    if found.is_empty() {
        return None;
    }
    let several = found.len() > 1;
    let mut lines = Vec::new();
    for (place, (name, [mut sizes, mut wishes])) in found.into_iter().enumerate() {
        let hue = if several { Hue::Member(u8::try_from(place).unwrap_or(u8::MAX)) } else { Hue::Plain };
        let name = name.strip_prefix("default/").unwrap_or(&name).to_owned();
        for points in [&mut sizes, &mut wishes] {
            points.extend(points.last().copied().map(|last| Point { at: end, ..last }));
        }
        lines.push(Line { subject: name.clone(), statistic: String::new(), hue, light: false, points: sizes });
        lines.push(Line { subject: name, statistic: "asked for".to_owned(), hue, light: true, points: wishes });
    }
    Some(Panel {
        name: "hpa_replicas".to_owned(),
        title: "HPA: replicas".to_owned(),
        detail: "strong; light: what the metrics ask for".to_owned(),
        unit: Unit::Count,
        lines,
        ..Panel::default()
    })
}

/// A value holds until the next.
fn step(points: &mut Vec<Point>, at: u64, value: i32) {
    let value = u64::try_from(value).ok();
    if let Some(last) = points.last().copied().filter(|last| last.value != value && last.at < at) {
        points.push(Point { at, ..last });
    }
    points.push(Point { at, value });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_a_step() {
        let mut points = Vec::new();
        [(10, 2), (20, 2), (30, 5)].into_iter().for_each(|(at, value)| step(&mut points, at, value));
        let seen: Vec<_> = points.iter().map(|point| (point.at, point.value)).collect();
        assert_eq!(seen, [(10, Some(2)), (20, Some(2)), (30, Some(2)), (30, Some(5))]);
    }
}
