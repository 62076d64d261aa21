//! Defaults of Deployments and ReplicaSets.
//!
//! Models: kubernetes v1.36.2 pkg/apis/apps/v1/defaults.go.

use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::pod_spec;

/// How many pods a rolling update may have too many or too few.
const ROLLING: &str = "25%";
/// Old ReplicaSets kept for rollbacks.
const HISTORY: i32 = 10;
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
