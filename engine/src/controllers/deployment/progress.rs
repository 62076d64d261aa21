//! Whether a rollout is complete, moves, or is stuck, and what to do about the Progressing condition.
//!
//! Models: kubernetes v1.36.2 pkg/controller/deployment/{progress,sync}.go and
//! pkg/controller/deployment/util/deployment_util.go (DeploymentComplete, DeploymentProgressing, DeploymentTimedOut).

use crate::kernel::{Duration, Instant};

/// Reason of Progressing once a rollout has ended well; from then on no deadline counts.
pub const NEW_REPLICA_SET_AVAILABLE: &str = "NewReplicaSetAvailable";
/// Reason of Progressing while pods come and go.
pub const REPLICA_SET_UPDATED: &str = "ReplicaSetUpdated";
/// Reason of Progressing when nothing moved for `progressDeadlineSeconds`.
pub const TIMED_OUT: &str = "ProgressDeadlineExceeded";

/// The numbers in a Deployment's status.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct StatusNumbers {
    /// The generation the controller has acted on.
    pub observed_generation: i64,
    /// Pods of all ReplicaSets.
    pub replicas: i32,
    /// Pods of the new ReplicaSet.
    pub updated: i32,
    /// Ready pods.
    pub ready: i32,
    /// Pods ready for `minReadySeconds`.
    pub available: i32,
    /// Pods that should be there and are not available.
    pub unavailable: i32,
    /// Pods being deleted; none if a ReplicaSet does not say.
    pub terminating: Option<i32>,
}

/// What one ReplicaSet adds to the status.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ReplicaSetNumbers {
    /// `spec.replicas`.
    pub wanted: i32,
    /// `status.replicas`.
    pub replicas: i32,
    /// `status.readyReplicas`.
    pub ready: i32,
    /// `status.availableReplicas`.
    pub available: i32,
    /// `status.terminatingReplicas`.
    pub terminating: Option<i32>,
}

/// The Progressing condition, as far as decisions hang on it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Progressing<'a> {
    /// Its reason.
    pub reason: &'a str,
    /// When it last changed, in whole seconds as the API server keeps it.
    pub last_update: Instant,
}

/// What to do with the Progressing condition after a sync.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Leave it.
    Keep,
    /// There is no deadline: remove it.
    Remove,
    /// True, reason [`NEW_REPLICA_SET_AVAILABLE`].
    Complete,
    /// True, reason [`REPLICA_SET_UPDATED`]; written anew even if it says so already, so that the deadline starts over.
    Moves,
    /// False, reason [`TIMED_OUT`].
    TimedOut,
}

impl StatusNumbers {
    /// Adds up the ReplicaSets. Kubernetes: calculateStatus.
    pub fn of(generation: i64, new: Option<ReplicaSetNumbers>, old: &[ReplicaSetNumbers]) -> Self {
        let all = || old.iter().copied().chain(new);
        let sum = |number: fn(ReplicaSetNumbers) -> i32| all().map(number).fold(0_i32, i32::wrapping_add);
        let available = sum(|set| set.available);
        StatusNumbers {
            observed_generation: generation,
            replicas: sum(|set| set.replicas),
            updated: new.map_or(0, |set| set.replicas),
            ready: sum(|set| set.ready),
            available,
            unavailable: sum(|set| set.wanted).wrapping_sub(available).max(0),
            terminating: all().try_fold(0_i32, |sum, set| Some(sum.wrapping_add(set.terminating?))),
        }
    }

    /// Whether everything is new, there and available. Kubernetes: DeploymentComplete.
    pub fn complete(&self, replicas: i32, generation: i64) -> bool {
        self.updated == replicas
            && self.replicas == replicas
            && self.available == replicas
            && self.observed_generation >= generation
    }

    /// Whether anything got better since `before`. Kubernetes: DeploymentProgressing.
    pub fn moved_since(&self, before: &StatusNumbers) -> bool {
        let old = |status: &StatusNumbers| status.replicas.wrapping_sub(status.updated);
        self.updated > before.updated
            || old(self) < old(before)
            || self.ready > before.ready
            || self.available > before.available
    }
}

/// The deadline of a rollout, or none: `progressDeadlineSeconds` absent or 2147483647. [s]
pub fn deadline(progress_deadline_seconds: Option<i32>) -> Option<Duration> {
    progress_deadline_seconds
        .filter(|seconds| *seconds != i32::MAX)
        .map(|seconds| Duration::from_secs(u64::try_from(seconds).unwrap_or(0)))
}

/// Whether the rollout stands still for longer than its deadline. Kubernetes: DeploymentTimedOut.
pub fn timed_out(current: Option<Progressing<'_>>, deadline: Option<Duration>, now: Instant) -> bool {
    match (current, deadline) {
        (Some(current), _) if current.reason == NEW_REPLICA_SET_AVAILABLE => false,
        (Some(current), Some(_)) if current.reason == TIMED_OUT => true,
        (Some(current), Some(deadline)) => current.last_update + deadline < now,
        _ => false,
    }
}

