//! What a script says of requests to a Service.

use serde_json::{Map, Value};
use wavetank_engine::kernel::{Duration, Latency};
use wavetank_engine::traffic::Arrivals;

use super::{keys, known, number, text, time};
use crate::script::duration;

/// More requests a second than this are a slip of the finger: each is simulated. [1/s]
const MOST_RATE: f64 = 100_000.0;
/// Most workers of a pod.
const MOST_CONCURRENCY: u64 = 1_000;
/// Most connections that the clients of a node keep.
const MOST_CONNECTIONS: u64 = 1_000;
/// Connections that the clients of a node keep, if they keep any and nothing is said of it.
const CONNECTIONS: u32 = 10;

/// The map given to `traffic`, read; names are not yet looked up.
#[derive(Clone, Debug, PartialEq)]
pub struct TrafficSpec {
    /// What it is called; `None`: as the Service.
    pub name: Option<String>,
    /// Nodes whose rules the requests meet; empty: all.
    pub nodes: Vec<String>,
    /// Whether they come from outside, by the nodes' ports.
    pub outside: bool,
    /// The Service's port.
    pub port: Option<String>,
    /// From one request to the next, on average.
    pub every: Duration,
    /// How they are spread over time.
    pub arrivals: Arrivals,
    /// One way.
    pub link: Latency,
    /// In the pod.
    pub service_time: Latency,
    /// Per pod.
    pub concurrency: u32,
    /// Per pod.
    pub queue: u32,
    /// For each try.
    pub timeout: Duration,
    /// Tries after the first.
    pub retries: u8,
    /// Connections kept per node; zero: none.
    pub keep_alive: u32,
}

/// Reads the map given to `traffic`.
pub(crate) fn traffic(value: &Value) -> Result<TrafficSpec, String> {
    let Value::Object(map) = value else { return Err(format!("traffic is a map like #{{ rps: 50 }}, not {value}")) };
    known("traffic(…)", map, keys::TRAFFIC)?;
    let rate = match map.get("rps") {
        None => 10.0,
        Some(rate) => rate.as_f64().filter(|rate| *rate > 0.0 && *rate <= MOST_RATE).ok_or_else(|| {
            format!("`rps` is a number of requests a second above 0 and up to {MOST_RATE}, not {rate}")
        })?,
    };
    let from = names(map, "from")?;
    let outside = from.iter().any(|name| name == "outside");
    if outside && from.len() > 1 {
        return Err("requests come from \"outside\" or from nodes\nsend two: traffic(…) may be called again".to_owned());
    }
    let via = names(map, "via")?;
    if !via.is_empty() && !outside {
        return Err(
            "`via` says by which nodes requests come in from outside: give `from: \"outside\"` with it".to_owned()
        );
    }
    let bounded = |key: &str, default: u32, least: u64, most: u64| match number(map, key)? {
        None => Ok(default),
        Some(count) if (least..=most).contains(&count) => Ok(count as u32),
        Some(count) => Err(format!("`{key}` is {least} to {most}, not {count}")),
    };
    Ok(TrafficSpec {
        name: text(map, "name")?.map(str::to_owned),
        nodes: if outside { via } else { from },
        outside,
        port: port(map.get("port"))?,
        every: Duration::from_millis_f64(1_000.0 / rate),
        arrivals: match text(map, "arrivals")? {
            None | Some("poisson") => Arrivals::Poisson,
            Some("even") => Arrivals::Even,
            Some(other) => return Err(format!("`arrivals` are \"poisson\" or \"even\", not \"{other}\"")),
        },
        link: latency(map, "latency", 1.0)?,
        service_time: latency(map, "service_time", 30.0)?,
        concurrency: bounded("concurrency", 8, 1, MOST_CONCURRENCY)?,
        queue: bounded("queue", 100, 0, 1_000_000)?,
        timeout: match map.get("timeout") {
            None => Duration::from_secs(1),
            Some(timeout) => match time("timeout", timeout)? {
                0 => return Err("`timeout` must be longer than 0s".to_owned()),
                ns => Duration::from_nanos(ns),
            },
        },
        retries: bounded("retries", 0, 0, 100)? as u8,
        keep_alive: match map.get("keep_alive") {
            None | Some(Value::Bool(false)) => 0,
            Some(Value::Bool(true)) => CONNECTIONS,
            Some(_) => bounded("keep_alive", 0, 1, MOST_CONNECTIONS)?,
        },
    })
}

fn port(value: Option<&Value>) -> Result<Option<String>, String> {
    match value {
        None => Ok(None),
        Some(Value::String(name)) => Ok(Some(name.clone())),
        Some(Value::Number(number)) => Ok(Some(number.to_string())),
        Some(other) => Err(format!("`port` is the name or number of one of the Service's ports, not {other}")),
    }
}

