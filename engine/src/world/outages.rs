//! What clients see while etcd fails, and that everything comes back.

use super::*;
use crate::apiserver::request::{Answer, Body, ListOptions, Subresource, Verb};
use crate::client::Agent;
use crate::objects::Key;
use crate::objects::Kind;
use crate::profiles;

const SECOND: Duration = Duration::from_secs(1);

fn cluster(members: u8) -> World {
    let mut world = World::new(Setup::new(5, 3, members, profiles::laptop()).shared());
    run(&mut world, 14);
    while world.receive().is_some() {}
    world
}

fn run(world: &mut World, seconds: u64) {
    let until = world.now() + SECOND.times(seconds);
    world.run_until(until);
}

fn send(world: &mut World, number: u64, verb: Verb, name: &str) {
    let namespace =
        |name: &str| serde_json::json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
    let body = match verb {
        Verb::Create => Body::Json(Arc::new(namespace(name))),
        Verb::List => Body::List(Box::default()),
        Verb::Watch => Body::List(Box::new(ListOptions { initial_events: true, ..ListOptions::default() })),
        _ => Body::None,
    };
    let request = Request {
        from: Endpoint::Outside,
        number,
        agent: Agent::Kubectl(1),
        sequence: number,
        verb,
        kind: Kind::Namespace,
        subresource: Subresource::None,
        key: Key::new("", name),
        body,
        options: Default::default(),
    };
    world.send(request, RecordId(0), Duration::ZERO);
}

/// The replies that have come: number, second, code, and the message of an error.
fn replies(world: &mut World) -> Vec<(u64, u64, u16, String)> {
    let mut replies = Vec::new();
    while let Some(mail) = world.receive() {
        let second = mail.at.as_nanos() / 1_000_000_000;
        if let Delivery::Reply(reply) = mail.delivery {
            let (code, message) = match reply.result {
                Ok(Answer::Object(_) | Answer::List { .. } | Answer::Watching | Answer::Json(_)) => {
                    (200, String::new())
                }
                Err(status) => (status.code, status.message.to_string()),
            };
            replies.push((reply.number, second, code, message));
        }
    }
    replies
}

fn supervise(world: &mut World) {
    world.supervise(Process::ControllerManager(0), true);
    world.supervise(Process::Scheduler(0), true);
}

#[test]
fn without_etcd_writes_end_after_34_s_and_reads_after_60_s() {
    let mut world = cluster(1);
    world.kill(Process::Etcd(0));
    run(&mut world, 1);
    send(&mut world, 1, Verb::Create, "a");
    send(&mut world, 2, Verb::Get, "default");
    send(&mut world, 3, Verb::List, "");
    world.ask_health(4, "/readyz", RecordId(0));
    run(&mut world, 70);
    let text = "Timeout: request did not complete within requested timeout - context deadline exceeded";
    let generic =
        "the server was unable to return a response in the time allotted, but may still be processing the request";
    let heard = replies(&mut world);
    assert_eq!((heard[0].0, heard[0].1, heard[0].2), (4, 15 + 4, 500));
    assert_eq!(heard[1], (1, 15 + 34, 504, text.to_owned()));
    assert_eq!(
        heard[2..],
        [
            (2, 75, 504, format!("{generic} (get namespaces default)")),
            (3, 75, 504, format!("{generic} (get namespaces)"))
        ]
    );
    // Everybody waits until the next attempt to connect; then all is as before.
    world.start(Process::Etcd(0));
    run(&mut world, 150);
    send(&mut world, 5, Verb::Create, "b");
    world.ask_health(6, "/readyz", RecordId(0));
    run(&mut world, 1);
    assert!(replies(&mut world).iter().all(|(_, _, code, _)| *code == 200));
}

#[test]
fn a_request_that_waits_is_answered_when_etcd_is_back() {
    let mut world = cluster(1);
    world.kill(Process::Etcd(0));
    run(&mut world, 1);
    send(&mut world, 1, Verb::Create, "a");
    send(&mut world, 2, Verb::List, "");
    run(&mut world, 3);
    world.start(Process::Etcd(0));
    run(&mut world, 10);
    let heard = replies(&mut world);
    assert!(heard.len() == 2 && heard.iter().all(|(_, second, code, _)| *code == 200 && *second > 18), "{heard:?}");
}

