//! Pods and pod templates.
//!
//! Models: kubernetes v1.36.2 pkg/apis/core/validation/validation.go (ValidatePodCreate, ValidatePodTemplateSpec,
//! ValidatePodSpecificAnnotations). Left out: taint and toleration annotations of old times.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Pod, PodSpec, PodTemplateSpec, SeccompProfile};

use super::field::{Errors, Path};
use super::print::quote;
use super::{container, labels, metadata, names, pod_spec, volumes};

const SPEC: Path<'static> = Path::root("spec");
const METADATA: Path<'static> = Path::root("metadata");

pub(super) const MIRROR: &str = "kubernetes.io/config.mirror";
pub(super) const APP_ARMOR: &str = "container.apparmor.security.beta.kubernetes.io/";
const DELETION_COST: &str = "controller.kubernetes.io/pod-deletion-cost";
const SECCOMP_POD: &str = "seccomp.security.alpha.kubernetes.io/pod";
const SECCOMP_CONTAINER: &str = "container.seccomp.security.alpha.kubernetes.io/";

/// A pod to be created.
pub(super) fn create(pod: &Pod, errors: &mut Errors) {
    metadata_and_spec(pod, errors);
    let nothing = PodSpec::default();
    let spec = pod.spec.as_ref().unwrap_or(&nothing);
    if spec.ephemeral_containers.as_ref().is_some_and(|containers| !containers.is_empty()) {
        errors.forbidden(&SPEC.child("ephemeralContainers"), "cannot be set on create");
    }
    let gated = spec.scheduling_gates.as_ref().is_some_and(|gates| !gates.is_empty());
    if gated && spec.node_name.as_ref().is_some_and(|name| !name.is_empty()) {
        errors.forbidden(&SPEC.child("nodeName"), "cannot be set until all schedulingGates have been cleared");
    }
    profiles_match(pod.metadata.annotations.as_ref(), spec, &SPEC, errors);
}

/// What holds for new and for changed pods.
pub(super) fn metadata_and_spec(pod: &Pod, errors: &mut Errors) {
    metadata::create(&pod.metadata, true, names::object_name, errors);
    let nothing = PodSpec::default();
    let spec = pod.spec.as_ref().unwrap_or(&nothing);
    annotations(pod.metadata.annotations.as_ref(), spec, &METADATA.child("annotations"), errors);
    pod_spec::pod_spec(spec, true, &SPEC, errors);
    if spec.service_account_name.as_ref().is_none_or(String::is_empty) {
        let path = SPEC.child("volumes");
        for (index, volume) in spec.volumes.iter().flatten().enumerate() {
            let path = path.index(index);
            let path = path.child("projected");
            let path = path.child("sources");
            let sources = volume.projected.iter().flat_map(|projected| projected.sources.iter().flatten());
            for (index, _) in sources.enumerate().filter(|(_, source)| source.service_account_token.is_some()) {
                let detail = "must not be specified when serviceAccountName is not set";
                errors.forbidden(&path.index(index).child("serviceAccountToken"), detail);
            }
        }
    }
    container::only_for_pods(&spec.containers, &SPEC.child("containers"), errors);
    let init = spec.init_containers.as_deref().unwrap_or_default();
    container::only_for_pods(init, &SPEC.child("initContainers"), errors);
}

/// A pod template.
pub(super) fn template(template: &PodTemplateSpec, path: &Path<'_>, errors: &mut Errors) {
    let metadata = template.metadata.as_ref();
    let given = metadata.and_then(|metadata| metadata.annotations.as_ref());
    labels::map(metadata.and_then(|metadata| metadata.labels.as_ref()), &path.child("labels"), errors);
    metadata::annotations(given, &path.child("annotations"), errors);
    let nothing = PodSpec::default();
    let spec = template.spec.as_ref().unwrap_or(&nothing);
    annotations(given, spec, &path.child("annotations"), errors);
    let path = path.child("spec");
    pod_spec::pod_spec(spec, false, &path, errors);
    profiles_match(given, spec, &path, errors);
    if spec.ephemeral_containers.as_ref().is_some_and(|containers| !containers.is_empty()) {
        errors.forbidden(&path.child("ephemeralContainers"), "ephemeral containers not allowed in pod template");
    }
}

