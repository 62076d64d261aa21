//! The API server's connections to etcd, and what etcd's client library does by itself.
//!
//! Every kind has a client of its own, so after a failure each comes back at a time of its own. A call waits for its connection: while no
//! member can be reached nothing fails, it blocks until its request's time is up. A connection that breaks fails the writes that are on
//! it, for nobody knows what became of them; reads are asked again, and a watch goes on where it stopped. The next member is tried at
//! once; when all have refused, gRPC backs off: 1 s, then 1.6 times as long, give or take 20 %, at most 2 min.
//!
//! Models: etcd v3.6 client/v3/{client,retry,retry_interceptor,watch}.go; grpc-go backoff/backoff.go (DefaultConfig), clientconn.go
//! (resetTransport); kubernetes v1.36.2 staging/src/k8s.io/apiserver/pkg/storage/storagebackend/factory/etcd3.go.
//! Left out: a client talks to one member at a time instead of to all of them in turn.

use std::collections::BTreeMap;

use super::ApiServerEvent;
use crate::etcd::{Code, EtcdError, EtcdEvent, Reply, Request, Response, WatchReply};
use crate::event::{Effects, EtcdValue, Event};
use crate::kernel::{Duration, Endpoint};
use crate::objects::Kind;
use crate::setup::Setup;

/// Pause before a read is asked again. – constant; etcd: client/v3 defaultBackoffWaitBetween, 25 ms.
const RETRY: Duration = Duration::from_millis(25);
/// gRPC: DefaultConfig.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(120);
/// How long one attempt to connect may take; gRPC: minConnectTimeout.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);
/// From a connection's breaking to the first attempt: what else was on it is heard of meanwhile. – estimate.
const NOTICE: Duration = Duration::from_millis(5);
/// How long silence may last before a connection counts as broken; apiserver: keepaliveTime 30 s and keepaliveTimeout 10 s.
pub const KEEPALIVE: Duration = Duration::from_secs(40);

/// Questions of the API server itself have ids from here on; a request's lie below.
const OWN: u64 = 1 << 60;

/// What a question of the API server itself is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Own {
    /// The changes of a kind.
    Watch,
    /// Everything of a kind.
    List,
    /// Whether a watch has caught up.
    Progress,
    /// Whether a member can be reached.
    Probe,
    /// A lease for events.
    Grant,
    /// The compactor's transaction.
    Lock,
    /// The compaction.
    Compact,
    /// An address that its Service no longer has.
    Release,
    /// The end of a watch that is resumed.
    Cancel,
}

const OWN_KINDS: [Own; 9] =
    [Own::Watch, Own::List, Own::Progress, Own::Probe, Own::Grant, Own::Lock, Own::Compact, Own::Release, Own::Cancel];

/// The group of the compactor's client; those before it are the kinds'.
pub const COMPACTOR: u8 = Kind::ALL.len() as u8;
/// Those of the health checks.
pub const HEALTH: u8 = COMPACTOR + 1;
/// Likewise.
pub const READINESS: u8 = COMPACTOR + 2;
const GROUPS: usize = Kind::ALL.len() + 3;
/// Groups are numbers of a byte.
const MOST_GROUPS: usize = 250;

/// What came of something.
#[derive(Debug)]
pub enum Heard {
    /// An answer to a request's question, or the API server's own.
    Answer(u64, Response<EtcdValue>),
    /// The watch of a kind told of changes.
    Changes(Kind, Response<EtcdValue>),
    /// The watch of a kind is over: the cache has to be filled anew.
    Over(Kind),
    /// The cache of a kind knows everything up to this revision.
    Fresh(Kind, u64),
}

/// The connections.
#[derive(Clone, Debug)]
pub struct EtcdClient {
    /// The number of the API server.
    server: u8,
    /// Which process of the API server this is.
    life: u32,
    connections: Vec<Connection>,
    /// The kinds that are served only from some moment on, in the order in which they came: their groups follow the others.
    defined: Vec<Kind>,
    /// What has been asked and not answered.
    open: BTreeMap<u64, Open>,
}

#[derive(Clone, Debug)]
struct Open {
    group: u8,
    request: Request<EtcdValue>,
    /// It is with the member; if not, it waits for a connection.
    sent: bool,
}

