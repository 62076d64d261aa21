//! The CronJob controller: Jobs at the times of a schedule.
//!
//! Models: kubernetes v1.36.2 pkg/controller/cronjob/{cronjob_controllerv2,utils}.go. Left out: adoption of Jobs by annotation
//! (`UnexpectedJob` for Jobs that are not in the list of active ones).

use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use k8s_openapi::api::batch::v1::{CronJob, CronJobSpec, Job};
use k8s_openapi::api::core::v1::ObjectReference as ApiReference;
use serde_json::json;

use super::caches::Caches;
use super::contract::{Controller, View, Wake};
use super::job;
use super::ownership::controller_reference;
use crate::apiserver::request::{Body, DeleteOptions, Propagation, Verb};
use crate::client::Agent;
use crate::client::connection::Call;
use crate::client::informer::Change;
use crate::client::routine::{Effect, Interrupt, Routine, Step};
use crate::kernel::Duration;
use crate::objects::event::EventType;
use crate::objects::schedule::{Schedule, zone};
use crate::objects::{Key, Kind, Object, ObjectReference, Resource, moment};

/// The key is looked at again this long after the time of the schedule; Kubernetes: nextScheduleDelta.
const DELTA: Duration = Duration::from_millis(100);
/// More missed times than this are worth a warning.
const MANY: i64 = 100;
/// The annotation of a Job with the time it was meant for.
const SCHEDULED: &str = "batch.kubernetes.io/cronjob-scheduled-timestamp";

/// The CronJob controller.
#[derive(Clone, Copy, Debug)]
pub struct CronJobController;

/// What a sync needs to know.
#[derive(Clone, Debug)]
pub struct Inputs {
    cron: Arc<Resource<CronJob>>,
    about: ObjectReference,
    jobs: Vec<Arc<Object>>,
}

impl Controller for CronJobController {
    const AGENT: Agent = Agent::CronJobController;
    const KIND: Kind = Kind::CronJob;
    const INFORMERS: &'static [Kind] = &[Kind::CronJob, Kind::Job];
    const WORKERS: usize = 5;
    const MAX_RETRIES: Option<u32> = None;
    type Inputs = Inputs;
    type Outcome = ();

    fn concerns(&mut self, kind: Kind, change: &Change, caches: &Caches, wake: &mut Wake<'_>) {
        match (kind, &**change.object()) {
            (Kind::CronJob, object) => {
                if change.new.is_none() {
                    wake.forget(&object.key());
                }
                wake.key(object.key());
            }
            (Kind::Job, Object::Job(job)) => {
                let owner =
                    job.meta.controller().and_then(|owner| caches.owning::<CronJob>(&job.meta.namespace, owner));
                if let Some(cron) = owner {
                    wake.key(cron.meta.key());
                }
            }
            _ => {}
        }
    }

    fn inputs(&mut self, key: &Key, caches: &Caches, _: View<'_>) -> Option<Inputs> {
        let cron = caches.resource::<CronJob>(key)?;
        let jobs = caches.store(Kind::Job).controlled_by(cron.meta.uid).cloned().collect();
        let about = caches.store(Kind::CronJob).get(key)?.reference();
        Some(Inputs { cron: Arc::new(cron.clone()), about, jobs })
    }

    fn reconcile(&self, inputs: &Inputs, routine: &mut Routine<'_>) -> Step<()> {
        let mut sync = Sync { inputs, cron: inputs.cron.clone(), changed: false };
        sync.clean_up(routine)?;
        let result = sync.run(routine);
        if result.as_ref().is_err_and(|interrupt| *interrupt == Interrupt::Waiting) {
            return result.map(|_| ());
        }
        sync.write(routine)?;
        if let Some(wait) = result? {
            routine.ask(|| Effect::RequeueAfter(wait));
        }
        Ok(())
    }
}

struct Sync<'a> {
    inputs: &'a Inputs,
    /// As it is to be reported.
    cron: Arc<Resource<CronJob>>,
    changed: bool,
}

