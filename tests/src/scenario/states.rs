//! The states that Deployments, ReplicaSets and Pods go through.
//!
//! A pod: every state, in order; pods of one owner are interchangeable, so their histories are paired up by what they share.
//!
//! A Deployment or ReplicaSet: how many pods its status has seen at each write depends on the interleaving of watch events, and
//! with it which condition changes first, so that even the recorded runs differ. Compared are: everything but status and
//! conditions, every state in order; each condition's values, in order; for each number the turning points (from where to where
//! it rises and falls); the last state in full.
//!
//! Where the recorded runs made different numbers of writes to a kind, so many differences in pods' states and in numbers on their
//! way are as much as recorded runs vary.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::compare::Aspect;
use super::format::{Change, Span, Write};
use super::sequence::{common, pair_up};
use super::wording::Wording;

/// A history and how it is worded.
pub type Side<'a> = (&'a [Write], &'a Wording);

/// Compares the histories of the three kinds; `writes` is how many writes the recorded runs made.
pub fn compare(writes: &BTreeMap<String, Span>, recorded: Side<'_>, played: Side<'_>) -> Aspect {
    let mut aspect = Aspect::new("states");
    let mut budgets: BTreeMap<&str, u64> = BTreeMap::new();
    for (key, span) in writes {
        *budgets.entry(key.split(' ').next().unwrap_or_default()).or_default() += span.spread();
    }
    let (left, right) = (objects(recorded), objects(played));
    let groups: BTreeSet<&Group> = left.keys().chain(right.keys()).collect();
    let none = Vec::new();
    for group in groups {
        let of = |objects: &'_ BTreeMap<Group, Vec<Vec<Value>>>| objects.get(group).unwrap_or(&none).clone();
        let (left, right) = (of(&left), of(&right));
        let budget = budgets.entry(&group.0).or_default();
        if group.0 == "Pod" {
            pods(&mut aspect, budget, group, &left, &right);
        } else {
            workload(&mut aspect, budget, group, left.first(), right.first());
        }
    }
    aspect
}

/// Kind, namespace, name without the numbers of pods.
type Group = (String, String, String);

/// The state of an object that is gone.
const DELETED: &str = "deleted";

/// The histories by group, each without repetitions.
fn objects((history, wording): Side<'_>) -> BTreeMap<Group, Vec<Vec<Value>>> {
    let mut single: BTreeMap<(&str, &str, &str), Vec<Value>> = BTreeMap::new();
    let mut order = Vec::new();
    for write in history.iter().filter(|write| ["Deployment", "ReplicaSet", "Pod"].contains(&write.kind.as_str())) {
        let key = (write.kind.as_str(), write.namespace.as_str(), write.name.as_str());
        let states = single.entry(key).or_insert_with(|| {
            order.push(key);
            Vec::new()
        });
        let state = if write.change == Change::Deleted { DELETED.into() } else { wording.value(&write.summary) };
        if states.last() != Some(&state) {
            states.push(state);
        }
    }
    let mut groups: BTreeMap<Group, Vec<Vec<Value>>> = BTreeMap::new();
    for key in order {
        let group = (key.0.to_owned(), key.1.to_owned(), wording.name(key.2));
        groups.entry(group).or_default().extend(single.remove(&key));
    }
    groups
}

fn pods(aspect: &mut Aspect, budget: &mut u64, group: &Group, left: &[Vec<Value>], right: &[Vec<Value>]) {
    for (i, j) in pair_up(left, right) {
        let none = Vec::new();
        let left = i.and_then(|i| left.get(i)).unwrap_or(&none);
        let right = j.and_then(|j| right.get(j)).unwrap_or(&none);
        // A pod too many or too few is another matter.
        let mut nothing = 0;
        let budget = if left.is_empty() || right.is_empty() { &mut nothing } else { &mut *budget };
        sequences(aspect, budget, &format!("Pod {}", group.2), left, right);
    }
}

