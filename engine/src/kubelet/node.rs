//! The node: registration, lease, status.
//!
//! Models: kubernetes v1.36.2 pkg/kubelet/{kubelet_node_status,nodestatus/setters}.go, component-helpers/apimachinery/lease. Pod address ranges are
//! given out here by the node's number; upstream the controller manager's IPAM does it.

use std::net::Ipv4Addr;
use std::sync::Arc;

use super::{Kubelet, KubeletEvent, Outcome, Pressure, Purpose, second};
use crate::apiserver::request::Patch;
use crate::client::connection::Call;
use crate::event::{Effects, Event};
use crate::kernel::{Duration, Instant};
use crate::objects::event::EventType;
use crate::objects::node::{NodeImage, NodeStatus, Taint};
use crate::objects::{Condition, Key, Kind, Labels, Lease, Name, Node, Object, ObjectMeta, ObjectReference};
use crate::setup::{NodeSpec, Setup};

/// What the kubelet knows of its node.
#[derive(Clone, Debug)]
pub(super) struct NodeState {
    ready: Option<Instant>,
    started: Instant,
    reported: Option<NodeStatus>,
    reported_at: Instant,
    lease: Option<Arc<Object>>,
    renewals: u64,
    /// When its lease was last renewed.
    heard: Option<Instant>,
    /// The API server has it as ready, from before the process started.
    was_ready: bool,
    /// Its taints, as the API server last said.
    pub(super) taints: Arc<[Taint]>,
    /// Since when it has been under which pressure, or not, as reported.
    pressures: [(bool, Instant); 3],
    /// Boots of the machine that people were told of.
    boots: u32,
}

impl NodeState {
    pub(super) fn new(_index: u32) -> Self {
        NodeState {
            ready: None,
            started: Instant::START,
            reported: None,
            reported_at: Instant::START,
            lease: None,
            renewals: 0,
            heard: None,
            was_ready: false,
            taints: Arc::new([]),
            pressures: [(false, Instant::START); 3],
            boots: 0,
        }
    }

    /// The process is gone.
    pub(super) fn forget(&mut self) {
        *self = NodeState { renewals: self.renewals, boots: self.boots, ..NodeState::new(0) };
    }

    /// Whether the machine has been booted `boots` times and nobody was told of the last one.
    pub(super) fn booted(&mut self, boots: u32) -> bool {
        std::mem::replace(&mut self.boots, boots) != boots
    }
}

/// After how long without a renewal a node may have been marked Unknown; Kubernetes: the lease's duration.
const SILENCE: Duration = Duration::from_secs(40);
/// After a failed renewal, and after a failed look at the lease; Kubernetes: component-helpers/apimachinery/lease, backoffEnsureLease
/// (200 ms to 7 s; the wait in between is an estimate).
const LEASE_RETRY: Duration = Duration::from_millis(200);
const LEASE_BACKOFF: Duration = Duration::from_secs(2);

/// A node as a kubelet's events refer to it: by name alone.
pub(super) fn node_reference(name: &Name) -> ObjectReference {
    ObjectReference {
        kind: Kind::Node,
        namespace: "".into(),
        name: name.clone(),
        uid: Default::default(),
        resource_version: 0,
        field_path: None,
    }
}

/// The labels that a kubelet gives its node.
pub(super) fn own_labels(spec: &NodeSpec) -> Labels {
    let own: [(&str, &str); 5] = [
        ("beta.kubernetes.io/arch", "amd64"),
        ("beta.kubernetes.io/os", "linux"),
        ("kubernetes.io/arch", "amd64"),
        ("kubernetes.io/hostname", &spec.name),
        ("kubernetes.io/os", "linux"),
    ];
    let mut labels: Labels = own.iter().map(|(key, value)| (Name::from(*key), Name::from(*value))).collect();
    labels.extend(spec.labels.iter().cloned());
    labels
}

/// Most images that are reported; Kubernetes: nodeStatusMaxImages.
const MAX_IMAGES: usize = 50;

/// How long kubelets may keep secrets and config maps, in clusters of up to 100 nodes. Kubernetes: pkg/controller/ttl. [s]
const TTL: (&str, &str) = ("node.alpha.kubernetes.io/ttl", "0");

