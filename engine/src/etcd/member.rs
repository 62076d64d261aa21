//! One etcd process: the state of a member, and a write's way through it.
//!
//! Request → CPU → proposed (at the leader, or passed on to it) → written to the log and synced, by followers likewise
//! → committed → applied by every member to its own store → watch events, then the reply, from the member that was
//! asked.
//!
//! The rest of a member: `apply` (committed entries change the store), `propose` (requests that change something, and
//! their time-outs), `serve` (reads, watches, leases), `upkeep` (compaction, defragmentation, alarms, status),
//! `reconfigure` (members), `life` (start and end).
//!
//! Models: etcd v3.6 server/etcdserver/server.go (`applyAll`), raft.go (the Ready loop).

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use super::auto_compaction::AutoCompactor;
use super::database::{Database, Work};
use super::disk::Disk;
use super::error::EtcdError;
use super::event::{Client, Effects, EtcdEvent, EtcdNote, Own, PeerMessage};
use super::image::Image;
use super::lease::Lessor;
use super::metrics::Metrics;
use super::propose::Pending;
use super::raft::node::Saved;
use super::raft::{Body, Entry, Mark, Moment, Raft, Ready, Snapshot};
use super::reads::Reads;
use super::reply::{Reply, Response};
use super::request::{Command, Request, Value};
use super::settings::EtcdSettings;
use super::store::Store;
use super::wal::Wal;
use super::watch::Watchers;
use crate::kernel::out::RecordId;
use crate::kernel::{Duration, Instant, Seed};

/// The log of a member.
pub type MemberLog<V> = Raft<Arc<Command<V>>, Arc<Image<V>>>;

/// The state of one member: what is on its disk, and its process while it runs.
#[derive(Clone, Debug)]
pub struct Member<V> {
    pub(super) me: u8,
    /// Its name and where clients reach it.
    pub(super) name: (Arc<str>, Arc<str>),
    pub(super) running: bool,
    /// Until when it tries to hand over before it stops.
    pub(super) stopping: Option<Instant>,
    /// How many processes there have been.
    pub(super) life: u32,
    /// Its data does not say of which version it is: the term and the instant from which on it was so.
    pub(super) unversioned: Option<(u64, Instant)>,
    pub(super) store: Store<V>,
    pub(super) database: Database,
    pub(super) applied: u64,
    pub(super) wal: Wal<Arc<Command<V>>>,
    pub(super) raft: MemberLog<V>,
    pub(super) disk: Disk,
    /// What the fsync under way carries.
    pub(super) persisting: Option<Persisting<V>>,
    /// A tick came while the process waited for its disk.
    pub(super) tick_missed: bool,
    /// Committed entries that wait for their turn.
    pub(super) committed: VecDeque<Entry<Arc<Command<V>>>>,
    /// Those being applied, and the batch's number.
    pub(super) applying: Vec<Entry<Arc<Command<V>>>>,
    pub(super) batch: u32,
    /// The database is being defragmented: for whom, since when.
    pub(super) defragmenting: Option<(Client, Instant, u64)>,
    /// Reads that wait for that.
    pub(super) stalled: Vec<Read<V>>,
    /// Answers that wait for a compaction to have left the database.
    pub(super) compacting: Vec<(Client, Response<V>)>,
    /// Proposals named so far.
    pub(super) named: u64,
    /// Proposals of this member that are not yet applied, by name.
    pub(super) pending: BTreeMap<u64, Pending>,
    /// Those that wait for somebody to lead.
    pub(super) blocked: VecDeque<Arc<Command<V>>>,
    /// Questions about leases that wait for somebody to lead.
    pub(super) homeless: VecDeque<(Instant, Client, Box<Request<V>>)>,
    /// The records of a leader's entries that are not yet applied, by index.
    pub(super) causes: BTreeMap<u64, RecordId>,
    pub(super) reads: Reads<Read<V>>,
    pub(super) watchers: Watchers<Client>,
    pub(super) lessor: Lessor,
    pub(super) leases_named: i64,
    pub(super) timers: Timers,
    /// Who leads, as last seen, and since when somebody does or nobody does.
    pub(super) leader: Option<u8>,
    pub(super) leader_since: Instant,
    /// A hand-over somebody waits for: the client, to whom, since when.
    pub(super) moving: Option<(Client, u8, Instant)>,
    /// When others were last heard of, and since when without a gap.
    pub(super) heard: BTreeMap<u8, (Instant, Instant)>,
    /// Those whose processes have ended.
    pub(super) gone: BTreeSet<u8>,
    pub(super) auto: AutoCompactor,
    pub(super) metrics: Metrics,
}

