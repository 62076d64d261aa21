//! etcdctl and etcdutl: the command lines an operator drives etcd with.
//!
//! As with kubectl, a process is a straight-line program that is *replayed*: [`run`] executes it from the start, takes
//! the answers recorded so far, and stops at the first call that has none. So a process is plain data that can be
//! forked with the world. What it asks for is a [`Call`]: requests to etcd members in etcd's own terms (keys and values
//! are bytes), waiting, or work on a file (snapshots, data directories), which the host keeps. etcdctl knows nothing of
//! the engine.
//!
//! Models: etcd v3.6.13 etcdctl/ctlv3, etcdutl, pkg/cobrautl, client/v3 (retries).
//! Left out: log lines on standard error, TLS, `-w protobuf`, interactive watches, and the commands
//! check, elect, lock, make-mirror, completion, and those that turn on authentication or a downgrade (they say so).

mod answers;
mod calls;
mod command_table;
mod commands;
mod endpoint;
mod failure;
mod flags;
mod help;
mod kv;
mod lease;
mod maintenance;
mod member;
mod print;
mod request_size;
mod session;
mod txn;
mod unchanging;
mod util_commands;
mod watch;

#[cfg(test)]
mod fake_etcd;
#[cfg(test)]
mod fake_shell;
#[cfg(test)]
mod fake_store;
#[cfg(test)]
mod verbs_tests;

pub use answers::*;
pub use calls::*;
pub use lease::KeepAlive;
use session::Session;
pub use watch::WatchState;

/// Which of the two programs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tool {
    /// Talks to members.
    #[default]
    Etcdctl,
    /// Works on files.
    Etcdutl,
}

/// An etcdctl or etcdutl process: everything its future depends on.
#[derive(Clone, Debug, Default)]
pub struct Process {
    /// Which program.
    pub tool: Tool,
    /// The arguments without the program's name: `["get", "foo"]`.
    pub argv: Vec<String>,
    /// Environment variables; only `ETCDCTL_<FLAG>` are read.
    pub env: Vec<(String, String)>,
    /// Standard input.
    pub stdin: Option<String>,
    /// The answers to its calls so far, in the order of the calls (those before `resume` left out).
    pub answers: Vec<Answer>,
    /// When it was started. [ns since the Unix epoch]
    pub started: i64,
    /// Where a long loop had got to when its older answers were dropped, see [`Process::forget`].
    pub resume: Option<Resume>,
}

impl Process {
    /// A process that has just been started.
    pub fn new(tool: Tool, argv: Vec<String>, stdin: Option<String>, started: i64) -> Self {
        Process { tool, argv, stdin, started, ..Process::default() }
    }

    /// Drops the answers that `run` says are no longer needed, so that a watch of n events costs n steps and not n².
    pub fn forget(&mut self, run: &Run) {
        if let Some(resume) = &run.resume {
            self.answers.clear();
            self.resume = Some(resume.clone());
        }
    }

    /// The number of answers taken since the process started.
    pub fn answered(&self) -> usize {
        self.resume.as_ref().map_or(0, |r| r.answers) + self.answers.len()
    }
}

/// State of a process that is in a loop and needs none of its earlier answers any more.
#[derive(Clone, Debug)]
pub struct Resume {
    /// Answers taken before this point.
    pub answers: usize,
    /// Watches opened before this point.
    pub watches: usize,
    /// etcdctl's time at this point. [ns since the Unix epoch]
    pub now: i64,
    /// The loop it is in.
    pub inside: Loop,
}

/// The loops that last until the process is killed.
#[derive(Clone, Debug)]
pub enum Loop {
    /// `etcdctl watch`
    Watch(WatchState),
    /// `etcdctl lease keep-alive`
    KeepAlive(KeepAlive),
}

/// How far a process has come.
#[derive(Clone, Debug, PartialEq)]
pub enum Progress {
    /// It waits for the answer to this call.
    Waiting(Call),
    /// It has ended.
    Done {
        /// As etcdctl's: 0; 1 general; 2 connection, panic; 3 input; 4 unsupported value; 5 interrupted; 128 arguments.
        exit_code: i32,
    },
}

/// A piece of output.
#[derive(Clone, Debug, PartialEq)]
pub struct Chunk {
    /// The text, with its line ends. Bytes that are no UTF-8 are replaced by U+FFFD.
    pub text: String,
    /// The number of answers the process had taken (since its start) when it wrote this. A host that runs a process
    /// again after each answer finds what is new in the chunks whose number equals [`Process::answered`].
    pub after_answer: usize,
}

/// What [`run`] found.
#[derive(Clone, Debug)]
pub struct Run {
    /// How far the process has come.
    pub progress: Progress,
    /// Standard output, since the start or since `resume`.
    pub stdout: Vec<Chunk>,
    /// Standard error, since the start or since `resume`.
    pub stderr: Vec<Chunk>,
    /// If present, the answers taken so far may be dropped, see [`Process::forget`].
    pub resume: Option<Resume>,
}

/// Runs the process from its start (or its resume point), taking the recorded answers, up to its first unanswered call
/// or its end. `watch` and `lease keep-alive` end only when the host stops running them.
pub fn run(process: &Process) -> Run {
    let mut session = Session::new(process);
    let progress = match commands::dispatch(&mut session) {
        Ok(()) => Progress::Done { exit_code: 0 },
        Err(session::Stop::Waiting(call)) => Progress::Waiting(*call),
        Err(session::Stop::Failed(failure)) => {
            session.error(&failure.text);
            Progress::Done { exit_code: failure.exit_code }
        }
    };
    session.finish(progress)
}
