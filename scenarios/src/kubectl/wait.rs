//! `kubectl wait`.
//!
//! Models: kubernetes v1.36.2 staging/src/k8s.io/kubectl/pkg/cmd/wait/{wait,condition,json,delete,create}.go.
//! Left out: several --for at once.

use serde_json::Value;

use super::builder::{Info, infos};
use super::errors::Failure;
use super::flags::{Args, Flag, Takes};
use super::json::{list, text};
use super::jsonpath::Template;
use super::session::{Session, Step, WatchStep, attempt};
use super::wait_deleted::{Gone, wait_deleted};
use super::{ApiCall, ApiVerb, builder};

pub(crate) const FLAGS: &[Flag] = &[
    ("for", ' ', Takes::Array),
    ("timeout", ' ', Takes::Duration),
    ("selector", 'l', Takes::Text),
    ("field-selector", ' ', Takes::Text),
    ("all", ' ', Takes::Bool),
    ("all-namespaces", 'A', Takes::Bool),
    ("output", 'o', Takes::Text),
    ("local", ' ', Takes::Bool),
];

/// Without --timeout – constant; Kubernetes: NewWaitFlags, 30 s. [ns]
const TIMEOUT: i64 = 30_000_000_000;
/// What a negative --timeout means – constant; one week. [ns]
const WEEK: i64 = 168 * 3600 * 1_000_000_000;

/// What to wait for.
enum Goal {
    Create,
    Delete,
    Condition { kind: String, status: String },
    Field { path: Template, value: Option<String> },
}

pub(crate) fn wait(session: &mut Session, args: &Args) -> Step<()> {
    let goal = goal(args)?;
    let timeout = match args.duration("timeout").unwrap_or(TIMEOUT) {
        negative if negative < 0 => WEEK,
        timeout => timeout,
    };
    if let Goal::Create = goal {
        return wait_created(session, args, timeout);
    }
    let (found, mut failures) = match goal {
        Goal::Delete => infos_if_present(session, args)?,
        _ => infos(session, args, &args.words)?,
    };
    if found.is_empty() && failures.is_empty() && !matches!(goal, Goal::Delete) {
        return Err(Failure::message("no matching resources found").into());
    }
    let deadline = session.now.saturating_add(timeout);
    for info in found {
        let full_name = info.full_name();
        let outcome = match &goal {
            Goal::Delete => {
                let uid = text(&info.object, "/metadata/uid").to_string();
                let left = deadline.saturating_sub(session.now);
                attempt(wait_deleted(session, &[Gone { info, uid }], left))?
            }
            goal => attempt(follow(session, &info, goal, deadline))?,
        };
        match outcome {
            Ok(()) => session.print_line(&format!("{full_name} condition met")),
            Err(failure) => failures.push(failure),
        }
    }
    Ok(Failure::collect(failures)?)
}

fn goal(args: &Args) -> Result<Goal, Failure> {
    let wanted = args.list("for");
    let [wanted] = wanted.as_slice() else {
        return Err(Failure::message("--for must be given exactly once"));
    };
    if wanted.eq_ignore_ascii_case("delete") {
        return Ok(Goal::Delete);
    }
    if wanted.eq_ignore_ascii_case("create") {
        return Ok(Goal::Create);
    }
    if let Some(condition) = wanted.strip_prefix("condition=") {
        let (kind, status) = condition.split_once('=').unwrap_or((condition, "true"));
        return Ok(Goal::Condition { kind: kind.into(), status: status.into() });
    }
    if let Some(expression) = wanted.strip_prefix("jsonpath=") {
        let (path, value) = match expression.rsplit_once("}=") {
            Some((path, value)) => {
                (format!("{path}}}"), Some(value.trim_matches(|c| c == '"' || c == '\'').to_string()))
            }
            None => (expression.to_string(), None),
        };
        let path = Template::relaxed(&path)
            .map_err(|why| Failure::message(format!("error parsing jsonpath {path}, {why}")))?;
        return Ok(Goal::Field { path, value });
    }
    Err(Failure::message(format!("unrecognized condition: \"{wanted}\"")))
}

/// Looks every half second whether the objects are there.
fn wait_created(session: &mut Session, args: &Args, timeout: i64) -> Step<()> {
    const LOOK: i64 = 500_000_000;
    let deadline = session.now.saturating_add(timeout);
    loop {
        let started = session.now;
        let (found, failures) = builder::infos(session, args, &args.words)?;
        if let Some(failure) = failures.iter().find(|failure| !failure.is_not_found()) {
            return Err(failure.clone().into());
        }
        if failures.is_empty() && !found.is_empty() {
            found.iter().for_each(|info| session.print_line(&format!("{} condition met", info.full_name())));
            return Ok(());
        }
        let next = started.saturating_add(LOOK);
        if next >= deadline {
            session.sleep(u64::try_from(deadline.saturating_sub(session.now)).unwrap_or(0))?;
            return Err(Failure::message("timed out waiting for the condition").into());
        }
        session.sleep(u64::try_from(next.saturating_sub(session.now)).unwrap_or(0))?;
    }
}

/// Waiting for a deletion, an object that is already gone is no failure.
fn infos_if_present(session: &mut Session, args: &Args) -> Step<(Vec<Info>, Vec<Failure>)> {
    let (found, failures) = builder::infos(session, args, &args.words)?;
    Ok((found, failures.into_iter().filter(|failure| !failure.is_not_found()).collect()))
}

fn follow(session: &mut Session, info: &Info, goal: &Goal, deadline: i64) -> Step<()> {
    let timed_out =
        || Failure::message(format!("timed out waiting for the condition on {}/{}", info.resource.plural, info.name));
    loop {
        let stream = session.watch(ApiCall {
            field_selector: Some(format!("metadata.name={}", info.name)),
            send_initial_events: true,
            ..info.resource.call(ApiVerb::Watch, info.namespace.as_deref())
        })?;
        loop {
            if session.now >= deadline {
                return Err(timed_out().into());
            }
            match session.next_event(stream, Some(deadline))? {
                WatchStep::TimedOut => return Err(timed_out().into()),
                WatchStep::Ended => break,
                WatchStep::Event { kind, object } => match kind {
                    "ADDED" | "MODIFIED" if is_met(object, goal) => return Ok(()),
                    "ERROR" => break,
                    _ => {}
                },
            }
        }
    }
}

fn is_met(object: &Value, goal: &Goal) -> bool {
    match goal {
        Goal::Create | Goal::Delete => false,
        Goal::Condition { kind, status } => {
            // A condition about an older generation says nothing about this one.
            let generation = super::json::integer(object, "/metadata/generation").unwrap_or(0);
            let stale =
                super::json::integer(object, "/status/observedGeneration").is_some_and(|seen| seen < generation);
            let found = list(object, "/status/conditions").iter().find(|c| text(c, "/type").eq_ignore_ascii_case(kind));
            !stale && found.is_some_and(|c| text(c, "/status").eq_ignore_ascii_case(status))
        }
        Goal::Field { path, value } => {
            let values = path.values(object);
            match value {
                None => !values.is_empty(),
                Some(wanted) => matches!(values.as_slice(), [one] if super::json::scalar(one) == *wanted),
            }
        }
    }
}
