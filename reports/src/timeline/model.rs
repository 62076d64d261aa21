//! What a timeline shows, as plain values: lanes of components, bars of pods, marks of the script.
//!
//! All instants and ends are simulated nanoseconds since the start of the world. Whoever builds a timeline decides what is
//! worth a lane; the renderer only decides what fits.

use serde::{Deserialize, Serialize};

/// The picture of a run or of a part of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Timeline {
    /// What the run is about.
    pub title: String,
    /// Seed, profile, version: what is needed to make the picture again.
    pub subtitle: String,
    /// First instant shown. [ns]
    pub start: u64,
    /// Last instant shown; must be after `start`. [ns]
    pub end: u64,
    /// The components, top to bottom; lanes of one group should stand together.
    pub lanes: Vec<Lane>,
    /// The pods, in the order in which they should stand within their group.
    pub pods: Vec<PodBar>,
    /// How pods are grouped.
    pub pod_groups: PodGroups,
    /// The script's marks.
    pub marks: Vec<Mark>,
    /// Stretches of time in which something was broken.
    pub bands: Vec<Band>,
}

/// One component and what it did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lane {
    /// The component: `API server`, `kubelet worker-1`.
    pub name: String,
    /// The group it stands in.
    pub group: LaneGroup,
    /// Work that took time.
    #[serde(default)]
    pub spans: Vec<Span>,
    /// Things that happened at an instant.
    #[serde(default)]
    pub ticks: Vec<Tick>,
}

/// The part of the cluster a lane belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LaneGroup {
    /// kubectl, load generators: whoever talks to the cluster from outside.
    Client,
    /// API server, etcd, scheduler.
    ControlPlane,
    /// Controllers, the user's own included.
    Controller,
    /// kubelets and what runs with them.
    Node,
}

impl LaneGroup {
    /// The heading over the group.
    pub fn title(self) -> &'static str {
        match self {
            LaneGroup::Client => "Clients",
            LaneGroup::ControlPlane => "Control plane",
            LaneGroup::Controller => "Controllers",
            LaneGroup::Node => "Nodes",
        }
    }
}

/// Work of a component that took time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// When it began. [ns]
    pub start: u64,
    /// When it ended. [ns]
    pub end: u64,
    /// What it was; shown where it fits.
    #[serde(default)]
    pub label: String,
    /// The kind, which gives the colour.
    pub kind: SpanKind,
}

/// A kind of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SpanKind {
    /// A command a person or script runs.
    Command,
    /// A request, from sending or receiving to the answer.
    Request,
    /// One pass of a controller over one key.
    Reconcile,
    /// A write to disk.
    Write,
    /// A scheduling decision.
    Decision,
    /// Pulling an image.
    Image,
    /// Creating, starting, probing or stopping a container.
    Container,
    /// Waiting on purpose: back-off, grace period, rate limit.
    Waiting,
    /// The component is down or cut off; also tints the lane.
    Outage,
}

impl SpanKind {
    /// Every kind, in the order of the legend.
    pub const ALL: [SpanKind; 9] = [
        SpanKind::Command,
        SpanKind::Request,
        SpanKind::Write,
        SpanKind::Reconcile,
        SpanKind::Decision,
        SpanKind::Image,
        SpanKind::Container,
        SpanKind::Waiting,
        SpanKind::Outage,
    ];

    /// The word in the legend.
    pub fn title(self) -> &'static str {
        match self {
            SpanKind::Command => "command",
            SpanKind::Request => "request",
            SpanKind::Write => "disk write",
            SpanKind::Reconcile => "reconcile",
            SpanKind::Decision => "decision",
            SpanKind::Image => "image pull",
            SpanKind::Container => "container",
            SpanKind::Waiting => "waiting",
            SpanKind::Outage => "outage",
        }
    }
}

/// Something that happened at an instant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tick {
    /// When. [ns]
    pub at: u64,
    /// What; shown where it fits.
    #[serde(default)]
    pub label: String,
    /// The kind, which gives shape and colour.
    pub kind: TickKind,
}

