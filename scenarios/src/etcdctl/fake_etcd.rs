//! A small etcd for tests: one store, members that are up or down, leases and a clock that only `advance` moves.
//!
//! What only a real server knows (sizes, hashes, Raft indexes, ids it draws) comes from `Figures`.

use std::collections::BTreeMap;

use super::fake_store::{FakeWatch, Store, status};
use super::*;

pub(crate) const SECOND: i64 = 1_000_000_000;
/// How long a request takes. [ns]
const LATENCY: i64 = 5_000_000;
/// etcd's own timeout of a request. [ns]
const SERVER_TIMEOUT: i64 = 7 * SECOND;
/// etcd: DefaultMaxRequestBytes
const MAX_REQUEST: usize = 1_572_864;

/// What a recording says of things the fake does not compute.
#[derive(Clone, Debug, Default)]
pub(crate) struct Figures {
    /// By endpoint.
    pub status: BTreeMap<String, (Status, Option<bool>)>,
    /// By endpoint.
    pub hashes: BTreeMap<String, HashKv>,
    /// By endpoint. [ns]
    pub took: BTreeMap<String, i64>,
    pub lease: Option<i64>,
    pub member: Option<u64>,
    pub answering: Option<u64>,
    pub snapshot: SnapshotStatus,
    pub file_hash: HashKv,
}

/// A member and whether it runs.
#[derive(Clone, Debug)]
pub(crate) struct Server {
    pub member: Member,
    /// Where it listens for clients.
    pub address: String,
    pub up: bool,
}

/// The cluster.
#[derive(Clone, Debug)]
pub(crate) struct FakeEtcd {
    pub now: i64,
    pub store: Store,
    pub servers: Vec<Server>,
    pub leader: u64,
    pub term: u64,
    pub cluster_id: u64,
    pub alarms: Vec<Alarm>,
    /// Id, full time and end.
    leases: BTreeMap<i64, (i64, i64)>,
    pub figures: Figures,
    /// Data directories that `etcdutl snapshot restore` made.
    pub restored: BTreeMap<String, Store>,
    /// Snapshots and copies of the database; whether they have a hash at the end.
    pub snapshots: BTreeMap<String, (Store, bool)>,
}

fn server(name: &str, id: u64, host: &str, port: &str, peer: &str) -> Server {
    let member = Member {
        id,
        name: name.into(),
        peer_urls: vec![format!("http://{host}:{peer}")],
        client_urls: vec![format!("http://{host}:{port}")],
        is_learner: false,
    };
    Server { member, address: format!("127.0.0.1:{port}"), up: true }
}

impl FakeEtcd {
    /// A member of its own with etcd's default name and ports.
    pub fn single() -> Self {
        let server = server("default", 0x8e9e_05c5_2164_694d, "localhost", "2379", "2380");
        FakeEtcd::new(vec![server], 14_841_639_068_965_178_418)
    }

    fn new(servers: Vec<Server>, cluster_id: u64) -> Self {
        FakeEtcd {
            now: 1_700_000_000 * SECOND,
            store: Store { revision: 1, compacted: -1, ..Store::default() },
            leader: servers.first().map_or(0, |s| s.member.id),
            servers,
            term: 2,
            cluster_id,
            alarms: Vec::new(),
            leases: BTreeMap::new(),
            figures: Figures::default(),
            restored: BTreeMap::new(),
            snapshots: BTreeMap::new(),
        }
    }

    /// Moves the clock, and lets leases end.
    pub fn advance(&mut self, to: i64) {
        self.now = self.now.max(to);
        let ended: Vec<i64> = self.leases.iter().filter(|(_, (_, end))| *end <= self.now).map(|(id, _)| *id).collect();
        ended.into_iter().for_each(|id| self.revoke(id));
    }

    fn revoke(&mut self, id: i64) {
        self.leases.remove(&id);
        let keys: Vec<Bytes> = self.store.live.values().filter(|kv| kv.lease == id).map(|kv| kv.key.clone()).collect();
        let revision = self.store.revision + 1;
        for key in keys {
            self.store.delete(&Keys::One(key), revision);
            self.store.revision = revision;
        }
    }

    fn quorum(&self) -> bool {
        self.servers.iter().filter(|s| s.up).count() * 2 > self.servers.len()
    }

