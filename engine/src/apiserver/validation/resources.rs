//! Resource requests and limits: names, quantities, requests against limits.
//!
//! Models: kubernetes v1.36.2 pkg/apis/core/validation/validation.go (validateResourceRequirements,
//! validatePodResources), pkg/apis/core/helper/helpers.go.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::{Container, PodSpec, ResourceRequirements};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as ApiQuantity;

use super::field::{Errors, Path};
use super::names;
use crate::objects::quantity::Quantity;

/// Quantities by resource name.
type ResourceList = BTreeMap<String, ApiQuantity>;

const HUGE_PAGES: &str = "hugepages-";
/// Names without a domain that Kubernetes knows.
const STANDARD: [&str; 17] = [
    "cpu",
    "memory",
    "ephemeral-storage",
    "requests.cpu",
    "requests.memory",
    "requests.ephemeral-storage",
    "limits.cpu",
    "limits.memory",
    "limits.ephemeral-storage",
    "pods",
    "resourcequotas",
    "services",
    "replicationcontrollers",
    "secrets",
    "configmaps",
    "persistentvolumeclaims",
    "storage",
];
/// Standard names that count things.
const COUNTED: [&str; 9] = [
    "pods",
    "resourcequotas",
    "services",
    "replicationcontrollers",
    "secrets",
    "configmaps",
    "persistentvolumeclaims",
    "services.nodeports",
    "services.loadbalancers",
];

/// Requests and limits of a container.
pub(super) fn container(
    requirements: &ResourceRequirements,
    claims: &BTreeSet<&str>,
    path: &Path<'_>,
    errors: &mut Errors,
) {
    requests_and_limits(requirements, container_name, path, errors);
    claimed(requirements, claims, path, errors);
}

/// Requests and limits of the pod as a whole, and those of its containers against them.
pub(super) fn pod(spec: &PodSpec, path: &Path<'_>, errors: &mut Errors) {
    let Some(requirements) = &spec.resources else { return };
    if requirements.claims.is_some() {
        errors.forbidden(&path.child("claims"), "claims cannot be set for Resources at pod-level");
    }
    requests_and_limits(requirements, pod_name, path, errors);
    let requests = path.child("requests");
    for (name, sum) in aggregate_requests(spec) {
        let whole = quantity(requirements.requests.as_ref(), &name).unwrap_or(Quantity::ZERO);
        if is_pod_level(&name) && sum > whole {
            let detail =
                format!("must be greater than or equal to aggregate container requests of {}", sum.canonical());
            errors.invalid(&requests.key(&name), &whole.canonical(), detail);
        }
    }
    let containers = path.child("containers");
    for (index, container) in spec.containers.iter().enumerate() {
        let path = containers.index(index);
        for (name, limit) in list(container.resources.as_ref().and_then(|resources| resources.limits.as_ref())) {
            let Some(whole) = quantity(requirements.limits.as_ref(), name) else { continue };
            if limit > whole {
                let detail = format!("must be less than or equal to pod limits of {}", whole.canonical());
                errors.invalid(&path.key(name).child("limits"), &limit.canonical(), detail);
            }
        }
    }
}

/// The pod's overhead, checked like limits.
pub(super) fn overhead(overhead: &ResourceList, path: &Path<'_>, errors: &mut Errors) {
    let limits = ResourceRequirements { limits: Some(overhead.clone()), ..Default::default() };
    requests_and_limits(&limits, container_name, path, errors);
}

/// What the containers request together: regular ones and sidecars side by side, init containers one after the other.
pub(in crate::apiserver) fn aggregate_requests(spec: &PodSpec) -> BTreeMap<String, Quantity> {
    let mut total: BTreeMap<String, Quantity> = BTreeMap::new();
    let add = |total: &mut BTreeMap<String, Quantity>, container: &Container| {
        for (name, request) in list(container.resources.as_ref().and_then(|resources| resources.requests.as_ref())) {
            let sum = total.get(name).map_or(request, |sum| sum.saturating_add(request));
            total.insert(name.to_owned(), sum);
        }
    };
    for container in &spec.containers {
        add(&mut total, container);
    }
    let mut sidecars = BTreeMap::new();
    let mut largest: BTreeMap<String, Quantity> = BTreeMap::new();
    for container in spec.init_containers.iter().flatten() {
        let mut here = sidecars.clone();
        add(&mut here, container);
        if container.restart_policy.as_deref() == Some("Always") {
            add(&mut total, container);
            sidecars = here.clone();
        }
        for (name, request) in here {
            let most = largest.get(&name).map_or(request, |most| if *most < request { request } else { *most });
            largest.insert(name, most);
        }
    }
    for (name, request) in largest {
        if total.get(&name).is_none_or(|sum| *sum < request) {
            total.insert(name, request);
        }
    }
    total
}

