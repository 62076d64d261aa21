//! Nodes that run short of memory or disk, in a whole small cluster.

use std::collections::BTreeMap;

use serde_json::json;

use super::machines::{asking, condition, node, phase, setup};
use super::{pod, said, shown};
use crate::controllers::cluster::Cluster;
use crate::kernel::Duration;
use crate::kubelet::{Amount, Signal, Threshold};
use crate::objects::Kind;

#[test]
fn memory_pressure_evicts_one_pod_after_the_other_until_it_is_over() {
    let mut cluster = Cluster::new();
    let critical = json!({"priorityClassName": "system-node-critical"});
    let grace = json!({"terminationGracePeriodSeconds": 60});
    cluster.create(Kind::Pod, "default", asking("small", json!({"memory": "100Mi"}), grace.clone()));
    cluster.create(Kind::Pod, "default", asking("large", json!({"memory": "1Gi"}), grace));
    cluster.create(Kind::Pod, "default", asking("none", json!({}), json!({"priority": 0})));
    cluster.create(Kind::Pod, "kube-system", asking("critical", json!({"memory": "100Mi"}), critical));
    cluster.run(10_000);
    let left = |text: &str| BTreeMap::from([(Signal::Memory, Amount::parse(text).expect("an amount"))]);
    assert!(cluster.world.set_pressure(0, &left("50Mi")) && !cluster.world.set_pressure(9, &left("50Mi")));
    cluster.run(25_000);
    let evicted = |name: &str| shown(&cluster, name)["status"]["reason"] == "Evicted";
    let gone: Vec<&str> = ["small", "large", "none", "critical"].into_iter().filter(|name| evicted(name)).collect();
    assert!(!gone.is_empty() && !gone.contains(&"critical"), "{gone:?}");
    let first = shown(&cluster, gone[0]);
    let message = first["status"]["message"].as_str().unwrap_or_default().to_owned();
    assert!(
        message.starts_with("The node was low on resource: memory. Threshold quantity: 100Mi, available: "),
        "{message}"
    );
    assert_eq!(first["status"]["phase"], "Failed");
    assert_eq!(condition(&first, "DisruptionTarget"), ("True".into(), "TerminationByKubelet".into(), message.clone()));
    assert!(said(&cluster, gone[0]).contains(&format!("Evicted: {message}")));
    let texts = said(&cluster, "worker-1");
    assert!(texts.contains(&"EvictionThresholdMet: Attempting to reclaim memory".to_owned()), "{texts:?}");
    let now = node(&cluster, "worker-1");
    assert_eq!(condition(&now, "MemoryPressure").1, "KubeletHasInsufficientMemory");
    assert!(now["spec"]["taints"].to_string().contains("node.kubernetes.io/memory-pressure"), "{now}");

    // What evicting gave back is enough, so nothing more goes; who requests nothing is not taken for five minutes.
    let before = gone.len();
    cluster.create(Kind::Pod, "default", pod("late", json!({})));
    cluster.run(60_000);
    let late = shown(&cluster, "late");
    assert_eq!(late["status"]["reason"], "Evicted");
    assert_eq!(late["status"]["message"], "Pod was rejected: The node had condition: [MemoryPressure]. ");
    let gone =
        ["small", "large", "none"].into_iter().filter(|name| shown(&cluster, name)["status"]["reason"] == "Evicted");
    assert_eq!(gone.count(), before);
    cluster.run(270_000);
    assert_eq!(condition(&node(&cluster, "worker-1"), "MemoryPressure").1, "KubeletHasSufficientMemory");
    assert!(!node(&cluster, "worker-1")["spec"]["taints"].to_string().contains("memory-pressure"));
}

#[test]
fn who_uses_more_memory_than_it_asked_for_goes_when_the_node_has_none_left() {
    let mut cluster = Cluster::new();
    let mut greedy = asking("greedy", json!({"memory": "100Mi"}), json!({}));
    greedy["metadata"]["annotations"] = json!({"wavetank.dev/memory": "50Mi..6Gi in 10m"});
    let mut honest = asking("honest", json!({"memory": "4Gi"}), json!({}));
    honest["metadata"]["annotations"] = json!({"wavetank.dev/memory": "3Gi"});
    cluster.create(Kind::Pod, "default", greedy);
    cluster.create(Kind::Pod, "default", honest);
    cluster.run(470_000);
    assert_eq!(phase(&cluster, "greedy"), "Running");
    cluster.run(60_000);
    let greedy = shown(&cluster, "greedy");
    assert_eq!(greedy["status"]["reason"], "Evicted");
    let message = greedy["status"]["message"].as_str().unwrap_or_default().to_owned();
    assert!(
        message.contains("Container a was using ")
            && message.contains(", request is 100Mi, has larger consumption of memory. "),
        "{message}"
    );
    assert_eq!(phase(&cluster, "honest"), "Running");
}

