//! The kubelet: registers its node, keeps its lease and status, and runs the pods bound to it.
//!
//! Reading order: `node` (registration, lease, status), `admission` (which pods it takes), `pod_worker` (a pod's life), `volumes` and
//! `needs` (what comes before its containers), `pulls` and `images` (images and their back-off), `containers` (starting them), `hooks`,
//! `probes`, `restart`, `termination`, `status` and `phase` (what is reported of a pod), `report` (how reports are batched and sent),
//! `outage` (what is left when the process or the whole machine is gone). What runs in the containers is played: `life` (when a program
//! ends), `program` (what its command says), `listening`, `health`, `memory`, `logs`, each from annotations of the pod (`schedule`). Then what
//! the node does to its pods: `configuration`, `eviction` with `ranking`, `system_oom` and `image_gc`, `preemption`, `shutdown`, `fate`; and `statics`, the
//! pods that no API server knows of.
//!
//! Models: kubernetes v1.36.2 pkg/kubelet/{kubelet,pod_workers,kubelet_node_status}.go, status/status_manager.go, images/image_manager.go. Left
//! out: volumes other than the token's, claims, config maps and secrets, PLEG's polling (container states are seen
//! at once, as with on-demand relist), ephemeral containers, in-place resize.

mod admission;
mod annotations;
mod configuration;
mod containers;
mod eviction;
pub mod exec;
mod fate;
pub mod health;
mod hooks;
mod image_gc;
mod images;
mod life;
pub mod listening;
mod logs;
pub mod memory;
mod needs;
mod node;
mod outage;
mod phase;
mod pod_worker;
mod preemption;
pub mod probes;
pub mod program;
mod pulls;
mod ranking;
mod report;
mod restart;
pub mod schedule;
mod serving;
pub(crate) mod shutdown;
mod statics;
mod status;
mod system_oom;
mod termination;
pub mod told;
mod view;
mod volumes;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use self::admission::Offer;
pub use self::configuration::{Amount, KubeletConfiguration, Pressure, Signal, Threshold};
use self::eviction::Evictions;
use self::images::Images;
pub use self::images::canonical as full_image_name;
use self::node::NodeState;
pub(crate) use self::node::node_of_address;
use self::outage::Past;
use self::pod_worker::{PodEvent, PodWorker, Stage};
use self::shutdown::ShuttingDown;
use self::statics::Statics;
pub use self::statics::read as read_static_pod;
use self::told::{Standing, Told};
use crate::apiserver::request::{Answer, Delivery, ListOptions, Reply};
use crate::apiserver::status::Status;
use crate::client::informer::Change;
use crate::client::recorder::Verdict;
use crate::client::{Agent, Connection, Informer, Recorder, Store};
use crate::event::{Effects, Event};
use crate::kernel::{Duration, Endpoint, Instant, Latency};
use crate::objects::selector::FieldSelector;
use crate::objects::{Kind, Name, Object, Pod, Uid, UidWords};
use crate::registry::Failure;
use crate::setup::Setup;

/// Something that happens to a kubelet.
#[derive(Clone, Debug)]
pub enum KubeletEvent {
    /// The process starts.
    Start,
    /// Something from the API server.
    Delivery(Delivery),
    /// Time to try to register the node again.
    Register,
    /// The node has become ready to run pods.
    NodeReady,
    /// Time to look at the node's status.
    StatusCheck,
    /// Time to renew the node's lease.
    RenewLease,
    /// A step in the life of a pod, and which boot of the machine it belongs to.
    Pod(UidWords, u32, PodEvent),
    /// A script tells the programs of a pod something.
    Told(Box<Told>),
    /// The event recorder may try again.
    RetryEvents,
    /// A watch that ended is opened again.
    Rewatch,
    /// A pod's pull has ended, in which boot of the machine, and why without the image.
    PullEnded(UidWords, u32, Option<Failure>),
    /// What is left of the node's resources has changed.
    Pressed,
    /// Time to look at what is left of the node's resources.
    Evict,
    /// No memory is left on the node.
    OutOfMemory,
    /// Time to look for images that can go.
    CollectImages,
    /// The machine is told to shut down.
    Shutdown,
    /// The next pods are to end before the machine is off.
    ShutdownGoesOn,
    /// The directory of static pods has changed.
    Directory,
    /// Time to see to mirror pods that are missing.
    Mirror,
}

