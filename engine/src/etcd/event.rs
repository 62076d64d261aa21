//! What can happen at a member, what it may ask of its surroundings, and what the trace may say about it.

use super::lease::LeaseId;
use super::replication::PeerMessage;
use super::reply::Response;
use super::request::Request;
use crate::kernel::out::RecordId;
use crate::kernel::{Duration, Endpoint, Instant, Luck, Seed, hash_bytes};

/// Something that has happened at a member.
#[derive(Clone, Debug)]
pub enum EtcdEvent<V> {
    /// A client's request has arrived.
    Request {
        /// The client.
        from: Endpoint,
        /// The client's name for it, in the reply again; no two watches of a client share one.
        id: u64,
        /// What it wants.
        request: Box<Request<V>>,
    },
    /// A request has been read, here or at the follower that passed it on.
    Decoded {
        /// Whose.
        client: Client,
        /// What it wants.
        request: Box<Request<V>>,
    },
    /// Another member's message has arrived.
    Peer {
        /// The other.
        from: u8,
        /// Its message.
        message: PeerMessage<V>,
    },
    /// The fsync under way is done.
    Synced,
    /// The batch of entries under way is applied.
    Applied,
    /// A reply is ready, here or at the leader that made it.
    Answered {
        /// For whom.
        client: Client,
        /// The reply.
        response: Box<Response<V>>,
    },
    /// Time to look for expired leases.
    LeaseTick,
    /// Time to serve watches that have history to catch up with.
    WatchSync,
    /// Time to tell quiet watches the revision.
    ProgressTick,
}

/// Who asked, and through which member.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Client {
    /// The client.
    pub endpoint: Endpoint,
    /// Its name for the request.
    pub id: u64,
    /// The member it is connected to.
    pub via: u8,
}

/// What the trace may say about a member.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum EtcdNote {
    /// The leader has put a change into its log.
    Proposed {
        /// Its index.
        index: u64,
    },
    /// The log is on disk up to an index.
    Persisted {
        /// The index.
        index: u64,
        /// How many entries the fsync carried.
        entries: u32,
        /// How long it took.
        took: Duration,
    },
    /// A majority has an entry on disk, and the leader has noticed.
    Committed {
        /// Its index.
        index: u64,
    },
    /// The store has changed, or refused to.
    Applied {
        /// The entry's index.
        index: u64,
        /// The store's revision then.
        revision: u64,
    },
    /// A lease has run out; its revocation follows.
    LeaseExpired {
        /// Which.
        lease: LeaseId,
    },
}

/// What a member asks of its surroundings.
pub trait Effects<V> {
    /// The present instant.
    fn now(&self) -> Instant;
    /// The record that what is asked from here on is caused by.
    fn cause(&self) -> RecordId;
    /// Continues on behalf of another cause.
    fn because(&mut self, cause: RecordId);
    /// Writes a trace record and makes it the cause of what follows.
    fn note(&mut self, note: EtcdNote) -> RecordId;
    /// Sends `event` over the link to another member.
    fn send(&mut self, member: u8, event: EtcdEvent<V>);
    /// Delivers `event` to this member after `wait`.
    fn after(&mut self, wait: Duration, event: EtcdEvent<V>);
    /// Sends a response over the link to a client; a watch sends many under the id of its request.
    fn reply(&mut self, to: Endpoint, id: u64, response: Response<V>);
}

impl Client {
    /// The luck of one purpose of this request: it depends on the client and the request alone.
    pub(super) fn luck(&self, seed: Seed, purpose: &[u8]) -> Luck {
        seed.luck(hash_bytes(b"etcd"), hash_bytes(purpose), self.endpoint.address(), self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Events lie in the queue by the hundred thousand: what is large stays behind a pointer.
    #[test]
    fn an_event_is_small() {
        assert!(size_of::<EtcdEvent<u64>>() <= 48, "{}", size_of::<EtcdEvent<u64>>());
    }
}
