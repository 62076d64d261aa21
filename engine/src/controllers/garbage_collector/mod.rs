//! The garbage collector: deletes objects whose owners are gone, and serves the finalizers that say what becomes of an object's dependents.
//!
//! Reading order: `graph` (what changes mean), `attempt` (what is done about an object), and here the two queues and their workers. The
//! graph itself is nowhere stored: who depends on whom the caches know ([`Store::owned_by`](crate::client::Store::owned_by)), so that a
//! cluster in which nothing is deleted pays for no second copy. Stored is only what the caches do not know: owners that were named but never
//! seen (virtual nodes), and owners that are known to be absent.
//!
//! Models: kubernetes v1.36.2 pkg/controller/garbagecollector/{garbagecollector,graph_builder,operations,uid_cache}.go. Left out: the event OwnerRefInvalidNamespace, pauses between the tries of a finalizer's removal.

mod absent;
mod attempt;
mod graph;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use self::absent::AbsentOwners;
use self::attempt::{Deletion, Outcome, Release};
use super::ControllerManagerEvent;
use super::caches::Caches;
use super::running::{Surroundings, draw, synced};
use crate::apiserver::request::Reply;
use crate::client::connection::Call;
use crate::client::routine::{Answers, Interrupt, Routine, Step};
use crate::client::{Agent, WorkQueue};
use crate::event::{Effects, Event};
use crate::kernel::Instant;
use crate::kernel::out::RecordId;
use crate::objects::{Key, Kind, Name, Object, OwnerReference, Text, Uid};
use crate::trace::{Note, What};

/// Workers of each queue; Kubernetes: ConcurrentGCSyncs.
const WORKERS: usize = 20;

/// Who an object is, whatever is in it. An owner that comes back under its name is another one.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Item {
    uid: Uid,
    kind: Kind,
    key: Key,
}

impl Item {
    fn of(object: &Object) -> Self {
        let meta = object.meta();
        Item { uid: meta.uid, kind: object.kind(), key: meta.key() }
    }

    /// The owner that an object of `namespace` names; `None` if the server has no such kind.
    fn owner(reference: &OwnerReference, namespace: &Name, served: &[Kind]) -> Option<Self> {
        let meant = |kind: &Kind| kind.name() == &*reference.kind && kind.api_version() == &*reference.api_version;
        let kind = Kind::from_name(&reference.kind).filter(meant).or_else(|| served.iter().copied().find(meant))?;
        let namespace = if kind.namespaced() { namespace.clone() } else { "".into() };
        Some(Item { uid: reference.uid, kind, key: Key { namespace, name: reference.name.clone() } })
    }
}

/// The queue an item is in.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Purpose {
    /// attemptToDelete
    Delete,
    /// attemptToOrphan
    Release,
}

/// The garbage collector with its state.
#[derive(Clone, Debug, Default)]
pub struct GarbageCollector {
    /// The number of its controller manager.
    process: u8,
    /// Whether all caches have been filled once.
    started: bool,
    deletions: WorkQueue<Item>,
    releases: WorkQueue<Item>,
    /// What comes back later.
    waiting: BTreeSet<(Instant, Purpose, Item)>,
    /// Owners that are named by objects in the caches but are not in the caches themselves.
    virtuals: BTreeMap<Uid, Item>,
    absent: Arc<AbsentOwners>,
    /// Busy workers by the number of their task.
    tasks: BTreeMap<u64, Task>,
    next_task: u64,
    /// Task and slot of the requests on their way.
    in_flight: BTreeMap<u64, (u64, usize)>,
}

/// A busy worker.
#[derive(Clone, Debug)]
struct Task {
    job: Job,
    started: Instant,
    answers: Answers,
}

#[derive(Clone, Debug)]
enum Job {
    Delete(Deletion),
    Release(Release),
}

impl Job {
    fn item(&self) -> &Item {
        match self {
            Job::Delete(deletion) => &deletion.item,
            Job::Release(release) => &release.owner,
        }
    }