impl KubeletEvent {
    /// Whether it is the container runtime's doing, which goes on without the kubelet.
    pub fn of_the_runtime(&self) -> bool {
        let of_a_pod =
            |event: &PodEvent| matches!(event, PodEvent::Ended(..) | PodEvent::Listening(..) | PodEvent::Stopped);
        matches!(self, KubeletEvent::Told(_)) || matches!(self, KubeletEvent::Pod(_, _, event) if of_a_pod(event))
    }
}

/// The state of a kubelet.
#[derive(Clone, Debug)]
pub struct Kubelet {
    index: u32,
    name: Name,
    connection: Connection,
    recorder: Recorder,
    informer: Informer,
    node: NodeState,
    pods: BTreeMap<Uid, PodWorker>,
    /// What containers did while no kubelet ran.
    missed: Vec<(Uid, PodEvent)>,
    /// What the machine's disk tells of containers that died with its power.
    pasts: BTreeMap<Uid, Past>,
    /// How often the machine has lost its power.
    boots: u32,
    /// What the node has to offer to pods.
    offer: Arc<Offer>,
    running: bool,
    images: Images,
    evictions: Evictions,
    shutting_down: Option<ShuttingDown>,
    statics: Statics,
    /// Critical pods that wait for others to make room.
    preempting: BTreeMap<Uid, Vec<Uid>>,
    requests: BTreeMap<u64, Purpose>,
    next_ip: u32,
    containers: u64,
    /// What a script says of pods that start later.
    standing: Vec<Arc<Standing>>,
}

/// What a request was sent for.
#[derive(Clone, Copy, Debug)]
enum Purpose {
    Register,
    /// The node's object, which was there already.
    OwnNode,
    /// The same, after a silence.
    NodeAgain,
    /// The same, to see whether a pod fits its labels by now.
    NodeFor(Uid),
    NodeStatus,
    LeaseGet,
    LeaseCreate,
    LeaseRenew,
    /// The present pod, before its status is written.
    PodGet(Uid),
    PodStatus(Uid),
    Token(Uid),
    RootCa(Uid),
    /// An object behind one of the pod's volumes: a claim, a ConfigMap, a Secret.
    Volume(Uid),
    /// A ConfigMap or Secret of a container's environment.
    Environment(Uid),
    PodDelete(Uid),
    /// The mirror of a static pod.
    Mirror(Uid),
    /// The end of a mirror that is not wanted.
    MirrorDelete,
}

/// What every step needs besides the pod itself.
pub(crate) struct Surroundings<'a, 'b> {
    setup: &'a Setup,
    out: &'b mut Effects,
    index: u32,
    boots: u32,
    connection: &'a mut Connection,
    recorder: &'a mut Recorder,
    images: &'a mut Images,
    requests: &'a mut BTreeMap<u64, Purpose>,
    next_ip: &'a mut u32,
    containers: &'a mut u64,
    node_ip: std::net::Ipv4Addr,
    standing: &'a [Arc<Standing>],
}

