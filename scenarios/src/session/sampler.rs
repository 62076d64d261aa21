//! What a run looks like over time: sizes, latencies, who leads, seen from outside as a monitoring system would.
//!
//! The sampler reads counters and gauges of the world and changes nothing, so a run is the same with and without it. It
//! begins with a sample every 50 ms of virtual time; whenever there are too many, neighbours are joined and the interval
//! becomes the next longer one, so that a run of any length keeps between two hundred and 1,200 samples. Joined samples
//! lose no observation: counts are added, of what waits the most is kept, of sizes the last.
//!
//! Who leads is looked at more often than that, every 50 ms always, and kept as spells: an election is short.

use std::sync::Arc;

use wavetank_engine::World;
use wavetank_engine::kernel::{Instant, Spread};

use super::Nanos;

/// The samples of a run so far.
#[derive(Clone, Debug)]
pub struct Sampler {
    /// Index into [`INTERVALS`].
    interval: usize,
    /// When it looks next, and when a sample ends next. [ns since zero]
    next_look: Nanos,
    next_sample: Nanos,
    zero: Instant,
    samples: Vec<Arc<Sample>>,
    /// The counters at the end of the last sample.
    counted: Counted,
    /// Most that waited since then, by member.
    pending: Vec<u64>,
    spells: Vec<Spell>,
}

/// What was seen within one interval.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sample {
    /// When it ended. [ns since zero]
    pub end: Nanos,
    /// The members of etcd; there may be more of them later.
    pub members: Vec<MemberSample>,
    /// Requests to the API server that only read.
    pub reads: Spread,
    /// Requests to the API server that may change something.
    pub writes: Spread,
    /// Watches that were opened.
    pub watches: u64,
    /// Those that failed for want of the server: 429, or from 500 on.
    pub errors: u64,
}

/// What was seen of one member of etcd.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemberSample {
    /// Whether it ran in the end.
    pub running: bool,
    /// Its database file in the end. [bytes]
    pub size: u64,
    /// What of it was in use. [bytes]
    pub in_use: u64,
    /// Most proposals that waited.
    pub pending: u64,
    /// Fsyncs of its log.
    pub fsyncs: Spread,
    /// Commits of its database.
    pub commits: Spread,
}

/// A stretch of time with one leader, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spell {
    /// Since when. [ns since zero]
    pub from: Nanos,
    /// The member that led; `None` if nobody did.
    pub leader: Option<u8>,
    /// Its term, or the last one.
    pub term: u64,
}

/// Counters at an instant.
#[derive(Clone, Debug, Default)]
struct Counted {
    members: Vec<(Spread, Spread)>,
    reads: Spread,
    writes: Spread,
    watches: u64,
    errors: u64,
}

const MS: Nanos = 1_000_000;
const S: Nanos = 1_000 * MS;
/// Lengths of a sample; each is a multiple of the one before.
const INTERVALS: [Nanos; 13] =
    [50 * MS, 100 * MS, 500 * MS, S, 5 * S, 10 * S, 30 * S, 60 * S, 300 * S, 600 * S, 1_800 * S, 3_600 * S, 86_400 * S];
/// Most samples that are kept; how many make one of the next length divides it.
const SAMPLES: usize = 1_200;
/// Most spells that are kept; beyond it those shorter than a sample are dropped.
const SPELLS: usize = 2_000;

impl Sampler {
    /// Begins to look at a world.
    pub fn new(world: &World, zero: Instant) -> Self {
        let mut sampler = Sampler {
            interval: 0,
            next_look: 0,
            next_sample: INTERVALS[0],
            zero,
            samples: Vec::new(),
            counted: Counted::of(world),
            pending: Vec::new(),
            spells: Vec::new(),
        };
        sampler.look(world);
        sampler
    }

    /// Whether something is to be seen before `at`.
    pub fn is_due(&self, at: Instant) -> bool {
        at.since(self.zero).as_nanos() > self.next_look
    }

    /// Nothing happens from now until `at`: sees all that is due before.
    pub fn advance(&mut self, world: &World, at: Instant) {
        let at = at.since(self.zero).as_nanos();
        while self.next_look < at {
            self.look(world);
            if self.next_look == self.next_sample {
                self.close(world, self.next_sample);
                self.next_sample += self.interval();
            }
            // Nothing changes before `at`, so there is nothing to see but the end of the sample.
            let next = at.next_multiple_of(INTERVALS[0]).min(self.next_sample);
            self.next_look = next.max(self.next_look + INTERVALS[0]);
        }
    }

