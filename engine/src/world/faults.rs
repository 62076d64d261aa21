//! What can go wrong with links and disks, and the trace's book of what is wrong at present.
//!
//! A fault changes how long things take, or whether they arrive; it decides nothing itself. Processes that end are
//! another matter: they are in `processes`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::World;
use super::machines::AfterIt;
use crate::apiserver::ApiServerEvent;
use crate::apiserver::etcd_client::KEEPALIVE;
use crate::client::Agent;
use crate::etcd::EtcdEvent;
use crate::event::{Event, Queued};
use crate::faults::{Fault, FaultId};
use crate::kernel::out::RecordId;
use crate::kernel::{Duration, Endpoint, Instant, Trouble};
use crate::process::Process;
use crate::registry::Registries;
use crate::trace::{Note, What};

/// What is broken: the book that the trace's records come from, and the faults with a handle.
#[derive(Clone, Debug, Default)]
pub(super) struct Faults {
    /// What is broken, by name, with the record of its beginning.
    book: BTreeMap<Arc<str>, RecordId>,
    in_force: BTreeMap<FaultId, InForce>,
    begun: u64,
    log: Vec<Struck>,
    /// Faults of the log that are over.
    closed: usize,
    /// Machines that have been told to shut down and are not yet off.
    pub going_off: BTreeMap<u32, AfterIt>,
    /// Processes whose clock is wrong. [ns]
    pub clocks: BTreeMap<Process, i64>,
    /// Clients whose watches are late or break.
    pub watches: super::watches::Watches,
}

#[derive(Clone, Debug)]
struct InForce {
    name: Arc<str>,
    parts: Vec<Fault>,
}

/// A fault that had a handle and a name, from its beginning to its end.
#[derive(Clone, Debug)]
pub struct Struck {
    /// Its handle.
    pub id: FaultId,
    /// What it is called.
    pub name: Arc<str>,
    /// What it broke.
    pub parts: Vec<Fault>,
    /// When it began.
    pub began: Instant,
    /// When it was over; `None` if it still is in force.
    pub ended: Option<Instant>,
}

impl Faults {
    /// Whether one keeps a process from running.
    pub(super) fn keep_down(&self, process: Process) -> bool {
        self.parts().any(|part| part.keeps_down(process))
    }

    /// The records with which what is broken began.
    pub(super) fn records(&self) -> impl Iterator<Item = &RecordId> {
        self.book.values()
    }

    /// Everything in force, the last to begin last.
    fn parts(&self) -> impl DoubleEndedIterator<Item = &Fault> {
        self.in_force.values().flat_map(|fault| &fault.parts)
    }
}

impl World {
    /// Breaks something; under which name the trace tells of it is for people: "cut etcd-0 | etcd-1". With an empty name it tells
    /// nothing.
    pub fn begin_fault(&mut self, name: &str, parts: Vec<Fault>) -> FaultId {
        self.faults.begun += 1;
        let id = FaultId(self.faults.begun);
        // That a whole machine is gone comes before what becomes of its kubelet.
        let first = parts.iter().any(|part| matches!(part, Fault::NoPower(_)));
        if first {
            self.fault_began(name);
        }
        let name: Arc<str> = name.into();
        if !name.is_empty() {
            let struck = Struck { id, name: name.clone(), parts: parts.clone(), began: self.now, ended: None };
            self.faults.log.push(struck);
        }
        self.faults.in_force.insert(id, InForce { name: name.clone(), parts: parts.clone() });
        for part in &parts {
            self.settle(part, true);
        }
        if !first {
            self.fault_began(&name);
        }
        id
    }

    /// Undoes what [`World::begin_fault`] did, but for what another fault keeps broken. False if it is over already.
    pub fn end_fault(&mut self, id: FaultId) -> bool {
        let Some(fault) = self.faults.in_force.remove(&id) else { return false };
        for part in &fault.parts {
            self.settle(part, false);
        }
        self.close(id);
        self.tell_of_end(&fault.name);
        true
    }

    /// Somebody has mended by hand what these parts of faults are about: they are over. What becomes of a fault none of whose parts is
    /// left is told.
    pub fn mended(&mut self, which: impl Fn(&Fault) -> bool) {
        for (id, name) in self.take_out(which, &mut Vec::new()) {
            self.close(id);
            self.tell_of_end(&name);
        }
    }

