//! `kubectl create role`, `clusterrole`, `rolebinding` and `clusterrolebinding`.
//!
//! Models: kubernetes v1.36.2 staging/src/k8s.io/kubectl/pkg/cmd/create/{create_role,create_clusterrole,
//! create_rolebinding,create_clusterrolebinding}.go.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::super::errors::Failure;
use super::super::flags::{Args, Flag, Takes};
use super::super::resources::{RBAC, Resource};
use super::super::session::{Session, Step};
use super::{generated, the_name};

pub(crate) const ROLE_FLAGS: &[Flag] = &[
    ("verb", ' ', Takes::List),
    ("resource", ' ', Takes::List),
    ("resource-name", ' ', Takes::Array),
    ("non-resource-url", ' ', Takes::List),
    ("aggregation-rule", ' ', Takes::List),
];

const RESOURCE_VERBS: &[&str] = &[
    "*",
    "get",
    "delete",
    "list",
    "create",
    "update",
    "patch",
    "watch",
    "proxy",
    "deletecollection",
    "use",
    "bind",
    "escalate",
    "impersonate",
];

const URL_VERBS: &[&str] = &["*", "get", "post", "put", "delete", "patch", "head", "options"];

/// Verbs that go with some resources only: verb, resource, group.
const SPECIAL: &[(&str, &str, &str)] = &[
    ("use", "resourceclaims", "resource.k8s.io"),
    ("bind", "roles", RBAC),
    ("bind", "clusterroles", RBAC),
    ("escalate", "roles", RBAC),
    ("escalate", "clusterroles", RBAC),
    ("impersonate", "users", ""),
    ("impersonate", "serviceaccounts", ""),
    ("impersonate", "groups", ""),
    ("impersonate", "userextras", "authentication.k8s.io"),
];

fn verbs(args: &Args) -> Vec<String> {
    let mut verbs = Vec::new();
    for verb in args.list("verb") {
        if verb == "*" {
            return vec![verb];
        }
        if !verbs.contains(&verb) {
            verbs.push(verb);
        }
    }
    verbs
}

/// `deployments.apps/scale` as group and resource with its subresource.
fn resource(spec: &str, verbs: &[String]) -> Result<(String, String), Failure> {
    let (main, sub) = spec.split_once('/').map_or((spec, None), |(main, sub)| (main, Some(sub)));
    let (plural, group) = main.split_once('.').unwrap_or((main, ""));
    if plural.is_empty() {
        return Err(Failure::message("resource must be specified if apiGroup/subresource specified"));
    }
    let with_sub = |plural: &str| sub.map_or(plural.to_string(), |sub| format!("{plural}/{sub}"));
    if plural == "*" {
        return Ok((group.into(), with_sub(plural)));
    }
    let found = Resource::find(main);
    let (known, in_group) = match &found {
        Ok(found) => (found.plural, found.group),
        Err(_) => (plural, group),
    };
    let mut special = false;
    for verb in verbs {
        let mut about = SPECIAL.iter().filter(|(of, ..)| of == verb).peekable();
        if about.peek().is_none() {
            continue;
        }
        if !about.any(|(_, plural, group)| *plural == known && *group == in_group) {
            let text = format!("can not perform '{verb}' on '{known}' in group '{in_group}'");
            return Err(Failure::Message(text));
        }
        special = true;
    }
    match found {
        Err(failure) if !special => Err(failure),
        _ => Ok((in_group.into(), with_sub(known))),
    }
}

