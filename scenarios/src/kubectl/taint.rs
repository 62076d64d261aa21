//! `kubectl taint`.
//!
//! Models: kubernetes v1.36.2 staging/src/k8s.io/kubectl/pkg/cmd/taint/{taint,utils}.go.
//! Left out: the check of a value's syntax.

use serde_json::{Value, json};

use super::builder::{Info, infos};
use super::errors::Failure;
use super::flags::{Args, DryRun, Flag, Takes};
use super::json::{list, text};
use super::resources::Resource;
use super::session::{Session, Step, attempt};
use super::{ApiCall, ApiVerb, PatchType, create, patch};

pub(crate) const FLAGS: &[Flag] = &[
    ("overwrite", ' ', Takes::Bool),
    ("selector", 'l', Takes::Text),
    ("all", ' ', Takes::Bool),
    ("validate", ' ', Takes::TextOr("strict")),
];

const EFFECTS: [&str; 3] = ["NoSchedule", "PreferNoSchedule", "NoExecute"];

/// A taint to set, or to remove if `remove`; an empty effect means all of the key.
struct Change {
    key: String,
    value: String,
    effect: String,
    remove: bool,
}

pub(crate) fn taint(session: &mut Session, args: &Args) -> Step<()> {
    let at = args.words.iter().position(|word| is_change(word)).unwrap_or(args.words.len());
    let (resources, specs) = args.words.split_at(at);
    let changes = specs.iter().map(|spec| parse(spec)).collect::<Result<Vec<_>, _>>();
    let changes = changes.map_err(|why| args.usage(why))?;
    let Some(kind) = resources.first() else {
        return Err(Failure::message(
            "one or more resources must be specified as <resource> <name> or <resource>/<name>",
        )
        .into());
    };
    if Resource::find(kind.split('/').next().unwrap_or(kind))? != Resource::NODES {
        return Err(Failure::message(format!("invalid resource type {kind}, only node(s) is supported")).into());
    }
    if changes.is_empty() {
        return Err(Failure::message("at least one taint update is required").into());
    }
    let dry_run = args.dry_run()?;
    let (nodes, mut failures) = infos(session, args, resources)?;
    for node in &nodes {
        if let Err(failure) = attempt(change_one(session, args, node, &changes, dry_run))? {
            failures.push(failure);
        }
    }
    Ok(Failure::collect(failures)?)
}

fn is_change(word: &str) -> bool {
    word.contains(['=', ':']) || word.ends_with('-')
}

fn parse(spec: &str) -> Result<Change, String> {
    let (rest, remove) = match spec.strip_suffix('-') {
        Some(rest) => (rest, true),
        None => (spec, false),
    };
    let (pair, effect) = match rest.split_once(':') {
        Some((pair, effect)) => (pair, effect),
        None if remove => (rest, ""),
        None => (rest, ""),
    };
    if effect.contains(':') {
        return Err(format!("invalid taint spec: {spec}"));
    }
    let (key, value) = match effect {
        "" if !remove => (pair, ""),
        _ => pair.split_once('=').unwrap_or((pair, "")),
    };
    let name = key.rsplit('/').next().unwrap_or(key);
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let edges =
        name.starts_with(|c: char| c.is_ascii_alphanumeric()) && name.ends_with(|c: char| c.is_ascii_alphanumeric());
    if !name.chars().all(fits) || !edges {
        return Err(format!(
            "invalid taint spec: {spec}, name part must consist of alphanumeric characters, '-', '_' or '.', and \
             must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex \
             used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
        ));
    }
    if !effect.is_empty() && !EFFECTS.contains(&effect) {
        return Err(format!("invalid taint effect: {effect}, unsupported taint effect"));
    }
    if effect.is_empty() && !remove {
        return Err(format!("invalid taint spec: {spec}"));
    }
    Ok(Change { key: key.into(), value: value.into(), effect: effect.into(), remove })
}

fn change_one(session: &mut Session, args: &Args, node: &Info, changes: &[Change], dry_run: DryRun) -> Step<()> {
    let old = list(&node.object, "/spec/taints").to_vec();
    let (taints, outcome) = changed(&node.name, &old, changes, args.bool("overwrite"))?;
    let mut object = node.object.clone();
    if taints.is_empty() {
        object.pointer_mut("/spec").and_then(Value::as_object_mut).map(|spec| spec.remove("taints"));
    } else {
        object["spec"]["taints"] = Value::Array(taints);
    }
    let mut result = object.clone();
    if dry_run != DryRun::Client {
        let call = ApiCall {
            body: Some(patch::two_way("Node", &node.object, &object)),
            dry_run: dry_run == DryRun::Server,
            field_manager: Some(args.text_or("field-manager", "kubectl-taint").into()),
            ..node.call(ApiVerb::Patch(PatchType::StrategicMerge))
        };
        result = session.call(call)?.clone();
    }
    create::say(session, args, &node.resource, &result, outcome, dry_run)
}

/// The new taints, and what happened.
fn changed(
    node: &str,
    old: &[Value],
    changes: &[Change],
    overwrite: bool,
) -> Result<(Vec<Value>, &'static str), Failure> {
    let same = |taint: &Value, change: &Change| {
        text(taint, "/key") == change.key && (change.effect.is_empty() || text(taint, "/effect") == change.effect)
    };
    let sets: Vec<&Change> = changes.iter().filter(|c| !c.remove).collect();
    let known: Vec<&str> =
        sets.iter().filter(|change| old.iter().any(|taint| same(taint, change))).map(|c| c.key.as_str()).collect();
    if !overwrite && !known.is_empty() {
        return Err(Failure::message(format!(
            "node {node} already has {} taint(s) with same effect(s) and --overwrite is false",
            known.join(", ")
        )));
    }
    let mut failures = Vec::new();
    let mut taints: Vec<Value> = sets
        .iter()
        .map(|change| {
            let mut taint = json!({"effect": change.effect, "key": change.key});
            if !change.value.is_empty() {
                taint["value"] = change.value.as_str().into();
            }
            taint
        })
        .collect();
    taints.extend(old.iter().filter(|taint| !sets.iter().any(|change| same(taint, change))).cloned());
    for change in changes.iter().filter(|c| c.remove) {
        if !taints.iter().any(|taint| same(taint, change)) {
            let effect = if change.effect.is_empty() { String::new() } else { format!(":{}", change.effect) };
            failures.push(Failure::message(format!("taint \"{}{effect}\" not found", change.key)));
        }
        taints.retain(|taint| !same(taint, change));
    }
    Failure::collect(failures)?;
    let outcome = match (sets.is_empty(), sets.len() == changes.len()) {
        (true, _) => "untainted",
        (false, true) => "tainted",
        (false, false) => "modified",
    };
    Ok((taints, outcome))
}