/// Whether a pod as a whole can ask for the resource.
pub(in crate::apiserver) fn is_pod_level(name: &str) -> bool {
    matches!(name, "cpu" | "memory") || name.starts_with(HUGE_PAGES)
}

/// One quantity: not negative, whole where things are counted.
pub(super) fn value(name: &str, quantity: Quantity, path: &Path<'_>, errors: &mut Errors) {
    if quantity.is_negative() {
        errors.invalid(path, &quantity.canonical(), "must be greater than or equal to 0");
    }
    if (COUNTED.contains(&name) || is_extended(name)) && quantity.milli() % 1000 != 0 {
        errors.invalid(path, &quantity.canonical(), "must be an integer");
    }
}

fn requests_and_limits(
    requirements: &ResourceRequirements,
    check_name: fn(&str, &Path<'_>, &mut Errors),
    path: &Path<'_>,
    errors: &mut Errors,
) {
    let (mut compute, mut huge) = (false, false);
    let (limits, requests) = (path.child("limits"), path.child("requests"));
    let mut one = |name: &str, quantity: Quantity, path: &Path<'_>, errors: &mut Errors| {
        check_name(name, path, errors);
        value(name, quantity, path, errors);
        compute |= matches!(name, "cpu" | "memory");
    };
    for (name, limit) in list(requirements.limits.as_ref()) {
        let path = limits.key(name);
        one(name, limit, &path, errors);
        huge |= huge_page(name, limit, &path, errors);
    }
    for (name, request) in list(requirements.requests.as_ref()) {
        let path = requests.key(name);
        one(name, request, &path, errors);
        let fixed = !is_native(name) || name.starts_with(HUGE_PAGES);
        match quantity(requirements.limits.as_ref(), name) {
            Some(limit) if fixed && request != limit => {
                let detail = format!("must be equal to {name} limit of {}", limit.canonical());
                errors.invalid(&requests, &request.canonical(), detail);
            }
            Some(limit) if request > limit => {
                let detail = format!("must be less than or equal to {name} limit of {}", limit.canonical());
                errors.invalid(&requests, &request.canonical(), detail);
            }
            None if fixed => errors.required(&limits, "Limit must be set for non overcommitable resources"),
            _ => {}
        }
        huge |= huge_page(name, request, &path, errors);
    }
    if huge && !compute {
        errors.forbidden(path, "HugePages require cpu or memory");
    }
}

/// True if the resource is huge pages; they come in whole pages.
fn huge_page(name: &str, quantity: Quantity, path: &Path<'_>, errors: &mut Errors) -> bool {
    let Some(size) = name.strip_prefix(HUGE_PAGES) else { return false };
    let page = Quantity::parse(size).map_or(0, Quantity::value);
    if page <= 0 || quantity.value() % page != 0 {
        let text = quantity.canonical();
        errors.invalid(path, &text, format!("{text} is not positive integer multiple of {name}"));
    }
    true
}

fn claimed(requirements: &ResourceRequirements, claims: &BTreeSet<&str>, path: &Path<'_>, errors: &mut Errors) {
    let path = path.child("claims");
    let mut seen = BTreeSet::new();
    for (index, claim) in requirements.claims.iter().flatten().enumerate() {
        let path = path.index(index);
        if claim.name.is_empty() {
            errors.required(&path, "");
            continue;
        }
        let request = claim.request.as_deref().unwrap_or_default();
        if !request.is_empty() {
            errors.invalid_each(&path.child("request"), request, &names::dns_label(request));
        }
        if !seen.insert((claim.name.as_str(), request)) {
            errors.duplicate(&path, &claim.name);
        }
        if !claims.contains(claim.name.as_str()) {
            let known: Vec<&str> = claims.iter().copied().collect();
            let end = if known.is_empty() { " which is empty".to_owned() } else { format!(": {}", known.join(", ")) };
            errors.not_found(&path, &claim.name, &format!("must be one of the names in pod.spec.resourceClaims{end}"));
        }
    }
}

