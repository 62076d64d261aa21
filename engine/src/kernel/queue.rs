//! The queue of what is still to happen: a radix heap over virtual time with a total order inside one instant.
//!
//! Time never goes back, so an entry only ever moves to a finer bucket: pushing and popping cost a few sequential writes
//! however many entries wait. Order is (instant, lane, source, source's own counter). Shuffling replaces (lane, source) by
//! a seeded hash of them, which keeps the order of one source and mixes the sources: a run whose outcome changes with it
//! hangs on tie order.

use super::random::hash_words;
use super::time::Instant;

/// Names a queued entry so that it can be cancelled.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TimerId {
    slot: u32,
    generation: u32,
}

/// A monotone priority queue of `T`.
#[derive(Clone, Debug)]
pub struct Queue<T> {
    /// `buckets[0]`: entries at `last`, sorted descending by tie. `buckets[b]`: entries whose instant differs from `last` first at
    /// bit `b - 1`.
    buckets: Vec<Vec<Entry>>,
    /// Payloads, addressed by the entries.
    slots: Vec<Slot<T>>,
    free: Vec<u32>,
    /// The instant of the last pop; nothing is queued before it.
    last: Instant,
    pushed: u64,
    pending: usize,
    shuffle: Option<u64>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    at: Instant,
    tie: u64,
    sequence: u64,
    slot: u32,
}

#[derive(Clone, Debug)]
struct Slot<T> {
    generation: u32,
    payload: Option<T>,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Queue::new(None)
    }
}

impl<T> Queue<T> {
    /// An empty queue; `shuffle` mixes the order of ties by that seed.
    pub fn new(shuffle: Option<u64>) -> Self {
        Queue {
            buckets: vec![Vec::new(); 65],
            slots: Vec::new(),
            free: Vec::new(),
            last: Instant::START,
            pushed: 0,
            pending: 0,
            shuffle,
        }
    }

    /// Queues `payload` at `at`, which must not lie before the last pop. `lane` orders kinds of sources inside an instant,
    /// `source` the sources of a kind; entries of one source keep their order.
    pub fn push(&mut self, at: Instant, lane: u8, source: u32, payload: T) -> TimerId {
        assert!(at >= self.last, "queued at {at:?}, before {:?}", self.last);
        let order = u64::from(lane) << 32 | u64::from(source);
        let tie = self.shuffle.map_or(order, |seed| hash_words(&[seed, order]));
        let slot = self.store(payload);
        let entry = Entry { at, tie, sequence: self.pushed, slot };
        self.pushed += 1;
        self.pending += 1;
        self.place(entry);
        TimerId { slot, generation: self.slots[slot as usize].generation }
    }

    /// The next entry and its instant.
    pub fn pop(&mut self) -> Option<(Instant, T)> {
        loop {
            while let Some(entry) = self.buckets[0].pop() {
                let payload = self.release(entry.slot);
                if let Some(payload) = payload {
                    self.pending -= 1;
                    return Some((entry.at, payload));
                }
            }
            if !self.refill() {
                return None;
            }
        }
    }

    /// The instant of the next entry, cancelled ones left out.
    pub fn next_at(&mut self) -> Option<Instant> {
        while let Some(entry) = self.buckets[0].last() {
            if self.slots[entry.slot as usize].payload.is_some() {
                return Some(entry.at);
            }
            let slot = entry.slot;
            self.buckets[0].pop();
            self.release(slot);
        }
        // Looking must not commit to an instant: something earlier may still be pushed.
        self.earliest()
    }

    /// Forgets an entry; false if it has already been popped or cancelled.
    pub fn cancel(&mut self, timer: TimerId) -> bool {
        let slot = &mut self.slots[timer.slot as usize];
        let live = slot.generation == timer.generation && slot.payload.take().is_some();
        self.pending -= usize::from(live);
        live
    }

    /// How many entries wait.
    pub fn len(&self) -> usize {
        self.pending
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.pending == 0
    }

    fn store(&mut self, payload: T) -> u32 {
        if let Some(slot) = self.free.pop() {
            self.slots[slot as usize].payload = Some(payload);
            return slot;
        }
        self.slots.push(Slot { generation: 0, payload: Some(payload) });
        (self.slots.len() - 1) as u32
    }

    fn release(&mut self, slot: u32) -> Option<T> {
        let entry = &mut self.slots[slot as usize];
        entry.generation = entry.generation.wrapping_add(1);
        self.free.push(slot);
        entry.payload.take()
    }

