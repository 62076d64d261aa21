//! What became of the pods so far, as figures: those that `wavetank compare` puts side by side.

use super::super::errors::Fallible;
use super::super::host::borrow;
use super::{Call, Function, Group, Receiver};
use crate::measures;
use rhai::{Dynamic, Map};

pub(super) const FUNCTIONS: &[Function] = &[Function {
    name: "measure",
    group: Group::Objects,
    signatures: &["measure()"],
    summary: "How the pods lie on the nodes now, and how long they waited for their node, as a map: `pods` and `pending` (with and \
        without a node), `nodes`, `used_nodes`, `node_deviation`, `node_skew`, `zone_skew` (pods per node and zone; `()` with fewer \
        than two zones), `cpu_used`, `memory_used` (mean over the used nodes, in percent), `cpu_stranded`, `memory_stranded` (of what \
        is free, the percentage that no pod of the largest requests could use), `wait_p50`, `wait_p95`, `wait_p99` (from creation to \
        binding, in seconds; `()` if no pod was bound). `wavetank compare` shows the same side by side.",
    example: "let m = measure();\nexpect(m.pending == 0 && m.used_nodes <= 3, \"the pods are packed\");",
    receiver: Receiver::Cluster,
    arity: 0..=0,
    run: measure,
}];

fn measure(call: &Call<'_>) -> Fallible<Dynamic> {
    let measures = measures::of(borrow(call.host).session()?);
    let count = |number: u64| Dynamic::from(number as i64);
    let wait = |percent| measures.wait(percent).map_or(Dynamic::UNIT, |wait| (wait as f64 / 1e9).into());
    let fields: [(&str, Dynamic); 14] = [
        ("pods", count(measures.pods)),
        ("pending", count(measures.pending)),
        ("nodes", count(measures.nodes)),
        ("used_nodes", count(measures.used_nodes)),
        ("node_deviation", measures.node_deviation.into()),
        ("node_skew", count(measures.node_skew)),
        ("zone_skew", measures.zone_skew.map_or(Dynamic::UNIT, count)),
        ("cpu_used", measures.cpu_used.into()),
        ("memory_used", measures.memory_used.into()),
        ("cpu_stranded", measures.cpu_stranded.into()),
        ("memory_stranded", measures.memory_stranded.into()),
        ("wait_p50", wait(50)),
        ("wait_p95", wait(95)),
        ("wait_p99", wait(99)),
    ];
    Ok(fields.into_iter().map(|(name, value)| (name.into(), value)).collect::<Map>().into())
}
