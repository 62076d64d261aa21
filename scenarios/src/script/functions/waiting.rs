//! `wait`: letting virtual time pass until objects are in a state, like `kubectl wait` but without any request.
//!
//! Models: kubernetes v1.36.2 staging/src/k8s.io/kubectl/pkg/cmd/wait/condition.go, in what counts as a condition that
//! is met: the status asked for, and an observed generation that is not behind the object's. Left out: JSONPath
//! conditions.

use super::super::drive::{Test, pass_until};
use super::super::duration;
use super::super::errors::{Fallible, Problem};
use super::super::host::borrow;
use super::super::object::Object;
use super::super::words;
use super::commands::wait_for_process;
use super::objects::in_namespace;
use super::{Call, Function, Group, Handle, Receiver};
use crate::session::Nanos;
use crate::transcript::Kind;
use rhai::Dynamic;
use serde_json::Value;

/// How long `wait` waits if it is not told. [ns]
const DEFAULT_TIMEOUT: Nanos = 120_000_000_000;

pub(super) const FUNCTIONS: &[Function] = &[Function {
    name: "wait",
    group: Group::Waiting,
    signatures: &["wait(target, state)", "wait(target, state, timeout)", "process.wait()", "process.wait(timeout)"],
    summary: "Lets virtual time pass until the target is in a state, at most 2 minutes or the timeout; then the script \
        stops with an error that says what was seen. It looks at the stored objects and makes no request. The target \
        is `kind/name` or a kind, which means all of them and at least one; `-n`, `-A` and `-l key=value` narrow it as \
        they do for kubectl. The state is a condition's type (`\"Available\"`, `\"Ready\"`, `\"Complete\"`, \
        `\"Ready=False\"`), a phase (`\"Running\"`, `\"Succeeded\"`), `\"created\"` or `\"deleted\"`. On a process, \
        `wait` waits for its end and returns `#{ code, stdout, stderr }`.",
    example: "wait(\"deployment/web\", \"Available\");\n\
        wait(\"pods -l app=web -n shop\", \"Ready\", \"5m\");\nwait(\"pod/web-0\", \"deleted\");",
    receiver: Receiver::Cluster,
    arity: 1..=3,
    run: wait,
}];

/// What is waited for.
#[derive(Debug, PartialEq, Eq)]
struct Target {
    kind: String,
    name: Option<String>,
    namespace: String,
    /// Labels that must have these values.
    labels: Vec<(String, String)>,
}

/// The state it must be in.
#[derive(Debug, PartialEq, Eq)]
enum State {
    Created,
    Deleted,
    Phase(String),
    /// A condition's type and the status it must have.
    Condition(String, String),
}

fn wait(call: &Call<'_>) -> Fallible<Dynamic> {
    if let Some(handle) = call.arg(0)?.clone().try_cast::<Handle>() {
        return wait_for_process(call, handle);
    }
    let text = call.text(0, "target")?;
    let wanted =
        if call.args.len() > 1 { call.text(1, "state")? } else { return Err(super::wrong_count(call.function).into()) };
    let timeout = if call.args.len() > 2 { call.duration(2)? } else { DEFAULT_TIMEOUT };
    let target = Target::read(&text)
        .map_err(|problem| Problem::new(problem).hint("write \"deployment/web\" or \"pods -l app=web\""))?;
    let state = State::read(&wanted).map_err(Problem::new)?;
    let began = borrow(call.host).session()?.now();
    let deadline = began.saturating_add(timeout);
    let met = pass_until(call, deadline, Test::OnChange, &mut || Ok(state.is_met(&target.find(call)?)))?;
    let took = borrow(call.host).now().saturating_sub(began);
    if !met {
        let seen = state.seen(&target.find(call)?, &target);
        let message = format!("{text} is not {wanted} after {}: {seen}", duration::text(timeout));
        let longer = duration::text(timeout.saturating_mul(2));
        let hint =
            format!("wait longer: wait(\"{text}\", \"{wanted}\", \"{longer}\"), or look with kubectl(\"describe …\")");
        return Err(Problem::new(message).hint(hint).into());
    }
    let waited = duration::text(took / 1_000_000 * 1_000_000);
    borrow(call.host).say(Kind::Wait, &format!("… {text} is {wanted} (waited {waited})"))?;
    Ok(Dynamic::UNIT)
}

fn text_of(target: &Target) -> String {
    match &target.name {
        Some(name) => format!("{}/{name}", target.kind),
        None => target.kind.clone(),
    }
}

