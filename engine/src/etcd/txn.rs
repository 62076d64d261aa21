//! Transactions: compare, then do one list of operations or the other, all in one revision.
//!
//! Comparisons, those of inner transactions too, see the store before the transaction; the operations see each other.
//!
//! Models: etcd v3.6 server/etcdserver/txn/txn.go, server/etcdserver/api/v3rpc/key.go (`checkTxnRequest`,
//! `checkIntervals`).

use std::cmp::Ordering;
use std::collections::BTreeSet;

use super::error::EtcdError;
use super::lease::LeaseId;
use super::reply::{Reply, TxnReply};
use super::request::{Compare, CompareTarget, Key, KeyRange, Op, Put, Relation, Request, Txn, Value};
use super::store::{Store, Write};

impl<V: Value> Store<V> {
    /// Compares and does. The request has passed [`Txn::check`].
    pub fn txn(&mut self, txn: &Txn<V>) -> Result<TxnReply<V>, EtcdError> {
        let mut path = Vec::new();
        self.choose(txn, &mut path);
        self.check_ops(txn, &mut path.iter())?;
        let mut write = self.begin();
        let reply = self.execute(txn, &mut write, &mut path.iter());
        self.end(write);
        Ok(reply)
    }

    /// What a transaction without writes answers; it sees the present, or the revisions its reads name.
    pub fn txn_read(&self, txn: &Txn<V>) -> Result<TxnReply<V>, EtcdError> {
        let succeeded = self.holds(txn);
        let mut replies = Vec::new();
        for op in branch(txn, succeeded) {
            match op {
                Op::Range(read) => replies.push(Reply::Range(self.range(read)?)),
                Op::Txn(inner) => replies.push(Reply::Txn(self.txn_read(inner)?)),
                Op::Put(_) | Op::Delete(_) => {}
            }
        }
        Ok(TxnReply { succeeded, replies })
    }

    /// Decides every branch that will be taken, in the order `execute` meets them.
    fn choose(&self, txn: &Txn<V>, path: &mut Vec<bool>) {
        let succeeded = self.holds(txn);
        path.push(succeeded);
        for op in branch(txn, succeeded) {
            if let Op::Txn(inner) = op {
                self.choose(inner, path);
            }
        }
    }

    fn holds(&self, txn: &Txn<V>) -> bool {
        txn.compare.iter().all(|compare| self.compare(compare))
    }

    fn compare(&self, compare: &Compare<V>) -> bool {
        let kv = self.get(&compare.key);
        let number = |of: fn(&super::request::KeyValue<V>) -> u64, with: u64| kv.map_or(0, |kv| of(kv)).cmp(&with);
        let ordering = match &compare.target {
            CompareTarget::Version(with) => number(|kv| kv.version, *with),
            CompareTarget::Create(with) => number(|kv| kv.create_revision, *with),
            CompareTarget::Mod(with) => number(|kv| kv.mod_revision, *with),
            CompareTarget::Lease(with) => kv.map_or(LeaseId::NONE, |kv| kv.lease).cmp(with),
            CompareTarget::Value(with) => match kv {
                Some(kv) => kv.value.order(with),
                None => return false,
            },
        };
        match compare.relation {
            Relation::Equal => ordering == Ordering::Equal,
            Relation::NotEqual => ordering != Ordering::Equal,
            Relation::Greater => ordering == Ordering::Greater,
            Relation::Less => ordering == Ordering::Less,
        }
    }

    fn check_ops<'a>(&self, txn: &Txn<V>, path: &mut impl Iterator<Item = &'a bool>) -> Result<(), EtcdError> {
        branch(txn, path.next() == Some(&true)).iter().try_for_each(|op| match op {
            Op::Range(read) => self.check_range(read),
            Op::Put(put) => self.check_put(put),
            Op::Delete(_) => Ok(()),
            Op::Txn(inner) => self.check_ops(inner, path),
        })
    }

    fn execute<'a>(
        &mut self,
        txn: &Txn<V>,
        write: &mut Write,
        path: &mut impl Iterator<Item = &'a bool>,
    ) -> TxnReply<V> {
        let succeeded = path.next() == Some(&true);
        let mut replies = Vec::with_capacity(branch(txn, succeeded).len());
        for op in branch(txn, succeeded) {
            replies.push(match op {
                Op::Range(read) => Reply::Range(self.range_in(read)),
                Op::Put(put) => Reply::Put(self.put_in(write, put)),
                Op::Delete(delete) => Reply::Delete(self.delete_in(write, delete)),
                Op::Txn(inner) => Reply::Txn(self.execute(inner, write, path)),
            });
        }
        TxnReply { succeeded, replies }
    }
}

