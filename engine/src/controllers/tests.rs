//! Whole controllers against a tiny API server.

use std::sync::Arc;

use serde_json::json;

use super::testing::{Rig, deployment, image, namespace, orphan};
use super::*;
use crate::apiserver::request::{Request, Verb};
use crate::objects::workload::Strategy;
use crate::objects::{Condition, ConditionStatus, Node, Object, ObjectMeta};

const SECOND: Duration = Duration::from_secs(1);

fn web(replicas: i32, more: serde_json::Value) -> Rig {
    let mut rig = Rig::new();
    rig.create(deployment("web", replicas, more));
    rig.run(SECOND.times(5));
    rig
}

#[test]
fn a_deployment_becomes_a_replica_set_becomes_pods() {
    let rig = web(3, json!({}));
    let status = &rig.deployment("web").status;
    assert_eq!((status.replicas, status.updated, status.available, status.unavailable), (3, 3, 3, 0));
    assert_eq!((rig.pods().count(), rig.progress("web").as_str()), (3, "NewReplicaSetAvailable"));
    let set = rig.sets()[0];
    assert!(set.meta.name.starts_with("web-") && set.meta.labels.contains_key("pod-template-hash"));
    let annotation = |key| set.meta.annotation(key);
    assert_eq!(annotation("deployment.kubernetes.io/revision"), Some("1"));
    assert_eq!(annotation("deployment.kubernetes.io/max-replicas"), Some("4"));
    let pod = rig.pods().next().expect("a pod");
    assert!(pod.meta.name.starts_with(&format!("{}-", set.meta.name)));
    assert!(Arc::ptr_eq(&pod.spec, &set.spec.template.admitted) && Arc::ptr_eq(&pod.meta.labels, &set.meta.labels));
    assert_eq!(pod.meta.controller().map(|owner| owner.uid), Some(set.meta.uid));
}

/// The order and number of calls as recorded from the real controllers for one replica.
#[test]
fn a_creation_makes_the_calls_of_the_real_controllers() {
    let rig = web(1, json!({}));
    let set = &rig.sets()[0].meta.name;
    let of = |agent: &str| -> Vec<String> {
        let mine = rig.log.iter().filter(|line| line.starts_with(agent) && !line.contains(" events "));
        mine.map(|line| line[agent.len() + 1..].replace(&**set, "RS")).collect()
    };
    let calls = of("deployment-controller");
    assert_eq!(
        calls[..3],
        ["create replicasets RS 201", "update deployments/status web 200", "update deployments/status web 409"]
    );
    assert_eq!(rig.count("deployment-controller update deployments/status", "200"), 4);
    assert!((1..=3).contains(&rig.count("deployment-controller update deployments/status", "409")));
    let calls = of("replicaset-controller");
    assert_eq!(
        calls,
        [
            "create pods  201",
            "update replicasets/status RS 200",
            "update replicasets/status RS 200",
            "update replicasets/status RS 200"
        ]
    );
    assert_eq!(rig.events.len(), 2);
    assert!(rig.events[0].ends_with("from 0 to 1") && rig.events[1].starts_with("Created pod: "), "{:?}", rig.events);
}

#[test]
fn pods_are_created_in_batches_that_double() {
    let mut rig = Rig::new();
    rig.create(deployment("web", 7, json!({})));
    let mut batches = Vec::new();
    let mut before = 0;
    for _ in 0..2_000 {
        rig.run(Duration::from_micros(50));
        let pods = rig.count("replicaset-controller create pods", "201");
        if pods > before {
            batches.push(pods - before);
            before = pods;
        }
    }
    assert_eq!(batches, [1, 2, 4]);
}

