//! Disruption budgets.
//!
//! Always: an eviction takes one from a budget that has one to give, and a budget never owes any. While nothing has been wrong for a while and no pod of the
//! namespace has just become unhealthy, the pods that are left are truly as many as the budget wants. What upstream does not promise: pods that are deleted
//! rather than evicted, that fail, or that the budget's controller has not yet seen fail.

use std::collections::BTreeMap;

use k8s_openapi::api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetStatus};
use wavetank_engine::kernel::Instant;
use wavetank_engine::objects::{Kind, Name, Object};

use super::{Around, Broken, Held, Stored};

/// Until the budget's controller has heard of a pod's end. [ns]
const LAG: u64 = 5_000_000_000;
/// After a fault. [s]
const RECOVERY: u64 = 60;

#[derive(Default)]
pub(super) struct Budgets {
    /// When a pod of a namespace last ceased to be healthy.
    unhealthy: BTreeMap<Name, Instant>,
    /// How often what is left was checked.
    pub(super) checked: u64,
}

impl Budgets {
    pub(super) fn stored(&mut self, change: &Stored<'_>, around: &Around<'_>) -> Held {
        if change.kind == Kind::Pod {
            let healthy = |object: Option<&std::sync::Arc<Object>>| {
                object.and_then(|object| object.as_pod()).is_some_and(|pod| pod.ready() && !pod.meta.deleting())
            };
            if healthy(change.before) && !healthy(change.now) {
                self.unhealthy.insert(change.key.namespace.clone(), around.now);
            }
            return Ok(());
        }
        let resource = |object: &'_ std::sync::Arc<Object>| object.as_resource::<PodDisruptionBudget>().cloned();
        let (Some(now), Some(before)) = (change.now.and_then(resource), change.before.and_then(resource)) else {
            return Ok(());
        };
        let (Some(new), Some(old)) = (&now.api.status, &before.api.status) else { return Ok(()) };
        let allowed = |status: &PodDisruptionBudgetStatus| status.disruptions_allowed.unwrap_or(0);
        let (allows, allowed) = (allowed(new), allowed(old));
        let wanted = new.desired_healthy.unwrap_or(0);
        let broken = |text: String| Err(Broken::new("no eviction breaks a budget", &change.key, text));
        if allows < 0 {
            return broken(format!("it allows {allows} disruptions"));
        }
        let names = |status: &PodDisruptionBudgetStatus| status.disrupted_pods.clone().unwrap_or_default();
        let (disrupted, known) = (names(new), names(old));
        let Some(evicted) = disrupted.keys().find(|name| !known.contains_key(*name)) else { return Ok(()) };
        if allows != allowed - 1 {
            let text = format!("{evicted} is evicted, and what is allowed goes from {allowed} to {allows}");
            return broken(text);
        }
        let settled = self.unhealthy.get(&change.key.namespace).is_none_or(|at| around.now.since(*at).as_nanos() > LAG);
        if !settled || !around.calm_for(RECOVERY) {
            return Ok(());
        }
        let pods = around.objects.in_namespace(Kind::Pod, &change.key).filter_map(|object| object.as_pod());
        let left = pods.filter(|pod| {
            now.compiled.0.matches(&pod.meta.labels)
                && pod.ready()
                && !pod.meta.deleting()
                && !disrupted.contains_key(&*pod.meta.name)
        });
        let left = left.count() as i32;
        self.checked += 1;
        if left < wanted {
            return broken(format!("{evicted} is evicted, {left} healthy pods are left, {wanted} are wanted"));
        }
        Ok(())
    }
}
