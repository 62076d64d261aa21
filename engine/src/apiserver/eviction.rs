//! Evictions: a pod is deleted if the disruption budgets allow it.
//!
//! An eviction reads the pod, takes one from the budget that selects it, marks the pod with the condition `DisruptionTarget`, and deletes
//! it: four steps at etcd in one request. Who loses a race for the budget's status waits half a second and looks again.
//!
//! Models: kubernetes v1.36.2 pkg/registry/core/pod/storage/eviction.go, pkg/apis/policy (Eviction). Left out: the time the API server's own
//! request for the budgets takes besides etcd's read.

use std::sync::Arc;

use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use serde_json::{Value, json};

use super::request::{Answer, Body, DeleteOptions, ListOptions};
use super::status::Status;
use super::{ApiServer, ApiServerEvent, Pending, registry, storage};
use crate::controllers::disruption::status::allowed_condition;
use crate::event::{Effects, Event};
use crate::kernel::{Duration, Instant};
use crate::objects::{Condition, Key, Kind, Name, Object, Pod, Resource, Uid, moment};
use crate::setup::Setup;

/// How often a conflict is tried again, and how long it waits before, a tenth more by luck; Kubernetes: EvictionsRetry.
const TRIES: u32 = 20;
const WAIT: Duration = Duration::from_millis(500);
/// Evictions that a budget's controller has not seen yet; Kubernetes: MaxDisruptedPodSize.
const MAX_DISRUPTED: usize = 2000;
const REFUSED: &str = "Cannot evict pod as it would violate the pod's disruption budget.";

/// An eviction under way.
#[derive(Clone, Debug)]
pub(super) struct Eviction {
    options: DeleteOptions,
    dry_run: bool,
    step: Step,
    tries: u32,
    /// The pod must still be at this version when it is marked, and what comes of it otherwise.
    version: Option<(u64, Changed)>,
    /// The budget that is asked.
    budget: Name,
}

/// What etcd is asked.
#[derive(Clone, Debug)]
enum Step {
    /// For the pod.
    Pod,
    /// For the budget.
    Budget(Arc<Object>),
    /// To take one from the budget.
    Take(Arc<Object>),
    /// To mark the pod, which then is this.
    Mark(Arc<Object>),
    /// To delete the pod, or to write it and then delete it.
    Delete { last: Option<Arc<Object>> },
}

/// What comes of a pod that has changed since it was looked at.
#[derive(Clone, Copy, Debug)]
enum Changed {
    /// Everything begins anew.
    Again,
    /// The client is told to come back.
    Later,
}

impl Eviction {
    /// Reads the body of an eviction.
    fn of(body: &Body, name: &str, dry_run: bool) -> Result<Self, Status> {
        let (options, dry) = match body {
            Body::Delete(options) => (options.clone(), false),
            Body::Json(value) => {
                if value["metadata"]["name"].as_str() != Some(name) {
                    return Err(Status::bad_request("name in URL does not match name in Eviction object"));
                }
                let options = &value["deleteOptions"];
                (delete_options(options), options["dryRun"].as_array().is_some_and(|all| !all.is_empty()))
            }
            _ => return Err(Status::bad_request("the request has no body")),
        };
        let dry_run = dry_run || dry;
        Ok(Eviction { options, dry_run, step: Step::Pod, tries: 0, version: None, budget: "".into() })
    }

    fn check(&self, pod: &Pod) -> Result<(), Status> {
        let wanted = DeleteOptions {
            resource_version: self.version.map(|(version, _)| version).or(self.options.resource_version),
            ..self.options.clone()
        };
        registry::check_preconditions(&wanted, &Object::Pod(pod.clone()))
    }
}

fn delete_options(options: &Value) -> DeleteOptions {
    let preconditions = &options["preconditions"];
    DeleteOptions {
        grace: options["gracePeriodSeconds"].as_i64(),
        uid: preconditions["uid"].as_str().and_then(Uid::parse),
        resource_version: preconditions["resourceVersion"].as_str().and_then(|text| text.parse().ok()),
        propagation: None,
    }
}