    fn place(&mut self, entry: Entry) {
        let difference = entry.at.as_nanos() ^ self.last.as_nanos();
        let bucket = 64 - difference.leading_zeros() as usize;
        if bucket > 0 {
            self.buckets[bucket].push(entry);
            return;
        }
        let key = (entry.tie, entry.sequence);
        let now = &mut self.buckets[0];
        // A push at the current instant usually comes after everything that waits there: look from that end.
        let behind = now.partition_point(|waiting| (waiting.tie, waiting.sequence) > key);
        now.insert(behind, entry);
    }

    /// Moves the earliest instant's entries into bucket 0 and everything near it into finer buckets.
    fn refill(&mut self) -> bool {
        let Some(bucket) = self.buckets.iter().position(|bucket| !bucket.is_empty()) else {
            return false;
        };
        let mut moving = std::mem::take(&mut self.buckets[bucket]);
        self.last = moving.iter().map(|entry| entry.at).min().expect("the bucket is not empty");
        for entry in moving.drain(..) {
            let difference = entry.at.as_nanos() ^ self.last.as_nanos();
            self.buckets[64 - difference.leading_zeros() as usize].push(entry);
        }
        self.buckets[bucket] = moving;
        self.buckets[0].sort_unstable_by_key(|entry| std::cmp::Reverse((entry.tie, entry.sequence)));
        true
    }

    fn earliest(&self) -> Option<Instant> {
        let live = |entry: &&Entry| self.slots[entry.slot as usize].payload.is_some();
        self.buckets.iter().skip(1).find_map(|bucket| bucket.iter().filter(live).map(|entry| entry.at).min())
    }
}

#[cfg(test)]
mod tests {
    use super::super::time::Duration;
    use super::*;

    fn at(ns: u64) -> Instant {
        Instant::from_nanos(ns)
    }

    #[test]
    fn ties_come_by_lane_then_source_then_age() {
        let mut queue = Queue::new(None);
        queue.push(at(5), 1, 0, "lane 1");
        queue.push(at(5), 0, 2, "source 2");
        queue.push(at(5), 0, 1, "source 1, first");
        queue.push(at(5), 0, 1, "source 1, second");
        queue.push(at(4), 9, 9, "earlier");
        let order: Vec<_> = std::iter::from_fn(|| queue.pop().map(|(_, payload)| payload)).collect();
        assert_eq!(order, ["earlier", "source 1, first", "source 1, second", "source 2", "lane 1"]);
    }

    #[test]
    fn shuffling_keeps_the_order_of_one_source() {
        let mut seen = std::collections::BTreeSet::new();
        for seed in 0..20 {
            let mut queue = Queue::new(Some(seed));
            for (source, label) in [(1, "a1"), (1, "a2"), (2, "b1"), (2, "b2")] {
                queue.push(at(5), 0, source, label);
            }
            let order: Vec<_> = std::iter::from_fn(|| queue.pop().map(|(_, payload)| payload)).collect();
            let place = |label| order.iter().position(|seen| *seen == label);
            assert!(place("a1") < place("a2") && place("b1") < place("b2"), "{order:?}");
            seen.insert(order);
        }
        assert_eq!(seen.len(), 2, "both orders of the sources occur");
    }

    #[test]
    fn a_cancelled_timer_does_not_fire_and_its_slot_is_reused_safely() {
        let mut queue = Queue::new(None);
        let timer = queue.push(at(3), 0, 0, 1);
        assert!(queue.cancel(timer));
        assert!(!queue.cancel(timer));
        queue.push(at(4), 0, 0, 2);
        assert_eq!(queue.next_at(), Some(at(4)));
        assert_eq!(queue.pop(), Some((at(4), 2)));
        assert!(!queue.cancel(timer), "the slot now belongs to somebody else");
        assert!(queue.is_empty());
    }

    /// Against the simplest model that can be right: a sorted vector.
    #[test]
    fn agrees_with_a_sorted_vector_over_random_operations() {
        let mut luck = super::super::random::Seed(3).luck(0, 0, 0, 0);
        let mut queue = Queue::new(None);
        let mut model: Vec<(u64, u8, u32, u64)> = Vec::new();
        let mut now = 0;
        for sequence in 0..20_000u64 {
            if luck.below(5) < 3 {
                let (wait, lane, source) =
                    (luck.below(40) * luck.below(1_000), luck.below(3) as u8, luck.below(4) as u32);
                queue.push(at(now) + Duration::from_nanos(wait), lane, source, sequence);
                model.push((now + wait, lane, source, sequence));
            } else {
                model.sort_unstable();
                let expected = (!model.is_empty()).then(|| model.remove(0));
                assert_eq!(queue.next_at(), expected.map(|(ns, ..)| at(ns)));
                assert_eq!(queue.pop(), expected.map(|(ns, _, _, id)| (at(ns), id)));
                now = expected.map_or(now, |(ns, ..)| ns);
            }
        }
    }
}
