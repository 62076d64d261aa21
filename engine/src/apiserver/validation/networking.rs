//! Ingresses, IngressClasses, NetworkPolicies.
//!
//! Models: kubernetes v1.36.2 pkg/apis/networking/validation/validation.go.

use k8s_openapi::api::networking::v1::{
    HTTPIngressPath, IPBlock, Ingress, IngressBackend, IngressClass, IngressRule, IngressSpec, NetworkPolicy,
    NetworkPolicyPeer, NetworkPolicyPort, NetworkPolicySpec,
};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::endpoints::PROTOCOLS;
use super::field::{Errors, Path};
use super::print::json;
use super::{labels, metadata, names};

const SPEC: Path<'static> = Path::root("spec");
const CLASS_ANNOTATION: &str = "kubernetes.io/ingress.class";
/// Longest name of a class's controller. [bytes]
const CONTROLLER_LENGTH: usize = 250;

/// An Ingress to be created.
pub(super) fn ingress(ingress: &Ingress, errors: &mut Errors) {
    metadata::create(&ingress.metadata, true, names::object_name, errors);
    let nothing = IngressSpec::default();
    let spec = ingress.spec.as_ref().unwrap_or(&nothing);
    ingress_spec(spec, errors);
    let annotation = ingress.metadata.annotations.as_ref().and_then(|annotations| annotations.get(CLASS_ANNOTATION));
    if let (Some(class), Some(_)) = (annotation, &spec.ingress_class_name) {
        let path = Path::root("annotations");
        errors.invalid(&path.child(CLASS_ANNOTATION), class, "can not be set when the class field is also set");
    }
}

/// A change of an Ingress.
pub(super) fn ingress_update(new: &Ingress, old: &Ingress, errors: &mut Errors) {
    metadata::update(&new.metadata, &old.metadata, errors);
    metadata::create(&new.metadata, true, names::object_name, errors);
    let nothing = IngressSpec::default();
    ingress_spec(new.spec.as_ref().unwrap_or(&nothing), errors);
}

fn ingress_spec(spec: &IngressSpec, errors: &mut Errors) {
    let rules = spec.rules.as_deref().unwrap_or_default();
    if rules.is_empty() && spec.default_backend.is_none() {
        let nothing: Option<()> = None;
        errors.invalid(&SPEC, json(&nothing), "either `defaultBackend` or `rules` must be specified");
    }
    if let Some(backend) = &spec.default_backend {
        self::backend(backend, &SPEC.child("defaultBackend"), errors);
    }
    let path = SPEC.child("rules");
    for (index, rule) in rules.iter().enumerate() {
        self::rule(rule, &path.index(index), errors);
    }
    let path = SPEC.child("tls");
    for (index, tls) in spec.tls.iter().flatten().enumerate() {
        let path = path.index(index);
        let hosts = path.child("hosts");
        for (index, host) in tls.hosts.iter().flatten().enumerate() {
            self::host(host, &hosts.index(index), errors);
        }
        if let Some(secret) = tls.secret_name.as_ref().filter(|secret| !secret.is_empty()) {
            errors.invalid_each(&path.child("secretName"), secret, &names::object_name(secret, false));
        }
    }
    if let Some(class) = &spec.ingress_class_name {
        errors.invalid_each(&SPEC.child("ingressClassName"), class, &names::object_name(class, false));
    }
}

fn host(host: &str, path: &Path<'_>, errors: &mut Errors) {
    let broken = if host.contains('*') { names::wildcard_subdomain(host) } else { names::dns_subdomain(host) };
    errors.invalid_each(path, host, &broken);
}

fn rule(rule: &IngressRule, path: &Path<'_>, errors: &mut Errors) {
    if let Some(host) = rule.host.as_deref().filter(|host| !host.is_empty()) {
        let path = path.child("host");
        if names::ip(host).is_empty() {
            errors.invalid(&path, host, "must be a DNS name, not an IP address");
        }
        self::host(host, &path, errors);
    }
    if let Some(http) = &rule.http {
        let path = path.child("http");
        let path = path.child("paths");
        if http.paths.is_empty() {
            errors.required(&path, "");
        }
        for (index, one) in http.paths.iter().enumerate() {
            http_path(one, &path.index(index), errors);
        }
    }
}

