//! `kubectl rollout status`: a line for every change until the rollout is done.
//!
//! Models: kubernetes v1.36.2 staging/src/k8s.io/kubectl/pkg/cmd/rollout/rollout_status.go,
//! pkg/polymorphichelpers/rollout_status.go.

use serde_json::Value;

use super::super::builder::Info;
use super::super::errors::Failure;
use super::super::flags::Args;
use super::super::json::{list, name, number, text};
use super::super::session::{Session, Step, WatchStep};
use super::super::{ApiCall, ApiVerb, Loop};

/// Where `rollout status` stands while it watches.
#[derive(Clone, Debug)]
pub struct StatusWatch {
    info: Info,
    stream: usize,
    deadline: Option<i64>,
}

pub(crate) fn status(session: &mut Session, args: &Args) -> Step<()> {
    if args.int("revision").is_some_and(|r| r < 0) {
        return Err(Failure::message(format!("revision must be a positive integer: {}", args.text("revision"))).into());
    }
    if let Some(Loop::RolloutStatus(state)) = session.resumed() {
        return follow(session, args, state.clone());
    }
    let (infos, failures) = super::infos(session, args)?;
    Failure::collect(failures)?;
    if infos.is_empty() {
        return Err(Failure::message("no resources found").into());
    }
    for info in infos {
        if !matches!(info.resource.plural, "deployments" | "daemonsets" | "statefulsets") {
            return Err(not_rolled_out(&info).into());
        }
        let timeout = args.duration("timeout").filter(|t| *t > 0);
        let deadline = timeout.map(|t| session.now.saturating_add(t));
        let stream = open(session, &info)?;
        follow(session, args, StatusWatch { info, stream, deadline })?;
    }
    Ok(())
}

/// What kubectl says about kinds that have no rollout.
fn not_rolled_out(info: &Info) -> Failure {
    Failure::message(format!(
        "no status viewer has been implemented for {{{} {}}}",
        info.resource.group, info.resource.kind
    ))
}

fn open(session: &mut Session, info: &Info) -> Step<usize> {
    session.watch(ApiCall {
        field_selector: Some(format!("metadata.name={}", info.name)),
        send_initial_events: true,
        ..info.resource.call(ApiVerb::Watch, info.namespace.as_deref())
    })
}

fn follow(session: &mut Session, args: &Args, mut state: StatusWatch) -> Step<()> {
    let timed_out = || Failure::message("timed out waiting for the condition");
    loop {
        // With several objects the loop cannot be resumed: the others are still to come.
        if args.words.len() <= 2 && !args.has("filename") && !args.has("selector") {
            session.checkpoint(|| Loop::RolloutStatus(state.clone()));
        }
        if state.deadline.is_some_and(|deadline| session.now >= deadline) {
            return Err(timed_out().into());
        }
        match session.next_event(state.stream, state.deadline)? {
            WatchStep::TimedOut => return Err(timed_out().into()),
            WatchStep::Ended => state.stream = open(session, &state.info)?,
            WatchStep::Event { kind, object } => match kind {
                "ADDED" | "MODIFIED" => {
                    let (line, done) = match state.info.resource.kind {
                        "DaemonSet" => daemon_set(object)?,
                        "StatefulSet" => stateful_set(object)?,
                        _ => status_line(object, args.int("revision").unwrap_or(0))?,
                    };
                    session.print_line(&line);
                    if done || !args.bool_or("watch", true) {
                        return Ok(());
                    }
                }
                "DELETED" => return Err(Failure::message("object has been deleted").into()),
                _ => {}
            },
        }
    }
}

fn only_rolling(object: &Value) -> Result<(), Failure> {
    match text(object, "/spec/updateStrategy/type") {
        "RollingUpdate" => Ok(()),
        _ => Err(Failure::message("rollout status is only available for RollingUpdate strategy type")),
    }
}

