//! Quotas.
//!
//! Always, while nothing has been wrong for a while: a pod is created only where the namespace's pods that are not finished stay within the quota that has been in force
//! for ten seconds. (A quota that is new, or lower than before, takes no pods away.)
//!
//! Its books never say more than is allowed. What there is may be a few pods more: the quota controller counts what its cache of pods holds and writes that over what admission has charged
//! meanwhile, if its cache of the quota is the newer one (resource_quota_controller.go, syncResourceQuota). A pod that was just admitted is
//! lost from the count until the next round.

use k8s_openapi::api::core::v1::ResourceQuota;
use wavetank_engine::objects::Kind;

use super::{Around, Broken, Held, Stored};

/// Pods that recounts may overlook.
const RACES: usize = 3;
/// Until a quota's usage is known. [ns]
const SETTLED: u64 = 10_000_000_000;

#[derive(Default)]
pub(super) struct Quotas {
    /// How often a quota was checked.
    pub(super) checked: u64,
}

impl Quotas {
    pub(super) fn stored(&mut self, change: &Stored<'_>, around: &Around<'_>) -> Held {
        if change.kind != Kind::Pod || change.before.is_some() || change.now.is_none() {
            return Ok(());
        }
        for object in around.objects.in_namespace(Kind::ResourceQuota, &change.key) {
            let Some(quota) = object.as_resource::<ResourceQuota>() else { continue };
            let hard =
                quota.api.spec.as_ref().and_then(|spec| spec.hard.as_ref()?.get("pods")?.0.parse::<usize>().ok());
            let Some(hard) = hard else { continue };
            if around.now.since(quota.meta.created).as_nanos() < SETTLED || !around.calm_for(60) {
                continue;
            }
            let pods = around.objects.in_namespace(Kind::Pod, &change.key).filter_map(|object| object.as_pod());
            let count = pods.filter(|pod| !pod.status.phase.terminal()).count();
            let status = quota.api.status.as_ref().and_then(|status| status.used.as_ref());
            let used = status.and_then(|used| used.get("pods")?.0.parse::<usize>().ok()).unwrap_or(0);
            self.checked += 1;
            if used > hard || count > hard + RACES {
                let text =
                    format!("with {} there are {count} pods, {used} in its books, and {hard} are allowed", change.key);
                return Err(Broken::new("no quota is exceeded", &quota.meta.name, text));
            }
        }
        Ok(())
    }
}
