//! ResourceQuota: what a namespace may use.
//!
//! A creation that would take a namespace above a quota is refused. What is used is counted when it matters: what is there, and what is on
//! its way to storage. The real server raises `status.used` itself before it lets a creation through; here only the controller writes it,
//! so the status lags behind by the time of a reconcile, while what is let through is the same.
//!
//! Models: kubernetes v1.36.2 staging/src/k8s.io/apiserver/pkg/admission/plugin/resourcequota/controller.go,
//! pkg/quota/v1/evaluator/core/{pods,services,persistent_volume_claims}.go, pkg/quota/v1/resources.go. Left out: updates that use more, pods'
//! CrossNamespacePodAffinity, scopes of claims, limited resources.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{self as core, Container, PodSpec, ResourceQuota, ResourceQuotaSpec};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as ApiQuantity;

use crate::apiserver::cache::WatchCache;
use crate::apiserver::request::ListOptions;
use crate::apiserver::status::Status;
use crate::kernel::Instant;
use crate::objects::pod_terms::QosClass;
use crate::objects::pod_terms::requests::is_sidecar;
use crate::objects::quantity::{Format, Quantity};
use crate::objects::{Kind, Name, Object, Pod};

/// Quantities by the name of a resource.
pub type Usage = BTreeMap<String, Quantity>;

/// Resources that each container of a pod must name once a quota limits them.
const NAMED_BY_CONTAINERS: [&str; 6] =
    ["cpu", "limits.cpu", "limits.memory", "memory", "requests.cpu", "requests.memory"];
/// Kinds that are also counted under their plain plural.
const COUNTED: [Kind; 7] = [
    Kind::ConfigMap,
    Kind::PersistentVolumeClaim,
    Kind::Pod,
    Kind::ReplicationController,
    Kind::ResourceQuota,
    Kind::Secret,
    Kind::Service,
];

/// Refuses an object that does not fit into its namespace's quotas. `arriving` are the objects on their way to storage.
pub fn admit(cache: &WatchCache, object: &Object, arriving: &[Arc<Object>], now: Instant) -> Result<(), Status> {
    let meta = object.meta();
    if !object.kind().namespaced() {
        return Ok(());
    }
    let quotas = cache.list(Kind::ResourceQuota, &meta.namespace, &ListOptions::default());
    if quotas.is_empty() {
        return Ok(());
    }
    let shown = if meta.name.is_empty() { meta.generate_name.as_deref().unwrap_or("") } else { &meta.name };
    let wanted = usage(object, now);
    for quota in &quotas {
        let Object::ResourceQuota(quota) = &**quota else { continue };
        let nothing = ResourceQuotaSpec::default();
        if !in_scope(quota.api.spec.as_ref().unwrap_or(&nothing), object) {
            continue;
        }
        let name = &quota.meta.name;
        let hard = hard(&quota.api);
        let asked: Usage =
            wanted.iter().filter(|(name, _)| hard.contains_key(*name)).map(|(name, n)| (name.clone(), *n)).collect();
        let refused = |why: &str| Err(Status::forbidden(object.kind(), shown, why));
        if let Object::Pod(pod) = object
            && let Some(missing) = unnamed(&pod.spec.api, &hard)
        {
            return refused(&format!("failed quota: {name}: must specify {missing}"));
        }
        if asked.is_empty() {
            continue;
        }
        let used = used(cache, &quota.api, &meta.namespace, arriving, now);
        let after = |name: &str, n: Quantity| used.get(name).map_or(n, |used| used.saturating_add(n));
        let exceeded: Vec<&String> = asked
            .iter()
            .filter(|(name, n)| hard.get(*name).is_some_and(|hard| after(name, **n) > *hard))
            .map(|(name, _)| name)
            .collect();
        if !exceeded.is_empty() {
            let (asked, used, hard) = (list(&asked, &exceeded), list(&used, &exceeded), list(&hard, &exceeded));
            return refused(&format!("exceeded quota: {name}, requested: {asked}, used: {used}, limited: {hard}"));
        }
    }
    Ok(())
}

