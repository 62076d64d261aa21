//! From the endpoints a Service should have and the slices it has to what is to be written: pure.
//!
//! Models: kubernetes v1.36.2 staging/src/k8s.io/endpointslice/{reconciler,utils}.go. Left out: IPv6, topology hints and traffic
//! distribution.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointConditions, EndpointPort, EndpointSlice};

use super::pods;
use crate::controllers::ownership::controller_reference;
use crate::objects::{Key, Kind, Labels, Name, ObjectMeta, Pod, Resource};

/// Endpoints a slice has at most; Kubernetes: MaxEndpointsPerSlice.
pub const MAX_ENDPOINTS: usize = 100;
/// The Service of a slice.
pub const SERVICE_NAME: &str = "kubernetes.io/service-name";
/// Who looks after a slice.
pub const MANAGED_BY: &str = "endpointslice.kubernetes.io/managed-by";
/// Who that is here.
pub const CONTROLLER: &str = "endpointslice-controller.k8s.io";
/// A Service without an address.
pub const HEADLESS: &str = "service.kubernetes.io/headless";
const IPV4: &str = "IPv4";

/// A slice.
pub type Slice = Resource<EndpointSlice>;

/// What is to be written, in this order.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// New slices.
    pub create: Vec<Slice>,
    /// Changed slices.
    pub update: Vec<Slice>,
    /// Slices to delete.
    pub delete: Vec<Key>,
    /// Pods that were left out because their node is not known.
    pub skipped: Vec<Name>,
}

/// Ports in a form that can be compared: name, port, protocol, application protocol.
type Ports = Vec<(String, Option<i32>, String, Option<String>)>;
/// Who an endpoint is, whatever its state.
type Identity = (Vec<String>, Option<String>, Option<String>);

fn identity(endpoint: &Endpoint) -> Identity {
    let name = endpoint.target_ref.as_ref().and_then(|pod| pod.name.clone());
    (endpoint.addresses.clone(), endpoint.hostname.clone(), name)
}

/// The endpoint of a pod, whose node is in `zone`.
fn endpoint(pod: &Pod, zone: Option<&str>, service: &Resource<Service>) -> Endpoint {
    let unready = service.api.spec.as_ref().and_then(|spec| spec.publish_not_ready_addresses).unwrap_or(false);
    let (serving, terminating) = (pod.ready(), pod.meta.deleting());
    Endpoint {
        addresses: pod.status.pod_ip.iter().map(ToString::to_string).collect(),
        conditions: Some(EndpointConditions {
            ready: Some(unready || (serving && !terminating)),
            serving: Some(serving),
            terminating: Some(terminating),
        }),
        hostname: pods::hostname(pod, service),
        node_name: pod.node.as_ref().map(ToString::to_string),
        target_ref: Some(pods::reference(pod)),
        zone: zone.filter(|zone| !zone.is_empty()).map(str::to_owned),
        ..Endpoint::default()
    }
}

fn ports(pod: &Pod, service: &Resource<Service>) -> Ports {
    let ports = service.api.spec.iter().flat_map(|spec| spec.ports.iter().flatten());
    let mut ports: Ports = ports
        .filter_map(|port| {
            let number = pods::port_number(pod, port)?;
            let name = port.name.clone().unwrap_or_default();
            Some((name, Some(number), pods::protocol(port).to_owned(), port.app_protocol.clone()))
        })
        .collect();
    ports.sort();
    ports
}

fn ports_of(slice: &Slice) -> Ports {
    let ports = slice.api.ports.iter().flatten();
    let mut ports: Ports = ports
        .map(|port| {
            let text = |text: &Option<String>| text.clone().unwrap_or_default();
            (text(&port.name), port.port, text(&port.protocol), port.app_protocol.clone())
        })
        .collect();
    ports.sort();
    ports
}

