//! Made-up time series for the gallery and the layout tests.

#![allow(dead_code)]

use wavetank_reports::duration::{HOUR, MILLISECOND, MINUTE, SECOND};
use wavetank_reports::series::{Band, Chart, Hue, Limit, Line, Mark, Panel, Point, Spell, Unit};

/// A chart and its name.
pub type Named = (&'static str, Chart);

/// All charts of the gallery.
pub fn all() -> Vec<Named> {
    vec![
        ("series-calm", calm()),
        ("series-leaders", leaders()),
        ("series-quota", quota()),
        ("series-empty", empty()),
        ("series-one-sample", one_sample()),
        ("series-ten-seconds", ten_seconds()),
        ("series-three-days", three_days()),
        ("series-long-names", long_names()),
        ("series-seven-members", seven_members()),
    ]
}

struct Luck(u64);

impl Luck {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit.max(1)
    }

    /// Mostly near `usual`, sometimes a few times as much.
    fn about(&mut self, usual: u64) -> u64 {
        let tail = if self.below(12) == 0 { 1 + self.below(3) } else { 1 };
        (usual * 3 / 4 + self.below(usual / 2 + 1)) * tail
    }
}

/// Points at equal distances.
fn points(end: u64, count: u64, mut value: impl FnMut(u64) -> Option<u64>) -> Vec<Point> {
    (1..=count).map(|index| end / count * index).map(|at| Point { at, value: value(at) }).collect()
}

fn line(subject: &str, statistic: &str, hue: Hue, light: bool, points: Vec<Point>) -> Line {
    Line { subject: subject.into(), statistic: statistic.into(), hue, light, points }
}

fn panel(name: &str, title: &str, detail: &str, unit: Unit, lines: Vec<Line>) -> Panel {
    Panel { name: name.into(), title: title.into(), detail: detail.into(), unit, lines, ..Panel::default() }
}

fn leader(spells: &[(u64, u64, Option<u8>, u64)]) -> Panel {
    let spells = spells.iter().map(|&(start, end, member, term)| Spell {
        start,
        end,
        label: member.map_or("no leader".into(), |member| format!("etcd-{member}, term {term}")),
        short: member.map_or(String::new(), |member| format!("{member}")),
        hue: member.map_or(Hue::Error, Hue::Member),
        subject: member.map_or(String::new(), |member| format!("etcd-{member}")),
        value: Some(term),
    });
    let spells = Some(spells.collect());
    Panel { name: "etcd_leader".into(), title: "etcd: leader by term".into(), spells, ..Panel::default() }
}

/// The usual panels; `state` tells how bad things are: the factor of slowness, and which member is away.
fn usual(end: u64, members: u8, seed: u64, state: &dyn Fn(u64) -> (u64, Option<u8>)) -> Vec<Panel> {
    let luck = &mut Luck(seed);
    let subject = |member: u8| if members == 1 { String::new() } else { format!("etcd-{member}") };
    let name = if members == 1 { "" } else { "all members" };
    let size = |at: u64| Some((1 << 20) + (at / 1_000_000) * (3 << 20) / (end / 1_000_000).max(1));
    let sizes = vec![
        line(
            name,
            "size",
            Hue::Plain,
            false,
            points(end, 300, |at| size(at).map(|size| size.next_multiple_of(1 << 16))),
        ),
        line(name, "in use", Hue::Plain, true, points(end, 300, |at| size(at).map(|size| size * 3 / 4))),
    ];
    let mut latencies = |base: u64| {
        let mut lines = Vec::new();
        for member in 0..members {
            for (statistic, factor, light) in [("p50", 1, false), ("p99", 4, true)] {
                let value = |at| {
                    let (slow, away) = state(at);
                    (away != Some(member)).then(|| luck.about(base * factor * if member == 0 { slow } else { 1 }))
                };
                let points = points(end, 100, value);
                lines.push(line(
                    &subject(member),
                    statistic,
                    if members == 1 { Hue::Plain } else { Hue::Member(member) },
                    light,
                    points,
                ));
            }
        }
        lines
    };
    let (fsync, commit) = (latencies(1_100_000), latencies(4_000_000));
    let pending = (0..members).map(|member| {
        let value = |at| Some(if state(at).0 > 1 && member == 0 { luck.below(40) } else { luck.below(60) / 50 });
        line(
            &subject(member),
            "",
            if members == 1 { Hue::Plain } else { Hue::Member(member) },
            false,
            points(end, 300, value),
        )
    });
    let pending = pending.collect();
    let mut api = Vec::new();
    for (subject, hue, base) in [("reads", Hue::Read, 2_000_000), ("writes", Hue::Write, 9_000_000)] {
        for (statistic, factor, light) in [("p50", 1, false), ("p99", 5, true)] {
            let value = |at| Some(luck.about(base * factor * state(at).0));
            api.push(line(subject, statistic, hue, light, points(end, 100, value)));
        }
    }
    let mut rate = |base: u64| points(end, 100, |_| Some(luck.about(base)));
    let rates = vec![
        line("reads", "", Hue::Read, false, rate(14_000)),
        line("writes", "", Hue::Write, false, rate(9_000)),
        line("errors", "", Hue::Error, false, points(end, 100, |at| Some(if state(at).0 > 1 { 2_500 } else { 0 }))),
    ];
    let detail = "median strong, 99th percentile light, over 1s";
    vec![
        panel("etcd_db", "etcd: database", "", Unit::Bytes, sizes),
        panel("etcd_fsync", "etcd: fsync of the log", detail, Unit::Duration, fsync),
        panel("etcd_commit", "etcd: commit of the database", detail, Unit::Duration, commit),
        panel("etcd_pending", "etcd: proposals pending", "most within 50ms", Unit::Count, pending),
        panel("api_latency", "API server: request duration", detail, Unit::Duration, api),
        panel("api_rate", "API server: requests", "", Unit::PerSecond, rates),
    ]
}

