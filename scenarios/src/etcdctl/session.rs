//! The replay of one process: calls with the client's retries, output, and the process's idea of the time.
//!
//! Models: etcd v3.6.13 client/v3/retry_interceptor.go, client/v3/options.go, gRPC's connection backoff.
//! Left out: jitter, keepalive pings.

use super::commands::Settings;
use super::failure::{DEADLINE, Failure, is_repeatable, status_text};
use super::{
    Answer, Call, Code, EtcdCall, FileCall, FileError, FileReply, Outcome, Request, Response, RpcError, WatchResponse,
};
use super::{Chunk, Loop, Process, Progress, Resume, Run};

/// Tries of a unary call – constant; etcd: defaultUnaryMaxRetries, 100.
const MAX_TRIES: usize = 100;
/// Pause before a further try, [ns] – constant; etcd: defaultBackoffWaitBetween, 25 ms.
const RETRY_PAUSE: u64 = 25_000_000;
/// First pause before connecting again, [ns] – constant; gRPC: backoff.DefaultConfig.BaseDelay, 1 s.
const CONNECT_PAUSE: u64 = 1_000_000_000;
/// Longest pause before connecting again, [ns] – constant; gRPC: backoff.DefaultConfig.MaxDelay, 120 s.
const CONNECT_PAUSE_MAX: u64 = 120_000_000_000;

/// The outcome of a step of the program.
pub(crate) type Step<T> = Result<T, Stop>;

/// Why a program stops.
#[derive(Debug)]
pub(crate) enum Stop {
    /// A call has no answer yet.
    Waiting(Box<Call>),
    /// It fails.
    Failed(Failure),
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Stop {
        Stop::Failed(failure)
    }
}

/// One replay.
pub(crate) struct Session<'a> {
    pub process: &'a Process,
    pub settings: Settings,
    /// The process's time: that of the last answer taken. [ns since the Unix epoch]
    pub now: i64,
    taken: usize,
    before: usize,
    watches: usize,
    stdout: Vec<Chunk>,
    stderr: Vec<Chunk>,
    resume: Option<Resume>,
}

impl<'a> Session<'a> {
    pub fn new(process: &'a Process) -> Self {
        let resume = process.resume.as_ref();
        Session {
            process,
            settings: Settings::default(),
            now: resume.map_or(process.started, |r| r.now),
            taken: 0,
            before: resume.map_or(0, |r| r.answers),
            watches: resume.map_or(0, |r| r.watches),
            stdout: Vec::new(),
            stderr: Vec::new(),
            resume: None,
        }
    }

    pub fn finish(self, progress: Progress) -> Run {
        Run { progress, stdout: self.stdout, stderr: self.stderr, resume: self.resume }
    }

