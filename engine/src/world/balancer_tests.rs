//! Several API servers: connections stick, a crash breaks some of them, slow and hanging ones hurt their own clients.

use super::replicas::{bound, cluster, deployment, run};
use super::*;
use crate::apiserver::request::{Answer, Body, ListOptions, Subresource, Verb};
use crate::client::Agent;
use crate::objects::Key;
use crate::objects::Kind;
use crate::objects::Object;

const SECOND: Duration = Duration::from_secs(1);

fn three() -> World {
    let mut world = cluster(|setup| {
        setup.api_servers = 3;
        setup.etcd_members = 3;
        setup.formation = crate::etcd::Formation::local(3);
        setup.supervised = true;
    });
    // Those whom a test ends stay away.
    (0..3).for_each(|server| world.supervise(Process::ApiServer(server), false));
    world
}

/// A person's command: it connects anew. How long its answer took, and the answer.
fn list(world: &mut World, number: u32) -> (Duration, Result<Answer, crate::apiserver::status::Status>) {
    while world.receive().is_some() {}
    let began = world.now();
    let request = Request {
        from: Endpoint::Outside,
        number: 10_000 + u64::from(number),
        agent: Agent::Kubectl(number),
        sequence: 1,
        verb: Verb::List,
        kind: Kind::Pod,
        subresource: Subresource::None,
        key: Key::new("default", ""),
        body: Body::List(Box::default()),
        options: Default::default(),
    };
    world.send(request, RecordId(0), Duration::ZERO);
    loop {
        assert!(world.step() && world.now().since(began) < SECOND.times(120), "no answer");
        while let Some(mail) = world.receive() {
            if let Delivery::Reply(reply) = mail.delivery {
                return (world.now().since(began), reply.result);
            }
        }
    }
}

#[test]
fn clients_are_spread_and_stay() {
    let mut world = three();
    // Controller manager, scheduler, three kubelets, and who has set the cluster up.
    assert_eq!(world.connections(), [2, 2, 2]);
    deployment(&mut world, 1, "web");
    run(&mut world, 10);
    assert_eq!(bound(&world), 3);
    let revisions: Vec<u64> = world.apiservers().iter().map(|server| server.metrics().writes.count()).collect();
    assert!(revisions.iter().all(|writes| *writes > 5), "{revisions:?}");
}

#[test]
fn a_crash_breaks_the_connections_to_that_server_and_nobody_comes_back() {
    let mut world = three();
    assert!(world.kill(Process::ApiServer(1)));
    deployment(&mut world, 1, "web");
    run(&mut world, 15);
    assert_eq!(bound(&world), 3);
    let connections = world.connections();
    assert!(connections[1] == 0 && connections[0] + connections[2] >= 6, "{connections:?}");
    assert!(world.start(Process::ApiServer(1)));
    run(&mut world, 60);
    assert_eq!(world.connections()[1], 0, "connections stay where they are");
    // A new one is given to it in turn.
    let before = world.connections();
    (11..14).for_each(|number| assert!(list(&mut world, number).1.is_ok()));
    let after: Vec<usize> = world.connections().iter().zip(&before).map(|(after, before)| after - before).collect();
    assert_eq!(after, [1, 1, 1]);
}

#[test]
fn all_may_crash_one_after_the_other() {
    let mut world = three();
    for server in [0, 1, 2, 0] {
        world.kill(Process::ApiServer(server));
        run(&mut world, 5);
        world.start(Process::ApiServer(server));
        run(&mut world, 15);
    }
    deployment(&mut world, 1, "web");
    run(&mut world, 20);
    assert_eq!(bound(&world), 3);
    assert!(world.is_running(Process::Scheduler(0)) && world.is_running(Process::ControllerManager(0)));
    (0..3).for_each(|server| assert!(world.kill(Process::ApiServer(server))));
    let (_, answer) = list(&mut world, 9);
    assert!(answer.is_err_and(|status| status.message.contains("connection refused")));
}

#[test]
fn a_server_that_hangs_keeps_its_clients_for_45_seconds() {
    let mut world = three();
    world.hang(Process::ApiServer(1));
    let slow: Vec<Duration> = (1..4).map(|number| list(&mut world, number).0).filter(|took| *took > SECOND).collect();
    // The health check has not failed yet, so one of three gets there.
    assert!(slow.len() == 1 && (SECOND.times(45)..SECOND.times(46)).contains(&slow[0]), "{slow:?}");
    assert_eq!(world.connections()[1], 0);
    assert!((4..7).all(|number| list(&mut world, number).1.is_ok()));
    deployment(&mut world, 1, "web");
    run(&mut world, 40);
    assert_eq!(bound(&world), 3);
    world.resume(Process::ApiServer(1));
    run(&mut world, 30);
    assert!(world.is_running(Process::Scheduler(0)) && world.schedulers()[0].leading());
    assert_eq!(bound(&world), 3);
}

#[test]
fn a_client_cut_off_from_its_server_goes_to_another() {
    let mut world = three();
    let scheduler = Endpoint::Scheduler(0);
    for server in 0..2 {
        world.cut_link(scheduler, Endpoint::ApiServer(server));
        world.cut_link(Endpoint::ApiServer(server), scheduler);
    }
    run(&mut world, 70);
    deployment(&mut world, 1, "web");
    run(&mut world, 20);
    assert_eq!(bound(&world), 3);
}

#[test]
fn one_slow_server_is_slow_for_its_own_clients() {
    let mut world = three();
    world.slow_api_server(2, 5_000);
    let took: Vec<Duration> = (1..4).map(|number| list(&mut world, number).0).collect();
    let slow = took.iter().filter(|took| **took > Duration::from_millis(10)).count();
    assert_eq!(slow, 1, "{took:?}");
    world.slow_api_server(2, 100);
    assert!((4..7).all(|number| list(&mut world, number).0 < Duration::from_millis(10)));
}

#[test]
fn servers_agree_in_the_end_and_runs_are_repeatable() {
    let end = |mut world: World| {
        deployment(&mut world, 1, "web");
        run(&mut world, 5);
        world.kill(Process::ApiServer(0));
        run(&mut world, 20);
        let known = |server: &ApiServer| server.cache().list(Kind::Pod, &"".into(), &ListOptions::default());
        let all: Vec<Vec<Arc<Object>>> = world.apiservers()[1..].iter().map(known).collect();
        assert_eq!(all[0].len(), 3);
        assert!(all[0].iter().zip(&all[1]).all(|(a, b)| a.meta().resource_version == b.meta().resource_version));
        world.trace().fingerprint()
    };
    assert_eq!(end(three()), end(three()));
}
