//! An etcdctl or etcdutl process: its requests to members of etcd and what comes back.
//!
//! A client of etcd connects to all its endpoints and sends over a connection that is up; which comes up first is luck. A member that
//! refuses or cannot be reached is passed over.

use std::collections::{BTreeMap, VecDeque};

use wavetank_engine::World;
use wavetank_engine::etcd::{self, EtcdError, WatchReply};
use wavetank_engine::event::EtcdValue;
use wavetank_engine::kernel::{Duration, Endpoint, Instant};
use wavetank_engine::world::EtcdMail;

use super::etcd_terms as terms;
use super::machine::Received;
use super::process::{Asked, Replay};
use crate::etcdctl::{
    self, Answer, Call, EtcdCall, FileError, FileReply, Outcome, Process, Progress, Reply, Request, Response, RpcError,
};

/// An etcdctl or etcdutl process.
#[derive(Clone)]
pub(super) struct Etcdctl {
    process: Process,
    waiting: Option<Call>,
    /// The requests of the call it waits for.
    flights: Vec<Flight>,
    /// Its open watches, in the order in which they were opened: the member, the number.
    pub(super) streams: Vec<(u8, u64)>,
    heard: BTreeMap<u64, VecDeque<Heard>>,
    /// Snapshots that have come and are to be put into files.
    pub(super) received: Vec<Received>,
    /// What came of work on a file that is still being done.
    file: Option<Result<FileReply, FileError>>,
    requests: u64,
    outbox: Asked,
}

/// A request under way.
#[derive(Clone)]
struct Flight {
    request: Request,
    number: u64,
    /// The member that is asked.
    member: u8,
    /// Those that could be asked instead.
    others: VecDeque<u8>,
    outcome: Option<Outcome>,
}

/// What a watch has heard and the process has not yet taken.
#[derive(Clone)]
enum Heard {
    Response(Box<etcdctl::WatchResponse>),
    Broken,
}

/// How long a client looks for a listener before it knows that there is none. – estimate
const REFUSAL: Duration = Duration::from_micros(200);

impl Etcdctl {
    pub(super) fn new(process: Process) -> Self {
        Etcdctl {
            process,
            waiting: None,
            flights: Vec::new(),
            streams: Vec::new(),
            heard: BTreeMap::new(),
            received: Vec::new(),
            file: None,
            requests: 0,
            outbox: Asked::default(),
        }
    }

    pub(super) fn begin(&mut self, now: i64) {
        self.process.started = now;
    }

    pub(super) fn run(&mut self) -> Replay {
        let run = etcdctl::run(&self.process);
        let answered = self.process.answered();
        self.process.forget(&run);
        let mut exit = None;
        match run.progress {
            Progress::Done { exit_code } => exit = Some(exit_code),
            Progress::Waiting(call) => self.waiting = Some(call),
        }
        let chunks = |chunks: Vec<etcdctl::Chunk>| chunks.into_iter().map(|c| (c.after_answer, c.text)).collect();
        Replay { stdout: chunks(run.stdout), stderr: chunks(run.stderr), answered, exit }
    }

    /// A timer is due; true if the process can go on.
    pub(super) fn timer(&mut self, now: i64) -> bool {
        match &self.waiting {
            Some(Call::Sleep { .. }) => self.answer(Answer::Slept { at: now }),
            Some(Call::File(_)) => match self.file.take() {
                Some(result) => self.answer(Answer::File { at: now, result }),
                None => false,
            },
            Some(Call::Request(_) | Call::Parallel(_)) => {
                for flight in self.flights.iter_mut().filter(|flight| flight.outcome.is_none()) {
                    let due = flight.request.deadline.is_some_and(|deadline| deadline <= now);
                    let nobody = flight.number == NOBODY && flight.others.is_empty();
                    if due || nobody {
                        let error = if due { RpcError::Deadline } else { RpcError::Refused };
                        flight.outcome = Some(Outcome { at: now, result: Err(error) });
                    }
                }
                self.landed(now)
            }
            _ => false,
        }
    }

