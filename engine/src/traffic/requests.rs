//! A request's way: from a client by its node's rules to a pod, and back; and what becomes of it if it does not get through.

use std::cmp::Reverse;
use std::net::Ipv4Addr;
use std::sync::Arc;

use super::flow::Loss;
use super::node::Way;
use super::server::{Peer, Taken, Ticket, Work};
use super::{Ground, LUCK, Traffic, TrafficEvent};
use crate::event::{Effects, Event};
use crate::kernel::out::RecordId;
use crate::kernel::{Duration, Instant, Luck};
use crate::kubelet::node_of_address;

/// Where a request comes from.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Ways {
    /// Its flow.
    pub flow: u32,
    /// Its node, and which of the flow's that is.
    pub node: u32,
    pub which: u32,
    /// Its number in the flow, the address of its luck.
    pub number: u64,
}

/// A request whose fate is open, or not yet known to its client.
#[derive(Clone, Debug)]
pub(super) struct Request {
    ways: Ways,
    /// Tells uses of the same place apart.
    stamp: u32,
    /// Tries before this one.
    tries: u8,
    first: Instant,
    sent: Instant,
    takes: Duration,
    link: Duration,
    to: Option<Ipv4Addr>,
    /// Why it will be lost, and because of what; `None`: it will be served.
    loss: Option<(Loss, RecordId)>,
}

impl Request {
    pub fn new(ways: Ways, now: Instant) -> Self {
        let (takes, link) = (Duration::ZERO, Duration::ZERO);
        Request { ways, stamp: 0, tries: 0, first: now, sent: now, takes, link, to: None, loss: None }
    }
}

/// An exponential wait.
pub(super) fn exponential(mean: Duration, luck: &mut Luck) -> Duration {
    Duration::from_nanos((-libm::log(1.0 - luck.unit()) * mean.as_nanos() as f64) as u64)
}

impl Traffic {
    /// Gives a request a place.
    pub(super) fn enter(&mut self, mut request: Request) -> Ticket {
        match self.vacant.pop() {
            Some(place) => {
                let stamp = self.requests.get(place as usize).map_or(0, |old| old.stamp.wrapping_add(1));
                request.stamp = stamp;
                if let Some(slot) = self.requests.get_mut(place as usize) {
                    *slot = request;
                }
                (place, stamp)
            }
            None => {
                self.requests.push(request);
                (self.requests.len() as u32 - 1, 0)
            }
        }
    }

    fn request(&mut self, (place, stamp): Ticket) -> Option<&mut Request> {
        self.requests.get_mut(place as usize).filter(|request| request.stamp == stamp)
    }

    /// A request, or another try of it, leaves its client.
    pub(super) fn send(&mut self, ticket: Ticket, luck: &mut Luck, ground: &Ground<'_>, out: &mut Effects) {
        let Some(Request { ways, .. }) = self.request(ticket).cloned() else { return };
        let now = out.now();
        let Some(flow) = self.flows.get_mut(ways.flow as usize) else { return };
        let spec = flow.spec.clone();
        let takes = spec.service_time.sample(luck);
        let link = spec.link.sample(luck);
        let (written, reused, way);
        {
            let rules = self.nodes.entry(ways.node).or_default();
            written = rules.written;
            way = rules.pick(ways.flow, flow, ways.node, ground.setup, now, luck);
            let kept = kept(spec.keep_alive, ways).and_then(|place| flow.connections.get(place).copied()).flatten();
            reused = kept.filter(|peer| {
                // A program that ends closes its connections; a machine without power says nothing.
                let server = self.servers.get(&peer.address);
                server.is_some_and(|server| {
                    self.dark.contains_key(&server.node) || server.listening && server.container == Some(peer.container)
                })
            });
        }
        let lost = (spec.outside && self.dark.contains_key(&ways.node)).then_some(Way::Drop);
        let way = lost.unwrap_or(reused.map_or(way, |peer| Way::To(peer.address)));
        let Some(request) = self.request(ticket) else { return };
        (request.sent, request.takes, request.link) = (now, takes, link);
        request.to = if let Way::To(address) = way { Some(address) } else { None };
        let reason = self.dark.get(&ways.node).copied().unwrap_or(written);
        match way {
            Way::To(_) => out.after(link, Event::Traffic(TrafficEvent::Arrive(ticket.0, ticket.1))),
            Way::Reject => self.fail(ticket, now, (Loss::Refused, reason), out),
            Way::Drop => self.fail(ticket, now + spec.timeout, (Loss::TimedOut, reason), out),
        }
    }

    /// It arrives at its pod.
    pub(super) fn arrive(&mut self, ticket: Ticket, ground: &Ground<'_>, out: &mut Effects) {
        let now = out.now();
        let Some(Request { ways, sent, takes, link, to: Some(address), .. }) = self.request(ticket).cloned() else {
            return;
        };
        let Some(spec) = self.flows.get(ways.flow as usize).map(|flow| flow.spec.clone()) else { return };
        let deadline = sent + spec.timeout;
        let Some(server) = self.servers.get_mut(&address) else {
            // Nobody has told of the pod since requests are sent; its machine may be off.
            if let Some(record) = self.dark.get(&node_of_address(address)).copied() {
                return self.fail(ticket, deadline, (Loss::TimedOut, record), out);
            }
            return self.fail(ticket, now + link, (Loss::Refused, RecordId::default()), out);
        };
        if let Some(record) = self.dark.get(&server.node).copied() {
            return self.fail(ticket, deadline, (Loss::TimedOut, record), out);
        }
        if ways.node != server.node && (ground.cut)(ways.node, server.node) {
            return self.fail(ticket, deadline, (Loss::TimedOut, ground.fault), out);
        }
        let Some(container) = server.container.filter(|_| server.listening) else {
            let changed = server.changed;
            return self.fail(ticket, now + link, (Loss::Refused, changed), out);
        };
        let work = Work { ticket, takes, deadline, concurrency: spec.concurrency, queue: spec.queue };
        match server.take(work, now) {
            Taken::Until(done) if done + link <= deadline => {
                if let Some(place) = kept(spec.keep_alive, ways)
                    && let Some(flow) = self.flows.get_mut(ways.flow as usize)
                    && let Some(connection) = flow.connections.get_mut(place)
                {
                    *connection = Some(Peer { address, container });
                }
                self.fates.push(Reverse((done + link, ticket)));
            }
            Taken::Until(_) | Taken::TooLong => {
                self.fail(ticket, deadline, (Loss::TimedOut, RecordId::default()), out);
            }
            Taken::Full => self.fail(ticket, now + link, (Loss::Overloaded, RecordId::default()), out),
        }
    }

