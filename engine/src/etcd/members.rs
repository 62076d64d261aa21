//! Who belongs to the cluster, and what is wrong with it: replicated state beside the keys.
//!
//! A member has a number (its place in the run, never given out twice), an identity (a hash of its peer URLs, what
//! etcdctl prints) and, once its process has started, a name.
//!
//! Models: etcd v3.6 server/etcdserver/api/membership/{cluster,member}.go, server/etcdserver/api/v3alarm.

use std::sync::Arc;

use super::error::EtcdError;
use super::identity::{cluster_id, member_id};
use super::raft::{Change, Config};

/// One member.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MemberInfo {
    /// Its number.
    pub number: u8,
    /// Its identity; etcdctl prints it in hexadecimal.
    pub id: u64,
    /// Its name; empty until its process has started.
    pub name: Arc<str>,
    /// Where the others reach it, separated by commas.
    pub peer_urls: Arc<str>,
    /// Where clients reach it; empty until its process has started.
    pub client_urls: Arc<str>,
    /// Whether it only listens.
    pub learner: bool,
}

/// How a cluster is formed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Formation {
    /// What the identities are made of. – etcd: --initial-cluster-token.
    pub token: Arc<str>,
    /// The members: name, peer URL, client URL.
    pub members: Vec<Founder>,
    /// The number of the one that won the first election; in a real cluster this is chance.
    pub first_leader: u8,
}

/// A member as it is named when a cluster is formed: name, peer URL, client URL.
pub type Founder = (Arc<str>, Arc<str>, Arc<str>);

/// All members.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Members {
    cluster: u64,
    /// In order of their numbers.
    list: Vec<MemberInfo>,
    next_number: u8,
    alarms: Vec<AlarmMember>,
}

/// A change of members, as it stands in the log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum MemberChange {
    /// A new one; its number is given out when it is applied.
    Add(MemberInfo),
    /// One less.
    Remove(u8),
    /// A learner votes.
    Promote(u8),
    /// A member is reached elsewhere by the others.
    Update {
        /// The member.
        number: u8,
        /// Where the others reach it.
        peer_urls: Arc<str>,
    },
    /// A process has started and says who it is.
    Publish {
        /// The member.
        number: u8,
        /// Its name.
        name: Arc<str>,
        /// Where clients reach it.
        client_urls: Arc<str>,
    },
}

/// What is wrong with a member.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum AlarmKind {
    /// Its database has reached its quota: nothing may be written.
    NoSpace,
    /// Its data differs from the others'.
    Corrupt,
}

/// An alarm of a member.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct AlarmMember {
    /// Whose.
    pub member_id: u64,
    /// Which.
    pub kind: AlarmKind,
}

/// What is asked about alarms.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AlarmRequest {
    /// Which there are.
    Get,
    /// There is one.
    Activate(AlarmMember),
    /// It is over.
    Deactivate(AlarmMember),
}

/// Most learners. – etcd: --max-learners, 1.
const MAX_LEARNERS: usize = 1;

impl Formation {
    /// So many members on one machine, as in etcd's own examples: one is `default`, several are m1, m2 and so on.
    pub fn local(members: u8) -> Self {
        if members <= 1 {
            let only = ("default".into(), "http://localhost:2380".into(), "http://localhost:2379".into());
            return Formation { token: "etcd-cluster".into(), members: vec![only], first_leader: 0 };
        }
        let member = |n: u16| {
            let port = 1_379 + 1_000 * u32::from(n);
            let url = |port: u32| Arc::from(format!("http://127.0.0.1:{port}"));
            (Arc::from(format!("m{n}")), url(port + 1), url(port))
        };
        let members = (1..=u16::from(members)).map(member).collect();
        Formation { token: "demo".into(), members, first_leader: 0 }
    }

    /// So many members of a control plane: etcd-0, etcd-1 and so on, one port apart by a thousand.
    pub fn control_plane(members: u8) -> Self {
        let member = |n: u8| {
            let port = 2_379 + 1_000 * u32::from(n);
            let url = |port: u32| Arc::from(format!("http://127.0.0.1:{port}"));
            (Arc::from(format!("etcd-{n}")), url(port + 1), url(port))
        };
        Formation { members: (0..members).map(member).collect(), ..Formation::local(1) }
    }

