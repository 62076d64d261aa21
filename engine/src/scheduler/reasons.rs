//! Why a node does not fit, as a small set that is turned into texts only when somebody reads them.
//!
//! Models: the ErrReason constants of kubernetes v1.36.2 pkg/scheduler/framework/plugins. Left out: disks that a pod names itself
//! (`node(s) had no available disk`), limits of CSI drivers, storage capacity.

use crate::objects::Text;
use crate::objects::pod_terms::PodTerms;

/// One reason.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Reason {
    /// NodeUnschedulable: the node is cordoned.
    Unschedulable,
    /// NodeName: the pod insists on another node.
    OtherNode,
    /// TaintToleration: a taint forbids it.
    UntoleratedTaint,
    /// NodeAffinity: the node's labels or name are not the wanted ones.
    NodeAffinity,
    /// NodeAffinity, of the whole pod: its terms contradict each other.
    AffinityConflict,
    /// NodePorts: a port is taken.
    Ports,
    /// NodeResourcesFit: as many pods as the node takes.
    TooManyPods,
    /// NodeResourcesFit: not enough CPU free.
    Cpu,
    /// NodeResourcesFit: not enough memory free.
    Memory,
    /// NodeResourcesFit: not enough ephemeral storage free.
    EphemeralStorage,
    /// PodTopologySpread: the node's domain holds too many already.
    Spread,
    /// PodTopologySpread: the node has no such domain.
    SpreadLabel,
    /// InterPodAffinity: the pods it wants to be near are not there.
    PodAffinity,
    /// InterPodAffinity: pods it must be away from are there.
    PodAntiAffinity,
    /// InterPodAffinity: pods that must be away from it are there.
    ExistingAntiAffinity,
    /// NodeAffinity: not what the profile demands for every pod.
    EnforcedAffinity,
    /// VolumeRestrictions: a claim that only one pod may use is used.
    ClaimInUse,
    /// VolumeBinding: a volume cannot be reached from the node.
    VolumeAffinity,
    /// VolumeBinding: a claim finds no volume for the node, and none can be made.
    NoVolume,
    /// VolumeBinding: a volume is gone.
    VolumeGone,
    /// VolumeZone: a volume is in another zone.
    VolumeZone,
}

/// Reasons of one node, at least one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Reasons {
    /// Bit r: reason r.
    fixed: u32,
    /// Bit i: not enough of the i-th scalar resource the pod asks for; the last bit stands for all beyond it.
    scalars: u32,
    /// What a plugin of the user's says: the place, from 1, in the cycle's texts.
    own: u16,
}

const ALL: [Reason; 21] = [
    Reason::Unschedulable,
    Reason::OtherNode,
    Reason::UntoleratedTaint,
    Reason::NodeAffinity,
    Reason::AffinityConflict,
    Reason::Ports,
    Reason::TooManyPods,
    Reason::Cpu,
    Reason::Memory,
    Reason::EphemeralStorage,
    Reason::Spread,
    Reason::SpreadLabel,
    Reason::PodAffinity,
    Reason::PodAntiAffinity,
    Reason::ExistingAntiAffinity,
    Reason::EnforcedAffinity,
    Reason::ClaimInUse,
    Reason::VolumeAffinity,
    Reason::NoVolume,
    Reason::VolumeGone,
    Reason::VolumeZone,
];

impl Reason {
    /// The text, as it is shown in events.
    pub fn text(self) -> &'static str {
        match self {
            Reason::Unschedulable => "node(s) were unschedulable",
            Reason::OtherNode => "node(s) didn't match the requested node name",
            Reason::UntoleratedTaint => "node(s) had untolerated taint(s)",
            Reason::NodeAffinity => "node(s) didn't match Pod's node affinity/selector",
            Reason::AffinityConflict => "pod affinity terms conflict",
            Reason::Ports => "node(s) didn't have free ports for the requested pod ports",
            Reason::TooManyPods => "Too many pods",
            Reason::Cpu => "Insufficient cpu",
            Reason::Memory => "Insufficient memory",
            Reason::EphemeralStorage => "Insufficient ephemeral-storage",
            Reason::Spread => "node(s) didn't match pod topology spread constraints",
            Reason::SpreadLabel => "node(s) didn't match pod topology spread constraints (missing required label)",
            Reason::PodAffinity => "node(s) didn't match pod affinity rules",
            Reason::PodAntiAffinity => "node(s) didn't match pod anti-affinity rules",
            Reason::ExistingAntiAffinity => "node(s) didn't satisfy existing pods anti-affinity rules",
            Reason::EnforcedAffinity => "node(s) didn't match scheduler-enforced node affinity",
            Reason::ClaimInUse => {
                "node(s) unavailable due to PersistentVolumeClaim with ReadWriteOncePod access mode already in-use by another pod"
            }
            Reason::VolumeAffinity => "node(s) didn't match PersistentVolume's node affinity",
            Reason::NoVolume => "node(s) didn't find available persistent volumes to bind",
            Reason::VolumeGone => "node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)",
            Reason::VolumeZone => "node(s) had no available volume zone",
        }
    }
}

impl Reasons {
    /// Just this reason.
    pub const fn one(reason: Reason) -> Self {
        Reasons { fixed: 1 << reason as u32, scalars: 0, own: 0 }
    }

    /// Just what a plugin of the user's says.
    pub const fn own(place: u16) -> Self {
        Reasons { fixed: 0, scalars: 0, own: place }
    }

    /// Whether there is none.
    pub const fn is_empty(self) -> bool {
        self.fixed == 0 && self.scalars == 0 && self.own == 0
    }

    /// Adds a reason.
    pub fn add(&mut self, reason: Reason) {
        self.fixed |= 1 << reason as u32;
    }

    /// Adds the lack of the pod's `position`-th scalar resource.
    pub fn add_scalar(&mut self, position: usize) {
        self.scalars |= 1 << position.min(31);
    }

    /// The texts; `pod` is the pod they were found for, `own` what the user's plugins have said in the cycle.
    pub fn texts(self, pod: &PodTerms, own: &[Text]) -> Vec<String> {
        let fixed = ALL.into_iter().filter(|reason| self.fixed & (1 << *reason as u32) != 0);
        let scalars = pod.requests.effective.scalars.iter().enumerate();
        let lacking = scalars.filter(|(position, _)| self.scalars & (1 << (*position).min(31)) != 0);
        let mut texts: Vec<String> = fixed.map(|reason| reason.text().to_owned()).collect();
        texts.extend(lacking.map(|(_, (name, _))| format!("Insufficient {name}")));
        let own = usize::from(self.own).checked_sub(1).and_then(|place| own.get(place));
        texts.extend(own.map(|text| text.to_string()));
        texts
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn texts_name_every_reason_once() {
        let requests = json!({"requests": {"a.io/x": "1", "b.io/y": "1"}});
        let spec = json!({"containers": [{"name": "c", "resources": requests}]});
        let pod = PodTerms::of(&serde_json::from_value(spec).expect("a pod spec"));
        let mut reasons = Reasons::one(Reason::TooManyPods);
        reasons.add(Reason::Cpu);
        reasons.add(Reason::Cpu);
        reasons.add_scalar(1);
        assert_eq!(reasons.texts(&pod, &[]), ["Too many pods", "Insufficient cpu", "Insufficient b.io/y"]);
        assert!(ALL.is_sorted() && ALL.len() == Reason::VolumeZone as usize + 1);
    }
}
