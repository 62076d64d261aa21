//! From the field's own types to the compact objects the cluster works with.
//!
//! Status is not taken over, but for what a node has: the server clears it on creation, and who reports status does so in compact form.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::{apps::v1 as apps, coordination::v1 as coordination, core::v1 as core};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1 as meta;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::calendar;
use super::json;
use super::labels;
use super::node::{NodeStatus, Taint};
use super::pod::PodTemplate;
use super::selector::Selector;
use super::workload::{IntOrPercent, Strategy, WorkloadSelector};
use super::{
    ConfigMap, Deployment, DeploymentSpec, Lease, Name, Namespace, Node, ObjectMeta, OwnerReference, Pod, PodSpec,
    PodStatus, ReplicaSet, ReplicaSetSpec, ServiceAccount, Uid,
};
use crate::kernel::Instant;

/// Metadata: what a client may set. Uid, versions and times are the server's.
pub fn metadata(from: &meta::ObjectMeta) -> ObjectMeta {
    let text = |text: &Option<String>| -> Name { text.as_deref().unwrap_or("").into() };
    ObjectMeta {
        name: text(&from.name),
        namespace: text(&from.namespace),
        generate_name: from.generate_name.as_deref().filter(|prefix| !prefix.is_empty()).map(Name::from),
        uid: from.uid.as_deref().and_then(Uid::parse).unwrap_or_default(),
        resource_version: from.resource_version.as_deref().and_then(|text| text.parse().ok()).unwrap_or(0),
        generation: from.generation.unwrap_or(0),
        created: Instant::START,
        deletion: None,
        labels: Arc::new(labels::from_api(from.labels.as_ref())),
        annotations: Arc::new(labels::from_api(from.annotations.as_ref())),
        owners: from.owner_references.iter().flatten().map(owner).collect(),
        finalizers: from.finalizers.iter().flatten().map(|name| Name::from(name.as_str())).collect(),
    }
}

fn owner(from: &meta::OwnerReference) -> OwnerReference {
    OwnerReference {
        api_version: from.api_version.as_str().into(),
        kind: from.kind.as_str().into(),
        name: from.name.as_str().into(),
        uid: Uid::parse(&from.uid).unwrap_or_default(),
        controller: from.controller.unwrap_or(false),
        block_owner_deletion: from.block_owner_deletion.unwrap_or(false),
    }
}

/// A pod whose spec has been defaulted and admitted.
pub fn pod(from: core::Pod) -> Pod {
    let mut spec = from.spec.unwrap_or_default();
    let node = spec.node_name.take().filter(|name| !name.is_empty()).map(|name| Name::from(name.as_str()));
    Pod { meta: metadata(&from.metadata), spec: PodSpec::new(spec), node, token: None, status: PodStatus::default() }
}

/// A template; `admit` is what admission does to a pod made from it.
pub fn template(from: &core::PodTemplateSpec, admit: &dyn Fn(&mut core::PodSpec)) -> PodTemplate {
    let meta = from.metadata.clone().unwrap_or_default();
    let spec = from.spec.clone().unwrap_or_default();
    let mut admitted = spec.clone();
    admit(&mut admitted);
    PodTemplate {
        labels: Arc::new(labels::from_api(meta.labels.as_ref())),
        annotations: Arc::new(labels::from_api(meta.annotations.as_ref())),
        spec: PodSpec::new(spec),
        admitted: PodSpec::new(admitted),
    }
}

/// A template in the field's own type, for hashing.
pub fn template_api(template: &PodTemplate) -> core::PodTemplateSpec {
    core::PodTemplateSpec {
        metadata: Some(meta::ObjectMeta {
            labels: labels::to_api(&template.labels),
            annotations: labels::to_api(&template.annotations),
            ..Default::default()
        }),
        spec: Some(template.spec.api.clone()),
    }
}

fn selector(from: meta::LabelSelector) -> Arc<WorkloadSelector> {
    let compiled = Selector::from_label_selector(&from).unwrap_or_else(|_| Selector::nothing());
    Arc::new(WorkloadSelector { api: from, compiled })
}

fn int_or_percent(from: Option<IntOrString>, default: &str) -> IntOrPercent {
    match from {
        Some(IntOrString::Int(number)) => IntOrPercent::Int(number),
        Some(IntOrString::String(text)) => IntOrPercent::Percent(text.into()),
        None => IntOrPercent::Percent(default.into()),
    }
}

