//! Services: their addresses and node ports, given when they are stored.
//!
//! Models: kubernetes v1.36.2 pkg/registry/core/service/storage/{alloc,storage}.go, service/ipallocator/ipallocator.go,
//! service/portallocator/{allocator.go}, pkg/registry/core/service/strategy.go (patchAllocatedValues). A free address is drawn at random from the
//! upper, dynamic band of its range; the lower band is for those who name theirs, until the upper one is full. Left out: IPv6,
//! the bitmap of node ports in etcd (`/registry/ranges/servicenodeports`): Services say which are taken.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{Service, ServiceSpec};
use k8s_openapi::api::networking::v1::{IPAddress, IPAddressSpec, ParentReference};

use super::Context;
use crate::apiserver::cache::WatchCache;
use crate::apiserver::request::ListOptions;
use crate::apiserver::status::Status;
use crate::apiserver::validation::{self, ErrorType, FieldError};
use crate::kernel::Luck;
use crate::objects::{Key, Kind, Labels, Object, ObjectMeta, Resource};

/// The addresses of Services: 10.96.0.0/12, as installers set it.
const FIRST: u32 = u32::from_be_bytes([10, 96, 0, 0]);
const ADDRESSES: u32 = 1 << 20;
/// Below it are addresses for those who name theirs; Kubernetes: calculateRangeOffset.
const STATIC_ADDRESSES: u32 = 256;
/// The ports of nodes, and how many of them are first left to those who name theirs.
const PORTS: std::ops::RangeInclusive<i32> = 30_000..=32_767;
const STATIC_PORTS: i32 = 86;

/// The address of the API server's own Service.
pub const API_SERVER: Ipv4Addr = Ipv4Addr::new(10, 96, 0, 1);

/// Gives a Service that is to be stored what it lacks.
pub(super) fn allocate(context: &mut Context<'_>, service: &mut Resource<Service>) -> Result<(), Status> {
    let name = service.meta.name.clone();
    let key = service.meta.key();
    let mut spec = service.api.spec.clone().unwrap_or_default();
    let type_ = spec.type_.get_or_insert_with(|| "ClusterIP".to_owned()).clone();
    if type_ == "ExternalName" {
        (spec.cluster_ip, spec.cluster_ips, spec.ip_families, spec.ip_family_policy) = (None, None, None, None);
    } else {
        families(&name, &mut spec)?;
        address(context, &key, &mut spec)?;
    }
    let wants_ports = match type_.as_str() {
        "NodePort" => true,
        "LoadBalancer" => spec.allocate_load_balancer_node_ports.unwrap_or(true),
        _ => false,
    };
    if wants_ports {
        node_ports(context, &key, &mut spec)?;
    }
    if service.api.spec.as_ref() != Some(&spec) {
        Arc::make_mut(&mut service.api).spec = Some(spec);
    }
    Ok(())
}

fn families(name: &str, spec: &mut ServiceSpec) -> Result<(), Status> {
    let selects = spec.selector.as_ref().is_some_and(|labels| !labels.is_empty());
    let anywhere = spec.cluster_ip.as_deref() == Some("None") && !selects;
    let policy = spec
        .ip_family_policy
        .get_or_insert_with(|| if anywhere { "RequireDualStack" } else { "SingleStack" }.to_owned());
    if policy == "RequireDualStack" && !anywhere {
        let detail = "this cluster is not configured for dual-stack services";
        return Err(invalid(name, "spec.ipFamilyPolicy", format!("\"{policy}\""), detail));
    }
    let dual = policy != "SingleStack" && anywhere;
    let families = spec.ip_families.get_or_insert_default();
    if families.is_empty() {
        families.push("IPv4".to_owned());
    }
    if dual && families.len() == 1 {
        families.push(if families[0] == "IPv4" { "IPv6" } else { "IPv4" }.to_owned());
    }
    if let Some(place) = families.iter().position(|family| family == "IPv6").filter(|_| !anywhere) {
        let field = format!("spec.ipFamilies[{place}]");
        return Err(invalid(name, &field, "\"IPv6\"".to_owned(), "not configured on this cluster"));
    }
    Ok(())
}

