//! Containers and init containers.
//!
//! Models: kubernetes v1.36.2 pkg/apis/core/validation/validation.go (validateContainers, validateInitContainers,
//! validateContainerCommon).

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::{Container, ContainerPort, PodSpec};

use super::field::{Errors, Path};
use super::volumes::{self, Volumes};
use super::{env, handler, names, resources, security};

const NOT_IN_INIT: &str = "may not be set for init containers without restartPolicy=Always";
const PULL_POLICIES: [&str; 3] = ["Always", "IfNotPresent", "Never"];

/// What the rules of a container need to know about its pod.
pub(super) struct Surroundings<'a> {
    /// The volumes without errors, by name.
    pub volumes: Volumes<'a>,
    /// The names of the pod's resource claims.
    pub claims: BTreeSet<&'a str>,
    /// The pod's spec.
    pub spec: &'a PodSpec,
}

impl Surroundings<'_> {
    fn host_users(&self) -> bool {
        self.spec.host_users.unwrap_or(true)
    }
}

/// The regular containers.
pub(super) fn regular(around: &Surroundings<'_>, path: &Path<'_>, errors: &mut Errors) {
    let containers = &around.spec.containers;
    if containers.is_empty() {
        return errors.required(path, "");
    }
    let mut seen = BTreeSet::new();
    for (index, container) in containers.iter().enumerate() {
        let path = path.index(index);
        common(container, around, &path, errors);
        if !seen.insert(container.name.as_str()) {
            errors.duplicate(&path.child("name"), &container.name);
        }
        hooks_and_probes(container, around, &path, errors);
        restart_policy(container, &path, errors);
    }
    host_port_conflicts(containers, path, errors);
}

/// The init containers, sidecars included.
pub(super) fn init(around: &Surroundings<'_>, path: &Path<'_>, errors: &mut Errors) {
    let mut seen: BTreeSet<&str> = around.spec.containers.iter().map(|container| container.name.as_str()).collect();
    for (index, container) in around.spec.init_containers.iter().flatten().enumerate() {
        let item = path.index(index);
        common(container, around, &item, errors);
        restart_policy(container, &item, errors);
        let sidecar = container.restart_policy.as_deref() == Some("Always");
        if seen.contains(container.name.as_str()) {
            errors.duplicate(&item.child("name"), &container.name);
        } else if !container.name.is_empty() {
            seen.insert(&container.name);
        }
        host_port_conflicts(std::slice::from_ref(container), path, errors);
        if sidecar {
            hooks_and_probes(container, around, &item, errors);
            continue;
        }
        for (name, set) in [
            ("lifecycle", container.lifecycle.is_some()),
            ("livenessProbe", container.liveness_probe.is_some()),
            ("readinessProbe", container.readiness_probe.is_some()),
            ("startupProbe", container.startup_probe.is_some()),
        ] {
            if set {
                errors.forbidden(&item.child(name), NOT_IN_INIT);
            }
        }
    }
}

/// What is checked in pods but not in templates.
pub(super) fn only_for_pods(containers: &[Container], path: &Path<'_>, errors: &mut Errors) {
    for (index, container) in containers.iter().enumerate() {
        let image = container.image.as_deref().unwrap_or_default();
        if image.trim() != image {
            let path = path.index(index);
            errors.invalid(&path.child("image"), image, "must not have leading or trailing whitespace");
        }
    }
}

fn hooks_and_probes(container: &Container, around: &Surroundings<'_>, path: &Path<'_>, errors: &mut Errors) {
    let grace = around.spec.termination_grace_period_seconds;
    handler::lifecycle(container.lifecycle.as_ref(), grace, &path.child("lifecycle"), errors);
    handler::restarting_probe(container.liveness_probe.as_ref(), &path.child("livenessProbe"), errors);
    handler::readiness_probe(container.readiness_probe.as_ref(), &path.child("readinessProbe"), errors);
    handler::restarting_probe(container.startup_probe.as_ref(), &path.child("startupProbe"), errors);
}

fn restart_policy(container: &Container, path: &Path<'_>, errors: &mut Errors) {
    let supported = ["Always", "Never", "OnFailure"];
    match container.restart_policy.as_deref() {
        Some(policy) if !supported.contains(&policy) => {
            errors.not_supported(&path.child("restartPolicy"), policy, &supported);
        }
        None if container.restart_policy_rules.is_some() => {
            errors.required(&path.child("restartPolicy"), "must specify restartPolicy when restart rules are used");
        }
        _ => {}
    }
}

