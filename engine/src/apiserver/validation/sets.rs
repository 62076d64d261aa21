//! StatefulSets, DaemonSets and ReplicationControllers.
//!
//! Models: kubernetes v1.36.2 pkg/apis/apps/validation/validation.go, pkg/apis/core/validation/validation.go,
//! pkg/registry/apps/daemonset/strategy.go. As upstream, the pod spec of a StatefulSet is hardly looked at.

use k8s_openapi::api::apps::v1::{
    DaemonSet, DaemonSetSpec, DaemonSetUpdateStrategy, RollingUpdateDaemonSet, StatefulSet, StatefulSetSpec,
};
use k8s_openapi::api::core::v1::{PodSpec, PodTemplateSpec, ReplicationController, ReplicationControllerSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::field::{Errors, Path};
use super::print::{self, json};
use super::workloads::{amount, int_or_percent, not_more_than_all};
use super::{labels, metadata, names, pod};
use crate::objects::decode::selector_is_missing;

const SPEC: Path<'static> = Path::root("spec");
const MISMATCH: &str = "`selector` does not match template `labels`";
const ONLY_THESE_CHANGE: &str = "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', \
     'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden";

/// A StatefulSet to be created.
pub(super) fn stateful_set(set: &StatefulSet, errors: &mut Errors) {
    metadata::create(&set.metadata, true, names::namespace_name, errors);
    let nothing = StatefulSetSpec::default();
    stateful_set_spec(set.spec.as_ref().unwrap_or(&nothing), errors);
}

/// A change of a StatefulSet.
pub(super) fn stateful_set_update(new: &StatefulSet, old: &StatefulSet, errors: &mut Errors) {
    metadata::update(&new.metadata, &old.metadata, errors);
    let nothing = StatefulSetSpec::default();
    let (spec, old) = (new.spec.as_ref().unwrap_or(&nothing), old.spec.as_ref().unwrap_or(&nothing));
    stateful_set_spec(spec, errors);
    let fixed = |spec: &StatefulSetSpec| {
        let mut spec = spec.clone();
        (spec.replicas, spec.ordinals, spec.template) = (None, None, PodTemplateSpec::default());
        (spec.update_strategy, spec.revision_history_limit, spec.min_ready_seconds) = (None, None, None);
        spec.persistent_volume_claim_retention_policy = None;
        // An empty text is an absent one.
        spec.service_name = spec.service_name.filter(|name| !name.is_empty());
        spec
    };
    if fixed(spec) != fixed(old) {
        errors.forbidden(&SPEC, ONLY_THESE_CHANGE);
    }
}

fn stateful_set_spec(spec: &StatefulSetSpec, errors: &mut Errors) {
    let path = SPEC.child("podManagementPolicy");
    match spec.pod_management_policy.as_deref().unwrap_or_default() {
        "" => errors.required(&path, ""),
        "OrderedReady" | "Parallel" => {}
        other => errors.invalid(&path, other, "must be 'OrderedReady' or 'Parallel'"),
    }
    update_strategy(spec, errors);
    if let Some(policy) = &spec.persistent_volume_claim_retention_policy {
        let path = SPEC.child("persistentVolumeClaimRetentionPolicy");
        for (name, value) in [("whenDeleted", &policy.when_deleted), ("whenScaled", &policy.when_scaled)] {
            let value = value.as_deref().unwrap_or_default();
            if !matches!(value, "Retain" | "Delete") {
                errors.not_supported(&path.child(name), value, &["Delete", "Retain"]);
            }
        }
    }
    number("replicas", spec.replicas, errors);
    number("minReadySeconds", spec.min_ready_seconds, errors);
    if let Some(start) = spec.ordinals.as_ref().and_then(|ordinals| ordinals.start) {
        let path = SPEC.child("ordinals");
        errors.non_negative(&path.child("start"), i64::from(start));
    }
    let path = SPEC.child("selector");
    if selector_is_missing(&spec.selector) {
        errors.required(&path, "");
    } else {
        let before = errors.len();
        labels::selector(Some(&spec.selector), &path, errors);
        if labels::is_empty(&spec.selector) {
            errors.invalid(&path, &spec.selector, "empty selector is invalid for statefulset");
        } else if errors.len() > before {
            errors.invalid(&path, &spec.selector, "");
        }
    }
    let path = SPEC.child("template");
    let metadata = spec.template.metadata.as_ref();
    matching(&spec.selector, &spec.template, &path, errors);
    labels::map(metadata.and_then(|metadata| metadata.labels.as_ref()), &path.child("labels"), errors);
    let annotations = metadata.and_then(|metadata| metadata.annotations.as_ref());
    metadata::annotations(annotations, &path.child("annotations"), errors);
    always_restarted(&spec.template, "StatefulSet", errors);
}

fn update_strategy(spec: &StatefulSetSpec, errors: &mut Errors) {
    let path = SPEC.child("updateStrategy");
    let Some(strategy) = &spec.update_strategy else { return errors.required(&path, "") };
    let rolling = path.child("rollingUpdate");
    match (strategy.type_.as_deref().unwrap_or_default(), &strategy.rolling_update) {
        ("", _) => errors.required(&path, ""),
        ("RollingUpdate", Some(update)) => {
            errors.non_negative(&rolling.child("partition"), i64::from(update.partition.unwrap_or_default()));
            if let Some(unavailable) = &update.max_unavailable {
                let path = rolling.child("maxUnavailable");
                int_or_percent(unavailable, &path, errors);
                if amount(unavailable) == 0 {
                    errors.invalid(&path, unavailable, "cannot be 0");
                }
                not_more_than_all(unavailable, &path, errors);
            }
        }
        ("OnDelete", Some(update)) => {
            let partition = update.partition.unwrap_or_default();
            let unavailable = update.max_unavailable.as_ref().map_or(print::json(&()).0, |value| print::json(value).0);
            let value = print::Json(format!("{{\"Partition\":{partition},\"MaxUnavailable\":{unavailable}}}"));
            errors.invalid(&rolling, value, "only allowed for updateStrategy 'RollingUpdate'");
        }
        ("RollingUpdate" | "OnDelete", None) => {}
        (other, update) => {
            let partition = update.as_ref().map_or("null".to_owned(), |update| {
                format!("{{\"Partition\":{},\"MaxUnavailable\":null}}", update.partition.unwrap_or_default())
            });
            let value = format!("{{\"Type\":{},\"RollingUpdate\":{partition}}}", json(other).0);
            errors.invalid(&path, print::Json(value), "must be 'RollingUpdate' or 'OnDelete'");
        }
    }
}

/// A DaemonSet to be created.
pub(super) fn daemon_set(set: &DaemonSet, errors: &mut Errors) {
    metadata::create(&set.metadata, true, names::object_name, errors);
    let nothing = DaemonSetSpec::default();
    daemon_set_spec(set.spec.as_ref().unwrap_or(&nothing), errors);
}

/// A change of a DaemonSet.
pub(super) fn daemon_set_update(new: &DaemonSet, old: &DaemonSet, errors: &mut Errors) {
    metadata::update(&new.metadata, &old.metadata, errors);
    let nothing = DaemonSetSpec::default();
    let (spec, old) = (new.spec.as_ref().unwrap_or(&nothing), old.spec.as_ref().unwrap_or(&nothing));
    daemon_set_spec(spec, errors);
    if spec.selector != old.selector {
        errors.invalid(&SPEC.child("selector"), &spec.selector, "field is immutable");
    }
}

fn daemon_set_spec(spec: &DaemonSetSpec, errors: &mut Errors) {
    let path = SPEC.child("selector");
    let (missing, before) = (selector_is_missing(&spec.selector), errors.len());
    labels::selector(Some(&spec.selector), &path, errors);
    let template = SPEC.child("template");
    if errors.len() == before {
        let given = spec.template.metadata.as_ref().and_then(|metadata| metadata.labels.as_ref());
        if missing || !labels::matches(&spec.selector, given) {
            let path = template.child("metadata");
            errors.invalid(&path.child("labels"), print::labels(given), MISMATCH);
        }
    }
    if !missing && labels::is_empty(&spec.selector) {
        errors.invalid(&path, &spec.selector, "empty selector is invalid for daemonset");
    }
    pod::template(&spec.template, &template, errors);
    always_restarted(&spec.template, "DaemonSet", errors);
    number("minReadySeconds", spec.min_ready_seconds, errors);
    let nothing = DaemonSetUpdateStrategy::default();
    let path = SPEC.child("updateStrategy");
    let strategy = spec.update_strategy.as_ref().unwrap_or(&nothing);
    match (strategy.type_.as_deref().unwrap_or_default(), &strategy.rolling_update) {
        ("OnDelete", _) => {}
        ("RollingUpdate", None) => errors.required(&path.child("rollingUpdate"), ""),
        ("RollingUpdate", Some(update)) => rolling_daemons(update, &path.child("rollingUpdate"), errors),
        (other, _) => {
            let value = format!("{{\"Type\":{},\"RollingUpdate\":null}}", json(other).0);
            errors.not_supported(&path, print::Json(value), &["RollingUpdate", "OnDelete"]);
        }
    }
    number("revisionHistoryLimit", spec.revision_history_limit, errors);
}

fn rolling_daemons(update: &RollingUpdateDaemonSet, path: &Path<'_>, errors: &mut Errors) {
    let zero = IntOrString::Int(0);
    let unavailable = update.max_unavailable.as_ref().unwrap_or(&zero);
    let surge = update.max_surge.as_ref().unwrap_or(&zero);
    let (path_of_unavailable, path_of_surge) = (path.child("maxUnavailable"), path.child("maxSurge"));
    int_or_percent(unavailable, &path_of_unavailable, errors);
    int_or_percent(surge, &path_of_surge, errors);
    not_more_than_all(unavailable, &path_of_unavailable, errors);
    not_more_than_all(surge, &path_of_surge, errors);
    match (amount(unavailable) != 0, amount(surge) != 0) {
        (true, true) => errors.invalid(&path_of_surge, surge, "may not be set when maxUnavailable is non-zero"),
        (false, false) => errors.required(&path_of_unavailable, "cannot be 0 when maxSurge is 0"),
        _ => {}
    }
}

/// A new or changed ReplicationController, but for its metadata.
pub(super) fn replication_controller(controller: &ReplicationController, errors: &mut Errors) {
    let nothing = ReplicationControllerSpec::default();
    let spec = controller.spec.as_ref().unwrap_or(&nothing);
    number("minReadySeconds", spec.min_ready_seconds, errors);
    let path = SPEC.child("selector");
    if spec.selector.as_ref().is_none_or(|selector| selector.is_empty()) {
        errors.required(&path, "");
    }
    number("replicas", spec.replicas, errors);
    let path = SPEC.child("template");
    let Some(template) = &spec.template else { return errors.required(&path, "") };
    let selector = LabelSelector { match_labels: spec.selector.clone(), match_expressions: None };
    matching(&selector, template, &path, errors);
    pod::template(template, &path, errors);
    always_restarted(template, "ReplicationController", errors);
}

fn matching(selector: &LabelSelector, template: &PodTemplateSpec, path: &Path<'_>, errors: &mut Errors) {
    let given = template.metadata.as_ref().and_then(|metadata| metadata.labels.as_ref());
    if !labels::is_empty(selector) && !labels::matches(selector, given) {
        let path = path.child("metadata");
        errors.invalid(&path.child("labels"), print::labels(given), MISMATCH);
    }
}

fn always_restarted(template: &PodTemplateSpec, kind: &str, errors: &mut Errors) {
    let nothing = PodSpec::default();
    let spec = template.spec.as_ref().unwrap_or(&nothing);
    let path = SPEC.child("template");
    let path = path.child("spec");
    let policy = spec.restart_policy.as_deref().unwrap_or_default();
    if policy != "Always" {
        errors.not_supported(&path.child("restartPolicy"), policy, &["Always"]);
    }
    if spec.active_deadline_seconds.is_some() {
        let detail = format!("activeDeadlineSeconds in {kind} is not Supported");
        errors.forbidden(&path.child("activeDeadlineSeconds"), detail);
    }
}

fn number(name: &str, value: Option<i32>, errors: &mut Errors) {
    errors.non_negative(&SPEC.child(name), i64::from(value.unwrap_or_default()));
}
