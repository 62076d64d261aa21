//! Nodes.
//!
//! Models: kubernetes v1.36.2 staging/src/k8s.io/api/core/v1/types.go (Node). Left out: volumes in use, config status, runtime handlers.

use std::sync::Arc;

use super::condition::{self, Condition};
use super::meta::{Name, ObjectMeta};
use super::text::Text;
use crate::kernel::Instant;

/// A node.
#[derive(Clone, PartialEq, Debug)]
pub struct Node {
    /// Metadata.
    pub meta: ObjectMeta,
    /// `spec.podCIDR`; empty for none.
    pub pod_cidr: Name,
    /// `spec.unschedulable`.
    pub unschedulable: bool,
    /// `spec.taints`.
    pub taints: Arc<[Taint]>,
    /// What the kubelet reports.
    pub status: NodeStatus,
}

/// A taint.
#[derive(Clone, PartialEq, Debug)]
pub struct Taint {
    /// Key.
    pub key: Name,
    /// Value; empty for none.
    pub value: Name,
    /// What it does to pods that do not tolerate it.
    pub effect: Text,
    /// When it was added, where the adder says so.
    pub added: Option<Instant>,
}

/// What the kubelet reports of its node.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct NodeStatus {
    /// Resource name and quantity, as the kubelet writes it.
    pub capacity: Arc<[(Name, Name)]>,
    /// What pods may use.
    pub allocatable: Arc<[(Name, Name)]>,
    /// Conditions.
    pub conditions: Vec<Condition>,
    /// `InternalIP`.
    pub internal_ip: Option<std::net::Ipv4Addr>,
    /// Images on the node: names and size in bytes.
    pub images: Arc<[NodeImage]>,
}

/// An image on a node.
#[derive(Clone, PartialEq, Debug)]
pub struct NodeImage {
    /// All its names.
    pub names: Arc<[Name]>,
    /// Size. [bytes]
    pub size: u64,
}

impl Node {
    /// Whether the `Ready` condition holds.
    pub fn ready(&self) -> bool {
        self.condition("Ready").is_some_and(Condition::holds)
    }

    /// A condition of the node.
    pub fn condition(&self, kind: &str) -> Option<&Condition> {
        condition::find(&self.status.conditions, kind)
    }
}
