//! Field selectors: which fields a kind can be selected by, and what they are in an object.
//!
//! Models: kubernetes v1.36.2 pkg/apis/core/v1/conversion.go (AddFieldLabelConversionsFor…),
//! staging/src/k8s.io/apimachinery/pkg/runtime/conversion.go (DefaultMetaV1FieldSelectorConversion).

use super::request::{Body, Request};
use super::status::Status;
use crate::objects::{Kind, Object};

/// Refuses a list or watch by a field that the kind does not offer.
pub fn check(request: &Request) -> Result<(), Status> {
    let options = match &request.body {
        Body::List(options) => &**options,
        Body::DeleteCollection(options) => &options.1,
        _ => return Ok(()),
    };
    let terms = options.fields.iter().flat_map(|fields| fields.terms());
    for term in terms {
        let named = ["metadata.name", "metadata.namespace"].contains(&&*term.field);
        let own = match request.kind {
            Kind::Pod => POD,
            Kind::Node => &["spec.unschedulable"],
            Kind::Namespace => &["status.phase"],
            Kind::Event => EVENT,
            _ if named => continue,
            _ => {
                let why = "is not a known field selector: only \"metadata.name\", \"metadata.namespace\"";
                return Err(Status::bad_request(format!("\"{}\" {why}", term.field)));
            }
        };
        if !named && !own.contains(&&*term.field) {
            return Err(Status::bad_request(format!("field label not supported: {}", term.field)));
        }
    }
    Ok(())
}

const POD: &[&str] = &[
    "spec.nodeName",
    "spec.restartPolicy",
    "spec.schedulerName",
    "spec.serviceAccountName",
    "spec.hostNetwork",
    "status.phase",
    "status.podIP",
    "status.podIPs",
    "status.nominatedNodeName",
];

const EVENT: &[&str] = &[
    "involvedObject.kind",
    "involvedObject.namespace",
    "involvedObject.name",
    "involvedObject.uid",
    "involvedObject.apiVersion",
    "involvedObject.resourceVersion",
    "involvedObject.fieldPath",
    "reason",
    "reportingComponent",
    "source",
    "type",
];

/// Whether a field of an object has a value.
pub fn holds(object: &Object, name: &str, value: &str) -> bool {
    match (name, object) {
        ("involvedObject.uid", Object::Event(event)) => event.regarding.uid.to_string() == value,
        ("involvedObject.resourceVersion", Object::Event(event)) => {
            event.regarding.resource_version.to_string() == value
        }
        ("status.podIP" | "status.podIPs", Object::Pod(pod)) => {
            pod.status.pod_ip.map_or(value.is_empty(), |ip| ip.to_string() == value)
        }
        _ => field(object, name).unwrap_or_default() == value,
    }
}

/// The fields by which objects can be selected and which are texts already. Upstream: the kinds' ToSelectableFields.
pub fn field<'a>(object: &'a Object, name: &str) -> Option<&'a str> {
    let meta = object.meta();
    let truth = |value: bool| Some(if value { "true" } else { "false" });
    match (name, object) {
        ("metadata.name", _) => Some(&meta.name),
        ("metadata.namespace", _) => Some(&meta.namespace),
        ("spec.nodeName", Object::Pod(pod)) => pod.node.as_deref(),
        ("status.phase", Object::Pod(pod)) => Some(pod.status.phase.as_str()),
        ("status.nominatedNodeName", Object::Pod(pod)) => pod.status.nominated.as_deref(),
        ("spec.restartPolicy", Object::Pod(pod)) => pod.spec.api.restart_policy.as_deref(),
        ("spec.schedulerName", Object::Pod(pod)) => pod.spec.api.scheduler_name.as_deref(),
        ("spec.serviceAccountName", Object::Pod(pod)) => pod.spec.api.service_account_name.as_deref(),
        ("spec.hostNetwork", Object::Pod(pod)) => truth(pod.spec.api.host_network.unwrap_or(false)),
        ("spec.unschedulable", Object::Node(node)) => truth(node.unschedulable),
        ("status.phase", Object::Namespace(namespace)) => {
            Some(if namespace.terminating { "Terminating" } else { "Active" })
        }
        ("involvedObject.kind", Object::Event(event)) => Some(event.regarding.kind.name()),
        ("involvedObject.name", Object::Event(event)) => Some(&event.regarding.name),
        ("involvedObject.namespace", Object::Event(event)) => Some(&event.regarding.namespace),
        ("involvedObject.apiVersion", Object::Event(event)) => Some(event.regarding.kind.api_version()),
        ("involvedObject.fieldPath", Object::Event(event)) => event.regarding.field_path.as_deref(),
        ("reportingComponent" | "source", Object::Event(event)) => Some(&event.component),
        ("reason", Object::Event(event)) => Some(&event.reason),
        ("type", Object::Event(event)) => Some(event.kind.as_str()),
        _ => None,
    }
}
