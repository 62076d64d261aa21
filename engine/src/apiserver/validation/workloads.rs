//! Deployments and ReplicaSets.
//!
//! Models: kubernetes v1.36.2 pkg/apis/apps/validation/validation.go,
//! pkg/registry/apps/{deployment,replicaset}/strategy.go.

use k8s_openapi::api::apps::v1::{Deployment, DeploymentSpec, DeploymentStrategy, ReplicaSet, ReplicaSetSpec};
use k8s_openapi::api::core::v1::{PodSpec, PodTemplateSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::field::{Errors, Path};
use super::print::{self, Json, Printed};
use super::{labels, metadata, names, pod};
use crate::objects::decode::selector_is_missing;

const SPEC: Path<'static> = Path::root("spec");
const IMMUTABLE: &str = "field is immutable";

/// A Deployment to be created.
pub(super) fn deployment(deployment: &Deployment, errors: &mut Errors) {
    metadata::create(&deployment.metadata, true, names::object_name, errors);
    let nothing = DeploymentSpec::default();
    deployment_spec(deployment.spec.as_ref().unwrap_or(&nothing), errors);
}

/// A change of a Deployment.
pub(super) fn deployment_update(new: &Deployment, old: &Deployment, errors: &mut Errors) {
    metadata::update(&new.metadata, &old.metadata, errors);
    let nothing = DeploymentSpec::default();
    let (spec, old) = (new.spec.as_ref().unwrap_or(&nothing), old.spec.as_ref().unwrap_or(&nothing));
    deployment_spec(spec, errors);
    same_selector(&spec.selector, &old.selector, errors);
}

/// A ReplicaSet to be created.
pub(super) fn replica_set(set: &ReplicaSet, errors: &mut Errors) {
    metadata::create(&set.metadata, true, names::object_name, errors);
    let nothing = ReplicaSetSpec::default();
    replica_set_spec(set.spec.as_ref().unwrap_or(&nothing), errors);
}

/// A change of a ReplicaSet.
pub(super) fn replica_set_update(new: &ReplicaSet, old: &ReplicaSet, errors: &mut Errors) {
    metadata::update(&new.metadata, &old.metadata, errors);
    let nothing = ReplicaSetSpec::default();
    let (spec, old) = (new.spec.as_ref().unwrap_or(&nothing), old.spec.as_ref().unwrap_or(&nothing));
    replica_set_spec(spec, errors);
    same_selector(&spec.selector, &old.selector, errors);
}

fn deployment_spec(spec: &DeploymentSpec, errors: &mut Errors) {
    number("replicas", spec.replicas, errors);
    selector_and_template(&spec.selector, &spec.template, errors);
    let nothing = DeploymentStrategy::default();
    strategy(spec.strategy.as_ref().unwrap_or(&nothing), &SPEC.child("strategy"), errors);
    number("minReadySeconds", spec.min_ready_seconds, errors);
    number("revisionHistoryLimit", spec.revision_history_limit, errors);
    if let Some(deadline) = spec.progress_deadline_seconds {
        number("progressDeadlineSeconds", Some(deadline), errors);
        if deadline <= spec.min_ready_seconds.unwrap_or_default() {
            errors.invalid(&SPEC.child("progressDeadlineSeconds"), deadline, "must be greater than minReadySeconds");
        }
    }
}

fn replica_set_spec(spec: &ReplicaSetSpec, errors: &mut Errors) {
    number("replicas", spec.replicas, errors);
    number("minReadySeconds", spec.min_ready_seconds, errors);
    let nothing = PodTemplateSpec::default();
    selector_and_template(&spec.selector, spec.template.as_ref().unwrap_or(&nothing), errors);
}

fn number(name: &str, value: Option<i32>, errors: &mut Errors) {
    errors.non_negative(&SPEC.child(name), i64::from(value.unwrap_or_default()));
}

fn same_selector(new: &LabelSelector, old: &LabelSelector, errors: &mut Errors) {
    if !selector_is_missing(new) && new != old {
        errors.invalid(&SPEC.child("selector"), new, IMMUTABLE);
    }
}

fn selector_and_template(selector: &LabelSelector, template: &PodTemplateSpec, errors: &mut Errors) {
    let path = SPEC.child("selector");
    let missing = selector_is_missing(selector);
    if missing {
        errors.required(&path, "");
    } else {
        let before = errors.len();
        labels::selector(Some(selector), &path, errors);
        let invalid = errors.len() > before;
        if labels::is_empty(selector) {
            errors.invalid(&path, selector, "empty selector is invalid for deployment");
        }
        if invalid {
            return errors.invalid(&path, selector, "invalid label selector");
        }
    }
    let path = SPEC.child("template");
    let given = template.metadata.as_ref().and_then(|metadata| metadata.labels.as_ref());
    // A missing selector selects nothing, an empty one everything.
    if missing || !labels::is_empty(selector) && !labels::matches(selector, given) {
        let path = path.child("metadata");
        errors.invalid(&path.child("labels"), print::labels(given), "`selector` does not match template `labels`");
    }
    pod::template(template, &path, errors);
    let nothing = PodSpec::default();
    let spec = template.spec.as_ref().unwrap_or(&nothing);
    let path = path.child("spec");
    let policy = spec.restart_policy.as_deref().unwrap_or_default();
    if policy != "Always" {
        errors.not_supported(&path.child("restartPolicy"), policy, &["Always"]);
    }
    if spec.active_deadline_seconds.is_some() {
        let detail = "activeDeadlineSeconds in ReplicaSet is not Supported";
        errors.forbidden(&path.child("activeDeadlineSeconds"), detail);
    }
}

fn strategy(strategy: &DeploymentStrategy, path: &Path<'_>, errors: &mut Errors) {
    let rolling = path.child("rollingUpdate");
    match (strategy.type_.as_deref().unwrap_or_default(), &strategy.rolling_update) {
        ("Recreate", Some(_)) => {
            errors.forbidden(&rolling, "may not be specified when strategy `type` is 'Recreate'");
        }
        ("Recreate", None) => {}
        ("RollingUpdate", None) => errors.required(&rolling, "this should be defaulted and never be nil"),
        ("RollingUpdate", Some(update)) => {
            let zero = IntOrString::Int(0);
            let unavailable = update.max_unavailable.as_ref().unwrap_or(&zero);
            let surge = update.max_surge.as_ref().unwrap_or(&zero);
            rolling_update(unavailable, surge, &rolling, errors);
        }
        (other, update) => {
            let shown = update.as_ref().map_or_else(
                || "null".to_owned(),
                |update| {
                    let number =
                        |value: &Option<IntOrString>| value.as_ref().map_or("0".to_owned(), |value| value.printed());
                    let (unavailable, surge) = (number(&update.max_unavailable), number(&update.max_surge));
                    format!("{{\"MaxUnavailable\":{unavailable},\"MaxSurge\":{surge}}}")
                },
            );
            let value = Json(format!("{{\"Type\":{},\"RollingUpdate\":{shown}}}", print::json(other).0));
            errors.not_supported(path, value, &["Recreate", "RollingUpdate"]);
        }
    }
}

fn rolling_update(unavailable: &IntOrString, surge: &IntOrString, path: &Path<'_>, errors: &mut Errors) {
    let (path_of_unavailable, path_of_surge) = (path.child("maxUnavailable"), path.child("maxSurge"));
    int_or_percent(unavailable, &path_of_unavailable, errors);
    int_or_percent(surge, &path_of_surge, errors);
    if amount(unavailable) == 0 && amount(surge) == 0 {
        errors.invalid(&path_of_unavailable, unavailable, "may not be 0 when `maxSurge` is 0");
    }
    not_more_than_all(unavailable, &path_of_unavailable, errors);
}

/// A percentage of at most 100.
pub(super) fn not_more_than_all(value: &IntOrString, path: &Path<'_>, errors: &mut Errors) {
    if let IntOrString::String(text) = value
        && names::percent(text).is_empty()
        && amount(value) > 100
    {
        errors.invalid(path, value, "must not be greater than 100%");
    }
}

/// A number that is not negative, or a percentage.
pub(super) fn int_or_percent(value: &IntOrString, path: &Path<'_>, errors: &mut Errors) {
    match value {
        IntOrString::Int(number) => errors.non_negative(path, i64::from(*number)),
        IntOrString::String(text) => {
            for rule in names::percent(text) {
                errors.invalid(path, value, rule);
            }
        }
    }
}

/// The number, with or without percent; a text that is none counts as 0.
pub(super) fn amount(value: &IntOrString) -> i64 {
    match value {
        IntOrString::Int(number) => i64::from(*number),
        IntOrString::String(text) => text.strip_suffix('%').unwrap_or(text).parse().unwrap_or(0),
    }
}
