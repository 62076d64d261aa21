//! `kubectl describe` of PersistentVolumes, PersistentVolumeClaims and StorageClasses.
//!
//! Models: kubernetes v1.36.2 staging/src/k8s.io/kubectl/pkg/describe/describe.go (`describePersistentVolume`,
//! `describePersistentVolumeClaim`, `getPodsForPVC`, `describeStorageClass`).
//! Left out: volume types beyond hostPath, local, NFS and CSI: their type is not told.

use serde_json::Value;

use super::super::builder::CHUNK;
use super::super::duration::{age, rfc1123z};
use super::super::json::{boolean, is_deleting, list, name, namespace, pairs, present, scalar_at, strings, text};
use super::super::printers::storage::{access_modes, bound, claim, storage_class};
use super::super::resources::Resource;
use super::super::selectors::format_labels;
use super::super::session::{Session, Step};
use super::super::{ApiCall, ApiVerb};
use super::{annotations, labels, lines_beside, put, template};

fn status(object: &Value, now: i64) -> String {
    if is_deleting(object) {
        format!("Terminating (lasts {})", age(text(object, "/metadata/deletionTimestamp"), now))
    } else {
        text(object, "/status/phase").into()
    }
}

fn finalizers(object: &Value) -> String {
    format!("[{}]", strings(object, "/metadata/finalizers").join(" "))
}

/// Everything but the events.
pub(super) fn volume(object: &Value, now: i64) -> String {
    let mut out = String::new();
    put(&mut out, "Name", name(object));
    labels(&mut out, "Labels", object, "/metadata/labels");
    annotations(&mut out, "Annotations", object, "/metadata/annotations");
    put(&mut out, "Finalizers", finalizers(object));
    put(&mut out, "StorageClass", storage_class(object));
    put(&mut out, "Status", status(object, now));
    put(&mut out, "Claim", claim(object));
    put(&mut out, "Reclaim Policy", text(object, "/spec/persistentVolumeReclaimPolicy"));
    put(&mut out, "Access Modes", access_modes(object, "/spec/accessModes"));
    if present(object, "/spec/volumeMode") {
        put(&mut out, "VolumeMode", text(object, "/spec/volumeMode"));
    }
    put(&mut out, "Capacity", scalar_at(object, "/spec/capacity/storage"));
    node_affinity(&mut out, object);
    put(&mut out, "Message", text(object, "/status/message"));
    out.push_str("Source:\n");
    source(&mut out, object.get("spec").unwrap_or(&Value::Null));
    out
}

fn node_affinity(out: &mut String, volume: &Value) {
    if !present(volume, "/spec/nodeAffinity/required") {
        put(out, "Node Affinity", "<none>");
        return;
    }
    let terms = list(volume, "/spec/nodeAffinity/required/nodeSelectorTerms");
    let none = if terms.is_empty() { "<none>" } else { "" };
    out.push_str(&format!("Node Affinity:\t\n  Required Terms:\t{none}\n"));
    for (i, term) in terms.iter().enumerate() {
        let expressions = list(term, "/matchExpressions");
        out.push_str(&format!("    Term {i}:\t"));
        if expressions.is_empty() {
            out.push_str("<none>\n");
        }
        for (j, expression) in expressions.iter().enumerate() {
            out.push_str(if j == 0 { "" } else { "    \t" });
            let (key, operator) = (text(expression, "/key"), text(expression, "/operator").to_lowercase());
            let values = strings(expression, "/values");
            let values = if values.is_empty() { String::new() } else { format!(" [{}]", values.join(", ")) };
            out.push_str(&format!("{key} {operator}{values}\n"));
        }
    }
}

fn source(out: &mut String, spec: &Value) {
    let mut lines = |kind: &str, fields: &[(&str, String)]| {
        out.push_str(&format!("    Type:\t{kind}\n"));
        for (title, value) in fields {
            out.push_str(&format!("    {title}:\t{value}\n"));
        }
    };
    let of = |pointer: &str| scalar_at(spec, pointer);
    let read_only = |pointer: &str| boolean(spec, pointer).unwrap_or(false).to_string();
    if present(spec, "/hostPath") {
        let fields = [("Path", of("/hostPath/path")), ("HostPathType", of("/hostPath/type"))];
        lines("HostPath (bare host directory volume)", &fields);
    } else if present(spec, "/nfs") {
        let fields =
            [("Server", of("/nfs/server")), ("Path", of("/nfs/path")), ("ReadOnly", read_only("/nfs/readOnly"))];
        lines("NFS (an NFS mount that lasts the lifetime of a pod)", &fields);
    } else if present(spec, "/local") {
        lines("LocalVolume (a persistent volume backed by local storage on a node)", &[("Path", of("/local/path"))]);
    } else if present(spec, "/csi") {
        let fields = [
            ("Driver", of("/csi/driver")),
            ("FSType", of("/csi/fsType")),
            ("VolumeHandle", of("/csi/volumeHandle")),
            ("ReadOnly", read_only("/csi/readOnly")),
        ];
        lines("CSI (a Container Storage Interface (CSI) volume source)", &fields);
        let attributes: Vec<String> =
            pairs(spec, "/csi/volumeAttributes").iter().map(|(key, value)| format!("{key}={value}")).collect();
        out.push_str(&format!("    VolumeAttributes:\t{}", if attributes.is_empty() { "<none>\n" } else { "" }));
        for (i, line) in attributes.iter().enumerate() {
            out.push_str(if i == 0 { "    " } else { "        \t    " });
            out.push_str(&format!("{line}\n"));
        }
    } else {
        out.push_str("  <unknown>\n");
    }
}