fn http_path(http: &HTTPIngressPath, path: &Path<'_>, errors: &mut Errors) {
    let (kind, at) = (path.child("pathType"), path.child("path"));
    let given = http.path.as_deref().unwrap_or_default();
    match http.path_type.as_str() {
        "" => errors.required(&kind, "pathType must be specified"),
        "Exact" | "Prefix" => {
            if !given.starts_with('/') {
                errors.invalid(&at, given, "must be an absolute path");
            }
            for sequence in ["//", "/./", "/../", "%2f", "%2F"].iter().filter(|part| given.contains(**part)) {
                errors.invalid(&at, given, format!("must not contain '{sequence}'"));
            }
            for end in ["/..", "/."].iter().filter(|end| given.ends_with(**end)) {
                errors.invalid(&at, given, format!("cannot end with '{end}'"));
            }
        }
        "ImplementationSpecific" => {
            if !given.is_empty() && !given.starts_with('/') {
                errors.invalid(&at, given, "must be an absolute path");
            }
        }
        other => errors.not_supported(&kind, other, &["Exact", "ImplementationSpecific", "Prefix"]),
    }
    backend(&http.backend, &path.child("backend"), errors);
}

fn backend(backend: &IngressBackend, path: &Path<'_>, errors: &mut Errors) {
    let service = match (&backend.resource, &backend.service) {
        (Some(_), Some(_)) => return errors.invalid(path, "", "cannot set both resource and service backends"),
        (None, None) => return errors.invalid(path, "", "resource or service backend is required"),
        (Some(resource), None) => {
            let path = path.child("resource");
            for (name, value) in [("kind", &resource.kind), ("name", &resource.name)] {
                if value.is_empty() {
                    errors.required(&path.child(name), "");
                }
            }
            return;
        }
        (None, Some(service)) => service,
    };
    let at = path.child("service");
    match service.name.as_str() {
        "" => errors.required(&at.child("name"), ""),
        name => errors.invalid_each(&at.child("name"), name, &names::service_name(name, false)),
    }
    let port = service.port.as_ref();
    let name = port.and_then(|port| port.name.as_deref()).unwrap_or_default();
    let number = port.and_then(|port| port.number).unwrap_or_default();
    let at = at.child("port");
    match (name, number) {
        ("", 0) => errors.required(path, "port name or number is required"),
        ("", number) => {
            for broken in names::port_number(i64::from(number)) {
                errors.invalid(&at.child("number"), number, broken);
            }
        }
        (name, 0) => errors.invalid_each(&at.child("name"), name, &names::port_name(name)),
        _ => errors.invalid(path, "", "cannot set both port name & port number"),
    }
}

/// An IngressClass to be created.
pub(super) fn class(class: &IngressClass, errors: &mut Errors) {
    metadata::create(&class.metadata, false, names::object_name, errors);
    let controller = class.spec.as_ref().and_then(|spec| spec.controller.as_deref()).unwrap_or_default();
    let path = SPEC.child("controller");
    if controller.len() > CONTROLLER_LENGTH {
        errors.too_long(&path, CONTROLLER_LENGTH);
    }
    match controller.split_once('/') {
        _ if controller.is_empty() => errors.required(&path, ""),
        None => errors.invalid(&path, controller, "must be a domain-prefixed path (such as \"acme.io/foo\")"),
        Some((domain, _)) => errors.invalid_each(&path, domain, &names::dns_subdomain(domain)),
    }
}

/// A change of an IngressClass.
pub(super) fn class_update(new: &IngressClass, old: &IngressClass, errors: &mut Errors) {
    metadata::update(&new.metadata, &old.metadata, errors);
    let controller = |class: &IngressClass| class.spec.as_ref().and_then(|spec| spec.controller.clone());
    if controller(new) != controller(old) {
        errors.invalid(&SPEC.child("controller"), &controller(new).unwrap_or_default(), "field is immutable");
    }
}

/// A NetworkPolicy to be created.
pub(super) fn policy(policy: &NetworkPolicy, errors: &mut Errors) {
    metadata::create(&policy.metadata, true, names::object_name, errors);
    policy_spec(policy, errors);
}

/// A change of a NetworkPolicy.
pub(super) fn policy_update(new: &NetworkPolicy, old: &NetworkPolicy, errors: &mut Errors) {
    metadata::update(&new.metadata, &old.metadata, errors);
    policy_spec(new, errors);
}

fn policy_spec(policy: &NetworkPolicy, errors: &mut Errors) {
    let nothing = NetworkPolicySpec::default();
    let spec = policy.spec.as_ref().unwrap_or(&nothing);
    labels::selector(spec.pod_selector.as_ref(), &SPEC.child("podSelector"), errors);
    let incoming = spec.ingress.iter().flatten().map(|rule| (&rule.ports, &rule.from));
    let outgoing = spec.egress.iter().flatten().map(|rule| (&rule.ports, &rule.to));
    let sides: [(&str, &str, Vec<_>); 2] =
        [("ingress", "from", incoming.collect()), ("egress", "to", outgoing.collect())];
    for (side, whom, rules) in sides {
        let path = SPEC.child(side);
        for (index, (ports, peers)) in rules.into_iter().enumerate() {
            let path = path.index(index);
            let (at_ports, at_peers) = (path.child("ports"), path.child(whom));
            for (index, port) in ports.iter().flatten().enumerate() {
                self::port(port, &at_ports.index(index), errors);
            }
            for (index, peer) in peers.iter().flatten().enumerate() {
                self::peer(peer, &at_peers.index(index), errors);
            }
        }
    }
    let types = spec.policy_types.as_deref().unwrap_or_default();
    let path = SPEC.child("policyTypes");
    if types.len() > 2 {
        return errors.invalid(&path, json(types), "may not specify more than two policyTypes");
    }
    for (index, kind) in types.iter().enumerate().filter(|(_, kind)| !matches!(kind.as_str(), "Ingress" | "Egress")) {
        errors.not_supported(&path.index(index), kind, &["Egress", "Ingress"]);
    }
}