impl Sync<'_> {
    fn spec(&self) -> &CronJobSpec {
        &self.inputs.cron.api.spec
    }

    fn jobs(&self) -> impl Iterator<Item = &Resource<Job>> {
        self.inputs.jobs.iter().filter_map(|object| object.as_resource::<Job>())
    }

    fn tell(&self, kind: EventType, reason: &'static str, message: String, routine: &mut Routine<'_>) {
        routine.event(&self.inputs.about, kind, reason, || message);
    }

    fn active(&self) -> Vec<ApiReference> {
        self.cron.api.status.as_ref().and_then(|status| status.active.clone()).unwrap_or_default()
    }

    fn set_active(&mut self, active: Vec<ApiReference>) {
        self.report(|status| status.active = (!active.is_empty()).then_some(active));
    }

    fn report(&mut self, change: impl FnOnce(&mut k8s_openapi::api::batch::v1::CronJobStatus)) {
        self.changed = true;
        self.cron = Arc::new(self.cron.with_status(|api| change(api.status.get_or_insert_default())));
    }

    /// Jobs that have ended leave the list of active ones; of those that ended long ago a few are kept.
    fn clean_up(&mut self, routine: &mut Routine<'_>) -> Step<()> {
        let mut active = self.active();
        let before = active.len();
        let mut last = None;
        for job in self.inputs.jobs.iter().filter_map(|object| object.as_resource::<Job>()) {
            let uid = job.meta.uid.to_string();
            let listed = active.iter().position(|reference| reference.uid.as_deref() == Some(&*uid));
            let Some(end) = job::end(job) else { continue };
            if let Some(place) = listed {
                active.remove(place);
                let message = format!("Saw completed job: {}, condition: {}", job.meta.name, end.type_);
                self.tell(EventType::Normal, "SawCompletedJob", message, routine);
            }
            if end.type_ == "Complete" {
                last = last.max(job.api.status.as_ref().and_then(|status| status.completion_time.clone()));
            }
        }
        // What is listed and not in the cache may be gone.
        let known: Vec<String> = self.jobs().map(|job| job.meta.uid.to_string()).collect();
        let lost: Vec<ApiReference> = active
            .iter()
            .filter(|reference| !known.iter().any(|uid| reference.uid.as_deref() == Some(uid)))
            .cloned()
            .collect();
        for reference in lost {
            let name = reference.name.clone().unwrap_or_default();
            let key = || Key { namespace: self.inputs.cron.meta.namespace.clone(), name: name.as_str().into() };
            let there = routine.call(|| Call::get(Kind::Job, key()))?;
            if there.is_err_and(|status| status.is_not_found()) {
                let message = format!("Active job went missing: {name}");
                self.tell(EventType::Normal, "MissingJob", message, routine);
                active.retain(|other| other.uid != reference.uid);
            }
        }
        if active.len() != before {
            self.set_active(active);
        }
        let known = self.cron.api.status.as_ref().and_then(|status| status.last_successful_time.clone());
        if last.is_some() && last > known {
            self.report(|status| status.last_successful_time = last);
        }
        self.remove_old(routine)
    }

    fn remove_old(&mut self, routine: &mut Routine<'_>) -> Step<()> {
        let limits = [
            ("Complete", self.spec().successful_jobs_history_limit),
            ("Failed", self.spec().failed_jobs_history_limit),
        ];
        for (kind, limit) in limits {
            let Some(limit) = limit else { continue };
            let mut ended: Vec<&Resource<Job>> =
                self.inputs.jobs.iter().filter_map(|object| object.as_resource::<Job>()).collect();
            ended.retain(|job| !job.meta.deleting() && job::end(job).is_some_and(|end| end.type_ == kind));
            let start = |job: &Resource<Job>| job.api.status.as_ref().and_then(|status| status.start_time.clone());
            ended.sort_by_key(|job| (start(job).is_none(), start(job), job.meta.name.clone()));
            let surplus = ended.len().saturating_sub(usize::try_from(limit).unwrap_or(0));
            for job in ended.into_iter().take(surplus) {
                self.delete(&job.meta.name.clone(), routine)?;
            }
        }
        Ok(())
    }

    fn delete(&mut self, name: &str, routine: &mut Routine<'_>) -> Step<()> {
        let options = DeleteOptions { propagation: Some(Propagation::Background), ..DeleteOptions::default() };
        let key = || Key { namespace: self.inputs.cron.meta.namespace.clone(), name: name.into() };
        match routine.call(|| Call::delete(Kind::Job, key(), options))? {
            Ok(_) => {
                let mut active = self.active();
                let before = active.len();
                active.retain(|reference| reference.name.as_deref() != Some(name));
                if active.len() != before {
                    self.set_active(active);
                }
                self.tell(EventType::Normal, "SuccessfulDelete", format!("Deleted job {name}"), routine);
                Ok(())
            }
            Err(status) => {
                self.tell(EventType::Warning, "FailedDelete", format!("Deleted job: {}", status.message), routine);
                Err(Interrupt::from(status))
            }
        }
    }

    /// Starts a Job if it is time; how long until the next.
    fn run(&mut self, routine: &mut Routine<'_>) -> Step<Option<Duration>> {
        let cron = self.inputs.cron.clone();
        let spec = &cron.api.spec;
        if cron.meta.deleting() {
            return Ok(None);
        }
        let zone = match spec.time_zone.as_deref() {
            None => TimeZone::UTC,
            Some(name) => match zone(name) {
                Some(zone) => zone,
                None => {
                    let message = format!("invalid timeZone: \"{name}\": unknown time zone {name}");
                    self.tell(EventType::Warning, "UnknownTimeZone", message, routine);
                    return Ok(None);
                }
            },
        };
        if spec.suspend == Some(true) {
            return Ok(None);
        }
        let text = &spec.schedule;
        let schedule = match Schedule::parse(text) {
            Ok(schedule) => schedule,
            Err(error) => {
                let message = format!("unparseable schedule: \"{text}\" : {error}");
                self.tell(EventType::Warning, "UnparseableSchedule", message, routine);
                return Ok(None);
            }
        };
        let now = moment::micro_time(routine.started()).0;
        let past = Past::of(&cron, &schedule, &zone, now);
        if past.missed > MANY {
            let advice = "Set or decrease .spec.startingDeadlineSeconds or check clock skew";
            let message = format!("too many missed start times. {advice}");
            self.tell(EventType::Warning, "TooManyMissedTimes", message, routine);
        }
        let wait = schedule.next(now, &zone).map(|next| between(now, next) + DELTA);
        let Some(due) = past.latest else { return Ok(wait) };
        if let Some(deadline) = spec.starting_deadline_seconds
            && between(due, now) > Duration::from_secs(u64::try_from(deadline).unwrap_or(0))
        {
            let time = due.to_zoned(zone).strftime("%a, %d %b %Y %H:%M:%S %z").to_string();
            let message = format!("Missed scheduled time to start a job: {time}");
            self.tell(EventType::Warning, "MissSchedule", message, routine);
            return Ok(wait);
        }
        let name = format!("{}-{}", cron.meta.name, due.as_second().div_euclid(60));
        let same_time = |time: &k8s_openapi::apimachinery::pkg::apis::meta::v1::Time| time.0 == due;
        let listed = self.active().iter().any(|reference| reference.name.as_deref() == Some(&*name));
        if listed || cron.api.status.as_ref().and_then(|s| s.last_schedule_time.as_ref()).is_some_and(same_time) {
            return Ok(wait);
        }
        let active = self.active();
        match spec.concurrency_policy.as_deref() {
            Some("Forbid") if !active.is_empty() => {
                let why = "prior execution is running and concurrency policy is Forbid";
                let message = format!("Not starting job because {why}");
                self.tell(EventType::Normal, "JobAlreadyActive", message, routine);
                return Ok(wait);
            }
            Some("Replace") => {
                for reference in active {
                    self.delete(&reference.name.unwrap_or_default(), routine)?;
                }
            }
            _ => {}
        }
        self.start(&name, due, &zone, routine)?;
        Ok(wait)
    }

    fn start(&mut self, name: &str, due: Timestamp, zone: &TimeZone, routine: &mut Routine<'_>) -> Step<()> {
        let outcome = routine.call(|| self.creation(name, due, zone))?;
        let answer = match outcome {
            Ok(answer) => answer,
            Err(status) if status.is_namespace_terminating() => return Err(Interrupt::from(status)),
            Err(status) if &*status.reason == "AlreadyExists" => {
                let key = || Key { namespace: self.inputs.cron.meta.namespace.clone(), name: name.into() };
                routine.call(|| Call::get(Kind::Job, key()))??
            }
            Err(status) => {
                let message = format!("Error creating job: {}", status.message);
                self.tell(EventType::Warning, "FailedCreate", message, routine);
                return Err(Interrupt::from(status));
            }
        };
        self.tell(EventType::Normal, "SuccessfulCreate", format!("Created job {name}"), routine);
        let Some(job) = answer.object() else { return Ok(()) };
        let meta = job.meta();
        let mut active = self.active();
        active.push(ApiReference {
            api_version: Some(Kind::Job.api_version().to_owned()),
            kind: Some(Kind::Job.name().to_owned()),
            name: Some(meta.name.to_string()),
            namespace: Some(meta.namespace.to_string()),
            uid: Some(meta.uid.to_string()),
            resource_version: Some(meta.resource_version.to_string()),
            field_path: None,
        });
        self.set_active(active);
        let time = k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(due);
        self.report(|status| status.last_schedule_time = Some(time));
        Ok(())
    }

    /// The Job of a time. It goes as JSON, for its defaults are the server's.
    fn creation(&self, name: &str, due: Timestamp, zone: &TimeZone) -> Call {
        let cron = &self.inputs.cron;
        let template = &self.spec().job_template;
        let meta = template.metadata.clone().unwrap_or_default();
        let owner = controller_reference(Kind::CronJob, &cron.meta);
        let mut annotations = meta.annotations.unwrap_or_default();
        let scheduled = due.to_zoned(zone.clone()).strftime("%Y-%m-%dT%H:%M:%S%:z").to_string();
        annotations.insert(SCHEDULED.to_owned(), scheduled.replace("+00:00", "Z"));
        let value = json!({
            "apiVersion": "batch/v1", "kind": "Job",
            "metadata": {
                "name": name, "namespace": &*cron.meta.namespace,
                "labels": meta.labels, "annotations": annotations,
                "ownerReferences": [{
                    "apiVersion": &*owner.api_version, "kind": &*owner.kind, "name": &*owner.name, "uid": owner.uid.to_string(),
                    "controller": true, "blockOwnerDeletion": true,
                }],
            },
            "spec": template.spec,
        });
        Call {
            verb: Verb::Create,
            kind: Kind::Job,
            subresource: Default::default(),
            key: Key { namespace: cron.meta.namespace.clone(), name: name.into() },
            body: Body::Json(Arc::new(value)),
        }
    }

    fn write(&self, routine: &mut Routine<'_>) -> Step<()> {
        if !self.changed || self.cron.api.status == self.inputs.cron.api.status {
            return Ok(());
        }
        let written = routine.call(|| Call::update_status(Object::CronJob((*self.cron).clone())))??;
        if let Some(version) = written.object().map(|object| object.meta().resource_version) {
            routine.ask(|| Effect::Wrote(Kind::CronJob, version));
        }
        Ok(())
    }
}

