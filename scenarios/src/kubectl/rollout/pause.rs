//! `kubectl rollout pause`, `resume` and `restart`.
//!
//! Models: kubernetes v1.36.2 staging/src/k8s.io/kubectl/pkg/cmd/rollout/rollout_{pause,resume,restart}.go,
//! pkg/polymorphichelpers/object{pauser,resumer,restarter}.go.

use serde_json::{Value, json};

use super::super::builder::Info;
use super::super::errors::Failure;
use super::super::flags::{Args, DryRun};
use super::super::resources::Resource;
use super::super::session::{Session, Step, attempt};
use super::super::{ApiCall, ApiVerb, PatchType, create, duration};

pub(crate) fn pause(session: &mut Session, args: &Args) -> Step<()> {
    each(session, args, "paused", |info, _| {
        only_deployments(info, "pausing")?;
        match is_paused(info) {
            true => Err(Failure::message(format!("{} is already paused", quoted(info)))),
            false => Ok(json!({"spec": {"paused": true}})),
        }
    })
}

pub(crate) fn resume(session: &mut Session, args: &Args) -> Step<()> {
    each(session, args, "resumed", |info, _| {
        only_deployments(info, "resuming")?;
        match is_paused(info) {
            true => Ok(json!({"spec": {"paused": null}})),
            false => Err(Failure::message(format!("{} is not paused", quoted(info)))),
        }
    })
}

pub(crate) fn restart(session: &mut Session, args: &Args) -> Step<()> {
    each(session, args, "restarted", |info, now| {
        if !matches!(info.resource.kind, "Deployment" | "DaemonSet" | "StatefulSet") {
            return Err(Failure::message(format!("{} restarting is not supported", quoted(info))));
        }
        if is_paused(info) {
            let text = format!("{} can't restart paused deployment (run rollout resume first)", quoted(info));
            return Err(Failure::Message(text));
        }
        let annotations = json!({"kubectl.kubernetes.io/restartedAt": duration::rfc3339(now)});
        Ok(json!({"spec": {"template": {"metadata": {"annotations": annotations}}}}))
    })
}

fn only_deployments(info: &Info, what: &str) -> Result<(), Failure> {
    match info.resource == Resource::DEPLOYMENTS {
        true => Ok(()),
        false => Err(Failure::message(format!("{} {what} is not supported", quoted(info)))),
    }
}

fn quoted(info: &Info) -> String {
    format!("{} \"{}\"", info.resource.plural_group(), info.name)
}

fn is_paused(info: &Info) -> bool {
    info.object.pointer("/spec/paused") == Some(&Value::Bool(true))
}

fn each(
    session: &mut Session,
    args: &Args,
    outcome: &str,
    patch: impl Fn(&Info, i64) -> Result<Value, Failure>,
) -> Step<()> {
    let dry_run = args.dry_run()?;
    let (infos, mut failures) = super::infos(session, args)?;
    for info in &infos {
        if let Err(failure) = attempt(change(session, args, info, patch(info, session.now), dry_run, outcome))? {
            failures.push(failure);
        }
    }
    Ok(Failure::collect(failures)?)
}

fn change(
    session: &mut Session,
    args: &Args,
    info: &Info,
    patch: Result<Value, Failure>,
    dry_run: DryRun,
    outcome: &str,
) -> Step<()> {
    let body = Some(patch?);
    let mut result = info.object.clone();
    if dry_run != DryRun::Client {
        let call = ApiCall {
            body,
            dry_run: dry_run == DryRun::Server,
            field_manager: Some(args.text_or("field-manager", "kubectl-rollout").into()),
            ..info.call(ApiVerb::Patch(PatchType::StrategicMerge))
        };
        let patched = attempt(session.call(call))?;
        result = patched.map_err(|failure| failure.wrap("failed to patch"))?.clone();
    }
    create::say(session, args, &info.resource, &result, outcome, dry_run)
}
