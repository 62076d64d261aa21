//! Probes in a whole small cluster.

use serde_json::{Value, json};

use super::{pod, said, shown};
use crate::controllers::cluster::Cluster;
use crate::objects::{Key, Kind};

/// A pod with one container and annotations.
fn probed(name: &str, container: Value, annotations: Value) -> Value {
    let mut all = json!({"name": "a", "image": "nginx:1.25"});
    all.as_object_mut().expect("a map").extend(container.as_object().expect("a map").clone());
    let mut pod = pod(name, json!({"containers": [all]}));
    pod["metadata"]["annotations"] = annotations;
    pod
}

fn container(cluster: &Cluster, name: &str) -> Value {
    shown(cluster, name)["status"]["containerStatuses"][0].clone()
}

/// When each second of the next `seconds` shows another value.
fn changes(cluster: &mut Cluster, seconds: u64, look: impl Fn(&Cluster) -> Value) -> Vec<(u64, Value)> {
    let mut seen = vec![(0, look(cluster))];
    for second in 1..=seconds {
        cluster.run(1_000);
        let now = look(cluster);
        if seen.last().is_some_and(|(_, before)| *before != now) {
            seen.push((second, now));
        }
    }
    seen
}

#[test]
fn readiness_comes_at_once_and_goes_after_three_failures() {
    let mut cluster = Cluster::new();
    let probe = json!({"readinessProbe": {"httpGet": {"port": 8080, "path": "/ready"}, "periodSeconds": 5}});
    let annotations = json!({"wavetank.dev/health": "20s: 500, 60s: ok"});
    cluster.create(Kind::Pod, "default", probed("web", probe, annotations));
    let seen = changes(&mut cluster, 90, |cluster| container(cluster, "web")["ready"].clone());
    let seen: Vec<(u64, bool)> =
        seen.iter().filter(|(at, _)| *at > 1).map(|(at, ready)| (*at, *ready == true)).collect();
    let [(up, true), (down, false), (again, true)] = seen[..] else { panic!("{seen:?}") };
    // The first failing look is at 20 s or up to 5 s later, the third 10 s after it; the first good one ends it.
    assert!((30..=36).contains(&(down - up)) && (60..=66).contains(&(again - up)), "{seen:?}");
    let unhealthy = said(&cluster, "web").into_iter().filter(|said| said.starts_with("Unhealthy")).collect::<Vec<_>>();
    assert_eq!(unhealthy, ["Unhealthy: Readiness probe failed: HTTP probe failed with statuscode: 500"]);
}

#[test]
fn a_probe_that_succeeds_costs_nothing() {
    let quiet = |probes: Value| {
        let mut cluster = Cluster::new();
        cluster.create(Kind::Pod, "default", probed("web", probes, json!({})));
        cluster.run(20_000);
        let before = cluster.world.handled();
        cluster.run(120_000);
        assert_eq!(container(&cluster, "web")["ready"], json!(true));
        cluster.world.handled() - before
    };
    let probe = json!({"httpGet": {"port": 80}, "periodSeconds": 1});
    let probes = json!({"startupProbe": probe, "readinessProbe": probe, "livenessProbe": probe});
    assert_eq!(quiet(probes), quiet(json!({})));
}

#[test]
fn startup_holds_the_others_back_and_liveness_restarts() {
    let mut cluster = Cluster::new();
    let probe = |failures: i32| json!({"tcpSocket": {"port": 5432}, "periodSeconds": 2, "failureThreshold": failures});
    let probes = json!({
        "startupProbe": probe(30), "livenessProbe": probe(2), "readinessProbe": probe(1),
    });
    let annotations = json!({"wavetank.dev/listens-after": "15s", "wavetank.dev/liveness": "40s: refused"});
    cluster.create(Kind::Pod, "default", probed("db", probes, annotations));
    cluster.run(10_000);
    let state = container(&cluster, "db");
    assert_eq!((&state["started"], &state["ready"], &state["restartCount"]), (&json!(false), &json!(false), &json!(0)));
    let texts = said(&cluster, "db");
    let startup = |text: &String| text.starts_with("Unhealthy: Startup probe failed: dial tcp 10.244.");
    assert!(texts.iter().any(startup), "{texts:?}");
    assert!(!texts.iter().any(|text| text.contains("Liveness") || text.contains("Readiness")));
    cluster.run(15_000);
    let state = container(&cluster, "db");
    assert_eq!((&state["started"], &state["ready"], &state["restartCount"]), (&json!(true), &json!(true), &json!(0)));
    cluster.run(30_000);
    assert_eq!(container(&cluster, "db")["restartCount"], 1);
    let texts = said(&cluster, "db");
    assert!(texts.contains(&"Killing: Container a failed liveness probe, will be restarted".to_owned()), "{texts:?}");
    assert!(!texts.iter().any(|text| text.starts_with("BackOff")), "the first restarts after a kill do not wait");
}

