//! The limits of a rollout.
//!
//! Upstream keeps them by what the controller knows (pkg/controller/deployment/rolling.go), that is, by its caches:
//! - surge: it raises a replica set only as far as the sum of `spec.replicas` of all the Deployment's sets stays within `replicas` + `maxSurge`.
//!   Pods of a set that was lowered may still be there; so pods are not what is bounded.
//! - unavailability: it lowers an old set only as far as `minAvailable` pods stay available by the sets' status, or takes pods that are not
//!   available anyhow. Pods that fail by themselves, or are deleted or evicted, are nobody's promise.
//! - a replica set creates pods only up to its `spec.replicas`, which expectations guard against its own stale cache.
//!
//! Always, while nothing has been wrong for a while: a write that raises or lowers a set keeps the first two, a pod that is created keeps the third. Caches are
//! given two seconds to hear of the newest version. With faults in force a leader that was replaced may still write (no write is
//! fenced by a lease), so nothing is checked then.

use std::collections::{BTreeMap, VecDeque};

use wavetank_engine::kernel::Instant;
use wavetank_engine::objects::workload::{IntOrPercent, Strategy};
use wavetank_engine::objects::{Deployment, Kind, Object, ReplicaSet, Uid};

use super::{Around, Broken, Held, Stored};

/// What caches may not have heard of yet. [s]
const LAG: u64 = 2;
/// After a fault, until limits are checked again. [s]
const RECOVERY: u64 = 60;

/// Values of late: each with the instant until which it was the present one.
#[derive(Default)]
struct Recent {
    past: VecDeque<(Instant, i64)>,
    present: i64,
}

impl Recent {
    fn set(&mut self, value: i64, now: Instant) {
        if value != self.present {
            self.past.push_back((now, self.present));
            self.present = value;
        }
    }

    /// The largest within [`LAG`].
    fn most(&mut self, now: Instant) -> i64 {
        while self.past.front().is_some_and(|(until, _)| now.since(*until).as_nanos() > LAG * 1_000_000_000) {
            self.past.pop_front();
        }
        self.past.iter().map(|(_, value)| *value).fold(self.present, i64::max)
    }

    /// The smallest within [`LAG`].
    fn least(&self, now: Instant) -> i64 {
        let late = self.past.iter().filter(|(until, _)| now.since(*until).as_nanos() <= LAG * 1_000_000_000);
        late.map(|(_, value)| *value).fold(self.present, i64::min)
    }

    /// Whether it has been the same for so long.
    fn steady(&self, now: Instant) -> bool {
        self.past.back().is_none_or(|(until, _)| now.since(*until).as_nanos() > LAG * 1_000_000_000)
    }
}

#[derive(Default)]
pub(super) struct Rollouts {
    /// Of each Deployment: how many pods its sets may want.
    bounds: BTreeMap<Uid, Recent>,
    /// Of each replica set: how many are wanted.
    wanted: BTreeMap<Uid, Recent>,
    /// Of each replica set: how many are available.
    available: BTreeMap<Uid, Recent>,
    /// How often something was checked.
    pub(super) checked: u64,
}

impl Rollouts {
    /// Before the objects are as the change has them.
    pub(super) fn before(&mut self, change: &Stored<'_>, around: &Around<'_>) -> Held {
        let (Some(now), Some(before)) = (set(change.now), set(change.before)) else { return Ok(()) };
        if now.spec.replicas >= before.spec.replicas || !around.calm_for(RECOVERY) || now.meta.deleting() {
            return Ok(());
        }
        let Some(deployment) = owner(now, around) else { return Ok(()) };
        let Strategy::RollingUpdate { max_unavailable, max_surge } = &deployment.spec.strategy else { return Ok(()) };
        if !self.bounds.get(&deployment.meta.uid).is_some_and(|bound| bound.steady(around.now)) {
            return Ok(());
        }
        let (replicas, observed) = (deployment.spec.replicas, deployment.status.observed_generation);
        if observed != deployment.meta.generation {
            return Ok(());
        }
        // What is not available is taken first, however few are left (cleanupUnhealthyReplicas).
        let healthy = self.available.get(&now.meta.uid).map_or(0, |recent| recent.least(around.now));
        if i64::from(now.spec.replicas) >= healthy {
            return Ok(());
        }
        let least = i64::from(replicas - unavailable(max_unavailable, max_surge, replicas));
        let (mut had, mut has) = (0, 0);
        for other in around.objects.owned_by(deployment.meta.uid).filter_map(|object| object.as_replica_set()) {
            let healthy = self.available.get_mut(&other.meta.uid).map_or(0, |recent| recent.most(around.now));
            let wanted = i64::from(other.spec.replicas);
            had += healthy.min(wanted);
            let after = if other.meta.uid == now.meta.uid { i64::from(now.spec.replicas) } else { wanted };
            has += healthy.min(after);
        }
        self.checked += 1;
        if has < least.min(had) {
            let text = format!(
                "{} goes from {} to {}: {has} available pods of {had} are left, and {least} must be",
                now.meta.name, before.spec.replicas, now.spec.replicas
            );
            return Err(Broken::new("a rollout keeps maxUnavailable", deployment.meta.key(), text));
        }
        Ok(())
    }

