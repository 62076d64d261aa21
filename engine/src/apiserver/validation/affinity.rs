//! Node affinity, pod affinity and anti-affinity.
//!
//! Models: kubernetes v1.36.2 pkg/apis/core/validation/validation.go (validateAffinity and what it calls).

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{
    Affinity, NodeSelector, NodeSelectorRequirement, NodeSelectorTerm, PodAffinityTerm, WeightedPodAffinityTerm,
};

use super::field::{Errors, Path};
use super::{labels, names};

const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";
const PREFERRED: &str = "preferredDuringSchedulingIgnoredDuringExecution";

/// The affinity of a pod.
pub(super) fn affinity(affinity: Option<&Affinity>, path: &Path<'_>, errors: &mut Errors) {
    let Some(affinity) = affinity else { return };
    if let Some(node) = &affinity.node_affinity {
        let path = path.child("nodeAffinity");
        if let Some(selector) = &node.required_during_scheduling_ignored_during_execution {
            node_selector(selector, &path.child(REQUIRED), errors);
        }
        let preferred = path.child(PREFERRED);
        for (index, term) in node.preferred_during_scheduling_ignored_during_execution.iter().flatten().enumerate() {
            let path = preferred.index(index);
            weight(term.weight, &path, errors);
            node_term(&term.preference, false, &path.child("preference"), errors);
        }
    }
    if let Some(pod) = &affinity.pod_affinity {
        let (required, preferred) = (
            pod.required_during_scheduling_ignored_during_execution.as_deref(),
            pod.preferred_during_scheduling_ignored_during_execution.as_deref(),
        );
        pod_terms(required, preferred, &path.child("podAffinity"), errors);
    }
    if let Some(pod) = &affinity.pod_anti_affinity {
        let (required, preferred) = (
            pod.required_during_scheduling_ignored_during_execution.as_deref(),
            pod.preferred_during_scheduling_ignored_during_execution.as_deref(),
        );
        pod_terms(required, preferred, &path.child("podAntiAffinity"), errors);
    }
}

fn weight(weight: i32, path: &Path<'_>, errors: &mut Errors) {
    if !(1..=100).contains(&weight) {
        errors.invalid(&path.child("weight"), weight, "must be in the range 1-100");
    }
}

fn node_selector(selector: &NodeSelector, path: &Path<'_>, errors: &mut Errors) {
    let path = path.child("nodeSelectorTerms");
    if selector.node_selector_terms.is_empty() {
        return errors.required(&path, "must have at least one node selector term");
    }
    for (index, term) in selector.node_selector_terms.iter().enumerate() {
        node_term(term, true, &path.index(index), errors);
    }
}

/// A term; values need not be label values in a mere preference.
fn node_term(term: &NodeSelectorTerm, check_values: bool, path: &Path<'_>, errors: &mut Errors) {
    let expressions = path.child("matchExpressions");
    for (index, expression) in term.match_expressions.iter().flatten().enumerate() {
        node_expression(expression, check_values, &expressions.index(index), errors);
    }
    let fields = path.child("matchFields");
    for (index, field) in term.match_fields.iter().flatten().enumerate() {
        node_field(field, &fields.index(index), errors);
    }
}

fn node_expression(requirement: &NodeSelectorRequirement, check_values: bool, path: &Path<'_>, errors: &mut Errors) {
    let values = requirement.values.as_deref().unwrap_or_default();
    match requirement.operator.as_str() {
        "In" | "NotIn" if values.is_empty() => {
            errors.required(&path.child("values"), "must be specified when `operator` is 'In' or 'NotIn'");
        }
        "Exists" | "DoesNotExist" if !values.is_empty() => {
            let detail = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'";
            errors.forbidden(&path.child("values"), detail);
        }
        "Gt" | "Lt" if values.len() != 1 => {
            errors.required(&path.child("values"), "must be specified single value when `operator` is 'Lt' or 'Gt'");
        }
        "In" | "NotIn" | "Exists" | "DoesNotExist" | "Gt" | "Lt" => {}
        other => errors.invalid(&path.child("operator"), other, "not a valid selector operator"),
    }
    labels::key(&requirement.key, &path.child("key"), errors);
    let path = path.child("values");
    for (index, value) in values.iter().enumerate().filter(|_| check_values) {
        errors.invalid_each(&path.index(index), value, &names::label_value(value));
    }
}