fn common(container: &Container, around: &Surroundings<'_>, path: &Path<'_>, errors: &mut Errors) {
    if container.name.is_empty() {
        errors.required(&path.child("name"), "");
    } else {
        errors.invalid_each(&path.child("name"), &container.name, &names::dns_label(&container.name));
    }
    if container.image.as_ref().is_none_or(String::is_empty) {
        errors.required(&path.child("image"), "");
    }
    let policies = ["File", "FallbackToLogsOnError"];
    one_of(container.termination_message_policy.as_ref(), &policies, &path.child("terminationMessagePolicy"), errors);
    ports(container.ports.as_deref().unwrap_or_default(), &path.child("ports"), errors);
    env::vars(container.env.as_deref().unwrap_or_default(), &path.child("env"), errors);
    env::from(container.env_from.as_deref().unwrap_or_default(), &path.child("envFrom"), errors);
    volumes::mounts(container, &around.volumes, &path.child("volumeMounts"), errors);
    volumes::devices(container, &around.volumes, &path.child("volumeDevices"), errors);
    one_of(container.image_pull_policy.as_ref(), &PULL_POLICIES, &path.child("imagePullPolicy"), errors);
    if let Some(requirements) = &container.resources {
        resources::container(requirements, &around.claims, &path.child("resources"), errors);
    }
    resize_policy(container, around.spec, &path.child("resizePolicy"), errors);
    security::container(
        container.security_context.as_ref(),
        around.host_users(),
        &path.child("securityContext"),
        errors,
    );
}

/// A text that must be given and be one of some.
pub(super) fn one_of(value: Option<&String>, supported: &[&str], path: &Path<'_>, errors: &mut Errors) {
    match value.map_or("", String::as_str) {
        "" => errors.required(path, ""),
        value if !supported.contains(&value) => errors.not_supported(path, value, supported),
        _ => {}
    }
}

fn ports(ports: &[ContainerPort], path: &Path<'_>, errors: &mut Errors) {
    let mut seen = BTreeSet::new();
    for (index, port) in ports.iter().enumerate() {
        let path = path.index(index);
        if let Some(name) = port.name.as_deref().filter(|name| !name.is_empty()) {
            let broken = names::port_name(name);
            errors.invalid_each(&path.child("name"), name, &broken);
            if broken.is_empty() && !seen.insert(name) {
                errors.duplicate(&path.child("name"), name);
            }
        }
        if port.container_port == 0 {
            errors.required(&path.child("containerPort"), "");
        } else {
            port_number(port.container_port, &path.child("containerPort"), errors);
        }
        if let Some(number) = port.host_port.filter(|number| *number != 0) {
            port_number(number, &path.child("hostPort"), errors);
        }
        one_of(port.protocol.as_ref(), &["SCTP", "TCP", "UDP"], &path.child("protocol"), errors);
    }
}

fn port_number(number: i32, path: &Path<'_>, errors: &mut Errors) {
    for rule in names::port_number(i64::from(number)) {
        errors.invalid(path, number, rule);
    }
}

fn host_port_conflicts(containers: &[Container], path: &Path<'_>, errors: &mut Errors) {
    let mut taken = BTreeMap::new();
    for (index, container) in containers.iter().enumerate() {
        let path = path.index(index);
        let path = path.child("ports");
        for (index, port) in container.ports.iter().flatten().enumerate() {
            let Some(number) = port.host_port.filter(|number| *number != 0) else { continue };
            let (protocol, ip) =
                (port.protocol.as_deref().unwrap_or_default(), port.host_ip.as_deref().unwrap_or_default());
            if taken.insert((protocol, ip, number), ()).is_some() {
                let text = format!("{protocol}/{ip}/{number}");
                errors.duplicate(&path.index(index).child("hostPort"), &text);
            }
        }
    }
}

fn resize_policy(container: &Container, spec: &PodSpec, path: &Path<'_>, errors: &mut Errors) {
    let mut seen = BTreeSet::new();
    for (index, policy) in container.resize_policy.iter().flatten().enumerate() {
        if !seen.insert(policy.resource_name.as_str()) {
            errors.duplicate(&path.index(index), &policy.resource_name);
        }
        one_of(Some(&policy.resource_name), &["cpu", "memory"], path, errors);
        one_of(Some(&policy.restart_policy), &["NotRequired", "RestartContainer"], path, errors);
        if spec.restart_policy.as_deref() == Some("Never") && policy.restart_policy != "NotRequired" {
            errors.invalid(path, &policy.restart_policy, "must be 'NotRequired' when `restartPolicy` is 'Never'");
        }
    }
}
