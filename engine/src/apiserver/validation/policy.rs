//! PodDisruptionBudgets and PriorityClasses.
//!
//! Models: kubernetes v1.36.2 pkg/apis/{policy,scheduling}/validation/validation.go, pkg/apis/scheduling/helpers.go.

use k8s_openapi::api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec};
use k8s_openapi::api::scheduling::v1::PriorityClass;

use super::field::{Errors, Path};
use super::print::{Json, Printed, json};
use super::workloads::{int_or_percent, not_more_than_all};
use super::{labels, metadata, names};

/// The highest value of a class that is not the system's.
const HIGHEST: i32 = 1_000_000_000;
/// The classes of the system and their values.
const SYSTEM: [(&str, i32); 2] = [("system-node-critical", 2_000_001_000), ("system-cluster-critical", 2_000_000_000)];

/// A new or changed PodDisruptionBudget, but for its metadata.
pub(super) fn budget(budget: &PodDisruptionBudget, errors: &mut Errors) {
    let nothing = PodDisruptionBudgetSpec::default();
    let spec = budget.spec.as_ref().unwrap_or(&nothing);
    let root = Path::root("spec");
    if let (Some(available), Some(unavailable)) = (&spec.min_available, &spec.max_unavailable) {
        let selector = spec.selector.as_ref().map_or("null".to_owned(), |selector| selector.printed());
        let value = format!(
            "{{\"MinAvailable\":{},\"Selector\":{selector},\"MaxUnavailable\":{},\"UnhealthyPodEvictionPolicy\":{}}}",
            json(available).0,
            json(unavailable).0,
            json(&spec.unhealthy_pod_eviction_policy).0
        );
        errors.invalid(&root, Json(value), "minAvailable and maxUnavailable cannot be both set");
    }
    for (name, value) in [("minAvailable", &spec.min_available), ("maxUnavailable", &spec.max_unavailable)] {
        let path = root.child(name);
        if let Some(value) = value {
            int_or_percent(value, &path, errors);
            not_more_than_all(value, &path, errors);
        }
    }
    labels::selector(spec.selector.as_ref(), &root.child("selector"), errors);
    let known = ["AlwaysAllow", "IfHealthyBudget"];
    if let Some(policy) = spec.unhealthy_pod_eviction_policy.as_deref().filter(|policy| !known.contains(policy)) {
        errors.not_supported(&root.child("unhealthyPodEvictionPolicy"), policy, &known);
    }
}

/// A PriorityClass to be created.
pub(super) fn priority_class(class: &PriorityClass, errors: &mut Errors) {
    metadata::create(&class.metadata, false, names::object_name, errors);
    let name = class.metadata.name.as_deref().unwrap_or_default();
    let value = class.value.unwrap_or_default();
    if name.starts_with("system-") {
        let why = match SYSTEM.iter().find(|(known, _)| *known == name) {
            None => Some(format!("{name} is not a known system priority class")),
            Some((_, wanted)) if *wanted != value => Some(format!("value of {name} PriorityClass must be {wanted}")),
            Some(_) if class.global_default == Some(true) => {
                Some(format!("globalDefault of {name} PriorityClass must be false"))
            }
            Some(_) => None,
        };
        if let Some(why) = why {
            let path = Path::root("metadata");
            let reserved = "priority class names with 'system-' prefix are reserved for system use only. error: ";
            errors.forbidden(&path.child("name"), format!("{reserved}{why}"));
        }
    } else if value > HIGHEST {
        let detail = format!("maximum allowed value of a user defined priority is {HIGHEST}");
        errors.forbidden(&Path::root("value"), detail);
    }
    let path = Path::root("preemptionPolicy");
    match class.preemption_policy.as_deref() {
        None | Some("Never" | "PreemptLowerPriority") => {}
        Some("") => errors.required(&path, ""),
        Some(other) => errors.not_supported(&path, other, &["PreemptLowerPriority", "Never"]),
    }
}

/// A change of a PriorityClass.
pub(super) fn priority_class_update(new: &PriorityClass, old: &PriorityClass, errors: &mut Errors) {
    metadata::update(&new.metadata, &old.metadata, errors);
    if new.value != old.value {
        errors.forbidden(&Path::root("value"), "may not be changed in an update.");
    }
    if new.preemption_policy != old.preemption_policy {
        let value = new.preemption_policy.as_deref().unwrap_or_default();
        errors.invalid(&Path::root("preemptionPolicy"), value, "field is immutable");
    }
}
