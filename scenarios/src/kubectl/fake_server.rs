//! A little API server for tests: a map of objects that answers at once.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::json::{list, text};
use super::{Answer, ApiCall, ApiVerb, Call, Files, PatchType, Process, Progress, Run, run};

/// Files by name.
pub(super) struct TestFiles(pub BTreeMap<String, String>);

impl Files for TestFiles {
    fn read(&self, path: &str) -> Result<String, String> {
        self.0.get(path).cloned().ok_or_else(|| "no such file or directory".to_string())
    }
}

/// The objects, by `plural/namespace/name`.
#[derive(Default)]
pub(super) struct FakeServer {
    pub objects: BTreeMap<String, Value>,
    /// The calls made, as `verb plural[/subresource]`.
    pub calls: Vec<String>,
    /// Events after the initial ones of a watch; when none is left the watch ends by time-out.
    pub events: Vec<(String, Value)>,
    /// How many evictions are still to be refused.
    pub refusals: usize,
    /// Events of the present objects still to be sent.
    initial: Vec<(String, Value)>,
    /// [ns since the Unix epoch]
    pub now: i64,
    version: u64,
}

/// What a command printed.
#[derive(Debug, PartialEq)]
pub(super) struct Printed {
    pub stdout: String,
    pub stderr: String,
    pub exit_code: i32,
}

impl FakeServer {
    pub fn kubectl(&mut self, line: &str) -> Printed {
        self.kubectl_with(line, None)
    }

    pub fn kubectl_with(&mut self, line: &str, stdin: Option<&str>) -> Printed {
        let argv = line.split(' ').map(str::to_string).collect();
        let mut process = Process::new(argv, stdin.map(str::to_string), self.now);
        let (mut stdout, mut stderr) = (String::new(), String::new());
        for _ in 0..10_000 {
            let done = run(&process, &TestFiles(BTreeMap::new()));
            let (out, err) = new_output(&process, &done);
            stdout.push_str(&out);
            stderr.push_str(&err);
            process.forget(&done);
            match done.progress {
                Progress::Done { exit_code } => return Printed { stdout, stderr, exit_code },
                Progress::Waiting(call) => {
                    let answer = self.answer(&call);
                    process.answers.push(answer);
                }
            }
        }
        panic!("kubectl {line} does not end");
    }

    pub fn answer(&mut self, call: &Call) -> Answer {
        self.now += 1_000_000;
        let at = self.now;
        match call {
            Call::Follow { .. } => unreachable!("nothing follows a log here"),
            Call::Sleep { ns } => {
                self.now += i64::try_from(*ns).unwrap_or(0);
                Answer::Slept { at: self.now }
            }
            Call::WatchNext { deadline, .. } => {
                if !self.initial.is_empty() {
                    let (kind, object) = self.initial.remove(0);
                    return Answer::Event { at, kind, object };
                }
                if self.events.is_empty() {
                    self.now = deadline.unwrap_or(at);
                    return Answer::Timeout { at: self.now };
                }
                let (kind, object) = self.events.remove(0);
                Answer::Event { at, kind, object }
            }
            Call::Api(call) => match self.serve(call) {
                Ok(body) => Answer::Ok { at, body, warnings: Vec::new() },
                Err(status) => Answer::Err { at, status },
            },
        }
    }

