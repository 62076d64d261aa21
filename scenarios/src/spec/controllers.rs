//! What a script says of a controller or a scheduler plugin of its own, but for its functions.

use std::sync::Arc;

use serde_json::{Map, Value};
use wavetank_engine::custom::{CustomSpec, Watched};
use wavetank_engine::kernel::Duration;
use wavetank_engine::objects::Kind;
use wavetank_engine::objects::selector::{FieldSelector, Selector};

use super::{keys, known, number, text, time};
use crate::session::kind_of;

/// A controller as it is described, and how many processes there are of it; `custom` are the kinds that definitions have brought.
pub(crate) fn controller(name: &str, map: &Map<String, Value>, custom: &[Kind]) -> Result<(CustomSpec, u8), String> {
    known("controller(…)", map, keys::CONTROLLER)?;
    process_name("controller", name)?;
    let watches = match map.get("watch") {
        None => return Err("a controller watches something\nsay what: watch: \"pods\"".to_owned()),
        Some(Value::Array(items)) if items.is_empty() => return Err("`watch` is empty".to_owned()),
        Some(Value::Array(items)) => items.iter().map(|one| watched(one, custom)).collect::<Result<_, _>>()?,
        Some(one) => vec![watched(one, custom)?],
    };
    let mut spec = CustomSpec { watches, ..CustomSpec::of(name, Kind::Pod) };
    (spec.owns, spec.reads) = (kinds(map, "owns", custom)?, kinds(map, "reads", custom)?);
    if let Some(namespace) = text(map, "namespace")?.filter(|namespace| *namespace != "*") {
        spec.namespace = namespace.into();
    }
    let small = |key: &str, least: u64, most: u64, usual: u64| match number(map, key)? {
        None => Ok(usual),
        Some(value) if (least..=most).contains(&value) => Ok(value),
        Some(value) => Err(format!("`{key}` is {least} to {most}, not {value}")),
    };
    spec.workers = small("workers", 1, 1_000, 1)? as usize;
    spec.qps = small("qps", 0, 1_000_000, 20)? as u32;
    spec.burst = small("burst", 1, 1_000_000, 30)? as u32;
    if let Some(period) = map.get("resync") {
        spec.resync = Duration::from_nanos(time("resync", period)?);
        if spec.resync < Duration::from_secs(1) {
            return Err("`resync` is at least 1s".to_owned());
        }
    }
    match map.get("state") {
        None => {}
        Some(state @ Value::Object(_)) => spec.memory = Arc::new(state.clone()),
        Some(other) => return Err(format!("`state` is a map like #{{ seen: 0 }}, not {other}")),
    }
    let replicas = small("replicas", 1, 8, 1)? as u8;
    spec.elects = match map.get("leader_election") {
        None => replicas > 1,
        Some(Value::Bool(flag)) => *flag,
        Some(other) => return Err(format!("`leader_election` is true or false, not {other}")),
    };
    Ok((spec, replicas))
}

/// Which scheduler's which profile a plugin joins, and what its scores are multiplied with.
pub(crate) struct PluginSpec {
    /// The process; `None`: every scheduler.
    pub scheduler: Option<String>,
    /// The profile; `None`: all.
    pub profile: Option<String>,
    /// 1 to 100. Kubernetes: plugins' weights.
    pub weight: i64,
}

/// A plugin as it is described.
pub(crate) fn plugin(name: &str, map: &Map<String, Value>) -> Result<PluginSpec, String> {
    known("scheduler_plugin(…)", map, keys::PLUGIN)?;
    if name.is_empty() || name.len() > 63 {
        return Err("a plugin's name has 1 to 63 characters".to_owned());
    }
    let weight = match number(map, "weight")? {
        None => 1,
        Some(weight @ 1..=100) => weight as i64,
        Some(other) => return Err(format!("`weight` is 1 to 100, not {other}")),
    };
    let owned = |key| Ok::<_, String>(text(map, key)?.map(str::to_owned));
    Ok(PluginSpec { scheduler: owned("scheduler")?, profile: owned("profile")?, weight })
}

/// A kind, or a map with `kind`, `labels` and `fields`.
fn watched(value: &Value, custom: &[Kind]) -> Result<Watched, String> {
    match value {
        Value::String(kind) => Ok(Watched { kind: kind_of(kind, custom)?, labels: None, fields: None }),
        Value::Object(map) => {
            known("an entry of `watch`", map, keys::WATCH)?;
            let kind = text(map, "kind")?.ok_or("an entry of `watch` needs a `kind`")?;
            let labels = text(map, "labels")?.map(|text| {
                text.parse::<Selector>().map_err(|error| format!("the selector \"{text}\" cannot be read: {error}"))
            });
            let fields = text(map, "fields")?.map(|text| {
                let read = text.parse::<FieldSelector>();
                read.map_err(|error| format!("the field selector \"{text}\" cannot be read: {error}"))
            });
            Ok(Watched { kind: kind_of(kind, custom)?, labels: labels.transpose()?, fields: fields.transpose()? })
        }
        other => {
            Err(format!("`watch` is a kind like \"pods\", or #{{ kind: \"pods\", labels: \"app=web\" }}, not {other}"))
        }
    }
}

fn kinds(map: &Map<String, Value>, key: &str, custom: &[Kind]) -> Result<Vec<Kind>, String> {
    let one = |value: &Value| match value {
        Value::String(kind) => kind_of(kind, custom),
        other => Err(format!("`{key}` is a list of kinds like [\"pods\"], not {other}")),
    };
    match map.get(key) {
        None => Ok(Vec::new()),
        Some(Value::Array(items)) => items.iter().map(one).collect(),
        Some(value) => Ok(vec![one(value)?]),
    }
}

/// A name of a process: as a DNS label.
fn process_name(what: &str, name: &str) -> Result<(), String> {
    let fine = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    match name.is_empty() || name.len() > 63 || !name.chars().all(fine) || name.starts_with('-') || name.ends_with('-')
    {
        true => Err(format!("a {what}'s name consists of lower case letters, digits and hyphens, not \"{name}\"")),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn of(map: Value) -> Result<(CustomSpec, u8), String> {
        controller("c", map.as_object().expect("a map"), &[])
    }

    #[test]
    fn a_controller_is_described_by_a_map() {
        let watch = json!([{"kind": "deploy", "labels": "app=web"}, "nodes"]);
        let (spec, replicas) =
            of(json!({"watch": watch, "owns": "rs", "replicas": 2, "resync": "10m"})).expect("a controller");
        assert_eq!(
            (spec.kind(), spec.kinds()),
            (Kind::Deployment, vec![Kind::Node, Kind::Deployment, Kind::ReplicaSet])
        );
        assert_eq!((replicas, spec.elects, spec.workers, spec.resync), (2, true, 1, Duration::from_secs(600)));
    }

    #[test]
    fn mistakes_name_the_key_and_what_would_be_right() {
        let error = |map| of(map).expect_err("a mistake");
        assert!(error(json!({})).contains("watch: \"pods\""));
        assert!(error(json!({"watch": "pod", "wrokers": 2})).contains("did you mean `workers`?"));
        assert!(error(json!({"watch": "pdos"})).contains("pods"));
        assert!(error(json!({"watch": "pods", "workers": 0})).contains("1 to 1000"));
        assert!(controller("A b", &Map::new(), &[]).is_err());
    }
}
