//! `kubectl describe` of PodDisruptionBudgets and PriorityClasses.
//!
//! Models: kubernetes v1.36.2 staging/src/k8s.io/kubectl/pkg/describe/describe.go (`describePodDisruptionBudgetV1`,
//! `describePriorityClass`).

use serde_json::Value;

use super::super::json::{boolean, name, number, present, scalar_at, text};
use super::super::selectors::{format_labels, format_selector};
use super::{put, template};

/// Everything but the events.
pub(super) fn budget(object: &Value) -> String {
    let mut out = template::heading(object);
    if present(object, "/spec/minAvailable") {
        put(&mut out, "Min available", scalar_at(object, "/spec/minAvailable"));
    } else if present(object, "/spec/maxUnavailable") {
        put(&mut out, "Max unavailable", scalar_at(object, "/spec/maxUnavailable"));
    }
    if present(object, "/spec/selector") {
        put(&mut out, "Selector", format_selector(object, "/spec/selector"));
    } else {
        put(&mut out, "Selector", "<unset>");
    }
    out.push_str("Status:\n");
    for (title, field) in [
        ("Allowed disruptions", "disruptionsAllowed"),
        ("Current", "currentHealthy"),
        ("Desired", "desiredHealthy"),
        ("Total", "expectedPods"),
    ] {
        out.push_str(&format!("    {title}:\t{}\n", number(object, &format!("/status/{field}"))));
    }
    out
}

/// Everything but the events.
pub(super) fn priority_class(object: &Value) -> String {
    let mut out = String::new();
    put(&mut out, "Name", name(object));
    put(&mut out, "Value", number(object, "/value"));
    put(&mut out, "GlobalDefault", boolean(object, "/globalDefault").unwrap_or(false));
    put(&mut out, "PreemptionPolicy", text(object, "/preemptionPolicy"));
    put(&mut out, "Description", text(object, "/description"));
    put(&mut out, "Annotations", format_labels(object, "/metadata/annotations"));
    out
}
