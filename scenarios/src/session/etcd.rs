//! What operators of etcd do: etcdctl and etcdutl, the virtual machine they sit at, members that stop and start, metrics.

use wavetank_engine::client::Agent;
use wavetank_engine::etcd::{EtcdEvent, Gauges, Metrics};
use wavetank_engine::kernel::Duration;

use super::etcdctl::Etcdctl;
use super::faults::DOWN;
use super::machine::{self, Machine};
use super::process::{Program, Wake};
use super::{ProcessId, Session, unix};
use crate::etcdctl::{FileCall, Process, Tool};

/// How a member's process is ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// SIGTERM: a leader hands over first.
    Terminate,
    /// SIGKILL.
    Kill,
}

impl Session {
    /// Starts etcdctl or etcdutl; the arguments come without the program's name. Of `env` only `ETCDCTL_<FLAG>` counts.
    pub fn start_etcdctl(
        &mut self,
        tool: Tool,
        argv: Vec<String>,
        stdin: Option<String>,
        env: Vec<(String, String)>,
    ) -> ProcessId {
        let number = self.processes.len() as u32 + 1;
        let name = if tool == Tool::Etcdctl { "etcdctl" } else { "etcdutl" };
        let line = format!("{name} {}", argv.join(" "));
        let process = Process { env, ..Process::new(tool, argv, stdin, unix(self.world.now())) };
        self.launch(Program::Etcdctl(Box::new(Etcdctl::new(process))), &line, Agent::Etcdctl(number), START)
    }

    /// The files of the operators' machine.
    pub fn machine(&self) -> &Machine {
        &self.machine
    }

    /// The files of the operators' machine, to write to.
    pub fn machine_mut(&mut self) -> &mut Machine {
        &mut self.machine
    }

    /// Copies a file of the operators' machine; false if there is none.
    pub fn copy_file(&mut self, from: &str, to: &str) -> bool {
        self.machine.copy(from, to, &self.world)
    }

    /// The number of the member of etcd of that name: of those that had it, the last.
    pub fn etcd_named(&self, name: &str) -> Option<u8> {
        self.world.etcd().iter().rev().find(|member| &**member.name() == name).map(|member| member.number())
    }

    /// Tells a member's process to stop, or ends it.
    pub fn stop_etcd(&mut self, member: u8, signal: Signal) {
        let event = match signal {
            Signal::Terminate => EtcdEvent::Stopped,
            Signal::Kill => EtcdEvent::Killed,
        };
        self.world.etcd_event(member, event);
    }

    /// Starts the member whose data are in `dir`; the answer is its number, the error for the user.
    pub fn start_etcd(&mut self, dir: &str) -> Result<u8, String> {
        let number = self.machine.install(dir, &mut self.world)?;
        self.world.etcd_event(number, EtcdEvent::Started);
        self.world.fault_ended(&format!("etcd-{number}{DOWN}"));
        Ok(number)
    }

    /// Starts a member that was added to the cluster, on an empty data directory `NAME.etcd`; the answer is its number.
    /// – etcd --initial-cluster-state existing
    pub fn join_etcd(&mut self, name: &str, peer_url: &str) -> Result<u8, String> {
        let info = machine::awaited(peer_url, &self.world)
            .ok_or_else(|| format!("no member with the peer URL {peer_url} was added, or it has started already"))?;
        let client = machine::client_url(name, peer_url, &self.world.setup().formation);
        let number = self.world.add_etcd_member(name, &client);
        if number != info.number {
            return Err(format!("members start in the order in which they were added, so not yet `{name}`"));
        }
        self.machine.joined(name, number);
        self.world.etcd_event(number, EtcdEvent::Started);
        Ok(number)
    }

    /// The text of a member's `/metrics`, and what it is made of; none while its process does not run.
    pub fn etcd_metrics(&mut self, member: u8) -> Option<(String, Gauges, Metrics)> {
        self.world.etcd_metrics(member)
    }

    /// The member that listens at an address as a user writes it, or did before it died.
    pub fn etcd_listener(&self, address: &str) -> Option<u8> {
        machine::listener(address, &self.world)
    }

    pub(super) fn deliver_from_etcd(&mut self) {
        while let Some(mail) = self.world.receive_from_etcd() {
            if let Some(process) = self.requests.get(&mail.number).copied() {
                self.wake(process, Wake::EtcdMail(Box::new(mail)));
            }
        }
    }

    /// Puts snapshots that a process has received into their files.
    pub(super) fn keep_snapshots(&mut self, process: ProcessId) {
        if let Some(running) = self.processes.get_mut(&process)
            && let Program::Etcdctl(etcdctl) = &mut running.program
        {
            etcdctl.received.drain(..).for_each(|received| self.machine.receive(received));
        }
    }

    /// Does a process's work on a file; it goes on when the time for that has passed.
    pub(super) fn work_on_file(&mut self, process: ProcessId, call: &FileCall) {
        let (result, took) = self.machine.work(call, &mut self.world);
        let at = self.world.now() + took;
        if let Some(running) = self.processes.get_mut(&process)
            && let Program::Etcdctl(etcdctl) = &mut running.program
        {
            etcdctl.file_done(result);
            self.timers.insert((at, process, running.wake));
        }
    }
}

/// From a person's enter key to etcdctl's first request. – measured: `put` takes 14 to 25 ms in all
const START: Duration = Duration::from_millis(14);
