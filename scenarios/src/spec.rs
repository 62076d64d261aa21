//! From the map a script gives to `cluster(#{ … })` to the engine's setup. Mistakes are the user's: they name the key and say what
//! would be right.

mod control_plane;
pub(crate) mod controllers;
pub(crate) mod demand;
pub(crate) mod etcd;
pub mod keys;
pub(crate) mod kubelet;
pub(crate) mod load;
pub(crate) mod traffic;
pub(crate) mod webhooks;

use serde_json::{Map, Value};
use wavetank_engine::apiserver::validation::names;
use wavetank_engine::etcd::Formation;
use wavetank_engine::kernel::{Duration, Latency};
use wavetank_engine::objects::Name;
use wavetank_engine::objects::quantity::Quantity;
use wavetank_engine::profiles;
use wavetank_engine::setup::{KubeletTiming, NodeSpec, Pull, Setup};
use wavetank_engine::trace::TraceLevel;

use self::keys::{Field, Key};

use crate::script::{duration, hints};
use crate::session::Overrides;

/// Nodes of a cluster that does not say.
const DEFAULT_NODES: usize = 3;
/// More nodes than this are a slip of the finger.
const MAX_NODES: u64 = 20_000;
/// The size of an image in a list that does not say. [bytes]
const IMAGE_SIZE: u64 = 50 * 1024 * 1024;

/// The setup that `spec` describes.
pub fn setup(spec: &Value, overrides: &Overrides) -> Result<Setup, String> {
    let empty = Map::new();
    let map = match spec {
        Value::Object(map) => map,
        Value::Null => &empty,
        _ => return Err("cluster(…) takes a map: cluster(#{ nodes: 3 })".to_owned()),
    };
    known("cluster(…)", map, keys::CLUSTER)?;
    let profile = overrides.profile.as_deref().or(text(map, "profile")?).unwrap_or("laptop");
    let profile = profiles::by_name(profile).ok_or_else(|| {
        let hint = hints::did_you_mean(profile, profiles::NAMES).unwrap_or_default();
        format!("there is no profile `{profile}`; the profiles are {}\n{hint}", profiles::NAMES.join(", "))
    })?;
    let seed = overrides.seed.or(number(map, "seed")?).unwrap_or(1);
    let mut setup = Setup::new(seed, 0, 1, profile);
    setup.etcd_members = etcd::etcd(map.get("etcd"), &mut setup.profile.etcd)?;
    setup.nodes = nodes(map.get("nodes"))?;
    setup.shuffle_ties = overrides.shuffle_ties;
    setup.supervised = match map.get("supervised") {
        None => true,
        Some(flag) => flag.as_bool().ok_or_else(|| format!("`supervised` is true or false, not {flag}"))?,
    };
    setup.only_etcd = match text(map, "only")? {
        None => false,
        Some("etcd") if map.contains_key("nodes") => {
            return Err(
                "`only: \"etcd\"` and `nodes` exclude each other: without an API server there are no nodes".into()
            );
        }
        Some("etcd") => true,
        Some(other) => return Err(format!("`only` can be \"etcd\", not \"{other}\"")),
    };
    if let Some(Value::Object(map)) = map.get("etcd")
        && let Some(interval) = map.get("compaction_interval")
    {
        setup.etcd_compaction_interval = Duration::from_nanos(time("compaction_interval", interval)?);
    }
    setup.formation = Formation::control_plane(setup.etcd_members);
    if setup.only_etcd {
        setup.formation = Formation::local(setup.etcd_members);
        setup.nodes.clear();
    }
    if let Some(kubelet) = map.get("kubelet") {
        self::kubelet(kubelet, &mut setup)?;
    }
    if let Some(sizes) = map.get("image_sizes") {
        setup.image_sizes = kubelet::image_sizes(sizes)?;
    }
    if let Some(storage) = map.get("storage") {
        self::storage(storage, &mut setup)?;
    }
    control_plane::control_plane(map, overrides, &mut setup)?;
    setup.metrics_server = demand::metrics_server(map.get("metrics_server"))?;
    setup.kube_proxy = match map.get("kube_proxy") {
        None => false,
        Some(value) => value.as_bool().ok_or_else(|| format!("`kube_proxy` is true or false, not {value}"))?,
    };
    setup.trace = match text(map, "trace")? {
        None | Some("full") => TraceLevel::Full,
        Some("fingerprint") => TraceLevel::FingerprintOnly,
        Some(other) => return Err(format!("`trace` is \"full\" or \"fingerprint\", not \"{other}\"")),
    };
    Ok(setup)
}

