//! wavetank-engine: a Kubernetes cluster in virtual time.
//!
//! A library without an outside: no files, no clock, no threads, no printing. In reading order:
//!
//! - [`kernel`]: time, the queue of what is to happen, luck, latency, links; it knows nothing of Kubernetes.
//! - [`event`]: everything that can happen. [`world`]: the cluster at one instant, and the match from event to component.
//! - [`process`]: which processes run, how they end and start again.
//! - [`setup`], [`profiles`], [`bootstrap`]: what is constant in a run, and what an empty cluster is given.
//! - [`scripted`]: what users write themselves (reconciles, plugins, webhooks), behind a trait.
//! - [`trace`]: what happened, and why.
//! - [`objects`]: the API's objects, compact.
//! - [`etcd`], [`apiserver`], [`client`], [`controllers`], [`custom`], [`scheduler`], [`kubelet`], [`metrics_server`], [`proxy`]:
//!   the components and what they share. [`registry`]: where images come from.
//! - [`traffic`]: requests of users to what runs in the pods.

pub mod apiserver;
pub mod bootstrap;
pub mod client;
pub mod controllers;
pub mod custom;
pub mod etcd;
pub mod event;
pub mod faults;
pub mod kernel;
pub mod kubelet;
pub mod metrics_server;
pub mod objects;
pub mod process;
pub mod profiles;
pub mod proxy;
pub mod registry;
pub mod scheduler;
pub mod scripted;
pub mod setup;
pub mod trace;
pub mod traffic;
pub mod world;

pub use faults::{Fault, FaultId};
pub use process::{Ending, Process};
pub use setup::Setup;
pub use world::World;
