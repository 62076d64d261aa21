//! LimitRanger: requests and limits that pods get by default, and bounds for those they ask for.
//!
//! Models: kubernetes v1.36.2 plugin/pkg/admission/limitranger/admission.go. Left out: limits of images.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Container, LimitRange, LimitRangeItem, PersistentVolumeClaim, Pod, PodSpec};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as ApiQuantity;

use super::quota::{Usage, quantities};
use crate::objects::pod_terms::requests::is_sidecar;
use crate::objects::quantity::Quantity;

/// Where a pod says what it was given.
const ANNOTATION: &str = "kubernetes.io/limit-ranger";

/// Gives the containers of a pod the requests and limits that it leaves open.
pub fn set_defaults(pod: &mut Pod, range: &LimitRange) {
    let (mut limits, mut requests) = (BTreeMap::new(), BTreeMap::new());
    for item in items(range, "Container") {
        limits.extend(item.default.clone().unwrap_or_default());
        requests.extend(item.default_request.clone().unwrap_or_default());
    }
    let spec = pod.spec.get_or_insert_default();
    let mut told = Vec::new();
    for container in &mut spec.containers {
        fill(container, (&requests, &limits), "container", &mut told);
    }
    for container in spec.init_containers.iter_mut().flatten() {
        fill(container, (&requests, &limits), "init container", &mut told);
    }
    if !told.is_empty() {
        let told = format!("LimitRanger plugin set: {}", told.join("; "));
        pod.metadata.annotations.get_or_insert_default().insert(ANNOTATION.to_owned(), told);
    }
}

type List = BTreeMap<String, ApiQuantity>;

fn fill(container: &mut Container, (requests, limits): (&List, &List), what: &str, told: &mut Vec<String>) {
    let resources = container.resources.get_or_insert_default();
    for (list, defaults, kind) in
        [(&mut resources.requests, requests, "request"), (&mut resources.limits, limits, "limit")]
    {
        let mut set: Vec<&str> = Vec::new();
        for (name, amount) in defaults {
            let list = list.get_or_insert_default();
            if !list.contains_key(name) {
                list.insert(name.clone(), amount.clone());
                set.push(name);
            }
        }
        if !set.is_empty() {
            told.push(format!("{} {kind} for {what} {}", set.join(", "), container.name));
        }
        if list.as_ref().is_some_and(BTreeMap::is_empty) {
            *list = None;
        }
    }
}

/// Which bounds a pod breaks.
pub fn check_pod(spec: &PodSpec, range: &LimitRange) -> Vec<String> {
    let mut broken = Vec::new();
    let init = spec.init_containers.as_deref().unwrap_or_default();
    for item in range.spec.iter().flat_map(|spec| &spec.limits) {
        match item.type_.as_str() {
            "Container" => {
                for container in spec.containers.iter().chain(init) {
                    let (requests, limits) = (requests(container), limits(container));
                    bounds(item, &requests, &limits, &mut broken);
                }
            }
            "Pod" => bounds(item, &total(spec, &requests), &total(spec, &limits), &mut broken),
            _ => {}
        }
    }
    broken
}

/// Which bounds a claim breaks.
pub fn check_claim(claim: &PersistentVolumeClaim, range: &LimitRange) -> Vec<String> {
    let requests = claim.spec.as_ref().and_then(|spec| spec.resources.as_ref()).and_then(|all| all.requests.as_ref());
    let requests = quantities(requests);
    let mut broken = Vec::new();
    for item in items(range, "PersistentVolumeClaim") {
        for (name, least) in quantities(item.min.as_ref()) {
            at_least(item, &name, least, (requests.get(&name), None), &mut broken);
        }
        for (name, most) in quantities(item.max.as_ref()) {
            let rule = format!("maximum {name} usage per {} is {}", item.type_, most.canonical());
            match requests.get(&name) {
                None => broken.push(format!("{rule}.  No request is specified")),
                Some(request) if *request > most => {
                    broken.push(format!("{rule}, but request is {}", request.canonical()));
                }
                Some(_) => {}
            }
        }
    }
    broken
}

/// Several reasons as one text.
pub fn together(broken: &[String]) -> String {
    match broken {
        [only] => only.clone(),
        several => format!("[{}]", several.join(", ")),
    }
}

fn items<'a>(range: &'a LimitRange, of: &'a str) -> impl Iterator<Item = &'a LimitRangeItem> {
    range.spec.iter().flat_map(|spec| &spec.limits).filter(move |item| item.type_ == of)
}

fn requests(container: &Container) -> Usage {
    quantities(container.resources.as_ref().and_then(|resources| resources.requests.as_ref()))
}

fn limits(container: &Container) -> Usage {
    quantities(container.resources.as_ref().and_then(|resources| resources.limits.as_ref()))
}

