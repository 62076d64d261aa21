//! Waiting longer after each failure, in the two forms client-go has.
//!
//! [`Backoff`] remembers when something last failed and forgets it after a quiet time; the kubelet uses it for image
//! pulls and for crashing containers. [`ItemBackoff`] counts failures until it is told to forget; it is the per-item
//! part of every work queue.
//!
//! Models: kubernetes v1.36.2 staging/src/k8s.io/client-go/util/flowcontrol/backoff.go, client-go/util/workqueue/
//! default_rate_limiters.go (ItemExponentialFailureRateLimiter), pkg/kubelet/kubelet.go and pkg/kubelet/kuberuntime/
//! kuberuntime_manager.go (doBackOff). Left out: jitter, which none of the users modelled here asks for.

use std::collections::BTreeMap;

use crate::kernel::{Duration, Instant};

/// First and longest wait of the kubelet after a failed image pull; Kubernetes: MaxImageBackOff, imageBackOffPeriod.
pub const IMAGE_PULL: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(300));
/// First and longest wait of the kubelet before it starts a crashed container again; Kubernetes: MaxCrashLoopBackOff,
/// initialCrashLoopBackOff.
pub const CRASH_LOOP: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(300));
/// How long a container must have run to start with a clean slate, whatever the longest wait.
pub const CRASH_LOOP_FORGOTTEN: Duration = Duration::from_secs(600);

/// Waits by key that double with each step.
#[derive(Clone, Debug)]
pub struct Backoff<K> {
    initial: Duration,
    longest: Duration,
    /// After this time without a step a key starts anew.
    forgotten: Duration,
    entries: BTreeMap<K, Entry>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    wait: Duration,
    last_step: Instant,
}

impl Entry {
    fn forgotten(&self, at: Instant, after: Duration) -> bool {
        at.since(self.last_step) > after
    }
}

impl<K: Ord> Backoff<K> {
    /// Waits from `initial` to `longest`, forgotten after twice the longest.
    pub fn new(initial: Duration, longest: Duration) -> Self {
        Backoff { initial, longest, forgotten: longest.times(2), entries: BTreeMap::new() }
    }

    /// The kubelet's for image pulls. Key: pod and image.
    pub fn image_pull() -> Self {
        Backoff::new(IMAGE_PULL.0, IMAGE_PULL.1)
    }

    /// The kubelet's for crashing containers; `longest` is `crashLoopBackOff.maxContainerRestartPeriod`. Key: pod,
    /// container, and what of its spec makes it another container.
    pub fn crash_loop(longest: Option<Duration>) -> Self {
        let longest = longest.unwrap_or(CRASH_LOOP.1);
        Backoff { forgotten: CRASH_LOOP_FORGOTTEN, ..Backoff::new(CRASH_LOOP.0.min(longest), longest) }
    }

    /// The wait in force, zero if there is none.
    pub fn get(&self, key: &K) -> Duration {
        self.entries.get(key).map_or(Duration::ZERO, |entry| entry.wait)
    }

    /// Takes a step at `now` because of a failure at `event`: the first wait, or twice the last one.
    pub fn step(&mut self, key: K, event: Instant, now: Instant) {
        let (initial, longest, forgotten) = (self.initial, self.longest, self.forgotten);
        let again = |entry: &mut Entry| {
            let doubled = entry.wait.times(2).min(longest);
            *entry = Entry { wait: if entry.forgotten(event, forgotten) { initial } else { doubled }, last_step: now };
        };
        self.entries.entry(key).and_modify(again).or_insert(Entry { wait: initial, last_step: now });
    }

    /// Whether at `now` the wait that counts from `event`, say from the end of a container, still lasts.
    pub fn waits_since(&self, key: &K, event: Instant, now: Instant) -> bool {
        self.live(key, event).is_some_and(|entry| now.since(event) < entry.wait)
    }

    /// Whether at `now` the wait that counts from the last step still lasts.
    pub fn waits_since_step(&self, key: &K, now: Instant) -> bool {
        self.live(key, now).is_some_and(|entry| now.since(entry.last_step) < entry.wait)
    }

    /// Asks whether the container that ended at `finished` must wait, and if not, takes the step for its start: the
    /// rest of the wait, or none and it starts now. Kubernetes: doBackOff.
    pub fn before_restart(&mut self, key: K, finished: Instant, now: Instant) -> Option<Duration> {
        if self.waits_since(&key, finished, now) {
            return Some((finished + self.get(&key)).since(now));
        }
        self.step(key, finished, now);
        None
    }

