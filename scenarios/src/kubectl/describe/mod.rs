//! `kubectl describe`.
//!
//! Models: kubernetes v1.36.2 staging/src/k8s.io/kubectl/pkg/cmd/describe/describe.go, pkg/describe/describe.go.
//! Left out: CertificateSigningRequests, CSINodes, VolumeAttributesClasses: they are described by their fields.

mod batch;
mod config;
mod controllers;
mod env;
pub(crate) mod events;
mod generic;
mod hpa;
mod ingress;
mod network;
mod network_policy;
mod node;
mod pod;
mod policy;
pub(crate) mod quantity;
mod quota;
pub(crate) mod rbac;
mod storage;
pub(crate) mod template;
mod volumes;
mod workload;

use serde_json::Value;

use super::builder::{self, Info, Selection, list_objects, targets};
use super::duration::rfc1123z;
use super::errors::Failure;
use super::flags::{Args, Flag, Takes};
use super::json::{list, name, pairs, text};
use super::session::{Session, Step, attempt};
use super::{get, tabwriter};

pub(crate) const FLAGS: &[Flag] = &[
    ("selector", 'l', Takes::Text),
    ("all-namespaces", 'A', Takes::Bool),
    ("show-events", ' ', Takes::Bool),
    ("chunk-size", ' ', Takes::Int(64)),
];

pub(crate) fn describe(session: &mut Session, args: &Args) -> Step<()> {
    if args.words.is_empty() && !args.has("filename") {
        session.error(
            "You must specify the type of resource to describe. Use \"kubectl api-resources\" for a complete list \
             of supported resources.\n\n",
        );
        return Err(args.usage("Required resource not specified.").into());
    }
    let (found, mut failures, single) = get::fetch(session, args)?;
    let mut infos: Vec<Info> = Vec::new();
    for group in &found {
        infos.extend(group.objects.iter().map(|object| Info::of(group.resource, object.clone(), "")));
    }
    if let (true, [failure], 2) = (single, failures.as_slice(), args.words.len())
        && failure.is_not_found()
    {
        let alike = names_with_prefix(session, args)?;
        if !alike.is_empty() {
            infos = alike;
            failures.clear();
        }
    }
    // Events of many objects would be a request for each of them.
    let with_events = args.bool_or("show-events", infos.len() <= 1);
    let count = infos.len();
    for (i, info) in infos.into_iter().enumerate() {
        match attempt(describe_one(session, &info, with_events))? {
            Ok(text) => {
                let before = if i == 0 { "" } else { "\n\n" };
                session.print(&format!("{before}{}", tabwriter::align(&text)));
            }
            Err(failure) => failures.push(failure),
        }
    }
    if count == 0 && failures.is_empty() {
        let namespace = session.globals.namespace().to_string();
        let namespaced = !args.bool("all-namespaces") && found.iter().all(|f| f.resource.namespaced);
        let place = if namespaced { format!(" in {namespace} namespace.") } else { String::new() };
        session.error_line(&format!("No resources found{place}"));
    }
    Ok(Failure::collect(failures)?)
}

/// `describe pod web` also means the pods whose names begin so.
fn names_with_prefix(session: &mut Session, args: &Args) -> Step<Vec<Info>> {
    let mut infos = Vec::new();
    for target in targets(&args.words, &session.discovered)? {
        let prefix = target.name.unwrap_or_default();
        let Ok(found) = attempt(list_objects(session, &target.resource, &Selection::default()))? else { continue };
        let alike = builder::items(&target.resource, &found).filter(|object| name(object).starts_with(&prefix));
        infos.extend(alike.map(|object| Info::of(target.resource, object, "")));
    }
    Ok(infos)
}

fn describe_one(session: &mut Session, info: &Info, with_events: bool) -> Step<String> {
    let object = session.get(&info.resource, info.namespace.as_deref(), &info.name)?;
    let mut text = match info.resource.plural {
        "pods" => pod::describe(object, session.now),
        "deployments" => workload::deployment(session, object)?,
        "replicasets" => workload::replica_set(session, object)?,
        "statefulsets" => controllers::stateful_set(session, object)?,
        "daemonsets" => controllers::daemon_set(session, object)?,
        "replicationcontrollers" => controllers::replication_controller(session, object)?,
        "jobs" => batch::job(object),
        "cronjobs" => batch::cron_job(object),
        "nodes" => node::describe(session, object)?,
        "namespaces" => quota::namespace(session, object)?,
        "resourcequotas" => quota::quota(object),
        "limitranges" => quota::limit_range(object),
        "services" => network::service(session, object)?,
        "endpoints" => network::endpoints(object),
        "endpointslices" => network::endpoint_slice(object),
        "ingresses" => ingress::ingress(session, object)?,
        "ingressclasses" => ingress::class(object),
        "networkpolicies" => network_policy::describe(object),
        "ipaddresses" => network::ip_address(object),
        "servicecidrs" => network::service_cidr(object),
        "persistentvolumes" => storage::volume(object, session.now),
        "persistentvolumeclaims" => storage::volume_claim(session, object)?,
        "storageclasses" => storage::class(object),
        "poddisruptionbudgets" => policy::budget(object),
        "priorityclasses" => policy::priority_class(object),
        "horizontalpodautoscalers" => hpa::describe(object),
        "roles" | "clusterroles" => rbac::role(object),
        "rolebindings" | "clusterrolebindings" => rbac::binding(object),
        "configmaps" => config::config_map(object),
        "secrets" => config::secret(object),
        "serviceaccounts" => config::service_account(object),
        _ => generic::describe(object),
    };
    if with_events && !WITHOUT_EVENTS.contains(&info.resource.plural) {
        text.push_str(&events::of(session, info.resource.kind, object)?);
    }
    Ok(text)
}

