//! One etcd process: the state of a member, and a write's way through it.
//!
//! Request → CPU → proposed → written to the log and synced, by followers likewise → committed → applied → watch
//! events, then the reply. What does not change the store is in `serve`. A follower holds no store yet: it passes
//! requests on to the leader and the answers back.
//!
//! Models: etcd v3.6 server/etcdserver/server.go (`applyAll`), raft.go (the Ready loop), v3_server.go
//! (`processInternalRaftRequestOnce`).
//! Left out: the request time-out of 7 s, losing the leader, quota and alarms; the backend's batches (100 ms).

use std::collections::BTreeMap;

use super::disk::Disk;
use super::error::EtcdError;
use super::event::{Client, Effects, EtcdEvent, EtcdNote};
use super::lease::Lessor;
use super::reads::Reads;
use super::replication::{Entry, PeerMessage, Ready, Replication};
use super::reply::{Reply, Response};
use super::request::{Proposal, Request, Value};
use super::settings::EtcdSettings;
use super::store::Store;
use super::watch::Watchers;
use crate::kernel::out::RecordId;
use crate::kernel::{Duration, Instant, Seed, hash_bytes};

/// The state of one member.
#[derive(Clone, Debug)]
pub struct Member<V> {
    pub(super) me: u8,
    pub(super) store: Store<V>,
    pub(super) replication: Replication<V>,
    disk: Disk,
    /// What the fsync under way carries.
    persisting: Option<Persisting<V>>,
    /// Committed entries that wait for their turn.
    committed: Vec<Entry<V>>,
    /// Those being applied.
    applying: Vec<Entry<V>>,
    pub(super) applied: u64,
    /// Entries of this leader that are not yet applied, by index.
    pending: BTreeMap<u64, Pending>,
    pub(super) reads: Reads<Read<V>>,
    pub(super) watchers: Watchers<Client>,
    pub(super) lessor: Lessor,
    pub(super) leases_named: i64,
    pub(super) timers: Timers,
}

#[derive(Clone, Debug)]
struct Persisting<V> {
    index: u64,
    entries: usize,
    /// A follower's messages wait for its disk.
    messages: Vec<(u8, PeerMessage<V>)>,
}

#[derive(Clone, Copy, Debug)]
struct Pending {
    client: Option<Client>,
    cause: RecordId,
}

#[derive(Clone, Debug)]
pub(super) struct Read<V> {
    pub(super) client: Client,
    pub(super) cause: RecordId,
    pub(super) request: Box<Request<V>>,
}

/// Which timers are set; they are only when there is something to do.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Timers {
    pub(super) lease: Option<Instant>,
    pub(super) watch_sync: bool,
    pub(super) progress: bool,
}

/// The constants of a run, for the functions below.
#[derive(Clone, Copy)]
pub(super) struct Setup<'a> {
    pub(super) seed: Seed,
    pub(super) settings: &'a EtcdSettings,
}

impl<V: Value> Member<V> {
    /// Member `me` of `members` (1, 3 or 5) in a cluster that has just formed, with an empty store; member 0 leads.
    pub fn new(me: u8, members: u8) -> Self {
        let replication = Replication::new(me, members);
        Member {
            me,
            store: Store::default(),
            disk: Disk::default(),
            persisting: None,
            committed: Vec::new(),
            applying: Vec::new(),
            applied: replication.commit(),
            replication,
            pending: BTreeMap::new(),
            reads: Reads::default(),
            watchers: Watchers::default(),
            lessor: Lessor::default(),
            leases_named: 0,
            timers: Timers::default(),
        }
    }

    /// Takes one event.
    pub fn handle(&mut self, event: EtcdEvent<V>, seed: Seed, settings: &EtcdSettings, out: &mut impl Effects<V>) {
        let setup = Setup { seed, settings };
        match event {
            EtcdEvent::Request { from, id, request } => {
                let client = Client { endpoint: from, id, via: self.me };
                let wait = settings.costs.request.sample(&mut client.luck(seed, b"request"));
                out.after(wait, EtcdEvent::Decoded { client, request });
            }
            EtcdEvent::Decoded { client, request } => self.begin(client, request, setup, out),
            EtcdEvent::Peer { from, message } => self.replication.step(from, message),
            EtcdEvent::Synced => self.synced(out),
            EtcdEvent::Applied => self.apply(setup, out),
            EtcdEvent::Answered { client, response } => self.answer(client, *response, out),
            EtcdEvent::LeaseTick => self.lease_tick(setup, out),
            EtcdEvent::WatchSync => self.watch_sync(out),
            EtcdEvent::ProgressTick => self.progress_tick(setup, out),
        }
        self.pump(setup, out);
    }

    /// The store, to look at.
    pub fn store(&self) -> &Store<V> {
        &self.store
    }

    /// The disk, to make it slow.
    pub fn disk_mut(&mut self) -> &mut Disk {
        &mut self.disk
    }

