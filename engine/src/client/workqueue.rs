//! The work queue: a key is in it once, is worked on by one worker at a time, and comes back if it was added meanwhile.
//!
//! Models: kubernetes v1.36.2 staging/src/k8s.io/client-go/util/workqueue/{queue,delaying_queue,rate_limiting_queue}.go. The delay itself is a
//! timer of the component that owns the queue.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::rate_limit::QueueLimiter;
use crate::kernel::out::RecordId;
use crate::kernel::{Duration, Instant};
use crate::objects::Key;

/// A work queue of keys, each with the record that put it there.
#[derive(Clone, Debug)]
pub struct WorkQueue<K = Key> {
    queue: VecDeque<K>,
    dirty: BTreeMap<K, RecordId>,
    processing: BTreeSet<K>,
    limiter: QueueLimiter<K>,
}

impl<K: Ord> Default for WorkQueue<K> {
    fn default() -> Self {
        WorkQueue {
            queue: VecDeque::new(),
            dirty: BTreeMap::new(),
            processing: BTreeSet::new(),
            limiter: QueueLimiter::controller_default(),
        }
    }
}

impl<K: Ord + Clone> WorkQueue<K> {
    /// A queue in which a key that fails waits for `longest` at most.
    pub fn with_longest_wait(longest: Duration) -> Self {
        WorkQueue { limiter: QueueLimiter::with_longest_wait(longest), ..WorkQueue::default() }
    }

    /// A queue in which a key that fails waits for `first`, twice as long each further time, and for `longest` at most.
    pub fn by_item(first: Duration, longest: Duration) -> Self {
        WorkQueue { limiter: QueueLimiter::by_item(first, longest), ..WorkQueue::default() }
    }

    /// Adds a key. A key that is waiting already keeps its place and its first cause.
    pub fn add(&mut self, key: K, cause: RecordId) {
        if self.dirty.contains_key(&key) {
            return;
        }
        self.dirty.insert(key.clone(), cause);
        if !self.processing.contains(&key) {
            self.queue.push_back(key);
        }
    }

    /// The next key to work on.
    pub fn get(&mut self) -> Option<(K, RecordId)> {
        let key = self.queue.pop_front()?;
        let cause = self.dirty.remove(&key).unwrap_or_default();
        self.processing.insert(key.clone());
        Some((key, cause))
    }

    /// A worker is done with a key.
    pub fn done(&mut self, key: &K) {
        self.processing.remove(key);
        if self.dirty.contains_key(key) {
            self.queue.push_back(key.clone());
        }
    }

    /// How long a failed key has to wait: the greater of its own exponential back-off and the queue's bucket.
    pub fn rate_limit(&mut self, key: &K, now: Instant) -> Duration {
        self.limiter.failed(key.clone(), now)
    }

    /// How often a key has failed in a row.
    pub fn failures(&self, key: &K) -> u32 {
        self.limiter.failures(key)
    }

    /// The key succeeded: its back-off starts anew.
    pub fn forget(&mut self, key: &K) {
        self.limiter.forget(key);
    }

    /// How many keys wait.
    pub fn len(&self) -> usize {
        self.queue.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_added_while_it_is_worked_on_comes_back_once() {
        let (mut queue, key) = (WorkQueue::default(), Key::new("default", "web"));
        queue.add(key.clone(), RecordId(1));
        queue.add(key.clone(), RecordId(2));
        assert_eq!(queue.get(), Some((key.clone(), RecordId(1))));
        queue.add(key.clone(), RecordId(3));
        queue.add(key.clone(), RecordId(4));
        assert_eq!(queue.get(), None);
        queue.done(&key);
        assert_eq!(queue.get(), Some((key.clone(), RecordId(3))));
        queue.done(&key);
        assert!(queue.is_empty());
    }

    #[test]
    fn failures_back_off_exponentially_until_forgotten() {
        let (mut queue, key) = (WorkQueue::default(), Key::new("default", "web"));
        let wait = |queue: &mut WorkQueue| queue.rate_limit(&key, Instant::START).as_millis_f64();
        assert_eq!([wait(&mut queue), wait(&mut queue), wait(&mut queue)], [5.0, 10.0, 20.0]);
        queue.forget(&key);
        assert_eq!(wait(&mut queue), 5.0);
    }
}
