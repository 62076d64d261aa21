//! What a script says of etcd: how many members, the flags, the disks.

use serde_json::{Map, Value};
use wavetank_engine::etcd::{AutoCompaction, EtcdSettings};
use wavetank_engine::kernel::Duration;

use super::keys;
use super::{bandwidth, known, number, quantity_bytes, time};
use crate::session::DiskSpeed;

/// The numbers of members a cluster can have.
const MEMBERS: [u64; 4] = [1, 3, 5, 7];

/// Reads `etcd`, a number or a map, into the settings; the answer is the number of members.
pub(super) fn etcd(value: Option<&Value>, settings: &mut EtcdSettings) -> Result<u8, String> {
    let empty = Map::new();
    let (members, map) = match value {
        None => (1, &empty),
        Some(Value::Object(map)) => (number(map, "members")?.unwrap_or(1), map),
        Some(value) => match value.as_u64() {
            Some(members) => (members, &empty),
            None => {
                return Err(format!("`etcd` is the number of members, or a map like #{{ members: 3 }}, not {value}"));
            }
        },
    };
    if !MEMBERS.contains(&members) {
        return Err(format!("`etcd` has 1, 3, 5 or 7 members, not {members}"));
    }
    known("`etcd`", map, keys::ETCD)?;
    if let Some(quota) = map.get("quota") {
        settings.quota_bytes = quantity_bytes("quota", quota)?;
    }
    if let Some(interval) = map.get("heartbeat") {
        settings.pace.tick = positive("heartbeat", interval)?;
    }
    let tick = settings.pace.tick.as_nanos();
    if let Some(timeout) = map.get("election") {
        let ticks = positive("election", timeout)?.as_nanos() / tick;
        // – etcd: embed.Config.Validate: 5 × the heartbeat interval.
        if ticks < 5 {
            return Err(format!(
                "`election` is at least five times the heartbeat interval ({}), not {timeout}",
                crate::script::duration::text(tick)
            ));
        }
        settings.pace.election = ticks;
    }
    if let Some(auto) = map.get("auto_compaction") {
        settings.auto_compaction = auto_compaction(auto)?;
    }
    let speed = disk_of(map)?;
    if let Some(fsync) = speed.fsync {
        let factor = fsync.as_millis_f64() / settings.costs.fsync.median().as_millis_f64().max(1e-6);
        settings.costs.fsync = settings.costs.fsync.scaled(factor);
        settings.costs.commit = settings.costs.commit.scaled(factor);
    }
    if let Some(bytes) = speed.bandwidth {
        settings.costs.fsync_per_kib = Duration::from_nanos(1_024 * 1_000_000_000 / bytes.max(1));
    }
    Ok(members as u8)
}

/// A disk as the word `disk` takes it.
pub(crate) fn disk(value: &Value) -> Result<DiskSpeed, String> {
    let Value::Object(map) = value else {
        return Err(format!("a disk is a map like #{{ fsync: \"45ms\" }}, not {value}"));
    };
    known("a disk", map, keys::DISK)?;
    disk_of(map)
}

fn disk_of(map: &Map<String, Value>) -> Result<DiskSpeed, String> {
    Ok(DiskSpeed {
        fsync: map.get("fsync").map(|fsync| positive("fsync", fsync)).transpose()?,
        bandwidth: map.get("bandwidth").map(|bytes| bandwidth("bandwidth", bytes)).transpose()?,
    })
}

fn auto_compaction(value: &Value) -> Result<AutoCompaction, String> {
    match value {
        Value::String(text) if text == "off" => Ok(AutoCompaction::Off),
        Value::String(_) => Ok(AutoCompaction::Periodic(positive("auto_compaction", value)?)),
        Value::Number(_) => match value.as_u64() {
            Some(revisions) if revisions > 0 => Ok(AutoCompaction::Revision(revisions)),
            _ => Err(format!("`auto_compaction` keeps at least one revision, not {value}")),
        },
        other => Err(format!(
            "`auto_compaction` is how long history is kept (\"1h\"), how many revisions are (1000), or \"off\"; not {other}"
        )),
    }
}

fn positive(key: &str, value: &Value) -> Result<Duration, String> {
    match time(key, value)? {
        0 => Err(format!("`{key}` must be longer than 0s")),
        ns => Ok(Duration::from_nanos(ns)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn of(value: Value) -> Result<(u8, EtcdSettings), String> {
        let mut settings = EtcdSettings::default();
        etcd(Some(&value), &mut settings).map(|members| (members, settings))
    }

    #[test]
    fn flags_are_what_the_map_says() {
        let (members, settings) = of(json!({
            "members": 7, "quota": "8Gi", "auto_compaction": "1h", "fsync": "45ms", "heartbeat": "50ms", "election": "500ms",
        }))
        .unwrap_or_else(|error| panic!("{error}"));
        assert_eq!((members, settings.quota_bytes, settings.pace.election), (7, 8 << 30, 10));
        assert_eq!(settings.auto_compaction, AutoCompaction::Periodic(Duration::from_secs(3_600)));
        assert!((settings.costs.fsync.median().as_millis_f64() - 45.0).abs() < 0.1);
        assert_eq!(of(json!(5)).map(|(members, _)| members), Ok(5));
        assert_eq!(
            of(json!({"auto_compaction": 1000})).map(|(_, s)| s.auto_compaction),
            Ok(AutoCompaction::Revision(1_000))
        );
    }

    #[test]
    fn mistakes_say_what_would_be_right() {
        for (value, part) in [
            (json!(2), "1, 3, 5 or 7"),
            (json!("three"), "#{ members: 3 }"),
            (json!({"member": 3}), "members"),
            (json!({"quota": "lots"}), "`quota`"),
            (json!({"auto_compaction": true}), "\"off\""),
            (json!({"auto_compaction": 0}), "at least one revision"),
            (json!({"election": "200ms"}), "five times"),
            (json!({"fsync": "0ms"}), "longer than 0s"),
        ] {
            let text = of(value.clone()).err().unwrap_or_default();
            assert!(text.contains(part), "{value}: {text}");
        }
    }
}
