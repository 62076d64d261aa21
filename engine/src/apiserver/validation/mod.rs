//! Validation: every rule an object breaks, in the API server's words and order.
//!
//! The entry points are [`create`] and [`update`]; what they find becomes the 422 of [`invalid_status`]. Each file
//! below holds the rules of one part. Where Kubernetes walks a map in random order, the order here is that of the keys.
//!
//! Models: kubernetes v1.36.2 pkg/apis/*/validation/validation.go,
//! staging/src/k8s.io/apimachinery/pkg/util/validation/field, staging/src/k8s.io/apiserver/pkg/registry/rest/update.go.
//! Left out: volume sources that no lab uses (their presence counts, their inside is not looked at), Windows pods,
//! resource claims inside, cluster trust bundles, validation of statuses.

mod affinity;
mod autoscaling;
mod container;
mod endpoints;
mod env;
mod extensions;
mod field;
mod handler;
mod jobs;
mod labels;
mod metadata;
pub mod names;
mod networking;
mod node;
mod others;
mod pod;
mod pod_spec;
mod pod_update;
mod policy;
mod print;
mod quota;
mod rbac;
mod resources;
mod scheduling;
pub mod schema;
mod secret;
mod security;
mod service;
mod sets;
mod storage;
#[cfg(test)]
mod vectors;
mod volumes;
mod warnings;
mod workloads;

pub(super) use extensions::{custom, custom_update, definition, webhooks};
pub use field::{ErrorType, Errors, FieldError, Path};
pub(super) use resources::{aggregate_requests, is_pod_level};
pub use warnings::{deprecation, warnings};

use serde_json::{Map, Value, json};

use crate::objects::decode::Decoded;
use crate::objects::kind::Kind;

/// What is wrong with an object to be created; empty if nothing is. The object must have been defaulted and admitted,
/// its namespace and name filled in.
pub fn create(object: &Decoded) -> Vec<FieldError> {
    let mut errors = Errors::default();
    match object {
        Decoded::Pod(pod) => pod::create(pod, &mut errors),
        Decoded::Node(node) => node::create(node, &mut errors),
        Decoded::Namespace(namespace) => others::namespace(namespace, &mut errors),
        Decoded::Event(event) => others::event(event, &mut errors),
        Decoded::ConfigMap(map) => others::config_map(map, &mut errors),
        Decoded::ServiceAccount(account) => others::service_account(account, &mut errors),
        Decoded::Deployment(deployment) => workloads::deployment(deployment, &mut errors),
        Decoded::ReplicaSet(set) => workloads::replica_set(set, &mut errors),
        Decoded::Lease(lease) => others::lease(lease, &mut errors),
        Decoded::StatefulSet(set) => sets::stateful_set(set, &mut errors),
        Decoded::DaemonSet(set) => sets::daemon_set(set, &mut errors),
        Decoded::ReplicationController(controller) => {
            metadata::create(&controller.metadata, true, names::object_name, &mut errors);
            sets::replication_controller(controller, &mut errors);
        }
        Decoded::Job(job) => jobs::job(job, &mut errors),
        Decoded::CronJob(job) => jobs::cron_job(job, &mut errors),
        Decoded::Service(service) => service::create(service, &mut errors),
        Decoded::Endpoints(endpoints) => {
            metadata::create(&endpoints.metadata, true, names::object_name, &mut errors);
            endpoints::endpoints(endpoints, &mut errors);
        }
        Decoded::EndpointSlice(slice) => endpoints::slice(slice, &mut errors),
        Decoded::Secret(secret) => secret::create(secret, &mut errors),
        Decoded::PersistentVolume(volume) => storage::volume(volume, &mut errors),
        Decoded::PersistentVolumeClaim(claim) => storage::claim(claim, &mut errors),
        Decoded::StorageClass(class) => storage::class(class, &mut errors),
        Decoded::ResourceQuota(quota) => quota::quota(quota, &mut errors),
        Decoded::LimitRange(range) => quota::limit_range(range, &mut errors),
        Decoded::PriorityClass(class) => policy::priority_class(class, &mut errors),
        Decoded::PodDisruptionBudget(budget) => {
            policy::budget(budget, &mut errors);
            metadata::generic(&budget.metadata, true, names::path_segment, &mut errors);
        }
        Decoded::HorizontalPodAutoscaler(autoscaler) => autoscaling::create(autoscaler, &mut errors),
        Decoded::Ingress(ingress) => networking::ingress(ingress, &mut errors),
        Decoded::IngressClass(class) => networking::class(class, &mut errors),
        Decoded::NetworkPolicy(policy) => networking::policy(policy, &mut errors),
        Decoded::Role(role) => rbac::role(role, &mut errors),
        Decoded::RoleBinding(binding) => rbac::role_binding(binding, &mut errors),
        Decoded::ClusterRole(role) => rbac::cluster_role(role, &mut errors),
        Decoded::ClusterRoleBinding(binding) => rbac::cluster_role_binding(binding, &mut errors),
        other => others::metadata_only(other, &mut errors),
    }
    errors.into_vec()
}