impl ApiServer {
    /// An eviction begins, or goes on after a wait.
    pub(super) fn evict(&mut self, id: u64, out: &mut Effects) {
        let Some(flight) = self.in_flight.get_mut(&id) else { return };
        let key = flight.request.key.clone();
        let asked = match &mut flight.eviction {
            Some(eviction) => match &eviction.step {
                Step::Budget(_) => (Kind::PodDisruptionBudget, Key { name: eviction.budget.clone(), ..key }),
                _ => (Kind::Pod, key),
            },
            none => match Eviction::of(&flight.request.body, &key.name, flight.request.options.dry_run) {
                Ok(eviction) => {
                    *none = Some(Box::new(eviction));
                    (Kind::Pod, key)
                }
                Err(status) => return self.reply(id, Err(status), out),
            },
        };
        flight.pending = Some(Pending::Evict);
        self.storage.read(flight.ask(id), asked.0, &asked.1, out);
    }

    /// etcd answered.
    pub(super) fn evicting(&mut self, id: u64, found: storage::Found, setup: &Setup, out: &mut Effects) {
        let Some(flight) = self.in_flight.get_mut(&id) else { return };
        let Some(eviction) = &flight.eviction else { return };
        let name = flight.request.key.name.clone();
        match (eviction.step.clone(), found) {
            (Step::Pod, storage::Found::Object(Some(pod))) => self.look(id, pod, setup, out),
            (Step::Budget(pod), storage::Found::Object(Some(budget))) => self.take_one(id, pod, &budget, setup, out),
            (Step::Budget(_), _) => {
                let status = Status::not_found(Kind::PodDisruptionBudget, &eviction.budget);
                self.reply(id, Err(status), out);
            }
            (Step::Take(pod), storage::Found::Written(_)) => self.mark(id, pod, setup, out),
            (Step::Take(pod), storage::Found::Object(_)) => self.try_again(id, Step::Budget(pod), setup, out),
            (Step::Mark(pod), storage::Found::Written(revision)) => {
                self.delete_evicted(id, super::stamped(pod, revision), setup, out);
            }
            (Step::Mark(_) | Step::Delete { .. }, storage::Found::Object(Some(current))) => {
                self.mark(id, current, setup, out);
            }
            (Step::Delete { last: Some(pod) }, storage::Found::Written(revision)) => {
                self.set_step(id, Step::Delete { last: None });
                self.write_pod(id, &pod, revision, None, out);
            }
            (Step::Delete { last: None }, storage::Found::Written(_)) => self.evicted(id, out),
            (_, storage::Found::Object(None) | storage::Found::Written(_)) => {
                self.reply(id, Err(Status::not_found(Kind::Pod, &name)), out);
            }
        }
    }

    /// The pod is known: which budget protects it?
    fn look(&mut self, id: u64, object: Arc<Object>, setup: &Setup, out: &mut Effects) {
        let Some(pod) = object.as_pod() else { return };
        let key = pod.meta.key();
        let budgets = self.cache.list(Kind::PodDisruptionBudget, &key.namespace, &ListOptions::default());
        let selecting = |budget: &&Arc<Object>| {
            budget.as_resource::<PodDisruptionBudget>().is_some_and(|budget| {
                let selector = &budget.compiled.0;
                !selector.is_empty() && selector.matches(&pod.meta.labels)
            })
        };
        let mut selecting = budgets.iter().filter(selecting);
        let (budget, others) = (selecting.next().cloned(), selecting.next().is_some());
        let Some(flight) = self.in_flight.get_mut(&id) else { return };
        let Some(eviction) = &mut flight.eviction else { return };
        let enforce = eviction.options.resource_version.is_none();
        let version = pod.meta.resource_version;
        if ignores_budgets(pod) {
            let ended = pod.status.phase.terminal() || pod.meta.deleting();
            eviction.version = (enforce && !ended).then_some((version, Changed::Again));
            return self.mark(id, object, setup, out);
        }
        if others {
            let why =
                "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.";
            return self.reply(id, Err(Status::internal(why)), out);
        }
        let Some(budget) = budget.as_ref().and_then(|budget| budget.as_resource::<PodDisruptionBudget>()) else {
            return self.mark(id, object, setup, out);
        };
        eviction.budget = budget.meta.name.clone();
        if !pod.ready() && lets_unready_go(budget) {
            eviction.version = enforce.then_some((version, Changed::Later));
            return self.mark(id, object, setup, out);
        }
        eviction.step = Step::Budget(object);
        self.evict(id, out);
    }