fn address(context: &mut Context<'_>, service: &Key, spec: &mut ServiceSpec) -> Result<(), Status> {
    let given = spec.cluster_ips.as_ref().and_then(|all| all.first().cloned());
    let given = spec.cluster_ip.clone().or(given).filter(|ip| !ip.is_empty());
    let address = match given {
        Some(none) if none == "None" => none,
        Some(text) => {
            let taken = |detail: &str| {
                let detail = format!("failed to allocate IP {text}: {detail}");
                Err(invalid(&service.name, "spec.clusterIPs", format!("[\"{text}\"]"), &detail))
            };
            let ip: Option<Ipv4Addr> = text.parse().ok();
            let inside = |ip: Ipv4Addr| (FIRST + 1..FIRST + ADDRESSES - 1).contains(&u32::from(ip));
            if !ip.is_some_and(inside) {
                return taken("the provided network does not match the current range");
            }
            match holder(context.cache, &text) {
                Some(other) if other != *service => return taken("provided IP is already allocated"),
                _ => text,
            }
        }
        None => match draw(context.cache, &mut context.luck) {
            Some(ip) => ip.to_string(),
            None => {
                let why = "failed to allocate a serviceIP: range is full";
                return Err(Status::internal(format!("failed to allocate a serviceIP: {why}")));
            }
        },
    };
    spec.cluster_ips = Some(vec![address.clone()]);
    spec.cluster_ip = Some(address);
    Ok(())
}

/// The Service that has an address.
fn holder(cache: &WatchCache, ip: &str) -> Option<Key> {
    let object = cache.get(Kind::IPAddress, &Key::new("", ip))?;
    let parent = object.as_resource::<IPAddress>()?.api.spec.parent_ref.clone();
    Some(Key::new(&parent.namespace.unwrap_or_default(), &parent.name))
}

fn draw(cache: &WatchCache, luck: &mut Luck) -> Option<Ipv4Addr> {
    let bands = [(FIRST + STATIC_ADDRESSES, FIRST + ADDRESSES - 1), (FIRST + 1, FIRST + STATIC_ADDRESSES)];
    bands.into_iter().find_map(|(first, end)| {
        let start = luck.below(u64::from(end - first)) as u32;
        let all = (0..end - first).map(|n| Ipv4Addr::from(first + (start + n) % (end - first)));
        all.into_iter().find(|ip| cache.get(Kind::IPAddress, &Key::new("", &ip.to_string())).is_none())
    })
}

fn node_ports(context: &mut Context<'_>, service: &Key, spec: &mut ServiceSpec) -> Result<(), Status> {
    let local =
        spec.type_.as_deref() == Some("LoadBalancer") && spec.external_traffic_policy.as_deref() == Some("Local");
    let lacks = |port: Option<i32>| port.is_none_or(|port| port == 0);
    let mut taken: BTreeSet<(String, i32)> = BTreeSet::new();
    for other in context.cache.list(Kind::Service, &"".into(), &ListOptions::default()) {
        if other.key() == *service {
            continue;
        }
        let Some(spec) = other.as_resource::<Service>().and_then(|other| other.api.spec.as_ref()) else { continue };
        let ports = spec.ports.iter().flatten();
        let ports = ports.filter_map(|port| Some((port.protocol.clone().unwrap_or_default(), port.node_port?)));
        taken.extend(ports.chain(spec.health_check_node_port.map(|port| ("TCP".to_owned(), port))));
    }
    for (place, port) in spec.ports.iter().flatten().enumerate() {
        let Some(number) = port.node_port.filter(|number| *number != 0) else { continue };
        let refused =
            |detail| invalid(&service.name, &format!("spec.ports[{place}].nodePort"), number.to_string(), detail);
        if !PORTS.contains(&number) {
            return Err(refused("provided port is not in the valid range. The range of valid ports is 30000-32767"));
        }
        let own = (port.protocol.clone().unwrap_or_default(), number);
        if taken.iter().any(|(protocol, taken)| *taken == number && *protocol == own.0) {
            return Err(refused("provided port is already allocated"));
        }
    }
    let named = spec.ports.iter().flatten().filter_map(|port| port.node_port);
    let mut used: BTreeSet<i32> = taken.into_iter().map(|(_, number)| number).chain(named).collect();
    let mut given: Vec<(i32, String, i32)> = Vec::new();
    let full = || Status::internal("failed to allocate a nodePort: range is full");
    for port in spec.ports.iter_mut().flatten().filter(|port| lacks(port.node_port)) {
        // One number serves TCP and UDP of the same port.
        let protocol = port.protocol.clone().unwrap_or_default();
        let shared = given.iter().find(|(number, other, _)| *number == port.port && *other != protocol);
        let number = match shared {
            Some((_, _, number)) => *number,
            None => draw_port(&used, &mut context.luck).ok_or_else(full)?,
        };
        used.insert(number);
        given.push((port.port, protocol, number));
        port.node_port = Some(number);
    }
    if local && lacks(spec.health_check_node_port) {
        spec.health_check_node_port = Some(draw_port(&used, &mut context.luck).ok_or_else(full)?);
    }
    Ok(())
}

