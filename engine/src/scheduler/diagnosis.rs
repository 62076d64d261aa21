//! What a pod that could not be placed is told: the text of the `FailedScheduling` event and of the `PodScheduled`
//! condition.
//!
//! Models: kubernetes v1.36.2 pkg/scheduler/framework/types.go (FitError), pkg/scheduler/schedule_one.go
//! (ErrNoNodesAvailable, truncateMessage).

use std::collections::BTreeMap;

use super::framework::Decision;
use super::reasons::Reasons;
use crate::objects::pod_terms::PodTerms;

/// Longest note of an event. Kubernetes: NoteLengthLimit. [bytes]
const MAX_NOTE: usize = 1024;

/// The whole text. `post_filter` is what the PostFilter plugins said; nothing after a successful preemption.
pub fn fit_error(decision: &Decision, pod: &PodTerms, post_filter: &str) -> String {
    if decision.nodes == 0 {
        return "no nodes available to schedule pods".to_owned();
    }
    let reasons = match &decision.refused {
        Some((_, reason)) => reason.to_string(),
        None => histogram(counts(decision, pod)),
    };
    available(decision.nodes, &reasons) + if post_filter.is_empty() { "" } else { " " } + post_filter
}

/// `0/N nodes are available: REASONS.`
pub(super) fn available(nodes: u32, reasons: &str) -> String {
    format!("0/{nodes} nodes are available: {reasons}.")
}

/// `COUNT REASON`, …, sorted as texts, so that 10 comes before 2.
pub(super) fn histogram(counts: BTreeMap<String, u32>) -> String {
    let mut parts: Vec<String> = counts.into_iter().map(|(reason, count)| format!("{count} {reason}")).collect();
    parts.sort_unstable();
    parts.join(", ")
}

/// The text of an event's note, which is cut where it is too long.
pub fn event_note(text: &str) -> String {
    const MORE: &str = " ...";
    if text.len() <= MAX_NOTE {
        return text.to_owned();
    }
    format!("{}{MORE}", &text[..text.floor_char_boundary(MAX_NOTE - MORE.len())])
}

/// Why nodes were left out that a plugin's list of names does not hold.
pub fn narrowed_text(plugin: &str) -> String {
    format!("node(s) didn't satisfy plugin(s) [{plugin}]")
}

fn counts(decision: &Decision, pod: &PodTerms) -> BTreeMap<String, u32> {
    // Thousands of nodes fail for a handful of combinations: texts are made once for each.
    let mut kinds: BTreeMap<Reasons, u32> = BTreeMap::new();
    for (_, rejection) in &decision.rejected {
        *kinds.entry(rejection.reasons).or_default() += 1;
    }
    let mut counts = BTreeMap::new();
    for (reasons, count) in kinds {
        for text in reasons.texts(pod, &decision.own_reasons) {
            *counts.entry(text).or_default() += count;
        }
    }
    let absent = decision.nodes.saturating_sub(decision.evaluated() as u32);
    if let (Some(plugin), 1..) = (decision.narrowed_by, absent) {
        counts.insert(narrowed_text(plugin.name()), absent);
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::super::framework::{Plugin, Rejection};
    use super::super::reasons::Reason;
    use super::*;

    fn pod() -> PodTerms {
        PodTerms::of(&serde_json::from_value(serde_json::json!({"containers": []})).expect("a pod spec"))
    }

    #[test]
    fn parts_are_sorted_as_texts() {
        let reject = |reasons| Rejection { plugin: Plugin::NodeResourcesFit, unresolvable: false, reasons };
        let mut both = Reasons::one(Reason::Cpu);
        both.add(Reason::Memory);
        let mut rejected = vec![(0, reject(both)), (1, reject(Reasons::one(Reason::Memory)))];
        rejected.extend((2..11).map(|node| (node, reject(Reasons::one(Reason::Cpu)))));
        let mut decision =
            Decision { nodes: 12, rejected, narrowed_by: Some(Plugin::NodeAffinity), ..Decision::default() };
        assert_eq!(
            fit_error(&decision, &pod(), "preemption: no."),
            "0/12 nodes are available: 1 node(s) didn't satisfy plugin(s) [NodeAffinity], 10 Insufficient cpu, \
             2 Insufficient memory. preemption: no."
        );
        decision.refused = Some((Plugin::NodeAffinity, Reason::AffinityConflict.text().into()));
        assert_eq!(fit_error(&decision, &pod(), ""), "0/12 nodes are available: pod affinity terms conflict.");
        assert_eq!(fit_error(&Decision::default(), &pod(), ""), "no nodes available to schedule pods");
    }

    #[test]
    fn a_long_note_is_cut() {
        let note = event_note(&"é".repeat(600));
        assert!(note.len() <= 1024 && note.ends_with("é ..."));
        assert_eq!(event_note("short"), "short");
    }
}
