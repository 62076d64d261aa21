//! The watch cache: the present state of every kind as etcd's watches told it, a window of recent changes, and the watchers.
//!
//! A watcher that asks for one node's pods (or one object by name) is found through an index, so what happens to other nodes'
//! pods costs it nothing.
//!
//! Models: kubernetes v1.36.2 staging/src/k8s.io/apiserver/pkg/storage/cacher/{cacher,watch_cache,cache_watcher}.go. Left out: time
//! budgets of slow watchers, bookmarks by timer.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::request::{ListOptions, WatchEvent, WatchKind};
use super::selectable;
use super::status::Status;
use crate::kernel::Endpoint;
use crate::kernel::out::RecordId;
use crate::objects::{Key, Kind, Name, Object};

/// How many recent changes of a kind a watch can start from.
const WINDOW: usize = 1_000;

/// Who watches: the receiver and the number of its request.
pub type WatcherId = (Endpoint, u64);

/// The cache of all kinds.
#[derive(Clone, Debug)]
pub struct WatchCache {
    kinds: Vec<KindCache>,
}

#[derive(Clone, Debug, Default)]
struct KindCache {
    objects: BTreeMap<Key, Arc<Object>>,
    version: u64,
    window: VecDeque<Change>,
    /// The oldest version from which the window is complete.
    window_start: u64,
    watchers: BTreeMap<WatcherId, Watcher>,
    /// Watchers of everything.
    general: Vec<WatcherId>,
    /// Watchers of one value of the indexed field.
    by_field: BTreeMap<Name, Vec<WatcherId>>,
}

#[derive(Clone, Debug)]
struct Watcher {
    namespace: Name,
    options: ListOptions,
}

/// One change of an object in the cache.
#[derive(Clone, Debug)]
pub struct Change {
    /// Before.
    pub old: Option<Arc<Object>>,
    /// After.
    pub new: Option<Arc<Object>>,
    /// Its version.
    pub version: u64,
    /// The record of the write.
    pub cause: RecordId,
}

impl Default for WatchCache {
    fn default() -> Self {
        WatchCache { kinds: vec![KindCache::default(); Kind::ALL.len()] }
    }
}

impl WatchCache {
    fn of(&self, kind: Kind) -> &KindCache {
        &self.kinds[kind as usize]
    }

    /// The object, if the cache has it.
    pub fn get(&self, kind: Kind, key: &Key) -> Option<&Arc<Object>> {
        self.of(kind).objects.get(key)
    }

    /// The version up to which the cache knows a kind.
    pub fn version(&self, kind: Kind) -> u64 {
        self.of(kind).version
    }

    /// The objects of a kind that `options` ask for, of one namespace or (empty) of all, in key order.
    pub fn list(&self, kind: Kind, namespace: &Name, options: &ListOptions) -> Vec<Arc<Object>> {
        let cache = self.of(kind);
        let wanted = |object: &&Arc<Object>| matches(options, object);
        if let Some(name) = exact(options, "metadata.name") {
            let key = Key { namespace: namespace.clone(), name: name.clone() };
            if !namespace.is_empty() || !kind.namespaced() {
                return cache.objects.get(&key).filter(wanted).cloned().into_iter().collect();
            }
        }
        if namespace.is_empty() {
            return cache.objects.values().filter(wanted).cloned().collect();
        }
        let first = Key { namespace: namespace.clone(), name: "".into() };
        let within = cache.objects.range(first..).take_while(|(key, _)| key.namespace == *namespace);
        within.map(|(_, object)| object).filter(wanted).cloned().collect()
    }

    /// How many objects of a kind there are.
    pub fn len(&self, kind: Kind) -> usize {
        self.of(kind).objects.len()
    }

    /// Takes in a change that etcd told, and finds who is to hear of it.
    pub fn apply(&mut self, kind: Kind, key: Key, change: Change, deliver: &mut dyn FnMut(WatcherId, WatchEvent)) {
        let cache = &mut self.kinds[kind as usize];
        let old = match &change.new {
            Some(object) => cache.objects.insert(key, object.clone()),
            None => cache.objects.remove(&key),
        };
        cache.version = change.version;
        let change = Change { old, ..change };
        for id in cache.interested(kind, &change) {
            if let Some(event) = cache.watchers.get(&id).and_then(|watcher| watcher.sees(&change)) {
                deliver(id, event);
            }
        }
        cache.window.push_back(change);
        if cache.window.len() > WINDOW
            && let Some(gone) = cache.window.pop_front()
        {
            cache.window_start = gone.version;
        }
    }

