//! The functions a script may call: one table per subject, from which both the registration and the reference come.
//!
//! A function takes its arguments as Rhai gives them and checks them itself, so that a wrong one is answered in plain
//! words. Functions on the cluster work with and without it: `c.run_for("15s")` and `run_for("15s")` are the same.

mod checks;
mod cluster;
mod commands;
pub(super) mod controllers;
mod etcd;
mod explain;
mod faults;
mod load;
mod machines;
mod measure;
mod metrics;
mod objects;
mod plans;
mod programs;
mod prose;
mod time;
pub(super) mod traffic;
mod waiting;
mod webhooks;

use super::duration;
use super::errors::{Fallible, Place, Problem, readable_type};
use super::host::Shared;
use super::object::Object;
use crate::session::{Nanos, ProcessId};
use rhai::{Array, Dynamic, Engine, EvalAltResult, FnPtr, ImmutableString, Map, NativeCallContext};
use std::any::TypeId;
use std::ops::RangeInclusive;
use std::sync::Arc;

/// The cluster in a script's hand. There is one per run, so the value itself is empty.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cluster;

/// A kubectl process in a script's hand.
#[derive(Clone, Copy, Debug)]
pub(super) struct Handle(pub ProcessId);

/// What a function can be called on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Receiver {
    /// Nothing.
    None,
    /// The cluster, which may be left out.
    Cluster,
    /// A process or an object, given first.
    Value,
}

/// The chapters of the reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Group {
    /// Making the cluster, settings.
    Cluster,
    /// kubectl.
    Commands,
    /// etcdctl, etcdutl, metrics.
    Etcd,
    /// Virtual time.
    Time,
    /// Load, and what goes wrong.
    Faults,
    /// Waiting for a state.
    Waiting,
    /// Controllers and plugins of one's own.
    Controllers,
    /// Reading objects.
    Objects,
    /// Expectations.
    Checks,
    /// Text in the transcript.
    Prose,
}

/// A function of the script language: how it is called, what it says in the reference, what it does.
pub struct Function {
    /// Its name.
    pub name: &'static str,
    /// Its chapter.
    pub group: Group,
    /// The ways to call it.
    pub signatures: &'static [&'static str],
    /// What it does; Markdown.
    pub summary: &'static str,
    /// A piece of a script.
    pub example: &'static str,
    receiver: Receiver,
    /// Numbers of arguments, the receiver not counted.
    arity: RangeInclusive<usize>,
    run: fn(&Call<'_>) -> Fallible<Dynamic>,
}

/// Every function, in the order of the reference.
pub fn all() -> impl Iterator<Item = &'static Function> {
    let tables = [
        cluster::FUNCTIONS,
        commands::FUNCTIONS,
        etcd::FUNCTIONS,
        metrics::FUNCTIONS,
        time::FUNCTIONS,
        load::FUNCTIONS,
        traffic::FUNCTIONS,
        faults::FUNCTIONS,
        plans::FUNCTIONS,
        programs::FUNCTIONS,
        machines::FUNCTIONS,
        webhooks::FUNCTIONS,
        waiting::FUNCTIONS,
        objects::FUNCTIONS,
        controllers::FUNCTIONS,
        explain::FUNCTIONS,
        measure::FUNCTIONS,
        checks::FUNCTIONS,
        prose::FUNCTIONS,
    ];
    tables.into_iter().flatten()
}

/// A call that is being carried out.
pub(super) struct Call<'a> {
    pub context: &'a NativeCallContext<'a>,
    pub host: &'a Shared,
    pub function: &'static Function,
    /// The script's file, for places.
    pub main: &'a str,
    /// The arguments, without the cluster.
    pub args: Vec<Dynamic>,
}

