//! Several schedulers, and several processes of one kind.

use std::collections::BTreeMap;

use super::*;
use crate::apiserver::request::{Body, Subresource, Verb};
use crate::client::Agent;
use crate::objects::Key;
use crate::objects::Kind;
use crate::objects::Object;
use crate::objects::{Lease, Pod};
use crate::profiles;
use crate::scheduler::config::SchedulerConfiguration;
use crate::setup::SchedulerSpec;
use serde_json::json;

const SECOND: Duration = Duration::from_secs(1);

pub(super) fn cluster(change: impl FnOnce(&mut Setup)) -> World {
    let mut setup = Setup::new(5, 3, 1, profiles::laptop());
    change(&mut setup);
    let mut world = World::new(setup.shared());
    world.run_until(Instant::START + SECOND.times(14));
    world
}

pub(super) fn run(world: &mut World, seconds: u64) {
    let until = world.now() + SECOND.times(seconds);
    world.run_until(until);
}

fn create(world: &mut World, number: u64, object: serde_json::Value) {
    let name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    let kind = if object["kind"] == "Pod" { Kind::Pod } else { Kind::Deployment };
    let request = Request {
        from: Endpoint::Outside,
        number,
        agent: Agent::Kubectl(1),
        sequence: number,
        verb: Verb::Create,
        kind,
        subresource: Subresource::None,
        key: Key::new("default", &name),
        body: Body::Json(Arc::new(object)),
        options: Default::default(),
    };
    world.send(request, RecordId(0), Duration::ZERO);
}

fn pod(world: &mut World, number: u64, name: &str, scheduler: &str, cpu: &str) {
    let container = json!({"name": "a", "image": "nginx:1.25", "resources": {"requests": {"cpu": cpu}}});
    let spec = json!({"schedulerName": scheduler, "containers": [container]});
    create(world, number, json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}));
}

pub(super) fn deployment(world: &mut World, number: u64, name: &str) {
    let template = json!({
        "metadata": {"labels": {"app": name}}, "spec": {"containers": [{"name": "a", "image": "nginx:1.25"}]},
    });
    let spec = json!({"replicas": 3, "selector": {"matchLabels": {"app": name}}, "template": template});
    create(
        world,
        number,
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec}),
    );
}

fn pods(world: &World) -> BTreeMap<String, Pod> {
    let pods = world.objects(Kind::Pod);
    pods.iter().filter_map(|pod| pod.as_pod().map(|pod| (pod.meta.name.to_string(), pod.clone()))).collect()
}

pub(super) fn bound(world: &World) -> usize {
    pods(world).values().filter(|pod| pod.node.is_some()).count()
}

fn lease(world: &World, name: &str) -> Lease {
    let leases = world.objects(Kind::Lease);
    let found = leases.iter().find_map(|object| match &**object {
        Object::Lease(lease) if *lease.meta.name == *name && &*lease.meta.namespace == "kube-system" => {
            Some(lease.clone())
        }
        _ => None,
    });
    found.unwrap_or_else(|| panic!("no lease {name}"))
}

/// Who said something about pods, as the events have it.
fn said(world: &World, reason: &str) -> Vec<(String, String)> {
    let events = world.objects(Kind::Event);
    let of = events.iter().filter_map(|object| match &**object {
        Object::Event(event) if event.reason == *reason => {
            Some((event.regarding.name.to_string(), event.component.to_string()))
        }
        _ => None,
    });
    of.collect()
}

fn another(name: &str, election: serde_json::Value) -> SchedulerSpec {
    let document = json!({
        "apiVersion": "kubescheduler.config.k8s.io/v1", "kind": "KubeSchedulerConfiguration",
        "profiles": [{"schedulerName": name}], "leaderElection": election,
    });
    let configuration = SchedulerConfiguration::from_value(&document).unwrap_or_else(|error| panic!("{error}"));
    SchedulerSpec { process: name.into(), replica: 0, configuration: Arc::new(configuration) }
}

fn leaders(world: &World) -> Vec<usize> {
    let all = world.controller_managers().iter().enumerate();
    all.filter(|(_, manager)| manager.leading()).map(|(number, _)| number).collect()
}

#[test]
fn each_scheduler_takes_the_pods_that_name_it() {
    let mut world = cluster(|setup| setup.schedulers.push(another("packer", json!({"resourceName": "packer"}))));
    assert!(world.schedulers().iter().all(Scheduler::leading));
    assert_eq!(lease(&world, "packer").holder.split('_').next().unwrap_or(""), "control-plane");
    pod(&mut world, 1, "a", "default-scheduler", "100m");
    pod(&mut world, 2, "b", "packer", "100m");
    pod(&mut world, 3, "c", "nobody", "100m");
    run(&mut world, 20);
    let pods = pods(&world);
    let nodes: Vec<bool> = pods.values().map(|pod| pod.node.is_some()).collect();
    assert_eq!(nodes, [true, true, false]);
    let mut told = said(&world, "Scheduled");
    told.sort();
    assert_eq!(told, [("a".to_owned(), "default-scheduler".to_owned()), ("b".to_owned(), "packer".to_owned())]);
    let events = world.objects(Kind::Event);
    let about_c = |object: &&Arc<Object>| matches!(&***object, Object::Event(event) if &*event.regarding.name == "c");
    assert_eq!(events.iter().filter(about_c).count(), 0, "nobody speaks of a pod that nobody takes");
}

