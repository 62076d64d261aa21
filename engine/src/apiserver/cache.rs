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
use crate::kernel::out::RecordId;
use crate::kernel::{Duration, Endpoint, Instant};
use crate::objects::{Key, Kind, Name, Object};

/// How many recent changes of a kind a watch can start from: the least and the most; Kubernetes: watch_cache.go.
const WINDOW: (usize, usize) = (100, 102_400);
/// The window grows to hold changes of so long; Kubernetes: eventFreshDuration, 75 s.
const FRESH: Duration = Duration::from_secs(75);

/// Who watches: the receiver and the number of its request.
pub type WatcherId = (Endpoint, u64);

/// The cache of all kinds.
#[derive(Clone, Debug)]
pub struct WatchCache {
    kinds: Vec<KindCache>,
    /// Those that are served only from some moment on.
    defined: BTreeMap<Kind, KindCache>,
    /// What is known of a kind that is not served.
    nothing: KindCache,
}

#[derive(Clone, Debug, Default)]
struct KindCache {
    objects: BTreeMap<Key, Arc<Object>>,
    version: u64,
    window: VecDeque<Change>,
    /// How many changes the window holds at most.
    capacity: usize,
    /// Whether it has been filled.
    ready: bool,
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
    /// When the cache heard of it.
    pub at: Instant,
    /// The record of the write.
    pub cause: RecordId,
}

impl Default for WatchCache {
    fn default() -> Self {
        WatchCache {
            kinds: vec![KindCache::default(); Kind::ALL.len()],
            defined: BTreeMap::new(),
            nothing: KindCache::default(),
        }
    }
}

impl WatchCache {
    fn of(&self, kind: Kind) -> &KindCache {
        match kind.definition() {
            None => &self.kinds[kind.index()],
            Some(_) => self.defined.get(&kind).unwrap_or(&self.nothing),
        }
    }

    fn of_mut(&mut self, kind: Kind) -> &mut KindCache {
        match kind.definition() {
            None => &mut self.kinds[kind.index()],
            Some(_) => self.defined.entry(kind).or_default(),
        }
    }

    /// All objects of a kind, in key order.
    pub fn all(&self, kind: Kind) -> impl Iterator<Item = &Arc<Object>> {
        self.of(kind).objects.values()
    }

    /// The watches of a kind end: it is not served any more.
    pub fn end_watches(&mut self, kind: Kind) -> Vec<WatcherId> {
        let cache = self.of_mut(kind);
        cache.general.clear();
        cache.by_field.clear();
        std::mem::take(&mut cache.watchers).into_keys().collect()
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

    /// Whether the cache of a kind is filled.
    pub fn ready(&self, kind: Kind) -> bool {
        self.of(kind).ready
    }

    /// Fills the cache of a kind with everything there is at a revision; watches may start from there.
    pub fn fill(&mut self, kind: Kind, objects: BTreeMap<Key, Arc<Object>>, revision: u64) {
        let cache = self.of_mut(kind);
        (cache.objects, cache.version, cache.window_start, cache.ready) = (objects, revision, revision, true);
        cache.window.clear();
    }

    /// Forgets a kind, until it is filled again; these watches end.
    pub fn empty(&mut self, kind: Kind) -> Vec<WatcherId> {
        let watchers = std::mem::take(self.of_mut(kind)).watchers;
        watchers.into_keys().collect()
    }

    /// How many objects of a kind there are.
    pub fn len(&self, kind: Kind) -> usize {
        self.of(kind).objects.len()
    }

    /// Takes in a change that etcd told, and finds who is to hear of it.
    pub fn apply(&mut self, kind: Kind, key: Key, change: Change, deliver: &mut dyn FnMut(WatcherId, WatchEvent)) {
        let cache = self.of_mut(kind);
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
        cache.keep(change);
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
        let cache = self.of_mut(kind);
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
        self.kinds.iter().chain(self.defined.values()).flat_map(|cache| cache.watchers.keys().copied()).collect()
    }

    /// Ends a watch; false if there is none of this id.
    pub fn unwatch(&mut self, id: WatcherId) -> bool {
        self.kinds.iter_mut().chain(self.defined.values_mut()).any(|cache| {
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
    /// The window takes a change in. It doubles when it is full and its oldest change is fresh, and halves when most are old.
    fn keep(&mut self, change: Change) {
        let now = change.at;
        let old = |change: Option<&Change>| change.is_some_and(|change| now.since(change.at) > FRESH);
        self.capacity = self.capacity.max(WINDOW.0);
        if self.window.len() >= self.capacity {
            if !old(self.window.front()) {
                self.capacity = (self.capacity * 2).min(WINDOW.1);
            } else if old(self.window.get(self.window.len() - self.window.len() / 4)) {
                self.capacity = (self.capacity / 2).max(WINDOW.0);
            }
            while self.window.len() >= self.capacity {
                if let Some(gone) = self.window.pop_front() {
                    self.window_start = gone.version;
                }
            }
        }
        self.window.push_back(change);
    }

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objects::{Namespace, ObjectMeta};

    fn change(version: u64, seconds: u64) -> (Key, Change) {
        let mut meta = ObjectMeta::named("", &format!("n{version}"));
        meta.resource_version = version;
        let object = Arc::new(Object::Namespace(Namespace::new(meta)));
        let at = Instant::START + Duration::from_secs(seconds);
        (object.key(), Change { old: None, new: Some(object), version, at, cause: RecordId::default() })
    }

    fn missed(cache: &mut WatchCache, from: u64) -> Result<usize, (u16, String)> {
        let options = ListOptions { resource_version: Some(from), ..ListOptions::default() };
        let id = (Endpoint::Outside, from);
        let heard = cache.watch(id, Kind::Namespace, "".into(), options);
        heard.map(|events| events.len()).map_err(|status| (status.code, status.message.to_string()))
    }

    #[test]
    fn a_watch_starts_within_the_window_or_not_at_all() {
        let mut cache = WatchCache::default();
        cache.fill(Kind::Namespace, BTreeMap::new(), 50);
        assert_eq!(missed(&mut cache, 49), Err((410, "too old resource version: 49 (50)".to_owned())));
        for version in 51..=400 {
            let (key, change) = change(version, 1);
            cache.apply(Kind::Namespace, key, change, &mut |_, _| {});
        }
        assert_eq!(missed(&mut cache, 50), Ok(350), "what is fresh is kept");
        // An hour later the window is small again.
        for version in 401..=2_000 {
            let (key, change) = change(version, 100 * version);
            cache.apply(Kind::Namespace, key, change, &mut |_, _| {});
        }
        assert_eq!(cache.of(Kind::Namespace).capacity, WINDOW.0);
        assert_eq!(
            (missed(&mut cache, 1_900), missed(&mut cache, 1_899).map_err(|(code, _)| code)),
            (Ok(100), Err(410))
        );
        assert_eq!(cache.empty(Kind::Namespace).len(), 2);
        assert!(!cache.ready(Kind::Namespace) && cache.watchers().is_empty());
    }
}