/// What is wrong with an update from `old` to `new`, both of the same kind; empty if nothing is. The server must have
/// copied what a client cannot change (uid if absent, creation and deletion times, and the resourceVersion if absent).
pub fn update(new: &Decoded, old: &Decoded) -> Vec<FieldError> {
    let mut errors = Errors::default();
    // Once here and once more in the rules of the kind: the answer names each cause twice.
    metadata::generic_update(new.metadata(), old.metadata(), &mut errors);
    match (new, old) {
        (Decoded::Pod(new), Decoded::Pod(old)) => pod_update::update(new, old, &mut errors),
        (Decoded::Node(new), Decoded::Node(old)) => node::update(new, old, &mut errors),
        (Decoded::ConfigMap(new), Decoded::ConfigMap(old)) => others::config_map_update(new, old, &mut errors),
        (Decoded::Deployment(new), Decoded::Deployment(old)) => workloads::deployment_update(new, old, &mut errors),
        (Decoded::ReplicaSet(new), Decoded::ReplicaSet(old)) => workloads::replica_set_update(new, old, &mut errors),
        (Decoded::Lease(new), Decoded::Lease(old)) => others::lease_update(new, old, &mut errors),
        (Decoded::Namespace(new), Decoded::Namespace(old)) => {
            metadata::update(&new.metadata, &old.metadata, &mut errors);
            others::pod_security_labels(new, &mut errors);
        }
        (Decoded::ServiceAccount(new), Decoded::ServiceAccount(old)) => {
            metadata::update(&new.metadata, &old.metadata, &mut errors);
            others::service_account(new, &mut errors);
        }
        (Decoded::Event(new), Decoded::Event(old)) => {
            metadata::update(&new.metadata, &old.metadata, &mut errors);
            others::event(new, &mut errors);
        }
        _ => update_resource(new, old, &mut errors),
    }
    errors.into_vec()
}

