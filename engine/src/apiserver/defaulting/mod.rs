//! Defaulting: what the API server fills in before anybody else sees an object.
//!
//! [`apply`] sets the defaults of the kind; [`prepare_for_create`] what creating sets besides (generation, first
//! status).
//!
//! Models: kubernetes v1.36.2 pkg/apis/{core,apps}/v1/defaults.go, pkg/registry/*/strategy.go (PrepareForCreate).

mod pod;
mod pod_spec;
mod qos;
mod volumes;
mod workloads;

pub use qos::qos_class;

use k8s_openapi::api::core::v1::{Namespace, Node};

use crate::objects::decode::Decoded;

/// The label that holds a namespace's own name.
const NAME_LABEL: &str = "kubernetes.io/metadata.name";

/// Sets the defaults of an object that was just decoded.
pub fn apply(object: &mut Decoded) {
    match object {
        Decoded::Pod(pod) => pod::defaults(pod),
        Decoded::Deployment(deployment) => workloads::deployment(deployment),
        Decoded::ReplicaSet(set) => workloads::replica_set(set),
        Decoded::Node(node) => self::node(node),
        Decoded::Namespace(namespace) => self::namespace(namespace),
        Decoded::Lease(lease) => {
            lease.spec.get_or_insert_default();
        }
        _ => {}
    }
}

/// Sets what creating an object sets: what a client says about status and generation does not count.
pub fn prepare_for_create(object: &mut Decoded) {
    match object {
        Decoded::Pod(pod) => pod::prepare_for_create(pod),
        Decoded::Deployment(deployment) => {
            deployment.metadata.generation = Some(1);
            deployment.status = Some(Default::default());
        }
        Decoded::ReplicaSet(set) => {
            set.metadata.generation = Some(1);
            set.status = Some(Default::default());
        }
        Decoded::Namespace(namespace) => {
            let spec = namespace.spec.get_or_insert_default();
            let finalizers = spec.finalizers.get_or_insert_default();
            if !finalizers.iter().any(|finalizer| finalizer == "kubernetes") {
                finalizers.push("kubernetes".to_owned());
            }
            let status = namespace.status.insert(Default::default());
            status.phase = Some("Active".to_owned());
        }
        _ => {}
    }
}

fn namespace(namespace: &mut Namespace) {
    // The name is also set here when it is generated; then the label comes with it.
    if let Some(name) = namespace.metadata.name.as_ref().filter(|name| !name.is_empty()) {
        let labels = namespace.metadata.labels.get_or_insert_default();
        labels.insert(NAME_LABEL.to_owned(), name.clone());
    }
    namespace.spec.get_or_insert_default();
    let status = namespace.status.get_or_insert_default();
    status.phase.get_or_insert_with(|| "Active".to_owned());
}

fn node(node: &mut Node) {
    node.spec.get_or_insert_default();
    let status = node.status.get_or_insert_default();
    if status.allocatable.is_none() {
        status.allocatable = status.capacity.clone();
    }
    // Structs that Go cannot leave out.
    status.node_info.get_or_insert_default();
    let endpoints = status.daemon_endpoints.get_or_insert_default();
    endpoints.kubelet_endpoint.get_or_insert_default();
}

#[cfg(test)]
mod vectors;
