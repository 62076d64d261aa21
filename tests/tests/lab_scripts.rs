//! The scripts that come with the program: each runs without a mistake, its expectations hold, and its transcript, trace and picture are
//! the reviewed ones; and it comes out the same when it is run again, run on from a fork, or has its ties shuffled.

use std::path::{Path, PathBuf};

use wavetank::artifacts::{Charts, Format};
use wavetank::charts::Drawings;
use wavetank::script::{Options, Run, Script, Unwatched};

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts").join(name)
}

fn scripts() -> Vec<PathBuf> {
    scripts_in("lab")
}

fn scripts_in(name: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder(name)).expect("the folder of scripts");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "rhai"));
    paths.sort();
    assert!(paths.len() >= 2, "{paths:?}");
    paths
}

fn run(path: &Path, options: &Options) -> Run {
    let script = Script::read(path).unwrap_or_else(|problem| panic!("{problem}"));
    wavetank::script::run(&script, options, Box::new(Unwatched))
}

fn trace(run: &Run) -> String {
    let mut bytes = Vec::new();
    run.session.as_ref().expect("a session").trace_jsonl(&mut bytes).expect("memory takes everything");
    String::from_utf8(bytes).expect("a trace is text")
}

fn stem(path: &Path) -> String {
    path.file_stem().expect("a name").to_string_lossy().into_owned()
}

#[test]
fn every_lab_script_gives_the_reviewed_transcript_trace_and_picture() {
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_snapshot_path("../snapshots/lab");
    settings.set_omit_expression(true);
    settings.bind(|| {
        for path in scripts() {
            let run = run(&path, &Options::default());
            let reports: Vec<String> = run.reports.iter().map(|report| report.render(false)).collect();
            assert_eq!(run.exit_code(), 0, "{}: {reports:?}\n{}", path.display(), run.transcript.text());
            assert!(run.warnings.is_empty(), "{}: {:?}", path.display(), run.warnings);
            let stem = stem(&path);
            insta::assert_snapshot!(format!("{stem}.transcript"), run.transcript.text());
            insta::assert_snapshot!(format!("{stem}.trace"), trace(&run));
            let text = |svg: Vec<u8>| String::from_utf8(svg).expect("an SVG is text");
            if let Some(svg) = Drawings::default().svg(&run, &stem).expect("a picture") {
                insta::assert_snapshot!(format!("{stem}.svg"), text(svg));
            }
            let series = Drawings::default().series(&run, &stem, Format::Svg).expect("a picture");
            insta::assert_snapshot!(format!("{stem}.series"), text(series.expect("time has passed")));
        }
    });
}

/// What `wavetank test scripts/` compares, and the README's picture.
#[test]
fn what_is_kept_beside_the_scripts_is_what_they_give() {
    use wavetank::snapshot::{Snapshot, difference};
    for path in scripts().into_iter().chain(scripts_in("what-if")).chain(scripts_in("controllers")) {
        let run = run(&path, &Options::default());
        let new = Snapshot::of(&run).expect("a snapshot");
        let [transcript, trace] = Snapshot::read(&path).expect("the kept files can be read");
        for (kept, new) in [(transcript, &new.transcript), (trace, &new.trace)] {
            let kept = kept.unwrap_or_default();
            if let Some(difference) = difference(&kept, new, false) {
                panic!("{}: run `wavetank test scripts --update`\n{difference}", path.display());
            }
        }
    }
    let path = folder("lab").join("01-controller-loop.rhai");
    let svg = Drawings::default().svg(&run(&path, &Options::default()), "01-controller-loop").expect("a picture");
    let picture = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/01-controller-loop.svg");
    let kept = std::fs::read(&picture).expect("the README's picture");
    assert!(svg.is_some_and(|svg| svg == kept), "copy out/01-controller-loop/timeline.svg to docs/");
}

#[test]
fn a_script_run_twice_leaves_the_same_bytes() {
    for path in scripts() {
        let [first, second] = [(), ()].map(|()| run(&path, &Options::default()));
        assert_eq!(first.transcript.text(), second.transcript.text());
        assert_eq!(trace(&first), trace(&second));
        let png = |run: &Run| Drawings::default().png(run, "twice").expect("a picture");
        assert!(png(&first) == png(&second), "{}", path.display());
        let series = |run: &Run| Drawings::default().series(run, "twice", Format::Png).expect("a picture");
        assert!(series(&first) == series(&second), "{}", path.display());
    }
}

#[test]
fn another_seed_is_another_run() {
    for path in scripts() {
        let mut options = Options::default();
        options.overrides.seed = Some(2);
        let (first, other) = (run(&path, &Options::default()), run(&path, &options));
        assert_eq!(other.exit_code(), 0, "{}\n{}", path.display(), other.transcript.text());
        assert_ne!(trace(&first), trace(&other));
    }
}

/// Ties are rare where latencies are drawn, so what may change with their order is little: nothing that a person sees.
#[test]
fn shuffled_ties_change_nothing_that_a_person_sees() {
    for path in scripts() {
        let plain = run(&path, &Options::default());
        for seed in [1, 2, 3] {
            let mut options = Options::default();
            options.overrides.shuffle_ties = Some(seed);
            let shuffled = run(&path, &options);
            assert_eq!(plain.transcript.text(), shuffled.transcript.text(), "{} with ties {seed}", path.display());
        }
    }
}
