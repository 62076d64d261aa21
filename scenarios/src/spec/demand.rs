//! What a script says of the work that pods are asked to do, and of the metrics server that measures it.

use serde_json::Value;
use wavetank_engine::kernel::Duration;
use wavetank_engine::metrics_server::RESOLUTION;
use wavetank_engine::metrics_server::demand::{Curve, CurveError, Demand};
use wavetank_engine::objects::quantity::Quantity;

use super::{keys, known, quantity, text as word, time};
use crate::script::duration;

/// Reads `metrics_server`: how often it scrapes, if there is one.
pub(super) fn metrics_server(value: Option<&Value>) -> Result<Option<Duration>, String> {
    let resolution = match value {
        None | Some(Value::Bool(false)) => return Ok(None),
        Some(Value::Bool(true)) => return Ok(Some(RESOLUTION)),
        Some(Value::Object(map)) => {
            known("`metrics_server`", map, keys::METRICS_SERVER)?;
            match map.get("resolution") {
                None => RESOLUTION,
                Some(value) => Duration::from_nanos(time("resolution", value)?),
            }
        }
        Some(other) => {
            return Err(format!(
                "`metrics_server` is true, false, or a map like #{{ resolution: \"15s\" }}, not {other}"
            ));
        }
    };
    // metrics-server itself: "metric-resolution should be a time duration at least 10s".
    if resolution < Duration::from_secs(10) {
        return Err("`resolution` is at least 10s: the kubelet has nothing newer".to_owned());
    }
    Ok(Some(resolution))
}

/// Reads what is given to `demand`, after the target.
pub(crate) fn demand(value: &Value) -> Result<Demand, String> {
    let Value::Object(map) = value else {
        if !matches!(value, Value::String(_) | Value::Number(_)) {
            let right =
                "a CPU quantity like \"500m\", or a map like #{ cpu: [[\"0s\", \"200m\"], [\"2m\", \"1500m\"]] }";
            return Err(format!("a demand is {right}, not {value}"));
        }
        return Ok(Demand { cpu: Curve::constant(amount("cpu", value, CPU)?), ..Demand::default() });
    };
    known("demand(…)", map, keys::DEMAND)?;
    let steps = match word(map, "shape")? {
        None | Some("linear") => false,
        Some("steps") => true,
        Some(other) => return Err(format!("`shape` is \"linear\" or \"steps\", not \"{other}\"")),
    };
    let repeat = map.get("repeat").map(|value| time("repeat", value).map(Duration::from_nanos)).transpose()?;
    let read = |key: &str, unit: Unit| match map.get(key) {
        None => Ok(Curve::default()),
        Some(Value::Array(points)) => curve(key, points, unit, steps, repeat),
        Some(value) => Ok(Curve::constant(amount(key, value, unit)?)),
    };
    Ok(Demand {
        cpu: read("cpu", CPU)?,
        cpu_per_pod: read("cpu_per_pod", CPU)?,
        memory: read("memory", MEMORY)?,
        memory_per_pod: read("memory_per_pod", MEMORY)?,
    })
}

