//! Rows of Services and what stands behind and before them.
//!
//! Models: kubernetes v1.36.2 pkg/printers/internalversion/printers.go (`printService`, `printEndpoints`,
//! `printEndpointSlice`, `printIngress`, `printIngressClass`, `printNetworkPolicy`, `printIPAddress`,
//! `printServiceCIDR`). The server is asked for all columns, so addresses are never cut.

use serde_json::Value;

use super::super::json::{integer, list, name, number, present, strings, text};
use super::super::selectors::{format_labels, format_selector};
use super::{Column, age, or_none};

/// How many of a list are shown – constant; Kubernetes: `max`, 3.
const SHOWN: usize = 3;

/// Up to three of `all`, and how many more there are.
fn first_three(all: &[String], separator: &str) -> String {
    let shown = all.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join(separator);
    match all.len().checked_sub(SHOWN).filter(|more| *more > 0) {
        Some(more) => format!("{shown} + {more} more..."),
        None => shown,
    }
}

pub(super) const SERVICE: &[Column] = &[
    ("Name", false),
    ("Type", false),
    ("Cluster-IP", false),
    ("External-IP", false),
    ("Port(s)", false),
    ("Age", false),
    ("Selector", true),
];

pub(super) fn service(object: &Value, now: i64) -> Vec<String> {
    vec![
        name(object).into(),
        text(object, "/spec/type").into(),
        or_none(text(object, "/spec/clusterIPs/0").into()),
        external_ip(object),
        or_none(ports(list(object, "/spec/ports"))),
        age(object, now),
        format_labels(object, "/spec/selector"),
    ]
}

fn external_ip(service: &Value) -> String {
    let external = strings(service, "/spec/externalIPs");
    match text(service, "/spec/type") {
        "ClusterIP" | "NodePort" => or_none(external.join(",")),
        "LoadBalancer" => {
            let balancer = load_balancer(service);
            let all: Vec<&str> = balancer.iter().map(String::as_str).chain(external).collect();
            if all.is_empty() { "<pending>".into() } else { all.join(",") }
        }
        "ExternalName" => text(service, "/spec/externalName").into(),
        _ => "<unknown>".into(),
    }
}

/// The addresses of status.loadBalancer, sorted.
fn load_balancer(object: &Value) -> Vec<String> {
    let mut all: Vec<String> = list(object, "/status/loadBalancer/ingress")
        .iter()
        .map(|ingress| match text(ingress, "/ip") {
            "" => text(ingress, "/hostname").to_string(),
            ip => ip.to_string(),
        })
        .filter(|address| !address.is_empty())
        .collect();
    all.sort();
    all.dedup();
    all
}

/// `80:30080/TCP,443/TCP`
fn ports(ports: &[Value]) -> String {
    let texts: Vec<String> = ports
        .iter()
        .map(|port| {
            let (number, protocol) = (number(port, "/port"), text(port, "/protocol"));
            match integer(port, "/nodePort").filter(|n| *n > 0) {
                Some(node_port) => format!("{number}:{node_port}/{protocol}"),
                None => format!("{number}/{protocol}"),
            }
        })
        .collect();
    texts.join(",")
}

pub(super) const ENDPOINTS: &[Column] = &[("Name", false), ("Endpoints", false), ("Age", false)];

pub(super) fn endpoints(object: &Value, now: i64) -> Vec<String> {
    let mut all = Vec::new();
    for subset in list(object, "/subsets") {
        let addresses = list(subset, "/addresses").iter().map(|address| text(address, "/ip"));
        let ports = list(subset, "/ports");
        if ports.is_empty() {
            all.extend(addresses.map(str::to_string));
            continue;
        }
        for port in ports {
            let number = number(port, "/port");
            all.extend(addresses.clone().map(|ip| join_host_port(ip, &number.to_string())));
        }
    }
    vec![name(object).into(), or_none(first_three(&all, ",")), age(object, now)]
}

/// Go's `net.JoinHostPort`: an IPv6 address stands in brackets.
pub(crate) fn join_host_port(host: &str, port: &str) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

pub(super) const ENDPOINT_SLICE: &[Column] =
    &[("Name", false), ("AddressType", false), ("Ports", false), ("Endpoints", false), ("Age", false)];

pub(super) fn endpoint_slice(object: &Value, now: i64) -> Vec<String> {
    let unset = |text: String| if text.is_empty() { "<unset>".to_string() } else { text };
    let ports: Vec<String> = list(object, "/ports")
        .iter()
        .map(|port| match (integer(port, "/port"), port.get("name").and_then(Value::as_str)) {
            (Some(number), _) => number.to_string(),
            (None, Some(name)) => name.to_string(),
            (None, None) => "*".to_string(),
        })
        .collect();
    let addresses: Vec<String> = list(object, "/endpoints")
        .iter()
        .flat_map(|endpoint| strings(endpoint, "/addresses").into_iter().map(str::to_string).collect::<Vec<_>>())
        .collect();
    vec![
        name(object).into(),
        text(object, "/addressType").into(),
        unset(first_three(&ports, ",")),
        unset(first_three(&addresses, ",")),
        age(object, now),
    ]
}

