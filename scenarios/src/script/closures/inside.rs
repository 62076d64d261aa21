//! What a reconcile may call: a table, from which registration and reference come, as for the script's own functions.
//!
//! Everything else that a script may call is refused inside, with a word on what to do instead: a reconcile acts through the API
//! server, and time passes for it only while it waits for an answer.

use std::any::TypeId;
use std::ops::RangeInclusive;

use rhai::{Array, Dynamic, Engine, ImmutableString};
use serde_json::Value;
use wavetank_engine::apiserver::request::{Answer, Subresource, Verb};
use wavetank_engine::client::connection::Call;
use wavetank_engine::client::routine::Outcome;
use wavetank_engine::kernel::{Duration, Instant};
use wavetank_engine::objects::EventType;
use wavetank_engine::objects::json::EPOCH_NS;
use wavetank_engine::objects::{calendar, json};
use wavetank_engine::scripted::{Again, Reconcile, Said};

use super::super::convert::to_script;
use super::super::duration;
use super::super::errors::{Fallible, Problem};
use super::super::functions;
use super::super::imports::lock;
use super::super::object::Object;
use super::run::{ApiError, Run};
use super::{Slot, values};

/// The API server in a reconcile's hand.
#[derive(Clone, Copy, Debug)]
pub(in crate::script) struct Api;

/// The controller's caches in a reconcile's hand.
#[derive(Clone, Copy, Debug)]
pub(in crate::script) struct Cache;

/// On what a function is called.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::script) enum On {
    /// `api`.
    Api,
    /// `cache`.
    Cache,
    /// Nothing.
    Nothing,
}

/// A function that exists inside.
pub(in crate::script) struct Inside {
    pub name: &'static str,
    on: On,
    pub signature: &'static str,
    pub summary: &'static str,
    arity: RangeInclusive<usize>,
    run: fn(&mut Run, &[Dynamic], Instant) -> Fallible<Dynamic>,
}

const fn inside(
    on: On,
    name: &'static str,
    signature: &'static str,
    arity: RangeInclusive<usize>,
    run: fn(&mut Run, &[Dynamic], Instant) -> Fallible<Dynamic>,
    summary: &'static str,
) -> Inside {
    Inside { name, on, signature, summary, arity, run }
}

