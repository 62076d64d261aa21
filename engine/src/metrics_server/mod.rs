//! The metrics server: what pods use, as far as two looks at their counters tell.
//!
//! Reading order: `demand` (what is asked of pods), `meter` (what their containers use, and when the kubelet looks), this file (the
//! scrapes, and the answer to who asks the API server for `pods.metrics.k8s.io`), `answer` (the texts of that API).
//!
//! Every `resolution` it takes the kubelets' newest samples. A pod's usage is that between its last two different samples, so it is an
//! average over 10 to 30 s, and is 0 to 35 s old when somebody reads it. A pod has none until there are two samples, or one that is taken 10 s
//! after its start or later, and before one resolution has passed. It runs only where [`Setup::metrics_server`] says so.
//!
//! Left out: its own pod and APIService (it is a process without a place, which never fails), the time a scrape takes, node metrics, links
//! that are cut. A pod's containers are one, and the CPU is that of the first.
//! Models: metrics-server v0.8 pkg/storage/pod.go (Store, GetMetrics), with `--metric-resolution=15s` as its manifest has it.

mod answer;
pub mod demand;
mod meter;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub use self::answer::{PodUsage, read};
use self::demand::Demand;
pub use self::meter::Target;
use self::meter::{Meter, Sample, Work};
use crate::apiserver::ApiServerEvent;
use crate::client::Agent;
use crate::event::{Effects, Event};
use crate::kernel::{Duration, Endpoint, Instant};
use crate::objects::selector::Selector;
use crate::objects::{Key, Name, Object, Uid};
use crate::setup::Setup;
use crate::trace::{Note, What};

/// Between scrapes, unless the setup says something else; metrics-server's manifest: --metric-resolution=15s.
pub const RESOLUTION: Duration = Duration::from_secs(15);
/// A container whose only sample is at least this long after its start has a usage; metrics-server: freshContainerMinMetricsResolution.
const FRESH: Duration = Duration::from_secs(10);

/// Something that happens to the metrics server, or to the counters it reads.
#[derive(Clone, Debug)]
pub enum MetricsEvent {
    /// Time to scrape.
    Scrape,
    /// The containers of a pod were started, have ended, or became ready or not.
    Changed(Box<PodChange>),
    /// An API server hands a request on.
    Query {
        /// Which server.
        server: u8,
        /// The request's number there.
        id: u64,
        /// Of which pods: namespace and labels.
        which: Box<(Name, Option<Selector>)>,
    },
}

/// What the runtime knows of a pod.
#[derive(Clone, Debug)]
pub struct PodChange {
    /// The number of its node.
    pub node: u32,
    /// The pod.
    pub object: Arc<Object>,
    /// When the youngest of its running containers was started; `None` if none runs.
    pub started: Option<Instant>,
    /// Whether the pod takes work.
    pub ready: bool,
}

/// The state.
#[derive(Clone, Debug)]
pub struct MetricsServer {
    resolution: Duration,
    workloads: BTreeMap<Target, Workload>,
    meters: BTreeMap<Uid, Meter>,
    /// The samples of the pods, by key; those of the last scrape and what came before.
    points: BTreeMap<Key, Points>,
}

#[derive(Clone, Debug)]
struct Workload {
    demand: Demand,
    began: Instant,
    pods: BTreeSet<Uid>,
    /// How many of them are ready.
    ready: u64,
}

#[derive(Clone, Debug)]
struct Points {
    uid: Uid,
    last: Sample,
    previous: Option<Sample>,
}

impl MetricsServer {
    /// One that scrapes so often.
    pub fn new(resolution: Duration) -> Self {
        MetricsServer { resolution, workloads: BTreeMap::new(), meters: BTreeMap::new(), points: BTreeMap::new() }
    }

    /// When it scrapes first: where in its period that is, is luck.
    pub fn first_scrape(&self, setup: &Setup) -> Instant {
        let mut luck = setup.luck("metrics-server", "phase", "", 0);
        Instant::START + Duration::from_nanos(luck.below(self.resolution.as_nanos().max(1)))
    }

    /// From now on this is asked of the pods of `target`; what was asked before no longer is.
    pub fn set_demand(&mut self, target: Target, demand: Demand, now: Instant, setup: &Setup) {
        let concerned: Vec<Uid> =
            self.meters.iter().filter(|(_, meter)| meter.owners.contains(&target)).map(|(uid, _)| *uid).collect();
        for uid in &concerned {
            self.settle_with_others(*uid, now, setup);
            self.leave(*uid);
        }
        let workload = Workload { demand, began: now, pods: BTreeSet::new(), ready: 0 };
        self.workloads.insert(target, workload);
        for uid in concerned {
            self.join(uid);
        }
    }

    /// A machine has lost its power: nothing runs on it any more.
    pub fn lost(&mut self, node: u32, now: Instant, setup: &Setup) {
        let gone: Vec<Uid> = self.meters.iter().filter(|(_, meter)| meter.node == node).map(|(uid, _)| *uid).collect();
        for uid in gone {
            self.settle_with_others(uid, now, setup);
            self.leave(uid);
            self.meters.remove(&uid);
        }
    }

