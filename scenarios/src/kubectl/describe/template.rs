//! Containers and pod templates as `describe` shows them.
//!
//! Models: kubernetes v1.36.2 staging/src/k8s.io/kubectl/pkg/describe/describe.go (`DescribePodTemplate`,
//! `describeContainers`, `DescribeProbe`, `printTolerations`).
//! Left out: devices, the container's own seccomp profile.

use serde_json::Value;

use super::super::duration::rfc1123z;
use super::super::json::{integer, list, name, number, pairs, scalar, text};
use super::super::selectors::format_selector;
use super::{annotations, env, labels, volumes};

/// The pod template of a workload; a change cause is shown as an annotation of the template.
pub(crate) fn describe(object: &Value, change_cause: &str) -> String {
    let mut object = object.clone();
    if !change_cause.is_empty()
        && let Some(template) = object.pointer_mut("/spec/template")
    {
        if !template["metadata"]["annotations"].is_object() {
            template["metadata"]["annotations"] = Value::Object(Default::default());
        }
        template["metadata"]["annotations"]["kubernetes.io/change-cause"] = change_cause.into();
    }
    let mut out = String::from("Pod Template:\n");
    labels(&mut out, "  Labels", &object, "/spec/template/metadata/labels");
    if !pairs(&object, "/spec/template/metadata/annotations").is_empty() {
        annotations(&mut out, "  Annotations", &object, "/spec/template/metadata/annotations");
    }
    let account = text(&object, "/spec/template/spec/serviceAccountName");
    if !account.is_empty() {
        out.push_str(&format!("  Service Account:\t{account}\n"));
    }
    let init = list(&object, "/spec/template/spec/initContainers");
    if !init.is_empty() {
        containers(&mut out, "Init Containers", init, None, "  ");
    }
    containers(&mut out, "Containers", list(&object, "/spec/template/spec/containers"), None, "  ");
    volumes::volumes(&mut out, list(&object, "/spec/template/spec/volumes"), "  ");
    spread(&mut out, list(&object, "/spec/template/spec/topologySpreadConstraints"), "  ");
    let class = text(&object, "/spec/template/spec/priorityClassName");
    if !class.is_empty() {
        out.push_str(&format!("  Priority Class Name:\t{class}\n"));
    }
    labels(&mut out, "  Node-Selectors", &object, "/spec/template/spec/nodeSelector");
    tolerations(&mut out, "  Tolerations", list(&object, "/spec/template/spec/tolerations"));
    out
}

/// Containers, with the pod they are in and their statuses; those of a template are in none.
pub(super) fn containers(out: &mut String, title: &str, specs: &[Value], pod: Option<(&Value, &[Value])>, space: &str) {
    out.push_str(&format!("{space}{title}:{}\n", if specs.is_empty() { " <none>" } else { "" }));
    let indent = if space.is_empty() { "" } else { " " };
    for spec in specs {
        let name = text(spec, "/name");
        out.push_str(&format!("  {indent}{name}:\n"));
        let status = pod.and_then(|(_, statuses)| statuses.iter().find(|s| text(s, "/name") == name));
        basics(out, spec, status);
        for (title, field) in [("Command", "/command"), ("Args", "/args")] {
            let words = list(spec, field);
            if !words.is_empty() {
                out.push_str(&format!("    {title}:\n"));
            }
            for line in words.iter().filter_map(Value::as_str).flat_map(|word| word.split('\n')) {
                out.push_str(&format!("      {line}\n"));
            }
        }
        if let Some(status) = status {
            states(out, status);
        }
        resources(out, spec);
        for (title, field) in
            [("Liveness", "livenessProbe"), ("Readiness", "readinessProbe"), ("Startup", "startupProbe")]
        {
            if let Some(probe) = spec.get(field) {
                out.push_str(&format!("    {title}:\t{}\n", self::probe(probe)));
            }
        }
        env::env_from(out, list(spec, "/envFrom"));
        env::env(out, spec, pod.map(|(pod, _)| pod));
        mounts(out, list(spec, "/volumeMounts"));
    }
}