    /// Answers a request that is sent at `sent`.
    pub fn answer(&mut self, request: &Request, sent: i64) -> Outcome {
        let address = |endpoint: &str| endpoint.trim_start_matches("http://").replace("localhost", "127.0.0.1");
        let reachable: Vec<(String, u64)> = request
            .endpoints
            .iter()
            .filter_map(|e| {
                let server = self.servers.iter().find(|s| s.up && s.address == address(e))?;
                Some((e.clone(), server.member.id))
            })
            .collect();
        let recorded = reachable.iter().find(|(_, id)| Some(*id) == self.figures.answering);
        let Some((endpoint, member)) = recorded.or(reachable.first()).cloned() else {
            return Outcome { at: sent, result: Err(RpcError::Refused) };
        };
        let at = sent + self.figures.took.get(&endpoint).copied().unwrap_or(LATENCY);
        if needs_quorum(&request.call) && !self.quorum() {
            let timeout = sent + SERVER_TIMEOUT;
            return match request.deadline {
                Some(deadline) if deadline <= timeout => Outcome { at: deadline, result: Err(RpcError::Deadline) },
                _ if matches!(request.call, EtcdCall::Range(_)) => {
                    Outcome { at: timeout, result: Err(status(Code::Unavailable, "etcdserver: request timed out")) }
                }
                _ => Outcome { at: timeout, result: Err(status(Code::DeadlineExceeded, "context deadline exceeded")) },
            };
        }
        let result = self.serve(&endpoint, member, &request.call);
        let revision = match request.call {
            EtcdCall::MemberList { .. } | EtcdCall::MemberAdd { .. } | EtcdCall::MemberRemove { .. } => 0,
            _ => self.store.revision,
        };
        let header = Header { cluster_id: self.cluster_id, member_id: member, revision, raft_term: self.term };
        Outcome { at, result: result.map(|reply| Response { header, reply }) }
    }

