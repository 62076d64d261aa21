//! Expectations: what a controller has asked for and not yet seen in its own cache.
//!
//! Models: kubernetes v1.36.2 pkg/controller/controller_utils.go (ControllerExpectations, UIDTrackingControllerExpectations).

use std::collections::{BTreeMap, BTreeSet};

use crate::kernel::{Duration, Instant};
use crate::objects::Key;

/// After this long an expectation counts as fulfilled.
const TIMEOUT: Duration = Duration::from_secs(5 * 60);

/// Expectations of a controller, by the key it reconciles.
#[derive(Clone, Debug, Default)]
pub struct Expectations {
    by_key: BTreeMap<Key, Expected>,
}

#[derive(Clone, Debug)]
struct Expected {
    creations: i64,
    deletions: BTreeSet<Key>,
    since: Instant,
    /// How many objects have shown up when they were being deleted already: they are no creations that are seen.
    missed: i64,
}

impl Expectations {
    /// Whether everything expected has been seen, or is overdue.
    pub fn satisfied(&self, key: &Key, now: Instant) -> bool {
        self.by_key.get(key).is_none_or(|expected| {
            (expected.creations <= 0 && expected.deletions.is_empty()) || now.since(expected.since) > TIMEOUT
        })
    }

    /// Whether creations are expected, however long ago, that will not be seen: of objects first seen when they were being deleted.
    pub fn missed(&self, key: &Key) -> bool {
        self.by_key.get(key).is_some_and(|expected| expected.creations > 0 && expected.missed >= expected.creations)
    }

    /// An object shows up that is being deleted already.
    pub fn came_deleted(&mut self, key: &Key) {
        if let Some(expected) = self.by_key.get_mut(key) {
            expected.missed += 1;
        }
    }

    /// Expects `n` creations, and nothing else.
    pub fn expect_creations(&mut self, key: &Key, n: usize, now: Instant) {
        self.expect_both(key, n, [], now);
    }

    /// Expects the deletion of `objects`, and nothing else.
    pub fn expect_deletions(&mut self, key: &Key, objects: impl IntoIterator<Item = Key>, now: Instant) {
        self.expect_both(key, 0, objects, now);
    }

    /// Expects `creations` and the deletion of `objects`.
    pub fn expect_both(&mut self, key: &Key, creations: usize, objects: impl IntoIterator<Item = Key>, now: Instant) {
        let deletions = objects.into_iter().collect();
        let expected = Expected { creations: creations as i64, deletions, since: now, missed: 0 };
        self.by_key.insert(key.clone(), expected);
    }

    /// A creation was seen, or will never come.
    pub fn creation_observed(&mut self, key: &Key) {
        if let Some(expected) = self.by_key.get_mut(key) {
            expected.creations -= 1;
        }
    }

    /// A deletion was seen (of the object, or of its being deleted), or will never come.
    pub fn deletion_observed(&mut self, key: &Key, object: &Key) {
        if let Some(expected) = self.by_key.get_mut(key) {
            expected.deletions.remove(object);
        }
    }

    /// The key is gone.
    pub fn delete(&mut self, key: &Key) {
        self.by_key.remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expectation_ends_by_observation_or_by_time() {
        let (mut expectations, key) = (Expectations::default(), Key::new("a", "rs"));
        assert!(expectations.satisfied(&key, Instant::START));
        expectations.expect_creations(&key, 2, Instant::START);
        expectations.creation_observed(&key);
        assert!(!expectations.satisfied(&key, Instant::START));
        assert!(expectations.satisfied(&key, Instant::START + Duration::from_secs(301)));
        expectations.creation_observed(&key);
        assert!(expectations.satisfied(&key, Instant::START));
        let pod = Key::new("a", "p");
        expectations.expect_deletions(&key, [pod.clone()], Instant::START);
        expectations.deletion_observed(&key, &Key::new("a", "other"));
        assert!(!expectations.satisfied(&key, Instant::START));
        expectations.deletion_observed(&key, &pod);
        assert!(expectations.satisfied(&key, Instant::START));
    }
}
