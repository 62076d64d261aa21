//! Which pods a kubelet takes: the scheduler's checks again, for whoever went past it or was faster.
//!
//! Models: kubernetes v1.36.2 pkg/kubelet/lifecycle/predicate.go (generalFilter; a pod that does not fit the labels the kubelet knows is
//! checked against the node as it is now), pkg/kubelet/kubelet.go (rejectPod), pkg/scheduler/scheduler.go (AdmissionCheck).
//! Left out: taints, which the taint eviction controller looks after, the pod's operating system, critical pods that push
//! others off.

use super::node::own_labels;
use super::pod_worker::{PodWorker, Stage};
use super::{Kubelet, Outcome, Purpose, Surroundings, pod_of};
use crate::client::connection::Call;
use crate::event::Effects;
use crate::kernel::Duration;
use crate::objects::event::EventType;
use crate::objects::pod_terms::Resources;
use crate::objects::{Key, Kind, Labels, Pod, Uid};
use crate::setup::{NodeSpec, Setup};

/// What a node has to offer.
#[derive(Clone, Debug, Default)]
pub(super) struct Offer {
    resources: Resources,
    pods: i64,
    labels: Labels,
}

/// Why a pod is not taken: a word, and a sentence.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Rejection {
    pub(super) reason: String,
    pub(super) message: String,
}

impl Offer {
    pub(super) fn of(spec: &NodeSpec) -> Self {
        let own: [(&str, &str); 3] =
            [("cpu", &spec.cpu), ("memory", &spec.memory), ("ephemeral-storage", &spec.ephemeral_storage)];
        let extended = spec.extended.iter().map(|(name, amount)| (&**name, &**amount));
        Offer {
            resources: Resources::of(own.into_iter().chain(extended)),
            pods: spec.pods.into(),
            labels: own_labels(spec),
        }
    }
}

impl Kubelet {
    /// Decides whether a pod that was seen is taken.
    pub(super) fn consider(&mut self, uid: Uid, setup: &Setup, out: &mut Effects) {
        let Some(worker) = self.pods.get(&uid).filter(|worker| worker.stage == Stage::Seen) else { return };
        let pod = pod_of(&worker.object);
        if let Some(rejection) = self.lacks(uid, pod) {
            return self.with_worker(uid, setup, out, |worker, around| worker.reject(rejection, around));
        }
        let fits =
            pod.spec.terms.required_nodes.as_ref().is_none_or(|nodes| nodes.matches(&self.name, &self.offer.labels));
        if fits {
            return self.with_worker(uid, setup, out, PodWorker::admit);
        }
        let key = Key { namespace: "".into(), name: self.name.clone() };
        let number = self.connection.send(self.agent(), Call::get(Kind::Node, key), Duration::ZERO, out);
        self.requests.insert(number, Purpose::NodeFor(uid));
    }

    /// The node as it is now, for a pod that does not fit it as it was.
    pub(super) fn node_came_for(&mut self, uid: Uid, result: Outcome, setup: &Setup, out: &mut Effects) {
        let Some(worker) = self.pods.get(&uid).filter(|worker| worker.stage == Stage::Seen) else { return };
        let labels = result.ok().and_then(|answer| Some(answer.object()?.meta().labels.clone()));
        let nodes = pod_of(&worker.object).spec.terms.required_nodes.as_ref();
        let fits = labels.is_some_and(|labels| nodes.is_none_or(|nodes| nodes.matches(&self.name, &labels)));
        self.with_worker(uid, setup, out, |worker, around| {
            if fits {
                return worker.admit(around);
            }
            let why = "node(s) didn't match Pod's node affinity/selector";
            worker.reject(Rejection::predicate("NodeAffinity", why), around);
        });
    }

    /// What the node lacks for a pod, beside those it has taken.
    fn lacks(&self, uid: Uid, pod: &Pod) -> Option<Rejection> {
        let taken = |worker: &&PodWorker| (Stage::Admitted..Stage::Terminated).contains(&worker.stage);
        let others = || self.pods.iter().filter(|(other, _)| **other != uid).map(|(_, worker)| worker).filter(taken);
        let requests = |worker: &PodWorker| pod_of(&worker.object).spec.terms.requests.effective.clone();
        let (has, wants) = (&self.offer.resources, &pod.spec.terms.requests.effective);
        let count = others().count() as i64;
        if count + 1 > self.offer.pods {
            return Some(Rejection::out_of("pods", 1, count, self.offer.pods));
        }
        let used = |amount: &dyn Fn(&Resources) -> i64| others().map(|worker| amount(&requests(worker))).sum::<i64>();
        type Amount = fn(&Resources) -> i64;
        let amounts: [(&str, Amount); 3] = [
            ("cpu", |resources| resources.cpu),
            ("memory", |resources| resources.memory),
            ("ephemeral-storage", |resources| resources.ephemeral),
        ];
        for (name, amount) in amounts {
            let (wants, has) = (amount(wants), amount(has));
            if wants > 0 {
                let used = used(&amount);
                if used + wants > has {
                    return Some(Rejection::out_of(name, wants, used, has));
                }
            }
        }
        for (name, wants) in wants.scalars.iter() {
            // What the node does not know at all is somebody else's business.
            let has = has.scalar(name);
            let used = if has > 0 { used(&|resources| resources.scalar(name)) } else { 0 };
            if has > 0 && used + wants > has {
                return Some(Rejection::out_of(name, *wants, used, has));
            }
        }
        let ports = &pod.spec.terms.host_ports;
        let taken = |port| {
            let mut theirs = others().flat_map(|worker| pod_of(&worker.object).spec.terms.host_ports.iter());
            theirs.any(|other| other.conflicts(port))
        };
        let why = "node(s) didn't have free ports for the requested pod ports";
        ports.iter().any(taken).then(|| Rejection::predicate("NodePorts", why))
    }
}

impl Rejection {
    fn out_of(resource: &str, requested: i64, used: i64, capacity: i64) -> Self {
        Rejection {
            reason: format!("OutOf{resource}"),
            message: format!(
                "Node didn't have enough resource: {resource}, requested: {requested}, used: {used}, capacity: {capacity}"
            ),
        }
    }

    fn predicate(name: &str, why: &str) -> Self {
        Rejection { reason: name.to_owned(), message: format!("Predicate {name} failed: {why}") }
    }
}

impl PodWorker {
    /// The pod is not taken: it has failed, and whoever made it has to make another.
    fn reject(&mut self, rejection: Rejection, around: &mut Surroundings<'_, '_>) {
        let (agent, regarding) = (around.agent(), self.object.reference());
        let reason: &'static str = match &*rejection.reason {
            "OutOfcpu" => "OutOfcpu",
            "OutOfmemory" => "OutOfmemory",
            "OutOfpods" => "OutOfpods",
            "OutOfephemeral-storage" => "OutOfephemeral-storage",
            "NodeAffinity" => "NodeAffinity",
            "NodePorts" => "NodePorts",
            _ => "OutOfResource",
        };
        let message = rejection.message.as_str().into();
        around.recorder.record(agent, regarding, EventType::Warning, reason, message, around.out);
        self.admitted = Some(around.now());
        self.rejection = Some(Box::new(rejection));
        self.stage = Stage::Terminated;
        self.report_now(around);
    }
}
