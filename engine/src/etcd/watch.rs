//! Watches as a member keeps them: who wants to hear of which keys, from which revision on.
//!
//! A watch that begins in the past is *unsynced*: a loop reads history for it until it has caught up; from then on it
//! is *synced* and hears each change as it is applied. Events come in revision order, none lost, none twice.
//!
//! Models: etcd v3.6 server/storage/mvcc/watchable_store.go, watcher_group.go; server/etcdserver/api/v3rpc/watch.go.
//! Left out: channels that fill up (victims), fragments, event filters.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use super::request::{Key, KeyEvent, KeyRange, Value, WatchRequest};
use super::store::Store;
use crate::kernel::Duration;

/// The watches of one member, known by ids of type `W`.
#[derive(Clone, Debug)]
pub struct Watchers<W> {
    watchers: BTreeMap<W, Watcher>,
    unsynced: BTreeSet<W>,
    /// Synced watches of a single key.
    keys: BTreeMap<Key, BTreeSet<W>>,
    /// Synced watches of a prefix.
    prefixes: BTreeMap<Key, BTreeSet<W>>,
    /// Other synced watches.
    spans: BTreeSet<W>,
}

#[derive(Clone, Debug)]
struct Watcher {
    request: WatchRequest,
    /// The first revision it has not been told of.
    next: u64,
    /// Whether it heard nothing since the last progress tick.
    quiet: bool,
}

/// What the catch-up loop found for a watch.
#[derive(Clone, Debug, PartialEq)]
pub enum Caught<V> {
    /// History; the watch may have more to come.
    Events(Vec<KeyEvent<V>>),
    /// Its start is compacted; the watch is gone.
    Compacted {
        /// The oldest revision one can watch from.
        compact_revision: u64,
    },
}

/// How often unsynced watches are served. – constant; etcd 3.6: syncWatchersLoop, 100 ms.
pub const SYNC_INTERVAL: Duration = Duration::from_millis(100);
/// Most watches served at once. – constant; etcd: maxWatchersPerSync.
const WATCHERS_PER_SYNC: usize = 512;
/// Most revisions sent to a watch at once. – constant; etcd: watchBatchMaxRevs.
const REVISIONS_PER_BATCH: usize = 1_000;

impl<W> Default for Watchers<W> {
    fn default() -> Self {
        Watchers {
            watchers: BTreeMap::new(),
            unsynced: BTreeSet::new(),
            keys: BTreeMap::new(),
            prefixes: BTreeMap::new(),
            spans: BTreeSet::new(),
        }
    }
}

impl<W: Ord + Copy> Watchers<W> {
    /// Begins a watch; `revision` is the store's.
    pub fn add(&mut self, id: W, request: WatchRequest, revision: u64) {
        self.remove(id);
        let synced = request.start_revision == 0 || request.start_revision > revision;
        let next = if synced { request.start_revision.max(revision + 1) } else { request.start_revision };
        let range = request.range.clone();
        self.watchers.insert(id, Watcher { request, next, quiet: false });
        if synced {
            self.index(id, &range);
        } else {
            self.unsynced.insert(id);
        }
    }

    /// Ends a watch; false when there is none of that id.
    pub fn remove(&mut self, id: W) -> bool {
        let Some(watcher) = self.watchers.remove(&id) else { return false };
        self.unsynced.remove(&id);
        let shelf = match &watcher.request.range {
            KeyRange::Key(key) => Some((&mut self.keys, key)),
            KeyRange::Prefix(prefix) => Some((&mut self.prefixes, prefix)),
            KeyRange::Span { .. } | KeyRange::From(_) => None,
        };
        let Some((shelf, key)) = shelf else {
            self.spans.remove(&id);
            return true;
        };
        if let Some(ids) = shelf.get_mut(key) {
            ids.remove(&id);
            if ids.is_empty() {
                shelf.remove(key);
            }
        }
        true
    }

    /// Hands the store's changes from `from` on to the synced watches that want them.
    pub fn notify<V: Value>(&mut self, store: &Store<V>, from: u64) -> BTreeMap<W, Vec<KeyEvent<V>>> {
        let mut told = BTreeMap::<W, Vec<KeyEvent<V>>>::new();
        let mut ids = Vec::new();
        for event in store.events_from(from) {
            self.interested(&event.key, &mut ids);
            for id in ids.drain(..) {
                let Some(watcher) = self.watchers.get_mut(&id) else { continue };
                if event.revision >= watcher.next {
                    watcher.quiet = false;
                    told.entry(id).or_default().push(store.visible(event, watcher.request.prev_kv));
                }
            }
        }
        for id in told.keys() {
            if let Some(watcher) = self.watchers.get_mut(id) {
                watcher.next = watcher.next.max(store.revision() + 1);
            }
        }
        told
    }

