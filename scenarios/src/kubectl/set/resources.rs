//! `kubectl set resources`.
//!
//! Models: kubernetes v1.36.2 staging/src/k8s.io/kubectl/pkg/cmd/set/set_resources.go.

use serde_json::{Map, Value};

use super::super::builder::infos;
use super::super::create::policy::resource_list;
use super::super::errors::Failure;
use super::super::flags::{Args, Flag, Takes};
use super::super::session::{Session, Step, attempt};
use super::{Change, containers, pod_spec_of, refuse_local, send};

pub(crate) const FLAGS: &[Flag] =
    &[("containers", 'c', Takes::Text), ("limits", ' ', Takes::Text), ("requests", ' ', Takes::Text)];

pub(crate) fn set_resources(session: &mut Session, args: &Args) -> Step<()> {
    refuse_local(args)?;
    let dry_run = args.dry_run()?;
    let (infos, mut failures) = infos(session, args, &args.words)?;
    Failure::collect(std::mem::take(&mut failures))?;
    if args.bool("all") && !args.text("selector").is_empty() {
        return Err(Failure::message("cannot set --all and --selector at the same time").into());
    }
    if args.given("limits").is_none() && args.given("requests").is_none() {
        let text = "you must specify an update to requests or limits (in the form of --requests/--limits)";
        return Err(Failure::message(text).into());
    }
    let amounts =
        [("limits", resource_list(args.text("limits"))?), ("requests", resource_list(args.text("requests"))?)];
    let pattern = args.text_or("containers", "*");
    let change = Change {
        outcome: "resource requirements updated",
        refused: "failed to patch resources update to pod template",
    };
    for info in &infos {
        let mut object = info.object.clone();
        let mut found = containers(pod_spec_of(&mut object, info)?, pattern);
        if found.is_empty() {
            failures.push(Failure::message(format!("error: unable to find container named {pattern}")));
            continue;
        }
        for container in &mut found {
            for (field, amounts) in &amounts {
                fill(container, field, amounts);
            }
        }
        if let Err(failure) = attempt(send(session, args, info, object, &change, dry_run))? {
            failures.push(failure);
        }
    }
    Ok(Failure::collect(failures)?)
}

fn fill(container: &mut Value, field: &str, amounts: &Map<String, Value>) {
    if amounts.is_empty() {
        return;
    }
    if !container["resources"].is_object() {
        container["resources"] = Value::Object(Map::new());
    }
    let resources = &mut container["resources"];
    if !resources[field].is_object() {
        resources[field] = Value::Object(Map::new());
    }
    for (resource, amount) in amounts {
        resources[field][resource.as_str()] = amount.clone();
    }
}
