//! The replay of one kubectl process: calls, output, and kubectl's idea of the time.
//!
//! Verbs are written as straight-line code; every call returns [`Step`], and `?` carries "no answer yet" out of the
//! program.
//! Models: kubernetes v1.36.2 staging/src/k8s.io/client-go/rest/with_retry.go (retry on 429 and 5xx that carry
//! Retry-After), staging/src/k8s.io/cli-runtime/pkg/resource/visitor.go (`Info.Get`).
//! Left out: client-side rate limit (kubectl: 50 requests/s, burst 300).

use serde_json::Value;

use super::auth::Acting;
use super::errors::Failure;
use super::flags::Globals;
use super::json::{integer, list, text};
use super::resources::Resource;
use super::{Answer, ApiCall, ApiVerb, Call, Chunk, Files, LogStream, Loop, Process, Progress, Resume, Run};

/// Retries of a request that the server asked to retry – constant; Kubernetes: client-go's default maxRetries, 10.
const MAX_RETRIES: usize = 10;
const SECOND: u64 = 1_000_000_000;

/// The outcome of a step of the program.
pub(crate) type Step<T> = Result<T, Stop>;

/// Why a program stops.
#[derive(Debug)]
pub(crate) enum Stop {
    /// A call has no answer yet.
    Waiting(Call),
    /// kubectl fails.
    Failed(Failure),
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Stop {
        Stop::Failed(failure)
    }
}

/// Separates a failure, which a verb may want to collect, from a missing answer, which it must pass on.
pub(crate) fn attempt<T>(step: Step<T>) -> Step<Result<T, Failure>> {
    match step {
        Ok(value) => Ok(Ok(value)),
        Err(Stop::Failed(failure)) => Ok(Err(failure)),
        Err(Stop::Waiting(call)) => Err(Stop::Waiting(call)),
    }
}

/// A watch event as a verb sees it.
pub(crate) enum WatchStep<'a> {
    Event { kind: &'a str, object: &'a Value },
    Ended,
    TimedOut,
}

/// One replay.
pub(crate) struct Session<'a> {
    pub process: &'a Process,
    pub files: &'a dyn Files,
    pub globals: Globals,
    /// For whom kubectl speaks, if not for the admin.
    pub acting: Option<Acting>,
    /// The types that definitions bring.
    pub discovered: Vec<Resource>,
    /// kubectl's time: that of the last answer taken. [ns since the Unix epoch]
    pub now: i64,
    taken: usize,
    before: usize,
    watches: usize,
    stdout: Vec<Chunk>,
    stderr: Vec<Chunk>,
    resume: Option<Resume>,
}

impl<'a> Session<'a> {
    pub fn new(process: &'a Process, files: &'a dyn Files) -> Self {
        let resume = process.resume.as_ref();
        Session {
            process,
            files,
            globals: Globals::default(),
            acting: None,
            discovered: process.discovered.iter().map(|one| one.0).collect(),
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
        self.process.resume.as_ref().map(|r| &r.watching)
    }

    /// Says that from here on only `watching` matters.
    pub fn checkpoint(&mut self, watching: impl FnOnce() -> Loop) {
        // Only the last checkpoint is handed out, so only that one is worth building.
        if self.taken == self.process.answers.len() {
            let answers = self.before + self.taken;
            self.resume = Some(Resume { answers, watches: self.watches, now: self.now, watching: watching() });
        }
    }

    pub fn print(&mut self, text: &str) {
        push(&mut self.stdout, text, self.before + self.taken);
    }

    pub fn print_line(&mut self, text: &str) {
        self.print(text);
        self.print("\n");
    }

    pub fn error(&mut self, text: &str) {
        push(&mut self.stderr, text, self.before + self.taken);
    }

    pub fn error_line(&mut self, text: &str) {
        self.error(text);
        self.error("\n");
    }

    pub fn warn(&mut self, text: &str) {
        self.error_line(&format!("Warning: {text}"));
    }

    fn take(&mut self) -> Option<&'a Answer> {
        let answer = self.process.answers.get(self.taken)?;
        self.taken += 1;
        self.now = answer.at();
        Some(answer)
    }

