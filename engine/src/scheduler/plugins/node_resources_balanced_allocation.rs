//! NodeResourcesBalancedAllocation: better a node whose resources the pod uses up evenly.
//!
//! The rating compares the balance with the pod to that without it: 75 when it does not change. Floats are used in the
//! order upstream uses them, with operations IEEE 754 fixes to the bit.
//!
//! Models: kubernetes v1.36.2 pkg/scheduler/framework/plugins/noderesources/balanced_allocation.go.

use super::super::config::{Resource, ResourceWeight};
use super::super::framework::MAX_SCORE;
use super::Candidate;
use super::node_resources_fit::used_and_offered;
use crate::objects::pod_terms::PodTerms;

/// What the pod asks for of each resource that counts, without defaults.
pub struct BalancedAllocation<'a> {
    resources: &'a [ResourceWeight],
    asked: Vec<i64>,
}

/// More resources than these are not weighed. (Upstream has no bound; its default are two.)
const MOST: usize = 16;

impl<'a> BalancedAllocation<'a> {
    /// Nothing to do for a pod that asks for none of them.
    pub fn pre_score(pod: &PodTerms, resources: &'a [ResourceWeight]) -> Option<Self> {
        let effective = &pod.requests.effective;
        let asked = resources.iter().map(|ResourceWeight { resource, .. }| match resource {
            Resource::Cpu => effective.cpu,
            Resource::Memory => effective.memory,
            Resource::Ephemeral => effective.ephemeral,
            Resource::Scalar(name) => effective.scalar(name),
        });
        let asked: Vec<i64> = asked.collect();
        asked.iter().any(|amount| *amount != 0).then_some(BalancedAllocation { resources, asked })
    }

    /// How the pod changes the node's balance.
    pub fn score(&self, candidate: Candidate<'_>) -> i64 {
        let used = candidate.node.requested().0;
        let (mut with, mut without) = ([0.0; MOST], [0.0; MOST]);
        let mut count = 0;
        for (ResourceWeight { resource, .. }, asked) in self.resources.iter().zip(&self.asked).take(MOST) {
            if let Some((after, offered)) = used_and_offered(candidate, resource, *asked, used.cpu, used.memory) {
                with[count] = share(after, offered);
                without[count] = share(after.wrapping_sub(*asked), offered);
                count += 1;
            }
        }
        let half = MAX_SCORE / 2;
        half + (half + balance(&with[..count]) - balance(&without[..count])) / 2
    }
}

fn share(used: i64, offered: i64) -> f64 {
    (used as f64 / offered as f64).min(1.0)
}

/// 100 when the same share of every resource is used, 50 when one of two is full and the other empty.
fn balance(shares: &[f64]) -> i64 {
    let deviation = match shares {
        [] | [_] => 0.0,
        [one, other] => ((one - other) / 2.0).abs(),
        _ => {
            let mean = shares.iter().sum::<f64>() / shares.len() as f64;
            let squares = shares.iter().fold(0.0, |sum, share| sum + (share - mean) * (share - mean));
            libm::sqrt(squares / shares.len() as f64)
        }
    };
    ((1.0 - deviation) * MAX_SCORE as f64) as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn balance_is_full_when_shares_are_equal_or_one_resource_is_not_offered() {
        assert_eq!(balance(&[share(500, 1_000), share(1, 2)]), 100);
        assert_eq!(balance(&[share(1_000, 1_000), share(0, 2)]), 50);
        assert_eq!(balance(&[share(3_000, 1_000), share(2, 2)]), 100, "more than all is all");
        assert_eq!(balance(&[share(1, 2)]), 100);
        assert_eq!(balance(&[0.0, 0.5, 1.0]), 59);
    }
}
