//! Rows of budgets, autoscalers, quotas and priority classes.
//!
//! Models: kubernetes v1.36.2 pkg/printers/internalversion/printers.go (`printPodDisruptionBudget`,
//! `printHorizontalPodAutoscaler`, `formatHPAMetrics`, `printResourceQuota`, `printPriorityClass`, `printLimitRange`).

use serde_json::Value;

use super::super::json::{amounts, boolean, integer, list, name, number, present, scalar_at, text};
use super::{Column, age};

pub(super) const BUDGET: &[Column] = &[
    ("Name", false),
    ("Min Available", false),
    ("Max Unavailable", false),
    ("Allowed Disruptions", false),
    ("Age", false),
];

pub(super) fn budget(object: &Value, now: i64) -> Vec<String> {
    let or_na = |pointer: &str| match scalar_at(object, pointer).as_str() {
        "" => "N/A".to_string(),
        value => value.to_string(),
    };
    vec![
        name(object).into(),
        or_na("/spec/minAvailable"),
        or_na("/spec/maxUnavailable"),
        number(object, "/status/disruptionsAllowed").to_string(),
        age(object, now),
    ]
}

pub(super) const AUTOSCALER: &[Column] = &[
    ("Name", false),
    ("Reference", false),
    ("Targets", false),
    ("MinPods", false),
    ("MaxPods", false),
    ("Replicas", false),
    ("Age", false),
];

pub(super) fn autoscaler(object: &Value, now: i64) -> Vec<String> {
    let target = |field: &str| text(object, &format!("/spec/scaleTargetRef/{field}"));
    vec![
        name(object).into(),
        format!("{}/{}", target("kind"), target("name")),
        targets(list(object, "/spec/metrics"), list(object, "/status/currentMetrics")),
        integer(object, "/spec/minReplicas").map_or("<unset>".into(), |n| n.to_string()),
        number(object, "/spec/maxReplicas").to_string(),
        number(object, "/status/currentReplicas").to_string(),
        age(object, now),
    ]
}

/// `cpu: 45%/80%`, at most two metrics.
fn targets(specs: &[Value], statuses: &[Value]) -> String {
    const SHOWN: usize = 2;
    if specs.is_empty() {
        return "<none>".into();
    }
    let all: Vec<String> =
        specs.iter().enumerate().map(|(i, spec)| target(spec, statuses.get(i).unwrap_or(&Value::Null))).collect();
    let shown = all.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
    match all.len().checked_sub(SHOWN).filter(|more| *more > 0) {
        Some(more) => format!("{shown} + {more} more..."),
        None => shown,
    }
}

fn target(spec: &Value, status: &Value) -> String {
    let field = match text(spec, "/type") {
        "External" => "external",
        "Pods" => "pods",
        "Object" => "object",
        "Resource" => "resource",
        "ContainerResource" => "containerResource",
        _ => return "<unknown type>".into(),
    };
    let current = |what: &str| match scalar_at(status, &format!("/{field}/current/{what}")).as_str() {
        "" => "<unknown>".to_string(),
        value => value.to_string(),
    };
    let wanted = |what: &str| scalar_at(spec, &format!("/{field}/target/{what}"));
    let average = !wanted("averageValue").is_empty();
    let values = |what: &str| format!("{}/{}", current(what), wanted(what));
    match field {
        "pods" => values("averageValue"),
        "external" | "object" if average => format!("{} (avg)", values("averageValue")),
        "external" | "object" => values("value"),
        _ if average => format!("{}: {}", text(spec, &format!("/{field}/name")), values("averageValue")),
        _ => {
            let percent = |value: String| if value.starts_with('<') { value } else { format!("{value}%") };
            let target = match wanted("averageUtilization").as_str() {
                "" => "<auto>".to_string(),
                value => format!("{value}%"),
            };
            format!("{}: {}/{target}", text(spec, &format!("/{field}/name")), percent(current("averageUtilization")))
        }
    }
}

pub(super) const QUOTA: &[Column] = &[("Name", false), ("Request", false), ("Limit", false), ("Age", false)];

pub(super) fn quota(object: &Value, now: i64) -> Vec<String> {
    let used = amounts(object, "/status/used");
    let (mut requests, mut limits) = (Vec::new(), Vec::new());
    for (resource, hard) in amounts(object, "/status/hard") {
        let used = used.iter().find(|(name, _)| *name == resource).map_or("0", |(_, used)| used.as_str());
        let text = format!("{resource}: {used}/{hard}");
        if resource.starts_with("limits") { limits.push(text) } else { requests.push(text) }
    }
    vec![name(object).into(), requests.join(", "), limits.join(", "), age(object, now)]
}

pub(super) const PRIORITY_CLASS: &[Column] =
    &[("Name", false), ("Value", false), ("Global-Default", false), ("Age", false), ("PreemptionPolicy", false)];

pub(super) fn priority_class(object: &Value, now: i64) -> Vec<String> {
    vec![
        name(object).into(),
        number(object, "/value").to_string(),
        boolean(object, "/globalDefault").unwrap_or(false).to_string(),
        age(object, now),
        if present(object, "/preemptionPolicy") { text(object, "/preemptionPolicy").into() } else { String::new() },
    ]
}

pub(super) const CREATED_AT: &[Column] = &[("Name", false), ("Created At", false)];

/// LimitRanges, Roles, ClusterRoles.
pub(super) fn created_at(object: &Value) -> Vec<String> {
    vec![name(object).into(), text(object, "/metadata/creationTimestamp").into()]
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_autoscaler_shows_two_of_its_metrics() {
        let cpu = |spec: Value| json!({"type": "Resource", "resource": {"name": "cpu", "target": spec}});
        let percent = cpu(json!({"type": "Utilization", "averageUtilization": 70}));
        assert_eq!(targets(std::slice::from_ref(&percent), &[]), "cpu: <unknown>/70%");
        let now = json!({"type": "Resource", "resource": {"name": "cpu", "current": {"averageUtilization": 45,
            "averageValue": "45m"}}});
        assert_eq!(targets(std::slice::from_ref(&percent), std::slice::from_ref(&now)), "cpu: 45%/70%");
        let value = cpu(json!({"type": "AverageValue", "averageValue": "500m"}));
        let three = [percent, value, json!({"type": "Pods", "pods": {"target": {"averageValue": "1k"}}})];
        assert_eq!(targets(&three, &[now.clone(), now]), "cpu: 45%/70%, cpu: 45m/500m + 1 more...");
        assert_eq!(targets(&[], &[]), "<none>");
    }

    #[test]
    fn limits_of_a_quota_have_a_column_of_their_own() {
        let object = json!({"metadata": {"name": "q"}, "status": {"hard": {"pods": "2", "limits.cpu": "2"},
            "used": {"pods": "1"}}});
        assert_eq!(quota(&object, 0)[1..3], ["pods: 1/2", "limits.cpu: 0/2"]);
    }

    #[test]
    fn a_budget_has_a_minimum_or_a_maximum() {
        let object = json!({"metadata": {"name": "b"}, "spec": {"minAvailable": "50%"}});
        assert_eq!(budget(&object, 0)[1..4], ["50%", "N/A", "0"]);
    }
}
