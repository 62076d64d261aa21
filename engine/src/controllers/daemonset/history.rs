//! The revisions of a DaemonSet's template.
//!
//! Models: kubernetes v1.36.2 pkg/controller/daemon/update.go (constructHistory, snapshot, cleanupHistory).

use std::sync::Arc;

use k8s_openapi::api::apps::v1::{ControllerRevision, DaemonSet};

use super::{Inputs, live_hashes};
use crate::apiserver::request::DeleteOptions;
use crate::client::connection::Call;
use crate::client::routine::{Interrupt, Routine, Step};
use crate::controllers::ownership::{self, Claim};
use crate::controllers::revisions::{self, Revision};
use crate::objects::template_hash::pod_template_hash;
use crate::objects::{Key, Kind, Name, Object};

/// Where a set counts the changes of its template.
pub(super) const GENERATION: &str = "deprecated.daemonset.template.generation";
/// Where a pod says at which count it was made.
pub(super) const GENERATION_LABEL: &str = "pod-template-generation";

/// What is known of a set's revisions.
pub(super) struct History {
    /// The hash of the present template, which labels its pods.
    pub(super) hash: Name,
    /// Earlier revisions, the oldest first.
    pub(super) old: Vec<Arc<Object>>,
}

/// Finds the revision of the present template, or makes one.
pub(super) fn find(inputs: &Inputs, routine: &mut Routine<'_>) -> Step<History> {
    let known = &inputs.revisions;
    if known.iter().any(|(_, claim)| *claim == Claim::Adopt) {
        let claims = known.iter().map(|(object, claim)| (object, *claim));
        ownership::carry_out(Kind::DaemonSet, &inputs.set.meta, claims, routine)?;
    }
    let patch = revisions::patch(&inputs.spec.template);
    let revision = |object: &Arc<Object>| object.as_resource::<ControllerRevision>().cloned();
    let present = |object: &Arc<Object>| revision(object).is_some_and(|known| revisions::holds(&known, &patch));
    let old: Vec<Arc<Object>> =
        known.iter().map(|(object, _)| object.clone()).filter(|object| !present(object)).collect();
    let others: Vec<Revision> = old.iter().filter_map(revision).collect();
    let number = revisions::next_number(&others);
    let hash = |revision: &Revision| revision.meta.labels.get(revisions::OF_REVISION).cloned();
    let current = known.iter().rev().map(|(object, _)| object).find(|object| present(object)).and_then(revision);
    let Some(current) = current else {
        let hash = create(inputs, patch, number, routine)?;
        return Ok(History { hash, old });
    };
    if current.api.revision < number {
        let renumbered = || Object::ControllerRevision(revisions::renumbered(&current, number));
        routine.call(|| Call::update(renumbered()))??;
    }
    Ok(History { hash: hash(&current).unwrap_or_default(), old })
}

fn create(inputs: &Inputs, patch: serde_json::Value, number: i64, routine: &mut Routine<'_>) -> Step<Name> {
    let set = &inputs.set;
    let collisions = set.api.status.as_ref().and_then(|status| status.collision_count);
    let hash: Name = pod_template_hash(&inputs.spec.template, collisions).into();
    let name = format!("{}-{hash}", set.meta.name);
    let made = || {
        let mut labels = (*set.compiled.template.labels).clone();
        labels.insert(revisions::OF_REVISION.into(), hash.clone());
        Object::ControllerRevision(revisions::new(Kind::DaemonSet, &set.meta, labels, &name, patch.clone(), number))
    };
    match routine.call(|| Call::create(made()))? {
        Ok(_) => Ok(hash),
        Err(status) if &*status.reason == "AlreadyExists" => {
            let key = || Key { namespace: set.meta.namespace.clone(), name: name.as_str().into() };
            let there = routine.call(|| Call::get(Kind::ControllerRevision, key()))??;
            let there = there.object().and_then(|object| object.as_resource::<ControllerRevision>());
            if there.is_some_and(|there| revisions::holds(there, &patch)) {
                return Ok(hash);
            }
            // Another template has the same hash: the next sync takes another one.
            let fresh = routine.call(|| Call::get(Kind::DaemonSet, set.meta.key()))??;
            if let Some(fresh) = fresh.object().and_then(|object| object.as_resource::<DaemonSet>()) {
                let counted = || {
                    fresh.with_status(|api| {
                        let count = api.status.get_or_insert_default().collision_count.get_or_insert(0);
                        *count += 1;
                    })
                };
                routine.call(|| Call::update_status(Object::DaemonSet(counted())))??;
            }
            Err(Interrupt::from(status))
        }
        Err(status) => Err(Interrupt::from(status)),
    }
}

/// Deletes revisions beyond the limit: those that no pod is from, the oldest first.
pub(super) fn clean_up(inputs: &Inputs, history: &History, routine: &mut Routine<'_>) -> Step<()> {
    let limit = usize::try_from(inputs.spec.revision_history_limit.unwrap_or(10)).unwrap_or(0);
    let surplus = history.old.len().saturating_sub(limit);
    if surplus == 0 {
        return Ok(());
    }
    let live = live_hashes(inputs);
    let unused = |object: &&Arc<Object>| {
        object.meta().labels.get(revisions::OF_REVISION).is_none_or(|hash| !live.contains_key(&**hash))
    };
    for object in history.old.iter().filter(unused).take(surplus) {
        let call = || Call::delete(Kind::ControllerRevision, object.key(), DeleteOptions::default());
        if let Err(status) = routine.call(call)?
            && !status.is_not_found()
        {
            return Err(Interrupt::from(status));
        }
    }
    Ok(())
}
