//! What many seeds came to, as text and as JSON.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::invariants::sometimes::{PATHS, Sometimes};
use super::plan::kinds;
use super::run::{Failure, Outcome};
use super::shrink::Shrunk;
use super::{LENGTH, Options};
use crate::script::duration;

/// What a range of seeds came to.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// How many seeds ran.
    pub seeds: u64,
    /// Those that failed, in order.
    pub failures: Vec<(u64, Failure)>,
    /// What is left of those that were made smaller.
    pub smallest: BTreeMap<u64, Shrunk>,
    /// How often each kind of step was carried out.
    pub steps: BTreeMap<&'static str, u64>,
    /// What happened.
    pub sometimes: Sometimes,
    /// Events handled.
    pub events: u64,
    /// The longest recovery, and its seed.
    pub slowest: (u64, u64),
}

impl Summary {
    /// Adds a seed's outcome.
    pub fn add(&mut self, outcome: &Outcome) {
        self.seeds += 1;
        self.events += outcome.events;
        self.slowest = self.slowest.max((outcome.recovery, outcome.seed));
        for (kind, count) in &outcome.steps {
            *self.steps.entry(kind).or_insert(0) += count;
        }
        self.sometimes.add(&outcome.sometimes);
        if let Some(failure) = &outcome.failure {
            self.failures.push((outcome.seed, failure.clone()));
        }
    }

    /// Kinds of steps and ways of failing and recovering that no seed took.
    pub fn never(&self) -> Vec<&'static str> {
        let steps = kinds().map(|kind| kind.name).filter(|kind| !self.steps.contains_key(kind));
        steps.chain(PATHS.iter().copied().filter(|path| self.sometimes.get(path) == 0)).collect()
    }

    /// The table of what happened.
    pub fn text(&self) -> String {
        let mut out = String::new();
        for (title, rows) in [("steps", self.step_rows()), ("what happened", self.path_rows())] {
            out += &format!("{title:<44}{:>10}\n", "times");
            for (name, count) in rows {
                out += &format!("  {name:<42}{count:>10}{}\n", if count == 0 { "  never" } else { "" });
            }
        }
        let failed = self.failures.len();
        out += &format!(
            "\n{} seeds, {failed} failed, {} events",
            self.seeds,
            crate::script::limits::readable(self.events)
        );
        if self.slowest.0 > 0 {
            out += &format!("; longest recovery {} (seed {})", duration::text(self.slowest.0), self.slowest.1);
        }
        out + "\n"
    }

    fn step_rows(&self) -> Vec<(&'static str, u64)> {
        kinds().map(|kind| (kind.name, self.steps.get(kind.name).copied().unwrap_or(0))).collect()
    }

    fn path_rows(&self) -> Vec<(&'static str, u64)> {
        PATHS.iter().map(|path| (*path, self.sometimes.get(path))).collect()
    }

    /// Everything, for a program.
    pub fn json(&self, options: &Options) -> Value {
        let rows = |rows: Vec<(&'static str, u64)>| {
            rows.into_iter().map(|(name, count)| (name.to_owned(), json!(count))).collect::<serde_json::Map<_, _>>()
        };
        let failures = self.failures.iter().map(|(seed, failure)| {
            let mut row = json!({
                "seed": seed, "invariant": failure.invariant, "seconds": failure.at as f64 / 1e9, "record": failure.record,
                "object": failure.object, "text": failure.text, "replay": replay(*seed, options),
            });
            if let Some(small) = self.smallest.get(seed) {
                row["smallest"] =
                    json!({"runs": small.runs, "steps": small.steps, "replay": replay(*seed, &small.options)});
            }
            row
        });
        json!({
            "seeds": self.seeds, "events": self.events, "failures": failures.collect::<Vec<_>>(),
            "steps": rows(self.step_rows()), "happened": rows(self.path_rows()), "never": self.never(),
            "longest_recovery": {"seconds": self.slowest.0 as f64 / 1e9, "seed": self.slowest.1},
        })
    }
}

/// A failing seed, for people.
pub fn failure(seed: u64, failure: &Failure, options: &Options) -> String {
    let about = if failure.object.is_empty() { String::new() } else { format!("{}: ", failure.object) };
    format!(
        "FAIL seed {seed}: {}\n     at {}, record {}\n     {about}{}\n     {}\n",
        failure.invariant,
        duration::text(failure.at),
        failure.record,
        failure.text.replace('\n', "\n     "),
        replay(seed, options),
    )
}

/// The command that does it again.
pub fn replay(seed: u64, options: &Options) -> String {
    let mut line = format!("wavetank swarm --seed {seed}");
    if options.length != LENGTH {
        line += &format!(" --for {}", duration::text(options.length));
    }
    for (flag, list) in [("only", &options.choice.only), ("without", &options.choice.without)] {
        if !list.is_empty() {
            line += &format!(" --{flag} {}", list.join(","));
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::super::Choice;
    use super::*;

    #[test]
    fn a_failure_says_what_when_and_how_to_see_it_again() {
        let options = Options {
            length: 60_000_000_000,
            choice: Choice { only: vec!["crash".into(), "deployment".into()], without: vec!["crash-2".into()] },
        };
        let failed = Failure {
            invariant: "a pod runs once".into(),
            at: 61_500_000_000,
            record: 77,
            object: "default/db-0".into(),
            text: "it has containers on two nodes".into(),
        };
        let text = failure(4711, &failed, &options);
        assert_eq!(
            text,
            "FAIL seed 4711: a pod runs once\n     at 1m1.5s, record 77\n     default/db-0: it has containers on two nodes\n     \
             wavetank swarm --seed 4711 --for 1m0s --only crash,deployment --without crash-2\n"
        );
    }

    #[test]
    fn a_smaller_plan_is_told_to_programs_too() {
        let options = Options::default();
        let outcome = super::super::run(1, &Options { length: 1_000_000_000, ..Options::default() });
        let failed = Failure {
            invariant: "a pod runs once".into(),
            at: 0,
            record: 1,
            object: String::new(),
            text: "it does not".into(),
        };
        let choice = Choice { only: vec!["crash".into()], without: Vec::new() };
        let small =
            Shrunk { options: Options { choice, ..options.clone() }, outcome, steps: vec!["crash-1".into()], runs: 9 };
        let summary =
            Summary { failures: vec![(1, failed)], smallest: BTreeMap::from([(1, small)]), ..Summary::default() };
        let row = &summary.json(&options)["failures"][0]["smallest"];
        let replay = "wavetank swarm --seed 1 --only crash";
        assert_eq!(*row, json!({"runs": 9, "steps": ["crash-1"], "replay": replay}));
    }

    #[test]
    fn what_never_happened_is_named() {
        let summary = Summary::default();
        assert!(summary.never().contains(&"crash") && summary.never().contains(&"a preemption"));
        assert!(summary.text().contains("never"));
    }
}
