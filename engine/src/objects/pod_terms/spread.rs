//! How evenly the pods of a group are to be spread over domains, compiled.
//!
//! Models: kubernetes v1.36.2 pkg/scheduler/framework/plugins/podtopologyspread/common.go (topologySpreadConstraint,
//! filterTopologySpreadConstraints).

use std::sync::Arc;

use k8s_openapi::api::core::v1 as api;

use super::super::labels::Labels;
use super::super::meta::Name;
use super::super::selector::Selector;

/// One constraint of a pod.
#[derive(Clone, PartialEq, Debug)]
pub struct SpreadConstraint {
    /// How many more pods than in the emptiest domain there may be.
    pub max_skew: i64,
    /// The label whose value names a node's domain.
    pub topology_key: Name,
    /// DoNotSchedule; else ScheduleAnyway.
    pub hard: bool,
    /// Which pods count.
    pub selector: Selector,
    /// With fewer domains the emptiest counts as holding none.
    pub min_domains: usize,
    /// Whether only nodes count that the pod's node selector and affinity allow.
    pub honor_affinity: bool,
    /// Whether only nodes count whose taints the pod tolerates.
    pub honor_taints: bool,
    /// Labels whose values on the incoming pod narrow the selector.
    pub label_keys: Box<[Name]>,
}

impl SpreadConstraint {
    /// The constraints of a pod.
    pub fn of(spec: &api::PodSpec) -> Arc<[SpreadConstraint]> {
        spec.topology_spread_constraints.iter().flatten().map(SpreadConstraint::from_api).collect()
    }

    /// One constraint. A selector that cannot be read, which the API server refuses, selects nothing.
    pub fn from_api(from: &api::TopologySpreadConstraint) -> Self {
        SpreadConstraint {
            max_skew: i64::from(from.max_skew),
            topology_key: from.topology_key.as_str().into(),
            hard: from.when_unsatisfiable == "DoNotSchedule",
            selector: Selector::from_api(from.label_selector.as_ref()).unwrap_or_else(|_| Selector::nothing()),
            min_domains: from.min_domains.map_or(1, |domains| usize::try_from(domains).unwrap_or(1)),
            honor_affinity: from.node_affinity_policy.as_deref() != Some("Ignore"),
            honor_taints: from.node_taints_policy.as_deref() == Some("Honor"),
            label_keys: from.match_label_keys.iter().flatten().map(|key| Name::from(key.as_str())).collect(),
        }
    }

    /// The selector for a pod with these labels.
    pub fn selector_for(&self, labels: &Labels) -> Selector {
        let value = |key: &Name| labels.get(key).map(|value| (key.clone(), value.clone()));
        let exact: Labels = self.label_keys.iter().filter_map(value).collect();
        if exact.is_empty() { self.selector.clone() } else { Selector::from_labels(&exact).and(&self.selector) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn label_keys_narrow_the_selector_to_the_pods_own_values() {
        let constraint = json!({
            "maxSkew": 1, "topologyKey": "k", "whenUnsatisfiable": "DoNotSchedule", "matchLabelKeys": ["v", "w"],
            "labelSelector": {"matchLabels": {"a": "1"}},
        });
        let spec = json!({"containers": [], "topologySpreadConstraints": [constraint]});
        let constraints = SpreadConstraint::of(&serde_json::from_value(spec).expect("a pod spec"));
        let labels = Labels::from([("v".into(), "2".into())]);
        assert_eq!(constraints[0].selector_for(&labels).to_string(), "a=1,v=2");
        assert_eq!(constraints[0].selector_for(&Labels::new()).to_string(), "a=1");
        assert!(constraints[0].hard && constraints[0].honor_affinity && !constraints[0].honor_taints);
    }
}
