//! A scheduling cycle in time: a pod is taken, its node is chosen, and after as long as that takes the choice takes effect.
//!
//! The choice is made from the cache as it is when the cycle begins, upstream's snapshot; what happens until it takes
//! effect is not in it.
//!
//! Models: kubernetes v1.36.2 pkg/scheduler/schedule_one.go (ScheduleOne, schedulingCycle, assume, bindingCycle,
//! handleSchedulingFailure).

use std::sync::Arc;

use super::cache::pod_info::PodInfo;
use super::diagnosis::{self, fit_error};
use super::explain::{Explanation, Woken};
use super::framework::{Cycle, Decision, Profile};
use super::plugins::{PodVolumes, volumes_on};
use super::preemption::{PostFilter, post_filter};
use super::{Scheduler, SchedulerEvent, object_of};
use crate::apiserver::request::{Answer, Patch, Subresource};
use crate::apiserver::status::Status;
use crate::client::connection::Call;
use crate::custom::{Told, Word};
use crate::event::{Effects, Event};
use crate::kernel::out::RecordId;
use crate::kernel::{Duration, Instant};
use crate::objects::event::EventType;
use crate::objects::{Condition, Kind, Name, Object, Pod, Uid};
use crate::setup::Setup;
use crate::trace::note::Scheduling;
use crate::trace::{Note, TraceLevel, What};

/// A cycle under way, whose outcome is known but has not taken effect.
#[derive(Clone, Debug)]
pub(super) struct Running {
    pod: Arc<PodInfo>,
    decision: Decision,
    post_filter: Option<PostFilter>,
    /// The names of the node and of that of a preemption: indexes may change meanwhile.
    node: Option<Name>,
    promised: Option<Name>,
    explanation: Option<Arc<Explanation>>,
    /// What its claims get on the node.
    volumes: PodVolumes,
}

/// A binding under way.
#[derive(Clone, Debug)]
pub(super) struct Binding {
    pub(super) pod: Arc<PodInfo>,
    pub(super) object: Arc<Object>,
    pub(super) node: Name,
    pub(super) cause: RecordId,
}

impl Scheduler {
    /// Takes the next pod, if no cycle is under way.
    pub(super) fn begin_cycle(&mut self, setup: &Setup, out: &mut Effects) {
        while self.running.is_none() && self.leader.leading() && self.synced() {
            let Some(waiting) = self.queue.pop() else { return };
            let (pod, uid) = (waiting.pod.clone(), waiting.pod.uid);
            out.because(waiting.cause);
            out.note(Note::about(self.agent(), Kind::Pod, pod.key.clone(), What::Reconcile));
            if pod.deleting {
                if let Some(object) = object_of(&self.informers.pods, &pod) {
                    let message = format!("skip schedule deleting pod: {}", pod.key);
                    self.failed_scheduling(&object, &message, out);
                }
                self.queue.done(uid);
                continue;
            }
            let running = self.run_cycle(pod, (waiting.attempts, waiting.woken), setup);
            let fixed = &setup.profile.scheduler_cycle;
            let cost = setup.draw(fixed, "kube-scheduler", "cycle", &waiting.pod.key.name, u64::from(waiting.attempts));
            out.after(
                out.cpu(cost + running.decision.work.takes(fixed.median())),
                Event::Scheduler(self.me(), SchedulerEvent::Decide(uid.into())),
            );
            self.running = Some(Box::new(running));
        }
    }

    fn run_cycle(&mut self, pod: Arc<PodInfo>, (attempt, woken): (u32, Woken), setup: &Setup) -> Running {
        let configuration = self.configuration.clone();
        let fallback = Profile::default();
        let profile = configuration.profile(&pod.terms().scheduler).map_or(&fallback, |(_, profile)| profile);
        let explain = setup.trace == TraceLevel::Full;
        let cycle = Cycle { pod: &pod, profile, explain };
        let mut draw = |n| setup.luck("kube-scheduler", "tie", &pod.key.name, 0).below(n);
        let mut decision = cycle.run(&mut self.cache, &mut self.start, &mut draw);
        let mut offset = |n| setup.luck("kube-scheduler", "preemption", &pod.key.name, attempt.into()).below(n);
        let post_filter = (decision.chosen.is_none() && decision.nodes > 0 && decision.failure.is_none())
            .then(|| post_filter(&cycle, &mut decision, &mut self.cache, &mut offset));
        let volumes = decision.chosen.map(|node| volumes_on(&pod, profile, &self.cache, node)).unwrap_or_default();
        let name = |node: u32| self.cache.nodes().get(node).name().clone();
        let attempt = (profile, attempt, woken);
        Running {
            node: decision.chosen.map(name),
            promised: match &post_filter {
                Some(PostFilter::Preempt(preemption)) => Some(name(preemption.node)),
                _ => None,
            },
            explanation: explain
                .then(|| Arc::new(Explanation::of(&decision, post_filter.as_ref(), &pod.spec, &self.cache, attempt))),
            pod,
            decision,
            post_filter,
            volumes,
        }
    }

