//! What a deployment's status says: numbers, Available, Progressing, ReplicaFailure.
//!
//! Models: kubernetes v1.36.2 pkg/controller/deployment/{sync,progress}.go (calculateStatus, syncDeploymentStatus, syncRolloutStatus,
//! getReplicaFailures, requeueStuckDeployment) and util/deployment_util.go (conditions).

use super::progress::{self, Progressing, Recheck, ReplicaSetNumbers, StatusNumbers, Verdict};
use super::sync::{Set, Syncing};
use super::whole_seconds;
use crate::client::routine::{Effect, Routine, Step};
use crate::kernel::Instant;
use crate::objects::workload::DeploymentStatus;
use crate::objects::{Condition, ConditionStatus, condition};

const AVAILABLE: &str = "Available";
const PROGRESSING: &str = "Progressing";
const REPLICA_FAILURE: &str = "ReplicaFailure";

impl Syncing<'_> {
    /// Reports without judging progress. Kubernetes: syncDeploymentStatus.
    pub(super) fn sync_status(&mut self, new: Option<&Set>, old: &[Set], routine: &mut Routine<'_>) -> Step<()> {
        let status = self.status(new, old, routine.now());
        if status == self.deployment.status {
            return Ok(());
        }
        self.deployment.status = status;
        self.update_status(routine)??;
        Ok(())
    }

    /// Reports, and says whether the rollout moves, has ended or is stuck. Kubernetes: syncRolloutStatus.
    pub(super) fn sync_rollout(&mut self, new: Option<&Set>, old: &[Set], routine: &mut Routine<'_>) -> Step<()> {
        let now = routine.now();
        let mut status = self.status(new, old, now);
        let deadline = progress::deadline(Some(self.deployment.spec.progress_deadline_seconds));
        let wanted = (self.deployment.spec.replicas, self.deployment.meta.generation);
        let current = self.deployment.condition(PROGRESSING).cloned();
        let verdict = progress::judge(
            &numbers(&self.deployment.status),
            &numbers(&status),
            wanted,
            current.as_ref().map(progressing),
            deadline,
            now,
        );
        let name = match new {
            Some(new) => format!("ReplicaSet {:?}", &*new.meta.name),
            None => format!("Deployment {:?}", &*self.deployment.meta.name),
        };
        let conditions = &mut status.conditions;
        match verdict {
            Verdict::Keep => {}
            Verdict::Remove => remove(conditions, PROGRESSING),
            Verdict::Complete => {
                let message = format!("{name} has successfully progressed.");
                set(conditions, made(PROGRESSING, true, progress::NEW_REPLICA_SET_AVAILABLE, message, now));
            }
            Verdict::Moves => {
                let message = format!("{name} is progressing.");
                let mut moves = made(PROGRESSING, true, progress::REPLICA_SET_UPDATED, message, now);
                if let Some(current) = current.as_ref().filter(|current| current.holds()) {
                    moves.transition = current.transition;
                }
                remove(conditions, PROGRESSING);
                set(conditions, moves);
            }
            Verdict::TimedOut => {
                let message = format!("{name} has timed out progressing.");
                set(conditions, made(PROGRESSING, false, progress::TIMED_OUT, message, now));
            }
        }
        match replica_failure(new, old) {
            Some(failure) => set(conditions, failure),
            None => remove(conditions, REPLICA_FAILURE),
        }
        if status != self.deployment.status {
            self.deployment.status = status;
            self.update_status(routine)??;
            return Ok(());
        }
        let complete = numbers(&status).complete(wanted.0, wanted.1);
        match progress::recheck(complete, current.as_ref().map(progressing), deadline, now) {
            Recheck::Never => {}
            Recheck::RateLimited => routine.ask(|| Effect::RequeueRateLimited),
            Recheck::After(delay) => routine.ask(|| Effect::RequeueAfter(delay)),
        }
        Ok(())
    }

    /// Whether the last status said that all is done. Kubernetes: DeploymentComplete.
    pub(super) fn complete(&self) -> bool {
        let Self { deployment, .. } = self;
        numbers(&deployment.status).complete(deployment.spec.replicas, deployment.meta.generation)
    }

    /// Sets a condition of the deployment's status, unless it says the same already.
    pub(super) fn set_condition(
        &mut self,
        kind: &'static str,
        status: impl Into<ConditionStatus>,
        reason: &'static str,
        message: String,
        now: Instant,
    ) {
        set(&mut self.deployment.status.conditions, made(kind, status, reason, message, now));
    }

    /// Kubernetes: calculateStatus.
    fn status(&self, new: Option<&Set>, old: &[Set], now: Instant) -> DeploymentStatus {
        let deployment = &self.deployment;
        let old: Vec<ReplicaSetNumbers> = old.iter().map(set_numbers).collect();
        let numbers = StatusNumbers::of(deployment.meta.generation, new.map(set_numbers), &old);
        let mut conditions = deployment.status.conditions.clone();
        let least = deployment.spec.replicas.wrapping_sub(self.size().max_unavailable());
        let (reason, message) = if numbers.available >= least {
            ("MinimumReplicasAvailable", "Deployment has minimum availability.")
        } else {
            ("MinimumReplicasUnavailable", "Deployment does not have minimum availability.")
        };
        set(&mut conditions, made(AVAILABLE, numbers.available >= least, reason, message.to_owned(), now));
        DeploymentStatus {
            observed_generation: numbers.observed_generation,
            replicas: numbers.replicas,
            updated: numbers.updated,
            ready: numbers.ready,
            available: numbers.available,
            unavailable: numbers.unavailable,
            terminating: numbers.terminating,
            conditions,
            collision_count: deployment.status.collision_count,
        }
    }
}

