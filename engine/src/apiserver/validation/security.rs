//! Security contexts of pods and containers.
//!
//! Models: kubernetes v1.36.2 pkg/apis/core/validation/validation.go (ValidateSecurityContext,
//! validatePodSpecSecurityContext, validateSeccompProfileField, ValidateAppArmorProfileField). Left out: Windows
//! options.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{AppArmorProfile, PodSpec, SeccompProfile, SecurityContext, Sysctl};

use super::field::{Errors, Path};
use super::{names, volumes};

const PROFILE_TYPES: [&str; 3] = ["Localhost", "RuntimeDefault", "Unconfined"];
/// Longest path of an AppArmor profile. [bytes]
const PROFILE_LENGTH: usize = 4095;
const SYSCTL: &str = r"^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$";

/// The security context of a container; `host_users` unless the pod has a user namespace.
pub(super) fn container(context: Option<&SecurityContext>, host_users: bool, path: &Path<'_>, errors: &mut Errors) {
    let Some(context) = context else { return };
    ids(&[("runAsUser", context.run_as_user), ("runAsGroup", context.run_as_group)], path, errors);
    if let Some(mount) = context.proc_mount.as_deref() {
        if !matches!(mount, "Default" | "Unmasked") {
            errors.not_supported(&path.child("procMount"), mount, &["Default", "Unmasked"]);
        }
        if host_users && mount == "Unmasked" {
            errors.invalid(&path.child("procMount"), mount, "`hostUsers` must be false to use `Unmasked`");
        }
    }
    seccomp(context.seccomp_profile.as_ref(), &path.child("seccompProfile"), errors);
    if context.allow_privilege_escalation == Some(false) {
        if context.privileged == Some(true) {
            errors.invalid(path, context, "cannot set `allowPrivilegeEscalation` to false and `privileged` to true");
        }
        let added = context.capabilities.iter().flat_map(|capabilities| capabilities.add.iter().flatten());
        for _ in added.filter(|name| *name == "CAP_SYS_ADMIN") {
            errors.invalid(
                path,
                context,
                "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN",
            );
        }
    }
    app_armor(context.app_armor_profile.as_ref(), &path.child("appArmorProfile"), errors);
}

/// The security context of a pod.
pub(super) fn pod(spec: &PodSpec, path: &Path<'_>, errors: &mut Errors) {
    let Some(context) = &spec.security_context else { return };
    let users =
        [("fsGroup", context.fs_group), ("runAsUser", context.run_as_user), ("runAsGroup", context.run_as_group)];
    ids(&users, path, errors);
    let groups = path.child("supplementalGroups");
    for (index, group) in context.supplemental_groups.iter().flatten().enumerate() {
        for rule in names::user_id(*group) {
            errors.invalid(&groups.index(index), *group, rule);
        }
    }
    if spec.host_pid == Some(true) && spec.share_process_namespace == Some(true) {
        let detail = "ShareProcessNamespace and HostPID cannot both be enabled";
        errors.invalid(&path.child("shareProcessNamespace"), true, detail);
    }
    sysctls(context.sysctls.as_deref().unwrap_or_default(), spec, &path.child("sysctls"), errors);
    let mut policy = |name: &str, value: Option<&String>, supported: &[&str]| {
        if let Some(value) = value.filter(|value| !supported.contains(&value.as_str())) {
            errors.not_supported(&path.child(name), value, supported);
        }
    };
    policy("fsGroupChangePolicy", context.fs_group_change_policy.as_ref(), &["Always", "OnRootMismatch"]);
    seccomp(context.seccomp_profile.as_ref(), &path.child("seccompProfile"), errors);
    app_armor(context.app_armor_profile.as_ref(), &path.child("appArmorProfile"), errors);
    let mut policy = |name: &str, value: Option<&String>, supported: &[&str]| {
        if let Some(value) = value.filter(|value| !supported.contains(&value.as_str())) {
            errors.not_supported(&path.child(name), value, supported);
        }
    };
    policy("supplementalGroupsPolicy", context.supplemental_groups_policy.as_ref(), &["Merge", "Strict"]);
    policy("seLinuxChangePolicy", context.se_linux_change_policy.as_ref(), &["MountOption", "Recursive"]);
}

