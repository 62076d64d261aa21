//! Kubelets and machines that fail and come back, and pods that a kubelet does not take, in a whole small cluster.

mod lives;
mod machines;
mod pressure;
mod probes;

use serde_json::{Value, json};

use crate::apiserver::request::Propagation;
use crate::controllers::cluster::Cluster;
use crate::faults::{DropWhen, Fault};
use crate::kernel::{Duration, Endpoint};
use crate::objects::{Key, Kind, json as api_json};
use crate::process::Process;
use crate::trace::note::PodStep;
use crate::trace::{Record, What};

fn pod(name: &str, spec: Value) -> Value {
    let mut all = json!({"nodeName": "worker-1", "containers": [{"name": "a", "image": "nginx:1.25"}]});
    all.as_object_mut().expect("a map").extend(spec.as_object().expect("a map").clone());
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": all})
}

fn shown(cluster: &Cluster, name: &str) -> Value {
    let pods = cluster.world.objects(Kind::Pod);
    pods.iter().find(|pod| &*pod.meta().name == name).map_or(Value::Null, |pod| api_json::to_json(pod))
}

/// `reason: message` of the events about an object.
fn said(cluster: &Cluster, about: &str) -> Vec<String> {
    let events: Vec<Value> = cluster.world.objects(Kind::Event).iter().map(|event| api_json::to_json(event)).collect();
    let about = events.iter().filter(|event| event["involvedObject"]["name"] == about);
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    about.map(|event| format!("{}: {}", text(&event["reason"]), text(&event["message"]))).collect()
}

#[test]
fn containers_outlive_their_kubelet_but_not_their_machine() {
    let mut cluster = Cluster::new();
    cluster.create(Kind::Pod, "default", pod("web", json!({})));
    let once = json!({"restartPolicy": "Never", "containers": [{"name": "a", "image": "job:1"}]});
    cluster.run(8_000);
    let before = shown(&cluster, "web");
    assert_eq!(before["status"]["phase"], "Running");
    cluster.world.kill(Process::Kubelet(0));
    cluster.run(5_000);
    cluster.world.start(Process::Kubelet(0));
    cluster.run(5_000);
    assert_eq!(shown(&cluster, "web")["status"], before["status"], "nothing has happened to the pod");
    assert!(!said(&cluster, "worker-1").iter().any(|said| said.starts_with("Rebooted")));

    cluster.create(Kind::Pod, "default", pod("once", once));
    cluster.run(4_500);
    assert_eq!(shown(&cluster, "once")["status"]["phase"], "Running");
    assert!(cluster.world.lose_power(0) && !cluster.world.lose_power(9));
    cluster.run(20_000);
    assert_eq!(shown(&cluster, "web")["status"], before["status"], "nobody is there to say so");
    cluster.world.start(Process::Kubelet(0));
    cluster.run(8_000);
    let after = shown(&cluster, "web");
    let container = &after["status"]["containerStatuses"][0];
    assert_eq!((&after["status"]["phase"], &container["ready"]), (&json!("Running"), &json!(true)));
    assert_eq!(container["restartCount"], 1);
    let last = &container["lastState"]["terminated"];
    assert_eq!((&last["exitCode"], &last["reason"]), (&json!(255), &json!("Unknown")));
    assert_eq!(after["status"]["startTime"], before["status"]["startTime"]);
    assert!(said(&cluster, "web").iter().any(|said| said.starts_with("SandboxChanged: Pod sandbox changed")));
    let once = shown(&cluster, "once");
    let state = &once["status"]["containerStatuses"][0]["state"]["terminated"];
    assert_eq!((&once["status"]["phase"], &state["exitCode"]), (&json!("Failed"), &json!(255)));
    let node = said(&cluster, "worker-1");
    assert!(node.iter().any(|said| said.starts_with("Rebooted: Node worker-1 has been rebooted, boot id: ")));
    assert_eq!(node.iter().filter(|said| said.starts_with("NodeReady")).count(), 1, "it was ready all along");
}

