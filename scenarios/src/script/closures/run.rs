//! A reconcile under way: it goes through its log, and stops at the first request that has no answer.

use rhai::{Dynamic, EvalAltResult, Position};
use std::sync::Arc;

use wavetank_engine::apiserver::status::Status;
use wavetank_engine::client::connection::Call;
use wavetank_engine::client::routine::Outcome;
use wavetank_engine::kernel::Instant;
use wavetank_engine::objects::{Key, Kind, Object, Text};
use wavetank_engine::scripted::{Again, Caches, Logged, Reconcile, Said};

use super::super::errors::{Fallible, Problem};
use super::super::limits::readable;

/// Requests of one reconcile: each answer runs it again from its start.
const MOST_REQUESTS: usize = 1_000;

/// The state of a run, as `api`, `cache` and the rest find it. That of a plugin has nothing in it.
pub(in crate::script) struct Run {
    /// Whether it is a reconcile at all.
    reconciles: bool,
    pub key: Key,
    pub kind: Kind,
    caches: Caches,
    log: Vec<Logged>,
    cursor: usize,
    new: Vec<Logged>,
    /// The request at which it stops.
    call: Option<Call>,
    stopped: bool,
    pub now: Instant,
    pub again: Again,
}

/// What a request was refused with, as a script catches it.
#[derive(Clone, Debug)]
pub(in crate::script) struct ApiError(pub Status);

impl Default for Run {
    fn default() -> Self {
        Run {
            reconciles: false,
            key: Key::new("", ""),
            kind: Kind::Pod,
            caches: Arc::default(),
            log: Vec::new(),
            cursor: 0,
            new: Vec::new(),
            call: None,
            stopped: false,
            now: Instant::START,
            again: Again::No,
        }
    }
}

impl Run {
    /// The run of a reconcile.
    pub fn of(reconcile: &Reconcile<'_>) -> Self {
        Run {
            reconciles: true,
            key: reconcile.key.clone(),
            kind: reconcile.kind,
            caches: reconcile.caches.clone(),
            log: reconcile.log.to_vec(),
            now: reconcile.started,
            ..Run::default()
        }
    }

    /// One like it that has nothing to say.
    pub fn emptied(&self) -> Self {
        Run { key: self.key.clone(), kind: self.kind, ..Run::default() }
    }

    /// New steps, the request that is waited for, and whether the key comes back.
    pub fn finish(self) -> (Vec<Logged>, Option<Call>, Again) {
        (self.new, self.call.filter(|_| self.stopped), self.again)
    }

    /// The next step of an earlier run, if this one has not gone beyond those; an error if it has stopped, or is no reconcile.
    fn step(&mut self) -> Fallible<Option<Logged>> {
        if !self.reconciles {
            let problem = Problem::new("this function cannot read or write anything in the cluster");
            return Err(problem.hint("it decides by its arguments alone").into());
        }
        if self.stopped {
            return Err(stop());
        }
        let step = self.log.get(self.cursor).cloned();
        self.cursor += 1;
        Ok(step)
    }

    /// The kinds of which it has caches: among them what definitions have brought.
    pub fn kinds(&self) -> Vec<Kind> {
        self.caches.iter().map(|(kind, _)| *kind).collect()
    }

    /// Reads the cache, once.
    pub fn read(
        &mut self,
        kind: Kind,
        look: impl FnOnce(&wavetank_engine::client::Store) -> Vec<Arc<Object>>,
    ) -> Fallible<Arc<[Arc<Object>]>> {
        if let Some(Logged::Read(objects)) = self.step()? {
            return Ok(objects);
        }
        let Some((_, store)) = self.caches.iter().find(|(known, _)| *known == kind) else {
            self.cursor -= 1;
            let known: Vec<&str> = self.caches.iter().map(|(kind, _)| kind.plural()).collect();
            let plural = kind.plural();
            return Err(Problem::new(format!(
                "this controller has no cache of {plural}, only of {}",
                known.join(", ")
            ))
            .hint(format!("add it: reads: [\"{plural}\"]; or ask the API server: api.get(…)"))
            .into());
        };
        let objects: Arc<[Arc<Object>]> = look(store).into();
        self.new.push(Logged::Read(objects.clone()));
        Ok(objects)
    }

    /// Sends a request and waits for the answer.
    pub fn ask(&mut self, call: impl FnOnce() -> Fallible<Call>) -> Fallible<Outcome> {
        match self.step()? {
            Some(Logged::Answer(Some((at, outcome)))) => {
                self.now = self.now.max(at);
                return Ok(outcome);
            }
            Some(_) => {}
            None if self.requests() >= MOST_REQUESTS => {
                self.cursor -= 1;
                let text = format!("one reconcile has made {} requests", readable(MOST_REQUESTS as u64));
                return Err(Problem::new(text)
                    .hint("a loop may never end; do a part of the work and come again: return requeue_after(\"1s\")")
                    .fatal());
            }
            None => self.call = Some(call().inspect_err(|_| self.cursor -= 1)?),
        }
        self.stopped = true;
        Err(stop())
    }

    /// How many requests it has made.
    fn requests(&self) -> usize {
        self.log.iter().filter(|step| matches!(step, Logged::Answer(_))).count()
    }

    /// Says something to people, once.
    pub fn say(&mut self, said: impl FnOnce() -> Fallible<Said>) -> Fallible<()> {
        if self.step()?.is_none() {
            let said = said().inspect_err(|_| self.cursor -= 1)?;
            self.new.push(Logged::Event(Box::new(said)));
        }
        Ok(())
    }

    /// Prints a line, once.
    pub fn print(&mut self, line: &str) -> Fallible<()> {
        if self.step()?.is_none() {
            self.new.push(Logged::Line(Text::from(line.to_owned())));
        }
        Ok(())
    }
}

/// What ends a run that waits; a script's `try` cannot catch it.
fn stop() -> Box<EvalAltResult> {
    EvalAltResult::ErrorTerminated(Dynamic::UNIT, Position::NONE).into()
}

impl From<Status> for ApiError {
    fn from(status: Status) -> Self {
        ApiError(status)
    }
}

impl From<ApiError> for Box<EvalAltResult> {
    fn from(error: ApiError) -> Self {
        EvalAltResult::ErrorRuntime(Dynamic::from(error), Position::NONE).into()
    }
}