#[derive(Clone, Copy, Debug, Default)]
struct Connection {
    member: u8,
    state: State,
    /// Attempts in a row at which every member refused.
    failures: u32,
    /// Members that refused in this attempt.
    refused: u8,
    /// Names the timer that counts.
    timer: u32,
    /// The revision up to which the watch of the kind has told; `None`: there is no watch.
    told: Option<u64>,
    /// The watch was resumed and may have history to tell.
    behind: bool,
    /// The member that was last asked for the watch, and in which stream.
    watched: (u8, u8),
    /// How often it broke: a member that does not know that goes on with the watch it has, and that is none any more.
    stream: u8,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum State {
    #[default]
    Ready,
    /// It waits for its next attempt.
    Lost,
    Probing,
}

impl Default for EtcdClient {
    fn default() -> Self {
        EtcdClient {
            server: 0,
            life: 0,
            connections: vec![Connection::default(); GROUPS],
            defined: Vec::new(),
            open: BTreeMap::new(),
        }
    }
}

impl EtcdClient {
    /// The client of a new process of the API server of that number. Each begins with a member of its own, as far as they go.
    pub fn new(server: u8, life: u32, setup: &Setup) -> Self {
        let mut client = EtcdClient { server, life, ..EtcdClient::default() };
        client.connections.iter_mut().for_each(|one| one.member = server % setup.etcd_members.max(1));
        client
    }

    /// From now on a kind has a connection of its own; false if it had one before, or if there are too many.
    pub fn add(&mut self, kind: Kind, setup: &Setup) -> bool {
        if kind.definition().is_none() || self.defined.contains(&kind) || self.connections.len() >= MOST_GROUPS {
            return false;
        }
        self.defined.push(kind);
        let member = self.server % setup.etcd_members.max(1);
        self.connections.push(Connection { member, ..Connection::default() });
        true
    }

    /// Whether a kind has a connection.
    pub fn has(&self, kind: Kind) -> bool {
        kind.definition().is_none() || self.defined.contains(&kind)
    }

    /// The kinds that came later than the process.
    pub fn defined(&self) -> &[Kind] {
        &self.defined
    }

    /// The group of a kind.
    pub fn group(&self, kind: Kind) -> u8 {
        match kind.definition() {
            None => kind.index() as u8,
            Some(_) => {
                let place = self.defined.iter().position(|known| *known == kind);
                place.map_or(COMPACTOR, |place| (GROUPS + place) as u8)
            }
        }
    }

    /// The kind of a group, if it is one of a kind.
    pub fn kind(&self, group: u8) -> Option<Kind> {
        let group = usize::from(group);
        Kind::ALL.get(group).or_else(|| self.defined.get(group.checked_sub(GROUPS)?)).copied()
    }

    /// The address of luck that has nothing to do with a request: other servers have their own.
    pub fn place(&self, number: u64) -> u64 {
        u64::from(self.server) << 56 | number
    }

    /// The id of a question of the API server itself.
    pub fn own(&self, what: Own, group: u8) -> u64 {
        let stream = match what {
            Own::Watch | Own::Progress => self.connection(group).stream,
            _ => 0,
        };
        self.of_stream(what, group, stream)
    }

    fn of_stream(&self, what: Own, group: u8, stream: u8) -> u64 {
        OWN | (what as u64) << 48 | u64::from(stream) << 40 | u64::from(self.life) << 8 | u64::from(group)
    }

    /// What an id is about, if it is one of the API server's own, and of which group.
    pub fn is_own(&self, id: u64) -> Option<(Own, u8)> {
        let what = OWN_KINDS.get(id.checked_sub(OWN)?.wrapping_shr(48) as usize).copied()?;
        (id == self.own(what, id as u8)).then_some((what, id as u8))
    }

    /// Asks, as soon as there is a connection.
    pub fn ask(&mut self, id: u64, group: u8, request: Request<EtcdValue>, out: &mut Effects) {
        let sent = self.connection(group).state == State::Ready;
        if sent {
            self.send(id, group, request.clone(), Duration::ZERO, out);
        }
        self.open.insert(id, Open { group, request, sent });
    }

    /// Nobody waits any more for the answers to the questions from `first` to `last`: they are not asked again.
    pub fn forget(&mut self, first: u64, last: u64) {
        let ids: Vec<u64> = self.open.range(first..=last).map(|(id, _)| *id).collect();
        for id in ids {
            self.open.remove(&id);
        }
    }

