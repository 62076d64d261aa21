//! How the registry's objects reach etcd: keys, conditional transactions, one watch per kind; and what etcd's client
//! library does when a member fails: it asks the next one, and reads again by itself.
//!
//! Models: kubernetes v1.36.2 staging/src/k8s.io/apiserver/pkg/storage/etcd3/{store,lease_manager}.go; etcd v3.6
//! client/v3/{retry,retry_interceptor}.go. Left out: requests that end because the API server's own time is up; a compacted
//! watch is opened again where it stopped instead of being listed anew.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::status::Status;
use crate::etcd::{
    Code, Compare, CompareTarget, DeleteRange, EtcdError, EtcdEvent, KeyRange, LeaseId, Op, Put, RangeRequest,
    Relation, Reply, Request, Response, Txn, WatchReply, WatchRequest,
};
use crate::event::{Effects, EtcdValue, Event};
use crate::kernel::{Duration, Endpoint, Instant};
use crate::objects::{Key, Kind, Object};
use crate::setup::Setup;

/// Watches have the ids from here on, one per kind; requests count up from 1 and never get there.
const WATCHES: u64 = 1 << 60;
/// The id of lease grants.
const GRANTS: u64 = 1 << 61;

/// The way to etcd.
#[derive(Clone, Debug, Default)]
pub struct Storage {
    revision: u64,
    /// The member it is connected to, and since when.
    member: u8,
    since: Instant,
    /// Up to which revision each kind's watch has told of changes.
    told: BTreeMap<Kind, u64>,
    /// What it has asked and not heard of, by number: it may have to be asked again.
    open: BTreeMap<u64, Request<EtcdValue>>,
}

/// Pause before a read is asked again. – constant; etcd: client/v3 defaultBackoffWaitBetween, 25 ms.
const RETRY: Duration = Duration::from_millis(25);
/// Pause before the next member is tried. – gRPC's first backoff, 1 s; several members are tried sooner.
const RECONNECT: Duration = Duration::from_millis(200);

impl Storage {
    /// Opens a watch for every kind.
    pub fn watch_everything(&mut self, out: &mut Effects) {
        for kind in Kind::ALL {
            let request = self.watch_request(kind);
            self.send(WATCHES + kind as u64, request, Duration::ZERO, out);
        }
    }

    fn watch_request(&self, kind: Kind) -> Request<EtcdValue> {
        Request::Watch(WatchRequest {
            range: KeyRange::Prefix(kind.key_prefix().into()),
            start_revision: self.told.get(&kind).map_or(1, |revision| revision + 1),
            prev_kv: true,
            progress_notify: false,
            require_leader: true,
        })
    }

    /// etcd has answered; `None`: the question is asked again.
    pub fn hear(
        &mut self,
        id: u64,
        response: Response<EtcdValue>,
        setup: &Setup,
        out: &mut Effects,
    ) -> Option<Response<EtcdValue>> {
        let error = match &response.body {
            Err(error) => *error,
            Ok(reply) => {
                if let (Some(kind), Reply::Watch(WatchReply::Events { events, .. })) = (self.watched_kind(id), reply) {
                    self.told.extend(events.last().map(|event| (kind, event.revision)));
                }
                self.open.remove(&id);
                return Some(response);
            }
        };
        let gone = matches!(error, EtcdError::ConnectionRefused | EtcdError::ConnectionLost | EtcdError::Stopped);
        if (gone || error == EtcdError::NoLeader) && out.now() >= self.since + RECONNECT {
            // Everything that was open fails at once; one of them changes the member.
            self.member = (self.member + 1) % setup.etcd_members.max(1);
            self.since = out.now();
        }
        if let Some(kind) = self.watched_kind(id) {
            let request = self.watch_request(kind);
            self.send(id, request, RECONNECT, out);
            return None;
        }
        let request = self.open.get(&id)?;
        // A write is asked again only if it is sure that nothing came of it.
        let untouched = matches!(error, EtcdError::ConnectionRefused | EtcdError::DeadlineExceeded);
        let read = matches!(request, Request::Range(_)) && error.code() == Code::Unavailable;
        if !untouched && !read {
            self.open.remove(&id);
            return Some(response);
        }
        let request = request.clone();
        self.send(id, request, if gone { RECONNECT } else { RETRY }, out);
        None
    }

    fn ask(&mut self, id: u64, request: Request<EtcdValue>, out: &mut Effects) {
        self.open.insert(id, request.clone());
        self.send(id, request, Duration::ZERO, out);
    }

    fn send(&self, id: u64, request: Request<EtcdValue>, delay: Duration, out: &mut Effects) {
        let request = EtcdEvent::Request { from: Endpoint::ApiServer, id, request: Box::new(request) };
        out.send(Endpoint::Etcd(self.member), delay, Event::Etcd(self.member, request));
    }

    /// The kind whose watch has this id.
    pub fn watched_kind(&self, id: u64) -> Option<Kind> {
        Kind::ALL.get(id.checked_sub(WATCHES)? as usize).copied()
    }

    /// etcd was at this revision.
    pub fn saw(&mut self, revision: u64) {
        self.revision = self.revision.max(revision);
    }

    /// The highest revision seen.
    pub fn revision_seen(&self) -> u64 {
        self.revision
    }

