//! How a member comes into being, starts, stops and dies, and sees leaders come and go.
//!
//! Models: etcd v3.6 server/etcdserver/bootstrap.go, server.go (`Stop`, `TransferLeadership`, `publishV3`), raft.go
//! (the soft state of a Ready).

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use super::auto_compaction::AutoCompactor;
use super::database::Database;
use super::disk::Disk;
use super::error::EtcdError;
use super::event::{Effects, EtcdEvent, EtcdNote};
use super::image::{Image, RestoreOptions};
use super::lease::Lessor;
use super::member::{Member, MemberLog, Setup, Timers};
use super::members::{Formation, MemberChange};
use super::metrics::Metrics;
use super::raft::pace::Clock;
use super::raft::{HardState, Mark, Moment, Raft};
use super::reads::Reads;
use super::reply::Reply;
use super::request::{Proposal, Value};
use super::settings::EtcdSettings;
use super::store::Store;
use super::wal::Wal;
use super::watch::Watchers;
use crate::kernel::{Duration, Instant, Seed};

impl<V: Value> Member<V> {
    /// Member `me` of a cluster that has just formed, with an empty store: the first leader leads in term 2, all
    /// processes run and have said their names.
    pub fn new(me: u8, formation: &Formation, seed: Seed, settings: &EtcdSettings) -> Self {
        let mut store = Store::default();
        store.set_members(formation.members(true));
        // One entry per member that joined, the leader's first, one per name, and the cluster's version.
        let base = Mark { index: 2 * formation.members.len() as u64 + 2, term: 2 };
        let moment = Moment { now: Instant::START, seed, pace: &settings.pace, calm: true };
        let leader = formation.first_leader;
        let raft = Raft::formed(me, leader, base, store.members().config(), moment);
        let hard = HardState { term: 2, vote: Some(leader), commit: base.index };
        let wal = Wal::new(hard, base);
        let mut member = Member::with(me, formation, store, Database::default(), wal, raft);
        (member.leader, member.running) = (Some(leader), true);
        let others = member.raft.config().others(me).map(|other| (other, (Instant::START, Instant::START)));
        member.heard = others.collect();
        member
    }

    /// A member that was added to a running cluster: nothing on its disk, its process not yet started.
    pub fn joining(me: u8, name: &str, client_urls: &str, seed: Seed, settings: &EtcdSettings) -> Self {
        let (hard, base) = (HardState::default(), Mark::default());
        let names = Formation { token: "".into(), members: Vec::new(), first_leader: 0 };
        let mut member = Member::stopped(me, &names, Store::default(), Database::default(), hard, base, seed, settings);
        member.name = (name.into(), client_urls.into());
        member.unversioned = Some((0, Instant::START));
        member
    }

    /// A member of a new cluster that begins with a snapshot; its process not yet started. – etcdutl snapshot restore.
    pub fn restored(
        me: u8,
        formation: &Formation,
        image: &Image<V>,
        options: RestoreOptions,
        seed: Seed,
        settings: &EtcdSettings,
    ) -> Self {
        let (store, database) = image.restored(formation, options);
        // One entry per member that joined, all in term 1.
        let base = Mark { index: formation.members.len() as u64, term: 1 };
        let hard = HardState { term: 1, vote: None, commit: base.index };
        Member::stopped(me, formation, store, database, hard, base, seed, settings)
    }

    /// Takes the place of a member whose data directory this one's replaces: what that one's processes waited for is
    /// nobody's business.
    pub fn come_after(&mut self, before: &Member<V>) {
        self.life = before.life + 1;
        self.metrics = Metrics::default();
        if self.name.1.is_empty() {
            self.name.1 = before.name.1.clone();
        }
    }

    fn stopped(
        me: u8,
        formation: &Formation,
        store: Store<V>,
        database: Database,
        hard: HardState,
        base: Mark,
        seed: Seed,
        settings: &EtcdSettings,
    ) -> Self {
        let wal = Wal::new(hard, base);
        let moment = Moment { now: Instant::START, seed, pace: &settings.pace, calm: false };
        let clock = Clock::new(Instant::START, 0);
        let raft = Raft::new(me, hard, wal.recover(base.index), store.members().config(), clock, moment);
        Member::with(me, formation, store, database, wal, raft)
    }

