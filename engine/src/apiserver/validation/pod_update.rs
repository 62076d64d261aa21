//! Changes of pods: only few fields may change.
//!
//! The API server ends the error about other fields with a difference of its internal structs; here it ends before.
//!
//! Models: kubernetes v1.36.2 pkg/apis/core/validation/validation.go (ValidatePodUpdate). Left out: that difference.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Affinity, Container, NodeAffinity, Pod, PodSpec};

use super::field::{Errors, Path};
use super::print::Json;
use super::{metadata, names, pod, scheduling};

const SPEC: Path<'static> = Path::root("spec");
const UNCHANGEABLE: &str = "pod updates may not change fields other than `spec.containers[*].image`,\
                           `spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only \
                           additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be \
                           set to 1 if it was previously negative)\n";

/// A change from `old` to `new`.
pub(super) fn update(new: &Pod, old: &Pod, errors: &mut Errors) {
    metadata::update(&new.metadata, &old.metadata, errors);
    pod::metadata_and_spec(new, errors);
    let nothing = PodSpec::default();
    let (new_spec, old_spec) = (new.spec.as_ref().unwrap_or(&nothing), old.spec.as_ref().unwrap_or(&nothing));
    annotations(new, old, new_spec, errors);
    spec(new_spec, old_spec, errors);
}

fn annotations(new: &Pod, old: &Pod, spec: &PodSpec, errors: &mut Errors) {
    let nothing = BTreeMap::new();
    let (new, old) =
        (new.metadata.annotations.as_ref().unwrap_or(&nothing), old.metadata.annotations.as_ref().unwrap_or(&nothing));
    let metadata = Path::root("metadata");
    let path = metadata.child("annotations");
    for (key, _) in old.iter().filter(|(key, value)| new.get(*key) != Some(value)) {
        if key.starts_with(pod::APP_ARMOR) {
            errors.forbidden(&path.key(key), "may not remove or update AppArmor annotations");
        }
        if key == pod::MIRROR {
            errors.forbidden(&path.key(key), "may not remove or update mirror pod annotation");
        }
    }
    for key in new.keys().filter(|key| !old.contains_key(*key)) {
        if key.starts_with(pod::APP_ARMOR) {
            errors.forbidden(&path.key(key), "may not add AppArmor annotations");
        }
        if key == pod::MIRROR {
            errors.forbidden(&path.key(key), "may not add mirror pod annotation");
        }
    }
    pod::annotations(Some(new), spec, &path, errors);
}

fn spec(new: &PodSpec, old: &PodSpec, errors: &mut Errors) {
    let init = |spec: &PodSpec| spec.init_containers.clone().unwrap_or_default();
    if !containers(&new.containers, &old.containers, &SPEC.child("containers"), errors)
        || !containers(&init(new), &init(old), &SPEC.child("initContainers"), errors)
        || !active_deadline(new.active_deadline_seconds, old.active_deadline_seconds, errors)
    {
        return;
    }
    let tolerations = |spec: &PodSpec| spec.tolerations.clone().unwrap_or_default();
    scheduling::tolerations_update(&tolerations(new), &tolerations(old), &SPEC.child("tolerations"), errors);
    let gates = |spec: &PodSpec| spec.scheduling_gates.clone().unwrap_or_default();
    scheduling::gates_update(&gates(new), &gates(old), &SPEC.child("schedulingGates"), errors);
    if new == old {
        return;
    }
    // What may change is made equal; whatever still differs may not.
    let mut rest = new.clone();
    same_images(&mut rest.containers, &old.containers);
    if let (Some(new), Some(old)) = (&mut rest.init_containers, &old.init_containers) {
        same_images(new, old);
    }
    rest.active_deadline_seconds = old.active_deadline_seconds;
    rest.scheduling_gates = old.scheduling_gates.clone();
    rest.tolerations = old.tolerations.clone();
    if old.termination_grace_period_seconds.is_some_and(|grace| grace < 0)
        && rest.termination_grace_period_seconds == Some(1)
    {
        rest.termination_grace_period_seconds = old.termination_grace_period_seconds;
    }
    if !gates(old).is_empty() {
        gated(&mut rest, old, errors);
    }
    if rest != *old {
        errors.forbidden(&SPEC, UNCHANGEABLE);
    }
}

