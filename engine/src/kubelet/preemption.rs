//! Critical pods for which a node has no room: others make it.
//!
//! Those that go are chosen class by class, so that guaranteed pods go only if the others cannot do it, and within a class by
//! how close they come to what is missing.
//!
//! Models: kubernetes v1.36.2 pkg/kubelet/preemption/preemption.go (HandleAdmissionFailure, getPodsToPreempt).

use super::fate::Fate;
use super::pod_worker::{PodEvent, PodWorker, Stage};
use super::{Kubelet, phase, pod_of, statics};
use crate::event::Effects;
use crate::kernel::Duration;
use crate::objects::event::EventType;
use crate::objects::pod_terms::{QosClass, Resources};
use crate::objects::{Name, Pod, Uid};
use crate::setup::Setup;

/// What the node has too little of for a pod.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Short {
    pub(super) resource: Name,
    pub(super) requested: i64,
    pub(super) used: i64,
    pub(super) capacity: i64,
}

/// A pod that could make room.
#[derive(Clone, Debug)]
struct Candidate {
    uid: Uid,
    qos: QosClass,
    requests: Resources,
}

const WHY: &str = "Preempted in order to admit critical pod";
const DISRUPTION: &str = "Pod was preempted by Kubelet to accommodate a critical pod.";

impl Short {
    /// How much is missing.
    fn missing(&self) -> i64 {
        self.requested - (self.capacity - self.used)
    }

    /// As the kubelet prints it.
    pub(super) fn text(&self) -> String {
        format!("(res: {}, q: {}), ", self.resource, self.missing())
    }
}

impl Kubelet {
    /// Makes room for a critical pod, which is looked at again once the others have ended. False if there is no way.
    pub(super) fn preempt_for(&mut self, uid: Uid, lacks: &[Short], setup: &Setup, out: &mut Effects) -> bool {
        let Some(worker) = self.pods.get(&uid) else { return false };
        let pod = pod_of(&worker.object);
        let preemptable = |other: &Pod| {
            !statics::is_critical(other)
                || !statics::is_static(other)
                    && pod.spec.terms.priority > other.spec.terms.priority
                    && !statics::is_mirror(other)
        };
        let running = |worker: &PodWorker| {
            (Stage::Admitted..Stage::Terminating).contains(&worker.stage) && !phase::of(worker).terminal()
        };
        let candidates: Vec<Candidate> = self
            .pods
            .iter()
            .filter(|(other, worker)| **other != uid && running(worker) && preemptable(pod_of(&worker.object)))
            .map(|(uid, worker)| {
                let terms = &pod_of(&worker.object).spec.terms;
                Candidate { uid: *uid, qos: terms.qos, requests: terms.requests.effective.clone() }
            })
            .collect();
        let missing: Vec<(Name, i64)> = lacks.iter().map(|short| (short.resource.clone(), short.missing())).collect();
        let Some(victims) = choose(&candidates, &missing) else { return false };
        for victim in &victims {
            self.with_worker(*victim, setup, out, |worker, around| {
                let (agent, regarding) = (around.agent(), worker.object.reference());
                around.recorder.record(agent, regarding, EventType::Warning, "Preempting", WHY.into(), around.out);
                let grace = worker.grace_of_spec().max(0) as u64;
                let fate = Fate { reason: "Preempting", message: WHY.into(), disruption: DISRUPTION.into(), grace };
                worker.end_by(fate, around);
            });
        }
        self.preempting.insert(uid, victims);
        true
    }

    /// A pod has ended: critical pods that waited for it are looked at again.
    pub(super) fn room_was_made(&mut self, setup: &Setup, out: &mut Effects) {
        let gone = |uid: &Uid| self.pods.get(uid).is_none_or(|worker| worker.stage >= Stage::Terminated);
        let ready = self.preempting.iter().filter(|(_, victims)| victims.iter().all(gone));
        let ready: Vec<Uid> = ready.map(|(uid, _)| *uid).collect();
        for uid in ready {
            self.preempting.remove(&uid);
            self.with_worker(uid, setup, out, |_, around| around.after(Duration::ZERO, uid, PodEvent::Admitted));
        }
    }
}