/// The address of the n-th node.
pub(super) fn node_ip(index: u32) -> Ipv4Addr {
    Ipv4Addr::from(u32::from(Ipv4Addr::new(172, 18, 0, 2)) + index)
}

/// The pods' address range of the n-th node: a /24 out of 10.244.0.0/16, beyond the 256th out of 10.0.0.0/8.
pub(super) fn pod_network(index: u32) -> Ipv4Addr {
    Ipv4Addr::from(u32::from(Ipv4Addr::new(10, 244, 0, 0)).wrapping_add(index << 8) & 0x00ff_ffff | 10 << 24)
}

/// The node to whose range a pod's address belongs.
pub(crate) fn node_of_address(address: Ipv4Addr) -> u32 {
    (u32::from(address).wrapping_sub(u32::from(pod_network(0))) & 0x00ff_ffff) >> 8
}

impl Kubelet {
    /// Creates the node's object.
    pub(super) fn register(&mut self, setup: &Setup, out: &mut Effects) {
        self.node.started = second(out.wall());
        self.node.pressures = [(false, self.node.started); 3];
        let Some(spec) = setup.nodes.get(self.index as usize) else { return };
        let node = Object::Node(self.node_object(spec, out.wall()));
        let number = self.connection.send(self.agent(), Call::create(node), Duration::ZERO, out);
        self.requests.insert(number, Purpose::Register);
    }

    pub(super) fn registered(&mut self, result: Outcome, setup: &Setup, out: &mut Effects) {
        match result {
            Err(status) if status.is_already_exists() => {
                let key = Key { namespace: "".into(), name: self.name.clone() };
                let number = self.connection.send(self.agent(), Call::get(Kind::Node, key), Duration::ZERO, out);
                self.requests.insert(number, Purpose::OwnNode);
            }
            Err(_) => {
                let wait = Duration::from_secs(1);
                out.after(wait, Event::Kubelet(self.index, KubeletEvent::Register));
            }
            Ok(answer) => {
                self.statics.node = answer.object().map(|node| node.meta().uid);
                self.is_registered(setup, out)
            }
        }
    }

    /// The node was there already, from an earlier life of the process.
    pub(super) fn own_node_came(&mut self, result: Outcome, setup: &Setup, out: &mut Effects) {
        match result {
            Ok(answer) => {
                self.statics.node = answer.object().map(|node| node.meta().uid);
                self.node.was_ready = answer.object().and_then(|node| node.as_node()).is_some_and(Node::ready);
                self.is_registered(setup, out);
            }
            Err(_) => out.after(Duration::from_secs(1), Event::Kubelet(self.index, KubeletEvent::Register)),
        }
    }

    fn is_registered(&mut self, setup: &Setup, out: &mut Effects) {
        let message = "Updated Node Allocatable limit across pods".to_owned();
        self.say_of_node(EventType::Normal, "NodeAllocatableEnforced", message, out);
        for reason in ["NodeHasSufficientMemory", "NodeHasNoDiskPressure", "NodeHasSufficientPID"] {
            self.node_event(reason, out);
        }
        let wait = setup.draw(&setup.profile.kubelet.node_ready, "kubelet", "node-ready", &self.name, 0);
        out.after(wait, Event::Kubelet(self.index, KubeletEvent::NodeReady));
        self.get_lease(out);
        self.see_to_mirrors(setup, out);
    }

    /// The answer to a report of the node's status; if that failed, the next check makes another.
    pub(super) fn status_replied(&mut self, result: Outcome) {
        match result {
            Err(_) => self.node.reported = None,
            Ok(answer) => {
                if let Some(node) = answer.object().and_then(|node| node.as_node()) {
                    self.node.taints = node.taints.clone();
                }
            }
        }
    }

    pub(super) fn node_ready(&mut self, setup: &Setup, out: &mut Effects) {
        self.node.ready = Some(second(out.wall()));
        if !self.node.was_ready {
            self.node_event("NodeReady", out);
        }
        self.check_node_status(setup, out);
    }

    pub(super) fn node_event(&mut self, reason: &'static str, out: &mut Effects) {
        let message = format!("Node {} status is now: {reason}", self.name);
        self.say_of_node(EventType::Normal, reason, message, out);
    }

