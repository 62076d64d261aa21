//! A random cluster: how many of each, how big, how fast.

use serde_json::{Value, json};

use super::draw::Draw;

/// What operations and faults must know of the cluster they are drawn for.
#[derive(Clone, Debug)]
pub struct Shape {
    /// Names of its nodes.
    pub nodes: Vec<String>,
    /// Names of etcd's members.
    pub etcd: Vec<String>,
    /// Names of the API servers.
    pub api_servers: Vec<String>,
    /// Names of controller managers and schedulers.
    pub deciders: Vec<String>,
    /// Zones of the nodes that are there from the start.
    pub zones: Vec<String>,
    /// Whether there is a metrics server.
    pub metrics: bool,
}

impl Shape {
    /// Processes of the control plane.
    pub fn control_plane(&self) -> Vec<String> {
        self.etcd.iter().chain(&self.api_servers).chain(&self.deciders).cloned().collect()
    }

    /// Everything with a place in the network.
    pub fn everything(&self) -> Vec<String> {
        self.control_plane().into_iter().chain(self.nodes.iter().cloned()).collect()
    }
}

/// Zones nodes are in.
const ZONES: [&str; 3] = ["a", "b", "c"];

/// The cluster of a seed, as `cluster(#{ … })` takes it, and its shape.
pub fn draw(seed: u64) -> (Value, Shape) {
    let at = |purpose: &str| Draw::at(seed, purpose, 0);
    let number = at("cluster.nodes").number(1, 12);
    let zones = at("cluster.zones").number(1, 3) as usize;
    let nodes: Vec<Value> = (0..number).map(|n| node(seed, n, zones)).collect();
    let etcd = *at("cluster.etcd").one(&[&1u64, &3, &3, &5]);
    let api_servers = *at("cluster.api_servers").one(&[&1u64, &1, &2, &3]);
    let managers = at("cluster.managers").number(1, 2);
    let schedulers = at("cluster.schedulers").number(1, 2);
    let profile = at("cluster.profile").one(&["laptop", "laptop", "production", "slow-disk"]);
    let metrics = at("cluster.metrics").chance(50);
    let mut spec = json!({
        "nodes": nodes, "etcd": {"members": etcd}, "api_servers": api_servers, "controller_managers": managers,
        "schedulers": schedulers, "profile": profile, "seed": seed, "metrics_server": metrics,
    });
    if at("cluster.compaction").chance(50) {
        spec["etcd"]["compaction_interval"] = json!("1m");
    }
    if at("cluster.pulls").chance(30) {
        spec["kubelet"] = json!({"pull": "8s"});
    }
    if at("cluster.stragglers").chance(20) {
        spec["kubelet"]["termination"] = json!("12s");
    }
    if at("cluster.parallel").chance(40) {
        spec["kubelet"]["max_parallel_pulls"] = json!(at("cluster.parallel").number(2, 5));
    }
    if at("cluster.shutdown").chance(60) {
        spec["kubelet"]["shutdown_grace_period"] = json!("20s");
        spec["kubelet"]["shutdown_grace_period_critical_pods"] = json!("5s");
    }
    if at("cluster.proxies").chance(25) {
        spec["kube_proxy"] = json!(true);
    }
    let several = |name: &str, of: u64| -> Vec<String> {
        if of == 1 { vec![name.to_owned()] } else { (0..of).map(|n| format!("{name}-{n}")).collect() }
    };
    let mut deciders = several("kube-controller-manager", managers);
    deciders.extend(several("kube-scheduler", schedulers));
    let shape = Shape {
        nodes: (0..number).map(|n| format!("worker-{}", n + 1)).collect(),
        etcd: (0..etcd).map(|n| format!("etcd-{n}")).collect(),
        api_servers: several("kube-apiserver", api_servers),
        deciders,
        zones: ZONES.iter().take(zones.min(number as usize)).map(|zone| (*zone).to_owned()).collect(),
        metrics,
    };
    (spec, shape)
}

/// The `n`-th node, from 0.
pub fn node(seed: u64, n: u64, zones: usize) -> Value {
    let mut draw = Draw::at(seed, "cluster.node", n);
    let zone = ZONES[n as usize % zones.clamp(1, ZONES.len())];
    let mut node = json!({
        "name": format!("worker-{}", n + 1),
        "cpu": draw.one(&["2", "4", "4", "8"]),
        "memory": draw.one(&["4Gi", "8Gi", "16Gi"]),
        "pods": if draw.chance(10) { 8 } else { 110 },
        "labels": {"topology.kubernetes.io/zone": zone},
    });
    // The first nodes take anything, so that there is always somewhere to go.
    if n >= 2 && draw.chance(15) {
        node["taints"] = json!(["dedicated=batch:NoSchedule"]);
    }
    node
}
