//! Which pods a kubelet takes: the scheduler's checks again, for whoever went past it or was faster.
//!
//! Models: kubernetes v1.36.2 pkg/kubelet/lifecycle/predicate.go (generalFilter; a pod that does not fit the labels the kubelet knows is
//! checked against the node as it is now), pkg/kubelet/kubelet.go (rejectPod), pkg/scheduler/scheduler.go (AdmissionCheck).
//! Left out: the pod's operating system; devices that fail. The node's taints are known from the last answer of the API server about
//! the node; if one of them drives the pod away, the node is looked at as it is now.

use super::node::own_labels;
use super::pod_worker::{PodWorker, Stage};
use super::preemption::Short;
use super::{Kubelet, Outcome, Purpose, Surroundings, pod_of, ranking, statics};
use crate::client::connection::Call;
use crate::event::Effects;
use crate::kernel::Duration;
use crate::objects::event::EventType;
use crate::objects::pod_terms::{Effect, Resources, Taint, tolerations};
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
        if self.preempting.contains_key(&uid) {
            return;
        }
        let pod = pod_of(&worker.object);
        let (short, ports) = (self.short_for(uid, pod), self.port_taken_for(uid, pod));
        let room = match short.first() {
            Some(_) if !ports && statics::is_critical(pod) => {
                if self.preempt_for(uid, &short, setup, out) {
                    return;
                }
                Some(Rejection::beyond_help(&short))
            }
            Some(first) => Some(Rejection::out_of(first)),
            None if ports => {
                let why = "node(s) didn't have free ports for the requested pod ports";
                Some(Rejection::predicate("NodePorts", why))
            }
            None => None,
        };
        let Some(worker) = self.pods.get(&uid) else { return };
        let pod = pod_of(&worker.object);
        let rejection = self.too_short_for(pod).or(room).or_else(|| {
            self.shutting_down.as_ref().map(|_| Rejection {
                reason: "NodeShutdown".to_owned(),
                message: "Pod was rejected as the node is shutting down.".to_owned(),
            })
        });
        if let Some(rejection) = rejection {
            return self.with_worker(uid, setup, out, |worker, around| worker.reject(rejection, around));
        }
        let fits =
            pod.spec.terms.required_nodes.as_ref().is_none_or(|nodes| nodes.matches(&self.name, &self.offer.labels));
        if fits && bears(pod, &self.node.taints) {
            let says = ranking::says_memory(pod);
            self.with_worker(uid, setup, out, PodWorker::admit);
            if says {
                self.watch_pressure(setup, out);
            }
            return;
        }
        let key = Key { namespace: "".into(), name: self.name.clone() };
        let number = self.connection.send(self.agent(), Call::get(Kind::Node, key), Duration::ZERO, out);
        self.requests.insert(number, Purpose::NodeFor(uid));
    }

    /// The node as it is now, for a pod that does not fit it as it was.
    pub(super) fn node_came_for(&mut self, uid: Uid, result: Outcome, setup: &Setup, out: &mut Effects) {
        let Some(worker) = self.pods.get(&uid).filter(|worker| worker.stage == Stage::Seen) else { return };
        let pod = pod_of(&worker.object);
        let object = result.ok().and_then(|answer| answer.object().cloned());
        let node = object.as_ref().and_then(|object| object.as_node());
        let nodes = pod.spec.terms.required_nodes.as_ref();
        let fits = node.is_some_and(|node| nodes.is_none_or(|nodes| nodes.matches(&self.name, &node.meta.labels)));
        let borne = node.is_none_or(|node| bears(pod, &node.taints));
        if let Some(node) = node {
            self.node.taints = node.taints.clone();
        }
        self.with_worker(uid, setup, out, |worker, around| {
            if !fits {
                let why = "node(s) didn't match Pod's node affinity/selector";
                return worker.reject(Rejection::predicate("NodeAffinity", why), around);
            }
            if !borne {
                let why = "node(s) had untolerated taint(s)";
                return worker.reject(Rejection::predicate("TaintToleration", why), around);
            }
            worker.admit(around);
        });
    }

    /// The pods that the node has taken, but for one.
    fn others(&self, uid: Uid) -> impl Iterator<Item = &PodWorker> {
        // What has ended by itself takes no room any more (filterOutInactivePods).
        let taken = |worker: &&PodWorker| {
            let here = (Stage::Admitted..Stage::Terminated).contains(&worker.stage);
            here && !(pod_of(&worker.object).status.phase.terminal() && worker.stage < Stage::Terminating)
        };
        self.pods.iter().filter(move |(other, _)| **other != uid).map(|(_, worker)| worker).filter(taken)
    }

    /// What the node has too little of for a pod, beside those it has taken.
    fn short_for(&self, uid: Uid, pod: &Pod) -> Vec<Short> {
        let (has, wants) = (&self.offer.resources, &pod.spec.terms.requests.effective);
        let mut short = Vec::new();
        let mut check = |resource: &str, requested: i64, used: i64, capacity: i64| {
            if requested > 0 && used.saturating_add(requested) > capacity {
                short.push(Short { resource: resource.into(), requested, used, capacity });
            }
        };
        let (mut count, mut used) = (0, Resources::default());
        for worker in self.others(uid) {
            let theirs = &pod_of(&worker.object).spec.terms.requests.effective;
            count += 1;
            used.cpu += theirs.cpu;
            used.memory += theirs.memory;
            used.ephemeral += theirs.ephemeral;
        }
        check("pods", 1, count, self.offer.pods);
        check("cpu", wants.cpu, used.cpu, has.cpu);
        check("memory", wants.memory, used.memory, has.memory);
        check("ephemeral-storage", wants.ephemeral, used.ephemeral, has.ephemeral);
        for (name, wants) in wants.scalars.iter() {
            // What the node does not know at all is somebody else's business.
            let has = has.scalar(name);
            let scalar = |worker: &PodWorker| pod_of(&worker.object).spec.terms.requests.effective.scalar(name);
            if has > 0 {
                check(name, *wants, self.others(uid).map(scalar).sum(), has);
            }
        }
        short
    }

    /// Whether another pod has a port of the node that this one wants.
    fn port_taken_for(&self, uid: Uid, pod: &Pod) -> bool {
        pod.spec.terms.host_ports.iter().any(|port| {
            let mut theirs = self.others(uid).flat_map(|worker| pod_of(&worker.object).spec.terms.host_ports.iter());
            theirs.any(|other| other.conflicts(port))
        })
    }
}

