//! Evicting pods and waiting until they are gone.
//!
//! The real kubectl gives each pod a goroutine; here one loop acts for all of them at the times theirs would, so what
//! is printed comes in the order of the times. A retry comes 5 s after a refusal, a look every second.
//! Models: kubernetes v1.36.2 staging/src/k8s.io/kubectl/pkg/drain/drain.go (`evictPods`, `deletePods`,
//! `waitForDelete`).

use serde_json::{Value, json};

use super::super::flags::DryRun;
use super::super::json::{is_deleting, list, text};
use super::super::resources::Resource;
use super::super::session::{Session, Step, attempt};
use super::super::{ApiCall, ApiVerb, Loop, duration, errors::Failure};
use super::filters::is_skipped;
use super::{Drain, Leaving, Options};

/// Between a refused eviction and the next try – constant; Kubernetes: EvictErrorRetryDelay, 5 s. [ns]
const RETRY: i64 = 5_000_000_000;
/// Between two looks whether a pod is gone – constant; Kubernetes: waitForDelete interval, 1 s. [ns]
const LOOK: i64 = 1_000_000_000;

/// What comes next for a pod.
#[derive(Clone, Copy, Debug)]
enum Next {
    Evict { again: bool },
    Look,
}

/// A pod's next act: when, which pod, what. [ns since the Unix epoch]
type Act = (i64, usize, Next);

/// The pods of one node on their way.
#[derive(Clone, Debug)]
pub(super) struct Wait {
    pods: Vec<Leaving>,
    acts: Vec<Act>,
    errors: Vec<String>,
    /// [ns since the Unix epoch]
    deadline: Option<i64>,
}

/// Says which pods are evicted, or deletes them.
pub(super) fn begin(session: &mut Session, pods: Vec<Leaving>, options: &Options) -> Step<Wait> {
    let (mut acts, mut errors) = (Vec::new(), Vec::new());
    if options.disable_eviction {
        match attempt(delete_all(session, &pods, options))? {
            Ok(()) if options.dry_run == DryRun::Server => {}
            Ok(()) => acts.extend((0..pods.len()).map(|pod| (session.now, pod, Next::Look))),
            Err(failure) => errors.push(failure.text()),
        }
    } else if !pods.is_empty() {
        // The last goroutine started runs first, the others in order behind it.
        let last = pods.len().saturating_sub(1);
        let order = std::iter::once(last).chain(0..last);
        acts.extend(order.map(|pod| (session.now, pod, Next::Evict { again: false })));
        for (_, pod, _) in &acts {
            if let Some(pod) = pods.get(*pod) {
                say_evicting(session, pod, options);
            }
        }
    }
    let deadline = (options.timeout > 0).then(|| session.now.saturating_add(options.timeout));
    Ok(Wait { pods, acts, errors, deadline })
}

/// Acts until every pod is gone or given up; returns the errors.
pub(super) fn finish(session: &mut Session, state: &mut Drain, options: &Options) -> Step<Vec<String>> {
    loop {
        session.checkpoint(|| Loop::Drain(Box::new(state.clone())));
        let Some(wait) = &mut state.wait else { return Ok(Vec::new()) };
        let Some((at, index, next)) = take_earliest(&mut wait.acts) else {
            return Ok(std::mem::take(&mut wait.errors));
        };
        let Some(pod) = wait.pods.get(index).cloned() else { continue };
        let deadline = wait.deadline;
        match next {
            Next::Evict { again } => {
                sleep_until(session, at)?;
                if again {
                    say_evicting(session, &pod, options);
                }
                match try_to_evict(session, &pod, deadline, options)? {
                    Ok(Some((at, next))) => wait.acts.push((at, index, next)),
                    Ok(None) => {}
                    Err(why) => wait.errors.push(why),
                }
            }
            Next::Look => match look(session, &pod, at, deadline, options)? {
                Some(Ok(())) => wait.acts.push((at.saturating_add(LOOK), index, Next::Look)),
                Some(Err(why)) if options.disable_eviction => return Ok(vec![why]),
                Some(Err(why)) => wait.errors.push(format!(
                    "error when waiting for pod \"{}\" in namespace \"{}\" to terminate: {why}",
                    pod.name, pod.namespace
                )),
                None => {}
            },
        }
    }
}

/// What follows from one try, and when.
fn try_to_evict(
    session: &mut Session,
    pod: &Leaving,
    deadline: Option<i64>,
    options: &Options,
) -> Step<Result<Option<(i64, Next)>, String>> {
    let evicting = format!("error when evicting pods/\"{}\" -n \"{}\"", pod.name, pod.namespace);
    if deadline.is_some_and(|deadline| session.now >= deadline) {
        return Ok(Err(format!("{evicting}: global timeout reached: {}", duration::go(options.timeout))));
    }
    let refused = match attempt(post(session, pod, options))? {
        Ok(()) if options.dry_run == DryRun::Server => return Ok(Ok(None)),
        Ok(()) => return Ok(Ok(Some((session.now, Next::Look)))),
        Err(failure) if failure.is_not_found() => return Ok(Ok(None)),
        Err(failure) => failure,
    };
    if refused.reason() == "TooManyRequests" {
        session.error_line(&format!("{evicting} (will retry after 5s): {}", refused.text()));
    } else if in_terminating_namespace(&refused) {
        if still_there(session, pod)?.is_some_and(|pod| is_deleting(&pod)) {
            return Ok(Ok(Some((session.now, Next::Look))));
        }
        session.error_line(&format!(
            "error when evicting pod \"{}\" from terminating namespace \"{}\" (will retry after 5s): {}",
            pod.name,
            pod.namespace,
            refused.text()
        ));
    } else {
        return Ok(Err(format!("{evicting}: {}", refused.text())));
    }
    Ok(Ok(Some((session.now.saturating_add(RETRY), Next::Evict { again: true }))))
}

