//! Queueing hints: whether a change could make a plugin think better of a pod it rejected.
//!
//! Models: kubernetes v1.36.2 pkg/scheduler/framework/events.go, EventsToRegister and the hint functions of
//! pkg/scheduler/framework/plugins/{nodeunschedulable,nodename,tainttoleration,nodeaffinity,nodeports,noderesources,
//! podtopologyspread,interpodaffinity,volumerestrictions,volumebinding,volumezone}.

use std::sync::Arc;

use super::cache::Cache;
use super::cache::node_info::NodeTerms;
use super::cache::pod_info::PodInfo;
use super::framework::{Plugin, Profile};
use super::plugins::fits_empty;
use crate::objects::labels::Labels;
use crate::objects::meta::{Key, Name};
use crate::objects::pod_terms::tolerations::{Effect, Taint, UNSCHEDULABLE, tolerated};
use crate::objects::pod_terms::{AffinityTerm, SpreadConstraint};
use crate::objects::selector::Selector;

/// A change in the cluster that may let pods fit.
#[derive(Clone, Debug)]
pub enum Happening {
    /// A pod has come to a node.
    PodPlaced(Arc<PodInfo>),
    /// A pod on a node has other labels, or asks for less.
    PodChanged {
        /// Before.
        old: Arc<PodInfo>,
        /// After.
        new: Arc<PodInfo>,
    },
    /// A pod has left its node, or the node it was promised.
    PodGone(Arc<PodInfo>),
    /// The waiting pod itself has changed.
    Itself {
        /// Before.
        old: Arc<PodInfo>,
        /// After.
        new: Arc<PodInfo>,
    },
    /// A node has come.
    NodeAdded(Name, NodeTerms),
    /// A node offers or demands something else.
    NodeChanged {
        /// Its name.
        name: Name,
        /// Before.
        old: NodeTerms,
        /// After.
        new: NodeTerms,
    },
    /// A node has gone.
    NodeGone(NodeTerms),
    /// A claim has come, or is another.
    ClaimChanged {
        /// Which.
        key: Key,
        /// Whether it is new.
        added: bool,
    },
    /// A volume has come, or is another.
    VolumeChanged {
        /// Whether it is new.
        added: bool,
        /// Whether its zones are others.
        moved: bool,
    },
    /// A storage class has come, or is another.
    ClassChanged {
        /// Whether it is new.
        added: bool,
        /// Whether volumes are made for other nodes.
        moved: bool,
        /// Whether its claims wait for a pod.
        waits: bool,
    },
}

/// Plugins that look at one node at a time.
const PER_NODE: [Plugin; 6] = [
    Plugin::NodeUnschedulable,
    Plugin::NodeName,
    Plugin::TaintToleration,
    Plugin::NodeAffinity,
    Plugin::NodePorts,
    Plugin::NodeResourcesFit,
];
const VOLUMES: [Plugin; 3] = [Plugin::VolumeRestrictions, Plugin::VolumeBinding, Plugin::VolumeZone];
const ACROSS_NODES: [Plugin; 2] = [Plugin::PodTopologySpread, Plugin::InterPodAffinity];

