//! What a member does besides changing the store: deciding what a request is, reads, watches, the time of leases.
//!
//! Reads and watches are served from the member's own store; only the leader keeps the time of leases, so followers
//! pass questions about them on.
//!
//! Models: etcd v3.6 server/etcdserver/v3_server.go, api/v3rpc/key.go, watch.go, lease.go; server/lease/lessor.go.
//! Left out: what `watch` and `lease` leave out; one progress ticker per member instead of one per stream; a question
//! about a lease that is lost on its way to the leader is not asked again.

use super::error::EtcdError;
use super::event::{Client, Effects, EtcdEvent, EtcdNote, Own};
use super::lease::LeaseId;
use super::member::{Member, Read, Setup};
use super::reply::{LeaseTimeToLive, RangeReply, Reply, TxnReply, WatchReply};
use super::request::{Proposal, Request, Value, WatchRequest};
use super::watch::{Caught, SYNC_INTERVAL};
use crate::kernel::out::RecordId;
use crate::kernel::{Duration, Endpoint, Instant};

/// Pause between two rounds of catching up when the last one has finished some watches. – etcd waits as long as the
/// round took.
const SYNC_PAUSE: Duration = Duration::from_millis(1);

impl<V: Value> Member<V> {
    /// A request has been read: refuses it, proposes it, or has it answered.
    pub(super) fn begin(&mut self, client: Client, request: Box<Request<V>>, setup: Setup, out: &mut impl Effects<V>) {
        let done = request
            .check(setup.settings.max_txn_ops)
            .and_then(|()| self.learner_may(&request))
            .and_then(|()| self.dispatch(client, request, setup, out));
        if let Err(error) = done {
            self.answer(client, self.response(Err(error)), out);
        }
    }

    /// A learner answers only what needs no quorum.
    fn learner_may(&self, request: &Request<V>) -> Result<(), EtcdError> {
        let learner = self.raft.config().learners.contains(&self.me);
        let local = reads(request) == Some(true) || matches!(request, Request::Status | Request::Defragment);
        if learner && !local { Err(EtcdError::LearnerUnsupported) } else { Ok(()) }
    }

    fn dispatch(
        &mut self,
        client: Client,
        request: Box<Request<V>>,
        setup: Setup,
        out: &mut impl Effects<V>,
    ) -> Result<(), EtcdError> {
        if let Some(serializable) = reads(&request) {
            let read = Read { client, cause: out.cause(), request };
            if serializable {
                self.read(read, setup, out);
            } else {
                self.reads.push(read);
            }
            return Ok(());
        }
        let proposal = match *request {
            Request::Put(put) => Proposal::Put(put),
            Request::Delete(delete) => Proposal::Delete(delete),
            Request::Txn(txn) => Proposal::Txn(txn),
            Request::Compact(revision) => Proposal::Compact(revision),
            Request::CompactPhysical(revision) => {
                self.propose(Some(client), Proposal::Compact(revision), setup, out)?;
                if let Some(last) = self.pending.values_mut().next_back() {
                    last.physical = true;
                }
                return Ok(());
            }
            Request::LeaseGrant { id, ttl } => {
                let id = if id == LeaseId::NONE { self.name_lease() } else { id };
                Proposal::LeaseGrant { id, ttl: ttl.max(setup.settings.min_lease_ttl) }
            }
            Request::LeaseRevoke(id) => Proposal::LeaseRevoke(id),
            Request::Alarm(alarm) => Proposal::Alarm(alarm),
            Request::MemberAdd { .. }
            | Request::MemberRemove(_)
            | Request::MemberPromote(_)
            | Request::MemberUpdate { .. } => Proposal::Members(self.member_change(&request, setup, out)?),
            Request::MoveLeader(id) => return self.move_leader(client, id, setup, out),
            Request::LeaseKeepAlive(_) | Request::LeaseTimeToLive { .. } => {
                self.lease_question(client, request, out);
                return Ok(());
            }
            Request::Watch(watch) => return self.watch(client, watch, setup, out),
            Request::Defragment => return self.defragment(client, setup, out),
            other => {
                if let Some(reply) = self.answer_now(client, other, setup, out) {
                    self.answer(client, self.response(Ok(reply)), out);
                }
                return Ok(());
            }
        };
        self.propose(Some(client), proposal, setup, out)
    }

