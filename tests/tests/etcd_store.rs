//! The etcd store against the simplest store that can be right: one whole map per revision and one list of all changes.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proptest::prelude::*;
use wavetank_engine::etcd::watch::{Caught, Watchers};
use wavetank_engine::etcd::{
    Compare, CompareTarget, DeleteRange, EtcdError, KeyEvent, KeyRange, KeyValue, LeaseId, Op, Proposal, Put,
    RangeRequest, Relation, Reply, SortOrder, SortTarget, Store, Txn, Value, WatchRequest,
};

#[derive(Clone, Debug, PartialEq)]
struct Text(Arc<str>);

impl Value for Text {
    fn size(&self) -> usize {
        self.0.len()
    }
    fn order(&self, other: &Self) -> Ordering {
        self.0.cmp(&other.0)
    }
}

type Kv = KeyValue<Text>;
type Map = BTreeMap<String, Kv>;

/// The reference.
#[derive(Clone)]
struct Model {
    /// The whole store at each revision, from revision 1 on.
    maps: Vec<Map>,
    changes: Vec<KeyEvent<Text>>,
    leases: BTreeSet<i64>,
    compacted: u64,
}

impl Model {
    fn new() -> Self {
        Model { maps: vec![Map::new()], changes: Vec::new(), leases: BTreeSet::new(), compacted: 0 }
    }

    fn revision(&self) -> u64 {
        self.maps.len() as u64
    }

    fn now(&self) -> &Map {
        self.maps.last().expect("revision 1 is there")
    }

    fn apply(&mut self, proposal: &Proposal<Text>) -> Result<Reply<Text>, EtcdError> {
        let mut draft = self.clone();
        draft.maps.push(self.now().clone());
        let changes = draft.changes.len();
        let reply = draft.act(proposal, self.now())?;
        if draft.changes.len() == changes {
            draft.maps.pop();
        }
        *self = draft;
        Ok(reply)
    }

    fn act(&mut self, proposal: &Proposal<Text>, before: &Map) -> Result<Reply<Text>, EtcdError> {
        match proposal {
            Proposal::Put(put) => self.op(&Op::Put(put.clone()), before),
            Proposal::Delete(delete) => self.op(&Op::Delete(delete.clone()), before),
            Proposal::Txn(txn) => self.op(&Op::Txn(txn.clone()), before),
            Proposal::Alarm(_) | Proposal::Members(_) => unreachable!("the steps propose no such thing"),
            Proposal::Compact(revision) if *revision <= self.compacted => Err(EtcdError::Compacted),
            Proposal::Compact(revision) if *revision >= self.revision() => Err(EtcdError::FutureRevision),
            Proposal::Compact(revision) => {
                self.compacted = *revision;
                Ok(Reply::Compacted)
            }
            Proposal::LeaseGrant { id, .. } if !self.leases.insert(id.0) => Err(EtcdError::LeaseExists),
            Proposal::LeaseGrant { id, ttl } => Ok(Reply::Lease { id: *id, ttl: *ttl }),
            Proposal::LeaseRevoke(id) if !self.leases.remove(&id.0) => Err(EtcdError::LeaseNotFound),
            Proposal::LeaseRevoke(id) => {
                let keys: Vec<_> = before.values().filter(|kv| kv.lease == *id).map(|kv| kv.key.clone()).collect();
                for key in keys {
                    self.change(&key, None);
                }
                Ok(Reply::LeaseRevoked)
            }
        }
    }

    fn op(&mut self, op: &Op<Text>, before: &Map) -> Result<Reply<Text>, EtcdError> {
        match op {
            Op::Put(put) => {
                // Whether a key or lease exists is asked of the store before the transaction.
                if (put.value.is_none() || put.ignore_lease) && !before.contains_key(&*put.key) {
                    return Err(EtcdError::KeyNotFound);
                }
                if put.lease != LeaseId::NONE && !self.leases.contains(&put.lease.0) {
                    return Err(EtcdError::LeaseNotFound);
                }
                let old = self.now().get(&*put.key).cloned();
                let kv = Kv {
                    key: put.key.clone(),
                    create_revision: old.as_ref().map_or(self.revision(), |old| old.create_revision),
                    mod_revision: self.revision(),
                    version: old.as_ref().map_or(0, |old| old.version) + 1,
                    lease: match &old {
                        Some(old) if put.ignore_lease => old.lease,
                        _ => put.lease,
                    },
                    value: put.value.clone().unwrap_or_else(|| old.as_ref().expect("checked").value.clone()),
                };
                self.change(&put.key, Some(kv));
                Ok(Reply::Put(old.filter(|_| put.prev_kv).map(Arc::new)))
            }
            Op::Delete(delete) => {
                let doomed: Vec<Kv> =
                    self.now().values().filter(|kv| within(&delete.range, &kv.key)).cloned().collect();
                doomed.iter().for_each(|kv| self.change(&kv.key, None));
                let prev_kvs = if delete.prev_kv { doomed.iter().cloned().map(Arc::new).collect() } else { vec![] };
                Ok(Reply::Delete(wavetank_engine::etcd::DeleteReply { deleted: doomed.len(), prev_kvs }))
            }
            Op::Range(read) => self.range(read, self.revision() - 1).map(Reply::Range),
            Op::Txn(txn) => {
                let succeeded = txn.compare.iter().all(|compare| holds(compare, before));
                let ops = if succeeded { &txn.success } else { &txn.failure };
                let replies = ops.iter().map(|op| self.op(op, before)).collect::<Result<_, _>>()?;
                Ok(Reply::Txn(wavetank_engine::etcd::TxnReply { succeeded, replies }))
            }
        }
    }

