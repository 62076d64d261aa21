//! What must hold at every instant, seen from outside: etcd's history and the trace, read as they grow. Nothing here touches the run.
//!
//! After each event only what is new is looked at: the revisions a member has applied since, and the records written since. What is
//! promised, and what is not because upstream does not promise it either, stands at each file's head.

mod budgets;
mod caches;
mod history;
mod nodes;
mod pods;
mod quotas;
mod rollouts;
pub mod sometimes;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use wavetank_engine::World;
use wavetank_engine::client::Agent;
use wavetank_engine::kernel::Instant;
use wavetank_engine::objects::{Key, Kind, Object, Uid};
use wavetank_engine::trace::{Note, What};

use self::sometimes::Sometimes;

/// An invariant that does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// Which invariant.
    pub invariant: &'static str,
    /// About which object.
    pub object: String,
    /// What is wrong.
    pub text: String,
}

impl Broken {
    fn new(invariant: &'static str, object: impl ToString, text: impl ToString) -> Self {
        Broken { invariant, object: object.to_string(), text: text.to_string() }
    }
}

/// Whether all holds so far.
type Held = Result<(), Broken>;

/// A change of an object, as the first member of etcd applied it.
struct Stored<'a> {
    kind: Kind,
    key: Key,
    before: Option<&'a Arc<Object>>,
    now: Option<&'a Arc<Object>>,
}

/// Whether something is wrong.
#[derive(Clone, Copy, Debug)]
enum Calm {
    /// Nothing has ever been.
    Always,
    /// Nothing has been since then.
    Since(Instant),
    /// Something is.
    Not,
}

/// What the checks know besides what they see.
struct Around<'a> {
    now: Instant,
    calm: Calm,
    world: &'a World,
    objects: &'a Objects,
}

impl Around<'_> {
    /// Whether nothing has been wrong for so long, or ever.
    fn calm_for(&self, seconds: u64) -> bool {
        match self.calm {
            Calm::Always => true,
            Calm::Since(since) => self.now.since(since).as_nanos() >= seconds * 1_000_000_000,
            Calm::Not => false,
        }
    }
}

/// The present objects of the kinds that checks look at.
#[derive(Default)]
struct Objects {
    kinds: BTreeMap<Kind, BTreeMap<Key, Arc<Object>>>,
    owned: BTreeMap<Uid, BTreeMap<Key, Arc<Object>>>,
}

/// The kinds of which the present objects are kept.
const KEPT: [Kind; 6] =
    [Kind::Pod, Kind::Node, Kind::ReplicaSet, Kind::Deployment, Kind::PodDisruptionBudget, Kind::ResourceQuota];

impl Objects {
    fn of(&self, kind: Kind) -> impl Iterator<Item = &Arc<Object>> {
        self.kinds.get(&kind).into_iter().flat_map(BTreeMap::values)
    }

    fn get(&self, kind: Kind, key: &Key) -> Option<&Arc<Object>> {
        self.kinds.get(&kind)?.get(key)
    }

    fn in_namespace<'a>(&'a self, kind: Kind, key: &Key) -> impl Iterator<Item = &'a Arc<Object>> {
        let namespace = key.namespace.clone();
        let from = Key { namespace: namespace.clone(), name: "".into() };
        let kind = self.kinds.get(&kind).into_iter().flat_map(move |objects| objects.range(from.clone()..));
        kind.take_while(move |(key, _)| key.namespace == namespace).map(|(_, object)| object)
    }

    /// The pods or replica sets an owner controls.
    fn owned_by(&self, owner: Uid) -> impl Iterator<Item = &Arc<Object>> {
        self.owned.get(&owner).into_iter().flat_map(BTreeMap::values)
    }

    fn take(&mut self, change: &Stored<'_>) {
        if !KEPT.contains(&change.kind) {
            return;
        }
        let owner = |object: Option<&Arc<Object>>| object.and_then(|object| Some(object.meta().controller()?.uid));
        if let Some(owner) = owner(change.before)
            && let Some(all) = self.owned.get_mut(&owner)
        {
            all.remove(&change.key);
            if all.is_empty() {
                self.owned.remove(&owner);
            }
        }
        if let (Some(owner), Some(now)) = (owner(change.now), change.now) {
            self.owned.entry(owner).or_default().insert(change.key.clone(), now.clone());
        }
        let objects = self.kinds.entry(change.kind).or_default();
        match change.now {
            Some(now) => objects.insert(change.key.clone(), now.clone()),
            None => objects.remove(&change.key),
        };
    }
}

/// What the EndpointSlice controller tries no more.
#[derive(Default)]
struct GivenUp {
    /// How often the last syncs of a Service have failed in a row.
    failures: BTreeMap<Key, u32>,
    services: BTreeSet<Key>,
}

/// A sync that fails after this many retries is not tried again. Kubernetes: maxRetries in pkg/controller/endpointslice.
const RETRIES: u32 = 15;

