//! Benchmarks of the engine: the queue alone, and a cluster at work. Figures stand in BENCHMARKS.md.

use std::hint::black_box;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use wavetank_engine::apiserver::ApiServerEvent;
use wavetank_engine::event::{Event, Queued};
use wavetank_engine::kernel::out::RecordId;
use wavetank_engine::kernel::{Duration, Instant, Queue, Seed};
use wavetank_engine::objects::Kind;
use wavetank_engine::trace::TraceLevel;
use wavetank_engine::{Setup, World, profiles};
use wavetank_tests::workload::deployment;

fn queued(n: u64) -> Queued {
    Queued::anybody(Event::ApiServer(0, ApiServerEvent::Checked(n)), RecordId(n))
}

/// The hold model: with so many entries pending, pop one and push one, an exponential time ahead.
fn hold(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("queue/hold");
    // The increments are drawn beforehand: the queue is measured, not the generator.
    let latency = wavetank_engine::kernel::Latency::Exponential { mean: 5.0 };
    let increments: Vec<Duration> =
        (0..1 << 16).map(|n| latency.sample(&mut Seed(1).luck(0, 0, 0, n)) + Duration::from_nanos(1)).collect();
    for pending in [1_000usize, 100_000, 1_000_000] {
        let mut queue = Queue::default();
        for n in 0..pending {
            queue.push(Instant::START + increments[n % increments.len()], 0, n as u32 % 1_000, queued(n as u64));
        }
        let mut next = 0usize;
        group.throughput(Throughput::Elements(1));
        group.bench_function(BenchmarkId::from_parameter(pending), |bencher| {
            bencher.iter(|| {
                let (at, entry) = queue.pop().expect("the number of entries stays");
                next = next.wrapping_add(1);
                queue.push(at + increments[next & 0xffff], 0, next as u32 % 1_000, black_box(entry));
            });
        });
    }
    group.finish();
}

/// A cluster that has come to rest.
fn cluster(nodes: usize) -> World {
    let mut setup = Setup::new(1, nodes, 1, profiles::production());
    setup.trace = TraceLevel::FingerprintOnly;
    let mut world = World::new(setup.shared());
    world.run_until(Instant::START + Duration::from_secs(14));
    world
}

/// Runs until so many pods are ready; returns the events that took.
fn until_ready(world: &mut World, pods: usize) -> u64 {
    let before = world.handled();
    world.send(deployment(pods), RecordId(0), Duration::ZERO);
    loop {
        let until = world.now() + Duration::from_secs(5);
        world.run_until(until);
        let ready = world.objects(Kind::Pod).iter().filter(|pod| pod.as_pod().is_some_and(|pod| pod.ready())).count();
        if ready == pods {
            return world.handled() - before;
        }
    }
}

/// From the POST of one Deployment to all its pods ready, at the control plane's own rate limits.
fn cluster_at_work(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("cluster");
    group.sample_size(10);
    for (nodes, pods) in [(100, 1_000), (1_000, 10_000)] {
        let fresh = cluster(nodes);
        let events = until_ready(&mut fresh.clone(), pods);
        group.throughput(Throughput::Elements(events));
        group.bench_function(BenchmarkId::new("pods", format!("{pods}-on-{nodes}")), |bencher| {
            bencher.iter_batched(|| fresh.clone(), |mut world| until_ready(&mut world, pods), BatchSize::LargeInput);
        });
    }
    group.finish();
}

criterion_group!(benches, hold, cluster_at_work);
criterion_main!(benches);
