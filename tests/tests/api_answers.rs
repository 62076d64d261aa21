//! Answers of a real API server, given again by the simulated one: mistakes as kubectl's user makes them, objects as they
//! are first stored, and sequences of requests that conflict, patch, select and delete.
//!
//! Only what is about the simulated kinds is compared; the rest is counted.
//! `cargo test --test all api_answers -- --nocapture` prints how many hold.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::{Value, json};
use wavetank::session::{Exit, Overrides, Session};
use wavetank_tests::http::{Client, Http};
use wavetank_tests::kubectl_answers::words;

const VALIDATION: &str = include_str!("../conformance/answers/validation.jsonl");
const DEFAULTING: &str = include_str!("../conformance/answers/defaulting.jsonl");
const CONFLICTS: &str = include_str!("../conformance/answers/conflicts.jsonl");
const SECOND: u64 = 1_000_000_000;

/// Families of mistakes that parts answer which are not simulated.
const FAMILIES_LEFT_OUT: [&str; 2] = ["podsecurity", "yaml"];
/// A Job's template that may not change is printed as the server's own structures, fields of no version of the API among them. Rights that
/// somebody grants who lacks them, the server's own role `admin`, and what nodes may do are not simulated.
const LEFT_OUT: [&str; 5] = ["immutable-10", "auth-26", "auth-28", "auth-29", "auth-31"];
/// Sequences about nodes that have no kubelet, phases nobody knows, labels that come with a binding, and readiness probes.
const SEQUENCES_LEFT_OUT: [&str; 5] =
    ["patch-smp-node-taints", "status-node", "status-pod", "bind-pod", "evict2-unready-pod"];
/// What the recorded kubelets say of themselves and their runtime.
const OF_THE_RUNTIME: [&str; 4] = [".containerID", ".imageID", ".hostIP", ".ip"];

fn cases(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).expect("a case is JSON")).collect()
}

fn cluster(folder: PathBuf) -> Session {
    let images = json!(["nginx:1.27"]);
    let spec = json!({"nodes": [
        {"name": "worker-1", "images": images, "labels": {"disktype": "ssd", "topology.kubernetes.io/zone": "zone-a"}},
        {"name": "worker-2", "images": images, "labels": {"disktype": "hdd", "topology.kubernetes.io/zone": "zone-b"}},
        {"name": "worker-3", "images": images, "labels": {"topology.kubernetes.io/zone": "zone-b"}},
    ]});
    Session::create(&spec, &Overrides { folder, ..Overrides::default() }).expect("a cluster")
}

