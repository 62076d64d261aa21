//! What a metric of the spec says: how many replicas it asks for, or why it says nothing.
//!
//! Models: kubernetes v1.36.2 pkg/controller/podautoscaler/horizontal.go (computeReplicasForMetric and computeStatusFor…),
//! pkg/controller/podautoscaler/metrics/client.go.

use k8s_openapi::api::autoscaling::v2::{
    ContainerResourceMetricStatus, MetricSpec, MetricStatus, MetricTarget, MetricValueStatus, ResourceMetricStatus,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as ApiQuantity;

use super::replicas::{Pod, PodMetric, PodMetrics, Question, Ready, Stage, TOLERANCES, Tolerances};
use super::sync::Sync;
use crate::apiserver::request::Answer;
use crate::client::connection::Call;
use crate::client::routine::{Routine, Step};
use crate::controllers::deployment::whole_seconds;
use crate::controllers::disruption::scale::go_selector;
use crate::kernel::Instant;
use crate::metrics_server::{self, PodUsage};
use crate::objects::event::EventType;
use crate::objects::quantity::Quantity;
use crate::objects::selector::Selector;
use crate::objects::{ConditionStatus, Phase};

/// What a metric asks for.
#[derive(Clone, Debug)]
pub(super) struct Proposal {
    pub(super) replicas: i32,
    /// As events name it.
    pub(super) name: String,
    pub(super) status: MetricStatus,
    /// For people: what was measured.
    pub(super) measured: String,
    /// The end of the oldest window.
    pub(super) sampled: Option<Instant>,
}

/// Why a metric asks for nothing: the error, and reason and message of the condition.
#[derive(Clone, Debug)]
pub(super) struct Failure {
    pub(super) error: String,
    pub(super) condition: (&'static str, String),
}

/// What is asked of the API: how it is called, the resource, the container if it is about one only.
struct Source<'s> {
    reason: &'static str,
    resource: &'s str,
    container: Option<&'s str>,
    target: &'s MetricTarget,
}

impl Sync<'_> {
    /// What a metric says.
    pub(super) fn metric(
        &self,
        spec: &MetricSpec,
        current: i32,
        selector: &Selector,
        routine: &mut Routine<'_>,
    ) -> Step<Result<Proposal, Failure>> {
        if let Some(resource) = spec.resource.as_ref().filter(|_| spec.type_ == "Resource") {
            let (name, target) = (&*resource.name, &resource.target);
            let source = Source { reason: "FailedGetResourceMetric", resource: name, container: None, target };
            return Ok(self.resource(&source, current, selector, routine)?.map_err(|error| {
                self.failure(
                    source.reason,
                    error,
                    |error| format!("failed to get {name} resource metric value: {error}"),
                    routine,
                )
            }));
        }
        if let Some(resource) = spec.container_resource.as_ref().filter(|_| spec.type_ == "ContainerResource") {
            let (name, target, container) = (&*resource.name, &resource.target, Some(&*resource.container));
            let source = Source { reason: "FailedGetContainerResourceMetric", resource: name, container, target };
            return Ok(self.resource(&source, current, selector, routine)?.map_err(|error| {
                self.failure(
                    source.reason,
                    error,
                    |error| format!("failed to get {name} container metric value: {error}"),
                    routine,
                )
            }));
        }
        let nobody =
            "unable to fetch metrics from custom metrics API: no custom metrics API (custom.metrics.k8s.io) registered";
        let failed = |reason, error, wrap: &dyn Fn(&str) -> String, routine: &mut Routine<'_>| {
            Ok(Err(self.failure(reason, error, wrap, routine)))
        };
        match (&*spec.type_, &spec.pods, &spec.object, &spec.external) {
            ("Pods", Some(pods), _, _) => {
                let error = format!("unable to get metric {}: {nobody}", pods.metric.name);
                failed(
                    "FailedGetPodsMetric",
                    error,
                    &|error| format!("failed to get pods metric value: {error}"),
                    routine,
                )
            }
            ("Object", _, Some(object), _) => {
                let (name, about) = (&object.metric.name, &object.described_object);
                let namespace = &self.inputs.hpa.meta.namespace;
                let error =
                    format!("unable to get metric {name}: {} on {namespace} {}/{nobody}", about.kind, about.name);
                failed(
                    "FailedGetObjectMetric",
                    error,
                    &|error| format!("failed to get object metric value: {error}"),
                    routine,
                )
            }
            ("External", _, _, Some(external)) => {
                let (name, namespace) = (&external.metric.name, &self.inputs.hpa.meta.namespace);
                let labels = external.metric.selector.as_ref();
                let compiled = Selector::from_api(labels).unwrap_or(Selector::nothing());
                let error = format!(
                    "unable to get external metric {namespace}/{name}/{}: unable to fetch metrics from external metrics API: the server \
                     could not find the requested resource (get {name}.external.metrics.k8s.io)",
                    go_selector(labels, &compiled)
                );
                let wrap = |error: &str| format!("failed to get {name} external metric value: {error}");
                failed("FailedGetExternalMetric", error, &wrap, routine)
            }
            (kind, ..) => {
                let error = format!("unknown metric source type \"{kind}\"");
                failed("InvalidMetricSourceType", error, &str::to_owned, routine)
            }
        }
    }

    /// Tells people, and says what becomes of the condition.
    fn failure(
        &self,
        reason: &'static str,
        error: String,
        wrap: impl Fn(&str) -> String,
        routine: &mut Routine<'_>,
    ) -> Failure {
        routine.event(&self.inputs.about, EventType::Warning, reason, || error.clone());
        let message = format!("the HPA was unable to compute the replica count: {error}");
        Failure { error: wrap(&error), condition: (reason, message) }
    }

    fn resource(
        &self,
        source: &Source<'_>,
        current: i32,
        selector: &Selector,
        routine: &mut Routine<'_>,
    ) -> Step<Result<Proposal, String>> {
        let Source { resource, target, .. } = source;
        let (average, what) = match (target.average_value.as_ref(), target.average_utilization) {
            (Some(_), _) => (true, "usage"),
            (None, Some(_)) => (false, "utilization"),
            (None, None) => {
                let neither = "neither an average utilization target nor an average value (usage) target was set";
                return Ok(Err(format!("invalid resource metric source: {neither}")));
            }
        };
        let namespace = &self.inputs.hpa.meta.namespace;
        let usages = match routine.call(|| Call::pod_metrics(namespace, selector.clone()))? {
            Ok(Answer::Json(list)) => Ok(metrics_server::read(&list)),
            Ok(_) => Ok(Vec::new()),
            Err(status) => Err(format!("unable to fetch metrics from resource metrics API: {}", status.message)),
        };
        let usages = usages.and_then(|usages| match usages.is_empty() {
            true => Err("no metrics returned from resource metrics API".to_owned()),
            false => Ok(usages),
        });
        let now = routine.now();
        let proposal = usages
            .as_deref()
            .map_err(String::clone)
            .and_then(|usages| metrics(usages, source, namespace))
            .map_err(|error| format!("unable to get metrics for resource {resource}: {error}"))
            .and_then(|metrics| {
                let pods: Vec<Pod<'_>> = self.pods(resource, source.container).collect();
                let tolerances = self.tolerances();
                let question = Question { now, resource, current, pods: &pods, metrics: &metrics, tolerances };
                let sampled = metrics.values().map(|metric| metric.at).min();
                let of = format!("{} of {} pods measured", metrics.len(), pods.len());
                if average {
                    let goal = target.average_value.as_ref().and_then(|goal| Quantity::parse(&goal.0).ok());
                    let found = question.average_value(goal.map_or(0, Quantity::milli))?;
                    let goal = goal.map_or_else(String::new, Quantity::canonical);
                    let measured = format!("{resource} {} of {goal}, {of}", milli(found.average));
                    let value =
                        MetricValueStatus { average_value: Some(quantity(found.average)), ..Default::default() };
                    let (name, status) = (format!("{resource} resource"), source.status(value));
                    return Ok(Proposal { replicas: found.replicas, name, status, measured, sampled });
                }
                let goal = target.average_utilization.unwrap_or_default();
                let found = question.resource_utilization(goal)?;
                let measured = format!("{resource} {}% of {goal}%, {of}", found.percent);
                let value = MetricValueStatus {
                    average_utilization: Some(found.percent),
                    average_value: Some(quantity(found.average)),
                    ..Default::default()
                };
                let name = format!("{resource} resource utilization (percentage of request)");
                Ok(Proposal { replicas: found.replicas, name, status: source.status(value), measured, sampled })
            });
        Ok(proposal.map_err(|error| format!("failed to get {resource} {what}: {error}")))
    }

    /// The pods as the calculation sees them.
    fn pods<'s>(&'s self, resource: &'s str, container: Option<&'s str>) -> impl Iterator<Item = Pod<'s>> {
        self.inputs.pods.iter().filter_map(move |object| {
            let pod = object.as_pod()?;
            let stage = match pod.status.phase {
                _ if pod.meta.deleting() => Stage::Leaving,
                Phase::Failed => Stage::Leaving,
                Phase::Pending => Stage::Pending,
                _ => Stage::Running,
            };
            // The API's times have whole seconds, as those of samples have.
            let ready = pod.condition("Ready").map(|condition| Ready {
                is_false: condition.status == ConditionStatus::False,
                since: whole_seconds(condition.transition),
            });
            let (name, started) = (&*pod.meta.name, pod.status.start_time.map(whole_seconds));
            Some(Pod { name, stage, started, ready, request: request(pod, resource, container) })
        })
    }

    fn tolerances(&self) -> Tolerances {
        let behavior = self.inputs.hpa.api.spec.behavior.as_ref();
        let read = |quantity: &ApiQuantity| Some(Quantity::parse(&quantity.0).ok()?.milli() as f64 / 1_000.0);
        let of = |rules: Option<&k8s_openapi::api::autoscaling::v2::HPAScalingRules>, default: f64| {
            rules.and_then(|rules| rules.tolerance.as_ref()).and_then(read).unwrap_or(default)
        };
        Tolerances {
            scale_down: of(behavior.and_then(|behavior| behavior.scale_down.as_ref()), TOLERANCES.scale_down),
            scale_up: of(behavior.and_then(|behavior| behavior.scale_up.as_ref()), TOLERANCES.scale_up),
        }
    }
}

