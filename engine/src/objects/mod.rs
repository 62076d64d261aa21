//! API objects: metadata, quantities, selectors, each kind; their JSON; decoding from manifests.
//!
//! A spec is stored once, immutable, behind an `Arc`, with what the hot paths need computed once; metadata and status, which change all
//! the time, are compact structs of our own. JSON exists only at the edge: what a person sent or will see.

pub mod calendar;
pub mod compact;
pub mod condition;
pub mod decode;
pub mod event;
pub mod json;
pub mod kind;
pub mod labels;
pub mod meta;
pub mod node;
pub mod pod;
pub mod pod_terms;
pub mod quantity;
pub mod selector;
pub mod small;
pub mod suffix;
pub mod template_hash;
pub mod text;
pub mod workload;

pub use condition::{Condition, ConditionStatus};
pub use event::{EventObject, EventType, ObjectReference};
pub use kind::Kind;
pub use labels::Labels;
pub use meta::{Deletion, Key, Name, ObjectMeta, OwnerReference, Uid, UidWords};
pub use node::Node;
pub use pod::{ContainerState, ContainerStatus, Phase, Pod, PodSpec, PodStatus, PodTemplate};
pub use small::{ConfigMap, Lease, Namespace, ServiceAccount};
pub use text::Text;
pub use workload::{Deployment, DeploymentSpec, DeploymentStatus, ReplicaSet, ReplicaSetSpec, ReplicaSetStatus};

/// Any API object.
#[derive(Clone, PartialEq, Debug)]
#[allow(missing_docs)]
pub enum Object {
    Pod(Pod),
    Node(Node),
    Namespace(Namespace),
    Event(EventObject),
    ConfigMap(ConfigMap),
    ServiceAccount(ServiceAccount),
    Deployment(Deployment),
    ReplicaSet(ReplicaSet),
    Lease(Lease),
}

impl Object {
    /// Its kind.
    pub fn kind(&self) -> Kind {
        match self {
            Object::Pod(_) => Kind::Pod,
            Object::Node(_) => Kind::Node,
            Object::Namespace(_) => Kind::Namespace,
            Object::Event(_) => Kind::Event,
            Object::ConfigMap(_) => Kind::ConfigMap,
            Object::ServiceAccount(_) => Kind::ServiceAccount,
            Object::Deployment(_) => Kind::Deployment,
            Object::ReplicaSet(_) => Kind::ReplicaSet,
            Object::Lease(_) => Kind::Lease,
        }
    }

    /// Its metadata.
    pub fn meta(&self) -> &ObjectMeta {
        match self {
            Object::Pod(object) => &object.meta,
            Object::Node(object) => &object.meta,
            Object::Namespace(object) => &object.meta,
            Object::Event(object) => &object.meta,
            Object::ConfigMap(object) => &object.meta,
            Object::ServiceAccount(object) => &object.meta,
            Object::Deployment(object) => &object.meta,
            Object::ReplicaSet(object) => &object.meta,
            Object::Lease(object) => &object.meta,
        }
    }

    /// Its metadata, to change.
    pub fn meta_mut(&mut self) -> &mut ObjectMeta {
        match self {
            Object::Pod(object) => &mut object.meta,
            Object::Node(object) => &mut object.meta,
            Object::Namespace(object) => &mut object.meta,
            Object::Event(object) => &mut object.meta,
            Object::ConfigMap(object) => &mut object.meta,
            Object::ServiceAccount(object) => &mut object.meta,
            Object::Deployment(object) => &mut object.meta,
            Object::ReplicaSet(object) => &mut object.meta,
            Object::Lease(object) => &mut object.meta,
        }
    }

    /// Namespace and name.
    pub fn key(&self) -> Key {
        self.meta().key()
    }

    /// The pod, if it is one.
    pub fn as_pod(&self) -> Option<&Pod> {
        if let Object::Pod(pod) = self { Some(pod) } else { None }
    }

    /// The node, if it is one.
    pub fn as_node(&self) -> Option<&Node> {
        if let Object::Node(node) = self { Some(node) } else { None }
    }

    /// The deployment, if it is one.
    pub fn as_deployment(&self) -> Option<&Deployment> {
        if let Object::Deployment(deployment) = self { Some(deployment) } else { None }
    }

    /// The replica set, if it is one.
    pub fn as_replica_set(&self) -> Option<&ReplicaSet> {
        if let Object::ReplicaSet(set) = self { Some(set) } else { None }
    }

    /// A reference to this object for an event.
    pub fn reference(&self) -> ObjectReference {
        let meta = self.meta();
        ObjectReference {
            kind: self.kind(),
            namespace: meta.namespace.clone(),
            name: meta.name.clone(),
            uid: meta.uid,
            resource_version: meta.resource_version,
            field_path: None,
        }
    }
}
