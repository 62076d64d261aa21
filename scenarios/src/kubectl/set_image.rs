//! `kubectl set image`.
//!
//! Models: kubernetes v1.36.2 staging/src/k8s.io/kubectl/pkg/cmd/set/{set_image,helper}.go.
//! Left out: --local; the other subcommands of `set`.

use serde_json::Value;

use super::builder::{Info, infos};
use super::errors::Failure;
use super::flags::{Args, DryRun, Flag, Takes};
use super::session::{Session, Step, attempt};
use super::{ApiCall, ApiVerb, PatchType, create, patch};

pub(crate) const FLAGS: &[Flag] =
    &[("selector", 'l', Takes::Text), ("all", ' ', Takes::Bool), ("local", ' ', Takes::Bool)];

pub(crate) fn set_image(session: &mut Session, args: &Args) -> Step<()> {
    if args.bool("local") {
        return Err(Failure::message("set image --local is not simulated").into());
    }
    let (resources, images) = split(args)?;
    let dry_run = args.dry_run()?;
    let (infos, mut failures) = infos(session, args, &resources)?;
    for info in &infos {
        if let Err(failure) = attempt(set_one(session, args, info, &images, dry_run))? {
            failures.push(failure);
        }
    }
    Ok(Failure::collect(failures)?)
}

/// A container and its image.
type Pair = (String, String);

/// The words with `=` are images.
fn split(args: &Args) -> Result<(Vec<String>, Vec<Pair>), Failure> {
    let (mut resources, mut images) = (Vec::new(), Vec::new());
    for word in &args.words {
        match word.split_once('=') {
            Some((container, image)) if !container.is_empty() => {
                images.push((container.to_string(), image.to_string()))
            }
            Some(_) => return Err(Failure::message(format!("invalid image pair: {word}"))),
            None if images.is_empty() => resources.push(word.clone()),
            None => {
                return Err(Failure::message(
                    "all resources must be specified before image changes: ".to_string() + word.as_str(),
                ));
            }
        }
    }
    let mut failures = Vec::new();
    if args.bool("all") && !args.text("selector").is_empty() {
        failures.push(Failure::message("cannot set --all and --selector at the same time"));
    }
    if resources.is_empty() && !args.has("filename") {
        failures.push(Failure::message(
            "one or more resources must be specified as <resource> <name> or <resource>/<name>",
        ));
    }
    if images.is_empty() {
        failures.push(Failure::message("at least one image update is required"));
    } else if images.len() > 1 && images.iter().any(|(container, _)| container == "*") {
        failures.push(Failure::message(
            "all containers are already specified by *, but saw more than one container_name=container_image pairs",
        ));
    }
    Failure::collect(failures)?;
    Ok((resources, images))
}

fn set_one(session: &mut Session, args: &Args, info: &Info, images: &[Pair], dry_run: DryRun) -> Step<()> {
    let mut object = info.object.clone();
    let Some(spec) = pod_spec(&mut object) else {
        return Err(Failure::message(format!(
            "the object is not a pod or does not have a pod template: *{}",
            info.resource.kind
        ))
        .into());
    };
    for (container, image) in images {
        let mut found = container == "*";
        for list in ["initContainers", "containers"] {
            let containers = spec.get_mut(list).and_then(Value::as_array_mut);
            for member in containers.into_iter().flatten() {
                if container == "*" || member.get("name").and_then(Value::as_str) == Some(container) {
                    member["image"] = image.as_str().into();
                    found = true;
                }
            }
        }
        if !found {
            return Err(Failure::message(format!("unable to find container named \"{container}\"")).into());
        }
    }
    let patch = patch::two_way(info.resource.kind, &info.object, &object);
    if patch.as_object().is_none_or(|p| p.is_empty()) {
        return Ok(());
    }
    let mut result = object;
    if dry_run != DryRun::Client {
        let call = ApiCall {
            body: Some(patch),
            dry_run: dry_run == DryRun::Server,
            field_manager: Some(args.text_or("field-manager", "kubectl-set").into()),
            ..info.call(ApiVerb::Patch(PatchType::StrategicMerge))
        };
        let patched = attempt(session.call(call))?;
        result = patched.map_err(|failure| failure.wrap("failed to patch image update to pod template"))?.clone();
    }
    create::say(session, args, &info.resource, &result, "image updated", dry_run)
}

/// The pod spec inside an object.
fn pod_spec(object: &mut Value) -> Option<&mut Value> {
    let path = match object.get("kind").and_then(Value::as_str) {
        Some("Pod") => "/spec",
        Some("CronJob") => "/spec/jobTemplate/spec/template/spec",
        _ => "/spec/template/spec",
    };
    object.pointer_mut(path).filter(|spec| spec.is_object())
}
