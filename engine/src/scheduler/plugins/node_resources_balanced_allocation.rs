//! NodeResourcesBalancedAllocation: better a node whose CPU and memory the pod uses up evenly.
//!
//! The rating compares the balance with the pod to that without it: 75 when it does not change. Floats are used in the
//! order upstream uses them, with operations IEEE 754 fixes to the bit.
//!
//! Models: kubernetes v1.36.2 pkg/scheduler/framework/plugins/noderesources/balanced_allocation.go. Left out: other
//! resources than CPU and memory (upstream's default).

use super::super::framework::MAX_SCORE;
use super::Candidate;
use crate::objects::pod_terms::{CpuMemory, PodTerms};

/// What the pod asks for, without defaults.
pub struct BalancedAllocation(CpuMemory);

impl BalancedAllocation {
    /// Nothing to do for a pod that asks for neither CPU nor memory.
    pub fn pre_score(pod: &PodTerms) -> Option<Self> {
        let asked = CpuMemory { cpu: pod.requests.effective.cpu, memory: pod.requests.effective.memory };
        (asked != CpuMemory::default()).then_some(BalancedAllocation(asked))
    }

    /// How the pod changes the node's balance.
    pub fn score(&self, candidate: Candidate<'_>) -> i64 {
        let (used, _) = candidate.node.requested();
        let offered = &candidate.terms.allocatable;
        let balance = |with: CpuMemory| {
            balance([
                (used.cpu.wrapping_add(with.cpu), offered.cpu),
                (used.memory.wrapping_add(with.memory), offered.memory),
            ])
        };
        let half = MAX_SCORE / 2;
        half + (half + balance(self.0) - balance(CpuMemory::default())) / 2
    }
}

/// 100 when the same share of both resources is used, 50 when one is full and the other empty.
fn balance(resources: [(i64, i64); 2]) -> i64 {
    let share = |(used, offered): (i64, i64)| (offered != 0).then(|| (used as f64 / offered as f64).min(1.0));
    let deviation = match resources.map(share) {
        [Some(cpu), Some(memory)] => ((cpu - memory) / 2.0).abs(),
        _ => 0.0,
    };
    ((1.0 - deviation) * MAX_SCORE as f64) as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn balance_is_full_when_shares_are_equal_or_one_resource_is_not_offered() {
        assert_eq!(balance([(500, 1_000), (1, 2)]), 100);
        assert_eq!(balance([(1_000, 1_000), (0, 2)]), 50);
        assert_eq!(balance([(3_000, 1_000), (2, 2)]), 100, "more than all is all");
        assert_eq!(balance([(500, 0), (1, 2)]), 100);
    }
}