    fn with(
        me: u8,
        formation: &Formation,
        store: Store<V>,
        database: Database,
        wal: Wal<Arc<super::request::Command<V>>>,
        raft: MemberLog<V>,
    ) -> Self {
        let name = formation.members.get(usize::from(me));
        Member {
            me,
            name: name.map_or(("".into(), "".into()), |(name, _, client)| (name.clone(), client.clone())),
            running: false,
            stopping: None,
            life: 0,
            unversioned: None,
            applied: raft.log().delivered(),
            store,
            database,
            wal,
            raft,
            disk: Disk::default(),
            persisting: None,
            tick_missed: false,
            committed: VecDeque::new(),
            applying: Vec::new(),
            batch: 0,
            defragmenting: None,
            stalled: Vec::new(),
            compacting: Vec::new(),
            named: 0,
            pending: BTreeMap::new(),
            blocked: VecDeque::new(),
            homeless: VecDeque::new(),
            causes: BTreeMap::new(),
            reads: Reads::new(me),
            watchers: Watchers::default(),
            lessor: Lessor::default(),
            leases_named: 0,
            timers: Timers::default(),
            leader: None,
            leader_since: Instant::START,
            moving: None,
            heard: BTreeMap::new(),
            gone: BTreeSet::new(),
            auto: AutoCompactor::default(),
            metrics: Metrics::default(),
        }
    }

    /// The process starts with what is on disk, and says its name as soon as somebody leads.
    pub(super) fn start(&mut self, setup: Setup, out: &mut impl Effects<V>) {
        if self.running {
            return;
        }
        self.running = true;
        self.revive(setup, out);
        self.leader_since = out.now();
        if self.unversioned == Some((0, Instant::START)) {
            self.unversioned = Some((0, out.now()));
        }
        out.note(EtcdNote::Started);
        out.disturb();
        self.tell_others(true, out);
        self.publish(out);
    }

    pub(super) fn publish(&mut self, out: &mut impl Effects<V>) {
        let (name, client_urls) = self.name.clone();
        let change = MemberChange::Publish { number: self.me, name, client_urls };
        // Refused only while leadership is handed over; then the name is known from before.
        let _ = self.enter(None, Proposal::Members(change), None, true, out);
    }

    /// The process is to stop: a leader of several hands over first.
    pub(super) fn stop(&mut self, setup: Setup, out: &mut impl Effects<V>) {
        let Some(heir) = self.heir().filter(|_| self.raft.is_leader()) else {
            return self.end(EtcdError::Stopped, setup, out);
        };
        self.stopping = Some(out.now() + setup.settings.request_timeout);
        self.raft.transfer(heir, setup.moment(out));
    }

    /// The voter that was connected longest; the log of a slow one would hold the hand-over up.
    fn heir(&self) -> Option<u8> {
        let others = self.raft.config().voters.iter().copied().filter(|voter| *voter != self.me);
        let connected = others.filter(|voter| !self.gone.contains(voter));
        let alive = connected.filter(|voter| self.raft.progress(*voter).is_some_and(|peer| peer.active));
        alive.min_by_key(|voter| (self.heard.get(voter).map_or(Instant::START, |(_, since)| *since), *voter))
    }

    /// The process ends: what was not on disk is gone, and all who wait hear `error`.
    pub(super) fn end(&mut self, error: EtcdError, setup: Setup, out: &mut impl Effects<V>) {
        let mut waiting: Vec<_> = self.pending.values().filter_map(|pending| pending.client).collect();
        waiting.extend(self.reads.clear().into_iter().chain(self.stalled.drain(..)).map(|read| read.client));
        waiting.extend(self.compacting.drain(..).map(|(client, _)| client));
        waiting.extend(self.homeless.drain(..).map(|(_, client, _)| client));
        waiting.extend(self.moving.take().map(|(client, ..)| client));
        waiting.extend(self.defragmenting.take().map(|(client, ..)| client));
        waiting.extend(self.watchers.ids());
        for client in waiting.into_iter().filter(|client| client.via == self.me) {
            out.reply(client.endpoint, client.id, self.response(Err(error)));
        }
        out.note(EtcdNote::Stopped);
        out.disturb();
        self.tell_others(false, out);
        self.running = false;
        self.life += 1;
        self.revive(setup, out);
    }

