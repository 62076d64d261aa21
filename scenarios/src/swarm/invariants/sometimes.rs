//! What must happen in some of many seeds: a range in which a way of failing or of recovering is never taken proves nothing about it.

use std::collections::BTreeMap;

use wavetank_engine::apiserver::request::{Subresource, Verb};
use wavetank_engine::client::Agent;
use wavetank_engine::etcd::EtcdNote;
use wavetank_engine::objects::ContainerState;
use wavetank_engine::process::Ending;
use wavetank_engine::trace::{Note, What};

use super::Stored;

/// How often each thing happened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sometimes {
    counts: BTreeMap<&'static str, u64>,
}

/// What is counted besides the kinds of steps.
pub const PATHS: &[&str] = &[
    "etcd's leader lost",
    "etcd's leader found again",
    "history compacted",
    "a leader's lease lost",
    "a standby took over",
    "a process started again",
    "a conflict answered with 409",
    "a watch or list answered with 410",
    "a request timed out at the server",
    "an eviction granted",
    "an eviction refused by a budget",
    "an eviction by taint",
    "a creation refused by a quota",
    "a preemption",
    "a pod that fits nowhere",
    "a pod that fits after it did not",
    "a container restarted",
    "an image that does not come",
    "a probe that failed",
    "a container killed for its probe",
    "a container out of memory",
    "a pod evicted by its node",
    "a pod refused by its node",
    "a node shut down in order",
    "a pod changed by a webhook",
    "a pod refused by a webhook",
    "a webhook that could not be asked",
    "requests answered again after some were lost",
    "a node not ready",
    "a node ready again",
    "an autoscaler's scaling",
    "a volume bound",
    "a namespace gone",
    "a pod deleted without its kubelet's word",
    "an acknowledged write found again",
    "a job completed",
    CHECKED_ROLLOUT,
    CHECKED_BUDGET,
    CHECKED_QUOTA,
];

/// How often limits were checked that hold only while nothing is wrong.
pub(super) const CHECKED_ROLLOUT: &str = "the limits of a rollout checked";
/// The same of a budget.
pub(super) const CHECKED_BUDGET: &str = "what an eviction leaves of a budget checked";
/// The same of a quota.
pub(super) const CHECKED_QUOTA: &str = "a quota checked";

impl Sometimes {
    /// Counts one.
    pub fn count(&mut self, what: &'static str) {
        *self.counts.entry(what).or_insert(0) += 1;
    }

    /// Sets how often something happened.
    pub(super) fn set(&mut self, what: &'static str, count: u64) {
        if count > 0 {
            self.counts.insert(what, count);
        }
    }

    /// How often something happened.
    pub fn get(&self, what: &str) -> u64 {
        self.counts.get(what).copied().unwrap_or(0)
    }

