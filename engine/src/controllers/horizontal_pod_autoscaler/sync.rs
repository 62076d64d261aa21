//! A sync of an autoscaler: its target's scale, what the metrics ask for, the new size, the report.
//!
//! Models: kubernetes v1.36.2 pkg/controller/podautoscaler/horizontal.go (reconcileAutoscaler, computeReplicasForMetrics).

use std::sync::Arc;

use k8s_openapi::api::autoscaling::v2::{HorizontalPodAutoscalerSpec, HorizontalPodAutoscalerStatus, MetricStatus};
use serde_json::{Value, json};

use super::Inputs;
use super::metrics::{Failure, Proposal};
use super::normalize::{Behavior, History, Normalized, Sizes, normalize};
use super::status::{ABLE, ACTIVE, LIMITED, set_condition};
use crate::apiserver::request::{Answer, Body, Subresource, Verb};
use crate::apiserver::status::Status;
use crate::client::connection::Call;
use crate::client::routine::{Effect, Routine, Step};
use crate::objects::event::EventType;
use crate::objects::selector::Selector;
use crate::objects::{Key, Kind, Object, Text, moment};
use crate::trace::What;
use crate::trace::note::Scaling;

pub(super) struct Sync<'a> {
    pub(super) inputs: &'a Inputs,
    /// As it is to be reported.
    status: HorizontalPodAutoscalerStatus,
    /// With what this sync adds.
    pub(super) history: History,
}

/// What the metrics ask for.
struct Wanted {
    /// `None` where they ask for nothing.
    replicas: Option<i32>,
    /// The metric that asks for most.
    name: String,
    statuses: Vec<MetricStatus>,
    measured: Vec<String>,
    sampled: Option<crate::kernel::Instant>,
    /// What failed, though others did not.
    error: String,
}

/// The scale of the target.
struct Scale {
    json: Arc<Value>,
    replicas: i32,
}

impl<'a> Sync<'a> {
    pub(super) fn new(inputs: &'a Inputs) -> Self {
        let status = inputs.hpa.api.status.clone().unwrap_or_default();
        Sync { inputs, status, history: inputs.history.clone() }
    }

