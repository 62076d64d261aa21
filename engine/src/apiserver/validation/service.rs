//! Services.
//!
//! Models: kubernetes v1.36.2 pkg/apis/core/validation/validation.go (ValidateService, ValidateServiceUpdate,
//! ValidateServiceClusterIPsRelatedFields). Left out: two IP families on one Service, session affinity's inside, load balancer classes.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{Service, ServicePort, ServiceSpec};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::endpoints::{PROTOCOLS, special_ip};
use super::field::{Errors, Path};
use super::print::{self, Json, json};
use super::{labels, metadata, names};

const SPEC: Path<'static> = Path::root("spec");
const TYPES: [&str; 4] = ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"];
/// The kubelet's port, which some clouds open too wide.
const KUBELET: i32 = 10_250;

/// A Service to be created.
pub(super) fn create(service: &Service, errors: &mut Errors) {
    metadata::create(&service.metadata, true, names::service_name, errors);
    let nothing = ServiceSpec::default();
    rules(service.spec.as_ref().unwrap_or(&nothing), errors);
}

/// A change of a Service.
pub(super) fn update(new: &Service, old: &Service, errors: &mut Errors) {
    metadata::update(&new.metadata, &old.metadata, errors);
    let nothing = ServiceSpec::default();
    let (spec, old) = (new.spec.as_ref().unwrap_or(&nothing), old.spec.as_ref().unwrap_or(&nothing));
    let external = |spec: &ServiceSpec| type_of(spec) == "ExternalName";
    if !external(spec) && !external(old) {
        let path = SPEC.child("clusterIPs");
        let (ours, theirs) = (addresses(spec), addresses(old));
        for (index, (new, old)) in ours.iter().zip(theirs).enumerate() {
            if new != old {
                errors.invalid(&path.index(index), json(ours), "may not change once set");
            }
        }
    }
    metadata::create(&new.metadata, true, names::service_name, errors);
    rules(spec, errors);
}

fn type_of(spec: &ServiceSpec) -> &str {
    spec.type_.as_deref().unwrap_or_default()
}

fn addresses(spec: &ServiceSpec) -> &[String] {
    spec.cluster_ips.as_deref().unwrap_or_default()
}

fn headless(spec: &ServiceSpec) -> bool {
    addresses(spec).first().is_some_and(|address| address == "None")
}

fn rules(spec: &ServiceSpec, errors: &mut Errors) {
    let ports = spec.ports.as_deref().unwrap_or_default();
    let path_of_ports = SPEC.child("ports");
    if ports.is_empty() && !headless(spec) && type_of(spec) != "ExternalName" {
        errors.required(&path_of_ports, "");
    }
    by_type(spec, ports, errors);
    let mut names_seen = BTreeSet::new();
    for (index, port) in ports.iter().enumerate() {
        self::port(port, ports.len() > 1, &mut names_seen, &path_of_ports.index(index), errors);
    }
    labels::map(spec.selector.as_ref(), &SPEC.child("selector"), errors);
    affinity(spec, errors);
    cluster_ips(spec, errors);
    let path = SPEC.child("externalIPs");
    for (index, address) in spec.external_ips.iter().flatten().enumerate() {
        let broken = names::ip(address);
        errors.invalid_each(&path.index(index), address, &broken);
        if broken.is_empty() {
            special_ip(address, &path.index(index), errors);
        }
    }
    let path = SPEC.child("type");
    match type_of(spec) {
        "" => errors.required(&path, ""),
        known if TYPES.contains(&known) => {}
        other => errors.not_supported(&path, other, &TYPES),
    }
    used_once(spec, ports, errors);
    load_balancing(spec, errors);
    traffic(spec, errors);
}

fn by_type(spec: &ServiceSpec, ports: &[ServicePort], errors: &mut Errors) {
    let first = SPEC.child("clusterIPs");
    let first = first.index(0);
    match type_of(spec) {
        "LoadBalancer" => {
            let path = SPEC.child("ports");
            for (index, port) in ports.iter().enumerate().filter(|(_, port)| port.port == KUBELET) {
                let detail = format!("may not expose port {KUBELET} externally since it is used by kubelet");
                errors.invalid(&path.index(index), port.port, detail);
            }
            if headless(spec) {
                errors.invalid(&first, "None", "may not be set to 'None' for LoadBalancer services");
            }
        }
        "NodePort" if headless(spec) => {
            errors.invalid(&first, "None", "may not be set to 'None' for NodePort services");
        }
        "ExternalName" => {
            let not_here = "may not be set for ExternalName services";
            if !addresses(spec).is_empty() {
                errors.forbidden(&SPEC.child("clusterIPs"), not_here);
            }
            if spec.ip_families.as_ref().is_some_and(|families| !families.is_empty()) {
                errors.forbidden(&SPEC.child("ipFamilies"), not_here);
            }
            if spec.ip_family_policy.is_some() {
                errors.forbidden(&SPEC.child("ipFamilyPolicy"), not_here);
            }
            let path = SPEC.child("externalName");
            let name = spec.external_name.as_deref().unwrap_or_default();
            match name.strip_suffix('.').unwrap_or(name) {
                "" => errors.required(&path, ""),
                name => errors.invalid_each(&path, name, &names::dns_subdomain(name)),
            }
        }
        _ => {}
    }
}

