//! Reading a recorded scenario: `conformance/scenarios/FORMAT.md`.
//!
//! A key that is missing counts as empty: a file may leave out what did not occur.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

/// A recorded scenario.
#[derive(Clone, Debug, Default)]
pub struct Scenario {
    /// Its id.
    pub id: String,
    /// What it shows.
    pub title: String,
    /// Its namespaces; the first one is meant where an entry has none.
    pub namespaces: Vec<String>,
    /// Up to when everything is recorded. [s]
    pub duration: f64,
    /// Nodes and kubelets.
    pub config: Value,
    /// What was typed.
    pub steps: Vec<Step>,
    /// What was looked at by another user.
    pub snapshots: Vec<Step>,
    /// "component verb resource code" → how often, over all runs.
    pub api: BTreeMap<String, Span>,
    /// "source type reason kind" → how many Event objects, over all runs.
    pub event_objects: BTreeMap<String, Span>,
    /// "source type reason kind" → the sum of their counts, over all runs.
    pub event_occurrences: BTreeMap<String, Span>,
    /// "Kind TYPE" → how many writes, over all runs.
    pub writes: BTreeMap<String, Span>,
    /// The history of objects in one run.
    pub history: Vec<Write>,
    /// The last state of the Event objects in one run.
    pub events: Vec<Said>,
    /// etcd's keys in the namespaces at the end of one run.
    pub keys: Vec<String>,
    /// "Kind name what" → when in each run; `None` where it did not occur. [s]
    pub milestones: BTreeMap<String, Vec<Option<f64>>>,
    /// Stable name → real name.
    pub placeholders: BTreeMap<String, String>,
}

/// A command, with what it printed.
#[derive(Clone, Debug, Default)]
pub struct Step {
    /// When it was to start. [s]
    pub planned: f64,
    /// The line for the shell.
    pub command: String,
    /// Its standard input.
    pub stdin: Option<String>,
    /// Whether the next step waits for its end.
    pub background: bool,
    /// Its exit code; `None` where it is not recorded.
    pub exit_code: Option<i64>,
    /// What it printed.
    pub stdout: String,
    /// What it complained.
    pub stderr: String,
}

/// The smallest and the greatest number of all runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// Smallest.
    pub min: u64,
    /// Greatest.
    pub max: u64,
}

/// One write to etcd.
#[derive(Clone, Debug)]
pub struct Write {
    /// When it was seen. [s]
    pub at: f64,
    /// What it did to the object.
    pub change: Change,
    /// Kind.
    pub kind: String,
    /// Name.
    pub name: String,
    /// Namespace; empty for none.
    pub namespace: String,
    /// The fields that matter.
    pub summary: Value,
}

/// What a write did to its object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Change {
    Added,
    Modified,
    Deleted,
}

/// The last state of an Event object.
#[derive(Clone, Debug, Default)]
pub struct Said {
    /// When it was first seen. [s]
    pub at: f64,
    /// Normal or Warning.
    pub kind: String,
    /// Reason.
    pub reason: String,
    /// Kind of the object it is about.
    pub about: String,
    /// Name of the object it is about.
    pub name: String,
    /// Message.
    pub message: String,
    /// Who said it.
    pub source: String,
    /// How often.
    pub count: u64,
}

impl Span {
    fn of(value: &Value) -> Self {
        let number = |value: &Value| value.as_u64().unwrap_or_default();
        match value {
            Value::Object(_) => Span { min: number(&value["min"]), max: number(&value["max"]) },
            _ => Span { min: number(value), max: number(value) },
        }
    }

    /// How far the runs lie apart.
    pub fn spread(self) -> u64 {
        self.max.saturating_sub(self.min)
    }

    /// Whether `count` lies within, give or take `slack`.
    pub fn holds(self, count: u64, slack: u64) -> bool {
        count + slack >= self.min && count <= self.max + slack
    }
}

impl std::fmt::Display for Span {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.min == self.max { write!(f, "{}", self.min) } else { write!(f, "{} to {}", self.min, self.max) }
    }
}

/// Reads a file; `Ok(None)` if it holds something else than a scenario.
#[expect(clippy::disallowed_methods, reason = "a recorded scenario is a file")]
pub fn read(path: &Path) -> Result<Option<Scenario>, String> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let value: Value = serde_json::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))?;
    let is_scenario = value["id"].is_string() && value["steps"].is_array();
    Ok(is_scenario.then(|| scenario(&value)))
}

