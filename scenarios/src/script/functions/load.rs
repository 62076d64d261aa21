//! Clients that write at a rate: what makes an etcd big or busy.

use super::super::convert::to_json;
use super::super::errors::{Fallible, Problem};
use super::super::host::{Shared, borrow};
use super::{Call, Function, Group, Receiver};
use crate::session::LoadFigures;
use crate::spec;
use crate::transcript::Kind;
use rhai::{Dynamic, Engine, Map};

/// A load in a script's hand.
#[derive(Clone, Copy, Debug)]
pub(super) struct LoadHandle(pub usize);

pub(super) const FUNCTIONS: &[Function] = &[Function {
    name: "load",
    group: Group::Faults,
    signatures: &["load(#{ … })"],
    summary: "Starts a client that writes ConfigMaps through the API server, one after the other, until `.stop()`: \
        `rate` writes a second (default 10) of `size` (default `\"16Ki\"`, at most 1Mi) over so many `objects` (default 100) \
        called `name`-0, `name`-1 … (default `load`) in a `namespace` (default `default`), at most `at_once` under way at \
        once (default 10). `.written`, `.failed`, `.first_failure` (seconds since the script's start, or `()`), `.errors` (a \
        map from text to number) and `.took(quantile)` (seconds, for 0 to 1) say how it fares.",
    example: "let noise = load(#{ rate: 20, size: \"256Ki\", objects: 50 });\nrun_for(\"1m\");\nnoise.stop();\n\
        print(`${noise.written} writes, 99 % within ${noise.took(0.99)} s`);",
    receiver: Receiver::Cluster,
    arity: 1..=1,
    run: load,
}];

/// `load.written` and so on.
pub(super) fn register_fields(engine: &mut Engine, host: &Shared) {
    engine.register_type_with_name::<LoadHandle>("load");
    fn of<T>(host: &Shared, handle: &LoadHandle, read: impl Fn(&LoadFigures) -> T) -> Option<T> {
        borrow(host).session.as_ref().and_then(|session| session.load(handle.0)).map(read)
    }
    let (a, b, c, d, e) = (host.clone(), host.clone(), host.clone(), host.clone(), host.clone());
    engine.register_get("written", move |handle: &mut LoadHandle| of(&a, handle, |f| f.written as i64).unwrap_or(0));
    engine.register_get("failed", move |handle: &mut LoadHandle| of(&b, handle, |f| f.failed as i64).unwrap_or(0));
    engine.register_get("first_failure", move |handle: &mut LoadHandle| {
        of(&c, handle, |f| f.first_failure).flatten().map_or(Dynamic::UNIT, |at| Dynamic::from(at as f64 / 1e9))
    });
    engine.register_get("errors", move |handle: &mut LoadHandle| -> Map {
        let errors = of(&d, handle, |f| f.errors.clone()).unwrap_or_default();
        errors.into_iter().map(|(text, count)| (text.into(), Dynamic::from(count as i64))).collect()
    });
    engine.register_fn("took", move |handle: &mut LoadHandle, quantile: f64| {
        of(&e, handle, |f| f.quantile(quantile))
            .flatten()
            .map_or(Dynamic::UNIT, |took| Dynamic::from(took as f64 / 1e9))
    });
}

fn load(call: &Call<'_>) -> Fallible<Dynamic> {
    let described = call.arg(0)?;
    if !described.is_map() {
        return Err(call.wrong("description", "a map", described).into());
    }
    let value = to_json(described).map_err(Problem::new)?;
    let spec = spec::load::load(&value).map_err(|text| Problem::with_lines(&text))?;
    let text = spec::load::text(&spec);
    let mut host = borrow(call.host);
    let number = host.session()?.start_load(spec);
    host.say(Kind::Fault, &format!("↯ load#{}: {text}", number + 1))?;
    Ok(Dynamic::from(LoadHandle(number)))
}

/// `load.stop()`; called by `stop`.
pub(super) fn stop(call: &Call<'_>, handle: LoadHandle) -> Fallible<Dynamic> {
    let mut host = borrow(call.host);
    host.session()?.stop_load(handle.0);
    host.say(Kind::Fault, &format!("↯ load#{} stops", handle.0 + 1))?;
    Ok(Dynamic::UNIT)
}
