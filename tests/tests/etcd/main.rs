//! etcd against recorded answers of etcd 3.6.13: keys, transactions, watches, compaction, leases, the request limit.
//!
//! The recorded steps are shell lines around etcdctl. A very small shell (`shell`) and etcdctl (`etcdctl`) play them
//! against one member in virtual time. What etcdctl itself refuses or does (usage, parsing, running a command per
//! event) is not etcd's and is left out. `model` tests the store against a reference.

mod etcdctl;
mod model;
mod shell;

use std::cmp::Ordering;
use std::sync::Arc;

use serde_json::{Value as Json, json};
use shell::Host;
use wavetank_engine::etcd::Value;

/// The cases whose subject is modelled.
const SUPPORTED: [&str; 9] = [
    "put-get-basic",
    "get-rev-filter",
    "del",
    "too-large",
    "txn",
    "watch",
    "watch-compacted",
    "lease",
    "lease-many-keys",
];

#[test]
fn one_member_answers_as_recorded() {
    let recorded = include_str!("../../conformance/answers/etcd.jsonl");
    let (mut cases, mut steps, mut left_out, mut wrong) = (0, 0, 0, Vec::new());
    for line in recorded.lines() {
        let case: Json = serde_json::from_str(line).expect("one JSON object per line");
        if !SUPPORTED.iter().any(|id| case["id"] == *id) {
            continue;
        }
        cases += 1;
        let mut host = Host::new();
        for step in case["steps"].as_array().expect("steps") {
            let command = step["command"].as_str().expect("a command");
            if is_etcdctl_s_own(command, step) {
                left_out += 1;
                continue;
            }
            steps += 1;
            let outcome = host.shell(command);
            host.capture(step, &outcome.stdout);
            let expected = expected(step);
            let got = (normalised(&outcome.stdout, &host), outcome.error, outcome.code);
            if got != expected {
                wrong.push(format!("{} $ {command}\n  expected {expected:?}\n  got      {got:?}", case["id"]));
            }
        }
    }
    println!(
        "etcd.jsonl: {cases} cases, {} of {steps} steps, {left_out} of etcdctl's own left out",
        steps - wrong.len()
    );
    assert!(wrong.is_empty(), "{} of {steps} steps differ:\n{}", wrong.len(), wrong.join("\n"));
    assert_eq!((cases, steps > 80), (SUPPORTED.len(), true));
}

/// Failures that never reach a server, and the one feature that runs a program per event.
fn is_etcdctl_s_own(command: &str, step: &Json) -> bool {
    let failed = step["exit_code"] != 0 && step["exit_code"] != 124;
    let stderr = step["normalised"]["stderr"].as_str().unwrap_or_default();
    (failed && !stderr.contains("etcdserver: ")) || command.contains(" -- sh ")
}

fn expected(step: &Json) -> (Shown, Option<String>, i64) {
    let stderr = step["normalised"]["stderr"].as_str().unwrap_or_default();
    let error = stderr.find("etcdserver: ").map(|at| stderr[at..].lines().next().unwrap_or_default());
    let error = error.map(|text| text.trim_end_matches(')').to_string());
    let raw = step["stdout"].as_str().unwrap_or_default();
    let shown = match serde_json::from_str::<Json>(raw) {
        Ok(json) if json.is_object() => Shown::Json(without_ids(json)),
        _ => Shown::Text(step["normalised"]["stdout"].as_str().unwrap_or_default().to_string()),
    };
    let code = match step["exit_code"].as_i64().unwrap_or(0) {
        0 => 0,
        124 => 124,
        _ => 1,
    };
    (shown, error, code)
}

/// Output, compared as text or as JSON.
#[derive(Debug, PartialEq)]
enum Shown {
    Text(String),
    Json(Json),
}

fn normalised(stdout: &str, host: &Host) -> Shown {
    match serde_json::from_str::<Json>(stdout) {
        Ok(json) if json.is_object() => Shown::Json(without_ids(json)),
        _ => {
            let ids = host.leases.iter().map(|id| format!("{:x}", id.0));
            Shown::Text(ids.fold(stdout.to_string(), |text, id| text.replace(&id, "<lease>")))
        }
    }
}

/// Without the names of clusters, members and leases.
fn without_ids(mut json: Json) -> Json {
    match &mut json {
        Json::Object(fields) => {
            fields.retain(|name, _| !["cluster_id", "member_id"].contains(&name.as_str()));
            for (name, value) in fields.iter_mut() {
                let id = name == "lease" || name == "id";
                *value = if id { json!("<lease>") } else { without_ids(value.take()) };
            }
        }
        Json::Array(items) => items.iter_mut().for_each(|item| *item = without_ids(item.take())),
        _ => {}
    }
    json
}

#[derive(Clone, Debug, PartialEq)]
struct Text(Arc<str>);

impl Value for Text {
    fn size(&self) -> usize {
        self.0.len()
    }
    fn order(&self, other: &Self) -> Ordering {
        self.0.cmp(&other.0)
    }
}
