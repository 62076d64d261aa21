//! What controllers that make pods have in common: batches that double, the events, and a pod of a template.
//!
//! Models: kubernetes v1.36.2 pkg/controller/controller_utils.go (RealPodControl, GetPodFromTemplate, slow start).

use std::sync::Arc;

use super::ownership::controller_reference;
use super::replicaset::ranking::{SLOW_START_INITIAL_BATCH, SlowStart};
use crate::apiserver::request::DeleteOptions;
use crate::client::connection::Call;
use crate::client::routine::{Asked, Effect, Outcome, Routine, Step};
use crate::objects::event::EventType;
use crate::objects::{Key, Kind, Object, ObjectMeta, ObjectReference, Pod, PodSpec, PodStatus, PodTemplate, Text};

/// What became of creations.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Created {
    /// How many there are now.
    pub count: usize,
    /// The new ones.
    pub pods: Vec<Arc<Object>>,
    /// Why not more.
    pub error: Option<Text>,
}

/// A pod of a template: `spec` is its own or the template's as admitted.
pub fn pod(kind: Kind, owner: &ObjectMeta, template: &PodTemplate, spec: Arc<PodSpec>, name: &str) -> Pod {
    Pod {
        meta: ObjectMeta {
            labels: template.labels.clone(),
            annotations: template.annotations.clone(),
            owners: Arc::new([controller_reference(kind, owner)]),
            ..ObjectMeta::named(&owner.namespace, name)
        },
        spec,
        node: None,
        token: None,
        status: PodStatus::default(),
    }
}

/// Creates pods in batches of 1, 2, 4, …, and stops after the first batch with an error. What is not created is expected no more.
pub fn create(
    about: &ObjectReference,
    count: usize,
    pod: &mut dyn FnMut(usize) -> Option<Pod>,
    routine: &mut Routine<'_>,
) -> Step<Created> {
    let then = |_: usize, outcome: &Outcome, asked: &mut Asked| created(about, outcome, asked);
    let mut batches = SlowStart::new(count, SLOW_START_INITIAL_BATCH);
    let (mut next, mut result) = (0, Created::default());
    while let Some(size) = batches.next_batch() {
        let first = next;
        next += size;
        let mut call = |n: usize| pod(first + n).map(|pod| Call::create(Object::Pod(pod)));
        for outcome in routine.call_all(size, &mut call, &then)? {
            match outcome {
                Err(status) if !status.is_namespace_terminating() => {
                    result.error = result.error.or(Some(status.message))
                }
                Ok(answer) => {
                    result.count += 1;
                    result.pods.extend(answer.object().cloned());
                }
                Err(_) => result.count += 1,
            }
        }
        if result.error.is_some() {
            break;
        }
    }
    if result.count < count {
        routine.ask(|| Effect::CreationsFailed(count - result.count));
    }
    Ok(result)
}

/// The reply to a creation arrived.
fn created(about: &ObjectReference, outcome: &Outcome, asked: &mut Asked) {
    let event = |kind, reason, message| Effect::Event { regarding: about.clone(), kind, reason, message };
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

/// Deletes pods, all at once; the error of one that could not be deleted, and which are gone or going.
pub fn delete(about: &ObjectReference, pods: &[Key], routine: &mut Routine<'_>) -> Step<(Vec<bool>, Option<Text>)> {
    let then = |i: usize, outcome: &Outcome, asked: &mut Asked| {
        let Some(key) = pods.get(i) else { return };
        let event = |kind, reason, message| Effect::Event { regarding: about.clone(), kind, reason, message };
        match outcome {
            Ok(_) => asked.ask(|| event(EventType::Normal, "SuccessfulDelete", format!("Deleted pod: {}", key.name))),
            Err(status) => {
                asked.ask(|| Effect::DeletionFailed(key.clone()));
                if !status.is_not_found() {
                    let message = || format!("Error deleting: {}", status.message);
                    asked.ask(|| event(EventType::Warning, "FailedDelete", message()));
                }
            }
        }
    };
    let mut call = |i: usize| Some(Call::delete(Kind::Pod, pods.get(i)?.clone(), DeleteOptions::default()));
    let (mut gone, mut error) = (Vec::new(), None);
    if pods.is_empty() {
        return Ok((gone, error));
    }
    for outcome in routine.call_all(pods.len(), &mut call, &then)? {
        let failure = outcome.err().filter(|status| !status.is_not_found());
        gone.push(failure.is_none());
        error = error.or(failure.map(|status| status.message));
    }
    Ok((gone, error))
}
