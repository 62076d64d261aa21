//! Tolerations and taints, topology spread constraints, scheduling gates.
//!
//! Models: kubernetes v1.36.2 pkg/apis/core/validation/validation.go (ValidateTolerations, validateNodeTaints,
//! validateTopologySpreadConstraints, validateSchedulingGates).

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{PodSchedulingGate, Taint, Toleration, TopologySpreadConstraint};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

use super::field::{Errors, Path};
use super::{labels, names};

const EFFECTS: [&str; 3] = ["NoSchedule", "PreferNoSchedule", "NoExecute"];

/// The tolerations of a pod.
pub(super) fn tolerations(tolerations: &[Toleration], path: &Path<'_>, errors: &mut Errors) {
    for (index, toleration) in tolerations.iter().enumerate() {
        let path = path.index(index);
        let text = |value: &Option<String>| value.clone().unwrap_or_default();
        let (key, operator) = (text(&toleration.key), text(&toleration.operator));
        let (value, effect) = (text(&toleration.value), text(&toleration.effect));
        if !key.is_empty() {
            labels::key(&key, &path.child("key"), errors);
        }
        if key.is_empty() && operator != "Exists" {
            let detail = "operator must be Exists when `key` is empty, which means \"match all values and all keys\"";
            errors.invalid(&path.child("operator"), &operator, detail);
        }
        if toleration.toleration_seconds.is_some() && effect != "NoExecute" {
            let detail = "effect must be 'NoExecute' when `tolerationSeconds` is set";
            errors.invalid(&path.child("effect"), &effect, detail);
        }
        match operator.as_str() {
            "" | "Equal" => {
                let broken = names::label_value(&value);
                if !broken.is_empty() {
                    errors.invalid(&path.child("operator"), &value, broken.join(";"));
                }
            }
            "Exists" if value.is_empty() => {}
            "Exists" => {
                let detail = "value must be empty when `operator` is 'Exists'";
                errors.invalid(&path.child("operator"), &value, detail);
            }
            other => errors.not_supported(&path.child("operator"), other, &["Equal", "Exists"]),
        }
        if !effect.is_empty() && !EFFECTS.contains(&effect.as_str()) {
            errors.not_supported(&path.child("effect"), &effect, &EFFECTS);
        }
    }
}

/// The tolerations of a changed pod: old ones stay, but for their seconds.
pub(super) fn tolerations_update(new: &[Toleration], old: &[Toleration], path: &Path<'_>, errors: &mut Errors) {
    let same = |old: &Toleration, new: &Toleration| {
        (&old.key, &old.operator, &old.value, &old.effect) == (&new.key, &new.operator, &new.value, &new.effect)
    };
    if old.iter().any(|old| !new.iter().any(|new| same(old, new))) {
        return errors.forbidden(path, "existing toleration can not be modified except its tolerationSeconds");
    }
    tolerations(new, path, errors);
}

/// The taints of a node.
pub(super) fn taints(taints: &[Taint], path: &Path<'_>, errors: &mut Errors) {
    let mut seen = BTreeSet::new();
    for (index, taint) in taints.iter().enumerate() {
        let path = path.index(index);
        labels::key(&taint.key, &path.child("key"), errors);
        let value = taint.value.as_deref().unwrap_or_default();
        let broken = names::label_value(value);
        if !broken.is_empty() {
            errors.invalid(&path.child("value"), value, broken.join(";"));
        }
        match taint.effect.as_str() {
            "" => errors.required(&path.child("effect"), ""),
            effect if !EFFECTS.contains(&effect) => errors.not_supported(&path.child("effect"), effect, &EFFECTS),
            _ => {}
        }
        if !seen.insert((taint.effect.as_str(), taint.key.as_str())) {
            errors.duplicate_because(&path, taint, "taints must be unique by key and effect pair");
        }
    }
}

