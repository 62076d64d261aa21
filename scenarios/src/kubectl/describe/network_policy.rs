//! `kubectl describe` of NetworkPolicies.
//!
//! Models: kubernetes v1.36.2 staging/src/k8s.io/kubectl/pkg/describe/describe.go (`describeNetworkPolicy`,
//! `printNetworkPolicySpecIngressFrom`, `printNetworkPolicySpecEgressTo`).

use serde_json::Value;

use super::super::json::{integer, list, present, scalar_at, strings, text};
use super::super::selectors::format_selector;
use super::{annotations, labels, put, template};

/// The whole of it: events are not shown.
pub(super) fn describe(object: &Value) -> String {
    let mut out = template::heading(object);
    put(&mut out, "Created on", go_time(text(object, "/metadata/creationTimestamp")));
    labels(&mut out, "Labels", object, "/metadata/labels");
    annotations(&mut out, "Annotations", object, "/metadata/annotations");
    out.push_str("Spec:\n  PodSelector:     ");
    let selector = format_selector(object, "/spec/podSelector");
    match selector.as_str() {
        "<none>" => out.push_str("<none> (Allowing the specific traffic to all pods in this namespace)\n"),
        selector => out.push_str(&format!("{selector}\n")),
    }
    let types = strings(object, "/spec/policyTypes");
    for (kind, direction, source) in [("Ingress", "ingress", "from"), ("Egress", "egress", "to")] {
        if types.contains(&kind) {
            out.push_str(&format!("  Allowing {direction} traffic:\n"));
            rules(&mut out, list(object, &format!("/spec/{direction}")), direction, source);
        } else {
            out.push_str(&format!("  Not affecting {direction} traffic\n"));
        }
    }
    let types = if types.is_empty() { "<none>".to_string() } else { types.join(", ") };
    out.push_str(&format!("  Policy Types: {types}\n"));
    out
}

/// How Go prints a time: `2026-11-22 07:55:15 +0000 UTC`.
fn go_time(time: &str) -> String {
    format!("{} +0000 UTC", time.trim_end_matches('Z').replacen('T', " ", 1))
}

fn rules(out: &mut String, rules: &[Value], direction: &str, source: &str) {
    if rules.is_empty() {
        out.push_str(&format!("    <none> (Selected pods are isolated for {direction} connectivity)\n"));
    }
    let (title, place) = if source == "from" { ("From", "source") } else { ("To", "destination") };
    for (i, rule) in rules.iter().enumerate() {
        let ports = list(rule, "/ports");
        if ports.is_empty() {
            out.push_str("    To Port: <any> (traffic allowed to all ports)\n");
        }
        for port in ports {
            let protocol = if text(port, "/protocol").is_empty() { "TCP" } else { text(port, "/protocol") };
            let number = if present(port, "/port") { scalar_at(port, "/port") } else { "<nil>".into() };
            match integer(port, "/endPort") {
                None => out.push_str(&format!("    To Port: {number}/{protocol}\n")),
                Some(end) => out.push_str(&format!("    To Port Range: {number}-{end}/{protocol}\n")),
            }
        }
        let peers = list(rule, &format!("/{source}"));
        if peers.is_empty() {
            out.push_str(&format!("    {title}: <any> (traffic not restricted by {place})\n"));
        }
        for peer in peers {
            out.push_str(&format!("    {title}:\n"));
            for (field, pointer) in [("NamespaceSelector", "/namespaceSelector"), ("PodSelector", "/podSelector")] {
                if present(peer, pointer) {
                    out.push_str(&format!("      {field}: {}\n", format_selector(peer, pointer)));
                }
            }
            if present(peer, "/ipBlock") && !present(peer, "/podSelector") && !present(peer, "/namespaceSelector") {
                out.push_str(&format!("      IPBlock:\n        CIDR: {}\n", text(peer, "/ipBlock/cidr")));
                out.push_str(&format!("        Except: {}\n", strings(peer, "/ipBlock/except").join(", ")));
            }
        }
        if i + 1 < rules.len() {
            out.push_str("    ----------\n");
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_policy_reads_as_sentences() {
        let policy = json!({
            "metadata": {"name": "allow-web", "namespace": "default", "creationTimestamp": "2026-11-22T07:55:15Z"},
            "spec": {"podSelector": {"matchLabels": {"app": "db"}}, "policyTypes": ["Ingress"], "ingress": [
                {"from": [{"podSelector": {"matchLabels": {"app": "web"}}}], "ports": [{"protocol": "TCP", "port": 5432}]},
                {}]}});
        let expected = "Created on:\t2026-11-22 07:55:15 +0000 UTC\nLabels:\t<none>\nAnnotations:\t<none>\nSpec:\n  \
            PodSelector:     app=db\n  Allowing ingress traffic:\n    To Port: 5432/TCP\n    From:\n      \
            PodSelector: app=web\n    ----------\n    To Port: <any> (traffic allowed to all ports)\n    \
            From: <any> (traffic not restricted by source)\n  Not affecting egress traffic\n  Policy Types: Ingress\n";
        assert!(describe(&policy).ends_with(expected), "{}", describe(&policy));
    }
}
