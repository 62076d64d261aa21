//! Claims, volumes and storage classes as the scheduler sees them: what the plugins look at is read out of each object once.
//!
//! What a pod that waits for its binding is going to change is assumed until the API server shows a newer version of the object.
//!
//! Models: kubernetes v1.36.2 pkg/scheduler/util/assumecache, pkg/scheduler/framework/plugins/volumebinding/assume_cache.go,
//! pkg/scheduler/backend/cache/snapshot.go (IsPVCUsedByPods). Left out: CSI nodes, drivers and capacities, attribute classes,
//! volumes of the old in-tree drivers.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim};
use k8s_openapi::api::storage::v1::StorageClass;

use super::pod_info::PodInfo;
use crate::objects::labels::{self, Labels};
use crate::objects::pod_terms::node_selector::NodeTerm;
use crate::objects::selector::{Operator, Requirement, Selector};
use crate::objects::volume::{self, Claim, NOBODY, SELECTED_NODE, Volume, WAIT_FOR_FIRST_CONSUMER};
use crate::objects::{Key, Name, Object, Resource, Uid};

/// All claims, volumes and classes the scheduler knows.
#[derive(Clone, Debug, Default)]
pub struct Volumes {
    claims: BTreeMap<Key, Entry<ClaimInfo>>,
    volumes: BTreeMap<Name, Entry<VolumeInfo>>,
    /// Names of the volumes, by their class.
    by_class: BTreeMap<Name, BTreeSet<Name>>,
    classes: BTreeMap<Name, Arc<ClassInfo>>,
    /// How many pods on nodes use a claim.
    used: BTreeMap<Key, u32>,
}

/// What is known of an object: from the API server, and as a pod's binding is going to leave it.
#[derive(Clone, Debug)]
struct Entry<T> {
    seen: Arc<T>,
    assumed: Option<Arc<T>>,
}

/// A claim.
#[derive(Clone, Debug)]
pub struct ClaimInfo {
    /// The claim itself.
    pub object: Claim,
    /// The volume it names.
    pub volume: Option<Name>,
    /// Whether it has that for good.
    pub bound: bool,
    /// Whether its volume is lost.
    pub lost: bool,
    /// Its class; empty if none.
    pub class: Name,
    /// What it asks for. [bytes]
    pub requested: i64,
    /// Which volumes it wants; `None`: any.
    pub selector: Option<Selector>,
    /// The node for which its volume is to be made.
    pub selected_node: Option<Name>,
    /// Whether only one pod may use it: ReadWriteOncePod.
    pub one_pod: bool,
}

/// A volume.
#[derive(Clone, Debug)]
pub struct VolumeInfo {
    /// The volume itself.
    pub object: Volume,
    /// What it holds. [bytes]
    pub capacity: i64,
    /// Its class; empty if none.
    pub class: Name,
    /// The claim it says it is of, and that claim's uid if it is bound.
    pub claim: Option<(Key, Option<Uid>)>,
    /// The nodes that reach it; `None`: all.
    affinity: Option<Arc<[NodeTerm]>>,
    /// Zones and regions it is in: label of the node, possible values.
    pub zones: Vec<(Name, Vec<Name>)>,
    /// Whether it is there for whoever wants it.
    available: bool,
}

/// A storage class.
#[derive(Clone, Debug)]
pub struct ClassInfo {
    /// Whether its claims wait for a pod.
    pub waits: bool,
    /// Whether anybody makes volumes of it.
    pub provisions: bool,
    /// The nodes for which volumes are made, as alternatives; `None`: all.
    pub topologies: Option<Arc<[Selector]>>,
}

impl ClaimInfo {
    /// What is read out of a claim.
    pub fn of(claim: &Claim) -> ClaimInfo {
        let spec = claim.api.spec.as_ref();
        let phase = claim.api.status.as_ref().and_then(|status| status.phase.as_deref());
        let modes = spec.and_then(|spec| spec.access_modes.as_deref()).unwrap_or_default();
        let selector = spec.and_then(|spec| spec.selector.as_ref());
        ClaimInfo {
            volume: spec.and_then(|spec| spec.volume_name.as_deref()).filter(|name| !name.is_empty()).map(Name::from),
            bound: volume::fully_bound(claim),
            lost: phase == Some("Lost"),
            class: volume::class(&claim.meta, spec.and_then(|spec| spec.storage_class_name.as_deref())).into(),
            requested: volume::requested(&claim.api),
            selector: selector.map(|selector| Selector::from_label_selector(selector).unwrap_or(Selector::nothing())),
            selected_node: claim.meta.annotation(SELECTED_NODE).map(Name::from),
            one_pod: modes.iter().any(|mode| mode == "ReadWriteOncePod"),
            object: claim.clone(),
        }
    }

