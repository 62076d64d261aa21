//! A whole cluster: it works, processes die and come back, a fork goes its own way.

use super::*;
use crate::apiserver::request::{Body, Subresource, Verb};
use crate::client::Agent;
use crate::etcd;
use crate::objects::Key;
use crate::objects::Kind;
use crate::profiles;
use crate::trace::What;

pub(super) const SECOND: Duration = Duration::from_secs(1);

pub(super) fn cluster() -> World {
    let mut world = World::new(Setup::new(5, 3, 3, profiles::laptop()).shared());
    world.run_until(Instant::START + SECOND.times(14));
    world
}

pub(super) fn apply(world: &mut World) {
    let manifest = serde_json::json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
        "spec": {
            "replicas": 3, "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "a", "image": "nginx:1.25"}]},
            },
        },
    });
    let request = Request {
        from: Endpoint::Outside,
        number: 1_000,
        agent: Agent::Kubectl(1),
        sequence: 1,
        verb: Verb::Create,
        kind: Kind::Deployment,
        subresource: Subresource::None,
        key: Key::new("default", "web"),
        body: Body::Json(Arc::new(manifest)),
        options: Default::default(),
    };
    world.send(request, RecordId(0), Duration::ZERO);
}

pub(super) fn ready(world: &World) -> usize {
    world.objects(Kind::Pod).iter().filter(|pod| pod.as_pod().is_some_and(|pod| pod.ready())).count()
}

pub(super) fn run(world: &mut World, time: Duration) {
    let until = world.now() + time;
    world.run_until(until);
}

#[test]
fn a_deployment_becomes_ready_pods() {
    let mut world = cluster();
    apply(&mut world);
    run(&mut world, SECOND.times(10));
    assert_eq!(ready(&world), 3);
}

#[test]
fn a_quiet_cluster_costs_every_minute_the_same() {
    let mut world = cluster();
    let mut minute = || {
        let before = world.handled();
        run(&mut world, SECOND.times(60));
        world.handled() - before
    };
    let first = minute();
    (0..10).for_each(|_| {
        minute();
    });
    let last = minute();
    assert!(last <= first + first / 10, "{first} events in the first minute, {last} in the twelfth");
}

#[test]
fn nothing_gets_over_a_cut_link_until_it_is_mended() {
    let mut world = cluster();
    let link = (Endpoint::Scheduler(0), Endpoint::ApiServer(0));
    world.cut_link(link.0, link.1);
    apply(&mut world);
    run(&mut world, SECOND.times(5));
    let pods = world.objects(Kind::Pod);
    assert_eq!(pods.len(), 3);
    assert!(pods.iter().all(|pod| pod.as_pod().is_some_and(|pod| pod.node.is_none())), "nobody could be bound");
    world.mend_link(link.0, link.1);
    run(&mut world, SECOND.times(20));
    assert_eq!(ready(&world), 3);
}

#[test]
fn etcd_with_a_majority_commits_and_without_it_does_not() {
    let mut world = cluster();
    let cut = |world: &mut World, member: u8| {
        world.cut_link(Endpoint::Etcd(0), Endpoint::Etcd(member));
        world.cut_link(Endpoint::Etcd(member), Endpoint::Etcd(0));
    };
    cut(&mut world, 1);
    apply(&mut world);
    run(&mut world, SECOND.times(10));
    assert_eq!(ready(&world), 3, "two of three are a majority");
    cut(&mut world, 2);
    run(&mut world, SECOND.times(2));
    let revision = world.revision();
    run(&mut world, SECOND.times(5));
    assert_eq!(world.revision(), revision, "one of three commits nothing");
}

#[test]
fn losing_the_etcd_leader_of_three_hurts_nobody_for_long() {
    let mut world = cluster();
    world.etcd_event(0, EtcdEvent::Killed);
    // What a follower passes on to the dead leader before it is missed is lost; clients hear of it after seven seconds.
    run(&mut world, SECOND.times(3));
    apply(&mut world);
    run(&mut world, SECOND.times(20));
    assert_eq!(ready(&world), 3);
    assert!(world.etcd().iter().filter(|member| member.running()).count() == 2);
}

#[test]
fn one_etcd_that_dies_stops_everything_and_forgets_nothing() {
    let mut world = World::new(Setup::new(5, 3, 1, profiles::laptop()).shared());
    run(&mut world, SECOND.times(14));
    let revision = world.revision();
    world.etcd_event(0, EtcdEvent::Killed);
    apply(&mut world);
    // Less than the ten seconds after which those that lead give up.
    run(&mut world, SECOND.times(7));
    assert_eq!((world.revision(), ready(&world)), (revision, 0));
    world.etcd_event(0, EtcdEvent::Started);
    run(&mut world, SECOND.times(30));
    assert_eq!(ready(&world), 3);
    assert!(world.revision() > revision);
}

