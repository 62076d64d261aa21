//! How virtual time passes while a script waits: the world runs, output is shown, closures run at their time.
//!
//! All events of one instant are handled before anything looks at the result: what a script sees does not hang on their
//! order. Closures given to `at` run when every event of their instant has been handled.

use super::chaos::ChaosFault;
use super::errors::{Fallible, Problem};
use super::functions::Call;
use super::host::{Plan, borrow};
use crate::session::{Exit, Nanos, ProcessId};
use crate::transcript::Kind;
use rhai::{Dynamic, FnPtr};
use wavetank_engine::FaultId;

/// How often a wait's end is tested.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Test {
    /// After every instant: cheap tests.
    Always,
    /// When an object changed, something was printed or a closure ran, and once a virtual second.
    OnChange,
}

/// A second of virtual time. [ns]
const SECOND: Nanos = 1_000_000_000;
/// Scheduled closures that may wait inside one another.
const MAX_NESTED: usize = 24;

/// Lets virtual time pass until `target`.
pub(super) fn pass_to(call: &Call<'_>, target: Nanos) -> Fallible<()> {
    loop {
        let stop = {
            let mut host = borrow(call.host);
            let until = host.options.until;
            let next = host.schedule.first_key_value().map_or(Nanos::MAX, |((at, _), _)| *at);
            let now = host.session()?.now();
            let stop = target.min(until).min(next).min(now.saturating_add(SECOND)).max(now);
            host.session()?.run_until(stop);
            host.collect()?;
            stop
        };
        run_due(call)?;
        let host = borrow(call.host);
        if host.now() >= target {
            return Ok(());
        }
        if stop >= host.options.until {
            return Err(host.at_horizon().fatal());
        }
    }
}

/// Lets virtual time pass until the condition holds, at most until `deadline`; says whether it held.
pub(super) fn pass_until(
    call: &Call<'_>,
    deadline: Nanos,
    test: Test,
    condition: &mut dyn FnMut() -> Fallible<bool>,
) -> Fallible<bool> {
    if condition()? {
        return Ok(true);
    }
    let mut tested = borrow(call.host).session()?.object_version();
    let mut next_second = borrow(call.host).now().saturating_add(SECOND);
    loop {
        let (mut changed, now) = one_instant(call, deadline.min(next_second))?;
        changed |= run_due(call)?;
        let version = borrow(call.host).session()?.object_version();
        changed |= version != tested || now >= next_second || now >= deadline;
        if (changed || test == Test::Always) && condition()? {
            return Ok(true);
        }
        // The condition may itself have let time pass.
        let host = borrow(call.host);
        let now = host.now();
        if now >= deadline {
            return Ok(false);
        }
        if now >= host.options.until {
            return Err(host.at_horizon().fatal());
        }
        tested = version;
        if now >= next_second {
            next_second = now.saturating_add(SECOND);
        }
    }
}

/// Handles the events of the next instant, at most up to `limit`; says whether something was printed, and the time
/// then.
fn one_instant(call: &Call<'_>, limit: Nanos) -> Fallible<(bool, Nanos)> {
    let mut host = borrow(call.host);
    let next = host.schedule.first_key_value().map_or(Nanos::MAX, |((at, _), _)| *at);
    let limit = limit.min(next).min(host.options.until);
    let session = host.session()?;
    match session.next_at() {
        Some(at) if at <= limit => while session.next_at() == Some(at) && session.step() {},
        _ => session.run_until(limit.max(session.now())),
    }
    let printed = host.collect()?;
    Ok((printed, host.now()))
}

/// Runs the closures whose time has come.
fn run_due(call: &Call<'_>) -> Fallible<bool> {
    let mut ran = false;
    loop {
        let due = {
            let mut host = borrow(call.host);
            let now = host.now();
            let Some(entry) = host.schedule.first_entry().filter(|entry| entry.key().0 <= now) else { return Ok(ran) };
            entry.remove()
        };
        match due {
            Plan::At { closure, .. } => drop(scoped(call, &closure, false)?),
            Plan::During { closure, until, .. } => begin_for(call, &closure, until)?,
            Plan::End(faults) => end(call, &faults)?,
            Plan::Chaos(fault) => strike(call, &fault)?,
        }
        ran = true;
    }
}