#[test]
fn a_pod_with_a_sidecar_that_is_deleted_while_its_machine_is_dark_goes_with_the_boot() {
    let mut cluster = Cluster::new();
    let sidecar = json!([{"name": "proxy", "image": "envoy:1", "restartPolicy": "Always"}]);
    cluster.create(Kind::Pod, "default", pod("web", json!({"initContainers": sidecar})));
    cluster.run(10_000);
    assert_eq!(shown(&cluster, "web")["status"]["phase"], "Running");
    assert!(cluster.world.lose_power(0));
    cluster.delete(Kind::Pod, Key::new("default", "web"), Propagation::Background);
    cluster.run(5_000);
    assert!(!shown(&cluster, "web")["metadata"]["deletionTimestamp"].is_null());
    cluster.world.start(Process::Kubelet(0));
    cluster.run(10_000);
    assert_eq!(shown(&cluster, "web"), Value::Null);
}

#[test]
fn nobody_knows_of_a_back_off_after_a_boot_or_with_a_new_kubelet() {
    for machine in [true, false] {
        let mut cluster = Cluster::new();
        let mut crashing = pod("web", json!({}));
        crashing["metadata"]["annotations"] = json!({"wavetank.dev/run": "2s exit 1"});
        cluster.create(Kind::Pod, "default", crashing);
        cluster.run(110_000);
        let state = |cluster: &Cluster| shown(cluster, "web")["status"]["containerStatuses"][0].clone();
        let before = state(&cluster);
        assert_eq!(before["state"]["waiting"]["reason"], "CrashLoopBackOff", "for 80 s by now");
        let kubelet = Process::Kubelet(0);
        let gone = if machine { cluster.world.lose_power(0) } else { cluster.world.kill(kubelet) };
        assert!(gone);
        let restarted = cluster.world.now();
        cluster.world.start(kubelet);
        cluster.run(9_000);
        let after = state(&cluster);
        assert!(after["restartCount"].as_i64() > before["restartCount"].as_i64(), "{machine}: {after}");
        let began = |record: &Record| matches!(record.note.what, What::Pod { step: PodStep::ContainerStarted, .. });
        let records = cluster.world.trace().records();
        assert!(records.iter().any(|record| record.at > restarted && began(record)), "{machine}: it has run");
    }
}

#[test]
fn a_pod_of_which_is_said_that_it_is_over_ends_and_stays_so() {
    let mut cluster = Cluster::new();
    cluster.create(Kind::Pod, "default", pod("web", json!({"terminationGracePeriodSeconds": 5})));
    cluster.run(8_000);
    assert_eq!(shown(&cluster, "web")["status"]["phase"], "Running");
    let over = json!({"status": {"phase": "Failed", "reason": "Said", "message": "so"}});
    cluster.patch_status(Kind::Pod, Key::new("default", "web"), over);
    cluster.run(10_000);
    let status = shown(&cluster, "web")["status"].clone();
    assert_eq!((&status["phase"], &status["reason"]), (&json!("Failed"), &json!("Said")), "{status}");
    assert!(!status["containerStatuses"][0]["state"]["terminated"].is_null(), "{status}");
}

#[test]
fn a_kubelet_contradicts_who_says_that_its_pod_is_not_ready_even_if_it_never_saw_it_ready() {
    let mut cluster = Cluster::new();
    let drop = Fault::WatchDrop {
        client: Endpoint::Kubelet(0),
        when: DropWhen::Every(Duration::from_millis(100)),
        expired: true,
    };
    cluster.create(Kind::Pod, "default", pod("web", json!({})));
    cluster.run(500);
    let drops = cluster.world.begin_fault("", vec![drop]);
    let ready = |cluster: &Cluster| {
        let conditions = shown(cluster, "web")["status"]["conditions"].as_array().cloned().unwrap_or_default();
        conditions.iter().any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
    };
    let waited = (0..200)
        .take_while(|_| {
            !ready(&cluster) && {
                cluster.run(50);
                true
            }
        })
        .count();
    assert!((1..200).contains(&waited));
    let not = json!({"status": {"conditions": [{"type": "Ready", "status": "False"}]}});
    cluster.patch_status(Kind::Pod, Key::new("default", "web"), not);
    assert!(!ready(&cluster));
    cluster.world.end_fault(drops);
    cluster.run(60_000);
    assert!(ready(&cluster), "{}", shown(&cluster, "web")["status"]);
}

