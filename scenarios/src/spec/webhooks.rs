//! Webhooks as a script describes them: the configuration that tells the API server of one, and the program behind it.

use serde_json::{Map, Value, json};
use wavetank_engine::apiserver::webhooks::{WebhookServer, WebhookTrouble};
use wavetank_engine::kernel::Duration;
use wavetank_engine::kernel::latency::Latency;

use super::{keys, known, text, time};

/// A webhook as it is described.
#[derive(Debug)]
pub(crate) struct Described {
    /// `mutatingwebhookconfigurations` or `validatingwebhookconfigurations`, with its JSON.
    pub configuration: Value,
    /// The program.
    pub server: WebhookServer,
}

/// The full name of a webhook: `sidecar` is `sidecar.wavetank.dev`.
pub(crate) fn full_name(name: &str) -> String {
    if name.split('.').count() >= 3 { name.to_owned() } else { format!("{name}.wavetank.dev") }
}

/// A webhook of a map.
pub(crate) fn webhook(name: &str, map: &Map<String, Value>) -> Result<Described, String> {
    known("webhook(…)", map, keys::WEBHOOK)?;
    let kind = match text(map, "kind")?.unwrap_or("validating") {
        "mutating" => "MutatingWebhookConfiguration",
        "validating" => "ValidatingWebhookConfiguration",
        other => return Err(format!("`kind` is \"mutating\" or \"validating\", not \"{other}\"")),
    };
    let seconds = map.get("timeout").map(|value| time("timeout", value)).transpose()?.unwrap_or(10_000_000_000);
    if !(1..=30).contains(&(seconds / 1_000_000_000)) || seconds % 1_000_000_000 != 0 {
        return Err("`timeout` is 1s to 30s, in whole seconds".to_owned());
    }
    let rules = match map.get("rules") {
        Some(Value::Array(items)) => items.iter().map(rule).collect::<Result<Vec<_>, _>>()?,
        Some(one) => vec![rule(one)?],
        None => vec![rule(&json!({"resources": ["pods"], "operations": ["CREATE"]}))?],
    };
    let service = name.split('.').next().unwrap_or(name);
    let mut webhook = json!({
        "name": full_name(name),
        "admissionReviewVersions": ["v1"],
        "clientConfig": {"service": {"name": service, "namespace": "default", "path": "/admit"}},
        "failurePolicy": text(map, "failure_policy")?.unwrap_or("Fail"),
        "rules": rules,
        "sideEffects": text(map, "side_effects")?.unwrap_or("None"),
        "timeoutSeconds": seconds / 1_000_000_000,
    });
    if let Some(policy) = text(map, "reinvocation_policy")? {
        webhook["reinvocationPolicy"] = policy.into();
    }
    for (key, field) in [("namespace_selector", "namespaceSelector"), ("object_selector", "objectSelector")] {
        if let Some(selector) = map.get(key) {
            webhook[field] = selected(key, selector)?;
        }
    }
    if let Some(namespaces) = map.get("namespaces") {
        let names = if namespaces.is_array() { namespaces.clone() } else { json!([namespaces]) };
        webhook["namespaceSelector"] = json!({"matchExpressions": [
            {"key": "kubernetes.io/metadata.name", "operator": "In", "values": names}]});
    }
    let latency = match map.get("latency") {
        None => Latency::log_normal(15.0, 2.0),
        Some(Value::Object(map)) => {
            let of = |key: &str| map.get(key).map(|value| time(key, value)).transpose();
            let ms = |ns: u64| ns as f64 / 1e6;
            match (of("median")?, of("p90")?) {
                (Some(median), Some(p90)) if median > 0 && p90 >= median => {
                    Latency::log_normal(ms(median), ms(p90) / ms(median))
                }
                _ => return Err("`latency` is a duration, or #{ median: \"10ms\", p90: \"40ms\" }".to_owned()),
            }
        }
        Some(value) => Latency::constant(Duration::from_nanos(time("latency", value)?).as_millis_f64()),
    };
    let configuration = json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": kind,
        "metadata": {"name": name}, "webhooks": [webhook],
    });
    let server = WebhookServer { name: full_name(name).into(), latency, trouble: WebhookTrouble::None };
    Ok(Described { configuration, server })
}

/// `#{ resources: [\"pods\"], operations: [\"CREATE\"], api_groups: [\"\"] }`, or a text of resources.
fn rule(value: &Value) -> Result<Value, String> {
    let (resources, operations, groups) = match value {
        Value::String(resource) => (json!([resource]), Value::Null, Value::Null),
        Value::Object(map) => {
            known("an entry of `rules`", map, keys::RULE)?;
            let of = |key: &str| map.get(key).cloned().unwrap_or_default();
            (of("resources"), of("operations"), of("api_groups"))
        }
        other => return Err(format!("a rule is a map like #{{ resources: [\"pods\"] }}, not {other}")),
    };
    let list = |value: Value, usual: &str| match value {
        Value::Null => json!([usual]),
        Value::Array(_) => value,
        one => json!([one]),
    };
    let upper = |value: Value| -> Value {
        let words = value.as_array().cloned().unwrap_or_default();
        words.iter().map(|word| word.as_str().unwrap_or_default().to_uppercase()).collect::<Vec<_>>().into()
    };
    Ok(json!({
        "apiGroups": list(groups, "*"), "apiVersions": ["*"], "operations": upper(list(operations, "CREATE")),
        "resources": list(resources, "*"), "scope": "*",
    }))
}

/// A map of labels, or a whole label selector.
fn selected(key: &str, value: &Value) -> Result<Value, String> {
    let Value::Object(map) = value else { return Err(format!("`{key}` is a map of labels, not {value}")) };
    let whole = map.contains_key("matchLabels") || map.contains_key("matchExpressions");
    Ok(if whole { value.clone() } else { json!({"matchLabels": value}) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(map: Value) -> Result<Described, String> {
        webhook("sidecar", map.as_object().expect("a map"))
    }

    #[test]
    fn a_webhook_is_described_by_a_map() {
        let map = json!({"kind": "mutating", "rules": [{"resources": ["pods"]}], "object_selector": {"inject": "yes"},
            "timeout": "5s", "namespaces": "shop", "latency": "20ms"});
        let described = of(map).expect("a webhook");
        let webhook = &described.configuration["webhooks"][0];
        assert_eq!(webhook["name"], "sidecar.wavetank.dev");
        assert_eq!(webhook["rules"][0]["operations"], json!(["CREATE"]));
        assert_eq!((&webhook["timeoutSeconds"], &webhook["failurePolicy"]), (&json!(5), &json!("Fail")));
        assert_eq!(webhook["objectSelector"], json!({"matchLabels": {"inject": "yes"}}));
        assert_eq!(described.server.latency, Latency::constant(20.0));
    }

    #[test]
    fn mistakes_name_the_key() {
        assert!(of(json!({"kind": "judging"})).expect_err("a mistake").contains("validating"));
        assert!(of(json!({"timeout": "90s"})).expect_err("a mistake").contains("1s to 30s"));
        assert!(of(json!({"failurepolicy": "Fail"})).expect_err("a mistake").contains("failure_policy"));
    }
}