    /// The store was replaced: every watch looks at history again.
    pub fn restart(&mut self) {
        self.keys.clear();
        self.prefixes.clear();
        self.spans.clear();
        self.unsynced.extend(self.watchers.keys().copied());
    }

    /// Ends the watches that want a leader; these are they.
    pub fn leaderless(&mut self) -> Vec<W> {
        let wanting = self.watchers.iter().filter(|(_, watcher)| watcher.request.require_leader);
        let ids: Vec<W> = wanting.map(|(id, _)| *id).collect();
        for id in &ids {
            self.remove(*id);
        }
        ids
    }

    /// Whether a watch wants a leader.
    pub fn any_require_leader(&self) -> bool {
        self.watchers.values().any(|watcher| watcher.request.require_leader)
    }

    /// All watches.
    pub fn ids(&self) -> impl Iterator<Item = W> {
        self.watchers.keys().copied()
    }

    /// How many watches have history to catch up with.
    pub fn unsynced(&self) -> usize {
        self.unsynced.len()
    }

    /// One round of catching up.
    pub fn sync<V: Value>(&mut self, store: &Store<V>) -> Vec<(W, Caught<V>)> {
        let chosen: Vec<W> = self.unsynced.iter().take(WATCHERS_PER_SYNC).copied().collect();
        let mut found = Vec::new();
        for id in chosen {
            let Some(watcher) = self.watchers.get_mut(&id) else { continue };
            if watcher.next < store.compact_revision() {
                self.remove(id);
                found.push((id, Caught::Compacted { compact_revision: store.compact_revision() }));
                continue;
            }
            let (events, next) = history(store, &watcher.request, watcher.next);
            watcher.next = next;
            if !events.is_empty() {
                watcher.quiet = false;
                found.push((id, Caught::Events(events)));
            }
            if next > store.revision() {
                let range = watcher.request.range.clone();
                self.unsynced.remove(&id);
                self.index(id, &range);
            }
        }
        found
    }

    /// The synced watches that asked for progress and heard nothing since the last call.
    pub fn quiet(&mut self) -> Vec<W> {
        let (unsynced, mut quiet) = (&self.unsynced, Vec::new());
        for (id, watcher) in &mut self.watchers {
            if !watcher.request.progress_notify {
                continue;
            }
            if watcher.quiet && !unsynced.contains(id) {
                quiet.push(*id);
            }
            watcher.quiet = true;
        }
        quiet
    }

    /// Whether a watch wants progress notices.
    pub fn any_progress(&self) -> bool {
        self.watchers.values().any(|watcher| watcher.request.progress_notify)
    }

    /// Whether all watches for which `of` holds are synced, and there is one.
    pub fn all_synced(&self, of: impl Fn(W) -> bool) -> bool {
        self.watchers.keys().any(|id| of(*id)) && !self.unsynced.iter().any(|id| of(*id))
    }

    /// How many watches there are.
    pub fn len(&self) -> usize {
        self.watchers.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.watchers.is_empty()
    }

    fn index(&mut self, id: W, range: &KeyRange) {
        match range {
            KeyRange::Key(key) => self.keys.entry(key.clone()).or_default().insert(id),
            KeyRange::Prefix(prefix) => self.prefixes.entry(prefix.clone()).or_default().insert(id),
            KeyRange::Span { .. } | KeyRange::From(_) => self.spans.insert(id),
        };
    }

    /// The synced watches that hear of `key`.
    fn interested(&self, key: &str, ids: &mut Vec<W>) {
        ids.extend(self.keys.get(key).into_iter().flatten());
        ids.extend(self.spans.iter().filter(|id| self.watchers[id].request.range.contains(key)));
        // Every prefix of the key lies at or below it, and so is a prefix of whatever lies between the two.
        let mut rest = key;
        while let Some((prefix, found)) = self.prefixes.range::<str, _>(below(rest)).next_back() {
            if !rest.starts_with(&**prefix) {
                rest = common(rest, prefix);
                continue;
            }
            ids.extend(found);
            let Some((last, _)) = prefix.char_indices().next_back() else { return };
            rest = &rest[..last];
        }
    }
}

fn below(key: &str) -> (Bound<&str>, Bound<&str>) {
    (Bound::Unbounded, Bound::Included(key))
}

fn common<'a>(a: &'a str, b: &str) -> &'a str {
    let same = a.bytes().zip(b.bytes()).take_while(|(a, b)| a == b).count();
    &a[..a.floor_char_boundary(same)]
}

/// The next batch of history for a watch that has seen everything below `from`, and what it has seen everything below
/// then.
fn history<V: Value>(store: &Store<V>, request: &WatchRequest, from: u64) -> (Vec<KeyEvent<V>>, u64) {
    let (mut events, mut revisions, mut last) = (Vec::new(), 0, 0);
    for event in store.events_from(from).filter(|event| request.range.contains(&event.key)) {
        if event.revision != last {
            if revisions == REVISIONS_PER_BATCH {
                return (events, event.revision);
            }
            (revisions, last) = (revisions + 1, event.revision);
        }
        events.push(store.visible(event, request.prev_kv));
    }
    (events, store.revision() + 1)
}