    /// Watches a kind from after `revision`.
    pub fn watch(&mut self, kind: Kind, revision: u64, out: &mut Effects) {
        let group = self.group(kind);
        self.connection_mut(group).told = Some(revision);
        self.connection_mut(group).behind = false;
        if self.connection(group).state == State::Ready {
            self.open_watch(kind, out);
        }
    }

    /// Whether the cache of a kind may miss what etcd has already told others.
    pub fn behind(&self, kind: Kind) -> bool {
        self.connection(self.group(kind)).behind
    }

    /// The revision up to which everything of a kind is known.
    pub fn told(&self, kind: Kind) -> u64 {
        self.connection(self.group(kind)).told.unwrap_or(0)
    }

    fn open_watch(&mut self, kind: Kind, out: &mut Effects) {
        let told = self.told(kind);
        let request = super::storage::watch_request(kind, told + 1);
        let group = self.group(kind);
        let connection = self.connection_mut(group);
        connection.watched = (connection.member, connection.stream);
        self.send(self.own(Own::Watch, group), group, request, Duration::ZERO, out);
    }

    /// Asks how far the watch of a kind is; etcd answers only if it has caught up, so it is asked again.
    pub fn ask_progress(&mut self, kind: Kind, out: &mut Effects) {
        let group = self.group(kind);
        if self.connection(group).state == State::Ready && self.behind(kind) {
            self.send(self.own(Own::Progress, group), group, Request::WatchProgress, Duration::ZERO, out);
            out.after(super::PROGRESS, Event::ApiServer(self.server, ApiServerEvent::AskProgress(kind)));
        }
    }

    /// etcd has answered.
    pub fn hear(
        &mut self,
        id: u64,
        response: Response<EtcdValue>,
        setup: &Setup,
        out: &mut Effects,
        heard: &mut Vec<Heard>,
    ) {
        let own = self.is_own(id);
        if own.is_none() && id >= OWN {
            return;
        }
        let error = match &response.body {
            Ok(_) => return self.good(id, own, response, out, heard),
            Err(error) => *error,
        };
        if let Some((Own::Probe, group)) = own {
            return self.refused(group, setup, out);
        }
        let group = match own {
            Some((Own::Watch | Own::Progress, group)) => group,
            _ => match self.open.get(&id) {
                Some(open) => open.group,
                None => return,
            },
        };
        if matches!(error, EtcdError::ConnectionRefused | EtcdError::ConnectionLost | EtcdError::Stopped) {
            if self.connection(group).state != State::Ready {
                return;
            }
            if error == EtcdError::ConnectionRefused
                && let Some(open) = self.open.get_mut(&id)
            {
                open.sent = false;
            }
            return self.lost(group, out, heard);
        }
        match own {
            Some((Own::Watch, group)) => self.over(group, setup, heard),
            Some((Own::Progress, _)) => {}
            _ => self.failed(id, error, response, out, heard),
        }
    }

    fn good(
        &mut self,
        id: u64,
        own: Option<(Own, u8)>,
        response: Response<EtcdValue>,
        out: &mut Effects,
        heard: &mut Vec<Heard>,
    ) {
        let Some((what, group)) = own else {
            if self.open.remove(&id).is_some() {
                heard.push(Heard::Answer(id, response));
            }
            return;
        };
        let kind = self.kind(group);
        match (what, kind, &response.body) {
            (Own::Probe, ..) => self.connected(group, out),
            (Own::Watch, Some(_), Ok(Reply::Watch(WatchReply::Events { events, .. })))
                if events.first().is_some_and(|event| Some(event.revision) <= self.connection(group).told) => {}
            (Own::Watch, Some(kind), Ok(Reply::Watch(WatchReply::Events { events, .. }))) => {
                let told = events.last().map_or(response.revision, |event| event.revision);
                let connection = self.connection_mut(group);
                connection.told = connection.told.max(Some(told));
                heard.push(Heard::Changes(kind, response));
            }
            (Own::Watch, Some(kind), Ok(Reply::Watch(WatchReply::Compacted { .. }))) => {
                self.connection_mut(group).told = None;
                heard.push(Heard::Over(kind));
            }
            // Asked before, it could be answered for other kinds' watches, and what this one has missed would pass for told.
            (Own::Watch, Some(kind), Ok(Reply::Watch(WatchReply::Created))) => self.ask_progress(kind, out),
            (Own::Watch, ..) => {}
            (Own::Progress, Some(kind), _) => {
                let connection = self.connection_mut(group);
                connection.told = connection.told.max(Some(response.revision));
                connection.behind = false;
                heard.push(Heard::Fresh(kind, response.revision));
            }
            // One that hung may answer what another has answered since.
            _ => {
                if self.open.remove(&id).is_some() {
                    heard.push(Heard::Answer(id, response));
                }
            }
        }
    }

