//! `kubectl label` and `kubectl annotate`.
//!
//! Models: kubernetes v1.36.2 staging/src/k8s.io/kubectl/pkg/cmd/label/label.go, pkg/cmd/annotate/annotate.go.
//! Left out: --local; checks of the syntax of keys and values (the server has them too).

use serde_json::{Value, json};

use super::builder::{Info, infos};
use super::errors::Failure;
use super::flags::{Args, DryRun, Flag, Takes};
use super::session::{Session, Step, attempt};
use super::{ApiCall, ApiVerb, PatchType, create};

pub(crate) const FLAGS: &[Flag] = &[
    ("overwrite", ' ', Takes::Bool),
    ("list", ' ', Takes::Bool),
    ("local", ' ', Takes::Bool),
    ("resource-version", ' ', Takes::Text),
    ("selector", 'l', Takes::Text),
    ("field-selector", ' ', Takes::Text),
    ("all", ' ', Takes::Bool),
    ("all-namespaces", 'A', Takes::Bool),
];

const CHANGE_CAUSE: &str = "kubernetes.io/change-cause";

/// What differs between the two verbs.
struct Subject {
    field: &'static str,
    singular: &'static str,
    manager: &'static str,
}

const LABELS: Subject = Subject { field: "labels", singular: "label", manager: "kubectl-label" };
const ANNOTATIONS: Subject = Subject { field: "annotations", singular: "annotation", manager: "kubectl-annotate" };

pub(crate) fn label(session: &mut Session, args: &Args) -> Step<()> {
    change(session, args, &LABELS)
}

pub(crate) fn annotate(session: &mut Session, args: &Args) -> Step<()> {
    change(session, args, &ANNOTATIONS)
}

/// New values, and keys to remove.
#[derive(Default)]
struct Changes {
    set: Vec<(String, String)>,
    remove: Vec<String>,
}

fn change(session: &mut Session, args: &Args, subject: &Subject) -> Step<()> {
    if args.bool("local") {
        return Err(Failure::message(format!("{} --local is not simulated", subject.singular)).into());
    }
    let (resources, changes) = split(args, subject)?;
    if resources.is_empty() && !args.has("filename") {
        return Err(Failure::message(
            "one or more resources must be specified as <resource> <name> or <resource>/<name>",
        )
        .into());
    }
    if changes.set.is_empty() && changes.remove.is_empty() && !args.bool("list") {
        return Err(Failure::message(format!("at least one {} update is required", subject.singular)).into());
    }
    let dry_run = args.dry_run()?;
    let (infos, mut failures) = infos(session, args, &resources)?;
    for info in &infos {
        if let Err(failure) = attempt(change_one(session, args, subject, info, &changes, dry_run))? {
            failures.push(failure);
        }
    }
    Ok(Failure::collect(failures)?)
}

fn split(args: &Args, subject: &Subject) -> Result<(Vec<String>, Changes), Failure> {
    let mut resources = Vec::new();
    let mut changes = Changes::default();
    for word in &args.words {
        let started = !changes.set.is_empty() || !changes.remove.is_empty();
        if let Some((key, value)) = word.split_once('=').filter(|(key, _)| !key.is_empty()) {
            changes.set.push((key.into(), value.into()));
        } else if let (Some(key), false) = (word.strip_suffix('-').filter(|k| !k.is_empty()), resources.is_empty()) {
            changes.remove.push(key.into());
        } else if started {
            let text = format!("all resources must be specified before {} changes: {word}", subject.singular);
            return Err(Failure::message(text));
        } else {
            resources.push(word.clone());
        }
    }
    if let Some(key) = changes.remove.iter().find(|key| changes.set.iter().any(|(set, _)| set == *key)) {
        return Err(Failure::message(format!(
            "can not both modify and remove a {} in the same command: {key}",
            subject.singular
        )));
    }
    Ok((resources, changes))
}

fn change_one(
    session: &mut Session,
    args: &Args,
    subject: &Subject,
    info: &Info,
    changes: &Changes,
    dry_run: DryRun,
) -> Step<()> {
    let current = info.object.pointer(&format!("/metadata/{}", subject.field)).and_then(Value::as_object);
    let value_of = |key: &str| current.and_then(|map| map.get(key)).and_then(Value::as_str);
    if args.bool("list") {
        for (key, value) in current.into_iter().flatten() {
            session.print_line(&format!("{key}={}", value.as_str().unwrap_or("")));
        }
        return Ok(());
    }
    if !args.bool("overwrite") {
        check_overwrites(subject, changes, value_of)?;
    }
    let mut patch = serde_json::Map::new();
    for (key, value) in &changes.set {
        if value_of(key) != Some(value) {
            patch.insert(key.clone(), value.as_str().into());
        }
    }
    for key in &changes.remove {
        if value_of(key).is_some() {
            patch.insert(key.clone(), Value::Null);
        } else if subject.field == "labels" {
            session.print_line(&format!("label \"{key}\" not found."));
        }
    }
    let outcome = outcome(subject, &patch);
    let mut result = info.object.clone();
    if dry_run != DryRun::Client {
        let mut metadata = if patch.is_empty() { json!({}) } else { json!({subject.field: patch}) };
        if let Some(version) = args.given("resource-version") {
            metadata["resourceVersion"] = version.into();
        }
        let call = ApiCall {
            body: Some(json!({"metadata": metadata})),
            dry_run: dry_run == DryRun::Server,
            field_manager: Some(args.text_or("field-manager", subject.manager).into()),
            ..info.call(ApiVerb::Patch(PatchType::Merge))
        };
        result = session.call(call)?.clone();
    }
    create::say(session, args, &info.resource, &result, outcome, dry_run)
}

fn check_overwrites<'a>(
    subject: &Subject,
    changes: &Changes,
    value_of: impl Fn(&str) -> Option<&'a str>,
) -> Result<(), Failure> {
    let mut failures = Vec::new();
    for (key, value) in &changes.set {
        match value_of(key) {
            Some(old) if old != value && subject.field == "labels" => {
                failures.push(format!("'{key}' already has a value ({old}), and --overwrite is false"));
            }
            // The cause of a change may always be replaced.
            Some(_) if key == CHANGE_CAUSE => {}
            Some(old) if subject.field == "annotations" => {
                failures.push(format!("'{key}' already has a value ({old})"))
            }
            _ => {}
        }
    }
    match (failures.is_empty(), subject.field) {
        (true, _) => Ok(()),
        (false, "annotations") => Err(Failure::message(format!(
            "--overwrite is false but found the following declared annotation(s): {}",
            failures.join("; ")
        ))),
        _ => Failure::collect(failures.into_iter().map(Failure::Message).collect()),
    }
}

fn outcome(subject: &Subject, patch: &serde_json::Map<String, Value>) -> &'static str {
    if subject.field == "annotations" {
        return "annotated";
    }
    match (patch.is_empty(), patch.values().all(Value::is_null)) {
        (true, _) => "not labeled",
        (false, true) => "unlabeled",
        (false, false) => "labeled",
    }
}