    /// Opens a watch and returns what it hears first.
    pub fn watch(
        &mut self,
        id: WatcherId,
        kind: Kind,
        namespace: Name,
        options: ListOptions,
    ) -> Result<Vec<WatchEvent>, Status> {
        let mut first = Vec::new();
        let from = options.resource_version.filter(|version| *version > 0);
        let initial = options.initial_events || from.is_none();
        if initial {
            for object in self.list(kind, &namespace, &options) {
                let resource_version = object.meta().resource_version;
                let event = WatchEvent {
                    kind: WatchKind::Added,
                    object: Some(object),
                    resource_version,
                    cause: RecordId::default(),
                };
                first.push(event);
            }
        }
        let cache = &mut self.kinds[kind as usize];
        let watcher = Watcher { namespace, options };
        if initial {
            if watcher.options.initial_events {
                first.push(WatchEvent {
                    kind: WatchKind::Bookmark,
                    object: None,
                    resource_version: cache.version,
                    cause: RecordId::default(),
                });
            }
        } else if let Some(from) = from {
            if from < cache.window_start {
                return Err(Status {
                    code: 410,
                    reason: "Expired".into(),
                    message: format!("too old resource version: {from} ({})", cache.window_start).into(),
                    details: None,
                });
            }
            let missed = cache.window.iter().filter(|change| change.version > from);
            first.extend(missed.filter_map(|change| watcher.sees(change)));
        }
        match exact(&watcher.options, indexed_field(kind)) {
            Some(value) => cache.by_field.entry(value.clone()).or_default().push(id),
            None => cache.general.push(id),
        }
        cache.watchers.insert(id, watcher);
        Ok(first)
    }

    /// All watchers, in order.
    pub fn watchers(&self) -> Vec<WatcherId> {
        self.kinds.iter().flat_map(|cache| cache.watchers.keys().copied()).collect()
    }

    /// Ends a watch; false if there is none of this id.
    pub fn unwatch(&mut self, id: WatcherId) -> bool {
        self.kinds.iter_mut().any(|cache| {
            let found = cache.watchers.remove(&id).is_some();
            if found {
                cache.general.retain(|other| *other != id);
                cache.by_field.retain(|_, ids| {
                    ids.retain(|other| *other != id);
                    !ids.is_empty()
                });
            }
            found
        })
    }
}

impl KindCache {
    fn interested(&self, kind: Kind, change: &Change) -> Vec<WatcherId> {
        let mut ids = self.general.clone();
        if !self.by_field.is_empty() {
            let value = |object: &Option<Arc<Object>>| {
                object
                    .as_ref()
                    .and_then(|object| selectable::field(object, indexed_field(kind)))
                    .unwrap_or_default()
                    .to_owned()
            };
            let (old, new) = (value(&change.old), value(&change.new));
            ids.extend(self.by_field.get(&*new).into_iter().flatten());
            if old != new {
                ids.extend(self.by_field.get(&*old).into_iter().flatten());
            }
        }
        ids
    }
}

impl Watcher {
    /// What the watcher hears of a change: an object that begins to match is added for it, one that ceases to is deleted.
    fn sees(&self, change: &Change) -> Option<WatchEvent> {
        let wanted = |object: &&Arc<Object>| {
            (self.namespace.is_empty() || object.meta().namespace == self.namespace) && matches(&self.options, object)
        };
        let (old, new) = (change.old.as_ref().filter(wanted), change.new.as_ref().filter(wanted));
        let (kind, object) = match (old, new) {
            (None, None) => return None,
            (None, Some(new)) => (WatchKind::Added, new.clone()),
            (Some(_), Some(new)) => (WatchKind::Modified, new.clone()),
            (Some(old), None) => {
                let mut last = change.new.as_ref().map_or_else(|| (**old).clone(), |new| (**new).clone());
                last.meta_mut().resource_version = change.version;
                (WatchKind::Deleted, Arc::new(last))
            }
        };
        Some(WatchEvent { kind, object: Some(object), resource_version: change.version, cause: change.cause })
    }
}

fn indexed_field(kind: Kind) -> &'static str {
    if kind == Kind::Pod { "spec.nodeName" } else { "metadata.name" }
}

fn exact<'a>(options: &'a ListOptions, field: &str) -> Option<&'a Name> {
    options.fields.as_ref().and_then(|fields| fields.exact(field))
}

/// Whether an object is one that `options` ask for.
pub fn matches(options: &ListOptions, object: &Object) -> bool {
    options.labels.as_ref().is_none_or(|labels| labels.matches(&object.meta().labels))
        && options.fields.as_ref().is_none_or(|fields| {
            fields.terms().iter().all(|term| selectable::holds(object, &term.field, &term.value) != term.negated)
        })
}
