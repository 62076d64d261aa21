//! Which other pods a pod wants near it or away from it, compiled.
//!
//! Models: kubernetes v1.36.2 pkg/scheduler/framework/types.go (AffinityTerm, GetAffinityTerms); the merging of label
//! keys from pkg/registry/core/pod/strategy.go (applyMatchLabelKeysAndMismatchLabelKeys). A term that cannot be read,
//! which the API server refuses, selects no pod.

use std::sync::Arc;

use k8s_openapi::api::core::v1 as api;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement};

use super::super::labels::Labels;
use super::super::meta::Name;
use super::super::selector::Selector;

/// The terms of a pod about other pods.
#[derive(Clone, Debug)]
pub struct PodAffinity {
    /// Some pod that matches all of them must be in the node's domain.
    pub required: Box<[AffinityTerm]>,
    /// No pod that matches one of them may be in the node's domain.
    pub required_anti: Box<[AffinityTerm]>,
    /// Wishes, each with its weight, 1..=100.
    pub preferred: Box<[(i64, AffinityTerm)]>,
    /// What it would rather not have, each with its weight, 1..=100.
    pub preferred_anti: Box<[(i64, AffinityTerm)]>,
    /// Whether some term takes the values of its pod's own labels.
    label_keys: bool,
    /// All of it as text: pods of equal text have equal terms.
    text: Name,
}

/// One term.
#[derive(Clone, PartialEq, Debug)]
pub struct AffinityTerm {
    /// Which pods.
    pub selector: Selector,
    /// Whether pods of the pod's own namespace are meant.
    pub own_namespace: bool,
    /// Namespaces by name.
    pub namespaces: Box<[Name]>,
    /// Namespaces by label.
    pub namespace_selector: Selector,
    /// The label whose value names a node's domain.
    pub topology_key: Name,
}

impl PartialEq for PodAffinity {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl PodAffinity {
    /// The terms of a pod; `None` if it has none.
    pub fn of(spec: &api::PodSpec) -> Option<Arc<PodAffinity>> {
        let affinity = spec.affinity.as_ref()?;
        let (near, away) = (affinity.pod_affinity.as_ref(), affinity.pod_anti_affinity.as_ref());
        let all =
            |terms: Option<&Vec<api::PodAffinityTerm>>| terms.into_iter().flatten().map(AffinityTerm::of).collect();
        let weighted = |terms: Option<&Vec<api::WeightedPodAffinityTerm>>| {
            let term = |term: &api::WeightedPodAffinityTerm| {
                (i64::from(term.weight), AffinityTerm::of(&term.pod_affinity_term))
            };
            terms.into_iter().flatten().map(term).collect()
        };
        let terms = PodAffinity {
            required: all(near.and_then(|a| a.required_during_scheduling_ignored_during_execution.as_ref())),
            required_anti: all(away.and_then(|a| a.required_during_scheduling_ignored_during_execution.as_ref())),
            preferred: weighted(near.and_then(|a| a.preferred_during_scheduling_ignored_during_execution.as_ref())),
            preferred_anti: weighted(
                away.and_then(|a| a.preferred_during_scheduling_ignored_during_execution.as_ref()),
            ),
            label_keys: label_keys(affinity),
            text: serde_json::to_string(&(near, away)).unwrap_or_default().into(),
        };
        let none = terms.required.is_empty()
            && terms.required_anti.is_empty()
            && terms.preferred.is_empty()
            && terms.preferred_anti.is_empty();
        (!none).then(|| Arc::new(terms))
    }

    /// The topology keys of all terms, some of them more than once.
    pub fn topology_keys(&self) -> impl Iterator<Item = &Name> {
        let required = self.required.iter().chain(&self.required_anti);
        let preferred = self.preferred.iter().chain(&self.preferred_anti).map(|(_, term)| term);
        required.chain(preferred).map(|term| &term.topology_key)
    }

    /// Whether [`merge_label_keys`] has something to do when such a pod is created.
    pub fn has_label_keys(&self) -> bool {
        self.label_keys
    }

    /// All terms as text, the same for the same terms.
    pub fn text(&self) -> &Name {
        &self.text
    }
}

impl AffinityTerm {
    fn of(term: &api::PodAffinityTerm) -> Self {
        let compiled =
            |selector: Option<&LabelSelector>| Selector::from_api(selector).unwrap_or_else(|_| Selector::nothing());
        let namespaces: Box<[Name]> = term.namespaces.iter().flatten().map(|name| Name::from(name.as_str())).collect();
        AffinityTerm {
            selector: compiled(term.label_selector.as_ref()),
            own_namespace: namespaces.is_empty() && term.namespace_selector.is_none(),
            namespaces,
            namespace_selector: compiled(term.namespace_selector.as_ref()),
            topology_key: term.topology_key.as_str().into(),
        }
    }