/// What to write so that `existing` slices become those of `pods`, given where each pod's node is (`None`: there is no such node).
pub fn plan<'a>(
    service: &Resource<Service>,
    pods: impl Iterator<Item = (&'a Pod, Option<Option<&'a str>>)>,
    existing: &[Slice],
) -> Plan {
    let mut plan = Plan::default();
    let owned = |slice: &&Slice| {
        slice.meta.owners.iter().any(|owner| owner.uid == service.meta.uid && &*owner.kind == Kind::Service.name())
            && slice.api.address_type == IPV4
    };
    let mut by_ports: BTreeMap<Ports, Vec<&Slice>> = BTreeMap::new();
    let mut doomed: Vec<&Slice> = existing.iter().filter(|slice| !owned(slice)).collect();
    for slice in existing.iter().filter(owned) {
        by_ports.entry(ports_of(slice)).or_default().push(slice);
    }
    let unready = service.api.spec.as_ref().and_then(|spec| spec.publish_not_ready_addresses).unwrap_or(false);
    let mut desired: BTreeMap<Ports, Vec<Endpoint>> = BTreeMap::new();
    for (pod, zone) in pods.filter(|(pod, _)| pods::belongs(pod, true)) {
        let group = desired.entry(ports(pod, service)).or_default();
        if zone.is_none() && !unready {
            plan.skipped.push(pod.meta.name.clone());
            continue;
        }
        group.push(endpoint(pod, zone.flatten(), service));
    }
    for (ports, endpoints) in desired {
        let slices = by_ports.remove(&ports).unwrap_or_default();
        group(service, &ports, endpoints, &slices, &mut plan, &mut doomed);
    }
    doomed.extend(by_ports.into_values().flatten());
    if existing.len() == doomed.len() && plan.create.is_empty() {
        let placeholder = new_slice(service, &Ports::new());
        let same = |slice: &Slice| {
            slice.api.endpoints.iter().flatten().next().is_none()
                && slice.api.ports.iter().flatten().next().is_none()
                && slice.api.address_type == IPV4
                && slice.meta.labels == placeholder.meta.labels
                && slice.meta.owners == placeholder.meta.owners
        };
        match &doomed[..] {
            [only] if same(only) => doomed.clear(),
            _ => plan.create.push(placeholder),
        }
    }
    // What would be created takes the place of what would be deleted.
    doomed.retain(|slice| {
        if owned(slice)
            && let Some(mut new) = plan.create.pop()
        {
            new.meta.name = slice.meta.name.clone();
            plan.update.push(new);
            return false;
        }
        true
    });
    plan.delete = doomed.iter().map(|slice| slice.meta.key()).collect();
    if service.meta.deleting() {
        plan.create.clear();
    }
    plan
}

/// The slices of one set of ports. Kubernetes: reconcileByPortMapping.
fn group<'a>(
    service: &Resource<Service>,
    ports: &Ports,
    endpoints: Vec<Endpoint>,
    slices: &[&'a Slice],
    plan: &mut Plan,
    doomed: &mut Vec<&'a Slice>,
) {
    let mut desired: BTreeMap<Identity, Endpoint> = BTreeMap::new();
    let mut order: Vec<Identity> = Vec::new();
    for endpoint in endpoints {
        let identity = identity(&endpoint);
        order.push(identity.clone());
        desired.insert(identity, endpoint);
    }
    let (mut changed, mut unchanged): (Vec<Slice>, Vec<&Slice>) = (Vec::new(), Vec::new());
    for slice in slices {
        let (mut kept, mut differs, mut had) = (Vec::new(), false, 0);
        for endpoint in slice.api.endpoints.iter().flatten() {
            had += 1;
            if let Some(wanted) = desired.remove(&identity(endpoint)) {
                differs |= wanted != *endpoint;
                kept.push(wanted);
            }
        }
        let labels = labels(service);
        if differs || had != kept.len() {
            if kept.is_empty() {
                doomed.push(slice);
                continue;
            }
            changed.push(with_endpoints(slice, kept, labels));
        } else if !same_labels(&slice.meta.labels, &labels) {
            changed.push(with_endpoints(slice, kept, labels));
        } else {
            unchanged.push(slice);
        }
    }
    let mut left = order.into_iter().filter_map(|identity| desired.remove(&identity)).collect::<Vec<_>>().into_iter();
    let fill = |slice: &mut Slice, left: &mut std::vec::IntoIter<Endpoint>| {
        let api = Arc::make_mut(&mut slice.api);
        let endpoints = api.endpoints.get_or_insert_default();
        let room = MAX_ENDPOINTS.saturating_sub(endpoints.len());
        endpoints.extend(left.by_ref().take(room));
    };
    changed.sort_by_key(|slice| std::cmp::Reverse(slice.api.endpoints.as_ref().map_or(0, Vec::len)));
    changed.iter_mut().for_each(|slice| fill(slice, &mut left));
    while left.len() > 0 {
        let place = if left.len() < MAX_ENDPOINTS { roomiest_fit(&unchanged, left.len()) } else { None };
        match place {
            Some(place) => {
                let mut slice = unchanged.remove(place).clone();
                fill(&mut slice, &mut left);
                changed.push(slice);
            }
            None => {
                let mut slice = new_slice(service, ports);
                fill(&mut slice, &mut left);
                plan.create.push(slice);
            }
        }
    }
    plan.update.append(&mut changed);
}

