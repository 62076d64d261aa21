//! A smaller plan that fails in the same way.
//!
//! Kinds are left out one by one, then steps, as long as the same invariant breaks. As no draw depends on another, what is left stays as it was.

use super::plan::Plan;
use super::run::{Outcome, run};
use super::{Choice, Options};

/// What is left of a failing seed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shrunk {
    /// The options with which it still fails.
    pub options: Options,
    /// How it fails then.
    pub outcome: Outcome,
    /// The steps that are left.
    pub steps: Vec<String>,
    /// How many runs it took.
    pub runs: u32,
}

/// Leaves out of a failing seed what can be left out; `going_on` says whether to try another.
pub fn shrink(failing: &Outcome, options: &Options, mut going_on: impl FnMut(&Shrunk) -> bool) -> Shrunk {
    let seed = failing.seed;
    let names = |options: &Options| Plan::draw(seed, options.length, &options.choice).names();
    let mut best = Shrunk { options: options.clone(), outcome: failing.clone(), steps: names(options), runs: 0 };
    let invariant = failing.failure.as_ref().map(|failure| failure.invariant.clone());
    let mut attempt = |best: &mut Shrunk, without: &str| {
        let mut choice = best.options.choice.clone();
        choice.without.push(without.to_owned());
        let options = Options { choice, ..best.options.clone() };
        let outcome = run(seed, &options);
        best.runs += 1;
        if outcome.failure.as_ref().map(|failure| &failure.invariant) == invariant.as_ref() {
            best.steps = names(&options);
            (best.options, best.outcome) = (options, outcome);
        }
        going_on(best)
    };
    let kinds: Vec<&str> = super::plan::kinds().map(|kind| kind.name).collect();
    for kind in kinds {
        let there = best.steps.iter().any(|step| step.rsplit_once('-').is_some_and(|(of, _)| of == kind));
        if there && !attempt(&mut best, kind) {
            return best;
        }
    }
    for step in best.steps.clone() {
        if best.steps.contains(&step) && best.steps.len() > 1 && !attempt(&mut best, &step) {
            return best;
        }
    }
    best.options.choice = tidied(&best.options.choice, &best.steps, seed, options);
    best
}

/// The shortest way to say what is left: the kinds that are, and the steps of theirs that are not.
fn tidied(choice: &Choice, steps: &[String], seed: u64, options: &Options) -> Choice {
    let mut only: Vec<String> = Vec::new();
    for kind in super::plan::kinds().map(|kind| kind.name) {
        if steps.iter().any(|step| step.rsplit_once('-').is_some_and(|(of, _)| of == kind)) {
            only.push(kind.to_owned());
        }
    }
    let all = Plan::draw(seed, options.length, &Choice { only: only.clone(), without: Vec::new() });
    let without: Vec<String> = all.names().into_iter().filter(|name| !steps.contains(name)).collect();
    let short = Choice { only, without };
    if Plan::draw(seed, options.length, &short) == Plan::draw(seed, options.length, choice) {
        short
    } else {
        choice.clone()
    }
}