fn report(what: &str, held: usize, left_out: usize, wrong: &[String]) {
    println!("answers/{what} matched {held} of {}; {left_out} are about what is not simulated", held + wrong.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn mistakes_are_answered_as_the_real_cluster_answers_them() {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("api-answers-{}", std::process::id()));
    let (mut held, mut left_out, mut wrong) = (0, 0, Vec::new());
    let fresh = cluster(folder.clone());
    for case in cases(VALIDATION) {
        let id = case["id"].as_str().unwrap_or_default();
        if FAMILIES_LEFT_OUT.contains(&case["family"].as_str().unwrap_or_default()) || LEFT_OUT.contains(&id) {
            left_out += 1;
            continue;
        }
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).expect("a folder");
        if let Some(text) = case["manifest"].as_str() {
            std::fs::write(folder.join("manifest.yaml"), text).expect("the manifest");
        }
        for (name, text) in case["files"].as_object().into_iter().flatten() {
            std::fs::write(folder.join(name), text.as_str().unwrap_or_default()).expect("a file of the case");
        }
        let mut session = fresh.clone();
        let lines = case["setup"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let mut outcomes = lines.map(|line| step(&mut session, line));
        let set = outcomes.all(|outcome| outcome.is_some_and(|exit| exit.code == 0));
        let command = case["command"].as_str().unwrap_or_default();
        let Some(exit) = Some(command).filter(|_| set).and_then(|command| step(&mut session, command)) else {
            left_out += 1;
            continue;
        };
        let said = format!("{}{}", exit.stdout, exit.stderr);
        let unknown =
            |text: &str| ["unknown command", "unknown flag", "unknown shorthand"].iter().any(|w| text.contains(w));
        let honest = said.contains("not simulated") || said.contains("does not simulate") || unknown(&said);
        if honest && !unknown(case["stderr"].as_str().unwrap_or_default()) {
            left_out += 1;
            continue;
        }
        let recorded = |stream: &str| case[stream].as_str().unwrap_or_default().to_owned();
        let want = (case["exit_code"].as_i64(), lines_of(&recorded("stdout")), lines_of(&recorded("stderr")));
        let got = (Some(i64::from(exit.code)), lines_of(&exit.stdout), lines_of(&exit.stderr));
        if want == got {
            held += 1;
        } else {
            wrong.push(format!(
                "{id}: {command}\n--- recorded\n{}{}--- simulated\n{said}",
                recorded("stdout"),
                recorded("stderr")
            ));
        }
    }
    let _ = std::fs::remove_dir_all(&folder);
    report("validation", held, left_out, &wrong);
}

/// Runs a line of a recording; `None` if it is no command of kubectl.
fn step(session: &mut Session, line: &str) -> Option<Exit> {
    if line.contains(['|', '>', ';', '$']) || line.contains("&&") {
        return None;
    }
    let argv = words(line);
    match argv.first()?.as_str() {
        "sleep" => {
            let seconds: f64 = argv.get(1)?.parse().ok()?;
            session.run_until(session.now() + (seconds * 1e9) as u64);
            Some(Exit::default())
        }
        "kubectl" => {
            let process = session.start_kubectl(argv.get(1..)?.to_vec(), None);
            let give_up = session.now() + 120 * SECOND;
            loop {
                if let Some(exit) = session.poll(process) {
                    // Whatever controllers have to do about it.
                    session.run_until(session.now() + SECOND);
                    return Some(exit);
                }
                if session.now() > give_up || !session.step() {
                    session.kill(process);
                }
            }
        }
        _ => None,
    }
}

/// Lines without what is free to differ; those of a list in any order.
fn lines_of(text: &str) -> Vec<String> {
    let text = text.split("\n@@").next().unwrap_or_default();
    let text = text.trim_end();
    let mut lines: Vec<String> = text.lines().map(|line| random_ends(&plain(line.trim_end()))).collect();
    if lines.iter().any(|line| line.starts_with("* ")) {
        lines.sort();
    }
    lines
}

/// The line without uids, versions and what a log library puts before its own.
fn plain(line: &str) -> String {
    let line = if line.starts_with("W1") { line.split_once("] ").map_or(line, |(_, text)| text) } else { line };
    let line = match line.split_once("Expected resource version to be ") {
        Some((before, _)) => before,
        None => line,
    };
    let uid = |word: &str| word.len() == 36 && word.bytes().filter(|byte| *byte == b'-').count() == 4;
    let words = |part: &str, by: &str| {
        part.split(by).map(|word| if uid(word) { "<uid>" } else { word }).collect::<Vec<_>>().join(by)
    };
    words(&words(line, " "), "\"")
}

/// The text with the random ends of names, which are five letters of those the server draws from, cut off.
fn random_ends(text: &str) -> String {
    let mut out = String::new();
    for part in text.split_inclusive(|c: char| !c.is_ascii_alphanumeric()) {
        let word = part.trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
        let random = word.len() == 5 && word.chars().all(|c| "bcdfghjklmnpqrstvwxz2456789".contains(c));
        if random {
            out.push_str("<rand>");
            out.push_str(&part[word.len()..]);
        } else {
            out.push_str(part);
        }
    }
    out
}

#[test]
fn objects_are_first_stored_as_the_real_server_stores_them() {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("api-stored-{}", std::process::id()));
    let _ = std::fs::create_dir_all(&folder);
    let fresh = cluster(folder.clone());
    let (mut held, mut left_out, mut wrong) = (0, 0, Vec::new());
    for case in cases(DEFAULTING) {
        // The recorder sent the manifests as JSON: a lone y, which is true for kubectl, was a text for it.
        let manifest = case["manifest"].as_str().unwrap_or_default().replace("name: y\n", "name: \"y\"\n");
        std::fs::write(folder.join("m.yaml"), manifest).expect("a file");
        let exit = step(&mut fresh.clone(), "kubectl create -f m.yaml --dry-run=server -o json").expect("kubectl");
        if exit.stderr.contains("does not simulate") || exit.stderr.contains("no matches for kind") {
            left_out += 1;
            continue;
        }
        let stored: Value = serde_json::from_str(&exit.stdout).unwrap_or_default();
        let warnings: Vec<&str> = exit.stderr.lines().collect();
        let want = comparable(&case["stored"]);
        let warning = case["warning"].as_str().map(|text| format!("Warning: {}", unquoted(text)));
        let got = comparable(&stored);
        if differences("", &want, &got).is_empty() && warnings == warning.as_deref().into_iter().collect::<Vec<_>>() {
            held += 1;
        } else {
            let path = &case["path"];
            wrong.push(format!("{} {path} {warnings:?}\n{}", case["id"], differences("", &want, &got).join("\n")));
        }
    }
    let _ = std::fs::remove_dir_all(&folder);
    report("defaulting", held, left_out, &wrong);
}

/// `299 - "text"`
fn unquoted(header: &str) -> String {
    let text = header.split_once(" - ").map_or(header, |(_, text)| text);
    serde_json::from_str(text).unwrap_or_else(|_| text.to_owned())
}

