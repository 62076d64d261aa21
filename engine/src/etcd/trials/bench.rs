//! The world of one cluster: links with latency, loss and cuts; disks; clients; and whoever breaks all that.

use std::collections::BTreeMap;

use super::super::event::EtcdEvent;
use super::super::*;
use super::Sometimes;
use super::linear::{Operation, What};
use super::links::{Happening, Links, Options, Out};
use super::safety::{Safety, logs_match};
use crate::kernel::{Duration, Endpoint, Instant, Luck, Queue, Seed, hash_bytes};

/// A client and what it waits for.
#[derive(Default)]
struct Caller {
    asked: u64,
    waiting: Option<(u64, usize)>,
    last_seen: BTreeMap<String, String>,
}

pub struct Bench {
    seed: u64,
    options: Options,
    settings: EtcdSettings,
    members: Vec<Member<String>>,
    queue: Queue<Happening>,
    now: Instant,
    links: Links,
    luck: u64,
    callers: Vec<Caller>,
    ids: u64,
    pub history: Vec<Operation>,
    /// What clients were told is written: key, value, revision.
    acknowledged: Vec<(String, Option<String>, u64)>,
    safety: Safety,
    faulty: bool,
    counts: Sometimes,
}

impl Bench {
    pub fn new(seed: u64, options: Options) -> Self {
        let settings = EtcdSettings { catch_up_entries: options.catch_up, ..EtcdSettings::default() };
        let formation = Formation::local(options.members);
        let member = |me| Member::new(me, &formation, Seed(seed), &settings);
        let mut bench = Bench {
            seed,
            options,
            members: (0..options.members).map(member).collect(),
            settings,
            queue: Queue::new(Some(seed)),
            now: Instant::START,
            links: Links { jitter: 3_000, ..Links::default() },
            luck: 0,
            callers: (0..options.clients).map(|_| Caller::default()).collect(),
            ids: 0,
            history: Vec::new(),
            acknowledged: Vec::new(),
            safety: Safety::default(),
            faulty: true,
            counts: Sometimes::default(),
        };
        (0..options.clients).for_each(|client| bench.later(10 * client, Happening::Client(client)));
        bench.later(1_000, Happening::Fault);
        bench
    }

    pub fn with_faults(&mut self) {
        self.run(Duration::from_secs(self.options.time));
    }

    /// Everything is mended; then there must be progress.
    pub fn without_faults(&mut self) {
        self.faulty = false;
        self.links = Links { jitter: 500, ..Links::default() };
        self.add_missing();
        for round in 0..2 {
            for member in 0..self.members.len() as u8 {
                self.members[usize::from(member)].disk_mut().slow_down(1.0);
                if !self.removed(member) {
                    self.tell(member, EtcdEvent::Started);
                }
            }
            self.disturb();
            // One that was just stopping is started in the second round.
            self.run(Duration::from_secs(15 + 15 * round));
        }
    }

    fn removed(&self, member: u8) -> bool {
        let known = self.members.iter().max_by_key(|member| member.applied_index());
        known.is_some_and(|known| known.store().members().get(member).is_none())
    }

    fn run(&mut self, time: Duration) {
        let until = self.now + time;
        while self.queue.next_at().is_some_and(|at| at <= until) {
            let Some((now, happening)) = self.queue.pop() else { return };
            self.now = now;
            self.counts.events += 1;
            match happening {
                Happening::Member(member, event) => self.member(member, event),
                Happening::Client(client) => self.ask(client),
                Happening::GiveUp(id) => self.give_up(id),
                Happening::Fault => self.fault(),
            }
        }
        self.now = until;
    }

