//! `kubectl create ingress`.
//!
//! Models: kubernetes v1.36.2 staging/src/k8s.io/kubectl/pkg/cmd/create/create_ingress.go.

use serde_json::{Map, Value, json};

use super::super::errors::Failure;
use super::super::flags::{Args, Flag, Takes};
use super::super::json::text;
use super::super::resources::Resource;
use super::super::session::{Session, Step};
use super::{generated, the_name};

pub(crate) const FLAGS: &[Flag] = &[
    ("class", ' ', Takes::Text),
    ("rule", ' ', Takes::Array),
    ("default-backend", ' ', Takes::Text),
    ("annotation", ' ', Takes::Array),
];

/// `HOST/PATH=SERVICE:PORT[,tls[=SECRET]]` taken apart.
struct Rule {
    host: String,
    path: String,
    service: String,
    port: String,
    /// Present: TLS is wanted; the secret may be empty.
    secret: Option<String>,
}

/// `kubectl create ingress NAME --rule=host/path=service:port`
pub(crate) fn ingress(session: &mut Session, args: &Args) -> Step<()> {
    let name = the_name(args)?;
    let (rules, default) = (args.list("rule"), args.text("default-backend"));
    if rules.is_empty() && default.is_empty() {
        return Err(Failure::message(
            "not enough information provided: every ingress has to either specify a default-backend (which catches \
             all traffic) or a list of rules (which catch specific paths)",
        )
        .into());
    }
    let rules = rules.iter().map(|rule| parse(rule)).collect::<Result<Vec<_>, _>>()?;
    let mut metadata = json!({"name": name});
    let mut annotations = Map::new();
    for annotation in args.list("annotation") {
        let Some((key, value)) = annotation.split_once('=') else {
            let text = format!("annotation {annotation} is invalid and should be in format key=[value]");
            return Err(Failure::Message(text).into());
        };
        annotations.insert(key.into(), value.into());
    }
    if !annotations.is_empty() {
        metadata["annotations"] = Value::Object(annotations);
    }
    let mut spec = json!({});
    if let Some(class) = args.given("class") {
        spec["ingressClassName"] = class.into();
    }
    if !default.is_empty() {
        let Some((service, port)) = default.split_once(':').filter(|(_, port)| !port.contains(':')) else {
            return Err(Failure::message("default-backend should be in format servicename:serviceport").into());
        };
        spec["defaultBackend"] = backend(service, port);
    }
    let (tls, hosts) = (tls(&rules), hosts(&rules));
    for (field, list) in [("tls", tls), ("rules", hosts)] {
        if !list.is_empty() {
            spec[field] = Value::Array(list);
        }
    }
    let object = json!({
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": metadata,
        "spec": spec,
        "status": {"loadBalancer": {}},
    });
    generated(session, args, &Resource::INGRESSES, object, "failed to create ingress:")
}

fn parse(rule: &str) -> Result<Rule, Failure> {
    let invalid = || {
        Failure::message(format!(
            "rule {rule} is invalid and should be in format host/path=svcname:svcport[,tls[=secret]]"
        ))
    };
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let fits = |text: &str, more: &str| text.chars().all(|c| word(c) || more.contains(c));
    let (target, tls) = rule.split_once(',').map_or((rule, None), |(target, tls)| (target, Some(tls)));
    let (address, behind) = target.split_once('=').ok_or_else(invalid)?;
    let (host, path) = address.split_once('/').ok_or_else(invalid)?;
    let (service, port) = behind.split_once(':').ok_or_else(invalid)?;
    let named = |text: &str| !text.is_empty() && fits(text, "-");
    if !fits(host, "*-.") || !fits(path, "*-./") || !named(service) || !named(port) {
        return Err(invalid());
    }
    let secret = match tls {
        None => None,
        Some("tls") => Some(String::new()),
        Some(tls) => match tls.strip_prefix("tls=").filter(|secret| fits(secret, "-")) {
            Some(secret) => Some(secret.to_string()),
            None => return Err(invalid()),
        },
    };
    let [host, service, port] = [host, service, port].map(str::to_string);
    Ok(Rule { host, path: format!("/{path}"), service, port, secret })
}

fn backend(service: &str, port: &str) -> Value {
    let port = match port.parse::<i32>() {
        Ok(number) => json!({"number": number}),
        Err(_) => json!({"name": port}),
    };
    json!({"service": {"name": service, "port": port}})
}

/// One entry for each secret; a host counts once.
fn tls(rules: &[Rule]) -> Vec<Value> {
    let (mut entries, mut seen): (Vec<Value>, Vec<&str>) = (Vec::new(), Vec::new());
    for rule in rules {
        let Some(secret) = &rule.secret else { continue };
        if seen.contains(&rule.host.as_str()) {
            continue;
        }
        seen.push(&rule.host);
        if let Some(entry) = entries.iter_mut().find(|entry| text(entry, "/secretName") == secret) {
            if let Some(hosts) = entry["hosts"].as_array_mut() {
                hosts.push(rule.host.as_str().into());
            } else {
                entry["hosts"] = json!([rule.host]);
            }
            continue;
        }
        let mut entry = json!({});
        if !rule.host.is_empty() {
            entry["hosts"] = json!([rule.host]);
        }
        if !secret.is_empty() {
            entry["secretName"] = secret.as_str().into();
        }
        if entry.as_object().is_some_and(|entry| !entry.is_empty()) {
            entries.push(entry);
        }
    }
    entries
}

/// One rule for each host.
fn hosts(rules: &[Rule]) -> Vec<Value> {
    let mut found: Vec<(&str, Vec<Value>)> = Vec::new();
    for rule in rules {
        let (path, kind) = match rule.path.strip_suffix('*') {
            Some(prefix) => (prefix, "Prefix"),
            None => (rule.path.as_str(), "Exact"),
        };
        let path = json!({"backend": backend(&rule.service, &rule.port), "path": path, "pathType": kind});
        match found.iter_mut().find(|(host, _)| *host == rule.host) {
            Some((_, paths)) => paths.push(path),
            None => found.push((&rule.host, vec![path])),
        }
    }
    let rule = |(host, paths): (&str, Vec<Value>)| match host {
        "" => json!({"http": {"paths": paths}}),
        host => json!({"host": host, "http": {"paths": paths}}),
    };
    found.into_iter().map(rule).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_one_host_come_together() {
        let rules: Vec<Rule> = ["a.test/*=web:80,tls=s", "a.test/api=api:http", "/x=y:1"]
            .map(|r| parse(r).ok())
            .into_iter()
            .flatten()
            .collect();
        let hosts = hosts(&rules);
        assert_eq!(hosts.len(), 2);
        assert_eq!(hosts[0]["http"]["paths"][0]["pathType"], "Prefix");
        assert_eq!(hosts[0]["http"]["paths"][1]["backend"]["service"]["port"]["name"], "http");
        assert_eq!(tls(&rules), [json!({"hosts": ["a.test"], "secretName": "s"})]);
        assert!(parse("nonsense").is_err() && parse("a/b=c").is_err() && parse("a/b=c:1,tsl").is_err());
    }
}
