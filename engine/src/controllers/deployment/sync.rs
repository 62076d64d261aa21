//! Steps of a sync that both strategies share: the new replica set, scaling, pausing, cleaning up.
//!
//! Models: kubernetes v1.36.2 pkg/controller/deployment/sync.go.

use std::sync::Arc;

use super::arithmetic::{self, Bound, DeploymentSize, ReplicaSetSize, Rollout, Scaling, Which};
use super::revision::{self, OldReplicaSet};
use super::{Fresh, Inputs, progress, whole_seconds};
use crate::apiserver::request::DeleteOptions;
use crate::apiserver::status::Status;
use crate::client::connection::Call;
use crate::client::routine::{Interrupt, Outcome, Routine, Step};
use crate::controllers::ownership::controller_reference;
use crate::objects::event::EventType;
use crate::objects::pod::same;
use crate::objects::selector::Selector;
use crate::objects::template_hash::pod_template_hash;
use crate::objects::workload::{IntOrPercent, Strategy, WorkloadSelector};
use crate::objects::{
    Deployment, Kind, Labels, Object, ObjectMeta, ObjectReference, PodTemplate, ReplicaSet, ReplicaSetSpec, Uid,
    compact,
};

/// The label that tells the pods of a deployment's replica sets apart.
const HASH_LABEL: &str = "pod-template-hash";

/// A replica set as the sync sees it.
pub(super) type Set = Arc<ReplicaSet>;

/// The new replica set, if there is one, and the old ones, oldest first.
pub(super) type Sets = (Option<Set>, Vec<Set>);

/// A sync under way.
pub(super) struct Syncing<'a> {
    /// The deployment as this sync has changed it; its version stays the one that was read.
    pub(super) deployment: Deployment,
    /// Its replica sets as they were read.
    sets: Vec<Set>,
    fresh: Option<&'a Arc<Fresh>>,
    pub(super) with_pods: &'a [Uid],
    about: ObjectReference,
}

impl<'a> Syncing<'a> {
    /// A sync over the replica sets that are the deployment's own.
    pub(super) fn new(inputs: &'a Inputs, mine: &[bool]) -> Self {
        let own = inputs.sets.iter().zip(mine).filter(|(_, mine)| **mine);
        let sets = own.filter_map(|((set, _), _)| set.as_replica_set().cloned().map(Arc::new)).collect();
        let deployment = (*inputs.deployment).clone();
        let meta = &deployment.meta;
        let about = ObjectReference {
            kind: Kind::Deployment,
            namespace: meta.namespace.clone(),
            name: meta.name.clone(),
            uid: meta.uid,
            resource_version: meta.resource_version,
            field_path: None,
        };
        Syncing { deployment, sets, fresh: inputs.fresh.as_ref(), with_pods: &inputs.with_pods, about }
    }

