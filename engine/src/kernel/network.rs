//! Links between named endpoints: latency, order, and the possibility to cut them.
//!
//! A link is directed. Messages of one link arrive in the order they were sent (a TCP connection). A cut link loses what is
//! sent while it is cut; what is already under way arrives. Which latency a link has is the setup's business.

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

/// The state of all links.
#[derive(Clone, Debug, Default)]
pub struct Network {
    last_arrival: BTreeMap<(Endpoint, Endpoint), Instant>,
    cut: BTreeSet<(Endpoint, Endpoint)>,
}

impl Network {
    /// When a message sent now arrives, or `None` if the link is cut.
    pub fn arrival(&mut self, from: Endpoint, to: Endpoint, now: Instant, latency: Duration) -> Option<Instant> {
        if !self.cut.is_empty() && self.cut.contains(&(from, to)) {
            return None;
        }
        let last = self.last_arrival.entry((from, to)).or_default();
        *last = (now + latency).max(*last);
        Some(*last)
    }

    /// Cuts the link from `from` to `to`; the way back stays.
    pub fn cut(&mut self, from: Endpoint, to: Endpoint) {
        self.cut.insert((from, to));
    }

    /// Mends the link.
    pub fn mend(&mut self, from: Endpoint, to: Endpoint) {
        self.cut.remove(&(from, to));
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