    /// Something came from a member; true if the process can go on.
    pub(super) fn mail(&mut self, mail: EtcdMail, world: &World) -> bool {
        let now = super::unix(world.now());
        let EtcdMail { number, response, .. } = mail;
        if let Some((member, _)) = self.streams.iter().find(|(_, stream)| *stream == number).copied() {
            let heard = match watched(response, member, world) {
                Some(heard) => heard,
                None => return false,
            };
            self.heard.entry(number).or_default().push_back(heard);
            return self.next_event(now);
        }
        let Some(flight) = self.flights.iter_mut().find(|f| f.number == number && f.outcome.is_none()) else {
            return false;
        };
        let member = flight.member;
        if response.body == Err(EtcdError::ConnectionRefused)
            && let Some(other) = flight.others.pop_front()
        {
            // The number stays: the member that refused says nothing more.
            flight.member = other;
            if let Some(request) = terms::request(&flight.request.call) {
                self.outbox.etcd.push((other, number, request));
            }
            return false;
        }
        let header = terms::header(&flight.request.call, &response, member, world);
        let result = match response.body {
            Err(error) => terms::error(&flight.request.call, error, header),
            Ok(reply) => {
                if let (EtcdCall::Snapshot { path }, etcd::Reply::Snapshot(image)) = (&flight.request.call, &reply) {
                    self.received.push(Received { path: path.clone(), image: image.clone() });
                }
                if matches!(flight.request.call, EtcdCall::Watch(_)) {
                    self.streams.push((member, number));
                }
                terms::reply(&flight.request.call, reply).map(|reply| Response { header, reply })
            }
        };
        flight.outcome = Some(Outcome { at: now, result });
        self.landed(now)
    }

    /// Answers the call once all its requests are answered.
    fn landed(&mut self, now: i64) -> bool {
        if self.flights.is_empty() || self.flights.iter().any(|flight| flight.outcome.is_none()) {
            self.outbox.timer = self.next_deadline(now);
            return false;
        }
        let mut outcomes: Vec<Outcome> = self.flights.drain(..).filter_map(|flight| flight.outcome).collect();
        match &self.waiting {
            Some(Call::Parallel(_)) => self.answer(Answer::Outcomes(outcomes)),
            Some(Call::Request(_)) => match outcomes.pop() {
                Some(outcome) => self.answer(Answer::Outcome(outcome)),
                None => false,
            },
            _ => false,
        }
    }

    /// When the next request gives up, if not now. As an instant of the world: the calendar is behind by a constant.
    fn next_deadline(&self, now: i64) -> Option<Instant> {
        let open = self.flights.iter().filter(|flight| flight.outcome.is_none());
        let deadline = open.filter_map(|flight| flight.request.deadline).filter(|at| *at > now).min()?;
        Some(super::instant(deadline))
    }

    /// Answers the wait for a watch's response, if there is one.
    fn next_event(&mut self, now: i64) -> bool {
        let Some(Call::WatchNext { stream }) = self.waiting else { return false };
        let Some((_, number)) = self.streams.get(stream).copied() else {
            return self.answer(Answer::WatchBroken { at: now });
        };
        match self.heard.get_mut(&number).and_then(VecDeque::pop_front) {
            Some(Heard::Response(response)) => self.answer(Answer::Watched { at: now, response: *response }),
            Some(Heard::Broken) => self.answer(Answer::WatchBroken { at: now }),
            None => false,
        }
    }

    fn answer(&mut self, answer: Answer) -> bool {
        self.waiting = None;
        self.flights.clear();
        self.process.answers.push(answer);
        true
    }

    /// What the process waits for, as requests, timers and work on files.
    pub(super) fn asked(&mut self, next: &mut u64, world: &World) -> Asked {
        let now = world.now();
        let mut asked = Asked::default();
        match self.waiting.clone() {
            None => {}
            Some(Call::Sleep { ns }) => asked.timer = Some(now + Duration::from_nanos(ns)),
            Some(Call::WatchNext { .. }) => asked.at_once = self.next_event(super::unix(now)),
            Some(Call::File(call)) => asked.file = Some(call),
            Some(Call::Request(request)) => self.send(vec![request], next, world, &mut asked),
            Some(Call::Parallel(requests)) => self.send(requests, next, world, &mut asked),
        }
        asked
    }

