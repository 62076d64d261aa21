//! VolumeZone: a pod goes to the zones and regions its bound volumes are in.
//!
//! Models: kubernetes v1.36.2 pkg/scheduler/framework/plugins/volumezone/volume_zone.go.

use super::super::cache::pod_info::PodInfo;
use super::super::cache::volumes::Volumes;
use super::super::framework::{Plugin, Rejection};
use super::super::reasons::Reason;
use super::{Candidate, missing, unresolvable_unless};
use crate::objects::labels::{REGION, REGION_BETA, ZONE, ZONE_BETA};
use crate::objects::{Key, Name, Text};

/// The zones of the pod's volumes: label, possible values.
pub struct VolumeZone<'a>(Vec<&'a (Name, Vec<Name>)>);

impl<'a> VolumeZone<'a> {
    /// Nothing to do unless a volume has a zone; refuses a pod one of whose claims or volumes is not there.
    pub fn pre_filter(pod: &PodInfo, volumes: &'a Volumes) -> Result<Option<Self>, Text> {
        let mut zones = Vec::new();
        for name in &*pod.terms().claims {
            let key = Key { namespace: pod.namespace().clone(), name: name.clone() };
            let claim = volumes.seen_claim(&key).ok_or_else(|| missing("persistentvolumeclaim", name))?;
            let Some(volume) = &claim.volume else {
                if claim.class.is_empty() {
                    return Err("PersistentVolumeClaim had no pv name and storageClass name".into());
                }
                let class = volumes.class(&claim.class);
                match class.ok_or_else(|| missing("storageclass.storage.k8s.io", &claim.class))?.waits {
                    true => continue,
                    false => return Err("PersistentVolume had no name".into()),
                }
            };
            let volume = volumes.seen_volume(volume).ok_or_else(|| missing("persistentvolume", volume))?;
            zones.extend(&volume.zones);
        }
        Ok((!zones.is_empty()).then_some(VolumeZone(zones)))
    }

    /// Whether the node is there. A node without any zone is everywhere.
    pub fn filter(&self, candidate: Candidate<'_>) -> Result<(), Rejection> {
        let labels = &candidate.terms.labels;
        let nowhere = || ![ZONE_BETA, REGION_BETA, ZONE, REGION].iter().any(|key| labels.contains_key(*key));
        let is_in = |(key, values): &&(Name, Vec<Name>)| {
            let modern = match &**key {
                ZONE_BETA => ZONE,
                REGION_BETA => REGION,
                other => other,
            };
            labels.get(key).or_else(|| labels.get(modern)).is_some_and(|value| values.contains(value))
        };
        let fits = self.0.iter().all(is_in) || nowhere();
        unresolvable_unless(fits, Plugin::VolumeZone, Reason::VolumeZone)
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::cache::Cache;
    use super::super::super::cache::volumes::tests::{claim, volume};
    use super::super::tests::{candidate, node, pod_with};
    use super::*;
    use serde_json::json;

    #[test]
    fn a_volume_ties_its_pod_to_its_zones() {
        let mut cache = Cache::default();
        claim(&mut cache.volumes, "c", json!({"volumeName": "v", "storageClassName": "x"}));
        let refused = VolumeZone::pre_filter(&pod_with(&["c"]), &cache.volumes).err();
        assert_eq!(refused.as_deref(), Some("persistentvolume \"v\" not found"));
        volume(&mut cache.volumes, "v", "1Gi", json!({"labels": {ZONE_BETA: "a__b"}}));
        let nodes = [("a", ZONE, "a"), ("b", ZONE_BETA, "b"), ("c", ZONE, "c"), ("r", REGION, "a"), ("none", "x", "a")];
        for (name, key, value) in nodes {
            node(&mut cache, name, &[(key, value)]);
        }
        let (cache, pod) = (&cache, pod_with(&["c"]));
        let plugin = VolumeZone::pre_filter(&pod, &cache.volumes).expect("known").expect("zones");
        let fits = |(name, ..): (&str, &str, &str)| plugin.filter(candidate(cache, name)).is_ok();
        assert_eq!(nodes.map(fits), [true, true, false, false, true]);
    }
}
