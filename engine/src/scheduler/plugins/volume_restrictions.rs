//! VolumeRestrictions: a claim that only one pod may use is not given to a second one.
//!
//! Models: kubernetes v1.36.2 pkg/scheduler/framework/plugins/volumerestrictions/volume_restrictions.go. Left out: disks that a pod
//! names itself instead of claiming them (`node(s) had no available disk`).

use super::super::cache::pod_info::PodInfo;
use super::super::cache::volumes::Volumes;
use super::super::framework::{Plugin, Rejection};
use super::super::reasons::{Reason, Reasons};
use super::missing;
use crate::objects::{Key, Name, Text};

/// The claims of the pod that only one pod may use, and how often they are used already.
pub struct VolumeRestrictions<'a> {
    namespace: &'a Name,
    claims: Vec<&'a Name>,
    uses: i64,
}

impl<'a> VolumeRestrictions<'a> {
    /// Nothing to do unless such a claim is used; refuses a pod whose claim is not there.
    pub fn pre_filter(pod: &'a PodInfo, volumes: &Volumes) -> Result<Option<Self>, Text> {
        let (mut claims, mut uses) = (Vec::new(), 0);
        for name in &*pod.terms().claims {
            let key = Key { namespace: pod.namespace().clone(), name: name.clone() };
            let claim = volumes.claim(&key).ok_or_else(|| missing("persistentvolumeclaim", name))?;
            if claim.one_pod && !claims.contains(&name) {
                claims.push(name);
                uses += i64::from(volumes.users(&key) > 0);
            }
        }
        Ok((uses > 0).then_some(VolumeRestrictions { namespace: pod.namespace(), claims, uses }))
    }

    /// Whether nobody uses them.
    pub fn filter(&self) -> Result<(), Rejection> {
        if self.uses > 0 {
            let reasons = Reasons::one(Reason::ClaimInUse);
            return Err(Rejection { plugin: Plugin::VolumeRestrictions, unresolvable: false, reasons });
        }
        Ok(())
    }

    /// A pod comes to a node or leaves it.
    pub fn update(&mut self, other: &PodInfo, delta: i64) {
        if other.namespace() == self.namespace {
            let shared = other.terms().claims.iter().filter(|claim| self.claims.contains(claim));
            self.uses += delta * shared.count() as i64;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::cache::Cache;
    use super::super::super::cache::volumes::tests::claim;
    use super::*;
    use crate::objects::PodSpec;
    use serde_json::json;
    use std::sync::Arc;

    fn pod(uid: u128, claim: &str) -> PodInfo {
        let volumes = json!([{"name": "v", "persistentVolumeClaim": {"claimName": claim}}]);
        let spec = PodSpec::new(serde_json::from_value(json!({"containers": [], "volumes": volumes})).expect("a spec"));
        PodInfo::plain("ns", "p", uid, Default::default(), spec)
    }

    #[test]
    fn a_claim_for_one_pod_is_free_again_when_that_goes() {
        let mut cache = Cache::default();
        claim(&mut cache.volumes, "one", json!({"accessModes": ["ReadWriteOncePod"]}));
        claim(&mut cache.volumes, "many", json!({"accessModes": ["ReadWriteOnce"]}));
        let (first, second) = (pod(1, "one"), pod(2, "one"));
        assert!(VolumeRestrictions::pre_filter(&second, &cache.volumes).expect("known").is_none());
        cache.add_pod(&"n".into(), Arc::new(first.clone()));
        cache.add_pod(&"n".into(), Arc::new(pod(3, "many")));
        assert!(VolumeRestrictions::pre_filter(&pod(4, "many"), &cache.volumes).expect("known").is_none());
        let mut plugin = VolumeRestrictions::pre_filter(&second, &cache.volumes).expect("known").expect("in use");
        assert_eq!(plugin.filter().expect_err("in use").reasons, Reasons::one(Reason::ClaimInUse));
        plugin.update(&first, -1);
        assert_eq!(plugin.filter(), Ok(()));
        cache.remove_pod("n", first.uid);
        assert!(VolumeRestrictions::pre_filter(&second, &cache.volumes).expect("known").is_none());
        let refused = VolumeRestrictions::pre_filter(&pod(5, "none"), &cache.volumes).err();
        assert_eq!(refused.as_deref(), Some("persistentvolumeclaim \"none\" not found"));
    }
}
