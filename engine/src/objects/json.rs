//! Objects as the API shows them.
//!
//! Models: the JSON of kubernetes v1.36.2 staging/src/k8s.io/api (omitempty rules per field).

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use serde_json::{Map, Value, json};

use super::calendar;
use super::condition::Condition;
use super::meta::{ObjectMeta, OwnerReference, Uid};
use super::node::{Node, Taint};
use super::pod::{self, ContainerState, ContainerStatus, Pod, PodTemplate};
use super::pod_terms::QosClass;
use super::workload::{Deployment, IntOrPercent, ReplicaSet, Strategy};
use super::{EventObject, Kind, Labels, Lease, Namespace, Object, ObjectReference};
use crate::kernel::{Instant, hash_bytes, hash_words};

/// Unix time of the instant at which the simulated cluster is switched on: Thursday, 2026-01-01 00:00:00 UTC. [ns]
pub const EPOCH_NS: i64 = 1_767_225_600_000_000_000;

/// `2026-01-01T00:00:12Z`.
pub fn time(at: Instant) -> String {
    calendar::rfc3339((EPOCH_NS + at.as_nanos() as i64).div_euclid(1_000_000_000))
}

/// `2026-01-01T00:00:12.000345Z`.
pub fn micro_time(at: Instant) -> String {
    calendar::rfc3339_micro(EPOCH_NS + at.as_nanos() as i64)
}

/// The whole object.
pub fn to_json(object: &Object) -> Value {
    let kind = object.kind();
    let mut root = Map::new();
    root.insert("apiVersion".into(), kind.api_version().into());
    root.insert("kind".into(), kind.name().into());
    root.insert("metadata".into(), metadata(object.meta()));
    match object {
        Object::Pod(pod) => {
            let spec = pod_spec(pod);
            let status = pod_status(pod, &spec);
            root.insert("spec".into(), spec);
            root.insert("status".into(), status);
        }
        Object::Node(node) => {
            root.insert("spec".into(), node_spec(node));
            root.insert("status".into(), node_status(node));
        }
        Object::Namespace(namespace) => {
            // Its deletion knows no grace period.
            if let Some(meta) = root.get_mut("metadata").and_then(Value::as_object_mut) {
                meta.remove("deletionGracePeriodSeconds");
            }
            root.insert("spec".into(), namespace_spec(namespace));
            root.insert("status".into(), namespace_status(namespace));
        }
        Object::Event(event) => event_fields(event, &mut root),
        Object::ConfigMap(map) => {
            if !map.data.is_empty() {
                root.insert("data".into(), json!(*map.data));
            }
            if !map.binary.is_empty() {
                root.insert("binaryData".into(), json!(*map.binary));
            }
            put(&mut root, "immutable", map.immutable);
        }
        Object::ServiceAccount(_) => {}
        Object::Deployment(deployment) => {
            root.insert("spec".into(), deployment_spec(deployment));
            root.insert("status".into(), deployment_status(deployment));
        }
        Object::ReplicaSet(set) => {
            root.insert("spec".into(), replica_set_spec(set));
            root.insert("status".into(), replica_set_status(set));
        }
        Object::Lease(lease) => {
            root.insert("spec".into(), lease_spec(lease));
        }
        Object::Custom(custom) => {
            // Of what is kept as JSON a deletion knows a grace period of zero, as everywhere.
            root.extend(custom.content.iter().map(|(field, value)| (field.clone(), value.clone())));
        }
        other => {
            if let Some(Value::Object(mut content)) = other.content() {
                if let Some(metadata) = root.remove("metadata") {
                    content.insert("metadata".into(), metadata);
                }
                always_written(object.kind(), &mut content);
                return Value::Object(content);
            }
        }
    }
    Value::Object(root)
}

/// Lists that Go writes as null where there is none.
fn always_written(kind: Kind, content: &mut Map<String, Value>) {
    match kind {
        Kind::Role | Kind::ClusterRole => {
            content.entry("rules").or_insert(Value::Null);
        }
        Kind::HorizontalPodAutoscaler => {
            if let Some(Value::Object(status)) = content.get_mut("status") {
                status.entry("currentMetrics").or_insert(Value::Null);
            }
        }
        _ => {}
    }
}