    fn change(&mut self, key: &Arc<str>, kv: Option<Kv>) {
        let revision = self.revision();
        let map = self.maps.last_mut().expect("revision 1 is there");
        let prev = map.remove(&**key);
        if let Some(kv) = &kv {
            map.insert(key.to_string(), kv.clone());
        }
        let sub_revision = self.changes.iter().filter(|change| change.revision == revision).count() as u32;
        let (kv, prev_kv) = (kv.map(Arc::new), prev.map(Arc::new));
        self.changes.push(KeyEvent { key: key.clone(), revision, sub_revision, kv, prev_kv });
    }

    fn range(&self, read: &RangeRequest, current: u64) -> Result<wavetank_engine::etcd::RangeReply<Text>, EtcdError> {
        let map = match read.revision {
            0 => self.now(),
            revision if revision > current => return Err(EtcdError::FutureRevision),
            revision if revision < self.compacted => return Err(EtcdError::Compacted),
            revision => &self.maps[revision as usize - 1],
        };
        let mut kvs: Vec<Arc<Kv>> =
            map.values().filter(|kv| within(&read.range, &kv.key)).cloned().map(Arc::new).collect();
        let count = kvs.len();
        if read.order == SortOrder::Descend {
            match read.sort {
                SortTarget::Mod => kvs.sort_by_key(|kv| std::cmp::Reverse(kv.mod_revision)),
                _ => kvs.reverse(),
            }
        }
        let more = !read.count_only && read.limit > 0 && count > read.limit;
        kvs.truncate(if read.limit > 0 { read.limit } else { usize::MAX });
        if read.count_only {
            kvs.clear();
        }
        Ok(wavetank_engine::etcd::RangeReply { kvs, more, count, keys_only: read.keys_only })
    }

    /// What a watch of `range` from `from` must have been told in the end.
    fn story(&self, range: &KeyRange, from: u64) -> Vec<(u64, u32, String, Option<Arc<Kv>>)> {
        let told = self.changes.iter().filter(|change| change.revision >= from && within(range, &change.key));
        told.map(line).collect()
    }
}

fn line(event: &KeyEvent<Text>) -> (u64, u32, String, Option<Arc<Kv>>) {
    (event.revision, event.sub_revision, event.key.to_string(), event.kv.clone())
}

fn within(range: &KeyRange, key: &str) -> bool {
    match range {
        KeyRange::Key(only) => **only == *key,
        KeyRange::Prefix(prefix) => key.get(..prefix.len()) == Some(prefix),
        KeyRange::Span { from, to } => &**from <= key && key < &**to,
        KeyRange::From(from) => &**from <= key,
    }
}

fn holds(compare: &Compare<Text>, map: &Map) -> bool {
    let kv = map.get(&*compare.key);
    let ordering = match &compare.target {
        CompareTarget::Version(with) => kv.map_or(0, |kv| kv.version).cmp(with),
        CompareTarget::Create(with) => kv.map_or(0, |kv| kv.create_revision).cmp(with),
        CompareTarget::Mod(with) => kv.map_or(0, |kv| kv.mod_revision).cmp(with),
        CompareTarget::Lease(with) => kv.map_or(LeaseId::NONE, |kv| kv.lease).cmp(with),
        CompareTarget::Value(_) if kv.is_none() => return false,
        CompareTarget::Value(with) => kv.map_or("", |kv| &kv.value.0).cmp(&with.0),
    };
    match compare.relation {
        Relation::Equal => ordering.is_eq(),
        Relation::NotEqual => ordering.is_ne(),
        Relation::Greater => ordering.is_gt(),
        Relation::Less => ordering.is_lt(),
    }
}

