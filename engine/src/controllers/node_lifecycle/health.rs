//! A pass over all nodes: who has been heard of, and what is to be done about those that have not.
//!
//! The controller trusts no clock but its own: it remembers when a pass last saw a change of the node's status heartbeat or of its
//! lease. The caches of nodes and leases and the memory are in order of names, so a pass walks through them side by side.
//!
//! Models: kubernetes v1.36.2 pkg/controller/nodelifecycle/node_lifecycle_controller.go (monitorNodeHealth, tryUpdateNodeHealth,
//! processTaintBaseEviction). A node that falls silent waits for its NoExecute taint in the same pass, as recorded.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::zones::{Count, Verdict};
use super::{NodeLifecycleController, Work, health_key, taints};
use crate::controllers::caches::Caches;
use crate::controllers::contract::Wake;
use crate::kernel::{Duration, Instant};
use crate::objects::labels::Labels;
use crate::objects::pod_terms::tolerations::{NOT_READY, UNREACHABLE};
use crate::objects::{ConditionStatus, Kind, Name, Node, Object, ObjectReference, Uid};

/// Kubernetes: --node-monitor-grace-period.
const GRACE: Duration = Duration::from_secs(50);
/// For a node of which no status was ever seen. Kubernetes: --node-startup-grace-period.
const STARTUP_GRACE: Duration = Duration::from_secs(60);
/// Where nodes' leases are.
const LEASES: &str = "kube-node-lease";
/// A node with this label does not count for its zone.
const EXCLUDED: &str = "node.kubernetes.io/exclude-disruption";

/// What the controller remembers of a node.
#[derive(Clone, Debug)]
pub(super) struct Health {
    name: Name,
    uid: Uid,
    labels: Arc<Labels>,
    zone: Name,
    /// The heartbeat of the condition `Ready`; `None`: there was no such condition.
    heartbeat: Option<Instant>,
    renewed: Option<Instant>,
    /// When the last sign of life was seen, by the controller's clock.
    seen: Instant,
}

impl Health {
    fn new(node: &Node, now: Instant) -> Self {
        let (meta, heartbeat) = (&node.meta, heartbeat(node));
        let seen = if heartbeat.is_some() { now } else { meta.created };
        let zone = zone(&meta.labels);
        let (name, uid, labels) = (meta.name.clone(), meta.uid, meta.labels.clone());
        Health { name, uid, labels, zone, heartbeat, renewed: None, seen }
    }

    /// Takes in what the caches show of the node now.
    fn observe(&mut self, node: &Node, renewed: Option<Instant>, now: Instant) {
        self.uid = node.meta.uid;
        if !Arc::ptr_eq(&self.labels, &node.meta.labels) {
            self.labels = node.meta.labels.clone();
            self.zone = zone(&self.labels);
        }
        let heartbeat = heartbeat(node);
        if self.heartbeat != heartbeat {
            (self.heartbeat, self.seen) = (heartbeat, now);
        }
        if renewed > self.renewed {
            (self.renewed, self.seen) = (renewed, now);
        }
    }

    fn silent(&self, now: Instant) -> bool {
        let grace = if self.heartbeat.is_some() { GRACE } else { STARTUP_GRACE };
        now > self.seen + grace
    }

    fn reference(&self) -> ObjectReference {
        super::marking::reference(&self.name, self.uid)
    }
}