    /// Reads one object from the quorum.
    pub fn read(&mut self, id: u64, kind: Kind, key: &Key, out: &mut Effects) {
        self.ask(id, Request::Range(RangeRequest::new(KeyRange::Key(path(kind, key)))), out);
    }

    /// Asks for the present revision.
    pub fn revision(&mut self, id: u64, out: &mut Effects) {
        let range = RangeRequest { count_only: true, ..RangeRequest::new(KeyRange::Key("/registry/health".into())) };
        self.ask(id, Request::Range(range), out);
    }

    /// Writes an object (`None`: deletes it) if it is still at `version` (`None`: if there is none), and reads it otherwise.
    pub fn write(
        &mut self,
        id: u64,
        kind: Kind,
        key: &Key,
        version: Option<u64>,
        object: Option<Arc<Object>>,
        lease: Option<LeaseId>,
        out: &mut Effects,
    ) {
        let path = path(kind, key);
        let target = CompareTarget::Mod(version.unwrap_or(0));
        let write = match object {
            Some(object) if version.is_some() => {
                Op::Put(Put { ignore_lease: kind == Kind::Event, ..Put::new(path.clone(), EtcdValue::Object(object)) })
            }
            Some(object) => {
                let lease = lease.unwrap_or(LeaseId::NONE);
                Op::Put(Put { lease, ..Put::new(path.clone(), EtcdValue::Object(object)) })
            }
            None => Op::Delete(DeleteRange { range: KeyRange::Key(path.clone()), prev_kv: false }),
        };
        let txn = Txn {
            compare: vec![Compare { key: path.clone(), relation: Relation::Equal, target }],
            success: vec![write],
            failure: vec![Op::Range(RangeRequest::new(KeyRange::Key(path)))],
        };
        self.ask(id, Request::Txn(txn), out);
    }
}

/// The key in etcd.
pub fn path(kind: Kind, key: &Key) -> Arc<str> {
    let mut path = kind.key_prefix();
    if kind.namespaced() {
        path.push_str(&key.namespace);
        path.push('/');
    }
    path.push_str(&key.name);
    path.into()
}

/// What etcd answered.
pub enum Found {
    /// A read, or the read of a transaction whose condition did not hold.
    Object(Option<Arc<Object>>),
    /// A write, at this revision.
    Written(u64),
}

impl Found {
    /// Reads a response.
    pub fn of(response: Response<EtcdValue>) -> Result<Found, EtcdError> {
        let first = |kvs: Vec<Arc<crate::etcd::KeyValue<EtcdValue>>>| kvs.first()?.value.object().cloned();
        Ok(match response.body? {
            Reply::Range(range) => Found::Object(first(range.kvs)),
            Reply::Txn(txn) if !txn.succeeded => match txn.replies.into_iter().next() {
                Some(Reply::Range(range)) => Found::Object(first(range.kvs)),
                _ => Found::Object(None),
            },
            _ => Found::Written(response.revision),
        })
    }
}

/// etcd's error as the API server passes it on.
pub fn to_status(error: EtcdError) -> Status {
    Status { code: 500, reason: "".into(), message: error.to_string().into(), details: None }
}

/// Leases for event objects: one lease serves all that are written within a minute.
#[derive(Clone, Debug, Default)]
pub struct EventLeases {
    current: i64,
    until: Instant,
    used: u32,
    granted: bool,
    /// Requests that wait for the grant.
    waiting: Vec<u64>,
}

/// How long events live.
const EVENT_TTL: i64 = 3_600;
/// How long a lease is used for new objects, as a share of its TTL and at most (lease_manager.go).
const REUSE: Duration = Duration::from_secs(60);
/// How many objects share a lease at most.
const MAX_OBJECTS: u32 = 1_000;

impl EventLeases {
    /// The lease for an event that is to be written. `None`: it has yet to be granted, and [`EventLeases::answered`] will
    /// name `request`.
    pub fn lease(&mut self, request: u64, storage: &mut Storage, setup: &Setup, out: &mut Effects) -> Option<LeaseId> {
        if self.used == 0 || out.now() >= self.until || self.used >= MAX_OBJECTS {
            let bits = setup.luck("kube-apiserver", "lease", "events", out.now().as_nanos()).bits();
            self.current = (bits >> 1) as i64 | 1;
            self.until = out.now() + REUSE;
            (self.used, self.granted) = (0, false);
            let ttl = EVENT_TTL + REUSE.as_nanos() as i64 / 1_000_000_000;
            storage.ask(GRANTS, Request::LeaseGrant { id: LeaseId(self.current), ttl }, out);
        }
        self.used += 1;
        if !self.granted {
            self.waiting.push(request);
            return None;
        }
        Some(LeaseId(self.current))
    }

    /// Whether an answer of etcd is about a grant.
    pub fn is_grant(id: u64) -> bool {
        id == GRANTS
    }

    /// etcd has granted the lease, or has not: the lease, and the requests that waited.
    pub fn answered(&mut self, good: bool) -> (LeaseId, Vec<u64>) {
        self.granted = good;
        if !good {
            self.used = 0;
        }
        (LeaseId(self.current), std::mem::take(&mut self.waiting))
    }
}