/// What holds for the ports of Services and of Endpoints.
pub(super) fn number_and_protocol(number: i32, protocol: Option<&str>, path: &Path<'_>, errors: &mut Errors) {
    for rule in names::port_number(i64::from(number)) {
        errors.invalid(&path.child("port"), number, rule);
    }
    match protocol.unwrap_or_default() {
        "" => errors.required(&path.child("protocol"), ""),
        known if PROTOCOLS.contains(&known) => {}
        other => errors.not_supported(&path.child("protocol"), other, &PROTOCOLS),
    }
}

fn port(port: &ServicePort, named: bool, seen: &mut BTreeSet<String>, path: &Path<'_>, errors: &mut Errors) {
    let path_of_name = path.child("name");
    match port.name.as_deref().unwrap_or_default() {
        "" if named => errors.required(&path_of_name, ""),
        "" => {}
        name => {
            errors.invalid_each(&path_of_name, name, &names::dns_label(name));
            if !seen.insert(name.to_owned()) {
                errors.duplicate(&path_of_name, name);
            }
        }
    }
    number_and_protocol(port.port, port.protocol.as_deref(), path, errors);
    number_or_name(port.target_port.as_ref(), &path.child("targetPort"), errors);
    if let Some(protocol) = &port.app_protocol {
        errors.invalid_each(&path.child("appProtocol"), protocol, &names::qualified_name(protocol));
    }
}

fn number_or_name(port: Option<&IntOrString>, path: &Path<'_>, errors: &mut Errors) {
    match port {
        Some(IntOrString::String(name)) => errors.invalid_each(path, name, &names::port_name(name)),
        Some(IntOrString::Int(number)) => {
            for rule in names::port_number(i64::from(*number)) {
                errors.invalid(path, *number, rule);
            }
        }
        None => {}
    }
}

fn affinity(spec: &ServiceSpec, errors: &mut Errors) {
    let path = SPEC.child("sessionAffinity");
    match spec.session_affinity.as_deref().unwrap_or_default() {
        "" => errors.required(&path, ""),
        "None" if spec.session_affinity_config.is_some() => {
            errors.forbidden(&SPEC.child("sessionAffinityConfig"), "must not be set when session affinity is None");
        }
        "ClientIP" => {
            let client = spec.session_affinity_config.as_ref().and_then(|config| config.client_ip.as_ref());
            let path = SPEC.child("sessionAffinityConfig");
            let path = path.child("clientIP");
            let path = path.child("timeoutSeconds");
            match client.and_then(|client| client.timeout_seconds) {
                Some(1..=86_400) => {}
                Some(seconds) => errors.invalid(&path, seconds, "must be greater than 0 and less than 86400"),
                None => errors.required(&path, "when session affinity type is ClientIP"),
            }
        }
        "None" => {}
        other => errors.not_supported(&path, other, &["ClientIP", "None"]),
    }
}

/// What is said of addresses and their families.
fn cluster_ips(spec: &ServiceSpec, errors: &mut Errors) {
    if type_of(spec) == "ExternalName" {
        return;
    }
    let policies = ["PreferDualStack", "RequireDualStack", "SingleStack"];
    if let Some(policy) = spec.ip_family_policy.as_deref().filter(|policy| !policies.contains(policy)) {
        errors.not_supported(&SPEC.child("ipFamilyPolicy"), policy, &policies);
    }
    let path = SPEC.child("ipFamilies");
    let mut seen = BTreeSet::new();
    for (index, family) in spec.ip_families.iter().flatten().enumerate() {
        if !matches!(family.as_str(), "IPv4" | "IPv6") {
            errors.not_supported(&path.index(index), family, &["IPv4", "IPv6"]);
        } else if !seen.insert(family) {
            errors.duplicate(&path.index(index), family);
        }
    }
    let path = SPEC.child("clusterIPs");
    let all = addresses(spec);
    for (index, address) in all.iter().enumerate() {
        match address.as_str() {
            "None" if index == 0 && all.len() == 1 => {}
            "None" => errors.invalid(&path, json(all), "'None' must be the first and only value"),
            address => errors.invalid_each(&path.index(index), address, &names::ip(address)),
        }
    }
}

