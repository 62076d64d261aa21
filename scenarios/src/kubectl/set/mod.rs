//! `kubectl set`: changes inside the pod template of an object.
//!
//! Models: kubernetes v1.36.2 staging/src/k8s.io/kubectl/pkg/cmd/set/helper.go, pkg/polymorphichelpers/
//! updatepodspec.go.
//! Left out: --local; `set selector` and `set subject`.

pub(crate) mod account;
pub(crate) mod env;
pub(crate) mod image;
pub(crate) mod resources;

use serde_json::Value;

use super::builder::Info;
use super::errors::Failure;
use super::flags::{Args, DryRun, Flag, Takes};
use super::session::{Session, Step, attempt};
use super::{ApiCall, ApiVerb, PatchType, create, patch};

pub(crate) const FLAGS: &[Flag] =
    &[("selector", 'l', Takes::Text), ("all", ' ', Takes::Bool), ("local", ' ', Takes::Bool)];

fn refuse_local(args: &Args) -> Result<(), Failure> {
    match args.bool("local") {
        true => {
            Err(Failure::message(format!("{} --local is not simulated", args.command.trim_start_matches("kubectl "))))
        }
        false => Ok(()),
    }
}

/// The pod spec inside an object.
fn pod_spec(object: &mut Value) -> Option<&mut Value> {
    let path = match object.get("kind").and_then(Value::as_str) {
        Some("Pod") => "/spec",
        Some("CronJob") => "/spec/jobTemplate/spec/template/spec",
        _ => "/spec/template/spec",
    };
    object.pointer_mut(path).filter(|spec| spec.is_object())
}

/// The pod spec, or what kubectl says about an object without one.
fn pod_spec_of<'a>(object: &'a mut Value, info: &Info) -> Result<&'a mut Value, Failure> {
    let kind = info.resource.kind;
    pod_spec(object)
        .ok_or_else(|| Failure::message(format!("the object is not a pod or does not have a pod template: *{kind}")))
}

/// Whether a name matches a pattern in which `*` stands for anything.
fn is_like(name: &str, pattern: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = name.strip_prefix(parts.next().unwrap_or("")) else { return false };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else { return rest.is_empty() };
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = rest.get(at + part.len()..).unwrap_or(""),
            None => return false,
        }
    }
    rest.ends_with(last)
}

/// The containers whose names match, init containers last.
fn containers<'a>(spec: &'a mut Value, pattern: &str) -> Vec<&'a mut Value> {
    let mut found = Vec::new();
    let mut init = Vec::new();
    let Some(spec) = spec.as_object_mut() else { return found };
    for (field, value) in spec.iter_mut() {
        let into = match field.as_str() {
            "containers" => &mut found,
            "initContainers" => &mut init,
            _ => continue,
        };
        let members = value.as_array_mut().into_iter().flatten();
        into.extend(members.filter(|c| is_like(c.get("name").and_then(Value::as_str).unwrap_or(""), pattern)));
    }
    found.extend(init);
    found
}

/// How a change is sent and told.
struct Change<'a> {
    /// Such as `image updated`.
    outcome: &'a str,
    /// Introduces a refusal, such as `failed to patch image update to pod template:`.
    refused: &'a str,
}

/// Sends the difference between an object and its changed copy; without one nothing is said.
fn send(session: &mut Session, args: &Args, info: &Info, changed: Value, change: &Change, dry_run: DryRun) -> Step<()> {
    let patch = patch::two_way(info.resource.kind, &info.object, &changed);
    if patch.as_object().is_none_or(|p| p.is_empty()) {
        return Ok(());
    }
    let mut result = changed;
    if dry_run != DryRun::Client {
        let call = ApiCall {
            body: Some(patch),
            dry_run: dry_run == DryRun::Server,
            field_manager: Some(args.text_or("field-manager", "kubectl-set").into()),
            ..info.call(ApiVerb::Patch(PatchType::StrategicMerge))
        };
        result = attempt(session.call(call))?.map_err(|failure| failure.prefixed(change.refused))?.clone();
    }
    create::say(session, args, &info.resource, &result, change.outcome, dry_run)
}

#[cfg(test)]
mod tests {
    use super::is_like;

    #[test]
    fn a_star_stands_for_anything() {
        assert!(is_like("nginx", "*") && is_like("nginx", "n*x") && is_like("nginx", "nginx") && is_like("ab", "a*b*"));
        assert!(!is_like("nginx", "n") && !is_like("nginx", "x*") && !is_like("nginx", "n*y"));
    }
}
