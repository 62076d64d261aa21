//! `kubectl logs`.
//!
//! Models: kubernetes v1.36.2 staging/src/k8s.io/kubectl/pkg/cmd/logs/logs.go, pkg/polymorphichelpers/{logsforobject,helpers}.go,
//! pkg/util/podutils. Left out: ephemeral containers, --insecure-skip-tls-verify-backend, logs of several streams as they come side by
//! side before --follow.

use serde_json::{Value, json};

use super::builder::{Info, Selection, list_objects, targets};
use super::errors::Failure;
use super::flags::{Args, Flag, Takes};
use super::json::{boolean, integer, list, name, number, pairs, text};
use super::resources::Resource;
use super::session::{Session, Step, attempt};
use super::{ApiCall, ApiVerb, LogStream};

pub(crate) const FLAGS: &[Flag] = &[
    ("follow", 'f', Takes::Bool),
    ("previous", 'p', Takes::Bool),
    ("container", 'c', Takes::Text),
    ("all-containers", ' ', Takes::Bool),
    ("all-pods", ' ', Takes::Bool),
    ("tail", ' ', Takes::Int(64)),
    ("since", ' ', Takes::Duration),
    ("since-time", ' ', Takes::Text),
    ("timestamps", ' ', Takes::Bool),
    ("limit-bytes", ' ', Takes::Int(64)),
    ("selector", 'l', Takes::Text),
    ("prefix", ' ', Takes::Bool),
    ("ignore-errors", ' ', Takes::Bool),
    ("max-log-requests", ' ', Takes::Int(32)),
    ("pod-running-timeout", ' ', Takes::Duration),
];

const USAGE: &str = "expected 'logs [-f] [-p] (POD | TYPE/NAME) [-c CONTAINER]'.\nPOD or TYPE/NAME is a required argument \
                     for the logs command";
/// Lines of each pod with a selector and without --tail – constant; Kubernetes: selectorTail, 10.
const SELECTOR_TAIL: i64 = 10;
/// How long kubectl waits for a pod of a workload – constant; Kubernetes: defaultPodLogsTimeout, 20 s. [ns]
const PATIENCE: u64 = 20_000_000_000;
/// Kubernetes: MaxFollowConcurrency.
const MOST_STREAMS: i64 = 5;

pub(crate) fn logs(session: &mut Session, args: &Args) -> Step<()> {
    let selector = args.given("selector");
    let (target, container) = match (args.words.as_slice(), &selector) {
        ([], Some(_)) => (None, args.given("container")),
        ([target], None) => (Some(target), args.given("container")),
        ([target, container], None) if !args.has("container") => (Some(target), Some(container.clone())),
        ([_, _], None) => return Err(Failure::message("only one of -c or an inline [CONTAINER] arg is allowed").into()),
        ([], None) => return Err(Failure::Usage(USAGE.into(), "kubectl logs".into()).into()),
        (_, Some(_)) => {
            return Err(Failure::message("only a selector (-l) or a POD name is allowed").into());
        }
        _ => return Err(Failure::Usage(USAGE.into(), "kubectl logs".into()).into()),
    };
    if args.bool("all-containers") && container.is_some() {
        let name = container.unwrap_or_default();
        let text = format!("--all-containers=true should not be specified with container name {name}");
        return Err(Failure::message(text).into());
    }
    let pods = match target {
        None => selected(session, args)?,
        Some(target) => match attempt(pods_of(session, args, target, true))? {
            Ok(pods) => pods,
            Err(failure) if failure.is_not_found() => {
                let namespace = session.globals.namespace();
                let text = format!("error from server (NotFound): {} in namespace \"{namespace}\"", failure.text());
                return Err(Failure::Message(format!("error: {text}")).into());
            }
            Err(failure) => return Err(failure.into()),
        },
    };
    let mut streams = Vec::new();
    for pod in &pods {
        for container in containers(session, args, pod, container.as_deref())? {
            streams.push((pod, container));
        }
    }
    let most = args.int("max-log-requests").unwrap_or(MOST_STREAMS);
    if args.bool("follow") && streams.len() as i64 > most {
        let text = format!(
            "you are attempting to follow {} log streams, but maximum allowed concurrency is {most}, use \
             --max-log-requests to increase the limit",
            streams.len()
        );
        return Err(Failure::message(text).into());
    }
    let mut open = Vec::new();
    for (pod, container) in streams {
        let prefix = match args.bool("prefix") || args.bool("all-pods") {
            true => format!("[pod/{}/{container}] ", name(pod)),
            false => String::new(),
        };
        let answer = match attempt(session.call(request(session, args, pod, &container)))? {
            Ok(answer) => answer,
            Err(failure) if args.bool("ignore-errors") => {
                session.error_line(&failure.text());
                continue;
            }
            Err(failure) => return Err(failure.into()),
        };
        print(session, text(answer, "/text"), &prefix);
        if args.bool("follow") && boolean(answer, "/over") != Some(true) {
            open.push((follows(pod, &container, integer(answer, "/at"), args), prefix));
        }
    }
    follow(session, open)
}