fn basics(out: &mut String, spec: &Value, status: Option<&Value>) {
    if let Some(status) = status {
        out.push_str(&format!("    Container ID:\t{}\n", text(status, "/containerID")));
    }
    out.push_str(&format!("    Image:\t{}\n", text(spec, "/image")));
    if let Some(status) = status {
        out.push_str(&format!("    Image ID:\t{}\n", text(status, "/imageID")));
    }
    let ports = list(spec, "/ports");
    for (title, field) in [("Port", "/containerPort"), ("Host Port", "/hostPort")] {
        let texts: Vec<String> = ports
            .iter()
            .map(|port| {
                let shown = format!("{}/{}", number(port, field), protocol(port));
                match text(port, "/name") {
                    "" => shown,
                    name => format!("{shown} ({name})"),
                }
            })
            .collect();
        let many = if texts.len() > 1 { "s" } else { "" };
        let joined = if texts.is_empty() { "<none>".into() } else { texts.join(", ") };
        out.push_str(&format!("    {title}{many}:\t{joined}\n"));
    }
}

fn protocol(port: &Value) -> &str {
    match text(port, "/protocol") {
        "" => "TCP",
        protocol => protocol,
    }
}

fn states(out: &mut String, status: &Value) {
    state(out, "State", status.get("state").unwrap_or(&Value::Null));
    if let Some(last) = status.pointer("/lastState/terminated") {
        terminated(out, "Last State", last);
    }
    let ready = if status.get("ready") == Some(&Value::Bool(true)) { "True" } else { "False" };
    out.push_str(&format!("    Ready:\t{ready}\n    Restart Count:\t{}\n", number(status, "/restartCount")));
}

fn state(out: &mut String, title: &str, state: &Value) {
    if let Some(running) = state.get("running") {
        out.push_str(&format!("    {title}:\tRunning\n      Started:\t{}\n", rfc1123z(text(running, "/startedAt"))));
    } else if let Some(end) = state.get("terminated") {
        terminated(out, title, end);
    } else {
        out.push_str(&format!("    {title}:\tWaiting\n"));
        let reason = text(state, "/waiting/reason");
        if !reason.is_empty() {
            out.push_str(&format!("      Reason:\t{reason}\n"));
        }
    }
}

fn terminated(out: &mut String, title: &str, end: &Value) {
    out.push_str(&format!("    {title}:\tTerminated\n"));
    for (name, field) in [("Reason", "/reason"), ("Message", "/message")] {
        let value = text(end, field);
        if !value.is_empty() {
            out.push_str(&format!("      {name}:\t{value}\n"));
        }
    }
    out.push_str(&format!("      Exit Code:\t{}\n", number(end, "/exitCode")));
    if number(end, "/signal") > 0 {
        out.push_str(&format!("      Signal:\t{}\n", number(end, "/signal")));
    }
    let (started, finished) = (rfc1123z(text(end, "/startedAt")), rfc1123z(text(end, "/finishedAt")));
    out.push_str(&format!("      Started:\t{started}\n      Finished:\t{finished}\n"));
}

fn resources(out: &mut String, spec: &Value) {
    for (title, field) in [("Limits", "/resources/limits"), ("Requests", "/resources/requests")] {
        let Some(map) = spec.pointer(field).and_then(Value::as_object).filter(|m| !m.is_empty()) else { continue };
        let mut entries: Vec<(&String, String)> = map.iter().map(|(name, value)| (name, scalar(value))).collect();
        entries.sort();
        out.push_str(&format!("    {title}:\n"));
        for (name, value) in entries {
            out.push_str(&format!("      {name}:\t{value}\n"));
        }
    }
}

