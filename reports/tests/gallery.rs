//! The layout on the gallery's models and on thousands of nonsensical ones: nothing overlaps, nothing leaves the picture,
//! files stay small, and the same values give the same bytes.

#[path = "../examples/gallery/models.rs"]
mod models;

#[path = "../examples/gallery/explanations.rs"]
mod explanations;

use wavetank_reports::canvas::{Area, Scene};
use wavetank_reports::explanation::heatmap;
use wavetank_reports::theme::TimeAxis;
use wavetank_reports::timeline::{
    self, Band, Lane, LaneGroup, Mark, PodBar, PodGroups, PodState, Segment, Span, SpanKind, Tick, TickKind, Timeline,
};
use wavetank_reports::{ReportError, Theme};

/// Fails if a text overlaps another one or leaves the picture.
fn check_layout(name: &str, timeline: &Timeline, theme: &Theme) {
    check_scene(name, &timeline::scene(timeline, theme).unwrap());
}

fn check_scene(name: &str, scene: &Scene) {
    let picture = Area::new(0.0, 0.0, scene.width, scene.height);
    let mut boxes = scene.text_boxes();
    boxes.sort_by(|(_, a), (_, b)| a.top.total_cmp(&b.top));
    for (index, (words, area)) in boxes.iter().enumerate() {
        let inside =
            area.left >= 0.0 && area.right <= picture.right && area.top >= 0.0 && area.bottom <= picture.bottom;
        assert!(inside, "{name}: {words:?} at {area:?} leaves {picture:?}");
        let below = boxes[index + 1..].iter().take_while(|(_, other)| other.top < area.bottom);
        for (other_words, other) in below {
            assert!(!area.overlaps(other), "{name}: {words:?} at {area:?} and {other_words:?} at {other:?}");
        }
    }
}

fn themes() -> Vec<Theme> {
    vec![
        Theme::light(),
        Theme::dark().with_time_axis(TimeAxis::Linear),
        Theme::light().with_width(1000),
        Theme::light().with_width(640).with_font_size(12.0),
        Theme::light().with_font_size(22.0),
    ]
}

#[test]
fn no_text_of_the_gallery_overlaps_another_or_leaves_the_picture() {
    for (name, model) in models::all() {
        for theme in themes() {
            check_layout(name, &model, &theme);
        }
    }
}

#[test]
fn no_text_of_a_heatmap_overlaps_another_or_leaves_the_picture() {
    for (name, why) in explanations::all() {
        for theme in themes() {
            check_scene(name, &heatmap::scene(&why, &theme));
        }
        let svg = heatmap::svg(&why, &Theme::light()).unwrap();
        assert!(svg.len() < 300_000 && !svg.contains("NaN"), "{name}: {} bytes", svg.len());
        assert_eq!(svg, heatmap::svg(&why.clone(), &Theme::light()).unwrap(), "{name}");
    }
}

#[test]
fn a_heatmap_shows_every_node_it_is_given_and_marks_the_chosen_one() {
    let why = explanations::all().swap_remove(0).1;
    let scene = heatmap::scene(&why, &Theme::light());
    let texts: Vec<&str> = scene.text_boxes().iter().map(|(words, _)| *words).collect();
    for score in &why.scores {
        assert!(
            texts.contains(&score.node.as_str()) && texts.contains(&score.total.to_string().as_str()),
            "{}",
            score.node
        );
    }
    for sort in &why.rejected {
        assert!(
            texts.iter().any(|text| text.contains(&sort.plugin) && text.contains(&sort.reasons[0])),
            "{}",
            sort.plugin
        );
    }
}

#[test]
fn every_svg_of_the_gallery_is_small() {
    for (name, model) in models::all() {
        let svg = timeline::svg(&model, &Theme::light()).unwrap();
        assert!(svg.len() < 300_000, "{name}: {} bytes", svg.len());
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{name}");
    }
}

#[test]
fn same_values_same_bytes() {
    let theme = Theme::light();
    for (name, model) in models::all() {
        assert_eq!(timeline::svg(&model, &theme).unwrap(), timeline::svg(&model.clone(), &theme).unwrap(), "{name}");
    }
    let model = models::five_pods();
    assert_eq!(timeline::png(&model, &theme, 2.0).unwrap(), timeline::png(&model, &theme, 2.0).unwrap());
}

/// A change of these figures is a change of what users keep in their repositories: it should be meant.
#[test]
fn the_bytes_are_those_of_every_other_machine() {
    let model = models::five_pods();
    let svg = timeline::svg(&model, &Theme::light()).unwrap();
    let png = timeline::png(&model, &Theme::light(), 1.0).unwrap();
    assert_eq!((fnv(svg.as_bytes()), fnv(&png)), (0x7105_2503_5e42_f8f6, 0x9e51_ec71_9e99_4a82));
}