impl Kubelet {
    /// The kubelet of the n-th node.
    pub fn new(index: u32, setup: &Setup) -> Self {
        let spec = setup.nodes.get(index as usize);
        let name = spec.map_or_else(|| "node".into(), |spec| spec.name.clone());
        let options =
            ListOptions { fields: Some(FieldSelector::exactly("spec.nodeName", &name)), ..ListOptions::default() };
        let images = spec.map(|spec| spec.images.clone()).unwrap_or_default();
        Kubelet {
            index,
            connection: Connection::new(Endpoint::Kubelet(index), 50, 100),
            recorder: Recorder::new("kubelet", &name),
            informer: Informer::new(Kind::Pod, Store::default(), options),
            node: NodeState::new(index),
            pods: BTreeMap::new(),
            missed: Vec::new(),
            pasts: BTreeMap::new(),
            boots: 0,
            offer: Arc::new(spec.map(Offer::of).unwrap_or_default()),
            running: true,
            images: Images::new(images, setup.kubelet.registry_pull),
            evictions: Evictions::default(),
            shutting_down: None,
            statics: Statics::default(),
            preempting: BTreeMap::new(),
            requests: BTreeMap::new(),
            next_ip: 2,
            containers: 0,
            standing: Vec::new(),
            name,
        }
    }

    /// Who this kubelet is to others.
    fn agent(&self) -> Agent {
        Agent::Kubelet(self.index)
    }

    /// Handles an event.
    pub fn handle(&mut self, event: KubeletEvent, setup: &Setup, out: &mut Effects) {
        match event {
            KubeletEvent::Start => self.start(setup, out),
            KubeletEvent::Delivery(Delivery::Reply(reply)) => self.replied(*reply, setup, out),
            KubeletEvent::Delivery(Delivery::Watch { number, events }) if self.informer.is(number) => {
                let mut changes = Vec::new();
                let before = self.informer.synced();
                for event in events {
                    self.informer.take(event, &mut changes);
                }
                for change in changes {
                    self.pod_changed(change, setup, out);
                }
                if self.informer.synced() && !before {
                    self.clean_up(setup, out);
                    self.see_to_mirrors(setup, out);
                }
            }
            KubeletEvent::Delivery(Delivery::Watch { .. }) => {}
            KubeletEvent::Delivery(Delivery::WatchEnded { number, status }) if self.informer.is(number) => {
                self.watch_broke(status.as_deref(), setup, out);
            }
            KubeletEvent::Delivery(Delivery::WatchEnded { .. }) => {}
            KubeletEvent::Register => self.register(setup, out),
            KubeletEvent::Rewatch => self.informer.start(self.agent(), &mut self.connection, out),
            KubeletEvent::NodeReady => self.node_ready(setup, out),
            KubeletEvent::StatusCheck => self.check_node_status(setup, out),
            KubeletEvent::RenewLease => self.renew_lease(setup, out),
            KubeletEvent::Pod(_, boot, _) if boot != self.boots => return,
            KubeletEvent::Pod(uid, _, event) if !self.running => return self.miss(uid.into(), event, setup, out),
            KubeletEvent::Pod(uid, _, event) => self.pod_event(uid.into(), event, setup, out),
            KubeletEvent::Told(told) => {
                let runs = self.running;
                self.with_worker(told.pod, setup, out, |worker, around| worker.told(&told, runs, around));
                if !runs {
                    return;
                }
            }
            KubeletEvent::RetryEvents => {}
            KubeletEvent::PullEnded(_, boot, _) if boot != self.boots => return,
            KubeletEvent::PullEnded(uid, _, failure) => {
                self.with_worker(uid.into(), setup, out, |worker, around| worker.pull_ended(failure, around));
            }
            KubeletEvent::Pressed => self.watch_pressure(setup, out),
            KubeletEvent::Evict => self.look_at_pressure(setup, out),
            KubeletEvent::OutOfMemory => self.out_of_memory(setup, out),
            KubeletEvent::CollectImages => self.collect_images(setup, out),
            KubeletEvent::Shutdown => self.begin_shutdown(setup, out),
            KubeletEvent::ShutdownGoesOn => self.go_on_with_shutdown(setup, out),
            KubeletEvent::Directory => self.read_directory(setup, out),
            KubeletEvent::Mirror => self.see_to_mirrors(setup, out),
        }
        self.recorder.pump(Agent::Kubelet(self.index), &mut self.connection, Duration::ZERO, out);
    }