    /// Namespace and name.
    pub fn key(&self) -> Key {
        self.object.meta.key()
    }
}

impl VolumeInfo {
    /// What is read out of a volume.
    pub fn of(volume: &Volume) -> VolumeInfo {
        let spec = volume.api.spec.as_ref();
        let phase = volume.api.status.as_ref().and_then(|status| status.phase.as_deref());
        let required = spec.and_then(|spec| spec.node_affinity.as_ref()?.required.as_ref());
        let uid = || volume::claim_uid(volume).and_then(Uid::parse);
        VolumeInfo {
            capacity: volume::storage(spec.and_then(|spec| spec.capacity.as_ref())),
            class: volume::class(&volume.meta, spec.and_then(|spec| spec.storage_class_name.as_deref())).into(),
            claim: volume::claimed_by(volume).map(|key| (key, uid())),
            affinity: required.map(|required| required.node_selector_terms.iter().filter_map(NodeTerm::of).collect()),
            zones: zones(&volume.meta.labels),
            available: phase == Some("Available"),
            object: volume.clone(),
        }
    }

    /// Whether a node of these labels reaches it. Fields of the node do not count.
    pub fn reached_from(&self, labels: &Labels) -> bool {
        self.affinity.as_ref().is_none_or(|terms| terms.iter().any(|term| term.matches("", labels)))
    }

    /// Whether it says it is of this claim.
    pub fn is_of(&self, claim: &ClaimInfo) -> bool {
        self.claim.as_ref().is_some_and(|(key, uid)| {
            *key.name == *claim.object.meta.name
                && *key.namespace == *claim.object.meta.namespace
                && uid.is_none_or(|uid| uid == claim.object.meta.uid)
        })
    }

    /// Whether it is large enough, of the right mode and not on its way out.
    fn will_do(&self, claim: &ClaimInfo) -> bool {
        let own = self.object.api.spec.as_ref().and_then(|spec| spec.volume_mode.as_ref());
        let wanted = claim.object.api.spec.as_ref().and_then(|spec| spec.volume_mode.as_ref());
        self.capacity >= claim.requested && volume::mode(own) == volume::mode(wanted) && !self.object.meta.deleting()
    }

    /// Whether it can become this claim's, given the right node.
    fn is_free_for(&self, claim: &ClaimInfo) -> bool {
        let own = self.object.api.spec.as_ref().and_then(|spec| spec.access_modes.as_deref()).unwrap_or_default();
        let wanted = claim.object.api.spec.as_ref().and_then(|spec| spec.access_modes.as_deref()).unwrap_or_default();
        self.claim.is_none()
            && self.available
            && claim.selector.as_ref().is_none_or(|selector| selector.matches(&self.object.meta.labels))
            && wanted.iter().all(|mode| own.contains(mode))
    }
}

/// Zones and regions in a volume's labels; several are separated by `__`. A list with an empty name says nothing.
fn zones(own: &Labels) -> Vec<(Name, Vec<Name>)> {
    let keys = [labels::ZONE_BETA, labels::REGION_BETA, labels::ZONE, labels::REGION];
    let of = |key: &str| {
        let values: Vec<Name> = own.get(key)?.split("__").map(|value| value.trim().into()).collect();
        values.iter().all(|value: &Name| !value.is_empty()).then(|| (key.into(), values))
    };
    keys.into_iter().filter_map(of).collect()
}

impl ClassInfo {
    /// What is read out of a class.
    pub fn of(class: &StorageClass) -> ClassInfo {
        let topologies = class.allowed_topologies.as_deref().filter(|terms| !terms.is_empty());
        let term = |term: &k8s_openapi::api::core::v1::TopologySelectorTerm| {
            let expressions = term.match_label_expressions.as_deref().filter(|expressions| !expressions.is_empty())?;
            let requirement = |expression: &k8s_openapi::api::core::v1::TopologySelectorLabelRequirement| {
                Requirement::new(&expression.key, Operator::In, expression.values.iter().map(String::as_str)).ok()
            };
            expressions.iter().map(requirement).collect::<Option<Vec<_>>>().map(Selector::of)
        };
        ClassInfo {
            waits: class.volume_binding_mode.as_deref() == Some(WAIT_FOR_FIRST_CONSUMER),
            provisions: !class.provisioner.is_empty() && class.provisioner != NOBODY,
            topologies: topologies.map(|terms| terms.iter().filter_map(term).collect()),
        }
    }

    /// Whether a volume can be made for a node of these labels.
    pub fn makes_for(&self, labels: &Labels) -> bool {
        let allowed = |terms: &Arc<[Selector]>| terms.iter().any(|term| term.matches(labels));
        self.provisions && self.topologies.as_ref().is_none_or(allowed)
    }
}

