//! Pods with claims in a whole cluster: who waits for whom until the pod has its node and its volumes.

use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim};

use super::*;
use crate::objects::volume::{BOUND_BY_CONTROLLER, NOBODY, SELECTED_NODE};

fn class(world: &mut World, name: &str, provisioner: &str, mode: &str) {
    let object = json!({
        "apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": name},
        "provisioner": provisioner, "volumeBindingMode": mode,
    });
    create(world, Kind::StorageClass, name, object);
}

fn claim_spec(class: &str, mode: &str) -> Value {
    json!({"accessModes": [mode], "storageClassName": class, "resources": {"requests": {"storage": "1Gi"}}})
}

fn claim_object(name: &str, class: &str, mode: &str) -> Value {
    let kind = "PersistentVolumeClaim";
    json!({"apiVersion": "v1", "kind": kind, "metadata": {"name": name}, "spec": claim_spec(class, mode)})
}

fn claim(world: &mut World, name: &str, class: &str, mode: &str) {
    create(world, Kind::PersistentVolumeClaim, name, claim_object(name, class, mode));
}

/// A disk of one node.
fn local_volume(world: &mut World, name: &str, node: &str) {
    let on = json!({"key": "kubernetes.io/hostname", "operator": "In", "values": [node]});
    let spec = json!({
        "capacity": {"storage": "5Gi"}, "accessModes": ["ReadWriteOnce"], "storageClassName": "local",
        "local": {"path": "/mnt/disk"},
        "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [on]}]}},
    });
    let object = json!({"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": name}, "spec": spec});
    create(world, Kind::PersistentVolume, name, object);
}

fn user(world: &mut World, name: &str, claim: &str) {
    let volumes = json!([{"name": "data", "persistentVolumeClaim": {"claimName": claim}}]);
    let spec = json!({"containers": container("100m"), "volumes": volumes});
    create(
        world,
        Kind::Pod,
        name,
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}),
    );
}

fn delete(world: &mut World, kind: Kind, name: &str, number: u64) {
    let request = Request {
        from: Endpoint::Outside,
        number,
        agent: Agent::Kubectl(3),
        sequence: number as _,
        verb: Verb::Delete,
        kind,
        subresource: Subresource::None,
        key: Key::new("default", name),
        body: Body::Delete(Default::default()),
        options: Default::default(),
    };
    world.send(request, RecordId(0), Duration::ZERO);
}

fn pod(world: &World, name: &str) -> Pod {
    pods(world).into_iter().find(|pod| *pod.meta.name == *name).expect("a pod")
}

fn placed(world: &World, name: &str) -> bool {
    pods(world).iter().any(|pod| *pod.meta.name == *name && pod.node.is_some())
}

fn claim_now(world: &World, name: &str) -> crate::objects::volume::Claim {
    let all = world.objects(Kind::PersistentVolumeClaim);
    let own = all.iter().find(|object| *object.meta().name == *name).expect("a claim");
    own.as_resource::<PersistentVolumeClaim>().expect("a claim").clone()
}

fn volume_of(world: &World, name: &str) -> Option<String> {
    claim_now(world, name).api.spec.as_ref().and_then(|spec| spec.volume_name.clone()).filter(|name| !name.is_empty())
}

fn phase(world: &World, volume: &str) -> Option<String> {
    let all = world.objects(Kind::PersistentVolume);
    let own = all.iter().find(|object| *object.meta().name == *volume)?.as_resource::<PersistentVolume>()?;
    own.api.status.as_ref()?.phase.clone()
}

/// What people are told of a pod that finds no place, the last time.
fn failure(world: &World, pod: &str) -> String {
    let said = |object: &Arc<Object>| match &**object {
        Object::Event(event) if *event.reason == *"FailedScheduling" && *event.regarding.name == *pod => {
            Some(event.message.to_string())
        }
        _ => None,
    };
    world.objects(Kind::Event).iter().filter_map(said).next_back().unwrap_or_default()
}

/// When the pod got what `what` looks for; looks every 100 ms.
fn until(world: &mut World, seconds: u64, what: impl Fn(&World) -> bool) -> Instant {
    for _ in 0..seconds * 10 {
        if what(world) {
            return world.now();
        }
        let next = world.now() + Duration::from_millis(100);
        world.run_until(next);
    }
    panic!("nothing within {seconds} s: {:?}", pods(world).iter().map(|pod| &pod.node).collect::<Vec<_>>());
}

#[test]
fn a_missing_claim_is_named_and_its_coming_wakes_the_pod() {
    let mut world = cluster(2, SchedulerConfiguration::default());
    user(&mut world, "late", "x");
    run(&mut world, 5);
    let expected = "0/2 nodes are available: persistentvolumeclaim \"x\" not found. not found";
    assert_eq!(failure(&world, "late"), expected);
    let explained = world.trace().records().iter().find_map(|record| match &record.note.what {
        What::Schedule(scheduling) => scheduling.explanation.clone(),
        _ => None,
    });
    let refused = explained.and_then(|why| why.refused.clone());
    assert_eq!(refused, Some(("VolumeRestrictions".into(), "persistentvolumeclaim \"x\" not found".into())));
    claim(&mut world, "x", "fast", "ReadWriteOnce");
    run(&mut world, 5);
    let unbound = "0/2 nodes are available: pod has unbound immediate PersistentVolumeClaims. not found";
    assert_eq!(failure(&world, "late"), unbound, "there is no such class");
    class(&mut world, "fast", "disks.io/csi", "Immediate");
    until(&mut world, 30, |world| placed(world, "late"));
    assert!(volume_of(&world, "x").is_some());
}

