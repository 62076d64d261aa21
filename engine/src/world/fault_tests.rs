//! Faults with a handle: each does what it says, and what undoes it leaves the rest broken.

use super::tests::{SECOND, apply, cluster, ready, run};
use super::*;
use crate::client::Agent;
use crate::faults::{DropWhen, Fault};
use crate::kernel::Trouble;
use crate::objects::Kind;
use crate::objects::Object;
use crate::trace::What;

const SCHEDULER: Process = Process::Scheduler(0);

#[test]
fn two_faults_of_one_link_do_not_heal_each_other() {
    let mut world = cluster();
    let (from, to) = (Endpoint::Kubelet(0), Endpoint::ApiServer(0));
    let cut = || vec![Fault::Cut { from, to }];
    let (first, second) = (world.begin_fault("a", cut()), world.begin_fault("b", cut()));
    assert!(world.end_fault(first) && !world.end_fault(first));
    assert!(world.link_is_cut(from, to));
    assert!(world.end_fault(second) && !world.link_is_cut(from, to));
    let lossy = |loss| vec![Fault::Link { from, to, trouble: Trouble { loss, delay: SECOND } }];
    let (first, second) = (world.begin_fault("c", lossy(0.5)), world.begin_fault("d", lossy(0.5)));
    let trouble = |world: &World| world.network.trouble_of(from, to);
    assert_eq!(trouble(&world), Some(Trouble { loss: 0.75, delay: SECOND.times(2) }));
    world.end_fault(second);
    assert_eq!(trouble(&world), Some(Trouble { loss: 0.5, delay: SECOND }));
    world.end_fault(first);
    assert!(trouble(&world).is_none() && world.unhealthy_links().is_empty());
    let log: Vec<(&str, bool)> = world.fault_log().iter().map(|f| (&*f.name, f.ended.is_some())).collect();
    assert_eq!(log, [("a", true), ("b", true), ("c", true), ("d", true)]);
}

#[test]
fn what_is_down_starts_when_nothing_keeps_it_down() {
    let mut world = cluster();
    let kubelet = Process::Kubelet(1);
    let power = world.begin_fault("zone/a down", vec![Fault::NoPower(0), Fault::NoPower(1)]);
    let killed = world.begin_fault("kubelet/worker-2 down", vec![Fault::Down { process: kubelet, gently: false }]);
    run(&mut world, SECOND.times(5));
    world.end_fault(power);
    assert!(world.is_running(Process::Kubelet(0)) && !world.is_running(kubelet));
    world.end_fault(killed);
    assert!(world.is_running(kubelet));
    let hang = world.begin_fault("x", vec![Fault::Hangs(SCHEDULER)]);
    let again = world.begin_fault("y", vec![Fault::Hangs(SCHEDULER)]);
    world.end_fault(hang);
    assert!(world.is_hanging(SCHEDULER));
    world.begin_fault("z", vec![Fault::Down { process: SCHEDULER, gently: false }]);
    assert!(!world.is_hanging(SCHEDULER) && !world.end_fault(again), "who is killed hangs no longer");
    assert_eq!(world.faults().collect::<Vec<_>>(), ["z"]);
    assert!(world.heal().is_empty() && world.faults().count() == 1, "heal starts nothing");
}

#[test]
fn a_full_disk_ends_a_member_when_it_must_grow_and_not_before() {
    let mut world = cluster();
    world.supervise(Process::Etcd(0), true);
    let full = world.begin_fault("full disk of etcd-0", vec![Fault::FullDisk(0)]);
    assert!(world.is_running(Process::Etcd(0)));
    let mut ends = 0;
    let mut seen = world.trace().records().len();
    for _ in 0..400 {
        apply(&mut world);
        run(&mut world, SECOND);
        let records = &world.trace().records()[seen..];
        ends += records.iter().filter(|r| matches!(r.note.what, What::Ended { how: Ending::DiskFull })).count();
        seen = world.trace().records().len();
        if ends > 1 {
            break;
        }
    }
    assert!(ends > 1, "it ends when its database must grow, is started again, and ends again");
    world.end_fault(full);
    run(&mut world, SECOND.times(30));
    assert!(world.is_running(Process::Etcd(0)));
}

/// When the node's lease says that it was renewed, against the true time. [ns]
fn renewed(world: &World) -> i64 {
    let leases = world.objects(Kind::Lease);
    let lease = leases.iter().find(|lease| &*lease.meta().name == "worker-1");
    let Some(Object::Lease(lease)) = lease.map(|lease| &**lease) else { panic!("no lease") };
    lease.renewed.as_nanos() as i64 - world.now().as_nanos() as i64
}

#[test]
fn a_wrong_clock_is_written_and_nobody_waits_by_it() {
    const S: i64 = 1_000_000_000;
    let mut world = cluster();
    let parts = |by| vec![Fault::Clock { process: Process::Kubelet(0), by }];
    let fast = world.begin_fault("fast", parts(90 * S));
    run(&mut world, SECOND.times(60));
    assert!((79 * S..=90 * S).contains(&renewed(&world)), "{}", renewed(&world));
    let slow = world.begin_fault("slow", parts(-30 * S));
    run(&mut world, SECOND.times(60));
    assert!((-41 * S..=-30 * S).contains(&renewed(&world)), "{}", renewed(&world));
    world.end_fault(fast);
    world.end_fault(slow);
    run(&mut world, SECOND.times(60));
    assert!((-11 * S..=0).contains(&renewed(&world)));
    // The node lifecycle controller measures by its own clock: nobody was found to be gone, whoever's clock is wrong.
    let manager = Fault::Clock { process: Process::ControllerManager(0), by: 3_600 * S };
    world.begin_fault("manager", vec![manager]);
    run(&mut world, SECOND.times(120));
    assert!(world.objects(Kind::Node).iter().all(|node| node.as_node().is_some_and(|node| node.ready())));
    world.begin_fault("server", vec![Fault::Clock { process: Process::ApiServer(0), by: 60 * S }]);
    apply(&mut world);
    run(&mut world, SECOND.times(10));
    assert_eq!(ready(&world), 3);
    let created = world.objects(Kind::Pod)[0].meta().created;
    assert!(created > world.now() + SECOND.times(40), "{created:?}");
}

