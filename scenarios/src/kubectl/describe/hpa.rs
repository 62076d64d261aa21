//! `kubectl describe` of HorizontalPodAutoscalers.
//!
//! Models: kubernetes v1.36.2 staging/src/k8s.io/kubectl/pkg/describe/describe.go
//! (`describeHorizontalPodAutoscalerV2`, `printDirectionBehavior`).

use serde_json::Value;

use super::super::duration::rfc1123z;
use super::super::json::{integer, list, number, present, scalar_at, text};
use super::{annotations, labels, put, template};

/// Everything but the events.
pub(super) fn describe(object: &Value) -> String {
    let mut out = template::heading(object);
    labels(&mut out, "Labels", object, "/metadata/labels");
    annotations(&mut out, "Annotations", object, "/metadata/annotations");
    put(&mut out, "CreationTimestamp", rfc1123z(text(object, "/metadata/creationTimestamp")));
    let kind = text(object, "/spec/scaleTargetRef/kind");
    put(&mut out, "Reference", format!("{kind}/{}", text(object, "/spec/scaleTargetRef/name")));
    put(&mut out, "Metrics", "( current / target )");
    let current = list(object, "/status/currentMetrics");
    for (i, spec) in list(object, "/spec/metrics").iter().enumerate() {
        out.push_str(&format!("  {}\n", metric(spec, current.get(i).unwrap_or(&Value::Null))));
    }
    let least = integer(object, "/spec/minReplicas").map_or("<unset>".into(), |n| n.to_string());
    put(&mut out, "Min replicas", least);
    put(&mut out, "Max replicas", number(object, "/spec/maxReplicas"));
    if present(object, "/spec/behavior") {
        out.push_str("Behavior:\n");
        direction(&mut out, "Scale Up", object.pointer("/spec/behavior/scaleUp"));
        direction(&mut out, "Scale Down", object.pointer("/spec/behavior/scaleDown"));
    }
    let (have, want) = (number(object, "/status/currentReplicas"), number(object, "/status/desiredReplicas"));
    put(&mut out, &format!("{kind} pods"), format!("{have} current / {want} desired"));
    let conditions = list(object, "/status/conditions");
    if !conditions.is_empty() {
        out.push_str("Conditions:\n  Type\tStatus\tReason\tMessage\n  ----\t------\t------\t-------\n");
    }
    for condition in conditions {
        let of = |field: &str| text(condition, field);
        out.push_str(&format!("  {}\t{}\t{}\t{}\n", of("/type"), of("/status"), of("/reason"), of("/message")));
    }
    out
}

/// `resource cpu on pods  (as a percentage of request):` and behind a tab what is and what is wanted.
fn metric(spec: &Value, status: &Value) -> String {
    let kind = text(spec, "/type");
    let field = match kind {
        "External" => "external",
        "Pods" => "pods",
        "Object" => "object",
        "Resource" => "resource",
        "ContainerResource" => "containerResource",
        other => return format!("<unknown metric type \"{other}\">"),
    };
    let target = |what: &str| scalar_at(spec, &format!("/{field}/target/{what}"));
    let current = |what: &str| match scalar_at(status, &format!("/{field}/current/{what}")).as_str() {
        "" => "<unknown>".to_string(),
        value => value.to_string(),
    };
    let values = |what: &str| format!("{} / {}", current(what), target(what));
    let metric = text(spec, &format!("/{field}/metric/name"));
    let resource = text(spec, &format!("/{field}/name"));
    let average = present(spec, &format!("/{field}/target/averageValue"));
    let (of_what, value) = if average { ("target average value", "averageValue") } else { ("target value", "value") };
    match kind {
        "External" => format!("\"{metric}\" ({of_what}):\t{}", values(value)),
        "Pods" => format!("\"{metric}\" on pods:\t{}", values("averageValue")),
        "Object" => {
            let of = |what: &str| text(spec, &format!("/object/describedObject/{what}"));
            format!("\"{metric}\" on {}/{} ({of_what}):\t{}", of("kind"), of("name"), values(value))
        }
        _ => {
            let container = match text(spec, "/containerResource/container") {
                "" => String::new(),
                container => format!(" of container \"{container}\""),
            };
            let on = format!("resource {resource}{container} on pods");
            if average {
                return format!("{on}:\t{}", values("averageValue"));
            }
            let now = match current("averageUtilization").as_str() {
                "<unknown>" => "<unknown>".to_string(),
                percent => format!("{percent}% ({})", current("averageValue")),
            };
            let wanted = match target("averageUtilization").as_str() {
                "" => "<auto>".to_string(),
                percent => format!("{percent}%"),
            };
            format!("{on}  (as a percentage of request):\t{now} / {wanted}")
        }
    }
}

fn direction(out: &mut String, title: &str, rules: Option<&Value>) {
    let Some(rules) = rules.filter(|rules| !rules.is_null()) else { return };
    out.push_str(&format!("  {title}:\n"));
    if let Some(seconds) = integer(rules, "/stabilizationWindowSeconds") {
        out.push_str(&format!("    Stabilization Window: {seconds} seconds\n"));
    }
    let policies = list(rules, "/policies");
    if policies.is_empty() {
        return;
    }
    let select = if present(rules, "/selectPolicy") { text(rules, "/selectPolicy") } else { "Max" };
    out.push_str(&format!("    Select Policy: {select}\n    Policies:\n"));
    for policy in policies {
        let (kind, value) = (text(policy, "/type"), number(policy, "/value"));
        let period = number(policy, "/periodSeconds");
        out.push_str(&format!("      - Type: {kind}\tValue: {value}\tPeriod: {period} seconds\n"));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_autoscaler_reads_as_the_real_kubectl_shows_it() {
        let object = json!({"metadata": {"name": "web", "namespace": "default",
                "creationTimestamp": "2026-11-22T07:55:14Z"},
            "spec": {"scaleTargetRef": {"kind": "Deployment", "name": "web"}, "minReplicas": 2, "maxReplicas": 10,
                "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": {"averageUtilization": 70}}}]},
            "status": {"currentReplicas": 3, "desiredReplicas": 0}});
        let text = describe(&object);
        assert!(
            text.ends_with(
                "Reference:\tDeployment/web\nMetrics:\t( current / target )\n  resource cpu on pods  (as a percentage \
                 of request):\t<unknown> / 70%\nMin replicas:\t2\nMax replicas:\t10\nDeployment pods:\t3 current / 0 \
                 desired\n"
            ),
            "{text}"
        );
    }
}
