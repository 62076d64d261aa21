//! The strategy RollingUpdate: the new replica set grows as the old ones shrink.
//!
//! Models: kubernetes v1.36.2 pkg/controller/deployment/rolling.go.

use super::arithmetic::{self, Which};
use super::sync::{Set, Syncing, set_size};
use crate::client::routine::{Interrupt, Routine, Step};

impl Syncing<'_> {
    /// One sync of a rolling update. Kubernetes: rolloutRolling.
    pub(super) fn roll(&mut self, routine: &mut Routine<'_>) -> Step<()> {
        let (new, old) = self.all_sets(true, routine)?;
        let Some(new) = new else { return Ok(()) };
        if self.grow(&new, &old, routine)? || self.shrink(&new, &old, routine)? {
            return self.sync_rollout(Some(&new), &old, routine);
        }
        if self.complete() {
            self.clean_up(&old, routine)?;
        }
        self.sync_rollout(Some(&new), &old, routine)
    }

    /// Step A: the new replica set. Kubernetes: reconcileNewReplicaSet.
    fn grow(&self, new: &Set, old: &[Set], routine: &mut Routine<'_>) -> Step<bool> {
        let old: Vec<_> = old.iter().map(|set| set_size(set)).collect();
        let plan = arithmetic::reconcile_new(&self.size(), &set_size(new), &old)
            .map_err(|error| Interrupt::Failed(error.to_string().into()))?;
        let Some(scaling) = plan else { return Ok(false) };
        self.scale_set(new, scaling.to, routine)??;
        Ok(true)
    }

    /// Step B: the old ones. A failure here is not one of the sync. Kubernetes: reconcileOldReplicaSets.
    fn shrink(&self, new: &Set, old: &[Set], routine: &mut Routine<'_>) -> Step<bool> {
        let mut active: Vec<Set> = old.iter().filter(|set| set.spec.replicas > 0).cloned().collect();
        let sizes: Vec<_> = active.iter().map(|set| set_size(set)).collect();
        let Ok(plan) = arithmetic::reconcile_old(&self.size(), &set_size(new), &sizes) else { return Ok(false) };
        let scales = !plan.is_empty();
        for scaling in plan {
            let Which::Old(place) = scaling.set else { continue };
            let Some(set) = active.get(place).cloned() else { continue };
            match self.scale_set(&set, scaling.to, routine)? {
                Ok(scaled) => active[place] = scaled,
                Err(_) => return Ok(false),
            }
        }
        Ok(scales)
    }
}