/// How long it takes until the three pods are bound.
fn until_bound(world: &mut World) -> Duration {
    let began = world.now();
    apply(world);
    let bound = |world: &World| {
        world.objects(Kind::Pod).iter().filter(|pod| pod.as_pod().is_some_and(|pod| pod.node.is_some())).count()
    };
    while bound(world) < 3 {
        assert!(world.step() && world.now().since(began) < SECOND.times(60));
    }
    world.now().since(began)
}

#[test]
fn a_slow_cpu_makes_a_scheduler_slow() {
    let quick = until_bound(&mut cluster());
    let mut world = cluster();
    let cpu = |hundredths| vec![Fault::Cpu { process: SCHEDULER, hundredths }];
    let slow = world.begin_fault("slow", cpu(50_000));
    let took = until_bound(&mut world);
    assert!(took > quick + SECOND.fraction(1, 2), "{took:?} after {quick:?}");
    world.end_fault(slow);
    run(&mut world, SECOND.times(10));
    assert_eq!(ready(&world), 3);
}

#[test]
fn a_starved_leader_renews_so_late_that_another_takes_over() {
    let mut setup = Setup::new(5, 3, 1, crate::profiles::laptop());
    setup.controller_managers = 2;
    let mut world = World::new(setup.shared());
    run(&mut world, SECOND.times(14));
    let leader = world.controller_managers().iter().position(ControllerManager::leading).unwrap_or(9) as u8;
    let process = Process::ControllerManager(leader);
    let starved = world.begin_fault("starved", vec![Fault::Cpu { process, hundredths: 100_000_000 }]);
    let before = world.trace().records().len();
    run(&mut world, SECOND.times(180));
    let other = Agent::ControllerManager(1 - leader);
    let leads = |r: &crate::trace::Record| matches!(r.note.what, What::Leading) && r.note.by == other;
    assert!(world.trace().records()[before..].iter().any(leads));
    world.end_fault(starved);
    apply(&mut world);
    run(&mut world, SECOND.times(30));
    assert_eq!(ready(&world), 3);
}

#[test]
fn watches_are_late_while_replies_are_not() {
    let quick = until_bound(&mut cluster());
    let mut world = cluster();
    let client = Endpoint::Scheduler(0);
    let late = world.begin_fault("late", vec![Fault::WatchDelay { client, by: SECOND.times(2) }]);
    let took = until_bound(&mut world);
    assert!(took >= SECOND.times(2) && took < quick + SECOND.times(3), "{took:?} after {quick:?}");
    assert!(world.schedulers()[0].leading());
    world.end_fault(late);
    run(&mut world, SECOND.times(10));
    assert_eq!(ready(&world), 3);
}

#[test]
fn watches_that_break_or_expire_are_opened_again_and_lose_nothing() {
    let every = DropWhen::Every(SECOND.times(3));
    for (when, expired) in [(every, false), (every, true), (DropWhen::Share(0.3), true), (DropWhen::Share(0.3), false)]
    {
        let mut world = cluster();
        let opened = |world: &World| world.apiservers()[0].metrics().watches;
        let before = opened(&world);
        let clients = [Endpoint::Scheduler(0), Endpoint::ControllerManager(0), Endpoint::Kubelet(1)];
        let parts = clients.map(|client| Fault::WatchDrop { client, when, expired });
        let fault = world.begin_fault("drop", parts.to_vec());
        apply(&mut world);
        run(&mut world, SECOND.times(60));
        assert!(opened(&world) > before + 8, "{when:?}: {}", opened(&world) - before);
        world.end_fault(fault);
        run(&mut world, SECOND.times(60));
        assert_eq!(ready(&world), 3, "{when:?} {expired}");
        let calm = opened(&world);
        run(&mut world, SECOND.times(30));
        assert!(opened(&world) <= calm + 10, "it is over");
    }
}

#[test]
fn a_fork_with_faults_goes_on_as_the_run_does() {
    let mut world = cluster();
    let client = Endpoint::Scheduler(0);
    world.begin_fault("drop", vec![Fault::WatchDrop { client, when: DropWhen::Share(0.2), expired: true }]);
    world.begin_fault("cpu", vec![Fault::Cpu { process: SCHEDULER, hundredths: 100_000 }]);
    let clock = world.begin_fault("clock", vec![Fault::Clock { process: Process::Kubelet(1), by: 5_000_000_000 }]);
    apply(&mut world);
    run(&mut world, SECOND.fraction(1, 2));
    let mut fork = world.clone();
    for world in [&mut world, &mut fork] {
        run(world, SECOND.times(20));
        world.end_fault(clock);
        run(world, SECOND.times(20));
    }
    assert_eq!(world.trace().fingerprint(), fork.trace().fingerprint());
}
