//! From measured usage to a number of replicas.
//!
//! Pods are sorted into those that count, those that are not ready (their usage says nothing yet), those without a measurement and those
//! that are on their way out. The ratio of usage to target then scales the number of pods that count; where pods were left out, they are
//! filled in on the cautious side and the ratio is taken again.
//!
//! Models: kubernetes v1.36.2 pkg/controller/podautoscaler/replica_calculator.go, pkg/controller/podautoscaler/metrics/utilization.go.
//! Left out: metrics of objects, of pods other than resources, and external ones.

use std::collections::BTreeMap;

use crate::kernel::{Duration, Instant};

/// How long after its start a pod's CPU says little; Kubernetes: --horizontal-pod-autoscaler-cpu-initialization-period, 5 min.
pub const CPU_INITIALIZATION_PERIOD: Duration = Duration::from_secs(300);
/// How long after its start a pod may become unready for the first time without that counting as a change; Kubernetes:
/// --horizontal-pod-autoscaler-initial-readiness-delay, 30 s.
pub const INITIAL_READINESS_DELAY: Duration = Duration::from_secs(30);

/// A pod as the calculation sees it.
#[derive(Clone, PartialEq, Debug)]
pub struct Pod<'a> {
    /// Its name.
    pub name: &'a str,
    /// Where it is in its life.
    pub stage: Stage,
    /// `status.startTime`.
    pub started: Option<Instant>,
    /// The Ready condition: whether it is False, and since when it says what it says.
    pub ready: Option<Ready>,
    /// What its containers request of the resource [1/1000 of its unit], or the name of one that requests none.
    pub request: Result<i64, &'a str>,
}

/// Where a pod is in its life, as far as scaling cares.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stage {
    /// Failed, or being deleted: as if it were gone.
    Leaving,
    /// Not yet running.
    Pending,
    /// Anything else.
    Running,
}

/// The Ready condition of a pod.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ready {
    /// Whether its status is False; Unknown is not.
    pub is_false: bool,
    /// Since when.
    pub since: Instant,
}

/// A measurement of a pod.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PodMetric {
    /// Usage, averaged over the window. [1/1000 of the resource's unit]
    pub value: i64,
    /// The end of the window.
    pub at: Instant,
    /// How long was measured.
    pub window: Duration,
}

/// Measurements by the pods' names.
pub type PodMetrics<'a> = BTreeMap<&'a str, PodMetric>;

/// How far the ratio of usage and target may be from 1 without consequences.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Tolerances {
    /// Below 1.
    pub scale_down: f64,
    /// Above 1.
    pub scale_up: f64,
}

/// Kubernetes: --horizontal-pod-autoscaler-tolerance, 0.1.
pub const TOLERANCES: Tolerances = Tolerances { scale_down: 0.1, scale_up: 0.1 };

impl Tolerances {
    fn are_kept(self, ratio: f64) -> bool {
        1.0 - self.scale_down <= ratio && ratio <= 1.0 + self.scale_up
    }
}

/// What a calculation starts from.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// Now.
    pub now: Instant,
    /// The resource: `cpu`, `memory`.
    pub resource: &'a str,
    /// `spec.replicas` of what is scaled.
    pub current: i32,
    /// All pods that its selector picks.
    pub pods: &'a [Pod<'a>],
    /// What was measured of them.
    pub metrics: &'a PodMetrics<'a>,
    /// How exact to be.
    pub tolerances: Tolerances,
}

/// The outcome for a target in percent of the request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Utilization {
    /// How many replicas there should be.
    pub replicas: i32,
    /// What the pods use of what they request. [%]
    pub percent: i32,
    /// What a pod uses on average. [1/1000 of the resource's unit]
    pub average: i64,
}

/// The outcome for a target per pod.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AverageValue {
    /// How many replicas there should be.
    pub replicas: i32,
    /// What a pod uses on average. [1/1000 of the resource's unit]
    pub average: i64,
}