/// Prints what the streams still have to say, until they end.
fn follow(session: &mut Session, mut open: Vec<(LogStream, String)>) -> Step<()> {
    while !open.is_empty() {
        let answer = session.follow(open.iter().map(|(stream, _)| stream.clone()).collect())?;
        let at = integer(answer, "/at");
        let mut over = Vec::new();
        for (n, news) in list(answer, "/streams").iter().enumerate() {
            let Some((stream, prefix)) = open.get_mut(n) else { continue };
            stream.from = at.unwrap_or(stream.from);
            print(session, text(news, "/text"), prefix);
            over.push(boolean(news, "/over") == Some(true));
        }
        let mut over = over.into_iter();
        open.retain(|_| !over.next().unwrap_or(true));
    }
    Ok(())
}

fn print(session: &mut Session, text: &str, prefix: &str) {
    if prefix.is_empty() {
        return session.print(text);
    }
    for line in text.lines() {
        session.print_line(&format!("{prefix}{line}"));
    }
}

fn follows(pod: &Value, container: &str, from: Option<i64>, args: &Args) -> LogStream {
    LogStream {
        node: text(pod, "/spec/nodeName").into(),
        uid: text(pod, "/metadata/uid").into(),
        container: container.into(),
        from: from.unwrap_or(0),
        timestamps: args.bool("timestamps"),
    }
}

fn request(session: &Session, args: &Args, pod: &Value, container: &str) -> ApiCall {
    let tail = match args.int("tail") {
        Some(tail) => Some(tail).filter(|tail| *tail >= 0),
        None => args.has("selector").then_some(SELECTOR_TAIL),
    };
    let since = args
        .given("since-time")
        .and_then(|time| super::duration::parse_time(&time))
        .or_else(|| args.duration("since").filter(|since| *since > 0).map(|since| session.now.saturating_sub(since)));
    let options = json!({
        "container": container, "previous": args.bool("previous"), "timestamps": args.bool("timestamps"),
        "tailLines": tail, "sinceTime": since, "limitBytes": args.int("limit-bytes"), "follow": args.bool("follow"),
    });
    ApiCall {
        name: Some(name(pod).into()),
        subresource: Some("log".into()),
        body: Some(options),
        ..Resource::PODS.call(ApiVerb::Get, Some(text(pod, "/metadata/namespace")))
    }
}

/// The pods of a selector.
fn selected(session: &mut Session, args: &Args) -> Step<Vec<Value>> {
    let pods: Vec<Value> = list_objects(session, &Resource::PODS, &Selection::of(args))?.items().cloned().collect();
    if pods.is_empty() {
        let namespace = session.globals.namespace().to_owned();
        session.error_line(&format!("No resources found in {namespace} namespace."));
    }
    Ok(pods)
}

