//! `kubectl scale`.
//!
//! Models: kubernetes v1.36.2 staging/src/k8s.io/kubectl/pkg/cmd/scale/scale.go, pkg/scale/scale.go.
//! Left out: waiting with --timeout; jobs.

use serde_json::{Value, json};

use super::builder::{Info, infos};
use super::errors::Failure;
use super::flags::{Args, DryRun, Flag, Takes};
use super::json::{number, text};
use super::session::{Session, Step, attempt};
use super::{ApiCall, ApiVerb, PatchType, create};

pub(crate) const FLAGS: &[Flag] = &[
    ("replicas", ' ', Takes::Int(64)),
    ("current-replicas", ' ', Takes::Int(64)),
    ("resource-version", ' ', Takes::Text),
    ("timeout", ' ', Takes::Duration),
    ("selector", 'l', Takes::Text),
    ("all", ' ', Takes::Bool),
];

/// Wait after a conflict – constant; Kubernetes: scale.NewRetryParams interval, 1 s.
const RETRY: u64 = 1_000_000_000;
/// How long conflicts are retried – constant; Kubernetes: scale.NewRetryParams timeout, 5 min. [tries of RETRY]
const TRIES: u32 = 300;

pub(crate) fn scale(session: &mut Session, args: &Args) -> Step<()> {
    args.require(&["replicas"])?;
    let replicas = args.int("replicas").unwrap_or(-1);
    if replicas < 0 {
        let text = "The --replicas=COUNT flag is required, and COUNT must be greater than or equal to 0";
        return Err(Failure::message(text).into());
    }
    if args.text("current-replicas").starts_with('-') && args.int("current-replicas") != Some(-1) {
        return Err(Failure::message("The --current-replicas must specify an integer of -1 or greater").into());
    }
    if args.duration("timeout").is_some_and(|t| t > 0) {
        return Err(Failure::message("scale --timeout is not simulated; follow with kubectl rollout status").into());
    }
    let dry_run = args.dry_run()?;
    let (infos, mut failures) = infos(session, args, &args.words)?;
    let found = infos.len() + failures.len();
    for info in &infos {
        match attempt(scale_one(session, args, info, replicas, dry_run))? {
            Ok(()) => create::say(session, args, &info.resource, &info.object, "scaled", dry_run)?,
            Err(failure) => failures.push(failure.with_source("scaling", &info.source)),
        }
    }
    if found == 0 {
        return Err(Failure::message("no objects passed to scale").into());
    }
    Ok(Failure::collect(failures)?)
}

fn scale_one(session: &mut Session, args: &Args, info: &Info, replicas: i64, dry_run: DryRun) -> Step<()> {
    if dry_run == DryRun::Client {
        return Ok(());
    }
    let current = args.int("current-replicas").filter(|n| *n >= 0);
    let version = args.given("resource-version");
    let subresource = |verb| ApiCall {
        subresource: Some("scale".into()),
        dry_run: dry_run == DryRun::Server,
        field_manager: (verb != ApiVerb::Get).then(|| "kubectl-scale".to_string()),
        ..info.call(verb)
    };
    if current.is_none() && version.is_none() {
        let body = Some(json!({"spec": {"replicas": replicas}}));
        session.call(ApiCall { body, ..subresource(ApiVerb::Patch(PatchType::Merge)) })?;
        return Ok(());
    }
    for _ in 0..TRIES {
        let mut scale: Value = session.call(subresource(ApiVerb::Get))?.clone();
        let actual = number(&scale, "/spec/replicas");
        if let Some(expected) = current
            && expected != actual
        {
            return Err(Failure::message(format!("Expected replicas to be {expected}, was {actual}")).into());
        }
        let actual = text(&scale, "/metadata/resourceVersion");
        if let Some(expected) = &version
            && expected != actual
        {
            return Err(Failure::message(format!("Expected resource version to be {expected}, was {actual}")).into());
        }
        scale["spec"]["replicas"] = replicas.into();
        match attempt(session.call(ApiCall { body: Some(scale), ..subresource(ApiVerb::Update) }))? {
            Ok(_) => return Ok(()),
            Err(failure) if failure.is_conflict() => session.sleep(RETRY)?,
            Err(failure) => return Err(failure.into()),
        }
    }
    Err(Failure::message("timed out waiting for the condition").into())
}
