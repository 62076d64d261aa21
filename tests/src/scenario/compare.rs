//! What agrees between a recorded scenario and our run, aspect by aspect.

use std::collections::{BTreeMap, BTreeSet};

use super::format::{Said, Scenario, Span};
use super::observe::Observed;
use super::play::{Played, Run};
use super::sequence::{common, pair_up};
use super::wording::{Durations, Wording};
use super::{milestones, outputs, states};

/// One aspect of a scenario.
#[derive(Clone, Debug, Default)]
pub struct Aspect {
    /// Its name.
    pub name: &'static str,
    /// How many things agree.
    pub matched: usize,
    /// How many there are, those that only our run has among them.
    pub total: usize,
    /// What differs, in words.
    pub differences: Vec<String>,
    /// What else there is to say.
    pub remarks: Vec<String>,
}

impl Aspect {
    /// Nothing compared yet.
    pub fn new(name: &'static str) -> Self {
        Aspect { name, ..Aspect::default() }
    }

    /// One thing was compared; `difference` says how it differs.
    pub fn item(&mut self, agrees: bool, difference: impl FnOnce() -> String) {
        if agrees { self.matched(1) } else { self.difference(difference()) }
    }

    /// So many things agree.
    pub fn matched(&mut self, count: usize) {
        self.matched += count;
        self.total += count;
    }

    /// One thing differs, in something in which the recorded runs differ among themselves: `budget` is by how much. Within it, it
    /// counts as agreeing.
    pub fn varies(&mut self, budget: &mut u64, difference: String) {
        if *budget > 0 {
            *budget -= 1;
            self.matched(1);
            self.remarks.push(format!("as much as recorded runs vary: {difference}"));
        } else {
            self.difference(difference);
        }
    }

    /// One thing differs.
    pub fn difference(&mut self, difference: String) {
        self.total += 1;
        self.differences.push(difference);
    }
}

/// Compares all aspects. That of the last, `order`, is information: times are the machine's.
pub fn compare(scenario: &Scenario, run: &Run, observed: &Observed) -> Vec<Aspect> {
    let recorded = Wording::recorded(scenario);
    let played = Wording::played(scenario, &observed.names);
    vec![
        steps(scenario, run),
        api(&scenario.api, &observed.api),
        states::compare(&scenario.writes, (&scenario.history, &recorded), (&observed.history, &played)),
        hashes(scenario, observed),
        events(scenario, &observed.events, &recorded, &played),
        outputs::compare(scenario, run, &recorded, &played),
        keys(&scenario.keys, &observed.keys, &recorded, &played),
        milestones::compare(scenario, observed, &recorded, &played),
    ]
}

/// The aspect that never fails.
pub const INFORMATION: &str = "order";

fn steps(scenario: &Scenario, run: &Run) -> Aspect {
    let mut aspect = Aspect::new("steps");
    let both = scenario.steps.iter().zip(&run.steps).chain(scenario.snapshots.iter().zip(&run.snapshots));
    for (step, played) in both {
        match &played.unsupported {
            Some(what) => aspect.difference(format!("unsupported step `{}`: {what}", step.command)),
            None => {
                let code = played.finished.as_ref().map(|finished| i64::from(finished.code));
                let agrees = step.exit_code.is_none() || code == step.exit_code;
                aspect.item(agrees, || {
                    format!("`{}` ends with {}, recorded {}", step.command, ended(code), ended(step.exit_code))
                });
            }
        }
    }
    for what in &run.unsupported {
        aspect.difference(format!("unsupported configuration {what}"));
    }
    aspect
}

fn ended(code: Option<i64>) -> String {
    code.map_or("no end".to_owned(), |code| code.to_string())
}

/// How far a count may lie outside of the recorded runs: controllers' status updates and conflicts depend on the interleaving of
/// watch events, and three runs show only part of the spread. A fifth of the greatest count, at least 2.
fn slack(key: &str, span: Span) -> u64 {
    let loose = key.ends_with(" 409")
        || [
            "deployment-controller update deployments/status 200",
            "replicaset-controller update replicasets/status 200",
        ]
        .contains(&key);
    if loose { (span.max.div_ceil(5)).max(2) } else { 0 }
}