    fn member(&mut self, number: u8, event: EtcdEvent<String>) {
        let me = usize::from(number);
        let luck = self.draw();
        let calm = self.links.calm();
        let Some(member) = self.members.get_mut(me) else { return };
        let mut out = Out {
            me: number,
            now: self.now,
            members: self.options.members.max(20),
            calm,
            links: &self.links,
            queue: &mut self.queue,
            luck,
            replies: Vec::new(),
            counts: &mut self.counts,
        };
        member.handle(event, Seed(self.seed), &self.settings, &mut out);
        let replies = out.replies;
        if member.running() {
            self.links.down.remove(&number);
        } else {
            self.links.down.insert(number);
        }
        self.counts.rested += u64::from(member.raft().clock().resting());
        let fixed = !self.options.reconfigure;
        let mut found = self.safety.look(me, &self.members, fixed);
        if self.counts.events.is_multiple_of(500) {
            found = found.and(logs_match(&self.members));
        }
        if let Err(what) = found {
            panic!("seed {} at {:?} ({:?}): {what}", self.seed, self.now, self.options);
        }
        replies.into_iter().for_each(|(id, response)| self.answered(id, response));
    }

    fn ask(&mut self, client: u64) {
        let mut luck = self.draw();
        let key = format!("k{}", luck.below(3));
        let caller = &mut self.callers[client as usize];
        caller.asked += 1;
        let value = format!("c{client}-{}", caller.asked);
        let range = KeyRange::Key(key.as_str().into());
        let read = RangeRequest::new(range.clone());
        let seen = caller.last_seen.get(&key).cloned();
        let (request, what) = match (luck.below(10), seen) {
            (0..4, _) => (Request::Put(Put::new(key.as_str(), value.clone())), What::Write(value)),
            (4, _) => (Request::Delete(DeleteRange { range, prev_kv: false }), What::Delete),
            (5..7, Some(old)) => {
                let target = CompareTarget::Value(old.clone());
                let compare = vec![Compare { key: key.as_str().into(), relation: Relation::Equal, target }];
                let success = vec![Op::Put(Put::new(key.as_str(), value.clone()))];
                (Request::Txn(Txn { compare, success, failure: vec![Op::Range(read)] }), What::Swap(old, value))
            }
            _ => (Request::Range(read), What::Read(None)),
        };
        self.ids += 1;
        self.history.push(Operation { key, began: self.now, ended: None, what });
        self.callers[client as usize].waiting = Some((self.ids, self.history.len() - 1));
        let member = luck.below(self.members.len() as u64) as u8;
        let event = EtcdEvent::Request { from: Endpoint::Outside, id: self.ids, request: Box::new(request) };
        self.queue.push(self.now + Duration::from_micros(100), 2, 0, Happening::Member(member, event));
        self.later(9_000, Happening::GiveUp(self.ids));
    }

    fn waiting(&self, id: u64) -> Option<(u64, usize)> {
        let found = self.callers.iter().position(|caller| caller.waiting.is_some_and(|(waiting, _)| waiting == id))?;
        Some((found as u64, self.callers[found].waiting?.1))
    }

    fn give_up(&mut self, id: u64) {
        if let Some((client, _)) = self.waiting(id) {
            self.counts.unknown += 1;
            self.callers[client as usize].waiting = None;
            self.later(20, Happening::Client(client));
        }
    }

    fn answered(&mut self, id: u64, response: Response<String>) {
        let Some((client, place)) = self.waiting(id) else { return };
        let caller = &mut self.callers[client as usize];
        caller.waiting = None;
        let operation = &mut self.history[place];
        let key = operation.key.clone();
        let seen = |reply: &RangeReply<String>| reply.kvs.first().map(|kv| kv.value.clone());
        match response.body {
            Ok(Reply::Range(range)) => {
                self.counts.linear_reads += 1;
                operation.what = What::Read(seen(&range));
            }
            Ok(Reply::Txn(TxnReply { succeeded: false, replies })) => {
                let Some(Reply::Range(range)) = replies.first() else { panic!("the failure branch reads") };
                operation.what = What::Read(seen(range));
            }
            Ok(_) => {
                let value = match &operation.what {
                    What::Write(value) | What::Swap(_, value) => Some(value.clone()),
                    _ => None,
                };
                let nothing = operation.what == What::Delete && matches!(response.revision, 0);
                if !nothing {
                    self.counts.acknowledged += 1;
                    self.acknowledged.push((key.clone(), value, response.revision));
                }
            }
            Err(error) => {
                *self.counts.errors.entry(error.to_string()).or_default() += 1;
                self.counts.unknown += 1;
                self.later(50, Happening::Client(client));
                return;
            }
        }
        operation.ended = Some(self.now);
        if let What::Read(Some(value)) | What::Write(value) = &operation.what {
            caller.last_seen.insert(key, value.clone());
        }
        let pause = if self.faulty { 5 + self.draw().below(60) } else { 300 };
        self.later(pause, Happening::Client(client));
    }

