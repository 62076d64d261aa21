//! Reading ranges of keys.
//!
//! Models: etcd v3.6 server/etcdserver/txn/range.go and txn.go (`executeRange`), server/storage/mvcc/kvstore_txn.go.

use std::cmp::Ordering;
use std::sync::Arc;

use super::error::EtcdError;
use super::reply::RangeReply;
use super::request::{KeyRange, KeyValue, RangeRequest, SortOrder, SortTarget, Value};
use super::store::Store;

impl<V: Value> Store<V> {
    /// The keys of a range, now or as of a revision.
    pub fn range(&self, request: &RangeRequest) -> Result<RangeReply<V>, EtcdError> {
        self.check_range(request)?;
        Ok(self.range_in(request))
    }

    pub(super) fn check_range(&self, request: &RangeRequest) -> Result<(), EtcdError> {
        match request.revision {
            0 => Ok(()),
            revision if revision > self.revision() => Err(EtcdError::FutureRevision),
            revision if revision < self.compact_revision() => Err(EtcdError::Compacted),
            _ => Ok(()),
        }
    }

    /// Reads; `check_range` has been passed. Without a revision this sees a write transaction's own changes.
    pub(super) fn range_in(&self, request: &RangeRequest) -> RangeReply<V> {
        let filtered = request.min_mod_revision != 0
            || request.max_mod_revision != 0
            || request.min_create_revision != 0
            || request.max_create_revision != 0;
        // etcd cuts before sorting when only the sort's target is given, and so does this.
        let cut_early = request.order == SortOrder::None && !filtered;
        let fetch = if request.limit == 0 || !cut_early { usize::MAX } else { request.limit.saturating_add(1) };
        let (mut kvs, count) = self.fetch(request, if request.count_only { 0 } else { fetch });
        if filtered {
            kvs.retain(|kv| passes(request, kv));
        }
        sort(&mut kvs, request.sort, request.order);
        let more = request.limit > 0 && kvs.len() > request.limit;
        if more {
            kvs.truncate(request.limit);
        }
        RangeReply { kvs, more, count, keys_only: request.keys_only }
    }

    /// The first `most` keys of the range, and how many it has.
    fn fetch(&self, request: &RangeRequest, most: usize) -> (Vec<Arc<KeyValue<V>>>, usize) {
        let at = if request.revision == 0 { u64::MAX } else { request.revision };
        if let KeyRange::Key(key) = &request.range {
            let found = self.get_at(key, at);
            return (found.into_iter().take(most).cloned().collect(), usize::from(found.is_some()));
        }
        let mut found = self.walk(&request.range).filter_map(|(_, index)| index.at(at));
        let kvs: Vec<_> = found.by_ref().take(most).cloned().collect();
        let count = kvs.len() + found.count();
        (kvs, count)
    }
}

impl<V: Value> RangeReply<V> {
    /// Bytes of the answer's keys and values.
    pub fn size(&self) -> usize {
        let value = |kv: &KeyValue<V>| if self.keys_only { 0 } else { kv.value.size() };
        self.kvs.iter().map(|kv| kv.key.len() + value(kv)).sum()
    }
}

fn passes<V>(request: &RangeRequest, kv: &KeyValue<V>) -> bool {
    let within = |revision, min, max| revision >= min && (max == 0 || revision <= max);
    within(kv.mod_revision, request.min_mod_revision, request.max_mod_revision)
        && within(kv.create_revision, request.min_create_revision, request.max_create_revision)
}

fn sort<V: Value>(kvs: &mut [Arc<KeyValue<V>>], target: SortTarget, order: SortOrder) {
    let by = |a: &Arc<KeyValue<V>>, b: &Arc<KeyValue<V>>| -> Ordering {
        match target {
            SortTarget::Key => a.key.cmp(&b.key),
            SortTarget::Version => a.version.cmp(&b.version),
            SortTarget::Create => a.create_revision.cmp(&b.create_revision),
            SortTarget::Mod => a.mod_revision.cmp(&b.mod_revision),
            SortTarget::Value => a.value.order(&b.value),
        }
    };
    match (order, target) {
        (SortOrder::None | SortOrder::Ascend, SortTarget::Key) => {}
        (SortOrder::None | SortOrder::Ascend, _) => kvs.sort_by(by),
        (SortOrder::Descend, _) => kvs.sort_by(|a, b| by(b, a)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::request::Put;
    use super::*;

    fn store() -> Store<String> {
        let mut store = Store::default();
        for (key, value) in [("p/a", "3"), ("p/b", "1"), ("p/c", "2"), ("q", "0"), ("p/a", "9")] {
            store.put(&Put::new(key, value.to_string())).unwrap();
        }
        store
    }

    fn keys(reply: &RangeReply<String>) -> Vec<&str> {
        reply.kvs.iter().map(|kv| &*kv.key).collect()
    }

    fn prefix() -> RangeRequest {
        RangeRequest::new(KeyRange::Prefix("p/".into()))
    }

    #[test]
    fn a_limit_cuts_the_answer_but_not_the_count() {
        let reply = store().range(&RangeRequest { limit: 2, ..prefix() }).unwrap();
        assert_eq!((keys(&reply), reply.more, reply.count), (vec!["p/a", "p/b"], true, 3));
        let reply = store().range(&RangeRequest { limit: 3, ..prefix() }).unwrap();
        assert_eq!((reply.kvs.len(), reply.more), (3, false));
        let reply = store().range(&RangeRequest { count_only: true, ..prefix() }).unwrap();
        assert_eq!((reply.kvs.len(), reply.more, reply.count), (0, false, 3));
    }

    #[test]
    fn a_limit_with_an_order_cuts_after_sorting_and_without_one_before() {
        let request = RangeRequest { limit: 1, sort: SortTarget::Value, ..prefix() };
        let early = store().range(&request).unwrap();
        assert_eq!(keys(&early), ["p/b"], "the first two by key, then the smaller value");
        let late = store().range(&RangeRequest { order: SortOrder::Descend, ..request }).unwrap();
        assert_eq!(keys(&late), ["p/a"]);
    }

    #[test]
    fn filters_look_at_revisions() {
        let reply = store().range(&RangeRequest { min_mod_revision: 3, max_create_revision: 3, ..prefix() }).unwrap();
        assert_eq!(keys(&reply), ["p/a", "p/b"]);
    }

    #[test]
    fn a_read_of_the_past_sees_the_past() {
        let reply = store().range(&RangeRequest { revision: 3, ..prefix() }).unwrap();
        assert_eq!((keys(&reply), reply.kvs[0].value.as_str()), (vec!["p/a", "p/b"], "3"));
        let refused = store().range(&RangeRequest { revision: 7, ..prefix() });
        assert_eq!(refused.err(), Some(EtcdError::FutureRevision));
    }

    #[test]
    fn spans_are_half_open() {
        let span = |from: &str, to: &str| RangeRequest::new(KeyRange::Span { from: from.into(), to: to.into() });
        assert_eq!(keys(&store().range(&span("p/a", "p/c")).unwrap()), ["p/a", "p/b"]);
        assert_eq!(keys(&store().range(&span("z", "a")).unwrap()), [""; 0]);
        assert_eq!(keys(&store().range(&RangeRequest::new(KeyRange::From("p/c".into()))).unwrap()), ["p/c", "q"]);
    }
}
