//! From what a session's sampler has seen to a chart.
//!
//! Sizes, proposals and leaders are drawn as they were sampled. Quantiles and rates are taken over longer windows, of a
//! round length, so that there is something to take them of: at most 120 in a picture, and as long as it takes for most of
//! them to hold a request and an fsync. Members that hardly differ in size share a line.

mod autoscalers;
mod traffic;

use std::sync::Arc;

use wavetank_engine::kernel::{Duration, Spread};
use wavetank_reports::from_trace;
use wavetank_reports::series::{Chart, Hue, Limit, Line, Panel, Point, Spell, Unit};

use crate::script::duration;
use crate::session::sampler::{MemberSample, Sample, Spell as Leadership};
use crate::session::{Nanos, Session};

/// The time series of a run; `None` if no time has passed.
pub fn chart(session: &Session, title: &str) -> Option<Chart> {
    let world = session.world();
    let (samples, spells) = session.sampler().finished(world);
    let end = session.now();
    if samples.is_empty() || end == 0 {
        return None;
    }
    let setup = world.setup();
    let (marks, bands) = from_trace::marks_and_faults(world.trace().landmarks(), setup, session.zero(), world.now());
    let view = View::new(samples, session.sampler().interval(), world.etcd().len());
    let quota = setup.profile.etcd.quota_bytes;
    let mut panels = vec![leader(&spells, end), view.database(quota), view.fsyncs(), view.commits(), view.pending()];
    if view.samples.iter().any(|sample| !sample.reads.is_empty() || !sample.writes.is_empty()) {
        panels.extend([view.latency(), view.rates()]);
    }
    panels.extend(autoscalers::panel(world.trace().records(), session.zero(), end));
    panels.extend(traffic::panels(&session.flows(), session.zero(), end));
    let subtitle = from_trace::subtitle(setup);
    Some(Chart { title: title.to_owned(), subtitle, start: 0, end, panels, marks, bands })
}

/// Most windows of a picture.
const WINDOWS: u64 = 120;
/// With no more than this many, empty windows are put up with.
const FEW: u64 = 24;
/// Lengths of windows.
const LENGTHS: [Nanos; 18] = {
    const MS: Nanos = 1_000_000;
    const S: Nanos = 1_000 * MS;
    const MIN: Nanos = 60 * S;
    [
        50 * MS,
        100 * MS,
        500 * MS,
        S,
        2 * S,
        5 * S,
        10 * S,
        20 * S,
        30 * S,
        MIN,
        2 * MIN,
        5 * MIN,
        10 * MIN,
        30 * MIN,
        60 * MIN,
        120 * MIN,
        360 * MIN,
        1_440 * MIN,
    ]
};

/// The samples, and the windows over which quantiles are taken.
struct View {
    samples: Vec<Arc<Sample>>,
    interval: Nanos,
    windows: Vec<Window>,
    length: Nanos,
    members: usize,
}

/// Joined samples.
struct Window {
    start: Nanos,
    end: Nanos,
    sample: Sample,
}

impl View {
    fn new(samples: Vec<Arc<Sample>>, interval: Nanos, members: usize) -> View {
        let end = samples.last().map_or(0, |sample| sample.end);
        let mut view = View { samples, interval, windows: Vec::new(), length: interval, members };
        let lengths = LENGTHS.into_iter().filter(|length| length.is_multiple_of(interval));
        for length in lengths.filter(|length| end.div_ceil(*length) <= WINDOWS) {
            view.length = length;
            view.windows = view.joined(length);
            let filled = view.windows.iter().filter(|window| window.is_telling()).count();
            if filled * 10 >= view.windows.len() * 9 || end.div_ceil(length) <= FEW {
                break;
            }
        }
        view
    }

    fn joined(&self, length: Nanos) -> Vec<Window> {
        let mut windows: Vec<Window> = Vec::new();
        let mut start = 0;
        for sample in &self.samples {
            match windows.last_mut().filter(|window| window.start / length == (sample.end - 1) / length) {
                Some(window) => {
                    window.sample.join(sample);
                    window.end = sample.end;
                }
                None => windows.push(Window { start, end: sample.end, sample: (**sample).clone() }),
            }
            start = sample.end;
        }
        windows
    }

    fn subject(&self, member: usize) -> (String, Hue) {
        match self.members {
            0 | 1 => (String::new(), Hue::Plain),
            _ => (format!("etcd-{member}"), Hue::Member(member as u8)),
        }
    }

