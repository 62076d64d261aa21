//! What the scheduler and the kubelets need to know of a pod, computed once and shared by all pods of a template.
//!
//! Models: kubernetes v1.36.2 pkg/scheduler/framework/types.go (PodInfo), pkg/scheduler/util/utils.go (GetHostPorts),
//! pkg/scheduler/framework/plugins/imagelocality/image_locality.go (normalizedImageName).

use std::sync::Arc;

use k8s_openapi::api::core::v1 as api;

use super::meta::Name;

pub mod affinity;
pub mod node_selector;
pub mod requests;
pub mod spread;
pub mod tolerations;

pub use affinity::{AffinityTerm, PodAffinity};
pub use node_selector::{PreferredNodes, RequiredNodes};
pub use requests::{CpuMemory, PodRequests, QosClass, Resources};
pub use spread::SpreadConstraint;
pub use tolerations::{Effect, Taint, Toleration};

use requests::is_sidecar;

/// The terms on which a pod can run on a node.
#[derive(Clone, PartialEq, Debug)]
pub struct PodTerms {
    /// How much it asks for.
    pub requests: PodRequests,
    /// Ports of the node it takes.
    pub host_ports: Arc<[HostPort]>,
    /// Taints it disregards.
    pub tolerations: Arc<[Toleration]>,
    /// Nodes it may run on; `None`: all.
    pub required_nodes: Option<RequiredNodes>,
    /// Nodes it would like to run on.
    pub preferred_nodes: Arc<[PreferredNodes]>,
    /// What it demands of and wishes for other pods near it.
    pub affinity: Option<Arc<PodAffinity>>,
    /// How its group is to be spread.
    pub spread: Arc<[SpreadConstraint]>,
    /// What must be taken away before it is scheduled at all.
    pub gates: Arc<[Name]>,
    /// Who places it; `default-scheduler` if it does not say.
    pub scheduler: Name,
    /// Images of init containers, containers and image volumes, with their tags.
    pub images: Arc<[Name]>,
    /// Claims it uses, in the order of its volumes.
    pub claims: Arc<[Name]>,
    /// Number of init and app containers.
    pub containers: u32,
    /// The node it is bound to or insists on.
    pub node_name: Option<Name>,
    /// Priority.
    pub priority: i32,
    /// Whether it may push out pods of lower priority.
    pub preempts: bool,
    /// QoS class.
    pub qos: QosClass,
}

/// A port of the node that a container takes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HostPort {
    /// Address; `0.0.0.0` is all of them.
    pub ip: Name,
    /// Protocol.
    pub protocol: Protocol,
    /// Port.
    pub port: i32,
}

/// Transport protocol.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
}

/// The scheduler of pods that name none.
pub const DEFAULT_SCHEDULER: &str = "default-scheduler";
const ALL_ADDRESSES: &str = "0.0.0.0";

impl PodTerms {
    /// The terms of a pod. What is invalid, and hence refused by the API server, counts as absent.
    pub fn of(spec: &api::PodSpec) -> PodTerms {
        let init = spec.init_containers.as_deref().unwrap_or_default();
        let volumes = spec.volumes.iter().flatten().filter_map(|volume| volume.image.as_ref()?.reference.as_deref());
        let images = init.iter().chain(&spec.containers).filter_map(|container| container.image.as_deref());
        let ports = spec.containers.iter().chain(init.iter().filter(|container| is_sidecar(container)));
        PodTerms {
            requests: PodRequests::of(spec),
            host_ports: ports.flat_map(|container| container.ports.iter().flatten()).filter_map(HostPort::of).collect(),
            tolerations: spec.tolerations.iter().flatten().filter_map(Toleration::from_api).collect(),
            required_nodes: RequiredNodes::of(spec),
            preferred_nodes: PreferredNodes::of(spec),
            affinity: PodAffinity::of(spec),
            spread: SpreadConstraint::of(spec),
            gates: spec.scheduling_gates.iter().flatten().map(|gate| Name::from(gate.name.as_str())).collect(),
            scheduler: spec
                .scheduler_name
                .as_deref()
                .filter(|name| !name.is_empty())
                .unwrap_or(DEFAULT_SCHEDULER)
                .into(),
            images: images.chain(volumes).map(with_tag).collect(),
            claims: claims(spec).map(Name::from).collect(),
            containers: (init.len() + spec.containers.len()) as u32,
            node_name: spec.node_name.as_deref().filter(|name| !name.is_empty()).map(Name::from),
            priority: spec.priority.unwrap_or(0),
            preempts: spec.preemption_policy.as_deref() != Some("Never"),
            qos: QosClass::of(spec),
        }
    }
}