    fn spec(&self) -> &'a HorizontalPodAutoscalerSpec {
        &self.inputs.hpa.api.spec
    }

    fn reference(&self) -> String {
        let target = &self.spec().scale_target_ref;
        format!("{}/{}/{}", target.kind, self.inputs.hpa.meta.namespace, target.name)
    }

    fn warn(&self, reason: &'static str, message: &str, routine: &mut Routine<'_>) {
        routine.event(&self.inputs.about, EventType::Warning, reason, || message.to_owned());
    }

    fn condition(&mut self, kind: &str, holds: bool, because: (&str, &str), routine: &Routine<'_>) {
        set_condition(&mut self.status, kind, holds, because, routine.now());
    }

    /// The whole sync; the text is what it complains of.
    pub(super) fn run(&mut self, routine: &mut Routine<'_>) -> Step<String> {
        let target = &self.spec().scale_target_ref;
        let Some(kind) = super::kind_of(target) else {
            let group = target.api_version.as_deref().and_then(|version| version.split_once('/')).map_or("", |it| it.0);
            let error = format!("no matches for kind \"{}\" in group \"{group}\"", target.kind);
            self.no_scale(&error, routine)?;
            return Ok(format!("unable to determine resource for scale target reference: {error}"));
        };
        let key = Key { namespace: self.inputs.hpa.meta.namespace.clone(), name: target.name.as_str().into() };
        let scale = match routine.call(|| Call::get(kind, key.clone()).of(Subresource::Scale))? {
            Ok(answer) => Scale::of(&answer),
            Err(status) => {
                self.no_scale(&status.message, routine)?;
                return Ok(format!("failed to query scale subresource for {}: {}", self.reference(), status.message));
            }
        };
        let able = ("SucceededGetScale", "the HPA controller was able to get the target's current scale");
        self.condition(ABLE, true, able, routine);
        let (spec, current) = (self.spec(), scale.replicas);
        self.history.begin(current, routine.now());
        let least = spec.min_replicas.unwrap_or(1);
        let mut complaint = String::new();
        let (mut desired, mut reason, mut wanted) = (current, String::new(), None);
        if current == 0 && least != 0 {
            let why = ("ScalingDisabled", "scaling is disabled since the replica count of the target is zero");
            self.condition(ACTIVE, false, why, routine);
        } else if current > spec.max_replicas {
            (desired, reason) = (spec.max_replicas, "Current number of replicas above Spec.MaxReplicas".to_owned());
            self.decided(current, desired, desired, "", None, routine);
        } else if current < least {
            (desired, reason) = (least, "Current number of replicas below Spec.MinReplicas".to_owned());
            self.decided(current, desired, desired, "", None, routine);
        } else {
            let found = self.wanted(&scale, routine)?;
            let Some(proposed) = found.replicas else {
                self.report(current, self.status.desired_replicas, found.statuses, false, routine);
                self.write(routine)?;
                self.warn("FailedComputeMetricsReplicas", &found.error, routine);
                let what = "failed to compute desired number of replicas based on listed metrics for";
                return Ok(format!("{what} {}: {}", self.reference(), found.error));
            };
            if proposed > current {
                reason = format!("{} above target", found.name);
            } else if proposed < current {
                reason = "All metrics below target".to_owned();
            }
            let sizes = Sizes { min: least, max: spec.max_replicas, current, desired: proposed };
            desired = self.normalize(sizes, &found, routine);
            complaint.clone_from(&found.error);
            wanted = Some(found);
        }
        let rescale = desired != current;
        if rescale && let Err(status) = self.rescale(kind, &key, &scale, desired, routine)? {
            let message = format!("New size: {desired}; reason: {reason}; error: {}", status.message);
            self.warn("FailedRescale", &message, routine);
            let why = format!("the HPA controller was unable to update the target scale: {}", status.message);
            self.condition(ABLE, false, ("FailedUpdateScale", &why), routine);
            let statuses = wanted.map_or_else(Vec::new, |wanted| wanted.statuses);
            self.report(current, self.status.desired_replicas, statuses, false, routine);
            self.write(routine)?;
            return Ok(format!("failed to rescale {}: {}", self.reference(), status.message));
        }
        if rescale {
            let why = format!("the HPA controller was able to update the target scale to {desired}");
            self.condition(ABLE, true, ("SucceededRescale", &why), routine);
            let message = || format!("New size: {desired}; reason: {reason}");
            routine.event(&self.inputs.about, EventType::Normal, "SuccessfulRescale", message);
            self.history.scaled(self.behavior().as_ref(), current, desired, routine.now());
        }
        let statuses = wanted.map_or_else(Vec::new, |wanted| wanted.statuses);
        self.report(current, desired, statuses, rescale, routine);
        let written = self.write(routine)?;
        Ok(if written.is_empty() { complaint } else { written })
    }

    fn behavior(&self) -> Option<Behavior> {
        self.spec().behavior.as_ref().map(Behavior::of)
    }

    fn no_scale(&mut self, error: &str, routine: &mut Routine<'_>) -> Step<()> {
        self.warn("FailedGetScale", error, routine);
        let why = format!("the HPA controller was unable to get the target's current scale: {error}");
        self.condition(ABLE, false, ("FailedGetScale", &why), routine);
        self.write(routine).map(|_| ())
    }

    /// What all metrics together ask for: the most that one asks for.
    fn wanted(&mut self, scale: &Scale, routine: &mut Routine<'_>) -> Step<Wanted> {
        let nothing = |error: String| Wanted {
            replicas: None,
            name: String::new(),
            statuses: Vec::new(),
            measured: Vec::new(),
            sampled: None,
            error,
        };
        let selector = match self.selector(scale, routine) {
            Ok(selector) => selector,
            Err(error) => return Ok(nothing(error)),
        };
        let specs = self.spec().metrics.as_deref().unwrap_or_default();
        let mut wanted = nothing(String::new());
        let mut invalid: Option<Failure> = None;
        let mut failures = 0;
        for spec in specs {
            match self.metric(spec, scale.replicas, &selector, routine)? {
                Ok(Proposal { replicas, name, status, measured, sampled }) => {
                    if wanted.replicas.is_none_or(|most| most == 0 || replicas > most) {
                        (wanted.replicas, wanted.name) = (Some(replicas), name);
                    }
                    wanted.statuses.push(status);
                    wanted.measured.push(measured);
                    wanted.sampled = wanted.sampled.into_iter().chain(sampled).min();
                }
                Err(failure) => {
                    failures += 1;
                    invalid.get_or_insert(failure);
                    wanted.statuses.push(MetricStatus::default());
                }
            }
        }
        if let Some(Failure { error, condition: (reason, message) }) = invalid {
            let all = specs.len();
            wanted.error = format!("invalid metrics ({failures} invalid out of {all}), first error is: {error}");
            // Some metric may be one that would hold a scale-down back.
            if failures >= all || wanted.replicas.is_none_or(|replicas| replicas < scale.replicas) {
                self.condition(ACTIVE, false, (reason, &message), routine);
                wanted.replicas = None;
                return Ok(wanted);
            }
        }
        let name = &wanted.name;
        let why = format!("the HPA was able to successfully calculate a replica count from {name}");
        self.condition(ACTIVE, true, ("ValidMetricFound", &why), routine);
        Ok(wanted)
    }

    fn selector(&mut self, scale: &Scale, routine: &mut Routine<'_>) -> Result<Selector, String> {
        let text = scale.json["status"]["selector"].as_str().unwrap_or_default();
        if text.is_empty() {
            let error = "selector is required".to_owned();
            self.warn("SelectorRequired", &error, routine);
            let why = ("InvalidSelector", "the HPA target's scale is missing a selector");
            self.condition(ACTIVE, false, why, routine);
            return Err(error);
        }
        let selector: Selector = match text.parse() {
            Ok(selector) => selector,
            Err(error) => {
                let error = format!("couldn't convert selector into a corresponding internal selector object: {error}");
                self.warn("InvalidSelector", &error, routine);
                self.condition(ACTIVE, false, ("InvalidSelector", &error), routine);
                return Err(error);
            }
        };
        let autoscalers = &self.inputs.autoscalers;
        if autoscalers.len() > 1 {
            let all = autoscalers.join(" ");
            let error = format!("pods by selector {text} are controlled by multiple HPAs: [{all}]");
            self.warn("AmbiguousSelector", &error, routine);
            self.condition(ACTIVE, false, ("AmbiguousSelector", &error), routine);
            return Err(error);
        }
        Ok(selector)
    }

    /// What of it is done now.
    fn normalize(&mut self, sizes: Sizes, wanted: &Wanted, routine: &mut Routine<'_>) -> i32 {
        let behavior = self.behavior();
        let Normalized { replicas, able, limited, is_limited } =
            normalize(sizes, behavior.as_ref(), &mut self.history, routine.now());
        self.condition(ABLE, true, able, routine);
        self.condition(LIMITED, is_limited, limited, routine);
        let held = match able.0 {
            _ if is_limited => limited.0,
            "ReadyForNewScale" => "",
            stabilized => stabilized,
        };
        self.decided(sizes.current, sizes.desired, replicas, held, Some(wanted), routine);
        replicas
    }

    /// For the trace.
    fn decided(
        &self,
        current: i32,
        proposed: i32,
        replicas: i32,
        held: &'static str,
        wanted: Option<&Wanted>,
        routine: &mut Routine<'_>,
    ) {
        let now = routine.now();
        routine.ask(|| {
            let measured = wanted.map_or_else(String::new, |wanted| wanted.measured.join("; "));
            let age = wanted.and_then(|wanted| wanted.sampled).map(|at| now.since(at));
            let held = Text::from(held);
            let scaling = Scaling { current, proposed, replicas, held, measured: measured.into(), age };
            Effect::Note(What::Scaling(Box::new(scaling)))
        });
    }

    fn rescale(
        &self,
        kind: Kind,
        key: &Key,
        scale: &Scale,
        replicas: i32,
        routine: &mut Routine<'_>,
    ) -> Step<Result<Answer, Status>> {
        routine.call(|| {
            let mut json = (*scale.json).clone();
            json["spec"] = json!({ "replicas": replicas });
            Call {
                verb: Verb::Update,
                kind,
                subresource: Subresource::Scale,
                key: key.clone(),
                body: Body::Json(Arc::new(json)),
            }
        })
    }

    fn report(
        &mut self,
        current: i32,
        desired: i32,
        metrics: Vec<MetricStatus>,
        rescaled: bool,
        routine: &Routine<'_>,
    ) {
        self.status.current_replicas = (current != 0).then_some(current);
        self.status.desired_replicas = desired;
        self.status.current_metrics = (!metrics.is_empty()).then_some(metrics);
        if rescaled {
            self.status.last_scale_time = Some(moment::time(routine.now()));
        }
    }

    /// Writes the status if it has changed; the text is what it complains of.
    fn write(&self, routine: &mut Routine<'_>) -> Step<String> {
        let hpa = &self.inputs.hpa;
        if hpa.api.status.as_ref() == Some(&self.status) {
            return Ok(String::new());
        }
        let status = self.status.clone();
        let reported = || hpa.with_status(|api| api.status = Some(status));
        match routine.call(|| Call::update_status(Object::HorizontalPodAutoscaler(reported())))? {
            Ok(_) => Ok(String::new()),
            Err(status) => {
                self.warn("FailedUpdateStatus", &status.message, routine);
                Ok(format!("failed to update status for {}: {}", hpa.meta.name, status.message))
            }
        }
    }
}

impl Scale {
    fn of(answer: &Answer) -> Scale {
        let json = match answer {
            Answer::Json(json) => json.clone(),
            _ => Arc::default(),
        };
        let replicas = json["spec"]["replicas"].as_i64().and_then(|replicas| i32::try_from(replicas).ok());
        Scale { replicas: replicas.unwrap_or(0), json }
    }
}