    /// What is answered at once; `None` if there is no answer, or it has been given.
    fn answer_now(
        &mut self,
        client: Client,
        request: Request<V>,
        setup: Setup,
        out: &mut impl Effects<V>,
    ) -> Option<Reply<V>> {
        Some(match request {
            Request::WatchCancel(id) => {
                self.watchers.remove(Client { id, ..client });
                let response = self.response(Ok(Reply::Watch(WatchReply::Canceled)));
                self.answer(Client { id, ..client }, response, out);
                return None;
            }
            Request::WatchProgress => {
                // Until all are synced there is no answer at all; the client asks again.
                let mine = |other: Client| other.endpoint == client.endpoint && other.via == client.via;
                if !self.watchers.all_synced(mine) {
                    return None;
                }
                Reply::Watch(WatchReply::Progress)
            }
            Request::LeaseList => Reply::Leases(self.store.leases().iter().map(|(id, _)| id).collect()),
            Request::Status => Reply::Status(Box::new(self.status(setup, out))),
            Request::HashKv(revision) => Reply::HashKv(self.store.hash_kv(revision)),
            Request::Snapshot => self.snapshot(setup, out),
            _ => return None,
        })
    }

    /// Answers the linearizable reads whose round is over.
    pub(super) fn release_reads(&mut self, setup: Setup, out: &mut impl Effects<V>) {
        for read in self.reads.release(self.applied) {
            out.because(read.cause);
            self.read(read, setup, out);
        }
    }

    /// Tells the reads of the round under way that nothing comes of it.
    pub(super) fn fail_reads(&mut self, error: EtcdError, out: &mut impl Effects<V>) {
        for read in self.reads.fail() {
            out.because(read.cause);
            self.answer(read.client, self.response(Err(error)), out);
        }
    }

    /// Reads now, and answers once the reading's time is over. While the database is being rewritten nobody reads it.
    pub(super) fn read(&mut self, read: Read<V>, setup: Setup, out: &mut impl Effects<V>) {
        if self.defragmenting.is_some() {
            return self.stalled.push(read);
        }
        let costs = &setup.settings.costs;
        let (body, bytes) = match &*read.request {
            Request::Range(range) => {
                self.metrics.ranges += 1;
                let reply = self.store.range(range);
                let bytes = reply.as_ref().map_or(0, RangeReply::size);
                (reply.map(Reply::Range), bytes)
            }
            Request::Txn(txn) => {
                self.metrics.txns += 1;
                let reply = self.store.txn_read(txn);
                let bytes = reply.as_ref().map_or(0, read_size);
                (reply.map(Reply::Txn), bytes)
            }
            Request::MemberList { .. } => (Ok(Reply::Members(self.store.members().list())), 0),
            _ => return,
        };
        let fixed = costs.read.sample(&mut read.client.luck(setup.seed, b"read"));
        let wait = fixed + costs.read_per_kib.fraction(bytes as u64, 1_024);
        let response = Box::new(self.response(body));
        out.after(wait, EtcdEvent::Answered { life: self.life, client: read.client, response });
    }

    fn watch(
        &mut self,
        client: Client,
        request: WatchRequest,
        setup: Setup,
        out: &mut impl Effects<V>,
    ) -> Result<(), EtcdError> {
        if request.require_leader && self.leader.is_none() {
            return Err(EtcdError::NoLeader);
        }
        self.watchers.add(client, request, self.store.revision());
        self.answer(client, self.response(Ok(Reply::Watch(WatchReply::Created))), out);
        self.set_watch_sync(out);
        if self.watchers.any_progress() && !self.timers.progress {
            self.timers.progress = true;
            self.later(setup.settings.watch_progress_interval, Own::ProgressTick, out);
        }
        Ok(())
    }

