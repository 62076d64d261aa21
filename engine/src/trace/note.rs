//! What a record says.

use std::sync::Arc;

use crate::apiserver::request::{Subresource, Verb};
use crate::client::Agent;
use crate::etcd::EtcdNote;
use crate::kernel::Duration;
use crate::objects::event::EventType;
use crate::objects::{ConditionStatus, Key, Kind, Phase, Text};
use crate::process::Ending;
use crate::scheduler::explain::Explanation;
use crate::traffic::Loss;

/// A record without its id, time and cause.
#[derive(Clone, Debug)]
pub struct Note {
    /// Who did it.
    pub by: Agent,
    /// The object it is about.
    pub object: Option<(Kind, Key)>,
    /// What happened.
    pub what: What,
}

/// What happened.
#[derive(Clone, Debug, Hash)]
pub enum What {
    /// A component began to run.
    Started,
    /// Somebody typed a command.
    Command {
        /// The line.
        line: Arc<str>,
    },
    /// A command ended.
    Exited {
        /// Its exit code.
        code: i32,
    },
    /// The script marks this instant.
    Mark {
        /// Its text.
        text: Arc<str>,
    },
    /// The script says something.
    Remark {
        /// Its text.
        text: Arc<str>,
    },
    /// Something goes wrong from now on, because the script wants it.
    FaultBegan {
        /// What, for people.
        fault: Arc<str>,
    },
    /// It is over.
    FaultEnded {
        /// What.
        fault: Arc<str>,
    },
    /// A request arrived at the API server.
    Request {
        /// Who asks.
        from: Agent,
        /// Verb.
        verb: Verb,
        /// Subresource.
        subresource: Subresource,
    },
    /// The API server replied.
    Reply {
        /// Who asked.
        to: Agent,
        /// Verb.
        verb: Verb,
        /// Subresource.
        subresource: Subresource,
        /// HTTP status code.
        code: u16,
        /// The error's reason; empty for none.
        reason: Text,
        /// Time spent in authentication, authorization, admission, validation, storage, reply. [ns]
        steps: [Duration; 6],
    },
    /// A step of a write's way through etcd.
    Etcd(EtcdNote),
    /// The API server learns from etcd that a write is done, and tells the watchers.
    Committed {
        /// Its revision.
        revision: u64,
        /// What kind of write.
        change: Change,
    },
    /// A controller takes a key off its work queue.
    Reconcile,
    /// A controller is done with a key.
    Reconciled {
        /// The error it ended with; empty for none.
        error: Text,
    },
    /// The recorder says something to people.
    Event {
        /// `Normal` or `Warning`.
        kind: EventType,
        /// A word.
        reason: Text,
        /// A sentence.
        message: Arc<str>,
    },
    /// The scheduler looks for a node.
    Schedule(Box<Scheduling>),
    /// A step of a pod's life on its node.
    Pod {
        /// Which.
        step: PodStep,
        /// The container or image; empty for none.
        detail: Arc<str>,
    },
    /// Leader election: this candidate leads from now on.
    Leading,
    /// A process ended.
    Ended {
        /// How.
        how: Ending,
    },
    /// The supervisor is going to start a process again.
    Restarting {
        /// After this back-off.
        after: Duration,
    },
    /// The metrics server took the kubelets' samples.
    Scraped {
        /// Of how many pods there were any.
        pods: u32,
    },
    /// The HorizontalPodAutoscaler has compared what is measured with what is wanted.
    Scaling(Box<Scaling>),
    /// A kube-proxy has written the rules of its node.
    Rules {
        /// Services they are made of.
        services: u32,
        /// EndpointSlices they are made of.
        slices: u32,
    },
    /// A stream of requests begins, or loses some.
    Traffic(Box<Passing>),
    /// The API server asks an admission webhook about a request.
    Webhook(Box<WebhookCall>),
}

/// What is said of a stream of requests; single requests are not in the trace.
#[derive(Clone, Debug, Hash, PartialEq)]
pub struct Passing {
    /// What people call the stream.
    pub flow: Arc<str>,
    /// What happens.
    pub step: TrafficStep,
    /// The pod at which a request was lost; empty if it came to none.
    pub at: Arc<str>,
    /// Why it was.
    pub why: Option<Loss>,
    /// How many were lost, by [`Loss`].
    pub lost: [u64; 4],
    /// From the first to the last of them.
    pub lasted: Duration,
}