/// Registers everything a script may call.
pub(super) fn register(engine: &mut Engine, host: &Shared, main: &str) {
    engine.register_type_with_name::<Cluster>("cluster");
    engine.register_type_with_name::<Handle>("process");
    let main: Arc<str> = main.into();
    for function in all() {
        let extra = usize::from(function.receiver == Receiver::Cluster);
        let mut ways: Vec<Vec<TypeId>> = Vec::new();
        ways.extend(
            (*function.arity.start()..=function.arity.end() + extra).map(|count| vec![TypeId::of::<Dynamic>(); count]),
        );
        if function.name == "print" {
            ways.extend(printed_by_rhai().map(|kind| vec![kind]));
        }
        for types in ways {
            let (host, main) = (host.clone(), main.clone());
            engine.register_raw_fn(function.name, types, move |context, args| {
                call(function, &context, &host, &main, args)
            });
        }
    }
    register_values(engine);
    commands::register_fields(engine, host);
    load::register_fields(engine, host);
    traffic::register_fields(engine, host);
    super::closures::refuse_outside(engine);
}

/// Registers objects and errors, and takes away what no script may use.
pub(super) fn register_values(engine: &mut Engine) {
    engine.register_type_with_name::<Object>("object");
    engine.register_type_with_name::<Problem>("error");
    objects::register_fields(engine);
    register_problem(engine);
    forbid(engine);
}

/// Types Rhai has a `print` of its own for, which an exact match would prefer to ours.
pub(super) fn printed_by_rhai() -> impl Iterator<Item = TypeId> {
    [
        TypeId::of::<ImmutableString>(),
        TypeId::of::<i64>(),
        TypeId::of::<f64>(),
        TypeId::of::<bool>(),
        TypeId::of::<char>(),
        TypeId::of::<()>(),
        TypeId::of::<Array>(),
        TypeId::of::<Map>(),
        TypeId::of::<FnPtr>(),
    ]
    .into_iter()
}

fn call(
    function: &'static Function,
    context: &NativeCallContext<'_>,
    host: &Shared,
    main: &str,
    args: &mut [&mut Dynamic],
) -> Fallible<Dynamic> {
    let on_cluster = function.receiver == Receiver::Cluster && args.first().is_some_and(|first| first.is::<Cluster>());
    let args: Vec<Dynamic> = args.iter().skip(usize::from(on_cluster)).map(|arg| arg.flatten_clone()).collect();
    if !function.arity.contains(&args.len()) {
        return Err(wrong_count(function).into());
    }
    (function.run)(&Call { context, host, function, main, args })
}

fn wrong_count(function: &Function) -> Problem {
    let ways: Vec<String> = function.signatures.iter().map(|signature| format!("`{signature}`")).collect();
    Problem::new(format!("`{}` is called with the wrong number of arguments", function.name))
        .hint(format!("write {}", ways.join(" or ")))
}

impl Call<'_> {
    /// Where the script calls.
    pub fn place(&self) -> Place {
        Place::new(self.context.call_source().unwrap_or(self.main), self.context.call_position())
    }

    pub fn arg(&self, index: usize) -> Fallible<&Dynamic> {
        self.args.get(index).ok_or_else(|| wrong_count(self.function).into())
    }

    /// The argument as text; `what` names it in the error.
    pub fn text(&self, index: usize, what: &str) -> Fallible<ImmutableString> {
        let arg = self.arg(index)?;
        arg.clone().into_immutable_string().map_err(|_| self.wrong(what, "text", arg).into())
    }

    /// The argument as a duration.
    pub fn duration(&self, index: usize) -> Fallible<Nanos> {
        let arg = self.arg(index)?;
        if let Some(number) = arg.as_int().ok().map(|n| n.to_string()).or(arg.as_float().ok().map(|n| n.to_string())) {
            let problem = Problem::new(format!("`{}` wants a duration, not the number {number}", self.function.name));
            return Err(problem.hint(format!("a duration is text with a unit: \"{number}s\" for seconds")).into());
        }
        let text =
            arg.clone().into_immutable_string().map_err(|_| self.wrong("duration", "text such as \"15s\"", arg))?;
        duration::parse(&text).map_err(|problem| Problem::new(problem).into())
    }

    /// The argument as a closure.
    pub fn closure(&self, index: usize) -> Fallible<FnPtr> {
        let arg = self.arg(index)?;
        arg.clone().try_cast::<FnPtr>().ok_or_else(|| {
            let problem = self.wrong("action", "a closure", arg);
            problem.hint("put two bars before it, so that it runs later and again: || pods().len() == 5").into()
        })
    }

    /// The problem of an argument of the wrong type.
    pub fn wrong(&self, what: &str, wanted: &str, found: &Dynamic) -> Problem {
        let found = readable_type(found.type_name());
        let ways: Vec<String> = self.function.signatures.iter().map(|signature| format!("`{signature}`")).collect();
        Problem::new(format!("the {what} given to `{}` must be {wanted}, not {found}", self.function.name))
            .hint(format!("write {}", ways.join(" or ")))
    }
}