fn same_images(new: &mut [Container], old: &[Container]) {
    for (new, old) in new.iter_mut().zip(old) {
        new.image = old.image.clone();
    }
}

/// False if there is no point in looking further.
fn containers(new: &[Container], old: &[Container], path: &Path<'_>, errors: &mut Errors) -> bool {
    if new.len() != old.len() {
        errors.forbidden(path, "pod updates may not add or remove containers");
        return false;
    }
    for (index, container) in new.iter().enumerate() {
        let image = container.image.as_deref().unwrap_or_default();
        let path = path.index(index);
        if image.is_empty() {
            errors.required(&path.child("image"), "");
        }
        if image.trim() != image {
            errors.invalid(&path.child("image"), image, "must not have leading or trailing whitespace");
        }
    }
    true
}

fn active_deadline(new: Option<i64>, old: Option<i64>, errors: &mut Errors) -> bool {
    let path = SPEC.child("activeDeadlineSeconds");
    let high = i64::from(i32::MAX);
    match (new, old) {
        (Some(new), _) if !(0..=high).contains(&new) => {
            errors.invalid(&path, new, names::range(0, high));
            false
        }
        (Some(new), Some(old)) if old < new => {
            errors.invalid(&path, new, "must be less than or equal to previous value");
            false
        }
        (None, Some(_)) => {
            let none = Json("null".to_owned());
            errors.invalid(&path, none, "must not update from a positive integer to nil value");
            true
        }
        _ => true,
    }
}

/// A gated pod may be bound tighter to nodes.
fn gated(new: &mut PodSpec, old: &PodSpec, errors: &mut Errors) {
    let nothing = BTreeMap::new();
    let (wanted, had) =
        (new.node_selector.as_ref().unwrap_or(&nothing), old.node_selector.as_ref().unwrap_or(&nothing));
    if had.iter().any(|(key, value)| wanted.get(key) != Some(value)) {
        let path = SPEC.child("nodeSelector");
        let detail = "only additions to spec.nodeSelector are allowed (no mutations or deletions)";
        errors.invalid(&path, super::print::labels(new.node_selector.as_ref()), detail);
    }
    new.node_selector = old.node_selector.clone();
    let node_affinity = |spec: &PodSpec| spec.affinity.as_ref().and_then(|affinity| affinity.node_affinity.clone());
    let (wanted, had) = (node_affinity(new), node_affinity(old));
    if wanted == had {
        return;
    }
    if !narrows(wanted.as_ref(), had.as_ref()) {
        let affinity = SPEC.child("affinity");
        let path = affinity.child("nodeAffinity");
        let path = path.child("requiredDuringSchedulingIgnoredDuringExecution");
        let path = path.child("nodeSelectorTerms");
        errors.invalid(&path, super::print::json(&wanted), "field is immutable");
    }
    let bare = new
        .affinity
        .as_ref()
        .is_some_and(|affinity| affinity.pod_affinity.is_none() && affinity.pod_anti_affinity.is_none());
    if bare && old.affinity.is_none() {
        new.affinity = None;
    } else {
        new.affinity.get_or_insert_with(Affinity::default).node_affinity = had;
    }
}

fn narrows(new: Option<&NodeAffinity>, old: Option<&NodeAffinity>) -> bool {
    let required =
        |affinity: Option<&NodeAffinity>| affinity?.required_during_scheduling_ignored_during_execution.clone();
    let Some(old) = required(old) else { return true };
    let Some(new) = required(new) else { return false };
    let has_all = |new: &Option<Vec<_>>, old: &Option<Vec<_>>| {
        let (new, old) = (new.as_deref().unwrap_or_default(), old.as_deref().unwrap_or_default());
        old.iter().all(|requirement| new.contains(requirement))
    };
    new.node_selector_terms.len() == old.node_selector_terms.len()
        && new.node_selector_terms.iter().zip(&old.node_selector_terms).all(|(new, old)| {
            has_all(&new.match_expressions, &old.match_expressions) && has_all(&new.match_fields, &old.match_fields)
        })
}
