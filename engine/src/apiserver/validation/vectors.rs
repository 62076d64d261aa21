//! Recorded answers of a real API server: what it said to mistakes as users make them.

use serde_json::{Map, Value, json};

use super::{create, invalid_status, update, warnings};
use crate::apiserver::admission::pod::{admit_pod, admit_pod_update};
use crate::apiserver::defaulting::{apply, prepare_for_create, prepare_for_update};
use crate::objects::decode::{Decoded, cannot_be_handled, decode, decode_as, strict_error};
use crate::objects::kind::Kind;

const CASES: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/conformance/answers/validation.jsonl"));

/// Cases whose answer other parts give: patching before decoding, quotas, the registry (addresses and ports of Services among them),
/// kubectl's own checks. A changed template of a Job is quoted in full, which is not modelled.
const ELSEWHERE: [&str; 16] = [
    "commands-04",
    "commands-07",
    "commands-08",
    "commands-10",
    "commands-13",
    "immutable-10",
    "immutable-12",
    "immutable-13",
    "immutable-28",
    "kind-08",
    "limitrange-04",
    "port-17",
    "service-02",
    "service-03",
    "service-12",
    "cli-34",
];

/// What stands for a uid.
const UID: &str = "<uid>";

/// What this server says.
#[derive(PartialEq, Debug)]
enum Answer {
    Fine,
    BadRequest(String),
    Forbidden(String),
    /// Message and causes, both without their order.
    Invalid(Vec<String>, Vec<String>),
}

/// The answer to a new object, unknown fields refused if `strict`.
fn answer_to_create(kind: Kind, strict: bool, value: &Value) -> Result<Decoded, Answer> {
    let refused = |why: &str| Answer::BadRequest(cannot_be_handled(kind.name(), kind.api_version(), why));
    let outcome = decode(kind, value).map_err(|error| refused(&error.0))?;
    if strict && !outcome.problems.is_empty() {
        return Err(refused(&strict_error(&outcome.problems)));
    }
    let mut object = outcome.object;
    if kind.namespaced() {
        object.metadata_mut().namespace.get_or_insert("default".to_owned());
    }
    if let Some(prefix) = object.metadata().generate_name.clone() {
        object.metadata_mut().name.get_or_insert(format!("{prefix}<rand>"));
    }
    apply(&mut object);
    if let Decoded::Pod(pod) = &mut object
        && let Err(why) = admit_pod(pod, "zzzzz")
    {
        let name = pod.metadata.name.as_deref().unwrap_or_default();
        return Err(Answer::Forbidden(format!("pods \"{name}\" is forbidden: {why}")));
    }
    object.metadata_mut().uid.get_or_insert("00000000-0000-4000-8000-000000000000".to_owned());
    prepare_for_create(&mut object);
    let errors = create(&object);
    if errors.is_empty() {
        return Ok(object);
    }
    let name = object.metadata().name.clone().unwrap_or_default();
    Err(invalid(&invalid_status(kind, &name, &errors)))
}

/// The answer to a change of `old` that merges in `patch`.
fn answer_to_update(old: &Decoded, value: &Value) -> Result<(), Answer> {
    let kind = old.kind();
    let mut new = decode(kind, value)
        .map_err(|error| Answer::BadRequest(cannot_be_handled(kind.name(), kind.api_version(), &error.0)))?
        .object;
    apply(&mut new);
    if let (Decoded::Pod(new), Decoded::Pod(old)) = (&mut new, old) {
        admit_pod_update(new, old);
    }
    prepare_for_update(&mut new, old);
    let errors = update(&new, old);
    if errors.is_empty() {
        return Ok(());
    }
    Err(invalid(&invalid_status(kind, new.metadata().name.as_deref().unwrap_or_default(), &errors)))
}

