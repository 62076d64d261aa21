//! Volumes of a pod, and their mounts in containers.
//!
//! Models: kubernetes v1.36.2 pkg/apis/core/validation/validation.go (ValidateVolumes, ValidateVolumeMounts,
//! ValidateVolumeDevices). Left out: the inside of sources of particular vendors and networks, CSI and ephemeral ones.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::{
    ConfigMapVolumeSource, Container, DownwardAPIVolumeFile, KeyToPath, ProjectedVolumeSource, SecretVolumeSource,
    Volume, VolumeMount, VolumeProjection,
};

use super::env;
use super::field::{Errors, Path};
use super::names;
use crate::objects::quantity::Quantity;

/// The volumes without errors, by name.
pub(super) type Volumes<'a> = BTreeMap<&'a str, &'a Volume>;

const MODE: &str = "must be a number between 0 and 0777 (octal), both inclusive";
const HOST_PATH_TYPES: [&str; 8] =
    ["", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket"];

/// The volumes; gives those that mounts can refer to.
pub(super) fn volumes<'a>(volumes: &'a [Volume], path: &Path<'_>, errors: &mut Errors) -> Volumes<'a> {
    let mut fine = Volumes::new();
    for (index, volume) in volumes.iter().enumerate() {
        let path = path.index(index);
        let before = errors.len();
        source(volume, &path, errors);
        if volume.name.is_empty() {
            errors.required(&path.child("name"), "");
        } else {
            errors.invalid_each(&path.child("name"), &volume.name, &names::dns_label(&volume.name));
        }
        if fine.contains_key(volume.name.as_str()) {
            errors.duplicate(&path.child("name"), &volume.name);
        }
        if errors.len() == before {
            fine.insert(&volume.name, volume);
        }
    }
    fine
}

fn source(volume: &Volume, path: &Path<'_>, errors: &mut Errors) {
    let mut sources = 0;
    let mut first = |name: &str, errors: &mut Errors| {
        sources += 1;
        if sources > 1 {
            errors.forbidden(&path.child(name), "may not specify more than 1 volume type");
        }
        sources == 1
    };
    if let Some(empty) = &volume.empty_dir {
        first("emptyDir", errors);
        let limit = empty.size_limit.as_ref().and_then(|limit| Quantity::try_from(limit).ok());
        if limit.is_some_and(Quantity::is_negative) {
            let path = path.child("emptyDir");
            errors.forbidden(&path.child("sizeLimit"), "SizeLimit field must be a valid resource quantity");
        }
    }
    if let Some(host) = &volume.host_path
        && first("hostPath", errors)
    {
        host_path(&host.path, host.type_.as_deref(), &path.child("hostPath"), errors);
    }
    if let Some(secret) = &volume.secret
        && first("secret", errors)
    {
        self::secret(secret, &path.child("secret"), errors);
    }
    if let Some(nfs) = &volume.nfs
        && first("nfs", errors)
    {
        let path = path.child("nfs");
        if nfs.server.is_empty() {
            errors.required(&path.child("server"), "");
        }
        if nfs.path.is_empty() {
            errors.required(&path.child("path"), "");
        }
        if !nfs.path.starts_with('/') {
            errors.invalid(&path.child("path"), &nfs.path, "must be an absolute path");
        }
    }
    if let Some(claim) = &volume.persistent_volume_claim
        && first("persistentVolumeClaim", errors)
        && claim.claim_name.is_empty()
    {
        errors.required(&path.child("persistentVolumeClaim").child("claimName"), "");
    }
    if let Some(downward) = &volume.downward_api
        && first("downwarAPI", errors)
    {
        let path = path.child("downwardAPI");
        mode(downward.default_mode, &path.child("defaultMode"), errors);
        for file in downward.items.iter().flatten() {
            downward_file(file, &path, errors);
        }
    }
    if let Some(map) = &volume.config_map
        && first("configMap", errors)
    {
        config_map(map, &path.child("configMap"), errors);
    }
    if let Some(projected) = &volume.projected
        && first("projected", errors)
    {
        self::projected(projected, &path.child("projected"), errors);
    }
    for (name, set) in unmodelled(volume) {
        if set {
            first(name, errors);
        }
    }
    if sources == 0 {
        errors.required(path, "must specify a volume type");
    }
}

/// Sources that count but are not looked into.
fn unmodelled(volume: &Volume) -> [(&'static str, bool); 22] {
    [
        ("gitRepo", volume.git_repo.is_some()),
        ("gcePersistentDisk", volume.gce_persistent_disk.is_some()),
        ("awsElasticBlockStore", volume.aws_elastic_block_store.is_some()),
        ("iscsi", volume.iscsi.is_some()),
        ("glusterfs", volume.glusterfs.is_some()),
        ("flocker", volume.flocker.is_some()),
        ("rbd", volume.rbd.is_some()),
        ("cinder", volume.cinder.is_some()),
        ("cephFS", volume.cephfs.is_some()),
        ("quobyte", volume.quobyte.is_some()),
        ("fc", volume.fc.is_some()),
        ("flexVolume", volume.flex_volume.is_some()),
        ("azureFile", volume.azure_file.is_some()),
        ("vsphereVolume", volume.vsphere_volume.is_some()),
        ("photonPersistentDisk", volume.photon_persistent_disk.is_some()),
        ("portworxVolume", volume.portworx_volume.is_some()),
        ("azureDisk", volume.azure_disk.is_some()),
        ("storageos", volume.storageos.is_some()),
        ("scaleIO", volume.scale_io.is_some()),
        ("csi", volume.csi.is_some()),
        ("ephemeral", volume.ephemeral.is_some()),
        ("image", volume.image.is_some()),
    ]
}

fn host_path(target: &str, kind: Option<&str>, path: &Path<'_>, errors: &mut Errors) {
    if target.is_empty() {
        return errors.required(&path.child("path"), "");
    }
    no_backsteps(target, &path.child("path"), errors);
    if let Some(kind) = kind.filter(|kind| !HOST_PATH_TYPES.contains(kind)) {
        errors.not_supported(&path.child("type"), kind, &HOST_PATH_TYPES);
    }
}

fn secret(secret: &SecretVolumeSource, path: &Path<'_>, errors: &mut Errors) {
    if secret.secret_name.as_ref().is_none_or(String::is_empty) {
        errors.required(&path.child("secretName"), "");
    }
    mode(secret.default_mode, &path.child("defaultMode"), errors);
    keys(secret.items.as_deref().unwrap_or_default(), path, errors);
}

fn config_map(map: &ConfigMapVolumeSource, path: &Path<'_>, errors: &mut Errors) {
    if map.name.is_empty() {
        errors.required(&path.child("name"), "");
    }
    mode(map.default_mode, &path.child("defaultMode"), errors);
    keys(map.items.as_deref().unwrap_or_default(), path, errors);
}

fn keys(items: &[KeyToPath], path: &Path<'_>, errors: &mut Errors) {
    let path = path.child("items");
    for (index, item) in items.iter().enumerate() {
        let path = path.index(index);
        if item.key.is_empty() {
            errors.required(&path.child("key"), "");
        }
        if item.path.is_empty() {
            errors.required(&path.child("path"), "");
        }
        not_reserved(&item.path, &path.child("path"), errors);
        mode(item.mode, &path.child("mode"), errors);
    }
}

fn downward_file(file: &DownwardAPIVolumeFile, path: &Path<'_>, errors: &mut Errors) {
    if file.path.is_empty() {
        errors.required(&path.child("path"), "");
    }
    not_reserved(&file.path, &path.child("path"), errors);
    match (&file.field_ref, &file.resource_field_ref) {
        (Some(field), resource) => {
            env::field(field, &env::VOLUME_FIELDS, &path.child("fieldRef"), errors);
            if resource.is_some() {
                let detail = "fieldRef and resourceFieldRef can not be specified simultaneously";
                errors.invalid(path, "resource", detail);
            }
        }
        (None, Some(resource)) => env::resource(resource, true, &path.child("resourceFieldRef"), errors),
        (None, None) => errors.required(path, "one of fieldRef and resourceFieldRef is required"),
    }
    mode(file.mode, &path.child("mode"), errors);
}

fn projected(projected: &ProjectedVolumeSource, path: &Path<'_>, errors: &mut Errors) {
    mode(projected.default_mode, &path.child("defaultMode"), errors);
    let sources = path.child("sources");
    let mut taken = BTreeSet::new();
    for (index, source) in projected.sources.iter().flatten().enumerate() {
        projection(source, path, &sources.index(index), &mut taken, errors);
    }
}

fn projection<'a>(
    source: &'a VolumeProjection,
    volume: &Path<'_>,
    path: &Path<'_>,
    taken: &mut BTreeSet<&'a str>,
    errors: &mut Errors,
) {
    let mut take = |target: &'a str, shown: &str, errors: &mut Errors| {
        if !target.is_empty() && !taken.insert(target) {
            errors.invalid(volume, shown, "conflicting duplicate paths");
        }
    };
    let secret = source.secret.as_ref().map(|secret| ("secret", &secret.name, &secret.items));
    let map = source.config_map.as_ref().map(|map| ("configMap", &map.name, &map.items));
    for (field, name, items) in [secret, map].into_iter().flatten() {
        let path = path.child(field);
        if name.is_empty() {
            errors.required(&path.child("name"), "");
        }
        let items = items.as_deref().unwrap_or_default();
        keys(items, &path, errors);
        for item in items {
            take(&item.path, name, errors);
        }
    }
    if let Some(downward) = &source.downward_api {
        let path = path.child("downwardAPI");
        for file in downward.items.iter().flatten() {
            downward_file(file, &path, errors);
            take(&file.path, &file.path, errors);
        }
    }
    if let Some(token) = &source.service_account_token {
        let path = path.child("serviceAccountToken");
        let seconds = token.expiration_seconds.unwrap_or_default();
        if seconds < 600 {
            let detail = "may not specify a duration less than 10 minutes";
            errors.invalid(&path.child("expirationSeconds"), seconds, detail);
        }
        if seconds > 1 << 32 {
            let detail = "may not specify a duration larger than 2^32 seconds";
            errors.invalid(&path.child("expirationSeconds"), seconds, detail);
        }
        if token.path.is_empty() {
            errors.required(&path.child("path"), "");
        } else {
            not_reserved(&token.path, &path.child("path"), errors);
        }
    }
    let sources = [
        source.secret.is_some(),
        source.config_map.is_some(),
        source.downward_api.is_some(),
        source.service_account_token.is_some(),
        source.cluster_trust_bundle.is_some(),
        source.pod_certificate.is_some(),
    ];
    if sources.iter().filter(|set| **set).count() > 1 {
        errors.forbidden(path, "may not specify more than 1 volume type per source");
    }
}

