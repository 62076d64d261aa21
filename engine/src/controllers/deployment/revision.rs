//! Revisions: how ReplicaSets of a Deployment are numbered, what is written on them, and which of them are thrown away.
//!
//! Models: kubernetes v1.36.2 pkg/controller/deployment/util/deployment_util.go (MaxRevision, LastRevision,
//! SetNewReplicaSetAnnotations, ReplicaSetsByRevision) and pkg/controller/deployment/sync.go (cleanupDeployment,
//! generateReplicaSetName).

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::kernel::Instant;

/// Annotations as objects keep them.
pub type Annotations = BTreeMap<Arc<str>, Arc<str>>;

/// Which rollout a ReplicaSet (or a Deployment) stands for.
pub const REVISION: &str = "deployment.kubernetes.io/revision";
/// The revisions a ReplicaSet stood for before it was rolled back to, joined by commas.
pub const REVISION_HISTORY: &str = "deployment.kubernetes.io/revision-history";
/// `spec.replicas` of the Deployment when the ReplicaSet was last sized.
pub const DESIRED_REPLICAS: &str = "deployment.kubernetes.io/desired-replicas";
/// The same plus surge.
pub const MAX_REPLICAS: &str = "deployment.kubernetes.io/max-replicas";

/// Annotations of a Deployment that its ReplicaSets do not get. Kubernetes: annotationsToSkip.
const NOT_COPIED: [&str; 6] = [
    "kubectl.kubernetes.io/last-applied-configuration",
    REVISION,
    REVISION_HISTORY,
    DESIRED_REPLICAS,
    MAX_REPLICAS,
    "deprecated.deployment.rollback.to",
];
/// Longest revision history. [bytes] Kubernetes: maxRevHistoryLengthInChars.
const MAX_HISTORY: usize = 2000;
/// Longest name of a ReplicaSet. [bytes] Kubernetes: DNS1123SubdomainMaxLength.
const MAX_NAME: usize = 253;

/// The revision in a set of annotations: 0 if absent, none if it is no number.
pub fn revision(annotations: &Annotations) -> Option<i64> {
    annotations.get(REVISION).map_or(Some(0), |text| text.parse().ok())
}

/// The highest revision; what is no number is passed over. A new ReplicaSet gets the next one.
pub fn max_revision<'a>(sets: impl IntoIterator<Item = &'a Annotations>) -> i64 {
    sets.into_iter().filter_map(revision).fold(0, i64::max)
}

/// The second highest revision, the one `rollout undo` goes back to.
pub fn last_revision<'a>(sets: impl IntoIterator<Item = &'a Annotations>) -> i64 {
    let step = |(max, second): (i64, i64), revision| {
        if revision >= max { (revision, max) } else { (max, second.max(revision)) }
    };
    sets.into_iter().filter_map(revision).fold((0, 0), step).1
}

/// The name of a Deployment's ReplicaSet, cut so that it fits with its hash.
pub fn replica_set_name(deployment: &str, hash: &str) -> String {
    let room = MAX_NAME.saturating_sub(hash.len() + 1);
    format!("{}-{hash}", &deployment[..deployment.floor_char_boundary(room)])
}

/// Brings the annotations of the new ReplicaSet up to date: those of the Deployment, the revision `next`, and, if the
/// set had another revision before, that one in its history. True if anything changed. Kubernetes:
/// SetNewReplicaSetAnnotations.
///
/// A new set also needs [`set_replicas_annotations`].
pub fn set_new_annotations(deployment: &Annotations, set: &mut Annotations, next: i64) -> bool {
    let mut changed = false;
    for (key, value) in deployment {
        if !NOT_COPIED.contains(&&**key) && set.get(key) != Some(value) {
            set.insert(key.clone(), value.clone());
            changed = true;
        }
    }
    let before = set.get(REVISION).cloned();
    let number = match before.as_deref() {
        None | Some("") => 0,
        Some(text) => match text.parse::<i64>() {
            Ok(number) => number,
            // Go gives up on this set, though it may have copied annotations.
            Err(_) => return false,
        },
    };
    if number >= next {
        return changed;
    }
    set.insert(REVISION.into(), next.to_string().into());
    if let Some(before) = before {
        remember(set, &before);
    }
    true
}

/// Writes the size of the Deployment, without and with surge, on a ReplicaSet. True if anything changed.
pub fn set_replicas_annotations(set: &mut Annotations, desired: i32, max: i32) -> bool {
    let mut changed = false;
    for (key, number) in [(DESIRED_REPLICAS, desired), (MAX_REPLICAS, max)] {
        let text = number.to_string();
        if set.get(key).map(|value| &**value) != Some(&*text) {
            set.insert(key.into(), text.into());
            changed = true;
        }
    }
    changed
}

/// Appends a revision to the history, dropping the oldest ones until it fits.
fn remember(set: &mut Annotations, revision: &str) {
    let history = set.get(REVISION_HISTORY).cloned().unwrap_or_default();
    let mut kept = &*history;
    if kept.is_empty() || kept.starts_with(',') {
        set.insert(REVISION_HISTORY.into(), revision.into());
        return;
    }
    while kept.len() + 1 + revision.len() > MAX_HISTORY {
        match kept.split_once(',') {
            Some((_, newer)) => kept = newer,
            None if revision.len() <= MAX_HISTORY => {
                set.insert(REVISION_HISTORY.into(), revision.into());
                return;
            }
            None => return,
        }
    }
    set.insert(REVISION_HISTORY.into(), format!("{kept},{revision}").into());
}