/// The rules of a role: one for each API group, one for URLs.
fn rules(session: &mut Session, args: &Args, verbs: &[String]) -> Step<Vec<Value>> {
    if !args.list("resource").is_empty() {
        for verb in verbs.iter().filter(|verb| !RESOURCE_VERBS.contains(&verb.as_str())) {
            session.warn(&format!("'{verb}' is not a standard resource verb"));
        }
    }
    let mut specs = args.list("resource");
    if specs.iter().any(|spec| spec == "*") {
        specs = vec!["*".into()];
    }
    let mut groups: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for spec in specs {
        let (group, resource) = resource(&spec, verbs)?;
        let of_group = groups.entry(group).or_default();
        if !of_group.contains(&resource) {
            of_group.push(resource);
        }
    }
    let mut names: Vec<String> = Vec::new();
    for name in args.list("resource-name") {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let mut rules: Vec<Value> = groups
        .into_iter()
        .map(|(group, resources)| {
            let mut rule = json!({"apiGroups": [group], "resources": resources, "verbs": verbs});
            if !names.is_empty() {
                rule["resourceNames"] = json!(names);
            }
            rule
        })
        .collect();
    let urls = args.list("non-resource-url");
    if !urls.is_empty() {
        rules.push(json!({"nonResourceURLs": urls, "verbs": verbs}));
    }
    Ok(rules)
}

/// `kubectl create role NAME --verb=… --resource=…`
pub(crate) fn role(session: &mut Session, args: &Args) -> Step<()> {
    let name = the_name(args)?;
    let verbs = verbs(args);
    if verbs.is_empty() {
        return Err(Failure::message("at least one verb must be specified").into());
    }
    if args.list("resource").is_empty() {
        return Err(Failure::message("at least one resource must be specified").into());
    }
    let rules = rules(session, args, &verbs)?;
    let object =
        json!({"apiVersion": format!("{RBAC}/v1"), "kind": "Role", "metadata": {"name": name}, "rules": rules});
    generated(session, args, &Resource::ROLES, object, "")
}

/// `kubectl create clusterrole NAME`
pub(crate) fn cluster_role(session: &mut Session, args: &Args) -> Step<()> {
    let name = the_name(args)?;
    let mut object = json!({"apiVersion": format!("{RBAC}/v1"), "kind": "ClusterRole", "metadata": {"name": name}});
    let aggregation = args.list("aggregation-rule");
    let (verbs, urls) = (verbs(args), args.list("non-resource-url"));
    if aggregation.is_empty() {
        if verbs.is_empty() {
            return Err(Failure::message("at least one verb must be specified").into());
        }
        if args.list("resource").is_empty() && urls.is_empty() {
            return Err(Failure::message("one of resource or nonResourceURL must be specified").into());
        }
        check_urls(&urls, &verbs)?;
        object["rules"] = Value::Array(rules(session, args, &verbs)?);
    } else {
        if !verbs.is_empty() || !urls.is_empty() || args.has("resource") || args.has("resource-name") {
            return Err(Failure::message(
                "aggregation rule must be specified without nonResourceURLs, verbs, resources or resourceNames",
            )
            .into());
        }
        let labels: serde_json::Map<String, Value> = aggregation
            .iter()
            .filter_map(|pair| pair.split_once('='))
            .map(|(key, value)| (key.to_string(), value.into()))
            .collect();
        object["aggregationRule"] = json!({"clusterRoleSelectors": [{"matchLabels": labels}]});
        object["rules"] = Value::Null;
    }
    generated(session, args, &Resource::CLUSTERROLES, object, "")
}

fn check_urls(urls: &[String], verbs: &[String]) -> Result<(), Failure> {
    if urls.is_empty() {
        return Ok(());
    }
    if let Some(verb) = verbs.iter().find(|verb| !URL_VERBS.contains(&verb.as_str())) {
        return Err(Failure::message(format!("invalid verb: '{verb}' for nonResourceURL")));
    }
    for url in urls.iter().filter(|url| *url != "*") {
        if !url.starts_with('/') {
            return Err(Failure::message("nonResourceURL should start with /"));
        }
        if url.strip_suffix('*').unwrap_or(url).contains('*') {
            return Err(Failure::message("nonResourceURL only supports wildcard matches when '*' is at the end"));
        }
    }
    Ok(())
}

pub(crate) const BINDING_FLAGS: &[Flag] = &[
    ("clusterrole", ' ', Takes::Text),
    ("role", ' ', Takes::Text),
    ("user", ' ', Takes::Array),
    ("group", ' ', Takes::Array),
    ("serviceaccount", ' ', Takes::Array),
];

/// `kubectl create rolebinding NAME`
pub(crate) fn role_binding(session: &mut Session, args: &Args) -> Step<()> {
    let name = the_name(args)?;
    let (role, cluster_role) = (args.text("role"), args.text("clusterrole"));
    if role.is_empty() == cluster_role.is_empty() {
        return Err(Failure::message("exactly one of clusterrole or role must be specified").into());
    }
    let (kind, role) = if role.is_empty() { ("ClusterRole", cluster_role) } else { ("Role", role) };
    let object = binding(args, "RoleBinding", name, kind, role)?;
    generated(session, args, &Resource::ROLEBINDINGS, object, "failed to create rolebinding:")
}

/// `kubectl create clusterrolebinding NAME --clusterrole=…`
pub(crate) fn cluster_role_binding(session: &mut Session, args: &Args) -> Step<()> {
    args.require(&["clusterrole"])?;
    let object = binding(args, "ClusterRoleBinding", the_name(args)?, "ClusterRole", args.text("clusterrole"))?;
    generated(session, args, &Resource::CLUSTERROLEBINDINGS, object, "failed to create clusterrolebinding:")
}

fn binding(args: &Args, kind: &str, name: &str, role_kind: &str, role: &str) -> Result<Value, Failure> {
    let mut subjects = Vec::new();
    for (flag, kind) in [("user", "User"), ("group", "Group")] {
        subjects.extend(args.list(flag).iter().map(|name| json!({"apiGroup": RBAC, "kind": kind, "name": name})));
    }
    for account in args.list("serviceaccount") {
        let parts: Vec<&str> = account.split(':').collect();
        let [namespace, name] = parts.as_slice() else {
            return Err(Failure::message("serviceaccount must be <namespace>:<name>"));
        };
        if name.is_empty() {
            return Err(Failure::message("serviceaccount must be <namespace>:<name>"));
        }
        subjects.push(json!({"kind": "ServiceAccount", "name": name, "namespace": namespace}));
    }
    let mut object = json!({
        "apiVersion": format!("{RBAC}/v1"),
        "kind": kind,
        "metadata": {"name": name},
        "roleRef": {"apiGroup": RBAC, "kind": role_kind, "name": role},
    });
    if !subjects.is_empty() {
        object["subjects"] = Value::Array(subjects);
    }
    Ok(object)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resources_are_looked_up() {
        let text = |spec: &str, verbs: &[&str]| {
            resource(spec, &verbs.iter().map(|v| v.to_string()).collect::<Vec<_>>()).map_err(|failure| failure.text())
        };
        assert_eq!(text("deploy/scale", &["get"]), Ok(("apps".into(), "deployments/scale".into())));
        assert_eq!(text("foos", &["get"]), Err("the server doesn't have a resource type \"foos\"".into()));
        assert_eq!(text("pods", &["bind"]), Err("can not perform 'bind' on 'pods' in group ''".into()));
        assert_eq!(text("users", &["impersonate"]), Ok((String::new(), "users".into())));
    }
}
