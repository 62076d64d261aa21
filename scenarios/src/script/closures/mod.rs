//! Functions of the script that the cluster itself runs: reconciles, scheduler plugins, webhooks.
//!
//! The engine asks for them through its trait [`Scripts`]. They run apart from the script: on an engine of their own that knows `api` and
//! `cache` but neither kubectl nor virtual time, with copies of the variables they capture, and within bounds of their own.
//! The same arguments give the same answer, so nothing of theirs lives in the world and a run can be forked at any time.
//!
//! * `inside` – what such a function may call, a table. * `run` – a reconcile under way, over its log. * `values` – kinds, keys and
//!   requests as a script writes them. * `plugin` – pods and nodes as a scheduler plugin sees them.

pub(super) mod inside;
pub(super) mod plugin;
mod run;
#[cfg(test)]
pub(super) mod tests;
mod values;
pub(super) mod webhook;

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use rhai::packages::{Package, StandardPackage};
use rhai::{AST, Array, Dynamic, Engine, EvalAltResult, FnPtr, Map, OptimizationLevel};
use serde_json::Value;
use wavetank_engine::kernel::Instant;
use wavetank_engine::objects::Text;
use wavetank_engine::scripted::{End, Mistake, Place as At, Ran, Reconcile, Scripts, SeenNode, SeenPod};

use self::run::{ApiError, Run};
use super::convert::{to_json, to_script};
use super::errors::{Fallible, Place, Problem, Report, explain, readable_type};
use super::functions::{self, Cluster, Handle};
use super::imports::{Imports, Texts, lock};
use super::limits::{Limits, readable};
use super::names::Names;
use super::object::Object;

/// What a function is registered as.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Role {
    /// A controller's reconcile.
    Reconcile,
    /// A scheduler plugin's filter.
    Filter,
    /// A scheduler plugin's score.
    Score,
    /// An admission webhook.
    Webhook,
}

impl Role {
    /// What a function is called with.
    fn parameters(self) -> Option<&'static [&'static str]> {
        match self {
            Role::Reconcile => Some(&["key", "cache", "api"]),
            Role::Filter | Role::Score => Some(&["pod", "nodes"]),
            Role::Webhook => None,
        }
    }
}

/// The compiled script, as its functions need it.
#[derive(Clone)]
pub(super) struct Program {
    pub ast: Arc<AST>,
    pub names: Arc<Names>,
    pub texts: Texts,
    /// The script's file.
    pub main: Arc<str>,
    pub folder: PathBuf,
    pub limits: Limits,
}

/// The functions registered so far.
#[derive(Clone)]
pub(super) struct Closures {
    program: Program,
    /// The script's time zero.
    zero: Instant,
    functions: BTreeMap<(Role, String), Registered>,
    /// Engines that nobody uses at the moment: making one takes longer than a short reconcile.
    idle: Arc<Mutex<Vec<Runner>>>,
}

/// A function and where it was given.
#[derive(Clone)]
struct Registered {
    closure: FnPtr,
    given_at: Place,
}

/// An engine, used by one run at a time.
struct Runner {
    engine: Engine,
    slot: Slot,
    operations: Arc<AtomicU64>,
}

/// Where an engine's functions find the run they belong to.
pub(super) type Slot = Arc<Mutex<Option<Run>>>;

impl fmt::Debug for Closures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.functions.keys()).finish()
    }
}

impl Closures {
    /// None yet.
    pub fn new(program: Program, zero: Instant) -> Self {
        Closures { program, zero, functions: BTreeMap::new(), idle: Arc::default() }
    }

    /// Takes a function in under a name; it is given copies of what it captures.
    pub fn add(&mut self, role: Role, name: &str, closure: &FnPtr, given_at: Place) -> Fallible<()> {
        let ast = &self.program.ast;
        if !ast.iter_functions().any(|function| function.name == closure.fn_name()) {
            return Err(Problem::new("this function is written in another file than the script")
                .hint("write the closure where it is given; it may call functions of the script")
                .into());
        }
        let captured = closure.iter_curry().count();
        let taken = ast.iter_functions().find(|function| function.name == closure.fn_name());
        let taken = taken.map_or(0, |function| function.params.len().saturating_sub(captured));
        if let Some(wanted) = role.parameters().filter(|wanted| wanted.len() != taken) {
            let wanted = wanted.join(", ");
            return Err(Problem::new(format!("this closure has {taken} parameters, but is called with {wanted}"))
                .hint(format!("write |{wanted}| …; the names are free"))
                .into());
        }
        let closure = detached(closure)?;
        self.functions.insert((role, name.to_owned()), Registered { closure, given_at });
        Ok(())
    }

