//! Between etcdctl's requests, whose keys and values are bytes, and the engine's.
//!
//! The API server's objects are no bytes in the engine. What a reader of their keys sees is real in its frame (the four magic bytes and
//! the `runtime.Unknown` around the object, with its version and kind); inside stands the object as JSON where a real API server writes
//! protobuf, and the frame's content type says so.
//!
//! Models: kubernetes v1.36.2 staging/src/k8s.io/apimachinery/pkg/runtime/generated.proto (`Unknown`), pkg/runtime/serializer/protobuf.

use std::sync::Arc;

use wavetank_engine::World;
use wavetank_engine::etcd::{
    self, AlarmKind, AlarmMember, AlarmRequest, EtcdError, KeyRange, LeaseId, Put, RangeRequest, WatchRequest,
};
use wavetank_engine::event::EtcdValue;
use wavetank_engine::objects::{Object, json};

use crate::etcdctl::{
    Alarm, AlarmType, Code, Compare, CompareTarget, DeleteCall, DeleteReply, EtcdCall, HashKv, Header, KeyValue, Keys,
    Member, OpCall, OpReply, PutCall, RangeCall, RangeReply, Relation, Reply, RpcError, SortOrder, SortTarget, Status,
    WatchEvent,
};

/// etcd's version. – kubeadm 1.36 ships 3.6.
pub(super) const VERSION: &str = "3.6.13";

/// The engine's form of a request; `None` if it names keys that are no text.
pub(super) fn request(call: &EtcdCall) -> Option<etcd::Request<EtcdValue>> {
    use etcd::Request as To;
    Some(match call {
        EtcdCall::Range(call) => To::Range(range(call)?),
        EtcdCall::Put(call) => To::Put(put(call)?),
        EtcdCall::DeleteRange(call) => To::Delete(delete(call)?),
        EtcdCall::Txn(txn) => To::Txn(etcd::Txn {
            compare: txn.compares.iter().map(compare).collect::<Option<_>>()?,
            success: txn.success.iter().map(op).collect::<Option<_>>()?,
            failure: txn.failure.iter().map(op).collect::<Option<_>>()?,
        }),
        EtcdCall::Compact { revision, physical: false } => To::Compact(unsigned(*revision)),
        EtcdCall::Compact { revision, physical: true } => To::CompactPhysical(unsigned(*revision)),
        EtcdCall::LeaseGrant { ttl } => To::LeaseGrant { id: LeaseId::NONE, ttl: *ttl },
        EtcdCall::LeaseRevoke { id } => To::LeaseRevoke(LeaseId(*id)),
        EtcdCall::LeaseKeepAlive { id } => To::LeaseKeepAlive(LeaseId(*id)),
        EtcdCall::LeaseTimeToLive { id, keys } => To::LeaseTimeToLive { id: LeaseId(*id), keys: *keys },
        EtcdCall::Leases => To::LeaseList,
        EtcdCall::Watch(watch) => To::Watch(WatchRequest {
            range: keys(&watch.keys)?,
            start_revision: unsigned(watch.start_revision),
            prev_kv: watch.prev_kv,
            progress_notify: watch.progress_notify,
            require_leader: true,
        }),
        EtcdCall::Status => To::Status,
        EtcdCall::HashKv { revision } => To::HashKv(unsigned(*revision)),
        EtcdCall::Defragment => To::Defragment,
        EtcdCall::AlarmList => To::Alarm(AlarmRequest::Get),
        EtcdCall::AlarmDisarm(alarm) => To::Alarm(AlarmRequest::Deactivate(AlarmMember {
            member_id: alarm.member,
            kind: match alarm.alarm {
                AlarmType::NoSpace => AlarmKind::NoSpace,
                AlarmType::Corrupt => AlarmKind::Corrupt,
            },
        })),
        EtcdCall::MemberList { linearizable } => To::MemberList { serializable: !linearizable },
        EtcdCall::MemberAdd { peer_urls, learner } => {
            To::MemberAdd { peer_urls: peer_urls.join(",").into(), learner: *learner }
        }
        EtcdCall::MemberRemove { id } => To::MemberRemove(*id),
        EtcdCall::MemberPromote { id } => To::MemberPromote(*id),
        EtcdCall::MemberUpdate { id, peer_urls } => To::MemberUpdate { id: *id, peer_urls: peer_urls.join(",").into() },
        EtcdCall::MoveLeader { target } => To::MoveLeader(*target),
        EtcdCall::Snapshot { .. } => To::Snapshot,
    })
}

