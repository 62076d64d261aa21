//! The resilience report as a chart: a panel per workload with how many pods should be there and how many are, bands where something
//! was broken, marks where it was noticed and made up for.

use wavetank_reports::from_trace;
use wavetank_reports::series::{Chart, Hue, Line, Mark, Panel, Point, Unit};

use super::{Resilience, report};
use crate::session::follower::Followed;
use crate::session::{Nanos, Session};

/// Most workloads that are drawn: those that suffered most.
const PANELS: usize = 6;
/// Most faults whose detection and recovery are marked; of more, only the bands are drawn.
const MARKED: usize = 4;

/// The chart of a run; `None` if it had no fault, or no workload.
pub fn chart(session: &Session, title: &str) -> Option<Chart> {
    let report = report(session)?;
    let (world, follower) = (session.world(), session.follower());
    let end = session.now();
    let mut panels = Vec::new();
    for one in report.workloads.iter().take(PANELS) {
        let followed = follower.workloads.iter().find(|((kind, key), _)| super::label(*kind, key) == one.workload);
        if let Some((_, followed)) = followed {
            panels.push(panel(&one.workload, followed, end));
        }
    }
    if panels.is_empty() || end == 0 {
        return None;
    }
    let (_, bands) =
        from_trace::marks_and_faults(world.trace().landmarks(), world.setup(), session.zero(), world.now());
    let subtitle = from_trace::subtitle(world.setup());
    Some(Chart { title: format!("{title}: resilience"), subtitle, start: 0, end, panels, marks: marks(&report), bands })
}

fn marks(report: &Resilience) -> Vec<Mark> {
    if report.faults.len() > MARKED {
        return Vec::new();
    }
    let mut marks = Vec::new();
    for fault in &report.faults {
        let mut mark = |after: Option<f64>, what: &str| {
            let at = after.map(|after| ((fault.began + after) * 1e9) as u64);
            marks.extend(at.map(|at| Mark { at, label: format!("{what}: {}", fault.fault) }));
        };
        mark(fault.detected_after, "detected");
        mark(fault.recovered_after, "recovered");
    }
    marks.sort_by(|a, b| (a.at, &a.label).cmp(&(b.at, &b.label)));
    marks
}

fn panel(name: &str, followed: &Followed, end: Nanos) -> Panel {
    let line = |statistic: &str, hue, light, value: fn(&(Nanos, i64, i64)) -> i64| {
        let mut points: Vec<Point> = Vec::new();
        for step in &followed.steps {
            if let Some(last) = points.last().copied() {
                points.push(Point { at: step.0, ..last });
            }
            // Before the first fault nobody looked; what was there then was there.
            let at = if points.is_empty() { 0 } else { step.0 };
            points.push(Point { at, value: u64::try_from(value(step)).ok() });
        }
        points.extend(points.last().copied().map(|last| Point { at: end, ..last }));
        Line { subject: String::new(), statistic: statistic.to_owned(), hue, light, points }
    };
    Panel {
        name: name.replace('/', "_"),
        title: name.to_owned(),
        detail: "pods".to_owned(),
        unit: Unit::Count,
        lines: vec![
            line("desired", Hue::Plain, true, |step| step.1),
            line("available", Hue::Member(0), false, |step| step.2),
        ],
        limits: Vec::new(),
        spells: None,
    }
}
