//! Defaults of what limits and allows: quotas, limit ranges, priority classes, roles; and of Secrets.
//!
//! Models: kubernetes v1.36.2 pkg/apis/{core,rbac,scheduling}/v1/defaults.go, pkg/apis/core/v1/conversion.go (stringData).

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{LimitRange, LimitRangeItem, ResourceQuota, Secret};
use k8s_openapi::api::rbac::v1::{ClusterRoleBinding, RoleBinding, RoleRef, Subject};
use k8s_openapi::api::scheduling::v1::PriorityClass;

use super::pod_spec::{self, text};

const RBAC: &str = "rbac.authorization.k8s.io";

/// A ResourceQuota's defaults.
pub(super) fn quota(quota: &mut ResourceQuota) {
    pod_spec::rounded(quota.spec.get_or_insert_default().hard.as_mut());
    let status = quota.status.get_or_insert_default();
    pod_spec::rounded(status.hard.as_mut());
    pod_spec::rounded(status.used.as_mut());
}

/// A LimitRange's defaults: of containers, what is not said follows from what is.
pub(super) fn limit_range(range: &mut LimitRange) {
    for item in &mut range.spec.get_or_insert_default().limits {
        let lists = [
            &mut item.max,
            &mut item.min,
            &mut item.default,
            &mut item.default_request,
            &mut item.max_limit_request_ratio,
        ];
        for list in lists {
            pod_spec::rounded(list.as_mut());
        }
        if item.type_ == "Container" {
            container(item);
        }
    }
}

fn container(item: &mut LimitRangeItem) {
    let mut limits = item.default.take().unwrap_or_default();
    for (name, most) in item.max.iter().flatten() {
        limits.entry(name.clone()).or_insert_with(|| most.clone());
    }
    let mut requests = item.default_request.take().unwrap_or_default();
    for (name, quantity) in limits.iter().chain(item.min.iter().flatten()) {
        requests.entry(name.clone()).or_insert_with(|| quantity.clone());
    }
    item.default = Some(limits).filter(|limits| !limits.is_empty());
    item.default_request = Some(requests).filter(|requests| !requests.is_empty());
}

/// A PriorityClass's defaults.
pub(super) fn priority_class(class: &mut PriorityClass) {
    class.preemption_policy.get_or_insert_with(|| "PreemptLowerPriority".to_owned());
    // A number that Go always writes.
    class.value.get_or_insert(0);
}

/// A Secret's defaults. Its texts become data.
pub(super) fn secret(secret: &mut Secret) {
    text(&mut secret.type_, "Opaque");
    if let Some(texts) = secret.string_data.take() {
        let texts = texts.into_iter().map(|(key, text)| (key, ByteString(text.into_bytes())));
        secret.data.get_or_insert_default().extend(texts);
    }
}

/// A RoleBinding's defaults.
pub(super) fn role_binding(binding: &mut RoleBinding) {
    bound(&mut binding.role_ref, binding.subjects.as_mut());
}

/// A ClusterRoleBinding's defaults.
pub(super) fn cluster_role_binding(binding: &mut ClusterRoleBinding) {
    bound(&mut binding.role_ref, binding.subjects.as_mut());
}

fn bound(role: &mut RoleRef, subjects: Option<&mut Vec<Subject>>) {
    text(&mut role.api_group, RBAC);
    for subject in subjects.into_iter().flatten() {
        if matches!(subject.kind.as_str(), "User" | "Group") {
            text(&mut subject.api_group, RBAC);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_limit_range_leaves_open_follows_from_its_bounds() {
        let value = serde_json::json!({"spec": {"limits": [
            {"type": "Container", "max": {"cpu": "2"}, "min": {"cpu": "100m", "memory": "1Mi"}},
            {"type": "Pod", "max": {"cpu": "4"}}
        ]}});
        let mut range: LimitRange = serde_json::from_value(value).expect("a limit range");
        limit_range(&mut range);
        let items = range.spec.expect("a spec").limits;
        let shown = |list: &Option<std::collections::BTreeMap<_, _>>| serde_json::to_value(list).unwrap_or_default();
        assert_eq!(shown(&items[0].default), serde_json::json!({"cpu": "2"}));
        assert_eq!(shown(&items[0].default_request), serde_json::json!({"cpu": "2", "memory": "1Mi"}));
        assert_eq!(items[1].default, None);
    }
}