    fn serve(&mut self, call: &ApiCall) -> Result<Value, Value> {
        let sub = call.subresource.as_ref().map_or(String::new(), |s| format!("/{s}"));
        self.calls.push(format!("{} {}{sub}", call.verb.as_str(), call.resource));
        let namespace = call.namespace.clone().unwrap_or_default();
        let body = call.body.clone().unwrap_or_default();
        let name = call.name.clone().unwrap_or_else(|| text(&body, "/metadata/name").to_string());
        let key = format!("{}/{namespace}/{name}", call.resource);
        let group = if call.group.is_empty() { String::new() } else { format!(".{}", call.group) };
        let status = |code: i64, reason: &str, why: &str| {
            let message = format!("{}{group} \"{name}\" {why}", call.resource);
            json!({"kind": "Status", "code": code, "reason": reason, "message": message})
        };
        let missing = || status(404, "NotFound", "not found");
        match call.verb {
            ApiVerb::Get => self.objects.get(&key).cloned().ok_or_else(missing),
            ApiVerb::List => Ok(json!({"metadata": {"resourceVersion": "9"}, "items": self.selected(call)})),
            ApiVerb::Watch => {
                if call.send_initial_events || call.resource_version.as_deref() == Some("0") {
                    self.initial = self.selected(call).into_iter().map(|o| ("ADDED".to_string(), o)).collect();
                }
                if call.send_initial_events {
                    self.initial.push(("BOOKMARK".into(), json!({})));
                }
                Ok(Value::Null)
            }
            ApiVerb::Create if call.subresource.as_deref() == Some("eviction") => {
                if self.refusals > 0 {
                    self.refusals -= 1;
                    let message = "Cannot evict pod as it would violate the pod's disruption budget.";
                    return Err(
                        json!({"kind": "Status", "code": 429, "reason": "TooManyRequests", "message": message}),
                    );
                }
                self.objects.remove(&key).map(|_| json!({"kind": "Status", "status": "Success"})).ok_or_else(missing)
            }
            ApiVerb::Create if self.objects.contains_key(&key) => Err(status(409, "AlreadyExists", "already exists")),
            ApiVerb::Create => {
                self.version += 1;
                let mut object = body;
                object["metadata"]["uid"] = format!("uid-{}", self.version).into();
                object["metadata"]["creationTimestamp"] = super::duration::rfc3339(self.now).into();
                if !namespace.is_empty() {
                    object["metadata"]["namespace"] = namespace.into();
                }
                self.objects.insert(key, object.clone());
                Ok(object)
            }
            ApiVerb::Update | ApiVerb::Patch(_) => {
                let Some(object) = self.objects.get_mut(&key) else { return Err(missing()) };
                match call.verb {
                    ApiVerb::Patch(PatchType::Json) => {
                        for operation in body.as_array().into_iter().flatten() {
                            if let Some(target) = object.pointer_mut(text(operation, "/path")) {
                                *target = operation["value"].clone();
                            }
                        }
                    }
                    ApiVerb::Patch(_) => merge(object, &body),
                    _ => *object = body,
                }
                Ok(object.clone())
            }
            ApiVerb::Delete => self.objects.remove(&key).ok_or_else(missing),
        }
    }

    fn selected(&self, call: &ApiCall) -> Vec<Value> {
        let prefix = match &call.namespace {
            Some(namespace) => format!("{}/{namespace}/", call.resource),
            None => format!("{}/", call.resource),
        };
        let named = call.field_selector.as_deref().and_then(|s| s.strip_prefix("metadata.name="));
        let labels: Vec<(&str, &str)> = call
            .label_selector
            .as_deref()
            .map_or(Vec::new(), |s| s.split(',').filter_map(|p| p.split_once('=')).collect());
        self.objects
            .iter()
            .filter(|(key, _)| key.starts_with(&prefix))
            .map(|(_, object)| object)
            .filter(|o| named.is_none_or(|name| text(o, "/metadata/name") == name))
            .filter(|o| labels.iter().all(|(key, value)| text(o, &format!("/metadata/labels/{key}")) == *value))
            .cloned()
            .collect()
    }
}

/// Merges a patch; lists of named elements by name.
fn merge(target: &mut Value, patch: &Value) {
    match patch {
        Value::Object(patch) => {
            if !target.is_object() {
                *target = json!({});
            }
            for (key, value) in patch.iter().filter(|(key, _)| !key.starts_with('$')) {
                if value.is_null() {
                    target.as_object_mut().map(|map| map.remove(key));
                } else {
                    merge(&mut target[key.as_str()], value);
                }
            }
        }
        Value::Array(items) if items.iter().all(|item| item.get("name").is_some()) => {
            let mut all = list(target, "").to_vec();
            for item in items {
                match all.iter_mut().find(|old| old["name"] == item["name"]) {
                    Some(old) => merge(old, item),
                    None => all.push(item.clone()),
                }
            }
            *target = Value::Array(all);
        }
        other => *target = other.clone(),
    }
}

/// What a run printed after its newest answer.
pub(super) fn new_output(process: &Process, run: &Run) -> (String, String) {
    let newest = |chunks: &[super::Chunk]| -> String {
        chunks.iter().filter(|c| c.after_answer == process.answered()).map(|c| c.text.as_str()).collect()
    };
    (newest(&run.stdout), newest(&run.stderr))
}
