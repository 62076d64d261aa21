//! What a PodDisruptionBudget's status says: pure arithmetic.
//!
//! Models: kubernetes v1.36.2 pkg/controller/disruption/disruption.go (getExpectedPodCount, countHealthyPods, buildDisruptedPodMap,
//! updatePdbStatus, failSafe), staging/src/k8s.io/component-helpers/apps/poddisruptionbudget/helpers.go.

use std::collections::BTreeMap;

use k8s_openapi::api::policy::v1::{PodDisruptionBudgetSpec, PodDisruptionBudgetStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use crate::kernel::{Duration, Instant};
use crate::objects::{Pod, moment};

/// How long a pod that was evicted may take until its deletion is seen; Kubernetes: DeletionTimeout.
pub const DELETION_TIMEOUT: Duration = Duration::from_secs(120);
const ALLOWED: &str = "DisruptionAllowed";

/// The condition as the number of allowed disruptions has it. Kubernetes: UpdateDisruptionAllowedCondition.
pub fn allowed_condition(status: &mut PodDisruptionBudgetStatus, now: Instant) {
    let (holds, reason) = says(status);
    set(status, holds, reason, String::new(), now);
}

/// The status when it could not be computed because of `error`.
pub fn failed(status: &mut PodDisruptionBudgetStatus, error: String, now: Instant) {
    status.disruptions_allowed = Some(0);
    set(status, "False", "SyncFailed", error, now);
}

fn says(status: &PodDisruptionBudgetStatus) -> (&'static str, &'static str) {
    if status.disruptions_allowed.unwrap_or(0) > 0 { ("True", "SufficientPods") } else { ("False", "InsufficientPods") }
}

fn set(status: &mut PodDisruptionBudgetStatus, holds: &str, reason: &str, message: String, now: Instant) {
    let mut new = Condition {
        last_transition_time: moment::time(now),
        message,
        observed_generation: status.observed_generation,
        reason: reason.to_owned(),
        status: holds.to_owned(),
        type_: ALLOWED.to_owned(),
    };
    let conditions = status.conditions.get_or_insert_default();
    match conditions.iter_mut().find(|old| old.type_ == ALLOWED) {
        Some(old) => {
            if old.status == new.status {
                new.last_transition_time = old.last_transition_time.clone();
            }
            *old = new;
        }
        None => conditions.push(new),
    }
}

/// How many pods are wanted healthy, given the number of pods the budget selects and the scale of what controls them; with the number of
/// pods expected.
///
/// # Errors
/// When a percentage cannot be read, or the scale is not known and needed.
pub fn wanted(
    spec: &PodDisruptionBudgetSpec,
    pods: usize,
    scale: impl FnOnce() -> Result<i32, String>,
) -> Result<(i32, i32), String> {
    match (&spec.max_unavailable, &spec.min_available) {
        (Some(unavailable), _) => {
            let expected = scale()?;
            Ok((expected, (expected - scaled(unavailable, expected)?).max(0)))
        }
        (None, Some(IntOrString::Int(available))) => Ok((i32::try_from(pods).unwrap_or(i32::MAX), *available)),
        (None, Some(available)) => {
            let expected = scale()?;
            Ok((expected, scaled(available, expected)?))
        }
        (None, None) => Ok((0, 0)),
    }
}

/// A number, or a percentage of `total`, rounded up. Kubernetes: GetScaledValueFromIntOrPercent.
fn scaled(value: &IntOrString, total: i32) -> Result<i32, String> {
    match value {
        IntOrString::Int(value) => Ok(*value),
        IntOrString::String(text) => {
            let percent = text.strip_suffix('%').and_then(|digits| digits.parse::<i32>().ok());
            let percent =
                percent.ok_or("invalid value for IntOrString: invalid type: string is not a percentage".to_owned())?;
            Ok(((i64::from(percent) * i64::from(total)).div_euclid(100)
                + i64::from((i64::from(percent) * i64::from(total)).rem_euclid(100) > 0)) as i32)
        }
    }
}

/// Pods whose eviction has begun and is not seen yet.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Disrupted {
    /// When each began.
    pub pods: BTreeMap<String, Time>,
    /// When the first of them is given up.
    pub recheck: Option<Instant>,
    /// Those that should have gone by now and have not.
    pub overdue: Vec<usize>,
}

