//! What clients and the API server say to each other.
//!
//! A request of a person's tool carries JSON; the cluster's own components send the compact form of the same content and so skip the
//! encoding, not the checks that could concern them.

use std::sync::Arc;

use serde_json::Value;

use super::patch::PatchType;
use super::status::Status;
use crate::client::Agent;
use crate::kernel::out::RecordId;
use crate::kernel::{Endpoint, Instant};
use crate::objects::node::{NodeStatus, Taint};
use crate::objects::selector::{FieldSelector, Selector};
use crate::objects::{Condition, Key, Kind, Name, Object, OwnerReference, PodStatus, Uid};

/// The verbs of the API.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
#[allow(missing_docs)]
pub enum Verb {
    Get,
    List,
    Watch,
    Create,
    Update,
    Patch,
    Delete,
    DeleteCollection,
}

impl Verb {
    /// As authorization and audit spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Verb::Get => "get",
            Verb::List => "list",
            Verb::Watch => "watch",
            Verb::Create => "create",
            Verb::Update => "update",
            Verb::Patch => "patch",
            Verb::Delete => "delete",
            Verb::DeleteCollection => "deletecollection",
        }
    }

    /// Whether it may change something.
    pub fn mutating(self) -> bool {
        !matches!(self, Verb::Get | Verb::List | Verb::Watch)
    }
}

/// The part of an object that a request is about.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash, Default)]
#[allow(missing_docs)]
pub enum Subresource {
    #[default]
    None,
    Status,
    Scale,
    Binding,
    Token,
    Finalize,
    Eviction,
    /// What the metrics server measured; of pods only, and not stored: `pods.metrics.k8s.io`.
    Metrics,
    /// What a container printed. The answer is the pod: whoever asked goes on to its kubelet.
    Log,
    /// A command in a container; likewise.
    Exec,
}

impl Subresource {
    /// As the path spells it; empty for the object itself.
    pub fn as_str(self) -> &'static str {
        match self {
            Subresource::None => "",
            Subresource::Status => "status",
            Subresource::Scale => "scale",
            Subresource::Binding => "binding",
            Subresource::Token => "token",
            Subresource::Finalize => "finalize",
            Subresource::Eviction => "eviction",
            Subresource::Metrics => "metrics",
            Subresource::Log => "log",
            Subresource::Exec => "exec",
        }
    }

    /// Whether objects of the kind have it.
    pub fn of(self, kind: Kind) -> bool {
        match self {
            Subresource::None | Subresource::Status => true,
            Subresource::Scale => {
                matches!(
                    kind,
                    Kind::Deployment
                        | Kind::ReplicaSet
                        | Kind::StatefulSet
                        | Kind::ReplicationController
                        // Whether a custom resource has one its definition says.
                        | Kind::Custom(_)
                )
            }
            Subresource::Binding
            | Subresource::Eviction
            | Subresource::Metrics
            | Subresource::Log
            | Subresource::Exec => kind == Kind::Pod,
            Subresource::Token => kind == Kind::ServiceAccount,
            Subresource::Finalize => kind == Kind::Namespace,
        }
    }
}

/// A client's request.
#[derive(Clone, Debug)]
pub struct Request {
    /// Where the reply goes.
    pub from: Endpoint,
    /// The client's own number, given back in the reply; a watch is known by it.
    pub number: u64,
    /// Who asks.
    pub agent: Agent,
    /// Counts the agent's requests: the address of its luck.
    pub sequence: u64,
    /// What is asked.
    pub verb: Verb,
    /// Of which kind.
    pub kind: Kind,
    /// Of which part.
    pub subresource: Subresource,
    /// Of which object; the name is empty for lists, watches, deletions of collections and creations with `generateName`, the
    /// namespace for all namespaces.
    pub key: Key,
    /// The content.
    pub body: Body,
    /// How a write is to be done.
    pub options: WriteOptions,
}

/// How a write is to be done.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct WriteOptions {
    /// Everything but storing it (`dryRun=All`).
    pub dry_run: bool,
    /// What becomes of fields that nobody knows.
    pub field_validation: FieldValidation,
}

/// What becomes of fields that nobody knows (`fieldValidation`).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum FieldValidation {
    /// Dropped in silence.
    Ignore,
    /// Dropped with a warning.
    #[default]
    Warn,
    /// The request is refused.
    Strict,
}

/// The content of a request.
#[derive(Clone, Debug)]
pub enum Body {
    /// Nothing.
    None,
    /// JSON of a creation or an update.
    Json(Arc<Value>),
    /// The same in compact form.
    Object(Arc<Object>),
    /// A change of parts.
    Patch(Patch),
    /// Binds a pod to a node.
    Binding {
        /// The node.
        node: Name,
    },
    /// How to delete.
    Delete(DeleteOptions),
    /// How to delete, and what of a kind.
    DeleteCollection(Box<(DeleteOptions, ListOptions)>),
    /// What to list or watch.
    List(Box<ListOptions>),
}

