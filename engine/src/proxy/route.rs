//! Where a node's rules send a new connection to a Service: pure.
//!
//! Ready endpoints are used; if there are none, those that are being ended and still serve. Policy `Local` knows only the endpoints of
//! the node itself. Hints of topology count if every ready endpoint has some and one of them means this place.
//!
//! Models: kubernetes v1.36.2 pkg/proxy/topology.go (CategorizeEndpoints, topologyModeFromHints), pkg/proxy/iptables/proxier.go (which
//! traffic is rejected, and which dropped). Left out: external and load balancers' addresses, `loadBalancerSourceRanges`, source
//! addresses (masquerading), a node's own pods that reach a `Local` Service by its external address.

use std::net::Ipv4Addr;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{Service, ServicePort};
use k8s_openapi::api::discovery::v1::EndpointSlice;

use super::Tables;
use crate::controllers::endpoints::SERVICE_NAME;
use crate::kernel::Duration;
use crate::objects::{Key, Object, Resource};

/// How long a client stays with its endpoint, unless the Service says something else. – Kubernetes: DefaultClientIPServiceAffinitySeconds.
const AFFINITY: Duration = Duration::from_secs(10_800);

/// What becomes of a new connection.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Route {
    /// It goes to one of these, each as likely as the other.
    To(Arc<[Ipv4Addr]>),
    /// The Service has no endpoints anywhere: the node says so (`REJECT`), the client sees that the connection is refused.
    Reject,
    /// Nobody answers: there are endpoints, but none that this node may use (`DROP`), or there are no rules.
    Drop,
}

/// The rules of a node for a port of a Service.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Resolved {
    /// Where to.
    pub route: Route,
    /// How long a client stays with its endpoint; `None` without session affinity.
    pub affinity: Option<Duration>,
    /// Whether it is the same on every node.
    pub everywhere: bool,
}

/// Which endpoints may be used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Policy {
    /// Those of all nodes.
    Cluster,
    /// Those of the node itself.
    Local,
}

/// An endpoint as the proxies see it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Backend {
    /// Its address.
    pub address: Option<Ipv4Addr>,
    /// Its node.
    pub node: String,
    /// Takes new connections.
    pub ready: bool,
    /// Answers, whether or not it is being ended.
    pub serving: bool,
    /// Is being ended.
    pub terminating: bool,
    /// The zones that are to use it.
    pub zones: Vec<String>,
    /// The nodes that are to use it.
    pub nodes: Vec<String>,
}

/// Where the rules are.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// The node.
    pub node: &'a str,
    /// Its zone; empty for none.
    pub zone: &'a str,
}

/// Which port of a Service, and from where it is reached.
#[derive(Clone, Copy, Debug)]
pub struct Door<'a> {
    /// The port's name or number; `None`: the first.
    pub port: Option<&'a str>,
    /// Through a node's port, from outside the cluster.
    pub outside: bool,
}

/// The endpoints that a policy leaves to a place.
pub fn route(backends: &[Backend], policy: Policy, place: Place<'_>) -> Route {
    let last_resort = |backend: &Backend| backend.serving && backend.terminating;
    let hinted = match policy {
        Policy::Cluster => hints(backends, place),
        Policy::Local => Hints::None,
    };
    let here = |backend: &&Backend| policy == Policy::Cluster || backend.node == place.node;
    let meant = |backend: &&Backend| match hinted {
        Hints::None => true,
        Hints::Zone => backend.zones.iter().any(|zone| zone == place.zone),
        Hints::Node => backend.nodes.iter().any(|node| node == place.node),
    };
    let ready = backends.iter().filter(here).filter(|backend| backend.ready).filter(meant);
    let mut chosen: Vec<Ipv4Addr> = ready.filter_map(|backend| backend.address).collect();
    if chosen.is_empty() {
        let ending = backends.iter().filter(here).filter(|backend| last_resort(backend));
        chosen = ending.filter_map(|backend| backend.address).collect();
    }
    if !chosen.is_empty() {
        return Route::To(chosen.into());
    }
    match backends.iter().any(|backend| backend.ready || last_resort(backend)) {
        true => Route::Drop,
        false => Route::Reject,
    }
}