/// Everything but the events.
pub(super) fn volume_claim(session: &mut Session, object: &Value) -> Step<String> {
    let call = Resource::PODS.call(ApiVerb::List, Some(namespace(object)));
    let pods = session.list(ApiCall { limit: Some(CHUNK), ..call })?;
    let uses = |pod: &&Value| {
        let claims = list(pod, "/spec/volumes");
        claims.iter().any(|volume| text(volume, "/persistentVolumeClaim/claimName") == name(object))
    };
    let mut users: Vec<String> = pods.items().filter(uses).map(|pod| name(pod).to_string()).collect();
    users.sort();
    let now = session.now;
    let (capacity, modes) = bound(object);
    let mut out = template::heading(object);
    put(&mut out, "StorageClass", storage_class(object));
    put(&mut out, "Status", status(object, now));
    put(&mut out, "Volume", text(object, "/spec/volumeName"));
    labels(&mut out, "Labels", object, "/metadata/labels");
    annotations(&mut out, "Annotations", object, "/metadata/annotations");
    put(&mut out, "Finalizers", finalizers(object));
    put(&mut out, "Capacity", capacity);
    put(&mut out, "Access Modes", modes);
    if present(object, "/spec/volumeMode") {
        put(&mut out, "VolumeMode", text(object, "/spec/volumeMode"));
    }
    if present(object, "/spec/dataSource") {
        out.push_str("DataSource:\n");
        for (title, field) in [("APIGroup", "apiGroup"), ("Kind", "kind"), ("Name", "name")] {
            let value = text(object, &format!("/spec/dataSource/{field}"));
            if title != "APIGroup" || !value.is_empty() {
                put(&mut out, &format!("  {title}"), value);
            }
        }
    }
    lines_beside(&mut out, "Used By", &users);
    let conditions = list(object, "/status/conditions");
    if !conditions.is_empty() {
        out.push_str("Conditions:\n  Type\tStatus\tLastProbeTime\tLastTransitionTime\tReason\tMessage\n");
        out.push_str("  ----\t------\t-----------------\t------------------\t------\t-------\n");
    }
    for c in conditions {
        let (probe, transition) = (rfc1123z(text(c, "/lastProbeTime")), rfc1123z(text(c, "/lastTransitionTime")));
        let (kind, status) = (text(c, "/type"), text(c, "/status"));
        let (reason, message) = (text(c, "/reason"), text(c, "/message"));
        out.push_str(&format!("  {kind} \t{status} \t{probe} \t{transition} \t{reason} \t{message}\n"));
    }
    Ok(out)
}

/// Everything but the events.
pub(super) fn class(object: &Value) -> String {
    let mut out = String::new();
    put(&mut out, "Name", name(object));
    let default = super::super::printers::storage::is_default(object);
    put(&mut out, "IsDefaultClass", if default { "Yes" } else { "No" });
    put(&mut out, "Annotations", format_labels(object, "/metadata/annotations"));
    put(&mut out, "Provisioner", text(object, "/provisioner"));
    put(&mut out, "Parameters", format_labels(object, "/parameters"));
    let expansion = boolean(object, "/allowVolumeExpansion");
    put(&mut out, "AllowVolumeExpansion", expansion.map_or("<unset>", |on| if on { "True" } else { "False" }));
    let options = strings(object, "/mountOptions");
    out.push_str(if options.is_empty() { "MountOptions:\t<none>\n" } else { "MountOptions:\n" });
    for option in options {
        out.push_str(&format!("  {option}\n"));
    }
    for (title, pointer) in [("ReclaimPolicy", "/reclaimPolicy"), ("VolumeBindingMode", "/volumeBindingMode")] {
        if present(object, pointer) {
            put(&mut out, title, text(object, pointer));
        }
    }
    topologies(&mut out, object);
    out
}

fn topologies(out: &mut String, class: &Value) {
    let terms = list(class, "/allowedTopologies");
    if terms.is_empty() {
        return;
    }
    out.push_str("AllowedTopologies:\t\n");
    for (i, term) in terms.iter().enumerate() {
        let expressions = list(term, "/matchLabelExpressions");
        out.push_str(&format!("  Term {i}:\t{}", if expressions.is_empty() { "<none>\n" } else { "" }));
        for (j, expression) in expressions.iter().enumerate() {
            out.push_str(if j == 0 { "" } else { "  \t" });
            let values = strings(expression, "/values");
            let values = if values.is_empty() { String::new() } else { format!(" [{}]", values.join(", ")) };
            out.push_str(&format!("{} in{values}\n", text(expression, "/key")));
        }
    }
}