fn container_name(name: &str, path: &Path<'_>, errors: &mut Errors) {
    let broken = names::qualified_name(name);
    errors.invalid_each(path, name, &broken);
    let standard = STANDARD.contains(&name) || COUNTED.contains(&name) || name.starts_with(HUGE_PAGES);
    if broken.is_empty() && !name.contains('/') && !standard {
        errors.invalid(path, name, "must be a standard resource type or fully qualified");
    }
    if !name.contains('/') {
        let of_containers = matches!(name, "cpu" | "memory" | "ephemeral-storage") || name.starts_with(HUGE_PAGES);
        if !of_containers {
            errors.invalid(path, name, "must be a standard resource for containers");
        }
    } else if !is_native(name) && !is_extended(name) {
        errors.invalid(path, name, "doesn't follow extended resource name standard");
    }
}

fn pod_name(name: &str, path: &Path<'_>, errors: &mut Errors) {
    if !is_pod_level(name) {
        errors.not_supported(path, name, &["cpu", HUGE_PAGES, "memory"]);
    }
}

fn is_native(name: &str) -> bool {
    !name.contains('/') || name.contains("kubernetes.io/")
}

fn is_extended(name: &str) -> bool {
    !is_native(name) && !name.starts_with("requests.") && names::qualified_name(&format!("requests.{name}")).is_empty()
}

/// The entries of a list that are quantities; decoding has refused all others.
pub(super) fn list(list: Option<&ResourceList>) -> impl Iterator<Item = (&str, Quantity)> {
    let entries = list.into_iter().flatten();
    entries.filter_map(|(name, quantity)| Some((name.as_str(), Quantity::try_from(quantity).ok()?)))
}

fn quantity(list: Option<&ResourceList>, name: &str) -> Option<Quantity> {
    Quantity::try_from(list?.get(name)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(requirements: serde_json::Value) -> Vec<String> {
        let mut errors = Errors::default();
        let requirements = serde_json::from_value(requirements).expect("requirements");
        container(&requirements, &BTreeSet::new(), &Path::root("r"), &mut errors);
        errors.into_vec().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn extended_resources_need_a_limit_and_cannot_be_overcommitted() {
        let json = serde_json::json!({"requests": {"example.com/gpu": "1", "cpu": "1"}});
        assert_eq!(texts(json), ["r.limits: Required value: Limit must be set for non overcommitable resources"]);
        let json = serde_json::json!({"limits": {"example.com/gpu": "2"}, "requests": {"example.com/gpu": "1"}});
        assert_eq!(texts(json), ["r.requests: Invalid value: \"1\": must be equal to example.com/gpu limit of 2"]);
    }

    #[test]
    fn huge_pages_come_in_whole_pages_and_need_memory_or_cpu() {
        let json = serde_json::json!({"limits": {"hugepages-2Mi": "3Mi"}});
        assert_eq!(
            texts(json),
            [
                "r.limits[hugepages-2Mi]: Invalid value: \"3Mi\": 3Mi is not positive integer multiple of \
                 hugepages-2Mi",
                "r: Forbidden: HugePages require cpu or memory"
            ]
        );
    }

    #[test]
    fn init_containers_count_one_after_the_other() {
        let spec: PodSpec = serde_json::from_value(serde_json::json!({
            "containers": [{"name": "a", "resources": {"requests": {"cpu": "1"}}}],
            "initContainers": [
                {"name": "s", "restartPolicy": "Always", "resources": {"requests": {"cpu": "1"}}},
                {"name": "i", "resources": {"requests": {"cpu": "3", "memory": "1Gi"}}}
            ]
        }))
        .expect("a spec");
        let sum = aggregate_requests(&spec);
        assert_eq!(sum.get("cpu").map(|cpu| cpu.canonical()), Some("4".to_owned()));
        assert_eq!(sum.get("memory").map(|memory| memory.canonical()), Some("1Gi".to_owned()));
    }
}
