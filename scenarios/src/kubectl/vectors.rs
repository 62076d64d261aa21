//! Recorded answers of the real kubectl to mistakes: texts, exit codes and the requests made on the way.
//!
//! The file holds, for each case, the command line, the files, the requests with the server's answers, and what kubectl
//! printed. An answer is replayed as recorded; what a recorded success held is rebuilt from the manifest.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::fake_server::TestFiles;
use super::json::{list, number, text};
use super::{Answer, ApiCall, ApiVerb, Call, Process, Progress, run, yaml};

const CASES: &str = include_str!("../../../tests/conformance/kubectl/errors.jsonl");

#[test]
fn mistakes_are_answered_as_the_real_kubectl_answers_them() {
    let (mut wrong, mut count) = (Vec::new(), 0);
    for case in CASES.lines().map(|line| serde_json::from_str::<Value>(line).expect("a case")) {
        count += 1;
        if let Err(why) = check(&case) {
            wrong.push(format!("{} kubectl {}\n{why}", text(&case, "/id"), words(&case).join(" ")));
        }
    }
    assert!(wrong.is_empty(), "{} of {count} cases differ:\n{}", wrong.len(), wrong.join("\n\n"));
}

fn words(case: &Value) -> Vec<String> {
    list(case, "/argv").iter().filter_map(Value::as_str).map(str::to_string).collect()
}

fn check(case: &Value) -> Result<(), String> {
    let files: BTreeMap<String, String> = case["files"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(k, v)| (k.clone(), v.as_str().unwrap_or("").into()))
        .collect();
    let files = TestFiles(files);
    let mut process = Process::new(words(case), None, 0);
    let requests = list(case, "/requests");
    let mut made = 0;
    loop {
        let done = run(&process, &files);
        match done.progress {
            Progress::Waiting(Call::Api(call)) => {
                let Some(request) = requests.get(made) else {
                    return Err(format!("one request too many: {}", shown(&call)));
                };
                let expected = format!("{} {}", text(request, "/method"), text(request, "/path"));
                if shown(&call) != expected {
                    return Err(format!("request {}\ninstead of {expected}", shown(&call)));
                }
                made += 1;
                process.answers.push(answer(case, request, &call, &files, made == requests.len()));
            }
            Progress::Waiting(other) => return Err(format!("waits for {other:?}")),
            Progress::Done { exit_code } => {
                let join = |chunks: &[super::Chunk]| chunks.iter().map(|c| c.text.as_str()).collect::<String>();
                let (stdout, stderr) = (join(&done.stdout), join(&done.stderr));
                let expected = (number(case, "/exit_code"), text(case, "/stdout"), text(case, "/stderr"));
                if (i64::from(exit_code), stdout.as_str(), lines(&stderr))
                    != (expected.0, expected.1, lines(expected.2))
                {
                    return Err(format!(
                        "got  {exit_code} {stdout:?} {stderr:?}\nwant {} {:?} {:?}",
                        expected.0, expected.1, expected.2
                    ));
                }
                return match made == requests.len() {
                    true => Ok(()),
                    false => Err(format!("only {made} of {} requests", requests.len())),
                };
            }
        }
    }
}

/// The lines of a text; those of a list of causes in any order, and without what a log library puts before its own.
fn lines(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = text
        .lines()
        .map(|l| if l.starts_with("W1") { l.split("] ").last().unwrap_or(l) } else { l }.to_string())
        .collect();
    if lines.iter().any(|l| l.starts_with("* ")) {
        lines.sort();
    }
    lines
}

fn answer(case: &Value, request: &Value, call: &ApiCall, files: &TestFiles, last: bool) -> Answer {
    let code = number(request, "/code");
    let own = &case["status"];
    if code >= 400 {
        let recorded = own.is_object() && number(own, "/code") == code && (last || code != 404);
        let group = if call.group.is_empty() { String::new() } else { format!(".{}", call.group) };
        let name = call.name.clone().unwrap_or_default();
        let message = format!("{}{group} \"{name}\" not found", call.resource);
        let status =
            if recorded { own.clone() } else { json!({"code": code, "reason": "NotFound", "message": message}) };
        return Answer::Err { at: 1, status };
    }
    let body = match &request["body"] {
        Value::String(which) if which == "echo" => call.body.clone().unwrap_or_default(),
        Value::String(_) => {
            let setup = files.0.get("setup.yaml").map_or("", String::as_str);
            let documents = yaml::documents(setup).unwrap_or_default();
            let wanted = call.name.clone().unwrap_or_default();
            documents
                .into_iter()
                .find(|d| text(d, "/metadata/name") == wanted)
                .map(|d| super::apply::with_last_applied(&d))
                .unwrap_or_default()
        }
        body => body.clone(),
    };
    let warnings = if last { list(case, "/warnings") } else { &[] };
    Answer::Ok { at: 1, body, warnings: warnings.iter().filter_map(Value::as_str).map(str::to_string).collect() }
}