fn api(recorded: &BTreeMap<String, Span>, played: &BTreeMap<String, u64>) -> Aspect {
    let mut aspect = Aspect::new("api");
    let keys: BTreeSet<&String> = recorded.keys().chain(played.keys()).collect();
    for key in keys {
        let span = recorded.get(key).copied().unwrap_or_default();
        let count = played.get(key).copied().unwrap_or_default();
        let slack = slack(key, span);
        let grace = if slack > 0 { format!(", give or take {slack}") } else { String::new() };
        aspect.item(span.holds(count, slack), || format!("{key}: {count}, recorded {span}{grace}"));
        if slack > 0 && span.holds(count, slack) && !span.holds(count, 0) {
            aspect.remarks.push(format!("within the slack: {key}: {count}, recorded {span}{grace}"));
        }
    }
    aspect
}

/// The hash of a pod template is a function of the template.
fn hashes(scenario: &Scenario, observed: &Observed) -> Aspect {
    let mut aspect = Aspect::new("hashes");
    let ours: BTreeMap<&String, &String> = observed.names.iter().map(|(real, stable)| (stable, real)).collect();
    let sets = scenario.placeholders.iter().filter(|(stable, _)| {
        let number = stable.rsplit_once("-RS").map(|(_, number)| number);
        number.is_some_and(|number| number.bytes().all(|byte| byte.is_ascii_digit()))
    });
    for (stable, real) in sets {
        let played = ours.get(stable);
        aspect.item(played == Some(&real), || {
            format!("{stable} is {}, recorded {real}", played.map_or("missing", |name| name.as_str()))
        });
    }
    aspect
}

fn events(scenario: &Scenario, played: &[Said], recorded_wording: &Wording, played_wording: &Wording) -> Aspect {
    let mut aspect = Aspect::new("events");
    let key = |said: &Said| format!("{} {} {} {}", said.source, said.kind, said.reason, said.about);
    let mut counts: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    for said in played {
        let count = counts.entry(key(said)).or_default();
        *count = (count.0 + 1, count.1 + said.count);
    }
    let keys: BTreeSet<&String> = scenario.event_objects.keys().chain(counts.keys()).collect();
    for key in keys {
        let (objects, occurrences) = counts.get(key).copied().unwrap_or_default();
        for (count, spans, what) in
            [(objects, &scenario.event_objects, "objects"), (occurrences, &scenario.event_occurrences, "occurrences")]
        {
            let span = spans.get(key).copied().unwrap_or_default();
            aspect.item(span.holds(count, 0), || format!("{key}: {count} {what}, recorded {span}"));
        }
    }
    texts(&mut aspect, scenario, &told(&scenario.events, recorded_wording), &told(played, played_wording));
    aspect
}

/// What is said of each object; objects that are interchangeable share an entry.
type Told = BTreeMap<(String, String), Vec<Vec<String>>>;

fn texts(aspect: &mut Aspect, scenario: &Scenario, left: &Told, right: &Told) {
    // Where runs differ in how often something is said of a kind, as by the choice among equal nodes of which some have an image,
    // what else is said of it may differ as much.
    let mut spreads: BTreeMap<&str, u64> = BTreeMap::new();
    for (key, span) in &scenario.event_objects {
        let spread = spreads.entry(key.rsplit_once(' ').map_or("", |(_, kind)| kind)).or_default();
        *spread = span.spread().max(*spread);
    }
    let mut budgets: BTreeMap<(bool, String), u64> = BTreeMap::new();
    let mut differs = |aspect: &mut Aspect, lacks: bool, group: &(String, String), text: &str| {
        let reason = text.split(' ').nth(1).unwrap_or_default().to_owned();
        let spread = spreads.get(group.0.as_str()).copied().unwrap_or_default();
        let budget = budgets.entry((lacks, reason)).or_insert(spread);
        let verb = if lacks { "lacks" } else { "has besides" };
        aspect.varies(budget, format!("{} {} {verb}: {text}", group.0, group.1));
    };
    let groups: BTreeSet<&(String, String)> = left.keys().chain(right.keys()).collect();
    let none = Vec::new();
    for group in groups {
        let (left, right) = (left.get(group).unwrap_or(&none), right.get(group).unwrap_or(&none));
        for (i, j) in pair_up(left, right) {
            let texts =
                |list: &[Vec<String>], at: Option<usize>| at.and_then(|at| list.get(at).cloned()).unwrap_or_default();
            let (left, right) = (texts(left, i), texts(right, j));
            let pairs = common(&left, &right);
            aspect.matched(pairs.len());
            let (in_left, in_right): (BTreeSet<usize>, BTreeSet<usize>) = pairs.into_iter().unzip();
            for at in (0..left.len()).filter(|at| !in_left.contains(at)) {
                differs(aspect, true, group, &left[at]);
            }
            for at in (0..right.len()).filter(|at| !in_right.contains(at)) {
                differs(aspect, false, group, &right[at]);
            }
        }
    }
}