/// `metadata`.
pub fn metadata(meta: &ObjectMeta) -> Value {
    let mut map = Map::new();
    map.insert("name".into(), (*meta.name).into());
    if !meta.namespace.is_empty() {
        map.insert("namespace".into(), (*meta.namespace).into());
    }
    if let Some(prefix) = &meta.generate_name {
        map.insert("generateName".into(), (**prefix).into());
    }
    map.insert("uid".into(), meta.uid.to_string().into());
    if meta.resource_version > 0 {
        map.insert("resourceVersion".into(), meta.resource_version.to_string().into());
    }
    if meta.generation > 0 {
        map.insert("generation".into(), meta.generation.into());
    }
    map.insert("creationTimestamp".into(), time(meta.created).into());
    if let Some(deletion) = meta.deletion {
        map.insert("deletionTimestamp".into(), time(deletion.at).into());
        map.insert("deletionGracePeriodSeconds".into(), deletion.grace.into());
    }
    if !meta.labels.is_empty() {
        map.insert("labels".into(), labels(&meta.labels));
    }
    if !meta.annotations.is_empty() {
        map.insert("annotations".into(), labels(&meta.annotations));
    }
    if !meta.owners.is_empty() {
        map.insert("ownerReferences".into(), meta.owners.iter().map(owner).collect());
    }
    if !meta.finalizers.is_empty() {
        map.insert("finalizers".into(), meta.finalizers.iter().map(|name| Value::from(&**name)).collect());
    }
    Value::Object(map)
}

fn namespace_spec(namespace: &Namespace) -> Value {
    let mut map = Map::new();
    put(&mut map, "finalizers", namespace.finalizers.iter().map(|name| Value::from(&**name)).collect::<Value>());
    Value::Object(map)
}

fn namespace_status(namespace: &Namespace) -> Value {
    let mut map = Map::new();
    map.insert("phase".into(), if namespace.terminating { "Terminating" } else { "Active" }.into());
    let conditions = namespace.conditions.iter().map(|condition| Value::Object(condition_head(condition)));
    put(&mut map, "conditions", conditions.collect::<Value>());
    Value::Object(map)
}

fn labels(labels: &Labels) -> Value {
    Value::Object(labels.iter().map(|(key, value)| (key.to_string(), Value::from(&**value))).collect())
}

fn owner(owner: &OwnerReference) -> Value {
    let mut map = Map::new();
    map.insert("apiVersion".into(), (*owner.api_version).into());
    map.insert("kind".into(), (*owner.kind).into());
    map.insert("name".into(), (*owner.name).into());
    map.insert("uid".into(), owner.uid.to_string().into());
    if owner.controller {
        map.insert("controller".into(), true.into());
    }
    if owner.block_owner_deletion {
        map.insert("blockOwnerDeletion".into(), true.into());
    }
    Value::Object(map)
}

