//! kube-proxy: from Services and EndpointSlices to the rules of its node.
//!
//! Reading order: this file (a process with two informers), `runner` (when it writes), `route` (what the rules say), `shared` (what all
//! proxies know alike). Rules are the node's, not the process': they stay while it is down, and grow stale. Who keeps and uses them is
//! [`crate::traffic`].
//!
//! It runs where [`Setup::kube_proxy`] says so, and on nodes through which traffic is sent.
//!
//! Models: kubernetes v1.36.2 cmd/kube-proxy/app/server.go, pkg/proxy/{config/config,iptables/proxier}.go. Left out: nftables and ipvs, its
//! own pod, the informers of nodes and ServiceCIDRs (a node's zone is that it was set up with), health checks, conntrack, IPv6.

pub mod route;
mod runner;
mod shared;

use std::sync::Arc;

pub use self::runner::MIN_SYNC_PERIOD;
use self::runner::Runner;
pub use self::shared::Shared;
use self::shared::Versions;
use crate::apiserver::request::{Delivery, ListOptions, Reply, WatchEvent};
use crate::apiserver::status::Status;
use crate::client::recorder::Verdict;
use crate::client::{Agent, Connection, Informer, Recorder, Store};
use crate::event::{Effects, Event};
use crate::kernel::out::RecordId;
use crate::kernel::{Duration, Endpoint};
use crate::objects::event::EventType;
use crate::objects::selector::{Operator, Requirement, Selector};
use crate::objects::{Kind, Name, ObjectReference};
use crate::setup::Setup;
use crate::trace::{Note, What};
use crate::traffic::TrafficEvent;

/// Something that happens to a kube-proxy.
#[derive(Clone, Debug)]
pub enum ProxyEvent {
    /// The process starts.
    Start,
    /// Something from the API server.
    Delivery(Delivery),
    /// Time to write the rules.
    Sync,
    /// The rules are written.
    Written,
    /// The watch of Services, or else that of EndpointSlices, is opened again.
    Rewatch {
        /// Which.
        services: bool,
    },
    /// The event recorder may try again.
    RetryEvents,
}

/// What rules are made of: the objects at a pair of versions.
#[derive(Clone, Debug, Default)]
pub struct Tables {
    /// Services.
    pub services: Store,
    /// EndpointSlices.
    pub slices: Store,
    /// The versions of both: equal versions are equal tables.
    pub version: (u64, u64),
}

/// The state of a kube-proxy.
#[derive(Clone, Debug)]
pub struct Proxy {
    node: u32,
    name: Name,
    connection: Connection,
    recorder: Recorder,
    services: Informer,
    slices: Informer,
    runner: Runner,
    /// Endpoints of the slices that changed since the last sync; `None`: everything is to be written.
    touched: Option<u64>,
    /// The last change.
    cause: RecordId,
    writing: Option<Arc<Tables>>,
    syncs: u64,
}

impl Proxy {
    /// The proxy of the n-th node.
    pub fn new(node: u32, setup: &Setup) -> Self {
        let name: Name = setup.nodes.get(node as usize).map_or_else(|| "node".into(), |spec| spec.name.clone());
        Proxy {
            node,
            connection: Connection::new(Endpoint::Proxy(node), QPS, BURST),
            recorder: Recorder::new("kube-proxy", &name),
            services: informer(Kind::Service),
            slices: informer(Kind::EndpointSlice),
            runner: Runner::default(),
            touched: None,
            cause: RecordId::default(),
            writing: None,
            syncs: 0,
            name,
        }
    }

    fn agent(&self) -> Agent {
        Agent::KubeProxy(self.node)
    }

    /// The process is gone; the rules are not its own.
    pub fn crash(&mut self) {
        self.connection.reopen();
        self.recorder = Recorder::new("kube-proxy", &self.name);
        self.services = informer(Kind::Service);
        self.slices = informer(Kind::EndpointSlice);
        self.runner = Runner::default();
        self.touched = None;
        self.writing = None;
    }

    /// The number of its next request to the API server.
    pub fn next_request(&self) -> u64 {
        self.connection.next()
    }

    /// Handles an event.
    pub fn handle(&mut self, event: ProxyEvent, setup: &Setup, shared: &mut Shared, out: &mut Effects) {
        let agent = self.agent();
        match event {
            ProxyEvent::Start => self.start(out),
            ProxyEvent::Delivery(Delivery::Reply(reply)) => self.replied(&reply, setup, out),
            ProxyEvent::Delivery(Delivery::Watch { number, events }) => self.heard(number, events, shared, out),
            ProxyEvent::Delivery(Delivery::WatchEnded { number, status }) => {
                self.watch_broke(number, status.as_deref(), setup, out);
            }
            ProxyEvent::Sync => self.sync(setup, out),
            ProxyEvent::Written => self.written(out),
            ProxyEvent::Rewatch { services: true } => self.services.start(agent, &mut self.connection, out),
            ProxyEvent::Rewatch { services: false } => self.slices.start(agent, &mut self.connection, out),
            ProxyEvent::RetryEvents => {}
        }
        self.recorder.pump(agent, &mut self.connection, Duration::ZERO, out);
    }

    fn start(&mut self, out: &mut Effects) {
        let agent = self.agent();
        out.note(Note::new(agent, What::Started));
        let regarding = ObjectReference {
            kind: Kind::Node,
            namespace: "".into(),
            name: self.name.clone(),
            uid: Default::default(),
            resource_version: 0,
            field_path: None,
        };
        self.recorder.record(agent, regarding, EventType::Normal, "Starting", "".into(), out);
        self.services.start(agent, &mut self.connection, out);
        self.slices.start(agent, &mut self.connection, out);
    }

