//! Requests on their way: what is known of each, and what it waits for.

use std::sync::Arc;

use super::addresses::{Addresses, Held};
use super::eviction::Eviction;
use super::quotas::Charge;
use super::request::Request;
use super::webhooks::Review;
use crate::kernel::out::RecordId;
use crate::kernel::{Duration, Endpoint, Instant};
use crate::objects::{Key, Object};

/// A request on its way.
#[derive(Clone, Debug)]
pub(super) struct InFlight {
    pub(super) request: Box<Request>,
    /// The trace record of its arrival.
    pub(super) record: RecordId,
    pub(super) arrived: Instant,
    /// When the step it is in began.
    pub(super) since: Instant,
    pub(super) steps: [Duration; 6],
    /// How often etcd was asked.
    pub(super) asked: u64,
    /// What waits for etcd's answer.
    pub(super) pending: Option<Pending>,
    /// What the reply warns of.
    pub(super) warnings: Vec<String>,
    /// A deletion of many: what is left and what is done.
    pub(super) collection: Option<Box<Collection>>,
    /// What it does to the addresses of Services.
    pub(super) addresses: Option<Addresses>,
    /// An eviction: how far it is.
    pub(super) eviction: Option<Box<Eviction>>,
    /// A write that waits for quotas, and that it need not wait again.
    pub(super) charge: Option<Box<Charge>>,
    pub(super) charged: bool,
    /// What webhooks have to say to a write.
    pub(super) review: Option<Box<Review>>,
}

/// The objects of a kind in a namespace, deleted one after another (upstream: one worker).
#[derive(Clone, Debug, Default)]
pub(super) struct Collection {
    /// As they were when they were listed: what the reply says.
    pub(super) listed: Vec<Arc<Object>>,
    /// The version of that list.
    pub(super) resource_version: u64,
    /// How many are done.
    pub(super) done: usize,
}

/// What a request waits for.
#[derive(Clone, Debug)]
pub(super) enum Pending {
    /// The object as etcd has it, for a read.
    Get,
    /// etcd's revision; the watch cache has caught up when it arrives, for both come over one connection in order.
    List,
    /// The object as etcd has it, because the cache's copy led to nothing.
    Reread,
    /// The next step of an eviction.
    Evict,
    /// A quota that is charged.
    Quota,
    /// An address of a Service, which is written afterwards.
    Address(Key, Box<Held>),
    /// A conditional write of this object.
    Write {
        /// Its new state; `None` is a deletion.
        object: Option<Arc<Object>>,
        /// Deletion follows the write.
        then_delete: bool,
        /// The last state of an object that is deleted.
        last: Option<Arc<Object>>,
    },
}

impl InFlight {
    /// The id of the next question to etcd.
    pub(super) fn ask(&mut self, id: u64) -> u64 {
        self.asked += 1;
        id | (self.asked & ATTEMPTS)
    }
}

/// The number of a request: that of nobody else, and the same whatever others ask, for it is the address of its luck. The lowest bits
/// count the questions to etcd.
pub(super) fn address(request: &Request) -> u64 {
    let agent = crate::kernel::hash_bytes(request.agent.name().as_bytes());
    let index = index(request);
    crate::kernel::hash_words(&[agent, index, request.sequence]) >> 8 & !ATTEMPTS
}

/// Tells agents of the same name apart: a controller exists in each of several controller managers.
pub(super) fn index(request: &Request) -> u64 {
    match request.from {
        Endpoint::ControllerManager(process) => process.into(),
        _ => request.agent.index(),
    }
}

/// The bits of the counter in a request's number.
pub(super) const ATTEMPTS: u64 = 7;
/// The trace's places for the steps.
pub(super) const ADMISSION: usize = 2;
pub(super) const STORAGE: usize = 4;
pub(super) const REPLY: usize = 5;