fn mode(mode: Option<i32>, path: &Path<'_>, errors: &mut Errors) {
    if let Some(mode) = mode.filter(|mode| !(0..=0o777).contains(mode)) {
        errors.invalid(path, mode, MODE);
    }
}

/// A path inside a volume: relative, and never up.
pub(super) fn descending(target: &str, path: &Path<'_>, errors: &mut Errors) {
    if target.starts_with('/') {
        errors.invalid(path, target, "must be a relative path");
    }
    no_backsteps(target, path, errors);
}

fn no_backsteps(target: &str, path: &Path<'_>, errors: &mut Errors) {
    if target.split('/').any(|part| part == "..") {
        errors.invalid(path, target, "must not contain '..'");
    }
}

fn not_reserved(target: &str, path: &Path<'_>, errors: &mut Errors) {
    descending(target, path, errors);
    if target.starts_with("..") && !target.starts_with("../") {
        errors.invalid(path, target, "must not start with '..'");
    }
}

/// The mounts of a container.
pub(super) fn mounts(container: &Container, volumes: &Volumes<'_>, path: &Path<'_>, errors: &mut Errors) {
    let devices = container.volume_devices.as_deref().unwrap_or_default();
    let mut points = BTreeSet::new();
    for (index, mount) in container.volume_mounts.iter().flatten().enumerate() {
        let item = path.index(index);
        if mount.name.is_empty() {
            errors.required(&item.child("name"), "");
        }
        let volume = volumes.get(mount.name.as_str());
        if volume.is_none() {
            errors.not_found(&item.child("name"), &mount.name, "");
        }
        if mount.mount_path.is_empty() {
            errors.required(&item.child("mountPath"), "");
        }
        if !points.insert(mount.mount_path.as_str()) {
            errors.invalid(&item.child("mountPath"), &mount.mount_path, "must be unique");
        }
        if devices.iter().any(|device| device.name == mount.name) {
            errors.invalid(&item.child("name"), &mount.name, "must not already exist in volumeDevices");
        }
        if devices.iter().any(|device| device.device_path == mount.mount_path) {
            let detail = "must not already exist as a path in volumeDevices";
            errors.invalid(&item.child("mountPath"), &mount.mount_path, detail);
        }
        let (sub, expression) =
            (mount.sub_path.as_deref().unwrap_or_default(), mount.sub_path_expr.as_deref().unwrap_or_default());
        if volume.is_some_and(|volume| volume.image.is_some()) {
            for (name, text) in [("subPath", sub), ("subPathExpr", expression)] {
                if !text.is_empty() {
                    errors.invalid(&item.child(name), text, "not allowed in image volume sources");
                }
            }
        }
        if !sub.is_empty() {
            descending(sub, &path.child("subPath"), errors);
        }
        if !expression.is_empty() {
            if !sub.is_empty() {
                let detail = "subPathExpr and subPath are mutually exclusive";
                errors.invalid(&item.child("subPathExpr"), expression, detail);
            }
            descending(expression, &path.child("subPathExpr"), errors);
        }
        propagation(mount, container, path, errors);
    }
}