    fn serve(&mut self, endpoint: &str, me: u64, call: &EtcdCall) -> Result<Reply, RpcError> {
        let full = status(Code::ResourceExhausted, "etcdserver: mvcc: database space exceeded");
        match call {
            EtcdCall::Range(range) if range.keys == Keys::One(Bytes::new()) => {
                Err(status(Code::InvalidArgument, "etcdserver: key is not provided"))
            }
            EtcdCall::Range(range) => self.store.range(range).map(Reply::Range),
            EtcdCall::Put(put) if put.key.len() + put.value.as_ref().map_or(0, Vec::len) > MAX_REQUEST - 8 => {
                Err(status(Code::InvalidArgument, "etcdserver: request is too large"))
            }
            EtcdCall::Put(_) | EtcdCall::LeaseGrant { .. } if !self.alarms.is_empty() => Err(full),
            EtcdCall::Put(put) if put.lease != 0 && !self.leases.contains_key(&put.lease) => Err(no_lease()),
            EtcdCall::Put(put) => {
                let prev = self.store.put(put, self.store.revision + 1)?;
                self.store.revision += 1;
                Ok(Reply::Put(prev))
            }
            EtcdCall::DeleteRange(delete) => {
                let gone = self.store.delete(&delete.keys, self.store.revision + 1);
                self.store.revision += i64::from(!gone.is_empty());
                Ok(Reply::DeleteRange(deleted(delete, gone)))
            }
            EtcdCall::Txn(txn) => {
                check_txn(txn)?;
                let puts = txn.success.iter().chain(&txn.failure).any(|op| matches!(op, OpCall::Put(_)));
                if puts && !self.alarms.is_empty() { Err(full) } else { self.txn(txn) }
            }
            EtcdCall::Compact { revision, .. } if *revision <= self.store.compacted => {
                Err(status(Code::OutOfRange, "etcdserver: mvcc: required revision has been compacted"))
            }
            EtcdCall::Compact { revision, .. } if *revision > self.store.revision => {
                Err(status(Code::OutOfRange, "etcdserver: mvcc: required revision is a future revision"))
            }
            EtcdCall::Compact { revision, .. } => {
                self.store.compacted = *revision;
                Ok(Reply::Done)
            }
            EtcdCall::LeaseGrant { ttl } if *ttl > 9_000_000_000 => {
                Err(status(Code::OutOfRange, "etcdserver: too large lease TTL"))
            }
            EtcdCall::LeaseGrant { ttl } => {
                let (id, ttl) = (self.figures.lease.unwrap_or(self.now), (*ttl).max(2));
                self.leases.insert(id, (ttl, self.now + ttl * SECOND));
                Ok(Reply::LeaseGrant { id, ttl })
            }
            EtcdCall::LeaseRevoke { id } if !self.leases.contains_key(id) => Err(no_lease()),
            EtcdCall::LeaseRevoke { id } => {
                self.revoke(*id);
                Ok(Reply::Done)
            }
            EtcdCall::LeaseKeepAlive { id } => {
                let Some((ttl, end)) = self.leases.get_mut(id) else { return Ok(Reply::LeaseKeepAlive { ttl: 0 }) };
                *end = self.now + *ttl * SECOND;
                Ok(Reply::LeaseKeepAlive { ttl: *ttl })
            }
            EtcdCall::LeaseTimeToLive { id, keys } => Ok(match self.leases.get(id) {
                None => Reply::LeaseTimeToLive { ttl: -1, granted_ttl: 0, keys: Vec::new() },
                Some((granted_ttl, end)) => {
                    let attached = self.store.live.values().filter(|kv| *keys && kv.lease == *id);
                    let keys = attached.map(|kv| kv.key.clone()).collect();
                    Reply::LeaseTimeToLive { ttl: (end - self.now - 1) / SECOND, granted_ttl: *granted_ttl, keys }
                }
            }),
            EtcdCall::Leases => Ok(Reply::Leases(self.leases.keys().copied().collect())),
            EtcdCall::Watch(_) => Ok(Reply::Watching),
            EtcdCall::Status => Ok(Reply::Status(self.status(endpoint, me))),
            EtcdCall::HashKv { .. } => {
                Ok(Reply::HashKv(self.figures.hashes.get(endpoint).copied().unwrap_or_default()))
            }
            EtcdCall::Defragment => Ok(Reply::Done),
            EtcdCall::AlarmList => Ok(Reply::Alarms(self.alarms.clone())),
            EtcdCall::AlarmDisarm(alarm) => {
                self.alarms.retain(|a| a != alarm);
                Ok(Reply::Alarms(vec![*alarm]))
            }
            EtcdCall::MoveLeader { target } => {
                if !self.servers.iter().any(|s| s.member.id == *target) {
                    return Err(status(Code::FailedPrecondition, "etcdserver: bad leader transferee"));
                }
                (self.leader, self.term) = (*target, self.term + 1);
                Ok(Reply::Done)
            }
            EtcdCall::Snapshot { path } => {
                self.snapshots.insert(path.clone(), (self.store.clone(), true));
                Ok(Reply::Snapshot { version: "3.6.0".into() })
            }
            _ => self.membership(call),
        }
    }

    fn membership(&mut self, call: &EtcdCall) -> Result<Reply, RpcError> {
        match call {
            EtcdCall::MemberAdd { peer_urls, learner } => {
                let id = self.figures.member.unwrap_or(1);
                let member = Member { id, peer_urls: peer_urls.clone(), is_learner: *learner, ..Member::default() };
                self.servers.push(Server { member: member.clone(), address: String::new(), up: false });
                return Ok(Reply::MemberAdded { member, members: self.members() });
            }
            EtcdCall::MemberRemove { id } => {
                if !self.servers.iter().any(|s| s.member.id == *id) {
                    return Err(status(Code::NotFound, "etcdserver: member not found"));
                }
                let left = self.servers.iter().filter(|s| s.up && s.member.id != *id).count();
                if left * 2 < self.servers.len() {
                    let why = "etcdserver: re-configuration failed due to not enough started members";
                    return Err(status(Code::Unknown, why));
                }
                self.servers.retain(|s| s.member.id != *id);
            }
            _ => {}
        }
        Ok(Reply::Members(self.members()))
    }

    pub fn members(&self) -> Vec<Member> {
        let mut members: Vec<Member> = self.servers.iter().map(|s| s.member.clone()).collect();
        members.sort_by_key(|member| member.id);
        members
    }

