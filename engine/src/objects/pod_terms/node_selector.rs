//! Which nodes a pod may or would like to run on: `nodeSelector` and node affinity, compiled.
//!
//! Terms are alternatives; the requirements in a term must all hold. A term that cannot be compiled never matches; the
//! API server refuses pods with such terms, except that values need not be valid label values.
//!
//! Models: kubernetes v1.36.2 staging/src/k8s.io/component-helpers/scheduling/corev1/nodeaffinity/nodeaffinity.go; the
//! narrowing to named nodes from pkg/scheduler/framework/plugins/nodeaffinity/node_affinity.go (PreFilter).

use std::collections::BTreeSet;
use std::sync::Arc;

use k8s_openapi::api::core::v1 as api;

use super::super::labels::{self, Labels};
use super::super::meta::Name;
use super::super::selector::{Operator, Requirement, Selector};

/// The only field of a node that terms can name.
const NAME_FIELD: &str = "metadata.name";

/// What a pod demands of its node's labels and name.
#[derive(Clone, PartialEq, Debug)]
pub struct RequiredNodes {
    /// `spec.nodeSelector`.
    labels: Option<Selector>,
    /// `requiredDuringSchedulingIgnoredDuringExecution`.
    terms: Option<Arc<[NodeTerm]>>,
    /// Whether the terms name the nodes that are possible at all.
    named: Named,
}

/// Whether every alternative of a pod names its nodes.
#[derive(Clone, PartialEq, Debug)]
pub enum Named {
    /// Some alternative leaves the name open.
    Any,
    /// Only these nodes are possible.
    Only(Arc<[Name]>),
    /// The alternatives contradict themselves: no node is possible.
    Conflict,
}

/// One alternative.
#[derive(Clone, PartialEq, Debug)]
pub struct NodeTerm {
    labels: Selector,
    /// Node names that must (true) or must not (false) be the node's.
    names: Box<[(Name, bool)]>,
}

/// A wish with its weight.
#[derive(Clone, PartialEq, Debug)]
pub struct PreferredNodes {
    /// 1..=100.
    pub weight: i64,
    /// `None`: the term is empty or unreadable and matches nothing.
    pub term: Option<NodeTerm>,
}

impl RequiredNodes {
    /// The demands of a pod; `None` if it has none.
    pub fn of(spec: &api::PodSpec) -> Option<Self> {
        let selector = spec.node_selector.as_ref().filter(|selector| !selector.is_empty());
        let required = affinity(spec).and_then(|a| a.required_during_scheduling_ignored_during_execution.as_ref());
        if selector.is_none() && required.is_none() {
            return None;
        }
        Some(RequiredNodes {
            labels: selector.map(|selector| Selector::from_labels(&labels::from_api(Some(selector)))),
            terms: required.map(|required| required.node_selector_terms.iter().filter_map(NodeTerm::of).collect()),
            named: required.map_or(Named::Any, |required| Named::by(&required.node_selector_terms)),
        })
    }

    /// Whether the node of this name and these labels will do.
    pub fn matches(&self, name: &str, labels: &Labels) -> bool {
        self.labels.as_ref().is_none_or(|selector| selector.matches(labels))
            && self.terms.as_ref().is_none_or(|terms| terms.iter().any(|term| term.matches(name, labels)))
    }

    /// Whether only named nodes are possible.
    pub fn named(&self) -> &Named {
        &self.named
    }
}

impl Named {
    fn by(terms: &[api::NodeSelectorTerm]) -> Named {
        let mut all = BTreeSet::new();
        for term in terms {
            let wanted = term.match_fields.iter().flatten().filter(|r| r.key == NAME_FIELD && r.operator == "In");
            let sets = wanted.map(|r| r.values.iter().flatten().map(String::as_str).collect::<BTreeSet<_>>());
            match sets.reduce(|a, b| &a & &b) {
                Some(names) => all.extend(names),
                None => return Named::Any,
            }
        }
        match (terms.is_empty(), all.is_empty()) {
            (true, _) => Named::Any,
            (false, true) => Named::Conflict,
            (false, false) => Named::Only(all.into_iter().map(Name::from).collect()),
        }
    }
}

impl NodeTerm {
    /// Compiles a term; `None` if it is empty or unreadable.
    pub fn of(term: &api::NodeSelectorTerm) -> Option<Self> {
        let expressions = term.match_expressions.as_deref().unwrap_or_default();
        let fields = term.match_fields.as_deref().unwrap_or_default();
        if expressions.is_empty() && fields.is_empty() {
            return None;
        }
        let requirements: Option<Vec<_>> = expressions.iter().map(requirement).collect();
        let names: Option<Vec<_>> = fields.iter().map(name_requirement).collect();
        Some(NodeTerm { labels: Selector::of(requirements?), names: names?.into() })
    }

