//! What can go wrong with links and disks, and the trace's book of what is wrong at present.
//!
//! A fault changes how long things take, or whether they arrive; it decides nothing itself. Processes that end are
//! another matter: they are in `processes`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::World;
use crate::apiserver::ApiServerEvent;
use crate::apiserver::etcd_client::KEEPALIVE;
use crate::client::Agent;
use crate::etcd::EtcdEvent;
use crate::event::{Event, Queued};
use crate::kernel::out::RecordId;
use crate::kernel::{Duration, Endpoint, Trouble};
use crate::process::Process;
use crate::trace::{Note, What};

/// Faults in force, with the records of their beginnings.
pub(super) type Faults = BTreeMap<Arc<str>, RecordId>;

impl World {
    /// Notes that a fault begins; the name is for people: "etcd-0: slow disk".
    pub fn fault_began(&mut self, name: &str) {
        if self.faults.contains_key(name) {
            return;
        }
        let name: Arc<str> = name.into();
        let note = Note::new(Agent::Script, What::FaultBegan { fault: name.clone() });
        let record = self.trace.record(self.now, RecordId(0), note);
        self.faults.insert(name, record);
    }

    /// Notes that it is over; nothing, if it never began.
    pub fn fault_ended(&mut self, name: &str) {
        if let Some((fault, began)) = self.faults.remove_entry(name) {
            self.trace.record(self.now, began, Note::new(Agent::Script, What::FaultEnded { fault }));
        }
    }

    /// The names of the faults in force, in order.
    pub fn faults(&self) -> impl Iterator<Item = &str> {
        self.faults.keys().map(|name| &**name)
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
