//! Which pods a ReplicaSet creates and deletes, and in what order; and what it says of them in its status.
//!
//! Scaling down removes first what serves least: pods without a node, not running, not ready; then by deletion cost, by
//! crowding on a node, by age. Ages are compared by their order of magnitude (powers of two of nanoseconds), so that
//! among pods of about the same age the uid, that is chance, decides.
//!
//! Models: kubernetes v1.36.2 pkg/controller/controller_utils.go (ActivePodsWithRanks), pkg/controller/replicaset/
//! {replica_set,replica_set_utils}.go (slowStartBatch, getPodsToDelete, calculateStatus) and
//! pkg/apis/core/helper (deletion cost). Left out: the comparison without LogarithmicScaleDown, which is always on.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use crate::kernel::{Duration, Instant};

/// Most pods created or deleted in one sync; Kubernetes: BurstReplicas.
pub const BURST_REPLICAS: usize = 500;
/// Pods in the first batch of creations; Kubernetes: SlowStartInitialBatchSize.
pub const SLOW_START_INITIAL_BATCH: usize = 1;
/// What it costs to delete a pod, as its user sees it.
pub const DELETION_COST: &str = "controller.kubernetes.io/pod-deletion-cost";

/// Phases of active pods in the order in which they are given up.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum RankedPhase {
    /// Not yet started.
    Pending,
    /// Not heard of.
    Unknown,
    /// Running.
    Running,
}

/// What of a pod decides when it is deleted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Candidate<'a> {
    /// The node; none before the pod is bound.
    pub node: Option<&'a str>,
    /// The phase.
    pub phase: RankedPhase,
    /// Since when the Ready condition is True, in whole seconds as the API server keeps it; none if it is not.
    pub ready_since: Option<Instant>,
    /// As from [`deletion_cost`].
    pub deletion_cost: i32,
    /// How many active pods of the owner's ReplicaSets are on its node; see [`crowding`].
    pub crowding: usize,
    /// Most restarts of any container, and of any sidecar.
    pub restarts: (i32, i32),
    /// Creation, in whole seconds as the API server keeps it.
    pub created: Instant,
    /// The uid; as text or as a number, it only has to be in the order of the texts.
    pub uid: u128,
}

/// The cost in the annotation [`DELETION_COST`]; absent or malformed it is 0. Signs and leading zeros that the API
/// server does not accept (`+1`, `01`) are malformed.
pub fn deletion_cost(annotation: Option<&str>) -> i32 {
    let well_formed = |text: &&str| {
        let digits = text.strip_prefix('-').unwrap_or(text);
        *text == "0" || digits.starts_with(|first: char| ('1'..='9').contains(&first))
    };
    annotation.filter(well_formed).and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// Counts the active pods by node, for [`Candidate::crowding`]: pods of this ReplicaSet and of all with the same owner.
pub fn crowding<'a>(nodes: impl IntoIterator<Item = Option<&'a str>>) -> BTreeMap<Option<&'a str>, usize> {
    let mut count = BTreeMap::new();
    for node in nodes {
        *count.entry(node).or_default() += 1;
    }
    count
}

/// The `count` pods to delete, by their place in `pods`, the first to go first. Kubernetes: getPodsToDelete.
pub fn pods_to_delete(pods: &[Candidate<'_>], count: usize, now: Instant) -> Vec<usize> {
    let mut order: Vec<usize> = (0..pods.len()).collect();
    if count < pods.len() {
        sort(&mut order, |a, b| pods[a].goes_before(&pods[b], now));
        order.truncate(count);
    }
    order
}

impl Candidate<'_> {
    /// Whether this pod is deleted before `other`. No strict order: a comparison by restarts between pods ready since
    /// the same second and one by uid between others can form a circle.
    fn goes_before(&self, other: &Self, now: Instant) -> bool {
        let of_ready = match (self.ready_since, other.ready_since) {
            (Some(mine), Some(theirs)) => younger_first(mine, theirs, now, self.uid, other.uid),
            _ => Ordering::Equal,
        };
        let order = (self.node.is_some().cmp(&other.node.is_some()))
            .then(self.phase.cmp(&other.phase))
            .then(self.ready_since.is_some().cmp(&other.ready_since.is_some()))
            .then(self.deletion_cost.cmp(&other.deletion_cost))
            .then(other.crowding.cmp(&self.crowding))
            .then(of_ready)
            .then(other.restarts.cmp(&self.restarts));
        order.then_with(|| younger_first(self.created, other.created, now, self.uid, other.uid)) == Ordering::Less
    }
}