#[cfg(test)]
mod tests {
    use super::super::request::Put;
    use super::*;

    fn watch(range: KeyRange, start_revision: u64) -> WatchRequest {
        WatchRequest { range, start_revision, prev_kv: false, progress_notify: true, require_leader: false }
    }

    fn prefix(text: &str) -> KeyRange {
        KeyRange::Prefix(text.into())
    }

    fn put(store: &mut Store<String>, key: &str) {
        store.put(&Put::new(key, String::new())).unwrap();
    }

    fn revisions(events: &[KeyEvent<String>]) -> Vec<u64> {
        events.iter().map(|event| event.revision).collect()
    }

    #[test]
    fn a_change_reaches_the_watches_whose_range_holds_its_key() {
        let mut store = Store::default();
        let mut watchers = Watchers::default();
        let ranges = [
            prefix(""),
            prefix("/r/pods/"),
            prefix("/r/pods/a"),
            prefix("/r/pods/b"),
            prefix("/r/podtemplates/"),
            KeyRange::Key("/r/pods/ab".into()),
            KeyRange::Span { from: "/r/pods/a".into(), to: "/r/pods/ab".into() },
            KeyRange::From("/r/p".into()),
            prefix("/r/pods/ab/é"),
        ];
        ranges.into_iter().enumerate().for_each(|(id, range)| watchers.add(id, watch(range, 0), 1));
        put(&mut store, "/r/pods/ab");
        assert_eq!(watchers.notify(&store, 2).into_keys().collect::<Vec<_>>(), [0, 1, 2, 5, 7]);
        (0..9).for_each(|id| assert!(watchers.remove(id)));
        put(&mut store, "/r/pods/ab");
        assert!(watchers.notify(&store, 3).is_empty());
    }

    #[test]
    fn a_watch_from_the_past_catches_up_and_then_hears_live_events_once() {
        let mut store = Store::default();
        let mut watchers = Watchers::default();
        put(&mut store, "a");
        put(&mut store, "a");
        watchers.add(1, watch(prefix("a"), 2), store.revision());
        put(&mut store, "a");
        assert!(watchers.notify(&store, 4).is_empty(), "not synced yet");
        let [(1, Caught::Events(events))] = &watchers.sync(&store)[..] else { panic!("one batch") };
        assert_eq!(revisions(events), [2, 3, 4]);
        put(&mut store, "a");
        assert_eq!(revisions(&watchers.notify(&store, 5)[&1]), [5]);
    }

    #[test]
    fn long_history_comes_in_batches_of_whole_revisions() {
        let mut store = Store::default();
        let mut watchers = Watchers::default();
        (0..2_500).for_each(|_| put(&mut store, "a"));
        watchers.add(1, watch(prefix("a"), 2), store.revision());
        let mut sizes = Vec::new();
        while watchers.unsynced() > 0 {
            let caught = watchers.sync(&store);
            sizes.extend(caught.iter().map(|(_, c)| if let Caught::Events(e) = c { e.len() } else { 0 }));
        }
        assert_eq!(sizes, [1_000, 1_000, 500]);
    }

    #[test]
    fn a_compacted_start_ends_the_watch() {
        let mut store = Store::default();
        let mut watchers = Watchers::default();
        (0..3).for_each(|_| put(&mut store, "a"));
        watchers.add(1, watch(prefix("a"), 2), store.revision());
        watchers.add(2, watch(prefix("a"), 3), store.revision());
        store.compact(3).unwrap();
        let caught = watchers.sync(&store);
        assert_eq!(caught[0], (1, Caught::Compacted { compact_revision: 3 }));
        assert!(matches!(&caught[1], (2, Caught::Events(events)) if revisions(events) == [3, 4]));
        assert_eq!(watchers.len(), 1);
    }

    #[test]
    fn a_watch_from_the_future_skips_what_comes_before() {
        let mut store = Store::default();
        let mut watchers = Watchers::default();
        watchers.add(1, watch(prefix("a"), 4), store.revision());
        for _ in 0..3 {
            put(&mut store, "a");
        }
        assert_eq!(revisions(&watchers.notify(&store, 2)[&1]), [4]);
    }

    #[test]
    fn only_a_quiet_watch_hears_progress() {
        let mut store = Store::default();
        let mut watchers = Watchers::default();
        watchers.add(1, watch(prefix("a"), 0), 1);
        watchers.add(2, watch(prefix("b"), 0), 1);
        assert!(watchers.quiet().is_empty(), "created since the last tick");
        put(&mut store, "a");
        watchers.notify(&store, 2);
        assert_eq!(watchers.quiet(), [2]);
        assert_eq!(watchers.quiet(), [1, 2]);
    }
}
