//! `kubectl describe` of Ingresses and their classes.
//!
//! Models: kubernetes v1.36.2 staging/src/k8s.io/kubectl/pkg/describe/describe.go (`describeIngressV1`,
//! `describeBackendV1`, `describeIngressClassV1`).

use serde_json::Value;

use super::super::json::{list, name, namespace, number, present, strings, text};
use super::super::resources::Resource;
use super::super::session::{Session, Step, attempt};
use super::network::{endpoints_of, slices_of};
use super::{annotations, labels, put};

/// Everything but the events.
pub(super) fn ingress(session: &mut Session, object: &Value) -> Step<String> {
    let mut out = String::new();
    put(&mut out, "Name", name(object));
    labels(&mut out, "Labels", object, "/metadata/labels");
    put(&mut out, "Namespace", namespace(object));
    put(&mut out, "Address", addresses(object));
    let class = text(object, "/spec/ingressClassName");
    put(&mut out, "Ingress Class", if class.is_empty() { "<none>" } else { class });
    let default = match object.pointer("/spec/defaultBackend").filter(|b| !b.is_null()) {
        Some(found) => backend(session, namespace(object), found)?,
        None => "<default>".into(),
    };
    put(&mut out, "Default backend", &default);
    let tls = list(object, "/spec/tls");
    if !tls.is_empty() {
        out.push_str("TLS:\n");
    }
    for entry in tls {
        let hosts = strings(entry, "/hosts").join(",");
        match text(entry, "/secretName") {
            "" => out.push_str(&format!("  SNI routes {hosts}\n")),
            secret => out.push_str(&format!("  {secret} terminates {hosts}\n")),
        }
    }
    out.push_str("Rules:\n  Host\tPath\tBackends\n  ----\t----\t--------\n");
    let mut any = false;
    for rule in list(object, "/spec/rules").iter().filter(|rule| present(rule, "/http")) {
        any = true;
        let host = if text(rule, "/host").is_empty() { "*" } else { text(rule, "/host") };
        out.push_str(&format!("  {host}\t\n"));
        for path in list(rule, "/http/paths") {
            let behind = backend(session, namespace(object), path.get("backend").unwrap_or(&Value::Null))?;
            out.push_str(&format!("    \t{} \t{behind}\n", text(path, "/path")));
        }
    }
    if !any {
        out.push_str(&format!("  *\t*\t{default}\n"));
    }
    annotations(&mut out, "Annotations", object, "/metadata/annotations");
    Ok(out)
}

fn addresses(object: &Value) -> String {
    let mut all: Vec<&str> = list(object, "/status/loadBalancer/ingress")
        .iter()
        .map(|ingress| if text(ingress, "/ip").is_empty() { text(ingress, "/hostname") } else { text(ingress, "/ip") })
        .filter(|address| !address.is_empty())
        .collect();
    all.sort_unstable();
    all.dedup();
    all.join(",")
}

/// `web:80 (10.244.0.2:8080)`
fn backend(session: &mut Session, namespace: &str, backend: &Value) -> Step<String> {
    if present(backend, "/resource") {
        let of = |field: &str| text(backend, &format!("/resource/{field}"));
        let group = if of("apiGroup").is_empty() { "<none>" } else { of("apiGroup") };
        return Ok(format!("APIGroup: {group}, Kind: {}, Name: {}", of("kind"), of("name")));
    }
    if !present(backend, "/service") {
        return Ok(String::new());
    }
    let service = text(backend, "/service/name");
    let (port, port_name) = (number(backend, "/service/port/number"), text(backend, "/service/port/name"));
    let shown = format!("{service}:{}", if port == 0 { port_name.to_string() } else { port.to_string() });
    let slices = match slices_of(session, namespace, service)? {
        Ok(slices) => slices,
        Err(why) => return Ok(format!("{shown} (<error: {why}>)")),
    };
    let found = match attempt(session.get(&Resource::SERVICES, Some(namespace), service))? {
        Ok(found) => found,
        Err(failure) => return Ok(format!("{shown} (<error: {}>)", failure.text())),
    };
    let named = list(found, "/spec/ports")
        .iter()
        .rfind(|of| {
            (port != 0 && number(of, "/port") == port) || (!port_name.is_empty() && text(of, "/name") == port_name)
        })
        .map_or("", |of| text(of, "/name"));
    Ok(format!("{shown} ({})", endpoints_of(&slices, named)))
}

/// Everything but the events.
pub(super) fn class(object: &Value) -> String {
    let mut out = String::new();
    put(&mut out, "Name", name(object));
    labels(&mut out, "Labels", object, "/metadata/labels");
    annotations(&mut out, "Annotations", object, "/metadata/annotations");
    put(&mut out, "Controller", text(object, "/spec/controller"));
    if present(object, "/spec/parameters") {
        out.push_str("Parameters:\n");
        for (title, field) in [("APIGroup", "apiGroup"), ("Kind", "kind"), ("Name", "name")] {
            let value = text(object, &format!("/spec/parameters/{field}"));
            if title != "APIGroup" || !value.is_empty() {
                out.push_str(&format!("  {title}:\t{value}\n"));
            }
        }
    }
    out
}
