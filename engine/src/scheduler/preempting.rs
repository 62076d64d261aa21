//! Pushing out: the victims of a preemption are told and deleted, the last one last, while the pod it is for is held back.
//!
//! Models: kubernetes v1.36.2 pkg/scheduler/framework/preemption/executor.go (prepareCandidateAsync, IsPodRunningPreemption)
//! with the gate SchedulerAsyncPreemption on.

use std::sync::Arc;

use super::cache::pod_info::{DISRUPTION_TARGET, PREEMPTED, PodInfo};
use super::{Scheduler, object_of};
use crate::apiserver::request::{Answer, DeleteOptions, Patch, Subresource};
use crate::apiserver::status::Status;
use crate::client::connection::Call;
use crate::event::Effects;
use crate::kernel::{Duration, Instant};
use crate::objects::event::EventType;
use crate::objects::{Condition, Kind, Name, Object, Uid};

/// A preemption under way.
#[derive(Clone, Debug)]
pub(super) struct Preempting {
    pod: Arc<PodInfo>,
    node: Name,
    /// Victims that are being dealt with.
    busy: usize,
    /// The one that is dealt with when the others are done.
    last: Option<Arc<PodInfo>>,
    failed: bool,
}

/// A request for a preemption.
#[derive(Clone, Debug)]
pub(super) struct Errand {
    preemptor: Uid,
    victim: Arc<PodInfo>,
    object: Arc<Object>,
    step: Step,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Step {
    Tell,
    Delete,
}

impl Scheduler {
    /// Pushes `victims` out of `node` for `pod`.
    pub(super) fn preempt(&mut self, pod: &Arc<PodInfo>, node: Name, victims: Vec<Arc<PodInfo>>, out: &mut Effects) {
        // Those that are on their way out already need no telling.
        let mut victims: Vec<_> = victims.into_iter().filter(|victim| !victim.deleting).collect();
        let Some(last) = victims.pop() else { return };
        self.withdraw_lower(pod, &node, out);
        self.queue.set_preempting(pod.uid, true);
        let preempting = Preempting { pod: pod.clone(), node, busy: 0, last: Some(last), failed: false };
        self.preempting.insert(pod.uid, preempting);
        for victim in victims {
            self.tell(pod.uid, victim, out);
        }
        self.go_on(pod.uid, out);
    }

    /// Pods of lower priority may not fit on the node any more: they lose the promise of it.
    fn withdraw_lower(&mut self, pod: &PodInfo, node: &Name, out: &mut Effects) {
        let lower = |other: &&Arc<PodInfo>| other.priority() < pod.priority();
        let lower: Vec<_> = self.cache.nominated(node).iter().filter(lower).cloned().collect();
        for other in lower.into_iter().filter(|other| other.nominated.is_some()) {
            let patch = Patch::PodCondition { uid: other.uid, condition: None, nominated: Some(None) };
            let call = Call::patch(Kind::Pod, other.key.clone(), patch).of(Subresource::Status);
            self.connection.send(self.agent(), call, Duration::ZERO, out);
        }
    }

    /// Marks a victim as one.
    fn tell(&mut self, preemptor: Uid, victim: Arc<PodInfo>, out: &mut Effects) {
        let Some(object) = object_of(&self.informers.pods, &victim) else { return };
        let Some(preempting) = self.preempting.get_mut(&preemptor) else { return };
        let Object::Pod(pod) = &*object else { return };
        preempting.busy += 1;
        let by = &preempting.pod.terms().scheduler;
        let message = format!("{by}: preempting to accommodate a higher priority pod");
        let now = Instant::from_nanos(out.wall().as_nanos() / 1_000_000_000 * 1_000_000_000);
        let mut condition = Condition::new(DISRUPTION_TARGET, true, now).because(PREEMPTED, message);
        condition.observed_generation = pod.meta.generation;
        let patch = Patch::PodCondition { uid: victim.uid, condition: Some(Box::new(condition)), nominated: None };
        let call = Call::patch(Kind::Pod, victim.key.clone(), patch).of(Subresource::Status);
        let number = self.connection.send(self.agent(), call, Duration::ZERO, out);
        self.errands.insert(number, Errand { preemptor, victim, object, step: Step::Tell });
    }

    /// A request was answered. A victim that is gone is no error.
    pub(super) fn errand_done(&mut self, errand: Errand, result: Result<Answer, Status>, out: &mut Effects) {
        let Errand { preemptor, victim, object, step } = errand;
        let gone = result.as_ref().is_err_and(Status::is_not_found);
        if result.is_ok() && step == Step::Tell {
            let call = Call::delete(Kind::Pod, victim.key.clone(), DeleteOptions::default());
            let number = self.connection.send(self.agent(), call, Duration::ZERO, out);
            self.errands.insert(number, Errand { preemptor, victim, object, step: Step::Delete });
            return;
        }
        if result.is_ok()
            && let Some(preempting) = self.preempting.get(&preemptor)
        {
            let message = format!("Preempted by pod {preemptor} on node {}", preempting.node).into();
            let (agent, kind) = (self.agent(), EventType::Normal);
            self.recorder.speak_for(&preempting.pod.terms().scheduler, &self.host);
            self.recorder.record_action(agent, object.reference(), kind, "Preempted", "Preempting", message, out);
        }
        if let Some(preempting) = self.preempting.get_mut(&preemptor) {
            preempting.busy -= 1;
            preempting.failed |= result.is_err() && !gone;
        }
        self.go_on(preemptor, out);
        if self.preempting.get(&preemptor).is_some_and(|p| p.busy == 0 && p.last.is_none()) {
            self.preemption_done(preemptor, out);
        }
    }

    /// When the other victims are dealt with, so is the last. Its deletion is all that is missing then: whoever waits for
    /// it may be woken by it.
    fn go_on(&mut self, preemptor: Uid, out: &mut Effects) {
        let Some(preempting) = self.preempting.get_mut(&preemptor).filter(|preempting| preempting.busy == 0) else {
            return;
        };
        let failed = preempting.failed;
        if let Some(last) = preempting.last.take().filter(|_| !failed) {
            self.tell(preemptor, last, out);
        }
    }

    fn preemption_done(&mut self, preemptor: Uid, out: &mut Effects) {
        let Some(preempting) = self.preempting.remove(&preemptor) else { return };
        self.queue.set_preempting(preemptor, false);
        if preempting.failed {
            let (queue, around) = self.queue(out);
            queue.force(preemptor, around);
        }
    }
}