    /// Whether the node of this name and these labels is meant.
    pub fn matches(&self, name: &str, labels: &Labels) -> bool {
        self.labels.matches(labels) && self.names.iter().all(|(wanted, equal)| (**wanted == *name) == *equal)
    }
}

impl PreferredNodes {
    /// The wishes of a pod. Those of weight 0 count for nothing and are left out.
    pub fn of(spec: &api::PodSpec) -> Arc<[PreferredNodes]> {
        let terms = affinity(spec).and_then(|a| a.preferred_during_scheduling_ignored_during_execution.as_deref());
        let wish = |term: &api::PreferredSchedulingTerm| PreferredNodes {
            weight: i64::from(term.weight),
            term: NodeTerm::of(&term.preference).filter(|_| term.weight != 0),
        };
        terms.unwrap_or_default().iter().map(wish).collect()
    }
}

fn affinity(spec: &api::PodSpec) -> Option<&api::NodeAffinity> {
    spec.affinity.as_ref()?.node_affinity.as_ref()
}

fn requirement(api: &api::NodeSelectorRequirement) -> Option<Requirement> {
    let operator = match api.operator.as_str() {
        "In" => Operator::In,
        "NotIn" => Operator::NotIn,
        "Exists" => Operator::Exists,
        "DoesNotExist" => Operator::DoesNotExist,
        "Gt" => Operator::GreaterThan,
        "Lt" => Operator::LessThan,
        _ => return None,
    };
    Requirement::new(&api.key, operator, api.values.iter().flatten().map(String::as_str)).ok()
}

fn name_requirement(api: &api::NodeSelectorRequirement) -> Option<(Name, bool)> {
    let [value] = api.values.as_deref().unwrap_or_default() else { return None };
    match (api.key.as_str(), api.operator.as_str()) {
        (NAME_FIELD, "In") => Some((value.as_str().into(), true)),
        (NAME_FIELD, "NotIn") => Some((value.as_str().into(), false)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn required(spec: serde_json::Value) -> Option<RequiredNodes> {
        RequiredNodes::of(&serde_json::from_value(spec).expect("a pod spec"))
    }

    fn terms(terms: serde_json::Value) -> serde_json::Value {
        let required = json!({"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}});
        json!({"containers": [], "affinity": {"nodeAffinity": required}})
    }

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        pairs.iter().map(|(key, value)| (Name::from(*key), Name::from(*value))).collect()
    }

    #[test]
    fn terms_are_alternatives_and_their_requirements_are_not() {
        let pod = required(terms(json!([
            {"matchExpressions": [{"key": "a", "operator": "Exists"}, {"key": "n", "operator": "Gt", "values": ["3"]}]},
            {"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n7"]}]}
        ])))
        .unwrap();
        assert!(pod.matches("n1", &labels(&[("a", ""), ("n", "4")])));
        assert!(!pod.matches("n1", &labels(&[("a", ""), ("n", "3")])));
        assert!(pod.matches("n7", &labels(&[])));
        assert_eq!(pod.named(), &Named::Any);
    }

    #[test]
    fn an_empty_list_or_an_unreadable_term_matches_no_node() {
        assert!(!required(terms(json!([]))).unwrap().matches("n", &labels(&[])));
        assert!(!required(terms(json!([{}]))).unwrap().matches("n", &labels(&[])));
        let unreadable = json!([{"matchExpressions": [{"key": "a", "operator": "Gt", "values": ["x"]}]}]);
        assert!(!required(terms(unreadable)).unwrap().matches("n", &labels(&[("a", "5")])));
        assert_eq!(required(json!({"containers": []})), None);
    }

    #[test]
    fn names_are_united_over_terms_and_intersected_within_one() {
        let name = |values: &[&str]| json!({"key": "metadata.name", "operator": "In", "values": values});
        let two = terms(json!([{"matchFields": [name(&["b"])]}, {"matchFields": [name(&["a"])]}]));
        assert_eq!(required(two).unwrap().named(), &Named::Only(["a", "b"].map(Name::from).into()));
        let conflict = terms(json!([{"matchFields": [name(&["b"]), name(&["a"])]}]));
        assert_eq!(required(conflict).unwrap().named(), &Named::Conflict);
    }
}
