//! What became of a flow's requests over time.

use crate::kernel::{Duration, Instant, Spread};

/// What happened within one stretch of time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bucket {
    /// Requests begun.
    pub sent: u64,
    /// Requests answered.
    pub served: u64,
    /// Requests given up.
    pub lost: u64,
    /// Times that a request was tried again.
    pub retried: u64,
    /// How long answered requests took.
    pub latency: Spread,
    /// Requests under way in the end.
    pub in_flight: u64,
}

/// Buckets of one length, the first of which begins with the flow.
#[derive(Clone, Debug)]
pub struct History {
    start: Instant,
    width: Duration,
    buckets: Vec<Bucket>,
}

/// The length of a bucket, until there are too many.
const WIDTH: Duration = Duration::from_secs(1);
/// Most buckets; then neighbours are joined.
const MOST: usize = 1_200;

impl History {
    pub(super) fn new(start: Instant) -> Self {
        History { start, width: WIDTH, buckets: Vec::new() }
    }

    /// When the first bucket begins.
    pub fn start(&self) -> Instant {
        self.start
    }

    /// How long a bucket is.
    pub fn width(&self) -> Duration {
        self.width
    }

    /// The buckets, in order.
    pub fn buckets(&self) -> &[Bucket] {
        &self.buckets
    }

    /// The bucket of an instant.
    pub(super) fn at(&mut self, at: Instant) -> &mut Bucket {
        let mut place = self.place(at);
        while place >= MOST {
            self.join();
            place = self.place(at);
        }
        if place >= self.buckets.len() {
            self.buckets.resize_with(place + 1, Bucket::default);
        }
        &mut self.buckets[place]
    }

    fn place(&self, at: Instant) -> usize {
        (at.since(self.start).as_nanos() / self.width.as_nanos()) as usize
    }

    fn join(&mut self) {
        self.width = self.width.times(2);
        let old = std::mem::take(&mut self.buckets);
        for (place, bucket) in old.into_iter().enumerate() {
            match self.buckets.last_mut().filter(|_| place % 2 == 1) {
                Some(last) => {
                    last.sent += bucket.sent;
                    last.served += bucket.served;
                    last.lost += bucket.lost;
                    last.retried += bucket.retried;
                    last.latency.merge(&bucket.latency);
                    last.in_flight = bucket.in_flight;
                }
                None => self.buckets.push(bucket),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_grow_with_time_and_lose_nothing() {
        let mut history = History::new(Instant::START + Duration::from_secs(3));
        for second in 3..5_000 {
            let bucket = history.at(Instant::START + Duration::from_secs(second));
            bucket.sent += 2;
            bucket.latency.observe(Duration::from_millis(second));
        }
        assert!(history.buckets().len() <= MOST && history.width() == Duration::from_secs(8));
        assert_eq!(history.buckets().iter().map(|bucket| bucket.sent).sum::<u64>(), 2 * 4_997);
        assert_eq!(history.buckets().iter().map(|bucket| bucket.latency.count()).sum::<u64>(), 4_997);
    }
}
