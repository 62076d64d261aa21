//! A cluster without faults of its own: members, links of 0.3 ms, and whatever a test tells them.

use super::super::event::{Effects, EtcdEvent, EtcdNote};
use super::super::*;
use crate::kernel::out::RecordId;
use crate::kernel::{Duration, Endpoint, Instant, Queue, Seed};

/// The cluster and what has come of it.
pub struct Still {
    pub members: Vec<Member<String>>,
    pub queue: Queue<(u8, EtcdEvent<String>)>,
    pub settings: EtcdSettings,
    pub now: Instant,
    pub seed: u64,
    pub calm: bool,
    pub down: Option<u8>,
    pub handled: u64,
    pub notes: Vec<(Instant, u8, EtcdNote)>,
    pub heard: Vec<(Instant, u64, Response<String>)>,
}

struct Out<'a> {
    me: u8,
    now: Instant,
    calm: bool,
    count: u8,
    queue: &'a mut Queue<(u8, EtcdEvent<String>)>,
    notes: &'a mut Vec<(Instant, u8, EtcdNote)>,
    heard: &'a mut Vec<(Instant, u64, Response<String>)>,
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
        self.notes.push((self.now, self.me, note));
        RecordId::default()
    }
    fn send(&mut self, member: u8, event: EtcdEvent<String>) {
        self.queue.push(self.now + Duration::from_micros(300), 0, u32::from(self.me), (member, event));
    }
    fn after(&mut self, wait: Duration, event: EtcdEvent<String>) {
        self.queue.push(self.now + wait, 1, u32::from(self.me), (self.me, event));
    }
    fn reply(&mut self, _to: Endpoint, id: u64, response: Response<String>) {
        self.heard.push((self.now, id, response));
    }
    fn calm(&self) -> bool {
        self.calm
    }
    fn disturb(&mut self) {
        (0..self.count).for_each(|member| {
            self.queue.push(self.now, 0, 0, (member, EtcdEvent::Disturbed));
        });
    }
}

impl Still {
    pub fn new(members: u8, seed: u64, calm: bool) -> Self {
        let settings = EtcdSettings::default();
        let formation = Formation::local(members);
        let mut still = Still {
            members: (0..members).map(|me| Member::new(me, &formation, Seed(seed), &settings)).collect(),
            queue: Queue::new(None),
            settings,
            now: Instant::START,
            seed,
            calm,
            down: None,
            handled: 0,
            notes: Vec::new(),
            heard: Vec::new(),
        };
        if !calm {
            (0..members).for_each(|member| still.tell(0, member, EtcdEvent::Disturbed));
        }
        still
    }

    pub fn tell(&mut self, ms: u64, member: u8, event: EtcdEvent<String>) {
        self.queue.push(Instant::START + Duration::from_millis(ms), 2, 0, (member, event));
    }

    pub fn ask(&mut self, ms: u64, member: u8, id: u64, request: Request<String>) {
        self.tell(ms, member, EtcdEvent::Request { from: Endpoint::Outside, id, request: Box::new(request) });
    }

    pub fn run(&mut self, ms: u64) {
        let until = Instant::START + Duration::from_millis(ms);
        while self.queue.next_at().is_some_and(|at| at <= until) {
            let Some((now, (me, event))) = self.queue.pop() else { return };
            (self.now, self.handled) = (now, self.handled + 1);
            let mut out = Out {
                me,
                now,
                calm: self.calm && self.down.is_none(),
                count: self.members.len() as u8,
                queue: &mut self.queue,
                notes: &mut self.notes,
                heard: &mut self.heard,
            };
            if matches!(event, EtcdEvent::Killed | EtcdEvent::Stopped) {
                self.down = Some(me);
            }
            if let Some(member) = self.members.get_mut(usize::from(me)) {
                member.handle(event, Seed(self.seed), &self.settings, &mut out);
            }
        }
    }

    pub fn leaders(&self) -> Vec<(Instant, u8, u8)> {
        let leader = |(at, by, note): &(Instant, u8, EtcdNote)| match note {
            EtcdNote::Leader { member, .. } => Some((*at, *by, *member)),
            _ => None,
        };
        self.notes.iter().filter_map(leader).collect()
    }

    /// The first answer to a request.
    pub fn body(&self, id: u64) -> Result<Reply<String>, EtcdError> {
        let heard = self.heard.iter().find(|(_, of, _)| *of == id);
        heard.unwrap_or_else(|| panic!("no answer to {id}")).2.body.clone()
    }
}