/// A defaulted deployment.
pub fn deployment(from: apps::Deployment, admit: &dyn Fn(&mut core::PodSpec)) -> Deployment {
    let spec = from.spec.unwrap_or_default();
    let strategy = match spec.strategy {
        Some(strategy) if strategy.type_.as_deref() == Some("Recreate") => Strategy::Recreate,
        strategy => {
            let rolling = strategy.and_then(|strategy| strategy.rolling_update).unwrap_or_default();
            Strategy::RollingUpdate {
                max_unavailable: int_or_percent(rolling.max_unavailable, "25%"),
                max_surge: int_or_percent(rolling.max_surge, "25%"),
            }
        }
    };
    Deployment {
        meta: metadata(&from.metadata),
        spec: DeploymentSpec {
            replicas: spec.replicas.unwrap_or(1),
            selector: selector(spec.selector),
            template: template(&spec.template, admit),
            strategy,
            min_ready_seconds: spec.min_ready_seconds.unwrap_or(0),
            revision_history_limit: spec.revision_history_limit.unwrap_or(10),
            paused: spec.paused.unwrap_or(false),
            progress_deadline_seconds: spec.progress_deadline_seconds.unwrap_or(600),
        },
        status: Default::default(),
    }
}

/// A defaulted replica set.
pub fn replica_set(from: apps::ReplicaSet, admit: &dyn Fn(&mut core::PodSpec)) -> ReplicaSet {
    let spec = from.spec.unwrap_or_default();
    ReplicaSet {
        meta: metadata(&from.metadata),
        spec: ReplicaSetSpec {
            replicas: spec.replicas.unwrap_or(1),
            selector: selector(spec.selector),
            template: template(&spec.template.unwrap_or_default(), admit),
            min_ready_seconds: spec.min_ready_seconds.unwrap_or(0),
        },
        status: Default::default(),
    }
}

/// A node as a client writes it; of its status what it has.
pub fn node(from: core::Node) -> Node {
    let status = from.status.unwrap_or_default();
    let spec = from.spec.unwrap_or_default();
    let taint = |taint: core::Taint| Taint {
        key: taint.key.into(),
        value: taint.value.unwrap_or_default().into(),
        effect: taint.effect.into(),
        added: None,
    };
    Node {
        meta: metadata(&from.metadata),
        pod_cidr: spec.pod_cidr.unwrap_or_default().into(),
        unschedulable: spec.unschedulable.unwrap_or(false),
        taints: spec.taints.into_iter().flatten().map(taint).collect(),
        status: NodeStatus {
            capacity: quantities(&status.capacity),
            allocatable: quantities(&status.allocatable),
            ..Default::default()
        },
    }
}

fn quantities(from: &Option<BTreeMap<String, Quantity>>) -> Arc<[(Name, Name)]> {
    from.iter().flatten().map(|(name, quantity)| (name.as_str().into(), quantity.0.as_str().into())).collect()
}

/// A namespace; its finalizers are those of the manifest.
pub fn namespace(from: core::Namespace) -> Namespace {
    let mut meta = metadata(&from.metadata);
    let mut labels = (*meta.labels).clone();
    labels.insert("kubernetes.io/metadata.name".into(), meta.name.clone());
    meta.labels = Arc::new(labels);
    let finalizers = from.spec.and_then(|spec| spec.finalizers).into_iter().flatten();
    Namespace { finalizers: finalizers.map(Name::from).collect(), ..Namespace::new(meta) }
}

/// A config map.
pub fn config_map(from: core::ConfigMap) -> ConfigMap {
    let data: BTreeMap<String, String> = from.data.unwrap_or_default();
    let binary = from.binary_data.unwrap_or_default().into_iter();
    // A byte string's JSON is its base64 form.
    let text = |bytes| serde_json::to_value(bytes).ok().and_then(|text| text.as_str().map(str::to_owned));
    let binary: BTreeMap<String, String> = binary.map(|(key, bytes)| (key, text(bytes).unwrap_or_default())).collect();
    ConfigMap {
        meta: metadata(&from.metadata),
        data: Arc::new(data),
        binary: Arc::new(binary),
        immutable: from.immutable.unwrap_or(false),
    }
}

/// A lease as a client writes it.
pub fn lease(from: coordination::Lease) -> Lease {
    let spec = from.spec.unwrap_or_default();
    let at = |time: Option<meta::MicroTime>| -> Option<Instant> {
        let text = serde_json::to_value(time?).ok()?;
        let ns = calendar::parse_rfc3339_nanos(text.as_str()?).ok()? - json::EPOCH_NS;
        Some(Instant::from_nanos(u64::try_from(ns).unwrap_or(0)))
    };
    Lease {
        meta: metadata(&from.metadata),
        holder: spec.holder_identity.unwrap_or_default().into(),
        duration_seconds: spec.lease_duration_seconds.unwrap_or(0),
        acquired: at(spec.acquire_time),
        renewed: at(spec.renew_time).unwrap_or(Instant::START),
        transitions: spec.lease_transitions.unwrap_or(0),
    }
}

/// A service account.
pub fn service_account(from: core::ServiceAccount) -> ServiceAccount {
    ServiceAccount { meta: metadata(&from.metadata) }
}
