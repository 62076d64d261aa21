//! Processes that hang, and who notices.

use super::tests::{SECOND, apply, cluster, ready, run};
use super::*;
use crate::kernel::Trouble;
use crate::objects::Kind;

#[test]
fn a_scheduler_that_hangs_binds_what_has_come_when_it_goes_on() {
    let mut world = cluster();
    assert!(world.hang(Process::Scheduler(0)) && !world.hang(Process::Scheduler(0)));
    assert!(world.is_running(Process::Scheduler(0)) && world.is_hanging(Process::Scheduler(0)));
    apply(&mut world);
    run(&mut world, SECOND.times(8));
    assert_eq!((world.objects(Kind::Pod).len(), ready(&world)), (3, 0));
    assert!(world.resume(Process::Scheduler(0)) && !world.resume(Process::Scheduler(0)));
    run(&mut world, SECOND.times(6));
    // It was away for less than its lease, and nobody else wanted that.
    assert!(ready(&world) == 3 && world.schedulers()[0].leading());
}

/// Upstream's leader notices only by its next try to renew that the Lease is another's, tries for ten seconds and ends: until
/// then two work.
#[test]
fn a_leader_that_hangs_for_too_long_tries_to_renew_and_ends() {
    let mut setup = Setup::new(5, 3, 1, crate::profiles::laptop());
    setup.controller_managers = 2;
    let mut world = World::new(setup.shared());
    world.run_until(Instant::START + SECOND.times(14));
    let leading =
        |world: &World| world.controller_managers().iter().map(ControllerManager::leading).collect::<Vec<_>>();
    let first = leading(&world).iter().position(|leads| *leads).unwrap_or(9);
    let old = Process::ControllerManager(first as u8);
    assert!(world.hang(old));
    run(&mut world, SECOND.times(22));
    assert_eq!(leading(&world), [true, true], "the sleeper does not know yet");
    apply(&mut world);
    run(&mut world, SECOND.times(8));
    assert_eq!(ready(&world), 3, "the new leader works");
    world.resume(old);
    let woke = world.now();
    run(&mut world, SECOND.times(5));
    assert_eq!(leading(&world), [true, true], "two work");
    assert_eq!(world.objects(Kind::Pod).len(), 3, "the writes of the old one meet conflicts, or nothing to do");
    while world.is_running(old) {
        assert!(world.step());
    }
    let took = world.now().since(woke);
    assert!((SECOND.times(9)..SECOND.times(11)).contains(&took), "{took:?}");
}

#[test]
fn a_process_that_hangs_can_be_killed_and_hears_sigterm_late() {
    let mut world = cluster();
    assert!(world.hang(Process::Scheduler(0)) && world.terminate(Process::Scheduler(0)));
    run(&mut world, SECOND);
    assert!(world.is_running(Process::Scheduler(0)));
    world.resume(Process::Scheduler(0));
    run(&mut world, SECOND);
    assert!(!world.is_running(Process::Scheduler(0)));
    assert!(world.hang(Process::ControllerManager(0)) && world.kill(Process::ControllerManager(0)));
    assert!(!world.is_hanging(Process::ControllerManager(0)) && !world.resume(Process::ControllerManager(0)));
    world.start(Process::Scheduler(0));
    world.start(Process::ControllerManager(0));
    apply(&mut world);
    run(&mut world, SECOND.times(40));
    assert_eq!(ready(&world), 3);
}

#[test]
fn everybody_may_hang_for_a_while() {
    let all: Vec<Process> = cluster().process_list().collect();
    for process in all {
        for seconds in [3, 60] {
            let mut world = cluster();
            all_supervised(&mut world);
            apply(&mut world);
            run(&mut world, SECOND.fraction(1, 2));
            assert!(world.hang(process), "{process:?}");
            run(&mut world, SECOND.times(seconds));
            assert!(world.resume(process), "{process:?}");
            run(&mut world, SECOND.times(90));
            assert_eq!(ready(&world), 3, "{process:?} hung for {seconds} s");
        }
    }
}

#[test]
fn a_hanging_leader_of_etcd_is_replaced_and_follows_when_it_goes_on() {
    let mut world = cluster();
    let leads =
        |world: &World| world.etcd().iter().filter(|m| m.raft().is_leader()).map(|m| m.number()).collect::<Vec<_>>();
    let old = leads(&world)[0];
    all_supervised(&mut world);
    world.hang(Process::Etcd(old));
    run(&mut world, SECOND.times(60));
    assert_eq!(leads(&world).len(), 2, "it still thinks that it leads");
    apply(&mut world);
    run(&mut world, SECOND.times(40));
    assert_eq!(ready(&world), 3);
    world.resume(Process::Etcd(old));
    run(&mut world, SECOND.times(5));
    assert!(!leads(&world).contains(&old) && leads(&world).len() == 1);
    let revisions: Vec<u64> = world.etcd().iter().map(|member| member.store().revision()).collect();
    assert!(revisions.iter().all(|revision| *revision == revisions[0]), "{revisions:?}");
}

fn all_supervised(world: &mut World) {
    let all: Vec<Process> = world.process_list().collect();
    all.into_iter().for_each(|process| world.supervise(process, true));
}

#[test]
fn a_follower_that_has_hung_notices_later_that_its_leader_is_gone() {
    let mut setup = Setup::new(5, 1, 3, crate::profiles::laptop());
    setup.supervised = false;
    let mut world = World::new(setup.shared());
    world.run_until(Instant::START + SECOND.times(14));
    let leader = (0..3).find(|member| world.etcd()[usize::from(*member)].raft().is_leader()).expect("a leader");
    let (follower, other) = ((leader + 1) % 3, (leader + 2) % 3);
    // A link that is not quite well keeps heartbeats, and so the timers of elections, going.
    let slow = Trouble { loss: 0.0, delay: Duration::from_millis(1) };
    world.trouble_link(Endpoint::Etcd(leader), Endpoint::Etcd(other), slow);
    run(&mut world, SECOND.times(3));
    assert!(world.hang(Process::Etcd(follower)));
    run(&mut world, SECOND.times(20));
    assert!(world.resume(Process::Etcd(follower)));
    run(&mut world, SECOND.times(5));
    world.kill(Process::Etcd(leader));
    run(&mut world, SECOND.times(10));
    let leads =
        (0..3).filter(|member| *member != leader && world.etcd()[usize::from(*member)].raft().is_leader()).count();
    assert_eq!(leads, 1, "the two that are left elect one of them");
    world.kill(Process::Etcd(other));
    run(&mut world, SECOND.times(10));
    assert_eq!(world.etcd()[usize::from(follower)].raft().leader(), None, "it notices that it is alone");
}
