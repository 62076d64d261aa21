//! A kubectl process between the world and its own replay.

use std::collections::{BTreeMap, VecDeque};
use std::path::{Component, Path, PathBuf};

use wavetank_engine::apiserver::request::{Delivery, Request};
use wavetank_engine::client::Agent;
use wavetank_engine::kernel::out::RecordId;
use wavetank_engine::kernel::{Duration, Instant};
use wavetank_engine::objects::json;
use wavetank_engine::world::Mail;

use super::translate;
use super::{Exit, Stream};
use crate::kubectl::{self, Answer, ApiVerb, Call, Files, Progress};

/// Why a process is woken.
pub(super) enum Wake {
    /// Something came from the API server.
    Mail(Box<Mail>),
    /// A timer with this number is due.
    Timer(u64),
}

/// A process.
#[derive(Clone)]
pub(super) struct Running {
    process: kubectl::Process,
    pub(super) agent: Agent,
    /// The trace record of the command, or of what it last heard.
    pub(super) record: RecordId,
    started: bool,
    waiting: Option<Call>,
    /// The request it waits for.
    request: Option<u64>,
    requests: u64,
    /// The numbers of its open watches, in the order in which they were opened.
    pub(super) streams: Vec<u64>,
    heard: BTreeMap<u64, VecDeque<Answer>>,
    /// The number of the timer that counts.
    pub(super) wake: u64,
    /// How many answers had been taken when it last printed.
    seen: Option<usize>,
    stdout: String,
    stderr: String,
    pub(super) exit: Option<Exit>,
}

/// What a process asks for.
#[derive(Default)]
pub(super) struct Asked {
    pub(super) request: Option<Request>,
    pub(super) timer: Option<Instant>,
    pub(super) at_once: bool,
}

impl Running {
    pub(super) fn new(argv: Vec<String>, stdin: Option<String>, now: i64, agent: Agent, record: RecordId) -> Self {
        Running {
            process: kubectl::Process::new(argv, stdin, now),
            agent,
            record,
            started: false,
            waiting: None,
            request: None,
            requests: 0,
            streams: Vec::new(),
            heard: BTreeMap::new(),
            wake: 1,
            seen: None,
            stdout: String::new(),
            stderr: String::new(),
            exit: None,
        }
    }

    /// Takes in what came; true if the process can go on.
    pub(super) fn take(&mut self, wake: Wake, now: i64) -> bool {
        match wake {
            Wake::Timer(number) if number != self.wake => false,
            Wake::Timer(_) if !self.started => {
                self.started = true;
                self.process.started = now;
                true
            }
            Wake::Timer(_) => match self.waiting {
                Some(Call::Sleep { .. }) => self.answer(Answer::Slept { at: now }),
                Some(_) => self.answer(Answer::Timeout { at: now }),
                None => false,
            },
            Wake::Mail(mail) => self.mail(*mail, now),
        }
    }

    fn mail(&mut self, mail: Mail, now: i64) -> bool {
        if mail.cause != RecordId(0) {
            self.record = mail.cause;
        }
        match mail.delivery {
            Delivery::Reply(reply) if self.request == Some(reply.number) => {
                self.request = None;
                let call = match &self.waiting {
                    Some(Call::Api(call)) => Some(call),
                    _ => None,
                };
                let answer = match (reply.result, call) {
                    (Ok(answer), Some(call)) => {
                        let body = translate::body(&answer, &call.resource);
                        Answer::Ok { at: now, body, warnings: reply.warnings }
                    }
                    (Ok(_), None) => return false,
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
        self.wake += 1;
        self.process.answers.push(answer);
        true
    }

    /// Replays the process with what it knows now; returns what it prints that it had not printed before.
    pub(super) fn run(&mut self, folder: &Path) -> Vec<(Stream, String)> {
        let run = kubectl::run(&self.process, &Folder(folder));
        let answered = self.process.answered();
        let mut printed = Vec::new();
        let fresh = |after: usize, seen: Option<usize>| after <= answered && seen.is_none_or(|seen| after > seen);
        for (stream, chunks) in [(Stream::Stdout, &run.stdout), (Stream::Stderr, &run.stderr)] {
            let text: String =
                chunks.iter().filter(|chunk| fresh(chunk.after_answer, self.seen)).map(|chunk| &*chunk.text).collect();
            if text.is_empty() {
                continue;
            }
            match stream {
                Stream::Stdout => self.stdout.push_str(&text),
                Stream::Stderr => self.stderr.push_str(&text),
            }
            printed.push((stream, text));
        }
        self.seen = Some(answered);
        match &run.progress {
            Progress::Done { exit_code } => self.end(*exit_code),
            Progress::Waiting(call) => self.waiting = Some(call.clone()),
        }
        self.process.forget(&run);
        printed
    }

    /// What the process waits for, as requests and timers.
    pub(super) fn asked(&mut self, number: u64, now: Instant) -> Asked {
        let unix = super::unix(now);
        let mut asked = Asked::default();
        match self.waiting.clone() {
            None => {}
            Some(Call::Sleep { ns }) => asked.timer = Some(now + Duration::from_nanos(ns)),
            Some(Call::WatchNext { deadline, .. }) => {
                if self.next_event(unix) {
                    asked.at_once = true;
                } else if let Some(deadline) = deadline {
                    let left = u64::try_from(deadline - unix).unwrap_or(0);
                    asked.timer = Some(now + Duration::from_nanos(left));
                }
            }
            Some(Call::Api(call)) => {
                self.requests += 1;
                match translate::request(&call, number, self.agent, self.requests) {
                    Ok(request) => {
                        if call.verb == ApiVerb::Watch {
                            self.streams.push(number);
                        }
                        self.request = Some(number);
                        asked.timer = call.timeout.map(|ns| now + Duration::from_nanos(ns));
                        asked.request = Some(request);
                    }
                    Err(status) => {
                        if call.verb == ApiVerb::Watch {
                            self.streams.push(0);
                        }
                        self.answer(match translate::none_of(&call) {
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

    /// Ctrl-C.
    pub(super) fn interrupt(&mut self) {
        self.end(130);
    }

    fn end(&mut self, code: i32) {
        self.waiting = None;
        self.wake += 1;
        let (stdout, stderr) = (std::mem::take(&mut self.stdout), std::mem::take(&mut self.stderr));
        self.exit = Some(Exit { code, stdout, stderr });
        self.process.answers = Vec::new();
        self.heard.clear();
    }
}

/// The script's folder, beyond which no file is read.
struct Folder<'a>(&'a Path);

impl Files for Folder<'_> {
    #[expect(clippy::disallowed_methods, reason = "manifests are read from the script's folder")]
    fn read(&self, path: &str) -> Result<String, String> {
        let relative: PathBuf = PathBuf::from(path);
        if relative.components().any(|part| !matches!(part, Component::Normal(_) | Component::CurDir)) {
            return Err("only files in the script's own folder can be read".to_owned());
        }
        std::fs::read_to_string(self.0.join(relative)).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => "no such file or directory".to_owned(),
            _ => error.to_string(),
        })
    }

    fn list(&self, path: &str) -> Option<Vec<String>> {
        let relative = PathBuf::from(path);
        if relative.components().any(|part| !matches!(part, Component::Normal(_) | Component::CurDir)) {
            return None;
        }
        let entries = std::fs::read_dir(self.0.join(relative)).ok()?;
        let files = entries.filter_map(Result::ok).filter(|entry| entry.path().is_file());
        let mut names: Vec<String> = files.filter_map(|entry| entry.file_name().into_string().ok()).collect();
        names.sort();
        Some(names)
    }
}
