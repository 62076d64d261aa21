//! Init containers, sidecars, hooks, deadlines, memory: containers' lives in a whole small cluster.

use serde_json::{Value, json};

use super::{pod, said, shown};
use crate::apiserver::request::{Body, DeleteOptions, Verb};
use crate::controllers::cluster::Cluster;
use crate::objects::{Key, Kind};

fn delete(cluster: &mut Cluster, name: &str, grace: Option<i64>) {
    let body = Body::Delete(DeleteOptions { grace, ..DeleteOptions::default() });
    assert!(cluster.ask(Verb::Delete, Kind::Pod, Key::new("default", name), body).is_ok());
}

fn annotated(name: &str, spec: Value, annotations: Value) -> Value {
    let mut pod = pod(name, spec);
    pod["metadata"]["annotations"] = annotations;
    // The object stays to be looked at.
    pod["metadata"]["finalizers"] = json!(["example.com/look"]);
    pod
}

fn condition(pod: &Value, kind: &str) -> Value {
    let all = pod["status"]["conditions"].as_array().cloned().unwrap_or_default();
    all.into_iter().find(|condition| condition["type"] == kind).unwrap_or_default()
}

#[test]
fn sidecars_start_before_and_end_after_the_containers_they_serve() {
    let mut cluster = Cluster::new();
    let probe = json!({"tcpSocket": {"port": 15001}, "periodSeconds": 1, "failureThreshold": 30});
    let spec = json!({
        "restartPolicy": "Never",
        "initContainers": [
            {"name": "proxy", "image": "proxy:1", "restartPolicy": "Always", "startupProbe": probe},
            {"name": "logger", "image": "logger:1", "restartPolicy": "Always"},
        ],
        "containers": [{"name": "work", "image": "busybox:1", "command": ["sleep", "20"]}],
    });
    cluster.create(Kind::Pod, "default", annotated("job", spec, json!({"wavetank.dev/listens-after.proxy": "8s"})));
    cluster.run(8_000);
    let early = shown(&cluster, "job");
    let initialized = condition(&early, "Initialized");
    assert_eq!(early["status"]["phase"], "Pending");
    assert_eq!(initialized["message"], "containers with incomplete status: [proxy logger]");
    assert_eq!(condition(&early, "ContainersReady")["message"], "containers with unready status: [proxy logger work]");
    cluster.run(18_000);
    let running = shown(&cluster, "job");
    assert_eq!(
        (&running["status"]["phase"], condition(&running, "Ready")["status"].as_str()),
        (&json!("Running"), Some("True"))
    );
    cluster.run(25_000);
    let over = shown(&cluster, "job");
    assert_eq!(over["status"]["phase"], "Succeeded", "{over}");
    let finished = |list: &str, n: usize| {
        over["status"][list][n]["state"]["terminated"]["finishedAt"].as_str().unwrap_or_default().to_owned()
    };
    let (work, proxy, logger) =
        (finished("containerStatuses", 0), finished("initContainerStatuses", 0), finished("initContainerStatuses", 1));
    assert!(!work.is_empty() && work <= logger && logger <= proxy, "{work} {logger} {proxy}");
}

#[test]
fn an_init_container_that_fails_is_tried_again_or_fails_the_pod() {
    let mut cluster = Cluster::new();
    let spec = |policy: &str| {
        json!({
            "restartPolicy": policy,
            "initContainers": [{"name": "migrate", "image": "busybox:1", "command": ["sh", "-c", "sleep 1; exit 3"]}],
        })
    };
    cluster.create(Kind::Pod, "default", annotated("always", spec("Always"), json!({})));
    cluster.create(Kind::Pod, "default", annotated("never", spec("Never"), json!({})));
    cluster.run(30_000);
    let (always, never) = (shown(&cluster, "always"), shown(&cluster, "never"));
    let state = &always["status"]["initContainerStatuses"][0];
    assert_eq!((&always["status"]["phase"], &never["status"]["phase"]), (&json!("Pending"), &json!("Failed")));
    assert_eq!(state["state"]["waiting"]["reason"], "CrashLoopBackOff");
    assert!(state["restartCount"].as_i64() >= Some(1), "{state}");
    assert_eq!(always["status"]["containerStatuses"][0]["state"]["waiting"]["reason"], "PodInitializing");
}

#[test]
fn a_container_has_its_own_policy_and_rules() {
    let mut cluster = Cluster::new();
    let rules = json!([{"action": "Restart", "exitCodes": {"operator": "In", "values": [42]}}]);
    let command = |code: &str| json!(["sh", "-c", format!("sleep 2; exit {code}")]);
    let spec = json!({
        "restartPolicy": "Never",
        "containers": [
            {"name": "again", "image": "a:1", "command": command("42"), "restartPolicy": "Never", "restartPolicyRules": rules},
            {"name": "once", "image": "a:1", "command": command("1"), "restartPolicy": "Never", "restartPolicyRules": rules},
        ],
    });
    cluster.create(Kind::Pod, "default", annotated("rules", spec, json!({})));
    cluster.run(25_000);
    let pod = shown(&cluster, "rules");
    let restarts = |n: usize| pod["status"]["containerStatuses"][n]["restartCount"].as_i64().unwrap_or_default();
    assert!(restarts(0) >= 1 && restarts(1) == 0, "{pod}");
    assert_eq!(pod["status"]["phase"], "Running");
}

