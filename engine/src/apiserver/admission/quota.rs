//! ResourceQuota: what a namespace may use.
//!
//! A creation that would take a namespace above a quota is refused; one that fits is charged: see `apiserver/quotas.rs`. The limits that
//! hold are those that the controller has taken notice of.
//!
//! Models: kubernetes v1.36.2 staging/src/k8s.io/apiserver/pkg/admission/plugin/resourcequota/controller.go,
//! pkg/quota/v1/evaluator/core/{pods,services,persistent_volume_claims}.go, pkg/quota/v1/resources.go. Left out: pods'
//! CrossNamespacePodAffinity, scopes of claims, limited resources.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{self as core, Container, PodSpec, ResourceQuota, ResourceQuotaSpec};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as ApiQuantity;

use crate::apiserver::status::Status;
use crate::kernel::Instant;
use crate::objects::pod_terms::QosClass;
use crate::objects::pod_terms::requests::is_sidecar;
use crate::objects::quantity::{Format, Quantity};
use crate::objects::{Kind, Object, Pod};

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

/// Raises the quotas that an object counts in by what it uses, or refuses it and leaves all as they are. `old` is the object before an
/// update: only what it uses more counts.
pub fn charge(quotas: &mut [Arc<Object>], object: &Object, old: Option<&Object>, now: Instant) -> Result<(), Status> {
    let meta = object.meta();
    let shown = if meta.name.is_empty() { meta.generate_name.as_deref().unwrap_or("") } else { &meta.name };
    let refused = |why: &str| Err(Status::forbidden(object.kind(), shown, why));
    let mut wanted = usage(object, now);
    if let Some(old) = old {
        let before = usage(old, now);
        for (name, amount) in &mut wanted {
            *amount = before.get(name).map_or(*amount, |before| amount.saturating_sub(*before));
        }
    }
    let in_scope: Vec<usize> = quotas
        .iter()
        .enumerate()
        .filter(|(_, quota)| {
            let nothing = ResourceQuotaSpec::default();
            let quota = quota.as_resource::<ResourceQuota>();
            quota.is_some_and(|quota| self::in_scope(quota.api.spec.as_ref().unwrap_or(&nothing), object))
        })
        .map(|(place, _)| place)
        .collect();
    let parts = |place: usize| {
        let quota = quotas.get(place)?.as_resource::<ResourceQuota>()?;
        let status = quota.api.status.clone().unwrap_or_default();
        Some((quota, quantities(status.hard.as_ref()), quantities(status.used.as_ref())))
    };
    for (quota, hard, used) in in_scope.iter().filter_map(|place| parts(*place)) {
        let name = &quota.meta.name;
        if let (Object::Pod(pod), None) = (object, old)
            && let Some(missing) = unnamed(&pod.spec.api, &hard)
        {
            return refused(&format!("failed quota: {name}: must specify {missing}"));
        }
        let uncounted = |name: &&String| wanted.contains_key(*name) && !used.contains_key(*name);
        let uncounted: Vec<&str> = hard.keys().filter(uncounted).map(String::as_str).collect();
        if !uncounted.is_empty() {
            return refused(&format!("status unknown for quota: {name}, resources: {}", uncounted.join(",")));
        }
    }
    let mut charged = Vec::new();
    for place in in_scope {
        let Some((quota, hard, mut used)) = parts(place) else { continue };
        let counts = |(name, amount): &(&String, &Quantity)| hard.contains_key(*name) && **amount > Quantity::ZERO;
        let asked: Usage = wanted.iter().filter(counts).map(|(name, n)| (name.clone(), *n)).collect();
        if asked.is_empty() {
            continue;
        }
        let after = |name: &str, n: Quantity| used.get(name).map_or(n, |used| used.saturating_add(n));
        let exceeded: Vec<&String> = asked
            .iter()
            .filter(|(name, n)| hard.get(*name).is_some_and(|hard| after(name, **n) > *hard))
            .map(|(name, _)| name)
            .collect();
        if !exceeded.is_empty() {
            let name = &quota.meta.name;
            let (asked, used, hard) = (list(&asked, &exceeded), list(&used, &exceeded), list(&hard, &exceeded));
            return refused(&format!("exceeded quota: {name}, requested: {asked}, used: {used}, limited: {hard}"));
        }
        for (name, amount) in asked {
            if let Some(sum) = used.get_mut(&name) {
                *sum = sum_of(*sum, amount);
            }
        }
        let next = quota.with_status(|api| api.status.get_or_insert_default().used = Some(to_api(&used)));
        charged.push((place, Arc::new(Object::ResourceQuota(next))));
    }
    for (place, next) in charged {
        if let Some(quota) = quotas.get_mut(place) {
            *quota = next;
        }
    }
    Ok(())
}

/// The first quantity gives the form: 256Mi stay 256Mi.
fn sum_of(sum: Quantity, more: Quantity) -> Quantity {
    if sum == Quantity::ZERO { more } else { sum.saturating_add(more) }
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
                *sum = sum_of(*sum, amount);
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
