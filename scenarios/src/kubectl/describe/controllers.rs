//! `kubectl describe` of StatefulSets, DaemonSets and ReplicationControllers.
//!
//! Models: kubernetes v1.36.2 staging/src/k8s.io/kubectl/pkg/describe/describe.go (`describeStatefulSet`,
//! `describeDaemonSet`, `describeReplicationController`, `getPodStatusForController`, `describeVolumeClaimTemplates`).

use serde_json::Value;

use super::super::builder::CHUNK;
use super::super::duration::rfc1123z;
use super::super::json::{integer, list, name, namespace, number, present, scalar_at, strings, text};
use super::super::printers::storage::storage_class;
use super::super::resources::Resource;
use super::super::rollout::selector;
use super::super::selectors::format_labels;
use super::super::session::{Session, Step};
use super::super::{ApiCall, ApiVerb};
use super::{annotations, conditions, labels, put, template};

/// `3 Running / 0 Waiting / 0 Succeeded / 0 Failed`: the pods a controller owns.
pub(super) fn pods_status(session: &mut Session, object: &Value, selector: &str) -> Step<String> {
    let call = Resource::PODS.call(ApiVerb::List, Some(namespace(object)));
    let pods = session.list(ApiCall { label_selector: Some(selector.to_string()), limit: Some(CHUNK), ..call })?;
    let uid = text(object, "/metadata/uid");
    let owned: Vec<&Value> = pods
        .items()
        .filter(|pod| {
            list(pod, "/metadata/ownerReferences")
                .iter()
                .any(|owner| text(owner, "/uid") == uid && owner.get("controller") == Some(&Value::Bool(true)))
        })
        .collect();
    let count = |phase: &str| owned.iter().filter(|pod| text(pod, "/status/phase") == phase).count();
    Ok(format!(
        "{} Running / {} Waiting / {} Succeeded / {} Failed",
        count("Running"),
        count("Pending"),
        count("Succeeded"),
        count("Failed")
    ))
}

/// Everything but the events.
pub(super) fn stateful_set(session: &mut Session, object: &Value) -> Step<String> {
    let selector = selector(object);
    let pods = pods_status(session, object, &selector)?;
    let mut out = template::heading(object);
    put(&mut out, "CreationTimestamp", rfc1123z(text(object, "/metadata/creationTimestamp")));
    put(&mut out, "Selector", selector);
    labels(&mut out, "Labels", object, "/metadata/labels");
    annotations(&mut out, "Annotations", object, "/metadata/annotations");
    let (want, have) = (number(object, "/spec/replicas"), number(object, "/status/replicas"));
    put(&mut out, "Replicas", format!("{want} desired | {have} total"));
    put(&mut out, "Update Strategy", text(object, "/spec/updateStrategy/type"));
    if let Some(partition) = integer(object, "/spec/updateStrategy/rollingUpdate/partition") {
        put(&mut out, "  Partition", partition);
        if present(object, "/spec/updateStrategy/rollingUpdate/maxUnavailable") {
            let most = scalar_at(object, "/spec/updateStrategy/rollingUpdate/maxUnavailable");
            put(&mut out, "  MaxUnavailable", most);
        }
    }
    put(&mut out, "Pods Status", pods);
    out.push_str(&template::describe(object, ""));
    claim_templates(&mut out, list(object, "/spec/volumeClaimTemplates"));
    Ok(out)
}

fn claim_templates(out: &mut String, templates: &[Value]) {
    if templates.is_empty() {
        put(out, "Volume Claims", "<none>");
        return;
    }
    out.push_str("Volume Claims:\n");
    for claim in templates {
        put(out, "  Name", name(claim));
        put(out, "  StorageClass", storage_class(claim));
        indented_pairs(out, "Labels", claim, "/metadata/labels");
        indented_pairs(out, "Annotations", claim, "/metadata/annotations");
        let capacity = scalar_at(claim, "/spec/resources/requests/storage");
        put(out, "  Capacity", if capacity.is_empty() { "<default>" } else { &capacity });
        put(out, "  Access Modes", format!("[{}]", strings(claim, "/spec/accessModes").join(" ")));
    }
}

fn indented_pairs(out: &mut String, title: &str, object: &Value, pointer: &str) {
    let pairs = super::super::json::pairs(object, pointer);
    out.push_str(&format!("  {title}:\t"));
    if pairs.is_empty() {
        out.push_str("<none>\n");
    }
    for (i, (key, value)) in pairs.into_iter().enumerate() {
        out.push_str(if i == 0 { "" } else { "  \t" });
        out.push_str(&format!("{key}={value}\n"));
    }
}

/// Everything but the events.
pub(super) fn daemon_set(session: &mut Session, object: &Value) -> Step<String> {
    let selector = selector(object);
    let pods = pods_status(session, object, &selector)?;
    let mut out = template::heading(object);
    put(&mut out, "Selector", selector);
    put(&mut out, "Node-Selector", format_labels(object, "/spec/template/spec/nodeSelector"));
    labels(&mut out, "Labels", object, "/metadata/labels");
    annotations(&mut out, "Annotations", object, "/metadata/annotations");
    for (title, field) in [
        ("Desired Number of Nodes Scheduled", "desiredNumberScheduled"),
        ("Current Number of Nodes Scheduled", "currentNumberScheduled"),
        ("Number of Nodes Scheduled with Up-to-date Pods", "updatedNumberScheduled"),
        ("Number of Nodes Scheduled with Available Pods", "numberAvailable"),
        ("Number of Nodes Misscheduled", "numberMisscheduled"),
    ] {
        // No tab: these lines take no part in the columns.
        out.push_str(&format!("{title}: {}\n", number(object, &format!("/status/{field}"))));
    }
    put(&mut out, "Pods Status", pods);
    out.push_str(&template::describe(object, ""));
    Ok(out)
}

/// Everything but the events.
pub(super) fn replication_controller(session: &mut Session, object: &Value) -> Step<String> {
    let selector = format_labels(object, "/spec/selector");
    let pods = pods_status(session, object, selector.trim_start_matches("<none>"))?;
    let mut out = template::heading(object);
    put(&mut out, "Selector", selector);
    labels(&mut out, "Labels", object, "/metadata/labels");
    annotations(&mut out, "Annotations", object, "/metadata/annotations");
    let (have, want) = (number(object, "/status/replicas"), number(object, "/spec/replicas"));
    put(&mut out, "Replicas", format!("{have} current / {want} desired"));
    put(&mut out, "Pods Status", pods);
    out.push_str(&template::describe(object, ""));
    conditions(&mut out, object);
    Ok(out)
}
