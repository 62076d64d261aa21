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

pub(super) const FUNCTIONS: &[Function] = &[LOAD, DEMAND];

const LOAD: Function = Function {
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
};

const DEMAND: Function = Function {
    name: "demand",
    group: Group::Faults,
    signatures: &["demand(target, cpu)", "demand(target, #{ … })"],
    summary: "Says how much work the pods of `target` are asked to do from now on: `\"deployment/web\"`, another controller, or one \
        `\"pod/web-0\"`; in another namespace than `default` `\"shop:deployment/web\"`. `cpu` is what all its ready pods need together, \
        in equal shares, of which each uses at most its limit; `cpu_per_pod` is what each running pod uses besides; `memory` and \
        `memory_per_pod` likewise. Each is a quantity, or a table of points `[time since the call, quantity]` with straight lines \
        between them (`shape: \"steps\"`: jumps), which begins again after `repeat`. A pod that no demand concerns uses \
        nothing; of several, that of the pod counts before that of its controller. The kubelets sample every 10 to 20 s what is \
        used, the metrics server asks them every 15 s, so an autoscaler sees a change up to a minute late, and as an average. It \
        needs `cluster(#{ metrics_server: true })`.",
    example: "demand(\"deployment/web\", \"300m\");\ndemand(\"deployment/web\", #{ cpu: [[\"0s\", \"200m\"], [\"2m\", \"1500m\"], [\"4m\", \"200m\"]], repeat: \"4m\" });",
    receiver: Receiver::Cluster,
    arity: 2..=2,
    run: demand,
};

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

fn demand(call: &Call<'_>) -> Fallible<Dynamic> {
    let target = call.text(0, "target")?;
    let value = to_json(call.arg(1)?).map_err(Problem::new)?;
    let demand = spec::demand::demand(&value).map_err(|text| Problem::with_lines(&text))?;
    let text = spec::demand::text(&value);
    super::faults::act(call, |session| {
        session.set_demand(&target, demand)?;
        Ok(format!("demand on {target}: {text}"))
    })
}

/// `load.stop()`; called by `stop`.
pub(super) fn stop(call: &Call<'_>, handle: LoadHandle) -> Fallible<Dynamic> {
    let mut host = borrow(call.host);
    host.session()?.stop_load(handle.0);
    host.say(Kind::Fault, &format!("↯ load#{} stops", handle.0 + 1))?;
    Ok(Dynamic::UNIT)
}
