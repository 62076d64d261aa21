//! Warnings: what the API server accepts but advises against.
//!
//! Models: kubernetes v1.36.2 pkg/api/pod/warnings.go, pkg/api/node/util.go, pkg/registry/{core/pod,apps/deployment,
//! apps/replicaset}/strategy.go (WarningsOnCreate). Left out: old kinds of volumes, AppArmor annotations, overhead.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Container, ContainerPort, NodeSelectorTerm, PodSpec, PodTemplateSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::field::Path;
use super::names;
use super::print::quote;
use crate::objects::Kind;
use crate::objects::decode::Decoded;
use crate::objects::quantity::Quantity;

/// Labels of nodes that have newer names: label, since when, new name.
const OLD_LABELS: [(&str, &str, &str); 5] = [
    ("beta.kubernetes.io/arch", "v1.14", "kubernetes.io/arch"),
    ("beta.kubernetes.io/os", "v1.14", "kubernetes.io/os"),
    ("failure-domain.beta.kubernetes.io/region", "v1.17", "topology.kubernetes.io/region"),
    ("failure-domain.beta.kubernetes.io/zone", "v1.17", "topology.kubernetes.io/zone"),
    ("beta.kubernetes.io/instance-type", "v1.17", "node.kubernetes.io/instance-type"),
];
/// Annotations of pods that no longer do anything.
const OLD_ANNOTATIONS: [(&str, &str); 3] = [
    (
        "scheduler.alpha.kubernetes.io/critical-pod",
        "non-functional in v1.16+; use the \"priorityClassName\" field instead",
    ),
    ("security.alpha.kubernetes.io/sysctls", "non-functional in v1.11+; use the \"sysctls\" field instead"),
    ("security.alpha.kubernetes.io/unsafe-sysctls", "non-functional in v1.11+; use the \"sysctls\" field instead"),
];
const SECCOMP_POD: &str = "seccomp.security.alpha.kubernetes.io/pod";
const SECCOMP_CONTAINER: &str = "container.seccomp.security.alpha.kubernetes.io/";
const SECCOMP: &str = "non-functional in v1.27+; use the \"seccompProfile\" field instead";

/// The warnings that come with the creation of a valid object, in order.
pub fn warnings(object: &Decoded) -> Vec<String> {
    let mut warnings = Vec::new();
    let of_template = "this is used in Pod names and hostnames";
    match object {
        Decoded::Pod(pod) => {
            name(&pod.metadata, "this is used in the Pod's hostname", &mut warnings);
            let nothing = PodSpec::default();
            let spec = pod.spec.as_ref().unwrap_or(&nothing);
            pod_spec(spec, &pod.metadata, &Path::root("spec"), &Path::root("metadata"), &mut warnings);
        }
        Decoded::Deployment(deployment) => {
            name(&deployment.metadata, of_template, &mut warnings);
            template(deployment.spec.as_ref().map(|spec| &spec.template), &mut warnings);
        }
        Decoded::ReplicaSet(set) => {
            name(&set.metadata, of_template, &mut warnings);
            template(set.spec.as_ref().and_then(|spec| spec.template.as_ref()), &mut warnings);
        }
        Decoded::StatefulSet(set) => template(set.spec.as_ref().map(|spec| &spec.template), &mut warnings),
        Decoded::DaemonSet(set) => template(set.spec.as_ref().map(|spec| &spec.template), &mut warnings),
        Decoded::Job(job) => {
            name(&job.metadata, of_template, &mut warnings);
            template(job.spec.as_ref().map(|spec| &spec.template), &mut warnings);
        }
        Decoded::CronJob(job) => name(&job.metadata, of_template, &mut warnings),
        _ => {}
    }
    warnings
}

/// What every request about a kind is told that is to go: the verbs do not matter, nor whether it succeeds.
pub fn deprecation(kind: Kind) -> Vec<String> {
    match kind {
        Kind::Endpoints => {
            vec!["v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice".to_owned()]
        }
        _ => Vec::new(),
    }
}

fn name(metadata: &ObjectMeta, used: &str, warnings: &mut Vec<String>) {
    let broken = names::dns_label(metadata.name.as_deref().unwrap_or_default());
    if !broken.is_empty() {
        warnings.push(format!(
            "metadata.name: {used}, which can result in surprising behavior; a DNS label is recommended: [{}]",
            broken.join(" ")
        ));
    }
}

