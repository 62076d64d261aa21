//! The time of Raft: ticks, election time-outs, and rest.
//!
//! Each process counts ticks (100 ms) of its own. A follower that hears nothing for 10 to 19 of them starts an
//! election; a leader sends a heartbeat each tick and looks for its quorum every ten.
//!
//! *Rest*: as long as nothing is wrong with members and links, heartbeats would all arrive and change nothing. Then
//! the leader says so with its last one, and neither heartbeats nor time-outs happen any more. Whoever breaks
//! something says so too ([`Raft::disturb`]); everybody then goes on as if the heartbeats had come all the time: the
//! leader's at their old beat, the followers' time-outs from the last one that would have arrived.
//!
//! Models: raft v3.6 raft.go (`tickElection`, `tickHeartbeat`); etcd v3.6 server/etcdserver/raft.go. Rest is ours.

use super::Payload;
use super::node::{Raft, Role};
use crate::kernel::{Duration, Instant, Seed, hash_bytes};

/// What a step needs to know besides its message.
#[derive(Clone, Copy, Debug)]
pub struct Moment<'a> {
    /// The present instant.
    pub now: Instant,
    /// The run's luck.
    pub seed: Seed,
    /// How fast the clock ticks.
    pub pace: &'a Pace,
    /// Nothing is wrong with the members and the links between them.
    pub calm: bool,
}

/// The flags of the clock.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pace {
    /// One tick, and the time between heartbeats. – etcd: --heartbeat-interval, 100 ms.
    pub tick: Duration,
    /// Shortest time without a leader before an election. [ticks] – etcd: --election-timeout / tick, 10.
    pub election: u64,
    /// How long something must have been calm before heartbeats rest. – ours.
    pub rest_after: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Pace { tick: Duration::from_millis(100), election: 10, rest_after: Duration::from_secs(10) }
    }
}

impl Pace {
    /// The election time-out.
    pub fn election_timeout(&self) -> Duration {
        self.tick.times(self.election)
    }
}

/// A member's clock.
#[derive(Clone, Debug)]
pub struct Clock {
    /// When the process began: its ticks are at multiples of the tick after this.
    began: Instant,
    /// When the leader was last heard of, or the last election began.
    heard: Instant,
    /// How many ticks without a leader start an election.
    patience: u64,
    /// Ticks that count as gone already.
    credit: u64,
    /// Time-outs drawn so far, over all lives.
    draws: u64,
    /// A leader's next heartbeat.
    beat: Instant,
    /// A leader's next look for its quorum.
    check: Instant,
    /// Heartbeats are taken for granted.
    resting: bool,
    /// Nothing rests before this.
    restless: Instant,
}

impl Clock {
    /// A process that begins now; `draws` time-outs were drawn in its former lives.
    pub fn new(now: Instant, draws: u64) -> Self {
        Clock {
            began: now,
            heard: now,
            patience: 0,
            credit: 0,
            draws,
            beat: Instant::NEVER,
            check: Instant::NEVER,
            resting: false,
            restless: now,
        }
    }

    /// Time-outs drawn so far.
    pub fn draws(&self) -> u64 {
        self.draws
    }

    /// Whether heartbeats are taken for granted.
    pub fn resting(&self) -> bool {
        self.resting
    }

    /// A new time-out, counted from now.
    pub(super) fn reset(&mut self, me: u8, at: Moment) {
        let (component, purpose) = (hash_bytes(b"etcd"), hash_bytes(b"election"));
        let mut luck = at.seed.luck(component, purpose, u64::from(me), self.draws);
        self.draws += 1;
        self.patience = at.pace.election + luck.below(at.pace.election);
        self.heard(at.now);
        self.resting = false;
        (self.beat, self.check) = (Instant::NEVER, Instant::NEVER);
    }

    /// The leader has been heard of; that does not end a rest.
    pub(super) fn heard(&mut self, now: Instant) {
        (self.heard, self.credit) = (now, 0);
    }

    /// The leader's last heartbeat for a while; refused while things are unsettled.
    pub(super) fn rest(&mut self, at: Moment) {
        self.resting = self.may_rest(at);
    }

    pub(super) fn may_rest(&self, at: Moment) -> bool {
        at.calm && at.now >= self.restless
    }

    /// Begins to lead: the first heartbeat comes with the next tick.
    pub(super) fn lead(&mut self, at: Moment) {
        self.beat = self.tick_after(at.now, 1, at.pace);
        self.check = self.tick_after(at.now, at.pace.election, at.pace);
        self.resting = false;
    }

