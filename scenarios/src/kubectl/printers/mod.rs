//! The cells of `get`: one file for each kind worth more than its name and age.
//!
//! Models: kubernetes v1.36.2 pkg/printers/internalversion/printers.go.

mod apps;
mod batch;
mod custom;
mod deployment;
mod event;
mod namespace;
pub(crate) mod network;
mod node;
mod other;
mod pod;
mod policy;
mod rbac;
mod replicaset;
pub(crate) mod storage;

use serde_json::Value;

use super::duration;
use super::json::{list, text};
use super::resources::Resource;

/// The names of a type's columns, and whether only `-o wide` shows each.
pub(crate) fn all_columns(resource: &Resource) -> Vec<Column> {
    match resource.custom {
        Some(custom) => custom::columns(custom.columns),
        None => columns(resource).to_vec(),
    }
}

/// A column: its name, and whether only `-o wide` shows it.
pub(crate) type Column = (&'static str, bool);

/// The columns of a type.
fn columns(resource: &Resource) -> &'static [Column] {
    match resource.plural {
        "pods" => pod::COLUMNS,
        "deployments" => deployment::COLUMNS,
        "replicasets" => replicaset::COLUMNS,
        "nodes" => node::COLUMNS,
        "namespaces" => namespace::COLUMNS,
        "events" => event::COLUMNS,
        "statefulsets" => apps::STATEFUL_SET,
        "daemonsets" => apps::DAEMON_SET,
        "replicationcontrollers" => apps::REPLICATION_CONTROLLER,
        "controllerrevisions" => apps::CONTROLLER_REVISION,
        "podtemplates" => apps::POD_TEMPLATE,
        "jobs" => batch::JOB,
        "cronjobs" => batch::CRON_JOB,
        "services" => network::SERVICE,
        "endpoints" => network::ENDPOINTS,
        "endpointslices" => network::ENDPOINT_SLICE,
        "ingresses" => network::INGRESS,
        "ingressclasses" => network::INGRESS_CLASS,
        "networkpolicies" => network::NETWORK_POLICY,
        "ipaddresses" => network::IP_ADDRESS,
        "servicecidrs" => network::SERVICE_CIDR,
        "persistentvolumes" => storage::VOLUME,
        "persistentvolumeclaims" => storage::CLAIM,
        "storageclasses" => storage::STORAGE_CLASS,
        "csinodes" => storage::CSI_NODE,
        "poddisruptionbudgets" => policy::BUDGET,
        "horizontalpodautoscalers" => policy::AUTOSCALER,
        "resourcequotas" => policy::QUOTA,
        "priorityclasses" => policy::PRIORITY_CLASS,
        "limitranges" | "roles" | "clusterroles" | "csistoragecapacities" | "customresourcedefinitions" => {
            policy::CREATED_AT
        }
        "rolebindings" | "clusterrolebindings" => rbac::BINDING,
        other => other::columns(other),
    }
}

/// The cells of an object, all columns.
pub(crate) fn row(resource: &Resource, object: &Value, now: i64) -> Vec<String> {
    if let Some(custom) = resource.custom {
        return custom::row(custom.columns, object, now);
    }
    match resource.plural {
        "pods" => pod::row(object, now),
        "deployments" => deployment::row(object, now),
        "replicasets" => replicaset::row(object, now),
        "nodes" => node::row(object, now),
        "namespaces" => namespace::row(object, now),
        "events" => event::row(object, now),
        "statefulsets" => apps::stateful_set(object, now),
        "daemonsets" => apps::daemon_set(object, now),
        "replicationcontrollers" => apps::replication_controller(object, now),
        "controllerrevisions" => apps::controller_revision(object, now),
        "podtemplates" => apps::pod_template(object),
        "jobs" => batch::job(object, now),
        "cronjobs" => batch::cron_job(object, now),
        "services" => network::service(object, now),
        "endpoints" => network::endpoints(object, now),
        "endpointslices" => network::endpoint_slice(object, now),
        "ingresses" => network::ingress(object, now),
        "ingressclasses" => network::ingress_class(object, now),
        "networkpolicies" => network::network_policy(object, now),
        "ipaddresses" => network::ip_address(object),
        "servicecidrs" => network::service_cidr(object, now),
        "persistentvolumes" => storage::volume(object, now),
        "persistentvolumeclaims" => storage::volume_claim(object, now),
        "storageclasses" => storage::class(object, now),
        "csinodes" => storage::csi_node(object, now),
        "poddisruptionbudgets" => policy::budget(object, now),
        "horizontalpodautoscalers" => policy::autoscaler(object, now),
        "resourcequotas" => policy::quota(object, now),
        "priorityclasses" => policy::priority_class(object, now),
        "limitranges" | "roles" | "clusterroles" | "csistoragecapacities" | "customresourcedefinitions" => {
            policy::created_at(object)
        }
        "rolebindings" | "clusterrolebindings" => rbac::binding(object, now),
        other => other::row(other, object, now),
    }
}

/// The column AGE.
fn age(object: &Value, now: i64) -> String {
    duration::age(text(object, "/metadata/creationTimestamp"), now)
}

/// `a=b,c=d`, or `<none>`.
pub(crate) fn labels(pairs: &[(&str, &str)]) -> String {
    or_none(pairs.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(","))
}

/// The text, or `<none>` if it is empty.
pub(crate) fn or_none(text: String) -> String {
    if text.is_empty() { "<none>".into() } else { text }
}

/// Names and images of a pod template's containers.
fn containers_and_images(object: &Value) -> (String, String) {
    containers_of(list(object, "/spec/template/spec/containers"))
}

/// Names and images of containers.
fn containers_of(containers: &[Value]) -> (String, String) {
    let joined = |field: &str| containers.iter().map(|c| text(c, field)).collect::<Vec<_>>().join(",");
    (joined("/name"), joined("/image"))
}