#[test]
fn what_a_pod_reads_must_be_there_before_it_runs() {
    let mut cluster = Cluster::new();
    let env = json!([{"name": "M", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "mode"}}}]);
    let containers = json!([{"name": "a", "image": "nginx:1.25", "env": env}]);
    cluster.create(Kind::Pod, "default", pod("env", json!({"containers": containers})));
    let mounts = json!([{"name": "cfg", "mountPath": "/cfg"}]);
    let volume = json!({
        "containers": [{"name": "a", "image": "nginx:1.25", "volumeMounts": mounts}],
        "volumes": [{"name": "cfg", "configMap": {"name": "settings"}}, {"name": "maybe", "secret": {"secretName": "s", "optional": true}}],
    });
    cluster.create(Kind::Pod, "default", pod("volume", volume));
    cluster.run(10_000);
    let waits = |name: &str| shown(&cluster, name)["status"]["containerStatuses"][0]["state"]["waiting"].clone();
    let missing = json!({"reason": "CreateContainerConfigError", "message": "configmap \"settings\" not found"});
    assert_eq!((waits("env"), waits("volume")), (missing, json!({"reason": "ContainerCreating"})));
    assert!(said(&cluster, "env").contains(&"Failed: Error: configmap \"settings\" not found".to_owned()));
    let failed = "FailedMount: MountVolume.SetUp failed for volume \"cfg\" : configmap \"settings\" not found";
    assert!(said(&cluster, "volume").contains(&failed.to_owned()));

    let map =
        |data: Value| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}, "data": data});
    cluster.create(Kind::ConfigMap, "default", map(json!({"other": "x"})));
    cluster.run(20_000);
    let key = "Failed: Error: couldn't find key mode in ConfigMap default/settings";
    assert!(said(&cluster, "env").contains(&key.to_owned()));
    assert_eq!(shown(&cluster, "volume")["status"]["phase"], "Running");
    cluster.patch(Kind::ConfigMap, Key::new("default", "settings"), json!({"data": {"mode": "prod"}}));
    cluster.run(20_000);
    assert_eq!(shown(&cluster, "env")["status"]["phase"], "Running");
}

#[test]
fn annotations_say_what_probes_and_signals_do() {
    let mut cluster = Cluster::new();
    let probe = json!({"httpGet": {"port": 80}, "periodSeconds": 2});
    let mut unready =
        pod("unready", json!({"containers": [{"name": "a", "image": "nginx:1.25", "readinessProbe": probe}]}));
    unready["metadata"]["annotations"] = json!({"wavetank.dev/ready": "false"});
    let mut deaf = pod("deaf", json!({"terminationGracePeriodSeconds": 5}));
    deaf["metadata"]["annotations"] = json!({"wavetank.dev/stop": "never"});
    deaf["metadata"]["finalizers"] = json!(["example.com/look"]);
    cluster.create(Kind::Pod, "default", unready);
    cluster.create(Kind::Pod, "default", deaf);
    cluster.run(12_000);
    let ready = |cluster: &Cluster| shown(cluster, "unready")["status"]["containerStatuses"][0]["ready"].clone();
    assert_eq!(ready(&cluster), json!(false));
    let why = "Unhealthy: Readiness probe failed: HTTP probe failed with statuscode: 503";
    assert!(said(&cluster, "unready").contains(&why.to_owned()));
    let annotations = json!({"metadata": {"annotations": {"wavetank.dev/ready": "true"}}});
    cluster.patch(Kind::Pod, Key::new("default", "unready"), annotations);
    cluster.run(5_000);
    assert_eq!(ready(&cluster), json!(true));

    let body = crate::apiserver::request::Body::Delete(Default::default());
    assert!(cluster.ask(crate::apiserver::request::Verb::Delete, Kind::Pod, Key::new("default", "deaf"), body).is_ok());
    cluster.run(4_000);
    assert_eq!(shown(&cluster, "deaf")["status"]["phase"], "Running");
    cluster.run(4_000);
    let state = shown(&cluster, "deaf")["status"]["containerStatuses"][0]["state"]["terminated"].clone();
    assert_eq!((&state["exitCode"], &state["reason"]), (&json!(137), &json!("Error")));
}

