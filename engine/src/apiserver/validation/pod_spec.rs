//! The spec of a pod, in a pod or in a template: the rules in the API server's order.
//!
//! Models: kubernetes v1.36.2 pkg/apis/core/validation/validation.go (ValidatePodSpec). Left out: ephemeral containers,
//! what is particular to Windows.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{HostAlias, PodDNSConfig, PodSpec};

use super::container::{self, Surroundings, one_of};
use super::field::{Errors, Path};
use super::print::json;
use super::{affinity, labels, names, resources, scheduling, security, volumes};

const RESTART_POLICIES: [&str; 3] = ["Always", "OnFailure", "Never"];
const DNS_POLICIES: [&str; 4] = ["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"];
/// Limits of name resolution in libc.
const NAMESERVERS: usize = 3;
const SEARCHES: usize = 32;
const SEARCH_BYTES: usize = 2048;

/// A pod's spec; `of_pod` if it is a pod's own and not a template's.
pub(super) fn pod_spec(spec: &PodSpec, of_pod: bool, path: &Path<'_>, errors: &mut Errors) {
    if spec.termination_grace_period_seconds.is_none() {
        errors.required(&path.child("terminationGracePeriodSeconds"), "");
    }
    let fine = volumes::volumes(spec.volumes.as_deref().unwrap_or_default(), &path.child("volumes"), errors);
    let claims = spec.resource_claims.iter().flatten().map(|claim| claim.name.as_str());
    let claims: BTreeSet<&str> = claims.filter(|name| !name.is_empty()).collect();
    resource_claims(spec, &path.child("resourceClaims"), errors);
    let around = Surroundings { volumes: fine, claims, spec };
    container::regular(&around, &path.child("containers"), errors);
    container::init(&around, &path.child("initContainers"), errors);
    resources::pod(spec, &path.child("resources"), errors);
    host_network(spec, of_pod, &path.child("containers"), errors);
    one_of(spec.restart_policy.as_ref(), &RESTART_POLICIES, &path.child("restartPolicy"), errors);
    one_of(spec.dns_policy.as_ref(), &DNS_POLICIES, &path.child("dnsPolicy"), errors);
    labels::map(spec.node_selector.as_ref(), &path.child("nodeSelector"), errors);
    security::pod(spec, &path.child("securityContext"), errors);
    affinity::affinity(spec.affinity.as_ref(), &path.child("affinity"), errors);
    dns_config(spec, &path.child("dnsConfig"), errors);
    let gates = path.child("readinessGates");
    for (index, gate) in spec.readiness_gates.iter().flatten().enumerate() {
        let path = gates.index(index);
        errors.invalid_each(
            &path.child("conditionType"),
            &gate.condition_type,
            &names::qualified_name(&gate.condition_type),
        );
    }
    scheduling::gates(spec.scheduling_gates.as_deref().unwrap_or_default(), &path.child("schedulingGates"), errors);
    let spread = spec.topology_spread_constraints.as_deref().unwrap_or_default();
    scheduling::spread(spread, &path.child("topologySpreadConstraints"), errors);
    host_users(spec, path, errors);
    names_and_numbers(spec, path, errors);
    host_aliases(spec.host_aliases.as_deref().unwrap_or_default(), &path.child("hostAliases"), errors);
    classes(spec, path, errors);
}

fn names_and_numbers(spec: &PodSpec, path: &Path<'_>, errors: &mut Errors) {
    named("serviceAccountName", spec.service_account_name.as_ref(), path, errors);
    named("nodeName", spec.node_name.as_ref(), path, errors);
    let high = i64::from(i32::MAX);
    if let Some(seconds) = spec.active_deadline_seconds.filter(|seconds| !(1..=high).contains(seconds)) {
        errors.invalid(&path.child("activeDeadlineSeconds"), seconds, names::range(1, high));
    }
    for (name, value) in [("hostname", &spec.hostname), ("subdomain", &spec.subdomain)] {
        if let Some(value) = value.as_deref().filter(|value| !value.is_empty()) {
            errors.invalid_each(&path.child(name), value, &names::dns_label(value));
        }
    }
    let tolerations = spec.tolerations.as_deref().unwrap_or_default();
    scheduling::tolerations(tolerations, &path.child("tolerations"), errors);
}

fn named(field: &str, name: Option<&String>, path: &Path<'_>, errors: &mut Errors) {
    if let Some(name) = name.filter(|name| !name.is_empty()) {
        errors.invalid_each(&path.child(field), name, &names::object_name(name, false));
    }
}

