//! What the scheduler knows of one node: what it offers, and what its pods take of it.
//!
//! Models: kubernetes v1.36.2 pkg/scheduler/framework/types.go (NodeInfo). Left out: volumes and claims in use,
//! declared features.

use std::sync::Arc;

use super::pod_info::PodInfo;
use crate::objects::labels::Labels;
use crate::objects::meta::Name;
use crate::objects::meta::Uid;
use crate::objects::node::Node;
use crate::objects::pod_terms::{CpuMemory, HostPort, Resources, Taint};

/// One node in the scheduler's cache.
#[derive(Clone, Debug)]
pub struct NodeInfo {
    name: Name,
    /// `None`: pods are known to be there, the node itself is not (yet, or any more).
    terms: Option<NodeTerms>,
    /// Sum of the pods' effective requests.
    requested: Requested,
    /// Sum of the pods' requests with defaults.
    nonzero: CpuMemory,
    /// In the order of their coming, but for the last one, which takes the place of one that leaves.
    pods: Vec<Arc<PodInfo>>,
    /// Ports taken, each once: as upstream, a pod that leaves frees its ports even if another has the same.
    ports: Vec<HostPort>,
}

/// What a node offers and demands.
#[derive(Clone, PartialEq, Debug)]
pub struct NodeTerms {
    /// Labels.
    pub labels: Arc<Labels>,
    /// Taints.
    pub taints: Arc<[Taint]>,
    /// Whether it is cordoned.
    pub unschedulable: bool,
    /// What pods may use.
    pub allocatable: Resources,
    /// How many pods may run.
    pub pods: i64,
    /// Images it has, by every name, with their sizes. [bytes]
    pub images: Arc<[(Name, i64)]>,
}

/// A changing sum of resources; the scalar ones by name, once there have been any.
#[derive(Clone, Debug, Default)]
struct Requested {
    cpu: i64,
    memory: i64,
    ephemeral: i64,
    scalars: Vec<(Name, i64)>,
}

impl NodeTerms {
    /// The terms of a node. Taints whose effect is unknown are left out, as are amounts that cannot be read.
    pub fn of(node: &Node) -> NodeTerms {
        let allocatable = || node.status.allocatable.iter().map(|(name, quantity)| (&**name, &**quantity));
        let pods = allocatable().filter(|(name, _)| *name == "pods").map(|(_, quantity)| ("memory", quantity));
        let taint =
            |taint: &crate::objects::node::Taint| Taint::new(taint.key.clone(), taint.value.clone(), &taint.effect);
        let images = node.status.images.iter().flat_map(|image| {
            let size = i64::try_from(image.size).unwrap_or(i64::MAX);
            image.names.iter().map(move |name| (name.clone(), size))
        });
        NodeTerms {
            labels: node.meta.labels.clone(),
            taints: node.taints.iter().filter_map(taint).collect(),
            unschedulable: node.unschedulable,
            allocatable: Resources::of(allocatable()),
            // Pods are counted in whole units, as memory is.
            pods: Resources::of(pods).memory,
            images: images.collect(),
        }
    }
}

impl NodeInfo {
    /// A node of which only the name is known.
    pub fn unknown(name: Name) -> Self {
        NodeInfo {
            name,
            terms: None,
            requested: Requested::default(),
            nonzero: CpuMemory::default(),
            pods: Vec::new(),
            ports: Vec::new(),
        }
    }

    /// Its name.
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// What it offers; `None` for a node that is not there.
    pub fn terms(&self) -> Option<&NodeTerms> {
        self.terms.as_ref()
    }

    /// Replaces what it offers; gives what it offered.
    pub fn set_terms(&mut self, terms: Option<NodeTerms>) -> Option<NodeTerms> {
        std::mem::replace(&mut self.terms, terms)
    }

    /// Counts a pod that is bound to, assumed on or promised the node.
    pub fn add_pod(&mut self, pod: Arc<PodInfo>) {
        self.count(&pod, 1);
        for port in &*pod.terms().host_ports {
            if !self.ports.contains(port) {
                self.ports.push(port.clone());
            }
        }
        self.pods.push(pod);
    }

    /// Forgets a pod; gives what was known of it.
    pub fn remove_pod(&mut self, pod: Uid) -> Option<Arc<PodInfo>> {
        let place = self.pods.iter().position(|other| other.uid == pod)?;
        let pod = self.pods.swap_remove(place);
        self.count(&pod, -1);
        for port in &*pod.terms().host_ports {
            if let Some(at) = self.ports.iter().position(|taken| taken == port) {
                self.ports.swap_remove(at);
            }
        }
        Some(pod)
    }