/// The line about a DaemonSet, and whether its rollout is done.
fn daemon_set(object: &Value) -> Result<(String, bool), Failure> {
    only_rolling(object)?;
    let (generation, observed) = super::generations(object);
    if generation > observed {
        return Ok(("Waiting for daemon set spec update to be observed...".into(), false));
    }
    let count = |field: &str| number(object, &format!("/status/{field}"));
    let (name, wanted) = (name(object), count("desiredNumberScheduled"));
    let (updated, available) = (count("updatedNumberScheduled"), count("numberAvailable"));
    let waiting = |what: String| Ok((format!("Waiting for daemon set \"{name}\" rollout to finish: {what}..."), false));
    if updated < wanted {
        return waiting(format!("{updated} out of {wanted} new pods have been updated"));
    }
    if available < wanted {
        return waiting(format!("{available} of {wanted} updated pods are available"));
    }
    Ok((format!("daemon set \"{name}\" successfully rolled out"), true))
}

/// The line about a StatefulSet, and whether its rollout is done.
fn stateful_set(object: &Value) -> Result<(String, bool), Failure> {
    only_rolling(object)?;
    let (generation, observed) = super::generations(object);
    if observed == 0 || generation > observed {
        return Ok(("Waiting for statefulset spec update to be observed...".into(), false));
    }
    let count = |field: &str| number(object, &format!("/status/{field}"));
    let (wanted, ready) = (number(object, "/spec/replicas"), count("readyReplicas"));
    if ready < wanted {
        return Ok((format!("Waiting for {} pods to be ready...", wanted - ready), false));
    }
    let updated = count("updatedReplicas");
    if let Some(rolling) = object.pointer("/spec/updateStrategy/rollingUpdate").filter(|r| r.is_object()) {
        let partitioned = super::super::json::integer(rolling, "/partition").map(|partition| wanted - partition);
        if let Some(wanted) = partitioned.filter(|wanted| updated < *wanted) {
            let what = format!("{updated} out of {wanted} new pods have been updated");
            return Ok((format!("Waiting for partitioned roll out to finish: {what}..."), false));
        }
        return Ok((format!("partitioned roll out complete: {updated} new pods have been updated..."), true));
    }
    let (update, current) = (text(object, "/status/updateRevision"), text(object, "/status/currentRevision"));
    if update != current {
        let what = format!("{updated} pods at revision {update}");
        return Ok((format!("waiting for statefulset rolling update to complete {what}..."), false));
    }
    let pods = count("currentReplicas");
    Ok((format!("statefulset rolling update complete {pods} pods at revision {current}..."), true))
}