/// One step of a test.
#[derive(Clone, Debug)]
enum Step {
    Apply(Proposal<Text>),
    /// A compaction at this share of the present revision. [1/8]
    CompactAt(u64),
    Range(RangeRequest),
    /// A read at this share of the present revision. [1/8]
    RangeAt(RangeRequest, u64),
    /// A watch from this share of the present revision on. [1/8]
    Watch(KeyRange, u64),
    /// A round of the catch-up loop.
    Sync,
}

fn key() -> impl Strategy<Value = Arc<str>> {
    prop::sample::select(vec!["a", "ab", "abc", "ac", "b", "b/1", "b/2", "é", "éa", "z"]).prop_map(Arc::from)
}

fn range() -> impl Strategy<Value = KeyRange> {
    prop_oneof![
        key().prop_map(KeyRange::Key),
        prop_oneof![key(), Just(Arc::from(""))].prop_map(KeyRange::Prefix),
        (key(), key()).prop_map(|(from, to)| KeyRange::Span { from, to }),
        key().prop_map(KeyRange::From),
    ]
}

fn read() -> impl Strategy<Value = RangeRequest> {
    let order = prop::sample::select(vec![SortOrder::None, SortOrder::Ascend, SortOrder::Descend]);
    (range(), 0..4usize, order, any::<bool>(), 0..8u8).prop_map(|(range, limit, order, by_mod, flags)| {
        let by_mod = by_mod && order == SortOrder::Descend;
        let sort = if by_mod { SortTarget::Mod } else { SortTarget::Key };
        let (count_only, keys_only) = (flags == 0, flags == 1);
        RangeRequest { limit, order, sort, count_only, keys_only, ..RangeRequest::new(range) }
    })
}

fn put() -> impl Strategy<Value = Put<Text>> {
    (key(), "[a-c]{0,3}", 0..12u8, any::<bool>()).prop_map(|(key, value, flags, prev_kv)| Put {
        key,
        value: (flags != 3).then_some(Text(value.into())),
        lease: LeaseId(if flags < 3 { i64::from(flags) } else { 0 }),
        ignore_lease: flags == 4,
        prev_kv,
    })
}

fn delete() -> impl Strategy<Value = DeleteRange> {
    (range(), any::<bool>()).prop_map(|(range, prev_kv)| DeleteRange { range, prev_kv })
}

fn compare() -> impl Strategy<Value = Compare<Text>> {
    let relation = prop::sample::select(vec![Relation::Equal, Relation::NotEqual, Relation::Greater, Relation::Less]);
    let target = prop_oneof![
        (0..4u64).prop_map(CompareTarget::Version),
        (0..9u64).prop_map(CompareTarget::Create),
        (0..9u64).prop_map(CompareTarget::Mod),
        "[a-c]{0,1}".prop_map(|value| CompareTarget::Value(Text(value.into()))),
        (0..3i64).prop_map(|id| CompareTarget::Lease(LeaseId(id))),
    ];
    (key(), relation, target).prop_map(|(key, relation, target)| Compare { key, relation, target })
}

fn txn() -> impl Strategy<Value = Txn<Text>> {
    let op = || prop_oneof![put().prop_map(Op::Put), delete().prop_map(Op::Delete), read().prop_map(Op::Range)];
    let flat = move |inner: BoxedStrategy<Op<Text>>| {
        let ops = || prop::collection::vec(inner.clone(), 0..4);
        (prop::collection::vec(compare(), 0..3), ops(), ops()).prop_map(|(compare, success, failure)| Txn {
            compare,
            success,
            failure,
        })
    };
    let leaf = op().boxed();
    let nested = prop_oneof![3 => op(), 1 => flat(leaf).prop_map(Op::Txn)].boxed();
    flat(nested).prop_filter("no key twice", |txn| txn.check(128).is_ok())
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => put().prop_map(|put| Step::Apply(Proposal::Put(put))),
        2 => delete().prop_map(|delete| Step::Apply(Proposal::Delete(delete))),
        4 => txn().prop_map(|txn| Step::Apply(Proposal::Txn(txn))),
        1 => (1..3i64).prop_map(|id| Step::Apply(Proposal::LeaseGrant { id: LeaseId(id), ttl: 9 })),
        1 => (1..3i64).prop_map(|id| Step::Apply(Proposal::LeaseRevoke(LeaseId(id)))),
        1 => (0..10u64).prop_map(Step::CompactAt),
        2 => read().prop_map(Step::Range),
        2 => (read(), 0..10u64).prop_map(|(read, share)| Step::RangeAt(read, share)),
        2 => (range(), 0..10u64).prop_map(|(range, share)| Step::Watch(range, share)),
        2 => Just(Step::Sync),
    ]
}

/// A watch, and what it was told.
struct Listener {
    range: KeyRange,
    from: u64,
    told: Vec<KeyEvent<Text>>,
    compacted: bool,
}