impl<'a> Question<'a> {
    /// The number of replicas with which the pods use `target` percent of what they request.
    ///
    /// # Errors
    /// With the controller's text, where there is nothing to calculate with.
    pub fn resource_utilization(&self, target: i32) -> Result<Utilization, String> {
        self.pods_exist()?;
        let groups = self.group();
        let mut metrics = self.counted(&groups);
        let requests = self.requests()?;
        if metrics.is_empty() {
            return Err(NO_METRICS.to_owned());
        }
        let (ratio, percent, average) = utilization(&metrics, &requests, target)?;
        let outcome = |replicas| Ok(Utilization { replicas, percent, average });
        let rebalance = !groups.unready.is_empty() && ratio > 1.0;
        if !rebalance && groups.missing.is_empty() {
            return outcome(self.scaled(ratio, groups.ready));
        }
        let request = |name: &str| requests.get(name).copied().unwrap_or(0);
        for name in &groups.missing {
            // A target above 100 % makes the pods count for that, so that scaling down stays cautious.
            let cautious = i64::from(target.max(100));
            if ratio < 1.0 {
                metrics.insert(name, request(name).saturating_mul(cautious) / 100);
            } else if ratio > 1.0 {
                metrics.insert(name, 0);
            }
        }
        if rebalance {
            metrics.extend(groups.unready.iter().map(|name| (*name, 0)));
        }
        let (again, _, _) = utilization(&metrics, &requests, target)?;
        outcome(self.rescaled(ratio, again, metrics.len()))
    }

    /// The number of replicas with which a pod uses `target` on average. [1/1000 of the resource's unit]
    ///
    /// # Errors
    /// With the controller's text, where there is nothing to calculate with.
    pub fn average_value(&self, target: i64) -> Result<AverageValue, String> {
        self.pods_exist()?;
        let groups = self.group();
        let mut metrics = self.counted(&groups);
        if metrics.is_empty() {
            return Err(NO_METRICS.to_owned());
        }
        let (ratio, average) = usage(&metrics, target);
        let outcome = |replicas| Ok(AverageValue { replicas, average });
        let rebalance = !groups.unready.is_empty() && ratio > 1.0;
        if !rebalance && groups.missing.is_empty() {
            return outcome(self.scaled(ratio, groups.ready));
        }
        let fill = if ratio < 1.0 { target } else { 0 };
        metrics.extend(groups.missing.iter().map(|name| (*name, fill)));
        if rebalance {
            metrics.extend(groups.unready.iter().map(|name| (*name, 0)));
        }
        let (again, _) = usage(&metrics, target);
        outcome(self.rescaled(ratio, again, metrics.len()))
    }

    fn pods_exist(&self) -> Result<(), String> {
        match self.pods {
            [] => Err("no pods returned by selector while calculating replica count".to_owned()),
            _ => Ok(()),
        }
    }

    fn group(&self) -> Groups<'a> {
        let mut groups = Groups::default();
        for pod in self.pods {
            match (pod.stage, self.metrics.get(pod.name)) {
                (Stage::Leaving, _) => groups.leaving.push(pod.name),
                (Stage::Pending, _) => groups.unready.push(pod.name),
                (Stage::Running, None) => groups.missing.push(pod.name),
                (Stage::Running, Some(metric)) => match self.resource == "cpu" && self.too_early(pod, *metric) {
                    true => groups.unready.push(pod.name),
                    false => groups.ready += 1,
                },
            }
        }
        groups
    }

    /// Whether the CPU of a pod may be that of its start.
    fn too_early(&self, pod: &Pod<'_>, metric: PodMetric) -> bool {
        let (Some(ready), Some(started)) = (pod.ready, pod.started) else { return true };
        if started + CPU_INITIALIZATION_PERIOD > self.now {
            ready.is_false || metric.at < ready.since + metric.window
        } else {
            ready.is_false && started + INITIAL_READINESS_DELAY > ready.since
        }
    }

    /// Usage of the pods that count, by name; that of pods the lister does not know too.
    fn counted(&self, groups: &Groups<'a>) -> BTreeMap<&'a str, i64> {
        let mut metrics: BTreeMap<&str, i64> =
            self.metrics.iter().map(|(name, metric)| (*name, metric.value)).collect();
        for name in groups.leaving.iter().chain(&groups.unready) {
            metrics.remove(name);
        }
        metrics
    }

    fn requests(&self) -> Result<BTreeMap<&'a str, i64>, String> {
        let request = |pod: &Pod<'a>| match pod.request {
            Ok(request) => Ok((pod.name, request)),
            Err(container) => {
                Err(format!("missing request for {} in container {container} of Pod {}", self.resource, pod.name))
            }
        };
        self.pods.iter().map(request).collect()
    }

    fn scaled(&self, ratio: f64, ready: usize) -> i32 {
        if self.tolerances.are_kept(ratio) { self.current } else { (ratio * ready as f64).ceil() as i32 }
    }

    /// The number of replicas once the pods that were left out are filled in: never against the direction of the first look.
    fn rescaled(&self, first: f64, again: f64, counted: usize) -> i32 {
        let turned = first < 1.0 && again > 1.0 || first > 1.0 && again < 1.0;
        if self.tolerances.are_kept(again) || turned {
            return self.current;
        }
        let replicas = (again * counted as f64).ceil() as i32;
        let against = again < 1.0 && replicas > self.current || again > 1.0 && replicas < self.current;
        if against { self.current } else { replicas }
    }
}