fn known(place: &str, map: &Map<String, Value>, keys: &[Key]) -> Result<(), String> {
    let keys: Vec<&str> = keys.iter().map(|key| key.name).collect();
    match map.keys().find(|key| !keys.contains(&key.as_str())) {
        None => Ok(()),
        Some(key) => {
            let hint = hints::did_you_mean(key, keys.iter().copied()).unwrap_or_default();
            Err(format!("{place} does not know the key `{key}`; it knows {}\n{hint}", keys.join(", ")))
        }
    }
}

fn text<'a>(map: &'a Map<String, Value>, key: &str) -> Result<Option<&'a str>, String> {
    match map.get(key) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(other) => Err(format!("`{key}` is a text, not {other}")),
    }
}

fn number(map: &Map<String, Value>, key: &str) -> Result<Option<u64>, String> {
    match map.get(key) {
        None => Ok(None),
        Some(value) => {
            value.as_u64().map(Some).ok_or_else(|| format!("`{key}` is a whole number of at least 0, not {value}"))
        }
    }
}

fn nodes(value: Option<&Value>) -> Result<Vec<NodeSpec>, String> {
    match value {
        None => Ok((0..DEFAULT_NODES).map(NodeSpec::plain).collect()),
        Some(Value::Array(list)) => list.iter().enumerate().map(|(n, value)| node(n, value)).collect(),
        Some(value) => match value.as_u64() {
            Some(count) if count <= MAX_NODES => Ok((0..count as usize).map(NodeSpec::plain).collect()),
            Some(count) => Err(format!("`nodes` is at most {MAX_NODES}, not {count}")),
            None => {
                Err(format!("`nodes` is a number, or a list of maps like #{{ name: \"a\", cpu: \"4\" }}; not {value}"))
            }
        },
    }
}

/// The `n`-th node as a script describes it.
pub fn node(n: usize, value: &Value) -> Result<NodeSpec, String> {
    let Value::Object(map) = value else {
        return Err(format!("a node is a map like #{{ name: \"a\", cpu: \"4\" }}, not {value}"));
    };
    known("a node in `nodes`", map, keys::NODE)?;
    let mut node = NodeSpec::plain(n);
    if let Some(name) = text(map, "name")? {
        if !names::dns_subdomain(name).is_empty() {
            return Err(format!("`name` of a node is of lower-case letters, digits, `-` and `.`, not \"{name}\""));
        }
        node.name = name.into();
    }
    for (key, field) in
        [("cpu", &mut node.cpu), ("memory", &mut node.memory), ("ephemeral-storage", &mut node.ephemeral_storage)]
    {
        if let Some(value) = map.get(key) {
            *field = quantity(key, value)?.into();
        }
    }
    if let Some(pods) = map.get("pods") {
        let number = pods.as_u64().or_else(|| pods.as_str()?.parse().ok());
        let number = number.and_then(|number| u32::try_from(number).ok());
        node.pods = number.ok_or_else(|| format!("`pods` is a whole number, not {pods}"))?;
    }
    for (name, value) in fields(map, "labels", "#{ disk: \"ssd\" }")? {
        node.labels.push(label(name, value)?);
    }
    for (name, value) in fields(map, "resources", "#{ \"nvidia.com/gpu\": 2 }")? {
        if !name.contains('/') || !names::qualified_name(name).is_empty() {
            return Err(format!("a resource in `resources` is named like \"nvidia.com/gpu\", not \"{name}\""));
        }
        node.extended.push((name.into(), quantity(name, value)?.into()));
    }
    for taint in items(map, "taints", "[\"dedicated=gpu:NoSchedule\"]")? {
        node.taints.push(self::taint(taint)?);
    }
    for image in items(map, "images", "[\"nginx:1.25\"]")? {
        node.images.push(self::image(image)?);
    }
    if let Some(disk) = map.get("disk") {
        node.disk = Some(quantity_bytes("disk", disk)?);
    }
    Ok(node)
}

