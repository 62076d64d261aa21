//! The scheduling queue: pods to try now, pods that back off, pods for which nothing has changed since they did not fit.
//!
//! Models: kubernetes v1.36.2 pkg/scheduler/backend/queue/scheduling_queue.go: activeQ by priority, then age; backoffQ 1-10 s; unschedulable pods are
//! woken only by changes that concern a plugin that rejected them, and at the latest after five minutes. Left out: gated pods, nominations.

use std::collections::{BTreeMap, BTreeSet};

use super::framework::Plugin;
use crate::kernel::out::RecordId;
use crate::kernel::{Duration, Instant};
use crate::objects::{Key, Uid};

/// First back-off; it doubles. – Kubernetes: podInitialBackoffSeconds.
const INITIAL_BACKOFF: Duration = Duration::from_secs(1);
/// Longest back-off. – Kubernetes: podMaxBackoffSeconds.
const MAX_BACKOFF: Duration = Duration::from_secs(10);
/// After this long a pod is tried again whatever happened. – Kubernetes: DefaultPodMaxInUnschedulablePodsDuration.
pub(super) const MAX_UNSCHEDULABLE: Duration = Duration::from_secs(300);

/// A change in the cluster that may let pods fit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Wake {
    /// A node came, or changed what it offers.
    Node,
    /// A pod left its node.
    PodGone,
}

impl Wake {
    /// Whether the change could help against what `plugin` said.
    fn helps(self, plugin: Plugin) -> bool {
        match self {
            Wake::Node => true,
            Wake::PodGone => matches!(plugin, Plugin::NodeResourcesFit | Plugin::NodePorts),
        }
    }
}

/// A pod that waits.
#[derive(Clone, Debug)]
pub(super) struct Waiting {
    pub(super) key: Key,
    pub(super) priority: i32,
    /// When it first came: its place among pods of its priority.
    pub(super) since: Instant,
    /// How often it was tried.
    pub(super) attempts: u32,
    /// What put it into the active queue.
    pub(super) cause: RecordId,
    /// When it was last tried.
    tried: Instant,
    rejected_by: Vec<Plugin>,
}

/// The pods that wait for a node.
#[derive(Clone, Debug, Default)]
pub(super) struct SchedulingQueue {
    pods: BTreeMap<Uid, Waiting>,
    /// By priority (highest first) and age.
    active: BTreeSet<(i64, Instant, Uid)>,
    /// By the end of the back-off.
    backoff: BTreeSet<(Instant, Uid)>,
    unschedulable: BTreeSet<Uid>,
}

impl SchedulingQueue {
    /// A pod without a node appears.
    pub(super) fn add(&mut self, uid: Uid, key: Key, priority: i32, cause: RecordId, now: Instant) {
        let fresh =
            Waiting { key, priority, since: now, attempts: 0, cause, tried: Instant::START, rejected_by: Vec::new() };
        self.pods.entry(uid).or_insert(fresh);
        if !self.unschedulable.contains(&uid) {
            self.activate(uid);
        }
    }

    /// The pod has a node, or is gone.
    pub(super) fn remove(&mut self, uid: Uid) {
        if let Some(pod) = self.pods.remove(&uid) {
            self.active.remove(&rank(uid, &pod));
            self.backoff.retain(|(_, other)| *other != uid);
            self.unschedulable.remove(&uid);
        }
    }

    /// The key of a pod that waits.
    pub(super) fn key(&self, uid: Uid) -> Option<&Key> {
        self.pods.get(&uid).map(|pod| &pod.key)
    }

    /// The next pod to try; it stays known until it is removed or comes back.
    pub(super) fn pop(&mut self) -> Option<(Uid, Waiting)> {
        let (_, _, uid) = self.active.pop_first()?;
        let pod = self.pods.get_mut(&uid)?;
        pod.attempts += 1;
        Some((uid, pod.clone()))
    }

    /// The pod did not fit because of `plugins`.
    pub(super) fn rejected(&mut self, uid: Uid, plugins: Vec<Plugin>, now: Instant) {
        if let Some(pod) = self.pods.get_mut(&uid) {
            pod.rejected_by = plugins;
            pod.tried = now;
            self.unschedulable.insert(uid);
        }
    }

    /// Binding failed, or something else that has nothing to do with the nodes.
    pub(super) fn failed(&mut self, uid: Uid, now: Instant) {
        if let Some(pod) = self.pods.get_mut(&uid) {
            pod.tried = now;
            let until = now + backoff(pod.attempts);
            self.backoff.insert((until, uid));
        }
    }

