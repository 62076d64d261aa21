//! Leases: keys that die together unless somebody keeps them alive.
//!
//! [`Leases`] is replicated state: which leases exist and which keys they hold. [`Lessor`] is the leader's watch on
//! time: when each runs out. The two are apart because the store knows no time.
//!
//! Models: etcd v3.6 server/lease/lessor.go. Left out: checkpoints.

use std::collections::{BTreeMap, BTreeSet};

use super::error::EtcdError;
use super::request::Key;
use crate::kernel::{Duration, Instant};

/// The name of a lease; etcdctl prints it in hexadecimal.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Hash)]
pub struct LeaseId(pub i64);

impl LeaseId {
    /// No lease.
    pub const NONE: LeaseId = LeaseId(0);
}

/// One lease.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Lease {
    /// Its full time. [s]
    pub ttl: i64,
    /// The keys that die with it.
    pub keys: BTreeSet<Key>,
}

/// All leases.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Leases {
    leases: BTreeMap<LeaseId, Lease>,
}

/// Longest TTL. [s] – constant; etcd: MaxLeaseTTL.
const MAX_TTL: i64 = 9_000_000_000;

impl Leases {
    /// The lease of that name.
    pub fn get(&self, id: LeaseId) -> Option<&Lease> {
        self.leases.get(&id)
    }

    /// All leases, by name.
    pub fn iter(&self) -> impl Iterator<Item = (LeaseId, &Lease)> {
        self.leases.iter().map(|(id, lease)| (*id, lease))
    }

    pub(super) fn grant(&mut self, id: LeaseId, ttl: i64) -> Result<(), EtcdError> {
        if id == LeaseId::NONE {
            return Err(EtcdError::LeaseNotFound);
        }
        if ttl > MAX_TTL {
            return Err(EtcdError::LeaseTtlTooLarge);
        }
        if self.leases.contains_key(&id) {
            return Err(EtcdError::LeaseExists);
        }
        self.leases.insert(id, Lease { ttl, keys: BTreeSet::new() });
        Ok(())
    }

    pub(super) fn remove(&mut self, id: LeaseId) -> Option<Lease> {
        self.leases.remove(&id)
    }

    pub(super) fn attach(&mut self, id: LeaseId, key: &Key) {
        if id != LeaseId::NONE
            && let Some(lease) = self.leases.get_mut(&id)
        {
            lease.keys.insert(key.clone());
        }
    }

    pub(super) fn detach(&mut self, id: LeaseId, key: &Key) {
        if id != LeaseId::NONE
            && let Some(lease) = self.leases.get_mut(&id)
        {
            lease.keys.remove(key);
        }
    }
}

/// When each lease runs out, as the leader sees it.
#[derive(Clone, Debug, Default)]
pub struct Lessor {
    expiries: BTreeMap<LeaseId, Instant>,
    /// The same in order of time, without those being revoked.
    due: BTreeSet<(Instant, LeaseId)>,
}

impl Lessor {
    /// How often expired leases are looked for. – constant; etcd: the loop of runLoop, 500 ms.
    pub const TICK: Duration = Duration::from_millis(500);
    /// Most leases revoked per look. – constant; etcd: leaseRevokeRate / 2, 500.
    const REVOKED_PER_TICK: usize = 500;

    /// Starts or restarts a lease's time.
    pub fn renew(&mut self, id: LeaseId, ttl: i64, now: Instant) {
        self.forget(id);
        let expiry = now + Duration::from_secs(ttl.max(0) as u64);
        self.expiries.insert(id, expiry);
        self.due.insert((expiry, id));
    }

    /// Forgets a lease.
    pub fn forget(&mut self, id: LeaseId) {
        if let Some(expiry) = self.expiries.remove(&id) {
            self.due.remove(&(expiry, id));
        }
    }

    /// A new leader begins to keep time: every lease has its full time and `extra` (nobody knows what was left).
    pub fn promote(&mut self, leases: &Leases, extra: Duration, now: Instant) {
        self.demote();
        for (id, lease) in leases.iter() {
            let expiry = now + Duration::from_secs(lease.ttl.max(0) as u64) + extra;
            self.expiries.insert(id, expiry);
            self.due.insert((expiry, id));
        }
    }