/// What etcdctl hears of an error.
pub(super) fn error(call: &EtcdCall, error: EtcdError, header: Header) -> Result<crate::etcdctl::Response, RpcError> {
    Err(match error {
        // A lease that is not there is answered, not refused.
        EtcdError::LeaseNotFound if matches!(call, EtcdCall::LeaseKeepAlive { .. }) => {
            return Ok(crate::etcdctl::Response { header, reply: Reply::LeaseKeepAlive { ttl: 0 } });
        }
        EtcdError::ConnectionRefused => RpcError::Refused,
        EtcdError::ConnectionLost => RpcError::Lost,
        error => RpcError::Status { code: code(error), message: error.to_string() },
    })
}

fn code(error: EtcdError) -> Code {
    match error.code() {
        etcd::Code::InvalidArgument => Code::InvalidArgument,
        etcd::Code::NotFound => Code::NotFound,
        etcd::Code::FailedPrecondition => Code::FailedPrecondition,
        etcd::Code::OutOfRange => Code::OutOfRange,
        etcd::Code::ResourceExhausted => Code::ResourceExhausted,
        etcd::Code::Unavailable => Code::Unavailable,
        etcd::Code::DeadlineExceeded => Code::DeadlineExceeded,
        etcd::Code::Unknown => Code::Unknown,
    }
}

/// The answer to a request nobody here can make.
pub(super) fn not_simulated() -> RpcError {
    RpcError::Status { code: Code::Unimplemented, message: "keys that are no text are not simulated".into() }
}

/// etcdctl's form of a reply.
pub(super) fn reply(call: &EtcdCall, reply: etcd::Reply<EtcdValue>) -> Result<Reply, RpcError> {
    use etcd::Reply as From;
    Ok(match reply {
        From::Range(reply) => Reply::Range(range_reply(&reply)),
        From::Put(before) => Reply::Put(before.map(|kv| key_value(&kv))),
        From::Delete(reply) => Reply::DeleteRange(delete_reply(&reply)),
        From::Txn(reply) => {
            Reply::Txn { succeeded: reply.succeeded, responses: reply.replies.iter().filter_map(op_reply).collect() }
        }
        From::Lease { id, ttl } => match call {
            EtcdCall::LeaseKeepAlive { .. } => Reply::LeaseKeepAlive { ttl },
            _ => Reply::LeaseGrant { id: id.0, ttl },
        },
        From::LeaseTimeToLive(lease) => Reply::LeaseTimeToLive {
            ttl: lease.ttl,
            granted_ttl: lease.granted_ttl,
            keys: lease.keys.iter().map(|key| key.as_bytes().to_vec()).collect(),
        },
        From::Leases(leases) => Reply::Leases(leases.iter().map(|id| id.0).collect()),
        From::Watch(_) => super::etcdctl::opened(),
        From::Status(status) => Reply::Status(self::status(&status)),
        From::Members(members) => Reply::Members(members.iter().map(member).collect()),
        From::MemberAdded(added, members) => {
            Reply::MemberAdded { member: member(&added), members: members.iter().map(member).collect() }
        }
        From::Alarms(alarms) => Reply::Alarms(alarms.iter().map(alarm).collect()),
        From::HashKv(hash) => Reply::HashKv(hash_kv(hash)),
        From::Snapshot(_) => Reply::Snapshot { version: "3.6.0".into() },
        From::Compacted | From::LeaseRevoked | From::LeaderMoved | From::Defragmented { .. } => Reply::Done,
    })
}

/// What the response to `call` begins with.
pub(super) fn header(call: &EtcdCall, response: &etcd::Response<EtcdValue>, member: u8, world: &World) -> Header {
    let of_cluster = matches!(
        call,
        EtcdCall::MemberList { .. }
            | EtcdCall::MemberAdd { .. }
            | EtcdCall::MemberRemove { .. }
            | EtcdCall::MemberPromote { .. }
            | EtcdCall::MemberUpdate { .. }
    );
    let header = plain_header(response, member, world);
    if of_cluster { Header { revision: 0, ..header } } else { header }
}

pub(super) fn plain_header(response: &etcd::Response<EtcdValue>, member: u8, world: &World) -> Header {
    let members = world.etcd().get(usize::from(member)).map(|member| member.store().members());
    Header {
        cluster_id: members.map_or(0, |members| members.cluster_id()),
        member_id: members.map_or(0, |members| members.id(member)),
        revision: signed(response.revision),
        raft_term: response.term,
    }
}

pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

