//! `kubectl expose`, and the Service of `kubectl run --expose`.
//!
//! Models: kubernetes v1.36.2 staging/src/k8s.io/kubectl/pkg/cmd/expose/expose.go, pkg/polymorphichelpers/
//! {canbeexposed,mapbasedselectorforobject,portsforobject,protocolsforobject}.go.

use serde_json::{Map, Value, json};

use super::builder::{Info, infos};
use super::errors::Failure;
use super::flags::{Args, DryRun, Flag, Takes};
use super::json::{list, number, pairs, text};
use super::resources::Resource;
use super::session::{Session, Step};
use super::{ApiCall, ApiVerb, create, patch};

pub(crate) const FLAGS: &[Flag] = &[
    ("protocol", ' ', Takes::Text),
    ("port", ' ', Takes::Text),
    ("type", ' ', Takes::Text),
    ("load-balancer-ip", ' ', Takes::Text),
    // Here --selector is the Service's own, not a choice of objects.
    ("selector", ' ', Takes::Text),
    ("labels", 'l', Takes::Text),
    ("container-port", ' ', Takes::Text),
    ("target-port", ' ', Takes::Text),
    ("external-ip", ' ', Takes::Text),
    ("overrides", ' ', Takes::Text),
    ("name", ' ', Takes::Text),
    ("session-affinity", ' ', Takes::Text),
    ("cluster-ip", ' ', Takes::Text),
    ("save-config", ' ', Takes::Bool),
];

/// Longest name of a Service – constant; Kubernetes: DNS1035LabelMaxLength, 63.
const LONGEST_NAME: usize = 63;

pub(crate) fn expose(session: &mut Session, args: &Args) -> Step<()> {
    let dry_run = args.dry_run()?;
    let (infos, failures) = infos(session, &args.without("selector"), &args.words)?;
    Failure::collect(failures)?;
    for info in &infos {
        let mut service = service(args, info)?;
        if let Some(overrides) = args.given("overrides") {
            let overrides: Value = serde_json::from_str(&overrides)
                .map_err(|why| Failure::message(format!("invalid --overrides: {why}")))?;
            patch::merge_json(&mut service, &overrides);
        }
        post(session, args, service, dry_run, "exposed", "kubectl-expose")?;
    }
    Ok(())
}

/// POSTs a Service and says so.
pub(crate) fn post(
    session: &mut Session,
    args: &Args,
    mut service: Value,
    dry_run: DryRun,
    outcome: &str,
    manager: &str,
) -> Step<()> {
    let namespace = session.globals.namespace().to_string();
    if session.globals.namespace.is_some() {
        service["metadata"]["namespace"] = namespace.clone().into();
    }
    let mut created = service;
    if dry_run != DryRun::Client {
        let body = if args.bool("save-config") { super::apply::with_last_applied(&created) } else { created };
        let call = ApiCall {
            body: Some(body),
            dry_run: dry_run == DryRun::Server,
            field_manager: Some(args.text_or("field-manager", manager).into()),
            ..Resource::SERVICES.call(ApiVerb::Create, Some(&namespace))
        };
        created = session.call(call)?.clone();
    }
    create::say(session, args, &Resource::SERVICES, &created, outcome, dry_run)
}

fn service(args: &Args, info: &Info) -> Result<Value, Failure> {
    let object = &info.object;
    if !matches!(info.resource.kind, "ReplicationController" | "Service" | "Pod" | "Deployment" | "ReplicaSet") {
        let group = if info.resource.group.is_empty() { String::new() } else { format!(".{}", info.resource.group) };
        return Err(Failure::message(format!("cannot expose a {}{group}", info.resource.kind)));
    }
    let selector = match args.given("selector") {
        Some(selector) => labels(&selector)?,
        None => selector_of(info).map_err(|why| {
            Failure::message(format!("couldn't retrieve selectors via --selector flag or introspection: {why}"))
        })?,
    };
    let own_ports = ports_of(object, info.resource.kind);
    let ports: Vec<String> = match args.given("port") {
        Some(ports) => ports.split(',').map(str::to_string).collect(),
        None => own_ports.iter().map(|(port, _)| port.to_string()).collect(),
    };
    if ports.is_empty() && args.text("cluster-ip") != "None" {
        return Err(Failure::message("couldn't find port via --port flag or introspection"));
    }
    let labels = match args.given("labels") {
        Some(given) => labels(&given)?,
        None => pairs(object, "/metadata/labels").into_iter().map(|(k, v)| (k.to_string(), v.into())).collect(),
    };
    let default_name: String = info.name.chars().take(LONGEST_NAME).collect();
    let name = args.given("name").unwrap_or(default_name);
    build(args, &name, labels, selector, &ports, &own_ports)
}