    /// Something happened to a container while no kubelet ran.
    fn miss(&mut self, uid: Uid, event: PodEvent, setup: &Setup, out: &mut Effects) {
        if let Some(worker) = self.pods.get_mut(&uid) {
            worker.went_on(event, out.now());
            if setup.traffic {
                worker.tell_of_service(self.index, out);
            }
        }
        self.missed.push((uid, event));
    }

    fn watch_broke(&mut self, status: Option<&Status>, setup: &Setup, out: &mut Effects) {
        let wait = self.informer.broke(status, self.agent(), setup, out.now());
        out.after(wait, Event::Kubelet(self.index, KubeletEvent::Rewatch));
    }

    fn replied(&mut self, reply: Reply, setup: &Setup, out: &mut Effects) {
        match self.recorder.reply(reply.number, &reply.result, out.now()) {
            Verdict::NotMine => {}
            Verdict::Done => return,
            Verdict::RetryAfter(wait) => return out.after(wait, Event::Kubelet(self.index, KubeletEvent::RetryEvents)),
        }
        if let Err(status) = &reply.result
            && self.informer.is(reply.number)
        {
            return self.watch_broke(Some(status), setup, out);
        }
        let Some(purpose) = self.requests.remove(&reply.number) else { return };
        match purpose {
            Purpose::Register => self.registered(reply.result, setup, out),
            Purpose::OwnNode => self.own_node_came(reply.result, setup, out),
            Purpose::NodeFor(uid) => self.node_came_for(uid, reply.result, setup, out),
            Purpose::NodeAgain => self.node_seen_again(reply.result),
            Purpose::NodeStatus => self.status_replied(reply.result),
            Purpose::LeaseGet | Purpose::LeaseCreate | Purpose::LeaseRenew => {
                self.lease_replied(purpose, reply.result, setup, out)
            }
            Purpose::PodGet(uid) => {
                self.with_worker(uid, setup, out, |worker, around| worker.got(reply.result, around))
            }
            Purpose::PodStatus(uid) => {
                self.with_worker(uid, setup, out, |worker, around| worker.patched(reply.result, around))
            }
            Purpose::Token(uid) => {
                self.with_worker(uid, setup, out, |worker, around| worker.token_came(reply.result, around))
            }
            Purpose::RootCa(uid) => {
                self.with_worker(uid, setup, out, |worker, around| worker.root_ca_came(reply.result, around))
            }
            Purpose::Volume(uid) => {
                self.with_worker(uid, setup, out, |worker, around| worker.volume_came(reply.result, around))
            }
            Purpose::Environment(uid) => {
                self.with_worker(uid, setup, out, |worker, around| worker.environment_came(reply.result, around))
            }
            Purpose::PodDelete(uid) => {
                self.with_worker(uid, setup, out, |worker, around| worker.deletion_heard(&reply.result, around))
            }
            Purpose::MirrorDelete => self.mirror_went(&reply.result, setup, out),
            Purpose::Mirror(uid) => self.mirror_came(uid, reply.result, setup, out),
        }
    }

    fn pod_changed(&mut self, change: Change, setup: &Setup, out: &mut Effects) {
        out.because(change.cause);
        let object = change.object().clone();
        let Object::Pod(pod) = &*object else { return };
        let uid = pod.meta.uid;
        if statics::is_mirror(pod) {
            return self.mirror_changed(&object, change.new.is_some(), setup, out);
        }
        if change.new.is_none() {
            self.with_worker(uid, setup, out, PodWorker::gone);
            self.pods.remove(&uid);
            if !self.preempting.is_empty() {
                self.room_was_made(setup, out);
            }
            return;
        }
        if let Entry::Vacant(place) = self.pods.entry(uid) {
            if pod.status.phase.terminal() {
                if pod.meta.deleting() {
                    place.insert(PodWorker::over(object.clone()));
                    self.with_worker(uid, setup, out, PodWorker::delete);
                }
                return;
            }
            let mut worker = PodWorker::new(object.clone());
            if let Some(past) = self.pasts.remove(&uid) {
                worker.remember(past, second(out.wall()));
            }
            place.insert(worker);
            self.with_worker(uid, setup, out, PodWorker::seen);
        }
        self.with_worker(uid, setup, out, |worker, around| worker.updated(object, around));
    }