fn text(bytes: &[u8]) -> Option<Arc<str>> {
    std::str::from_utf8(bytes).ok().map(Arc::from)
}

fn keys(keys: &Keys) -> Option<KeyRange> {
    Some(match keys {
        Keys::One(key) => KeyRange::Key(text(key)?),
        Keys::Prefix(prefix) => KeyRange::Prefix(text(prefix)?),
        Keys::From(key) => KeyRange::From(text(key)?),
        Keys::Span { from, to } => KeyRange::Span { from: text(from)?, to: text(to)? },
    })
}

fn range(call: &RangeCall) -> Option<RangeRequest> {
    let sort = match call.sort {
        SortTarget::Key => etcd::SortTarget::Key,
        SortTarget::Version => etcd::SortTarget::Version,
        SortTarget::Create => etcd::SortTarget::Create,
        SortTarget::Mod => etcd::SortTarget::Mod,
        SortTarget::Value => etcd::SortTarget::Value,
    };
    let order = match call.order {
        SortOrder::None if call.sort == SortTarget::Key => etcd::SortOrder::None,
        SortOrder::None | SortOrder::Ascend => etcd::SortOrder::Ascend,
        SortOrder::Descend => etcd::SortOrder::Descend,
    };
    Some(RangeRequest {
        revision: unsigned(call.revision),
        limit: usize::try_from(call.limit).unwrap_or(0),
        sort,
        order,
        count_only: call.count_only,
        keys_only: call.keys_only,
        min_mod_revision: unsigned(call.min_mod_revision),
        max_mod_revision: unsigned(call.max_mod_revision),
        min_create_revision: unsigned(call.min_create_revision),
        max_create_revision: unsigned(call.max_create_revision),
        serializable: call.serializable,
        ..RangeRequest::new(keys(&call.keys)?)
    })
}

fn put(call: &PutCall) -> Option<Put<EtcdValue>> {
    Some(Put {
        key: text(&call.key)?,
        value: call.value.as_ref().map(|value| EtcdValue::Bytes(value.as_slice().into())),
        lease: LeaseId(call.lease),
        ignore_lease: call.ignore_lease,
        prev_kv: call.prev_kv,
    })
}

fn delete(call: &DeleteCall) -> Option<etcd::DeleteRange> {
    Some(etcd::DeleteRange { range: keys(&call.keys)?, prev_kv: call.prev_kv })
}

fn op(call: &OpCall) -> Option<etcd::Op<EtcdValue>> {
    Some(match call {
        OpCall::Range(call) => etcd::Op::Range(range(call)?),
        OpCall::Put(call) => etcd::Op::Put(put(call)?),
        OpCall::Delete(call) => etcd::Op::Delete(delete(call)?),
    })
}

fn compare(compare: &Compare) -> Option<etcd::Compare<EtcdValue>> {
    Some(etcd::Compare {
        key: text(&compare.key)?,
        relation: match compare.relation {
            Relation::Equal => etcd::Relation::Equal,
            Relation::NotEqual => etcd::Relation::NotEqual,
            Relation::Greater => etcd::Relation::Greater,
            Relation::Less => etcd::Relation::Less,
        },
        target: match &compare.target {
            CompareTarget::Version(number) => etcd::CompareTarget::Version(unsigned(*number)),
            CompareTarget::Create(number) => etcd::CompareTarget::Create(unsigned(*number)),
            CompareTarget::Mod(number) => etcd::CompareTarget::Mod(unsigned(*number)),
            CompareTarget::Value(value) => etcd::CompareTarget::Value(EtcdValue::Bytes(value.as_slice().into())),
        },
    })
}

fn key_value(kv: &etcd::KeyValue<EtcdValue>) -> KeyValue {
    KeyValue {
        key: kv.key.as_bytes().to_vec(),
        create_revision: signed(kv.create_revision),
        mod_revision: signed(kv.mod_revision),
        version: signed(kv.version),
        value: value(&kv.value),
        lease: kv.lease.0,
    }
}

/// The bytes that lie under a key.
fn value(value: &EtcdValue) -> Vec<u8> {
    match value {
        EtcdValue::Bytes(bytes) => bytes.to_vec(),
        EtcdValue::Object(object) => framed(object),
    }
}