fn draw_port(used: &BTreeSet<i32>, luck: &mut Luck) -> Option<i32> {
    let (first, last) = (*PORTS.start(), *PORTS.end());
    let bands = [(first + STATIC_PORTS, last + 1), (first, first + STATIC_PORTS)];
    bands.into_iter().find_map(|(first, end)| {
        let start = luck.below((end - first) as u64) as i32;
        (0..end - first).map(|n| first + (start + n) % (end - first)).find(|port| !used.contains(port))
    })
}

/// What an update leaves out and the Service has already. Kubernetes: patchAllocatedValues.
pub(super) fn keep_allocated(new: &mut Service, old: &Service) {
    let (Some(new), Some(old)) = (&mut new.spec, &old.spec) else { return };
    let has_address = |spec: &ServiceSpec| spec.type_.as_deref() != Some("ExternalName");
    if has_address(new) && has_address(old) {
        if new.cluster_ip.as_ref().is_none_or(String::is_empty) {
            new.cluster_ip = old.cluster_ip.clone();
        }
        if new.cluster_ips.as_ref().is_none_or(Vec::is_empty) && new.cluster_ip == old.cluster_ip {
            new.cluster_ips = old.cluster_ips.clone();
        }
        if new.ip_families.as_ref().is_none_or(Vec::is_empty) {
            new.ip_families = old.ip_families.clone();
        }
        if new.ip_family_policy.is_none() {
            new.ip_family_policy = old.ip_family_policy.clone();
        }
    }
    let has_ports = |spec: &ServiceSpec| matches!(spec.type_.as_deref(), Some("NodePort" | "LoadBalancer"));
    if has_ports(new) && has_ports(old) {
        let before: Vec<_> = old.ports.iter().flatten().cloned().collect();
        let used: Vec<i32> = new.ports.iter().flatten().filter_map(|port| port.node_port).collect();
        for port in new.ports.iter_mut().flatten().filter(|port| port.node_port.is_none_or(|number| number == 0)) {
            let same =
                |old: &&k8s_openapi::api::core::v1::ServicePort| old.port == port.port && old.protocol == port.protocol;
            port.node_port =
                before.iter().find(same).and_then(|old| old.node_port).filter(|number| !used.contains(number));
        }
        if new.health_check_node_port.is_none_or(|port| port == 0) {
            new.health_check_node_port = old.health_check_node_port;
        }
    }
}

/// The addresses that a Service holds.
pub(in crate::apiserver) fn addresses(object: &Object) -> Vec<Key> {
    let Some(spec) = object.as_resource::<Service>().and_then(|service| service.api.spec.as_ref()) else {
        return Vec::new();
    };
    let addresses = spec.cluster_ips.iter().flatten().filter(|ip| *ip != "None" && !ip.is_empty());
    addresses.map(|ip| Key::new("", ip)).collect()
}

/// The object that says that `service` holds the address `key`.
pub(in crate::apiserver) fn address_object(key: &Key, service: &ObjectMeta, like: &ObjectMeta) -> Object {
    let labels = [
        ("ipaddress.kubernetes.io/ip-family".into(), "IPv4".into()),
        ("ipaddress.kubernetes.io/managed-by".into(), "ipallocator.k8s.io".into()),
    ];
    let parent = ParentReference {
        group: Some(String::new()),
        resource: "services".to_owned(),
        namespace: Some(service.namespace.to_string()),
        name: service.name.to_string(),
    };
    let api = IPAddress { spec: IPAddressSpec { parent_ref: parent }, ..IPAddress::default() };
    let meta = ObjectMeta {
        uid: like.uid,
        created: like.created,
        labels: Arc::new(Labels::from(labels)),
        ..ObjectMeta::named("", &key.name)
    };
    Object::IPAddress(Resource { meta, api: Arc::new(api), compiled: Arc::new(()) })
}

fn invalid(name: &str, field: &str, value: String, detail: &str) -> Status {
    let error = FieldError { kind: ErrorType::Invalid, field: field.to_owned(), value, detail: detail.to_owned() };
    Status::from_json(&validation::invalid_status(Kind::Service, name, &[error]))
}
