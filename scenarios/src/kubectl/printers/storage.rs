//! Rows of volumes, claims and what provides them.
//!
//! Models: kubernetes v1.36.2 pkg/printers/internalversion/printers.go (`printPersistentVolume`,
//! `printPersistentVolumeClaim`, `printStorageClass`, `printCSINode`), pkg/apis/core/helper (`GetAccessModesAsString`).
//! Left out: CSIDrivers, VolumeAttachments: they show name and age.

use serde_json::Value;

use super::super::json::{boolean, is_deleting, list, name, pairs, present, scalar_at, strings, text};
use super::{Column, age};

pub(super) const VOLUME: &[Column] = &[
    ("Name", false),
    ("Capacity", false),
    ("Access Modes", false),
    ("Reclaim Policy", false),
    ("Status", false),
    ("Claim", false),
    ("StorageClass", false),
    ("VolumeAttributesClass", false),
    ("Reason", false),
    ("Age", false),
    ("VolumeMode", true),
];

pub(super) fn volume(object: &Value, now: i64) -> Vec<String> {
    vec![
        name(object).into(),
        scalar_at(object, "/spec/capacity/storage"),
        access_modes(object, "/spec/accessModes"),
        text(object, "/spec/persistentVolumeReclaimPolicy").into(),
        phase(object),
        claim(object),
        storage_class(object).into(),
        or_unset(text(object, "/spec/volumeAttributesClassName")),
        text(object, "/status/reason").into(),
        age(object, now),
        or_unset(text(object, "/spec/volumeMode")),
    ]
}

/// `default/data`, empty for a volume without a claim.
pub(crate) fn claim(volume: &Value) -> String {
    let of = |field: &str| text(volume, &format!("/spec/claimRef/{field}"));
    if present(volume, "/spec/claimRef") { format!("{}/{}", of("namespace"), of("name")) } else { String::new() }
}

fn phase(object: &Value) -> String {
    if is_deleting(object) { "Terminating".into() } else { text(object, "/status/phase").into() }
}

fn or_unset(text: &str) -> String {
    if text.is_empty() { "<unset>".into() } else { text.into() }
}

/// The class of a volume or claim; an old annotation wins.
pub(crate) fn storage_class(object: &Value) -> &str {
    let old = pairs(object, "/metadata/annotations")
        .into_iter()
        .find(|(key, _)| *key == "volume.beta.kubernetes.io/storage-class");
    old.map_or_else(|| text(object, "/spec/storageClassName"), |(_, class)| class)
}

/// `RWO,RWX`
pub(crate) fn access_modes(object: &Value, pointer: &str) -> String {
    let modes = strings(object, pointer);
    let short =
        [("ReadWriteOnce", "RWO"), ("ReadOnlyMany", "ROX"), ("ReadWriteMany", "RWX"), ("ReadWriteOncePod", "RWOP")];
    short.iter().filter(|(mode, _)| modes.contains(mode)).map(|(_, short)| *short).collect::<Vec<_>>().join(",")
}

pub(super) const CLAIM: &[Column] = &[
    ("Name", false),
    ("Status", false),
    ("Volume", false),
    ("Capacity", false),
    ("Access Modes", false),
    ("StorageClass", false),
    ("VolumeAttributesClass", false),
    ("Age", false),
    ("VolumeMode", true),
];

pub(super) fn volume_claim(object: &Value, now: i64) -> Vec<String> {
    let (capacity, modes) = bound(object);
    vec![
        name(object).into(),
        phase(object),
        text(object, "/spec/volumeName").into(),
        capacity,
        modes,
        storage_class(object).into(),
        or_unset(text(object, "/spec/volumeAttributesClassName")),
        age(object, now),
        or_unset(text(object, "/spec/volumeMode")),
    ]
}

/// Capacity and access modes of a claim that has a volume; empty texts for one that has none.
pub(crate) fn bound(claim: &Value) -> (String, String) {
    if text(claim, "/spec/volumeName").is_empty() {
        return (String::new(), String::new());
    }
    let capacity = match scalar_at(claim, "/status/capacity/storage").as_str() {
        "" => "0".to_string(),
        capacity => capacity.to_string(),
    };
    (capacity, access_modes(claim, "/status/accessModes"))
}

pub(super) const STORAGE_CLASS: &[Column] = &[
    ("Name", false),
    ("Provisioner", false),
    ("ReclaimPolicy", false),
    ("VolumeBindingMode", false),
    ("AllowVolumeExpansion", false),
    ("Age", false),
];

pub(super) fn class(object: &Value, now: i64) -> Vec<String> {
    let or = |pointer: &str, default: &str| match text(object, pointer) {
        "" => default.to_string(),
        given => given.to_string(),
    };
    let mark = if is_default(object) { " (default)" } else { "" };
    vec![
        format!("{}{mark}", name(object)),
        text(object, "/provisioner").into(),
        or("/reclaimPolicy", "Delete"),
        or("/volumeBindingMode", "Immediate"),
        boolean(object, "/allowVolumeExpansion").unwrap_or(false).to_string(),
        age(object, now),
    ]
}

/// Whether an annotation makes this the default class.
pub(crate) fn is_default(class: &Value) -> bool {
    const MARKS: [&str; 2] =
        ["storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class"];
    pairs(class, "/metadata/annotations").iter().any(|(key, value)| MARKS.contains(key) && *value == "true")
}

pub(super) const CSI_NODE: &[Column] = &[("Name", false), ("Drivers", false), ("Age", false)];

pub(super) fn csi_node(object: &Value, now: i64) -> Vec<String> {
    vec![name(object).into(), list(object, "/spec/drivers").len().to_string(), age(object, now)]
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_claim_without_a_volume_shows_no_capacity() {
        let pending = json!({"metadata": {"name": "c"}, "status": {"phase": "Pending"},
            "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "5Gi"}}}});
        assert_eq!(volume_claim(&pending, 0)[1..7], ["Pending", "", "", "", "", "<unset>"]);
        let bound = json!({"spec": {"volumeName": "pv"}, "status": {"phase": "Bound", "capacity": {"storage": "10Gi"},
            "accessModes": ["ReadWriteMany", "ReadWriteOnce"]}});
        assert_eq!(volume_claim(&bound, 0)[1..5], ["Bound", "pv", "10Gi", "RWO,RWX"]);
    }

    #[test]
    fn the_default_class_is_marked() {
        let object = json!({"metadata": {"name": "fast", "annotations": {
            "storageclass.kubernetes.io/is-default-class": "true"}}, "provisioner": "p"});
        assert_eq!(class(&object, 0)[..5], ["fast (default)", "p", "Delete", "Immediate", "false"]);
    }
}