#[test]
fn a_scheduler_that_is_down_holds_up_its_own_pods_alone() {
    let mut world = cluster(|setup| setup.schedulers.push(another("packer", json!({"leaderElect": false}))));
    let (setup, packer) = (world.setup().clone(), Process::named("packer", &world.setup().clone()));
    assert_eq!(packer.map(|process| process.name(&setup)).as_deref(), Some("packer"));
    assert!(world.schedulers()[1].leading() && world.kill(Process::Scheduler(1)));
    pod(&mut world, 1, "a", "default-scheduler", "100m");
    pod(&mut world, 2, "b", "packer", "100m");
    run(&mut world, 5);
    assert_eq!(bound(&world), 1);
    // Without an election it need not wait for its own lease.
    world.start(Process::Scheduler(1));
    run(&mut world, 2);
    assert_eq!(bound(&world), 2);
}

/// The pitfall of a second scheduler whose configuration leaves the lease's name as it is.
#[test]
fn schedulers_of_one_lease_are_a_leader_and_a_standby() {
    let mut world = cluster(|setup| setup.schedulers.push(another("packer", json!({}))));
    let leading: Vec<bool> = world.schedulers().iter().map(Scheduler::leading).collect();
    assert_eq!(leading.iter().filter(|leads| **leads).count(), 1);
    let (leader, standby) = if leading[0] { ("default-scheduler", "packer") } else { ("packer", "default-scheduler") };
    pod(&mut world, 1, "a", standby, "100m");
    run(&mut world, 20);
    assert_eq!(bound(&world), 0, "nobody takes the pods of the one that waits for the lease");
    pod(&mut world, 2, "b", leader, "100m");
    run(&mut world, 5);
    assert_eq!(bound(&world), 1);
}

#[test]
fn two_schedulers_do_not_see_what_the_other_assumes() {
    let mut world = cluster(|setup| {
        setup.nodes.truncate(1);
        setup.schedulers.push(another("packer", json!({"resourceName": "packer"})));
    });
    pod(&mut world, 1, "a", "default-scheduler", "3");
    pod(&mut world, 2, "b", "packer", "3");
    run(&mut world, 5);
    assert_eq!(bound(&world), 2, "each thinks that the node has room");
    pod(&mut world, 3, "c", "packer", "3");
    run(&mut world, 5);
    assert_eq!(bound(&world), 2, "now both know");
    let refused = pods(&world).values().filter(|pod| &*pod.status.reason == "OutOfcpu").count();
    assert_eq!(refused, 1, "the kubelet counts for itself");
}

#[test]
fn one_controller_manager_of_three_leads_and_only_it_watches() {
    let mut world = cluster(|setup| setup.controller_managers = 3);
    let first = leaders(&world);
    assert_eq!(first.len(), 1);
    let standby = (0..3).find(|number| !first.contains(number)).unwrap_or(0);
    let synced = |world: &World, number: usize| world.controller_managers()[number].caches().nodes().iter().count() > 0;
    assert!(synced(&world, first[0]) && !synced(&world, standby));
    deployment(&mut world, 1, "web");
    run(&mut world, 10);
    assert_eq!(bound(&world), 3);

    // It does not give its lease back, told to stop or not: 15 s and a retry.
    let died = world.now();
    assert!(world.terminate(Process::ControllerManager(first[0] as u8)));
    run(&mut world, 14 - 2);
    assert!(leaders(&world).is_empty(), "its lease holds");
    run(&mut world, 8);
    let second = leaders(&world);
    assert!(second.len() == 1 && second != first);
    let lease = lease(&world, "kube-controller-manager");
    assert_eq!(lease.transitions, 1);
    assert!(lease.acquired.is_some_and(|at| (SECOND.times(12)..SECOND.times(20)).contains(&at.since(died))));
    deployment(&mut world, 2, "web2");
    run(&mut world, 10);
    assert_eq!(bound(&world), 6);
}

#[test]
fn a_standby_scheduler_takes_over_within_a_retry_if_the_leader_goes_in_order() {
    for (gently, within) in [(true, 5), (false, 20)] {
        let spec = |replica| SchedulerSpec { process: format!("s-{replica}").into(), replica, ..Default::default() };
        let mut world = cluster(|setup| setup.schedulers = vec![spec(0), spec(1)]);
        let leader = world.schedulers().iter().position(Scheduler::leading).unwrap_or(9) as u8;
        let stopped =
            if gently { world.terminate(Process::Scheduler(leader)) } else { world.kill(Process::Scheduler(leader)) };
        assert!(stopped);
        deployment(&mut world, 1, "web");
        run(&mut world, 1);
        assert!(gently || bound(&world) == 0);
        run(&mut world, within - 1);
        assert_eq!(bound(&world), 3, "gently: {gently}");
        let holder = lease(&world, "kube-scheduler").holder.to_string();
        let host = if leader == 0 { "control-plane-2_" } else { "control-plane_" };
        assert!(holder.starts_with(host), "{holder}");
    }
}