/// Inserts unless the value is empty, zero or false (Go's omitempty).
fn put(map: &mut Map<String, Value>, key: &str, value: impl Into<Value>) {
    let value = value.into();
    let empty = match &value {
        Value::Null => true,
        Value::Bool(value) => !value,
        Value::Number(number) => number.as_i64() == Some(0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
    };
    if !empty {
        map.insert(key.into(), value);
    }
}

fn api<T: serde::Serialize>(value: &T) -> Value {
    serde_json::to_value(value).unwrap_or(Value::Null)
}

/// A pod's spec: the shared one with its own node and the name of its token volume.
pub fn pod_spec(pod: &Pod) -> Value {
    let mut spec = api(&pod.spec.api);
    if let Some(node) = &pod.node {
        spec["nodeName"] = (**node).into();
    }
    if let Some(token) = &pod.token {
        rename_token_volume(&mut spec, &pod::token_volume(token));
    }
    spec
}

/// The shared spec holds the token volume under a placeholder.
fn rename_token_volume(spec: &mut Value, name: &str) {
    let placeholder = pod::token_volume(pod::TOKEN_PLACEHOLDER);
    let rename = |named: &mut Value| {
        if named["name"] == *placeholder {
            named["name"] = name.into();
        }
    };
    spec["volumes"].as_array_mut().into_iter().flatten().for_each(&rename);
    for list in ["containers", "initContainers"] {
        let Some(containers) = spec.get_mut(list).and_then(Value::as_array_mut) else { continue };
        for container in containers {
            container.get_mut("volumeMounts").and_then(Value::as_array_mut).into_iter().flatten().for_each(&rename);
        }
    }
}

fn pod_status(pod: &Pod, spec: &Value) -> Value {
    let status = &pod.status;
    let mut map = Map::new();
    map.insert("phase".into(), status.phase.as_str().into());
    put(&mut map, "observedGeneration", status.observed_generation);
    put(&mut map, "conditions", status.conditions.iter().map(pod_condition).collect::<Value>());
    put(&mut map, "reason", &*status.reason);
    put(&mut map, "message", &*status.message);
    put(&mut map, "nominatedNodeName", status.nominated.as_deref().unwrap_or(""));
    if let Some(ip) = status.host_ip {
        map.insert("hostIP".into(), ip.to_string().into());
        map.insert("hostIPs".into(), json!([{"ip": ip.to_string()}]));
    }
    if let Some(ip) = status.pod_ip {
        map.insert("podIP".into(), ip.to_string().into());
        map.insert("podIPs".into(), json!([{"ip": ip.to_string()}]));
    }
    if let Some(start) = status.start_time {
        map.insert("startTime".into(), time(start).into());
    }
    let of = |list: &str, statuses: &[ContainerStatus]| -> Value {
        let specs = spec[list].as_array().map(Vec::as_slice).unwrap_or_default();
        let of = |status: &ContainerStatus| specs.iter().find(|spec| spec["name"] == *status.name);
        statuses.iter().map(|status| container_status(status, of(status))).collect()
    };
    put(&mut map, "initContainerStatuses", of("initContainers", &status.init_containers));
    put(&mut map, "containerStatuses", of("containers", &status.containers));
    let qos = match pod.spec.terms.qos {
        QosClass::Guaranteed => "Guaranteed",
        QosClass::Burstable => "Burstable",
        QosClass::BestEffort => "BestEffort",
    };
    map.insert("qosClass".into(), qos.into());
    Value::Object(map)
}

fn condition_head(condition: &Condition) -> Map<String, Value> {
    let mut map = Map::new();
    map.insert("type".into(), (*condition.kind).into());
    map.insert("status".into(), condition.status.as_str().into());
    put(&mut map, "reason", &*condition.reason);
    put(&mut map, "message", &*condition.message);
    map.insert("lastTransitionTime".into(), time(condition.transition).into());
    map
}

fn pod_condition(condition: &Condition) -> Value {
    let mut map = condition_head(condition);
    map.insert("lastProbeTime".into(), Value::Null);
    put(&mut map, "observedGeneration", condition.observed_generation);
    Value::Object(map)
}

fn deployment_condition(condition: &Condition) -> Value {
    let mut map = condition_head(condition);
    map.insert("lastUpdateTime".into(), time(condition.update).into());
    Value::Object(map)
}

fn node_condition(condition: &Condition) -> Value {
    let mut map = condition_head(condition);
    map.insert("lastHeartbeatTime".into(), time(condition.update).into());
    Value::Object(map)
}

/// `spec` is the container's own: its mounts and, once it exists, its resources are reported back.
fn container_status(status: &ContainerStatus, spec: Option<&Value>) -> Value {
    let mut map = Map::new();
    map.insert("name".into(), (*status.name).into());
    map.insert("image".into(), (*status.image).into());
    map.insert("imageID".into(), (*status.image_id).into());
    if let Some(id) = status.container_id {
        map.insert("containerID".into(), container_id(id).into());
    }
    map.insert("ready".into(), status.ready.into());
    map.insert("started".into(), status.started.into());
    map.insert("restartCount".into(), status.restarts.into());
    map.insert("state".into(), container_state(&status.state));
    map.insert("lastState".into(), status.last.as_ref().map_or_else(|| json!({}), container_state));
    if let Some(spec) = spec {
        if status.container_id.is_some() {
            put(&mut map, "allocatedResources", spec["resources"]["requests"].clone());
            map.insert("resources".into(), spec.get("resources").cloned().unwrap_or_else(|| json!({})));
        }
        if status.container_id.is_some() {
            let id = |field: &str| spec["securityContext"][field].as_i64().unwrap_or(0);
            let (uid, gid) = (id("runAsUser"), id("runAsGroup"));
            map.insert("user".into(), json!({"linux": {"gid": gid, "supplementalGroups": [gid], "uid": uid}}));
        }
        let mounts = spec["volumeMounts"].as_array().into_iter().flatten();
        put(&mut map, "volumeMounts", mounts.map(mount_status).collect::<Value>());
    }
    Value::Object(map)
}

fn mount_status(mount: &Value) -> Value {
    let mut map = Map::new();
    for key in ["name", "mountPath"] {
        map.insert(key.into(), mount[key].clone());
    }
    if mount["readOnly"] == true {
        map.insert("readOnly".into(), true.into());
        map.insert("recursiveReadOnly".into(), mount.get("recursiveReadOnly").cloned().unwrap_or("Disabled".into()));
    }
    Value::Object(map)
}

/// `containerd://` and 64 hexadecimal digits.
pub fn container_id(id: u64) -> String {
    let words = [1, 2, 3, 4].map(|n| hash_words(&[id, n]));
    format!("containerd://{:016x}{:016x}{:016x}{:016x}", words[0], words[1], words[2], words[3])
}

fn container_state(state: &ContainerState) -> Value {
    match state {
        ContainerState::Waiting { reason, message } => {
            let mut map = Map::new();
            put(&mut map, "reason", &**reason);
            put(&mut map, "message", &**message);
            json!({ "waiting": map })
        }
        ContainerState::Running { started } => json!({"running": {"startedAt": time(*started)}}),
        ContainerState::Terminated { exit_code, reason, message, started, finished, container_id: id } => {
            let mut map = Map::new();
            map.insert("exitCode".into(), (*exit_code).into());
            put(&mut map, "reason", &**reason);
            put(&mut map, "message", &**message);
            map.insert("startedAt".into(), time(*started).into());
            map.insert("finishedAt".into(), time(*finished).into());
            map.insert("containerID".into(), container_id(*id).into());
            json!({ "terminated": map })
        }
    }
}

fn node_spec(node: &Node) -> Value {
    let mut map = Map::new();
    if !node.pod_cidr.is_empty() {
        map.insert("podCIDR".into(), (*node.pod_cidr).into());
        map.insert("podCIDRs".into(), json!([*node.pod_cidr]));
    }
    put(&mut map, "unschedulable", node.unschedulable);
    put(&mut map, "taints", node.taints.iter().map(taint).collect::<Value>());
    Value::Object(map)
}

fn taint(taint: &Taint) -> Value {
    let mut map = Map::new();
    map.insert("key".into(), (*taint.key).into());
    put(&mut map, "value", &*taint.value);
    map.insert("effect".into(), (*taint.effect).into());
    if let Some(added) = taint.added {
        map.insert("timeAdded".into(), time(added).into());
    }
    Value::Object(map)
}

fn node_status(node: &Node) -> Value {
    let status = &node.status;
    let resources = |list: &[(super::Name, super::Name)]| -> Value {
        Value::Object(list.iter().map(|(name, quantity)| (name.to_string(), Value::from(&**quantity))).collect())
    };
    let mut map = Map::new();
    put(&mut map, "capacity", resources(&status.capacity));
    put(&mut map, "allocatable", resources(&status.allocatable));
    put(&mut map, "conditions", status.conditions.iter().map(node_condition).collect::<Value>());
    if let Some(ip) = status.internal_ip {
        map.insert(
            "addresses".into(),
            json!([{"type": "InternalIP", "address": ip.to_string()}, {"type": "Hostname", "address": *node.meta.name}]),
        );
    }
    // Only a kubelet knows these; a node without address has not heard of one.
    let known = status.internal_ip.is_some();
    let of = |text: &'static str| if known { text } else { "" };
    let id = |n: u64| match known {
        true => {
            Uid::random(u128::from(hash_words(&[hash_bytes(node.meta.name.as_bytes()), n])) * (1 << 61 | 1)).to_string()
        }
        false => String::new(),
    };
    map.insert("daemonEndpoints".into(), json!({"kubeletEndpoint": {"Port": if known { 10250 } else { 0 }}}));
    map.insert(
        "nodeInfo".into(),
        json!({
            "architecture": of("amd64"), "bootID": id(1), "containerRuntimeVersion": of("containerd://2.1.4"),
            "kernelVersion": of("6.1.0-28-amd64"), "kubeProxyVersion": "", "kubeletVersion": of("v1.36.2"),
            "machineID": id(2).replace('-', ""), "operatingSystem": of("linux"),
            "osImage": of("Debian GNU/Linux 12 (bookworm)"), "systemUUID": id(3),
        }),
    );
    let images = status.images.iter().map(
        |image| json!({"names": image.names.iter().map(|name| &**name).collect::<Vec<_>>(), "sizeBytes": image.size}),
    );
    put(&mut map, "images", images.collect::<Value>());
    if known {
        map.insert("features".into(), json!({"supplementalGroupsPolicy": true}));
        let features = json!({"recursiveReadOnlyMounts": true, "userNamespaces": false});
        map.insert("runtimeHandlers".into(), json!([{"features": features, "name": ""}]));
    }
    Value::Object(map)
}

fn reference(about: &ObjectReference) -> Value {
    let mut map = Map::new();
    map.insert("kind".into(), about.kind.name().into());
    map.insert("apiVersion".into(), about.kind.api_version().into());
    put(&mut map, "namespace", &*about.namespace);
    map.insert("name".into(), (*about.name).into());
    map.insert("uid".into(), about.uid.to_string().into());
    if about.resource_version > 0 {
        map.insert("resourceVersion".into(), about.resource_version.to_string().into());
    }
    put(&mut map, "fieldPath", about.field_path.as_deref().unwrap_or(""));
    Value::Object(map)
}

fn event_fields(event: &EventObject, root: &mut Map<String, Value>) {
    let optional = |at: Option<Instant>| at.map_or(Value::Null, |at| time(at).into());
    root.insert("involvedObject".into(), reference(&event.regarding));
    root.insert("type".into(), event.kind.as_str().into());
    root.insert("reason".into(), (*event.reason).into());
    root.insert("message".into(), (*event.message).into());
    root.insert("firstTimestamp".into(), optional(event.first));
    root.insert("lastTimestamp".into(), optional(event.last));
    if event.event_time.is_none() {
        put(root, "count", event.count);
    } else if event.count > 1 {
        let last = event.last.or(event.event_time).map_or(Value::Null, |at| micro_time(at).into());
        root.insert("series".into(), json!({"count": event.count, "lastObservedTime": last}));
    }
    root.insert("eventTime".into(), event.event_time.map_or(Value::Null, |at| micro_time(at).into()));
    put(root, "action", &*event.action);
    root.insert("reportingComponent".into(), (*event.component).into());
    root.insert("reportingInstance".into(), (*event.instance).into());
    let mut source = Map::new();
    if event.event_time.is_none() {
        source.insert("component".into(), (*event.component).into());
        put(&mut source, "host", &*event.host);
    }
    root.insert("source".into(), Value::Object(source));
}

/// `spec.template`.
pub fn template(template: &PodTemplate) -> Value {
    let mut meta = Map::new();
    if !template.labels.is_empty() {
        meta.insert("labels".into(), labels(&template.labels));
    }
    if !template.annotations.is_empty() {
        meta.insert("annotations".into(), labels(&template.annotations));
    }
    json!({"metadata": meta, "spec": api(&template.spec.api)})
}

fn selector(selector: &LabelSelector) -> Value {
    api(selector)
}

fn int_or_percent(value: &IntOrPercent) -> Value {
    match value {
        IntOrPercent::Int(number) => (*number).into(),
        IntOrPercent::Percent(text) => (**text).into(),
    }
}

fn deployment_spec(deployment: &Deployment) -> Value {
    let spec = &deployment.spec;
    let strategy = match &spec.strategy {
        Strategy::Recreate => json!({"type": "Recreate"}),
        Strategy::RollingUpdate { max_unavailable, max_surge } => json!({
            "type": "RollingUpdate",
            "rollingUpdate": {"maxUnavailable": int_or_percent(max_unavailable), "maxSurge": int_or_percent(max_surge)},
        }),
    };
    let mut map = Map::new();
    map.insert("replicas".into(), spec.replicas.into());
    map.insert("selector".into(), selector(&spec.selector.api));
    map.insert("template".into(), template(&spec.template));
    map.insert("strategy".into(), strategy);
    put(&mut map, "minReadySeconds", spec.min_ready_seconds);
    map.insert("revisionHistoryLimit".into(), spec.revision_history_limit.into());
    put(&mut map, "paused", spec.paused);
    map.insert("progressDeadlineSeconds".into(), spec.progress_deadline_seconds.into());
    Value::Object(map)
}

fn deployment_status(deployment: &Deployment) -> Value {
    let status = &deployment.status;
    let mut map = Map::new();
    put(&mut map, "observedGeneration", status.observed_generation);
    put(&mut map, "replicas", status.replicas);
    put(&mut map, "updatedReplicas", status.updated);
    put(&mut map, "readyReplicas", status.ready);
    put(&mut map, "availableReplicas", status.available);
    put(&mut map, "unavailableReplicas", status.unavailable);
    if let Some(terminating) = status.terminating {
        map.insert("terminatingReplicas".into(), terminating.into());
    }
    put(&mut map, "conditions", status.conditions.iter().map(deployment_condition).collect::<Value>());
    if let Some(count) = status.collision_count {
        map.insert("collisionCount".into(), count.into());
    }
    Value::Object(map)
}

fn replica_set_spec(set: &ReplicaSet) -> Value {
    let mut map = Map::new();
    map.insert("replicas".into(), set.spec.replicas.into());
    put(&mut map, "minReadySeconds", set.spec.min_ready_seconds);
    map.insert("selector".into(), selector(&set.spec.selector.api));
    map.insert("template".into(), template(&set.spec.template));
    Value::Object(map)
}

fn replica_set_status(set: &ReplicaSet) -> Value {
    let status = &set.status;
    let mut map = Map::new();
    map.insert("replicas".into(), status.replicas.into());
    put(&mut map, "observedGeneration", status.observed_generation);
    put(&mut map, "fullyLabeledReplicas", status.fully_labeled);
    put(&mut map, "readyReplicas", status.ready);
    put(&mut map, "availableReplicas", status.available);
    if let Some(terminating) = status.terminating {
        map.insert("terminatingReplicas".into(), terminating.into());
    }
    let conditions = status.conditions.iter().map(|condition| Value::Object(condition_head(condition)));
    put(&mut map, "conditions", conditions.collect::<Value>());
    Value::Object(map)
}

fn lease_spec(lease: &Lease) -> Value {
    let mut map = Map::new();
    put(&mut map, "holderIdentity", &*lease.holder);
    put(&mut map, "leaseDurationSeconds", lease.duration_seconds);
    if let Some(acquired) = lease.acquired {
        map.insert("acquireTime".into(), micro_time(acquired).into());
    }
    if lease.renewed > Instant::START {
        map.insert("renewTime".into(), micro_time(lease.renewed).into());
    }
    put(&mut map, "leaseTransitions", lease.transitions);
    Value::Object(map)
}