    fn database(&self, quota: u64) -> Panel {
        let of = |value: fn(&MemberSample) -> u64| -> Vec<Vec<Point>> {
            (0..self.members).map(|member| self.gauge(member, value)).collect()
        };
        let (sizes, in_use) = (of(|member| member.size), of(|member| member.in_use));
        let mut lines = Vec::new();
        for (statistic, light, values) in [("size", false, sizes), ("in use", true, in_use)] {
            if self.members > 1 && alike(&values) {
                let points =
                    values.into_iter().max_by_key(|points| points.iter().flat_map(|point| point.value).count());
                lines.push(line(("every member", Hue::Plain), statistic, light, points.unwrap_or_default()));
                continue;
            }
            for (member, points) in values.into_iter().enumerate() {
                let (subject, hue) = self.subject(member);
                lines.push(line((&subject, hue), statistic, light, points));
            }
        }
        let most = lines.iter().flat_map(Line::values).max().unwrap_or(0);
        let limits = match most >= quota / 3 {
            true => vec![Limit { label: "quota".to_owned(), value: quota }],
            false => Vec::new(),
        };
        Panel {
            limits,
            ..panel("etcd_db_size", "etcd: database", "size of the file, and what of it is in use", Unit::Bytes, lines)
        }
    }

    fn fsyncs(&self) -> Panel {
        let lines = self.member_quantiles(|member| &member.fsyncs);
        panel("etcd_wal_fsync_duration", "etcd: fsync of the log", &self.quantile_detail(), Unit::Duration, lines)
    }

    fn commits(&self) -> Panel {
        let lines = self.member_quantiles(|member| &member.commits);
        let title = "etcd: commit of the database";
        panel("etcd_backend_commit_duration", title, &self.quantile_detail(), Unit::Duration, lines)
    }

    fn pending(&self) -> Panel {
        let lines = (0..self.members).map(|member| {
            let (subject, hue) = self.subject(member);
            line((&subject, hue), "", false, self.gauge(member, |member| member.pending))
        });
        let detail = format!("most seen within {}", duration::text(self.interval));
        panel("etcd_proposals_pending", "etcd: proposals pending", &detail, Unit::Count, lines.collect())
    }

    fn latency(&self) -> Panel {
        let mut lines = self.quantiles(("reads", Hue::Read), |sample| Some(&sample.reads));
        lines.extend(self.quantiles(("writes", Hue::Write), |sample| Some(&sample.writes)));
        let detail = format!("{}; without watches", self.quantile_detail());
        panel("apiserver_request_duration", "API server: duration of requests", &detail, Unit::Duration, lines)
    }

    fn rates(&self) -> Panel {
        let rate = |subject, hue, count: fn(&Sample) -> u64| {
            let points = self.windows.iter().map(|window| {
                let thousandths = u128::from(count(&window.sample)) * 1_000_000_000_000;
                let value = thousandths / u128::from((window.end - window.start).max(1));
                Point { at: window.middle(), value: u64::try_from(value).ok() }
            });
            line((subject, hue), "", false, points.collect())
        };
        let mut lines = vec![
            rate("reads", Hue::Read, |sample| sample.reads.count()),
            rate("writes", Hue::Write, |sample| sample.writes.count()),
        ];
        if self.samples.iter().any(|sample| sample.errors > 0) {
            lines.push(rate("errors", Hue::Error, |sample| sample.errors));
        }
        let detail = format!("per second, over {}; errors: 429 and 5xx", duration::text(self.length));
        panel("apiserver_requests", "API server: requests", &detail, Unit::PerSecond, lines)
    }

    fn quantile_detail(&self) -> String {
        format!("median strong, 99th percentile light, over {}", duration::text(self.length))
    }

    /// A value of a member as it was sampled; a gap where its process did not run.
    fn gauge(&self, member: usize, value: fn(&MemberSample) -> u64) -> Vec<Point> {
        let point = |sample: &Arc<Sample>| {
            let value = sample.members.get(member).filter(|member| member.running).map(value);
            Point { at: sample.end, value }
        };
        self.samples.iter().map(point).collect()
    }

    fn member_quantiles(&self, spread: fn(&MemberSample) -> &Spread) -> Vec<Line> {
        let lines = (0..self.members).flat_map(|member| {
            let (subject, hue) = self.subject(member);
            self.quantiles((&subject, hue), |sample| sample.members.get(member).map(spread))
        });
        lines.collect()
    }

    fn quantiles<'a>(
        &'a self,
        (subject, hue): (&str, Hue),
        spread: impl Fn(&'a Sample) -> Option<&'a Spread>,
    ) -> Vec<Line> {
        let quantile = |(parts, statistic, light)| {
            let points = self.windows.iter().map(|window| {
                let value = spread(&window.sample).and_then(|spread| spread.quantile(parts));
                Point { at: window.middle(), value: value.map(Duration::as_nanos) }
            });
            line((subject, hue), statistic, light, points.collect())
        };
        [(500, "p50", false), (990, "p99", true)].into_iter().map(quantile).collect()
    }
}

impl Window {
    fn middle(&self) -> Nanos {
        self.start + (self.end - self.start) / 2
    }

    /// Whether quantiles can be taken of what happened in it.
    fn is_telling(&self) -> bool {
        let fsyncs = self.sample.members.iter().filter(|member| member.running).all(|member| !member.fsyncs.is_empty());
        fsyncs && !self.sample.writes.is_empty()
    }
}

