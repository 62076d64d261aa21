//! `kubectl create`: from manifests, and the generators, a file for each family of kinds.
//!
//! Models: kubernetes v1.36.2 staging/src/k8s.io/kubectl/pkg/cmd/create/{create,create_namespace}.go.
//! Left out: --edit, --raw.

pub(crate) mod config;
pub(crate) mod ingress;
pub(crate) mod policy;
pub(crate) mod rbac;
pub(crate) mod secret;
pub(crate) mod service;
#[cfg(test)]
mod tests;
pub(crate) mod workload;

use serde_json::{Value, json};

use super::builder::Info;
use super::errors::Failure;
use super::flags::{Args, DryRun, Flag, Takes};
use super::resources::Resource;
use super::session::{Session, Step, attempt};
use super::{ApiCall, ApiVerb, apply, get, manifest};

pub(crate) const FLAGS: &[Flag] = &[
    ("save-config", ' ', Takes::Bool),
    ("validate", ' ', Takes::TextOr("strict")),
    ("selector", 'l', Takes::Text),
    ("edit", ' ', Takes::Bool),
    ("raw", ' ', Takes::Text),
];

/// `kubectl create -f`
pub(crate) fn from_files(session: &mut Session, args: &Args) -> Step<()> {
    if !args.has("filename") && !args.words.is_empty() {
        return Err(args.usage(format!("Unexpected args: [{}]", args.words.join(" "))).into());
    }
    if !args.has("filename") && !args.has("kustomize") {
        return Err(Failure::message("must specify one of -f and -k").into());
    }
    let dry_run = args.dry_run()?;
    let mut found = manifest::read(session, args)?;
    let mut count = 0;
    for info in &found.infos {
        match attempt(create_info(session, args, info, dry_run))? {
            Ok(()) => count += 1,
            Err(failure) => found.failures.push(failure),
        }
    }
    if count == 0 && found.failures.is_empty() {
        return Err(Failure::message("no objects passed to create").into());
    }
    Ok(Failure::collect(found.failures)?)
}

fn create_info(session: &mut Session, args: &Args, info: &Info, dry_run: DryRun) -> Step<()> {
    let created =
        attempt(post(session, args, &info.resource, info.namespace.as_deref(), info.object.clone(), dry_run))?;
    let object = created.map_err(|failure| failure.with_source("creating", &info.source))?;
    say(session, args, &info.resource, &object, "created", dry_run)
}

/// POSTs an object unless it is a dry run on the client; returns what the server made of it.
pub(crate) fn post(
    session: &mut Session,
    args: &Args,
    resource: &Resource,
    namespace: Option<&str>,
    object: Value,
    dry_run: DryRun,
) -> Step<Value> {
    let object = if args.bool("save-config") { apply::with_last_applied(&object) } else { object };
    if dry_run == DryRun::Client {
        return Ok(object);
    }
    let created = session.call(ApiCall {
        body: Some(super::apply::unversioned(object)),
        dry_run: dry_run == DryRun::Server,
        field_manager: Some(args.text_or("field-manager", "kubectl-create").into()),
        field_validation: Some(apply::validation(args).into()),
        ..resource.call(ApiVerb::Create, namespace)
    })?;
    Ok(created.clone())
}

/// The success line, or the object in the format asked for.
pub(crate) fn say(
    session: &mut Session,
    args: &Args,
    resource: &Resource,
    object: &Value,
    outcome: &str,
    dry_run: DryRun,
) -> Step<()> {
    let output = args.text("output");
    let full_name = format!("{}/{}", resource.kind_group(), super::json::name(object));
    match output {
        "" => session.print_line(&format!("{full_name} {outcome}{}", dry_run.suffix())),
        "name" => session.print_line(&full_name),
        _ => {
            let format = get::output::Format::of(output)?;
            let text = format.print(object, args.bool("show-managed-fields"))?;
            session.print(&text);
        }
    }
    Ok(())
}

fn the_name(args: &Args) -> Result<&str, Failure> {
    match args.words.as_slice() {
        [name] => Ok(name),
        words => Err(args.usage(format!("exactly one NAME is required, got {}", words.len()))),
    }
}

/// `kubectl create namespace NAME`
pub(crate) fn namespace(session: &mut Session, args: &Args) -> Step<()> {
    let name = the_name(args)?;
    let object = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}, "spec": {}, "status": {}});
    let dry_run = args.dry_run()?;
    let created = post(session, args, &Resource::NAMESPACES, None, object, dry_run)?;
    say(session, args, &Resource::NAMESPACES, &created, "created", dry_run)
}

/// POSTs a generated object; a failure is introduced by `what`, such as `failed to create deployment:`.
pub(crate) fn generated(
    session: &mut Session,
    args: &Args,
    resource: &Resource,
    mut object: Value,
    what: &str,
) -> Step<()> {
    let namespace = session.globals.namespace().to_string();
    if session.globals.namespace.is_some() && resource.namespaced {
        object["metadata"]["namespace"] = namespace.clone().into();
    }
    let dry_run = args.dry_run()?;
    let created = attempt(post(session, args, resource, Some(&namespace), object, dry_run))?;
    let created = created.map_err(|failure| match what {
        "" => failure,
        what => failure.prefixed(what),
    })?;
    say(session, args, resource, &created, "created", dry_run)
}
