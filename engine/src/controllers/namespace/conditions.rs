//! The conditions of a namespace that is being deleted.
//!
//! Models: kubernetes v1.36.2 pkg/controller/namespace/deletion/status_condition_utils.go. Left out: failures of discovery.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::content::Left;
use crate::controllers::deployment::whole_seconds;
use crate::kernel::Instant;
use crate::objects::{Condition, Kind, Name, Text, condition};

const CONTENT_FAILURE: &str = "NamespaceDeletionContentFailure";
const CONTENT_REMAINING: &str = "NamespaceContentRemaining";
const FINALIZERS_REMAINING: &str = "NamespaceFinalizersRemaining";

/// Condition, and reason and message while nothing is wrong. Kubernetes: conditionTypes, okReasons, okMessages.
const FINE: [(&str, &str, &str); 5] = [
    ("NamespaceDeletionDiscoveryFailure", "ResourcesDiscovered", "All resources successfully discovered"),
    ("NamespaceDeletionGroupVersionParsingFailure", "ParsedGroupVersions", "All legacy kube types successfully parsed"),
    (CONTENT_FAILURE, "ContentDeleted", "All content successfully deleted, may be waiting on finalization"),
    (CONTENT_REMAINING, "ContentRemoved", "All content successfully removed"),
    (FINALIZERS_REMAINING, "ContentHasNoFinalizers", "All content-preserving finalizers finished"),
];

/// What hinders a deletion.
#[derive(Clone, Debug, Default)]
pub struct Problems {
    /// For the log.
    errors: Vec<String>,
    /// For the condition.
    failures: Vec<Text>,
    /// For the condition; empty for none.
    remaining: String,
    /// For the condition; empty for none.
    finalizers: String,
}

impl Problems {
    /// Something went wrong.
    pub fn failed(&mut self, error: String, failure: Text) {
        self.errors.push(error);
        self.failures.push(failure);
    }

    /// What is left of each kind. Kubernetes: ProcessContentTotals.
    pub fn remaining(&mut self, left: &[(Kind, Left)]) {
        let line = |(kind, left): &(Kind, Left)| {
            let (plural, group, n) = (kind.plural(), kind.group(), left.remaining);
            (n > 0).then(|| format!("{plural}.{group} has {n} resource instances"))
        };
        let mut kinds: Vec<String> = left.iter().filter_map(line).collect();
        kinds.sort();
        if !kinds.is_empty() {
            self.remaining = format!("Some resources are remaining: {}", kinds.join(", "));
        }
        let mut totals: BTreeMap<&Name, usize> = BTreeMap::new();
        for (finalizer, n) in left.iter().flat_map(|(_, left)| &left.finalizers) {
            *totals.entry(finalizer).or_default() += n;
        }
        let mut lines: Vec<String> =
            totals.iter().map(|(finalizer, n)| format!("{finalizer} in {n} resource instances")).collect();
        lines.sort();
        if !lines.is_empty() {
            self.finalizers = format!("Some content in the namespace has finalizers remaining: {}", lines.join(", "));
        }
    }

    /// The conditions now, if they are others than before.
    pub fn update(&self, before: &[Condition], now: Instant) -> Option<Arc<[Condition]>> {
        let now = whole_seconds(now);
        let mut conditions = before.to_vec();
        for (kind, reason, message) in FINE {
            let new = match self.wrong(kind) {
                Some((reason, message)) => Condition::new(kind, true, now).because(reason, message),
                None => Condition::new(kind, false, now).because(reason, message),
            };
            match conditions.iter_mut().find(|old| &*old.kind == kind) {
                Some(old) if old.status == new.status => {
                    let (transition, update) = (old.transition, old.update);
                    *old = Condition { transition, update, ..new };
                }
                Some(old) => *old = new,
                None => conditions.push(new),
            }
        }
        let same = conditions.len() == before.len()
            && conditions.iter().all(|new| condition::find(before, &new.kind) == Some(new));
        (!same).then(|| conditions.into())
    }

    fn wrong(&self, kind: &str) -> Option<(&'static str, Text)> {
        let any = |text: &String, reason| (!text.is_empty()).then(|| (reason, Text::from(text.clone())));
        match kind {
            CONTENT_FAILURE if !self.failures.is_empty() => {
                let mut failures: Vec<&str> = self.failures.iter().map(|failure| &**failure).collect();
                failures.sort_unstable();
                let (n, failures) = (failures.len(), failures.join(", "));
                let message = format!("Failed to delete all resource types, {n} remaining: {failures}");
                Some(("ContentDeletionFailed", message.into()))
            }
            CONTENT_REMAINING => any(&self.remaining, "SomeResourcesRemain"),
            FINALIZERS_REMAINING => any(&self.finalizers, "SomeFinalizersRemain"),
            _ => None,
        }
    }

    /// Everything that went wrong in one text.
    pub fn error(&self) -> Option<Text> {
        match &self.errors[..] {
            [] => None,
            [error] => Some(error.clone().into()),
            errors => Some(format!("[{}]", errors.join(", ")).into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_change_only_when_what_they_say_does() {
        let at = |s: u64| Instant::from_nanos(s * 1_000_000_000 + 5);
        let fine = Problems::default().update(&[], at(1)).expect("five new ones");
        assert_eq!((fine.len(), fine.iter().any(Condition::holds)), (5, false));
        assert_eq!(Problems::default().update(&fine, at(2)), None);

        let mut problems = Problems::default();
        let finalizers = BTreeMap::from([("a.b/c".into(), 2)]);
        let left = Left { remaining: 2, finalizers, ..Left::default() };
        problems.remaining(&[(Kind::ConfigMap, left.clone()), (Kind::Deployment, Left { remaining: 1, ..left })]);
        let wrong = problems.update(&fine, at(3)).expect("a change");
        let said = |kind| condition::find(&wrong, kind).map(|it| (it.holds(), &*it.message, it.transition));
        let remaining = "Some resources are remaining: configmaps. has 2 resource instances, deployments.apps has 1 resource instances";
        let whole = |s: u64| Instant::from_nanos(s * 1_000_000_000);
        assert_eq!(said(CONTENT_REMAINING), Some((true, remaining, whole(3))));
        let finalizers = "Some content in the namespace has finalizers remaining: a.b/c in 4 resource instances";
        assert_eq!(said(FINALIZERS_REMAINING), Some((true, finalizers, whole(3))));
        assert_eq!(said(CONTENT_FAILURE).map(|it| (it.0, it.2)), Some((false, whole(1))));
    }
}