struct Pair {
    store: Store<Text>,
    model: Model,
    watchers: Watchers<usize>,
    listeners: Vec<Listener>,
}

impl Pair {
    fn step(&mut self, step: Step) -> Result<(), TestCaseError> {
        let share = |of: u64, eighths: u64| of * eighths / 8;
        let revision = self.model.revision();
        match step {
            Step::Apply(proposal) => self.apply(&proposal)?,
            Step::CompactAt(eighths) => self.apply(&Proposal::Compact(share(revision, eighths)))?,
            Step::Range(read) => prop_assert_eq!(self.store.range(&read), self.model.range(&read, revision)),
            Step::RangeAt(read, eighths) => {
                let read = RangeRequest { revision: share(revision, eighths), ..read };
                prop_assert_eq!(self.store.range(&read), self.model.range(&read, revision));
            }
            Step::Watch(range, eighths) => {
                let start_revision = share(revision, eighths);
                let request = WatchRequest {
                    range: range.clone(),
                    start_revision,
                    prev_kv: true,
                    progress_notify: false,
                    require_leader: false,
                };
                self.watchers.add(self.listeners.len(), request, self.store.revision());
                let from = if start_revision == 0 { revision + 1 } else { start_revision };
                self.listeners.push(Listener { range, from, told: Vec::new(), compacted: false });
            }
            Step::Sync => self.sync()?,
        }
        Ok(())
    }

    fn apply(&mut self, proposal: &Proposal<Text>) -> Result<(), TestCaseError> {
        let before = self.store.revision();
        prop_assert_eq!(self.store.apply(proposal), self.model.apply(proposal), "{:?}", proposal);
        prop_assert_eq!(self.store.revision(), self.model.revision());
        for (id, events) in self.watchers.notify(&self.store, before + 1) {
            self.tell(id, events)?;
        }
        let live = self.model.now().values().map(|kv| (kv.key.len() + kv.value.0.len()) as u64).sum::<u64>();
        prop_assert_eq!((self.store.size().keys, self.store.size().live_bytes), (self.model.now().len() as u64, live));
        prop_assert!(self.store.size().total_bytes >= live);
        for (id, lease) in self.store.leases().iter() {
            let held = self.model.now().values().filter(|kv| kv.lease == id).map(|kv| kv.key.clone());
            prop_assert_eq!(&lease.keys, &held.collect::<BTreeSet<_>>());
        }
        Ok(())
    }

    fn sync(&mut self) -> Result<(), TestCaseError> {
        for (id, caught) in self.watchers.sync(&self.store) {
            match caught {
                Caught::Events(events) => self.tell(id, events)?,
                Caught::Compacted { compact_revision } => {
                    prop_assert_eq!(compact_revision, self.model.compacted);
                    prop_assert!(self.listeners[id].from < compact_revision);
                    self.listeners[id].compacted = true;
                }
            }
        }
        Ok(())
    }

    fn tell(&mut self, id: usize, events: Vec<KeyEvent<Text>>) -> Result<(), TestCaseError> {
        for event in &events {
            let truth = self.model.changes.iter().find(|change| line(change) == line(event));
            let known = event.revision > self.model.compacted;
            let expected = truth.and_then(|truth| truth.prev_kv.clone()).filter(|_| known);
            prop_assert_eq!(&event.prev_kv, &expected, "what was before {:?}", line(event));
        }
        self.listeners[id].told.extend(events);
        Ok(())
    }

    fn finish(mut self) -> Result<(), TestCaseError> {
        self.sync()?;
        for listener in &self.listeners {
            if listener.compacted {
                prop_assert!(listener.told.is_empty(), "a compacted watch never began");
                continue;
            }
            let told: Vec<_> = listener.told.iter().map(line).collect();
            prop_assert_eq!(told, self.model.story(&listener.range, listener.from));
        }
        for revision in 1..=self.model.revision() {
            let read = RangeRequest { revision, ..RangeRequest::new(KeyRange::Prefix("".into())) };
            prop_assert_eq!(self.store.range(&read), self.model.range(&read, self.model.revision()));
        }
        // Compacted to the end, only what lives is left, and tombstones of the last revision.
        let last = self.store.revision();
        if self.store.compact(last).is_ok() {
            let dead = self.model.changes.iter().filter(|change| change.revision == last && change.kv.is_none());
            let tombstones: usize = dead.map(|change| change.key.len()).sum();
            prop_assert_eq!(self.store.size().total_bytes, self.store.size().live_bytes + tombstones as u64);
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_store_agrees_with_a_map_per_revision(steps in prop::collection::vec(step(), 1..80)) {
        let mut pair =
            Pair { store: Store::default(), model: Model::new(), watchers: Watchers::default(), listeners: Vec::new() };
        for step in steps {
            pair.step(step)?;
        }
        pair.finish()?;
    }
}
