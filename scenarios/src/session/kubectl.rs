//! A kubectl process: its requests to the API server and what comes back.

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::sync::Arc;

use wavetank_engine::World;
use wavetank_engine::apiserver::request::{Answer as EngineAnswer, Delivery};
use wavetank_engine::apiserver::status::Status;
use wavetank_engine::client::Agent;
use wavetank_engine::kernel::{Duration, Instant};
use wavetank_engine::objects::{Kind, json};
use wavetank_engine::world::Mail;

use super::dial::{self, Dial};
use super::process::{Asked, Replay};
use super::programs::ExecRule;
use super::translate;
use crate::files;
use crate::kubectl::{self, Answer, ApiVerb, Call, Files, Progress};

/// A kubectl process.
#[derive(Clone)]
pub(super) struct Kubectl {
    process: kubectl::Process,
    waiting: Option<Call>,
    /// The request it waits for.
    request: Option<u64>,
    requests: u64,
    /// The kinds that the server has beside the built-in ones.
    kinds: Arc<[Kind]>,
    /// The numbers of its open watches, in the order in which they were opened.
    pub(super) streams: Vec<u64>,
    heard: BTreeMap<u64, VecDeque<Answer>>,
    /// A request that the API server carries on to a kubelet.
    dial: Option<Box<Dial>>,
}

impl Kubectl {
    pub(super) fn new(argv: Vec<String>, stdin: Option<String>, now: i64) -> Self {
        Kubectl {
            process: kubectl::Process::new(argv, stdin, now),
            waiting: None,
            request: None,
            requests: 0,
            kinds: Arc::new(Kind::EXTENSIONS),
            streams: Vec::new(),
            heard: BTreeMap::new(),
            dial: None,
        }
    }

    pub(super) fn begin(&mut self, now: i64, world: &World) {
        self.process.started = now;
        let found = world.discovery();
        self.kinds = Kind::EXTENSIONS.into_iter().chain(found.iter().map(|defined| defined.kind)).collect();
        self.process.discovered = found.iter().filter_map(|defined| kubectl::Discovered::of(defined)).collect();
    }

    /// A timer is due; true if the process can go on.
    pub(super) fn timer(&mut self, now: i64, world: &World, rules: &[ExecRule]) -> bool {
        if let Some(mut dial) = self.dial.take() {
            match dial.look(rules, world) {
                Some(Ok(body)) => return self.answer(Answer::Ok { at: now, body, warnings: Vec::new() }),
                Some(Err(status)) => return self.answer(Answer::Err { at: now, status }),
                None => self.dial = Some(dial),
            }
            return false;
        }
        match &self.waiting {
            Some(Call::Follow { streams }) => match dial::news(streams, world) {
                Some(body) => self.answer(Answer::Ok { at: now, body, warnings: Vec::new() }),
                None => false,
            },
            Some(Call::Sleep { .. }) => self.answer(Answer::Slept { at: now }),
            Some(_) => self.answer(Answer::Timeout { at: now }),
            None => false,
        }
    }

    /// Something came from the API server; true if the process can go on.
    pub(super) fn mail(&mut self, mail: Mail, now: i64) -> bool {
        match mail.delivery {
            Delivery::Reply(reply) if self.request == Some(reply.number) => {
                self.request = None;
                let call = match &self.waiting {
                    Some(Call::Api(call)) => Some(call),
                    _ => None,
                };
                if let (Ok(EngineAnswer::Object(pod)), Some(call)) = (&reply.result, call)
                    && matches!(call.subresource.as_deref(), Some("log" | "exec"))
                {
                    self.dial = Some(Box::new(Dial::new(pod.clone(), call)));
                    return false;
                }
                let answer = match (reply.result, call) {
                    (Ok(answer), Some(call)) => {
                        let body = translate::body(&answer, translate::kind(call, &self.kinds));
                        Answer::Ok { at: now, body, warnings: reply.warnings }
                    }
                    (Ok(_), None) => return false,
                    (Err(status), _) if status == Status::refused() => Answer::ConnectionRefused { at: now },
                    (Err(status), _) if status.is_network() => Answer::Broken { at: now },
                    (Err(status), _) => Answer::Err { at: now, status: status.to_json() },
                };
                self.answer(answer)
            }
            Delivery::Reply(_) => false,
            Delivery::Watch { number, events } => {
                let kind = self.streams.contains(&number);
                if !kind && self.request != Some(number) {
                    return false;
                }
                let heard = self.heard.entry(number).or_default();
                for event in events {
                    let object = match &event.object {
                        Some(object) => json::to_json(object),
                        None => translate::bookmark(event.resource_version),
                    };
                    heard.push_back(Answer::Event { at: now, kind: event.kind.as_str().to_owned(), object });
                }
                self.next_event(now)
            }
            Delivery::WatchEnded { number, .. } => {
                self.heard.entry(number).or_default().push_back(Answer::StreamEnded { at: now });
                self.next_event(now)
            }
        }
    }

