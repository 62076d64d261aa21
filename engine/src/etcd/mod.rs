//! etcd: the cluster's only memory.
//!
//! Reading order: `request` and `reply` (what one may ask and hear), `store` with `index`, `range` and `txn` (revisioned
//! keys, changed in commit order), `lease`, `watch`; then how a change comes to be committed: `replication` (the log and its
//! quorum), `disk` (fsyncs), `reads` (waiting for the quorum's word), and the process around it: `event`, `member` (a
//! write's way), `serve` (everything else), `settings`.
//!
//! The store knows nothing of commits, time or luck; replication knows nothing of keys. They meet in `member`.
//!
//! Models: etcd v3.6 server/storage/mvcc, server/etcdserver, server/lease.
//! Left out for now: elections and resending lost messages (the first member leads for ever), the followers' own
//! stores, the page model of the database file (the store counts bytes), quota, alarms, defragmentation, users.

pub mod disk;
pub mod error;
pub mod event;
pub mod index;
pub mod lease;
pub mod member;
pub mod range;
pub mod reads;
pub mod replication;
pub mod reply;
pub mod request;
mod serve;
pub mod settings;
pub mod store;
pub mod txn;
pub mod watch;

pub use error::{Code, EtcdError};
pub use event::{Client, Effects, EtcdEvent, EtcdNote};
pub use lease::{Lease, LeaseId};
pub use member::Member;
pub use reply::*;
pub use request::*;
pub use settings::{EtcdCosts, EtcdSettings};
pub use store::Store;

#[cfg(test)]
mod cluster;
