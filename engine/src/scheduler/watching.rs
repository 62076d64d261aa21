//! What pods, nodes, claims and volumes do, taken into the cache and the queue.
//!
//! Models: kubernetes v1.36.2 pkg/scheduler/eventhandlers.go, backend/queue/nominator.go (UpdateNominatedPod).

use std::sync::Arc;

use k8s_openapi::api::policy::v1::PodDisruptionBudget;

use super::cache::node_info::NodeTerms;
use super::cache::pod_info::PodInfo;
use super::cache::{Budget, Cache};
use super::hints::Happening;
use super::{Placed, Scheduler};
use crate::client::informer::Change;
use crate::event::Effects;
use crate::objects::{Name, Object, Uid};

/// What preemption needs to know of a budget.
pub(super) fn budget(object: &Object) -> Option<Budget> {
    let budget = object.as_resource::<PodDisruptionBudget>()?;
    let status = budget.api.status.as_ref();
    let disrupted = status.and_then(|status| status.disrupted_pods.as_ref()).into_iter().flatten();
    Some(Budget {
        namespace: budget.meta.namespace.clone(),
        selector: budget.compiled.0.clone(),
        allowed: status.and_then(|status| status.disruptions_allowed).unwrap_or(0),
        disrupted: disrupted.map(|(name, _)| name.as_str().into()).collect(),
    })
}

impl Scheduler {
    pub(super) fn pod_changed(&mut self, change: Change, out: &mut Effects) {
        let object = change.object().clone();
        let Object::Pod(pod) = &*object else { return };
        let (uid, info) = (pod.meta.uid, PodInfo::of(pod));
        let old = change.old.as_ref().and_then(|old| old.as_pod()).map(PodInfo::of);
        if change.new.is_none() || pod.status.phase.terminal() {
            self.gone(info, out);
        } else if let Some(node) = &pod.node {
            self.queue.remove(uid);
            self.cache.withdraw(uid);
            self.on_node(node, info, out);
        } else if self.configuration.profile(&info.terms().scheduler).is_some() {
            self.waits(info, old, out);
        }
    }

    /// A pod is gone, or has ended.
    fn gone(&mut self, info: Arc<PodInfo>, out: &mut Effects) {
        let uid = info.uid;
        self.queue.remove(uid);
        self.cache.withdraw(uid);
        self.preempting.remove(&uid);
        if self.placed.contains_key(&uid) {
            self.unplace(uid, out);
        } else if info.nominated.is_some() {
            self.happened(&Happening::PodGone(info.clone()), Some(info.priority()), out);
        }
    }

    /// A pod is bound.
    fn on_node(&mut self, node: &Name, info: Arc<PodInfo>, out: &mut Effects) {
        let uid = info.uid;
        match self.placed.get_mut(&uid) {
            Some(placed) if placed.node == *node => {
                let confirmed = std::mem::replace(&mut placed.assumed, false);
                let old = self.cache.remove_pod(node, uid);
                self.cache.add_pod(node, info.clone());
                let same = old.as_ref().is_some_and(|old| old.labels == info.labels && old.spec == info.spec);
                match old {
                    _ if confirmed => self.happened(&Happening::PodPlaced(info), None, out),
                    Some(old) if !same => self.happened(&Happening::PodChanged { old, new: info }, None, out),
                    _ => {}
                }
            }
            Some(_) => {
                self.unplace(uid, out);
                self.on_node(node, info, out);
            }
            None => {
                self.place(node.clone(), info.clone(), false);
                self.happened(&Happening::PodPlaced(info), None, out);
            }
        }
    }

    /// A pod waits for a node.
    fn waits(&mut self, info: Arc<PodInfo>, old: Option<Arc<PodInfo>>, out: &mut Effects) {
        if self.placed.contains_key(&info.uid) {
            // It is assumed to have one. If it is deleted meanwhile, it holds no room any more.
            if info.deleting && old.is_some_and(|old| !old.deleting) {
                self.unplace(info.uid, out);
            }
            return;
        }
        let was = old.as_ref().and_then(|old| old.nominated.clone());
        match (&info.nominated, &was) {
            (Some(node), _) => self.cache.nominate(node, info.clone()),
            (None, Some(_)) => self.cache.withdraw(info.uid),
            // The promise may not be written yet.
            (None, None) => self.cache.renew_nomination(&info),
        }
        let (queue, around) = self.queue(out);
        queue.update(info.clone(), around);
        if was.is_some()
            && was != info.nominated
            && let Some(old) = old
        {
            let priority = old.priority();
            self.happened(&Happening::PodGone(old), Some(priority), out);
        }
    }

