//! DefaultPreemption: whether pushing out pods of lower priority could make room.
//!
//! This is the first half of PostFilter: who may preempt, where it could help, and the answer where no node holds
//! anybody to push out. The second half, trying the nodes that do, belongs to the caller.
//!
//! Models: kubernetes v1.36.2 pkg/scheduler/framework/preemption/preemption.go (Preempt, findCandidates),
//! pkg/scheduler/framework/plugins/defaultpreemption/default_preemption.go; the other PostFilter plugin's text from
//! plugins/dynamicresources/dynamicresources.go. Left out: the dry run, victims of an earlier preemption still
//! terminating.

use std::collections::BTreeMap;

use super::super::diagnosis::{available, histogram};
use super::super::framework::Decision;
use super::super::nodes::Nodes;
use crate::objects::pod_terms::PodTerms;

/// What PostFilter comes to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Preemption {
    /// It cannot help; the PostFilter part of the failure's text.
    Refused(String),
    /// It could help on these nodes, which hold pods of lower priority.
    Possible(Vec<u32>),
}

/// What DynamicResources says of a pod without claims, before DefaultPreemption is asked.
const NO_CLAIMS: &str = "no new claims to deallocate";

/// PostFilter for a pod that `decision` found no node for.
pub fn post_filter(decision: &Decision, pod: &PodTerms, nodes: &Nodes) -> Preemption {
    if decision.refused.is_some() {
        // DynamicResources was never asked in PreFilter, misses its notes and ends PostFilter.
        return Preemption::Refused("not found".to_owned());
    }
    if !pod.preempts {
        return Preemption::Refused(format!("{NO_CLAIMS}, preemption: not eligible due to preemptionPolicy=Never."));
    }
    let resolvable: Vec<u32> =
        decision.rejected.iter().filter(|(_, rejection)| !rejection.unresolvable).map(|(node, _)| *node).collect();
    let held = |node: &u32| nodes.get(*node).lowest_priority().is_some_and(|lowest| lowest < pod.priority);
    let possible: Vec<u32> = resolvable.iter().copied().filter(held).collect();
    if !possible.is_empty() {
        return Preemption::Possible(possible);
    }
    let mut counts = BTreeMap::new();
    let (empty_handed, all) = (resolvable.len() as u32, decision.nodes);
    for (reason, count) in [
        ("No preemption victims found for incoming pod", empty_handed),
        ("Preemption is not helpful for scheduling", all.saturating_sub(empty_handed)),
    ] {
        if count > 0 {
            counts.insert(reason.to_owned(), count);
        }
    }
    Preemption::Refused(format!("{NO_CLAIMS}, preemption: {}", available(all, &histogram(counts))))
}

#[cfg(test)]
mod tests {
    use super::super::super::framework::{Plugin, Rejection};
    use super::super::super::reasons::{Reason, Reasons};
    use super::*;

    fn pod(priority: i32) -> PodTerms {
        let spec = serde_json::json!({"containers": [], "priority": priority});
        PodTerms::of(&serde_json::from_value(spec).expect("a pod spec"))
    }

    #[test]
    fn only_nodes_with_pods_of_lower_priority_are_worth_a_try() {
        let mut nodes = Nodes::default();
        nodes.add_pod(&"a".into(), &pod(5));
        nodes.add_pod(&"b".into(), &pod(9));
        nodes.add_pod(&"c".into(), &pod(1));
        let reject = |unresolvable| Rejection {
            plugin: Plugin::NodeResourcesFit,
            unresolvable,
            reasons: Reasons::one(Reason::Cpu),
        };
        let rejected = vec![(0, reject(false)), (1, reject(false)), (2, reject(true))];
        let decision = Decision { nodes: 3, rejected, ..Decision::default() };
        assert_eq!(post_filter(&decision, &pod(6), &nodes), Preemption::Possible(vec![0]));
        let refused = Preemption::Refused(
            "no new claims to deallocate, preemption: 0/3 nodes are available: 1 Preemption is not helpful for \
             scheduling, 2 No preemption victims found for incoming pod."
                .to_owned(),
        );
        assert_eq!(post_filter(&decision, &pod(5), &nodes), refused);
        let never = PodTerms { preempts: false, ..pod(6) };
        assert!(matches!(post_filter(&decision, &never, &nodes), Preemption::Refused(text) if text.contains("Never")));
    }
}
