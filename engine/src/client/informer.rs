//! Informers: a watch that starts with the present objects, a cache that lags behind the truth, and what changed.
//!
//! Models: kubernetes v1.36.2 staging/src/k8s.io/client-go/tools/cache/{reflector,shared_informer}.go with WatchListClient on: one
//! watch request with `sendInitialEvents` instead of LIST and WATCH. Left out: resync, paging.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::agent::Agent;
use super::connection::{Call, Connection};
use super::store::Store;
use crate::apiserver::request::{ListOptions, WatchEvent, WatchKind};
use crate::apiserver::status::Status;
use crate::event::Effects;
use crate::kernel::out::RecordId;
use crate::kernel::{Duration, Instant};
use crate::objects::{Key, Kind, Name, Object};
use crate::setup::Setup;

/// First and longest wait before a watch that failed is opened again, each up to twice as long by luck; Kubernetes: reflector.go,
/// NewReflectorWithOptions.
const FIRST_WAIT: Duration = Duration::from_millis(800);
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// Without a failure for so long it starts at the first again.
const FORGIVEN: Duration = Duration::from_secs(120);
/// A watch that ends sooner counts as a failure; Kubernetes: VeryShortWatchError.
const SHORT_WATCH: Duration = Duration::from_secs(1);

/// One change of an informer's cache.
#[derive(Clone, Debug)]
pub struct Change {
    /// The object before; `None` if it is new.
    pub old: Option<Arc<Object>>,
    /// The object now; `None` if it is gone.
    pub new: Option<Arc<Object>>,
    /// The write that did it.
    pub cause: RecordId,
}

impl Change {
    /// The object after the change, or its last state.
    pub fn object(&self) -> &Arc<Object> {
        self.new.as_ref().or(self.old.as_ref()).expect("a change has a side")
    }
}

/// An informer of one kind.
#[derive(Clone, Debug)]
pub struct Informer {
    /// The kind it informs of.
    pub kind: Kind,
    /// What it knows.
    pub store: Store,
    options: ListOptions,
    /// The only namespace that is watched; empty for all.
    namespace: Name,
    number: u64,
    synced: bool,
    version: u64,
    /// While the present objects stream in after a new start: the keys that were known and have not come again.
    unseen: Option<BTreeSet<Key>>,
    /// The next wait after a failure, and when the last failure was.
    backoff: (Duration, Instant),
    failures: u64,
    opened: Instant,
}

impl Informer {
    /// An informer of `kind` with an empty store.
    pub fn new(kind: Kind, store: Store, options: ListOptions) -> Self {
        Informer {
            kind,
            store,
            options,
            namespace: "".into(),
            number: 0,
            synced: false,
            version: 0,
            unseen: None,
            backoff: (FIRST_WAIT, Instant::START),
            failures: 0,
            opened: Instant::START,
        }
    }

    /// The same of one namespace only; the empty name stands for all.
    pub fn within(self, namespace: Name) -> Self {
        Informer { namespace, ..self }
    }

    /// What it asks for.
    pub fn options(&self) -> &ListOptions {
        &self.options
    }

    /// Opens the watch.
    pub fn start(&mut self, agent: Agent, connection: &mut Connection, out: &mut Effects) {
        let mut options = self.options.clone();
        if self.synced && self.version > 0 && self.unseen.is_none() {
            options.resource_version = Some(self.version);
        } else {
            options.initial_events = true;
            self.unseen = Some(self.store.iter().map(|object| object.key()).collect());
        }
        self.opened = out.now();
        let mut call = Call::watch(self.kind, options);
        call.key.namespace = self.namespace.clone();
        self.number = connection.send(agent, call, Duration::ZERO, out);
    }

    /// The watch ended, or could not be opened: how long until it is opened again. One that the server closes without a word is
    /// opened at once, unless it has just been opened; after an error the reflector backs off, and after 410 Gone it reads everything
    /// again.
    pub fn broke(&mut self, status: Option<&Status>, agent: Agent, setup: &Setup, now: Instant) -> Duration {
        if status.is_some_and(|status| status.code == 410) {
            self.version = 0;
        }
        if status.is_none() && now.since(self.opened) >= SHORT_WATCH {
            return Duration::ZERO;
        }
        if now.since(self.backoff.1) > FORGIVEN {
            self.backoff.0 = FIRST_WAIT;
        }
        let wait = self.backoff.0;
        self.backoff = (wait.times(2).min(LONGEST_WAIT), now);
        self.failures += 1;
        let place = agent.index() << 32 | self.failures;
        let jitter = setup.luck(agent.name(), "reflector", self.kind.name(), place).below(1_000_000);
        wait + wait.fraction(jitter, 1_000_000)
    }

    /// Whether the watch has this number.
    pub fn is(&self, number: u64) -> bool {
        self.number == number
    }

    /// Whether the present objects have all arrived.
    pub fn synced(&self) -> bool {
        self.synced
    }

    /// The version up to which everything is known.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Whether the present objects are still streaming in.
    pub fn filling(&self) -> bool {
        !self.synced || self.unseen.is_some()
    }

    /// Takes over what another informer of the same kind and options knows at a version: the same that this one would know there.
    pub fn adopt(&mut self, store: Store, version: u64) {
        self.store = store;
        self.version = self.version.max(version);
    }

    /// Takes in one event of the watch. A deletion found by a new start yields several changes.
    pub fn take(&mut self, event: WatchEvent, changes: &mut Vec<Change>) {
        self.version = self.version.max(event.resource_version);
        let cause = event.cause;
        match (event.kind, event.object) {
            (WatchKind::Bookmark, _) | (_, None) => {
                self.synced = true;
                for key in self.unseen.take().into_iter().flatten() {
                    let old = self.store.remove(&key);
                    changes.push(Change { old, new: None, cause });
                }
            }
            (WatchKind::Deleted, Some(object)) => {
                let old = self.store.remove(&object.key());
                if old.is_some() {
                    changes.push(Change { old: Some(object), new: None, cause });
                }
            }
            (WatchKind::Added | WatchKind::Modified, Some(object)) => {
                if let Some(unseen) = &mut self.unseen {
                    unseen.remove(&object.key());
                }
                let old = self.store.insert(object.clone());
                let same =
                    old.as_ref().is_some_and(|old| old.meta().resource_version == object.meta().resource_version);
                if !same {
                    changes.push(Change { old, new: Some(object), cause });
                }
            }
        }
    }
}
