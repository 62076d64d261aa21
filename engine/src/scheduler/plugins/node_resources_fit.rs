//! NodeResourcesFit: what the pod asks for must be free, and the emptier the node, the better.
//!
//! Models: kubernetes v1.36.2
//! pkg/scheduler/framework/plugins/noderesources/{fit,least_allocated,resource_allocation}.go. Left out: the strategies
//! MostAllocated and RequestedToCapacityRatio, ignored resources.

use super::super::framework::{MAX_SCORE, Plugin, Rejection};
use super::super::reasons::{Reason, Reasons};
use super::Candidate;
use crate::objects::pod_terms::{CpuMemory, PodTerms, Resources};

/// What the pod asks for.
pub struct Fit<'a>(&'a Resources);

/// What the pod adds to a node's requests, with a default for containers without one.
pub struct LeastAllocated(CpuMemory);

impl<'a> Fit<'a> {
    /// Concerns every pod.
    pub fn pre_filter(pod: &'a PodTerms) -> Self {
        Fit(&pod.requests.effective)
    }

    /// Whether the node has room; if not, everything it lacks.
    pub fn filter(&self, candidate: Candidate<'_>) -> Result<(), Rejection> {
        let Candidate { node, terms, .. } = candidate;
        let (used, used_ephemeral) = node.requested();
        let (asked, offered) = (self.0, &terms.allocatable);
        let mut lack = Lack::default();
        if i64::from(node.pods()) + 1 > terms.pods {
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
            if lack.of(*asked, node.requested_scalar(name), offered.scalar(name)) {
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

impl LeastAllocated {
    /// Concerns every pod.
    pub fn pre_score(pod: &PodTerms) -> Self {
        LeastAllocated(pod.requests.scored)
    }

    /// The share that stays free, averaged over CPU and memory. Beyond 64 bits it wraps, as upstream's does.
    pub fn score(&self, candidate: Candidate<'_>) -> i64 {
        let (used, offered) = (candidate.node.nonzero(), &candidate.terms.allocatable);
        let (mut sum, mut counted) = (0, 0);
        for (used, offered) in [
            (used.cpu.wrapping_add(self.0.cpu), offered.cpu),
            (used.memory.wrapping_add(self.0.memory), offered.memory),
        ] {
            if offered != 0 {
                let left = offered.wrapping_sub(used).wrapping_mul(MAX_SCORE).wrapping_div(offered);
                sum += if used > offered { 0 } else { left };
                counted += 1;
            }
        }
        if counted == 0 { 0 } else { sum / counted }
    }
}
