//! What a pod's containers do, and what looks after them: probes, init containers, sidecars, hooks, memory.

use serde_json::{Value, json};

use super::draw::Draw;

/// How the main container of a pod runs, where that is drawn.
pub(super) const RUN: &str = "wavetank.dev/run.main";
/// What memory it uses, where that is drawn.
pub(super) const MEMORY: &str = "wavetank.dev/memory.main";

/// Adds to a template of pods what many programs have, each in some of them. It stops within its grace, or is killed.
pub(super) fn dress(draw: &mut Draw, template: &mut Value) {
    let slow = draw.chance(20);
    let listens = if slow { draw.number(1, 8) } else { 0 };
    if slow {
        template["metadata"]["annotations"]["wavetank.dev/listens-after"] = json!(format!("{listens}s"));
    }
    let looks = json!({"path": "/healthz", "port": 80});
    let main = &mut template["spec"]["containers"][0];
    if draw.chance(35) {
        main["readinessProbe"] = json!({
            "httpGet": looks, "periodSeconds": draw.number(1, 5), "failureThreshold": draw.number(1, 3),
        });
    }
    let startup = draw.chance(15);
    if startup {
        main["startupProbe"] = json!({"httpGet": looks, "periodSeconds": draw.number(1, 3), "failureThreshold": 20});
    }
    if draw.chance(25) {
        // A program that is killed before it listens would never be well.
        let delay = if startup { 0 } else { listens + draw.number(1, 5) };
        main["livenessProbe"] = json!({
            "httpGet": looks, "initialDelaySeconds": delay, "periodSeconds": draw.number(2, 10),
            "failureThreshold": draw.number(1, 3),
        });
    }
    let sleep = draw.number(1, 5);
    if draw.chance(20) {
        let grace = template["spec"]["terminationGracePeriodSeconds"].as_u64().unwrap_or(30);
        template["spec"]["containers"][0]["lifecycle"] = json!({"preStop": {"sleep": {"seconds": sleep.min(grace)}}});
    }
    let mut before = Vec::new();
    if draw.chance(15) {
        before.push(json!({"name": "prepare", "image": "busybox:1.36"}));
    }
    if draw.chance(15) {
        let mut sidecar = json!({"name": "proxy", "image": "envoy:1.30", "restartPolicy": "Always"});
        if draw.chance(50) {
            sidecar["startupProbe"] =
                json!({"tcpSocket": {"port": 15_001}, "periodSeconds": 1, "failureThreshold": 20});
        }
        before.push(sidecar);
    }
    if !before.is_empty() {
        template["spec"]["initContainers"] = before.into();
    }
}

/// Whether what a pod says of its main container is that it ends badly, again and again.
pub(super) fn crashes(annotation: impl Fn(&str) -> Option<String>) -> bool {
    annotation(RUN).is_some_and(|run| run.contains("exit 1")) || annotation(MEMORY).is_some()
}
