//! What a failed pod means for its Job, and which successes are enough.
//!
//! Models: kubernetes v1.36.2 pkg/controller/job/{pod_failure_policy,success_policy}.go.

use k8s_openapi::api::batch::v1::{
    JobSpec, PodFailurePolicyOnExitCodesRequirement, PodFailurePolicyOnPodConditionsPattern, SuccessPolicy,
};

use super::indexes::Indexes;
use crate::objects::{ContainerState, ContainerStatus, Pod};

/// What a failed pod means.
#[derive(Clone, PartialEq, Debug)]
pub struct Verdict {
    /// Why the Job fails because of it.
    pub job_fails: Option<String>,
    /// Whether it counts against the limit.
    pub counts: bool,
    /// Whether its index fails because of it.
    pub index_fails: bool,
}

/// What a failed pod means by the Job's failure policy.
pub fn verdict(spec: &JobSpec, pod: &Pod) -> Verdict {
    let counts = Verdict { job_fails: None, counts: true, index_fails: false };
    let Some(policy) = &spec.pod_failure_policy else { return counts };
    for (n, rule) in policy.rules.iter().enumerate() {
        let place = || (&pod.meta.namespace, &pod.meta.name);
        let matched = if let Some(codes) = &rule.on_exit_codes {
            ended(pod, codes).map(|(container, code)| {
                let (namespace, name) = place();
                format!("Container {container} for pod {namespace}/{name} failed with exit code {code}")
            })
        } else {
            let patterns = rule.on_pod_conditions.iter().flatten();
            patterns.filter_map(|pattern| holds(pod, pattern)).next().map(|kind| {
                let (namespace, name) = place();
                format!("Pod {namespace}/{name} has condition {kind}")
            })
        };
        let Some(what) = matched else { continue };
        return match rule.action.as_str() {
            "Ignore" => Verdict { counts: false, ..counts },
            "FailIndex" => Verdict { index_fails: true, ..counts },
            "FailJob" => Verdict { job_fails: Some(format!("{what} matching FailJob rule at index {n}")), ..counts },
            _ => counts,
        };
    }
    counts
}

/// The container that failed in a way the rule means.
fn ended<'a>(pod: &'a Pod, rule: &PodFailurePolicyOnExitCodesRequirement) -> Option<(&'a str, i32)> {
    let all = pod.status.containers.iter().chain(pod.status.init_containers.iter());
    let code = |status: &ContainerStatus| match status.state {
        ContainerState::Terminated { exit_code, .. } => Some(exit_code),
        _ => None,
    };
    let failed = all.filter_map(|status| Some((&*status.name, code(status)?))).filter(|(_, code)| *code != 0);
    let meant = |name: &str| rule.container_name.as_deref().is_none_or(|wanted| wanted == name);
    failed.filter(|(name, _)| meant(name)).find(|(_, code)| rule.values.contains(code) == (rule.operator == "In"))
}

/// The condition of the pod that the pattern means.
fn holds<'a>(pod: &Pod, pattern: &'a PodFailurePolicyOnPodConditionsPattern) -> Option<&'a str> {
    let wanted = pattern.status.as_deref().unwrap_or("True");
    let condition = pod.condition(&pattern.type_)?;
    (condition.status.as_str() == wanted).then_some(pattern.type_.as_str())
}

/// Whether a Job waits for the end of a terminating pod before it replaces it. Kubernetes: onlyReplaceFailedPods.
pub fn replaces_only_failed(spec: &JobSpec) -> bool {
    spec.pod_failure_policy.is_some() || spec.pod_replacement_policy.as_deref() == Some("Failed")
}

/// Whether a pod counts as failed.
pub fn failed(spec: &JobSpec, pod: &Pod) -> bool {
    use crate::objects::Phase;
    pod.status.phase == Phase::Failed
        || !replaces_only_failed(spec) && pod.meta.deleting() && pod.status.phase != Phase::Succeeded
}

/// The rule by which these successes are enough.
pub fn enough(policy: Option<&SuccessPolicy>, completions: i32, succeeded: &Indexes) -> Option<String> {
    let rules = policy.map(|policy| policy.rules.as_slice()).unwrap_or_default();
    let met = rules.iter().position(|rule| match (&rule.succeeded_indexes, rule.succeeded_count) {
        (Some(indexes), count) => {
            let wanted = Indexes::parse(indexes, completions);
            wanted.common(succeeded) >= count.unwrap_or(wanted.total())
        }
        (None, Some(count)) => succeeded.total() >= count,
        (None, None) => false,
    });
    met.map(|n| format!("Matched rules at index {n}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::kernel::Instant;
    use crate::objects::{Condition, compact};

    fn pod(code: i32) -> Pod {
        let value = json!({"metadata": {"name": "p", "namespace": "a"}, "spec": {"containers": [{"name": "main"}]}});
        let mut pod = compact::pod(serde_json::from_value(value).expect("a pod"));
        let (started, finished) = (Instant::START, Instant::START);
        let (reason, message) = ("Error".into(), "".into());
        let state = ContainerState::Terminated { exit_code: code, reason, message, started, finished, container_id: 1 };
        let status = ContainerStatus {
            name: "main".into(),
            image: "x".into(),
            image_id: "".into(),
            container_id: Some(1),
            state,
            last: None,
            ready: false,
            started: false,
            restarts: 0,
        };
        pod.status.containers = [status].into();
        pod
    }

    #[test]
    fn the_first_rule_that_matches_decides() {
        let spec: JobSpec =
            serde_json::from_value(json!({"template": {"spec": {"containers": []}}, "podFailurePolicy": {"rules": [
                {"action": "FailJob", "onExitCodes": {"operator": "In", "values": [42]}},
                {"action": "FailIndex", "onExitCodes": {"operator": "NotIn", "values": [1, 2]}},
                {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
            ]}}))
            .expect("a spec");
        let fails = verdict(&spec, &pod(42)).job_fails;
        let text = "Container main for pod a/p failed with exit code 42 matching FailJob rule at index 0";
        assert_eq!(fails.as_deref(), Some(text));
        assert!(verdict(&spec, &pod(7)).index_fails && verdict(&spec, &pod(1)).counts);
        let mut disrupted = pod(1);
        disrupted.status.conditions.push(Condition::new("DisruptionTarget", true, Instant::START));
        assert!(!verdict(&spec, &disrupted).counts);
    }

    #[test]
    fn some_indexes_or_a_number_of_them_are_enough() {
        let policy: SuccessPolicy = serde_json::from_value(
            json!({"rules": [{"succeededIndexes": "0,2-3", "succeededCount": 2}, {"succeededCount": 4}]}),
        )
        .expect("a policy");
        let met = |text| enough(Some(&policy), 10, &Indexes::parse(text, 10));
        assert_eq!(met("1,3"), None);
        assert_eq!(met("2,3").as_deref(), Some("Matched rules at index 0"));
        assert_eq!(met("4-7").as_deref(), Some("Matched rules at index 1"));
    }
}
