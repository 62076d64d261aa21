//! Many small clusters under random faults, watched from outside.
//!
//! `bench` is the world of a cluster: links, faults, clients; `safety` looks at the members after every event;
//! `linear` looks at what the clients saw. Each seed draws its options, runs with faults, then without: then everything
//! must come to rest, agree, and have kept what was acknowledged.

mod bench;
mod linear;
mod links;
mod operations;
mod rest;
mod safety;
mod still;

use bench::Bench;
use links::Options;

/// What must have happened in some of the runs, so that they were not trivially quiet.
#[derive(Default, Debug)]
struct Sometimes {
    leaders: u64,
    snapshots: u64,
    unknown: u64,
    acknowledged: u64,
    linear_reads: u64,
    kills: u64,
    slow: u64,
    errors: std::collections::BTreeMap<String, u64>,
    members_added: u64,
    rested: u64,
    events: u64,
}

fn run(seed: u64, options: Options, sum: &mut Sometimes) {
    let mut bench = Bench::new(seed, options);
    bench.with_faults();
    bench.without_faults();
    bench.check_end();
    let keys = linear::check(&bench.history);
    assert!(keys.is_empty(), "seed {seed}: the history of {keys:?} is not linearizable\n{:#?}", bench.history);
    bench.add_up(sum);
}

/// How many seeds, and from which on.
#[expect(clippy::disallowed_methods, reason = "how much is tried, not what happens")]
fn from_environment(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn safety_holds_under_random_crashes_partitions_and_slow_disks() {
    let seeds = from_environment("WAVETANK_SWARM").unwrap_or(300);
    let from = from_environment("WAVETANK_SWARM_FROM").unwrap_or(0);
    let mut sum = Sometimes::default();
    for seed in from..from + seeds {
        run(seed, Options::draw(seed), &mut sum);
    }
    println!("{sum:#?}");
    if seeds < 100 {
        return;
    }
    for (what, count) in [
        ("leaders", sum.leaders),
        ("snapshots", sum.snapshots),
        ("unknown outcomes", sum.unknown),
        ("acknowledged writes", sum.acknowledged),
        ("linearizable reads", sum.linear_reads),
        ("kills", sum.kills),
        ("slow fsyncs", sum.slow),
        ("members added", sum.members_added),
        ("heartbeats that rested", sum.rested),
    ] {
        assert!(count > 0, "no {what} in {seeds} seeds: {sum:#?}");
    }
    for text in ["etcdserver: leader changed", "etcdserver: request timed out", "connection refused"] {
        assert!(sum.errors.contains_key(text), "nobody heard {text:?}: {sum:#?}");
    }
}
