//! The scheduling queue: pods to try now, pods that back off, and the pool of those for which nothing has changed since
//! they did not fit.
//!
//! Models: kubernetes v1.36.2 pkg/scheduler/backend/queue/{scheduling_queue,active_queue,backoff_queue}.go with the gates
//! SchedulerQueueingHints and SchedulerPopFromBackoffQ on. Left out: pod groups.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::cache::Cache;
use super::cache::pod_info::PodInfo;
use super::config::SchedulerConfiguration;
use super::explain::Woken;
use super::framework::Plugin;
use super::hints::Happening;
use crate::kernel::out::RecordId;
use crate::kernel::{Duration, Instant};
use crate::objects::Uid;

/// After this long a pod is tried again whatever happened. – Kubernetes: DefaultPodMaxInUnschedulablePodsDuration.
pub(super) const MAX_UNSCHEDULABLE: Duration = Duration::from_secs(300);
/// How often pods that have waited too long are looked for. – Kubernetes: flushUnschedulablePodsLeftover's period.
const LOOK: u64 = 30;
/// Back-offs end on whole seconds. – Kubernetes: backoffQOrderingWindowDuration. [ns]
const WINDOW: u64 = 1_000_000_000;

/// A pod that waits.
#[derive(Clone, Debug)]
pub(super) struct Waiting {
    pub(super) pod: Arc<PodInfo>,
    /// When it was put into the queue last: its place among pods of its priority.
    since: Instant,
    /// Tells apart those that came at the same instant.
    order: u64,
    /// How often it was tried.
    pub(super) attempts: u32,
    /// How often plugins rejected it.
    rejections: u32,
    /// How often something else went wrong since a plugin last rejected it.
    errors: u32,
    /// What put it into the active queue, and why.
    pub(super) cause: RecordId,
    pub(super) woken: Woken,
    rejected_by: Vec<Plugin>,
    /// The plugin that does not let it into the queue.
    gate: Option<Plugin>,
    place: Place,
    /// The second in which its back-off ends, while it backs off.
    ends: Instant,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Place {
    Active,
    Backoff,
    ErrorBackoff,
    Pool,
    /// Taken for a cycle.
    Out,
}

/// What the queue needs to know of the rest.
#[derive(Clone, Copy)]
pub(super) struct Around<'a> {
    pub(super) cache: &'a Cache,
    pub(super) configuration: &'a SchedulerConfiguration,
    pub(super) now: Instant,
    pub(super) cause: RecordId,
}

/// The pods that wait for a node.
#[derive(Clone, Debug, Default)]
pub(super) struct SchedulingQueue {
    pods: BTreeMap<Uid, Waiting>,
    /// By priority (highest first) and age.
    active: BTreeSet<Rank>,
    /// By the second in which the back-off ends, then as in the active queue.
    backoff: BTreeSet<(Instant, Rank)>,
    /// Of those that met an error; they are never tried early.
    error_backoff: BTreeSet<(Instant, Rank)>,
    /// Pods by the plugins that rejected them.
    pool: BTreeSet<(Plugin, u64, Uid)>,
    /// The pod that is in a scheduling cycle, and what has happened since that began.
    cycle: Option<(Uid, Vec<(Happening, RecordId)>)>,
    /// Pods whose victims are being deleted.
    preempting: BTreeSet<Uid>,
    orders: u64,
}

/// Priority (turned round), when it was put there, order of coming.
type Rank = (i64, Instant, u64, Uid);

impl SchedulingQueue {
    /// A pod without a node appears.
    pub(super) fn add(&mut self, pod: Arc<PodInfo>, around: Around<'_>) {
        if self.pods.contains_key(&pod.uid) {
            return;
        }
        self.orders += 1;
        let waiting = Waiting {
            since: around.now,
            order: self.orders,
            attempts: 0,
            rejections: 0,
            errors: 0,
            cause: around.cause,
            woken: Woken::Added,
            rejected_by: Vec::new(),
            gate: None,
            place: Place::Out,
            ends: Instant::START,
            pod: pod.clone(),
        };
        self.pods.insert(pod.uid, waiting);
        self.activate(pod.uid, around);
    }

