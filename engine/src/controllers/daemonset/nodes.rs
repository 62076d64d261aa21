//! Which nodes are to have a pod, and what makes a pod one of a node.
//!
//! Models: kubernetes v1.36.2 pkg/controller/daemon/daemon_controller.go (NodeShouldRunDaemonPod, predicates), util/daemonset_util.go
//! (AddOrUpdateDaemonPodTolerations, ReplaceDaemonSetPodNodeNameNodeAffinity, GetTargetNodeName).

use std::sync::Arc;

use k8s_openapi::api::core::v1 as core;

use crate::objects::pod_terms::node_selector::Named;
use crate::objects::pod_terms::tolerations::tolerated;
use crate::objects::pod_terms::{Effect, RequiredNodes, Taint, Toleration};
use crate::objects::{Name, Node, Pod, PodSpec, PodTemplate};

/// What daemon pods bear whatever their template says: key and effect.
const BORNE: [(&str, &str); 6] = [
    ("node.kubernetes.io/not-ready", "NoExecute"),
    ("node.kubernetes.io/unreachable", "NoExecute"),
    ("node.kubernetes.io/disk-pressure", "NoSchedule"),
    ("node.kubernetes.io/memory-pressure", "NoSchedule"),
    ("node.kubernetes.io/pid-pressure", "NoSchedule"),
    ("node.kubernetes.io/unschedulable", "NoSchedule"),
];
/// The same for pods in the node's own network.
const BORNE_ON_HOST: (&str, &str) = ("node.kubernetes.io/network-unavailable", "NoSchedule");
/// The field of a node that the affinity names.
const NAME: &str = "metadata.name";

/// What a template demands of nodes.
pub(super) struct Terms {
    name: Option<Name>,
    required: Option<RequiredNodes>,
    tolerations: Vec<Toleration>,
}

impl Terms {
    /// The demands of a template.
    pub(super) fn of(template: &PodTemplate) -> Terms {
        let spec = &template.spec.api;
        let mut bare = core::PodSpec { affinity: spec.affinity.clone(), ..core::PodSpec::default() };
        bare.node_selector = spec.node_selector.clone();
        let node_affinity = bare.affinity.as_mut().and_then(|affinity| affinity.node_affinity.as_mut());
        if let Some(affinity) = node_affinity
            && let Some(required) = &mut affinity.required_during_scheduling_ignored_during_execution
        {
            // The names of nodes in it give way to that of the node in question.
            required.node_selector_terms.iter_mut().for_each(|term| term.match_fields = None);
            let open = |term: &core::NodeSelectorTerm| term.match_expressions.as_ref().is_none_or(Vec::is_empty);
            if required.node_selector_terms.iter().any(open) {
                affinity.required_during_scheduling_ignored_during_execution = None;
            }
        }
        Terms {
            name: template.spec.terms.node_name.clone(),
            required: RequiredNodes::of(&bare),
            tolerations: tolerations(spec).iter().filter_map(Toleration::from_api).collect(),
        }
    }

    /// Whether a node is to have a pod, and whether one that is there may stay.
    pub(super) fn verdict(&self, node: &Node) -> (bool, bool) {
        let name = &node.meta.name;
        if self.name.as_ref().is_some_and(|wanted| wanted != name)
            || self.required.as_ref().is_some_and(|required| !required.matches(name, &node.meta.labels))
        {
            return (false, false);
        }
        let taints = node.taints.iter().filter_map(|t| Taint::new(t.key.clone(), t.value.clone(), &t.effect));
        let mut verdict = (true, true);
        for taint in taints.filter(|taint| taint.effect.forbids() && !tolerated(taint, &self.tolerations)) {
            verdict = (false, verdict.1 && taint.effect != Effect::NoExecute);
        }
        verdict
    }
}

/// The tolerations of a daemon pod.
fn tolerations(spec: &core::PodSpec) -> Vec<core::Toleration> {
    let mut all = spec.tolerations.clone().unwrap_or_default();
    let on_host = spec.host_network.unwrap_or(false).then_some(BORNE_ON_HOST);
    for (key, effect) in BORNE.into_iter().chain(on_host) {
        let new = core::Toleration {
            key: Some(key.to_owned()),
            operator: Some("Exists".to_owned()),
            effect: Some(effect.to_owned()),
            ..core::Toleration::default()
        };
        let same = |old: &core::Toleration| {
            old.key == new.key && old.effect == new.effect && old.operator == new.operator && old.value == new.value
        };
        if !all.iter().any(same) {
            all.push(new);
        }
    }
    all
}

