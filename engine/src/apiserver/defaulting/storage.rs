//! Defaults of volumes, claims and storage classes.
//!
//! Models: kubernetes v1.36.2 pkg/apis/core/v1/defaults.go, pkg/apis/storage/v1/defaults.go; plugin storageobjectinuseprotection
//! (finalizers). Left out: defaults of volume sources that no lab uses.

use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim};
use k8s_openapi::api::storage::v1::StorageClass;

use super::pod_spec::{self, text};

/// Keeps a volume until its claim lets it go.
pub const VOLUME_FINALIZER: &str = "kubernetes.io/pv-protection";
/// Keeps a claim until no pod uses it.
pub const CLAIM_FINALIZER: &str = "kubernetes.io/pvc-protection";

/// A PersistentVolume's defaults.
pub(super) fn volume(volume: &mut PersistentVolume) {
    text(&mut volume.status.get_or_insert_default().phase, "Pending");
    let spec = volume.spec.get_or_insert_default();
    text(&mut spec.persistent_volume_reclaim_policy, "Retain");
    text(&mut spec.volume_mode, "Filesystem");
    if let Some(path) = &mut spec.host_path {
        path.type_.get_or_insert_default();
    }
    pod_spec::rounded(spec.capacity.as_mut());
}

/// A PersistentVolumeClaim's defaults, alone or as a template.
pub(super) fn claim(claim: &mut PersistentVolumeClaim) {
    text(&mut claim.status.get_or_insert_default().phase, "Pending");
    let spec = claim.spec.get_or_insert_default();
    spec.volume_mode.get_or_insert_with(|| "Filesystem".to_owned());
    let resources = spec.resources.get_or_insert_default();
    pod_spec::rounded(resources.requests.as_mut());
    pod_spec::rounded(resources.limits.as_mut());
}

/// A StorageClass's defaults.
pub(super) fn class(class: &mut StorageClass) {
    class.reclaim_policy.get_or_insert_with(|| "Delete".to_owned());
    class.volume_binding_mode.get_or_insert_with(|| "Immediate".to_owned());
}
