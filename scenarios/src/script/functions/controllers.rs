//! Controllers and scheduler plugins of one's own: functions of the script that the cluster runs.

use super::super::closures::{Closures, Role};
use super::super::convert::to_json;
use super::super::errors::{Fallible, Problem};
use super::super::host::{Host, borrow, no_cluster};
use super::{Call, Function, Group, Receiver};
use crate::spec::controllers as spec;
use crate::transcript::Kind;
use rhai::{Dynamic, FnPtr, Map};
use serde_json::Value;
use std::sync::Arc;

pub(super) const FUNCTIONS: &[Function] = &[
    Function {
        name: "controller",
        group: Group::Controllers,
        signatures: &["controller(name, #{ … })"],
        summary: "Starts a controller of one's own: a process `controller/NAME` with informers, caches, a work queue with back-off and \
            a connection of its own, which can be crashed, hung and cut off like any other. Its `reconcile` is called with the key of \
            an object that has changed, with `cache`, what the controller knows, and with `api`, the API server; it brings the cluster \
            closer to what is wanted, and need not know what has happened. If it throws, the key comes again after 5 ms, 10 ms … \
            1000 s, and the transcript says so once; a mistake in it stops the script. Between reconciles the controller remembers what \
            is in `this`, until its process ends. Variables of the script are copied when the controller is made.",
        example: "controller(\"auto-delete\", #{\n    watch: \"pods\",\n    reconcile: |key, cache, api| {\n        let pod = \
            cache.get(\"pods\", key);\n        if pod == () || pod.deleting { return; }\n        let left = 60 - age(pod);\n        \
            if left > 0 { return requeue_after(left); }\n        api.delete(\"pods\", key);\n    }\n});",
        receiver: Receiver::Cluster,
        arity: 2..=2,
        run: controller,
    },
    Function {
        name: "scheduler_plugin",
        group: Group::Controllers,
        signatures: &["scheduler_plugin(name, #{ … })"],
        summary: "Adds a plugin to the scheduler, from the next pod on. Both functions are called once for a pod, with all nodes: \
            `filter` returns an array with true, or a text that says why not, for each node, and `score` one with 0 to 100. A node that \
            the plugin rejects is not freed by preemption. If a function fails, the pod is not scheduled and its event says why.",
        example: "scheduler_plugin(\"gpu-first\", #{\n    weight: 10,\n    score: |pod, nodes| nodes.map(|n| if \
            n.free(\"nvidia.com/gpu\") > 0 { 100 } else { 0 })\n});",
        receiver: Receiver::Cluster,
        arity: 2..=2,
        run: scheduler_plugin,
    },
];

fn controller(call: &Call<'_>) -> Fallible<Dynamic> {
    let name = call.text(0, "name")?;
    let (map, mut functions) = described(call, &["reconcile"])?;
    let custom = borrow(call.host).session()?.custom_kinds();
    let (spec, replicas) = spec::controller(&name, &map, &custom).map_err(|text| Problem::with_lines(&text))?;
    let Some(reconcile) = functions.remove(0) else {
        return Err(Problem::new(format!("the controller `{name}` has no `reconcile`"))
            .hint("give it a closure: reconcile: |key, cache, api| { … }")
            .into());
    };
    let mut host = borrow(call.host);
    register(&mut host, call, vec![(Role::Reconcile, reconcile)], &name)?;
    let session = host.session()?;
    session.world_mut().add_controller(spec, replicas).map_err(Problem::new)?;
    host.say(Kind::Fault, &format!("controller/{name} starts"))?;
    Ok(Dynamic::UNIT)
}

fn scheduler_plugin(call: &Call<'_>) -> Fallible<Dynamic> {
    let name = call.text(0, "name")?;
    let (map, functions) = described(call, &["filter", "score"])?;
    let spec = spec::plugin(&name, &map).map_err(|text| Problem::with_lines(&text))?;
    let roles: Vec<(Role, FnPtr)> = [Role::Filter, Role::Score]
        .into_iter()
        .zip(functions)
        .filter_map(|(role, function)| function.map(|function| (role, function)))
        .collect();
    if roles.is_empty() {
        return Err(Problem::new(format!("the plugin `{name}` has neither `filter` nor `score`"))
            .hint("give it a closure: score: |pod, nodes| nodes.map(|n| …)")
            .into());
    }
    let has = |role| roles.iter().any(|(other, _)| *other == role);
    let (filters, scores) = (has(Role::Filter), has(Role::Score).then_some(spec.weight));
    let mut host = borrow(call.host);
    register(&mut host, call, roles, &name)?;
    let (scheduler, profile) = (spec.scheduler.as_deref(), spec.profile.as_deref());
    let world = host.session()?.world_mut();
    world.add_plugin(&name, filters, scores, scheduler, profile).map_err(|text| Problem::with_lines(&text))?;
    host.say(Kind::Fault, &format!("the scheduler has a plugin {name}"))?;
    Ok(Dynamic::UNIT)
}

/// The map given as second argument without its functions, and those of these names.
#[allow(clippy::type_complexity)]
pub(super) fn described(
    call: &Call<'_>,
    functions: &[&str],
) -> Fallible<(serde_json::Map<String, Value>, Vec<Option<FnPtr>>)> {
    let arg = call.arg(1)?;
    let Some(map) = arg.read_lock::<Map>() else { return Err(call.wrong("description", "a map", arg).into()) };
    let mut map = map.clone();
    let mut found = Vec::new();
    for name in functions {
        found.push(match map.remove(*name) {
            None => None,
            Some(value) => Some(value.clone().flatten().try_cast::<FnPtr>().ok_or_else(|| {
                let problem = call.wrong(name, "a closure", &value);
                problem.hint(format!("put the parameters between bars before it: {name}: |…| …"))
            })?),
        });
    }
    match to_json(&map.into()) {
        Ok(Value::Object(map)) => Ok((map, found)),
        Ok(_) => Ok((serde_json::Map::new(), found)),
        Err(problem) => {
            Err(Problem::new(format!("the map given to `{}` is not plain data: {problem}", call.function.name)).into())
        }
    }
}

/// Gives functions to the cluster under a name.
pub(super) fn register(host: &mut Host, call: &Call<'_>, functions: Vec<(Role, FnPtr)>, name: &str) -> Fallible<()> {
    let zero = host.session()?.zero();
    let mut closures = match (&host.closures, &host.program) {
        (Some(closures), _) => closures.clone(),
        (None, Some(program)) => Closures::new(program.clone(), zero),
        (None, None) => return Err(no_cluster().into()),
    };
    for (role, function) in functions {
        closures.add(role, name, &function, call.place())?;
    }
    host.closures = Some(closures.clone());
    host.session()?.world_mut().set_scripts(Arc::new(closures));
    Ok(())
}
