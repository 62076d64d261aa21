//! What users write themselves: reconciles, scheduler plugins, admission webhooks.
//!
//! The engine knows no script language. It knows the trait [`Scripts`], which [`Setup`](crate::setup::Setup) holds, and asks it as it would ask
//! a native function: with everything it may know as arguments, and with an answer that hangs on nothing else. So no script's value lives
//! in the world, and a run can be forked in the middle of a reconcile.
//!
//! A reconcile is a straight-line function that is run from its start over the log of what it has read, said and been answered so
//! far ([`Logged`]), as native ones are over their replies (`client/routine.rs`); it stops at the first request that has no answer.

use std::fmt::Debug;
use std::sync::Arc;

use serde_json::Value;

use crate::client::Store;
use crate::client::connection::Call;
use crate::client::routine::Outcome;
use crate::kernel::{Duration, Instant};
use crate::objects::event::EventType;
use crate::objects::labels::Labels;
use crate::objects::pod_terms::{CpuMemory, Resources, Taint};
use crate::objects::{Key, Kind, Name, Object, ObjectReference, PodSpec, Text};

/// What users wrote, ready to be run. The same arguments give the same answer, always: an implementation has no state.
///
/// Each method is given the name under which the script registered the function.
pub trait Scripts: Debug + Send + Sync {
    /// Runs a controller's reconcile over its log, as far as it comes.
    fn reconcile(&self, controller: &str, run: Reconcile<'_>) -> Ran {
        let _ = run;
        Ran { logged: Vec::new(), end: End::Failed(Mistake::unknown("controller", controller)), memory: None }
    }

    /// Which nodes a pod can run on, by a plugin: for each node `None`, or why not. The answer is as long as `nodes`.
    ///
    /// # Errors
    /// The plugin failed: no node is good for this pod now.
    fn filter(&self, plugin: &str, pod: &SeenPod, nodes: &Arc<[SeenNode]>) -> Result<Vec<Option<Text>>, Mistake> {
        let _ = (pod, nodes);
        Err(Mistake::unknown("scheduler plugin", plugin))
    }

    /// How good each node is for a pod, by a plugin: 0 to 100. The answer is as long as `nodes`.
    ///
    /// # Errors
    /// The plugin failed: no node is good for this pod now.
    fn score(&self, plugin: &str, pod: &SeenPod, nodes: &Arc<[SeenNode]>) -> Result<Vec<i64>, Mistake> {
        let _ = (pod, nodes);
        Err(Mistake::unknown("scheduler plugin", plugin))
    }

    /// What an admission webhook answers to the `request` of an AdmissionReview: the review's `response`.
    ///
    /// # Errors
    /// The webhook failed; the failure policy says what becomes of the request.
    fn admit(&self, webhook: &str, request: &Arc<Value>) -> Result<Value, Mistake> {
        let _ = request;
        Err(Mistake::unknown("webhook", webhook))
    }
}

/// No scripts: whoever asks hears that nothing is registered.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoScripts;

impl Scripts for NoScripts {}

/// Why a user's function did not come to its end.
#[derive(Clone, PartialEq, Debug)]
pub struct Mistake {
    /// What went wrong, a clause without a full stop.
    pub message: Text,
    /// Where in the script.
    pub place: Place,
    /// What to do about it; empty for nothing.
    pub hint: Text,
    /// Whether the function itself is wrong (an unknown name, a wrong type, no end), so that another try cannot help. Otherwise it
    /// gave up, or a request failed.
    pub bug: bool,
}

/// A place in a script.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Place {
    /// The file; empty if unknown.
    pub file: Text,
    /// Line, from 1; 0 if unknown.
    pub line: u32,
    /// Column, from 1; 0 if unknown.
    pub column: u32,
}

impl Mistake {
    /// Nothing is registered under a name.
    pub fn unknown(what: &str, name: &str) -> Self {
        let message = format!("there is no {what} `{name}`").into();
        Mistake { message, place: Place::default(), hint: Text::default(), bug: true }
    }

