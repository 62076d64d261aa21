//! Small kinds: ConfigMap, Namespace, ServiceAccount, Event, Lease.
//!
//! Models: kubernetes v1.36.2 pkg/apis/core/validation/{validation,events}.go,
//! pkg/apis/coordination/validation/validation.go, plugin pod-security-admission (labels of a namespace).

use std::collections::BTreeMap;

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::api::core::v1::{ConfigMap, Event, Namespace, ServiceAccount};

use super::field::{Errors, Path};
use super::{metadata, names};
use crate::objects::decode::Decoded;

/// Most data of a ConfigMap. [bytes]
const DATA_BYTES: usize = 1 << 20;
const WHEN_SET: &str = "field is immutable when `immutable` is set";

/// The metadata of a kind that has no rules of its own here.
pub(super) fn metadata_only(object: &Decoded, errors: &mut Errors) {
    let kind = object.kind();
    let free = matches!(kind.group(), "rbac.authorization.k8s.io");
    let check = if free { names::path_segment } else { names::object_name };
    metadata::create(object.metadata(), kind.namespaced(), check, errors);
}

/// A ConfigMap.
pub(super) fn config_map(map: &ConfigMap, errors: &mut Errors) {
    metadata::create(&map.metadata, true, names::object_name, errors);
    let (data, binary) = (Path::root("data"), Path::root("binaryData"));
    let mut bytes = 0;
    for (key, value) in map.data.iter().flatten() {
        errors.invalid_each(&data.key(key), key, &names::config_key(key));
        if map.binary_data.as_ref().is_some_and(|binary| binary.contains_key(key)) {
            errors.invalid(&data.key(key), key, "duplicate of key present in binaryData");
        }
        bytes += value.len();
    }
    for (key, value) in map.binary_data.iter().flatten() {
        errors.invalid_each(&binary.key(key), key, &names::config_key(key));
        bytes += value.0.len();
    }
    if bytes > DATA_BYTES {
        errors.too_long(&Path::root(""), DATA_BYTES);
    }
}

/// A change of a ConfigMap.
pub(super) fn config_map_update(new: &ConfigMap, old: &ConfigMap, errors: &mut Errors) {
    metadata::update(&new.metadata, &old.metadata, errors);
    if old.immutable == Some(true) {
        if new.immutable != Some(true) {
            errors.forbidden(&Path::root("immutable"), WHEN_SET);
        }
        let nothing = BTreeMap::new();
        if new.data.as_ref().unwrap_or(&nothing) != old.data.as_ref().unwrap_or(&nothing) {
            errors.forbidden(&Path::root("data"), WHEN_SET);
        }
        let nothing = BTreeMap::new();
        if new.binary_data.as_ref().unwrap_or(&nothing) != old.binary_data.as_ref().unwrap_or(&nothing) {
            errors.forbidden(&Path::root("binaryData"), WHEN_SET);
        }
    }
    config_map(new, errors);
}

/// Pod security levels and the labels that name them.
const LEVELS: [&str; 3] = ["privileged", "baseline", "restricted"];
const LEVEL_LABELS: [&str; 3] =
    ["pod-security.kubernetes.io/enforce", "pod-security.kubernetes.io/audit", "pod-security.kubernetes.io/warn"];

/// The labels of a namespace that name pod security levels; admission looks at them when nothing else is wrong.
pub(super) fn pod_security_labels(namespace: &Namespace, errors: &mut Errors) {
    if !errors.is_empty() {
        return;
    }
    let metadata = Path::root("metadata");
    let path = metadata.child("labels");
    for label in LEVEL_LABELS {
        let level = namespace.metadata.labels.as_ref().and_then(|labels| labels.get(label));
        if let Some(level) = level.filter(|level| !LEVELS.contains(&level.as_str())) {
            errors.invalid(&path.key(label), level, format!("must be one of {}", LEVELS.join(", ")));
        }
    }
}

/// A namespace.
pub(super) fn namespace(namespace: &Namespace, errors: &mut Errors) {
    metadata::create(&namespace.metadata, false, names::namespace_name, errors);
    let spec = Path::root("spec");
    let path = spec.child("finalizers");
    let finalizers = namespace.spec.as_ref().and_then(|spec| spec.finalizers.as_deref()).unwrap_or_default();
    for (index, finalizer) in finalizers.iter().enumerate() {
        let path = path.index(index);
        let broken = names::qualified_name(finalizer);
        errors.invalid_each(&path, finalizer, &broken);
        if broken.is_empty() && !finalizer.contains('/') && finalizer != "kubernetes" {
            errors.invalid(&path, finalizer, "name is neither a standard finalizer name nor is it fully qualified");
        }
    }
    pod_security_labels(namespace, errors);
}

/// A ServiceAccount.
pub(super) fn service_account(account: &ServiceAccount, errors: &mut Errors) {
    metadata::create(&account.metadata, true, names::object_name, errors);
}

/// An event; those of the old interface need little.
pub(super) fn event(event: &Event, errors: &mut Errors) {
    let namespace = event.metadata.namespace.as_deref().unwrap_or_default();
    let about = event.involved_object.namespace.as_deref().unwrap_or_default();
    let path = Path::root("involvedObject");
    if about.is_empty() {
        if !matches!(namespace, "default" | "kube-system" | "") {
            errors.invalid(&path.child("namespace"), about, "does not match event.namespace");
        }
    } else if about != namespace {
        errors.invalid(&path.child("namespace"), about, "does not match event.namespace");
    }
    if !names::dns_subdomain(namespace).is_empty() {
        errors.invalid(&Path::root("namespace"), namespace, "");
    }
    metadata::generic(&event.metadata, true, names::path_segment, errors);
}

/// A Lease.
pub(super) fn lease(lease: &Lease, errors: &mut Errors) {
    metadata::create(&lease.metadata, true, names::object_name, errors);
    lease_spec(lease, errors);
}

/// A change of a Lease.
pub(super) fn lease_update(new: &Lease, old: &Lease, errors: &mut Errors) {
    metadata::update(&new.metadata, &old.metadata, errors);
    lease_spec(new, errors);
}

fn lease_spec(lease: &Lease, errors: &mut Errors) {
    let nothing = LeaseSpec::default();
    let spec = lease.spec.as_ref().unwrap_or(&nothing);
    let path = Path::root("spec");
    if let Some(seconds) = spec.lease_duration_seconds.filter(|seconds| *seconds <= 0) {
        errors.invalid(&path.child("leaseDurationSeconds"), seconds, "must be greater than 0");
    }
    if let Some(transitions) = spec.lease_transitions.filter(|transitions| *transitions < 0) {
        errors.invalid(&path.child("leaseTransitions"), transitions, "must be greater than or equal to 0");
    }
    if let Some(strategy) = &spec.strategy {
        errors.invalid_each(&path.child("strategy"), strategy, &names::qualified_name(strategy));
    }
    let without_strategy = spec.strategy.as_ref().is_none_or(String::is_empty);
    if without_strategy && spec.preferred_holder.as_ref().is_some_and(|preferred| !preferred.is_empty()) {
        errors.forbidden(&path.child("preferredHolder"), "may only be specified when `strategy` is defined");
    }
    if spec.holder_identity.as_ref().is_some_and(String::is_empty) {
        errors.invalid(&path.child("holderIdentity"), "", "must not be empty");
    }
}
