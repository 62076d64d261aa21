//! Draws of a plan: each at an address of its own, so that leaving one thing out leaves all others as they were.

use wavetank_engine::kernel::Seed;
use wavetank_engine::kernel::random::{Luck, hash_bytes};

/// Where the draws of a swarm are, apart from all luck of a cluster.
const COMPONENT: u64 = hash_bytes(b"swarm");

/// The draws at one address.
pub struct Draw(Luck);

impl Draw {
    /// The draws for a purpose; `counter` tells those of the same kind apart.
    pub fn at(seed: u64, purpose: &str, counter: u64) -> Self {
        Draw(Seed(seed).luck(COMPONENT, hash_bytes(purpose.as_bytes()), 0, counter))
    }

    /// A whole number from `low` to `high`, both included.
    pub fn number(&mut self, low: u64, high: u64) -> u64 {
        low + self.0.below(high.saturating_sub(low) + 1)
    }

    /// True in so many of a hundred cases.
    pub fn chance(&mut self, percent: u64) -> bool {
        self.0.below(100) < percent
    }

    /// One of several; the list must not be empty.
    pub fn one<'a, T: ?Sized>(&mut self, of: &[&'a T]) -> &'a T {
        of[self.0.below(of.len() as u64) as usize]
    }

    /// One of several names; the list must not be empty.
    pub fn name(&mut self, of: &[String]) -> String {
        of[self.0.below(of.len() as u64) as usize].clone()
    }
}
