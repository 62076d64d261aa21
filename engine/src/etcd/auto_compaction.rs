//! History that is forgotten without anybody asking.
//!
//! *Periodic*: revisions are noted ten times per period (at most an hour), and once the period has passed the one
//! noted a period ago is compacted, then once per hour or period. *Revision*: every 5 minutes all but the last so
//! many. Only the leader compacts, but every member notes.
//!
//! Models: etcd v3.6 server/etcdserver/api/v3compactor/{periodic,revision}.go.

use std::collections::VecDeque;

use super::settings::AutoCompaction;
use crate::kernel::{Duration, Instant};

/// What a member has noted.
#[derive(Clone, Debug, Default)]
pub struct AutoCompactor {
    /// Revisions, a tenth of the period apart.
    noted: VecDeque<u64>,
    /// When it last compacted, or began.
    last: Instant,
    /// Up to which revision it last compacted.
    compacted: u64,
    /// Whether it has ever.
    warm: bool,
}

/// What a look finds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Due {
    /// Nothing.
    Nothing,
    /// Everything before this revision.
    Compact(u64),
}

const HOUR: Duration = Duration::from_secs(3_600);
/// Looks per period. – constant; etcd: retryDivisor.
const LOOKS: u64 = 10;
/// How often the revision mode looks. – constant; etcd: revInterval.
const REVISION_INTERVAL: Duration = Duration::from_secs(300);

impl AutoCompactor {
    /// The process has started.
    pub fn begin(&mut self, revision: u64, now: Instant) {
        (self.last, self.compacted, self.warm) = (now, 0, false);
        self.noted.clear();
        self.noted.push_back(revision);
    }

    /// The time between looks.
    pub fn interval(&self, mode: AutoCompaction) -> Duration {
        match mode {
            AutoCompaction::Periodic(period) => period.min(HOUR).fraction(1, LOOKS),
            _ => REVISION_INTERVAL,
        }
    }

    /// One look.
    pub fn look(&mut self, mode: AutoCompaction, revision: u64, leads: bool, now: Instant) -> Due {
        match mode {
            AutoCompaction::Off => Due::Nothing,
            AutoCompaction::Revision(keep) => {
                let target = revision.saturating_sub(keep);
                if !leads || target == 0 || target == self.compacted {
                    return Due::Nothing;
                }
                self.compacted = target;
                Due::Compact(target)
            }
            AutoCompaction::Periodic(period) => {
                let due = self.periodic(period, leads, now);
                self.noted.push_back(revision);
                let keep = period.as_nanos() / self.interval(mode).as_nanos().max(1) + 1;
                while self.noted.len() as u64 > keep {
                    self.noted.pop_front();
                }
                due
            }
        }
    }

    fn periodic(&mut self, period: Duration, leads: bool, now: Instant) -> Due {
        let oldest = self.noted.front().copied().unwrap_or(0);
        let wait = if self.warm { period.min(HOUR) } else { period };
        if !leads || now.since(self.last) < wait || oldest == self.compacted || oldest == 0 {
            return Due::Nothing;
        }
        (self.last, self.compacted, self.warm) = (now, oldest, true);
        Due::Compact(oldest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(s: u64) -> Instant {
        Instant::START + Duration::from_secs(s)
    }

    #[test]
    fn periodic_compaction_keeps_a_period() {
        let mode = AutoCompaction::Periodic(Duration::from_secs(100));
        let mut auto = AutoCompactor::default();
        auto.begin(1, at(0));
        assert_eq!(auto.interval(mode), Duration::from_secs(10));
        let due: Vec<_> = (1..=21).map(|look| auto.look(mode, 1 + look, true, at(look * 10))).collect();
        assert!(due[..9].iter().all(|due| *due == Due::Nothing));
        assert_eq!((due[9], due[19]), (Due::Compact(1), Due::Compact(10)));
        assert!(due[10..19].iter().all(|due| *due == Due::Nothing));
    }

    #[test]
    fn long_periods_compact_every_hour_and_a_follower_never() {
        let mode = AutoCompaction::Periodic(HOUR.times(5));
        let mut leader = AutoCompactor::default();
        leader.begin(1, at(0));
        let mut follower = leader.clone();
        let compacted = |auto: &mut AutoCompactor, leads| -> Vec<u64> {
            (1..=80).filter(|look| auto.look(mode, 1 + look, leads, at(look * 360)) != Due::Nothing).collect()
        };
        assert_eq!(compacted(&mut leader, true), [50, 60, 70, 80]);
        assert!(compacted(&mut follower, false).is_empty());
    }

    #[test]
    fn revision_compaction_keeps_so_many() {
        let mode = AutoCompaction::Revision(100);
        let mut auto = AutoCompactor::default();
        auto.begin(1, at(0));
        assert_eq!(auto.look(mode, 90, true, at(300)), Due::Nothing);
        assert_eq!(auto.look(mode, 250, true, at(600)), Due::Compact(150));
        assert_eq!(auto.look(mode, 250, true, at(900)), Due::Nothing);
    }
}
