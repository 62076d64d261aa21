//! The small kinds: Namespace, ConfigMap, ServiceAccount, Lease.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::condition::Condition;
use super::meta::{Name, ObjectMeta};
use crate::kernel::Instant;

/// A namespace.
#[derive(Clone, PartialEq, Debug)]
pub struct Namespace {
    /// Metadata.
    pub meta: ObjectMeta,
    /// Whether it is being emptied: the phase `Terminating`.
    pub terminating: bool,
    /// `spec.finalizers`: who must be done with its content before it goes.
    pub finalizers: Arc<[Name]>,
    /// What hinders its deletion.
    pub conditions: Arc<[Condition]>,
}

impl Namespace {
    /// The finalizer of the namespace controller, which every namespace has.
    pub const FINALIZER: &'static str = "kubernetes";

    /// An active namespace.
    pub fn new(meta: ObjectMeta) -> Self {
        let finalizers = Arc::new([Self::FINALIZER.into()]);
        Namespace { meta, terminating: false, finalizers, conditions: Arc::new([]) }
    }
}

/// A config map.
#[derive(Clone, PartialEq, Debug)]
pub struct ConfigMap {
    /// Metadata.
    pub meta: ObjectMeta,
    /// Text data.
    pub data: Arc<BTreeMap<String, String>>,
    /// Other data, in base64.
    pub binary: Arc<BTreeMap<String, String>>,
    /// Whether its data may no longer change.
    pub immutable: bool,
}

/// A service account.
#[derive(Clone, PartialEq, Debug)]
pub struct ServiceAccount {
    /// Metadata.
    pub meta: ObjectMeta,
}

/// A lease: leader election's lock and a node's heartbeat.
#[derive(Clone, PartialEq, Debug)]
pub struct Lease {
    /// Metadata.
    pub meta: ObjectMeta,
    /// Who holds it.
    pub holder: Name,
    /// How long it is good for after a renewal. [s]
    pub duration_seconds: i32,
    /// When the holder got it.
    pub acquired: Option<Instant>,
    /// When the holder last renewed it; [`Instant::START`] if nobody said.
    pub renewed: Instant,
    /// How often it changed hands.
    pub transitions: i32,
}
