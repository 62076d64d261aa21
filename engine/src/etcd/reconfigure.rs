//! Members that come, go, begin to vote or hand over.
//!
//! Models: etcd v3.6 server/etcdserver/server.go (`AddMember`, `mayAddMember`, `mayRemoveMember`, `promoteMember`,
//! `MoveLeader`). A member that was removed ends its process.

use super::error::EtcdError;
use super::event::{Client, Effects};
use super::identity::member_id;
use super::member::{Member, Setup};
use super::members::{MemberChange, MemberInfo};
use super::request::{Request, Value};
use crate::kernel::{Duration, Instant};

/// A member is healthy when it was heard of for so long. – constant; etcd: HealthInterval.
const HEALTHY: Duration = Duration::from_secs(5);

impl<V: Value> Member<V> {
    /// The change a request asks for, unless it would endanger the quorum.
    pub(super) fn member_change(
        &mut self,
        request: &Request<V>,
        setup: Setup,
        out: &impl Effects<V>,
    ) -> Result<MemberChange, EtcdError> {
        let members = self.store.members();
        match request {
            Request::MemberAdd { peer_urls, learner } => {
                if !learner && !members.may_add_voter() {
                    return Err(EtcdError::NotEnoughStarted);
                }
                if members.voters().any(|voter| !self.healthy(voter.number, out.now())) {
                    return Err(EtcdError::Unhealthy);
                }
                members.check_add(peer_urls, *learner)?;
                let second = setup.settings.began_unix + out.now().as_nanos() / 1_000_000_000;
                let info = MemberInfo {
                    number: 0,
                    id: member_id(peer_urls, TOKEN, Some(second)),
                    name: "".into(),
                    peer_urls: peer_urls.clone(),
                    client_urls: "".into(),
                    learner: *learner,
                };
                Ok(MemberChange::Add(info))
            }
            Request::MemberUpdate { id, peer_urls } => {
                let number = members.find(*id)?.number;
                let others = members.list().into_iter().filter(|member| member.number != number);
                if others.into_iter().any(|member| member.peer_urls == *peer_urls) {
                    return Err(EtcdError::PeerUrlExists);
                }
                Ok(MemberChange::Update { number, peer_urls: peer_urls.clone() })
            }
            Request::MemberRemove(id) => {
                let number = members.find(*id)?.number;
                self.may_remove(number, out.now())?;
                Ok(MemberChange::Remove(number))
            }
            Request::MemberPromote(id) => {
                let member = members.find(*id)?;
                if !member.learner {
                    return Err(EtcdError::NotLearner);
                }
                let last = self.raft.log().last_index();
                match self.raft.progress(member.number) {
                    None if !self.raft.is_leader() => Err(EtcdError::NotLeader),
                    Some(peer) if peer.matched * 10 >= last * 9 => Ok(MemberChange::Promote(member.number)),
                    _ => Err(EtcdError::LearnerNotReady),
                }
            }
            _ => Err(EtcdError::MemberNotFound),
        }
    }

    fn may_remove(&self, number: u8, now: Instant) -> Result<(), EtcdError> {
        let members = self.store.members();
        if members.get(number).is_some_and(|member| member.learner) {
            return Ok(());
        }
        if !members.may_remove(number) {
            return Err(EtcdError::NotEnoughStarted);
        }
        // One that is down is no part of the quorum that works.
        if number != self.me && self.connected_since(number, now).is_none() {
            return Ok(());
        }
        let voters = members.voters().count();
        let healthy = members.voters().filter(|voter| self.healthy(voter.number, now)).count();
        if healthy < 2 + (voters - 1) / 2 { Err(EtcdError::Unhealthy) } else { Ok(()) }
    }

    fn healthy(&self, number: u8, now: Instant) -> bool {
        let since = Instant::from_nanos(now.as_nanos().saturating_sub(HEALTHY.as_nanos()));
        number == self.me || self.connected_since(number, now).is_some_and(|connected| connected <= since)
    }

    /// Hands over to another; the client hears when that one leads.
    pub(super) fn move_leader(
        &mut self,
        client: Client,
        id: u64,
        setup: Setup,
        out: &mut impl Effects<V>,
    ) -> Result<(), EtcdError> {
        if !self.raft.is_leader() {
            return Err(EtcdError::NotLeader);
        }
        let target = self.store.members().find(id).map_err(|_| EtcdError::BadTransferee)?;
        if target.learner {
            return Err(EtcdError::BadTransferee);
        }
        let to = target.number;
        if to == self.me {
            self.answer(client, self.response(Ok(super::reply::Reply::LeaderMoved)), out);
            return Ok(());
        }
        self.moving = Some((client, to, out.now()));
        self.raft.transfer(to, setup.moment(out));
        Ok(())
    }

    /// A member that finds itself removed ends.
    pub(super) fn leave_if_removed(&mut self, setup: Setup, out: &mut impl Effects<V>) {
        let known = self.store.members().get(self.me).is_some();
        if !known && !self.raft.config().voters.is_empty() {
            self.end(EtcdError::Stopped, setup, out);
        }
    }
}

/// What the identity of a member that joins is made of besides its URLs: etcd hands in no cluster's name here.
const TOKEN: &str = "";