/// The spread constraints of a pod.
pub(super) fn spread(constraints: &[TopologySpreadConstraint], path: &Path<'_>, errors: &mut Errors) {
    for (index, constraint) in constraints.iter().enumerate() {
        let path = path.index(index);
        if constraint.max_skew <= 0 {
            errors.invalid(&path.child("maxSkew"), constraint.max_skew, "must be greater than zero");
        }
        if constraint.topology_key.is_empty() {
            errors.required(&path.child("topologyKey"), "can not be empty");
        }
        let (key, action) = (constraint.topology_key.as_str(), constraint.when_unsatisfiable.as_str());
        let actions = ["DoNotSchedule", "ScheduleAnyway"];
        if !actions.contains(&action) {
            errors.not_supported(&path.child("whenUnsatisfiable"), action, &actions);
        }
        let rest = constraints.iter().skip(index + 1);
        if rest
            .into_iter()
            .any(|other| (other.topology_key.as_str(), other.when_unsatisfiable.as_str()) == (key, action))
        {
            let text = format!("{{{key}, {action}}}");
            errors.duplicate(&path.child("{topologyKey, whenUnsatisfiable}"), &text);
        }
        if let Some(domains) = constraint.min_domains {
            let path = path.child("minDomains");
            if domains <= 0 {
                errors.invalid(&path, domains, "must be greater than zero");
            }
            if action != "DoNotSchedule" {
                let detail = format!("can only use minDomains if whenUnsatisfiable=DoNotSchedule, not {action}");
                errors.invalid(&path, domains, detail);
            }
        }
        for (name, policy) in [
            ("nodeAffinityPolicy", &constraint.node_affinity_policy),
            ("nodeTaintsPolicy", &constraint.node_taints_policy),
        ] {
            if let Some(policy) = policy.as_deref().filter(|policy| !matches!(*policy, "Honor" | "Ignore")) {
                errors.not_supported(&path.child(name), policy, &["Honor", "Ignore"]);
            }
        }
        let keys = constraint.match_label_keys.as_deref().unwrap_or_default();
        spread_keys(keys, constraint.label_selector.as_ref(), &path.child("matchLabelKeys"), errors);
        labels::selector(constraint.label_selector.as_ref(), &path.child("labelSelector"), errors);
    }
}

fn spread_keys(keys: &[String], selector: Option<&LabelSelector>, path: &Path<'_>, errors: &mut Errors) {
    if selector.is_none() && !keys.is_empty() {
        errors.forbidden(path, "must not be specified when labelSelector is not set");
    }
    let selected = |key: &str| {
        selector.is_some_and(|selector| {
            selector.match_labels.as_ref().is_some_and(|labels| labels.contains_key(key))
                || selector.match_expressions.iter().flatten().any(|expression| expression.key == key)
        })
    };
    for (index, key) in keys.iter().enumerate() {
        labels::key(key, &path.index(index), errors);
        if selected(key) {
            errors.invalid(&path.index(index), key, "exists in both matchLabelKeys and labelSelector");
        }
    }
}

/// The gates that keep a pod from being scheduled.
pub(super) fn gates(gates: &[PodSchedulingGate], path: &Path<'_>, errors: &mut Errors) {
    let mut seen = BTreeSet::new();
    for (index, gate) in gates.iter().enumerate() {
        let path = path.index(index);
        errors.invalid_each(&path, &gate.name, &names::qualified_name(&gate.name));
        if !seen.insert(gate.name.as_str()) {
            errors.duplicate(&path, &gate.name);
        }
    }
}

/// The gates of a changed pod: they can only go.
pub(super) fn gates_update(new: &[PodSchedulingGate], old: &[PodSchedulingGate], path: &Path<'_>, errors: &mut Errors) {
    for (index, gate) in new.iter().enumerate().filter(|(_, gate)| !old.contains(gate)) {
        let detail = format!("only deletion is allowed, but found new scheduling gate '{}'", gate.name);
        errors.forbidden(&path.index(index).child("name"), detail);
    }
}