    fn replied(&mut self, reply: &Reply, setup: &Setup, out: &mut Effects) {
        match self.recorder.reply(reply.number, &reply.result, out.now()) {
            Verdict::Done => {}
            Verdict::RetryAfter(wait) => out.after(wait, Event::Proxy(self.node, ProxyEvent::RetryEvents)),
            Verdict::NotMine => {
                if let Err(status) = &reply.result {
                    self.watch_broke(reply.number, Some(status), setup, out);
                }
            }
        }
    }

    fn watch_broke(&mut self, number: u64, status: Option<&Status>, setup: &Setup, out: &mut Effects) {
        let (agent, services) = (self.agent(), self.services.is(number));
        let informer = match services {
            true => &mut self.services,
            false if self.slices.is(number) => &mut self.slices,
            false => return,
        };
        let wait = informer.broke(status, agent, setup, out.now());
        out.after(wait, Event::Proxy(self.node, ProxyEvent::Rewatch { services }));
    }

    fn heard(&mut self, number: u64, events: Vec<WatchEvent>, shared: &mut Shared, out: &mut Effects) {
        let touched: u64 = events.iter().filter_map(|event| event.object.as_deref()).map(endpoints).sum();
        let last = events.iter().rev().find(|event| event.object.is_some()).map(|event| event.cause);
        let changed = match self.services.is(number) {
            true => take(&mut self.services, events, &mut shared.services),
            false if self.slices.is(number) => take(&mut self.slices, events, &mut shared.slices),
            false => return,
        };
        if changed {
            self.touched = self.touched.map(|before| before + touched);
            self.cause = last.unwrap_or(out.cause());
        }
        // Nothing is written before everything is known.
        if !self.services.filling() && !self.slices.filling() && (changed || self.touched.is_none()) {
            out.because(self.cause);
            if let Some(at) = self.runner.ask(out.now()) {
                out.at(at, Event::Proxy(self.node, ProxyEvent::Sync));
            }
        }
    }

    /// Writes the rules: everything the first time, then those of Services that have changed.
    fn sync(&mut self, setup: &Setup, out: &mut Effects) {
        if !self.runner.start() {
            return;
        }
        let tables = Tables {
            services: self.services.store.clone(),
            slices: self.slices.store.clone(),
            version: (self.services.version(), self.slices.version()),
        };
        let timing = &setup.profile.proxy;
        let entries = tables.services.len() as u64 + tables.slices.len() as u64;
        let written = self.touched.unwrap_or_else(|| tables.slices.iter().map(|slice| endpoints(slice)).sum());
        self.touched = Some(0);
        self.syncs += 1;
        let base = setup.draw(&timing.sync, "kube-proxy", "sync", &self.name, self.syncs);
        let took = base + timing.per_object.times(entries) + timing.per_endpoint.times(written);
        self.writing = Some(Arc::new(tables));
        out.after(took, Event::Proxy(self.node, ProxyEvent::Written));
    }

    fn written(&mut self, out: &mut Effects) {
        let Some(tables) = self.writing.take() else { return };
        let (services, endpoints) = (tables.services.len() as u32, tables.slices.len() as u32);
        let record = out.note(Note::new(self.agent(), What::Rules { services, slices: endpoints }));
        out.after(Duration::ZERO, Event::Traffic(TrafficEvent::Rules { node: self.node, tables, record }));
        if let Some(at) = self.runner.end(out.now()) {
            out.because(self.cause);
            out.at(at, Event::Proxy(self.node, ProxyEvent::Sync));
        }
    }
}

/// Requests a second, and at once; Kubernetes: the defaults of kube-proxy's clientConnection.
const QPS: u32 = 5;
const BURST: u32 = 10;
/// Services with this label are another proxy's business.
const OTHER_PROXY: &str = "service.kubernetes.io/service-proxy-name";
/// Slices of Services without an address.
const HEADLESS: &str = "service.kubernetes.io/headless";

fn informer(kind: Kind) -> Informer {
    let without = |key| Requirement::new(key, Operator::DoesNotExist, []);
    let requirements = [OTHER_PROXY, HEADLESS].into_iter().filter_map(|key| without(key).ok()).collect();
    let labels = Some(Selector::of(requirements));
    Informer::new(kind, Store::default(), ListOptions { labels, ..ListOptions::default() })
}

/// Takes in what a watch brought; whether anything changed.
fn take(informer: &mut Informer, events: Vec<WatchEvent>, versions: &mut Versions) -> bool {
    let news = events.iter().any(|event| event.object.is_some());
    let last = events.iter().map(|event| event.resource_version).max().unwrap_or(0);
    if !informer.filling()
        && let Some(store) = versions.at(last)
    {
        informer.adopt(store.clone(), last);
        return news;
    }
    let mut changes = Vec::new();
    let filling = informer.filling();
    events.into_iter().for_each(|event| informer.take(event, &mut changes));
    if !informer.filling() {
        match versions.at(informer.version()).cloned() {
            Some(store) => informer.adopt(store, informer.version()),
            None => versions.learn(informer.version(), &informer.store),
        }
    }
    filling || !changes.is_empty()
}

/// How many endpoints an object stands for.
fn endpoints(object: &crate::objects::Object) -> u64 {
    let slice = object.as_resource::<k8s_openapi::api::discovery::v1::EndpointSlice>();
    slice.map_or(0, |slice| slice.api.endpoints.as_ref().map_or(0, Vec::len) as u64)
}