fn scenario(file: &Value) -> Scenario {
    let namespaces: Vec<String> = list(&file["namespaces"]).filter_map(Value::as_str).map(str::to_owned).collect();
    let first = namespaces.first().cloned().unwrap_or_default();
    Scenario {
        id: text(&file["id"]),
        title: text(&file["title"]),
        duration: duration(file),
        config: file["config"].clone(),
        steps: list(&file["steps"]).map(step).collect(),
        snapshots: list(&file["kubectl"]).map(step).collect(),
        api: spans(&file["summary"]["api"]),
        event_objects: spans(&file["summary"]["event_objects"]),
        event_occurrences: spans(&file["summary"]["event_occurrences"]),
        writes: spans(&file["summary"]["watch"]),
        history: list(&file["watch"]).filter_map(|entry| write(entry, &first)).collect(),
        events: list(&file["events"]).map(said).collect(),
        keys: list(&file["etcd_keys"]).filter_map(Value::as_str).map(str::to_owned).collect(),
        milestones: entries(&file["milestones"])
            .map(|(what, times)| (what.clone(), list(times).map(Value::as_f64).collect()))
            .collect(),
        placeholders: entries(&file["placeholders"]).map(|(stable, real)| (stable.clone(), text(real))).collect(),
        namespaces,
    }
}

/// How long the run was whose details are in the file; without it, until the last thing that is.
fn duration(file: &Value) -> f64 {
    let run = list(&file["runs"]).find(|run| run["run"] == file["detail_of_run"]);
    let run = run.or_else(|| list(&file["runs"]).next());
    run.and_then(|run| run["duration_s"].as_f64()).unwrap_or_else(|| {
        let ends = list(&file["steps"]).chain(list(&file["kubectl"])).filter_map(|step| step["at_s"].as_f64());
        ends.chain(list(&file["watch"]).filter_map(|entry| entry["t"].as_f64())).fold(0.0, f64::max) + 1.0
    })
}

fn step(entry: &Value) -> Step {
    Step {
        planned: entry["planned_s"].as_f64().or_else(|| entry["at_s"].as_f64()).unwrap_or_default(),
        command: text(&entry["command"]),
        stdin: entry["stdin"].as_str().map(str::to_owned),
        background: entry["background"].as_bool().unwrap_or_default(),
        exit_code: entry["exit_code"].as_i64(),
        stdout: text(&entry["stdout"]),
        stderr: text(&entry["stderr"]),
    }
}

fn write(entry: &Value, first: &str) -> Option<Write> {
    let change = match entry["type"].as_str()? {
        "ADDED" => Change::Added,
        "MODIFIED" => Change::Modified,
        "DELETED" => Change::Deleted,
        _ => return None,
    };
    Some(Write {
        at: entry["t"].as_f64().unwrap_or_default(),
        change,
        kind: text(&entry["kind"]),
        name: text(&entry["name"]),
        namespace: entry["ns"].as_str().unwrap_or(first).to_owned(),
        summary: entry["summary"].clone(),
    })
}

fn said(entry: &Value) -> Said {
    Said {
        at: entry["t"].as_f64().unwrap_or_default(),
        kind: text(&entry["type"]),
        reason: text(&entry["reason"]),
        about: text(&entry["kind"]),
        name: text(&entry["name"]),
        message: text(&entry["message"]),
        source: text(&entry["source"]),
        count: entry["count"].as_u64().unwrap_or(1),
    }
}

fn spans(value: &Value) -> BTreeMap<String, Span> {
    entries(value).map(|(key, count)| (key.clone(), Span::of(count))).collect()
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn entries(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_number_is_a_span_and_slack_widens_it() {
        assert_eq!(Span::of(&json!(3)), Span { min: 3, max: 3 });
        let span = Span::of(&json!({"min": 2, "max": 4}));
        assert_eq!(span.to_string(), "2 to 4");
        assert!(span.holds(4, 0) && !span.holds(5, 0) && span.holds(5, 1) && span.holds(1, 1) && !span.holds(0, 1));
    }

    #[test]
    fn a_file_may_leave_out_what_did_not_occur() {
        let read = scenario(&json!({"id": "X", "namespaces": ["a"], "steps": [{"at_s": 1.5, "command": "true"}]}));
        assert_eq!((read.duration, read.steps[0].planned, read.steps[0].background), (2.5, 1.5, false));
        assert!(read.api.is_empty() && read.keys.is_empty());
    }
}