/// One name, or a list of names.
fn names(map: &Map<String, Value>, key: &str) -> Result<Vec<String>, String> {
    let wrong = |found: &Value| format!("`{key}` is a node such as \"worker-1\", or a list of such, not {found}");
    let one = |value: &Value| value.as_str().map(str::to_owned).ok_or_else(|| wrong(value));
    match map.get(key) {
        None => Ok(Vec::new()),
        Some(Value::Array(list)) if list.is_empty() => Err(format!("`{key}` is an empty list")),
        Some(Value::Array(list)) => list.iter().map(one).collect(),
        Some(value) => Ok(vec![one(value)?]),
    }
}

/// A duration, or a map with `median` and `p90`, or with the `mean` of an exponential distribution.
fn latency(map: &Map<String, Value>, key: &str, default_ms: f64) -> Result<Latency, String> {
    let ms = |key: &str, value: &Value| time(key, value).map(|ns| ns as f64 / 1e6);
    match map.get(key) {
        None => Ok(Latency::constant(default_ms)),
        Some(Value::Object(spread)) => match (spread.get("median"), spread.get("p90"), spread.get("mean")) {
            (Some(median), Some(p90), None) if spread.len() == 2 => {
                let (median, p90) = (ms("median", median)?, ms("p90", p90)?);
                if median <= 0.0 || p90 < median {
                    return Err(format!("`{key}`: `median` is above 0s, and `p90` at least as long"));
                }
                Ok(Latency::log_normal(median, p90 / median))
            }
            (None, None, Some(mean)) if spread.len() == 1 => Ok(Latency::Exponential { mean: ms("mean", mean)? }),
            _ => Err(format!("`{key}` as a map is #{{ median: \"30ms\", p90: \"80ms\" }} or #{{ mean: \"30ms\" }}")),
        },
        Some(value) => Ok(Latency::constant(ms(key, value)?)),
    }
}

/// The traffic in words.
pub(crate) fn words(spec: &TrafficSpec) -> String {
    let rate = 1_000.0 / spec.every.as_millis_f64().max(1e-6);
    let rate = (rate * 100.0).round() / 100.0;
    let from = match (spec.outside, spec.nodes.as_slice()) {
        (true, []) => "outside, by every node".to_owned(),
        (true, nodes) => format!("outside, by {}", nodes.join(", ")),
        (false, []) => "every node".to_owned(),
        (false, nodes) => nodes.join(", "),
    };
    let mut text = format!("{rate} requests/s from {from}");
    if spec.retries > 0 {
        text += &format!(", up to {} more tries", spec.retries);
    }
    if spec.keep_alive > 0 {
        text += &format!(", over {} kept connections a node", spec.keep_alive);
    }
    text += &format!(", timeout {}", duration::text(spec.timeout.as_nanos()));
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn traffic_is_what_the_map_says() {
        let value = json!({"rps": 50, "from": ["a", "b"], "service_time": {"median": "20ms", "p90": "50ms"}, "retries": 2,
            "keep_alive": true, "arrivals": "even", "port": 80});
        let read = traffic(&value).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!((read.every, read.retries, read.keep_alive), (Duration::from_millis(20), 2, 10));
        assert_eq!((read.service_time, read.port.as_deref()), (Latency::log_normal(20.0, 2.5), Some("80")));
        let again = traffic(&value).map(|read| words(&read)).unwrap_or_default();
        assert_eq!(again, "50 requests/s from a, b, up to 2 more tries, over 10 kept connections a node, timeout 1s");
        let outside = traffic(&json!({"from": "outside"})).unwrap_or_else(|error| panic!("{error}"));
        assert!(outside.outside && outside.nodes.is_empty());
    }

    #[test]
    fn mistakes_say_what_would_be_right() {
        for (value, part) in [
            (json!(5), "rps: 50"),
            (json!({"rps": 0}), "above 0"),
            (json!({"rsp": 5}), "`rps`"),
            (json!({"from": ["outside", "worker-1"]}), "called again"),
            (json!({"from": []}), "empty list"),
            (json!({"via": "worker-1"}), "from: \"outside\""),
            (json!({"concurrency": 0}), "1 to 1000"),
            (json!({"service_time": {"median": "30ms"}}), "p90"),
            (json!({"timeout": "0s"}), "longer than 0s"),
            (json!({"arrivals": "bursty"}), "poisson"),
            (json!({"port": true}), "one of the Service's ports"),
        ] {
            let text = traffic(&value).err().unwrap_or_default();
            assert!(text.contains(part), "{value}: {text}");
        }
    }

    #[test]
    fn every_key_of_the_table_is_understood() {
        for key in keys::TRAFFIC {
            let value = rhai::Engine::new().eval::<rhai::Dynamic>(key.example).expect("an example");
            let value = crate::script::convert::to_json(&value).expect("a value");
            let mut map = json!({ key.name: value });
            if key.name == "via" {
                map["from"] = json!("outside");
            }
            assert!(traffic(&map).is_ok(), "{}: {:?}", key.name, traffic(&map));
        }
    }
}
