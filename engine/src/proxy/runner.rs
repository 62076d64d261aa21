//! When kube-proxy writes its rules: at once, but not within `minSyncPeriod` of the end of the last time.
//!
//! Models: kubernetes v1.36.2 pkg/proxy/runner/bounded_frequency_runner.go. Left out: retries after a failure (iptables-restore does not
//! fail here), and the full sync every hour, which changes nothing.

use crate::kernel::{Duration, Instant};

/// Least time between the end of a sync and the start of the next; Kubernetes: iptables.minSyncPeriod, 1 s.
pub const MIN_SYNC_PERIOD: Duration = Duration::from_secs(1);

/// The runner of one proxy.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Runner {
    state: State,
    /// When the last sync was over.
    ended: Option<Instant>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum State {
    /// Nothing is to be done.
    #[default]
    Idle,
    /// A sync will start.
    Planned,
    /// One is under way; `again` if something changed since it began.
    Running { again: bool },
}

impl Runner {
    /// Something has changed: when a sync starts, unless that is planned already or one is under way.
    pub fn ask(&mut self, now: Instant) -> Option<Instant> {
        match &mut self.state {
            State::Idle => {
                self.state = State::Planned;
                Some(self.ended.map_or(now, |ended| now.max(ended + MIN_SYNC_PERIOD)))
            }
            State::Planned => None,
            State::Running { again } => {
                *again = true;
                None
            }
        }
    }

    /// The planned sync starts; false if none is planned.
    pub fn start(&mut self) -> bool {
        let planned = self.state == State::Planned;
        if planned {
            self.state = State::Running { again: false };
        }
        planned
    }

    /// The sync is over: when the next one starts, if something has changed meanwhile.
    pub fn end(&mut self, now: Instant) -> Option<Instant> {
        let again = self.state == State::Running { again: true };
        self.ended = Some(now);
        self.state = State::Idle;
        again.then(|| self.ask(now)).flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Instant {
        Instant::START + Duration::from_millis(ms)
    }

    #[test]
    fn the_first_is_at_once_and_the_next_a_second_after_its_end() {
        let mut runner = Runner::default();
        assert_eq!(runner.ask(ms(5)), Some(ms(5)));
        assert_eq!(runner.ask(ms(5)), None, "changes are merged");
        assert!(runner.start() && !runner.start());
        assert_eq!(runner.ask(ms(20)), None);
        assert_eq!(runner.end(ms(100)), Some(ms(1_100)), "what came during the sync");
        assert!(runner.start());
        assert_eq!(runner.end(ms(1_150)), None);
        assert_eq!(runner.ask(ms(1_200)), Some(ms(2_150)));
        assert!(runner.start());
        assert_eq!((runner.end(ms(2_200)), runner.ask(ms(9_000))), (None, Some(ms(9_000))));
    }
}