impl GivenUp {
    fn record(&mut self, note: &Note) {
        match (&note.what, note.by, &note.object) {
            (What::Leading, Agent::ControllerManager(_), _) => *self = GivenUp::default(),
            (What::Reconciled { error }, Agent::EndpointSliceController, Some((_, key))) => {
                self.services.remove(key);
                if error.is_empty() {
                    self.failures.remove(key);
                    return;
                }
                let failures = self.failures.entry(key.clone()).or_insert(0);
                *failures += 1;
                if *failures > RETRIES {
                    self.failures.remove(key);
                    self.services.insert(key.clone());
                }
            }
            _ => {}
        }
    }
}

/// Looks at a run as it goes.
pub struct Watcher {
    history: history::History,
    objects: Objects,
    pods: pods::Pods,
    nodes: nodes::Nodes,
    rollouts: rollouts::Rollouts,
    budgets: budgets::Budgets,
    quotas: quotas::Quotas,
    caches: caches::Caches,
    sometimes: Sometimes,
    /// How often each node's machine has lost its power.
    boots: Vec<u32>,
    given_up: GivenUp,
    /// Records looked at.
    records: usize,
    calm: Calm,
    /// When an object that is neither a lease, an event nor a node last changed.
    last_change: Instant,
}

impl Watcher {
    /// Watches from now on.
    pub fn new(world: &World) -> Self {
        let mut objects = Objects::default();
        for kind in KEPT {
            for object in world.objects(kind) {
                objects.take(&Stored { kind, key: object.key(), before: None, now: Some(&object) });
            }
        }
        Watcher {
            history: history::History::new(world),
            objects,
            pods: pods::Pods::default(),
            nodes: nodes::Nodes::default(),
            rollouts: rollouts::Rollouts::default(),
            budgets: budgets::Budgets::default(),
            quotas: quotas::Quotas::default(),
            caches: caches::Caches::default(),
            sometimes: Sometimes::default(),
            boots: Vec::new(),
            given_up: GivenUp::default(),
            records: world.trace().records().len(),
            calm: Calm::Always,
            last_change: world.now(),
        }
    }

    /// Looks at what is new.
    pub fn look(&mut self, world: &World) -> Held {
        let records = world.trace().records();
        if self.records == records.len() && !self.history.moved(world) {
            return Ok(());
        }
        let now = world.now();
        for node in (0..).take(world.setup().nodes.len()) {
            let boots = world.boots(node).unwrap_or(0);
            match self.boots.get_mut(node as usize) {
                None => self.boots.push(boots),
                Some(known) if *known != boots => {
                    *known = boots;
                    self.pods.lost_power(node);
                    self.nodes.lost_power(node);
                }
                Some(_) => {}
            }
        }
        let wrong = world.faults().next().is_some() || world.going_off().next().is_some();
        match (wrong, self.calm) {
            (true, _) => self.calm = Calm::Not,
            (false, Calm::Not) => self.calm = Calm::Since(now),
            (false, Calm::Always | Calm::Since(_)) => {}
        }
        for change in self.history.advance(world)? {
            let Some((kind, key)) = change.object() else { continue };
            let stored = Stored { kind, key, before: change.before.as_ref(), now: change.now.as_ref() };
            if !matches!(kind, Kind::Lease | Kind::Event | Kind::Node) {
                self.last_change = now;
            }
            history::rules(&stored, change.revision)?;
            {
                let around = Around { now, calm: self.calm, world, objects: &self.objects };
                self.rollouts.before(&stored, &around)?;
            }
            self.objects.take(&stored);
            let around = Around { now, calm: self.calm, world, objects: &self.objects };
            self.nodes.stored(&stored);
            self.rollouts.after(&stored, &around)?;
            self.budgets.stored(&stored, &around)?;
            self.quotas.stored(&stored, &around)?;
            self.sometimes.stored(&stored);
        }
        for record in records.get(self.records..).unwrap_or_default() {
            self.given_up.record(&record.note);
            let around = Around { now, calm: self.calm, world, objects: &self.objects };
            self.sometimes.record(&record.note);
            self.history.record(record)?;
            self.pods.record(&record.note, &around)?;
            self.nodes.record(&record.note, &around)?;
        }
        self.records = records.len();
        self.sometimes.set(sometimes::CHECKED_ROLLOUT, self.rollouts.checked);
        self.sometimes.set(sometimes::CHECKED_BUDGET, self.budgets.checked);
        self.sometimes.set(sometimes::CHECKED_QUOTA, self.quotas.checked);
        let around = Around { now, calm: self.calm, world, objects: &self.objects };
        self.caches.look(&around, self.history.furthest())
    }

    /// Services whose slices their controller has tried to write once too often: it waits for something new.
    pub fn given_up(&self) -> &BTreeSet<Key> {
        &self.given_up.services
    }

    /// A pod is deleted without waiting for its kubelet: its name may run twice.
    pub fn forced(&mut self, key: Key) {
        self.pods.forced(key);
    }

    /// What really happened.
    pub fn sometimes(&mut self) -> &mut Sometimes {
        &mut self.sometimes
    }

    /// When anything but leases, events and nodes last changed.
    pub fn last_change(&self) -> Instant {
        self.last_change
    }
}