fn invalid(status: &Value) -> Answer {
    // The real server ends some errors with a difference of its internal structs, and walks maps in random order.
    let text = |value: &Value| {
        let text = value.as_str().unwrap_or_default();
        let text = text.split("\n@@").next().unwrap_or_default().trim_end();
        generated(text)
    };
    let message = text(&status["message"]);
    let mut parts: Vec<String> = message.split(", ").map(|part| part.replace(['[', ']'], "")).collect();
    parts.sort();
    let causes = status["details"]["causes"].as_array().cloned().unwrap_or_default();
    let mut causes: Vec<String> = causes
        .iter()
        .map(|cause| format!("{} {}: {}", cause["reason"], cause["field"], text(&cause["message"])))
        .collect();
    causes.sort();
    Answer::Invalid(parts, causes)
}

/// Texts without generated suffixes: the only one is that of `Batch_`.
fn generated(text: &str) -> String {
    let uid = |word: &str| word.len() == 36 && word.bytes().filter(|byte| *byte == b'-').count() == 4;
    let words = text.split('"').map(|word| if uid(word) { UID } else { word });
    let text = &words.collect::<Vec<_>>().join("\"");
    match text.find("Batch_") {
        Some(_) => text
            .split("Batch_")
            .enumerate()
            .map(|(index, part)| {
                let suffix = part.len().min(5);
                let random = part.is_char_boundary(suffix)
                    && suffix == 5
                    && part[..5].bytes().all(|byte| byte.is_ascii_alphanumeric());
                if index > 0 && random { part[5..].to_owned() } else { part.replace("<rand>", "") }
            })
            .collect::<Vec<_>>()
            .join("Batch_"),
        None => text.to_owned(),
    }
}

fn expected(case: &Value) -> Option<Answer> {
    let message = case["status"]["message"].as_str().unwrap_or_default().to_owned();
    match case["http_status"].as_u64()? {
        200 | 201 => Some(Answer::Fine),
        400 => Some(Answer::BadRequest(message)),
        403 => Some(Answer::Forbidden(message)),
        422 => Some(invalid(&case["status"])),
        _ => None,
    }
}

/// The documents of a manifest.
fn documents(text: &str) -> Vec<Value> {
    let mut documents: Vec<Value> = Vec::new();
    for part in format!("\n{text}").split("\n---") {
        if let Ok(value) = serde_saphyr::from_str::<Value>(part) {
            match value["items"].as_array() {
                Some(items) if value["kind"] == "List" => documents.extend(items.iter().cloned()),
                _ => documents.push(value),
            }
        }
    }
    documents
}

/// Lays `new` over `old` as a strategic merge patch made from a manifest does: lists of named things are merged by
/// name.
fn merged(old: &Value, new: &Value, last: &Value) -> Value {
    match (old, new) {
        (Value::Object(old), Value::Object(new)) => {
            let mut map = old.clone();
            for key in last.as_object().into_iter().flat_map(Map::keys).filter(|key| !new.contains_key(*key)) {
                map.remove(key);
            }
            for (key, value) in new {
                let value = merged(old.get(key).unwrap_or(&Value::Null), value, &last[key]);
                map.insert(key.clone(), value);
            }
            Value::Object(map)
        }
        (Value::Array(old), Value::Array(new)) if new.iter().all(|item| item["name"].is_string()) => {
            let by_name =
                |list: &[Value], item: &Value| list.iter().find(|other| other["name"] == item["name"]).cloned();
            let nothing = Vec::new();
            let last = last.as_array().unwrap_or(&nothing);
            let mut list: Vec<Value> = new
                .iter()
                .map(|item| match by_name(old, item) {
                    Some(found) => merged(&found, item, &by_name(last, item).unwrap_or(Value::Null)),
                    None => item.clone(),
                })
                .collect();
            let kept = old.iter().filter(|item| by_name(new, item).is_none() && by_name(last, item).is_none());
            list.extend(kept.cloned());
            Value::Array(list)
        }
        _ => new.clone(),
    }
}

/// What `kubectl create deployment NAME --image=IMAGE` sends.
fn deployment(command: &str) -> Option<Value> {
    let rest = command.strip_prefix("kubectl create deployment ")?;
    let (name, image) = rest.split_once(" --image=")?;
    let (labels, container) = (json!({"app": name}), json!({"name": image.split(':').next(), "image": image}));
    Some(json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "labels": labels},
        "spec": {"replicas": 1, "selector": {"matchLabels": labels},
                 "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}}}
    }))
}