/// The spec of the pods, but for the node.
pub(super) fn spec(template: &PodTemplate) -> core::PodSpec {
    let mut spec = template.admitted.api.clone();
    spec.tolerations = Some(tolerations(&spec));
    spec
}

/// The spec of a node's pod.
pub(super) fn spec_for(base: &core::PodSpec, node: &str) -> Arc<PodSpec> {
    let mut spec = base.clone();
    let named = core::NodeSelectorRequirement {
        key: NAME.to_owned(),
        operator: "In".to_owned(),
        values: Some(vec![node.to_owned()]),
    };
    let affinity = spec.affinity.get_or_insert_default().node_affinity.get_or_insert_default();
    let required = affinity.required_during_scheduling_ignored_during_execution.get_or_insert_default();
    if required.node_selector_terms.is_empty() {
        required.node_selector_terms.push(core::NodeSelectorTerm::default());
    }
    for term in &mut required.node_selector_terms {
        term.match_fields = Some(vec![named.clone()]);
    }
    PodSpec::new(spec)
}

/// The node a pod is on, or is meant for.
pub(super) fn target(pod: &Pod) -> Option<Name> {
    if let Some(node) = &pod.node {
        return Some(node.clone());
    }
    match pod.spec.terms.required_nodes.as_ref()?.named() {
        Named::Only(names) => names.first().cloned(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::objects::{ObjectMeta, compact, node};

    fn template(spec: serde_json::Value) -> PodTemplate {
        let value = json!({"metadata": {"labels": {"app": "a"}}, "spec": spec});
        compact::template(&serde_json::from_value(value).expect("a template"), &|_| {})
    }

    fn node(labels: &[(&str, &str)], taints: &[(&str, &'static str)]) -> Node {
        let taint = |(key, effect): &(&str, &'static str)| node::Taint {
            key: (*key).into(),
            value: "".into(),
            effect: (*effect).into(),
            added: None,
        };
        let mut meta = ObjectMeta::named("", "n1");
        meta.labels = Arc::new(labels.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect());
        Node {
            meta,
            pod_cidr: "".into(),
            unschedulable: false,
            taints: taints.iter().map(taint).collect(),
            status: Default::default(),
        }
    }

    #[test]
    fn daemon_pods_bear_much_but_not_all() {
        let plain = Terms::of(&template(json!({"containers": [{"name": "a"}]})));
        let with = |taints| plain.verdict(&node(&[], taints));
        assert_eq!(with(&[]), (true, true));
        assert_eq!(with(&[("node.kubernetes.io/unschedulable", "NoSchedule")]), (true, true));
        assert_eq!(with(&[("node.kubernetes.io/not-ready", "NoSchedule")]), (false, true));
        assert_eq!(with(&[("node.kubernetes.io/not-ready", "NoExecute")]), (true, true));
        assert_eq!(with(&[("gpu", "NoExecute")]), (false, false));
        assert_eq!(with(&[("gpu", "PreferNoSchedule")]), (true, true));
    }

    #[test]
    fn a_pod_names_its_node_and_keeps_its_other_demands() {
        let template = template(json!({
            "containers": [{"name": "a"}],
            "nodeSelector": {"disk": "ssd"},
            "affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [
                {"matchExpressions": [{"key": "zone", "operator": "In", "values": ["a"]}]},
            ]}}},
        }));
        let terms = Terms::of(&template);
        assert_eq!(terms.verdict(&node(&[("disk", "ssd"), ("zone", "a")], &[])), (true, true));
        assert_eq!(terms.verdict(&node(&[("disk", "ssd"), ("zone", "b")], &[])), (false, false));
        let spec = spec_for(&spec(&template), "n1");
        let required = spec.terms.required_nodes.as_ref().expect("demands");
        assert_eq!(*required.named(), Named::Only(["n1".into()].into()));
        assert!(!required.matches("n1", &Default::default()));
        assert_eq!(spec.api.tolerations.as_ref().map(Vec::len), Some(6));
    }
}
