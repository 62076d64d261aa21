//! The conditions of an autoscaler.
//!
//! Models: kubernetes v1.36.2 pkg/controller/podautoscaler/horizontal.go (setConditionInList).

use k8s_openapi::api::autoscaling::v2::{HorizontalPodAutoscalerCondition, HorizontalPodAutoscalerStatus};

use crate::kernel::Instant;
use crate::objects::moment;

/// `AbleToScale`.
pub(super) const ABLE: &str = "AbleToScale";
/// `ScalingActive`.
pub(super) const ACTIVE: &str = "ScalingActive";
/// `ScalingLimited`.
pub(super) const LIMITED: &str = "ScalingLimited";

/// Says whether a condition holds, and why; its transition is now if that is new.
pub(super) fn set_condition(
    status: &mut HorizontalPodAutoscalerStatus,
    kind: &str,
    holds: bool,
    (reason, message): (&str, &str),
    now: Instant,
) {
    let conditions = status.conditions.get_or_insert_default();
    let place = conditions.iter().position(|condition| condition.type_ == kind).unwrap_or_else(|| {
        conditions.push(HorizontalPodAutoscalerCondition { type_: kind.to_owned(), ..Default::default() });
        conditions.len() - 1
    });
    let Some(condition) = conditions.get_mut(place) else { return };
    let says = if holds { "True" } else { "False" };
    if condition.status != says {
        condition.last_transition_time = Some(moment::time(now));
        condition.status = says.to_owned();
    }
    condition.reason = Some(reason.to_owned());
    condition.message = Some(message.to_owned());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_keeps_its_time_until_its_status_changes() {
        let mut status = HorizontalPodAutoscalerStatus::default();
        let at = |seconds: u64| Instant::from_nanos(seconds * 1_000_000_000);
        set_condition(&mut status, ABLE, true, ("A", "a"), at(1));
        set_condition(&mut status, ABLE, true, ("B", "b"), at(2));
        let seen = |status: &HorizontalPodAutoscalerStatus| {
            let all = status.conditions.clone().unwrap_or_default();
            all.into_iter().map(|one| (one.status, one.reason, one.last_transition_time)).collect::<Vec<_>>()
        };
        assert_eq!(seen(&status), [("True".to_owned(), Some("B".to_owned()), Some(moment::time(at(1))))]);
        set_condition(&mut status, ABLE, false, ("C", "c"), at(3));
        assert_eq!(seen(&status), [("False".to_owned(), Some("C".to_owned()), Some(moment::time(at(3))))]);
    }
}
