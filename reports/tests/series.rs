//! The layout of time series on the gallery's charts and on hundreds of nonsensical ones: nothing overlaps, nothing
//! leaves the picture, files stay small, and the same values give the same bytes.

#[path = "../examples/gallery/charts.rs"]
mod charts;

use wavetank_reports::canvas::Area;
use wavetank_reports::series::{self, Band, Chart, Hue, Limit, Line, Mark, Panel, Point, Spell, Unit};
use wavetank_reports::{ReportError, Theme};

/// Fails if a text overlaps another one or leaves the picture.
fn check_layout(name: &str, chart: &Chart, theme: &Theme) {
    let scene = series::scene(chart, theme).unwrap();
    let mut boxes = scene.text_boxes();
    boxes.sort_by(|(_, a), (_, b)| a.top.total_cmp(&b.top));
    for (index, (words, area)) in boxes.iter().enumerate() {
        let inside = area.left >= 0.0 && area.right <= scene.width && area.top >= 0.0 && area.bottom <= scene.height;
        assert!(inside, "{name}: {words:?} at {area:?} leaves the picture of width {}", scene.width);
        // Names of lines stand close; what counts is that their letters do not touch.
        let ink = |area: &Area| area.grown(0.0, -(area.bottom - area.top) * 0.06);
        let below = boxes[index + 1..].iter().take_while(|(_, other)| other.top < area.bottom);
        for (other_words, other) in below {
            assert!(!ink(area).overlaps(&ink(other)), "{name}: {words:?} at {area:?} and {other_words:?} at {other:?}");
        }
    }
}

fn themes() -> Vec<Theme> {
    vec![
        Theme::light(),
        Theme::dark(),
        Theme::light().with_width(1000),
        Theme::light().with_width(640).with_font_size(12.0),
        Theme::light().with_font_size(22.0),
    ]
}

#[test]
fn no_text_of_the_gallery_overlaps_another_or_leaves_the_picture() {
    for (name, chart) in charts::all() {
        themes().iter().for_each(|theme| check_layout(name, &chart, theme));
    }
}

#[test]
fn every_svg_of_the_gallery_is_small_and_sound() {
    for (name, chart) in charts::all() {
        let svg = series::svg(&chart, &Theme::light()).unwrap();
        assert!(svg.len() < 150_000, "{name}: {} bytes", svg.len());
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{name}");
        assert_eq!(svg, series::svg(&chart.clone(), &Theme::light()).unwrap(), "{name}");
    }
}

/// A change of these figures is a change of what users keep in their repositories: it should be meant. Look at the
/// gallery before changing them.
#[test]
fn the_bytes_are_those_of_every_other_machine() {
    let digests: Vec<(&str, u64)> = charts::all()
        .iter()
        .map(|(name, chart)| (*name, fnv(series::svg(chart, &Theme::light()).unwrap().as_bytes())))
        .chain([("png", fnv(&series::png(&charts::leaders(), &Theme::light(), 1.0).unwrap()))])
        .chain([("csv", fnv(series::csv(&charts::leaders()).as_bytes()))])
        .collect();
    assert_eq!(digests, SNAPSHOT);
}

const SNAPSHOT: &[(&str, u64)] = &[
    ("series-calm", 15_733_530_000_812_141_328),
    ("series-leaders", 15_689_127_389_498_667_365),
    ("series-quota", 14_600_214_102_779_137_159),
    ("series-empty", 12_028_339_404_910_933_086),
    ("series-one-sample", 1_043_427_748_385_266_160),
    ("series-ten-seconds", 13_225_967_995_836_931_219),
    ("series-three-days", 10_926_291_956_046_806_098),
    ("series-long-names", 6_370_094_020_270_949_218),
    ("series-seven-members", 12_042_049_696_556_869_816),
    ("png", 17_857_886_142_019_899_698),
    ("csv", 1_635_436_061_958_965_293),
];