impl Happening {
    /// As the explanation of a cycle names it.
    pub fn label(&self) -> &'static str {
        match self {
            Happening::PodPlaced(_) => "AssignedPodAdd",
            Happening::PodChanged { .. } => "AssignedPodUpdate",
            Happening::PodGone(_) => "AssignedPodDelete",
            Happening::Itself { .. } => "UnscheduledPodUpdate",
            Happening::NodeAdded(..) => "NodeAdd",
            Happening::NodeChanged { .. } => "NodeUpdate",
            Happening::NodeGone(_) => "NodeDelete",
            Happening::ClaimChanged { added: true, .. } => "PersistentVolumeClaimAdd",
            Happening::ClaimChanged { .. } => "PersistentVolumeClaimUpdate",
            Happening::VolumeChanged { added: true, .. } => "PersistentVolumeAdd",
            Happening::VolumeChanged { .. } => "PersistentVolumeUpdate",
            Happening::ClassChanged { added: true, .. } => "storage.k8s.io/StorageClassAdd",
            Happening::ClassChanged { .. } => "storage.k8s.io/StorageClassUpdate",
        }
    }

    /// The plugins that may think better of a pod after it.
    pub(super) fn concerns(&self) -> Vec<Plugin> {
        match self {
            Happening::PodPlaced(_) | Happening::NodeGone(_) => ACROSS_NODES.to_vec(),
            Happening::PodChanged { .. } => [&ACROSS_NODES[..], &[Plugin::NodeResourcesFit]].concat(),
            Happening::PodGone(_) => {
                let alone = [Plugin::NodePorts, Plugin::NodeResourcesFit, Plugin::VolumeRestrictions];
                [&alone[..], &ACROSS_NODES[..]].concat()
            }
            Happening::Itself { .. } => [&PER_NODE[..], &ACROSS_NODES[..]].concat(),
            Happening::NodeAdded(..) => [&PER_NODE[..], &VOLUMES[..], &ACROSS_NODES[..]].concat(),
            Happening::ClaimChanged { added: true, .. } => VOLUMES.to_vec(),
            Happening::ClaimChanged { .. } | Happening::VolumeChanged { .. } | Happening::ClassChanged { .. } => {
                vec![Plugin::VolumeBinding, Plugin::VolumeZone]
            }
            Happening::NodeChanged { old, new, .. } => {
                let mut plugins = Vec::new();
                if old.unschedulable && !new.unschedulable {
                    plugins.push(Plugin::NodeUnschedulable);
                }
                if old.taints != new.taints {
                    plugins.extend([Plugin::TaintToleration, Plugin::PodTopologySpread]);
                }
                if old.labels != new.labels {
                    plugins.extend([Plugin::NodeAffinity, Plugin::VolumeBinding, Plugin::VolumeZone]);
                    plugins.extend([Plugin::PodTopologySpread, Plugin::InterPodAffinity]);
                }
                if old.allocatable != new.allocatable || old.pods != new.pods {
                    plugins.push(Plugin::NodeResourcesFit);
                }
                plugins.dedup();
                plugins
            }
        }
    }

    /// Whether `plugin`, which rejected `pod`, may think better of it now.
    pub(super) fn helps(&self, plugin: Plugin, pod: &PodInfo, profile: &Profile, cache: &Cache) -> bool {
        let hint = Hint { pod, profile, cache };
        match plugin {
            Plugin::NodeUnschedulable => hint.unschedulable(self),
            Plugin::NodeName => {
                matches!(self, Happening::NodeAdded(name, _) if pod.terms().node_name.as_ref() == Some(name))
            }
            Plugin::TaintToleration => hint.taints(self),
            Plugin::NodeAffinity => hint.node_affinity(self),
            Plugin::NodePorts => hint.ports(self),
            Plugin::NodeResourcesFit => hint.fit(self),
            Plugin::PodTopologySpread => hint.spread(self),
            Plugin::InterPodAffinity => hint.pod_affinity(self),
            Plugin::VolumeRestrictions => hint.volume_restrictions(self),
            Plugin::VolumeBinding => hint.volume_binding(self),
            Plugin::VolumeZone => hint.volume_zone(self),
            Plugin::Own(_) => true,
            _ => false,
        }
    }
}

struct Hint<'a> {
    pod: &'a PodInfo,
    profile: &'a Profile,
    cache: &'a Cache,
}

