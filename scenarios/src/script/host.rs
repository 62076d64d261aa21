//! What a running script works on: the session, the transcript, expectations, closures waiting for their time,
//! processes.
//!
//! Functions of the script reach it through a mutex because Rhai's closures must be shareable; there is one thread, and
//! the lock is never held while script code runs.

use super::chaos::ChaosFault;
use super::closures::{Closures, Program};
use super::errors::{Fallible, Place, Problem, Report};
use super::imports::lock;
use super::limits::readable;
use super::{Options, Watcher, duration};
use crate::session::{Exit, Nanos, ProcessId, Session};
use crate::shell::tools;
use crate::transcript::{Kind, Transcript};
use rhai::FnPtr;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};
use wavetank_engine::FaultId;
use wavetank_engine::custom::{Told, Word};
use wavetank_engine::kernel::Instant;

/// The state of a script's run.
pub(super) struct Host {
    /// The cluster, once the script has made it, and where it did.
    pub session: Option<Session>,
    pub made_at: Option<Place>,
    pub transcript: Transcript,
    pub watcher: Box<dyn Watcher>,
    pub options: Options,
    pub checks: Checks,
    /// Closures waiting for their time; those of the same instant in the order they were given.
    pub schedule: BTreeMap<(Nanos, u64), Plan>,
    pub scheduled: u64,
    /// Scheduled closures that are running now, one inside the other.
    pub nested: usize,
    pub processes: BTreeMap<ProcessId, Process>,
    pub background: u32,
    /// Settings the script has asked for.
    pub asked: BTreeSet<String>,
    /// The script, compiled, for its functions that the cluster runs; and those.
    pub program: Option<Program>,
    pub closures: Option<Closures>,
    /// A mistake in one of them, which ends the script.
    pub mistake: Option<Report>,
    /// What the author should know of them.
    pub warnings: Vec<String>,
    /// Virtual time shown by the last progress report. [ns]
    progress: Nanos,
}

/// What is to be done at a time.
#[derive(Clone)]
pub(super) enum Plan {
    /// A closure given to `at`.
    At { closure: FnPtr, given_at: Place },
    /// A closure given to `during`, whose faults are over at a time.
    During { closure: FnPtr, until: Nanos, given_at: Place },
    /// These faults are over.
    End(Vec<FaultId>),
    /// Chance breaks something.
    Chaos(Box<ChaosFault>),
}

/// How the expectations went.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checks {
    /// How many held.
    pub passed: u64,
    /// Those that did not, in order.
    pub failed: Vec<FailedCheck>,
}

/// An expectation that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedCheck {
    /// Virtual time. [ns]
    pub at: Nanos,
    /// What was expected.
    pub message: String,
    /// Where the script says so.
    pub place: Place,
}

/// A process the script has started.
#[derive(Clone, Debug, Default)]
pub(super) struct Process {
    /// Its number, as a shell numbers jobs; none for a command in the foreground.
    pub number: Option<u32>,
    /// What it printed so far, both streams as they came.
    pub output: String,
    pub stdout: String,
    pub stderr: String,
    /// A line that is not complete yet.
    partial: String,
    pub exit: Option<Exit>,
    pub stopped: bool,
    /// Its output goes on to tools and is not shown.
    pub piped: bool,
    /// Text tools through which each line goes before it is shown.
    pub filter: Vec<Vec<String>>,
}

/// The host as the functions share it.
pub(super) type Shared = Arc<Mutex<Host>>;

/// The host, for a moment.
pub(super) fn borrow(host: &Shared) -> MutexGuard<'_, Host> {
    lock(host)
}

impl Host {
    pub fn new(options: Options, watcher: Box<dyn Watcher>) -> Self {
        Host {
            session: None,
            made_at: None,
            transcript: Transcript::new(),
            watcher,
            options,
            checks: Checks::default(),
            schedule: BTreeMap::new(),
            scheduled: 0,
            nested: 0,
            processes: BTreeMap::new(),
            background: 0,
            asked: BTreeSet::new(),
            program: None,
            closures: None,
            mistake: None,
            warnings: Vec::new(),
            progress: 0,
        }
    }

    /// Plans something; what is planned for the same instant is done in the order of the calls.
    pub fn plan(&mut self, at: Nanos, plan: Plan) {
        self.scheduled += 1;
        self.schedule.insert((at, self.scheduled), plan);
    }

    /// The cluster; a problem if there is none yet.
    pub fn session(&mut self) -> Result<&mut Session, Problem> {
        self.session.as_mut().ok_or_else(no_cluster)
    }

    /// Virtual time, 0 before there is a cluster. [ns]
    pub fn now(&self) -> Nanos {
        self.session.as_ref().map_or(0, Session::now)
    }

    /// Adds to the transcript, now.
    pub fn say(&mut self, kind: Kind, text: &str) -> Fallible<()> {
        self.say_at(self.now(), kind, text)
    }

    fn say_at(&mut self, at: Nanos, kind: Kind, text: &str) -> Fallible<()> {
        if self.transcript.text().len().saturating_add(text.len()) > self.options.limits.output {
            return Err(self.too_much_output().fatal());
        }
        // What is no text (etcd's values are not) would make the transcript no text either.
        let control = |c: char| c.is_control() && c != '\n' && c != '\t';
        let plain = text.contains(control).then(|| text.replace(control, "."));
        for line in self.transcript.push(at, kind, plain.as_deref().unwrap_or(text)) {
            self.watcher.line(&line);
        }
        Ok(())
    }

