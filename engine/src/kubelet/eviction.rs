//! The eviction manager: it looks at what is left of the node's memory, disk and process ids, and ends pods, one at a time, when
//! that falls below a threshold. Meanwhile the node says that it is under pressure, and takes no more pods of certain kinds.
//!
//! A script says what is left at an instant. From then on what pods and images give back or take changes it: the rest of the
//! machine uses the same as before. Without a script's word the memory counts that pods say they use (`memory`), of the whole, and the
//! disk if its size is given. While nobody says anything, nobody looks.
//!
//! Models: kubernetes v1.36.2 pkg/kubelet/eviction/{eviction_manager,helpers}.go. Left out: inodes, a separate image
//! filesystem's own ranking, limits of volumes and of local storage, the threshold of the pods' common cgroup, the kernel's memory
//! notification (off by default).

use std::collections::BTreeMap;

use super::admission::Rejection;
use super::configuration::{Amount, Pressure, Signal, Threshold, binary};
use super::fate::Fate;
use super::pod_worker::{PodWorker, Stage};
use super::ranking::{self, Candidate};
use super::{Kubelet, KubeletEvent, Surroundings, phase, pod_of, statics};
use crate::event::{Effects, Event};
use crate::kernel::{Duration, Instant};
use crate::objects::event::EventType;
use crate::objects::pod_terms::{Effect, QosClass, Taint, tolerations};
use crate::objects::quantity::{Format, Quantity};
use crate::objects::{Pod, Uid};
use crate::setup::Setup;

/// Between looks; Kubernetes: evictionMonitoringPeriod.
pub(super) const EVERY: Duration = Duration::from_secs(10);
/// How long an evicted pod is waited for, and how often; Kubernetes: podCleanupTimeout, podCleanupPollFreq.
const CLEANUP: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(1));
/// What pods get that a hard threshold evicts; Kubernetes: immediateEvictionGracePeriodSeconds. [s]
const IMMEDIATE: u64 = 1;

/// What the eviction manager knows.
#[derive(Clone, Debug, Default)]
pub(super) struct Evictions {
    /// What there would be if neither pods nor images used any.
    bases: BTreeMap<Signal, i64>,
    /// When it began to look.
    began: Instant,
    /// Whether a look is due.
    looks: bool,
    /// Since when thresholds are crossed, by their place in the configuration.
    crossed: BTreeMap<usize, Instant>,
    /// Thresholds for which something is being reclaimed.
    unresolved: Vec<usize>,
    /// When pressure was last seen.
    seen: BTreeMap<Pressure, Instant>,
    /// Whether the kernel's OOM killer is due.
    pub(super) oom_due: bool,
    /// The pod that was evicted last, and until when it is waited for.
    awaited: Option<(Uid, Instant)>,
}

impl Evictions {
    /// Whether the node is under pressure, as it says.
    pub(super) fn under(&self, pressure: Pressure) -> bool {
        self.seen.contains_key(&pressure)
    }

    /// The process is gone; the machine is as it was.
    pub(super) fn forget(&mut self) {
        *self = Evictions { bases: std::mem::take(&mut self.bases), ..Evictions::default() };
    }
}

impl Kubelet {
    /// Says what is left, or with an empty map that nothing is short.
    pub(crate) fn press(&mut self, left: &BTreeMap<Signal, Amount>, setup: &Setup, now: Instant) {
        self.evictions.bases.clear();
        for (signal, amount) in left {
            let base = amount.of(self.capacity(*signal, setup)).saturating_add(self.used(*signal, now));
            self.evictions.bases.insert(*signal, base);
        }
    }

    /// The manager starts to look, if there is something to see.
    pub(super) fn start_evictions(&mut self, setup: &Setup, out: &mut Effects) {
        self.evictions.began = out.now();
        self.watch_pressure(setup, out);
    }

    pub(super) fn watch_pressure(&mut self, setup: &Setup, out: &mut Effects) {
        if self.running && !self.evictions.looks && self.may_be_short(setup) {
            self.evictions.looks = true;
            let since = out.now().since(self.evictions.began).as_nanos();
            self.look_after(Duration::from_nanos(since.next_multiple_of(EVERY.as_nanos()) - since), out);
        }
    }

    fn may_be_short(&self, setup: &Setup) -> bool {
        let disk = setup.nodes.get(self.index as usize).is_some_and(|spec| spec.disk.is_some());
        let says = || self.pods.values().any(|worker| ranking::says_memory(worker.pod()));
        disk || !self.evictions.bases.is_empty() || !self.evictions.seen.is_empty() || says()
    }

    fn look_after(&self, wait: Duration, out: &mut Effects) {
        out.after(wait, Event::Kubelet(self.index, KubeletEvent::Evict));
    }

