//! kube-controller-manager: one process, one lease, one set of caches, and controllers that share them.
//!
//! Reading order: `contract` (what a controller is), `running` (a controller at work), `caches`, then the controllers: `deployment`,
//! `replicaset`, `service_account`, `root_ca_cert_publisher`, `node_lifecycle`, `taint_eviction`, `pod_gc`, `namespace`, and `garbage_collector`, which works on
//! objects of all kinds and therefore has workers of its own.
//!
//! The process first stands for election. When it leads it opens its watches; each controller works once the caches it needs are filled.
//! When it loses the lease it ends, and with it everything it knew.
//!
//! Models: kubernetes v1.36.2 cmd/kube-controller-manager/app/controllermanager.go. Left out: the other controllers, the wait for a healthy
//! API server, reading and creating service accounts for the controllers.

pub mod caches;
pub mod contract;
pub mod cronjob;
pub mod daemonset;
pub mod deployment;
pub mod disruption;
pub mod endpoints;
pub mod garbage_collector;
pub mod horizontal_pod_autoscaler;
pub mod job;
pub mod namespace;
pub mod node_lifecycle;
pub mod ownership;
pub mod persistent_volume;
pub mod pod_control;
pub mod pod_gc;
pub mod replicaset;
pub mod resource_quota;
pub mod revisions;
pub mod root_ca_cert_publisher;
pub mod running;
pub mod service_account;
pub mod statefulset;
pub mod taint_eviction;
pub mod ttl_after_finished;

use std::sync::Arc;

use self::caches::Caches;
use self::cronjob::CronJobController;
use self::daemonset::DaemonSetController;
use self::deployment::DeploymentController;
use self::disruption::{DisruptionController, StaleConditions};
use self::endpoints::{EndpointSliceController, EndpointsController};
use self::garbage_collector::GarbageCollector;
use self::horizontal_pod_autoscaler::HorizontalPodAutoscalerController;
use self::job::{JobController, JobOrphans};
use self::namespace::NamespaceController;
use self::node_lifecycle::NodeLifecycleController;
use self::persistent_volume::{PersistentVolumeBinder, PvcProtectionController};
use self::pod_gc::PodGarbageCollector;
use self::replicaset::ReplicaSetController;
use self::resource_quota::ResourceQuotaController;
use self::root_ca_cert_publisher::RootCaCertPublisher;
use self::running::{Running, Surroundings};
use self::service_account::ServiceAccountController;
use self::statefulset::StatefulSetController;
use self::taint_eviction::TaintEvictionController;
use self::ttl_after_finished::TtlAfterFinishedController;
use crate::apiserver::request::{Delivery, ListOptions, Reply, WatchEvent};
use crate::apiserver::status::Status;
use crate::client::connection::Call;
use crate::client::leader::{Election, LAST_WORDS, LeaderElection, Turn};
use crate::client::rate_limit::CONTROLLER_MANAGER;
use crate::client::recorder::Verdict;
use crate::client::{Agent, Connection, Recorder};
use crate::event::{Effects, Event};
use crate::kernel::{Duration, Endpoint, Instant};
use crate::objects::event::EventType;
use crate::objects::{Key, Kind, Uid};
use crate::setup::{Setup, control_plane_host};
use crate::trace::{Note, What};

/// The name of the process, of its lease, and in its events.
const COMPONENT: &str = "kube-controller-manager";

/// How often the garbage collector asks what is served; Kubernetes: garbageCollector.Sync, 30 s.
const MONITOR: Duration = Duration::from_secs(30);

/// Something that happens to the controller manager.
#[derive(Clone, Debug)]
pub enum ControllerManagerEvent {
    /// The process starts.
    Start,
    /// Something arrived from the API server.
    Delivery(Delivery),
    /// The next step of the election is due.
    Elect,
    /// A key of a controller may have waited long enough.
    Requeue {
        /// Whose key.
        which: Agent,
        /// The key.
        key: Box<Key>,
    },
    /// A controller looks at everything again.
    Tick(Agent),
    /// Objects that the garbage collector has put off may be due.
    Collect,
    /// The events of a controller may be sent again.
    Tell(Agent),
    /// A watch that ended is opened again.
    Rewatch(Kind),
    /// These kinds are served beside the built-in ones, as discovery says.
    Discovered(Arc<[Kind]>),
    /// Time for the garbage collector to watch what is served.
    Monitor,
    /// The process ends itself.
    Exit,
}