enum Hints {
    None,
    Zone,
    Node,
}

fn hints(backends: &[Backend], place: Place<'_>) -> Hints {
    let heeded = |of: fn(&Backend) -> &Vec<String>, here: &str| {
        let mut ready = backends.iter().filter(|backend| backend.ready).map(of).peekable();
        let mut meant = false;
        !here.is_empty()
            && ready.peek().is_some()
            && ready.all(|hints| {
                meant |= hints.iter().any(|hint| hint == here);
                !hints.is_empty()
            })
            && meant
    };
    if heeded(|backend| &backend.nodes, place.node) {
        Hints::Node
    } else if heeded(|backend| &backend.zones, place.zone) {
        Hints::Zone
    } else {
        Hints::None
    }
}

/// Why nobody can send requests to a Service in some way.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Unreachable {
    /// It is a name of something else (`ExternalName`), or no Service.
    Foreign,
    /// It has no address.
    Headless,
    /// It has no node ports.
    FromOutside,
    /// It has no such port; these are its own.
    Port(Vec<String>),
}

/// Whether requests can be sent to a Service: to a port, by name or number, or else its first.
///
/// # Errors
/// Why they cannot.
pub fn reachable(object: &Object, port: Option<&str>, outside: bool) -> Result<(), Unreachable> {
    let service: &Resource<Service> = object.as_resource().ok_or(Unreachable::Foreign)?;
    let spec = service.api.spec.as_ref().ok_or(Unreachable::Headless)?;
    match (spec.type_.as_deref(), spec.cluster_ip.as_deref()) {
        (Some("ExternalName"), _) => return Err(Unreachable::Foreign),
        (_, None | Some("None" | "")) => return Err(Unreachable::Headless),
        (Some("NodePort" | "LoadBalancer"), _) => {}
        _ if outside => return Err(Unreachable::FromOutside),
        _ => {}
    }
    if port_of(service, port).is_none() {
        let ports = spec.ports.iter().flatten().map(|port| port.port.to_string());
        return Err(Unreachable::Port(ports.collect()));
    }
    Ok(())
}

/// The port of a Service that is meant.
fn port_of<'a>(service: &'a Resource<Service>, port: Option<&str>) -> Option<&'a ServicePort> {
    let mut ports = service.api.spec.iter().flat_map(|spec| spec.ports.iter().flatten());
    match port {
        None => ports.next(),
        Some(wanted) => ports.find(|one| one.name.as_deref() == Some(wanted) || one.port.to_string() == wanted),
    }
}

/// What the rules made of these tables say of a Service at a place.
pub fn resolve(tables: &Tables, service: &Key, door: Door<'_>, place: Place<'_>) -> Resolved {
    let unknown = Resolved { route: Route::Drop, affinity: None, everywhere: true };
    let Some(object) = tables.services.get(service) else { return unknown };
    let Some(found) = object.as_resource::<Service>() else { return unknown };
    let (Some(port), Some(spec)) = (port_of(found, door.port), found.api.spec.as_ref()) else { return unknown };
    let said = if door.outside { &spec.external_traffic_policy } else { &spec.internal_traffic_policy };
    let policy = if said.as_deref() == Some("Local") { Policy::Local } else { Policy::Cluster };
    let name = port.name.as_deref().unwrap_or_default();
    let mut backends = Vec::new();
    for object in tables.slices.in_namespace(&service.namespace) {
        if object.meta().labels.get(SERVICE_NAME).is_some_and(|of| *of == service.name) {
            backends_of(object, name, &mut backends);
        }
    }
    let hinted = backends.iter().any(|backend| !backend.zones.is_empty() || !backend.nodes.is_empty());
    let affinity = (spec.session_affinity.as_deref() == Some("ClientIP")).then(|| {
        let config = spec.session_affinity_config.as_ref().and_then(|config| config.client_ip.as_ref());
        let seconds = config.and_then(|client| client.timeout_seconds).and_then(|seconds| u64::try_from(seconds).ok());
        seconds.map_or(AFFINITY, Duration::from_secs)
    });
    Resolved { route: route(&backends, policy, place), affinity, everywhere: policy == Policy::Cluster && !hinted }
}

