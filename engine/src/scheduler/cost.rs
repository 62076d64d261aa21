//! What a cycle's work costs beyond its fixed part.
//!
//! A cycle over few nodes takes the profile's `scheduler_cycle`. What nodes and plugins add comes from the rates below
//! which upstream's own benchmarks must not fall (test/integration/scheduler_perf/*/performance-config.yaml, pods a second in
//! 5,000 nodes, 500 of which are looked at): 680 for plain pods, where a pod that names its node takes 1/1,100 s among
//! 15,000; 460 with a spread constraint as a demand, 340 as a wish; 90 with preferred and 60 with required inter-pod terms,
//! the latter from a release in which plain pods made 270.

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
