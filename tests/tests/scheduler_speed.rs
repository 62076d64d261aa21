//! How long a scheduling cycle takes in a cluster of 5,000 nodes and 150,000 pods: a bound that a change for the worse breaks.
//! Run with `--release -- --ignored scheduler_speed`; the figures are those of the benchmark `scheduler`.

use std::time::Duration;

use wavetank_engine::scheduler::framework::Profile;
use wavetank_tests::scheduling::{cluster, kinds, place_one, pod};

#[test]
#[ignore = "measures time"]
fn a_cycle_takes_less_than_a_millisecond() {
    let (filled, profile) = (cluster(5_000, 30), Profile::default());
    for (label, spec, _) in kinds() {
        let (mut cache, template, mut start) = (filled.clone(), pod("new", 0, spec), 0);
        let begun = clock();
        (1..=200).for_each(|uid| place_one(&mut cache, &template, &profile, &mut start, uid));
        let each = begun.elapsed() / 200;
        assert!(each < Duration::from_millis(1), "{label}: {each:?}");
    }
}

#[expect(clippy::disallowed_types, reason = "wall time is what is measured")]
fn clock() -> std::time::Instant {
    std::time::Instant::now()
}
