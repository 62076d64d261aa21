//! Links between named endpoints: latency, order, and the possibility to cut them.
//!
//! A link is directed. Messages of one link arrive in the order they were sent (a TCP connection). Nothing that is sent while a link is
//! cut arrives; what is already under way does. What a lossy link loses is sent again, as TCP does, so loss shows as delay. Which
//! latency a healthy link has is the setup's business.

use std::collections::{BTreeMap, BTreeSet};

use super::random::Luck;
use super::time::{Duration, Instant};

/// A place in the cluster's network that can send and receive.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub enum Endpoint {
    /// A person's shell or a test, outside the cluster.
    Outside,
    /// An etcd member.
    Etcd(u8),
    /// An API server.
    ApiServer(u8),
    /// A kube-controller-manager process.
    ControllerManager(u8),
    /// A scheduler process.
    Scheduler(u8),
    /// The kubelet of the n-th node.
    Kubelet(u32),
    /// The kube-proxy of the n-th node.
    Proxy(u32),
    /// The n-th process of the controllers of one's own.
    Custom(u8),
}

impl Endpoint {
    /// A number that tells endpoints apart: the kind in the upper byte of 32 bits, the index below.
    pub fn address(self) -> u64 {
        let (kind, index) = match self {
            Endpoint::Outside => (0, 0),
            Endpoint::Etcd(member) => (1, u64::from(member)),
            Endpoint::ApiServer(number) => (2, u64::from(number)),
            Endpoint::ControllerManager(number) => (3, u64::from(number)),
            Endpoint::Scheduler(number) => (4, u64::from(number)),
            Endpoint::Kubelet(node) => (5, u64::from(node)),
            Endpoint::Proxy(node) => (7, u64::from(node)),
            Endpoint::Custom(number) => (9, u64::from(number)),
        };
        kind << 24 | index
    }
}

/// The state of all links.
#[derive(Clone, Debug, Default)]
pub struct Network {
    links: BTreeMap<(Endpoint, Endpoint), Link>,
    cut: BTreeSet<(Endpoint, Endpoint)>,
    troubled: BTreeMap<(Endpoint, Endpoint), Trouble>,
}

/// What is wrong with a link that is not cut.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Trouble {
    /// The part of the packets that gets lost. [0..1]
    pub loss: f64,
    /// What every message takes longer.
    pub delay: Duration,
}

/// First wait for an acknowledgement before a packet is sent again; it doubles. – Linux: TCP_RTO_MIN, 200 ms.
const RETRANSMISSION: Duration = Duration::from_millis(200);
/// After this long without a word the ends of a connection give it up and make a new one, over which what was lost is sent again. –
/// net/http2: ReadIdleTimeout and PingTimeout, 30 s and 15 s; etcd's client: 30 s and 10 s.
const GIVEN_UP: Duration = Duration::from_secs(45);

impl Trouble {
    /// What a message takes longer. A message is one packet here.
    pub fn delay(&self, luck: &mut Luck) -> Duration {
        let (mut delay, mut wait) = (self.delay, RETRANSMISSION);
        let longest = self.delay + GIVEN_UP;
        while delay < longest && luck.unit() < self.loss {
            delay += wait;
            wait = wait.times(2);
        }
        delay.min(longest)
    }
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

    /// Makes a link lossy or slow; the default trouble is none.
    pub fn trouble(&mut self, from: Endpoint, to: Endpoint, trouble: Trouble) {
        match trouble == Trouble::default() {
            true => self.troubled.remove(&(from, to)),
            false => self.troubled.insert((from, to), trouble),
        };
    }

    /// What is wrong with a link.
    pub fn trouble_of(&self, from: Endpoint, to: Endpoint) -> Option<Trouble> {
        if self.troubled.is_empty() { None } else { self.troubled.get(&(from, to)).copied() }
    }

    /// Links that are cut, lossy or slow, in order.
    pub fn unhealthy(&self) -> BTreeSet<(Endpoint, Endpoint)> {
        self.cut.iter().chain(self.troubled.keys()).copied().collect()
    }

    /// Whether every link between members of etcd is healthy.
    pub fn between_etcd_whole(&self) -> bool {
        let within = |link: &(Endpoint, Endpoint)| matches!(link, (Endpoint::Etcd(_), Endpoint::Etcd(_)));
        !self.cut.iter().chain(self.troubled.keys()).any(within)
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
    fn what_is_lost_is_sent_again_later() {
        let seed = crate::kernel::Seed(3);
        let trouble = Trouble { loss: 0.5, delay: Duration::from_millis(10) };
        let mut delays: Vec<u64> =
            (0..1_000).map(|n| trouble.delay(&mut seed.luck(1, 2, 3, n)).as_nanos() / 1_000_000).collect();
        delays.sort_unstable();
        let share = |ms: u64| delays.iter().filter(|delay| **delay == ms).count();
        // Half get through at once, a quarter after 200 ms, an eighth after 200 + 400 ms.
        assert!((450..550).contains(&share(10)), "{}", share(10));
        assert!((200..300).contains(&share(210)), "{}", share(210));
        assert!((90..160).contains(&share(610)), "{}", share(610));
        let hopeless = Trouble { loss: 0.99, delay: Duration::ZERO };
        let longest = (0..100).map(|n| hopeless.delay(&mut seed.luck(1, 2, 4, n))).max();
        assert_eq!(longest, Some(GIVEN_UP));
    }

    #[test]
    fn a_link_keeps_order_and_can_be_cut_one_way() {
        let mut network = Network::default();
        let (a, b) = (Endpoint::ApiServer(0), Endpoint::Kubelet(3));
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
