//! The subsets of an Endpoints object: addresses by the ports they serve, at most a thousand.
//!
//! Models: kubernetes v1.36.2 pkg/api/v1/endpoints/util.go (RepackSubsets), pkg/controller/endpoint/endpoints_controller.go (truncateEndpoints).
//! Differs: subsets and ports are in the order of their content, upstream's in that of its hash.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use k8s_openapi::api::core::v1::{EndpointAddress, EndpointPort, EndpointSubset, Service};

use super::pods;
use crate::objects::{Pod, Resource, Uid};

/// Addresses at most; Kubernetes: maxCapacity.
const CAPACITY: usize = 1000;

/// Name, port, protocol, application protocol.
type Port = (Option<String>, i32, String, Option<String>);
/// Pods by address and uid, and whether they are ready.
type Addresses<'a> = BTreeMap<(Ipv4Addr, Uid), (&'a Pod, bool)>;

/// The subsets of a Service's pods.
pub fn of<'a>(service: &Resource<Service>, pods: impl Iterator<Item = &'a Pod>) -> Vec<EndpointSubset> {
    let Some(spec) = &service.api.spec else { return Vec::new() };
    let unready = spec.publish_not_ready_addresses.unwrap_or(false);
    let ports = spec.ports.as_deref().unwrap_or_default();
    let portless = ports.is_empty() && spec.cluster_ip.as_deref() == Some("None");
    let mut by_ports: BTreeMap<Vec<Port>, Addresses<'a>> = BTreeMap::new();
    for pod in pods.filter(|pod| pods::belongs(pod, unready)) {
        let Some(ip) = pod.status.pod_ip else { continue };
        let mut offered: Vec<Port> = ports
            .iter()
            .filter_map(|port| {
                let number = pods::port_number(pod, port)?;
                let name = port.name.clone().filter(|name| !name.is_empty());
                Some((name, number, pods::protocol(port).to_owned(), port.app_protocol.clone()))
            })
            .collect();
        offered.sort();
        // Upstream repacks by port, and an address without one is in no subset.
        if !offered.is_empty() && !portless {
            by_ports.entry(offered).or_default().insert((ip, pod.meta.uid), (pod, unready || pod.ready()));
        }
    }
    let subset = |(ports, addresses): (Vec<Port>, Addresses<'a>)| {
        let some = |wanted: bool| {
            let all = addresses.values().filter(|(_, ready)| *ready == wanted);
            let mut all: Vec<EndpointAddress> = all.map(|(pod, _)| address(pod, service)).collect();
            // As texts, like upstream.
            all.sort_by(|a, b| a.ip.cmp(&b.ip));
            Some(all).filter(|all| !all.is_empty())
        };
        let port = |(name, port, protocol, app): &Port| EndpointPort {
            name: name.clone(),
            port: *port,
            protocol: Some(protocol.clone()),
            app_protocol: app.clone(),
        };
        EndpointSubset {
            addresses: some(true),
            not_ready_addresses: some(false),
            ports: Some(ports.iter().map(port).collect()),
        }
    };
    by_ports.into_iter().map(subset).collect()
}

fn address(pod: &Pod, service: &Resource<Service>) -> EndpointAddress {
    EndpointAddress {
        ip: pod.status.pod_ip.map(|ip| ip.to_string()).unwrap_or_default(),
        hostname: pods::hostname(pod, service),
        node_name: pod.node.as_ref().map(ToString::to_string),
        target_ref: Some(pods::reference(pod)),
    }
}

/// Cuts what is too much, those that are not ready first, from each subset in proportion; whether anything was.
pub fn truncate(subsets: &mut Vec<EndpointSubset>) -> bool {
    let len = |addresses: &Option<Vec<EndpointAddress>>| addresses.as_ref().map_or(0, Vec::len);
    let ready: usize = subsets.iter().map(|subset| len(&subset.addresses)).sum();
    let unready: usize = subsets.iter().map(|subset| len(&subset.not_ready_addresses)).sum();
    if ready + unready <= CAPACITY {
        return false;
    }
    let cut_ready = ready > CAPACITY;
    let (room, total) = if cut_ready { (CAPACITY, ready) } else { (CAPACITY - ready, unready) };
    let (mut left, last) = (room, subsets.len().saturating_sub(1));
    for (i, subset) in subsets.iter_mut().enumerate() {
        let here = if cut_ready { len(&subset.addresses) } else { len(&subset.not_ready_addresses) };
        let share = if i == last { left } else { (here * room / total.max(1)).min(left) };
        left = left.saturating_sub(share);
        if cut_ready {
            subset.addresses.get_or_insert_default().truncate(share);
            subset.not_ready_addresses = None;
        } else if let Some(addresses) = &mut subset.not_ready_addresses {
            addresses.truncate(share);
        }
        for addresses in [&mut subset.addresses, &mut subset.not_ready_addresses] {
            if addresses.as_ref().is_some_and(Vec::is_empty) {
                *addresses = None;
            }
        }
    }
    subsets.retain(|subset| subset.addresses.is_some() || subset.not_ready_addresses.is_some());
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thousand_addresses_stay() {
        let addresses = |n: usize| {
            let address =
                |i: usize| EndpointAddress { ip: format!("10.0.{}.{}", i / 250, i % 250), ..Default::default() };
            Some((0..n).map(address).collect::<Vec<_>>())
        };
        let mut few = vec![EndpointSubset { addresses: addresses(1000), ..Default::default() }];
        assert!(!truncate(&mut few));
        let mut many =
            vec![EndpointSubset { addresses: addresses(900), not_ready_addresses: addresses(300), ports: None }];
        assert!(truncate(&mut many));
        let sizes = |subset: &EndpointSubset| {
            (subset.addresses.as_ref().map_or(0, Vec::len), subset.not_ready_addresses.as_ref().map_or(0, Vec::len))
        };
        assert_eq!(sizes(&many[0]), (900, 100));
        let mut ready =
            vec![EndpointSubset { addresses: addresses(1500), not_ready_addresses: addresses(3), ports: None }];
        assert!(truncate(&mut ready));
        assert_eq!(sizes(&ready[0]), (1000, 0));
    }
}
