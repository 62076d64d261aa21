//! The recorder's machine: a cluster of etcd alone in virtual time, and a shell.

use wavetank::etcdctl::Tool;
use wavetank::session::{ProcessId, Session, Stream};
use wavetank::shell::{Invocation, Machine, Output, Shell};
use wavetank_engine::etcd::{AutoCompaction, Formation};
use wavetank_engine::kernel::Duration;
use wavetank_engine::profiles;
use wavetank_engine::setup::Setup;

/// The machine.
pub struct Host {
    pub session: Session,
    jobs: Vec<Job>,
}

/// A program in the background.
struct Job {
    process: ProcessId,
    file: String,
    merged: bool,
    /// When `timeout` ends it. [ns]
    limit: Option<u64>,
    text: String,
}

const SECOND: u64 = 1_000_000_000;
/// What the recorder's shell and machine took to start a program. [ns] – fitted to a loop of 200 recorded pipes
const PROGRAM: u64 = 3_000_000;
/// What a byte of arguments took besides. [ns] – fitted to a loop of puts with 100 kB of them
const PER_BYTE: u64 = 250;
/// Nothing recorded takes longer: what does, hangs. [ns]
const PATIENCE: u64 = 600 * SECOND;

/// The setup of a case: its members, its flags, its luck.
pub fn setup(members: u8, first_leader: u8, args: &[&str], seed: u64) -> Setup {
    let mut setup = Setup::new(seed, 0, members, profiles::by_name("laptop").expect("a profile"));
    setup.formation = Formation { first_leader, ..Formation::local(members) };
    setup.only_etcd = true;
    let settings = &mut setup.profile.etcd;
    let value = |flag: &str| args.iter().find_map(|arg| arg.strip_prefix(flag)?.strip_prefix('='));
    if let Some(bytes) = value("--quota-backend-bytes").and_then(|text| text.parse::<i64>().ok()) {
        settings.quota_bytes = if bytes == 0 { 2 << 30 } else { u64::try_from(bytes).unwrap_or(u64::MAX) };
    }
    if let Some(retention) = value("--auto-compaction-retention") {
        settings.auto_compaction = match value("--auto-compaction-mode") {
            Some("revision") => AutoCompaction::Revision(retention.parse().expect("revisions")),
            // Without a unit these are hours.
            _ => AutoCompaction::Periodic(
                duration(retention)
                    .unwrap_or_else(|| Duration::from_secs(3_600 * retention.parse::<u64>().expect("hours"))),
            ),
        };
    }
    if let Some(interval) = value("--heartbeat-interval").and_then(|text| text.parse().ok()) {
        settings.pace.tick = Duration::from_millis(interval);
    }
    if let Some(timeout) = value("--election-timeout").and_then(|text| text.parse::<u64>().ok()) {
        settings.pace.election = timeout * 1_000_000 / settings.pace.tick.as_nanos();
    }
    if let Some(bytes) = value("--max-request-bytes").and_then(|text| text.parse().ok()) {
        settings.max_request_bytes = bytes;
    }
    if let Some(count) = value("--max-txn-ops").and_then(|text| text.parse().ok()) {
        settings.max_txn_ops = count;
    }
    setup
}

fn duration(text: &str) -> Option<Duration> {
    let at = text.find(|c: char| c.is_ascii_alphabetic())?;
    let number: f64 = text[..at].parse().ok()?;
    let unit = match &text[at..] {
        "ms" => 1.0,
        "s" => 1e3,
        "m" => 60e3,
        "h" => 3_600e3,
        _ => return None,
    };
    Some(Duration::from_millis_f64(number * unit))
}

impl Host {
    pub fn new(setup: Setup) -> Self {
        let session = Session::begin(setup, ".".into()).expect("a cluster");
        Host { session, jobs: Vec::new() }
    }

    /// Runs a line; the answer comes with the time it took. [s]
    pub fn line(&mut self, shell: &mut Shell, line: &str) -> (Output, f64) {
        let began = self.session.now();
        let output = shell.run(line, self);
        (output, (self.session.now() - began) as f64 / SECOND as f64)
    }

