//! `kubectl set image`.
//!
//! Models: kubernetes v1.36.2 staging/src/k8s.io/kubectl/pkg/cmd/set/set_image.go.

use serde_json::Value;

use super::super::builder::{Info, infos};
use super::super::errors::Failure;
use super::super::flags::{Args, DryRun};
use super::super::session::{Session, Step, attempt};
use super::{Change, pod_spec_of, refuse_local, send};

pub(crate) fn set_image(session: &mut Session, args: &Args) -> Step<()> {
    refuse_local(args)?;
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
    let spec = pod_spec_of(&mut object, info)?;
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
    let change = Change { outcome: "image updated", refused: "failed to patch image update to pod template:" };
    send(session, args, info, object, &change, dry_run)
}
