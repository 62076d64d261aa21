//! `kubectl describe` of ConfigMaps, Secrets and ServiceAccounts.
//!
//! Models: kubernetes v1.36.2 staging/src/k8s.io/kubectl/pkg/describe/describe.go (`ConfigMapDescriber`,
//! `describeSecret`, `describeServiceAccount`).

use serde_json::Value;

use super::super::base64;
use super::super::json::{list, pairs, text};
use super::{annotations, labels, template};

/// Everything but the events.
pub(super) fn config_map(object: &Value) -> String {
    let mut out = template::heading(object);
    labels(&mut out, "Labels", object, "/metadata/labels");
    annotations(&mut out, "Annotations", object, "/metadata/annotations");
    out.push_str("\nData\n====\n");
    for (key, value) in pairs(object, "/data") {
        out.push_str(&format!("{key}:\n----\n{value}\n\n"));
    }
    out.push_str("\nBinaryData\n====\n");
    for (key, value) in pairs(object, "/binaryData") {
        out.push_str(&format!("{key}: {} bytes\n", size(value)));
    }
    out.push('\n');
    out
}

fn size(coded: &str) -> usize {
    base64::decode(coded).map_or(0, |bytes| bytes.len())
}

/// The whole of it: events are not shown.
pub(super) fn secret(object: &Value) -> String {
    let mut out = template::heading(object);
    labels(&mut out, "Labels", object, "/metadata/labels");
    annotations(&mut out, "Annotations", object, "/metadata/annotations");
    let kind = text(object, "/type");
    out.push_str(&format!("\nType:\t{kind}\n\nData\n====\n"));
    for (key, value) in pairs(object, "/data") {
        if key == "token" && kind == "kubernetes.io/service-account-token" {
            let token = base64::decode(value).unwrap_or_default();
            out.push_str(&format!("{key}:\t{}\n", String::from_utf8_lossy(&token)));
        } else {
            out.push_str(&format!("{key}:\t{} bytes\n", size(value)));
        }
    }
    out
}

/// Everything but the events.
pub(super) fn service_account(object: &Value) -> String {
    let mut out = template::heading(object);
    labels(&mut out, "Labels", object, "/metadata/labels");
    annotations(&mut out, "Annotations", object, "/metadata/annotations");
    let secrets: Vec<&str> = list(object, "/imagePullSecrets").iter().map(|secret| text(secret, "/name")).collect();
    if secrets.is_empty() {
        out.push_str("Image pull secrets:\t<none>\n");
    }
    for (i, secret) in secrets.iter().enumerate() {
        let title = if i == 0 { "Image pull secrets:" } else { "                   " };
        out.push_str(&format!("{title}\t{secret}\n"));
    }
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::super::tabwriter::align;
    use super::*;

    #[test]
    fn a_secret_shows_sizes_only() {
        let object = json!({"metadata": {"name": "creds", "namespace": "default"}, "type": "Opaque",
            "data": {"password": "aHVudGVyMg=="}});
        let expected = "Name:         creds\nNamespace:    default\nLabels:       <none>\nAnnotations:  <none>\n\n\
            Type:  Opaque\n\nData\n====\npassword:  7 bytes\n";
        assert_eq!(align(&secret(&object)), expected);
    }
}
