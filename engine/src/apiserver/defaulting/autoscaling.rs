//! Defaults of HorizontalPodAutoscalers.
//!
//! Models: kubernetes v1.36.2 pkg/apis/autoscaling/v2/defaults.go, pkg/apis/autoscaling/v1/defaults.go.

use k8s_openapi::api::autoscaling::v2::{
    HPAScalingPolicy, HPAScalingRules, HorizontalPodAutoscaler, HorizontalPodAutoscalerBehavior, MetricSpec,
    MetricTarget, ResourceMetricSource,
};

/// The share of their CPU request that pods use where nothing else is asked for. [%]
const CPU_UTILIZATION: i32 = 80;

/// An autoscaler's defaults.
pub(super) fn autoscaler(autoscaler: &mut HorizontalPodAutoscaler) {
    let spec = &mut autoscaler.spec;
    spec.min_replicas.get_or_insert(1);
    if spec.metrics.as_ref().is_none_or(Vec::is_empty) {
        let target = MetricTarget {
            type_: "Utilization".to_owned(),
            average_utilization: Some(CPU_UTILIZATION),
            ..Default::default()
        };
        let resource = Some(ResourceMetricSource { name: "cpu".to_owned(), target });
        spec.metrics = Some(vec![MetricSpec { type_: "Resource".to_owned(), resource, ..Default::default() }]);
    }
    if let Some(behavior) = &mut spec.behavior {
        default_behavior(behavior);
    }
    autoscaler.status.get_or_insert_default();
}

/// What a behavior leaves open. The window of a scale-down stays open: it is the controller's.
pub fn default_behavior(behavior: &mut HorizontalPodAutoscalerBehavior) {
    let policy = |type_: &str, value| HPAScalingPolicy { period_seconds: 15, type_: type_.to_owned(), value };
    let up = behavior.scale_up.get_or_insert_default();
    up.stabilization_window_seconds.get_or_insert(0);
    rules(up, || vec![policy("Pods", 4), policy("Percent", 100)]);
    rules(behavior.scale_down.get_or_insert_default(), || vec![policy("Percent", 100)]);
}

fn rules(rules: &mut HPAScalingRules, policies: impl FnOnce() -> Vec<HPAScalingPolicy>) {
    rules.select_policy.get_or_insert_with(|| "Max".to_owned());
    rules.policies.get_or_insert_with(policies);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_behavior_with_one_direction_gets_the_other_too() {
        let down = HPAScalingRules { stabilization_window_seconds: Some(60), ..Default::default() };
        let mut behavior = HorizontalPodAutoscalerBehavior { scale_down: Some(down), scale_up: None };
        default_behavior(&mut behavior);
        let (up, down) = (behavior.scale_up.expect("up"), behavior.scale_down.expect("down"));
        assert_eq!((up.policies.map(|policies| policies.len()), up.stabilization_window_seconds), (Some(2), Some(0)));
        assert_eq!((down.select_policy.as_deref(), down.stabilization_window_seconds), (Some("Max"), Some(60)));
    }

    #[test]
    fn without_metrics_the_cpu_is_looked_at() {
        let mut hpa = HorizontalPodAutoscaler::default();
        autoscaler(&mut hpa);
        let spec = hpa.spec;
        let target = spec.metrics.and_then(|metrics| metrics.into_iter().next()?.resource).map(|one| one.target);
        assert_eq!(target.and_then(|target| target.average_utilization), Some(80));
        assert_eq!(spec.min_replicas, Some(1));
    }
}
