//! What the scheduler, the controllers and the provisioner agree on about claims and volumes: annotations, and who is whose.
//!
//! Models: kubernetes v1.36.2 staging/src/k8s.io/component-helpers/storage/volume/{helpers,pv_helpers}.go,
//! staging/src/k8s.io/client-go/tools/reference/ref.go.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{ObjectReference, PersistentVolume, PersistentVolumeClaim};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as ApiQuantity;

use super::quantity::Quantity;
use super::{Key, ObjectMeta, Resource};

/// On a claim that has been bound to its volume.
pub const BIND_COMPLETED: &str = "pv.kubernetes.io/bind-completed";
/// On what was bound without a person's having named the other.
pub const BOUND_BY_CONTROLLER: &str = "pv.kubernetes.io/bound-by-controller";
/// On a volume: who made it.
pub const PROVISIONED_BY: &str = "pv.kubernetes.io/provisioned-by";
/// On a claim: who is to make its volume.
pub const PROVISIONER: &str = "volume.kubernetes.io/storage-provisioner";
/// On a claim: the node for which its volume is to be made.
pub const SELECTED_NODE: &str = "volume.kubernetes.io/selected-node";
/// On the class of claims that name none.
const DEFAULT_CLASS: &str = "storageclass.kubernetes.io/is-default-class";
/// The older way to name a class.
const CLASS_BETA: &str = "volume.beta.kubernetes.io/storage-class";
/// The provisioner of a class whose volumes a person makes.
pub const NOBODY: &str = "kubernetes.io/no-provisioner";
/// `volumeBindingMode` of a class whose claims wait for a pod.
pub const WAIT_FOR_FIRST_CONSUMER: &str = "WaitForFirstConsumer";

/// A claim.
pub type Claim = Resource<PersistentVolumeClaim>;
/// A volume.
pub type Volume = Resource<PersistentVolume>;

/// The amount of storage in a list of resources; none is 0. [bytes]
pub fn storage(list: Option<&BTreeMap<String, ApiQuantity>>) -> i64 {
    list.and_then(|list| list.get("storage")).and_then(|text| Quantity::parse(&text.0).ok()).map_or(0, Quantity::value)
}

/// What a claim asks for. [bytes]
pub fn requested(claim: &PersistentVolumeClaim) -> i64 {
    storage(claim.spec.as_ref().and_then(|spec| spec.resources.as_ref()?.requests.as_ref()))
}

/// The class something names; empty if none.
pub fn class<'a>(meta: &'a ObjectMeta, field: Option<&'a str>) -> &'a str {
    meta.annotation(CLASS_BETA).or(field).unwrap_or_default()
}

/// `volumeMode`, with its default.
pub fn mode(field: Option<&String>) -> &str {
    field.map_or("Filesystem", String::as_str)
}

/// The class of claims that name none: of several the newest, then the first by name.
pub fn default_class<'a>(classes: impl Iterator<Item = &'a ObjectMeta>) -> Option<&'a ObjectMeta> {
    classes
        .filter(|class| class.annotation(DEFAULT_CLASS) == Some("true"))
        .max_by(|a, b| a.created.cmp(&b.created).then(b.name.cmp(&a.name)))
}

/// Whether a volume is large enough for a claim, and of its class, its mode and its ways of access.
pub fn satisfies(volume: &Volume, claim: &Claim) -> bool {
    let (Some(offers), Some(wants)) = (&volume.api.spec, &claim.api.spec) else { return false };
    let ways = offers.access_modes.as_deref().unwrap_or_default();
    class(&volume.meta, offers.storage_class_name.as_deref()) == class(&claim.meta, wants.storage_class_name.as_deref())
        && mode(offers.volume_mode.as_ref()) == mode(wants.volume_mode.as_ref())
        && wants.access_modes.iter().flatten().all(|way| ways.contains(way))
        && storage(offers.capacity.as_ref()) >= requested(&claim.api)
}

/// Whether a claim has been bound for good.
pub fn fully_bound(claim: &Claim) -> bool {
    let named =
        claim.api.spec.as_ref().and_then(|spec| spec.volume_name.as_deref()).is_some_and(|name| !name.is_empty());
    named && claim.meta.annotation(BIND_COMPLETED).is_some()
}

/// The claim that a volume says it is of.
pub fn claimed_by(volume: &Volume) -> Option<Key> {
    let reference = volume.api.spec.as_ref()?.claim_ref.as_ref()?;
    Some(Key::new(reference.namespace.as_deref()?, reference.name.as_deref()?))
}

/// The uid of the claim to which a volume is bound; `None` while it is only meant for one.
pub fn claim_uid(volume: &Volume) -> Option<&str> {
    volume.api.spec.as_ref()?.claim_ref.as_ref()?.uid.as_deref().filter(|uid| !uid.is_empty())
}

/// The volume as it is once it says it is of `claim`, as upstream's GetBindVolumeToClaim makes it.
pub fn bound_to(volume: &Volume, claim: &Claim) -> Volume {
    let meant = claimed_by(volume).is_some();
    let mut bound = volume.clone();
    let api = Arc::make_mut(&mut bound.api);
    api.spec.get_or_insert_default().claim_ref = Some(reference(claim));
    if !meant {
        bound.meta.annotate(BOUND_BY_CONTROLLER, "yes");
    }
    bound
}

/// A reference to a claim, as volumes hold it.
pub fn reference(claim: &Claim) -> ObjectReference {
    ObjectReference {
        api_version: Some("v1".to_owned()),
        kind: Some("PersistentVolumeClaim".to_owned()),
        name: Some(claim.meta.name.to_string()),
        namespace: Some(claim.meta.namespace.to_string()),
        uid: Some(claim.meta.uid.to_string()),
        resource_version: Some(claim.meta.resource_version.to_string()),
        field_path: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_a_volume_that_nobody_was_meant_for_is_marked() {
        let volume = |spec: serde_json::Value| -> Volume {
            let api = serde_json::from_value(json!({"metadata": {"name": "v"}, "spec": spec})).expect("a volume");
            Resource::new(api, &|_| {})
        };
        let claim = json!({"metadata": {"name": "c", "namespace": "ns"}, "spec": {"resources": {"requests": {"storage": "1Gi"}}}});
        let claim: Claim = Resource::new(serde_json::from_value(claim).expect("a claim"), &|_| {});
        assert_eq!((requested(&claim.api), fully_bound(&claim)), (1 << 30, false));
        let free = bound_to(&volume(json!({})), &claim);
        assert_eq!(
            (claimed_by(&free), free.meta.annotation(BOUND_BY_CONTROLLER)),
            (Some(claim.meta.key()), Some("yes"))
        );
        let meant = volume(json!({"claimRef": {"namespace": "ns", "name": "c"}}));
        assert_eq!(claim_uid(&meant), None);
        let bound = bound_to(&meant, &claim);
        assert!(claim_uid(&bound).is_some() && bound.meta.annotation(BOUND_BY_CONTROLLER).is_none());
    }
}