/// What the objects of a namespace use of what a quota limits.
pub fn count<'a>(quota: &ResourceQuota, objects: impl Iterator<Item = &'a Object>, now: Instant) -> Usage {
    let nothing = ResourceQuotaSpec::default();
    let spec = quota.spec.as_ref().unwrap_or(&nothing);
    let limited = quantities(spec.hard.as_ref());
    let mut used: Usage = limited.into_keys().map(|name| (name, Quantity::ZERO)).collect();
    for object in objects.filter(|object| in_scope(spec, object)) {
        for (name, amount) in usage(object, now) {
            if let Some(sum) = used.get_mut(&name) {
                // The first quantity gives the form: 256Mi stay 256Mi.
                *sum = if *sum == Quantity::ZERO { amount } else { sum.saturating_add(amount) };
            }
        }
    }
    used
}

/// The kinds whose objects a quota counts.
pub fn counted_kinds(quota: &ResourceQuota) -> Vec<Kind> {
    let limited = quantities(quota.spec.as_ref().and_then(|spec| spec.hard.as_ref()));
    let concerns = |kind: Kind| {
        limited.keys().any(|name| match name.strip_prefix("count/") {
            Some(counted) => counted == kind.qualified(),
            None => match kind {
                Kind::PersistentVolumeClaim => name.contains("storage") || name == "persistentvolumeclaims",
                Kind::Service => name.starts_with("services"),
                Kind::Pod => {
                    !name.starts_with("services")
                        && !COUNTED.iter().any(|kind| *kind != Kind::Pod && kind.plural() == name)
                }
                kind => COUNTED.contains(&kind) && kind.plural() == name,
            },
        })
    };
    Kind::ALL.into_iter().filter(|kind| kind.namespaced() && *kind != Kind::Event && concerns(*kind)).collect()
}

/// Quantities as the API has them.
pub fn to_api(usage: &Usage) -> BTreeMap<String, ApiQuantity> {
    usage.iter().map(|(name, amount)| (name.clone(), (*amount).into())).collect()
}

/// Quantities as they are compared.
pub fn quantities(list: Option<&BTreeMap<String, ApiQuantity>>) -> Usage {
    let read = |(name, amount): (&String, &ApiQuantity)| Some((name.clone(), Quantity::try_from(amount).ok()?));
    list.into_iter().flatten().filter_map(read).collect()
}

/// The limits that hold: those the controller has taken notice of.
fn hard(quota: &ResourceQuota) -> Usage {
    quantities(quota.status.as_ref().and_then(|status| status.hard.as_ref()))
}

fn used(cache: &WatchCache, quota: &ResourceQuota, namespace: &Name, arriving: &[Arc<Object>], now: Instant) -> Usage {
    let kinds = counted_kinds(quota);
    let there = kinds.iter().flat_map(|kind| cache.list(*kind, namespace, &ListOptions::default()));
    let new = arriving.iter().filter(|object| {
        let meta = object.meta();
        kinds.contains(&object.kind())
            && meta.namespace == *namespace
            && cache.get(object.kind(), &object.key()).is_none()
    });
    let all: Vec<Arc<Object>> = there.chain(new.cloned()).collect();
    count(quota, all.iter().map(|object| &**object), now)
}

fn list(usage: &Usage, names: &[&String]) -> String {
    let one = |name: &&String| format!("{name}={}", usage.get(*name).copied().unwrap_or(Quantity::ZERO).canonical());
    names.iter().map(one).collect::<Vec<_>>().join(",")
}

/// What an object uses.
fn usage(object: &Object, now: Instant) -> Usage {
    let one = Quantity::from_value(1, Format::DecimalSi);
    let kind = object.kind();
    let mut usage = Usage::from([(format!("count/{}", kind.qualified()), one)]);
    if kind != Kind::Pod && COUNTED.contains(&kind) {
        usage.insert(kind.plural().to_owned(), one);
    }
    match object {
        Object::Pod(pod) if counts(pod, now) => {
            usage.insert("pods".to_owned(), one);
            of_pod(&pod.spec.api, &mut usage);
        }
        Object::Service(service) => {
            let ports = service.api.spec.as_ref().and_then(|spec| spec.ports.as_ref()).map_or(0, Vec::len) as i64;
            let spec = service.api.spec.clone().unwrap_or_default();
            let (balanced, ports) = match spec.type_.as_deref() {
                Some("NodePort") => (0, ports),
                Some("LoadBalancer") if spec.allocate_load_balancer_node_ports == Some(false) => (1, 0),
                Some("LoadBalancer") => (1, ports),
                _ => (0, 0),
            };
            usage.insert("services.loadbalancers".to_owned(), Quantity::from_value(balanced, Format::DecimalSi));
            usage.insert("services.nodeports".to_owned(), Quantity::from_value(ports, Format::DecimalSi));
        }
        Object::PersistentVolumeClaim(claim) => of_claim(&claim.api, &mut usage),
        _ => {}
    }
    usage
}

