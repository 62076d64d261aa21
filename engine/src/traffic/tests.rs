//! Requests in a whole small cluster, with kube-proxies, kubelets and the EndpointSlice controller.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{Arrivals, Flow, FlowSpec, Loss, Tally};
use crate::apiserver::request::Propagation;
use crate::client::Agent;
use crate::controllers::cluster::Cluster;
use crate::kernel::{Duration, Endpoint, Latency};
use crate::objects::{Key, Kind};
use crate::process::Process;
use crate::trace::note::{PodStep, TrafficStep};
use crate::trace::{Record, What};

const MS: fn(u64) -> Duration = Duration::from_millis;

fn spec(nodes: &[u32]) -> FlowSpec {
    FlowSpec {
        name: "users".into(),
        service: Key::new("default", "web"),
        port: None,
        nodes: Arc::from(nodes),
        outside: false,
        every: MS(10),
        arrivals: Arrivals::Even,
        link: Latency::constant(1.0),
        service_time: Latency::constant(30.0),
        concurrency: 8,
        queue: 100,
        timeout: MS(1_000),
        retries: 0,
        keep_alive: 0,
    }
}

fn service(cluster: &mut Cluster, mut spec: Value) {
    spec["selector"] = json!({"app": "web"});
    spec["ports"] = json!([{"port": 80}]);
    let manifest = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}, "spec": spec});
    cluster.create(Kind::Service, "default", manifest);
}

/// Three nodes, a Service, and so many pods that have been ready for a while.
fn cluster(replicas: usize) -> Cluster {
    let mut cluster = Cluster::new();
    service(&mut cluster, json!({}));
    cluster.deploy("default", replicas);
    cluster.run(5_000);
    cluster
}

fn flow(cluster: &Cluster) -> Flow {
    cluster.world.traffic().and_then(|traffic| traffic.flows().first().cloned()).expect("a flow")
}

fn delete(cluster: &mut Cluster, pod: Key) {
    cluster.delete(Kind::Pod, pod, Propagation::Background);
}

fn tally(cluster: &Cluster) -> Tally {
    flow(cluster).tally
}

fn lost(cluster: &Cluster, why: Loss) -> u64 {
    tally(cluster).lost[why as usize]
}

fn steps(cluster: &Cluster, wanted: TrafficStep) -> Vec<Record> {
    let of = |record: &&Record| matches!(&record.note.what, What::Traffic(passing) if passing.step == wanted);
    cluster.world.trace().records().iter().filter(of).cloned().collect()
}

fn pod_on(cluster: &Cluster, node: &str) -> Key {
    let pods = cluster.world.objects(Kind::Pod);
    let found = pods.iter().find(|pod| pod.as_pod().is_some_and(|pod| pod.node.as_deref() == Some(node)));
    found.unwrap_or_else(|| panic!("no pod on {node}")).key()
}

#[test]
fn a_healthy_service_serves_everything_from_every_node() {
    let mut cluster = cluster(3);
    cluster.world.start_traffic(spec(&[0, 1, 2]));
    cluster.run(10_000);
    let flow = flow(&cluster);
    assert!(flow.tally.sent > 950 && flow.tally.lost() == 0 && flow.tally.in_flight() < 8, "{:?}", flow.tally);
    assert_eq!(flow.latency.quantile(500).map(|took| took.as_nanos() / 1_000_000), Some(32));
    assert_eq!(flow.history.buckets().iter().map(|bucket| bucket.served).sum::<u64>(), flow.tally.served);
    assert!(flow.gap.is_some_and(|gap| gap.lasted < MS(60)), "{:?}", flow.gap);
    cluster.world.stop_traffic(0);
    cluster.run(5_000);
    let events = cluster.world.handled();
    assert_eq!(tally(&cluster).in_flight(), 0);
    cluster.run(10);
    assert!(cluster.world.handled() - events < 100 && steps(&cluster, TrafficStep::Loses).is_empty());
}

#[test]
fn nothing_of_it_is_there_without_traffic() {
    let cluster = cluster(2);
    assert!(cluster.world.traffic().is_none() && cluster.world.proxies().next().is_none());
    let none = |record: &&Record| matches!(record.note.by, Agent::KubeProxy(_) | Agent::Traffic(_));
    assert_eq!(cluster.world.trace().records().iter().filter(none).count(), 0);
}

#[test]
fn a_service_without_pods_refuses() {
    let mut cluster = Cluster::new();
    service(&mut cluster, json!({}));
    cluster.world.start_traffic(spec(&[0]));
    cluster.run(3_000);
    let tally = tally(&cluster);
    assert!(tally.sent > 250 && lost(&cluster, Loss::Refused) == tally.sent, "{tally:?}");
    assert_eq!(steps(&cluster, TrafficStep::Loses).len(), 1, "one window");
}

