//! `kubectl get --watch`.
//!
//! Prints what is there, then a row for every change until the server ends the watch, the request times out, or
//! somebody stops kubectl.
//! Models: kubernetes v1.36.2 staging/src/k8s.io/kubectl/pkg/cmd/get/get.go (`watch`).

use serde_json::Value;

use super::super::builder::{Selection, list_call};
use super::super::errors::Failure;
use super::super::flags::Args;
use super::super::json::{name, text};
use super::super::session::{Session, Step, WatchStep};
use super::super::{ApiCall, ApiVerb, Loop};
use super::output::Format;
use super::table::{Options, Table};
use super::{Found, fetch};

/// Where `get --watch` stands.
#[derive(Clone, Debug)]
pub struct GetWatch {
    table: Table,
    stream: usize,
    /// A watch of one object begins with the object as it is, which has been printed already.
    skip_next: bool,
    deadline: Option<i64>,
}

pub(crate) fn watch(session: &mut Session, args: &Args) -> Step<()> {
    if let Some(Loop::Get(state)) = session.resumed() {
        return follow(session, args, state.clone());
    }
    let (found, failures, _) = fetch(session, args)?;
    Failure::collect(failures)?;
    let [found] = found.as_slice() else {
        let text = format!(
            "watch is only supported on individual resources and resource collections - {} resources were found",
            found.len()
        );
        return Err(Failure::Message(text).into());
    };
    let mut table = Table::new(&found.resource, Options::of(args, args.bool("show-kind")));
    if !args.bool("watch-only") {
        let objects: Vec<&Value> = found.objects.iter().collect();
        print(session, args, &mut table, &objects, "ADDED")?;
    }
    let stream = open(session, args, found)?;
    let timeout = session.globals.request_timeout.and_then(|t| i64::try_from(t).ok());
    let deadline = timeout.map(|t| session.now.saturating_add(t));
    let skip_next = found.list_version.is_none();
    follow(session, args, GetWatch { table, stream, skip_next, deadline })
}

fn open(session: &mut Session, args: &Args, found: &Found) -> Step<usize> {
    let mut call = ApiCall {
        verb: ApiVerb::Watch,
        limit: None,
        resource_version: Some(found.list_version.clone().unwrap_or_else(|| "0".into())),
        ..list_call(session, &found.resource, &Selection::of(args))
    };
    if let (None, Some(object)) = (&found.list_version, found.objects.first()) {
        call.field_selector = Some(format!("metadata.name={}", name(object)));
    }
    session.watch(call)
}

fn follow(session: &mut Session, args: &Args, mut state: GetWatch) -> Step<()> {
    loop {
        session.checkpoint(|| Loop::Get(state.clone()));
        match session.next_event(state.stream, state.deadline)? {
            WatchStep::Ended | WatchStep::TimedOut => return Ok(()),
            WatchStep::Event { kind, object } => match kind {
                "BOOKMARK" => {}
                "ERROR" => {
                    let status = text(object, "/message");
                    return Err(
                        Failure::message(format!("unable to decode an event from the watch stream: {status}")).into()
                    );
                }
                _ if std::mem::take(&mut state.skip_next) => {}
                kind => print(session, args, &mut state.table, &[object], kind)?,
            },
        }
    }
}

fn print(session: &mut Session, args: &Args, table: &mut Table, objects: &[&Value], event: &str) -> Step<()> {
    let text = match Format::of_get(args.text("output"))? {
        None => table.print(objects, Some(event), session.now),
        Some(format) => {
            let mut text = String::new();
            for object in objects {
                text.push_str(&format.print(object, args.bool("show-managed-fields"))?);
            }
            text
        }
    };
    session.print(&text);
    Ok(())
}