/// The object in the frame that the API server puts around it.
fn framed(object: &Object) -> Vec<u8> {
    let mut shown = json::to_json(object);
    // It is not stored: readers set it from the key's revision.
    if let Some(meta) = shown["metadata"].as_object_mut() {
        meta.remove("resourceVersion");
    }
    let word = |name: &str| shown[name].as_str().unwrap_or_default().as_bytes().to_vec();
    let mut kind = Vec::new();
    field(&mut kind, 1, &word("apiVersion"));
    field(&mut kind, 2, &word("kind"));
    let mut framed = b"k8s\0".to_vec();
    field(&mut framed, 1, &kind);
    field(&mut framed, 2, shown.to_string().as_bytes());
    field(&mut framed, 3, b"");
    field(&mut framed, 4, b"application/json");
    framed
}

/// A field of bytes, as protobuf writes it.
fn field(out: &mut Vec<u8>, number: u8, bytes: &[u8]) {
    out.push(number << 3 | 2);
    let mut length = bytes.len();
    while length >= 0x80 {
        out.push(length as u8 | 0x80);
        length >>= 7;
    }
    out.push(length as u8);
    out.extend_from_slice(bytes);
}

fn range_reply(reply: &etcd::RangeReply<EtcdValue>) -> RangeReply {
    let kv = |kv: &Arc<etcd::KeyValue<EtcdValue>>| match reply.keys_only {
        true => KeyValue { value: Vec::new(), ..key_only(kv) },
        false => key_value(kv),
    };
    RangeReply { kvs: reply.kvs.iter().map(kv).collect(), more: reply.more, count: signed(reply.count as u64) }
}

fn key_only(kv: &etcd::KeyValue<EtcdValue>) -> KeyValue {
    KeyValue {
        key: kv.key.as_bytes().to_vec(),
        create_revision: signed(kv.create_revision),
        mod_revision: signed(kv.mod_revision),
        version: signed(kv.version),
        value: Vec::new(),
        lease: kv.lease.0,
    }
}

fn delete_reply(reply: &etcd::DeleteReply<EtcdValue>) -> DeleteReply {
    DeleteReply {
        deleted: signed(reply.deleted as u64),
        prev_kvs: reply.prev_kvs.iter().map(|kv| key_value(kv)).collect(),
    }
}

fn op_reply(reply: &etcd::Reply<EtcdValue>) -> Option<OpReply> {
    Some(match reply {
        etcd::Reply::Range(reply) => OpReply::Range(range_reply(reply)),
        etcd::Reply::Put(before) => OpReply::Put(before.as_ref().map(|kv| key_value(kv))),
        etcd::Reply::Delete(reply) => OpReply::Delete(delete_reply(reply)),
        _ => return None,
    })
}

/// A change as a watch tells it.
pub(super) fn watch_event(event: &etcd::KeyEvent<EtcdValue>) -> WatchEvent {
    let gone =
        || KeyValue { key: event.key.as_bytes().to_vec(), mod_revision: signed(event.revision), ..KeyValue::default() };
    WatchEvent {
        delete: event.kv.is_none(),
        kv: event.kv.as_ref().map_or_else(gone, |kv| key_value(kv)),
        prev_kv: event.prev_kv.as_ref().map(|kv| key_value(kv)),
    }
}

fn status(status: &etcd::Status) -> Status {
    Status {
        version: VERSION.into(),
        storage_version: status.storage_version.into(),
        db_size: signed(status.db_size),
        db_size_in_use: signed(status.db_size_in_use),
        db_size_quota: signed(status.db_size_quota),
        leader: status.leader,
        raft_index: status.raft_index,
        raft_term: status.raft_term,
        raft_applied_index: status.raft_applied_index,
        errors: status.errors.clone(),
        is_learner: status.learner,
    }
}

fn member(member: &etcd::MemberInfo) -> Member {
    let urls = |urls: &str| urls.split(',').filter(|url| !url.is_empty()).map(str::to_owned).collect();
    Member {
        id: member.id,
        name: member.name.to_string(),
        peer_urls: urls(&member.peer_urls),
        client_urls: urls(&member.client_urls),
        is_learner: member.learner,
    }
}

fn alarm(alarm: &AlarmMember) -> Alarm {
    let kind = match alarm.kind {
        AlarmKind::NoSpace => AlarmType::NoSpace,
        AlarmKind::Corrupt => AlarmType::Corrupt,
    };
    Alarm { member: alarm.member_id, alarm: kind }
}

/// The engine says 0 where etcd says −1: nothing is compacted.
pub(super) fn hash_kv(hash: etcd::HashKv) -> HashKv {
    let compact_revision = if hash.compact_revision == 0 { -1 } else { signed(hash.compact_revision) };
    HashKv { hash: hash.hash, hash_revision: signed(hash.revision), compact_revision }
}