fn probe(probe: &Value) -> String {
    let value = |field: &str| number(probe, field);
    let attributes = format!(
        "delay={}s timeout={}s period={}s #success={} #failure={}",
        value("/initialDelaySeconds"),
        value("/timeoutSeconds"),
        value("/periodSeconds"),
        value("/successThreshold"),
        value("/failureThreshold")
    );
    let port = |of: &Value| of.get("port").map(scalar).unwrap_or_default();
    if let Some(exec) = probe.get("exec") {
        let words: Vec<&str> = list(exec, "/command").iter().filter_map(Value::as_str).collect();
        return format!("exec [{}] {attributes}", words.join(" "));
    }
    if let Some(http) = probe.get("httpGet") {
        let scheme = text(http, "/scheme").to_lowercase();
        let path = text(http, "/path");
        let slash = if path.is_empty() || path.starts_with('/') { "" } else { "/" };
        return format!("http-get {scheme}://{}:{}{slash}{path} {attributes}", text(http, "/host"), port(http));
    }
    if let Some(tcp) = probe.get("tcpSocket") {
        return format!("tcp-socket {}:{} {attributes}", text(tcp, "/host"), port(tcp));
    }
    if let Some(grpc) = probe.get("grpc") {
        return format!("grpc <pod>:{} {} {attributes}", port(grpc), text(grpc, "/service"));
    }
    format!("unknown {attributes}")
}

fn mounts(out: &mut String, mounts: &[Value]) {
    out.push_str(if mounts.is_empty() { "    Mounts:\t<none>\n" } else { "    Mounts:\n" });
    let mut sorted: Vec<&Value> = mounts.iter().collect();
    sorted.sort_by_key(|mount| text(mount, "/mountPath"));
    for mount in sorted {
        let mut flags = if mount.get("readOnly") == Some(&Value::Bool(true)) { "ro" } else { "rw" }.to_string();
        let sub_path = text(mount, "/subPath");
        if !sub_path.is_empty() {
            flags.push_str(&format!(",path=\"{sub_path}\""));
        }
        out.push_str(&format!("      {} from {} ({flags})\n", text(mount, "/mountPath"), text(mount, "/name")));
    }
}

/// Tolerations, one a line.
pub(super) fn tolerations(out: &mut String, title: &str, tolerations: &[Value]) {
    let lines: Vec<String> = tolerations.iter().map(toleration).collect();
    super::lines_beside(out, title, &lines);
}

fn toleration(toleration: &Value) -> String {
    let (key, value, effect) = (text(toleration, "/key"), text(toleration, "/value"), text(toleration, "/effect"));
    let mut line = key.to_string();
    if !value.is_empty() {
        line.push_str(&format!("={value}"));
    }
    if !effect.is_empty() {
        line.push_str(&format!(":{effect}"));
    }
    if text(toleration, "/operator") == "Exists" && value.is_empty() {
        line.push_str(if line.is_empty() { "op=Exists" } else { " op=Exists" });
    }
    if let Some(seconds) = integer(toleration, "/tolerationSeconds") {
        line.push_str(&format!(" for {seconds}s"));
    }
    line
}

/// Topology spread constraints, one a line.
pub(super) fn spread(out: &mut String, constraints: &[Value], space: &str) {
    let mut sorted: Vec<&Value> = constraints.iter().collect();
    sorted.sort_by_key(|constraint| text(constraint, "/topologyKey"));
    for (i, constraint) in sorted.into_iter().enumerate() {
        out.push_str(space);
        out.push_str(if i == 0 { "Topology Spread Constraints:\t" } else { "\t" });
        let (key, action) = (text(constraint, "/topologyKey"), text(constraint, "/whenUnsatisfiable"));
        out.push_str(&format!("{key}:{action} when max skew {} is exceeded", number(constraint, "/maxSkew")));
        if constraint.get("labelSelector").is_some_and(Value::is_object) {
            out.push_str(&format!(" for selector {}", format_selector(constraint, "/labelSelector")));
        }
        out.push('\n');
    }
}

/// Name and namespace, the first lines of a workload.
pub(super) fn heading(object: &Value) -> String {
    format!("Name:\t{}\nNamespace:\t{}\n", name(object), super::super::json::namespace(object))
}