fn backends_of(object: &Arc<Object>, port: &str, backends: &mut Vec<Backend>) {
    let Some(slice) = object.as_resource::<EndpointSlice>() else { return };
    let named = slice.api.ports.iter().flatten().any(|one| one.name.as_deref().unwrap_or_default() == port);
    if !named || slice.api.address_type != "IPv4" {
        return;
    }
    for endpoint in slice.api.endpoints.iter().flatten() {
        let conditions = endpoint.conditions.as_ref();
        let ready = conditions.and_then(|it| it.ready).unwrap_or(true);
        let hints = endpoint.hints.as_ref();
        backends.push(Backend {
            address: endpoint.addresses.first().and_then(|address| address.parse().ok()),
            node: endpoint.node_name.clone().unwrap_or_default(),
            ready,
            serving: conditions.and_then(|it| it.serving).unwrap_or(ready),
            terminating: conditions.and_then(|it| it.terminating).unwrap_or(false),
            zones: hints.iter().flat_map(|it| it.for_zones.iter().flatten()).map(|zone| zone.name.clone()).collect(),
            nodes: hints.iter().flat_map(|it| it.for_nodes.iter().flatten()).map(|node| node.name.clone()).collect(),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::Seed;
    use std::collections::BTreeSet;

    const HERE: Place<'_> = Place { node: "n0", zone: "z0" };

    fn backend(last: u8, node: &str, state: (bool, bool, bool)) -> Backend {
        let (ready, serving, terminating) = state;
        let address = Some(Ipv4Addr::new(10, 0, 0, last));
        Backend { address, node: node.to_owned(), ready, serving, terminating, ..Backend::default() }
    }

    const READY: (bool, bool, bool) = (true, true, false);
    const STARTING: (bool, bool, bool) = (false, false, false);
    const ENDING: (bool, bool, bool) = (false, true, true);

    fn lasts(route: &Route) -> Vec<u8> {
        let Route::To(addresses) = route else { return Vec::new() };
        addresses.iter().map(|address| address.octets()[3]).collect()
    }

    #[test]
    fn ready_endpoints_come_first_and_ending_ones_are_the_last_resort() {
        let all =
            [backend(1, "n0", READY), backend(2, "n1", READY), backend(3, "n1", ENDING), backend(4, "n0", STARTING)];
        assert_eq!(lasts(&route(&all, Policy::Cluster, HERE)), [1, 2]);
        assert_eq!(lasts(&route(&all[2..], Policy::Cluster, HERE)), [3]);
        assert_eq!(route(&all[3..], Policy::Cluster, HERE), Route::Reject);
    }

    #[test]
    fn a_local_policy_drops_where_the_node_has_none() {
        let all = [backend(1, "n1", READY), backend(2, "n0", ENDING)];
        assert_eq!(lasts(&route(&all, Policy::Local, HERE)), [2], "the node's own, though it is being ended");
        assert_eq!(route(&all[..1], Policy::Local, HERE), Route::Drop);
        assert_eq!(route(&[], Policy::Local, HERE), Route::Reject);
    }

    #[test]
    fn hints_count_if_all_have_them_and_one_means_this_zone() {
        let hint = |mut backend: Backend, zone: &str| {
            backend.zones.push(zone.to_owned());
            backend
        };
        let (a, b) = (hint(backend(1, "n0", READY), "z0"), hint(backend(2, "n1", READY), "z1"));
        assert_eq!(lasts(&route(&[a.clone(), b.clone()], Policy::Cluster, HERE)), [1]);
        assert_eq!(lasts(&route(&[a.clone(), backend(3, "n1", READY)], Policy::Cluster, HERE)), [1, 3]);
        let elsewhere = Place { node: "n9", zone: "z9" };
        assert_eq!(lasts(&route(&[a.clone(), b], Policy::Cluster, elsewhere)), [1, 2]);
        let mut own = a;
        own.nodes.push("n0".to_owned());
        let mut other = hint(backend(4, "n1", READY), "z0");
        other.nodes.push("n1".to_owned());
        assert_eq!(
            lasts(&route(&[own, other], Policy::Cluster, HERE)),
            [1],
            "hints of nodes count before those of zones"
        );
    }

    /// The rule as its documentation tells it, over sets of numbers.
    fn reference(backends: &[Backend], policy: Policy, place: Place<'_>) -> Route {
        let set = |wanted: &dyn Fn(&Backend) -> bool| -> BTreeSet<usize> {
            (0..backends.len()).filter(|n| wanted(&backends[*n])).collect()
        };
        let (ready, ending) = (set(&|b| b.ready), set(&|b| b.serving && b.terminating));
        let local = set(&|b| b.node == place.node);
        let with_zones = set(&|b| !b.zones.is_empty());
        let of_zone = set(&|b| b.zones.contains(&place.zone.to_owned()));
        let with_nodes = set(&|b| !b.nodes.is_empty());
        let of_node = set(&|b| b.nodes.contains(&place.node.to_owned()));
        let and =
            |a: &BTreeSet<usize>, b: &BTreeSet<usize>| -> BTreeSet<usize> { a.intersection(b).copied().collect() };
        let mut chosen = ready.clone();
        if policy == Policy::Local {
            chosen = and(&chosen, &local);
        } else if ready.is_subset(&with_nodes) && !and(&ready, &of_node).is_empty() {
            chosen = and(&ready, &of_node);
        } else if ready.is_subset(&with_zones) && !and(&ready, &of_zone).is_empty() {
            chosen = and(&ready, &of_zone);
        }
        if chosen.is_empty() {
            chosen = if policy == Policy::Local { and(&ending, &local) } else { ending.clone() };
        }
        match (chosen.is_empty(), ready.is_empty() && ending.is_empty()) {
            (false, _) => Route::To(chosen.iter().filter_map(|n| backends[*n].address).collect()),
            (true, true) => Route::Reject,
            (true, false) => Route::Drop,
        }
    }

    #[test]
    fn any_set_of_endpoints_is_used_as_the_reference_says() {
        let mut seen = [0; 3];
        for case in 0..4_000 {
            let mut luck = Seed(7).luck(1, 2, 3, case);
            let mut random = |n: u64| luck.below(n);
            let count = random(7);
            let hinted = random(3);
            let backends: Vec<Backend> = (0..count)
                .map(|n| {
                    let state = [READY, READY, STARTING, ENDING, (false, false, true)][random(5) as usize];
                    let mut one = backend(n as u8, &format!("n{}", random(3)), state);
                    if hinted > 0 && random(8) > 0 {
                        one.zones = vec![format!("z{}", random(3))];
                    }
                    if hinted > 1 && random(8) > 0 {
                        one.nodes = vec![format!("n{}", random(3))];
                    }
                    one
                })
                .collect();
            let policy = if random(2) == 0 { Policy::Cluster } else { Policy::Local };
            let route = route(&backends, policy, HERE);
            assert_eq!(route, reference(&backends, policy, HERE), "case {case}: {policy:?} {backends:?}");
            let place = match route {
                Route::To(_) => 0,
                Route::Reject => 1,
                Route::Drop => 2,
            };
            seen[place] += 1;
        }
        assert!(seen.iter().all(|count| *count > 100), "{seen:?}");
    }
}
