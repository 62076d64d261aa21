//! `kubectl patch`.
//!
//! Models: kubernetes v1.36.2 staging/src/k8s.io/kubectl/pkg/cmd/patch/patch.go.
//! Left out: --local.

use serde_json::Value;

use super::builder::infos;
use super::errors::Failure;
use super::flags::{Args, DryRun, Flag, Takes};
use super::session::{Session, Step, attempt};
use super::{ApiCall, ApiVerb, PatchType, create, yaml};

pub(crate) const FLAGS: &[Flag] = &[
    ("patch", 'p', Takes::Text),
    ("patch-file", ' ', Takes::Text),
    ("type", ' ', Takes::Text),
    ("subresource", ' ', Takes::Text),
    ("local", ' ', Takes::Bool),
];

pub(crate) fn patch(session: &mut Session, args: &Args) -> Step<()> {
    let kind = match args.text_or("type", "strategic") {
        "strategic" => PatchType::StrategicMerge,
        "merge" => PatchType::Merge,
        "json" => PatchType::Json,
        other => {
            let text = format!("--type must be one of [json merge strategic], not \"{other}\"");
            return Err(args.usage(text).into());
        }
    };
    if args.bool("local") {
        return Err(Failure::message("patch --local is not simulated").into());
    }
    let text = match (args.given("patch"), args.given("patch-file")) {
        (Some(_), Some(_)) => return Err(Failure::message("cannot specify --patch and --patch-file together").into()),
        (Some(text), None) => text,
        (None, Some(path)) => {
            let read = session.files.read(&path);
            read.map_err(|why| Failure::message(format!("unable to read patch file: open {path}: {why}")))?
        }
        (None, None) => {
            return Err(args.usage("must specify --patch or --patch-file containing the contents of the patch").into());
        }
    };
    let body: Value =
        yaml::value(&text).map_err(|why| Failure::message(format!("unable to parse \"{text}\": yaml: {why}")))?;
    let dry_run = args.dry_run()?;
    let (infos, mut failures) = infos(session, args, &args.words)?;
    for info in &infos {
        let subresource = args.given("subresource");
        let call = ApiCall {
            body: Some(body.clone()),
            subresource: subresource.clone(),
            dry_run: dry_run == DryRun::Server,
            field_manager: Some(args.text_or("field-manager", "kubectl-patch").into()),
            ..info.call(ApiVerb::Patch(kind))
        };
        if dry_run == DryRun::Client {
            create::say(session, args, &info.resource, &info.object, "patched", dry_run)?;
            continue;
        }
        match attempt(session.call(call))? {
            Ok(patched) if subresource.as_deref() == Some("scale") => {
                session.print_line(&format!("scale.autoscaling/{} patched", super::json::name(patched)));
            }
            Ok(patched) => {
                let outcome = if *patched == info.object { "patched (no change)" } else { "patched" };
                create::say(session, args, &info.resource, patched, outcome, dry_run)?;
            }
            Err(failure) => failures.push(failure),
        }
    }
    if infos.is_empty() && failures.is_empty() {
        return Err(Failure::message("no objects passed to patch").into());
    }
    Ok(Failure::collect(failures)?)
}