    /// The connections to the others open, or close with the process.
    fn tell_others(&self, open: bool, out: &mut impl Effects<V>) {
        for other in self.raft.config().others(self.me) {
            out.send(other, EtcdEvent::Connection { from: self.me, open });
        }
    }

    /// Nothing but what is on disk.
    fn revive(&mut self, setup: Setup, out: &mut impl Effects<V>) {
        self.disk.abandon();
        (self.persisting, self.stopping, self.tick_missed) = (None, None, false);
        self.committed.clear();
        self.applying.clear();
        self.pending.clear();
        self.blocked.clear();
        self.causes.clear();
        self.heard.clear();
        self.gone.clear();
        self.watchers = Watchers::default();
        self.lessor.demote();
        self.timers = Timers::default();
        self.auto = AutoCompactor::default();
        self.leader = None;
        let clock = Clock::new(out.now(), self.raft.clock().draws());
        let (hard, log) = (self.wal.hard(), self.wal.recover(self.applied));
        let config = self.store.members().config();
        self.raft = Raft::new(self.me, hard, log, config, clock, setup.moment(out));
        if self.raft.config().voters == [self.me] {
            // Nobody else could lead, so it does not wait for a leader as long as others do.
            self.raft.advance_ticks(setup.settings.pace.election - 1);
        }
    }

    /// Looks whether another leads, and does what follows from it; false if not, or if the process ended over it.
    pub(super) fn notice_leader(&mut self, setup: Setup, out: &mut impl Effects<V>) -> bool {
        let leader = self.raft.leader();
        if leader == self.leader || !self.running {
            return false;
        }
        let term = self.raft.term();
        (self.leader, self.leader_since) = (leader, out.now());
        if let Some((seen @ 0, _)) = &mut self.unversioned {
            *seen = term;
        }
        let Some(member) = leader else {
            self.causes.clear();
            self.lessor.demote();
            out.note(EtcdNote::LeaderLost { term });
            return true;
        };
        self.metrics.leader_changes += 1;
        out.note(EtcdNote::Leader { member, term });
        if member == self.me {
            let extra = setup.settings.pace.election_timeout();
            self.lessor.promote(self.store.leases(), extra, out.now());
            self.set_lease_timer(out);
        } else {
            self.causes.clear();
            self.lessor.demote();
        }
        if self.reads.unconfirmed() {
            self.fail_reads(EtcdError::LeaderChanged, out);
        }
        self.moved(member, setup, out);
        self.unblock(out);
        for (_, client, request) in std::mem::take(&mut self.homeless) {
            self.lease_question(client, request, out);
        }
        if self.stopping.is_some() && member != self.me {
            self.end(EtcdError::Stopped, setup, out);
            return false;
        }
        true
    }

    /// Answers the one who asked for a hand-over; etcd looks once per heartbeat interval.
    fn moved(&mut self, leader: u8, setup: Setup, out: &mut impl Effects<V>) {
        let Some((client, to, since)) = self.moving.filter(|(_, to, _)| *to == leader) else { return };
        debug_assert_eq!(to, leader);
        self.moving = None;
        let interval = setup.settings.pace.tick.as_nanos().max(1);
        let looked = out.now().since(since).as_nanos().div_ceil(interval) * interval;
        let wait = (since + Duration::from_nanos(looked)).since(out.now());
        let response = Box::new(self.response(Ok(Reply::LeaderMoved)));
        out.after(wait, EtcdEvent::Answered { life: self.life, client, response });
    }
}
