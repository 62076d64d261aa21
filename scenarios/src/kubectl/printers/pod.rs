//! Rows of Pods: above all the word in the column STATUS, which no field of the object holds.
//!
//! Models: kubernetes v1.36.2 pkg/printers/internalversion/printers.go (`printPod`).

use serde_json::Value;

use super::super::duration;
use super::super::json::{is_deleting, list, name, number, text};
use super::{Column, age, or_none};

pub(super) const COLUMNS: &[Column] = &[
    ("Name", false),
    ("Ready", false),
    ("Status", false),
    ("Restarts", false),
    ("Age", false),
    ("IP", true),
    ("Node", true),
    ("Nominated Node", true),
    ("Readiness Gates", true),
];

pub(super) fn row(object: &Value, now: i64) -> Vec<String> {
    let status = status(object);
    let mut restarts = status.restarts.to_string();
    if status.restarts > 0
        && let Some(last) = status.last_restart
    {
        restarts.push_str(&format!(" ({} ago)", duration::human(now.saturating_sub(last))));
    }
    let ip = match text(object, "/status/podIPs/0/ip") {
        "" => text(object, "/status/podIP"),
        ip => ip,
    };
    vec![
        name(object).into(),
        format!("{}/{}", status.ready, status.total),
        status.word,
        restarts,
        age(object, now),
        or_none(ip.into()),
        or_none(text(object, "/spec/nodeName").into()),
        or_none(text(object, "/status/nominatedNodeName").into()),
        readiness_gates(object),
    ]
}

/// What the row says about a pod.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct PodStatus {
    /// `Running`, `CrashLoopBackOff`, `Init:0/1` …
    pub word: String,
    /// Containers that are ready.
    pub ready: usize,
    /// Containers, sidecars included.
    pub total: usize,
    /// Restarts of the containers that count at the moment.
    pub restarts: i64,
    /// When a container last ended before a restart. [ns since the Unix epoch]
    pub last_restart: Option<i64>,
}

/// Computes the status; later rules win.
pub(crate) fn status(pod: &Value) -> PodStatus {
    let mut status = PodStatus { word: text(pod, "/status/phase").into(), ..PodStatus::default() };
    let reason = text(pod, "/status/reason");
    if !reason.is_empty() {
        status.word = reason.into();
    }
    if condition(pod, "PodScheduled").is_some_and(|c| text(c, "/reason") == "SchedulingGated") {
        status.word = "SchedulingGated".into();
    }
    let sidecars: Vec<&str> = list(pod, "/spec/initContainers")
        .iter()
        .filter(|c| text(c, "/restartPolicy") == "Always")
        .map(|c| text(c, "/name"))
        .collect();
    status.total = list(pod, "/spec/containers").len() + sidecars.len();
    let initializing = init_containers(pod, &sidecars, &mut status);
    let initialized = condition(pod, "Initialized").is_some_and(|c| text(c, "/status") == "True");
    if !initializing || initialized {
        containers(pod, &sidecars, &mut status);
    }
    if is_deleting(pod) {
        if reason == "NodeLost" {
            status.word = "Unknown".into();
        } else if !matches!(text(pod, "/status/phase"), "Succeeded" | "Failed") {
            status.word = "Terminating".into();
        }
    }
    status
}

/// The first init container that is not done decides; tells whether there is one.
fn init_containers(pod: &Value, sidecars: &[&str], status: &mut PodStatus) -> bool {
    let total = list(pod, "/spec/initContainers").len();
    for (i, container) in list(pod, "/status/initContainerStatuses").iter().enumerate() {
        status.restarts += number(container, "/restartCount");
        status.last_restart = status.last_restart.max(last_end(container));
        let state = |kind: &str| container.pointer(&format!("/state/{kind}"));
        let is_sidecar = sidecars.contains(&text(container, "/name"));
        let started = container.get("started") == Some(&Value::Bool(true));
        match (state("terminated"), state("waiting")) {
            (Some(end), _) if number(end, "/exitCode") == 0 => continue,
            _ if is_sidecar && started => {
                if container.get("ready") == Some(&Value::Bool(true)) {
                    status.ready += 1;
                }
                continue;
            }
            (Some(end), _) => status.word = format!("Init:{}", end_word(end)),
            (None, Some(waiting)) if !matches!(text(waiting, "/reason"), "" | "PodInitializing") => {
                status.word = format!("Init:{}", text(waiting, "/reason"));
            }
            _ => status.word = format!("Init:{i}/{total}"),
        }
        return true;
    }
    false
}

