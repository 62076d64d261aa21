//! ResourceQuotas and LimitRanges.
//!
//! Models: kubernetes v1.36.2 pkg/apis/core/validation/validation.go (ValidateResourceQuota, ValidateLimitRange),
//! pkg/apis/core/helper/helpers.go. Left out: the inside of scope selectors.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::{LimitRange, LimitRangeItem, ResourceQuota, ResourceQuotaSpec};

use super::field::{Errors, Path};
use super::print::json;
use super::{metadata, names, resources};
use crate::objects::quantity::Quantity;

const SPEC: Path<'static> = Path::root("spec");
const SCOPES: [&str; 7] = [
    "BestEffort",
    "CrossNamespacePodAffinity",
    "NotBestEffort",
    "NotTerminating",
    "PriorityClass",
    "Terminating",
    "VolumeAttributesClass",
];
/// Names without a domain that a quota can limit.
const QUOTA_RESOURCES: [&str; 19] = [
    "cpu",
    "memory",
    "ephemeral-storage",
    "requests.cpu",
    "requests.memory",
    "requests.storage",
    "requests.ephemeral-storage",
    "limits.cpu",
    "limits.memory",
    "limits.ephemeral-storage",
    "pods",
    "resourcequotas",
    "services",
    "replicationcontrollers",
    "secrets",
    "persistentvolumeclaims",
    "configmaps",
    "services.nodeports",
    "services.loadbalancers",
];

/// A ResourceQuota to be created.
pub(super) fn quota(quota: &ResourceQuota, errors: &mut Errors) {
    metadata::create(&quota.metadata, true, names::object_name, errors);
    let nothing = ResourceQuotaSpec::default();
    quota_spec(quota.spec.as_ref().unwrap_or(&nothing), errors);
}

/// A change of a ResourceQuota.
pub(super) fn quota_update(new: &ResourceQuota, old: &ResourceQuota, errors: &mut Errors) {
    metadata::update(&new.metadata, &old.metadata, errors);
    let nothing = ResourceQuotaSpec::default();
    let (spec, old) = (new.spec.as_ref().unwrap_or(&nothing), old.spec.as_ref().unwrap_or(&nothing));
    quota_spec(spec, errors);
    let scopes = |spec: &ResourceQuotaSpec| spec.scopes.iter().flatten().cloned().collect::<BTreeSet<String>>();
    if scopes(spec) != scopes(old) {
        errors.invalid(&SPEC.child("scopes"), json(&spec.scopes), "field is immutable");
    }
}

fn quota_spec(spec: &ResourceQuotaSpec, errors: &mut Errors) {
    let path = SPEC.child("hard");
    for (name, quantity) in resources::list(spec.hard.as_ref()) {
        let path = path.key(name);
        quota_resource(name, &path, errors);
        resources::value(name, quantity, &path, errors);
    }
    scopes(spec, errors);
}

/// A resource that a quota can limit.
fn quota_resource(name: &str, path: &Path<'_>, errors: &mut Errors) {
    resource_name(name, path, errors);
    let standard = QUOTA_RESOURCES.contains(&name)
        || ["hugepages-", "requests.hugepages-"].iter().any(|prefix| name.starts_with(prefix));
    if !name.contains('/') && !standard {
        errors.invalid(path, name, "must be a standard resource for quota");
    }
}

fn resource_name(name: &str, path: &Path<'_>, errors: &mut Errors) {
    let broken = names::qualified_name(name);
    errors.invalid_each(path, name, &broken);
    let standard = QUOTA_RESOURCES.contains(&name) || name == "storage" || name.contains("hugepages-");
    if broken.is_empty() && !name.contains('/') && !standard {
        errors.invalid(path, name, "must be a standard resource type or fully qualified");
    }
}

fn scopes(spec: &ResourceQuotaSpec, errors: &mut Errors) {
    let scopes = spec.scopes.as_deref().unwrap_or_default();
    let path = SPEC.child("scopes");
    for scope in scopes {
        if !SCOPES.contains(&scope.as_str()) {
            errors.invalid(&path, json(scopes), "unsupported scope");
        }
        for (name, _) in resources::list(spec.hard.as_ref()) {
            if QUOTA_RESOURCES.contains(&name) && !applies(scope, name) {
                errors.invalid(&path, json(scopes), "unsupported scope applied to resource");
            }
        }
    }
    let has = |scope: &str| scopes.iter().any(|other| other == scope);
    for (one, other) in [("BestEffort", "NotBestEffort"), ("Terminating", "NotTerminating")] {
        if has(one) && has(other) {
            errors.invalid(&path, json(scopes), "conflicting scopes");
        }
    }
}