    /// The watch of a kind ended for want of a leader; the client goes to another member.
    fn over(&mut self, group: u8, setup: &Setup, heard: &mut Vec<Heard>) {
        let connection = self.connection_mut(group);
        connection.told = None;
        connection.member = (connection.member + 1) % setup.etcd_members.max(1);
        heard.extend(self.kind(group).map(Heard::Over));
    }

    /// A question failed at a member that is there: reads are asked again, and what was certainly not done.
    fn failed(
        &mut self,
        id: u64,
        error: EtcdError,
        response: Response<EtcdValue>,
        out: &mut Effects,
        heard: &mut Vec<Heard>,
    ) {
        let Some(open) = self.open.get(&id) else { return };
        let (group, request) = (open.group, open.request.clone());
        let again = error == EtcdError::DeadlineExceeded || repeatable(&request) && error.code() == Code::Unavailable;
        if again {
            self.send(id, group, request, RETRY, out);
        } else {
            self.open.remove(&id);
            heard.push(Heard::Answer(id, response));
        }
    }

    /// A connection broke.
    pub fn lost(&mut self, group: u8, out: &mut Effects, heard: &mut Vec<Heard>) {
        let connection = self.connection_mut(group);
        (connection.state, connection.failures, connection.refused) = (State::Lost, 0, 0);
        connection.stream = connection.stream.wrapping_add(1);
        let mut failed = Vec::new();
        for (id, open) in self.open.iter_mut().filter(|(_, open)| open.group == group && open.sent) {
            if repeatable(&open.request) {
                open.sent = false;
            } else {
                failed.push(*id);
            }
        }
        for id in failed {
            self.open.remove(&id);
            heard.push(Heard::Answer(id, Response { revision: 0, term: 0, body: Err(EtcdError::ConnectionLost) }));
        }
        self.plan(group, NOTICE, out);
    }

    /// A member has been silent for too long: the connections to it are closed.
    pub fn silent(&mut self, member: u8, out: &mut Effects, heard: &mut Vec<Heard>) {
        for group in 0..self.connections.len() as u8 {
            let connection = self.connection(group);
            if connection.member == member && connection.state == State::Ready {
                self.lost(group, out, heard);
            }
        }
    }

    fn plan(&mut self, group: u8, wait: Duration, out: &mut Effects) {
        let connection = self.connection_mut(group);
        connection.timer = connection.timer.wrapping_add(1);
        let timer = connection.timer;
        out.after(wait, Event::ApiServer(self.server, ApiServerEvent::Reconnect { group, timer }));
    }

    /// Time for the next attempt, or the end of one that nobody answered.
    pub fn reconnect(&mut self, group: u8, timer: u32, setup: &Setup, out: &mut Effects) {
        let connection = self.connection(group);
        match connection.state {
            _ if connection.timer != timer => {}
            State::Ready => {}
            State::Lost => self.probe(group, setup, out),
            State::Probing => self.refused(group, setup, out),
        }
    }

    fn probe(&mut self, group: u8, setup: &Setup, out: &mut Effects) {
        let connection = self.connection_mut(group);
        connection.state = State::Probing;
        connection.member = (connection.member + 1) % setup.etcd_members.max(1);
        self.send(self.own(Own::Probe, group), group, Request::Status, Duration::ZERO, out);
        self.plan(group, CONNECT_TIMEOUT, out);
    }

    fn refused(&mut self, group: u8, setup: &Setup, out: &mut Effects) {
        let connection = self.connection_mut(group);
        if connection.state != State::Probing {
            return;
        }
        connection.refused += 1;
        if connection.refused < setup.etcd_members {
            return self.probe(group, setup, out);
        }
        let failures = connection.failures;
        (connection.state, connection.refused) = (State::Lost, 0);
        connection.failures += 1;
        self.plan(group, backoff((self.server, group), failures, setup, out), out);
    }