/// Compares by order of magnitude of age; in one magnitude, unless they are the very same moment, the uid decides.
fn younger_first(mine: Instant, theirs: Instant, now: Instant, my_uid: u128, their_uid: u128) -> Ordering {
    if mine == theirs {
        return Ordering::Equal;
    }
    magnitude(now.since(mine)).cmp(&magnitude(now.since(theirs))).then(my_uid.cmp(&their_uid))
}

/// The power of two of an age in nanoseconds; none, which is less, for no age at all.
fn magnitude(age: Duration) -> Option<u32> {
    age.as_nanos().checked_ilog2()
}

/// A merge sort. The library's may panic when the comparison is no strict order, which this one here is not always.
fn sort(items: &mut Vec<usize>, before: impl Fn(usize, usize) -> bool) {
    let mut width = 1;
    while width < items.len() {
        let mut merged = Vec::with_capacity(items.len());
        for pair in items.chunks(2 * width) {
            let (mut left, mut right) = pair.split_at(width.min(pair.len()));
            while let ([a, left_rest @ ..], [b, right_rest @ ..]) = (left, right) {
                if before(*b, *a) {
                    merged.push(*b);
                    right = right_rest;
                } else {
                    merged.push(*a);
                    left = left_rest;
                }
            }
            merged.extend_from_slice(left);
            merged.extend_from_slice(right);
        }
        *items = merged;
        width *= 2;
    }
}

/// What one sync does about the number of pods.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Adjustment {
    /// Nothing.
    None,
    /// Create as many, in slow-start batches.
    Create(usize),
    /// Delete as many, all at once.
    Delete(usize),
}

/// What to do about `active` pods where `replicas` are wanted, at most [`BURST_REPLICAS`] at a time.
pub fn adjustment(active: usize, replicas: i32) -> Adjustment {
    let wanted = usize::try_from(replicas).unwrap_or(0);
    match active.cmp(&wanted) {
        Ordering::Equal => Adjustment::None,
        Ordering::Less => Adjustment::Create((wanted - active).min(BURST_REPLICAS)),
        Ordering::Greater => Adjustment::Delete((active - wanted).min(BURST_REPLICAS)),
    }
}

/// Slow start: creations are sent in batches, each sent when all of the one before have been answered and twice as
/// large, and none after a batch with an error. Whoever would fail a thousand times, for a quota say, so fails once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SlowStart {
    remaining: usize,
    batch: usize,
}

impl SlowStart {
    /// Creations of `count` pods, the first batch of `initial`.
    pub fn new(count: usize, initial: usize) -> Self {
        SlowStart { remaining: count, batch: initial }
    }

    /// The size of the next batch, none when all are sent. After a batch with an error do not ask again:
    /// [`SlowStart::remaining`] pods are then not created and no longer expected.
    pub fn next_batch(&mut self) -> Option<usize> {
        let size = self.batch.min(self.remaining);
        self.remaining -= size;
        self.batch = size.saturating_mul(2);
        (size > 0).then_some(size)
    }

    /// How many are not sent yet.
    pub fn remaining(&self) -> usize {
        self.remaining
    }
}

/// What of a pod counts for the status.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CountedPod {
    /// Whether it has all labels of the template.
    pub fully_labeled: bool,
    /// Since when it is ready, in whole seconds; none if it is not.
    pub ready_since: Option<Instant>,
}

