//! Verbs that tell about the cluster and about who asks: `version`, `cluster-info`, `config`, `top`.
//!
//! Models: kubernetes v1.36.2 staging/src/k8s.io/kubectl/pkg/cmd/{version,clusterinfo,config,top}.
//! Left out: the other subcommands of `config`.

use serde_json::{Map, Value, json};

use super::errors::Failure;
use super::flags::{Args, Flag, Takes};
use super::resources::Resource;
use super::session::{Session, Step};
use super::{ApiCall, ApiVerb};

pub(crate) const VERSION_FLAGS: &[Flag] = &[("client", ' ', Takes::Bool), ("output", 'o', Takes::Text)];

/// kubectl's own build, in the order in which it is printed as JSON.
const CLIENT: [(&str, &str); 9] = [
    ("major", "1"),
    ("minor", "36"),
    ("gitVersion", "v1.36.2"),
    ("gitCommit", "98b35193b2ac7a23a673325f5e9b830ecd5ba406"),
    ("gitTreeState", "clean"),
    ("buildDate", "2026-08-21T11:29:11Z"),
    ("goVersion", "go1.26.6"),
    ("compiler", "gc"),
    ("platform", "linux/amd64"),
];
/// What a server's version has behind major and minor.
const SERVER_ONLY: [&str; 4] = ["emulationMajor", "emulationMinor", "minCompatibilityMajor", "minCompatibilityMinor"];

/// `kubectl version`
pub(crate) fn version(session: &mut Session, args: &Args) -> Step<()> {
    let client: Value =
        CLIENT.iter().map(|(field, value)| (field.to_string(), Value::from(*value))).collect::<Map<_, _>>().into();
    let server = match args.bool("client") {
        true => None,
        false => {
            let answer = session.call(ApiCall { raw: Some("/version".into()), ..ApiCall::default() })?;
            Some(serde_json::from_str::<Value>(answer.as_str().unwrap_or_default()).unwrap_or_default())
        }
    };
    let text = match args.text("output") {
        "" => {
            let git = |version: &Value| super::json::text(version, "/gitVersion").to_string();
            let mut text = format!("Client Version: {}\nKustomize Version: {KUSTOMIZE}\n", git(&client));
            if let Some(server) = &server {
                text.push_str(&format!("Server Version: {}\n", git(server)));
            }
            text
        }
        "json" => {
            let fields: Vec<&str> = CLIENT.iter().map(|(field, _)| *field).collect();
            let mut all = vec![block("clientVersion", &client, &fields)];
            all.push(format!("  \"kustomizeVersion\": \"{KUSTOMIZE}\""));
            if let Some(server) = &server {
                let (first, rest) = fields.split_at(2);
                all.push(block("serverVersion", server, &[first, &SERVER_ONLY, rest].concat()));
            }
            format!("{{\n{}\n}}\n", all.join(",\n"))
        }
        "yaml" => {
            let mut all = json!({"clientVersion": client, "kustomizeVersion": KUSTOMIZE});
            if let Some(server) = server {
                all["serverVersion"] = server;
            }
            super::yaml_out::yaml(&all)
        }
        _ => return Err(Failure::message("--output must be 'yaml' or 'json'").into()),
    };
    session.print(&text);
    Ok(())
}

/// The version of kustomize inside kubectl – constant; Kubernetes v1.36.2.
const KUSTOMIZE: &str = "v5.8.1";

fn block(title: &str, version: &Value, fields: &[&str]) -> String {
    let lines: Vec<String> =
        fields.iter().map(|field| format!("    \"{field}\": {}", version.get(field).unwrap_or(&Value::Null))).collect();
    format!("  \"{title}\": {{\n{}\n  }}", lines.join(",\n"))
}

/// `kubectl config current-context`
pub(crate) fn current_context(session: &mut Session, _: &Args) -> Step<()> {
    session.print_line("kubernetes-admin@kubernetes");
    Ok(())
}

/// `kubectl config get-contexts`
pub(crate) fn contexts(session: &mut Session, args: &Args) -> Step<()> {
    const CONTEXT: &str = "kubernetes-admin@kubernetes";
    if let Some(other) = args.words.iter().find(|name| *name != CONTEXT) {
        return Err(Failure::message(format!("context {other} not found")).into());
    }
    if args.text("output") == "name" {
        session.print_line(CONTEXT);
        return Ok(());
    }
    let rows =
        [["CURRENT", "NAME", "CLUSTER", "AUTHINFO", "NAMESPACE"], ["*", CONTEXT, "kubernetes", "kubernetes-admin", ""]];
    let skipped = usize::from(args.bool("no-headers"));
    let rows: Vec<Vec<String>> =
        rows.iter().skip(skipped).map(|row| row.iter().map(|cell| cell.to_string()).collect()).collect();
    let text = super::tabwriter::Columns::default().lay_out(&rows);
    session.print(&text);
    Ok(())
}

pub(crate) const CONTEXT_FLAGS: &[Flag] = &[("output", 'o', Takes::Text), ("no-headers", ' ', Takes::Bool)];

/// `kubectl cluster-info`, without colours.
pub(crate) fn cluster_info(session: &mut Session, _: &Args) -> Step<()> {
    let server = format!("https://{}", super::errors::SERVER);
    let call = ApiCall {
        label_selector: Some("kubernetes.io/cluster-service=true".into()),
        ..Resource::SERVICES.call(ApiVerb::List, Some("kube-system"))
    };
    let found = session.list(call)?;
    session.print_line(&format!("Kubernetes control plane is running at {server}"));
    for service in found.items() {
        let (name, port) = (super::json::name(service), super::json::text(service, "/spec/ports/0/name"));
        let title = match super::json::text(service, "/metadata/labels/kubernetes.io~1name") {
            "" => name,
            title => title,
        };
        let port = if port.is_empty() { String::new() } else { format!(":{port}") };
        session.print_line(&format!(
            "{title} is running at {server}/api/v1/namespaces/kube-system/services/{name}{port}/proxy"
        ));
    }
    session.print("\nTo further debug and diagnose cluster problems, use 'kubectl cluster-info dump'.\n");
    Ok(())
}

pub(crate) const TOP_FLAGS: &[Flag] = &[
    ("selector", 'l', Takes::Text),
    ("field-selector", ' ', Takes::Text),
    ("sort-by", ' ', Takes::Text),
    ("all-namespaces", 'A', Takes::Bool),
    ("no-headers", ' ', Takes::Bool),
    ("containers", ' ', Takes::Bool),
    ("sum", ' ', Takes::Bool),
    ("use-protocol-buffers", ' ', Takes::Bool),
    ("show-capacity", ' ', Takes::Bool),
    ("show-swap", ' ', Takes::Bool),
];

/// `kubectl top`: no metrics server is simulated.
pub(crate) fn top(_: &mut Session, _: &Args) -> Step<()> {
    Err(Failure::message("Metrics API not available").into())
}
