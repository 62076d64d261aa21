//! `kubectl delete`.
//!
//! Deletes everything first, one object after the other, then waits for each to be gone.
//! Models: kubernetes v1.36.2 staging/src/k8s.io/kubectl/pkg/cmd/delete/delete.go.
//! Left out: --interactive, --raw.

use serde_json::Value;

use super::builder::{Info, Selection, Target, checked_targets, list_objects};
use super::errors::Failure;
use super::flags::{Args, DryRun, Flag, Takes};
use super::json::{self, namespace, text};
use super::session::{Session, Step, attempt};
use super::wait_deleted::{Gone, wait_deleted};
use super::{ApiCall, ApiVerb, manifest};

pub(crate) const FLAGS: &[Flag] = &[
    ("selector", 'l', Takes::Text),
    ("field-selector", ' ', Takes::Text),
    ("all", ' ', Takes::Bool),
    ("all-namespaces", 'A', Takes::Bool),
    ("ignore-not-found", ' ', Takes::Bool),
    ("cascade", ' ', Takes::TextOr("background")),
    ("force", ' ', Takes::Bool),
    ("now", ' ', Takes::Bool),
    ("grace-period", ' ', Takes::Int(64)),
    ("timeout", ' ', Takes::Duration),
    ("wait", ' ', Takes::Bool),
    ("output", 'o', Takes::Text),
    ("interactive", 'i', Takes::Bool),
    ("raw", ' ', Takes::Text),
    ("dry-run", ' ', Takes::TextOr("unchanged")),
];

/// How long kubectl waits without --timeout – constant; Kubernetes: effectiveTimeout, one week. [ns]
const WEEK: i64 = 168 * 3600 * 1_000_000_000;

/// The options of one run.
struct Options {
    grace_period: i64,
    propagation: &'static str,
    ignore_not_found: bool,
    dry_run: DryRun,
    by_name: bool,
}

pub(crate) fn delete(session: &mut Session, args: &Args) -> Step<()> {
    let selection = Selection::of(args);
    let options = options(args, &selection)?;
    let (targets, mut failures) = targets(session, args, &selection)?;
    if options.grace_period == 0 {
        session.warn(
            "Immediate deletion does not wait for confirmation that the running resource has been terminated. The \
             resource may continue to run on the cluster indefinitely.",
        );
    }
    let mut deleted: Vec<Gone> = Vec::new();
    let mut found = 0;
    for info in targets {
        match attempt(delete_one(session, &info, &options))? {
            Ok(uid) => {
                found += 1;
                if options.dry_run == DryRun::No {
                    deleted.push(Gone { info, uid });
                }
            }
            Err(failure) if options.ignore_not_found && failure.is_not_found() => {}
            Err(failure) => failures.push(failure),
        }
    }
    let result = Failure::collect(failures);
    if found == 0 && result.is_ok() && !options.ignore_not_found {
        session.print_line("No resources found");
    }
    result?;
    if !args.bool_or("wait", true) || options.dry_run != DryRun::No {
        return Ok(());
    }
    let timeout = args.duration("timeout").filter(|t| *t != 0).unwrap_or(WEEK);
    wait_deleted(session, &deleted, timeout)
}