/// The entries of the map under `key`.
fn fields<'a>(map: &'a Map<String, Value>, key: &str, example: &str) -> Result<Vec<(&'a str, &'a Value)>, String> {
    match map.get(key) {
        None => Ok(Vec::new()),
        Some(Value::Object(map)) => Ok(map.iter().map(|(name, value)| (name.as_str(), value)).collect()),
        Some(other) => Err(format!("`{key}` is a map like {example}, not {other}")),
    }
}

/// The elements of the list under `key`.
fn items<'a>(map: &'a Map<String, Value>, key: &str, example: &str) -> Result<&'a [Value], String> {
    match map.get(key) {
        None => Ok(&[]),
        Some(Value::Array(list)) => Ok(list),
        Some(other) => Err(format!("`{key}` is a list like {example}, not {other}")),
    }
}

fn quantity(key: &str, value: &Value) -> Result<String, String> {
    let wrong = |found: &str| format!("`{key}` is a quantity like \"4\", \"500m\" or \"8Gi\", not {found}");
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        other => return Err(wrong(&other.to_string())),
    };
    match Quantity::parse(&text) {
        Ok(_) if !text.starts_with('-') => Ok(text),
        _ => Err(wrong(&format!("\"{text}\""))),
    }
}

fn label(name: &str, value: &Value) -> Result<(Name, Name), String> {
    let value = value.as_str().ok_or_else(|| format!("the value of label `{name}` is a text, not {value}"))?;
    if !names::qualified_name(name).is_empty() {
        return Err(format!(
            "`{name}` is no name for a label: letters, digits, `-`, `_` and `.`, perhaps after \"example.com/\""
        ));
    }
    if !names::label_value(value).is_empty() {
        return Err(format!("the value of label `{name}` is of letters, digits, `-`, `_` and `.`, not \"{value}\""));
    }
    Ok((name.into(), value.into()))
}

fn taint(value: &Value) -> Result<(Name, Name, Name), String> {
    let wrong = || format!("a taint is a text like \"dedicated=gpu:NoSchedule\", not {value}");
    let text = value.as_str().ok_or_else(wrong)?;
    let (key, effect) = text.rsplit_once(':').ok_or_else(wrong)?;
    if !["NoSchedule", "PreferNoSchedule", "NoExecute"].contains(&effect) {
        return Err(format!("a taint's effect is NoSchedule, PreferNoSchedule or NoExecute, not `{effect}`"));
    }
    let (key, value) = key.split_once('=').unwrap_or((key, ""));
    if !names::qualified_name(key).is_empty() || !names::label_value(value).is_empty() {
        return Err(wrong());
    }
    Ok((key.into(), value.into(), effect.into()))
}

fn image(value: &Value) -> Result<(Name, u64), String> {
    match value {
        Value::String(name) => Ok((tagged(name), IMAGE_SIZE)),
        Value::Object(map) => {
            known("an image in `images`", map, keys::IMAGE)?;
            let name = text(map, "name")?.ok_or("an image in `images` needs a name")?;
            let size = match map.get("size") {
                None => IMAGE_SIZE,
                Some(size) => {
                    let size = quantity("size", size)?;
                    Quantity::parse(&size).map_or(IMAGE_SIZE, |size| size.value().max(0) as u64)
                }
            };
            Ok((tagged(name), size))
        }
        other => Err(format!("an image is a text like \"nginx:1.25\" or a map with name and size, not {other}")),
    }
}

fn tagged(image: &str) -> Name {
    wavetank_engine::objects::pod_terms::with_tag(image)
}

fn storage(value: &Value, setup: &mut Setup) -> Result<(), String> {
    let Value::Object(map) = value else {
        return Err(format!("`storage` is a map like #{{ provisioning: \"10s\" }}, not {value}"));
    };
    known("`storage`", map, keys::STORAGE)?;
    if let Some(provisioning) = map.get("provisioning") {
        setup.provisioning = Duration::from_nanos(time("provisioning", provisioning)?);
    }
    Ok(())
}