fn workload(
    aspect: &mut Aspect,
    budget: &mut u64,
    group: &Group,
    left: Option<&Vec<Value>>,
    right: Option<&Vec<Value>>,
) {
    let name = format!("{} {}", group.0, group.2);
    let none = Vec::new();
    let (left, right) = (left.unwrap_or(&none), right.unwrap_or(&none));
    let reduced = |states: &[Value], reduce: &dyn Fn(&Value) -> Value| {
        let mut reduced: Vec<Value> = states.iter().map(reduce).collect();
        reduced.dedup();
        reduced
    };
    sequences(aspect, &mut 0, &name, &reduced(left, &without_status), &reduced(right, &without_status));
    let conditions = |state: &Value| state["conditions"].as_object().map(|map| map.keys().cloned().collect::<Vec<_>>());
    let conditions: BTreeSet<String> = left.iter().chain(right).filter_map(conditions).flatten().collect();
    for condition in conditions {
        let value = |state: &Value| state["conditions"][&condition].clone();
        let (left, right) = (reduced(left, &value), reduced(right, &value));
        let given = |values: Vec<Value>| values.into_iter().filter(|value| !value.is_null()).collect::<Vec<_>>();
        sequences(aspect, &mut 0, &format!("{name}: {condition}"), &given(left), &given(right));
    }
    let keys: BTreeSet<String> = left.iter().chain(right).flat_map(|state| numbers(state).into_keys()).collect();
    for key in keys {
        let (left, right) = (turning_points(left, &key), turning_points(right, &key));
        if left == right {
            aspect.matched(1);
        } else {
            aspect.varies(budget, format!("{name}: {key} goes {}, recorded {}", path(&right), path(&left)));
        }
    }
    let last = |states: &[Value]| states.iter().rev().find(|state| state.is_object()).cloned().unwrap_or_default();
    let (left, right) = (last(left), last(right));
    aspect
        .item(left == right, || format!("{name}: its last state differs from the recorded: {}", change(&left, &right)));
}

/// Counts what two sequences of states share, and says what each has for itself.
fn sequences(aspect: &mut Aspect, budget: &mut u64, name: &str, left: &[Value], right: &[Value]) {
    let pairs = common(left, right);
    aspect.matched(pairs.len());
    let (shared_left, shared_right): (BTreeSet<usize>, BTreeSet<usize>) = pairs.into_iter().unzip();
    let mut alone = |states: &[Value], shared: &BTreeSet<usize>, what: &str, aspect: &mut Aspect| {
        for at in (0..states.len()).filter(|at| !shared.contains(at)) {
            let before = at.checked_sub(1).map_or(&Value::Null, |before| &states[before]);
            let difference =
                format!("{name}: {what} state {} of {}: {}", at + 1, states.len(), change(before, &states[at]));
            aspect.varies(budget, difference);
        }
    };
    alone(left, &shared_left, "lacks the recorded", aspect);
    alone(right, &shared_right, "has the unrecorded", aspect);
}

/// The numbers that depend on the interleaving of watch events.
fn numbers(state: &Value) -> BTreeMap<String, i64> {
    let status = state["status"].as_object().into_iter().flatten();
    let generation = state.get("observedGeneration").map(|value| ("observedGeneration", value));
    let all = status.map(|(key, value)| (key.as_str(), value)).chain(generation);
    all.filter_map(|(key, value)| Some((key.to_owned(), value.as_i64()?))).collect()
}

fn without_status(state: &Value) -> Value {
    let mut state = state.clone();
    if let Some(fields) = state.as_object_mut() {
        fields.remove("status");
        fields.remove("conditions");
        fields.remove("observedGeneration");
    }
    state
}

/// The values of a number where it starts, turns and ends; a number that is left out is 0.
fn turning_points(states: &[Value], key: &str) -> Vec<i64> {
    let mut points: Vec<i64> = Vec::new();
    for value in
        states.iter().filter(|state| state.is_object()).map(|state| numbers(state).get(key).copied().unwrap_or(0))
    {
        match points.as_slice() {
            [.., last] if *last == value => {}
            [.., before, last] if (*last > *before) == (value > *last) => {
                points.pop();
                points.push(value);
            }
            _ => points.push(value),
        }
    }
    points
}

fn path(points: &[i64]) -> String {
    points.iter().map(i64::to_string).collect::<Vec<_>>().join(" → ")
}

