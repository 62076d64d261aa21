//! What etcd holds, and has held: the truth, and not anybody's cache.

use std::sync::Arc;

use super::World;
use crate::etcd::{self, Member};
use crate::event::EtcdValue;
use crate::objects::{Key, Kind, Object};

/// A version of an object.
#[derive(Clone, Debug)]
pub struct HistoryEntry {
    /// The revision of the write.
    pub revision: u64,
    /// The object's key.
    pub key: Key,
    /// What was written; `None` is a deletion.
    pub object: Option<Arc<Object>>,
}

impl World {
    /// Everything stored of a kind, in key order: the truth in etcd, not a cache.
    pub fn objects(&self, kind: Kind) -> Vec<Arc<Object>> {
        let Some(member) = self.latest() else { return Vec::new() };
        let range = etcd::RangeRequest::new(etcd::KeyRange::Prefix(kind.key_prefix().into()));
        member
            .store()
            .range(&range)
            .map(|reply| reply.kvs.iter().filter_map(|kv| kv.value.object().cloned()).collect())
            .unwrap_or_default()
    }

    /// The member whose store is furthest: what it has was committed.
    pub(super) fn latest(&self) -> Option<&Member<EtcdValue>> {
        self.etcd.iter().rev().max_by_key(|member| member.applied_index())
    }

    /// All keys in etcd, in order.
    pub fn keys(&self) -> Vec<Arc<str>> {
        let Some(member) = self.latest() else { return Vec::new() };
        let range = etcd::RangeRequest::new(etcd::KeyRange::Prefix("/".into()));
        member
            .store()
            .range(&range)
            .map(|reply| reply.kvs.iter().map(|kv| kv.key.clone()).collect())
            .unwrap_or_default()
    }

    /// Every version of the objects of a kind that was written after `revision`, in the order of the writes.
    pub fn history(&self, kind: Kind, revision: u64) -> Vec<HistoryEntry> {
        let Some(member) = self.latest() else { return Vec::new() };
        let prefix = kind.key_prefix();
        let changes = member.store().events_from(revision + 1).filter(|event| event.key.starts_with(&prefix));
        changes
            .map(|event| {
                let name = &event.key[prefix.len()..];
                let (namespace, name) = name.split_once('/').unwrap_or(("", name));
                HistoryEntry {
                    revision: event.revision,
                    key: Key::new(namespace, name),
                    object: event.kv.as_ref().and_then(|kv| kv.value.object().cloned()),
                }
            })
            .collect()
    }

    /// Everything written after `revision` of the kinds whose keys begin with these prefixes ([`Kind::key_prefix`]), in the order of the
    /// writes; `None` is a deletion.
    pub fn changes(&self, revision: u64, prefixes: &[(Kind, String)]) -> Vec<(Kind, Key, Option<Arc<Object>>)> {
        let Some(member) = self.latest() else { return Vec::new() };
        let events = member.store().events_from(revision + 1);
        let read = events.filter_map(|event| {
            let (kind, name) =
                prefixes.iter().find_map(|(kind, prefix)| Some((*kind, event.key.strip_prefix(prefix.as_str())?)))?;
            let (namespace, name) = name.split_once('/').unwrap_or(("", name));
            Some((kind, Key::new(namespace, name), event.kv.as_ref().and_then(|kv| kv.value.object().cloned())))
        });
        read.collect()
    }

    /// etcd's revision: it changes whenever anything stored does.
    pub fn revision(&self) -> u64 {
        self.latest().map_or(0, |member| member.store().revision())
    }
}