    /// Answers the wait for a watch event, if there is one.
    fn next_event(&mut self, now: i64) -> bool {
        let Some(Call::WatchNext { stream, .. }) = self.waiting else { return false };
        let Some(number) = self.streams.get(stream) else { return false };
        let Some(mut event) = self.heard.get_mut(number).and_then(VecDeque::pop_front) else { return false };
        if let Answer::Event { at, .. } | Answer::StreamEnded { at } = &mut event {
            *at = now;
        }
        self.answer(event)
    }

    fn answer(&mut self, answer: Answer) -> bool {
        self.waiting = None;
        self.process.answers.push(answer);
        true
    }

    pub(super) fn run(&mut self, folder: &Path) -> Replay {
        let run = kubectl::run(&self.process, &Folder(folder));
        let answered = self.process.answered();
        self.process.forget(&run);
        let mut exit = None;
        match run.progress {
            Progress::Done { exit_code } => exit = Some(exit_code),
            Progress::Waiting(call) => self.waiting = Some(call),
        }
        let chunks = |chunks: Vec<kubectl::Chunk>| chunks.into_iter().map(|c| (c.after_answer, c.text)).collect();
        Replay { stdout: chunks(run.stdout), stderr: chunks(run.stderr), answered, exit }
    }

    /// What the process waits for, as requests and timers.
    pub(super) fn asked(&mut self, next: &mut u64, agent: Agent, now: Instant) -> Asked {
        let unix = super::unix(now);
        let mut asked = Asked::default();
        match self.waiting.clone() {
            None => {}
            Some(Call::Sleep { ns }) => asked.timer = Some(now + Duration::from_nanos(ns)),
            Some(Call::Follow { .. }) => asked.timer = Some(now + dial::FOLLOW),
            Some(Call::WatchNext { deadline, .. }) => {
                if self.next_event(unix) {
                    asked.at_once = true;
                } else if let Some(deadline) = deadline {
                    let left = u64::try_from(deadline - unix).unwrap_or(0);
                    asked.timer = Some(now + Duration::from_nanos(left));
                }
            }
            Some(Call::Api(call)) => {
                let number = *next;
                if let Some(path) = call.raw {
                    *next += 1;
                    self.request = Some(number);
                    asked.timer = call.timeout.map(|ns| now + Duration::from_nanos(ns));
                    asked.health = Some((number, path));
                    return asked;
                }
                self.requests += 1;
                match translate::request(&call, &self.kinds, number, agent, self.requests) {
                    Ok(request) => {
                        *next += 1;
                        if call.verb == ApiVerb::Watch {
                            self.streams.push(number);
                        }
                        self.request = Some(number);
                        asked.timer = call.timeout.map(|ns| now + Duration::from_nanos(ns));
                        asked.request = Some((number, request));
                    }
                    Err(status) => {
                        if call.verb == ApiVerb::Watch {
                            self.streams.push(0);
                        }
                        self.answer(match translate::none_of(&call, &self.kinds) {
                            Some(body) => Answer::Ok { at: unix, body, warnings: Vec::new() },
                            None => Answer::Err { at: unix, status },
                        });
                        asked.at_once = true;
                    }
                }
            }
        }
        asked
    }

    /// What it asks for besides while it waits: the answer of a kubelet, the news of a log.
    pub(super) fn asked_besides(&mut self, world: &World) -> Asked {
        let timer = match (&mut self.dial, &self.waiting) {
            (Some(dial), _) => dial.timer(self.requests, world),
            (None, Some(Call::Follow { .. })) => Some(world.now() + dial::FOLLOW),
            _ => None,
        };
        Asked { timer, ..Asked::default() }
    }

    pub(super) fn end(&mut self) {
        self.waiting = None;
        self.dial = None;
        self.process.answers = Vec::new();
        self.heard.clear();
    }
}

/// The script's folder, beyond which no file is read.
struct Folder<'a>(&'a Path);

impl Files for Folder<'_> {
    fn read(&self, path: &str) -> Result<String, String> {
        files::read_in(self.0, path)
    }

    fn list(&self, path: &str) -> Option<Vec<String>> {
        let entries = std::fs::read_dir(files::path_in(self.0, path).ok()?).ok()?;
        let files = entries.filter_map(Result::ok).filter(|entry| entry.path().is_file());
        let mut names: Vec<String> = files.filter_map(|entry| entry.file_name().into_string().ok()).collect();
        names.sort();
        Some(names)
    }
}
