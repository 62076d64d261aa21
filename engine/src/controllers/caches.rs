//! What the process knows of the cluster: one informer per kind, shared by all its controllers.
//!
//! Models: kubernetes v1.36.2 cmd/kube-controller-manager/app/controllermanager.go (InformerFactory),
//! staging/src/k8s.io/client-go/informers/factory.go. Left out: resync.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::apiserver::request::ListOptions;
use crate::client::{Informer, Store};
use crate::objects::resource::Cast;
use crate::objects::{Deployment, Key, Kind, Name, OwnerReference, ReplicaSet, Resource};

/// The informers of the process.
#[derive(Clone, Debug)]
pub struct Caches {
    informers: Vec<Informer>,
    /// Of the kinds that were discovered since the process began.
    discovered: BTreeMap<Kind, Informer>,
    /// The kinds that the API server serves beside those of [`Kind::ALL`].
    served: Arc<[Kind]>,
    /// What is known of a kind that nobody watches.
    nothing: Store,
}

/// The kinds that some controller wants to know about: the garbage collector wants all but events.
const KINDS: [Kind; Kind::COUNT - 1] = {
    let mut kinds = [Kind::Pod; Kind::COUNT - 1];
    let (mut place, mut next) = (0, 0);
    while next < Kind::COUNT {
        if !matches!(Kind::ALL[next], Kind::Event) {
            kinds[place] = Kind::ALL[next];
            place += 1;
        }
        next += 1;
    }
    kinds
};

/// Where a kind is in [`KINDS`]; past its end if it is not.
const PLACES: [u8; Kind::COUNT] = {
    let mut places = [KINDS.len() as u8; Kind::COUNT];
    let mut place = 0;
    while place < KINDS.len() {
        places[KINDS[place].index()] = place as u8;
        place += 1;
    }
    places
};

impl Default for Caches {
    fn default() -> Self {
        let informer = |kind| Informer::new(kind, Store::indexed(), ListOptions::default());
        Caches {
            informers: KINDS.map(informer).into(),
            discovered: BTreeMap::new(),
            served: Arc::new([]),
            nothing: Store::indexed(),
        }
    }
}

impl Caches {
    /// The informer of a kind; `None` if nobody asked for that kind.
    pub fn informer(&self, kind: Kind) -> Option<&Informer> {
        match PLACES.get(kind.index()) {
            Some(place) => self.informers.get(usize::from(*place)),
            None => self.discovered.get(&kind),
        }
    }

    /// The informer of a kind, to change.
    pub fn informer_mut(&mut self, kind: Kind) -> Option<&mut Informer> {
        match PLACES.get(kind.index()) {
            Some(place) => self.informers.get_mut(usize::from(*place)),
            None => self.discovered.get_mut(&kind),
        }
    }

    /// The kinds that are known, in the order of their informers.
    pub const fn kinds() -> &'static [Kind] {
        &KINDS
    }

    /// The kinds that were discovered since the process began.
    pub fn discovered(&self) -> impl Iterator<Item = Kind> {
        self.discovered.keys().copied()
    }

    /// The kinds that the API server serves beside those of [`Kind::ALL`], as discovery says.
    pub fn served(&self) -> &Arc<[Kind]> {
        &self.served
    }

    /// What discovery says now.
    pub fn serves(&mut self, kinds: Arc<[Kind]>) {
        self.served = kinds;
    }

    /// Watches what is served: the kinds whose informers have yet to be started; those of kinds that are gone go, too.
    pub fn discover(&mut self) -> Vec<Kind> {
        let Caches { served, discovered, .. } = self;
        discovered.retain(|kind, _| served.contains(kind));
        let new = served.iter().copied().filter(|kind| !discovered.contains_key(kind));
        let new: Vec<Kind> = new.filter(|kind| kind.definition().is_some()).collect();
        for kind in &new {
            discovered.insert(*kind, Informer::new(*kind, Store::indexed(), ListOptions::default()));
        }
        new
    }

    /// All informers.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Informer> {
        self.informers.iter_mut().chain(self.discovered.values_mut())
    }

    /// The informer whose watch has this number.
    pub fn watched_by(&mut self, number: u64) -> Option<&mut Informer> {
        self.iter_mut().find(|informer| informer.is(number))
    }

    /// What is known of a kind; nothing if nobody watches it.
    pub fn store(&self, kind: Kind) -> &Store {
        self.informer(kind).map_or(&self.nothing, |informer| &informer.store)
    }

    /// An object in the field's own type.
    pub fn resource<T: Cast>(&self, key: &Key) -> Option<&Resource<T>> {
        self.store(T::KIND_OF).get(key)?.as_resource()
    }

    /// The object of its kind that `owner` means; not one that merely has its name. Upstream: resolveControllerRef.
    pub fn owning<T: Cast>(&self, namespace: &Name, owner: &OwnerReference) -> Option<&Resource<T>> {
        if &*owner.kind != T::KIND_OF.name() {
            return None;
        }
        let key = Key { namespace: namespace.clone(), name: owner.name.clone() };
        self.resource::<T>(&key).filter(|object| object.meta.uid == owner.uid)
    }

    /// What is known of pods.
    pub fn pods(&self) -> &Store {
        self.store(Kind::Pod)
    }

    /// What is known of replica sets.
    pub fn replica_sets(&self) -> &Store {
        self.store(Kind::ReplicaSet)
    }

    /// What is known of deployments.
    pub fn deployments(&self) -> &Store {
        self.store(Kind::Deployment)
    }

    /// What is known of nodes.
    pub fn nodes(&self) -> &Store {
        self.store(Kind::Node)
    }

    /// What is known of namespaces.
    pub fn namespaces(&self) -> &Store {
        self.store(Kind::Namespace)
    }

    /// What is known of service accounts.
    pub fn service_accounts(&self) -> &Store {
        self.store(Kind::ServiceAccount)
    }

    /// What is known of config maps.
    pub fn config_maps(&self) -> &Store {
        self.store(Kind::ConfigMap)
    }

    /// The replica set with a key.
    pub fn replica_set(&self, key: &Key) -> Option<&ReplicaSet> {
        self.replica_sets().get(key)?.as_replica_set()
    }

    /// The deployment with a key.
    pub fn deployment(&self, key: &Key) -> Option<&Deployment> {
        self.deployments().get(key)?.as_deployment()
    }

    /// The replica set that `owner` means; not one that merely has its name. Upstream: resolveControllerRef.
    pub fn owning_replica_set(&self, namespace: &Name, owner: &OwnerReference) -> Option<&ReplicaSet> {
        if &*owner.kind != Kind::ReplicaSet.name() {
            return None;
        }
        let key = Key { namespace: namespace.clone(), name: owner.name.clone() };
        self.replica_set(&key).filter(|set| set.meta.uid == owner.uid)
    }

    /// The deployment that `owner` means. Upstream: resolveControllerRef.
    pub fn owning_deployment(&self, namespace: &Name, owner: &OwnerReference) -> Option<&Deployment> {
        if &*owner.kind != Kind::Deployment.name() {
            return None;
        }
        let key = Key { namespace: namespace.clone(), name: owner.name.clone() };
        self.deployment(&key).filter(|deployment| deployment.meta.uid == owner.uid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_its_place() {
        let mut caches = Caches::default();
        for kind in Kind::ALL {
            let expected = KINDS.contains(&kind).then_some(kind);
            assert_eq!(caches.informer(kind).map(|informer| informer.kind), expected);
            assert_eq!(caches.informer_mut(kind).map(|informer| informer.kind), expected);
        }
    }
}