#[test]
fn a_killed_scheduler_is_replaced_after_its_lease_and_one_that_stops_at_once() {
    let bound = |world: &World| {
        world.objects(Kind::Pod).iter().filter(|pod| pod.as_pod().is_some_and(|pod| pod.node.is_some())).count()
    };
    for (gently, waits) in [(false, true), (true, false)] {
        let mut world = cluster();
        let stopped = if gently { world.terminate(Process::Scheduler(0)) } else { world.kill(Process::Scheduler(0)) };
        assert!(stopped);
        run(&mut world, SECOND);
        assert!(!world.is_running(Process::Scheduler(0)) && !world.kill(Process::Scheduler(0)));
        apply(&mut world);
        run(&mut world, SECOND.times(2));
        assert!(world.start(Process::Scheduler(0)) && !world.start(Process::Scheduler(0)));
        run(&mut world, SECOND.times(10));
        assert_eq!(bound(&world) == 0, waits, "gently: {gently}");
        run(&mut world, SECOND.times(10));
        assert_eq!(bound(&world), 3, "gently: {gently}");
    }
}

#[test]
fn every_process_may_die_and_come_back() {
    let all: Vec<Process> = cluster().process_list().collect();
    assert_eq!(all.len(), 3 + 3 + 3);
    for process in all {
        let mut world = cluster();
        apply(&mut world);
        run(&mut world, SECOND.fraction(1, 2));
        assert!(world.kill(process));
        run(&mut world, SECOND.times(3));
        assert!(!world.is_running(process) && world.start(process), "{process:?}");
        run(&mut world, SECOND.times(40));
        assert_eq!(ready(&world), 3, "{process:?}");
    }
}

#[test]
fn the_supervisor_starts_what_lost_its_lease() {
    let mut world = World::new(Setup::new(5, 3, 1, profiles::laptop()).shared());
    run(&mut world, SECOND.times(14));
    world.supervise(Process::Scheduler(0), true);
    world.kill(Process::Etcd(0));
    run(&mut world, SECOND.times(13));
    assert!(!world.is_running(Process::ControllerManager(0)) && world.is_running(Process::Scheduler(0)));
    run(&mut world, SECOND.times(10));
    let records = world.trace().records().iter();
    let told: Vec<_> = records.filter(|record| record.note.by == Agent::Scheduler(0)).map(|r| &r.note.what).collect();
    let restarted = told.iter().position(|what| matches!(what, What::Restarting { after: Duration::ZERO }));
    assert!(restarted.is_some() && world.is_running(Process::Scheduler(0)));
    apply(&mut world);
    world.start(Process::Etcd(0));
    world.start(Process::ControllerManager(0));
    run(&mut world, SECOND.times(60));
    assert_eq!(ready(&world), 3);
}

#[test]
fn a_fork_goes_its_own_way() {
    let mut world = cluster();
    let mut fork = world.clone();
    apply(&mut fork);
    run(&mut fork, SECOND.times(10));
    run(&mut world, SECOND.times(10));
    assert_eq!((ready(&fork), ready(&world)), (3, 0));
    assert_ne!(fork.trace().fingerprint(), world.trace().fingerprint());
}

/// Operators are told what a member says, also that nobody listens, and that it died while it was asked.
#[test]
fn a_member_answers_operators_or_is_seen_to_be_down() {
    let mut setup = Setup::new(5, 0, 3, profiles::laptop());
    setup.only_etcd = true;
    let mut world = World::new(setup.shared());
    let put = |key: &str| etcd::Request::Put(etcd::Put::new(key, EtcdValue::text("v")));
    let range = etcd::KeyRange::Key("a".into());
    let (start_revision, prev_kv, progress_notify, require_leader) = (0, false, false, false);
    let watch = etcd::WatchRequest { range, start_revision, prev_kv, progress_notify, require_leader };
    world.ask_etcd(1, 1, etcd::Request::Watch(watch), RecordId(0));
    world.ask_etcd(2, 2, put("a"), RecordId(0));
    world.run_until(Instant::START + SECOND);
    let heard: Vec<_> = std::iter::from_fn(|| world.receive_from_etcd()).collect();
    let numbers: Vec<u64> = heard.iter().map(|mail| mail.number).collect();
    assert!(numbers.contains(&2) && numbers.iter().filter(|number| **number == 1).count() == 2, "{numbers:?}");
    assert!(world.objects(Kind::Node).is_empty() && world.handled() < 200, "nothing but etcd runs");

    world.etcd_event(1, EtcdEvent::Killed);
    world.run_until(Instant::START + SECOND.times(2));
    world.ask_etcd(1, 3, put("b"), RecordId(0));
    world.run_until(Instant::START + SECOND.times(3));
    let errors: Vec<_> =
        std::iter::from_fn(|| world.receive_from_etcd()).map(|m| (m.number, m.response.body)).collect();
    let (lost, refused) = (etcd::EtcdError::ConnectionLost, etcd::EtcdError::ConnectionRefused);
    assert_eq!(errors, [(1, Err(lost)), (3, Err(refused))]);
}
