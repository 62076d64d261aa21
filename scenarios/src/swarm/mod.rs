//! Random clusters, random work, random faults: what must hold is checked while they run, and that all comes to rest once they are over.
//!
//! A seed decides everything. It draws a [`plan`]: a cluster, workloads, operations and faults. [`run`] carries it out, with the
//! [`invariants`] looking on ("always"), then mends everything and waits until every workload is as it should be ([`settled`],
//! "eventually"). What happened on the way is counted over many seeds ("sometimes"). [`shrink`] makes a failing plan small.

mod admission;
pub mod cluster;
mod containers;
pub mod draw;
pub mod faults;
pub mod invariants;
pub mod operations;
pub mod plan;
pub mod report;
pub mod run;
pub mod settled;
pub mod shrink;
pub mod workloads;

pub use self::plan::{Choice, Plan};
pub use self::report::Summary;
pub use self::run::{Failure, Outcome, run, run_kept};

use crate::session::Nanos;

/// How long operations and faults go on, unless told otherwise.
pub const LENGTH: Nanos = 180_000_000_000;

/// What is the same for all seeds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// For how long operations and faults go on. [ns]
    pub length: Nanos,
    /// Which kinds of steps there are.
    pub choice: Choice,
}

impl Default for Options {
    fn default() -> Self {
        Options { length: LENGTH, choice: Choice::default() }
    }
}