/// The state of the process.
#[derive(Clone, Debug)]
pub struct ControllerManager {
    connection: Connection,
    election: Option<LeaderElection>,
    recorder: Recorder,
    caches: Caches,
    controllers: Controllers,
}

/// Declares the controllers: their fields, how they begin, and a loop over them.
macro_rules! controllers {
    ($($field:ident: $type:ty = $new:expr;)*) => {
        /// The controllers.
        #[derive(Clone, Debug)]
        struct Controllers {
            $($field: $type,)*
        }

        impl Controllers {
            /// Those of the controller manager of that number.
            fn of(process: u8) -> Self {
                let mut all = Controllers { $($field: $new,)* };
                $(all.$field.belong_to(process);)*
                all
            }
        }

        /// Does something with each controller in turn.
        macro_rules! each {
            ($controllers:expr, $one:ident => $body:expr) => {{
                let controllers = &mut $controllers;
                $({
                    let $one = &mut controllers.$field;
                    $body
                })*
            }};
        }
    };
}

// The order is that in which they hear of a change.
controllers! {
    deployment: Running<DeploymentController> = Running::new(DeploymentController);
    replica_set: Running<ReplicaSetController> = Running::new(ReplicaSetController);
    service_account: Running<ServiceAccountController> = Running::new(ServiceAccountController);
    root_ca_cert: Running<RootCaCertPublisher> = Running::new(RootCaCertPublisher);
    node_lifecycle: Running<NodeLifecycleController> = Running::new(NodeLifecycleController::default());
    taint_eviction: Running<TaintEvictionController> = Running::new(TaintEvictionController::default());
    pod_gc: Running<PodGarbageCollector> = Running::new(PodGarbageCollector::default());
    namespace: Running<NamespaceController> = Running::new(NamespaceController);
    stateful_set: Running<StatefulSetController> = Running::new(StatefulSetController);
    daemon_set: Running<DaemonSetController> = Running::new(DaemonSetController::default());
    job: Running<JobController> = Running::new(JobController::default());
    job_orphans: Running<JobOrphans> = Running::new(JobOrphans);
    endpoints: Running<EndpointsController> = Running::new(EndpointsController::default());
    endpoint_slices: Running<EndpointSliceController> = Running::new(EndpointSliceController::default());
    disruption: Running<DisruptionController> = Running::new(DisruptionController);
    stale_conditions: Running<StaleConditions> = Running::new(StaleConditions);
    cron_job: Running<CronJobController> = Running::new(CronJobController);
    ttl_after_finished: Running<TtlAfterFinishedController> = Running::new(TtlAfterFinishedController);
    pod_autoscaler: Running<HorizontalPodAutoscalerController> =
        Running::new(HorizontalPodAutoscalerController::default());
    volume_binder: Running<PersistentVolumeBinder> = Running::new(PersistentVolumeBinder::default());
    claim_protection: Running<PvcProtectionController> = Running::new(PvcProtectionController);
    resource_quota: Running<ResourceQuotaController> = Running::new(ResourceQuotaController);
    garbage_collector: GarbageCollector = GarbageCollector::default();
}

impl ControllerManager {
    /// The process of that number before it starts.
    pub fn new(number: u8) -> Self {
        let (qps, burst) = CONTROLLER_MANAGER;
        ControllerManager {
            connection: Connection::new(Endpoint::ControllerManager(number), qps, burst),
            election: None,
            recorder: Recorder::new(COMPONENT, ""),
            caches: Caches::default(),
            controllers: Controllers::of(number),
        }
    }

    fn me(&self) -> u8 {
        self.connection.number()
    }

    /// Whether it runs and leads.
    pub fn leading(&self) -> bool {
        self.election.as_ref().is_some_and(LeaderElection::leading)
    }

    /// Whether it runs at all: it has started, and has not lost its lease.
    pub fn running(&self) -> bool {
        self.election.is_some()
    }

    /// The process is killed: it forgets everything. Numbers of requests go on, so that late replies find nobody.
    pub fn crash(&mut self) {
        let unused = ControllerManager::new(self.me());
        let mut connection = std::mem::replace(self, unused).connection;
        connection.reopen();
        self.connection = connection;
    }

    /// The number of its next request to the API server.
    pub fn next_request(&self) -> u64 {
        self.connection.next()
    }

