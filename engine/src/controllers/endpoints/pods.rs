//! What the endpoints of a Service take from a pod.
//!
//! Models: kubernetes v1.36.2 staging/src/k8s.io/endpointslice/{utils.go,util/controller_utils.go}.

use k8s_openapi::api::core::v1::{Container, ObjectReference, Service, ServicePort};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use crate::objects::{Pod, Resource};

/// Whether a pod has a place among endpoints; pods that are being deleted only where `terminating`.
pub fn belongs(pod: &Pod, terminating: bool) -> bool {
    !pod.status.phase.terminal() && pod.status.pod_ip.is_some() && (terminating || !pod.meta.deleting())
}

/// The pod's name in the Service's domain, if it has one.
pub fn hostname(pod: &Pod, service: &Resource<Service>) -> Option<String> {
    let spec = &pod.spec.api;
    let hostname = spec.hostname.as_deref().filter(|name| !name.is_empty())?;
    (spec.subdomain.as_deref() == Some(&service.meta.name)).then(|| hostname.to_owned())
}

/// A reference to the pod.
pub fn reference(pod: &Pod) -> ObjectReference {
    ObjectReference {
        kind: Some("Pod".to_owned()),
        namespace: Some(pod.meta.namespace.to_string()),
        name: Some(pod.meta.name.to_string()),
        uid: Some(pod.meta.uid.to_string()),
        ..ObjectReference::default()
    }
}

/// Whether the Service has an address of its own. Kubernetes: IsServiceIPSet.
pub fn has_address(service: &Resource<Service>) -> bool {
    let address = service.api.spec.as_ref().and_then(|spec| spec.cluster_ip.as_deref());
    address.is_some_and(|address| !address.is_empty() && address != "None")
}

/// The protocol of a Service's port.
pub fn protocol(port: &ServicePort) -> &str {
    port.protocol.as_deref().unwrap_or("TCP")
}

/// The number that a Service's port has at a pod; `None` if the pod has no port of that name. Kubernetes: FindPort.
pub fn port_number(pod: &Pod, port: &ServicePort) -> Option<i32> {
    let name = match &port.target_port {
        None => return Some(port.port),
        Some(IntOrString::Int(number)) => return Some(if *number == 0 { port.port } else { *number }),
        Some(IntOrString::String(name)) => name,
    };
    let always = |container: &&Container| container.restart_policy.as_deref() == Some("Always");
    let sidecars = pod.spec.api.init_containers.iter().flatten().filter(always);
    let mut ports = pod.spec.api.containers.iter().chain(sidecars).flat_map(|one| one.ports.iter().flatten());
    let named = ports
        .find(|one| one.name.as_deref() == Some(name) && one.protocol.as_deref().unwrap_or("TCP") == protocol(port));
    named.map(|port| port.container_port)
}

/// Whether a Service's endpoints are the controllers' business: those without a selector, and names of others, are not.
pub fn selects(service: &Resource<Service>) -> bool {
    let spec = service.api.spec.as_ref();
    spec.is_some_and(|spec| spec.selector.is_some() && spec.type_.as_deref() != Some("ExternalName"))
}
