//! The taint eviction controller: pods leave nodes with NoExecute taints that they do not tolerate, or not for longer.
//!
//! When a node's NoExecute taints change, each of its pods gets a deadline: now, in so many seconds, or none. Timers run here and
//! nowhere else, so another process that takes the lead starts them anew.
//!
//! Models: kubernetes v1.36.2 pkg/controller/tainteviction/{taint_eviction,timed_workers}.go,
//! staging/src/k8s.io/component-helpers/scheduling/corev1 (GetMatchingTolerations). Left out: the 10 ms between the five tries to
//! delete a pod, and the queues between an informer's handler and the timers.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::caches::Caches;
use super::contract::{Controller, View, Wake};
use super::deployment::whole_seconds;
use crate::apiserver::request::{DeleteOptions, Patch, Subresource};
use crate::client::Agent;
use crate::client::connection::Call;
use crate::client::informer::Change;
use crate::client::routine::{Effect, Routine, Step};
use crate::kernel::{Duration, Instant};
use crate::objects::event::EventType;
use crate::objects::pod_terms::tolerations::{Effect as TaintEffect, Taint, Toleration};
use crate::objects::{Condition, Key, Kind, Node, Object, ObjectReference, Pod};

/// How often a deletion is tried. Kubernetes: retries.
const TRIES: usize = 5;

/// The taint eviction controller.
#[derive(Clone, Debug, Default)]
pub struct TaintEvictionController {
    /// Pods with a deadline.
    doomed: BTreeMap<Key, Timer>,
    /// Pods whose deadline has come; they get no other one.
    evicted: BTreeSet<Key>,
}

/// A pod's deadline.
#[derive(Clone, Copy, Debug)]
struct Timer {
    created: Instant,
    due: Instant,
}

/// What is to be done about a pod.
#[derive(Clone, Debug)]
pub enum Inputs {
    /// Its time has come.
    Evict(Key),
    /// It has not.
    Wait(Duration),
}

/// How long a pod bears taints.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Bears {
    Not,
    For(Duration),
    Forever,
}

impl Controller for TaintEvictionController {
    const AGENT: Agent = Agent::TaintEvictionController;
    const KIND: Kind = Kind::Pod;
    const INFORMERS: &'static [Kind] = &[Kind::Pod, Kind::Node];
    /// Upstream each pod has a goroutine of its own.
    const WORKERS: usize = usize::MAX;
    const MAX_RETRIES: Option<u32> = Some(0);
    type Inputs = Inputs;
    type Outcome = ();

    fn concerns(&mut self, kind: Kind, change: &Change, caches: &Caches, wake: &mut Wake<'_>) {
        match kind {
            Kind::Node => self.node_changed(change, caches, wake),
            Kind::Pod => self.pod_changed(change, caches, wake),
            _ => {}
        }
    }

    fn inputs(&mut self, key: &Key, _caches: &Caches, view: View<'_>) -> Option<Inputs> {
        let due = self.doomed.get(key)?.due;
        if due > view.monotonic {
            return Some(Inputs::Wait(due.since(view.monotonic)));
        }
        self.doomed.remove(key);
        self.evicted.insert(key.clone());
        Some(Inputs::Evict(key.clone()))
    }

    fn reconcile(&self, inputs: &Inputs, routine: &mut Routine<'_>) -> Step<()> {
        match inputs {
            Inputs::Wait(rest) => {
                routine.ask(|| Effect::RequeueAfter(*rest));
                Ok(())
            }
            Inputs::Evict(key) => evict(key, routine),
        }
    }

    fn reconciled(&mut self, key: &Key, outcome: Option<()>, _now: Instant) {
        if outcome.is_none() {
            self.evicted.remove(key);
        }
    }
}

impl TaintEvictionController {
    fn node_changed(&mut self, change: &Change, caches: &Caches, wake: &mut Wake<'_>) {
        let taints = |object: &Option<Arc<Object>>| object.as_deref().and_then(Object::as_node).map(no_execute);
        let (old, new) = (taints(&change.old).unwrap_or_default(), taints(&change.new));
        // A node that is gone says nothing any more; timers that run go on.
        let Some(new) = new.filter(|new| *new != old) else { return };
        for pod in caches.pods().on_node(&change.object().meta().name) {
            if let Some(pod) = pod.as_pod() {
                self.judge(pod, &new, wake);
            }
        }
    }

    fn pod_changed(&mut self, change: &Change, caches: &Caches, wake: &mut Wake<'_>) {
        let pod = |object: &'_ Option<Arc<Object>>| object.clone().filter(|object| object.as_pod().is_some());
        let Some(new) = pod(&change.new) else {
            let key = change.object().key();
            self.cancel(&key, wake);
            self.evicted.remove(&key);
            return;
        };
        let Some(new) = new.as_pod() else { return };
        let Some(node) = &new.node else { return };
        let same = change.old.as_deref().and_then(Object::as_pod).is_some_and(|old| {
            let unchanged =
                Arc::ptr_eq(&old.spec, &new.spec) || old.spec.terms.tolerations == new.spec.terms.tolerations;
            old.node == new.node && unchanged
        });
        if same {
            return;
        }
        let node = caches.nodes().get(&Key { namespace: "".into(), name: node.clone() });
        let taints = node.and_then(|node| node.as_node()).map(no_execute).unwrap_or_default();
        if !taints.is_empty() {
            self.judge(new, &taints, wake);
        }
    }