impl Hint<'_> {
    fn unschedulable(&self, happening: &Happening) -> bool {
        match happening {
            Happening::NodeAdded(_, node) => !node.unschedulable,
            Happening::NodeChanged { old, new, .. } => old.unschedulable && !new.unschedulable,
            Happening::Itself { old, new } => {
                let cordon = Taint { key: UNSCHEDULABLE.into(), value: "".into(), effect: Effect::NoSchedule };
                let tolerates = |pod: &PodInfo| tolerated(&cordon, &pod.terms().tolerations);
                !tolerates(old) && tolerates(new)
            }
            _ => false,
        }
    }

    fn taints(&self, happening: &Happening) -> bool {
        let tolerates = |node: &NodeTerms| {
            node.taints.iter().all(|taint| !taint.effect.forbids() || tolerated(taint, &self.pod.terms().tolerations))
        };
        match happening {
            Happening::NodeAdded(_, node) => tolerates(node),
            Happening::NodeChanged { old, new, .. } => !tolerates(old) && tolerates(new),
            Happening::Itself { old, new } => old.terms().tolerations != new.terms().tolerations,
            _ => false,
        }
    }

    fn node_affinity(&self, happening: &Happening) -> bool {
        let args = &self.profile.args.node_affinity;
        let suits = |name: &Name, node: &NodeTerms| {
            let mut demands = self.pod.terms().required_nodes.iter().chain(&args.required);
            demands.all(|demand| demand.matches(name, &node.labels))
        };
        match happening {
            Happening::NodeAdded(name, node) => suits(name, node),
            Happening::NodeChanged { name, old, new } => !suits(name, old) && suits(name, new),
            Happening::Itself { old, new } => old.terms().required_nodes != new.terms().required_nodes,
            _ => false,
        }
    }

    /// Whether the pod uses the claim.
    fn uses(&self, claim: &Key) -> bool {
        claim.namespace == *self.pod.namespace() && self.pod.terms().claims.contains(&claim.name)
    }

    fn volume_restrictions(&self, happening: &Happening) -> bool {
        match happening {
            Happening::NodeAdded(..) => true,
            Happening::ClaimChanged { key, added } => *added && self.uses(key),
            Happening::PodGone(other) => {
                other.namespace() == self.pod.namespace()
                    && other.terms().claims.iter().any(|claim| self.pod.terms().claims.contains(claim))
            }
            _ => false,
        }
    }

    fn volume_binding(&self, happening: &Happening) -> bool {
        match happening {
            Happening::NodeAdded(..) | Happening::VolumeChanged { .. } => true,
            Happening::NodeChanged { old, new, .. } => old.labels != new.labels,
            Happening::ClaimChanged { key, .. } => self.uses(key),
            Happening::ClassChanged { added, moved, .. } => *added || *moved,
            _ => false,
        }
    }

    fn volume_zone(&self, happening: &Happening) -> bool {
        match happening {
            Happening::NodeAdded(..) => true,
            Happening::NodeChanged { old, new, .. } => old.labels != new.labels,
            Happening::ClaimChanged { key, .. } => self.uses(key),
            Happening::VolumeChanged { added, moved } => *added || *moved,
            Happening::ClassChanged { added, waits, .. } => *added && *waits,
            _ => false,
        }
    }

    fn ports(&self, happening: &Happening) -> bool {
        match happening {
            Happening::NodeAdded(..) => true,
            Happening::PodGone(gone) => {
                let taken = &gone.terms().host_ports;
                self.pod.terms().host_ports.iter().any(|port| taken.iter().any(|other| port.conflicts(other)))
            }
            _ => false,
        }
    }

    fn fit(&self, happening: &Happening) -> bool {
        let args = &self.profile.args.fit;
        let asked = &self.pod.terms().requests.effective;
        match happening {
            Happening::PodGone(_) => true,
            Happening::PodChanged { old, new } | Happening::Itself { old, new } => {
                let (old, new) = (&old.terms().requests.effective, &new.terms().requests.effective);
                asked.cpu > 0 && new.cpu < old.cpu
                    || asked.memory > 0 && new.memory < old.memory
                    || asked.ephemeral > 0 && new.ephemeral < old.ephemeral
                    || asked.scalars.iter().any(|(name, _)| new.scalar(name) < old.scalar(name))
            }
            Happening::NodeAdded(_, node) => fits_empty(self.pod.terms(), args, node),
            Happening::NodeChanged { old, new, .. } => {
                let (before, after) = (&old.allocatable, &new.allocatable);
                let more = new.pods > old.pods
                    || asked.cpu > 0 && after.cpu > before.cpu
                    || asked.memory > 0 && after.memory > before.memory
                    || asked.ephemeral > 0 && after.ephemeral > before.ephemeral
                    || asked.scalars.iter().any(|(name, _)| after.scalar(name) > before.scalar(name));
                more && fits_empty(self.pod.terms(), args, new)
            }
            _ => false,
        }
    }

    fn spread(&self, happening: &Happening) -> bool {
        let own = &self.pod.terms().spread;
        let default = if own.is_empty() { self.cache.owners.selector(self.pod) } else { None };
        let all: &[SpreadConstraint] = if default.is_some() { &self.profile.args.spread.defaults } else { own };
        let hard = || all.iter().filter(|constraint| constraint.hard);
        let selector = |constraint: &SpreadConstraint| -> Selector {
            default.clone().unwrap_or_else(|| constraint.selector_for(&self.pod.labels))
        };
        let here = |pod: &PodInfo| pod.namespace() == self.pod.namespace();
        let counts = |pod: &PodInfo| hard().any(|constraint| selector(constraint).matches(&pod.labels));
        let complete = |labels: &Labels| hard().all(|constraint| labels.contains_key(&constraint.topology_key));
        match happening {
            Happening::PodPlaced(pod) | Happening::PodGone(pod) => here(pod) && counts(pod),
            Happening::PodChanged { old, new } | Happening::Itself { old, new } => {
                here(new)
                    && old.labels != new.labels
                    && hard().any(|constraint| {
                        let selector = selector(constraint);
                        selector.matches(&old.labels) != selector.matches(&new.labels)
                    })
            }
            Happening::NodeAdded(_, node) | Happening::NodeGone(node) => complete(&node.labels),
            Happening::NodeChanged { old, new, .. } => {
                let value = |node: &NodeTerms, key: &Name| node.labels.get(key).cloned();
                let moved = || hard().any(|c| value(old, &c.topology_key) != value(new, &c.topology_key));
                let taints = || old.taints != new.taints && hard().any(|constraint| constraint.honor_taints);
                (complete(&old.labels) || complete(&new.labels)) && (moved() || taints())
            }
            Happening::ClaimChanged { .. } | Happening::VolumeChanged { .. } | Happening::ClassChanged { .. } => false,
        }
    }

    fn pod_affinity(&self, happening: &Happening) -> bool {
        let affinity = self.pod.terms().affinity.as_deref();
        let near = affinity.map_or(&[][..], |affinity| &affinity.required);
        let away = affinity.map_or(&[][..], |affinity| &affinity.required_anti);
        let means = |term: &AffinityTerm, pod: &PodInfo| self.cache.means(self.pod.namespace(), term, pod);
        let wanted = |pod: &PodInfo| !near.is_empty() && near.iter().all(|term| means(term, pod));
        let unwanted = |pod: &PodInfo| away.iter().any(|term| means(term, pod));
        // Whether the other wants this one away.
        let averse = |other: &PodInfo| {
            let labels = self.cache.namespace_labels(self.pod.namespace());
            let terms = other.terms().affinity.as_ref().map_or(&[][..], |affinity| &affinity.required_anti);
            let own = self.pod.namespace();
            terms.iter().any(|term| term.matches(other.namespace(), own, labels, &self.pod.labels))
        };
        match happening {
            Happening::PodPlaced(pod) => wanted(pod),
            Happening::PodGone(pod) => unwanted(pod) || averse(pod),
            Happening::PodChanged { old, new } => !wanted(old) && wanted(new) || unwanted(old) && !unwanted(new),
            Happening::Itself { old, new } => old.labels != new.labels,
            Happening::NodeAdded(_, node) => near.iter().all(|term| node.labels.contains_key(&term.topology_key)),
            Happening::NodeChanged { old, new, .. } => {
                let keys = near.iter().chain(away).map(|term| &term.topology_key);
                let moved = |key: &Name| old.labels.get(key) != new.labels.get(key);
                affinity.is_none() || keys.into_iter().any(moved)
            }
            Happening::NodeGone(_)
            | Happening::ClaimChanged { .. }
            | Happening::VolumeChanged { .. }
            | Happening::ClassChanged { .. } => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objects::PodSpec;
    use serde_json::json;

    #[test]
    fn a_pod_with_claims_is_woken_by_what_concerns_them() {
        let volumes = json!([{"name": "v", "persistentVolumeClaim": {"claimName": "c"}}]);
        let spec = PodSpec::new(serde_json::from_value(json!({"containers": [], "volumes": volumes})).expect("a spec"));
        let pod = PodInfo::plain("ns", "p", 1, Labels::new(), spec);
        let (profile, cache) = (Profile::default(), Cache::default());
        let woken = |happening: Happening| {
            let concerned = happening.concerns().into_iter();
            let helped = concerned.filter(|plugin| happening.helps(*plugin, &pod, &profile, &cache));
            helped.filter(|plugin| VOLUMES.contains(plugin)).collect::<Vec<_>>()
        };
        let claim = |name: &str, added| Happening::ClaimChanged { key: Key::new("ns", name), added };
        assert_eq!(woken(claim("c", true)), VOLUMES);
        assert_eq!(woken(claim("c", false)), [Plugin::VolumeBinding, Plugin::VolumeZone]);
        assert_eq!(woken(claim("d", true)), []);
        let volume = |added, moved| Happening::VolumeChanged { added, moved };
        assert_eq!(woken(volume(false, false)), [Plugin::VolumeBinding]);
        assert_eq!(woken(volume(false, true)), [Plugin::VolumeBinding, Plugin::VolumeZone]);
        let class = |added, moved| Happening::ClassChanged { added, moved, waits: false };
        assert_eq!((woken(class(true, false)), woken(class(false, false))), (vec![Plugin::VolumeBinding], vec![]));
        assert_eq!(woken(Happening::PodGone(Arc::new(pod.clone()))), [Plugin::VolumeRestrictions]);
    }
}