    fn run(&self, routine: &mut Routine<'_>) -> Step<Outcome> {
        match self {
            Job::Delete(deletion) => deletion.attempt(routine),
            Job::Release(release) => release.attempt(routine).map(|()| Outcome::default()),
        }
    }
}

impl GarbageCollector {
    /// It is that of the controller manager of this number.
    pub fn belong_to(&mut self, process: u8) {
        self.process = process;
    }

    /// Its identity.
    pub fn agent(&self) -> Agent {
        Agent::GarbageCollector
    }

    /// It has no period.
    pub fn tick(&mut self, _: &mut Surroundings<'_, '_>) {}

    /// Gives items to idle workers, once the caches are filled.
    pub fn work(&mut self, around: &mut Surroundings<'_, '_>) {
        self.started = self.started || Caches::kinds().iter().all(|kind| synced(around.caches, *kind));
        if !self.started {
            return;
        }
        while self.busy(Purpose::Delete) < WORKERS {
            let Some((item, cause)) = self.deletions.get() else { break };
            match self.deletion(&item, around.caches) {
                Some(deletion) => self.take(Job::Delete(deletion), cause, around),
                None => {
                    self.deletions.forget(&item);
                    self.deletions.done(&item);
                }
            }
        }
        while self.busy(Purpose::Release) < WORKERS {
            let Some((item, cause)) = self.releases.get() else { break };
            let dependents = graph::dependents(around.caches, item.uid).map(|object| Item::of(object)).collect();
            self.take(Job::Release(Release { owner: item, dependents }), cause, around);
        }
    }

    fn busy(&self, purpose: Purpose) -> usize {
        if self.tasks.is_empty() {
            return 0;
        }
        self.tasks.values().filter(|task| matches!(task.job, Job::Delete(_)) == (purpose == Purpose::Delete)).count()
    }

    /// What a worker needs to know of an item; `None` if there is nothing to do about it.
    fn deletion(&self, item: &Item, caches: &Caches) -> Option<Deletion> {
        let known = graph::known(caches, item);
        let deleting_dependents = match known {
            None if self.virtuals.get(&item.uid) != Some(item) => return None,
            None => false,
            // It is on its way out; what depends on it is looked at when it is gone.
            Some(object) if object.meta().deleting() && !object.meta().deleting_dependents() => return None,
            Some(object) => object.meta().deleting_dependents(),
        };
        let mut deletion = Deletion { deleting_dependents, ..Deletion::of(item, &self.absent, caches.served()) };
        for dependent in graph::dependents(caches, item.uid) {
            let meta = dependent.meta();
            deletion.has_dependents = true;
            deletion.circular = deletion.circular || meta.deleting_dependents();
            if !deleting_dependents {
                continue;
            }
            if meta.owners.iter().any(|owner| owner.uid == item.uid && owner.block_owner_deletion) {
                deletion.blocked = true;
                if !meta.deleting_dependents() {
                    deletion.blocking.push(Item::of(dependent));
                }
            }
        }
        Some(deletion)
    }

    fn take(&mut self, job: Job, cause: RecordId, around: &mut Surroundings<'_, '_>) {
        let out = &mut *around.out;
        out.because(cause);
        let item = job.item();
        out.note(Note::about(Agent::GarbageCollector, item.kind, item.key.clone(), What::Reconcile));
        let id = self.next_task;
        self.next_task += 1;
        self.tasks.insert(id, Task { job, started: out.now(), answers: Answers::default() });
        self.advance(id, around);
    }

    /// Runs a task as far as it gets.
    fn advance(&mut self, id: u64, around: &mut Surroundings<'_, '_>) {
        let Some(task) = self.tasks.get_mut(&id) else { return };
        let mut routine = Routine::new(task.started, &task.answers, 0);
        let result = task.job.run(&mut routine);
        let calls = std::mem::take(&mut routine.calls);
        if result == Err(Interrupt::Waiting) {
            self.send(id, calls, around);
        } else if let Some(task) = self.tasks.remove(&id) {
            self.end(&task.job, result, around);
        }
    }