    /// Takes one from the budget as etcd has it.
    fn take_one(&mut self, id: u64, pod: Arc<Object>, budget: &Arc<Object>, setup: &Setup, out: &mut Effects) {
        let Some(budget) = budget.as_resource::<PodDisruptionBudget>() else { return };
        let Some(flight) = self.in_flight.get_mut(&id) else { return };
        let Some(eviction) = &mut flight.eviction else { return };
        let next = match decremented(budget, &pod.meta().name, out.wall()) {
            Ok(next) => next,
            Err(status) => return self.reply(id, Err(status), out),
        };
        if eviction.dry_run {
            return self.mark(id, pod, setup, out);
        }
        eviction.step = Step::Take(pod);
        flight.pending = Some(Pending::Evict);
        let (key, version) = (next.meta.key(), Some(budget.meta.resource_version));
        let next = Arc::new(Object::PodDisruptionBudget(next));
        self.storage.write(flight.ask(id), Kind::PodDisruptionBudget, &key, version, Some(next), None, out);
    }

    /// Marks the pod as it is now with its condition.
    fn mark(&mut self, id: u64, object: Arc<Object>, setup: &Setup, out: &mut Effects) {
        let Some(pod) = object.as_pod() else { return };
        let Some(flight) = self.in_flight.get_mut(&id) else { return };
        let Some(eviction) = &mut flight.eviction else { return };
        if let Err(status) = eviction.check(pod) {
            return match eviction.version {
                Some((_, Changed::Again)) if status.is_conflict() => self.try_again(id, Step::Pod, setup, out),
                Some((_, Changed::Later)) => {
                    let budget = eviction.budget.clone();
                    self.reply(id, Err(being_processed(&budget)), out)
                }
                _ => self.reply(id, Err(status), out),
            };
        }
        if eviction.dry_run {
            return self.evicted(id, out);
        }
        let second = Instant::from_nanos(out.wall().as_nanos() / 1_000_000_000 * 1_000_000_000);
        let mut marked = pod.clone();
        let target =
            Condition::new("DisruptionTarget", true, second).because("EvictionByEvictionAPI", "Eviction API: evicting");
        registry::set_condition(&mut marked.status.conditions, target);
        if marked == *pod {
            return self.delete_evicted(id, object, setup, out);
        }
        let (version, marked) = (pod.meta.resource_version, Arc::new(Object::Pod(marked)));
        eviction.step = Step::Mark(marked.clone());
        self.write_pod(id, &marked, version, Some(marked.clone()), out);
    }

    /// Deletes the pod, which is at the version that was just written or read.
    fn delete_evicted(&mut self, id: u64, object: Arc<Object>, setup: &Setup, out: &mut Effects) {
        let Some(flight) = self.in_flight.get_mut(&id) else { return };
        let Some(eviction) = &mut flight.eviction else { return };
        // From here on the mark is what the version is about.
        eviction.version = None;
        let options = DeleteOptions { resource_version: None, ..eviction.options.clone() };
        let second = Instant::from_nanos(out.wall().as_nanos() / 1_000_000_000 * 1_000_000_000);
        let version = object.meta().resource_version;
        let _ = setup;
        match registry::delete_with(&options, &object, second) {
            Err(status) => self.reply(id, Err(status), out),
            Ok(registry::Write::Answer(_)) => self.evicted(id, out),
            Ok(registry::Write::Put(next)) => {
                self.set_step(id, Step::Delete { last: None });
                let next = Arc::new(*next);
                self.write_pod(id, &object, version, Some(next), out);
            }
            Ok(registry::Write::PutThenDelete(next)) => {
                let next = Arc::new(*next);
                self.set_step(id, Step::Delete { last: Some(next.clone()) });
                self.write_pod(id, &object, version, Some(next), out);
            }
            Ok(registry::Write::Delete(_)) => {
                self.set_step(id, Step::Delete { last: None });
                self.write_pod(id, &object, version, None, out);
            }
        }
    }

    fn set_step(&mut self, id: u64, step: Step) {
        if let Some(eviction) = self.in_flight.get_mut(&id).and_then(|flight| flight.eviction.as_mut()) {
            eviction.step = step;
        }
    }

    fn write_pod(&mut self, id: u64, pod: &Object, version: u64, next: Option<Arc<Object>>, out: &mut Effects) {
        let Some(flight) = self.in_flight.get_mut(&id) else { return };
        flight.pending = Some(Pending::Evict);
        self.storage.write(flight.ask(id), Kind::Pod, &pod.key(), Some(version), next, None, out);
    }