#[test]
fn the_example_with_a_file_restarts_when_the_file_is_gone() {
    let mut cluster = Cluster::new();
    let script = "touch /tmp/healthy; sleep 30; rm -f /tmp/healthy; sleep 600";
    let liveness = json!({"exec": {"command": ["cat", "/tmp/healthy"]}, "initialDelaySeconds": 5, "periodSeconds": 5});
    let container_spec = json!({"command": ["/bin/sh", "-c", script], "livenessProbe": liveness});
    cluster.create(Kind::Pod, "default", probed("liveness-exec", container_spec, json!({})));
    cluster.run(38_000);
    assert_eq!(container(&cluster, "liveness-exec")["restartCount"], 0);
    cluster.run(22_000);
    assert_eq!(container(&cluster, "liveness-exec")["restartCount"], 1);
    let why = "Unhealthy: Liveness probe failed: cat: can't open '/tmp/healthy': No such file or directory\n";
    assert!(said(&cluster, "liveness-exec").contains(&why.to_owned()), "{:?}", said(&cluster, "liveness-exec"));
}

#[test]
fn a_program_that_hangs_is_killed_with_the_probe_s_own_grace() {
    let mut cluster = Cluster::new();
    let probe =
        json!({"httpGet": {"port": 80}, "periodSeconds": 3, "timeoutSeconds": 2, "terminationGracePeriodSeconds": 4});
    let annotations = json!({"wavetank.dev/liveness": "10s: timeout", "wavetank.dev/stop": "never"});
    cluster.create(Kind::Pod, "default", probed("web", json!({"livenessProbe": probe}), annotations));
    cluster.run(60_000);
    let state = container(&cluster, "web");
    assert!(state["restartCount"].as_i64() >= Some(1));
    let last = &state["lastState"]["terminated"];
    assert_eq!((&last["exitCode"], &last["reason"]), (&json!(137), &json!("Error")));
    let late =
        said(&cluster, "web").iter().any(|said| said.ends_with("(Client.Timeout exceeded while awaiting headers)"));
    assert!(late, "{:?}", said(&cluster, "web"));
}

#[test]
fn probes_start_over_with_another_kubelet_and_readiness_is_kept() {
    let mut cluster = Cluster::new();
    let probe = json!({"readinessProbe": {"httpGet": {"port": 80}, "failureThreshold": 1}});
    let annotations = json!({"wavetank.dev/health": "30s: 500"});
    cluster.create(Kind::Pod, "default", probed("web", probe, annotations));
    cluster.run(15_000);
    cluster.world.kill(crate::process::Process::Kubelet(0));
    cluster.run(30_000);
    assert_eq!(container(&cluster, "web")["ready"], json!(true), "nobody looks");
    cluster.world.start(crate::process::Process::Kubelet(0));
    cluster.run(1_000);
    cluster.run(12_000);
    assert_eq!(container(&cluster, "web")["ready"], json!(false));
    let key = Key::new("default", "web");
    cluster.patch(Kind::Pod, key, json!({"metadata": {"labels": {"x": "y"}}}));
    assert_eq!(container(&cluster, "web")["restartCount"], 0);
}

#[test]
fn while_a_pod_is_deleted_readiness_is_asked_for_and_life_is_not() {
    let mut cluster = Cluster::new();
    let probe = json!({"httpGet": {"port": 80}, "periodSeconds": 1, "failureThreshold": 2});
    let mut pod =
        probed("web", json!({"livenessProbe": probe, "readinessProbe": probe}), json!({"wavetank.dev/stop": "12s"}));
    pod["metadata"]["finalizers"] = json!(["example.com/look"]);
    cluster.create(Kind::Pod, "default", pod);
    cluster.run(10_000);
    assert_eq!(container(&cluster, "web")["ready"], json!(true));
    let body = crate::apiserver::request::Body::Delete(Default::default());
    assert!(cluster.ask(crate::apiserver::request::Verb::Delete, Kind::Pod, Key::new("default", "web"), body).is_ok());
    cluster.run(6_000);
    let state = container(&cluster, "web");
    assert_eq!((&state["ready"], state["state"]["running"].is_object()), (&json!(false), true), "{state}");
    let texts = said(&cluster, "web");
    assert!(texts.iter().any(|text| text.starts_with("Unhealthy: Readiness probe failed: Get ")), "{texts:?}");
    assert!(!texts.iter().any(|text| text.contains("iveness probe")), "{texts:?}");
}

#[test]
fn readiness_gates_hold_a_pod_back() {
    let mut cluster = Cluster::new();
    let gated = pod("gated", json!({"readinessGates": [{"conditionType": "example.com/lb"}]}));
    cluster.create(Kind::Pod, "default", gated);
    cluster.run(10_000);
    let ready = |cluster: &Cluster| {
        let conditions = shown(cluster, "gated")["status"]["conditions"].as_array().cloned().unwrap_or_default();
        conditions.into_iter().find(|condition| condition["type"] == "Ready").unwrap_or_default()
    };
    let before = ready(&cluster);
    assert_eq!((&before["status"], &before["reason"]), (&json!("False"), &json!("ReadinessGatesNotReady")));
    assert_eq!(before["message"], "corresponding condition of pod readiness gate \"example.com/lb\" does not exist.");
    let mut conditions = shown(&cluster, "gated")["status"]["conditions"].as_array().cloned().unwrap_or_default();
    conditions.push(json!({"type": "example.com/lb", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}));
    cluster.patch_status(Kind::Pod, Key::new("default", "gated"), json!({"status": {"conditions": conditions}}));
    cluster.run(3_000);
    assert_eq!(ready(&cluster)["status"], "True");
}
