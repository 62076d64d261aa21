//! `kubectl rollout status`: a line for every change until the rollout is done.
//!
//! Models: kubernetes v1.36.2 staging/src/k8s.io/kubectl/pkg/cmd/rollout/rollout_status.go,
//! pkg/polymorphichelpers/rollout_status.go (`DeploymentStatusViewer`).

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
        if !super::is_deployment(&info) {
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
                    let (line, done) = status_line(object, args.int("revision").unwrap_or(0))?;
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
}
