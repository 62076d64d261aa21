//! The queue of what is still to happen: wheels over virtual time, each 256 times as fine as the next.
//!
//! What falls due in the next microseconds lies sorted; everything later lies in buckets, in no order. Time never goes back,
//! so an entry only ever moves to a finer wheel, a few times however many wait. Entries carry their payload and move
//! in runs: at a million entries it is the jumps through memory that cost, not the bytes.
//!
//! Order is (instant, lane, source, source's own counter). Shuffling replaces (lane, source) by a seeded hash of them, which
//! keeps the order of one source and mixes the sources: a run whose outcome changes with it hangs on tie order.

use std::cmp::Ordering;
use std::collections::{BTreeSet, BinaryHeap};

use super::random::hash_words;
use super::time::{Duration, Instant};

/// A bucket of at most so many entries is sorted rather than split, if they lie close together.
const SORTED_ENTRIES: usize = 64;
/// How close: what is pushed into that stretch later costs a heap's logarithm, so it has to be short.
const SORTED_WIDTH: Duration = Duration::from_micros(64);

/// Names a queued entry so that it can be cancelled, in the queue that gave it out and in forks of that queue.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct TimerId {
    at: Instant,
    sequence: u64,
}

/// A monotone priority queue of `T`.
#[derive(Clone, Debug)]
pub struct Queue<T> {
    /// Entries up to `horizon`, sorted, the next one last.
    near: Vec<Entry<T>>,
    /// Entries up to `horizon` that were pushed when it already lay there.
    late: BinaryHeap<Entry<T>>,
    /// No entry up to here is far, none after it near or late. It never goes back.
    horizon: Instant,
    far: Buckets<T>,
    /// Cancelled entries that still lie in one of the three places; they are dropped when they come up.
    cancelled: BTreeSet<TimerId>,
    /// The instant of the last pop; nothing is queued before it.
    last: Instant,
    pushed: u64,
    pending: usize,
    shuffle: Option<u64>,
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
            near: Vec::new(),
            late: BinaryHeap::new(),
            horizon: Instant::START,
            far: Buckets::new(),
            cancelled: BTreeSet::new(),
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
        let sequence = self.pushed;
        self.pushed += 1;
        self.pending += 1;
        // Built at its place: an entry is big, and this runs for every event.
        if at > self.horizon {
            self.far.room(self.horizon, at).push(Entry { at, tie, sequence, payload });
        } else {
            self.late.push(Entry { at, tie, sequence, payload });
        }
        TimerId { at, sequence }
    }

    /// The next entry and its instant.
    pub fn pop(&mut self) -> Option<(Instant, T)> {
        loop {
            while let Some(timer) = self.look().map(Entry::id) {
                let dropped = self.forget(timer);
                let entry = self.take();
                if !dropped {
                    self.last = timer.at;
                    self.pending -= 1;
                    return entry.map(|entry| (timer.at, entry.payload));
                }
            }
            if !self.refill() {
                return None;
            }
        }
    }

    /// The instant of the next entry, cancelled ones left out.
    pub fn next_at(&mut self) -> Option<Instant> {
        while let Some(timer) = self.look().map(Entry::id) {
            if !self.forget(timer) {
                return Some(timer.at);
            }
            self.take();
        }
        // Looking must not move the horizon: all that is pushed before the next entry would come late.
        let live = |entry: &&Entry<T>| self.cancelled.is_empty() || !self.cancelled.contains(&entry.id());
        self.far.in_order().find_map(|bucket| bucket.iter().flatten().filter(live).map(|entry| entry.at).min())
    }

    /// Forgets an entry; false if it has already been popped or cancelled. Its payload lives on until its instant comes.
    pub fn cancel(&mut self, timer: TimerId) -> bool {
        let waits =
            timer.at > self.horizon || self.near.iter().chain(&self.late).any(|entry| entry.sequence == timer.sequence);
        let live = waits && self.cancelled.insert(timer);
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

    /// Whether the entry, which is the next, had been cancelled; if so, it is to be dropped.
    fn forget(&mut self, timer: TimerId) -> bool {
        // Mostly the earliest cancelled entry, which is cheap to find, already answers.
        self.cancelled.first().is_some_and(|first| first.at <= timer.at) && self.cancelled.remove(&timer)
    }

    fn late_is_next(&self) -> bool {
        self.late.peek().is_some_and(|late| self.near.last().is_none_or(|near| late > near))
    }

    fn look(&self) -> Option<&Entry<T>> {
        if self.late_is_next() { self.late.peek() } else { self.near.last() }
    }

    #[inline]
    fn take(&mut self) -> Option<Entry<T>> {
        if self.late_is_next() { self.late.pop() } else { self.near.pop() }
    }

    /// Moves the horizon to the next entries, which makes them near or late; false if there are none.
    fn refill(&mut self) -> bool {
        let Some((bucket, mut chunks)) = self.far.take_first() else { return false };
        let (mut first, mut last, mut entries) = (Instant::NEVER, Instant::START, 0);
        for chunk in &chunks {
            entries += chunk.len();
            for entry in chunk {
                first = first.min(entry.at);
                last = last.max(entry.at);
            }
        }
        let sort = first == last || (entries <= SORTED_ENTRIES && last.since(first) <= SORTED_WIDTH);
        self.horizon = if sort { last } else { first };
        for mut chunk in chunks.drain(..) {
            if sort {
                self.near.append(&mut chunk);
            } else {
                for entry in chunk.drain(..) {
                    if entry.at > first {
                        self.far.room(first, entry.at).push(entry);
                    } else {
                        self.near.push(entry);
                    }
                }
            }
            self.far.spare.push(chunk);
        }
        self.near.sort_unstable();
        self.far.buckets[bucket] = chunks;
        true
    }
}

