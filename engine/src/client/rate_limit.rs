//! Token buckets: so much at once, so much a second; and the limiter of a work queue.
//!
//! The state is one number, the moment at which the bucket would be full again, in units fine enough that nothing is
//! rounded: time multiplied by the rate. A call never waits for another's event; it is told how long to wait.
//!
//! Models: the Limiter of Go's x/time/rate, kubernetes v1.36.2
//! staging/src/k8s.io/client-go/util/flowcontrol/throttle.go, client-go/util/workqueue/default_rate_limiters.go,
//! client-go/tools/record/events_cache.go (EventSourceObjectSpamFilter).
//! Left out: Go's rounding to 64-bit floats, below one nanosecond per call.

use super::backoff::ItemBackoff;
use crate::kernel::{Duration, Instant};

/// Requests a second, and at once, that a client of client-go makes if nothing else is set.
pub const CLIENT_DEFAULT: (u32, u32) = (5, 10);
/// Requests a second, and at once, of kube-controller-manager's clients.
pub const CONTROLLER_MANAGER: (u32, u32) = (20, 30);
/// Requests a second, and at once, of a kubelet.
pub const KUBELET: (u32, u32) = (50, 100);

/// A bucket of tokens that fills at a steady rate; full at the start.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TokenBucket {
    /// Tokens per `period`.
    rate: u32,
    /// [ns]
    period: u64,
    /// Tokens in a full bucket.
    burst: u32,
    /// When the bucket will be full again. [ns · rate]
    full_at: u128,
}

impl TokenBucket {
    /// `rate` tokens per `period`, `burst` at most at hand. A rate of 0 is no limit, what client-go says with a
    /// negative one.
    pub fn new(rate: u32, period: Duration, burst: u32) -> Self {
        TokenBucket { rate, period: period.as_nanos(), burst, full_at: 0 }
    }

    /// `qps` tokens a second.
    pub fn per_second(qps: u32, burst: u32) -> Self {
        TokenBucket::new(qps, Duration::from_secs(1), burst)
    }

    /// The event recorder's, for the events of one source about one object: 25 at once, then one in five minutes.
    pub fn event_spam() -> Self {
        TokenBucket::new(1, Duration::from_secs(300), 25)
    }

    /// Takes a token, if need be one that is still to come: how long to wait for it. Those who ask are served in the
    /// order in which they ask.
    pub fn reserve(&mut self, now: Instant) -> Duration {
        if self.rate == 0 {
            return Duration::ZERO;
        }
        let now = self.scaled(now);
        self.full_at = self.full_at.max(now) + u128::from(self.period);
        let short = (self.full_at - now).saturating_sub(self.capacity());
        Duration::from_nanos(u64::try_from(short.div_ceil(u128::from(self.rate))).unwrap_or(u64::MAX))
    }

    /// Takes a token if there is one.
    pub fn try_take(&mut self, now: Instant) -> bool {
        if self.rate == 0 {
            return true;
        }
        let full_at = self.full_at.max(self.scaled(now)) + u128::from(self.period);
        let there = full_at - self.scaled(now) <= self.capacity();
        if there {
            self.full_at = full_at;
        }
        there
    }

    fn scaled(&self, now: Instant) -> u128 {
        u128::from(now.as_nanos()) * u128::from(self.rate)
    }

    /// How long a full bucket takes to fill. [ns · rate]
    fn capacity(&self) -> u128 {
        u128::from(self.burst) * u128::from(self.period)
    }
}

/// When a failed item of a work queue comes back: the later of what its own failures and what the whole queue allow.
/// Kubernetes: DefaultTypedControllerRateLimiter.
#[derive(Clone, Debug)]
pub struct QueueLimiter<K> {
    items: ItemBackoff<K>,
    /// Shared by all items; none in queues that only look at the item.
    queue: Option<TokenBucket>,
}

impl<K: Ord> QueueLimiter<K> {
    /// The default: 5 ms doubling to 1000 s by item, 10 a second and 100 at once by queue.
    pub fn controller_default() -> Self {
        Self::with_longest_wait(Duration::from_secs(1000))
    }