    /// The deployment's numbers.
    pub(super) fn size(&self) -> DeploymentSize<'_> {
        size(&self.deployment)
    }

    /// A deployment that is going away only reports. Kubernetes: syncStatusOnly.
    pub(super) fn status_only(&mut self, routine: &mut Routine<'_>) -> Step<()> {
        let (new, old) = self.all_sets(false, routine)?;
        self.sync_status(new.as_ref(), &old, routine)
    }

    /// A change of size, or a paused deployment: no rollout. Kubernetes: sync.
    pub(super) fn scale_only(&mut self, routine: &mut Routine<'_>) -> Step<()> {
        let (new, old) = self.all_sets(false, routine)?;
        let old_sizes: Vec<ReplicaSetSize<'_>> = old.iter().map(|set| set_size(set)).collect();
        let plan = arithmetic::scale(&self.size(), new.as_deref().map(set_size).as_ref(), &old_sizes);
        for Scaling { set, to, .. } in plan {
            let set = match set {
                Which::New => new.as_ref(),
                Which::Old(place) => old.get(place),
            };
            if let Some(set) = set {
                self.scale_set(set, to, routine)??;
            }
        }
        if self.deployment.spec.paused {
            self.clean_up(&old, routine)?;
        }
        self.sync_status(new.as_ref(), &old, routine)
    }

    /// Notes in the status that the deployment is paused, or is not any more. Kubernetes: checkPausedConditions.
    pub(super) fn check_paused(&mut self, routine: &mut Routine<'_>) -> Step<()> {
        let progressing = self.deployment.condition("Progressing").map(|condition| condition.reason.clone());
        let reason = progressing.as_deref().unwrap_or("");
        if !self.has_deadline() || reason == progress::TIMED_OUT {
            return Ok(());
        }
        let (reason, message) = match (self.deployment.spec.paused, reason == "DeploymentPaused") {
            (true, false) => ("DeploymentPaused", "Deployment is paused"),
            (false, true) => ("DeploymentResumed", "Deployment is resumed"),
            _ => return Ok(()),
        };
        let unknown = crate::objects::ConditionStatus::Unknown;
        self.set_condition("Progressing", unknown, reason, message.into(), routine.now());
        self.update_status(routine)??;
        Ok(())
    }

    /// Whether somebody changed the deployment's size. Kubernetes: isScalingEvent.
    pub(super) fn is_scaling_event(&mut self, routine: &mut Routine<'_>) -> Step<bool> {
        let (new, old) = self.all_sets(false, routine)?;
        let sizes = old.iter().chain(&new).map(|set| set_size(set));
        Ok(arithmetic::is_scaling_event(&self.size(), sizes))
    }

    /// The new replica set, with its annotations brought up to date, and all others. Kubernetes: getAllReplicaSetsAndSyncRevision.
    pub(super) fn all_sets(&mut self, create: bool, routine: &mut Routine<'_>) -> Step<Sets> {
        let new = self.sets.iter().find(|set| same_template(&self.deployment, set)).cloned();
        let is_old = |set: &&Set| new.as_ref().is_none_or(|new| new.meta.uid != set.meta.uid);
        let old: Vec<Set> = self.sets.iter().filter(is_old).cloned().collect();
        let revision = revision::max_revision(old.iter().map(|set| &*set.meta.annotations)) + 1;
        let new = match new {
            Some(new) => Some(self.known_set(new, revision, routine)?),
            None if create => Some(self.make_set(&old, revision, routine)?),
            None => None,
        };
        Ok((new, old))
    }

    /// The replica set with the deployment's template exists. Kubernetes: getNewReplicaSet, first half.
    fn known_set(&mut self, new: Set, revision: i64, routine: &mut Routine<'_>) -> Step<Set> {
        let mut annotations = (*new.meta.annotations).clone();
        let stale = revision::set_new_annotations(&self.deployment.meta.annotations, &mut annotations, revision);
        let min_ready_seconds = self.deployment.spec.min_ready_seconds;
        if stale || new.spec.min_ready_seconds != min_ready_seconds {
            let mut changed = (*new).clone();
            changed.meta.annotations = Arc::new(annotations);
            changed.spec.min_ready_seconds = min_ready_seconds;
            let outcome = routine.call(|| Call::update(Object::ReplicaSet(changed)))?;
            return Ok(replica_set(outcome?, &new));
        }
        let revision = new.meta.annotation(revision::REVISION).unwrap_or("");
        let mut news = self.deployment.meta.annotate(revision::REVISION, revision);
        if self.has_deadline() && self.deployment.condition("Progressing").is_none() {
            let message = format!("Found new replica set {:?}", &*new.meta.name);
            self.set_condition("Progressing", true, "FoundNewReplicaSet", message, routine.now());
            news = true;
        }
        if news {
            self.update_status(routine)??;
        }
        Ok(new)
    }

    /// Makes the replica set with the deployment's template. Kubernetes: getNewReplicaSet, second half.
    fn make_set(&mut self, old: &[Set], revision: i64, routine: &mut Routine<'_>) -> Step<Set> {
        let Some(fresh) = self.fresh else {
            return Err(Interrupt::Failed("the new replica set was released during this sync".into()));
        };
        let mut set = fresh.set.clone();
        let total = old.iter().fold(0_i32, |sum, set| sum.wrapping_add(set.spec.replicas));
        set.spec.replicas = arithmetic::new_replica_set_size(&self.size(), total, 0)
            .map_err(|error| Interrupt::Failed(error.to_string().into()))?;
        let annotations = Arc::make_mut(&mut set.meta.annotations);
        revision::set_new_annotations(&self.deployment.meta.annotations, annotations, revision);
        let size = size(&self.deployment);
        revision::set_replicas_annotations(annotations, size.replicas, size.max_replicas());
        let set = Arc::new(set);

        let outcome = routine.call(|| Call::create(Object::ReplicaSet((*set).clone())))?;
        let (made, existed) = match outcome {
            Err(status) if status.is_already_exists() => (self.namesake(fresh, status, routine)?, true),
            Err(status) => return Err(self.not_made(&set, status, routine)?),
            made => (replica_set(made?, &set), false),
        };
        let (name, replicas) = (&made.meta.name, set.spec.replicas);
        if !existed && replicas > 0 {
            let message = || format!("Scaled up replica set {name} from 0 to {replicas}");
            routine.event(&self.about, EventType::Normal, "ScalingReplicaSet", message);
        }
        let mut news = self.deployment.meta.annotate(revision::REVISION, &revision.to_string());
        if !existed && self.has_deadline() {
            let message = format!("Created new replica set {:?}", &**name);
            self.set_condition("Progressing", true, "NewReplicaSetCreated", message, routine.now());
            news = true;
        }
        if news {
            self.update_status(routine)??;
        }
        Ok(made)
    }

    /// Whose is the replica set with the new one's name? Another one's means that two templates have one hash.
    fn namesake(&mut self, fresh: &Fresh, status: Status, routine: &mut Routine<'_>) -> Step<Set> {
        let Some(namesake) = &fresh.namesake else {
            return Err(Status::not_found(Kind::ReplicaSet, &fresh.set.meta.name).into());
        };
        let mine = namesake.meta.controller().is_some_and(|owner| owner.uid == self.deployment.meta.uid);
        if mine && same_template(&self.deployment, namesake) {
            return Ok(Arc::new(namesake.clone()));
        }
        let collisions = self.deployment.status.collision_count.unwrap_or(0);
        self.deployment.status.collision_count = Some(collisions.wrapping_add(1));
        let _ = self.update_status(routine)?;
        Err(status.into())
    }

    /// Says why the new replica set could not be made.
    fn not_made(&mut self, set: &Set, status: Status, routine: &mut Routine<'_>) -> Step<Interrupt> {
        if !status.is_namespace_terminating() {
            let message = format!("Failed to create new replica set {:?}: {}", &*set.meta.name, status.message);
            if self.has_deadline() {
                self.set_condition("Progressing", false, "ReplicaSetCreateError", message.clone(), routine.now());
                let _ = self.update_status(routine)?;
            }
            routine.event(&self.about, EventType::Warning, "ReplicaSetCreateError", || message);
        }
        Ok(status.into())
    }

    /// Gives a replica set a size and up-to-date annotations. Kubernetes: scaleReplicaSet.
    pub(super) fn scale_set(&self, set: &Set, to: i32, routine: &mut Routine<'_>) -> Step<Result<Set, Status>> {
        let size = self.size();
        let mut changed = (**set).clone();
        changed.spec.replicas = to;
        let annotations = Arc::make_mut(&mut changed.meta.annotations);
        let stale = revision::set_replicas_annotations(annotations, size.replicas, size.max_replicas());
        let from = set.spec.replicas;
        if from == to && !stale {
            return Ok(Ok(set.clone()));
        }
        let outcome = match routine.call(|| Call::update(Object::ReplicaSet(changed)))? {
            Ok(answer) => answer,
            Err(status) => return Ok(Err(status)),
        };
        if from != to {
            let direction = if from < to { "up" } else { "down" };
            let message = || format!("Scaled {direction} replica set {} from {from} to {to}", set.meta.name);
            routine.event(&self.about, EventType::Normal, "ScalingReplicaSet", message);
        }
        Ok(Ok(replica_set(outcome, set)))
    }

    /// Deletes old replica sets beyond the history's limit. Kubernetes: cleanupDeployment.
    pub(super) fn clean_up(&self, old: &[Set], routine: &mut Routine<'_>) -> Step<()> {
        let limit = self.deployment.spec.revision_history_limit;
        if limit == i32::MAX {
            return Ok(());
        }
        let known: Vec<OldReplicaSet<'_>> = old
            .iter()
            .map(|set| OldReplicaSet {
                name: &set.meta.name,
                created: whole_seconds(set.meta.created),
                revision: revision::revision(&set.meta.annotations),
                empty: set.spec.replicas == 0
                    && set.status.replicas == 0
                    && set.meta.generation <= set.status.observed_generation,
                deleting: set.meta.deleting(),
            })
            .collect();
        for place in revision::surplus(&known, limit) {
            let Some(set) = old.get(place) else { continue };
            let delete = || Call::delete(Kind::ReplicaSet, set.meta.key(), DeleteOptions::default());
            match routine.call(delete)? {
                Err(status) if !status.is_not_found() => return Err(status.into()),
                _ => {}
            }
        }
        Ok(())
    }

    /// Writes the status (and the annotations that belong to it).
    pub(super) fn update_status(&self, routine: &mut Routine<'_>) -> Step<Outcome> {
        routine.call(|| Call::update_status(Object::Deployment(self.deployment.clone())))
    }

    /// Whether a rollout of it can be too slow.
    pub(super) fn has_deadline(&self) -> bool {
        progress::deadline(Some(self.deployment.spec.progress_deadline_seconds)).is_some()
    }
}