    /// Its pods.
    pub fn pods(&self) -> &[Arc<PodInfo>] {
        &self.pods
    }

    /// Sum of the pods' requests, without scalar resources.
    pub fn requested(&self) -> (CpuMemory, i64) {
        let Requested { cpu, memory, ephemeral, .. } = self.requested;
        (CpuMemory { cpu, memory }, ephemeral)
    }

    /// Sum of the pods' requests of a scalar resource.
    pub fn requested_scalar(&self, name: &str) -> i64 {
        self.requested.scalars.iter().find(|(other, _)| **other == *name).map_or(0, |(_, amount)| *amount)
    }

    /// Sums of the pods' requests of scalar resources, by name.
    pub fn requested_scalars(&self) -> &[(Name, i64)] {
        &self.requested.scalars
    }

    /// Sum of the pods' requests, with a default for each container that names none.
    pub fn nonzero(&self) -> CpuMemory {
        self.nonzero
    }

    /// Ports its pods take.
    pub fn ports(&self) -> &[HostPort] {
        &self.ports
    }

    fn count(&mut self, pod: &PodInfo, sign: i64) {
        let pod = pod.terms();
        // Sums wrap as upstream's do: nothing stops a user from asking for more than 64 bits can count.
        let change = |sum: &mut i64, amount: i64| *sum = sum.wrapping_add(sign.wrapping_mul(amount));
        let asked = &pod.requests.effective;
        change(&mut self.requested.cpu, asked.cpu);
        change(&mut self.requested.memory, asked.memory);
        change(&mut self.requested.ephemeral, asked.ephemeral);
        for (name, amount) in &*asked.scalars {
            match self.requested.scalars.iter_mut().find(|(other, _)| other == name) {
                Some((_, sum)) => change(sum, *amount),
                None => self.requested.scalars.push((name.clone(), sign.wrapping_mul(*amount))),
            }
        }
        change(&mut self.nonzero.cpu, pod.requests.nonzero.cpu);
        change(&mut self.nonzero.memory, pod.requests.nonzero.memory);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_node_object_is_read_once() {
        let pair = |name: &str, quantity: &str| (Name::from(name), Name::from(quantity));
        let taint = |effect: &'static str| crate::objects::node::Taint {
            key: "k".into(),
            value: "".into(),
            effect: effect.into(),
            added: None,
        };
        let status = crate::objects::node::NodeStatus {
            allocatable: [pair("cpu", "3920m"), pair("memory", "7Gi"), pair("pods", "110"), pair("a.io/b", "x")].into(),
            images: [crate::objects::node::NodeImage { names: ["a:1".into(), "b:1".into()].into(), size: 7 }].into(),
            ..Default::default()
        };
        let node = Node {
            meta: crate::objects::meta::ObjectMeta::named("", "n"),
            pod_cidr: "".into(),
            unschedulable: true,
            taints: [taint("NoExecute"), taint("Never")].into(),
            status,
        };
        let terms = NodeTerms::of(&node);
        assert_eq!((terms.allocatable.cpu, terms.allocatable.memory, terms.pods), (3_920, 7 << 30, 110));
        assert_eq!((terms.allocatable.scalars.len(), terms.taints.len(), terms.unschedulable), (0, 1, true));
        assert_eq!(&*terms.images, [("a:1".into(), 7), ("b:1".into(), 7)]);
    }

    #[test]
    fn removing_a_pod_undoes_adding_it() {
        let pod = |uid: u128, port: i32| {
            let container = json!({
                "name": "c",
                "ports": [{"containerPort": 80, "hostPort": port}],
                "resources": {"requests": {"cpu": "1", "example.com/gpu": "2"}},
            });
            let spec = serde_json::from_value(json!({"containers": [container]})).expect("a pod spec");
            Arc::new(PodInfo::plain("ns", "p", uid, Default::default(), crate::objects::PodSpec::new(spec)))
        };
        let (low, high) = (pod(1, 80), pod(2, 81));
        let mut node = NodeInfo::unknown("n".into());
        node.add_pod(high.clone());
        node.add_pod(low);
        assert_eq!((node.pods().len(), node.requested_scalar("example.com/gpu")), (2, 4));
        assert!(node.remove_pod(Uid(1)).is_some());
        assert_eq!((node.requested().0.cpu, node.nonzero().memory), (1_000, 200 << 20));
        assert_eq!(node.ports(), &*high.terms().host_ports);
        assert!(node.remove_pod(Uid(2)).is_some() && node.remove_pod(Uid(2)).is_none());
        assert_eq!(
            (node.pods().len(), node.requested(), node.nonzero()),
            (0, (CpuMemory::default(), 0), CpuMemory::default())
        );
    }
}
