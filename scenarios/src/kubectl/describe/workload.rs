//! `kubectl describe deployment` and `kubectl describe replicaset`.
//!
//! Models: kubernetes v1.36.2 staging/src/k8s.io/kubectl/pkg/describe/describe.go (`describeDeployment`,
//! `describeReplicaSet`), pkg/util/deployment/deployment.go (`FindNewReplicaSet`, `FindOldReplicaSets`).

use serde_json::Value;

use super::super::duration::rfc1123z;
use super::super::json::{name, number, scalar, text};
use super::super::rollout::{replica_sets, selector, template_without_hash};
use super::super::session::{Session, Step};
use super::{annotations, conditions, controlled_by, controllers, labels, template};

/// Everything but the events.
pub(super) fn deployment(session: &mut Session, object: &Value) -> Step<String> {
    let mut out = template::heading(object);
    out.push_str(&format!("CreationTimestamp:\t{}\n", rfc1123z(text(object, "/metadata/creationTimestamp"))));
    labels(&mut out, "Labels", object, "/metadata/labels");
    annotations(&mut out, "Annotations", object, "/metadata/annotations");
    out.push_str(&format!("Selector:\t{}\n", selector(object)));
    let status = |field: &str| number(object, &format!("/status/{field}"));
    out.push_str(&format!(
        "Replicas:\t{} desired | {} updated | {} total | {} available | {} unavailable\n",
        number(object, "/spec/replicas"),
        status("updatedReplicas"),
        status("replicas"),
        status("availableReplicas"),
        status("unavailableReplicas")
    ));
    out.push_str(&format!("StrategyType:\t{}\n", text(object, "/spec/strategy/type")));
    out.push_str(&format!("MinReadySeconds:\t{}\n", number(object, "/spec/minReadySeconds")));
    if let Some(rolling) = object.pointer("/spec/strategy/rollingUpdate") {
        let of = |field: &str| rolling.get(field).map(scalar).unwrap_or_default();
        let (unavailable, surge) = (of("maxUnavailable"), of("maxSurge"));
        out.push_str(&format!("RollingUpdateStrategy:\t{unavailable} max unavailable, {surge} max surge\n"));
    }
    out.push_str(&template::describe(object, ""));
    conditions(&mut out, object);
    let mut sets = replica_sets(session, object)?;
    sets.sort_by(|a, b| text(a, CREATED).cmp(text(b, CREATED)).then_with(|| name(a).cmp(name(b))));
    let wanted = template_without_hash(object);
    let new = sets.iter().position(|set| template_without_hash(set) == wanted);
    let new = new.map(|at| sets.remove(at));
    if !sets.is_empty() || new.is_some() {
        out.push_str(&format!("OldReplicaSets:\t{}\n", listed(&sets)));
        out.push_str(&format!("NewReplicaSet:\t{}\n", listed(new.as_slice())));
    }
    Ok(out)
}

const CREATED: &str = "/metadata/creationTimestamp";

fn listed(sets: &[Value]) -> String {
    let texts: Vec<String> = sets
        .iter()
        .map(|set| {
            let (have, want) = (number(set, "/status/replicas"), number(set, "/spec/replicas"));
            format!("{} ({have}/{want} replicas created)", name(set))
        })
        .collect();
    if texts.is_empty() { "<none>".into() } else { texts.join(", ") }
}

/// Everything but the events.
pub(super) fn replica_set(session: &mut Session, object: &Value) -> Step<String> {
    let mut out = template::heading(object);
    out.push_str(&format!("Selector:\t{}\n", selector(object)));
    labels(&mut out, "Labels", object, "/metadata/labels");
    annotations(&mut out, "Annotations", object, "/metadata/annotations");
    if let Some(owner) = controlled_by(object) {
        out.push_str(&format!("Controlled By:\t{owner}\n"));
    }
    let (have, want) = (number(object, "/status/replicas"), number(object, "/spec/replicas"));
    out.push_str(&format!("Replicas:\t{have} current / {want} desired\n"));
    out.push_str(&format!("Pods Status:\t{}\n", controllers::pods_status(session, object, &selector(object))?));
    out.push_str(&template::describe(object, ""));
    conditions(&mut out, object);
    Ok(out)
}