impl Target {
    fn read(text: &str) -> Result<Target, String> {
        let mut target = Target { kind: String::new(), name: None, namespace: "default".into(), labels: Vec::new() };
        let mut words = words::split(text)?.into_iter();
        while let Some(word) = words.next() {
            let (flag, attached) = match word.split_once('=') {
                Some((flag, value)) if flag.starts_with("--") => (flag.to_string(), Some(value.to_string())),
                _ => (word.clone(), None),
            };
            let mut value =
                || attached.clone().or_else(|| words.next()).ok_or_else(|| format!("the flag {flag} needs a value"));
            match flag.as_str() {
                "-n" | "--namespace" => target.namespace = value()?,
                "-l" | "--selector" => target.labels = labels(&value()?)?,
                "-A" | "--all-namespaces" => target.namespace = "*".into(),
                "--all" => {}
                flag if flag.starts_with('-') => return Err(format!("`wait` does not know the flag {flag}")),
                _ if target.kind.is_empty() => match word.split_once('/') {
                    Some((kind, name)) => (target.kind, target.name) = (kind.to_lowercase(), Some(name.to_string())),
                    None => target.kind = word.to_lowercase(),
                },
                _ if target.name.is_none() => target.name = Some(word),
                _ => return Err(format!("`wait` waits for one target, not also for \"{word}\"")),
            }
        }
        if target.kind.is_empty() {
            return Err("`wait` is not told what for".into());
        }
        Ok(target)
    }

    fn find(&self, call: &Call<'_>) -> Fallible<Vec<Object>> {
        let named = |object: &Object| self.name.as_ref().is_none_or(|name| object.name() == name);
        let labelled = |object: &Object| {
            self.labels.iter().all(|(key, value)| object.json()["metadata"]["labels"][key.as_str()] == value.as_str())
        };
        Ok(in_namespace(call, &self.kind, &self.namespace)?
            .filter(|object| named(object) && labelled(object))
            .collect())
    }
}

fn labels(text: &str) -> Result<Vec<(String, String)>, String> {
    let pair = |part: &str| {
        let (key, value) = part.split_once('=')?;
        let plain = !key.ends_with('!') && !key.is_empty();
        plain.then(|| (key.trim().to_string(), value.trim_start_matches('=').trim().to_string()))
    };
    text.split(',')
        .map(pair)
        .collect::<Option<_>>()
        .ok_or_else(|| format!("`wait` takes labels as key=value, not \"{text}\""))
}

impl State {
    fn read(text: &str) -> Result<State, String> {
        const PHASES: [&str; 8] =
            ["Pending", "Running", "Succeeded", "Failed", "Active", "Terminating", "Bound", "Released"];
        let text = text.trim();
        let text = text.strip_prefix("condition=").unwrap_or(text);
        let (name, status) = text.split_once('=').unwrap_or((text, "True"));
        let phase = PHASES.iter().find(|phase| phase.eq_ignore_ascii_case(name));
        match name.to_lowercase().as_str() {
            "" => Err("`wait` is not told which state to wait for: \"Available\", \"Ready\", \"deleted\" …".into()),
            "delete" | "deleted" | "gone" => Ok(State::Deleted),
            "create" | "created" | "exists" => Ok(State::Created),
            _ => Ok(match phase {
                Some(phase) if !text.contains('=') => State::Phase(phase.to_string()),
                _ => State::Condition(name.to_string(), status.to_string()),
            }),
        }
    }

    fn is_met(&self, objects: &[Object]) -> bool {
        match self {
            State::Deleted => objects.is_empty(),
            _ => !objects.is_empty() && objects.iter().all(|object| self.holds(object)),
        }
    }

    fn holds(&self, object: &Object) -> bool {
        match self {
            State::Created => true,
            State::Deleted => false,
            State::Phase(phase) => object.json()["status"]["phase"] == phase.as_str(),
            State::Condition(name, status) => object.condition(name).is_some_and(|condition| {
                let same = condition["status"].as_str().is_some_and(|found| found.eq_ignore_ascii_case(status));
                same && !is_behind(object, condition)
            }),
        }
    }