/// What happens to a stream of requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TrafficStep {
    /// The first request is sent.
    Begins,
    /// The first request after a calm is lost; the cause is what made it so.
    Loses,
    /// It is calm again: what was lost.
    Lost,
}

impl TrafficStep {
    /// As the trace spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            TrafficStep::Begins => "begins",
            TrafficStep::Loses => "loses",
            TrafficStep::Lost => "lost",
        }
    }
}

/// A call of an admission webhook.
#[derive(Clone, Debug, Hash, PartialEq)]
pub struct WebhookCall {
    /// Its name.
    pub webhook: Arc<str>,
    /// `allowed`, `changed`, `denied`, or why the call fails.
    pub outcome: Arc<str>,
    /// From the call to the answer, or to the end of the wait for one.
    pub took: Duration,
}

/// What the HorizontalPodAutoscaler made of its metrics.
#[derive(Clone, Debug, Hash, PartialEq)]
pub struct Scaling {
    /// `spec.replicas` of what is scaled.
    pub current: i32,
    /// What the metrics ask for.
    pub proposed: i32,
    /// What it does: after stabilisation, rates and bounds.
    pub replicas: i32,
    /// The reason of the condition that says why this is not what was proposed; empty if it is.
    pub held: Text,
    /// What was measured, for people; empty if nothing was looked at.
    pub measured: Arc<str>,
    /// How old the oldest of the measurements is: the end of its window; `None` if there are none.
    pub age: Option<Duration>,
}

/// What kind of write.
#[derive(Clone, Debug, Hash, PartialEq)]
pub enum Change {
    /// A new object.
    Created,
    /// A new version of an object; for a pod or a node with what a chart wants to know of it.
    Modified,
    /// The object is gone.
    Deleted,
    /// A node was written.
    Node {
        /// Whether it is new.
        created: bool,
        /// The status of its condition `Ready`; `Unknown` if it has none.
        condition: ConditionStatus,
        /// Whether it is not cordoned.
        schedulable: bool,
    },
    /// A pod was written.
    Pod {
        /// Whether it is new.
        created: bool,
        /// Its state.
        state: PodState,
        /// Its node; empty for none.
        node: Arc<str>,
    },
}

/// The state of a pod as a chart shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub struct PodState {
    pub phase: Phase,
    pub bound: bool,
    pub ready: bool,
    pub deleting: bool,
    /// A container waits after a failure (ErrImagePull, ImagePullBackOff, CrashLoopBackOff, …).
    pub failing: bool,
}

/// A step of a pod's life on its node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum PodStep {
    Seen,
    Admitted,
    SandboxReady,
    PullStarted,
    Pulled,
    PullFailed,
    ContainerCreated,
    ContainerStarted,
    ContainerReady,
    ContainerExited,
    Killing,
    Terminated,
}

impl PodStep {
    /// As the trace spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            PodStep::Seen => "seen",
            PodStep::Admitted => "admitted",
            PodStep::SandboxReady => "sandbox-ready",
            PodStep::PullStarted => "pull-started",
            PodStep::Pulled => "pulled",
            PodStep::PullFailed => "pull-failed",
            PodStep::ContainerCreated => "container-created",
            PodStep::ContainerStarted => "container-started",
            PodStep::ContainerReady => "container-ready",
            PodStep::ContainerExited => "container-exited",
            PodStep::Killing => "killing",
            PodStep::Terminated => "terminated",
        }
    }
}

/// How the scheduler decided. The explanation counts for no fingerprint: it follows from the rest.
#[derive(Clone, Debug)]
pub struct Scheduling {
    /// The chosen node; `None` if no node fits.
    pub node: Option<Arc<str>>,
    /// The text of the failure; empty for none.
    pub message: Arc<str>,
    /// How many nodes were looked at.
    pub evaluated: u32,
    /// Why; kept in a full trace only.
    pub explanation: Option<Arc<Explanation>>,
}

impl std::hash::Hash for Scheduling {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        (&self.node, &self.message, self.evaluated).hash(state);
    }
}

impl Note {
    /// A note about nothing in particular.
    pub fn new(by: Agent, what: What) -> Self {
        Note { by, object: None, what }
    }

    /// A note about an object.
    pub fn about(by: Agent, kind: Kind, key: Key, what: What) -> Self {
        Note { by, object: Some((kind, key)), what }
    }
}
