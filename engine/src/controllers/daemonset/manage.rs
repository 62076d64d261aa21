//! Creates and deletes pods so that each node has what it is to have.
//!
//! Models: kubernetes v1.36.2 pkg/controller/daemon/daemon_controller.go (manage, podsShouldBeOnNode, syncNodes),
//! staging/src/k8s.io/client-go/util/flowcontrol/backoff.go (failedPodsBackoff).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{Inputs, Place, by_age, history, nodes};
use crate::client::routine::{Effect, Routine, Step};
use crate::controllers::{pod_control, revisions};
use crate::kernel::{Duration, Instant};
use crate::objects::event::EventType;
use crate::objects::{Key, Kind, Name, Object, Phase, Pod, Text, Uid};

/// Most pods created or deleted in a sync; Kubernetes: BurstReplicas.
const BURST: usize = 250;
/// First and longest wait before a failed pod is replaced once more.
const BACKOFF: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(900));

/// How long a node waits after a pod has failed on it, by set and node.
#[derive(Clone, Debug, Default)]
pub(super) struct Backoffs(BTreeMap<(Uid, Name), (Duration, Instant)>);

impl Backoffs {
    /// A pod has failed: `None` if it may be replaced now, or how long to wait.
    pub(super) fn failed(&mut self, set: Uid, node: &Name, now: Instant) -> Option<Duration> {
        let (first, longest) = BACKOFF;
        let key = (set, node.clone());
        let next = match self.0.get(&key) {
            Some((_, last)) if now.since(*last) > longest.times(2) => first,
            Some((wait, last)) if now.since(*last) < *wait => return Some(*wait),
            Some((wait, _)) => wait.times(2).min(longest),
            None => first,
        };
        self.0.insert(key, (next, now));
        None
    }

    /// The set is gone.
    pub(super) fn forget(&mut self, set: Uid) {
        self.0.retain(|(of, _), _| *of != set);
    }
}

/// What a step has brought about.
#[derive(Default)]
pub(super) struct Done {
    /// Whether there was anything to do.
    pub(super) busy: bool,
    /// Nodes that have a new pod.
    pub(super) created: BTreeMap<Name, Arc<Object>>,
    /// What went wrong.
    pub(super) failure: Option<Text>,
}

/// Brings every node what it is to have.
pub(super) fn manage(inputs: &Inputs, hash: &str, routine: &mut Routine<'_>) -> Step<Done> {
    let now = routine.now();
    let (mut needing, mut doomed) = (Vec::new(), Vec::new());
    for place in &inputs.places {
        let empty = place.pods.is_empty();
        if place.wanted && empty {
            needing.push(place.node.clone());
        } else if place.bearable {
            look_at(inputs, place, hash, now, &mut doomed, routine);
        } else {
            doomed.extend(inputs.pods_on(place).filter(|pod| !pod.meta.deleting()).map(|pod| pod.meta.key()));
        }
    }
    let nodes: BTreeSet<&Name> = inputs.places.iter().map(|place| &place.node).collect();
    for (node, object) in &inputs.pods {
        let lost = |pod: &Pod| pod.node.is_none() && !pod.meta.deleting();
        if !nodes.contains(node) && object.as_pod().is_some_and(lost) {
            doomed.push(object.key());
        }
    }
    if let Some(wait) = inputs.wait {
        routine.ask(|| Effect::RequeueAfter(wait));
    }
    change(inputs, hash, needing, doomed, routine)
}