    /// The default, but for the longest wait of an item.
    pub fn with_longest_wait(longest: Duration) -> Self {
        let items = ItemBackoff::new(Duration::from_millis(5), longest);
        QueueLimiter { items, queue: Some(TokenBucket::per_second(10, 100)) }
    }

    /// Only by item, as the Job controller has it with 1 s to 60 s.
    pub fn by_item(base: Duration, longest: Duration) -> Self {
        QueueLimiter { items: ItemBackoff::new(base, longest), queue: None }
    }

    /// The item failed: how long until it is added again. Both limits are charged, whichever decides.
    pub fn failed(&mut self, item: K, now: Instant) -> Duration {
        let by_queue = self.queue.as_mut().map_or(Duration::ZERO, |queue| queue.reserve(now));
        self.items.failed(item).max(by_queue)
    }

    /// The item succeeded, or is given up.
    pub fn forget(&mut self, item: &K) {
        self.items.forget(item);
    }

    /// Failures in a row; Kubernetes: NumRequeues.
    pub fn failures(&self, item: &K) -> u32 {
        self.items.failures(item)
    }
}

#[cfg(test)]
mod tests {
    //! Bursts, steady rates, and the two limits together.
    use super::*;

    fn at_ms(ms: u64) -> Instant {
        Instant::START + Duration::from_millis(ms)
    }

    #[test]
    fn after_the_burst_calls_are_spaced_evenly() {
        let mut bucket = TokenBucket::per_second(20, 30);
        let waits: Vec<u64> = (0..33).map(|_| bucket.reserve(at_ms(7)).as_nanos() / 1_000_000).collect();
        assert!(waits[..30].iter().all(|wait| *wait == 0));
        assert_eq!(waits[30..], [50, 100, 150]);
        // Three tokens are owed at 7 ms; 200 ms later one is left.
        assert_eq!(bucket.reserve(at_ms(207)), Duration::ZERO);
        assert_eq!(bucket.reserve(at_ms(207)), Duration::from_millis(50));
        // A long rest fills it to the burst and no further.
        let free = (0..40).filter(|_| bucket.reserve(at_ms(60_000)) == Duration::ZERO).count();
        assert_eq!(free, 30);
    }

    #[test]
    fn odd_rates_do_not_drift() {
        let mut bucket = TokenBucket::per_second(3, 1);
        let last = (0..3_000_001).map(|_| bucket.reserve(Instant::START)).last();
        assert_eq!(last, Some(Duration::from_secs(1_000_000)));
    }

    #[test]
    fn a_refused_call_costs_nothing() {
        let mut bucket = TokenBucket::event_spam();
        assert_eq!((0..1000).filter(|_| bucket.try_take(at_ms(0))).count(), 25);
        assert!(!bucket.try_take(at_ms(299_999)));
        assert!(bucket.try_take(at_ms(300_000)) && !bucket.try_take(at_ms(300_000)));
    }

    #[test]
    fn without_a_rate_there_is_no_limit_and_without_a_burst_nothing_passes() {
        assert_eq!(TokenBucket::per_second(0, 0).reserve(at_ms(0)), Duration::ZERO);
        assert!(!TokenBucket::per_second(1, 0).try_take(at_ms(5_000)));
        let mut bucket = TokenBucket::new(u32::MAX, Duration::from_nanos(u64::MAX), u32::MAX);
        assert_eq!(bucket.reserve(Instant::NEVER), Duration::ZERO);
    }

    #[test]
    fn a_queue_waits_for_the_later_of_its_two_limits() {
        let mut limiter = QueueLimiter::controller_default();
        let first: Vec<Duration> = (0..102).map(|item| limiter.failed(item, at_ms(0))).collect();
        assert!(first[..100].iter().all(|wait| *wait == Duration::from_millis(5)));
        assert_eq!(first[100..], [Duration::from_millis(100), Duration::from_millis(200)]);
        let mut limiter = QueueLimiter::controller_default();
        let waits: Vec<u64> = (0..4).map(|_| limiter.failed(1, at_ms(0)).as_nanos() / 1_000_000).collect();
        assert_eq!((waits, limiter.failures(&1)), (vec![5, 10, 20, 40], 4));
        limiter.forget(&1);
        assert_eq!(limiter.failed(1, at_ms(0)), Duration::from_millis(5));
    }
}
