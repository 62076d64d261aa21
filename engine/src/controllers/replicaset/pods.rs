//! Creating and deleting the pods of a replica set.
//!
//! Models: kubernetes v1.36.2 pkg/controller/replicaset/replica_set.go (manageReplicas, slowStartBatch, getIndirectlyRelatedPods) and
//! pkg/controller/controller_utils.go (RealPodControl, GetPodFromTemplate).

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Inputs;
use super::ranking::{self, Candidate, RankedPhase, SLOW_START_INITIAL_BATCH, SlowStart, pods_to_delete};
use crate::apiserver::request::DeleteOptions;
use crate::apiserver::status::Status;
use crate::client::connection::Call;
use crate::client::routine::{Asked, Effect, Outcome, Routine, Step};
use crate::controllers::caches::Caches;
use crate::controllers::deployment::whole_seconds;
use crate::controllers::ownership::controller_reference;
use crate::kernel::Instant;
use crate::objects::event::EventType;
use crate::objects::{Key, Kind, Name, Object, ObjectMeta, Phase, Pod, PodStatus, ReplicaSet, Text};

/// Creates pods in batches of 1, 2, 4, …; the error of the first batch that had one.
pub(super) fn create(inputs: &Inputs, count: usize, routine: &mut Routine<'_>) -> Step<Option<Text>> {
    routine.ask(|| Effect::ExpectCreations(count));
    let then = |_: usize, outcome: &Outcome, asked: &mut Asked| created(inputs, outcome, asked);
    let mut template = None;
    let mut batches = SlowStart::new(count, SLOW_START_INITIAL_BATCH);
    let (mut succeeded, mut error) = (0, None);
    while let Some(size) = batches.next_batch() {
        let mut call = |_| Some(Call::create(Object::Pod(template.get_or_insert_with(|| pod(&inputs.set)).clone())));
        for outcome in routine.call_all(size, &mut call, &then)? {
            match outcome {
                Err(status) if !status.is_namespace_terminating() => error = error.or(Some(status.message)),
                _ => succeeded += 1,
            }
        }
        if error.is_some() {
            break;
        }
    }
    if succeeded < count {
        routine.ask(|| Effect::CreationsFailed(count - succeeded));
    }
    Ok(error)
}

/// The reply to a creation arrived.
fn created(inputs: &Inputs, outcome: &Outcome, asked: &mut Asked) {
    let event = |kind, reason, message| Effect::Event { regarding: inputs.about.clone(), kind, reason, message };
    match outcome {
        Ok(answer) => {
            let Some(pod) = answer.object().map(|object| object.meta()) else { return };
            asked.ask(|| Effect::Wrote(Kind::Pod, pod.resource_version));
            asked.ask(|| event(EventType::Normal, "SuccessfulCreate", format!("Created pod: {}", pod.name)));
        }
        Err(status) if status.is_namespace_terminating() => {}
        Err(status) => {
            asked.ask(|| event(EventType::Warning, "FailedCreate", format!("Error creating: {}", status.message)));
        }
    }
}

/// Deletes the chosen pods, all at once; the error of one that could not be deleted.
pub(super) fn delete(inputs: &Inputs, routine: &mut Routine<'_>) -> Step<Option<Text>> {
    let doomed = &inputs.doomed;
    routine.ask(|| Effect::ExpectDeletions(doomed.clone()));
    let then = |i: usize, outcome: &Outcome, asked: &mut Asked| {
        let Some(key) = doomed.get(i) else { return };
        let event = |kind, reason, message| Effect::Event { regarding: inputs.about.clone(), kind, reason, message };
        match outcome {
            Ok(_) => {
                asked.ask(|| event(EventType::Normal, "SuccessfulDelete", format!("Deleted pod: {}", key.name)));
            }
            Err(status) => {
                asked.ask(|| Effect::DeletionFailed(key.clone()));
                if !status.is_not_found() {
                    let message = || format!("Error deleting: {}", status.message);
                    asked.ask(|| event(EventType::Warning, "FailedDelete", message()));
                }
            }
        }
    };
    let mut call = |i: usize| {
        let key: &Key = doomed.get(i)?;
        Some(Call::delete(Kind::Pod, key.clone(), DeleteOptions::default()))
    };
    let outcomes = routine.call_all(doomed.len(), &mut call, &then)?;
    let failed = |outcome: Outcome| outcome.err().filter(|status: &Status| !status.is_not_found());
    let error = outcomes.into_iter().find_map(failed);
    Ok(error.map(|status| format!("unable to delete pods: {}", status.message).into()))
}