    /// Wakes the pods that `change` could help.
    pub(super) fn wake(&mut self, change: Wake, cause: RecordId, now: Instant) {
        if self.unschedulable.is_empty() {
            return;
        }
        let helped = |uid: &Uid| {
            self.pods.get(uid).is_some_and(|pod| pod.rejected_by.iter().any(|plugin| change.helps(*plugin)))
        };
        let woken: Vec<Uid> = self.unschedulable.iter().copied().filter(helped).collect();
        for uid in woken {
            self.move_on(uid, cause, now);
        }
    }

    /// Wakes one pod: it has changed itself.
    pub(super) fn changed(&mut self, uid: Uid, cause: RecordId, now: Instant) {
        if self.unschedulable.contains(&uid) {
            self.move_on(uid, cause, now);
        }
    }

    /// Wakes pods whose back-off is over, or that have waited too long. Returns when to look again.
    pub(super) fn flush(&mut self, now: Instant) {
        while let Some((until, uid)) = self.backoff.first().copied() {
            if until > now {
                break;
            }
            self.backoff.remove(&(until, uid));
            self.activate(uid);
        }
        let overdue = |uid: &Uid| self.pods.get(uid).is_some_and(|pod| now.since(pod.tried) > MAX_UNSCHEDULABLE);
        let overdue: Vec<Uid> = self.unschedulable.iter().copied().filter(overdue).collect();
        for uid in overdue {
            self.move_on(uid, RecordId(0), now);
        }
    }

    /// The instant at which [`SchedulingQueue::flush`] may find something.
    pub(super) fn next_flush(&self) -> Option<Instant> {
        let backoff = self.backoff.first().map(|(until, _)| *until);
        let first = self.unschedulable.iter().filter_map(|uid| self.pods.get(uid)).map(|pod| pod.tried).min();
        let overdue = first.map(|tried| tried + MAX_UNSCHEDULABLE + Duration::from_nanos(1));
        [backoff, overdue].into_iter().flatten().min()
    }

    fn move_on(&mut self, uid: Uid, cause: RecordId, now: Instant) {
        self.unschedulable.remove(&uid);
        let Some(pod) = self.pods.get_mut(&uid) else { return };
        if cause != RecordId(0) {
            pod.cause = cause;
        }
        let until = pod.tried + backoff(pod.attempts);
        if until <= now {
            self.activate(uid);
        } else {
            self.backoff.insert((until, uid));
        }
    }

    fn activate(&mut self, uid: Uid) {
        if let Some(pod) = self.pods.get(&uid) {
            self.active.insert(rank(uid, pod));
        }
    }
}

fn rank(uid: Uid, pod: &Waiting) -> (i64, Instant, Uid) {
    (-i64::from(pod.priority), pod.since, uid)
}

fn backoff(attempts: u32) -> Duration {
    INITIAL_BACKOFF.times(1 << attempts.saturating_sub(1).min(10)).min(MAX_BACKOFF)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue_with(pods: &[(u128, i32)]) -> SchedulingQueue {
        let mut queue = SchedulingQueue::default();
        for (n, (uid, priority)) in pods.iter().enumerate() {
            let now = Instant::from_nanos(n as u64);
            queue.add(Uid(*uid), Key::new("a", "pod"), *priority, RecordId(1), now);
        }
        queue
    }

    #[test]
    fn priority_goes_before_age() {
        let mut queue = queue_with(&[(1, 0), (2, 5), (3, 0)]);
        let order: Vec<u128> = std::iter::from_fn(|| queue.pop()).map(|(uid, _)| uid.0).collect();
        assert_eq!(order, [2, 1, 3]);
    }

    #[test]
    fn only_a_change_that_could_help_wakes_a_pod_and_back_off_holds_it() {
        let mut queue = queue_with(&[(1, 0)]);
        let at = |s| Instant::START + Duration::from_secs(s);
        queue.pop();
        queue.rejected(Uid(1), vec![Plugin::NodeAffinity], at(0));
        queue.wake(Wake::PodGone, RecordId(2), at(5));
        assert!(queue.pop().is_none());
        queue.wake(Wake::Node, RecordId(3), at(0));
        assert!(queue.pop().is_none(), "it backs off for a second");
        assert_eq!(queue.next_flush(), Some(at(1)));
        queue.flush(at(1));
        assert_eq!(queue.pop().map(|(_, pod)| pod.cause), Some(RecordId(3)));
    }

    #[test]
    fn a_forgotten_pod_is_tried_after_five_minutes() {
        let mut queue = queue_with(&[(1, 0)]);
        queue.pop();
        queue.rejected(Uid(1), vec![Plugin::NodeResourcesFit], Instant::START);
        let due = queue.next_flush().expect("it waits");
        queue.flush(due);
        assert!(queue.pop().is_some());
    }
}
