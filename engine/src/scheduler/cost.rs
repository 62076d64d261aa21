//! What a cycle's work costs beyond its fixed part.
//!
//! A cycle over few nodes takes the profile's `scheduler_cycle`. What nodes and plugins add is fitted to the rates below which
//! upstream's own benchmarks must not fall (kubernetes v1.36.2 test/integration/scheduler_perf/*/performance-config.yaml, the
//! `threshold` of the 5,000-node workloads [pods/s]; 500 of the nodes are looked at):
//!
//! | workload | threshold | a pod takes | what of it is here |
//! |---|---|---|---|
//! | plain pods | 680 | 1.47 ms | 0.8 ms fixed; 500 nodes × (14 filters × 60 ns + 9 ratings × 80 ns) = 0.78 ms |
//! | a pod that names its node, 15,000 nodes | 1,100 | 0.91 ms | the fixed part: one node is looked at |
//! | a spread constraint as a demand | 460 | 2.17 ms | 0.7 ms more: 5,000 nodes × 160 ns |
//! | a spread constraint as a wish | 340 | 2.94 ms | 1.5 ms more: 5,000 nodes × 300 ns |
//! | a preferred inter-pod term | 90 | 11.1 ms | 9.6 ms more: 5,000 nodes × 1.9 µs |
//! | a required inter-pod term | 60 | 16.7 ms | 5 ms more: see below |
//!
//! The last threshold dates from a release in which plain pods made 270, 2.5 times slower than now; scaled by that, the term
//! takes 5 ms. Thresholds lie below what the machines do, so the costs are on the high side. The cost of a dry run of preemption is
//! an estimate.

use super::cache::pod_info::PodInfo;
use super::plugins::Prepared;
use crate::kernel::Duration;

/// What a cycle did, in work beyond its fixed part. [ns on a machine of the kind the figures come from]
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Work(u64);

/// One plugin looking at one node.
const FILTER: u64 = 60;
/// One plugin rating one node.
const SCORE: u64 = 80;
/// A demand to spread, for every node there is.
const SPREAD_DEMAND: u64 = 160;
/// A wish to spread, for every node there is.
const SPREAD_WISH: u64 = 300;
/// A required inter-pod term, for every node there is.
const POD_TERM_DEMAND: u64 = 1_000;
/// A preferred inter-pod term, for every node there is.
const POD_TERM_WISH: u64 = 1_900;
/// Trying to preempt on one node.
const DRY_RUN: u64 = 20_000;

impl Work {
    /// What is done for all nodes before the first is looked at.
    pub(super) fn prepared(nodes: u32, prepared: &Prepared, pod: &PodInfo) -> Work {
        let (demands, wishes) = prepared.spread.as_ref().map_or((0, 0), |spread| spread.len());
        let terms = pod.terms().affinity.as_deref().map_or((0, 0), |affinity| {
            (
                affinity.required.len() + affinity.required_anti.len(),
                affinity.preferred.len() + affinity.preferred_anti.len(),
            )
        });
        let each = demands as u64 * SPREAD_DEMAND
            + wishes as u64 * SPREAD_WISH
            + terms.0 as u64 * POD_TERM_DEMAND
            + terms.1 as u64 * POD_TERM_WISH;
        Work(u64::from(nodes) * each)
    }

    pub(super) fn filtered(&mut self, nodes: usize, plugins: usize) {
        self.0 += nodes as u64 * plugins as u64 * FILTER;
    }

    pub(super) fn scored(&mut self, nodes: usize, plugins: usize) {
        self.0 += nodes as u64 * plugins as u64 * SCORE;
    }

    /// Preemption was tried on so many nodes.
    pub(super) fn tried(&mut self, nodes: usize) {
        self.0 += nodes as u64 * DRY_RUN;
    }

    /// How long it takes where an empty cycle takes `fixed` in the middle.
    pub fn takes(self, fixed: Duration) -> Duration {
        // The figures come from a machine on which that is about 0.8 ms.
        Duration::from_nanos(self.0).fraction(fixed.as_nanos(), 800_000)
    }
}