#[test]
fn hooks_take_their_time_from_the_grace() {
    let mut cluster = Cluster::new();
    let hooks = json!({
        "postStart": {"exec": {"command": ["sleep", "4"]}},
        "preStop": {"exec": {"command": ["sh", "-c", "sleep 6; exit 1"]}},
    });
    let spec = json!({
        "terminationGracePeriodSeconds": 10,
        "containers": [{"name": "a", "image": "nginx:1.25", "lifecycle": hooks}],
    });
    cluster.create(Kind::Pod, "default", annotated("hooked", spec, json!({"wavetank.dev/stop": "never"})));
    let mut waited = 0;
    while shown(&cluster, "hooked")["status"]["phase"] != "Running" && waited < 20 {
        cluster.run(500);
        waited += 1;
    }
    let started = said(&cluster, "hooked").contains(&"Started: Container started".to_owned());
    assert!(started && (10..20).contains(&waited), "{waited}");
    delete(&mut cluster, "hooked", None);
    cluster.run(8_000);
    let failed = "FailedPreStopHook: PreStopHook failed".to_owned();
    assert!(said(&cluster, "hooked").contains(&failed), "{:?}", said(&cluster, "hooked"));
    assert_eq!(shown(&cluster, "hooked")["status"]["phase"], "Running");
    cluster.run(4_000);
    let state = shown(&cluster, "hooked")["status"]["containerStatuses"][0]["state"]["terminated"].clone();
    assert_eq!(state["exitCode"], 137);
}

#[test]
fn a_hook_that_eats_all_the_grace_leaves_two_seconds_and_grace_may_be_shortened() {
    let mut cluster = Cluster::new();
    let spec = |grace: i64| {
        let hook = json!({"preStop": {"exec": {"command": ["sleep", "60"]}}});
        json!({
            "terminationGracePeriodSeconds": grace,
            "containers": [{"name": "a", "image": "nginx:1.25", "lifecycle": hook}],
        })
    };
    let never = json!({"wavetank.dev/stop": "never"});
    cluster.create(Kind::Pod, "default", annotated("eater", spec(5), never.clone()));
    cluster.create(Kind::Pod, "default", annotated("patient", spec(60), never));
    cluster.run(10_000);
    for name in ["eater", "patient"] {
        delete(&mut cluster, name, None);
    }
    cluster.run(6_000);
    let ended = |cluster: &Cluster, name: &str| {
        shown(cluster, name)["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"].clone()
    };
    assert_eq!(ended(&cluster, "eater"), Value::Null);
    delete(&mut cluster, "patient", Some(3));
    cluster.run(2_500);
    assert_eq!((ended(&cluster, "eater"), ended(&cluster, "patient")), (json!(137), Value::Null));
    cluster.run(3_000);
    assert_eq!(ended(&cluster, "patient"), json!(137));
}

#[test]
fn a_pod_is_ended_at_its_deadline() {
    let mut cluster = Cluster::new();
    cluster.create(Kind::Pod, "default", annotated("late", json!({"activeDeadlineSeconds": 15}), json!({})));
    cluster.run(12_000);
    assert_eq!(shown(&cluster, "late")["status"]["phase"], "Running");
    cluster.run(9_000);
    let status = shown(&cluster, "late")["status"].clone();
    assert_eq!((&status["phase"], &status["reason"]), (&json!("Failed"), &json!("DeadlineExceeded")));
    assert_eq!(status["message"], "Pod was active on the node longer than the specified deadline");
}

#[test]
fn too_much_memory_is_killed_and_started_again() {
    let mut cluster = Cluster::new();
    let limits = json!({"limits": {"memory": "256Mi"}});
    let spec = json!({"containers": [{"name": "a", "image": "leak:1", "resources": limits}]});
    cluster.create(Kind::Pod, "default", annotated("leak", spec, json!({"wavetank.dev/memory": "56Mi..456Mi in 20s"})));
    cluster.run(12_000);
    let object = cluster.world.objects(Kind::Pod)[0].clone();
    let usage = cluster.world.kubelets()[0].pod_memory(object.meta().uid, cluster.world.now());
    assert!(usage.is_some_and(|bytes| bytes > 60 << 20 && bytes < 256 << 20), "{usage:?}");
    cluster.run(12_000);
    let state = shown(&cluster, "leak")["status"]["containerStatuses"][0].clone();
    let last = &state["lastState"]["terminated"];
    assert_eq!((&last["reason"], &last["exitCode"]), (&json!("OOMKilled"), &json!(137)), "{state}");
    assert_eq!(state["restartCount"], 1);
}

#[test]
fn a_kubelet_that_is_back_goes_on_with_a_pod_s_end() {
    let mut cluster = Cluster::new();
    let hook = json!({"preStop": {"exec": {"command": ["sleep", "5"]}}});
    let spec = json!({"containers": [{"name": "a", "image": "nginx:1.25", "lifecycle": hook}]});
    cluster.create(Kind::Pod, "default", pod("web", spec));
    cluster.run(8_000);
    delete(&mut cluster, "web", None);
    cluster.run(2_000);
    cluster.world.kill(crate::process::Process::Kubelet(0));
    cluster.run(10_000);
    assert_eq!(cluster.names(Kind::Pod), ["web"]);
    cluster.world.start(crate::process::Process::Kubelet(0));
    cluster.run(3_000);
    assert_eq!(cluster.names(Kind::Pod), ["web"], "the hook runs again");
    cluster.run(5_000);
    assert!(cluster.names(Kind::Pod).is_empty());
}

#[test]
fn what_a_pod_says_and_nobody_understands_is_an_event() {
    let mut cluster = Cluster::new();
    cluster.create(Kind::Pod, "default", annotated("web", json!({}), json!({"wavetank.dev/stop": "soon"})));
    cluster.run(8_000);
    let why = "InvalidAnnotation: annotation wavetank.dev/stop of container a: \"soon\" is not understood; it could be \"never\", \
               \"20s\", or \"5s exit 143\"";
    assert!(said(&cluster, "web").contains(&why.to_owned()), "{:?}", said(&cluster, "web"));
}