pub(super) const INGRESS: &[Column] =
    &[("Name", false), ("Class", false), ("Hosts", false), ("Address", false), ("Ports", false), ("Age", false)];

pub(super) fn ingress(object: &Value, now: i64) -> Vec<String> {
    let rules = list(object, "/spec/rules");
    let hosts: Vec<String> =
        rules.iter().map(|rule| text(rule, "/host").to_string()).filter(|host| !host.is_empty()).collect();
    let hosts = if hosts.is_empty() { "*".into() } else { first_three(&hosts, ",") };
    let ports = if list(object, "/spec/tls").is_empty() { "80" } else { "80, 443" };
    vec![
        name(object).into(),
        or_none(text(object, "/spec/ingressClassName").into()),
        hosts,
        load_balancer(object).join(","),
        ports.into(),
        age(object, now),
    ]
}

pub(super) const INGRESS_CLASS: &[Column] =
    &[("Name", false), ("Controller", false), ("Parameters", false), ("Age", false)];

pub(super) fn ingress_class(object: &Value, now: i64) -> Vec<String> {
    let of = |field: &str| text(object, &format!("/spec/parameters/{field}"));
    let parameters = if present(object, "/spec/parameters") {
        let group = if of("apiGroup").is_empty() { String::new() } else { format!(".{}", of("apiGroup")) };
        format!("{}{group}/{}", of("kind"), of("name"))
    } else {
        "<none>".into()
    };
    vec![name(object).into(), text(object, "/spec/controller").into(), parameters, age(object, now)]
}

pub(super) const NETWORK_POLICY: &[Column] = &[("Name", false), ("Pod-Selector", false), ("Age", false)];

pub(super) fn network_policy(object: &Value, now: i64) -> Vec<String> {
    vec![name(object).into(), format_selector(object, "/spec/podSelector"), age(object, now)]
}

pub(super) const IP_ADDRESS: &[Column] = &[("Name", false), ("ParentRef", false)];

pub(super) fn ip_address(object: &Value) -> Vec<String> {
    let of = |field: &str| text(object, &format!("/spec/parentRef/{field}"));
    let mut parent = of("resource").to_string();
    if !of("group").is_empty() {
        parent.push_str(&format!(".{}", of("group")));
    }
    for part in [of("namespace"), of("name")] {
        if !part.is_empty() {
            parent.push_str(&format!("/{part}"));
        }
    }
    vec![name(object).into(), or_none(parent)]
}

pub(super) const SERVICE_CIDR: &[Column] = &[("Name", false), ("CIDRs", false), ("Age", false)];

pub(super) fn service_cidr(object: &Value, now: i64) -> Vec<String> {
    vec![name(object).into(), strings(object, "/spec/cidrs").join(","), age(object, now)]
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn row(spec: Value) -> Vec<String> {
        service(&json!({"metadata": {"name": "s"}, "spec": spec}), 0)
    }

    #[test]
    fn a_services_address_depends_on_its_type() {
        let port = json!([{"port": 80, "protocol": "TCP", "nodePort": 30080}, {"port": 53, "protocol": "UDP"}]);
        let balancer = row(json!({"type": "LoadBalancer", "clusterIPs": ["10.96.0.9"], "ports": port}));
        assert_eq!(balancer[1..5], ["LoadBalancer", "10.96.0.9", "<pending>", "80:30080/TCP,53/UDP"]);
        let external = row(json!({"type": "ExternalName", "externalName": "example.com"}));
        assert_eq!(external[1..5], ["ExternalName", "<none>", "example.com", "<none>"]);
        let headless = row(json!({"type": "ClusterIP", "clusterIPs": ["None"], "selector": {"a": "b"}}));
        assert_eq!((headless[2].as_str(), headless[3].as_str(), headless[6].as_str()), ("None", "<none>", "a=b"));
    }

    #[test]
    fn three_endpoints_are_shown() {
        let ips: Vec<Value> = (1..6).map(|i| json!({"ip": format!("10.0.0.{i}")})).collect();
        let object = json!({"metadata": {"name": "e"}, "subsets": [{"addresses": ips, "ports": [{"port": 80}]}]});
        assert_eq!(endpoints(&object, 0)[1], "10.0.0.1:80,10.0.0.2:80,10.0.0.3:80 + 2 more...");
        assert_eq!(endpoints(&json!({}), 0)[1], "<none>");
        let slice = json!({"addressType": "IPv4", "endpoints": [{"addresses": ["10.0.0.1"]}]});
        assert_eq!(endpoint_slice(&slice, 0)[1..4], ["IPv4", "<unset>", "10.0.0.1"]);
    }

    #[test]
    fn an_ingress_without_hosts_takes_all() {
        let object = json!({"metadata": {"name": "i"}, "spec": {"tls": [{}], "rules": [{}]}});
        assert_eq!(ingress(&object, 0)[1..5], ["<none>", "*", "", "80, 443"]);
    }
}