fn fnv(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[test]
fn every_mark_is_named_however_many_there_are() {
    for model in [models::many_marks(), models::marks_at_once()] {
        let scene = timeline::scene(&model, &Theme::light()).unwrap();
        let texts: Vec<&str> = scene.text_boxes().iter().map(|(words, _)| *words).collect();
        let named = |mark: &Mark| texts.iter().filter(|text| **text == mark.label).count();
        let wanted = |mark: &Mark| model.marks.iter().filter(|other| other.label == mark.label).count();
        for mark in &model.marks {
            assert_eq!(named(mark), wanted(mark), "{}", mark.label);
        }
    }
}

#[test]
fn a_timeline_without_time_is_an_error_that_says_so() {
    let model = Timeline { title: "t".into(), start: 5, end: 5, ..Timeline::default() };
    let error = timeline::svg(&model, &Theme::light()).unwrap_err();
    assert!(matches!(error, ReportError::EmptyRange { start: 5, end: 5, .. }), "{error}");
}

#[test]
fn a_timeline_survives_json() {
    let model = models::five_pods();
    let text = serde_json::to_string(&model).unwrap();
    assert_eq!(serde_json::from_str::<Timeline>(&text).unwrap(), model);
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
        let count = self.below(6);
        let parts: Vec<&str> = (0..count).map(|_| self.pick(&WORDS)).collect();
        parts.join(if self.below(2) == 0 { " " } else { "-" })
    }

    /// An instant mostly within a range, sometimes anywhere.
    fn instant(&mut self, start: u64, end: u64) -> u64 {
        match self.below(20) {
            0 => self.pick(&[0, 1, u64::MAX, u64::MAX - 1, end, start]),
            1..8 => start + self.below((end - start) / 50 + 1),
            _ => start + self.below(end - start),
        }
    }
}

fn nonsense(seed: u64) -> Timeline {
    let luck = &mut Luck(seed);
    let length = luck.pick(&[1, 7, 1_000, 1_000_000, 1_000_000_000, 90_000_000_000, 3_600_000_000_000, u64::MAX / 4]);
    let start = luck.pick(&[0, 0, 0, 999_999_999, 7_200_000_000_000, u64::MAX / 2]);
    let end = start + length;
    let groups = [LaneGroup::Client, LaneGroup::ControlPlane, LaneGroup::Controller, LaneGroup::Node];
    let many = luck.pick(&[0, 3, 40, 400]);
    let lanes = (0..luck.pick(&[0, 1, 5, 14, 60])).map(|_| {
        let (name, group) = (luck.words(), luck.pick(&groups));
        let spans = (0..luck.below(many + 1)).map(|_| {
            let (start, end) = (luck.instant(start, end), luck.instant(start, end));
            Span { start, end, label: luck.words(), kind: luck.pick(&SpanKind::ALL) }
        });
        let spans = spans.collect();
        let ticks = (0..luck.below(many + 1)).map(|_| {
            let (at, label) = (luck.instant(start, end), luck.words());
            Tick { at, label, kind: luck.pick(&TickKind::ALL) }
        });
        Lane { name, group, spans, ticks: ticks.collect() }
    });
    let lanes = lanes.collect();
    let pods = (0..luck.pick(&[0, 1, 6, 20, 50, 200])).map(|_| {
        let segments = (0..luck.below(6)).map(|_| {
            let (start, end) = (luck.instant(start, end), luck.instant(start, end));
            Segment { start, end, state: luck.pick(&PodState::ALL) }
        });
        let segments = segments.collect();
        let node = (luck.below(4) > 0).then(|| luck.words());
        PodBar { name: luck.words(), node, owner: (luck.below(3) > 0).then(|| luck.words()), segments }
    });
    let pods = pods.collect();
    let marks = (0..luck.pick(&[0, 1, 4, 30, 90])).map(|_| Mark { at: luck.instant(start, end), label: luck.words() });
    let marks = marks.collect();
    let pod_groups = luck.pick(&[PodGroups::Node, PodGroups::Owner, PodGroups::Ungrouped]);
    let bands = (0..luck.pick(&[0, 0, 1, 5, 40])).map(|_| {
        let (start, end) = (luck.instant(start, end), luck.instant(start, end));
        Band { label: luck.words(), start, end }
    });
    let bands = bands.collect();
    Timeline { title: luck.words(), subtitle: luck.words(), start, end, lanes, pods, pod_groups, marks, bands }
}

#[test]
fn nonsense_is_laid_out_without_overlap_or_panic() {
    for seed in 0..300 {
        let model = nonsense(seed);
        let themes = themes();
        check_layout(&format!("seed {seed}"), &model, &themes[seed as usize % themes.len()]);
    }
}

#[test]
fn nonsense_is_drawn() {
    for seed in (0..300).step_by(30) {
        let model = nonsense(seed);
        let svg = timeline::svg(&model, &Theme::light()).unwrap();
        assert!(svg.len() < 400_000, "seed {seed}: {} bytes", svg.len());
        timeline::png(&model, &Theme::light(), 0.5).unwrap();
    }
}
