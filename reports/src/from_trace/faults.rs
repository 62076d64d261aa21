//! Faults as shaded bands: what the script broke, and processes that were down.

use std::collections::BTreeMap;

use wavetank_engine::Setup;
use wavetank_engine::client::Agent;
use wavetank_engine::etcd::EtcdNote;
use wavetank_engine::kernel::Instant;
use wavetank_engine::process::Process;
use wavetank_engine::trace::{Record, What};

use super::drawing::Window;
use crate::timeline::Band;

pub(super) struct Faults<'a> {
    window: Window,
    setup: &'a Setup,
    /// What is broken: since when.
    open: BTreeMap<String, Instant>,
    bands: Vec<Band>,
}

impl<'a> Faults<'a> {
    pub fn new(window: Window, setup: &'a Setup) -> Self {
        Faults { window, setup, open: BTreeMap::new(), bands: Vec::new() }
    }

    pub fn take(&mut self, record: &Record) {
        match &record.note.what {
            What::FaultBegan { fault } => self.began(fault, record.at),
            What::FaultEnded { fault } => self.ended(fault, record.at),
            What::Ended { .. } | What::Etcd(EtcdNote::Stopped) => {
                if let Some(down) = self.down(record.note.by).filter(|down| !self.without_power(down)) {
                    self.began(&down, record.at);
                }
            }
            What::Started | What::Etcd(EtcdNote::Started) => {
                if let Some(down) = self.down(record.note.by) {
                    self.ended(&down, record.at);
                }
            }
            _ => {}
        }
    }

    pub fn finish(mut self) -> Vec<Band> {
        let open = std::mem::take(&mut self.open);
        for (fault, start) in open {
            self.band(&fault, start, self.window.end);
        }
        self.bands.sort_by_key(|band| band.start);
        self.bands
    }

    /// Whether it is the kubelet of a node whose whole machine is down.
    fn without_power(&self, down: &str) -> bool {
        let Some(node) = down.strip_prefix("kubelet/") else { return false };
        let spec = self.setup.nodes.iter().find(|spec| node.strip_suffix(" down") == Some(&*spec.name));
        let zone = spec.and_then(|spec| spec.labels.iter().find(|(key, _)| &**key == "topology.kubernetes.io/zone"));
        self.open.contains_key(&format!("node/{node}"))
            || zone.is_some_and(|(_, zone)| self.open.contains_key(&format!("zone/{zone} down")))
    }

    fn began(&mut self, fault: &str, at: Instant) {
        self.open.entry(fault.to_owned()).or_insert(at);
    }

    fn ended(&mut self, fault: &str, at: Instant) {
        if let Some(start) = self.open.remove(fault) {
            self.band(fault, start, at);
        }
    }

    fn band(&mut self, fault: &str, start: Instant, end: Instant) {
        if let Some((start, end)) = self.window.clip(start, end) {
            self.bands.push(Band { label: fault.to_owned(), start, end });
        }
    }

    /// What is broken while an agent's process does not run.
    fn down(&self, agent: Agent) -> Option<String> {
        let process = match agent {
            Agent::Etcd(member) => Process::Etcd(member),
            Agent::ApiServer(number) => Process::ApiServer(number),
            Agent::ControllerManager(number) => Process::ControllerManager(number),
            Agent::Scheduler(number) => Process::Scheduler(number),
            Agent::Kubelet(node) => Process::Kubelet(node),
            Agent::KubeProxy(node) => Process::Proxy(node),
            Agent::Custom(number) => Process::Custom(number),
            _ => return None,
        };
        Some(format!("{} down", process.name(self.setup)))
    }
}
