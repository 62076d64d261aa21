//! PersistentVolumes, PersistentVolumeClaims, StorageClasses.
//!
//! Models: kubernetes v1.36.2 pkg/apis/{core,storage}/validation/validation.go. Left out: data sources, the inside of volume sources but
//! host paths and local volumes; what differs in a forbidden change is not printed.

use k8s_openapi::api::core::v1::{
    PersistentVolume, PersistentVolumeClaim, PersistentVolumeClaimSpec, PersistentVolumeSpec,
};
use k8s_openapi::api::storage::v1::StorageClass;
use serde_json::Value;

use super::field::{Errors, Path};
use super::print::json;
use super::{labels, metadata, names, resources};

const SPEC: Path<'static> = Path::root("spec");
const MODES: [&str; 4] = ["ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"];
/// Fields of a volume's spec that are not its source.
const BESIDES_SOURCE: [&str; 9] = [
    "accessModes",
    "capacity",
    "claimRef",
    "mountOptions",
    "nodeAffinity",
    "persistentVolumeReclaimPolicy",
    "storageClassName",
    "volumeAttributesClassName",
    "volumeMode",
];

/// A PersistentVolumeClaim to be created.
pub(super) fn claim(claim: &PersistentVolumeClaim, errors: &mut Errors) {
    metadata::create(&claim.metadata, true, names::object_name, errors);
    let nothing = PersistentVolumeClaimSpec::default();
    claim_spec(claim.spec.as_ref().unwrap_or(&nothing), errors);
}

/// A change of a PersistentVolumeClaim.
pub(super) fn claim_update(new: &PersistentVolumeClaim, old: &PersistentVolumeClaim, errors: &mut Errors) {
    metadata::update(&new.metadata, &old.metadata, errors);
    let nothing = PersistentVolumeClaimSpec::default();
    let (spec, before) = (new.spec.as_ref().unwrap_or(&nothing), old.spec.as_ref().unwrap_or(&nothing));
    claim_spec(spec, errors);
    let bound = old.status.as_ref().is_some_and(|status| status.phase.as_deref() == Some("Bound"));
    let mut allowed = before.clone();
    if allowed.volume_name.as_ref().is_none_or(String::is_empty) {
        allowed.volume_name = spec.volume_name.clone();
    }
    if allowed.storage_class_name.is_none() {
        allowed.storage_class_name = spec.storage_class_name.clone();
    }
    if bound {
        allowed.volume_attributes_class_name = spec.volume_attributes_class_name.clone();
        if let (Some(allowed), Some(wanted)) = (&mut allowed.resources, &spec.resources) {
            allowed.requests = wanted.requests.clone();
        }
    }
    if allowed != *spec {
        let detail =
            "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims";
        errors.forbidden(&SPEC, detail);
        return;
    }
    let size = |spec: &PersistentVolumeClaimSpec| {
        let requests = spec.resources.as_ref().and_then(|resources| resources.requests.as_ref());
        resources::list(requests).find(|(name, _)| *name == "storage").map(|(_, size)| size)
    };
    let capacity = old.status.as_ref().and_then(|status| status.capacity.as_ref());
    let capacity = resources::list(capacity).find(|(name, _)| *name == "storage").map(|(_, size)| size);
    if let (Some(new), Some(old), Some(capacity)) = (size(spec), size(before), capacity)
        && new < old
        && new <= capacity
    {
        let path = SPEC.child("resources");
        let path = path.child("requests");
        errors.forbidden(&path.child("storage"), "field can not be less than status.capacity");
    }
}