    /// A try of a request fails; its client knows it then, and tries again or gives up.
    fn fail(&mut self, ticket: Ticket, at: Instant, loss: (Loss, RecordId), out: &mut Effects) {
        let Some(request) = self.request(ticket) else { return };
        let (ways, tries) = (request.ways, request.tries);
        request.loss = Some(loss);
        let Some(flow) = self.flows.get_mut(ways.flow as usize) else { return };
        if let Some(place) = kept(flow.spec.keep_alive, ways)
            && let Some(connection) = flow.connections.get_mut(place)
        {
            *connection = None;
        }
        if tries < flow.spec.retries {
            return out.at(at, Event::Traffic(TrafficEvent::Again(ticket.0, ticket.1)));
        }
        self.fates.push(Reverse((at, ticket)));
    }

    /// The fate of a request that a pod had taken changes: another use of its place, for what was planned holds no longer.
    fn renew(&mut self, ticket: Ticket) -> Option<(Ticket, Instant, Duration)> {
        let timeout = {
            let flow = self.request(ticket)?.ways.flow;
            self.flows.get(flow as usize)?.spec.timeout
        };
        let request = self.request(ticket)?;
        if request.loss.is_some() {
            // Its client gives up, or has given up, in any case.
            return None;
        }
        request.stamp = request.stamp.wrapping_add(1);
        Some(((ticket.0, request.stamp), request.sent + timeout, request.link))
    }

    /// The container that worked on it has ended.
    pub(super) fn reset(&mut self, ticket: Ticket, record: RecordId, out: &mut Effects) {
        if let Some((ticket, deadline, link)) = self.renew(ticket) {
            self.fail(ticket, (out.now() + link).min(deadline), (Loss::Reset, record), out);
        }
    }

    /// Nobody will ever answer it.
    pub(super) fn fail_late(&mut self, ticket: Ticket, loss: (Loss, RecordId), out: &mut Effects) {
        if let Some((ticket, deadline, _)) = self.renew(ticket) {
            self.fail(ticket, deadline, loss, out);
        }
    }

    /// Its client tries again.
    pub(super) fn again(&mut self, ticket: Ticket, ground: &Ground<'_>, out: &mut Effects) {
        let now = out.now();
        let Some(request) = self.request(ticket) else { return };
        request.tries += 1;
        request.loss = None;
        // A pod may still work on the try before.
        request.stamp = request.stamp.wrapping_add(1);
        let ticket = (ticket.0, request.stamp);
        let (ways, tries) = (request.ways, request.tries);
        let Some(flow) = self.flows.get_mut(ways.flow as usize) else { return };
        flow.tally.retried += 1;
        flow.history.at(now).retried += 1;
        let mut luck = ground.setup.seed.luck(LUCK, flow.luck, tries.into(), ways.number);
        self.send(ticket, &mut luck, ground, out);
    }

    /// Counts everything that clients know by now; with `out`, losses are told to the trace.
    pub(super) fn settle(&mut self, now: Instant, mut out: Option<&mut Effects>) {
        let before = out.as_ref().map(|out| out.cause());
        while let Some(Reverse((at, ticket))) = self.fates.peek().copied().filter(|Reverse((at, _))| *at <= now) {
            self.fates.pop();
            let Some(Request { ways, first, to, loss, .. }) = self.request(ticket).cloned() else { continue };
            self.leave(ticket);
            let Some(flow) = self.flows.get_mut(ways.flow as usize) else { continue };
            let Some((why, reason)) = loss else {
                flow.served(at, at.since(first));
                continue;
            };
            flow.lost(at, why);
            if let Some(out) = &mut out {
                let servers = &self.servers;
                let place = || -> Arc<str> {
                    let server = to.and_then(|address| servers.get(&address));
                    server.map_or_else(|| "".into(), |server| server.key.to_string().into())
                };
                flow.note_loss(ways.flow, (why, reason), at, &place, out);
            }
        }
        if let (Some(out), Some(before)) = (out, before) {
            out.because(before);
        }
    }

    fn leave(&mut self, (place, _): Ticket) {
        if let Some(request) = self.requests.get_mut(place as usize) {
            // What still names it is outdated.
            request.stamp = request.stamp.wrapping_add(1);
            self.vacant.push(place);
        }
    }
}

/// The kept connection that a request uses, if its flow keeps any.
fn kept(keep_alive: u32, ways: Ways) -> Option<usize> {
    if keep_alive == 0 {
        return None;
    }
    Some((ways.which * keep_alive) as usize + (ways.number % u64::from(keep_alive)) as usize)
}
