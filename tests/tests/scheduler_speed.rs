//! How many scheduling cycles a second there are, and how long one takes in a cluster of 5,000 nodes and 150,000 pods. Run with
//! `--release -- --ignored --nocapture scheduler_speed`.
//!
//! Beside them stand the rates below which upstream's own benchmarks must not fall in 5,000 nodes
//! (test/integration/scheduler_perf/*/performance-config.yaml).

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use wavetank_engine::objects::labels::Labels;
use wavetank_engine::objects::meta::Name;
use wavetank_engine::objects::pod_terms::Resources;
use wavetank_engine::objects::{PodSpec, Uid};
use wavetank_engine::scheduler::cache::Cache;
use wavetank_engine::scheduler::cache::node_info::NodeTerms;
use wavetank_engine::scheduler::cache::pod_info::PodInfo;
use wavetank_engine::scheduler::diagnosis::fit_error;
use wavetank_engine::scheduler::framework::{Cycle, Profile};

fn pod(app: &str, uid: u128, spec: Value) -> PodInfo {
    let labels = Labels::from([("app".into(), app.into())]);
    PodInfo::plain("ns", app, uid, labels, PodSpec::new(serde_json::from_value(spec).expect("a pod spec")))
}

fn container(cpu: &str) -> Value {
    json!([{"name": "c", "image": "image-7:1", "resources": {"requests": {"cpu": cpu, "memory": "100Mi"}}}])
}

/// A cluster in three zones with so many pods on each node, of a hundred applications.
fn cluster(nodes: u32, pods: u32) -> Cache {
    let mut cache = Cache::default();
    let fillers: Vec<PodInfo> =
        (0..100).map(|app| pod(&format!("filler-{app}"), 0, json!({"containers": container("100m")}))).collect();
    for i in 0..nodes {
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
        cache.set_node(&name, terms);
        for n in 0..pods {
            let uid = Uid(u128::from(i) << 32 | u128::from(n) | 1 << 80);
            cache.add_pod(&name, Arc::new(PodInfo { uid, ..fillers[((i + n) % 100) as usize].clone() }));
        }
    }
    cache
}

/// Places pods of this spec one after the other; gives the time of each. What does not fit is told why.
fn place(cache: &mut Cache, spec: Value, count: u128) -> Duration {
    let profile = Profile::default();
    let template = pod("new", 0, spec);
    let mut start = 0;
    let begun = clock();
    for uid in 1..=count {
        let pod = Arc::new(PodInfo { uid: Uid(uid), ..template.clone() });
        let cycle = Cycle { pod: &pod, profile: &profile, explain: false };
        let decision = cycle.run(cache, &mut start, &mut |n| n / 2);
        match decision.chosen {
            Some(chosen) => {
                let name = cache.nodes().get(chosen).name().clone();
                cache.add_pod(&name, pod);
            }
            None => assert!(!fit_error(&decision, pod.terms(), "").is_empty()),
        }
    }
    begun.elapsed() / count as u32
}

fn kinds() -> [(&'static str, Value, &'static str); 6] {
    let selector = json!({"matchLabels": {"app": "new"}});
    let spread = |key: &str, action: &str| {
        json!({"containers": container("10m"), "topologySpreadConstraints": [
            {"maxSkew": 5, "topologyKey": key, "whenUnsatisfiable": action, "labelSelector": selector}]})
    };
    let term = json!({"labelSelector": selector, "topologyKey": "kubernetes.io/hostname"});
    let away = json!({"requiredDuringSchedulingIgnoredDuringExecution": [term]});
    let near = json!({"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 1, "podAffinityTerm": term}]});
    [
        ("plain", json!({"containers": container("10m")}), "680"),
        ("spread over zones, a demand", spread("topology.kubernetes.io/zone", "DoNotSchedule"), "460"),
        ("spread over zones, a wish", spread("topology.kubernetes.io/zone", "ScheduleAnyway"), "340"),
        ("spread over nodes, a demand", spread("kubernetes.io/hostname", "DoNotSchedule"), "-"),
        ("anti-affinity", json!({"containers": container("10m"), "affinity": {"podAntiAffinity": away}}), "60"),
        ("preferred affinity", json!({"containers": container("10m"), "affinity": {"podAffinity": near}}), "90"),
    ]
}

#[test]
#[ignore = "measures time"]
fn cycles_a_second() {
    for nodes in [100, 1_000, 5_000] {
        let filled = cluster(nodes, 30);
        for (label, spec, upstream) in kinds() {
            let count = u128::from(nodes).min(1_000);
            let mut cache = filled.clone();
            let each = place(&mut cache, spec, count);
            let rate = 1.0 / each.as_secs_f64();
            let upstream = if nodes == 5_000 { format!("; upstream's at least {upstream}") } else { String::new() };
            println!("{nodes} nodes, {label}: {rate:.0} cycles a second, {each:?} each{upstream}");
        }
        let each = place(&mut filled.clone(), json!({"containers": container("64")}), 100);
        println!("{nodes} nodes, fits nowhere: {each:?} each");
    }
}

#[test]
#[ignore = "measures time"]
fn a_cycle_takes_less_than_a_millisecond() {
    let filled = cluster(5_000, 30);
    for (label, spec, _) in kinds() {
        let each = place(&mut filled.clone(), spec, 200);
        assert!(each < Duration::from_millis(1), "{label}: {each:?}");
    }
}

#[expect(clippy::disallowed_types, reason = "wall time is what is measured")]
fn clock() -> std::time::Instant {
    std::time::Instant::now()
}