fn template(template: Option<&PodTemplateSpec>, warnings: &mut Vec<String>) {
    let Some(template) = template else { return };
    let (nothing, nobody) = (PodSpec::default(), ObjectMeta::default());
    let (spec, metadata) = (template.spec.as_ref().unwrap_or(&nothing), template.metadata.as_ref().unwrap_or(&nobody));
    let path = Path::root("spec");
    let path = path.child("template");
    pod_spec(spec, metadata, &path.child("spec"), &path.child("metadata"), warnings);
}

fn pod_spec(spec: &PodSpec, meta: &ObjectMeta, path: &Path<'_>, of_meta: &Path<'_>, warnings: &mut Vec<String>) {
    placement(spec, path, warnings);
    let annotations = of_meta.child("annotations");
    let annotated = |key: &str| meta.annotations.as_ref().is_some_and(|annotations| annotations.contains_key(key));
    for (key, advice) in OLD_ANNOTATIONS.iter().filter(|(key, _)| annotated(key)) {
        warnings.push(format!("{}: {advice}", annotations.key(key)));
    }
    repeated(
        spec.host_aliases.iter().flatten().map(|alias| alias.ip.as_str()),
        "ip",
        &path.child("hostAliases"),
        warnings,
    );
    let secrets = path.child("imagePullSecrets");
    repeated(spec.image_pull_secrets.iter().flatten().map(|secret| secret.name.as_str()), "name", &secrets, warnings);
    for (index, _) in spec.image_pull_secrets.iter().flatten().enumerate().filter(|(_, secret)| secret.name.is_empty())
    {
        warnings.push(format!("{}: invalid empty name \"\"", secrets.index(index).child("name")));
    }
    let profile = spec.security_context.as_ref().and_then(|context| context.seccomp_profile.as_ref());
    if profile.is_none() && annotated(SECCOMP_POD) {
        warnings.push(format!("{}: {SECCOMP}", annotations.key(SECCOMP_POD)));
    }
    let init = spec.init_containers.iter().flatten().enumerate().map(|found| ("initContainers", found));
    let regular = spec.containers.iter().enumerate().map(|found| ("containers", found));
    let mut ports: BTreeMap<(i32, &str), Vec<(String, &ContainerPort)>> = BTreeMap::new();
    let mut about_ports = Vec::new();
    for (list, (index, container)) in init.chain(regular) {
        let list = path.child(list);
        let path = list.index(index);
        let key = format!("{SECCOMP_CONTAINER}{}", container.name);
        let own = container.security_context.as_ref().and_then(|context| context.seccomp_profile.as_ref());
        if own.is_none() && annotated(&key) {
            warnings.push(format!("{}: {SECCOMP}", annotations.key(&key)));
        }
        fractions(container, &path, warnings);
        hidden(container, &path.child("env"), warnings);
        overlaps(container, &path.child("ports"), &mut ports, &mut about_ports);
    }
    warnings.append(&mut about_ports);
}

fn renamed(label: &str) -> Option<String> {
    let (_, since, new) = OLD_LABELS.iter().find(|(old, ..)| *old == label)?;
    Some(format!("deprecated since {since}; use \"{new}\" instead"))
}

fn placement(spec: &PodSpec, path: &Path<'_>, warnings: &mut Vec<String>) {
    let selector = path.child("nodeSelector");
    for key in spec.node_selector.iter().flat_map(BTreeMap::keys) {
        warnings.extend(renamed(key).map(|advice| format!("{}: {advice}", selector.key(key))));
    }
    if let Some(affinity) = spec.affinity.as_ref().and_then(|affinity| affinity.node_affinity.as_ref()) {
        let path = path.child("affinity");
        let path = path.child("nodeAffinity");
        let required = path.child("requiredDuringSchedulingIgnoredDuringExecution");
        let required = required.child("nodeSelectorTerms");
        let selector = affinity.required_during_scheduling_ignored_during_execution.as_ref();
        for (index, found) in selector.iter().flat_map(|selector| &selector.node_selector_terms).enumerate() {
            term(found, &required.index(index), warnings);
        }
        let preferred = path.child("preferredDuringSchedulingIgnoredDuringExecution");
        let terms = affinity.preferred_during_scheduling_ignored_during_execution.iter().flatten();
        for (index, found) in terms.enumerate() {
            term(&found.preference, &preferred.index(index).child("preference"), warnings);
        }
    }
    let spread = path.child("topologySpreadConstraints");
    for (index, constraint) in spec.topology_spread_constraints.iter().flatten().enumerate() {
        let path = spread.index(index);
        let key = &constraint.topology_key;
        warnings.extend(renamed(key).map(|advice| format!("{}: {key} is {advice}", path.child("topologyKey"))));
        if constraint.label_selector.is_none() {
            let path = path.child("labelSelector");
            warnings.push(format!("{path}: a null labelSelector results in matching no pod"));
        }
    }
}