#[test]
fn a_stateful_set_waits_for_volumes_that_are_made_at_once() {
    let mut world = cluster(2, SchedulerConfiguration::default());
    class(&mut world, "fast", "disks.io/csi", "Immediate");
    let spec = json!({
        "containers": [{"name": "db", "image": "nginx:1.25", "volumeMounts": [{"name": "data", "mountPath": "/data"}]}],
    });
    let template = json!({"metadata": {"labels": {"app": "db"}}, "spec": spec});
    let claims = json!([{"metadata": {"name": "data"}, "spec": claim_spec("fast", "ReadWriteOnce")}]);
    let set = json!({
        "apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "db"},
        "spec": {"replicas": 2, "serviceName": "db", "selector": {"matchLabels": {"app": "db"}}, "template": template,
            "volumeClaimTemplates": claims},
    });
    create(&mut world, Kind::StatefulSet, "db", set);
    let seen = until(&mut world, 10, |world| failure(world, "db-0").contains("unbound immediate"));
    assert!(pod(&world, "db-0").node.is_none() && volume_of(&world, "data-db-0").is_none());
    let bound = until(&mut world, 20, |world| placed(world, "db-0"));
    assert!(bound.since(seen) >= Duration::from_millis(1_500), "the volume takes its time");
    assert_eq!(claim_now(&world, "data-db-0").meta.annotation(SELECTED_NODE), None);
    until(&mut world, 40, |world| pods(world).iter().filter(|pod| pod.node.is_some()).count() == 2);
}

#[test]
fn a_claim_that_waits_for_its_pod_gets_its_volume_before_the_pod_is_bound() {
    let mut setup = Setup::new(5, 2, 1, profiles::laptop());
    setup.provisioning = SECOND.times(4);
    let mut world = World::new(setup.shared());
    world.run_until(Instant::START + SECOND.times(14));
    class(&mut world, "slow", "disks.io/csi", "WaitForFirstConsumer");
    claim(&mut world, "c", "slow", "ReadWriteOnce");
    run(&mut world, 8);
    assert_eq!((volume_of(&world, "c"), told(&world, "WaitForFirstConsumer")), (None, 1));
    user(&mut world, "p", "c");
    let chosen = until(&mut world, 5, |world| claim_now(world, "c").meta.annotation(SELECTED_NODE).is_some());
    let node = claim_now(&world, "c").meta.annotation(SELECTED_NODE).map(str::to_owned);
    user(&mut world, "quick", "c");
    create(
        &mut world,
        Kind::Pod,
        "other",
        json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "other"}, "spec": {"containers": container("1")},
        }),
    );
    let other = until(&mut world, 3, |world| placed(world, "other"));
    assert!(pod(&world, "p").node.is_none() && volume_of(&world, "c").is_none(), "others go on meanwhile");
    assert_eq!(pod(&world, "p").status.nominated.as_deref(), node.as_deref());
    let made = until(&mut world, 10, |world| volume_of(world, "c").is_some());
    assert!(pod(&world, "p").node.is_none(), "it is looked at every second");
    let bound = until(&mut world, 3, |world| placed(world, "p"));
    assert!(other < made && made.since(chosen) >= SECOND.times(4) && bound > made);
    until(&mut world, 10, |world| placed(world, "quick"));
    for name in ["p", "quick"] {
        assert_eq!((pod(&world, name).node.as_deref(), pod(&world, name).status.nominated), (node.as_deref(), None));
    }
    assert_eq!((told(&world, "ProvisioningSucceeded"), told(&world, "FailedScheduling")), (1, 0));
}

#[test]
fn a_local_volume_decides_where_its_pod_runs() {
    let mut world = cluster(3, SchedulerConfiguration::default());
    class(&mut world, "local", NOBODY, "WaitForFirstConsumer");
    claim(&mut world, "c", "local", "ReadWriteOnce");
    user(&mut world, "p", "c");
    run(&mut world, 5);
    let text = "0/3 nodes are available: 3 node(s) didn't find available persistent volumes to bind. no new claims to \
        deallocate, preemption: 0/3 nodes are available: 3 Preemption is not helpful for scheduling.";
    assert_eq!(failure(&world, "p"), text);
    local_volume(&mut world, "disk-3", "worker-3");
    until(&mut world, 15, |world| placed(world, "p"));
    assert_eq!(
        (pod(&world, "p").node.as_deref(), volume_of(&world, "c").as_deref()),
        (Some("worker-3"), Some("disk-3"))
    );
    let volumes = world.objects(Kind::PersistentVolume);
    assert_eq!(volumes[0].meta().annotation(BOUND_BY_CONTROLLER), Some("yes"));
    local_volume(&mut world, "disk-1", "worker-1");
    run(&mut world, 5);
    assert_eq!(
        (phase(&world, "disk-1").as_deref(), phase(&world, "disk-3").as_deref()),
        (Some("Available"), Some("Bound"))
    );
    delete(&mut world, Kind::Pod, "p", 3_000);
    delete(&mut world, Kind::PersistentVolumeClaim, "c", 3_001);
    run(&mut world, 60);
    assert_eq!(phase(&world, "disk-3").as_deref(), Some("Released"));
    let other = claim_object("c", "local", "ReadWriteOnce");
    create_as(&mut world, 77, Kind::PersistentVolumeClaim, "c", other);
    user(&mut world, "again", "c");
    until(&mut world, 10, |world| placed(world, "again"));
    let volume = volume_of(&world, "c");
    assert_eq!(volume.as_deref(), Some("disk-1"), "a claim of the same name is another claim");
}