/// The slice that is fullest when so many endpoints are added, and has room for them. Kubernetes: getSliceToFill.
fn roomiest_fit(slices: &[&Slice], added: usize) -> Option<usize> {
    let fit = |(place, slice): (usize, &&Slice)| {
        let len = slice.api.endpoints.as_ref().map_or(0, Vec::len);
        MAX_ENDPOINTS.checked_sub(added + len).filter(|room| *room < MAX_ENDPOINTS).map(|room| (room, place))
    };
    slices.iter().enumerate().filter_map(fit).min().map(|(_, place)| place)
}

fn with_endpoints(slice: &Slice, endpoints: Vec<Endpoint>, labels: Labels) -> Slice {
    let mut next = slice.clone();
    next.meta.labels = Arc::new(labels);
    Arc::make_mut(&mut next.api).endpoints = Some(endpoints);
    next
}

/// The Service's labels and those of the controller.
fn labels(service: &Resource<Service>) -> Labels {
    let mut labels: Labels = (*service.meta.labels).clone();
    labels.remove(HEADLESS);
    if !pods::has_address(service) {
        labels.insert(HEADLESS.into(), "".into());
    }
    labels.insert(SERVICE_NAME.into(), service.meta.name.clone());
    labels.insert(MANAGED_BY.into(), CONTROLLER.into());
    labels
}

/// Whether labels agree but for the controller's own.
fn same_labels(a: &Labels, b: &Labels) -> bool {
    let others = |labels: &Labels| -> Vec<(Name, Name)> {
        let own = |key: &Name| [HEADLESS, SERVICE_NAME, MANAGED_BY].contains(&&**key);
        labels.iter().filter(|(key, _)| !own(key)).map(|(key, value)| (key.clone(), value.clone())).collect()
    };
    others(a) == others(b)
}