fn ids(ids: &[(&str, Option<i64>)], path: &Path<'_>, errors: &mut Errors) {
    for (name, id) in ids {
        let Some(id) = id else { continue };
        for rule in names::user_id(*id) {
            errors.invalid(&path.child(name), *id, rule);
        }
    }
}

fn sysctls(sysctls: &[Sysctl], spec: &PodSpec, path: &Path<'_>, errors: &mut Errors) {
    let mut seen = BTreeSet::new();
    for (index, sysctl) in sysctls.iter().enumerate() {
        let path = path.index(index);
        let path = path.child("name");
        let name = sysctl.name.as_str();
        if name.is_empty() {
            errors.required(&path, "");
        } else if !is_sysctl(name) {
            errors.invalid(&path, name, format!("must have at most 253 characters and match regex {SYSCTL}"));
        } else if seen.contains(name) {
            errors.duplicate(&path, name);
        }
        let dotted = name.replace('/', ".");
        if spec.host_network == Some(true) && dotted.starts_with("net.") {
            errors.invalid(&path, name, "may not be specified when 'hostNetwork' is true");
        } else if spec.host_ipc == Some(true) && is_ipc(&dotted) {
            errors.invalid(&path, name, "may not be specified when 'hostIPC' is true");
        }
        seen.insert(name);
    }
}

fn is_sysctl(name: &str) -> bool {
    let edge = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let segment = |text: &str| {
        let bytes = text.as_bytes();
        bytes.first().is_some_and(|byte| edge(*byte))
            && bytes.last().is_some_and(|byte| edge(*byte))
            && bytes.iter().all(|byte| edge(*byte) || matches!(byte, b'-' | b'_'))
    };
    name.len() <= 253 && name.split(['.', '/']).all(segment)
}

fn is_ipc(name: &str) -> bool {
    name.starts_with("kernel.shm")
        || name.starts_with("kernel.msg")
        || name.starts_with("fs.mqueue.")
        || name == "kernel.sem"
}

/// A seccomp profile.
pub(super) fn seccomp(profile: Option<&SeccompProfile>, path: &Path<'_>, errors: &mut Errors) {
    let Some(profile) = profile else { return };
    match profile.type_.as_str() {
        "" => errors.required(&path.child("type"), "type is required when seccompProfile is set"),
        other if !PROFILE_TYPES.contains(&other) => errors.not_supported(&path.child("type"), other, &PROFILE_TYPES),
        _ => {}
    }
    let file = path.child("localhostProfile");
    match (profile.type_ == "Localhost", &profile.localhost_profile) {
        (true, None) => errors.required(&file, "must be set when seccomp type is Localhost"),
        (true, Some(text)) => volumes::descending(text, &file, errors),
        (false, Some(_)) => errors.invalid(&file, profile, "can only be set when seccomp type is Localhost"),
        (false, None) => {}
    }
}

fn app_armor(profile: Option<&AppArmorProfile>, path: &Path<'_>, errors: &mut Errors) {
    let Some(profile) = profile else { return };
    let file = path.child("localhostProfile");
    let unset = "must be set when AppArmor type is Localhost";
    match (profile.type_.as_str(), &profile.localhost_profile) {
        ("Localhost", None) => errors.required(&file, unset),
        ("Localhost", Some(text)) => {
            if text.trim() != text {
                errors.invalid(&file, text, "must not be padded with whitespace");
            } else if text.is_empty() {
                errors.required(&file, unset);
            }
            if text.len() > PROFILE_LENGTH {
                errors.too_long(&file, PROFILE_LENGTH);
            }
        }
        ("RuntimeDefault" | "Unconfined", Some(text)) => {
            errors.invalid(&file, text, "can only be set when AppArmor type is Localhost");
        }
        ("RuntimeDefault" | "Unconfined", None) => {}
        ("", _) => errors.required(&path.child("type"), "type is required when appArmorProfile is set"),
        (other, _) => errors.not_supported(&path.child("type"), other, &PROFILE_TYPES),
    }
}