#[derive(Clone, Debug)]
struct Entry<T> {
    at: Instant,
    tie: u64,
    sequence: u64,
    payload: T,
}

impl<T> Entry<T> {
    fn id(&self) -> TimerId {
        TimerId { at: self.at, sequence: self.sequence }
    }
}

/// The greatest is the next, as heaps have it.
impl<T> Ord for Entry<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.tie, other.sequence).cmp(&(self.at, self.tie, self.sequence))
    }
}

impl<T> PartialOrd for Entry<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> PartialEq for Entry<T> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl<T> Eq for Entry<T> {}

/// Bits of an instant that one wheel tells apart.
const DIGIT: u32 = 8;
const BUCKETS: usize = ((u64::BITS / DIGIT) as usize) << DIGIT;
/// Entries in a chunk: enough to read in sequence, few enough that a bucket with one entry wastes little.
const CHUNK: usize = 32;

/// A piece of a bucket. Chunks rather than one growing vector: emptied ones are used again while the cache still holds them.
type Chunk<T> = Vec<Entry<T>>;

/// Entries after a horizon, by the highest digit in which their instants differ from it and by that digit's value: a later
/// bucket holds later entries. They stay where they are when the horizon moves into the first bucket.
#[derive(Clone, Debug)]
struct Buckets<T> {
    buckets: Vec<Vec<Chunk<T>>>,
    /// A bit per bucket: whether it holds anything.
    occupied: [u64; BUCKETS / 64],
    /// Empty chunks.
    spare: Vec<Chunk<T>>,
}

impl<T> Buckets<T> {
    fn new() -> Self {
        let buckets = std::iter::repeat_with(Vec::new).take(BUCKETS).collect();
        Buckets { buckets, occupied: [0; BUCKETS / 64], spare: Vec::new() }
    }

    /// A chunk with room, in the bucket of instant `at`.
    fn room(&mut self, horizon: Instant, at: Instant) -> &mut Chunk<T> {
        let wheel = (at.as_nanos() ^ horizon.as_nanos()).ilog2() / DIGIT;
        let value = at.as_nanos() >> (wheel * DIGIT) & ((1 << DIGIT) - 1);
        let bucket = (wheel << DIGIT) as usize | value as usize;
        let chunks = &mut self.buckets[bucket];
        if chunks.last().is_none_or(|chunk| chunk.len() >= CHUNK) {
            self.occupied[bucket / 64] |= 1 << (bucket % 64);
            let mut chunk = self.spare.pop().unwrap_or_default();
            chunk.reserve_exact(CHUNK);
            chunks.push(chunk);
        }
        let last = chunks.len() - 1;
        &mut chunks[last]
    }

    /// Takes what the first occupied bucket holds; the caller gives the emptied vector back to it.
    fn take_first(&mut self) -> Option<(usize, Vec<Chunk<T>>)> {
        let bucket = self.occupied_from(0)?;
        self.occupied[bucket / 64] &= !(1 << (bucket % 64));
        Some((bucket, std::mem::take(&mut self.buckets[bucket])))
    }

    fn in_order(&self) -> impl Iterator<Item = &Vec<Chunk<T>>> {
        let occupied = std::iter::successors(self.occupied_from(0), |bucket| self.occupied_from(bucket + 1));
        occupied.map(|bucket| &self.buckets[bucket])
    }

