//! Expectations: what the author says must hold. A failed one is recorded, and the script goes on.

use super::super::drive::{Test, ask, pass_until};
use super::super::duration;
use super::super::errors::{Fallible, Problem};
use super::super::host::{FailedCheck, borrow};
use super::super::words::one_line;
use super::{Call, Function, Group, Receiver};
use crate::transcript::Kind;
use rhai::Dynamic;

pub(super) const FUNCTIONS: &[Function] = &[
    Function {
        name: "expect",
        group: Group::Checks,
        signatures: &["expect(condition, message)"],
        summary: "States what must hold now; the message says it in words. If it does not hold, the script goes on, \
            and the run ends with exit code 1. Returns whether it held.",
        example: "expect(pods().filter(|p| p.ready).len() == 5, \"all five replicas are ready\");",
        receiver: Receiver::Cluster,
        arity: 2..=2,
        run: expect,
    },
    Function {
        name: "expect_within",
        group: Group::Checks,
        signatures: &["expect_within(timeout, condition, message)"],
        summary: "States what must come to hold within a time, and lets virtual time pass until it does. The condition \
            is a closure; it is tested whenever an object changes. Returns whether it held.",
        example: "expect_within(\"30s\", || pods().all(|p| p.ready), \"every pod is ready\");",
        receiver: Receiver::Cluster,
        arity: 3..=3,
        run: expect_within,
    },
];

fn expect(call: &Call<'_>) -> Fallible<Dynamic> {
    let message = call.text(1, "message")?;
    let condition = call.arg(0)?;
    let Ok(held) = condition.as_bool() else {
        let problem = call.wrong("condition", "true or false", condition);
        return Err(match condition.is_fnptr() {
            true => problem.hint("to wait for a condition: expect_within(\"30s\", || …, \"message\")"),
            false => problem,
        }
        .into());
    };
    record(call, held, &one_line(&message), "")
}

fn expect_within(call: &Call<'_>) -> Fallible<Dynamic> {
    let timeout = call.duration(0)?;
    let message = one_line(&call.text(2, "message")?);
    let condition = match call.arg(1)? {
        given if given.is_bool() => {
            let problem = Problem::new(
                "the condition given to `expect_within` has its value already, so waiting cannot change it",
            );
            return Err(problem
                .hint("put two bars before it, so that it is asked again and again: || pods().len() == 5")
                .into());
        }
        _ => call.closure(1)?,
    };
    let began = borrow(call.host).session()?.now();
    let held = pass_until(call, began.saturating_add(timeout), Test::OnChange, &mut || ask(call, &condition))?;
    let took = borrow(call.host).now().saturating_sub(began);
    let remark = match held {
        true => format!(" (after {})", duration::text(took / 1_000_000 * 1_000_000)),
        false => format!(" (not within {})", duration::text(timeout)),
    };
    record(call, held, &message, &remark)
}

fn record(call: &Call<'_>, held: bool, message: &str, remark: &str) -> Fallible<Dynamic> {
    let place = call.place();
    let mut host = borrow(call.host);
    let at = host.now();
    match held {
        true => {
            host.checks.passed += 1;
            host.say(Kind::Passed, &format!("✓ {message}{remark}"))?;
        }
        false => {
            host.say(Kind::Failed, &format!("✗ {message}{remark}   {}:{}", place.file, place.line))?;
            host.checks.failed.push(FailedCheck { at, message: format!("{message}{remark}"), place });
        }
    }
    Ok(held.into())
}