    /// Calls a function; `this` is what it may change, `run` what its own functions work on.
    fn call(
        &self,
        role: Role,
        name: &str,
        this: &mut Dynamic,
        run: Run,
        args: Vec<Dynamic>,
    ) -> (Run, Result<Dynamic, Mistake>) {
        let Some(registered) = self.functions.get(&(role, name.to_owned())) else {
            return (run, Err(Mistake::unknown("function for", name)));
        };
        let runner = lock(&self.idle).pop().unwrap_or_else(|| self.runner());
        runner.operations.store(0, Ordering::Relaxed);
        let spare = run.emptied();
        *lock(&runner.slot) = Some(run);
        let mut closure = registered.closure.clone();
        // In cells, so that a change shows: it would be lost, and the author think it is not.
        let captured: Vec<Dynamic> = closure.iter_curry().map(|value| value.clone().into_shared()).collect();
        closure.set_curry(captured.iter().cloned());
        let result = closure.call_as_method::<Dynamic>(&runner.engine, &self.program.ast, this, args);
        let run = lock(&runner.slot).take().unwrap_or(spare);
        lock(&self.idle).push(runner);
        let result = result.map_err(|error| self.mistake(&error, registered));
        let changed = registered.closure.iter_curry().zip(&captured).any(|(before, after)| {
            let (before, after) = (to_json(before), to_json(&after.flatten_clone()));
            before.is_ok() && before != after
        });
        if changed && result.is_ok() {
            let problem = Problem::new("a variable from outside of this function is changed in it, which is lost")
                .hint("what is to be remembered is a field of `this`: this.count = 1");
            return (run, Err(self.at(problem, &registered.given_at, true)));
        }
        (run, result)
    }

    /// An error of Rhai's as the engine wants it.
    fn mistake(&self, error: &EvalAltResult, registered: &Registered) -> Mistake {
        let program = &self.program;
        let Report { message, mut place, hint, .. } =
            explain(error, &program.main, &lock(&program.texts), &program.names);
        if place.line == 0 {
            place = registered.given_at.clone();
        }
        let mut problem = Problem { message, hint };
        let mut bug = true;
        if let EvalAltResult::ErrorRuntime(value, _) = innermost(error) {
            if let Some(refused) = value.read_lock::<ApiError>() {
                (problem.message, bug) = (refused.0.message.to_string(), false);
            } else if value.read_lock::<Problem>().is_none() {
                (problem.message, bug) = (value.to_string(), false);
            }
        }
        self.at(problem, &place, bug)
    }

    fn at(&self, problem: Problem, place: &Place, bug: bool) -> Mistake {
        let number = |number: usize| u32::try_from(number).unwrap_or(0);
        let place = At { file: place.file.clone().into(), line: number(place.line), column: number(place.column) };
        Mistake { message: problem.message.into(), place, hint: problem.hint.unwrap_or_default().into(), bug }
    }

    /// The mistake of an answer of the wrong shape.
    fn misfit(&self, role: Role, name: &str, problem: Problem) -> Mistake {
        let given_at = self.functions.get(&(role, name.to_owned())).map(|registered| registered.given_at.clone());
        self.at(problem, &given_at.unwrap_or(Place { file: String::new(), line: 0, column: 0 }), true)
    }

    /// An engine with what such a function may use, and nothing else.
    fn runner(&self) -> Runner {
        let (slot, operations): (Slot, Arc<AtomicU64>) = Default::default();
        let mut engine = Engine::new_raw();
        engine.register_global_module(StandardPackage::new().as_shared_module());
        engine.set_optimization_level(OptimizationLevel::None);
        engine.set_strict_variables(true);
        let Program { folder, texts, limits, .. } = &self.program;
        engine.set_module_resolver(Imports::new(folder.clone(), texts.clone()));
        limits.install(&mut engine);
        inside::register(&mut engine, &slot, self.zero);
        plugin::register(&mut engine);
        webhook::register(&mut engine);
        let (count, limit) = (operations.clone(), limits.reconcile);
        engine.on_progress(move |_| {
            if count.fetch_add(1, Ordering::Relaxed) < limit {
                return None;
            }
            let text = format!("one run has used up its {} operations", readable(limit));
            let hint =
                format!("a loop may never end; raise the bound with --limit reconcile={}", limit.saturating_mul(10));
            Some(Dynamic::from(Problem::new(text).hint(hint)))
        });
        Runner { engine, slot, operations }
    }
}