fn kubelet(value: &Value, setup: &mut Setup) -> Result<(), String> {
    let Value::Object(map) = value else {
        return Err(format!("`kubelet` is a map like #{{ sandbox: \"500ms\" }}, not {value}"));
    };
    known("`kubelet`", map, &[keys::KUBELET, keys::KUBELET_CONFIGURATION].concat())?;
    let timing: &mut KubeletTiming = &mut setup.profile.kubelet;
    kubelet::configure(map, &mut setup.kubelet, timing)?;
    if map.contains_key("pull") && map.contains_key("bandwidth") {
        return Err("`pull` and `bandwidth` exclude each other: a pull takes a fixed time, or one by the image's size"
            .to_owned());
    }
    for (key, value) in map {
        match keys::field(timing, key) {
            None => {}
            Some(Field::Latency(latency)) => *latency = constant(time(key, value)?),
            Some(Field::Optional(latency)) => *latency = Some(constant(time(key, value)?)),
            Some(Field::Pull(pull)) => *pull = Pull::Fixed(constant(time(key, value)?)),
            Some(Field::Interval(interval)) => match time(key, value)? {
                0 => return Err(format!("`{key}` must be longer than 0s")),
                ns => *interval = Duration::from_nanos(ns),
            },
            Some(Field::Flag(flag)) => {
                *flag = value.as_bool().ok_or_else(|| format!("`{key}` is true or false, not {value}"))?;
            }
            Some(Field::Bandwidth(pull)) => *pull = by_size(pull, bandwidth(key, value)?),
        }
    }
    Ok(())
}

/// Pulls at so many bytes a second.
fn by_size(pull: &Pull, bytes_per_second: u64) -> Pull {
    let overhead = match pull {
        Pull::Bandwidth { overhead, .. } => overhead.clone(),
        Pull::Fixed(_) => Latency::constant(0.0),
    };
    Pull::Bandwidth { overhead, bytes_per_second }
}

/// A size in bytes, above zero.
fn quantity_bytes(key: &str, value: &Value) -> Result<u64, String> {
    let bytes = Quantity::parse(&quantity(key, value)?).ok().and_then(|size| u64::try_from(size.value()).ok());
    bytes.filter(|bytes| *bytes > 0).ok_or_else(|| format!("`{key}` is a size like \"8Gi\", not {value}"))
}

fn bandwidth(key: &str, value: &Value) -> Result<u64, String> {
    let text = quantity(key, value).ok();
    let bytes =
        text.and_then(|text| Quantity::parse(&text).ok()).and_then(|quantity| u64::try_from(quantity.value()).ok());
    bytes
        .filter(|bytes| *bytes > 0)
        .ok_or_else(|| format!("`{key}` is bytes per second as a quantity like \"50M\", not {value}"))
}

fn constant(ns: u64) -> Latency {
    Latency::constant(ns as f64 / 1e6)
}