    /// What became of all requests, at the end of a run.
    pub fn tell_of_traffic(&mut self) {
        let flows = self.session.as_ref().map(Session::flows).unwrap_or_default();
        for flow in &flows {
            // A transcript that is full stays as it is.
            let _ = self.say(Kind::Output, &crate::session::traffic::summary(flow));
        }
    }

    fn too_much_output(&self) -> Problem {
        let limit = self.options.limits.output as u64;
        Problem::new(format!("the transcript has grown beyond {} bytes", readable(limit)))
            .hint(format!("print less, or raise the bound with --limit output={}", limit.saturating_mul(2)))
    }

    /// Takes over what processes have printed and tells the watcher how far the run is.
    pub fn collect(&mut self) -> Fallible<bool> {
        let Some(session) = self.session.as_mut() else { return Ok(false) };
        let now = session.now();
        let output = session.take_output();
        if now >= self.progress.saturating_add(1_000_000_000) {
            self.progress = now;
            self.watcher.progress(now, session.statistics().events);
        }
        let told = session.take_told();
        let printed = !output.is_empty() || !told.is_empty();
        for told in told {
            self.hear(told)?;
        }
        for chunk in output {
            let process = self.processes.entry(chunk.process).or_default();
            process.output.push_str(&chunk.text);
            match chunk.stream {
                crate::session::Stream::Stdout => process.stdout.push_str(&chunk.text),
                crate::session::Stream::Stderr => process.stderr.push_str(&chunk.text),
            }
            process.partial.push_str(&chunk.text);
            if process.output.len() > self.options.limits.output {
                return Err(self.too_much_output().fatal());
            }
            if process.piped {
                process.partial.clear();
                continue;
            }
            let Some(end) = process.partial.rfind('\n') else { continue };
            let lines: String = process.partial.drain(..=end).collect();
            let prefix = process.prefix();
            let lines = process.filtered(lines);
            for line in lines.lines() {
                self.say_at(chunk.at, Kind::Output, &format!("{prefix}{line}"))?;
            }
        }
        Ok(printed)
    }

    /// Shows what a function of the script's that the cluster runs has to say. A mistake in it ends the script.
    fn hear(&mut self, told: Told) -> Fallible<()> {
        let zero = self.session.as_ref().map_or(Instant::START, Session::zero);
        let (at, by) = (told.at.since(zero).as_nanos(), told.by);
        let (about, mistake) = match told.what {
            Word::Line(line) => return self.say_at(at, Kind::Output, &format!("[{by}] {line}")),
            Word::Failed(about, mistake) => (about, mistake),
        };
        let doing = if about.is_empty() { String::new() } else { format!(" at {about}") };
        let place = Place {
            file: mistake.place.file.to_string(),
            line: mistake.place.line as usize,
            column: mistake.place.column as usize,
        };
        let text = format!("{by}{doing}: {} ({}:{})", mistake.message, place.file, place.line);
        if !mistake.bug {
            self.warnings.push(format!("{text}; it is tried again with back-off, and this is said once"));
            return self.say_at(at, Kind::Output, &format!("{text}; it is tried again"));
        }
        let problem = Problem {
            message: mistake.message.to_string(),
            hint: Some(mistake.hint.to_string()).filter(|hint| !hint.is_empty()),
        };
        let sources = self.program.as_ref().map(|program| lock(&program.texts).clone()).unwrap_or_default();
        let mut report = Report::at(problem.clone(), place, &sources);
        report.trail.push(format!("in {by}{doing}, run by the cluster at {}", duration::text(at)));
        self.mistake = Some(report);
        Err(problem.fatal())
    }

    /// Shows the last, unfinished line of a process that has ended.
    pub fn flush(&mut self, id: ProcessId) -> Fallible<()> {
        let Some(process) = self.processes.get_mut(&id) else { return Ok(()) };
        let rest = std::mem::take(&mut process.partial);
        let prefix = process.prefix();
        match rest.is_empty() {
            true => Ok(()),
            false => self.say(Kind::Output, &format!("{prefix}{rest}")),
        }
    }

    /// The problem of virtual time that has come to the horizon.
    pub fn at_horizon(&self) -> Problem {
        let until = self.options.until;
        Problem::new(format!("virtual time has reached its horizon, {}", duration::text(until)))
            .hint(format!("raise it with --until {}", duration::text(until.saturating_mul(2))))
    }
}

impl Process {
    /// What the tools make of whole lines.
    fn filtered(&self, lines: String) -> String {
        self.filter.iter().fold(lines, |text, words| tools::filter(words, &text).map_or(text, |output| output.stdout))
    }

    /// Standard output so far, as the tools leave it.
    pub fn shown_stdout(&self) -> String {
        self.filtered(self.stdout.clone())
    }

    fn prefix(&self) -> String {
        self.number.map_or(String::new(), |number| format!("[{number}] "))
    }
}

/// The problem of a function called too early.
pub(super) fn no_cluster() -> Problem {
    Problem::new("there is no cluster yet").hint("make one first: let c = cluster(#{ nodes: 3 });")
}