/// What is left of the pods whose eviction had begun.
pub fn disrupted(before: Option<&BTreeMap<String, Time>>, pods: &[&Pod], now: Instant) -> Disrupted {
    let mut left = Disrupted::default();
    let Some(before) = before.filter(|before| !before.is_empty()) else { return left };
    for (place, pod) in pods.iter().enumerate().filter(|(_, pod)| !pod.meta.deleting()) {
        let Some(began) = before.get(&*pod.meta.name) else { continue };
        let until = moment::instant(began) + DELETION_TIMEOUT;
        if until < now {
            left.overdue.push(place);
        } else {
            left.recheck = Some(left.recheck.map_or(until, |earliest: Instant| earliest.min(until)));
            left.pods.insert(pod.meta.name.to_string(), began.clone());
        }
    }
    left
}

/// How many pods count as healthy.
pub fn healthy(pods: &[&Pod], disrupted: &BTreeMap<String, Time>, now: Instant) -> i32 {
    let counts = |pod: &&&Pod| {
        let going = disrupted.get(&*pod.meta.name).is_some_and(|began| moment::instant(began) + DELETION_TIMEOUT > now);
        !pod.meta.deleting() && !going && pod.ready()
    };
    i32::try_from(pods.iter().filter(counts).count()).unwrap_or(i32::MAX)
}

/// The new status; `None` if it says nothing new.
pub fn updated(
    before: &PodDisruptionBudgetStatus,
    generation: i64,
    (healthy, desired, expected): (i32, i32, i32),
    disrupted: &BTreeMap<String, Time>,
    now: Instant,
) -> Option<PodDisruptionBudgetStatus> {
    let allowed = if expected <= 0 { 0 } else { (healthy - desired).max(0) };
    let mut status = PodDisruptionBudgetStatus {
        conditions: before.conditions.clone(),
        current_healthy: Some(healthy),
        desired_healthy: Some(desired),
        disrupted_pods: (!disrupted.is_empty()).then(|| disrupted.clone()),
        disruptions_allowed: Some(allowed),
        expected_pods: Some(expected),
        observed_generation: Some(generation),
    };
    allowed_condition(&mut status, now);
    let filled = PodDisruptionBudgetStatus {
        disrupted_pods: before.disrupted_pods.clone().filter(|pods| !pods.is_empty()),
        ..before.clone()
    };
    (status != filled).then_some(status)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(min: Option<IntOrString>, max: Option<IntOrString>) -> PodDisruptionBudgetSpec {
        PodDisruptionBudgetSpec { min_available: min, max_unavailable: max, ..Default::default() }
    }

    #[test]
    fn percentages_are_rounded_up() {
        let percent = |text: &str| Some(IntOrString::String(text.to_owned()));
        assert_eq!(wanted(&spec(percent("60%"), None), 3, || Ok(3)), Ok((3, 2)));
        assert_eq!(wanted(&spec(None, percent("30%")), 9, || Ok(7)), Ok((7, 4)));
        assert_eq!(wanted(&spec(None, Some(IntOrString::Int(9))), 9, || Ok(7)), Ok((7, 0)));
        // A number needs no controllers.
        assert_eq!(wanted(&spec(Some(IntOrString::Int(3)), None), 4, || Err("none".into())), Ok((4, 3)));
        assert!(wanted(&spec(percent("x"), None), 3, || Ok(3)).is_err());
    }

    #[test]
    fn nothing_is_allowed_while_no_pods_are_expected() {
        let at = |s: u64| Instant::START + Duration::from_secs(s);
        let none = PodDisruptionBudgetStatus::default();
        let first = updated(&none, 1, (4, 3, 4), &BTreeMap::new(), at(5)).expect("a first status");
        assert_eq!(first.disruptions_allowed, Some(1));
        assert_eq!(updated(&first, 1, (4, 3, 4), &BTreeMap::new(), at(9)), None);
        let later = updated(&first, 2, (4, 3, 0), &BTreeMap::new(), at(9)).expect("another");
        let condition = &later.conditions.as_ref().expect("conditions")[0];
        assert_eq!((later.disruptions_allowed, condition.reason.as_str()), (Some(0), "InsufficientPods"));
        assert_eq!(condition.last_transition_time, moment::time(at(9)));
    }
}
