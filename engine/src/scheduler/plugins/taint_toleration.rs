//! TaintToleration: taints keep pods away that do not tolerate them, or make the node less welcome.
//!
//! Models: kubernetes v1.36.2 pkg/scheduler/framework/plugins/tainttoleration/taint_toleration.go.

use super::super::framework::{Plugin, Rejection};
use super::super::reasons::Reason;
use super::{Candidate, unresolvable_unless};
use crate::objects::pod_terms::tolerations::tolerated;
use crate::objects::pod_terms::{PodTerms, Taint, Toleration};

/// The pod's tolerations.
pub struct TaintToleration<'a>(&'a [Toleration]);

impl<'a> TaintToleration<'a> {
    /// Concerns every pod.
    pub fn of(pod: &'a PodTerms) -> Self {
        TaintToleration(&pod.tolerations)
    }

    /// Whether every taint that forbids is tolerated.
    pub fn filter(&self, candidate: Candidate<'_>) -> Result<(), Rejection> {
        let fits = !self.untolerated(candidate).any(|taint| taint.effect.forbids());
        unresolvable_unless(fits, Plugin::TaintToleration, Reason::UntoleratedTaint)
    }

    /// How many taints that only advise against it are not tolerated.
    pub fn score(&self, candidate: Candidate<'_>) -> i64 {
        self.untolerated(candidate).filter(|taint| !taint.effect.forbids()).count() as i64
    }

    fn untolerated<'c>(&self, candidate: Candidate<'c>) -> impl Iterator<Item = &'c Taint> {
        candidate.terms.taints.iter().filter(|taint| !tolerated(taint, self.0))
    }
}