/// The line about a Deployment, and whether its rollout is done.
fn status_line(deployment: &Value, wanted: i64) -> Result<(String, bool), Failure> {
    if wanted > 0 {
        let running = super::revision(deployment).ok_or_else(|| {
            Failure::message(format!("cannot get the revision of deployment \"{}\"", name(deployment)))
        })?;
        if running != wanted {
            let text = format!("desired revision ({wanted}) is different from the running revision ({running})");
            return Err(Failure::Message(text));
        }
    }
    let (generation, observed) = super::generations(deployment);
    if generation > observed {
        return Ok(("Waiting for deployment spec update to be observed...".into(), false));
    }
    let conditions = list(deployment, "/status/conditions");
    let progressing = conditions.iter().find(|c| text(c, "/type") == "Progressing");
    let name = name(deployment);
    if progressing.is_some_and(|c| text(c, "/reason") == "ProgressDeadlineExceeded") {
        return Err(Failure::message(format!("deployment \"{name}\" exceeded its progress deadline")));
    }
    let count = |field: &str| number(deployment, &format!("/status/{field}"));
    let (updated, replicas, available) = (count("updatedReplicas"), count("replicas"), count("availableReplicas"));
    let waiting = |what: String| Ok((format!("Waiting for deployment \"{name}\" rollout to finish: {what}..."), false));
    if let Some(desired) = super::integer(deployment, "/spec/replicas")
        && updated < desired
    {
        return waiting(format!("{updated} out of {desired} new replicas have been updated"));
    }
    if replicas > updated {
        return waiting(format!("{} old replicas are pending termination", replicas - updated));
    }
    if available < updated {
        return waiting(format!("{available} of {updated} updated replicas are available"));
    }
    Ok((format!("deployment \"{name}\" successfully rolled out"), true))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_first_condition_that_holds_is_told() {
        let deployment = |generation: i64, updated: i64, replicas: i64, available: i64| {
            json!({"metadata": {"name": "d", "generation": generation}, "spec": {"replicas": 3}, "status": {
                "observedGeneration": 1, "updatedReplicas": updated, "replicas": replicas, "availableReplicas":
                available}})
        };
        let line = |d: Value| status_line(&d, 0).expect("no error");
        let waiting = |what: &str| (format!("Waiting for deployment \"d\" rollout to finish: {what}..."), false);
        assert_eq!(
            line(deployment(2, 3, 3, 3)),
            ("Waiting for deployment spec update to be observed...".into(), false)
        );
        assert_eq!(line(deployment(1, 2, 4, 3)), waiting("2 out of 3 new replicas have been updated"));
        assert_eq!(line(deployment(1, 3, 4, 3)), waiting("1 old replicas are pending termination"));
        assert_eq!(line(deployment(1, 3, 3, 2)), waiting("2 of 3 updated replicas are available"));
        assert_eq!(line(deployment(1, 3, 3, 3)), ("deployment \"d\" successfully rolled out".into(), true));
    }

    #[test]
    fn an_exceeded_deadline_is_an_error() {
        let deployment = json!({"metadata": {"name": "d"}, "status": {"conditions": [
            {"type": "Progressing", "reason": "ProgressDeadlineExceeded"}]}});
        let error = status_line(&deployment, 0).expect_err("exceeded");
        assert_eq!(error.text(), "deployment \"d\" exceeded its progress deadline");
    }

    #[test]
    fn other_kinds_have_lines_of_their_own() {
        let strategy = |rolling: Value| json!({"type": "RollingUpdate", "rollingUpdate": rolling});
        let daemons = |updated: i64, available: i64| {
            daemon_set(&json!({"metadata": {"name": "d", "generation": 1},
                "spec": {"updateStrategy": strategy(json!({}))}, "status": {"observedGeneration": 1,
                    "desiredNumberScheduled": 3, "updatedNumberScheduled": updated, "numberAvailable": available}}))
            .expect("rolling")
        };
        assert!(daemons(2, 3).0.ends_with("2 out of 3 new pods have been updated..."));
        assert!(daemons(3, 2).0.ends_with("2 of 3 updated pods are available..."));
        assert_eq!(daemons(3, 3), ("daemon set \"d\" successfully rolled out".into(), true));
        let set = |ready: i64, updated: i64, rolling: Value| {
            stateful_set(&json!({"metadata": {"generation": 1}, "spec": {"replicas": 3, "updateStrategy":
                strategy(rolling)}, "status": {"observedGeneration": 1, "readyReplicas": ready,
                "updatedReplicas": updated, "currentRevision": "r1", "updateRevision": "r1", "currentReplicas": 3}}))
            .expect("rolling")
        };
        let zero = json!({"partition": 0});
        assert_eq!(set(1, 0, zero.clone()).0, "Waiting for 2 pods to be ready...");
        assert!(set(3, 1, zero.clone()).0.ends_with("1 out of 3 new pods have been updated..."));
        assert_eq!(set(3, 3, zero), ("partitioned roll out complete: 3 new pods have been updated...".into(), true));
        let done = "statefulset rolling update complete 3 pods at revision r1...";
        assert_eq!(set(3, 3, Value::Null), (done.into(), true));
        let manual = json!({"spec": {"updateStrategy": {"type": "OnDelete"}}});
        assert!(stateful_set(&manual).is_err() && daemon_set(&manual).is_err());
    }
}