    /// Something changed in how a pod runs. `owners` are the pod, its controller, and that one's controller.
    pub fn changed(&mut self, change: PodChange, owners: Vec<Target>, now: Instant, setup: &Setup) {
        let PodChange { node, object, started, ready } = change;
        let uid = object.meta().uid;
        self.settle_with_others(uid, now, setup);
        self.leave(uid);
        let Some(started) = started else {
            self.meters.remove(&uid);
            return;
        };
        match self.meters.get_mut(&uid).filter(|meter| meter.same_start(started)) {
            Some(meter) => meter.object = object,
            None => {
                self.meters.insert(uid, Meter::new(object, node, owners, started, now));
            }
        }
        if let Some(meter) = self.meters.get_mut(&uid) {
            meter.ready = ready;
        }
        // Those it joins have worked alone so far.
        if let Some(target) = self.workload_of(uid) {
            self.settle(&target, now, setup);
        }
        self.join(uid);
    }

    /// The demand that counts for a pod: the one closest to it.
    fn workload_of(&self, uid: Uid) -> Option<Target> {
        let owners = &self.meters.get(&uid)?.owners;
        owners.iter().find(|owner| self.workloads.contains_key(*owner)).cloned()
    }

    fn join(&mut self, uid: Uid) {
        let Some(target) = self.workload_of(uid) else { return };
        let ready = self.meters.get(&uid).is_some_and(|meter| meter.ready);
        if let Some(workload) = self.workloads.get_mut(&target)
            && workload.pods.insert(uid)
        {
            workload.ready += u64::from(ready);
        }
    }

    fn leave(&mut self, uid: Uid) {
        let Some(target) = self.workload_of(uid) else { return };
        let ready = self.meters.get(&uid).is_some_and(|meter| meter.ready);
        if let Some(workload) = self.workloads.get_mut(&target)
            && workload.pods.remove(&uid)
        {
            workload.ready -= u64::from(ready);
        }
    }

    /// Brings a pod's counter up to date, and those of the pods that share its work.
    fn settle_with_others(&mut self, uid: Uid, now: Instant, setup: &Setup) {
        match self.workload_of(uid) {
            Some(target) => self.settle(&target, now, setup),
            None => {
                if let Some(meter) = self.meters.get_mut(&uid) {
                    meter.settle(None, now, setup);
                }
            }
        }
    }

    fn settle(&mut self, target: &Target, now: Instant, setup: &Setup) {
        let Some(workload) = self.workloads.get(target) else { return };
        let work = Work { demand: &workload.demand, began: workload.began, sharers: workload.ready };
        for uid in &workload.pods {
            if let Some(meter) = self.meters.get_mut(uid) {
                meter.settle(Some(work), now, setup);
            }
        }
    }

    /// Takes the newest samples of all pods on nodes whose kubelet answers.
    pub fn scrape(&mut self, answers: impl Fn(u32) -> bool, setup: &Setup, out: &mut Effects) {
        let now = out.now();
        let targets: Vec<Target> = self.workloads.keys().cloned().collect();
        for target in &targets {
            self.settle(target, now, setup);
        }
        let mut before = std::mem::take(&mut self.points);
        for (uid, meter) in &mut self.meters {
            // Those with work are settled already, to the same instant.
            meter.settle(None, now, setup);
            let Some(sample) = meter.sample.filter(|_| answers(meter.node)) else { continue };
            let key = meter.object.key();
            let known = before.remove(&key).filter(|points| points.uid == *uid);
            let previous = self::previous(sample, known.as_ref(), self.resolution);
            self.points.insert(key, Points { uid: *uid, last: sample, previous });
        }
        let pods = self.points.len() as u32;
        out.aside(Note::new(Agent::MetricsServer, What::Scraped { pods }));
        out.after(self.resolution, Event::MetricsServer(MetricsEvent::Scrape));
    }

    /// Answers a request that an API server has handed on.
    pub fn answer(&self, server: u8, id: u64, which: &(Name, Option<Selector>), out: &mut Effects) {
        let (namespace, labels) = which;
        let wanted = |object: &Object| labels.as_ref().is_none_or(|labels| labels.matches(&object.meta().labels));
        let mut items = Vec::new();
        let first = Key { namespace: namespace.clone(), name: "".into() };
        let points = self.points.range(first..);
        for (key, points) in points.take_while(|(key, _)| namespace.is_empty() || key.namespace == *namespace) {
            let Some(meter) = self.meters.get(&points.uid).filter(|meter| wanted(&meter.object)) else { continue };
            let Some(previous) = points.previous else { continue };
            items.push(answer::pod(key, &meter.object, previous, points.last, out.now()));
        }
        let value = Arc::new(answer::list(items));
        let event = Event::ApiServer(server, ApiServerEvent::Aggregated { id, value });
        out.send(Endpoint::ApiServer(server), Duration::ZERO, event);
    }
}

/// The sample before `sample` from which a rate can be taken. metrics-server: podStorage.Store.
fn previous(sample: Sample, known: Option<&Points>, resolution: Duration) -> Option<Sample> {
    let age = sample.at.since(sample.started);
    if age > Duration::ZERO && age < resolution && age >= FRESH {
        return Some(Sample { at: sample.started, used: 0, ..sample });
    }
    let known = known.filter(|known| sample.started < known.last.at || sample.started == known.last.started)?;
    if sample.at > known.last.at { Some(known.last) } else { known.previous.filter(|older| older.at < sample.at) }
}

#[cfg(test)]
mod tests;