    fn fault(&mut self) {
        if !self.faulty {
            return;
        }
        let options = self.options;
        let mut luck = self.draw();
        let member = luck.below(self.members.len() as u64) as u8;
        match luck.below(12) {
            0 | 1 if options.kills => {
                self.counts.kills += 1;
                self.tell(member, EtcdEvent::Killed);
            }
            2 if options.kills => self.tell(member, EtcdEvent::Stopped),
            3 | 4 => {
                (0..self.members.len() as u8).filter(|m| !self.removed(*m)).collect::<Vec<_>>().into_iter().for_each(
                    |member| {
                        if luck.below(2) == 0 {
                            self.tell(member, EtcdEvent::Started);
                        }
                    },
                )
            }
            5 if options.partitions => {
                let side: Vec<bool> = self.members.iter().map(|_| luck.below(2) == 0).collect();
                for (a, in_a) in side.iter().enumerate() {
                    for (b, in_b) in side.iter().enumerate() {
                        if in_a != in_b {
                            self.links.cut.insert((a as u8, b as u8));
                        }
                    }
                }
            }
            6 if options.partitions => {
                let other = luck.below(self.members.len() as u64) as u8;
                self.links.cut.insert((member, other));
            }
            7 | 8 => self.links.cut.clear(),
            9 if options.loss => self.links.loss = [0, 0, 50, 300, 700][luck.below(5) as usize],
            10 if options.slow_disks => {
                let factor = [1.0, 1.0, 20.0, 400.0, 2_500.0][luck.below(5) as usize];
                self.members[usize::from(member)].disk_mut().slow_down(factor);
                self.links.slow.insert(member);
            }
            0 | 11 if options.reconfigure => self.reconfigure(member, &mut luck),
            _ => {
                let to = self.members[usize::from(member)].store().members().id(member);
                let leader = self.members.iter().position(|member| member.raft().is_leader());
                if let Some(leader) = leader {
                    self.order(leader as u8, Request::MoveLeader(to));
                }
            }
        }
        self.add_missing();
        self.disturb();
        let wait = 1 + luck.below(2 * options.faults);
        self.later(wait, Happening::Fault);
    }

    fn reconfigure(&mut self, member: u8, luck: &mut Luck) {
        let known = self.members.iter().max_by_key(|member| member.applied_index());
        let Some(list) = known.map(|known| known.store().members().list()) else { return };
        let request = match luck.below(3) {
            0 if self.members.len() < 11 => {
                let peer_urls = format!("http://10.0.0.{}:2380", self.members.len()).into();
                Request::MemberAdd { peer_urls, learner: luck.below(2) == 0 }
            }
            1 => match list.iter().find(|member| member.learner) {
                Some(learner) => Request::MemberPromote(learner.id),
                None => return,
            },
            _ if list.len() > 3 => Request::MemberRemove(list[luck.below(list.len() as u64) as usize].id),
            _ => return,
        };
        self.order(member, request);
    }