fn options(args: &Args, selection: &Selection) -> Result<Options, Failure> {
    let propagation = match args.text_or("cascade", "background") {
        "background" | "true" => "Background",
        "orphan" | "false" => "Orphan",
        "foreground" => "Foreground",
        other => {
            let text =
                format!("invalid cascade value ({other}). Must be \"background\", \"foreground\", or \"orphan\"");
            return Err(Failure::Message(text));
        }
    };
    for flag in ["interactive", "raw"] {
        if args.has(flag) {
            return Err(Failure::message(format!("delete --{flag} is not simulated")));
        }
    }
    let dry_run = args.dry_run()?;
    let given = args.int("grace-period").unwrap_or(-1);
    let force = args.bool("force");
    let mut grace_period = given;
    if args.bool("now") {
        if given != -1 {
            return Err(Failure::message("--now and --grace-period cannot be specified together"));
        }
        grace_period = 1;
    }
    // Only with --force does 0 mean 0.
    if grace_period == 0 && !force {
        grace_period = 1;
    }
    if force && grace_period < 0 {
        grace_period = 0;
    }
    if force && grace_period > 0 {
        return Err(Failure::message("--force and --grace-period greater than 0 cannot be specified together"));
    }
    if selection.all && selection.label_selector.is_some() {
        return Err(Failure::message("cannot set --all and --selector at the same time"));
    }
    if selection.all && selection.field_selector.is_some() {
        return Err(Failure::message("cannot set --all and --field-selector at the same time"));
    }
    if !matches!(args.text("output"), "" | "name") {
        let text = format!("unexpected -o output mode: {}. We only support '-o name'", args.text("output"));
        return Err(Failure::Message(text));
    }
    let ignore_not_found = args.bool_or("ignore-not-found", selection.all);
    Ok(Options { grace_period, propagation, ignore_not_found, dry_run, by_name: args.text("output") == "name" })
}

/// The objects to delete. Named ones are not read first: the DELETE itself tells whether they exist.
fn targets(session: &mut Session, args: &Args, selection: &Selection) -> Step<(Vec<Info>, Vec<Failure>)> {
    if args.has("filename") || args.has("kustomize") {
        let read = manifest::read(session, args)?;
        return Ok((read.infos, read.failures));
    }
    if args.words.is_empty() {
        let text = [
            "You must provide one or more resources by argument or filename.",
            "Example resource specifications include:",
            "   '-f rsrc.yaml'",
            "   '--filename=rsrc.json'",
            "   '<resource> <name>'",
            "   '<resource>'",
        ];
        return Err(Failure::message(text.join("\n")).into());
    }
    let (mut infos, mut failures) = (Vec::new(), Vec::new());
    for Target { resource, name } in checked_targets(&args.words, selection, &session.discovered)? {
        let Some(name) = name else {
            match attempt(list_objects(session, &resource, selection))? {
                Ok(found) => infos.extend(found.items().map(|object| {
                    let namespace = Some(namespace(object).to_string()).filter(|n| !n.is_empty());
                    Info {
                        resource,
                        namespace,
                        name: json::name(object).into(),
                        object: Value::Null,
                        source: String::new(),
                    }
                })),
                Err(failure) => failures.push(failure),
            }
            continue;
        };
        let namespace = Some(session.globals.namespace().to_string()).filter(|_| resource.namespaced);
        infos.push(Info { resource, namespace, name, object: Value::Null, source: String::new() });
    }
    Ok((infos, failures))
}

/// Deletes an object, says so, and returns its uid.
fn delete_one(session: &mut Session, info: &Info, options: &Options) -> Step<String> {
    let mut uid = String::new();
    if options.dry_run != DryRun::Client {
        let mut body =
            serde_json::json!({"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": options.propagation});
        if options.grace_period >= 0 {
            body["gracePeriodSeconds"] = options.grace_period.into();
        }
        let dry_run = options.dry_run == DryRun::Server;
        let answer = attempt(session.call(ApiCall { body: Some(body), dry_run, ..info.call(ApiVerb::Delete) }))?;
        let answer = answer.map_err(|failure| failure.with_source("deleting", &info.source))?;
        uid = match text(answer, "/metadata/uid") {
            "" => text(answer, "/details/uid").into(),
            uid => uid.into(),
        };
    }
    if options.by_name {
        session.print_line(&info.full_name());
        return Ok(uid);
    }
    let done = if options.grace_period == 0 { "force deleted" } else { "deleted" };
    let place = info.namespace.as_deref().map_or(String::new(), |namespace| format!(" from {namespace} namespace"));
    let (kind, name, suffix) = (info.resource.kind_group(), &info.name, options.dry_run.suffix());
    session.print_line(&format!("{kind} \"{name}\" {done}{place}{suffix}"));
    Ok(uid)
}
