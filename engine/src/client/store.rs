//! An informer's cache: objects by key, by the uids of their owners, and pods by their node.
//!
//! Models: kubernetes v1.36.2 staging/src/k8s.io/client-go/tools/cache/thread_safe_store.go, pkg/controller/controller_utils.go
//! (PodControllerIndex), pkg/controller/garbagecollector/graph.go (the dependents of a node), pkg/controller/nodelifecycle (the index by
//! `spec.nodeName`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::objects::{Key, Name, Object, Uid};

/// Objects of one kind as a client knows them.
#[derive(Clone, Debug, Default)]
pub struct Store {
    /// Shared between clones until one of them changes: many clients of one kind may know the same.
    objects: Arc<BTreeMap<Key, Arc<Object>>>,
    /// Objects by controller; those without one stand under the nil uid.
    by_controller: BTreeMap<Uid, BTreeSet<Key>>,
    /// Objects by their owners that are not their controllers: few have any.
    by_other_owner: BTreeMap<Uid, BTreeSet<Key>>,
    /// Pods by the node they are bound to.
    by_node: BTreeMap<Name, BTreeSet<Key>>,
    indexed: bool,
}

impl Store {
    /// An empty store that also answers [`Store::controlled_by`], [`Store::owned_by`] and [`Store::on_node`].
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

    /// The objects one of whose owners has this uid.
    pub fn owned_by(&self, uid: Uid) -> impl Iterator<Item = &Arc<Object>> {
        let nobody = uid == Uid::default();
        let keys = self.by_controller.get(&uid).into_iter().chain(self.by_other_owner.get(&uid)).flatten();
        keys.filter_map(|key| self.objects.get(key)).take_while(move |_| !nobody)
    }

    /// The pods bound to a node, in key order.
    pub fn on_node(&self, node: &str) -> impl Iterator<Item = &Arc<Object>> {
        self.by_node.get(node).into_iter().flatten().filter_map(|key| self.objects.get(key))
    }

    /// The nodes to which pods are bound, whether they exist or not, in order.
    pub fn nodes_of_pods(&self) -> impl Iterator<Item = &Name> {
        self.by_node.keys()
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
        let old = Arc::make_mut(&mut self.objects).insert(key.clone(), object.clone());
        if self.indexed {
            match &old {
                Some(old) if Arc::ptr_eq(&old.meta().owners, &object.meta().owners) => {}
                Some(old) => {
                    self.unindex(old, &key);
                    self.index(&object, &key);
                }
                None => self.index(&object, &key),
            }
            let before = old.as_deref().and_then(node);
            if before != node(&object) {
                self.leave_node(before, &key);
                if let Some(node) = node(&object) {
                    self.by_node.entry(node.clone()).or_default().insert(key);
                }
            }
        }
        old
    }

    /// Removes an object.
    pub fn remove(&mut self, key: &Key) -> Option<Arc<Object>> {
        if !self.objects.contains_key(key) {
            return None;
        }
        let old = Arc::make_mut(&mut self.objects).remove(key)?;
        if self.indexed {
            self.unindex(&old, key);
            self.leave_node(node(&old), key);
        }
        Some(old)
    }

    fn leave_node(&mut self, node: Option<&Name>, key: &Key) {
        if let Some(node) = node
            && let Some(keys) = self.by_node.get_mut(node)
        {
            keys.remove(key);
            if keys.is_empty() {
                self.by_node.remove(node);
            }
        }
    }

    fn index(&mut self, object: &Object, key: &Key) {
        self.by_controller.entry(controller(object)).or_default().insert(key.clone());
        for owner in others(object) {
            self.by_other_owner.entry(owner).or_default().insert(key.clone());
        }
    }

    fn unindex(&mut self, object: &Object, key: &Key) {
        drop_key(&mut self.by_controller, controller(object), key);
        for owner in others(object) {
            drop_key(&mut self.by_other_owner, owner, key);
        }
    }
}

fn drop_key(index: &mut BTreeMap<Uid, BTreeSet<Key>>, owner: Uid, key: &Key) {
    if let Some(keys) = index.get_mut(&owner) {
        keys.remove(key);
        if keys.is_empty() {
            index.remove(&owner);
        }
    }
}

/// The owners other than the controller.
fn others(object: &Object) -> impl Iterator<Item = Uid> {
    let controller = controller(object);
    object.meta().owners.iter().map(|owner| owner.uid).filter(move |uid| *uid != controller)
}

/// The node of a pod.
fn node(object: &Object) -> Option<&Name> {
    object.as_pod()?.node.as_ref()
}

fn controller(object: &Object) -> Uid {
    object.meta().controller().map(|owner| owner.uid).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objects::{ConfigMap, ObjectMeta, OwnerReference, compact};

    fn map(name: &str, owners: &[(u128, bool)]) -> Arc<Object> {
        let owner = |(uid, controller): &(u128, bool)| OwnerReference {
            api_version: "v1".into(),
            kind: "ConfigMap".into(),
            name: "o".into(),
            uid: Uid(*uid),
            controller: *controller,
            block_owner_deletion: false,
        };
        let meta = ObjectMeta { owners: owners.iter().map(owner).collect(), ..ObjectMeta::named("a", name) };
        let (data, binary) = (Arc::default(), Arc::default());
        Arc::new(Object::ConfigMap(ConfigMap { meta, data, binary, immutable: false }))
    }

    #[test]
    fn owners_are_found_whether_or_not_they_are_controllers() {
        let mut store = Store::indexed();
        let names = |store: &Store, uid| -> String {
            store.owned_by(Uid(uid)).map(|object| object.meta().name.to_string()).collect()
        };
        store.insert(map("x", &[(1, true), (2, false)]));
        store.insert(map("y", &[(2, false)]));
        store.insert(map("z", &[]));
        assert_eq!([0, 1, 2].map(|uid| names(&store, uid)), ["", "x", "xy"]);
        assert_eq!(store.controlled_by(Uid(0)).count(), 2);
        store.insert(map("x", &[(2, true)]));
        assert_eq!([1, 2].map(|uid| names(&store, uid)), ["", "xy"]);
        store.remove(&Key::new("a", "y"));
        store.remove(&Key::new("a", "x"));
        assert_eq!((names(&store, 2).as_str(), store.by_controller.len(), store.by_other_owner.len()), ("", 1, 0));
    }
    #[test]
    fn pods_are_found_by_their_node() {
        let mut store = Store::indexed();
        let mut insert = |name: &str, node: Option<&str>| {
            let mut pod =
                compact::pod(serde_json::from_value(serde_json::json!({"metadata": {"name": name}})).expect("a pod"));
            pod.node = node.map(Name::from);
            store.insert(Arc::new(Object::Pod(pod)));
            let names = |node| store.on_node(node).map(|pod| pod.meta().name.to_string()).collect::<String>();
            (names("n"), names("m"))
        };
        insert("a", Some("n"));
        assert_eq!(insert("b", None), ("a".into(), "".into()));
        assert_eq!(insert("b", Some("n")), ("ab".into(), "".into()));
        assert_eq!(insert("a", Some("m")), ("b".into(), "a".into()));
        store.remove(&Key::new("", "b"));
        assert_eq!(store.nodes_of_pods().map(|node| node.to_string()).collect::<String>(), "m");
    }
}
