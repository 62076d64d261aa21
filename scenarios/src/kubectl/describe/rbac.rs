//! `kubectl describe` of roles and their bindings.
//!
//! Models: kubernetes v1.36.2 staging/src/k8s.io/kubectl/pkg/describe/describe.go (`RoleDescriber`,
//! `RoleBindingDescriber`, `CombineResourceGroup`), pkg/util/rbac/rbac.go (`BreakdownRule`, `CompactRules`,
//! `SortableRuleSlice`).

use serde_json::Value;

use super::super::json::{list, name, strings, text};
use super::{annotations, labels, put};

/// The whole of it: events are not shown.
pub(super) fn role(object: &Value) -> String {
    let mut out = String::new();
    put(&mut out, "Name", name(object));
    labels(&mut out, "Labels", object, "/metadata/labels");
    annotations(&mut out, "Annotations", object, "/metadata/annotations");
    out.push_str("PolicyRule:\n  Resources\tNon-Resource URLs\tResource Names\tVerbs\n");
    out.push_str("  ---------\t-----------------\t--------------\t-----\n");
    for row in rows(list(object, "/rules")) {
        out.push_str(&format!("  {}\n", row.join("\t")));
    }
    out
}

/// Rules taken apart and sorted: resource, URLs, names, verbs.
pub(crate) fn rows(written: &[Value]) -> Vec<[String; 4]> {
    let row = |rule: Rule<'_>| [rule.subject(), go_list(&rule.urls), go_list(&rule.names), go_list(&rule.verbs)];
    rules(written).into_iter().map(row).collect()
}

/// The whole of it: events are not shown.
pub(super) fn binding(object: &Value) -> String {
    let mut out = String::new();
    put(&mut out, "Name", name(object));
    labels(&mut out, "Labels", object, "/metadata/labels");
    annotations(&mut out, "Annotations", object, "/metadata/annotations");
    out.push_str("Role:\n");
    put(&mut out, "  Kind", text(object, "/roleRef/kind"));
    put(&mut out, "  Name", text(object, "/roleRef/name"));
    out.push_str("Subjects:\n  Kind\tName\tNamespace\n  ----\t----\t---------\n");
    for subject in list(object, "/subjects") {
        let of = |field: &str| text(subject, field);
        out.push_str(&format!("  {}\t{}\t{}\n", of("/kind"), of("/name"), of("/namespace")));
    }
    out
}

/// How Go prints a list: `[get list watch]`.
fn go_list<T: AsRef<str>>(items: &[T]) -> String {
    format!("[{}]", items.iter().map(AsRef::as_ref).collect::<Vec<_>>().join(" "))
}

/// A rule about one resource, one name of one, or one URL.
#[derive(Clone, Debug, Default, PartialEq)]
struct Rule<'a> {
    groups: Vec<&'a str>,
    resources: Vec<&'a str>,
    names: Vec<&'a str>,
    urls: Vec<&'a str>,
    verbs: Vec<&'a str>,
}

impl Rule<'_> {
    /// `deployments.apps/scale`
    fn subject(&self) -> String {
        let Some(resource) = self.resources.first() else { return String::new() };
        let (resource, sub) = resource.split_once('/').map_or((*resource, None), |(r, s)| (r, Some(s)));
        let mut text = resource.to_string();
        if let Some(group) = self.groups.first().filter(|group| !group.is_empty()) {
            text.push_str(&format!(".{group}"));
        }
        if let Some(sub) = sub {
            text.push_str(&format!("/{sub}"));
        }
        text
    }

    /// What the rules are sorted by: the order of the fields is that of the type's text form.
    fn order(&self) -> String {
        let lists = [&self.verbs, &self.groups, &self.resources, &self.names, &self.urls].map(|list| go_list(list));
        lists.join(",")
    }
}

/// The rules taken apart, those about the same thing put together again, sorted.
fn rules(written: &[Value]) -> Vec<Rule<'_>> {
    let mut found: Vec<Rule> = Vec::new();
    for rule in written {
        let (verbs, names) = (strings(rule, "/verbs"), strings(rule, "/resourceNames"));
        for group in strings(rule, "/apiGroups") {
            for resource in strings(rule, "/resources") {
                let of = |names| Rule { groups: vec![group], resources: vec![resource], names, ..Rule::default() };
                for verb in &verbs {
                    for name in &names {
                        add(&mut found, of(vec![*name]), verb);
                    }
                    if names.is_empty() {
                        add(&mut found, of(Vec::new()), verb);
                    }
                }
            }
        }
        for url in strings(rule, "/nonResourceURLs") {
            for verb in &verbs {
                add(&mut found, Rule { urls: vec![url], ..Rule::default() }, verb);
            }
        }
    }
    found.sort_by_key(Rule::order);
    found
}

/// Rules about URLs stay apart, one for each verb.
fn add<'a>(found: &mut Vec<Rule<'a>>, rule: Rule<'a>, verb: &'a str) {
    let same = found.iter_mut().find(|old| old.urls.is_empty() && rule.urls.is_empty() && same_subject(old, &rule));
    match same {
        Some(old) => old.verbs.push(verb),
        None => found.push(Rule { verbs: vec![verb], ..rule }),
    }
}

fn same_subject(a: &Rule, b: &Rule) -> bool {
    a.groups == b.groups && a.resources == b.resources && a.names == b.names
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn verbs_of_one_resource_come_together() {
        let role = json!({"metadata": {"name": "r"}, "rules": [
            {"apiGroups": ["", "apps"], "resources": ["pods", "deployments/scale"], "verbs": ["get", "list"]},
            {"apiGroups": [""], "resources": ["pods"], "verbs": ["watch"]},
            {"nonResourceURLs": ["/healthz"], "verbs": ["get"]}]});
        let text = self::role(&role);
        let rows: Vec<&str> = text.lines().skip(6).collect();
        let expected = [
            "  deployments/scale\t[]\t[]\t[get list]",
            "  deployments.apps/scale\t[]\t[]\t[get list]",
            "  pods.apps\t[]\t[]\t[get list]",
            "  pods\t[]\t[]\t[get list watch]",
            "  \t[/healthz]\t[]\t[get]",
        ];
        let mut sorted = rows.clone();
        sorted.sort_unstable();
        let mut wanted = expected.to_vec();
        wanted.sort_unstable();
        assert_eq!(sorted, wanted);
        assert_eq!(rows.last(), Some(&"  \t[/healthz]\t[]\t[get]"));
    }
}
