//! What the scheduler keeps of a pod, on a node or waiting for one.
//!
//! Models: kubernetes v1.36.2 pkg/scheduler/framework/types.go (PodInfo), pkg/scheduler/util/utils.go (GetPodStartTime,
//! MoreImportantPod).

use std::sync::Arc;

use crate::kernel::Instant;
use crate::objects::condition::Condition;
use crate::objects::labels::Labels;
use crate::objects::meta::{Key, Name, Uid};
use crate::objects::pod::{Pod, PodSpec};
use crate::objects::pod_terms::PodTerms;

/// A pod as the scheduler sees it; shared, never changed.
#[derive(Clone, PartialEq, Debug)]
pub struct PodInfo {
    /// Its uid.
    pub uid: Uid,
    /// Namespace and name.
    pub key: Key,
    /// Labels.
    pub labels: Arc<Labels>,
    /// The spec, with its terms compiled.
    pub spec: Arc<PodSpec>,
    /// Whether it is being deleted.
    pub deleting: bool,
    /// Whether the scheduler itself pushes it out.
    pub preempted: bool,
    /// When the kubelet acknowledged it; `None` before that.
    pub started: Option<Instant>,
    /// Kind and name of the controller that owns it.
    pub controller: Option<(Name, Name)>,
    /// The node it was promised.
    pub nominated: Option<Name>,
}

/// Condition of a pod that is pushed out, and its reason.
pub const DISRUPTION_TARGET: &str = "DisruptionTarget";
/// See [`DISRUPTION_TARGET`].
pub const PREEMPTED: &str = "PreemptionByScheduler";

impl PodInfo {
    /// What is kept of a pod.
    pub fn of(pod: &Pod) -> Arc<PodInfo> {
        let target = pod.condition(DISRUPTION_TARGET);
        let owner = pod.meta.controller();
        Arc::new(PodInfo {
            uid: pod.meta.uid,
            key: pod.meta.key(),
            labels: pod.meta.labels.clone(),
            spec: pod.spec.clone(),
            deleting: pod.meta.deleting(),
            preempted: target.is_some_and(|target: &Condition| target.holds() && *target.reason == *PREEMPTED),
            started: pod.status.start_time,
            controller: owner.map(|owner| (owner.kind.clone(), owner.name.clone())),
            nominated: pod.status.nominated.clone().filter(|node| !node.is_empty()),
        })
    }

    /// A pod of this spec and these labels with nothing else; for tests and measurements.
    pub fn plain(namespace: &str, name: &str, uid: u128, labels: Labels, spec: Arc<PodSpec>) -> PodInfo {
        PodInfo {
            uid: Uid(uid),
            key: Key::new(namespace, name),
            labels: Arc::new(labels),
            spec,
            deleting: false,
            preempted: false,
            started: None,
            controller: None,
            nominated: None,
        }
    }

    /// Its terms.
    pub fn terms(&self) -> &PodTerms {
        &self.spec.terms
    }

    /// Its namespace.
    pub fn namespace(&self) -> &Name {
        &self.key.namespace
    }

    /// Its priority.
    pub fn priority(&self) -> i32 {
        self.spec.terms.priority
    }

    /// When it started; a pod that has not started counts as starting now, after all others.
    pub fn start(&self) -> Instant {
        self.started.unwrap_or(Instant::NEVER)
    }

    /// Sorts the more important pod first: higher priority, then the earlier start.
    pub fn by_importance(a: &PodInfo, b: &PodInfo) -> std::cmp::Ordering {
        b.priority().cmp(&a.priority()).then(a.start().cmp(&b.start()))
    }

    /// Whether for everybody but the owner and the promise the two are the same.
    pub fn counts_like(&self, other: &PodInfo) -> bool {
        self.deleting == other.deleting
            && self.preempted == other.preempted
            && self.started == other.started
            && crate::objects::pod::same(&self.labels, &other.labels)
            && crate::objects::pod::same(&self.spec, &other.spec)
    }
}
