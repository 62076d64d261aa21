//! What is done about one object. It is looked up first, and so are its owners: the caches may be behind.
//!
//! Models: kubernetes v1.36.2 pkg/controller/garbagecollector/garbagecollector.go (attemptToDeleteItem, isDangling,
//! processDeletingDependentsItem, orphanDependents), operations.go (deleteObject, removeFinalizer).

use std::sync::Arc;

use super::Item;
use super::absent::AbsentOwners;
use crate::apiserver::request::{DeleteOptions, Patch, Propagation};
use crate::client::connection::Call;
use crate::client::routine::{Interrupt, Routine, Step};
use crate::objects::meta::{FOREGROUND, ORPHAN};
use crate::objects::{Kind, Object, OwnerReference, Uid};

/// How often the removal of a finalizer is tried; Kubernetes: retry.DefaultBackoff.
const TRIES: usize = 4;

/// An object that may have to go, and what the caches say of it.
#[derive(Clone, Debug)]
pub struct Deletion {
    /// The object.
    pub item: Item,
    /// It is being deleted, and waits for its dependents to be gone.
    pub deleting_dependents: bool,
    /// Whether there are dependents that hold it back.
    pub blocked: bool,
    /// Those of them that do not wait for dependents themselves.
    pub blocking: Vec<Item>,
    /// Whether there are dependents at all.
    pub has_dependents: bool,
    /// Whether one of them waits for its own dependents: there may be a circle.
    pub circular: bool,
    /// Owners that are known to be absent.
    pub absent: Arc<AbsentOwners>,
    /// Kinds that are served beside the built-in ones.
    pub served: Arc<[Kind]>,
}

/// What an attempt has led to.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Outcome {
    /// The object is not there, or another one has its name.
    pub gone: bool,
    /// Its owners cannot be looked up: there is no point in another try.
    pub unresolvable: bool,
    /// Owners found to be absent.
    pub absent: Vec<Item>,
    /// Objects to look at next.
    pub enqueue: Vec<Item>,
}

impl Outcome {
    fn gone() -> Self {
        Outcome { gone: true, ..Outcome::default() }
    }
}

/// The owners of an object by how they are.
#[derive(Default)]
struct Owners {
    solid: bool,
    /// Gone.
    dangling: Vec<Uid>,
    /// There, but about to go once their dependents are gone.
    waiting: Vec<Uid>,
}

impl Deletion {
    /// An object that nothing depends on and that is not being deleted.
    pub fn of(item: &Item, absent: &Arc<AbsentOwners>, served: &Arc<[Kind]>) -> Self {
        Deletion {
            item: item.clone(),
            deleting_dependents: false,
            blocked: false,
            blocking: Vec::new(),
            has_dependents: false,
            circular: false,
            absent: absent.clone(),
            served: served.clone(),
        }
    }

    /// Deletes the object if none of its owners is there to stay.
    ///
    /// # Errors
    /// When it waits; when the API server refuses.
    pub fn attempt(&self, routine: &mut Routine<'_>) -> Step<Outcome> {
        let item = &self.item;
        if item.kind.namespaced() && item.key.namespace.is_empty() {
            return Ok(Outcome { unresolvable: true, ..Outcome::default() });
        }
        let Some(latest) = read(item, routine)? else { return Ok(Outcome::gone()) };
        if self.deleting_dependents {
            if !self.blocked {
                remove_finalizer(item, FOREGROUND, routine)?;
            }
            return Ok(Outcome { enqueue: self.blocking.clone(), ..Outcome::default() });
        }
        let meta = latest.meta();
        if meta.owners.is_empty() {
            return Ok(Outcome::default());
        }
        let mut outcome = Outcome::default();
        let Some(owners) = self.classify(&meta.owners, &mut outcome.absent, routine)? else {
            return Ok(Outcome { unresolvable: true, ..outcome });
        };
        if owners.solid {
            let dropped: Arc<[Uid]> = owners.dangling.into_iter().chain(owners.waiting).collect();
            if !dropped.is_empty() {
                let patch = || Patch::DropOwners { uid: item.uid, owners: dropped };
                routine.call(|| Call::patch(item.kind, item.key.clone(), patch()))??;
            }
            return Ok(outcome);
        }
        let policy = if !owners.waiting.is_empty() && self.has_dependents {
            if self.circular {
                let free = |owner: &OwnerReference| OwnerReference { block_owner_deletion: false, ..owner.clone() };
                let patch = || Patch::Owners { uid: item.uid, owners: meta.owners.iter().map(free).collect() };
                routine.call(|| Call::patch(item.kind, item.key.clone(), patch()))??;
            }
            Propagation::Foreground
        } else if meta.has_finalizer(ORPHAN) {
            Propagation::Orphan
        } else if meta.has_finalizer(FOREGROUND) {
            Propagation::Foreground
        } else {
            Propagation::Background
        };
        outcome.gone = !delete(item, &latest, policy, routine)?;
        Ok(outcome)
    }