    fn send(&mut self, requests: Vec<Request>, next: &mut u64, world: &World, asked: &mut Asked) {
        let now = world.now();
        for request in requests {
            self.requests += 1;
            let mut members = reachable(&request.endpoints, world, *next);
            let mut flight = Flight { request, number: NOBODY, member: 0, others: VecDeque::new(), outcome: None };
            match (members.pop_front(), terms::request(&flight.request.call)) {
                (Some(member), Some(request)) => {
                    (flight.number, flight.member, flight.others) = (*next, member, members);
                    *next += 1;
                    asked.etcd.push((member, flight.number, request));
                }
                // Keys that are no text: nobody here has written any.
                (_, None) => {
                    flight.outcome = Some(Outcome { at: super::unix(now), result: Err(terms::not_simulated()) });
                }
                (None, _) => asked.timer = Some(now + REFUSAL),
            }
            self.flights.push(flight);
        }
        if self.flights.iter().all(|flight| flight.outcome.is_some()) {
            asked.at_once = self.landed(super::unix(now));
        } else if asked.timer.is_none() {
            asked.timer = self.next_deadline(super::unix(now));
        }
    }

    /// What is to be sent besides: see [`super::process::Running::asked_besides`].
    pub(super) fn asked_besides(&mut self) -> Asked {
        std::mem::take(&mut self.outbox)
    }

    /// Work on a file is done, but for the time it takes.
    pub(super) fn file_done(&mut self, result: Result<FileReply, FileError>) {
        self.file = Some(result);
    }

    pub(super) fn end(&mut self) {
        self.waiting = None;
        self.flights.clear();
        self.process.answers = Vec::new();
        self.heard.clear();
        self.outbox = Asked::default();
    }
}

/// The number of a request that nobody takes.
const NOBODY: u64 = 0;

/// The members at these endpoints to which there is a way, in the order in which they are tried. The connection that is up first
/// takes the request: its place is luck, that of request `number`.
fn reachable(endpoints: &[String], world: &World, number: u64) -> VecDeque<u8> {
    let at: Vec<u8> = endpoints.iter().filter_map(|endpoint| super::machine::listener(endpoint, world)).collect();
    let whole = |member: &u8| {
        let (here, there) = (Endpoint::Outside, Endpoint::Etcd(*member));
        !world.link_is_cut(here, there) && !world.link_is_cut(there, here)
    };
    let mut open: VecDeque<u8> = at.iter().copied().filter(whole).collect();
    if open.is_empty() {
        return at.into_iter().take(1).collect();
    }
    let mut luck = world.setup().luck("etcdctl", "connection", "", number);
    let first = luck.below(open.len() as u64);
    open.rotate_left(first as usize);
    open
}

/// What a watch's message says to the process; `None` is nothing.
fn watched(response: etcd::Response<EtcdValue>, member: u8, world: &World) -> Option<Heard> {
    let header = terms::plain_header(&response, member, world);
    let mut told = etcdctl::WatchResponse { header, ..etcdctl::WatchResponse::default() };
    match response.body {
        Ok(etcd::Reply::Watch(WatchReply::Events { events, .. })) => {
            told.events = events.iter().map(terms::watch_event).collect();
        }
        Ok(etcd::Reply::Watch(WatchReply::Progress)) => {}
        Ok(etcd::Reply::Watch(WatchReply::Compacted { compact_revision })) => {
            (told.canceled, told.compact_revision) = (true, terms::signed(compact_revision));
        }
        Err(EtcdError::ConnectionLost | EtcdError::ConnectionRefused | EtcdError::Stopped) => {
            return Some(Heard::Broken);
        }
        Err(error) => (told.canceled, told.cancel_reason) = (true, error.to_string()),
        Ok(_) => return None,
    }
    Some(Heard::Response(Box::new(told)))
}

/// A reply that opens a watch.
pub(super) fn opened() -> Reply {
    Reply::Watching
}
