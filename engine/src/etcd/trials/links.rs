//! What a run of the bench is like, its links, and what a member may ask of it.

use std::collections::BTreeSet;

use super::super::event::{Effects, EtcdEvent, EtcdNote};
use super::super::*;
use super::Sometimes;
use crate::kernel::out::RecordId;
use crate::kernel::{Duration, Endpoint, Instant, Luck, Queue, Seed, hash_bytes};

/// What a run is like.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    pub members: u8,
    pub clients: u64,
    /// Mean time between faults. [ms]
    pub faults: u64,
    /// How long faults go on. [s]
    pub time: u64,
    pub kills: bool,
    pub partitions: bool,
    pub loss: bool,
    pub slow_disks: bool,
    pub reconfigure: bool,
    pub catch_up: u64,
}

impl Options {
    /// From the seed.
    pub fn draw(seed: u64) -> Self {
        let mut luck = Seed(seed).luck(hash_bytes(b"swarm"), 0, 0, 0);
        Options {
            members: [1, 3, 3, 3, 5, 5, 7][luck.below(7) as usize],
            clients: 2 + luck.below(4),
            faults: if luck.below(2) == 0 { 60 + luck.below(200) } else { 60 + luck.below(2_500) },
            time: 10 + luck.below(20),
            kills: luck.below(4) > 0,
            partitions: luck.below(4) > 0,
            loss: luck.below(3) == 0,
            slow_disks: luck.below(2) == 0,
            reconfigure: luck.below(3) == 0,
            catch_up: [3, 40, 5_000][luck.below(3) as usize],
        }
    }
}

/// What happens at the bench.
pub enum Happening {
    Member(u8, EtcdEvent<String>),
    Client(u64),
    GiveUp(u64),
    Fault,
}

/// The state of links and machines.
#[derive(Default)]
pub struct Links {
    pub cut: BTreeSet<(u8, u8)>,
    /// Messages lost. [per mille]
    pub loss: u64,
    /// Added to each message, at most. [µs]
    pub jitter: u64,
    pub slow: BTreeSet<u8>,
    pub down: BTreeSet<u8>,
}

/// What a member asks for.
pub struct Out<'a> {
    pub me: u8,
    pub now: Instant,
    pub members: u8,
    pub calm: bool,
    pub links: &'a Links,
    pub queue: &'a mut Queue<Happening>,
    pub luck: Luck,
    pub replies: Vec<(u64, Response<String>)>,
    pub counts: &'a mut Sometimes,
}

impl Effects<String> for Out<'_> {
    fn now(&self) -> Instant {
        self.now
    }
    fn cause(&self) -> RecordId {
        RecordId::default()
    }
    fn because(&mut self, _cause: RecordId) {}
    fn note(&mut self, note: EtcdNote) -> RecordId {
        match note {
            EtcdNote::SnapshotInstalled { .. } => self.counts.snapshots += 1,
            EtcdNote::Persisted { took, .. } if took > Duration::from_secs(1) => self.counts.slow += 1,
            _ => {}
        }
        RecordId::default()
    }
    fn send(&mut self, member: u8, event: EtcdEvent<String>) {
        if self.links.cut.contains(&(self.me, member)) || self.luck.below(1_000) < self.links.loss {
            return;
        }
        // Datagrams: later ones may overtake earlier ones, which is harder than what TCP does.
        let wait = Duration::from_micros(200 + self.luck.below(1 + self.links.jitter));
        self.queue.push(self.now + wait, 0, u32::from(self.me), Happening::Member(member, event));
    }
    fn after(&mut self, wait: Duration, event: EtcdEvent<String>) {
        self.queue.push(self.now + wait, 1, u32::from(self.me), Happening::Member(self.me, event));
    }
    fn reply(&mut self, _to: Endpoint, id: u64, response: Response<String>) {
        self.replies.push((id, response));
    }
    fn calm(&self) -> bool {
        self.calm
    }
    fn disturb(&mut self) {
        for member in 0..self.members {
            self.queue.push(self.now, 0, u32::from(self.me), Happening::Member(member, EtcdEvent::Disturbed));
        }
    }
}

impl Links {
    pub fn calm(&self) -> bool {
        self.cut.is_empty() && self.loss == 0 && self.down.is_empty()
    }
}