#[test]
fn what_grows_faster_than_the_kubelet_looks_is_killed_by_the_kernel() {
    let mut cluster = Cluster::new();
    let mut honest = asking("honest", json!({"memory": "4Gi"}), json!({}));
    honest["metadata"]["annotations"] = json!({"wavetank.dev/memory": "4Gi"});
    let mut burst = pod("burst", json!({}));
    burst["metadata"]["annotations"] = json!({"wavetank.dev/memory": "50Mi, 30s: 6Gi"});
    cluster.create(Kind::Pod, "default", honest);
    cluster.create(Kind::Pod, "default", burst);
    cluster.run(45_000);
    let burst = shown(&cluster, "burst");
    let last = &burst["status"]["containerStatuses"][0]["lastState"]["terminated"];
    assert_eq!((&last["reason"], &last["exitCode"]), (&json!("OOMKilled"), &json!(137)), "{burst}");
    let texts = said(&cluster, "worker-1");
    let oom = |said: &&String| said.starts_with("SystemOOM: System OOM encountered, victim process: a, pid: ");
    assert_eq!(texts.iter().filter(oom).count(), 1, "{texts:?}");
    let honest = shown(&cluster, "honest");
    assert_eq!(
        (&honest["status"]["phase"], &honest["status"]["containerStatuses"][0]["restartCount"]),
        (&json!("Running"), &json!(0))
    );
}

#[test]
fn under_disk_pressure_images_go_first() {
    let mut setup = setup();
    setup.nodes[0].disk = Some(10 << 30);
    setup.nodes[0].images.push(("old:1".into(), 2 << 30));
    let mut cluster = Cluster::of(setup);
    cluster.create(Kind::Pod, "default", pod("web", json!({})));
    cluster.run(130_000);
    let left = BTreeMap::from([(Signal::NodeFs, Amount::Share(50))]);
    cluster.world.set_pressure(0, &left);
    cluster.run(40_000);
    assert_eq!(phase(&cluster, "web"), "Running");
    assert!(!node(&cluster, "worker-1")["status"]["images"].to_string().contains("old:1"));
    assert_eq!(condition(&node(&cluster, "worker-1"), "DiskPressure").0, "True");
    let left = BTreeMap::from([(Signal::NodeFs, Amount::Share(30))]);
    cluster.world.set_pressure(0, &left);
    cluster.run(20_000);
    let message = shown(&cluster, "web")["status"]["message"].as_str().unwrap_or_default().to_owned();
    assert!(message.starts_with("The node was low on resource: ephemeral-storage. Threshold quantity: "), "{message}");
    assert!(cluster.world.set_pressure(0, &BTreeMap::new()));
}

#[test]
fn a_full_disk_loses_its_oldest_images() {
    let mut setup = setup();
    setup.nodes[0].disk = Some(10 << 30);
    setup.nodes[0].images = vec![("a:1".into(), 4 << 30), ("b:1".into(), 4 << 30)];
    let mut cluster = Cluster::of(setup);
    let uses = json!({"containers": [{"name": "a", "image": "b:1"}]});
    cluster.create(Kind::Pod, "default", pod("user", uses));
    cluster.run(60_000);
    let left = BTreeMap::from([(Signal::NodeFs, Amount::Share(151))]);
    cluster.world.set_pressure(0, &left);
    cluster.run(260_000);
    let images = node(&cluster, "worker-1")["status"]["images"].to_string();
    assert!(images.contains("b:1") && !images.contains("a:1"), "{images}");
    assert_eq!(condition(&node(&cluster, "worker-1"), "DiskPressure").0, "False");
}

#[test]
fn a_soft_threshold_waits_and_gives_time() {
    let mut setup = setup();
    let soft = Threshold {
        signal: Signal::Memory,
        value: Amount::Of(1 << 30),
        grace: Duration::from_secs(60),
        reclaim: Amount::Of(0),
    };
    setup.kubelet.thresholds.push(soft);
    setup.kubelet.eviction_max_pod_grace = 20;
    let mut cluster = Cluster::of(setup);
    let mut deaf = asking("deaf", json!({"memory": "2Gi"}), json!({}));
    deaf["metadata"]["annotations"] = json!({"wavetank.dev/stop": "never"});
    cluster.create(Kind::Pod, "default", deaf);
    cluster.run(10_000);
    cluster.world.set_pressure(0, &BTreeMap::from([(Signal::Memory, Amount::Of(500 << 20))]));
    cluster.run(55_000);
    assert_eq!(phase(&cluster, "deaf"), "Running");
    assert_eq!(condition(&node(&cluster, "worker-1"), "MemoryPressure").0, "True", "pressure is reported at once");
    cluster.run(20_000);
    assert_eq!(phase(&cluster, "deaf"), "Running", "it has 20 s");
    cluster.run(20_000);
    let deaf = shown(&cluster, "deaf");
    assert_eq!(deaf["status"]["reason"], "Evicted");
    assert_eq!(deaf["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"], 137);
}