/// The pods that have to go; `None` if all of them are not enough.
fn choose(candidates: &[Candidate], missing: &[(Name, i64)]) -> Option<Vec<Uid>> {
    let of = |class: QosClass| -> Vec<&Candidate> { candidates.iter().filter(|it| it.qos == class).collect() };
    let (best_effort, burstable) = (of(QosClass::BestEffort), of(QosClass::Burstable));
    let guaranteed = of(QosClass::Guaranteed);
    let all: Vec<&Candidate> = candidates.iter().collect();
    if !less(missing, &all).is_empty() {
        return None;
    }
    let others: Vec<&Candidate> = best_effort.iter().chain(&burstable).copied().collect();
    let guaranteed = closest(guaranteed, less(missing, &others))?;
    let others: Vec<&Candidate> = best_effort.iter().chain(&guaranteed).copied().collect();
    let burstable = closest(burstable, less(missing, &others))?;
    let others: Vec<&Candidate> = burstable.iter().chain(&guaranteed).copied().collect();
    let best_effort = closest(best_effort, less(missing, &others))?;
    Some(best_effort.iter().chain(&burstable).chain(&guaranteed).map(|it| it.uid).collect())
}

/// What is still missing without some pods.
fn less(missing: &[(Name, i64)], pods: &[&Candidate]) -> Vec<(Name, i64)> {
    let freed = |resource: &str| pods.iter().map(|pod| amount(&pod.requests, resource)).sum::<i64>();
    let left = missing.iter().map(|(resource, missing)| (resource.clone(), missing - freed(resource)));
    left.filter(|(_, missing)| *missing > 0).collect()
}

/// Pods that together free what is missing, the closest first.
fn closest(mut pods: Vec<&Candidate>, mut missing: Vec<(Name, i64)>) -> Option<Vec<&Candidate>> {
    let mut chosen = Vec::new();
    while !missing.is_empty() {
        let size = |pod: &Candidate| (pod.requests.memory, pod.requests.cpu);
        let best = pods.iter().enumerate().min_by(|(_, a), (_, b)| {
            distance(a, &missing).total_cmp(&distance(b, &missing)).then_with(|| size(a).cmp(&size(b)))
        });
        let (place, pod) = best.map(|(place, pod)| (place, *pod))?;
        missing = less(&missing, &[pod]);
        pods.remove(place);
        chosen.push(pod);
    }
    Some(chosen)
}

/// How much is still missing without a pod: the sum of the squares of the shares.
fn distance(pod: &Candidate, missing: &[(Name, i64)]) -> f64 {
    let share = |(resource, missing): &(Name, i64)| {
        let left = (missing - amount(&pod.requests, resource)).max(0) as f64 / (*missing).max(1) as f64;
        left * left
    };
    missing.iter().map(share).sum()
}

fn amount(requests: &Resources, resource: &str) -> i64 {
    match resource {
        "cpu" => requests.cpu,
        "memory" => requests.memory,
        "ephemeral-storage" => requests.ephemeral,
        "pods" => 1,
        other => requests.scalar(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pods(list: &[(QosClass, i64, i64)]) -> Vec<Candidate> {
        (0..)
            .zip(list)
            .map(|(n, (qos, cpu, memory))| Candidate {
                uid: Uid(n),
                qos: *qos,
                requests: Resources { cpu: *cpu, memory: *memory, ..Resources::default() },
            })
            .collect()
    }

    fn chosen(list: &[(QosClass, i64, i64)], missing: &[(&str, i64)]) -> Option<Vec<u128>> {
        let missing: Vec<(Name, i64)> = missing.iter().map(|(name, amount)| ((*name).into(), *amount)).collect();
        choose(&pods(list), &missing).map(|uids| uids.iter().map(|uid| uid.0).collect())
    }

    #[test]
    fn the_cheapest_class_that_can_goes() {
        use QosClass::{BestEffort, Burstable, Guaranteed};
        let all = [(BestEffort, 0, 0), (Burstable, 100, 100), (Burstable, 300, 300), (Guaranteed, 300, 300)];
        assert_eq!(chosen(&all, &[("memory", 90)]), Some(vec![1]));
        assert_eq!(chosen(&all, &[("memory", 250)]), Some(vec![2]));
        assert_eq!(chosen(&all, &[("memory", 550)]), Some(vec![2, 3]));
        assert_eq!(chosen(&all, &[("pods", 1)]), Some(vec![0]));
        assert_eq!(chosen(&all, &[("memory", 800)]), None);
    }
}