fn node_field(requirement: &NodeSelectorRequirement, path: &Path<'_>, errors: &mut Errors) {
    let values = requirement.values.as_deref().unwrap_or_default();
    match requirement.operator.as_str() {
        "In" | "NotIn" if values.len() != 1 => errors.required(
            &path.child("values"),
            "must be only one value when `operator` is 'In' or 'NotIn' for node field selector",
        ),
        "In" | "NotIn" => {}
        other => errors.invalid(&path.child("operator"), other, "not a valid selector operator"),
    }
    if requirement.key != "metadata.name" {
        return errors.invalid(&path.child("key"), &requirement.key, "not a valid field selector key");
    }
    let path = path.child("values");
    for (index, value) in values.iter().enumerate() {
        errors.invalid_each(&path.index(index), value, &names::object_name(value, false));
    }
}

fn pod_terms(
    required: Option<&[PodAffinityTerm]>,
    preferred: Option<&[WeightedPodAffinityTerm]>,
    path: &Path<'_>,
    errors: &mut Errors,
) {
    let terms = path.child(REQUIRED);
    for (index, term) in required.into_iter().flatten().enumerate() {
        pod_term(term, &terms.index(index), errors);
    }
    let terms = path.child(PREFERRED);
    for (index, term) in preferred.into_iter().flatten().enumerate() {
        let path = terms.index(index);
        weight(term.weight, &path, errors);
        pod_term(&term.pod_affinity_term, &path.child("podAffinityTerm"), errors);
    }
}

fn pod_term(term: &PodAffinityTerm, path: &Path<'_>, errors: &mut Errors) {
    labels::selector(term.label_selector.as_ref(), &path.child("labelSelector"), errors);
    labels::selector(term.namespace_selector.as_ref(), &path.child("namespaceSelector"), errors);
    for namespace in term.namespaces.iter().flatten() {
        errors.invalid_each(&path.child("namespace"), namespace, &names::namespace_name(namespace, false));
    }
    label_keys(term, path, errors);
    if term.topology_key.is_empty() {
        errors.required(&path.child("topologyKey"), "can not be empty");
    }
    labels::key(&term.topology_key, &path.child("topologyKey"), errors);
}

fn label_keys(term: &PodAffinityTerm, path: &Path<'_>, errors: &mut Errors) {
    let matching = term.match_label_keys.as_deref().unwrap_or_default();
    let mismatching = term.mismatch_label_keys.as_deref().unwrap_or_default();
    for (name, keys) in [("matchLabelKeys", matching), ("mismatchLabelKeys", mismatching)] {
        let path = path.child(name);
        if term.label_selector.is_none() && !keys.is_empty() {
            errors.forbidden(&path, "must not be specified when labelSelector is not set");
            continue;
        }
        for (index, key) in keys.iter().enumerate() {
            labels::key(key, &path.index(index), errors);
        }
    }
    if let Some(selector) = &term.label_selector {
        let mut seen: BTreeSet<&str> = selector.match_labels.iter().flatten().map(|(key, _)| key.as_str()).collect();
        for expression in selector.match_expressions.iter().flatten() {
            let listed = matching.iter().rposition(|key| *key == expression.key);
            if let Some(index) = listed.filter(|_| seen.contains(expression.key.as_str())) {
                let detail = "exists in both matchLabelKeys and labelSelector";
                errors.invalid(&path.index(index), &expression.key, detail);
            }
            seen.insert(&expression.key);
        }
    }
    let path = path.child("matchLabelKeys");
    for (index, key) in matching.iter().enumerate().filter(|(_, key)| mismatching.contains(key)) {
        errors.invalid(&path.index(index), key, "exists in both matchLabelKeys and mismatchLabelKeys");
    }
}