impl<T> Entry<T> {
    fn latest(&self) -> &Arc<T> {
        self.assumed.as_ref().unwrap_or(&self.seen)
    }
}

impl Volumes {
    /// A claim, as assumed.
    pub fn claim(&self, key: &Key) -> Option<&Arc<ClaimInfo>> {
        self.claims.get(key).map(Entry::latest)
    }

    /// A claim, as the API server shows it.
    pub fn seen_claim(&self, key: &Key) -> Option<&Arc<ClaimInfo>> {
        self.claims.get(key).map(|entry| &entry.seen)
    }

    /// A volume, as assumed.
    pub fn volume(&self, name: &str) -> Option<&Arc<VolumeInfo>> {
        self.volumes.get(name).map(Entry::latest)
    }

    /// A volume, as the API server shows it.
    pub fn seen_volume(&self, name: &str) -> Option<&Arc<VolumeInfo>> {
        self.volumes.get(name).map(|entry| &entry.seen)
    }

    /// A class.
    pub fn class(&self, name: &str) -> Option<&Arc<ClassInfo>> {
        self.classes.get(name)
    }

    /// The volumes that a claim could get, given the right node, the smallest first; only the one that is meant for it, if
    /// there is such a one.
    pub fn candidates(&self, claim: &ClaimInfo) -> Vec<&Arc<VolumeInfo>> {
        let of_class = self.by_class.get(&claim.class).into_iter().flatten();
        let mut all: Vec<_> =
            of_class.filter_map(|name| self.volume(name)).filter(|volume| volume.will_do(claim)).collect();
        if let Some(meant) = all.iter().find(|volume| volume.is_of(claim)) {
            return vec![*meant];
        }
        all.retain(|volume| volume.is_free_for(claim));
        all.sort_by_key(|volume| volume.capacity);
        all
    }

    /// How many pods on nodes use a claim.
    pub fn users(&self, key: &Key) -> u32 {
        self.used.get(key).copied().unwrap_or(0)
    }

    /// A pod comes to a node (`delta` 1) or leaves it (-1).
    pub(super) fn count(&mut self, pod: &PodInfo, delta: i32) {
        for name in &*pod.terms().claims {
            let key = Key { namespace: pod.namespace().clone(), name: name.clone() };
            let users = self.used.entry(key.clone()).or_default();
            *users = users.saturating_add_signed(delta);
            if *users == 0 {
                self.used.remove(&key);
            }
        }
    }

    /// A claim's new version; `None`: it is gone.
    pub fn set_claim(&mut self, key: &Key, object: Option<&Object>) {
        match object.and_then(|object| object.as_resource::<PersistentVolumeClaim>()) {
            Some(claim) => {
                self.claims.insert(key.clone(), Entry { seen: Arc::new(ClaimInfo::of(claim)), assumed: None });
            }
            None => drop(self.claims.remove(key)),
        }
    }

    /// A volume's new version; `None`: it is gone.
    pub fn set_volume(&mut self, name: &Name, object: Option<&Object>) {
        if let Some(old) = self.volumes.remove(name)
            && let Some(names) = self.by_class.get_mut(&old.seen.class)
        {
            names.remove(name);
            if names.is_empty() {
                self.by_class.remove(&old.seen.class);
            }
        }
        if let Some(volume) = object.and_then(|object| object.as_resource::<PersistentVolume>()) {
            let seen = Arc::new(VolumeInfo::of(volume));
            self.by_class.entry(seen.class.clone()).or_default().insert(name.clone());
            self.volumes.insert(name.clone(), Entry { seen, assumed: None });
        }
    }

    /// A class's new version, `None`: it is gone; gives the old one.
    pub fn set_class(&mut self, name: &Name, object: Option<&Object>) -> Option<Arc<ClassInfo>> {
        match object.and_then(|object| object.as_resource::<StorageClass>()) {
            Some(Resource { api, .. }) => self.classes.insert(name.clone(), Arc::new(ClassInfo::of(api))),
            None => self.classes.remove(name),
        }
    }

    /// A claim is going to be so.
    pub fn assume_claim(&mut self, claim: &Claim) {
        if let Some(entry) = self.claims.get_mut(&claim.meta.key()) {
            entry.assumed = Some(Arc::new(ClaimInfo::of(claim)));
        }
    }

    /// A volume is going to be so.
    pub fn assume_volume(&mut self, volume: &Volume) {
        if let Some(entry) = self.volumes.get_mut(&volume.meta.name) {
            entry.assumed = Some(Arc::new(VolumeInfo::of(volume)));
        }
    }

    /// What was assumed of a claim does not come true.
    pub fn restore_claim(&mut self, key: &Key) {
        if let Some(entry) = self.claims.get_mut(key) {
            entry.assumed = None;
        }
    }

