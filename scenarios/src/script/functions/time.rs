//! Virtual time: letting it pass, reading it, planning for it.

use super::super::drive::{Test, ask, pass_to, pass_until};
use super::super::duration;
use super::super::errors::{Fallible, Problem};
use super::super::host::{Plan, borrow};
use super::{Call, Function, Group, Receiver};
use crate::session::Nanos;
use rhai::{Dynamic, FnPtr};

pub(super) const FUNCTIONS: &[Function] = &[
    Function {
        name: "run_for",
        group: Group::Time,
        signatures: &["run_for(duration)"],
        summary: "Lets virtual time pass.",
        example: "run_for(\"15s\");",
        receiver: Receiver::Cluster,
        arity: 1..=1,
        run: run_for,
    },
    Function {
        name: "run_until",
        group: Group::Time,
        signatures: &["run_until(time)", "run_until(condition, timeout)"],
        summary: "Lets virtual time pass up to a time, counted from the start of the script, or until a condition \
            holds. With a condition it returns whether it came to hold within the timeout.",
        example: "run_until(\"1m\");\nlet settled = run_until(|| pods().all(|p| p.ready), \"30s\");",
        receiver: Receiver::Cluster,
        arity: 1..=2,
        run: run_until,
    },
    Function {
        name: "at",
        group: Group::Time,
        signatures: &["at(time, action)"],
        summary: "Plans an action: the closure runs at that virtual time, counted from the start of the script, while \
            the script waits in `run_for`, `wait`, `kubectl` or the like. If the action itself waits, the script waits \
            with it.",
        example: "at(\"10s\", || kubectl(\"delete pod web-0\"));\nrun_for(\"30s\");",
        receiver: Receiver::Cluster,
        arity: 2..=2,
        run: at,
    },
    Function {
        name: "now",
        group: Group::Time,
        signatures: &["now()"],
        summary: "Virtual time since the start of the script, as a duration such as \"1m2.5s\".",
        example: "print(`it is ${now()}`);",
        receiver: Receiver::Cluster,
        arity: 0..=0,
        run: now,
    },
    Function {
        name: "seconds",
        group: Group::Time,
        signatures: &["seconds()", "seconds(duration)"],
        summary: "Virtual time since the start of the script, or a duration, in seconds, for arithmetic.",
        example: "let before = seconds();\nkubectl(\"get pods\");\nprint(`that took ${seconds() - before} s`);",
        receiver: Receiver::Cluster,
        arity: 0..=1,
        run: seconds,
    },
];

fn run_for(call: &Call<'_>) -> Fallible<Dynamic> {
    if call.args.first().is_some_and(|arg| arg.is::<FnPtr>()) {
        let problem = Problem::new("`run_for` wants a duration, not a closure");
        return Err(problem.hint("to wait for a condition: run_until(|| …, \"30s\")").into());
    }
    let length = call.duration(0)?;
    let target = borrow(call.host).session()?.now().saturating_add(length);
    pass_to(call, target)?;
    Ok(Dynamic::UNIT)
}

fn run_until(call: &Call<'_>) -> Fallible<Dynamic> {
    let now = borrow(call.host).session()?.now();
    if call.args.first().is_some_and(|arg| arg.is::<FnPtr>()) {
        let condition = call.closure(0)?;
        if call.args.len() < 2 {
            return Err(Problem::new("`run_until` needs a timeout after the condition")
                .hint("run_until(|| …, \"30s\")")
                .into());
        }
        let deadline = now.saturating_add(call.duration(1)?);
        let held = pass_until(call, deadline, Test::OnChange, &mut || ask(call, &condition))?;
        return Ok(held.into());
    }
    if call.args.len() > 1 {
        call.closure(0)?;
    }
    let target = future(call, now)?;
    pass_to(call, target)?;
    Ok(Dynamic::UNIT)
}

fn at(call: &Call<'_>) -> Fallible<Dynamic> {
    let now = borrow(call.host).session()?.now();
    let time = future(call, now)?;
    let closure = call.closure(1)?;
    borrow(call.host).plan(time, Plan::At { closure, given_at: call.place() });
    Ok(Dynamic::UNIT)
}

fn now(call: &Call<'_>) -> Fallible<Dynamic> {
    Ok(duration::text(borrow(call.host).session()?.now()).into())
}

fn seconds(call: &Call<'_>) -> Fallible<Dynamic> {
    let nanoseconds = if call.args.is_empty() { borrow(call.host).session()?.now() } else { call.duration(0)? };
    Ok((nanoseconds as f64 / 1e9).into())
}

/// The first argument as a time that has not passed.
fn future(call: &Call<'_>, now: Nanos) -> Fallible<Nanos> {
    let time = call.duration(0)?;
    if time < now {
        let name = call.function.name;
        let text = format!("`{name}` is given {}, but it is {} already", duration::text(time), duration::text(now));
        let hint = "times count from the start of the script; to let a length of time pass, use run_for(…)";
        return Err(Problem::new(text).hint(hint).into());
    }
    Ok(time)
}