/// The request as HTTP: method, path and query.
fn shown(call: &ApiCall) -> String {
    let method = match call.verb {
        ApiVerb::Get | ApiVerb::List | ApiVerb::Watch => "GET",
        ApiVerb::Create => "POST",
        ApiVerb::Update => "PUT",
        ApiVerb::Patch(_) => "PATCH",
        ApiVerb::Delete => "DELETE",
    };
    let mut path =
        if call.group.is_empty() { "/api/v1".into() } else { format!("/apis/{}/{}", call.group, call.version) };
    if let Some(namespace) = &call.namespace {
        path.push_str(&format!("/namespaces/{namespace}"));
    }
    path.push_str(&format!("/{}", call.resource));
    for part in [&call.name, &call.subresource].into_iter().flatten() {
        path.push_str(&format!("/{}", escaped(part).replace('+', "%20")));
    }
    let limit = call.limit.map(|l| l.to_string());
    let query = [
        ("fieldManager", &call.field_manager),
        ("fieldSelector", &call.field_selector),
        ("fieldValidation", &call.field_validation),
        ("labelSelector", &call.label_selector),
        ("limit", &limit),
    ];
    let query: Vec<String> = query.iter().filter_map(|(k, v)| Some(format!("{k}={}", escaped(v.as_ref()?)))).collect();
    if query.is_empty() { format!("{method} {path}") } else { format!("{method} {path}?{}", query.join("&")) }
}

fn escaped(text: &str) -> String {
    text.bytes()
        .map(|b| match b {
            b' ' => "+".to_string(),
            b if b.is_ascii_alphanumeric() || b"-_.~".contains(&b) => char::from(b).to_string(),
            b => format!("%{b:02X}"),
        })
        .collect()
}

const OUTPUTS: &str = include_str!("../../../tests/conformance/kubectl/output.jsonl");

fn output(id: &str) -> String {
    let cases = OUTPUTS.lines().map(|line| serde_json::from_str::<Value>(line).expect("a case"));
    let found = cases.into_iter().find(|case| text(case, "/id") == id);
    found.map(|case| text(&case, "/stdout").to_string()).unwrap_or_else(|| panic!("no recorded output {id}"))
}

#[test]
fn yaml_printed_by_the_real_kubectl_survives_reading_and_printing() {
    for case in OUTPUTS.lines().map(|line| serde_json::from_str::<Value>(line).expect("a case")) {
        let (command, stdout) = (text(&case, "/command"), text(&case, "/stdout"));
        if command.contains("yaml") || command.contains("view-last-applied") {
            let object = yaml::value(stdout).expect(command);
            assert_eq!(super::yaml_out::yaml(&object), stdout, "{command}");
        }
        if command.contains("json") {
            let object: Value = serde_json::from_str(stdout).expect(command);
            assert_eq!(super::yaml_out::json(&object), stdout, "{command}");
        }
    }
}

#[test]
fn the_history_of_a_revision_shows_its_template() {
    let mut set = yaml::value(&output("get-36")).expect("a deployment");
    set["spec"]["template"]["metadata"]["labels"]["pod-template-hash"] = "85445bfc67".into();
    let shown = format!("deployment.apps/web with revision #1\n{}\n", super::describe::template::describe(&set, ""));
    assert_eq!(shown, output("info-20"));
}

#[test]
fn a_node_is_described_as_the_real_kubectl_does() {
    use super::fake_server::FakeServer;
    let mut server = FakeServer::default();
    server.now = super::duration::parse_time("2026-11-22T07:56:57Z").unwrap_or(0);
    server.objects.insert("nodes//worker-1".into(), yaml::value(&output("get-32")).expect("a node"));
    let lease = json!({"spec": {"holderIdentity": "worker-1", "renewTime": "2026-11-22T07:56:55.123456Z"}});
    server.objects.insert("leases/kube-node-lease/worker-1".into(), lease);
    let expected = output("describe-23");
    for line in expected.lines().filter(|line| line.starts_with("  default  ")) {
        let name = line.split_whitespace().nth(1).unwrap_or("");
        let age: i64 =
            line.split_whitespace().last().and_then(|a| a.strip_suffix('s')).and_then(|a| a.parse().ok()).unwrap_or(0);
        let created = super::duration::rfc3339(server.now - age * 1_000_000_000);
        let resources = match name.starts_with("web-") {
            true => {
                json!({"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"cpu": "500m", "memory": "256Mi"}})
            }
            false => json!({}),
        };
        let pod = json!({"metadata": {"name": name, "namespace": "default", "creationTimestamp": created},
            "spec": {"containers": [{"name": "c", "resources": resources}]}});
        server.objects.insert(format!("pods/default/{name}"), pod);
    }
    let shown = server.kubectl("describe node worker-1").stdout;
    let before_events = |text: &str| text.split("Events:").next().map(str::to_string);
    assert_eq!(before_events(&shown), before_events(&expected));
    assert_eq!(server.calls, ["get nodes", "get nodes", "get leases", "list pods", "list events"]);
}
