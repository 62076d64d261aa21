//! What a script says of the kubelets' configuration, of images, and of what is left on a node.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use wavetank_engine::kernel::Duration;
use wavetank_engine::kubelet::{Amount, KubeletConfiguration, Signal, Threshold};
use wavetank_engine::objects::Name;
use wavetank_engine::objects::quantity::Quantity;
use wavetank_engine::setup::KubeletTiming;

use super::keys;
use super::{known, quantity_bytes, time};

/// Takes from the map under `kubelet` what is a matter of configuration.
pub(super) fn configure(
    map: &Map<String, Value>,
    into: &mut KubeletConfiguration,
    timing: &mut KubeletTiming,
) -> Result<(), String> {
    for (key, value) in map {
        match key.as_str() {
            "max_parallel_pulls" => {
                let most = whole(key, value)?;
                into.max_parallel_image_pulls = Some(most);
                if most > 1 {
                    if map.get("serialize_pulls") == Some(&Value::Bool(true)) {
                        return Err(
                            "`max_parallel_pulls` above 1 and `serialize_pulls: true` exclude each other".into()
                        );
                    }
                    timing.serialize_pulls = false;
                }
            }
            "shared_layers" => {
                let share = value.as_f64().filter(|share| (0.0..=1.0).contains(share));
                let share = share.ok_or_else(|| format!("`{key}` is a share from 0 to 1, not {value}"))?;
                into.shared_layers = (share * 1_000.0).round() as u64;
            }
            "registry_qps" => into.registry_pull.0 = whole(key, value)?,
            "registry_burst" => into.registry_pull.1 = whole(key, value)?,
            "image_gc_high" => into.image_gc.0 = percent(key, value)?,
            "image_gc_low" => into.image_gc.1 = percent(key, value)?,
            "image_minimum_age" => into.image_minimum_age = Duration::from_nanos(time(key, value)?),
            "eviction_max_pod_grace_period" => into.eviction_max_pod_grace = time(key, value)? / 1_000_000_000,
            "eviction_pressure_transition_period" => {
                into.pressure_transition = Duration::from_nanos(time(key, value)?);
            }
            "shutdown_grace_period" => into.shutdown_grace = Duration::from_nanos(time(key, value)?),
            "shutdown_grace_period_critical_pods" => {
                into.shutdown_grace_critical = Duration::from_nanos(time(key, value)?);
            }
            _ => {}
        }
    }
    if map.contains_key("shutdown_grace_period") && into.shutdown_grace_critical > into.shutdown_grace {
        return Err("`shutdown_grace_period_critical_pods` is a part of `shutdown_grace_period`, not more".to_owned());
    }
    if into.image_gc.0 < into.image_gc.1 {
        return Err("`image_gc_low` is at most `image_gc_high`".to_owned());
    }
    thresholds(map, into)
}

fn thresholds(map: &Map<String, Value>, into: &mut KubeletConfiguration) -> Result<(), String> {
    if let Some(hard) = map.get("eviction_hard") {
        // Whoever names one replaces all.
        let hard = signals("eviction_hard", hard)?;
        into.thresholds = hard
            .into_iter()
            .map(|(signal, text)| Ok(Threshold::hard(signal, amount("eviction_hard", &text)?)))
            .collect::<Result<_, String>>()?;
    }
    if let Some(soft) = map.get("eviction_soft") {
        for (signal, text) in signals("eviction_soft", soft)? {
            let wrong =
                || format!("a soft threshold in `eviction_soft` is a text like \"500Mi for 90s\", not \"{text}\"");
            let (value, grace) = text.split_once(" for ").ok_or_else(wrong)?;
            let value = amount("eviction_soft", value.trim())?;
            let grace = crate::script::duration::parse(grace.trim()).map_err(|_| wrong())?;
            if grace == 0 {
                return Err(wrong());
            }
            let grace = Duration::from_nanos(grace);
            into.thresholds.push(Threshold { grace, ..Threshold::hard(signal, value) });
        }
    }
    if let Some(reclaim) = map.get("eviction_minimum_reclaim") {
        for (signal, text) in signals("eviction_minimum_reclaim", reclaim)? {
            let reclaim = amount("eviction_minimum_reclaim", &text)?;
            let all = into.thresholds.iter_mut().filter(|threshold| threshold.signal == signal);
            all.for_each(|threshold| threshold.reclaim = reclaim);
        }
    }
    Ok(())
}

/// The entries of a map from signals to texts.
fn signals(key: &str, value: &Value) -> Result<Vec<(Signal, String)>, String> {
    let all: Vec<&str> = Signal::ALL.iter().map(|signal| signal.name()).collect();
    let wrong = || format!("`{key}` is a map like #{{ \"memory.available\": \"500Mi\" }}, not {value}");
    let map = value.as_object().ok_or_else(wrong)?;
    let mut found: Vec<(Signal, String)> = Vec::new();
    for (name, value) in map {
        let signal = Signal::ALL.into_iter().find(|signal| signal.name() == name);
        let signal = signal.ok_or_else(|| format!("`{key}` knows {}, not `{name}`", all.join(", ")))?;
        found.push((signal, value.as_str().ok_or_else(wrong)?.to_owned()));
    }
    found.sort_by_key(|(signal, _)| *signal);
    Ok(found)
}

