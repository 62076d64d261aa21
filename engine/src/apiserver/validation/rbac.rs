//! Roles and their bindings.
//!
//! Models: kubernetes v1.36.2 pkg/apis/rbac/validation/validation.go.

use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, PolicyRule, Role, RoleBinding, RoleRef, Subject};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::field::{Errors, Path};
use super::print::{Json, json};
use super::{labels, metadata, names};

const GROUP: &str = "rbac.authorization.k8s.io";

/// A Role to be created.
pub(super) fn role(role: &Role, errors: &mut Errors) {
    metadata::create(&role.metadata, true, names::path_segment, errors);
    rules(role.rules.as_deref(), true, errors);
}

/// A change of a Role.
pub(super) fn role_update(new: &Role, old: &Role, errors: &mut Errors) {
    role(new, errors);
    metadata::update(&new.metadata, &old.metadata, errors);
}

/// A ClusterRole to be created.
pub(super) fn cluster_role(role: &ClusterRole, errors: &mut Errors) {
    metadata::create(&role.metadata, false, names::path_segment, errors);
    rules(role.rules.as_deref(), false, errors);
    if let Some(aggregation) = &role.aggregation_rule {
        let path = Path::root("aggregationRule");
        let path = path.child("clusterRoleSelectors");
        let selectors = aggregation.cluster_role_selectors.as_deref().unwrap_or_default();
        if selectors.is_empty() {
            let detail = "at least one clusterRoleSelector required if aggregationRule is non-nil";
            errors.required(&path, detail);
        }
        for (index, selector) in selectors.iter().enumerate() {
            labels::selector(Some(selector), &path.index(index), errors);
        }
    }
}

/// A change of a ClusterRole.
pub(super) fn cluster_role_update(new: &ClusterRole, old: &ClusterRole, errors: &mut Errors) {
    cluster_role(new, errors);
    metadata::update(&new.metadata, &old.metadata, errors);
}

fn rules(rules: Option<&[PolicyRule]>, namespaced: bool, errors: &mut Errors) {
    let root = Path::root("rules");
    for (index, rule) in rules.unwrap_or_default().iter().enumerate() {
        self::rule(rule, namespaced, &root.index(index), errors);
    }
}

fn rule(rule: &PolicyRule, namespaced: bool, path: &Path<'_>, errors: &mut Errors) {
    let empty = |list: &Option<Vec<String>>| list.as_ref().is_none_or(Vec::is_empty);
    if rule.verbs.is_empty() {
        errors.required(&path.child("verbs"), "verbs must contain at least one value");
    }
    if !empty(&rule.non_resource_urls) {
        let path = path.child("nonResourceURLs");
        let urls = json(&rule.non_resource_urls);
        if namespaced {
            errors.invalid(&path, urls, "namespaced rules cannot apply to non-resource URLs");
        }
        if !(empty(&rule.api_groups) && empty(&rule.resources) && empty(&rule.resource_names)) {
            let detail = "rules cannot apply to both regular resources and non-resource URLs";
            errors.invalid(&path, json(&rule.non_resource_urls), detail);
        }
        return;
    }
    if empty(&rule.api_groups) {
        errors.required(&path.child("apiGroups"), "resource rules must supply at least one api group");
    }
    if empty(&rule.resources) {
        errors.required(&path.child("resources"), "resource rules must supply at least one resource");
    }
}

/// A RoleBinding to be created.
pub(super) fn role_binding(binding: &RoleBinding, errors: &mut Errors) {
    bound(&binding.metadata, &binding.role_ref, binding.subjects.as_deref(), true, errors);
}

/// A change of a RoleBinding.
pub(super) fn role_binding_update(new: &RoleBinding, old: &RoleBinding, errors: &mut Errors) {
    role_binding(new, errors);
    metadata::update(&new.metadata, &old.metadata, errors);
    same_role(&new.role_ref, &old.role_ref, errors);
}

/// A ClusterRoleBinding to be created.
pub(super) fn cluster_role_binding(binding: &ClusterRoleBinding, errors: &mut Errors) {
    bound(&binding.metadata, &binding.role_ref, binding.subjects.as_deref(), false, errors);
}

/// A change of a ClusterRoleBinding.
pub(super) fn cluster_role_binding_update(new: &ClusterRoleBinding, old: &ClusterRoleBinding, errors: &mut Errors) {
    cluster_role_binding(new, errors);
    metadata::update(&new.metadata, &old.metadata, errors);
    same_role(&new.role_ref, &old.role_ref, errors);
}

fn same_role(new: &RoleRef, old: &RoleRef, errors: &mut Errors) {
    if new != old {
        let value = format!(
            "{{\"APIGroup\":{},\"Kind\":{},\"Name\":{}}}",
            json(new.api_group.as_deref().unwrap_or_default()).0,
            json(&new.kind).0,
            json(&new.name).0
        );
        errors.invalid(&Path::root("roleRef"), Json(value), "cannot change roleRef");
    }
}

fn bound(meta: &ObjectMeta, role: &RoleRef, subjects: Option<&[Subject]>, namespaced: bool, errors: &mut Errors) {
    metadata::create(meta, namespaced, names::path_segment, errors);
    let path = Path::root("roleRef");
    let group = role.api_group.as_deref().unwrap_or_default();
    if group != GROUP {
        errors.not_supported(&path.child("apiGroup"), group, &[GROUP]);
    }
    let kinds: &[&str] = if namespaced { &["Role", "ClusterRole"] } else { &["ClusterRole"] };
    if !kinds.contains(&role.kind.as_str()) {
        errors.not_supported(&path.child("kind"), &role.kind, kinds);
    }
    match role.name.as_str() {
        "" => errors.required(&path.child("name"), ""),
        name => errors.invalid_each(&path.child("name"), name, &names::path_segment(name, false)),
    }
    let root = Path::root("subjects");
    for (index, subject) in subjects.unwrap_or_default().iter().enumerate() {
        self::subject(subject, namespaced, &root.index(index), errors);
    }
}

fn subject(subject: &Subject, namespaced: bool, path: &Path<'_>, errors: &mut Errors) {
    let name = path.child("name");
    if subject.name.is_empty() {
        errors.required(&name, "");
    }
    let group = subject.api_group.as_deref().unwrap_or_default();
    let wanted = match subject.kind.as_str() {
        "ServiceAccount" => {
            if !subject.name.is_empty() {
                errors.invalid_each(&name, &subject.name, &names::object_name(&subject.name, false));
            }
            ""
        }
        "User" | "Group" => GROUP,
        other => return errors.not_supported(&path.child("kind"), other, &["ServiceAccount", "User", "Group"]),
    };
    if group != wanted {
        errors.not_supported(&path.child("apiGroup"), group, &[wanted]);
    }
    let nowhere = subject.namespace.as_ref().is_none_or(String::is_empty);
    if subject.kind == "ServiceAccount" && !namespaced && nowhere {
        errors.required(&path.child("namespace"), "");
    }
}