/// A kind of instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TickKind {
    /// An object was read or listed.
    Read,
    /// An object was created, changed or deleted.
    Write,
    /// A watch delivered a change.
    Watch,
    /// An Event was recorded.
    Event,
    /// A pod was bound to a node.
    Bound,
    /// A write lost against another one.
    Conflict,
    /// Anything else that failed.
    Error,
    /// Anything else.
    Other,
}

impl TickKind {
    /// Every kind, in the order of the legend.
    pub const ALL: [TickKind; 8] = [
        TickKind::Read,
        TickKind::Write,
        TickKind::Watch,
        TickKind::Event,
        TickKind::Bound,
        TickKind::Conflict,
        TickKind::Error,
        TickKind::Other,
    ];

    /// The word in the legend.
    pub fn title(self) -> &'static str {
        match self {
            TickKind::Read => "read",
            TickKind::Write => "write",
            TickKind::Watch => "watch event",
            TickKind::Event => "Event",
            TickKind::Bound => "bound",
            TickKind::Conflict => "conflict",
            TickKind::Error => "error",
            TickKind::Other => "other",
        }
    }
}

/// The life of one pod.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PodBar {
    /// The pod's name.
    pub name: String,
    /// The node it was bound to.
    #[serde(default)]
    pub node: Option<String>,
    /// The controller that made it.
    #[serde(default)]
    pub owner: Option<String>,
    /// Its states in order of time; a gap shows as a gap.
    pub segments: Vec<Segment>,
}

/// How the bars of pods are grouped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PodGroups {
    /// By node; pods that never got one come last.
    #[default]
    Node,
    /// By owner; pods without one come last.
    Owner,
    /// Not at all: in the given order.
    Ungrouped,
}

/// A stretch of a pod's life in one state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Segment {
    /// When the pod entered the state. [ns]
    pub start: u64,
    /// When it left it. [ns]
    pub end: u64,
    /// The state.
    pub state: PodState,
}

/// What a pod was seen to be; a reader's summary of phase, conditions and container states.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PodState {
    /// Exists, no node yet.
    Pending,
    /// Bound to a node, the kubelet has not begun.
    Scheduled,
    /// The kubelet sets up sandbox, volumes, containers.
    ContainerCreating,
    /// An image is being pulled.
    PullingImage,
    /// Containers run, not ready.
    RunningNotReady,
    /// Ready.
    Ready,
    /// Marked for deletion, still there.
    Terminating,
    /// All containers ended well.
    Succeeded,
    /// Ended badly.
    Failed,
    /// The kubelet waits before the next try: crash loop, image pull back-off.
    BackOff,
}

impl PodState {
    /// Every state, in the order of the legend.
    pub const ALL: [PodState; 10] = [
        PodState::Pending,
        PodState::Scheduled,
        PodState::ContainerCreating,
        PodState::PullingImage,
        PodState::RunningNotReady,
        PodState::Ready,
        PodState::Terminating,
        PodState::BackOff,
        PodState::Failed,
        PodState::Succeeded,
    ];

    /// The word in the legend and in the bar.
    pub fn title(self) -> &'static str {
        match self {
            PodState::Pending => "pending",
            PodState::Scheduled => "scheduled",
            PodState::ContainerCreating => "creating",
            PodState::PullingImage => "pulling image",
            PodState::RunningNotReady => "running, not ready",
            PodState::Ready => "ready",
            PodState::Terminating => "terminating",
            PodState::Succeeded => "completed",
            PodState::Failed => "failed",
            PodState::BackOff => "back-off",
        }
    }

    /// Whether containers run: such a stretch is drawn at full height.
    pub fn is_running(self) -> bool {
        matches!(self, PodState::RunningNotReady | PodState::Ready | PodState::Terminating)
    }
}

/// A moment the script's author wants pointed out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// When. [ns]
    pub at: u64,
    /// The words.
    pub label: String,
}

/// A stretch of time in which something was broken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Band {
    /// What was broken.
    pub label: String,
    /// Since when. [ns]
    pub start: u64,
    /// Until when. [ns]
    pub end: u64,
}
