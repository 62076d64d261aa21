//! Requests that change something: how they come to be proposed, and what becomes of those that take too long.
//!
//! A member that knows no leader keeps proposals until it knows one. A proposal that is lost with its leader is not
//! proposed again: its client hears after the request time-out.
//!
//! Models: etcd v3.6 server/etcdserver/v3_server.go (`processInternalRaftRequestOnce`, `parseProposeCtxErr`),
//! api/v3rpc/quota.go, interceptor.go (no leader).

use std::sync::Arc;

use super::error::EtcdError;
use super::event::{Client, Effects, EtcdEvent, EtcdNote, Own};
use super::member::{Member, Setup};
use super::members::{AlarmKind, AlarmMember, AlarmRequest};
use super::raft::leading::Dropped;
use super::reads::Overdue;
use super::request::{Command, Proposal, Value};
use crate::kernel::out::RecordId;
use crate::kernel::{Duration, Instant};

/// A proposal that waits to be applied.
#[derive(Clone, Copy, Debug)]
pub struct Pending {
    /// Who waits for it; nobody, if the member proposed it by itself.
    pub(super) client: Option<Client>,
    pub(super) cause: RecordId,
    /// When it was asked for.
    pub(super) since: Instant,
    /// Whether it has been proposed: somebody led.
    pub(super) proposed: bool,
    /// What the client hears whatever becomes of it.
    pub(super) refuse: Option<EtcdError>,
    /// The member saying its name: said again until it is heard.
    pub(super) publish: bool,
    /// The client waits until a compaction has left the database.
    pub(super) physical: bool,
}

/// How long silence may last before the connection counts as lost. – constant; etcd: ConnReadTimeout, 5 s.
pub(super) const CONNECTION_PATIENCE: Duration = Duration::from_secs(5);
/// Election time-outs without a leader after which watches that want one end. – constant; etcd: maxNoLeaderCnt, 3.
const LEADERLESS: u64 = 3;

impl<V: Value> Member<V> {
    /// Proposes a change; `client` hears when it is applied here.
    pub(super) fn propose(
        &mut self,
        client: Option<Client>,
        proposal: Proposal<V>,
        setup: Setup,
        out: &mut impl Effects<V>,
    ) -> Result<(), EtcdError> {
        if self.raft.log().commit() > self.applied + setup.settings.max_apply_gap {
            return Err(EtcdError::TooManyRequests);
        }
        if proposal.size() > setup.settings.max_request_bytes {
            return Err(EtcdError::RequestTooLarge);
        }
        if proposal.quota_cost() > 0 {
            self.settle(setup, out);
            if !self.fits(&proposal, setup) {
                return self.raise_alarm(client, out);
            }
        }
        self.enter(client, proposal, None, false, out)
    }

    /// Raises the alarm for want of space; the client is refused once that is done.
    pub(super) fn raise_alarm(&mut self, client: Option<Client>, out: &mut impl Effects<V>) -> Result<(), EtcdError> {
        out.note(EtcdNote::NoSpace);
        let alarm = AlarmMember { member_id: self.store.members().id(self.me), kind: AlarmKind::NoSpace };
        let proposal = Proposal::Alarm(AlarmRequest::Activate(alarm));
        self.enter(client, proposal, Some(EtcdError::NoSpace), false, out)
    }

    /// Whether the quota leaves room for it. – etcd looks at the file's size, holes included.
    pub(super) fn fits(&self, proposal: &Proposal<V>, setup: Setup) -> bool {
        self.database.size() + (proposal.quota_cost() as u64) < setup.settings.quota_bytes
    }

    pub(super) fn enter(
        &mut self,
        client: Option<Client>,
        proposal: Proposal<V>,
        refuse: Option<EtcdError>,
        publish: bool,
        out: &mut impl Effects<V>,
    ) -> Result<(), EtcdError> {
        self.named += 1;
        let id = u64::from(self.me) << 56 | self.named;
        let command = Arc::new(Command { id, proposal });
        let cause = out.cause();
        let proposed = match self.hand_in(command.clone(), out) {
            Ok(()) => true,
            Err(Dropped::NoLeader) => {
                self.blocked.push_back(command);
                false
            }
            Err(Dropped::Transferring) => {
                self.metrics.proposals_failed += 1;
                return Err(EtcdError::ProposalDropped);
            }
        };
        let since = out.now();
        self.pending.insert(id, Pending { client, cause, since, proposed, refuse, publish, physical: false });
        Ok(())
    }

    fn hand_in(&mut self, command: Arc<Command<V>>, out: &mut impl Effects<V>) -> Result<(), Dropped> {
        let change = match &command.proposal {
            Proposal::Members(change) => self.store.members().change(change),
            _ => None,
        };
        if let Some(index) = self.raft.propose(change, Some(command))? {
            self.causes.insert(index, out.note(EtcdNote::Proposed { index }));
        }
        Ok(())
    }

    /// Somebody leads: what waited for that is proposed.
    pub(super) fn unblock(&mut self, out: &mut impl Effects<V>) {
        while let Some(command) = self.blocked.pop_front() {
            let Some(pending) = self.pending.get_mut(&command.id) else { continue };
            pending.proposed = true;
            out.because(pending.cause);
            if self.hand_in(command.clone(), out) == Err(Dropped::NoLeader) {
                self.blocked.push_front(command);
                return;
            }
        }
    }