    pub(super) fn node_changed(&mut self, change: Change, out: &mut Effects) {
        let object = change.object().clone();
        let Object::Node(node) = &*object else { return };
        let name = &node.meta.name;
        let known = self.cache.nodes().index(name).and_then(|index| self.cache.nodes().get(index).terms().cloned());
        if change.new.is_none() {
            if let Some(terms) = known {
                self.cache.remove_node(name);
                self.happened(&Happening::NodeGone(terms), None, out);
            }
            return;
        }
        let old = change.old.as_ref().and_then(|old| old.as_node());
        let unchanged = |old: &crate::objects::Node| {
            Arc::ptr_eq(&old.meta.labels, &node.meta.labels)
                && Arc::ptr_eq(&old.taints, &node.taints)
                && Arc::ptr_eq(&old.status.allocatable, &node.status.allocatable)
                && Arc::ptr_eq(&old.status.images, &node.status.images)
                && old.unschedulable == node.unschedulable
        };
        if known.is_some() && old.is_some_and(unchanged) {
            return;
        }
        let new = NodeTerms::of(node);
        match known {
            Some(old) if old == new => {}
            Some(old) => {
                self.cache.set_node(name, new.clone());
                let happening = Happening::NodeChanged { name: name.clone(), old, new };
                self.happened(&happening, None, out);
            }
            None => {
                self.cache.set_node(name, new.clone());
                self.happened(&Happening::NodeAdded(name.clone(), new), None, out);
            }
        }
    }

    pub(super) fn claim_changed(&mut self, change: &Change, out: &mut Effects) {
        let key = change.object().key();
        self.cache.volumes.set_claim(&key, change.new.as_deref());
        if change.new.is_some() {
            self.happened(&Happening::ClaimChanged { key, added: change.old.is_none() }, None, out);
        }
    }

    pub(super) fn volume_changed(&mut self, change: &Change, out: &mut Effects) {
        let name = &change.object().meta().name;
        let zones = |cache: &Cache| cache.volumes.seen_volume(name).map(|volume| volume.zones.clone());
        let before = zones(&self.cache);
        self.cache.volumes.set_volume(name, change.new.as_deref());
        if change.new.is_some() {
            let (added, moved) = (change.old.is_none(), before != zones(&self.cache));
            self.happened(&Happening::VolumeChanged { added, moved }, None, out);
        }
    }

    pub(super) fn class_changed(&mut self, change: &Change, out: &mut Effects) {
        let name = &change.object().meta().name;
        let old = self.cache.volumes.set_class(name, change.new.as_deref());
        if let Some(new) = self.cache.volumes.class(name) {
            let moved = old.as_ref().is_some_and(|old| old.topologies != new.topologies);
            let happening = Happening::ClassChanged { added: old.is_none(), moved, waits: new.waits };
            self.happened(&happening, None, out);
        }
    }

    /// Counts a pod on a node.
    pub(super) fn place(&mut self, node: Name, info: Arc<PodInfo>, assumed: bool) {
        self.placed.insert(info.uid, Placed { node: node.clone(), assumed });
        self.cache.add_pod(&node, info);
    }

    /// Forgets where a pod counts.
    pub(super) fn unplace(&mut self, uid: Uid, out: &mut Effects) {
        let Some(placed) = self.placed.remove(&uid) else { return };
        if let Some(info) = self.cache.remove_pod(&placed.node, uid) {
            self.happened(&Happening::PodGone(info), None, out);
        }
    }

    /// Wakes the pods that something could help.
    pub(super) fn happened(&mut self, happening: &Happening, up_to: Option<i32>, out: &Effects) {
        let (queue, around) = self.queue(out);
        queue.happened(happening, up_to, around);
    }
}