#[test]
fn a_claim_for_one_pod_keeps_the_second_waiting() {
    let mut world = cluster(2, SchedulerConfiguration::default());
    class(&mut world, "fast", "disks.io/csi", "Immediate");
    claim(&mut world, "c", "fast", "ReadWriteOncePod");
    run(&mut world, 5);
    user(&mut world, "first", "c");
    run(&mut world, 5);
    user(&mut world, "second", "c");
    run(&mut world, 5);
    let text = "0/2 nodes are available: 2 node(s) unavailable due to PersistentVolumeClaim with ReadWriteOncePod access \
        mode already in-use by another pod. no new claims to deallocate, preemption: 0/2 nodes are available: 2 No \
        preemption victims found for incoming pod.";
    assert_eq!(failure(&world, "second"), text);
    delete(&mut world, Kind::Pod, "first", 3_000);
    until(&mut world, 60, |world| placed(world, "second"));
}

#[test]
fn patience_with_a_provisioner_ends() {
    let configuration = SchedulerConfiguration::from_yaml(
        "
apiVersion: kubescheduler.config.k8s.io/v1
kind: KubeSchedulerConfiguration
profiles:
- schedulerName: default-scheduler
  pluginConfig: [{name: VolumeBinding, args: {bindTimeoutSeconds: 3}}]
",
    );
    let mut setup = Setup::new(5, 1, 1, profiles::laptop());
    setup.provisioning = SECOND.times(20);
    setup.schedulers[0].configuration = Arc::new(configuration.expect("valid"));
    let mut world = World::new(setup.shared());
    world.run_until(Instant::START + SECOND.times(14));
    class(&mut world, "slow", "disks.io/csi", "WaitForFirstConsumer");
    claim(&mut world, "c", "slow", "ReadWriteOnce");
    user(&mut world, "p", "c");
    run(&mut world, 6);
    let text = "running PreBind plugin \"VolumeBinding\": binding volumes: context deadline exceeded";
    assert_eq!(failure(&world, "p"), text);
    let condition = pod(&world, "p").condition("PodScheduled").cloned().expect("a condition");
    assert_eq!((&*condition.reason, &*condition.message), ("SchedulerError", text));
    until(&mut world, 40, |world| placed(world, "p"));
    assert_eq!(told(&world, "ProvisioningSucceeded"), 1);
}

/// The volume that a claim has got within 20 s.
fn bound_to(world: &mut World, name: &str) -> Option<String> {
    run(world, 20);
    let status = claim_now(world, name).api.status.clone();
    let bound = status.and_then(|status| status.phase).as_deref() == Some("Bound");
    volume_of(world, name).filter(|_| bound)
}

#[test]
fn a_claim_gets_the_volume_that_it_names_or_none() {
    let mut world = cluster(2, SchedulerConfiguration::default());
    class(&mut world, "local", NOBODY, "Immediate");
    local_volume(&mut world, "disk-1", "worker-1");
    local_volume(&mut world, "disk-2", "worker-2");
    let named = |name: &str, volume: &str, mode: &str| {
        let mut object = claim_object(name, "local", "ReadWriteOnce");
        object["spec"]["volumeName"] = json!(volume);
        object["spec"]["volumeMode"] = json!(mode);
        object
    };
    create_as(&mut world, 91, Kind::PersistentVolumeClaim, "chosen", named("chosen", "disk-2", "Filesystem"));
    assert_eq!(bound_to(&mut world, "chosen").as_deref(), Some("disk-2"), "the first by name is free, too");
    assert_eq!(claim_now(&world, "chosen").meta.annotation(BOUND_BY_CONTROLLER), None, "the user did");
    create_as(&mut world, 92, Kind::PersistentVolumeClaim, "late", named("late", "disk-2", "Filesystem"));
    create_as(&mut world, 93, Kind::PersistentVolumeClaim, "raw", named("raw", "disk-1", "Block"));
    assert_eq!((bound_to(&mut world, "late"), bound_to(&mut world, "raw")), (None, None));
    assert_eq!(phase(&world, "disk-1").as_deref(), Some("Available"), "nobody who named another one took it");
}