    /// Reports the node's status if it has changed, or if the last report is old.
    pub(super) fn check_node_status(&mut self, setup: &Setup, out: &mut Effects) {
        self.report_node(setup, out);
        out.after(setup.profile.kubelet.status_check, Event::Kubelet(self.index, KubeletEvent::StatusCheck));
    }

    /// Reports it now, if there is something to report.
    pub(super) fn report_node(&mut self, setup: &Setup, out: &mut Effects) {
        let timing = &setup.profile.kubelet;
        let Some(spec) = setup.nodes.get(self.index as usize) else { return };
        self.note_pressures(out);
        let status = self.node_status(spec, out.wall());
        let due = out.now().since(self.node.reported_at) >= timing.status_report;
        if due || self.node.reported.as_ref().is_none_or(|reported| differs(reported, &status)) {
            self.node.reported = Some(status.clone());
            self.node.reported_at = out.now();
            let patch = Patch::NodeStatus(Box::new(status));
            let call = Call::patch(Kind::Node, Key { namespace: "".into(), name: self.name.clone() }, patch)
                .of(crate::apiserver::request::Subresource::Status);
            let number = self.connection.send(self.agent(), call, Duration::ZERO, out);
            self.requests.insert(number, Purpose::NodeStatus);
        }
    }

    /// What has changed about the node's pressures since the last report.
    fn note_pressures(&mut self, out: &mut Effects) {
        for (n, pressure) in Pressure::ALL.into_iter().enumerate() {
            let under = self.evictions.under(pressure);
            if self.node.pressures[n].0 != under {
                self.node.pressures[n] = (under, second(out.wall()));
                self.node_event(pressure.words(under).2, out);
            }
        }
    }

    fn get_lease(&mut self, out: &mut Effects) {
        let number = self.connection.send(self.agent(), Call::get(Kind::Lease, self.lease_key()), Duration::ZERO, out);
        self.requests.insert(number, Purpose::LeaseGet);
    }

    fn lease_key(&self) -> Key {
        Key { namespace: "kube-node-lease".into(), name: self.name.clone() }
    }

    pub(super) fn lease_replied(&mut self, purpose: Purpose, result: Outcome, setup: &Setup, out: &mut Effects) {
        match (purpose, result) {
            (Purpose::LeaseGet, Err(status)) if status.is_not_found() => {
                let lease = Lease {
                    meta: ObjectMeta::named("kube-node-lease", &self.name),
                    holder: self.name.clone(),
                    duration_seconds: 40,
                    acquired: None,
                    renewed: out.wall(),
                    transitions: 0,
                };
                let number =
                    self.connection.send(self.agent(), Call::create(Object::Lease(lease)), Duration::ZERO, out);
                self.requests.insert(number, Purpose::LeaseCreate);
            }
            (Purpose::LeaseGet, Ok(answer)) => {
                self.node.lease = answer.object().cloned();
                self.renew_lease(setup, out);
            }
            (_, Ok(answer)) => {
                self.node.lease = answer.object().cloned();
                // Its conditions may be Unknown by now. A real kubelet sees that in its cache of its node, whose watch it resumes.
                if self.node.heard.is_some_and(|heard| out.now().since(heard) >= SILENCE) {
                    let call = Call::get(Kind::Node, Key { namespace: "".into(), name: self.name.clone() });
                    let number = self.connection.send(self.agent(), call, Duration::ZERO, out);
                    self.requests.insert(number, Purpose::NodeAgain);
                }
                self.node.heard = Some(out.now());
                // Up to 4 % of jitter keep the nodes apart.
                let interval = setup.profile.kubelet.lease_renew;
                let jitter = setup.luck("kubelet", "lease", &self.name, self.node.renewals).below(40);
                self.node.renewals += 1;
                let wait = interval + interval.fraction(jitter, 1_000);
                out.after(wait, Event::Kubelet(self.index, KubeletEvent::RenewLease));
            }
            (purpose, Err(_)) => {
                self.node.lease = None;
                let wait = if matches!(purpose, Purpose::LeaseRenew) { LEASE_RETRY } else { LEASE_BACKOFF };
                out.after(wait, Event::Kubelet(self.index, KubeletEvent::RenewLease));
            }
        }
    }