/// What a script sees of an error it catches.
fn register_problem(engine: &mut Engine) {
    engine.register_fn("to_string", |problem: &mut Problem| problem.message.clone());
    engine.register_fn("to_debug", |problem: &mut Problem| problem.message.clone());
    engine.register_get("message", |problem: &mut Problem| problem.message.clone());
    engine.register_get("hint", |problem: &mut Problem| problem.hint.clone().unwrap_or_default());
}

/// Takes away what reads the machine or differs between machines.
fn forbid(engine: &mut Engine) {
    type Never = Fallible<Dynamic>;
    fn no_sleep() -> Box<EvalAltResult> {
        Problem::new("scripts do not sleep").hint("let virtual time pass with run_for(\"5s\")").into()
    }
    fn no_maths(name: &str) -> Box<EvalAltResult> {
        Problem::new(format!("`{name}` is not available to scripts")).hint("its result differs between machines").into()
    }
    engine.register_fn("sleep", |_: i64| -> Never { Err(no_sleep()) });
    engine.register_fn("sleep", |_: f64| -> Never { Err(no_sleep()) });
    const ONE: [&str; 15] = [
        "sin", "cos", "tan", "sinh", "cosh", "tanh", "asin", "acos", "atan", "asinh", "acosh", "atanh", "exp", "ln",
        "log",
    ];
    for name in ONE {
        engine.register_fn(name, move |_: f64| -> Never { Err(no_maths(name)) });
    }
    for name in ["atan", "hypot", "log"] {
        engine.register_fn(name, move |_: f64, _: f64| -> Never { Err(no_maths(name)) });
    }
    engine.disable_symbol("**");
    engine.disable_symbol("**=");
    engine.disable_symbol("eval");
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_function_is_documented() {
        let mut names = BTreeSet::new();
        for function in all() {
            let name = function.name;
            assert!(names.insert(name), "{name} is in two tables");
            assert!(!function.signatures.is_empty() && !function.summary.is_empty(), "{name} says nothing");
            assert!(
                function.summary.ends_with('.') || function.summary.ends_with("```"),
                "{name}: {}",
                function.summary
            );
            assert!(function.example.contains(name), "{name}: the example does not show it");
            for signature in function.signatures {
                assert!(signature.contains(&format!("{name}(")), "{name}: {signature}");
                let inside = signature.split_once('(').map_or("", |(_, rest)| rest.trim_end_matches(')'));
                let count = inside.split(',').filter(|part| !part.trim().is_empty()).count();
                let receiver = usize::from(signature.split_once('(').is_some_and(|(head, _)| head.contains('.')));
                assert!(function.arity.contains(&(count + receiver)), "{name}: {signature} has {count} arguments");
            }
        }
    }

    #[test]
    fn every_example_is_a_script() {
        let mut engine = Engine::new();
        engine.set_strict_variables(false);
        for function in all() {
            engine.compile(function.example).unwrap_or_else(|error| panic!("{}: {error}", function.name));
        }
    }
}