fn of_claim(claim: &core::PersistentVolumeClaim, usage: &mut Usage) {
    let nothing = core::PersistentVolumeClaimSpec::default();
    let spec = claim.spec.as_ref().unwrap_or(&nothing);
    let one = Quantity::from_value(1, Format::DecimalSi);
    let requests = spec.resources.as_ref().and_then(|resources| resources.requests.as_ref());
    let size = quantities(requests).get("storage").copied();
    usage.extend(size.map(|size| ("requests.storage".to_owned(), size)));
    if let Some(class) = spec.storage_class_name.as_ref().filter(|class| !class.is_empty()) {
        let of_class = format!("{class}.storageclass.storage.k8s.io");
        usage.insert(format!("{of_class}/persistentvolumeclaims"), one);
        usage.extend(size.map(|size| (format!("{of_class}/requests.storage"), size)));
    }
}

/// Whether a pod still uses what it asked for: not if it has ended, nor past its time to end.
fn counts(pod: &Pod, now: Instant) -> bool {
    let gone = pod.meta.deletion.is_some_and(|deletion| deletion.at < now);
    !pod.status.phase.terminal() && !gone
}

fn of_pod(spec: &PodSpec, usage: &mut Usage) {
    let requests = |container: &Container| {
        quantities(container.resources.as_ref().and_then(|resources| resources.requests.as_ref()))
    };
    let limits = |container: &Container| {
        quantities(container.resources.as_ref().and_then(|resources| resources.limits.as_ref()))
    };
    for (name, amount) in together(spec, &requests) {
        let plain = matches!(name.as_str(), "cpu" | "memory" | "ephemeral-storage") || name.starts_with("hugepages-");
        if plain {
            usage.insert(name.clone(), amount);
        }
        usage.insert(format!("requests.{name}"), amount);
    }
    for (name, amount) in together(spec, &limits) {
        usage.insert(format!("limits.{name}"), amount);
    }
}

/// What the containers of a pod need at once: regular ones and sidecars, or the largest init container with the sidecars before it.
fn together(spec: &PodSpec, of: &dyn Fn(&Container) -> Usage) -> Usage {
    let add = |sum: &mut Usage, more: Usage| {
        for (name, amount) in more {
            let total = sum.get(&name).map_or(amount, |sum| sum.saturating_add(amount));
            sum.insert(name, total);
        }
    };
    let mut total = Usage::new();
    spec.containers.iter().for_each(|container| add(&mut total, of(container)));
    let (mut sidecars, mut largest) = (Usage::new(), Usage::new());
    for container in spec.init_containers.iter().flatten() {
        let mut here = sidecars.clone();
        add(&mut here, of(container));
        if is_sidecar(container) {
            add(&mut total, of(container));
            sidecars = here.clone();
        }
        for (name, amount) in here {
            let most = largest.get(&name).copied().filter(|most| *most >= amount).unwrap_or(amount);
            largest.insert(name, most);
        }
    }
    for (name, amount) in largest {
        let most = total.get(&name).copied().filter(|most| *most >= amount).unwrap_or(amount);
        total.insert(name, most);
    }
    total
}

/// `limits.cpu for: app; requests.cpu for: app,other`: what containers leave open although a quota limits it.
fn unnamed(spec: &PodSpec, hard: &Usage) -> Option<String> {
    let mut missing: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for container in spec.containers.iter().chain(spec.init_containers.iter().flatten()) {
        let resources = container.resources.as_ref();
        for name in NAMED_BY_CONTAINERS.into_iter().filter(|name| hard.contains_key(*name)) {
            let list = match name.strip_prefix("limits.") {
                Some(_) => resources.and_then(|resources| resources.limits.as_ref()),
                None => resources.and_then(|resources| resources.requests.as_ref()),
            };
            let plain = name.rsplit('.').next().unwrap_or(name);
            if list.is_none_or(|list| !list.contains_key(plain)) {
                missing.entry(name).or_default().push(&container.name);
            }
        }
    }
    let one = |(name, containers): (&str, Vec<&str>)| format!("{name} for: {}", containers.join(","));
    (!missing.is_empty()).then(|| missing.into_iter().map(one).collect::<Vec<_>>().join("; "))
}

