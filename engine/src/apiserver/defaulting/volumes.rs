//! Defaults of volumes.
//!
//! Models: kubernetes v1.36.2 pkg/apis/core/v1/defaults.go. Left out: sources of particular vendors but iSCSI and RBD.

use k8s_openapi::api::core::v1::{DownwardAPIVolumeFile, Volume};

use super::pod_spec::{pull_policy, text};

/// Mode of the files of a volume: 0644.
const MODE: i32 = 0o644;
/// Life of a service account token in a projected volume. [s]
const TOKEN_SECONDS: i64 = 3600;

/// A volume's defaults.
pub(super) fn defaults(volume: &mut Volume) {
    let bare = Volume { name: volume.name.clone(), ..Default::default() };
    if *volume == bare {
        volume.empty_dir = Some(Default::default());
    }
    if let Some(secret) = &mut volume.secret {
        secret.default_mode.get_or_insert(MODE);
    }
    if let Some(map) = &mut volume.config_map {
        map.default_mode.get_or_insert(MODE);
    }
    if let Some(host) = &mut volume.host_path {
        host.type_.get_or_insert_default();
    }
    if let Some(downward) = &mut volume.downward_api {
        downward.default_mode.get_or_insert(MODE);
        downward.items.iter_mut().flatten().for_each(downward_file);
    }
    if let Some(projected) = &mut volume.projected {
        projected.default_mode.get_or_insert(MODE);
        for source in projected.sources.iter_mut().flatten() {
            if let Some(token) = &mut source.service_account_token {
                token.expiration_seconds.get_or_insert(TOKEN_SECONDS);
            }
            let files = source.downward_api.iter_mut().flat_map(|downward| downward.items.iter_mut().flatten());
            files.for_each(downward_file);
        }
    }
    if let Some(image) = &mut volume.image {
        let policy = pull_policy(image.reference.as_deref().unwrap_or_default());
        text(&mut image.pull_policy, policy);
    }
    if let Some(claim) = volume.ephemeral.as_mut().and_then(|ephemeral| ephemeral.volume_claim_template.as_mut()) {
        text(&mut claim.spec.volume_mode, "Filesystem");
    }
    if let Some(iscsi) = &mut volume.iscsi {
        text(&mut iscsi.iscsi_interface, "default");
    }
    if let Some(rbd) = &mut volume.rbd {
        text(&mut rbd.pool, "rbd");
        text(&mut rbd.user, "admin");
        text(&mut rbd.keyring, "/etc/ceph/keyring");
    }
}

fn downward_file(file: &mut DownwardAPIVolumeFile) {
    if let Some(field) = &mut file.field_ref {
        text(&mut field.api_version, "v1");
    }
}