/// Who led when.
fn leader(spells: &[Leadership], end: Nanos) -> Panel {
    let ends = spells.iter().skip(1).map(|spell| spell.from).chain([end]);
    let drawn = spells.iter().zip(ends).map(|(spell, end)| {
        let (label, short, hue) = match spell.leader {
            Some(member) => {
                (format!("etcd-{member}, term {}", spell.term), format!("etcd-{member}"), Hue::Member(member))
            }
            None => ("no leader".to_owned(), String::new(), Hue::Error),
        };
        let subject = spell.leader.map_or_else(String::new, |member| format!("etcd-{member}"));
        Spell { start: spell.from, end, label, short, hue, subject, value: Some(spell.term) }
    });
    let drawn: Vec<Spell> = drawn.collect();
    let detail = match drawn.iter().any(|spell| spell.hue == Hue::Error) {
        true => "orange: nobody led",
        false => "",
    };
    Panel { spells: Some(drawn), ..panel("etcd_leader", "etcd: leader by term", detail, Unit::Count, Vec::new()) }
}

fn panel(name: &str, title: &str, detail: &str, unit: Unit, lines: Vec<Line>) -> Panel {
    let (name, title, detail) = (name.to_owned(), title.to_owned(), detail.to_owned());
    Panel { name, title, detail, unit, lines, ..Panel::default() }
}

fn line((subject, hue): (&str, Hue), statistic: &str, light: bool, points: Vec<Point>) -> Line {
    Line { subject: subject.to_owned(), statistic: statistic.to_owned(), hue, light, points }
}

/// Whether nobody could tell these lines apart: they are no further apart than a fiftieth of the highest of them.
fn alike(lines: &[Vec<Point>]) -> bool {
    let most = lines.iter().flatten().filter_map(|point| point.value).max().unwrap_or(0);
    let instants = lines.iter().map(Vec::len).max().unwrap_or(0);
    (0..instants).all(|place| {
        let values = lines.iter().filter_map(|line| line.get(place)?.value);
        let (least, largest) = (values.clone().min(), values.max());
        largest.unwrap_or(0) - least.unwrap_or(0) <= most / 50
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::{Overrides, Signal};
    use serde_json::json;

    const S: Nanos = 1_000_000_000;

    fn session(spec: serde_json::Value) -> Session {
        Session::create(&spec, &Overrides::default()).unwrap_or_else(|error| panic!("{error}"))
    }

    fn find<'a>(chart: &'a Chart, name: &str) -> &'a Panel {
        chart.panels.iter().find(|panel| panel.name == name).unwrap()
    }

    #[test]
    fn a_run_without_time_has_no_chart_and_a_quiet_one_a_whole_one() {
        let mut session = session(json!({"nodes": 1}));
        assert!(chart(&session, "x").is_none());
        session.run_until(30 * S);
        let chart = chart(&session, "quiet").unwrap();
        assert_eq!((chart.end, chart.panels.len()), (30 * S, 7));
        let fsyncs = find(&chart, "etcd_wal_fsync_duration");
        assert!(fsyncs.detail.ends_with("over 1s") || fsyncs.detail.ends_with("over 2s"), "{}", fsyncs.detail);
        let [p50, p99] = fsyncs.lines.as_slice() else { panic!("{} lines", fsyncs.lines.len()) };
        let pairs = p50.values().zip(p99.values());
        assert!(pairs.clone().all(|(p50, p99)| p50 <= p99) && pairs.count() > 10);
        assert!(find(&chart, "etcd_db_size").lines.iter().flat_map(Line::values).all(|size| size > 0));
        assert!(find(&chart, "apiserver_requests").lines.len() == 2, "no errors");
    }

    #[test]
    fn a_member_that_dies_leaves_a_gap_and_a_band_and_another_leads() {
        let mut session = session(json!({"nodes": 1, "etcd": 3}));
        session.run_until(10 * S);
        let first = session.sampler().finished(session.world()).1[0].leader.unwrap();
        session.stop_etcd(first, Signal::Kill);
        session.run_until(40 * S);
        let chart = chart(&session, "x").unwrap();
        let [band] = chart.bands.as_slice() else { panic!("{:?}", chart.bands) };
        assert_eq!((band.label.as_str(), band.start, band.end), (&*format!("etcd-{first} down"), 10 * S, 40 * S));
        let spells = find(&chart, "etcd_leader").spells.as_ref().unwrap();
        assert_eq!(spells.iter().map(|spell| spell.hue == Hue::Error).collect::<Vec<_>>(), [false, true, false]);
        let pending = &find(&chart, "etcd_proposals_pending").lines[usize::from(first)];
        let (before, after): (Vec<&Point>, Vec<&Point>) = pending.points.iter().partition(|point| point.at < 10 * S);
        assert!(before.iter().all(|point| point.value.is_some()));
        assert!(after.iter().all(|point| point.value.is_none() || point.at == 10 * S));
    }

    #[test]
    fn lines_are_alike_only_if_nobody_could_tell_them_apart() {
        let points = |values: [Option<u64>; 2]| values.map(|value| Point { at: 1, value }).to_vec();
        assert!(alike(&[points([Some(1_000), Some(990)]), points([Some(985), None])]));
        assert!(!alike(&[points([Some(1_000), Some(990)]), points([Some(960), None])]));
    }
}