    /// Lets time pass. [ns]
    pub fn pass(&mut self, ns: u64) {
        let until = self.session.now().saturating_add(ns);
        loop {
            let next = self.jobs.iter().filter_map(|job| job.limit).filter(|at| *at <= until).min();
            self.session.run_until(next.unwrap_or(until).max(self.session.now()));
            self.collect();
            if next.is_none() {
                return;
            }
        }
    }

    /// Takes what jobs have printed, and ends those whose time is over.
    fn collect(&mut self) -> Vec<(ProcessId, Stream, String)> {
        let mut rest = Vec::new();
        for chunk in self.session.take_output() {
            match self.jobs.iter_mut().find(|job| job.process == chunk.process) {
                Some(job) if job.merged || chunk.stream == Stream::Stdout => job.text.push_str(&chunk.text),
                Some(_) => {}
                None => rest.push((chunk.process, chunk.stream, chunk.text)),
            }
        }
        let now = self.session.now();
        for job in &mut self.jobs {
            if job.limit.is_some_and(|limit| limit <= now) {
                self.session.kill(job.process);
                job.limit = None;
            }
        }
        rest
    }

    fn launch(&mut self, program: &Invocation) -> Option<ProcessId> {
        let (name, argv) = program.words.split_first()?;
        let tool = match name.as_str() {
            "etcdctl" => Tool::Etcdctl,
            "etcdutl" => Tool::Etcdutl,
            _ => return None,
        };
        Some(self.session.start_etcdctl(tool, argv.to_vec(), program.stdin.clone(), program.env.clone()))
    }
}

impl Machine for Host {
    fn run(&mut self, program: &Invocation) -> Option<Output> {
        if program.words.iter().map(String::as_str).eq(["etcd", "--version"]) {
            return Some(Output { stdout: "etcd Version: 3.6.13\n".into(), ..Output::default() });
        }
        let bytes: usize = program.words.iter().map(String::len).sum();
        self.pass(PROGRAM + bytes as u64 * PER_BYTE);
        let began = self.session.now();
        let process = self.launch(program)?;
        let end = began.saturating_add(program.limit.unwrap_or(PATIENCE));
        let (mut stdout, mut stderr) = (String::new(), String::new());
        loop {
            let exit = self.session.poll(process);
            let over = exit.is_none() && self.session.now() >= end;
            if over {
                self.session.kill(process);
            }
            for (of, stream, text) in self.collect() {
                match stream {
                    _ if of != process => {}
                    Stream::Stdout => stdout.push_str(&text),
                    Stream::Stderr => stderr.push_str(&text),
                }
            }
            if over {
                return Some(Output { stdout, stderr, code: 124 });
            }
            if let Some(exit) = exit {
                return Some(Output { stdout, stderr, code: exit.code });
            }
            match self.session.next_at().filter(|at| *at <= end) {
                Some(_) => drop(self.session.step()),
                None => self.pass(end - self.session.now()),
            }
        }
    }

    fn start(&mut self, program: &Invocation, file: &str, merged: bool) -> bool {
        let limit = program.limit.map(|limit| self.session.now() + limit);
        let Some(process) = self.launch(program) else { return false };
        self.jobs.push(Job { process, file: file.to_owned(), merged, limit, text: String::new() });
        true
    }

    fn tool(&mut self) {
        self.pass(PROGRAM);
    }

    fn sleep(&mut self, ns: u64) {
        self.pass(ns);
    }

    /// The recorder's shell waits while a program in the background holds its standard error.
    fn wait(&mut self) {
        let holding = self.jobs.iter().filter(|job| !job.merged).filter_map(|job| job.limit).max();
        if let Some(limit) = holding {
            self.pass(limit.saturating_sub(self.session.now()));
        }
    }

    fn read(&mut self, path: &str) -> Option<String> {
        self.collect();
        if let Some(job) = self.jobs.iter().rev().find(|job| job.file == path) {
            return Some(job.text.clone());
        }
        self.session.machine().read(path).map(str::to_owned)
    }

    fn write(&mut self, path: &str, text: &str) {
        self.jobs.retain(|job| job.file != path);
        self.session.machine_mut().write(path, text);
    }

    fn copy(&mut self, from: &str, to: &str) -> bool {
        self.session.copy_file(from, to)
    }

    fn remove(&mut self, path: &str) -> bool {
        self.session.machine_mut().remove(path)
    }
}
