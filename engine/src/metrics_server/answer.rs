//! `metrics.k8s.io/v1beta1` as its clients see it: PodMetrics, written and read.
//!
//! Models: metrics-server v0.8 pkg/storage/types.go, pkg/api/pod.go (CPU in nano-CPUs, memory in KiB, times in whole seconds).

use serde_json::{Value, json};

use super::meter::Sample;
use crate::kernel::{Duration, Instant};
use crate::objects::quantity::Quantity;
use crate::objects::{Key, Object, json as api_json, moment};

/// A pod's usage as a client reads it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PodUsage {
    /// The pod's name.
    pub name: String,
    /// The end of the window, to the second.
    pub at: Instant,
    /// How long was measured.
    pub window: Duration,
    /// Container, CPU [1/1000 CPU, rounded up], memory [1/1000 byte].
    pub containers: Vec<(String, i64, i64)>,
}

/// A PodMetricsList.
pub(super) fn list(items: Vec<Value>) -> Value {
    json!({"kind": "PodMetricsList", "apiVersion": "metrics.k8s.io/v1beta1", "metadata": {}, "items": items})
}

/// The PodMetrics of a pod between two samples.
pub(super) fn pod(key: &Key, object: &Object, from: Sample, to: Sample, now: Instant) -> Value {
    let window = to.at.since(from.at);
    let nanos = to.used.saturating_sub(from.used) / u128::from(window.as_nanos().max(1));
    let names = object.as_pod().map(|pod| pod.spec.api.containers.as_slice()).unwrap_or_default();
    let containers = names.iter().enumerate().map(|(place, container)| {
        // All the work is the first container's.
        let (cpu, memory) = if place == 0 { (nanos, to.memory.div_ceil(1024)) } else { (0, 0) };
        let cpu = if cpu == 0 { "0".to_owned() } else { format!("{cpu}n") };
        let memory = if memory == 0 { "0".to_owned() } else { format!("{memory}Ki") };
        json!({"name": container.name, "usage": {"cpu": cpu, "memory": memory}})
    });
    let labels: serde_json::Map<String, Value> =
        object.meta().labels.iter().map(|(name, value)| (name.to_string(), value.to_string().into())).collect();
    json!({
        "metadata": {
            "name": *key.name, "namespace": *key.namespace, "creationTimestamp": api_json::time(now), "labels": labels,
        },
        "timestamp": api_json::time(to.at), "window": seconds(window), "containers": containers.collect::<Vec<_>>(),
    })
}

/// The usages in an answer; what makes no sense is left out.
pub fn read(list: &Value) -> Vec<PodUsage> {
    let items = list["items"].as_array().map(Vec::as_slice).unwrap_or_default();
    items.iter().filter_map(one).collect()
}

fn one(item: &Value) -> Option<PodUsage> {
    let time = item["timestamp"].as_str()?.parse().ok()?;
    let at = moment::instant(&k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(time));
    let seconds: f64 = item["window"].as_str()?.strip_suffix('s')?.parse().ok()?;
    let window = Duration::from_millis_f64(seconds * 1_000.0);
    let containers = item["containers"].as_array()?.iter().filter_map(|container| {
        let amount = |what: &str| Some(Quantity::parse(container["usage"][what].as_str()?).ok()?.milli());
        Some((container["name"].as_str()?.to_owned(), amount("cpu")?, amount("memory")?))
    });
    Some(PodUsage { name: item["metadata"]["name"].as_str()?.to_owned(), at, window, containers: containers.collect() })
}

/// Seconds with as many digits as it takes, as Go prints durations below a minute.
fn seconds(duration: Duration) -> String {
    let (whole, rest) = (duration.as_nanos() / 1_000_000_000, duration.as_nanos() % 1_000_000_000);
    if rest == 0 {
        return format!("{whole}s");
    }
    let digits = format!("{rest:09}");
    format!("{whole}.{}s", digits.trim_end_matches('0'))
}