/// The replica set in an answer; `before` if it is no replica set, which does not happen.
fn replica_set(answer: crate::apiserver::request::Answer, before: &Set) -> Set {
    let set = answer.object().and_then(|object| object.as_replica_set().cloned());
    set.map_or_else(|| before.clone(), Arc::new)
}

/// Whether a replica set has the deployment's template, but for the hash label. Kubernetes: EqualIgnoreHash.
pub(super) fn same_template(deployment: &Deployment, set: &ReplicaSet) -> bool {
    let (a, b) = (&deployment.spec.template, &set.spec.template);
    let without_hash = |labels: &'_ Labels| labels.len() - usize::from(labels.contains_key(HASH_LABEL));
    without_hash(&a.labels) == without_hash(&b.labels)
        && a.labels.iter().all(|(key, value)| &**key == HASH_LABEL || b.labels.get(key) == Some(value))
        && same(&a.annotations, &b.annotations)
        && same(&a.spec, &b.spec)
}

/// The replica set of the deployment's template, without pods and annotations.
pub(in crate::controllers) fn fresh_set(deployment: &Deployment) -> ReplicaSet {
    let spec = &deployment.spec;
    let hash = pod_template_hash(&compact::template_api(&spec.template), deployment.status.collision_count);
    let mut labels = (*spec.template.labels).clone();
    labels.insert(HASH_LABEL.into(), hash.as_str().into());
    let labels = Arc::new(labels);
    let mut selector = spec.selector.api.clone();
    selector.match_labels.get_or_insert_default().insert(HASH_LABEL.to_owned(), hash.clone());
    let compiled = Selector::from_label_selector(&selector).unwrap_or_else(|_| Selector::nothing());
    ReplicaSet {
        meta: ObjectMeta {
            labels: labels.clone(),
            owners: Arc::new([controller_reference(Kind::Deployment, &deployment.meta)]),
            ..ObjectMeta::named(&deployment.meta.namespace, &revision::replica_set_name(&deployment.meta.name, &hash))
        },
        spec: ReplicaSetSpec {
            replicas: 0,
            selector: Arc::new(WorkloadSelector { api: selector, compiled }),
            template: PodTemplate { labels, ..spec.template.clone() },
            min_ready_seconds: spec.min_ready_seconds,
        },
        status: Default::default(),
    }
}

fn size(deployment: &Deployment) -> DeploymentSize<'_> {
    fn bound(value: &IntOrPercent) -> Option<Bound<'_>> {
        Some(match value {
            IntOrPercent::Int(number) => Bound::Number(*number),
            IntOrPercent::Percent(text) => Bound::Text(text),
        })
    }
    DeploymentSize {
        replicas: deployment.spec.replicas,
        status_replicas: deployment.status.replicas,
        rollout: match &deployment.spec.strategy {
            Strategy::Recreate => Rollout::Recreate,
            Strategy::RollingUpdate { max_unavailable, max_surge } => {
                Rollout::RollingUpdate { max_surge: bound(max_surge), max_unavailable: bound(max_unavailable) }
            }
        },
    }
}

/// A replica set's numbers.
pub(super) fn set_size(set: &ReplicaSet) -> ReplicaSetSize<'_> {
    ReplicaSetSize {
        name: &set.meta.name,
        created: whole_seconds(set.meta.created),
        replicas: set.spec.replicas,
        available: set.status.available,
        desired_annotation: set.meta.annotation(revision::DESIRED_REPLICAS),
        max_annotation: set.meta.annotation(revision::MAX_REPLICAS),
    }
}