    /// When they are.
    pub(super) fn after(&mut self, change: &Stored<'_>, around: &Around<'_>) -> Held {
        match change.now.map(|object| &**object) {
            Some(Object::Deployment(deployment)) => {
                self.bounds.entry(deployment.meta.uid).or_default().set(bound(deployment), around.now);
            }
            Some(Object::ReplicaSet(set)) => {
                self.wanted.entry(set.meta.uid).or_default().set(set.spec.replicas.into(), around.now);
                self.available.entry(set.meta.uid).or_default().set(set.status.available.into(), around.now);
                let before =
                    change.before.and_then(|object| object.as_replica_set()).map_or(0, |set| set.spec.replicas);
                if set.spec.replicas > before {
                    return self.surge(set, around);
                }
            }
            Some(Object::Pod(pod)) if change.before.is_none() => {
                let Some(owner) = pod.meta.controller().filter(|owner| &*owner.kind == "ReplicaSet") else {
                    return Ok(());
                };
                let Some(wanted) = self.wanted.get_mut(&owner.uid).filter(|_| around.calm_for(RECOVERY)) else {
                    return Ok(());
                };
                let (pods, most) = (active(owner.uid, around), wanted.most(around.now));
                self.checked += 1;
                if pods > most {
                    let text = format!("with {} it has {pods} active pods and wants {most}", pod.meta.name);
                    return Err(Broken::new("a replica set makes no pods too many", &owner.name, text));
                }
            }
            _ => {}
        }
        if change.now.is_none()
            && let Some(before) = change.before
        {
            let uid = before.meta().uid;
            self.bounds.remove(&uid);
            self.wanted.remove(&uid);
            self.available.remove(&uid);
        }
        Ok(())
    }

    fn surge(&mut self, set: &ReplicaSet, around: &Around<'_>) -> Held {
        if !around.calm_for(RECOVERY) {
            return Ok(());
        }
        let Some(deployment) = owner(set, around) else { return Ok(()) };
        let Some(bound) = self.bounds.get_mut(&deployment.meta.uid) else { return Ok(()) };
        let most = bound.most(around.now);
        let sets = around.objects.owned_by(deployment.meta.uid).filter_map(|object| object.as_replica_set());
        let sum: i64 = sets.map(|set| i64::from(set.spec.replicas)).sum();
        self.checked += 1;
        if sum > most {
            let text = format!(
                "{} is raised to {}: its sets want {sum} pods, {most} are allowed",
                set.meta.name, set.spec.replicas
            );
            return Err(Broken::new("a rollout keeps maxSurge", deployment.meta.key(), text));
        }
        Ok(())
    }
}

fn active(owner: Uid, around: &Around<'_>) -> i64 {
    let pods = around.objects.owned_by(owner).filter_map(|object| object.as_pod());
    pods.filter(|pod| pod.active()).count() as i64
}

fn set(object: Option<&std::sync::Arc<Object>>) -> Option<&ReplicaSet> {
    object.and_then(|object| object.as_replica_set())
}

fn owner<'a>(set: &ReplicaSet, around: &Around<'a>) -> Option<&'a Deployment> {
    let owner = set.meta.controller()?;
    let key = wavetank_engine::objects::Key { namespace: set.meta.namespace.clone(), name: owner.name.clone() };
    let deployment = around.objects.get(Kind::Deployment, &key)?.as_deployment()?;
    (deployment.meta.uid == owner.uid).then_some(deployment)
}

/// How many pods the sets of a Deployment may want at most.
fn bound(deployment: &Deployment) -> i64 {
    let replicas = deployment.spec.replicas;
    let surge = match &deployment.spec.strategy {
        Strategy::RollingUpdate { max_surge, .. } if replicas > 0 => resolve(max_surge, replicas, true),
        _ => 0,
    };
    i64::from(replicas) + i64::from(surge)
}

/// Upstream: deploymentutil.ResolveFenceposts; both zero are one unavailable.
fn unavailable(unavailable: &IntOrPercent, surge: &IntOrPercent, replicas: i32) -> i32 {
    let (unavailable, surge) = (resolve(unavailable, replicas, false), resolve(surge, replicas, true));
    if unavailable == 0 && surge == 0 { 1 } else { unavailable.min(replicas) }
}

fn resolve(value: &IntOrPercent, of: i32, up: bool) -> i32 {
    match value {
        IntOrPercent::Int(number) => *number,
        IntOrPercent::Percent(text) => {
            let percent: i32 = text.trim_end_matches('%').parse().unwrap_or(0);
            (percent * of + if up { 99 } else { 0 }) / 100
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_rounded_as_upstream_does() {
        let percent = |text: &str| IntOrPercent::Percent(text.into());
        assert_eq!((resolve(&percent("25%"), 5, true), resolve(&percent("25%"), 5, false)), (2, 1));
        assert_eq!(unavailable(&percent("25%"), &IntOrPercent::Int(0), 3), 1);
        assert_eq!(unavailable(&IntOrPercent::Int(5), &IntOrPercent::Int(1), 3), 3);
    }

    #[test]
    fn what_was_true_of_late_counts() {
        let at = |s: u64| Instant::from_nanos(s * 1_000_000_000);
        let mut recent = Recent::default();
        recent.set(8, at(1));
        recent.set(3, at(10));
        assert_eq!((recent.most(at(11)), recent.steady(at(11))), (8, false));
        assert_eq!((recent.most(at(13)), recent.steady(at(13))), (3, true));
        recent.set(5, at(14));
        assert_eq!((recent.least(at(15)), recent.least(at(17))), (3, 5));
    }
}