fn amount(key: &str, text: &str) -> Result<Amount, String> {
    Amount::parse(text).ok_or_else(|| format!("`{key}` has amounts like \"100Mi\" or \"10%\", not \"{text}\""))
}

fn whole(key: &str, value: &Value) -> Result<u32, String> {
    let number = value.as_u64().and_then(|number| u32::try_from(number).ok());
    number.ok_or_else(|| format!("`{key}` is a whole number of at least 0, not {value}"))
}

fn percent(key: &str, value: &Value) -> Result<u64, String> {
    let number = value.as_u64().filter(|number| *number <= 100);
    number.ok_or_else(|| format!("`{key}` is a percentage from 0 to 100, not {value}"))
}

/// The map under `image_sizes`: images, with a tag or without, and their sizes.
pub(super) fn image_sizes(value: &Value) -> Result<BTreeMap<Name, u64>, String> {
    let Value::Object(map) = value else {
        return Err(format!("`image_sizes` is a map like #{{ \"nginx:1.25\": \"190M\" }}, not {value}"));
    };
    map.iter().map(|(image, size)| Ok((image.as_str().into(), quantity_bytes(image, size)?))).collect()
}

/// The map given to `node_pressure`.
pub(crate) fn pressure(value: &Value) -> Result<BTreeMap<Signal, Amount>, String> {
    let Value::Object(map) = value else {
        return Err(format!("pressure is a map like #{{ memory_available: \"50Mi\" }}, not {value}"));
    };
    known("node_pressure(…)", map, keys::PRESSURE)?;
    let entry = |(key, value): (&String, &Value)| {
        let signal = match key.as_str() {
            "memory_available" => Signal::Memory,
            "nodefs_available" => Signal::NodeFs,
            "imagefs_available" => Signal::ImageFs,
            _ => Signal::Pid,
        };
        let text = value.as_str().map(str::to_owned).or_else(|| value.as_u64().map(|number| number.to_string()));
        let text = text.ok_or_else(|| format!("`{key}` is an amount like \"50Mi\" or \"5%\", not {value}"))?;
        Ok((signal, amount(key, &text)?))
    };
    match map.is_empty() {
        true => Err("node_pressure(…) is given nothing that is short\nnode_relief(…) ends it".to_owned()),
        false => map.iter().map(entry).collect(),
    }
}

/// `50 kB/s`, `5MB/s`, `50k`: bytes a second, above zero.
pub(crate) fn speed(text: &str) -> Option<u64> {
    let number = text.trim().trim_end_matches("/s").trim_end().trim_end_matches('B').replace(' ', "");
    let number = number.strip_suffix('K').map_or(number.clone(), |number| format!("{number}k"));
    let bytes = u64::try_from(Quantity::parse(&number).ok()?.value()).ok()?;
    (bytes > 0).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn of(value: Value) -> Result<KubeletConfiguration, String> {
        let (mut into, mut timing) = (KubeletConfiguration::default(), wavetank_engine::profiles::laptop().kubelet);
        configure(value.as_object().unwrap_or(&Map::new()), &mut into, &mut timing)?;
        Ok(into)
    }

    #[test]
    fn thresholds_are_what_the_maps_say() {
        let configuration = of(json!({
            "eviction_hard": {"memory.available": "5%"},
            "eviction_soft": {"nodefs.available": "2Gi for 1m30s"},
            "eviction_minimum_reclaim": {"memory.available": "1Gi"},
        }));
        let thresholds = configuration.map(|it| it.thresholds).unwrap_or_default();
        assert_eq!(thresholds.len(), 2, "one replaces all that are hard by default");
        assert_eq!((thresholds[0].value, thresholds[0].reclaim), (Amount::Share(50), Amount::Of(1 << 30)));
        assert_eq!((thresholds[1].signal, thresholds[1].grace), (Signal::NodeFs, Duration::from_secs(90)));
    }

    #[test]
    fn mistakes_say_what_would_be_right() {
        let wrong = |value: Value| of(value).err().unwrap_or_default();
        assert!(wrong(json!({"eviction_hard": {"memory": "5%"}})).contains("memory.available"));
        assert!(wrong(json!({"eviction_soft": {"memory.available": "5%"}})).contains("500Mi for 90s"));
        assert!(wrong(json!({"eviction_hard": {"memory.available": "much"}})).contains("\"10%\""));
        assert!(wrong(json!({"max_parallel_pulls": 3, "serialize_pulls": true})).contains("exclude"));
        assert!(wrong(json!({"image_gc_high": 70})).contains("image_gc_low"));
        assert!(wrong(json!({"shared_layers": 2})).contains("from 0 to 1"));
        let short = json!({"shutdown_grace_period": "5s", "shutdown_grace_period_critical_pods": "10s"});
        assert!(wrong(short).contains("not more"));
        assert!(pressure(&json!({"memory": "1"})).is_err_and(|why| why.contains("memory_available")));
        assert!(pressure(&json!({})).is_err_and(|why| why.contains("node_relief")));
    }

    #[test]
    fn speeds_are_read_as_people_write_them() {
        assert_eq!(
            ["50 kB/s", "5MB/s", "2k", "1 KiB/s", "1K"].map(speed),
            [Some(50_000), Some(5_000_000), Some(2_000), Some(1_024), Some(1_000)]
        );
        assert_eq!([speed("slow"), speed("0"), speed("-1k")], [None; 3]);
    }
}