fn term(term: &NodeSelectorTerm, path: &Path<'_>, warnings: &mut Vec<String>) {
    let path = path.child("matchExpressions");
    for (index, expression) in term.match_expressions.iter().flatten().enumerate() {
        let (path, key) = (path.index(index), &expression.key);
        warnings.extend(renamed(key).map(|advice| format!("{}: {key} is {advice}", path.child("key"))));
    }
}

fn repeated<'a>(items: impl Iterator<Item = &'a str>, what: &str, path: &Path<'_>, warnings: &mut Vec<String>) {
    let mut seen: Vec<&str> = Vec::new();
    for (index, item) in items.enumerate() {
        if seen.contains(&item) {
            warnings.push(format!("{}: duplicate {what} {}", path.index(index).child(what), quote(item)));
        } else {
            seen.push(item);
        }
    }
}

fn fractions(container: &Container, path: &Path<'_>, warnings: &mut Vec<String>) {
    let Some(resources) = &container.resources else { return };
    let path = path.child("resources");
    for name in ["memory", "ephemeral-storage"] {
        for (field, list) in [("limits", &resources.limits), ("requests", &resources.requests)] {
            let Some(quantity) = list.as_ref().and_then(|list| list.get(name)) else { continue };
            let Some(quantity) = Quantity::try_from(quantity).ok() else { continue };
            if quantity.milli() % 1000 != 0 {
                let (path, text) = (path.child(field), quantity.canonical());
                warnings.push(format!(
                    "{}: fractional byte value {} is invalid, must be an integer",
                    path.key(name),
                    quote(&text)
                ));
            }
        }
    }
}

/// Variables defined twice without the second using the first.
fn hidden(container: &Container, path: &Path<'_>, warnings: &mut Vec<String>) {
    let vars = container.env.as_deref().unwrap_or_default();
    for (index, var) in vars.iter().enumerate() {
        let before = vars.iter().take(index).any(|other| other.name == var.name);
        let reference = format!("$({})", var.name);
        let value = var.value.as_deref().unwrap_or_default();
        if before && (var.value_from.is_some() || value == reference || !value.contains(&reference)) {
            warnings.push(format!(
                "{}: hides previous definition of {}, which may be dropped when using apply",
                path.index(index),
                quote(&var.name)
            ));
        }
    }
}

/// Ports that several entries name.
fn overlaps<'a>(
    container: &'a Container,
    path: &Path<'_>,
    ports: &mut BTreeMap<(i32, &'a str), Vec<(String, &'a ContainerPort)>>,
    warnings: &mut Vec<String>,
) {
    for (index, port) in container.ports.iter().flatten().enumerate() {
        let here = path.index(index).to_string();
        let host =
            |port: &'a ContainerPort| (port.host_port.unwrap_or_default(), port.host_ip.as_deref().unwrap_or_default());
        let (number, ip) = host(port);
        let others = ports.entry((port.container_port, port.protocol.as_deref().unwrap_or_default())).or_default();
        for (there, other) in others.iter() {
            let (other_number, other_ip) = host(other);
            let kind = if (number, ip) == (other_number, other_ip) {
                "duplicate"
            } else if number == 0
                || other_number == 0
                || number == other_number && (ip.is_empty() || other_ip.is_empty())
            {
                "overlapping"
            } else {
                continue;
            };
            warnings.push(format!("{here}: {kind} port definition with {there}"));
        }
        others.push((here, port));
    }
}