    /// What stands in the way, for the error.
    fn seen(&self, objects: &[Object], target: &Target) -> String {
        let place =
            if target.namespace == "*" { "any namespace".into() } else { format!("namespace {}", target.namespace) };
        let missing = objects.iter().find(|object| !self.holds(object));
        let Some(object) = missing else {
            return match objects.first() {
                None if target.name.is_none() => format!("there are none in {place}"),
                None => format!("there is no {} in {place}", text_of(target)),
                Some(object) => format!("{} is still there", object.name()),
            };
        };
        let count = objects.iter().filter(|object| self.holds(object)).count();
        let others = if objects.len() > 1 { format!("{count} of {} are; ", objects.len()) } else { String::new() };
        let name = object.name();
        match self {
            State::Created | State::Deleted => format!("{name} is still there"),
            State::Phase(_) => {
                format!("{others}{name} is in phase {}", object.json()["status"]["phase"].as_str().unwrap_or("none"))
            }
            State::Condition(kind, _) => format!("{others}{name} has {}", described(object, kind)),
        }
    }
}

/// `Available=False (MinimumReplicasUnavailable: Deployment does not have minimum availability.)`
fn described(object: &Object, kind: &str) -> String {
    let Some(condition) = object.condition(kind) else {
        let all = object.json()["status"]["conditions"].as_array();
        let known: Vec<&str> = all.into_iter().flatten().filter_map(|condition| condition["type"].as_str()).collect();
        return match known.is_empty() {
            true => "no conditions yet".into(),
            false => format!("no condition {kind}, only {}", known.join(", ")),
        };
    };
    let text = |field: &str| condition[field].as_str().unwrap_or_default().to_string();
    let reason = match (text("reason"), text("message")) {
        (reason, message) if reason.is_empty() && message.is_empty() => String::new(),
        (reason, message) if message.is_empty() => format!(" ({reason})"),
        (reason, message) => format!(" ({reason}: {message})"),
    };
    let behind = if is_behind(object, condition) { ", seen for an older generation" } else { "" };
    format!("{}={}{reason}{behind}", text("type"), text("status"))
}

/// Whether a condition speaks of an older generation of the object.
fn is_behind(object: &Object, condition: &Value) -> bool {
    let json = object.json();
    let observed = condition["observedGeneration"].as_i64().or(json["status"]["observedGeneration"].as_i64());
    observed.zip(json["metadata"]["generation"].as_i64()).is_some_and(|(observed, generation)| observed < generation)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn deployment(status: &str, observed: i64) -> Object {
        let condition = json!({"type": "Available", "status": status, "reason": "Few", "message": "Too few."});
        Object::new(
            "deployments",
            json!({"kind": "Deployment", "metadata": {"name": "web", "generation": 2},
            "status": {"observedGeneration": observed, "conditions": [condition]}}),
        )
    }

    #[test]
    fn targets_read_like_kubectl() {
        let target = Target::read("pods -l app=web,tier==db -n shop").unwrap();
        assert_eq!((target.kind.as_str(), target.name, target.namespace.as_str()), ("pods", None, "shop"));
        assert_eq!(target.labels, [("app".into(), "web".into()), ("tier".into(), "db".into())]);
        assert_eq!(Target::read("Deployment/web").unwrap().name.as_deref(), Some("web"));
        assert_eq!(Target::read("pod web --namespace=x").unwrap().name.as_deref(), Some("web"));
        for wrong in ["", "pod/a b", "pods -x", "pods -l", "pods -l a!=b"] {
            assert!(Target::read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_condition_of_an_older_generation_is_not_met() {
        let available = State::read("available").unwrap();
        assert!(available.is_met(&[deployment("True", 2)]));
        assert!(!available.is_met(&[deployment("True", 1)]));
        assert!(!available.is_met(&[deployment("True", 2), deployment("False", 2)]));
        assert!(!available.is_met(&[]) && State::Deleted.is_met(&[]));
        assert!(State::read("Available=False").unwrap().is_met(&[deployment("False", 2)]));
    }

    #[test]
    fn what_was_seen_is_said() {
        let target = Target::read("deployment/web").unwrap();
        let state = State::read("Available").unwrap();
        assert_eq!(state.seen(&[], &target), "there is no deployment/web in namespace default");
        assert_eq!(state.seen(&[deployment("False", 2)], &target), "web has Available=False (Few: Too few.)");
        let other = State::read("Complete").unwrap();
        assert_eq!(other.seen(&[deployment("True", 2)], &target), "web has no condition Complete, only Available");
        assert_eq!(State::Deleted.seen(&[deployment("True", 2)], &target), "web is still there");
    }
}
