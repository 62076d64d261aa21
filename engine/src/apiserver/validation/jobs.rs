//! Jobs and CronJobs.
//!
//! Models: kubernetes v1.36.2 pkg/apis/batch/validation/validation.go. Left out: the inside of failure and success policies.

use k8s_openapi::api::batch::v1::{CronJob, Job, JobSpec};
use k8s_openapi::api::core::v1::PodSpec;

use super::field::{Errors, Path};
use super::print::{self, json};
use super::{labels, metadata, names, pod};
use crate::objects::schedule::{self, Schedule};

const SPEC: Path<'static> = Path::root("spec");
/// The labels that tell a Job's pods.
const OWNER_LABELS: [&str; 2] = ["controller-uid", "batch.kubernetes.io/controller-uid"];
const NAME_LABELS: [&str; 2] = ["job-name", "batch.kubernetes.io/job-name"];
/// Longest name of a CronJob: its Jobs' names are longer by a dash and ten digits. [bytes]
const CRON_NAME: usize = 63 - 11;
/// Most pods of an indexed Job at a time.
const PARALLEL_INDEXES: i32 = 100_000;
const IMMUTABLE: &str = "field is immutable";

/// A Job to be created.
pub(super) fn job(job: &Job, errors: &mut Errors) {
    metadata::create(&job.metadata, true, names::object_name, errors);
    rules(job, errors);
}

fn rules(job: &Job, errors: &mut Errors) {
    let nothing = JobSpec::default();
    let spec = job.spec.as_ref().unwrap_or(&nothing);
    generated_selector(job, spec, errors);
    whole_spec(spec, errors);
    if let (Some("Indexed"), Some(completions @ 1..)) = (spec.completion_mode.as_deref(), spec.completions) {
        let name = job.metadata.name.as_deref().unwrap_or_default();
        let host = format!("{name}-{}", completions - 1);
        if !names::dns_label(&host).is_empty() {
            let detail = format!("will not able to create pod with invalid DNS label: {host}");
            let path = Path::root("metadata");
            errors.invalid(&path.child("name"), name, detail);
        }
    }
}

/// A change of a Job.
pub(super) fn job_update(new: &Job, old: &Job, errors: &mut Errors) {
    metadata::update(&new.metadata, &old.metadata, errors);
    let nothing = JobSpec::default();
    let (spec, old) = (new.spec.as_ref().unwrap_or(&nothing), old.spec.as_ref().unwrap_or(&nothing));
    whole_spec(spec, errors);
    let indexed = spec.completion_mode.as_deref() == Some("Indexed");
    if spec.completions != old.completions {
        let path = SPEC.child("completions");
        match indexed {
            false => errors.invalid(&path, json(&spec.completions), IMMUTABLE),
            true if spec.completions != spec.parallelism => {
                let detail = "can only be modified in tandem with parallelism";
                errors.invalid(&path, json(&spec.completions), detail);
            }
            true => {}
        }
    }
    if spec.selector != old.selector {
        let path = SPEC.child("selector");
        match &spec.selector {
            Some(selector) => errors.invalid(&path, selector, IMMUTABLE),
            None => errors.invalid(&path, json(&()), IMMUTABLE),
        }
    }
    if spec.template != old.template && old.suspend != Some(true) {
        errors.invalid(&SPEC.child("template"), json(&spec.template), IMMUTABLE);
    }
    let fixed = [
        ("completionMode", json(&spec.completion_mode), spec.completion_mode == old.completion_mode),
        ("podFailurePolicy", json(&spec.pod_failure_policy), spec.pod_failure_policy == old.pod_failure_policy),
        (
            "backoffLimitPerIndex",
            json(&spec.backoff_limit_per_index),
            spec.backoff_limit_per_index == old.backoff_limit_per_index,
        ),
        ("managedBy", json(&spec.managed_by), spec.managed_by == old.managed_by),
        ("successPolicy", json(&spec.success_policy), spec.success_policy == old.success_policy),
    ];
    for (name, value, same) in fixed {
        if !same {
            errors.invalid(&SPEC.child(name), value, IMMUTABLE);
        }
    }
}