/// The same for the kinds that are kept in the field's own types.
fn update_resource(new: &Decoded, old: &Decoded, errors: &mut Errors) {
    match (new, old) {
        (Decoded::StatefulSet(new), Decoded::StatefulSet(old)) => sets::stateful_set_update(new, old, errors),
        (Decoded::DaemonSet(new), Decoded::DaemonSet(old)) => sets::daemon_set_update(new, old, errors),
        (Decoded::ReplicationController(new), Decoded::ReplicationController(old)) => {
            metadata::update(&new.metadata, &old.metadata, errors);
            sets::replication_controller(new, errors);
        }
        (Decoded::Job(new), Decoded::Job(old)) => jobs::job_update(new, old, errors),
        (Decoded::CronJob(new), Decoded::CronJob(old)) => jobs::cron_job_update(new, old, errors),
        (Decoded::Service(new), Decoded::Service(old)) => service::update(new, old, errors),
        (Decoded::Endpoints(new), Decoded::Endpoints(old)) => {
            metadata::update(&new.metadata, &old.metadata, errors);
            endpoints::endpoints(new, errors);
        }
        (Decoded::EndpointSlice(new), Decoded::EndpointSlice(old)) => endpoints::slice_update(new, old, errors),
        (Decoded::Secret(new), Decoded::Secret(old)) => secret::update(new, old, errors),
        (Decoded::PersistentVolume(new), Decoded::PersistentVolume(old)) => storage::volume_update(new, old, errors),
        (Decoded::PersistentVolumeClaim(new), Decoded::PersistentVolumeClaim(old)) => {
            storage::claim_update(new, old, errors);
        }
        (Decoded::StorageClass(new), Decoded::StorageClass(old)) => storage::class_update(new, old, errors),
        (Decoded::ResourceQuota(new), Decoded::ResourceQuota(old)) => quota::quota_update(new, old, errors),
        (Decoded::LimitRange(new), Decoded::LimitRange(_)) => quota::limit_range(new, errors),
        (Decoded::PriorityClass(new), Decoded::PriorityClass(old)) => policy::priority_class_update(new, old, errors),
        (Decoded::PodDisruptionBudget(new), Decoded::PodDisruptionBudget(_)) => policy::budget(new, errors),
        (Decoded::HorizontalPodAutoscaler(new), Decoded::HorizontalPodAutoscaler(old)) => {
            autoscaling::update(new, old, errors);
        }
        (Decoded::Ingress(new), Decoded::Ingress(old)) => networking::ingress_update(new, old, errors),
        (Decoded::IngressClass(new), Decoded::IngressClass(old)) => networking::class_update(new, old, errors),
        (Decoded::NetworkPolicy(new), Decoded::NetworkPolicy(old)) => networking::policy_update(new, old, errors),
        (Decoded::Role(new), Decoded::Role(old)) => rbac::role_update(new, old, errors),
        (Decoded::RoleBinding(new), Decoded::RoleBinding(old)) => rbac::role_binding_update(new, old, errors),
        (Decoded::ClusterRole(new), Decoded::ClusterRole(old)) => rbac::cluster_role_update(new, old, errors),
        (Decoded::ClusterRoleBinding(new), Decoded::ClusterRoleBinding(old)) => {
            rbac::cluster_role_binding_update(new, old, errors);
        }
        _ => metadata::update(new.metadata(), old.metadata(), errors),
    }
}

/// The answer to an invalid object: a metav1.Status with code 422.
pub fn invalid_status(kind: Kind, name: &str, errors: &[FieldError]) -> Value {
    invalid_status_of(kind.name(), kind.group(), name, errors)
}

/// The same for a kind by name, such as `PatchOptions` of `meta.k8s.io`.
pub fn invalid_status_of(kind: &str, group: &str, name: &str, errors: &[FieldError]) -> Value {
    let qualified = if group.is_empty() { kind.to_owned() } else { format!("{kind}.{group}") };
    let message = format!("{qualified} {} is invalid: {}", print::quote(name), message(errors));
    let causes: Vec<Value> = errors
        .iter()
        .map(|error| json!({"reason": error.kind.reason(), "message": error.body(), "field": error.field}))
        .collect();
    let mut details = Map::new();
    let mut set = |key: &str, value: &str| {
        if !value.is_empty() {
            details.insert(key.to_owned(), value.into());
        }
    };
    set("name", name);
    set("group", group);
    set("kind", kind);
    details.insert("causes".to_owned(), causes.into());
    json!({
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": message,
        "reason": "Invalid",
        "details": details,
        "code": 422
    })
}

/// One error as it is, several in brackets, each text once.
fn message(errors: &[FieldError]) -> String {
    let mut texts: Vec<String> = Vec::new();
    for error in errors {
        let text = error.to_string();
        if !texts.contains(&text) {
            texts.push(text);
        }
    }
    match texts.as_slice() {
        [only] => only.clone(),
        _ => format!("[{}]", texts.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_names_each_cause_but_says_it_once() {
        let error = FieldError {
            kind: ErrorType::Invalid,
            field: "spec.replicas".to_owned(),
            value: "-1".to_owned(),
            detail: "must be greater than or equal to 0".to_owned(),
        };
        let status = invalid_status(Kind::Deployment, "web", &[error.clone(), error]);
        assert_eq!(
            status["message"],
            "Deployment.apps \"web\" is invalid: spec.replicas: Invalid value: -1: must be greater than or equal to 0"
        );
        assert_eq!(status["details"]["causes"].as_array().map(Vec::len), Some(2));
        assert_eq!(status["details"]["group"], "apps");
        let nameless = invalid_status(Kind::Pod, "", &[]);
        assert_eq!(nameless["details"].get("name"), None);
    }
}