fn chart(title: &str, end: u64, panels: Vec<Panel>) -> Chart {
    let subtitle = "seed 42 · profile laptop · 3 nodes · wavetank".into();
    Chart { title: title.into(), subtitle, start: 0, end, panels, ..Chart::default() }
}

fn mark(at: u64, label: &str) -> Mark {
    Mark { at, label: label.into() }
}

fn band(start: u64, end: u64, label: &str) -> Band {
    Band { label: label.into(), start, end }
}

/// One member, nothing wrong.
pub fn calm() -> Chart {
    let end = 90 * SECOND;
    let mut panels = vec![leader(&[(0, end, Some(0), 2)])];
    panels.extend(usual(end, 1, 1, &|_| (1, None)));
    let marks = vec![mark(12 * SECOND, "apply web.yaml"), mark(40 * SECOND, "scale to 5")];
    Chart { marks, ..chart("calm", end, panels) }
}

/// Three members, leaders that change, a slow disk.
pub fn leaders() -> Chart {
    let end = 150 * SECOND;
    let state = |at: u64| {
        let slow = if (40 * SECOND..85 * SECOND).contains(&at) { 30 } else { 1 };
        (slow, (100 * SECOND..130 * SECOND).contains(&at).then_some(1))
    };
    let mut panels = vec![leader(&[
        (0, 52 * SECOND, Some(0), 2),
        (52 * SECOND, 54 * SECOND, None, 2),
        (54 * SECOND, 100 * SECOND, Some(1), 3),
        (100 * SECOND, 101_500 * MILLISECOND, None, 3),
        (101_500 * MILLISECOND, end, Some(2), 5),
    ])];
    panels.extend(usual(end, 3, 7, &state));
    let bands = vec![
        band(40 * SECOND, 85 * SECOND, "disk of etcd-0 slow ×30"),
        band(100 * SECOND, 130 * SECOND, "etcd-1 killed"),
        band(104 * SECOND, 112 * SECOND, "worker-2 cut off"),
        band(140 * SECOND, 140 * SECOND, "kube-scheduler restarted"),
    ];
    let marks = vec![mark(38 * SECOND, "the disk"), mark(99 * SECOND, "the leader dies"), mark(130 * SECOND, "back")];
    Chart { bands, marks, ..chart("what a slow disk does to etcd", end, panels) }
}

/// A database that grows to its quota within twelve hours.
pub fn quota() -> Chart {
    let end = 12 * HOUR;
    let full = 9 * HOUR;
    let size = |at: u64| {
        let grown = (2048 << 20) / 1_000 * (at.min(full) / (full / 1_000));
        if at > 11 * HOUR { 700 << 20 } else { grown.max(20 << 20) }
    };
    let lines = vec![
        line("all members", "size", Hue::Plain, false, points(end, 720, |at| Some(size(at)))),
        line(
            "all members",
            "in use",
            Hue::Plain,
            true,
            points(end, 720, |at| Some(if at > 10 * HOUR { 300 << 20 } else { size(at) * 9 / 10 })),
        ),
    ];
    let mut panels = vec![leader(&[(0, end, Some(1), 2)])];
    let mut database = panel("etcd_db", "etcd: database", "", Unit::Bytes, lines);
    database.limits = vec![Limit { label: "quota".into(), value: 2048 << 20 }];
    panels.push(database);
    panels.extend(usual(end, 3, 3, &|_| (1, None)).into_iter().skip(1));
    let marks = vec![mark(full, "NOSPACE"), mark(10 * HOUR, "compact"), mark(11 * HOUR, "defragment, disarm")];
    let bands = vec![band(full, 11 * HOUR + 60 * SECOND, "etcd read-only: NOSPACE")];
    Chart { marks, bands, ..chart("a database that grows to its quota", end, panels) }
}