#[test]
fn what_does_not_fit_is_not_taken() {
    let mut cluster = Cluster::new();
    let asks =
        |cpu: &str| json!({"containers": [{"name": "a", "image": "a:1", "resources": {"requests": {"cpu": cpu}}}]});
    cluster.create(Kind::Pod, "default", pod("half", asks("2500m")));
    cluster.run(3_000);
    cluster.create(Kind::Pod, "default", pod("more", asks("2")));
    let wants = json!({"nodeSelector": {"disk": "ssd"}});
    cluster.create(Kind::Pod, "default", pod("picky", wants.clone()));
    cluster.run(3_000);
    let status = |name: &str| shown(&cluster, name)["status"].clone();
    let message =
        "Pod was rejected: Node didn't have enough resource: cpu, requested: 2000, used: 2500, capacity: 4000";
    let more = status("more");
    assert_eq!(
        (&more["phase"], &more["reason"], &more["message"]),
        (&json!("Failed"), &json!("OutOfcpu"), &json!(message))
    );
    let message = "Pod was rejected: Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector";
    assert_eq!((&status("picky")["reason"], &status("picky")["message"]), (&json!("NodeAffinity"), &json!(message)));
    let texts = said(&cluster, "more");
    assert_eq!(texts, ["OutOfcpu: Node didn't have enough resource: cpu, requested: 2000, used: 2500, capacity: 4000"]);

    let labels = json!({"metadata": {"labels": {"disk": "ssd"}}});
    cluster.patch(Kind::Node, Key::new("", "worker-1"), labels);
    cluster.create(Kind::Pod, "default", pod("lucky", wants));
    cluster.run(6_000);
    assert_eq!(shown(&cluster, "lucky")["status"]["phase"], "Running");
}

#[test]
fn what_was_to_go_while_the_kubelet_was_away_goes_when_it_is_back() {
    let mut cluster = Cluster::new();
    for name in ["graceful", "forced", "kept"] {
        cluster.create(Kind::Pod, "default", pod(name, json!({})));
    }
    cluster.run(10_000);
    cluster.world.kill(Process::Kubelet(0));
    let options = |grace| crate::apiserver::request::DeleteOptions { grace, ..Default::default() };
    for (name, grace) in [("graceful", None), ("forced", Some(0))] {
        let body = crate::apiserver::request::Body::Delete(options(grace));
        let asked = cluster.ask(crate::apiserver::request::Verb::Delete, Kind::Pod, Key::new("default", name), body);
        assert!(asked.is_ok());
    }
    cluster.run(40_000);
    assert_eq!(cluster.names(Kind::Pod), ["graceful", "kept"], "nobody confirms its end");
    cluster.world.start(Process::Kubelet(0));
    cluster.run(3_000);
    assert_eq!(cluster.names(Kind::Pod), ["kept"]);
}

#[test]
fn a_program_listens_from_its_start_up_to_the_signal() {
    let mut cluster = Cluster::new();
    let annotated = |name: &str, annotations: Value| {
        let mut pod = pod(name, json!({"terminationGracePeriodSeconds": 10}));
        pod["metadata"]["annotations"] = annotations;
        pod["metadata"]["finalizers"] = json!(["example.com/look"]);
        pod
    };
    let slow = json!({"wavetank.dev/listens-after": "5s", "wavetank.dev/stop": "6s"});
    let drains =
        json!({"wavetank.dev/listens-after.b": "1h", "wavetank.dev/drains": "true", "wavetank.dev/stop": "6s"});
    cluster.create(Kind::Pod, "default", annotated("slow", slow));
    cluster.create(Kind::Pod, "default", annotated("drains", drains));
    let listens = |cluster: &Cluster, name: &str| {
        let pods = cluster.world.objects(Kind::Pod);
        let uid = pods.iter().find(|pod| &*pod.meta().name == name).map(|pod| pod.meta().uid);
        let listens = |uid| cluster.world.pod_listens(0, uid);
        uid.is_some_and(listens)
    };
    let mut began = [0, 0];
    for second in 1..15 {
        cluster.run(1_000);
        for (began, name) in began.iter_mut().zip(["slow", "drains"]) {
            if *began == 0 && listens(&cluster, name) {
                *began = second;
            }
        }
    }
    assert!(began[1] > 0 && began[0] >= began[1] + 4, "{began:?}");
    for name in ["slow", "drains"] {
        let body = crate::apiserver::request::Body::Delete(Default::default());
        assert!(
            cluster.ask(crate::apiserver::request::Verb::Delete, Kind::Pod, Key::new("default", name), body).is_ok()
        );
    }
    cluster.run(2_000);
    assert_eq!((listens(&cluster, "slow"), listens(&cluster, "drains")), (false, true));
    cluster.run(6_000);
    assert!(!listens(&cluster, "drains"));
}
