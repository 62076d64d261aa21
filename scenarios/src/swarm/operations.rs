//! What people do to a cluster: a row per kind.
//!
//! Left out on purpose: a Deployment's change to `Recreate` in the middle of a rollout followed by scaling. Upstream's rules leave it stuck for
//! ever: `isScalingEvent` sends each sync to `scale`, which treats several active replica sets only where they roll. Nor is there a static
//! pod without priority: the scheduler preempts its mirror like any pod, the kubelet keeps the pod, refuses the one that was to have
//! the room and makes the mirror anew, again and again.

use serde_json::json;

use super::admission::REFUSED;
use super::cluster::{self, Shape};
use super::draw::Draw;
use super::plan::{Action, Group, Kind};
use super::workloads::{self, DEPLOYMENTS, SETS};
use crate::session::Nanos;

const fn operation(
    name: &'static str,
    likely: u64,
    most: u64,
    draw: fn(&mut Draw, &Shape, u64) -> Vec<(Nanos, Action)>,
) -> Kind {
    Kind { name, group: Group::Operation, likely, most, draw }
}

/// The kinds of operations.
pub(super) const KINDS: &[Kind] = &[
    operation("scale", 60, 4, |draw, _, _| {
        let replicas = draw.number(0, 8);
        let target = if draw.chance(70) { deployment(draw) } else { set(draw) };
        one(format!("scale {target} --replicas={replicas}"))
    }),
    operation("image", 60, 3, |draw, _, _| {
        let tag = if draw.chance(15) { REFUSED } else { draw.one(&["1.25", "1.26", "1.27"]) };
        one(format!("set image {} main=nginx:{tag}", deployment(draw)))
    }),
    operation("image-of-set", 30, 2, |draw, _, _| {
        one(format!("set image {} main=nginx:{}", set(draw), draw.one(&["1.25", "1.26"])))
    }),
    operation("restart", 40, 2, |draw, _, _| one(format!("rollout restart {}", deployment(draw)))),
    operation("undo", 40, 2, |draw, _, _| one(format!("rollout undo {}", deployment(draw)))),
    operation("pause", 25, 2, |draw, _, _| {
        let target = deployment(draw);
        let pause = draw.number(2_000, 40_000) * 1_000_000;
        vec![(0, typed(format!("rollout pause {target}"))), (pause, typed(format!("rollout resume {target}")))]
    }),
    operation("apply", 50, 3, |draw, shape, _| {
        let which = draw.number(0, DEPLOYMENTS - 1);
        vec![(0, workloads::deployment(draw, shape, which))]
    }),
    operation("delete-pod", 50, 4, |draw, _, _| on_pod(draw, "delete pod {pod} --wait=false")),
    operation("force-delete", 20, 2, |draw, _, _| on_pod(draw, "delete pod {pod} --grace-period=0 --force")),
    operation("delete-workload", 30, 2, |draw, shape, _| {
        let which = draw.number(0, DEPLOYMENTS - 1);
        let cascade = draw.one(&["background", "background", "foreground"]);
        let line = format!("delete deployment/web-{which} --cascade={cascade} --wait=false");
        let mut actions = vec![(0, typed(line))];
        if draw.chance(60) {
            let again = draw.number(1_000, 30_000) * 1_000_000;
            actions.push((again, workloads::deployment(draw, shape, which)));
        }
        actions
    }),
    operation("cordon", 30, 2, |draw, shape, _| {
        let node = draw.name(&shape.nodes);
        let later = draw.number(5_000, 90_000) * 1_000_000;
        vec![(0, typed(format!("cordon {node}"))), (later, typed(format!("uncordon {node}")))]
    }),
    operation("drain", 45, 2, |draw, shape, _| {
        let node = draw.name(&shape.nodes);
        let later = draw.number(20_000, 120_000) * 1_000_000;
        let drain = format!("drain {node} --ignore-daemonsets --delete-emptydir-data --force --timeout=60s");
        vec![(0, typed(drain)), (later, typed(format!("uncordon {node}")))]
    }),
    operation("config", 30, 3, |draw, _, number| {
        let map = json!({
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"},
            "data": {"level": draw.number(0, 9).to_string(), "number": number.to_string()},
        });
        vec![(0, applied(&map))]
    }),
    operation("ledger", 90, 12, |_, _, number| vec![(0, Action::Ledger { entry: number })]),
    operation("add-node", 20, 2, |draw, shape, number| {
        let n = shape.nodes.len() as u64 + number - 1;
        vec![(0, Action::AddNode(cluster::node(draw.number(0, u64::MAX - 1), n, 3)))]
    }),
    operation("static-pod", 20, 1, |draw, shape, number| {
        let node = draw.name(&shape.nodes);
        let manifest = json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": format!("static-{number}")},
            "spec": {
                "containers": [{
                    "name": "main", "image": "nginx:1.25",
                    "resources": {"requests": {"cpu": draw.one(&["100m", "500m", "1500m"])}},
                }],
                "terminationGracePeriodSeconds": 5, "priorityClassName": "system-node-critical",
            },
        });
        let file = |there| Action::Static { node: node.clone(), manifest: manifest.clone(), there };
        let gone = draw.number(10_000, 120_000) * 1_000_000;
        if draw.chance(50) { vec![(0, file(true)), (gone, file(false))] } else { vec![(0, file(true))] }
    }),
    operation("traffic", 45, 2, |draw, _, number| {
        let how = json!({
            "rps": draw.number(1, 6), "retries": draw.number(0, 2), "keep_alive": draw.chance(50),
            "service_time": draw.one(&["5ms", "30ms", "200ms"]), "name": format!("users-{number}"),
        });
        vec![(0, Action::Traffic { service: format!("service/web-{}", draw.number(0, 1)), how })]
    }),
    operation("namespace", 35, 2, |draw, _, number| {
        let name = format!("temporary-{number}");
        let (work, gone) = (draw.number(1_000, 3_000), draw.number(4_000, 40_000));
        vec![
            (0, typed(format!("create namespace {name}"))),
            (work * 1_000_000, typed(format!("create deployment short -n {name} --image=nginx:1.25 --replicas=2"))),
            (work * 1_000_000, typed(format!("create configmap short -n {name} --from-literal=a=b"))),
            (gone * 1_000_000, typed(format!("delete namespace {name} --wait=false"))),
        ]
    }),
];

/// A command.
pub(super) fn typed(line: String) -> Action {
    Action::Type { line, stdin: None }
}

/// A manifest that is applied.
pub(super) fn applied(manifest: &serde_json::Value) -> Action {
    Action::Type { line: "apply -f -".to_owned(), stdin: Some(manifest.to_string()) }
}

fn one(line: String) -> Vec<(Nanos, Action)> {
    vec![(0, typed(line))]
}

fn on_pod(draw: &mut Draw, line: &'static str) -> Vec<(Nanos, Action)> {
    vec![(0, Action::OnPod { nth: draw.number(0, 10_000), line })]
}

pub(super) fn deployment(draw: &mut Draw) -> String {
    format!("deployment/web-{}", draw.number(0, DEPLOYMENTS - 1))
}

fn set(draw: &mut Draw) -> String {
    format!("statefulset/db-{}", draw.number(0, SETS - 1))
}