/// Every function, in the order of the reference.
pub(in crate::script) const TABLE: &[Inside] = &[
    inside(
        On::Cache,
        "get",
        "cache.get(kind, key)",
        2..=2,
        cache_get,
        "the object as the cache knows it, perhaps out of date; `()` if there is none",
    ),
    inside(
        On::Cache,
        "list",
        "cache.list(kind, selection)",
        1..=2,
        cache_list,
        "the objects in the cache, of all namespaces; `selection`, which can be left out, is a namespace or a map such as `#{ namespace: \"shop\", labels: \"app=web\" }`",
    ),
    inside(
        On::Api,
        "get",
        "api.get(kind, key)",
        2..=2,
        api_get,
        "the object as the API server knows it now; `()` if there is none",
    ),
    inside(
        On::Api,
        "list",
        "api.list(kind, selection)",
        1..=2,
        api_list,
        "the same of many; the selection may have `fields`, too",
    ),
    inside(
        On::Api,
        "create",
        "api.create(object)",
        1..=1,
        api_create,
        "creates an object, given as a map like a manifest; returns what is stored",
    ),
    inside(
        On::Api,
        "update",
        "api.update(object)",
        1..=1,
        api_update,
        "replaces an object; with its `resourceVersion`, as read, only if nobody else has written it since",
    ),
    inside(On::Api, "update_status", "api.update_status(object)", 1..=1, api_update_status, "the same of its status"),
    inside(
        On::Api,
        "patch",
        "api.patch(kind, key, patch, options)",
        3..=4,
        api_patch,
        "changes parts: a map is a merge patch, an array a JSON patch; options are `type` (`\"strategic\"`) and `subresource` (`\"status\"`)",
    ),
    inside(
        On::Api,
        "delete",
        "api.delete(kind, key, options)",
        2..=3,
        api_delete,
        "deletes; options are `grace` (seconds), `propagation`, `uid`, `resource_version`",
    ),
    inside(
        On::Api,
        "event",
        "api.event(object, type, reason, message)",
        3..=4,
        api_event,
        "tells people something with an Event; `type`, which can be left out, is `\"Normal\"` or `\"Warning\"`",
    ),
    inside(
        On::Nothing,
        "requeue_after",
        "requeue_after(duration)",
        1..=1,
        requeue_after,
        "the key comes again after that long (`\"10s\"`, or a number of seconds) if the reconcile ends well: `return requeue_after(\"10s\")`",
    ),
    inside(
        On::Nothing,
        "requeue",
        "requeue()",
        0..=0,
        requeue,
        "the key comes again with back-off, as after a failure",
    ),
    inside(
        On::Nothing,
        "log",
        "log(text)",
        1..=1,
        print,
        "a line in the transcript and in the trace, as `print` writes it; once, however often the function is run over its answers",
    ),
    inside(On::Nothing, "print", "print(value)", 1..=1, print, "the same"),
    inside(On::Nothing, "now", "now()", 0..=0, now, "virtual time: when the reconcile began, or the last answer came"),
    inside(
        On::Nothing,
        "seconds",
        "seconds()",
        0..=1,
        seconds,
        "the same in seconds; with a duration, that in seconds",
    ),
    inside(
        On::Nothing,
        "timestamp",
        "timestamp()",
        0..=0,
        timestamp,
        "the same as the API writes it: `\"2026-01-01T00:01:00Z\"`",
    ),
    inside(
        On::Nothing,
        "age",
        "age(object)",
        1..=1,
        age,
        "seconds since its `creationTimestamp`; or since a timestamp given as text",
    ),
    inside(
        On::Nothing,
        "owner_reference",
        "owner_reference(object)",
        1..=1,
        owner_reference,
        "an entry for `metadata.ownerReferences` that makes the object the controller of another",
    ),
];

/// The names of the functions that are called on nothing.
pub(in crate::script) fn alone() -> impl Iterator<Item = &'static str> {
    TABLE.iter().filter(|function| function.on == On::Nothing).map(|function| function.name)
}

/// Whether `api` or `cache` has a function of this name.
pub(in crate::script) fn is_method(name: &str) -> bool {
    TABLE.iter().any(|function| function.on != On::Nothing && function.name == name)
}

/// What a key is called in a script: `default/web`, `worker-1`.
pub(super) fn key_text(reconcile: &Reconcile<'_>) -> String {
    reconcile.key.to_string()
}

/// Registers what a reconcile may call, and refuses the rest.
pub(super) fn register(engine: &mut Engine, slot: &Slot, zero: Instant) {
    engine.register_type_with_name::<Api>("api");
    engine.register_type_with_name::<Cache>("cache");
    engine.register_type_with_name::<ApiError>("error");
    functions::register_values(engine);
    register_key(engine, slot);
    register_error(engine);
    for function in TABLE {
        let receiver = match function.on {
            On::Api => Some(TypeId::of::<Api>()),
            On::Cache => Some(TypeId::of::<Cache>()),
            On::Nothing => None,
        };
        let mut ways: Vec<Vec<TypeId>> =
            (0..=6).map(|count| receiver.into_iter().chain(vec![TypeId::of::<Dynamic>(); count]).collect()).collect();
        if function.name == "print" {
            ways.extend(functions::printed_by_rhai().map(|kind| vec![kind]));
        }
        for types in ways {
            let slot = slot.clone();
            engine.register_raw_fn(function.name, types, move |context, args| {
                let args: Vec<Dynamic> =
                    args.iter().skip(usize::from(receiver.is_some())).map(|arg| arg.flatten_clone()).collect();
                if !function.arity.contains(&args.len()) {
                    return Err(Problem::new(format!(
                        "`{}` is called with the wrong number of arguments",
                        function.name
                    ))
                    .hint(format!("write `{}`", function.signature))
                    .into());
                }
                // Objects of the cluster have a text only inside the engine.
                let args = match function.name {
                    "print" | "log" => args
                        .iter()
                        .map(|value| match context.call_native_fn::<ImmutableString>("to_string", (value.clone(),)) {
                            Ok(text) => text.into(),
                            Err(_) => Dynamic::from(value.to_string()),
                        })
                        .collect(),
                    _ => args,
                };
                match &mut *lock(&slot) {
                    Some(run) => (function.run)(run, &args, zero),
                    None => Ok(Dynamic::UNIT),
                }
            });
        }
    }
    let known = |name: &str| TABLE.iter().any(|function| function.on == On::Nothing && function.name == name);
    for function in functions::all().filter(|function| !known(function.name)) {
        for count in 0..=6 {
            engine.register_raw_fn(function.name, vec![TypeId::of::<Dynamic>(); count], move |_, _| -> Fallible<Dynamic> {
                Err(Problem::new(format!("`{}` cannot be called from inside: the cluster runs this function", function.name))
                    .hint(
                        "a controller reads with cache.get(…) and cache.list(…), acts with api.create(…), api.update(…), \
                         api.delete(…), and waits with requeue_after(\"10s\")",
                    )
                    .into())
            });
        }
    }
}