    /// Whether the controller of a replica set, a DaemonSet or a Job waits for pods that it has asked for and will not see, for they were being
    /// deleted when they came. After five minutes it goes on without, but not before something else wakes it.
    pub fn has_missed_pods(&self, kind: Kind, key: &Key) -> bool {
        match kind {
            Kind::ReplicaSet => self.controllers.replica_set.has_missed(key),
            Kind::DaemonSet => self.controllers.daemon_set.has_missed(key),
            Kind::Job => self.controllers.job.has_missed(key),
            _ => false,
        }
    }

    /// What it knows of the cluster.
    pub fn caches(&self) -> &Caches {
        &self.caches
    }

    /// Handles an event. A process that does not run hears nothing but its start.
    pub fn handle(&mut self, event: ControllerManagerEvent, setup: &Setup, out: &mut Effects) {
        match event {
            ControllerManagerEvent::Start => self.start(setup, out),
            _ if self.election.is_none() => {}
            ControllerManagerEvent::Exit => {
                self.crash();
                out.exit();
            }
            ControllerManagerEvent::Elect => self.elect(setup, out),
            ControllerManagerEvent::Discovered(kinds) => {
                self.caches.serves(kinds);
                let period = MONITOR.as_nanos();
                let next = Instant::from_nanos((out.now().as_nanos() / period + 1) * period);
                out.at(next, Event::ControllerManager(self.me(), ControllerManagerEvent::Monitor));
            }
            ControllerManagerEvent::Monitor => self.monitor(out),
            ControllerManagerEvent::Delivery(delivery) => self.delivered(delivery, setup, out),
            ControllerManagerEvent::Requeue { which, key } => {
                let around = &mut surroundings(&self.caches, &mut self.connection, setup, out);
                each!(self.controllers, one => {
                    if one.agent() == which {
                        one.requeue((*key).clone(), around);
                    }
                });
            }
            ControllerManagerEvent::Tick(which) => {
                let around = &mut surroundings(&self.caches, &mut self.connection, setup, out);
                each!(self.controllers, one => {
                    if one.agent() == which {
                        one.tick(around);
                    }
                });
            }
            ControllerManagerEvent::Collect => {
                let around = &mut surroundings(&self.caches, &mut self.connection, setup, out);
                self.controllers.garbage_collector.wake(around);
            }
            ControllerManagerEvent::Tell(which) => {
                let around = &mut surroundings(&self.caches, &mut self.connection, setup, out);
                each!(self.controllers, one => {
                    if one.agent() == which {
                        one.tell(around);
                    }
                });
                self.recorder.pump(Agent::ControllerManager(self.me()), &mut self.connection, Duration::ZERO, out);
            }
            ControllerManagerEvent::Rewatch(kind) => {
                let agent = Agent::ControllerManager(self.me());
                if let Some(informer) = self.caches.informer_mut(kind) {
                    informer.start(agent, &mut self.connection, out);
                }
            }
        }
    }

    /// The garbage collector begins to watch the kinds that are new.
    fn monitor(&mut self, out: &mut Effects) {
        if !self.leading() {
            return;
        }
        let agent = Agent::ControllerManager(self.me());
        for kind in self.caches.discover() {
            if let Some(informer) = self.caches.informer_mut(kind) {
                informer.start(agent, &mut self.connection, out);
            }
        }
    }

    /// A process has an identity of its own, so that it has to wait for the lease of the one before it.
    fn start(&mut self, setup: &Setup, out: &mut Effects) {
        self.crash();
        out.note(Note::new(Agent::ControllerManager(self.me()), What::Started));
        let place = u64::from(self.me()) << 56 | out.now().as_nanos();
        let mut luck = setup.luck(COMPONENT, "identity", "", place);
        let uid = Uid::random(u128::from(luck.bits()) << 64 | u128::from(luck.bits()));
        let identity = format!("{}_{uid}", control_plane_host(self.me())).into();
        self.election =
            Some(LeaderElection::new(Agent::ControllerManager(self.me()), Election::of(COMPONENT), identity));
        self.elect(setup, out);
    }

    fn elect(&mut self, setup: &Setup, out: &mut Effects) {
        if let Some(election) = &mut self.election {
            let due = election.due();
            let turn = election.tick(&mut self.connection, setup, out);
            self.turned(turn, due, out);
        }
    }

