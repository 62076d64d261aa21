//! How the registry's objects reach etcd: keys, conditional transactions, one watch per kind.
//!
//! Models: kubernetes v1.36.2 staging/src/k8s.io/apiserver/pkg/storage/etcd3/{store,lease_manager,errors}.go.

use std::sync::Arc;

use super::etcd_client::{EtcdClient, Own};
use super::status::Status;
use crate::etcd::{
    Compare, CompareTarget, DeleteRange, EtcdError, KeyRange, LeaseId, Op, Put, RangeRequest, Relation, Reply, Request,
    Response, Txn, WatchRequest,
};
use crate::event::{Effects, EtcdValue};
use crate::kernel::{Duration, Instant};
use crate::objects::{Key, Kind, Object};
use crate::setup::Setup;

/// The way to etcd.
#[derive(Clone, Debug, Default)]
pub struct Storage {
    /// The connections.
    pub client: EtcdClient,
    /// Counts released addresses.
    pub releases: u8,
}

/// The watch of a kind from `start_revision` on.
pub(super) fn watch_request(kind: Kind, start_revision: u64) -> Request<EtcdValue> {
    Request::Watch(WatchRequest {
        range: KeyRange::Prefix(kind.key_prefix().into()),
        start_revision,
        prev_kv: true,
        progress_notify: true,
        require_leader: true,
    })
}

impl Storage {
    fn ask(&mut self, id: u64, kind: Kind, request: Request<EtcdValue>, out: &mut Effects) {
        self.client.ask(id, self.client.group(kind), request, out);
    }

    /// Reads everything of a kind, to fill its cache.
    pub fn list_all(&mut self, kind: Kind, out: &mut Effects) {
        let id = self.client.own(Own::List, self.client.group(kind));
        self.ask(id, kind, Request::Range(RangeRequest::new(KeyRange::Prefix(kind.key_prefix().into()))), out);
    }

    /// Reads one object from the quorum.
    pub fn read(&mut self, id: u64, kind: Kind, key: &Key, out: &mut Effects) {
        self.ask(id, kind, Request::Range(RangeRequest::new(KeyRange::Key(path(kind, key)))), out);
    }

    /// Asks for the present revision, over the connection on which the kind is watched.
    pub fn revision(&mut self, id: u64, kind: Kind, out: &mut Effects) {
        let range = RangeRequest { count_only: true, ..RangeRequest::new(KeyRange::Key("/registry/health".into())) };
        self.ask(id, kind, Request::Range(range), out);
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
        self.ask(id, kind, Request::Txn(txn), out);
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
    let text = error.to_string();
    // What is no error of etcd's own comes with gRPC's words around it.
    let message = match error {
        EtcdError::ConnectionLost => format!("rpc error: code = Unavailable desc = {text}"),
        EtcdError::ProposalDropped => format!("rpc error: code = Unknown desc = {text}"),
        _ => text,
    };
    Status::internal(message)
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
            let bits =
                setup.luck("kube-apiserver", "lease", "events", storage.client.place(out.now().as_nanos())).bits();
            self.current = (bits >> 1) as i64 | 1;
            self.until = out.now() + REUSE;
            (self.used, self.granted) = (0, false);
            let ttl = EVENT_TTL + REUSE.as_nanos() as i64 / 1_000_000_000;
            let grant = storage.client.own(Own::Grant, storage.client.group(Kind::Event));
            storage.ask(grant, Kind::Event, Request::LeaseGrant { id: LeaseId(self.current), ttl }, out);
        }
        self.used += 1;
        if !self.granted {
            self.waiting.push(request);
            return None;
        }
        Some(LeaseId(self.current))
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