fn port(port: &NetworkPolicyPort, path: &Path<'_>, errors: &mut Errors) {
    if let Some(protocol) = port.protocol.as_deref().filter(|protocol| !PROTOCOLS.contains(protocol)) {
        errors.not_supported(&path.child("protocol"), protocol, &PROTOCOLS);
    }
    let (at, end) = (path.child("port"), path.child("endPort"));
    match (&port.port, port.end_port) {
        (Some(IntOrString::Int(number)), last) => {
            for broken in names::port_number(i64::from(*number)) {
                errors.invalid(&at, *number, broken);
            }
            if let Some(last) = last {
                if last < *number {
                    errors.invalid(&end, last, "must be greater than or equal to `port`");
                }
                for broken in names::port_number(i64::from(last)) {
                    errors.invalid(&end, last, broken);
                }
            }
        }
        (Some(IntOrString::String(name)), last) => {
            if let Some(last) = last {
                errors.invalid(&end, last, "may not be specified when `port` is non-numeric");
            }
            errors.invalid_each(&at, name, &names::port_name(name));
        }
        (None, Some(last)) => errors.invalid(&end, last, "may not be specified when `port` is not specified"),
        (None, None) => {}
    }
}

fn peer(peer: &NetworkPolicyPeer, path: &Path<'_>, errors: &mut Errors) {
    labels::selector(peer.pod_selector.as_ref(), &path.child("podSelector"), errors);
    labels::selector(peer.namespace_selector.as_ref(), &path.child("namespaceSelector"), errors);
    let mut named = usize::from(peer.pod_selector.is_some()) + usize::from(peer.namespace_selector.is_some());
    if let Some(block) = &peer.ip_block {
        named += 1;
        ip_block(block, &path.child("ipBlock"), errors);
    }
    if named == 0 {
        errors.required(path, "must specify a peer");
    } else if named > 1 && peer.ip_block.is_some() {
        errors.forbidden(path, "may not specify both ipBlock and another peer");
    }
}

fn ip_block(block: &IPBlock, path: &Path<'_>, errors: &mut Errors) {
    let at = path.child("cidr");
    if block.cidr.is_empty() {
        return errors.required(&at, "");
    }
    let broken = names::cidr(&block.cidr);
    if !broken.is_empty() {
        return errors.invalid_each(&at, &block.cidr, &broken);
    }
    let path = path.child("except");
    for (index, except) in block.except.iter().flatten().enumerate() {
        let path = path.index(index);
        let broken = names::cidr(except);
        if !broken.is_empty() {
            errors.invalid_each(&path, except, &broken);
        } else if !is_inside(except, &block.cidr) {
            errors.invalid(&path, except, "must be a strict subset of `cidr`");
        }
    }
}

/// Whether the first range is a part of the second, and smaller.
fn is_inside(small: &str, large: &str) -> bool {
    let read = |text: &str| {
        let (address, bits) = text.split_once('/')?;
        let bits: u32 = bits.parse().ok()?;
        Some(match address.parse::<std::net::IpAddr>().ok()? {
            std::net::IpAddr::V4(v4) => (u128::from(u32::from(v4)) << 96, bits, 4),
            std::net::IpAddr::V6(v6) => (u128::from(v6), bits, 6),
        })
    };
    let (Some((inner, inner_bits, one)), Some((outer, bits, other))) = (read(small), read(large)) else { return false };
    let mask = if bits == 0 { 0 } else { u128::MAX << (128 - bits.min(128)) };
    one == other && inner_bits > bits && inner & mask == outer & mask
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exception_must_be_a_smaller_part() {
        assert!(is_inside("10.1.0.0/16", "10.0.0.0/8"));
        assert!(!is_inside("10.0.0.0/8", "10.0.0.0/8"));
        assert!(!is_inside("192.168.0.0/16", "10.0.0.0/8"));
        assert!(is_inside("10.1.0.0/16", "0.0.0.0/0") && !is_inside("fe80::/64", "0.0.0.0/0"));
    }
}
