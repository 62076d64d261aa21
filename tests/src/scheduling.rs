//! Clusters and pods that benchmarks of the scheduler's cycle measure.

use std::sync::Arc;

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

/// A pod of an application.
pub fn pod(app: &str, uid: u128, spec: Value) -> PodInfo {
    let labels = Labels::from([("app".into(), app.into())]);
    PodInfo::plain("ns", app, uid, labels, PodSpec::new(serde_json::from_value(spec).expect("a pod spec")))
}

/// A container that asks for so much CPU.
pub fn container(cpu: &str) -> Value {
    json!([{"name": "c", "image": "image-7:1", "resources": {"requests": {"cpu": cpu, "memory": "100Mi"}}}])
}

/// A cluster in three zones with so many pods on each node, of a hundred applications.
pub fn cluster(nodes: u32, pods: u32) -> Cache {
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

/// Places the next pod of a template; what does not fit is told why.
pub fn place_one(cache: &mut Cache, template: &PodInfo, profile: &Profile, start: &mut usize, uid: u128) {
    let pod = Arc::new(PodInfo { uid: Uid(uid), ..template.clone() });
    let cycle = Cycle { pod: &pod, profile, explain: false };
    let decision = cycle.run(cache, start, &mut |n| n / 2);
    match decision.chosen {
        Some(chosen) => {
            let name = cache.nodes().get(chosen).name().clone();
            cache.add_pod(&name, pod);
        }
        None => assert!(!fit_error(&decision, pod.terms(), "").is_empty()),
    }
}

/// What is measured: a name, the pod's spec, and the pods a second below which upstream's own benchmark must not fall in 5,000
/// nodes, where it has one.
pub fn kinds() -> [(&'static str, Value, &'static str); 6] {
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
