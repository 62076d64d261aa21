//! From the map a script gives to `cluster(#{ … })` to the engine's setup. Mistakes are the user's: they name the key and say what
//! would be right.

use serde_json::{Map, Value};
use wavetank_engine::kernel::{Duration, Latency};
use wavetank_engine::objects::quantity::Quantity;
use wavetank_engine::setup::{KubeletTiming, NodeSpec, Pull, Setup};
use wavetank_engine::trace::TraceLevel;
use wavetank_engine::{profiles, setup};

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
    known("cluster(…)", map, &["nodes", "etcd", "profile", "seed", "kubelet", "trace"])?;
    let profile = overrides.profile.as_deref().or(text(map, "profile")?).unwrap_or("laptop");
    let profile = profiles::by_name(profile).ok_or_else(|| {
        let hint = hints::did_you_mean(profile, profiles::NAMES).unwrap_or_default();
        format!("there is no profile `{profile}`; the profiles are {}\n{hint}", profiles::NAMES.join(", "))
    })?;
    let seed = overrides.seed.or(number(map, "seed")?).unwrap_or(1);
    let etcd = match number(map, "etcd")?.unwrap_or(1) {
        members @ (1 | 3 | 5) => members as u8,
        other => return Err(format!("`etcd` is the number of members: 1, 3 or 5, not {other}")),
    };
    let mut setup = Setup::new(seed, 0, etcd, profile);
    setup.nodes = nodes(map.get("nodes"))?;
    setup.shuffle_ties = overrides.shuffle_ties;
    if let Some(kubelet) = map.get("kubelet") {
        self::kubelet(kubelet, &mut setup.profile.kubelet)?;
    }
    setup.trace = match text(map, "trace")? {
        None | Some("full") => TraceLevel::Full,
        Some("fingerprint") => TraceLevel::FingerprintOnly,
        Some(other) => return Err(format!("`trace` is \"full\" or \"fingerprint\", not \"{other}\"")),
    };
    Ok(setup)
}

fn known(place: &str, map: &Map<String, Value>, keys: &[&'static str]) -> Result<(), String> {
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
            None => Err(format!("`nodes` is a number, or a list of maps like #{{ name: \"a\", cpu: \"4\" }}; not {value}")),
        },
    }
}

fn node(n: usize, value: &Value) -> Result<NodeSpec, String> {
    let Value::Object(map) = value else {
        return Err(format!("a node is a map like #{{ name: \"a\", cpu: \"4\" }}, not {value}"));
    };
    let keys = ["name", "cpu", "memory", "pods", "ephemeral-storage", "labels", "taints", "images", "resources"];
    known("a node in `nodes`", map, &keys)?;
    let mut node = NodeSpec::plain(n);
    if let Some(name) = text(map, "name")? {
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
    node.labels = pairs(map, "labels")?;
    for (name, value) in map.get("resources").and_then(Value::as_object).into_iter().flatten() {
        node.extended.push((name.as_str().into(), quantity(name, value)?.into()));
    }
    for taint in map.get("taints").and_then(Value::as_array).into_iter().flatten() {
        node.taints.push(self::taint(taint)?);
    }
    for image in map.get("images").and_then(Value::as_array).into_iter().flatten() {
        node.images.push(self::image(image)?);
    }
    Ok(node)
}

fn quantity(key: &str, value: &Value) -> Result<String, String> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        other => return Err(format!("`{key}` is a quantity like \"4\", \"500m\" or \"8Gi\", not {other}")),
    };
    match Quantity::parse(&text) {
        Ok(_) => Ok(text),
        Err(_) => Err(format!("`{key}` is a quantity like \"4\", \"500m\" or \"8Gi\", not \"{text}\"")),
    }
}

fn pairs(map: &Map<String, Value>, key: &str) -> Result<Vec<(setup_name::Name, setup_name::Name)>, String> {
    let mut pairs = Vec::new();
    match map.get(key) {
        None => {}
        Some(Value::Object(labels)) => {
            for (name, value) in labels {
                let value = value.as_str().ok_or_else(|| format!("the value of label `{name}` is a text, not {value}"))?;
                pairs.push((name.as_str().into(), value.into()));
            }
        }
        Some(other) => return Err(format!("`{key}` is a map like #{{ disk: \"ssd\" }}, not {other}")),
    }
    Ok(pairs)
}

mod setup_name {
    pub use wavetank_engine::objects::Name;
}

