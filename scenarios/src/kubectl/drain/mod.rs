//! `kubectl drain`: cordons nodes and moves their pods away.
//!
//! Models: kubernetes v1.36.2 staging/src/k8s.io/kubectl/pkg/cmd/drain/drain.go (`RunDrain`), pkg/drain/drain.go.

mod evict;
mod filters;
#[cfg(test)]
mod tests;

use super::builder::{CHUNK, Info};
use super::cordon::{mark_nodes, nodes};
use super::errors::Failure;
use super::flags::{Args, DryRun, Flag, Takes};
use super::resources::Resource;
use super::session::{Session, Step, attempt};
use super::{ApiCall, ApiVerb, Loop};
use filters::{Fate, fate};

pub(crate) const FLAGS: &[Flag] = &[
    ("force", ' ', Takes::Bool),
    ("ignore-daemonsets", ' ', Takes::Bool),
    ("delete-emptydir-data", ' ', Takes::Bool),
    ("delete-local-data", ' ', Takes::Bool),
    ("disable-eviction", ' ', Takes::Bool),
    ("grace-period", ' ', Takes::Int(64)),
    ("timeout", ' ', Takes::Duration),
    ("selector", 'l', Takes::Text),
    ("pod-selector", ' ', Takes::Text),
    ("skip-wait-for-delete-timeout", ' ', Takes::Int(64)),
    ("chunk-size", ' ', Takes::Int(64)),
    ("dry-run", ' ', Takes::TextOr("unchanged")),
];

/// The options of one run.
struct Options {
    force: bool,
    ignore_daemon_sets: bool,
    delete_empty_dir: bool,
    disable_eviction: bool,
    /// Negative: each pod's own. [s]
    grace_period: i64,
    /// 0: for ever. [ns]
    timeout: i64,
    /// A pod that has been going for longer is not waited for; 0: wait for all. [s]
    skip_wait: i64,
    pod_selector: Option<String>,
    dry_run: DryRun,
}

/// A pod that is to go.
#[derive(Clone, Debug)]
struct Leaving {
    namespace: String,
    name: String,
    uid: String,
}

/// Where `drain` stands.
#[derive(Clone, Debug)]
pub struct Drain {
    nodes: Vec<Info>,
    /// How many nodes are done with.
    done: usize,
    /// Nodes that could not be drained, and why.
    failed: Vec<(String, Vec<String>)>,
    /// The pods of the present node.
    wait: Option<evict::Wait>,
}

pub(crate) fn drain(session: &mut Session, args: &Args) -> Step<()> {
    let options = Options {
        force: args.bool("force"),
        ignore_daemon_sets: args.bool("ignore-daemonsets"),
        delete_empty_dir: args.bool("delete-emptydir-data") || args.bool("delete-local-data"),
        disable_eviction: args.bool("disable-eviction"),
        grace_period: args.int("grace-period").unwrap_or(-1),
        timeout: args.duration("timeout").unwrap_or(0),
        skip_wait: args.int("skip-wait-for-delete-timeout").unwrap_or(0),
        pod_selector: args.given("pod-selector"),
        dry_run: args.dry_run()?,
    };
    let mut state = match session.resumed() {
        Some(Loop::Drain(state)) => (**state).clone(),
        _ => start(session, args, &options)?,
    };
    while let Some(node) = state.nodes.get(state.done).cloned() {
        match drain_one(session, &node, &mut state, &options)? {
            Ok(()) => session.print_line(&format!("{} drained{}", node.full_name(), options.dry_run.suffix())),
            Err(errors) => {
                let (name, text) = (&node.name, in_brackets(&errors));
                session.error_line(&format!(
                    "error: unable to drain node \"{name}\" due to error: {text}, continuing command..."
                ));
                state.failed.push((name.clone(), errors));
            }
        }
        state.done += 1;
    }
    report(session, &state.failed)
}

fn start(session: &mut Session, args: &Args, options: &Options) -> Step<Drain> {
    if args.has("delete-local-data") {
        session.error_line(
            "Flag --delete-local-data has been deprecated, This option is deprecated and will be deleted. Use \
             --delete-emptydir-data.",
        );
    }
    let nodes = nodes(session, args)?;
    // A node that cannot be cordoned is drained all the same.
    mark_nodes(session, &nodes, true, options.dry_run)?;
    Ok(Drain { nodes, done: 0, failed: Vec::new(), wait: None })
}