#[test]
fn without_a_leader_watches_end_and_are_opened_again() {
    let mut world = cluster(3);
    supervise(&mut world);
    send(&mut world, 1, Verb::Watch, "");
    run(&mut world, 1);
    while world.receive().is_some() {}
    world.kill(Process::Etcd(1));
    world.kill(Process::Etcd(2));
    run(&mut world, 12);
    let mut ended = false;
    while let Some(mail) = world.receive() {
        ended |= matches!(mail.delivery, Delivery::WatchEnded { number: 1, .. });
    }
    assert!(ended, "etcd ends watches that want a leader");
    send(&mut world, 2, Verb::Watch, "");
    send(&mut world, 3, Verb::Create, "a");
    run(&mut world, 1);
    let heard = replies(&mut world);
    assert!(heard.iter().any(|(number, _, code, text)| (*number, *code) == (2, 429) && text.contains("initializing")));
    world.start(Process::Etcd(1));
    run(&mut world, 60);
    send(&mut world, 4, Verb::Create, "b");
    send(&mut world, 5, Verb::Watch, "");
    run(&mut world, 1);
    let codes: Vec<(u64, u16)> = replies(&mut world).iter().map(|reply| (reply.0, reply.2)).collect();
    assert!(codes.contains(&(4, 200)) && codes.contains(&(5, 200)), "{codes:?}");
    assert!(world.is_running(Process::Scheduler(0)) && world.is_running(Process::ControllerManager(0)));
}

#[test]
fn an_api_server_cut_off_from_a_member_asks_another_after_its_keep_alive() {
    let mut world = cluster(3);
    for (from, to) in [(Endpoint::ApiServer(0), Endpoint::Etcd(0)), (Endpoint::Etcd(0), Endpoint::ApiServer(0))] {
        world.cut_link(from, to);
    }
    send(&mut world, 1, Verb::Get, "default");
    run(&mut world, 39);
    assert_eq!(replies(&mut world), []);
    run(&mut world, 3);
    send(&mut world, 2, Verb::Create, "a");
    run(&mut world, 1);
    let codes: Vec<(u64, u16)> = replies(&mut world).iter().map(|reply| (reply.0, reply.2)).collect();
    assert_eq!(codes, [(1, 200), (2, 200)]);
}

#[test]
fn history_is_forgotten_every_five_minutes_and_nobody_minds() {
    let minutes = |setup: Setup, minutes: u64| {
        let mut world = World::new(setup.shared());
        run(&mut world, 60 * minutes);
        world
    };
    let setup = Setup { trace: crate::trace::TraceLevel::FingerprintOnly, ..Setup::new(5, 3, 1, profiles::laptop()) };
    let history = |world: &World| world.etcd()[0].store().events_from(1).count();
    let (short, long) = (minutes(setup.clone(), 21), minutes(setup.clone(), 61));
    assert!(long.etcd()[0].store().compact_revision() > short.etcd()[0].store().compact_revision());
    assert!(history(&long) < history(&short) * 11 / 10, "{} and {}", history(&short), history(&long));
    let off = minutes(Setup { etcd_compaction_interval: Duration::ZERO, ..setup }, 21);
    assert_eq!(off.etcd()[0].store().compact_revision(), 0);
    assert!(history(&off) > history(&short) * 3 / 2);
    assert!(long.is_running(Process::ControllerManager(0)) && long.controller_managers()[0].leading());
}

#[test]
fn seven_members_are_as_good_as_one() {
    let mut world = cluster(7);
    for member in [0, 3, 5] {
        world.kill(Process::Etcd(member));
    }
    run(&mut world, 5);
    send(&mut world, 1, Verb::Create, "a");
    run(&mut world, 3);
    assert_eq!(replies(&mut world).iter().map(|reply| reply.2).collect::<Vec<_>>(), [200]);
}

#[test]
fn a_watch_that_is_resumed_misses_nothing() {
    let setup = Setup { api_servers: 2, ..Setup::new(5, 3, 1, profiles::laptop()) };
    let mut world = World::new(setup.shared());
    run(&mut world, 14);
    let (etcd, server) = (Endpoint::Etcd(0), Endpoint::ApiServer(0));
    world.cut_link(etcd, server);
    // The connection counts as broken after 40 s; etcd does not know, and goes on with the watch it has.
    for second in 0..55 {
        send(&mut world, second, Verb::Create, &format!("n{second}"));
        run(&mut world, 1);
    }
    world.mend_link(etcd, server);
    run(&mut world, 60);
    for kind in [Kind::Namespace, Kind::Node] {
        let there = world.objects(kind);
        for server in world.apiservers() {
            assert_eq!(server.cache().all(kind).cloned().collect::<Vec<_>>(), there, "{kind:?}");
        }
    }
    assert!(world.objects(Kind::Namespace).len() > 30);
}

#[test]
fn a_process_that_starts_at_once_keeps_its_new_watches() {
    for api_servers in [1, 2] {
        let setup = Setup { api_servers, ..Setup::new(5, 3, 1, profiles::laptop()) };
        let mut world = World::new(setup.shared());
        run(&mut world, 14);
        for _ in 0..20 {
            world.kill(Process::Scheduler(0));
            world.start(Process::Scheduler(0));
            run(&mut world, 2);
            let watches = world.apiservers().iter().flat_map(|server| server.cache().watchers());
            assert_eq!(watches.filter(|(client, _)| *client == Endpoint::Scheduler(0)).count(), 8);
        }
    }
}
