//! `kubectl rollout undo`: puts the pod template of an older ReplicaSet back.
//!
//! Models: kubernetes v1.36.2 staging/src/k8s.io/kubectl/pkg/cmd/rollout/rollout_undo.go,
//! pkg/polymorphichelpers/rollback.go.

use serde_json::{Map, Value, json};

use super::super::builder::Info;
use super::super::describe::template;
use super::super::errors::Failure;
use super::super::flags::{Args, DryRun};
use super::super::json::name;
use super::super::session::{Session, Step, attempt};
use super::super::{ApiCall, ApiVerb, PatchType};
use super::{replica_sets, revision, revisions, template_without_hash};

/// Annotations that stay as they are on the Deployment.
const KEPT: &[&str] = &[
    "kubectl.kubernetes.io/last-applied-configuration",
    "deployment.kubernetes.io/revision",
    "deployment.kubernetes.io/revision-history",
    "deployment.kubernetes.io/desired-replicas",
    "deployment.kubernetes.io/max-replicas",
    "deprecated.deployment.rollback.to",
];

pub(crate) fn undo(session: &mut Session, args: &Args) -> Step<()> {
    let to_revision = args.int("to-revision").unwrap_or(0);
    let dry_run = args.dry_run()?;
    let (infos, mut failures) = super::infos(session, args)?;
    for info in &infos {
        match attempt(undo_one(session, info, to_revision, dry_run))? {
            Ok(outcome) => session.print_line(&format!("{} {outcome}{}", info.full_name(), dry_run.suffix())),
            Err(failure) => failures.push(failure),
        }
    }
    Ok(Failure::collect(failures)?)
}

fn undo_one(session: &mut Session, info: &Info, to_revision: i64, dry_run: DryRun) -> Step<String> {
    if revisions::has_revisions(info) {
        return undo_revision(session, info, to_revision, dry_run);
    }
    if !super::is_deployment(info) {
        let text = format!("no rollbacker has been implemented for \"{}\"", info.resource.kind);
        return Err(Failure::Message(text).into());
    }
    let unknown = || Failure::message(format!("unable to find specified revision {to_revision} in history"));
    if to_revision < 0 {
        return Err(unknown().into());
    }
    let deployment = attempt(session.get(&info.resource, info.namespace.as_deref(), &info.name))?
        .map_err(|failure| failure.wrap(&format!("failed to retrieve Deployment {}", info.name)))?;
    let sets = replica_sets(session, deployment)?;
    let Some(target) = target(&sets, to_revision) else {
        if to_revision > 0 {
            return Err(unknown().into());
        }
        return Err(
            Failure::message(format!("no rollout history found for deployment \"{}\"", name(deployment))).into()
        );
    };
    if dry_run == DryRun::Client {
        return Ok(template::describe(target, ""));
    }
    if deployment.pointer("/spec/paused") == Some(&Value::Bool(true)) {
        let text =
            "you cannot rollback a paused deployment; resume it first with 'kubectl rollout resume' and try again";
        return Err(Failure::message(text).into());
    }
    let template = template_without_hash(target);
    if template == template_without_hash(deployment) {
        return Ok(format!("skipped rollback (current template already matches revision {to_revision})"));
    }
    let patch = json!([
        {"op": "replace", "path": "/spec/template", "value": template},
        {"op": "replace", "path": "/metadata/annotations", "value": annotations(deployment, target)},
    ]);
    let call = ApiCall {
        body: Some(patch),
        dry_run: dry_run == DryRun::Server,
        field_manager: Some("kubectl-rollout".into()),
        ..info.call(ApiVerb::Patch(PatchType::Json))
    };
    let patched = attempt(session.call(call))?;
    patched.map_err(|failure| failure.wrap(&format!("failed restoring revision {to_revision}")))?;
    Ok("rolled back".into())
}

/// A DaemonSet or StatefulSet is patched with what its revision holds.
fn undo_revision(session: &mut Session, info: &Info, to_revision: i64, dry_run: DryRun) -> Step<String> {
    let unknown = || Failure::message(format!("unable to find specified revision {to_revision} in history"));
    if to_revision < 0 {
        return Err(unknown().into());
    }
    let (object, found) = revisions::history(session, info)?;
    if to_revision == 0 && found.len() <= 1 {
        return Err(Failure::message("no last revision to roll back to").into());
    }
    let Some(revision) = revisions::find(&found, to_revision) else { return Err(unknown().into()) };
    if dry_run == DryRun::Client {
        return Ok(template::describe(&revisions::with_template(revision), ""));
    }
    if revisions::matches(object, revision) {
        return Ok(format!("skipped rollback (current template already matches revision {to_revision})"));
    }
    let call = ApiCall {
        body: revision.get("data").cloned(),
        dry_run: dry_run == DryRun::Server,
        field_manager: Some("kubectl-rollout".into()),
        ..info.call(ApiVerb::Patch(PatchType::StrategicMerge))
    };
    let patched = attempt(session.call(call))?;
    patched.map_err(|failure| failure.wrap(&format!("failed restoring revision {to_revision}")))?;
    Ok("rolled back".into())
}

/// The ReplicaSet of a revision; 0 means the one before the newest.
fn target(sets: &[Value], to_revision: i64) -> Option<&Value> {
    if to_revision > 0 {
        return sets.iter().find(|set| revision(set) == Some(to_revision));
    }
    let mut newest: Vec<(i64, &Value)> = sets.iter().filter_map(|set| Some((revision(set)?, set))).collect();
    newest.sort_by_key(|(revision, _)| std::cmp::Reverse(*revision));
    newest.get(1).map(|(_, set)| *set)
}

fn annotations(deployment: &Value, target: &Value) -> Value {
    let of = |object: &Value| {
        object.pointer("/metadata/annotations").and_then(Value::as_object).cloned().unwrap_or_default()
    };
    let mut annotations: Map<String, Value> =
        of(deployment).into_iter().filter(|(key, _)| KEPT.contains(&key.as_str())).collect();
    annotations.extend(of(target).into_iter().filter(|(key, _)| !KEPT.contains(&key.as_str())));
    Value::Object(annotations)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(revision: i64) -> Value {
        json!({"metadata": {"name": format!("rs{revision}"), "annotations": {
            "deployment.kubernetes.io/revision": revision.to_string(), "kubernetes.io/change-cause": "x"}}})
    }

    #[test]
    fn undo_goes_to_the_revision_before_the_newest() {
        let sets = [set(2), set(5), set(3)];
        assert_eq!(target(&sets, 0).map(name), Some("rs3"));
        assert_eq!(target(&sets, 2).map(name), Some("rs2"));
        assert_eq!(target(&sets, 4), None);
        assert_eq!(target(&sets[..1], 0), None);
    }

    #[test]
    fn the_revision_stays_and_the_change_cause_comes_back() {
        let deployment = json!({"metadata": {"annotations": {"deployment.kubernetes.io/revision": "5", "own": "y"}}});
        let expected = json!({"deployment.kubernetes.io/revision": "5", "kubernetes.io/change-cause": "x"});
        assert_eq!(annotations(&deployment, &set(2)), expected);
    }
}