#[derive(Clone, Debug)]
pub(super) struct Persisting<V> {
    saved: Saved,
    entries: Vec<Entry<Arc<Command<V>>>>,
    answers: Vec<(u8, PeerMessage<V>)>,
    snapshot: Option<Arc<Snapshot<Arc<Image<V>>>>>,
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
    pub(super) tick: Option<Instant>,
    pub(super) lease: Option<Instant>,
    pub(super) watch_sync: bool,
    pub(super) progress: bool,
    pub(super) compact: bool,
    pub(super) auto: bool,
}

/// The constants of a run, for the functions below.
#[derive(Clone, Copy)]
pub(super) struct Setup<'a> {
    pub(super) seed: Seed,
    pub(super) settings: &'a EtcdSettings,
}

impl<'a> Setup<'a> {
    pub(super) fn moment<V>(&self, out: &impl Effects<V>) -> Moment<'a> {
        Moment { now: out.now(), seed: self.seed, pace: &self.settings.pace, calm: out.calm() }
    }
}

impl<V: Value> Member<V> {
    /// Takes one event.
    pub fn handle(&mut self, event: EtcdEvent<V>, seed: Seed, settings: &EtcdSettings, out: &mut impl Effects<V>) {
        let setup = Setup { seed, settings };
        match event {
            EtcdEvent::Started => self.start(setup, out),
            EtcdEvent::Disturbed => {
                if self.raft.clock().resting() {
                    // The silence so far was rest, not a gap.
                    for other in self.raft.config().others(self.me) {
                        self.heard.entry(other).or_insert((out.now(), Instant::START)).0 = out.now();
                    }
                }
                self.raft.disturb(setup.moment(out));
            }
            EtcdEvent::Request { from, id, .. } if !self.running => {
                let response = self.response(Err(EtcdError::ConnectionRefused));
                return out.reply(from, id, response);
            }
            // What the process had begun to read or to answer when it ended: the connection broke under it.
            EtcdEvent::Decoded { life, client, .. } | EtcdEvent::Answered { life, client, .. } if life != self.life => {
                if client.via == self.me {
                    let response = self.response(Err(EtcdError::ConnectionLost));
                    out.reply(client.endpoint, client.id, response);
                }
                return;
            }
            _ if !self.running => return,
            EtcdEvent::ClientGone(endpoint) => return self.client_gone(endpoint),
            EtcdEvent::Killed => return self.end(EtcdError::ConnectionLost, setup, out),
            EtcdEvent::Stopped => self.stop(setup, out),
            EtcdEvent::Request { from, id, request } => {
                let client = Client { endpoint: from, id, via: self.me };
                let wait = settings.costs.request.sample(&mut client.luck(seed, b"request"));
                out.after(wait, EtcdEvent::Decoded { life: self.life, client, request });
                return;
            }
            EtcdEvent::Decoded { life, client, request } if life == self.life => {
                self.begin(client, request, setup, out);
            }
            EtcdEvent::Answered { life, client, response } if life == self.life => {
                return out.reply(client.endpoint, client.id, *response);
            }
            EtcdEvent::Own { life, what } if life == self.life => self.own(what, setup, out),
            EtcdEvent::Decoded { .. } | EtcdEvent::Answered { .. } | EtcdEvent::Own { .. } => return,
            EtcdEvent::Forwarded { client, request } => self.lease_for(client, &request, out),
            EtcdEvent::Returned { client, response } => return out.reply(client.endpoint, client.id, *response),
            EtcdEvent::Peer { from, message } => self.peer(from, message, setup, out),
            EtcdEvent::Connection { from, open: false } => drop(self.gone.insert(from)),
            EtcdEvent::Connection { from, open: true } => {
                self.gone.remove(&from);
                self.heard.insert(from, (out.now(), out.now()));
            }
        }
        if self.running {
            self.pump(setup, out);
        }
        if self.running && self.disk.take_failure() {
            out.exit();
        }
    }

    /// Its number.
    pub fn number(&self) -> u8 {
        self.me
    }

    /// Its name.
    pub fn name(&self) -> &Arc<str> {
        &self.name.0
    }

    /// Where clients reach it, separated by commas.
    pub fn client_urls(&self) -> &str {
        &self.name.1
    }

    /// Whether its process runs.
    pub fn running(&self) -> bool {
        self.running
    }

    /// The store, to look at.
    pub fn store(&self) -> &Store<V> {
        &self.store
    }

    /// The log, to look at.
    pub fn raft(&self) -> &MemberLog<V> {
        &self.raft
    }