fn branch<V>(txn: &Txn<V>, succeeded: bool) -> &[Op<V>] {
    if succeeded { &txn.success } else { &txn.failure }
}

impl<V> Txn<V> {
    /// Whether neither branch writes; such a transaction is a read.
    pub fn is_read_only(&self) -> bool {
        self.ops().all(|op| match op {
            Op::Range(_) => true,
            Op::Put(_) | Op::Delete(_) => false,
            Op::Txn(inner) => inner.is_read_only(),
        })
    }

    /// Whether all its reads are content with what the member has.
    pub fn is_serializable(&self) -> bool {
        self.ops().all(|op| match op {
            Op::Range(read) => read.serializable,
            Op::Put(_) | Op::Delete(_) => false,
            Op::Txn(inner) => inner.is_serializable(),
        })
    }

    /// What is refused before it is proposed: empty keys, too many operations, a key changed twice.
    pub fn check(&self, max_ops: usize) -> Result<(), EtcdError> {
        self.check_shape(max_ops)?;
        Changes::of(&self.success)?;
        Changes::of(&self.failure)?;
        Ok(())
    }

    fn ops(&self) -> impl Iterator<Item = &Op<V>> {
        self.success.iter().chain(&self.failure)
    }

    fn check_shape(&self, max_ops: usize) -> Result<(), EtcdError> {
        let ops = self.compare.len().max(self.success.len()).max(self.failure.len());
        let Some(rest) = max_ops.checked_sub(ops) else { return Err(EtcdError::TooManyOps) };
        if self.compare.iter().any(|compare| compare.key.is_empty()) {
            return Err(EtcdError::EmptyKey);
        }
        self.ops().try_for_each(|op| match op {
            Op::Range(read) => check_range_key(&read.range),
            Op::Put(put) => put.check(),
            Op::Delete(delete) => check_range_key(&delete.range),
            Op::Txn(inner) => inner.check_shape(rest),
        })
    }
}

impl<V> Put<V> {
    /// What is refused before it is proposed.
    pub fn check(&self) -> Result<(), EtcdError> {
        match (self.key.is_empty(), self.ignore_lease && self.lease != LeaseId::NONE) {
            (true, _) => Err(EtcdError::EmptyKey),
            (_, true) => Err(EtcdError::LeaseProvided),
            _ => Ok(()),
        }
    }
}

impl<V> Request<V> {
    /// What is refused before anything is done.
    pub fn check(&self, max_txn_ops: usize) -> Result<(), EtcdError> {
        match self {
            Request::Range(read) => check_range_key(&read.range),
            Request::Put(put) => put.check(),
            Request::Delete(delete) => check_range_key(&delete.range),
            Request::Txn(txn) => txn.check(max_txn_ops),
            _ => Ok(()),
        }
    }
}

/// Refuses a range that begins with the empty key; a prefix or an open range may (clients send the byte 0 then).
fn check_range_key(range: &KeyRange) -> Result<(), EtcdError> {
    match range {
        KeyRange::Key(key) | KeyRange::Span { from: key, .. } if key.is_empty() => Err(EtcdError::EmptyKey),
        _ => Ok(()),
    }
}

/// What a list of operations may change, to find keys changed twice.
#[derive(Default)]
struct Changes<'a> {
    puts: BTreeSet<&'a Key>,
    deletes: Vec<&'a KeyRange>,
}

impl<'a> Changes<'a> {
    fn of<V>(ops: &'a [Op<V>]) -> Result<Self, EtcdError> {
        let deletes = ops.iter().filter_map(|op| if let Op::Delete(delete) = op { Some(&delete.range) } else { None });
        let mut all = Changes { puts: BTreeSet::new(), deletes: deletes.collect() };
        for op in ops {
            if let Op::Txn(inner) = op {
                let (success, failure) = (Changes::of(&inner.success)?, Changes::of(&inner.failure)?);
                let puts: BTreeSet<&Key> = success.puts.union(&failure.puts).copied().collect();
                // The two branches exclude each other, so they may write the same key.
                puts.into_iter().try_for_each(|key| all.put(key))?;
                all.deletes.extend(success.deletes);
                all.deletes.extend(failure.deletes);
            }
        }
        for op in ops {
            if let Op::Put(put) = op {
                all.put(&put.key)?;
            }
        }
        Ok(all)
    }

