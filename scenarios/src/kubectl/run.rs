//! `kubectl run`: one pod.
//!
//! Models: kubernetes v1.36.2 staging/src/k8s.io/kubectl/pkg/cmd/run/run.go, pkg/generate/versioned/run.go.
//! Left out: attaching (-i, -t, --rm).

use serde_json::{Map, Value, json};

use super::errors::Failure;
use super::flags::{Args, DryRun, Flag, Takes};
use super::resources::Resource;
use super::session::{Session, Step};
use super::{create, expose, patch};

pub(crate) const FLAGS: &[Flag] = &[
    ("image", ' ', Takes::Text),
    ("image-pull-policy", ' ', Takes::Text),
    ("restart", ' ', Takes::Text),
    ("labels", 'l', Takes::Text),
    ("annotations", ' ', Takes::Array),
    ("port", ' ', Takes::Text),
    ("env", ' ', Takes::Array),
    ("command", ' ', Takes::Bool),
    ("overrides", ' ', Takes::Text),
    ("override-type", ' ', Takes::Text),
    ("privileged", ' ', Takes::Bool),
    ("save-config", ' ', Takes::Bool),
    ("attach", ' ', Takes::Bool),
    ("stdin", 'i', Takes::Bool),
    ("tty", 't', Takes::Bool),
    ("rm", ' ', Takes::Bool),
    ("quiet", 'q', Takes::Bool),
    ("expose", ' ', Takes::Bool),
    ("pod-running-timeout", ' ', Takes::Duration),
];

pub(crate) fn run_pod(session: &mut Session, args: &Args) -> Step<()> {
    args.require(&["image"])?;
    for flag in ["attach", "stdin", "tty", "rm"] {
        if args.bool(flag) {
            return Err(Failure::message(format!("run --{flag} is not simulated")).into());
        }
    }
    let Some((name, rest)) = args.words.split_first() else {
        return Err(args.usage("NAME is required for run").into());
    };
    let image = args.text("image");
    if image.is_empty() {
        return Err(Failure::message("--image is required").into());
    }
    if image.contains(char::is_whitespace) {
        return Err(Failure::message(format!("Invalid image name \"{image}\": invalid reference format")).into());
    }
    let restart = args.text_or("restart", "Always");
    if !matches!(restart, "Always" | "OnFailure" | "Never") {
        return Err(args.usage(format!("invalid restart policy: {restart}")).into());
    }
    let dry_run = args.dry_run()?;
    if args.text("dry-run") == "unchanged" {
        session.error_line("--dry-run is deprecated and can be replaced with --dry-run=client.");
    }
    let mut words = rest.to_vec();
    words.extend(args.after_dash.clone().unwrap_or_default());
    let container = container(args, name, image, words)?;
    let mut metadata = json!({"labels": labels(args, name)?, "name": name});
    if session.globals.namespace.is_some() {
        metadata["namespace"] = session.globals.namespace().into();
    }
    if args.has("annotations") {
        metadata["annotations"] = Value::Object(pairs(&args.list("annotations"))?);
    }
    let spec = json!({"containers": [container], "dnsPolicy": "ClusterFirst", "restartPolicy": restart});
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec, "status": {}});
    let pod = overridden(args, pod)?;
    let namespace = session.globals.namespace().to_string();
    if args.bool("expose") {
        let Some(port) = args.given("port") else {
            return Err(args.usage("--port must be set when exposing a service").into());
        };
        let service = expose::service_of_run(args, name, &port, &pod["metadata"]["labels"])?;
        expose::post(session, args, service, dry_run, "created", "kubectl-run")?;
    }
    let created = post(session, args, &namespace, pod, dry_run)?;
    create::say(session, args, &Resource::PODS, &created, "created", dry_run)
}

fn post(session: &mut Session, args: &Args, namespace: &str, pod: Value, dry_run: DryRun) -> Step<Value> {
    if dry_run == DryRun::Client {
        return Ok(pod);
    }
    let pod = if args.bool("save-config") { super::apply::with_last_applied(&pod) } else { pod };
    let created = session.call(super::ApiCall {
        body: Some(pod),
        dry_run: dry_run == DryRun::Server,
        field_manager: Some(args.text_or("field-manager", "kubectl-run").into()),
        ..Resource::PODS.call(super::ApiVerb::Create, Some(namespace))
    })?;
    Ok(created.clone())
}

fn container(args: &Args, name: &str, image: &str, words: Vec<String>) -> Result<Value, Failure> {
    let mut container = json!({"image": image, "name": name, "resources": {}});
    if let Some(policy) = args.given("image-pull-policy") {
        if !matches!(policy.as_str(), "Always" | "IfNotPresent" | "Never") {
            return Err(args.usage(format!("invalid image pull policy: {policy}")));
        }
        container["imagePullPolicy"] = policy.into();
    }
    if let Some(port) = args.given("port") {
        let number: i64 =
            port.parse().map_err(|_| Failure::message(format!("strconv.Atoi: parsing \"{port}\": invalid syntax")))?;
        container["ports"] = json!([{"containerPort": number}]);
    }
    if args.bool("privileged") {
        container["securityContext"] = json!({"privileged": true});
    }
    let mut env = Vec::new();
    for variable in args.list("env") {
        let Some((key, value)) = variable.split_once('=').filter(|(key, _)| !key.is_empty()) else {
            return Err(Failure::message(format!("invalid env: {variable}")));
        };
        env.push(json!({"name": key, "value": value}));
    }
    if !env.is_empty() {
        container["env"] = Value::Array(env);
    }
    if !words.is_empty() {
        container[if args.bool("command") { "command" } else { "args" }] = json!(words);
    }
    Ok(container)
}

fn labels(args: &Args, name: &str) -> Result<Value, Failure> {
    match args.given("labels") {
        None => Ok(json!({"run": name})),
        Some(labels) => Ok(Value::Object(pairs(&labels.split(',').map(str::to_string).collect::<Vec<_>>())?)),
    }
}

fn pairs(texts: &[String]) -> Result<Map<String, Value>, Failure> {
    let mut map = Map::new();
    for text in texts {
        let Some((key, value)) = text.split_once('=') else {
            return Err(Failure::message(format!("unexpected label spec: {text}")));
        };
        map.insert(key.into(), value.into());
    }
    Ok(map)
}

/// --overrides, merged as JSON merge patch or strategically.
fn overridden(args: &Args, mut pod: Value) -> Result<Value, Failure> {
    let Some(text) = args.given("overrides") else { return Ok(pod) };
    let overrides: Value =
        serde_json::from_str(&text).map_err(|why| Failure::message(format!("invalid --overrides: {why}")))?;
    match args.text_or("override-type", "merge") {
        "merge" => {
            patch::merge_json(&mut pod, &overrides);
            Ok(pod)
        }
        other => Err(Failure::message(format!("--override-type={other} is not simulated; use merge"))),
    }
}
