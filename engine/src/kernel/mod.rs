//! The kernel: virtual time, the queue of what is still to happen, luck, latency, links and the handler's `Out`.
//!
//! It knows nothing of Kubernetes. Everything above it asks for messages and timers through [`Out`]; the world applies them.

pub mod latency;
pub mod network;
pub mod out;
pub mod queue;
pub mod random;
pub mod spread;
pub mod time;

pub use latency::Latency;
pub use network::{Endpoint, Network, Trouble};
pub use out::{Action, Out};
pub use queue::{Queue, TimerId};
pub use random::{Luck, Seed, hash_bytes, hash_words};
pub use spread::Spread;
pub use time::{Duration, Instant};