/// Ports and node ports are used once.
fn used_once(spec: &ServiceSpec, ports: &[ServicePort], errors: &mut Errors) {
    let path = SPEC.child("ports");
    if type_of(spec) == "ClusterIP" {
        for (index, _) in ports.iter().enumerate().filter(|(_, port)| port.node_port.unwrap_or_default() != 0) {
            let path = path.index(index);
            errors.forbidden(&path.child("nodePort"), "may not be used when `type` is 'ClusterIP'");
        }
    }
    let mut node_ports = BTreeSet::new();
    for (index, port) in ports.iter().enumerate() {
        let number = port.node_port.unwrap_or_default();
        if number != 0 && !node_ports.insert((port.protocol.as_deref(), number)) {
            let path = path.index(index);
            errors.duplicate(&path.child("nodePort"), number);
        }
    }
    let mut seen = BTreeSet::new();
    for (index, port) in ports.iter().enumerate() {
        if !seen.insert((port.protocol.as_deref(), port.port)) {
            let protocol = print::json(&port.protocol).0;
            let value = format!(
                "{{\"Name\":\"\",\"Protocol\":{protocol},\"AppProtocol\":null,\"Port\":{},\"TargetPort\":0,\"NodePort\":0}}",
                port.port
            );
            errors.duplicate(&path.index(index), Json(value));
        }
    }
}

fn load_balancing(spec: &ServiceSpec, errors: &mut Errors) {
    let only_here = "may only be used when `type` is 'LoadBalancer'";
    let balanced = type_of(spec) == "LoadBalancer";
    let ranges = spec.load_balancer_source_ranges.as_deref().unwrap_or_default();
    let path = SPEC.child("LoadBalancerSourceRanges");
    if !ranges.is_empty() && !balanced {
        errors.forbidden(&path, only_here);
    }
    for (index, range) in ranges.iter().enumerate().filter(|_| balanced) {
        errors.invalid_each(&path.index(index), range, &names::cidr(range));
    }
    if spec.allocate_load_balancer_node_ports.is_some() && !balanced {
        errors.forbidden(&SPEC.child("allocateLoadBalancerNodePorts"), only_here);
    }
    if spec.load_balancer_class.is_some() && !balanced {
        errors.forbidden(&SPEC.child("loadBalancerClass"), only_here);
    }
}

fn traffic(spec: &ServiceSpec, errors: &mut Errors) {
    let path = SPEC.child("externalTrafficPolicy");
    let policy = spec.external_traffic_policy.as_deref().unwrap_or_default();
    let reachable = matches!(type_of(spec), "NodePort" | "LoadBalancer")
        || type_of(spec) == "ClusterIP" && spec.external_ips.as_ref().is_some_and(|ips| !ips.is_empty());
    match policy {
        "" if reachable && type_of(spec) != "ClusterIP" => {
            errors.required(&path, "");
        }
        "" => {}
        policy if !reachable => {
            errors.invalid(&path, policy, "may only be set for externally-accessible services");
        }
        "Cluster" | "Local" => {}
        other => errors.not_supported(&path, other, &["Cluster", "Local"]),
    }
    let check = spec.health_check_node_port.unwrap_or_default();
    if check != 0 && !(type_of(spec) == "LoadBalancer" && policy == "Local") {
        let detail = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'";
        errors.invalid(&SPEC.child("healthCheckNodePort"), check, detail);
    }
    let path = SPEC.child("internalTrafficPolicy");
    match spec.internal_traffic_policy.as_deref() {
        None if type_of(spec) != "ExternalName" && TYPES.contains(&type_of(spec)) => errors.required(&path, ""),
        None | Some("Cluster" | "Local") => {}
        Some(other) => errors.not_supported(&path, other, &["Cluster", "Local"]),
    }
    let known = ["PreferClose", "PreferSameNode", "PreferSameZone"];
    if let Some(other) = spec.traffic_distribution.as_deref().filter(|given| !known.contains(given)) {
        errors.not_supported(&SPEC.child("trafficDistribution"), other, &known);
    }
}