    fn pod_event(&mut self, uid: Uid, event: PodEvent, setup: &Setup, out: &mut Effects) {
        if event == PodEvent::Admitted {
            return self.consider(uid, setup, out);
        }
        let ended = |kubelet: &Kubelet| kubelet.pods.get(&uid).is_some_and(|worker| worker.stage >= Stage::Terminated);
        let before = ended(self);
        self.with_worker(uid, setup, out, |worker, around| worker.handle(event, around));
        if !before && ended(self) {
            self.pod_has_ended(uid, setup, out);
        }
    }

    /// Nothing of a pod runs any more: who waited for that goes on.
    fn pod_has_ended(&mut self, uid: Uid, setup: &Setup, out: &mut Effects) {
        if !self.preempting.is_empty() {
            self.room_was_made(setup, out);
        }
        if self.shutting_down.is_some() {
            self.go_on_with_shutdown(setup, out);
        }
        if self.pods.get(&uid).is_some_and(|worker| statics::is_static(worker.pod()) && worker.fate.is_none()) {
            self.read_directory(setup, out);
        }
    }

    /// Runs `work` on a pod's worker, if there still is one.
    fn with_worker<'a, 'b>(
        &mut self,
        uid: Uid,
        setup: &'a Setup,
        out: &'b mut Effects,
        work: impl FnOnce(&mut PodWorker, &mut Surroundings<'_, 'b>),
    ) {
        let Some(worker) = self.pods.get_mut(&uid) else { return };
        let metered = setup.metrics_server.is_some();
        let before = metered.then(|| worker.at_work());
        let mut around = Surroundings {
            setup,
            out,
            index: self.index,
            boots: self.boots,
            connection: &mut self.connection,
            recorder: &mut self.recorder,
            images: &mut self.images,
            requests: &mut self.requests,
            next_ip: &mut self.next_ip,
            containers: &mut self.containers,
            node_ip: node::node_ip(self.index),
            standing: &self.standing,
        };
        work(worker, &mut around);
        if let Some(before) = before {
            let after = worker.at_work();
            if after != before {
                worker.tell_of_work(after.0, after.1, &mut around);
            }
        }
        if setup.traffic {
            worker.tell_of_service(self.index, around.out);
        }
    }
}

/// Draws of the kubelet's and the runtime's own work, which a slow CPU makes longer.
const OWN_WORK: [&str; 5] = ["admit", "sandbox", "create", "start", "status-lag"];

impl Surroundings<'_, '_> {
    fn now(&self) -> Instant {
        second(self.out.wall())
    }

    fn agent(&self) -> Agent {
        Agent::Kubelet(self.index)
    }

    /// A draw for a pod.
    fn draw(&self, latency: &Latency, purpose: &'static str, pod: &Pod, counter: u64) -> Duration {
        let time = self.setup.draw(latency, "kubelet", purpose, &pod.meta.name, counter);
        if OWN_WORK.contains(&purpose) { self.out.cpu(time) } else { time }
    }

    /// Comes back to the pod after `delay`.
    fn after(&mut self, delay: Duration, uid: Uid, event: PodEvent) {
        self.out.after(delay, Event::Kubelet(self.index, KubeletEvent::Pod(uid.into(), self.boots, event)));
    }
}

/// Times in the API have whole seconds.
fn second(at: Instant) -> Instant {
    Instant::from_nanos(at.as_nanos() / 1_000_000_000 * 1_000_000_000)
}

/// The result of a request.
type Outcome = Result<Answer, Status>;

/// The pod of a shared object.
fn pod_of(object: &Arc<Object>) -> &Pod {
    object.as_pod().expect("the informer of pods brings pods")
}

#[cfg(test)]
mod tests;