/// The objects a case sends, made from its manifest or its command.
fn sent(case: &Value) -> Vec<Value> {
    let command = case["command"].as_str().unwrap_or_default();
    if let Some(rest) = command.strip_prefix("kubectl run ")
        && let Some((name, image)) = rest.split_once(" --image=")
    {
        let container = json!({"name": name, "image": image});
        return vec![json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"run": name}},
                           "spec": {"containers": [container]}})];
    }
    if let Some(name) = command.strip_prefix("kubectl create namespace ") {
        return vec![json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})];
    }
    documents(case["manifest"].as_str().unwrap_or_default())
}

/// The answer to the request that decides a case; none if what it needs is not modelled.
fn answer(case: &Value) -> Option<Answer> {
    let id = case["id"].as_str()?;
    if ELSEWHERE.contains(&id) || case["decided_by"] != "server" {
        return None;
    }
    let command = case["command"].as_str()?;
    let failed = |request: &&Value| request["http_status"].as_u64() >= Some(400) && request["method"] != "GET";
    let requests = case["requests"].as_array()?;
    let request =
        requests.iter().rfind(failed).or_else(|| requests.iter().rfind(|request| request["method"] != "GET"))?;
    let (path, options) = request["path"].as_str()?.split_once('?').unwrap_or_default();
    let strict = options.contains("fieldValidation=Strict");
    let method = request["method"].as_str()?;
    let setup: Vec<&str> = case["setup"].as_array()?.iter().filter_map(Value::as_str).collect();
    let segments: Vec<&str> = path.split('/').collect();
    if method == "POST" {
        let kind = Kind::from_plural(segments.last()?)?;
        if !setup.is_empty() {
            return None;
        }
        let name = &case["status"]["details"]["name"];
        let documents = sent(case);
        let is_kind = |document: &&Value| document["kind"] == kind.name();
        let document = documents.iter().filter(is_kind).find(|document| document["metadata"]["name"] == *name);
        let document = document.or_else(|| documents.iter().find(is_kind))?;
        return Some(match answer_to_create(kind, strict, document) {
            Ok(_) => Answer::Fine,
            Err(answer) => answer,
        });
    }
    let kind = Kind::from_plural(segments.get(segments.len().checked_sub(2)?)?)?;
    let first = match setup.first() {
        Some(command) => deployment(command)
            .or_else(|| {
                documents(case["files"]["setup.yaml"].as_str()?).into_iter().find(|value| value["kind"] == kind.name())
            })
            .or_else(|| {
                let name = command.strip_prefix("kubectl create namespace ")?;
                Some(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}))
            })?,
        None => return None,
    };
    let old = answer_to_create(kind, true, &first).expect("the setup");
    let before = old.to_json();
    let new = if let Some((_, patch)) = command.split_once(" -p '") {
        let patch: Value = serde_json::from_str(patch.strip_suffix('\'')?).ok()?;
        if command.contains("--type=merge") {
            let mut new = before.clone();
            merge(&mut new, &patch);
            new
        } else {
            merged(&before, &patch, &Value::Null)
        }
    } else if command.starts_with("kubectl set image") {
        let (container, image) = command.rsplit(' ').next()?.split_once('=')?;
        let patch = json!({"spec": {"template": {"spec": {"containers": [{"name": container, "image": image}]}}}});
        merged(&before, &patch, &Value::Null)
    } else if let Some((_, label)) =
        command.split_once("kubectl label namespace ").and_then(|(_, rest)| rest.split_once(' '))
    {
        let (key, value) = label.split_once('=')?;
        merged(&before, &json!({"metadata": {"labels": {key: value}}}), &Value::Null)
    } else {
        let manifest = sent(case).into_iter().find(|value| value["kind"] == kind.name())?;
        if method == "PUT" {
            let mut new = manifest;
            merge(&mut new, &json!({"metadata": before["metadata"].clone()}));
            new
        } else {
            merged(&before, &manifest, &first)
        }
    };
    Some(match answer_to_update(&old, &new) {
        Ok(()) => Answer::Fine,
        Err(answer) => answer,
    })
}

/// RFC 7396.
fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    for (key, value) in patch {
        merge(&mut target[key], value);
    }
}