/// No panel at all.
pub fn empty() -> Chart {
    chart("nothing", 10 * SECOND, Vec::new())
}

/// One sample, and panels without any.
pub fn one_sample() -> Chart {
    let end = 400 * MILLISECOND;
    let one = |value| vec![Point { at: end / 2, value: Some(value) }];
    let panels = vec![
        leader(&[(0, end, None, 0)]),
        panel("a", "etcd: database", "", Unit::Bytes, vec![line("", "size", Hue::Plain, false, one(24 << 10))]),
        panel("b", "etcd: fsync of the log", "", Unit::Duration, vec![line("", "p99", Hue::Plain, true, one(0))]),
        panel("c", "API server: requests", "", Unit::PerSecond, Vec::new()),
        panel("d", "etcd: proposals pending", "", Unit::Count, vec![line("", "", Hue::Plain, false, one(1))]),
    ];
    chart("one sample", end, panels)
}

/// A short run in which latencies span decades.
pub fn ten_seconds() -> Chart {
    let end = 10 * SECOND;
    let state = |at: u64| (if (4 * SECOND..6 * SECOND).contains(&at) { 400 } else { 1 }, None);
    let mut panels = vec![leader(&[(0, end, Some(0), 2)])];
    panels.extend(usual(end, 1, 9, &state));
    let bands = vec![band(4 * SECOND, 6 * SECOND, "disk stalls")];
    Chart { bands, ..chart("ten seconds", end, panels) }
}

/// A long weekend with many elections.
pub fn three_days() -> Chart {
    let end = 72 * HOUR;
    let luck = &mut Luck(5);
    let mut spells = Vec::new();
    let (mut at, mut term) = (0, 2);
    while at < end {
        let until = (at + HOUR / 2 + luck.below(9 * HOUR)).min(end);
        spells.push((at, until, Some(luck.below(3) as u8), term));
        let gap = (until + 2 * SECOND).min(end);
        spells.push((until, gap, None, term));
        (at, term) = (gap, term + 1 + luck.below(3));
    }
    let mut panels = vec![leader(&spells)];
    panels.extend(usual(end, 3, 4, &|_| (1, None)));
    let bands = (0..14).map(|day| band(day * 5 * HOUR, day * 5 * HOUR + 20 * MINUTE, "rack power test"));
    let bands = bands.collect();
    let marks = (0..3).map(|day| mark(day * 24 * HOUR + HOUR, "nightly backup")).collect();
    Chart { bands, marks, ..chart("three days", end, panels) }
}

/// Names that find no room.
pub fn long_names() -> Chart {
    let end = 60 * SECOND;
    let long = "a name that somebody has thought up who had never to put it on a chart of any width whatsoever";
    let mut panels = usual(end, 3, 2, &|_| (1, None));
    for panel in &mut panels {
        panel.title = format!("{} {long} {long}", panel.title);
        panel.detail = long.into();
        for line in &mut panel.lines {
            line.subject = format!("{} {long}", line.subject);
        }
    }
    panels.insert(0, leader(&[(0, 30 * SECOND, Some(0), 2), (30 * SECOND, end, Some(1), u64::MAX)]));
    let bands = (0..9).map(|index| band(index * 5 * SECOND, index * 6 * SECOND, long)).collect();
    let marks = (0..9).map(|index| mark(index * 7 * SECOND, long)).collect();
    Chart { bands, marks, subtitle: format!("{long} {long} {long}"), ..chart(&format!("{long} {long}"), end, panels) }
}

/// More members than anybody should have.
pub fn seven_members() -> Chart {
    let end = 5 * MINUTE;
    let mut panels = vec![leader(&[(0, 90 * SECOND, Some(4), 2), (90 * SECOND, end, Some(6), 3)])];
    panels.extend(usual(end, 7, 8, &|_| (1, None)));
    chart("seven members", end, panels)
}
