//! The strategy Recreate: no new pod before the last old one is gone.
//!
//! Models: kubernetes v1.36.2 pkg/controller/deployment/recreate.go.

use super::sync::{Set, Syncing};
use crate::client::routine::{Routine, Step};

impl Syncing<'_> {
    /// One sync of a Recreate rollout. Kubernetes: rolloutRecreate.
    pub(super) fn recreate(&mut self, routine: &mut Routine<'_>) -> Step<()> {
        let (mut new, mut old) = self.all_sets(false, routine)?;
        let mut scaled = false;
        for set in old.iter().filter(|set| set.spec.replicas > 0) {
            self.scale_set(set, 0, routine)??;
            scaled = true;
        }
        if scaled || self.old_pods_run(new.as_ref(), &old) {
            return self.sync_rollout(new.as_ref(), &old, routine);
        }
        if new.is_none() {
            (new, old) = self.all_sets(true, routine)?;
        }
        if let Some(new) = &new
            && new.spec.replicas != self.deployment.spec.replicas
        {
            self.scale_set(new, self.deployment.spec.replicas, routine)??;
        }
        if self.complete() {
            self.clean_up(&old, routine)?;
        }
        self.sync_rollout(new.as_ref(), &old, routine)
    }

    /// Whether a pod of an old replica set is not gone yet; one that is being deleted counts. Kubernetes: oldPodsRunning.
    fn old_pods_run(&self, new: Option<&Set>, old: &[Set]) -> bool {
        old.iter().fold(0_i32, |sum, set| sum.wrapping_add(set.status.replicas)) > 0
            || self.with_pods.iter().any(|uid| new.is_none_or(|new| new.meta.uid != *uid))
    }
}
