//! Which revision a StatefulSet is at, and which it is to come to.
//!
//! Models: kubernetes v1.36.2 pkg/controller/statefulset/stateful_set_control.go (getStatefulSetRevisions, truncateHistory),
//! stateful_set_utils.go (newRevision), pkg/controller/history/controller_history.go (CreateControllerRevision).

use k8s_openapi::api::apps::v1::ControllerRevision;

use super::Inputs;
use crate::apiserver::registry::admitted;
use crate::apiserver::request::DeleteOptions;
use crate::client::connection::Call;
use crate::client::routine::{Interrupt, Routine, Step};
use crate::controllers::ownership::{self, Claim};
use crate::controllers::revisions::{self, Revision};
use crate::objects::{Kind, Name, Object, Pod, PodTemplate, Resource, compact};

/// The revisions of a sync.
pub(super) struct Revisions {
    /// The one the pods are from.
    pub(super) current: Name,
    /// The one they are to be from.
    pub(super) update: Name,
    /// The template of the first, if it is not the set's own.
    pub(super) template: Option<PodTemplate>,
    /// How often names have collided.
    pub(super) collisions: i32,
}

fn revision(object: &Object) -> Option<&Revision> {
    object.as_resource::<ControllerRevision>()
}

/// Adopts revisions that nobody owns.
pub(super) fn adopt(inputs: &Inputs, routine: &mut Routine<'_>) -> Step<()> {
    if inputs.set.meta.deleting() || !inputs.revisions.iter().any(|(_, claim)| *claim == Claim::Adopt) {
        return Ok(());
    }
    let claims = inputs.revisions.iter().map(|(object, claim)| (object, *claim));
    ownership::carry_out(Kind::StatefulSet, &inputs.set.meta, claims, routine).map(|_| ())
}

/// Finds the revision of the set's template, or makes one.
pub(super) fn revisions(inputs: &Inputs, routine: &mut Routine<'_>) -> Step<Revisions> {
    let known: Vec<&Revision> = inputs.revisions.iter().filter_map(|(object, _)| revision(object)).collect();
    let reported = inputs.set.api.status.as_ref();
    let mut collisions = reported.and_then(|status| status.collision_count).unwrap_or(0);
    let patch = revisions::patch(&inputs.spec().template);
    let equal = known.iter().rev().find(|revision| revisions::holds(revision, &patch));
    let number = revisions::next_number(known.iter().copied());
    let update = match equal {
        Some(equal) if known.last().is_some_and(|last| last.meta.uid == equal.meta.uid) => equal.meta.name.clone(),
        Some(equal) => {
            let renumbered = || Object::ControllerRevision(revisions::renumbered(equal, number));
            routine.call(|| Call::update(renumbered()))??;
            equal.meta.name.clone()
        }
        None => create(inputs, patch, number, &mut collisions, routine)?,
    };
    let current = reported.and_then(|status| status.current_revision.as_deref()).unwrap_or_default();
    let current = known.iter().find(|revision| &*revision.meta.name == current).copied();
    let template = current.filter(|current| current.meta.name != update).and_then(|current| {
        let template = revisions::template(&current.api)?;
        Some(compact::template(&template, &admitted))
    });
    let current = current.map_or(update.clone(), |current| current.meta.name.clone());
    Ok(Revisions { current, update, template, collisions })
}

fn create(
    inputs: &Inputs,
    patch: serde_json::Value,
    number: i64,
    collisions: &mut i32,
    routine: &mut Routine<'_>,
) -> Step<Name> {
    let set = &inputs.set.meta;
    let text = revisions::text(&patch);
    let mut labels = (*inputs.pods().template.labels).clone();
    labels.insert(revisions::HASH.into(), revisions::hash(&text, *collisions).into());
    loop {
        let name: Name = revisions::name(&set.name, &revisions::hash(&text, *collisions)).into();
        let made = || revisions::new(Kind::StatefulSet, set, labels.clone(), &name, patch.clone(), number);
        let outcome = routine.call(|| Call::create(Object::ControllerRevision(made())))?;
        match outcome {
            Ok(_) => return Ok(name),
            Err(status) if &*status.reason == "AlreadyExists" => {
                let key = crate::objects::Key { namespace: set.namespace.clone(), name: name.clone() };
                let there = routine.call(|| Call::get(Kind::ControllerRevision, key))??;
                let there = there.object().and_then(|object| object.as_resource::<ControllerRevision>());
                if there.is_some_and(|there: &Resource<_>| revisions::holds(there, &patch)) {
                    return Ok(name);
                }
                *collisions += 1;
            }
            Err(status) => return Err(Interrupt::from(status)),
        }
    }
}

/// Deletes revisions beyond the limit: those that nothing is from, the oldest first.
pub(super) fn truncate(inputs: &Inputs, pods: &[&Pod], revisions: &Revisions, routine: &mut Routine<'_>) -> Step<()> {
    let live = |name: &Name| {
        *name == revisions.current
            || *name == revisions.update
            || pods.iter().any(|pod| revisions::of_pod(&pod.meta) == Some(name))
    };
    let old: Vec<&Object> =
        inputs.revisions.iter().map(|(object, _)| &**object).filter(|object| !live(&object.meta().name)).collect();
    let Ok(limit) = usize::try_from(inputs.spec().revision_history_limit.unwrap_or(10)) else { return Ok(()) };
    for object in old.iter().take(old.len().saturating_sub(limit)) {
        let call = || Call::delete(Kind::ControllerRevision, object.key(), DeleteOptions::default());
        if let Err(status) = routine.call(call)?
            && !status.is_not_found()
        {
            return Err(Interrupt::from(status));
        }
    }
    Ok(())
}
