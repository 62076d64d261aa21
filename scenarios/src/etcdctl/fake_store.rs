//! The data of the fake etcd: every change, and what is there now.

use std::collections::BTreeMap;

use super::*;

/// The data.
#[derive(Clone, Debug, Default)]
pub(crate) struct Store {
    /// Every change: revision, key, and the key then; None is a delete.
    pub history: Vec<(i64, Bytes, Option<KeyValue>)>,
    pub live: BTreeMap<Bytes, KeyValue>,
    pub revision: i64,
    pub compacted: i64,
}

impl Store {
    pub fn put(&mut self, call: &PutCall, revision: i64) -> Result<Option<KeyValue>, RpcError> {
        let prev = self.live.get(&call.key).cloned();
        let value = match (&call.value, &prev) {
            (Some(value), _) => value.clone(),
            (None, Some(prev)) => prev.value.clone(),
            (None, None) => return Err(status(Code::InvalidArgument, "etcdserver: key not found")),
        };
        let lease = if call.ignore_lease { prev.as_ref().map_or(0, |p| p.lease) } else { call.lease };
        let (create_revision, version) = prev.as_ref().map_or((revision, 1), |p| (p.create_revision, p.version + 1));
        let kv = KeyValue { key: call.key.clone(), create_revision, mod_revision: revision, version, value, lease };
        self.live.insert(call.key.clone(), kv.clone());
        self.history.push((revision, call.key.clone(), Some(kv)));
        Ok(prev.filter(|_| call.prev_kv))
    }

    pub fn delete(&mut self, keys: &Keys, revision: i64) -> Vec<KeyValue> {
        let gone: Vec<KeyValue> = self.live.values().filter(|kv| keys.contains(&kv.key)).cloned().collect();
        for kv in &gone {
            self.live.remove(&kv.key);
            self.history.push((revision, kv.key.clone(), None));
        }
        gone
    }

    pub fn at(&self, revision: i64) -> BTreeMap<Bytes, KeyValue> {
        let mut then = BTreeMap::new();
        for (_, key, kv) in self.history.iter().filter(|(at, ..)| *at <= revision) {
            match kv {
                Some(kv) => then.insert(key.clone(), kv.clone()),
                None => then.remove(key),
            };
        }
        then
    }

    pub fn range(&self, call: &RangeCall) -> Result<RangeReply, RpcError> {
        if call.revision > self.revision {
            return Err(status(Code::OutOfRange, "etcdserver: mvcc: required revision is a future revision"));
        }
        if call.revision > 0 && call.revision < self.compacted {
            return Err(status(Code::OutOfRange, "etcdserver: mvcc: required revision has been compacted"));
        }
        let all = if call.revision > 0 { self.at(call.revision) } else { self.live.clone() };
        let mut kvs: Vec<KeyValue> = all.into_values().filter(|kv| call.keys.contains(&kv.key)).collect();
        let count = kvs.len() as i64;
        let within = |value: i64, min: i64, max: i64| value >= min && (max == 0 || value <= max);
        kvs.retain(|kv| within(kv.mod_revision, call.min_mod_revision, call.max_mod_revision));
        kvs.retain(|kv| within(kv.create_revision, call.min_create_revision, call.max_create_revision));
        match call.sort {
            SortTarget::Key => {}
            SortTarget::Version => kvs.sort_by_key(|kv| kv.version),
            SortTarget::Create => kvs.sort_by_key(|kv| kv.create_revision),
            SortTarget::Mod => kvs.sort_by_key(|kv| kv.mod_revision),
            SortTarget::Value => kvs.sort_by(|a, b| a.value.cmp(&b.value)),
        }
        if call.order == SortOrder::Descend {
            kvs.reverse();
        }
        let more = call.limit > 0 && kvs.len() as i64 > call.limit;
        if more {
            kvs.truncate(call.limit as usize);
        }
        if call.keys_only {
            kvs.iter_mut().for_each(|kv| kv.value.clear());
        }
        if call.count_only {
            kvs.clear();
        }
        Ok(RangeReply { kvs, more, count })
    }

    pub fn holds(&self, compare: &Compare) -> bool {
        let kv = self.live.get(&compare.key);
        let number = |of: fn(&KeyValue) -> i64, to: &i64| Some(kv.map_or(0, of).cmp(to));
        let order = match &compare.target {
            CompareTarget::Version(to) => number(|kv| kv.version, to),
            CompareTarget::Create(to) => number(|kv| kv.create_revision, to),
            CompareTarget::Mod(to) => number(|kv| kv.mod_revision, to),
            CompareTarget::Value(to) => kv.map(|kv| kv.value.cmp(to)),
        };
        order.is_some_and(|order| match compare.relation {
            Relation::Equal => order.is_eq(),
            Relation::NotEqual => order.is_ne(),
            Relation::Greater => order.is_gt(),
            Relation::Less => order.is_lt(),
        })
    }

    pub fn watch(&self, call: &WatchCall) -> FakeWatch {
        let next = if call.start_revision == 0 { self.revision + 1 } else { call.start_revision };
        FakeWatch { call: call.clone(), next }
    }

    pub fn watched(&self, watch: &mut FakeWatch, header: Header) -> Option<WatchResponse> {
        if watch.next < self.compacted {
            let compact_revision = self.compacted;
            return Some(WatchResponse { header, canceled: true, compact_revision, ..WatchResponse::default() });
        }
        let news = self.history.iter().filter(|(at, key, _)| *at >= watch.next && watch.call.keys.contains(key));
        let events: Vec<WatchEvent> = news
            .map(|(at, key, kv)| WatchEvent {
                delete: kv.is_none(),
                kv: kv.clone().unwrap_or(KeyValue { key: key.clone(), mod_revision: *at, ..KeyValue::default() }),
                prev_kv: self.at(at - 1).remove(key).filter(|_| watch.call.prev_kv),
            })
            .collect();
        watch.next = watch.next.max(self.revision + 1);
        (!events.is_empty()).then(|| WatchResponse { header, events, ..WatchResponse::default() })
    }
}

/// An open watch.
#[derive(Clone, Debug)]
pub(crate) struct FakeWatch {
    call: WatchCall,
    next: i64,
}

pub(crate) fn status(code: Code, message: &str) -> RpcError {
    RpcError::Status { code, message: message.into() }
}