/// Annotations that mean something for pods.
pub(super) fn annotations(
    annotations: Option<&BTreeMap<String, String>>,
    spec: &PodSpec,
    path: &Path<'_>,
    errors: &mut Errors,
) {
    let Some(annotations) = annotations else { return };
    if let Some(value) = annotations.get(MIRROR)
        && spec.node_name.as_ref().is_none_or(String::is_empty)
    {
        errors.invalid(&path.key(MIRROR), value, "must set spec.nodeName if mirror pod annotation is set");
    }
    if let Some(value) = annotations.get(DELETION_COST)
        && !is_deletion_cost(value)
    {
        errors.invalid(&path.key(DELETION_COST), value, "must be a 32bit integer");
    }
    if let Some(profile) = annotations.get(SECCOMP_POD) {
        seccomp_annotation(profile, &path.child(SECCOMP_POD), errors);
    }
    for (key, profile) in annotations.iter().filter(|(key, _)| key.starts_with(SECCOMP_CONTAINER)) {
        seccomp_annotation(profile, &path.child(key), errors);
    }
    for (key, profile) in annotations {
        let Some(name) = key.strip_prefix(APP_ARMOR) else { continue };
        let mut containers = spec.containers.iter().chain(spec.init_containers.iter().flatten());
        if !containers.any(|container| container.name == name) {
            errors.invalid(&path.key(key), name, "container not found");
        }
        if !matches!(profile.as_str(), "" | "runtime/default" | "unconfined") && !profile.starts_with("localhost/") {
            errors.invalid(&path.key(key), profile, format!("invalid AppArmor profile name: {}", quote(profile)));
        }
    }
}

fn is_deletion_cost(text: &str) -> bool {
    let canonical = text == "0" || text.starts_with(['-', '1', '2', '3', '4', '5', '6', '7', '8', '9']);
    canonical && text.parse::<i32>().is_ok()
}

fn seccomp_annotation(profile: &str, path: &Path<'_>, errors: &mut Errors) {
    match (profile, profile.strip_prefix("localhost/")) {
        ("runtime/default" | "docker/default" | "unconfined", _) => {}
        (_, Some(file)) => volumes::descending(file, path, errors),
        _ => errors.invalid(path, profile, "must be a valid seccomp profile"),
    }
}

/// Profiles given as fields and as annotations must be the same.
fn profiles_match(
    annotations: Option<&BTreeMap<String, String>>,
    spec: &PodSpec,
    path: &Path<'_>,
    errors: &mut Errors,
) {
    let Some(annotations) = annotations else { return };
    let of_pod = spec.security_context.as_ref();
    if let Some(profile) = of_pod.and_then(|context| context.seccomp_profile.as_ref())
        && let Some(annotation) = annotations.get(SECCOMP_POD)
    {
        let path = path.child("securityContext");
        seccomp_matches(annotation, profile, &path.child("seccompProfile"), errors);
    }
    // Init containers come first, as Kubernetes visits them.
    let init = spec.init_containers.iter().flatten().enumerate().map(|found| ("initContainers", found));
    let regular = spec.containers.iter().enumerate().map(|found| ("containers", found));
    let all: Vec<_> = init.chain(regular).collect();
    for (list, (index, container)) in &all {
        let path = path.child(list);
        let path = path.index(*index);
        let path = path.child("securityContext");
        let profile = container.security_context.as_ref().and_then(|context| context.seccomp_profile.as_ref());
        if let (Some(profile), Some(annotation)) =
            (profile, annotations.get(&format!("{SECCOMP_CONTAINER}{}", container.name)))
        {
            seccomp_matches(annotation, profile, &path.child("seccompProfile"), errors);
        }
    }
    for (list, (index, container)) in &all {
        let path = path.child(list);
        let path = path.index(*index);
        let path = path.child("securityContext");
        let own = container.security_context.as_ref().and_then(|context| context.app_armor_profile.as_ref());
        let profile = own.or_else(|| of_pod.and_then(|context| context.app_armor_profile.as_ref()));
        if let (Some(profile), Some(annotation)) = (profile, annotations.get(&format!("{APP_ARMOR}{}", container.name)))
        {
            let same = (profile.type_.as_str(), profile.localhost_profile.as_deref());
            matches_annotation("apparmor", annotation, same, &path.child("appArmorProfile"), errors);
        }
    }
}

fn seccomp_matches(annotation: &str, profile: &SeccompProfile, path: &Path<'_>, errors: &mut Errors) {
    let annotation = if annotation == "docker/default" { "runtime/default" } else { annotation };
    let same = (profile.type_.as_str(), profile.localhost_profile.as_deref());
    matches_annotation("seccomp", annotation, same, path, errors);
}

fn matches_annotation(
    what: &str,
    annotation: &str,
    (kind, file): (&str, Option<&str>),
    path: &Path<'_>,
    errors: &mut Errors,
) {
    let named = annotation.strip_prefix("localhost/");
    let same_type = match kind {
        "Unconfined" => annotation == "unconfined",
        "RuntimeDefault" => annotation == "runtime/default",
        "Localhost" => named.is_some(),
        _ => true,
    };
    if !same_type {
        errors.forbidden(&path.child("type"), format!("{what} type in annotation and field must match"));
    } else if kind == "Localhost" && named != file {
        errors.forbidden(&path.child("localhostProfile"), format!("{what} profile in annotation and field must match"));
    }
}
