//! Scripted traffic: clients that send requests to Services, and what becomes of each.
//!
//! Reading order: `flow` (what is sent, and what is counted), `requests` (a request's way: its node's rules, a pod, an answer), `node` (the
//! rules of a node), `server` (a pod's program), `losses` (what the trace keeps), `history` (the counts over time).
//!
//! A request costs two events: its beginning, and its arrival at a pod. It meets the state of things as they are then: rules that lag
//! behind, a container that has ended, a machine without power. Kubelets tell of their containers, kube-proxies of the rules they
//! have written, each by a message; nobody's state is read. There is nothing of it in a cluster to which no traffic is sent.
//!
//! Left out: bytes and bandwidth, TLS, DNS, conntrack's limits, load balancers before nodes and their health checks (who comes from
//! outside takes any of the given nodes), what requests cost the pods' CPU.
//! Models: nothing of Kubernetes but what `proxy` says; TCP as far as a client sees it.

mod flow;
mod history;
mod losses;
mod node;
mod requests;
mod server;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::net::Ipv4Addr;
use std::sync::Arc;

pub use self::flow::{Arrivals, Flow, FlowSpec, Gap, Loss, Tally};
pub use self::history::{Bucket, History};
pub use self::losses::Window;
use self::node::NodeRules;
use self::requests::{Request, Ways};
pub use self::server::PodTold;
use self::server::{Server, Ticket};
use crate::event::{Effects, Event};
use crate::kernel::out::RecordId;
use crate::kernel::{Duration, Instant};
use crate::proxy::Tables;
use crate::setup::Setup;
use crate::trace::note::TrafficStep;

/// Something that happens to requests, or to what they meet.
#[derive(Clone, Debug)]
pub enum TrafficEvent {
    /// Time for the next request of a flow.
    Next(u32),
    /// A request arrives at its pod, if it is still the same request.
    Arrive(u32, u32),
    /// A request is tried again.
    Again(u32, u32),
    /// A kubelet tells of a pod.
    Pod(Box<PodTold>),
    /// The rules of a node are written.
    Rules {
        /// The node.
        node: u32,
        /// What they are made of.
        tables: Arc<Tables>,
        /// The record of the write.
        record: RecordId,
    },
    /// A second has passed.
    Second,
}

/// What requests meet besides pods and rules.
pub(crate) struct Ground<'a> {
    /// What is constant.
    pub setup: &'a Setup,
    /// Whether nothing gets from one node to another, or back.
    pub cut: &'a dyn Fn(u32, u32) -> bool,
    /// The record of the last fault in force.
    pub fault: RecordId,
}

/// All flows, and what they meet.
#[derive(Clone, Debug, Default)]
pub struct Traffic {
    flows: Vec<Flow>,
    nodes: BTreeMap<u32, NodeRules>,
    servers: BTreeMap<Ipv4Addr, Server>,
    /// Nodes without power, with the record of its loss.
    dark: BTreeMap<u32, RecordId>,
    requests: Vec<Request>,
    /// Places among the requests that are free.
    vacant: Vec<u32>,
    /// When the fates of requests are known to their clients.
    fates: BinaryHeap<Reverse<(Instant, Ticket)>>,
    /// Whether a second is being counted.
    counting: bool,
}

/// How long a flow waits for its nodes to have rules.
const PATIENCE: Duration = Duration::from_secs(10);
/// Between looks whether they have.
const LOOK: Duration = Duration::from_millis(20);
const SECOND: Duration = Duration::from_secs(1);

impl Traffic {
    /// The flows, in the order of their beginning; those that have ended, too.
    pub fn flows(&self) -> &[Flow] {
        &self.flows
    }

    /// The nodes that have rules.
    pub fn nodes_with_rules(&self) -> impl Iterator<Item = u32> {
        self.nodes.iter().filter(|(_, rules)| rules.tables.is_some()).map(|(node, _)| *node)
    }

    /// Everything as it is known at an instant at which nothing happens.
    pub fn settled(&self, now: Instant) -> Traffic {
        let mut traffic = self.clone();
        traffic.settle(now, None);
        traffic.close_second(now);
        traffic
    }

    /// Another flow; its first request is sent when its nodes have rules. Its number.
    pub(crate) fn begin(&mut self, spec: FlowSpec, record: RecordId, now: Instant) -> u32 {
        self.flows.push(Flow::new(spec, record, now));
        self.flows.len() as u32 - 1
    }

    /// A flow sends no more.
    pub(crate) fn stop(&mut self, flow: u32) {
        if let Some(flow) = self.flows.get_mut(flow as usize) {
            flow.stopped = true;
        }
    }

    /// A machine has lost its power: what is under way there is never answered, and nobody says so.
    pub(crate) fn lose_power(&mut self, node: u32, record: RecordId, out: &mut Effects) {
        self.settle(out.now(), Some(out));
        self.dark.insert(node, record);
        if let Some(rules) = self.nodes.get_mut(&node) {
            rules.lose();
        }
        let now = out.now();
        let mut open = Vec::new();
        for server in self.servers.values_mut().filter(|server| server.node == node) {
            open.extend(server.end(now));
            server.changed = record;
        }
        for ticket in open {
            self.fail_late(ticket, (Loss::TimedOut, record), out);
        }
    }