fn claim_spec(spec: &PersistentVolumeClaimSpec, errors: &mut Errors) {
    let modes = spec.access_modes.as_deref().unwrap_or_default();
    let path = SPEC.child("accessModes");
    if modes.is_empty() {
        errors.required(&path, "at least 1 access mode is required");
    }
    labels::selector(spec.selector.as_ref(), &SPEC.child("selector"), errors);
    access_modes(modes, errors);
    let path = SPEC.child("resources");
    let path = path.key("storage");
    let requests = spec.resources.as_ref().and_then(|resources| resources.requests.as_ref());
    match resources::list(requests).find(|(name, _)| *name == "storage") {
        None => errors.required(&path, ""),
        Some((_, size)) if size.is_negative() || size.milli() == 0 => {
            errors.invalid(&path, &size.canonical(), "must be greater than zero");
        }
        Some((name, size)) => resources::value(name, size, &path, errors),
    }
    if let Some(class) = spec.storage_class_name.as_ref().filter(|class| !class.is_empty()) {
        errors.invalid_each(&SPEC.child("storageClassName"), class, &names::object_name(class, false));
    }
    volume_mode(spec.volume_mode.as_deref(), errors);
}

fn access_modes(modes: &[String], errors: &mut Errors) {
    let path = SPEC.child("accessModes");
    for mode in modes.iter().filter(|mode| !MODES.contains(&mode.as_str())) {
        errors.not_supported(&path, mode, &MODES);
    }
    if modes.len() > 1 && modes.iter().any(|mode| mode == "ReadWriteOncePod") {
        errors.forbidden(&path, "may not use ReadWriteOncePod with other access modes");
    }
}

fn volume_mode(mode: Option<&str>, errors: &mut Errors) {
    if let Some(mode) = mode.filter(|mode| !matches!(*mode, "Block" | "Filesystem")) {
        errors.not_supported(&SPEC.child("volumeMode"), mode, &["Block", "Filesystem"]);
    }
}

/// A PersistentVolume to be created.
pub(super) fn volume(volume: &PersistentVolume, errors: &mut Errors) {
    metadata::create(&volume.metadata, false, names::object_name, errors);
    let nothing = PersistentVolumeSpec::default();
    volume_spec(volume.spec.as_ref().unwrap_or(&nothing), errors);
}

/// A change of a PersistentVolume.
pub(super) fn volume_update(new: &PersistentVolume, old: &PersistentVolume, errors: &mut Errors) {
    metadata::create(&new.metadata, false, names::object_name, errors);
    let nothing = PersistentVolumeSpec::default();
    let (spec, old) = (new.spec.as_ref().unwrap_or(&nothing), old.spec.as_ref().unwrap_or(&nothing));
    volume_spec(spec, errors);
    if source(spec) != source(old) {
        let path = SPEC.child("persistentvolumesource");
        errors.forbidden(&path, "spec.persistentvolumesource is immutable after creation");
    }
    if spec.volume_mode != old.volume_mode {
        errors.invalid(&Path::root("volumeMode"), json(&spec.volume_mode), "field is immutable");
    }
    if old.node_affinity.is_some() && spec.node_affinity != old.node_affinity {
        let detail = "field is immutable, except for updating from beta label to GA";
        errors.invalid(&Path::root("nodeAffinity"), json(&spec.node_affinity), detail);
    }
}

/// Where the volume's bytes are.
fn source(spec: &PersistentVolumeSpec) -> Value {
    let mut value = serde_json::to_value(spec).unwrap_or_default();
    if let Some(fields) = value.as_object_mut() {
        fields.retain(|name, _| !BESIDES_SOURCE.contains(&name.as_str()));
    }
    value
}