/// What only exists inside is refused outside.
pub(super) fn refuse_outside(engine: &mut Engine, outside: Vec<&'static str>) {
    for function in TABLE.iter().filter(|one| one.on == On::Nothing && !outside.contains(&one.name)) {
        for count in 0..=2 {
            engine.register_raw_fn(
                function.name,
                vec![TypeId::of::<Dynamic>(); count],
                move |_, _| -> Fallible<Dynamic> {
                    Err(Problem::new(format!("`{}` belongs inside a reconcile", function.name))
                        .hint("it is called in the closure given to controller(…)")
                        .into())
                },
            );
        }
    }
}

/// `key.name`, `key.namespace` and `key.kind`.
fn register_key(engine: &mut Engine, slot: &Slot) {
    engine.register_get("name", |key: &mut ImmutableString| -> ImmutableString {
        key.rsplit('/').next().unwrap_or_default().into()
    });
    engine.register_get("namespace", |key: &mut ImmutableString| -> ImmutableString {
        key.rsplit_once('/').map_or("", |(namespace, _)| namespace).into()
    });
    let slot = slot.clone();
    engine.register_get("kind", move |_: &mut ImmutableString| -> ImmutableString {
        lock(&slot).as_ref().map_or("", |run| run.kind.plural()).into()
    });
}

/// `e.code`, `e.reason`, `e.message`.
fn register_error(engine: &mut Engine) {
    engine.register_get("code", |error: &mut ApiError| i64::from(error.0.code));
    engine.register_get("reason", |error: &mut ApiError| error.0.reason.to_string());
    engine.register_get("message", |error: &mut ApiError| error.0.message.to_string());
    engine.register_fn("to_string", |error: &mut ApiError| error.0.message.to_string());
    engine.register_fn("to_debug", |error: &mut ApiError| error.0.message.to_string());
}

fn arg(args: &[Dynamic], place: usize) -> &Dynamic {
    const NOTHING: &Dynamic = &Dynamic::UNIT;
    args.get(place).unwrap_or(NOTHING)
}

fn cache_get(run: &mut Run, args: &[Dynamic], _: Instant) -> Fallible<Dynamic> {
    let kind = values::kind(arg(args, 0), &run.kinds())?;
    let key = values::key(arg(args, 1), kind, &run.key)?;
    let found = run.read(kind, |store| store.get(&key).cloned().into_iter().collect())?;
    Ok(found.first().map_or(Dynamic::UNIT, |object| Dynamic::from(Object::stored(object.clone()))))
}