/// Whether a scope says anything about a standard resource.
fn applies(scope: &str, name: &str) -> bool {
    match scope {
        "BestEffort" => name == "pods",
        "Terminating" | "NotTerminating" | "NotBestEffort" | "PriorityClass" | "CrossNamespacePodAffinity" => {
            name == "pods" || name.ends_with("cpu") || name.ends_with("memory") || name.ends_with("ephemeral-storage")
        }
        _ => true,
    }
}

/// A new or changed LimitRange.
pub(super) fn limit_range(range: &LimitRange, errors: &mut Errors) {
    metadata::create(&range.metadata, true, names::object_name, errors);
    let root = SPEC.child("limits");
    let mut seen = BTreeSet::new();
    for (index, item) in range.spec.iter().flat_map(|spec| &spec.limits).enumerate() {
        let path = root.index(index);
        let kind = path.child("type");
        let broken = names::qualified_name(&item.type_);
        errors.invalid_each(&kind, &item.type_, &broken);
        let standard = matches!(item.type_.as_str(), "Pod" | "Container" | "PersistentVolumeClaim");
        if broken.is_empty() && !item.type_.contains('/') && !standard {
            errors.invalid(&kind, &item.type_, "must be a standard limit type or fully qualified");
        }
        if !seen.insert(&item.type_) {
            errors.duplicate(&kind, &item.type_);
        }
        limits(item, &path, errors);
    }
}

type List = Option<BTreeMap<String, k8s_openapi::apimachinery::pkg::api::resource::Quantity>>;

fn limits(item: &LimitRangeItem, path: &Path<'_>, errors: &mut Errors) {
    let lists: [(&str, &List); 5] = [
        ("max", &item.max),
        ("min", &item.min),
        ("default", &item.default),
        ("defaultRequest", &item.default_request),
        ("maxLimitRequestRatio", &item.max_limit_request_ratio),
    ];
    let mut keys = BTreeSet::new();
    for (field, list) in lists {
        let for_containers = matches!(field, "default" | "defaultRequest");
        let path = path.child(field);
        if for_containers && item.type_ == "Pod" {
            if list.as_ref().is_some_and(|list| !list.is_empty()) {
                errors.forbidden(&path, "may not be specified when `type` is 'Pod'");
            }
            continue;
        }
        for (name, _) in resources::list(list.as_ref()) {
            resource_name(name, &path.key(name), errors);
            keys.insert(name);
        }
    }
    let storage = |list: &List| list.as_ref().is_some_and(|list| list.contains_key("storage"));
    if item.type_ == "PersistentVolumeClaim" && !storage(&item.min) && !storage(&item.max) {
        let detail = "either minimum or maximum storage value is required, but neither was provided";
        errors.required(&path.child("limits"), detail);
    }
    for key in keys {
        compare(item, key, path, errors);
    }
}

/// The bounds of one resource against each other.
fn compare(item: &LimitRangeItem, key: &str, path: &Path<'_>, errors: &mut Errors) {
    let of = |list: &List| list.as_ref().and_then(|list| Quantity::try_from(list.get(key)?).ok());
    let (min, max) = (of(&item.min), of(&item.max));
    let (limit, request) = (of(&item.default), of(&item.default_request));
    let mut above = |field: &str, value: Quantity, (low, what_low): (Quantity, &str), (high, what_high)| {
        if low > high {
            let detail = format!("{what_low} {} is greater than {what_high} {}", low.canonical(), high.canonical());
            let path = path.child(field);
            errors.invalid(&path.key(key), &value.canonical(), detail);
        }
    };
    if let (Some(min), Some(max)) = (min, max) {
        above("min", min, (min, "min value"), (max, "max value"));
    }
    if let (Some(request), Some(min)) = (request, min) {
        above("defaultRequest", request, (min, "min value"), (request, "default request value"));
    }
    if let (Some(request), Some(max)) = (request, max) {
        above("defaultRequest", request, (request, "default request value"), (max, "max value"));
    }
    if let (Some(request), Some(limit)) = (request, limit) {
        above("defaultRequest", request, (request, "default request value"), (limit, "default limit value"));
    }
    if let (Some(limit), Some(min)) = (limit, min) {
        above("default", min, (min, "min value"), (limit, "default value"));
    }
    if let (Some(limit), Some(max)) = (limit, max) {
        above("default", max, (limit, "default value"), (max, "max value"));
    }
    if let Some(ratio) = of(&item.max_limit_request_ratio) {
        let path = path.child("maxLimitRequestRatio");
        let path = path.key(key);
        if ratio.milli() < 1000 {
            errors.invalid(&path, &ratio.canonical(), format!("ratio {} is less than 1", ratio.canonical()));
        }
        if let (Some(min), Some(max)) = (min, max) {
            let most = max.milli() as f64 / min.milli() as f64;
            if min.milli() > 0 && ratio.milli() as f64 / 1000.0 > most {
                let detail = format!("ratio {} is greater than max/min = {most:.6}", ratio.canonical());
                errors.invalid(&path, &ratio.canonical(), detail);
            }
        }
    }
}
