//! Endpoints and EndpointSlices.
//!
//! Models: kubernetes v1.36.2 pkg/apis/core/validation/validation.go (ValidateEndpoints), pkg/apis/discovery/validation/validation.go.
//! Left out: hints, the deprecated topology.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use k8s_openapi::api::core::v1::{EndpointAddress, Endpoints};
use k8s_openapi::api::discovery::v1::EndpointSlice;

use super::field::{Errors, Path};
use super::{metadata, names, service};

/// What a port may speak.
pub(super) const PROTOCOLS: [&str; 3] = ["SCTP", "TCP", "UDP"];
/// Most endpoints of a slice, addresses of an endpoint, ports of a slice.
const MOST: (usize, usize, usize) = (1000, 100, 20_000);

/// New or changed Endpoints, but for their metadata.
pub(super) fn endpoints(endpoints: &Endpoints, errors: &mut Errors) {
    let subsets = Path::root("subsets");
    for (index, subset) in endpoints.subsets.iter().flatten().enumerate() {
        let path = subsets.index(index);
        let ready = subset.addresses.as_deref().unwrap_or_default();
        let unready = subset.not_ready_addresses.as_deref().unwrap_or_default();
        if ready.is_empty() && unready.is_empty() {
            errors.required(&path, "must specify `addresses` or `notReadyAddresses`");
        }
        for (name, addresses) in [("addresses", ready), ("notReadyAddresses", unready)] {
            let path = path.child(name);
            for (index, address) in addresses.iter().enumerate() {
                self::address(address, &path.index(index), errors);
            }
        }
        let ports = subset.ports.as_deref().unwrap_or_default();
        let path = path.child("ports");
        for (index, port) in ports.iter().enumerate() {
            let path = path.index(index);
            match port.name.as_deref().unwrap_or_default() {
                "" if ports.len() > 1 => errors.required(&path.child("name"), ""),
                "" => {}
                name => errors.invalid_each(&path.child("name"), name, &names::dns_label(name)),
            }
            service::number_and_protocol(port.port, port.protocol.as_deref(), &path, errors);
        }
    }
}

fn address(address: &EndpointAddress, path: &Path<'_>, errors: &mut Errors) {
    let path_of_ip = path.child("ip");
    let broken = names::ip(&address.ip);
    errors.invalid_each(&path_of_ip, &address.ip, &broken);
    if let Some(host) = address.hostname.as_ref().filter(|host| !host.is_empty()) {
        errors.invalid_each(&path.child("hostname"), host, &names::dns_label(host));
    }
    if let Some(node) = &address.node_name {
        errors.invalid_each(&path.child("nodeName"), node, &names::object_name(node, false));
    }
    if broken.is_empty() {
        special_ip(&address.ip, &path_of_ip, errors);
    }
}

/// Addresses that mean something else on every machine are no endpoints.
pub(super) fn special_ip(text: &str, path: &Path<'_>, errors: &mut Errors) {
    let Ok(address) = text.parse::<IpAddr>() else { return };
    let (local, multicast) = match address {
        IpAddr::V4(v4) => (v4.is_link_local(), v4.octets()[..3] == [224, 0, 0]),
        IpAddr::V6(v6) => (v6.segments()[0] & 0xffc0 == 0xfe80, v6.segments()[0] == 0xff02),
    };
    if address.is_unspecified() {
        errors.invalid(path, text, format!("may not be unspecified ({text})"));
    }
    if address.is_loopback() {
        errors.invalid(path, text, "may not be in the loopback range (127.0.0.0/8, ::1/128)");
    }
    if local {
        errors.invalid(path, text, "may not be in the link-local range (169.254.0.0/16, fe80::/10)");
    }
    if multicast {
        errors.invalid(path, text, "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)");
    }
}

/// An EndpointSlice to be created.
pub(super) fn slice(slice: &EndpointSlice, errors: &mut Errors) {
    metadata::create(&slice.metadata, true, names::object_name, errors);
    slice_content(slice, errors);
}

/// A change of an EndpointSlice.
pub(super) fn slice_update(new: &EndpointSlice, old: &EndpointSlice, errors: &mut Errors) {
    metadata::create(&new.metadata, true, names::object_name, errors);
    slice_content(new, errors);
    if new.address_type != old.address_type {
        errors.invalid(&Path::root("addressType"), &new.address_type, "field is immutable");
    }
}

fn slice_content(slice: &EndpointSlice, errors: &mut Errors) {
    let path = Path::root("addressType");
    match slice.address_type.as_str() {
        "" => errors.required(&path, ""),
        "IPv4" | "IPv6" | "FQDN" => {}
        other => errors.not_supported(&path, other, &["FQDN", "IPv4", "IPv6"]),
    }
    ports(slice, errors);
    let root = Path::root("endpoints");
    let endpoints = slice.endpoints.as_deref().unwrap_or_default();
    if endpoints.len() > MOST.0 {
        return errors.too_many(&root, endpoints.len(), MOST.0);
    }
    for (index, endpoint) in endpoints.iter().enumerate() {
        let path = root.index(index);
        let addresses = path.child("addresses");
        match endpoint.addresses.len() {
            0 => errors.required(&addresses, "must contain at least 1 address"),
            many if many > MOST.1 => errors.too_many(&addresses, many, MOST.1),
            _ => {}
        }
        for (index, address) in endpoint.addresses.iter().enumerate() {
            slice_address(&slice.address_type, address, (&addresses, &addresses.index(index)), errors);
        }
        if let Some(node) = &endpoint.node_name {
            errors.invalid_each(&path.child("nodeName"), node, &names::object_name(node, false));
        }
        if let Some(host) = &endpoint.hostname {
            errors.invalid_each(&path.child("hostname"), host, &names::dns_label(host));
        }
    }
}

fn slice_address(kind: &str, address: &str, (all, one): (&Path<'_>, &Path<'_>), errors: &mut Errors) {
    match kind {
        "IPv4" => {
            if address.parse::<Ipv4Addr>().is_err() {
                errors.invalid(all, address, "must be an IPv4 address");
            }
            special_ip(address, one, errors);
        }
        "IPv6" => {
            if address.parse::<Ipv6Addr>().is_err() {
                errors.invalid(all, address, "must be an IPv6 address");
            }
            special_ip(address, one, errors);
        }
        "FQDN" => errors.invalid_each(one, address, &names::dns_subdomain(address)),
        _ => {}
    }
}

fn ports(slice: &EndpointSlice, errors: &mut Errors) {
    let root = Path::root("ports");
    let ports = slice.ports.as_deref().unwrap_or_default();
    if ports.len() > MOST.2 {
        return errors.too_many(&root, ports.len(), MOST.2);
    }
    let mut seen = BTreeSet::new();
    for (index, port) in ports.iter().enumerate() {
        let path = root.index(index);
        let name = port.name.as_deref().unwrap_or_default();
        if !name.is_empty() {
            errors.invalid_each(&path.child("name"), name, &names::dns_label(name));
        }
        if !seen.insert(name) {
            errors.duplicate(&path.child("name"), name);
        }
        match port.protocol.as_deref() {
            None => errors.required(&path.child("protocol"), ""),
            Some(known) if PROTOCOLS.contains(&known) => {}
            Some(other) => errors.not_supported(&path.child("protocol"), other, &PROTOCOLS),
        }
        if let Some(protocol) = &port.app_protocol {
            errors.invalid_each(&path.child("appProtocol"), protocol, &names::qualified_name(protocol));
        }
    }
}
