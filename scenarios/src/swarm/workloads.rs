//! What is to run in a cluster: a row per kind.

use serde_json::{Value, json};

use super::cluster::Shape;
use super::containers::{self, MEMORY, RUN};
use super::draw::Draw;
use super::operations::{applied, typed};
use super::plan::{Action, Group, Kind};
use crate::session::Nanos;

/// Deployments are `web-0` … of so many names.
pub(super) const DEPLOYMENTS: u64 = 3;
/// StatefulSets are `db-0` … of so many names.
pub(super) const SETS: u64 = 2;

const fn workload(
    name: &'static str,
    likely: u64,
    most: u64,
    draw: fn(&mut Draw, &Shape, u64) -> Vec<(Nanos, Action)>,
) -> Kind {
    Kind { name, group: Group::Workload, likely, most, draw }
}

/// The kinds of workloads.
pub(super) const KINDS: &[Kind] = &[
    workload("deployment", 90, DEPLOYMENTS, |draw, shape, number| vec![(0, deployment(draw, shape, number - 1))]),
    workload("stateful-set", 50, SETS, |draw, _, number| {
        let name = format!("db-{}", number - 1);
        let mut spec = json!({
            "replicas": draw.number(1, 4), "serviceName": name, "selector": {"matchLabels": {"app": name}},
            "podManagementPolicy": draw.one(&["OrderedReady", "OrderedReady", "Parallel"]),
            "template": template(draw, &name),
        });
        if draw.chance(40) {
            spec["volumeClaimTemplates"] = json!([{
                "metadata": {"name": "data"},
                "spec": {
                    "accessModes": ["ReadWriteOnce"], "storageClassName": "standard",
                    "resources": {"requests": {"storage": "1Gi"}},
                },
            }]);
        }
        manifest("apps/v1", "StatefulSet", &name, spec)
    }),
    workload("storage-class", 100, 1, |draw, _, _| {
        let class = json!({
            "apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": "standard"},
            "provisioner": "csi.example.com",
            "volumeBindingMode": draw.one(&["Immediate", "WaitForFirstConsumer"]),
        });
        vec![(0, applied(&class))]
    }),
    workload("daemon-set", 50, 1, |draw, _, _| {
        let mut template = template(draw, "agent");
        if draw.chance(50) {
            template["spec"]["tolerations"] = json!([{"operator": "Exists"}]);
        }
        let spec = json!({"selector": {"matchLabels": {"app": "agent"}}, "template": template});
        manifest("apps/v1", "DaemonSet", "agent", spec)
    }),
    workload("job", 50, 2, |draw, _, number| {
        let mut template = template(draw, "work");
        template["spec"]["restartPolicy"] = json!(draw.one(&["Never", "OnFailure"]));
        template["metadata"]["annotations"][RUN] = json!(format!("{}s exit 0", draw.number(1, 40)));
        let completions = draw.number(1, 5);
        let spec = json!({
            "completions": completions, "parallelism": draw.number(1, completions), "backoffLimit": 20, "template": template,
        });
        manifest("batch/v1", "Job", &format!("work-{number}"), spec)
    }),
    workload("cron-job", 30, 1, |draw, _, _| {
        let mut template = template(draw, "tick");
        template["spec"]["restartPolicy"] = json!("Never");
        template["metadata"]["annotations"][RUN] = json!("3s exit 0");
        let spec = json!({
            "schedule": "* * * * *",
            "concurrencyPolicy": draw.one(&["Allow", "Forbid", "Replace"]),
            "jobTemplate": {"spec": {"template": template, "backoffLimit": 20}},
        });
        manifest("batch/v1", "CronJob", "tick", spec)
    }),
    workload("budget", 50, 2, |draw, _, number| {
        let app = if draw.chance(70) { format!("web-{}", number - 1) } else { format!("db-{}", number - 1) };
        let mut spec = json!({"selector": {"matchLabels": {"app": app}}});
        match draw.number(0, 2) {
            0 => spec["maxUnavailable"] = json!(1),
            1 => spec["minAvailable"] = json!(draw.number(1, 3)),
            _ => spec["minAvailable"] = json!("50%"),
        }
        manifest("policy/v1", "PodDisruptionBudget", &format!("budget-{number}"), spec)
    }),
    workload("service", 60, 2, |_, _, number| {
        let name = format!("web-{}", number - 1);
        let spec = json!({"selector": {"app": name}, "ports": [{"port": 80}]});
        manifest("v1", "Service", &name, spec)
    }),
    workload("autoscaler", 40, 1, |draw, shape, _| {
        if !shape.metrics {
            return Vec::new();
        }
        let spec = json!({
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web-0"},
            "minReplicas": 1, "maxReplicas": draw.number(2, 6),
            "metrics": [{
                "type": "Resource",
                "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}},
            }],
        });
        let mut actions = manifest("autoscaling/v2", "HorizontalPodAutoscaler", "web-0", spec);
        let amount = json!(format!("{}m", draw.number(20, 400)));
        actions.push((20_000_000_000, Action::Demand { target: "deployment/web-0".into(), amount }));
        actions
    }),
    workload("priority", 40, 1, |draw, _, _| {
        let class = json!({
            "apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": "urgent"}, "value": 1_000,
        });
        let mut template = template(draw, "urgent");
        template["spec"]["priorityClassName"] = json!("urgent");
        template["spec"]["containers"][0]["resources"] = json!({"requests": {"cpu": "1200m", "memory": "256Mi"}});
        let spec = json!({
            "replicas": draw.number(1, 6), "selector": {"matchLabels": {"app": "urgent"}}, "template": template,
        });
        let later = draw.number(10_000, 60_000) * 1_000_000;
        let mut actions = vec![(0, applied(&class))];
        actions.extend(manifest("apps/v1", "Deployment", "urgent", spec).into_iter().map(|(_, act)| (later, act)));
        actions
    }),
    workload("filler", 40, 1, |draw, _, _| {
        let mut template = template(draw, "filler");
        template["spec"]["containers"][0]["resources"] = json!({"requests": {"cpu": "900m", "memory": "700Mi"}});
        let spec = json!({
            "replicas": draw.number(2, 16), "selector": {"matchLabels": {"app": "filler"}}, "template": template,
        });
        manifest("apps/v1", "Deployment", "filler", spec)
    }),
    workload("quota", 30, 1, |draw, _, _| {
        let quota = json!({
            "apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "quota", "namespace": "team"},
            "spec": {"hard": {"pods": draw.number(2, 6).to_string()}},
        });
        let replicas = draw.number(1, 8);
        vec![
            (0, typed("create namespace team".into())),
            (2_000_000_000, applied(&quota)),
            (4_000_000_000, typed(format!("create deployment many -n team --image=nginx:1.25 --replicas={replicas}"))),
        ]
    }),
    workload("failing", 25, 1, |draw, _, _| {
        let mut template = template(draw, "failing");
        template["metadata"]["annotations"][RUN] = json!(format!("{}s exit 1", draw.number(1, 20)));
        let spec = json!({
            "replicas": draw.number(1, 2), "selector": {"matchLabels": {"app": "failing"}}, "template": template,
        });
        manifest("apps/v1", "Deployment", "failing", spec)
    }),
    workload("leaking", 20, 1, |draw, _, _| {
        let mut template = template(draw, "leaking");
        template["metadata"]["annotations"][MEMORY] = json!(format!("40Mi..200Mi in {}s", draw.number(10, 120)));
        template["spec"]["containers"][0]["resources"]["limits"] = json!({"memory": "128Mi"});
        let spec = json!({
            "replicas": draw.number(1, 2), "selector": {"matchLabels": {"app": "leaking"}}, "template": template,
        });
        manifest("apps/v1", "Deployment", "leaking", spec)
    }),
];