    /// Looks, unless the pod that was evicted last is still on its way out.
    pub(super) fn look_at_pressure(&mut self, setup: &Setup, out: &mut Effects) {
        if let Some((uid, until)) = self.evictions.awaited {
            let there = self.pods.get(&uid).is_some_and(|worker| worker.stage < Stage::Terminated);
            if there && out.now() < until {
                return self.look_after(CLEANUP.1, out);
            }
            self.evictions.awaited = None;
        }
        if let Some(uid) = self.reclaim(setup, out) {
            self.evictions.awaited = Some((uid, out.now() + CLEANUP.0));
            self.foresee_oom(setup, out);
            return self.look_after(CLEANUP.1, out);
        }
        self.evictions.looks = self.may_be_short(setup);
        if self.evictions.looks {
            self.foresee_oom(setup, out);
            self.look_after(EVERY, out);
        }
    }

    /// One round; returns the pod that is evicted.
    fn reclaim(&mut self, setup: &Setup, out: &mut Effects) -> Option<Uid> {
        let (thresholds, now) = (&setup.kubelet.thresholds, out.now());
        let observed = self.observe(setup, now);
        let crossed = |n: &usize, reclaiming: bool| {
            let seen = thresholds.get(*n).and_then(|it| Some((it, observed.get(&it.signal)?)));
            seen.is_some_and(|(it, (available, capacity))| it.crossed(*available, *capacity, reclaiming))
        };
        let met: Vec<usize> = (0..thresholds.len())
            .filter(|n| crossed(n, false) || self.evictions.unresolved.contains(n) && crossed(n, true))
            .collect();
        self.evictions.crossed.retain(|n, _| met.contains(n));
        for n in &met {
            self.evictions.crossed.entry(*n).or_insert(now);
            self.evictions.seen.insert(thresholds[*n].signal.pressure(), now);
        }
        let lasts = setup.kubelet.pressure_transition;
        self.evictions.seen.retain(|_, at| now.since(*at) < lasts || *at == now);
        let since = &self.evictions.crossed;
        let mut due: Vec<usize> = met;
        due.retain(|n| since.get(n).is_some_and(|since| now.since(*since) >= thresholds[*n].grace));
        due.sort_by_key(|n| thresholds[*n].signal != Signal::Memory);
        self.evictions.unresolved = due.clone();
        let threshold = thresholds[*due.first()?];
        let message = format!("Attempting to reclaim {}", threshold.signal.resource());
        self.say_of_node(EventType::Warning, "EvictionThresholdMet", message, out);
        if threshold.signal.pressure() == Pressure::Disk {
            self.delete_unused_images(setup, now);
            let observed = self.observe(setup, now);
            let still = |n: &usize| {
                let seen = observed.get(&thresholds[*n].signal);
                seen.is_some_and(|(available, capacity)| thresholds[*n].crossed(*available, *capacity, true))
            };
            if !due.iter().any(still) {
                return None;
            }
        }
        let seen = due.iter().map(|n| &thresholds[*n]).find(|it| it.signal.resource() == threshold.signal.resource());
        let observed = seen.and_then(|it| Some((*it, *observed.get(&it.signal)?)));
        let victim = self.candidates(threshold.signal, now).into_iter().find(|victim| !self.is_critical(victim.uid))?;
        let grace = if threshold.grace == Duration::ZERO { IMMEDIATE } else { self.soft_grace(victim.uid, setup) };
        self.with_worker(victim.uid, setup, out, |worker, around| worker.evict(&threshold, observed, grace, around));
        Some(victim.uid)
    }

    /// What is left of what is looked at, and what there is in all.
    pub(super) fn observe(&self, setup: &Setup, now: Instant) -> BTreeMap<Signal, (i64, i64)> {
        let see = |signal: Signal| {
            let (left, capacity) = (self.left(signal, setup, now)?, self.capacity(signal, setup));
            Some((signal, (left.clamp(0, capacity), capacity)))
        };
        Signal::ALL.into_iter().filter_map(see).collect()
    }

    /// What is left, if anybody looks at it; below zero if more is used than there is.
    pub(super) fn left(&self, signal: Signal, setup: &Setup, now: Instant) -> Option<i64> {
        let bases = &self.evictions.bases;
        let disk = || Some(setup.nodes.get(self.index as usize)?.disk? as i64);
        let base = match signal {
            // One filesystem is both.
            Signal::ImageFs => bases.get(&signal).or(bases.get(&Signal::NodeFs)).copied().or_else(disk),
            Signal::NodeFs => bases.get(&signal).copied().or_else(disk),
            Signal::Memory | Signal::Pid => bases.get(&signal).copied(),
        };
        match base {
            Some(base) => Some(base.saturating_sub(self.used(signal, now))),
            None if signal == Signal::Memory => {
                Some(self.capacity(signal, setup).saturating_sub(self.memory_said(now)?))
            }
            None => None,
        }
    }