fn total(spec: &PodSpec, of: &dyn Fn(&Container) -> Usage) -> Usage {
    let mut total = Usage::new();
    let init = spec.init_containers.as_deref().unwrap_or_default();
    for container in spec.containers.iter().chain(init.iter().filter(|container| is_sidecar(container))) {
        for (name, amount) in of(container) {
            let sum = total.get(&name).map_or(amount, |sum| sum.saturating_add(amount));
            total.insert(name, sum);
        }
    }
    for container in init {
        for (name, amount) in of(container) {
            let most = total.get(&name).copied().filter(|sum| *sum >= amount).unwrap_or(amount);
            total.insert(name, most);
        }
    }
    total
}

fn bounds(item: &LimitRangeItem, requests: &Usage, limits: &Usage, broken: &mut Vec<String>) {
    let of = &item.type_;
    for (name, least) in quantities(item.min.as_ref()) {
        at_least(item, &name, least, (requests.get(&name), limits.get(&name)), broken);
    }
    for (name, most) in quantities(item.max.as_ref()) {
        let rule = format!("maximum {name} usage per {of} is {}", most.canonical());
        match (limits.get(&name), requests.get(&name)) {
            (None, _) => broken.push(format!("{rule}.  No limit is specified")),
            (Some(limit), _) if *limit > most => broken.push(format!("{rule}, but limit is {}", limit.canonical())),
            (_, Some(request)) if *request > most => {
                broken.push(format!("{rule}, but request is {}", request.canonical()));
            }
            _ => {}
        }
    }
    for (name, most) in quantities(item.max_limit_request_ratio.as_ref()) {
        let rule = format!("{name} max limit to request ratio per {of} is {}", most.canonical());
        let positive = |list: &Usage| list.get(&name).map(|amount| amount.milli()).filter(|amount| *amount > 0);
        match (positive(requests), positive(limits)) {
            (None, _) => broken.push(format!("{rule}, but no request is specified or request is 0")),
            (_, None) => broken.push(format!("{rule}, but no limit is specified or limit is 0")),
            (Some(request), Some(limit)) => {
                let ratio = limit as f64 / request as f64;
                if ratio * 1000.0 > most.milli() as f64 {
                    broken.push(format!("{rule}, but provided ratio is {ratio:.6}"));
                }
            }
        }
    }
}

fn at_least(
    item: &LimitRangeItem,
    name: &str,
    least: Quantity,
    (request, limit): (Option<&Quantity>, Option<&Quantity>),
    broken: &mut Vec<String>,
) {
    let rule = format!("minimum {name} usage per {} is {}", item.type_, least.canonical());
    match (request, limit) {
        (None, _) => broken.push(format!("{rule}.  No request is specified")),
        (Some(request), _) if *request < least => {
            broken.push(format!("{rule}, but request is {}", request.canonical()));
        }
        (_, Some(limit)) if *limit < least => broken.push(format!("{rule}, but limit is {}", limit.canonical())),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn range(item: serde_json::Value) -> LimitRange {
        serde_json::from_value(json!({"spec": {"limits": [item]}})).expect("a range")
    }

    #[test]
    fn what_a_container_leaves_open_is_filled_in_and_told() {
        let range = range(json!({"type": "Container", "default": {"cpu": "1", "memory": "1Gi"},
            "defaultRequest": {"cpu": "100m"}}));
        let value = json!({"spec": {"containers": [{"name": "app", "resources": {"limits": {"memory": "2Gi"}}}]}});
        let mut pod: Pod = serde_json::from_value(value).expect("a pod");
        set_defaults(&mut pod, &range);
        let told = pod.metadata.annotations.and_then(|mut annotations| annotations.remove(ANNOTATION));
        let expected = "LimitRanger plugin set: cpu request for container app; cpu limit for container app";
        assert_eq!(told.as_deref(), Some(expected));
        let resources = pod.spec.and_then(|spec| spec.containers.into_iter().next()?.resources).expect("resources");
        let shown = serde_json::to_value(resources).expect("JSON");
        assert_eq!(shown, json!({"limits": {"cpu": "1", "memory": "2Gi"}, "requests": {"cpu": "100m"}}));
    }

    #[test]
    fn bounds_are_told_resource_by_resource() {
        let range = range(json!({"type": "Container", "max": {"cpu": "1"}, "min": {"cpu": "50m", "memory": "32Mi"}}));
        let value = json!({"containers": [{"name": "a", "resources": {
            "requests": {"cpu": "10m", "memory": "16Mi"}, "limits": {"cpu": "2", "memory": "64Mi"}}}]});
        let broken = check_pod(&serde_json::from_value(value).expect("a spec"), &range);
        assert_eq!(
            together(&broken),
            "[minimum cpu usage per Container is 50m, but request is 10m, minimum memory usage per Container is 32Mi, \
             but request is 16Mi, maximum cpu usage per Container is 1, but limit is 2]"
        );
    }
}
