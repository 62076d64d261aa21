//! Watches that are late or break: what goes wrong between the watch cache and an informer.
//!
//! A delayed watch is a client that reads its connection slowly, or a server that is slow to send: what it sees is true, but old. A
//! dropped one ends, silently to everybody else: with the connection, after which the client goes on from the version it had, or
//! with `410 Expired`, after which it lists anew (client-go's reflector does both, after its back-off).
//!
//! Models: kubernetes v1.36.2 staging/src/k8s.io/client-go/tools/cache/reflector.go (watch, isExpiredError),
//! staging/src/k8s.io/apiserver/pkg/storage/cacher (errors of type `Expired`).

use std::collections::BTreeMap;

use super::World;
use crate::apiserver::request::Delivery;
use crate::apiserver::status::Status;
use crate::event::{Event, Queued};
use crate::faults::{DropWhen, Fault};
use crate::kernel::out::RecordId;
use crate::kernel::{Duration, Endpoint, Instant, hash_bytes};

/// Clients whose watches are disturbed.
#[derive(Clone, Debug, Default)]
pub(super) struct Watches {
    disturbed: BTreeMap<Endpoint, Disturbed>,
    /// Deliveries looked at so far: the address of their luck.
    delivered: BTreeMap<Endpoint, u64>,
    /// When a client's watches break next: a timer of another instant is none any more.
    ticking: BTreeMap<Endpoint, Instant>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Disturbed {
    delay: Duration,
    /// Probability with which a delivery breaks its watch.
    share: f64,
    expired: bool,
    every: Option<Duration>,
}

/// What becomes of a delivery.
enum Fate {
    Late(Duration),
    Breaks { expired: bool },
}

impl Watches {
    /// Takes over what the faults in force say of a client; the answer is after which time its watches are to break, if no timer runs.
    pub fn settle(&mut self, client: Endpoint, parts: &[Fault], now: Instant) -> Option<Duration> {
        let mut all = Disturbed::default();
        for part in parts {
            match *part {
                Fault::WatchDelay { client: other, by } if other == client => all.delay += by,
                Fault::WatchDrop { client: other, when, expired } if other == client => {
                    all.expired |= expired;
                    match when {
                        DropWhen::Every(every) => all.every = Some(all.every.map_or(every, |known| known.min(every))),
                        DropWhen::Share(share) => all.share = 1.0 - (1.0 - all.share) * (1.0 - share),
                    }
                }
                _ => {}
            }
        }
        if all.every.is_none() && all.share == 0.0 && all.delay == Duration::ZERO {
            self.disturbed.remove(&client);
            self.ticking.remove(&client);
            return None;
        }
        self.disturbed.insert(client, all);
        let Some(every) = all.every else {
            self.ticking.remove(&client);
            return None;
        };
        let due = now + every;
        let runs = self.ticking.get(&client).is_some_and(|known| *known <= due);
        if !runs {
            self.ticking.insert(client, due);
        }
        (!runs).then_some(every)
    }
}

impl World {
    /// What becomes of a message to a client whose watches are disturbed: `None` if it is not sent.
    pub(super) fn disturb_watch(
        &mut self,
        from: Endpoint,
        to: Endpoint,
        delay: Duration,
        event: Event,
        cause: RecordId,
    ) -> Option<(Duration, Event)> {
        if self.faults.watches.disturbed.is_empty() {
            return Some((delay, event));
        }
        let (Some(disturbed), Some(number)) = (self.faults.watches.disturbed.get(&to).copied(), event.watch_number())
        else {
            return Some((delay, event));
        };
        let counter = self.faults.watches.delivered.entry(to).or_default();
        *counter += 1;
        let mut luck = self.setup.seed.luck(WATCH, DROP, to.address(), *counter);
        let breaks = disturbed.share > 0.0 && luck.unit() < disturbed.share;
        let fate =
            if breaks { Fate::Breaks { expired: disturbed.expired } } else { Fate::Late(delay + disturbed.delay) };
        match fate {
            Fate::Late(delay) => Some((delay, event)),
            Fate::Breaks { expired } => {
                self.break_watch(from, to, number, expired, cause);
                None
            }
        }
    }

    /// The time has come at which all watches of a client break.
    pub(super) fn drop_watches(&mut self, client: Endpoint, cause: RecordId) {
        if self.faults.watches.ticking.get(&client) != Some(&self.now) {
            return;
        }
        let cause = self.faults.records().copied().max().unwrap_or(cause);
        let disturbed = self.faults.watches.disturbed.get(&client).copied();
        let Some((disturbed, every)) = disturbed.and_then(|disturbed| Some((disturbed, disturbed.every?))) else {
            self.faults.watches.ticking.remove(&client);
            return;
        };
        for server in 0..self.apiservers.len() as u8 {
            let watchers = match self.apiservers.get(usize::from(server)) {
                Some(server) => server.cache().watchers(),
                None => Vec::new(),
            };
            for (_, number) in watchers.into_iter().filter(|(from, _)| *from == client) {
                self.break_watch(Endpoint::ApiServer(server), client, number, disturbed.expired, cause);
            }
        }
        self.faults.watches.ticking.insert(client, self.now + every);
        self.push(self.now + every, Endpoint::Outside, Queued::anybody(Event::DropWatches(client), cause));
    }

    fn break_watch(&mut self, server: Endpoint, client: Endpoint, number: u64, expired: bool, cause: RecordId) {
        if self.network.is_cut(server, client) {
            // Nothing gets through anyway; whoever closes the connection after its silence ends the watch.
            return;
        }
        if let Endpoint::ApiServer(place) = server
            && let Some(server) = self.apiservers.get_mut(usize::from(place))
        {
            server.unwatch(client, number);
        }
        let status = expired.then(|| {
            let message = "too old resource version".into();
            Box::new(Status { code: 410, reason: "Expired".into(), message, details: None })
        });
        let event = Event::delivery(client, Delivery::WatchEnded { number, status });
        let life = self.processes.life(client);
        self.transmit(server, client, Duration::ZERO, Queued { event, cause, life });
    }
}

/// The address of the luck of watches that break.
const WATCH: u64 = hash_bytes(b"watch");
const DROP: u64 = hash_bytes(b"drop");
