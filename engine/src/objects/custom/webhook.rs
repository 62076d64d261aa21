//! Admission webhooks, compiled from their configurations.
//!
//! Models: kubernetes v1.36.2 staging/src/k8s.io/api/admissionregistration/v1/types.go,
//! staging/src/k8s.io/apiserver/pkg/admission/plugin/webhook/predicates/rules/rules.go. Left out: match conditions (CEL), `matchPolicy` (a
//! group has one version here).

use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use serde_json::{Map, Value};

use crate::kernel::Duration;
use crate::objects::selector::Selector;
use crate::objects::{Name, ObjectMeta};

/// A webhook.
#[derive(Clone, Debug)]
pub struct Webhook {
    /// The name of the configuration it is from.
    pub configuration: Name,
    /// `sidecar.wavetank.dev`
    pub name: Name,
    /// Where it is called, as errors show it.
    pub url: Name,
    /// What it is called for.
    pub rules: Vec<Rule>,
    /// Which namespaces.
    pub namespaces: Selector,
    /// Which objects.
    pub objects: Selector,
    /// What becomes of a request when the call fails.
    pub failure: FailurePolicy,
    /// How long a call may take.
    pub timeout: Duration,
    /// Whether it is called again when a later one has changed the object.
    pub reinvoke: bool,
    /// Whether it can be called for a dry run.
    pub harmless: bool,
}

/// What becomes of a request when the call fails.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs)]
pub enum FailurePolicy {
    Fail,
    Ignore,
}

/// Which requests.
#[derive(Clone, Debug, Default)]
pub struct Rule {
    /// `CREATE`, `UPDATE`, `DELETE`, `CONNECT`, `*`.
    pub operations: Vec<String>,
    /// `apps`, `*`.
    pub groups: Vec<String>,
    /// `v1`, `*`.
    pub versions: Vec<String>,
    /// `pods`, `pods/status`, `*`, `*/*`, `pods/*`, `*/scale`.
    pub resources: Vec<String>,
    /// `Cluster`, `Namespaced`, `*`.
    pub scope: String,
}

impl Rule {
    /// Whether a request is meant.
    pub fn matches(&self, operation: &str, kind: crate::objects::Kind, subresource: &str) -> bool {
        let one = |list: &[String], wanted: &str| list.iter().any(|item| item == "*" || item == wanted);
        let version = kind.api_version().rsplit('/').next().unwrap_or_default();
        let scope = match self.scope.as_str() {
            "Cluster" => !kind.namespaced(),
            "Namespaced" => kind.namespaced(),
            _ => true,
        };
        let resource = self.resources.iter().any(|item| {
            let (resource, part) = item.split_once('/').unwrap_or((item, ""));
            (resource == "*" || resource == kind.plural()) && (part == subresource || part == "*" && item.contains('/'))
        });
        scope
            && resource
            && one(&self.operations, operation)
            && one(&self.groups, kind.group())
            && one(&self.versions, version)
    }
}

/// The webhooks of a configuration.
pub fn compile(meta: &ObjectMeta, content: &Map<String, Value>) -> Arc<[Webhook]> {
    let webhooks = content.get("webhooks").and_then(Value::as_array);
    webhooks.into_iter().flatten().map(|value| webhook(meta, value)).collect()
}

fn webhook(meta: &ObjectMeta, value: &Value) -> Webhook {
    let texts = |value: &Value| -> Vec<String> {
        value.as_array().into_iter().flatten().filter_map(|text| Some(text.as_str()?.to_owned())).collect()
    };
    let selector = |value: &Value| {
        let given: Option<LabelSelector> = serde_json::from_value(value.clone()).ok();
        given.and_then(|given| Selector::from_api(Some(&given)).ok()).unwrap_or_else(Selector::everything)
    };
    let rules = value["rules"].as_array().into_iter().flatten();
    Webhook {
        configuration: meta.name.clone(),
        name: value["name"].as_str().unwrap_or_default().into(),
        url: url(&value["clientConfig"], value["timeoutSeconds"].as_u64().unwrap_or(10)).into(),
        rules: rules
            .map(|rule| Rule {
                operations: texts(&rule["operations"]),
                groups: texts(&rule["apiGroups"]),
                versions: texts(&rule["apiVersions"]),
                resources: texts(&rule["resources"]),
                scope: rule["scope"].as_str().unwrap_or("*").to_owned(),
            })
            .collect(),
        namespaces: selector(&value["namespaceSelector"]),
        objects: selector(&value["objectSelector"]),
        failure: if value["failurePolicy"] == "Ignore" { FailurePolicy::Ignore } else { FailurePolicy::Fail },
        timeout: Duration::from_secs(value["timeoutSeconds"].as_u64().unwrap_or(10)),
        reinvoke: value["reinvocationPolicy"] == "IfNeeded",
        harmless: matches!(value["sideEffects"].as_str(), Some("None" | "NoneOnDryRun")),
    }
}

/// `https://sidecar.default.svc:443/mutate?timeout=10s`
fn url(config: &Value, timeout: u64) -> String {
    let service = &config["service"];
    let base = match config["url"].as_str() {
        Some(url) => url.to_owned(),
        None => {
            let (name, namespace) = (service["name"].as_str(), service["namespace"].as_str());
            let port = service["port"].as_u64().unwrap_or(443);
            let path = service["path"].as_str().unwrap_or("/");
            let slash = if path.starts_with('/') { "" } else { "/" };
            format!("https://{}.{}.svc:{port}{slash}{path}", name.unwrap_or_default(), namespace.unwrap_or_default())
        }
    };
    format!("{base}?timeout={timeout}s")
}
