//! `kubectl describe pod`.
//!
//! Models: kubernetes v1.36.2 staging/src/k8s.io/kubectl/pkg/describe/describe.go (`describePod`).
//! Left out: pod-level resources, resource claims, ephemeral containers.

use serde_json::Value;

use super::super::duration::{age, rfc1123z};
use super::super::json::{integer, is_deleting, list, name, namespace, number, text};
use super::{annotations, controlled_by, labels, template, volumes};

/// Everything but the events.
pub(super) fn describe(pod: &Value, now: i64) -> String {
    let mut out = format!("Name:\t{}\nNamespace:\t{}\n", name(pod), namespace(pod));
    if let Some(priority) = integer(pod, "/spec/priority") {
        out.push_str(&format!("Priority:\t{priority}\n"));
    }
    for (title, pointer) in [
        ("Priority Class Name", "/spec/priorityClassName"),
        ("Runtime Class Name", "/spec/runtimeClassName"),
        ("Service Account", "/spec/serviceAccountName"),
    ] {
        line(&mut out, title, text(pod, pointer));
    }
    match text(pod, "/spec/nodeName") {
        "" => out.push_str("Node:\t<none>\n"),
        node => out.push_str(&format!("Node:\t{node}/{}\n", text(pod, "/status/hostIP"))),
    }
    line(&mut out, "Start Time", &rfc1123z(text(pod, "/status/startTime")));
    labels(&mut out, "Labels", pod, "/metadata/labels");
    annotations(&mut out, "Annotations", pod, "/metadata/annotations");
    let phase = text(pod, "/status/phase");
    if is_deleting(pod) && !matches!(phase, "Succeeded" | "Failed") {
        out.push_str(&format!("Status:\tTerminating (lasts {})\n", age(text(pod, "/metadata/deletionTimestamp"), now)));
        let grace = number(pod, "/metadata/deletionGracePeriodSeconds");
        out.push_str(&format!("Termination Grace Period:\t{grace}s\n"));
    } else {
        out.push_str(&format!("Status:\t{phase}\n"));
    }
    line(&mut out, "Reason", text(pod, "/status/reason"));
    line(&mut out, "Message", text(pod, "/status/message"));
    line(&mut out, "SeccompProfile", text(pod, "/spec/securityContext/seccompProfile/type"));
    out.push_str(&format!("IP:\t{}\n", text(pod, "/status/podIP")));
    let ips = list(pod, "/status/podIPs");
    out.push_str(if ips.is_empty() { "IPs:\t<none>\n" } else { "IPs:\n" });
    for ip in ips {
        out.push_str(&format!("  IP:\t{}\n", text(ip, "/ip")));
    }
    line(&mut out, "Controlled By", &controlled_by(pod).unwrap_or_default());
    line(&mut out, "NominatedNodeName", text(pod, "/status/nominatedNodeName"));
    let containers = |spec: &str, status: &str| (list(pod, spec), list(pod, status));
    let (specs, statuses) = containers("/spec/initContainers", "/status/initContainerStatuses");
    if !specs.is_empty() {
        template::containers(&mut out, "Init Containers", specs, Some((pod, statuses)), "");
    }
    let (specs, statuses) = containers("/spec/containers", "/status/containerStatuses");
    template::containers(&mut out, "Containers", specs, Some((pod, statuses)), "");
    readiness_gates(&mut out, pod);
    let conditions = list(pod, "/status/conditions");
    if !conditions.is_empty() {
        out.push_str("Conditions:\n  Type\tStatus\n");
    }
    for condition in conditions {
        out.push_str(&format!("  {} \t{} \n", text(condition, "/type"), text(condition, "/status")));
    }
    volumes::volumes(&mut out, list(pod, "/spec/volumes"), "");
    line(&mut out, "QoS Class", text(pod, "/status/qosClass"));
    labels(&mut out, "Node-Selectors", pod, "/spec/nodeSelector");
    template::tolerations(&mut out, "Tolerations", list(pod, "/spec/tolerations"));
    template::spread(&mut out, list(pod, "/spec/topologySpreadConstraints"), "");
    out
}

fn readiness_gates(out: &mut String, pod: &Value) {
    let gates = list(pod, "/spec/readinessGates");
    if gates.is_empty() {
        return;
    }
    out.push_str("Readiness Gates:\n  Type\tStatus\n");
    for gate in gates {
        let kind = text(gate, "/conditionType");
        let found = list(pod, "/status/conditions").iter().find(|c| text(c, "/type") == kind);
        out.push_str(&format!("  {kind} \t{} \n", found.map_or("<none>", |c| text(c, "/status"))));
    }
}

fn line(out: &mut String, title: &str, value: &str) {
    if !value.is_empty() {
        out.push_str(&format!("{title}:\t{value}\n"));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::super::tabwriter::align;
    use super::*;

    #[test]
    fn a_pending_pod_reads_as_the_real_kubectl_shows_it() {
        let pod = json!({
            "metadata": {"name": "too-big", "namespace": "default", "labels": {"run": "too-big"}, "annotations": {
                "kubectl.kubernetes.io/last-applied-configuration": "{}"}},
            "spec": {"priority": 0, "serviceAccountName": "default",
                "containers": [{"name": "main", "image": "nginx:1.27",
                    "resources": {"requests": {"cpu": "64", "memory": "512Gi"}}, "volumeMounts": [
                        {"mountPath": "/var/run/secrets/kubernetes.io/serviceaccount", "name": "kube-api-access-qfm8l",
                            "readOnly": true}]}],
                "tolerations": [
                    {"key": "node.kubernetes.io/not-ready", "effect": "NoExecute", "operator": "Exists",
                    "tolerationSeconds": 300},
                    {"key": "node.kubernetes.io/unreachable", "effect": "NoExecute", "operator": "Exists",
                        "tolerationSeconds": 300}],
                "volumes": [{"name": "kube-api-access-qfm8l", "projected": {"sources": [
                    {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
                    {"configMap": {"name": "kube-root-ca.crt"}}, {"downwardAPI": {}}]}}]},
            "status": {"phase": "Pending", "qosClass": "Burstable", "conditions": [{"type": "PodScheduled", "status":
            "False"}]},
        });
        let expected = "\
Name:             too-big
Namespace:        default
Priority:         0
Service Account:  default
Node:             <none>
Labels:           run=too-big
Annotations:      <none>
Status:           Pending
IP:               \n\
IPs:              <none>
Containers:
  main:
    Image:      nginx:1.27
    Port:       <none>
    Host Port:  <none>
    Requests:
      cpu:        64
      memory:     512Gi
    Environment:  <none>
    Mounts:
      /var/run/secrets/kubernetes.io/serviceaccount from kube-api-access-qfm8l (ro)
Conditions:
  Type           Status
  PodScheduled   False \n\
Volumes:
  kube-api-access-qfm8l:
    Type:                    Projected (a volume that contains injected data from multiple sources)
    TokenExpirationSeconds:  3607
    ConfigMapName:           kube-root-ca.crt
    Optional:                false
    DownwardAPI:             true
QoS Class:                   Burstable
Node-Selectors:              <none>
Tolerations:                 node.kubernetes.io/not-ready:NoExecute op=Exists for 300s
                             node.kubernetes.io/unreachable:NoExecute op=Exists for 300s
";
        assert_eq!(align(&describe(&pod, 0)), expected.replace("\\n\\\n", "\n"));
    }
}