    /// The node as it is stored, after a silence: what somebody else has written of it is put right with the next report.
    pub(super) fn node_seen_again(&mut self, result: Outcome) {
        if let Ok(answer) = result
            && let Some(Object::Node(node)) = answer.object().map(|object| &**object)
            && self.node.reported.as_ref().is_some_and(|reported| differs(reported, &node.status))
        {
            self.node.reported = None;
        }
    }

    pub(super) fn renew_lease(&mut self, _setup: &Setup, out: &mut Effects) {
        let Some(Object::Lease(lease)) = self.node.lease.as_deref() else {
            return self.get_lease(out);
        };
        let lease = Lease { renewed: out.wall(), ..lease.clone() };
        let number = self.connection.send(self.agent(), Call::update(Object::Lease(lease)), Duration::ZERO, out);
        self.requests.insert(number, Purpose::LeaseRenew);
    }

    fn node_object(&self, spec: &NodeSpec, now: Instant) -> Node {
        let mut meta = ObjectMeta::named("", &spec.name);
        meta.labels = Arc::new(own_labels(spec));
        // The first is the ttl controller's, which writes it a moment later.
        let annotations = [TTL, ("volumes.kubernetes.io/controller-managed-attach-detach", "true")];
        meta.annotations =
            Arc::new(annotations.iter().map(|(key, value)| (Name::from(*key), Name::from(*value))).collect());
        let taint = |(key, value, effect): &(Name, Name, Name)| Taint {
            key: key.clone(),
            value: value.clone(),
            effect: effect.clone().into(),
            added: None,
        };
        Node {
            meta,
            pod_cidr: format!("{}/24", pod_network(self.index)).into(),
            unschedulable: false,
            taints: spec.taints.iter().map(taint).collect(),
            status: self.node_status(spec, now),
        }
    }

    fn node_status(&self, spec: &NodeSpec, now: Instant) -> NodeStatus {
        let mut resources: Vec<(Name, Name)> = vec![
            ("cpu".into(), spec.cpu.clone()),
            ("ephemeral-storage".into(), spec.ephemeral_storage.clone()),
            ("hugepages-1Gi".into(), "0".into()),
            ("hugepages-2Mi".into(), "0".into()),
            ("memory".into(), spec.memory.clone()),
            ("pods".into(), spec.pods.to_string().into()),
        ];
        resources.extend(spec.extended.iter().cloned());
        let resources: Arc<[(Name, Name)]> = resources.into();
        NodeStatus {
            capacity: resources.clone(),
            allocatable: resources,
            conditions: self.conditions(now),
            internal_ip: Some(node_ip(self.index)),
            images: self
                .images
                .by_size()
                .take(MAX_IMAGES)
                .map(|(name, size)| NodeImage { names: [name].into(), size })
                .collect(),
        }
    }

    fn conditions(&self, now: Instant) -> Vec<Condition> {
        let condition = |kind: &'static str, holds: bool, reason: &'static str, message: &'static str, since| {
            Condition { update: second(now), ..Condition::new(kind, holds, since).because(reason, message) }
        };
        let mut conditions: Vec<Condition> = Pressure::ALL
            .into_iter()
            .zip(self.node.pressures)
            .map(|(pressure, (holds, since))| {
                let (reason, message, _) = pressure.words(holds);
                condition(pressure.condition(), holds, reason, message, since)
            })
            .collect();
        conditions.push(match self.node.ready {
            _ if let Some(down) = &self.shutting_down => {
                condition("Ready", false, "KubeletNotReady", "node is shutting down", down.since)
            }
            Some(since) => condition("Ready", true, "KubeletReady", "kubelet is posting ready status", since),
            None => {
                // Upstream joins the errors it has; this one is typical of a start, and its words are not looked up.
                let message = "[container runtime status check may not have completed yet]";
                condition("Ready", false, "KubeletNotReady", message, self.node.started)
            }
        });
        conditions
    }
}

/// Whether two statuses differ in more than the time of the heartbeat.
fn differs(a: &NodeStatus, b: &NodeStatus) -> bool {
    let same_conditions = a.conditions.len() == b.conditions.len()
        && a.conditions
            .iter()
            .zip(&b.conditions)
            .all(|(a, b)| (&a.kind, a.status, &a.reason) == (&b.kind, b.status, &b.reason));
    !same_conditions || a.images != b.images || a.allocatable != b.allocatable
}
