//! The API's Event objects (`core/v1`): what components tell people. The engine's own events are elsewhere.
//!
//! Models: kubernetes v1.36.2 staging/src/k8s.io/api/core/v1/types.go (Event). One object serves both API groups; events of the newer
//! recorder have an `event_time` and an action.

use super::kind::Kind;
use super::meta::{Name, ObjectMeta, Uid};
use super::text::Text;
use crate::kernel::Instant;

/// `type` of an event.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
#[allow(missing_docs)]
pub enum EventType {
    Normal,
    Warning,
}

impl EventType {
    /// As the API spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            EventType::Normal => "Normal",
            EventType::Warning => "Warning",
        }
    }
}

/// What an event is about.
#[derive(Clone, PartialEq, Debug)]
pub struct ObjectReference {
    /// Kind.
    pub kind: Kind,
    /// Namespace; empty for cluster-scoped kinds.
    pub namespace: Name,
    /// Name.
    pub name: Name,
    /// Uid.
    pub uid: Uid,
    /// The version the component saw; 0 for none.
    pub resource_version: u64,
    /// `spec.containers{nginx}`.
    pub field_path: Option<Name>,
}

/// An event object.
#[derive(Clone, PartialEq, Debug)]
pub struct EventObject {
    /// Metadata.
    pub meta: ObjectMeta,
    /// What it is about.
    pub regarding: ObjectReference,
    /// `Normal` or `Warning`.
    pub kind: EventType,
    /// A word.
    pub reason: Text,
    /// A sentence.
    pub message: Name,
    /// The component that says so.
    pub component: Text,
    /// The node it runs on; empty for the control plane.
    pub host: Name,
    /// First time; `None` for events of the newer recorder.
    pub first: Option<Instant>,
    /// Last time.
    pub last: Option<Instant>,
    /// How often.
    pub count: i32,
    /// `eventTime` of the newer recorder.
    pub event_time: Option<Instant>,
    /// `action` of the newer recorder; empty for none.
    pub action: Text,
    /// `reportingInstance`; empty for the older recorder's control-plane events.
    pub instance: Name,
}