/// What is said of each object, sorted.
fn told(events: &[Said], wording: &Wording) -> Told {
    let mut single: BTreeMap<(&str, &str), Vec<String>> = BTreeMap::new();
    for said in events {
        let message = wording.of(&said.message, Durations::Measured);
        let text = format!("{} {} {} ×{}: {message}", said.kind, said.reason, said.source, said.count);
        single.entry((&said.about, &said.name)).or_default().push(text);
    }
    let mut groups = Told::new();
    for ((kind, name), mut texts) in single {
        texts.sort_unstable();
        groups.entry((kind.to_owned(), wording.name(name))).or_default().push(texts);
    }
    groups
}

fn keys(recorded: &[String], played: &[String], recorded_wording: &Wording, played_wording: &Wording) -> Aspect {
    let mut aspect = Aspect::new("keys");
    let worded = |keys: &[String], wording: &Wording| {
        let mut keys: Vec<String> = keys.iter().map(|key| wording.of(key, Durations::Measured)).collect();
        keys.sort_unstable();
        keys
    };
    let (left, right) = (worded(recorded, recorded_wording), worded(played, played_wording));
    let pairs = common(&left, &right);
    aspect.matched(pairs.len());
    let (in_left, in_right): (BTreeSet<usize>, BTreeSet<usize>) = pairs.into_iter().unzip();
    for at in (0..left.len()).filter(|at| !in_left.contains(at)) {
        aspect.difference(format!("{} is missing", left[at]));
    }
    for at in (0..right.len()).filter(|at| !in_right.contains(at)) {
        aspect.difference(format!("{} is not recorded", right[at]));
    }
    aspect
}

/// What a step printed, or had printed by the end of the run.
pub fn printed(played: &Played) -> (&str, &str) {
    let finished = played.finished.as_ref().unwrap_or(&played.printed);
    (&finished.stdout, &finished.stderr)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_lie_within_the_recorded_runs_and_status_updates_may_stray() {
        let span = |min, max| Span { min, max };
        let recorded = BTreeMap::from([
            ("kubelet get pods 200".to_owned(), span(3, 4)),
            ("deployment-controller update deployments/status 200".to_owned(), span(10, 11)),
        ]);
        let played = |pods, updates| {
            BTreeMap::from([
                ("kubelet get pods 200".to_owned(), pods),
                ("deployment-controller update deployments/status 200".to_owned(), updates),
            ])
        };
        assert_eq!(api(&recorded, &played(3, 13)).differences.len(), 0);
        assert_eq!(api(&recorded, &played(5, 15)).differences.len(), 2);
        let unknown = BTreeMap::from([("kubectl get pods 404".to_owned(), 1), ("x update y 409".to_owned(), 2)]);
        assert_eq!(api(&BTreeMap::new(), &unknown).differences, ["kubectl get pods 404: 1, recorded 0"]);
    }

    #[test]
    fn keys_are_compared_as_a_bag() {
        let keys = |list: &[&str]| list.iter().map(|key| key.to_string()).collect::<Vec<_>>();
        let wording = Wording::default();
        let left = keys(&["/r/pods/n/w-RS1-P1", "/r/pods/n/w-RS1-P2", "/r/x"]);
        let right = keys(&["/r/pods/n/w-RS1-P7", "/r/y"]);
        let aspect = super::keys(&left, &right, &wording, &wording);
        assert_eq!((aspect.matched, aspect.total), (1, 4), "{:?}", aspect.differences);
    }
}
