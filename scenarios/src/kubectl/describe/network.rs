//! `kubectl describe` of Services, Endpoints, EndpointSlices, addresses and ranges.
//!
//! Models: kubernetes v1.36.2 staging/src/k8s.io/kubectl/pkg/describe/describe.go (`describeService`,
//! `describeEndpoints`, `describeEndpointSliceV1`, `formatEndpointSlices`, `describeIPAddressV1`,
//! `describeServiceCIDRV1`).

use serde_json::Value;

use super::super::json::{boolean, list, name, namespace, number, present, scalar_at, strings, text};
use super::super::printers::network::join_host_port;
use super::super::resources::Resource;
use super::super::selectors::format_labels;
use super::super::session::{Session, Step, attempt};
use super::super::{ApiCall, ApiVerb};
use super::{annotations, labels, put, template};

/// The EndpointSlices of a Service; none if they cannot be read.
pub(super) fn slices_of(session: &mut Session, namespace: &str, service: &str) -> Step<Result<Vec<Value>, String>> {
    let call = Resource::ENDPOINTSLICES.call(ApiVerb::List, Some(namespace));
    let selector = format!("kubernetes.io/service-name={service}");
    match attempt(session.list(ApiCall { label_selector: Some(selector), ..call }))? {
        Ok(found) => Ok(Ok(found.items().cloned().collect())),
        Err(failure) => Ok(Err(failure.text())),
    }
}

/// Everything but the events.
pub(super) fn service(session: &mut Session, object: &Value) -> Step<String> {
    let slices = slices_of(session, namespace(object), name(object))?.unwrap_or_default();
    let mut out = template::heading(object);
    labels(&mut out, "Labels", object, "/metadata/labels");
    annotations(&mut out, "Annotations", object, "/metadata/annotations");
    put(&mut out, "Selector", format_labels(object, "/spec/selector"));
    let spec = |field: &str| scalar_at(object, &format!("/spec/{field}"));
    let joined = |field: &str| match strings(object, &format!("/spec/{field}")).join(",").as_str() {
        "" => "<none>".to_string(),
        all => all.to_string(),
    };
    put(&mut out, "Type", spec("type"));
    given(&mut out, "IP Family Policy", spec("ipFamilyPolicy"));
    put(&mut out, "IP Families", joined("ipFamilies"));
    put(&mut out, "IP", spec("clusterIP"));
    put(&mut out, "IPs", joined("clusterIPs"));
    given(&mut out, "External IPs", strings(object, "/spec/externalIPs").join(","));
    given(&mut out, "Desired LoadBalancer IP", spec("loadBalancerIP"));
    given(&mut out, "External Name", spec("externalName"));
    given(&mut out, "LoadBalancer Ingress", load_balancer(list(object, "/status/loadBalancer/ingress")));
    for port in list(object, "/spec/ports") {
        service_port(&mut out, port, &slices);
    }
    put(&mut out, "Session Affinity", spec("sessionAffinity"));
    given(&mut out, "External Traffic Policy", spec("externalTrafficPolicy"));
    given(&mut out, "Internal Traffic Policy", spec("internalTrafficPolicy"));
    given(&mut out, "HealthCheck NodePort", spec("healthCheckNodePort").trim_start_matches('0').to_string());
    given(&mut out, "LoadBalancer Source Ranges", strings(object, "/spec/loadBalancerSourceRanges").join(","));
    given(&mut out, "Traffic Distribution", spec("trafficDistribution"));
    Ok(out)
}

fn given(out: &mut String, title: &str, value: String) {
    if !value.is_empty() {
        put(out, title, value);
    }
}

fn load_balancer(ingress: &[Value]) -> String {
    let texts: Vec<String> = ingress
        .iter()
        .map(|ingress| match (text(ingress, "/ip"), text(ingress, "/ipMode")) {
            ("", _) => text(ingress, "/hostname").to_string(),
            (ip, "") => ip.to_string(),
            (ip, mode) => format!("{ip} ({mode})"),
        })
        .collect();
    texts.join(", ")
}

fn service_port(out: &mut String, port: &Value, slices: &[Value]) {
    let (named, protocol) = (text(port, "/name"), text(port, "/protocol"));
    let shown = if named.is_empty() { "<unset>" } else { named };
    out.push_str(&format!("Port:\t{shown}\t{}/{protocol}\n", number(port, "/port")));
    put(out, "TargetPort", format!("{}/{protocol}", scalar_at(port, "/targetPort")));
    given(out, "AppProtocol", text(port, "/appProtocol").into());
    let node_port = number(port, "/nodePort");
    if node_port != 0 {
        out.push_str(&format!("NodePort:\t{shown}\t{node_port}/{protocol}\n"));
    }
    put(out, "Endpoints", endpoints_of(slices, named));
}

/// Up to three ready endpoints of the port called `port`.
pub(super) fn endpoints_of(slices: &[Value], port: &str) -> String {
    const SHOWN: usize = 3;
    if slices.is_empty() {
        return "<none>".into();
    }
    let (mut shown, mut count, mut more) = (Vec::new(), 0usize, false);
    // An endpoint that is not ready counts for "more" but not for how many more: kubectl can say "+ 0 more...".
    let mut take = |endpoint: &Value, port: Option<i64>| {
        more |= shown.len() == SHOWN;
        if boolean(endpoint, "/conditions/ready") == Some(false) {
            return;
        }
        if !more {
            let address = text(endpoint, "/addresses/0");
            shown.push(port.map_or(address.to_string(), |port| join_host_port(address, &port.to_string())));
        }
        count += 1;
    };
    for slice in slices {
        let ports = list(slice, "/ports");
        if ports.is_empty() {
            list(slice, "/endpoints").iter().for_each(|endpoint| take(endpoint, None));
        }
        for of_slice in ports.iter().filter(|of_slice| text(of_slice, "/name") == port) {
            let number = number(of_slice, "/port");
            list(slice, "/endpoints").iter().for_each(|endpoint| take(endpoint, Some(number)));
        }
    }
    let shown = shown.join(",");
    if more { format!("{shown} + {} more...", count.saturating_sub(SHOWN)) } else { shown }
}