    /// Sends a request and returns the body of a successful answer, borrowed: a replay must not copy what it has read
    /// before.
    pub fn call(&mut self, mut call: ApiCall) -> Step<&'a Value> {
        call.timeout = call.timeout.or(self.globals.request_timeout);
        if let Some(mut acting) = self.acting.take() {
            let refusal = acting.refusal(self, &call)?;
            self.acting = Some(acting);
            if let Some(failure) = refusal {
                return Err(failure.into());
            }
        }
        let mut tries = 0;
        loop {
            let Some(answer) = self.take() else { return Err(Stop::Waiting(Call::Api(Box::new(call)))) };
            match answer {
                Answer::Ok { body, warnings, .. } => {
                    for warning in warnings {
                        self.warn(warning);
                    }
                    if call.verb == ApiVerb::Watch {
                        self.watches += 1;
                    }
                    return Ok(body);
                }
                Answer::Err { status, .. } => match retry_after(status) {
                    Some(seconds) if tries < MAX_RETRIES => {
                        tries += 1;
                        self.sleep(seconds * SECOND)?;
                    }
                    _ => return Err(Failure::Status(status.clone()).into()),
                },
                Answer::Timeout { .. } if call.timeout.is_some() => {
                    let why = "context deadline exceeded (Client.Timeout exceeded while awaiting headers)";
                    return Err(Failure::Unreachable(why.into()).into());
                }
                Answer::Timeout { .. } => {
                    let why = format!("dial tcp {}: i/o timeout", super::errors::SERVER);
                    return Err(Failure::Unreachable(why).into());
                }
                Answer::ConnectionRefused { .. } => return Err(Failure::Refused.into()),
                Answer::Broken { .. } => return Err(Failure::Unreachable("unexpected EOF".into()).into()),
                Answer::Event { .. } | Answer::StreamEnded { .. } | Answer::Slept { .. } => {
                    return Err(out_of_order());
                }
            }
        }
    }

    /// Opens a watch and returns its index.
    pub fn watch(&mut self, call: ApiCall) -> Step<usize> {
        let stream = self.watches;
        self.call(ApiCall { verb: ApiVerb::Watch, ..call })?;
        Ok(stream)
    }

    /// Waits for the next event of a watch.
    pub fn next_event(&mut self, stream: usize, deadline: Option<i64>) -> Step<WatchStep<'a>> {
        let Some(answer) = self.take() else { return Err(Stop::Waiting(Call::WatchNext { stream, deadline })) };
        match answer {
            Answer::Event { kind, object, .. } => Ok(WatchStep::Event { kind, object }),
            Answer::StreamEnded { .. } | Answer::ConnectionRefused { .. } | Answer::Broken { .. } => {
                Ok(WatchStep::Ended)
            }
            Answer::Timeout { .. } => Ok(WatchStep::TimedOut),
            Answer::Err { status, .. } => Err(Failure::Status(status.clone()).into()),
            Answer::Ok { .. } | Answer::Slept { .. } => Err(out_of_order()),
        }
    }

    /// Waits until something more comes of open logs.
    pub fn follow(&mut self, streams: Vec<LogStream>) -> Step<&'a Value> {
        match self.take() {
            None => Err(Stop::Waiting(Call::Follow { streams })),
            Some(Answer::Ok { body, .. }) => Ok(body),
            Some(_) => Err(out_of_order()),
        }
    }

    pub fn sleep(&mut self, ns: u64) -> Step<()> {
        match self.take() {
            None => Err(Stop::Waiting(Call::Sleep { ns })),
            Some(_) => Ok(()),
        }
    }

    /// GET of one object without looking at its namespace.
    pub fn get(&mut self, resource: &Resource, namespace: Option<&str>, name: &str) -> Step<&'a Value> {
        self.call(ApiCall { name: Some(name.into()), ..resource.call(ApiVerb::Get, namespace) })
    }

    /// `Info.Get`: when the object is not found outside of `default`, a missing namespace is the better answer.
    pub fn get_info(&mut self, resource: &Resource, namespace: Option<&str>, name: &str) -> Step<&'a Value> {
        let failure = match attempt(self.get(resource, namespace, name))? {
            Ok(object) => return Ok(object),
            Err(failure) => failure,
        };
        if let (true, Some(namespace)) = (failure.is_not_found(), namespace)
            && namespace != "default"
        {
            let call = Resource::NAMESPACES.call(ApiVerb::Get, None);
            let namespace = attempt(self.call(ApiCall { name: Some(namespace.into()), ..call }))?;
            if let Err(missing) = namespace
                && missing.is_not_found()
            {
                return Err(missing.into());
            }
        }
        Err(failure.into())
    }

    /// LIST in pages of `limit` objects.
    pub fn list(&mut self, call: ApiCall) -> Step<Listed<'a>> {
        let mut pages = Vec::new();
        let mut call = ApiCall { verb: ApiVerb::List, ..call };
        loop {
            let page = self.call(call.clone())?;
            pages.push(page);
            match text(page, "/metadata/continue") {
                "" => return Ok(Listed { pages }),
                token => call.continue_token = Some(token.into()),
            }
        }
    }
}

/// The answer to a LIST.
pub(crate) struct Listed<'a> {
    pages: Vec<&'a Value>,
}

impl<'a> Listed<'a> {
    /// The objects in the server's order; apiVersion and kind may be missing.
    pub fn items(&self) -> impl Iterator<Item = &'a Value> {
        self.pages.iter().flat_map(|page| list(page, "/items"))
    }

    /// The version of the list, where a watch goes on.
    pub fn version(&self) -> &'a str {
        self.pages.last().map_or("", |page| text(page, "/metadata/resourceVersion"))
    }
}

/// Seconds after which the server wants the request again.
fn retry_after(status: &Value) -> Option<u64> {
    let code = integer(status, "/code")?;
    let seconds = integer(status, "/details/retryAfterSeconds").filter(|s| *s > 0)?;
    (code == 429 || code >= 500).then_some(seconds.unsigned_abs())
}

fn out_of_order() -> Stop {
    Failure::Message("internal: the recorded answer does not belong to this call".into()).into()
}

fn push(chunks: &mut Vec<Chunk>, text: &str, after_answer: usize) {
    match chunks.last_mut() {
        Some(last) if last.after_answer == after_answer => last.text.push_str(text),
        _ => chunks.push(Chunk { text: text.into(), after_answer }),
    }
}