    /// A machine boots, if it was without power: nothing runs on it yet.
    pub(crate) fn boot(&mut self, node: u32) -> bool {
        let dark = self.dark.remove(&node).is_some();
        if dark {
            for server in self.servers.values_mut().filter(|server| server.node == node) {
                (server.container, server.listening) = (None, false);
            }
        }
        dark
    }

    /// Handles an event.
    pub(crate) fn handle(&mut self, event: TrafficEvent, ground: &Ground<'_>, out: &mut Effects) {
        self.settle(out.now(), Some(out));
        match event {
            TrafficEvent::Next(flow) => self.next(flow, ground, out),
            TrafficEvent::Arrive(number, stamp) => self.arrive((number, stamp), ground, out),
            TrafficEvent::Again(number, stamp) => self.again((number, stamp), ground, out),
            TrafficEvent::Pod(told) => self.told(&told, out),
            TrafficEvent::Rules { node, tables, record } => {
                self.nodes.entry(node).or_default().write(tables, record);
            }
            TrafficEvent::Second => self.second(out),
        }
    }

    /// A kubelet tells of a pod.
    fn told(&mut self, told: &PodTold, out: &mut Effects) {
        let (now, record) = (out.now(), out.cause());
        let Some(server) = self.servers.get_mut(&told.address) else {
            if told.container.is_some() {
                self.servers.insert(told.address, Server::new(told, record));
            }
            return;
        };
        if server.uid != told.uid && told.container.is_none() {
            // The address is another pod's by now.
            return;
        }
        let ended = server.uid != told.uid || server.container.is_some() && server.container != told.container;
        let open = if ended { server.end(now) } else { Vec::new() };
        if server.uid != told.uid {
            *server = Server::new(told, record);
        }
        (server.container, server.listening, server.changed) = (told.container, told.listening, record);
        for ticket in open {
            self.reset(ticket, record, out);
        }
    }

    /// Whether all the nodes of a flow have rules, or never will.
    fn ready(&self, flow: &Flow, now: Instant) -> bool {
        let has = |node: &u32| {
            self.dark.contains_key(node) || self.nodes.get(node).is_some_and(|rules| rules.tables.is_some())
        };
        flow.spec.nodes.iter().all(has) || now.since(flow.asked) >= PATIENCE
    }

    /// The next request of a flow.
    fn next(&mut self, number: u32, ground: &Ground<'_>, out: &mut Effects) {
        let now = out.now();
        let Some(flow) = self.flows.get(number as usize).filter(|flow| !flow.stopped) else { return };
        if flow.begun.is_none() {
            if !self.ready(flow, now) {
                return out.after(LOOK, Event::Traffic(TrafficEvent::Next(number)));
            }
            self.open(number, out);
        }
        if !self.counting {
            self.counting = true;
            out.after(SECOND, Event::Traffic(TrafficEvent::Second));
        }
        let Some(flow) = self.flows.get_mut(number as usize) else { return };
        flow.next += 1;
        let request = flow.next;
        let mut luck = ground.setup.seed.luck(LUCK, flow.luck, 0, request);
        let wait = match flow.spec.arrivals {
            Arrivals::Even => flow.spec.every,
            Arrivals::Poisson => requests::exponential(flow.spec.every, &mut luck),
        };
        out.after(wait, Event::Traffic(TrafficEvent::Next(number)));
        let which = luck.below(flow.spec.nodes.len().max(1) as u64) as usize;
        let Some(node) = flow.spec.nodes.get(which).copied() else { return };
        if !flow.spec.outside && self.dark.contains_key(&node) {
            // The client is without power, too.
            return;
        }
        flow.tally.sent += 1;
        flow.history.at(now).sent += 1;
        let ways = Ways { flow: number, node, which: which as u32, number: request };
        let ticket = self.enter(Request::new(ways, now));
        self.send(ticket, &mut luck, ground, out);
    }

    fn open(&mut self, number: u32, out: &mut Effects) {
        let now = out.now();
        if let Some(flow) = self.flows.get_mut(number as usize) {
            flow.begun = Some(now);
            flow.history = History::new(now);
            out.because(flow.record);
            flow.record = out.note(flow.note(number, TrafficStep::Begins, "".into(), None, [0; 4], Duration::ZERO));
        }
    }

    fn second(&mut self, out: &mut Effects) {
        let now = out.now();
        self.close_second(now);
        let mut busy = false;
        for (number, flow) in self.flows.iter_mut().enumerate() {
            let over = flow.stopped && flow.tally.in_flight() == 0;
            flow.close_window(number as u32, now, over, out);
            busy |= !over;
        }
        self.counting = busy;
        if busy {
            out.after(SECOND, Event::Traffic(TrafficEvent::Second));
        }
    }

    fn close_second(&mut self, now: Instant) {
        for flow in self.flows.iter_mut().filter(|flow| flow.begun.is_some_and(|begun| begun < now)) {
            let in_flight = flow.tally.in_flight();
            if !flow.stopped || in_flight > 0 {
                // The bucket that ends here.
                flow.history.at(Instant::from_nanos(now.as_nanos() - 1)).in_flight = in_flight;
            }
        }
    }
}

/// The address of the luck of requests.
const LUCK: u64 = crate::kernel::hash_bytes(b"traffic");

#[cfg(test)]
mod tests;