/// The numbers in a ReplicaSet's status.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct StatusNumbers {
    /// Active pods.
    pub replicas: i32,
    /// Of these, with all labels of the template.
    pub fully_labeled: i32,
    /// Of these, ready.
    pub ready: i32,
    /// Of these, ready for `minReadySeconds`.
    pub available: i32,
    /// Pods being deleted, not in any other number.
    pub terminating: i32,
}

/// Counts the active pods; `terminating` are counted by the caller. Kubernetes: calculateStatus.
pub fn count(
    active: impl IntoIterator<Item = CountedPod>,
    terminating: i32,
    min_ready: Duration,
    now: Instant,
) -> StatusNumbers {
    let mut numbers = StatusNumbers { terminating, ..StatusNumbers::default() };
    for pod in active {
        numbers.replicas += 1;
        numbers.fully_labeled += i32::from(pod.fully_labeled);
        numbers.ready += i32::from(pod.ready_since.is_some());
        numbers.available += i32::from(available(pod.ready_since, min_ready, now));
    }
    numbers
}

/// Whether a pod ready since then has been so for `min_ready`. Kubernetes: IsPodAvailable.
pub fn available(ready_since: Option<Instant>, min_ready: Duration, now: Instant) -> bool {
    ready_since.is_some_and(|since| min_ready == Duration::ZERO || since + min_ready <= now)
}

/// How long until the next of the ready pods becomes available, when the ReplicaSet must be looked at again though
/// nothing tells it to; none if all are. Kubernetes: FindMinNextPodAvailabilityCheck.
pub fn next_availability_check(
    ready_since: impl IntoIterator<Item = Instant>,
    min_ready: Duration,
    now: Instant,
) -> Option<Duration> {
    let left = ready_since.into_iter().map(|since| (since + min_ready).since(now));
    left.filter(|left| *left > Duration::ZERO && min_ready > Duration::ZERO).min()
}

/// What to do with the condition ReplicaFailure.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FailureCondition {
    /// Leave it.
    Keep,
    /// Set it True for this reason, the message being the error. An older one, even of another error, is kept instead.
    Set(&'static str),
    /// Remove it.
    Remove,
}

/// The fate of ReplicaFailure after a sync that found `active` pods where `replicas` were wanted.
pub fn failure_condition(failed: bool, present: bool, active: usize, replicas: i32) -> FailureCondition {
    match (failed, present) {
        (true, false) => FailureCondition::Set(match adjustment(active, replicas) {
            Adjustment::Create(_) => "FailedCreate",
            Adjustment::Delete(_) => "FailedDelete",
            Adjustment::None => "",
        }),
        (false, true) => FailureCondition::Remove,
        _ => FailureCondition::Keep,
    }
}

#[cfg(test)]
mod tests {
    //! One rule of the ranking at a time; the recorded answers are in the conformance tests.
    use super::*;

    fn at(seconds: u64) -> Instant {
        Instant::START + Duration::from_secs(seconds)
    }

    const NOW: u64 = 100_000;

