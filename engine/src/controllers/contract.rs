//! What a controller is: which keys does a change concern, what does a reconcile need to know, and the reconcile itself.
//!
//! The reconcile is a straight-line function of its inputs and of the replies so far (see `client/routine.rs`); it never looks at
//! a cache. What it needs is captured when a worker takes the key, as a real worker reads its listers at the start of a sync. What it keeps between syncs (timers, what it saw last) is in the controller itself, which is
//! a value: it changes when a cache changes, when a key is taken, when a period is over and when a reconcile has ended.
//!
//! Models: the shape that the controllers under kubernetes v1.36.2 pkg/controller share (handlers, work queue, sync).

use super::caches::Caches;
use crate::client::expectations::Expectations;
use crate::client::informer::Change;
use crate::client::routine::{Routine, Step};
use crate::client::{Agent, WorkQueue};
use crate::kernel::out::RecordId;
use crate::kernel::{Duration, Instant};
use crate::objects::{Key, Kind, ObjectReference, Text};
use crate::setup::Setup;

/// A controller.
pub trait Controller {
    /// Its identity.
    const AGENT: Agent;
    /// The kind its keys name.
    const KIND: Kind;
    /// The kinds whose changes it wants to hear of; its workers start when these caches are filled.
    const INFORMERS: &'static [Kind];
    /// How many keys are worked on at the same time.
    const WORKERS: usize;
    /// How often a failed key is tried again before it waits for the next change; `None`: without end.
    const MAX_RETRIES: Option<u32>;
    /// How long a failed key waits at most; Kubernetes: DefaultControllerRateLimiter.
    const LONGEST_WAIT: Duration = Duration::from_secs(1000);
    /// If given, a failed key waits this long at first and longer with each further failure, whatever other keys do.
    const FIRST_WAIT: Option<Duration> = None;

    /// What a sync is refused with while the caches are older than what the controller wrote for the key, whose object is cached at this
    /// version; `None`: with the versions of the cache.
    fn out_of_date(_key: &Key, _cached: Option<u64>) -> Option<String> {
        None
    }

    /// Who its events say they come from.
    const SOURCE: &'static str = Self::AGENT.name();
    /// How often it looks at everything, from when its caches are filled; `None`: it only reacts.
    const PERIOD: Option<Duration> = None;

    /// The object that a key is about, as the trace says it; keys that stand for something else than an object of the
    /// controller's kind are translated here.
    fn subject(key: &Key) -> (Kind, Key) {
        (Self::KIND, key.clone())
    }

    /// What a reconcile needs to know.
    type Inputs: Clone + std::fmt::Debug;
    /// What the controller remembers of a reconcile.
    type Outcome;

    /// A change of a cache. The caches have taken it in already.
    fn concerns(&mut self, kind: Kind, change: &Change, caches: &Caches, wake: &mut Wake<'_>);

    /// What the reconcile of `key` needs to know; `None` if there is nothing to reconcile (any more).
    fn inputs(&mut self, key: &Key, caches: &Caches, view: View<'_>) -> Option<Self::Inputs>;

    /// A period is over.
    fn tick(&mut self, _caches: &Caches, _wake: &mut Wake<'_>) {}

    /// Brings the cluster closer to what is wanted.
    ///
    /// # Errors
    /// When it waits for replies, and when it failed.
    fn reconcile(&self, inputs: &Self::Inputs, routine: &mut Routine<'_>) -> Step<Self::Outcome>;

    /// What a reconcile that has run to its end complains of; empty for nothing. The key is not tried again for that.
    fn complaint(_outcome: &Self::Outcome) -> Text {
        Text::default()
    }

    /// A reconcile has run to its end, well or not.
    fn reconciled(&mut self, _key: &Key, _outcome: Option<Self::Outcome>, _now: Instant) {}
}

/// What a reconcile may look at besides the caches.
#[derive(Clone, Copy)]
pub struct View<'a> {
    /// When it begins, by the process' clock: to compare with what stands in objects.
    pub now: Instant,
    /// When it begins, for lengths of time.
    pub monotonic: Instant,
    /// What the controller waits to see.
    pub expectations: &'a Expectations,
    /// What is constant.
    pub setup: &'a Setup,
}

/// How a controller reacts to a change.
pub struct Wake<'a> {
    pub(super) now: Instant,
    pub(super) wall: Instant,
    pub(super) cause: RecordId,
    pub(super) queue: &'a mut WorkQueue,
    pub(super) expectations: &'a mut Expectations,
    /// Keys to add later.
    pub(super) later: Vec<(Key, Duration)>,
    /// Keys whose past no longer counts.
    pub(super) forgotten: Vec<Key>,
    /// What it tells people outside of a reconcile.
    pub(super) said: Vec<(ObjectReference, &'static str, String)>,
}

impl Wake<'_> {
    /// Reconcile this key.
    pub fn key(&mut self, key: Key) {
        self.queue.add(key, self.cause);
    }

    /// Reconcile this key after some time.
    pub fn later(&mut self, key: Key, after: Duration) {
        self.later.push((key, after));
    }

    /// An expected creation was seen.
    pub fn created(&mut self, key: &Key) {
        self.expectations.creation_observed(key);
    }

    /// An expected deletion was seen.
    pub fn deleted(&mut self, key: &Key, object: &Key) {
        self.expectations.deletion_observed(key, object);
    }

    /// An object shows up that is being deleted already: upstream counts it as no creation.
    pub fn came_deleted(&mut self, key: &Key) {
        self.expectations.came_deleted(key);
    }

    /// The key's object is gone: expectations and own writes no longer count.
    pub fn forget(&mut self, key: &Key) {
        self.expectations.delete(key);
        self.forgotten.push(key.clone());
    }

    /// Tells people something normal, outside of a reconcile.
    pub fn say(&mut self, regarding: ObjectReference, reason: &'static str, message: impl FnOnce() -> String) {
        self.said.push((regarding, reason, message()));
    }

    /// Now, for lengths of time.
    pub fn now(&self) -> Instant {
        self.now
    }

    /// Now, by the process' clock: to compare with what stands in objects.
    pub fn wall(&self) -> Instant {
        self.wall
    }
}