    /// Somebody else was faster: after a while the step is done again.
    fn try_again(&mut self, id: u64, step: Step, setup: &Setup, out: &mut Effects) {
        let Some(flight) = self.in_flight.get_mut(&id) else { return };
        let Some(eviction) = &mut flight.eviction else { return };
        eviction.tries += 1;
        if eviction.tries >= TRIES {
            let why = format!("couldn't update PodDisruptionBudget \"{}\" due to conflicts", eviction.budget);
            let mut status = Status::timeout(&why);
            status.details = Some(Arc::new(json!({"retryAfterSeconds": 10})));
            return self.reply(id, Err(status), out);
        }
        eviction.step = step;
        let jitter = setup.luck("kube-apiserver", "eviction", &flight.request.key.name, id ^ u64::from(eviction.tries));
        let wait = WAIT + WAIT.fraction({ jitter }.below(100_000), 1_000_000);
        out.after(wait, Event::ApiServer(self.me, ApiServerEvent::Checked(id)));
    }

    fn evicted(&mut self, id: u64, out: &mut Effects) {
        let answer = json!({"apiVersion": "v1", "kind": "Status", "metadata": {}, "status": "Success", "code": 201});
        self.reply(id, Ok(Answer::Json(Arc::new(answer))), out);
    }
}

/// Whether the pod's loss disrupts nothing that is not disrupted already. Kubernetes: canIgnorePDB.
fn ignores_budgets(pod: &Pod) -> bool {
    pod.status.phase != crate::objects::Phase::Running || pod.meta.deleting()
}

/// Whether a pod that is not ready may go without using the budget.
fn lets_unready_go(budget: &Resource<PodDisruptionBudget>) -> bool {
    let policy = budget.api.spec.as_ref().and_then(|spec| spec.unhealthy_pod_eviction_policy.as_deref());
    let status = budget.api.status.clone().unwrap_or_default();
    let (healthy, desired) = (status.current_healthy.unwrap_or(0), status.desired_healthy.unwrap_or(0));
    policy == Some("AlwaysAllow") || (healthy >= desired && desired > 0)
}

/// The budget after this pod's disruption. Kubernetes: checkAndDecrement.
fn decremented(
    budget: &Resource<PodDisruptionBudget>,
    pod: &str,
    now: Instant,
) -> Result<Resource<PodDisruptionBudget>, Status> {
    let (status, name) = (budget.api.status.clone().unwrap_or_default(), &budget.meta.name);
    if status.observed_generation.unwrap_or(0) < budget.meta.generation {
        return Err(being_processed(name));
    }
    let kind = Kind::PodDisruptionBudget;
    let allowed = status.disruptions_allowed.unwrap_or(0);
    if allowed < 0 {
        return Err(Status::forbidden(kind, name, "pdb disruptions allowed is negative"));
    }
    if status.disrupted_pods.as_ref().is_some_and(|pods| pods.len() > MAX_DISRUPTED) {
        let why = "DisruptedPods map too big - too many evictions not confirmed by PDB controller";
        return Err(Status::forbidden(kind, name, why));
    }
    if allowed == 0 {
        let (needs, has) = (status.desired_healthy.unwrap_or(0), status.current_healthy.unwrap_or(0));
        return Err(refused(
            &format!("The disruption budget {name} needs {needs} healthy pods and has {has} currently"),
            0,
        ));
    }
    Ok(budget.with_status(|api| {
        let status = api.status.get_or_insert_default();
        status.disruptions_allowed = Some(allowed - 1);
        if allowed == 1 {
            allowed_condition(status, now);
        }
        status.disrupted_pods.get_or_insert_default().insert(pod.to_owned(), moment::time(now));
    }))
}

fn being_processed(name: &str) -> Status {
    refused(&format!("The disruption budget {name} is still being processed by the server."), 10)
}

/// 429, with when to come back. [s]
fn refused(cause: &str, seconds: u32) -> Status {
    let mut details = json!({"causes": [{"reason": "DisruptionBudget", "message": cause}]});
    if seconds > 0 {
        details["retryAfterSeconds"] = seconds.into();
    }
    let (reason, details) = ("TooManyRequests".into(), Some(Arc::new(details)));
    Status { code: 429, reason, message: REFUSED.into(), details }
}