/// Runs a closure now whose faults are over at a time.
pub(super) fn begin_for(call: &Call<'_>, closure: &FnPtr, until: Nanos) -> Fallible<()> {
    let faults = scoped(call, closure, true)?;
    if faults.is_empty() {
        return Err(Problem::new("the closure given to `during` begins no fault")
            .hint("let it break something: during(\"30s\", \"2m\", || crash(\"etcd-0\")); for anything else there is at(…)")
            .into());
    }
    borrow(call.host).plan(until, Plan::End(faults));
    Ok(())
}

/// Runs a closure; the answer are the faults that belong to it, if it is to own any.
fn scoped(call: &Call<'_>, closure: &FnPtr, owns: bool) -> Fallible<Vec<FaultId>> {
    {
        let mut host = borrow(call.host);
        if host.nested >= MAX_NESTED {
            let text = format!("{MAX_NESTED} closures given to at(…) or during(…) are waiting one inside the other");
            return Err(Problem::new(text).hint("let them do their work without waiting").fatal());
        }
        host.session()?.open_scope(owns);
        host.nested += 1;
    }
    let result = closure.call_within_context::<Dynamic>(call.context, ());
    let mut host = borrow(call.host);
    host.nested -= 1;
    let faults = host.session()?.close_scope();
    let _ = result?;
    Ok(faults)
}

/// Faults are over.
fn end(call: &Call<'_>, faults: &[FaultId]) -> Fallible<()> {
    let mut host = borrow(call.host);
    for name in host.session()?.end_faults(faults) {
        host.say(Kind::Fault, &format!("↯ over: {name}"))?;
    }
    Ok(())
}

/// Chance breaks something, until it is over.
fn strike(call: &Call<'_>, fault: &ChaosFault) -> Fallible<()> {
    let mut host = borrow(call.host);
    let session = host.session()?;
    session.open_scope(true);
    let said = fault.begin(session);
    let faults = session.close_scope();
    let said = said.map_err(|text| Problem::with_lines(&text))?;
    host.plan(fault.until, Plan::End(faults));
    host.say(Kind::Fault, &format!("↯ {said}"))
}

/// Lets virtual time pass until a process ends, at most until `deadline`; then it has no exit.
pub(super) fn pass_until_exit(call: &Call<'_>, process: ProcessId, deadline: Nanos) -> Fallible<Option<Exit>> {
    pass_until(call, deadline, Test::Always, &mut || Ok(poll(call, process)?.is_some()))?;
    let exit = poll(call, process)?;
    if exit.is_some() {
        borrow(call.host).flush(process)?;
    }
    Ok(exit)
}

/// How a process ended, if it has.
pub(super) fn poll(call: &Call<'_>, process: ProcessId) -> Fallible<Option<Exit>> {
    let mut host = borrow(call.host);
    let known = host.processes.get(&process).and_then(|known| known.exit.clone());
    if known.is_some() {
        return Ok(known);
    }
    let exit = host.session()?.poll(process);
    if let Some(exit) = &exit {
        host.processes.entry(process).or_default().exit = Some(exit.clone());
    }
    Ok(exit)
}

/// Asks a script's closure whether its condition holds.
pub(super) fn ask(call: &Call<'_>, closure: &FnPtr) -> Fallible<bool> {
    let answer = closure.call_within_context::<Dynamic>(call.context, ())?;
    let kind = super::errors::readable_type(answer.type_name());
    answer.as_bool().map_err(|_| {
        Problem::new(format!("the condition of `{}` must give true or false, not {kind}", call.function.name))
            .hint("write it as a closure that ends in a comparison: || pods().len() == 5")
            .into()
    })
}