impl NodeLifecycleController {
    /// A pass.
    pub(super) fn monitor(&mut self, caches: &Caches, wake: &mut Wake<'_>) {
        let now = wake.now();
        let mut known = std::mem::take(&mut self.health).into_iter().peekable();
        let namespace: Name = LEASES.into();
        let mut leases = caches.store(Kind::Lease).in_namespace(&namespace).peekable();
        let mut health = Vec::with_capacity(caches.nodes().len());
        let mut counts: BTreeMap<Name, Count> = BTreeMap::new();
        let mut gone = Vec::new();
        let quiet = self.retry.is_empty() && !self.zones.waiting();
        for node in caches.nodes().iter().filter_map(super::node) {
            let name = &node.meta.name;
            while let Some(other) = known.next_if(|known| known.name < *name) {
                gone.push(other);
            }
            while leases.next_if(|lease| lease.meta().name < *name).is_some() {}
            let renewed = match leases.next_if(|lease| lease.meta().name == *name).map(|lease| &**lease) {
                Some(Object::Lease(lease)) => Some(lease.renewed),
                _ => None,
            };
            let before = known.next_if(|known| known.name == *name);
            let new = before.is_none();
            let mut one = before.unwrap_or_else(|| Health::new(node, now));
            one.observe(node, renewed, now);
            if new {
                wake.say(one.reference(), "RegisteredNode", || {
                    format!("Node {name} event: Registered Node {name} in Controller")
                });
            }
            let silent = one.silent(now);
            let ready = node.condition("Ready").map(|condition| condition.status);
            let current = if silent { Some(ConditionStatus::Unknown) } else { ready };
            if !one.labels.contains_key(EXCLUDED) {
                count(&mut counts, &one.zone, current == Some(ConditionStatus::True));
            }
            let healthy = current == Some(ConditionStatus::True) && node.taints.is_empty();
            if !healthy || !quiet {
                self.look_at(node, &one.zone, ready, current, wake);
            }
            health.push(one);
        }
        gone.extend(known);
        for one in &gone {
            let name = &one.name;
            wake.say(one.reference(), "RemovingNode", || {
                format!("Node {name} event: Removing Node {name} from Controller")
            });
            self.zones.drop(&one.zone, name);
            self.silent.remove(name);
            self.retry.remove(name);
        }
        match self.zones.judge(&counts, wake) {
            Verdict::Same => {}
            Verdict::AllFail => {
                for (node, one) in caches.nodes().iter().filter_map(super::node).zip(&health) {
                    self.zones.drop(&one.zone, &one.name);
                    self.silent.remove(&one.name);
                    if no_execute(node) {
                        let work = self.pass.entry(one.name.clone()).or_default();
                        *work = Work { reachable: true, swap: None, ..*work };
                    }
                }
            }
            Verdict::SomeAreBack => health.iter_mut().for_each(|one| one.seen = now),
        }
        self.health = health;
        for name in self.pass.keys() {
            wake.key(health_key(name));
        }
    }

    /// What is to be done about a node whose condition `Ready` was `ready` and is now found to be `current`.
    fn look_at(
        &mut self,
        node: &Node,
        zone: &Name,
        ready: Option<ConditionStatus>,
        current: Option<ConditionStatus>,
        wake: &mut Wake<'_>,
    ) {
        let name = &node.meta.name;
        let has = |key| taints::has(node, taints::NO_EXECUTE, key);
        let mut work = Work { unknown: current != ready, ..Work::default() };
        match current {
            None => {}
            Some(ConditionStatus::True) => {
                work.reachable = no_execute(node);
                self.zones.drop(zone, name);
                self.silent.remove(name);
                self.retry.remove(name);
            }
            Some(status) => {
                let (taint, opposite) = match status {
                    ConditionStatus::False => (NOT_READY, UNREACHABLE),
                    _ => (UNREACHABLE, NOT_READY),
                };
                if has(opposite) {
                    work.swap = Some((taint, opposite));
                } else if work.unknown && ready == Some(ConditionStatus::True) {
                    self.silent.insert(name.clone());
                } else if !has(taint) {
                    self.zones.add(zone, name, wake);
                }
                work.mark = self.retry.contains(name) && ready != Some(ConditionStatus::True);
            }
        }
        if work != Work::default() {
            self.pass.insert(name.clone(), work);
        }
    }
}

/// Whether a node has one of the controller's NoExecute taints.
fn no_execute(node: &Node) -> bool {
    [UNREACHABLE, NOT_READY].iter().any(|key| taints::has(node, taints::NO_EXECUTE, key))
}

fn heartbeat(node: &Node) -> Option<Instant> {
    node.condition("Ready").map(|ready| ready.update)
}

fn count(counts: &mut BTreeMap<Name, Count>, zone: &Name, ready: bool) {
    let count = match counts.get_mut(zone) {
        Some(count) => count,
        None => counts.entry(zone.clone()).or_default(),
    };
    if ready {
        count.ready += 1;
    } else {
        count.not_ready += 1;
    }
}

/// The key of a node's zone. Kubernetes: GetZoneKey.
pub(super) fn zone(labels: &Labels) -> Name {
    let label = |key: &str| labels.get(key).map_or("", |value| &**value);
    match (label("topology.kubernetes.io/region"), label("topology.kubernetes.io/zone")) {
        ("", "") => "".into(),
        (region, zone) => format!("{region}:\0:{zone}").into(),
    }
}