fn propagation(mount: &VolumeMount, container: &Container, path: &Path<'_>, errors: &mut Errors) {
    if let Some(propagation) = mount.mount_propagation.as_deref() {
        let path = path.child("mountPropagation");
        let supported = ["Bidirectional", "HostToContainer", "None"];
        if !supported.contains(&propagation) {
            errors.not_supported(&path, propagation, &supported);
        }
        let privileged = container.security_context.as_ref().and_then(|context| context.privileged);
        if propagation == "Bidirectional" && privileged != Some(true) {
            errors.forbidden(&path, "Bidirectional mount propagation is available only to privileged containers");
        }
    }
    let path = path.child("recursiveReadOnly");
    match mount.recursive_read_only.as_deref() {
        None | Some("Disabled") => {}
        Some("Enabled" | "IfPossible") => {
            if mount.read_only != Some(true) {
                errors.forbidden(&path, "may only be specified when readOnly is true");
            }
            if mount.mount_propagation.as_deref().is_some_and(|propagation| propagation != "None") {
                errors.forbidden(&path, "may only be specified when mountPropagation is None or not specified");
            }
        }
        Some(other) => errors.not_supported(&path, other, &["Disabled", "Enabled", "IfPossible"]),
    }
}

/// The block devices of a container.
pub(super) fn devices(container: &Container, volumes: &Volumes<'_>, path: &Path<'_>, errors: &mut Errors) {
    let mounts = container.volume_mounts.as_deref().unwrap_or_default();
    let (mut names, mut paths) = (BTreeSet::new(), BTreeSet::new());
    for (index, device) in container.volume_devices.iter().flatten().enumerate() {
        let item = path.index(index);
        let (name, target) = (device.name.as_str(), device.device_path.as_str());
        if name.is_empty() {
            errors.required(&item.child("name"), "");
        }
        if names.contains(name) {
            errors.invalid(&item.child("name"), name, "must be unique");
        }
        match volumes.get(name) {
            None => errors.not_found(&item.child("name"), name, ""),
            Some(volume) if volume.persistent_volume_claim.is_none() && volume.ephemeral.is_none() => {
                let detail = "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode";
                errors.invalid(&item.child("name"), name, detail);
            }
            Some(_) => {}
        }
        if target.is_empty() {
            errors.required(&item.child("devicePath"), "");
        }
        if paths.contains(target) {
            errors.invalid(&item.child("devicePath"), target, "must be unique");
        }
        if target.split('/').any(|part| part == "..") {
            errors.invalid(&item.child("devicePath"), target, "can not contain backsteps ('..')");
        } else {
            paths.insert(target);
        }
        if mounts.iter().any(|mount| mount.name == name) {
            errors.invalid(&item.child("name"), name, "must not already exist in volumeMounts");
        }
        if mounts.iter().any(|mount| mount.mount_path == target) {
            errors.invalid(&item.child("devicePath"), target, "must not already exist as a path in volumeMounts");
        }
        if !name.is_empty() {
            names.insert(name);
        }
    }
}
