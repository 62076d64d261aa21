//! The status subresource as a person's tool writes it, in JSON.
//!
//! Models: kubernetes v1.36.2 pkg/registry/core/{pod,node}/strategy.go (the status strategies: metadata comes along, the
//! spec does not). Left out: status of other kinds, container statuses.

use std::sync::Arc;

use serde_json::Value;

use crate::apiserver::status::Status;
use crate::kernel::Instant;
use crate::objects::{Condition, ConditionStatus, Name, Object, Phase, calendar, json};

/// The present object with the status, labels and annotations of `wanted`, whose JSON is `value`.
pub fn with_json(current: &Object, wanted: &Object, value: &Value, now: Instant) -> Result<Object, Status> {
    let mut next = current.clone();
    let status = &value["status"];
    match (&mut next, wanted) {
        (Object::Pod(next), Object::Pod(wanted)) => {
            let text = |key: &str| status[key].as_str().unwrap_or_default().to_owned();
            next.status.phase = match status["phase"].as_str() {
                Some("Running") => Phase::Running,
                Some("Succeeded") => Phase::Succeeded,
                Some("Failed") => Phase::Failed,
                Some("Unknown") => Phase::Unknown,
                _ => Phase::Pending,
            };
            next.status.reason = text("reason").into();
            next.status.message = text("message").into();
            next.status.observed_generation = status["observedGeneration"].as_i64().unwrap_or(0);
            next.status.conditions =
                status["conditions"].as_array().into_iter().flatten().map(|value| condition(value, now)).collect();
            next.meta.labels = wanted.meta.labels.clone();
            next.meta.annotations = wanted.meta.annotations.clone();
        }
        (Object::Node(next), Object::Node(wanted)) => {
            next.status.capacity = quantities(&status["capacity"]);
            next.status.allocatable = quantities(&status["allocatable"]);
            next.meta.labels = wanted.meta.labels.clone();
            next.meta.annotations = wanted.meta.annotations.clone();
        }
        (next, wanted) if wanted.is_resource() => {
            next.adopt_status(wanted);
            next.meta_mut().labels = wanted.meta().labels.clone();
            next.meta_mut().annotations = wanted.meta().annotations.clone();
        }
        _ => {
            let message =
                format!("wavetank does not simulate writing the status of {} by hand", current.kind().plural());
            return Err(Status { code: 501, reason: "".into(), message: message.into(), details: None });
        }
    }
    Ok(next)
}

fn condition(value: &Value, now: Instant) -> Condition {
    let text = |key: &str| value[key].as_str().unwrap_or_default().to_owned();
    let at = value["lastTransitionTime"].as_str().and_then(|text| calendar::parse_rfc3339_nanos(text).ok());
    let at = at.map_or(now, |ns| Instant::from_nanos(u64::try_from(ns - json::EPOCH_NS).unwrap_or(0)));
    let mut condition = Condition::new(text("type"), ConditionStatus::parse(&text("status")), at);
    condition.observed_generation = value["observedGeneration"].as_i64().unwrap_or(0);
    condition.because(text("reason"), text("message"))
}

fn quantities(value: &Value) -> Arc<[(Name, Name)]> {
    let pairs = value.as_object().into_iter().flatten();
    pairs.map(|(name, quantity)| (name.as_str().into(), quantity.as_str().unwrap_or_default().into())).collect()
}
