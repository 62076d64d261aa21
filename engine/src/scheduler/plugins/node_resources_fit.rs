//! NodeResourcesFit: what the pod asks for must be free; and how full the node would be decides how good it is.
//!
//! Models: kubernetes v1.36.2 pkg/scheduler/framework/plugins/noderesources/{fit,least_allocated,most_allocated,
//! requested_to_capacity_ratio,resource_allocation}.go, plugins/helper/shape_score.go.

use super::super::cache::node_info::{NodeInfo, NodeTerms};
use super::super::config::{FitArgs, Resource, ResourceWeight, Strategy};
use super::super::framework::{MAX_SCORE, Plugin, Rejection};
use super::super::reasons::{Reason, Reasons};
use super::Candidate;
use crate::objects::pod_terms::{PodTerms, Resources};

/// What the pod asks for.
pub struct Fit<'a> {
    asked: &'a Resources,
    args: &'a FitArgs,
}

/// What the pod adds to a node's requests, with a default for containers without one.
pub struct FitScore<'a> {
    args: &'a FitArgs,
    /// Of each resource that counts.
    asked: Vec<i64>,
}

impl<'a> Fit<'a> {
    /// Concerns every pod.
    pub fn pre_filter(pod: &'a PodTerms, args: &'a FitArgs) -> Self {
        Fit { asked: &pod.requests.effective, args }
    }

    /// Whether the node has room; if not, everything it lacks.
    pub fn filter(&self, candidate: Candidate<'_>) -> Result<(), Rejection> {
        let Candidate { node, terms, .. } = candidate;
        let (used, used_ephemeral) = node.requested();
        let (asked, offered) = (self.asked, &terms.allocatable);
        let mut lack = Lack::default();
        if node.pods().len() as i64 + 1 > terms.pods {
            lack.reasons.add(Reason::TooManyPods);
        }
        for (reason, asked, used, offered) in [
            (Reason::Cpu, asked.cpu, used.cpu, offered.cpu),
            (Reason::Memory, asked.memory, used.memory, offered.memory),
            (Reason::EphemeralStorage, asked.ephemeral, used_ephemeral, offered.ephemeral),
        ] {
            if lack.of(asked, used, offered) {
                lack.reasons.add(reason);
            }
        }
        for (position, (name, asked)) in asked.scalars.iter().enumerate() {
            if !self.args.ignores(name) && lack.of(*asked, node.requested_scalar(name), offered.scalar(name)) {
                lack.reasons.add_scalar(position);
            }
        }
        if lack.reasons.is_empty() {
            return Ok(());
        }
        Err(Rejection { plugin: Plugin::NodeResourcesFit, unresolvable: lack.beyond, reasons: lack.reasons })
    }
}

#[derive(Default)]
struct Lack {
    reasons: Reasons,
    /// Whether something would be lacking on the empty node too.
    beyond: bool,
}

impl Lack {
    fn of(&mut self, asked: i64, used: i64, offered: i64) -> bool {
        self.beyond |= asked > 0 && asked > offered;
        asked > 0 && asked > offered.wrapping_sub(used)
    }
}

/// Whether a node that offers this could hold the pod if it were empty.
pub fn fits_empty(pod: &PodTerms, args: &FitArgs, terms: &NodeTerms) -> bool {
    let node = NodeInfo::unknown("".into());
    Fit::pre_filter(pod, args).filter(Candidate { index: 0, node: &node, terms }).is_ok()
}

impl<'a> FitScore<'a> {
    /// Concerns every pod.
    pub fn pre_score(pod: &PodTerms, args: &'a FitArgs) -> Self {
        let requests = &pod.requests;
        let asked = args.resources.iter().map(|ResourceWeight { resource, .. }| match resource {
            Resource::Cpu => requests.scored.cpu,
            Resource::Memory => requests.scored.memory,
            Resource::Ephemeral => requests.effective.ephemeral,
            Resource::Scalar(name) => requests.effective.scalar(name),
        });
        FitScore { args, asked: asked.collect() }
    }

    /// The average over the resources, weighted. Beyond 64 bits it wraps, as upstream's does.
    pub fn score(&self, candidate: Candidate<'_>) -> i64 {
        let (mut sum, mut weights) = (0i64, 0i64);
        let nonzero = candidate.node.nonzero();
        for (ResourceWeight { resource, weight }, asked) in self.args.resources.iter().zip(&self.asked) {
            let Some((used, offered)) = used_and_offered(candidate, resource, *asked, nonzero.cpu, nonzero.memory)
            else {
                continue;
            };
            let score = self.args.strategy.score(used, offered);
            if matches!(self.args.strategy, Strategy::RequestedToCapacityRatio(_)) && score <= 0 {
                continue;
            }
            sum = sum.wrapping_add(score.wrapping_mul(*weight));
            weights += weight;
        }
        match &self.args.strategy {
            _ if weights == 0 => 0,
            Strategy::RequestedToCapacityRatio(_) => (sum as f64 / weights as f64).round() as i64,
            _ => sum / weights,
        }
    }
}

/// What would be used of a resource and what there is, given what is used of CPU and memory; `None` if it does not count.
pub(super) fn used_and_offered(
    candidate: Candidate<'_>,
    resource: &Resource,
    asked: i64,
    cpu: i64,
    memory: i64,
) -> Option<(i64, i64)> {
    let offered = &candidate.terms.allocatable;
    let (used, offered) = match resource {
        Resource::Cpu => (cpu, offered.cpu),
        Resource::Memory => (memory, offered.memory),
        Resource::Ephemeral => (candidate.node.requested().1, offered.ephemeral),
        Resource::Scalar(_) if asked == 0 => return None,
        Resource::Scalar(name) => (candidate.node.requested_scalar(name), offered.scalar(name)),
    };
    (offered != 0).then(|| (used.wrapping_add(asked), offered))
}

impl Strategy {
    fn score(&self, used: i64, offered: i64) -> i64 {
        let share = |amount: i64| amount.wrapping_mul(MAX_SCORE).wrapping_div(offered);
        match self {
            Strategy::LeastAllocated if used > offered => 0,
            Strategy::LeastAllocated => share(offered.wrapping_sub(used)),
            Strategy::MostAllocated => share(used.min(offered)),
            Strategy::RequestedToCapacityRatio(shape) if used > offered => along(shape, MAX_SCORE),
            Strategy::RequestedToCapacityRatio(shape) => along(shape, share(used)),
        }
    }
}

/// The broken line through `shape`, points of utilisation [%] and score, at `x`.
fn along(shape: &[(i64, i64)], x: i64) -> i64 {
    let Some(at) = shape.iter().position(|(utilization, _)| x <= *utilization) else {
        return shape.last().map_or(0, |(_, score)| *score);
    };
    let (right, high) = shape[at];
    match at.checked_sub(1).and_then(|before| shape.get(before)) {
        None => high,
        Some((left, low)) => low + (high - low) * (x - left) / (right - left),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strategies_look_at_the_same_share_differently() {
        let scores = |used: i64| {
            let ratio = Strategy::RequestedToCapacityRatio(vec![(0, 0), (50, 100), (100, 20)].into());
            [Strategy::LeastAllocated, Strategy::MostAllocated, ratio].map(|strategy| strategy.score(used, 1_000))
        };
        assert_eq!(scores(250), [75, 25, 50]);
        assert_eq!(scores(750), [25, 75, 60]);
        assert_eq!(scores(1_200), [0, 100, 20]);
    }
}
