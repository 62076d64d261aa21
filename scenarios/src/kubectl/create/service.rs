//! `kubectl create service clusterip`, `nodeport`, `loadbalancer` and `externalname`.
//!
//! Models: kubernetes v1.36.2 staging/src/k8s.io/kubectl/pkg/cmd/create/create_service.go.

use serde_json::{Value, json};

use super::super::errors::Failure;
use super::super::flags::{Args, Flag, Takes};
use super::super::resources::Resource;
use super::super::session::{Session, Step};
use super::{generated, the_name};

pub(crate) const FLAGS: &[Flag] = &[("tcp", ' ', Takes::List)];
pub(crate) const CLUSTER_IP_FLAGS: &[Flag] = &[("clusterip", ' ', Takes::Text)];
pub(crate) const NODE_PORT_FLAGS: &[Flag] = &[("node-port", ' ', Takes::Int(64))];
pub(crate) const EXTERNAL_NAME_FLAGS: &[Flag] = &[("external-name", ' ', Takes::Text)];

pub(crate) fn cluster_ip(session: &mut Session, args: &Args) -> Step<()> {
    service(session, args, "ClusterIP")
}

pub(crate) fn node_port(session: &mut Session, args: &Args) -> Step<()> {
    service(session, args, "NodePort")
}

pub(crate) fn load_balancer(session: &mut Session, args: &Args) -> Step<()> {
    service(session, args, "LoadBalancer")
}

pub(crate) fn external_name(session: &mut Session, args: &Args) -> Step<()> {
    args.require(&["external-name"])?;
    service(session, args, "ExternalName")
}

fn service(session: &mut Session, args: &Args, kind: &str) -> Step<()> {
    let name = the_name(args)?;
    let (tcp, cluster_ip, external) = (args.list("tcp"), args.text("clusterip"), args.text("external-name"));
    if cluster_ip != "None" && tcp.is_empty() && kind != "ExternalName" {
        return Err(Failure::message("at least one tcp port specifier must be provided").into());
    }
    if kind == "ExternalName" && !is_subdomain(external) {
        return Err(Failure::message(format!("invalid service external name {external}")).into());
    }
    let node_port = args.int("node-port").unwrap_or(0);
    let ports = tcp.iter().map(|spec| port(spec, node_port)).collect::<Result<Vec<_>, _>>()?;
    let mut spec = json!({"selector": {"app": name}, "type": kind});
    if !ports.is_empty() {
        spec["ports"] = Value::Array(ports);
    }
    if !cluster_ip.is_empty() {
        spec["clusterIP"] = cluster_ip.into();
    }
    if !external.is_empty() {
        spec["externalName"] = external.into();
    }
    let object = json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"labels": {"app": name}, "name": name},
        "spec": spec,
        "status": {"loadBalancer": {}},
    });
    generated(session, args, &Resource::SERVICES, object, &format!("failed to create {kind} service:"))
}

/// `80` or `80:8080` or `80:http`
fn port(spec: &str, node_port: i64) -> Result<Value, Failure> {
    let mut parts = spec.split(':');
    let number = parse_port(parts.next().unwrap_or(""))?;
    let target = match parts.next() {
        None => json!(number),
        Some(target) => match target.parse::<i64>() {
            Ok(target @ 1..=65535) => json!(target),
            Ok(_) => return Err(Failure::message("must be between 1 and 65535, inclusive")),
            Err(_) => json!(target),
        },
    };
    let mut port = json!({"name": spec.replace(':', "-"), "port": number, "protocol": "TCP", "targetPort": target});
    if node_port != 0 {
        port["nodePort"] = node_port.into();
    }
    Ok(port)
}

/// Go's `strconv.ParseUint` with 16 bits.
fn parse_port(text: &str) -> Result<u16, Failure> {
    text.parse::<u16>().map_err(|_| {
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let why = if digits { "value out of range" } else { "invalid syntax" };
        Failure::message(format!("strconv.ParseUint: parsing \"{text}\": {why}"))
    })
}

fn is_subdomain(name: &str) -> bool {
    let label = |label: &str| {
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        label.starts_with(fits) && label.ends_with(fits) && label.chars().all(|c| fits(c) || c == '-')
    };
    name.len() <= 253 && name.split('.').all(label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_may_lead_to_another_one() {
        let text = |spec: &str| port(spec, 0).map(|port| port.to_string()).map_err(|failure| failure.text());
        assert_eq!(text("80:8080"), Ok(r#"{"name":"80-8080","port":80,"protocol":"TCP","targetPort":8080}"#.into()));
        assert_eq!(text("80:http"), Ok(r#"{"name":"80-http","port":80,"protocol":"TCP","targetPort":"http"}"#.into()));
        assert_eq!(text("abc"), Err("strconv.ParseUint: parsing \"abc\": invalid syntax".into()));
        assert_eq!(text("70000"), Err("strconv.ParseUint: parsing \"70000\": value out of range".into()));
    }
}
