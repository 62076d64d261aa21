//! Defaults of workloads but Jobs: Deployments, ReplicaSets, StatefulSets, DaemonSets, ReplicationControllers, PodTemplates.
//!
//! Models: kubernetes v1.36.2 pkg/apis/{apps,core}/v1/defaults.go, pkg/apis/apps/v1/conversion.go (generation of a DaemonSet's template).

use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, ReplicaSet, StatefulSet};
use k8s_openapi::api::core::v1::{PodTemplate, ReplicationController};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::{pod_spec, storage};

/// How many pods a rolling update may have too many or too few.
const ROLLING: &str = "25%";
/// Old ReplicaSets kept for rollbacks.
const HISTORY: i32 = 10;
/// Where a DaemonSet counts the changes of its template, which v1 has no field for.
const TEMPLATE_GENERATION: &str = "deprecated.daemonset.template.generation";
/// How long a rollout may stand still. [s]
const DEADLINE: i32 = 600;

/// A Deployment's defaults.
pub(super) fn deployment(deployment: &mut Deployment) {
    let spec = deployment.spec.get_or_insert_default();
    spec.replicas.get_or_insert(1);
    spec.revision_history_limit.get_or_insert(HISTORY);
    spec.progress_deadline_seconds.get_or_insert(DEADLINE);
    let strategy = spec.strategy.get_or_insert_default();
    pod_spec::text(&mut strategy.type_, "RollingUpdate");
    if strategy.type_.as_deref() == Some("RollingUpdate") {
        let rolling = strategy.rolling_update.get_or_insert_default();
        rolling.max_surge.get_or_insert_with(|| IntOrString::String(ROLLING.to_owned()));
        rolling.max_unavailable.get_or_insert_with(|| IntOrString::String(ROLLING.to_owned()));
    }
    pod_spec::template(&mut spec.template);
    deployment.status.get_or_insert_default();
}

/// A ReplicaSet's defaults.
pub(super) fn replica_set(set: &mut ReplicaSet) {
    let spec = set.spec.get_or_insert_default();
    spec.replicas.get_or_insert(1);
    pod_spec::template(spec.template.get_or_insert_default());
    set.status.get_or_insert_default();
}

/// A StatefulSet's defaults.
pub(super) fn stateful_set(set: &mut StatefulSet) {
    let spec = set.spec.get_or_insert_default();
    pod_spec::text(&mut spec.pod_management_policy, "OrderedReady");
    let strategy = spec.update_strategy.get_or_insert_default();
    if strategy.type_.as_ref().is_none_or(String::is_empty) {
        strategy.type_ = Some("RollingUpdate".to_owned());
        strategy.rolling_update.get_or_insert_default();
    }
    if let (Some("RollingUpdate"), Some(rolling)) = (strategy.type_.as_deref(), &mut strategy.rolling_update) {
        rolling.partition.get_or_insert(0);
    }
    let retention = spec.persistent_volume_claim_retention_policy.get_or_insert_default();
    pod_spec::text(&mut retention.when_deleted, "Retain");
    pod_spec::text(&mut retention.when_scaled, "Retain");
    spec.replicas.get_or_insert(1);
    spec.revision_history_limit.get_or_insert(HISTORY);
    // A text that Go always writes.
    spec.service_name.get_or_insert_default();
    pod_spec::template(&mut spec.template);
    for claim in spec.volume_claim_templates.iter_mut().flatten() {
        storage::claim(claim);
    }
    set.status.get_or_insert_default().available_replicas.get_or_insert(0);
}

/// A DaemonSet's defaults.
pub(super) fn daemon_set(set: &mut DaemonSet) {
    let spec = set.spec.get_or_insert_default();
    let strategy = spec.update_strategy.get_or_insert_default();
    pod_spec::text(&mut strategy.type_, "RollingUpdate");
    if strategy.type_.as_deref() == Some("RollingUpdate") {
        let rolling = strategy.rolling_update.get_or_insert_default();
        rolling.max_unavailable.get_or_insert(IntOrString::Int(1));
        rolling.max_surge.get_or_insert(IntOrString::Int(0));
    }
    spec.revision_history_limit.get_or_insert(HISTORY);
    pod_spec::template(&mut spec.template);
    set.status.get_or_insert_default();
}

/// The first generation of a new DaemonSet's template, unless the client gives it another.
pub(super) fn first_template_generation(set: &mut DaemonSet) {
    let annotations = set.metadata.annotations.get_or_insert_default();
    let given = annotations.get(TEMPLATE_GENERATION).and_then(|text| text.parse::<i64>().ok());
    annotations.insert(TEMPLATE_GENERATION.to_owned(), given.unwrap_or(0).max(1).to_string());
}

/// The generation of a changed DaemonSet's template: that of the old one, and one more if the template differs.
pub(super) fn next_template_generation(new: &mut DaemonSet, old: &DaemonSet) {
    let annotation = |set: &DaemonSet| {
        let annotations = set.metadata.annotations.as_ref();
        annotations.and_then(|annotations| annotations.get(TEMPLATE_GENERATION)?.parse::<i64>().ok())
    };
    let template = |set: &DaemonSet| set.spec.as_ref().map(|spec| spec.template.clone());
    let generation = annotation(old).unwrap_or(0) + i64::from(template(new) != template(old));
    new.metadata.annotations.get_or_insert_default().insert(TEMPLATE_GENERATION.to_owned(), generation.to_string());
}

/// A ReplicationController's defaults.
pub(super) fn replication_controller(controller: &mut ReplicationController) {
    let spec = controller.spec.get_or_insert_default();
    if let Some(template) = &mut spec.template {
        pod_spec::template(template);
        let labels = template.metadata.as_ref().and_then(|metadata| metadata.labels.clone()).unwrap_or_default();
        if !labels.is_empty() {
            if spec.selector.as_ref().is_none_or(|selector| selector.is_empty()) {
                spec.selector = Some(labels.clone());
            }
            if controller.metadata.labels.as_ref().is_none_or(|own| own.is_empty()) {
                controller.metadata.labels = Some(labels);
            }
        }
    }
    spec.replicas.get_or_insert(1);
    controller.status.get_or_insert_default();
}

/// A PodTemplate's defaults.
pub(super) fn pod_template(template: &mut PodTemplate) {
    pod_spec::template(template.template.get_or_insert_default());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_template_of_a_daemon_set_is_counted() {
        let mut set = DaemonSet::default();
        daemon_set(&mut set);
        first_template_generation(&mut set);
        let counted =
            |set: &DaemonSet| set.metadata.annotations.clone().and_then(|mut all| all.remove(TEMPLATE_GENERATION));
        assert_eq!(counted(&set).as_deref(), Some("1"));
        let mut next = set.clone();
        next_template_generation(&mut next, &set);
        assert_eq!(counted(&next).as_deref(), Some("1"));
        next.spec.get_or_insert_default().template.metadata.get_or_insert_default().labels = Some([].into());
        next_template_generation(&mut next, &set);
        assert_eq!(counted(&next).as_deref(), Some("2"));
    }
}