    fn put(&mut self, key: &'a Key) -> Result<(), EtcdError> {
        let twice = !self.puts.insert(key) || self.deletes.iter().any(|range| range.contains(key));
        if twice { Err(EtcdError::DuplicateKey) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::super::request::{DeleteRange, RangeRequest};
    use super::*;

    fn put(key: &str, value: &str) -> Op<String> {
        Op::Put(Put::new(key, value.to_string()))
    }

    fn delete(range: KeyRange) -> Op<String> {
        Op::Delete(DeleteRange { range, prev_kv: false })
    }

    fn txn(compare: Vec<Compare<String>>, success: Vec<Op<String>>, failure: Vec<Op<String>>) -> Txn<String> {
        Txn { compare, success, failure }
    }

    fn is(key: &str, target: CompareTarget<String>) -> Compare<String> {
        Compare { key: key.into(), relation: Relation::Equal, target }
    }

    #[test]
    fn all_changes_of_a_transaction_share_a_revision_and_reads_see_them() {
        let mut store = Store::default();
        let read = Op::Range(RangeRequest::new(KeyRange::Prefix("".into())));
        let reply = store.txn(&txn(vec![], vec![put("a", "1"), put("b", "2"), read], vec![])).unwrap();
        let Some(Reply::Range(read)) = reply.replies.last() else { panic!("{reply:?}") };
        assert_eq!(read.count, 2);
        assert_eq!(store.revision(), 2);
        assert_eq!(store.events_from(0).map(|e| (e.revision, e.sub_revision)).collect::<Vec<_>>(), [(2, 0), (2, 1)]);
    }

    #[test]
    fn inner_comparisons_see_the_store_before_the_transaction() {
        let mut store = Store::default();
        let inner = Op::Txn(txn(vec![is("a", CompareTarget::Version(0))], vec![put("new", "")], vec![put("old", "")]));
        store.txn(&txn(vec![], vec![put("a", "1"), inner], vec![])).unwrap();
        assert!(store.get("new").is_some() && store.get("old").is_none());
    }

    #[test]
    fn an_absent_key_is_zero_and_has_no_value() {
        let store = Store::default();
        assert!(store.compare(&is("a", CompareTarget::Mod(0))));
        let mut different = is("a", CompareTarget::Value(String::new()));
        assert!(!store.compare(&different));
        different.relation = Relation::NotEqual;
        assert!(!store.compare(&different));
    }

    #[test]
    fn a_failing_operation_leaves_the_store_as_it_was() {
        let mut store = Store::default();
        let bad = Op::Put(Put { lease: LeaseId(7), ..Put::new("b", String::new()) });
        let refused = store.txn(&txn(vec![], vec![put("a", "1"), bad], vec![]));
        assert_eq!(refused.err(), Some(EtcdError::LeaseNotFound));
        assert_eq!((store.revision(), store.size().keys), (1, 0));
    }

    #[test]
    fn a_key_may_not_change_twice_except_in_branches_that_exclude_each_other() {
        let check = |ops| txn(vec![], ops, vec![]).check(128);
        let prefix = || KeyRange::Prefix("a".into());
        assert_eq!(check(vec![put("a", "1"), put("a", "2")]), Err(EtcdError::DuplicateKey));
        assert_eq!(check(vec![put("ab", "1"), delete(prefix())]), Err(EtcdError::DuplicateKey));
        assert_eq!(check(vec![delete(prefix()), delete(prefix())]), Ok(()));
        let either = Op::Txn(txn(vec![], vec![put("a", "1")], vec![put("a", "2")]));
        assert_eq!(check(vec![either.clone()]), Ok(()));
        assert_eq!(check(vec![either.clone(), put("a", "3")]), Err(EtcdError::DuplicateKey));
        assert_eq!(check(vec![either, delete(prefix())]), Err(EtcdError::DuplicateKey));
    }

    #[test]
    fn operations_are_counted_along_the_nesting() {
        let nested = txn(vec![], vec![Op::Txn(txn(vec![], vec![put("a", ""), put("b", "")], vec![]))], vec![]);
        assert_eq!(nested.check(3), Ok(()));
        assert_eq!(nested.check(2), Err(EtcdError::TooManyOps));
        assert_eq!(txn(vec![], vec![put("", "")], vec![]).check(9), Err(EtcdError::EmptyKey));
    }
}