#[test]
fn a_deleted_pod_refuses_until_the_rules_have_followed() {
    let mut cluster = cluster(3);
    cluster.world.start_traffic(FlowSpec { every: MS(1), concurrency: 100, ..spec(&[0, 1, 2]) });
    cluster.run(5_000);
    let pod = pod_on(&cluster, "worker-1");
    delete(&mut cluster, pod);
    cluster.run(15_000);
    let tally = tally(&cluster);
    assert!(lost(&cluster, Loss::Refused) >= 1 && tally.lost() < 100, "{tally:?}");
    let loses = steps(&cluster, TrafficStep::Loses);
    let causes = cluster.world.trace().causes(loses[0].id);
    let killing = |record: &&Record| matches!(record.note.what, What::Pod { step: PodStep::Killing, .. });
    assert!(causes.iter().any(killing), "{causes:?}");
    let over = steps(&cluster, TrafficStep::Lost);
    let counted: u64 = over
        .iter()
        .filter_map(|record| if let What::Traffic(passing) = &record.note.what { Some(&passing.lost) } else { None })
        .flatten()
        .sum();
    assert_eq!(counted, tally.lost());
}

#[test]
fn a_retry_finds_another_pod() {
    let mut cluster = cluster(3);
    cluster.world.start_traffic(FlowSpec { retries: 3, ..spec(&[0]) });
    cluster.run(5_000);
    let pod = pod_on(&cluster, "worker-2");
    delete(&mut cluster, pod);
    cluster.run(15_000);
    let tally = tally(&cluster);
    assert!(tally.retried > 0 && tally.lost() <= 1, "{tally:?}");
}

#[test]
fn a_node_without_power_swallows_requests_until_its_pods_are_not_ready() {
    let mut cluster = cluster(3);
    cluster.world.start_traffic(spec(&[0]));
    cluster.run(5_000);
    let died = cluster.world.now();
    let busy = pod_on(&cluster, "worker-2");
    assert!(!busy.name.is_empty());
    cluster.world.lose_power(1);
    cluster.run(90_000);
    let flow = flow(&cluster);
    let (timed_out, others) = (lost(&cluster, Loss::TimedOut), lost(&cluster, Loss::Refused));
    assert!(timed_out > 900 && others == 0, "a third of 100/s for 40 s and more: {:?}", flow.tally);
    let lossy: Vec<u64> = (0..).zip(flow.history.buckets()).filter(|(_, it)| it.lost > 0).map(|(n, _)| n).collect();
    let since = |second: u64| (flow.history.start() + Duration::from_secs(second)).since(died).as_secs_f64();
    assert!((38.0..60.0).contains(&since(lossy[lossy.len() - 1])), "{lossy:?}");
    let window = &steps(&cluster, TrafficStep::Loses)[0];
    let causes = cluster.world.trace().causes(window.id);
    let died =
        |record: &&&Record| record.note.by == Agent::Kubelet(1) && matches!(record.note.what, What::Ended { .. });
    assert_eq!(causes.iter().filter(died).count(), 1, "{causes:?}");
    // It comes back, with its proxy.
    cluster.world.start(Process::Kubelet(1));
    cluster.run(60_000);
    let before = tally(&cluster);
    cluster.run(10_000);
    assert_eq!(tally(&cluster).lost(), before.lost());
}

#[test]
fn without_a_kube_proxy_rules_grow_stale() {
    let mut cluster = cluster(1);
    cluster.world.start_traffic(spec(&[0]));
    cluster.run(5_000);
    assert!(cluster.world.kill(Process::Proxy(0)));
    cluster.run(2_000);
    assert_eq!(tally(&cluster).lost(), 0, "the rules are still there");
    let pod = cluster.world.objects(Kind::Pod)[0].key();
    delete(&mut cluster, pod);
    cluster.run(30_000);
    let stale = tally(&cluster);
    assert!(stale.lost() > 2_500, "nobody tells the node of the new pod: {stale:?}");
    assert!(cluster.world.start(Process::Proxy(0)));
    cluster.run(3_000);
    let before = tally(&cluster).lost();
    cluster.run(5_000);
    assert_eq!(tally(&cluster).lost(), before);
}

#[test]
fn a_container_that_is_killed_resets_what_it_works_on() {
    let mut cluster = cluster(1);
    let slow = FlowSpec { service_time: Latency::constant(900.0), concurrency: 200, timeout: MS(5_000), ..spec(&[0]) };
    cluster.world.start_traffic(slow);
    cluster.run(5_000);
    let pod = cluster.world.objects(Kind::Pod)[0].key();
    delete(&mut cluster, pod);
    cluster.run(3_000);
    let reset = lost(&cluster, Loss::Reset);
    assert!(
        (40..=92).contains(&reset),
        "those of the last 0.9 s less the time it takes to obey: {:?}",
        tally(&cluster)
    );
}

#[test]
fn too_much_work_waits_and_is_turned_away() {
    let mut cluster = cluster(1);
    cluster.world.start_traffic(FlowSpec {
        concurrency: 1,
        queue: 10,
        service_time: Latency::constant(20.0),
        ..spec(&[0])
    });
    cluster.run(10_000);
    let flow = flow(&cluster);
    let turned_away = lost(&cluster, Loss::Overloaded);
    assert!((400..=520).contains(&turned_away) && flow.tally.served.abs_diff(500) < 30, "{:?}", flow.tally);
    let p50 = flow.latency.quantile(500).map_or(0, |took| took.as_nanos() / 1_000_000);
    assert!((200..=225).contains(&p50), "ten wait: {p50} ms");
}

