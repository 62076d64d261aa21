//! What members of etcd and the API server count, for a script to compute with.

use super::super::errors::{Fallible, Problem};
use super::super::host::borrow;
use super::{Call, Function, Group, Receiver};
use crate::session::sampler::Sample;
use rhai::{Array, Dynamic, Map};
use wavetank_engine::etcd::{Gauges, Histogram, Metrics};
use wavetank_engine::kernel::Spread;

pub(super) const FUNCTIONS: &[Function] = &[Function {
    name: "metrics",
    group: Group::Etcd,
    signatures: &["metrics(\"etcd\")", "metrics(\"etcd\", window)", "metrics(\"apiserver\", window)"],
    summary: "What the members of etcd count, to compute with: a map with an entry for each member, \
            `etcd-0`, `etcd-1` …, printing nothing. A member has `up` and `name`, and while it is up: `leader`, `has_leader`, `learner`, `db_size`, `db_size_in_use` and `quota` in bytes, `keys`, `revision`, \
            `compact_revision`, `watchers`, `leader_changes`, `proposals_applied`, `proposals_committed`, \
            `proposals_pending`, `proposals_failed`, `slow_applies`, `slow_reads`, `failed_reads`, `late_heartbeats`, \
            `puts`, `deletes`, `ranges`, `txns`, `events`, `leases_granted`, `leases_revoked`, `wal_bytes`, `alarms` \
            (a list of names), and the histograms `fsync`, `commit`, `apply` and `defrag`, each with `count`, `sum`, \
            `p50`, `p90`, `p99` in seconds; quantiles are estimated from the buckets, as Prometheus does, and are `()` where nothing was counted. \
            With a window such as `\"1m\"`, `fsync` and `commit` are those of the last minute alone, and finer. Of the API \
            servers, taken together, there are `reads` and `writes` (with `count`, `p50`, `p90`, `p99`), `watches` (how many were opened) and `errors` (429, and from \
            500 on) within the window.",
    example: "for member in metrics(\"etcd\").values() {\n    \
            expect(member.fsync.p99 < 0.01, \"the disks are fast enough\");\n}",
    receiver: Receiver::Cluster,
    arity: 1..=2,
    run: metrics,
}];

fn metrics(call: &Call<'_>) -> Fallible<Dynamic> {
    let of = call.text(0, "component")?;
    let window = if call.args.len() > 1 { Some(call.duration(1)?) } else { None };
    let mut host = borrow(call.host);
    let session = host.session()?;
    let recent = window.map(|window| session.recent(window));
    match (of.as_str(), &recent) {
        ("etcd", _) => {}
        ("apiserver", Some(recent)) => return Ok(of_the_apiserver(recent).into()),
        ("apiserver", None) => {
            return Err(Problem::new("`metrics(\"apiserver\")` wants a window")
                .hint("how long to look back: metrics(\"apiserver\", \"1m\")")
                .into());
        }
        _ => {
            let problem = Problem::new(format!("there are no metrics of `{of}` here"));
            return Err(problem.hint("there are metrics(\"etcd\") and metrics(\"apiserver\", \"1m\")").into());
        }
    }
    let members: Vec<(u8, String)> =
        session.world().etcd().iter().map(|member| (member.number(), member.name().to_string())).collect();
    let mut map = Map::new();
    for (number, name) in members {
        let mut entry = Map::new();
        let found = session.etcd_metrics(number);
        entry.insert("up".into(), found.is_some().into());
        entry.insert("name".into(), name.into());
        if let Some((_, gauges, metrics)) = found {
            fill(&mut entry, &gauges, &metrics);
            let seen = recent.as_ref().and_then(|recent| recent.members.get(usize::from(number)));
            for (name, spread) in seen.into_iter().flat_map(|seen| [("fsync", &seen.fsyncs), ("commit", &seen.commits)])
            {
                entry.insert(name.into(), spread_quantiles(spread).into());
            }
        }
        map.insert(format!("etcd-{number}").into(), entry.into());
    }
    Ok(map.into())
}

fn fill(entry: &mut Map, gauges: &Gauges, metrics: &Metrics) {
    for (name, flag) in
        [("leader", gauges.is_leader), ("has_leader", gauges.has_leader), ("learner", gauges.is_learner)]
    {
        entry.insert(name.into(), flag.into());
    }
    for (name, number) in [
        ("db_size", gauges.db_size),
        ("db_size_in_use", gauges.db_size_in_use),
        ("quota", gauges.quota),
        ("keys", gauges.keys),
        ("revision", gauges.revision),
        ("compact_revision", gauges.compact_revision),
        ("watchers", gauges.watchers),
        ("proposals_committed", gauges.proposals_committed),
        ("proposals_pending", gauges.proposals_pending),
        ("proposals_applied", metrics.proposals_applied),
        ("proposals_failed", metrics.proposals_failed),
        ("leader_changes", metrics.leader_changes),
        ("slow_applies", metrics.slow_apply),
        ("slow_reads", metrics.slow_read_indexes),
        ("failed_reads", metrics.read_indexes_failed),
        ("late_heartbeats", metrics.heartbeat_send_failures),
        ("puts", metrics.puts),
        ("deletes", metrics.deletes),
        ("ranges", metrics.ranges),
        ("txns", metrics.txns),
        ("events", metrics.events),
        ("leases_granted", metrics.leases_granted),
        ("leases_revoked", metrics.leases_revoked),
        ("wal_bytes", metrics.wal_bytes),
    ] {
        entry.insert(name.into(), i64::try_from(number).unwrap_or(i64::MAX).into());
    }
    for (name, histogram) in [
        ("fsync", &metrics.wal_fsync),
        ("commit", &metrics.backend_commit),
        ("apply", &metrics.apply),
        ("defrag", &metrics.defrag),
    ] {
        entry.insert(name.into(), quantiles(histogram).into());
    }
    let alarms: Array = gauges.alarms.iter().map(|(_, alarm)| Dynamic::from((*alarm).to_owned())).collect();
    entry.insert("alarms".into(), alarms.into());
}

fn quantiles(histogram: &Histogram) -> Map {
    let mut map = Map::new();
    map.insert("count".into(), i64::try_from(histogram.count()).unwrap_or(i64::MAX).into());
    map.insert("sum".into(), histogram.sum().into());
    for (name, part) in [("p50", 0.5), ("p90", 0.9), ("p99", 0.99)] {
        let value = if histogram.count() == 0 { Dynamic::UNIT } else { histogram.quantile(part).into() };
        map.insert(name.into(), value);
    }
    map
}

/// What the API server has done within a window.
fn of_the_apiserver(recent: &Sample) -> Map {
    let number = |number: u64| Dynamic::from(i64::try_from(number).unwrap_or(i64::MAX));
    [
        ("reads", spread_quantiles(&recent.reads).into()),
        ("writes", spread_quantiles(&recent.writes).into()),
        ("watches", number(recent.watches)),
        ("errors", number(recent.errors)),
    ]
    .into_iter()
    .map(|(name, value)| (name.into(), value))
    .collect()
}

fn spread_quantiles(spread: &Spread) -> Map {
    let mut map = Map::new();
    map.insert("count".into(), i64::try_from(spread.count()).unwrap_or(i64::MAX).into());
    for (name, parts) in [("p50", 500), ("p90", 900), ("p99", 990)] {
        let value = spread.quantile(parts);
        map.insert(name.into(), value.map_or(Dynamic::UNIT, |value| (value.as_nanos() as f64 / 1e9).into()));
    }
    map
}