/// The earliest act; among equal ones the one that was planned first.
fn take_earliest(acts: &mut Vec<Act>) -> Option<Act> {
    let earliest = acts.iter().map(|(at, ..)| *at).min()?;
    let index = acts.iter().position(|(at, ..)| *at == earliest)?;
    Some(acts.remove(index))
}

fn say_evicting(session: &mut Session, pod: &Leaving, options: &Options) {
    session.print_line(&format!("evicting pod {}/{}{}", pod.namespace, pod.name, options.dry_run.suffix()));
}

fn post(session: &mut Session, pod: &Leaving, options: &Options) -> Step<()> {
    let mut delete = json!({});
    if options.grace_period >= 0 {
        delete["gracePeriodSeconds"] = options.grace_period.into();
    }
    if options.dry_run == DryRun::Server {
        delete["dryRun"] = json!(["All"]);
    }
    let body = json!({"apiVersion": "policy/v1", "kind": "Eviction", "deleteOptions": delete,
        "metadata": {"name": pod.name, "namespace": pod.namespace}});
    session.call(ApiCall {
        name: Some(pod.name.clone()),
        subresource: Some("eviction".into()),
        body: Some(body),
        dry_run: options.dry_run == DryRun::Server,
        ..Resource::PODS.call(ApiVerb::Create, Some(&pod.namespace))
    })?;
    Ok(())
}

fn in_terminating_namespace(failure: &Failure) -> bool {
    let Failure::Status(status) = failure else { return false };
    failure.reason() == "Forbidden"
        && list(status, "/details/causes").iter().any(|cause| text(cause, "/reason") == "NamespaceTerminating")
}

/// The pod if it is still the same one.
fn still_there(session: &mut Session, pod: &Leaving) -> Step<Option<Value>> {
    match attempt(session.get(&Resource::PODS, Some(&pod.namespace), &pod.name))? {
        Ok(live) if text(live, "/metadata/uid") == pod.uid => Ok(Some(live.clone())),
        Ok(_) => Ok(None),
        Err(failure) if failure.is_not_found() => Ok(None),
        Err(failure) => Err(failure.into()),
    }
}

/// Looks at `at` whether the pod is gone: None if it is, an error if looking fails or time is up.
fn look(
    session: &mut Session,
    pod: &Leaving,
    at: i64,
    deadline: Option<i64>,
    options: &Options,
) -> Step<Option<Result<(), String>>> {
    let done = if options.disable_eviction { "deleted" } else { "evicted" };
    if let Some(deadline) = deadline.filter(|deadline| at > *deadline) {
        sleep_until(session, deadline)?;
        return Ok(Some(Err("context deadline exceeded".into())));
    }
    sleep_until(session, at)?;
    match attempt(still_there(session, pod))? {
        Ok(None) => {
            session.print_line(&format!("pod/{} {done}{}", pod.name, options.dry_run.suffix()));
            Ok(None)
        }
        Ok(Some(live)) if is_skipped(session.now, &live, options) => {
            session.print_line(&format!(
                "pod \"{}\" has DeletionTimestamp older than {} seconds, skipping",
                pod.name, options.skip_wait
            ));
            Ok(None)
        }
        Ok(Some(_)) => Ok(Some(Ok(()))),
        Err(failure) => Ok(Some(Err(failure.text()))),
    }
}

fn sleep_until(session: &mut Session, at: i64) -> Step<()> {
    match u64::try_from(at.saturating_sub(session.now)) {
        Ok(ns) if ns > 0 => session.sleep(ns),
        _ => Ok(()),
    }
}

/// Deletes all without asking any budget.
fn delete_all(session: &mut Session, pods: &[Leaving], options: &Options) -> Step<()> {
    for pod in pods {
        let mut body = json!({"apiVersion": "v1", "kind": "DeleteOptions"});
        if options.grace_period >= 0 {
            body["gracePeriodSeconds"] = options.grace_period.into();
        }
        let call = ApiCall {
            name: Some(pod.name.clone()),
            body: Some(body),
            dry_run: options.dry_run == DryRun::Server,
            ..Resource::PODS.call(ApiVerb::Delete, Some(&pod.namespace))
        };
        match attempt(session.call(call))? {
            Err(failure) if !failure.is_not_found() => return Err(failure.into()),
            _ => {}
        }
    }
    Ok(())
}
