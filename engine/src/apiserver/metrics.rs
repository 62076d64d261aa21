//! What the API server counts: how long requests took, and how many failed.
//!
//! Models: kubernetes v1.36.2 staging/src/k8s.io/apiserver/pkg/endpoints/metrics/metrics.go
//! (`apiserver_request_duration_seconds`, `apiserver_request_total`). As there, a request that becomes a watch has no
//! duration. Left out: labels other than whether a request may change something; the text for Prometheus.

use super::request::Verb;
use crate::kernel::{Duration, Spread};

/// Counts over all lives of the process: a chart of the run wants them all.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    /// Durations of requests that only read, from arrival to reply.
    pub reads: Spread,
    /// Durations of requests that may change something.
    pub writes: Spread,
    /// Watches opened; they have no duration.
    pub watches: u64,
    /// Requests of either kind that ended with 429 or from 500 on.
    pub errors: u64,
}

impl Metrics {
    /// Counts a request that took these steps and ended with an HTTP status code.
    pub fn observe(&mut self, verb: Verb, code: u16, steps: [Duration; 6]) {
        if verb == Verb::Watch && code < 300 {
            self.watches += 1;
            return;
        }
        self.errors += u64::from(code == 429 || code >= 500);
        let took = steps.into_iter().fold(Duration::ZERO, |sum, step| sum + step);
        let spread = if verb.mutating() { &mut self.writes } else { &mut self.reads };
        spread.observe(took);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_writes_and_failures_are_told_apart_and_watches_do_not_count() {
        let mut metrics = Metrics::default();
        let steps = [Duration::from_millis(1); 6];
        for (verb, code) in [(Verb::Get, 200), (Verb::Create, 201), (Verb::Patch, 500), (Verb::Watch, 200)] {
            metrics.observe(verb, code, steps);
        }
        assert_eq!((metrics.reads.count(), metrics.writes.count(), metrics.watches, metrics.errors), (1, 2, 1, 1));
        let took = metrics.reads.quantile(500).map_or(0, |took| took.as_nanos());
        assert!(took.abs_diff(6_000_000) < 100_000, "{took}");
    }
}
