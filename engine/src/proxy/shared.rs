//! What all proxies know alike: the objects at a version are the same for whoever watches them.
//!
//! A proxy that hears of a change takes over what another one has made of the same version, instead of keeping maps of its own:
//! five thousand nodes share one. Nothing is learnt by it that the proxy's own watch has not told.
//!
//! Models: nothing of Kubernetes; it saves memory and time.

use std::collections::VecDeque;

use crate::client::Store;

/// Versions that are kept: proxies hear of a version within moments of each other.
const KEPT: usize = 64;

/// Stores of one kind by version.
#[derive(Clone, Debug, Default)]
pub struct Versions {
    known: VecDeque<(u64, Store)>,
}

impl Versions {
    /// The objects at a version, if somebody knows.
    pub fn at(&self, version: u64) -> Option<&Store> {
        let place = self.known.binary_search_by_key(&version, |(version, _)| *version).ok()?;
        self.known.get(place).map(|(_, store)| store)
    }

    /// These are the objects at a version.
    pub fn learn(&mut self, version: u64, store: &Store) {
        if let Err(place) = self.known.binary_search_by_key(&version, |(version, _)| *version) {
            self.known.insert(place, (version, store.clone()));
            if self.known.len() > KEPT {
                self.known.pop_front();
            }
        }
    }
}

/// Both kinds that proxies watch.
#[derive(Clone, Debug, Default)]
pub struct Shared {
    /// Services.
    pub services: Versions,
    /// EndpointSlices.
    pub slices: Versions,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_versions_are_kept_in_order() {
        let mut versions = Versions::default();
        for version in [5, 3, 9].into_iter().chain(100..160) {
            versions.learn(version, &Store::default());
        }
        assert!(versions.at(5).is_some() && versions.at(4).is_none());
        (200..210).for_each(|version| versions.learn(version, &Store::default()));
        assert!(versions.at(9).is_none() && versions.at(209).is_some() && versions.known.len() == KEPT);
    }
}
