//! `kubectl set env`.
//!
//! Models: kubernetes v1.36.2 staging/src/k8s.io/kubectl/pkg/cmd/set/set_env.go, env/{env_parse,env_resolve}.go.
//! Left out: --resolve.

use serde_json::{Value, json};

use super::super::builder::{Info, infos, targets};
use super::super::errors::Failure;
use super::super::flags::{Args, DryRun, Flag, Takes};
use super::super::json::{list, name, pairs, present, text};
use super::super::session::{Session, Step, attempt};
use super::{Change, containers, pod_spec_of, refuse_local, send};

pub(crate) const FLAGS: &[Flag] = &[
    ("containers", 'c', Takes::Text),
    ("from", ' ', Takes::Text),
    ("prefix", ' ', Takes::Text),
    ("env", 'e', Takes::Array),
    ("keys", ' ', Takes::List),
    ("list", ' ', Takes::Bool),
    ("resolve", ' ', Takes::Bool),
    ("overwrite", ' ', Takes::Bool),
];

/// Variables to set, in order, and names to remove.
struct Changes {
    set: Vec<Value>,
    remove: Vec<String>,
}

pub(crate) fn set_env(session: &mut Session, args: &Args) -> Step<()> {
    refuse_local(args)?;
    if args.bool("resolve") {
        return Err(Failure::message("set env --resolve is not simulated").into());
    }
    let (resources, words) = split(args)?;
    if resources.is_empty() && !args.has("filename") {
        return Err(Failure::message(
            "one or more resources must be specified as <resource> <name> or <resource>/<name>",
        )
        .into());
    }
    if args.bool("list") && args.has("output") {
        return Err(Failure::message("--list and --output may not be specified together").into());
    }
    if args.has("keys") && args.given("from").is_none() {
        let text = "when specifying --keys, a configmap or secret must be provided with --from";
        return Err(Failure::message(text).into());
    }
    let dry_run = args.dry_run()?;
    let all: Vec<String> = args.list("env").into_iter().chain(words).collect();
    let mut changes = parse(session, &all)?;
    if let Some(from) = args.given("from") {
        changes.set.extend(variables_from(session, args, &from)?);
    }
    if let Some(prefix) = args.given("prefix") {
        for variable in &mut changes.set {
            variable["name"] = format!("{prefix}{}", text(variable, "/name")).into();
        }
    }
    let (infos, mut failures) = infos(session, args, &resources)?;
    Failure::collect(std::mem::take(&mut failures))?;
    for info in &infos {
        if let Err(failure) = attempt(set_one(session, args, info, &changes, dry_run))? {
            failures.push(failure);
        }
    }
    Ok(Failure::collect(failures)?)
}

/// `KEY=VALUE`, `KEY-` and `-` are about the environment, the words before them about objects.
fn split(args: &Args) -> Result<(Vec<String>, Vec<String>), Failure> {
    let (mut resources, mut changes) = (Vec::new(), Vec::new());
    for word in &args.words {
        if word.contains('=') || (word.ends_with('-') && !resources.is_empty()) {
            changes.push(word.clone());
        } else if changes.is_empty() {
            resources.push(word.clone());
        } else {
            let text = format!("all resources must be specified before environment changes: {word}");
            return Err(Failure::Message(text));
        }
    }
    Ok((resources, changes))
}

fn parse(session: &Session, words: &[String]) -> Result<Changes, Failure> {
    let mut changes = Changes { set: Vec::new(), remove: Vec::new() };
    for word in words {
        if word == "-" {
            let lines = session.process.stdin.clone().unwrap_or_default();
            for (key, value) in lines.lines().filter_map(|line| line.split_once('=')) {
                changes.set.push(json!({"name": key, "value": value}));
            }
        } else if let Some((key, value)) = word.split_once('=') {
            if key.is_empty() {
                return Err(Failure::message(format!("invalid environment: {word}")));
            }
            changes.set.push(json!({"name": key, "value": value}));
        } else if let Some(key) = word.strip_suffix('-') {
            changes.remove.push(key.into());
        } else {
            return Err(Failure::message(format!("unknown environment: {word}")));
        }
    }
    if let Some(both) = changes.remove.iter().find(|key| changes.set.iter().any(|v| text(v, "/name") == *key)) {
        return Err(Failure::message(format!("can not both modify and remove an environment variable: {both}")));
    }
    Ok(changes)
}

/// A variable for each key of a ConfigMap or Secret.
fn variables_from(session: &mut Session, args: &Args, from: &str) -> Step<Vec<Value>> {
    let (keys, namespace) = (args.list("keys"), session.globals.namespace().to_string());
    let mut variables = Vec::new();
    for target in targets(&[from.to_string()], &[])? {
        let Some(target_name) = &target.name else { continue };
        let object = session.get_info(&target.resource, Some(&namespace), target_name)?;
        let reference = match target.resource.kind {
            "ConfigMap" => "configMapKeyRef",
            "Secret" => "secretKeyRef",
            _ => return Err(Failure::message("unsupported resource specified in --from").into()),
        };
        for (key, _) in pairs(object, "/data") {
            if keys.is_empty() || keys.iter().any(|wanted| wanted == key) {
                let variable: String =
                    key.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' }).collect();
                variables.push(json!({"name": variable, "valueFrom": {reference: {"key": key, "name": name(object)}}}));
            }
        }
    }
    Ok(variables)
}