fn time(key: &str, value: &Value) -> Result<u64, String> {
    let text =
        value.as_str().ok_or_else(|| format!("`{key}` is a duration like \"500ms\" or \"1m30s\", not {value}"))?;
    duration::parse(text).map_err(|error| format!("`{key}`: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn of(spec: Value) -> Result<Setup, String> {
        setup(&spec, &Overrides::default())
    }

    #[test]
    fn a_cluster_is_what_the_map_says() {
        let setup = of(json!({
            "nodes": [{"name": "a", "cpu": 8, "taints": ["gpu=yes:NoSchedule"], "images": ["nginx"]}, {}],
            "etcd": 3, "seed": 7, "kubelet": {"pull": "2s", "serialize_pulls": false},
        }))
        .unwrap_or_else(|error| panic!("{error}"));
        assert_eq!((&*setup.nodes[0].name, &*setup.nodes[0].cpu, &*setup.nodes[1].name), ("a", "8", "worker-2"));
        assert_eq!(&*setup.nodes[0].images[0].0, "nginx:latest");
        assert_eq!((setup.etcd_members, setup.seed.0), (3, 7));
        assert_eq!(setup.profile.kubelet.pull, Pull::Fixed(Latency::constant(2_000.0)));
    }

    #[test]
    fn a_mistake_is_named_with_what_would_be_right() {
        let wrong = |spec: Value| of(spec).err().unwrap_or_default();
        assert!(wrong(json!({"nodse": 3})).contains("`nodse`"), "{}", wrong(json!({"nodse": 3})));
        assert!(wrong(json!({"nodse": 3})).contains("nodes"));
        assert!(wrong(json!({"etcd": 2})).contains("1, 3, 5 or 7"));
        assert!(wrong(json!({"profile": "lapton"})).contains("laptop"));
        assert!(wrong(json!({"nodes": [{"cpu": "four"}]})).contains("\"four\""));
        assert!(wrong(json!({"kubelet": {"pull": "2 seconds"}})).contains("`pull`"));
        assert!(wrong(json!({"nodes": [{"taints": ["gpu"]}]})).contains("dedicated=gpu:NoSchedule"));
        for (node, part) in [
            (json!({"name": "A_b"}), "lower-case"),
            (json!({"name": ""}), "lower-case"),
            (json!({"cpu": "-1"}), "\"-1\""),
            (json!({"labels": {"a b": "c"}}), "`a b` is no name for a label"),
            (json!({"labels": "ssd"}), "`labels` is a map"),
            (json!({"taints": "gpu=yes:NoSchedule"}), "`taints` is a list"),
            (json!({"images": "nginx"}), "`images` is a list"),
            (json!({"resources": {"gpu": 1}}), "nvidia.com/gpu"),
        ] {
            let text = wrong(json!({"nodes": [node.clone()]}));
            assert!(text.contains(part), "{node}: {text}");
        }
        assert!(wrong(json!({"kubelet": {"sandbox": 500}})).contains("not 500"));
        assert!(wrong(json!({"kubelet": {"lease_renew": "0s"}})).contains("longer than 0s"));
        assert!(wrong(json!({"kubelet": {"pull": "2s", "bandwidth": "1M"}})).contains("exclude"));
        assert!(wrong(json!({"kubelet": {"bandwidth": 0}})).contains("50M"));
        assert!(wrong(json!({"storage": {"provisioning": 2}})).contains("`provisioning` is a duration"));
        assert!(wrong(json!({"storage": {"provisionin": "2s"}})).contains("`provisioning`"));
        assert!(wrong(json!({"storage": "2s"})).contains("`storage` is a map"));
    }

    /// The value of an example in the tables.
    fn value(example: &str) -> Value {
        let value =
            rhai::Engine::new().eval::<rhai::Dynamic>(example).unwrap_or_else(|error| panic!("{example}: {error}"));
        crate::script::convert::to_json(&value).unwrap_or_else(|error| panic!("{example}: {error}"))
    }

    #[test]
    fn every_key_changes_the_setup_and_its_example_is_right() {
        let of = |spec: Value| of(spec.clone()).unwrap_or_else(|error| panic!("{spec}: {error}"));
        let text = |setup: &Setup| format!("{setup:?}");
        let plain = text(&of(json!({})));
        for key in keys::CLUSTER {
            assert_ne!(text(&of(json!({ key.name: value(key.example) }))), plain, "{}", key.name);
        }
        for key in keys::ETCD {
            assert_ne!(text(&of(json!({"etcd": { key.name: value(key.example) }}))), plain, "{}", key.name);
        }
        for key in keys::STORAGE {
            assert_ne!(text(&of(json!({"storage": { key.name: value(key.example) }}))), plain, "{}", key.name);
        }
        for key in keys::KUBELET {
            assert_ne!(text(&of(json!({"kubelet": { key.name: value(key.example) }}))), plain, "{}", key.name);
        }
        for key in keys::KUBELET_CONFIGURATION {
            assert_ne!(text(&of(json!({"kubelet": { key.name: value(key.example) }}))), plain, "{}", key.name);
        }
        let plain = text(&of(json!({"nodes": [{}]})));
        for key in keys::NODE {
            assert_ne!(text(&of(json!({"nodes": [{ key.name: value(key.example) }]}))), plain, "{}", key.name);
        }
    }

    #[test]
    fn the_defaults_in_the_tables_are_right() {
        let says = |table: &[Key], name: &str, default: &str| {
            let key = table.iter().find(|key| key.name == name);
            assert!(key.is_some_and(|key| key.meaning.contains(&format!("(default {default})"))), "{name}: {default}");
        };
        let node = NodeSpec::plain(0);
        says(keys::NODE, "cpu", &node.cpu);
        says(keys::NODE, "memory", &node.memory);
        says(keys::NODE, "pods", &node.pods.to_string());
        says(keys::NODE, "ephemeral-storage", &node.ephemeral_storage);
        says(keys::CLUSTER, "nodes", &DEFAULT_NODES.to_string());
        assert_eq!(IMAGE_SIZE, 50 << 20);
    }
}