    fn pod() -> Candidate<'static> {
        Candidate {
            node: Some("n1"),
            phase: RankedPhase::Running,
            ready_since: Some(at(20)),
            deletion_cost: 0,
            crowding: 1,
            restarts: (0, 0),
            created: at(10),
            uid: 5,
        }
    }

    #[test]
    fn each_rule_decides_when_those_before_it_do_not() {
        let rules = [
            Candidate { node: None, ready_since: None, deletion_cost: 9, ..pod() },
            Candidate { phase: RankedPhase::Pending, ready_since: None, deletion_cost: 9, ..pod() },
            Candidate { phase: RankedPhase::Unknown, ready_since: None, deletion_cost: 9, ..pod() },
            Candidate { ready_since: None, deletion_cost: 9, ..pod() },
            Candidate { deletion_cost: -1, crowding: 0, ..pod() },
            Candidate { crowding: 2, uid: 9, ..pod() },
            Candidate { ready_since: Some(at(90_000)), created: at(5), uid: 9, ..pod() },
            Candidate { ready_since: Some(at(30)), restarts: (0, 0), uid: 4, ..pod() },
            Candidate { restarts: (1, 0), uid: 9, ..pod() },
            Candidate { restarts: (0, 1), uid: 9, ..pod() },
            Candidate { created: at(90_000), uid: 9, ..pod() },
            Candidate { created: at(5), uid: 4, ..pod() },
        ];
        for sooner in rules {
            assert_eq!(pods_to_delete(&[pod(), sooner], 1, at(NOW)), [1], "{sooner:?}");
            assert_eq!(pods_to_delete(&[sooner, pod()], 1, at(NOW)), [0], "{sooner:?}");
        }
    }

    #[test]
    fn deleting_all_keeps_the_order_given() {
        assert_eq!(pods_to_delete(&[pod(), Candidate { node: None, ..pod() }], 2, at(NOW)), [0, 1]);
        assert!(pods_to_delete(&[], 3, at(NOW)).is_empty());
    }

    #[test]
    fn a_circle_in_the_ranking_does_no_harm() {
        let a = Candidate { restarts: (1, 0), uid: 9, ..pod() };
        let b = Candidate { uid: 1, ..pod() };
        let c = Candidate { ready_since: Some(at(30)), uid: 5, ..pod() };
        let circle: Vec<Candidate<'_>> = std::iter::repeat_n([a, b, c], 100).flatten().collect();
        let mut order = pods_to_delete(&circle, 299, at(NOW));
        order.sort_unstable();
        order.dedup();
        assert_eq!(order.len(), 299);
    }

    #[test]
    fn costs_that_are_malformed_count_as_nothing() {
        let costs = ["100", "-100", "0", "+1", "01", "-0", "x", "", "2147483648"];
        assert_eq!(costs.map(|cost| deletion_cost(Some(cost))), [100, -100, 0, 0, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn batches_double_until_all_are_sent() {
        let mut slow = SlowStart::new(10, SLOW_START_INITIAL_BATCH);
        let batches: Vec<usize> = std::iter::from_fn(|| slow.next_batch()).collect();
        assert_eq!((batches, slow.remaining()), (vec![1, 2, 4, 3], 0));
        assert_eq!(adjustment(0, 5_000), Adjustment::Create(500));
        assert_eq!(adjustment(7, -1), Adjustment::Delete(7));
    }

    #[test]
    fn a_pod_is_available_once_it_was_ready_for_as_long_as_asked() {
        assert!(available(Some(at(10)), Duration::ZERO, at(10)));
        assert!(!available(Some(at(10)), Duration::from_secs(5), at(14)));
        assert!(available(Some(at(10)), Duration::from_secs(5), at(15)));
        let pods = [Some(at(10)), Some(at(14)), None];
        let pods = pods.map(|ready_since| CountedPod { fully_labeled: true, ready_since });
        let numbers = count(pods, 2, Duration::from_secs(5), at(16));
        assert_eq!((numbers.replicas, numbers.ready, numbers.available, numbers.terminating), (3, 2, 1, 2));
        let next = |now| next_availability_check([at(10), at(14)], Duration::from_secs(5), at(now));
        assert_eq!(next(12), Some(Duration::from_secs(3)));
        assert_eq!((next(15), next(19)), (Some(Duration::from_secs(4)), None));
    }

    #[test]
    fn the_first_failure_is_kept_until_a_sync_succeeds() {
        assert_eq!(failure_condition(true, false, 1, 3), FailureCondition::Set("FailedCreate"));
        assert_eq!(failure_condition(true, false, 5, 3), FailureCondition::Set("FailedDelete"));
        assert_eq!(failure_condition(true, true, 5, 3), FailureCondition::Keep);
        assert_eq!(failure_condition(false, true, 3, 3), FailureCondition::Remove);
        assert_eq!(failure_condition(false, false, 3, 3), FailureCondition::Keep);
    }
}
