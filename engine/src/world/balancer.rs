//! The load balancer before several API servers.
//!
//! A client has one connection (HTTP/2), which stays where it is until it breaks; with a crash break the connections to that server alone,
//! and nobody comes back when it is there again. A new connection goes to the next server in turn. The balancer tries another one if a server
//! refuses, and leaves out servers whose health check has failed: one that hangs is noticed late, one that is back is trusted late.
//!
//! A connection over which nothing comes is closed by its client after 45 s; what was on it is lost, and asked again by who still wants it.
//!
//! Models: kubernetes v1.36.2 staging/src/k8s.io/apimachinery/pkg/util/net/http.go (readIdleTimeoutSeconds 30, pingTimeoutSeconds 15); the
//! HAProxy configuration in kubeadm's documentation of high availability (`inter 10s downinter 5s rise 2 fall 2`, `roundrobin`).
//! Left out: connections that clients open beside the first, the balancer's own time and failures; with a single API server, which
//! has no balancer, the 45 s.

use std::collections::{BTreeMap, BTreeSet};

use super::World;
use crate::apiserver::ApiServerEvent;
use crate::apiserver::request::{Delivery, Reply};
use crate::apiserver::status::Status;
use crate::client::Agent;
use crate::event::{Event, Queued};
use crate::kernel::out::RecordId;
use crate::kernel::{Duration, Endpoint, Instant};
use crate::process::Process;

/// How long a client bears silence.
const SILENCE: Duration = Duration::from_secs(45);
/// From a server's ceasing to answer to its being left out: `fall 2`, `inter 10s`.
const FALL: Duration = Duration::from_secs(20);
/// From a server's being back to its being used again: `rise 2`, `downinter 5s`.
const RISE: Duration = Duration::from_secs(10);

/// Who has a connection.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Client {
    Process(Endpoint),
    /// A program outside the cluster: each command of a person connects anew.
    Outside(Agent),
}

impl Client {
    fn endpoint(self) -> Endpoint {
        match self {
            Client::Process(endpoint) => endpoint,
            Client::Outside(_) => Endpoint::Outside,
        }
    }
}

/// The connections, and what the health checks know.
#[derive(Clone, Debug, Default)]
pub(super) struct Balancer {
    connections: BTreeMap<Client, u8>,
    /// Where the next connection goes.
    next: u8,
    /// Since when servers are back, or hang.
    back: BTreeMap<u8, Instant>,
    silent: BTreeMap<u8, Instant>,
}

impl Balancer {
    /// A server is gone, with all connections to it.
    pub fn crashed(&mut self, server: u8) {
        self.connections.retain(|_, with| *with != server);
        self.silent.remove(&server);
    }

    /// A server has started.
    pub fn started(&mut self, server: u8, now: Instant) {
        self.back.insert(server, now);
    }

    /// A server hangs from now on, or no longer.
    pub fn hangs(&mut self, server: u8, since: Option<Instant>) {
        match since {
            Some(since) => self.silent.insert(server, since),
            None => self.silent.remove(&server),
        };
    }

    /// A client's process is gone.
    pub fn gone(&mut self, client: Endpoint) {
        self.connections.remove(&Client::Process(client));
    }

    /// Whether the health check has nothing against a server.
    fn healthy(&self, server: u8, now: Instant) -> bool {
        let for_longer = |since: Option<&Instant>, time| since.is_some_and(|since| now.since(*since) >= time);
        !for_longer(self.silent.get(&server), FALL)
            && self.back.get(&server).is_none_or(|since| now.since(*since) >= RISE)
    }
}

impl World {
    /// How many clients are connected to each API server; with a single one nobody counts.
    pub fn connections(&self) -> Vec<usize> {
        let with = |server: u8| self.balancer.connections.values().filter(|with| **with == server).count();
        (0..self.apiservers.len() as u8).map(with).collect()
    }

    /// Which API server a request goes to.
    pub(super) fn route(&mut self, from: Endpoint, to: Endpoint, event: Event) -> (Endpoint, Event) {
        if self.apiservers.len() < 2 {
            return (to, event);
        }
        let Event::ApiServer(_, event) = event else { return (to, event) };
        let client = match &event {
            ApiServerEvent::Request(request) if from == Endpoint::Outside => Client::Outside(request.agent),
            ApiServerEvent::Request(_) => Client::Process(from),
            ApiServerEvent::Health { .. } => Client::Outside(Agent::Script),
            _ => return (to, Event::ApiServer(number(to), event)),
        };
        let server = match self.balancer.connections.get(&client) {
            Some(server) => *server,
            None => self.connect(client),
        };
        (Endpoint::ApiServer(server), Event::ApiServer(server, event))
    }

    fn connect(&mut self, client: Client) -> u8 {
        let servers = self.apiservers.len() as u8;
        let in_turn = (0..servers).map(|place| (self.balancer.next + place) % servers);
        let runs = |server: &u8| {
            let (server, client) = (Endpoint::ApiServer(*server), client.endpoint());
            self.processes.running(Process::ApiServer(number(server)))
                && !self.network.is_cut(client, server)
                && !self.network.is_cut(server, client)
        };
        let good = |server: &u8| runs(server) && self.balancer.healthy(*server, self.now);
        let found = in_turn.clone().find(good).or_else(|| in_turn.clone().find(runs));
        let server = found.unwrap_or(self.balancer.next);
        self.balancer.next = (server + 1) % servers;
        if found.is_some() {
            self.balancer.connections.insert(client, server);
        }
        if self.is_hanging(Process::ApiServer(server)) {
            self.listen_for(client.endpoint(), server);
        }
        server
    }