    /// Mends every link, and all else but processes that are down or hang; the names of what is over by that.
    pub fn heal(&mut self) -> Vec<Arc<str>> {
        for (from, to) in self.unhealthy_links() {
            self.trouble_link(from, to, Trouble::default());
            self.mend_link(from, to);
        }
        let mut parts = Vec::new();
        let mut over = self.take_out(|part| !part.is_of_a_process(), &mut parts);
        for part in parts.iter().filter(|part| !matches!(part, Fault::Cut { .. } | Fault::Link { .. })) {
            self.settle(part, false);
        }
        over.sort_by(|a, b| a.1.cmp(&b.1));
        for (id, name) in &over {
            self.close(*id);
            self.tell_of_end(name);
        }
        let mut names: Vec<Arc<str>> = over.into_iter().map(|(_, name)| name).filter(|name| !name.is_empty()).collect();
        names.dedup();
        names
    }

    /// Takes these parts out of the faults in force; the answer are those of which nothing is left.
    fn take_out(&mut self, which: impl Fn(&Fault) -> bool, parts: &mut Vec<Fault>) -> Vec<(FaultId, Arc<str>)> {
        let mut over = Vec::new();
        self.faults.in_force.retain(|id, fault| {
            parts.extend(fault.parts.extract_if(.., |part| which(part)));
            if fault.parts.is_empty() {
                over.push((*id, fault.name.clone()));
            }
            !fault.parts.is_empty()
        });
        over
    }

    /// Faults that had a handle and a name, the oldest first; also those that are over.
    pub fn fault_log(&self) -> &[Struck] {
        &self.faults.log
    }

    /// How often faults of the log have begun and ended so far.
    pub fn fault_changes(&self) -> usize {
        self.faults.log.len() + self.faults.closed
    }

    /// Writes the end of a fault into the log.
    fn close(&mut self, id: FaultId) {
        let place = self.faults.log.binary_search_by_key(&id, |struck| struck.id);
        if let Some(struck) = place.ok().and_then(|place| self.faults.log.get_mut(place)) {
            struck.ended = Some(self.now);
            self.faults.closed += 1;
        }
    }

    /// Faults with a handle, the oldest first: their names and parts.
    pub fn faults_in_force(&self) -> impl Iterator<Item = (FaultId, &str, &[Fault])> {
        self.faults.in_force.iter().map(|(id, fault)| (*id, &*fault.name, &*fault.parts))
    }

    /// Notes that a fault is over, unless another one goes by the same name.
    fn tell_of_end(&mut self, name: &Arc<str>) {
        if !self.faults.in_force.values().any(|other| other.name == *name)
            && let Some((fault, began)) = self.faults.book.remove_entry(&**name)
        {
            self.trace.record(self.now, began, Note::new(Agent::Script, What::FaultEnded { fault }));
        }
    }

