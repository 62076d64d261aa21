//! Defaults that only pods have, and not templates.
//!
//! Models: kubernetes v1.36.2 pkg/apis/core/v1/defaults.go (SetDefaults_Pod), pkg/registry/core/pod/strategy.go.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Container, Pod, PodCondition, PodSpec, PodStatus};

use super::{pod_spec, qos_class};
use crate::apiserver::validation::{aggregate_requests, is_pod_level};

/// A pod's defaults.
pub(super) fn defaults(pod: &mut Pod) {
    let spec = pod.spec.get_or_insert_default();
    pod_spec::defaults(spec);
    for container in spec.containers.iter_mut().chain(spec.init_containers.iter_mut().flatten()) {
        requests_from_limits(container);
    }
    pod_level_requests(spec);
    spec.enable_service_links.get_or_insert(true);
    if spec.host_network == Some(true) {
        for container in spec.containers.iter_mut().chain(spec.init_containers.iter_mut().flatten()) {
            for port in container.ports.iter_mut().flatten() {
                if port.host_port.unwrap_or_default() == 0 {
                    port.host_port = Some(port.container_port);
                }
            }
        }
    }
}

/// The first status of a pod.
pub(super) fn prepare_for_create(pod: &mut Pod) {
    pod.metadata.generation = Some(1);
    let spec = pod.spec.get_or_insert_default();
    let gated = spec.scheduling_gates.as_ref().is_some_and(|gates| !gates.is_empty());
    let condition = PodCondition {
        type_: "PodScheduled".to_owned(),
        status: "False".to_owned(),
        reason: Some("SchedulingGated".to_owned()),
        message: Some("Scheduling is blocked due to non-empty scheduling gates".to_owned()),
        ..Default::default()
    };
    pod.status = Some(PodStatus {
        phase: Some("Pending".to_owned()),
        qos_class: Some(qos_class(spec).to_owned()),
        conditions: gated.then(|| vec![condition]),
        ..Default::default()
    });
}

fn requests_from_limits(container: &mut Container) {
    let resources = container.resources.get_or_insert_default();
    let Some(limits) = &resources.limits else { return };
    let requests = resources.requests.get_or_insert_default();
    for (name, limit) in limits {
        requests.entry(name.clone()).or_insert_with(|| limit.clone());
    }
}

/// What the pod as a whole asks for, where it sets limits: what its containers do, else its limit.
fn pod_level_requests(spec: &mut PodSpec) {
    let limited = spec.resources.as_ref().is_some_and(|resources| resources.limits.is_some());
    if !limited {
        return;
    }
    let together = aggregate_requests(spec);
    let Some(resources) = &mut spec.resources else { return };
    let mut requests: BTreeMap<_, _> = resources.requests.take().unwrap_or_default();
    for (name, request) in together.into_iter().filter(|(name, _)| is_pod_level(name)) {
        requests.entry(name).or_insert_with(|| request.into());
    }
    for (name, limit) in resources.limits.iter().flatten().filter(|(name, _)| is_pod_level(name)) {
        requests.entry(name.clone()).or_insert_with(|| limit.clone());
    }
    resources.requests = (!requests.is_empty()).then_some(requests);
}