fn containers(pod: &Value, sidecars: &[&str], status: &mut PodStatus) {
    status.restarts = 0;
    status.last_restart = None;
    for container in list(pod, "/status/initContainerStatuses") {
        if sidecars.contains(&text(container, "/name")) {
            status.restarts += number(container, "/restartCount");
            status.last_restart = status.last_restart.max(last_end(container));
        }
    }
    let mut running = false;
    let mut error: Option<String> = None;
    for container in list(pod, "/status/containerStatuses").iter().rev() {
        status.restarts += number(container, "/restartCount");
        status.last_restart = status.last_restart.max(last_end(container));
        let state = |kind: &str| container.pointer(&format!("/state/{kind}"));
        let waiting = state("waiting").map_or("", |w| text(w, "/reason"));
        if !waiting.is_empty() {
            status.word = waiting.into();
        } else if let Some(end) = state("terminated") {
            status.word = end_word(end);
            if number(end, "/exitCode") != 0 {
                error = Some(status.word.clone());
            }
        } else if container.get("ready") == Some(&Value::Bool(true)) && state("running").is_some() {
            running = true;
            status.ready += 1;
        }
    }
    if status.word == "Completed" {
        let ready = condition(pod, "Ready").is_some_and(|c| text(c, "/status") == "True");
        if running && ready {
            status.word = "Running".into();
        } else if let Some(error) = error {
            status.word = error;
        } else if running {
            status.word = "NotReady".into();
        }
    }
}

/// How a container ended: its reason, else signal or exit code.
fn end_word(end: &Value) -> String {
    match (text(end, "/reason"), number(end, "/signal")) {
        ("", 0) => format!("ExitCode:{}", number(end, "/exitCode")),
        ("", signal) => format!("Signal:{signal}"),
        (reason, _) => reason.into(),
    }
}

fn last_end(container: &Value) -> Option<i64> {
    duration::parse_time(text(container, "/lastState/terminated/finishedAt"))
}

fn condition<'a>(pod: &'a Value, kind: &str) -> Option<&'a Value> {
    list(pod, "/status/conditions").iter().find(|c| text(c, "/type") == kind)
}

fn readiness_gates(pod: &Value) -> String {
    let gates = list(pod, "/spec/readinessGates");
    if gates.is_empty() {
        return "<none>".into();
    }
    let is_true =
        |gate: &&Value| condition(pod, text(gate, "/conditionType")).is_some_and(|c| text(c, "/status") == "True");
    format!("{}/{}", gates.iter().filter(is_true).count(), gates.len())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod(phase: &str, containers: Value) -> Value {
        let spec: Vec<Value> =
            containers.as_array().map(|c| c.iter().map(|s| json!({"name": s["name"]})).collect()).unwrap_or_default();
        json!({"metadata": {"name": "p"}, "spec": {"containers": spec},
            "status": {"phase": phase, "containerStatuses": containers}})
    }

    fn word(pod: &Value) -> String {
        status(pod).word
    }

    #[test]
    fn the_first_container_that_is_not_fine_decides() {
        let waiting = |reason: &str| json!({"name": "a", "state": {"waiting": {"reason": reason}}});
        let running = json!({"name": "b", "ready": true, "state": {"running": {}}});
        assert_eq!(word(&pod("Pending", json!([waiting("ContainerCreating"), running]))), "ContainerCreating");
        let two = status(&pod("Running", json!([running, running])));
        assert_eq!((two.word.as_str(), two.ready, two.total), ("Running", 2, 2));
        let crashed = json!({"name": "a", "restartCount": 3, "state": {"waiting": {"reason": "CrashLoopBackOff"}},
            "lastState": {"terminated": {"finishedAt": "1970-01-01T00:00:10Z"}}});
        let row = row(&pod("Running", json!([crashed])), 35_000_000_000);
        assert_eq!(row[1..4], ["0/1", "CrashLoopBackOff", "3 (25s ago)"]);
    }

    #[test]
    fn a_completed_container_beside_a_running_one_means_not_ready() {
        let done = json!({"name": "a", "state": {"terminated": {"reason": "Completed", "exitCode": 0}}});
        let running = json!({"name": "b", "ready": true, "state": {"running": {}}});
        let failed = json!({"name": "c", "state": {"terminated": {"exitCode": 2}}});
        let mut both = pod("Running", json!([done, running]));
        assert_eq!(word(&both), "NotReady");
        both["status"]["conditions"] = json!([{"type": "Ready", "status": "True"}]);
        assert_eq!(word(&both), "Running");
        assert_eq!(word(&pod("Failed", json!([done, failed]))), "ExitCode:2");
    }

    #[test]
    fn init_containers_come_first() {
        let mut p = pod("Pending", json!([{"name": "m", "state": {"waiting": {"reason": "PodInitializing"}}}]));
        p["spec"]["initContainers"] = json!([{"name": "i"}]);
        p["status"]["initContainerStatuses"] = json!([{"name": "i", "restartCount": 3, "state": {"running": {}}}]);
        assert_eq!((word(&p).as_str(), status(&p).restarts), ("Init:0/1", 3));
        p["status"]["initContainerStatuses"][0]["state"] = json!({"waiting": {"reason": "CrashLoopBackOff"}});
        assert_eq!(word(&p), "Init:CrashLoopBackOff");
        p["status"]["initContainerStatuses"][0]["state"] = json!({"terminated": {"exitCode": 2, "reason": "Error"}});
        assert_eq!(word(&p), "Init:Error");
    }

    #[test]
    fn a_deleted_pod_terminates_unless_it_has_ended() {
        let mut p = pod("Running", json!([{"name": "a", "ready": true, "state": {"running": {}}}]));
        p["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        assert_eq!(word(&p), "Terminating");
        p["status"] = json!({"phase": "Failed", "reason": "Evicted"});
        assert_eq!(word(&p), "Evicted");
    }
}