fn cache_list(run: &mut Run, args: &[Dynamic], _: Instant) -> Fallible<Dynamic> {
    let kind = values::kind(arg(args, 0), &run.kinds())?;
    let (namespace, options) = values::which(args.get(1))?;
    if options.fields.is_some() {
        return Err(Problem::new("a cache has no index by field").hint("filter the list, or use api.list(…)").into());
    }
    let found = run.read(kind, |store| {
        let wanted = |object: &&std::sync::Arc<wavetank_engine::objects::Object>| {
            options.labels.as_ref().is_none_or(|labels| labels.matches(&object.meta().labels))
        };
        match namespace.is_empty() {
            true => store.iter().filter(wanted).cloned().collect(),
            false => store.in_namespace(&namespace.as_str().into()).filter(wanted).cloned().collect(),
        }
    })?;
    Ok(found.iter().map(|object| Dynamic::from(Object::stored(object.clone()))).collect::<Array>().into())
}

fn api_get(run: &mut Run, args: &[Dynamic], _: Instant) -> Fallible<Dynamic> {
    let kind = values::kind(arg(args, 0), &run.kinds())?;
    let key = values::key(arg(args, 1), kind, &run.key)?;
    match run.ask(|| Ok(Call::get(kind, key)))? {
        Err(status) if status.is_not_found() => Ok(Dynamic::UNIT),
        outcome => answer(outcome),
    }
}

fn api_list(run: &mut Run, args: &[Dynamic], _: Instant) -> Fallible<Dynamic> {
    let kind = values::kind(arg(args, 0), &run.kinds())?;
    let (namespace, options) = values::which(args.get(1))?;
    answer(run.ask(|| Ok(Call::list(kind, &namespace.as_str().into(), options)))?)
}

fn written(run: &mut Run, args: &[Dynamic], verb: Verb, subresource: Subresource) -> Fallible<Dynamic> {
    let (near, known) = (run.key.clone(), run.kinds());
    answer(run.ask(|| values::write(verb, subresource, arg(args, 0), &near, &known))?)
}

fn api_create(run: &mut Run, args: &[Dynamic], _: Instant) -> Fallible<Dynamic> {
    written(run, args, Verb::Create, Subresource::None)
}

fn api_update(run: &mut Run, args: &[Dynamic], _: Instant) -> Fallible<Dynamic> {
    written(run, args, Verb::Update, Subresource::None)
}

fn api_update_status(run: &mut Run, args: &[Dynamic], _: Instant) -> Fallible<Dynamic> {
    written(run, args, Verb::Update, Subresource::Status)
}

fn api_patch(run: &mut Run, args: &[Dynamic], _: Instant) -> Fallible<Dynamic> {
    let kind = values::kind(arg(args, 0), &run.kinds())?;
    let key = values::key(arg(args, 1), kind, &run.key)?;
    answer(run.ask(|| values::patch(kind, key, arg(args, 2), args.get(3)))?)
}

fn api_delete(run: &mut Run, args: &[Dynamic], _: Instant) -> Fallible<Dynamic> {
    let kind = values::kind(arg(args, 0), &run.kinds())?;
    let key = values::key(arg(args, 1), kind, &run.key)?;
    let _ = answer(run.ask(|| Ok(Call::delete(kind, key, values::deletion(args.get(2))?)))?)?;
    Ok(Dynamic::UNIT)
}

fn api_event(run: &mut Run, args: &[Dynamic], _: Instant) -> Fallible<Dynamic> {
    let (first, rest) = args.split_first().ok_or_else(|| Problem::new("an event is about an object"))?;
    let words: Vec<String> = rest.iter().map(|word| word.to_string()).collect();
    let (kind, reason, message) = match words.as_slice() {
        [reason, message] => (EventType::Normal, reason, message),
        [kind, reason, message] if kind == "Normal" => (EventType::Normal, reason, message),
        [kind, reason, message] if kind == "Warning" => (EventType::Warning, reason, message),
        _ => {
            return Err(Problem::new("an event is of the type \"Normal\" or \"Warning\"")
                .hint("write api.event(pod, \"Warning\", \"TooOld\", \"it is older than a minute\")")
                .into());
        }
    };
    run.say(|| {
        let regarding = values::reference(first)?;
        Ok(Said { regarding, kind, reason: reason.clone().into(), message: message.as_str().into() })
    })?;
    Ok(Dynamic::UNIT)
}