fn volume_spec(spec: &PersistentVolumeSpec, errors: &mut Errors) {
    let modes = spec.access_modes.as_deref().unwrap_or_default();
    if modes.is_empty() {
        errors.required(&SPEC.child("accessModes"), "");
    }
    access_modes(modes, errors);
    let path = SPEC.child("capacity");
    let capacity = spec.capacity.as_ref().filter(|capacity| !capacity.is_empty());
    if capacity.is_none() {
        errors.required(&path, "");
    }
    if capacity.is_none_or(|capacity| capacity.len() > 1 || !capacity.contains_key("storage")) {
        errors.not_supported(&path, json(&capacity), &["storage"]);
    }
    for (name, size) in resources::list(capacity) {
        let path = path.key(name);
        if size.is_negative() || size.milli() == 0 {
            errors.invalid(&path, &size.canonical(), "must be greater than zero");
        }
    }
    let policies = ["Delete", "Recycle", "Retain"];
    let policy = spec.persistent_volume_reclaim_policy.as_deref().unwrap_or_default();
    if !policy.is_empty() && !policies.contains(&policy) {
        errors.not_supported(&SPEC.child("persistentVolumeReclaimPolicy"), policy, &policies);
    }
    let sources = source(spec).as_object().map_or(0, |sources| sources.len());
    match sources {
        0 => errors.required(&SPEC, "must specify a volume type"),
        1 => {}
        _ => errors.forbidden(&SPEC, "may not specify more than 1 volume type"),
    }
    if let Some(host) = &spec.host_path {
        let path = SPEC.child("hostPath");
        match host.path.as_str() {
            "" => errors.required(&path.child("path"), ""),
            host => not_upwards(host, &path.child("path"), errors),
        }
        if host.path == "/" && policy == "Recycle" {
            let detail = "may not be 'recycle' for a hostPath mount of '/'";
            errors.forbidden(&SPEC.child("persistentVolumeReclaimPolicy"), detail);
        }
    }
    if let Some(local) = &spec.local {
        let path = SPEC.child("local");
        match local.path.as_str() {
            "" => errors.required(&path.child("path"), ""),
            local => not_upwards(local, &path.child("path"), errors),
        }
        if spec.node_affinity.is_none() {
            errors.required(&SPEC.child("nodeAffinity"), "Local volume requires node affinity");
        }
    }
    if let Some(class) = spec.storage_class_name.as_ref().filter(|class| !class.is_empty()) {
        errors.invalid_each(&SPEC.child("storageClassName"), class, &names::object_name(class, false));
    }
    volume_mode(spec.volume_mode.as_deref(), errors);
}

fn not_upwards(path_given: &str, path: &Path<'_>, errors: &mut Errors) {
    if path_given.split('/').any(|step| step == "..") {
        errors.invalid(path, path_given, "must not contain '..'");
    }
}

/// A StorageClass to be created.
pub(super) fn class(class: &StorageClass, errors: &mut Errors) {
    metadata::create(&class.metadata, false, names::object_name, errors);
    let path = Path::root("provisioner");
    match class.provisioner.as_str() {
        "" => errors.required(&path, ""),
        name => errors.invalid_each(&path, name, &names::qualified_name(&name.to_lowercase())),
    }
    for key in class.parameters.iter().flat_map(|parameters| parameters.keys()).filter(|key| key.is_empty()) {
        errors.invalid(&Path::root("parameters"), key, "field can not be empty.");
    }
    let policy = class.reclaim_policy.as_deref().unwrap_or_default();
    if !matches!(policy, "" | "Delete" | "Retain") {
        errors.not_supported(&Path::root("reclaimPolicy"), policy, &["Delete", "Retain"]);
    }
    let path = Path::root("volumeBindingMode");
    match class.volume_binding_mode.as_deref() {
        None => errors.required(&path, ""),
        Some("Immediate" | "WaitForFirstConsumer") => {}
        Some(other) => errors.not_supported(&path, other, &["Immediate", "WaitForFirstConsumer"]),
    }
}

/// A change of a StorageClass.
pub(super) fn class_update(new: &StorageClass, old: &StorageClass, errors: &mut Errors) {
    metadata::update(&new.metadata, &old.metadata, errors);
    let fixed = [
        ("parameters", new.parameters == old.parameters),
        ("provisioner", new.provisioner == old.provisioner),
        ("reclaimPolicy", new.reclaim_policy == old.reclaim_policy),
    ];
    for (name, _) in fixed.iter().filter(|(_, same)| !same) {
        errors.forbidden(&Path::root(name), format!("updates to {name} are forbidden."));
    }
    if new.volume_binding_mode != old.volume_binding_mode {
        errors.invalid(&Path::root("volumeBindingMode"), json(&new.volume_binding_mode), "field is immutable");
    }
}