    /// Whether a pod of `namespace` (whose labels are given) with these labels is meant, by a pod of the namespace `own`.
    pub fn matches(&self, own: &str, namespace: &str, namespace_labels: &Labels, labels: &Labels) -> bool {
        (self.own_namespace && own == namespace
            || self.namespaces.iter().any(|name| **name == *namespace)
            || self.namespace_selector.matches(namespace_labels))
            && self.selector.matches(labels)
    }
}

fn label_keys(affinity: &api::Affinity) -> bool {
    let (near, away) = (affinity.pod_affinity.as_ref(), affinity.pod_anti_affinity.as_ref());
    let required = [
        near.and_then(|a| a.required_during_scheduling_ignored_during_execution.as_ref()),
        away.and_then(|a| a.required_during_scheduling_ignored_during_execution.as_ref()),
    ];
    let preferred = [
        near.and_then(|a| a.preferred_during_scheduling_ignored_during_execution.as_ref()),
        away.and_then(|a| a.preferred_during_scheduling_ignored_during_execution.as_ref()),
    ];
    let weighted = preferred.into_iter().flatten().flatten().map(|term| &term.pod_affinity_term);
    let mut terms = required.into_iter().flatten().flatten().chain(weighted);
    terms.any(|term| term.match_label_keys.is_some() || term.mismatch_label_keys.is_some())
}

/// Adds what `matchLabelKeys` and `mismatchLabelKeys` stand for to the selectors of a pod that is created with `labels`.
/// Returns whether anything was added.
pub fn merge_label_keys(spec: &mut api::PodSpec, labels: &Labels) -> bool {
    let Some(affinity) = &mut spec.affinity else { return false };
    let mut changed = false;
    if let Some(near) = &mut affinity.pod_affinity {
        changed |= merge_all(&mut near.required_during_scheduling_ignored_during_execution, labels);
        changed |= merge_weighted(&mut near.preferred_during_scheduling_ignored_during_execution, labels);
    }
    if let Some(away) = &mut affinity.pod_anti_affinity {
        changed |= merge_all(&mut away.required_during_scheduling_ignored_during_execution, labels);
        changed |= merge_weighted(&mut away.preferred_during_scheduling_ignored_during_execution, labels);
    }
    changed
}

fn merge_all(terms: &mut Option<Vec<api::PodAffinityTerm>>, labels: &Labels) -> bool {
    terms.iter_mut().flatten().fold(false, |changed, term| merge(term, labels) | changed)
}

fn merge_weighted(terms: &mut Option<Vec<api::WeightedPodAffinityTerm>>, labels: &Labels) -> bool {
    terms.iter_mut().flatten().fold(false, |changed, term| merge(&mut term.pod_affinity_term, labels) | changed)
}

fn merge(term: &mut api::PodAffinityTerm, labels: &Labels) -> bool {
    let mut added = Vec::new();
    for (keys, operator) in [(&term.match_label_keys, "In"), (&term.mismatch_label_keys, "NotIn")] {
        for key in keys.iter().flatten() {
            if let Some(value) = labels.get(key.as_str()) {
                added.push(LabelSelectorRequirement {
                    key: key.clone(),
                    operator: operator.to_owned(),
                    values: Some(vec![value.to_string()]),
                });
            }
        }
    }
    let any = !added.is_empty();
    if any && let Some(selector) = &mut term.label_selector {
        selector.match_expressions.get_or_insert_default().extend(added);
        return true;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        pairs.iter().map(|(key, value)| (Name::from(*key), Name::from(*value))).collect()
    }

    fn spec(term: serde_json::Value) -> api::PodSpec {
        let away = json!({"requiredDuringSchedulingIgnoredDuringExecution": [term]});
        serde_json::from_value(json!({"containers": [], "affinity": {"podAntiAffinity": away}})).expect("a pod spec")
    }

    fn term(term: serde_json::Value) -> AffinityTerm {
        PodAffinity::of(&spec(term)).expect("terms").required_anti[0].clone()
    }

    #[test]
    fn a_term_without_namespaces_means_the_pods_own() {
        let own = term(json!({"labelSelector": {"matchLabels": {"a": "1"}}, "topologyKey": "k"}));
        let (web, none) = (labels(&[("a", "1")]), Labels::new());
        assert!(own.matches("x", "x", &none, &web) && !own.matches("x", "y", &none, &web));
        let all = term(json!({"labelSelector": {}, "namespaceSelector": {}, "topologyKey": "k"}));
        assert!(all.matches("x", "y", &none, &web));
        let named = term(json!({"labelSelector": {}, "namespaces": ["y"], "topologyKey": "k"}));
        assert!(named.matches("x", "y", &none, &web) && !named.matches("x", "x", &none, &web));
        let nobody = term(json!({"topologyKey": "k"}));
        assert!(!nobody.matches("x", "x", &none, &web), "no selector selects nothing");
    }

    #[test]
    fn label_keys_become_requirements_where_the_pod_has_the_label() {
        let mut pod = spec(json!({
            "labelSelector": {"matchLabels": {"a": "1"}}, "topologyKey": "k", "matchLabelKeys": ["v", "w"], "mismatchLabelKeys": ["t"],
        }));
        assert!(merge_label_keys(&mut pod, &labels(&[("v", "2"), ("t", "3")])));
        let merged = PodAffinity::of(&pod).expect("terms").required_anti[0].selector.to_string();
        assert_eq!(merged, "a=1,t notin (3),v in (2)");
        assert_eq!(PodAffinity::of(&api::PodSpec::default()), None);
    }
}