/// A good answer as a value, a refusal as an exception.
fn answer(outcome: Outcome) -> Fallible<Dynamic> {
    Ok(match outcome {
        Err(status) => return Err(ApiError(status).into()),
        Ok(Answer::Object(object)) => Dynamic::from(Object::stored(object)),
        Ok(Answer::List { items, .. }) => {
            items.into_iter().map(|item| Dynamic::from(Object::stored(item))).collect::<Array>().into()
        }
        Ok(Answer::Json(value)) => to_script(&value),
        Ok(Answer::Watching) => Dynamic::UNIT,
    })
}

/// The least that a key waits by itself: less would only be a loop.
const LEAST_WAIT: Duration = Duration::from_millis(1);

fn requeue_after(run: &mut Run, args: &[Dynamic], _: Instant) -> Fallible<Dynamic> {
    let value = arg(args, 0);
    let nanoseconds = match (value.as_int(), value.as_float(), value.clone().into_immutable_string()) {
        (Ok(seconds), ..) => seconds as f64 * 1e9,
        (_, Ok(seconds), _) => seconds * 1e9,
        (.., Ok(text)) => duration::parse(&text).map_err(Problem::new)? as f64,
        _ => return Err(values::wrong("duration", "text such as \"10s\" or a number of seconds", value).into()),
    };
    if !(0.0..1e18).contains(&nanoseconds) {
        return Err(Problem::new(format!("a key cannot come again after {value}"))
            .hint("a duration is positive")
            .into());
    }
    let wait = Duration::from_nanos(nanoseconds as u64);
    if wait < LEAST_WAIT {
        return Err(Problem::new("a key that comes again at once would come for ever, and time stand still")
            .hint("`requeue()` waits 5ms at first and longer each time; requeue_after(…) at least 1ms")
            .into());
    }
    run.again = Again::After(wait);
    Ok(Dynamic::UNIT)
}

fn requeue(run: &mut Run, _: &[Dynamic], _: Instant) -> Fallible<Dynamic> {
    run.again = Again::RateLimited;
    Ok(Dynamic::UNIT)
}

fn print(run: &mut Run, args: &[Dynamic], _: Instant) -> Fallible<Dynamic> {
    run.print(&arg(args, 0).to_string())?;
    // Rhai hands the result of `print` to its own printer, which is off, and insists on text.
    Ok("".into())
}

fn now(run: &mut Run, _: &[Dynamic], zero: Instant) -> Fallible<Dynamic> {
    Ok(duration::text(run.now.since(zero).as_nanos()).into())
}

fn seconds(run: &mut Run, args: &[Dynamic], zero: Instant) -> Fallible<Dynamic> {
    let nanoseconds = match args.first() {
        None => run.now.since(zero).as_nanos(),
        Some(value) => match value.clone().into_immutable_string() {
            Ok(text) => duration::parse(&text).map_err(Problem::new)?,
            Err(_) => return Err(values::wrong("duration", "text such as \"10s\"", value).into()),
        },
    };
    Ok((nanoseconds as f64 / 1e9).into())
}

fn timestamp(run: &mut Run, _: &[Dynamic], _: Instant) -> Fallible<Dynamic> {
    Ok(json::time(run.now).into())
}

fn age(run: &mut Run, args: &[Dynamic], _: Instant) -> Fallible<Dynamic> {
    let value = arg(args, 0);
    let created = match value.clone().into_immutable_string() {
        Ok(text) => text.to_string(),
        Err(_) => values::content(value)?["metadata"]["creationTimestamp"].as_str().unwrap_or_default().to_owned(),
    };
    let Ok(at) = calendar::parse_rfc3339_nanos(&created) else {
        return Err(Problem::new(format!("\"{created}\" is no timestamp"))
            .hint("age(…) takes an object that is stored, or a text such as \"2026-01-01T00:00:00Z\"")
            .into());
    };
    let now = EPOCH_NS as f64 + run.now.as_nanos() as f64;
    Ok(((now - at as f64) / 1e9).into())
}

fn owner_reference(_: &mut Run, args: &[Dynamic], _: Instant) -> Fallible<Dynamic> {
    let value: Value = values::owner_reference(arg(args, 0))?;
    Ok(to_script(&value))
}