impl HostPort {
    fn of(port: &api::ContainerPort) -> Option<HostPort> {
        let ip = port.host_ip.as_deref().filter(|ip| !ip.is_empty()).unwrap_or(ALL_ADDRESSES);
        let protocol = match port.protocol.as_deref() {
            Some("UDP") => Protocol::Udp,
            Some("SCTP") => Protocol::Sctp,
            _ => Protocol::Tcp,
        };
        port.host_port.filter(|port| *port > 0).map(|port| HostPort { ip: ip.into(), protocol, port })
    }

    /// Whether the two cannot be taken on one node.
    pub fn conflicts(&self, other: &HostPort) -> bool {
        self.port == other.port
            && self.protocol == other.protocol
            && (self.ip == other.ip || &*self.ip == ALL_ADDRESSES || &*other.ip == ALL_ADDRESSES)
    }
}

fn claims(spec: &api::PodSpec) -> impl Iterator<Item = &str> {
    spec.volumes
        .iter()
        .flatten()
        .filter_map(|volume| Some(volume.persistent_volume_claim.as_ref()?.claim_name.as_str()))
}

/// The name under which nodes report an image: with `:latest` if it has no tag.
pub fn with_tag(image: &str) -> Name {
    let after_path = image.rsplit('/').next().unwrap_or(image);
    if after_path.contains(':') { image.into() } else { format!("{image}:latest").into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn ports_of_sidecars_count_and_those_of_other_init_containers_do_not() {
        let port = |port: i32| json!([{"containerPort": 80, "hostPort": port}, {"containerPort": 81}]);
        let pod = json!({
            "initContainers": [
                {"name": "a", "ports": port(1), "restartPolicy": "Always"},
                {"name": "b", "ports": port(2)},
            ],
            "containers": [{"name": "c", "ports": port(3), "image": "nginx"}],
        });
        let terms = PodTerms::of(&serde_json::from_value(pod).expect("a pod spec"));
        let ports: Vec<i32> = terms.host_ports.iter().map(|port| port.port).collect();
        assert_eq!((ports, terms.containers), (vec![3, 1], 3));
        assert_eq!(&*terms.images, [Name::from("nginx:latest")]);
    }

    #[test]
    fn a_port_of_all_addresses_conflicts_with_the_same_port_of_any() {
        let port = |ip: &str, protocol, port| HostPort { ip: ip.into(), protocol, port };
        let all = port("0.0.0.0", Protocol::Tcp, 80);
        let one = port("10.0.0.1", Protocol::Tcp, 80);
        assert!(all.conflicts(&one) && one.conflicts(&all));
        assert!(!one.conflicts(&port("10.0.0.2", Protocol::Tcp, 80)));
        assert!(!all.conflicts(&port("0.0.0.0", Protocol::Udp, 80)));
    }

    #[test]
    fn an_image_without_a_tag_means_the_latest() {
        assert_eq!(&*with_tag("reg:5000/a/b"), "reg:5000/a/b:latest");
        assert_eq!(&*with_tag("reg:5000/a/b:1"), "reg:5000/a/b:1");
        // A digest holds a colon, which upstream takes for a tag's.
        assert_eq!(&*with_tag("a@sha256:00"), "a@sha256:00");
    }
}