    /// Another one keeps time from now on.
    pub fn demote(&mut self) {
        self.expiries.clear();
        self.due.clear();
    }

    /// The time a lease has left; `None` when it has run out or does not exist.
    pub fn remaining(&self, id: LeaseId, now: Instant) -> Option<Duration> {
        self.expiries.get(&id).map(|expiry| expiry.since(now)).filter(|left| *left > Duration::ZERO)
    }

    /// The leases that have run out and are to be revoked now; each is named once.
    pub fn expired(&mut self, now: Instant) -> Vec<LeaseId> {
        let over: Vec<_> =
            self.due.iter().take_while(|(expiry, _)| *expiry <= now).take(Self::REVOKED_PER_TICK).copied().collect();
        over.iter().for_each(|entry| {
            self.due.remove(entry);
        });
        over.into_iter().map(|(_, id)| id).collect()
    }

    /// The look that will find the next one; looks happen at multiples of [`Self::TICK`].
    pub fn next_tick(&self, now: Instant) -> Option<Instant> {
        let (expiry, _) = self.due.first()?;
        let tick = Self::TICK.as_nanos();
        let due = expiry.as_nanos().div_ceil(tick).max(now.as_nanos() / tick + 1);
        Some(Instant::from_nanos(due.saturating_mul(tick)))
    }
}

#[cfg(test)]
mod tests {
    use super::super::request::{Proposal, Put};
    use super::super::store::Store;
    use super::*;

    #[test]
    fn a_put_moves_the_key_to_its_lease_and_a_revocation_deletes_in_one_revision() {
        let mut store = Store::<String>::default();
        let id = LeaseId(7);
        store.apply(&Proposal::LeaseGrant { id, ttl: 10 }).unwrap();
        for key in ["c", "a", "b", "b"] {
            store.put(&Put { lease: id, ..Put::new(key, String::new()) }).unwrap();
        }
        store.put(&Put::new("c", String::new())).unwrap();
        let before = store.revision();
        store.apply(&Proposal::LeaseRevoke(id)).unwrap();
        let gone: Vec<_> = store.events_from(before + 1).map(|event| (&*event.key, event.sub_revision)).collect();
        assert_eq!(gone, [("a", 0), ("b", 1)], "c has left the lease");
        assert_eq!(store.apply(&Proposal::LeaseRevoke(id)).err(), Some(EtcdError::LeaseNotFound));
    }

    #[test]
    fn revoking_an_empty_lease_does_not_move_the_revision() {
        let mut store = Store::<String>::default();
        store.apply(&Proposal::LeaseGrant { id: LeaseId(1), ttl: 10 }).unwrap();
        store.apply(&Proposal::LeaseRevoke(LeaseId(1))).unwrap();
        assert_eq!(store.revision(), 1);
    }

    #[test]
    fn a_renewed_lease_expires_later_and_each_is_named_once() {
        let at = |s| Instant::START + Duration::from_secs(s);
        let mut lessor = Lessor::default();
        lessor.renew(LeaseId(1), 2, at(0));
        lessor.renew(LeaseId(2), 3, at(0));
        lessor.renew(LeaseId(1), 2, at(2));
        assert_eq!(lessor.next_tick(at(0)), Some(at(3)));
        assert_eq!(lessor.expired(at(3)), [LeaseId(2)]);
        assert_eq!(lessor.expired(at(3)), []);
        assert_eq!(lessor.remaining(LeaseId(1), at(3)), Some(Duration::from_secs(1)));
        assert_eq!(lessor.remaining(LeaseId(2), at(3)), None);
        lessor.renew(LeaseId(1), 2, Instant::from_nanos(3_100_000_000));
        assert_eq!(lessor.next_tick(at(3)), Some(Instant::from_nanos(5_500_000_000)), "looks come every half second");
    }

    #[test]
    fn a_flood_of_expiries_is_revoked_at_a_bounded_rate() {
        let mut lessor = Lessor::default();
        (1..=700).for_each(|id| lessor.renew(LeaseId(id), 2, Instant::START));
        let late = Instant::from_nanos(9_000_000_000);
        assert_eq!((lessor.expired(late).len(), lessor.expired(late).len()), (500, 200));
    }
}
