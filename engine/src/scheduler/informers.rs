//! What the scheduler watches.

use crate::apiserver::request::ListOptions;
use crate::client::{Informer, Store};
use crate::objects::Kind;

/// An informer for each kind.
#[derive(Clone, Debug)]
pub(super) struct Informers {
    pub(super) pods: Informer,
    pub(super) nodes: Informer,
    pub(super) namespaces: Informer,
    pub(super) replica_sets: Informer,
    pub(super) budgets: Informer,
    pub(super) claims: Informer,
    pub(super) volumes: Informer,
    pub(super) classes: Informer,
}

impl Informers {
    /// None of them has started.
    pub(super) fn new() -> Self {
        let informer = |kind| Informer::new(kind, Store::default(), ListOptions::default());
        Informers {
            pods: informer(Kind::Pod),
            nodes: informer(Kind::Node),
            namespaces: informer(Kind::Namespace),
            replica_sets: informer(Kind::ReplicaSet),
            budgets: informer(Kind::PodDisruptionBudget),
            claims: informer(Kind::PersistentVolumeClaim),
            volumes: informer(Kind::PersistentVolume),
            classes: informer(Kind::StorageClass),
        }
    }

    /// All, in the order in which they start.
    pub(super) fn all(&mut self) -> [&mut Informer; 8] {
        let Informers { pods, nodes, namespaces, replica_sets, budgets, claims, volumes, classes } = self;
        [nodes, pods, namespaces, replica_sets, budgets, claims, volumes, classes]
    }

    /// The one with this watch.
    pub(super) fn of_watch(&mut self, number: u64) -> Option<&mut Informer> {
        self.all().into_iter().find(|informer| informer.is(number))
    }

    /// Whether all present objects have arrived.
    pub(super) fn synced(&self) -> bool {
        let Informers { pods, nodes, namespaces, replica_sets, budgets, claims, volumes, classes } = self;
        [nodes, pods, namespaces, replica_sets, budgets, claims, volumes, classes]
            .iter()
            .all(|informer| informer.synced())
    }
}
