//! Processes that hang: they are there, keep their memory and their connections, and do nothing (SIGSTOP, a machine that swaps, a virtual
//! machine that is moved).
//!
//! What is meant for a hanging process waits, its timers included, and all of it is handled at once when it goes on. Others notice only by
//! its silence: leases run out, requests to it are not answered, connections are closed by who checks them.
//!
//! Left out: the liveness probe by which the kubelet would end a hanging static pod after about two minutes; watches that the API
//! server ends because their client reads nothing.

use std::collections::BTreeMap;

use super::World;
use crate::apiserver::ApiServerEvent;
use crate::apiserver::etcd_client::KEEPALIVE;
use crate::etcd::EtcdEvent;
use crate::event::{Event, Queued};
use crate::kernel::Endpoint;
use crate::kernel::out::RecordId;
use crate::process::Process;

/// The processes that hang.
pub(super) type Hanging = BTreeMap<Process, Hung>;

/// A process that hangs.
#[derive(Clone, Debug, Default)]
pub(super) struct Hung {
    /// What was meant for it since, in order.
    held: Vec<Queued>,
    /// It was told to stop meanwhile.
    told_to_stop: bool,
}

impl World {
    /// SIGSTOP: from now on a process handles nothing. False if it does not run, or hangs already.
    pub fn hang(&mut self, process: Process) -> bool {
        if !self.is_running(process) || self.is_hanging(process) {
            return false;
        }
        self.hanging.insert(process, Hung::default());
        if let Process::ApiServer(server) = process {
            self.all_listen_for(server);
        }
        if let Process::Etcd(member) = process {
            self.disturb_members();
            for server in 0..self.apiservers.len() as u8 {
                let event = Event::ApiServer(server, ApiServerEvent::Silent(member));
                self.push(self.now + KEEPALIVE, Endpoint::Outside, Queued::anybody(event, RecordId(0)));
            }
        }
        true
    }

    /// SIGCONT: the process goes on, and handles at once what has come in the meantime. False if it does not hang.
    pub fn resume(&mut self, process: Process) -> bool {
        let Some(hung) = self.hanging.remove(&process) else { return false };
        match process {
            Process::Etcd(_) => self.disturb_members(),
            Process::ApiServer(server) => self.balancer.hangs(server, None),
            _ => {}
        }
        hung.held.into_iter().for_each(|queued| self.handle(queued));
        if hung.told_to_stop {
            self.terminate(process);
        }
        true
    }

    /// Whether a process hangs.
    pub fn is_hanging(&self, process: Process) -> bool {
        !self.hanging.is_empty() && self.hanging.contains_key(&process)
    }

    /// Keeps an event for a process that hangs; otherwise the answer is the event.
    pub(super) fn hold_up(&mut self, event: Event, cause: RecordId, life: u32) -> Option<Event> {
        if self.hanging.is_empty() {
            return Some(event);
        }
        // Containers and what starts them go on without their kubelet.
        let goes_on = matches!(&event, Event::Kubelet(_, event) if event.of_the_runtime());
        match Process::at(event.receiver()).and_then(|process| self.hanging.get_mut(&process)) {
            Some(hung) if !goes_on => {
                hung.held.push(Queued { event, cause, life });
                None
            }
            _ => Some(event),
        }
    }

    /// A process that hangs is told to stop: it will hear of it when it goes on. False if it does not hang.
    pub(super) fn stop_later(&mut self, process: Process) -> bool {
        match self.hanging.get_mut(&process) {
            Some(hung) => hung.told_to_stop = true,
            None => return false,
        }
        true
    }

    /// A process is killed while it hangs: what has waited for it finds nobody.
    pub(super) fn forget_hanging(&mut self, process: Process) -> Vec<Queued> {
        self.hanging.remove(&process).map(|hung| hung.held).unwrap_or_default()
    }

    /// What waits for a process that hangs.
    pub(super) fn held_up(&self, process: Process) -> impl Iterator<Item = &Event> {
        self.hanging.get(&process).into_iter().flat_map(|hung| &hung.held).map(|queued| &queued.event)
    }

    /// Whether a member of etcd hangs.
    pub(super) fn some_member_hangs(&self) -> bool {
        self.hanging.keys().any(|process| matches!(process, Process::Etcd(_)))
    }

    /// Heartbeats between members of etcd rest no longer.
    fn disturb_members(&mut self) {
        (0..self.etcd.len() as u8).for_each(|member| self.etcd_event(member, EtcdEvent::Disturbed));
    }
}