/// What `after` changes about `before`.
fn change(before: &Value, after: &Value) -> String {
    let Some(after) = after.as_object() else { return after.as_str().unwrap_or("nothing").to_owned() };
    let empty = Map::new();
    let before = before.as_object().unwrap_or(&empty);
    let keys: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let mut parts = Vec::new();
    for key in keys {
        match (before.get(key), after.get(key)) {
            (old, new) if old == new => {}
            (Some(old), None) => parts.push(format!("no {key} (was {old})")),
            (Some(old @ Value::Object(_)), Some(new @ Value::Object(_))) => {
                parts.push(format!("{key} {{{}}}", change(old, new)))
            }
            (Some(old), Some(new)) => parts.push(format!("{key} {old} → {new}")),
            (None, Some(new)) => parts.push(format!("{key} {new}")),
            (None, None) => {}
        }
    }
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn history(entries: &[(&str, &str, Value)]) -> Vec<Write> {
        let write = |(kind, name, summary): &(&str, &str, Value)| Write {
            at: 0.0,
            change: if summary.is_null() { Change::Deleted } else { Change::Modified },
            kind: kind.to_string(),
            name: name.to_string(),
            namespace: String::new(),
            summary: summary.clone(),
        };
        entries.iter().map(write).collect()
    }

    fn compared(left: &[(&str, &str, Value)], right: &[(&str, &str, Value)]) -> Aspect {
        let wording = Wording::default();
        compare(&BTreeMap::new(), (&history(left), &wording), (&history(right), &wording))
    }

    #[test]
    fn pods_of_one_owner_are_interchangeable_and_others_are_not() {
        let (a, b) = (json!({"phase": "Pending"}), json!({"phase": "Running"}));
        let pod = |name: &'static str, state: &Value| ("Pod", name, state.clone());
        let left = [pod("w-RS1-P1", &a), pod("w-RS1-P1", &b), pod("w-RS1-P2", &a), pod("w-RS1-P2", &Value::Null)];
        let right = [pod("w-RS1-P1", &a), pod("w-RS1-P1", &Value::Null), pod("w-RS1-P2", &a), pod("w-RS1-P2", &b)];
        let aspect = compared(&left, &right);
        assert_eq!((aspect.matched, aspect.total), (4, 4), "{:?}", aspect.differences);
        let aspect = compared(&[pod("x", &a), pod("x", &b)], &[pod("x", &a), pod("y", &b)]);
        assert_eq!((aspect.matched, aspect.total), (1, 3), "{:?}", aspect.differences);
    }

    #[test]
    fn steps_of_a_count_may_differ_but_not_its_turns() {
        let state = |ready: u64| ("Deployment", "w", json!({"status": {"readyReplicas": ready}}));
        let compared = |left: &[u64], right: &[u64]| {
            let side = |counts: &[u64]| counts.iter().map(|count| state(*count)).collect::<Vec<_>>();
            compared(&side(left), &side(right)).differences.len()
        };
        assert_eq!(compared(&[0, 1, 4, 3, 4], &[0, 2, 3, 4, 3, 4]), 0);
        assert_eq!(compared(&[0, 1, 4, 3, 4], &[0, 4]), 1);
    }

    #[test]
    fn as_much_as_recorded_runs_vary_is_no_difference() {
        let state = |phase: &str| ("Pod", "w-RS1-P1", json!({ "phase": phase }));
        let (left, right) = (history(&[state("a"), state("c")]), history(&[state("a"), state("b"), state("c")]));
        let wording = Wording::default();
        let compared = |max| {
            let writes = BTreeMap::from([("Pod MODIFIED".to_owned(), Span { min: 1, max })]);
            compare(&writes, (&left, &wording), (&right, &wording))
        };
        assert_eq!((compared(1).differences.len(), compared(2).differences.len()), (1, 0));
        assert_eq!(compared(2).remarks.len(), 1);
    }

    #[test]
    fn conditions_may_change_one_after_the_other_but_each_in_order() {
        let state = |a: &str, b: &str| ("Deployment", "w", json!({"conditions": {"A": a, "B": b}}));
        let both = [state("no", "old"), state("yes", "new")];
        let aspect = compared(&both, &[state("no", "old"), state("yes", "old"), state("yes", "new")]);
        assert_eq!(aspect.differences.len(), 0, "{:?}", aspect.differences);
        let aspect = compared(&both, &[state("no", "old"), state("yes", "odd"), state("yes", "new")]);
        assert_eq!(aspect.differences.len(), 1, "{:?}", aspect.differences);
    }

    #[test]
    fn an_unrecorded_state_is_a_difference() {
        let state = |reason: &str| ("Deployment", "w", json!({"conditions": {"Progressing": reason}}));
        let aspect = compared(&[state("a"), state("c")], &[state("a"), state("b"), state("c")]);
        assert_eq!((aspect.matched, aspect.total), (4, 5));
        assert!(aspect.differences[0].contains("unrecorded"), "{:?}", aspect.differences);
    }
}