    /// The `n`-th tick after `from`.
    fn tick_after(&self, from: Instant, n: u64, pace: &Pace) -> Instant {
        let tick = pace.tick.as_nanos().max(1);
        let gone = from.since(self.began).as_nanos() / tick;
        self.began + Duration::from_nanos(tick.saturating_mul(gone.saturating_add(n)))
    }

    /// Whether the leader was heard of within the shortest time-out.
    pub(super) fn in_lease(&self, at: Moment) -> bool {
        self.resting || at.now < self.tick_after(self.heard, at.pace.election, at.pace)
    }

    /// When an election starts unless the leader is heard of.
    fn election(&self, pace: &Pace) -> Instant {
        self.tick_after(self.heard, self.patience.saturating_sub(self.credit).max(1), pace)
    }
}

impl<P: Payload, S: Clone> Raft<P, S> {
    /// When [`Self::tick`] is next of use.
    pub fn deadline(&self, pace: &Pace) -> Option<Instant> {
        match self.role {
            _ if self.clock.resting => None,
            Role::Leader => Some(self.clock.beat.min(self.clock.check)),
            _ if self.promotable() => Some(self.clock.election(pace)),
            _ => None,
        }
    }

    /// Does what is due.
    pub fn tick(&mut self, at: Moment) {
        if self.clock.resting {
            return;
        }
        if self.role != Role::Leader {
            if self.promotable() && at.now >= self.clock.election(at.pace) {
                self.clock.heard = at.now;
                self.campaign(false, at);
            }
            return;
        }
        if at.now >= self.clock.check {
            self.clock.check = self.clock.tick_after(at.now, at.pace.election, at.pace);
            if !self.look_for_quorum(at) {
                return;
            }
        }
        if at.now >= self.clock.beat {
            self.clock.beat = self.clock.tick_after(at.now, 1, at.pace);
            self.clock.resting = self.all_well() && self.clock.may_rest(at);
            self.send_heartbeats(self.clock.resting);
        }
    }

    /// Something went wrong with a member or a link, or will: heartbeats are needed again.
    pub fn disturb(&mut self, at: Moment) {
        self.clock.restless = at.now + at.pace.rest_after;
        if !self.clock.resting {
            return;
        }
        self.clock.resting = false;
        let tick = at.pace.tick.as_nanos().max(1);
        if self.role == Role::Leader {
            self.clock.beat = self.clock.tick_after(at.now, 1, at.pace);
            self.clock.check = self.clock.tick_after(at.now, at.pace.election, at.pace);
            self.all_active();
        } else {
            let beats = at.now.since(self.clock.heard).as_nanos() / tick;
            self.clock.heard = self.clock.heard + Duration::from_nanos(beats * tick);
        }
    }

    /// So many ticks without a leader count as gone, once.
    pub fn advance_ticks(&mut self, ticks: u64) {
        self.clock.credit = ticks;
    }

    /// A process that was stuck for `time` has missed the ticks of that time.
    pub fn missed(&mut self, time: Duration, at: Moment) {
        if !self.clock.resting && self.role != Role::Leader {
            let tick = at.pace.tick.as_nanos().max(1);
            let missed = Duration::from_nanos(time.as_nanos() / tick * tick);
            self.clock.heard = (self.clock.heard + missed).min(at.now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64, pace: &Pace) -> Moment<'_> {
        Moment { now: Instant::START + Duration::from_millis(ms), seed: Seed(1), pace, calm: true }
    }

    #[test]
    fn time_outs_are_ten_to_nineteen_ticks_of_the_process() {
        let pace = Pace::default();
        let mut seen = std::collections::BTreeSet::new();
        let mut clock = Clock::new(at(37, &pace).now, 0);
        for _ in 0..400 {
            clock.reset(1, at(250, &pace));
            let wait = clock.election(&pace).as_nanos() / 1_000_000;
            assert_eq!(wait % 100, 37);
            seen.insert(clock.patience);
        }
        assert_eq!(seen, (10..20).collect());
    }

    #[test]
    fn the_lease_ends_with_the_tenth_tick() {
        let pace = Pace::default();
        let mut clock = Clock::new(Instant::START, 0);
        clock.heard(at(150, &pace).now);
        assert!(clock.in_lease(at(1_099, &pace)));
        assert!(!clock.in_lease(at(1_100, &pace)));
    }
}
