//! When things happened first, compared for order. Information, not a requirement: times are the recording machine's.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::compare::{Aspect, INFORMATION};
use super::format::{Change, Scenario, Write};
use super::observe::Observed;
use super::wording::{Durations, Wording};

/// Two milestones closer than this have no order: the recording machine had other work. [s]
const APART: f64 = 0.1;

/// Compares the order of all pairs of milestones that every recorded run had in the same order.
pub fn compare(scenario: &Scenario, observed: &Observed, recorded: &Wording, played: &Wording) -> Aspect {
    let mut aspect = Aspect::new(INFORMATION);
    let ours = ranked(of_history(&observed.history).into_iter().map(|(what, at)| (what, vec![Some(at)])), played);
    let theirs = ranked(scenario.milestones.clone(), recorded);
    let common: Vec<(&Milestone, &Vec<f64>, f64)> = theirs
        .iter()
        .filter_map(|(milestone, times)| Some((milestone, times, *ours.get(milestone)?.first()?)))
        .collect();
    for (first, first_times, first_at) in &common {
        for (second, second_times, second_at) in &common {
            if latest(first_times) + APART < earliest(second_times) {
                aspect.item(first_at <= second_at, || {
                    format!("{} at {second_at:.3} s comes before {} at {first_at:.3} s", text(second), text(first))
                });
            }
        }
    }
    times(&mut aspect, &common);
    aspect
}

fn earliest(times: &[f64]) -> f64 {
    times.iter().copied().fold(f64::INFINITY, f64::min)
}

fn latest(times: &[f64]) -> f64 {
    times.iter().copied().fold(0.0, f64::max)
}

fn times(aspect: &mut Aspect, common: &[(&Milestone, &Vec<f64>, f64)]) {
    let mut off: Vec<(f64, String)> = common
        .iter()
        .map(|(milestone, times, at)| {
            let (from, to) = (earliest(times), latest(times));
            let outside = (from - at).max(at - to).max(0.0);
            (outside, format!("{} at {at:.3} s, recorded {from:.3} to {to:.3} s", text(milestone)))
        })
        .collect();
    off.sort_by(|a, b| a.0.total_cmp(&b.0));
    if let (Some(median), Some((largest, what))) = (off.get(off.len() / 2), off.last()) {
        let line = format!(
            "times of {} milestones: half are within {:.3} s of the recorded runs, the farthest {largest:.3} s off: {what}",
            off.len(),
            median.0
        );
        aspect.remarks.push(line);
    }
}

/// "Kind name what", and the how-manieth of interchangeable objects.
type Milestone = (String, usize);

fn text((what, rank): &Milestone) -> String {
    if *rank == 0 { what.clone() } else { format!("{what} (number {})", rank + 1) }
}

/// The times in each run of those milestones that every run has; interchangeable objects are ranked by time.
fn ranked(
    milestones: impl IntoIterator<Item = (String, Vec<Option<f64>>)>,
    wording: &Wording,
) -> BTreeMap<Milestone, Vec<f64>> {
    let mut groups: BTreeMap<String, Vec<Vec<Option<f64>>>> = BTreeMap::new();
    for (what, times) in in_one_order(milestones) {
        groups.entry(wording.of(&what, Durations::Measured)).or_default().push(times);
    }
    let mut ranked = BTreeMap::new();
    for (what, lists) in groups {
        let runs = lists.iter().map(Vec::len).max().unwrap_or_default();
        let sorted: Vec<Vec<f64>> = (0..runs)
            .map(|run| {
                let mut times: Vec<f64> = lists.iter().filter_map(|times| times.get(run).copied().flatten()).collect();
                times.sort_by(f64::total_cmp);
                times
            })
            .collect();
        let least = sorted.iter().map(Vec::len).min().unwrap_or_default();
        for rank in 0..least {
            ranked.insert((what.clone(), rank), sorted.iter().map(|times| times[rank]).collect());
        }
    }
    ranked
}

/// Conditions have no order; of milestones that differ only in it, the first counts.
fn in_one_order(
    milestones: impl IntoIterator<Item = (String, Vec<Option<f64>>)>,
) -> BTreeMap<String, Vec<Option<f64>>> {
    let mut sorted: BTreeMap<String, Vec<Option<f64>>> = BTreeMap::new();
    for (what, times) in milestones {
        let mut words: Vec<&str> = what.split(' ').collect();
        if let Some(conditions) = words.get_mut(2..) {
            conditions.sort_unstable();
        }
        let earliest = sorted.entry(words.join(" ")).or_default();
        earliest.resize(earliest.len().max(times.len()), None);
        for (earliest, time) in earliest.iter_mut().zip(times) {
            *earliest = [*earliest, time].into_iter().flatten().reduce(f64::min);
        }
    }
    sorted
}