    /// Whoever has been added is started; numbers are given out in order.
    fn add_missing(&mut self) {
        let known = self.members.iter().max_by_key(|member| member.applied_index());
        let Some(list) = known.map(|known| known.store().members().list()) else { return };
        let next = list.iter().map(|member| usize::from(member.number) + 1).max().unwrap_or(0);
        while self.members.len() < next {
            let number = self.members.len() as u8;
            let joining = Member::joining(number, &format!("m{number}"), "", Seed(self.seed), &self.settings);
            self.members.push(joining);
            self.counts.members_added += 1;
            self.tell(number, EtcdEvent::Started);
        }
    }

    fn order(&mut self, member: u8, request: Request<String>) {
        self.ids += 1;
        let event = EtcdEvent::Request { from: Endpoint::Outside, id: self.ids, request: Box::new(request) };
        self.tell(member, event);
    }

    fn tell(&mut self, member: u8, event: EtcdEvent<String>) {
        self.queue.push(self.now, 2, 1, Happening::Member(member, event));
    }

    fn disturb(&mut self) {
        (0..self.members.len() as u8).for_each(|member| self.tell(member, EtcdEvent::Disturbed));
    }

    fn later(&mut self, ms: u64, happening: Happening) {
        self.queue.push(self.now + Duration::from_millis(ms), 3, 0, happening);
    }

    fn draw(&mut self) -> Luck {
        self.luck += 1;
        Seed(self.seed).luck(hash_bytes(b"swarm"), 1, 0, self.luck)
    }

    /// After the quiet time all members agree and everything acknowledged is there.
    pub fn check_end(&mut self) {
        let seed = self.seed;
        let present: Vec<&Member<String>> =
            self.members.iter().filter(|member| !self.removed(member.number())).collect();
        let leaders = present.iter().filter(|member| member.raft().is_leader()).count();
        let states: Vec<_> = present
            .iter()
            .map(|m| (m.number(), m.running(), m.raft().role(), m.raft().term(), m.applied_index(), m.raft().leader()))
            .collect();
        assert_eq!(leaders, 1, "seed {seed} {:?}: {states:?}", self.options);
        let last = present.iter().map(|member| member.applied_index()).max().unwrap_or(0);
        let lag = present.iter().map(|member| last - member.applied_index()).max().unwrap_or(0);
        assert!(lag < 30, "seed {seed} {:?}: {states:?}", self.options);
        let slowest = present.iter().min_by_key(|member| member.store().revision());
        let Some(slowest) = slowest.map(|member| member.store()) else { return };
        let hash = slowest.hash_kv(0);
        for member in &present {
            assert_eq!(member.store().hash_kv(hash.revision), hash, "seed {seed}: {states:?}");
        }
        let answered = self.history.iter().rev().take(60).filter(|op| op.ended.is_some()).count();
        assert!(answered >= 3, "seed {seed} {:?}: nothing goes on without faults: {states:?}", self.options);
        for (key, value, revision) in &self.acknowledged {
            if *revision > hash.revision {
                continue;
            }
            let Some(value) = value else { continue };
            let kept = slowest.get_at(key, *revision);
            let found = slowest
                .events_from(0)
                .any(|event| &*event.key == key && event.kv.as_ref().is_some_and(|kv| kv.value == *value));
            assert!(found, "seed {seed}: {key} = {value} was acknowledged at {revision} and is lost: {kept:?}");
        }
    }

    pub(super) fn add_up(self, sum: &mut Sometimes) {
        let counts = self.counts;
        sum.leaders += self.safety.leaders();
        sum.snapshots += counts.snapshots;
        sum.unknown += counts.unknown;
        sum.acknowledged += counts.acknowledged;
        sum.linear_reads += counts.linear_reads;
        sum.kills += counts.kills;
        sum.slow += counts.slow;
        sum.members_added += counts.members_added;
        sum.rested += counts.rested;
        sum.events += counts.events;
        counts.errors.into_iter().for_each(|(text, count)| *sum.errors.entry(text).or_default() += count);
    }
}
