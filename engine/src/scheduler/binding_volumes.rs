//! Between the choice of a node and the pod's binding: its claims get their volumes.
//!
//! A volume that is there is told whose it is, a claim whose volume is to be made is told for which node; what follows is the volume
//! controller's and the provisioner's work, for which the pod waits while other pods are scheduled.
//!
//! Models: kubernetes v1.36.2 pkg/scheduler/framework/plugins/volumebinding/binder.go (AssumePodVolumes, BindPodVolumes, checkBindings,
//! RevertAssumedPodVolumes), pkg/scheduler/schedule_one.go (bindingCycle: the promise of the node while something is still to be
//! done; the gate NominatedNodeNameForExpectation is on).

use super::cycle::Binding;
use super::plugins::PodVolumes;
use super::{Scheduler, SchedulerEvent, object_of};
use crate::apiserver::request::{Answer, Patch, Subresource};
use crate::apiserver::status::Status;
use crate::client::connection::Call;
use crate::event::{Effects, Event};
use crate::kernel::{Duration, Instant};
use crate::objects::volume::{self, Claim, SELECTED_NODE, Volume};
use crate::objects::{Key, Kind, Object, Uid};

/// How often the claims of a pod that is to be bound are looked at. – Kubernetes: BindPodVolumes' poll, 1 s.
const POLL: Duration = Duration::from_secs(1);

/// A pod whose claims are being bound.
#[derive(Clone, Debug)]
pub(super) struct Prebinding {
    binding: Binding,
    /// What is written, in this order.
    writes: Vec<Write>,
    /// How many are written.
    written: usize,
    /// When it is looked at next.
    next: Instant,
    /// When patience ends.
    deadline: Instant,
}

#[derive(Clone, Debug)]
struct Write {
    what: What,
    /// The version the API server gave it.
    version: u64,
}

#[derive(Clone, Debug)]
enum What {
    /// The volume says it is of the claim.
    Match(Box<Volume>, Key),
    /// The claim says for which node its volume is to be made.
    Select(Box<Claim>),
}

impl Scheduler {
    /// Reserve and PreBind: `volumes` is not empty.
    pub(super) fn bind_volumes(&mut self, binding: Binding, volumes: PodVolumes, out: &mut Effects) {
        let mut writes = Vec::new();
        for (claim, volume) in volumes.matched {
            let bound = volume::bound_to(&volume.object, &claim.object);
            self.cache.volumes.assume_volume(&bound);
            writes.push(What::Match(Box::new(bound), claim.key()));
        }
        for claim in volumes.provisioned {
            let mut selected = claim.object.clone();
            selected.meta.annotate(SELECTED_NODE, &binding.node);
            self.cache.volumes.assume_claim(&selected);
            writes.push(What::Select(Box::new(selected)));
        }
        let (pod, node) = (&binding.pod, &binding.node);
        if pod.nominated.as_ref() != Some(node) {
            let patch = Patch::PodCondition { uid: pod.uid, condition: None, nominated: Some(Some(node.clone())) };
            let call = Call::patch(Kind::Pod, pod.key.clone(), patch).of(Subresource::Status);
            self.connection.send(self.agent(), call, Duration::ZERO, out);
        }
        let uid = pod.uid;
        let writes = writes.into_iter().map(|what| Write { what, version: 0 }).collect();
        let never = Instant::NEVER;
        self.prebindings.insert(uid, Prebinding { binding, writes, written: 0, next: never, deadline: never });
        self.go_on_binding(uid, out);
    }

    /// The next write, or, after the last, the wait for what follows from them.
    fn go_on_binding(&mut self, uid: Uid, out: &mut Effects) {
        let Some(prebinding) = self.prebindings.get_mut(&uid) else { return };
        if let Some(write) = prebinding.writes.get(prebinding.written) {
            let object = match &write.what {
                What::Match(volume, _) => Object::PersistentVolume((**volume).clone()),
                What::Select(claim) => Object::PersistentVolumeClaim((**claim).clone()),
            };
            let number = self.connection.send(self.agent(), Call::update(object), Duration::ZERO, out);
            self.volume_writes.insert(number, uid);
            return;
        }
        let scheduler = &prebinding.binding.pod.terms().scheduler;
        let patience =
            self.configuration.profile(scheduler).map(|(_, profile)| profile.args.volume_binding.bind_timeout);
        prebinding.deadline = out.now() + patience.unwrap_or_default();
        self.look_again(uid, out);
    }

    fn look_again(&mut self, uid: Uid, out: &mut Effects) {
        let Some(prebinding) = self.prebindings.get_mut(&uid) else { return };
        prebinding.next = (out.now() + POLL).min(prebinding.deadline);
        let next = prebinding.next;
        out.at(next, Event::Scheduler(self.me(), SchedulerEvent::CheckVolumes(uid.into())));
    }

