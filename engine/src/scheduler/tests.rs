//! The scheduler in a whole cluster: what can only be seen when the API server, the controllers and the kubelets take part.

use std::sync::Arc;

use serde_json::{Value, json};

use super::config::SchedulerConfiguration;
use crate::apiserver::request::{Body, Request, Subresource, Verb};
use crate::client::Agent;
use crate::kernel::out::RecordId;
use crate::kernel::{Duration, Endpoint, Instant};
use crate::objects::{Key, Kind, Object, Pod};
use crate::profiles;
use crate::setup::Setup;
use crate::trace::What;
use crate::world::World;

mod volumes;

const SECOND: Duration = Duration::from_secs(1);

fn cluster(nodes: usize, configuration: SchedulerConfiguration) -> World {
    let mut setup = Setup::new(5, nodes, 1, profiles::laptop());
    setup.schedulers[0].configuration = Arc::new(configuration);
    let mut world = World::new(setup.shared());
    world.run_until(Instant::START + SECOND.times(14));
    world
}

fn create(world: &mut World, kind: Kind, name: &str, object: Value) {
    // What is drawn for a request, uids among them, hangs on the agent's count of them.
    let sequence = name.bytes().fold(1, |number, byte| number * 31 + u64::from(byte)) % (1 << 30);
    create_as(world, sequence, kind, name, object);
}

fn create_as(world: &mut World, sequence: u64, kind: Kind, name: &str, object: Value) {
    let request = Request {
        from: Endpoint::Outside,
        number: 1_000,
        agent: Agent::Kubectl(1),
        sequence: sequence as _,
        verb: Verb::Create,
        kind,
        subresource: Subresource::None,
        key: Key::new("default", name),
        body: Body::Json(Arc::new(object)),
        options: Default::default(),
    };
    world.send(request, RecordId(0), Duration::ZERO);
}

fn container(cpu: &str) -> Value {
    json!([{"name": "a", "image": "nginx:1.25", "resources": {"requests": {"cpu": cpu}}}])
}

fn deployment(world: &mut World, name: &str, replicas: u32, mut spec: Value) {
    spec["containers"] = container("1");
    let template = json!({"metadata": {"labels": {"app": name}}, "spec": spec});
    let selector = json!({"matchLabels": {"app": name}});
    let object = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name},
        "spec": {"replicas": replicas, "selector": selector, "template": template},
    });
    create(world, Kind::Deployment, name, object);
}

fn run(world: &mut World, seconds: u64) {
    let until = world.now() + SECOND.times(seconds);
    world.run_until(until);
}

fn pods(world: &World) -> Vec<Pod> {
    world.objects(Kind::Pod).iter().filter_map(|object| object.as_pod().cloned()).collect()
}

/// How often people were told so.
fn told(world: &World, reason: &str) -> usize {
    let is = |object: &&Arc<Object>| matches!(&***object, Object::Event(event) if *event.reason == *reason);
    world.objects(Kind::Event).iter().filter(is).count()
}

#[test]
fn a_critical_pod_pushes_out_as_many_as_it_must() {
    let mut world = cluster(1, SchedulerConfiguration::default());
    deployment(&mut world, "web", 3, json!({}));
    run(&mut world, 10);
    let critical = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "vip"},
        "spec": {"containers": container("2500m"), "priorityClassName": "system-cluster-critical"},
    });
    create(&mut world, Kind::Pod, "vip", critical);
    let vip = |world: &World| pods(world).into_iter().find(|pod| *pod.meta.name == *"vip");
    let mut promised = false;
    for _ in 0..100 {
        let until = world.now() + Duration::from_millis(10);
        world.run_until(until);
        promised |= vip(&world).is_some_and(|pod| pod.status.nominated.as_deref() == Some("worker-1"));
    }
    assert!(promised, "while the victims leave: {:?}", vip(&world).map(|pod| pod.status));
    run(&mut world, 40);
    let vip = vip(&world).expect("there");
    assert_eq!((vip.node.as_deref(), vip.status.nominated), (Some("worker-1"), None));
    assert_eq!(told(&world, "Preempted"), 2);
    let bound = pods(&world).iter().filter(|pod| pod.node.is_some()).count();
    assert_eq!(bound, 2, "one of three is left, the others wait for room");
    let explained = world.trace().records().iter().rev().find_map(|record| match &record.note.what {
        What::Schedule(scheduling) => scheduling.explanation.clone().filter(|why| !why.victims.is_empty()),
        _ => None,
    });
    let explained = explained.expect("a preemption");
    assert_eq!((explained.victims.len(), explained.nominated.as_deref()), (2, Some("worker-1")));
    assert_eq!(&*explained.rejected[0].plugin, "NodeResourcesFit");
}

