//! VolumeBinding: a pod goes where its volumes can be reached, and where those it still lacks can be had.
//!
//! A claim whose class waits for the first consumer takes the smallest free volume the node reaches, or, if there is none, has one
//! made for the node. What that comes to on the chosen node is `scheduler/binding_volumes.rs`'s to carry out.
//!
//! Models: kubernetes v1.36.2 pkg/scheduler/framework/plugins/volumebinding/{volume_binding,binder}.go (PreFilter, FindPodVolumes),
//! staging/src/k8s.io/component-helpers/storage/volume/pv_helpers.go (FindMatchingVolume). Left out: generic ephemeral volumes
//! (`waiting for ephemeral volume controller to create the persistentvolumeclaim`), storage capacity (`node(s) did not have enough
//! free storage`) and rating by it, which is off by default. Differs: of several volumes of the same size the first by name is taken,
//! upstream any.

use std::sync::Arc;

use super::super::cache::pod_info::PodInfo;
use super::super::cache::volumes::{ClaimInfo, ClassInfo, VolumeInfo, Volumes};
use super::super::framework::{Plugin, Rejection};
use super::super::reasons::{Reason, Reasons};
use super::{Candidate, missing};
use crate::objects::{Key, Text};

/// The pod's claims.
pub struct VolumeBinding<'a> {
    /// The volumes of those that have one; `None`: it is gone.
    bound: Vec<Option<&'a VolumeInfo>>,
    /// Claims whose volume is being made for a certain node, in the pod's order.
    selected: Vec<Wanting<'a>>,
    /// Claims that have none yet, those that ask for least first.
    wanting: Vec<Wanting<'a>>,
}

/// A claim without a volume.
struct Wanting<'a> {
    claim: &'a Arc<ClaimInfo>,
    class: &'a ClassInfo,
    candidates: Vec<&'a Arc<VolumeInfo>>,
}

/// What a pod's claims get on the chosen node.
#[derive(Clone, Debug, Default)]
pub struct PodVolumes {
    /// Volumes that are there, for their claims.
    pub matched: Vec<(Arc<ClaimInfo>, Arc<VolumeInfo>)>,
    /// Claims for which one is made.
    pub provisioned: Vec<Arc<ClaimInfo>>,
}

impl<'a> VolumeBinding<'a> {
    /// Nothing to do without claims; refuses a pod that waits for somebody else to bind them.
    pub fn pre_filter(pod: &PodInfo, volumes: &'a Volumes) -> Result<Option<Self>, Text> {
        let names = &pod.terms().claims;
        if names.is_empty() {
            return Ok(None);
        }
        let mut claims = Vec::with_capacity(names.len());
        for name in &**names {
            let key = Key { namespace: pod.namespace().clone(), name: name.clone() };
            let claim = volumes.claim(&key).ok_or_else(|| missing("persistentvolumeclaim", name))?;
            if claim.lost {
                let volume = claim.volume.as_deref().unwrap_or_default();
                let text = format!("persistentvolumeclaim {name:?} bound to non-existent persistentvolume {volume:?}");
                return Err(text.into());
            }
            if claim.object.meta.deleting() {
                return Err(format!("persistentvolumeclaim {name:?} is being deleted").into());
            }
            claims.push(claim);
        }
        let mut plugin = VolumeBinding { bound: Vec::new(), selected: Vec::new(), wanting: Vec::new() };
        for claim in claims {
            let class = volumes.class(&claim.class).filter(|class| class.waits && claim.volume.is_none());
            match (&claim.volume, class) {
                (Some(name), _) if claim.bound => plugin.bound.push(volumes.volume(name).map(|volume| &**volume)),
                (_, Some(class)) if claim.selected_node.is_some() => {
                    plugin.selected.push(Wanting { claim, class, candidates: Vec::new() });
                }
                (_, Some(class)) => {
                    plugin.wanting.push(Wanting { claim, class, candidates: volumes.candidates(claim) });
                }
                _ => return Err("pod has unbound immediate PersistentVolumeClaims".into()),
            }
        }
        plugin.wanting.sort_by_key(|wanting| wanting.claim.requested);
        Ok(Some(plugin))
    }