#[test]
fn a_cut_between_nodes_takes_its_share() {
    let mut cluster = cluster(3);
    cluster.world.start_traffic(spec(&[0]));
    cluster.run(3_000);
    cluster.world.cut_link(Endpoint::Kubelet(0), Endpoint::Kubelet(1));
    cluster.run(10_000);
    let tally = tally(&cluster);
    assert!((200..=420).contains(&lost(&cluster, Loss::TimedOut)) && tally.lost() == lost(&cluster, Loss::TimedOut));
}

#[test]
fn local_policies_affinity_and_node_ports() {
    let outside = |policy: &str, affinity: &str| {
        let mut cluster = Cluster::new();
        let policy = json!({"type": "NodePort", "externalTrafficPolicy": policy, "sessionAffinity": affinity});
        service(&mut cluster, policy);
        cluster.deploy("default", 1);
        cluster.run(5_000);
        cluster.world.start_traffic(FlowSpec { outside: true, ..spec(&[0, 1, 2]) });
        cluster.run(10_000);
        cluster
    };
    assert_eq!(tally(&outside("Cluster", "None")).lost(), 0);
    let local = outside("Local", "None");
    let share = lost(&local, Loss::TimedOut) * 100 / tally(&local).sent;
    assert!((50..75).contains(&share), "two of three nodes have no pod: {share} %");
}

#[test]
fn affinity_keeps_a_client_with_its_pod_until_that_is_gone() {
    let busiest = |affinity: &str| {
        let mut cluster = Cluster::new();
        service(&mut cluster, json!({"sessionAffinity": affinity}));
        cluster.deploy("default", 3);
        cluster.run(5_000);
        // One at a time, and nothing waits: who all come to one pod are turned away.
        let narrow = FlowSpec { concurrency: 1, queue: 0, ..spec(&[0]) };
        cluster.world.start_traffic(narrow);
        cluster.run(10_000);
        tally(&cluster)
    };
    let (without, with) = (busiest("None"), busiest("ClientIP"));
    assert!(with.served < 350 && without.served > with.served * 3 / 2, "{without:?} {with:?}");
}

#[test]
fn kept_connections_outlive_rules_but_not_their_container() {
    let mut cluster = cluster(2);
    cluster.world.start_traffic(FlowSpec { keep_alive: 4, ..spec(&[0]) });
    cluster.run(5_000);
    let pod = pod_on(&cluster, "worker-1");
    delete(&mut cluster, pod);
    cluster.run(10_000);
    let tally = tally(&cluster);
    assert!(tally.lost() < 30 && tally.served > 1_400, "{tally:?}");
}

#[test]
fn a_fork_goes_on_as_the_original_does() {
    let mut cluster = cluster(2);
    cluster.world.start_traffic(FlowSpec { arrivals: Arrivals::Poisson, retries: 1, ..spec(&[0, 1]) });
    cluster.run(1_234);
    let mut fork = cluster.clone();
    for one in [&mut cluster, &mut fork] {
        let pod = one.world.objects(Kind::Pod)[0].key();
        delete(one, pod);
        one.run(8_000);
    }
    assert_eq!(tally(&cluster), tally(&fork));
    assert_eq!(cluster.world.trace().fingerprint(), fork.world.trace().fingerprint());
    assert_ne!(tally(&cluster).sent, 0);
}

#[test]
fn what_a_power_loss_causes_hangs_on_no_trace_that_is_kept() {
    let mut cluster = cluster(2);
    cluster.world.start_traffic(spec(&[0]));
    cluster.run(1_234);
    let mut fork = cluster.clone();
    for (one, forgets) in [(&mut cluster, false), (&mut fork, true)] {
        one.world.kill(Process::Kubelet(1));
        if forgets {
            one.world.forget_trace();
        }
        one.world.lose_power(1);
        one.run(20_000);
    }
    assert!(lost(&cluster, Loss::TimedOut) > 0, "{:?}", tally(&cluster));
    assert_eq!(cluster.world.trace().fingerprint(), fork.world.trace().fingerprint());
}

#[test]
fn a_machine_that_was_off_before_answers_nobody_either() {
    let mut cluster = cluster(2);
    let process = Process::Kubelet(1);
    cluster.world.begin_fault("node off", vec![crate::faults::Fault::NoPower(1)]);
    cluster.run(100);
    cluster.world.start_traffic(spec(&[0, 1]));
    cluster.run(5_000);
    assert!(!cluster.world.is_running(process) && !cluster.world.is_running(Process::Proxy(1)));
    assert_eq!(lost(&cluster, Loss::Refused), 0, "nobody is there to refuse: {:?}", tally(&cluster));
    assert!(lost(&cluster, Loss::TimedOut) > 0, "{:?}", tally(&cluster));
}