/// A Deployment `web-N` is applied, anew or over what is there. Its strategy is the same each time.
pub(super) fn deployment(draw: &mut Draw, shape: &Shape, which: u64) -> Action {
    let name = format!("web-{which}");
    let surge = draw.one(&["0", "1", "2", "25%", "50%"]);
    let unavailable = draw.one(&["0", "1", "25%", "1"]);
    let unavailable = if surge == "0" && unavailable == "0" { "1" } else { unavailable };
    let number = |text: &str| text.parse::<i64>().map_or(json!(text), |number| json!(number));
    let strategy = match which {
        2 => json!({"type": "Recreate"}),
        _ => json!({
            "type": "RollingUpdate",
            "rollingUpdate": {"maxSurge": number(surge), "maxUnavailable": number(unavailable)},
        }),
    };
    let mut template = template(draw, &name);
    match draw.number(0, 5) {
        0 => template["spec"]["topologySpreadConstraints"] = spread(draw, &name),
        1 => template["spec"]["affinity"] = affinity(draw, &name),
        _ => {}
    }
    let mut spec = json!({
        "strategy": strategy, "selector": {"matchLabels": {"app": name}}, "template": template,
        "minReadySeconds": if draw.chance(20) { draw.number(1, 10) } else { 0 },
        "revisionHistoryLimit": draw.number(1, 5),
    });
    let replicas = draw.number(0, 8);
    if !(shape.metrics && which == 0) {
        spec["replicas"] = json!(replicas);
    }
    applied(&object("apps/v1", "Deployment", &name, spec))
}

fn object(version: &str, kind: &str, name: &str, spec: Value) -> Value {
    json!({"apiVersion": version, "kind": kind, "metadata": {"name": name}, "spec": spec})
}

fn manifest(version: &str, kind: &str, name: &str, spec: Value) -> Vec<(Nanos, Action)> {
    vec![(0, applied(&object(version, kind, name, spec)))]
}

fn template(draw: &mut Draw, app: &str) -> Value {
    let mut annotations = json!({});
    if draw.chance(15) {
        annotations["wavetank.dev/stop"] = json!(format!("{}s", draw.number(1, 25)));
    }
    let mut spec = json!({
        "terminationGracePeriodSeconds": draw.one(&[&1u64, &5, &30, &30]),
        "containers": [{
            "name": "main", "image": format!("nginx:{}", draw.one(&["1.25", "1.26", "1.27"])),
            "resources": {"requests": {"cpu": draw.one(&["50m", "100m", "200m", "400m"]), "memory": "64Mi"}},
        }],
    });
    if draw.chance(25) {
        spec["tolerations"] = json!([
            {"key": "node.kubernetes.io/unreachable", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 10},
            {"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 10},
        ]);
    }
    let mut template = json!({"metadata": {"labels": {"app": app}, "annotations": annotations}, "spec": spec});
    containers::dress(draw, &mut template);
    template
}

fn spread(draw: &mut Draw, app: &str) -> Value {
    json!([{
        "maxSkew": 1, "topologyKey": draw.one(&["topology.kubernetes.io/zone", "kubernetes.io/hostname"]),
        "whenUnsatisfiable": draw.one(&["DoNotSchedule", "ScheduleAnyway"]),
        "labelSelector": {"matchLabels": {"app": app}},
    }])
}

fn affinity(draw: &mut Draw, app: &str) -> Value {
    let term = json!({
        "topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": {"app": app}},
    });
    match draw.chance(50) {
        true => json!({"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}),
        false => json!({
            "podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 100, "podAffinityTerm": term}]},
        }),
    }
}
