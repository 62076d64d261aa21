//! kube-proxies and scripted traffic in the world: which nodes have a proxy, and what requests meet.

use std::sync::Arc;

use super::World;
use crate::event::{Effects, Event, Queued};
use crate::kernel::out::RecordId;
use crate::kernel::{Duration, Endpoint, Instant};
use crate::process::Process;
use crate::proxy::{Proxy, ProxyEvent};
use crate::traffic::{FlowSpec, Ground, Traffic, TrafficEvent};

/// The kube-proxies and what they share.
#[derive(Clone, Debug, Default)]
pub(super) struct Proxies {
    /// By node.
    pub(super) all: std::collections::BTreeMap<u32, Proxy>,
    shared: crate::proxy::Shared,
}

impl Proxies {
    /// etcd holds another history from now on: its revisions may name other contents.
    pub(super) fn forget_history(&mut self) {
        self.shared = crate::proxy::Shared::default();
    }
}

/// How long after its kubelet a booted node's kube-proxy is started.
const AFTER_BOOT: Duration = Duration::from_secs(3);

impl World {
    /// Requests are sent to a Service from now on, as soon as the nodes they come by have rules. Nodes without a kube-proxy get one. The
    /// flow's number.
    pub fn start_traffic(&mut self, spec: FlowSpec) -> u32 {
        if !self.setup.traffic {
            Arc::make_mut(&mut self.setup).traffic = true;
            let mut out = self.outside_effects();
            self.kubelets.iter_mut().for_each(|kubelet| kubelet.tell_of_pods(&mut out));
            self.apply(Endpoint::Outside, out);
            for node in self.without_power() {
                self.traffic.get_or_insert_default();
                self.traffic_loses_machine(node, None);
            }
        }
        spec.nodes.iter().for_each(|node| self.ensure_proxy(*node));
        let now = self.now;
        let traffic = self.traffic.get_or_insert_default();
        let flow = traffic.begin(spec, RecordId(0), now);
        let event = Event::Traffic(TrafficEvent::Next(flow));
        self.push(now, Endpoint::Outside, Queued::anybody(event, RecordId(0)));
        flow
    }

    /// A flow sends no more requests.
    pub fn stop_traffic(&mut self, flow: u32) {
        if let Some(traffic) = &mut self.traffic {
            traffic.stop(flow);
        }
    }

    /// The traffic as it is known now; `None` if there has never been any.
    pub fn traffic(&self) -> Option<Traffic> {
        let traffic = self.traffic.as_ref().filter(|traffic| !traffic.flows().is_empty());
        traffic.map(|traffic| traffic.settled(self.now))
    }

    /// The nodes with a kube-proxy, whether it runs or not.
    pub fn proxies(&self) -> impl Iterator<Item = u32> {
        self.proxies.all.keys().copied()
    }

    /// Whether a node has a kube-proxy.
    pub(super) fn has_proxy(&self, node: u32) -> bool {
        self.proxies.all.contains_key(&node)
    }

    /// Every node's, if the setup says so.
    pub(super) fn switch_proxies_on(&mut self) {
        if self.setup.kube_proxy && !self.setup.only_etcd {
            let nodes = self.kubelets.len() as u32;
            for node in 0..nodes {
                // One after the other, within a second, as nodes join.
                let after = Duration::from_millis(1_500 + u64::from(node) * 1_000 / u64::from(nodes));
                self.install_proxy(node, self.now + after);
            }
        }
    }

    /// A node that joins later.
    pub(super) fn proxy_joins(&mut self, node: u32) {
        if self.setup.kube_proxy {
            self.install_proxy(node, self.now + AFTER_BOOT);
        }
    }

    fn ensure_proxy(&mut self, node: u32) {
        if !self.has_proxy(node) && (node as usize) < self.kubelets.len() {
            self.install_proxy(node, self.now);
        }
    }

    fn install_proxy(&mut self, node: u32, at: Instant) {
        self.traffic.get_or_insert_default();
        self.proxies.all.insert(node, Proxy::new(node, &self.setup));
        if self.faults.keep_down(Process::Proxy(node)) {
            return self.processes.end(Process::Proxy(node));
        }
        self.supervise(Process::Proxy(node), self.setup.supervised);
        let event = Event::Proxy(node, ProxyEvent::Start);
        self.push(at, Endpoint::Outside, Queued::anybody(event, RecordId(0)));
    }

    pub(super) fn proxy_event(&mut self, node: u32, event: ProxyEvent, out: &mut Effects) {
        let Proxies { all, shared } = &mut self.proxies;
        if let Some(proxy) = all.get_mut(&node) {
            proxy.handle(event, &self.setup, shared, out);
        }
    }

    pub(super) fn next_request_of_proxy(&self, node: u32) -> Option<u64> {
        self.proxies.all.get(&node).map(Proxy::next_request)
    }

    pub(super) fn crash_proxy(&mut self, node: u32) {
        if let Some(proxy) = self.proxies.all.get_mut(&node) {
            proxy.crash();
        }
    }

    pub(super) fn traffic_event(&mut self, event: TrafficEvent, out: &mut Effects) {
        let Some(mut traffic) = self.traffic.take() else { return };
        let node = Endpoint::Kubelet;
        let cut = |a: u32, b: u32| self.network.is_cut(node(a), node(b)) || self.network.is_cut(node(b), node(a));
        let fault = self.faults.records().copied().max().unwrap_or_default();
        traffic.handle(event, &Ground { setup: &self.setup, cut: &cut, fault }, out);
        self.traffic = Some(traffic);
    }

    /// A machine has lost its power: its proxy, its rules and what its pods worked on are gone.
    pub(super) fn traffic_loses_machine(&mut self, node: u32, ended: Option<RecordId>) {
        self.supervise(Process::Proxy(node), false);
        self.kill(Process::Proxy(node));
        let Some(mut traffic) = self.traffic.take() else { return };
        let mut out = self.outside_effects();
        let ended = ended.or_else(|| self.faults.records().copied().max()).unwrap_or_default();
        traffic.lose_power(node, ended, &mut out);
        self.traffic = Some(traffic);
        self.apply(Endpoint::Outside, out);
    }

    /// A machine boots: its kube-proxy comes after its kubelet.
    pub(super) fn traffic_boots_machine(&mut self, node: u32) {
        let booted = self.traffic.as_mut().is_some_and(|traffic| traffic.boot(node));
        let process = Process::Proxy(node);
        // Whether a fault keeps it down is seen then: the one that kept the machine down may be mended only now.
        if booted && self.has_proxy(node) && !self.is_running(process) {
            self.supervise(process, self.setup.supervised);
            let event = Event::Restart(process);
            self.push(self.now + AFTER_BOOT, Endpoint::Outside, Queued::anybody(event, RecordId(0)));
        }
    }

    /// What somebody outside the cluster asks for now.
    fn outside_effects(&mut self) -> Effects {
        Effects::new(self.now, RecordId(0), self.trace.next_id().0, Vec::new())
    }
}
