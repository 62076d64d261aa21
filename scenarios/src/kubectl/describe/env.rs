//! Environment variables as `describe` shows them.
//!
//! Models: kubernetes v1.36.2 staging/src/k8s.io/kubectl/pkg/describe/describe.go (`describeContainerEnvVars`,
//! `describeContainerEnvFrom`, `EnvValueRetriever`), pkg/util/fieldpath, pkg/util/resource
//! (`ExtractContainerResourceValue`).

use serde_json::Value;

use super::super::json::{list, present, scalar_at, text};
use super::quantity::Quantity;

/// Where all keys of a ConfigMap or Secret become variables.
pub(super) fn env_from(out: &mut String, sources: &[Value]) {
    if !sources.is_empty() {
        out.push_str("    Environment Variables from:\n");
    }
    for source in sources {
        let (kind, of) = match source.get("secretRef") {
            Some(secret) => ("Secret", secret),
            None => ("ConfigMap", source.get("configMapRef").unwrap_or(&Value::Null)),
        };
        let prefix = match text(source, "/prefix") {
            "" => String::new(),
            prefix => format!(" with prefix '{prefix}'"),
        };
        out.push_str(&format!("      {}\t{kind}{prefix}\tOptional: {}\n", text(of, "/name"), optional(of)));
    }
}

/// `true` or `false`
pub(super) fn optional(object: &Value) -> bool {
    object.get("optional") == Some(&Value::Bool(true))
}

/// The variables of a container; those of a pod show what they are taken from.
pub(super) fn env(out: &mut String, container: &Value, pod: Option<&Value>) {
    let variables = list(container, "/env");
    out.push_str(if variables.is_empty() { "    Environment:\t<none>\n" } else { "    Environment:\n" });
    for variable in variables {
        let name = text(variable, "/name");
        let from = |field: &str| variable.pointer(&format!("/valueFrom/{field}")).filter(|from| from.is_object());
        if let Some(field) = from("fieldRef") {
            let (version, path) = (text(field, "/apiVersion"), text(field, "/fieldPath"));
            let version = if version.is_empty() { "v1" } else { version };
            let value = pod.map(|pod| field_value(pod, path)).unwrap_or_default();
            out.push_str(&format!("      {name}:\t{value} ({version}:{path})\n"));
        } else if let Some(field) = from("resourceFieldRef") {
            let (value, resource) = (resource_value(container, field), text(field, "/resource"));
            out.push_str(&format!("      {name}:\t{value} ({resource})\n"));
        } else if let Some(key) = from("secretKeyRef") {
            let (key, of, opt) = (text(key, "/key"), text(key, "/name"), optional(key));
            out.push_str(&format!("      {name}:\t<set to the key '{key}' in secret '{of}'>\tOptional: {opt}\n"));
        } else if let Some(key) = from("configMapKeyRef") {
            let (key, of, opt) = (text(key, "/key"), text(key, "/name"), optional(key));
            out.push_str(&format!("      {name}:\t<set to the key '{key}' of config map '{of}'>\tOptional: {opt}\n"));
        } else {
            for (i, line) in text(variable, "/value").split('\n').enumerate() {
                let name = if i == 0 { format!("{name}:") } else { String::new() };
                out.push_str(&format!("      {name}\t{line}\n"));
            }
        }
    }
}

/// What a pod's metadata has at a path; kubectl looks at nothing else.
fn field_value(pod: &Value, path: &str) -> String {
    let pairs = |field: &str| super::super::json::pairs(pod, &format!("/metadata/{field}"));
    if let Some((map, key)) = path.strip_suffix("']").and_then(|path| path.split_once("['")) {
        let field = map.trim_start_matches("metadata.");
        return pairs(field).into_iter().find(|(known, _)| *known == key).map_or("", |(_, value)| value).into();
    }
    match path {
        "metadata.name" | "metadata.namespace" | "metadata.uid" => {
            scalar_at(pod, &format!("/{}", path.replace('.', "/")))
        }
        "metadata.labels" | "metadata.annotations" => {
            let lines: Vec<String> =
                pairs(path.trim_start_matches("metadata.")).iter().map(|(k, v)| format!("{k}={v:?}")).collect();
            lines.join("\n")
        }
        _ => String::new(),
    }
}

/// A request or limit in units of the divisor, rounded up.
fn resource_value(container: &Value, field: &Value) -> String {
    let resource = text(field, "/resource");
    let pointer = format!("/resources/{}", resource.replacen('.', "/", 1));
    let amount = Quantity::parse(&scalar_at(container, &pointer)).unwrap_or_default();
    let divisor = match scalar_at(field, "/divisor").as_str() {
        "" | "0" => "1".to_string(),
        divisor => divisor.to_string(),
    };
    let value = Quantity::parse(&divisor).map_or(0, |divisor| amount.divided_up(divisor));
    let unlimited = value == 0 && matches!(resource, "limits.cpu" | "limits.memory");
    if unlimited && !present(container, &pointer) { "node allocatable".into() } else { value.to_string() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn variables_show_what_they_are_taken_from() {
        let pod = json!({"metadata": {"name": "p", "labels": {"a": "b"}}});
        assert_eq!(field_value(&pod, "metadata.name"), "p");
        assert_eq!(field_value(&pod, "metadata.labels['a']"), "b");
        assert_eq!(field_value(&pod, "status.podIP"), "");
        let container = json!({"resources": {"limits": {"cpu": "1500m", "memory": "1Gi"}}});
        let of = |resource: &str, divisor: &str| {
            resource_value(&container, &json!({"resource": resource, "divisor": divisor}))
        };
        assert_eq!((of("limits.cpu", "0"), of("limits.cpu", "1m")), ("2".into(), "1500".into()));
        assert_eq!(of("limits.memory", "1Mi"), "1024");
        assert_eq!(resource_value(&json!({}), &json!({"resource": "limits.cpu"})), "node allocatable");
        assert_eq!(resource_value(&json!({}), &json!({"resource": "requests.cpu"})), "0");
    }
}
