//! What can happen at a member, what it may ask of its surroundings, and what the trace may say about it.

use std::sync::Arc;

use super::image::Image;
use super::lease::LeaseId;
use super::raft::Message;
use super::reply::Response;
use super::request::{Command, Request};
use crate::kernel::out::RecordId;
use crate::kernel::{Duration, Endpoint, Instant, Luck, Seed, hash_bytes};

/// A message between members.
pub type PeerMessage<V> = Message<Arc<Command<V>>, Arc<Image<V>>>;

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
    /// A request has been read.
    Decoded {
        /// The process that read it.
        life: u32,
        /// Whose.
        client: Client,
        /// What it wants.
        request: Box<Request<V>>,
    },
    /// A follower passes on what only the leader knows: the time of leases.
    Forwarded {
        /// Whose.
        client: Client,
        /// What it wants.
        request: Box<Request<V>>,
    },
    /// The leader's answer to that.
    Returned {
        /// For whom.
        client: Client,
        /// The reply.
        response: Box<Response<V>>,
    },
    /// Another member's message has arrived.
    Peer {
        /// The other.
        from: u8,
        /// Its message.
        message: PeerMessage<V>,
    },
    /// A reply is ready.
    Answered {
        /// The process that made it.
        life: u32,
        /// For whom.
        client: Client,
        /// The reply.
        response: Box<Response<V>>,
    },
    /// Something the process itself waited for.
    Own {
        /// Which process: what a dead one waited for is nobody's business.
        life: u32,
        /// What.
        what: Own,
    },
    /// A client has closed its connections to this member.
    ClientGone(Endpoint),
    /// Another member's process has closed its connections, or opened them: it ended, or it started.
    Connection {
        /// The other.
        from: u8,
        /// Whether they are open.
        open: bool,
    },
    /// A fault has begun or ended somewhere among the members and their links.
    Disturbed,
    /// The process starts.
    Started,
    /// The process is told to stop (SIGTERM): a leader hands over first.
    Stopped,
    /// The process is gone at once (SIGKILL, a machine without power).
    Killed,
}

/// What a process waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Own {
    /// The fsync under way is done.
    Synced,
    /// The batch of entries of that number is applied.
    Applied(u32),
    /// Something may be due: a heartbeat, an election, a request's time-out.
    Tick,
    /// Time to look for expired leases.
    LeaseTick,
    /// Time to serve watches that have history to catch up with.
    WatchSync,
    /// Time to tell quiet watches the revision.
    ProgressTick,
    /// Time for the next step of a compaction.
    Compact,
    /// The database file has been rewritten.
    Defragmented,
    /// Time to look whether history is to be forgotten.
    AutoCompact,
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
    /// The store has changed, or refused to. Told only where somebody hears of it: a client or a watch of that member.
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
    /// The member starts an election, or asks whether it would win one.
    Campaigned {
        /// The term it would lead.
        term: u64,
    },
    /// The member sees that somebody leads.
    Leader {
        /// Who.
        member: u8,
        /// The term.
        term: u64,
    },
    /// The member sees no leader any more.
    LeaderLost {
        /// The term.
        term: u64,
    },
    /// The process runs.
    Started,
    /// The process is gone.
    Stopped,
    /// The whole state is sent to a member that lags.
    SnapshotSent {
        /// To whom.
        to: u8,
        /// Up to which entry.
        index: u64,
    },
    /// The whole state has replaced what this member had.
    SnapshotInstalled {
        /// Up to which entry.
        index: u64,
    },
    /// History below a revision is forgotten.
    Compacted {
        /// The revision.
        revision: u64,
    },
    /// The database file was rewritten; nobody was answered meanwhile.
    Defragmented {
        /// Its size before. [KiB]
        before_kib: u32,
        /// Its size after. [KiB]
        after_kib: u32,
        /// How long it took.
        took: Duration,
    },
    /// A member is out of space.
    NoSpace,
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
    /// Whether no fault is in force among the members and the links between them: then heartbeats may rest, for they
    /// would all arrive. Whoever makes this false must deliver [`EtcdEvent::Disturbed`] to every member at once.
    fn calm(&self) -> bool;
    /// Ends the member's own process.
    fn exit(&mut self) {}
    /// Delivers [`EtcdEvent::Disturbed`] to every member, this one too, at once: one is about to fail the others.
    fn disturb(&mut self);
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
