//! An informer's cache: objects by key, and by the uid of their controller.
//!
//! Models: kubernetes v1.36.2 staging/src/k8s.io/client-go/tools/cache/thread_safe_store.go, pkg/controller/controller_utils.go
//! (PodControllerIndex).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::objects::{Key, Name, Object, Uid};

/// Objects of one kind as a client knows them.
#[derive(Clone, Debug, Default)]
pub struct Store {
    objects: BTreeMap<Key, Arc<Object>>,
    /// Objects by controller; those without one stand under the nil uid.
    by_controller: BTreeMap<Uid, BTreeSet<Key>>,
    indexed: bool,
}

impl Store {
    /// An empty store that also answers [`Store::controlled_by`].
    pub fn indexed() -> Self {
        Store { indexed: true, ..Store::default() }
    }

    /// The object with a key.
    pub fn get(&self, key: &Key) -> Option<&Arc<Object>> {
        self.objects.get(key)
    }

    /// All objects in key order.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Object>> {
        self.objects.values()
    }

    /// The objects of a namespace in key order.
    pub fn in_namespace<'a>(&'a self, namespace: &'a Name) -> impl Iterator<Item = &'a Arc<Object>> {
        let first = Key { namespace: namespace.clone(), name: "".into() };
        self.objects.range(first..).take_while(move |(key, _)| key.namespace == *namespace).map(|(_, object)| object)
    }

    /// The objects whose controller has this uid, in key order; the nil uid stands for "none".
    pub fn controlled_by(&self, uid: Uid) -> impl Iterator<Item = &Arc<Object>> {
        self.by_controller.get(&uid).into_iter().flatten().filter_map(|key| self.objects.get(key))
    }

    /// How many objects there are.
    pub fn len(&self) -> usize {
        self.objects.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.objects.is_empty()
    }

    /// Adds or replaces an object; returns the one before.
    pub fn insert(&mut self, object: Arc<Object>) -> Option<Arc<Object>> {
        let key = object.key();
        let owner = controller(&object);
        let old = self.objects.insert(key.clone(), object);
        if self.indexed {
            let before = old.as_ref().map(|old| controller(old));
            if before != Some(owner) {
                if let Some(before) = before {
                    self.unindex(before, &key);
                }
                self.by_controller.entry(owner).or_default().insert(key);
            }
        }
        old
    }

    /// Removes an object.
    pub fn remove(&mut self, key: &Key) -> Option<Arc<Object>> {
        let old = self.objects.remove(key)?;
        if self.indexed {
            self.unindex(controller(&old), key);
        }
        Some(old)
    }

    fn unindex(&mut self, owner: Uid, key: &Key) {
        if let Some(keys) = self.by_controller.get_mut(&owner) {
            keys.remove(key);
            if keys.is_empty() {
                self.by_controller.remove(&owner);
            }
        }
    }
}

fn controller(object: &Object) -> Uid {
    object.meta().controller().map(|owner| owner.uid).unwrap_or_default()
}
