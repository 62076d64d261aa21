//! `kubectl create quota`, `poddisruptionbudget` and `priorityclass`.
//!
//! Models: kubernetes v1.36.2 staging/src/k8s.io/kubectl/pkg/cmd/create/{create_quota,create_pdb,
//! create_priorityclass}.go.

use serde_json::{Map, Value, json};

use super::super::errors::Failure;
use super::super::flags::{Args, Flag, Takes};
use super::super::quantity;
use super::super::resources::Resource;
use super::super::session::{Session, Step};
use super::{generated, the_name};

pub(crate) const QUOTA_FLAGS: &[Flag] = &[("hard", ' ', Takes::Text), ("scopes", ' ', Takes::Text)];

/// `kubectl create quota NAME --hard=pods=5,cpu=2`
pub(crate) fn quota(session: &mut Session, args: &Args) -> Step<()> {
    let name = the_name(args)?;
    let mut spec = json!({});
    let hard = resource_list(args.text("hard"))?;
    if !hard.is_empty() {
        spec["hard"] = Value::Object(hard);
    }
    if let Some(scopes) = args.given("scopes") {
        spec["scopes"] = json!(scopes.split(',').collect::<Vec<_>>());
    }
    let object = json!({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": name}, "spec": spec,
        "status": {}});
    generated(session, args, &Resource::RESOURCEQUOTAS, object, "failed to create quota:")
}

/// `cpu=1,memory=1Gi` as a map of quantities.
pub(crate) fn resource_list(spec: &str) -> Result<Map<String, Value>, Failure> {
    let mut map = Map::new();
    for statement in spec.split(',').filter(|_| !spec.is_empty()) {
        let parts: Vec<&str> = statement.split('=').collect();
        let [resource, amount] = parts.as_slice() else {
            let text = format!("Invalid argument syntax {statement}, expected <resource>=<value>");
            return Err(Failure::Message(text));
        };
        map.insert((*resource).into(), quantity::canonical(amount).map_err(Failure::Message)?.into());
    }
    Ok(map)
}

pub(crate) const BUDGET_FLAGS: &[Flag] = &[
    ("min-available", ' ', Takes::Text),
    ("max-unavailable", ' ', Takes::Text),
    // Here --selector is the budget's own, not a choice of objects.
    ("selector", ' ', Takes::Text),
];

/// `kubectl create pdb NAME --selector=… --min-available=…`
pub(crate) fn budget(session: &mut Session, args: &Args) -> Step<()> {
    let name = the_name(args)?;
    let (selector, least, most) = (args.text("selector"), args.text("min-available"), args.text("max-unavailable"));
    let valid = |text: &str| {
        let digits = text.strip_suffix('%').unwrap_or(text);
        !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())
    };
    let mistake = match (least, most) {
        _ if selector.is_empty() => "a selector must be specified",
        ("", "") => "one of min-available or max-unavailable must be specified",
        ("", most) if !valid(most) => "invalid format specified for max-unavailable",
        (least, "") if !valid(least) => "invalid format specified for min-available",
        (least, most) if !least.is_empty() && !most.is_empty() => {
            "min-available and max-unavailable cannot be both specified"
        }
        _ => "",
    };
    if !mistake.is_empty() {
        return Err(Failure::message(mistake).into());
    }
    let amount = |text: &str| text.parse::<i32>().map_or_else(|_| json!(text), |number| json!(number));
    let mut spec = json!({"selector": label_selector(selector)?});
    for (field, text) in [("minAvailable", least), ("maxUnavailable", most)] {
        if !text.is_empty() {
            spec[field] = amount(text);
        }
    }
    let status = json!({"currentHealthy": 0, "desiredHealthy": 0, "disruptionsAllowed": 0, "expectedPods": 0});
    let object = json!({"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": name},
        "spec": spec, "status": status});
    generated(session, args, &Resource::PODDISRUPTIONBUDGETS, object, "failed to create poddisruptionbudgets:")
}

/// A query such as `a=b,c in (d,e)` as a LabelSelector.
fn label_selector(query: &str) -> Result<Value, Failure> {
    let (mut labels, mut expressions) = (Map::new(), Vec::new());
    for part in requirements(query) {
        let part = part.trim();
        let words: Vec<&str> = part.splitn(3, ' ').collect();
        match words.as_slice() {
            [key, operator @ ("in" | "notin"), values] => {
                let values: Vec<&str> = values.trim_matches(['(', ')']).split(',').map(str::trim).collect();
                let operator = if *operator == "in" { "In" } else { "NotIn" };
                expressions.push(json!({"key": key, "operator": operator, "values": values}));
            }
            _ => {
                if let Some((key, value)) = part.split_once("!=") {
                    expressions.push(json!({"key": key.trim(), "operator": "NotIn", "values": [value.trim()]}));
                } else if let Some((key, value)) = part.split_once("==").or_else(|| part.split_once('=')) {
                    labels.insert(key.trim().into(), value.trim().into());
                } else if let Some(key) = part.strip_prefix('!') {
                    expressions.push(json!({"key": key, "operator": "DoesNotExist"}));
                } else if part.is_empty() || part.contains(char::is_whitespace) {
                    return Err(Failure::message(format!("couldn't parse the selector string \"{query}\"")));
                } else {
                    expressions.push(json!({"key": part, "operator": "Exists"}));
                }
            }
        }
    }
    let mut selector = json!({});
    if !labels.is_empty() {
        selector["matchLabels"] = Value::Object(labels);
    }
    if !expressions.is_empty() {
        selector["matchExpressions"] = Value::Array(expressions);
    }
    Ok(selector)
}

/// Splits at commas outside of parentheses.
fn requirements(query: &str) -> Vec<String> {
    let (mut parts, mut depth) = (vec![String::new()], 0);
    for c in query.chars() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        match parts.last_mut() {
            Some(last) if c != ',' || depth > 0 => last.push(c),
            _ => parts.push(String::new()),
        }
    }
    parts
}

pub(crate) const PRIORITY_CLASS_FLAGS: &[Flag] = &[
    ("value", ' ', Takes::Int(32)),
    ("global-default", ' ', Takes::Bool),
    ("description", ' ', Takes::Text),
    ("preemption-policy", ' ', Takes::Text),
];

/// `kubectl create priorityclass NAME --value=…`
pub(crate) fn priority_class(session: &mut Session, args: &Args) -> Step<()> {
    let name = the_name(args)?;
    let policy = args.text_or("preemption-policy", "PreemptLowerPriority");
    let mut object = json!({"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": name},
        "preemptionPolicy": policy, "value": args.int("value").unwrap_or(0)});
    if args.bool("global-default") {
        object["globalDefault"] = true.into();
    }
    if let Some(description) = args.given("description") {
        object["description"] = description.into();
    }
    generated(session, args, &Resource::PRIORITYCLASSES, object, "failed to create priorityclass:")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_becomes_a_selector() {
        assert_eq!(label_selector("app=shop").expect("plain"), json!({"matchLabels": {"app": "shop"}}));
        let sets = label_selector("tier in (a,b),!old,new").expect("sets");
        assert_eq!(
            sets,
            json!({"matchExpressions": [{"key": "tier", "operator": "In", "values": ["a", "b"]},
                {"key": "old", "operator": "DoesNotExist"}, {"key": "new", "operator": "Exists"}]})
        );
    }

    #[test]
    fn amounts_must_be_quantities() {
        assert_eq!(resource_list("pods=5,cpu=1000m").expect("amounts")["cpu"], "1");
        assert!(resource_list("pods=x").is_err() && resource_list("pods").is_err());
        assert!(resource_list("").expect("nothing").is_empty());
    }
}
