//! How long a scheduling cycle takes in a cluster of 5,000 nodes and 150,000 pods. Run with `--ignored --nocapture`.

use std::sync::Arc;

use serde_json::{Value, json};
use wavetank_engine::objects::meta::Name;
use wavetank_engine::objects::pod_terms::{PodTerms, Resources};
use wavetank_engine::scheduler::diagnosis::fit_error;
use wavetank_engine::scheduler::framework::{Cycle, Profile};
use wavetank_engine::scheduler::node_info::NodeTerms;
use wavetank_engine::scheduler::nodes::Nodes;

const NODES: u32 = 5_000;
const CYCLES: u32 = 200;

fn pod(spec: Value) -> PodTerms {
    PodTerms::of(&serde_json::from_value(spec).expect("a pod spec"))
}

fn container(cpu: &str) -> Value {
    json!([{"name": "c", "image": "image-7:1", "resources": {"requests": {"cpu": cpu, "memory": "1Gi"}}}])
}

fn cluster() -> Nodes {
    let mut nodes = Nodes::default();
    let filler = pod(json!({"containers": container("100m")}));
    for i in 0..NODES {
        let name = Name::from(format!("node-{i}"));
        let label = |key: &str, value: String| (Name::from(key), Name::from(value));
        let labels = [
            label("kubernetes.io/hostname", name.to_string()),
            label("topology.kubernetes.io/zone", format!("zone-{}", i % 3)),
            label("disk", if i % 2 == 0 { "ssd" } else { "hdd" }.to_owned()),
        ];
        let terms = NodeTerms {
            labels: Arc::new(labels.into()),
            taints: Arc::new([]),
            unschedulable: false,
            allocatable: Resources::of([("cpu", "32"), ("memory", "128Gi")]),
            pods: 110,
            images: (0..30).map(|image| (format!("image-{}:1", (i + image) % 90).into(), 200 << 20)).collect(),
        };
        nodes.set_node(&name, terms);
        (0..30).for_each(|_| nodes.add_pod(&name, &filler));
    }
    nodes
}

#[test]
#[ignore = "measures time"]
fn a_cycle_takes_less_than_a_millisecond() {
    let mut nodes = cluster();
    let affinity = json!({"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [
        {"weight": 5, "preference": {"matchExpressions": [
            {"key": "topology.kubernetes.io/zone", "operator": "In", "values": ["zone-1"]}]}}]}});
    let adaptive = Profile::default();
    let all = Profile { percentage_of_nodes_to_score: 100, ..Profile::default() };
    for (label, spec, profile) in [
        ("plain pod", json!({"containers": container("1")}), &adaptive),
        (
            "with a selector and a wish",
            json!({"containers": container("1"), "nodeSelector": {"disk": "ssd"}, "affinity": affinity}),
            &adaptive,
        ),
        ("fits nowhere", json!({"containers": container("64")}), &adaptive),
        ("plain pod, all nodes rated", json!({"containers": container("1")}), &all),
    ] {
        let pod = pod(spec);
        let cycle = Cycle { pod: &pod, profile, nominated: None, explain: false };
        let (mut start, mut text) = (0, 0);
        let begun = clock();
        for _ in 0..CYCLES {
            let decision = cycle.run(&mut nodes, &mut start, &mut |n| n / 2);
            match decision.chosen {
                Some(chosen) => {
                    let name = nodes.get(chosen).name().clone();
                    nodes.add_pod(&name, &pod);
                    nodes.remove_pod(&name, &pod);
                }
                None => text += fit_error(&decision, &pod, "").len(),
            }
        }
        let each = begun.elapsed() / CYCLES;
        println!("{label}: {each:?} a cycle ({text} bytes told)");
        assert!(each.as_micros() < 1_000 || profile == &all, "{label}: {each:?}");
    }
}

#[expect(clippy::disallowed_types, reason = "wall time is what is measured")]
fn clock() -> std::time::Instant {
    std::time::Instant::now()
}