/// Everything but the events.
pub(super) fn endpoints(object: &Value) -> String {
    let mut out = template::heading(object);
    labels(&mut out, "Labels", object, "/metadata/labels");
    annotations(&mut out, "Annotations", object, "/metadata/annotations");
    out.push_str("Subsets:\n");
    for subset in list(object, "/subsets") {
        for (title, field) in [("Addresses", "/addresses"), ("NotReadyAddresses", "/notReadyAddresses")] {
            let addresses: Vec<&str> = list(subset, field).iter().map(|address| text(address, "/ip")).collect();
            let joined = if addresses.is_empty() { "<none>".into() } else { addresses.join(",") };
            out.push_str(&format!("  {title}:\t{joined}\n"));
        }
        let ports = list(subset, "/ports");
        if !ports.is_empty() {
            out.push_str("  Ports:\n    Name\tPort\tProtocol\n    ----\t----\t--------\n");
        }
        for port in ports {
            let name = if text(port, "/name").is_empty() { "<unset>" } else { text(port, "/name") };
            out.push_str(&format!("    {name}\t{}\t{}\n", number(port, "/port"), text(port, "/protocol")));
        }
        out.push('\n');
    }
    out
}

/// Everything but the events.
pub(super) fn endpoint_slice(object: &Value) -> String {
    let mut out = template::heading(object);
    labels(&mut out, "Labels", object, "/metadata/labels");
    annotations(&mut out, "Annotations", object, "/metadata/annotations");
    put(&mut out, "AddressType", text(object, "/addressType"));
    let unset = |of: &Value, pointer: &str| match scalar_at(of, pointer).as_str() {
        "" => "<unset>".to_string(),
        value => value.to_string(),
    };
    let ports = list(object, "/ports");
    if ports.is_empty() {
        out.push_str("Ports: <unset>\n");
    } else {
        out.push_str("Ports:\n  Name\tPort\tProtocol\n  ----\t----\t--------\n");
    }
    for port in ports {
        out.push_str(&format!("  {}\t{}\t{}\n", unset(port, "/name"), unset(port, "/port"), text(port, "/protocol")));
    }
    let endpoints = list(object, "/endpoints");
    out.push_str(if endpoints.is_empty() { "Endpoints: <none>\n" } else { "Endpoints:\n" });
    for endpoint in endpoints {
        let addresses = strings(endpoint, "/addresses").join(", ");
        let addresses = if addresses.is_empty() { "<none>".to_string() } else { addresses };
        out.push_str(&format!("  - Addresses:\t{addresses}\n    Conditions:\n"));
        out.push_str(&format!("      Ready:\t{}\n", unset(endpoint, "/conditions/ready")));
        out.push_str(&format!("    Hostname:\t{}\n", unset(endpoint, "/hostname")));
        if present(endpoint, "/targetRef") {
            let of = |field: &str| text(endpoint, &format!("/targetRef/{field}"));
            out.push_str(&format!("    TargetRef:\t{}/{}\n", of("kind"), of("name")));
        }
        out.push_str(&format!("    NodeName:\t{}\n", unset(endpoint, "/nodeName")));
        out.push_str(&format!("    Zone:\t{}\n", unset(endpoint, "/zone")));
    }
    out
}

/// Everything but the events.
pub(super) fn ip_address(object: &Value) -> String {
    let mut out = String::new();
    put(&mut out, "Name", name(object));
    labels(&mut out, "Labels", object, "/metadata/labels");
    annotations(&mut out, "Annotations", object, "/metadata/annotations");
    if present(object, "/spec/parentRef") {
        out.push_str("Parent Reference:\n");
        for (title, field) in
            [("Group", "group"), ("Resource", "resource"), ("Namespace", "namespace"), ("Name", "name")]
        {
            out.push_str(&format!("  {title}:\t{}\n", text(object, &format!("/spec/parentRef/{field}"))));
        }
    }
    out
}

/// Everything but the events.
pub(super) fn service_cidr(object: &Value) -> String {
    let mut out = String::new();
    put(&mut out, "Name", name(object));
    labels(&mut out, "Labels", object, "/metadata/labels");
    annotations(&mut out, "Annotations", object, "/metadata/annotations");
    put(&mut out, "CIDRs", strings(object, "/spec/cidrs").join(", "));
    if !list(object, "/status/conditions").is_empty() {
        out.push_str("Status:\n");
        super::timed_conditions(&mut out, object);
    }
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_ready_endpoints_of_the_port_are_shown() {
        let endpoint = |ip: &str, ready: Value| json!({"addresses": [ip], "conditions": {"ready": ready}});
        let slice = json!({"ports": [{"name": "http", "port": 8080}, {"name": "dns", "port": 53}], "endpoints": [
            endpoint("10.0.0.1", json!(true)), endpoint("10.0.0.2", json!(false)), endpoint("10.0.0.3", Value::Null)]});
        assert_eq!(endpoints_of(std::slice::from_ref(&slice), "http"), "10.0.0.1:8080,10.0.0.3:8080");
        assert_eq!(endpoints_of(&[slice.clone(), slice], "dns"), "10.0.0.1:53,10.0.0.3:53,10.0.0.1:53 + 1 more...");
        assert_eq!(endpoints_of(&[], "http"), "<none>");
    }
}
