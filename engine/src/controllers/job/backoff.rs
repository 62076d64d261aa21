//! How long a Job waits before it replaces a pod that failed.
//!
//! Models: kubernetes v1.36.2 pkg/controller/job/backoff_utils.go.

use crate::kernel::{Duration, Instant};
use crate::objects::{ContainerState, Pod};

/// The wait after the first failure, which doubles with each further one; Kubernetes: DefaultJobPodFailureBackOff.
const FIRST: Duration = Duration::from_secs(10);
/// The longest wait; Kubernetes: MaxJobPodFailureBackOff.
const LONGEST: Duration = Duration::from_secs(600);

/// Failures since the last success, and when the last was.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Record {
    failures: u32,
    last: Option<Instant>,
}

impl Record {
    /// The record with pods that have ended since.
    pub fn with(self, succeeded: &[&Pod], failed: &[&Pod]) -> Record {
        let mut failed: Vec<Instant> = failed.iter().map(|pod| finished(pod)).collect();
        failed.sort();
        let Some(success) = succeeded.iter().map(|pod| finished(pod)).max() else {
            let failures = self.failures.saturating_add(failed.len() as u32);
            return Record { failures, last: failed.last().copied().or(self.last) };
        };
        let after: Vec<Instant> = failed.into_iter().filter(|at| *at > success).collect();
        Record { failures: after.len() as u32, last: after.last().copied() }
    }

    /// How long there is still to wait.
    pub fn remaining(self, now: Instant) -> Duration {
        self.last.map_or(Duration::ZERO, |last| remaining(self.failures, last, now))
    }
}

/// How long to wait after so many failures, the last at `last`.
pub fn remaining(failures: u32, last: Instant, now: Instant) -> Duration {
    if failures == 0 {
        return Duration::ZERO;
    }
    let wait = (1..failures.min(32)).fold(FIRST, |wait, _| wait.times(2).min(LONGEST));
    (last + wait).since(now)
}

/// When a pod ended: its last container, or what else is known. Kubernetes: getFinishedTime.
pub fn finished(pod: &Pod) -> Instant {
    let ended = |state: &ContainerState| match state {
        ContainerState::Terminated { finished, .. } => Some(*finished),
        _ => None,
    };
    let containers: Option<Vec<Instant>> = pod.status.containers.iter().map(|status| ended(&status.state)).collect();
    if let Some(last) = containers.and_then(|ends| ends.into_iter().max()) {
        return last;
    }
    if let Some(ready) = pod.condition("Ready").filter(|ready| !ready.holds()) {
        return ready.transition;
    }
    let deleted = pod.meta.deletion.map(|deletion| {
        let grace = Duration::from_secs(u64::try_from(deletion.grace).unwrap_or(0));
        Instant::START + deletion.at.since(Instant::START + grace)
    });
    deleted.unwrap_or(pod.meta.created)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_doubles_up_to_ten_minutes() {
        let at = |seconds| Instant::START + Duration::from_secs(seconds);
        let wait = |failures| remaining(failures, at(0), at(0)).as_secs_f64();
        assert_eq!([0, 1, 2, 3, 7, 40].map(wait), [0.0, 10.0, 20.0, 40.0, 600.0, 600.0]);
        assert_eq!(remaining(1, at(0), at(11)), Duration::ZERO);
        let record = Record { failures: 2, last: Some(at(5)) };
        assert_eq!(record.with(&[], &[]), record);
        assert_eq!(record.remaining(at(6)), Duration::from_secs(19));
    }
}