    /// A client is gone, and its watches with it.
    pub(super) fn client_gone(&mut self, endpoint: Endpoint) {
        let gone: Vec<Client> = self.watchers.ids().filter(|client| client.endpoint == endpoint).collect();
        for client in gone {
            self.watchers.remove(client);
        }
    }

    pub(super) fn set_watch_sync(&mut self, out: &mut impl Effects<V>) {
        if self.watchers.unsynced() > 0 && !self.timers.watch_sync {
            self.timers.watch_sync = true;
            self.later(to_next_multiple(out.now(), SYNC_INTERVAL), Own::WatchSync, out);
        }
    }

    pub(super) fn later(&self, wait: Duration, what: Own, out: &mut impl Effects<V>) {
        out.after(wait, EtcdEvent::Own { life: self.life, what });
    }

    /// Hands the changes from `from` on to the watches; `causes` are the records of the revisions that are in it.
    pub(super) fn tell_watches(&mut self, from: u64, causes: &[(u64, RecordId)], out: &mut impl Effects<V>) {
        if self.watchers.is_empty() || from > self.store.revision() {
            return;
        }
        let because = |revision| {
            let place = causes.partition_point(|(applied, _)| *applied < revision);
            causes.get(place).map_or(RecordId::default(), |(_, cause)| *cause)
        };
        for (client, events) in self.watchers.notify(&self.store, from) {
            self.metrics.events += events.len() as u64;
            let causes: Vec<_> = events.iter().map(|event| because(event.revision)).collect();
            out.because(causes.last().copied().unwrap_or_default());
            let body = Reply::Watch(WatchReply::Events { events, causes });
            self.answer(client, self.response(Ok(body)), out);
        }
    }

    pub(super) fn watch_sync(&mut self, out: &mut impl Effects<V>) {
        self.timers.watch_sync = false;
        let before = self.watchers.unsynced();
        for (client, caught) in self.watchers.sync(&self.store) {
            let reply = match caught {
                Caught::Events(events) => {
                    let causes = vec![out.cause(); events.len()];
                    WatchReply::Events { events, causes }
                }
                Caught::Compacted { compact_revision } => WatchReply::Compacted { compact_revision },
            };
            self.answer(client, self.response(Ok(Reply::Watch(reply))), out);
        }
        let after = self.watchers.unsynced();
        if after > 0 {
            self.timers.watch_sync = true;
            self.later(if after < before { SYNC_PAUSE } else { SYNC_INTERVAL }, Own::WatchSync, out);
        }
    }

    pub(super) fn progress_tick(&mut self, setup: Setup, out: &mut impl Effects<V>) {
        for client in self.watchers.quiet() {
            let body = Reply::Watch(WatchReply::Events { events: Vec::new(), causes: Vec::new() });
            self.answer(client, self.response(Ok(body)), out);
        }
        self.timers.progress = self.watchers.any_progress();
        if self.timers.progress {
            self.later(setup.settings.watch_progress_interval, Own::ProgressTick, out);
        }
    }

    /// Starts or ends a lease's time when its change has been applied.
    pub(super) fn keep_time(
        &mut self,
        proposal: &Proposal<V>,
        result: &Result<Reply<V>, EtcdError>,
        out: &mut impl Effects<V>,
    ) {
        match (proposal, result) {
            (Proposal::LeaseGrant { id, ttl }, Ok(_)) if self.raft.is_leader() => {
                self.lessor.renew(*id, *ttl, out.now());
                self.set_lease_timer(out);
            }
            (Proposal::LeaseRevoke(id), Ok(_)) => self.lessor.forget(*id),
            _ => {}
        }
    }

    pub(super) fn lease_tick(&mut self, setup: Setup, out: &mut impl Effects<V>) {
        if self.timers.lease.is_none_or(|set| set > out.now()) {
            return;
        }
        self.timers.lease = None;
        let cause = out.cause();
        for lease in self.lessor.expired(out.now()) {
            out.because(cause);
            out.note(EtcdNote::LeaseExpired { lease });
            if self.propose(None, Proposal::LeaseRevoke(lease), setup, out).is_err() {
                // Too much waits to be applied: due at once, so that the next look finds it again.
                self.lessor.renew(lease, 0, out.now());
            }
        }
        self.set_lease_timer(out);
    }