/// Whether a quota is about an object: one with scopes is about some pods only.
fn in_scope(spec: &ResourceQuotaSpec, object: &Object) -> bool {
    let selected = spec.scope_selector.as_ref().and_then(|selector| selector.match_expressions.as_deref());
    let scopes = spec.scopes.as_deref().unwrap_or_default();
    let expressions = selected.unwrap_or_default();
    if scopes.is_empty() && expressions.is_empty() {
        return true;
    }
    let Object::Pod(pod) = object else { return false };
    scopes.iter().all(|scope| has_scope(pod, scope, "Exists", &[]))
        && expressions.iter().all(|expression| {
            let values = expression.values.as_deref().unwrap_or_default();
            has_scope(pod, &expression.scope_name, &expression.operator, values)
        })
}

fn has_scope(pod: &Pod, scope: &str, operator: &str, values: &[String]) -> bool {
    let spec = &pod.spec.api;
    let ends = spec.active_deadline_seconds.is_some();
    let best_effort = pod.spec.terms.qos == QosClass::BestEffort;
    match scope {
        "Terminating" => ends,
        "NotTerminating" => !ends,
        "BestEffort" => best_effort,
        "NotBestEffort" => !best_effort,
        "PriorityClass" => {
            let class = spec.priority_class_name.as_deref().unwrap_or_default();
            let listed = values.iter().any(|value| value == class);
            match operator {
                "In" => listed,
                "NotIn" => !listed,
                "DoesNotExist" => class.is_empty(),
                _ => !class.is_empty(),
            }
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objects::resource::Resource;
    use serde_json::json;

    fn spec(value: serde_json::Value) -> PodSpec {
        serde_json::from_value(value).expect("a spec")
    }

    #[test]
    fn init_containers_count_by_the_largest_and_sidecars_with_the_rest() {
        let request = |cpu: &str| json!({"requests": {"cpu": cpu}});
        let spec = spec(json!({
            "initContainers": [
                {"name": "side", "restartPolicy": "Always", "resources": request("100m")},
                {"name": "once", "resources": request("500m")}],
            "containers": [{"name": "app", "resources": request("200m")}]
        }));
        let mut usage = Usage::new();
        of_pod(&spec, &mut usage);
        assert_eq!(usage.get("requests.cpu").map(|cpu| cpu.canonical()).as_deref(), Some("600m"));
        assert_eq!(usage.get("cpu"), usage.get("requests.cpu"));
    }

    #[test]
    fn what_containers_leave_open_is_listed_by_resource() {
        let spec = spec(json!({"containers": [{"name": "a"}, {"name": "b", "resources": {"requests": {"cpu": "1"}}}]}));
        let one = Quantity::from_value(1, Format::DecimalSi);
        let hard = ["limits.cpu", "requests.cpu", "pods"].map(|name| (name.to_owned(), one)).into();
        assert_eq!(unnamed(&spec, &hard).as_deref(), Some("limits.cpu for: a,b; requests.cpu for: a"));
        assert_eq!(unnamed(&spec, &[("pods".to_owned(), one)].into()), None);
    }

    #[test]
    fn a_claim_counts_by_its_size_and_its_class() {
        let claim = json!({"metadata": {"name": "data"}, "spec": {"storageClassName": "fast",
            "resources": {"requests": {"storage": "5Gi"}}}});
        let claim = Resource::new(serde_json::from_value(claim).expect("a claim"), &|_| {});
        let usage = usage(&Object::PersistentVolumeClaim(claim), Instant::START);
        let shown = |name: &str| usage.get(name).map(|amount| amount.canonical());
        assert_eq!(shown("requests.storage").as_deref(), Some("5Gi"));
        assert_eq!(shown("fast.storageclass.storage.k8s.io/persistentvolumeclaims").as_deref(), Some("1"));
        assert_eq!(shown("count/persistentvolumeclaims").as_deref(), Some("1"));
    }
}