fn new_slice(service: &Resource<Service>, ports: &Ports) -> Slice {
    let meta = ObjectMeta {
        generate_name: Some(format!("{}-", service.meta.name).into()),
        labels: Arc::new(labels(service)),
        owners: Arc::new([controller_reference(Kind::Service, &service.meta)]),
        ..ObjectMeta::named(&service.meta.namespace, "")
    };
    let port = |(name, port, protocol, app): &(String, Option<i32>, String, Option<String>)| EndpointPort {
        name: Some(name.clone()),
        port: *port,
        protocol: Some(protocol.clone()),
        app_protocol: app.clone(),
    };
    let api = EndpointSlice {
        address_type: IPV4.to_owned(),
        endpoints: Some(Vec::new()),
        ports: Some(ports.iter().map(port).collect()),
        ..EndpointSlice::default()
    };
    Resource { meta, api: Arc::new(api), compiled: Arc::new(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    use crate::kernel::Instant;
    use crate::objects::{Condition, Uid, compact};

    fn service() -> Resource<Service> {
        let value = json!({
            "metadata": {"namespace": "a", "name": "web"},
            "spec": {"clusterIP": "10.96.0.9", "selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": "http"}]},
        });
        let mut service = Resource::new(serde_json::from_value(value).expect("a service"), &|_| {});
        service.meta.uid = Uid(7);
        service
    }

    fn pods(n: usize, port: i32) -> Vec<Pod> {
        let pod = |i: usize| {
            let ports = json!([{"name": "http", "containerPort": port}]);
            let value = json!({
                "metadata": {"namespace": "a", "name": format!("p{i:03}")},
                "spec": {"nodeName": "n", "containers": [{"name": "a", "image": "x", "ports": ports}]},
            });
            let mut pod = compact::pod(serde_json::from_value(value).expect("a pod"));
            pod.status.pod_ip = Some(std::net::Ipv4Addr::new(10, 0, (i / 250) as u8, (i % 250) as u8));
            pod.status.conditions.push(Condition::new("Ready", true, Instant::START));
            pod
        };
        (0..n).map(pod).collect()
    }

    fn planned(pods: &[Pod], existing: &[Slice]) -> Plan {
        plan(&service(), pods.iter().map(|pod| (pod, Some(None))), existing)
    }

    fn named(mut slices: Vec<Slice>) -> Vec<Slice> {
        for (i, slice) in slices.iter_mut().enumerate() {
            slice.meta.name = format!("s{i}").into();
        }
        slices
    }

    fn sizes(slices: &[Slice]) -> Vec<usize> {
        slices.iter().map(|slice| slice.api.endpoints.as_ref().map_or(0, Vec::len)).collect()
    }

    #[test]
    fn slices_hold_a_hundred_and_one_without_pods_holds_the_place() {
        let none = planned(&[], &[]);
        assert_eq!((sizes(&none.create), none.create[0].api.ports.as_ref().map(Vec::len)), (vec![0], Some(0)));
        let placeholder = named(none.create);
        assert!(planned(&[], &placeholder).create.is_empty() && planned(&[], &placeholder).update.is_empty());
        // The first pods take the placeholder's place, under its name.
        let first = planned(&pods(3, 80), &placeholder);
        assert_eq!((sizes(&first.update), &*first.update[0].meta.name, first.create.len()), (vec![3], "s0", 0));
        assert_eq!(sizes(&planned(&pods(230, 80), &[]).create), [100, 100, 30]);
    }

    #[test]
    fn changed_slices_are_filled_first_and_then_the_fullest_that_has_room() {
        let all = pods(155, 80);
        let slices = named(planned(&all, &[]).create);
        assert_eq!(sizes(&slices), [100, 55]);
        // One of the first slice is gone, so it takes the new one.
        let mut next = all.clone();
        next[3] = pods(156, 80).remove(155);
        let plan = planned(&next, &slices);
        assert_eq!((sizes(&plan.update), &*plan.update[0].meta.name), (vec![100], "s0"));
        // Nothing else changes: the second has room.
        let plan = planned(&pods(160, 80), &slices);
        assert_eq!((sizes(&plan.update), plan.create.len()), (vec![60], 0));
        let plan = planned(&pods(205, 80), &slices);
        assert_eq!((sizes(&plan.create), plan.update.len()), (vec![50], 0));
    }

    #[test]
    fn pods_whose_ports_differ_have_slices_of_their_own() {
        let mut mixed = pods(3, 80);
        mixed[1] = pods(2, 8080).remove(1);
        assert_eq!(sizes(&planned(&mixed, &[]).create), [2, 1]);
        let ended =
            Pod { status: crate::objects::PodStatus { pod_ip: None, ..mixed[0].status.clone() }, ..mixed[0].clone() };
        mixed[0] = ended;
        assert_eq!(sizes(&planned(&mixed, &[]).create), [1, 1]);
    }
}