    pub(super) fn set_lease_timer(&mut self, out: &mut impl Effects<V>) {
        let Some(at) = self.lessor.next_tick(out.now()) else { return };
        if self.timers.lease.is_none_or(|set| at < set) {
            self.timers.lease = Some(at);
            self.later(at.since(out.now()), Own::LeaseTick, out);
        }
    }

    /// A question only the leader can answer.
    pub(super) fn lease_question(&mut self, client: Client, request: Box<Request<V>>, out: &mut impl Effects<V>) {
        match self.leader {
            Some(leader) if leader == self.me => self.lease_for(client, &request, out),
            Some(leader) => out.send(leader, EtcdEvent::Forwarded { client, request }),
            None => self.homeless.push_back((out.now(), client, request)),
        }
    }

    /// Answers it, if this member still leads.
    pub(super) fn lease_for(&mut self, client: Client, request: &Request<V>, out: &mut impl Effects<V>) {
        let body = match *request {
            _ if !self.raft.is_leader() => Err(EtcdError::NotLeader),
            Request::LeaseKeepAlive(id) => self.keep_alive(id, out),
            Request::LeaseTimeToLive { id, keys } => Ok(Reply::LeaseTimeToLive(self.time_to_live(id, keys, out.now()))),
            _ => return,
        };
        self.answer(client, self.response(body), out);
    }

    fn keep_alive(&mut self, id: LeaseId, out: &mut impl Effects<V>) -> Result<Reply<V>, EtcdError> {
        let alive = self.lessor.remaining(id, out.now()).and_then(|_| self.store.leases().get(id));
        let ttl = alive.ok_or(EtcdError::LeaseNotFound)?.ttl;
        self.lessor.renew(id, ttl, out.now());
        self.metrics.leases_renewed += 1;
        Ok(Reply::Lease { id, ttl })
    }

    fn time_to_live(&self, id: LeaseId, keys: bool, now: Instant) -> LeaseTimeToLive {
        match (self.lessor.remaining(id, now), self.store.leases().get(id)) {
            (Some(left), Some(lease)) => LeaseTimeToLive {
                id,
                ttl: left.as_secs_f64() as i64,
                granted_ttl: lease.ttl,
                keys: if keys { lease.keys.iter().cloned().collect() } else { Vec::new() },
            },
            _ => LeaseTimeToLive { id, ttl: -1, granted_ttl: 0, keys: Vec::new() },
        }
    }

    /// A new lease's name: unique, and the same in every run.
    fn name_lease(&mut self) -> LeaseId {
        self.leases_named += 1;
        LeaseId(FIRST_LEASE + (i64::from(self.me) << 40) + self.leases_named)
    }
}

/// Names of leases look like etcd's: a member's part in front, a counter behind.
const FIRST_LEASE: i64 = 0x694d_a000_0000_0000;

/// Whether a request is a read, and then whether a serializable one.
fn reads<V>(request: &Request<V>) -> Option<bool> {
    match request {
        Request::Range(read) => Some(read.serializable),
        Request::Txn(txn) if txn.is_read_only() => Some(txn.is_serializable()),
        Request::MemberList { serializable } => Some(*serializable),
        _ => None,
    }
}

fn read_size<V: Value>(reply: &TxnReply<V>) -> usize {
    let sizes = reply.replies.iter().map(|reply| match reply {
        Reply::Range(range) => range.size(),
        Reply::Txn(inner) => read_size(inner),
        _ => 0,
    });
    sizes.sum()
}

/// How long until the next multiple of `interval` after `now`.
fn to_next_multiple(now: Instant, interval: Duration) -> Duration {
    Duration::from_nanos(interval.as_nanos() - now.as_nanos() % interval.as_nanos())
}