/// Times of a schedule that have passed since the last Job.
struct Past {
    latest: Option<Timestamp>,
    missed: i64,
}

impl Past {
    /// Kubernetes: mostRecentScheduleTime. Between two times lies the same span wherever one looks, which is assumed for long gaps.
    fn of(cron: &Resource<CronJob>, schedule: &Schedule, zone: &TimeZone, now: Timestamp) -> Past {
        let spec = &cron.api.spec;
        let last = cron.api.status.as_ref().and_then(|status| status.last_schedule_time.as_ref()).map(|time| time.0);
        let mut earliest = last.unwrap_or(moment::time(cron.meta.created).0);
        if let Some(deadline) = spec.starting_deadline_seconds {
            let from = Timestamp::from_second(now.as_second().saturating_sub(deadline)).unwrap_or(earliest);
            earliest = earliest.max(from);
        }
        let next = |after| schedule.next(after, zone);
        let Some(first) = next(earliest).filter(|first| *first <= now) else { return Past { latest: None, missed: 0 } };
        let Some(second) = next(first).filter(|second| *second <= now) else {
            return Past { latest: Some(first), missed: 1 };
        };
        let between = (second.as_second() - first.as_second()).max(1);
        let passed = now.as_second() - first.as_second();
        let missed = passed / between + 1;
        // Close to now one goes step by step.
        let near =
            Timestamp::from_second(first.as_second() + (missed - 2) * between - 1).unwrap_or(first).max(earliest);
        let mut latest = first;
        let mut at = near;
        while let Some(time) = next(at).filter(|time| *time <= now) {
            (latest, at) = (time, time);
        }
        Past { latest: Some(latest), missed }
    }
}

fn between(from: Timestamp, to: Timestamp) -> Duration {
    let nanos = to.as_nanosecond() - from.as_nanosecond();
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::Instant;

    #[test]
    fn the_latest_of_many_missed_times_is_found() {
        let mut cron = CronJob::default();
        cron.spec.schedule = "*/5 * * * *".to_owned();
        let mut cron = Resource::new(cron, &|_| {});
        cron.meta.created = Instant::START;
        let schedule = Schedule::parse(&cron.api.spec.schedule).expect("a schedule");
        let at = |text: &str| text.parse::<Timestamp>().expect("a time");
        let past = |now: &str| Past::of(&cron, &schedule, &TimeZone::UTC, at(now));
        let found = past("2026-01-01T00:04:59Z");
        assert_eq!((found.latest, found.missed), (None, 0));
        let found = past("2026-01-01T00:05:00.1Z");
        assert_eq!((found.latest, found.missed), (Some(at("2026-01-01T00:05:00Z")), 1));
        let found = past("2026-01-02T00:01:00Z");
        assert_eq!((found.latest, found.missed), (Some(at("2026-01-02T00:00:00Z")), 288));
    }
}