    /// A waiting pod has changed.
    pub(super) fn update(&mut self, new: Arc<PodInfo>, around: Around<'_>) {
        let uid = new.uid;
        let Some(waiting) = self.pods.get(&uid) else { return self.add(new, around) };
        let (old, place) = (waiting.pod.clone(), waiting.place);
        self.take_out(uid);
        if let Some(waiting) = self.pods.get_mut(&uid) {
            waiting.pod = new.clone();
        }
        self.put(uid, place, around);
        if old.counts_like(&new) && old.terms().gates == new.terms().gates {
            return;
        }
        let happening = Happening::Itself { old, new };
        match place {
            Place::Pool => self.reconsider(uid, &happening, around),
            Place::Out => self.note(&happening, around.cause),
            _ => {}
        }
    }

    /// The pod has a node, or is gone.
    pub(super) fn remove(&mut self, uid: Uid) {
        self.take_out(uid);
        self.pods.remove(&uid);
        self.preempting.remove(&uid);
        if self.cycle.as_ref().is_some_and(|(other, _)| *other == uid) {
            self.cycle = None;
        }
    }

    /// A pod that waits, or is in a cycle.
    pub(super) fn get(&self, uid: Uid) -> Option<&Waiting> {
        self.pods.get(&uid)
    }

    /// The next pod to try; it stays known until it is removed or comes back. With nothing else to do, one that backs off.
    pub(super) fn pop(&mut self) -> Option<Waiting> {
        let (uid, early) = match self.active.first() {
            Some((.., uid)) => (*uid, false),
            None => (self.backoff.first()?.1.3, true),
        };
        self.take_out(uid);
        let waiting = self.pods.get_mut(&uid)?;
        waiting.attempts += 1;
        waiting.rejected_by.clear();
        waiting.gate = None;
        if early {
            waiting.woken = Woken::Early(Box::new(std::mem::replace(&mut waiting.woken, Woken::Added)));
        }
        self.cycle = Some((uid, Vec::new()));
        Some(waiting.clone())
    }

    /// The cycle of a pod has ended with a node.
    pub(super) fn done(&mut self, uid: Uid) {
        if self.cycle.as_ref().is_some_and(|(other, _)| *other == uid) {
            self.cycle = None;
        }
    }

    /// The pod did not fit because of `plugins`; because of none if there was an error that has nothing to do with nodes.
    pub(super) fn rejected(&mut self, uid: Uid, plugins: Vec<Plugin>, around: Around<'_>) {
        let events = match &mut self.cycle {
            Some((other, events)) if *other == uid => std::mem::take(events),
            _ => Vec::new(),
        };
        self.done(uid);
        self.orders += 1;
        let order = self.orders;
        let Some(waiting) = self.pods.get_mut(&uid) else { return };
        waiting.since = around.now;
        waiting.order = order;
        if plugins.is_empty() {
            waiting.errors += 1;
            waiting.woken = Woken::Error;
            return self.requeue(uid, around);
        }
        waiting.rejections += 1;
        waiting.errors = 0;
        waiting.rejected_by = plugins;
        waiting.place = Place::Pool;
        self.put(uid, Place::Pool, around);
        for (happening, cause) in events {
            if self.get(uid).is_some_and(|waiting| waiting.place == Place::Pool) {
                self.reconsider(uid, &happening, Around { cause, ..around });
            }
        }
    }

    /// Wakes the pods that `happening` could help; `up_to`: only those of at most this priority.
    pub(super) fn happened(&mut self, happening: &Happening, up_to: Option<i32>, around: Around<'_>) {
        self.note(happening, around.cause);
        if self.pool.is_empty() {
            return;
        }
        let mut concerned: Vec<(u64, Uid)> = Vec::new();
        for plugin in happening.concerns() {
            let of_plugin = (plugin, 0, Uid(0))..=(plugin, u64::MAX, Uid(u128::MAX));
            concerned.extend(self.pool.range(of_plugin).map(|(_, order, uid)| (*order, *uid)));
        }
        // Nobody knows what could help a plugin of the user's.
        let own = (Plugin::Own(0), 0, Uid(0))..=(Plugin::Own(u8::MAX), u64::MAX, Uid(u128::MAX));
        concerned.extend(self.pool.range(own).map(|(_, order, uid)| (*order, *uid)));
        concerned.sort_unstable();
        concerned.dedup();
        for (_, uid) in concerned {
            let low = |waiting: &Waiting| up_to.is_none_or(|priority| waiting.pod.priority() <= priority);
            if self.get(uid).is_some_and(low) {
                self.reconsider(uid, happening, around);
            }
        }
    }