    /// Looks at each owner. `None`: one of them cannot be looked up.
    fn classify(
        &self,
        references: &[OwnerReference],
        absent: &mut Vec<Item>,
        routine: &mut Routine<'_>,
    ) -> Step<Option<Owners>> {
        let mut owners = Owners::default();
        for reference in references {
            let Some(owner) = Item::owner(reference, &self.item.key.namespace, &self.served) else {
                let (version, kind) = (&reference.api_version, &reference.kind);
                return Err(Interrupt::Failed(
                    format!("no matches for kind \"{kind}\" in version \"{version}\"").into(),
                ));
            };
            if self.absent.has(&owner) || absent.contains(&owner) {
                owners.dangling.push(owner.uid);
                continue;
            }
            if owner.kind.namespaced() && self.item.key.namespace.is_empty() {
                return Ok(None);
            }
            match read(&owner, routine)? {
                None => {
                    owners.dangling.push(owner.uid);
                    absent.push(owner);
                }
                Some(object) if object.meta().deleting_dependents() => owners.waiting.push(owner.uid),
                Some(_) => owners.solid = true,
            }
        }
        Ok(Some(owners))
    }
}

/// An object that is to go without its dependents.
#[derive(Clone, Debug)]
pub struct Release {
    /// The object.
    pub owner: Item,
    /// The dependents.
    pub dependents: Vec<Item>,
}

impl Release {
    /// Makes the dependents nobody's, and then lets the owner go.
    ///
    /// # Errors
    /// When it waits; when the API server refuses.
    pub fn attempt(&self, routine: &mut Routine<'_>) -> Step<()> {
        let owners: Arc<[Uid]> = Arc::new([self.owner.uid]);
        let mut patch = |i: usize| {
            let dependent = self.dependents.get(i)?;
            let patch = Patch::DropOwners { uid: dependent.uid, owners: owners.clone() };
            Some(Call::patch(dependent.kind, dependent.key.clone(), patch))
        };
        let outcomes = routine.call_all(self.dependents.len(), &mut patch, &|_, _, _| {})?;
        if let Some(status) = outcomes.into_iter().filter_map(Result::err).find(|status| !status.is_not_found()) {
            return Err(Interrupt::Failed(status.message));
        }
        remove_finalizer(&self.owner, ORPHAN, routine)
    }
}

/// The object as the API server has it; `None` if it is gone, or another one.
fn read(item: &Item, routine: &mut Routine<'_>) -> Step<Option<Arc<Object>>> {
    match routine.call(|| Call::get(item.kind, item.key.clone()))? {
        Ok(answer) => Ok(answer.object().filter(|object| object.meta().uid == item.uid).cloned()),
        Err(status) if status.is_not_found() => Ok(None),
        Err(status) => Err(Interrupt::from(status)),
    }
}

/// Deletes the object as it was read; false if it is gone. Where something else than its owners has changed meanwhile, as it is.
fn delete(item: &Item, latest: &Object, policy: Propagation, routine: &mut Routine<'_>) -> Step<bool> {
    let options = |version| DeleteOptions {
        uid: Some(item.uid),
        resource_version: version,
        propagation: Some(policy),
        ..DeleteOptions::default()
    };
    let version = latest.meta().resource_version;
    let mut status = match routine.call(|| Call::delete(item.kind, item.key.clone(), options(Some(version))))? {
        Ok(_) => return Ok(true),
        Err(status) => status,
    };
    if status.is_conflict()
        && let Some(live) = read(item, routine)?
        && live.meta().resource_version != version
        && live.meta().owners == latest.meta().owners
    {
        match routine.call(|| Call::delete(item.kind, item.key.clone(), options(None)))? {
            Ok(_) => return Ok(true),
            Err(other) => status = other,
        }
    }
    if status.is_not_found() { Ok(false) } else { Err(Interrupt::from(status)) }
}

/// Takes a finalizer from an object, if it is there and has it.
fn remove_finalizer(item: &Item, name: &str, routine: &mut Routine<'_>) -> Step<()> {
    for _ in 0..TRIES {
        let known = read(item, routine)?;
        let Some(known) = known.filter(|known| known.meta().has_finalizer(name)) else { return Ok(()) };
        let meta = known.meta();
        let patch = || Patch::Finalizers {
            version: meta.resource_version,
            finalizers: meta.finalizers.iter().filter(|finalizer| &***finalizer != name).cloned().collect(),
        };
        match routine.call(|| Call::patch(item.kind, item.key.clone(), patch()))? {
            Ok(_) => return Ok(()),
            Err(status) if status.is_conflict() => {}
            Err(status) => return Err(Interrupt::from(status)),
        }
    }
    Err(Interrupt::Failed(format!("updateMaxRetries({TRIES}) has reached").into()))
}