    /// Everything seen so far, with what has been seen of the present interval as the last sample.
    pub fn finished(&self, world: &World) -> (Vec<Arc<Sample>>, Vec<Spell>) {
        let mut now = self.clone();
        let end = world.now().since(self.zero).as_nanos();
        now.next_look = end;
        now.look(world);
        if now.samples.last().map_or(0, |sample| sample.end) < end {
            now.close(world, end);
        }
        (now.samples, now.spells)
    }

    /// What was seen within the last `window`, as far back as samples reach.
    pub fn recent(&self, world: &World, window: Nanos) -> Sample {
        let end = world.now().since(self.zero).as_nanos();
        let (samples, _) = self.finished(world);
        let mut all = Sample::default();
        for sample in samples.iter().filter(|sample| sample.end > end.saturating_sub(window)) {
            all.join(sample);
        }
        all
    }

    /// How long a sample is. [ns]
    pub fn interval(&self) -> Nanos {
        INTERVALS[self.interval]
    }

    /// Looks at what changes quickly.
    fn look(&mut self, world: &World) {
        let members = world.etcd();
        self.pending.resize(members.len(), 0);
        for (most, member) in self.pending.iter_mut().zip(members) {
            *most = (*most).max(member.proposals_pending());
        }
        // A leader that is cut off does not know yet that another one has a higher term.
        let leading = members.iter().filter(|member| member.running() && member.raft().is_leader());
        let leader = leading.max_by_key(|member| member.raft().term());
        let (leader, term) = match leader {
            Some(member) => (Some(member.number()), member.raft().term()),
            None => (None, self.spells.last().map_or(0, |spell| spell.term)),
        };
        if self.spells.last().is_none_or(|last| (last.leader, last.term) != (leader, term)) {
            self.spells.push(Spell { from: self.next_look, leader, term });
            self.bound_spells();
        }
    }

    fn close(&mut self, world: &World, end: Nanos) {
        let now = Counted::of(world);
        let nothing = (Spread::default(), Spread::default());
        let members = world.etcd().iter().enumerate().map(|(place, member)| {
            let then = self.counted.members.get(place).unwrap_or(&nothing);
            let counted = now.members.get(place).unwrap_or(&nothing);
            MemberSample {
                running: member.running(),
                size: member.database().size(),
                in_use: member.database().in_use(),
                pending: self.pending.get(place).copied().unwrap_or(0),
                fsyncs: counted.0.since(&then.0),
                commits: counted.1.since(&then.1),
            }
        });
        let sample = Sample {
            end,
            members: members.collect(),
            reads: now.reads.since(&self.counted.reads),
            writes: now.writes.since(&self.counted.writes),
            watches: now.watches.saturating_sub(self.counted.watches),
            errors: now.errors.checked_sub(self.counted.errors).unwrap_or(now.errors),
        };
        self.samples.push(Arc::new(sample));
        self.counted = now;
        self.pending.fill(0);
        if self.samples.len() >= SAMPLES && self.interval + 1 < INTERVALS.len() {
            self.join();
        }
    }

    /// Goes over to the next longer interval.
    fn join(&mut self) {
        self.interval += 1;
        let interval = self.interval();
        let mut joined: Vec<Arc<Sample>> = Vec::with_capacity(SAMPLES);
        for sample in self.samples.drain(..) {
            match joined.last_mut().filter(|last| last.end.div_ceil(interval) == sample.end.div_ceil(interval)) {
                Some(last) => Arc::make_mut(last).join(&sample),
                None => joined.push(sample),
            }
        }
        self.samples = joined;
    }

    fn bound_spells(&mut self) {
        if self.spells.len() < SPELLS {
            return;
        }
        let interval = self.interval();
        let ends: Vec<Nanos> = self.spells.iter().skip(1).map(|spell| spell.from).chain([Nanos::MAX]).collect();
        let mut ends = ends.into_iter();
        self.spells.retain(|spell| ends.next().is_none_or(|end| end - spell.from >= interval));
        self.spells.dedup_by_key(|spell| (spell.leader, spell.term));
    }
}

impl Sample {
    /// Adds the next sample to this one.
    pub fn join(&mut self, later: &Sample) {
        self.end = later.end;
        self.reads.merge(&later.reads);
        self.writes.merge(&later.writes);
        self.watches += later.watches;
        self.errors += later.errors;
        self.members.resize_with(later.members.len(), MemberSample::default);
        for (member, later) in self.members.iter_mut().zip(&later.members) {
            member.fsyncs.merge(&later.fsyncs);
            member.commits.merge(&later.commits);
            member.pending = member.pending.max(later.pending);
            (member.running, member.size, member.in_use) = (later.running, later.size, later.in_use);
        }
    }
}

