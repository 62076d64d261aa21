//! `kubectl describe node`.
//!
//! Models: kubernetes v1.36.2 staging/src/k8s.io/kubectl/pkg/describe/describe.go (`describeNode`,
//! `describeNodeResource`), pkg/util/resource/resource.go (`PodRequestsAndLimits`).
//! Left out: pod-level resources, overhead.

use serde_json::Value;

use super::super::builder::CHUNK;
use super::super::duration::{age, rfc1123z};
use super::super::json::{list, name, namespace, pairs, scalar, text};
use super::super::resources::Resource;
use super::super::session::{Session, Step, attempt};
use super::super::{ApiCall, ApiVerb};
use super::quantity::Quantity;
use super::{annotations, labels, lines_beside};

/// Everything but the events.
pub(super) fn describe(session: &mut Session, node: &Value) -> Step<String> {
    let mut out = format!("Name:\t{}\n", name(node));
    let roles: Vec<&str> = pairs(node, "/metadata/labels")
        .into_iter()
        .filter_map(|(key, _)| key.strip_prefix("node-role.kubernetes.io/"))
        .filter(|role| !role.is_empty())
        .collect();
    out.push_str(&format!("Roles:\t{}\n", if roles.is_empty() { "<none>".into() } else { roles.join(",") }));
    labels(&mut out, "Labels", node, "/metadata/labels");
    annotations(&mut out, "Annotations", node, "/metadata/annotations");
    out.push_str(&format!("CreationTimestamp:\t{}\n", rfc1123z(text(node, "/metadata/creationTimestamp"))));
    let mut taints: Vec<String> = list(node, "/spec/taints").iter().map(taint).collect();
    taints.sort();
    lines_beside(&mut out, "Taints", &taints);
    let cordoned = node.pointer("/spec/unschedulable") == Some(&Value::Bool(true));
    out.push_str(&format!("Unschedulable:\t{cordoned}\n"));
    let lease = attempt(session.get(&Resource::LEASES, Some("kube-node-lease"), name(node)))?;
    out.push_str("Lease:\n");
    let lease = lease.unwrap_or(&Value::Null);
    let holder = text(lease, "/spec/holderIdentity");
    out.push_str(&format!("  HolderIdentity:\t{}\n", if holder.is_empty() { "<unset>" } else { holder }));
    for (title, field) in [("AcquireTime", "/spec/acquireTime"), ("RenewTime", "/spec/renewTime")] {
        let time = text(lease, field);
        out.push_str(&format!("  {title}:\t{}\n", if time.is_empty() { "<unset>".into() } else { rfc1123z(time) }));
    }
    conditions(&mut out, node);
    out.push_str("Addresses:\n");
    for address in list(node, "/status/addresses") {
        out.push_str(&format!("  {}:\t{}\n", text(address, "/type"), text(address, "/address")));
    }
    for (title, field) in [("Capacity", "/status/capacity"), ("Allocatable", "/status/allocatable")] {
        let amounts = amounts(node, field);
        if !amounts.is_empty() {
            out.push_str(&format!("{title}:\n"));
        }
        for (name, amount) in amounts {
            out.push_str(&format!("  {name}:\t{amount}\n"));
        }
    }
    system_info(&mut out, node);
    pods(session, node, &mut out)?;
    Ok(out)
}

fn taint(taint: &Value) -> String {
    let (key, value, effect) = (text(taint, "/key"), text(taint, "/value"), text(taint, "/effect"));
    let value = if value.is_empty() { String::new() } else { format!("={value}") };
    format!("{key}{value}:{effect}")
}

fn conditions(out: &mut String, node: &Value) {
    let conditions = list(node, "/status/conditions");
    if conditions.is_empty() {
        return;
    }
    out.push_str("Conditions:\n  Type\tStatus\tLastHeartbeatTime\tLastTransitionTime\tReason\tMessage\n");
    out.push_str("  ----\t------\t-----------------\t------------------\t------\t-------\n");
    for c in conditions {
        out.push_str(&format!(
            "  {} \t{} \t{} \t{} \t{} \t{}\n",
            text(c, "/type"),
            text(c, "/status"),
            rfc1123z(text(c, "/lastHeartbeatTime")),
            rfc1123z(text(c, "/lastTransitionTime")),
            text(c, "/reason"),
            text(c, "/message")
        ));
    }
}

fn amounts(object: &Value, field: &str) -> Vec<(String, String)> {
    let map = object.pointer(field).and_then(Value::as_object);
    let mut amounts: Vec<_> = map.into_iter().flatten().map(|(name, value)| (name.clone(), scalar(value))).collect();
    amounts.sort();
    amounts
}