impl Scripts for Closures {
    fn reconcile(&self, controller: &str, run: Reconcile<'_>) -> Ran {
        let mut this = to_script(run.memory);
        let before = run.memory.clone();
        let key = Dynamic::from(inside::key_text(&run));
        let args = vec![key, Dynamic::from(inside::Cache), Dynamic::from(inside::Api)];
        let (run, result) = self.call(Role::Reconcile, controller, &mut this, Run::of(&run), args);
        let (logged, call, again) = run.finish();
        if let Some(call) = call {
            return Ran { logged, end: End::Waits(Box::new(call)), memory: None };
        }
        let memory = match to_json(&this) {
            Ok(value @ Value::Object(_)) => Some(value).filter(|value| *value != *before),
            Ok(_) => None,
            Err(problem) => {
                let problem = Problem::new(format!("what `this` holds is not plain data: {problem}"));
                let mistake = self.misfit(Role::Reconcile, controller, problem.hint("text, numbers, arrays, maps"));
                return Ran { logged, end: End::Failed(mistake), memory: None };
            }
        };
        let end = match result {
            Ok(_) => End::Done { again },
            Err(mistake) => End::Failed(mistake),
        };
        Ran { logged, end, memory }
    }

    fn filter(&self, plugin: &str, pod: &SeenPod, nodes: &Arc<[SeenNode]>) -> Result<Vec<Option<Text>>, Mistake> {
        let args = plugin::arguments(pod, nodes);
        let (_, answer) = self.call(Role::Filter, plugin, &mut Dynamic::from(Map::new()), Run::default(), args);
        plugin::reasons(&answer?, nodes.len()).map_err(|problem| self.misfit(Role::Filter, plugin, problem))
    }

    fn score(&self, plugin: &str, pod: &SeenPod, nodes: &Arc<[SeenNode]>) -> Result<Vec<i64>, Mistake> {
        let args = plugin::arguments(pod, nodes);
        let (_, answer) = self.call(Role::Score, plugin, &mut Dynamic::from(Map::new()), Run::default(), args);
        plugin::scores(&answer?, nodes).map_err(|problem| self.misfit(Role::Score, plugin, problem))
    }

    fn admit(&self, name: &str, request: &Arc<Value>) -> Result<Value, Mistake> {
        let args = vec![to_script(request)];
        let (_, answer) = self.call(Role::Webhook, name, &mut Dynamic::from(Map::new()), Run::default(), args);
        webhook::response(&answer?).map_err(|error| match *error {
            EvalAltResult::ErrorRuntime(problem, _) => {
                let problem = problem.try_cast::<Problem>().unwrap_or_else(|| Problem::new("the answer is no answer"));
                self.misfit(Role::Webhook, name, problem)
            }
            other => self.misfit(Role::Webhook, name, Problem::new(other.to_string())),
        })
    }
}

fn innermost(error: &EvalAltResult) -> &EvalAltResult {
    match error {
        EvalAltResult::ErrorInFunctionCall(_, _, inner, _) | EvalAltResult::ErrorInModule(_, inner, _) => {
            innermost(inner)
        }
        other => other,
    }
}

/// A closure with copies of what it captures instead of the script's own variables.
fn detached(closure: &FnPtr) -> Fallible<FnPtr> {
    let mut alone = closure.clone();
    let captured: Vec<Dynamic> = closure.iter_curry().map(copied).collect::<Fallible<_>>()?;
    alone.set_curry(captured);
    Ok(alone)
}

/// A value without shared cells.
fn copied(value: &Dynamic) -> Fallible<Dynamic> {
    let value = value.flatten_clone();
    if value.is::<Cluster>() || value.is::<Handle>() {
        let what = if value.is::<Cluster>() { "the cluster" } else { "a process" };
        return Err(Problem::new(format!("this function uses {what}, which belongs to the script"))
            .hint("inside, `cache` is what the controller knows and `api` how it acts: api.delete(\"pods\", key)")
            .into());
    }
    if let Some(inner) = value.read_lock::<FnPtr>() {
        return Ok(Dynamic::from(detached(&inner)?));
    }
    if let Some(items) = value.read_lock::<Array>() {
        return Ok(items.iter().map(copied).collect::<Fallible<Array>>()?.into());
    }
    if let Some(fields) = value.read_lock::<Map>() {
        let fields = fields.iter().map(|(name, field)| Ok((name.clone(), copied(field)?)));
        return Ok(fields.collect::<Fallible<Map>>()?.into());
    }
    if value.is::<Object>() || to_json(&value).is_ok() {
        return Ok(value);
    }
    let kind = readable_type(value.type_name());
    Err(Problem::new(format!(
        "this function uses a variable that holds a value of type {kind}, which cannot be copied"
    ))
    .into())
}

/// What only exists inside such functions is refused outside, with a word where it belongs.
pub(super) fn refuse_outside(engine: &mut Engine) {
    inside::refuse_outside(engine, functions::all().map(|function| function.name).collect());
}