    /// Gives a pod its deadline, or takes it away. Kubernetes: processPodOnNode.
    fn judge(&mut self, pod: &Pod, taints: &[Taint], wake: &mut Wake<'_>) {
        let key = pod.meta.key();
        let now = wake.now();
        match bears(&pod.spec.terms.tolerations, taints) {
            Bears::Forever => self.cancel(&key, wake),
            Bears::Not => {
                self.cancel(&key, wake);
                self.doom(key, Timer { created: now, due: now }, wake);
            }
            Bears::For(time) => {
                let mut created = now;
                if let Some(timer) = self.doomed.get(&key) {
                    if timer.created < now {
                        return;
                    }
                    created = timer.created;
                    self.cancel(&key, wake);
                }
                self.doom(key, Timer { created, due: now + time }, wake);
            }
        }
    }

    fn doom(&mut self, key: Key, timer: Timer, wake: &mut Wake<'_>) {
        if !self.evicted.contains(&key) {
            wake.later(key.clone(), timer.due.since(wake.now()));
            self.doomed.insert(key, timer);
        }
    }

    fn cancel(&mut self, key: &Key, wake: &mut Wake<'_>) {
        if self.doomed.remove(key).is_some() {
            wake.say(reference(key), "TaintManagerEviction", || format!("Cancelling deletion of Pod {key}"));
        }
    }
}

/// Says so, marks the pod, and deletes it.
fn evict(key: &Key, routine: &mut Routine<'_>) -> Step<()> {
    routine.event(&reference(key), EventType::Normal, "TaintManagerEviction", || {
        format!("Marking for deletion Pod {key}")
    });
    let mut last = Ok(());
    for _ in 0..TRIES {
        last = mark_and_delete(key, routine)?;
        if last.is_ok() {
            return Ok(());
        }
    }
    Ok(last?)
}

fn mark_and_delete(key: &Key, routine: &mut Routine<'_>) -> Step<Result<(), crate::apiserver::status::Status>> {
    let answer = match routine.call(|| Call::get(Kind::Pod, key.clone()))? {
        Ok(answer) => answer,
        Err(status) => return Ok(Err(status)),
    };
    let Some(pod) = answer.object().and_then(|object| object.as_pod()) else { return Ok(Ok(())) };
    let mut condition = Condition::new("DisruptionTarget", true, whole_seconds(routine.now()))
        .because("DeletionByTaintManager", "Taint manager: deleting due to NoExecute taint");
    condition.observed_generation = pod.meta.generation;
    let same =
        |known: &Condition| known.holds() && (&known.reason, &known.message) == (&condition.reason, &condition.message);
    if !pod.condition("DisruptionTarget").is_some_and(same) {
        let patch =
            || Patch::PodCondition { uid: pod.meta.uid, condition: Some(Box::new(condition.clone())), nominated: None };
        let outcome = routine.call(|| Call::patch(Kind::Pod, key.clone(), patch()).of(Subresource::Status))?;
        if let Err(status) = outcome {
            return Ok(Err(status));
        }
    }
    Ok(routine.call(|| Call::delete(Kind::Pod, key.clone(), DeleteOptions::default()))?.map(|_| ()))
}

fn reference(key: &Key) -> ObjectReference {
    ObjectReference {
        kind: Kind::Pod,
        namespace: key.namespace.clone(),
        name: key.name.clone(),
        uid: Default::default(),
        resource_version: 0,
        field_path: None,
    }
}

/// The NoExecute taints of a node.
fn no_execute(node: &Node) -> Vec<Taint> {
    let taint = |taint: &crate::objects::node::Taint| Taint::new(taint.key.clone(), taint.value.clone(), &taint.effect);
    node.taints.iter().filter_map(taint).filter(|taint| taint.effect == TaintEffect::NoExecute).collect()
}

/// For each taint the first toleration that matches counts; the shortest of them decides.
fn bears(tolerations: &[Toleration], taints: &[Taint]) -> Bears {
    if taints.is_empty() {
        return Bears::Forever;
    }
    let mut shortest = None;
    for taint in taints {
        let Some(toleration) = tolerations.iter().find(|toleration| toleration.tolerates(taint)) else {
            return Bears::Not;
        };
        if let Some(seconds) = toleration.seconds {
            shortest = Some(shortest.map_or(seconds, |shortest: i64| shortest.min(seconds)));
        }
    }
    match shortest {
        None => Bears::Forever,
        Some(seconds) => Bears::For(Duration::from_secs(u64::try_from(seconds).unwrap_or(0))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn toleration(key: &str, seconds: Option<i64>) -> Toleration {
        Toleration { key: key.into(), value: None, effect: Some(TaintEffect::NoExecute), seconds }
    }

    fn taint(key: &str) -> Taint {
        Taint { key: key.into(), value: "".into(), effect: TaintEffect::NoExecute }
    }

    #[test]
    fn the_shortest_of_the_tolerations_in_use_decides() {
        let seconds = |seconds| Bears::For(Duration::from_secs(seconds));
        let tolerations = [toleration("a", Some(300)), toleration("b", Some(30)), toleration("c", None)];
        let of = |keys: &[&str]| bears(&tolerations, &keys.iter().copied().map(taint).collect::<Vec<_>>());
        assert_eq!([of(&["a"]), of(&["a", "b"]), of(&["c", "a"])], [seconds(300), seconds(30), seconds(300)]);
        assert_eq!([of(&["c"]), of(&[]), of(&["a", "d"])], [Bears::Forever, Bears::Forever, Bears::Not]);
        assert_eq!(bears(&[toleration("a", Some(-5))], &[taint("a")]), seconds(0));
    }
}