/// A pod of the replica set's template. Kubernetes: GetPodFromTemplate.
fn pod(set: &ReplicaSet) -> Pod {
    let template = &set.spec.template;
    Pod {
        meta: ObjectMeta {
            generate_name: Some(format!("{}-", set.meta.name).into()),
            labels: template.labels.clone(),
            annotations: template.annotations.clone(),
            owners: Arc::new([controller_reference(Kind::ReplicaSet, &set.meta)]),
            ..ObjectMeta::named(&set.meta.namespace, "")
        },
        spec: template.admitted.clone(),
        node: None,
        token: None,
        status: PodStatus::default(),
    }
}

/// The pods that go when there are too many. Crowding counts the active pods of all replica sets of the same owner by node.
pub(super) fn doomed(set: &ReplicaSet, pods: &[Arc<Object>], count: usize, caches: &Caches, now: Instant) -> Vec<Key> {
    let active = |object: &Arc<Object>| object.as_pod().filter(|pod| pod.active()).map(|pod| pod.node.clone());
    let mut nodes: Vec<Option<Name>> = Vec::new();
    if let Some(owner) = set.meta.controller() {
        for related in caches.replica_sets().controlled_by(owner.uid) {
            nodes.extend(caches.pods().controlled_by(related.meta().uid).filter_map(active));
        }
    }
    let crowds = ranking::crowding(nodes.iter().map(|node| node.as_deref()));
    let known: Vec<&Pod> = pods.iter().filter_map(|object| object.as_pod()).collect();
    let candidates: Vec<Candidate<'_>> = known.iter().map(|pod| candidate(pod, &crowds)).collect();
    let places = pods_to_delete(&candidates, count, now);
    places.into_iter().filter_map(|place| known.get(place).map(|pod| pod.meta.key())).collect()
}

fn candidate<'a>(pod: &'a Pod, crowds: &BTreeMap<Option<&str>, usize>) -> Candidate<'a> {
    let sidecars = pod.spec.api.init_containers.iter().flatten();
    let sidecar =
        |name: &Name| sidecars.clone().any(|c| c.name == **name && c.restart_policy.as_deref() == Some("Always"));
    let most = |restarts: &mut dyn Iterator<Item = i32>| restarts.max().unwrap_or(0);
    let init = pod.status.init_containers.iter().filter(|status| sidecar(&status.name));
    Candidate {
        node: pod.node.as_deref(),
        phase: match pod.status.phase {
            Phase::Pending => RankedPhase::Pending,
            Phase::Unknown => RankedPhase::Unknown,
            _ => RankedPhase::Running,
        },
        ready_since: ready_since(pod),
        deletion_cost: ranking::deletion_cost(pod.meta.annotation(ranking::DELETION_COST)),
        crowding: crowds.get(&pod.node.as_deref()).copied().unwrap_or(0),
        restarts: (
            most(&mut pod.status.containers.iter().map(|status| status.restarts)),
            most(&mut init.map(|status| status.restarts)),
        ),
        created: whole_seconds(pod.meta.created),
        uid: pod.meta.uid.0,
    }
}

/// Since when a pod is ready, in whole seconds; `None` if it is not.
pub(super) fn ready_since(pod: &Pod) -> Option<Instant> {
    pod.condition("Ready").filter(|ready| ready.holds()).map(|ready| whole_seconds(ready.transition))
}
