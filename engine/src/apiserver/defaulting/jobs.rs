//! Defaults of Jobs and CronJobs, and the selector that a Job gets.
//!
//! Models: kubernetes v1.36.2 pkg/apis/batch/v1/defaults.go, pkg/registry/batch/job/strategy.go (generateSelector).

use std::collections::BTreeMap;

use k8s_openapi::api::batch::v1::{CronJob, Job};

use super::pod_spec;

/// The labels that tell a Job's pods, each in an older form too.
const OWNER_LABELS: [&str; 2] = ["controller-uid", "batch.kubernetes.io/controller-uid"];
const NAME_LABELS: [&str; 2] = ["job-name", "batch.kubernetes.io/job-name"];
/// Failed pods before a Job is given up.
const BACKOFF_LIMIT: i32 = 6;

/// A Job's defaults.
pub(super) fn job(job: &mut Job) {
    let spec = job.spec.get_or_insert_default();
    if spec.completions.is_none() && spec.parallelism.is_none() {
        spec.completions = Some(1);
    }
    spec.parallelism.get_or_insert(1);
    let per_index = spec.backoff_limit_per_index.is_some();
    spec.backoff_limit.get_or_insert(if per_index { i32::MAX } else { BACKOFF_LIMIT });
    pod_spec::text(&mut spec.completion_mode, "NonIndexed");
    spec.suspend.get_or_insert(false);
    spec.manual_selector.get_or_insert(false);
    for rule in spec.pod_failure_policy.iter_mut().flat_map(|policy| &mut policy.rules) {
        for pattern in rule.on_pod_conditions.iter_mut().flatten() {
            pod_spec::text(&mut pattern.status, "True");
        }
    }
    let replacement = if spec.pod_failure_policy.is_some() { "Failed" } else { "TerminatingOrFailed" };
    pod_spec::text(&mut spec.pod_replacement_policy, replacement);
    pod_spec::template(&mut spec.template);
    labels_of_template(job);
    job.status.get_or_insert_default();
}

/// A CronJob's defaults; those of the Jobs come when they are made.
pub(super) fn cron_job(job: &mut CronJob) {
    let spec = &mut job.spec;
    pod_spec::text(&mut spec.concurrency_policy, "Allow");
    spec.suspend.get_or_insert(false);
    spec.successful_jobs_history_limit.get_or_insert(3);
    spec.failed_jobs_history_limit.get_or_insert(1);
    spec.job_template.metadata.get_or_insert_default();
    pod_spec::template(&mut spec.job_template.spec.get_or_insert_default().template);
    job.status.get_or_insert_default();
}

/// The labels of a new Job's pods and the selector that finds them, unless the client brings its own.
pub(super) fn generate_selector(job: &mut Job) {
    let (name, uid) = (job.metadata.name.clone().unwrap_or_default(), job.metadata.uid.clone().unwrap_or_default());
    let spec = job.spec.get_or_insert_default();
    if spec.manual_selector == Some(true) {
        return;
    }
    let labels = spec.template.metadata.get_or_insert_default().labels.get_or_insert_default();
    for (keys, value) in [(NAME_LABELS, &name), (OWNER_LABELS, &uid)] {
        for key in keys {
            // What the user set stays: validation refuses it.
            labels.entry(key.to_owned()).or_insert_with(|| value.clone());
        }
    }
    let selector = spec.selector.get_or_insert_default().match_labels.get_or_insert_default();
    if !OWNER_LABELS.iter().any(|key| selector.contains_key(*key)) {
        selector.insert(OWNER_LABELS[1].to_owned(), uid);
    }
}

/// Without labels of its own a Job has those of its pods: set when it is read, from the client as from storage.
pub(super) fn labels_of_template(job: &mut Job) {
    let Some(labels) = job.spec.as_ref().and_then(|spec| spec.template.metadata.as_ref()?.labels.clone()) else {
        return;
    };
    if job.metadata.labels.as_ref().is_none_or(BTreeMap::is_empty) && !labels.is_empty() {
        job.metadata.labels = Some(labels);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_selects_its_pods_by_its_uid() {
        let mut one = Job::default();
        one.metadata.uid = Some("u".to_owned());
        one.metadata.name = Some("x".to_owned());
        job(&mut one);
        generate_selector(&mut one);
        labels_of_template(&mut one);
        let spec = one.spec.expect("a spec");
        let selector = spec.selector.and_then(|selector| selector.match_labels).expect("labels");
        assert_eq!(selector, [("batch.kubernetes.io/controller-uid".to_owned(), "u".to_owned())].into());
        assert_eq!(one.metadata.labels.map(|labels| labels.len()), Some(4));
        assert_eq!((spec.completions, spec.backoff_limit), (Some(1), Some(6)));
    }
}
