//! Defaulting: what the API server fills in before anybody else sees an object.
//!
//! [`apply`] sets the defaults of the kind; [`prepare_for_create`] what creating sets besides (generation, first
//! status).
//!
//! Models: kubernetes v1.36.2 pkg/apis/*/v1/defaults.go, pkg/registry/*/*/strategy.go (PrepareForCreate).

mod autoscaling;
mod jobs;
mod network;
mod pod;
mod pod_spec;
mod policy;
mod qos;
mod storage;
mod volumes;
mod workloads;

pub use autoscaling::default_behavior;
pub use qos::qos_class;

use k8s_openapi::api::core::v1::{Namespace, Node};
use k8s_openapi::api::policy::v1::PodDisruptionBudgetStatus;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

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
        Decoded::StatefulSet(set) => workloads::stateful_set(set),
        Decoded::DaemonSet(set) => workloads::daemon_set(set),
        Decoded::ReplicationController(controller) => workloads::replication_controller(controller),
        Decoded::PodTemplate(template) => workloads::pod_template(template),
        Decoded::Job(job) => jobs::job(job),
        Decoded::CronJob(job) => jobs::cron_job(job),
        Decoded::Service(service) => network::service(service),
        Decoded::Endpoints(endpoints) => network::endpoints(endpoints),
        Decoded::EndpointSlice(slice) => network::endpoint_slice(slice),
        Decoded::NetworkPolicy(policy) => network::network_policy(policy),
        Decoded::Ingress(ingress) => network::ingress(ingress),
        Decoded::IngressClass(class) => network::ingress_class(class),
        Decoded::PersistentVolume(volume) => storage::volume(volume),
        Decoded::PersistentVolumeClaim(claim) => storage::claim(claim),
        Decoded::StorageClass(class) => storage::class(class),
        Decoded::ResourceQuota(quota) => policy::quota(quota),
        Decoded::LimitRange(range) => policy::limit_range(range),
        Decoded::PriorityClass(class) => policy::priority_class(class),
        Decoded::Secret(secret) => policy::secret(secret),
        Decoded::RoleBinding(binding) => policy::role_binding(binding),
        Decoded::ClusterRoleBinding(binding) => policy::cluster_role_binding(binding),
        Decoded::HorizontalPodAutoscaler(autoscaler) => autoscaling::autoscaler(autoscaler),
        Decoded::PodDisruptionBudget(budget) => {
            budget.spec.get_or_insert_default();
            budget.status.get_or_insert_with(nothing_counted);
        }
        Decoded::Event(_)
        | Decoded::ConfigMap(_)
        | Decoded::ServiceAccount(_)
        | Decoded::ControllerRevision(_)
        | Decoded::CSIStorageCapacity(_)
        | Decoded::IPAddress(_)
        | Decoded::Role(_)
        | Decoded::ClusterRole(_)
        | Decoded::ResourceClaim(_)
        | Decoded::ResourceClaimTemplate(_) => {}
    }
}

/// Sets what creating an object sets: what a client says about status and generation does not count. The name and the uid must be set.
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
        Decoded::StatefulSet(set) => {
            set.metadata.generation = Some(1);
            set.status.insert(Default::default()).available_replicas = Some(0);
        }
        Decoded::DaemonSet(set) => {
            set.metadata.generation = Some(1);
            set.status = Some(Default::default());
            workloads::first_template_generation(set);
        }
        Decoded::ReplicationController(controller) => {
            controller.metadata.generation = Some(1);
            controller.status = Some(Default::default());
        }
        Decoded::Job(job) => {
            job.metadata.generation = Some(1);
            job.status = Some(Default::default());
            jobs::generate_selector(job);
        }
        Decoded::CronJob(job) => {
            job.metadata.generation = Some(1);
            job.status = Some(Default::default());
        }
        Decoded::PodDisruptionBudget(budget) => {
            budget.metadata.generation = Some(1);
            budget.status = Some(nothing_counted());
        }
        Decoded::HorizontalPodAutoscaler(autoscaler) => autoscaler.status = Some(Default::default()),
        Decoded::ResourceQuota(quota) => quota.status = Some(Default::default()),
        Decoded::Service(service) => {
            service.status.insert(Default::default()).load_balancer = Some(Default::default());
        }
        Decoded::Ingress(ingress) => {
            ingress.metadata.generation = Some(1);
            ingress.status.insert(Default::default()).load_balancer = Some(Default::default());
        }
        Decoded::PersistentVolume(volume) => {
            volume.status.insert(Default::default()).phase = Some("Pending".to_owned());
            finalizer(&mut volume.metadata, storage::VOLUME_FINALIZER);
        }
        Decoded::PersistentVolumeClaim(claim) => {
            claim.status.insert(Default::default()).phase = Some("Pending".to_owned());
            finalizer(&mut claim.metadata, storage::CLAIM_FINALIZER);
        }
        Decoded::NetworkPolicy(policy) => policy.metadata.generation = Some(1),
        Decoded::IngressClass(class) => class.metadata.generation = Some(1),
        Decoded::PriorityClass(class) => class.metadata.generation = Some(1),
        Decoded::EndpointSlice(slice) => slice.metadata.generation = Some(1),
        Decoded::PodTemplate(template) => template.metadata.generation = Some(1),
        _ => {}
    }
}

/// Sets what reading a valid new object back from storage sets: defaults that follow from what creating it set.
pub fn read_back(object: &mut Decoded) {
    if let Decoded::Job(job) = object {
        jobs::labels_of_template(job);
    }
}

/// Sets what changing an object sets besides.
pub fn prepare_for_update(new: &mut Decoded, old: &Decoded) {
    match (new, old) {
        (Decoded::DaemonSet(new), Decoded::DaemonSet(old)) => workloads::next_template_generation(new, old),
        (Decoded::Service(new), Decoded::Service(old)) => network::synchronised(new, old),
        _ => {}
    }
}

/// The numbers that Go always writes.
fn nothing_counted() -> PodDisruptionBudgetStatus {
    PodDisruptionBudgetStatus {
        current_healthy: Some(0),
        desired_healthy: Some(0),
        disruptions_allowed: Some(0),
        expected_pods: Some(0),
        ..Default::default()
    }
}

fn finalizer(metadata: &mut ObjectMeta, name: &str) {
    let finalizers = metadata.finalizers.get_or_insert_default();
    if !finalizers.iter().any(|finalizer| finalizer == name) {
        finalizers.push(name.to_owned());
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