fn build(
    args: &Args,
    name: &str,
    labels: Map<String, Value>,
    selector: Map<String, Value>,
    ports: &[String],
    own: &[(i64, String)],
) -> Result<Value, Failure> {
    let target = args.given("target-port").or_else(|| args.given("container-port"));
    let mut list = Vec::new();
    for (i, port) in ports.iter().enumerate() {
        let number: i32 =
            port.parse().map_err(|_| Failure::message(format!("strconv.Atoi: parsing \"{port}\": invalid syntax")))?;
        let protocol = match args.given("protocol") {
            Some(protocol) => protocol,
            None => own
                .iter()
                .find(|(of, _)| *of == i64::from(number))
                .map_or("TCP".to_string(), |(_, protocol)| protocol.clone()),
        };
        let target = match &target {
            Some(target) => target.parse::<i32>().map_or_else(|_| json!(target), |number| json!(number)),
            None => json!(number),
        };
        let mut entry = json!({"port": number, "protocol": protocol, "targetPort": target});
        if ports.len() > 1 {
            entry["name"] = format!("port-{}", i + 1).into();
        }
        list.push(entry);
    }
    let mut spec = json!({"selector": selector});
    if !list.is_empty() {
        spec["ports"] = Value::Array(list);
    }
    if let Some(ip) = args.given("external-ip") {
        spec["externalIPs"] = json!([ip]);
    }
    if args.text("type") == "LoadBalancer"
        && let Some(ip) = args.given("load-balancer-ip")
    {
        spec["loadBalancerIP"] = ip.into();
    }
    for (field, flag) in [("type", "type"), ("clusterIP", "cluster-ip"), ("sessionAffinity", "session-affinity")] {
        if let Some(value) = args.given(flag) {
            if flag == "session-affinity" && !matches!(value.as_str(), "None" | "ClientIP") {
                return Err(Failure::message(format!("unknown session affinity: {value}")));
            }
            spec[field] = value.into();
        }
    }
    let mut metadata = json!({"name": name});
    if !labels.is_empty() {
        metadata["labels"] = Value::Object(labels);
    }
    Ok(json!({"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec,
        "status": {"loadBalancer": {}}}))
}

/// The Service of a pod made by `kubectl run --expose --port=…`.
pub(crate) fn service_of_run(args: &Args, name: &str, port: &str, labels: &Value) -> Result<Value, Failure> {
    let labels = labels.as_object().cloned().unwrap_or_default();
    let selector = labels.clone();
    build(args, name, Map::new(), selector, &[port.to_string()], &[])
}

fn labels(text: &str) -> Result<Map<String, Value>, Failure> {
    let pairs = text.split(',').map(|pair| match pair.split_once('=').filter(|(key, _)| !key.is_empty()) {
        Some((key, value)) => Ok((key.to_string(), value.into())),
        None => Err(Failure::message(format!("unexpected label spec: {pair}"))),
    });
    pairs.collect()
}

fn selector_of(info: &Info) -> Result<Map<String, Value>, String> {
    let map = |pointer: &str| -> Map<String, Value> {
        pairs(&info.object, pointer).into_iter().map(|(key, value)| (key.to_string(), value.into())).collect()
    };
    match info.resource.kind {
        "Pod" => Some(map("/metadata/labels"))
            .filter(|labels| !labels.is_empty())
            .ok_or_else(|| "the pod has no labels and cannot be exposed".to_string()),
        "Service" => Some(map("/spec/selector"))
            .filter(|labels| !labels.is_empty())
            .ok_or_else(|| "the service has no pod selector set".to_string()),
        "ReplicationController" => Ok(map("/spec/selector")),
        _ if !list(&info.object, "/spec/selector/matchExpressions").is_empty() => {
            let expressions: Vec<String> = list(&info.object, "/spec/selector/matchExpressions")
                .iter()
                .map(|e| {
                    let values = super::json::strings(e, "/values").join(" ");
                    format!("{{Key:{} Operator:{} Values:[{values}]}}", text(e, "/key"), text(e, "/operator"))
                })
                .collect();
            Err(format!("couldn't convert expressions - \"[{}]\" to map-based selector format", expressions.join(" ")))
        }
        _ => Ok(map("/spec/selector/matchLabels")),
    }
}

/// Numbers and protocols of the ports an object has.
fn ports_of(object: &Value, kind: &str) -> Vec<(i64, String)> {
    let protocol = |port: &Value| match text(port, "/protocol") {
        "" => "TCP".to_string(),
        protocol => protocol.to_string(),
    };
    if kind == "Service" {
        return list(object, "/spec/ports").iter().map(|port| (number(port, "/port"), protocol(port))).collect();
    }
    let containers = if kind == "Pod" { "/spec/containers" } else { "/spec/template/spec/containers" };
    list(object, containers)
        .iter()
        .flat_map(|container| list(container, "/ports"))
        .map(|port| (number(port, "/containerPort"), protocol(port)))
        .collect()
}
