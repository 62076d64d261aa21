//! From a run's trace to its timeline.
//!
//! The lanes from top to bottom follow a change on its way through the cluster: kubectl, API server, etcd, the
//! controllers, the scheduler, a kubelet per node. Below them a bar per pod. Time zero is the script's.
//!
//! A cluster at rest is busy. What it does then would hide what a picture is for, so [`background`] stays out of the
//! lanes: leases (nodes' heartbeats, leader election), nodes' status reports, and the writing of Event objects, which
//! show as ticks of who speaks instead. Events that repeat what a lane shows anyway stay out too: the scheduler's
//! `Scheduled` and `FailedScheduling`, and the kubelets' normal ones about pods.
//!
//! Each lane has its own reader of records; all of them see all records once, in order.

mod apiserver;
mod clients;
mod controllers;
mod drawing;
mod etcd;
mod faults;
mod kubelets;
mod pods;
mod scheduler;
mod traffic;

use std::collections::BTreeMap;

use wavetank_engine::Setup;
use wavetank_engine::apiserver::request::{Subresource, Verb};
use wavetank_engine::client::Agent;
use wavetank_engine::kernel::Instant;
use wavetank_engine::objects::{Key, Kind};
use wavetank_engine::trace::{Record, What};

use self::apiserver::ApiServers;
use self::clients::Clients;
use self::controllers::Controllers;
use self::drawing::Window;
use self::etcd::Etcd;
use self::faults::Faults;
use self::kubelets::Kubelets;
use self::pods::Pods;
use self::scheduler::Schedulers;
use self::traffic::Users;
use crate::timeline::{Band, Mark, PodGroups, Timeline};

/// The timeline of what the records tell between `zero`, which becomes its zero, and `end`. What began before is cut
/// off there, if its beginning is among the records; what has not ended by `end` reaches up to it.
pub fn timeline(records: &[Record], setup: &Setup, title: &str, zero: Instant, end: Instant) -> Timeline {
    let window = Window { zero, end };
    let mut clients = Clients::new(window);
    let mut users = Users::new(window);
    let mut apiservers = ApiServers::new(window, setup);
    let mut etcd = Etcd::new(window, setup);
    let mut controllers = Controllers::new(window, setup);
    let mut schedulers = Schedulers::new(window, setup);
    let mut kubelets = Kubelets::new(window, setup);
    let mut pods = Pods::new(window);
    let mut faults = Faults::new(window, setup);
    let (mut told, several) = (Told::default(), setup.api_servers > 1);
    for record in records.iter().take_while(|record| record.at <= end).filter(|record| !several || told.is_new(record))
    {
        clients.take(record);
        users.take(record);
        apiservers.take(record);
        etcd.take(record);
        controllers.take(record);
        schedulers.take(record);
        kubelets.take(record);
        pods.take(record);
        faults.take(record);
    }
    let (client, marks) = clients.finish();
    let mut lanes = vec![client];
    lanes.extend(users.finish());
    lanes.extend(apiservers.finish());
    lanes.extend(etcd.finish());
    lanes.extend(controllers.finish());
    lanes.extend(schedulers.finish());
    lanes.extend(kubelets.finish());
    Timeline {
        title: title.to_owned(),
        subtitle: subtitle(setup),
        start: 0,
        end: end.since(zero).as_nanos(),
        lanes,
        pods: pods.finish(),
        pod_groups: PodGroups::Node,
        marks,
        bands: faults.finish(),
    }
}

/// What has been told of objects. Each of several API servers tells of every write; only the first to do so counts.
#[derive(Default)]
struct Told(BTreeMap<(Kind, Key), u64>);

impl Told {
    fn is_new(&mut self, record: &Record) -> bool {
        let (What::Committed { revision, .. }, Some(object)) = (&record.note.what, &record.note.object) else {
            return true;
        };
        match self.0.get_mut(object) {
            Some(known) if *known >= *revision => return false,
            Some(known) => *known = *revision,
            None => {
                self.0.insert(object.clone(), *revision);
            }
        }
        true
    }
}

/// What charts of any kind show of a run besides their own: the script's marks, and what was broken when.
pub fn marks_and_faults(records: &[Record], setup: &Setup, zero: Instant, end: Instant) -> (Vec<Mark>, Vec<Band>) {
    let window = Window { zero, end };
    let (mut clients, mut faults) = (Clients::new(window), Faults::new(window, setup));
    for record in records.iter().take_while(|record| record.at <= end) {
        clients.take(record);
        faults.take(record);
    }
    (clients.finish().1, faults.finish())
}

/// Whether a request belongs to what a cluster does all the time even if nobody wants anything of it.
pub fn background(from: Agent, verb: Verb, kind: Kind, subresource: Subresource) -> bool {
    match kind {
        Kind::Lease | Kind::Event => true,
        Kind::Node => matches!(from, Agent::Kubelet(_)) && (verb == Verb::Get || subresource == Subresource::Status),
        _ => false,
    }
}

/// What is needed to make the picture again.
pub fn subtitle(setup: &Setup) -> String {
    let (seed, profile, version) = (setup.seed.0, setup.profile.name, env!("CARGO_PKG_VERSION"));
    let nodes = setup.nodes.len();
    let plural = if nodes == 1 { "" } else { "s" };
    format!("seed {seed} · profile {profile} · {nodes} node{plural} · wavetank {version}")
}

#[cfg(test)]
mod tests;