const NO_METRICS: &str = "did not receive metrics for targeted pods (pods might be unready)";

#[derive(Default)]
struct Groups<'a> {
    ready: usize,
    unready: Vec<&'a str>,
    missing: Vec<&'a str>,
    leaving: Vec<&'a str>,
}

/// Ratio to the target, percentage, average.
fn utilization(
    metrics: &BTreeMap<&str, i64>,
    requests: &BTreeMap<&str, i64>,
    target: i32,
) -> Result<(f64, i32, i64), String> {
    let (mut used, mut requested, mut count) = (0_i64, 0_i64, 0);
    for (name, value) in metrics {
        // Measurements of pods that the lister does not know (yet) do not count.
        let Some(request) = requests.get(name) else { continue };
        used = used.saturating_add(*value);
        requested = requested.saturating_add(*request);
        count += 1;
    }
    if requested == 0 {
        return Err("no metrics returned matched known pods".to_owned());
    }
    let percent = (used.saturating_mul(100) / requested) as i32;
    Ok((f64::from(percent) / f64::from(target), percent, used / count))
}

/// Ratio to the target, average.
fn usage(metrics: &BTreeMap<&str, i64>, target: i64) -> (f64, i64) {
    let total = metrics.values().fold(0_i64, |sum, value| sum.saturating_add(*value));
    let average = total / metrics.len().max(1) as i64;
    (average as f64 / target as f64, average)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Instant = Instant::from_nanos(10_000_000_000_000);

    fn pod(name: &str) -> Pod<'_> {
        let since = Instant::from_nanos(1_000_000_000);
        Pod {
            name,
            stage: Stage::Running,
            started: Some(since),
            ready: Some(Ready { is_false: false, since }),
            request: Ok(1000),
        }
    }

    fn metric(value: i64) -> PodMetric {
        PodMetric { value, at: NOW, window: Duration::from_secs(30) }
    }

    fn ask(pods: &[Pod<'_>], metrics: &PodMetrics<'_>, target: i32) -> Result<Utilization, String> {
        let current = pods.len() as i32;
        let question = Question { now: NOW, resource: "cpu", current, pods, metrics, tolerances: TOLERANCES };
        question.resource_utilization(target)
    }

    #[test]
    fn twice_the_target_doubles_and_a_little_more_than_it_changes_nothing() {
        let pods = [pod("a"), pod("b")];
        let metrics = PodMetrics::from([("a", metric(900)), ("b", metric(1100))]);
        let outcome = ask(&pods, &metrics, 50).expect("an outcome");
        assert_eq!(outcome, Utilization { replicas: 4, percent: 100, average: 1000 });
        assert_eq!(ask(&pods, &metrics, 91).map(|outcome| outcome.replicas), Ok(2), "109 % are within the tolerance");
    }

    #[test]
    fn pods_that_have_just_started_hold_a_scale_up_back() {
        let mut young = pod("b");
        young.started = Some(Instant::from_nanos(9_990_000_000_000));
        young.ready = Some(Ready { is_false: false, since: Instant::from_nanos(9_995_000_000_000) });
        let pods = [pod("a"), young];
        let metrics = PodMetrics::from([("a", metric(1000)), ("b", metric(1000))]);
        // Alone, a is at 200 %; with b at nothing both are at 100 %.
        assert_eq!(ask(&pods, &metrics, 50).map(|outcome| outcome.replicas), Ok(2));
    }

    #[test]
    fn a_missing_measurement_counts_as_all_that_is_requested_on_the_way_down() {
        let pods = [pod("a"), pod("b")];
        let metrics = PodMetrics::from([("a", metric(100))]);
        // 10 % and 100 % are 55 % together: above the target of 50 %.
        assert_eq!(ask(&pods, &metrics, 50).map(|outcome| (outcome.replicas, outcome.percent)), Ok((2, 10)));
    }

    #[test]
    fn what_cannot_be_calculated_is_said() {
        let mut bare = pod("a");
        bare.request = Err("main");
        let metrics = PodMetrics::from([("a", metric(100))]);
        let said = ask(&[bare], &metrics, 50);
        assert_eq!(said, Err("missing request for cpu in container main of Pod a".to_owned()));
        assert_eq!(ask(&[pod("a")], &PodMetrics::new(), 50), Err(NO_METRICS.to_owned()));
        let said = ask(&[], &metrics, 50);
        assert_eq!(said, Err("no pods returned by selector while calculating replica count".to_owned()));
    }
}
