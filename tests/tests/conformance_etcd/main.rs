//! etcd, etcdctl and etcdutl against sessions recorded with the real ones: `conformance/answers/FORMAT.md`, part `etcd.jsonl`.
//!
//! Each case is played in a cluster of etcd alone, by the host that scripts use. With `-- --nocapture` each family has a line
//! `etcd/FAMILY matched N of N`, and the first differences are shown. `WAVETANK_CONFORMANCE=DIR` reads another folder of the same
//! layout. What is compared how, and what is not: `conformance/README.md`.

mod acts;
mod compare;
mod curves;
mod host;
mod layout;
mod leaders;
mod steps;

use std::path::PathBuf;

use serde_json::Value;

/// What came of a case.
#[derive(Default)]
pub struct Score {
    /// Units that match.
    pub matched: usize,
    /// All units.
    pub of: usize,
    /// What differs.
    pub differences: Vec<String>,
}

impl Score {
    /// Counts a unit.
    pub fn unit(&mut self, what: impl FnOnce() -> String, result: Result<(), String>) {
        self.of += 1;
        match result {
            Ok(()) => self.matched += 1,
            Err(why) => self.differences.push(format!("{}\n{why}", what())),
        }
    }

    /// Adds another case's.
    pub fn add(&mut self, other: Score) {
        self.matched += other.matched;
        self.of += other.of;
        self.differences.extend(other.differences);
    }
}

/// The families in the order of the lines printed.
const FAMILIES: [&str; 4] = ["single", "cluster", "dbsize", "layout"];
/// So many differences of a family are shown.
const SHOWN: usize = 12;

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}

fn play(case: &Value) -> Score {
    if case["steps"].is_array() {
        return steps::play(case);
    }
    match text(case, "family") {
        "dbsize" => curves::play(case),
        "layout" => layout::play(case),
        _ => leaders::play(case),
    }
}

#[test]
fn etcd_answers_as_recorded() {
    #[allow(clippy::disallowed_methods, reason = "where the vectors lie is no part of a run")]
    let (folder, only) = (std::env::var("WAVETANK_CONFORMANCE"), std::env::var("WAVETANK_CASE").unwrap_or_default());
    let folder =
        folder.map_or_else(|_| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/conformance")), PathBuf::from);
    let path = folder.join("answers/etcd.jsonl");
    #[allow(clippy::disallowed_methods, reason = "the vectors are read")]
    let recorded = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let cases: Vec<Value> = recorded.lines().map(|line| serde_json::from_str(line).expect("a case")).collect();
    let mut failed = Vec::new();
    for family in FAMILIES {
        let mut score = Score::default();
        for case in cases.iter().filter(|case| text(case, "family") == family && text(case, "id").contains(&only)) {
            let mut of_case = play(case);
            of_case.differences.iter_mut().for_each(|what| *what = format!("{}: {what}", text(case, "id")));
            score.add(of_case);
        }
        println!("etcd/{family} matched {} of {}", score.matched, score.of);
        for difference in score.differences.iter().take(SHOWN) {
            println!("  {}", difference.replace('\n', "\n    "));
        }
        if score.matched < score.of {
            failed.push(format!("{family}: {} of {} differ", score.of - score.matched, score.of));
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("; "));
}