    fn send(&mut self, id: u64, calls: Vec<Call>, around: &mut Surroundings<'_, '_>) {
        let Some(task) = self.tasks.get_mut(&id).filter(|_| !calls.is_empty()) else { return };
        let first = task.answers.expect(calls.len());
        let purpose = if first == 0 { "work" } else { "call" };
        let address = task.started.as_nanos() << 4 | first as u64;
        let name = Agent::GarbageCollector.name();
        let work = draw(around.setup, purpose, name, || task.job.item().key.to_string(), address);
        for (slot, call) in calls.into_iter().enumerate() {
            let number = around.connection.send(Agent::GarbageCollector, call, work, around.out);
            self.in_flight.insert(number, (id, first + slot));
        }
    }

    /// A worker is done with an item.
    fn end(&mut self, job: &Job, result: Step<Outcome>, around: &mut Surroundings<'_, '_>) {
        let (item, cause) = (job.item(), around.out.cause());
        let mut error = Text::default();
        let again = match result {
            Ok(outcome) => {
                for owner in outcome.absent {
                    Arc::make_mut(&mut self.absent).add(owner);
                }
                for other in outcome.enqueue {
                    self.deletions.add(other, cause);
                }
                if outcome.gone {
                    self.gone_for_good(item, around.caches, around.out);
                }
                // One that no cache has seen is watched until one does, or until it is gone.
                let unseen = self.virtuals.get(&item.uid) == Some(item);
                unseen && !outcome.gone && !outcome.unresolvable && matches!(job, Job::Delete(_))
            }
            Err(Interrupt::Waiting) => false,
            Err(Interrupt::Failed(why) | Interrupt::Dropped(why)) => {
                error = why;
                true
            }
        };
        let out = &mut *around.out;
        out.aside(Note::about(Agent::GarbageCollector, item.kind, item.key.clone(), What::Reconciled { error }));
        let purpose = if let Job::Delete(_) = job { Purpose::Delete } else { Purpose::Release };
        if again {
            self.put_off(purpose, item.clone(), out);
        } else {
            self.queue(purpose).forget(item);
        }
        self.queue(purpose).done(item);
    }

    fn queue(&mut self, purpose: Purpose) -> &mut WorkQueue<Item> {
        match purpose {
            Purpose::Delete => &mut self.deletions,
            Purpose::Release => &mut self.releases,
        }
    }

    /// Kubernetes: AddRateLimited.
    fn put_off(&mut self, purpose: Purpose, item: Item, out: &mut Effects) {
        let at = out.now() + self.queue(purpose).rate_limit(&item, out.now());
        self.waiting.insert((at, purpose, item));
        out.at(at, Event::ControllerManager(self.process, ControllerManagerEvent::Collect));
    }

    /// Items that were put off may be due.
    pub fn wake(&mut self, around: &mut Surroundings<'_, '_>) {
        let (now, cause) = (around.out.now(), around.out.cause());
        while self.waiting.first().is_some_and(|(at, _, _)| *at <= now) {
            if let Some((_, purpose, item)) = self.waiting.pop_first() {
                self.queue(purpose).add(item, cause);
            }
        }
        self.work(around);
    }

    /// A reply; given back if it is not for the garbage collector.
    pub fn reply(&mut self, reply: Reply, around: &mut Surroundings<'_, '_>) -> Result<(), Reply> {
        let Some((id, slot)) = self.in_flight.remove(&reply.number) else { return Err(reply) };
        if let Some(task) = self.tasks.get_mut(&id) {
            task.answers.arrived(slot, around.out.now(), reply.result);
            self.advance(id, around);
            self.work(around);
        }
        Ok(())
    }

    /// It is woken in its own way.
    pub fn requeue(&mut self, _key: Key, _around: &mut Surroundings<'_, '_>) {}

    /// It says nothing to people.
    pub fn tell(&mut self, _around: &mut Surroundings<'_, '_>) {}
}

#[cfg(test)]
mod tests;