fn generated_selector(job: &Job, spec: &JobSpec, errors: &mut Errors) {
    let Some(selector) = spec.selector.as_ref().filter(|_| spec.manual_selector != Some(true)) else { return };
    let name = job.metadata.name.clone().unwrap_or_default();
    let uid = job.metadata.uid.clone().unwrap_or_default();
    let given = spec.template.metadata.as_ref().and_then(|metadata| metadata.labels.as_ref());
    let path = SPEC.child("template");
    let path = path.child("metadata");
    let path = path.child("labels");
    let mut wanted = std::collections::BTreeMap::new();
    for (keys, value) in [(OWNER_LABELS, &uid), (NAME_LABELS, &name)] {
        for key in keys {
            wanted.insert(key.to_owned(), value.clone());
            match given.and_then(|labels| labels.get(key)) {
                None => errors.required(&path.key(key), &format!("must be '{value}'")),
                Some(label) if label != value => {
                    errors.invalid(&path.key(key), print::labels(given), format!("must be '{value}'"));
                }
                Some(_) => {}
            }
        }
    }
    if !labels::matches(selector, Some(&wanted)) {
        errors.invalid(&SPEC.child("selector"), selector, "`selector` not auto-generated");
    }
}

fn whole_spec(spec: &JobSpec, errors: &mut Errors) {
    job_spec(spec, &SPEC, errors);
    let path = SPEC.child("selector");
    let Some(selector) = &spec.selector else { return errors.required(&path, "") };
    let before = errors.len();
    labels::selector(Some(selector), &path, errors);
    let given = spec.template.metadata.as_ref().and_then(|metadata| metadata.labels.as_ref());
    if errors.len() == before && !labels::matches(selector, given) {
        let path = SPEC.child("template");
        let path = path.child("metadata");
        errors.invalid(&path.child("labels"), print::labels(given), "`selector` does not match template `labels`");
    }
}

fn job_spec(spec: &JobSpec, path: &Path<'_>, errors: &mut Errors) {
    let numbers = [
        ("parallelism", spec.parallelism.map(i64::from)),
        ("completions", spec.completions.map(i64::from)),
        ("activeDeadlineSeconds", spec.active_deadline_seconds),
        ("backoffLimit", spec.backoff_limit.map(i64::from)),
        ("ttlSecondsAfterFinished", spec.ttl_seconds_after_finished.map(i64::from)),
        ("backoffLimitPerIndex", spec.backoff_limit_per_index.map(i64::from)),
        ("maxFailedIndexes", spec.max_failed_indexes.map(i64::from)),
    ];
    for (name, value) in numbers {
        errors.non_negative(&path.child(name), value.unwrap_or_default());
    }
    if spec.max_failed_indexes.is_some() && spec.backoff_limit_per_index.is_none() {
        errors.required(&path.child("backoffLimitPerIndex"), "when maxFailedIndexes is specified");
    }
    match spec.completion_mode.as_deref() {
        Some("Indexed") => indexed(spec, path, errors),
        mode => {
            if let Some(other) = mode.filter(|mode| *mode != "NonIndexed") {
                errors.not_supported(&path.child("completionMode"), other, &["NonIndexed", "Indexed"]);
            }
            let only_indexed =
                [("backoffLimitPerIndex", spec.backoff_limit_per_index), ("maxFailedIndexes", spec.max_failed_indexes)];
            for (name, value) in only_indexed {
                if let Some(value) = value {
                    errors.invalid(&path.child(name), value, "requires indexed completion mode");
                }
            }
        }
    }
    let template = path.child("template");
    pod::template(&spec.template, &template, errors);
    let nothing = PodSpec::default();
    let policy = spec.template.spec.as_ref().unwrap_or(&nothing).restart_policy.as_deref().unwrap_or_default();
    let inside = template.child("spec");
    let restart = inside.child("restartPolicy");
    match policy {
        "" | "Always" => errors.required(&restart, "valid values: \"OnFailure\", \"Never\""),
        "OnFailure" if spec.pod_failure_policy.is_some() => {
            errors.invalid(&restart, policy, "only \"Never\" is supported when podFailurePolicy is specified");
        }
        _ => {}
    }
}

