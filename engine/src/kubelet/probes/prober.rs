//! The worker of one probe: when it looks, and what its looks add up to.
//!
//! A look whose success changes nothing is not simulated: from the outlook of the container's health follows when the next look is that
//! could matter.
//!
//! Models: kubernetes v1.36.2 pkg/kubelet/prober/worker.go.

use k8s_openapi::api::core::v1 as api;

use crate::kernel::{Duration, Instant};

/// The worker of a probe of a container; it outlives the container's restarts.
#[derive(Clone, Debug)]
pub(super) struct Prober {
    period: Duration,
    delay: Duration,
    successes: u32,
    failures: u32,
    /// A tick of its ticker.
    phase: Instant,
    /// What the last look found, and how often in a row.
    last: Option<bool>,
    run: u32,
    /// What it says of the present container, once it says something.
    pub(super) result: Option<bool>,
    /// It has had the container killed and waits for the next.
    pub(super) held: bool,
    /// The look that is planned: its tick, and when its result is there.
    pub(super) pending: Option<(Instant, Instant)>,
}

impl Prober {
    pub(super) fn new(probe: &api::Probe) -> Self {
        let seconds = |value: Option<i32>, default: i32, least: i32| value.unwrap_or(default).max(least) as u64;
        Prober {
            period: Duration::from_secs(seconds(probe.period_seconds, 10, 1)),
            delay: Duration::from_secs(seconds(probe.initial_delay_seconds, 0, 0)),
            successes: seconds(probe.success_threshold, 1, 1) as u32,
            failures: seconds(probe.failure_threshold, 3, 1) as u32,
            phase: Instant::START,
            last: None,
            run: 0,
            result: None,
            held: false,
            pending: None,
        }
    }

    /// Its ticker starts, or starts anew.
    pub(super) fn tick_from(&mut self, phase: Instant) {
        self.phase = phase;
    }

    /// A new kubelet's worker has seen nothing yet.
    pub(super) fn forget(&mut self, share: impl FnOnce(Duration) -> Duration, now: Instant) {
        (self.last, self.run, self.pending) = (None, 0, None);
        self.phase = now + share(self.period);
    }

    /// There is a new container.
    pub(super) fn anew(&mut self) {
        (self.result, self.held, self.pending) = (None, false, None);
    }

    /// The first tick at `from` or later.
    fn tick(&self, from: Instant) -> Instant {
        let behind = from.since(self.phase).as_nanos();
        self.phase + Duration::from_nanos(behind.next_multiple_of(self.period.as_nanos().max(1)))
    }

    /// The first tick after a look that was begun at `tick` and is over at `end`: a tick meanwhile is made up for at once.
    pub(super) fn after(&self, tick: Instant, end: Instant) -> Instant {
        let next = self.tick(tick + Duration::from_nanos(1));
        next.max(end)
    }

    /// When the next look at a container is that could change something or has something to say: at a tick, or at `from` itself if that is
    /// `exact`. `started` is the container's start by the
    /// API; `outlook` tells whether a look succeeds, and until when that stays so.
    pub(super) fn next(
        &self,
        from: Instant,
        exact: bool,
        started: Instant,
        outlook: impl Fn(Instant) -> (bool, Instant),
    ) -> Option<Instant> {
        let earliest = from.max(started + self.delay);
        let mut tick = if exact && earliest == from { from } else { self.tick(earliest) };
        let settled = self.last == Some(true) && self.result == Some(true) && self.run >= self.successes;
        if !settled {
            return Some(tick);
        }
        loop {
            match outlook(tick) {
                (false, _) => return Some(tick),
                (true, Instant::NEVER) => return None,
                (true, until) => tick = self.tick(until),
            }
        }
    }

    /// A look has found something; whether what the probe says has changed or is said for the first time.
    pub(super) fn count(&mut self, ok: bool) -> bool {
        if self.last == Some(ok) {
            self.run = self.run.saturating_add(1);
        } else {
            (self.last, self.run) = (Some(ok), 1);
        }
        let enough = if ok { self.successes } else { self.failures };
        if self.run < enough {
            return false;
        }
        self.result.replace(ok) != Some(ok)
    }

    /// The container is to be killed for it: no looks until there is another.
    pub(super) fn hold(&mut self) {
        (self.held, self.run, self.pending) = (true, 0, None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn at(seconds: u64) -> Instant {
        Instant::START + Duration::from_secs(seconds)
    }

    fn prober(value: serde_json::Value) -> Prober {
        let mut prober = Prober::new(&serde_json::from_value(value).expect("a probe"));
        prober.tick_from(at(3));
        prober
    }

    #[test]
    fn looks_are_on_ticks_after_the_delay() {
        let prober = prober(json!({"periodSeconds": 10, "initialDelaySeconds": 15}));
        let always = |_| (true, Instant::NEVER);
        assert_eq!(prober.next(at(20), false, at(18), always), Some(at(33)));
        assert_eq!(prober.next(at(33), false, at(10), always), Some(at(33)));
        assert_eq!(prober.next(at(40), true, at(10), always), Some(at(40)));
        assert_eq!(prober.after(at(33), at(33)), at(43));
        assert_eq!(prober.after(at(33), at(50)), at(50), "the tick at 43 s had to wait");
    }

    #[test]
    fn looks_that_change_nothing_are_left_out() {
        let mut prober = prober(json!({"periodSeconds": 10}));
        assert!(prober.count(true) && !prober.count(true));
        assert_eq!(prober.next(at(4), false, at(0), |_| (true, Instant::NEVER)), None);
        // It fails from 45 s to 50 s, between two ticks, and from 75 s on.
        let outlook = |now: Instant| match now {
            now if now < at(45) => (true, at(45)),
            now if now < at(50) => (false, at(50)),
            now if now < at(75) => (true, at(75)),
            _ => (false, Instant::NEVER),
        };
        assert_eq!(prober.next(at(4), false, at(0), outlook), Some(at(83)));
    }

    #[test]
    fn thresholds_count_in_a_row() {
        let mut prober = prober(json!({"failureThreshold": 2, "successThreshold": 3}));
        let found: Vec<bool> = [false, true, false, false, false, true, true, true].map(|ok| prober.count(ok)).to_vec();
        assert_eq!(found, [false, false, false, true, false, false, false, true]);
    }
}