fn classes(spec: &PodSpec, path: &Path<'_>, errors: &mut Errors) {
    named("priorityClassName", spec.priority_class_name.as_ref(), path, errors);
    if let Some(name) = &spec.runtime_class_name {
        errors.invalid_each(&path.child("runtimeClassName"), name, &names::object_name(name, false));
    }
    if let Some(policy) = &spec.preemption_policy {
        let policies = ["PreemptLowerPriority", "Never"];
        one_of(Some(policy), &policies, &path.child("preemptionPolicy"), errors);
    }
    if let Some(overhead) = &spec.overhead {
        resources::overhead(overhead, &path.child("overhead"), errors);
    }
    if let Some(os) = &spec.os {
        let path = path.child("os");
        match os.name.as_str() {
            "" => errors.required(&path.child("name"), "cannot be empty"),
            "linux" | "windows" => {}
            other => errors.not_supported(&path, other, &["linux", "windows"]),
        }
    }
}

fn resource_claims(spec: &PodSpec, path: &Path<'_>, errors: &mut Errors) {
    let mut seen = BTreeSet::new();
    for (index, claim) in spec.resource_claims.iter().flatten().enumerate() {
        let path = path.index(index);
        if claim.name.is_empty() {
            errors.required(&path.child("name"), "");
        } else if seen.insert(claim.name.as_str()) {
            errors.invalid_each(&path.child("name"), &claim.name, &names::dns_label(&claim.name));
        } else {
            errors.duplicate(&path.child("name"), &claim.name);
        }
    }
}

fn host_network(spec: &PodSpec, of_pod: bool, path: &Path<'_>, errors: &mut Errors) {
    if spec.host_network != Some(true) {
        return;
    }
    for (index, container) in spec.containers.iter().enumerate() {
        let path = path.index(index);
        let path = path.child("ports");
        for (index, port) in container.ports.iter().flatten().enumerate() {
            let host = port.host_port.unwrap_or_default();
            // A template may leave it open: it is filled in when the pod is created.
            if (of_pod || host != 0) && host != port.container_port {
                let detail = "must match `containerPort` when `hostNetwork` is true";
                errors.invalid(&path.index(index).child("hostPort"), host, detail);
            }
        }
    }
}

fn dns_config(spec: &PodSpec, path: &Path<'_>, errors: &mut Errors) {
    let config = spec.dns_config.as_ref();
    let nameservers = config.and_then(|config| config.nameservers.as_deref()).unwrap_or_default();
    if spec.dns_policy.as_deref() == Some("None") {
        if config.is_none() {
            return errors.required(path, "must provide `dnsConfig` when `dnsPolicy` is None");
        }
        if nameservers.is_empty() {
            let detail = "must provide at least one DNS nameserver when `dnsPolicy` is None";
            return errors.required(&path.child("nameservers"), detail);
        }
    }
    if let Some(config) = config {
        resolver(config, nameservers, path, errors);
    }
}

fn resolver(config: &PodDNSConfig, nameservers: &[String], path: &Path<'_>, errors: &mut Errors) {
    let servers = path.child("nameservers");
    if nameservers.len() > NAMESERVERS {
        errors.invalid(&servers, json(nameservers), format!("must not have more than {NAMESERVERS} nameservers"));
    }
    for (index, server) in nameservers.iter().enumerate() {
        errors.invalid_each(&servers.index(index), server, &names::ip(server));
    }
    let searches = config.searches.as_deref().unwrap_or_default();
    let path_of_searches = path.child("searches");
    if searches.len() > SEARCHES {
        let detail = format!("must not have more than {SEARCHES} search paths");
        errors.invalid(&path_of_searches, json(searches), detail);
    }
    if searches.join(" ").len() > SEARCH_BYTES {
        let detail = format!("must not have more than {SEARCH_BYTES} characters (including spaces) in the search list");
        errors.invalid(&path_of_searches, json(searches), detail);
    }
    for (index, search) in searches.iter().enumerate().filter(|(_, search)| *search != ".") {
        let search = search.strip_suffix('.').unwrap_or(search);
        errors.invalid_each(&path_of_searches.index(index), search, &names::dns_subdomain_with_underscore(search));
    }
    let options = path.child("options");
    for (index, option) in config.options.iter().flatten().enumerate() {
        if option.name.as_ref().is_none_or(String::is_empty) {
            errors.required(&options.index(index), "must not be empty");
        }
    }
}

fn host_users(spec: &PodSpec, path: &Path<'_>, errors: &mut Errors) {
    if spec.host_users != Some(false) {
        return;
    }
    for (name, set) in [("hostNetwork", spec.host_network), ("HostPID", spec.host_pid), ("HostIPC", spec.host_ipc)] {
        if set == Some(true) {
            errors.forbidden(&path.child(name), "when `pod.Spec.HostUsers` is false");
        }
    }
}

fn host_aliases(aliases: &[HostAlias], path: &Path<'_>, errors: &mut Errors) {
    for (index, alias) in aliases.iter().enumerate() {
        let path = path.index(index);
        errors.invalid_each(&path.child("ip"), &alias.ip, &names::ip(&alias.ip));
        let path = path.child("hostnames");
        for (index, name) in alias.hostnames.iter().flatten().enumerate() {
            errors.invalid_each(&path.index(index), name, &names::dns_subdomain(name));
        }
    }
}
