//! Rows of Jobs and CronJobs.
//!
//! Models: kubernetes v1.36.2 pkg/printers/internalversion/printers.go (`printJob`, `printCronJob`).

use serde_json::Value;

use super::super::duration;
use super::super::json::{boolean, integer, is_deleting, list, name, number, text};
use super::super::selectors::format_selector;
use super::{Column, age, containers_and_images, containers_of, or_none};

pub(super) const JOB: &[Column] = &[
    ("Name", false),
    ("Status", false),
    ("Completions", false),
    ("Duration", false),
    ("Age", false),
    ("Containers", true),
    ("Images", true),
    ("Selector", true),
];

pub(super) fn job(object: &Value, now: i64) -> Vec<String> {
    let (containers, images) = containers_and_images(object);
    vec![
        name(object).into(),
        status(object).into(),
        completions(object),
        run_time(object, now),
        age(object, now),
        containers,
        images,
        format_selector(object, "/spec/selector"),
    ]
}

/// The first word that holds.
fn status(job: &Value) -> &'static str {
    let holds = |kind: &str| {
        list(job, "/status/conditions").iter().any(|c| text(c, "/type") == kind && text(c, "/status") == "True")
    };
    match () {
        () if holds("Complete") => "Complete",
        () if holds("Failed") => "Failed",
        () if is_deleting(job) => "Terminating",
        () if holds("Suspended") => "Suspended",
        () if holds("FailureTarget") => "FailureTarget",
        () if holds("SuccessCriteriaMet") => "SuccessCriteriaMet",
        () => "Running",
    }
}

fn completions(job: &Value) -> String {
    let succeeded = number(job, "/status/succeeded");
    match integer(job, "/spec/completions") {
        Some(completions) => format!("{succeeded}/{completions}"),
        None => match number(job, "/spec/parallelism") {
            parallelism if parallelism > 1 => format!("{succeeded}/1 of {parallelism}"),
            _ => format!("{succeeded}/1"),
        },
    }
}

/// From start to completion, or until now.
fn run_time(job: &Value, now: i64) -> String {
    let time = |pointer: &str| duration::parse_time(text(job, pointer));
    match (time("/status/startTime"), time("/status/completionTime")) {
        (None, _) => String::new(),
        (Some(start), end) => duration::human(end.unwrap_or(now).saturating_sub(start)),
    }
}

pub(super) const CRON_JOB: &[Column] = &[
    ("Name", false),
    ("Schedule", false),
    ("Timezone", false),
    ("Suspend", false),
    ("Active", false),
    ("Last Schedule", false),
    ("Age", false),
    ("Containers", true),
    ("Images", true),
    ("Selector", true),
];

pub(super) fn cron_job(object: &Value, now: i64) -> Vec<String> {
    let (containers, images) = containers_of(list(object, "/spec/jobTemplate/spec/template/spec/containers"));
    let last = match text(object, "/status/lastScheduleTime") {
        "" => "<none>".to_string(),
        time => duration::age(time, now),
    };
    let suspend = match boolean(object, "/spec/suspend") {
        Some(true) => "True",
        Some(false) => "False",
        None => "<unset>",
    };
    vec![
        name(object).into(),
        text(object, "/spec/schedule").into(),
        or_none(text(object, "/spec/timeZone").into()),
        suspend.into(),
        list(object, "/status/active").len().to_string(),
        last,
        age(object, now),
        containers,
        images,
        format_selector(object, "/spec/jobTemplate/spec/selector"),
    ]
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_job_tells_how_far_it_is() {
        let job = |spec: Value, status: Value| {
            job(&json!({"metadata": {"name": "j"}, "spec": spec, "status": status}), 90_000_000_000)
        };
        let done = json!({"succeeded": 1, "startTime": "1970-01-01T00:00:10Z", "completionTime": "1970-01-01T00:00:12Z",
            "conditions": [{"type": "SuccessCriteriaMet", "status": "True"}, {"type": "Complete", "status": "True"}]});
        assert_eq!(job(json!({"completions": 1}), done)[1..4], ["Complete", "1/1", "2s"]);
        let running = json!({"startTime": "1970-01-01T00:00:10Z"});
        assert_eq!(job(json!({"parallelism": 3}), running)[1..4], ["Running", "0/1 of 3", "80s"]);
        assert_eq!(job(json!({"parallelism": 1}), json!({}))[1..4], ["Running", "0/1", ""]);
    }

    #[test]
    fn a_cron_job_that_never_ran_has_no_last_schedule() {
        let object = json!({"metadata": {"name": "c"}, "spec": {"schedule": "0 3 * * *", "suspend": false}});
        assert_eq!(cron_job(&object, 0)[1..6], ["0 3 * * *", "<none>", "False", "0", "<none>"]);
    }
}