    /// The victims of a pod are being deleted; or all that can be done to that end is done.
    pub(super) fn set_preempting(&mut self, uid: Uid, preempting: bool) {
        if preempting {
            self.preempting.insert(uid)
        } else {
            self.preempting.remove(&uid)
        };
    }

    /// Lets a pod of the pool or one that backs off be tried at once.
    pub(super) fn force(&mut self, uid: Uid, around: Around<'_>) {
        let Some(waiting) = self.pods.get_mut(&uid) else { return };
        if matches!(waiting.place, Place::Pool | Place::Backoff | Place::ErrorBackoff) {
            waiting.woken = Woken::Forced;
            waiting.cause = around.cause;
            self.take_out(uid);
            self.activate(uid, around);
        }
    }

    /// Wakes pods whose back-off is over, or that have waited too long.
    pub(super) fn flush(&mut self, around: Around<'_>) {
        let second = around.now.as_nanos() / WINDOW * WINDOW;
        let over = |ends: &Instant| ends.as_nanos() < second;
        for errors in [false, true] {
            let queue = if errors { &self.error_backoff } else { &self.backoff };
            let over: Vec<Uid> = queue.iter().take_while(|(ends, _)| over(ends)).map(|(_, rank)| rank.3).collect();
            for uid in over {
                self.take_out(uid);
                self.put(uid, Place::Active, around);
            }
        }
        if around.now.as_nanos().is_multiple_of(LOOK * WINDOW) {
            let late = |waiting: &Waiting| {
                waiting.place == Place::Pool
                    && waiting.gate.is_none()
                    && around.now.since(waiting.since) > MAX_UNSCHEDULABLE
            };
            let overdue: Vec<Uid> = self.pods.iter().filter(|(_, w)| late(w)).map(|(uid, _)| *uid).collect();
            for uid in overdue {
                if let Some(waiting) = self.pods.get_mut(&uid) {
                    waiting.woken = Woken::TimedOut;
                }
                self.take_out(uid);
                self.requeue(uid, around);
            }
        }
    }

    /// The instant at which [`SchedulingQueue::flush`] may find something.
    pub(super) fn next_flush(&self, now: Instant) -> Option<Instant> {
        let over = |(ends, _): &(Instant, Rank)| Instant::from_nanos(ends.as_nanos() + WINDOW);
        let backoffs = [self.backoff.first().map(over), self.error_backoff.first().map(over)];
        // Whoever is in the pool is looked at every thirty seconds.
        let period = LOOK * WINDOW;
        let look = (!self.pool.is_empty()).then(|| Instant::from_nanos((now.as_nanos() / period + 1) * period));
        backoffs.into_iter().chain([look]).flatten().min()
    }

    /// How many pods wait where: active, backing off, in the pool, held by a gate.
    pub(super) fn lengths(&self) -> [usize; 4] {
        let pool = |gated: bool| {
            let waiting = |w: &&Waiting| w.place == Place::Pool && w.gate.is_some() == gated;
            self.pods.values().filter(waiting).count()
        };
        [self.active.len(), self.backoff.len() + self.error_backoff.len(), pool(false), pool(true)]
    }

    /// Remembers what happens while a pod is in a cycle.
    fn note(&mut self, happening: &Happening, cause: RecordId) {
        if let Some((_, events)) = &mut self.cycle {
            events.push((happening.clone(), cause));
        }
    }

    /// Puts a pod of the pool back into the queue if one of the plugins that rejected it may think better of it.
    fn reconsider(&mut self, uid: Uid, happening: &Happening, around: Around<'_>) {
        let Some(waiting) = self.pods.get(&uid) else { return };
        let Some((_, profile)) = around.configuration.profile(&waiting.pod.terms().scheduler) else { return };
        let gate = waiting.gate;
        let opened = match (gate, happening) {
            // Only what its gate waits for can let it in.
            (Some(Plugin::SchedulingGates), Happening::Itself { new, .. }) => new.terms().gates.is_empty(),
            (Some(Plugin::SchedulingGates), _) => false,
            (Some(Plugin::DefaultPreemption), Happening::PodGone(_)) | (None, _) => true,
            (Some(_), _) => false,
        };
        if !opened {
            return;
        }
        let concerned = happening.concerns();
        let helps = |plugin: &&Plugin| {
            (concerned.contains(plugin) || matches!(plugin, Plugin::Own(_)))
                && happening.helps(**plugin, &waiting.pod, profile, around.cache)
        };
        let woken = match waiting.rejected_by.iter().find(helps) {
            Some(plugin) => Woken::Event { event: happening.label(), plugin: profile.own.name(*plugin) },
            None if gate == Some(Plugin::SchedulingGates) => Woken::Ungated,
            None => return,
        };
        self.take_out(uid);
        if let Some(waiting) = self.pods.get_mut(&uid) {
            waiting.woken = woken;
            waiting.cause = around.cause;
        }
        self.requeue(uid, around);
    }

