//! `kubectl diff`: what `kubectl apply` would change.
//!
//! Models: kubernetes v1.36.2 staging/src/k8s.io/kubectl/pkg/cmd/diff/diff.go; the output of `diff -u -N` on two folders.
//! Left out: --server-side, --prune, the environment variable that names another program.

use serde_json::{Map, Value};

use super::apply::{patch_live, unversioned, without_last_applied};
use super::builder::Info;
use super::errors::Failure;
use super::flags::{Args, DryRun, Flag, Takes};
use super::session::{Session, Step, attempt};
use super::unified;
use super::{ApiCall, ApiVerb, duration, manifest, yaml_out};

pub(crate) const FLAGS: &[Flag] = &[
    ("selector", 'l', Takes::Text),
    ("server-side", ' ', Takes::Bool),
    ("force-conflicts", ' ', Takes::Bool),
    ("field-manager", ' ', Takes::Text),
    ("prune", ' ', Takes::Bool),
    ("prune-allowlist", ' ', Takes::Array),
    ("show-managed-fields", ' ', Takes::Bool),
    ("concurrency", ' ', Takes::Int(64)),
];

pub(crate) fn diff(session: &mut Session, args: &Args) -> Step<()> {
    for flag in ["server-side", "prune"] {
        if args.bool(flag) {
            return Err(Failure::message(format!("diff --{flag} is not simulated; leave it out")).into());
        }
    }
    if args.bool("force-conflicts") {
        return Err(Failure::message("--force-conflicts only works with --server-side").into());
    }
    if !args.has("filename") && !args.has("kustomize") {
        return Err(Failure::message("must specify one of -f and -k").into());
    }
    if !args.words.is_empty() {
        return Err(args.usage(format!("Unexpected args: [{}]", args.words.join(" "))).into());
    }
    let found = manifest::read(session, args)?;
    Failure::collect(found.failures)?;
    let mut files = Vec::new();
    for info in &found.infos {
        files.push(versions(session, args, info)?);
    }
    // Two folders are compared file by file, in the order of their names.
    files.sort_by(|a, b| a.0.cmp(&b.0));
    let (folders, at) = (folders(session.process.started), timestamp(session.now));
    let mut differs = false;
    for (name, live, merged) in files {
        let hunks = unified::hunks(&live, &merged);
        if hunks.is_empty() {
            continue;
        }
        differs = true;
        let [live, merged] = folders.each_ref().map(|folder| format!("{folder}/{name}"));
        session.print(&format!("diff -u -N {live} {merged}\n--- {live}\t{at}\n+++ {merged}\t{at}\n{hunks}"));
    }
    if differs { Err(Failure::Silent.into()) } else { Ok(()) }
}

/// The name of an object's file, the object as it is, and as it would be.
fn versions(session: &mut Session, args: &Args, info: &Info) -> Step<(String, String, String)> {
    let live = match attempt(session.get_info(&info.resource, info.namespace.as_deref(), &info.name))? {
        Ok(live) => Some(live.clone()),
        Err(failure) if failure.is_not_found() => None,
        Err(failure) => return Err(failure.into()),
    };
    let merged = match &live {
        Some(live) => {
            let wanted = without_last_applied(&info.object);
            patch_live(session, args, info, live.clone(), &wanted, DryRun::Server)?.0
        }
        None => {
            let call = info.resource.call(ApiVerb::Create, info.namespace.as_deref());
            let body = Some(unversioned(info.object.clone()));
            session.call(ApiCall { body, dry_run: true, ..call })?.clone()
        }
    };
    let (mut live, mut merged) = (live.unwrap_or_default(), merged);
    if info.resource.kind == "Secret" {
        mask(&mut live, &mut merged);
    }
    let group = if info.resource.group.is_empty() { String::new() } else { format!("{}.", info.resource.group) };
    let namespace = info.namespace.as_deref().unwrap_or("");
    let name = format!("{group}{}.{}.{namespace}.{}", info.resource.version, info.resource.kind, info.name);
    Ok((name, file(live), file(merged)))
}

fn file(mut object: Value) -> String {
    if object.is_null() {
        return String::new();
    }
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("managedFields");
    }
    yaml_out::yaml(&object)
}

/// Hides what is secret, but not whether it differs.
fn mask(live: &mut Value, merged: &mut Value) {
    let data = |object: &Value| object.get("data").and_then(Value::as_object).cloned().unwrap_or_default();
    let (before, after) = (data(live), data(merged));
    let masked = |of: &Map<String, Value>, other: &Map<String, Value>, changed: &str| -> Map<String, Value> {
        let text = |(key, value): (&String, &Value)| match other.get(key) {
            Some(there) if there != value => (key.clone(), Value::from(changed)),
            _ => (key.clone(), "***".into()),
        };
        of.iter().map(text).collect()
    };
    for (object, data) in
        [(live, masked(&before, &after, "*** (before)")), (merged, masked(&after, &before, "*** (after)"))]
    {
        if !data.is_empty() {
            object["data"] = data.into();
        }
    }
}

/// Two temporary folders, whose names hang on when kubectl was started.
fn folders(started: i64) -> [String; 2] {
    ["LIVE", "MERGED"].map(|title| {
        let number = wavetank_engine::kernel::hash_words(&[started.unsigned_abs(), title.len() as u64]);
        format!("/tmp/{title}-{}", number % 9_000_000_000 + 1_000_000_000)
    })
}

/// `2026-11-22 08:05:43.892187897 +0000`
fn timestamp(ns: i64) -> String {
    let text = duration::rfc3339(ns);
    let (date, clock) = text.trim_end_matches('Z').split_once('T').unwrap_or((&text, ""));
    format!("{date} {clock}.{:09} +0000", ns.rem_euclid(1_000_000_000))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn secrets_are_masked_and_changes_still_seen() {
        let mut live = json!({"data": {"a": "1", "b": "2", "c": "3"}});
        let mut merged = json!({"data": {"a": "1", "b": "9", "d": "4"}});
        mask(&mut live, &mut merged);
        assert_eq!(live, json!({"data": {"a": "***", "b": "*** (before)", "c": "***"}}));
        assert_eq!(merged, json!({"data": {"a": "***", "b": "*** (after)", "d": "***"}}));
        assert_eq!(timestamp(1_500_000_001), "1970-01-01 00:00:01.500000001 +0000");
    }
}