fn system_info(out: &mut String, node: &Value) {
    out.push_str("System Info:\n");
    for (title, field) in [
        ("Machine ID", "machineID"),
        ("System UUID", "systemUUID"),
        ("Boot ID", "bootID"),
        ("Kernel Version", "kernelVersion"),
        ("OS Image", "osImage"),
        ("Operating System", "operatingSystem"),
        ("Architecture", "architecture"),
        ("Container Runtime Version", "containerRuntimeVersion"),
        ("Kubelet Version", "kubeletVersion"),
    ] {
        out.push_str(&format!("  {title}:\t{}\n", text(node, &format!("/status/nodeInfo/{field}"))));
    }
    let cidr = text(node, "/spec/podCIDR");
    if !cidr.is_empty() {
        out.push_str(&format!("PodCIDR:\t{cidr}\n"));
    }
    let cidrs: Vec<&str> = list(node, "/spec/podCIDRs").iter().filter_map(Value::as_str).collect();
    if !cidrs.is_empty() {
        out.push_str(&format!("PodCIDRs:\t{}\n", cidrs.join(",")));
    }
    let provider = text(node, "/spec/providerID");
    if !provider.is_empty() {
        out.push_str(&format!("ProviderID:\t{provider}\n"));
    }
}

fn pods(session: &mut Session, node: &Value, out: &mut String) -> Step<()> {
    let selector = format!("spec.nodeName={},status.phase!=Failed,status.phase!=Succeeded", name(node));
    let call =
        ApiCall { field_selector: Some(selector), limit: Some(CHUNK), ..Resource::PODS.call(ApiVerb::List, None) };
    let found = session.list(call)?;
    let pods: Vec<&Value> = found.items().collect();
    let whole = |resource: &str| {
        node.pointer("/status/allocatable").or(node.pointer("/status/capacity")).map_or(Quantity::default(), |map| {
            map.get(resource).and_then(|v| Quantity::parse(&scalar(v))).unwrap_or_default()
        })
    };
    let shown = |amount: Quantity, resource: &str| format!("{amount} ({}%)", amount.percent_of(whole(resource)));
    out.push_str(&format!("Non-terminated Pods:\t({} in total)\n", pods.len()));
    out.push_str("  Namespace\tName\t\tCPU Requests\tCPU Limits\tMemory Requests\tMemory Limits\tAge\n");
    out.push_str("  ---------\t----\t\t------------\t----------\t---------------\t-------------\t---\n");
    for pod in &pods {
        let of = |kind: &str, resource: &str| shown(pod_total(pod, kind, resource), resource);
        out.push_str(&format!(
            "  {}\t{}\t\t{}\t{}\t{}\t{}\t{}\n",
            namespace(pod),
            name(pod),
            of("requests", "cpu"),
            of("limits", "cpu"),
            of("requests", "memory"),
            of("limits", "memory"),
            age(text(pod, "/metadata/creationTimestamp"), session.now)
        ));
    }
    out.push_str("Allocated resources:\n  (Total limits may be over 100 percent, i.e., overcommitted.)\n");
    out.push_str("  Resource\tRequests\tLimits\n  --------\t--------\t------\n");
    let mut resources = vec!["cpu".to_string(), "memory".into(), "ephemeral-storage".into()];
    let others = amounts(node, "/status/allocatable").into_iter().map(|(name, _)| name);
    resources.extend(others.filter(|n| n.starts_with("hugepages-") || n.contains('/')));
    for resource in resources {
        let total = |kind: &str| {
            pods.iter().map(|pod| pod_total(pod, kind, &resource)).fold(Quantity::default(), Quantity::plus)
        };
        let (requests, limits) = (total("requests"), total("limits"));
        // Only resources that are a number of things have no share.
        let (requests, limits) = if resource.contains('/') {
            (requests.to_string(), limits.to_string())
        } else {
            (shown(requests, &resource), shown(limits, &resource))
        };
        out.push_str(&format!("  {resource}\t{requests}\t{limits}\n"));
    }
    Ok(())
}

/// What the scheduler counts for a pod: its containers together, or an init container that wants more.
fn pod_total(pod: &Value, kind: &str, resource: &str) -> Quantity {
    let of = |container: &Value| {
        let amount = container.pointer(&format!("/resources/{kind}")).and_then(|map| map.get(resource));
        amount.and_then(|v| Quantity::parse(&scalar(v))).unwrap_or_default()
    };
    let mut total = list(pod, "/spec/containers").iter().map(of).fold(Quantity::default(), Quantity::plus);
    let mut sidecars = Quantity::default();
    let mut most = Quantity::default();
    for container in list(pod, "/spec/initContainers") {
        if text(container, "/restartPolicy") == "Always" {
            sidecars = sidecars.plus(of(container));
            most = most.max(sidecars);
        } else {
            most = most.max(sidecars.plus(of(container)));
        }
    }
    total = total.plus(sidecars);
    total.max(most)
}