    fn status(&self, endpoint: &str, me: u64) -> Status {
        let (figures, leads) = self.figures.status.get(endpoint).cloned().unwrap_or_default();
        let alarms = self.alarms.iter().map(|a| format!("memberID:{} alarm:NOSPACE ", a.member));
        let leaderless = (!self.quorum()).then(|| "etcdserver: no leader".to_string());
        let leader = match leads {
            _ if leaderless.is_some() => 0,
            Some(true) => me,
            Some(false) if self.leader == me => 1,
            _ => self.leader,
        };
        let leader = if figures.leader != 0 { figures.leader } else { leader };
        Status { leader, raft_term: self.term, errors: leaderless.into_iter().chain(alarms).collect(), ..figures }
    }

    fn txn(&mut self, txn: &TxnCall) -> Result<Reply, RpcError> {
        let succeeded = txn.compares.iter().all(|compare| self.store.holds(compare));
        let (revision, mut changed) = (self.store.revision + 1, false);
        let mut responses = Vec::new();
        for op in if succeeded { &txn.success } else { &txn.failure } {
            responses.push(match op {
                OpCall::Range(range) => OpReply::Range(self.store.range(range)?),
                OpCall::Put(put) => {
                    changed = true;
                    OpReply::Put(self.store.put(put, revision)?)
                }
                OpCall::Delete(delete) => {
                    let gone = self.store.delete(&delete.keys, revision);
                    changed |= !gone.is_empty();
                    OpReply::Delete(deleted(delete, gone))
                }
            });
        }
        self.store.revision += i64::from(changed);
        Ok(Reply::Txn { succeeded, responses })
    }

    /// The next response of a watch, if there is one by now.
    pub fn watched(&self, watch: &mut FakeWatch) -> Option<WatchResponse> {
        let member_id = self.servers.iter().find(|s| s.up)?.member.id;
        let revision = self.store.revision;
        self.store.watched(watch, Header { cluster_id: self.cluster_id, member_id, revision, raft_term: self.term })
    }

    /// Work on files; `default.etcd` is the running member's directory.
    pub fn file(&mut self, call: &FileCall) -> Result<FileReply, FileError> {
        match call {
            FileCall::SnapshotStatus { .. } => Ok(FileReply::SnapshotStatus(self.figures.snapshot.clone())),
            FileCall::HashKv { .. } => Ok(FileReply::HashKv(self.figures.file_hash)),
            FileCall::Defragment { .. } if self.servers.iter().any(|s| s.up) => Err(FileError::Locked),
            FileCall::Defragment { .. } => Ok(FileReply::Done),
            FileCall::SnapshotRestore(restore) => {
                let (store, has_hash) = self.snapshots.get(&restore.path).cloned().ok_or(FileError::NotFound)?;
                if !has_hash && !restore.skip_hash_check {
                    return Err(FileError::NoHash);
                }
                let revision = store.revision + restore.bump_revision as i64;
                let compacted = if restore.mark_compacted { revision } else { store.compacted };
                self.restored.insert(restore.data_dir.clone(), Store { revision, compacted, ..store });
                Ok(FileReply::Done)
            }
        }
    }
}

fn needs_quorum(call: &EtcdCall) -> bool {
    match call {
        EtcdCall::Range(range) => !range.serializable,
        EtcdCall::MemberList { linearizable } => *linearizable,
        EtcdCall::Status | EtcdCall::HashKv { .. } | EtcdCall::Defragment | EtcdCall::Snapshot { .. } => false,
        _ => true,
    }
}

fn no_lease() -> RpcError {
    status(Code::NotFound, "etcdserver: requested lease not found")
}

fn deleted(call: &DeleteCall, gone: Vec<KeyValue>) -> DeleteReply {
    DeleteReply { deleted: gone.len() as i64, prev_kvs: if call.prev_kv { gone } else { Vec::new() } }
}

/// A key may be put only once, and not be deleted besides.
fn check_txn(txn: &TxnCall) -> Result<(), RpcError> {
    for ops in [&txn.success, &txn.failure] {
        let puts: Vec<&Bytes> =
            ops.iter().filter_map(|op| if let OpCall::Put(p) = op { Some(&p.key) } else { None }).collect();
        let twice = puts.iter().enumerate().any(|(i, key)| puts[..i].contains(key));
        let deleted = ops.iter().any(|op| match op {
            OpCall::Delete(delete) => puts.iter().any(|key| delete.keys.contains(key)),
            _ => false,
        });
        if twice || deleted {
            return Err(status(Code::InvalidArgument, "etcdserver: duplicate key given in txn request"));
        }
    }
    Ok(())
}