    fn occupied_from(&self, bucket: usize) -> Option<usize> {
        let mut word = bucket / 64;
        let mut bits = self.occupied.get(word)? & (u64::MAX << (bucket % 64));
        while bits == 0 {
            word += 1;
            bits = *self.occupied.get(word)?;
        }
        Some(word * 64 + bits.trailing_zeros() as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::super::random::Seed;
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
    fn a_cancelled_timer_does_not_fire_and_is_cancelled_once() {
        let mut queue = Queue::new(None);
        let timer = queue.push(at(3), 0, 0, 1);
        let other = queue.push(at(4), 0, 0, 2);
        assert!(queue.cancel(timer));
        assert!(!queue.cancel(timer));
        assert_eq!(queue.next_at(), Some(at(4)));
        assert!(!queue.cancel(timer), "looking past it makes no difference");
        assert_eq!(queue.pop(), Some((at(4), 2)));
        assert!(!queue.cancel(timer) && !queue.cancel(other));
        assert!(queue.is_empty());
    }

    #[test]
    fn cancelled_timers_leave_no_trace_once_their_time_has_come() {
        let mut queue = Queue::new(None);
        let timers: Vec<_> = (0..100_000).map(|n| queue.push(at(n % 1_000 * 1_000_003), 0, 0, n)).collect();
        for timer in timers.iter().skip(1) {
            assert!(queue.cancel(*timer));
        }
        assert_eq!((queue.len(), queue.pop()), (1, Some((at(0), 0))));
        assert_eq!((queue.next_at(), queue.pop(), queue.len()), (None, None, 0));
        assert!(queue.cancelled.is_empty() && queue.near.is_empty() && queue.late.is_empty());
        assert!(queue.far.in_order().next().is_none());
        assert!(timers.iter().all(|timer| !queue.cancel(*timer)));
        queue.push(at(1), 0, 0, 7);
        assert_eq!(queue.pop(), Some((at(1), 7)), "time has not gone on to the cancelled entries");
    }

    #[test]
    fn a_look_ahead_forbids_no_earlier_push() {
        let mut queue = Queue::new(None);
        for instant in [Instant::NEVER, at(10_000_000_000), at(70_000), at(0)] {
            queue.push(instant, 0, 0, ());
            assert_eq!(queue.next_at(), Some(instant));
        }
        let order: Vec<_> = std::iter::from_fn(|| queue.pop().map(|(at, ())| at)).collect();
        assert_eq!(order, [at(0), at(70_000), at(10_000_000_000), Instant::NEVER]);
    }

    #[test]
    #[should_panic(expected = "before t=0.000000005s")]
    fn the_past_is_closed() {
        let mut queue = Queue::new(None);
        queue.push(at(5), 0, 0, ());
        queue.pop();
        queue.push(at(4), 0, 0, ());
    }

    /// Against the simplest model that can be right: a sorted set. Forks are taken on the way and replace the original.
    #[test]
    fn agrees_with_a_sorted_set_over_random_operations() {
        for (round, shuffle) in [(0, None), (1, Some(9)), (2, None), (3, Some(4))] {
            let mut luck = Seed(3).luck(0, 0, 0, round);
            let (mut queue, mut timers, mut now) = (Queue::new(shuffle), Vec::new(), at(0));
            let mut model: BTreeSet<(Instant, u64, u64)> = BTreeSet::new();
            let mut cancelled = 0;
            for sequence in 0..40_000u64 {
                match luck.below(if sequence / 8_000 % 2 == 0 { 8 } else { 16 }) {
                    0..5 => {
                        let reach = [1, 40, 3_000, 200_000, 5_000_000, 10_000_000_000][luck.below(6) as usize];
                        let instant = now + Duration::from_nanos(luck.below(reach));
                        let (lane, source) = (luck.below(3) as u8, luck.below(4) as u32);
                        let order = u64::from(lane) << 32 | u64::from(source);
                        let tie = shuffle.map_or(order, |seed| hash_words(&[seed, order]));
                        timers.push((queue.push(instant, lane, source, sequence), (instant, tie, sequence)));
                        model.insert((instant, tie, sequence));
                    }
                    5 if !timers.is_empty() => {
                        let recent = (timers.len() as u64).min(1 << luck.below(16));
                        let (timer, entry) = timers[timers.len() - 1 - luck.below(recent) as usize];
                        let live = model.remove(&entry);
                        assert_eq!(queue.cancel(timer), live);
                        cancelled += u64::from(live);
                    }
                    6 => assert_eq!(queue.next_at(), model.first().map(|entry| entry.0)),
                    7 if luck.below(100) == 0 => queue = queue.clone(),
                    _ => {
                        let expected = model.pop_first();
                        assert_eq!(queue.pop(), expected.map(|(at, _, id)| (at, id)));
                        now = expected.map_or(now, |entry| entry.0);
                    }
                }
                assert_eq!(queue.len(), model.len());
            }
            assert!(cancelled > 1_000, "{cancelled}");
        }
    }
}