    /// Sees to it that [`Self::tick`] comes when something is due. A timer that comes too early sets the next one, so a
    /// deadline that keeps moving costs nothing.
    pub(super) fn arm(&mut self, setup: Setup, out: &mut impl Effects<V>) {
        self.set_auto_compaction(setup, out);
        let Some(at) = self.deadline(setup) else { return };
        if self.timers.tick.is_none_or(|set| at < set) {
            let at = at.max(out.now());
            self.timers.tick = Some(at);
            out.after(at.since(out.now()), EtcdEvent::Own { life: self.life, what: Own::Tick });
        }
    }

    fn deadline(&self, setup: Setup) -> Option<Instant> {
        let timeout = setup.settings.request_timeout;
        let raft = self.raft.deadline(&setup.settings.pace).filter(|_| !self.tick_missed);
        let request = self.pending.first_key_value().map(|(_, pending)| pending.since + timeout);
        let homeless = self.homeless.front().map(|(since, ..)| *since + timeout);
        let moving = self.moving.map(|(.., since)| since + timeout);
        let watches = self.leaderless_at(setup);
        [raft, request, homeless, moving, watches, self.reads.deadline(), self.stopping].into_iter().flatten().min()
    }

    fn leaderless_at(&self, setup: Setup) -> Option<Instant> {
        let patience = setup.settings.pace.election_timeout().times(LEADERLESS);
        (self.leader.is_none() && self.watchers.any_require_leader()).then(|| self.leader_since + patience)
    }

    pub(super) fn tick(&mut self, setup: Setup, out: &mut impl Effects<V>) {
        let now = out.now();
        // It may come late, to a process that hung or had no CPU; one that is early was set for another instant.
        if self.timers.tick.is_none_or(|set| set > now) {
            return;
        }
        self.timers.tick = None;
        if self.raft.deadline(&setup.settings.pace).is_some_and(|at| at <= now) {
            if self.disk.is_busy() {
                self.tick_missed = true;
            } else {
                let before = self.raft.role();
                self.raft.tick(setup.moment(out));
                self.tell_of_campaign(before, out);
            }
        }
        self.time_out(setup, out);
        let (retry, timeout) = (setup.settings.read_retry, setup.settings.request_timeout);
        match self.reads.overdue(now, retry, timeout) {
            Overdue::No => {}
            Overdue::Again(context) => {
                self.metrics.slow_read_indexes += 1;
                self.raft.read_index(context);
            }
            Overdue::Failed => {
                self.metrics.read_indexes_failed += 1;
                self.fail_reads(EtcdError::Timeout, out);
            }
        }
        if self.leaderless_at(setup).is_some_and(|at| at <= now) {
            for client in self.watchers.leaderless() {
                out.reply(client.endpoint, client.id, self.response(Err(EtcdError::NoLeader)));
            }
        }
        if self.stopping.is_some_and(|until| until <= now) {
            self.end(EtcdError::Stopped, setup, out);
        }
    }

    /// Tells those whose time is up.
    fn time_out(&mut self, setup: Setup, out: &mut impl Effects<V>) {
        let (now, timeout) = (out.now(), setup.settings.request_timeout);
        while let Some(first) = self.pending.first_entry().filter(|first| first.get().since + timeout <= now) {
            let pending = first.remove();
            self.metrics.proposals_failed += 1;
            if pending.publish {
                self.publish(out);
            }
            let Some(client) = pending.client else { continue };
            out.because(pending.cause);
            let error = self.timeout_error(pending, setup, now);
            out.reply(client.endpoint, client.id, self.response(Err(error)));
        }
        let pending = &self.pending;
        self.blocked.retain(|command| pending.contains_key(&command.id));
        while self.homeless.front().is_some_and(|(since, ..)| *since + timeout <= now) {
            let Some((_, client, _)) = self.homeless.pop_front() else { break };
            out.reply(client.endpoint, client.id, self.response(Err(EtcdError::Timeout)));
        }
        if let Some((client, _, since)) = self.moving
            && since + timeout <= now
        {
            self.moving = None;
            out.reply(client.endpoint, client.id, self.response(Err(EtcdError::TransferTimeout)));
        }
    }

    /// Why a proposal took too long, as far as the member can tell.
    fn timeout_error(&self, pending: Pending, setup: Setup, now: Instant) -> EtcdError {
        if !pending.proposed {
            return EtcdError::DeadlineExceeded;
        }
        let window = setup.settings.pace.election_timeout().times(2);
        let elected = self.leader_since;
        let before = Instant::from_nanos(elected.as_nanos().saturating_sub(window.as_nanos()));
        if self.leader.is_some() && pending.since > before && pending.since < elected {
            return EtcdError::TimeoutLeaderFail;
        }
        let since = |peer: u8| self.connected_since(peer, now).is_some_and(|since| since <= pending.since);
        let connected = match self.leader {
            None => true,
            Some(leader) if leader == self.me => self.raft.config().majority(|voter| voter == self.me || since(voter)),
            Some(leader) => since(leader),
        };
        if connected { EtcdError::Timeout } else { EtcdError::TimeoutConnectionLost }
    }

    /// Since when a member has been heard of without a gap; `None` if it is silent now.
    pub(super) fn connected_since(&self, peer: u8, now: Instant) -> Option<Instant> {
        if self.gone.contains(&peer) {
            return None;
        }
        if self.raft.clock().resting() {
            // Nothing is wrong with anybody then.
            return Some(self.heard.get(&peer).map_or(Instant::START, |(_, since)| *since));
        }
        if self.leader.is_some_and(|leader| leader != self.me && leader != peer) {
            // Followers have nothing to say to each other; etcd probes them, this takes the leader's being there for
            // it.
            return Some(self.leader_since);
        }
        let (last, since) = self.heard.get(&peer)?;
        (now.since(*last) <= CONNECTION_PATIENCE).then_some(*since)
    }
}