    /// The election went a step on; it was due at `due` before.
    fn turned(&mut self, turn: Turn, due: Instant, out: &mut Effects) {
        let Some(election) = &self.election else { return };
        if election.due() != due && turn != Turn::Lost {
            out.at(election.due(), Event::ControllerManager(self.me(), ControllerManagerEvent::Elect));
        }
        match turn {
            Turn::Same | Turn::Ended => {}
            Turn::Won => {
                let (lease, identity) = (election.reference(), election.identity().clone());
                out.note(Note::new(Agent::ControllerManager(self.me()), What::Leading));
                let message = format!("{identity} became leader").into();
                let agent = Agent::ControllerManager(self.me());
                self.recorder.record(agent, lease, EventType::Normal, "LeaderElection", message, out);
                self.recorder.pump(agent, &mut self.connection, Duration::ZERO, out);
                self.caches.discover();
                for informer in self.caches.iter_mut() {
                    informer.start(agent, &mut self.connection, out);
                }
                // The allocator of pod addresses looks which ranges are taken; here it gives none.
                let nodes = Call::list(Kind::Node, &"".into(), ListOptions::default());
                self.connection.send(Agent::NodeController, nodes, Duration::ZERO, out);
            }
            Turn::Lost => {
                let (lease, agent) = (election.reference(), Agent::ControllerManager(self.me()));
                let message = format!("{} stopped leading", election.identity()).into();
                self.recorder.record(agent, lease, EventType::Normal, "LeaderElection", message, out);
                self.recorder.pump(agent, &mut self.connection, Duration::ZERO, out);
                out.after(LAST_WORDS, Event::ControllerManager(self.me(), ControllerManagerEvent::Exit));
            }
        }
    }

    fn delivered(&mut self, delivery: Delivery, setup: &Setup, out: &mut Effects) {
        match delivery {
            Delivery::Reply(reply) => self.replied(*reply, setup, out),
            Delivery::Watch { number, events } => self.told(number, events, setup, out),
            Delivery::WatchEnded { number, status } => self.watch_ended(number, status.as_deref(), setup, out),
        }
    }

    fn replied(&mut self, reply: Reply, setup: &Setup, out: &mut Effects) {
        let mut reply = reply;
        let around = &mut surroundings(&self.caches, &mut self.connection, setup, out);
        each!(self.controllers, one => match one.reply(reply, around) {
            Ok(()) => return,
            Err(other) => reply = other,
        });
        if let Some(election) = &mut self.election {
            let due = election.due();
            if let Some(turn) = election.reply(reply.number, &reply.result, &mut self.connection, setup, out) {
                return self.turned(turn, due, out);
            }
        }
        match self.recorder.reply(reply.number, &reply.result, out.now()) {
            Verdict::NotMine => {}
            Verdict::Done => {
                self.recorder.pump(Agent::ControllerManager(self.me()), &mut self.connection, Duration::ZERO, out)
            }
            Verdict::RetryAfter(delay) => {
                let tell = ControllerManagerEvent::Tell(Agent::ControllerManager(self.me()));
                out.after(delay, Event::ControllerManager(self.me(), tell));
            }
        }
        if let Err(status) = &reply.result {
            self.watch_ended(reply.number, Some(status), setup, out);
        }
    }

    /// Events of a watch: the cache takes each in, the controllers hear of it, and idle workers take keys.
    fn told(&mut self, number: u64, events: Vec<WatchEvent>, setup: &Setup, out: &mut Effects) {
        let Some(kind) = self.caches.watched_by(number).map(|informer| informer.kind) else { return };
        let mut changes = Vec::new();
        for event in events {
            if let Some(informer) = self.caches.informer_mut(kind) {
                informer.take(event, &mut changes);
            }
            for change in changes.drain(..) {
                each!(self.controllers, one => one.concerns(kind, &change, &self.caches, out));
            }
        }
        let around = &mut surroundings(&self.caches, &mut self.connection, setup, out);
        each!(self.controllers, one => one.work(around));
    }

    /// A watch ended, or could not be opened: open it again in a while.
    fn watch_ended(&mut self, number: u64, status: Option<&Status>, setup: &Setup, out: &mut Effects) {
        let me = self.me();
        let Some(informer) = self.caches.watched_by(number) else { return };
        let delay = informer.broke(status, Agent::ControllerManager(me), setup, out.now());
        out.after(delay, Event::ControllerManager(me, ControllerManagerEvent::Rewatch(informer.kind)));
    }
}

fn surroundings<'a, 'b>(
    caches: &'a Caches,
    connection: &'a mut Connection,
    setup: &'a Setup,
    out: &'b mut Effects,
) -> Surroundings<'a, 'b> {
    Surroundings { caches, connection, setup, out }
}

#[cfg(test)]
pub(crate) mod cluster;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod workloads;