    /// The cycle's end: what follows from the decision.
    pub(super) fn decided(&mut self, uid: Uid, out: &mut Effects) {
        let Some(running) = self.running.take_if(|running| running.pod.uid == uid) else { return };
        let pod = running.pod.clone();
        let waits = self.queue.get(uid).is_some();
        let Some(object) = object_of(&self.informers.pods, &pod).filter(|_| waits) else { return };
        match &running.node {
            Some(node) => {
                self.note(&running, Some(node.clone()), "", out);
                let volumes = running.volumes;
                self.assume(object, pod, node.clone(), volumes, out);
            }
            None if running.decision.failure.is_some() => self.errored(*running, object, out),
            None => {
                let text = match &running.post_filter {
                    Some(PostFilter::Refused { text, .. }) => text.as_str(),
                    _ => "",
                };
                let message = fit_error(&running.decision, pod.terms(), text);
                self.note(&running, None, &message, out);
                self.unschedulable(*running, object, message, out);
            }
        }
    }

    /// The node is chosen: the pod counts there from now on, and is bound once its claims are.
    fn assume(&mut self, object: Arc<Object>, pod: Arc<PodInfo>, node: Name, volumes: PodVolumes, out: &mut Effects) {
        self.queue.done(pod.uid);
        self.cache.withdraw(pod.uid);
        self.place(node.clone(), pod.clone(), true);
        let binding = Binding { pod, object, node, cause: out.cause() };
        if volumes.matched.is_empty() && volumes.provisioned.is_empty() {
            self.bind(binding, out);
        } else {
            self.bind_volumes(binding, volumes, out);
        }
    }

    /// Binds a pod that is assumed to be on its node.
    pub(super) fn bind(&mut self, binding: Binding, out: &mut Effects) {
        let call = Call::bind(binding.pod.key.clone(), binding.node.clone());
        let number = self.connection.send(self.agent(), call, Duration::ZERO, out);
        self.bindings.insert(number, binding);
    }

    /// A plugin of the user's has failed: that is the pod's error, and it backs off.
    fn errored(&mut self, running: Running, object: Arc<Object>, out: &mut Effects) {
        let Some(failure) = running.decision.failure.clone() else { return };
        self.note(&running, None, &failure.text, out);
        let uid = running.pod.uid;
        let (queue, around) = self.queue(out);
        queue.rejected(uid, Vec::new(), around);
        self.failed_scheduling(&object, &failure.text, out);
        if let Object::Pod(pod) = &*object {
            self.report(pod, "SchedulerError", failure.text.to_string(), None, out);
        }
        let place = (Name::from(&*failure.mistake.place.file), failure.mistake.place.line);
        if failure.mistake.bug || self.warned.insert(place) {
            let by = format!("scheduler plugin {}", failure.plugin).into();
            let what = Word::Failed(running.pod.key.to_string().into(), failure.mistake);
            self.told.push(Told { at: out.now(), by, what });
        }
    }

    fn unschedulable(&mut self, running: Running, object: Arc<Object>, message: String, out: &mut Effects) {
        let (uid, info) = (running.pod.uid, running.pod);
        let nominated = match running.post_filter {
            Some(PostFilter::Preempt(preemption)) => {
                let node = running.promised.unwrap_or_else(|| "".into());
                self.preempt(&info, node.clone(), preemption.victims, out);
                self.cache.nominate(&node, info.clone());
                Some(Some(node))
            }
            Some(PostFilter::Refused { hopeless: false, .. }) => None,
            // Whoever cannot be helped gives back what it was promised.
            _ => {
                self.cache.withdraw(uid);
                info.nominated.is_some().then_some(None)
            }
        };
        let rejected_by = running.decision.rejected_by();
        let (queue, around) = self.queue(out);
        queue.rejected(uid, rejected_by, around);
        self.failed_scheduling(&object, &message, out);
        let Object::Pod(pod) = &*object else { return };
        self.report(pod, "Unschedulable", message, nominated, out);
    }

