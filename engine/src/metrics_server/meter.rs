//! What the containers of a pod use, and the samples that the kubelet's cAdvisor takes of it.
//!
//! cAdvisor looks at a container when it finds it, and then again and again after 10 to 20 s. What it sees is a counter of CPU time; who
//! wants a rate takes two samples.
//!
//! Models: kubernetes v1.36.2 pkg/kubelet/cadvisor/cadvisor_linux.go (housekeeping interval 10 s); cadvisor manager/container.go
//! (nextHousekeepingInterval: jitter of up to the whole interval). Left out: that a container which does nothing is looked at less often; a
//! pod's containers are one.

use std::sync::Arc;

use super::demand::Demand;
use crate::kernel::{Duration, Instant};
use crate::objects::quantity::Quantity;
use crate::objects::{Key, Kind, Object};
use crate::setup::Setup;

/// Between two samples, at least; at most it is twice that.
const HOUSEKEEPING: Duration = Duration::from_secs(10);

/// What uses CPU and memory as one: the object that a demand is about.
pub type Target = (Kind, Key);

/// A pod whose containers run.
#[derive(Clone, Debug)]
pub struct Meter {
    /// The pod.
    pub object: Arc<Object>,
    /// The number of its node.
    pub node: u32,
    /// The pod itself, its controller, the controller of that.
    pub owners: Vec<Target>,
    /// Whether it takes its share of the work.
    pub ready: bool,
    /// The newest sample.
    pub sample: Option<Sample>,
    /// When its containers were started.
    started: Instant,
    /// When, as the kubelet says it.
    told: Instant,
    /// The sum of the containers' CPU limits. [10^-9 CPU]
    cap: u64,
    /// Since its start. [10^-9 CPU · ns]
    used: u128,
    settled: Instant,
    next: Instant,
    samples: u64,
}

/// A look at the counters of a pod's containers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sample {
    /// When the containers were started.
    pub started: Instant,
    /// When it was taken.
    pub at: Instant,
    /// CPU time since the start. [10^-9 CPU · ns]
    pub used: u128,
    /// Memory. [bytes]
    pub memory: u64,
}

/// What is asked of a pod, since when, and by how many it is shared; `None` if the pod is not ready.
#[derive(Clone, Copy, Debug)]
pub struct Work<'a> {
    /// By its workload.
    pub demand: &'a Demand,
    /// When the curves began.
    pub began: Instant,
    /// How many pods share it.
    pub sharers: u64,
}

impl Meter {
    /// The containers have just been started; the kubelet says it was at `told`.
    pub fn new(object: Arc<Object>, node: u32, owners: Vec<Target>, told: Instant, now: Instant) -> Self {
        let cap = cpu_limit(&object);
        Meter {
            object,
            node,
            owners,
            ready: false,
            sample: None,
            started: now,
            told,
            cap,
            used: 0,
            settled: now,
            next: now,
            samples: 0,
        }
    }

    /// Whether its containers are still those that were started then.
    pub fn same_start(&self, told: Instant) -> bool {
        self.told == told
    }

    /// Lets time pass, and with it work be done and samples be taken.
    pub fn settle(&mut self, work: Option<Work<'_>>, now: Instant, setup: &Setup) {
        let sharers = |work: &Work<'_>| self.ready.then_some(work.sharers);
        let sharers = work.as_ref().and_then(sharers);
        loop {
            let until = self.next.min(now);
            if let Some(Work { demand, began, .. }) = work {
                let (from, to) = (self.settled.since(began), until.since(began));
                self.used += demand.cpu_used(from, to, sharers, self.cap);
            }
            self.settled = self.settled.max(until);
            if self.next > now {
                return;
            }
            let memory = work.map_or(0, |work| work.demand.memory_used(until.since(work.began), sharers));
            self.sample = Some(Sample { started: self.started, at: until, used: self.used, memory });
            self.samples += 1;
            let meta = self.object.meta();
            let mut luck = setup.luck("kubelet", "cadvisor", &meta.name, self.samples);
            self.next = until + HOUSEKEEPING + Duration::from_nanos(luck.below(HOUSEKEEPING.as_nanos()));
        }
    }
}

/// The sum of the CPU limits; a container without one may use all there is.
fn cpu_limit(object: &Object) -> u64 {
    let Some(pod) = object.as_pod() else { return u64::MAX };
    let limit = |container: &k8s_openapi::api::core::v1::Container| {
        let limit = container.resources.as_ref()?.limits.as_ref()?.get("cpu")?;
        let milli = Quantity::parse(&limit.0).ok()?.milli();
        u64::try_from(milli).ok()?.checked_mul(1_000_000)
    };
    let limits: Option<Vec<u64>> = pod.spec.api.containers.iter().map(limit).collect();
    limits.map_or(u64::MAX, |all| all.iter().fold(0, |sum: u64, one| sum.saturating_add(*one)))
}