/// Whether a pod bears the taints of its node that would drive it away; static pods bear all.
fn bears(pod: &Pod, taints: &[crate::objects::node::Taint]) -> bool {
    let drives_away = |taint: &crate::objects::node::Taint| {
        let taint = Taint::new(taint.key.clone(), taint.value.clone(), &taint.effect);
        taint.filter(|taint| taint.effect == Effect::NoExecute)
    };
    let mut taints = taints.iter().filter_map(drives_away);
    statics::is_static(pod) || taints.all(|taint| tolerations::tolerated(&taint, &pod.spec.terms.tolerations))
}

impl Rejection {
    fn out_of(Short { resource, requested, used, capacity }: &Short) -> Self {
        Rejection {
            reason: format!("OutOf{resource}"),
            message: format!(
                "Node didn't have enough resource: {resource}, requested: {requested}, used: {used}, capacity: {capacity}"
            ),
        }
    }

    /// A critical pod for which nobody can make room.
    fn beyond_help(short: &[Short]) -> Self {
        let missing: Vec<String> = short.iter().map(Short::text).collect();
        Rejection {
            reason: "UnexpectedAdmissionError".to_owned(),
            message: format!(
                "Unexpected error while attempting to recover from admission failure: preemption: error finding a set of \
                 pods to preempt: no set of running pods found to reclaim resources: [{}]",
                missing.concat()
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
        let reason = crate::objects::Text::from(rejection.reason.clone());
        let message = rejection.message.as_str().into();
        around.recorder.record(agent, regarding, EventType::Warning, reason, message, around.out);
        self.admitted = Some(around.now());
        self.rejection = Some(Box::new(rejection));
        self.stage = Stage::Terminated;
        self.report_now(around);
    }
}