/// The object without what differs from run to run.
fn comparable(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let dropped = ["uid", "creationTimestamp", "managedFields", "resourceVersion", "lastTransitionTime"];
            let kept = map.iter().filter(|(key, _)| !dropped.contains(&key.as_str()));
            Value::Object(kept.map(|(key, value)| (key.clone(), comparable(value))).collect())
        }
        Value::Array(items) => items.iter().map(comparable).collect(),
        Value::String(text) => match text.rsplit_once('-') {
            Some((name, "<rand>")) => format!("{name}-<rand>").into(),
            _ => random_ends(text).into(),
        },
        other => other.clone(),
    }
}

/// Whether a text is a recorded one with something in the place of its placeholders.
fn alike(recorded: &str, text: &str) -> bool {
    let recorded = recorded.replace("<hash>", "<rand>");
    let mut parts = recorded.split("<rand>");
    let Some(mut rest) = parts.next().and_then(|first| text.strip_prefix(first)) else { return false };
    let mut last = None;
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
        last = Some(part);
    }
    match last {
        None => rest.is_empty(),
        Some("") => rest.len() <= 10,
        Some(_) => rest.is_empty(),
    }
}

/// Placeholders of values that differ from run to run.
const DRAWN: [&str; 4] = ["<uid>", "<cluster-ip>", "<node-port>", "<time>"];

/// What differs, path by path.
fn differences(path: &str, want: &Value, got: &Value) -> Vec<String> {
    match (want, got) {
        (Value::Object(want), Value::Object(got)) => {
            let mut keys: Vec<&String> = want.keys().chain(got.keys()).collect();
            keys.sort();
            keys.dedup();
            let of = |map: &serde_json::Map<String, Value>, key: &str| map.get(key).cloned().unwrap_or_default();
            keys.into_iter()
                .flat_map(|key| differences(&format!("{path}.{key}"), &of(want, key), &of(got, key)))
                .collect()
        }
        (Value::Array(want), Value::Array(got)) if want.len() == got.len() => want
            .iter()
            .zip(got)
            .enumerate()
            .flat_map(|(n, (want, got))| differences(&format!("{path}[{n}]"), want, got))
            .collect(),
        _ if want == got => Vec::new(),
        _ if path.starts_with(".status.") && OF_THE_RUNTIME.iter().any(|end| path.ends_with(end)) => Vec::new(),
        (Value::String(text), got) if DRAWN.contains(&text.as_str()) && !got.is_null() => Vec::new(),
        (Value::String(want), Value::String(got)) if alike(want, got) => Vec::new(),
        _ => vec![format!("  {path}: recorded {want}, simulated {got}")],
    }
}

#[test]
fn sequences_of_requests_are_answered_as_the_real_server_answers_them() {
    let mut fresh = Client::new(cluster(PathBuf::new()).world().clone());
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "conf"}});
    let http = Http { method: "POST", path: "/api/v1/namespaces", body: Some(namespace), ..Http::default() };
    assert_eq!(fresh.send(&http).map(|response| response.code), Ok(201));
    fresh.pass(2 * SECOND);
    let (mut held, mut left_out, mut wrong) = (0, 0, Vec::new());
    for case in cases(CONFLICTS) {
        if SEQUENCES_LEFT_OUT.contains(&case["id"].as_str().unwrap_or_default()) {
            left_out += 1;
            continue;
        }
        match sequence(fresh.clone(), &case) {
            Ok(()) => held += 1,
            Err(Trouble::LeftOut(_)) => left_out += 1,
            Err(Trouble::Differs(why)) => wrong.push(format!("{}: {why}", case["id"])),
        }
    }
    report("conflicts", held, left_out, &wrong);
}

enum Trouble {
    #[expect(dead_code, reason = "to print when asked what is left out")]
    LeftOut(String),
    Differs(String),
}

/// Recorded placeholders and what stands for them here.
type Names = BTreeMap<String, String>;