#[test]
fn scaling_changes_one_replica_set_and_goes_both_ways() {
    let mut rig = web(1, json!({}));
    rig.reset();
    rig.edit_deployment("web", |deployment| deployment.spec.replicas = 5);
    rig.run(SECOND.times(5));
    assert_eq!((rig.deployment("web").status.available, rig.sets().len()), (5, 1));
    assert_eq!(rig.count("deployment-controller update replicasets ", "200"), 1);
    assert_eq!(rig.count("replicaset-controller create pods", "201"), 4);
    assert_eq!(rig.deployment("web").meta.generation, 2);
    rig.edit_deployment("web", |deployment| deployment.spec.replicas = 2);
    rig.run(SECOND.times(5));
    let status = &rig.deployment("web").status;
    assert_eq!((status.available, status.replicas, status.terminating, rig.pods().count()), (2, 2, Some(0), 2));
    assert_eq!(rig.count("replicaset-controller delete pods", "200"), 3);
}

#[test]
fn a_rolling_update_keeps_its_promises_at_every_step() {
    for (surge, unavailable, most, fewest) in [
        (json!("25%"), json!("25%"), 13, 8),
        (json!(0), json!(1), 10, 9),
        (json!(3), json!(0), 13, 10),
        (json!("100%"), json!(0), 20, 10),
    ] {
        let mut rig =
            web(10, json!({"strategy": {"rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}}}));
        rig.reset();
        rig.edit_deployment("web", image("nginx:2"));
        rig.run(SECOND.times(30));
        let status = &rig.deployment("web").status;
        assert_eq!((status.available, status.updated, status.replicas), (10, 10, 10));
        assert!(rig.fewest >= fewest && rig.most <= most, "{surge} {unavailable}: {} {}", rig.fewest, rig.most);
        let sets = rig.sets();
        assert_eq!((sets.len(), sets[0].spec.replicas, sets[1].spec.replicas), (2, 0, 10));
        assert_eq!(sets[1].meta.annotation("deployment.kubernetes.io/revision"), Some("2"));
        assert_eq!(rig.deployment("web").meta.annotation("deployment.kubernetes.io/revision"), Some("2"));
        assert_eq!(rig.progress("web"), "NewReplicaSetAvailable");
    }
}

#[test]
fn a_rolling_update_needs_as_many_calls_as_recorded() {
    let mut rig = Rig::new();
    rig.ready_after = Duration::from_millis(1000);
    rig.create(deployment("web", 4, json!({})));
    rig.run(SECOND.times(5));
    rig.edit_deployment("web", image("nginx:2"));
    rig.run(SECOND.times(10));
    let status = rig.count("deployment-controller update deployments/status", "200");
    let conflicts = rig.count("deployment-controller update deployments/status", "409");
    assert_eq!(rig.count("deployment-controller update replicasets ", "200"), 7);
    assert!((20..=28).contains(&status) && (2..=12).contains(&conflicts), "{status} {conflicts}");
}

#[test]
fn recreate_waits_for_the_last_old_pod() {
    let mut rig = web(3, json!({"strategy": {"type": "Recreate"}}));
    rig.gone_after = SECOND.times(3);
    rig.reset();
    rig.edit_deployment("web", image("nginx:2"));
    rig.run(SECOND.times(2));
    assert_eq!((rig.pods().filter(|pod| pod.meta.deleting()).count(), rig.pods().count(), rig.sets().len()), (3, 3, 1));
    rig.run(SECOND.times(5));
    assert_eq!((rig.most, rig.fewest, rig.sets().len()), (3, 0, 2));
    assert_eq!(rig.deployment("web").status.available, 3);
    assert_eq!(rig.deployment("web").spec.strategy, Strategy::Recreate);
}

#[test]
fn a_paused_deployment_scales_but_does_not_roll() {
    let mut rig = web(2, json!({}));
    rig.edit_deployment("web", |deployment| deployment.spec.paused = true);
    rig.run(SECOND);
    assert_eq!(rig.progress("web"), "DeploymentPaused");
    rig.edit_deployment("web", image("nginx:2"));
    rig.edit_deployment("web", |deployment| deployment.spec.replicas = 3);
    rig.run(SECOND.times(5));
    assert_eq!((rig.sets().len(), rig.sets()[0].spec.replicas, rig.pods().count()), (1, 3, 3));
    rig.edit_deployment("web", |deployment| deployment.spec.paused = false);
    rig.run(SECOND.times(10));
    assert_eq!((rig.sets().len(), rig.progress("web").as_str()), (2, "NewReplicaSetAvailable"));
}

#[test]
fn a_stuck_rollout_is_reported_after_its_deadline_and_an_undo_heals_it() {
    let mut rig = web(4, json!({"progressDeadlineSeconds": 60}));
    rig.edit_deployment("web", image("bad"));
    rig.run(SECOND.times(58));
    assert_eq!(rig.progress("web"), "ReplicaSetUpdated");
    rig.run(SECOND.times(8));
    let deployment = rig.deployment("web");
    let progressing = deployment.condition("Progressing").expect("a condition");
    assert_eq!((&*progressing.reason, progressing.status), ("ProgressDeadlineExceeded", ConditionStatus::False));
    assert!(progressing.message.ends_with("has timed out progressing."));
    assert_eq!(deployment.status.available, 3);
    let good = rig.sets()[0].meta.name.clone();

    rig.edit_deployment("web", image("nginx:1"));
    rig.run(SECOND.times(10));
    let (sets, deployment) = (rig.sets(), rig.deployment("web"));
    assert_eq!((sets.len(), &sets[0].meta.name, sets[0].spec.replicas, sets[1].spec.replicas), (2, &good, 4, 0));
    assert_eq!(sets[0].meta.annotation("deployment.kubernetes.io/revision"), Some("3"));
    assert_eq!(sets[0].meta.annotation("deployment.kubernetes.io/revision-history"), Some("1"));
    assert_eq!(deployment.meta.annotation("deployment.kubernetes.io/revision"), Some("3"));
    assert_eq!(rig.progress("web"), "NewReplicaSetAvailable");
}

#[test]
fn old_replica_sets_beyond_the_limit_are_deleted() {
    let mut rig = web(1, json!({"revisionHistoryLimit": 1}));
    for tag in ["nginx:2", "nginx:3", "nginx:4"] {
        rig.edit_deployment("web", image(tag));
        rig.run(SECOND.times(6));
    }
    let revisions: Vec<_> = rig
        .sets()
        .iter()
        .map(|set| set.meta.annotation("deployment.kubernetes.io/revision").map(str::to_owned))
        .collect();
    assert_eq!(revisions, [Some("3".to_owned()), Some("4".to_owned())]);
}

#[test]
fn a_deleted_pod_is_replaced_while_it_terminates() {
    let mut rig = web(2, json!({}));
    rig.gone_after = SECOND.times(20);
    let key = rig.pods().next().expect("a pod").meta.key();
    rig.edit(Kind::Pod, &key, |object| {
        object.meta_mut().deletion = Some(crate::objects::Deletion { at: Instant::START, grace: 30 });
    });
    rig.run(SECOND.times(3));
    let status = &rig.deployment("web").status;
    assert_eq!((rig.pods().count(), status.available, status.terminating), (3, 2, Some(1)));
}

#[test]
fn a_stale_cache_does_not_make_more_pods() {
    let mut rig = Rig::new();
    rig.watch_lag = Duration::from_millis(700);
    rig.create(deployment("web", 5, json!({})));
    rig.run(SECOND.times(20));
    assert_eq!((rig.count("replicaset-controller create pods", "201"), rig.most), (5, 5));
    assert_eq!(rig.deployment("web").status.available, 5);
}

#[test]
fn orphans_are_adopted_and_strangers_released() {
    let mut rig = web(2, json!({}));
    let set = rig.sets()[0].clone();
    let mut pod = orphan("lost", "web");
    pod.meta_mut().labels = set.meta.labels.clone();
    rig.reset();
    rig.create(pod);
    rig.run(SECOND.times(3));
    assert_eq!(rig.count("replicaset-controller patch pods lost", "200"), 1);
    assert_eq!(rig.count("replicaset-controller delete pods", "200"), 1);
    let key = rig.pods().find(|pod| pod.active()).expect("a pod").meta.key();
    rig.edit(Kind::Pod, &key, |object| object.meta_mut().labels = Arc::default());
    rig.run(SECOND.times(3));
    let stranger = rig.pods().find(|pod| pod.meta.key() == key).expect("it stays");
    assert!(stranger.meta.owners.is_empty());
    assert_eq!(rig.pods().count(), 3);
}

#[test]
fn pods_that_may_not_be_created_are_reported_and_tried_again() {
    fn quota(request: &Request) -> Option<Status> {
        let pod = request.kind == Kind::Pod && request.verb == Verb::Create;
        pod.then(|| Status::forbidden(Kind::Pod, "web-x", "exceeded quota: q"))
    }
    let mut rig = Rig::new();
    rig.refuse = Some(quota);
    rig.create(deployment("web", 3, json!({})));
    rig.run(SECOND.times(2));
    let failure = rig.deployment("web").condition("ReplicaFailure").cloned().expect("a condition");
    assert_eq!((&*failure.reason, failure.holds()), ("FailedCreate", true));
    assert_eq!(&*failure.message, "pods \"web-x\" is forbidden: exceeded quota: q");
    assert!(rig.events.iter().any(|event| event == "Error creating: pods \"web-x\" is forbidden: exceeded quota: q"));
    assert!(rig.count("replicaset-controller create pods", "403") > 3);
    rig.refuse = None;
    rig.run(SECOND.times(30));
    assert!(rig.deployment("web").condition("ReplicaFailure").is_none());
    assert_eq!(rig.deployment("web").status.available, 3);
}

#[test]
fn pods_are_available_after_min_ready_seconds() {
    let mut rig = Rig::new();
    rig.create(deployment("web", 2, json!({"minReadySeconds": 10})));
    rig.run(SECOND.times(9));
    assert_eq!((rig.deployment("web").status.ready, rig.deployment("web").status.available), (2, 0));
    rig.run(SECOND.times(5));
    assert_eq!(rig.deployment("web").status.available, 2);
}

#[test]
fn two_templates_with_one_name_collide_and_get_another_hash() {
    let mut rig = Rig::new();
    let Object::Deployment(web) = deployment("web", 1, json!({})) else { return };
    let mut taken = Object::ReplicaSet(super::deployment::sync::fresh_set(&web));
    taken.meta_mut().owners = Arc::new([]);
    taken.meta_mut().labels = Arc::default();
    rig.create(taken);
    rig.create(Object::Deployment(web));
    rig.run(SECOND.times(5));
    assert_eq!((rig.deployment("web").status.collision_count, rig.sets().len()), (Some(1), 2));
    assert_eq!(rig.deployment("web").status.available, 1);
}

#[test]
fn a_namespace_gets_its_service_account_and_its_certificate() {
    let mut rig = Rig::new();
    rig.create(namespace("lab"));
    rig.run(SECOND);
    assert_eq!(rig.count("service-account-controller create serviceaccounts default", "201"), 1);
    assert_eq!(rig.count("root-ca-cert-publisher create configmaps kube-root-ca.crt", "201"), 1);
    let map = Key::new("lab", "kube-root-ca.crt");
    rig.edit(Kind::ConfigMap, &map, |object| {
        if let Object::ConfigMap(map) = object {
            map.data = Arc::default();
        }
    });
    rig.remove(Kind::ServiceAccount, &Key::new("lab", "default"));
    rig.run(SECOND);
    assert_eq!(rig.count("service-account-controller create", "201"), 2);
    assert_eq!(rig.count("root-ca-cert-publisher update configmaps", "200"), 1);
}

#[test]
fn taints_follow_the_nodes_conditions() {
    let mut rig = Rig::new();
    let node = Node {
        meta: ObjectMeta::named("", "worker-1"),
        pod_cidr: "".into(),
        unschedulable: false,
        taints: Arc::new([]),
        status: crate::objects::node::NodeStatus {
            conditions: vec![Condition::new("Ready", false, Instant::START)],
            ..Default::default()
        },
    };
    let key = Key::new("", "worker-1");
    rig.create(Object::Node(node));
    rig.run(SECOND);
    let taints = |rig: &Rig| -> Vec<String> {
        let node = rig.objects[&(Kind::Node, Key::new("", "worker-1"))].as_node().cloned().expect("a node");
        node.taints.iter().map(|taint| format!("{}:{}", taint.key, taint.effect)).collect()
    };
    assert_eq!(taints(&rig), ["node.kubernetes.io/not-ready:NoSchedule"]);
    rig.edit(Kind::Node, &key, |object| {
        if let Object::Node(node) = object {
            node.status.conditions = vec![Condition::new("Ready", true, Instant::START)];
            node.unschedulable = true;
        }
    });
    rig.run(SECOND);
    assert_eq!(taints(&rig), ["node.kubernetes.io/unschedulable:NoSchedule"]);
    // A pass between the two patches may read the node once more.
    assert!((3..=4).contains(&rig.count("node-controller get nodes worker-1", "200")));
    assert_eq!(rig.count("node-controller patch nodes worker-1", "200"), 3);
}

#[test]
fn the_process_ends_when_it_cannot_renew_its_lease() {
    fn no_lease(request: &Request) -> Option<Status> {
        (request.kind == Kind::Lease).then(|| Status::bad_request("no"))
    }
    let mut rig = Rig::new();
    rig.run(SECOND.times(30));
    assert!(rig.manager.leading());
    rig.refuse = Some(no_lease);
    rig.run(SECOND.times(9));
    assert!(rig.manager.leading());
    rig.run(SECOND.times(4));
    assert!(!rig.manager.running());
    rig.create(deployment("web", 1, json!({})));
    rig.run(SECOND);
    // Its last words.
    assert_eq!(rig.log, ["kube-controller-manager create events  201"]);
    assert!(rig.sets().is_empty());
}

#[test]
fn a_fork_goes_on_like_the_original() {
    let mut rig = web(6, json!({}));
    rig.edit_deployment("web", image("nginx:2"));
    rig.run(Duration::from_millis(1_303));
    let mut fork = rig.clone();
    rig.run(SECOND.times(20));
    for _ in 0..200 {
        fork.run(SECOND.fraction(1, 10));
    }
    assert_eq!(rig.log, fork.log);
    assert_eq!(format!("{:?}", rig.manager), format!("{:?}", fork.manager));
}

#[test]
fn a_broken_watch_that_is_too_old_is_read_anew() {
    let mut rig = web(2, json!({}));
    let number = rig.cut(Kind::Pod);
    let key = rig.pods().next().expect("a pod").meta.key();
    rig.remove(Kind::Pod, &key);
    rig.run(SECOND.times(3));
    assert_eq!(rig.pods().count(), 1);
    let gone = Status { code: 410, ..Status::bad_request("too old resource version") };
    let ended = Delivery::WatchEnded { number, status: Some(Box::new(gone)) };
    rig.event(ControllerManagerEvent::Delivery(ended));
    rig.run(SECOND.times(5));
    assert_eq!((rig.pods().count(), rig.deployment("web").status.available), (2, 2));
}

#[test]
fn a_restarted_process_waits_for_its_predecessors_lease() {
    let mut rig = web(2, json!({}));
    rig.manager.crash();
    rig.reset();
    rig.event(ControllerManagerEvent::Start);
    rig.edit_deployment("web", |deployment| deployment.spec.replicas = 3);
    rig.run(SECOND.times(13));
    assert!(rig.manager.running() && !rig.manager.leading() && rig.log.is_empty(), "{:?}", rig.log);
    rig.run(SECOND.times(10));
    assert!(rig.manager.leading());
    assert_eq!(rig.deployment("web").status.available, 3);
}

#[test]
fn events_stay_small() {
    assert!(size_of::<ControllerManagerEvent>() <= 48, "{}", size_of::<ControllerManagerEvent>());
}