    /// The loop the process was in when its answers were dropped.
    pub fn resumed(&self) -> Option<&'a Loop> {
        self.process.resume.as_ref().map(|r| &r.inside)
    }

    /// Says that from here on only `inside` matters.
    pub fn checkpoint(&mut self, inside: impl FnOnce() -> Loop) {
        // Only the last checkpoint is handed out, so only that one is worth building.
        if self.taken == self.process.answers.len() {
            let answers = self.before + self.taken;
            self.resume = Some(Resume { answers, watches: self.watches, now: self.now, inside: inside() });
        }
    }

    pub fn print(&mut self, text: &str) {
        push(&mut self.stdout, text, self.before + self.taken);
    }

    pub fn error(&mut self, text: &str) {
        push(&mut self.stderr, text, self.before + self.taken);
    }

    fn take(&mut self, call: impl FnOnce() -> Call) -> Step<&'a Answer> {
        let Some(answer) = self.process.answers.get(self.taken) else { return Err(Stop::Waiting(Box::new(call()))) };
        self.taken += 1;
        self.now = self.now.max(answer.at());
        Ok(answer)
    }

    /// When a command that begins now gives up. [ns since the Unix epoch]
    pub fn deadline(&self) -> Option<i64> {
        Some(self.now.saturating_add_unsigned(self.settings.command_timeout))
    }

    /// Sends a request, again where the client does. An error is its text.
    pub fn request(
        &mut self,
        endpoints: &[String],
        call: EtcdCall,
        deadline: Option<i64>,
    ) -> Step<Result<&'a Response, String>> {
        let request = Request { endpoints: endpoints.to_vec(), call, deadline };
        let (mut tries, mut refused) = (0, 0);
        loop {
            let Answer::Outcome(outcome) = self.take(|| Call::Request(request.clone()))? else {
                return Err(out_of_order());
            };
            let pause = match verdict(&request, outcome, &mut tries, &mut refused) {
                Verdict::Ready(response) => {
                    if matches!(request.call, EtcdCall::Watch(_)) {
                        self.watches += 1;
                    }
                    return Ok(Ok(response));
                }
                Verdict::Failed(text) => return Ok(Err(text)),
                Verdict::Again { after } => after,
            };
            if !self.sleep_until(pause, deadline)? {
                return Ok(Err(DEADLINE.into()));
            }
        }
    }

    /// Sends requests at once, again where the client does; in their order, each with the time of its end.
    pub fn gather(&mut self, requests: &[Request]) -> Step<Vec<(i64, Result<&'a Response, String>)>> {
        let mut ends: Vec<Option<(i64, Result<&'a Response, String>)>> = vec![None; requests.len()];
        let mut counts = vec![(0, 0); requests.len()];
        loop {
            let open: Vec<usize> = (0..requests.len()).filter(|i| ends[*i].is_none()).collect();
            if open.is_empty() {
                return Ok(ends.into_iter().flatten().collect());
            }
            let call = || Call::Parallel(open.iter().map(|i| requests[*i].clone()).collect());
            let Answer::Outcomes(outcomes) = self.take(call)? else { return Err(out_of_order()) };
            if outcomes.len() != open.len() {
                return Err(out_of_order());
            }
            let mut pause = u64::MAX;
            for (i, outcome) in open.iter().zip(outcomes) {
                let (tries, refused) = &mut counts[*i];
                match verdict(&requests[*i], outcome, tries, refused) {
                    Verdict::Ready(response) => ends[*i] = Some((outcome.at, Ok(response))),
                    Verdict::Failed(text) => ends[*i] = Some((outcome.at, Err(text))),
                    Verdict::Again { after } => pause = pause.min(after),
                }
            }
            let left = open.iter().filter(|i| ends[**i].is_none());
            let deadline = left.filter_map(|i| requests[*i].deadline).min();
            if pause < u64::MAX && !self.sleep_until(pause, deadline)? {
                for end in ends.iter_mut().filter(|end| end.is_none()) {
                    *end = Some((self.now, Err(DEADLINE.into())));
                }
            }
        }
    }

    /// Sleeps, but not beyond `deadline`; false if that has come.
    fn sleep_until(&mut self, ns: u64, deadline: Option<i64>) -> Step<bool> {
        let left = deadline.map_or(u64::MAX, |at| u64::try_from(at.saturating_sub(self.now)).unwrap_or(0));
        if left > 0 && ns > 0 {
            self.sleep(ns.min(left))?;
        }
        Ok(ns < left)
    }

    /// Waits for the next response of a watch; None if its connection is gone.
    pub fn next_watched(&mut self) -> Step<Option<&'a WatchResponse>> {
        let stream = self.watches.saturating_sub(1);
        match self.take(|| Call::WatchNext { stream })? {
            Answer::Watched { response, .. } => Ok(Some(response)),
            Answer::WatchBroken { .. } => Ok(None),
            _ => Err(out_of_order()),
        }
    }

    pub fn sleep(&mut self, ns: u64) -> Step<()> {
        match self.take(|| Call::Sleep { ns })? {
            Answer::Slept { .. } => Ok(()),
            _ => Err(out_of_order()),
        }
    }

    pub fn file(&mut self, call: FileCall) -> Step<Result<&'a FileReply, &'a FileError>> {
        match self.take(|| Call::File(call))? {
            Answer::File { result, .. } => Ok(result.as_ref()),
            _ => Err(out_of_order()),
        }
    }
}

enum Verdict<'a> {
    Ready(&'a Response),
    Failed(String),
    Again { after: u64 },
}

/// What the client does with an outcome.
fn verdict<'a>(request: &Request, outcome: &'a Outcome, tries: &mut usize, refused: &mut u32) -> Verdict<'a> {
    let error = match &outcome.result {
        Ok(response) => return Verdict::Ready(response),
        Err(error) => error,
    };
    let lost = (Code::Unavailable, "error reading from server: EOF");
    let (code, message) = match error {
        RpcError::Deadline => return Verdict::Failed(DEADLINE.into()),
        RpcError::Refused => {
            let mut after = CONNECT_PAUSE;
            for _ in 0..*refused {
                after = (after / 5 * 8).min(CONNECT_PAUSE_MAX);
            }
            *refused = refused.saturating_add(1).min(20);
            return Verdict::Again { after };
        }
        RpcError::Lost => lost,
        RpcError::Status { code, message } => (*code, message.as_str()),
    };
    let again = match code {
        // The server's own deadline, not the client's.
        Code::DeadlineExceeded | Code::Canceled => request.deadline.is_none_or(|deadline| outcome.at < deadline),
        Code::Unavailable => is_repeatable(&request.call),
        _ => false,
    };
    *tries += 1;
    if again && *tries < MAX_TRIES {
        let quorum = request.endpoints.len() / 2 + 1;
        return Verdict::Again { after: if tries.is_multiple_of(quorum) { RETRY_PAUSE } else { 0 } };
    }
    match code {
        Code::DeadlineExceeded | Code::Canceled if !again => Verdict::Failed(DEADLINE.into()),
        _ => Verdict::Failed(status_text(code, message)),
    }
}

pub(crate) fn out_of_order() -> Stop {
    Failure::new(1, "internal: the recorded answer does not belong to this call").into()
}

fn push(chunks: &mut Vec<Chunk>, text: &str, after_answer: usize) {
    if text.is_empty() {
        return;
    }
    match chunks.last_mut() {
        Some(last) if last.after_answer == after_answer => last.text.push_str(text),
        _ => chunks.push(Chunk { text: text.into(), after_answer }),
    }
}
