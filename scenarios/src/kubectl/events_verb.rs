//! `kubectl events`.
//!
//! Models: kubernetes v1.36.2 staging/src/k8s.io/kubectl/pkg/cmd/events/{events,event_printer}.go.

use serde_json::{Value, json};

use super::builder::{self, CHUNK, targets};
use super::describe::events::interval;
use super::duration::parse_time;
use super::errors::Failure;
use super::flags::{Args, Flag, Takes};
use super::get::output::Format;
use super::go_sort;
use super::json::{namespace, present, text};
use super::resources::Resource;
use super::session::{Session, Step, WatchStep};
use super::tabwriter::Columns;
use super::{ApiCall, ApiVerb};

pub(crate) const FLAGS: &[Flag] = &[
    ("watch", 'w', Takes::Bool),
    ("all-namespaces", 'A', Takes::Bool),
    ("for", ' ', Takes::Text),
    ("types", ' ', Takes::List),
    ("no-headers", ' ', Takes::Bool),
    ("chunk-size", ' ', Takes::Int(64)),
    ("output", 'o', Takes::Text),
    ("template", ' ', Takes::Text),
    ("show-managed-fields", ' ', Takes::Bool),
];

pub(crate) fn events(session: &mut Session, args: &Args) -> Step<()> {
    let types = args.list("types");
    if types.iter().any(|kind| !kind.eq_ignore_ascii_case("Normal") && !kind.eq_ignore_ascii_case("Warning")) {
        return Err(Failure::message("valid --types are Normal or Warning").into());
    }
    let is_wanted =
        |event: &Value| types.is_empty() || types.iter().any(|kind| kind.eq_ignore_ascii_case(text(event, "/type")));
    let all = args.bool("all-namespaces");
    let place = session.globals.namespace().to_string();
    let call = ApiCall {
        field_selector: about(args, &session.discovered)?,
        limit: Some(CHUNK),
        ..Resource::EVENTS.call(ApiVerb::List, Some(place.as_str()).filter(|_| !all))
    };
    let mut columns = Columns::default();
    if args.bool("watch") {
        return watch(session, args, call, is_wanted, &mut columns);
    }
    let found = session.list(call)?;
    let mut found: Vec<Value> = builder::items(&Resource::EVENTS, &found).filter(|event| is_wanted(event)).collect();
    if found.is_empty() {
        let text = if all { "No events found.".into() } else { format!("No events found in {place} namespace.") };
        session.error_line(&text);
        return Ok(());
    }
    go_sort::sort(&mut found, |a, b| time(a) < time(b));
    if args.has("output") {
        let list = json!({"apiVersion": "v1", "items": found, "kind": "EventList", "metadata": {}});
        let text = Format::of(args.text("output"))?.print(&list, args.bool("show-managed-fields"))?;
        session.print(&text);
        return Ok(());
    }
    let mut rows = header(args);
    rows.extend(found.iter().map(|event| row(event, all, session.now)));
    let text = columns.lay_out(&rows);
    session.print(&text);
    Ok(())
}

/// The events of one object.
fn about(args: &Args, discovered: &[super::resources::Resource]) -> Result<Option<String>, Failure> {
    let Some(object) = args.given("for") else { return Ok(None) };
    if !object.contains('/') {
        return Err(Failure::message("--for must be in resource/name form"));
    }
    let targets = targets(&[object], discovered)?;
    let Some(target) = targets.first() else { return Ok(None) };
    let (kind, name) = (target.resource.kind, target.name.as_deref().unwrap_or(""));
    Ok(Some(format!("involvedObject.kind={kind},involvedObject.name={name}")))
}

fn time(event: &Value) -> Option<i64> {
    let time = match present(event, "/series") {
        true => text(event, "/series/lastObservedTime"),
        false if text(event, "/lastTimestamp").is_empty() => text(event, "/eventTime"),
        false => text(event, "/lastTimestamp"),
    };
    parse_time(time)
}

fn header(args: &Args) -> Vec<Vec<String>> {
    if args.bool("no-headers") {
        return Vec::new();
    }
    let place = args.bool("all-namespaces").then_some("NAMESPACE");
    let titles = place.into_iter().chain(["LAST SEEN", "TYPE", "REASON", "OBJECT", "MESSAGE"]);
    vec![titles.map(str::to_string).collect()]
}

fn row(event: &Value, with_namespace: bool, now: i64) -> Vec<String> {
    let mut row = Vec::new();
    if with_namespace {
        row.push(namespace(event).to_string());
    }
    let involved = format!("{}/{}", text(event, "/involvedObject/kind"), text(event, "/involvedObject/name"));
    row.extend([
        interval(event, now),
        text(event, "/type").into(),
        text(event, "/reason").into(),
        involved,
        text(event, "/message").trim().into(),
    ]);
    row
}

fn watch(
    session: &mut Session,
    args: &Args,
    call: ApiCall,
    is_wanted: impl Fn(&Value) -> bool,
    columns: &mut Columns,
) -> Step<()> {
    let stream = session.watch(ApiCall { limit: None, resource_version: Some("0".into()), ..call })?;
    let mut header = header(args);
    loop {
        match session.next_event(stream, None)? {
            WatchStep::Ended | WatchStep::TimedOut => return Ok(()),
            WatchStep::Event { kind: "ADDED" | "MODIFIED", object } if is_wanted(object) => {
                let mut rows = std::mem::take(&mut header);
                rows.push(row(object, args.bool("all-namespaces"), session.now));
                let text = columns.lay_out(&rows);
                session.print(&text);
            }
            WatchStep::Event { .. } => {}
        }
    }
}