impl Source<'_> {
    fn status(&self, current: MetricValueStatus) -> MetricStatus {
        let name = self.resource.to_owned();
        match self.container {
            None => MetricStatus {
                type_: "Resource".to_owned(),
                resource: Some(ResourceMetricStatus { name, current }),
                ..Default::default()
            },
            Some(container) => MetricStatus {
                type_: "ContainerResource".to_owned(),
                container_resource: Some(ContainerResourceMetricStatus {
                    container: container.to_owned(),
                    name,
                    current,
                }),
                ..Default::default()
            },
        }
    }
}

/// The measurements by pod: the sum over its containers, or that of one.
fn metrics<'u>(usages: &'u [PodUsage], source: &Source<'_>, namespace: &str) -> Result<PodMetrics<'u>, String> {
    let mut metrics = PodMetrics::new();
    for usage in usages {
        let amount = |(_, cpu, memory): &(String, i64, i64)| if source.resource == "cpu" { *cpu } else { *memory };
        let value = match source.container {
            None if !matches!(source.resource, "cpu" | "memory") => continue,
            None => usage.containers.iter().map(amount).fold(0, i64::saturating_add),
            Some(wanted) => {
                let found = usage.containers.iter().find(|(name, ..)| name == wanted);
                let missing =
                    || format!("container {wanted} not present in metrics for pod {namespace}/{}", usage.name);
                let found = found.ok_or_else(missing)?;
                if !matches!(source.resource, "cpu" | "memory") {
                    continue;
                }
                amount(found)
            }
        };
        metrics.insert(&usage.name, PodMetric { value, at: usage.at, window: usage.window });
    }
    Ok(metrics)
}

/// What the containers request, or the name of one that requests nothing. Kubernetes: calculatePodRequests.
fn request<'p>(pod: &'p crate::objects::Pod, resource: &str, only: Option<&str>) -> Result<i64, &'p str> {
    let spec = &pod.spec.api;
    let sidecars = spec.init_containers.iter().flatten();
    let sidecars = sidecars.filter(|container| crate::objects::pod_terms::requests::is_sidecar(container));
    let mut sum = 0_i64;
    for container in spec.containers.iter().chain(sidecars).filter(|it| only.is_none_or(|only| it.name == only)) {
        let requests = container.resources.as_ref().and_then(|resources| resources.requests.as_ref());
        let request = requests.and_then(|requests| requests.get(resource));
        let request = request.and_then(|request| Quantity::parse(&request.0).ok()).ok_or(&*container.name)?;
        sum = sum.saturating_add(request.milli());
    }
    Ok(sum)
}

/// As Go's `NewMilliQuantity` in `DecimalSI` is written.
fn quantity(milli: i64) -> ApiQuantity {
    ApiQuantity(self::milli(milli))
}

fn milli(milli: i64) -> String {
    let text = format!("{milli}m");
    Quantity::parse(&text).map_or(text, Quantity::canonical)
}