    /// Makes true what the faults in force say of the thing that `part` is about, which has just begun or ended.
    fn settle(&mut self, part: &Fault, begins: bool) {
        match part.clone() {
            Fault::Down { process, gently: true } if begins => {
                self.supervise(process, false);
                self.terminate(process);
            }
            Fault::Down { process, .. } if begins => {
                self.supervise(process, false);
                self.kill(process);
                self.mended(|other| *other == Fault::Hangs(process));
            }
            Fault::NoPower(node) if begins => {
                self.supervise(Process::Kubelet(node), false);
                self.lose_power(node);
                self.nothing_hangs_on(node);
            }
            Fault::Down { process, .. } => self.up_again(process),
            Fault::ShutDown(node) if !begins && self.boot_after_shutdown(node) => {}
            Fault::NoPower(node) | Fault::ShutDown(node) if !begins => self.up_again(Process::Kubelet(node)),
            Fault::NoPower(_) => {}
            Fault::ShutDown(node) => {
                self.supervise(Process::Kubelet(node), false);
                self.shut_down(node);
            }
            Fault::Hangs(process) if begins => drop(self.hang(process)),
            Fault::Hangs(process) => {
                if !self.faults.parts().any(|other| *other == Fault::Hangs(process)) {
                    self.resume(process);
                }
            }
            Fault::Cut { from, to } if begins => self.cut_link(from, to),
            Fault::Cut { from, to } => {
                if !self.faults.parts().any(|other| *other == Fault::Cut { from, to }) {
                    self.mend_link(from, to);
                }
            }
            Fault::Link { from, to, .. } => self.settle_link(from, to),
            Fault::Disk { member, .. } => self.settle_disk(member),
            Fault::FullDisk(member) => {
                let full = self.faults.parts().any(|other| *other == Fault::FullDisk(member));
                if let Some(disk) = self.etcd_disk(member) {
                    disk.fill(full);
                }
            }
            Fault::Cpu { process, .. } => self.settle_cpu(process),
            Fault::Clock { process, .. } => {
                let last = self.faults.parts().rev().find_map(|other| match other {
                    Fault::Clock { process: other, by } if *other == process => Some(*by),
                    _ => None,
                });
                match last {
                    Some(by) => drop(self.faults.clocks.insert(process, by)),
                    None => drop(self.faults.clocks.remove(&process)),
                }
            }
            Fault::WatchDelay { client, .. } | Fault::WatchDrop { client, .. } => {
                let parts: Vec<Fault> = self.faults.parts().cloned().collect();
                if let Some(every) = self.faults.watches.settle(client, &parts, self.now) {
                    self.push(
                        self.now + every,
                        Endpoint::Outside,
                        Queued::anybody(Event::DropWatches(client), RecordId(0)),
                    );
                }
            }
            Fault::Registry { scope, trouble } => {
                let last = self.faults.parts().rev().find_map(|other| match other {
                    Fault::Registry { scope: other, trouble: last }
                        if *other == scope && Registries::alike(*last, trouble) =>
                    {
                        Some(*last)
                    }
                    _ => None,
                });
                match last {
                    Some(trouble) => self.registries.break_down(scope, trouble),
                    None => self.registries.end(&scope, trouble),
                }
            }
            Fault::Pressure { node, .. } => {
                let left = self.faults.parts().rev().find_map(|other| match other {
                    Fault::Pressure { node: other, left } if *other == node => Some(left.clone()),
                    _ => None,
                });
                self.set_pressure(node, &left.unwrap_or_default());
            }
            Fault::Webhook { name, .. } => {
                let trouble = self.faults.parts().rev().find_map(|other| match other {
                    Fault::Webhook { name: other, trouble } if *other == name => Some(*trouble),
                    _ => None,
                });
                self.trouble_webhook(&name, trouble.unwrap_or_default());
            }
        }
    }

    /// Nodes whose machine is off.
    pub(super) fn without_power(&self) -> Vec<u32> {
        let off = |part: &Fault| match *part {
            Fault::NoPower(node) | Fault::ShutDown(node) => Some(node),
            _ => None,
        };
        let nodes: BTreeSet<u32> = self.faults.parts().filter_map(off).collect();
        let on = |node: &u32| self.is_running(Process::Kubelet(*node)) || self.faults.going_off.contains_key(node);
        nodes.into_iter().filter(|node| !on(node)).collect()
    }

    /// A process starts again, unless something else keeps it down.
    pub(super) fn up_again(&mut self, process: Process) {
        if self.faults.keep_down(process) {
            return;
        }
        self.start(process);
        self.supervise(process, self.setup.supervised);
    }

    /// Troubles of one link add up.
    fn settle_link(&mut self, from: Endpoint, to: Endpoint) {
        let mut all = Trouble::default();
        for part in self.faults.parts() {
            if let Fault::Link { from: a, to: b, trouble } = part
                && (*a, *b) == (from, to)
            {
                all.loss = 1.0 - (1.0 - all.loss) * (1.0 - trouble.loss);
                all.delay += trouble.delay;
            }
        }
        self.trouble_link(from, to, all);
    }

    fn settle_disk(&mut self, member: u8) {
        let last = self.faults.parts().rev().find_map(|other| match other {
            Fault::Disk { member: other, slower, narrower } if *other == member => Some((*slower, *narrower)),
            _ => None,
        });
        let (slower, narrower) = last.unwrap_or((1.0, 1.0));
        if let Some(disk) = self.etcd_disk(member) {
            disk.slow_down(slower);
            disk.narrow(narrower);
        }
    }

    fn settle_cpu(&mut self, process: Process) {
        let last = self.faults.parts().rev().find_map(|other| match other {
            Fault::Cpu { process: other, hundredths } if *other == process => Some(*hundredths),
            _ => None,
        });
        let hundredths = last.unwrap_or(100);
        match process {
            Process::ApiServer(number) => self.slow_api_server(number, hundredths),
            _ => self.slow_process(process, hundredths),
        }
    }