/// A change of parts of an object.
#[derive(Clone, Debug)]
pub enum Patch {
    /// As a person's tool sends it.
    Json(PatchType, Arc<Value>),
    /// A kubelet's report: what differs between two statuses; refused if the pod is another one by now.
    PodStatus {
        /// The pod that is meant.
        uid: Uid,
        /// The pod as its author knew it.
        read: Arc<Object>,
        /// What its whole status is to be.
        status: Box<PodStatus>,
    },
    /// What the scheduler has to say of a pod; refused if the pod is another one by now.
    PodCondition {
        /// The pod that is meant.
        uid: Uid,
        /// A condition, which replaces one of its kind.
        condition: Option<Box<Condition>>,
        /// The node it is promised, or that it is not any more.
        nominated: Option<Option<Name>>,
    },
    /// A kubelet's report of its node.
    NodeStatus(Box<NodeStatus>),
    /// The taints of a node.
    Taints(Arc<[Taint]>),
    /// One more occurrence of an event.
    EventCount {
        /// How often by now.
        count: i32,
        /// When last.
        last: Instant,
        /// Its message, which aggregation changes.
        message: Name,
    },
    /// Adoption and release.
    Owners {
        /// The object that is meant.
        uid: Uid,
        /// Its new owners.
        owners: Arc<[OwnerReference]>,
    },
    /// Some owners are no longer the object's.
    DropOwners {
        /// The object that is meant.
        uid: Uid,
        /// The owners to drop.
        owners: Arc<[Uid]>,
    },
    /// A finalizer has done its work.
    DropFinalizer {
        /// The object that is meant.
        uid: Uid,
        /// The finalizer.
        finalizer: Name,
    },
    /// The finalizers of an object that is at this version.
    Finalizers {
        /// The version that was read.
        version: u64,
        /// Its new finalizers.
        finalizers: Arc<[Name]>,
    },
}

/// How to delete.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct DeleteOptions {
    /// Seconds; the object's own when not given.
    pub grace: Option<i64>,
    /// Only if the object is this one.
    pub uid: Option<Uid>,
    /// Only if the object is at this version.
    pub resource_version: Option<u64>,
    /// What happens to its dependents.
    pub propagation: Option<Propagation>,
}

/// What happens to the dependents of a deleted object.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs)]
pub enum Propagation {
    Orphan,
    Background,
    Foreground,
}

/// What to list or watch.
#[derive(Clone, Debug, Default)]
pub struct ListOptions {
    /// By label.
    pub labels: Option<Selector>,
    /// By field.
    pub fields: Option<FieldSelector>,
    /// A watch starts after this version; a list may be as old as this one. `None`: the most recent.
    pub resource_version: Option<u64>,
    /// A watch starts with the present objects and a bookmark (`sendInitialEvents`).
    pub initial_events: bool,
}

/// The API server's reply.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The request's number.
    pub number: u64,
    /// What became of it.
    pub result: Result<Answer, Status>,
    /// What the server warns of, in order.
    pub warnings: Vec<String>,
}

/// A good reply.
#[derive(Clone, Debug)]
pub enum Answer {
    /// The object.
    Object(Arc<Object>),
    /// The objects.
    List {
        /// The version of the list.
        resource_version: u64,
        /// In key order.
        items: Vec<Arc<Object>>,
    },
    /// The watch is open; its events follow.
    Watching,
    /// JSON of something that is not stored (a scale, a token, a status).
    Json(Arc<Value>),
}

impl Answer {
    /// The object in it.
    pub fn object(&self) -> Option<&Arc<Object>> {
        if let Answer::Object(object) = self { Some(object) } else { None }
    }
}

/// What a watch tells.
#[derive(Clone, Debug)]
pub struct WatchEvent {
    /// What happened.
    pub kind: WatchKind,
    /// The object; for a deletion its last state, for a bookmark nothing.
    pub object: Option<Arc<Object>>,
    /// The version up to which the watcher now knows everything.
    pub resource_version: u64,
    /// The trace record of the write.
    pub cause: RecordId,
}

/// What happened to a watched object.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs)]
pub enum WatchKind {
    Added,
    Modified,
    Deleted,
    Bookmark,
}

impl WatchKind {
    /// As the API spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            WatchKind::Added => "ADDED",
            WatchKind::Modified => "MODIFIED",
            WatchKind::Deleted => "DELETED",
            WatchKind::Bookmark => "BOOKMARK",
        }
    }
}

/// What arrives at a client.
#[derive(Clone, Debug)]
pub enum Delivery {
    /// A reply.
    Reply(Box<Reply>),
    /// Events of one of its watches.
    Watch {
        /// The number of the request that opened it.
        number: u64,
        /// What happened, in order.
        events: Vec<WatchEvent>,
    },
    /// A watch ended.
    WatchEnded {
        /// The number of the request that opened it.
        number: u64,
        /// Why, if the server says so (410 Gone).
        status: Option<Box<Status>>,
    },
}