fn report(session: &mut Session, failed: &[(String, Vec<String>)]) -> Step<()> {
    if failed.is_empty() {
        return Ok(());
    }
    session.error_line("There are pending nodes to be drained:");
    for (name, _) in failed {
        session.error_line(&format!(" {name}"));
    }
    match failed {
        [(_, errors)] => errors.iter().for_each(|error| session.error_line(error)),
        many => many.iter().for_each(|(_, errors)| session.error_line(&in_brackets(errors))),
    }
    Err(Failure::Silent.into())
}

/// How an aggregate of errors prints.
fn in_brackets(errors: &[String]) -> String {
    match errors {
        [one] => one.clone(),
        many => format!("[{}]", many.join(", ")),
    }
}

fn drain_one(
    session: &mut Session,
    node: &Info,
    state: &mut Drain,
    options: &Options,
) -> Step<Result<(), Vec<String>>> {
    if state.wait.is_none() {
        let (pods, warnings, errors) = leaving(session, node, options)?;
        if !errors.is_empty() {
            return Ok(Err(errors));
        }
        if !warnings.is_empty() {
            session.warn(&warnings.join("; "));
        }
        if options.dry_run == DryRun::Client {
            for pod in &pods {
                session.print_line(&format!("evicting pod {}/{} (dry run)", pod.namespace, pod.name));
            }
            return Ok(Ok(()));
        }
        state.wait = Some(evict::begin(session, pods, options)?);
    }
    let errors = evict::finish(session, state, options)?;
    state.wait = None;
    if errors.is_empty() {
        return Ok(Ok(()));
    }
    let (pending, _, new_errors) = leaving(session, node, options)?;
    if !pending.is_empty() {
        let (name, text) = (&node.name, in_brackets(&errors));
        session.error_line(&format!("There are pending pods in node \"{name}\" when an error occurred: {text}"));
        pending.iter().for_each(|pod| session.error_line(&format!("pod/{}", pod.name)));
    }
    if !new_errors.is_empty() {
        session.error(&format!(
            "Following errors occurred while getting the list of pods to delete:\n{}",
            in_brackets(&new_errors)
        ));
    }
    Ok(Err(errors))
}

/// The pods of a node that are to go, warnings, and what forbids it.
fn leaving(session: &mut Session, node: &Info, options: &Options) -> Step<(Vec<Leaving>, Vec<String>, Vec<String>)> {
    let call = ApiCall {
        label_selector: options.pod_selector.clone(),
        field_selector: Some(format!("spec.nodeName={}", node.name)),
        limit: Some(CHUNK),
        ..Resource::PODS.call(ApiVerb::List, None)
    };
    let found = match attempt(session.list(call))? {
        Ok(found) => found,
        Err(failure) => return Ok((Vec::new(), Vec::new(), vec![failure.text()])),
    };
    let pods: Vec<_> = found.items().collect();
    let (mut leaving, mut warnings, mut errors) = (Vec::new(), Vec::new(), Vec::new());
    for pod in pods {
        let (namespace, name) = (super::json::namespace(pod), super::json::name(pod));
        let pod_name = format!("{namespace}/{name}");
        let (goes, warning, error) = match fate(session, pod, options)? {
            Fate::Goes => (true, None, None),
            Fate::GoesBut(warning) => (true, Some(warning), None),
            Fate::StaysBut(warning) => (false, Some(warning), None),
            Fate::Stays => (false, None, None),
            Fate::Forbidden(error) => (false, None, Some(error)),
        };
        if goes {
            let uid = super::json::text(pod, "/metadata/uid").to_string();
            leaving.push(Leaving { namespace: namespace.into(), name: name.into(), uid });
        }
        note(&mut warnings, warning, &pod_name);
        note(&mut errors, error, &pod_name);
    }
    let lines = |notes: Vec<(String, Vec<String>)>| -> Vec<String> {
        notes.into_iter().map(|(text, pods)| format!("{text}: {}", pods.join(", "))).collect()
    };
    Ok((leaving, lines(warnings), lines(errors)))
}

fn note(notes: &mut Vec<(String, Vec<String>)>, text: Option<String>, pod: &str) {
    let Some(text) = text else { return };
    match notes.iter_mut().find(|(known, _)| *known == text) {
        Some((_, pods)) => pods.push(pod.into()),
        None => notes.push((text, vec![pod.into()])),
    }
}