fn sequence(mut client: Client, case: &Value) -> Result<(), Trouble> {
    let (mut captured, mut names) = (Names::new(), Names::new());
    for (n, step) in case["steps"].as_array().into_iter().flatten().enumerate() {
        if let Some(seconds) = step["wait_seconds"].as_f64() {
            client.pass((seconds * 1e9) as u64);
            continue;
        }
        for key in ["etcdctl", "events", "auth", "headers"] {
            if step.get(key).is_some() {
                return Err(Trouble::LeftOut(key.to_owned()));
            }
        }
        let path = filled(step["path"].as_str().unwrap_or_default(), &captured);
        let body = step.get("body").filter(|body| !body.is_null());
        if body.is_some_and(Value::is_string) {
            return Err(Trouble::LeftOut("bodies that are no JSON".to_owned()));
        }
        let body =
            body.map(|body| serde_json::from_str(&filled(&body.to_string(), &captured)).expect("JSON stays JSON"));
        let (method, content_type) = (step["method"].as_str().unwrap_or_default(), &step["content_type"]);
        let http = Http { method, path: &path, content_type: content_type.as_str().unwrap_or_default(), body };
        let response = client.send(&http).map_err(Trouble::LeftOut)?;
        for (name, pointer) in step["captures"].as_object().into_iter().flatten() {
            let pointer = format!("/{}", pointer.as_str().unwrap_or_default().replace('.', "/"));
            let value = response.body.pointer(&pointer).and_then(Value::as_str).unwrap_or_default();
            captured.insert(name.clone(), value.to_owned());
        }
        let differs = |what: String| Trouble::Differs(format!("step {n} {method} {path}\n{what}"));
        if response.code == 501 {
            return Err(Trouble::LeftOut(response.body["message"].to_string()));
        }
        if step["status"].as_u64() != Some(response.code.into()) {
            let recorded = step["response"]["message"].as_str().unwrap_or_default();
            return Err(differs(format!(
                "  recorded {} {recorded}\n  simulated {} {}",
                step["status"], response.code, response.body
            )));
        }
        // A deletion's answer is a Status upstream and the last state here, a binding's the pod; lists may be cut in the
        // recording.
        if method == "DELETE" || path.ends_with("/binding") || step["response"].get("item_names").is_some() {
            continue;
        }
        let want = &step["response"];
        learn(want, &response.body, &mut names);
        let want: Value = serde_json::from_str(&filled(&want.to_string(), &names)).expect("JSON stays JSON");
        // Objects in lists have no kind of their own upstream.
        let mut body = response.body.clone();
        for item in body["items"].as_array_mut().into_iter().flatten().filter_map(Value::as_object_mut) {
            item.retain(|key, _| key != "kind" && key != "apiVersion");
        }
        let (want, got) = (without_times(&want), without_times(&body));
        let different = differences("", &want, &got);
        if !different.is_empty() {
            return Err(differs(different.join("\n")));
        }
        let warned = step["warning"].as_str().map(unquoted);
        if warned != response.warnings.first().cloned() {
            return Err(differs(format!("  recorded warning {warned:?}, simulated {:?}", response.warnings)));
        }
    }
    Ok(())
}

fn filled(text: &str, values: &Names) -> String {
    // Longer names first: `$RV2` is not `$RV` and a 2.
    let mut sorted: Vec<(&String, &String)> = values.iter().collect();
    sorted.sort_by_key(|(name, _)| std::cmp::Reverse(name.len()));
    sorted.into_iter().fold(text.to_owned(), |text, (name, value)| text.replace(name.as_str(), value))
}

/// Notes what the placeholders of a recorded answer stand for, where they stand for a whole value.
fn learn(want: &Value, got: &Value, names: &mut Names) {
    match (want, got) {
        (Value::Object(want), Value::Object(got)) => {
            want.iter().for_each(|(key, want)| learn(want, got.get(key).unwrap_or(&Value::Null), names));
        }
        (Value::Array(want), Value::Array(got)) => want.iter().zip(got).for_each(|(want, got)| learn(want, got, names)),
        (Value::String(want), Value::String(got)) if want.starts_with('<') && want.ends_with('>') => {
            names.entry(want.clone()).or_insert_with(|| got.clone());
        }
        _ => {}
    }
}

/// The causes of a refusal are a set: their order and number are those of Go's maps and of checks done twice.
fn set_of_causes(key: &str, value: &Value) -> Value {
    match value {
        Value::Array(causes) if key == "causes" => {
            let mut causes = causes.clone();
            causes.sort_by_key(Value::to_string);
            causes.dedup();
            Value::Array(causes)
        }
        other => other.clone(),
    }
}

fn without_times(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let times =
                ["creationTimestamp", "lastTransitionTime", "lastUpdateTime", "deletionTimestamp", "managedFields"];
            // How far controllers have come is a matter of time.
            let controlled = map.get("kind").is_some_and(|kind| kind == "Deployment" || kind == "ReplicaSet");
            let kept = map.iter().filter(|(key, value)| {
                !(times.contains(&key.as_str()) || value.is_null() || controlled && *key == "status")
            });
            Value::Object(kept.map(|(key, value)| (key.clone(), without_times(&set_of_causes(key, value)))).collect())
        }
        Value::Array(items) => items.iter().map(without_times).collect(),
        // A refused patch is quoted as JSON, whose members have another order here.
        Value::String(text) if text.contains("Invalid value: \"{") && text.contains("}\": ") => {
            text.rsplit_once("}\": ").map_or("", |(_, why)| why).into()
        }
        Value::String(text) if text.contains("<hash>") => text.clone().into(),
        Value::String(text) => random_ends(text).into(),
        other => other.clone(),
    }
}