    /// How much there is in all. Of process ids it is what the kernel allows on a machine of that memory: one for 128 KiB.
    pub(super) fn capacity(&self, signal: Signal, setup: &Setup) -> i64 {
        let Some(spec) = setup.nodes.get(self.index as usize) else { return 0 };
        let read = |text: &str| Quantity::parse(text).map_or(0, Quantity::value);
        match signal {
            Signal::Memory => read(&spec.memory),
            Signal::NodeFs | Signal::ImageFs => {
                spec.disk.map_or_else(|| read(&spec.ephemeral_storage), |bytes| bytes as i64)
            }
            Signal::Pid => read(&spec.memory) >> 17,
        }
    }

    /// The pods that could go, those first that go first.
    fn candidates(&self, signal: Signal, now: Instant) -> Vec<Candidate> {
        // What has ended by itself uses nothing any more (filterOutInactivePods).
        let alive = |worker: &&PodWorker| {
            (Stage::Admitted..Stage::Terminating).contains(&worker.stage) && !phase::of(worker).terminal()
        };
        let candidate = |worker: &PodWorker| {
            let terms = &pod_of(&worker.object).spec.terms;
            let request = match signal {
                Signal::Memory => terms.requests.effective.memory,
                Signal::NodeFs | Signal::ImageFs => terms.requests.effective.ephemeral,
                Signal::Pid => 0,
            };
            Candidate { uid: worker.uid, priority: terms.priority, usage: worker.usage(now).of(signal), request }
        };
        let mut candidates: Vec<Candidate> = self.pods.values().filter(alive).map(candidate).collect();
        ranking::rank(&mut candidates, signal);
        candidates
    }

    fn is_critical(&self, uid: Uid) -> bool {
        self.pods.get(&uid).is_some_and(|worker| statics::is_critical(pod_of(&worker.object)))
    }

    /// What a pod gets that a soft threshold evicts: its own grace, or less. [s]
    fn soft_grace(&self, uid: Uid, setup: &Setup) -> u64 {
        let own = self.pods.get(&uid).map_or(30, |worker| worker.grace_of_spec());
        setup.kubelet.eviction_max_pod_grace.min(own.max(0) as u64)
    }

    /// Why a node under pressure does not take a pod.
    pub(super) fn too_short_for(&self, pod: &Pod) -> Option<Rejection> {
        let under: Vec<Pressure> = self.evictions.seen.keys().copied().collect();
        if under.is_empty() || statics::is_critical(pod) {
            return None;
        }
        if under == [Pressure::Memory] {
            let taint = Taint {
                key: "node.kubernetes.io/memory-pressure".into(),
                value: "".into(),
                effect: Effect::NoSchedule,
            };
            let tolerated = tolerations::tolerated(&taint, &pod.spec.terms.tolerations);
            if pod.spec.terms.qos != QosClass::BestEffort || tolerated {
                return None;
            }
        }
        let names: Vec<&str> = under.iter().map(|pressure| pressure.condition()).collect();
        let message = format!("The node had condition: [{}]. ", names.join(" "));
        Some(Rejection { reason: "Evicted".to_owned(), message })
    }
}

impl PodWorker {
    /// The pod is evicted because too little of something was left.
    fn evict(
        &mut self,
        threshold: &Threshold,
        observed: Option<(Threshold, (i64, i64))>,
        grace: u64,
        around: &mut Surroundings<'_, '_>,
    ) {
        let resource = threshold.signal.resource();
        let mut message = format!("The node was low on resource: {resource}. ");
        if let Some((crossed, (available, capacity))) = observed {
            let available = match crossed.signal {
                Signal::Pid => Quantity::from_value(available, Format::DecimalSi).canonical(),
                _ => binary(available),
            };
            let quantity = binary(crossed.value.of(capacity));
            message += &format!("Threshold quantity: {quantity}, available: {available}. ");
        }
        let now = around.out.now();
        for (n, container) in self.running_specs() {
            let used = match threshold.signal {
                Signal::Memory => self.memory_of(n, container, now),
                Signal::NodeFs | Signal::ImageFs => ranking::request_of(container, "ephemeral-storage"),
                Signal::Pid => 0,
            };
            let request = ranking::request_of(container, resource);
            if used > request {
                let (name, used, request) = (&container.name, binary(used), binary(request));
                message += &format!(
                    "Container {name} was using {used}, request is {request}, has larger consumption of {resource}. "
                );
            }
        }
        let (agent, regarding) = (around.agent(), self.object.reference());
        let said = message.as_str().into();
        around.recorder.record(agent, regarding, EventType::Warning, "Evicted", said, around.out);
        let message = crate::objects::Text::from(message);
        let fate = Fate { reason: "Evicted", disruption: message.clone(), message, grace };
        self.end_by(fate, around);
    }
}
