//! What became of a workload at the end of a run; the figures are defined in [`wavetank_reports::comparison`].

use std::collections::BTreeMap;

use wavetank_engine::kernel::Instant;
use wavetank_engine::objects::{Key, Kind, labels};
use wavetank_engine::scheduler::cache::node_info::NodeTerms;
use wavetank_engine::trace::What;
use wavetank_engine::trace::note::Change;
use wavetank_reports::comparison::Measures;

use crate::session::Session;

/// What the pods on a node come to.
#[derive(Default)]
struct Load {
    pods: u64,
    cpu: i64,
    memory: i64,
}

/// Measures a run as it stands.
pub fn of(session: &Session) -> Measures {
    let world = session.world();
    let (nodes, pods) = (world.objects(Kind::Node), world.objects(Kind::Pod));
    let mut measures = Measures { waits: waits(session), ..Measures::default() };
    let mut loads: BTreeMap<&str, Load> = BTreeMap::new();
    for pod in pods.iter().filter_map(|pod| pod.as_pod()).filter(|pod| !pod.status.phase.terminal()) {
        let request = &pod.spec.terms.requests.effective;
        measures.reference.0 = measures.reference.0.max(request.cpu);
        measures.reference.1 = measures.reference.1.max(request.memory);
        let Some(node) = &pod.node else {
            measures.pending += 1;
            continue;
        };
        measures.pods += 1;
        let load = loads.entry(node).or_default();
        load.pods += 1;
        load.cpu += request.cpu;
        load.memory += request.memory;
    }
    let (mut free, mut usable) = ((0, 0), (0, 0));
    let (mut counts, mut zones): (Vec<u64>, BTreeMap<String, u64>) = (Vec::new(), BTreeMap::new());
    let empty = Load::default();
    for node in nodes.iter().filter_map(|node| node.as_node()) {
        let load = loads.get(&*node.meta.name).unwrap_or(&empty);
        let terms = NodeTerms::of(node);
        counts.push(load.pods);
        if let Some(zone) = node.meta.labels.get(labels::ZONE) {
            *zones.entry(zone.to_string()).or_default() += load.pods;
        }
        if load.pods > 0 {
            measures.used_nodes += 1;
            measures.cpu_used += percent(load.cpu, terms.allocatable.cpu);
            measures.memory_used += percent(load.memory, terms.allocatable.memory);
        }
        let left = ((terms.allocatable.cpu - load.cpu).max(0), (terms.allocatable.memory - load.memory).max(0));
        free = (free.0 + left.0, free.1 + left.1);
        let room = room(left, measures.reference, (terms.pods - load.pods as i64).max(0));
        usable = (usable.0 + room * measures.reference.0, usable.1 + room * measures.reference.1);
    }
    measures.nodes = counts.len() as u64;
    let used = measures.used_nodes.max(1) as f64;
    measures.cpu_used /= used;
    measures.memory_used /= used;
    // What a reference pod asks nothing of is never out of its reach.
    let stranded = |free: i64, usable: i64, asked: i64| if asked == 0 { 0.0 } else { percent(free - usable, free) };
    measures.cpu_stranded = stranded(free.0, usable.0, measures.reference.0);
    measures.memory_stranded = stranded(free.1, usable.1, measures.reference.1);
    measures.node_deviation = deviation(&counts);
    measures.node_skew = skew(counts.iter().copied());
    measures.zone_skew = (zones.len() > 1).then(|| skew(zones.values().copied()));
    measures
}

/// How many reference pods fit into what is left.
fn room(left: (i64, i64), reference: (i64, i64), pods: i64) -> i64 {
    let fit = |left: i64, asked: i64| if asked == 0 { i64::MAX } else { left / asked };
    fit(left.0, reference.0).min(fit(left.1, reference.1)).min(pods)
}

fn percent(part: i64, whole: i64) -> f64 {
    if whole <= 0 { 0.0 } else { part as f64 * 100.0 / whole as f64 }
}