    /// The members as such a cluster begins with them; `started`: all processes have said their names.
    pub fn members(&self, started: bool) -> Members {
        let member = |(number, (name, peer, client)): (usize, &Founder)| MemberInfo {
            number: number as u8,
            id: member_id(peer, &self.token, None),
            name: if started { name.clone() } else { "".into() },
            peer_urls: peer.clone(),
            client_urls: if started { client.clone() } else { "".into() },
            learner: false,
        };
        let list: Vec<_> = self.members.iter().enumerate().map(member).collect();
        let ids: Vec<u64> = list.iter().map(|member| member.id).collect();
        Members { cluster: cluster_id(&ids), next_number: list.len() as u8, list, alarms: Vec::new() }
    }
}

impl Members {
    /// The cluster's identity.
    pub fn cluster_id(&self) -> u64 {
        self.cluster
    }

    /// The members in order of their identities, as they are listed.
    pub fn list(&self) -> Vec<MemberInfo> {
        let mut list = self.list.clone();
        list.sort_unstable_by_key(|member| member.id);
        list
    }

    /// The member of that number.
    pub fn get(&self, number: u8) -> Option<&MemberInfo> {
        self.list.iter().find(|member| member.number == number)
    }

    /// The member of that identity.
    pub fn find(&self, id: u64) -> Result<&MemberInfo, EtcdError> {
        self.list.iter().find(|member| member.id == id).ok_or(EtcdError::MemberNotFound)
    }

    /// The identity of that number; 0 if there is none.
    pub fn id(&self, number: u8) -> u64 {
        self.get(number).map_or(0, |member| member.id)
    }

    /// The active alarms.
    pub fn alarms(&self) -> &[AlarmMember] {
        &self.alarms
    }

    /// Whether an alarm of that kind is active, of whichever member.
    pub fn alarmed(&self, kind: AlarmKind) -> bool {
        self.alarms.iter().any(|alarm| alarm.kind == kind)
    }

    /// The members as Raft sees them.
    pub fn config(&self) -> Config {
        let of = |learner| self.list.iter().filter(|m| m.learner == learner).map(|m| m.number).collect();
        Config { voters: of(false), learners: of(true) }
    }

    /// Raft's side of a change; `None` if it is none.
    pub fn change(&self, change: &MemberChange) -> Option<Change> {
        match change {
            MemberChange::Add(info) if info.learner => Some(Change::Learner(self.next_number)),
            MemberChange::Add(_) => Some(Change::Voter(self.next_number)),
            MemberChange::Promote(number) => Some(Change::Voter(*number)),
            MemberChange::Remove(number) => Some(Change::Remove(*number)),
            MemberChange::Publish { .. } | MemberChange::Update { .. } => None,
        }
    }

    /// Makes a change; a member that was added comes back with its number.
    pub(super) fn apply(&mut self, change: &MemberChange) -> Result<Option<MemberInfo>, EtcdError> {
        match change {
            MemberChange::Add(info) => {
                self.check_add(&info.peer_urls, info.learner)?;
                let info = MemberInfo { number: self.next_number, ..info.clone() };
                self.next_number += 1;
                self.list.push(info.clone());
                return Ok(Some(info));
            }
            MemberChange::Remove(number) => {
                self.list.retain(|member| member.number != *number);
                let ids: Vec<u64> = self.list.iter().map(|member| member.id).collect();
                self.alarms.retain(|alarm| ids.contains(&alarm.member_id));
            }
            MemberChange::Promote(number) => {
                self.get_mut(*number).ok_or(EtcdError::MemberNotFound)?.learner = false;
            }
            MemberChange::Update { number, peer_urls } => {
                self.get_mut(*number).ok_or(EtcdError::MemberNotFound)?.peer_urls = peer_urls.clone();
            }
            MemberChange::Publish { number, name, client_urls } => {
                let member = self.get_mut(*number).ok_or(EtcdError::MemberNotFound)?;
                (member.name, member.client_urls) = (name.clone(), client_urls.clone());
            }
        }
        Ok(None)
    }

    /// Lists, raises or disarms; the answer is what was concerned.
    pub(super) fn alarm(&mut self, request: AlarmRequest) -> Vec<AlarmMember> {
        match request {
            AlarmRequest::Get => self.alarms.clone(),
            AlarmRequest::Activate(alarm) => {
                if !self.alarms.contains(&alarm) {
                    self.alarms.push(alarm);
                    self.alarms.sort_unstable();
                }
                vec![alarm]
            }
            AlarmRequest::Deactivate(alarm) => {
                let before = self.alarms.len();
                self.alarms.retain(|active| *active != alarm);
                if self.alarms.len() < before { vec![alarm] } else { Vec::new() }
            }
        }
    }