    /// What was assumed of a volume does not come true.
    pub fn restore_volume(&mut self, name: &str) {
        if let Some(entry) = self.volumes.get_mut(name) {
            entry.assumed = None;
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use serde_json::{Value, json};

    pub(crate) fn claim(volumes: &mut Volumes, name: &str, spec: Value) -> Arc<ClaimInfo> {
        let meta = json!({"name": name, "namespace": "ns", "annotations": spec["annotations"]});
        let object = json!({"metadata": meta, "spec": spec, "status": spec["status"]});
        let mut claim =
            Resource::<PersistentVolumeClaim>::new(serde_json::from_value(object).expect("a claim"), &|_| {});
        if spec["deleted"] == json!(true) {
            claim.meta.deletion = Some(crate::objects::Deletion { at: crate::kernel::Instant::START, grace: 0 });
        }
        let key = claim.meta.key();
        volumes.set_claim(&key, Some(&Object::PersistentVolumeClaim(claim)));
        volumes.claim(&key).expect("there").clone()
    }

    pub(crate) fn volume(volumes: &mut Volumes, name: &str, size: &str, mut spec: Value) {
        let labels = spec["labels"].take();
        spec["capacity"] = json!({"storage": size});
        let object =
            json!({"metadata": {"name": name, "labels": labels}, "spec": spec, "status": {"phase": "Available"}});
        let volume = Resource::<PersistentVolume>::new(serde_json::from_value(object).expect("a volume"), &|_| {});
        volumes.set_volume(&name.into(), Some(&Object::PersistentVolume(volume)));
    }

    pub(crate) fn class(volumes: &mut Volumes, name: &str, class: Value) {
        let mut object = class;
        object["metadata"] = json!({"name": name});
        let class = Resource::<StorageClass>::new(serde_json::from_value(object).expect("a class"), &|_| {});
        volumes.set_class(&name.into(), Some(&Object::StorageClass(class)));
    }

    fn names(volumes: &Volumes, claim: &ClaimInfo) -> Vec<String> {
        volumes.candidates(claim).iter().map(|volume| volume.object.meta.name.to_string()).collect()
    }

    #[test]
    fn the_smallest_that_fits_comes_first_and_one_that_is_meant_stands_alone() {
        let mut all = Volumes::default();
        let modes = json!(["ReadWriteOnce"]);
        for (name, size) in [("large", "9Gi"), ("small", "2Gi"), ("tiny", "1Gi")] {
            volume(&mut all, name, size, json!({"storageClassName": "local", "accessModes": modes}));
        }
        volume(&mut all, "other", "3Gi", json!({"storageClassName": "x", "accessModes": modes}));
        volume(&mut all, "mode", "3Gi", json!({"storageClassName": "local", "accessModes": ["ReadOnlyMany"]}));
        let spec = json!({
            "storageClassName": "local", "accessModes": modes, "resources": {"requests": {"storage": "2Gi"}},
        });
        let claim = claim(&mut all, "c", spec);
        assert_eq!(names(&all, &claim), ["small", "large"]);
        let small = all.volume("small").expect("there").object.clone();
        all.assume_volume(&volume::bound_to(&small, &Resource { meta: other(&claim), ..claim.object.clone() }));
        assert_eq!(names(&all, &claim), ["large"], "what is assumed to be another's is no choice");
        all.restore_volume("small");
        assert_eq!(names(&all, &claim), ["small", "large"]);
        let reference = json!({"namespace": "ns", "name": "c"});
        let meant = json!({"storageClassName": "local", "accessModes": modes, "claimRef": reference});
        volume(&mut all, "meant", "20Gi", meant);
        assert_eq!(names(&all, &claim), ["meant"]);
    }

    fn other(claim: &ClaimInfo) -> crate::objects::ObjectMeta {
        crate::objects::ObjectMeta { name: "other".into(), ..claim.object.meta.clone() }
    }

    #[test]
    fn a_class_makes_volumes_where_its_topologies_are() {
        let zone = |zone: &str| Labels::from([(labels::ZONE.into(), zone.into())]);
        let class = |class: Value| ClassInfo::of(&serde_json::from_value(class).expect("a class"));
        let terms = json!([{"matchLabelExpressions": [{"key": labels::ZONE, "values": ["a", "b"]}]}, {}]);
        let zonal = class(json!({"provisioner": "x.io/y", "allowedTopologies": terms}));
        assert!(zonal.makes_for(&zone("b")) && !zonal.makes_for(&zone("c")) && !zonal.waits);
        assert!(class(json!({"provisioner": "x.io/y"})).makes_for(&zone("c")));
        assert!(!class(json!({"provisioner": NOBODY})).makes_for(&zone("a")));
    }
}