    fn connected(&mut self, group: u8, out: &mut Effects) {
        let connection = self.connection_mut(group);
        if connection.state != State::Probing {
            return;
        }
        (connection.state, connection.failures, connection.refused) = (State::Ready, 0, 0);
        connection.timer = connection.timer.wrapping_add(1);
        if let Some(kind) = self.kind(group)
            && self.connection(group).told.is_some()
        {
            let (member, stream) = self.connection(group).watched;
            let before = Request::WatchCancel(self.of_stream(Own::Watch, group, stream));
            self.send_to(member, self.own(Own::Cancel, group), before, Duration::ZERO, out);
            self.connection_mut(group).behind = true;
            self.open_watch(kind, out);
        }
        let waiting = self.open.iter_mut().filter(|(_, open)| open.group == group && !open.sent);
        let waiting: Vec<_> = waiting
            .map(|(id, open)| {
                open.sent = true;
                (*id, open.request.clone())
            })
            .collect();
        for (id, request) in waiting {
            self.send(id, group, request, Duration::ZERO, out);
        }
    }

    fn send(&self, id: u64, group: u8, request: Request<EtcdValue>, delay: Duration, out: &mut Effects) {
        self.send_to(self.connection(group).member, id, request, delay, out);
    }

    fn send_to(&self, member: u8, id: u64, request: Request<EtcdValue>, delay: Duration, out: &mut Effects) {
        let request = EtcdEvent::Request { from: Endpoint::ApiServer(self.server), id, request: Box::new(request) };
        out.send(Endpoint::Etcd(member), delay, Event::Etcd(member, request));
    }

    fn connection(&self, group: u8) -> Connection {
        self.connections.get(usize::from(group)).copied().unwrap_or_default()
    }

    fn connection_mut(&mut self, group: u8) -> &mut Connection {
        let last = self.connections.len() - 1;
        &mut self.connections[usize::from(group).min(last)]
    }
}

/// Whether the client library may ask again without knowing what became of the first time. etcd: client/v3 retry.go.
fn repeatable(request: &Request<EtcdValue>) -> bool {
    matches!(request, Request::Range(_) | Request::LeaseGrant { .. } | Request::Status)
}

/// How long after its n-th failure a client waits.
fn backoff((server, group): (u8, u8), failures: u32, setup: &Setup, out: &Effects) -> Duration {
    if failures == 0 {
        return FIRST_WAIT;
    }
    let mut wait = FIRST_WAIT;
    for _ in 0..failures {
        wait = wait.fraction(8, 5).min(LONGEST_WAIT);
    }
    let counter = u64::from(server) << 48 | u64::from(group) << 32 | u64::from(failures);
    let begun = out.now().as_nanos() / 1_000_000_000;
    let luck = setup.luck("kube-apiserver", "reconnect", "", hash(counter, begun)).below(400_001);
    wait.fraction(800_000 + luck, 1_000_000)
}

fn hash(counter: u64, second: u64) -> u64 {
    crate::kernel::hash_words(&[counter, second])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::etcd::{KeyRange, RangeReply, RangeRequest};
    use crate::kernel::Instant;
    use crate::kernel::out::RecordId;
    use crate::profiles;

    #[test]
    fn what_has_been_answered_is_answered_once() {
        let setup = Setup::new(1, 1, 3, profiles::laptop());
        let mut client = EtcdClient::new(0, 1, &setup);
        let mut out = Effects::new(Instant::START, RecordId(0), 1, Vec::new());
        let group = client.group(Kind::Event);
        let id = client.own(Own::List, group);
        let request = Request::Range(RangeRequest::new(KeyRange::Prefix("/registry/events/".into())));
        client.ask(id, group, request, &mut out);
        let empty = RangeReply { kvs: Vec::new(), more: false, count: 0, keys_only: false };
        let answer = |revision| Response { revision, term: 1, body: Ok(Reply::Range(empty.clone())) };
        let mut heard = Vec::new();
        client.hear(id, answer(151), &setup, &mut out, &mut heard);
        client.hear(id, answer(147), &setup, &mut out, &mut heard);
        assert!(matches!(&heard[..], [Heard::Answer(_, Response { revision: 151, .. })]), "{}", heard.len());
    }
}