impl Counted {
    fn of(world: &World) -> Self {
        let members = world.etcd().iter().map(|member| {
            let metrics = member.metrics();
            (metrics.wal_fsync.spread().clone(), metrics.backend_commit.spread().clone())
        });
        let mut counted = Counted { members: members.collect(), ..Counted::default() };
        for server in world.apiservers() {
            counted.reads.merge(&server.metrics().reads);
            counted.writes.merge(&server.metrics().writes);
            counted.watches += server.metrics().watches;
            counted.errors += server.metrics().errors;
        }
        counted
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wavetank_engine::etcd::EtcdEvent;
    use wavetank_engine::kernel::Duration;
    use wavetank_engine::{Setup, profiles};

    const ZERO: Instant = Instant::from_nanos(14 * S);

    fn world() -> World {
        let mut world = World::new(Setup::new(5, 1, 3, profiles::laptop()).shared());
        world.run_until(ZERO);
        world
    }

    /// Lets time pass under a sampler's eyes, as a session does.
    fn run(world: &mut World, sampler: &mut Sampler, seconds: u64) {
        let until = world.now() + Duration::from_secs(seconds);
        while let Some(at) = world.next_at().filter(|at| *at <= until) {
            sampler.advance(world, at);
            world.step();
        }
        sampler.advance(world, until);
        world.run_until(until);
    }

    #[test]
    fn samples_are_gapless_and_lose_no_observation_when_joined() {
        let mut world = world();
        let mut sampler = Sampler::new(&world, ZERO);
        let before = Counted::of(&world);
        run(&mut world, &mut sampler, 700);
        let (samples, _) = sampler.finished(&world);
        assert_eq!(sampler.interval(), S);
        let ends: Vec<Nanos> = samples.iter().map(|sample| sample.end).collect();
        assert_eq!(ends, (1..=700).map(|second| second * S).collect::<Vec<_>>());
        let mut fsyncs = Spread::default();
        samples.iter().for_each(|sample| fsyncs.merge(&sample.members[1].fsyncs));
        assert_eq!(fsyncs, Counted::of(&world).members[1].0.since(&before.members[1].0));
        assert!(fsyncs.count() > 100);
        let reads: u64 = samples.iter().map(|sample| sample.reads.count()).sum();
        assert_eq!(reads, world.apiservers()[0].metrics().reads.count() - before.reads.count());
    }

    #[test]
    fn a_fork_sees_its_own_and_looking_changes_nothing() {
        let mut world = world();
        let mut sampler = Sampler::new(&world, ZERO);
        run(&mut world, &mut sampler, 3);
        let (mut fork, mut eyes) = (world.clone(), sampler.clone());
        fork.etcd_event(0, EtcdEvent::Killed);
        run(&mut fork, &mut eyes, 5);
        run(&mut world, &mut sampler, 5);
        let mut unseen = self::world();
        unseen.run_until(ZERO + Duration::from_secs(8));
        assert_eq!(world.trace().fingerprint(), unseen.trace().fingerprint());
        assert!(sampler.finished(&world).0.iter().all(|sample| sample.members[0].running));
        assert!(!eyes.finished(&fork).0.last().unwrap().members[0].running);
    }

    #[test]
    fn a_change_of_leader_is_a_spell_without_one_and_a_new_term() {
        let mut world = world();
        let mut sampler = Sampler::new(&world, ZERO);
        run(&mut world, &mut sampler, 2);
        let leader = sampler.finished(&world).1[0].leader.unwrap();
        world.etcd_event(leader, EtcdEvent::Killed);
        run(&mut world, &mut sampler, 10);
        let (_, spells) = sampler.finished(&world);
        assert_eq!(spells.len(), 3, "{spells:?}");
        assert_eq!((spells[0].from, spells[1].leader), (0, None));
        assert!(spells[1].from.abs_diff(2 * S) <= 50 * MS, "{spells:?}");
        assert!(spells[2].term > spells[0].term && spells[2].leader != Some(leader));
    }

    #[test]
    fn an_empty_day_costs_few_samples() {
        let mut sampler = Sampler::new(&world(), ZERO);
        let world = world();
        sampler.advance(&world, ZERO + Duration::from_secs(3 * 86_400));
        assert!((200..=SAMPLES).contains(&sampler.samples.len()), "{}", sampler.samples.len());
        assert!(INTERVALS.windows(2).all(|pair| (SAMPLES as u64).is_multiple_of(pair[1] / pair[0])));
    }

    #[test]
    fn one_instant_and_no_time_are_no_special_cases() {
        let world = world();
        let sampler = Sampler::new(&world, ZERO);
        let (samples, spells) = sampler.finished(&world);
        assert_eq!((samples.len(), spells.len()), (0, 1));
    }
}