/// What the new status says of the rollout. Kubernetes: syncRolloutStatus.
pub fn judge(
    before: &StatusNumbers,
    after: &StatusNumbers,
    (replicas, generation): (i32, i64),
    current: Option<Progressing<'_>>,
    deadline: Option<Duration>,
    now: Instant,
) -> Verdict {
    if deadline.is_none() {
        return if current.is_some() { Verdict::Remove } else { Verdict::Keep };
    }
    let ended = current.is_some_and(|current| current.reason == NEW_REPLICA_SET_AVAILABLE);
    if ended && after.replicas == after.updated {
        Verdict::Keep
    } else if after.complete(replicas, generation) {
        Verdict::Complete
    } else if after.moved_since(before) {
        Verdict::Moves
    } else if timed_out(current, deadline, now) {
        Verdict::TimedOut
    } else {
        Verdict::Keep
    }
}

/// When to look again whether the rollout is stuck.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Recheck {
    /// Not at all.
    Never,
    /// Through the rate limiter: the deadline is less than a second off.
    RateLimited,
    /// After this time: the rest of the deadline and one second.
    After(Duration),
}

/// When to look again; asked only when a sync left the status as it was. Kubernetes: requeueStuckDeployment.
pub fn recheck(complete: bool, current: Option<Progressing<'_>>, deadline: Option<Duration>, now: Instant) -> Recheck {
    let (Some(current), Some(deadline)) = (current, deadline) else { return Recheck::Never };
    if complete || current.reason == TIMED_OUT {
        return Recheck::Never;
    }
    let rest = (current.last_update + deadline).since(now);
    if rest < Duration::from_secs(1) { Recheck::RateLimited } else { Recheck::After(rest + Duration::from_secs(1)) }
}

#[cfg(test)]
mod tests {
    //! One rollout of three pods, seen at its stages.
    use super::*;

    const DEADLINE: Option<Duration> = Some(Duration::from_secs(600));

    fn at(seconds: u64) -> Instant {
        Instant::START + Duration::from_secs(seconds)
    }

    fn numbers(replicas: i32, updated: i32, available: i32) -> StatusNumbers {
        StatusNumbers { observed_generation: 2, replicas, updated, ready: available, available, ..Default::default() }
    }

    #[test]
    fn a_rollout_moves_then_completes() {
        let updated = Some(Progressing { reason: REPLICA_SET_UPDATED, last_update: at(5) });
        let judge = |before, after| judge(&before, &after, (3, 2), updated, DEADLINE, at(10));
        assert_eq!(judge(numbers(3, 0, 3), numbers(4, 1, 3)), Verdict::Moves);
        assert_eq!(judge(numbers(4, 1, 3), numbers(4, 1, 4)), Verdict::Moves);
        assert_eq!(judge(numbers(4, 2, 3), numbers(4, 2, 3)), Verdict::Keep);
        assert_eq!(judge(numbers(4, 3, 4), numbers(3, 3, 3)), Verdict::Complete);
    }

    #[test]
    fn fewer_old_pods_are_progress_even_if_fewer_are_available() {
        assert!(numbers(3, 1, 2).moved_since(&numbers(4, 1, 3)));
        assert!(!numbers(4, 1, 2).moved_since(&numbers(4, 1, 3)));
    }

    #[test]
    fn a_rollout_that_stands_still_times_out_after_its_deadline_and_not_at_it() {
        let since = |reason| Some(Progressing { reason, last_update: at(5) });
        let stuck = since(REPLICA_SET_UPDATED);
        assert!(!timed_out(stuck, DEADLINE, at(605)));
        assert!(timed_out(stuck, DEADLINE, Instant::from_nanos(605_000_000_001)));
        assert!(!timed_out(since(NEW_REPLICA_SET_AVAILABLE), DEADLINE, at(9_999)));
        assert!(timed_out(since(TIMED_OUT), DEADLINE, at(6)));
        assert_eq!(recheck(false, stuck, DEADLINE, at(100)), Recheck::After(Duration::from_secs(506)));
        assert_eq!(recheck(false, stuck, DEADLINE, at(605)), Recheck::RateLimited);
        assert_eq!(recheck(true, stuck, DEADLINE, at(100)), Recheck::Never);
    }

    #[test]
    fn without_a_deadline_there_is_no_progressing_condition() {
        assert_eq!((deadline(None), deadline(Some(i32::MAX))), (None, None));
        let current = Some(Progressing { reason: REPLICA_SET_UPDATED, last_update: at(5) });
        let numbers = numbers(4, 1, 3);
        assert_eq!(judge(&numbers, &numbers, (3, 2), current, None, at(9_999)), Verdict::Remove);
    }

    #[test]
    fn a_status_adds_up_its_replica_sets() {
        let new = ReplicaSetNumbers { wanted: 2, replicas: 1, ready: 1, available: 0, terminating: Some(0) };
        let old = ReplicaSetNumbers { wanted: 3, replicas: 3, ready: 3, available: 3, terminating: Some(1) };
        let status = StatusNumbers::of(7, Some(new), &[old]);
        assert_eq!((status.replicas, status.updated, status.ready, status.available), (4, 1, 4, 3));
        assert_eq!((status.unavailable, status.terminating), (2, Some(1)));
        let unknown = ReplicaSetNumbers { terminating: None, ..old };
        assert_eq!(StatusNumbers::of(7, Some(new), &[unknown]).terminating, None);
    }
}