fn skew(counts: impl Iterator<Item = u64> + Clone) -> u64 {
    counts.clone().max().unwrap_or(0) - counts.min().unwrap_or(0)
}

fn deviation(counts: &[u64]) -> f64 {
    let number = counts.len().max(1) as f64;
    let mean = counts.iter().sum::<u64>() as f64 / number;
    (counts.iter().map(|count| (*count as f64 - mean) * (*count as f64 - mean)).sum::<f64>() / number).sqrt()
}

/// How long each pod that got a node waited for it, ascending. [ns]
fn waits(session: &Session) -> Vec<u64> {
    let mut created: BTreeMap<Key, Instant> = BTreeMap::new();
    let mut waits = Vec::new();
    for record in session.world().trace().records() {
        let (What::Committed { change, .. }, Some((Kind::Pod, key))) = (&record.note.what, &record.note.object) else {
            continue;
        };
        match change {
            Change::Pod { created: true, state, .. } if !state.bound => {
                created.insert(key.clone(), record.at);
            }
            Change::Pod { state, .. } if state.bound => {
                if let Some(since) = created.remove(key) {
                    waits.push(record.at.since(since).as_nanos());
                }
            }
            Change::Deleted => {
                created.remove(key);
            }
            _ => {}
        }
    }
    waits.sort_unstable();
    waits
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::{Options, Script, Unwatched, run};

    fn measured(strategy: &str) -> Measures {
        let text = format!(
            "cluster(#{{ nodes: [#{{labels: #{{\"topology.kubernetes.io/zone\": \"a\"}}}}, \
                #{{labels: #{{\"topology.kubernetes.io/zone\": \"b\"}}}}], scheduler: #{{ profiles: [#{{ \
                plugins: #{{ multiPoint: #{{ disabled: [#{{name: \"PodTopologySpread\"}}, \
                    #{{name: \"NodeResourcesBalancedAllocation\"}}] }} }}, \
                pluginConfig: [#{{ name: \"NodeResourcesFit\", args: #{{ scoringStrategy: #{{ type: \"{strategy}\" }} }} }}] \
                }}] }} }});\n\
             for n in 0..3 {{ kubectl(`run p${{n}} --image=nginx:1.25 --overrides='{{\"spec\":{{\"containers\":[{{\"name\":\"p\", \
                \"image\":\"nginx:1.25\",\"resources\":{{\"requests\":{{\"cpu\":\"1\",\"memory\":\"1Gi\"}}}}}}]}}}}'`); \
                run_for(\"1s\"); }}\n"
        );
        let script = Script { name: "m.rhai".into(), folder: ".".into(), text };
        let run = run(&script, &Options::default(), Box::new(Unwatched));
        assert!(
            run.reports.is_empty(),
            "{}",
            run.reports.iter().map(|report| report.render(false)).collect::<String>()
        );
        of(run.session.as_ref().expect("a cluster"))
    }

    #[test]
    fn packing_leaves_a_node_free_and_spreading_uses_both() {
        let (packed, spread) = (measured("MostAllocated"), measured("LeastAllocated"));
        assert_eq!((packed.used_nodes, packed.node_skew, packed.zone_skew), (1, 3, Some(3)));
        assert_eq!((spread.used_nodes, spread.node_skew, spread.zone_skew), (2, 1, Some(1)));
        assert!(packed.cpu_used > spread.cpu_used && packed.node_deviation == 1.5, "{packed:?}");
        assert_eq!((packed.pods, packed.pending, packed.waits.len(), packed.reference), (3, 0, 3, (1_000, 1 << 30)));
        assert!(packed.waits[0] > 1_000_000 && packed.waits[2] < 1_000_000_000, "{:?}", packed.waits);
    }

    #[test]
    fn room_is_what_the_scarcest_allows() {
        assert_eq!(room((3_500, 10), (1_000, 4), 100), 2);
        assert_eq!((room((3_500, 10), (0, 0), 7), room((3_500, 10), (1_000, 0), 2)), (7, 2));
    }
}
