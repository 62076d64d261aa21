//! `kubectl describe` of Jobs and CronJobs.
//!
//! Models: kubernetes v1.36.2 staging/src/k8s.io/kubectl/pkg/describe/describe.go (`describeJob`, `describeCronJob`,
//! `describeJobTemplate`, `capIndexesListOrNone`).

use serde_json::Value;

use super::super::duration::{human, parse_time, rfc1123z};
use super::super::json::{boolean, integer, list, number, present, scalar_at, text};
use super::super::rollout::selector;
use super::super::selectors;
use super::{annotations, controlled_by, labels, put, template};

/// Everything but the events.
pub(super) fn job(object: &Value) -> String {
    let mut out = template::heading(object);
    put(&mut out, "Selector", selector(object));
    labels(&mut out, "Labels", object, "/metadata/labels");
    annotations(&mut out, "Annotations", object, "/metadata/annotations");
    if let Some(owner) = controlled_by(object) {
        put(&mut out, "Controlled By", owner);
    }
    let spec = |field: &str| scalar_at(object, &format!("/spec/{field}"));
    let mut given = |title: &str, value: String| {
        if !value.is_empty() {
            put(&mut out, title, value);
        }
    };
    given("Parallelism", spec("parallelism"));
    given("Completions", if spec("completions").is_empty() { "<unset>".into() } else { spec("completions") });
    given("Completion Mode", spec("completionMode"));
    given("Suspend", spec("suspend"));
    given("Backoff Limit", spec("backoffLimit"));
    given("TTL Seconds After Finished", spec("ttlSecondsAfterFinished"));
    let (start, end) = (text(object, "/status/startTime"), text(object, "/status/completionTime"));
    given("Start Time", rfc1123z(start));
    given("Completed At", rfc1123z(end));
    if let (Some(start), Some(end)) = (parse_time(start), parse_time(end)) {
        given("Duration", human(end.saturating_sub(start)));
    }
    let deadline = spec("activeDeadlineSeconds");
    given("Active Deadline Seconds", if deadline.is_empty() { deadline } else { format!("{deadline}s") });
    let status = |field: &str| number(object, &format!("/status/{field}"));
    let ready = integer(object, "/status/ready").map_or(String::new(), |ready| format!(" ({ready} Ready)"));
    let (active, succeeded, failed) = (status("active"), status("succeeded"), status("failed"));
    put(&mut out, "Pods Statuses", format!("{active} Active{ready} / {succeeded} Succeeded / {failed} Failed"));
    if text(object, "/spec/completionMode") == "Indexed" {
        put(&mut out, "Completed Indexes", indexes(text(object, "/status/completedIndexes")));
    }
    out.push_str(&template::describe(object, ""));
    out
}

/// At most some 50 letters of a list of indexes.
fn indexes(all: &str) -> String {
    const SOFT_LIMIT: usize = 50;
    if all.is_empty() {
        return "<none>".into();
    }
    match all.get(SOFT_LIMIT..).and_then(|rest| rest.find(',')) {
        Some(comma) => format!("{}...", all.get(..=SOFT_LIMIT + comma).unwrap_or(all)),
        None => all.into(),
    }
}

/// Everything but the events.
pub(super) fn cron_job(object: &Value) -> String {
    let mut out = template::heading(object);
    labels(&mut out, "Labels", object, "/metadata/labels");
    annotations(&mut out, "Annotations", object, "/metadata/annotations");
    let or_unset = |pointer: &str, unit: &str| match scalar_at(object, pointer).as_str() {
        "" => "<unset>".to_string(),
        value => format!("{value}{unit}"),
    };
    put(&mut out, "Schedule", text(object, "/spec/schedule"));
    put(&mut out, "Concurrency Policy", text(object, "/spec/concurrencyPolicy"));
    let suspend = boolean(object, "/spec/suspend").map_or("<unset>", |on| if on { "True" } else { "False" });
    put(&mut out, "Suspend", suspend);
    put(&mut out, "Time Zone", or_unset("/spec/timeZone", ""));
    put(&mut out, "Successful Job History Limit", or_unset("/spec/successfulJobsHistoryLimit", ""));
    put(&mut out, "Failed Job History Limit", or_unset("/spec/failedJobsHistoryLimit", ""));
    put(&mut out, "Starting Deadline Seconds", or_unset("/spec/startingDeadlineSeconds", "s"));
    let of_job = "/spec/jobTemplate/spec";
    let job_selector = object.pointer(&format!("{of_job}/selector")).filter(|s| !s.is_null());
    put(&mut out, "Selector", job_selector.map_or("<unset>".into(), selectors::query));
    put(&mut out, "Parallelism", or_unset(&format!("{of_job}/parallelism"), ""));
    put(&mut out, "Completions", or_unset(&format!("{of_job}/completions"), ""));
    if present(object, &format!("{of_job}/activeDeadlineSeconds")) {
        put(&mut out, "Active Deadline Seconds", or_unset(&format!("{of_job}/activeDeadlineSeconds"), "s"));
    }
    if let Some(job) = object.pointer("/spec/jobTemplate") {
        out.push_str(&template::describe(job, ""));
    }
    let last = text(object, "/status/lastScheduleTime");
    put(&mut out, "Last Schedule Time", if last.is_empty() { "<unset>".into() } else { rfc1123z(last) });
    let active: Vec<&str> = list(object, "/status/active").iter().map(|job| text(job, "/name")).collect();
    put(&mut out, "Active Jobs", if active.is_empty() { "<none>".into() } else { active.join(", ") });
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lists_of_indexes_are_cut_at_a_comma() {
        assert_eq!(indexes(""), "<none>");
        assert_eq!(indexes("0-3"), "0-3");
        let all: Vec<String> = (0..40).map(|i| i.to_string()).collect();
        assert_eq!(indexes(&all.join(",")), "0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,...");
    }
}