    /// The mistake on one line, as logs and events show it.
    pub fn line(&self) -> Text {
        let Place { file, line, .. } = &self.place;
        match file.is_empty() {
            true => self.message.clone(),
            false => format!("{} ({file}:{line})", self.message).into(),
        }
    }
}

/// A reconcile to run.
#[derive(Debug)]
pub struct Reconcile<'a> {
    /// What is reconciled.
    pub key: &'a Key,
    /// Of which kind.
    pub kind: Kind,
    /// When it began.
    pub started: Instant,
    /// The controller's caches; all references to them must be gone when the run is over.
    pub caches: Caches,
    /// What the controller remembered when the reconcile began.
    pub memory: &'a Arc<Value>,
    /// What happened in this reconcile so far, in the order of the function.
    pub log: &'a [Logged],
}

/// What a controller knows of the kinds that it watches.
pub type Caches = Arc<Vec<(Kind, Store)>>;

/// A step of a reconcile that must be the same when it is run again.
#[derive(Clone, Debug)]
pub enum Logged {
    /// What the cache held when it was read.
    Read(Arc<[Arc<Object>]>),
    /// A request, and when its answer came; `None` while it is on its way.
    Answer(Option<(Instant, Outcome)>),
    /// An event for people.
    Event(Box<Said>),
    /// A line for the log.
    Line(Text),
}

/// An event for people.
#[derive(Clone, PartialEq, Debug)]
pub struct Said {
    /// About what.
    pub regarding: ObjectReference,
    /// Normal or warning.
    pub kind: EventType,
    /// A word.
    pub reason: Text,
    /// A sentence.
    pub message: Name,
}

/// How far a reconcile came.
#[derive(Debug)]
pub struct Ran {
    /// New steps, in order.
    pub logged: Vec<Logged>,
    /// Where it stopped.
    pub end: End,
    /// What the controller remembers from now on, if the reconcile has ended and changed it.
    pub memory: Option<Value>,
}

/// Where a run of a reconcile stopped.
#[derive(Debug)]
pub enum End {
    /// At a request that has no answer yet. If the log says that it is on its way, this is not looked at.
    Waits(Box<Call>),
    /// At its end.
    Done {
        /// Reconcile the key again, and when.
        again: Again,
    },
    /// It failed; the key is tried again with back-off.
    Failed(Mistake),
}

/// Whether a key comes back by itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Again {
    /// With the next change.
    No,
    /// After this long.
    After(Duration),
    /// As after a failure: with back-off.
    RateLimited,
}

/// A pod as a scheduler plugin sees it.
#[derive(Clone, Debug)]
pub struct SeenPod {
    /// Namespace and name.
    pub key: Key,
    /// Labels.
    pub labels: Arc<Labels>,
    /// The spec.
    pub spec: Arc<PodSpec>,
}

/// A node as a scheduler plugin sees it: what it offers, and what its pods, assumed ones included, ask for.
#[derive(Clone, Debug)]
pub struct SeenNode {
    /// Its name.
    pub name: Name,
    /// Labels.
    pub labels: Arc<Labels>,
    /// Taints.
    pub taints: Arc<[Taint]>,
    /// Whether it is cordoned.
    pub unschedulable: bool,
    /// What pods may use.
    pub allocatable: Resources,
    /// How many pods may run.
    pub most_pods: i64,
    /// How many run.
    pub pods: i64,
    /// Sum of the pods' requests. [millicores, bytes]
    pub requested: CpuMemory,
    /// Sum of the pods' requests of other resources.
    pub requested_others: Arc<[(Name, i64)]>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_scripts_everything_is_unknown() {
        let mistake = NoScripts.admit("w", &Arc::new(Value::Null)).expect_err("there is none");
        assert_eq!(&*mistake.line(), "there is no webhook `w`");
        let placed = Mistake { place: Place { file: "a.rhai".into(), line: 3, column: 1 }, ..mistake };
        assert_eq!(&*placed.line(), "there is no webhook `w` (a.rhai:3)");
    }
}