fn set_numbers(set: &Set) -> ReplicaSetNumbers {
    let status = &set.status;
    // A set that its controller has not seen yet has no terminating pods.
    let unseen = (status.observed_generation == 0).then_some(0);
    ReplicaSetNumbers {
        wanted: set.spec.replicas,
        replicas: status.replicas,
        ready: status.ready,
        available: status.available,
        terminating: status.terminating.or(unseen),
    }
}

fn numbers(status: &DeploymentStatus) -> StatusNumbers {
    StatusNumbers {
        observed_generation: status.observed_generation,
        replicas: status.replicas,
        updated: status.updated,
        ready: status.ready,
        available: status.available,
        unavailable: status.unavailable,
        terminating: status.terminating,
    }
}

fn progressing(condition: &Condition) -> Progressing<'_> {
    Progressing { reason: &condition.reason, last_update: condition.update }
}

fn made(
    kind: &'static str,
    status: impl Into<ConditionStatus>,
    reason: &'static str,
    message: String,
    now: Instant,
) -> Condition {
    Condition::new(kind, status, whole_seconds(now)).because(reason, message)
}

/// Kubernetes: SetDeploymentCondition.
fn set(conditions: &mut Vec<Condition>, mut condition: Condition) {
    if let Some(current) = condition::find(conditions, &condition.kind)
        && current.status == condition.status
    {
        if current.reason == condition.reason {
            return;
        }
        condition.transition = current.transition;
    }
    conditions.retain(|other| other.kind != condition.kind);
    conditions.push(condition);
}

fn remove(conditions: &mut Vec<Condition>, kind: &str) {
    conditions.retain(|condition| &*condition.kind != kind);
}

/// The failure of the new replica set, or else of an old one. Kubernetes: getReplicaFailures.
fn replica_failure(new: Option<&Set>, old: &[Set]) -> Option<Condition> {
    let mut sets = new.into_iter().chain(old);
    let failure = sets.find_map(|set| condition::find(&set.status.conditions, REPLICA_FAILURE))?;
    Some(Condition { update: failure.transition, observed_generation: 0, ..failure.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_keeps_its_transition_while_its_status_stays() {
        let at = |seconds: u64| Instant::from_nanos(seconds * 1_000_000_000);
        let mut conditions = Vec::new();
        set(&mut conditions, made(AVAILABLE, true, "A", "one".into(), at(1)));
        set(&mut conditions, made(PROGRESSING, true, "B", "two".into(), at(2)));
        set(&mut conditions, made(PROGRESSING, true, "C", "three".into(), at(3)));
        set(&mut conditions, made(AVAILABLE, true, "A", "ignored".into(), at(4)));
        assert_eq!(conditions.len(), 2);
        assert_eq!((conditions[1].transition, conditions[1].update, &*conditions[1].reason), (at(2), at(3), "C"));
        assert_eq!((conditions[0].update, &*conditions[0].message), (at(1), "one"));
        set(&mut conditions, made(AVAILABLE, false, "A", "five".into(), at(5)));
        assert_eq!((&*conditions[1].kind, conditions[1].transition), (AVAILABLE, at(5)));
    }
}