/// The pod, or the pods of a workload, that a word on the command line means; `aloud` if it is said which of several it is.
pub(super) fn pods_of(session: &mut Session, args: &Args, word: &str, aloud: bool) -> Step<Vec<Value>> {
    let namespace = session.globals.namespace().to_owned();
    let words = if word.contains('/') { vec![word.to_owned()] } else { vec!["pods".to_owned(), word.to_owned()] };
    let target = targets(&words, &[])?.into_iter().next().ok_or_else(|| Failure::message("expected a resource"))?;
    let named = target.name.unwrap_or_default();
    let object = session.get_info(&target.resource, Some(&namespace), &named)?.clone();
    if target.resource.plural == "pods" {
        return Ok(vec![object]);
    }
    let info = Info::of(target.resource, object, "");
    let at = if target.resource.plural == "services" { "/spec/selector" } else { "/spec/selector/matchLabels" };
    let labels: Vec<String> = pairs(&info.object, at).iter().map(|(key, value)| format!("{key}={value}")).collect();
    if labels.is_empty() {
        let text = format!("cannot find the pods of {}: there is no selector in it", info.full_name());
        return Err(Failure::message(text).into());
    }
    let selection = Selection { label_selector: Some(labels.join(",")), ..Selection::default() };
    let mut waited = false;
    loop {
        let mut pods: Vec<Value> = list_objects(session, &Resource::PODS, &selection)?.items().cloned().collect();
        pods.sort_by_cached_key(best_first);
        if let (false, Some(first)) = (args.bool("all-pods"), pods.first().cloned()) {
            if pods.len() > 1 && aloud {
                session.error_line(&format!("Found {} pods, using pod/{}", pods.len(), name(&first)));
            }
            return Ok(vec![first]);
        }
        if !pods.is_empty() {
            return Ok(pods);
        }
        if waited {
            return Err(Failure::message("timed out waiting for the condition").into());
        }
        session.sleep(PATIENCE)?;
        waited = true;
    }
}

/// Where a pod stands among those of a workload: on a node, running, ready, restarted often, old.
fn best_first(pod: &Value) -> (bool, u8, bool, i64, String) {
    let phase = match text(pod, "/status/phase") {
        "Running" => 0,
        "Unknown" => 1,
        _ => 2,
    };
    let ready = list(pod, "/status/conditions")
        .iter()
        .any(|condition| text(condition, "/type") == "Ready" && text(condition, "/status") == "True");
    let restarts: i64 =
        list(pod, "/status/containerStatuses").iter().map(|status| number(status, "/restartCount")).sum();
    let created = text(pod, "/metadata/creationTimestamp").to_owned();
    (text(pod, "/spec/nodeName").is_empty(), phase, !ready, -restarts, created)
}

/// All containers of a pod as kubectl names them: `a, b, setup (init)`.
fn names(pod: &Value) -> String {
    let plain = list(pod, "/spec/containers").iter().map(|container| text(container, "/name").to_owned());
    let init = list(pod, "/spec/initContainers").iter().map(|container| format!("{} (init)", text(container, "/name")));
    plain.chain(init).collect::<Vec<_>>().join(", ")
}

/// The container that is meant, or all.
fn containers(session: &mut Session, args: &Args, pod: &Value, wanted: Option<&str>) -> Step<Vec<String>> {
    let all = |at: &str| list(pod, at).iter().map(|it| text(it, "/name").to_owned()).collect::<Vec<_>>();
    if args.bool("all-containers") {
        return Ok(all("/spec/initContainers").into_iter().chain(all("/spec/containers")).collect());
    }
    match wanted {
        None => Ok(vec![default_container(session, pod, false)]),
        Some(wanted) => {
            let known = all("/spec/initContainers").into_iter().chain(all("/spec/containers"));
            if known.into_iter().any(|name| name == wanted) {
                return Ok(vec![wanted.to_owned()]);
            }
            let text = format!("container {wanted} is not valid for pod {} out of: {}", name(pod), names(pod));
            Err(Failure::message(text).into())
        }
    }
}

/// The container that is meant when none is named; kubectl says so when there are others.
pub(super) fn default_container(session: &mut Session, pod: &Value, quiet: bool) -> String {
    let containers = list(pod, "/spec/containers");
    let known = |wanted: &str| containers.iter().any(|container| text(container, "/name") == wanted);
    let annotated = text(pod, "/metadata/annotations/kubectl.kubernetes.io~1default-container");
    if !annotated.is_empty() && known(annotated) {
        return annotated.to_owned();
    }
    let first = containers.first().map_or("", |container| text(container, "/name")).to_owned();
    if quiet {
        return first;
    }
    if containers.len() > 1 || !list(pod, "/spec/initContainers").is_empty() {
        session.error_line(&format!("Defaulted container \"{first}\" out of: {}", names(pod)));
    }
    first
}