    /// Puts a change into the log; `client` hears when it is applied.
    pub(super) fn propose(
        &mut self,
        client: Option<Client>,
        proposal: Proposal<V>,
        settings: &EtcdSettings,
        out: &mut impl Effects<V>,
    ) -> Result<(), EtcdError> {
        if self.replication.commit() > self.applied + settings.max_apply_gap {
            return Err(EtcdError::TooManyRequests);
        }
        if proposal.size() > settings.max_request_bytes {
            return Err(EtcdError::RequestTooLarge);
        }
        let index = self.replication.propose(proposal.into());
        let cause = out.note(EtcdNote::Proposed { index });
        self.pending.insert(index, Pending { client, cause });
        Ok(())
    }

    /// Does what the log wants done, until it waits for the disk or for somebody else.
    fn pump(&mut self, setup: Setup, out: &mut impl Effects<V>) {
        while !self.disk.is_busy() {
            if let Some(context) = self.reads.begin() {
                self.replication.read_index(context);
            }
            if !self.replication.has_ready() {
                break;
            }
            let ready = self.replication.ready();
            self.carry_out(ready, setup, out);
        }
        self.start_applying(setup, out);
    }

    fn carry_out(&mut self, ready: Ready<V>, setup: Setup, out: &mut impl Effects<V>) {
        if let Some((context, index)) = ready.read {
            self.reads.confirm(context, index);
            self.release_reads(setup, out);
        }
        for entry in &ready.committed {
            if let Some(pending) = self.pending.get_mut(&entry.index) {
                out.because(pending.cause);
                pending.cause = out.note(EtcdNote::Committed { index: entry.index });
            }
        }
        self.committed.extend(ready.committed);
        let Some((entries, bytes)) = ready.persist else {
            self.send_all(ready.messages, out);
            self.replication.advance(self.replication.persisted());
            return;
        };
        let index = self.replication.last_index();
        if let Some(first) = self.pending.get(&(index + 1 - entries as u64)) {
            out.because(first.cause);
        }
        let mut messages = ready.messages;
        if self.replication.is_leader() {
            self.send_all(std::mem::take(&mut messages), out);
        }
        let took = self.disk.start(bytes, self.me, out.now(), setup.seed, &setup.settings.costs);
        self.persisting = Some(Persisting { index, entries, messages });
        out.after(took, EtcdEvent::Synced);
    }

    fn synced(&mut self, out: &mut impl Effects<V>) {
        let took = self.disk.finish(out.now());
        let Some(done) = self.persisting.take() else { return };
        out.note(EtcdNote::Persisted { index: done.index, entries: done.entries as u32, took });
        self.send_all(done.messages, out);
        self.replication.advance(done.index);
    }

    fn send_all(&self, messages: Vec<(u8, PeerMessage<V>)>, out: &mut impl Effects<V>) {
        for (to, message) in messages {
            out.send(to, EtcdEvent::Peer { from: self.me, message });
        }
    }

    /// Begins to apply all that is committed, as one batch.
    fn start_applying(&mut self, setup: Setup, out: &mut impl Effects<V>) {
        if !self.applying.is_empty() || self.committed.is_empty() {
            return;
        }
        self.applying = std::mem::take(&mut self.committed);
        let mut wait = Duration::ZERO;
        for entry in &self.applying {
            let purpose = hash_bytes(b"apply");
            let mut luck = setup.seed.luck(hash_bytes(b"etcd"), purpose, u64::from(self.me), entry.index);
            wait += setup.settings.costs.apply.sample(&mut luck);
        }
        if let Some(pending) = self.applying.first().and_then(|first| self.pending.get(&first.index)) {
            out.because(pending.cause);
        }
        out.after(wait, EtcdEvent::Applied);
    }

    /// The batch's time is over: changes the store, tells the watches, then answers.
    fn apply(&mut self, setup: Setup, out: &mut impl Effects<V>) {
        let mut replies = Vec::new();
        let mut causes = Vec::new();
        let mut told = self.store.revision();
        for entry in std::mem::take(&mut self.applying) {
            if matches!(*entry.proposal, Proposal::Compact(_)) {
                // Compaction may forget what the watches have not yet been told.
                self.tell_watches(told + 1, &causes, out);
                told = self.store.revision();
            }
            let result = self.store.apply(&entry.proposal);
            self.applied = entry.index;
            let pending = self.pending.remove(&entry.index);
            if let Some(pending) = pending {
                out.because(pending.cause);
            }
            let revision = self.store.revision();
            let cause = out.note(EtcdNote::Applied { index: entry.index, revision });
            causes.push((revision, cause));
            self.keep_time(&entry.proposal, &result, out);
            if let Some(client) = pending.and_then(|pending| pending.client) {
                replies.push((client, cause, self.response(result)));
            }
        }
        self.tell_watches(told + 1, &causes, out);
        for (client, cause, response) in replies {
            out.because(cause);
            self.answer(client, response, out);
        }
        self.release_reads(setup, out);
    }

    /// A response as of now.
    pub(super) fn response(&self, body: Result<Reply<V>, EtcdError>) -> Response<V> {
        Response { revision: self.store.revision(), term: self.replication.term(), body }
    }

    /// Sends a response to its client, over the member the client is connected to.
    pub(super) fn answer(&self, client: Client, response: Response<V>, out: &mut impl Effects<V>) {
        if client.via == self.me {
            out.reply(client.endpoint, client.id, response);
        } else {
            out.send(client.via, EtcdEvent::Answered { client, response: Box::new(response) });
        }
    }
}
