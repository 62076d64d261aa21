//! HorizontalPodAutoscalers.
//!
//! Models: kubernetes v1.36.2 pkg/apis/autoscaling/validation/validation.go. Left out: the inside of metrics that are not of resources
//! beyond their targets.

use k8s_openapi::api::autoscaling::v2::{
    CrossVersionObjectReference, HPAScalingRules, HorizontalPodAutoscaler, MetricSpec, MetricTarget,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as ApiQuantity;

use super::field::{Errors, Path};
use super::{metadata, names};
use crate::objects::quantity::Quantity;

const SPEC: Path<'static> = Path::root("spec");
/// Longest stabilisation window. [s]
const LONGEST_WINDOW: i32 = 3600;
/// Longest period of a policy. [s]
const LONGEST_PERIOD: i32 = 1800;
const TYPES: [&str; 5] = ["ContainerResource", "External", "Object", "Pods", "Resource"];

/// A HorizontalPodAutoscaler to be created.
pub(super) fn create(autoscaler: &HorizontalPodAutoscaler, errors: &mut Errors) {
    metadata::create(&autoscaler.metadata, true, names::object_name, errors);
    rules(autoscaler, errors);
}

/// A change of a HorizontalPodAutoscaler.
pub(super) fn update(new: &HorizontalPodAutoscaler, old: &HorizontalPodAutoscaler, errors: &mut Errors) {
    metadata::update(&new.metadata, &old.metadata, errors);
    rules(new, errors);
}

fn rules(autoscaler: &HorizontalPodAutoscaler, errors: &mut Errors) {
    let spec = &autoscaler.spec;
    if let Some(least) = spec.min_replicas.filter(|least| *least < 1) {
        errors.invalid(&SPEC.child("minReplicas"), least, "must be greater than or equal to 1");
    }
    let path = SPEC.child("maxReplicas");
    if spec.max_replicas < 1 {
        errors.required(&path, "must be set and greater than 0");
    }
    if spec.min_replicas.is_some_and(|least| spec.max_replicas < least) {
        errors.invalid(&path, spec.max_replicas, "must be greater than or equal to `minReplicas`");
    }
    target(&spec.scale_target_ref, &SPEC.child("scaleTargetRef"), errors);
    let metrics = spec.metrics.as_deref().unwrap_or_default();
    let path = SPEC.child("metrics");
    for (index, metric) in metrics.iter().enumerate() {
        self::metric(metric, &path.index(index), errors);
    }
    let of_things = metrics.iter().any(|metric| matches!(metric.type_.as_str(), "Object" | "External"));
    if spec.min_replicas == Some(0) && !of_things {
        let detail = "must specify at least one Object or External metric to support scaling to zero replicas";
        errors.forbidden(&path, detail);
    }
    if let Some(behavior) = &spec.behavior {
        let path = SPEC.child("behavior");
        for (name, rules) in [("scaleUp", &behavior.scale_up), ("scaleDown", &behavior.scale_down)] {
            if let Some(rules) = rules {
                scaling(rules, &path.child(name), errors);
            }
        }
    }
}

fn target(target: &CrossVersionObjectReference, path: &Path<'_>, errors: &mut Errors) {
    for (name, value) in [("kind", &target.kind), ("name", &target.name)] {
        match value.as_str() {
            "" => errors.required(&path.child(name), ""),
            value => errors.invalid_each(&path.child(name), value, &names::path_segment(value, false)),
        }
    }
    let version = target.api_version.as_deref().unwrap_or_default();
    let path = path.child("apiVersion");
    match version.matches('/').count() {
        0 if version == "v1" && target.kind == "ReplicationController" => {}
        0 => errors.invalid(&path, version, "apiVersion must specify API group"),
        1 => {}
        _ => errors.invalid(&path, version, format!("unexpected GroupVersion string: {version}")),
    }
}

fn metric(metric: &MetricSpec, path: &Path<'_>, errors: &mut Errors) {
    let kind = path.child("type");
    if metric.type_.is_empty() {
        errors.required(&kind, "must specify a metric source type");
    } else if !TYPES.contains(&metric.type_.as_str()) {
        errors.not_supported(&kind, &metric.type_, &TYPES);
    }
    let mut present = Vec::new();
    if let Some(object) = &metric.object {
        present.push("object");
        let path = path.child("object");
        metric_target(&object.target, &path.child("target"), errors);
        named_metric(&object.metric.name, &path, errors);
    }
    if let Some(external) = &metric.external {
        present.push("external");
        let path = path.child("external");
        named_metric(&external.metric.name, &path, errors);
        metric_target(&external.target, &path.child("target"), errors);
    }
    if let Some(pods) = &metric.pods {
        present.push("pods");
        let path = path.child("pods");
        named_metric(&pods.metric.name, &path, errors);
        let target = path.child("target");
        metric_target(&pods.target, &target, errors);
        if pods.target.average_value.is_none() {
            errors.required(&target.child("averageValue"), "must specify a positive target averageValue");
        }
    }
    if let Some(resource) = &metric.resource {
        present.push("resource");
        let path = path.child("resource");
        resource_metric(&resource.name, &resource.target, &path, errors);
    }
    if let Some(resource) = &metric.container_resource {
        present.push("containerResource");
        let path = path.child("containerResource");
        if resource.container.is_empty() {
            errors.required(&path.child("container"), "must specify a container");
        }
        resource_metric(&resource.name, &resource.target, &path, errors);
    }
    let expected = match metric.type_.as_str() {
        "Object" => "object",
        "External" => "external",
        "Pods" => "pods",
        "Resource" => "resource",
        "ContainerResource" => "containerResource",
        _ => return,
    };
    if !present.contains(&expected) {
        errors.required(&path.child(expected), "must populate information for the given metric source");
    }
    for other in present.iter().filter(|name| present.len() > 1 && **name != expected) {
        errors.forbidden(&path.child(other), "must populate the given metric source only");
    }
}

fn named_metric(name: &str, path: &Path<'_>, errors: &mut Errors) {
    let path = path.child("metric");
    match name {
        "" => errors.required(&path.child("name"), "must specify a metric name"),
        name => errors.invalid_each(&path.child("name"), name, &names::path_segment(name, false)),
    }
}

fn resource_metric(name: &str, target: &MetricTarget, path: &Path<'_>, errors: &mut Errors) {
    if name.is_empty() {
        errors.required(&path.child("name"), "must specify a resource name");
    }
    let path = path.child("target");
    metric_target(target, &path, errors);
    match (target.average_utilization, &target.average_value) {
        (None, None) => {
            let detail = "must set either a target raw value or a target utilization";
            errors.required(&path.child("averageUtilization"), detail);
        }
        (Some(_), Some(_)) => {
            let detail = "may not set both a target raw value and a target utilization";
            errors.forbidden(&path.child("averageValue"), detail);
        }
        _ => {}
    }
}

fn metric_target(target: &MetricTarget, path: &Path<'_>, errors: &mut Errors) {
    let kind = path.child("type");
    match target.type_.as_str() {
        "" => errors.required(&kind, "must specify a metric target type"),
        "Utilization" | "Value" | "AverageValue" => {}
        other => errors.invalid(&kind, other, "must be either Utilization, Value, or AverageValue"),
    }
    positive(target.value.as_ref(), &path.child("value"), errors);
    positive(target.average_value.as_ref(), &path.child("averageValue"), errors);
    if let Some(percent) = target.average_utilization.filter(|percent| *percent < 1) {
        errors.invalid(&path.child("averageUtilization"), percent, "must be greater than 0");
    }
}

fn positive(quantity: Option<&ApiQuantity>, path: &Path<'_>, errors: &mut Errors) {
    if let Some(quantity) = quantity.and_then(|quantity| Quantity::try_from(quantity).ok())
        && quantity <= Quantity::default()
    {
        errors.invalid(path, &quantity.canonical(), "must be positive");
    }
}

fn scaling(rules: &HPAScalingRules, path: &Path<'_>, errors: &mut Errors) {
    let window = path.child("stabilizationWindowSeconds");
    match rules.stabilization_window_seconds {
        Some(seconds) if seconds < 0 => {
            errors.invalid(&window, seconds, "must be greater than or equal to zero");
        }
        Some(seconds) if seconds > LONGEST_WINDOW => {
            errors.invalid(&window, seconds, format!("must be less than or equal to {LONGEST_WINDOW}"));
        }
        _ => {}
    }
    let known = ["Disabled", "Max", "Min"];
    if let Some(policy) = rules.select_policy.as_deref().filter(|policy| !known.contains(policy)) {
        errors.not_supported(&path.child("selectPolicy"), policy, &known);
    }
    let policies = rules.policies.as_deref().unwrap_or_default();
    let root = path.child("policies");
    if policies.is_empty() {
        errors.required(&root, "must specify at least one Policy");
    }
    for (index, policy) in policies.iter().enumerate() {
        let path = root.index(index);
        if !matches!(policy.type_.as_str(), "Percent" | "Pods") {
            errors.not_supported(&path.child("type"), &policy.type_, &["Percent", "Pods"]);
        }
        if policy.value <= 0 {
            errors.invalid(&path.child("value"), policy.value, "must be greater than zero");
        }
        let period = path.child("periodSeconds");
        if policy.period_seconds <= 0 {
            errors.invalid(&period, policy.period_seconds, "must be greater than zero");
        }
        if policy.period_seconds > LONGEST_PERIOD {
            let detail = format!("must be less than or equal to {LONGEST_PERIOD}");
            errors.invalid(&period, policy.period_seconds, detail);
        }
    }
    if let Some(tolerance) = rules.tolerance.as_ref().and_then(|tolerance| Quantity::try_from(tolerance).ok())
        && tolerance.is_negative()
    {
        let detail = "must be greater than or equal to 0";
        errors.invalid(&path.child("tolerance"), &tolerance.canonical(), detail);
    }
}
