//! Links between named endpoints: latency, order, and the possibility to cut them.
//!
//! A link is directed. Messages of one link arrive in the order they were sent (a TCP connection). Nothing that is sent while a link is
//! cut arrives; what is already under way does. Which latency a link has is the setup's business.

use std::collections::{BTreeMap, BTreeSet};

use super::time::{Duration, Instant};

/// A place in the cluster's network that can send and receive.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub enum Endpoint {
    /// A person's shell or a test, outside the cluster.
    Outside,
    /// An etcd member.
    Etcd(u8),
    /// The API server.
    ApiServer,
    /// The kube-controller-manager process.
    ControllerManager,
    /// The kube-scheduler process.
    Scheduler,
    /// The kubelet of the n-th node.
    Kubelet(u32),
}

impl Endpoint {
    /// A number that tells endpoints apart: the kind in the upper byte of 32 bits, the index below.
    pub fn address(self) -> u64 {
        let (kind, index) = match self {
            Endpoint::Outside => (0, 0),
            Endpoint::Etcd(member) => (1, u64::from(member)),
            Endpoint::ApiServer => (2, 0),
            Endpoint::ControllerManager => (3, 0),
            Endpoint::Scheduler => (4, 0),
            Endpoint::Kubelet(node) => (5, u64::from(node)),
        };
        kind << 24 | index
    }
}

/// The state of all links.
#[derive(Clone, Debug, Default)]
pub struct Network {
    links: BTreeMap<(Endpoint, Endpoint), Link>,
    cut: BTreeSet<(Endpoint, Endpoint)>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Link {
    last_arrival: Instant,
    sent: u64,
}

impl Network {
    /// When a message sent now arrives, or `None` if the link is cut.
    pub fn arrival(&mut self, from: Endpoint, to: Endpoint, now: Instant, latency: Duration) -> Option<Instant> {
        if !self.cut.is_empty() && self.cut.contains(&(from, to)) {
            return None;
        }
        let link = self.links.entry((from, to)).or_default();
        link.last_arrival = (now + latency).max(link.last_arrival);
        Some(link.last_arrival)
    }

    /// Counts a message of the link and returns its number, the address of its luck.
    pub fn sent(&mut self, from: Endpoint, to: Endpoint) -> u64 {
        let link = self.links.entry((from, to)).or_default();
        link.sent += 1;
        link.sent
    }

    /// Cuts the link from `from` to `to`; the way back stays.
    pub fn cut(&mut self, from: Endpoint, to: Endpoint) {
        self.cut.insert((from, to));
    }

    /// Mends the link.
    pub fn mend(&mut self, from: Endpoint, to: Endpoint) {
        self.cut.remove(&(from, to));
    }

    /// Whether no link between members of etcd is cut.
    pub fn between_etcd_whole(&self) -> bool {
        let within = |link: &(Endpoint, Endpoint)| matches!(link, (Endpoint::Etcd(_), Endpoint::Etcd(_)));
        self.cut.is_empty() || !self.cut.iter().any(within)
    }

    /// Whether the link is cut.
    pub fn is_cut(&self, from: Endpoint, to: Endpoint) -> bool {
        self.cut.contains(&(from, to))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_keeps_order_and_can_be_cut_one_way() {
        let mut network = Network::default();
        let (a, b) = (Endpoint::ApiServer, Endpoint::Kubelet(3));
        let first = network.arrival(a, b, Instant::START, Duration::from_millis(9));
        let second = network.arrival(a, b, Instant::from_nanos(1), Duration::from_millis(1));
        assert!(second >= first);
        network.cut(a, b);
        assert_eq!(network.arrival(a, b, Instant::START, Duration::ZERO), None);
        assert!(network.arrival(b, a, Instant::START, Duration::ZERO).is_some());
        network.mend(a, b);
        assert!(network.arrival(a, b, Instant::START, Duration::ZERO).is_some());
    }
}