    /// By how much the clock of the machine of an endpoint's process is wrong. [ns]
    pub(super) fn clock_of(&self, endpoint: Endpoint) -> i64 {
        if self.faults.clocks.is_empty() {
            return 0;
        }
        Process::at(endpoint).and_then(|process| self.faults.clocks.get(&process)).copied().unwrap_or(0)
    }

    /// Notes that a fault begins; the name is for people: "etcd-0: slow disk".
    pub fn fault_began(&mut self, name: &str) {
        if name.is_empty() || self.faults.book.contains_key(name) {
            return;
        }
        let name: Arc<str> = name.into();
        let note = Note::new(Agent::Script, What::FaultBegan { fault: name.clone() });
        let record = self.trace.record(self.now, RecordId(0), note);
        self.faults.book.insert(name, record);
    }

    /// Notes that it is over; nothing, if it never began. What goes by that name and has a handle counts as mended by hand.
    pub fn fault_ended(&mut self, name: &str) {
        let of_that_name = self.faults.in_force.iter().filter(|(_, fault)| *fault.name == *name);
        for id in of_that_name.map(|(id, _)| *id).collect::<Vec<_>>() {
            self.faults.in_force.remove(&id);
            self.close(id);
        }
        if let Some((fault, began)) = self.faults.book.remove_entry(name) {
            self.trace.record(self.now, began, Note::new(Agent::Script, What::FaultEnded { fault }));
        }
    }

    /// The names of the faults in force, in order.
    pub fn faults(&self) -> impl Iterator<Item = &str> {
        self.faults.book.keys().map(|name| &**name)
    }

    /// Cuts the link from one endpoint to another; the way back stays.
    pub fn cut_link(&mut self, from: Endpoint, to: Endpoint) {
        self.network.cut(from, to);
        if let (Endpoint::ApiServer(server), client) | (client, Endpoint::ApiServer(server)) = (from, to)
            && !matches!(client, Endpoint::Etcd(_))
        {
            self.listen_for(client, server);
        }
        self.disturb_etcd(from, to);
    }

    /// Mends the link: what was sent while it was cut is sent again.
    pub fn mend_link(&mut self, from: Endpoint, to: Endpoint) {
        self.network.mend(from, to);
        self.disturb_etcd(from, to);
        let held = std::mem::take(&mut self.held);
        for (sender, receiver, queued) in held {
            if (sender, receiver) == (from, to) {
                self.transmit(sender, receiver, Duration::ZERO, queued);
            } else {
                self.held.push((sender, receiver, queued));
            }
        }
    }

    /// Makes a link lossy or slow, or, with the default trouble, healthy again; the way back stays as it is.
    pub fn trouble_link(&mut self, from: Endpoint, to: Endpoint, trouble: Trouble) {
        self.network.trouble(from, to, trouble);
        self.disturb_etcd(from, to);
    }

    /// Links that are cut, lossy or slow, in order.
    pub fn unhealthy_links(&self) -> BTreeSet<(Endpoint, Endpoint)> {
        self.network.unhealthy()
    }

    /// A connection of the API server to etcd that has been silent for too long is closed: what was on its way is gone.
    pub(super) fn keep_alive(&mut self, server: u8, member: u8, event: Event) -> Option<Event> {
        let (server, etcd) = (Endpoint::ApiServer(server), Endpoint::Etcd(member));
        let silent = self.network.is_cut(server, etcd)
            || self.network.is_cut(etcd, server)
            || self.is_hanging(Process::Etcd(member));
        if !silent {
            return None;
        }
        self.held.retain(|(from, to, _)| (*from, *to) != (server, etcd) && (*from, *to) != (etcd, server));
        Some(event)
    }

    /// A link between members of etcd has changed: their heartbeats rest no longer.
    fn disturb_etcd(&mut self, from: Endpoint, to: Endpoint) {
        if let (Endpoint::ApiServer(server), Endpoint::Etcd(member))
        | (Endpoint::Etcd(member), Endpoint::ApiServer(server)) = (from, to)
        {
            let event = Event::ApiServer(server, ApiServerEvent::Silent(member));
            self.push(self.now + KEEPALIVE, Endpoint::Outside, Queued::anybody(event, RecordId(0)));
        }
        if matches!((from, to), (Endpoint::Etcd(_), Endpoint::Etcd(_))) {
            (0..self.etcd.len() as u8).for_each(|member| self.etcd_event(member, EtcdEvent::Disturbed));
        }
    }
}