/// A demand in words.
pub(crate) fn text(value: &Value) -> String {
    let Value::Object(map) = value else { return format!("cpu {}", plain(value)) };
    let mut parts = Vec::new();
    for key in ["cpu", "cpu_per_pod", "memory", "memory_per_pod"] {
        let Some(value) = map.get(key) else { continue };
        let name = key.replace('_', " ");
        match value {
            Value::Array(points) => {
                let points: Vec<String> =
                    points.iter().map(|point| format!("{} at {}", plain(&point[1]), plain(&point[0]))).collect();
                parts.push(format!("{name} {}", points.join(", ")));
            }
            value => parts.push(format!("{name} {}", plain(value))),
        }
    }
    let again = map.get("repeat").map_or_else(String::new, |every| format!(", again every {}", plain(every)));
    let steps = if map.get("shape").is_some_and(|shape| shape == "steps") { ", in steps" } else { "" };
    format!("{}{steps}{again}", if parts.is_empty() { "nothing".to_owned() } else { parts.join("; ") })
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// From thousandths, or units, to what a curve counts in.
type Unit = fn(Quantity) -> Option<u64>;
const CPU: Unit = |quantity| u64::try_from(quantity.milli()).ok()?.checked_mul(1_000_000);
const MEMORY: Unit = |quantity| u64::try_from(quantity.value()).ok();

fn amount(key: &str, value: &Value, unit: Unit) -> Result<u64, String> {
    let wrong =
        || format!("`{key}` is a quantity like \"500m\" or \"64Mi\", or a list of [time, quantity], not {value}");
    let text = quantity(key, value).map_err(|_| wrong())?;
    Quantity::parse(&text).ok().and_then(unit).ok_or_else(wrong)
}

fn curve(key: &str, points: &[Value], unit: Unit, steps: bool, repeat: Option<Duration>) -> Result<Curve, String> {
    let mut read = Vec::new();
    for (place, point) in points.iter().enumerate() {
        let Some([at, value]) = point.as_array().map(Vec::as_slice) else {
            let place = place + 1;
            return Err(format!("point {place} of `{key}` is a pair like [\"2m\", \"1500m\"], not {point}"));
        };
        let at = time(&format!("point {} of {key}", place + 1), at)?;
        read.push((Duration::from_nanos(at), amount(key, value, unit)?));
    }
    let last = read.last().map_or(0, |(at, _)| at.as_nanos());
    Curve::new(read, steps, repeat).map_err(|error| match error {
        CurveError::Repeat => format!(
            "`repeat` is at least {}, where the last point of `{key}` is, not {}",
            duration::text(last),
            duration::text(repeat.map_or(0, Duration::as_nanos))
        ),
        CurveError::Often => {
            format!("`repeat` is at least 1s, not {}", duration::text(repeat.map_or(0, Duration::as_nanos)))
        }
        error => format!("`{key}`: {error}\na point is a time since the call and a quantity: [\"2m\", \"1500m\"]"),
    })
}

/// A target such as `deployment/web`: type and name.
pub(crate) fn target(text: &str) -> Result<(&str, &str), String> {
    text.split_once('/')
        .filter(|(kind, name)| !kind.is_empty() && !name.is_empty() && !name.contains('/'))
        .ok_or_else(|| format!("a target is type and name like \"deployment/web\" or \"pod/web-0\", not \"{text}\""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_demand_is_what_the_map_says() {
        let value = json!({"cpu": [["0s", "200m"], ["2m", "1500m"]], "repeat": "4m", "cpu_per_pod": "20m", "memory_per_pod": "64Mi"});
        let read = demand(&value).unwrap_or_else(|error| panic!("{error}"));
        let at = |seconds| Duration::from_secs(seconds);
        assert_eq!([read.cpu.value(at(60)), read.cpu.value(at(250))], [850_000_000, 308_333_333]);
        assert_eq!((read.cpu_per_pod.value(at(9)), read.memory_per_pod.value(at(9))), (20_000_000, 64 << 20));
        assert_eq!(text(&value), "cpu 200m at 0s, 1500m at 2m; cpu per pod 20m; memory per pod 64Mi, again every 4m");
        let plain = demand(&json!("1500m")).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(plain.cpu.value(at(5)), 1_500_000_000);
    }

    #[test]
    fn mistakes_say_what_would_be_right() {
        for (value, part) in [
            (json!(true), "a demand is a CPU quantity like"),
            (json!({"cpus": "1"}), "it knows cpu"),
            (json!({"cpu": "much"}), "`cpu` is a quantity like \"500m\""),
            (json!({"cpu": []}), "at least one point"),
            (json!({"cpu": [["0s", "1"], ["0s", "2"]]}), "point 2 of the curve is not later"),
            (json!({"cpu": ["0s", "1"]}), "point 1 of `cpu` is a pair"),
            (json!({"cpu": [["soon", "1"]]}), "point 1 of cpu"),
            (json!({"cpu": [["0s", "1"], ["2m", "2"]], "repeat": "1m"}), "`repeat` is at least 2m"),
            (json!({"cpu": [["0s", "1"]], "repeat": "1ms"}), "`repeat` is at least 1s, not 1ms"),
            (json!({"cpu": "1", "shape": "round"}), "\"linear\" or \"steps\""),
        ] {
            let text = demand(&value).err().unwrap_or_default();
            assert!(text.contains(part), "{value}: {text}");
        }
        assert!(target("web").is_err_and(|text| text.contains("\"deployment/web\"")));
    }

    #[test]
    fn a_metrics_server_is_there_if_it_is_asked_for() {
        let read = |value| metrics_server(Some(&value));
        assert_eq!((metrics_server(None), read(json!(true))), (Ok(None), Ok(Some(RESOLUTION))));
        assert_eq!(read(json!({"resolution": "1m"})), Ok(Some(Duration::from_secs(60))));
        assert!(read(json!({"resolution": "1s"})).is_err_and(|text| text.contains("at least 10s")));
        assert!(read(json!("yes")).is_err_and(|text| text.contains("true, false, or a map")));
    }
}
