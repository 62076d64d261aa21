//! The quality-of-service class of a pod.
//!
//! Models: kubernetes v1.36.2 pkg/apis/core/helper/qos/qos.go.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{PodSpec, ResourceRequirements};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as ApiQuantity;

use crate::objects::quantity::Quantity;

/// What a pod asks of what counts for its class.
#[derive(Default)]
struct Asked {
    requests: BTreeMap<&'static str, Quantity>,
    limits: BTreeMap<&'static str, Quantity>,
    /// Every container limits both.
    all_limited: bool,
}

/// `Guaranteed`, `Burstable` or `BestEffort`.
pub fn qos_class(spec: &PodSpec) -> &'static str {
    let nothing = ResourceRequirements::default();
    let mut asked = Asked { all_limited: true, ..Asked::default() };
    match &spec.resources {
        Some(whole) => asked.add(whole),
        None => {
            for container in spec.containers.iter().chain(spec.init_containers.iter().flatten()) {
                asked.add(container.resources.as_ref().unwrap_or(&nothing));
            }
        }
    }
    if asked.requests.is_empty() && asked.limits.is_empty() {
        return "BestEffort";
    }
    if asked.all_limited && asked.requests == asked.limits { "Guaranteed" } else { "Burstable" }
}

impl Asked {
    fn add(&mut self, resources: &ResourceRequirements) {
        sum(&mut self.requests, resources.requests.as_ref());
        self.all_limited &= sum(&mut self.limits, resources.limits.as_ref()) == 2;
    }
}

/// Adds up; gives how many of the two resources were asked for.
fn sum(total: &mut BTreeMap<&'static str, Quantity>, list: Option<&BTreeMap<String, ApiQuantity>>) -> usize {
    let mut found = 0;
    for name in ["cpu", "memory"] {
        let Some(quantity) = list.and_then(|list| list.get(name)) else { continue };
        let Some(quantity) = Quantity::try_from(quantity).ok().filter(|quantity| quantity.nanos() > 0) else {
            continue;
        };
        found += 1;
        let sum = total.get(name).map_or(quantity, |sum| sum.saturating_add(quantity));
        total.insert(name, sum);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class(containers: serde_json::Value) -> &'static str {
        qos_class(&serde_json::from_value(serde_json::json!({ "containers": containers })).expect("a spec"))
    }

    #[test]
    fn the_class_follows_requests_and_limits() {
        let both = serde_json::json!({"cpu": "1", "memory": "1Gi"});
        assert_eq!(class(serde_json::json!([{"name": "a"}])), "BestEffort");
        assert_eq!(class(serde_json::json!([{"name": "a", "resources": {"requests": {"cpu": "1"}}}])), "Burstable");
        let equal = serde_json::json!({"name": "a", "resources": {"requests": both, "limits": both}});
        assert_eq!(class(serde_json::json!([equal])), "Guaranteed");
        assert_eq!(class(serde_json::json!([equal, {"name": "b"}])), "Burstable");
    }
}