fn fnv(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[test]
fn faults_marks_leaders_and_lines_are_named() {
    let scene = series::scene(&charts::leaders(), &Theme::light()).unwrap();
    let texts: Vec<&str> = scene.text_boxes().iter().map(|(words, _)| *words).collect();
    let wanted =
        ["disk of etcd-0 slow ×30", "etcd-1 killed", "the leader dies", "etcd-1, term 3", "etcd-2 p99", "4 MiB"];
    for wanted in wanted.into_iter().chain(["100 ms", "simulated time", "150s", "errors"]) {
        assert!(texts.contains(&wanted), "{wanted:?} is missing in {texts:?}");
    }
}

#[test]
fn a_chart_without_time_is_an_error_that_says_so() {
    let error = series::svg(&Chart { title: "t".into(), start: 5, end: 5, ..Chart::default() }, &Theme::light());
    assert!(matches!(error, Err(ReportError::EmptyRange { start: 5, end: 5, .. })));
}

#[test]
fn a_chart_survives_json() {
    let chart = charts::leaders();
    let text = serde_json::to_string(&chart).unwrap();
    assert_eq!(serde_json::from_str::<Chart>(&text).unwrap(), chart);
}

struct Luck(u64);

impl Luck {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit.max(1)
    }

    fn pick<T: Copy>(&mut self, values: &[T]) -> T {
        values[self.below(values.len() as u64) as usize]
    }

    fn words(&mut self) -> String {
        const WORDS: [&str; 9] = ["", "a", "worker-", "β→x", "<&\">", "line\nbreak", "漢字", "node-00017", " "];
        (0..self.below(6)).map(|_| self.pick(&WORDS)).collect::<Vec<&str>>().join("-")
    }

    fn value(&mut self) -> u64 {
        let any = [0, 1, 999, 1 << 20, 3_000_000_000, u64::MAX, u64::MAX / 3];
        match self.below(3) {
            0 => self.pick(&any),
            _ => self.below(1 << 20),
        }
    }
}

fn nonsense(seed: u64) -> Chart {
    let luck = &mut Luck(seed);
    let end = luck.pick(&[1, 7, 1_000, 1_000_000, 90_000_000_000, 3_600_000_000_000, u64::MAX / 4]);
    let at = |luck: &mut Luck| match luck.below(20) {
        0 => luck.pick(&[0, u64::MAX, end]),
        _ => luck.below(end),
    };
    let hues = [Hue::Plain, Hue::Member(0), Hue::Member(200), Hue::Read, Hue::Write, Hue::Error];
    let panels = (0..luck.below(6)).map(|_| {
        let lines = (0..luck.below(9)).map(|_| {
            let points = (0..luck.below(40)).map(|_| {
                let value = (luck.below(5) > 0).then(|| luck.value());
                Point { at: at(luck), value }
            });
            let mut points: Vec<Point> = points.collect();
            points.sort_by_key(|point| point.at);
            Line {
                subject: luck.words(),
                statistic: luck.words(),
                hue: luck.pick(&hues),
                light: luck.below(2) == 0,
                points,
            }
        });
        let lines = lines.collect();
        let spells = (0..luck.below(30)).map(|_| Spell {
            start: at(luck),
            end: at(luck),
            label: luck.words(),
            short: luck.words(),
            hue: luck.pick(&hues),
            subject: luck.words(),
            value: None,
        });
        let mut spells: Vec<Spell> = spells.collect();
        spells.sort_by_key(|spell| spell.start);
        // Spells follow one another.
        let starts: Vec<u64> = spells.iter().skip(1).map(|spell| spell.start).chain([end]).collect();
        spells.iter_mut().zip(starts).for_each(|(spell, next)| spell.end = next.max(spell.start));
        let limits = (0..luck.below(2)).map(|_| Limit { label: luck.words(), value: luck.value() }).collect();
        Panel {
            name: luck.words(),
            title: luck.words(),
            detail: luck.words(),
            unit: luck.pick(&[Unit::Count, Unit::Bytes, Unit::Duration, Unit::PerSecond]),
            lines,
            limits,
            spells: (luck.below(4) == 0).then_some(spells),
        }
    });
    let panels = panels.collect();
    let marks = (0..luck.below(12)).map(|_| Mark { at: at(luck), label: luck.words() }).collect();
    let bands = (0..luck.below(20)).map(|_| Band { label: luck.words(), start: at(luck), end: at(luck) }).collect();
    Chart { title: luck.words(), subtitle: luck.words(), start: 0, end, panels, marks, bands }
}

#[test]
fn nonsense_is_laid_out_without_overlap_or_panic() {
    for seed in 0..300 {
        let themes = themes();
        check_layout(&format!("seed {seed}"), &nonsense(seed), &themes[seed as usize % themes.len()]);
    }
}

#[test]
fn nonsense_is_drawn() {
    for seed in (0..300).step_by(30) {
        let chart = nonsense(seed);
        assert!(series::svg(&chart, &Theme::light()).unwrap().len() < 300_000, "seed {seed}");
        series::png(&chart, &Theme::light(), 0.5).unwrap();
        assert!(series::csv(&chart).starts_with("seconds,quantity,"));
    }
}
