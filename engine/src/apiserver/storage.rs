//! How the registry's objects reach etcd: keys, conditional transactions, one watch per kind.
//!
//! Models: kubernetes v1.36.2 staging/src/k8s.io/apiserver/pkg/storage/etcd3/{store,lease_manager}.go.

use std::sync::Arc;

use super::status::Status;
use crate::etcd::{
    Compare, CompareTarget, DeleteRange, EtcdError, EtcdEvent, KeyRange, LeaseId, Op, Put, RangeRequest, Relation,
    Reply, Request, Response, Txn, WatchRequest,
};
use crate::event::{Effects, Event};
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
}

impl Storage {
    /// Opens a watch for every kind.
    pub fn watch_everything(&mut self, out: &mut Effects) {
        for kind in Kind::ALL {
            let request = WatchRequest {
                range: KeyRange::Prefix(kind.key_prefix().into()),
                start_revision: self.revision + 1,
                prev_kv: true,
                progress_notify: false,
            };
            ask(WATCHES + kind as u64, Request::Watch(request), out);
        }
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
    pub fn read(&self, id: u64, kind: Kind, key: &Key, out: &mut Effects) {
        ask(id, Request::Range(RangeRequest::new(KeyRange::Key(path(kind, key)))), out);
    }

    /// Asks for the present revision.
    pub fn revision(&self, id: u64, out: &mut Effects) {
        let range = RangeRequest { count_only: true, ..RangeRequest::new(KeyRange::Key("/registry/health".into())) };
        ask(id, Request::Range(range), out);
    }

    /// Writes an object (`None`: deletes it) if it is still at `version` (`None`: if there is none), and reads it otherwise.
    pub fn write(
        &self,
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
                Op::Put(Put { ignore_lease: kind == Kind::Event, ..Put::new(path.clone(), object) })
            }
            Some(object) => Op::Put(Put { lease: lease.unwrap_or(LeaseId::NONE), ..Put::new(path.clone(), object) }),
            None => Op::Delete(DeleteRange { range: KeyRange::Key(path.clone()), prev_kv: false }),
        };
        let txn = Txn {
            compare: vec![Compare { key: path.clone(), relation: Relation::Equal, target }],
            success: vec![write],
            failure: vec![Op::Range(RangeRequest::new(KeyRange::Key(path)))],
        };
        ask(id, Request::Txn(txn), out);
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

fn ask(id: u64, request: Request<Arc<Object>>, out: &mut Effects) {
    let request = EtcdEvent::Request { from: Endpoint::ApiServer, id, request: Box::new(request) };
    out.send(Endpoint::Etcd(0), Duration::ZERO, Event::Etcd(0, request));
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
    pub fn of(response: Response<Arc<Object>>) -> Result<Found, EtcdError> {
        let first = |kvs: Vec<Arc<crate::etcd::KeyValue<Arc<Object>>>>| kvs.first().map(|kv| kv.value.clone());
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
    pub fn lease(&mut self, request: u64, setup: &Setup, out: &mut Effects) -> Option<LeaseId> {
        if self.used == 0 || out.now() >= self.until || self.used >= MAX_OBJECTS {
            let bits = setup.luck("kube-apiserver", "lease", "events", out.now().as_nanos()).bits();
            self.current = (bits >> 1) as i64 | 1;
            self.until = out.now() + REUSE;
            (self.used, self.granted) = (0, false);
            let ttl = EVENT_TTL + REUSE.as_nanos() as i64 / 1_000_000_000;
            ask(GRANTS, Request::LeaseGrant { id: LeaseId(self.current), ttl }, out);
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
