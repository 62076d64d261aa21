//! Which pods of a node go.
//!
//! Models: kubernetes v1.36.2 staging/src/k8s.io/kubectl/pkg/drain/filters.go.

use serde_json::Value;

use super::super::duration::parse_time;
use super::super::json::{is_deleting, list, namespace, pairs, present, text};
use super::super::resources::Resource;
use super::super::session::{Session, Step, attempt};
use super::Options;

/// What becomes of a pod.
#[derive(Debug, PartialEq)]
pub(super) enum Fate {
    Goes,
    GoesBut(String),
    Stays,
    StaysBut(String),
    Forbidden(String),
}

/// The filters in order; the first that keeps the pod ends it, and only the last one's warning is kept.
pub(super) fn fate(session: &mut Session, pod: &Value, options: &Options) -> Step<Fate> {
    if is_skipped(session.now, pod, options) {
        return Ok(Fate::Stays);
    }
    match daemon_set(session, pod, options)? {
        Fate::Goes | Fate::GoesBut(_) => {}
        stays => return Ok(stays),
    }
    Ok(without_requests(pod, options))
}

/// A pod that has been on its way for long enough is passed over.
pub(super) fn is_skipped(now: i64, pod: &Value, options: &Options) -> bool {
    const SECOND: i64 = 1_000_000_000;
    let since = parse_time(text(pod, "/metadata/deletionTimestamp")).map(|at| now.saturating_sub(at) / SECOND);
    options.skip_wait > 0 && is_deleting(pod) && since.is_some_and(|since| since > options.skip_wait)
}

fn has_ended(pod: &Value) -> bool {
    matches!(text(pod, "/status/phase"), "Succeeded" | "Failed")
}

fn controller(pod: &Value) -> Option<&Value> {
    list(pod, "/metadata/ownerReferences").iter().find(|owner| owner.get("controller") == Some(&Value::Bool(true)))
}

fn daemon_set(session: &mut Session, pod: &Value, options: &Options) -> Step<Fate> {
    let Some(owner) = controller(pod).filter(|owner| text(owner, "/kind") == "DaemonSet" && !has_ended(pod)) else {
        return Ok(Fate::Goes);
    };
    let found = session.get(&Resource::DAEMONSETS, Some(namespace(pod)), text(owner, "/name"));
    Ok(match attempt(found)? {
        // An orphan: its DaemonSet is gone.
        Err(failure) if failure.is_not_found() && options.force => Fate::GoesBut(failure.text()),
        Err(failure) => {
            let text = failure.text();
            Fate::Forbidden(match text.to_lowercase().starts_with("cannot delete") {
                true => text,
                false => format!("cannot delete {text}"),
            })
        }
        Ok(_) if options.ignore_daemon_sets => Fate::StaysBut("ignoring DaemonSet-managed Pods".into()),
        Ok(_) => Fate::Forbidden("cannot delete DaemonSet-managed Pods (use --ignore-daemonsets to ignore)".into()),
    })
}

fn without_requests(pod: &Value, options: &Options) -> Fate {
    if pairs(pod, "/metadata/annotations").iter().any(|(key, _)| *key == "kubernetes.io/config.mirror") {
        return Fate::Stays;
    }
    let local = list(pod, "/spec/volumes").iter().any(|volume| present(volume, "/emptyDir"));
    if local && !has_ended(pod) && !options.delete_empty_dir {
        return Fate::Forbidden(
            "cannot delete Pods with local storage (use --delete-emptydir-data to override)".into(),
        );
    }
    match (has_ended(pod) || controller(pod).is_some(), options.force) {
        (true, _) => Fate::Goes,
        (false, true) => Fate::GoesBut("deleting Pods that declare no controller".into()),
        (false, false) => {
            Fate::Forbidden("cannot delete Pods that declare no controller (use --force to override)".into())
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::super::flags::DryRun;
    use super::*;

    fn options(force: bool, delete_empty_dir: bool) -> Options {
        Options {
            force,
            ignore_daemon_sets: false,
            delete_empty_dir,
            disable_eviction: false,
            grace_period: -1,
            timeout: 0,
            skip_wait: 10,
            pod_selector: None,
            dry_run: DryRun::No,
        }
    }

    #[test]
    fn what_would_be_lost_needs_a_flag() {
        let bare = json!({"status": {"phase": "Running"}});
        assert!(matches!(without_requests(&bare, &options(false, false)), Fate::Forbidden(_)));
        assert!(matches!(without_requests(&bare, &options(true, false)), Fate::GoesBut(_)));
        let done = json!({"status": {"phase": "Failed"}, "spec": {"volumes": [{"emptyDir": {}}]}});
        assert_eq!(without_requests(&done, &options(false, false)), Fate::Goes);
        let owned = json!({"metadata": {"ownerReferences": [{"kind": "ReplicaSet", "controller": true}]},
            "spec": {"volumes": [{"emptyDir": {}}]}, "status": {"phase": "Running"}});
        assert!(matches!(without_requests(&owned, &options(true, false)), Fate::Forbidden(_)));
        assert_eq!(without_requests(&owned, &options(false, true)), Fate::Goes);
        let mirror = json!({"metadata": {"annotations": {"kubernetes.io/config.mirror": "x"}}});
        assert_eq!(without_requests(&mirror, &options(false, false)), Fate::Stays);
    }

    #[test]
    fn pods_long_on_their_way_may_be_passed_over() {
        let pod = json!({"metadata": {"deletionTimestamp": "1970-01-01T00:00:00Z"}});
        assert!(!is_skipped(10_900_000_000, &pod, &options(false, false)));
        assert!(is_skipped(11_000_000_000, &pod, &options(false, false)));
    }
}
