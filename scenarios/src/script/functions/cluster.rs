//! Making the cluster, and the script's settings.

use super::super::convert::to_json;
use super::super::errors::{Fallible, Problem};
use super::super::host::borrow;
use super::{Call, Cluster, Function, Group, Receiver};
use crate::session::Session;
use rhai::Dynamic;

pub(super) const FUNCTIONS: &[Function] = &[
    Function {
        name: "cluster",
        group: Group::Cluster,
        signatures: &["cluster(#{ … })", "cluster()"],
        summary: "Switches a cluster on, lets it come to rest and returns it; that is the script's time zero. The map \
            describes it: how many `nodes`, how many `etcd` members, the latency `profile`, the `seed` and more, \
            below. A script has one cluster. `--seed` and `--profile` on the command line win over the map.",
        example: "let c = cluster(#{ nodes: 3, etcd: 3, profile: \"laptop\" });",
        receiver: Receiver::None,
        arity: 0..=1,
        run: cluster,
    },
    Function {
        name: "setting",
        group: Group::Cluster,
        signatures: &["setting(name, default)"],
        summary: "A value that can be given from outside with `--set name=value`, else the default. What is given must \
            be of the default's type.",
        example: "let replicas = setting(\"replicas\", 5);",
        receiver: Receiver::None,
        arity: 2..=2,
        run: setting,
    },
];

fn cluster(call: &Call<'_>) -> Fallible<Dynamic> {
    let spec = match call.args.first() {
        None => serde_json::Value::Object(serde_json::Map::new()),
        Some(map) if map.is_map() => to_json(map)
            .map_err(|problem| Problem::new(format!("the map given to `cluster` is not plain data: {problem}")))?,
        Some(other) => return Err(call.wrong("description", "a map", other).into()),
    };
    let mut host = borrow(call.host);
    if let Some(place) = &host.made_at {
        let text = format!("this script has its cluster already, made at {place}");
        return Err(Problem::new(text)
            .hint("a script drives one cluster; compare two by two scripts or by --set")
            .into());
    }
    let session = Session::create(&spec, &host.options.overrides).map_err(|text| Problem::with_lines(&text))?;
    host.session = Some(session);
    host.made_at = Some(call.place());
    Ok(Dynamic::from(Cluster))
}

fn setting(call: &Call<'_>) -> Fallible<Dynamic> {
    let name = call.text(0, "name")?;
    let default = call.arg(1)?;
    let mut host = borrow(call.host);
    host.asked.insert(name.to_string());
    let Some((_, given)) = host.options.settings.iter().rev().find(|(key, _)| key.as_str() == name.as_str()) else {
        return Ok(default.clone());
    };
    let misfit = |kind: &str| {
        let text = format!("--set {name}={given}: the setting `{name}` must be {kind}");
        Problem::new(text).hint(format!("its default in the script is {default}"))
    };
    let value = if default.is_bool() {
        given.parse::<bool>().map_err(|_| misfit("true or false"))?.into()
    } else if default.is_int() {
        given.replace('_', "").parse::<i64>().map_err(|_| misfit("a whole number"))?.into()
    } else if default.is_float() {
        given.parse::<f64>().ok().filter(|number| number.is_finite()).ok_or_else(|| misfit("a number"))?.into()
    } else if default.is_string() {
        given.as_str().into()
    } else {
        return Err(call.wrong("default", "a number, text or a boolean", default).into());
    };
    Ok(value)
}