/// What of an old ReplicaSet decides whether it is thrown away.
#[derive(Clone, Debug)]
pub struct OldReplicaSet<'a> {
    /// Name; decides between sets created in the same second.
    pub name: &'a str,
    /// Creation, in whole seconds as the API server keeps it.
    pub created: Instant,
    /// As from [`revision`].
    pub revision: Option<i64>,
    /// Whether neither spec nor status has any pods, and the status is that of the current generation.
    pub empty: bool,
    /// Whether it is being deleted already; it then does not count.
    pub deleting: bool,
}

/// Which old ReplicaSets go, by their place in the list, so that `limit` are left: the lowest revisions. A set among
/// them that is not empty stays, and no other goes in its place. Kubernetes: cleanupDeployment.
pub fn surplus(old: &[OldReplicaSet<'_>], limit: i32) -> Vec<usize> {
    let mut kept: Vec<usize> = (0..old.len()).filter(|place| !old[*place].deleting).collect();
    let surplus = i64::try_from(kept.len()).unwrap_or(i64::MAX) - i64::from(limit);
    let surplus = usize::try_from(surplus).unwrap_or(0);
    // A revision that is no number compares by age in Kubernetes, which is no order; here it counts as the lowest.
    kept.sort_by_key(|place| (old[*place].revision, old[*place].created, old[*place].name));
    kept.truncate(surplus);
    kept.retain(|place| old[*place].empty);
    kept
}

#[cfg(test)]
mod tests {
    //! Numbering, history and cleanup on small sets of annotations.
    use super::*;

    fn annotations(pairs: &[(&str, &str)]) -> Annotations {
        pairs.iter().map(|(key, value)| (Arc::from(*key), Arc::from(*value))).collect()
    }

    #[test]
    fn revisions_that_are_no_numbers_are_passed_over() {
        let sets = ["3", "x", "5", "4"].map(|text| annotations(&[(REVISION, text)]));
        assert_eq!((max_revision(&sets), last_revision(&sets)), (5, 4));
        assert_eq!((max_revision(&[annotations(&[])]), last_revision(&[annotations(&[])])), (0, 0));
        assert_eq!(last_revision(&sets[..1]), 0);
    }

    #[test]
    fn a_new_set_takes_the_annotations_of_its_deployment_but_not_the_bookkeeping() {
        let deployment = annotations(&[("team", "a"), (REVISION, "9"), (NOT_COPIED[0], "{}")]);
        let mut set = Annotations::new();
        assert!(set_new_annotations(&deployment, &mut set, 1));
        assert_eq!(set, annotations(&[("team", "a"), (REVISION, "1")]));
        assert!(!set_new_annotations(&deployment, &mut set, 1));
        assert!(set_replicas_annotations(&mut set, 10, 13) && !set_replicas_annotations(&mut set, 10, 13));
    }

    #[test]
    fn rolling_back_renumbers_the_set_and_keeps_its_history() {
        let mut set = annotations(&[(REVISION, "1")]);
        assert!(set_new_annotations(&Annotations::new(), &mut set, 3));
        assert!(set_new_annotations(&Annotations::new(), &mut set, 5));
        assert_eq!(set, annotations(&[(REVISION, "5"), (REVISION_HISTORY, "1,3")]));
        // Newer than all others already: their revisions were deleted.
        assert!(!set_new_annotations(&Annotations::new(), &mut set, 2));
    }

    #[test]
    fn a_long_history_loses_its_oldest_entries() {
        let history = vec!["100"; 500].join(",");
        let mut set = annotations(&[(REVISION, "999"), (REVISION_HISTORY, &history)]);
        set_new_annotations(&Annotations::new(), &mut set, 1000);
        let kept = set.get(REVISION_HISTORY).expect("a history");
        assert!(kept.len() == 1999 && kept.ends_with(",100,999"), "{kept}");
    }

    #[test]
    fn a_set_with_a_broken_revision_is_left_alone() {
        let mut set = annotations(&[(REVISION, "one")]);
        assert!(!set_new_annotations(&annotations(&[("team", "a")]), &mut set, 3));
        assert_eq!(set.get(REVISION).map(|text| &**text), Some("one"));
    }

    #[test]
    fn cleanup_takes_the_lowest_revisions_and_spares_those_with_pods() {
        let set = |revision, empty, deleting| OldReplicaSet {
            name: "a",
            created: Instant::START,
            revision: Some(revision),
            empty,
            deleting,
        };
        let old = [set(4, true, false), set(1, true, true), set(2, false, false), set(3, true, false)];
        assert_eq!(surplus(&old, 1), [3]);
        assert_eq!(surplus(&old, 0), [3, 0]);
        assert!(surplus(&old, 3).is_empty() && surplus(&old, 10).is_empty());
    }

    #[test]
    fn names_are_cut_in_front_of_the_hash() {
        assert_eq!(replica_set_name("web", "7cd5cff77d"), "web-7cd5cff77d");
        assert_eq!(replica_set_name(&"x".repeat(253), "7cd5cff77d"), format!("{}-7cd5cff77d", "x".repeat(242)));
    }
}