    /// Forgets a key.
    pub fn reset(&mut self, key: &K) {
        self.entries.remove(key);
    }

    /// Drops what would be forgotten anyway: all keys without a step for twice the longest wait.
    pub fn collect_garbage(&mut self, now: Instant) {
        let quiet = self.longest.times(2);
        self.entries.retain(|_, entry| !entry.forgotten(now, quiet));
    }

    fn live(&self, key: &K, event: Instant) -> Option<&Entry> {
        self.entries.get(key).filter(|entry| !entry.forgotten(event, self.forgotten))
    }
}

/// Waits by item that double with each failure in a row.
#[derive(Clone, Debug)]
pub struct ItemBackoff<K> {
    base: Duration,
    longest: Duration,
    failures: BTreeMap<K, u32>,
}

impl<K: Ord> ItemBackoff<K> {
    /// Waits of `base`, 2 · `base`, 4 · `base` …, at most `longest`.
    pub fn new(base: Duration, longest: Duration) -> Self {
        ItemBackoff { base, longest, failures: BTreeMap::new() }
    }

    /// Counts one more failure of the item: how long it waits.
    pub fn failed(&mut self, item: K) -> Duration {
        let failures = self.failures.entry(item).or_default();
        let factor = 1_u64.checked_shl(*failures).unwrap_or(u64::MAX);
        *failures = failures.saturating_add(1);
        self.base.times(factor).min(self.longest)
    }

    /// The item succeeded, or is given up.
    pub fn forget(&mut self, item: &K) {
        self.failures.remove(item);
    }

    /// Failures in a row.
    pub fn failures(&self, item: &K) -> u32 {
        self.failures.get(item).copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    //! Waits of the kubelet and of a work queue.
    use super::*;

    fn at(seconds: u64) -> Instant {
        Instant::START + Duration::from_secs(seconds)
    }

    #[test]
    fn a_crashing_container_waits_from_its_end_and_longer_each_time() {
        let mut backoff = Backoff::crash_loop(None);
        // Runs for one second each time; the first restart is at once.
        let (mut now, mut waits) = (1, Vec::new());
        for _ in 0..8 {
            let wait = backoff.before_restart("c", at(now), at(now)).map_or(0, |wait| wait.as_nanos() / 1_000_000_000);
            if wait > 0 {
                assert_eq!(backoff.before_restart("c", at(now), at(now + wait)), None);
            }
            waits.push(wait);
            now += wait + 1;
        }
        assert_eq!(waits, [0, 10, 20, 40, 80, 160, 300, 300]);
        assert_eq!(backoff.before_restart("c", at(now + 601), at(now + 601)), None);
        assert_eq!(backoff.get(&"c"), Duration::from_secs(10));
    }

    #[test]
    fn a_shorter_longest_wait_keeps_the_ten_minutes_of_memory() {
        let mut backoff = Backoff::crash_loop(Some(Duration::from_secs(1)));
        backoff.step("c", at(0), at(0));
        assert_eq!(backoff.get(&"c"), Duration::from_secs(1));
        assert!(backoff.waits_since(&"c", at(600), at(600)) && !backoff.waits_since(&"c", at(601), at(601)));
    }

    #[test]
    fn a_failed_pull_waits_from_its_failure() {
        let mut backoff = Backoff::image_pull();
        assert!(!backoff.waits_since_step(&"i", at(0)));
        backoff.step("i", at(0), at(0));
        assert!(backoff.waits_since_step(&"i", at(9)) && !backoff.waits_since_step(&"i", at(10)));
        backoff.collect_garbage(at(600));
        assert_eq!(backoff.get(&"i"), Duration::from_secs(10));
        backoff.collect_garbage(at(601));
        assert_eq!(backoff.get(&"i"), Duration::ZERO);
    }

    #[test]
    fn an_item_is_forgotten_only_when_told() {
        let mut backoff = ItemBackoff::new(Duration::from_millis(5), Duration::from_secs(1000));
        let waits: Vec<u64> = (0..100).map(|_| backoff.failed("k").as_nanos() / 1_000_000).collect();
        assert_eq!(waits[..3], [5, 10, 20]);
        assert_eq!((waits[17], waits[18], waits[99], backoff.failures(&"k")), (655_360, 1_000_000, 1_000_000, 100));
        backoff.forget(&"k");
        assert_eq!((backoff.failures(&"k"), backoff.failed("k")), (0, Duration::from_millis(5)));
    }
}
