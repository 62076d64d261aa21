//! Owners that are known to be absent, so that the dependents of one that is gone need not all ask.
//!
//! Models: kubernetes v1.36.2 pkg/controller/garbagecollector/uid_cache.go (ReferenceCache). Left out: that a look makes an entry young
//! again.

use std::collections::{BTreeSet, VecDeque};

use super::Item;

/// How many are remembered; Kubernetes: NewReferenceCache(500).
const MOST: usize = 500;

/// The latest absent owners.
#[derive(Clone, Debug, Default)]
pub struct AbsentOwners {
    known: BTreeSet<Item>,
    order: VecDeque<Item>,
}

impl AbsentOwners {
    /// An owner is absent.
    pub fn add(&mut self, owner: Item) {
        if !self.known.insert(owner.clone()) {
            return;
        }
        self.order.push_back(owner);
        if self.order.len() > MOST
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
    }

    /// Whether an owner is known to be absent.
    pub fn has(&self, owner: &Item) -> bool {
        self.known.contains(owner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objects::{Key, Kind, Uid};

    #[test]
    fn the_oldest_are_forgotten() {
        let owner = |uid| Item { uid: Uid(uid), kind: Kind::Deployment, key: Key::new("a", "web") };
        let mut absent = AbsentOwners::default();
        (0..501).for_each(|uid| absent.add(owner(uid)));
        absent.add(owner(1));
        assert_eq!([0, 1, 500].map(|uid| absent.has(&owner(uid))), [false, true, true]);
        absent.add(owner(501));
        assert_eq!((absent.has(&owner(1)), absent.has(&owner(2)), absent.known.len()), (false, true, 500));
    }
}
