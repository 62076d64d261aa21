//! What a script says of a client that writes.

use serde_json::Value;
use wavetank_engine::apiserver::validation::names;
use wavetank_engine::kernel::Duration;

use super::keys;
use super::{known, number, quantity_bytes, text as word};
use crate::session::LoadSpec;

/// Largest content of a ConfigMap. [bytes] – kubernetes: MaxSecretSize, 1 MiB, for the sum of its values.
const MAX_SIZE: u64 = 1 << 20;
/// Faster writers than this are a slip of the finger. [1/s]
const MAX_RATE: f64 = 100_000.0;

/// Reads the map given to `load`.
pub(crate) fn load(value: &Value) -> Result<LoadSpec, String> {
    let Value::Object(map) = value else { return Err(format!("a load is a map like #{{ rate: 20 }}, not {value}")) };
    known("load(…)", map, keys::LOAD)?;
    let rate = match map.get("rate") {
        None => 10.0,
        Some(rate) => rate
            .as_f64()
            .filter(|rate| *rate > 0.0 && *rate <= MAX_RATE)
            .ok_or_else(|| format!("`rate` is a number of writes a second above 0, not {rate}"))?,
    };
    let size = match map.get("size") {
        None => 16 << 10,
        Some(size) => quantity_bytes("size", size)?,
    };
    if size > MAX_SIZE {
        return Err(format!("`size` is at most 1Mi, the most a ConfigMap holds, not {size} bytes"));
    }
    let positive = |key: &str, default: u64| match number(map, key)? {
        Some(0) => Err(format!("`{key}` is at least 1")),
        Some(count) => Ok(count),
        None => Ok(default),
    };
    let name = word(map, "name")?.unwrap_or("load");
    let namespace = word(map, "namespace")?.unwrap_or("default");
    if !names::dns_subdomain(&format!("{name}-0")).is_empty() {
        return Err(format!("`name` is of lower-case letters, digits, `-` and `.`, not \"{name}\""));
    }
    Ok(LoadSpec {
        name: name.to_owned(),
        namespace: namespace.to_owned(),
        objects: positive("objects", 100)?,
        size: size as usize,
        every: Duration::from_millis_f64(1_000.0 / rate),
        at_once: positive("at_once", 10)? as usize,
    })
}

/// A load in words.
pub(crate) fn text(load: &LoadSpec) -> String {
    let rate = 1_000.0 / load.every.as_millis_f64().max(1e-6);
    let rate = (rate * 100.0).round() / 100.0;
    let kib = load.size as f64 / 1_024.0;
    format!("{rate} writes/s of {kib} KiB over {} ConfigMaps in {}", load.objects, load.namespace)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_load_is_what_the_map_says() {
        let load = load(&json!({"rate": 0.5, "size": "256Ki", "objects": 3})).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!((load.every, load.size, load.objects, load.at_once), (Duration::from_secs(2), 256 << 10, 3, 10));
        assert_eq!(text(&load), "0.5 writes/s of 256 KiB over 3 ConfigMaps in default");
    }

    #[test]
    fn mistakes_say_what_would_be_right() {
        for (value, part) in [
            (json!({"rate": 0}), "above 0"),
            (json!({"size": "2Mi"}), "at most 1Mi"),
            (json!({"objects": 0}), "at least 1"),
            (json!({"sise": "1Ki"}), "size"),
            (json!({"name": "A"}), "lower-case"),
        ] {
            let text = load(&value).err().unwrap_or_default();
            assert!(text.contains(part), "{value}: {text}");
        }
    }
}
