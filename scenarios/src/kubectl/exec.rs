//! `kubectl exec`.
//!
//! Models: kubernetes v1.36.2 staging/src/k8s.io/kubectl/pkg/cmd/exec/exec.go. Left out: input, terminals, --filename.

use serde_json::json;

use super::errors::Failure;
use super::flags::{Args, Flag, Takes};
use super::json::{list, name, number, text};
use super::logs::{default_container, pods_of};
use super::resources::Resource;
use super::session::{Session, Step};
use super::{ApiCall, ApiVerb};

pub(crate) const FLAGS: &[Flag] = &[
    ("container", 'c', Takes::Text),
    ("stdin", 'i', Takes::Bool),
    ("tty", 't', Takes::Bool),
    ("quiet", 'q', Takes::Bool),
    ("pod-running-timeout", ' ', Takes::Duration),
];

pub(crate) fn exec(session: &mut Session, args: &Args) -> Step<()> {
    let usage = |text: &str| Failure::Usage(text.into(), "kubectl exec".into());
    let (target, command) = match (args.words.as_slice(), args.after_dash.as_deref()) {
        ([], _) => return Err(Failure::message("pod, type/name or --filename must be specified").into()),
        ([target], Some(command)) if !command.is_empty() => (target, command),
        ([_], _) => return Err(Failure::message("you must specify at least one command for the container").into()),
        _ => {
            let text = "exec [POD] [COMMAND] is not supported anymore. Use exec [POD] -- [COMMAND] instead";
            return Err(usage(text).into());
        }
    };
    let Some(pod) = pods_of(session, args, target, false)?.into_iter().next() else {
        return Err(Failure::message("timed out waiting for the condition").into());
    };
    let phase = text(&pod, "/status/phase");
    if matches!(phase, "Succeeded" | "Failed") {
        let text = format!("cannot exec into a container in a completed pod; current phase is {phase}");
        return Err(Failure::message(text).into());
    }
    let container = match args.given("container") {
        Some(wanted) => {
            let all = list(&pod, "/spec/containers").iter().chain(list(&pod, "/spec/initContainers"));
            if !all.into_iter().any(|container| text(container, "/name") == wanted) {
                return Err(Failure::message(format!("container {wanted} not found in pod {}", name(&pod))).into());
            }
            wanted
        }
        None => default_container(session, &pod, args.bool("quiet")),
    };
    let answer = session.call(ApiCall {
        name: Some(name(&pod).into()),
        subresource: Some("exec".into()),
        body: Some(json!({"container": container, "command": command})),
        ..Resource::PODS.call(ApiVerb::Get, Some(text(&pod, "/metadata/namespace")))
    })?;
    let refused = text(answer, "/refused");
    if !refused.is_empty() {
        return Err(Failure::message(refused).into());
    }
    session.print(text(answer, "/output"));
    match number(answer, "/code") {
        0 => Ok(()),
        code => Err(Failure::Exit(code as i32).into()),
    }
}