    /// What the cluster refuses to add.
    pub(super) fn check_add(&self, peer_urls: &str, learner: bool) -> Result<(), EtcdError> {
        if self.list.iter().any(|member| &*member.peer_urls == peer_urls) {
            return Err(EtcdError::PeerUrlExists);
        }
        if learner && self.list.iter().filter(|member| member.learner).count() >= MAX_LEARNERS {
            return Err(EtcdError::TooManyLearners);
        }
        Ok(())
    }

    /// Whether one more voter would leave a majority of started ones. – etcd: IsReadyToAddVotingMember.
    pub(super) fn may_add_voter(&self) -> bool {
        let voters = self.voters().count();
        let started = self.voters().filter(|member| member.started()).count();
        started == 1 && voters == 1 || started > voters.div_ceil(2)
    }

    /// Whether the others without `number` keep a majority of started ones. – etcd: IsReadyToRemoveVotingMember.
    pub(super) fn may_remove(&self, number: u8) -> bool {
        let rest: Vec<_> = self.voters().filter(|member| member.number != number).collect();
        !rest.is_empty() && rest.iter().filter(|member| member.started()).count() > rest.len() / 2
    }

    /// Those that vote.
    pub(super) fn voters(&self) -> impl Iterator<Item = &MemberInfo> {
        self.list.iter().filter(|member| !member.learner)
    }

    fn get_mut(&mut self, number: u8) -> Option<&mut MemberInfo> {
        self.list.iter_mut().find(|member| member.number == number)
    }
}

impl MemberInfo {
    /// Whether its process has ever said its name.
    pub fn started(&self) -> bool {
        !self.name.is_empty()
    }
}

impl AlarmMember {
    /// As `alarm list` and the errors of a status show it.
    pub fn text(&self) -> String {
        let kind = match self.kind {
            AlarmKind::NoSpace => "NOSPACE",
            AlarmKind::Corrupt => "CORRUPT",
        };
        format!("memberID:{} alarm:{kind} ", self.member_id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(urls: &str, learner: bool) -> MemberChange {
        let (name, client_urls) = ("".into(), "".into());
        MemberChange::Add(MemberInfo { number: 0, id: 9, name, peer_urls: urls.into(), client_urls, learner })
    }

    #[test]
    fn a_number_is_never_given_out_twice() {
        let mut members = Formation::local(3).members(true);
        members.apply(&MemberChange::Remove(2)).unwrap();
        let added = members.apply(&add("http://127.0.0.1:4380", false)).unwrap();
        assert_eq!(added.map(|member| member.number), Some(3));
        assert_eq!(members.config().voters, [0, 1, 3]);
    }

    #[test]
    fn members_that_have_not_started_forbid_more_of_them() {
        let mut members = Formation::local(3).members(true);
        assert!(members.may_add_voter() && members.may_remove(1));
        members.apply(&add("x", false)).unwrap();
        assert!(members.may_add_voter(), "three of five would be started");
        members.apply(&add("y", false)).unwrap();
        assert!(!members.may_add_voter(), "three of six are no majority");
        assert!(!Formation::local(1).members(true).may_remove(0), "the last one stays");
        assert_eq!(members.apply(&add("y", false)), Err(EtcdError::PeerUrlExists));
        members.apply(&add("z", true)).unwrap();
        assert_eq!(members.apply(&add("zz", true)), Err(EtcdError::TooManyLearners));
    }

    #[test]
    fn an_alarm_stays_until_it_is_disarmed() {
        let mut members = Formation::local(1).members(true);
        let alarm = AlarmMember { member_id: 10_276_657_743_932_975_437, kind: AlarmKind::NoSpace };
        members.alarm(AlarmRequest::Activate(alarm));
        members.alarm(AlarmRequest::Activate(alarm));
        assert_eq!(members.alarm(AlarmRequest::Get), [alarm]);
        assert_eq!(alarm.text(), "memberID:10276657743932975437 alarm:NOSPACE ");
        assert_eq!(members.alarm(AlarmRequest::Deactivate(alarm)), [alarm]);
        assert_eq!(members.alarm(AlarmRequest::Deactivate(alarm)), []);
    }
}
