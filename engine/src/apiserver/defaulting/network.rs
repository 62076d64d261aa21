//! Defaults of Services, Endpoints, EndpointSlices, NetworkPolicies, Ingresses.
//!
//! Models: kubernetes v1.36.2 pkg/apis/core/v1/defaults.go, pkg/apis/discovery/v1/defaults.go, pkg/apis/networking/v1/defaults.go.

use k8s_openapi::api::core::v1::{ClientIPConfig, Endpoints, Service, SessionAffinityConfig};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::api::networking::v1::{Ingress, IngressClass, NetworkPolicy};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::pod_spec::text;

/// How long a client stays with its pod. [s]
const AFFINITY_SECONDS: i32 = 10_800;

/// A Service's defaults.
pub(super) fn service(service: &mut Service) {
    let spec = service.spec.get_or_insert_default();
    text(&mut spec.session_affinity, "None");
    match spec.session_affinity.as_deref() {
        Some("None") => spec.session_affinity_config = None,
        Some("ClientIP") => {
            let config: &mut SessionAffinityConfig = spec.session_affinity_config.get_or_insert_default();
            let client: &mut ClientIPConfig = config.client_ip.get_or_insert_default();
            client.timeout_seconds.get_or_insert(AFFINITY_SECONDS);
        }
        _ => {}
    }
    text(&mut spec.type_, "ClusterIP");
    for port in spec.ports.iter_mut().flatten() {
        text(&mut port.protocol, "TCP");
        let unset = match &port.target_port {
            None | Some(IntOrString::Int(0)) => true,
            Some(IntOrString::String(name)) => name.is_empty(),
            Some(IntOrString::Int(_)) => false,
        };
        if unset {
            port.target_port = Some(IntOrString::Int(port.port));
        }
    }
    let type_ = spec.type_.as_deref().unwrap_or_default();
    if matches!(type_, "NodePort" | "LoadBalancer") {
        text(&mut spec.external_traffic_policy, "Cluster");
    }
    if matches!(type_, "NodePort" | "LoadBalancer" | "ClusterIP") {
        spec.internal_traffic_policy.get_or_insert_with(|| "Cluster".to_owned());
    }
    if type_ == "LoadBalancer" {
        spec.allocate_load_balancer_node_ports.get_or_insert(true);
    }
    if spec.cluster_ips.as_ref().is_none_or(Vec::is_empty) {
        spec.cluster_ips = spec.cluster_ip.clone().filter(|address| !address.is_empty()).map(|address| vec![address]);
    }
    service.status.get_or_insert_default().load_balancer.get_or_insert_default();
}

/// A client that changes a Service's address changes the list that begins with it.
pub(super) fn synchronised(new: &mut Service, old: &Service) {
    let (Some(spec), Some(old)) = (&mut new.spec, &old.spec) else { return };
    let given = spec.cluster_ip.as_ref().is_some_and(|address| !address.is_empty());
    if given && spec.cluster_ip != old.cluster_ip && spec.cluster_ips == old.cluster_ips {
        spec.cluster_ips = spec.cluster_ip.clone().map(|address| vec![address]);
    }
}

/// An Endpoints object's defaults.
pub(super) fn endpoints(endpoints: &mut Endpoints) {
    for port in endpoints.subsets.iter_mut().flatten().flat_map(|subset| subset.ports.iter_mut().flatten()) {
        text(&mut port.protocol, "TCP");
    }
}

/// An EndpointSlice's defaults.
pub(super) fn endpoint_slice(slice: &mut EndpointSlice) {
    for port in slice.ports.iter_mut().flatten() {
        port.name.get_or_insert_default();
        port.protocol.get_or_insert_with(|| "TCP".to_owned());
    }
}

/// A NetworkPolicy's defaults.
pub(super) fn network_policy(policy: &mut NetworkPolicy) {
    let spec = policy.spec.get_or_insert_default();
    spec.pod_selector.get_or_insert_default();
    let incoming = spec.ingress.iter_mut().flatten().flat_map(|rule| rule.ports.iter_mut().flatten());
    let outgoing = spec.egress.iter_mut().flatten().flat_map(|rule| rule.ports.iter_mut().flatten());
    for port in incoming.chain(outgoing) {
        port.protocol.get_or_insert_with(|| "TCP".to_owned());
    }
    if spec.policy_types.as_ref().is_none_or(Vec::is_empty) {
        let both = spec.egress.as_ref().is_some_and(|rules| !rules.is_empty());
        let types = if both { &["Ingress", "Egress"][..] } else { &["Ingress"] };
        spec.policy_types = Some(types.iter().map(|&name| name.to_owned()).collect());
    }
}

/// An Ingress's defaults.
pub(super) fn ingress(ingress: &mut Ingress) {
    ingress.spec.get_or_insert_default();
    ingress.status.get_or_insert_default().load_balancer.get_or_insert_default();
}

/// An IngressClass's defaults.
pub(super) fn ingress_class(class: &mut IngressClass) {
    let parameters = class.spec.get_or_insert_default().parameters.as_mut();
    if let Some(parameters) = parameters {
        text(&mut parameters.scope, "Cluster");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_without_a_target_go_to_the_same_port() {
        let value = serde_json::json!({"spec": {"ports": [{"port": 80}, {"port": 443, "targetPort": "https"}]}});
        let mut one: Service = serde_json::from_value(value).expect("a service");
        service(&mut one);
        let spec = one.spec.expect("a spec");
        let targets: Vec<_> = spec.ports.into_iter().flatten().filter_map(|port| port.target_port).collect();
        assert_eq!(targets, [IntOrString::Int(80), IntOrString::String("https".to_owned())]);
        assert_eq!(spec.external_traffic_policy, None);
    }

    #[test]
    fn a_policy_about_what_goes_out_is_about_what_comes_in_too() {
        let value = serde_json::json!({"spec": {"podSelector": {}, "egress": [{"ports": [{"port": 53}]}]}});
        let mut policy: NetworkPolicy = serde_json::from_value(value).expect("a policy");
        network_policy(&mut policy);
        assert_eq!(policy.spec.and_then(|spec| spec.policy_types).map(|types| types.len()), Some(2));
    }
}