    /// Puts a pod into the active queue, or lets it back off first.
    fn requeue(&mut self, uid: Uid, around: Around<'_>) {
        let Some(waiting) = self.pods.get(&uid) else { return };
        let second = around.now.as_nanos() / WINDOW * WINDOW;
        match self.held(waiting, around) {
            Some(_) => self.activate(uid, around),
            None if ends(waiting, around.configuration).is_some_and(|ends| ends.as_nanos() >= second) => {
                let error = waiting.rejected_by.is_empty();
                self.put(uid, if error { Place::ErrorBackoff } else { Place::Backoff }, around);
            }
            None => self.activate(uid, around),
        }
    }

    /// Puts a pod into the active queue, unless a plugin holds it back.
    fn activate(&mut self, uid: Uid, around: Around<'_>) {
        let Some(waiting) = self.pods.get(&uid) else { return };
        let gate = self.held(waiting, around);
        if let Some(waiting) = self.pods.get_mut(&uid) {
            waiting.gate = gate;
            if let Some(gate) = gate
                && !waiting.rejected_by.contains(&gate)
            {
                waiting.rejected_by.push(gate);
            }
        }
        self.put(uid, if gate.is_some() { Place::Pool } else { Place::Active }, around);
    }

    /// PreEnqueue: the plugin that does not let the pod in.
    fn held(&self, waiting: &Waiting, around: Around<'_>) -> Option<Plugin> {
        let (_, profile) = around.configuration.profile(&waiting.pod.terms().scheduler)?;
        if profile.gates && !waiting.pod.terms().gates.is_empty() {
            return Some(Plugin::SchedulingGates);
        }
        self.preempting.contains(&waiting.pod.uid).then_some(Plugin::DefaultPreemption)
    }

    fn put(&mut self, uid: Uid, place: Place, around: Around<'_>) {
        let Some(waiting) = self.pods.get_mut(&uid) else { return };
        waiting.place = place;
        let rank = rank(waiting);
        let ends = ends(waiting, around.configuration).unwrap_or(around.now);
        waiting.ends = ends;
        match place {
            Place::Active => drop(self.active.insert(rank)),
            Place::Backoff => drop(self.backoff.insert((ends, rank))),
            Place::ErrorBackoff => drop(self.error_backoff.insert((ends, rank))),
            Place::Pool => self.pool.extend(waiting.rejected_by.iter().map(|plugin| (*plugin, waiting.order, uid))),
            Place::Out => {}
        }
    }

    fn take_out(&mut self, uid: Uid) {
        let Some(waiting) = self.pods.get_mut(&uid) else { return };
        let rank = rank(waiting);
        match std::mem::replace(&mut waiting.place, Place::Out) {
            Place::Active => drop(self.active.remove(&rank)),
            Place::Backoff => drop(self.backoff.remove(&(waiting.ends, rank))),
            Place::ErrorBackoff => drop(self.error_backoff.remove(&(waiting.ends, rank))),
            Place::Pool => {
                for plugin in &waiting.rejected_by {
                    self.pool.remove(&(*plugin, waiting.order, uid));
                }
            }
            Place::Out => {}
        }
    }
}

fn rank(waiting: &Waiting) -> Rank {
    (-i64::from(waiting.pod.priority()), waiting.since, waiting.order, waiting.pod.uid)
}

/// The second in which a pod's back-off ends; `None` if it has none.
fn ends(waiting: &Waiting, configuration: &SchedulerConfiguration) -> Option<Instant> {
    let tries = if waiting.errors > 0 { waiting.errors } else { waiting.rejections };
    if tries == 0 || configuration.max_backoff == Duration::ZERO {
        return None;
    }
    let backoff = configuration.initial_backoff.times(1 << (tries - 1).min(32)).min(configuration.max_backoff);
    Some(Instant::from_nanos((waiting.since + backoff).as_nanos() / WINDOW * WINDOW))
}

#[cfg(test)]
mod tests;