    /// The reply to a write.
    pub(super) fn volume_written(&mut self, uid: Uid, result: Result<Answer, Status>, out: &mut Effects) {
        let Some(prebinding) = self.prebindings.get_mut(&uid) else { return };
        match result {
            Ok(answer) => {
                if let Some(write) = prebinding.writes.get_mut(prebinding.written) {
                    write.version = answer.object().map_or(0, |object| object.meta().resource_version);
                }
                prebinding.written += 1;
                out.because(prebinding.binding.cause);
                self.go_on_binding(uid, out);
            }
            Err(status) => self.volumes_failed(uid, &status.message, out),
        }
    }

    /// Time to see whether all claims have their volumes.
    pub(super) fn check_volumes(&mut self, uid: Uid, out: &mut Effects) {
        let due = |prebinding: &&Prebinding| prebinding.next <= out.now();
        let Some(prebinding) = self.prebindings.get(&uid).filter(due) else { return };
        match self.bound_yet(prebinding) {
            Ok(true) => {
                if let Some(prebinding) = self.prebindings.remove(&uid) {
                    out.because(prebinding.binding.cause);
                    self.bind(prebinding.binding, out);
                }
            }
            Ok(false) if out.now() < prebinding.deadline => self.look_again(uid, out),
            Ok(false) => self.volumes_failed(uid, "binding volumes: context deadline exceeded", out),
            Err(text) => self.volumes_failed(uid, &format!("binding volumes: {text}"), out),
        }
    }

    /// Whether all claims are bound; an error if they will not be.
    fn bound_yet(&self, prebinding: &Prebinding) -> Result<bool, String> {
        let Prebinding { binding, writes, .. } = prebinding;
        let node = self.cache.nodes.index(&binding.node).and_then(|index| self.cache.nodes.get(index).terms());
        let Some(node) = node else {
            return Err(format!("failed to get node {0:?}: node {0:?} not found", binding.node));
        };
        if object_of(&self.informers.pods, &binding.pod).is_none() {
            let name = &binding.pod.key.name;
            return Err(format!("pod does not exist any more: pod {name:?} not found"));
        }
        let volumes = &self.cache.volumes;
        let gone =
            |kind: &str, name: &dyn std::fmt::Display| format!("could not find v1.{kind} \"{name}\": object not found");
        let reached = |name: &str| match volumes.seen_volume(name) {
            Some(volume) if !volume.reached_from(&node.labels) => Err(format!(
                "pv {name:?} node affinity doesn't match node {:?}: no matching NodeSelectorTerms",
                binding.node
            )),
            _ => Ok(()),
        };
        for Write { what, version } in writes {
            let (key, older) = match what {
                What::Match(volume, key) => {
                    let name = &volume.meta.name;
                    let failed = |text: String| format!("failed to check binding: {text}");
                    let seen = volumes.seen_volume(name).ok_or_else(|| failed(gone("PersistentVolume", name)))?;
                    volumes.seen_claim(key).ok_or_else(|| failed(gone("PersistentVolumeClaim", key)))?;
                    if seen.object.meta.resource_version < *version {
                        return Ok(false);
                    }
                    reached(name)?;
                    if seen.claim.as_ref().is_none_or(|(_, uid)| uid.is_none()) {
                        return Err(format!("ClaimRef got reset for pv {name:?}"));
                    }
                    (key.clone(), 0)
                }
                What::Select(claim) => (claim.meta.key(), *version),
            };
            let failed = || format!("failed to check provisioning pvc: {}", gone("PersistentVolumeClaim", &key));
            let seen = volumes.seen_claim(&key).ok_or_else(failed)?;
            if seen.object.meta.resource_version < older {
                return Ok(false);
            }
            if matches!(what, What::Select(_)) {
                if seen.object.meta.annotations.is_empty() {
                    return Err(format!("selectedNode annotation reset for PVC {:?}", key.name));
                }
                if seen.selected_node.as_ref() != Some(&binding.node) {
                    return Err(format!("provisioning failed for PVC {:?}", key.name));
                }
                if let Some(name) = &seen.volume {
                    if volumes.seen_volume(name).is_none() {
                        return Ok(false);
                    }
                    reached(name)?;
                }
            }
            if !seen.bound {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Unreserve: nothing that was assumed comes true by this pod.
    fn volumes_failed(&mut self, uid: Uid, why: &str, out: &mut Effects) {
        let Some(prebinding) = self.prebindings.remove(&uid) else { return };
        for write in &prebinding.writes {
            match &write.what {
                What::Match(volume, _) => self.cache.volumes.restore_volume(&volume.meta.name),
                What::Select(claim) => self.cache.volumes.restore_claim(&claim.meta.key()),
            }
        }
        let message = format!("running PreBind plugin \"VolumeBinding\": {why}");
        self.binding_failed(prebinding.binding, message, out);
    }
}
