//! A process of a person between the world and its own replay: what all programs have in common.

use std::path::Path;

use wavetank_engine::apiserver::request::Request;
use wavetank_engine::client::Agent;
use wavetank_engine::event::EtcdValue;
use wavetank_engine::kernel::Instant;
use wavetank_engine::kernel::out::RecordId;
use wavetank_engine::world::{EtcdMail, Mail};
use wavetank_engine::{World, etcd};

use super::etcdctl::Etcdctl;
use super::kubectl::Kubectl;
use super::programs::ExecRule;
use super::{Exit, Stream};
use crate::etcdctl::FileCall;

/// Why a process is woken.
pub(super) enum Wake {
    /// Something came from the API server.
    Mail(Box<Mail>),
    /// Something came from etcd.
    EtcdMail(Box<EtcdMail>),
    /// A timer with this number is due.
    Timer(u64),
}

/// A process.
#[derive(Clone)]
pub(super) struct Running {
    pub(super) program: Program,
    pub(super) agent: Agent,
    /// The trace record of the command, or of what it last heard.
    pub(super) record: RecordId,
    started: bool,
    /// The number of the timer that counts.
    pub(super) wake: u64,
    /// How many answers had been taken when it last printed.
    seen: Option<usize>,
    stdout: String,
    stderr: String,
    pub(super) exit: Option<Exit>,
}

/// What it runs.
#[derive(Clone)]
pub(super) enum Program {
    Kubectl(Box<Kubectl>),
    Etcdctl(Box<Etcdctl>),
}

/// What a process asks for.
#[derive(Clone, Default)]
pub(super) struct Asked {
    /// A request to the API server, with its number.
    pub(super) request: Option<(u64, Request)>,
    /// Requests to members of etcd, with their numbers.
    pub(super) etcd: Vec<(u8, u64, etcd::Request<EtcdValue>)>,
    /// Work on the machine's files.
    pub(super) file: Option<FileCall>,
    /// A question about the API server's health, with its number.
    pub(super) health: Option<(u64, String)>,
    pub(super) timer: Option<Instant>,
    pub(super) at_once: bool,
}

/// What a replay found.
pub(super) struct Replay {
    /// Chunks with the number of answers they came after.
    pub(super) stdout: Vec<(usize, String)>,
    pub(super) stderr: Vec<(usize, String)>,
    /// Answers taken so far.
    pub(super) answered: usize,
    pub(super) exit: Option<i32>,
}

impl Running {
    pub(super) fn new(program: Program, agent: Agent, record: RecordId) -> Self {
        Running {
            program,
            agent,
            record,
            started: false,
            wake: 1,
            seen: None,
            stdout: String::new(),
            stderr: String::new(),
            exit: None,
        }
    }

    /// Takes in what came; true if the process can go on.
    pub(super) fn take(&mut self, wake: Wake, world: &World, rules: &[ExecRule]) -> bool {
        let now = super::unix(world.now());
        let ready = match (wake, &mut self.program) {
            (Wake::Timer(number), _) if number != self.wake => false,
            (Wake::Timer(_), program) if !self.started => {
                self.started = true;
                match program {
                    Program::Kubectl(kubectl) => kubectl.begin(now, world),
                    Program::Etcdctl(etcdctl) => etcdctl.begin(now),
                }
                true
            }
            (Wake::Timer(_), Program::Kubectl(kubectl)) => kubectl.timer(now, world, rules),
            (Wake::Timer(_), Program::Etcdctl(etcdctl)) => etcdctl.timer(now),
            (Wake::Mail(mail), Program::Kubectl(kubectl)) => {
                if mail.cause != RecordId(0) {
                    self.record = mail.cause;
                }
                kubectl.mail(*mail, now)
            }
            (Wake::EtcdMail(mail), Program::Etcdctl(etcdctl)) => {
                if mail.cause != RecordId(0) {
                    self.record = mail.cause;
                }
                etcdctl.mail(*mail, world)
            }
            (Wake::Mail(_) | Wake::EtcdMail(_), _) => false,
        };
        self.wake += u64::from(ready);
        ready
    }

    /// Replays the process with what it knows now; returns what it prints that it had not printed before.
    pub(super) fn run(&mut self, folder: &Path) -> Vec<(Stream, String)> {
        let replay = match &mut self.program {
            Program::Kubectl(kubectl) => kubectl.run(folder),
            Program::Etcdctl(etcdctl) => etcdctl.run(),
        };
        let mut printed = Vec::new();
        let fresh = |after: usize| after <= replay.answered && self.seen.is_none_or(|seen| after > seen);
        for (stream, chunks) in [(Stream::Stdout, &replay.stdout), (Stream::Stderr, &replay.stderr)] {
            let text: String = chunks.iter().filter(|(after, _)| fresh(*after)).map(|(_, text)| &**text).collect();
            if text.is_empty() {
                continue;
            }
            match stream {
                Stream::Stdout => self.stdout.push_str(&text),
                Stream::Stderr => self.stderr.push_str(&text),
            }
            printed.push((stream, text));
        }
        self.seen = Some(replay.answered);
        if let Some(code) = replay.exit {
            self.end(code);
        }
        printed
    }

    /// What the process waits for, as requests and timers; `next` is the number of its next request.
    pub(super) fn asked(&mut self, next: &mut u64, world: &World) -> Asked {
        let asked = match &mut self.program {
            Program::Kubectl(kubectl) => kubectl.asked(next, self.agent, world.now()),
            Program::Etcdctl(etcdctl) => etcdctl.asked(next, world),
        };
        self.wake += u64::from(asked.at_once);
        asked
    }

    /// What it asks for besides while it waits: the next member after one that refused, the next deadline.
    pub(super) fn asked_besides(&mut self, world: &World) -> Asked {
        match &mut self.program {
            Program::Kubectl(kubectl) => kubectl.asked_besides(world),
            Program::Etcdctl(etcdctl) => etcdctl.asked_besides(),
        }
    }

    /// Ctrl-C.
    pub(super) fn interrupt(&mut self) {
        self.end(130);
    }

    fn end(&mut self, code: i32) {
        self.wake += 1;
        let (stdout, stderr) = (std::mem::take(&mut self.stdout), std::mem::take(&mut self.stderr));
        self.exit = Some(Exit { code, stdout, stderr });
        match &mut self.program {
            Program::Kubectl(kubectl) => kubectl.end(),
            Program::Etcdctl(etcdctl) => etcdctl.end(),
        }
    }
}