#[test]
fn mistakes_are_answered_as_a_real_server_answers_them() {
    let (mut right, mut all, mut skipped) = (0, 0, Vec::new());
    for line in CASES.lines() {
        let case: Value = serde_json::from_str(line).expect("a case");
        let id = case["id"].as_str().unwrap_or_default().to_owned();
        // What access control and the registry say is not the subject here.
        let family = case["family"].as_str().unwrap_or_default();
        if ["auth", "exists", "namespace", "not-found", "quota", "limitrange", "conflict"].contains(&family) {
            continue;
        }
        let (Some(got), Some(expected)) = (answer(&case), expected(&case)) else {
            skipped.push(id);
            continue;
        };
        if family == "podsecurity" && case["http_status"] == 403 || case["http_status"] == 409 {
            continue;
        }
        all += 1;
        if got == expected {
            right += 1;
        } else {
            println!("{id}:\n  got      {got:?}\n  expected {expected:?}");
        }
    }
    println!("validation: {right} of {all}; not modelled: {}", skipped.join(" "));
    assert!(all >= 120, "{all}");
    assert_eq!(right, all);
}

#[test]
fn dubious_objects_come_with_the_warnings_of_a_real_server() {
    let mut all = 0;
    for line in CASES.lines() {
        let case: Value = serde_json::from_str(line).expect("a case");
        let created =
            case["http_status"] == 201 && ["apply", "create"].contains(&case["verb"].as_str().unwrap_or_default());
        let documents = documents(case["manifest"].as_str().unwrap_or_default());
        let [document] = documents.as_slice() else { continue };
        let Some(kind) = document["kind"].as_str().and_then(Kind::from_name) else { continue };
        if !created || !case["setup"].as_array().is_some_and(Vec::is_empty) {
            continue;
        }
        let object = answer_to_create(kind, false, document).expect("created");
        let all_of_it = super::deprecation(kind).into_iter().chain(warnings(&object));
        let quoted: Vec<String> = all_of_it.map(|text| format!("299 - {}", super::print::quote(&text))).collect();
        assert_eq!(case["warnings"], json!(quoted), "{}", case["id"]);
        all += 1;
    }
    println!("warnings: {all} of {all}");
    assert!(all >= 8, "{all}");
}

#[test]
fn other_kinds_are_refused_in_the_same_words_while_decoding() {
    use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
    use k8s_openapi::api::batch::v1::{CronJob, Job};
    use k8s_openapi::api::core::v1::{PersistentVolumeClaim, ResourceQuota, Secret, Service};

    fn problem<T: serde::de::DeserializeOwned>(value: &Value) -> String {
        match decode_as::<T>(value) {
            Ok(outcome) => strict_error(&outcome.problems),
            Err(error) => error.0,
        }
    }
    let (mut right, mut all) = (0, 0);
    for line in CASES.lines() {
        let case: Value = serde_json::from_str(line).expect("a case");
        if case["http_status"] != 400 || case["decided_by"] != "server" {
            continue;
        }
        for value in documents(case["manifest"].as_str().unwrap_or_default()) {
            let kind = value["kind"].as_str().unwrap_or_default();
            let problem = match kind {
                "Service" => problem::<Service>(&value),
                "Job" => problem::<Job>(&value),
                "CronJob" => problem::<CronJob>(&value),
                "HorizontalPodAutoscaler" => problem::<HorizontalPodAutoscaler>(&value),
                "PersistentVolumeClaim" => problem::<PersistentVolumeClaim>(&value),
                "ResourceQuota" => problem::<ResourceQuota>(&value),
                "Secret" => problem::<Secret>(&value),
                _ => continue,
            };
            all += 1;
            let got = cannot_be_handled(kind, value["apiVersion"].as_str().unwrap_or_default(), &problem);
            if case["status"]["message"] == got {
                right += 1;
            } else {
                println!("{}:\n  got      {got}\n  expected {}", case["id"], case["status"]["message"]);
            }
        }
    }
    println!("decoding of other kinds: {right} of {all}");
    assert!(all >= 8);
    assert_eq!(right, all);
}
