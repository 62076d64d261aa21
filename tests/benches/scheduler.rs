//! Benchmarks of the scheduler's cycle: from a pod to its node in a cluster of 30 pods a node, each pod placed counting for the
//! next. Figures stand in BENCHMARKS.md, beside upstream's thresholds.

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use wavetank_engine::scheduler::framework::Profile;
use wavetank_tests::scheduling::{cluster, container, kinds, place_one, pod};

/// Pods placed in one iteration.
const PODS: u128 = 50;

fn cycles(criterion: &mut Criterion) {
    let profile = Profile::default();
    for nodes in [100, 1_000, 5_000] {
        let filled = cluster(nodes, 30);
        let mut group = criterion.benchmark_group(format!("scheduler/{nodes}-nodes"));
        group.sample_size(10).throughput(Throughput::Elements(PODS as u64));
        let hopeless = ("fits nowhere", serde_json::json!({"containers": container("64")}), "-");
        for (label, spec, _) in kinds().into_iter().chain([hopeless]) {
            let template = pod("new", 0, spec);
            group.bench_function(BenchmarkId::from_parameter(label), |bencher| {
                bencher.iter_batched_ref(
                    || filled.clone(),
                    |cache| {
                        let mut start = 0;
                        (1..=PODS).for_each(|uid| place_one(cache, &template, &profile, &mut start, uid));
                    },
                    BatchSize::PerIteration,
                );
            });
        }
        group.finish();
    }
}

criterion_group!(benches, cycles);
criterion_main!(benches);
