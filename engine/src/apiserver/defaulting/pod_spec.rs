//! Defaults of pod specs, in pods and in templates.
//!
//! Models: kubernetes v1.36.2 pkg/apis/core/v1/defaults.go, pkg/apis/core/v1/conversion.go (serviceAccount),
//! pkg/util/parsers/parsers.go (image names).

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Container, HTTPGetAction, PodSpec, PodTemplateSpec, Probe, ResourceRequirements};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as ApiQuantity;

use super::volumes;
use crate::objects::quantity::Quantity;

/// Sets a text that is absent.
pub(super) fn text(field: &mut Option<String>, value: &str) {
    if field.as_ref().is_none_or(String::is_empty) {
        *field = Some(value.to_owned());
    }
}

/// Sets a number that is absent.
fn number(field: &mut Option<i32>, value: i32) {
    if field.unwrap_or_default() == 0 {
        *field = Some(value);
    }
}

/// A template's defaults.
pub(super) fn template(template: &mut PodTemplateSpec) {
    template.metadata.get_or_insert_default();
    defaults(template.spec.get_or_insert_default());
}

/// The defaults common to pods and templates.
pub(super) fn defaults(spec: &mut PodSpec) {
    text(&mut spec.dns_policy, "ClusterFirst");
    text(&mut spec.restart_policy, "Always");
    text(&mut spec.scheduler_name, "default-scheduler");
    spec.termination_grace_period_seconds.get_or_insert(30);
    spec.security_context.get_or_insert_default();
    service_account(spec);
    for volume in spec.volumes.iter_mut().flatten() {
        volumes::defaults(volume);
    }
    for container in spec.containers.iter_mut().chain(spec.init_containers.iter_mut().flatten()) {
        self::container(container);
    }
    rounded(spec.overhead.as_mut());
    if let Some(resources) = &mut spec.resources {
        rounded_both(resources);
    }
}

/// The old field and the new one always say the same.
fn service_account(spec: &mut PodSpec) {
    if spec.service_account_name.is_none() {
        spec.service_account_name = spec.service_account.clone();
    }
    spec.service_account = spec.service_account_name.clone();
}

fn container(container: &mut Container) {
    let policy = pull_policy(container.image.as_deref().unwrap_or_default());
    text(&mut container.image_pull_policy, policy);
    text(&mut container.termination_message_path, "/dev/termination-log");
    text(&mut container.termination_message_policy, "File");
    rounded_both(container.resources.get_or_insert_default());
    for port in container.ports.iter_mut().flatten() {
        text(&mut port.protocol, "TCP");
    }
    for variable in container.env.iter_mut().flatten() {
        if let Some(field) = variable.value_from.as_mut().and_then(|source| source.field_ref.as_mut()) {
            text(&mut field.api_version, "v1");
        }
    }
    let probes = [&mut container.liveness_probe, &mut container.readiness_probe, &mut container.startup_probe];
    for probe in probes.into_iter().flatten() {
        self::probe(probe);
    }
    if let Some(lifecycle) = &mut container.lifecycle {
        for hook in [&mut lifecycle.post_start, &mut lifecycle.pre_stop].into_iter().flatten() {
            hook.http_get.as_mut().map(http_get);
        }
    }
}

fn probe(probe: &mut Probe) {
    number(&mut probe.timeout_seconds, 1);
    number(&mut probe.period_seconds, 10);
    number(&mut probe.success_threshold, 1);
    number(&mut probe.failure_threshold, 3);
    probe.http_get.as_mut().map(http_get);
    if let Some(grpc) = &mut probe.grpc {
        grpc.service.get_or_insert_default();
    }
}

fn http_get(get: &mut HTTPGetAction) {
    text(&mut get.path, "/");
    text(&mut get.scheme, "HTTP");
}

/// `Always` for images whose tag is `latest` or absent.
pub(super) fn pull_policy(image: &str) -> &'static str {
    if tag(image) == Some("latest") { "Always" } else { "IfNotPresent" }
}

/// The tag of an image name, `latest` if it has neither tag nor digest; none if it is no image name.
fn tag(image: &str) -> Option<&str> {
    let (name, digest) = image.split_once('@').map_or((image, None), |(name, digest)| (name, Some(digest)));
    let (name, tag) = match name.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
        _ => (name, None),
    };
    let word = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    let fine_tag = tag
        .is_none_or(|tag| !tag.is_empty() && tag.len() <= 128 && !tag.starts_with(['.', '-']) && tag.chars().all(word));
    let (host, path) = match name.split_once('/') {
        Some((host, path)) if host.contains(['.', ':']) || host == "localhost" => (host, path),
        _ => ("", name),
    };
    let lower = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let segment = |text: &str| {
        text.starts_with(lower) && text.ends_with(lower) && text.chars().all(|c| lower(c) || "_.-".contains(c))
    };
    let fine_host = host.chars().all(|c| c.is_ascii_alphanumeric() || ".:-[]".contains(c));
    if !(fine_tag && fine_host && path.split('/').all(segment)) {
        return None;
    }
    match (tag, digest) {
        (Some(tag), _) => Some(tag),
        (None, Some(_)) => None,
        (None, None) => Some("latest"),
    }
}

fn rounded_both(resources: &mut ResourceRequirements) {
    rounded(resources.limits.as_mut());
    rounded(resources.requests.as_mut());
}

/// Quantities are kept in thousandths at the finest.
pub(super) fn rounded(list: Option<&mut BTreeMap<String, ApiQuantity>>) {
    for quantity in list.into_iter().flat_map(BTreeMap::values_mut) {
        if let Ok(parsed) = Quantity::try_from(&*quantity) {
            *quantity = parsed.rounded_up_to_milli().into();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_always_pulled_when_the_tag_says_nothing() {
        for image in ["nginx", "nginx:latest", "registry:5000/a/b", "docker.io/library/nginx"] {
            assert_eq!(pull_policy(image), "Always", "{image}");
        }
        for image in [
            "nginx:1.27",
            "nginx@sha256:abc",
            "registry:5000/a/b:v1",
            "nginx:latest@sha256:abc2",
            "",
            " nginx",
            "Nginx",
        ] {
            let expected = if image.starts_with("nginx:latest@") { "Always" } else { "IfNotPresent" };
            assert_eq!(pull_policy(image), expected, "{image}");
        }
    }
}