    /// Everything that happened, in order of names.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.counts.iter().map(|(what, count)| (*what, *count))
    }

    /// Takes over another's counts.
    pub fn add(&mut self, other: &Sometimes) {
        for (what, count) in other.iter() {
            *self.counts.entry(what).or_insert(0) += count;
        }
    }

    pub(super) fn stored(&mut self, change: &Stored<'_>) {
        use wavetank_engine::objects::Kind;
        let ready = |object: Option<&std::sync::Arc<wavetank_engine::objects::Object>>| {
            object.and_then(|object| object.as_node()).map(|node| node.ready())
        };
        match change.kind {
            Kind::Node => match (ready(change.before), ready(change.now)) {
                (Some(true), Some(false)) => self.count("a node not ready"),
                (Some(false), Some(true)) => self.count("a node ready again"),
                _ => {}
            },
            Kind::Namespace if change.now.is_none() => self.count("a namespace gone"),
            Kind::Pod => {
                let pod = |object: Option<&'_ std::sync::Arc<wavetank_engine::objects::Object>>| {
                    object.and_then(|object| object.as_pod()).cloned()
                };
                let (Some(before), Some(now)) = (pod(change.before), pod(change.now)) else { return };
                if now.restarts() > before.restarts() {
                    self.count("a container restarted");
                }
                if out_of_memory(&now) > out_of_memory(&before) {
                    self.count("a container out of memory");
                }
                if now.status.reason != before.status.reason {
                    match &*now.status.reason {
                        "Evicted" => self.count("a pod evicted by its node"),
                        "Terminated" => self.count("a node shut down in order"),
                        reason if reason.starts_with("OutOf") => self.count("a pod refused by its node"),
                        _ => {}
                    }
                }
                if now.node.is_some() && before.node.is_none() && before.condition("PodScheduled").is_some() {
                    self.count("a pod that fits after it did not");
                }
            }
            Kind::PersistentVolumeClaim => {
                let bound = |object: Option<&'_ std::sync::Arc<wavetank_engine::objects::Object>>| {
                    let claim =
                        object.and_then(|o| o.as_resource::<k8s_openapi::api::core::v1::PersistentVolumeClaim>());
                    claim.is_some_and(|c| c.api.status.as_ref().is_some_and(|s| s.phase.as_deref() == Some("Bound")))
                };
                if bound(change.now) && !bound(change.before) {
                    self.count("a volume bound");
                }
            }
            _ => {}
        }
    }

    pub(super) fn record(&mut self, note: &Note) {
        match &note.what {
            What::Etcd(EtcdNote::LeaderLost { .. }) => self.count("etcd's leader lost"),
            What::Etcd(EtcdNote::Leader { .. }) => self.count("etcd's leader found again"),
            What::Ended { how: Ending::LeaseLost } => self.count("a leader's lease lost"),
            What::Leading => self.count("a standby took over"),
            What::Started => self.count("a process started again"),
            What::Scaling(scaling) if scaling.replicas != scaling.current => self.count("an autoscaler's scaling"),
            What::Reply { to, verb, subresource, code, reason, .. } => {
                self.reply(*to, *verb, *subresource, *code, reason)
            }
            What::Event { reason, message, .. } => match &**reason {
                "Preempted" => self.count("a preemption"),
                "FailedScheduling" => self.count("a pod that fits nowhere"),
                "TaintManagerEviction" if message.starts_with("Marking") => self.count("an eviction by taint"),
                "ErrImagePull" | "Failed" if message.contains("image") => self.count("an image that does not come"),
                "Completed" => self.count("a job completed"),
                "Unhealthy" => self.count("a probe that failed"),
                "Killing" if message.contains("probe") => self.count("a container killed for its probe"),
                _ => {}
            },
            What::Webhook(call) => match &*call.outcome {
                "changed" => self.count("a pod changed by a webhook"),
                "denied" => self.count("a pod refused by a webhook"),
                "allowed" => {}
                _ => self.count("a webhook that could not be asked"),
            },
            _ => {}
        }
    }

    fn reply(&mut self, to: Agent, verb: Verb, part: Subresource, code: u16, reason: &str) {
        match (code, verb, part) {
            (201, Verb::Create, Subresource::Eviction) => self.count("an eviction granted"),
            (429, Verb::Create, Subresource::Eviction) => self.count("an eviction refused by a budget"),
            (409, ..) if reason == "Conflict" => self.count("a conflict answered with 409"),
            (410, ..) => self.count("a watch or list answered with 410"),
            (403, Verb::Create, _) if to == Agent::ReplicaSetController => self.count("a creation refused by a quota"),
            (504, ..) => self.count("a request timed out at the server"),
            _ => {}
        }
    }
}

/// How many containers of a pod ended for want of memory, last or before their last restart.
fn out_of_memory(pod: &wavetank_engine::objects::Pod) -> usize {
    let states = pod.status.containers.iter().flat_map(|one| [Some(&one.state), one.last.as_ref()]);
    let oom = |state: &&ContainerState| matches!(state, ContainerState::Terminated { reason, .. } if **reason == *"OOMKilled");
    states.flatten().filter(oom).count()
}