#[test]
fn each_profile_places_its_own_pods_its_own_way() {
    let configuration = SchedulerConfiguration::from_yaml(
        "
apiVersion: kubescheduler.config.k8s.io/v1
kind: KubeSchedulerConfiguration
profiles:
- schedulerName: default-scheduler
- schedulerName: packer
  plugins: {score: {enabled: [{name: NodeResourcesFit, weight: 50}]}}
  pluginConfig: [{name: NodeResourcesFit, args: {scoringStrategy: {type: MostAllocated}}}]
",
    );
    let mut world = cluster(3, configuration.expect("valid"));
    deployment(&mut world, "spread", 3, json!({}));
    run(&mut world, 5);
    let nodes = |world: &World, app: &str| {
        let of = |pod: &Pod| pod.meta.labels.get("app").is_some_and(|label| **label == *app);
        let mut nodes: Vec<_> = pods(world).iter().filter(|pod| of(pod)).filter_map(|pod| pod.node.clone()).collect();
        nodes.sort();
        nodes.dedup();
        nodes.len()
    };
    assert_eq!(nodes(&world, "spread"), 3);
    deployment(&mut world, "packed", 3, json!({"schedulerName": "packer"}));
    deployment(&mut world, "orphan", 1, json!({"schedulerName": "nobody"}));
    run(&mut world, 5);
    assert_eq!((nodes(&world, "packed"), nodes(&world, "orphan")), (1, 0));
    let by = |component: &str| {
        let is = |object: &&Arc<Object>| {
            matches!(&***object, Object::Event(event)
            if *event.component == *component && *event.instance == format!("{component}-control-plane"))
        };
        world.objects(Kind::Event).iter().filter(is).count()
    };
    assert_eq!((by("default-scheduler"), by("packer")), (3, 3), "each profile speaks for itself");
}

#[test]
fn a_gated_pod_waits_and_says_so() {
    let mut world = cluster(1, SchedulerConfiguration::default());
    let gated = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "later"},
        "spec": {"containers": container("1"), "schedulingGates": [{"name": "a.io/quota"}]},
    });
    create(&mut world, Kind::Pod, "later", gated);
    run(&mut world, 10);
    let later = pods(&world).into_iter().find(|pod| *pod.meta.name == *"later").expect("there");
    let condition = later.condition("PodScheduled").expect("a condition");
    assert_eq!(
        (later.node.as_deref(), &*condition.reason, told(&world, "FailedScheduling")),
        (None, "SchedulingGated", 0)
    );
}

#[test]
fn a_pod_is_placed_when_another_one_goes() {
    let mut world = cluster(1, SchedulerConfiguration::default());
    deployment(&mut world, "web", 4, json!({}));
    run(&mut world, 10);
    let waiting = |world: &World| pods(world).iter().filter(|pod| pod.node.is_none()).count();
    assert_eq!((waiting(&world), told(&world, "FailedScheduling")), (0, 0));
    deployment(&mut world, "more", 1, json!({"terminationGracePeriodSeconds": 0}));
    run(&mut world, 30);
    assert_eq!((waiting(&world), told(&world, "FailedScheduling")), (1, 1), "nothing has happened that could help");
    let victim = pods(&world).iter().find(|pod| pod.node.is_some()).expect("placed").meta.key();
    let request = Request {
        from: Endpoint::Outside,
        number: 2_000,
        agent: Agent::Kubectl(2),
        sequence: 1,
        verb: Verb::Delete,
        kind: Kind::Pod,
        subresource: Subresource::None,
        key: victim,
        body: Body::Delete(Default::default()),
        options: Default::default(),
    };
    world.send(request, RecordId(0), Duration::ZERO);
    run(&mut world, 40);
    assert_eq!(pods(&world).iter().filter(|pod| pod.node.is_some()).count(), 4);
}

#[test]
fn a_pod_that_waits_costs_no_more_as_time_goes_by() {
    let mut world = cluster(1, SchedulerConfiguration::default());
    deployment(&mut world, "web", 5, json!({}));
    run(&mut world, 60);
    let mut stretch = || {
        let before = world.handled();
        run(&mut world, 1_320);
        world.handled() - before
    };
    let first = stretch();
    let last = (0..4).map(|_| stretch()).last().unwrap_or(0);
    assert!(last <= first + first / 10, "{first} events at first, {last} in the end");
}
