//! Nodes that fall silent and come back, in a whole small cluster.

use serde_json::{Value, json};

use crate::client::Agent;
use crate::controllers::cluster::Cluster;
use crate::kernel::Instant;
use crate::objects::{Key, Kind, Node, Object, Pod};
use crate::process::Process;

fn node(cluster: &Cluster, name: &str) -> Node {
    let nodes = cluster.world.objects(Kind::Node);
    let node = nodes.iter().filter_map(|node| node.as_node()).find(|node| &*node.meta.name == name);
    node.expect("the node").clone()
}

fn taints(cluster: &Cluster, name: &str) -> Vec<String> {
    let node = node(cluster, name);
    let short = |key: &str| key.trim_start_matches("node.kubernetes.io/").to_owned();
    node.taints.iter().map(|taint| format!("{}:{}", short(&taint.key), taint.effect)).collect()
}

fn pods(cluster: &Cluster, test: impl Fn(&Pod) -> bool) -> usize {
    let pods = cluster.world.objects(Kind::Pod);
    pods.iter().filter_map(|pod| pod.as_pod()).filter(|pod| test(pod)).count()
}

fn on<'a>(name: &'a str) -> impl Fn(&Pod) -> bool + 'a {
    move |pod| pod.node.as_deref() == Some(name)
}

/// Seconds until `done`, looked at ten times a second.
fn until(cluster: &mut Cluster, limit: u64, done: impl Fn(&Cluster) -> bool) -> f64 {
    let began = cluster.world.now();
    while !done(cluster) {
        cluster.run(100);
        assert!(seconds(cluster, began) < limit as f64, "it takes more than {limit} s");
    }
    seconds(cluster, began)
}

fn seconds(cluster: &Cluster, since: Instant) -> f64 {
    cluster.world.now().since(since).as_nanos() as f64 / 1e9
}

fn pinned(name: &str, node: &str, toleration: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": {
        "nodeName": node, "tolerations": toleration, "containers": [{"name": "a", "image": "nginx:1.25"}]}})
}

#[test]
fn a_silent_node_is_found_after_its_grace_period_and_loses_its_pods_five_minutes_later() {
    let mut cluster = Cluster::new();
    cluster.deploy("default", 6);
    let before = pods(&cluster, on("worker-2"));
    assert!(before > 0 && cluster.world.kill(Process::Kubelet(1)));
    let found = until(&mut cluster, 70, |cluster| !node(cluster, "worker-2").ready());
    assert!((40.0..60.2).contains(&found), "{found}");
    cluster.run(300);
    assert_eq!(taints(&cluster, "worker-2"), ["unreachable:NoSchedule", "unreachable:NoExecute"]);
    let silent = node(&cluster, "worker-2");
    let shown: Vec<_> =
        silent.status.conditions.iter().map(|it| (&*it.kind, it.status.as_str(), &*it.reason)).collect();
    let unknown = |kind| (kind, "Unknown", "NodeStatusUnknown");
    assert_eq!(shown, ["MemoryPressure", "DiskPressure", "PIDPressure", "Ready"].map(unknown));
    assert_eq!(pods(&cluster, |pod| !pod.ready()), before);

    let evicted = until(&mut cluster, 302, |cluster| pods(cluster, |pod| pod.meta.deleting()) == before);
    assert!((299.0..301.0).contains(&evicted), "{evicted}");
    cluster.run(8_000);
    assert_eq!(pods(&cluster, |pod| pod.ready() && !pod.meta.deleting()), 6, "there are others instead");
    cluster.run(60_000);
    assert_eq!(pods(&cluster, on("worker-2")), before, "the old ones stay until somebody confirms their end");

    assert!(cluster.world.start(Process::Kubelet(1)));
    cluster.run(8_000);
    assert!(node(&cluster, "worker-2").ready() && taints(&cluster, "worker-2").is_empty());
    assert_eq!((pods(&cluster, on("worker-2")), pods(&cluster, Pod::ready)), (0, 6));
    let asked = cluster.asked(Agent::NodeController);
    assert_eq!(asked.iter().filter(|line| line.starts_with("update pods/status")).count(), before);
}