fn indexed(spec: &JobSpec, path: &Path<'_>, errors: &mut Errors) {
    if spec.completions.is_none() {
        errors.required(&path.child("completions"), "when completion mode is Indexed");
    }
    if let Some(parallelism) = spec.parallelism.filter(|parallelism| *parallelism > PARALLEL_INDEXES) {
        let detail = format!("must be less than or equal to {PARALLEL_INDEXES} when completion mode is Indexed");
        errors.invalid(&path.child("parallelism"), parallelism, detail);
    }
    if let (Some(failed), Some(completions)) = (spec.max_failed_indexes, spec.completions)
        && failed > completions
    {
        errors.invalid(&path.child("maxFailedIndexes"), failed, "must be less than or equal to completions");
    }
}

/// A CronJob to be created.
pub(super) fn cron_job(job: &CronJob, errors: &mut Errors) {
    metadata::create(&job.metadata, true, names::object_name, errors);
    cron_job_spec(job, errors);
    let name = job.metadata.name.as_deref().unwrap_or_default();
    if name.len() > CRON_NAME {
        let path = Path::root("metadata");
        errors.invalid(&path.child("name"), name, format!("must be no more than {CRON_NAME} characters"));
    }
}

/// A change of a CronJob.
pub(super) fn cron_job_update(new: &CronJob, old: &CronJob, errors: &mut Errors) {
    metadata::update(&new.metadata, &old.metadata, errors);
    cron_job_spec(new, errors);
}

fn cron_job_spec(job: &CronJob, errors: &mut Errors) {
    let spec = &job.spec;
    let path = SPEC.child("schedule");
    if spec.schedule.is_empty() {
        errors.required(&path, "");
    } else {
        if let Err(why) = Schedule::parse(&spec.schedule) {
            errors.invalid(&path, &spec.schedule, why.to_string());
        }
        if spec.schedule.contains("TZ") {
            let detail = "cannot use TZ or CRON_TZ in schedule, use timeZone field instead";
            errors.invalid(&path, &spec.schedule, detail);
        }
    }
    if let Some(seconds) = spec.starting_deadline_seconds {
        errors.non_negative(&SPEC.child("startingDeadlineSeconds"), seconds);
    }
    let path = SPEC.child("timeZone");
    match spec.time_zone.as_deref() {
        None => {}
        Some("") => errors.invalid(&path, "", "timeZone must be nil or non-empty string"),
        Some(zone) if zone.eq_ignore_ascii_case("local") => {
            let detail = "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones";
            errors.invalid(&path, zone, detail);
        }
        Some(zone) if schedule::zone(zone).is_none() => {
            errors.invalid(&path, zone, format!("unknown time zone {zone}"));
        }
        Some(_) => {}
    }
    let path = SPEC.child("concurrencyPolicy");
    match spec.concurrency_policy.as_deref().unwrap_or_default() {
        "Allow" | "Forbid" | "Replace" => {}
        "" => errors.required(&path, ""),
        other => errors.not_supported(&path, other, &["Allow", "Forbid", "Replace"]),
    }
    let path = SPEC.child("jobTemplate");
    let template = &spec.job_template;
    let nothing = JobSpec::default();
    job_spec(template.spec.as_ref().unwrap_or(&nothing), &path.child("spec"), errors);
    let limits = [
        ("successfulJobsHistoryLimit", spec.successful_jobs_history_limit),
        ("failedJobsHistoryLimit", spec.failed_jobs_history_limit),
    ];
    for (name, value) in limits {
        errors.non_negative(&SPEC.child(name), i64::from(value.unwrap_or_default()));
    }
}
