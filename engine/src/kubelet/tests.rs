//! Kubelets and machines that fail and come back, and pods that a kubelet does not take, in a whole small cluster.

use serde_json::{Value, json};

use crate::controllers::cluster::Cluster;
use crate::objects::{Key, Kind, json as api_json};
use crate::process::Process;

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