    /// Whether all volumes can be had on the node.
    pub fn filter(&self, candidate: Candidate<'_>) -> Result<(), Rejection> {
        let mut reasons = Reasons::default();
        match self.bound.iter().find(|volume| volume.is_none_or(|it| !it.reached_from(&candidate.terms.labels))) {
            Some(Some(_)) => reasons.add(Reason::VolumeAffinity),
            Some(None) => reasons.add(Reason::VolumeGone),
            None => {}
        }
        if !self.find(candidate, |_, _| ()) {
            reasons.add(Reason::NoVolume);
        }
        match reasons.is_empty() {
            true => Ok(()),
            false => Err(Rejection { plugin: Plugin::VolumeBinding, unresolvable: true, reasons }),
        }
    }

    /// What the claims get on a node that passed.
    pub fn on(&self, candidate: Candidate<'_>) -> PodVolumes {
        let mut found = PodVolumes::default();
        self.find(candidate, |claim, volume| match volume {
            Some(volume) => found.matched.push((claim.clone(), volume.clone())),
            None => found.provisioned.push(claim.clone()),
        });
        found
    }

    /// Tells `take` what each claim gets on the node: a volume, or one that is made. Whether all of them get one.
    fn find(
        &self,
        candidate: Candidate<'_>,
        mut take: impl FnMut(&'a Arc<ClaimInfo>, Option<&'a Arc<VolumeInfo>>),
    ) -> bool {
        let (name, labels) = (candidate.node.name(), &candidate.terms.labels);
        for Wanting { claim, class, .. } in &self.selected {
            if claim.selected_node.as_ref() != Some(name) || !class.makes_for(labels) {
                return false;
            }
            take(claim, None);
        }
        // A pod takes each volume for one claim only.
        let mut taken: Vec<&Arc<VolumeInfo>> = Vec::new();
        for Wanting { claim, class, candidates } in &self.wanting {
            let free = |volume: &&&Arc<VolumeInfo>| {
                volume.reached_from(labels) && !taken.iter().any(|other| Arc::ptr_eq(other, volume))
            };
            match candidates.iter().find(free) {
                Some(volume) => {
                    take(claim, Some(volume));
                    if self.wanting.len() > 1 {
                        taken.push(volume);
                    }
                }
                None if class.makes_for(labels) => take(claim, None),
                None => return false,
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::cache::Cache;
    use super::super::super::cache::volumes::tests::{claim, class, volume};
    use super::super::tests::{candidate, node, pod_with};
    use super::*;
    use crate::objects::volume::{BIND_COMPLETED, NOBODY, SELECTED_NODE};
    use serde_json::{Value, json};

    const BIND: Reasons = Reasons::one(Reason::NoVolume);

    fn on_host(host: &str) -> Value {
        let terms = json!([{"matchExpressions": [{"key": "host", "operator": "In", "values": [host]}]}]);
        json!({"required": {"nodeSelectorTerms": terms}})
    }

    /// Two nodes, a class whose volumes somebody makes and one whose volumes nobody does.
    fn cluster() -> Cache {
        let mut cache = Cache::default();
        let wait = "WaitForFirstConsumer";
        class(&mut cache.volumes, "local", json!({"provisioner": NOBODY, "volumeBindingMode": wait}));
        class(&mut cache.volumes, "made", json!({"provisioner": "x.io/y", "volumeBindingMode": wait}));
        class(&mut cache.volumes, "now", json!({"provisioner": "x.io/y", "volumeBindingMode": "Immediate"}));
        node(&mut cache, "a", &[("host", "a")]);
        node(&mut cache, "b", &[("host", "b")]);
        cache
    }

    fn wants(cache: &mut Cache, name: &str, class: &str, size: &str) {
        let resources = json!({"requests": {"storage": size}});
        claim(&mut cache.volumes, name, json!({"storageClassName": class, "resources": resources}));
    }

    fn outcome(cache: &Cache, claims: &[&str], node: &str) -> Result<(usize, usize), Reasons> {
        let pod = pod_with(claims);
        let plugin = VolumeBinding::pre_filter(&pod, &cache.volumes).expect("allowed").expect("claims");
        plugin.filter(candidate(cache, node)).map_err(|rejection| rejection.reasons)?;
        let found = plugin.on(candidate(cache, node));
        Ok((found.matched.len(), found.provisioned.len()))
    }

    #[test]
    fn a_pod_that_waits_for_others_is_refused_with_the_reason() {
        let mut cache = cluster();
        let refused = |cache: &Cache| {
            VolumeBinding::pre_filter(&pod_with(&["c"]), &cache.volumes).err().map(|text| text.to_string())
        };
        assert_eq!(refused(&cache).as_deref(), Some("persistentvolumeclaim \"c\" not found"));
        for spec in [
            json!({"storageClassName": "now"}),
            json!({"storageClassName": ""}),
            json!({"storageClassName": "unknown"}),
            json!({"storageClassName": "local", "volumeName": "meant"}),
        ] {
            claim(&mut cache.volumes, "c", spec);
            assert_eq!(refused(&cache).as_deref(), Some("pod has unbound immediate PersistentVolumeClaims"));
        }
        claim(&mut cache.volumes, "c", json!({"volumeName": "v", "status": {"phase": "Lost"}}));
        let lost = "persistentvolumeclaim \"c\" bound to non-existent persistentvolume \"v\"";
        assert_eq!(refused(&cache).as_deref(), Some(lost));
        claim(&mut cache.volumes, "c", json!({"deleted": true}));
        assert_eq!(refused(&cache).as_deref(), Some("persistentvolumeclaim \"c\" is being deleted"));
        assert!(VolumeBinding::pre_filter(&pod_with(&[]), &cache.volumes).expect("allowed").is_none());
    }

    #[test]
    fn a_bound_volume_must_be_there_and_in_reach() {
        let mut cache = cluster();
        claim(&mut cache.volumes, "c", json!({"volumeName": "v", "annotations": {BIND_COMPLETED: "yes"}}));
        assert_eq!(outcome(&cache, &["c"], "a"), Err(Reasons::one(Reason::VolumeGone)));
        volume(&mut cache.volumes, "v", "1Gi", json!({"nodeAffinity": on_host("b")}));
        assert_eq!(outcome(&cache, &["c"], "a"), Err(Reasons::one(Reason::VolumeAffinity)));
        assert_eq!(outcome(&cache, &["c"], "b"), Ok((0, 0)));
    }

    #[test]
    fn a_volume_serves_one_claim_of_a_pod_and_the_rest_are_made_if_somebody_does() {
        let mut cache = cluster();
        for name in ["c", "d"] {
            wants(&mut cache, name, "local", "1Gi");
        }
        volume(&mut cache.volumes, "v", "5Gi", json!({"storageClassName": "local", "nodeAffinity": on_host("a")}));
        assert_eq!((outcome(&cache, &["c"], "a"), outcome(&cache, &["c"], "b")), (Ok((1, 0)), Err(BIND)));
        assert_eq!(outcome(&cache, &["c", "d"], "a"), Err(BIND));
        volume(&mut cache.volumes, "w", "1Gi", json!({"storageClassName": "local"}));
        assert_eq!((outcome(&cache, &["c", "d"], "a"), outcome(&cache, &["c"], "b")), (Ok((2, 0)), Ok((1, 0))));
        wants(&mut cache, "e", "made", "1Gi");
        assert_eq!(outcome(&cache, &["c", "e"], "b"), Ok((1, 1)));
        let annotations = json!({SELECTED_NODE: "b"});
        claim(&mut cache.volumes, "e", json!({"storageClassName": "made", "annotations": annotations}));
        assert_eq!((outcome(&cache, &["e"], "a"), outcome(&cache, &["e"], "b")), (Err(BIND), Ok((0, 1))));
    }
}
