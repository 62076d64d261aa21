//! etcd: the cluster's only memory.
//!
//! Reading order: `request`, `reply` and `error` (what one may ask and hear), `store` with `index`, `range` and `txn`
//! (revisioned keys, changed in commit order), `lease`, `watch`, `members` (who belongs to it), `hash`; then `raft`
//! (how a change comes to be committed); what lies on disk: `wal`, `database` with `pages`, `image`; and the process
//! around it: `event`, `member` and `apply` (a write's way), `propose`, `serve`, `upkeep`, `reconfigure`, `life`, with
//! `disk`, `reads`, `auto_compaction`, `metrics`, `settings`.
//!
//! The store knows nothing of commits, time or luck; Raft knows nothing of keys. They meet in `member`.
//!
//! Models: etcd v3.6 server/storage/mvcc, server/etcdserver, server/lease; raft v3.6.
//! Left out: users and roles, downgrades, the corruption checks, the discovery of members, gRPC's own counters.

mod apply;
pub mod auto_compaction;
pub mod database;
pub mod disk;
pub mod error;
pub mod event;
mod hash;
pub mod identity;
pub mod image;
pub mod index;
pub mod lease;
mod life;
pub mod member;
pub mod members;
pub mod metrics;
pub mod pages;
mod propose;
pub mod raft;
pub mod range;
pub mod reads;
mod reconfigure;
pub mod reply;
pub mod request;
mod serve;
pub mod settings;
pub mod store;
pub mod stored;
pub mod txn;
mod upkeep;
pub mod wal;
pub mod watch;

pub use error::{Code, EtcdError};
pub use event::{Client, Effects, EtcdEvent, EtcdNote};
pub use image::{Image, ImageStatus, RestoreOptions};
pub use lease::{Lease, LeaseId};
pub use member::Member;
pub use members::{AlarmKind, AlarmMember, AlarmRequest, Formation, MemberInfo, Members};
pub use metrics::{Gauges, Histogram, Metrics};
pub use reply::*;
pub use request::*;
pub use settings::{AutoCompaction, EtcdCosts, EtcdSettings};
pub use store::Store;
pub use stored::Stored;

#[cfg(test)]
mod cluster;
#[cfg(test)]
mod trials;
