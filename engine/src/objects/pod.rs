//! Pods: a shared spec and a compact status.
//!
//! Models: kubernetes v1.36.2 staging/src/k8s.io/api/core/v1/types.go (PodSpec, PodStatus), pkg/api/v1/pod/util.go. Left out of the
//! status: ephemeral containers, resize, host IPs other than the first.

use std::net::Ipv4Addr;
use std::sync::Arc;

use k8s_openapi::api::core::v1 as api;

use super::condition::{self, Condition};
use super::labels::Labels;
use super::meta::{Name, ObjectMeta};
use super::pod_terms::PodTerms;
use super::text::Text;
use crate::kernel::{Duration, Instant};

/// A pod spec as the API has it, with what the hot paths need computed once.
#[derive(Clone, Debug)]
pub struct PodSpec {
    /// What the user wrote, after defaulting (and, for a pod, admission).
    pub api: api::PodSpec,
    /// Requests, tolerations, affinity, … compiled.
    pub terms: PodTerms,
}

impl PodSpec {
    /// Compiles a spec.
    pub fn new(api: api::PodSpec) -> Arc<Self> {
        let terms = PodTerms::of(&api);
        Arc::new(PodSpec { api, terms })
    }
}

impl PodSpec {
    /// Whether admission gave it a volume with the service account's token.
    pub fn mounts_token(&self) -> bool {
        let named = |name: &str| name.strip_prefix(TOKEN_VOLUME).is_some_and(|end| end == TOKEN_PLACEHOLDER);
        self.api.volumes.iter().flatten().any(|volume| named(&volume.name))
    }
}

impl PartialEq for PodSpec {
    fn eq(&self, other: &Self) -> bool {
        self.api == other.api
    }
}

/// Stands in shared specs for the random end of the token volume's name, which is each pod's own. (No random suffix has a zero.)
pub const TOKEN_PLACEHOLDER: &str = "00000";
/// What comes before it.
const TOKEN_VOLUME: &str = "kube-api-access-";

/// The name of the token's volume.
pub fn token_volume(end: &str) -> String {
    format!("{TOKEN_VOLUME}{end}")
}

/// The template from which a controller makes pods.
#[derive(Clone, Debug)]
pub struct PodTemplate {
    /// Labels of the pods.
    pub labels: Arc<Labels>,
    /// Annotations of the pods.
    pub annotations: Arc<Labels>,
    /// The spec as written, defaulted.
    pub spec: Arc<PodSpec>,
    /// The spec as admission leaves it on a pod, made once for all pods of the template.
    pub admitted: Arc<PodSpec>,
}

impl PartialEq for PodTemplate {
    fn eq(&self, other: &Self) -> bool {
        self.labels == other.labels && self.annotations == other.annotations && same(&self.spec, &other.spec)
    }
}

/// Equal, looking inside only when they are not the same allocation.
pub fn same<T: PartialEq>(a: &Arc<T>, b: &Arc<T>) -> bool {
    Arc::ptr_eq(a, b) || a == b
}

/// A pod.
#[derive(Clone, PartialEq, Debug)]
pub struct Pod {
    /// Metadata.
    pub meta: ObjectMeta,
    /// The spec, shared with all pods of the template.
    pub spec: Arc<PodSpec>,
    /// `spec.nodeName`; `None` before it is bound.
    pub node: Option<Name>,
    /// The random end of the name of the volume with the service account's token.
    pub token: Option<Name>,
    /// What the kubelet (and the scheduler) report.
    pub status: PodStatus,
}

/// `status.phase`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Hash)]
#[allow(missing_docs)]
pub enum Phase {
    #[default]
    Pending,
    Running,
    Succeeded,
    Failed,
    Unknown,
}

impl Phase {
    /// As the API spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Phase::Pending => "Pending",
            Phase::Running => "Running",
            Phase::Succeeded => "Succeeded",
            Phase::Failed => "Failed",
            Phase::Unknown => "Unknown",
        }
    }

    /// Whether the pod will never run again.
    pub fn terminal(self) -> bool {
        matches!(self, Phase::Succeeded | Phase::Failed)
    }
}

/// What is reported of a pod.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct PodStatus {
    /// The phase.
    pub phase: Phase,
    /// Conditions in the order the API shows them.
    pub conditions: Vec<Condition>,
    /// A word on why the pod is in this state; empty for none.
    pub reason: Text,
    /// A sentence on it; empty for none.
    pub message: Text,
    /// `hostIP`.
    pub host_ip: Option<Ipv4Addr>,
    /// `podIP`.
    pub pod_ip: Option<Ipv4Addr>,
    /// When the kubelet acknowledged the pod.
    pub start_time: Option<Instant>,
    /// Init containers.
    pub init_containers: Arc<[ContainerStatus]>,
    /// Containers.
    pub containers: Arc<[ContainerStatus]>,
    /// `observedGeneration`; 0 for none.
    pub observed_generation: i64,
    /// `nominatedNodeName`.
    pub nominated: Option<Name>,
}

/// The status of one container.
#[derive(Clone, PartialEq, Debug)]
pub struct ContainerStatus {
    /// Name.
    pub name: Name,
    /// Image as the runtime names it.
    pub image: Name,
    /// Digest; empty before the container exists.
    pub image_id: Text,
    /// The runtime's id; `None` before the container exists.
    pub container_id: Option<u64>,
    /// What it does.
    pub state: ContainerState,
    /// What it did before its last restart.
    pub last: Option<ContainerState>,
    /// Whether its readiness probe succeeds.
    pub ready: bool,
    /// Whether its startup probe succeeded.
    pub started: bool,
    /// How often it was restarted.
    pub restarts: i32,
}

/// What a container does.
#[derive(Clone, PartialEq, Debug)]
#[allow(missing_docs)]
pub enum ContainerState {
    Waiting { reason: Text, message: Text },
    Running { started: Instant },
    Terminated { exit_code: i32, reason: Text, message: Text, started: Instant, finished: Instant, container_id: u64 },
}

impl Pod {
    /// A condition of the pod.
    pub fn condition(&self, kind: &str) -> Option<&Condition> {
        condition::find(&self.status.conditions, kind)
    }

    /// Whether the `Ready` condition holds.
    pub fn ready(&self) -> bool {
        self.condition("Ready").is_some_and(Condition::holds)
    }

    /// Whether it is neither finished nor being deleted.
    pub fn active(&self) -> bool {
        !self.status.phase.terminal() && !self.meta.deleting()
    }

    /// Whether it has been ready for `min_ready` at `now`. Upstream: podutil.IsPodAvailable.
    pub fn available(&self, min_ready: Duration, now: Instant) -> bool {
        self.condition("Ready")
            .is_some_and(|ready| ready.holds() && (min_ready == Duration::ZERO || ready.transition + min_ready <= now))
    }

    /// Restarts of all containers.
    pub fn restarts(&self) -> i32 {
        self.status.containers.iter().map(|container| container.restarts).sum()
    }

    /// The spec's priority.
    pub fn priority(&self) -> i32 {
        self.spec.api.priority.unwrap_or(0)
    }
}