fn set_one(session: &mut Session, args: &Args, info: &Info, changes: &Changes, dry_run: DryRun) -> Step<()> {
    let pattern = args.text_or("containers", "*");
    let mut object = info.object.clone();
    let found = containers(pod_spec_of(&mut object, info)?, pattern);
    if found.is_empty() {
        let (kind, name) = (info.resource.kind, &info.name);
        session.error_line(&format!("warning: {kind}/{name} does not have any containers matching \"{pattern}\""));
    }
    let mut listing = String::new();
    for container in found {
        let old = list(container, "/env").to_vec();
        if !args.bool_or("overwrite", true) {
            check_overwrites(info, &old, &changes.set)?;
        }
        let new = updated(&old, changes);
        listing.push_str(&format!("# {} {}, container {}\n", info.resource.kind, info.name, text(container, "/name")));
        new.iter().for_each(|variable| listing.push_str(&shown(variable)));
        if let Some(container) = container.as_object_mut() {
            if new.is_empty() {
                container.remove("env");
            } else {
                container.insert("env".into(), Value::Array(new));
            }
        }
    }
    if args.bool("list") {
        session.print(&listing);
        return Ok(());
    }
    let change = Change { outcome: "env updated", refused: "failed to patch env update to pod template:" };
    send(session, args, info, object, &change, dry_run)
}

fn check_overwrites(info: &Info, old: &[Value], set: &[Value]) -> Result<(), Failure> {
    for variable in set {
        let known = old.iter().find(|v| text(v, "/name") == text(variable, "/name"));
        if let Some(known) = known.filter(|known| text(known, "/value") != text(variable, "/value")) {
            let full_name = format!("{}/{}", info.resource.plural_group(), info.name);
            return Err(Failure::message(format!(
                "error: {full_name} '{}' already has a value ({}), and --overwrite is false",
                text(variable, "/name"),
                text(known, "/value")
            )));
        }
    }
    Ok(())
}

/// Known variables keep their places, new ones follow.
fn updated(old: &[Value], changes: &Changes) -> Vec<Value> {
    let same = |a: &Value, b: &Value| text(a, "/name") == text(b, "/name");
    let mut out: Vec<Value> = Vec::new();
    for variable in old.iter().filter(|v| !changes.remove.iter().any(|name| name == text(v, "/name"))) {
        match changes.set.iter().rfind(|new| same(new, variable)) {
            Some(new) if !out.iter().any(|done| same(done, variable)) => out.push(new.clone()),
            Some(_) => {}
            None => out.push(variable.clone()),
        }
    }
    for (i, new) in changes.set.iter().enumerate() {
        let later = changes.set.iter().skip(i + 1).any(|later| same(later, new));
        if !later && !out.iter().any(|done| same(done, new)) {
            out.push(new.clone());
        }
    }
    out
}

fn shown(variable: &Value) -> String {
    let name = text(variable, "/name");
    if !present(variable, "/valueFrom") {
        return format!("{name}={}\n", text(variable, "/value"));
    }
    let of = |pointer: &str| text(variable, &format!("/valueFrom/{pointer}"));
    let source = if present(variable, "/valueFrom/configMapKeyRef") {
        format!("configmap {}, key {}", of("configMapKeyRef/name"), of("configMapKeyRef/key"))
    } else if present(variable, "/valueFrom/secretKeyRef") {
        format!("secret {}, key {}", of("secretKeyRef/name"), of("secretKeyRef/key"))
    } else if present(variable, "/valueFrom/fieldRef") {
        format!("field path {}", of("fieldRef/fieldPath"))
    } else if present(variable, "/valueFrom/resourceFieldRef") {
        let container = match of("resourceFieldRef/containerName") {
            "" => String::new(),
            container => format!("{container}/"),
        };
        format!("resource field {container}{}", of("resourceFieldRef/resource"))
    } else {
        "invalid valueFrom".into()
    };
    format!("# {name} from {source}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_keep_their_places() {
        let variable = |name: &str, value: &str| json!({"name": name, "value": value});
        let old = [variable("A", "1"), variable("B", "2"), variable("C", "3")];
        let changes = Changes { set: vec![variable("D", "4"), variable("B", "5")], remove: vec!["A".into()] };
        assert_eq!(updated(&old, &changes), [variable("B", "5"), variable("C", "3"), variable("D", "4")]);
    }

    #[test]
    fn references_are_listed_as_comments() {
        let variable = json!({"name": "MODE", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "mode"}}});
        assert_eq!(shown(&variable), "# MODE from configmap settings, key mode\n");
    }
}
