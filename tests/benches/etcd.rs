//! Benchmarks of etcd: writes through one to seven members, and what a cluster costs in which nothing happens. Figures
//! stand in BENCHMARKS.md.

use std::sync::Arc;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use wavetank_engine::etcd::{Formation, Put, Request, Stored};
use wavetank_engine::kernel::out::RecordId;
use wavetank_engine::kernel::{Duration, Instant};
use wavetank_engine::trace::TraceLevel;
use wavetank_engine::{Setup, World, profiles};

/// Writes of one measurement.
const WRITES: u64 = 2_000;
/// Writes under way at once.
const AT_ONCE: u64 = 50;

fn setup(members: u8, nodes: usize, only_etcd: bool) -> Setup {
    let mut setup = Setup::new(1, nodes, members, profiles::production());
    setup.formation = Formation::control_plane(members);
    setup.trace = TraceLevel::FingerprintOnly;
    setup.only_etcd = only_etcd;
    setup
}

/// Members that have come to rest.
fn members(count: u8) -> World {
    let mut world = World::new(setup(count, 0, true).shared());
    world.run_until(Instant::START + Duration::from_secs(20));
    world
}

/// Puts so many values of 1 KiB, a bounded number at once, and waits for their answers.
fn write(world: &mut World) {
    let value: Arc<[u8]> = vec![b'x'; 1_024].into();
    let send = |world: &mut World, number: u64| {
        let key = format!("/bench/{:04}", number % 1_000);
        let put = Put::new(key.as_str(), Stored::Bytes(value.clone()));
        world.ask_etcd(0, number + 1, Request::Put(put), RecordId(0));
    };
    let (mut sent, mut answered) = (0, 0);
    while answered < WRITES {
        while sent < WRITES && sent - answered < AT_ONCE {
            send(world, sent);
            sent += 1;
        }
        assert!(world.step(), "nothing left to happen");
        while world.receive_from_etcd().is_some() {
            answered += 1;
        }
    }
}

fn writes(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("etcd/writes");
    group.throughput(Throughput::Elements(WRITES));
    group.sample_size(20);
    for count in [1, 3, 5, 7] {
        let fresh = members(count);
        group.bench_function(BenchmarkId::from_parameter(count), |bencher| {
            bencher.iter_batched(|| fresh.clone(), |mut world| write(&mut world), BatchSize::LargeInput);
        });
    }
    group.finish();
}

/// A day in which nobody wants anything: of three members alone, and of a whole cluster of three nodes.
fn idle_day(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("etcd/idle-day");
    group.sample_size(10);
    for (name, only_etcd, nodes) in [("etcd", true, 0), ("cluster", false, 3)] {
        let mut fresh = World::new(setup(3, nodes, only_etcd).shared());
        fresh.run_until(Instant::START + Duration::from_secs(60));
        group.bench_function(name, |bencher| {
            bencher.iter_batched(
                || fresh.clone(),
                |mut world| world.run_until(Instant::START + Duration::from_secs(86_460)),
                BatchSize::LargeInput,
            );
        });
    }
    group.finish();
}

criterion_group!(benches, writes, idle_day);
criterion_main!(benches);
