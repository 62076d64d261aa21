//! Text of the author's in the transcript and on the timeline.

use super::super::errors::Fallible;
use super::super::host::borrow;
use super::super::words::{dedent, one_line};
use super::{Call, Function, Group, Receiver};
use crate::transcript::Kind;
use rhai::{Dynamic, ImmutableString};

pub(super) const FUNCTIONS: &[Function] = &[
    Function {
        name: "mark",
        group: Group::Prose,
        signatures: &["mark(text)"],
        summary: "Sets a mark: a heading in the transcript, a line across the timeline.",
        example: "mark(\"scale up\");",
        receiver: Receiver::Cluster,
        arity: 1..=1,
        run: mark,
    },
    Function {
        name: "note",
        group: Group::Prose,
        signatures: &["note(text)"],
        summary: "Prose for the reader, one line or many. Indentation that all lines share is taken away.",
        example: "note(`\n    The Deployment is stored. Nobody has a pod yet:\n    the controller has not seen \
            it.\n`);",
        receiver: Receiver::Cluster,
        arity: 1..=1,
        run: note,
    },
    Function {
        name: "print",
        group: Group::Prose,
        signatures: &["print(value)"],
        summary: "Prints a value into the transcript.",
        example: "print(pods().len());",
        receiver: Receiver::None,
        arity: 1..=1,
        run: print,
    },
];

fn mark(call: &Call<'_>) -> Fallible<Dynamic> {
    let text = call.text(0, "text")?;
    let mut host = borrow(call.host);
    host.session()?.mark(&text);
    host.say(Kind::Mark, &format!("── {} ──", one_line(&text)))?;
    Ok(Dynamic::UNIT)
}

fn note(call: &Call<'_>) -> Fallible<Dynamic> {
    let text = dedent(&call.text(0, "text")?);
    let text = text.trim_end_matches('\n');
    let mut host = borrow(call.host);
    if let Some(session) = host.session.as_mut() {
        session.note(text);
    }
    host.say(Kind::Note, text)?;
    Ok(Dynamic::UNIT)
}

fn print(call: &Call<'_>) -> Fallible<Dynamic> {
    let value = call.arg(0)?;
    // Objects of the cluster have a text only inside the engine.
    let text = match call.context.call_native_fn::<ImmutableString>("to_string", (value.clone(),)) {
        Ok(text) => text,
        Err(_) => value.to_string().into(),
    };
    borrow(call.host).say(Kind::Output, text.trim_end_matches('\n'))?;
    // Rhai hands the result of `print` to its own printer, which is off, and insists on text.
    Ok("".into())
}
