//! `kubectl cordon` and `kubectl uncordon`.
//!
//! Models: kubernetes v1.36.2 staging/src/k8s.io/kubectl/pkg/cmd/drain/drain.go (`RunCordonOrUncordon`),
//! pkg/drain/cordon.go.

use serde_json::json;

use super::builder::{Info, Selection, list_objects};
use super::errors::Failure;
use super::flags::{Args, DryRun, Flag, Takes};
use super::resources::Resource;
use super::session::{Session, Step, attempt};
use super::{ApiCall, ApiVerb, PatchType, builder};

pub(crate) const FLAGS: &[Flag] = &[("selector", 'l', Takes::Text), ("dry-run", ' ', Takes::TextOr("unchanged"))];

pub(crate) fn cordon(session: &mut Session, args: &Args) -> Step<()> {
    mark(session, args, true)
}

pub(crate) fn uncordon(session: &mut Session, args: &Args) -> Step<()> {
    mark(session, args, false)
}

fn mark(session: &mut Session, args: &Args, unschedulable: bool) -> Step<()> {
    let dry_run = args.dry_run()?;
    let nodes = nodes(session, args)?;
    let failures = mark_nodes(session, &nodes, unschedulable, dry_run)?;
    Ok(Failure::collect(failures)?)
}

/// The nodes named or selected. One that is missing keeps all others from being touched: the builder fails as a whole.
pub(crate) fn nodes(session: &mut Session, args: &Args) -> Step<Vec<Info>> {
    let selection = Selection { all: false, ..Selection::of(args) };
    if args.words.is_empty() && !selection.is_some() {
        return Err(args.usage(format!("USAGE: {} NODE [flags]", args.command.trim_start_matches("kubectl "))).into());
    }
    if !args.words.is_empty() && selection.is_some() {
        return Err(args.usage("error: cannot specify both a node name and a --selector option").into());
    }
    if selection.is_some() {
        let found = list_objects(session, &Resource::NODES, &selection)?;
        return Ok(builder::items(&Resource::NODES, &found).map(|node| Info::of(Resource::NODES, node, "")).collect());
    }
    let (mut nodes, mut failures) = (Vec::new(), Vec::new());
    for word in &args.words {
        let name = word.strip_prefix("node/").or(word.strip_prefix("nodes/")).unwrap_or(word);
        match attempt(session.get(&Resource::NODES, None, name))? {
            Ok(node) => nodes.push(Info::of(Resource::NODES, node.clone(), "")),
            Err(failure) => failures.push(failure),
        }
    }
    Failure::collect(failures)?;
    Ok(nodes)
}

/// Marks nodes and says so; returns what failed, which has been said too.
pub(crate) fn mark_nodes(
    session: &mut Session,
    nodes: &[Info],
    unschedulable: bool,
    dry_run: DryRun,
) -> Step<Vec<Failure>> {
    let mut failures = Vec::new();
    let done = if unschedulable { "cordoned" } else { "uncordoned" };
    for node in nodes {
        let is = node.object.pointer("/spec/unschedulable").and_then(|v| v.as_bool()).unwrap_or(false);
        if is == unschedulable {
            session.print_line(&format!("{} already {done}{}", node.full_name(), dry_run.suffix()));
            continue;
        }
        if dry_run != DryRun::Client {
            let value = if unschedulable { json!(true) } else { json!(null) };
            let call = ApiCall {
                body: Some(json!({"spec": {"unschedulable": value}})),
                dry_run: dry_run == DryRun::Server,
                ..node.call(ApiVerb::Patch(PatchType::StrategicMerge))
            };
            if let Err(failure) = attempt(session.call(call))? {
                let verb = if unschedulable { "cordon" } else { "uncordon" };
                session.error_line(&format!("error: unable to {verb} node \"{}\": {}", node.name, failure.text()));
                failures.push(Failure::Silent);
                continue;
            }
        }
        session.print_line(&format!("{} {done}{}", node.full_name(), dry_run.suffix()));
    }
    Ok(failures)
}
