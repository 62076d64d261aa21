//! API objects: metadata, quantities, selectors, each kind; their JSON; decoding from manifests.
//!
//! A spec is stored once, immutable, behind an `Arc`, with what the hot paths need computed once; metadata and status, which change all
//! the time, are compact structs of our own. JSON exists only at the edge: what a person sent or will see.

pub mod calendar;
pub mod compact;
pub mod condition;
pub mod custom;
pub mod decode;
pub mod definition;
pub mod event;
pub mod go_json;
pub mod json;
pub mod kind;
pub mod labels;
pub mod meta;
pub mod moment;
pub mod node;
pub mod pod;
pub mod pod_terms;
pub mod quantity;
pub mod resource;
pub mod schedule;
pub mod selector;
pub mod small;
pub mod suffix;
pub mod template_hash;
pub mod text;
pub mod volume;
pub mod workload;

pub use condition::{Condition, ConditionStatus};
pub use custom::Custom;
pub use event::{EventObject, EventType, ObjectReference};
pub use kind::Kind;
pub use labels::Labels;
pub use meta::{Deletion, Key, Name, ObjectMeta, OwnerReference, Uid, UidWords};
pub use node::Node;
pub use pod::{ContainerState, ContainerStatus, Phase, Pod, PodSpec, PodStatus, PodTemplate};
pub use resource::Resource;
pub use small::{ConfigMap, Lease, Namespace, ServiceAccount};
pub use text::Text;
pub use workload::{Deployment, DeploymentSpec, DeploymentStatus, ReplicaSet, ReplicaSetSpec, ReplicaSetStatus};

use resource::{Api as _, resources};

macro_rules! objects {
    ($($variant:ident, $type:ty, $compiled:ty, $status:ident, $generation:literal;)*) => {
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
            Custom(Custom),
            $($variant(Resource<$type>),)*
        }

        /// The same expression for the object inside each variant.
        macro_rules! with_object {
            ($object:expr, $inner:ident => $body:expr) => {
                match $object {
                    Object::Pod($inner) => $body,
                    Object::Node($inner) => $body,
                    Object::Namespace($inner) => $body,
                    Object::Event($inner) => $body,
                    Object::ConfigMap($inner) => $body,
                    Object::ServiceAccount($inner) => $body,
                    Object::Deployment($inner) => $body,
                    Object::ReplicaSet($inner) => $body,
                    Object::Lease($inner) => $body,
                    Object::Custom($inner) => $body,
                    $(Object::$variant($inner) => $body,)*
                }
            };
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
                    Object::Custom(custom) => custom.kind,
                    $(Object::$variant(_) => Kind::$variant,)*
                }
            }

            /// Its metadata.
            pub fn meta(&self) -> &ObjectMeta {
                with_object!(self, object => &object.meta)
            }

            /// The JSON of an object that is kept in the field's own type, but for its metadata.
            pub(crate) fn content(&self) -> Option<serde_json::Value> {
                match self {
                    $(Object::$variant(resource) => Some(resource.content()),)*
                    _ => None,
                }
            }

            /// Whether its kind is kept in the field's own type.
            pub(crate) fn is_resource(&self) -> bool {
                matches!(self, $(Object::$variant(_))|*)
            }

            /// Whether its kind is kept in the field's own type and counts changes of what is wanted.
            pub(crate) fn counts_generation(&self) -> bool {
                match self {
                    $(Object::$variant(_) => <$type as resource::Api>::GENERATION,)*
                    _ => false,
                }
            }

            /// Takes over what `other`, of the same kind, reports: only for kinds that are kept in the field's own types.
            pub(crate) fn adopt_status(&mut self, other: &Object) {
                match (self, other) {
                    $((Object::$variant(this), Object::$variant(other)) => {
                        std::sync::Arc::make_mut(&mut this.api).adopt_status(&other.api);
                    })*
                    _ => {}
                }
            }

            /// Shares the content of `other`, of the same kind, where both are equal.
            pub(crate) fn share_content(&mut self, other: &Object) {
                match (self, other) {
                    $((Object::$variant(this), Object::$variant(other))
                        if this.api.without_status() == other.api.without_status() =>
                    {
                        (this.api, this.compiled) = (other.api.clone(), other.compiled.clone());
                    })*
                    _ => {}
                }
            }

            /// Whether both want the same: only for kinds that are kept in the field's own types.
            pub(crate) fn wants_the_same(&self, other: &Object) -> bool {
                match (self, other) {
                    $((Object::$variant(this), Object::$variant(other)) => {
                        std::sync::Arc::ptr_eq(&this.api, &other.api)
                            || this.api.without_status() == other.api.without_status()
                    })*
                    _ => true,
                }
            }

            /// Its metadata, to change.
            pub fn meta_mut(&mut self) -> &mut ObjectMeta {
                with_object!(self, object => &mut object.meta)
            }
        }

        $(impl resource::Cast for $type {
            fn cast(object: &Object) -> Option<&Resource<Self>> {
                if let Object::$variant(resource) = object { Some(resource) } else { None }
            }

            fn wrap(resource: Resource<Self>) -> Object {
                Object::$variant(resource)
            }
        })*
    };
}
resources!(objects);

impl Object {
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

    /// The object, if it is of a kind that is defined.
    pub fn as_custom(&self) -> Option<&Custom> {
        if let Object::Custom(custom) = self { Some(custom) } else { None }
    }

    /// The object in the field's own type, if it is one of that kind.
    pub fn as_resource<T: resource::Cast>(&self) -> Option<&Resource<T>> {
        T::cast(self)
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
