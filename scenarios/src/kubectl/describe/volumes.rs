//! Volumes as `describe` shows them.
//!
//! Models: kubernetes v1.36.2 staging/src/k8s.io/kubectl/pkg/describe/describe.go (`describeVolumes`).
//! Left out: volume types beyond the common ones: they are named only.

use serde_json::Value;

use super::super::json::{list, number, scalar, text};
use super::env::optional;

/// The volumes of a pod or, indented by `space`, of a template.
pub(super) fn volumes(out: &mut String, volumes: &[Value], space: &str) {
    if volumes.is_empty() {
        out.push_str(&format!("{space}Volumes:\t<none>\n"));
        return;
    }
    out.push_str(&format!("{space}Volumes:\n"));
    let indent = if space.is_empty() { "" } else { " " };
    for volume in volumes {
        out.push_str(&format!("  {indent}{}:\n", text(volume, "/name")));
        one(out, volume);
    }
}

fn one(out: &mut String, volume: &Value) {
    let mut lines = |kind: &str, lines: &[(&str, String)]| {
        out.push_str(&format!("    Type:\t{kind}\n"));
        for (title, value) in lines {
            out.push_str(&format!("    {title}:\t{value}\n"));
        }
    };
    let field = |of: &Value, name: &str| of.get(name).map(scalar).unwrap_or_default();
    if let Some(of) = volume.get("emptyDir") {
        let limit = of.get("sizeLimit").map(scalar).unwrap_or_else(|| "<unset>".into());
        let medium = field(of, "medium");
        lines(
            "EmptyDir (a temporary directory that shares a pod's lifetime)",
            &[("Medium", medium), ("SizeLimit", limit)],
        );
    } else if let Some(of) = volume.get("hostPath") {
        let (path, kind) = (field(of, "path"), field(of, "type"));
        lines("HostPath (bare host directory volume)", &[("Path", path), ("HostPathType", kind)]);
    } else if let Some(of) = volume.get("configMap") {
        let name = field(of, "name");
        lines(
            "ConfigMap (a volume populated by a ConfigMap)",
            &[("Name", name), ("Optional", optional(of).to_string())],
        );
    } else if let Some(of) = volume.get("secret") {
        let name = field(of, "secretName");
        lines(
            "Secret (a volume populated by a Secret)",
            &[("SecretName", name), ("Optional", optional(of).to_string())],
        );
    } else if let Some(of) = volume.get("persistentVolumeClaim") {
        let read_only = of.get("readOnly") == Some(&Value::Bool(true));
        let kind = "PersistentVolumeClaim (a reference to a PersistentVolumeClaim in the same namespace)";
        lines(kind, &[("ClaimName", field(of, "claimName")), ("ReadOnly", read_only.to_string())]);
    } else if let Some(of) = volume.get("projected") {
        lines("Projected (a volume that contains injected data from multiple sources)", &sources(of));
    } else if volume.get("downwardAPI").is_some() {
        lines("DownwardAPI (a volume populated by information about the pod)", &[]);
    } else {
        out.push_str("  <unknown>\n");
    }
}

fn sources(projected: &Value) -> Vec<(&'static str, String)> {
    let mut lines = Vec::new();
    for source in list(projected, "/sources") {
        if let Some(of) = source.get("secret") {
            lines.push(("SecretName", text(of, "/name").into()));
            lines.push(("Optional", optional(of).to_string()));
        } else if source.get("downwardAPI").is_some() {
            lines.push(("DownwardAPI", "true".into()));
        } else if let Some(of) = source.get("configMap") {
            lines.push(("ConfigMapName", text(of, "/name").into()));
            lines.push(("Optional", optional(of).to_string()));
        } else if let Some(of) = source.get("serviceAccountToken") {
            lines.push(("TokenExpirationSeconds", number(of, "/expirationSeconds").to_string()));
        }
    }
    lines
}