    /// What is on its disk of the log.
    pub fn wal(&self) -> &Wal<Arc<Command<V>>> {
        &self.wal
    }

    /// The database file, as of its last commit.
    pub fn database(&self) -> &Database {
        &self.database
    }

    /// The last entry in its store.
    pub fn applied_index(&self) -> u64 {
        self.applied
    }

    /// The disk.
    pub fn disk(&self) -> &Disk {
        &self.disk
    }

    /// The disk, to make it slow.
    pub fn disk_mut(&mut self) -> &mut Disk {
        &mut self.disk
    }

    /// How many proposals that were made here wait to be applied.
    pub fn proposals_pending(&self) -> u64 {
        self.pending.len() as u64
    }

    /// What it has counted.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    fn own(&mut self, what: Own, setup: Setup, out: &mut impl Effects<V>) {
        match what {
            Own::Synced => self.synced(setup, out),
            Own::Applied(batch) if batch == self.batch => self.apply(setup, out),
            Own::Applied(_) => {}
            Own::Tick => self.tick(setup, out),
            Own::LeaseTick => self.lease_tick(setup, out),
            Own::WatchSync => self.watch_sync(out),
            Own::ProgressTick => self.progress_tick(setup, out),
            Own::Compact => self.compact_step(setup, out),
            Own::Defragmented => self.defragmented(setup, out),
            Own::AutoCompact => self.auto_compact(setup, out),
        }
    }

    fn peer(&mut self, from: u8, message: PeerMessage<V>, setup: Setup, out: &mut impl Effects<V>) {
        let now = out.now();
        let (last, since) = self.heard.get(&from).copied().unwrap_or((now, now));
        // Who rests is silent without being gone.
        let gap = !self.raft.clock().resting() && now.since(last) > super::propose::CONNECTION_PATIENCE;
        let since = if gap { now } else { since };
        self.heard.insert(from, (now, since));
        self.gone.remove(&from);
        if let Body::Propose { change, data } = message.body {
            if let Ok(Some(index)) = self.raft.propose(change, data) {
                self.causes.insert(index, out.note(EtcdNote::Proposed { index }));
            }
            return;
        }
        let before = self.raft.role();
        self.raft.step(from, message, setup.moment(out));
        self.tell_of_campaign(before, out);
    }

    pub(super) fn tell_of_campaign(&self, before: super::raft::Role, out: &mut impl Effects<V>) {
        use super::raft::Role;
        let after = self.raft.role();
        let asks = matches!(after, Role::PreCandidate | Role::Candidate);
        if after != before && asks {
            let term = self.raft.term() + u64::from(after == Role::PreCandidate);
            out.note(EtcdNote::Campaigned { term });
        }
    }

    /// Does what the log wants done, until it waits for the disk or for somebody else.
    fn pump(&mut self, setup: Setup, out: &mut impl Effects<V>) {
        loop {
            while !self.disk.is_busy() {
                if let Some(context) = self.reads.begin(out.now(), setup.settings.read_retry) {
                    self.raft.read_index(context);
                }
                if !self.raft.has_ready() {
                    break;
                }
                let ready = self.raft.ready();
                self.carry_out(ready, setup, out);
            }
            // A new leader sets free what waited for one, which then is to be sent.
            if !self.notice_leader(setup, out) {
                break;
            }
        }
        if !self.running {
            return;
        }
        self.start_applying(setup, out);
        self.arm(setup, out);
    }

    fn carry_out(&mut self, ready: Ready<Arc<Command<V>>, Arc<Image<V>>>, setup: Setup, out: &mut impl Effects<V>) {
        let saved = ready.saved();
        for (context, index) in ready.reads {
            self.reads.confirm(context, index);
        }
        self.release_reads(setup, out);
        for entry in &ready.committed {
            if let Some(cause) = self.causes.get_mut(&entry.index) {
                out.because(*cause);
                *cause = out.note(EtcdNote::Committed { index: entry.index });
            }
        }
        self.committed.extend(ready.committed);
        for to in ready.snapshots {
            self.send_snapshot(to, setup, out);
        }
        self.send_all(ready.messages, out);
        if !ready.sync {
            self.wal.save(ready.hard, Vec::new());
            self.send_all(ready.answers, out);
            return self.raft.advance(saved, setup.moment(out));
        }
        if let Some(cause) = ready.entries.first().and_then(|first| self.causes.get(&first.index)) {
            out.because(*cause);
        }
        let bytes = ready.entries.iter().map(Entry::size).sum();
        self.metrics.wal_bytes += bytes as u64;
        let mut took = self.start_fsync(bytes, setup, out);
        if let Some(snapshot) = &ready.snapshot {
            took += setup.settings.costs.snapshot_per_mib.fraction(snapshot.state.database.size(), 1 << 20);
        }
        let (entries, answers, snapshot) = (ready.entries, ready.answers, ready.snapshot);
        self.persisting = Some(Persisting { saved, entries, answers, snapshot });
        out.after(took, EtcdEvent::Own { life: self.life, what: Own::Synced });
    }

    fn start_fsync(&mut self, bytes: usize, setup: Setup, out: &mut impl Effects<V>) -> Duration {
        self.settle(setup, out);
        let times = (out.now(), self.database.busy_until());
        let took = self.disk.start(bytes, self.me, times, setup.seed, &setup.settings.costs);
        // A leader that waits so long for its disk sends no heartbeats meanwhile.
        if self.raft.is_leader() && took >= setup.settings.pace.election_timeout().fraction(1, 2) {
            out.disturb();
        }
        took
    }

    fn synced(&mut self, setup: Setup, out: &mut impl Effects<V>) {
        let took = self.disk.finish(out.now());
        self.metrics.wal_fsync.observe(took);
        let Some(done) = self.persisting.take() else { return };
        let index = done.entries.last().map_or(self.wal.last_index(), |entry| entry.index);
        out.note(EtcdNote::Persisted { index, entries: done.entries.len() as u32, took });
        if let Some(snapshot) = done.snapshot {
            self.wal.restart(snapshot.mark);
            self.install(&snapshot, out);
        }
        self.wal.save(done.saved.hard, done.entries);
        self.send_all(done.answers, out);
        let moment = setup.moment(out);
        self.raft.advance(done.saved, moment);
        let tick = setup.settings.pace.tick;
        if took > tick {
            self.raft.missed(took, moment);
            if self.raft.is_leader() && took > tick.times(2) {
                self.metrics.heartbeat_send_failures += self.raft.config().others(self.me).count() as u64;
            }
        }
        if std::mem::take(&mut self.tick_missed) {
            let before = self.raft.role();
            self.raft.tick(moment);
            self.tell_of_campaign(before, out);
        }
    }

    pub(super) fn send_all(&mut self, messages: Vec<(u8, PeerMessage<V>)>, out: &mut impl Effects<V>) {
        for (to, message) in messages {
            *self.metrics.peer_sent.entry(self.store.members().id(to)).or_default() += message.size() as u64;
            out.send(to, EtcdEvent::Peer { from: self.me, message });
        }
    }

    /// Does the commits of the database that were due.
    pub(super) fn settle(&mut self, setup: Setup, out: &impl Effects<V>) {
        let work =
            Work { member: self.me, now: out.now(), seed: setup.seed, settings: setup.settings, disk: &self.disk };
        let before = self.database.size();
        if let Some(took) = self.database.settle(work) {
            self.metrics.backend_commit.observe(took);
            self.disk.commit(self.database.size() > before);
        }
    }

    /// A response as of now.
    pub(super) fn response(&self, body: Result<Reply<V>, EtcdError>) -> Response<V> {
        Response { revision: self.store.revision(), term: self.raft.term(), body }
    }

    /// Sends a response to a client of this member, or over the member it is connected to.
    pub(super) fn answer(&self, client: Client, response: Response<V>, out: &mut impl Effects<V>) {
        if client.via == self.me {
            out.reply(client.endpoint, client.id, response);
        } else {
            out.send(client.via, EtcdEvent::Returned { client, response: Box::new(response) });
        }
    }

    fn send_snapshot(&mut self, to: u8, setup: Setup, out: &mut impl Effects<V>) {
        let Some(term) = self.raft.log().term(self.applied) else { return };
        self.settle(setup, out);
        let image = self.image();
        let mark = Mark { index: self.applied, term };
        let snapshot = Snapshot { mark, config: self.raft.config().clone(), state: Arc::new(image) };
        out.note(EtcdNote::SnapshotSent { to, index: self.applied });
        self.raft.send_snapshot(to, Arc::new(snapshot), setup.moment(out));
    }

    fn install(&mut self, snapshot: &Snapshot<Arc<Image<V>>>, out: &mut impl Effects<V>) {
        self.store = snapshot.state.store.clone();
        self.database = snapshot.state.database.clone();
        self.applied = snapshot.mark.index;
        self.committed.clear();
        self.applying.clear();
        self.batch = self.batch.wrapping_add(1);
        self.watchers.restart();
        out.note(EtcdNote::SnapshotInstalled { index: self.applied });
        self.set_watch_sync(out);
    }
}