fn taint(value: &Value) -> Result<(setup_name::Name, setup_name::Name, setup_name::Name), String> {
    let wrong = || format!("a taint is a text like \"dedicated=gpu:NoSchedule\", not {value}");
    let text = value.as_str().ok_or_else(wrong)?;
    let (key, effect) = text.rsplit_once(':').ok_or_else(wrong)?;
    if !["NoSchedule", "PreferNoSchedule", "NoExecute"].contains(&effect) {
        return Err(format!("a taint's effect is NoSchedule, PreferNoSchedule or NoExecute, not `{effect}`"));
    }
    let (key, value) = key.split_once('=').unwrap_or((key, ""));
    Ok((key.into(), value.into(), effect.into()))
}

fn image(value: &Value) -> Result<(setup_name::Name, u64), String> {
    match value {
        Value::String(name) => Ok((tagged(name), IMAGE_SIZE)),
        Value::Object(map) => {
            known("an image in `images`", map, &["name", "size"])?;
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

fn tagged(image: &str) -> setup_name::Name {
    wavetank_engine::objects::pod_terms::with_tag(image)
}

fn kubelet(value: &Value, timing: &mut KubeletTiming) -> Result<(), String> {
    let Value::Object(map) = value else {
        return Err("`kubelet` is a map like #{ sandbox: \"500ms\" }".to_owned());
    };
    let keys = [
        "admit", "sandbox", "pull", "bandwidth", "serialize_pulls", "pull_failure", "create", "start", "status_lag", "readiness",
        "termination", "job", "init", "resync", "node_ready", "lease_renew", "status_check", "status_report",
    ];
    known("`kubelet`", map, &keys)?;
    let latencies: [(&str, &mut Latency); 11] = [
        ("admit", &mut timing.admit),
        ("sandbox", &mut timing.sandbox),
        ("pull_failure", &mut timing.pull_failure),
        ("create", &mut timing.create),
        ("start", &mut timing.start),
        ("status_lag", &mut timing.status_lag),
        ("termination", &mut timing.termination),
        ("job", &mut timing.job),
        ("init", &mut timing.init),
        ("resync", &mut timing.resync),
        ("node_ready", &mut timing.node_ready),
    ];
    for (key, field) in latencies {
        if let Some(ns) = time(map, key)? {
            *field = constant(ns);
        }
    }
    let intervals: [(&str, &mut Duration); 3] = [
        ("lease_renew", &mut timing.lease_renew),
        ("status_check", &mut timing.status_check),
        ("status_report", &mut timing.status_report),
    ];
    for (key, field) in intervals {
        if let Some(ns) = time(map, key)? {
            if ns == 0 {
                return Err(format!("`{key}` must be longer than 0s"));
            }
            *field = Duration::from_nanos(ns);
        }
    }
    if let Some(ns) = time(map, "readiness")? {
        timing.readiness = Some(constant(ns));
    }
    if let Some(ns) = time(map, "pull")? {
        timing.pull = Pull::Fixed(constant(ns));
    }
    if let Some(bandwidth) = map.get("bandwidth") {
        let wrong = || format!("`bandwidth` is bytes per second as a quantity like \"50M\", not {bandwidth}");
        let text = quantity("bandwidth", bandwidth).map_err(|_| wrong())?;
        let bytes_per_second = Quantity::parse(&text).map_or(0, |quantity| quantity.value().max(0) as u64);
        if bytes_per_second == 0 {
            return Err(wrong());
        }
        let overhead = match &timing.pull {
            setup::Pull::Bandwidth { overhead, .. } => overhead.clone(),
            setup::Pull::Fixed(_) => Latency::constant(0.0),
        };
        timing.pull = Pull::Bandwidth { overhead, bytes_per_second };
    }
    if let Some(value) = map.get("serialize_pulls") {
        timing.serialize_pulls =
            value.as_bool().ok_or_else(|| format!("`serialize_pulls` is true or false, not {value}"))?;
    }
    Ok(())
}

fn constant(ns: u64) -> Latency {
    Latency::constant(ns as f64 / 1e6)
}

fn time(map: &Map<String, Value>, key: &str) -> Result<Option<u64>, String> {
    match text(map, key).map_err(|_| format!("`{key}` is a duration like \"500ms\" or \"1m30s\""))? {
        None => Ok(None),
        Some(text) => duration::parse(text).map(Some).map_err(|error| format!("`{key}`: {error}")),
    }
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
        assert!(wrong(json!({"etcd": 2})).contains("1, 3 or 5"));
        assert!(wrong(json!({"profile": "lapton"})).contains("laptop"));
        assert!(wrong(json!({"nodes": [{"cpu": "four"}]})).contains("\"four\""));
        assert!(wrong(json!({"kubelet": {"pull": "2 seconds"}})).contains("`pull`"));
        assert!(wrong(json!({"nodes": [{"taints": ["gpu"]}]})).contains("dedicated=gpu:NoSchedule"));
    }
}