    fn note(&self, running: &Running, node: Option<Name>, message: &str, out: &mut Effects) {
        let scheduling = Scheduling {
            node,
            message: message.into(),
            evaluated: running.decision.evaluated() as u32,
            explanation: running.explanation.clone(),
        };
        let what = What::Schedule(Box::new(scheduling));
        out.note(Note::about(self.agent(), Kind::Pod, running.pod.key.clone(), what));
    }

    /// Tells people why a pod has no node.
    fn failed_scheduling(&mut self, object: &Object, message: &str, out: &mut Effects) {
        let (agent, kind, note) = (self.agent(), EventType::Warning, diagnosis::event_note(message).into());
        if let Object::Pod(pod) = object {
            self.recorder.speak_for(&pod.spec.terms.scheduler, &self.host);
        }
        self.recorder.record_action(agent, object.reference(), kind, "FailedScheduling", "Scheduling", note, out);
    }

    /// Writes into the pod's status that it has no node, if that does not say so already.
    fn report(
        &mut self,
        pod: &Pod,
        reason: &'static str,
        message: String,
        nominated: Option<Option<Name>>,
        out: &mut Effects,
    ) {
        let mut condition = Condition::new("PodScheduled", false, whole_second(out.wall())).because(reason, message);
        condition.observed_generation = pod.meta.generation;
        let news = pod.condition("PodScheduled").is_none_or(|old| {
            (old.status, &old.reason, &old.message, old.observed_generation)
                != (condition.status, &condition.reason, &condition.message, condition.observed_generation)
        });
        let nominated = nominated.filter(|node| *node != pod.status.nominated);
        if !news && nominated.is_none() {
            return;
        }
        let condition = news.then(|| Box::new(condition));
        let patch = Patch::PodCondition { uid: pod.meta.uid, condition, nominated };
        let call = Call::patch(Kind::Pod, pod.meta.key(), patch).of(Subresource::Status);
        self.connection.send(self.agent(), call, Duration::ZERO, out);
    }

    /// The binding's reply.
    pub(super) fn bound(&mut self, binding: Binding, result: Result<Answer, Status>, out: &mut Effects) {
        let status = match result {
            Ok(_) => {
                let key = &binding.pod.key;
                let message = format!("Successfully assigned {key} to {}", binding.node);
                let (agent, regarding, kind) = (self.agent(), binding.object.reference(), EventType::Normal);
                self.recorder.speak_for(&binding.pod.terms().scheduler, &self.host);
                return self.recorder.record_action(
                    agent,
                    regarding,
                    kind,
                    "Scheduled",
                    "Binding",
                    message.into(),
                    out,
                );
            }
            Err(status) => status,
        };
        self.binding_failed(binding, format!("running Bind plugin \"DefaultBinder\": {}", status.message), out);
    }

    /// The pod cannot be bound: it does not count on the node any more, and backs off.
    pub(super) fn binding_failed(&mut self, binding: Binding, message: String, out: &mut Effects) {
        let uid = binding.pod.uid;
        out.because(binding.cause);
        if self.placed.get(&uid).is_some_and(|placed| placed.assumed) {
            self.unplace(uid, out);
        }
        let Some(object) = object_of(&self.informers.pods, &binding.pod).filter(|_| self.queue.get(uid).is_some())
        else {
            return;
        };
        let (queue, around) = self.queue(out);
        queue.rejected(uid, Vec::new(), around);
        self.failed_scheduling(&object, &message, out);
        let Object::Pod(pod) = &*object else { return };
        // What it was promised is void, too.
        self.report(pod, "SchedulerError", message, Some(None), out);
    }
}

/// Timestamps of the API are whole seconds.
fn whole_second(now: Instant) -> Instant {
    Instant::from_nanos(now.as_nanos() / 1_000_000_000 * 1_000_000_000)
}