/// Kinds whose descriptions never show events.
const WITHOUT_EVENTS: &[&str] = &[
    "namespaces",
    "resourcequotas",
    "limitranges",
    "networkpolicies",
    "secrets",
    "roles",
    "clusterroles",
    "rolebindings",
    "clusterrolebindings",
];

/// `TITLE:`, a tab, the value.
fn put(out: &mut String, title: &str, value: impl std::fmt::Display) {
    out.push_str(&format!("{title}:\t{value}\n"));
}

/// Conditions with the times of their last changes.
fn timed_conditions(out: &mut String, object: &Value) {
    let conditions = list(object, "/status/conditions");
    if conditions.is_empty() {
        return;
    }
    out.push_str("Conditions:\n  Type\tStatus\tLastTransitionTime\tReason\tMessage\n");
    out.push_str("  ----\t------\t------------------\t------\t-------\n");
    for condition in conditions {
        let of = |field: &str| text(condition, field);
        let changed = rfc1123z(of("/lastTransitionTime"));
        let (kind, status, reason, message) = (of("/type"), of("/status"), of("/reason"), of("/message"));
        out.push_str(&format!("  {kind}\t{status}\t{changed}\t{reason}\t{message}\n"));
    }
}

/// Pairs, one a line, the first beside the title.
fn labels(out: &mut String, title: &str, object: &Value, pointer: &str) {
    let lines: Vec<String> = pairs(object, pointer).iter().map(|(key, value)| format!("{key}={value}")).collect();
    lines_beside(out, title, &lines);
}

fn lines_beside(out: &mut String, title: &str, lines: &[String]) {
    out.push_str(&format!("{title}:\t"));
    if lines.is_empty() {
        out.push_str("<none>\n");
    }
    for (i, line) in lines.iter().enumerate() {
        if i > 0 {
            out.push('\t');
        }
        out.push_str(line);
        out.push('\n');
    }
}

/// Annotations without kubectl's own; long or multi-line ones begin on a line of their own.
fn annotations(out: &mut String, title: &str, object: &Value, pointer: &str) {
    const LONG: usize = 140;
    let shown: Vec<(&str, &str)> = pairs(object, pointer)
        .into_iter()
        .filter(|(key, _)| *key != "kubectl.kubernetes.io/last-applied-configuration")
        .collect();
    out.push_str(&format!("{title}:\t"));
    if shown.is_empty() {
        out.push_str("<none>\n");
    }
    for (i, (key, value)) in shown.into_iter().enumerate() {
        if i > 0 {
            out.push('\t');
        }
        let value = value.strip_suffix('\n').unwrap_or(value);
        if value.len() + key.len() + 2 > LONG || value.contains('\n') {
            out.push_str(&format!("{key}:\n"));
            for line in value.split('\n') {
                let short: String = line.chars().take(LONG - 2).collect();
                let cut = if short.len() < line.len() { "..." } else { "" };
                out.push_str(&format!("\t  {short}{cut}\n"));
            }
        } else {
            out.push_str(&format!("{key}: {value}\n"));
        }
    }
}

/// `ReplicaSet/web-1`
fn controlled_by(object: &Value) -> Option<String> {
    let owner = list(object, "/metadata/ownerReferences")
        .iter()
        .find(|owner| owner.get("controller") == Some(&Value::Bool(true)))?;
    Some(format!("{}/{}", text(owner, "/kind"), text(owner, "/name")))
}

/// Go's `%v` of a condition table's row.
fn conditions(out: &mut String, object: &Value) {
    let conditions = list(object, "/status/conditions");
    if conditions.is_empty() {
        return;
    }
    out.push_str("Conditions:\n  Type\tStatus\tReason\n  ----\t------\t------\n");
    for condition in conditions {
        let (kind, status, reason) = (text(condition, "/type"), text(condition, "/status"), text(condition, "/reason"));
        out.push_str(&format!("  {kind} \t{status}\t{reason}\n"));
    }
}