    /// A client hears nothing from a server from now on: it will have had enough of that.
    pub(super) fn listen_for(&mut self, client: Endpoint, server: u8) {
        if self.apiservers.len() > 1 {
            let event = Event::Silence { client, server };
            self.push(self.now + SILENCE, Endpoint::Outside, Queued::anybody(event, RecordId(0)));
        }
    }

    /// A server hangs: so do all connections to it.
    pub(super) fn all_listen_for(&mut self, server: u8) {
        self.balancer.hangs(server, Some(self.now));
        let with = self.balancer.connections.iter().filter(|(_, with)| **with == server);
        let mut clients: Vec<Endpoint> = with.map(|(client, _)| client.endpoint()).collect();
        clients.dedup();
        clients.into_iter().for_each(|client| self.listen_for(client, server));
    }

    /// A client closes a connection over which nothing has come, if that is still so.
    pub(super) fn silence(&mut self, client: Endpoint, server: u8) {
        let place = Endpoint::ApiServer(server);
        let hangs = self.is_hanging(Process::ApiServer(server));
        let dead = hangs || self.network.is_cut(client, place) || self.network.is_cut(place, client);
        let before = self.balancer.connections.len();
        if dead {
            self.balancer.connections.retain(|other, with| other.endpoint() != client || *with != server);
        }
        if self.balancer.connections.len() == before {
            return;
        }
        let Some(state) = self.apiservers.get(usize::from(server)) else { return };
        let mut lost = state.on_the_way(client);
        let held = std::mem::take(&mut self.held);
        for (from, to, queued) in held {
            if (from, to) != (client, place) && (from, to) != (place, client) {
                self.held.push((from, to, queued));
            } else {
                lost.extend(broken(&queued.event, client));
            }
        }
        lost.extend(self.held_up(Process::ApiServer(server)).filter_map(|event| broken(event, client)));
        let life = self.processes.life(client);
        let mut over = BTreeSet::new();
        for delivery in lost {
            // Each watch ends once, however much of it was on the way.
            if let Delivery::WatchEnded { number, .. } = delivery
                && !over.insert(number)
            {
                continue;
            }
            let event = Event::delivery(client, delivery);
            self.push(self.now, place, Queued { event, cause: RecordId(0), life });
        }
        let before = self.next_request(client);
        let event = Event::ApiServer(server, ApiServerEvent::Disconnected { client, before });
        self.transmit(client, place, Duration::ZERO, Queued::anybody(event, RecordId(0)));
    }

    /// A request that comes to a server that is gone goes to another one, if there is one: the balancer tries again.
    pub(super) fn redispatch(&mut self, event: Event, cause: RecordId) -> Option<Event> {
        let several = self.apiservers.len() > 1;
        let mut servers = 0..self.apiservers.len() as u8;
        let from = match &event {
            Event::ApiServer(_, ApiServerEvent::Request(request)) => request.from,
            Event::ApiServer(_, ApiServerEvent::Health { .. }) => Endpoint::Outside,
            _ => return Some(event),
        };
        if !several || !servers.any(|server| self.processes.running(Process::ApiServer(server))) {
            return Some(event);
        }
        let to = event.receiver();
        let (to, event) = self.route(from, to, event);
        if !Process::at(to).is_some_and(|process| self.processes.running(process)) {
            return Some(event);
        }
        let life = self.processes.life(to);
        self.transmit(from, to, Duration::ZERO, Queued { event, cause, life });
        None
    }
}

/// What a client hears of a message that was on its broken connection.
fn broken(event: &Event, client: Endpoint) -> Option<Delivery> {
    let number = match event {
        Event::ApiServer(_, ApiServerEvent::Request(request)) if request.from == client => request.number,
        Event::ApiServer(_, ApiServerEvent::Health { number, .. }) if client == Endpoint::Outside => *number,
        event => match event.delivered()? {
            Delivery::Reply(reply) => reply.number,
            // The server may know the watch no more: that it has ended was on the way.
            Delivery::Watch { number, .. } | Delivery::WatchEnded { number, .. } => {
                return Some(Delivery::WatchEnded { number: *number, status: None });
            }
        },
    };
    let reply = Reply { number, result: Err(Status::lost()), warnings: Vec::new() };
    Some(Delivery::Reply(Box::new(reply)))
}

fn number(server: Endpoint) -> u8 {
    if let Endpoint::ApiServer(number) = server { number } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_of_a_watch_was_on_a_broken_connection_the_watch_has_ended() {
        let client = Endpoint::Kubelet(3);
        let ended = |delivery: Delivery| match broken(&Event::delivery(client, delivery), client) {
            Some(Delivery::WatchEnded { number, status: None }) => Some(number),
            _ => None,
        };
        assert_eq!(ended(Delivery::WatchEnded { number: 7, status: Some(Box::new(Status::lost())) }), Some(7));
        assert_eq!(ended(Delivery::Watch { number: 8, events: Vec::new() }), Some(8));
        let reply = Reply { number: 9, result: Err(Status::lost()), warnings: Vec::new() };
        let heard = broken(&Event::delivery(client, Delivery::Reply(Box::new(reply))), client);
        assert!(matches!(heard, Some(Delivery::Reply(reply)) if reply.number == 9 && reply.result.is_err()));
    }
}