/// A node with pods that may stay: those that have ended go, and those too many.
fn look_at(inputs: &Inputs, place: &Place, hash: &str, now: Instant, doomed: &mut Vec<Key>, routine: &mut Routine<'_>) {
    let mut running = Vec::new();
    for pod in inputs.pods_on(place).filter(|pod| !pod.meta.deleting()) {
        let what = || format!("daemon pod {}/{} on node {}", pod.meta.namespace, pod.meta.name, place.node);
        match pod.status.phase {
            Phase::Failed if !inputs.failed.contains(&pod.meta.name) => {}
            Phase::Failed => {
                let message = || format!("Found failed {}, will try to kill it", what());
                routine.event(&inputs.about, EventType::Warning, "FailedDaemonPod", message);
                doomed.push(pod.meta.key());
            }
            Phase::Succeeded => {
                let message = || format!("Found succeeded {}, will try to delete it", what());
                routine.event(&inputs.about, EventType::Normal, "SucceededDaemonPod", message);
                doomed.push(pod.meta.key());
            }
            _ => running.push(pod),
        }
    }
    if running.len() < 2 {
        return;
    }
    let running = by_age(running.into_iter());
    if !surges(inputs) {
        return doomed.extend(running.iter().skip(1).map(|pod| pod.meta.key()));
    }
    let (mut new, mut old) = (None, None);
    for pod in running {
        let of_hash = revisions::of_pod(&pod.meta).is_some_and(|of| **of == *hash);
        let slot = if of_hash { &mut new } else { &mut old };
        match slot {
            None => *slot = Some(pod),
            Some(_) => doomed.push(pod.meta.key()),
        }
    }
    if let (Some(new), Some(old)) = (new, old)
        && (!old.ready() || new.available(inputs.min_ready(), now))
    {
        doomed.push(old.meta.key());
    }
}

/// Whether an update puts new pods beside old ones.
pub(super) fn surges(inputs: &Inputs) -> bool {
    use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
    let rolling = inputs.spec.update_strategy.as_ref().and_then(|strategy| strategy.rolling_update.as_ref());
    match rolling.and_then(|rolling| rolling.max_surge.as_ref()) {
        Some(IntOrString::Int(number)) => *number > 0,
        Some(IntOrString::String(share)) => share != "0%",
        None => false,
    }
}

/// Creates pods on nodes and deletes pods, as many as one sync may.
pub(super) fn change(
    inputs: &Inputs,
    hash: &str,
    mut needing: Vec<Name>,
    mut doomed: Vec<Key>,
    routine: &mut Routine<'_>,
) -> Step<Done> {
    if needing.is_empty() && doomed.is_empty() {
        return Ok(Done::default());
    }
    needing.truncate(BURST);
    doomed.truncate(BURST);
    routine.ask(|| Effect::ExpectBoth(needing.len(), doomed.clone()));
    let mut done = Done { busy: true, ..Done::default() };
    if !needing.is_empty() {
        let mut base = None;
        let mut pod = |n: usize| {
            let (template, spec) = base.get_or_insert_with(|| model(inputs, hash));
            Some(Pod { spec: nodes::spec_for(spec, needing.get(n)?), ..template.clone() })
        };
        let created = pod_control::create(&inputs.about, needing.len(), &mut pod, routine)?;
        done.failure = created.error;
        let node = |object: &Arc<Object>| object.as_pod().and_then(nodes::target);
        done.created = created.pods.into_iter().filter_map(|object| Some((node(&object)?, object))).collect();
    }
    let (_, error) = pod_control::delete(&inputs.about, &doomed, routine)?;
    done.failure = done.failure.or(error);
    Ok(done)
}

/// A pod of the set without its node, and the spec without its node.
fn model(inputs: &Inputs, hash: &str) -> (Pod, k8s_openapi::api::core::v1::PodSpec) {
    let (set, template) = (&inputs.set, &inputs.set.compiled.template);
    let mut pod = pod_control::pod(Kind::DaemonSet, &set.meta, template, template.admitted.clone(), "");
    pod.meta.generate_name = Some(format!("{}-", set.meta.name).into());
    let labels = Arc::make_mut(&mut pod.meta.labels);
    labels.insert(revisions::OF_REVISION.into(), hash.into());
    if let Some(generation) = set.meta.annotation(history::GENERATION) {
        labels.insert(history::GENERATION_LABEL.into(), generation.into());
    }
    (pod, nodes::spec(template))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failed_pods_are_replaced_ever_more_slowly() {
        let (mut backoffs, node) = (Backoffs::default(), Name::from("n"));
        let mut ask = |seconds| backoffs.failed(Uid(1), &node, Instant::START + Duration::from_secs(seconds));
        assert_eq!(ask(0), None);
        assert_eq!(ask(0), Some(Duration::from_secs(1)));
        assert_eq!(ask(1), None);
        assert_eq!(ask(2), Some(Duration::from_secs(2)));
        assert_eq!((ask(3), ask(5_000)), (None, None));
        assert_eq!(ask(5_000), Some(Duration::from_secs(1)));
    }
}