/// The milestones of a history, as the recorder names them; the first time of each.
fn of_history(history: &[Write]) -> BTreeMap<String, f64> {
    let mut first: BTreeMap<String, f64> = BTreeMap::new();
    let mut nodes: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for write in history {
        let mut marks = marks(write);
        if write.kind == "Node" {
            // A node's state is a milestone when it changes.
            let calm = BTreeSet::from(["Ready=True:KubeletReady".to_owned(), "taints=".to_owned()]);
            let new: BTreeSet<String> = marks.iter().cloned().collect();
            let before = nodes.insert(&write.name, new).unwrap_or(calm);
            marks.retain(|mark| !before.contains(mark));
        }
        for mark in marks {
            first.entry(format!("{} {} {mark}", write.kind, write.name)).or_insert(write.at);
        }
    }
    first
}

fn marks(write: &Write) -> Vec<String> {
    let summary = &write.summary;
    let mut marks = Vec::new();
    match write.change {
        Change::Added => marks.push("created".to_owned()),
        Change::Deleted => marks.push("deleted".to_owned()),
        Change::Modified => {}
    }
    if summary["deleting"] == true && write.kind != "Node" {
        marks.push("deleting".to_owned());
    }
    let conditions: Vec<String> = summary["conditions"].as_object().into_iter().flatten().map(condition).collect();
    match write.kind.as_str() {
        "Pod" => {
            marks.extend(summary["nodeName"].is_string().then(|| "bound".to_owned()));
            let phase = summary["phase"].as_str().filter(|phase| *phase != "Pending");
            marks.extend(phase.map(str::to_owned));
            let ready = summary["conditions"]["Ready"].as_str().is_some_and(|ready| ready.starts_with("True"));
            marks.extend(ready.then(|| "Ready".to_owned()));
            marks.extend(summary["restartCount"].as_u64().map(|n| format!("restart {n}")));
        }
        "Node" => {
            let taints: Vec<&str> =
                summary["taints"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
            marks.push(format!("taints={}", taints.join(",")));
            marks.extend(conditions.into_iter().filter(|condition| condition.starts_with("Ready=")));
        }
        "Namespace" => {
            marks.extend(summary["phase"].as_str().filter(|phase| *phase != "Active").map(str::to_owned));
        }
        // Which numbers a status shows on its way depends on the interleaving of watch events: `available=n` is no milestone here.
        _ if !conditions.is_empty() => marks.push(conditions.join(" ")),
        _ => {}
    }
    marks
}

fn condition((kind, status): (&String, &Value)) -> String {
    format!("{kind}={}", status.as_str().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_what_every_run_orders_alike_is_compared() {
        let write = |at: f64, name: &str, summary: Value| Write {
            at,
            change: Change::Modified,
            kind: "Pod".into(),
            name: name.into(),
            namespace: String::new(),
            summary,
        };
        let milestones = BTreeMap::from([
            ("Pod a bound".to_owned(), vec![Some(1.0), Some(1.0)]),
            ("Pod a Running".to_owned(), vec![Some(2.0), Some(3.0)]),
            ("Pod b bound".to_owned(), vec![Some(2.5), Some(2.5)]),
            ("Pod b Running".to_owned(), vec![Some(4.0), None]),
        ]);
        let scenario = Scenario { milestones, ..Scenario::default() };
        let history = vec![
            write(1.5, "b", json!({"nodeName": "n", "phase": "Pending"})),
            write(2.0, "a", json!({"nodeName": "n", "phase": "Pending"})),
            write(2.1, "a", json!({"nodeName": "n", "phase": "Running"})),
        ];
        let observed = Observed { history, ..Observed::default() };
        let wording = Wording::default();
        let aspect = compare(&scenario, &observed, &wording, &wording);
        assert_eq!((aspect.matched, aspect.total), (1, 2), "{:?}", aspect.differences);
        assert!(aspect.remarks[0].contains("of 3 milestones"), "{:?}", aspect.remarks);
    }
}