#[test]
fn a_node_that_returns_in_time_keeps_its_pods() {
    let mut cluster = Cluster::new();
    cluster.create(Kind::Pod, "default", pinned("kept", "worker-1", json!([])));
    let tolerates = json!([{"operator": "Exists", "tolerationSeconds": 3, "effect": "NoExecute"}]);
    cluster.create(Kind::Pod, "default", pinned("gone", "worker-1", tolerates));
    cluster.run(8_000);
    assert_eq!(pods(&cluster, Pod::ready), 2);
    cluster.world.kill(Process::Kubelet(0));
    until(&mut cluster, 70, |cluster| taints(cluster, "worker-1").len() == 2);
    cluster.run(10_000);
    cluster.world.start(Process::Kubelet(0));
    cluster.run(10_000);
    assert!(taints(&cluster, "worker-1").is_empty());
    assert_eq!(cluster.names(Kind::Pod), ["kept"]);
    let said = |text: &str| {
        let events = cluster.world.objects(Kind::Event);
        let messages =
            events.iter().filter_map(|event| if let Object::Event(event) = &**event { Some(event) } else { None });
        messages.filter(|event| event.message.contains(text)).count()
    };
    assert_eq!(said("Marking for deletion Pod default/gone"), 1);
    assert_eq!(said("Cancelling deletion of Pod default/kept"), 1);
    assert_eq!((said("Node worker-1 status is now: NodeNotReady"), said("Node is not ready")), (1, 2));
    assert_eq!(said("Node worker-1 event: Registered Node worker-1 in Controller"), 1);
}

#[test]
fn two_nodes_get_their_taints_ten_seconds_apart_and_three_of_three_get_none() {
    let mut cluster = Cluster::new();
    for node in [1, 2] {
        cluster.world.kill(Process::Kubelet(node));
    }
    let executes = |cluster: &Cluster| {
        let names = ["worker-1", "worker-2", "worker-3"];
        names.iter().filter(|name| taints(cluster, name).iter().any(|taint| taint.ends_with("NoExecute"))).count()
    };
    until(&mut cluster, 70, |cluster| executes(cluster) == 1);
    let second = until(&mut cluster, 20, |cluster| executes(cluster) == 2);
    assert!((5.0..10.3).contains(&second), "{second}");
    cluster.world.kill(Process::Kubelet(0));
    until(&mut cluster, 70, |cluster| !node(cluster, "worker-1").ready());
    cluster.run(1_000);
    assert_eq!(executes(&cluster), 0, "the fault is more likely the control plane's");
    cluster.run(60_000);
    assert_eq!(executes(&cluster), 0);
    cluster.world.start(Process::Kubelet(1));
    until(&mut cluster, 20, |cluster| node(cluster, "worker-2").ready());
    until(&mut cluster, 120, |cluster| executes(cluster) == 2);
}

#[test]
fn pods_of_a_node_that_is_gone_and_of_one_out_of_service_are_collected() {
    let mut cluster = Cluster::new();
    cluster.create(Kind::Pod, "default", pinned("orphan", "worker-3", json!([])));
    cluster.create(Kind::Pod, "default", pinned("stuck", "worker-2", json!([])));
    cluster.run(8_000);
    for node in [1, 2] {
        cluster.world.kill(Process::Kubelet(node));
    }
    cluster.delete(Kind::Node, Key::new("", "worker-3"), crate::apiserver::request::Propagation::Background);
    let gone = until(&mut cluster, 70, |cluster| cluster.names(Kind::Pod) == ["stuck"]);
    assert!((40.0..61.0).contains(&gone), "{gone}");
    cluster.delete(Kind::Pod, Key::new("default", "stuck"), crate::apiserver::request::Propagation::Background);
    until(&mut cluster, 70, |cluster| !node(cluster, "worker-2").ready());
    cluster.run(25_000);
    assert_eq!(cluster.names(Kind::Pod), ["stuck"]);
    let taint = json!([{"key": "node.kubernetes.io/out-of-service", "value": "nodeshutdown", "effect": "NoSchedule"}]);
    cluster.patch(Kind::Node, Key::new("", "worker-2"), json!({"spec": {"taints": taint}}));
    until(&mut cluster, 21, |cluster| cluster.count(Kind::Pod) == 0);
}
